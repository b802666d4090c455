#include "weights.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "memory.h"

static const struct {
  size_t tile, words, block;
} forms[] = {
    [BNN_WORDS] = {BNN_WORDS_TILE, 1, 35},     /* 5 · 7 pixels */
    [BNN_FOURFOLD] = {BNN_WORDS_TILE, 4, 36},  /* 18 · 2 */
    [BNN_NIBBLES] = {BNN_NIBBLES_TILE, 2, 35}, /* 7 · 5 */
};

bnn_form bnn_form_of(bnn_isa isa) {
  return isa == BNN_avx2 ? BNN_NIBBLES : isa == BNN_neon ? BNN_FOURFOLD : BNN_WORDS;
}

size_t bnn_form_tile(bnn_form form) { return forms[form].tile; }
size_t bnn_form_words(bnn_form form) { return forms[form].words; }
size_t bnn_form_block(bnn_form form) { return forms[form].block; }

static void split_nibbles(const uint32_t *words, size_t count, uint32_t *split) {
  for (size_t i = 0; i < count; i++) {
    split[2 * i] = words[i] << 4 & 0xf0f0f0f0u;
    split[2 * i + 1] = words[i] & 0xf0f0f0f0u;
  }
}

static void repeat_words(const uint32_t *restrict words, size_t count,
                         uint32_t (*restrict repeated)[4]) {
  for (size_t i = 0; i < count; i++)
    for (size_t k = 0; k < 4; k++) repeated[i][k] = words[i];
}

void bnn_form_activations(bnn_form form, const uint32_t *words, size_t count, uint32_t *to) {
  if (form == BNN_NIBBLES)
    split_nibbles(words, count, to);
  else if (form == BNN_FOURFOLD)
    repeat_words(words, count, (uint32_t(*)[4])to);
  else
    memcpy(to, words, count * sizeof *to);
}

bnn_weights bnn_weights_shape(const bnn_bconv2d_options *options, bnn_form form) {
  size_t groups = (size_t)options->groups, tile = bnn_form_tile(form);
  bnn_weights weights = {.form = form, .channels = (size_t)options->channels_out};
  weights.tap_count = (size_t)options->kernel_height * (size_t)options->kernel_width;
  weights.words = ((size_t)options->channels_in + 31) / 32 / groups;
  weights.group_channels = weights.channels / groups;
  weights.group_tiles = (weights.group_channels + tile - 1) / tile;
  weights.tiles = weights.group_tiles * groups;
  weights.padded_channels = weights.tiles * tile;
  return weights;
}

size_t bnn_weights_place(const bnn_weights *weights, size_t channel) {
  size_t group = channel / weights->group_channels, in_group = channel % weights->group_channels;
  return group * weights->group_tiles * bnn_form_tile(weights->form) + in_group;
}

static size_t tile_words(const bnn_weights *weights) {
  return weights->tap_count * weights->words * bnn_form_tile(weights->form);
}

const uint32_t *bnn_weights_of_tile(const bnn_weights *weights, size_t tile) {
  return weights->packed + tile * tile_words(weights);
}

static void place_word(bnn_form form, uint32_t *tile, size_t lane, uint32_t word) {
  if (form != BNN_NIBBLES) {
    tile[lane] = word;
    return;
  }
  uint8_t bytes[sizeof word], *lanes = (uint8_t *)tile;
  memcpy(bytes, &word, sizeof word);
  for (size_t i = 0; i < sizeof word; i++) lanes[i * bnn_form_tile(form) + lane] = bytes[i];
}

static void pack(const bnn_weights *weights, const uint32_t *filter, uint32_t *packed) {
  const size_t tile = bnn_form_tile(weights->form);
  const size_t size = weights->tap_count * weights->words;
  for (size_t channel = 0; channel < weights->channels; channel++) {
    size_t place = bnn_weights_place(weights, channel);
    uint32_t *words = packed + place / tile * tile_words(weights);
    for (size_t i = 0; i < size; i++)
      place_word(weights->form, words + i * tile, place % tile, filter[channel * size + i]);
  }
}

/* What is in use, for those who come with the same. */
static struct shared {
  struct shared *next;
  uint32_t *packed;
  size_t bytes;
  int users;
} * in_use;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

/* Finds what equals `packed`, or enters it; NULL if there is no memory for that. */
static struct shared *enter(uint32_t *packed, size_t bytes) {
  for (struct shared *known = in_use; known; known = known->next)
    if (known->bytes == bytes && !memcmp(known->packed, packed, bytes)) return known;
  struct shared *entry = malloc(sizeof *entry);
  if (!entry) return NULL;
  *entry = (struct shared){.next = in_use, .packed = packed, .bytes = bytes};
  return in_use = entry;
}

bool bnn_weights_acquire(bnn_weights *weights, const uint32_t *filter, bnn_error *error) {
  void *packed;
  size_t count = tile_words(weights);
  if (!bnn_allocate(&packed, sizeof *weights->packed, count, weights->tiles, 1, error))
    return false;
  pack(weights, filter, packed);
  pthread_mutex_lock(&lock);
  struct shared *entry = enter(packed, sizeof *weights->packed * count * weights->tiles);
  if (entry) entry->users++;
  pthread_mutex_unlock(&lock);
  if (!entry || entry->packed != packed) bnn_release(packed);
  weights->packed = entry ? entry->packed : NULL;
  return entry || bnn_fail(error, "none is left for a list of those in use");
}

void bnn_weights_release(bnn_weights *weights) {
  if (!weights->packed) return;
  pthread_mutex_lock(&lock);
  struct shared **link = &in_use;
  while ((*link)->packed != weights->packed) link = &(*link)->next;
  struct shared *entry = *link;
  if (--entry->users == 0)
    *link = entry->next;
  else
    entry = NULL;
  pthread_mutex_unlock(&lock);
  if (entry) bnn_release(entry->packed);
  free(entry);
  weights->packed = NULL;
}
