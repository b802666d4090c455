/* What a convolution consists of: weights and padded images in the form that its kernel reads, and
 * corrections along the borders. */
#ifndef BNN_BCONV2D_CONVOLUTION_H
#define BNN_BCONV2D_CONVOLUTION_H

#include "bconv2d.h"
#include "borders.h"
#include "output.h"
#include "padded.h"
#include "weights.h"

struct bnn_bconv2d {
  bnn_bconv2d_options options;
  bnn_bconv2d_kernel *run;
  bnn_weights weights;
  bnn_output output;
  size_t batch;
  bnn_padded padded;
  bnn_borders borders;
};

#endif
