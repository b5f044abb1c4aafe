/* What the examples of several processes share: a director starts this very program again in other
 * roles, tells each process through a pipe what to do, and hears through another what comes of it.
 * Nothing here is needed to use the library. */
#ifndef PROCESSES_H
#define PROCESSES_H

#include "example.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/types.h>
#include <sys/wait.h>

/* ---- For a process that the director has started ------------------------------------------- */

/* Says one line to the director. */
static inline void say(const char *words) {
    printf("%s\n", words);
    fflush(stdout);
}

static inline void say_gold(const char *words, const SlSaveData *data) {
    printf("%s: %lld gold\n", words, integer_at(data, "/Gold"));
    fflush(stdout);
}

/* Does what a command says; 0 if it was the last one. */
typedef int (*Obey)(void *role, const char *command);

/* Takes the director's next commands, without waiting for any. 0 after the last one, which the
 * director's end is too. */
static inline int take_commands(Obey obey, void *role) {
    static char line[64];
    static size_t length = 0;
    struct pollfd input;
    input.fd = STDIN_FILENO;
    input.events = POLLIN;
    while (poll(&input, 1, 0) > 0) {
        char byte;
        if (read(STDIN_FILENO, &byte, 1) != 1) {
            return 0;
        }
        if (byte != '\n') {
            MUST(length + 1 < sizeof line, "a command that is too long");
            line[length++] = byte;
        } else {
            line[length] = '\0';
            length = 0;
            if (!obey(role, line)) {
                return 0;
            }
        }
    }
    return 1;
}

/* Ends this process as a crash does: nothing is saved, nothing is released, nobody is told. */
static inline void crash(void) { kill(getpid(), SIGKILL); }

/* ---- For the director ---------------------------------------------------------------------- */

/* Another process as the director sees it. */
typedef struct Process {
    const char *name;
    pid_t pid;
    int commands;
    int words;
    char heard[4096];
    size_t length;
} Process;

static inline void keep_from_children(int file) {
    MUST(fcntl(file, F_SETFD, FD_CLOEXEC) == 0, "a pipe cannot be set up");
}

/* Runs `program ROLE NAME URL`. */
static inline void start(Process *process, const char *program, const char *role, const char *name,
                         const char *url) {
    int commands[2], words[2];
    signal(SIGPIPE, SIG_IGN);
    printf("\n%s starts.\n", name);
    fflush(stdout);
    memset(process, 0, sizeof *process);
    MUST(pipe(commands) == 0 && pipe(words) == 0, "no pipe can be made");
    keep_from_children(commands[1]);
    keep_from_children(words[0]);
    process->name = name;
    process->commands = commands[1];
    process->words = words[0];
    process->pid = fork();
    MUST(process->pid >= 0, "no process can be started");
    if (process->pid == 0) {
        dup2(commands[0], STDIN_FILENO);
        dup2(words[1], STDOUT_FILENO);
        close(commands[0]);
        close(words[1]);
        execlp(program, program, role, name, url, (char *)NULL);
        perror(program);
        _exit(EXIT_FAILURE);
    }
    close(commands[0]);
    close(words[1]);
}

static inline void tell(const Process *process, const char *command) {
    char line[64];
    int length = snprintf(line, sizeof line, "%s\n", command);
    MUST(write(process->commands, line, (size_t)length) == length, "a process does not listen");
}

/* Takes the next line of what was heard if there is a whole one, and prints it. */
static inline int next_line(Process *process, char *line, size_t capacity) {
    char *end = (char *)memchr(process->heard, '\n', process->length);
    size_t length;
    if (end == NULL) {
        return 0;
    }
    length = (size_t)(end - process->heard);
    MUST(length < capacity, "a line that is too long");
    memcpy(line, process->heard, length);
    line[length] = '\0';
    process->length -= length + 1;
    memmove(process->heard, end + 1, process->length);
    printf("  %s %s\n", process->name, line);
    fflush(stdout);
    return 1;
}

/* Hears more, for at most a moment; 0 if the process has said its last. */
static inline int hear_more(Process *process, double deadline) {
    struct pollfd output;
    ssize_t got;
    MUST(monotonic_s() < deadline, "a process says nothing more");
    output.fd = process->words;
    output.events = POLLIN;
    if (poll(&output, 1, 100) <= 0) {
        return 1;
    }
    got = read(process->words, process->heard + process->length,
               sizeof process->heard - process->length);
    MUST(got >= 0, "a process cannot be heard");
    process->length += (size_t)got;
    return got > 0;
}

/* Hears what the process says, until it says `words`. A line that begins like them, up to the
 * colon, must be them. */
static inline void hear(Process *process, const char *words) {
    const char *colon = strchr(words, ':');
    size_t begins = colon == NULL ? strlen(words) : (size_t)(colon - words);
    double deadline = monotonic_s() + PATIENCE_S;
    for (;;) {
        char line[512];
        while (next_line(process, line, sizeof line)) {
            if (strncmp(line, words, begins) == 0) {
                if (strcmp(line, words) != 0) {
                    fprintf(stderr, "it should be: %s\n", words);
                }
                MUST(strcmp(line, words) == 0, "a process says something else");
                return;
            }
        }
        MUST(hear_more(process, deadline), "a process has ended too early");
    }
}

/* Hears the process to its end, and gives how it has ended. */
static inline int end_of(Process *process) {
    double deadline = monotonic_s() + PATIENCE_S;
    char line[512];
    int status = 0;
    pid_t ended;
    do {
        while (next_line(process, line, sizeof line)) {
        }
    } while (hear_more(process, deadline));
    do {
        ended = waitpid(process->pid, &status, 0);
    } while (ended < 0 && errno == EINTR);
    MUST(ended == process->pid, "a process cannot be waited for");
    close(process->commands);
    close(process->words);
    return status;
}

/* Waits until a process that is to crash has crashed. */
static inline void must_crash(Process *process) {
    int status = end_of(process);
    MUST(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL, "a process ended by itself");
}

static inline void stop(Process *process) {
    int status;
    tell(process, "stop");
    hear(process, "has shut down");
    status = end_of(process);
    MUST(WIFEXITED(status) && WEXITSTATUS(status) == EXIT_SUCCESS, "a process has failed");
}

/* Prints the record under a key, and gives it for reading; NULL if there is none. */
static inline SlSaveData *stored(const char *url, const char *key) {
    SlStorage *storage = NULL;
    SlSaveData *data = NULL;
    SlBuffer bytes;
    OK(locker_storage_open(TEXT(url), &storage));
    show_record(storage, key, &bytes);
    if (bytes.length > 0) {
        OK(save_data_parse(bytes.data, bytes.length, &data));
    }
    session_locker_buffer_free(&bytes);
    OK(locker_storage_destroy(storage));
    return data;
}

/* Whether a record has something at a place. */
static inline int has(const SlSaveData *data, const char *pointer) {
    int32_t is_there = 0;
    OK(save_data_contains(data, TEXT(pointer), &is_there));
    return is_there;
}

#endif
