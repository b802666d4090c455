/* A convolution: packed kernels, a table of pointers to the input pixels of each tap, and the work
 * split over blocks of output pixels and tiles of output channels.
 *
 * Kernels never see padding: taps outside of the image point to one shared pixel of +1, and what
 * that is too much for true zeros is corrected when the sums are finished. */
#include "bconv2d.h"

#include <stdlib.h>
#include <string.h>

#include "borders.h"
#include "memory.h"
#include "output.h"
#include "taps.h"
#include "threads.h"

#define BNN_KERNEL(op, type, isa) {BNN_##isa, BNN_##type, bnn_##op##_##type##_##isa},
static const struct {
  bnn_isa isa;
  bnn_type type;
  bnn_bconv2d_kernel *run;
} kernels[] = {
#include "kernels.inc"
};
#undef BNN_KERNEL

enum {
  /* Pixels that meet a tile of weights while it is in the first cache: a multiple of what any
   * kernel takes at once. */
  BLOCK = 28,
  MOST_PRODUCTS = 1 << 28,
};

struct bnn_bconv2d {
  bnn_bconv2d_options options;
  bnn_bconv2d_kernel *run;
  size_t words; /* of a pixel, in one group */
  size_t group_channels, group_tiles, tiles;
  uint32_t *weights; /* [tiles][tap_count][words][BNN_TILE] */
  bnn_output output;
  uint32_t *padding; /* one pixel of +1 */
  bnn_image_shape input;
  bnn_taps table;
  bnn_borders borders;
};

static bool check_options(const bnn_bconv2d_options *o, bnn_error *error) {
  const int32_t positive[] = {o->channels_in,   o->channels_out,    o->groups,
                              o->kernel_height, o->kernel_width,    o->stride_height,
                              o->stride_width,  o->dilation_height, o->dilation_width};
  for (size_t i = 0; i < sizeof positive / sizeof *positive; i++)
    if (positive[i] < 1)
      return bnn_fail(error,
                      "Got %d, expected 1 or more channels, groups, taps, strides and dilations",
                      positive[i]);
  if (o->channels_in % o->groups || o->channels_out % o->groups ||
      (o->groups > 1 && o->channels_in / o->groups % 32))
    return bnn_fail(error,
                    "Got %d groups of %d input and %d output channels, expected equal groups of "
                    "both, with 32, 64, 96… input channels each",
                    o->groups, o->channels_in, o->channels_out);
  if (o->output == BNN_int8 && !(o->scale > 0))
    return bnn_fail(error, "Got an int8 output of scale %g, expected more than 0", o->scale);
  int64_t taps = (int64_t)o->kernel_height * o->kernel_width;
  if (taps > MOST_PRODUCTS || bnn_output_k(o) > MOST_PRODUCTS)
    return bnn_fail(error, "Got %d × %d taps of %d channels, expected at most 2^28 products",
                    o->kernel_height, o->kernel_width, o->channels_in / o->groups);
  return true;
}

static bool allocate_constants(bnn_bconv2d *conv) {
  bool packed = conv->options.output == BNN_packed, zeros = conv->options.padding == BNN_SAME_ZERO;
  size_t taps = conv->table.tap_count, channels = conv->tiles * BNN_TILE;
  size_t floats = packed ? 0 : channels, thresholds = packed ? channels : 0;
  return bnn_allocate((void **)&conv->weights, sizeof *conv->weights, channels, taps,
                      conv->words) &&
         bnn_allocate((void **)&conv->output.factor, sizeof(float), floats, 1, 1) &&
         bnn_allocate((void **)&conv->output.offset, sizeof(float), floats, 1, 1) &&
         bnn_allocate((void **)&conv->output.threshold, sizeof(int32_t), thresholds, 1, 1) &&
         bnn_allocate((void **)&conv->padding, sizeof *conv->padding, conv->table.words, 1, 1) &&
         (!zeros || bnn_borders_create(&conv->borders, taps, channels));
}

