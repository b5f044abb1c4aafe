/* The original's faults in saves, and what is right here: 4, 7, 26 and 27. Each test is named after
 * its fault; faults_sessions.c says where the others are. */
#include "faults.h"

static void fault_4_a_save_answers_only_the_waiters_it_covers(int polls) {
    FaultyHost host = faulty_host();
    Server server;
    SlProfile *profile;
    Answer first, second, third;

    faulty_server_open(&server, &host, polls, 1);
    profile = loaded(&server, "player");
    fail_next(&host, COMMIT, HOLD_ANSWER, FROM_NOW_ON);
    set_gold(profile, 1);
    wait_for_changes(profile, &first);
    save_now(&server, profile);
    /* Changes made, and waited for, while that save is under way. */
    set_gold(profile, 2);
    wait_for_changes(profile, &second);
    OK(profile_mark_force_save(profile));
    faulty_answer(&host);
    frame(&server, 0);
    CHECK(log_is(&server.log, "saved answer:yes "));
    CHECK(answered(&first, SL_OUTCOME_SAVED) && second.count == 0);

    /* The next save is under way, and one more change is made. */
    CHECK(faulty_has(&host, "player", "\"Gold\":2") && host.owed_count == 1);
    set_gold(profile, 3);
    wait_for_changes(profile, &third);
    faulty_answer(&host);
    frame(&server, 0);
    CHECK(log_is(&server.log, "saved answer:yes "));
    CHECK(answered(&second, SL_OUTCOME_SAVED) && third.count == 0);
    fail_next(&host, COMMIT, NO_FAULT, 0);
    frame(&server, 300);
    CHECK(log_is(&server.log, "saved answer:yes "));
    CHECK(answered(&third, SL_OUTCOME_SAVED) && first.count == 1 && second.count == 1);
    CHECK(faulty_has(&host, "player", "\"Gold\":3"));
    OK(profile_destroy(profile));
    server_close(&server);
}

/* A hook before a save, which adds one to `Hooks`. */
typedef struct Hook {
    SlProfile *profile;
    int fails;
    int runs;
    int waits; /* it asks for an answer too */
    Answer answer;
} Hook;

static SlStatus run(void *user_data, SlProfile *profile) {
    Hook *hook = (Hook *)user_data;
    int64_t sum = 0;
    hook->runs++;
    CHECK(profile == hook->profile);
    OK(save_data_add_i64(data_of(profile), Z("/Hooks"), 1, &sum));
    CHECK_STATUS(flag(profile, profile_is_active) ? SL_OK : SL_ERROR_NOT_ACTIVE,
                 profile_mark_should_save(profile));
    if (hook->waits) {
        wait_for_changes(profile, &hook->answer);
    }
    if (hook->fails) {
        OK(session_locker_set_hook_error(Z("not-now")));
        return SL_ERROR_HOOK;
    }
    return SL_OK;
}

static SlProfile *with_hook(Server *server, Hook *hook, int transform) {
    SlProfile *profile = loaded(server, "player");
    memset(hook, 0, sizeof *hook);
    hook->profile = profile;
    OK(save_data_set_i64(data_of(profile), Z("/Hooks"), 0));
    set_before_save(profile, transform, run, hook);
    return profile;
}

static void fault_7_a_before_save_hook_that_fails_puts_the_save_off(int transform) {
    FaultyHost host = faulty_host();
    Server server;
    Hook hook;
    SlProfile *profile;
    Answer answer;

    faulty_server_open(&server, &host, 0, 1);
    profile = with_hook(&server, &hook, transform);
    hook.fails = 1;
    set_gold(profile, 5);
    wait_for_changes(profile, &answer);
    save_now(&server, profile);
    /* Nothing is written, and nothing is lost: neither the lock nor the data. */
    CHECK(log_is(&server.log, "error:hook(not-now) "));
    CHECK(host.requests[COMMIT] == 1 && answer.count == 0);
    CHECK(flag(profile, profile_is_available) == 1);
    CHECK(gold_of(profile) == 5 && json_is(data_of(profile), "/Hooks", "0"));
    frame(&server, 9);
    CHECK(log_is(&server.log, "") && hook.runs == 1);
    hook.fails = 0;
    frame(&server, 1);
    CHECK(log_is(&server.log, "saved answer:yes ") && hook.runs == 2);
    CHECK(faulty_has(&host, "player", "\"Gold\":5") && faulty_has(&host, "player", "\"Hooks\":1"));
    OK(profile_destroy(profile));
    server_close(&server);
}

