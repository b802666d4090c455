/* Compares the kernels of an instruction set with the portable ones, bit for bit, on random operators
 * in one process: a second where Python under an emulator takes minutes.
 *
 *     isa_against_portable ISA CASES
 *
 * Prints the first seed whose outputs differ, and what it stands for; exit status 1. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "keras_bnn.h"

static uint32_t state;
static bnn_isa isas[2] = {BNN_portable};

static uint32_t next_random(void) {
  state ^= state << 13, state ^= state >> 17, state ^= state << 5;
  return state;
}

static int between(int low, int high) {
  return low + (int)(next_random() % (uint32_t)(high - low + 1));
}

static void *room(size_t count, size_t size) {
  void *memory = calloc(count ? count : 1, size);
  if (!memory) exit(2);
  return memory;
}

/* `rows` of `channels` packed signs, which are random, all +1 or all −1; the bits behind them 0. */
typedef enum { RANDOM, PLUS, MINUS } signs;
static uint32_t *packed(size_t rows, int channels, signs signs) {
  size_t words = ((size_t)channels + 31) / 32;
  uint32_t *memory = room(rows * words, sizeof *memory);
  for (size_t i = 0; i < rows * words; i++) {
    memory[i] = signs == RANDOM ? next_random() : signs == PLUS ? 0 : UINT32_MAX;
    if (i % words == words - 1 && channels % 32) memory[i] &= (1u << channels % 32) - 1;
  }
  return memory;
}

/* Mostly small, with halves and ties; some of `wild` ones are what hardly any file has. */
static float number(bool wild) {
  static const float others[] = {NAN, INFINITY, -INFINITY, 3e38f, -3e38f, 1e-42f, -0.0f, 1e6f};
  if (wild && !between(0, 5)) return others[between(0, 7)];
  return between(0, 1) ? (float)between(-16, 16) / 8 : (float)between(-999, 999) / 977;
}

/* Which NaN it is may differ. */
static bool same(const void *a, const void *b, size_t bytes, bnn_type type) {
  if (type != BNN_float32) return !memcmp(a, b, bytes);
  for (size_t i = 0; i < bytes / sizeof(float); i++) {
    const float *x = (const float *)a + i, *y = (const float *)b + i;
    if (memcmp(x, y, sizeof *x) && !(isnan(*x) && isnan(*y))) return false;
  }
  return true;
}

static bnn_bconv2d_options draw_options(void) {
  int groups = between(0, 3) ? 1 : between(2, 3);
  int depth = groups > 1 ? 32 * between(1, 3) : between(0, 9) ? between(1, 200) : between(1, 9000);
  bool deep = groups == 1 && !between(0, 99);
  if (deep) depth = between(65000, 70000);
  bnn_bconv2d_options o = {.groups = groups, .channels_in = groups * depth};
  o.channels_out = groups * (deep ? between(1, 9) : between(1, 70));
  o.kernel_height = deep ? 1 : between(1, 4), o.kernel_width = deep ? 1 : between(1, 4);
  o.stride_height = between(1, 3), o.stride_width = between(1, 3);
  o.dilation_height = between(1, 2), o.dilation_width = between(1, 2);
  o.padding = (bnn_padding)between(0, 2);
  o.output = (bnn_type[]){BNN_float32, BNN_int8, BNN_packed}[between(0, 2)];
  if (o.output != BNN_packed) o.activation = (bnn_activation)between(0, 3);
  o.scale = between(0, 1) ? 1.0f : 0.37f;
  o.zero_point = between(-10, 10);
  return o;
}

