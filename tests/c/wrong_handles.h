/* What the tests of handles share: every kind of wrong handle, and a check that each is refused. */
#ifndef WRONG_HANDLES_H
#define WRONG_HANDLES_H

#include "check.h"

/* What a handle can be when it is not the right one. */
enum { IS_NULL, IS_STALE, IS_FOREIGN, IS_SMALL, IS_ADDRESS, IS_ALL_ONES, IS_NEAR, WRONG_COUNT };

static void *wrong[WRONG_COUNT];

static void *as_handle(uintptr_t bits) { return (void *)bits; }

/* Sets the wrong handles for a type: `stale` was one of it, `live` is one, `foreign` another's. */
static void prepare(void *stale, void *live, void *foreign) {
    static int somewhere;
    wrong[IS_NULL] = NULL;
    wrong[IS_STALE] = stale;
    wrong[IS_FOREIGN] = foreign;
    wrong[IS_SMALL] = as_handle(1);
    wrong[IS_ADDRESS] = &somewhere;
    wrong[IS_ALL_ONES] = as_handle(UINTPTR_MAX);
    /* The handle that the slot of a live one will have next. */
    wrong[IS_NEAR] = as_handle((uintptr_t)live + ((uintptr_t)1 << 32));
}

/* The call, in which `handle` is a wrong one of the type, is refused for each of them. */
#define REFUSED(type, call)                                                                        \
    do {                                                                                           \
        int which;                                                                                 \
        for (which = 0; which < WRONG_COUNT; which++) {                                            \
            type *handle = (type *)wrong[which];                                                   \
            CHECK_STATUS(SL_ERROR_INVALID_HANDLE, call);                                           \
            CHECK(last_error_says("expected the handle of an " #type));                            \
        }                                                                                          \
    } while (0)

#endif
