/* A storage that the host brings: a folder of files, on a disk of this machine.
 *
 * Each key has a folder, named after it, with two files: the mark, an empty file whose name says at
 * which revision the key is and whether there is a record; and the value of that revision.
 *
 *   player%2Ftom/record@3-4711.9      there is a record, at revision 3-4711.9
 *   player%2Ftom/value@3-4711.9       its user ids and its bytes
 *   player%2Ftom/erased@4-4711.12     or: there has been none since revision 4-4711.12
 *
 * To write is to put the new value beside the old one, and then to rename the mark from the
 * revision that was expected to the next one. Renaming is atomic and fails when the old name is
 * gone: of any number of writers, in any number of processes, exactly one succeeds. A key's first
 * mark comes with the key's folder, which is made aside and renamed into place; that succeeds once.
 * The number of a revision only grows, also across erasure, so none is ever used again. It is told
 * from that of a rival by the writer's process id and a count.
 *
 * A process that is killed while it writes leaves at most a value that no mark names, or a folder
 * aside; nobody reads them.
 */
#ifndef FILES_STORAGE_H
#define FILES_STORAGE_H

#include "example.h"

#include <errno.h>
#include <pthread.h>
#include <sys/stat.h>

#define RECORD "record@"
#define ERASED "erased@"
#define VALUE "value@"
#define NAME_CAPACITY 256
#define REVISION_CAPACITY 65
#define FILE_CAPACITY (REVISION_CAPACITY + 8)
#define USERS_MAX 64

/* ---- The parts of the storage ------------------------------------------------------------ */

typedef enum Kind { FETCH, COMMIT, ERASE } Kind;

/* A request, with copies of what was lent. */
typedef struct Job {
    struct Job *next;
    SlStorageRequest *request;
    Kind kind;
    int32_t expected;
    char name[NAME_CAPACITY]; /* of the key's folder */
    char revision[REVISION_CAPACITY];
    char *value; /* user ids and bytes, as the file has them */
    size_t length;
} Job;

/* Callbacks must not block, and files do: so a thread of the storage's own works through the
 * requests, one after another, and answers each when it is done. */
typedef struct Files {
    int root;
    unsigned count; /* of the revisions that this one has tried to write */
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t has_changed;
    Job *first;
    Job **last;
    int is_closing;
} Files;

/* At which revision a key is. */
typedef struct Mark {
    int is_record;
    char revision[REVISION_CAPACITY]; /* empty: there never was a record */
} Mark;

/* ---- Files ------------------------------------------------------------------------------- */

static inline void join(char *name, const char *begin, const char *revision) {
    snprintf(name, FILE_CAPACITY, "%s%s", begin, revision);
}

static inline unsigned long long number_of(const char *revision) {
    return strtoull(revision, NULL, 10);
}

/* The next revision after one, in this writer's name. */
static inline void next_revision(Files *files, const char *after, char *revision) {
    snprintf(revision, REVISION_CAPACITY, "%llu-%ld.%u", number_of(after) + 1, (long)getpid(),
             ++files->count);
}

/* How often something is looked at that others move on meanwhile. */
#define ATTEMPTS 1000

/* Reads at which revision a key's folder is: 0, or an error number. While a mark is being renamed
 * a listing may show it twice, or miss it; but there always is one. */
static inline int find_mark(int folder, Mark *mark) {
    int attempts;
    for (attempts = 0; attempts < ATTEMPTS; attempts++) {
        struct dirent *entry;
        int file = openat(folder, ".", O_RDONLY | O_DIRECTORY);
        DIR *list = file < 0 ? NULL : fdopendir(file);
        memset(mark, 0, sizeof *mark);
        if (list == NULL) {
            return errno;
        }
        while ((entry = readdir(list)) != NULL) {
            int is_record = strncmp(entry->d_name, RECORD, strlen(RECORD)) == 0;
            int is_erased = strncmp(entry->d_name, ERASED, strlen(ERASED)) == 0;
            const char *revision = entry->d_name + strlen(RECORD);
            if ((is_record || is_erased) && number_of(revision) > number_of(mark->revision)) {
                mark->is_record = is_record;
                snprintf(mark->revision, sizeof mark->revision, "%s", revision);
            }
        }
        closedir(list);
        if (mark->revision[0] != '\0') {
            return 0;
        }
    }
    return EIO;
}

