/* Contract of the kernels of LceBconv2d: some pixels × one tile of output channels.
 *
 * Kernels read activations and weights in one of three forms, by their instruction set. With
 * a = pixels[p] + taps[t], for pixel p and channel c of the tile
 *
 *     BNN_WORDS, a tile of 32 channels:
 *     different = Σ over t < tap_count, j < words of popcount(a[j] ^ weights[t·words + j][c])
 *
 *     BNN_FOURFOLD, the same with each word of activations four times: a[4·j], and so up to
 *     a[4·j + 3], for a[j].
 *
 *     BNN_NIBBLES, a tile of 64 channels: for activations the half bytes of each word, in the upper
 *     halves of 8 bytes, first the lower halves of all 4; for weights the bytes of each word:
 *     different = Σ over t < tap_count, j < words, i < 4 of
 *                 popcount(a[8·j + i] / 16 ^ weights[4·(t·words + j) + i][c] % 16) +
 *                 popcount(a[8·j + 4 + i] / 16 ^ weights[4·(t·words + j) + i][c] / 16)
 *
 * which is at most 2^30. With v = 2·different (see `output.c` for why) the outputs are
 *
 *     float32:  clamp(v + early)·factor + offset + late·factor
 *     int8:     round(clamp(v + early)·factor + offset), halves away from zero, saturated
 *     packed:   bit c = different + early > threshold
 *
 * in float32, each operation rounded by itself. `early` and `late` are the correction of the pixel
 * for true zeros outside of the image; a kernel without corrections leaves both out.
 *
 * Outputs of pixel p start at out + p·stride bytes. Of the channels only the first `channels` are
 * written; of a packed output as many words as hold them, whose bits from `channels` on are 0. The
 * vectors of a tile (weights' last axis, factor, offset, threshold, corrections) are full. */
#ifndef BNN_BCONV2D_H
#define BNN_BCONV2D_H

#include "isa.h"

typedef enum { BNN_WORDS, BNN_FOURFOLD, BNN_NIBBLES } bnn_form;
enum { BNN_WORDS_TILE = 32, BNN_NIBBLES_TILE = 64 };
enum { BNN_MOST_PIXELS = 36 }; /* in one call */

typedef struct {
  const uint32_t *const *pixels; /* where the first tap of each begins */
  const size_t *taps;            /* how many words of memory further each tap begins */
  size_t tap_count, words;
  const void *weights; /* aligned to 64 bytes, like the vectors below */
  const float *factor, *offset;
  const int32_t *threshold;
  int32_t low, high;                 /* of the clamp; INT32_MIN and INT32_MAX if there is none */
  const int32_t *const *corrections; /* NULL, or a pointer for each pixel */
  bool late;                         /* whether float32 adds the correction late */
  size_t channels;                   /* 1 or more */
  char *out;
  size_t stride;
} bnn_bconv2d_tile;

typedef void bnn_bconv2d_kernel(const bnn_bconv2d_tile *tile, size_t pixels);

#define BNN_KERNEL(op, type, isa) bnn_bconv2d_kernel bnn_##op##_##type##_##isa;
#include "kernels.inc"
#undef BNN_KERNEL

#endif
