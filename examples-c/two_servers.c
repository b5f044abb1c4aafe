/* Two game servers, two real processes, one database file: who owns a player's key.
 *
 *   two_servers [STORAGE-URL]
 *
 * This process directs: it starts this very program twice as a server, tells each through a pipe
 * what its players do, and hears through another what comes of it. A server runs a frame loop and
 * knows nothing of the other one; all that they share is the storage.
 */
#include "processes.h"

#define KEY "player/ana"

/* Real servers keep the defaults: saves at least every 300 s, expiry 1800 s. Here everything is
 * short, so that nobody has to wait. SAVE_PERIOD_S + 2 TIMEOUT_S + TIMEOUT_S < EXPIRY_S. */
#define SAVE_PERIOD_S 0.5
#define TIMEOUT_S 0.5
#define EXPIRY_S 6.0
#define ASK_AGAIN_S 0.25

/* ---- A server ---------------------------------------------------------------------------- */

typedef struct Server {
    SlEasyStore *store;
    SlProfile *profile; /* NULL while the player is not here */
    SlSaveData *data;
    int is_leaving;
} Server;

static void on_event(void *user_data, const SlEvent *event) {
    Server *server = (Server *)user_data;
    int is_status = event->kind == SL_EVENT_LOAD_STATUS;
    int is_step = event->kind == SL_EVENT_LIFECYCLE;
    MUST(!is_step || event->reason != SL_REASON_LOST, "a server has lost its key");
    if (is_status && event->load_status == SL_LOAD_STATUS_SESSION_IS_LOCKED) {
        say("is told that the key is locked, and asks again and again");
    } else if (is_step && event->reason == SL_REASON_LOADED) {
        say_gold("owns the key", server->data);
    } else if (is_step && event->lifecycle == SL_LIFECYCLE_FINISHED) {
        server->is_leaving = 2;
    } else if (event->kind == SL_EVENT_ERROR) {
        printf("reports an error: %.*s\n", (int)event->text.length, event->text.data);
        fflush(stdout);
    }
}

static void on_saved(void *user_data, int32_t outcome) {
    (void)user_data;
    say(outcome == SL_OUTCOME_SAVED ? "has saved" : "could not save");
}

static SlEasyStore *make_store(const char *url, const char *name, Server *server) {
    SlStorage *storage = NULL;
    SlEasyStore *store = NULL;
    SlEasyStoreConfig config;
    OK(locker_storage_open(TEXT(url), &storage));
    OK(easy_store_config_init(&config, sizeof config));
    config.template_json = "{\"Gold\":0}";
    config.job_id = name;
    config.maintain_session_period = SAVE_PERIOD_S;
    config.request_timeout = TIMEOUT_S;
    config.session_expiry = EXPIRY_S;
    config.session_retry_cooldown = ASK_AGAIN_S;
    config.session_retry_ceiling = ASK_AGAIN_S;
    config.event = on_event;
    config.user_data = server;
    OK(easy_store_create(storage, &config, &store));
    OK(locker_storage_destroy(storage)); /* the store keeps it open */
    return store;
}

static int obey(void *role, const char *command) {
    Server *server = (Server *)role;
    int64_t gold = 0;
    if (strcmp(command, "join") == 0) {
        OK(easy_store_start_session(server->store, TEXT(KEY), NULL, &server->profile));
        OK(profile_get_save_data(server->profile, &server->data));
    } else if (strncmp(command, "earn ", 5) == 0) {
        OK(save_data_add_i64(server->data, TEXT("/Gold"), atoi(command + 5), &gold));
        say_gold("has more gold, in memory", server->data);
    } else if (strcmp(command, "save") == 0) {
        OK(profile_mark_force_save(server->profile));
        OK(profile_when_changes_saved(server->profile, on_saved, NULL, NULL, NULL));
    } else if (strcmp(command, "leave") == 0) {
        server->is_leaving = 1;
        OK(profile_end_session(server->profile));
    } else {
        MUST(strcmp(command, "stop") == 0, "a command that no server knows");
        return 0;
    }
    return 1;
}

static int run_server(const char *name, const char *url) {
    Server server;
    SlDrainReport *report = NULL;
    size_t left = 0;
    memset(&server, 0, sizeof server);
    server.store = make_store(url, name, &server);
    while (take_commands(obey, &server)) {
        frame(server.store);
        if (server.is_leaving == 2) {
            OK(profile_destroy(server.profile));
            server.is_leaving = 0;
            say("has saved and given up the key");
        }
    }
    OK(easy_store_drain(server.store, PATIENCE_S, &report));
    OK(drain_report_unsaved_count(report, &left));
    MUST(left == 0, "a session could not be released in time");
    OK(drain_report_destroy(report));
    OK(easy_store_destroy(server.store));
    say("has shut down");
    return EXIT_SUCCESS;
}

/* ---- The director ------------------------------------------------------------------------ */

static void show_stored(const char *url, long long gold) {
    SlSaveData *data;
    printf("\nIn the database there is now:\n");
    data = stored(url, KEY);
    MUST(data != NULL && integer_at(data, "/Gold") == gold, "the gold in the database is wrong");
    MUST(!has(data, "/Session"), "the record still has an owner");
    OK(save_data_destroy(data));
}

int main(int argc, char **argv) {
    const char *url;
    Process a, b;
    double last_save_from, waited;
    if (argc == 4 && strcmp(argv[1], "--server") == 0) {
        return run_server(argv[2], argv[3]);
    }
    url = storage_url(argc, argv);
    printf("Two servers share %s\nIn the storage there is:\n", url);
    MUST(stored(url, KEY) == NULL, "Ana has a record already: this example wants an empty storage");

    start(&a, argv[0], "--server", "Server A", url);
    printf("Ana joins it.\n");
    tell(&a, "join");
    hear(&a, "owns the key: 0 gold");
    tell(&a, "earn 100");
    hear(&a, "has more gold, in memory: 100 gold");

    start(&b, argv[0], "--server", "Server B", url);
    printf("Ana turns up there, before server A has let her go.\n");
    tell(&b, "join");
    hear(&b, "is told that the key is locked, and asks again and again");

    printf("\nServer A lets Ana go, and stops.\n");
    tell(&a, "leave");
    hear(&a, "has saved and given up the key");
    stop(&a);
    hear(&b, "owns the key: 100 gold");
    tell(&b, "earn 20");
    hear(&b, "has more gold, in memory: 120 gold");
    tell(&b, "leave");
    hear(&b, "has saved and given up the key");

    start(&a, argv[0], "--server", "Server A", url);
    printf("Ana joins it again, and turns up on server B too.\n");
    tell(&a, "join");
    hear(&a, "owns the key: 120 gold");
    tell(&b, "join");
    hear(&b, "is told that the key is locked, and asks again and again");
    tell(&a, "earn 30");
    hear(&a, "has more gold, in memory: 150 gold");
    last_save_from = monotonic_s();
    tell(&a, "save");
    hear(&a, "has saved");

    printf("\nServer A is killed with SIGKILL: it can save nothing and release nothing.\n");
    MUST(kill(a.pid, SIGKILL) == 0, "server A cannot be killed");
    must_crash(&a);
    hear(&b, "owns the key: 150 gold");
    waited = monotonic_s() - last_save_from;
    printf("  That was %.1f s after the last save of server A; a session expires %.1f s after it.\n",
           waited, EXPIRY_S);
    MUST(waited >= EXPIRY_S, "server B has got the key too early");
    tell(&b, "leave");
    hear(&b, "has saved and given up the key");
    stop(&b);

    show_stored(url, 150);
    return EXIT_SUCCESS;
}
