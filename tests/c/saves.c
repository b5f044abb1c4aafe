/* Saves: when changes count as saved, who is told and how often, blocking waits with their timeouts,
 * and the hooks that run before a save. */
#include "world.h"

#include <math.h>

/* One wait: how often it was answered, and how. */
typedef struct Answer {
    int count;
    int32_t outcome;
} Answer;

static void take_answer(void *user_data, int32_t outcome) {
    Answer *answer = (Answer *)user_data;
    answer->count++;
    answer->outcome = outcome;
}

static int32_t is_saved(SlSavedConnection *wait) {
    int32_t value = 7;
    OK(saved_connection_is_saved(wait, &value));
    return value;
}

static int32_t outcome_of(SlSavedConnection *wait) {
    int32_t value = 7;
    OK(saved_connection_outcome(wait, &value));
    return value;
}

static int32_t is_connected(SlSavedConnection *wait) {
    int32_t value = 7;
    OK(saved_connection_is_connected(wait, &value));
    return value;
}

static SlSavedConnection *wait_for_changes(SlProfile *profile, Answer *answer) {
    SlSavedConnection *wait = NULL;
    answer->count = 0;
    answer->outcome = 7;
    OK(profile_when_changes_saved(profile, take_answer, answer, NULL, &wait));
    return wait;
}

static void set_gold(SlProfile *profile, int64_t gold) {
    OK(save_data_set_i64(data_of(profile), Z("/Gold"), gold));
}

static void a_wait_is_answered_once_by_the_save_that_covers_it(int polls) {
    Server server;
    Answer first, second, clean, given_up, freed, ended;
    SlSavedConnection *waits[6];
    SlProfile *profile;

    server_open(&server, "memory:", polls, 1);
    profile = loaded(&server, "player");

    /* Nothing is unsaved: yes, at the next update. */
    waits[0] = wait_for_changes(profile, &clean);
    CHECK(clean.count == 0);
    frame(&server, 0);
    CHECK(log_is(&server.log, "answer:yes ") && server.last_wait == waits[0]);
    CHECK(clean.count == 1 && clean.outcome == SL_OUTCOME_SAVED);

    set_gold(profile, 1);
    waits[1] = wait_for_changes(profile, &first);
    waits[2] = wait_for_changes(profile, &second);
    waits[3] = wait_for_changes(profile, &given_up);
    waits[4] = wait_for_changes(profile, &freed);
    OK(saved_connection_disconnect(waits[3]));
    OK(saved_connection_disconnect(waits[3]));
    OK(saved_connection_destroy(waits[4]));
    CHECK(is_connected(waits[1]) == 1 && is_saved(waits[1]) == 0);
    CHECK(is_connected(waits[3]) == 0 && is_saved(waits[3]) == 0);
    CHECK(outcome_of(waits[1]) == SL_OUTCOME_NONE && outcome_of(waits[3]) == SL_OUTCOME_NONE);
    frame(&server, 0);
    CHECK(log_is(&server.log, ""));
    /* An autosave, at the latest. */
    frame(&server, 300);
    CHECK(log_is(&server.log, "saved answer:yes answer:yes "));
    CHECK(first.count == 1 && second.count == 1 && first.outcome == SL_OUTCOME_SAVED);
    CHECK(given_up.count == 0 && freed.count == 0);
    CHECK(is_connected(waits[1]) == 0 && is_saved(waits[1]) == 1);
    CHECK(outcome_of(waits[1]) == SL_OUTCOME_SAVED);
    OK(saved_connection_disconnect(waits[1]));
    CHECK(is_saved(waits[1]) == 1);

    /* Ended together with its change: the last save covers it. A wait begun later is refused. */
    set_gold(profile, 2);
    waits[5] = wait_for_changes(profile, &ended);
    OK(profile_destroy(profile));
    frame(&server, 0);
    CHECK(ended.count == 1 && ended.outcome == SL_OUTCOME_SAVED && first.count == 1);
    CHECK(is_saved(waits[5]) == 1);
    CHECK(stored_has(server.storage, "player", "\"Gold\":2"));
    OK(saved_connection_destroy(waits[0]));
    OK(saved_connection_destroy(waits[1]));
    OK(saved_connection_destroy(waits[2]));
    OK(saved_connection_destroy(waits[3]));
    OK(saved_connection_destroy(waits[5]));
    server_close(&server);
}

