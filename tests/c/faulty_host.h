/* A storage of the host's own for the C tests of what storages do wrong: records in memory, and
 * requests that fail before or after they are done, meet a conflict, or are answered late or never,
 * just as many of them as a test asks for. It keeps no user ids and has no clock. */
#ifndef FAULTY_HOST_H
#define FAULTY_HOST_H

#include "world.h"

enum { FAULTY_RECORDS = 8, FAULTY_BYTES = 2048, FAULTY_OWED = 16 };

/* The kinds of requests. */
enum { FETCH, COMMIT, ERASE, KINDS };

typedef enum Fault {
    NO_FAULT,
    FAIL_BEFORE,    /* it is not done, and answered as failed */
    FAIL_AFTER,     /* it is done, and answered as failed */
    CONFLICT_AFTER, /* it is done, and answered with a conflict: sent twice, say */
    HOLD_ANSWER     /* it is done, and answered by faulty_answer, or never */
} Fault;

/* As a number of requests: this one and all that follow. */
#define FROM_NOW_ON 1000000

typedef struct FaultyRecord {
    char key[32];
    char bytes[FAULTY_BYTES];
    size_t length;
    unsigned revision; /* of the record, or of its erasure; 0 while there was neither */
    int is_there;
} FaultyRecord;

/* What a request came to. */
typedef struct FaultyAnswer {
    SlStorageRequest *request;
    int kind;
    int is_conflict;
    FaultyRecord found; /* as it stood then */
} FaultyAnswer;

typedef struct FaultyHost {
    FaultyRecord records[FAULTY_RECORDS];
    unsigned last_revision; /* of all keys, so that none is used twice */
    Fault faults[KINDS];
    int fault_counts[KINDS];
    int faultless[KINDS]; /* so many go well before those */
    int requests[KINDS];
    FaultyAnswer owed[FAULTY_OWED];
    int owed_count;
} FaultyHost;

/* One without records, whose requests all go well. */
HELPER FaultyHost faulty_host(void) {
    FaultyHost host;
    memset(&host, 0, sizeof host);
    return host;
}

/* The next so many requests of a kind meet this fault. */
HELPER void fail_next(FaultyHost *host, int kind, Fault fault, int count) {
    host->faults[kind] = fault;
    host->fault_counts[kind] = count;
}

/* After `faultless` requests that go well, all that follow meet this fault. */
HELPER void fail_after(FaultyHost *host, int kind, int faultless, Fault fault) {
    fail_next(host, kind, fault, FROM_NOW_ON);
    host->faultless[kind] = faultless;
}

HELPER FaultyRecord *faulty_record(FaultyHost *host, const char *key, size_t length) {
    int index;
    for (index = 0; index < FAULTY_RECORDS; index++) {
        FaultyRecord *record = &host->records[index];
        if (record->key[0] == '\0') {
            sprintf(record->key, "%.*s", (int)length, key);
        }
        if (strlen(record->key) == length && memcmp(record->key, key, length) == 0) {
            return record;
        }
    }
    abort();
}

HELPER SlStatus give_answer(const FaultyAnswer *answer) {
    const FaultyRecord *found = &answer->found;
    char revision[16] = "";
    if (found->revision > 0) {
        sprintf(revision, "r%u", found->revision);
    }
    if (answer->is_conflict) {
        return storage_request_conflict(answer->request, 0);
    }
    switch (answer->kind) {
    case COMMIT: return storage_request_committed(answer->request, Z(revision), 0);
    case ERASE: return storage_request_erased(answer->request, Z(revision), 0);
    default:
        return found->is_there ? storage_request_fetched(answer->request, found->bytes,
                                                         found->length, Z(revision), NULL, 0, 0)
                               : storage_request_absent(answer->request, Z(revision), 0);
    }
}

/* Gives every answer that was held back, and says how many were still wanted. */
HELPER int faulty_answer(FaultyHost *host) {
    int index, wanted = 0;
    for (index = 0; index < host->owed_count; index++) {
        wanted += give_answer(&host->owed[index]) == SL_OK;
    }
    host->owed_count = 0;
    return wanted;
}

/* What is to be written; NULL bytes for an erasure. */
HELPER void faulty_write(FaultyHost *host, FaultyRecord *record, const char *bytes, size_t length) {
    CHECK(length < FAULTY_BYTES);
    if (bytes != NULL) {
        memcpy(record->bytes, bytes, length);
    }
    record->bytes[length] = '\0';
    record->length = length;
    record->is_there = bytes != NULL;
    record->revision = ++host->last_revision;
}

HELPER int is_as_expected(const FaultyRecord *record, int32_t expected, const char *revision,
                          size_t length) {
    char own[16] = "";
    if (record->revision > 0) {
        sprintf(own, "r%u", record->revision);
    }
    if (expected == SL_EXPECTED_ANY) {
        return 1;
    }
    return (expected == SL_EXPECTED_PRESENT) == record->is_there && strlen(own) == length &&
           memcmp(own, revision, length) == 0;
}

