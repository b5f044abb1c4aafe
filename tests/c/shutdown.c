/* Shutting down: closing, draining with a deadline, and destroying a store that still has
 * sessions. Every wait is answered once, whatever happens. */
#include "host_memory.h"

#include <math.h>

typedef struct Answer {
    int count;
    int32_t outcome;
} Answer;

static void take_answer(void *user_data, int32_t outcome) {
    Answer *answer = (Answer *)user_data;
    answer->count++;
    answer->outcome = outcome;
}

static int32_t is_closed(Server *server) {
    int32_t value = 7;
    OK(easy_store_is_closed(server->store, &value));
    return value;
}

static void closing_saves_and_ends_every_session(void) {
    Server server;
    SlProfile *first, *second, *nothing = NULL;
    int32_t is_active = 7;

    server_open(&server, "memory:", 0, 1);
    first = loaded(&server, "first");
    second = loaded(&server, "second");
    OK(save_data_set_i64(data_of(first), Z("/Gold"), 1));
    OK(easy_store_close(server.store));
    OK(easy_store_close(server.store));
    CHECK(is_closed(&server) == 0);
    OK(profile_is_active(first, &is_active));
    CHECK(is_active == 0);
    CHECK_STATUS(SL_ERROR_CLOSED,
                 easy_store_start_session(server.store, Z("third"), NULL, &nothing));
    CHECK_STATUS(SL_ERROR_CLOSED,
                 easy_store_start_session_reusable(server.store, Z("first"), NULL, &nothing));
    CHECK(nothing == NULL);
    frame(&server, 0);
    CHECK(is_closed(&server) == 1);
    CHECK(stored_has(server.storage, "first", "\"Gold\":1"));
    CHECK(!stored_has(server.storage, "first", "\"Session\""));
    CHECK(!stored_has(server.storage, "second", "\"Session\""));
    OK(profile_destroy(first));
    OK(profile_destroy(second));
    server_close(&server);
}

static void a_drain_reports_nothing_when_all_went_well(void) {
    Server server;
    SlDrainReport *report = NULL;
    SlUnsaved unsaved;
    size_t count = 7;

    server_open(&server, "memory:", 1, 1);
    loaded(&server, "player");
    CHECK_STATUS(SL_ERROR_OUT_OF_RANGE, easy_store_drain(server.store, -1, &report));
    CHECK_STATUS(SL_ERROR_OUT_OF_RANGE, easy_store_drain(server.store, NAN, &report));
    CHECK(report == NULL && is_closed(&server) == 0);
    OK(easy_store_drain(server.store, 1, &report));
    CHECK(is_closed(&server) == 1);
    OK(drain_report_unsaved_count(report, &count));
    CHECK(count == 0);
    memset(&unsaved, 7, sizeof unsaved);
    CHECK_STATUS(SL_ERROR_INVALID_ARGUMENT, drain_report_get_unsaved(report, 0, &unsaved));
    unsaved.struct_size = sizeof unsaved;
    CHECK_STATUS(SL_ERROR_OUT_OF_RANGE, drain_report_get_unsaved(report, 0, &unsaved));
    CHECK(last_error_says("index is 0, but the report has 0 keys"));
    CHECK(unsaved.outcome == 0x07070707);
    CHECK_STATUS(SL_ERROR_INVALID_ARGUMENT, drain_report_unsaved_count(report, NULL));
    OK(drain_report_destroy(report));
    OK(easy_store_drain(server.store, INFINITY, NULL));
    /* Events of a store that is drained can still be read. */
    server_poll(&server);
    CHECK(log_is(&server.log, "destroyed saved released =loading idling deleted finished "));
    server_close(&server);
}

/* Finds a key in a report and gives its outcome; -1 if it is not there. */
static int32_t outcome_of(SlDrainReport *report, const char *name, const char *why) {
    size_t count = 0, index;
    OK(drain_report_unsaved_count(report, &count));
    for (index = 0; index < count; index++) {
        SlUnsaved unsaved;
        unsaved.struct_size = sizeof unsaved;
        OK(drain_report_get_unsaved(report, index, &unsaved));
        if (unsaved.key.length == strlen(name) &&
            memcmp(unsaved.key.data, name, unsaved.key.length) == 0) {
            char text[256];
            sprintf(text, "%.*s", (int)unsaved.reason.length, unsaved.reason.data);
            CHECK(strcmp(text, why) == 0 || !fprintf(stderr, "the reason is: %s\n", text));
            return unsaved.outcome;
        }
    }
    return -1;
}

