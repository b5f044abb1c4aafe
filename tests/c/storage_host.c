/* Storages: the tools' calls on one of the library's own, and a storage that the host brings, which
 * answers at once, later, from another thread, wrongly, or never. */
#include "check.h"

#include <math.h>
#include <pthread.h>

/* How long a call that will be answered may wait, and one that will not: seconds. */
#define LONG 30.0
#define SHORT 0.01

/* How the host's storage answers. */
typedef enum Manner { AT_ONCE, FROM_A_THREAD, NEVER, WRONGLY, WITH_A_FAILURE, BY_STATUS } Manner;

/* A storage of one record. */
typedef struct Host {
    Manner manner;
    char bytes[64];
    size_t length;
    char key[64];
    char user[64];
    unsigned revision; /* of the record, or of its erasure; 0 when it never was */
    int is_there;
    int drops;
    SlStorageRequest *last_request;
    pthread_t thread;
} Host;

static size_t write_revision(const Host *host, char *text) {
    return host->revision == 0 ? 0 : (size_t)sprintf(text, "r%u", host->revision);
}

/* Whether the record is as a commit or an erasure expects it. */
static int is_expected(const Host *host, int32_t expected, const char *revision, size_t length) {
    char own[32];
    size_t own_length = write_revision(host, own);
    int same = own_length == length && memcmp(own, revision, length) == 0;
    switch (expected) {
    case SL_EXPECTED_PRESENT: return host->is_there && same;
    case SL_EXPECTED_ABSENT: return !host->is_there && same;
    default: return expected == SL_EXPECTED_ANY;
    }
}

static SlStatus answer_fetch(Host *host, SlStorageRequest *request) {
    char revision[32];
    size_t length = write_revision(host, revision);
    SlText user;
    if (!host->is_there) {
        return storage_request_absent(request, revision, length, 0);
    }
    user.data = host->user;
    user.length = SL_NUL_TERMINATED;
    return storage_request_fetched(request, host->bytes, host->length, revision, length, &user,
                                   host->user[0] == '\0' ? 0 : 1, 1700000000.5);
}

static void *answer_later(void *argument) {
    Host *host = (Host *)argument;
    return answer_fetch(host, host->last_request) == SL_OK ? NULL : argument;
}

/* Tries every answer that is not one. The request must be open afterwards. */
static void answer_wrongly(SlStorageRequest *request) {
    char long_revision[65];
    SlText bad_user;
    bad_user.data = "\xff";
    bad_user.length = 1;
    memset(long_revision, 'r', sizeof long_revision);
    CHECK_STATUS(SL_ERROR_INVALID_ARGUMENT, storage_request_committed(request, Z("r1"), 0));
    CHECK(last_error_says("asked for a fetch"));
    CHECK_STATUS(SL_ERROR_INVALID_ARGUMENT, storage_request_erased(request, Z("r1"), 0));
    CHECK_STATUS(SL_ERROR_INVALID_ARGUMENT, storage_request_conflict(request, 0));
    CHECK_STATUS(SL_ERROR_INVALID_ARGUMENT, storage_request_keys(request, NULL, 0));
    CHECK_STATUS(SL_ERROR_INVALID_ARGUMENT,
                 storage_request_fetched(request, T("{}"), Z(""), NULL, 0, 0));
    CHECK(last_error_says("revision has 0 bytes"));
    CHECK_STATUS(SL_ERROR_INVALID_ARGUMENT,
                 storage_request_fetched(request, T("{}"), long_revision, 65, NULL, 0, 0));
    CHECK_STATUS(SL_ERROR_INVALID_ARGUMENT,
                 storage_request_fetched(request, NULL, 2, Z("r1"), NULL, 0, 0));
    CHECK_STATUS(SL_ERROR_INVALID_UTF8,
                 storage_request_fetched(request, T("{}"), Z("r1"), &bad_user, 1, 0));
    CHECK_STATUS(SL_ERROR_INVALID_ARGUMENT,
                 storage_request_fetched(request, T("{}"), Z("r1"), &bad_user, 65, 0));
    CHECK_STATUS(SL_ERROR_OUT_OF_RANGE, storage_request_absent(request, NULL, 0, -1));
    CHECK_STATUS(SL_ERROR_OUT_OF_RANGE, storage_request_absent(request, NULL, 0, HUGE_VAL));
    CHECK_STATUS(SL_ERROR_INVALID_ARGUMENT, storage_request_failed(request, 3, Z("no"), 0));
    CHECK(last_error_says("SL_REQUEST_ERROR_BACKEND (2)"));
    CHECK_STATUS(SL_ERROR_INVALID_UTF8,
                 storage_request_failed(request, SL_REQUEST_ERROR_MISC, T("\xff"), 0));
}