/* Does what is asked, unless a fault or a conflict prevents it, and answers. */
HELPER SlStatus carry_out(FaultyHost *host, FaultyAnswer *answer, FaultyRecord *record,
                          const SlText *bytes) {
    Fault fault = NO_FAULT;
    host->requests[answer->kind]++;
    if (host->faultless[answer->kind] > 0) {
        host->faultless[answer->kind]--;
    } else if (host->fault_counts[answer->kind] > 0) {
        host->fault_counts[answer->kind]--;
        fault = host->faults[answer->kind];
    }
    if (answer->kind != FETCH && fault != FAIL_BEFORE && !answer->is_conflict) {
        faulty_write(host, record, bytes->data, bytes->length);
    }
    answer->found = *record;
    answer->is_conflict |= fault == CONFLICT_AFTER;
    if (fault == FAIL_BEFORE || fault == FAIL_AFTER) {
        return storage_request_failed(answer->request, SL_REQUEST_ERROR_BACKEND, Z("disk-on-fire"),
                                      0);
    }
    if (fault == HOLD_ANSWER && host->owed_count < FAULTY_OWED) {
        host->owed[host->owed_count++] = *answer;
        return SL_OK;
    }
    return give_answer(answer);
}

HELPER FaultyAnswer answer_to(SlStorageRequest *request, int kind, int is_conflict) {
    FaultyAnswer answer;
    memset(&answer, 0, sizeof answer);
    answer.request = request;
    answer.kind = kind;
    answer.is_conflict = is_conflict;
    return answer;
}

HELPER SlStatus faulty_fetch(void *user_data, SlStorageRequest *request, const char *key,
                             size_t key_length) {
    FaultyHost *host = (FaultyHost *)user_data;
    FaultyAnswer answer = answer_to(request, FETCH, 0);
    return carry_out(host, &answer, faulty_record(host, key, key_length), NULL);
}

HELPER SlStatus faulty_commit(void *user_data, SlStorageRequest *request,
                              const SlStorageCommit *commit) {
    FaultyHost *host = (FaultyHost *)user_data;
    FaultyRecord *record = faulty_record(host, commit->key.data, commit->key.length);
    int is_expected = is_as_expected(record, commit->expected, commit->revision.data,
                                     commit->revision.length);
    FaultyAnswer answer = answer_to(request, COMMIT, !is_expected);
    return carry_out(host, &answer, record, &commit->bytes);
}

HELPER SlStatus faulty_erase(void *user_data, SlStorageRequest *request, const char *key,
                             size_t key_length, int32_t expected, const char *revision,
                             size_t revision_length) {
    static const SlText nothing = {NULL, 0};
    FaultyHost *host = (FaultyHost *)user_data;
    FaultyRecord *record = faulty_record(host, key, key_length);
    int is_expected = is_as_expected(record, expected, revision, revision_length);
    FaultyAnswer answer = answer_to(request, ERASE, !is_expected);
    return carry_out(host, &answer, record, &nothing);
}

/* A storage of these records. Several may be open at once, one for each server. */
HELPER SlStorage *faulty_storage(FaultyHost *host) {
    SlStorageCallbacks callbacks;
    SlStorage *storage = NULL;
    OK(locker_storage_callbacks_init(&callbacks, sizeof callbacks));
    callbacks.fetch = faulty_fetch;
    callbacks.commit = faulty_commit;
    callbacks.erase = faulty_erase;
    OK(locker_storage_open_host(&callbacks, host, &storage));
    return storage;
}

/* Puts a record there, as another program would. */
HELPER void faulty_put(FaultyHost *host, const char *key, const char *json) {
    faulty_write(host, faulty_record(host, key, strlen(key)), json, strlen(json));
}

/* Erases a record, as another program would. */
HELPER void faulty_forget(FaultyHost *host, const char *key) {
    faulty_write(host, faulty_record(host, key, strlen(key)), NULL, 0);
}

/* Whether there is a record with these words in it. */
HELPER int faulty_has(FaultyHost *host, const char *key, const char *words) {
    FaultyRecord *record = faulty_record(host, key, strlen(key));
    return record->is_there && strstr(record->bytes, words) != NULL;
}

/* The configuration of a server on these records. `server->storage` is open. */
HELPER SlEasyStoreConfig faulty_config(Server *server, FaultyHost *host, SlClock *clock, int polls,
                                       uint64_t seed) {
    memset(server, 0, sizeof *server);
    server->polls = polls;
    server->storage = faulty_storage(host);
    return server_config(server, clock, seed);
}

HELPER void faulty_server_open(Server *server, FaultyHost *host, int polls, uint64_t seed) {
    SlClock clock;
    SlEasyStoreConfig config = faulty_config(server, host, &clock, polls, seed);
    OK(easy_store_create(server->storage, &config, &server->store));
}

#endif
