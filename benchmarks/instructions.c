/* One call of one kernel on fixed data. `instructions.py` counts what `measured` executes.
 *
 *     instructions                               names the compiler, and each kernel to be called
 *     instructions OPERATOR TYPE ISA [zeros]     calls one; zeros: true zeros around the image
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "keras_bnn.h"

enum { SIZE = 14, CHANNELS = 128, WORDS = CHANNELS / 32, PIXELS = SIZE * SIZE, TAPS = 3 * 3 };

static const bnn_image_shape SHAPE = {1, SIZE, SIZE};
static const char *const TYPES[] = {"float32", "int8", "bool", "packed"};

static uint32_t words[PIXELS * WORDS], filter[CHANNELS * TAPS * WORDS];
static float multiplier[CHANNELS], bias[CHANNELS];
static int32_t threshold[CHANNELS];
/* Of any type: none is larger than float32, and any bits are values of float32 and int8. */
static uint32_t values[PIXELS * CHANNELS], output[PIXELS * CHANNELS];
static bnn_bconv2d *conv;

/* xorshift32: the same numbers everywhere. */
static uint32_t next_random(void) {
  static uint32_t state = 1;
  state ^= state << 13;
  state ^= state >> 17;
  state ^= state << 5;
  return state;
}

static void fill(uint32_t *array, size_t count, uint32_t mask) {
  for (size_t i = 0; i < count; i++) array[i] = next_random() & mask;
}

static void fill_all(bnn_type type) {
  fill(words, PIXELS * WORDS, UINT32_MAX);
  fill(filter, CHANNELS * TAPS * WORDS, UINT32_MAX);
  fill(values, PIXELS * CHANNELS, type == BNN_bool ? 0x01010101 : UINT32_MAX);
  for (int i = 0; i < CHANNELS; i++) {
    multiplier[i] = 0.5f + (float)(next_random() % 256) / 256;
    bias[i] = (float)(next_random() % 64);
    threshold[i] = CHANNELS * TAPS / 2 + (int32_t)(next_random() % 64) - 32;
  }
}

static void bconv2d(bnn_type type, bnn_isa isa) {
  (void)type, (void)isa; /* `conv` has them. */
  bnn_bconv2d_run(conv, words, output, NULL);
}

static void bmaxpool2d(bnn_type type, bnn_isa isa) {
  (void)type;
  bnn_bmaxpool2d_options options = {WORDS, 3, 3, 2, 2, true};
  bnn_bmaxpool2d(&options, SHAPE, words, output, isa, NULL);
}

static void dequantize(bnn_type type, bnn_isa isa) {
  bnn_dequantize_options options = {type, 0.5f, 3, PIXELS, CHANNELS};
  bnn_dequantize(&options, words, output, isa, NULL);
}

static void quantize(bnn_type type, bnn_isa isa) {
  bnn_quantize_options options = {type, 3, PIXELS, CHANNELS};
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
  bnn_bconv2d_options options = {.channels_in = CHANNELS,
                                 .channels_out = CHANNELS,
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
  bnn_image_shape shape;
  conv = bnn_bconv2d_create(&options, filter, packed ? NULL : multiplier, packed ? NULL : bias,
                            packed ? threshold : NULL, isa, &error);
  if (!conv || !bnn_bconv2d_reshape(conv, SHAPE, &shape, &error)) stop(error.text);
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

int main(int count, char **arguments) {
  if (count < 4) return list(), 0;
  operator_function *call = operator_named(arguments[1]);
  bnn_type type = type_named(arguments[2]);
  bnn_isa isa;
  bnn_error error;
  if (!bnn_isa_choose(arguments[3], &isa, &error)) stop(error.text);
  fill_all(type);
  if (call == bconv2d) create_conv(type, isa, count > 4 ? BNN_SAME_ZERO : BNN_SAME_ONE);
  call(type, isa); /* What a first call alone does is not counted. */
  measured(call, type, isa);
  bnn_bconv2d_free(conv);
  return 0;
}
