#include "profile.h"

#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

#include "isa.h"
#include "memory.h"

/* `kept` is read without the lock, so that operators pay next to nothing while there is no log. */
static atomic_bool kept;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static bnn_event *events;
static size_t count, most;

static int64_t now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

bool bnn_profile_start(size_t capacity, bnn_error *error) {
  pthread_mutex_lock(&lock);
  void *memory = NULL;
  bool started = !kept && bnn_allocate(&memory, sizeof *events, capacity, 1, 1, error);
  if (kept)
    bnn_fail(error, "A profile is being taken already");
  else if (!started)
    bnn_fail_memory(error, "Not enough memory for %zu events", capacity);
  if (started) events = memory, count = 0, most = capacity, kept = true;
  pthread_mutex_unlock(&lock);
  return started;
}

size_t bnn_profile_stop(bnn_event *copy, size_t capacity) {
  pthread_mutex_lock(&lock);
  size_t found = count;
  kept = false;
  for (size_t i = 0; i < found && i < most && i < capacity; i++) copy[i] = events[i];
  bnn_release(events);
  events = NULL, count = most = 0;
  pthread_mutex_unlock(&lock);
  return found;
}

int64_t bnn_profile_now(void) { return kept ? now() : 0; }

void bnn_profile_enter(int node, int64_t start) {
  int64_t end = now();
  pthread_mutex_lock(&lock);
  if (kept && count++ < most) events[count - 1] = (bnn_event){node, start, end};
  pthread_mutex_unlock(&lock);
}