/* Puts an output channel of the file's filter into its lane of its tile. */
static void place_channel(bnn_bconv2d *conv, const uint32_t *filter, size_t channel) {
  size_t in_group = channel % conv->group_channels;
  size_t tile = channel / conv->group_channels * conv->group_tiles + in_group / BNN_TILE;
  size_t lane = in_group % BNN_TILE, size = conv->table.tap_count * conv->words;
  uint32_t *weights = conv->weights + tile * size * BNN_TILE + lane;
  int32_t depth = conv->options.channels_in / conv->options.groups;
  for (size_t t = 0; t < conv->table.tap_count; t++) {
    int32_t ones = 0;
    for (size_t j = 0; j < conv->words; j++) {
      uint32_t word = filter[channel * size + t * conv->words + j];
      weights[(t * conv->words + j) * BNN_TILE] = word;
      ones += __builtin_popcount(word);
    }
    if (conv->borders.sums)
      conv->borders.sums[(t * conv->tiles + tile) * BNN_TILE + lane] = depth - 2 * ones;
  }
}

static size_t place_of(const bnn_bconv2d *conv, size_t channel) {
  size_t group = channel / conv->group_channels, in_group = channel % conv->group_channels;
  return group * conv->group_tiles * BNN_TILE + in_group;
}

bnn_bconv2d *bnn_bconv2d_create(const bnn_bconv2d_options *options, const uint32_t *filter,
                                const float *multiplier, const float *bias,
                                const int32_t *threshold, bnn_isa isa, bnn_error *error) {
  if (!check_options(options, error)) return NULL;
  bnn_bconv2d *conv = calloc(1, sizeof *conv);
  if (!conv) {
    bnn_fail(error, "Not enough memory for a convolution");
    return NULL;
  }
  conv->options = *options;
  conv->table.tap_count = (size_t)options->kernel_height * (size_t)options->kernel_width;
  conv->table.words = ((size_t)options->channels_in + 31) / 32;
  conv->words = conv->table.words / (size_t)options->groups;
  conv->group_channels = (size_t)(options->channels_out / options->groups);
  conv->group_tiles = (conv->group_channels + BNN_TILE - 1) / BNN_TILE;
  conv->tiles = conv->group_tiles * (size_t)options->groups;
  for (size_t i = 0; !conv->run; i++)
    if (kernels[i].isa <= isa && kernels[i].type == options->output) conv->run = kernels[i].run;
  if (!allocate_constants(conv)) {
    bnn_bconv2d_free(conv);
    bnn_fail(error, "Not enough memory for %d kernels of %zu words", options->channels_out,
             conv->table.tap_count * conv->words);
    return NULL;
  }
  bnn_output_clamp(&conv->output, options);
  for (size_t channel = 0; channel < (size_t)options->channels_out; channel++) {
    place_channel(conv, filter, channel);
    bnn_output_channel(&conv->output, place_of(conv, channel), options, multiplier, bias, threshold,
                       channel);
  }
  return conv;
}

static void forget_shape(bnn_bconv2d *conv) {
  bnn_taps_forget(&conv->table);
  bnn_borders_forget(&conv->borders);
}

bool bnn_bconv2d_reshape(bnn_bconv2d *conv, bnn_image_shape input, bnn_image_shape *output,
                         bnn_error *error) {
  const bnn_bconv2d_options *o = &conv->options;
  bnn_taps *table = &conv->table;
  bool same = o->padding != BNN_VALID;
  forget_shape(conv);
  if (input.batch < 1) return bnn_fail(error, "Got %d images, expected 1 or more", input.batch);
  if (!bnn_window_of(&table->rows, "rows", input.height, o->kernel_height, o->stride_height,
                     o->dilation_height, same, error) ||
      !bnn_window_of(&table->columns, "columns", input.width, o->kernel_width, o->stride_width,
                     o->dilation_width, same, error))
    return false;
  conv->input = input;
  if (!bnn_taps_reshape(table, (size_t)input.batch) ||
      (conv->borders.sums && !bnn_borders_reshape(&conv->borders, table, o))) {
    forget_shape(conv);
    return bnn_fail(error, "Not enough memory for %zu output pixels of %zu taps", table->pixels,
                    table->tap_count);
  }
  *output = (bnn_image_shape){input.batch, table->rows.outputs, table->columns.outputs};
  return true;
}

/* The images of the table. */
struct job {
  const bnn_bconv2d *conv;
  char *output;
  size_t pixels, stride;
  bool unaligned; /* whether tiles share words of a packed output */
};

