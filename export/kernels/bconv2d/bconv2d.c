/* Creates a convolution and prepares it for a shape; `run.c` runs it.
 *
 * Kernels never see padding: pixels of +1 surround the image, and what that is too much for true
 * zeros is corrected when the sums are finished. */
#include <stdlib.h>

#include "convolution.h"
#include "memory.h"

#define BNN_KERNEL(op, type, isa) {BNN_##isa, BNN_##type, bnn_##op##_##type##_##isa},
static const struct {
  bnn_isa isa;
  bnn_type type;
  bnn_bconv2d_kernel *run;
} kernels[] = {
#include "kernels.inc"
};
#undef BNN_KERNEL

enum { MOST_PRODUCTS = 1 << 28 };

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

static bool allocate_constants(bnn_bconv2d *conv, const uint32_t *filter, bnn_error *error) {
  bool packed = conv->options.output == BNN_packed, zeros = conv->options.padding == BNN_SAME_ZERO;
  size_t channels = conv->weights.padded_channels;
  size_t floats = packed ? 0 : channels, thresholds = packed ? channels : 0;
  return bnn_weights_acquire(&conv->weights, filter, error) &&
         bnn_allocate((void **)&conv->output.factor, sizeof(float), floats, 1, 1, error) &&
         bnn_allocate((void **)&conv->output.offset, sizeof(float), floats, 1, 1, error) &&
         bnn_allocate((void **)&conv->output.threshold, sizeof(int32_t), thresholds, 1, 1, error) &&
         (!zeros || bnn_borders_create(&conv->borders, conv->weights.tap_count, channels, error));
}

/* What all weights of each tap sum up to, for the pixels where it lies outside of the image. */
static void sum_weights(bnn_bconv2d *conv, const uint32_t *filter, size_t channel) {
  const size_t words = conv->weights.words, taps = conv->weights.tap_count;
  int32_t depth = conv->options.channels_in / conv->options.groups;
  int32_t *sums = conv->borders.sums + bnn_weights_place(&conv->weights, channel);
  const uint32_t *word = filter + channel * taps * words;
  for (size_t t = 0; t < taps; t++, sums += conv->weights.padded_channels) {
    *sums = depth;
    for (size_t j = 0; j < words; j++) *sums -= 2 * __builtin_popcount(*word++);
  }
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
  for (size_t i = 0; !conv->run; i++)
    if (kernels[i].isa <= isa && kernels[i].type == options->output) {
      conv->run = kernels[i].run;
      conv->weights = bnn_weights_shape(options, bnn_form_of(kernels[i].isa));
    }
  conv->padded.form = conv->weights.form;
  conv->padded.group_words = conv->weights.words;
  conv->padded.channel_words = conv->weights.words * (size_t)options->groups;
  conv->padded.pixel_words = conv->padded.channel_words * bnn_form_words(conv->weights.form);
  if (!allocate_constants(conv, filter, error)) {
    bnn_fail_memory(error, "Not enough memory for %d kernels of %zu words", options->channels_out,
                    conv->weights.tap_count * conv->weights.words);
    bnn_bconv2d_free(conv);
    return NULL;
  }
  bnn_output_clamp(&conv->output, options);
  for (size_t channel = 0; channel < conv->weights.channels; channel++) {
    if (conv->borders.sums) sum_weights(conv, filter, channel);
    bnn_output_channel(&conv->output, bnn_weights_place(&conv->weights, channel), options,
                       multiplier, bias, threshold, channel);
  }
  return conv;
}

static void forget_shape(bnn_bconv2d *conv) {
  bnn_padded_forget(&conv->padded);
  bnn_borders_forget(&conv->borders);
}

bool bnn_bconv2d_reshape(bnn_bconv2d *conv, bnn_image_shape input, bnn_image_shape *output,
                         bnn_error *error) {
  const bnn_bconv2d_options *o = &conv->options;
  bnn_window *rows = &conv->padded.rows, *columns = &conv->padded.columns;
  bool same = o->padding != BNN_VALID;
  forget_shape(conv);
  if (input.batch < 1) return bnn_fail(error, "Got %d images, expected 1 or more", input.batch);
  if (!bnn_window_of(rows, "rows", input.height, o->kernel_height, o->stride_height,
                     o->dilation_height, same, error) ||
      !bnn_window_of(columns, "columns", input.width, o->kernel_width, o->stride_width,
                     o->dilation_width, same, error))
    return false;
  conv->batch = (size_t)input.batch;
  if (!bnn_padded_reshape(&conv->padded, conv->batch, error) ||
      (conv->borders.sums && !bnn_borders_reshape(&conv->borders, rows, columns, o, error))) {
    forget_shape(conv);
    return bnn_fail_memory(error, "Not enough memory for an image of %d × %d pixels", input.height,
                           input.width);
  }
  *output = (bnn_image_shape){input.batch, rows->outputs, columns->outputs};
  return true;
}

void bnn_bconv2d_free(bnn_bconv2d *conv) {
  if (!conv) return;
  forget_shape(conv);
  bnn_weights_release(&conv->weights);
  bnn_release(conv->output.factor);
  bnn_release(conv->output.offset);
  bnn_release(conv->output.threshold);
  bnn_release(conv->borders.sums);
  free(conv);
}
