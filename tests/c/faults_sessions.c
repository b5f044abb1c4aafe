/* The original's faults in sessions, from the acquire to the release, and what is right here: 5, 6,
 * 9, 11, 15, 16 (IsAvailable), 18, 23, 25 and 30. Each test is named after its fault. Of the rest,
 * 4, 7, 26 and 27 are in faults_saves.c; 8, 12, 13 and 14 in faults_documents.c; 24 in defaults.c;
 * 10, 17, 21, 22 and 29 in faults_purchases.c.
 * Nothing in the C ABI shows 28, how many lockers an update looks at: tests/idle.rs counts it. */
#include "faults.h"
#include "locker_world.h"

static void fault_5_an_acquire_that_was_written_but_answered_with_an_error_is_ours(int polls) {
    static const Fault faults[] = {FAIL_AFTER, CONFLICT_AFTER};
    static const char *const heard[] = {
        "error:load(disk-on-fire) =request_fail loaded =loaded ", "loaded =loaded "};
    int index;
    for (index = 0; index < 2; index++) {
        FaultyHost host = faulty_host();
        Server server;
        SlProfile *profile;
        faulty_server_open(&server, &host, polls, 1);
        fail_next(&host, COMMIT, faults[index], 1);
        profile = start(&server, "player");
        frame(&server, 0);
        CHECK(log_is(&server.log, heard[index]));
        /* What was said to be in conflict is written again, and what failed is not. */
        CHECK(host.requests[COMMIT] == 1 + index);
        CHECK(flag(profile, profile_is_available) == 1);
        set_gold(profile, 3);
        save_now(&server, profile);
        CHECK(log_is(&server.log, "saved ") && faulty_has(&host, "player", "\"Gold\":3"));
        OK(profile_destroy(profile));
        frame(&server, 0);
        CHECK(faulty_has(&host, "player", "\"Gold\":3"));
        CHECK(!faulty_has(&host, "player", "\"Session\""));
        server_close(&server);
    }
}

static void fault_5_a_server_is_not_locked_out_by_an_acquire_that_is_never_answered(void) {
    FaultyHost host = faulty_host();
    Server server;
    SlProfile *first, *second;

    faulty_server_open(&server, &host, 0, 1);
    fail_next(&host, COMMIT, HOLD_ANSWER, 1);
    first = start(&server, "player");
    frame(&server, 0);
    CHECK(faulty_has(&host, "player", "\"Session\""));
    /* The player is gone, and comes back. */
    OK(profile_destroy(first));
    second = start(&server, "player");
    pass(&server, 29, 1);
    CHECK(flag(second, profile_is_loaded) == 0);
    pass(&server, 2, 1);
    CHECK(flag(second, profile_is_available) == 1);
    faulty_answer(&host);
    frame(&server, 1);
    CHECK(flag(second, profile_is_available) == 1);
    set_gold(second, 4);
    save_now(&server, second);
    CHECK(faulty_has(&host, "player", "\"Gold\":4"));
    OK(profile_destroy(second));
    server_close(&server);
}

static void fault_6_a_release_that_was_written_but_answered_with_an_error_is_saved(int polls) {
    static const Fault faults[] = {FAIL_AFTER, CONFLICT_AFTER};
    static const char *const heard[] = {"destroyed error:save(disk-on-fire) saved answer:yes "
                                        "released =loading idling deleted finished ",
                                        "destroyed saved answer:yes released =loading idling "
                                        "deleted finished "};
    int index;
    for (index = 0; index < 2; index++) {
        FaultyHost host = faulty_host();
        Server server;
        SlProfile *profile;
        Answer answer;
        faulty_server_open(&server, &host, polls, 1);
        profile = loaded(&server, "player");
        set_gold(profile, 3);
        wait_for_changes(profile, &answer);
        fail_next(&host, COMMIT, faults[index], 1);
        OK(profile_end_session(profile));
        frame(&server, 0);
        CHECK(log_is(&server.log, heard[index]));
        CHECK(answered(&answer, SL_OUTCOME_SAVED));
        CHECK(host.requests[COMMIT] == 2 + index);
        CHECK(faulty_has(&host, "player", "\"Gold\":3"));
        CHECK(!faulty_has(&host, "player", "\"Session\""));
        OK(profile_destroy(profile));
        server_close(&server);
    }
}

