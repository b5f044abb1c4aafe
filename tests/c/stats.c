/* Limits of a storage, set in its URL or in the table of a host's own, and the figures of storages and
 * stores. */
#include "world.h"

/* How long a call that will not be answered waits: seconds. */
#define SHORT 0.01

static SlRequestStats of_storage(const SlStorage *storage) {
    SlRequestStats stats;
    memset(&stats, 7, sizeof stats);
    stats.struct_size = sizeof stats;
    OK(locker_storage_get_stats(storage, &stats));
    CHECK(stats.struct_size == sizeof stats && stats.reserved == 0);
    return stats;
}

static SlRequestStats of_store(const SlEasyStore *store) {
    SlRequestStats stats;
    memset(&stats, 7, sizeof stats);
    stats.struct_size = sizeof stats;
    OK(easy_store_get_stats(store, &stats));
    CHECK(stats.struct_size == sizeof stats && stats.reserved == 0);
    return stats;
}

static uint64_t requests(const SlRequestStats *stats) {
    return stats->fetches + stats->commits + stats->erasures + stats->lists;
}

static uint64_t answers(const SlRequestStats *stats) {
    uint64_t sum = 0;
    size_t bucket;
    for (bucket = 0; bucket < SL_LATENCY_BUCKETS; bucket++) {
        sum += stats->latencies[bucket];
    }
    return sum;
}

static uint64_t waiting(const SlRequestStats *stats) {
    return stats->waiting_saves + stats->waiting_loads + stats->waiting_others;
}

/* A storage of a host that answers when the test does. */
typedef struct Host {
    SlStorageRequest *asked[8];
    size_t count;
    /* How many of them are erasures. */
    size_t erasures;
    SlStorage *storage;
} Host;

static SlStatus keep(Host *host, SlStorageRequest *request) {
    CHECK(host->count < 8);
    host->asked[host->count++] = request;
    return SL_OK;
}

static SlStatus fetch(void *user_data, SlStorageRequest *request, const char *key,
                      size_t key_length) {
    CHECK(key != NULL && key_length > 0);
    return keep((Host *)user_data, request);
}

static SlStatus commit(void *user_data, SlStorageRequest *request, const SlStorageCommit *asked) {
    CHECK(asked->bytes.length > 0);
    return keep((Host *)user_data, request);
}

static SlStatus erase(void *user_data, SlStorageRequest *request, const char *key,
                      size_t key_length, int32_t expected, const char *revision,
                      size_t revision_length) {
    (void)expected;
    (void)revision;
    (void)revision_length;
    ((Host *)user_data)->erasures++;
    return fetch(user_data, request, key, key_length);
}

static SlStorageCallbacks callbacks_of_host(void) {
    SlStorageCallbacks callbacks;
    OK(locker_storage_callbacks_init(&callbacks, sizeof callbacks));
    CHECK(callbacks.requests_per_second == 0 && callbacks.requests_in_flight == 0);
    callbacks.fetch = fetch;
    callbacks.commit = commit;
    callbacks.erase = erase;
    return callbacks;
}

static SlStatus fetch_key(SlStorage *storage, double timeout) {
    SlBuffer bytes = {NULL, 0, 0}, revision = {NULL, 0, 0}, user_ids = {NULL, 0, 0};
    int32_t is_present;
    SlStatus status = locker_storage_fetch(storage, Z("key"), timeout, &is_present, &bytes,
                                           &revision, &user_ids);
    session_locker_buffer_free(&bytes);
    session_locker_buffer_free(&revision);
    session_locker_buffer_free(&user_ids);
    return status;
}

/* A store on the storage of a host, which is the server's from now on. */
static void store_on(Host *host, Server *server, SlClock *clock) {
    SlEasyStoreConfig config;
    memset(server, 0, sizeof *server);
    server->storage = host->storage;
    config = server_config(server, clock, 1);
    OK(easy_store_create(server->storage, &config, &server->store));
}

