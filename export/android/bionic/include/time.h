#pragma once

typedef int clockid_t;
struct timespec {
  long tv_sec, tv_nsec;
};

#define CLOCK_MONOTONIC 1

int clock_gettime(clockid_t clock, struct timespec *time);
