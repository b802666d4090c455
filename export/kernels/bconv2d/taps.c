#include "taps.h"

#include "memory.h"
#include "threads.h"

/* So many pointers at most are kept for several images; one image may take more. */
enum { MOST = 1 << 15 };

bool bnn_taps_reshape(bnn_taps *table, size_t batch) {
  bnn_taps_forget(table);
  table->pixels = (size_t)table->rows.outputs * (size_t)table->columns.outputs;
  size_t images = MOST / table->tap_count / table->pixels;
  table->images = images < 1 ? 1 : images < batch ? images : batch;
  return bnn_allocate((void **)&table->taps, sizeof *table->taps, table->images, table->pixels,
                      table->tap_count);
}

struct job {
  const bnn_taps *table;
  const uint32_t *input, *outside;
};

static void point_pixels(void *context, size_t begin, size_t end) {
  const struct job *job = context;
  const bnn_taps *table = job->table;
  const bnn_window *rows = &table->rows, *columns = &table->columns;
  size_t row_words = (size_t)columns->size * table->words;
  const uint32_t **tap = table->taps + begin * table->tap_count;
  for (size_t pixel = begin; pixel < end; pixel++) {
    size_t image = pixel / table->pixels, in_image = pixel % table->pixels;
    int32_t y = (int32_t)(in_image / (size_t)columns->outputs);
    int32_t x = (int32_t)(in_image % (size_t)columns->outputs);
    const uint32_t *first = job->input + image * (size_t)rows->size * row_words;
    int64_t top = bnn_window_start(rows, y), left = bnn_window_start(columns, x);
    for (int32_t i = 0; i < rows->taps; i++, top += rows->dilation) {
      bool inside = top >= 0 && top < rows->size;
      int64_t column = left;
      for (int32_t j = 0; j < columns->taps; j++, column += columns->dilation)
        *tap++ = inside && column >= 0 && column < columns->size
                     ? first + (size_t)top * row_words + (size_t)column * table->words
                     : job->outside;
    }
  }
}

void bnn_taps_point(bnn_taps *table, const uint32_t *input, size_t images, const uint32_t *outside,
                    bnn_threads *threads) {
  struct job job = {table, input, outside};
  if (table->input != input || table->input_images < images)
    bnn_parallel(threads, images * table->pixels, point_pixels, &job);
  table->input = input, table->input_images = images;
}

void bnn_taps_forget(bnn_taps *table) {
  bnn_release(table->taps);
  table->taps = NULL, table->input = NULL;
}
