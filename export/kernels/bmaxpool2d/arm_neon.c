#include "bmaxpool2d.h"

/* Of any alignment that words have. */
typedef uint32_t u32x4 __attribute__((vector_size(16), aligned(4), may_alias));
typedef uint32_t u32x2 __attribute__((vector_size(8), aligned(4), may_alias));

typedef struct {
  const uint32_t *first; /* pixel of the window */
  size_t rows, columns;
  size_t row_words, pixel_words;
} window;

/* Words `at` of all pixels, as many as `type` holds. */
#define POOL(type, window, at, output)                                      \
  do {                                                                      \
    const uint32_t *row = (window)->first + (at);                           \
    type all = *(const type *)row;                                          \
    for (size_t i = 0; i < (window)->rows; i++, row += (window)->row_words) \
      for (size_t j = 0; j < (window)->columns; j++)                        \
        all &= *(const type *)(row + j * (window)->pixel_words);            \
    *(type *)((output) + (at)) = all;                                       \
  } while (0)

static inline void pool(const window *window, uint32_t *output) {
  size_t words = window->pixel_words, at = 0;
  for (; words - at >= 4; at += 4) POOL(u32x4, window, at, output);
  if (words - at >= 2) {
    POOL(u32x2, window, at, output);
    at += 2;
  }
  if (words - at) POOL(uint32_t, window, at, output);
}

void bnn_bmaxpool2d_packed_neon(const bnn_bmaxpool2d_row *row) {
  const size_t row_words = row->width * row->words;
  const uint32_t *top = row->pixels + row->first_row * row_words;
  for (size_t x = 0; x < row->outputs; x++) {
    size_t start = x * row->stride, end = start + row->filter_width;
    size_t first = start > row->left ? start - row->left : 0;
    size_t last = end - row->left < row->width ? end - row->left : row->width;
    window window = {
        .first = top + first * row->words,
        .rows = row->last_row - row->first_row,
        .columns = last - first,
        .row_words = row_words,
        .pixel_words = row->words,
    };
    pool(&window, row->output + x * row->words);
  }
}