static SlStatus fetch(void *user_data, SlStorageRequest *request, const char *key,
                      size_t key_length) {
    Host *host = (Host *)user_data;
    host->last_request = request;
    CHECK(key_length == 3 && memcmp(key, "key", 3) == 0);
    switch (host->manner) {
    case NEVER: return SL_OK;
    case FROM_A_THREAD: return pthread_create(&host->thread, NULL, answer_later, host);
    case WITH_A_FAILURE:
        return storage_request_failed(request, SL_REQUEST_ERROR_BACKEND, Z("the disk is full"), 0);
    case BY_STATUS:
        session_locker_set_hook_error(Z("the disk is gone"));
        return SL_ERROR_HOOK;
    case WRONGLY: answer_wrongly(request); break;
    case AT_ONCE: break;
    }
    OK(answer_fetch(host, request));
    CHECK_STATUS(SL_ERROR_INVALID_HANDLE, answer_fetch(host, request));
    return SL_OK;
}

static SlStatus commit(void *user_data, SlStorageRequest *request, const SlStorageCommit *asked) {
    Host *host = (Host *)user_data;
    char revision[32];
    CHECK(asked->struct_size == sizeof *asked);
    if (!is_expected(host, asked->expected, asked->revision.data, asked->revision.length)) {
        return storage_request_conflict(request, 0);
    }
    memcpy(host->bytes, asked->bytes.data, asked->bytes.length);
    host->length = asked->bytes.length;
    host->user[0] = '\0';
    if (asked->user_id_count > 0) {
        sprintf(host->user, "%.*s", (int)asked->user_ids[0].length, asked->user_ids[0].data);
    }
    sprintf(host->key, "%.*s", (int)asked->key.length, asked->key.data);
    host->is_there = 1;
    host->revision++;
    return storage_request_committed(request, revision, write_revision(host, revision), 0);
}

static SlStatus erase(void *user_data, SlStorageRequest *request, const char *key,
                      size_t key_length, int32_t expected, const char *revision,
                      size_t revision_length) {
    Host *host = (Host *)user_data;
    char own[32];
    CHECK(key_length == 3 && memcmp(key, "key", 3) == 0);
    if (!is_expected(host, expected, revision, revision_length)) {
        return storage_request_conflict(request, 0);
    }
    host->is_there = 0;
    host->revision++;
    return storage_request_erased(request, own, write_revision(host, own), 0);
}

static SlStatus keys_of_user(void *user_data, SlStorageRequest *request, const char *user_id,
                             size_t user_id_length) {
    Host *host = (Host *)user_data;
    SlText key;
    int is_theirs = strlen(host->user) == user_id_length &&
                    memcmp(host->user, user_id, user_id_length) == 0;
    key.data = host->key;
    key.length = SL_NUL_TERMINATED;
    return storage_request_keys(request, &key, is_theirs ? 1 : 0);
}

static void drop_host(void *user_data) { ((Host *)user_data)->drops++; }

static SlStorage *open_host(Host *host) {
    SlStorageCallbacks callbacks;
    SlStorage *storage = NULL;
    OK(locker_storage_callbacks_init(&callbacks, sizeof callbacks));
    callbacks.fetch = fetch;
    callbacks.commit = commit;
    callbacks.erase = erase;
    callbacks.keys_of_user = keys_of_user;
    callbacks.drop = drop_host;
    OK(locker_storage_open_host(&callbacks, host, &storage));
    return storage;
}