static void a_tools_calls_are_counted(void) {
    SlStorage *storage = NULL;
    SlBuffer out;
    SlRequestStats stats;
    OK(locker_storage_open(Z("memory:?requests_per_second=1000000&requests_in_flight=10"), &storage));
    OK(fetch_key(storage, 10));
    OK(locker_storage_commit(storage, Z("key"), T("{\"Gold\":1}"), NULL, 0, Z("-"), 10, &out));
    session_locker_buffer_free(&out);
    CHECK_STATUS(SL_ERROR_CONFLICT, locker_storage_commit(storage, Z("key"), T("{}"), NULL, 0,
                                                          Z("-"), 10, &out));
    OK(fetch_key(storage, 10));
    OK(locker_storage_list(storage, NULL, 0, NULL, 0, 10, 10, &out));
    session_locker_buffer_free(&out);
    OK(locker_storage_keys_of_user(storage, Z("1"), 10, &out));
    session_locker_buffer_free(&out);
    OK(locker_storage_erase(storage, Z("key"), NULL, 0, 10, &out));
    session_locker_buffer_free(&out);
    stats = of_storage(storage);
    CHECK(stats.fetches == 2 && stats.commits == 2 && stats.erasures == 1 && stats.lists == 2);
    CHECK(stats.conflicts == 1 && stats.bytes_read == 10 && stats.bytes_written == 12);
    CHECK(stats.failures_script + stats.failures_misc + stats.failures_backend == 0);
    CHECK(stats.retries == 0 && stats.refused == 0 && stats.given_up == 0);
    CHECK(answers(&stats) == 7 && stats.in_flight == 0 && stats.most_in_flight == 1);
    OK(locker_storage_destroy(storage));
}

static void what_may_not_go_yet_waits_for_a_call(void) {
    Host host;
    Server server;
    SlClock clock;
    SlStorageCallbacks callbacks = callbacks_of_host();
    SlRequestStats stats;
    SlProfile *profile;
    memset(&host, 0, sizeof host);
    callbacks.requests_in_flight = 1;
    OK(locker_storage_open_host(&callbacks, &host, &host.storage));
    CHECK_STATUS(SL_ERROR_TIMEOUT, fetch_key(host.storage, SHORT));
    store_on(&host, &server, &clock);
    OK(easy_store_start_session(server.store, Z("a"), NULL, &profile));
    frame(&server, 0);
    stats = of_storage(host.storage);
    CHECK(host.count == 1 && stats.fetches == 2 && stats.in_flight == 1);
    CHECK(stats.waiting_loads == 1 && stats.most_waiting_loads == 1 && waiting(&stats) == 1);

    /* The answer makes room; nobody is called until the host calls in for more. */
    OK(storage_request_failed(host.asked[0], SL_REQUEST_ERROR_BACKEND, Z("full"), 0));
    CHECK(host.count == 1);
    frame(&server, 0);
    CHECK(host.count == 2);
    OK(storage_request_failed(host.asked[1], SL_REQUEST_ERROR_SCRIPT, Z("no"), 0));
    CHECK_STATUS(SL_ERROR_TIMEOUT, fetch_key(host.storage, SHORT));
    CHECK(host.count == 3);
    OK(storage_request_failed(host.asked[2], SL_REQUEST_ERROR_MISC, Z("?"), 0));
    stats = of_storage(host.storage);
    CHECK(stats.failures_script == 1 && stats.failures_misc == 1 && stats.failures_backend == 1);
    CHECK(requests(&stats) == 3 && answers(&stats) == 3 && waiting(&stats) == 0);
    server_close(&server);
}

