/* How threads wait for each other. */
#ifndef PATIENCE_H
#define PATIENCE_H

#include "check.h"

#include <sched.h>
#include <time.h>

/* In seconds, for all waits of a program together. It is never needed unless something is broken. */
#define PATIENCE_S 300

static time_t patience_ends_s;

/* Before the threads are started. */
static void begin_patience(void) {
    struct timespec now;
    CHECK(clock_gettime(CLOCK_MONOTONIC, &now) == 0);
    patience_ends_s = now.tv_sec + PATIENCE_S;
}

/* Lets the other threads work. Whether to try again. */
static int has_patience(void) {
    struct timespec now;
    sched_yield();
    return clock_gettime(CLOCK_MONOTONIC, &now) == 0 && now.tv_sec < patience_ends_s;
}

#endif