static inline int write_all(int file, const char *bytes, size_t length) {
    while (length > 0) {
        ssize_t written = write(file, bytes, length);
        if (written < 0 && errno != EINTR) {
            return errno;
        }
        if (written > 0) {
            bytes += written;
            length -= (size_t)written;
        }
    }
    return 0;
}

/* Creates a file and makes it durable, save for its name in the folder: 0, or an error number, and
 * then there is no file. */
static inline int create_file(int folder, const char *name, const char *bytes, size_t length) {
    int file = openat(folder, name, O_WRONLY | O_CREAT | O_EXCL, 0600);
    int error;
    if (file < 0) {
        return errno;
    }
    error = write_all(file, bytes, length);
    if (error == 0 && fsync(file) != 0) {
        error = errno;
    }
    close(file);
    if (error != 0) {
        unlinkat(folder, name, 0);
    }
    return error;
}

/* Makes the names in a folder durable: 0 or an error number. */
static inline int sync_folder(int folder) { return fsync(folder) == 0 ? 0 : errno; }

/* Reads a whole file; to be freed. NULL, and errno says why, if that cannot be done. */
static inline char *read_file(int folder, const char *name, size_t *length) {
    struct stat about;
    char *bytes = NULL;
    size_t capacity, at = 0;
    ssize_t got = 1;
    int error, file = openat(folder, name, O_RDONLY);
    if (file < 0) {
        return NULL;
    }
    if (fstat(file, &about) == 0 && (bytes = (char *)malloc((size_t)about.st_size + 1)) != NULL) {
        capacity = (size_t)about.st_size;
        while (at < capacity && got > 0) {
            got = read(file, bytes + at, capacity - at);
            at += got > 0 ? (size_t)got : 0;
        }
        bytes[at] = '\0';
    }
    error = errno;
    close(file);
    if (bytes != NULL && got <= 0) {
        free(bytes);
        bytes = NULL;
        error = got == 0 ? EIO : error;
    }
    errno = error;
    *length = at;
    return bytes;
}

/* ---- Values: how many user ids, each as its length, a colon and itself; a line's end; bytes -- */

static inline char *write_value(const SlStorageCommit *commit, size_t *length) {
    size_t capacity = commit->bytes.length + 32, at, id;
    char *value;
    for (id = 0; id < commit->user_id_count; id++) {
        capacity += commit->user_ids[id].length + 32;
    }
    value = (char *)malloc(capacity);
    if (value == NULL) {
        return NULL;
    }
    at = (size_t)snprintf(value, capacity, "%d", (int)commit->user_id_count);
    for (id = 0; id < commit->user_id_count; id++) {
        const SlText *user = &commit->user_ids[id];
        at += (size_t)snprintf(value + at, capacity - at, " %d:", (int)user->length);
        memcpy(value + at, user->data, user->length);
        at += user->length;
    }
    value[at++] = '\n';
    if (commit->bytes.length > 0) {
        memcpy(value + at, commit->bytes.data, commit->bytes.length);
    }
    *length = at + commit->bytes.length;
    return value;
}

static inline SlStatus answer_value(const Job *job, const char *revision, char *value,
                                    size_t length) {
    SlText users[USERS_MAX];
    char *at = value;
    size_t count = (size_t)strtoul(at, &at, 10), id;
    for (id = 0; id < count && id < USERS_MAX; id++) {
        users[id].length = (size_t)strtoul(at + 1, &at, 10);
        users[id].data = at + 1;
        at += 1 + users[id].length;
    }
    at++;
    return storage_request_fetched(job->request, at, length - (size_t)(at - value), TEXT(revision),
                                   users, id, wall_s());
}

