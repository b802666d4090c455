/* Kernels as their instruction set reads them. */
#ifndef BNN_BCONV2D_WEIGHTS_H
#define BNN_BCONV2D_WEIGHTS_H

#include "bconv2d.h"

bnn_form bnn_form_of(bnn_isa isa);
size_t bnn_form_tile(bnn_form form);
/* Words of memory that one packed word of activations takes. */
size_t bnn_form_words(bnn_form form);
/* Pixels that meet a tile of weights while it is in the first cache: a multiple of what a kernel
 * takes at once, and BNN_MOST_PIXELS at most. */
size_t bnn_form_block(bnn_form form);

/* Writes packed words of activations in a form. */
void bnn_form_activations(bnn_form form, const uint32_t *words, size_t count, uint32_t *to);

typedef struct {
  bnn_form form;
  size_t tap_count, words;         /* words of a pixel, in one group */
  size_t channels, group_channels; /* that come out: in all, and of a group */
  size_t group_tiles, tiles;       /* of a group, and in all */
  size_t padded_channels;          /* those of all tiles */
  uint32_t *packed;                /* aligned to 64 bytes */
} bnn_weights;

/* Fills in everything but `packed`. */
bnn_weights bnn_weights_shape(const bnn_bconv2d_options *options, bnn_form form);

/* Where an output channel lies among those of all tiles. */
size_t bnn_weights_place(const bnn_weights *weights, size_t channel);

/* Sets `packed` from a packed OHWI filter; convolutions of one process that have the same share
 * it. False if there is not enough memory. */
bool bnn_weights_acquire(bnn_weights *weights, const uint32_t *filter, bnn_error *error);
void bnn_weights_release(bnn_weights *weights);

/* The weights of a tile. */
const uint32_t *bnn_weights_of_tile(const bnn_weights *weights, size_t tile);

#endif
