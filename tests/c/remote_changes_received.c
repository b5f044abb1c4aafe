/* Remote changes as an owner receives them, and the merge of what was written before the load: by
 * both APIs, through the callbacks of their configurations. */
#include "locker_world.h"

/* What the callbacks of a test note and do. */
typedef struct Inbox {
    Server server;
    Full full;
    SlSaveData *seen; /* the handle of the last call */
    SlSaveData *other;
    int offers;
    int fails;
    int merges;
    int merge_fails;
} Inbox;

static Inbox inbox;

#define CHANGE(kind, id, gold)                                                                     \
    "{\"K\":\"" kind "\",\"I\":\"" id "\",\"A\":1700000000,\"Gold\":" gold "}"
#define WITH_INBOX(changes)                                                                        \
    "{\"Version\":1,\"VersionPatch\":0,\"Gold\":100,\"RemoteChanges\":[" changes "]}"

/* Whether a text that does not end with a NUL has these words in it. */
static int says(const char *text, size_t length, const char *words) {
    char copy[256];
    sprintf(copy, "%.*s", (int)length, text);
    return strstr(copy, words) != NULL;
}

/* Adds the gold, then says what has become of it. */
static SlStatus apply(void *user_data, const char *key, size_t key_length, SlSaveData *data,
                      const char *change, size_t change_length) {
    int64_t gold = 0;
    (void)user_data;
    inbox.offers++;
    inbox.seen = data;
    CHECK(key_length == 6 && memcmp(key, "player", 6) == 0);
    CHECK(says(change, change_length, "\"A\":1700000000"));
    OK(save_data_add_i64(data, Z("/Gold"), says(change, change_length, ":7}") ? 7 : 5, &gold));
    CHECK_STATUS(SL_ERROR_UNSUPPORTED, save_data_destroy(data));
    CHECK_STATUS(SL_ERROR_RESERVED_FIELD, save_data_set_json(data, Z("/RemoteChanges"), Z("[]")));
    if (inbox.other != NULL) {
        CHECK_STATUS(SL_ERROR_BUSY, save_data_set_i64(inbox.other, Z("/Gold"), 1));
    }
    if (says(change, change_length, "\"later\"")) {
        return SL_ERROR_NOT_APPLICABLE;
    }
    if (inbox.fails) {
        OK(session_locker_set_hook_error(Z("no such item")));
        return SL_ERROR_HOOK;
    }
    return SL_OK;
}

/* Adds what was earned before the load. */
static SlStatus merge(void *user_data, const char *key, size_t key_length, SlSaveData *offline,
                      SlSaveData *data) {
    int64_t earned = 0, gold = 0;
    (void)user_data;
    inbox.merges++;
    CHECK(key_length == 6 && memcmp(key, "player", 6) == 0);
    OK(save_data_get_i64(offline, Z("/Gold"), &earned));
    OK(save_data_add_i64(data, Z("/Gold"), earned, &gold));
    OK(save_data_set_i64(offline, Z("/Gold"), 1000));
    CHECK_STATUS(SL_ERROR_UNSUPPORTED, save_data_destroy(offline));
    return inbox.merge_fails ? SL_ERROR_HOOK : SL_OK;
}

static void open_store(int polls) {
    SlClock clock;
    SlEasyStoreConfig config;
    memset(&inbox, 0, sizeof inbox);
    inbox.server.polls = polls;
    OK(locker_storage_open(Z("memory:"), &inbox.server.storage));
    config = server_config(&inbox.server, &clock, 1);
    CHECK(config.process_remote_change == NULL && config.merge_offline_save_data == NULL);
    config.process_remote_change = apply;
    config.merge_offline_save_data = merge;
    OK(easy_store_create(inbox.server.storage, &config, &inbox.server.store));
}

static void end_store(SlProfile *profile) {
    OK(profile_destroy(profile));
    frame(&inbox.server, 0);
    frame(&inbox.server, 0);
    server_close(&inbox.server);
}

