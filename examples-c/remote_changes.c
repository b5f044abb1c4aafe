/* A moderator sends gold: to a player who is not here, then while she plays, and then once more with
 * a tool that dies before it hears whether it was sent. Each time it arrives once.
 *
 *   remote_changes [STORAGE-URL]
 *
 * The moderator's tool and the game server are processes of their own, for which this program
 * starts itself again. They know nothing of each other; all that they share is the storage. A tool
 * never takes a player's key: it puts a change into the inbox of the record, and whoever owns the
 * key, now or later, applies it.
 */
#include "processes.h"

#define KEY "player/ana"
#define STRANGER "player/cara"

#define TEMPLATE "{\"Gold\":0}"

/* ---- The game server --------------------------------------------------------------------- */

typedef struct Server {
    SlEasyStore *store;
    SlProfile *profile; /* NULL while the player is not here */
    SlSaveData *data;
    int is_finished;
} Server;

/* What a moderator may do to a save data. Each kind of change has a name, `K`, and beside it whatever
 * the game needs. */
static SlStatus process_remote_change(void *user_data, const char *key, size_t key_length,
                                      SlSaveData *data, const char *change_json,
                                      size_t change_json_length) {
    SlSaveData *change = NULL;
    SlBuffer kind;
    int64_t gold = 0;
    SlStatus status;
    (void)user_data;
    (void)key;
    (void)key_length;
    OK(save_data_create(change_json, change_json_length, &change));
    OK(save_data_get_string(change, TEXT("/K"), &kind));
    if (strcmp(kind.data, "GiveGold") == 0) {
        int64_t amount = integer_at(change, "/Amount");
        status = save_data_add_i64(data, TEXT("/Gold"), amount, &gold);
        printf("is given %lld gold by a moderator\n", (long long)amount);
    } else {
        status = SL_ERROR_NOT_APPLICABLE; /* it stays, for a server that knows more */
        printf("does not know what %s is, and leaves it in the inbox\n", kind.data);
    }
    fflush(stdout);
    session_locker_buffer_free(&kind);
    OK(save_data_destroy(change));
    return status;
}

static void on_event(void *user_data, const SlEvent *event) {
    Server *server = (Server *)user_data;
    int is_step = event->kind == SL_EVENT_LIFECYCLE;
    MUST(!is_step || event->reason != SL_REASON_LOST, "a server has lost its key");
    if (is_step && event->reason == SL_REASON_LOADED) {
        say_gold("has loaded Ana", server->data);
    } else if (is_step && event->lifecycle == SL_LIFECYCLE_FINISHED) {
        server->is_finished = 1;
    } else if (event->kind == SL_EVENT_ERROR) {
        printf("reports an error: %.*s\n", (int)event->text.length, event->text.data);
        fflush(stdout);
    }
}

static SlEasyStore *make_store(const char *url, const char *name, Server *server) {
    SlStorage *storage = NULL;
    SlEasyStore *store = NULL;
    SlEasyStoreConfig config;
    OK(locker_storage_open(TEXT(url), &storage));
    OK(easy_store_config_init(&config, sizeof config));
    config.template_json = TEMPLATE;
    config.job_id = name;
    config.process_remote_change = process_remote_change;
    config.event = on_event;
    config.user_data = server;
    OK(easy_store_create(storage, &config, &store));
    OK(locker_storage_destroy(storage)); /* the store keeps it open */
    return store;
}

