#include "recipe.h"

#include <stdlib.h>
#include <string.h>

#include "flexbuffer.h"

/* LiteRT's int64, which no operator takes, stands for all others. */
static const TfLiteType types[] = {kTfLiteFloat32, kTfLiteInt8, kTfLiteBool, kTfLiteInt32,
                                   (TfLiteType)4};

static int last_dim(const TfLiteTensor *tensor) {
  return tensor->dims->size ? tensor->dims->data[tensor->dims->size - 1] : 0;
}

static int new_input(fuzz_graph *graph, TfLiteType type, fuzz_bytes *bytes) {
  int dims[] = {1 + fuzz_below(bytes, 3), 4 + fuzz_below(bytes, 7) - 3,
                4 + fuzz_below(bytes, 7) - 3,
                1 + fuzz_below(bytes, type == kTfLiteInt32 ? 5 : 140)};
  uint8_t axes = fuzz_byte(bytes);
  int skipped = axes >= 224 ? axes % 4 : 0;
  int tensor = fuzz_add_tensor(graph, type, 4 - skipped, dims + skipped);
  graph->context.tensors[tensor].params.zero_point = (int8_t)fuzz_byte(bytes);
  return tensor;
}

/* A tensor of packed signs or of values: the newest, unless the bytes ask for an older one or for
 * one more input. */
static int input_of(fuzz_graph *graph, bool packed, fuzz_bytes *bytes) {
  int choice = fuzz_byte(bytes);
  for (int i = (int)graph->context.tensors_size - 1; choice < 192 && i >= 0; i--) {
    const TfLiteTensor *tensor = &graph->context.tensors[i];
    if (tensor->allocation_type != kTfLiteMmapRo && (tensor->type == kTfLiteInt32) == packed &&
        choice-- == 0)
      return i;
  }
  return new_input(graph, packed ? kTfLiteInt32 : types[fuzz_below(bytes, 3)], bytes);
}

static int constant(fuzz_graph *graph, TfLiteType type, int rank, const int *dims,
                    fuzz_bytes *bytes) {
  int tensor = fuzz_add_tensor(graph, type, rank, dims);
  size_t size = sizeof(int32_t);
  for (int i = 0; i < rank; i++) size *= (size_t)dims[i];
  fuzz_make_constant(graph, tensor, size, bytes);
  return tensor;
}

static int output_like(fuzz_graph *graph, int input, TfLiteType type, int last, fuzz_bytes *bytes) {
  TfLiteIntArray *dims = graph->context.tensors[input].dims;
  int tensor = fuzz_add_tensor(graph, type, dims->size, dims->data);
  TfLiteTensor *output = &graph->context.tensors[tensor];
  if (dims->size) output->dims->data[dims->size - 1] = last;
  output->params.zero_point = (int8_t)fuzz_byte(bytes);
  output->params.scale = (float)(1 + fuzz_below(bytes, 200)) / 16;
  return tensor;
}

static void add_option(fuzz_options *options, const char *key, int64_t value) {
  options->keys[options->count] = key;
  options->values[options->count++] = value;
}

static void add_padding_and_strides(fuzz_options *options, fuzz_bytes *bytes) {
  add_option(options, "padding", fuzz_below(bytes, 2));
  add_option(options, "stride_height", 1 + fuzz_below(bytes, 3));
  add_option(options, "stride_width", 1 + fuzz_below(bytes, 3));
}

static void damage_options(fuzz_options *options, fuzz_bytes *bytes) {
  static const uint8_t widths[] = {2, 0, 1, 3};
  uint8_t form = fuzz_byte(bytes);
  options->log2_width = widths[form & 3];
  options->is_signed = !(form & 4);
  options->indirect = form & 8;
  uint8_t what = fuzz_byte(bytes);
  int option = options->count ? fuzz_below(bytes, options->count) : 0;
  if (what < 160 || !options->count) return;
  if (what < 220) {
    options->values[option] = fuzz_wild(bytes);
  } else if (what < 230) {
    options->values[option] = (int64_t)((uint64_t)fuzz_wild(bytes) << 32);
  } else if (what < 240) {
    options->keys[option] = "pad";
  } else {
    options->count = option;
  }
}

