#include "isa.h"

#define BNN_KERNEL(op, type, isa) {BNN_##isa, #op " " #type " " #isa},
static const struct {
  bnn_isa isa;
  const char *name;
} kernels[] = {
#include "bconv2d/kernels.inc"
#include "bmaxpool2d/kernels.inc"
#include "dequantize/kernels.inc"
#include "quantize/kernels.inc"
};

const char *bnn_kernel_name(size_t index) {
  for (size_t i = 0; i < sizeof kernels / sizeof *kernels; i++)
    if (bnn_isa_runs_here(kernels[i].isa) && index-- == 0) return kernels[i].name;
  return NULL;
}
