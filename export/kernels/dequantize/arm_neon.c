#include <arm_neon.h>
#include <string.h>

#include "dequantize.h"

/* Writes the 32 values of a word: each lane asks for its bit. */
static inline void values_f32x32(uint32_t word, const float *minus, const float *plus,
                                 float *values) {
  uint32x4_t bit = {1, 2, 4, 8};
#pragma GCC unroll 8
  for (int i = 0; i < 32; i += 4, bit = vshlq_n_u32(bit, 4)) {
    uint32x4_t is_minus = vtstq_u32(vdupq_n_u32(word), bit);
    vst1q_f32(values + i, vbslq_f32(is_minus, vdupq_n_f32(*minus), vdupq_n_f32(*plus)));
  }
}

static inline void values_u8x32(uint32_t word, const uint8_t *minus, const uint8_t *plus,
                                uint8_t *values) {
  const uint8x16_t bit = {1, 2, 4, 8, 16, 32, 64, 128, 1, 2, 4, 8, 16, 32, 64, 128};
  uint8x16_t byte = {0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1};
#pragma GCC unroll 2
  for (int i = 0; i < 32; i += 16, byte = vaddq_u8(byte, vdupq_n_u8(2))) {
    uint8x16_t bytes = vqtbl1q_u8(vreinterpretq_u8_u32(vdupq_n_u32(word)), byte);
    vst1q_u8(values + i, vbslq_u8(vtstq_u8(bytes, bit), vdupq_n_u8(*minus), vdupq_n_u8(*plus)));
  }
}

#define DEQUANTIZE(name, type, values_of_32)                                        \
  void name(const uint32_t *words, size_t rows, size_t channels, const void *minus, \
            const void *plus, void *output) {                                       \
    const type choices[2] = {*(const type *)minus, *(const type *)plus};            \
    type *values = output;                                                          \
    /* Rows without a partial word lie end to end, as if they were one. */          \
    if (channels % 32 == 0) channels *= rows, rows = 1;                             \
    for (; rows; rows--) {                                                          \
      size_t left = channels;                                                       \
      for (; left >= 32; left -= 32, values += 32)                                  \
        values_of_32(*words++, &choices[0], &choices[1], values);                   \
      if (!left) continue;                                                          \
      type some[32];                                                                \
      values_of_32(*words++, &choices[0], &choices[1], some);                       \
      memcpy(values, some, left * sizeof *values);                                  \
      values += left;                                                               \
    }                                                                               \
  }

DEQUANTIZE(bnn_dequantize_float32_neon, float, values_f32x32)
DEQUANTIZE(bnn_dequantize_int8_neon, uint8_t, values_u8x32)
DEQUANTIZE(bnn_dequantize_bool_neon, uint8_t, values_u8x32)
