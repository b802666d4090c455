/* The log of when operators ran, while one is kept. */
#ifndef BNN_PROFILE_H
#define BNN_PROFILE_H

#include "keras_bnn.h"

/* Nanoseconds of the monotonic clock; 0 while no log is kept. */
int64_t bnn_profile_now(void);

/* Enters that a node began at `start`, which is not 0, and ends now. */
void bnn_profile_enter(int node, int64_t start);

#endif
