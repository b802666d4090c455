#include "quantize.h"

#include "threads.h"

#define BNN_KERNEL(op, type, isa) {BNN_##isa, BNN_##type, bnn_##op##_##type##_##isa},
static const struct {
  bnn_isa isa;
  bnn_type type;
  bnn_quantize_kernel *run;
} kernels[] = {
#include "kernels.inc"
};
#undef BNN_KERNEL

struct job {
  const bnn_quantize_options *options;
  const char *values;
  uint32_t *words;
  bnn_quantize_kernel *run;
};

static void quantize_rows(void *context, size_t begin, size_t end) {
  const struct job *job = context;
  size_t channels = job->options->channels;
  size_t value = job->options->input == BNN_float32 ? sizeof(float) : 1;
  job->run(job->values + begin * channels * value, job->options->zero_point, end - begin, channels,
           job->words + begin * ((channels + 31) / 32));
}

void bnn_quantize(const bnn_quantize_options *options, const void *values, uint32_t *words,
                  bnn_isa isa, bnn_threads *threads) {
  struct job job = {options, values, words, NULL};
  for (size_t i = 0; !job.run; i++)
    if (kernels[i].isa <= isa && kernels[i].type == options->input) job.run = kernels[i].run;
  bnn_parallel(threads, options->rows, quantize_rows, &job);
}
