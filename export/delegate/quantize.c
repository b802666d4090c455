#include "isa.h"
#include "operator.h"

static bool create(bnn_operator *op, const bnn_value *values, bnn_isa isa, bnn_error *error) {
  const bnn_value *output = &values[op->output];
  op->isa = isa;
  return bnn_expect_type(output, "output", kTfLiteInt32, error);
}

static bool reshape(bnn_operator *op, bnn_value *values, bnn_error *error) {
  const bnn_value *input = &values[op->inputs[0]];
  bnn_value *output = &values[op->output];
  bnn_quantize_options *options = &op->state.quantize;
  *options = (bnn_quantize_options){0};
  switch (input->type) {
    case kTfLiteFloat32: options->input = BNN_float32; break;
    case kTfLiteBool: options->input = BNN_bool; break;
    case kTfLiteInt8:
      options->input = BNN_int8;
      options->zero_point = input->zero_point;
      if (!bnn_expect_zero_point(input, "input", error)) return false;
      break;
    default:
      return bnn_fail(error, "its input '%.60s' is %s, expected float32, int8 or bool", input->name,
                      bnn_type_name(input->type));
  }
  int last = input->rank - 1;
  if (last < 0 || input->dims[last] < 1)
    return bnn_fail(error, "its input '%.60s' has no channels, expected 1 or more", input->name);
  options->channels = (size_t)input->dims[last];
  options->rows = bnn_value_like(output, input, bnn_words_for(input->dims[last]));
  return true;
}

static void run(bnn_operator *op, const void *input, void *output, bnn_threads *threads) {
  bnn_quantize(&op->state.quantize, input, output, op->isa, threads);
}

const bnn_kind bnn_quantize_kind = {"LceQuantize", 1, create, reshape, run, NULL};
