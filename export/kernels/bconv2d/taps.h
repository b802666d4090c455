/* Which input pixel each tap of each output pixel meets: a table of pointers, not of copies. */
#ifndef BNN_BCONV2D_TAPS_H
#define BNN_BCONV2D_TAPS_H

#include "keras_bnn.h"
#include "window.h"

typedef struct {
  bnn_window rows, columns;
  size_t tap_count, words; /* taps of a pixel, words of an input pixel */
  size_t pixels, images;   /* output pixels of an image, images that the table has room for */
  const uint32_t **taps;   /* [images][pixels][tap_count] */
  const uint32_t *input;   /* that `taps` point into, or NULL */
  size_t input_images;
} bnn_taps;

/* Makes room for images of these windows, or for as many of `batch` as are worth the memory; false
 * if there is not enough. `tap_count`, `words`, `rows` and `columns` are set before. */
bool bnn_taps_reshape(bnn_taps *table, size_t batch);

/* Points into the first `images` of `input`, and to the pixel `outside` for taps outside of the
 * image, unless the table does so already. */
void bnn_taps_point(bnn_taps *table, const uint32_t *input, size_t images, const uint32_t *outside,
                    bnn_threads *threads);

void bnn_taps_forget(bnn_taps *table);

#endif
