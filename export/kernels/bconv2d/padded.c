#include "padded.h"

#include "memory.h"
#include "threads.h"

enum {
  /* So many words at most are kept for several images; one image may take more. */
  MOST = 1 << 18,
  /* To wake the threads takes longer than to copy fewer words. */
  WORTH_SHARING = 1 << 16,
};

/* From the first pixel that a window meets to the last, and at least the whole image. */
static size_t extent_of(const bnn_window *window) {
  int64_t image = window->before + window->size;
  int64_t windows = (int64_t)(window->outputs - 1) * window->stride +
                    (int64_t)(window->taps - 1) * window->dilation + 1;
  return (size_t)(image > windows ? image : windows);
}

/* Where all channels of taps lie side by side, one tap with the words of all stands for a row. */
static void place_taps(bnn_padded *padded, size_t taps_down, size_t taps_across) {
  size_t down = (size_t)padded->rows.dilation, across = (size_t)padded->columns.dilation;
  padded->tap_words = padded->group_words;
  if (across == 1 && padded->group_words == padded->channel_words)
    padded->tap_words *= taps_across, taps_across = 1;
  padded->tap_count = taps_down * taps_across;
  for (size_t i = 0; i < taps_down; i++)
    for (size_t j = 0; j < taps_across; j++)
      padded->taps[i * taps_across + j] =
          (i * down * padded->width + j * across) * padded->pixel_words;
}

bool bnn_padded_reshape(bnn_padded *padded, size_t batch, bnn_error *error) {
  const bnn_window *rows = &padded->rows, *columns = &padded->columns;
  size_t taps_down = (size_t)rows->taps, taps_across = (size_t)columns->taps, image_words;
  bnn_padded_forget(padded);
  padded->pixels = (size_t)rows->outputs * (size_t)columns->outputs;
  padded->height = extent_of(rows), padded->width = extent_of(columns);
  if (!bnn_multiply(padded->height, padded->width, &image_words) ||
      !bnn_multiply(image_words, padded->pixel_words, &image_words))
    image_words = SIZE_MAX; /* which bnn_allocate refuses */
  size_t images = MOST / image_words;
  padded->images = images < 1 ? 1 : images < batch ? images : batch;
  if (!bnn_allocate((void **)&padded->words, sizeof *padded->words, padded->images, image_words, 1,
                    error) ||
      !bnn_allocate((void **)&padded->taps, sizeof *padded->taps, taps_down, taps_across, 1, error))
    return false;
  place_taps(padded, taps_down, taps_across);
  return true;
}

static uint32_t *pixel_at(const bnn_padded *padded, size_t image, size_t y, size_t x) {
  return padded->words + ((image * padded->height + y) * padded->width + x) * padded->pixel_words;
}

struct job {
  const bnn_padded *padded;
  const uint32_t *input;
};

/* Items are rows of all images. */
static void fill_rows(void *context, size_t begin, size_t end) {
  const struct job *job = context;
  const bnn_padded *padded = job->padded;
  size_t height = (size_t)padded->rows.size;
  size_t count = (size_t)padded->columns.size * padded->channel_words;
  for (size_t row = begin; row < end; row++) {
    uint32_t *to = pixel_at(padded, row / height, row % height + (size_t)padded->rows.before,
                            (size_t)padded->columns.before);
    const uint32_t *from = job->input + row * count;
    bnn_form_activations(padded->form, from, count, to);
  }
}

void bnn_padded_fill(bnn_padded *padded, const uint32_t *input, size_t images,
                     bnn_threads *threads) {
  struct job job = {padded, input};
  size_t rows = images * (size_t)padded->rows.size;
  size_t words = rows * (size_t)padded->columns.size * padded->channel_words;
  bnn_parallel(words < WORTH_SHARING ? NULL : threads, rows, fill_rows, &job);
}

const uint32_t *bnn_padded_window(const bnn_padded *padded, size_t image, size_t y, size_t x) {
  return pixel_at(padded, image, y * (size_t)padded->rows.stride,
                  x * (size_t)padded->columns.stride);
}

void bnn_padded_forget(bnn_padded *padded) {
  bnn_release(padded->words);
  bnn_release(padded->taps);
  padded->words = NULL, padded->taps = NULL;
}
