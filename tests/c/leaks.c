/* Ten thousand sessions, opened and closed, leave nothing behind: no handle, no user data, no memory. */
#include "world.h"

#define PLAYERS 100
#define ROUNDS 100

/* How much memory the process uses, in pages; 0 where nobody says. */
static long pages_in_use(void) {
    long size = 0, resident = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    if (file != NULL) {
        if (fscanf(file, "%ld %ld", &size, &resident) != 2) {
            resident = 0;
        }
        fclose(file);
    }
    return resident;
}

static uint64_t live_handles(void) {
    uint64_t count = 77;
    OK(session_locker_live_handles(&count));
    return count;
}

static void count_drop(void *user_data) { ++*(int *)user_data; }

static void on_signal(void *user_data, SlProfile *profile, const SlEvent *event) {
    (void)user_data, (void)profile, (void)event;
}

static SlStatus before_save(void *user_data, SlProfile *profile) {
    (void)user_data, (void)profile;
    return SL_OK;
}

/* What a host does with a session: it listens, has a hook, writes, waits, and ends it. */
static void play(Server *server, SlProfile *profile, int *drops) {
    SlSavedConnection *wait = NULL;
    SlSignalConnection *connection = NULL;
    int64_t gold = 0;
    int32_t is_saved = 0;
    OK(profile_connect(profile, SL_SIGNAL_SAVED, on_signal, drops, count_drop, &connection));
    OK(profile_connect_once(profile, SL_SIGNAL_LOST, on_signal, drops, count_drop, NULL));
    OK(profile_set_before_save(profile, before_save, drops, count_drop));
    OK(save_data_add_i64(data_of(profile), Z("/Gold"), 1, &gold));
    OK(profile_mark_force_save(profile));
    OK(profile_when_changes_saved(profile, NULL, NULL, NULL, &wait));
    frame(server, 0);
    frame(server, 0);
    OK(saved_connection_is_saved(wait, &is_saved));
    CHECK(is_saved == 1);
    OK(saved_connection_destroy(wait));
    OK(signal_connection_disconnect(connection));
}

static void a_round(Server *server, int *drops) {
    static SlProfile *profiles[PLAYERS];
    char key[32];
    int at;
    for (at = 0; at < PLAYERS; at++) {
        sprintf(key, "player/%d", at);
        profiles[at] = loaded(server, key);
        play(server, profiles[at], drops);
    }
    for (at = 0; at < PLAYERS; at++) {
        OK(profile_end_session(profiles[at]));
    }
    frame(server, 0);
    frame(server, 0);
    for (at = 0; at < PLAYERS; at++) {
        int32_t is_finished = 0;
        OK(profile_is_finished(profiles[at], &is_finished));
        CHECK(is_finished == 1);
        OK(profile_destroy(profiles[at]));
    }
}

static void ten_thousand_sessions_leave_nothing_behind(int polls) {
    Server server;
    uint64_t before;
    long halfway = 0;
    int drops = 0, round;
    server_open(&server, "memory:", polls, 1);
    before = live_handles();
    for (round = 0; round < ROUNDS; round++) {
        if (round == ROUNDS / 2) {
            halfway = pages_in_use();
        }
        a_round(&server, &drops);
        CHECK(live_handles() == before);
    }
    CHECK(drops == 3 * PLAYERS * ROUNDS);
    /* In pages of 4 kB: 55 bytes lost by each of five thousand sessions would be more. */
    CHECK(pages_in_use() - halfway < 64);
    server_close(&server);
    CHECK(live_handles() == 0);
}

int main(void) {
    ten_thousand_sessions_leave_nothing_behind(0);
    ten_thousand_sessions_leave_nothing_behind(1);
    return finish("leaks");
}
