#include "isa.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const char *const names[] = {"portable", "avx2", "avx512", "neon"};
enum { COUNT = sizeof names / sizeof *names };

bool bnn_isa_runs_here(bnn_isa isa) {
#if BNN_X86
  /* The compiler's own test asks the operating system, too, whether it saves the registers. */
  if (isa == BNN_avx2) return __builtin_cpu_supports("avx2");
  if (isa == BNN_avx512)
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512vpopcntdq");
#elif BNN_ARM64
  /* Every 64-bit ARM processor that runs Linux or Android has it. */
  if (isa == BNN_neon) return true;
#endif
  return isa == BNN_portable;
}

const char *bnn_isa_available(size_t index) {
  for (int isa = COUNT - 1; isa >= 0; isa--)
    if (bnn_isa_runs_here((bnn_isa)isa) && index-- == 0) return names[isa];
  return NULL;
}

bool bnn_isa_choose(const char *name, bnn_isa *isa, bnn_error *error) {
  for (int i = COUNT - 1; i >= 0; i--)
    if (bnn_isa_runs_here((bnn_isa)i) && (!name || !*name || !strcmp(name, names[i]))) {
      *isa = (bnn_isa)i;
      return true;
    }
  char list[64] = "";
  const char *available;
  for (size_t i = 0; (available = bnn_isa_available(i)); i++) {
    if (i) strcat(list, ", ");
    strcat(list, available);
  }
  return bnn_fail(error, "Instruction set '%.40s' is not available here, expected one of: %s", name,
                  list);
}

bool bnn_fail(bnn_error *error, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(error->text, sizeof error->text, format, arguments);
  va_end(arguments);
  return false;
}
