/* 7 pixels × 32 channels at a time: a register holds one 32-bit word of 16 channels, and each word
 * of a pixel is broadcast against it, so there is no horizontal sum and no waste at any depth.
 * 14 sums and 2 weights leave half of the 32 registers for what is in flight. */
#include <immintrin.h>
#include <string.h>

#include "bconv2d.h"

enum { PIXELS = 7 };

typedef __m512i sums_u32x16[PIXELS][2];

static inline void count_different(const bnn_bconv2d_tile *tile,
                                   const uint32_t *const pixels[PIXELS], sums_u32x16 result) {
  const uint32_t *weights = tile->weights;
  sums_u32x16 sums; /* Of its own: clang 14 writes the caller's to memory at every word. */
  for (int p = 0; p < PIXELS; p++) sums[p][0] = sums[p][1] = _mm512_setzero_si512();
  for (size_t t = 0; t < tile->tap_count; t++) {
    const uint32_t *words[PIXELS];
    for (int p = 0; p < PIXELS; p++) words[p] = pixels[p] + tile->taps[t];
    for (size_t j = 0; j < tile->words; j++, weights += BNN_WORDS_TILE) {
      __m512i first = _mm512_load_si512(weights);
      __m512i second = _mm512_load_si512(weights + 16);
      for (int p = 0; p < PIXELS; p++) {
        __m512i word = _mm512_set1_epi32((int)words[p][j]);
        sums[p][0] =
            _mm512_add_epi32(sums[p][0], _mm512_popcnt_epi32(_mm512_xor_si512(word, first)));
        sums[p][1] =
            _mm512_add_epi32(sums[p][1], _mm512_popcnt_epi32(_mm512_xor_si512(word, second)));
      }
    }
  }
  memcpy(result, sums, sizeof sums);
}

static inline __m512 product_f32x16(const bnn_bconv2d_tile *tile, __m512i v, size_t channel) {
  v = _mm512_max_epi32(v, _mm512_set1_epi32(tile->low));
  v = _mm512_min_epi32(v, _mm512_set1_epi32(tile->high));
  return _mm512_mul_ps(_mm512_cvtepi32_ps(v), _mm512_load_ps(tile->factor + channel));
}

/* f32x16 to i32x16, halves away from zero, not below −128: adding the float below a half and cutting
 * off does that, for a sum that reaches the next integer is rounded up to it. NaN and what is too
 * small become INT_MIN, which saturates to −128. */
static inline __m512i rounded_i32x16(__m512 x) {
  enum { AND_THEN_OR = 0xea };
  x = _mm512_min_ps(_mm512_set1_ps(127), x);
  __m512i below_half = _mm512_castps_si512(_mm512_set1_ps(0x1.fffffep-2f));
  __m512i half = _mm512_ternarylogic_epi32(_mm512_castps_si512(x), _mm512_set1_epi32(INT32_MIN),
                                           below_half, AND_THEN_OR);
  return _mm512_cvttps_epi32(_mm512_add_ps(x, _mm512_castsi512_ps(half)));
}

/* Writes 16 channels of one pixel; returns their bits if the output is packed. */
static inline uint32_t finish(const bnn_bconv2d_tile *tile, bnn_type type, size_t pixel,
                              size_t channel, __m512i different) {
  size_t count = tile->channels - channel;
  __mmask16 exists = (__mmask16)(count < 16 ? (1u << count) - 1 : 0xffff);
  __m512i correction = _mm512_setzero_si512();
  if (tile->corrections) correction = _mm512_loadu_si512(tile->corrections[pixel] + channel);
  if (type == BNN_packed) {
    __m512i sum = _mm512_add_epi32(different, correction);
    __m512i threshold = _mm512_load_si512(tile->threshold + channel);
    return (uint32_t)_mm512_mask_cmpgt_epi32_mask(exists, sum, threshold) << channel;
  }
  char *out = tile->out + pixel * tile->stride;
  __m512i v = _mm512_add_epi32(different, different);
  if (type == BNN_int8 || !tile->late) v = _mm512_add_epi32(v, correction);
  __m512 result =
      _mm512_add_ps(product_f32x16(tile, v, channel), _mm512_load_ps(tile->offset + channel));
  if (type == BNN_float32) {
    if (tile->corrections && tile->late)
      result = _mm512_add_ps(result, _mm512_mul_ps(_mm512_cvtepi32_ps(correction),
                                                   _mm512_load_ps(tile->factor + channel)));
    _mm512_mask_storeu_ps(out + channel * sizeof(float), exists, result);
  } else {
    _mm512_mask_cvtsepi32_storeu_epi8(out + channel, exists, rounded_i32x16(result));
  }
  return 0;
}

static inline void convolve(const bnn_bconv2d_tile *shared, size_t all, bnn_type type) {
  const bnn_bconv2d_tile own = *shared, *tile = &own; /* which no output can change */
  for (size_t first = 0; first < all; first += PIXELS) {
    const size_t count = all - first < PIXELS ? all - first : PIXELS;
    const uint32_t *pixels[PIXELS];
    sums_u32x16 sums;
    /* The last pixel stands in for those that a short tile lacks. */
    for (size_t p = 0; p < PIXELS; p++)
      pixels[p] = tile->pixels[first + (p < count ? p : count - 1)];
    count_different(tile, pixels, sums);
    for (size_t p = 0; p < count; p++) {
      uint32_t bits = finish(tile, type, first + p, 0, sums[p][0]);
      if (tile->channels > 16) bits |= finish(tile, type, first + p, 16, sums[p][1]);
      if (type == BNN_packed) memcpy(tile->out + (first + p) * tile->stride, &bits, sizeof bits);
    }
  }
}

void bnn_bconv2d_float32_avx512(const bnn_bconv2d_tile *tile, size_t pixels) {
  convolve(tile, pixels, BNN_float32);
}

void bnn_bconv2d_int8_avx512(const bnn_bconv2d_tile *tile, size_t pixels) {
  convolve(tile, pixels, BNN_int8);
}

void bnn_bconv2d_packed_avx512(const bnn_bconv2d_tile *tile, size_t pixels) {
  convolve(tile, pixels, BNN_packed);
}
