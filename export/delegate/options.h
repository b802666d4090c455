/* Reads the options of an operator: a flexbuffer map from names to integers.
 *
 * Format: https://flatbuffers.dev/internals, "FlexBuffers". Any bytes may come in; nothing outside
 * of them is read. */
#ifndef BNN_OPTIONS_H
#define BNN_OPTIONS_H

#include "keras_bnn.h"

typedef struct {
  const uint8_t *data;
  size_t size;
} bnn_options;

/* Looks an integer up; false with one line in `error` if the options are no such map, lack the
 * key, or hold something else or too large an integer there. */
bool bnn_option(bnn_options options, const char *key, int32_t *value, bnn_error *error);

#endif