static SlProfile *started(void) {
    SlProfile *profile = NULL;
    OK(easy_store_start_session(inbox.server.store, Z("player"), NULL, &profile));
    return profile;
}

static int64_t gold_of(SlProfile *profile) {
    int64_t gold = -1;
    OK(save_data_get_i64(data_of(profile), Z("/Gold"), &gold));
    return gold;
}

static void count_loaded(void *user_data, SlProfile *profile) {
    CHECK(gold_of(profile) == 112);
    ++*(int *)user_data;
}

static void fault_2_changes_are_applied_to_the_loaded_data_before_the_load_is_told(void) {
    SlProfile *profile;
    int calls = 0;
    open_store(0);
    store_under(inbox.server.storage, "player",
                WITH_INBOX(CHANGE("gold", "a", "5") "," CHANGE("gold", "b", "7")));
    profile = started();
    OK(profile_when_loaded(profile, count_loaded, &calls, NULL));
    frame(&inbox.server, 0);
    CHECK(calls == 1 && inbox.offers == 2);
    CHECK(log_is(&inbox.server.log, "loaded =loaded "));
    CHECK_STATUS(SL_ERROR_INVALID_HANDLE, save_data_set_i64(inbox.seen, Z("/Gold"), 1));
    OK(profile_mark_force_save(profile));
    frame(&inbox.server, 0);
    CHECK(stored_has(inbox.server.storage, "player", "\"Gold\":112"));
    CHECK(!stored_has(inbox.server.storage, "player", "RemoteChanges"));
    end_store(profile);
}

static void what_cannot_be_applied_here_stays_without_a_word(int polls) {
    SlProfile *profile;
    open_store(polls);
    store_under(inbox.server.storage, "player",
                WITH_INBOX(CHANGE("later", "a", "5") "," CHANGE("gold", "b", "7")));
    profile = started();
    frame(&inbox.server, 0);
    CHECK(log_is(&inbox.server.log, "loaded =loaded "));
    CHECK(gold_of(profile) == 107);
    OK(profile_mark_force_save(profile));
    frame(&inbox.server, 30);
    CHECK(log_is(&inbox.server.log, "saved ") && inbox.offers == 2);
    CHECK(stored_has(inbox.server.storage, "player", "[" CHANGE("later", "a", "5") "]"));
    end_store(profile);
}

/* Fault 17, as far as remote changes go: undone, and not every frame. */
static void fault_17_what_fails_is_undone_reported_and_tried_again_after_the_cooldown(void) {
    SlProfile *profile;
    open_store(0);
    inbox.fails = 1;
    store_under(inbox.server.storage, "player", WITH_INBOX(CHANGE("gold", "a", "5")));
    profile = started();
    frame(&inbox.server, 0);
    CHECK(log_is(&inbox.server.log, "error:change(gold a: no such item) loaded =loaded "));
    CHECK(gold_of(profile) == 100);
    frame(&inbox.server, 9);
    frame(&inbox.server, 0.5);
    CHECK(inbox.offers == 1);
    inbox.fails = 0;
    frame(&inbox.server, 0.5);
    CHECK(inbox.offers == 2 && gold_of(profile) == 105);
    CHECK(log_is(&inbox.server.log, ""));
    end_store(profile);
}

static void a_live_session_takes_over_what_was_sent_and_keeps_its_own(void) {
    SlProfile *profile;
    SlBuffer before;
    char after[1024];
    open_store(0);
    store_under(inbox.server.storage, "player", WITH_INBOX());
    profile = started();
    frame(&inbox.server, 0);
    OK(save_data_set_i64(data_of(profile), Z("/Gold"), 200));

    /* As a sender does: the document as it is, and one entry more. */
    before = stored_under(inbox.server.storage, "player");
    sprintf(after, "%.*s,\"RemoteChanges\":[%s]}", (int)before.length - 1, (const char *)before.data,
            CHANGE("gold", "a", "5"));
    session_locker_buffer_free(&before);
    store_under(inbox.server.storage, "player", after);
    OK(profile_mark_force_save(profile));
    frame(&inbox.server, 0);
    CHECK(gold_of(profile) == 205 && inbox.offers == 1);
    CHECK(stored_has(inbox.server.storage, "player", "\"Gold\":200"));
    OK(profile_mark_force_save(profile));
    frame(&inbox.server, 0);
    CHECK(stored_has(inbox.server.storage, "player", "\"Gold\":205"));
    CHECK(!stored_has(inbox.server.storage, "player", "RemoteChanges"));
    end_store(profile);
}