static void set_options(TfLiteNode *node, fuzz_options *options, fuzz_bytes *bytes) {
  fuzz_buffer buffer;
  damage_options(options, bytes);
  fuzz_write_options(options, &buffer);
  uint8_t what = fuzz_byte(bytes);
  if (what >= 240) {
    buffer.size = (size_t)fuzz_below(bytes, 64);
    for (size_t i = 0; i < buffer.size; i++) buffer.data[i] = fuzz_byte(bytes);
  } else if (what >= 208) {
    buffer.data[buffer.size - 1 - fuzz_byte(bytes) % buffer.size] = fuzz_byte(bytes);
  }
  void *copy = malloc(buffer.size);
  memcpy(copy, buffer.data, buffer.size);
  node->custom_initial_data = copy;
  node->custom_initial_data_size = (int)buffer.size;
}

static TfLiteNode *add_node(fuzz_graph *graph, const char *name, int count, const int *inputs,
                            int output) {
  TfLiteNode *node = &graph->nodes[graph->node_count];
  TfLiteRegistration *registration = &graph->registrations[graph->node_count++];
  *registration = (TfLiteRegistration){.builtin_code = kTfLiteBuiltinCustom, .custom_name = name};
  node->inputs = fuzz_array(count, inputs);
  node->outputs = fuzz_array(1, &output);
  return node;
}

static void add_quantize(fuzz_graph *graph, fuzz_bytes *bytes) {
  int input = input_of(graph, false, bytes);
  int words = (last_dim(&graph->context.tensors[input]) + 31) / 32;
  int output = output_like(graph, input, kTfLiteInt32, words, bytes);
  add_node(graph, "LceQuantize", 1, &input, output);
}

static void add_dequantize(fuzz_graph *graph, fuzz_bytes *bytes) {
  int input = input_of(graph, true, bytes);
  int channels = 32 * last_dim(&graph->context.tensors[input]) - fuzz_below(bytes, 32);
  TfLiteType type = types[fuzz_below(bytes, 3)];
  int output = output_like(graph, input, type, channels, bytes);
  add_node(graph, "LceDequantize", 1, &input, output);
}

static void add_bmaxpool2d(fuzz_graph *graph, fuzz_bytes *bytes) {
  fuzz_options options = {.count = 0};
  int input = input_of(graph, true, bytes);
  int words = last_dim(&graph->context.tensors[input]);
  int output = output_like(graph, input, kTfLiteInt32, words, bytes);
  add_option(&options, "filter_height", 1 + fuzz_below(bytes, 4));
  add_option(&options, "filter_width", 1 + fuzz_below(bytes, 4));
  add_padding_and_strides(&options, bytes);
  set_options(add_node(graph, "LceBMaxPool2d", 1, &input, output), &options, bytes);
}

