/* Where the windows of a convolution or pool lie along one axis of an image.
 *
 * "SAME" gives ceil(size / stride) outputs, with half of the missing pixels (rounded down) before
 * the image and the rest after it; "VALID" stays inside. */
#ifndef BNN_WINDOW_H
#define BNN_WINDOW_H

#include "keras_bnn.h"

typedef struct {
  int32_t size, taps, stride, dilation;
  int32_t outputs;
  int64_t before; /* pixels missing before the image */
} bnn_window;

/* `axis` names it in the error: "rows" or "columns". */
bool bnn_window_of(bnn_window *window, const char *axis, int32_t size, int32_t taps, int32_t stride,
                   int32_t dilation, bool same, bnn_error *error);

/* The pixel, maybe outside of the image, that output `index` meets with its tap 0. */
int64_t bnn_window_start(const bnn_window *window, int32_t index);

/* The taps first … last − 1 of an output meet the image, all others lie outside; first is last
 * where dilated taps straddle the image and none meets it. */
void bnn_window_taps(const bnn_window *window, int32_t index, int32_t *first, int32_t *last);

#endif
