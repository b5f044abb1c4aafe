/* What the C tests share: checks that say where they failed, and a count at the end. */
#ifndef CHECK_H
#define CHECK_H

#include "session_locker.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A literal as the pointer and length of a text parameter. */
#define T(literal) (literal), (sizeof(literal) - 1)
/* A text that ends with a NUL, as the two. */
#define Z(text) (text), SL_NUL_TERMINATED

/* A whole document that nobody has stored yet; `fields` are the player's, each after a comma. */
#define DOCUMENT(fields) "{\"VersionPatch\":0,\"Purchases\":[],\"ProductCredit\":[]" fields "}"

static int checks_passed = 0;
static int checks_failed = 0;

static void check(int holds, const char *what, const char *file, int line) {
    if (holds) {
        checks_passed++;
        return;
    }
    checks_failed++;
    fprintf(stderr, "%s:%d: %s does not hold\n", file, line, what);
}

static void check_status(SlStatus expected, SlStatus got, const char *call, const char *file,
                         int line) {
    char message[256];
    if (expected == got) {
        checks_passed++;
        return;
    }
    checks_failed++;
    session_locker_last_error(message, sizeof message);
    fprintf(stderr, "%s:%d: %s gave %s instead of %s (last error: %s)\n", file, line, call,
            session_locker_status_name(got), session_locker_status_name(expected), message);
}

#define CHECK(condition) check((condition) ? 1 : 0, #condition, __FILE__, __LINE__)
#define CHECK_STATUS(expected, call) check_status((expected), (call), #call, __FILE__, __LINE__)
#define OK(call) CHECK_STATUS(SL_OK, call)

/* Whether this thread's last message has these words in it. */
static int last_error_says(const char *words) {
    char message[512];
    session_locker_last_error(message, sizeof message);
    if (strstr(message, words) != NULL) {
        return 1;
    }
    fprintf(stderr, "the last error is: %s\n", message);
    return 0;
}

/* Whether a buffer holds this text and ends with a NUL; frees it. */
static int buffer_is(SlBuffer *buffer, const char *text) {
    int same = buffer->data != NULL && buffer->length == strlen(text) &&
               strcmp(buffer->data, text) == 0;
    if (!same) {
        fprintf(stderr, "the text is: %s\n", buffer->data == NULL ? "NULL" : buffer->data);
    }
    session_locker_buffer_free(buffer);
    return same;
}

/* Whether the save data is this JSON; "" names the whole document. */
static int json_is(SlSaveData *data, const char *pointer, const char *json) {
    SlBuffer buffer;
    if (save_data_get_json(data, Z(pointer), &buffer) != SL_OK) {
        return last_error_says("?");
    }
    return buffer_is(&buffer, json);
}

/* The end of a test program: its report and its exit status. */
static int finish(const char *program) {
    /* Not every program uses every part of this file. */
    (void)last_error_says;
    (void)buffer_is;
    (void)json_is;
    (void)check_status;
    printf("%-16s %4d passed, %d failed\n", program, checks_passed, checks_failed);
    return checks_failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

#endif
