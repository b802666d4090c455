/* The 1-bit operators of Larq Compute Engine (LCE) as plain C functions.
 *
 * Layouts: activations are NHWC and kernels OHWI, both packed along the last axis: bit i (least
 * significant first) of word j is channel 32·j + i; a bit of 0 is +1 and a bit of 1 is −1. Every
 * pixel starts a new word; the bits past its last channel are 0. `../FORMAT.md` says the rest.
 *
 * Memory: the caller owns all arrays, which need no alignment beyond that of their elements; none
 * is read or written past its end. Inputs and outputs must not overlap.
 *
 * Errors: a function that can fail takes a `bnn_error`, writes one line there and returns false
 * (or NULL). Nothing else is reported or printed.
 *
 * Results do not depend on the instruction set or the number of threads, not by one bit.
 */
#ifndef KERAS_BNN_H
#define KERAS_BNN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BNN_API __attribute__((visibility("default")))

typedef struct {
  char text[256];
} bnn_error;

/* What one element of a tensor is. */
typedef enum { BNN_float32, BNN_int8, BNN_bool, BNN_packed } bnn_type;

/* Instruction sets, each better than the ones before it where the processor has it. */
typedef enum { BNN_portable, BNN_avx2, BNN_avx512, BNN_neon } bnn_isa;

/* The name of an instruction set that this processor and this library have, best first; NULL from
 * some `index` on. */
BNN_API const char *bnn_isa_available(size_t index);

/* Chooses an instruction set by name; the best one if `name` is NULL or empty. */
BNN_API bool bnn_isa_choose(const char *name, bnn_isa *isa, bnn_error *error);

/* A line "operator type isa" for each kernel that runs here; NULL from some `index` on. */
BNN_API const char *bnn_kernel_name(size_t index);

/* Threads that share the work of one call at a time. NULL wherever one is taken: the caller's
 * thread works alone. */
typedef struct bnn_threads bnn_threads;
BNN_API bnn_threads *bnn_threads_create(int count, bnn_error *error);
BNN_API void bnn_threads_free(bnn_threads *threads);

/* LceQuantize: packs rows of `channels` values, channels > 0.
 *
 *     bit = 1 if x < zero_point else 0        (float32: zero_point 0; bool: bit = 1 if not x)
 *
 * 0, −0.0 and NaN become +1. Zero points of int8 are −128 to 127. */
typedef struct {
  bnn_type input; /* float32, int8 or bool */
  int32_t zero_point;
  size_t rows, channels;
} bnn_quantize_options;
BNN_API void bnn_quantize(const bnn_quantize_options *options, const void *values, uint32_t *words,
                          bnn_isa isa, bnn_threads *threads);

/* LceDequantize: writes rows of `channels` packed signs out.
 *
 *     float32: ±1     bool: sign > 0     int8: max(−128, min(127, zero_point ± round(1 / scale)))
 */
typedef struct {
  bnn_type output; /* float32, int8 or bool */
  float scale;     /* > 0; of int8 */
  int32_t zero_point;
  size_t rows, channels;
} bnn_dequantize_options;
BNN_API void bnn_dequantize(const bnn_dequantize_options *options, const uint32_t *words,
                            void *values, bnn_isa isa, bnn_threads *threads);

/* LceBMaxPool2d: the largest sign in each window, which is −1 only if all are. Pixels outside of
 * the image count as absent. */
typedef struct {
  int32_t words; /* in a pixel */
  int32_t filter_height, filter_width, stride_height, stride_width;
  bool same; /* padding SAME; else VALID */
} bnn_bmaxpool2d_options;
typedef struct {
  int32_t batch, height, width;
} bnn_image_shape;
/* Computes the shape of the output; false if a value is out of range or no window fits. */
BNN_API bool bnn_bmaxpool2d_shape(const bnn_bmaxpool2d_options *options, bnn_image_shape input,
                                  bnn_image_shape *output, bnn_error *error);
BNN_API void bnn_bmaxpool2d(const bnn_bmaxpool2d_options *options, bnn_image_shape input,
                            const uint32_t *pixels, uint32_t *output, bnn_isa isa,
                            bnn_threads *threads);

/* LceBconv2d. With a = k − 2·different, the ±1 dot product over the k = KH·KW·C / groups signs of
 * a window:
 *
 *     float32:  clamp(a)·multiplier + bias
 *     int8:     round((clamp(a)·multiplier + bias) / scale) + zero_point, halves away from zero
 *     packed:   −1 if different > threshold else +1
 *
 * A pixel outside of the image is +1 (BNN_SAME_ONE) or adds nothing to a (BNN_SAME_ZERO). */
typedef enum { BNN_VALID, BNN_SAME_ONE, BNN_SAME_ZERO } bnn_padding;
typedef enum { BNN_NONE, BNN_RELU, BNN_RELU_N1_TO_1, BNN_RELU6 } bnn_activation;
typedef struct {
  int32_t channels_in, channels_out;
  int32_t groups; /* channels_in / groups is a multiple of 32 unless groups is 1 */
  int32_t kernel_height, kernel_width;
  int32_t stride_height, stride_width;
  int32_t dilation_height, dilation_width;
  bnn_padding padding;
  bnn_activation activation; /* not applied to packed outputs: their thresholds contain it */
  bnn_type output;           /* float32, int8 or packed */
  float scale;               /* > 0; of int8 */
  int32_t zero_point;
} bnn_bconv2d_options;

typedef struct bnn_bconv2d bnn_bconv2d;

/* Packs the kernels for an instruction set. `filter` is packed OHWI; `multiplier` and `bias`, or
 * for packed outputs `threshold`, hold one number an output channel; the others are NULL. All are
 * copied. */
BNN_API bnn_bconv2d *bnn_bconv2d_create(const bnn_bconv2d_options *options, const uint32_t *filter,
                                        const float *multiplier, const float *bias,
                                        const int32_t *threshold, bnn_isa isa, bnn_error *error);
/* Prepares for inputs of a shape, and tells that of the output. */
BNN_API bool bnn_bconv2d_reshape(bnn_bconv2d *conv, bnn_image_shape input, bnn_image_shape *output,
                                 bnn_error *error);
/* Runs on the shape prepared last. One thread at a time may use an object. */
BNN_API void bnn_bconv2d_run(bnn_bconv2d *conv, const uint32_t *input, void *output,
                             bnn_threads *threads);
BNN_API void bnn_bconv2d_free(bnn_bconv2d *conv);

/* When each 1-bit operator of LiteRT's graphs ran, in the order in which they ended, in nanoseconds
 * of the monotonic clock. `node` is the operator's number in its file. One log at a time is kept
 * in a process; float operators run in the gaps. */
typedef struct {
  int32_t node;
  int64_t start, end;
} bnn_event;
/* Starts a log of at most `capacity` events. */
BNN_API bool bnn_profile_start(size_t capacity, bnn_error *error);
/* Ends the log and copies what it has room for; returns how many events there were, which may be
 * more than the log or the copy had room for. */
BNN_API size_t bnn_profile_stop(bnn_event *events, size_t capacity);

#endif
