/* Choices that a fuzzer's bytes make. Past the end there are zeros, each of which is the tamest
 * choice, so that short inputs are valid and every byte more is a change. */
#ifndef FUZZ_BYTES_H
#define FUZZ_BYTES_H

#include <stddef.h>
#include <stdint.h>

typedef struct {
  const uint8_t *data;
  size_t size;
} fuzz_bytes;

static inline uint8_t fuzz_byte(fuzz_bytes *bytes) {
  if (!bytes->size) return 0;
  bytes->size--;
  return *bytes->data++;
}

static inline int fuzz_below(fuzz_bytes *bytes, int count) { return fuzz_byte(bytes) % count; }

/* Any number; those at which something changes are the likeliest. */
static inline int32_t fuzz_wild(fuzz_bytes *bytes) {
  static const int32_t known[] = {
      0,   -1,  INT32_MAX, INT32_MIN, 1,       2,       3,       4,       5,       6,
      7,   8,   31,        32,        33,      64,      127,     128,     -128,    -129,
      255, 256, 4096,      65535,     1 << 16, 1 << 20, 1 << 24, 1 << 28, 1 << 30, 33554432};
  size_t choice = fuzz_byte(bytes) % (sizeof known / sizeof *known + 4);
  if (choice < sizeof known / sizeof *known) return known[choice];
  uint32_t number = 0;
  for (int i = 0; i < 4; i++) number = number << 8 | fuzz_byte(bytes);
  return (int32_t)number;
}

/* Fills memory with a few bytes, again and again. */
static inline void fuzz_fill(fuzz_bytes *bytes, void *memory, size_t size) {
  uint8_t pattern[16], *to = memory;
  size_t length = (size_t)fuzz_below(bytes, sizeof pattern) + 1;
  for (size_t i = 0; i < length; i++) pattern[i] = fuzz_byte(bytes);
  for (size_t i = 0; i < size; i++) to[i] = pattern[i % length];
}

#endif
