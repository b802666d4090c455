/* 5 pixels × 64 channels at a time, half byte by half byte.
 *
 * For each of the 16 values of a half byte of activations, a row of a table holds how many bits
 * differ from each of the 16 values of a half byte of weights. One shuffle of that row by 32
 * channels' weights counts all of them, without XOR, mask or shift: 2 shuffles and 2 additions for
 * 256 products. (T-MAC, https://arxiv.org/abs/2407.00088, multiplies by few bits in this way.)
 *
 * `x86_avx2_count.S` counts; here the counts are turned into outputs. */
#include <immintrin.h>
#include <string.h>

#include "bconv2d.h"

/* Without it each kernel loads what is the same for all pixels again and again. */
#define INLINE __attribute__((always_inline)) static inline

enum {
  PIXELS = 5,
  EIGHTS = BNN_NIBBLES_TILE / 8,
  NIBBLES = 8,       /* of a word */
  MOST_WORDS = 2047, /* 2047 words · 32 bits = 65,504 ≤ 65,535 */
};

typedef struct {
  const uint8_t *pixels[PIXELS];
  const size_t *taps;
  uint64_t tap_count, words;
  const uint8_t *weights, *rows;
  uint16_t (*sums)[2][2][16];
} bnn_count;

void bnn_bconv2d_count_64_avx2(const bnn_count *work);
void bnn_bconv2d_count_32_avx2(const bnn_count *work);

/* Counts of different signs. Of 32 channels `shorts` holds 0–7, 16–23, 8–15 and 24–31. */
typedef struct {
  uint16_t shorts[PIXELS][2][2][16] __attribute__((aligned(32)));
  int32_t more[PIXELS][BNN_NIBBLES_TILE]; /* what 16 bits would not hold, if there is any */
} counts;

/* Row a, column b: popcount(a ^ b). */
#define ROW(a)                                                                                    \
  BITS(a), BITS((a) ^ 1), BITS((a) ^ 2), BITS((a) ^ 3), BITS((a) ^ 4), BITS((a) ^ 5),             \
      BITS((a) ^ 6), BITS((a) ^ 7), BITS((a) ^ 8), BITS((a) ^ 9), BITS((a) ^ 10), BITS((a) ^ 11), \
      BITS((a) ^ 12), BITS((a) ^ 13), BITS((a) ^ 14), BITS((a) ^ 15)
#define BITS(x) (((x)&1) + ((x) >> 1 & 1) + ((x) >> 2 & 1) + ((x) >> 3))
static const uint8_t different_bits[256] __attribute__((aligned(64))) = {
    ROW(0), ROW(1), ROW(2),  ROW(3),  ROW(4),  ROW(5),  ROW(6),  ROW(7),
    ROW(8), ROW(9), ROW(10), ROW(11), ROW(12), ROW(13), ROW(14), ROW(15)};

static inline __m256i i32x8_at(const int32_t *x) { return _mm256_loadu_si256((const __m256i *)x); }

/* Of channels half·32 + eighth·8 and the next 7; `more` is NULL if there is none. */
INLINE __m256i different_i32x8(const uint16_t shorts[2][2][16], const int32_t *more, size_t half,
                               size_t eighth) {
  const __m128i *eight = (const __m128i *)&shorts[half][eighth % 2][eighth / 2 * 8];
  __m256i different = _mm256_cvtepu16_epi32(_mm_load_si128(eight));
  return more ? _mm256_add_epi32(different, i32x8_at(more + half * 32 + eighth * 8)) : different;
}

/* Moves what is in `shorts` to `more`, where something may be already. */
static void make_room(counts *counts, bool has_more) {
  for (size_t p = 0; p < PIXELS; p++)
    for (size_t i = 0; i < EIGHTS; i++) {
      const int32_t *more = has_more ? counts->more[p] : NULL;
      _mm256_storeu_si256((__m256i *)(counts->more[p] + i * 8),
                          different_i32x8(counts->shorts[p], more, i / 4, i % 4));
    }
}

/* Counts all words of taps, so many at once as 16 bits hold; whether there is more than those. */
static inline bool count_different(const bnn_bconv2d_tile *tile,
                                   const uint32_t *const pixels[PIXELS], counts *counts) {
  const size_t words = tile->words;
  const size_t together = words < MOST_WORDS ? MOST_WORDS / words : 1; /* taps */
  bnn_count work = {.weights = tile->weights, .rows = different_bits, .sums = counts->shorts};
  bool has_more = false;
  for (size_t t = 0; t < tile->tap_count; t += together)
    for (size_t j = 0; j < words; j += MOST_WORDS) {
      if (t || j) {
        make_room(counts, has_more);
        has_more = true;
      }
      for (int p = 0; p < PIXELS; p++) work.pixels[p] = (const uint8_t *)pixels[p] + j * NIBBLES;
      work.taps = tile->taps + t;
      work.tap_count = tile->tap_count - t < together ? tile->tap_count - t : together;
      work.words = words - j < MOST_WORDS ? words - j : MOST_WORDS;
      if (tile->channels > 32)
        bnn_bconv2d_count_64_avx2(&work);
      else
        bnn_bconv2d_count_32_avx2(&work);
      work.weights += work.tap_count * work.words * sizeof(uint32_t) * BNN_NIBBLES_TILE;
    }
  return has_more;
}

INLINE __m256i correction_i32x8(const bnn_bconv2d_tile *tile, size_t pixel, size_t channel) {
  if (!tile->corrections) return _mm256_setzero_si256();
  return i32x8_at(tile->corrections[pixel] + channel);
}

