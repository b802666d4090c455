/* 4 pixels × 64 channels at a time, half byte by half byte.
 *
 * For each of the 16 values of a half byte of activations, a row of a table holds how many bits
 * differ from each of the 16 values of a half byte of weights. One shuffle of that row by 32
 * channels' weights counts all of them, without XOR, mask or shift: 2 shuffles and 2 additions for
 * 256 products. (T-MAC, https://arxiv.org/abs/2407.00088, multiplies by few bits in this way.)
 *
 * 8 sums, 2 weights, row and count leave 4 registers. Bytes take 7 words, 7 · 8 · 4 = 224 ≤ 255;
 * then pairs of bytes, of which 292 rounds make 65,408 ≤ 65,535; then 32 bits. */
#include <immintrin.h>
#include <string.h>

#include "bconv2d.h"

enum { PIXELS = 4, NIBBLES = 8, WORDS_IN_BYTES = 7, ROUNDS_IN_SHORTS = 292 };

typedef uint32_t sums_of_tile[PIXELS][BNN_NIBBLES_TILE];

/* Row a, column b: popcount(a ^ b). */
#define ROW(a)                                                                                    \
  BITS(a), BITS((a) ^ 1), BITS((a) ^ 2), BITS((a) ^ 3), BITS((a) ^ 4), BITS((a) ^ 5),             \
      BITS((a) ^ 6), BITS((a) ^ 7), BITS((a) ^ 8), BITS((a) ^ 9), BITS((a) ^ 10), BITS((a) ^ 11), \
      BITS((a) ^ 12), BITS((a) ^ 13), BITS((a) ^ 14), BITS((a) ^ 15)
#define BITS(x) (((x)&1) + ((x) >> 1 & 1) + ((x) >> 2 & 1) + ((x) >> 3))
static const uint8_t different_bits[256] __attribute__((aligned(64))) = {
    ROW(0), ROW(1), ROW(2),  ROW(3),  ROW(4),  ROW(5),  ROW(6),  ROW(7),
    ROW(8), ROW(9), ROW(10), ROW(11), ROW(12), ROW(13), ROW(14), ROW(15)};

/* Keeps a sum in its register: compilers otherwise look up rows far ahead of their use and write
 * sums to memory in exchange (gcc 12: 350 instead of 590 GMAC/s). */
#define IN_REGISTER(sum) __asm__("" : "+x"(sum))

/* Adds bytes of 32 channels up in shorts: of channels 0–7 and 16–23, and of the others. */
static inline void widen(__m256i bytes, __m256i shorts[2]) {
  const __m256i zero = _mm256_setzero_si256();
  shorts[0] = _mm256_add_epi16(shorts[0], _mm256_unpacklo_epi8(bytes, zero));
  shorts[1] = _mm256_add_epi16(shorts[1], _mm256_unpackhi_epi8(bytes, zero));
}

static inline void add_shorts(__m128i shorts, uint32_t *sums) {
  __m256i sum = _mm256_loadu_si256((const __m256i *)sums);
  sum = _mm256_add_epi32(sum, _mm256_cvtepu16_epi32(shorts));
  _mm256_storeu_si256((__m256i *)sums, sum);
}

/* Moves shorts of 32 channels to their sums. */
static inline void empty(__m256i shorts[2], uint32_t *sums) {
  for (int i = 0; i < 2; i++) {
    add_shorts(_mm256_castsi256_si128(shorts[i]), sums + i * 8);
    add_shorts(_mm256_extracti128_si256(shorts[i], 1), sums + 16 + i * 8);
    shorts[i] = _mm256_setzero_si256();
  }
}

