/* Contract of the kernels of LceBconv2d: some pixels × one tile of 32 output channels.
 *
 * For pixel p and channel c of the tile, with w = taps[p·tap_count + t] + first_word,
 *
 *     different = Σ over t < tap_count, j < words of popcount(w[j] ^ weights[(t·words + j)·32 + c])
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
 * Outputs of pixel p start at out + p·stride bytes. Of the 32 channels only the first `channels`
 * are written; of a packed output one word, whose bits from `channels` on are 0. The vectors of a
 * tile (weights' last axis, factor, offset, threshold, corrections) all have 32 elements. */
#ifndef BNN_BCONV2D_H
#define BNN_BCONV2D_H

#include "isa.h"

enum { BNN_TILE = 32 };

typedef struct {
  const uint32_t *const *taps; /* of the first pixel; one pointer a tap, to a pixel's first word */
  size_t tap_count, words, first_word;
  const uint32_t *weights; /* aligned to 64 bytes, like the vectors below */
  const float *factor, *offset;
  const int32_t *threshold;
  int32_t low, high; /* of the clamp */
  /* NULL, or for each pixel a pointer to the corrections of all channels, of which this tile's
   * start at `first_correction`. */
  const int32_t *const *corrections;
  size_t first_correction;
  bool late;       /* whether float32 adds the correction late */
  size_t channels; /* 1 … 32 */
  char *out;
  size_t stride;
} bnn_bconv2d_tile;

typedef void bnn_bconv2d_kernel(const bnn_bconv2d_tile *tile, size_t pixels);

#define BNN_KERNEL(op, type, isa) bnn_bconv2d_kernel bnn_##op##_##type##_##isa;
#include "kernels.inc"
#undef BNN_KERNEL

#endif
