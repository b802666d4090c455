/* Contract of the kernels of LceDequantize.
 *
 *     values[r·channels + i] = bit i of words[r·W + i / 32] ? minus : plus
 *
 * for r < rows, i < channels > 0 and W = ceil(channels / 32). `minus` and
 * `plus` point to one value of the kernel's type. */
#ifndef BNN_DEQUANTIZE_H
#define BNN_DEQUANTIZE_H

#include "isa.h"

typedef void bnn_dequantize_kernel(const uint32_t *words, size_t rows, size_t channels,
                                   const void *minus, const void *plus, void *values);

#define BNN_KERNEL(op, type, isa) bnn_dequantize_kernel bnn_##op##_##type##_##isa;
#include "kernels.inc"
#undef BNN_KERNEL

#endif
