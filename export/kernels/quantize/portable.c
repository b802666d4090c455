#include "quantize.h"

/* Three kernels that differ in one comparison. */
#define QUANTIZE(name, type, is_negative)                                        \
  void name(const void *input, int32_t zero_point, size_t rows, size_t channels, \
            uint32_t *words) {                                                   \
    const type *x = input;                                                       \
    (void)zero_point;                                                            \
    for (; rows; rows--)                                                         \
      for (size_t left = channels; left; words++) {                              \
        size_t count = left < 32 ? left : 32;                                    \
        uint32_t word = 0;                                                       \
        for (size_t i = 0; i < count; i++) word |= (uint32_t)(is_negative) << i; \
        *words = word;                                                           \
        x += count;                                                              \
        left -= count;                                                           \
      }                                                                          \
  }

QUANTIZE(bnn_quantize_float32_portable, float, x[i] < 0)
QUANTIZE(bnn_quantize_int8_portable, int8_t, x[i] < zero_point)
QUANTIZE(bnn_quantize_bool_portable, uint8_t, x[i] == 0)
