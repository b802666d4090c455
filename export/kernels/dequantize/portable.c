#include "dequantize.h"

#define DEQUANTIZE(name, type)                                                                \
  void name(const uint32_t *words, size_t rows, size_t channels, const void *minus,           \
            const void *plus, void *output) {                                                 \
    const type choices[2] = {*(const type *)plus, *(const type *)minus};                      \
    type *values = output;                                                                    \
    size_t width = (channels + 31) / 32;                                                      \
    for (; rows; rows--, words += width, values += channels)                                  \
      for (size_t i = 0; i < channels; i++) values[i] = choices[words[i / 32] >> i % 32 & 1]; \
  }

DEQUANTIZE(bnn_dequantize_float32_portable, float)
DEQUANTIZE(bnn_dequantize_int8_portable, int8_t)
DEQUANTIZE(bnn_dequantize_bool_portable, bool)