static void what_was_earned_before_the_load_is_merged(int fails) {
    SlProfile *profile;
    open_store(0);
    inbox.merge_fails = fails;
    store_under(inbox.server.storage, "player", WITH_INBOX(CHANGE("gold", "a", "5")));
    profile = started();
    OK(save_data_set_i64(data_of(profile), Z("/Gold"), 3));
    frame(&inbox.server, 0);
    CHECK(inbox.merges == 1);
    CHECK(gold_of(profile) == (fails ? 105 : 108));
    CHECK(log_is(&inbox.server.log, fails ? "error:merge(it returned -23 (SL_ERROR_HOOK)) loaded =loaded "
                                          : "loaded =loaded "));
    end_store(profile);
}

static void a_hook_may_write_to_no_other_save_data(void) {
    SlProfile *profile, *other = NULL;
    open_store(0);
    store_under(inbox.server.storage, "player", WITH_INBOX(CHANGE("gold", "a", "5")));
    profile = started();
    /* Behind the first on the same key, it is not loaded before that has ended. */
    OK(easy_store_start_session(inbox.server.store, Z("player"), NULL, &other));
    inbox.other = data_of(other);
    frame(&inbox.server, 0);
    CHECK(inbox.offers == 1 && gold_of(profile) == 105);
    OK(profile_destroy(other));
    end_store(profile);
}

static void lockers_receive_changes_and_merge_too(void) {
    SlClock clock;
    SlLockerSpecConfig config;
    SlLocker *locker;
    memset(&inbox, 0, sizeof inbox);
    OK(locker_storage_open(Z("memory:"), &inbox.full.storage));
    config = spec_config(&inbox.full, &clock, 1);
    CHECK(config.process_remote_change == NULL && config.merge_offline_save_data == NULL);
    config.process_remote_change = apply;
    config.merge_offline_save_data = merge;
    OK(locker_spec_create(inbox.full.storage, &config, &inbox.full.spec));
    store_under(inbox.full.storage, "player", WITH_INBOX(CHANGE("gold", "a", "5")));
    locker = locker_of(&inbox.full, "player");
    OK(save_data_set_i64(data_in(locker), Z("/Gold"), 3));
    OK(locker_mark_should_acquire(locker, 0));
    CHECK(locker_step(&inbox.full, locker, 0) == 0);
    CHECK(log_is(&inbox.full.log, "released loaded =loaded "));
    CHECK(json_is(data_in(locker), "/Gold", "108"));
    CHECK(inbox.offers == 1 && inbox.merges == 1);
    released(&inbox.full, locker);
    CHECK(stored_has(inbox.full.storage, "player", "\"Gold\":108"));
    full_close(&inbox.full);
}

int main(void) {
    fault_2_changes_are_applied_to_the_loaded_data_before_the_load_is_told();
    what_cannot_be_applied_here_stays_without_a_word(0);
    what_cannot_be_applied_here_stays_without_a_word(1);
    fault_17_what_fails_is_undone_reported_and_tried_again_after_the_cooldown();
    a_live_session_takes_over_what_was_sent_and_keeps_its_own();
    what_was_earned_before_the_load_is_merged(0);
    what_was_earned_before_the_load_is_merged(1);
    a_hook_may_write_to_no_other_save_data();
    lockers_receive_changes_and_merge_too();
    return finish("remote_changes_received");
}
