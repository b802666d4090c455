/* What true zeros around an image change in the sums of the pixels along its borders, where taps
 * outside of the image are read as +1. */
#ifndef BNN_BCONV2D_BORDERS_H
#define BNN_BCONV2D_BORDERS_H

#include "taps.h"

typedef struct {
  size_t channels;
  int32_t *sums;            /* [tap_count][channels] of the weights; NULL without true zeros */
  int32_t *corrections;     /* [kinds of border][channels] */
  const int32_t **of_pixel; /* [images][pixels] into `corrections`, as in the table of taps */
} bnn_borders;

/* Makes room for the sums, which are then the caller's to fill in; false if there is not enough. */
bool bnn_borders_create(bnn_borders *borders, size_t tap_count, size_t channels);

/* Computes the corrections for the windows of a table; false if there is not enough memory. */
bool bnn_borders_reshape(bnn_borders *borders, const bnn_taps *table,
                         const bnn_bconv2d_options *options);

/* Leaves the sums alone. */
void bnn_borders_forget(bnn_borders *borders);

#endif
