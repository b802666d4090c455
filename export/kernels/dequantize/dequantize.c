#include "dequantize.h"

#include <math.h>

#include "threads.h"

#define BNN_KERNEL(op, type, isa) {BNN_##isa, BNN_##type, bnn_##op##_##type##_##isa},
static const struct {
  bnn_isa isa;
  bnn_type type;
  bnn_dequantize_kernel *run;
} kernels[] = {
#include "kernels.inc"
};
#undef BNN_KERNEL

struct job {
  const bnn_dequantize_options *options;
  const uint32_t *words;
  char *values;
  const void *minus, *plus;
  bnn_dequantize_kernel *run;
};

static void dequantize_rows(void *context, size_t begin, size_t end) {
  const struct job *job = context;
  size_t channels = job->options->channels;
  size_t value = job->options->output == BNN_float32 ? sizeof(float) : 1;
  job->run(job->words + begin * ((channels + 31) / 32), end - begin, channels, job->minus,
           job->plus, job->values + begin * channels * value);
}

static int8_t saturated(double value) {
  return (int8_t)(value < -128 ? -128 : value > 127 ? 127 : value);
}

void bnn_dequantize(const bnn_dequantize_options *options, const uint32_t *words, void *values,
                    bnn_isa isa, bnn_threads *threads) {
  static const float float_minus = -1, float_plus = 1;
  static const bool bool_minus = false, bool_plus = true;
  int8_t int8_minus = 0, int8_plus = 0;
  struct job job = {.options = options, .words = words, .values = values};
  if (options->output == BNN_float32) {
    job.minus = &float_minus, job.plus = &float_plus;
  } else if (options->output == BNN_bool) {
    job.minus = &bool_minus, job.plus = &bool_plus;
  } else {
    double one = floor((double)(1 / options->scale) + 0.5);
    int8_minus = saturated(options->zero_point - one);
    int8_plus = saturated(options->zero_point + one);
    job.minus = &int8_minus, job.plus = &int8_plus;
  }
  for (size_t i = 0; !job.run; i++)
    if (kernels[i].isa <= isa && kernels[i].type == options->output) job.run = kernels[i].run;
  bnn_parallel(threads, options->rows, dequantize_rows, &job);
}