static void a_wait_can_be_answered_by_hand(void) {
    Server server;
    Answer yes, no;
    SlSavedConnection *waits[2];
    SlProfile *profile;

    server_open(&server, "memory:", 0, 1);
    profile = loaded(&server, "player");
    set_gold(profile, 1);
    waits[0] = wait_for_changes(profile, &yes);
    waits[1] = wait_for_changes(profile, &no);
    CHECK_STATUS(SL_ERROR_INVALID_ARGUMENT, saved_connection_trigger(waits[0], 2));
    CHECK(is_connected(waits[0]) == 1);
    OK(saved_connection_trigger(waits[0], 1));
    OK(saved_connection_trigger(waits[1], 0));
    OK(saved_connection_trigger(waits[0], 0));
    CHECK(yes.count == 0 && is_connected(waits[0]) == 0 && is_saved(waits[0]) == 1);
    frame(&server, 0);
    CHECK(log_is(&server.log, "answer:yes answer:no "));
    OK(profile_mark_force_save(profile));
    frame(&server, 0);
    CHECK(yes.count == 1 && yes.outcome == SL_OUTCOME_SAVED);
    CHECK(no.count == 1 && no.outcome == SL_OUTCOME_NOT_SAVED);
    OK(profile_destroy(profile));
    frame(&server, 0);
    CHECK_STATUS(SL_ERROR_NOT_ACTIVE, saved_connection_trigger(waits[1], 1));
    OK(saved_connection_destroy(waits[0]));
    OK(saved_connection_destroy(waits[1]));
    CHECK_STATUS(SL_ERROR_INVALID_HANDLE, saved_connection_destroy(waits[1]));
    server_close(&server);
}

static void what_was_lost_is_answered_with_no(void) {
    Server server;
    Answer answer;
    SlSavedConnection *wait;
    SlProfile *profile;
    SlBuffer lost = {NULL, 7, 0};

    server_open(&server, "memory:", 1, 1);
    profile = loaded(&server, "player");
    CHECK_STATUS(SL_ERROR_NOT_FOUND, profile_get_lost_save_data(profile, &lost));
    CHECK(lost.length == 7);
    set_gold(profile, 44);
    wait = wait_for_changes(profile, &answer);
    OK(profile_mark_force_save(profile));
    store_under(server.storage, "player", OWNED_BY_ANOTHER);
    frame(&server, 0);
    CHECK(log_is(&server.log, "lost-document answer:no lost =loading =is_locked "));
    CHECK(strstr(server.last_text, "\"Gold\":44") != NULL);
    CHECK(answer.count == 1 && answer.outcome == SL_OUTCOME_NOT_SAVED && is_saved(wait) == 0);
    OK(profile_get_lost_save_data(profile, &lost));
    CHECK(strstr(lost.data, "\"Gold\":44") != NULL);
    session_locker_buffer_free(&lost);
    CHECK(stored_has(server.storage, "player", "\"Gold\":5"));
    CHECK(json_is(data_of(profile), "/Gold", "0"));
    OK(saved_connection_destroy(wait));
    OK(profile_destroy(profile));
    frame(&server, 0);
    server_close(&server);
}