static void fault_6_a_release_is_saved_though_another_server_has_the_key_by_then(void) {
    FaultyHost host = faulty_host();
    Server server, other;
    SlProfile *profile, *theirs;
    Answer answer;

    faulty_server_open(&server, &host, 0, 1);
    faulty_server_open(&other, &host, 0, 2);
    profile = loaded(&server, "player");
    set_gold(profile, 3);
    wait_for_changes(profile, &answer);
    fail_next(&host, COMMIT, HOLD_ANSWER, 1);
    OK(profile_end_session(profile));
    frame(&server, 0);
    theirs = loaded(&other, "player");
    CHECK(gold_of(theirs) == 3 && answer.count == 0);
    pass(&server, 31, 1);
    CHECK(answered(&answer, SL_OUTCOME_SAVED));
    CHECK(strstr(server.log.text, " saved answer:yes released ") != NULL);
    CHECK(strstr(server.log.text, "lost") == NULL);
    CHECK(flag(profile, profile_is_finished) == 1);
    save_now(&other, theirs);
    CHECK(log_is(&other.log, "saved "));
    OK(profile_destroy(profile));
    OK(profile_destroy(theirs));
    server_close(&server);
    server_close(&other);
}

static void fault_9_a_record_erased_while_its_session_is_live_stays_erased(int polls) {
    FaultyHost host = faulty_host();
    Server server;
    SlProfile *profile;
    Answer answer;
    int commits;

    faulty_server_open(&server, &host, polls, 1);
    profile = loaded(&server, "player");
    set_gold(profile, 44);
    wait_for_changes(profile, &answer);
    faulty_forget(&host, "player");
    save_now(&server, profile);
    CHECK(log_is(&server.log, "lost-document answer:no lost =erased "));
    CHECK(answered(&answer, SL_OUTCOME_NOT_SAVED));
    CHECK(load_status_of(profile) == SL_LOAD_STATUS_ERASED);

    /* Nothing is written any more, by the time, by a change, or by the end. */
    commits = host.requests[COMMIT];
    pass(&server, 4000, 100);
    OK(profile_mark_force_save(profile));
    frame(&server, 1);
    OK(profile_end_session(profile));
    frame(&server, 1);
    CHECK(flag(profile, profile_is_finished) == 1);
    CHECK(host.requests[COMMIT] == commits && !faulty_has(&host, "player", ""));
    OK(profile_destroy(profile));
    server_close(&server);
}

static void fault_9_an_erasure_stays_though_a_save_was_not_settled(void) {
    static const Fault faults[] = {FAIL_BEFORE, FAIL_AFTER, HOLD_ANSWER};
    int index;
    for (index = 0; index < 3; index++) {
        FaultyHost host = faulty_host();
        Server server;
        SlProfile *profile;
        SlBuffer erasure;
        faulty_server_open(&server, &host, 0, 1);
        profile = loaded(&server, "player");
        set_gold(profile, 44);
        fail_next(&host, COMMIT, faults[index], 1);
        fail_next(&host, FETCH, FAIL_BEFORE, 1);
        save_now(&server, profile);
        OK(locker_storage_erase(server.storage, Z("player"), NULL, 0, 1, &erasure));
        session_locker_buffer_free(&erasure);
        pass(&server, 100, 1);
        CHECK(load_status_of(profile) == SL_LOAD_STATUS_ERASED);
        CHECK(!faulty_has(&host, "player", ""));
        OK(profile_destroy(profile));
        server_close(&server);
    }
}

static void note_loaded(void *user_data, SlProfile *profile) {
    CHECK(flag(profile, profile_is_loaded) == 1);
    note((Log *)user_data, "when-loaded");
}

static void when_loaded(SlProfile *profile, Log *log) {
    OK(profile_when_loaded(profile, note_loaded, log, NULL));
}

static void fault_11_a_reusable_start_on_a_loaded_session_is_loaded_at_once(void) {
    FaultyHost host = faulty_host();
    Server server;
    SlProfile *first, *second;
    Log loads = {""};

    faulty_server_open(&server, &host, 0, 1);
    first = loaded(&server, "player");
    set_gold(first, 6);
    second = start_reusable(&server, "player");
    CHECK(flag(second, profile_is_loaded) == 1 && flag(second, profile_is_available) == 1);
    CHECK(load_status_of(second) == SL_LOAD_STATUS_LOADED && gold_of(second) == 6);
    when_loaded(second, &loads);
    OK(profile_wait_until_loaded(second, 0));
    frame(&server, 0);
    CHECK(log_is(&loads, "when-loaded ") && host.requests[FETCH] == 1);
    OK(profile_destroy(first));
    OK(profile_destroy(second));
    server_close(&server);
}

