#include "stand_in.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* So many bytes of inputs and outputs are run: the rest would only be slower. */
enum { MOST_BYTES = 8192 };

TfLiteIntArray *fuzz_array(int size, const int *data) {
  TfLiteIntArray *array = malloc(sizeof *array + (size_t)size * sizeof *data);
  array->size = size;
  if (size) memcpy(array->data, data, (size_t)size * sizeof *data);
  return array;
}

int fuzz_add_tensor(fuzz_graph *graph, TfLiteType type, int rank, const int *dims) {
  int number = (int)graph->context.tensors_size++;
  graph->context.tensors =
      realloc(graph->context.tensors, graph->context.tensors_size * sizeof *graph->context.tensors);
  graph->context.tensors[number] = (TfLiteTensor){
      .type = type, .dims = fuzz_array(rank, dims), .params = {.scale = 1}, .name = "t"};
  return number;
}

void fuzz_make_constant(fuzz_graph *graph, int tensor, size_t size, fuzz_bytes *bytes) {
  TfLiteTensor *constant = &graph->context.tensors[tensor];
  constant->allocation_type = kTfLiteMmapRo;
  constant->bytes = size;
  constant->data.raw = malloc(size);
  fuzz_fill(bytes, constant->data.raw, size);
}

static bool contains(const TfLiteIntArray *array, int item) {
  for (int i = 0; i < array->size; i++)
    if (array->data[i] == item) return true;
  return false;
}

bool fuzz_is_computed(const fuzz_graph *graph, int tensor) {
  for (int i = 0; i < graph->node_count; i++)
    if (contains(graph->nodes[i].outputs, tensor)) return true;
  return false;
}

static void report_error(TfLiteContext *context, const char *format, ...) {
  char text[1024];
  va_list arguments;
  va_start(arguments, format);
  int length = vsnprintf(text, sizeof text, format, arguments);
  va_end(arguments);
  if (length < 1 || length >= (int)sizeof text || strchr(text, '\n')) abort();
  ((fuzz_graph *)context->impl_)->reports++;
}

static TfLiteStatus get_execution_plan(TfLiteContext *context, TfLiteIntArray **plan) {
  *plan = ((fuzz_graph *)context->impl_)->plan;
  return kTfLiteOk;
}

static TfLiteStatus get_node(TfLiteContext *context, int index, TfLiteNode **node,
                             TfLiteRegistration **registration) {
  fuzz_graph *graph = context->impl_;
  if (index < 0 || index >= graph->node_count) abort();
  if (index == graph->unknown_node && graph->partition_count) return kTfLiteError;
  *node = &graph->nodes[index];
  *registration = &graph->registrations[index];
  return kTfLiteOk;
}

static TfLiteStatus resize(TfLiteContext *context, TfLiteTensor *tensor, TfLiteIntArray *dims) {
  fuzz_graph *graph = context->impl_;
  if (graph->resizes_that_work-- == 0) {
    free(dims);
    return kTfLiteError;
  }
  free(tensor->dims);
  tensor->dims = dims;
  return kTfLiteOk;
}

/* The tensors that the nodes of a partition read and do not make, or make and others may read. */
static TfLiteIntArray *tensors_at_the_border(const fuzz_graph *graph, const TfLiteIntArray *inside,
                                             bool outputs) {
  int found[FUZZ_MOST_TENSORS], count = 0;
  for (int tensor = 0; tensor < (int)graph->context.tensors_size; tensor++) {
    bool made = false, read = false, read_elsewhere = graph->graph_outputs >> tensor & 1;
    for (int i = 0; i < graph->node_count; i++) {
      bool reads = contains(graph->nodes[i].inputs, tensor);
      if (contains(inside, i)) {
        made |= contains(graph->nodes[i].outputs, tensor);
        read |= reads;
      } else {
        read_elsewhere |= reads;
      }
    }
    if (outputs ? made && read_elsewhere : read && !made) found[count++] = tensor;
  }
  return fuzz_array(count, found);
}

static void add_partition(fuzz_graph *graph, TfLiteRegistration registration,
                          TfLiteDelegate *delegate, int count, const int *nodes) {
  fuzz_partition *partition = &graph->partitions[graph->partition_count++];
  TfLiteIntArray *inside = fuzz_array(count, nodes);
  partition->registration = registration;
  partition->params =
      (TfLiteDelegateParams){delegate, inside, tensors_at_the_border(graph, inside, false),
                             tensors_at_the_border(graph, inside, true)};
  partition->node = (TfLiteNode){.delegate = delegate};
  partition->node.user_data =
      registration.init(&graph->context, (const char *)&partition->params, 0);
}

static TfLiteStatus replace(TfLiteContext *context, TfLiteRegistration registration,
                            const TfLiteIntArray *nodes, TfLiteDelegate *delegate) {
  fuzz_graph *graph = context->impl_;
  for (int first = 0, end; first < nodes->size; first = end) {
    end = first + 1;
    while (end < nodes->size && nodes->data[end] == nodes->data[end - 1] + 1 &&
           !(graph->cuts >> end & 1))
      end++;
    add_partition(graph, registration, delegate, end - first, nodes->data + first);
  }
  return kTfLiteOk;
}

