/* Memory for vectors: zeroed, aligned to 64 bytes, and never of a size that overflowed. */
#ifndef BNN_MEMORY_H
#define BNN_MEMORY_H

#include <stdbool.h>
#include <stddef.h>

/* Multiplies; false if the product does not fit. */
static inline bool bnn_multiply(size_t a, size_t b, size_t *product) {
  return !__builtin_mul_overflow(a, b, product);
}

/* Allocates a·b·c elements; NULL and true if there are none. */
bool bnn_allocate(void **memory, size_t element, size_t a, size_t b, size_t c);
void bnn_release(void *memory);

#endif