static void a_player_who_is_erased_stays_erased(void) {
    Server server;
    Answer answer;
    SlSavedConnection *wait;
    SlBuffer erasure;
    SlProfile *profile;

    server_open(&server, "memory:", 0, 1);
    profile = loaded(&server, "player");
    set_gold(profile, 44);
    wait = wait_for_changes(profile, &answer);
    OK(locker_storage_erase(server.storage, Z("player"), NULL, 0, 1, &erasure));
    session_locker_buffer_free(&erasure);
    OK(profile_mark_force_save(profile));
    frame(&server, 0);
    CHECK(log_is(&server.log, "lost-document answer:no lost =erased "));
    CHECK(strstr(server.last_text, "\"Gold\":44") != NULL);
    CHECK(answer.count == 1 && answer.outcome == SL_OUTCOME_NOT_SAVED);
    frame(&server, 1000);
    CHECK(log_is(&server.log, "") && !stored_has(server.storage, "player", "Version"));
    CHECK_STATUS(SL_ERROR_NOT_LOADED, profile_wait_until_loaded(profile, 1));
    OK(saved_connection_destroy(wait));
    OK(profile_destroy(profile));
    frame(&server, 0);
    CHECK(!stored_has(server.storage, "player", "Version"));
    server.log.text[0] = '\0';
    profile = loaded(&server, "player");
    CHECK(json_is(data_of(profile), "/Gold", "0"));
    OK(profile_destroy(profile));
    server_close(&server);
}

static void blocking_waits_update_until_it_is_so_or_the_time_is_up(void) {
    Server server, other;
    SlProfile *profile = NULL, *locked = NULL;
    int32_t was_saved = 7;

    server_open(&server, "memory:blocking waits", 0, 1);
    server_open(&other, "memory:blocking waits", 0, 2);
    OK(easy_store_start_session(server.store, Z("player"), NULL, &profile));
    OK(profile_wait_until_loaded(profile, 5));
    OK(profile_wait_until_loaded(profile, 0));
    CHECK(log_is(&server.log, "loaded =loaded "));
    CHECK(server.moment.seconds < 5);
    OK(profile_wait_until_changes_saved(profile, 0, &was_saved));
    CHECK(was_saved == 1);
    server.log.text[0] = '\0';

    set_gold(profile, 1);
    was_saved = 7;
    CHECK_STATUS(SL_ERROR_TIMEOUT, profile_wait_until_changes_saved(profile, 0.25, &was_saved));
    CHECK(last_error_says("within 0.25 s") && was_saved == 7);
    OK(profile_mark_force_save(profile));
    OK(profile_wait_until_changes_saved(profile, INFINITY, &was_saved));
    CHECK(was_saved == 1);

    was_saved = 7;
    CHECK_STATUS(SL_ERROR_OUT_OF_RANGE, profile_wait_until_loaded(profile, -1));
    CHECK_STATUS(SL_ERROR_OUT_OF_RANGE, profile_wait_until_loaded(profile, NAN));
    CHECK_STATUS(SL_ERROR_OUT_OF_RANGE, profile_wait_until_changes_saved(profile, NAN, &was_saved));
    CHECK_STATUS(SL_ERROR_INVALID_ARGUMENT, profile_wait_until_changes_saved(profile, 1, NULL));
    CHECK(was_saved == 7);

    /* On the other server the key is locked. */
    OK(easy_store_start_session(other.store, Z("player"), NULL, &locked));
    CHECK_STATUS(SL_ERROR_TIMEOUT, profile_wait_until_loaded(locked, 11));
    CHECK(other.moment.seconds >= 11 && other.moment.seconds < 11.1);
    CHECK(log_is(&other.log, "=is_locked "));
    OK(profile_end_session(profile));
    OK(profile_wait_until_changes_saved(profile, 1, &was_saved));
    CHECK(was_saved == 1);
    OK(profile_wait_until_loaded(locked, 11));
    CHECK(json_is(data_of(locked), "/Gold", "1"));
    CHECK_STATUS(SL_ERROR_NOT_ACTIVE, profile_wait_until_changes_saved(profile, 1, &was_saved));
    CHECK_STATUS(SL_ERROR_NOT_ACTIVE, profile_wait_until_loaded(profile, 1));

    /* Lost while waited for: the session ended without the changes. */
    set_gold(locked, 9);
    OK(profile_mark_force_save(locked));
    store_under(other.storage, "player", OWNED_BY_ANOTHER);
    OK(profile_wait_until_changes_saved(locked, 11, &was_saved));
    CHECK(was_saved == 0);
    OK(profile_destroy(profile));
    OK(profile_destroy(locked));
    server_close(&server);
    server_close(&other);
}

