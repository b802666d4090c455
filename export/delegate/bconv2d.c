#include "isa.h"
#include "operator.h"

enum { INPUT, FILTER, MULTIPLIER, BIAS, THRESHOLD, INPUTS };

static bool read_options(bnn_operator *op, bnn_error *error) {
  bnn_bconv2d_options *o = &op->state.bconv2d.options;
  int32_t activation, pad_values;
  bool same;
  if (!bnn_option(op->options, "channels_in", &o->channels_in, error) ||
      !bnn_option(op->options, "stride_height", &o->stride_height, error) ||
      !bnn_option(op->options, "stride_width", &o->stride_width, error) ||
      !bnn_option(op->options, "dilation_height_factor", &o->dilation_height, error) ||
      !bnn_option(op->options, "dilation_width_factor", &o->dilation_width, error) ||
      !bnn_option(op->options, "fused_activation_function", &activation, error) ||
      !bnn_option(op->options, "pad_values", &pad_values, error) ||
      !bnn_option_padding(op->options, &same, error))
    return false;
  if (activation < BNN_NONE || activation > BNN_RELU6)
    return bnn_fail(error, "its option 'fused_activation_function' is %d, expected 0 to 3",
                    activation);
  if (pad_values != 0 && pad_values != 1)
    return bnn_fail(error, "its option 'pad_values' is %d, expected 0 or 1", pad_values);
  o->activation = (bnn_activation)activation;
  o->padding = !same ? BNN_VALID : pad_values ? BNN_SAME_ONE : BNN_SAME_ZERO;
  return true;
}

/* The groups follow from the depths of input and filter. */
static bool read_filter(bnn_operator *op, const bnn_value *filter, bnn_error *error) {
  bnn_bconv2d_options *o = &op->state.bconv2d.options;
  for (int i = 0; i < 4; i++)
    if (filter->dims[i] < 1)
      return bnn_fail(error, "its filter '%.60s' is empty, expected 1 or more along each axis",
                      filter->name);
  int32_t words = bnn_words_for(o->channels_in), depth = filter->dims[3];
  if (o->channels_in < 1 || words % depth)
    return bnn_fail(error,
                    "its filter '%.60s' is %d words deep, expected a divisor of the %d of "
                    "%d channels",
                    filter->name, depth, words, o->channels_in);
  op->state.bconv2d.words = words;
  o->channels_out = filter->dims[0];
  o->kernel_height = filter->dims[1];
  o->kernel_width = filter->dims[2];
  o->groups = words / depth;
  if (o->groups > 1 && o->channels_in % 32)
    return bnn_fail(error, "its %d groups divide %d channels, expected 32, 64, 96… in each",
                    o->groups, o->channels_in);
  return true;
}

static bool read_output(bnn_operator *op, const bnn_value *output, bnn_error *error) {
  bnn_bconv2d_options *o = &op->state.bconv2d.options;
  switch (output->type) {
    case kTfLiteFloat32: o->output = BNN_float32; return true;
    case kTfLiteInt32: o->output = BNN_packed; return true;
    case kTfLiteInt8:
      o->output = BNN_int8;
      o->scale = output->scale;
      o->zero_point = output->zero_point;
      return bnn_expect_zero_point(output, "output", error);
    default:
      return bnn_fail(error, "its output '%.60s' is %s, expected float32, int8 or int32 (packed)",
                      output->name, bnn_type_name(output->type));
  }
}

static bool vector(const bnn_operator *op, const bnn_value *values, int input, const char *role,
                   TfLiteType type, const void **data, bnn_error *error) {
  if (!bnn_expect_constant(op, values, input, role, type, 1, error)) return false;
  const bnn_value *value = &values[op->inputs[input]];
  int32_t channels = op->state.bconv2d.options.channels_out;
  *data = value->data;
  return value->dims[0] == channels ||
         bnn_fail(error, "its %s '%.60s' holds %d numbers, expected one for each of %d channels",
                  role, value->name, value->dims[0], channels);
}

static bool create(bnn_operator *op, const bnn_value *values, bnn_isa isa, bnn_error *error) {
  const void *multiplier = NULL, *bias = NULL, *threshold = NULL;
  if (!read_options(op, error) ||
      !bnn_expect_constant(op, values, FILTER, "filter", kTfLiteInt32, 4, error) ||
      !read_filter(op, &values[op->inputs[FILTER]], error) ||
      !read_output(op, &values[op->output], error))
    return false;
  if (op->state.bconv2d.options.output == BNN_packed) {
    if (!vector(op, values, THRESHOLD, "threshold", kTfLiteInt32, &threshold, error)) return false;
  } else if (!vector(op, values, MULTIPLIER, "multiplier", kTfLiteFloat32, &multiplier, error) ||
             !vector(op, values, BIAS, "bias", kTfLiteFloat32, &bias, error)) {
    return false;
  }
  op->state.bconv2d.conv =
      bnn_bconv2d_create(&op->state.bconv2d.options, values[op->inputs[FILTER]].data, multiplier,
                         bias, threshold, isa, error);
  return op->state.bconv2d.conv != NULL;
}

static bool reshape(bnn_operator *op, bnn_value *values, bnn_error *error) {
  const bnn_value *input = &values[op->inputs[INPUT]];
  bnn_value *output = &values[op->output];
  bnn_image_shape shape;
  if (!bnn_expect_type(input, "input", kTfLiteInt32, error) ||
      !bnn_expect_rank(input, "input", 4, error))
    return false;
  if (input->dims[3] != op->state.bconv2d.words)
    return bnn_fail(error, "its input '%.60s' has %d words, expected %d for %d channels",
                    input->name, input->dims[3], op->state.bconv2d.words,
                    op->state.bconv2d.options.channels_in);
  if (!bnn_bconv2d_reshape(op->state.bconv2d.conv,
                           (bnn_image_shape){input->dims[0], input->dims[1], input->dims[2]},
                           &shape, error))
    return false;
  int32_t channels = op->state.bconv2d.options.channels_out;
  bool packed = op->state.bconv2d.options.output == BNN_packed;
  output->rank = 4;
  output->dims[0] = shape.batch, output->dims[1] = shape.height, output->dims[2] = shape.width;
  output->dims[3] = packed ? bnn_words_for(channels) : channels;
  return true;
}

static void run(bnn_operator *op, const void *input, void *output, bnn_threads *threads) {
  bnn_bconv2d_run(op->state.bconv2d.conv, input, output, threads);
}

static void release(bnn_operator *op) { bnn_bconv2d_free(op->state.bconv2d.conv); }

const bnn_kind bnn_bconv2d_kind = {"LceBconv2d", INPUTS, create, reshape, run, release};
