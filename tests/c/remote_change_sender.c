/* Remote changes as a host sends them: with a sender of its own, or with a store's. Whatever happens
 * to an answer they arrive once, and every send is answered once. */
#include "host_memory.h"

/* What a send's callback has heard, and a copy of each error. */
typedef struct Sends {
    int count;
    uint64_t last_id;
    int32_t last_outcome;
    int drops;
    char error[256];
    /* Used inside the callback, if they are there. */
    SlRemoteChangeSender *sender;
    int destroys;
} Sends;

static void hear_send(void *user_data, uint64_t send_id, int32_t outcome) {
    Sends *sends = (Sends *)user_data;
    CHECK(sends->drops == 0 || sends->count == 0 || sends->count >= sends->drops);
    sends->count++;
    sends->last_id = send_id;
    sends->last_outcome = outcome;
    if (sends->sender != NULL) {
        CHECK_STATUS(SL_ERROR_BUSY, remote_change_sender_update(sends->sender, 1e6));
        if (sends->destroys) {
            OK(remote_change_sender_destroy(sends->sender));
            sends->sender = NULL;
        }
    }
}

static void hear_error(void *user_data, const SlErrorReport *report) {
    Sends *sends = (Sends *)user_data;
    CHECK(report->activity == SL_ACTIVITY_SEND && report->user_id_count == 0);
    sprintf(sends->error, "%.*s %.*s: %.*s", (int)report->log_prefix.length,
            report->log_prefix.data, (int)report->key.length, report->key.data,
            (int)report->message.length, report->message.data);
}

static void count_drop(void *user_data) { ((Sends *)user_data)->drops++; }

/* A spec on a storage, with a clock that stands still: the updates tell the time. */
static SlLockerSpec *spec_on(SlStorage *storage) {
    SlLockerSpec *spec = NULL;
    SlLockerSpecConfig config;
    OK(locker_spec_config_init(&config, sizeof config));
    config.template_json = "{\"Gold\":0}";
    OK(locker_spec_create(storage, &config, &spec));
    return spec;
}

static SlRemoteChangeSenderConfig sender_config(void) {
    SlRemoteChangeSenderConfig config;
    OK(remote_change_sender_config_init(&config, sizeof config));
    CHECK(config.struct_size == sizeof config && config.log_prefix_length == SL_NUL_TERMINATED);
    CHECK(config.create_if_missing == 0 && config.disable_apis == 0 && config.polls_events == 0);
    CHECK(config.log_prefix == NULL && config.seed == 0 && config.report_error == NULL);
    CHECK(config.user_data == NULL && config.drop == NULL);
    return config;
}

static SlRemoteChangeSender *sender_on(SlStorage *storage, int32_t create_if_missing) {
    SlLockerSpec *spec = spec_on(storage);
    SlRemoteChangeSender *sender = NULL;
    SlRemoteChangeSenderConfig config = sender_config();
    config.create_if_missing = create_if_missing;
    OK(remote_change_sender_create(spec, &config, &sender));
    /* The sender keeps the spec. */
    OK(locker_spec_destroy(spec));
    return sender;
}

static uint64_t send_gold(SlRemoteChangeSender *sender, const char *key, const char *operation_id,
                          Sends *sends) {
    uint64_t send_id = 0;
    OK(remote_change_sender_send(sender, Z(key), Z("[{\"K\":\"give\",\"gold\":5}]"), 
                                 sent_as(Z(operation_id)), hear_send, sends, count_drop, &send_id));
    CHECK(send_id > 0);
    return send_id;
}

static int32_t is_sending(SlRemoteChangeSender *sender) {
    int32_t value = 7;
    OK(remote_change_sender_is_sending(sender, &value));
    return value;
}

/* How many changes stand in a text. */
static int changes_in(const char *text) {
    int count = 0;
    while ((text = strstr(text, "\"gold\":5")) != NULL) {
        count++;
        text++;
    }
    return count;
}

static int changes_under(SlStorage *storage, const char *key) {
    SlBuffer bytes = stored_under(storage, key);
    int count = changes_in(bytes.data);
    session_locker_buffer_free(&bytes);
    return count;
}