static inline void count_different(const bnn_bconv2d_tile *tile,
                                   const uint32_t *const *taps[PIXELS], const int halves,
                                   sums_of_tile sums) {
  const uint8_t *weights = tile->weights;
  __m256i bytes[PIXELS][2], shorts[PIXELS][2][2];
  int words_left = WORDS_IN_BYTES, rounds_left = ROUNDS_IN_SHORTS;
  memset(sums, 0, sizeof(sums_of_tile));
  memset(shorts, 0, sizeof shorts);
  for (int p = 0; p < PIXELS; p++) bytes[p][0] = bytes[p][1] = _mm256_setzero_si256();
  for (size_t t = 0; t < tile->tap_count; t++) {
    const uint8_t *nibbles[PIXELS];
    for (int p = 0; p < PIXELS; p++) nibbles[p] = (const uint8_t *)(taps[p][t] + tile->first_word);
    for (size_t j = 0; j < tile->words * NIBBLES; j += NIBBLES) {
#pragma GCC unroll 8
      for (int n = 0; n < NIBBLES; n++, weights += BNN_NIBBLES_TILE) {
        __m256i weight[2];
        for (int i = 0; i < halves; i++)
          weight[i] = _mm256_load_si256((const __m256i *)weights + i);
        for (int p = 0; p < PIXELS; p++) {
          const __m128i *row = (const __m128i *)(different_bits + nibbles[p][j + (size_t)n]);
          __m256i bits = _mm256_broadcastsi128_si256(*row);
          for (int i = 0; i < halves; i++) {
            bytes[p][i] = _mm256_add_epi8(bytes[p][i], _mm256_shuffle_epi8(bits, weight[i]));
            IN_REGISTER(bytes[p][i]);
          }
        }
      }
      if (--words_left) continue;
      words_left = WORDS_IN_BYTES;
      for (int p = 0; p < PIXELS; p++)
        for (int i = 0; i < halves; i++) {
          widen(bytes[p][i], shorts[p][i]);
          bytes[p][i] = _mm256_setzero_si256();
        }
      if (--rounds_left) continue;
      rounds_left = ROUNDS_IN_SHORTS;
      for (int p = 0; p < PIXELS; p++)
        for (int i = 0; i < halves; i++) empty(shorts[p][i], sums[p] + i * 32);
    }
  }
  for (int p = 0; p < PIXELS; p++)
    for (int i = 0; i < halves; i++) {
      widen(bytes[p][i], shorts[p][i]);
      empty(shorts[p][i], sums[p] + i * 32);
    }
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

static inline uint64_t exceeding(__m256i x, const int32_t *threshold) {
  __m256i mask = _mm256_cmpgt_epi32(x, _mm256_load_si256((const __m256i *)threshold));
  return (uint32_t)_mm256_movemask_ps(_mm256_castsi256_ps(mask));
}

/* Writes 8 channels of one pixel; returns their bits if the output is packed. */
static inline uint64_t finish(const bnn_bconv2d_tile *tile, bnn_type type, size_t pixel,
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

static inline void finish_pixel(const bnn_bconv2d_tile *tile, bnn_type type, size_t pixel,
                                const uint32_t *sums) {
  uint64_t bits = 0;
  for (size_t channel = 0; channel < tile->channels; channel += 8)
    bits |= finish(tile, type, pixel, channel, i32x8_at((const int32_t *)sums + channel));
  if (type != BNN_packed) return;
  bits &= ~(uint64_t)0 >> (BNN_NIBBLES_TILE - tile->channels);
  memcpy(tile->out + pixel * tile->stride, &bits, tile->channels > 32 ? 8 : 4);
}

static inline void convolve(const bnn_bconv2d_tile *tile, size_t pixels, bnn_type type) {
  for (size_t first = 0; first < pixels; first += PIXELS) {
    const size_t count = pixels - first < PIXELS ? pixels - first : PIXELS;
    const uint32_t *const *taps[PIXELS];
    sums_of_tile sums;
    /* The last pixel stands in for those that a short tile lacks. */
    for (size_t p = 0; p < PIXELS; p++)
      taps[p] = tile->taps + (first + (p < count ? p : count - 1)) * tile->tap_count;
    if (tile->channels > 32)
      count_different(tile, taps, 2, sums);
    else
      count_different(tile, taps, 1, sums);
    for (size_t p = 0; p < count; p++) finish_pixel(tile, type, first + p, sums[p]);
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