/* Notes a signal under its name, the user data. */
typedef struct Ear {
    Log *log;
    const char *name;
} Ear;

static void hear(void *user_data, SlProfile *profile, const SlEvent *event) {
    Ear *ear = (Ear *)user_data;
    (void)profile;
    (void)event;
    note(ear->log, ear->name);
}

static void fault_11_an_ended_profile_hears_everything_up_to_finished(int polls) {
    static const char *const names[] = {"",         "Lifecycle", "Finished", "Destroyed", "Saved",
                                        "Replaced", "Loaded",    "Reset",    "Released",  "Lost"};
    FaultyHost host = faulty_host();
    Server server;
    SlProfile *profile;
    Log signals = {""};
    Ear ears[10];
    int32_t signal;

    faulty_server_open(&server, &host, polls, 1);
    profile = loaded(&server, "player");
    for (signal = SL_SIGNAL_LIFECYCLE; signal <= SL_SIGNAL_LOST; signal++) {
        ears[signal].log = &signals;
        ears[signal].name = names[signal];
        on_signal(profile, signal, hear, &ears[signal]);
    }
    fail_next(&host, COMMIT, HOLD_ANSWER, 1);
    OK(profile_end_session(profile));
    frame(&server, 0);
    CHECK(log_is(&server.log, "destroyed ") && log_is(&signals, "Destroyed Lifecycle "));
    CHECK(flag(profile, profile_is_finished) == 0);
    faulty_answer(&host);
    frame(&server, 0);
    CHECK(log_is(&server.log, "saved released =loading idling deleted finished "));
    CHECK(log_is(&signals, "Saved Lifecycle Released Reset Replaced Lifecycle Lifecycle Lifecycle "
                           "Finished "));
    CHECK(flag(profile, profile_is_finished) == 1);
    OK(profile_destroy(profile));
    server_close(&server);
}

static SlStatus write_a_farewell(void *user_data, SlProfile *profile) {
    ++*(int *)user_data;
    return save_data_set_string(data_of(profile), Z("/LastSeen"), Z("today"));
}

static void fault_11_the_before_save_hook_runs_for_the_final_save(void) {
    int transform;
    for (transform = 0; transform < 2; transform++) {
        FaultyHost host = faulty_host();
        Server server;
        SlProfile *profile;
        int runs = 0;
        faulty_server_open(&server, &host, 0, 1);
        profile = loaded(&server, "player");
        set_before_save(profile, transform, write_a_farewell, &runs);
        OK(profile_end_session(profile));
        frame(&server, 0);
        CHECK(runs == 1 && faulty_has(&host, "player", "\"LastSeen\":\"today\""));
        CHECK(!faulty_has(&host, "player", "\"Session\""));
        OK(profile_destroy(profile));
        server_close(&server);
    }
}

static void fault_11_a_wait_of_a_profile_that_never_loaded_is_answered(int polls) {
    FaultyHost host = faulty_host();
    Server server;
    SlProfile *locked, *failing;
    Answer answers[2];

    faulty_server_open(&server, &host, polls, 1);
    faulty_put(&host, "locked", OWNED_BY_ANOTHER);
    fail_next(&host, FETCH, HOLD_ANSWER, 2);
    locked = start(&server, "locked");
    failing = start(&server, "failing");
    frame(&server, 0);
    wait_for_changes(locked, &answers[0]);
    wait_for_changes(failing, &answers[1]);
    CHECK(host.owed_count == 2);
    host.owed_count = 1; /* the second is never answered */
    faulty_answer(&host);
    frame(&server, 0);
    CHECK(load_status_of(locked) == SL_LOAD_STATUS_SESSION_IS_LOCKED);
    CHECK(answers[0].count == 0 && answers[1].count == 0);
    OK(profile_end_session(locked));
    OK(profile_end_session(failing));
    frame(&server, 0);
    frame(&server, 31);
    CHECK(answered(&answers[0], SL_OUTCOME_NOT_SAVED));
    CHECK(answered(&answers[1], SL_OUTCOME_NOT_SAVED));
    CHECK(flag(locked, profile_is_finished) == 1 && flag(failing, profile_is_finished) == 1);
    OK(profile_destroy(locked));
    OK(profile_destroy(failing));
    server_close(&server);
}

