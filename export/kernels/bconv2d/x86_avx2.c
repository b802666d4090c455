/* 4 pixels × 16 channels at a time: a register holds one 32-bit word of 8 channels, and each word
 * of a pixel is broadcast against it, so there is no horizontal sum and no waste at any depth.
 *
 * Bits are counted by looking each half byte up in a table; bytes are added up over 31 words,
 * 31 × 8 = 248 ≤ 255, before they are widened. 8 sums, 2 weights, table, mask and 4 temporaries
 * fill the 16 registers. */
#include <immintrin.h>
#include <string.h>

#include "bconv2d.h"

enum { PIXELS = 4, WORDS_PER_SUM = 31, HALVES = 2 };

typedef __m256i sums_u32x8[PIXELS][2];

static inline __m256i ones_in_bytes(__m256i x) {
  const __m256i table = _mm256_setr_epi8(0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4, 0, 1, 1, 2,
                                         1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4);
  const __m256i mask = _mm256_set1_epi8(15);
  __m256i low = _mm256_and_si256(x, mask);
  __m256i high = _mm256_and_si256(_mm256_srli_epi32(x, 4), mask);
  return _mm256_add_epi8(_mm256_shuffle_epi8(table, low), _mm256_shuffle_epi8(table, high));
}

/* u8x32 to u32x8: pairs of bytes, then pairs of pairs. */
static inline __m256i widened(__m256i bytes) {
  __m256i pairs = _mm256_maddubs_epi16(bytes, _mm256_set1_epi8(1));
  return _mm256_madd_epi16(pairs, _mm256_set1_epi16(1));
}

static inline void count_different(const bnn_bconv2d_tile *tile,
                                   const uint32_t *const *taps[PIXELS], int half, sums_u32x8 sums) {
  const uint32_t *weights = tile->weights + half * 16;
  __m256i bytes[PIXELS][2];
  int left = WORDS_PER_SUM;
  for (int p = 0; p < PIXELS; p++)
    for (int i = 0; i < 2; i++) sums[p][i] = bytes[p][i] = _mm256_setzero_si256();
  for (size_t t = 0; t < tile->tap_count; t++) {
    const uint32_t *words[PIXELS];
    for (int p = 0; p < PIXELS; p++) words[p] = taps[p][t] + tile->first_word;
    for (size_t j = 0; j < tile->words; j++, weights += BNN_TILE) {
      __m256i first = _mm256_load_si256((const __m256i *)weights);
      __m256i second = _mm256_load_si256((const __m256i *)(weights + 8));
      for (int p = 0; p < PIXELS; p++) {
        __m256i word = _mm256_set1_epi32((int)words[p][j]);
        bytes[p][0] = _mm256_add_epi8(bytes[p][0], ones_in_bytes(_mm256_xor_si256(word, first)));
        bytes[p][1] = _mm256_add_epi8(bytes[p][1], ones_in_bytes(_mm256_xor_si256(word, second)));
      }
      if (--left) continue;
      left = WORDS_PER_SUM;
      for (int p = 0; p < PIXELS; p++)
        for (int i = 0; i < 2; i++) {
          sums[p][i] = _mm256_add_epi32(sums[p][i], widened(bytes[p][i]));
          bytes[p][i] = _mm256_setzero_si256();
        }
    }
  }
  for (int p = 0; p < PIXELS; p++)
    for (int i = 0; i < 2; i++) sums[p][i] = _mm256_add_epi32(sums[p][i], widened(bytes[p][i]));
}

static inline __m256i i32x8_at(const int32_t *x) { return _mm256_loadu_si256((const __m256i *)x); }

static inline __m256 product_f32x8(const bnn_bconv2d_tile *tile, __m256i v, size_t channel) {
  v = _mm256_max_epi32(v, _mm256_set1_epi32(tile->low));
  v = _mm256_min_epi32(v, _mm256_set1_epi32(tile->high));
  return _mm256_mul_ps(_mm256_cvtepi32_ps(v), _mm256_load_ps(tile->factor + channel));
}

