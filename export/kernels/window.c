#include "window.h"

#include "isa.h"

bool bnn_window_of(bnn_window *window, const char *axis, int32_t size, int32_t taps, int32_t stride,
                   int32_t dilation, bool same, bnn_error *error) {
  if (size < 1 || taps < 1 || stride < 1 || dilation < 1)
    return bnn_fail(error,
                    "Got %d %s, %d taps, stride %d and dilation %d along them, expected 1 or more "
                    "of each",
                    size, axis, taps, stride, dilation);
  int64_t extent = (int64_t)(taps - 1) * dilation + 1;
  *window = (bnn_window){.size = size, .taps = taps, .stride = stride, .dilation = dilation};
  if (same) {
    window->outputs = (int32_t)(((int64_t)size + stride - 1) / stride);
    int64_t missing = (int64_t)(window->outputs - 1) * stride + extent - size;
    window->before = missing > 0 ? missing / 2 : 0;
    return true;
  }
  if (extent > size)
    return bnn_fail(error, "Got a window of %lld %s, expected at most the %d of the image",
                    (long long)extent, axis, size);
  window->outputs = (int32_t)((size - extent) / stride + 1);
  return true;
}

int64_t bnn_window_start(const bnn_window *window, int32_t index) {
  return (int64_t)index * window->stride - window->before;
}

void bnn_window_taps(const bnn_window *window, int32_t index, int32_t *first, int32_t *last) {
  int64_t start = bnn_window_start(window, index), dilation = window->dilation;
  int64_t below = start < 0 ? (-start + dilation - 1) / dilation : 0;
  int64_t inside = start < window->size ? (window->size - start + dilation - 1) / dilation : 0;
  *last = (int32_t)(inside < window->taps ? inside : window->taps);
  *first = (int32_t)(below < *last ? below : *last);
}