static void fault_20_a_send_to_a_missing_record_is_answered(void) {
    SlStorage *storage = NULL;
    SlRemoteChangeSender *sender;
    Sends sends;
    uint64_t id;

    memset(&sends, 0, sizeof sends);
    OK(locker_storage_open(Z("memory:"), &storage));
    sender = sender_on(storage, 0);
    CHECK(is_sending(sender) == 0);
    id = send_gold(sender, "player", NULL, &sends);
    CHECK(is_sending(sender) == 1 && sends.count == 0);
    OK(remote_change_sender_update(sender, 0));
    CHECK(is_sending(sender) == 0 && sends.count == 1 && sends.drops == 1);
    CHECK(sends.last_id == id && sends.last_outcome == SL_SEND_MISSING);
    CHECK(changes_under(storage, "player") == 0);
    OK(remote_change_sender_destroy(sender));
    CHECK(sends.count == 1 && sends.drops == 1);
    OK(locker_storage_destroy(storage));
}

static void fault_1_an_update_returns_after_a_send_has_finished_or_was_empty(void) {
    SlStorage *storage = NULL;
    SlRemoteChangeSender *sender;
    Sends sends;

    memset(&sends, 0, sizeof sends);
    OK(locker_storage_open(Z("memory:"), &storage));
    sender = sender_on(storage, 1);
    send_gold(sender, "player", NULL, &sends);
    send_gold(sender, "player", NULL, &sends);
    OK(remote_change_sender_update(sender, 0));
    OK(remote_change_sender_update(sender, 0));
    CHECK(sends.count == 2 && sends.last_outcome == SL_SEND_SENT);
    CHECK(changes_under(storage, "player") == 2);
    OK(remote_change_sender_send(sender, Z("nobody"), Z("[]"), NULL, hear_send, &sends, NULL, NULL));
    CHECK(sends.count == 2 && is_sending(sender) == 1);
    OK(remote_change_sender_update(sender, 1));
    CHECK(sends.count == 3 && sends.last_outcome == SL_SEND_SENT && is_sending(sender) == 0);
    CHECK(!stored_has(storage, "nobody", "Gold"));
    /* Nobody wants to hear of it: the user data goes at once. */
    sends.drops = 0;
    OK(remote_change_sender_send(sender, Z("player"), Z("[{\"K\":\"k\",\"gold\":5}]"), NULL, NULL, &sends,
                                 count_drop, NULL));
    CHECK(sends.drops == 1);
    OK(remote_change_sender_update(sender, 2));
    CHECK(changes_under(storage, "player") == 3 && sends.count == 3);
    OK(remote_change_sender_destroy(sender));
    OK(locker_storage_destroy(storage));
}

static void fault_19_a_send_whose_answer_is_lost_arrives_once(void) {
    HostMemory memory;
    SlStorage *storage = host_storage(&memory);
    SlLockerSpec *spec = spec_on(storage);
    SlRemoteChangeSender *sender = NULL;
    SlRemoteChangeSenderConfig config = sender_config();
    Sends sends, reports;
    int second;

    memset(&sends, 0, sizeof sends);
    memset(&reports, 0, sizeof reports);
    config.create_if_missing = 1;
    config.log_prefix = "[Moderator]";
    config.user_data = &reports;
    config.report_error = hear_error;
    config.drop = count_drop;
    OK(remote_change_sender_create(spec, &config, &sender));
    memory.holds = 1;
    send_gold(sender, "player", NULL, &sends);
    OK(remote_change_sender_update(sender, 0));
    CHECK(host_answer_held(&memory) == 1);
    OK(remote_change_sender_update(sender, 0));
    /* The commit is carried out, and answered as failed. */
    memory.fails = "the line is cut";
    CHECK(host_answer_held(&memory) == 1);
    memory.fails = NULL;
    memory.holds = 0;
    for (second = 1; second < 10; second++) {
        OK(remote_change_sender_update(sender, second));
    }
    CHECK(strcmp(reports.error, "[Moderator] player: the line is cut") == 0);
    CHECK(sends.count == 1 && sends.last_outcome == SL_SEND_SENT && memory.commits == 1);
    CHECK(changes_in(host_record(&memory, "player")) == 1);
    CHECK(reports.drops == 0);
    OK(remote_change_sender_destroy(sender));
    CHECK(reports.drops == 1);
    OK(locker_spec_destroy(spec));
    OK(locker_storage_destroy(storage));
    CHECK(memory.drops == 1);
}