/* What waited for the limits for as long as the tool waits is refused, and not done afterwards. */
static void what_a_tool_no_longer_waits_for_is_not_done_later(void) {
    Host host;
    SlStorageCallbacks callbacks = callbacks_of_host();
    SlRequestStats stats;
    SlBuffer out = {NULL, 0, 0};
    memset(&host, 0, sizeof host);
    callbacks.requests_in_flight = 1;
    OK(locker_storage_open_host(&callbacks, &host, &host.storage));
    CHECK_STATUS(SL_ERROR_TIMEOUT, fetch_key(host.storage, SHORT));
    CHECK_STATUS(SL_ERROR_STORAGE, locker_storage_erase(host.storage, Z("key"), NULL, 0, SHORT, &out));
    CHECK(last_error_says("nothing was written"));
    CHECK_STATUS(SL_ERROR_STORAGE, locker_storage_erase(host.storage, Z("key"), NULL, 0, 0, &out));
    CHECK(last_error_says("nothing was written"));
    stats = of_storage(host.storage);
    CHECK(stats.erasures == 2 && stats.refused == 2 && waiting(&stats) == 0);
    OK(storage_request_failed(host.asked[0], SL_REQUEST_ERROR_BACKEND, Z("full"), 0));
    CHECK_STATUS(SL_ERROR_TIMEOUT, fetch_key(host.storage, SHORT));
    /* The two fetches, and no erasure between them. */
    CHECK(host.count == 2 && host.erasures == 0);
    OK(locker_storage_destroy(host.storage));
}

static void limits_are_checked(void) {
    static const char *const urls[] = {"memory:?requests_per_second=0", "memory:?requests_in_flight=x",
                                       "memory:?requests_in_flight=1000001",
                                       "memory:?requests_in_flight="};
    Host host;
    SlStorageCallbacks callbacks = callbacks_of_host();
    SlStorage *storage = NULL;
    size_t index;
    for (index = 0; index < sizeof urls / sizeof urls[0]; index++) {
        CHECK_STATUS(SL_ERROR_STORAGE, locker_storage_open(Z(urls[index]), &storage));
        CHECK(last_error_says("a number from 1 to 1000000"));
    }
    callbacks.requests_per_second = 1000001;
    CHECK_STATUS(SL_ERROR_OUT_OF_RANGE, locker_storage_open_host(&callbacks, &host, &storage));
    CHECK(last_error_says("callbacks.requests_per_second is 1000001"));
    callbacks.requests_per_second = 1000000;
    callbacks.requests_in_flight = UINT32_MAX;
    CHECK_STATUS(SL_ERROR_OUT_OF_RANGE, locker_storage_open_host(&callbacks, &host, &storage));
    CHECK(last_error_says("callbacks.requests_in_flight is 4294967295"));
    CHECK(storage == NULL);
}

static void a_store_has_figures_of_its_own(void) {
    Server server, other;
    SlClock clock;
    SlEasyStoreConfig config;
    SlRequestStats own, all;
    SlProfile *profile;
    server_open(&server, "memory:", 0, 1);
    /* Another store on the same storage. */
    memset(&other, 0, sizeof other);
    config = server_config(&other, &clock, 2);
    OK(easy_store_create(server.storage, &config, &other.store));
    profile = loaded(&server, "ann");
    loaded(&other, "ben");
    own = of_store(server.store);
    CHECK(own.fetches == 1 && own.commits == 1 && own.erasures == 0 && own.lists == 0);
    CHECK(own.latencies[0] == 2 && own.bytes_written > 50 && own.bytes_read == 0);
    all = of_storage(server.storage);
    CHECK(all.fetches == 2 && all.commits == 2);

    OK(save_data_set_i64(data_of(profile), Z("/Gold"), 1));
    /* Somebody else writes; the save meets a conflict, looks, and finds the session lost. */
    store_under(server.storage, "ann", OWNED_BY_ANOTHER);
    OK(profile_mark_force_save(profile));
    frame(&server, 0);
    frame(&server, 0);
    own = of_store(server.store);
    CHECK(own.conflicts == 1 && own.retries == 1);
    all = of_storage(server.storage);
    CHECK(all.conflicts == 1 && all.retries == 1);
    CHECK(own.bytes_read > 50);
    OK(easy_store_destroy(other.store));
    server_close(&server);
}