static void add_bconv2d(fuzz_graph *graph, fuzz_bytes *bytes) {
  enum { INPUT, FILTER, MULTIPLIER, BIAS, THRESHOLD, INPUTS };
  static const TfLiteType outputs[] = {kTfLiteInt32, kTfLiteFloat32, kTfLiteInt8};
  fuzz_options options = {.count = 0};
  int inputs[INPUTS] = {input_of(graph, true, bytes), -1, -1, -1, -1};
  int words = last_dim(&graph->context.tensors[inputs[INPUT]]);
  TfLiteType type = outputs[fuzz_below(bytes, 3)];
  int groups = fuzz_byte(bytes) & 1 && words % 2 == 0 && words ? 2 : 1;
  int channels = groups * (1 + fuzz_below(bytes, 70 / groups));
  int filter[] = {channels, 1 + fuzz_below(bytes, 3), 1 + fuzz_below(bytes, 3), words / groups};
  inputs[FILTER] = constant(graph, kTfLiteInt32, 4, filter, bytes);
  if (type == kTfLiteInt32) {
    inputs[THRESHOLD] = constant(graph, kTfLiteInt32, 1, &channels, bytes);
  } else {
    inputs[MULTIPLIER] = constant(graph, kTfLiteFloat32, 1, &channels, bytes);
    inputs[BIAS] = constant(graph, kTfLiteFloat32, 1, &channels, bytes);
  }
  int last = type == kTfLiteInt32 ? (channels + 31) / 32 : channels;
  int output = output_like(graph, inputs[INPUT], type, last, bytes);
  add_option(&options, "channels_in", 32 * words - (groups > 1 ? 0 : fuzz_below(bytes, 32)));
  add_option(&options, "dilation_height_factor", 1 + fuzz_below(bytes, 3));
  add_option(&options, "dilation_width_factor", 1 + fuzz_below(bytes, 3));
  add_option(&options, "fused_activation_function", fuzz_below(bytes, 4));
  add_option(&options, "pad_values", fuzz_below(bytes, 2));
  add_padding_and_strides(&options, bytes);
  set_options(add_node(graph, "LceBconv2d", INPUTS, inputs, output), &options, bytes);
}

/* Gives a constant so many bytes, and no more memory than that. */
static void resize_constant(TfLiteTensor *tensor, size_t bytes) {
  tensor->data.raw = realloc(tensor->data.raw, bytes ? bytes : 1);
  if (bytes > tensor->bytes)
    memset((char *)tensor->data.raw + tensor->bytes, 0, bytes - tensor->bytes);
  tensor->bytes = bytes;
}

/* A constant gets as many bytes as its new shape says. */
static void damage_dims(TfLiteTensor *tensor, fuzz_bytes *bytes) {
  size_t size = sizeof(int32_t);
  uint8_t place = fuzz_byte(bytes);
  int32_t *dim = &tensor->dims->data[place % tensor->dims->size];
  *dim = place < 128 ? fuzz_wild(bytes) : (int32_t)((uint32_t)*dim + fuzz_byte(bytes) % 5 - 2);
  if (tensor->allocation_type != kTfLiteMmapRo || !tensor->data.raw) return;
  for (int i = 0; i < tensor->dims->size; i++)
    if (tensor->dims->data[i] < 0 ||
        __builtin_mul_overflow(size, (size_t)tensor->dims->data[i], &size) || size > 1 << 16)
      return;
  resize_constant(tensor, size);
}

static void damage_tensor(TfLiteTensor *tensor, fuzz_bytes *bytes) {
  static const float scales[] = {0, -1, 1e-45f, 3e38f, 1e-20f};
  int rank = tensor->dims ? tensor->dims->size : 0;
  switch (fuzz_below(bytes, 10)) {
    case 0: tensor->type = types[fuzz_below(bytes, 5)]; break;
    case 1: tensor->params.zero_point = fuzz_wild(bytes); break;
    case 2: tensor->params.scale = scales[fuzz_below(bytes, 5)]; break;
    case 3: tensor->params.scale = __builtin_nanf(""); break;
    case 4:
      if (tensor->allocation_type == kTfLiteMmapRo && tensor->data.raw)
        resize_constant(tensor, tensor->bytes - fuzz_byte(bytes) % (tensor->bytes + 1));
      break;
    case 5:
      tensor->name = fuzz_byte(bytes) & 1 ? NULL
                                          : "a name so long that it has to be cut, "
                                            "for a line holds no more than 255 bytes";
      break;
    case 6:
      /* A constant whose bytes are missing, or one that is none. */
      free(tensor->data.raw);
      tensor->data.raw = NULL;
      tensor->bytes = 0;
      tensor->allocation_type = kTfLiteMmapRo - tensor->allocation_type;
      break;
    case 7:
      free(tensor->dims);
      tensor->dims = NULL;
      break;
    case 8: {
      int dims[10] = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1};
      if (rank && rank < 10) memcpy(dims, tensor->dims->data, (size_t)rank * sizeof *dims);
      free(tensor->dims);
      tensor->dims = fuzz_array(fuzz_below(bytes, 11), dims);
      break;
    }
    default:
      if (rank) damage_dims(tensor, bytes);
  }
}

