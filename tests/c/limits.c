/* Hosts that ask for too much, or at the wrong moment: each request is served or refused with a
 * status, and what was accepted is not lost.
 *
 * Here: many signals, many waits, a document just over its limit. Purchases that are too large or too
 * many: limits_purchases.c. Remote changes and inboxes: limits_remote_changes.c. Callbacks that destroy
 * or drive what called them: hostile.c, and destruction.c, reentrancy.c, drops.c. */
#include "world.h"

/* What `docs/protocol.md` says of waits and signal connections. */
#define AT_ONCE_MAX 65536

typedef struct Count {
    int calls;
    int drops;
    int in_order;
    int last;
} Count;

typedef struct Numbered {
    Count *count;
    int number;
} Numbered;

static void hear(void *user_data, SlProfile *profile, const SlEvent *event) {
    Numbered *numbered = (Numbered *)user_data;
    (void)profile;
    (void)event;
    numbered->count->calls++;
    numbered->count->in_order += numbered->number == numbered->count->last + 1;
    numbered->count->last = numbered->number;
}

static void on_saved(void *user_data, int32_t outcome) {
    ((Count *)user_data)->calls++;
    ((Count *)user_data)->in_order += outcome == SL_OUTCOME_SAVED;
}

static void on_drop(void *user_data) { ((Count *)user_data)->drops++; }

static void a_thousand_connections_to_one_signal_are_called_in_order(void) {
    static Numbered numbered[1000];
    Count count = {0, 0, 0, -1};
    Server server;
    SlProfile *profile;
    int at;
    server_open(&server, "memory:", 0, 1);
    profile = loaded(&server, "player");
    for (at = 0; at < 1000; at++) {
        numbered[at].count = &count;
        numbered[at].number = at;
        if (at % 2 == 0) {
            OK(profile_connect(profile, SL_SIGNAL_SAVED, hear, &numbered[at], NULL, NULL));
        } else {
            OK(profile_connect_once(profile, SL_SIGNAL_SAVED, hear, &numbered[at], NULL, NULL));
        }
    }
    OK(profile_mark_force_save(profile));
    frame(&server, 0);
    CHECK(count.calls == 1000 && count.in_order == 1000);
    OK(profile_mark_force_save(profile));
    frame(&server, 0);
    CHECK(count.calls == 1500);
    server_close(&server);
}

static void too_many_connections_are_refused(void) {
    static Numbered numbered;
    Count count = {0, 0, 0, 0};
    Server server;
    SlProfile *profile;
    int at;
    numbered.count = &count;
    server_open(&server, "memory:", 0, 1);
    profile = loaded(&server, "player");
    for (at = 0; at < AT_ONCE_MAX; at++) {
        if (profile_connect(profile, SL_SIGNAL_LOST, hear, &numbered, NULL, NULL) != SL_OK) {
            break;
        }
    }
    CHECK(at == AT_ONCE_MAX);
    CHECK_STATUS(SL_ERROR_LIMIT, profile_connect(profile, SL_SIGNAL_LOST, hear, &count, on_drop, NULL));
    CHECK(last_error_says("65536"));
    CHECK(count.drops == 0);
    server_close(&server);
}

static void of_a_million_waits_those_that_were_accepted_are_answered_once(void) {
    Count count = {0, 0, 0, 0};
    Server server;
    SlProfile *profile;
    int at, accepted = 0, refused = 0;
    server_open(&server, "memory:", 0, 1);
    profile = loaded(&server, "player");
    OK(save_data_set_i64(data_of(profile), Z("/Gold"), 5));
    for (at = 0; at < 1000000; at++) {
        SlStatus status = profile_when_changes_saved(profile, on_saved, &count, on_drop, NULL);
        accepted += status == SL_OK;
        refused += status == SL_ERROR_LIMIT;
    }
    CHECK(accepted == AT_ONCE_MAX && accepted + refused == 1000000);
    CHECK(last_error_says("65536"));
    OK(profile_mark_force_save(profile));
    frame(&server, 0);
    CHECK(count.calls == accepted && count.in_order == accepted && count.drops == accepted);
    OK(profile_when_changes_saved(profile, on_saved, &count, on_drop, NULL));
    frame(&server, 0);
    CHECK(count.calls == accepted + 1);
    server_close(&server);
}

static void waits_that_were_given_up_make_room(void) {
    Count count = {0, 0, 0, 0};
    Server server;
    SlProfile *profile;
    int at;
    server_open(&server, "memory:", 0, 1);
    profile = loaded(&server, "player");
    OK(save_data_set_i64(data_of(profile), Z("/Gold"), 5));
    for (at = 0; at < 2 * AT_ONCE_MAX; at++) {
        SlSavedConnection *wait = NULL;
        if (profile_when_changes_saved(profile, on_saved, &count, on_drop, &wait) != SL_OK ||
            saved_connection_destroy(wait) != SL_OK) {
            break;
        }
    }
    CHECK(at == 2 * AT_ONCE_MAX);
    CHECK(count.calls == 0 && count.drops == at);
    server_close(&server);
}

static void a_document_just_over_its_limit_is_refused_and_nothing_changes(void) {
    const size_t limit = 4096;
    char value[4096];
    Server server;
    SlClock clock;
    SlEasyStoreConfig config;
    SlProfile *profile;
    SlSaveData *data;
    memset(&server, 0, sizeof server);
    OK(locker_storage_open(Z("memory:"), &server.storage));
    config = server_config(&server, &clock, 1);
    config.document_limit_bytes = limit;
    OK(easy_store_create(server.storage, &config, &server.store));
    profile = loaded(&server, "player");
    data = data_of(profile);
    /* {"Gold":0,"Note":"…"} is 20 bytes without the note. */
    memset(value, 'x', sizeof value);
    OK(save_data_set_string(data, Z("/Note"), value, limit - 20));
    CHECK_STATUS(SL_ERROR_TOO_LARGE, save_data_set_string(data, Z("/Note"), value, limit - 19));
    CHECK_STATUS(SL_ERROR_TOO_LARGE, save_data_set_i64(data, Z("/Gold"), 10));
    OK(save_data_set_i64(data, Z("/Gold"), 7));
    OK(profile_mark_force_save(profile));
    frame(&server, 0);
    CHECK(log_is(&server.log, "saved "));
    CHECK(stored_has(server.storage, "player", "\"Gold\":7,"));
    server_close(&server);
}

int main(void) {
    a_thousand_connections_to_one_signal_are_called_in_order();
    too_many_connections_are_refused();
    of_a_million_waits_those_that_were_accepted_are_answered_once();
    waits_that_were_given_up_make_room();
    a_document_just_over_its_limit_is_refused_and_nothing_changes();
    return finish("limits");
}