static void fault_7_when_the_lease_runs_low_the_data_is_saved_as_before_the_hook(void) {
    FaultyHost host = faulty_host();
    Server server;
    Hook hook;
    SlProfile *profile;

    faulty_server_open(&server, &host, 0, 1);
    profile = with_hook(&server, &hook, 0);
    hook.fails = 1;
    set_gold(profile, 5);
    save_now(&server, profile);
    /* The lease is 1800 s less 90 s, and its last two request timeouts begin at 1650 s. */
    pass(&server, 1640, 10);
    CHECK(host.requests[COMMIT] == 1);
    server.log.text[0] = '\0';
    frame(&server, 10);
    CHECK(log_is(&server.log, "error:hook(not-now) saved ") && host.requests[COMMIT] == 2);
    CHECK(faulty_has(&host, "player", "\"Gold\":5") && faulty_has(&host, "player", "\"Hooks\":0"));
    pass(&server, 1700, 10);
    CHECK(flag(profile, profile_is_available) == 1 && hook.runs > 300);
    OK(profile_destroy(profile));
    server_close(&server);
}

static void fault_7_at_a_release_the_data_is_saved_as_before_the_hook(int transform) {
    FaultyHost host = faulty_host();
    Server server;
    Hook hook;
    SlProfile *profile;
    Answer answer;

    faulty_server_open(&server, &host, 0, 1);
    profile = with_hook(&server, &hook, transform);
    hook.fails = 1;
    set_gold(profile, 5);
    wait_for_changes(profile, &answer);
    OK(profile_end_session(profile));
    frame(&server, 0);
    CHECK(log_is(&server.log, "destroyed error:hook(not-now) saved answer:yes released =loading "
                              "idling deleted finished "));
    CHECK(answered(&answer, SL_OUTCOME_SAVED) && hook.runs == 1);
    CHECK(faulty_has(&host, "player", "\"Gold\":5") && faulty_has(&host, "player", "\"Hooks\":0"));
    CHECK(!faulty_has(&host, "player", "\"Session\""));
    OK(profile_destroy(profile));
    server_close(&server);
}

static void fault_26_what_a_hook_changes_is_in_the_commit_it_precedes(int transform) {
    FaultyHost host = faulty_host();
    Server server;
    Hook hook;
    SlProfile *profile;

    faulty_server_open(&server, &host, 0, 1);
    profile = with_hook(&server, &hook, transform);
    hook.waits = 1;
    fail_next(&host, COMMIT, HOLD_ANSWER, 1);
    save_now(&server, profile);
    CHECK(faulty_has(&host, "player", "\"Hooks\":1") && hook.answer.count == 0);
    faulty_answer(&host);
    frame(&server, 0);
    CHECK(answered(&hook.answer, SL_OUTCOME_SAVED) && hook.runs == 1);
    CHECK(log_is(&server.log, "saved answer:yes "));
    /* It is saved, so that nothing is left for another save. */
    frame(&server, 0);
    CHECK(host.requests[COMMIT] == 2);
    OK(profile_destroy(profile));
    server_close(&server);
}

