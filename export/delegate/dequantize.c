#include "isa.h"
#include "operator.h"

/* The words alone do not tell how many channels they hold: the last axis of the output, as the file
 * has it, does. */
static bool create(bnn_operator *op, const bnn_value *values, bnn_isa isa, bnn_error *error) {
  const bnn_value *output = &values[op->output];
  bnn_dequantize_options *options = &op->state.dequantize;
  op->isa = isa;
  switch (output->type) {
    case kTfLiteFloat32: options->output = BNN_float32; break;
    case kTfLiteBool: options->output = BNN_bool; break;
    case kTfLiteInt8:
      options->output = BNN_int8;
      options->scale = output->scale;
      options->zero_point = output->zero_point;
      if (!(output->scale > 0))
        return bnn_fail(error, "its output '%.60s' is int8 of scale %g, expected more than 0",
                        output->name, output->scale);
      if (!bnn_expect_zero_point(output, "output", error)) return false;
      break;
    default:
      return bnn_fail(error, "its output '%.60s' is %s, expected float32, int8 or bool",
                      output->name, bnn_type_name(output->type));
  }
  if (output->rank < 1 || output->dims[output->rank - 1] < 1)
    return bnn_fail(error, "its output '%.60s' has no channels, expected 1 or more", output->name);
  options->channels = (size_t)output->dims[output->rank - 1];
  return true;
}

static bool reshape(bnn_operator *op, bnn_value *values, bnn_error *error) {
  const bnn_value *input = &values[op->inputs[0]];
  bnn_value *output = &values[op->output];
  bnn_dequantize_options *options = &op->state.dequantize;
  int last = input->rank - 1;
  int32_t words = bnn_words_for((int32_t)options->channels);
  if (!bnn_expect_type(input, "input", kTfLiteInt32, error)) return false;
  if (last < 0 || input->dims[last] != words)
    return bnn_fail(error, "its input '%.60s' has %d words, expected %d for %zu channels",
                    input->name, last < 0 ? 0 : input->dims[last], words, options->channels);
  options->rows = bnn_value_like(output, input, (int32_t)options->channels);
  return true;
}

static void run(bnn_operator *op, const void *input, void *output, bnn_threads *threads) {
  bnn_dequantize(&op->state.dequantize, input, output, op->isa, threads);
}

const bnn_kind bnn_dequantize_kind = {"LceDequantize", 1, create, reshape, run, NULL};
