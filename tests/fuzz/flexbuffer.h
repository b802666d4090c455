/* A writer of flexbuffer maps from names to integers, in all forms that a reader may meet. */
#ifndef FUZZ_FLEXBUFFER_H
#define FUZZ_FLEXBUFFER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum { FUZZ_MOST_OPTIONS = 10, FUZZ_MOST_OPTION_BYTES = 1024 };

typedef struct {
  const char *keys[FUZZ_MOST_OPTIONS];
  int64_t values[FUZZ_MOST_OPTIONS];
  int count;
  size_t log2_width; /* of all numbers in it; what does not fit is cut off */
  bool is_signed, indirect;
} fuzz_options;

typedef struct {
  uint8_t data[FUZZ_MOST_OPTION_BYTES];
  size_t size, width;
} fuzz_buffer;

static inline void fuzz_put(fuzz_buffer *buffer, uint64_t number) {
  for (size_t i = 0; i < buffer->width; i++)
    buffer->data[buffer->size++] = (uint8_t)(number >> (8 * i));
}

static inline void fuzz_put_offset(fuzz_buffer *buffer, size_t target) {
  fuzz_put(buffer, buffer->size - target);
}

static inline void fuzz_write_options(const fuzz_options *options, fuzz_buffer *buffer) {
  enum { INT = 1, INDIRECT = 5, MAP = 9 };
  size_t keys[FUZZ_MOST_OPTIONS], values[FUZZ_MOST_OPTIONS], count = (size_t)options->count;
  *buffer = (fuzz_buffer){.width = (size_t)1 << options->log2_width};
  for (size_t i = 0; i < count; i++) {
    keys[i] = buffer->size;
    memcpy(buffer->data + buffer->size, options->keys[i], strlen(options->keys[i]) + 1);
    buffer->size += strlen(options->keys[i]) + 1;
    values[i] = buffer->size;
    if (options->indirect) fuzz_put(buffer, (uint64_t)options->values[i]);
  }
  fuzz_put(buffer, count);
  size_t of_keys = buffer->size;
  for (size_t i = 0; i < count; i++) fuzz_put_offset(buffer, keys[i]);
  fuzz_put_offset(buffer, of_keys);
  fuzz_put(buffer, buffer->width);
  fuzz_put(buffer, count);
  size_t root = buffer->size;
  for (size_t i = 0; i < count; i++)
    if (options->indirect)
      fuzz_put_offset(buffer, values[i]);
    else
      fuzz_put(buffer, (uint64_t)options->values[i]);
  size_t kind = INT + !options->is_signed + (options->indirect ? INDIRECT : 0);
  for (size_t i = 0; i < count; i++)
    buffer->data[buffer->size++] = (uint8_t)(kind << 2 | options->log2_width);
  fuzz_put_offset(buffer, root);
  buffer->data[buffer->size++] = (uint8_t)(MAP << 2 | options->log2_width);
  buffer->data[buffer->size++] = (uint8_t)buffer->width;
}

#endif
