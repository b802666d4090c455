/* What true zeros around an image change in the sums of the pixels along its borders, where taps
 * outside of the image are read as +1. */
#ifndef BNN_BCONV2D_BORDERS_H
#define BNN_BCONV2D_BORDERS_H

#include "window.h"

typedef struct {
  size_t channels;
  int32_t *sums; /* [tap_count][channels] of the weights; NULL without true zeros */
  /* Windows that meet the image with the same taps need the same correction. */
  size_t kinds_across;
  int32_t *row_kinds, *column_kinds; /* of outputs; both in the memory of the first */
  int32_t *corrections;              /* [kinds down][kinds across][channels] */
} bnn_borders;

/* Makes room for the sums, which are then the caller's to fill in; false if there is not enough. */
bool bnn_borders_create(bnn_borders *borders, size_t tap_count, size_t channels, bnn_error *error);

/* Computes the corrections for all windows; false if there is not enough memory. */
bool bnn_borders_reshape(bnn_borders *borders, const bnn_window *rows, const bnn_window *columns,
                         const bnn_bconv2d_options *options, bnn_error *error);

/* The corrections of an output pixel, for all channels. */
const int32_t *bnn_borders_at(const bnn_borders *borders, size_t y, size_t x);

/* Leaves the sums alone. */
void bnn_borders_forget(bnn_borders *borders);

#endif
