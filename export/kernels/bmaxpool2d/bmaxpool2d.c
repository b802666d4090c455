#include "bmaxpool2d.h"

#include "threads.h"
#include "window.h"

#define BNN_KERNEL(op, type, isa) {BNN_##isa, bnn_##op##_##type##_##isa},
static const struct {
  bnn_isa isa;
  bnn_bmaxpool2d_kernel *run;
} kernels[] = {
#include "kernels.inc"
};
#undef BNN_KERNEL

static bool windows(const bnn_bmaxpool2d_options *options, bnn_image_shape input, bnn_window *rows,
                    bnn_window *columns, bnn_error *error) {
  return bnn_window_of(rows, "rows", input.height, options->filter_height, options->stride_height,
                       1, options->same, error) &&
         bnn_window_of(columns, "columns", input.width, options->filter_width,
                       options->stride_width, 1, options->same, error);
}

bool bnn_bmaxpool2d_shape(const bnn_bmaxpool2d_options *options, bnn_image_shape input,
                          bnn_image_shape *output, bnn_error *error) {
  bnn_window rows, columns;
  if (options->words < 1 || input.batch < 1)
    return bnn_fail(error, "Got %d words a pixel and %d images, expected 1 or more", options->words,
                    input.batch);
  if (!windows(options, input, &rows, &columns, error)) return false;
  *output = (bnn_image_shape){input.batch, rows.outputs, columns.outputs};
  return true;
}

struct job {
  const bnn_bmaxpool2d_options *options;
  bnn_image_shape input;
  bnn_window rows, columns;
  const uint32_t *pixels;
  uint32_t *output;
  bnn_bmaxpool2d_kernel *run;
};

/* Items are the rows of all output images. */
static void pool_rows(void *context, size_t begin, size_t end) {
  const struct job *job = context;
  size_t words = (size_t)job->options->words, width = (size_t)job->input.width;
  size_t outputs = (size_t)job->rows.outputs, row_words = (size_t)job->columns.outputs * words;
  for (size_t item = begin; item < end; item++) {
    size_t image = item / outputs;
    int first, last;
    bnn_window_taps(&job->rows, (int32_t)(item % outputs), &first, &last);
    int64_t top = bnn_window_start(&job->rows, (int32_t)(item % outputs));
    bnn_bmaxpool2d_row row = {
        .pixels = job->pixels + image * (size_t)job->input.height * width * words,
        .words = words,
        .width = width,
        .first_row = (size_t)(top + first),
        .last_row = (size_t)(top + last),
        .left = (size_t)job->columns.before,
        .filter_width = (size_t)job->options->filter_width,
        .stride = (size_t)job->options->stride_width,
        .outputs = (size_t)job->columns.outputs,
        .output = job->output + item * row_words,
    };
    job->run(&row);
  }
}

void bnn_bmaxpool2d(const bnn_bmaxpool2d_options *options, bnn_image_shape input,
                    const uint32_t *pixels, uint32_t *output, bnn_isa isa, bnn_threads *threads) {
  struct job job = {.options = options, .input = input, .pixels = pixels, .output = output};
  bnn_error ignored; /* `bnn_bmaxpool2d_shape` has told the caller. */
  if (!windows(options, input, &job.rows, &job.columns, &ignored)) return;
  for (size_t i = 0; !job.run; i++)
    if (kernels[i].isa <= isa) job.run = kernels[i].run;
  bnn_parallel(threads, (size_t)input.batch * (size_t)job.rows.outputs, pool_rows, &job);
}
