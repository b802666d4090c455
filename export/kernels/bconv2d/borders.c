#include "borders.h"

#include <string.h>

#include "memory.h"
#include "output.h"

bool bnn_borders_create(bnn_borders *borders, size_t tap_count, size_t channels, bnn_error *error) {
  borders->channels = channels;
  return bnn_allocate((void **)&borders->sums, sizeof *borders->sums, tap_count, channels, 1,
                      error);
}

/* Numbers the kinds of windows along one axis, which lie side by side. */
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

static int32_t *corrections_at(const bnn_borders *borders, size_t y, size_t x) {
  size_t row = (size_t)borders->row_kinds[y], column = (size_t)borders->column_kinds[x];
  return borders->corrections + (row * borders->kinds_across + column) * borders->channels;
}

/* Adds up the weights of all taps of one output pixel that lie outside of the image. */
static void correct(const bnn_borders *borders, const bnn_window *rows, const bnn_window *columns,
                    const bnn_bconv2d_options *options, int32_t y, int32_t x) {
  int32_t top, bottom, left, right;
  bnn_window_taps(rows, y, &top, &bottom);
  bnn_window_taps(columns, x, &left, &right);
  int32_t *correction = corrections_at(borders, (size_t)y, (size_t)x);
  const int32_t *sums = borders->sums;
  for (int32_t i = 0; i < rows->taps; i++)
    for (int32_t j = 0; j < columns->taps; j++, sums += borders->channels) {
      if (i >= top && i < bottom && j >= left && j < right) continue;
      for (size_t c = 0; c < borders->channels; c++) correction[c] += sums[c];
    }
  for (size_t c = 0; c < borders->channels; c++)
    correction[c] = bnn_output_correction(options, correction[c]);
}

static bool is_first(const int32_t *kinds, int32_t i) { return !i || kinds[i - 1] < kinds[i]; }

bool bnn_borders_reshape(bnn_borders *borders, const bnn_window *rows, const bnn_window *columns,
                         const bnn_bconv2d_options *options, bnn_error *error) {
  size_t height = (size_t)rows->outputs, width = (size_t)columns->outputs;
  bnn_borders_forget(borders);
  if (!bnn_allocate((void **)&borders->row_kinds, sizeof(int32_t), height + width, 1, 1, error))
    return false;
  borders->column_kinds = borders->row_kinds + height;
  size_t down = kinds_of(rows, borders->row_kinds);
  borders->kinds_across = kinds_of(columns, borders->column_kinds);
  if (!bnn_allocate((void **)&borders->corrections, sizeof(int32_t), down, borders->kinds_across,
                    borders->channels, error))
    return false;
  for (int32_t y = 0; y < rows->outputs; y++)
    for (int32_t x = 0; x < columns->outputs && is_first(borders->row_kinds, y); x++)
      if (is_first(borders->column_kinds, x)) correct(borders, rows, columns, options, y, x);
  return true;
}

const int32_t *bnn_borders_at(const bnn_borders *borders, size_t y, size_t x) {
  return corrections_at(borders, y, x);
}

void bnn_borders_forget(bnn_borders *borders) {
  bnn_release(borders->corrections);
  bnn_release(borders->row_kinds);
  borders->corrections = borders->row_kinds = borders->column_kinds = NULL;
}