static void run_tile(const struct job *job, size_t block, size_t index) {
  const bnn_bconv2d *conv = job->conv;
  size_t pixel = block * BLOCK, left = job->pixels - pixel, pixels = left < BLOCK ? left : BLOCK;
  size_t group = index / conv->group_tiles, lane = index % conv->group_tiles * BNN_TILE;
  size_t channel = group * conv->group_channels + lane, rest = conv->group_channels - lane;
  size_t at = index * BNN_TILE;
  static const size_t sizes[] = {[BNN_float32] = sizeof(float), [BNN_int8] = 1};
  const int32_t *const *corrections = (const int32_t *const *)conv->borders.of_pixel;
  bnn_bconv2d_tile tile = {
      .taps = (const uint32_t *const *)conv->table.taps + pixel * conv->table.tap_count,
      .tap_count = conv->table.tap_count,
      .words = conv->words,
      .first_word = group * conv->words,
      .weights = conv->weights + at * conv->table.tap_count * conv->words,
      .low = conv->output.low,
      .high = conv->output.high,
      .corrections = corrections ? corrections + pixel : NULL,
      .first_correction = at,
      .late = bnn_output_corrects_late(&conv->options),
      .channels = rest < BNN_TILE ? rest : BNN_TILE,
      .out = job->output + pixel * job->stride,
      .stride = job->stride,
  };
  if (conv->options.output != BNN_packed) {
    tile.factor = conv->output.factor + at;
    tile.offset = conv->output.offset + at;
    tile.out += channel * sizes[conv->options.output];
    conv->run(&tile, pixels);
    return;
  }
  tile.threshold = conv->output.threshold + at;
  if (!job->unaligned) {
    tile.out += channel / 32 * sizeof(uint32_t);
    conv->run(&tile, pixels);
  } else {
    uint32_t bits[BLOCK];
    uint32_t *out = (uint32_t *)(void *)tile.out + channel / 32;
    size_t shift = channel % 32, row = job->stride / sizeof *out;
    tile.out = (char *)bits, tile.stride = sizeof *bits;
    conv->run(&tile, pixels);
    for (size_t p = 0; p < pixels; p++) {
      out[p * row] |= bits[p] << shift;
      if (shift + tile.channels > 32) out[p * row + 1] |= bits[p] >> (32 - shift);
    }
  }
}

/* Items are tiles of channels within blocks of pixels, or where tiles share words whole blocks. */
static void convolve(void *context, size_t begin, size_t end) {
  const struct job *job = context;
  size_t tiles = job->conv->tiles;
  if (!job->unaligned) {
    for (size_t item = begin; item < end; item++) run_tile(job, item / tiles, item % tiles);
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
  size_t channels = (size_t)conv->options.channels_out, batch = (size_t)conv->input.batch;
  size_t image_words = (size_t)conv->input.height * (size_t)conv->input.width * conv->table.words;
  struct job job = {.conv = conv, .output = output};
  job.stride = conv->options.output == BNN_packed    ? (channels + 31) / 32 * sizeof(uint32_t)
               : conv->options.output == BNN_float32 ? channels * sizeof(float)
                                                     : channels;
  job.unaligned =
      conv->options.output == BNN_packed && conv->options.groups > 1 && conv->group_channels % 32;
  for (size_t done = 0, images; done < batch; done += images) {
    images = batch - done < conv->table.images ? batch - done : conv->table.images;
    bnn_taps_point(&conv->table, input + done * image_words, images, conv->padding, threads);
    job.pixels = images * conv->table.pixels;
    size_t blocks = (job.pixels + BLOCK - 1) / BLOCK;
    bnn_parallel(threads, job.unaligned ? blocks : blocks * conv->tiles, convolve, &job);
    job.output += job.pixels * job.stride;
  }
}

void bnn_bconv2d_free(bnn_bconv2d *conv) {
  if (!conv) return;
  forget_shape(conv);
  bnn_release(conv->weights);
  bnn_release(conv->output.factor);
  bnn_release(conv->output.offset);
  bnn_release(conv->output.threshold);
  bnn_release(conv->borders.sums);
  bnn_release(conv->padding);
  free(conv);
}