/* What a fetch gave. */
typedef struct Fetched {
    int32_t is_present;
    SlBuffer bytes;
    SlBuffer revision;
    SlBuffer user_ids;
} Fetched;

static SlStatus fetch_key(SlStorage *storage, double timeout, Fetched *fetched) {
    return locker_storage_fetch(storage, Z("key"), timeout, &fetched->is_present, &fetched->bytes,
                                &fetched->revision, &fetched->user_ids);
}

static void free_fetched(Fetched *fetched) {
    session_locker_buffer_free(&fetched->bytes);
    session_locker_buffer_free(&fetched->revision);
    session_locker_buffer_free(&fetched->user_ids);
}

/* A record's life, by a tool's calls; the same on every storage. */
static void a_record_lives(SlStorage *storage) {
    Fetched fetched;
    SlBuffer first, second, erased, keys;
    SlText user;
    user.data = "42";
    user.length = SL_NUL_TERMINATED;

    OK(fetch_key(storage, LONG, &fetched));
    CHECK(fetched.is_present == 0 && fetched.bytes.length == 0);
    CHECK(buffer_is(&fetched.user_ids, "[]"));
    OK(locker_storage_commit(storage, Z("key"), T("{\"Gold\":1}"), &user, 1, fetched.revision.data,
                             fetched.revision.length, LONG, &first));
    CHECK_STATUS(SL_ERROR_CONFLICT,
                 locker_storage_commit(storage, Z("key"), T("{}"), NULL, 0, fetched.revision.data,
                                       fetched.revision.length, LONG, &second));
    free_fetched(&fetched);

    OK(fetch_key(storage, LONG, &fetched));
    CHECK(fetched.is_present == 1);
    CHECK(buffer_is(&fetched.bytes, "{\"Gold\":1}"));
    CHECK(buffer_is(&fetched.user_ids, "[\"42\"]"));
    CHECK(buffer_is(&fetched.revision, first.data));
    OK(locker_storage_keys_of_user(storage, Z("42"), LONG, &keys));
    CHECK(buffer_is(&keys, "[\"key\"]"));
    OK(locker_storage_commit(storage, Z("key"), T("{}"), NULL, 0, Z(first.data), LONG, &second));
    CHECK_STATUS(SL_ERROR_CONFLICT,
                 locker_storage_erase(storage, Z("key"), Z(first.data), LONG, &erased));
    OK(locker_storage_erase(storage, Z("key"), Z(second.data), LONG, &erased));
    OK(locker_storage_keys_of_user(storage, Z("42"), LONG, &keys));
    CHECK(buffer_is(&keys, "[]"));
    OK(fetch_key(storage, LONG, &fetched));
    CHECK(fetched.is_present == 0);
    CHECK(strcmp(fetched.revision.data, erased.data) == 0);
    free_fetched(&fetched);

    session_locker_buffer_free(&erased);
    OK(locker_storage_erase(storage, Z("key"), NULL, 0, LONG, &erased));
    session_locker_buffer_free(&first);
    session_locker_buffer_free(&second);
    session_locker_buffer_free(&erased);
}

