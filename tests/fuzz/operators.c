/* libFuzzer: the delegate as LiteRT loads, prepares and runs it, on graphs of one to four 1-bit
 * operators. export/README.md says how to run it. */
#include <stdlib.h>

#include "keras_bnn.h"
#include "recipe.h"

TfLiteDelegate *tflite_plugin_create_delegate(const char *const *keys, const char *const *values,
                                              size_t count, void (*report_error)(const char *));
void tflite_plugin_destroy_delegate(TfLiteDelegate *delegate);

int LLVMFuzzerInitialize(int *count, char ***arguments);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* All that is larger is refused in the same way: a low limit keeps the runs short. */
int LLVMFuzzerInitialize(int *count, char ***arguments) {
  return setenv("KERAS_BNN_MEMORY_LIMIT", "4", 1);
}

static TfLiteDelegate *create_delegate(fuzz_bytes *bytes) {
  int sets = 0;
  while (bnn_isa_available((size_t)sets)) sets++;
  setenv("KERAS_BNN_ISA", bnn_isa_available((size_t)fuzz_below(bytes, sets)), 1);
  TfLiteDelegate *delegate = tflite_plugin_create_delegate(NULL, NULL, 0, NULL);
  if (!delegate) abort();
  return delegate;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  fuzz_bytes bytes = {data, size};
  fuzz_graph graph = {.node_count = 0};
  TfLiteDelegate *delegate = create_delegate(&bytes);
  fuzz_cook(&graph, &bytes);
  fuzz_delegate(&graph, delegate);
  if (fuzz_prepare(&graph)) fuzz_invoke(&graph, &bytes);
  fuzz_reshape_inputs(&graph, &bytes);
  if (fuzz_prepare(&graph)) fuzz_invoke(&graph, &bytes);
  fuzz_free(&graph);
  tflite_plugin_destroy_delegate(delegate);
  return 0;
}