static void an_operation_that_another_process_sends_again_arrives_once(void) {
    SlStorage *storage = NULL;
    SlRemoteChangeSender *sender;
    Sends sends;
    int process;

    memset(&sends, 0, sizeof sends);
    OK(locker_storage_open(Z("memory:"), &storage));
    for (process = 0; process < 3; process++) {
        sender = sender_on(storage, 1);
        send_gold(sender, "player", "refund 7", &sends);
        OK(remote_change_sender_update(sender, 0));
        CHECK(sends.count == process + 1 && sends.last_outcome == SL_SEND_SENT);
        OK(remote_change_sender_destroy(sender));
    }
    CHECK(changes_under(storage, "player") == 1);
    CHECK(stored_has(storage, "player", "\"I\":\"refund 7:1\""));
    OK(locker_storage_destroy(storage));
}

static void a_sender_that_is_destroyed_answers_what_is_left_once(void) {
    HostMemory memory;
    SlStorage *storage = host_storage(&memory);
    SlRemoteChangeSender *sender = sender_on(storage, 1);
    Sends unknown, unsent;

    memset(&unknown, 0, sizeof unknown);
    memset(&unsent, 0, sizeof unsent);
    memory.holds = 1;
    send_gold(sender, "first", NULL, &unknown);
    OK(remote_change_sender_update(sender, 0));
    host_answer_held(&memory);
    OK(remote_change_sender_update(sender, 0));
    send_gold(sender, "second", NULL, &unsent);
    OK(remote_change_sender_destroy(sender));
    CHECK(unknown.count == 1 && unknown.last_outcome == SL_SEND_UNKNOWN && unknown.drops == 1);
    CHECK(unsent.count == 1 && unsent.last_outcome == SL_SEND_NOT_SENT && unsent.drops == 1);
    host_answer_held(&memory);
    CHECK(unknown.count == 1);
    OK(locker_storage_destroy(storage));
}

static void a_sender_may_be_destroyed_inside_its_own_callback(void) {
    SlStorage *storage = NULL;
    SlRemoteChangeSender *sender;
    Sends first, second;

    memset(&first, 0, sizeof first);
    memset(&second, 0, sizeof second);
    OK(locker_storage_open(Z("memory:"), &storage));
    sender = sender_on(storage, 1);
    first.sender = sender;
    first.destroys = 1;
    send_gold(sender, "player", NULL, &first);
    send_gold(sender, "other", NULL, &second);
    OK(remote_change_sender_update(sender, 0));
    CHECK(first.count == 1 && first.drops == 1 && first.sender == NULL);
    CHECK(second.count == 1 && second.drops == 1);
    CHECK_STATUS(SL_ERROR_INVALID_HANDLE, remote_change_sender_update(sender, 1));
    OK(locker_storage_destroy(storage));
}