static void the_librarys_own(void) {
    SlStorage *storage = NULL;
    SlBuffer out = {NULL, 7, 0};
    char long_key[513];
    int index;

    CHECK_STATUS(SL_ERROR_STORAGE, locker_storage_open(Z("carrier-pigeon:"), &storage));
    CHECK(last_error_says("carrier-pigeon"));
    CHECK_STATUS(SL_ERROR_STORAGE, locker_storage_open(NULL, 0, &storage));
    CHECK_STATUS(SL_ERROR_INVALID_UTF8, locker_storage_open(T("memory:\xff"), &storage));
    CHECK_STATUS(SL_ERROR_INVALID_ARGUMENT, locker_storage_open(Z("memory:"), NULL));
    CHECK(storage == NULL);

    OK(locker_storage_open(Z("memory:"), &storage));
    a_record_lives(storage);
    for (index = 0; index < 3; index++) {
        char key[8];
        SlBuffer revision;
        sprintf(key, "k/%d", index);
        OK(locker_storage_commit(storage, Z(key), T("{}"), NULL, 0, Z("-"), LONG, &revision));
        session_locker_buffer_free(&revision);
    }
    OK(locker_storage_list(storage, Z("k/"), NULL, 0, 2, LONG, &out));
    CHECK(buffer_is(&out, "[\"k/0\",\"k/1\"]"));
    OK(locker_storage_list(storage, Z("k/"), Z("k/1"), SL_MAX_LISTED_KEYS, LONG, &out));
    CHECK(buffer_is(&out, "[\"k/2\"]"));

    memset(long_key, 'k', sizeof long_key);
    out.length = 7;
    CHECK_STATUS(SL_ERROR_OUT_OF_RANGE, locker_storage_list(storage, NULL, 0, NULL, 0, 0, 1, &out));
    CHECK_STATUS(SL_ERROR_OUT_OF_RANGE,
                 locker_storage_list(storage, NULL, 0, NULL, 0, SL_MAX_LISTED_KEYS + 1, 1, &out));
    CHECK_STATUS(SL_ERROR_OUT_OF_RANGE, locker_storage_list(storage, NULL, 0, NULL, 0, 1, -1, &out));
    CHECK_STATUS(SL_ERROR_INVALID_ARGUMENT,
                 locker_storage_list(storage, long_key, sizeof long_key, NULL, 0, 1, 1, &out));
    CHECK_STATUS(SL_ERROR_INVALID_ARGUMENT,
                 locker_storage_erase(storage, long_key, sizeof long_key, NULL, 0, 1, &out));
    CHECK(last_error_says("key has 513 bytes; it must have 1 to 512"));
    CHECK_STATUS(SL_ERROR_INVALID_ARGUMENT, locker_storage_erase(storage, NULL, 0, NULL, 0, 1, &out));
    CHECK_STATUS(SL_ERROR_INVALID_ARGUMENT,
                 locker_storage_erase(storage, Z("key"), Z("seven"), 1, &out));
    CHECK(last_error_says("expected is \"seven\""));
    CHECK_STATUS(SL_ERROR_INVALID_ARGUMENT,
                 locker_storage_commit(storage, Z("key"), T("{}"), NULL, 0, NULL, 0, 1, &out));
    CHECK_STATUS(SL_ERROR_INVALID_ARGUMENT,
                 locker_storage_commit(storage, Z("key"), T("{}"), NULL, 1, Z("-"), 1, &out));
    CHECK_STATUS(SL_ERROR_INVALID_ARGUMENT, locker_storage_keys_of_user(storage, NULL, 0, 1, &out));
    CHECK(out.length == 7);
    OK(locker_storage_destroy(storage));
}

static void the_hosts_own(void) {
    Host host = {AT_ONCE, "", 0, "", "", 0, 0, 0, NULL, 0};
    SlStorage *storage = open_host(&host);
    SlBuffer keys = {NULL, 7, 0};
    Fetched fetched;

    a_record_lives(storage);
    host.manner = WRONGLY;
    OK(fetch_key(storage, LONG, &fetched));
    free_fetched(&fetched);

    host.manner = FROM_A_THREAD;
    OK(fetch_key(storage, LONG, &fetched));
    {
        void *failed = &host;
        pthread_join(host.thread, &failed);
        CHECK(failed == NULL);
    }
    free_fetched(&fetched);

    host.manner = WITH_A_FAILURE;
    CHECK_STATUS(SL_ERROR_STORAGE, fetch_key(storage, LONG, &fetched));
    CHECK(last_error_says("the disk is full"));
    host.manner = BY_STATUS;
    CHECK_STATUS(SL_ERROR_STORAGE, fetch_key(storage, LONG, &fetched));
    CHECK(last_error_says("the host storage's fetch failed: the disk is gone"));
    CHECK_STATUS(SL_ERROR_STORAGE, locker_storage_list(storage, NULL, 0, NULL, 0, 1, 1, &keys));
    CHECK(last_error_says("list failed: there is no such callback"));

    /* An answer that comes too late is taken and goes nowhere; there is no second one. */
    host.manner = NEVER;
    CHECK_STATUS(SL_ERROR_TIMEOUT, fetch_key(storage, SHORT, &fetched));
    OK(storage_request_absent(host.last_request, NULL, 0, 0));
    CHECK_STATUS(SL_ERROR_INVALID_HANDLE, storage_request_absent(host.last_request, NULL, 0, 0));

    /* The end of the storage is the end of its open requests. */
    CHECK_STATUS(SL_ERROR_TIMEOUT, fetch_key(storage, SHORT, &fetched));
    CHECK(host.drops == 0);
    OK(locker_storage_destroy(storage));
    CHECK(host.drops == 1);
    CHECK_STATUS(SL_ERROR_INVALID_HANDLE, storage_request_absent(host.last_request, NULL, 0, 0));
    CHECK(keys.length == 7);
}

