/* A flexbuffer is read from its end: … root value, type of root, width of root in bytes. A map is
 *
 *     [offset back to keys][width of keys][count] value 0 … value n−1, type 0 … type n−1
 *
 * and its vector of keys is [count] offset 0 … offset n−1, each back to a string that ends in 0.
 * A packed type is type << 2 | log2(width of what an offset points to). Offsets are subtracted from
 * the place at which they stand. */
#include "options.h"

#include <string.h>

#include "isa.h"

enum { TYPE_INT = 1, TYPE_UINT = 2, TYPE_INDIRECT_INT = 6, TYPE_INDIRECT_UINT = 7, TYPE_MAP = 9 };

/* Reads a little-endian unsigned of `width` bytes. */
static bool read_unsigned(bnn_options options, size_t at, size_t width, uint64_t *value) {
  if ((width != 1 && width != 2 && width != 4 && width != 8) || at > options.size ||
      options.size - at < width)
    return false;
  *value = 0;
  for (size_t i = width; i-- > 0;) *value = *value << 8 | options.data[at + i];
  return true;
}

static bool follow(bnn_options options, size_t at, size_t width, size_t *target) {
  uint64_t offset;
  if (!read_unsigned(options, at, width, &offset) || offset > at) return false;
  *target = at - (size_t)offset;
  return true;
}

static bool is_key(bnn_options options, size_t at, const char *key) {
  size_t length = strlen(key) + 1;
  return at <= options.size && options.size - at >= length &&
         !memcmp(options.data + at, key, length);
}

/* Sign-extends where the type says so; false if the integer needs more than 32 bits. */
static bool as_int32(uint64_t bits, size_t width, bool is_signed, int32_t *value) {
  int64_t wide = (int64_t)bits;
  if (is_signed && width < 8) {
    uint64_t sign = (uint64_t)1 << (8 * width - 1);
    wide = (int64_t)((bits ^ sign) - sign);
  }
  if (!is_signed && bits > INT32_MAX) return false;
  *value = (int32_t)wide;
  return wide == *value;
}

static bool read_integer(bnn_options options, size_t at, size_t width, uint8_t type,
                         int32_t *value) {
  int kind = type >> 2;
  if (kind == TYPE_INDIRECT_INT || kind == TYPE_INDIRECT_UINT) {
    if (!follow(options, at, width, &at)) return false;
    width = (size_t)1 << (type & 3);
    kind = kind == TYPE_INDIRECT_INT ? TYPE_INT : TYPE_UINT;
  }
  uint64_t bits;
  return (kind == TYPE_INT || kind == TYPE_UINT) && read_unsigned(options, at, width, &bits) &&
         as_int32(bits, width, kind == TYPE_INT, value);
}

typedef struct {
  size_t values, width, count; /* of the values; their types follow them */
  size_t keys, key_width;
} map;

static bool read_map(bnn_options options, map *found) {
  if (options.size < 3) return false;
  size_t root_width = options.data[options.size - 1];
  uint8_t type = options.data[options.size - 2];
  if (type >> 2 != TYPE_MAP || root_width > options.size - 2) return false;
  size_t root = options.size - 2 - root_width;
  size_t width = (size_t)1 << (type & 3);
  uint64_t count, key_width, key_count;
  if (!follow(options, root, root_width, &found->values) || found->values < 3 * width ||
      !read_unsigned(options, found->values - width, width, &count) ||
      !read_unsigned(options, found->values - 2 * width, width, &key_width) ||
      !follow(options, found->values - 3 * width, width, &found->keys))
    return false;
  if (key_width > 8 || found->keys < key_width ||
      !read_unsigned(options, found->keys - (size_t)key_width, (size_t)key_width, &key_count))
    return false;
  found->width = width, found->count = (size_t)count, found->key_width = (size_t)key_width;
  /* Values and their types, and the keys, lie inside. */
  return count == key_count && count <= (options.size - found->values) / (width + 1) &&
         count <= (options.size - found->keys) / key_width;
}

bool bnn_option(bnn_options options, const char *key, int32_t *value, bnn_error *error) {
  map found;
  if (!read_map(options, &found))
    return bnn_fail(error, "its %zu bytes of options are no flexbuffer map", options.size);
  for (size_t i = 0; i < found.count; i++) {
    size_t place;
    if (!follow(options, found.keys + i * found.key_width, found.key_width, &place) ||
        !is_key(options, place, key))
      continue;
    uint8_t type = options.data[found.values + found.count * found.width + i];
    if (read_integer(options, found.values + i * found.width, found.width, type, value))
      return true;
    return bnn_fail(error, "its option '%s' is no 32-bit integer", key);
  }
  return bnn_fail(error, "its options lack '%s'", key);
}