static void what_cannot_be_sent_is_refused_and_stays_the_hosts(void) {
    SlStorage *storage = NULL;
    SlRemoteChangeSender *sender, *nothing = NULL;
    SlRemoteChangeSenderConfig config = sender_config();
    SlLockerSpec *spec;
    Sends sends;
    uint64_t id = 7;
    int32_t value = 7;
    char long_id[200], prefix[1100];
    SlSendOptions options;

    memset(&sends, 0, sizeof sends);
    memset(long_id, 'i', sizeof long_id);
    memset(prefix, 'p', sizeof prefix);
    OK(locker_storage_open(Z("memory:"), &storage));
    sender = sender_on(storage, 1);
#define NO_ID NULL
#define NO_JSON NULL, 1
#define LONG_ID sent_as(long_id, sizeof long_id)
#define REFUSED(status, key, json, operation_id)                                                   \
    CHECK_STATUS(status, remote_change_sender_send(sender, key, json, operation_id, hear_send,     \
                                                   &sends, count_drop, &id))
    REFUSED(SL_ERROR_INVALID_ARGUMENT, Z(""), Z("[]"), NO_ID);
    REFUSED(SL_ERROR_INVALID_UTF8, T("\xff"), Z("[]"), NO_ID);
    REFUSED(SL_ERROR_INVALID_JSON, Z("k"), Z("[{]"), NO_ID);
    REFUSED(SL_ERROR_WRONG_TYPE, Z("k"), Z("{\"K\":\"k\"}"), NO_ID);
    REFUSED(SL_ERROR_WRONG_TYPE, Z("k"), Z("[{\"K\":\"k\"},{\"K\":1}]"), NO_ID);
    CHECK(last_error_says("\"/1/K\" has to be a string"));
    REFUSED(SL_ERROR_NOT_FOUND, Z("k"), Z("[{}]"), NO_ID);
    REFUSED(SL_ERROR_OUT_OF_RANGE, Z("k"), Z("[{\"K\":\"\"}]"), NO_ID);
    REFUSED(SL_ERROR_INVALID_ARGUMENT, Z("k"), Z("[]"), sent_as(T("")));
    REFUSED(SL_ERROR_INVALID_ARGUMENT, Z("k"), Z("[]"), sent_as(NULL, 5));
    options = *sent_as(NULL, 0);
    options.reserved = 1;
    REFUSED(SL_ERROR_INVALID_ARGUMENT, Z("k"), Z("[]"), &options);
    CHECK(last_error_says("options.reserved is 1"));
    options.struct_size = 7;
    REFUSED(SL_ERROR_INVALID_ARGUMENT, Z("k"), Z("[]"), &options);
    REFUSED(SL_ERROR_INVALID_ARGUMENT, Z("k"), Z("[]"), LONG_ID);
    CHECK(last_error_says("the operation id is 200 bytes long"));
    REFUSED(SL_ERROR_INVALID_ARGUMENT, Z("k"), NO_JSON, NO_ID);
#undef REFUSED
    CHECK_STATUS(SL_ERROR_OUT_OF_RANGE, remote_change_sender_update(sender, 1e300));
    CHECK_STATUS(SL_ERROR_INVALID_ARGUMENT, remote_change_sender_is_sending(sender, NULL));
    CHECK(id == 7 && value == 7 && is_sending(sender) == 0);
    OK(remote_change_sender_destroy(sender));
    CHECK(sends.count == 0 && sends.drops == 0);

    spec = spec_on(storage);
    config.user_data = &sends;
    config.drop = count_drop;
    CHECK_STATUS(SL_ERROR_INVALID_ARGUMENT, remote_change_sender_create(spec, &config, NULL));
    config.disable_apis = 2;
    CHECK_STATUS(SL_ERROR_INVALID_ARGUMENT, remote_change_sender_create(spec, &config, &nothing));
    CHECK(last_error_says("config.disable_apis is 2"));
    config.disable_apis = 0;
    config.polls_events = 2;
    CHECK_STATUS(SL_ERROR_INVALID_ARGUMENT, remote_change_sender_create(spec, &config, &nothing));
    config.polls_events = 0;
    config.log_prefix = prefix;
    config.log_prefix_length = sizeof prefix;
    CHECK_STATUS(SL_ERROR_INVALID_ARGUMENT, remote_change_sender_create(spec, &config, &nothing));
    CHECK(last_error_says("the log prefix is 1100 bytes long"));
    CHECK_STATUS(SL_ERROR_INVALID_ARGUMENT, remote_change_sender_config_init(&config, 3));
    CHECK_STATUS(SL_ERROR_INVALID_ARGUMENT, remote_change_sender_config_init(NULL, sizeof config));
    CHECK(nothing == NULL && sends.drops == 0);
    OK(remote_change_sender_create(spec, NULL, &nothing));
    OK(remote_change_sender_destroy(nothing));
    OK(locker_spec_destroy(spec));
    OK(locker_storage_destroy(storage));
}

