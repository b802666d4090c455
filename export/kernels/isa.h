/* Which instruction sets exist here, and how a kernel's name is spelled. */
#ifndef BNN_ISA_H
#define BNN_ISA_H

#include "keras_bnn.h"

/* One line of a `kernels.inc`: the kernel bnn_<operator>_<type>_<isa>. Each operator lists its
 * kernels once, best first, and includes the list to declare them and to choose among them. */
#if defined(__x86_64__) || defined(_M_X64)
#define BNN_X86 1
#else
#define BNN_X86 0
#endif
#if defined(__aarch64__) && !defined(__AARCH64EB__)
#define BNN_ARM64 1
#else
#define BNN_ARM64 0
#endif

bool bnn_isa_runs_here(bnn_isa isa);

/* Writes one line to `error`; returns false, for `return bnn_fail(…)`. */
__attribute__((format(printf, 2, 3))) bool bnn_fail(bnn_error *error, const char *format, ...);

#endif
