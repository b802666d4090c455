#include "operator.h"

#include <string.h>

#include "isa.h"

const bnn_kind *bnn_kind_of(const char *custom_code) {
  static const bnn_kind *const kinds[] = {&bnn_quantize_kind, &bnn_dequantize_kind,
                                          &bnn_bmaxpool2d_kind, &bnn_bconv2d_kind};
  for (size_t i = 0; custom_code && i < sizeof kinds / sizeof *kinds; i++)
    if (!strcmp(custom_code, kinds[i]->name)) return kinds[i];
  return NULL;
}

bool bnn_expect_type(const bnn_value *value, const char *role, TfLiteType type, bnn_error *error) {
  return value->type == type ||
         bnn_fail(error, "its %s '%.60s' is %s, expected %s", role, value->name,
                  bnn_type_name(value->type), bnn_type_name(type));
}

bool bnn_expect_rank(const bnn_value *value, const char *role, int rank, bnn_error *error) {
  return value->rank == rank || bnn_fail(error, "its %s '%.60s' has %d axes, expected %d", role,
                                         value->name, value->rank, rank);
}

bool bnn_expect_zero_point(const bnn_value *value, const char *role, bnn_error *error) {
  return (value->zero_point >= INT8_MIN && value->zero_point <= INT8_MAX) ||
         bnn_fail(error, "its %s '%.60s' has zero point %d, expected -128 to 127", role,
                  value->name, value->zero_point);
}

bool bnn_expect_constant(const bnn_operator *op, const bnn_value *values, int input,
                         const char *role, TfLiteType type, int rank, bnn_error *error) {
  if (op->inputs[input] < 0) return bnn_fail(error, "its %s (input %d) is absent", role, input);
  const bnn_value *value = &values[op->inputs[input]];
  if (value->place != BNN_CONSTANT)
    return bnn_fail(error, "its %s '%.60s' is computed, expected a constant", role, value->name);
  return bnn_expect_type(value, role, type, error) && bnn_expect_rank(value, role, rank, error);
}

bool bnn_option_padding(bnn_options options, bool *same, bnn_error *error) {
  int32_t padding;
  if (!bnn_option(options, "padding", &padding, error)) return false;
  *same = padding == 0;
  return padding == 0 || padding == 1 ||
         bnn_fail(error, "its option 'padding' is %d, expected 0 (SAME) or 1 (VALID)", padding);
}
