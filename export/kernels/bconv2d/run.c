/* Runs a convolution: blocks of output pixels × tiles of output channels, shared by threads. */
#include <string.h>

#include "convolution.h"
#include "threads.h"

struct job {
  const bnn_bconv2d *conv;
  char *output;
  size_t pixels, stride; /* output pixels of all padded images, bytes of each */
  size_t block, blocks;  /* pixels of each but maybe the last, and how many there are */
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
  const uint32_t *pixels[BNN_MOST_PIXELS];
  const int32_t *corrections[BNN_MOST_PIXELS];
};

/* Points to `count` windows from output pixel `first` on, to the channels of a group, and to the
 * corrections of a tile's channels. */
static void find_pixels(const bnn_bconv2d *conv, size_t first, size_t count, size_t group_word,
                        size_t channel, struct block *block) {
  const bnn_padded *padded = &conv->padded;
  size_t width = (size_t)padded->columns.outputs;
  size_t step = (size_t)padded->columns.stride * padded->pixel_words;
  for (size_t p = 0, in_row; p < count; p += in_row) {
    size_t image = (first + p) / padded->pixels, pixel = (first + p) % padded->pixels;
    size_t y = pixel / width, x = pixel % width;
    const uint32_t *window = bnn_padded_window(padded, image, y, x) + group_word;
    in_row = width - x < count - p ? width - x : count - p;
    for (size_t i = 0; i < in_row; i++) block->pixels[p + i] = window + i * step;
    for (size_t i = 0; conv->borders.sums && i < in_row; i++)
      block->corrections[p + i] = bnn_borders_at(&conv->borders, y, x + i) + channel;
  }
}

static void run_tile(const struct job *job, size_t index_of_block, size_t index) {
  const bnn_bconv2d *conv = job->conv;
  const bnn_weights *weights = &conv->weights;
  size_t pixel = index_of_block * job->block, left = job->pixels - pixel;
  size_t pixels = left < job->block ? left : job->block;
  size_t width = bnn_form_tile(weights->form), at = index * width;
  size_t group = index / weights->group_tiles, lane = index % weights->group_tiles * width;
  size_t channel = group * weights->group_channels + lane, rest = weights->group_channels - lane;
  static const size_t sizes[] = {[BNN_float32] = sizeof(float), [BNN_int8] = 1};
  struct block block;
  block.tile = (bnn_bconv2d_tile){
      .pixels = block.pixels,
      .taps = conv->padded.taps,
      .tap_count = conv->padded.tap_count,
      .words = conv->padded.tap_words,
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
    uint32_t bits[BNN_MOST_PIXELS][MOST_WORDS];
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
  if (!job->unaligned) {
    for (size_t item = begin; item < end; item++)
      run_tile(job, item % job->blocks, item / job->blocks);
    return;
  }
  for (size_t block = begin; block < end; block++) {
    size_t first = block * job->block, left = job->pixels - first;
    memset(job->output + first * job->stride, 0,
           (left < job->block ? left : job->block) * job->stride);
    for (size_t tile = 0; tile < job->conv->weights.tiles; tile++) run_tile(job, block, tile);
  }
}

void bnn_bconv2d_run(bnn_bconv2d *conv, const uint32_t *input, void *output, bnn_threads *threads) {
  size_t channels = (size_t)conv->options.channels_out;
  const bnn_padded *padded = &conv->padded;
  size_t image_words =
      (size_t)padded->rows.size * (size_t)padded->columns.size * padded->channel_words;
  struct job job = {.conv = conv, .output = output};
  job.block = bnn_form_block(conv->weights.form);
  job.stride = conv->options.output == BNN_packed    ? (channels + 31) / 32 * sizeof(uint32_t)
               : conv->options.output == BNN_float32 ? channels * sizeof(float)
                                                     : channels;
  job.unaligned = conv->options.output == BNN_packed && conv->options.groups > 1 &&
                  conv->weights.group_channels % 32;
  for (size_t done = 0, images; done < conv->batch; done += images) {
    images = conv->batch - done < padded->images ? conv->batch - done : padded->images;
    bnn_padded_fill(&conv->padded, input + done * image_words, images, threads);
    job.pixels = images * padded->pixels;
    job.blocks = (job.pixels + job.block - 1) / job.block;
    size_t items = job.unaligned ? job.blocks : job.blocks * conv->weights.tiles;
    bnn_parallel(threads, items, convolve, &job);
    job.output += job.pixels * job.stride;
  }
}