/* ---- The three operations ---------------------------------------------------------------- */

/* Nobody can say what became of the request: the library looks before it writes again. */
static inline SlStatus answer_failed(const Job *job, int error) {
    char message[160];
    snprintf(message, sizeof message, "the folder of saves: %s", strerror(error));
    return storage_request_failed(job->request, SL_REQUEST_ERROR_BACKEND, TEXT(message), 0);
}

static inline SlStatus fetch_record(const Files *files, const Job *job) {
    SlStatus status = SL_ERROR_STORAGE;
    int is_answered = 0, attempts = 0;
    int folder = openat(files->root, job->name, O_RDONLY | O_DIRECTORY);
    if (folder < 0) {
        return errno == ENOENT ? storage_request_absent(job->request, NULL, 0, wall_s())
                               : answer_failed(job, errno);
    }
    while (!is_answered) {
        Mark mark;
        char name[FILE_CAPACITY];
        char *value;
        size_t length;
        int error = find_mark(folder, &mark);
        is_answered = 1;
        if (error != 0) {
            status = answer_failed(job, error);
        } else if (!mark.is_record) {
            status = storage_request_absent(job->request, TEXT(mark.revision), wall_s());
        } else {
            join(name, VALUE, mark.revision);
            value = read_file(folder, name, &length);
            if (value != NULL) {
                status = answer_value(job, mark.revision, value, length);
                free(value);
            } else if (errno != ENOENT || ++attempts == ATTEMPTS) {
                status = answer_failed(job, errno);
            } else {
                is_answered = 0; /* the record has moved on since its mark was read */
            }
        }
    }
    close(folder);
    return status;
}

/* What a write comes to, beside 0 and error numbers: the key is not as it was expected. */
#define CONFLICT (-1)

/* Writes a key for the first time: its folder is made aside, with all that belongs into it, and
 * renamed into place, which fails if the key has a folder already. */
static inline int write_first(Files *files, const Job *job, char *revision) {
    char aside[FILE_CAPACITY], name[FILE_CAPACITY];
    int folder, error;
    do {
        next_revision(files, "0", revision);
        join(aside, ".new-", revision);
        error = mkdirat(files->root, aside, 0700) == 0 ? 0 : errno;
    } while (error == EEXIST);
    folder = error != 0 ? -1 : openat(files->root, aside, O_RDONLY | O_DIRECTORY);
    if (folder < 0) {
        return error != 0 ? error : errno;
    }
    if (job->kind == COMMIT) {
        join(name, VALUE, revision);
        error = create_file(folder, name, job->value, job->length);
    }
    if (error == 0) {
        join(name, job->kind == COMMIT ? RECORD : ERASED, revision);
        error = create_file(folder, name, NULL, 0);
    }
    error = error != 0 ? error : sync_folder(folder);
    close(folder);
    if (error == 0 && renameat(files->root, aside, files->root, job->name) != 0) {
        error = errno == EEXIST || errno == ENOTEMPTY ? CONFLICT : errno;
    }
    if (error != 0) {
        remove_folder(files->root, aside);
        return error;
    }
    return sync_folder(files->root);
}

/* Writes a key that is, or is not, at the expected mark. */
static inline int write_next(Files *files, const Job *job, int folder, const Mark *expected,
                             char *revision) {
    char value[FILE_CAPACITY], old_value[FILE_CAPACITY];
    char old_mark[FILE_CAPACITY], new_mark[FILE_CAPACITY];
    int error, is_renamed;
    do {
        next_revision(files, expected->revision, revision);
        join(value, VALUE, revision);
        error = job->kind == COMMIT ? create_file(folder, value, job->value, job->length) : 0;
    } while (error == EEXIST);
    if (error != 0) {
        return error;
    }
    join(old_mark, expected->is_record ? RECORD : ERASED, expected->revision);
    join(old_value, VALUE, expected->revision);
    join(new_mark, job->kind == COMMIT ? RECORD : ERASED, revision);
    /* The value must be there for good before a mark says so. */
    error = sync_folder(folder);
    is_renamed = error == 0;
    if (is_renamed && renameat(folder, old_mark, folder, new_mark) != 0) {
        error = errno == ENOENT ? CONFLICT : errno;
        /* Over a network it may have been done in spite of an error: then the value is needed. */
        is_renamed = error != CONFLICT;
    }
    if (!is_renamed && job->kind == COMMIT) {
        unlinkat(folder, value, 0);
    }
    if (error != 0) {
        return error;
    }
    /* And the mark must be there for good before the old value goes. */
    error = sync_folder(folder);
    if (error == 0 && expected->is_record && unlinkat(folder, old_value, 0) == 0) {
        error = job->kind == ERASE ? sync_folder(folder) : 0;
    }
    return error;
}