static void damage_node(fuzz_graph *graph, int node, fuzz_bytes *bytes) {
  static const char *const names[] = {"LceQuantize", "LceDequantize", "LceBMaxPool2d",
                                      "LceBconv2d",  "Lce",           NULL};
  TfLiteIntArray *inputs = graph->nodes[node].inputs, *outputs = graph->nodes[node].outputs;
  int tensor = fuzz_byte(bytes) < 200 ? fuzz_below(bytes, (int)graph->context.tensors_size)
                                      : fuzz_wild(bytes);
  switch (fuzz_below(bytes, 7)) {
    case 0: inputs->data[0] = tensor; break;
    case 1: inputs->data[fuzz_below(bytes, inputs->size)] = tensor; break;
    case 2: outputs->data[0] = tensor; break;
    case 3: inputs->data[fuzz_below(bytes, inputs->size)] = kTfLiteOptionalTensor; break;
    case 4: graph->registrations[node].custom_name = names[fuzz_below(bytes, 6)]; break;
    case 5: graph->registrations[node].builtin_code = fuzz_byte(bytes); break;
    default:
      /* Without inputs there would be none left for later damage to change. */
      if (fuzz_byte(bytes) & 1 && inputs->size > 1)
        inputs->size--;
      else
        outputs->size = 0;
  }
}

static void damage_graph(fuzz_graph *graph, fuzz_bytes *bytes) {
  uint8_t what = fuzz_byte(bytes);
  graph->resizes_that_work = what < 224 ? -1 : what % 8;
  graph->unknown_node = what < 208 || what >= 224 ? -1 : what % FUZZ_MOST_NODES;
  for (int i = fuzz_below(bytes, 4); i > 0; i--) {
    uint8_t place = fuzz_byte(bytes);
    if (place & 1)
      damage_node(graph, place / 2 % graph->node_count, bytes);
    else
      damage_tensor(&graph->context.tensors[place / 2 % graph->context.tensors_size], bytes);
  }
}

static int threads_of(uint8_t choice) {
  static const int counts[] = {2, 3, 0, -1, 1025};
  return choice < 251 ? 1 : counts[choice - 251];
}

void fuzz_cook(fuzz_graph *graph, fuzz_bytes *bytes) {
  static void (*const kinds[])(fuzz_graph *, fuzz_bytes *) = {add_quantize, add_bconv2d,
                                                              add_bmaxpool2d, add_dequantize};
  graph->context.recommended_num_threads = threads_of(fuzz_byte(bytes));
  uint8_t cuts = fuzz_byte(bytes);
  graph->cuts = cuts & 15;
  graph->guarded = cuts >> 4 & 1;
  for (int i = fuzz_below(bytes, FUZZ_MOST_NODES); i >= 0; i--)
    kinds[fuzz_below(bytes, 4)](graph, bytes);
  /* The last operator's output, and whatever else the bytes ask for. */
  graph->graph_outputs = 1u << (graph->context.tensors_size - 1);
  for (int i = 0; i < 3; i++) graph->graph_outputs |= (uint32_t)fuzz_byte(bytes) << (8 * i);
  damage_graph(graph, bytes);
}

void fuzz_reshape_inputs(fuzz_graph *graph, fuzz_bytes *bytes) {
  for (int i = 0; i < (int)graph->context.tensors_size; i++) {
    TfLiteTensor *tensor = &graph->context.tensors[i];
    if (tensor->allocation_type == kTfLiteMmapRo || fuzz_is_computed(graph, i) || !tensor->dims ||
        !tensor->dims->size)
      continue;
    int axis = fuzz_byte(bytes);
    int32_t size = axis < 224 ? 1 + fuzz_below(bytes, 9) : fuzz_wild(bytes);
    tensor->dims->data[axis % tensor->dims->size] = size;
  }
}
