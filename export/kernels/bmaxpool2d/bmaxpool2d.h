/* Contract of the kernels of LceBMaxPool2d: one row of output pixels.
 *
 *     output[x·words + w] = AND over the window of pixels[(y·width + x')·words + w]
 *
 * The largest of signs is −1 (a bit of 1) only where all are. Window x covers the rows
 * first_row … last_row − 1, the same for the whole row of outputs, and the columns x·stride − left
 * … + filter_width − 1, those outside of 0 … width − 1 left out. Each window holds a pixel. */
#ifndef BNN_BMAXPOOL2D_H
#define BNN_BMAXPOOL2D_H

#include "isa.h"

typedef struct {
  const uint32_t *pixels; /* of the image */
  size_t words, width, first_row, last_row;
  size_t left, filter_width, stride, outputs;
  uint32_t *output;
} bnn_bmaxpool2d_row;

typedef void bnn_bmaxpool2d_kernel(const bnn_bmaxpool2d_row *row);

#define BNN_KERNEL(op, type, isa) bnn_bmaxpool2d_kernel bnn_##op##_##type##_##isa;
#include "kernels.inc"
#undef BNN_KERNEL

#endif
