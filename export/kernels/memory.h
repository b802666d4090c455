/* Memory for vectors: zeroed, aligned to 64 bytes, never of a size that overflowed, and never more
 * in the whole process than KERAS_BNN_MEMORY_LIMIT allows. */
#ifndef BNN_MEMORY_H
#define BNN_MEMORY_H

#include <stdbool.h>
#include <stddef.h>

#include "keras_bnn.h"

/* Multiplies; false if the product does not fit. */
static inline bool bnn_multiply(size_t a, size_t b, size_t *product) {
  return !__builtin_mul_overflow(a, b, product);
}

/* Allocates a·b·c elements; NULL and true if there are none. */
bool bnn_allocate(void **memory, size_t element, size_t a, size_t b, size_t c, bnn_error *error);
void bnn_release(void *memory);

/* Writes one line in front of what a failed bnn_allocate wrote; returns false, for
 * `return bnn_fail_memory(…)`. */
__attribute__((format(printf, 2, 3))) bool bnn_fail_memory(bnn_error *error, const char *format,
                                                           ...);

/* The bytes that KERAS_BNN_MEMORY_LIMIT allows; false if it is no number of MiB. */
bool bnn_memory_limit(size_t *bytes, bnn_error *error);

#endif
