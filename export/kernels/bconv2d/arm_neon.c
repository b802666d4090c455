/* 2 pixels × 32 channels at a time, one lane a channel: each word of a pixel meets that word of all
 * channels, so there is no horizontal sum and no waste at any depth.
 *
 * `arm_neon_count.S` counts; here the counts are turned into outputs. */
#include <arm_neon.h>
#include <string.h>

#include "bconv2d.h"

/* Without it each output would ask which of the `steps` below it takes. */
#define INLINE __attribute__((always_inline)) static inline

enum {
  LANES = BNN_WORDS_TILE,
  FOURS = LANES / 4,
  MOST_WORDS = 2047, /* of `arm_neon_count.S` */
};

void bnn_bconv2d_count_neon(const uint32_t *const *pixels, size_t pairs, const size_t *taps,
                            size_t tap_count, size_t words, const uint32_t *weights,
                            uint16_t (*sums)[LANES]);

/* Counts of different signs. */
typedef struct {
  uint16_t shorts[BNN_MOST_PIXELS][LANES];
  uint32_t more[BNN_MOST_PIXELS][LANES]; /* what 16 bits would not hold, if there is any */
  bool has_more;
} counts;

/* What outputs take beyond the one multiplication and addition, or comparison, of all. */
enum {
  MORE = 1, /* counts have more than 16 bits */
  CLAMP = 2,
  EARLY = 4,  /* a correction before the clamp */
  LATE = 8,   /* one after all else */
  LARGE = 16, /* of int8: a result may be NaN, or beyond 16 bits */
};

/* Moves what is in `shorts` to `more`. */
static void make_room(counts *counts) {
  for (size_t p = 0; p < BNN_MOST_PIXELS; p++)
    for (size_t c = 0; c < LANES; c++)
      counts->more[p][c] = counts->shorts[p][c] + (counts->has_more ? counts->more[p][c] : 0);
  counts->has_more = true;
}

/* Counts all words of taps, so many at once as 16 bits hold. */
static inline void count_different(const bnn_bconv2d_tile *tile, size_t pixels, counts *counts) {
  const uint32_t *places[BNN_MOST_PIXELS], *weights = tile->weights;
  const size_t words = tile->words, together = words < MOST_WORDS ? MOST_WORDS / words : 1;
  counts->has_more = false;
  for (size_t t = 0; t < tile->tap_count; t += together)
    for (size_t j = 0; j < words; j += MOST_WORDS) {
      size_t taps = tile->tap_count - t, now = words - j;
      if (taps > together) taps = together;
      if (now > MOST_WORDS) now = MOST_WORDS;
      if (t || j) make_room(counts);
      memcpy(places, tile->pixels, pixels * sizeof *places);
      for (size_t p = 0; j && p < pixels; p++) places[p] += 4 * j;
      /* An odd pixel stands in for the one that it lacks. */
      if (pixels % 2) places[pixels] = places[pixels - 1];
      bnn_bconv2d_count_neon(places, (pixels + 1) / 2, tile->taps + t, taps, now, weights,
                             counts->shorts);
      weights += taps * now * LANES;
    }
}

/* Of channels 8·eight … 8·eight + 7. */
INLINE int32x4x2_t different_s32x8(const counts *counts, size_t pixel, size_t eight, bool more) {
  uint16x8_t shorts = vld1q_u16(counts->shorts[pixel] + 8 * eight);
  uint32x4_t low = vmovl_u16(vget_low_u16(shorts)), high = vmovl_high_u16(shorts);
  if (more) {
    low = vaddq_u32(low, vld1q_u32(counts->more[pixel] + 8 * eight));
    high = vaddq_u32(high, vld1q_u32(counts->more[pixel] + 8 * eight + 4));
  }
  return (int32x4x2_t){{vreinterpretq_s32_u32(low), vreinterpretq_s32_u32(high)}};
}

INLINE int32x4x2_t twice_different_s32x8(const counts *counts, size_t pixel, size_t eight,
                                         bool more) {
  if (more) {
    int32x4x2_t x = different_s32x8(counts, pixel, eight, true);
    return (int32x4x2_t){{vshlq_n_s32(x.val[0], 1), vshlq_n_s32(x.val[1], 1)}};
  }
  uint16x8_t shorts = vld1q_u16(counts->shorts[pixel] + 8 * eight);
  return (int32x4x2_t){{vreinterpretq_s32_u32(vshll_n_u16(vget_low_u16(shorts), 1)),
                        vreinterpretq_s32_u32(vshll_high_n_u16(shorts, 1))}};
}

/* Of 32 channels, in registers from one pixel to the next. */
typedef struct {
  float32x4_t factor[FOURS], offset[FOURS];
} constants;

