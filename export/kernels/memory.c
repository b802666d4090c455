#include "memory.h"

#include <stdlib.h>
#include <string.h>

enum { ALIGNMENT = 64 };

bool bnn_allocate(void **memory, size_t element, size_t a, size_t b, size_t c) {
  size_t bytes;
  *memory = NULL;
  if (!bnn_multiply(a, b, &bytes) || !bnn_multiply(bytes, c, &bytes) ||
      !bnn_multiply(bytes, element, &bytes))
    return false;
  if (bytes && posix_memalign(memory, ALIGNMENT, bytes)) {
    *memory = NULL;
    return false;
  }
  if (bytes) memset(*memory, 0, bytes);
  return true;
}

void bnn_release(void *memory) { free(memory); }
