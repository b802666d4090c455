#include "threads.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

#include "isa.h"

/* Linked on glibc 2.34 or later these two would ask for it, though older ones have them, too. */
#if defined(__GLIBC__) && (defined(__x86_64__) || defined(__aarch64__))
#ifdef __x86_64__
#define OLDEST "GLIBC_2.2.5"
#else
#define OLDEST "GLIBC_2.17"
#endif
__asm__(".symver pthread_create, pthread_create@" OLDEST);
__asm__(".symver pthread_join, pthread_join@" OLDEST);
#endif

/* To wake a thread that sleeps takes about as long as a convolution does, so whoever waits looks
 * first, for as long as float operators usually take between two of ours. */
enum { LOOK_NS = 100000 };

/* The caller is one of `count`. All take items until none is left; so a worker that comes late, for
 * it slept or its core had other work, takes none, and nobody waits for it. */
struct bnn_threads {
  int count;
  bnn_work *work;
  void *context;
  size_t items;
  atomic_size_t left;       /* items that nobody has taken yet; set last, for it starts the work */
  atomic_size_t unfinished; /* items that are not done */
  atomic_bool stopping;
  /* Whoever sleeps counts itself here before a last look, and whoever ends the waiting changes what
   * is looked at before it asks whether somebody sleeps: one of them sees the other. */
  atomic_int workers_asleep, caller_asleep;
  pthread_mutex_t lock;
  pthread_cond_t start, done;
  pthread_t workers[]; /* count − 1 */
};

/* The more is left, the more is taken: large ranges keep what they read in cache, and small ones at
 * the end let all finish together. */
static size_t share_of(const bnn_threads *pool, size_t left) {
  size_t share = left / (2 * (size_t)pool->count);
  return share ? share : 1;
}

static void wake(bnn_threads *pool, atomic_int *asleep, pthread_cond_t *condition) {
  if (!*asleep) return;
  pthread_mutex_lock(&pool->lock);
  pthread_cond_broadcast(condition);
  pthread_mutex_unlock(&pool->lock);
}

static void work(bnn_threads *pool) {
  size_t left = pool->left;
  while (left) {
    size_t share = share_of(pool, left);
    if (!atomic_compare_exchange_weak(&pool->left, &left, left - share)) continue;
    /* From here until these items are done the caller waits, and nothing of the pool changes. */
    size_t begin = pool->items - left;
    pool->work(pool->context, begin, begin + share);
    if (atomic_fetch_sub(&pool->unfinished, share) == share)
      wake(pool, &pool->caller_asleep, &pool->done);
    left = pool->left;
  }
}

static bool is_started(bnn_threads *pool) { return pool->left || pool->stopping; }

static bool is_done(bnn_threads *pool) { return !pool->unfinished; }

static int64_t now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

static void pause_core(void) {
#if BNN_X86
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ volatile("yield");
#endif
}

static void await(bnn_threads *pool, bool (*has_happened)(bnn_threads *), atomic_int *asleep,
                  pthread_cond_t *condition) {
  int64_t end = now() + LOOK_NS;
  do {
    for (int i = 0; i < 32; i++) {
      if (has_happened(pool)) return;
      pause_core();
    }
  } while (now() < end);
  pthread_mutex_lock(&pool->lock);
  ++*asleep;
  while (!has_happened(pool)) pthread_cond_wait(condition, &pool->lock);
  --*asleep;
  pthread_mutex_unlock(&pool->lock);
}

static void *worker_loop(void *argument) {
  bnn_threads *pool = argument;
  while (!pool->stopping) {
    work(pool);
    await(pool, is_started, &pool->workers_asleep, &pool->start);
  }
  return NULL;
}

static void stop(bnn_threads *pool, int workers) {
  pool->stopping = true;
  wake(pool, &pool->workers_asleep, &pool->start);
  for (int i = 0; i < workers; i++) pthread_join(pool->workers[i], NULL);
  pthread_cond_destroy(&pool->done);
  pthread_cond_destroy(&pool->start);
  pthread_mutex_destroy(&pool->lock);
  free(pool);
}

bnn_threads *bnn_threads_create(int count, bnn_error *error) {
  enum { MOST = 1024 };
  if (count < 1 || count > MOST) {
    bnn_fail(error, "Got %d threads, expected 1 to %d", count, MOST);
    return NULL;
  }
  bnn_threads *pool = calloc(1, sizeof *pool + (size_t)(count - 1) * sizeof *pool->workers);
  if (!pool) {
    bnn_fail(error, "Not enough memory for %d threads", count);
    return NULL;
  }
  pool->count = count;
  pthread_mutex_init(&pool->lock, NULL);
  pthread_cond_init(&pool->start, NULL);
  pthread_cond_init(&pool->done, NULL);
  for (int i = 0; i < count - 1; i++)
    if (pthread_create(&pool->workers[i], NULL, worker_loop, pool)) {
      stop(pool, i);
      bnn_fail(error, "The system starts only %d of %d threads: ask for fewer", i + 1, count);
      return NULL;
    }
  return pool;
}

void bnn_threads_free(bnn_threads *threads) {
  if (threads) stop(threads, threads->count - 1);
}

void bnn_parallel(bnn_threads *threads, size_t count, bnn_work *function, void *context) {
  if (!threads || threads->count == 1 || count < 2) {
    if (count) function(context, 0, count);
    return;
  }
  threads->work = function;
  threads->context = context;
  threads->items = count;
  threads->unfinished = count;
  threads->left = count;
  wake(threads, &threads->workers_asleep, &threads->start);
  work(threads);
  await(threads, is_done, &threads->caller_asleep, &threads->done);
}