/* The table of a host compiled against a later version, which has one more field. */
typedef struct LaterCallbacks {
    SlStorageCallbacks callbacks;
    void *later;
} LaterCallbacks;

static void tables_of_other_versions(void) {
    static const uint32_t sizes[] = {0, 4, 48, 57, 60, 5000, UINT32_MAX};
    Host host = {AT_ONCE, "", 0, "", "", 0, 0, 0, NULL, 0};
    LaterCallbacks table;
    SlStorage *storage = NULL;
    size_t index;

    table.later = &host;
    OK(locker_storage_callbacks_init(&table.callbacks, sizeof table.callbacks));
    CHECK(table.later == &host && table.callbacks.struct_size == 64);
    CHECK_STATUS(SL_ERROR_INVALID_ARGUMENT,
                 locker_storage_open_host(&table.callbacks, &host, &storage));
    CHECK(last_error_says("callbacks.fetch is NULL"));
    table.callbacks.fetch = fetch;
    table.callbacks.commit = commit;
    table.callbacks.erase = erase;
    table.callbacks.drop = drop_host;

    for (index = 0; index < sizeof sizes / sizeof sizes[0]; index++) {
        table.callbacks.struct_size = sizes[index];
        CHECK_STATUS(SL_ERROR_INVALID_ARGUMENT,
                     locker_storage_open_host(&table.callbacks, &host, &storage));
        CHECK(last_error_says("callbacks.struct_size"));
        CHECK_STATUS(SL_ERROR_INVALID_ARGUMENT,
                     locker_storage_callbacks_init(&table.callbacks, sizes[index]));
    }
    table.callbacks.struct_size = sizeof table;
    CHECK_STATUS(SL_ERROR_INVALID_ARGUMENT,
                 locker_storage_open_host(&table.callbacks, &host, &storage));
    CHECK(last_error_says("a field at byte 6"));
    table.later = NULL;
    table.callbacks.reserved = 1;
    CHECK_STATUS(SL_ERROR_INVALID_ARGUMENT,
                 locker_storage_open_host(&table.callbacks, &host, &storage));
    table.callbacks.reserved = 0;
    CHECK_STATUS(SL_ERROR_INVALID_ARGUMENT, locker_storage_open_host(NULL, &host, &storage));
    CHECK_STATUS(SL_ERROR_INVALID_ARGUMENT,
                 locker_storage_open_host(&table.callbacks, &host, NULL));
    CHECK_STATUS(SL_ERROR_INVALID_ARGUMENT, locker_storage_callbacks_init(NULL, 56));
    CHECK(storage == NULL && host.drops == 0);

    OK(locker_storage_open_host(&table.callbacks, &host, &storage));
    OK(locker_storage_destroy(storage));
    CHECK(host.drops == 1);

    /* A host compiled against the first version, which had no limits. */
    table.callbacks.struct_size = 56;
    table.callbacks.requests_per_second = UINT32_MAX;
    OK(locker_storage_open_host(&table.callbacks, &host, &storage));
    OK(locker_storage_destroy(storage));
    CHECK(host.drops == 2);
}

int main(void) {
    the_librarys_own();
    the_hosts_own();
    tables_of_other_versions();
    return finish("storage_host");
}