static void what_is_not_answered_in_time_is_given_up(void) {
    Host host;
    Server server;
    SlClock clock;
    SlStorageCallbacks callbacks = callbacks_of_host();
    SlProfile *profile;
    SlRequestStats stats;
    memset(&host, 0, sizeof host);
    callbacks.requests_in_flight = 2;
    OK(locker_storage_open_host(&callbacks, &host, &host.storage));
    store_on(&host, &server, &clock);
    OK(easy_store_start_session(server.store, Z("a"), NULL, &profile));
    OK(easy_store_start_session(server.store, Z("b"), NULL, &profile));
    OK(easy_store_start_session(server.store, Z("c"), NULL, &profile));
    frame(&server, 0);
    stats = of_store(server.store);
    /* The third waits in the store: more than the storage lets through would only wait there. */
    CHECK(stats.in_flight == 2 && stats.waiting_loads == 1 && stats.most_waiting_loads == 1);
    stats = of_storage(server.storage);
    CHECK(host.count == 2 && stats.in_flight == 2 && waiting(&stats) == 0);

    frame(&server, 31);
    stats = of_store(server.store);
    CHECK(stats.given_up == 2 && stats.waiting_loads == 0 && stats.in_flight == 1);
    CHECK(requests(&stats) == answers(&stats) + stats.given_up + stats.in_flight);
    /* The storage still has the first two, so that the third waits for it now. */
    stats = of_storage(server.storage);
    CHECK(host.count == 2 && stats.in_flight == 2 && stats.waiting_loads == 1);
    OK(storage_request_absent(host.asked[0], NULL, 0, 0));
    frame(&server, 1);
    stats = of_storage(server.storage);
    CHECK(host.count == 3 && stats.in_flight == 2 && waiting(&stats) == 0);
    CHECK(stats.given_up == 0);
    server_close(&server);
}

/* The structs of a host compiled against a later version, and of one against none. */
static void figures_of_other_versions(void) {
    static const uint32_t sizes[] = {0, 8, 360, 369, 372, 5000, UINT32_MAX};
    struct {
        SlRequestStats stats;
        uint64_t later;
    } longer;
    Server server;
    size_t index;
    server_open(&server, "memory:", 0, 1);
    loaded(&server, "ann");
    memset(&longer, 7, sizeof longer);
    for (index = 0; index < sizeof sizes / sizeof sizes[0]; index++) {
        longer.stats.struct_size = sizes[index];
        CHECK_STATUS(SL_ERROR_INVALID_ARGUMENT, locker_storage_get_stats(server.storage, &longer.stats));
        CHECK(last_error_says("stats.struct_size"));
        CHECK_STATUS(SL_ERROR_INVALID_ARGUMENT, easy_store_get_stats(server.store, &longer.stats));
        CHECK(last_error_says("stats.struct_size"));
    }
    CHECK_STATUS(SL_ERROR_INVALID_ARGUMENT, locker_storage_get_stats(server.storage, NULL));
    CHECK_STATUS(SL_ERROR_INVALID_ARGUMENT, easy_store_get_stats(server.store, NULL));
    CHECK(longer.stats.reserved == 0x07070707);
    longer.stats.struct_size = sizeof longer;
    OK(easy_store_get_stats(server.store, &longer.stats));
    CHECK(longer.stats.struct_size == sizeof longer && longer.later == 0);
    CHECK(longer.stats.fetches == 1 && longer.stats.commits == 1);
    server_close(&server);
}

int main(void) {
    a_tools_calls_are_counted();
    what_may_not_go_yet_waits_for_a_call();
    what_a_tool_no_longer_waits_for_is_not_done_later();
    limits_are_checked();
    a_store_has_figures_of_its_own();
    what_is_not_answered_in_time_is_given_up();
    figures_of_other_versions();
    return finish("stats");
}
