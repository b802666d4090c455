#include "isa.h"
#include "operator.h"

static bool create(bnn_operator *op, const bnn_value *values, bnn_isa isa, bnn_error *error) {
  bnn_bmaxpool2d_options *o = &op->state.bmaxpool2d.options;
  op->isa = isa;
  return bnn_expect_type(&values[op->output], "output", kTfLiteInt32, error) &&
         bnn_option(op->options, "filter_height", &o->filter_height, error) &&
         bnn_option(op->options, "filter_width", &o->filter_width, error) &&
         bnn_option(op->options, "stride_height", &o->stride_height, error) &&
         bnn_option(op->options, "stride_width", &o->stride_width, error) &&
         bnn_option_padding(op->options, &o->same, error);
}

static bool reshape(bnn_operator *op, bnn_value *values, bnn_error *error) {
  const bnn_value *input = &values[op->inputs[0]];
  bnn_value *output = &values[op->output];
  if (!bnn_expect_type(input, "input", kTfLiteInt32, error) ||
      !bnn_expect_rank(input, "input", 4, error))
    return false;
  const int32_t *dims = input->dims;
  bnn_image_shape shape;
  op->state.bmaxpool2d.options.words = dims[3];
  op->state.bmaxpool2d.input = (bnn_image_shape){dims[0], dims[1], dims[2]};
  if (!bnn_bmaxpool2d_shape(&op->state.bmaxpool2d.options, op->state.bmaxpool2d.input, &shape,
                            error))
    return false;
  output->rank = 4;
  output->dims[0] = shape.batch, output->dims[1] = shape.height;
  output->dims[2] = shape.width, output->dims[3] = dims[3];
  return true;
}

static void run(bnn_operator *op, const void *input, void *output, bnn_threads *threads) {
  bnn_bmaxpool2d(&op->state.bmaxpool2d.options, op->state.bmaxpool2d.input, input, output, op->isa,
                 threads);
}

const bnn_kind bnn_bmaxpool2d_kind = {"LceBMaxPool2d", 1, create, reshape, run, NULL};
