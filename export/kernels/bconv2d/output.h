/* Constants of a convolution that turn counts of different signs into outputs. */
#ifndef BNN_BCONV2D_OUTPUT_H
#define BNN_BCONV2D_OUTPUT_H

#include "keras_bnn.h"

typedef struct {
  int32_t low, high;
  float *factor, *offset; /* one number a padded channel, as are the thresholds */
  int32_t *threshold;
} bnn_output;

/* The products in one sum: KH·KW·C / groups. */
int64_t bnn_output_k(const bnn_bconv2d_options *options);

/* Fills in channel `at` of `output` from channel `channel` of the file's vectors. */
void bnn_output_channel(bnn_output *output, size_t at, const bnn_bconv2d_options *options,
                        const float *multiplier, const float *bias, const int32_t *threshold,
                        size_t channel);

void bnn_output_clamp(bnn_output *output, const bnn_bconv2d_options *options);

/* Whether float32 outputs are corrected for true zeros after the clamp and the multiplication, or
 * the sum before. */
bool bnn_output_corrects_late(const bnn_bconv2d_options *options);

/* What a kernel adds where padding that was counted as +1 had products of this sum. */
int32_t bnn_output_correction(const bnn_bconv2d_options *options, int32_t sum_of_padding);

#endif
