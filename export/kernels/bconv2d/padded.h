/* Input images in the form that a kernel reads, with pixels of +1 around them: each tap of a window
 * lies at the same distance from its first, and kernels never see a border. */
#ifndef BNN_BCONV2D_PADDED_H
#define BNN_BCONV2D_PADDED_H

#include "weights.h"
#include "window.h"

typedef struct {
  bnn_form form;
  size_t group_words, channel_words; /* of a pixel of the input: of one group, and in all */
  size_t pixel_words;                /* of a pixel here */
  bnn_window rows, columns;
  size_t pixels;               /* output pixels of an image */
  size_t images;               /* that there is room for */
  size_t height, width;        /* with what is around them */
  uint32_t *words;             /* [images][height][width][pixel_words] */
  size_t tap_count, tap_words; /* as a kernel sees them; words of the input in each */
  size_t *taps;                /* how many words behind the first tap each lies */
} bnn_padded;

/* Makes room for images of these windows, or for as many of `batch` as are worth the memory; false
 * if there is not enough. `form`, words, `rows` and `columns` are set before. */
bool bnn_padded_reshape(bnn_padded *padded, size_t batch, bnn_error *error);

/* Takes over the first `images` of `input`. */
void bnn_padded_fill(bnn_padded *padded, const uint32_t *input, size_t images,
                     bnn_threads *threads);

/* What the first tap of an output pixel meets. */
const uint32_t *bnn_padded_window(const bnn_padded *padded, size_t image, size_t y, size_t x);

void bnn_padded_forget(bnn_padded *padded);

#endif
