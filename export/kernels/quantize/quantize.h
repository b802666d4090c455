/* Contract of the kernels of LceQuantize.
 *
 *     bit i of words[r·W + i / 32] = values[r·channels + i] < zero_point,  W = ceil(channels / 32)
 *
 * for r < rows and i < channels > 0; the bits past the last channel become 0. The float32 kernels
 * compare with 0, for which NaN and −0.0 are not less; the bool kernel takes any byte but 0 for
 * true, and its bit is 1 where the value is false. Values and words are only aligned to their own
 * size. */
#ifndef BNN_QUANTIZE_H
#define BNN_QUANTIZE_H

#include "isa.h"

typedef void bnn_quantize_kernel(const void *values, int32_t zero_point, size_t rows,
                                 size_t channels, uint32_t *words);

#define BNN_KERNEL(op, type, isa) bnn_quantize_kernel bnn_##op##_##type##_##isa;
#include "kernels.inc"
#undef BNN_KERNEL

#endif
