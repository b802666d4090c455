/* What a convolution consists of: weights and activations in the form that its kernel reads, a table
 * of pointers to the input pixels of each tap, and corrections along the borders. */
#ifndef BNN_BCONV2D_CONVOLUTION_H
#define BNN_BCONV2D_CONVOLUTION_H

#include "bconv2d.h"
#include "borders.h"
#include "output.h"
#include "taps.h"
#include "weights.h"

struct bnn_bconv2d {
  bnn_bconv2d_options options;
  bnn_bconv2d_kernel *run;
  bnn_weights weights;
  bnn_output output;
  uint32_t *padding; /* one pixel of +1 */
  bnn_image_shape input;
  uint32_t *split; /* half bytes of the images of the table; NULL for kernels that read words */
  bnn_taps table;
  bnn_borders borders;
};

#endif