static void a_drain_reports_what_could_not_be_released_in_time(void) {
    HostMemory memory;
    Server server;
    SlProfile *silent, *changed, *loading = NULL;
    SlDrainReport *report = NULL;
    struct {
        SlUnsaved unsaved;
        uint64_t newer;
    } longer;
    size_t count = 0;

    host_server_open(&server, &memory, 0);
    silent = loaded(&server, "silent");
    changed = loaded(&server, "changed");
    OK(save_data_set_i64(data_of(silent), Z("/Gold"), 1));
    OK(profile_mark_force_save(silent));
    memory.holds = 1;
    frame(&server, 0);
    memory.holds = 0;
    memory.fails = "the disk is full";
    OK(save_data_set_i64(data_of(changed), Z("/Gold"), 2));
    OK(easy_store_start_session(server.store, Z("loading"), NULL, &loading));
    OK(easy_store_drain(server.store, 2, &report));
    CHECK(is_closed(&server) == 0);
    OK(drain_report_unsaved_count(report, &count));
    CHECK(outcome_of(report, "silent", "a commit is not answered yet") == SL_OUTCOME_UNKNOWN);
    CHECK(outcome_of(report, "changed", "a commit is not answered yet; the last error was: the "
                                        "disk is full") == SL_OUTCOME_UNKNOWN);
    OK(profile_destroy(silent));
    /* The report is its own, whatever becomes of the store. */
    memory.fails = NULL;
    host_answer_held(&memory);
    OK(easy_store_drain(server.store, 100, NULL));
    CHECK(is_closed(&server) == 1);
    CHECK(strstr(host_record(&memory, "silent"), "\"Gold\":1") != NULL);
    CHECK(strstr(host_record(&memory, "changed"), "\"Gold\":2") != NULL);
    /* A host of a newer header: what this library does not know is 0. */
    memset(&longer, 7, sizeof longer);
    longer.unsaved.struct_size = sizeof longer;
    OK(drain_report_get_unsaved(report, 0, &longer.unsaved));
    CHECK(longer.unsaved.struct_size == sizeof longer && longer.newer == 0);
    CHECK(longer.unsaved.key.length > 0 && longer.unsaved.reason.length > 0);
    OK(profile_destroy(changed));
    OK(profile_destroy(loading));
    server_close(&server);
    OK(drain_report_destroy(report));
    CHECK(memory.drops == 1);
}

static void a_store_that_is_destroyed_answers_what_waits_once(int with_handles) {
    HostMemory memory;
    Server server;
    SlProfile *sending, *dirty;
    SlSavedConnection *waits[2] = {NULL, NULL};
    Answer unknown = {0, 7}, no = {0, 7};
    int32_t value = 7;

    host_server_open(&server, &memory, 0);
    sending = loaded(&server, "sending");
    dirty = loaded(&server, "dirty");
    OK(save_data_set_i64(data_of(sending), Z("/Gold"), 1));
    OK(save_data_set_i64(data_of(dirty), Z("/Gold"), 1));
    OK(profile_when_changes_saved(sending, take_answer, &unknown, NULL,
                                  with_handles ? &waits[0] : NULL));
    OK(profile_when_changes_saved(dirty, take_answer, &no, NULL, with_handles ? &waits[1] : NULL));
    OK(profile_mark_force_save(sending));
    memory.holds = 1;
    frame(&server, 0);
    server.log.text[0] = '\0';
    OK(easy_store_destroy(server.store));
    CHECK(unknown.count == 1 && unknown.outcome == SL_OUTCOME_UNKNOWN);
    CHECK(no.count == 1 && no.outcome == SL_OUTCOME_NOT_SAVED);
    CHECK(server.drops == 1 && server.moment.drops == 1);
    CHECK_STATUS(SL_ERROR_INVALID_HANDLE, profile_is_loaded(dirty, &value));
    if (with_handles) {
        OK(saved_connection_is_saved(waits[1], &value));
        CHECK(value == 0);
        OK(saved_connection_is_connected(waits[0], &value));
        CHECK(value == 0);
        CHECK_STATUS(SL_ERROR_NOT_ACTIVE, saved_connection_trigger(waits[0], 1));
        OK(saved_connection_destroy(waits[0]));
        OK(saved_connection_destroy(waits[1]));
    }
    host_answer_held(&memory);
    CHECK(unknown.count == 1 && no.count == 1 && server.drops == 1);
    OK(locker_storage_destroy(server.storage));
    CHECK(memory.drops == 1);
}

static void a_host_that_reads_no_events_starts_no_more_sessions(void) {
    Server server;
    SlProfile *profile, *nothing = NULL;
    SlEvent event;
    size_t count;
    int index;

    server_open(&server, "memory:", 1, 1);
    profile = loaded(&server, "player");
    for (index = 0; index < 65536; index++) {
        if (profile_when_changes_saved(profile, NULL, NULL, NULL, NULL) != SL_OK) {
            break;
        }
    }
    OK(easy_store_update(server.store, 0));
    CHECK_STATUS(SL_ERROR_LIMIT,
                 easy_store_start_session(server.store, Z("other"), NULL, &nothing));
    CHECK(last_error_says("65536 events are unread"));
    CHECK_STATUS(SL_ERROR_LIMIT,
                 easy_store_start_session_reusable(server.store, Z("player"), NULL, &nothing));
    CHECK(nothing == NULL);
    CHECK_STATUS(SL_ERROR_INVALID_ARGUMENT, easy_store_poll_event(server.store, NULL, 1, &count));
    CHECK_STATUS(SL_ERROR_INVALID_ARGUMENT, easy_store_poll_event(server.store, &event, 1, NULL));
    OK(easy_store_poll_event(server.store, NULL, 0, &count));
    CHECK(count == 0);
    OK(easy_store_poll_event(server.store, &event, 1, &count));
    CHECK(count == 1 && event.kind == SL_EVENT_CHANGES_SAVED && event.profile == profile);
    OK(easy_store_start_session(server.store, Z("other"), NULL, &nothing));
    server_close(&server);
}

int main(void) {
    closing_saves_and_ends_every_session();
    a_drain_reports_nothing_when_all_went_well();
    a_drain_reports_what_could_not_be_released_in_time();
    a_store_that_is_destroyed_answers_what_waits_once(0);
    a_store_that_is_destroyed_answers_what_waits_once(1);
    a_host_that_reads_no_events_starts_no_more_sessions();
    return finish("shutdown");
}
