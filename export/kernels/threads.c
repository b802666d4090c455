#include "threads.h"

#include <pthread.h>
#include <stdlib.h>

#include "isa.h"

/* Linked on glibc 2.34 or later these two would ask for it, though older ones have them, too. */
#if defined(__GLIBC__) && defined(__x86_64__)
__asm__(".symver pthread_create, pthread_create@GLIBC_2.2.5");
__asm__(".symver pthread_join, pthread_join@GLIBC_2.2.5");
#endif

/* The caller is thread 0. A worker sleeps until `round` changes, does its range and counts itself
 * out of `running`. */
struct bnn_threads {
  pthread_mutex_t lock;
  pthread_cond_t start, done;
  int count, running;
  unsigned round;
  bool stopping;
  bnn_work *work;
  void *context;
  size_t items;
  struct worker {
    bnn_threads *pool;
    int index;
    pthread_t thread;
  } workers[];
};

static void run_range(bnn_threads *pool, int index) {
  size_t share = pool->items / pool->count, rest = pool->items % pool->count;
  size_t i = (size_t)index, begin = i * share + (i < rest ? i : rest);
  size_t end = begin + share + (i < rest);
  if (begin < end) pool->work(pool->context, begin, end);
}

static void *worker_loop(void *argument) {
  struct worker *worker = argument;
  bnn_threads *pool = worker->pool;
  unsigned seen = 0;
  pthread_mutex_lock(&pool->lock);
  for (;;) {
    while (pool->round == seen && !pool->stopping) pthread_cond_wait(&pool->start, &pool->lock);
    if (pool->stopping) break;
    seen = pool->round;
    pthread_mutex_unlock(&pool->lock);
    run_range(pool, worker->index);
    pthread_mutex_lock(&pool->lock);
    if (--pool->running == 0) pthread_cond_signal(&pool->done);
  }
  pthread_mutex_unlock(&pool->lock);
  return NULL;
}

static void stop(bnn_threads *pool, int started) {
  pthread_mutex_lock(&pool->lock);
  pool->stopping = true;
  pthread_cond_broadcast(&pool->start);
  pthread_mutex_unlock(&pool->lock);
  for (int i = 1; i < started; i++) pthread_join(pool->workers[i].thread, NULL);
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
  bnn_threads *pool = calloc(1, sizeof *pool + (size_t)count * sizeof *pool->workers);
  if (!pool) {
    bnn_fail(error, "Not enough memory for %d threads", count);
    return NULL;
  }
  pool->count = count;
  pthread_mutex_init(&pool->lock, NULL);
  pthread_cond_init(&pool->start, NULL);
  pthread_cond_init(&pool->done, NULL);
  for (int i = 1; i < count; i++) {
    struct worker *worker = &pool->workers[i];
    *worker = (struct worker){.pool = pool, .index = i};
    if (pthread_create(&worker->thread, NULL, worker_loop, worker)) {
      stop(pool, i);
      bnn_fail(error, "The system starts only %d of %d threads: ask for fewer", i, count);
      return NULL;
    }
  }
  return pool;
}

void bnn_threads_free(bnn_threads *threads) {
  if (threads) stop(threads, threads->count);
}

void bnn_parallel(bnn_threads *threads, size_t count, bnn_work *work, void *context) {
  if (!threads || threads->count == 1 || count < 2) {
    if (count) work(context, 0, count);
    return;
  }
  pthread_mutex_lock(&threads->lock);
  threads->work = work;
  threads->context = context;
  threads->items = count;
  threads->running = threads->count - 1;
  threads->round++;
  pthread_cond_broadcast(&threads->start);
  pthread_mutex_unlock(&threads->lock);
  run_range(threads, 0);
  pthread_mutex_lock(&threads->lock);
  while (threads->running) pthread_cond_wait(&threads->done, &threads->lock);
  pthread_mutex_unlock(&threads->lock);
}