INLINE void load_constants(const bnn_bconv2d_tile *tile, constants *constants) {
  for (size_t i = 0; i < FOURS; i++) {
    constants->factor[i] = vld1q_f32(tile->factor + 4 * i);
    constants->offset[i] = vld1q_f32(tile->offset + 4 * i);
  }
}

/* clamp(2·different + early)·factor + offset + late·factor. */
INLINE void results_f32x32(const bnn_bconv2d_tile *tile, const constants *constants,
                           const counts *counts, size_t pixel, unsigned steps,
                           float32x4_t results[FOURS]) {
#pragma GCC unroll 8
  for (size_t i = 0; i < FOURS; i++) {
    int32x4_t v = twice_different_s32x8(counts, pixel, i / 2, steps & MORE).val[i % 2];
    int32x4_t correction = vdupq_n_s32(0);
    if (steps & (EARLY | LATE)) correction = vld1q_s32(tile->corrections[pixel] + 4 * i);
    if (steps & EARLY) v = vaddq_s32(v, correction);
    if (steps & CLAMP) v = vminq_s32(vmaxq_s32(v, vdupq_n_s32(tile->low)), vdupq_n_s32(tile->high));
    float32x4_t x = vmulq_f32(vcvtq_f32_s32(v), constants->factor[i]);
    x = vaddq_f32(x, constants->offset[i]);
    if (steps & LATE) x = vaddq_f32(x, vmulq_f32(vcvtq_f32_s32(correction), constants->factor[i]));
    results[i] = x;
  }
}

INLINE void finish_float32(const bnn_bconv2d_tile *tile, size_t pixels, const counts *counts,
                           unsigned steps) {
  constants constants;
  load_constants(tile, &constants);
  for (size_t p = 0; p < pixels; p++) {
    float32x4_t x[FOURS];
    float *out = (float *)(void *)(tile->out + p * tile->stride);
    results_f32x32(tile, &constants, counts, p, steps, x);
#pragma GCC unroll 8
    for (size_t i = 0; i < FOURS; i++) vst1q_f32(out + 4 * i, x[i]);
  }
}

/* To the nearest integer, halves away from zero, and NaN to −128: saturated to 16 bits if it may be
 * `large`, and else it is within them. */
INLINE int16x8_t rounded_s16x8(float32x4_t low, float32x4_t high, bool large) {
  if (large) {
    const float32x4_t least = vdupq_n_f32(-128);
    low = vmaxnmq_f32(low, least), high = vmaxnmq_f32(high, least);
    return vqmovn_high_s32(vqmovn_s32(vcvtaq_s32_f32(low)), vcvtaq_s32_f32(high));
  }
  return vuzp1q_s16(vreinterpretq_s16_s32(vcvtaq_s32_f32(low)),
                    vreinterpretq_s16_s32(vcvtaq_s32_f32(high)));
}

INLINE void finish_int8(const bnn_bconv2d_tile *tile, size_t pixels, const counts *counts,
                        unsigned steps) {
  constants constants;
  load_constants(tile, &constants);
  for (size_t p = 0; p < pixels; p++) {
    float32x4_t x[FOURS];
    int8_t *out = (int8_t *)tile->out + p * tile->stride;
    results_f32x32(tile, &constants, counts, p, steps, x);
#pragma GCC unroll 2
    for (size_t i = 0; i < FOURS; i += 4) {
      int16x8_t low = rounded_s16x8(x[i], x[i + 1], steps & LARGE);
      int16x8_t high = rounded_s16x8(x[i + 2], x[i + 3], steps & LARGE);
      vst1q_s8(out + 4 * i, vqmovn_high_s16(vqmovn_s16(low), high));
    }
  }
}

/* Bit i is that of lane i, whose bits are all the same. */
INLINE uint32_t bits_of_u8x32(uint8x16_t low, uint8x16_t high) {
  const uint8x16_t bit = vreinterpretq_u8_u64(vdupq_n_u64(0x8040201008040201));
  uint8x16_t bits = vpaddq_u8(vandq_u8(low, bit), vandq_u8(high, bit));
  bits = vpaddq_u8(bits, bits);
  bits = vpaddq_u8(bits, bits);
  return vgetq_lane_u32(vreinterpretq_u32_u8(bits), 0);
}

INLINE uint8x16_t narrowed_u8x16(uint16x8_t low, uint16x8_t high) {
  return vuzp1q_u8(vreinterpretq_u8_u16(low), vreinterpretq_u8_u16(high));
}