static inline int write_once(Files *files, const Job *job, char *revision) {
    int is_any = job->expected == SL_EXPECTED_ANY;
    int folder, error = 0;
    Mark mark;
    if (job->expected == SL_EXPECTED_ABSENT && job->revision[0] == '\0') {
        return write_first(files, job, revision);
    }
    folder = openat(files->root, job->name, O_RDONLY | O_DIRECTORY);
    if (folder < 0 && errno == ENOENT) {
        return is_any ? write_first(files, job, revision) : CONFLICT;
    }
    if (folder < 0) {
        return errno;
    }
    if (is_any) {
        error = find_mark(folder, &mark);
    } else {
        mark.is_record = job->expected == SL_EXPECTED_PRESENT;
        strcpy(mark.revision, job->revision);
    }
    error = error != 0 ? error : write_next(files, job, folder, &mark, revision);
    close(folder);
    return error;
}

static inline SlStatus write_record(Files *files, const Job *job) {
    char revision[REVISION_CAPACITY];
    int error;
    do {
        error = write_once(files, job, revision);
    } while (error == CONFLICT && job->expected == SL_EXPECTED_ANY);
    if (error == CONFLICT) {
        return storage_request_conflict(job->request, wall_s());
    }
    if (error != 0) {
        return answer_failed(job, error);
    }
    return job->kind == COMMIT ? storage_request_committed(job->request, TEXT(revision), wall_s())
                               : storage_request_erased(job->request, TEXT(revision), wall_s());
}

/* ---- The thread -------------------------------------------------------------------------- */

static inline void *work(void *argument) {
    Files *files = (Files *)argument;
    pthread_mutex_lock(&files->lock);
    for (;;) {
        Job *job = files->first;
        SlStatus status;
        if (job == NULL && files->is_closing) {
            break;
        }
        if (job == NULL) {
            pthread_cond_wait(&files->has_changed, &files->lock);
            continue;
        }
        files->first = job->next;
        files->last = files->first == NULL ? &files->first : files->last;
        pthread_mutex_unlock(&files->lock);
        status = job->kind == FETCH ? fetch_record(files, job) : write_record(files, job);
        /* A storage that was closed meanwhile does not want its answers any more. */
        MUST(status == SL_OK || status == SL_ERROR_INVALID_HANDLE, "an answer was refused");
        free(job->value);
        free(job);
        pthread_mutex_lock(&files->lock);
    }
    pthread_mutex_unlock(&files->lock);
    return NULL;
}

/* Writes a key as the name of a folder. 0 if it is too long for one: this storage takes keys of up
 * to 255 letters, digits, `-` and `_`, anything else counting three. */
static inline int name_of(const char *key, size_t length, char *name) {
    size_t at = 0, byte;
    for (byte = 0; byte < length; byte++) {
        unsigned char letter = (unsigned char)key[byte];
        int is_plain = strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_",
                              letter) != NULL &&
                       letter != '\0';
        if (at + 4 > NAME_CAPACITY) {
            return 0;
        }
        at += (size_t)snprintf(name + at, NAME_CAPACITY - at, is_plain ? "%c" : "%%%02X", letter);
    }
    return 1;
}

