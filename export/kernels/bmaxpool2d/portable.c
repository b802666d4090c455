#include <string.h>

#include "bmaxpool2d.h"

void bnn_bmaxpool2d_packed_portable(const bnn_bmaxpool2d_row *row) {
  uint32_t *output = row->output;
  for (size_t x = 0; x < row->outputs; x++, output += row->words) {
    size_t start = x * row->stride, end = start + row->filter_width;
    size_t first = start > row->left ? start - row->left : 0;
    size_t last = end - row->left < row->width ? end - row->left : row->width;
    memset(output, 0xff, row->words * sizeof *output);
    for (size_t i = row->first_row; i < row->last_row; i++)
      for (size_t j = first; j < last; j++) {
        const uint32_t *pixel = row->pixels + (i * row->width + j) * row->words;
        for (size_t w = 0; w < row->words; w++) output[w] &= pixel[w];
      }
  }
}
