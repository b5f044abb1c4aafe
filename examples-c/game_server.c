/* A game server on the full API, which leaves every decision to the game: a locker for each player,
 * a heartbeat that updates them all, and a shutdown that waits until the last one has been saved.
 *
 *   game_server [STORAGE-URL]
 *
 * Who comes and goes stands in `main`. Everything above is what a server needs.
 */
#include "example.h"

#define PLAYERS_MAX 8

/* How long somebody may wait for save data before the game sends them away. */
#define LOAD_PATIENCE_S 30.0

/* A player whom the server knows: who is here, or whose save data is still on its way out. */
typedef struct Player {
    char user_id[32];
    SlLocker *locker; /* NULL: this place is free */
    SlSaveData *data;
    double joined_at;
    int is_here;
    int is_loaded;
} Player;

typedef struct Server {
    SlLockerSpec *spec;
    Player players[PLAYERS_MAX];
    double load_patience_s;
    int is_quiet;
} Server;

static void tell(const Server *server, const Player *player, const char *words) {
    if (!server->is_quiet) {
        printf("  %s %s\n", player->user_id, words);
    }
}

/* ---- Who is who -------------------------------------------------------------------------- */

static Player *player_by_id(Server *server, const char *user_id) {
    int at;
    for (at = 0; at < PLAYERS_MAX; at++) {
        Player *player = &server->players[at];
        if (player->locker != NULL && strcmp(player->user_id, user_id) == 0) {
            return player;
        }
    }
    return NULL;
}

static Player *player_by_locker(Server *server, const SlLocker *locker) {
    int at;
    for (at = 0; at < PLAYERS_MAX; at++) {
        if (server->players[at].locker == locker) {
            return &server->players[at];
        }
    }
    return NULL;
}

static Player *free_place(Server *server) {
    Player *player = player_by_locker(server, NULL);
    MUST(player != NULL, "the server is full");
    memset(player, 0, sizeof *player);
    return player;
}

/* ---- What lockers tell ------------------------------------------------------------------- */

static void on_event(void *user_data, const SlEvent *event) {
    Server *server = (Server *)user_data;
    Player *player = player_by_locker(server, event->locker);
    char words[64];
    if (player == NULL) {
        return;
    }
    if (event->kind == SL_EVENT_LIFECYCLE && event->reason == SL_REASON_LOADED) {
        player->is_loaded = 1;
        snprintf(words, sizeof words, "has loaded, with %lld gold",
                 integer_at(player->data, "/Gold"));
        tell(server, player, words);
    } else if (event->kind == SL_EVENT_LIFECYCLE && event->lifecycle == SL_LIFECYCLE_SAVED) {
        tell(server, player, "was saved");
    } else if (event->kind == SL_EVENT_LIFECYCLE && event->lifecycle == SL_LIFECYCLE_REPLACED) {
        player->is_loaded = 0;
    } else if (event->kind == SL_EVENT_LOAD_STATUS &&
               event->load_status == SL_LOAD_STATUS_SESSION_IS_LOCKED) {
        tell(server, player, "is still owned by another server");
    } else if (event->kind == SL_EVENT_LOST) {
        tell(server, player, "was lost to another server"); /* see salvage.c */
    }
}

/* ---- The server -------------------------------------------------------------------------- */

static void open_server(Server *server, const SlStorage *storage, const char *job_id) {
    SlLockerSpecConfig config;
    memset(server, 0, sizeof *server);
    server->load_patience_s = LOAD_PATIENCE_S;
    OK(locker_spec_config_init(&config, sizeof config));
    config.template_json = "{\"Gold\":0}";
    config.job_id = job_id;
    config.session_retry_cooldown = 0.1; /* the default of 10 s would be long here */
    config.event = on_event;
    config.user_data = server;
    OK(locker_spec_create(storage, &config, &server->spec));
}

/* A player comes. One who left a moment ago may still have a locker, on its way to be released: it
 * is used again. */
static void on_player_added(Server *server, const char *user_id) {
    Player *player = player_by_id(server, user_id);
    if (player == NULL) {
        player = free_place(server);
        snprintf(player->user_id, sizeof player->user_id, "%s", user_id);
        OK(locker_create_player(server->spec, TEXT(user_id), NULL, &player->locker));
        OK(locker_get_save_data(player->locker, &player->data));
        tell(server, player, "comes");
    } else {
        tell(server, player, "is back before the last save was done");
    }
    player->is_here = 1;
    player->joined_at = monotonic_s();
    OK(locker_mark_should_acquire(player->locker, 0));
}

/* A player goes: the save data is saved and given up, in the heartbeats that follow. */
static void on_player_removing(Server *server, const char *user_id) {
    Player *player = player_by_id(server, user_id);
    MUST(player != NULL, "nobody can go who is not here");
    tell(server, player, "goes");
    player->is_here = 0;
    OK(locker_mark_should_release(player->locker, 0));
}