/* Makes a job; the callback that asks returns what this returns. */
static inline SlStatus ask(Kind kind, SlStorageRequest *request, const char *key, size_t key_length,
                           Job **made) {
    Job *job = (Job *)calloc(1, sizeof *job);
    *made = NULL;
    if (job == NULL) {
        session_locker_set_hook_error(TEXT("no memory"));
        return SL_ERROR_LIMIT;
    }
    if (!name_of(key, key_length, job->name)) {
        free(job);
        session_locker_set_hook_error(TEXT("the key is too long for a folder's name"));
        return SL_ERROR_LIMIT;
    }
    job->kind = kind;
    job->request = request;
    *made = job;
    return SL_OK;
}

/* A text may be none at all, which is no address to copy from. */
static inline void copy_revision(Job *job, const char *revision, size_t length) {
    if (length > 0) {
        memcpy(job->revision, revision, length);
    }
}

static inline void hand_over(Files *files, Job *job) {
    pthread_mutex_lock(&files->lock);
    *files->last = job;
    files->last = &job->next;
    pthread_cond_signal(&files->has_changed);
    pthread_mutex_unlock(&files->lock);
}

/* ---- What the library calls -------------------------------------------------------------- */

static inline SlStatus on_fetch(void *user_data, SlStorageRequest *request, const char *key,
                                size_t key_length) {
    Job *job;
    SlStatus status = ask(FETCH, request, key, key_length, &job);
    if (status == SL_OK) {
        hand_over((Files *)user_data, job);
    }
    return status;
}

static inline SlStatus on_commit(void *user_data, SlStorageRequest *request,
                                 const SlStorageCommit *commit) {
    Job *job;
    SlStatus status = ask(COMMIT, request, commit->key.data, commit->key.length, &job);
    if (status != SL_OK) {
        return status;
    }
    job->expected = commit->expected;
    copy_revision(job, commit->revision.data, commit->revision.length);
    job->value = write_value(commit, &job->length);
    if (job->value == NULL) {
        free(job);
        session_locker_set_hook_error(TEXT("no memory"));
        return SL_ERROR_LIMIT;
    }
    hand_over((Files *)user_data, job);
    return SL_OK;
}

static inline SlStatus on_erase(void *user_data, SlStorageRequest *request, const char *key,
                                size_t key_length, int32_t expected, const char *revision,
                                size_t revision_length) {
    Job *job;
    SlStatus status = ask(ERASE, request, key, key_length, &job);
    if (status == SL_OK) {
        job->expected = expected;
        copy_revision(job, revision, revision_length);
        hand_over((Files *)user_data, job);
    }
    return status;
}

static inline void on_drop(void *user_data) {
    Files *files = (Files *)user_data;
    pthread_mutex_lock(&files->lock);
    files->is_closing = 1;
    pthread_cond_signal(&files->has_changed);
    pthread_mutex_unlock(&files->lock);
    pthread_join(files->thread, NULL);
    pthread_cond_destroy(&files->has_changed);
    pthread_mutex_destroy(&files->lock);
    close(files->root);
    free(files);
}

static inline SlStorage *open_files(const char *folder) {
    SlStorageCallbacks callbacks;
    SlStorage *storage = NULL;
    Files *files = (Files *)calloc(1, sizeof *files);
    MUST(files != NULL, "no memory");
    files->root = open(folder, O_RDONLY | O_DIRECTORY);
    MUST(files->root >= 0, "the folder of saves cannot be opened");
    files->last = &files->first;
    MUST(pthread_mutex_init(&files->lock, NULL) == 0 &&
             pthread_cond_init(&files->has_changed, NULL) == 0 &&
             pthread_create(&files->thread, NULL, work, files) == 0,
         "no thread can be made");
    OK(locker_storage_callbacks_init(&callbacks, sizeof callbacks));
    callbacks.fetch = on_fetch;
    callbacks.commit = on_commit;
    callbacks.erase = on_erase;
    callbacks.drop = on_drop;
    OK(locker_storage_open_host(&callbacks, files, &storage));
    return storage;
}

#endif