static void with_the_apis_disabled_nothing_is_written(void) {
    SlStorage *storage = NULL;
    SlLockerSpec *spec;
    SlRemoteChangeSender *sender = NULL;
    SlRemoteChangeSenderConfig config = sender_config();
    Sends sends;

    memset(&sends, 0, sizeof sends);
    OK(locker_storage_open(Z("memory:"), &storage));
    spec = spec_on(storage);
    config.disable_apis = config.create_if_missing = 1;
    OK(remote_change_sender_create(spec, &config, &sender));
    send_gold(sender, "player", NULL, &sends);
    OK(remote_change_sender_update(sender, 0));
    CHECK(sends.count == 1 && sends.last_outcome == SL_SEND_SENT);
    CHECK(changes_under(storage, "player") == 0);
    OK(remote_change_sender_destroy(sender));
    OK(locker_spec_destroy(spec));
    OK(locker_storage_destroy(storage));
}

/* What a store tells of its sends. */
typedef struct Told {
    int count;
    uint64_t send_id;
    int32_t outcome;
    char error[128];
} Told;

static void hear_store(void *user_data, const SlEvent *event) {
    Told *told = (Told *)user_data;
    CHECK(event->key.length == 6 && memcmp(event->key.data, "player", 6) == 0);
    CHECK(event->profile == NULL && event->locker == NULL);
    if (event->kind == SL_EVENT_ERROR) {
        CHECK(event->activity == SL_ACTIVITY_SEND);
        sprintf(told->error, "%.100s", event->text.data);
        return;
    }
    CHECK(event->kind == SL_EVENT_REMOTE_CHANGES_SENT);
    told->count++;
    told->send_id = event->send_id;
    told->outcome = event->outcome;
}

static SlEasyStore *store_on(SlStorage *storage, int polls, Moment *moment, Told *told) {
    SlEasyStore *store = NULL;
    SlEasyStoreConfig config;
    SlClock clock;
    memset(moment, 0, sizeof *moment);
    memset(told, 0, sizeof *told);
    clock = clock_of(moment);
    OK(easy_store_config_init(&config, sizeof config));
    config.clock = &clock;
    config.seed = 1;
    config.template_json = "{\"Gold\":0}";
    config.polls_events = polls;
    config.user_data = told;
    config.event = hear_store;
    OK(easy_store_create(storage, &config, &store));
    return store;
}

static void store_step(SlEasyStore *store, Moment *moment, Told *told, double seconds) {
    SlEvent event;
    size_t count = 0;
    moment->seconds += seconds;
    OK(easy_store_update(store, moment->seconds));
    do {
        OK(easy_store_poll_event(store, &event, 1, &count));
        if (count == 1) {
            hear_store(told, &event);
        }
    } while (count > 0);
}

static void a_store_sends_and_tells_it_as_an_event(int polls) {
    HostMemory memory;
    SlStorage *storage = host_storage(&memory);
    Moment moment;
    Told told;
    Sends sends;
    SlEasyStore *store = store_on(storage, polls, &moment, &told);
    uint64_t id = 0;
    int step;

    memset(&sends, 0, sizeof sends);
    memory.fails = "no disk";
    OK(easy_store_send_remote_changes(store, Z("player"), Z("[{\"K\":\"give\",\"gold\":5}]"), NULL,
                                      hear_send, &sends, count_drop, &id));
    store_step(store, &moment, &told, 1);
    CHECK(strcmp(told.error, "no disk") == 0 && told.count == 0 && sends.count == 0);
    memory.fails = NULL;
    for (step = 0; step < 3; step++) {
        store_step(store, &moment, &told, 1);
    }
    CHECK(told.count == 1 && told.send_id == id && told.outcome == SL_SEND_SENT);
    CHECK(sends.count == 1 && sends.last_id == id && sends.drops == 1);
    CHECK(changes_in(host_record(&memory, "player")) == 1);
    OK(easy_store_close(store));
    CHECK_STATUS(SL_ERROR_CLOSED,
                 easy_store_send_remote_changes(store, Z("player"), Z("[]"), NULL, hear_send, &sends,
                                                count_drop, &id));
    CHECK(sends.drops == 1);
    OK(easy_store_destroy(store));
    OK(locker_storage_destroy(storage));
}