/* A hook before a save: what it does and how often it ran. */
typedef struct Hook {
    Server *server;
    const char *word;
    SlProfile *profile;
    int fails;
    int runs;
} Hook;

static SlStatus run(void *user_data, SlProfile *profile) {
    Hook *hook = (Hook *)user_data;
    int64_t sum = 0;
    hook->runs++;
    CHECK(profile == hook->profile);
    note(&hook->server->log, hook->word);
    OK(save_data_add_i64(data_of(profile), Z("/Hooks"), 1, &sum));
    if (hook->fails) {
        OK(session_locker_set_hook_error(Z("no room in the bag")));
        return SL_ERROR_HOOK;
    }
    return SL_OK;
}

static void what_a_hook_writes_is_in_the_save_it_precedes(void) {
    Server server;
    SlProfile *profile;
    Hook before = {NULL, "before_save", NULL, 0, 0};
    Hook transform = {NULL, "before_save_transform", NULL, 0, 0};

    server_open(&server, "memory:", 0, 1);
    profile = loaded(&server, "player");
    before.server = transform.server = &server;
    before.profile = transform.profile = profile;
    OK(save_data_set_i64(data_of(profile), Z("/Hooks"), 0));
    OK(profile_set_before_save_transform(profile, run, &transform, NULL));
    OK(profile_set_before_save(profile, run, &before, NULL));
    OK(profile_mark_force_save(profile));
    frame(&server, 0);
    CHECK(log_is(&server.log, "before_save before_save_transform saved "));
    CHECK(stored_has(server.storage, "player", "\"Hooks\":2"));
    OK(profile_set_before_save(profile, NULL, NULL, NULL));
    OK(profile_mark_force_save(profile));
    frame(&server, 0);
    CHECK(log_is(&server.log, "before_save_transform saved "));

    /* The last save runs it too. */
    OK(profile_end_session(profile));
    frame(&server, 0);
    CHECK(log_is(&server.log, "destroyed before_save_transform saved released =loading idling "
                              "deleted finished "));
    CHECK(stored_has(server.storage, "player", "\"Hooks\":4"));
    CHECK_STATUS(SL_ERROR_NOT_ACTIVE, profile_set_before_save(profile, run, &before, NULL));
    CHECK_STATUS(SL_ERROR_NOT_ACTIVE, profile_set_before_save_transform(profile, NULL, NULL, NULL));
    OK(profile_destroy(profile));
    server_close(&server);
}

static void a_hook_that_fails_puts_the_save_off(int transform) {
    Server server;
    SlProfile *profile;
    Hook hook = {NULL, "hook", NULL, 1, 0};
    Answer answer;
    SlSavedConnection *wait;

    server_open(&server, "memory:", 0, 1);
    profile = loaded(&server, "player");
    hook.server = &server;
    hook.profile = profile;
    OK(save_data_set_i64(data_of(profile), Z("/Hooks"), 0));
    OK(transform ? profile_set_before_save_transform(profile, run, &hook, NULL)
                 : profile_set_before_save(profile, run, &hook, NULL));
    wait = wait_for_changes(profile, &answer);
    OK(profile_mark_force_save(profile));
    frame(&server, 0);
    CHECK(log_is(&server.log, "hook error:hook(no room in the bag) "));
    CHECK(json_is(data_of(profile), "/Hooks", "0") && answer.count == 0);
    frame(&server, 9);
    CHECK(log_is(&server.log, ""));
    hook.fails = 0;
    frame(&server, 1);
    CHECK(log_is(&server.log, "hook saved answer:yes "));
    CHECK(answer.count == 1 && answer.outcome == SL_OUTCOME_SAVED);
    CHECK(stored_has(server.storage, "player", "\"Hooks\":1"));

    /* At the end the document is saved as it stood before the hook. */
    hook.fails = 1;
    set_gold(profile, 6);
    OK(profile_end_session(profile));
    frame(&server, 0);
    CHECK(log_is(&server.log, "destroyed hook error:hook(no room in the bag) saved released "
                              "=loading idling deleted finished "));
    CHECK(stored_has(server.storage, "player", "\"Hooks\":1"));
    CHECK(stored_has(server.storage, "player", "\"Gold\":6"));
    OK(saved_connection_destroy(wait));
    OK(profile_destroy(profile));
    server_close(&server);
}