/* A document whose owner's clock is eleven days ahead of ours, and how often it was saved. */
#define STAMPED_IN_THE_FUTURE(saves)                                                               \
    "{\"Version\":1,\"Session\":{\"PlaceId\":0,\"JobId\":\"other\",\"LockId\":77,"                 \
    "\"UpdatedAt\":1701000000},\"Saves\":[[77," saves "]],\"Gold\":5}"

static void fault_15_a_lock_stamped_in_the_future_expires_after_being_watched(void) {
    FaultyHost host = faulty_host();
    Server server;
    SlProfile *profile;

    faulty_server_open(&server, &host, 0, 1);
    faulty_put(&host, "player", STAMPED_IN_THE_FUTURE("1"));
    profile = start(&server, "player");
    frame(&server, 0);
    pass(&server, 1700, 10);
    CHECK(load_status_of(profile) == SL_LOAD_STATUS_SESSION_IS_LOCKED);
    /* It saves: it is alive, and is watched from the beginning. */
    faulty_put(&host, "player", STAMPED_IN_THE_FUTURE("2"));
    pass(&server, 1790, 10);
    CHECK(load_status_of(profile) == SL_LOAD_STATUS_SESSION_IS_LOCKED);
    pass(&server, 30, 10);
    CHECK(load_status_of(profile) == SL_LOAD_STATUS_LOADED && gold_of(profile) == 5);
    OK(profile_destroy(profile));
    server_close(&server);
}

static void fault_16_a_session_is_not_available_while_its_release_is_in_flight(void) {
    FaultyHost host = faulty_host();
    Server server;
    SlProfile *profile, *next;

    faulty_server_open(&server, &host, 0, 1);
    profile = loaded(&server, "player");
    set_gold(profile, 3);
    fail_next(&host, COMMIT, HOLD_ANSWER, 1);
    CHECK(flag(profile, profile_is_available) == 1);
    OK(profile_end_session(profile));
    CHECK(flag(profile, profile_is_available) == 0);
    frame(&server, 0);
    CHECK(flag(profile, profile_is_loaded) == 1 && flag(profile, profile_is_available) == 0);

    /* Who comes in that window is not given what is being given up. */
    next = start_reusable(&server, "player");
    frame(&server, 0);
    CHECK(flag(next, profile_is_loaded) == 0 && flag(next, profile_is_available) == 0);
    faulty_answer(&host);
    frame(&server, 0);
    CHECK(flag(profile, profile_is_finished) == 1 && flag(profile, profile_is_available) == 0);
    CHECK(flag(next, profile_is_available) == 1 && gold_of(next) == 3);
    OK(profile_destroy(profile));
    OK(profile_destroy(next));
    server_close(&server);
}

static void full_on_host(Full *full, FaultyHost *host) {
    SlClock clock;
    SlLockerSpecConfig config;
    memset(full, 0, sizeof *full);
    full->storage = faulty_storage(host);
    config = spec_config(full, &clock, 1);
    OK(locker_spec_create(full->storage, &config, &full->spec));
}

static void release(SlLocker *locker) { OK(locker_mark_should_release(locker, 0)); }

static void fault_16_a_locker_is_not_available_while_its_release_is_in_flight(void) {
    FaultyHost host = faulty_host();
    Full full;
    SlLocker *locker;

    full_on_host(&full, &host);
    locker = acquired(&full, "player");
    CHECK(locker_flag(locker, locker_is_available) == 1);
    fail_next(&host, COMMIT, HOLD_ANSWER, 1);
    release(locker);
    CHECK(locker_flag(locker, locker_is_available) == 0);
    CHECK(locker_step(&full, locker, 0) == 0);
    CHECK(locker_flag(locker, locker_load_status) == SL_LOAD_STATUS_LOADED);
    CHECK(locker_flag(locker, locker_is_available) == 0);
    faulty_answer(&host);
    CHECK(locker_step(&full, locker, 0) == 1);
    OK(locker_destroy(locker));
    full_close(&full);
}

