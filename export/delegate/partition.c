/* LiteRT creates a partition once (init), prepares it at the first allocation and after every
 * change of its inputs' shapes, and then invokes it.
 *
 * Tensors between operators of the partition get no memory from LiteRT: they lie in one buffer of
 * the partition, each where nothing is that is still needed. */
#include "partition.h"

#include <stdlib.h>
#include <string.h>

#include "isa.h"
#include "memory.h"
#include "operator.h"
#include "profile.h"

typedef struct {
  bnn_shared *shared;
  int operator_count, value_count;
  bnn_operator *operators;
  bnn_value *values;
  void *buffer;
  bnn_error error; /* of init, which cannot fail by itself; empty if there was none */
} partition;

static bool contains(const TfLiteIntArray *array, int item) {
  for (int i = 0; i < array->size; i++)
    if (array->data[i] == item) return true;
  return false;
}

/* Takes over what LiteRT knows of a tensor now. */
static bool refresh(bnn_value *value, const TfLiteTensor *tensor, bnn_error *error) {
  value->name = tensor->name ? tensor->name : "";
  value->type = tensor->type;
  value->scale = tensor->params.scale;
  value->zero_point = tensor->params.zero_point;
  value->rank = tensor->dims ? tensor->dims->size : 0;
  if (value->rank > BNN_RANK)
    return bnn_fail(error, "tensor '%.60s' has %d axes, expected at most %d", value->name,
                    value->rank, BNN_RANK);
  for (int i = 0; i < value->rank; i++) value->dims[i] = tensor->dims->data[i];
  return true;
}

/* Finds the value of a tensor, or adds it; −1 with an error where it cannot be. */
static int value_of(partition *part, TfLiteContext *context, const TfLiteDelegateParams *params,
                    int tensor, bnn_error *error) {
  for (int i = 0; i < part->value_count; i++)
    if (part->values[i].tensor == tensor) return i;
  if (tensor < 0 || (size_t)tensor >= context->tensors_size) {
    bnn_fail(error, "one of its tensors is number %d, expected 0 to %zu", tensor,
             context->tensors_size - 1);
    return -1;
  }
  bnn_value *value = &part->values[part->value_count];
  const TfLiteTensor *source = &context->tensors[tensor];
  *value = (bnn_value){.tensor = tensor, .place = BNN_INSIDE};
  if (!refresh(value, source, error)) return -1;
  if (source->allocation_type == kTfLiteMmapRo) {
    value->place = BNN_CONSTANT;
    value->data = source->data.raw;
    if (!bnn_value_measure(value, error)) return -1;
    if (!value->data || source->bytes < value->bytes) {
      bnn_fail(error, "the constant '%.60s' has %zu bytes, expected %zu", value->name,
               value->data ? source->bytes : 0, value->bytes);
      return -1;
    }
  } else if (contains(params->input_tensors, tensor) || contains(params->output_tensors, tensor)) {
    value->place = BNN_OUTSIDE;
  }
  return part->value_count++;
}

static bool read_tensors(partition *part, bnn_operator *op, TfLiteContext *context,
                         const TfLiteDelegateParams *params, const TfLiteNode *node,
                         bnn_error *error) {
  if (node->inputs->size != op->kind->inputs || node->outputs->size != 1)
    return bnn_fail(error, "it has %d inputs and %d outputs, expected %d and 1", node->inputs->size,
                    node->outputs->size, op->kind->inputs);
  for (int i = 0; i < op->kind->inputs; i++) {
    int tensor = node->inputs->data[i];
    op->inputs[i] = -1;
    if (tensor == kTfLiteOptionalTensor && i > 0) continue;
    if (tensor == kTfLiteOptionalTensor) return bnn_fail(error, "its input is absent");
    op->inputs[i] = value_of(part, context, params, tensor, error);
    if (op->inputs[i] < 0) return false;
  }
  if (node->outputs->data[0] == kTfLiteOptionalTensor)
    return bnn_fail(error, "its output is absent");
  op->output = value_of(part, context, params, node->outputs->data[0], error);
  if (op->output < 0) return false;
  if (part->values[op->output].place == BNN_CONSTANT)
    return bnn_fail(error, "its output '%.60s' is a constant", part->values[op->output].name);
  return true;
}

