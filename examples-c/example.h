/* What the examples share: checks that end the program, two clocks, and a folder for temporary
 * files. Nothing here is needed to use the library. */
#ifndef EXAMPLE_H
#define EXAMPLE_H

#include "session_locker.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* A text that ends with a NUL, as the pointer and the length that a parameter takes. */
#define TEXT(text) (text), SL_NUL_TERMINATED

/* Calls a function of the library, and ends the program if its status is not SL_OK. */
#define OK(call) example_ok((call), #call, __FILE__, __LINE__)

/* Ends the program unless something is as it must be; `otherwise` says what is wrong. */
#define MUST(condition, otherwise) example_must((condition) ? 1 : 0, (otherwise), __FILE__, __LINE__)

/* How long anything in an example may take, in seconds, before it counts as stuck. */
#define PATIENCE_S 60.0

static inline void example_must(int holds, const char *otherwise, const char *file, int line) {
    if (!holds) {
        fflush(stdout);
        fprintf(stderr, "%s:%d: %s\n", file, line, otherwise);
        exit(EXIT_FAILURE);
    }
}

static inline void example_ok(SlStatus status, const char *call, const char *file, int line) {
    char message[512];
    if (status != SL_OK) {
        session_locker_last_error(message, sizeof message);
        fflush(stdout);
        fprintf(stderr, "%s:%d: %s\n  gave %s: %s\n", file, line, call,
                session_locker_status_name(status), message);
        exit(EXIT_FAILURE);
    }
}

/* Seconds that never run backwards. On Linux the time that the machine sleeps counts too. */
static inline double monotonic_s(void) {
#ifdef CLOCK_BOOTTIME
    clockid_t id = CLOCK_BOOTTIME;
#else
    clockid_t id = CLOCK_MONOTONIC;
#endif
    struct timespec now;
    MUST(clock_gettime(id, &now) == 0, "the clock cannot be read");
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* Unix seconds. */
static inline double wall_s(void) {
    struct timespec now;
    MUST(clock_gettime(CLOCK_REALTIME, &now) == 0, "the clock cannot be read");
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static inline void sleep_s(double seconds) {
    struct timespec time;
    time.tv_sec = (time_t)seconds;
    time.tv_nsec = (long)((seconds - (double)time.tv_sec) * 1e9);
    nanosleep(&time, NULL);
}

/* One frame of a game server: the game, here nothing; the store; a rest. */
static inline void frame(const SlEasyStore *store) {
    OK(easy_store_update(store, monotonic_s()));
    sleep_s(0.005);
}

/* Frames until something has happened, which `flag` says. */
static inline void frames_until(const SlEasyStore *store, const int *flag, const char *otherwise) {
    double deadline = monotonic_s() + PATIENCE_S;
    while (!*flag) {
        MUST(monotonic_s() < deadline, otherwise);
        frame(store);
    }
}

/* An integer of a save data. */
static inline long long integer_at(const SlSaveData *data, const char *pointer) {
    int64_t value = 0;
    OK(save_data_get_i64(data, TEXT(pointer), &value));
    return (long long)value;
}

/* Removes a folder of `parent` with all that is in it. */
static inline void remove_folder(int parent, const char *name) {
    int file = openat(parent, name, O_RDONLY | O_DIRECTORY);
    DIR *folder = file < 0 ? NULL : fdopendir(file);
    struct dirent *entry;
    while (folder != NULL && (entry = readdir(folder)) != NULL) {
        int is_inside = strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
        if (is_inside && unlinkat(file, entry->d_name, 0) != 0) {
            remove_folder(file, entry->d_name);
        }
    }
    if (folder != NULL) {
        closedir(folder);
    }
    unlinkat(parent, name, AT_REMOVEDIR);
}

static char example_folder[512];

static inline void remove_temporary_folder(void) { remove_folder(AT_FDCWD, example_folder); }

/* A folder that is removed, with all that is in it, when the program ends. */
static inline const char *temporary_folder(void) {
    const char *where = getenv("TMPDIR");
    if (example_folder[0] == '\0') {
        int length = snprintf(example_folder, sizeof example_folder, "%s/session-locker-XXXXXX",
                              where != NULL && where[0] != '\0' ? where : "/tmp");
        MUST(length > 0 && (size_t)length < sizeof example_folder, "TMPDIR is too long");
        MUST(mkdtemp(example_folder) != NULL, "no folder for temporary files can be made");
        atexit(remove_temporary_folder);
    }
    return example_folder;
}

/* Where an example keeps its records: the storage URL in its first argument, or else in
 * SESSION_LOCKER_STORAGE, or else a temporary database. */
static inline const char *storage_url(int argc, char **argv) {
    static char url[600];
    const char *given = argc > 1 ? argv[1] : getenv("SESSION_LOCKER_STORAGE");
    if (given != NULL && given[0] != '\0') {
        return given;
    }
    snprintf(url, sizeof url, "sqlite:%s/saves.db", temporary_folder());
    return url;
}

/* Prints what a storage has under a key, and gives it back if `bytes` is not NULL. */
static inline void show_record(const SlStorage *storage, const char *key, SlBuffer *bytes) {
    int32_t is_present = 0;
    SlBuffer value, revision, user_ids;
    OK(locker_storage_fetch(storage, TEXT(key), PATIENCE_S, &is_present, &value, &revision,
                            &user_ids));
    if (is_present) {
        printf("  %s: %s\n  for the users %s\n", key, value.data, user_ids.data);
    } else {
        printf("  %s: nothing\n", key);
    }
    session_locker_buffer_free(&revision);
    session_locker_buffer_free(&user_ids);
    if (bytes != NULL) {
        *bytes = value;
    } else {
        session_locker_buffer_free(&value);
    }
}

#endif
