#include "memory.h"

#include <malloc.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "isa.h"

enum { ALIGNMENT = 64, MIB = 1 << 20, DEFAULT_LIMIT = 4096 };

/* What malloc gave, which may be more than was asked for. */
static atomic_size_t in_use;

bool bnn_memory_limit(size_t *bytes, bnn_error *error) {
  const char *text = getenv("KERAS_BNN_MEMORY_LIMIT");
  size_t limit = text ? 0 : DEFAULT_LIMIT;
  bool is_number = !text || !text[strspn(text, "0123456789")];
  for (const char *digit = text; is_number && digit && *digit; digit++)
    if (!bnn_multiply(limit, 10, &limit) ||
        __builtin_add_overflow(limit, (size_t)(*digit - '0'), &limit))
      limit = SIZE_MAX;
  if (!is_number || !limit)
    return bnn_fail(error,
                    "KERAS_BNN_MEMORY_LIMIT is '%.20s', expected a positive integer, a number of "
                    "MiB",
                    text);
  if (!bnn_multiply(limit, MIB, bytes)) *bytes = SIZE_MAX;
  return true;
}

static size_t in_mib(size_t bytes) { return bytes / MIB + (bytes % MIB > 0); }

/* Counts `bytes` as in use, unless that would be beyond the limit. */
static bool reserve(size_t bytes, bnn_error *error) {
  size_t limit, used = atomic_load(&in_use);
  if (!bnn_memory_limit(&limit, error)) return false;
  do {
    if (used > limit || bytes > limit - used)
      return bnn_fail(error, "%zu MiB wanted, %zu in use, limit %zu; raise KERAS_BNN_MEMORY_LIMIT",
                      in_mib(bytes), in_mib(used), limit / MIB);
  } while (!atomic_compare_exchange_weak(&in_use, &used, used + bytes));
  return true;
}

bool bnn_allocate(void **memory, size_t element, size_t a, size_t b, size_t c, bnn_error *error) {
  size_t bytes;
  *memory = NULL;
  if (!bnn_multiply(a, b, &bytes) || !bnn_multiply(bytes, c, &bytes) ||
      !bnn_multiply(bytes, element, &bytes))
    return bnn_fail(error, "more bytes than there are addresses");
  if (!bytes) return true;
  if (!reserve(bytes, error)) return false;
  if (posix_memalign(memory, ALIGNMENT, bytes)) {
    *memory = NULL;
    atomic_fetch_sub(&in_use, bytes);
    return bnn_fail(error, "%zu MiB wanted, which the system does not have", in_mib(bytes));
  }
  atomic_fetch_add(&in_use, malloc_usable_size(*memory) - bytes);
  memset(*memory, 0, bytes);
  return true;
}

void bnn_release(void *memory) {
  atomic_fetch_sub(&in_use, malloc_usable_size(memory));
  free(memory);
}

bool bnn_fail_memory(bnn_error *error, const char *format, ...) {
  bnn_error what, why = *error;
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(what.text, sizeof what.text, format, arguments);
  va_end(arguments);
  return bnn_fail(error, "%.120s: %.130s", what.text, why.text);
}