static void a_sender_tells_by_polling_with_no_callback_at_all(void) {
    HostMemory memory;
    SlStorage *storage = host_storage(&memory);
    SlLockerSpec *spec = spec_on(storage);
    SlRemoteChangeSender *sender = NULL;
    SlRemoteChangeSenderConfig config = sender_config();
    SlEvent events[3];
    size_t count = 7;
    uint64_t id = 0;

    config.polls_events = 1;
    config.create_if_missing = 1;
    OK(remote_change_sender_create(spec, &config, &sender));
    memory.fails = "no disk";
    OK(remote_change_sender_send(sender, Z("player"), Z("[{\"K\":\"give\",\"gold\":5}]"), NULL, NULL,
                                 NULL, NULL, &id));
    CHECK_STATUS(SL_ERROR_INVALID_ARGUMENT,
                 remote_change_sender_poll_event(sender, NULL, 1, &count));
    CHECK_STATUS(SL_ERROR_INVALID_ARGUMENT,
                 remote_change_sender_poll_event(sender, events, 3, NULL));
    OK(remote_change_sender_poll_event(sender, events, 3, &count));
    CHECK(count == 0);
    OK(remote_change_sender_update(sender, 1));
    OK(remote_change_sender_poll_event(sender, events, 3, &count));
    CHECK(count == 1 && events[0].kind == SL_EVENT_ERROR);
    CHECK(events[0].activity == SL_ACTIVITY_SEND && strcmp(events[0].text.data, "no disk") == 0);
    CHECK(events[0].key.length == 6 && memcmp(events[0].key.data, "player", 6) == 0);
    memory.fails = NULL;
    OK(remote_change_sender_update(sender, 10));
    OK(remote_change_sender_update(sender, 20));
    OK(remote_change_sender_poll_event(sender, events, 3, &count));
    CHECK(count == 1 && events[0].kind == SL_EVENT_REMOTE_CHANGES_SENT);
    CHECK(events[0].send_id == id && events[0].outcome == SL_SEND_SENT);
    CHECK(events[0].key.length == 6 && memcmp(events[0].key.data, "player", 6) == 0);
    CHECK(events[0].profile == NULL && events[0].locker == NULL);
    OK(remote_change_sender_poll_event(sender, events, 3, &count));
    CHECK(count == 0);
    OK(remote_change_sender_destroy(sender));
    OK(locker_spec_destroy(spec));
    OK(locker_storage_destroy(storage));
}

static void a_sender_takes_no_more_while_nobody_reads_its_events(void) {
    SlStorage *storage = NULL;
    SlLockerSpec *spec;
    SlRemoteChangeSender *sender = NULL;
    SlRemoteChangeSenderConfig config = sender_config();
    SlEvent event;
    size_t count = 0;
    int sent;

    OK(locker_storage_open(Z("memory:"), &storage));
    spec = spec_on(storage);
    config.polls_events = 1;
    OK(remote_change_sender_create(spec, &config, &sender));
    for (sent = 0; sent < 65536; sent++) {
        OK(remote_change_sender_send(sender, Z("k"), Z("[]"), NULL, NULL, NULL, NULL, NULL));
    }
    OK(remote_change_sender_update(sender, 0));
    CHECK_STATUS(SL_ERROR_LIMIT, remote_change_sender_send(sender, Z("k"), Z("[]"), NULL, NULL, NULL,
                                                           NULL, NULL));
    OK(remote_change_sender_poll_event(sender, &event, 1, &count));
    CHECK(count == 1 && event.outcome == SL_SEND_SENT);
    OK(remote_change_sender_send(sender, Z("k"), Z("[]"), NULL, NULL, NULL, NULL, NULL));
    OK(remote_change_sender_destroy(sender));
    OK(locker_spec_destroy(spec));
    OK(locker_storage_destroy(storage));
}