static void fault_18_a_session_is_not_available_once_another_server_could_take_the_key(void) {
    int is_updated;
    for (is_updated = 0; is_updated < 2; is_updated++) {
        FaultyHost host = faulty_host();
        Server owner, other;
        SlProfile *held, *wanted;
        double available_until = 0;

        faulty_server_open(&owner, &host, 0, 1);
        faulty_server_open(&other, &host, 0, 2);
        held = loaded(&owner, "player");
        wanted = start(&other, "player");
        while (other.moment.seconds < 3000 && flag(wanted, profile_is_loaded) == 0) {
            /* The owner is cut off from the storage, or hangs. */
            if (is_updated) {
                fail_next(&host, COMMIT, FAIL_BEFORE, FROM_NOW_ON);
                frame(&owner, 10);
                fail_next(&host, COMMIT, NO_FAULT, 0);
            } else {
                owner.moment.seconds += 10;
            }
            if (flag(held, profile_is_available) == 1) {
                available_until = owner.moment.seconds;
            }
            frame(&other, 10);
        }
        CHECK(flag(wanted, profile_is_available) == 1);
        CHECK(flag(held, profile_is_available) == 0);
        /* The lease is the expiry less a margin; the other waits the expiry and the tolerance. */
        CHECK(available_until == 1700 && other.moment.seconds > 1800);
        OK(profile_destroy(held));
        OK(profile_destroy(wanted));
        server_close(&owner);
        server_close(&other);
    }
}

static SlStatus create_and_note(void *user_data, const char *key, size_t key_length,
                                SlSaveData *data) {
    (void)key;
    (void)key_length;
    note(&((Full *)user_data)->log, "create");
    return save_data_set_i64(data, Z("/Gold"), 0);
}

static void fault_23_a_locker_calls_back_only_once_the_host_has_it(void) {
    FaultyHost host = faulty_host();
    Full full;
    SlClock clock;
    SlLockerSpecConfig config;
    SlLocker *locker;

    memset(&full, 0, sizeof full);
    full.storage = faulty_storage(&host);
    config = spec_config(&full, &clock, 1);
    config.template_json = NULL;
    config.create_save_data = create_and_note;
    OK(locker_spec_create(full.storage, &config, &full.spec));
    locker = locker_of(&full, "player");
    CHECK(log_is(&full.log, "") && full.last_locker == NULL);
    CHECK(locker_step(&full, locker, 0) == 1);
    CHECK(log_is(&full.log, "create released idling ") && full.last_locker == locker);
    OK(locker_destroy(locker));
    CHECK(log_is(&full.log, "deleted "));
    full_close(&full);
}

static void fault_23_a_profile_calls_back_only_once_the_host_has_it(void) {
    FaultyHost host = faulty_host();
    Server server;
    SlProfile *profile, *joined;

    faulty_server_open(&server, &host, 0, 1);
    profile = start(&server, "player");
    CHECK(log_is(&server.log, "") && host.requests[FETCH] == 0);
    frame(&server, 0);
    CHECK(log_is(&server.log, "loaded =loaded ") && server.last_profile == profile);
    joined = start_reusable(&server, "player");
    CHECK(log_is(&server.log, ""));
    OK(profile_destroy(profile));
    OK(profile_destroy(joined));
    server_close(&server);
}

/* Reads what was lost, from inside the event that says so. */
typedef struct Onlooker {
    Server server; /* first, for server_hears and server_drop */
    int events;
    int signals;
} Onlooker;

static int lost_is_readable(SlProfile *profile) {
    SlBuffer json;
    int has = 0;
    if (profile_get_lost_save_data(profile, &json) == SL_OK) {
        has = strstr(json.data, "\"Gold\":44") != NULL;
        session_locker_buffer_free(&json);
    }
    return has;
}

static void look_at_event(void *user_data, const SlEvent *event) {
    Onlooker *onlooker = (Onlooker *)user_data;
    server_hears(&onlooker->server, event);
    if (event->kind == SL_EVENT_LOST) {
        onlooker->events++;
        CHECK(strstr(event->text.data, "\"Gold\":44") != NULL);
        CHECK(lost_is_readable(event->profile));
    }
}

