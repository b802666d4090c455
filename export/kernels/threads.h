/* Splits a loop over the threads of a pool. */
#ifndef BNN_THREADS_H
#define BNN_THREADS_H

#include "keras_bnn.h"

/* Works on items begin … end − 1. */
typedef void bnn_work(void *context, size_t begin, size_t end);

/* Calls `work` for ranges that together are 0 … count − 1, and returns when all are done. Which thread
 * gets which range depends on who is free. */
void bnn_parallel(bnn_threads *threads, size_t count, bnn_work *work, void *context);

#endif
