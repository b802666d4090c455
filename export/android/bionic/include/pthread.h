#pragma once
#include <stdint.h>

/* Sizes of libc/include/bits/pthread_types.h, where __LP64__. They are aligned there as int32_t
 * is; more does no harm, and tests with glibc in the place of Android's libc need it. */
typedef struct {
  _Alignas(8) int32_t reserved[10];
} pthread_mutex_t;
typedef struct {
  _Alignas(8) int32_t reserved[12];
} pthread_cond_t;
typedef long pthread_t;
typedef long pthread_mutexattr_t, pthread_condattr_t;
typedef struct pthread_attr_t pthread_attr_t;

#define PTHREAD_MUTEX_INITIALIZER \
  {                               \
    { 0 }                         \
  }

int pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*start)(void *),
                   void *argument);
int pthread_join(pthread_t thread, void **result);
int pthread_mutex_init(pthread_mutex_t *mutex, const pthread_mutexattr_t *attributes);
int pthread_mutex_destroy(pthread_mutex_t *mutex);
int pthread_mutex_lock(pthread_mutex_t *mutex);
int pthread_mutex_unlock(pthread_mutex_t *mutex);
int pthread_cond_init(pthread_cond_t *condition, const pthread_condattr_t *attributes);
int pthread_cond_destroy(pthread_cond_t *condition);
int pthread_cond_wait(pthread_cond_t *condition, pthread_mutex_t *mutex);
int pthread_cond_signal(pthread_cond_t *condition);
int pthread_cond_broadcast(pthread_cond_t *condition);