static bool read_operator(partition *part, bnn_operator *op, TfLiteContext *context,
                          const TfLiteDelegateParams *params, bnn_error *error) {
  TfLiteNode *node;
  TfLiteRegistration *registration;
  if (context->GetNodeAndRegistration(context, op->node, &node, &registration) != kTfLiteOk)
    return bnn_fail(error, "LiteRT does not know it");
  op->kind = bnn_kind_of(registration->custom_name);
  if (!op->kind) return bnn_fail(error, "it is no 1-bit operator");
  if (node->custom_initial_data && node->custom_initial_data_size > 0)
    op->options = (bnn_options){node->custom_initial_data, (size_t)node->custom_initial_data_size};
  return read_tensors(part, op, context, params, node, error) &&
         op->kind->create(op, part->values, part->shared->isa, error);
}

/* Adds which operator of the file it is about: its number, and the tensor that it makes. */
static void blame(bnn_error *error, const partition *part, const bnn_operator *op) {
  bnn_error reason = *error;
  const char *name = op->kind ? op->kind->name : "1-bit operator";
  if (op->output < 0)
    bnn_fail(error, "%s, operator %d: %.190s", name, op->node, reason.text);
  else
    bnn_fail(error, "%s, operator %d ('%.40s'): %.150s", name, op->node,
             part->values[op->output].name, reason.text);
}

static void find_lifetimes(partition *part) {
  for (int i = 0; i < part->operator_count; i++) {
    const bnn_operator *op = &part->operators[i];
    part->values[op->output].first_use = part->values[op->output].last_use = i;
    for (int j = 0; j < op->kind->inputs; j++)
      if (op->inputs[j] >= 0) part->values[op->inputs[j]].last_use = i;
  }
}

/* Every value is written once, and read only after that: it has one size. */
static bool check_order(const partition *part, const bnn_operator *op, bnn_error *error) {
  const bnn_value *input = &part->values[op->inputs[0]], *output = &part->values[op->output];
  bool computed = input->place != BNN_INSIDE;
  if (op->inputs[0] == op->output)
    return bnn_fail(error, "its output is its input '%.60s'", input->name);
  for (const bnn_operator *other = part->operators; other < op; other++) {
    computed |= other->output == op->inputs[0];
    if (other->output == op->output || other->inputs[0] == op->output)
      return bnn_fail(error, "its output '%.60s' is the %s of operator %d, expected another",
                      output->name, other->output == op->output ? "output" : "input", other->node);
  }
  return computed || bnn_fail(error, "its input '%.60s' is not computed before", input->name);
}

static void fill(partition *part, TfLiteContext *context, const TfLiteDelegateParams *params) {
  const TfLiteIntArray *nodes = params->nodes_to_replace;
  void *operators, *values;
  size_t count = (size_t)nodes->size;
  if (!bnn_allocate(&operators, sizeof(bnn_operator), count, 1, 1, &part->error) ||
      !bnn_allocate(&values, sizeof(bnn_value), count, BNN_MOST_INPUTS + 1, 1, &part->error)) {
    bnn_release(operators);
    bnn_fail_memory(&part->error, "Not enough memory for %d operators", nodes->size);
    return;
  }
  part->operators = operators, part->values = values;
  for (int i = 0; i < nodes->size; i++) {
    bnn_operator *op = &part->operators[part->operator_count++];
    op->node = nodes->data[i];
    op->output = -1;
    if (!read_operator(part, op, context, params, &part->error) ||
        !check_order(part, op, &part->error)) {
      blame(&part->error, part, op);
      return;
    }
  }
  find_lifetimes(part);
}

void *bnn_partition_init(TfLiteContext *context, const char *buffer, size_t length) {
  const TfLiteDelegateParams *params = (const TfLiteDelegateParams *)(const void *)buffer;
  partition *part = calloc(1, sizeof *part);
  if (!part) return NULL;
  part->shared = params->delegate->data_;
  fill(part, context, params);
  return part;
}

void bnn_partition_free(TfLiteContext *context, void *pointer) {
  partition *part = pointer;
  if (!part) return;
  for (int i = 0; i < part->operator_count; i++)
    if (part->operators[i].kind && part->operators[i].kind->free)
      part->operators[i].kind->free(&part->operators[i]);
  bnn_release(part->operators);
  bnn_release(part->values);
  bnn_release(part->buffer);
  free(part);
}

static bool resize_outside(const bnn_value *value, TfLiteContext *context, bnn_error *error) {
  TfLiteIntArray *dims = malloc(sizeof *dims + (size_t)value->rank * sizeof dims->data[0]);
  if (!dims) return bnn_fail(error, "not enough memory for a shape");
  dims->size = value->rank;
  memcpy(dims->data, value->dims, (size_t)value->rank * sizeof dims->data[0]);
  return context->ResizeTensor(context, &context->tensors[value->tensor], dims) == kTfLiteOk ||
         bnn_fail(error, "LiteRT cannot resize '%.60s'", value->name);
}

