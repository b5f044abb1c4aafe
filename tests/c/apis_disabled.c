/* Sessions and lockers with disabled APIs: they never touch the storage and keep the save data that
 * they have. The fault that is tested is number 3 of the original: loading emptied it. */
#include "host_memory.h"
#include "locker_world.h"

static SlSessionOptions disabled(void) {
    SlSessionOptions options = options_of(NULL, 0);
    options.disable_apis = 1;
    return options;
}

static int flag(SlProfile *profile, SlStatus (*is_so)(const SlProfile *, int32_t *)) {
    int32_t value = 7;
    OK(is_so(profile, &value));
    return value;
}

static SlStatus on_save(void *user_data, SlProfile *profile) {
    note((Log *)user_data, "before_save");
    return save_data_set_i64(data_of(profile), Z("/Hooks"), 1);
}

static void fault_3_a_session_with_disabled_apis_keeps_its_save_data(int polls) {
    static HostMemory memory;
    Server server;
    SlProfile *profile = NULL;
    SlSavedConnection *wait = NULL;
    SlSessionOptions options = disabled();
    int32_t value = 7;

    host_server_open(&server, &memory, polls);
    OK(easy_store_start_session(server.store, Z("player"), &options, &profile));
    OK(save_data_set_i64(data_of(profile), Z("/Gold"), 3));
    OK(profile_set_before_save(profile, on_save, &server.log, NULL));
    frame(&server, 0);
    CHECK(log_is(&server.log, "loaded =loaded "));
    CHECK(flag(profile, profile_is_loaded) == 1 && flag(profile, profile_is_available) == 1);
    CHECK(json_is(data_of(profile), "/Gold", "3"));

    OK(save_data_set_i64(data_of(profile), Z("/Gold"), 4));
    OK(profile_when_changes_saved(profile, NULL, NULL, NULL, &wait));
    OK(profile_mark_force_save(profile));
    frame(&server, 1);
    CHECK(log_is(&server.log, "before_save saved answer:yes "));
    OK(saved_connection_is_saved(wait, &value));
    CHECK(value == 1);
    OK(saved_connection_destroy(wait));
    CHECK(json_is(data_of(profile), "/Gold", "4") && json_is(data_of(profile), "/Hooks", "1"));

    OK(save_data_set_i64(data_of(profile), Z("/Gold"), 5));
    OK(profile_wait_until_changes_saved(profile, 1000, &value));
    server_poll(&server);
    CHECK(value == 1 && log_is(&server.log, "before_save saved "));
    OK(save_data_set_i64(data_of(profile), Z("/Gold"), 6));
    OK(profile_set_before_save(profile, NULL, NULL, NULL));
    OK(profile_end_session(profile));
    frame(&server, 1);
    CHECK(log_is(&server.log, "destroyed saved released =loading idling deleted finished "));
    CHECK(json_is(data_of(profile), "/Gold", "6"));
    OK(profile_destroy(profile));
    CHECK(memory.fetches == 0 && memory.commits == 0);
    server_close(&server);
    CHECK(memory.drops == 1);
    memset(&memory, 0, sizeof memory);
}

static void fault_3_a_locker_with_disabled_apis_keeps_its_save_data(int polls) {
    Full full;
    SlLocker *locker = NULL, *player = NULL;
    SlSessionOptions options = disabled();
    SlBuffer stored;
    int round;

    full_open(&full, "memory:", polls, 1);
    store_under(full.storage, "player", OWNED_BY_ANOTHER);
    OK(locker_create(full.spec, Z("player"), &options, &locker));
    CHECK(locker_step(&full, locker, 1) == 1);
    CHECK(log_is(&full.log, "released idling "));
    OK(save_data_set_i64(data_in(locker), Z("/Gold"), 7));
    for (round = 0; round < 2; round++) {
        OK(locker_mark_should_acquire(locker, 0));
        CHECK(locker_step(&full, locker, 1) == 0);
        CHECK(log_is(&full.log, "loaded =loaded "));
        CHECK(json_is(data_in(locker), "/Gold", round == 0 ? "7" : "8"));
        CHECK(locker_flag(locker, locker_is_available) == 1);
        OK(save_data_set_i64(data_in(locker), Z("/Gold"), 8));
        OK(locker_mark_should_release(locker, 0));
        CHECK(locker_step(&full, locker, 1) == 1);
        CHECK(log_is(&full.log, "saved released =loading idling "));
        CHECK(json_is(data_in(locker), "/Gold", "8"));
    }
    OK(locker_destroy(locker));
    OK(locker_create_player(full.spec, Z("player"), &options, &player));
    OK(locker_mark_should_acquire(player, 0));
    CHECK(locker_step(&full, player, 1) == 0);
    CHECK(json_is(data_in(player), "/Gold", "0"));
    CHECK(locker_flag(player, locker_load_status) == SL_LOAD_STATUS_LOADED);
    released(&full, player);
    stored = stored_under(full.storage, "player");
    CHECK(buffer_is(&stored, OWNED_BY_ANOTHER));
    full_close(&full);
}

static void a_key_has_one_session_at_a_time_with_and_without_the_apis(void) {
    Server server;
    SlProfile *first = NULL, *second, *again = NULL;
    SlSessionOptions options = disabled();

    server_open(&server, "memory:", 0, 1);
    OK(easy_store_start_session(server.store, Z("player"), &options, &first));
    OK(easy_store_start_session(server.store, Z("player"), NULL, &second));
    OK(easy_store_start_session_reusable(server.store, Z("player"), &options, &again));
    frame(&server, 1);
    CHECK(flag(first, profile_is_loaded) == 1 && flag(second, profile_is_loaded) == 0);
    CHECK(flag(again, profile_is_loaded) == 1);
    CHECK(load_status_of(second) == SL_LOAD_STATUS_SESSION_IS_LOCKED);
    OK(save_data_set_i64(data_of(first), Z("/Gold"), 3));
    CHECK(json_is(data_of(again), "/Gold", "3"));
    OK(profile_destroy(first));
    OK(profile_destroy(again));
    frame(&server, 1);
    CHECK(flag(second, profile_is_loaded) == 1 && json_is(data_of(second), "/Gold", "0"));
    OK(profile_destroy(second));
    server_close(&server);
}

int main(void) {
    int polls;
    for (polls = 0; polls < 2; polls++) {
        fault_3_a_session_with_disabled_apis_keeps_its_save_data(polls);
        fault_3_a_locker_with_disabled_apis_keeps_its_save_data(polls);
    }
    a_key_has_one_session_at_a_time_with_and_without_the_apis();
    return finish("apis_disabled");
}
