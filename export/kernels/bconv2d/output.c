/* With x = `different`, a = k − 2x is the ±1 dot product, and an output is
 *
 *     clamp(a; lo, hi)·m + b  =  (k − clamp(2x; k − hi, k − lo))·m + b
 *                             =  clamp(2x; k − hi, k − lo)·(−m) + (b + k·m)
 *
 * so with factor = −m and offset = b + k·m the subtraction from k costs nothing. Rounded to float32
 * these are LCE's own constants, and its results follow bit for bit. An int8 output divides both by
 * its scale first and adds its zero point to the offset.
 *
 * True zeros: a pixel outside of the image is read as +1, whose products sum up to s > 0 too much
 * or s < 0 too little, so a − s is the right sum, and 2x + s stands for it. LCE adds s·factor to
 * finished float outputs where it can; the order decides the rounding. */
#include "output.h"

#include <math.h>

int64_t bnn_output_k(const bnn_bconv2d_options *options) {
  return (int64_t)options->kernel_height * options->kernel_width *
         (options->channels_in / options->groups);
}

void bnn_output_channel(bnn_output *output, size_t at, const bnn_bconv2d_options *options,
                        const float *multiplier, const float *bias, const int32_t *threshold,
                        size_t channel) {
  if (options->output == BNN_packed) {
    output->threshold[at] = threshold[channel];
    return;
  }
  double factor = -(double)multiplier[channel];
  double offset = (double)bias[channel] - (double)bnn_output_k(options) * factor;
  if (options->output == BNN_int8) {
    factor /= (double)options->scale;
    offset = offset / (double)options->scale + options->zero_point;
  }
  output->factor[at] = (float)factor;
  output->offset[at] = (float)offset;
}

void bnn_output_clamp(bnn_output *output, const bnn_bconv2d_options *options) {
  int32_t k = (int32_t)bnn_output_k(options);
  output->low = INT32_MIN, output->high = INT32_MAX;
  switch (options->activation) {
    case BNN_NONE: break;
    case BNN_RELU: output->high = k; break;
    case BNN_RELU_N1_TO_1: output->low = k - 1, output->high = k + 1; break;
    case BNN_RELU6: output->low = k - 6, output->high = k; break;
  }
}

bool bnn_output_corrects_late(const bnn_bconv2d_options *options) {
  return options->output == BNN_float32 && options->activation == BNN_NONE;
}

int32_t bnn_output_correction(const bnn_bconv2d_options *options, int32_t sum_of_padding) {
  /* 2x + s > 2·threshold, without doubling: x + ceil(s / 2) > threshold. */
  if (options->output == BNN_packed)
    return sum_of_padding >= 0 ? (sum_of_padding + 1) / 2 : sum_of_padding / 2;
  return sum_of_padding;
}