static inline void store_f32x8(char *out, __m256 x, size_t count) {
  if (count >= 8) {
    _mm256_storeu_ps((float *)out, x);
    return;
  }
  __m256i exists =
      _mm256_cmpgt_epi32(_mm256_set1_epi32((int)count), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
  _mm256_maskstore_ps((float *)out, exists, x);
}

/* i32x8 to i8x8, halves away from zero. The clamp comes first, so NaN becomes −128. */
static inline uint64_t rounded_i8x8(__m256 x) {
  x = _mm256_min_ps(_mm256_max_ps(x, _mm256_set1_ps(-128)), _mm256_set1_ps(127));
  __m256i whole = _mm256_cvttps_epi32(x);
  __m256 rest = _mm256_sub_ps(x, _mm256_cvtepi32_ps(whole));
  __m256i up = _mm256_castps_si256(_mm256_cmp_ps(rest, _mm256_set1_ps(0.5f), _CMP_GE_OQ));
  __m256i down = _mm256_castps_si256(_mm256_cmp_ps(rest, _mm256_set1_ps(-0.5f), _CMP_LE_OQ));
  whole = _mm256_add_epi32(_mm256_sub_epi32(whole, up), down);
  __m128i shorts =
      _mm_packs_epi32(_mm256_castsi256_si128(whole), _mm256_extracti128_si256(whole, 1));
  return (uint64_t)_mm_cvtsi128_si64(_mm_packs_epi16(shorts, shorts));
}

static inline uint32_t exceeding(__m256i x, const int32_t *threshold) {
  __m256i mask = _mm256_cmpgt_epi32(x, _mm256_load_si256((const __m256i *)threshold));
  return (uint32_t)_mm256_movemask_ps(_mm256_castsi256_ps(mask));
}

/* Writes 8 channels of one pixel; returns their bits if the output is packed. */
static inline uint32_t finish(const bnn_bconv2d_tile *tile, bnn_type type, size_t pixel,
                              size_t channel, __m256i different) {
  __m256i correction = _mm256_setzero_si256();
  if (tile->corrections)
    correction = i32x8_at(tile->corrections[pixel] + tile->first_correction + channel);
  if (type == BNN_packed)
    return exceeding(_mm256_add_epi32(different, correction), tile->threshold + channel) << channel;
  size_t count = tile->channels - channel;
  char *out = tile->out + pixel * tile->stride;
  __m256i v = _mm256_add_epi32(different, different);
  if (type == BNN_int8 || !tile->late) v = _mm256_add_epi32(v, correction);
  __m256 result =
      _mm256_add_ps(product_f32x8(tile, v, channel), _mm256_load_ps(tile->offset + channel));
  if (type == BNN_float32) {
    if (tile->corrections && tile->late)
      result = _mm256_add_ps(result, _mm256_mul_ps(_mm256_cvtepi32_ps(correction),
                                                   _mm256_load_ps(tile->factor + channel)));
    store_f32x8(out + channel * sizeof(float), result, count);
  } else {
    uint64_t bytes = rounded_i8x8(result);
    if (count >= 8)
      memcpy(out + channel, &bytes, 8);
    else
      memcpy(out + channel, &bytes, count);
  }
  return 0;
}

static inline void convolve(const bnn_bconv2d_tile *tile, size_t pixels, bnn_type type) {
  for (size_t first = 0; first < pixels; first += PIXELS) {
    const size_t count = pixels - first < PIXELS ? pixels - first : PIXELS;
    const uint32_t *const *taps[PIXELS];
    uint32_t bits[PIXELS] = {0};
    /* The last pixel stands in for those that a short tile lacks. */
    for (size_t p = 0; p < PIXELS; p++)
      taps[p] = tile->taps + (first + (p < count ? p : count - 1)) * tile->tap_count;
    for (int half = 0; half < HALVES && (size_t)half * 16 < tile->channels; half++) {
      sums_u32x8 sums;
      count_different(tile, taps, half, sums);
      for (size_t p = 0; p < count; p++)
        for (size_t i = 0; i < 2; i++) {
          size_t channel = (size_t)half * 16 + i * 8;
          if (channel < tile->channels)
            bits[p] |= finish(tile, type, first + p, channel, sums[p][i]);
        }
    }
    if (type != BNN_packed) continue;
    for (size_t p = 0; p < count; p++) {
      bits[p] &= ~(uint32_t)0 >> (32 - tile->channels);
      memcpy(tile->out + (first + p) * tile->stride, &bits[p], sizeof bits[p]);
    }
  }
}

void bnn_bconv2d_float32_avx2(const bnn_bconv2d_tile *tile, size_t pixels) {
  convolve(tile, pixels, BNN_float32);
}

void bnn_bconv2d_int8_avx2(const bnn_bconv2d_tile *tile, size_t pixels) {
  convolve(tile, pixels, BNN_int8);
}

void bnn_bconv2d_packed_avx2(const bnn_bconv2d_tile *tile, size_t pixels) {
  convolve(tile, pixels, BNN_packed);
}
