#include "borders.h"

#include <string.h>

#include "memory.h"
#include "output.h"

bool bnn_borders_create(bnn_borders *borders, size_t tap_count, size_t channels) {
  borders->channels = channels;
  return bnn_allocate((void **)&borders->sums, sizeof *borders->sums, tap_count, channels, 1);
}

/* Numbers the kinds of windows along one axis: those that meet the image with the same taps need
 * the same correction, and lie side by side. */
static size_t kinds_of(const bnn_window *window, int32_t *kind_of) {
  size_t kinds = 0;
  int known_first = -1, known_last = -1;
  for (int32_t i = 0; i < window->outputs; i++) {
    int first, last;
    bnn_window_taps(window, i, &first, &last);
    if (first != known_first || last != known_last) kinds++;
    known_first = first, known_last = last;
    kind_of[i] = (int32_t)kinds - 1;
  }
  return kinds;
}

/* Adds up the weights of all taps of one output pixel that lie outside of the image. */
static void correct(const bnn_borders *borders, const bnn_taps *table,
                    const bnn_bconv2d_options *options, size_t y, size_t x, int32_t *correction) {
  int32_t top, bottom, left, right;
  bnn_window_taps(&table->rows, (int32_t)y, &top, &bottom);
  bnn_window_taps(&table->columns, (int32_t)x, &left, &right);
  memset(correction, 0, borders->channels * sizeof *correction);
  const int32_t *sums = borders->sums;
  for (int32_t i = 0; i < table->rows.taps; i++)
    for (int32_t j = 0; j < table->columns.taps; j++, sums += borders->channels) {
      if (i >= top && i < bottom && j >= left && j < right) continue;
      for (size_t c = 0; c < borders->channels; c++) correction[c] += sums[c];
    }
  for (size_t c = 0; c < borders->channels; c++)
    correction[c] = bnn_output_correction(options, correction[c]);
}

bool bnn_borders_reshape(bnn_borders *borders, const bnn_taps *table,
                         const bnn_bconv2d_options *options) {
  size_t height = (size_t)table->rows.outputs, width = (size_t)table->columns.outputs;
  bnn_borders_forget(borders);
  int32_t *row_kinds;
  if (!bnn_allocate((void **)&row_kinds, sizeof *row_kinds, height + width, 1, 1)) return false;
  int32_t *column_kinds = row_kinds + height;
  size_t down = kinds_of(&table->rows, row_kinds);
  size_t across = kinds_of(&table->columns, column_kinds);
  bool done = bnn_allocate((void **)&borders->corrections, sizeof *borders->corrections, down,
                           across, borders->channels) &&
              bnn_allocate((void **)&borders->of_pixel, sizeof *borders->of_pixel, table->images,
                           table->pixels, 1);
  for (size_t y = 0; done && y < height; y++)
    for (size_t x = 0; x < width; x++) {
      size_t kind = (size_t)row_kinds[y] * across + (size_t)column_kinds[x];
      int32_t *correction = borders->corrections + kind * borders->channels;
      bool is_first =
          (!y || row_kinds[y - 1] < row_kinds[y]) && (!x || column_kinds[x - 1] < column_kinds[x]);
      if (is_first) correct(borders, table, options, y, x, correction);
      for (size_t image = 0; image < table->images; image++)
        borders->of_pixel[image * table->pixels + y * width + x] = correction;
    }
  bnn_release(row_kinds);
  return done;
}

void bnn_borders_forget(bnn_borders *borders) {
  bnn_release(borders->corrections);
  bnn_release(borders->of_pixel);
  borders->corrections = NULL, borders->of_pixel = NULL;
}