static bool convolutions_agree(void) {
  bnn_bconv2d_options o = draw_options();
  bnn_image_shape in = {between(1, 2), between(7, 15), between(7, o.channels_in < 9999 ? 40 : 9)},
                  out;
  size_t outputs = (size_t)o.channels_out;
  int depth = o.channels_in / o.groups;
  bool is_packed = o.output == BNN_packed, wild = !between(0, 4);
  bool opposite = !between(0, 3);
  uint32_t *filter =
      packed(outputs * (size_t)(o.kernel_height * o.kernel_width), depth, opposite ? PLUS : RANDOM);
  uint32_t *input =
      packed((size_t)(in.batch * in.height * in.width), o.channels_in, opposite ? MINUS : RANDOM);
  float *factors = room(2 * outputs, sizeof *factors), *biases = factors + outputs;
  int32_t *thresholds = room(outputs, sizeof *thresholds);
  for (size_t c = 0; c < outputs; c++) {
    factors[c] = number(wild), biases[c] = 8 * number(wild);
    thresholds[c] = depth * o.kernel_height * o.kernel_width / 2 + between(-30, 30);
    if (wild && !between(0, 3)) thresholds[c] = between(0, 1) ? INT32_MAX - 5 : INT32_MIN;
  }
  void *got[2];
  size_t bytes = 0;
  for (int i = 0; i < 2; i++) {
    bnn_error error;
    bnn_bconv2d *conv =
        bnn_bconv2d_create(&o, filter, is_packed ? NULL : factors, is_packed ? NULL : biases,
                           is_packed ? thresholds : NULL, isas[i], &error);
    if (!conv || !bnn_bconv2d_reshape(conv, in, &out, &error)) {
      fprintf(stderr, "%s\n", error.text);
      exit(2);
    }
    bytes = (size_t)(out.batch * out.height * out.width);
    bytes *= is_packed ? (outputs + 31) / 32 * 4 : outputs * (o.output == BNN_int8 ? 1 : 4);
    got[i] = room(bytes, 1);
    bnn_bconv2d_run(conv, input, got[i], NULL);
    bnn_bconv2d_free(conv);
  }
  bool agree = same(got[0], got[1], bytes, o.output);
  if (!agree)
    printf("type %d, channels %d to %d in %d groups, %d × %d taps, padding %d, activation %d\n",
           o.output, o.channels_in, o.channels_out, o.groups, o.kernel_height, o.kernel_width,
           o.padding, o.activation);
  free(filter), free(input), free(factors), free(thresholds), free(got[0]), free(got[1]);
  return agree;
}

static bool quantizations_agree(void) {
  static const bnn_type types[] = {BNN_float32, BNN_int8, BNN_bool};
  bnn_type type = types[between(0, 2)];
  size_t rows = (size_t)between(1, 5), channels = (size_t)between(1, 300);
  size_t words = (channels + 31) / 32, size = type == BNN_float32 ? sizeof(float) : 1;
  int32_t zero_point = between(-128, 127);
  char *values = room(rows * channels, size), *back[2];
  uint32_t *got[2];
  for (size_t i = 0; i < rows * channels; i++)
    if (type == BNN_float32)
      ((float *)(void *)values)[i] = number(true);
    else
      values[i] = (char)(type == BNN_bool ? between(0, 2) : between(-2, 2) + zero_point);
  for (int i = 0; i < 2; i++) {
    bnn_quantize_options quantize = {type, zero_point, rows, channels};
    bnn_dequantize_options dequantize = {type, 0.3f, zero_point, rows, channels};
    got[i] = room(rows * words, sizeof **got), back[i] = room(rows * channels, size);
    bnn_quantize(&quantize, values, got[i], isas[i], NULL);
    bnn_dequantize(&dequantize, got[i], back[i], isas[i], NULL);
  }
  bool agree = !memcmp(got[0], got[1], rows * words * sizeof **got) &&
               !memcmp(back[0], back[1], rows * channels * size);
  if (!agree) printf("quantize, type %d, %zu rows of %zu channels\n", type, rows, channels);
  free(values), free(got[0]), free(got[1]), free(back[0]), free(back[1]);
  return agree;
}

static bool pools_agree(void) {
  bnn_bmaxpool2d_options o = {.words = between(1, 9), .same = between(0, 1)};
  o.filter_height = between(1, 4), o.filter_width = between(1, 4);
  o.stride_height = between(1, 5), o.stride_width = between(1, 5);
  bnn_image_shape in = {between(1, 2), between(4, 9), between(4, 9)}, out;
  bnn_error error;
  if (!bnn_bmaxpool2d_shape(&o, in, &out, &error)) exit(2);
  size_t words = (size_t)(out.batch * out.height * out.width * o.words);
  uint32_t *input = packed((size_t)(in.batch * in.height * in.width), 32 * o.words, RANDOM),
           *got[2];
  for (int i = 0; i < 2; i++) {
    got[i] = room(words, sizeof **got);
    bnn_bmaxpool2d(&o, in, input, got[i], isas[i], NULL);
  }
  bool agree = !memcmp(got[0], got[1], words * sizeof **got);
  if (!agree) printf("pool %d × %d, %d words\n", o.filter_height, o.filter_width, o.words);
  free(input), free(got[0]), free(got[1]);
  return agree;
}

int main(int count, char **arguments) {
  bnn_error error;
  if (count != 3 || !bnn_isa_choose(arguments[1], &isas[1], &error)) {
    fprintf(stderr, "isa_against_portable ISA CASES; ISA has to be here\n");
    return 2;
  }
  for (uint32_t seed = 1; seed <= (uint32_t)atoi(arguments[2]); seed++) {
    state = seed * 2654435761u;
    for (int i = 0; i < 9; i++) next_random();
    if (convolutions_agree() && quantizations_agree() && pools_agree()) continue;
    printf("seed %u: %s differs from portable\n", seed, arguments[1]);
    return 1;
  }
  return 0;
}