INLINE void finish_packed(const bnn_bconv2d_tile *tile, size_t pixels, const counts *counts,
                          unsigned steps) {
  int32x4_t threshold[FOURS];
  for (size_t i = 0; i < FOURS; i++) threshold[i] = vld1q_s32(tile->threshold + 4 * i);
  const uint32_t exist = 0xffffffffu >> (LANES - tile->channels);
  for (size_t p = 0; p < pixels; p++) {
    uint16x8_t exceed[FOURS / 2];
#pragma GCC unroll 4
    for (size_t i = 0; i < FOURS / 2; i++) {
      int32x4x2_t x = different_s32x8(counts, p, i, steps & MORE);
      if (steps & EARLY) {
        x.val[0] = vaddq_s32(x.val[0], vld1q_s32(tile->corrections[p] + 8 * i));
        x.val[1] = vaddq_s32(x.val[1], vld1q_s32(tile->corrections[p] + 8 * i + 4));
      }
      exceed[i] = vuzp1q_u16(vreinterpretq_u16_u32(vcgtq_s32(x.val[0], threshold[2 * i])),
                             vreinterpretq_u16_u32(vcgtq_s32(x.val[1], threshold[2 * i + 1])));
    }
    uint32_t word = exist & bits_of_u8x32(narrowed_u8x16(exceed[0], exceed[1]),
                                          narrowed_u8x16(exceed[2], exceed[3]));
    memcpy(tile->out + p * tile->stride, &word, sizeof word);
  }
}

/* Whether no result of an int8 output is NaN, or needs more than 16 bits before it is saturated:
 * what is multiplied is k minus a sum of k signs, so from 0 to 2k. */
static inline bool is_small(const bnn_bconv2d_tile *tile) {
  float32x4_t factor = vdupq_n_f32(0), offset = factor;
  for (size_t i = 0; i < FOURS; i++) {
    factor = vmaxq_f32(factor, vabsq_f32(vld1q_f32(tile->factor + 4 * i)));
    offset = vmaxq_f32(offset, vabsq_f32(vld1q_f32(tile->offset + 4 * i)));
  }
  float most = (float)(2 * 32 * tile->tap_count * tile->words);
  return vmaxvq_f32(factor) * most + vmaxvq_f32(offset) < INT16_MAX - 1;
}

static inline unsigned steps_of(const bnn_bconv2d_tile *tile, const counts *counts) {
  unsigned steps = counts->has_more ? MORE : 0;
  if (tile->low > INT32_MIN || tile->high < INT32_MAX) steps |= CLAMP;
  if (tile->corrections) steps |= tile->late ? LATE : EARLY;
  return steps;
}

/* A tile's own copy, which no output can change, with room for all channels if it has fewer. */
typedef struct {
  bnn_bconv2d_tile tile;
  char rows[BNN_MOST_PIXELS][LANES * sizeof(float)];
} whole;

static inline void begin(const bnn_bconv2d_tile *shared, whole *whole) {
  whole->tile = *shared;
  if (shared->channels == LANES) return;
  whole->tile.out = whole->rows[0], whole->tile.stride = sizeof *whole->rows;
}

/* Copies the channels that there are from that room. */
static inline void end(const bnn_bconv2d_tile *shared, size_t pixels, size_t size,
                       const whole *whole) {
  for (size_t p = 0; shared->channels < LANES && p < pixels; p++)
    memcpy(shared->out + p * shared->stride, whole->rows[p], shared->channels * size);
}

/* Each of the usual steps has a loop of its own. */

void bnn_bconv2d_float32_neon(const bnn_bconv2d_tile *shared, size_t pixels) {
  counts counts;
  whole whole;
  begin(shared, &whole);
  count_different(&whole.tile, pixels, &counts);
  const unsigned steps = steps_of(&whole.tile, &counts);
  if (!steps)
    finish_float32(&whole.tile, pixels, &counts, 0);
  else if (steps == CLAMP)
    finish_float32(&whole.tile, pixels, &counts, CLAMP);
  else if (steps == LATE)
    finish_float32(&whole.tile, pixels, &counts, LATE);
  else
    finish_float32(&whole.tile, pixels, &counts, steps);
  end(shared, pixels, sizeof(float), &whole);
}

void bnn_bconv2d_int8_neon(const bnn_bconv2d_tile *shared, size_t pixels) {
  counts counts;
  whole whole;
  begin(shared, &whole);
  count_different(&whole.tile, pixels, &counts);
  const unsigned steps = steps_of(&whole.tile, &counts) | (is_small(&whole.tile) ? 0 : LARGE);
  if (!steps)
    finish_int8(&whole.tile, pixels, &counts, 0);
  else if (steps == CLAMP)
    finish_int8(&whole.tile, pixels, &counts, CLAMP);
  else
    finish_int8(&whole.tile, pixels, &counts, steps);
  end(shared, pixels, sizeof(int8_t), &whole);
}

void bnn_bconv2d_packed_neon(const bnn_bconv2d_tile *shared, size_t pixels) {
  const bnn_bconv2d_tile tile = *shared;
  counts counts;
  count_different(&tile, pixels, &counts);
  const unsigned steps = steps_of(&tile, &counts) & (MORE | EARLY);
  if (!steps)
    finish_packed(&tile, pixels, &counts, 0);
  else
    finish_packed(&tile, pixels, &counts, steps);
}
