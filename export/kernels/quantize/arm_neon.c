#include <arm_neon.h>
#include <string.h>

#include "quantize.h"

/* Signs of 32 values, whose lanes add up to a word: of four bits a comparison its lane's is kept. */
static inline uint32x4_t signs_f32x32(const float *x) {
  const uint32x4_t bit = {0x11111111, 0x22222222, 0x44444444, 0x88888888};
  uint32x4_t signs = vcltzq_f32(vld1q_f32(x + 28));
#pragma GCC unroll 7
  for (int i = 24; i >= 0; i -= 4) signs = vsliq_n_u32(vcltzq_f32(vld1q_f32(x + i)), signs, 4);
  return vandq_u32(signs, bit);
}

static inline uint32x4_t words_of_f32x128(const float *x, int32_t zero_point) {
  (void)zero_point;
  return vpaddq_u32(vpaddq_u32(signs_f32x32(x), signs_f32x32(x + 32)),
                    vpaddq_u32(signs_f32x32(x + 64), signs_f32x32(x + 96)));
}

/* Packs comparisons, of which all bits are the same: bit i of byte j of the result is that of
 * comparison 8·j + i. */
static inline uint32x4_t words_of_u8x128(const uint8x16_t compared[8]) {
  const uint8x16_t bit = {1, 2, 4, 8, 16, 32, 64, 128, 1, 2, 4, 8, 16, 32, 64, 128};
  uint8x16_t sums[8];
  for (int i = 0; i < 8; i++) sums[i] = vandq_u8(compared[i], bit);
  for (int count = 4; count; count /= 2)
    for (int i = 0; i < count; i++) sums[i] = vpaddq_u8(sums[2 * i], sums[2 * i + 1]);
  return vreinterpretq_u32_u8(sums[0]);
}

static inline uint32x4_t words_of_s8x128(const int8_t *x, int32_t zero_point) {
  uint8x16_t less[8];
  for (int i = 0; i < 8; i++)
    less[i] = vcltq_s8(vld1q_s8(x + 16 * i), vdupq_n_s8((int8_t)zero_point));
  return words_of_u8x128(less);
}

static inline uint32x4_t words_of_b8x128(const uint8_t *x, int32_t zero_point) {
  uint8x16_t zero[8];
  (void)zero_point;
  for (int i = 0; i < 8; i++) zero[i] = vceqzq_u8(vld1q_u8(x + 16 * i));
  return words_of_u8x128(zero);
}

/* Three kernels that differ in how 128 values become 4 words, and in a byte whose values are +1. */
#define QUANTIZE(name, type, words_of_128, plus)                                  \
  void name(const void *values, int32_t zero_point, size_t rows, size_t channels, \
            uint32_t *words) {                                                    \
    const type *x = values;                                                       \
    /* Rows without a partial word lie end to end, as if they were one. */        \
    if (channels % 32 == 0) channels *= rows, rows = 1;                           \
    for (; rows; rows--) {                                                        \
      size_t left = channels;                                                     \
      for (; left >= 128; left -= 128, x += 128, words += 4)                      \
        vst1q_u32(words, words_of_128(x, zero_point));                            \
      if (!left) continue;                                                        \
      type some[128];                                                             \
      uint32_t some_words[4];                                                     \
      memset(some, plus, sizeof some);                                            \
      memcpy(some, x, left * sizeof *x);                                          \
      vst1q_u32(some_words, words_of_128(some, zero_point));                      \
      memcpy(words, some_words, (left + 31) / 32 * sizeof *words);                \
      x += left, words += (left + 31) / 32;                                       \
    }                                                                             \
  }

QUANTIZE(bnn_quantize_float32_neon, float, words_of_f32x128, 0)
QUANTIZE(bnn_quantize_int8_neon, int8_t, words_of_s8x128, zero_point)
QUANTIZE(bnn_quantize_bool_neon, uint8_t, words_of_b8x128, 1)