static void fault_26_what_a_hook_changes_is_not_reported_while_it_is_not_stored(int transform) {
    FaultyHost host = faulty_host();
    Server server;
    Hook hook;
    SlProfile *profile;

    faulty_server_open(&server, &host, 0, 1);
    profile = with_hook(&server, &hook, transform);
    hook.waits = 1;
    fail_next(&host, COMMIT, FAIL_BEFORE, 1);
    save_now(&server, profile);
    CHECK(log_is(&server.log, "error:save(disk-on-fire) ") && hook.answer.count == 0);
    CHECK(!faulty_has(&host, "player", "\"Hooks\":1"));
    hook.waits = 0;
    pass(&server, 15, 1);
    CHECK(log_is(&server.log, "saved answer:yes "));
    CHECK(answered(&hook.answer, SL_OUTCOME_SAVED));
    CHECK(faulty_has(&host, "player", "\"Hooks\":2"));

    /* A hook that fails is undone; what it has waited for is answered by the save that follows. */
    hook.waits = hook.fails = 1;
    save_now(&server, profile);
    CHECK(log_is(&server.log, "error:hook(not-now) ") && hook.answer.count == 0);
    hook.waits = hook.fails = 0;
    frame(&server, 10);
    CHECK(log_is(&server.log, "saved answer:yes "));
    CHECK(answered(&hook.answer, SL_OUTCOME_SAVED));
    CHECK(faulty_has(&host, "player", "\"Hooks\":3"));
    OK(profile_destroy(profile));
    server_close(&server);
}

/* Counts the saves of sessions that are too many for a log. */
typedef struct Crowd {
    Server server; /* first, for server_drop */
    int loads;
    int saves;
} Crowd;

static void count_saves(void *user_data, const SlEvent *event) {
    Crowd *crowd = (Crowd *)user_data;
    CHECK(event->kind == SL_EVENT_LIFECYCLE || event->kind == SL_EVENT_LOAD_STATUS);
    crowd->loads += event->reason == SL_REASON_LOADED;
    crowd->saves += event->lifecycle == SL_LIFECYCLE_SAVED;
}

static void fault_27_sessions_started_in_the_same_second_do_not_save_together(void) {
    enum { SESSIONS = 100, PERIOD = 300 };
    Crowd crowd;
    Server *server = &crowd.server;
    SlClock clock;
    SlEasyStoreConfig config;
    int index, most = 0, round[PERIOD];

    memset(&crowd, 0, sizeof crowd);
    OK(locker_storage_open(Z("memory:"), &server->storage));
    config = server_config(server, &clock, 1);
    config.user_data = &crowd;
    config.event = count_saves;
    OK(easy_store_create(server->storage, &config, &server->store));
    for (index = 0; index < SESSIONS; index++) {
        char key[16];
        sprintf(key, "player %d", index);
        start(server, key);
    }
    for (index = 0; index < 10; index++) {
        frame(server, 0);
    }
    CHECK(crowd.loads == SESSIONS && crowd.saves == 0);

    /* Each saves once in every period, at a second of its own. */
    for (index = 0; index < 2 * PERIOD; index++) {
        int before = crowd.saves;
        int saves;
        frame(server, 1);
        saves = crowd.saves - before;
        most = saves > most ? saves : most;
        CHECK(index < PERIOD || saves == round[index % PERIOD]);
        round[index % PERIOD] = saves;
    }
    CHECK(crowd.saves == 2 * SESSIONS && most < 10);
    server_close(server);
}

int main(void) {
    int either;
    for (either = 0; either < 2; either++) {
        fault_4_a_save_answers_only_the_waiters_it_covers(either);
        fault_7_a_before_save_hook_that_fails_puts_the_save_off(either);
        fault_7_at_a_release_the_data_is_saved_as_before_the_hook(either);
        fault_26_what_a_hook_changes_is_in_the_commit_it_precedes(either);
        fault_26_what_a_hook_changes_is_not_reported_while_it_is_not_stored(either);
    }
    fault_7_when_the_lease_runs_low_the_data_is_saved_as_before_the_hook();
    fault_27_sessions_started_in_the_same_second_do_not_save_together();
    return finish("faults_saves");
}