static void a_drain_waits_for_sends_and_reports_those_that_are_left(void) {
    HostMemory memory;
    SlStorage *storage = host_storage(&memory);
    Moment moment;
    Told told;
    SlEasyStore *store = store_on(storage, 1, &moment, &told);
    SlDrainReport *report = NULL;
    SlUnsent unsent;
    Sends sends;
    size_t count = 7;
    int32_t is_closed = 7;

    memset(&sends, 0, sizeof sends);
    memory.fails = "no disk";
    OK(easy_store_send_remote_changes(store, Z("player"),
                                      Z("[{\"K\":\"give\",\"gold\":5},{\"K\":\"give\",\"gold\":5}]"),
                                      sent_as(Z("refund 8")), hear_send, &sends, count_drop, NULL));
    OK(easy_store_drain(store, 3, &report));
    OK(drain_report_unsaved_count(report, &count));
    CHECK(count == 0);
    OK(drain_report_unsent_count(report, &count));
    CHECK(count == 1);
    unsent.struct_size = sizeof unsent;
    OK(drain_report_get_unsent(report, 0, &unsent));
    CHECK(unsent.key.length == 6 && memcmp(unsent.key.data, "player", 6) == 0);
    CHECK(unsent.change_count == 2 && unsent.outcome == SL_SEND_NOT_SENT);
    CHECK(unsent.reason.length > 0 && unsent.struct_size == sizeof unsent);
    CHECK_STATUS(SL_ERROR_OUT_OF_RANGE,
                 drain_report_get_unsent(report, 1, &unsent));
    CHECK_STATUS(SL_ERROR_INVALID_ARGUMENT,
                 drain_report_get_unsent(report, 0, NULL));
    unsent.struct_size = 0;
    CHECK_STATUS(SL_ERROR_INVALID_ARGUMENT, drain_report_get_unsent(report, 0, &unsent));
    CHECK(last_error_says("unsent.struct_size is 0"));
    CHECK_STATUS(SL_ERROR_INVALID_ARGUMENT, drain_report_unsent_count(report, NULL));
    OK(drain_report_destroy(report));
    OK(easy_store_is_closed(store, &is_closed));
    CHECK(is_closed == 0 && sends.count == 0);
    memory.fails = NULL;
    OK(easy_store_drain(store, 100, &report));
    OK(drain_report_unsent_count(report, &count));
    CHECK(count == 0 && sends.count == 1 && sends.last_outcome == SL_SEND_SENT);
    CHECK(changes_in(host_record(&memory, "player")) == 2);
    OK(drain_report_destroy(report));
    OK(easy_store_destroy(store));
    OK(locker_storage_destroy(storage));
}

static void a_store_that_is_destroyed_answers_its_sends(void) {
    SlStorage *storage = NULL;
    Moment moment;
    Told told;
    Sends sends;
    SlEasyStore *store;

    memset(&sends, 0, sizeof sends);
    OK(locker_storage_open(Z("memory:"), &storage));
    store = store_on(storage, 0, &moment, &told);
    OK(easy_store_send_remote_changes(store, Z("player"), Z("[{\"K\":\"k\"}]"), NULL, hear_send, &sends,
                                      count_drop, NULL));
    OK(easy_store_destroy(store));
    CHECK(sends.count == 1 && sends.last_outcome == SL_SEND_NOT_SENT && sends.drops == 1);
    CHECK(told.count == 1 && told.outcome == SL_SEND_NOT_SENT);
    OK(locker_storage_destroy(storage));
}

int main(void) {
    fault_20_a_send_to_a_missing_record_is_answered();
    fault_1_an_update_returns_after_a_send_has_finished_or_was_empty();
    fault_19_a_send_whose_answer_is_lost_arrives_once();
    an_operation_that_another_process_sends_again_arrives_once();
    a_sender_that_is_destroyed_answers_what_is_left_once();
    a_sender_may_be_destroyed_inside_its_own_callback();
    what_cannot_be_sent_is_refused_and_stays_the_hosts();
    with_the_apis_disabled_nothing_is_written();
    a_store_sends_and_tells_it_as_an_event(0);
    a_store_sends_and_tells_it_as_an_event(1);
    a_sender_tells_by_polling_with_no_callback_at_all();
    a_sender_takes_no_more_while_nobody_reads_its_events();
    a_drain_waits_for_sends_and_reports_those_that_are_left();
    a_store_that_is_destroyed_answers_its_sends();
    return finish("remote_change_sender");
}