/* clamp(2·different + early)·factor + offset, which is what int8 rounds. */
INLINE __m256 result_f32x8(const bnn_bconv2d_tile *tile, size_t channel, __m256i different,
                           __m256i early) {
  __m256i v = _mm256_add_epi32(_mm256_add_epi32(different, different), early);
  v = _mm256_max_epi32(v, _mm256_set1_epi32(tile->low));
  v = _mm256_min_epi32(v, _mm256_set1_epi32(tile->high));
  __m256 product = _mm256_mul_ps(_mm256_cvtepi32_ps(v), _mm256_load_ps(tile->factor + channel));
  return _mm256_add_ps(product, _mm256_load_ps(tile->offset + channel));
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

INLINE void finish_float32(const bnn_bconv2d_tile *tile, size_t pixel,
                           const uint16_t shorts[2][2][16], const int32_t *more) {
  const __m256i zero = _mm256_setzero_si256();
  char *out = tile->out + pixel * tile->stride;
#pragma GCC unroll 8
  for (size_t i = 0; i < EIGHTS; i++) {
    const size_t c = i * 8;
    if (c >= tile->channels) return;
    __m256i different = different_i32x8(shorts, more, i / 4, i % 4);
    __m256i correction = correction_i32x8(tile, pixel, c);
    __m256 x = result_f32x8(tile, c, different, tile->late ? zero : correction);
    if (tile->corrections && tile->late)
      x = _mm256_add_ps(
          x, _mm256_mul_ps(_mm256_cvtepi32_ps(correction), _mm256_load_ps(tile->factor + c)));
    store_f32x8(out + c * sizeof(float), x, tile->channels - c);
  }
}

/* f32x8 to i32x8, halves away from zero, not below −128: adding the float below a half and cutting
 * off does that, for a sum that reaches the next integer is rounded up to it. NaN and what is too
 * small become INT_MIN, which saturates to −128. */
static inline __m256i rounded_i32x8(__m256 x) {
  const __m256 sign = _mm256_set1_ps(-0.0f), below_half = _mm256_set1_ps(0x1.fffffep-2f);
  x = _mm256_min_ps(_mm256_set1_ps(127), x);
  return _mm256_cvttps_epi32(_mm256_add_ps(x, _mm256_or_ps(_mm256_and_ps(x, sign), below_half)));
}

INLINE void finish_int8(const bnn_bconv2d_tile *tile, size_t pixel, const uint16_t shorts[2][2][16],
                        const int32_t *more) {
  char *out = tile->out + pixel * tile->stride;
#pragma GCC unroll 2
  for (size_t half = 0; half < 2; half++) {
    const size_t c = half * 32;
    if (c >= tile->channels) return;
    __m256i x[4];
    for (size_t i = 0; i < 4; i++) {
      __m256i different = different_i32x8(shorts, more, half, i);
      __m256i correction = correction_i32x8(tile, pixel, c + i * 8);
      x[i] = rounded_i32x8(result_f32x8(tile, c + i * 8, different, correction));
    }
    /* Packing works within 128 bits: 4 channels of each of x lie behind one another, twice. */
    __m256i bytes =
        _mm256_packs_epi16(_mm256_packs_epi32(x[0], x[1]), _mm256_packs_epi32(x[2], x[3]));
    bytes = _mm256_permutevar8x32_epi32(bytes, _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7));
    size_t left = tile->channels - c;
    if (left >= 32)
      _mm256_storeu_si256((__m256i *)(out + c), bytes);
    else
      memcpy(out + c, &bytes, left);
  }
}

INLINE void finish_packed(const bnn_bconv2d_tile *tile, size_t pixel,
                          const uint16_t shorts[2][2][16], const int32_t *more) {
  uint64_t bits = 0;
#pragma GCC unroll 8
  for (size_t i = 0; i < EIGHTS; i++) {
    const size_t c = i * 8;
    if (c >= tile->channels) break;
    __m256i sum = _mm256_add_epi32(different_i32x8(shorts, more, i / 4, i % 4),
                                   correction_i32x8(tile, pixel, c));
    __m256i exceeds = _mm256_cmpgt_epi32(sum, i32x8_at(tile->threshold + c));
    bits |= (uint64_t)_mm256_movemask_ps(_mm256_castsi256_ps(exceeds)) << c;
  }
  bits &= ~(uint64_t)0 >> (BNN_NIBBLES_TILE - tile->channels);
  memcpy(tile->out + pixel * tile->stride, &bits, tile->channels > 32 ? 8 : 4);
}

INLINE void convolve(const bnn_bconv2d_tile *shared, size_t all,
                     void finish(const bnn_bconv2d_tile *, size_t, const uint16_t[2][2][16],
                                 const int32_t *)) {
  const bnn_bconv2d_tile own = *shared, *tile = &own; /* which no output can change */
  for (size_t first = 0; first < all; first += PIXELS) {
    const size_t count = all - first < PIXELS ? all - first : PIXELS;
    const uint32_t *pixels[PIXELS];
    counts counts;
    /* The last pixel stands in for those that a short tile lacks. */
    for (size_t p = 0; p < PIXELS; p++)
      pixels[p] = tile->pixels[first + (p < count ? p : count - 1)];
    bool has_more = count_different(tile, pixels, &counts);
    for (size_t p = 0; p < count; p++)
      finish(tile, first + p, counts.shorts[p], has_more ? counts.more[p] : NULL);
  }
}

void bnn_bconv2d_float32_avx2(const bnn_bconv2d_tile *tile, size_t pixels) {
  convolve(tile, pixels, finish_float32);
}

void bnn_bconv2d_int8_avx2(const bnn_bconv2d_tile *tile, size_t pixels) {
  convolve(tile, pixels, finish_int8);
}

void bnn_bconv2d_packed_avx2(const bnn_bconv2d_tile *tile, size_t pixels) {
  convolve(tile, pixels, finish_packed);
}
