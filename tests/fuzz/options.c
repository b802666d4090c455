/* libFuzzer: the reader of an operator's options, on any bytes. export/README.md says how to run
 * it. */
#include "options.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static const char *const keys[] = {"padding", "channels_in", "stride_width", "a", ""};
  /* As large as it has to be, so that a step outside is seen. */
  uint8_t *copy = malloc(size);
  if (size) memcpy(copy, data, size);
  for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
    int32_t value;
    bnn_error error = {""};
    bool found = bnn_option((bnn_options){copy, size}, keys[i], &value, &error);
    if (found == !!*error.text || strchr(error.text, '\n')) abort();
  }
  free(copy);
  return 0;
}