void fuzz_delegate(fuzz_graph *graph, TfLiteDelegate *delegate) {
  int plan[FUZZ_MOST_NODES];
  for (int i = 0; i < graph->node_count; i++) plan[i] = i;
  graph->plan = fuzz_array(graph->node_count, plan);
  graph->context.impl_ = graph;
  graph->context.GetExecutionPlan = get_execution_plan;
  graph->context.ResizeTensor = resize;
  graph->context.ReportError = report_error;
  graph->context.GetNodeAndRegistration = get_node;
  graph->context.ReplaceNodeSubsetsWithDelegateKernels = replace;
  if (delegate->Prepare(&graph->context, delegate) != kTfLiteOk) abort();
}

bool fuzz_prepare(fuzz_graph *graph) {
  for (int i = 0; i < graph->partition_count; i++) {
    fuzz_partition *partition = &graph->partitions[i];
    graph->reports = 0;
    bool done = partition->registration.prepare(&graph->context, &partition->node) == kTfLiteOk;
    if (graph->reports != !done) abort();
    if (!done) return false;
  }
  return graph->partition_count > 0;
}

static size_t element_size(TfLiteType type) {
  return type == kTfLiteFloat32 || type == kTfLiteInt32 ? 4 : 1;
}

/* SIZE_MAX where it is too large, or no shape. */
static size_t size_of(const TfLiteTensor *tensor) {
  size_t size = element_size(tensor->type);
  for (int i = 0; tensor->dims && i < tensor->dims->size; i++)
    if (tensor->dims->data[i] < 0 ||
        __builtin_mul_overflow(size, (size_t)tensor->dims->data[i], &size))
      return SIZE_MAX;
  return size;
}

static bool is_outside(const fuzz_graph *graph, int tensor) {
  if (graph->context.tensors[tensor].allocation_type == kTfLiteMmapRo) return false;
  for (int i = 0; i < graph->partition_count; i++)
    if (contains(graph->partitions[i].params.input_tensors, tensor) ||
        contains(graph->partitions[i].params.output_tensors, tensor))
      return true;
  return false;
}

static bool is_small(const fuzz_graph *graph) {
  size_t total = 0;
  for (int i = 0; i < (int)graph->context.tensors_size; i++) {
    if (!is_outside(graph, i)) continue;
    size_t size = size_of(&graph->context.tensors[i]);
    if (size > MOST_BYTES - total) return false;
    total += size;
  }
  return true;
}

/* Memory that ends where a page begins that nobody may read: AddressSanitizer does not see what
 * assembly reads. */
static void *before_a_guard(int slot, size_t size) {
  static char *slots;
  size_t page = (size_t)sysconf(_SC_PAGESIZE), stride = (MOST_BYTES / page + 2) * page;
  if (!slots) {
    slots = mmap(NULL, FUZZ_MOST_TENSORS * stride, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (slots == MAP_FAILED) abort();
    for (size_t i = 0; i < FUZZ_MOST_TENSORS; i++)
      if (mprotect(slots + i * stride, stride - page, PROT_READ | PROT_WRITE)) abort();
  }
  return slots + ((size_t)slot + 1) * stride - page - size;
}

static void forget_data(fuzz_graph *graph) {
  for (int i = 0; i < (int)graph->context.tensors_size; i++) {
    TfLiteTensor *tensor = &graph->context.tensors[i];
    if (tensor->allocation_type == kTfLiteMmapRo) continue;
    if (!graph->guarded) free(tensor->data.raw);
    tensor->data.raw = NULL;
    tensor->bytes = 0;
  }
}

void fuzz_invoke(fuzz_graph *graph, fuzz_bytes *bytes) {
  if (!is_small(graph)) return;
  for (int i = 0; i < (int)graph->context.tensors_size; i++) {
    TfLiteTensor *tensor = &graph->context.tensors[i];
    if (!is_outside(graph, i)) continue;
    tensor->bytes = size_of(tensor);
    tensor->data.raw = graph->guarded ? before_a_guard(i, tensor->bytes) : malloc(tensor->bytes);
    if (!fuzz_is_computed(graph, i)) fuzz_fill(bytes, tensor->data.raw, tensor->bytes);
  }
  for (int i = 0; i < graph->partition_count; i++) {
    fuzz_partition *partition = &graph->partitions[i];
    graph->reports = 0;
    bool done = partition->registration.invoke(&graph->context, &partition->node) == kTfLiteOk;
    if (graph->reports != !done) abort();
    if (!done) break;
  }
  forget_data(graph);
}

static void free_partition(fuzz_graph *graph, fuzz_partition *partition) {
  partition->registration.free(&graph->context, partition->node.user_data);
  free(partition->params.nodes_to_replace);
  free(partition->params.input_tensors);
  free(partition->params.output_tensors);
}

void fuzz_free(fuzz_graph *graph) {
  for (int i = 0; i < graph->partition_count; i++) free_partition(graph, &graph->partitions[i]);
  for (int i = 0; i < graph->node_count; i++) {
    free(graph->nodes[i].inputs);
    free(graph->nodes[i].outputs);
    free((void *)graph->nodes[i].custom_initial_data);
  }
  for (int i = 0; i < (int)graph->context.tensors_size; i++) {
    free(graph->context.tensors[i].dims);
    free(graph->context.tensors[i].data.raw);
  }
  free(graph->context.tensors);
  free(graph->plan);
}