static void a_hook_that_keeps_failing_never_costs_the_session(void) {
    Server server;
    SlProfile *profile;
    Hook hook = {NULL, "hook", NULL, 1, 0};
    int32_t is_available = 1;
    int index;

    server_open(&server, "memory:", 0, 1);
    profile = loaded(&server, "player");
    hook.server = &server;
    hook.profile = profile;
    OK(save_data_set_json(data_of(profile), Z(""), Z("{\"Gold\":5,\"Hooks\":0}")));
    OK(profile_set_before_save(profile, run, &hook, NULL));
    OK(profile_mark_force_save(profile));
    for (index = 0; index < 200 && is_available; index++) {
        server.log.text[0] = '\0';
        frame(&server, 10);
        OK(profile_is_available(profile, &is_available));
    }
    CHECK(is_available == 1 && hook.runs > 100);
    CHECK(stored_has(server.storage, "player", "\"Gold\":5"));
    CHECK(stored_has(server.storage, "player", "\"Hooks\":0"));
    OK(profile_destroy(profile));
    server_close(&server);
}

static void a_hook_does_not_run_once_its_profile_is_destroyed(void) {
    Server server;
    SlProfile *profile;
    Hook hook = {NULL, "hook", NULL, 0, 0};

    server_open(&server, "memory:", 0, 1);
    profile = loaded(&server, "player");
    OK(profile_set_before_save(profile, run, &hook, NULL));
    set_gold(profile, 3);
    OK(profile_destroy(profile));
    frame(&server, 0);
    CHECK(hook.runs == 0);
    CHECK(log_is(&server.log, "destroyed saved released =loading idling deleted finished "));
    CHECK(stored_has(server.storage, "player", "\"Gold\":3"));
    server_close(&server);
}

static void time_may_leap_but_never_runs_back(void) {
    Server server;
    SlProfile *profile;

    server_open(&server, "memory:", 0, 1);
    profile = loaded(&server, "player");
    CHECK_STATUS(SL_ERROR_OUT_OF_RANGE, easy_store_update(server.store, NAN));
    CHECK_STATUS(SL_ERROR_OUT_OF_RANGE, easy_store_update(server.store, INFINITY));
    CHECK_STATUS(SL_ERROR_OUT_OF_RANGE, easy_store_update(server.store, 1.1e15));
    CHECK_STATUS(SL_ERROR_OUT_OF_RANGE, easy_store_update(server.store, -1e300));
    CHECK(last_error_says("from -1e15 to 1e15"));
    OK(easy_store_update(server.store, 1000));
    CHECK(log_is(&server.log, "saved "));
    OK(easy_store_update(server.store, -1e15));
    CHECK(log_is(&server.log, ""));
    OK(easy_store_update(server.store, 1e15));
    CHECK(log_is(&server.log, "saved "));
    OK(easy_store_update(server.store, 1e15));
    CHECK(log_is(&server.log, ""));
    OK(profile_destroy(profile));
    OK(easy_store_update(server.store, 1e15));
    CHECK(log_is(&server.log, "destroyed saved released =loading idling deleted finished "));
    server_close(&server);
}

int main(void) {
    a_wait_is_answered_once_by_the_save_that_covers_it(0);
    a_wait_is_answered_once_by_the_save_that_covers_it(1);
    a_wait_can_be_answered_by_hand();
    what_was_lost_is_answered_with_no();
    a_player_who_is_erased_stays_erased();
    blocking_waits_update_until_it_is_so_or_the_time_is_up();
    what_a_hook_writes_is_in_the_save_it_precedes();
    a_hook_that_fails_puts_the_save_off(0);
    a_hook_that_fails_puts_the_save_off(1);
    a_hook_that_keeps_failing_never_costs_the_session();
    a_hook_does_not_run_once_its_profile_is_destroyed();
    time_may_leap_but_never_runs_back();
    return finish("saves");
}
