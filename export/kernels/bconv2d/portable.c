/* One pixel at a time, 32 channels side by side in arrays that compilers keep in vector registers.
 *
 * Bits are counted within each half byte; these are added up over 3 words, 3 × 4 = 12 ≤ 15, and
 * bytes over 30, 30 × 8 = 240 ≤ 255, before they are widened. */
#include <string.h>

#include "bconv2d.h"

enum { PER_HALF_BYTE = 3, PER_BYTE = 30 };

static inline uint32_t ones_in_half_bytes(uint32_t x) {
  x -= x >> 1 & 0x55555555u;
  return (x & 0x33333333u) + (x >> 2 & 0x33333333u);
}

static inline void widen_half_bytes(uint32_t *restrict halves, uint32_t *restrict bytes) {
  for (int c = 0; c < BNN_WORDS_TILE; c++) {
    bytes[c] += (halves[c] & 0x0f0f0f0fu) + (halves[c] >> 4 & 0x0f0f0f0fu);
    halves[c] = 0;
  }
}

static inline void widen_bytes(uint32_t *restrict bytes, int32_t *restrict sums) {
  for (int c = 0; c < BNN_WORDS_TILE; c++) {
    uint32_t pairs = (bytes[c] & 0x00ff00ffu) + (bytes[c] >> 8 & 0x00ff00ffu);
    sums[c] += (int32_t)((pairs & 0xffff) + (pairs >> 16));
    bytes[c] = 0;
  }
}

static inline void count_different(const bnn_bconv2d_tile *tile, size_t pixel, int32_t *sums) {
  const uint32_t *weights = tile->weights;
  uint32_t halves[BNN_WORDS_TILE] = {0}, bytes[BNN_WORDS_TILE] = {0};
  int count = 0;
  memset(sums, 0, BNN_WORDS_TILE * sizeof *sums);
  for (size_t t = 0; t < tile->tap_count; t++) {
    const uint32_t *words = tile->pixels[pixel] + tile->taps[t];
    for (size_t j = 0; j < tile->words; j++, weights += BNN_WORDS_TILE) {
      for (int c = 0; c < BNN_WORDS_TILE; c++)
        halves[c] += ones_in_half_bytes(words[j] ^ weights[c]);
      if (++count % PER_HALF_BYTE == 0) widen_half_bytes(halves, bytes);
      if (count == PER_BYTE) widen_bytes(bytes, sums), count = 0;
    }
  }
  widen_half_bytes(halves, bytes);
  widen_bytes(bytes, sums);
}

static inline const int32_t *correction_of(const bnn_bconv2d_tile *tile, size_t pixel) {
  static const int32_t none[BNN_WORDS_TILE];
  return tile->corrections ? tile->corrections[pixel] : none;
}

static inline int32_t clamped(const bnn_bconv2d_tile *tile, int32_t v) {
  v = v < tile->low ? tile->low : v;
  return v > tile->high ? tile->high : v;
}

void bnn_bconv2d_float32_portable(const bnn_bconv2d_tile *tile, size_t pixels) {
  for (size_t p = 0; p < pixels; p++) {
    int32_t sums[BNN_WORDS_TILE];
    float results[BNN_WORDS_TILE];
    const int32_t *correction = correction_of(tile, p);
    count_different(tile, p, sums);
    for (int c = 0; c < BNN_WORDS_TILE; c++) {
      int32_t early = tile->late ? 0 : correction[c];
      float product = (float)clamped(tile, 2 * sums[c] + early) * tile->factor[c];
      results[c] = product + tile->offset[c];
    }
    if (tile->corrections && tile->late)
      for (int c = 0; c < BNN_WORDS_TILE; c++) {
        float late = (float)correction[c] * tile->factor[c];
        results[c] = results[c] + late;
      }
    memcpy(tile->out + p * tile->stride, results, tile->channels * sizeof *results);
  }
}

static inline int8_t rounded(float x) {
  /* Written so that NaN becomes −128, too. */
  x = x > -128 ? x : -128;
  x = x < 127 ? x : 127;
  int32_t whole = (int32_t)x;
  float rest = x - (float)whole;
  return (int8_t)(whole + (rest >= 0.5f) - (rest <= -0.5f));
}

void bnn_bconv2d_int8_portable(const bnn_bconv2d_tile *tile, size_t pixels) {
  for (size_t p = 0; p < pixels; p++) {
    int32_t sums[BNN_WORDS_TILE];
    int8_t results[BNN_WORDS_TILE];
    const int32_t *correction = correction_of(tile, p);
    count_different(tile, p, sums);
    for (int c = 0; c < BNN_WORDS_TILE; c++) {
      float product = (float)clamped(tile, 2 * sums[c] + correction[c]) * tile->factor[c];
      results[c] = rounded(product + tile->offset[c]);
    }
    memcpy(tile->out + p * tile->stride, results, tile->channels);
  }
}

void bnn_bconv2d_packed_portable(const bnn_bconv2d_tile *tile, size_t pixels) {
  for (size_t p = 0; p < pixels; p++) {
    int32_t sums[BNN_WORDS_TILE];
    const int32_t *correction = correction_of(tile, p);
    uint32_t word = 0;
    count_different(tile, p, sums);
    for (size_t c = 0; c < tile->channels; c++)
      word |= (uint32_t)(sums[c] + correction[c] > tile->threshold[c]) << c;
    memcpy(tile->out + p * tile->stride, &word, sizeof word);
  }
}