static void look_at_signal(void *user_data, SlProfile *profile, const SlEvent *event) {
    ((Onlooker *)user_data)->signals++;
    CHECK(event->lifecycle == SL_LIFECYCLE_REPLACED && event->reason == SL_REASON_LOST);
    CHECK(lost_is_readable(profile));
}

static void fault_25_unsaved_data_is_readable_when_the_host_hears_of_the_loss(void) {
    FaultyHost host = faulty_host();
    Onlooker onlooker;
    Server *server = &onlooker.server;
    SlClock clock;
    SlEasyStoreConfig config = faulty_config(server, &host, &clock, 0, 1);
    SlProfile *profile;

    onlooker.events = onlooker.signals = 0;
    config.user_data = &onlooker;
    config.event = look_at_event;
    OK(easy_store_create(server->storage, &config, &server->store));
    profile = loaded(server, "player");
    on_signal(profile, SL_SIGNAL_LOST, look_at_signal, &onlooker);
    set_gold(profile, 44);
    faulty_put(&host, "player", OWNED_BY_ANOTHER);
    save_now(server, profile);
    CHECK(log_is(&server->log, "lost-document lost =loading =is_locked "));
    CHECK(onlooker.events == 1 && onlooker.signals == 1);
    CHECK(gold_of(profile) == 0 && faulty_has(&host, "player", "\"Gold\":5"));
    /* It stays readable, also when the key is ours again. */
    faulty_put(&host, "player", "{\"Version\":1,\"Gold\":9}");
    frame(server, 10);
    CHECK(gold_of(profile) == 9 && lost_is_readable(profile));
    OK(profile_destroy(profile));
    server_close(server);
}

static void fault_30_a_store_drives_itself_alone(void) {
    enum { STORES = 4 };
    FaultyHost host = faulty_host();
    Server servers[STORES];
    SlProfile *profiles[STORES];
    int index, commits;

    for (index = 0; index < STORES; index++) {
        char key[16];
        sprintf(key, "player %d", index);
        faulty_server_open(&servers[index], &host, 0, (uint64_t)index + 1);
        profiles[index] = loaded(&servers[index], key);
    }
    commits = host.requests[COMMIT];
    for (index = 1; index < STORES; index++) {
        OK(profile_mark_force_save(profiles[index]));
    }
    /* The first one's updates do what the first one has to do: an autosave each period. */
    pass(&servers[0], 3000, 10);
    CHECK(host.requests[COMMIT] == commits + 10);
    for (index = 1; index < STORES; index++) {
        CHECK(log_is(&servers[index].log, ""));
        frame(&servers[index], 0);
        CHECK(log_is(&servers[index].log, "saved "));
        CHECK(host.requests[COMMIT] == commits + 10 + index);
    }
    for (index = 0; index < STORES; index++) {
        OK(profile_destroy(profiles[index]));
        server_close(&servers[index]);
    }
}

int main(void) {
    int polls;
    for (polls = 0; polls < 2; polls++) {
        fault_5_an_acquire_that_was_written_but_answered_with_an_error_is_ours(polls);
        fault_6_a_release_that_was_written_but_answered_with_an_error_is_saved(polls);
        fault_9_a_record_erased_while_its_session_is_live_stays_erased(polls);
        fault_11_an_ended_profile_hears_everything_up_to_finished(polls);
        fault_11_a_wait_of_a_profile_that_never_loaded_is_answered(polls);
    }
    fault_5_a_server_is_not_locked_out_by_an_acquire_that_is_never_answered();
    fault_6_a_release_is_saved_though_another_server_has_the_key_by_then();
    fault_9_an_erasure_stays_though_a_save_was_not_settled();
    fault_11_a_reusable_start_on_a_loaded_session_is_loaded_at_once();
    fault_11_the_before_save_hook_runs_for_the_final_save();
    fault_15_a_lock_stamped_in_the_future_expires_after_being_watched();
    fault_16_a_session_is_not_available_while_its_release_is_in_flight();
    fault_16_a_locker_is_not_available_while_its_release_is_in_flight();
    fault_18_a_session_is_not_available_once_another_server_could_take_the_key();
    fault_23_a_locker_calls_back_only_once_the_host_has_it();
    fault_23_a_profile_calls_back_only_once_the_host_has_it();
    fault_25_unsaved_data_is_readable_when_the_host_hears_of_the_loss();
    fault_30_a_store_drives_itself_alone();
    return finish("faults_sessions");
}
