// Loaded into a process that may crash: writes the libraries on its stack to stderr when it does.
#define _GNU_SOURCE
#include <execinfo.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

static void on_crash(int number) {
  static const char mark[] = "stack of the crash:\n";
  void *frames[64];
  if (write(STDERR_FILENO, mark, sizeof mark - 1) > 0)
    backtrace_symbols_fd(frames, backtrace(frames, 64), STDERR_FILENO);
  raise(number);
}

__attribute__((constructor)) static void install(void) {
  // Of its own, because what overflows may be the stack.
  static char room[1 << 16];
  stack_t stack = {.ss_sp = room, .ss_size = sizeof room};
  sigaltstack(&stack, NULL);
  struct sigaction action = {.sa_handler = on_crash, .sa_flags = SA_ONSTACK | SA_RESETHAND};
  const int numbers[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT};
  for (unsigned i = 0; i < sizeof numbers / sizeof *numbers; i++)
    sigaction(numbers[i], &action, NULL);
  // The first call loads libgcc, which must not happen in a handler.
  void *frame;
  backtrace(&frame, 1);
}