static bool reshape_operator(partition *part, bnn_operator *op, TfLiteContext *context,
                             bnn_error *error) {
  bnn_value *input = &part->values[op->inputs[0]], *output = &part->values[op->output];
  if (input->place == BNN_OUTSIDE && !refresh(input, &context->tensors[input->tensor], error))
    return false;
  return bnn_value_measure(input, error) && op->kind->reshape(op, part->values, error) &&
         bnn_value_measure(output, error) &&
         (output->place == BNN_INSIDE || resize_outside(output, context, error));
}

/* Lays inside values out, each at the lowest place that is free from its first use to its last. */
static bool place_values(partition *part, size_t *total) {
  enum { ALIGNMENT = 64 };
  *total = 0;
  for (int i = 0; i < part->operator_count; i++) {
    bnn_value *value = &part->values[part->operators[i].output];
    if (value->place != BNN_INSIDE) continue;
    size_t offset = 0, end;
    for (int j = 0; j < i; j++) {
      const bnn_value *other = &part->values[part->operators[j].output];
      if (other->place != BNN_INSIDE || other->last_use < value->first_use) continue;
      size_t other_end = other->offset + other->bytes;
      if (offset < other_end && other->offset < offset + value->bytes) {
        /* Start again: an earlier one may reach to here. */
        offset = (other_end + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
        j = -1;
      }
    }
    if (__builtin_add_overflow(offset, value->bytes, &end)) return false;
    value->offset = offset;
    if (end > *total) *total = end;
  }
  return true;
}

static bool share_threads(bnn_shared *shared, int wanted, bnn_error *error) {
  int count = wanted < 1 ? 1 : wanted;
  if (shared->thread_count == count) return true;
  bnn_threads_free(shared->threads);
  shared->threads = NULL;
  shared->thread_count = 1;
  if (count > 1 && !(shared->threads = bnn_threads_create(count, error))) return false;
  shared->thread_count = count;
  return true;
}

static bool prepare(partition *part, TfLiteContext *context, bnn_error *error) {
  size_t bytes;
  bnn_release(part->buffer);
  part->buffer = NULL;
  for (int i = 0; i < part->operator_count; i++)
    if (!reshape_operator(part, &part->operators[i], context, error)) {
      blame(error, part, &part->operators[i]);
      return false;
    }
  if (!place_values(part, &bytes))
    return bnn_fail(error, "The size of the tensors between 1-bit operators is out of range");
  if (!bnn_allocate(&part->buffer, 1, bytes, 1, 1, error))
    return bnn_fail_memory(error, "Not enough memory for the tensors between 1-bit operators");
  return share_threads(part->shared, context->recommended_num_threads, error);
}

TfLiteStatus bnn_partition_prepare(TfLiteContext *context, TfLiteNode *node) {
  partition *part = node->user_data;
  bnn_error error = {"Not enough memory for a delegate"};
  if (part && !*part->error.text && prepare(part, context, &error)) return kTfLiteOk;
  context->ReportError(context, "%s. ", part && *part->error.text ? part->error.text : error.text);
  return kTfLiteError;
}

/* Where the elements of a value are; NULL if LiteRT holds fewer than they need. */
static void *data_of(const partition *part, const bnn_value *value, TfLiteContext *context) {
  if (value->place == BNN_CONSTANT) return (void *)value->data;
  if (value->place == BNN_INSIDE) return (char *)part->buffer + value->offset;
  const TfLiteTensor *tensor = &context->tensors[value->tensor];
  return tensor->bytes >= value->bytes ? tensor->data.raw : NULL;
}

TfLiteStatus bnn_partition_invoke(TfLiteContext *context, TfLiteNode *node) {
  partition *part = node->user_data;
  for (int i = 0; i < part->operator_count; i++) {
    bnn_operator *op = &part->operators[i];
    const bnn_value *input = &part->values[op->inputs[0]], *output = &part->values[op->output];
    if (!output->bytes) continue;
    const void *from = data_of(part, input, context);
    void *to = data_of(part, output, context);
    if (!from || !to) {
      context->ReportError(context, "%s, operator %d: LiteRT gave no memory for '%s'. ",
                           op->kind->name, op->node, from ? output->name : input->name);
      return kTfLiteError;
    }
    int64_t start = bnn_profile_now();
    op->kind->run(op, from, to, part->shared->threads);
    if (start) bnn_profile_enter(op->node, start);
  }
  return kTfLiteOk;
}