static int obey_as_server(void *role, const char *command) {
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
    } else if (strcmp(command, "count") == 0) {
        say_gold("counts", server->data);
    } else if (strcmp(command, "leave") == 0) {
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
    while (take_commands(obey_as_server, &server)) {
        frame(server.store);
        if (server.is_finished) {
            OK(profile_destroy(server.profile));
            server.is_finished = 0;
            say("has saved Ana and let her go");
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

/* ---- The moderator's tool ---------------------------------------------------------------- */

typedef struct Moderator {
    SlRemoteChangeSender *sender;
    int dies_when_answered;
} Moderator;

static void on_sent(void *user_data, uint64_t send_id, int32_t outcome) {
    Moderator *moderator = (Moderator *)user_data;
    (void)send_id;
    if (moderator->dies_when_answered) {
        crash(); /* it is sent, and nobody will ever know */
    }
    switch (outcome) {
    case SL_SEND_SENT: say("is told that it is sent"); break;
    case SL_SEND_MISSING: say("is told that there is no such player"); break;
    default: printf("is told %d\n", (int)outcome); fflush(stdout);
    }
}

/* The sender has the defaults, so it makes no record where there is none. */
static SlRemoteChangeSender *make_sender(const char *url, const char *name) {
    SlStorage *storage = NULL;
    SlLockerSpec *spec = NULL;
    SlRemoteChangeSender *sender = NULL;
    SlLockerSpecConfig config;
    OK(locker_storage_open(TEXT(url), &storage));
    OK(locker_spec_config_init(&config, sizeof config));
    config.template_json = TEMPLATE;
    config.job_id = name;
    OK(locker_spec_create(storage, &config, &spec));
    OK(remote_change_sender_create(spec, NULL, &sender));
    OK(locker_spec_destroy(spec)); /* the sender keeps it */
    OK(locker_storage_destroy(storage));
    return sender;
}

static void send_change(Moderator *moderator, const char *key, const char *operation_id,
                        const char *json_array) {
    SlSendOptions options;
    OK(session_locker_send_options_init(&options, sizeof options));
    options.operation_id = operation_id; /* may be NULL */
    OK(remote_change_sender_send(moderator->sender, TEXT(key), TEXT(json_array), &options, on_sent,
                                 moderator, NULL, NULL));
}

static int obey_as_moderator(void *role, const char *command) {
    Moderator *moderator = (Moderator *)role;
    char key[32], operation_id[32], json[96];
    int amount = 0;
    if (sscanf(command, "give %31s %d", key, &amount) == 2) {
        snprintf(json, sizeof json, "[{\"K\":\"GiveGold\",\"Amount\":%d}]", amount);
        send_change(moderator, key, NULL, json);
    } else if (sscanf(command, "give-once %31s %31s %d", operation_id, key, &amount) == 3) {
        snprintf(json, sizeof json, "[{\"K\":\"GiveGold\",\"Amount\":%d}]", amount);
        send_change(moderator, key, operation_id, json);
    } else if (sscanf(command, "dance %31s", key) == 1) {
        send_change(moderator, key, NULL, "[{\"K\":\"Dance\",\"Steps\":3}]");
    } else if (strcmp(command, "die-when-answered") == 0) {
        moderator->dies_when_answered = 1;
    } else {
        MUST(strcmp(command, "stop") == 0, "a command that no moderator knows");
        return 0;
    }
    return 1;
}

static int run_moderator(const char *name, const char *url) {
    Moderator moderator;
    int32_t is_sending = 0;
    memset(&moderator, 0, sizeof moderator);
    moderator.sender = make_sender(url, name);
    while (take_commands(obey_as_moderator, &moderator)) {
        OK(remote_change_sender_update(moderator.sender, monotonic_s()));
        sleep_s(0.005);
    }
    OK(remote_change_sender_is_sending(moderator.sender, &is_sending));
    MUST(!is_sending, "a moderator goes before all is sent");
    OK(remote_change_sender_destroy(moderator.sender));
    say("has shut down");
    return EXIT_SUCCESS;
}

/* ---- The director ------------------------------------------------------------------------ */

static void start_server(Process *process, const char *program, const char *url) {
    start(process, program, "--server", "The server", url);
}

static void start_moderator(Process *process, const char *program, const char *url) {
    start(process, program, "--moderator", "The moderator", url);
}

static void show_stored(const char *url, long long gold, size_t waiting) {
    SlSaveData *data;
    size_t count = 0;
    printf("In the storage there is now:\n");
    data = stored(url, KEY);
    MUST(data != NULL && integer_at(data, "/Gold") == gold, "the gold in the storage is wrong");
    if (has(data, "/RemoteChanges")) {
        OK(save_data_length(data, TEXT("/RemoteChanges"), &count));
    }
    MUST(count == waiting, "another number of changes waits in the inbox");
    OK(save_data_destroy(data));
}

static void leave(Process *server) {
    tell(server, "leave");
    hear(server, "has saved Ana and let her go");
}

static void first_evening(Process *server) {
    printf("Ana plays for the first time.\n");
    tell(server, "join");
    hear(server, "has loaded Ana: 0 gold");
    tell(server, "earn 10");
    hear(server, "has more gold, in memory: 10 gold");
    leave(server);
}

static void to_one_who_is_not_here(Process *server, Process *moderator, const char *url) {
    printf("She sends 50 gold to Ana, who is asleep, and some to a player whom nobody has seen.\n");
    tell(moderator, "give " KEY " 50");
    hear(moderator, "is told that it is sent");
    tell(moderator, "give " STRANGER " 50");
    hear(moderator, "is told that there is no such player");
    show_stored(url, 10, 1);
    printf("\nAna comes. The gold is there before the game hears that she is loaded.\n");
    tell(server, "join");
    hear(server, "is given 50 gold by a moderator");
    hear(server, "has loaded Ana: 60 gold");
}

static void to_one_who_plays(Process *server, Process *moderator, const char *url) {
    printf("\nAna earns 5, and the moderator sends her 20.\n");
    tell(server, "earn 5");
    hear(server, "has more gold, in memory: 65 gold");
    tell(moderator, "give " KEY " 20");
    hear(moderator, "is told that it is sent");
    printf("The server finds it when it saves, and keeps what she has earned.\n");
    tell(server, "save");
    hear(server, "is given 20 gold by a moderator");
    tell(server, "count");
    hear(server, "counts: 85 gold");
    leave(server);
    show_stored(url, 85, 0);
}

static void with_a_lost_answer(Process *server, Process *moderator, const char *program,
                               const char *url) {
    printf("\nThe moderator sends 40 under an operation id. It is sent, and before the tool hears so\n"
           "it dies.\n");
    tell(moderator, "die-when-answered");
    tell(moderator, "give-once ticket-77 " KEY " 40");
    must_crash(moderator);
    start_moderator(moderator, program, url);
    printf("She does not know whether it was sent, so she sends it again, under the same id.\n");
    tell(moderator, "give-once ticket-77 " KEY " 40");
    hear(moderator, "is told that it is sent");
    show_stored(url, 85, 1);
    printf("\nAna comes.\n");
    tell(server, "join");
    hear(server, "is given 40 gold by a moderator");
    hear(server, "has loaded Ana: 125 gold");
    printf("And once more, now that she has it.\n");
    tell(moderator, "give-once ticket-77 " KEY " 40");
    hear(moderator, "is told that it is sent");
    leave(server);
    show_stored(url, 125, 0);
}

static void of_an_unknown_kind(Process *server, Process *moderator) {
    printf("\nThe moderator's tool is newer than the server, and sends what that does not know.\n");
    tell(moderator, "dance " KEY);
    hear(moderator, "is told that it is sent");
    tell(server, "join");
    hear(server, "does not know what Dance is, and leaves it in the inbox");
    hear(server, "has loaded Ana: 125 gold");
    leave(server);
}

int main(int argc, char **argv) {
    const char *url;
    Process server, moderator;
    if (argc == 4 && strcmp(argv[1], "--server") == 0) {
        return run_server(argv[2], argv[3]);
    }
    if (argc == 4 && strcmp(argv[1], "--moderator") == 0) {
        return run_moderator(argv[2], argv[3]);
    }
    url = storage_url(argc, argv);
    printf("In the storage there is:\n");
    MUST(stored(url, KEY) == NULL && stored(url, STRANGER) == NULL,
         "there are records already: this example wants an empty storage");

    start_server(&server, argv[0], url);
    first_evening(&server);
    start_moderator(&moderator, argv[0], url);
    to_one_who_is_not_here(&server, &moderator, url);
    to_one_who_plays(&server, &moderator, url);
    with_a_lost_answer(&server, &moderator, argv[0], url);
    of_an_unknown_kind(&server, &moderator);
    stop(&moderator);
    stop(&server);
    printf("\nAna has each gift once, and the unknown change waits for a server that knows it.\n");
    show_stored(url, 125, 1);
    MUST(stored(url, STRANGER) == NULL, "a record was made for a stranger");
    return EXIT_SUCCESS;
}
