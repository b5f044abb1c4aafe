/* How threads wait for each other. */
#ifndef PATIENCE_H
#define PATIENCE_H

#include <sched.h>
#include <time.h>

/* Lets the other threads work. Whether to try again: for a minute from the first call on, which finds `*since_s`
 * zero. */
static int has_patience(double *since_s) {
    struct timespec now;
    double now_s;
    sched_yield();
    if (clock_gettime(CLOCK_MONOTONIC, &now) != 0) {
        return 0;
    }
    now_s = (double)now.tv_sec + (double)now.tv_nsec / 1e9;
    if (*since_s == 0) {
        *since_s = now_s;
    }
    return now_s - *since_s < 60;
}

#endif
