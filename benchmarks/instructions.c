/* Calls of one kernel on fixed data. `instructions.py` counts what `measured` executes.
 *
 *     instructions                                  names the compiler, and each kernel to be called
 *     instructions CALLS OPERATOR TYPE ISA [zeros]  calls one; zeros: true zeros around the image
 *     instructions CALLS OPERATOR TYPE ISA SIZE CHANNELS  on SIZE × SIZE pixels
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "keras_bnn.h"

enum { TAPS = 3 * 3, MOST_CHANNELS = 512, MOST_VALUES = 56 * 56 * 64 };

static const char *const TYPES[] = {"float32", "int8", "bool", "packed"};

static int size = 14, channels = 128;
static uint32_t words[MOST_VALUES / 32], filter[MOST_CHANNELS * TAPS * MOST_CHANNELS / 32];
static float multiplier[MOST_CHANNELS], bias[MOST_CHANNELS];
static int32_t threshold[MOST_CHANNELS];
/* Of any type: none is larger than float32, and any bits are values of float32 and int8. */
static uint32_t values[MOST_VALUES], output[MOST_VALUES];
static bnn_bconv2d *conv;

/* xorshift32: the same numbers everywhere. */
static uint32_t next_random(void) {
  static uint32_t state = 1;
  state ^= state << 13;
  state ^= state >> 17;
  state ^= state << 5;
  return state;
}

static void fill(uint32_t *array, int count, uint32_t mask) {
  for (int i = 0; i < count; i++) array[i] = next_random() & mask;
}

static void fill_all(bnn_type type) {
  fill(words, size * size * channels / 32, UINT32_MAX);
  fill(filter, channels * TAPS * channels / 32, UINT32_MAX);
  fill(values, size * size * channels, type == BNN_bool ? 0x01010101 : UINT32_MAX);
  for (int i = 0; i < channels; i++) {
    multiplier[i] = 0.5f + (float)(next_random() % 256) / 256;
    bias[i] = (float)(next_random() % 64);
    threshold[i] = channels * TAPS / 2 + (int32_t)(next_random() % 64) - 32;
  }
}

static void bconv2d(bnn_type type, bnn_isa isa) {
  (void)type, (void)isa; /* `conv` has them. */
  bnn_bconv2d_run(conv, words, output, NULL);
}

static void bmaxpool2d(bnn_type type, bnn_isa isa) {
  (void)type;
  bnn_bmaxpool2d_options options = {channels / 32, 3, 3, 2, 2, true};
  bnn_image_shape shape = {1, size, size};
  bnn_bmaxpool2d(&options, shape, words, output, isa, NULL);
}

static void dequantize(bnn_type type, bnn_isa isa) {
  bnn_dequantize_options options = {type, 0.5f, 3, (size_t)(size * size), (size_t)channels};
  bnn_dequantize(&options, words, output, isa, NULL);
}

static void quantize(bnn_type type, bnn_isa isa) {
  bnn_quantize_options options = {type, 3, (size_t)(size * size), (size_t)channels};
  bnn_quantize(&options, values, output, isa, NULL);
}

typedef void operator_function(bnn_type, bnn_isa);
static const struct {
  const char *name;
  operator_function *call;
} OPERATORS[] = {{"bconv2d", bconv2d},
                 {"bmaxpool2d", bmaxpool2d},
                 {"dequantize", dequantize},
                 {"quantize", quantize}};

/* Not static, not inlined: it is counted by its name. */
__attribute__((noinline)) void measured(operator_function *call, bnn_type type, bnn_isa isa);
void measured(operator_function *call, bnn_type type, bnn_isa isa) {
  call(type, isa);
  __asm__ volatile(""); /* A jump to `call` would end this function before it is done. */
}

static void stop(const char *reason) {
  fprintf(stderr, "instructions: %s\n", reason);
  exit(1);
}

static bnn_type type_named(const char *name) {
  for (int i = 0; i < 4; i++)
    if (!strcmp(TYPES[i], name)) return (bnn_type)i;
  stop("unknown type");
  return BNN_float32;
}

static operator_function *operator_named(const char *name) {
  for (size_t i = 0; i < sizeof OPERATORS / sizeof *OPERATORS; i++)
    if (!strcmp(OPERATORS[i].name, name)) return OPERATORS[i].call;
  stop("an operator that is not called here: add it");
  return NULL;
}

static void create_conv(bnn_type type, bnn_isa isa, bnn_padding padding) {
  bnn_bconv2d_options options = {.channels_in = channels,
                                 .channels_out = channels,
                                 .groups = 1,
                                 .kernel_height = 3,
                                 .kernel_width = 3,
                                 .stride_height = 1,
                                 .stride_width = 1,
                                 .dilation_height = 1,
                                 .dilation_width = 1,
                                 .padding = padding,
                                 .output = type,
                                 .scale = 8};
  bool packed = type == BNN_packed;
  bnn_error error;
  bnn_image_shape shape = {1, size, size};
  conv = bnn_bconv2d_create(&options, filter, packed ? NULL : multiplier, packed ? NULL : bias,
                            packed ? threshold : NULL, isa, &error);
  if (!conv || !bnn_bconv2d_reshape(conv, shape, &shape, &error)) stop(error.text);
}

/* Valgrind has no AVX-512. */
static void list(void) {
#ifdef __clang__
  printf("clang %d\n", __clang_major__);
#else
  printf("gcc %d\n", __GNUC__);
#endif
  const char *name;
  for (size_t i = 0; (name = bnn_kernel_name(i)); i++) {
    if (strstr(name, "avx512")) continue;
    puts(name);
    if (!strncmp(name, "bconv2d float32", strlen("bconv2d float32"))) printf("%s zeros\n", name);
  }
}

static void choose_shape(const char *const *arguments) {
  size = atoi(arguments[0]), channels = atoi(arguments[1]);
  if (size < 1 || channels < 1 || channels % 32 || channels > MOST_CHANNELS ||
      size > MOST_VALUES / channels / size)
    stop("a shape that there is no room for");
}

int main(int count, char **given) {
  enum { CALLS = 1, OPERATOR, TYPE, ISA, REST };
  const char *const *arguments = (const char *const *)given;
  if (count < REST) return list(), 0;
  operator_function *call = operator_named(arguments[OPERATOR]);
  bnn_type type = type_named(arguments[TYPE]);
  bnn_isa isa;
  bnn_error error;
  if (!bnn_isa_choose(arguments[ISA], &isa, &error)) stop(error.text);
  if (count == REST + 2) choose_shape(arguments + REST);
  fill_all(type);
  if (call == bconv2d) create_conv(type, isa, count == REST + 1 ? BNN_SAME_ZERO : BNN_SAME_ONE);
  call(type, isa); /* What a first call alone does is not counted. */
  for (int i = atoi(arguments[CALLS]); i > 0; i--) measured(call, type, isa);
  bnn_bconv2d_free(conv);
  return 0;
}
