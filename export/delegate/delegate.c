/* The two functions by which LiteRT loads an external delegate. */
#include <stdio.h>
#include <stdlib.h>

#include "isa.h"
#include "litert.h"
#include "memory.h"
#include "operator.h"
#include "partition.h"

static TfLiteStatus take_operators(TfLiteContext *context, TfLiteDelegate *delegate) {
  TfLiteIntArray *plan;
  if (context->GetExecutionPlan(context, &plan) != kTfLiteOk) return kTfLiteError;
  TfLiteIntArray *nodes = malloc(sizeof *nodes + (size_t)plan->size * sizeof nodes->data[0]);
  if (!nodes) return kTfLiteError;
  nodes->size = 0;
  for (int i = 0; i < plan->size; i++) {
    TfLiteNode *node;
    TfLiteRegistration *registration;
    if (context->GetNodeAndRegistration(context, plan->data[i], &node, &registration) ==
            kTfLiteOk &&
        registration->builtin_code == kTfLiteBuiltinCustom &&
        bnn_kind_of(registration->custom_name))
      nodes->data[nodes->size++] = plan->data[i];
  }
  TfLiteRegistration registration = {
      .init = bnn_partition_init,
      .free = bnn_partition_free,
      .prepare = bnn_partition_prepare,
      .invoke = bnn_partition_invoke,
      .custom_name = "KerasBnnDelegate",
      .version = 1,
  };
  TfLiteStatus status =
      context->ReplaceNodeSubsetsWithDelegateKernels(context, registration, nodes, delegate);
  free(nodes);
  return status;
}

BNN_API TfLiteDelegate *tflite_plugin_create_delegate(const char *const *keys,
                                                      const char *const *values, size_t count,
                                                      void (*report_error)(const char *));
BNN_API void tflite_plugin_destroy_delegate(TfLiteDelegate *delegate);

TfLiteDelegate *tflite_plugin_create_delegate(const char *const *keys, const char *const *values,
                                              size_t count, void (*report_error)(const char *)) {
  bnn_error error = {"Not enough memory for a delegate"};
  bnn_shared *shared = calloc(1, sizeof *shared);
  TfLiteDelegate *delegate = calloc(1, sizeof *delegate);
  size_t limit;
  bool ready = shared && delegate &&
               bnn_isa_choose(getenv("KERAS_BNN_ISA"), &shared->isa, &error) &&
               bnn_memory_limit(&limit, &error);
  if (ready && count) ready = bnn_fail(&error, "Got the option '%.60s', expected none", keys[0]);
  if (!ready) {
    if (report_error) report_error(error.text);
    free(shared);
    free(delegate);
    return NULL;
  }
  shared->thread_count = 1;
  delegate->data_ = shared;
  delegate->Prepare = take_operators;
  delegate->flags = kTfLiteDelegateFlagsAllowDynamicTensors;
  return delegate;
}

void tflite_plugin_destroy_delegate(TfLiteDelegate *delegate) {
  if (!delegate) return;
  bnn_shared *shared = delegate->data_;
  bnn_threads_free(shared->threads);
  free(shared);
  free(delegate);
}
