/* Runs a convolution: blocks of output pixels × tiles of output channels, shared by threads. */
#include <string.h>

#include "convolution.h"
#include "threads.h"

enum {
  /* Pixels that meet a tile of weights while it is in the first cache: a multiple of what any
   * kernel takes at once. */
  BLOCK = 35,
};

struct job {
  const bnn_bconv2d *conv;
  char *output;
  size_t pixels, stride; /* output pixels of all padded images, bytes of each */
  bool unaligned;        /* whether tiles share words of a packed output */
};

/* Writes the bits of a tile behind those of the tiles before it, which end within a word. */
static void append_bits(uint32_t *out, size_t first, const uint32_t *bits, size_t count) {
  size_t shift = first % 32;
  out += first / 32;
  for (size_t i = 0; i * 32 < count; i++) {
    size_t left = count - i * 32;
    out[i] |= bits[i] << shift;
    if (shift + (left < 32 ? left : 32) > 32) out[i + 1] |= bits[i] >> (32 - shift);
  }
}

/* A tile and the pixels that it points to. */
struct block {
  bnn_bconv2d_tile tile;
  const uint32_t *pixels[BLOCK];
  const int32_t *corrections[BLOCK];
};

/* Points to `count` windows from output pixel `first` on, to the channels of a group, and to the
 * corrections of a tile's channels. */
static void find_pixels(const bnn_bconv2d *conv, size_t first, size_t count, size_t group_word,
                        size_t channel, struct block *block) {
  const bnn_padded *padded = &conv->padded;
  size_t width = (size_t)padded->columns.outputs, height = (size_t)padded->rows.outputs;
  size_t image = first / padded->pixels, y = first % padded->pixels / width, x = first % width;
  size_t step = (size_t)padded->columns.stride * padded->pixel_words;
  const uint32_t *window = bnn_padded_window(padded, image, y, x) + group_word;
  for (size_t p = 0; p < count; p++, window += step) {
    block->pixels[p] = window;
    if (conv->borders.sums) block->corrections[p] = bnn_borders_at(&conv->borders, y, x) + channel;
    if (++x < width) continue;
    x = 0;
    if (++y == height) y = 0, image++;
    window = bnn_padded_window(padded, image, y, x) + group_word - step;
  }
}

static void run_tile(const struct job *job, size_t index_of_block, size_t index) {
  const bnn_bconv2d *conv = job->conv;
  const bnn_weights *weights = &conv->weights;
  size_t pixel = index_of_block * BLOCK, left = job->pixels - pixel;
  size_t pixels = left < BLOCK ? left : BLOCK;
  size_t width = bnn_form_tile(weights->form), at = index * width;
  size_t group = index / weights->group_tiles, lane = index % weights->group_tiles * width;
  size_t channel = group * weights->group_channels + lane, rest = weights->group_channels - lane;
  static const size_t sizes[] = {[BNN_float32] = sizeof(float), [BNN_int8] = 1};
  struct block block;
  block.tile = (bnn_bconv2d_tile){
      .pixels = block.pixels,
      .taps = conv->padded.taps,
      .tap_count = weights->tap_count,
      .words = weights->words,
      .weights = bnn_weights_of_tile(weights, index),
      .low = conv->output.low,
      .high = conv->output.high,
      .corrections = conv->borders.sums ? block.corrections : NULL,
      .late = bnn_output_corrects_late(&conv->options),
      .channels = rest < width ? rest : width,
      .out = job->output + pixel * job->stride,
      .stride = job->stride,
  };
  find_pixels(conv, pixel, pixels, group * weights->words * bnn_form_words(weights->form), at,
              &block);
  bnn_bconv2d_tile *tile = &block.tile;
  if (conv->options.output != BNN_packed) {
    tile->factor = conv->output.factor + at;
    tile->offset = conv->output.offset + at;
    tile->out += channel * sizes[conv->options.output];
    conv->run(tile, pixels);
    return;
  }
  tile->threshold = conv->output.threshold + at;
  if (!job->unaligned) {
    tile->out += channel / 32 * sizeof(uint32_t);
    conv->run(tile, pixels);
  } else {
    enum { MOST_WORDS = BNN_NIBBLES_TILE / 32 };
    uint32_t bits[BLOCK][MOST_WORDS];
    char *out = tile->out;
    tile->out = (char *)bits, tile->stride = sizeof *bits;
    conv->run(tile, pixels);
    for (size_t p = 0; p < pixels; p++)
      append_bits((uint32_t *)(void *)(out + p * job->stride), channel, bits[p], tile->channels);
  }
}

/* Items are blocks of pixels of one tile after another, whose weights are much more than the input
 * and so should be read but once; or where tiles share words whole blocks. */
static void convolve(void *context, size_t begin, size_t end) {
  const struct job *job = context;
  size_t tiles = job->conv->weights.tiles, blocks = (job->pixels + BLOCK - 1) / BLOCK;
  if (!job->unaligned) {
    for (size_t item = begin; item < end; item++) run_tile(job, item % blocks, item / blocks);
    return;
  }
  for (size_t block = begin; block < end; block++) {
    size_t left = job->pixels - block * BLOCK;
    memset(job->output + block * BLOCK * job->stride, 0,
           (left < BLOCK ? left : BLOCK) * job->stride);
    for (size_t tile = 0; tile < tiles; tile++) run_tile(job, block, tile);
  }
}

void bnn_bconv2d_run(bnn_bconv2d *conv, const uint32_t *input, void *output, bnn_threads *threads) {
  size_t channels = (size_t)conv->options.channels_out;
  const bnn_padded *padded = &conv->padded;
  size_t image_words =
      (size_t)padded->rows.size * (size_t)padded->columns.size * padded->channel_words;
  struct job job = {.conv = conv, .output = output};
  job.stride = conv->options.output == BNN_packed    ? (channels + 31) / 32 * sizeof(uint32_t)
               : conv->options.output == BNN_float32 ? channels * sizeof(float)
                                                     : channels;
  job.unaligned = conv->options.output == BNN_packed && conv->options.groups > 1 &&
                  conv->weights.group_channels % 32;
  for (size_t done = 0, images; done < conv->batch; done += images) {
    images = conv->batch - done < padded->images ? conv->batch - done : padded->images;
    bnn_padded_fill(&conv->padded, input + done * image_words, images, threads);
    job.pixels = images * padded->pixels;
    size_t blocks = (job.pixels + BLOCK - 1) / BLOCK;
    bnn_parallel(threads, job.unaligned ? blocks : blocks * conv->weights.tiles, convolve, &job);
    job.output += job.pixels * job.stride;
  }
}