/* Every frame. */
static void heartbeat(Server *server) {
    double now = monotonic_s();
    int at;
    for (at = 0; at < PLAYERS_MAX; at++) {
        Player *player = &server->players[at];
        int32_t should_remove = 0;
        if (player->locker == NULL) {
            continue;
        }
        OK(locker_update(player->locker, now, &should_remove));
        if (player->is_here && !player->is_loaded && now - player->joined_at > server->load_patience_s) {
            tell(server, player, "is sent away, to try again later");
            on_player_removing(server, player->user_id);
        }
        if (should_remove && !player->is_here) {
            tell(server, player, "is saved, and forgotten");
            OK(locker_destroy(player->locker));
            player->locker = NULL;
        }
    }
    sleep_s(0.005);
}

static int players_known(const Server *server) {
    int at, known = 0;
    for (at = 0; at < PLAYERS_MAX; at++) {
        known += server->players[at].locker != NULL;
    }
    return known;
}

/* The process is told to end: everybody goes, and it waits until the last one is saved. */
static void shut_down(Server *server) {
    double deadline = monotonic_s() + PATIENCE_S;
    int at;
    for (at = 0; at < PLAYERS_MAX; at++) {
        if (server->players[at].locker != NULL && server->players[at].is_here) {
            on_player_removing(server, server->players[at].user_id);
        }
    }
    while (players_known(server) > 0) {
        MUST(monotonic_s() < deadline, "the server does not come to its end");
        heartbeat(server);
    }
    OK(locker_spec_destroy(server->spec));
}

/* ---- The game ---------------------------------------------------------------------------- */

static void until_loaded(Server *server, const char *user_id) {
    double deadline = monotonic_s() + PATIENCE_S;
    const Player *player = player_by_id(server, user_id);
    while (player != NULL && !player->is_loaded) {
        MUST(monotonic_s() < deadline, "a player is not loaded");
        heartbeat(server);
        player = player_by_id(server, user_id);
    }
    MUST(player != NULL, "a player was sent away, and is to be loaded");
}

static void until_gone(Server *server, const char *user_id) {
    double deadline = monotonic_s() + PATIENCE_S;
    while (player_by_id(server, user_id) != NULL) {
        MUST(monotonic_s() < deadline, "a player's locker is never idle");
        heartbeat(server);
    }
}

static void earn(Server *server, const char *user_id, int64_t amount) {
    Player *player = player_by_id(server, user_id);
    int64_t gold = 0;
    int32_t is_available = 0;
    char words[64];
    OK(locker_is_available(player->locker, &is_available));
    MUST(is_available, "only what can be saved may be given out");
    OK(save_data_add_i64(player->data, TEXT("/Gold"), amount, &gold));
    snprintf(words, sizeof words, "earns %lld, and has %lld gold", (long long)amount,
             (long long)gold);
    tell(server, player, words);
}

static void must_have(const SlStorage *storage, const char *user_id, const char *words) {
    SlBuffer record;
    show_record(storage, user_id, &record);
    MUST(strstr(record.data, words) != NULL, "the record is not as it should be");
    MUST(strstr(record.data, "\"Session\"") == NULL, "the record still has an owner");
    session_locker_buffer_free(&record);
}

int main(int argc, char **argv) {
    static Server server, other;
    SlStorage *storage = NULL;
    OK(locker_storage_open(TEXT(storage_url(argc, argv)), &storage));
    open_server(&server, storage, "this server");
    open_server(&other, storage, "another server");

    printf("Two players come, play and are saved:\n");
    on_player_added(&server, "1001");
    on_player_added(&server, "1002");
    until_loaded(&server, "1001");
    until_loaded(&server, "1002");
    earn(&server, "1001", 100);
    earn(&server, "1002", 50);
    OK(locker_mark_force_save(player_by_id(&server, "1001")->locker));
    heartbeat(&server);

    printf("\nOne goes and is back at once, the other goes for good:\n");
    on_player_removing(&server, "1002");
    on_player_added(&server, "1002");
    on_player_removing(&server, "1001");
    until_gone(&server, "1001");
    until_loaded(&server, "1002");
    earn(&server, "1002", 5);

    printf("\nA third one is still on another server, which is slow to let go:\n");
    other.is_quiet = 1;
    on_player_added(&other, "1003");
    until_loaded(&other, "1003");
    earn(&other, "1003", 7);
    server.load_patience_s = 0.5; /* what it is otherwise would be long here */
    on_player_added(&server, "1003");
    until_gone(&server, "1003");
    server.load_patience_s = LOAD_PATIENCE_S;
    shut_down(&other);
    printf("\nNow that server has let go:\n");
    on_player_added(&server, "1003");
    until_loaded(&server, "1003");

    printf("\nThe server shuts down:\n");
    shut_down(&server);

    printf("\nWhat is stored:\n");
    must_have(storage, "1001", "\"Gold\":100");
    must_have(storage, "1002", "\"Gold\":55");
    must_have(storage, "1003", "\"Gold\":7");
    OK(locker_storage_destroy(storage));
    return EXIT_SUCCESS;
}
