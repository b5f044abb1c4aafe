/* A storage of the host's own for the C tests: records in memory, whose answers can be held back,
 * made to fail, or given wrongly. */
#ifndef HOST_MEMORY_H
#define HOST_MEMORY_H

#include "world.h"

enum { RECORDS = 4, HELD = 8 };

typedef struct Record {
    char key[32];
    char bytes[1024];
    size_t length;
    unsigned revision; /* 0 while there never was a record */
} Record;

/* An answer that the host owes. */
typedef struct Owed {
    SlStorageRequest *request;
    Record *record;
    int is_fetch;
    unsigned committed; /* the revision that the commit made; 0 for a conflict */
} Owed;

typedef struct HostMemory {
    Record records[RECORDS];
    Owed held[HELD];
    int held_count;
    int fetches;
    int commits;
    int drops;
    int holds;          /* answers are held back */
    int refuses;        /* nothing is done, and no answer is given */
    const char *fails;  /* answers are failures with this message, though it is done */
    void (*before_answer)(struct HostMemory *memory, SlStorageRequest *request);
    void *user_data;
} HostMemory;

HELPER Record *record_of(HostMemory *memory, const char *key, size_t length) {
    int index;
    for (index = 0; index < RECORDS; index++) {
        Record *record = &memory->records[index];
        if (record->key[0] == '\0') {
            sprintf(record->key, "%.*s", (int)length, key);
        }
        if (strlen(record->key) == length && memcmp(record->key, key, length) == 0) {
            return record;
        }
    }
    abort();
}

/* The bytes of a record; "" when there is none. */
HELPER const char *host_record(HostMemory *memory, const char *key) {
    return record_of(memory, key, strlen(key))->bytes;
}

HELPER SlStatus answer_owed(HostMemory *memory, const Owed *owed) {
    char revision[16];
    if (memory->fails != NULL) {
        return storage_request_failed(owed->request, SL_REQUEST_ERROR_BACKEND, Z(memory->fails), 0);
    }
    if (owed->is_fetch && owed->record->revision == 0) {
        return storage_request_absent(owed->request, NULL, 0, 0);
    }
    if (owed->is_fetch) {
        sprintf(revision, "r%u", owed->record->revision);
        return storage_request_fetched(owed->request, owed->record->bytes, owed->record->length,
                                       Z(revision), NULL, 0, 0);
    }
    if (owed->committed == 0) {
        return storage_request_conflict(owed->request, 0);
    }
    sprintf(revision, "r%u", owed->committed);
    return storage_request_committed(owed->request, Z(revision), 0);
}

HELPER SlStatus answer_or_hold(HostMemory *memory, Owed owed) {
    if (memory->before_answer != NULL) {
        memory->before_answer(memory, owed.request);
    }
    if (memory->holds && memory->held_count < HELD) {
        memory->held[memory->held_count++] = owed;
        return SL_OK;
    }
    return answer_owed(memory, &owed);
}

/* Gives every answer that was held back; gives how many were still wanted. */
HELPER int host_answer_held(HostMemory *memory) {
    int index, taken = 0;
    for (index = 0; index < memory->held_count; index++) {
        taken += answer_owed(memory, &memory->held[index]) == SL_OK;
    }
    memory->held_count = 0;
    return taken;
}

HELPER SlStatus host_fetch(void *user_data, SlStorageRequest *request, const char *key,
                           size_t key_length) {
    HostMemory *memory = (HostMemory *)user_data;
    Owed owed;
    owed.request = request;
    owed.record = record_of(memory, key, key_length);
    owed.is_fetch = 1;
    owed.committed = 0;
    memory->fetches++;
    return memory->refuses ? SL_OK : answer_or_hold(memory, owed);
}

HELPER SlStatus host_commit(void *user_data, SlStorageRequest *request,
                            const SlStorageCommit *commit) {
    HostMemory *memory = (HostMemory *)user_data;
    Record *record = record_of(memory, commit->key.data, commit->key.length);
    char revision[16] = "";
    Owed owed;
    owed.request = request;
    owed.record = record;
    owed.is_fetch = 0;
    owed.committed = 0;
    memory->commits++;
    if (memory->refuses) {
        return SL_OK;
    }
    if (record->revision > 0) {
        sprintf(revision, "r%u", record->revision);
    }
    CHECK(commit->expected == SL_EXPECTED_PRESENT || commit->revision.length == 0);
    if (commit->revision.length == strlen(revision) &&
        memcmp(commit->revision.data, revision, commit->revision.length) == 0) {
        CHECK(commit->bytes.length < sizeof record->bytes);
        memcpy(record->bytes, commit->bytes.data, commit->bytes.length);
        record->length = commit->bytes.length;
        record->bytes[record->length] = '\0';
        owed.committed = ++record->revision;
    }
    return answer_or_hold(memory, owed);
}

HELPER SlStatus host_erase(void *user_data, SlStorageRequest *request, const char *key,
                           size_t key_length, int32_t expected, const char *revision,
                           size_t revision_length) {
    (void)user_data;
    (void)key;
    (void)key_length;
    (void)expected;
    (void)revision;
    (void)revision_length;
    return storage_request_failed(request, SL_REQUEST_ERROR_SCRIPT, Z("never erased"), 0);
}

HELPER void host_drop(void *user_data) { ((HostMemory *)user_data)->drops++; }

HELPER SlStorage *host_storage(HostMemory *memory) {
    SlStorageCallbacks callbacks;
    SlStorage *storage = NULL;
    memset(memory, 0, sizeof *memory);
    OK(locker_storage_callbacks_init(&callbacks, sizeof callbacks));
    callbacks.fetch = host_fetch;
    callbacks.commit = host_commit;
    callbacks.erase = host_erase;
    callbacks.drop = host_drop;
    OK(locker_storage_open_host(&callbacks, memory, &storage));
    return storage;
}

/* A server on such a storage. */
HELPER void host_server_open(Server *server, HostMemory *memory, int polls) {
    SlClock clock;
    SlEasyStoreConfig config;
    memset(server, 0, sizeof *server);
    server->polls = polls;
    server->storage = host_storage(memory);
    config = server_config(server, &clock, 1);
    OK(easy_store_create(server->storage, &config, &server->store));
}

#endif
