#include "value.h"

#include "isa.h"
#include "memory.h"

const char *bnn_type_name(TfLiteType type) {
  switch (type) {
    case kTfLiteFloat32: return "float32";
    case kTfLiteInt32: return "int32";
    case kTfLiteBool: return "bool";
    case kTfLiteInt8: return "int8";
  }
  return "another type";
}

bool bnn_value_measure(bnn_value *value, bnn_error *error) {
  bool wide = value->type == kTfLiteFloat32 || value->type == kTfLiteInt32;
  value->bytes = wide ? 4 : 1;
  for (int i = 0; i < value->rank; i++)
    if (value->dims[i] < 0 || !bnn_multiply(value->bytes, (size_t)value->dims[i], &value->bytes))
      return bnn_fail(error, "the size of tensor '%.60s' is out of range", value->name);
  return true;
}

int32_t bnn_words_for(int32_t channels) { return channels / 32 + (channels % 32 > 0); }

size_t bnn_value_like(bnn_value *value, const bnn_value *other, int32_t last) {
  size_t rows = 1;
  value->rank = other->rank;
  for (int i = 0; i < other->rank - 1; i++) {
    value->dims[i] = other->dims[i];
    rows *= (size_t)other->dims[i];
  }
  value->dims[other->rank - 1] = last;
  return rows;
}
