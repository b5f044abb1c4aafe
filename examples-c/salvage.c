/* A session is lost: a server stood still for so long that another one has taken its player. What
 * the player did in the meantime was never saved; it is shown, and kept for the people of support.
 *
 *   salvage [STORAGE-URL]
 *
 * Two servers are two stores of this one process: while one of them gets no updates, it is to the
 * other as if it hung, or sat in a debugger.
 */
#include "example.h"

#define KEY "player/ana"

/* Real servers keep the defaults, 300 s and 1800 s. SAVE_PERIOD_S + 3 TIMEOUT_S < EXPIRY_S. */
#define SAVE_PERIOD_S 0.2
#define TIMEOUT_S 0.2
#define EXPIRY_S 1.5
#define ASK_AGAIN_S 0.1

typedef struct Server {
    const char *name;
    const SlStorage *storage;
    SlEasyStore *store;
    SlProfile *profile;
    SlSaveData *data;
    int is_loaded;
    int is_lost;
    int is_saved; /* what was waited for */
    int is_not_saved;
} Server;

/* Keeps a document under a key of its own, where nothing overwrites it. A game may as well write a
 * file, or a line in its log. */
static void keep_for_support(const SlStorage *storage, const SlEvent *event) {
    SlBuffer value, revision, user_ids, after;
    int32_t is_present = 0;
    char key[600];
    snprintf(key, sizeof key, "lost/%.*s/%lld", (int)event->key.length, event->key.data,
             (long long)wall_s());
    OK(locker_storage_fetch(storage, TEXT(key), PATIENCE_S, &is_present, &value, &revision,
                            &user_ids));
    OK(locker_storage_commit(storage, TEXT(key), event->text.data, event->text.length, NULL, 0,
                             revision.data, revision.length, PATIENCE_S, &after));
    printf("  kept as %s\n", key);
    session_locker_buffer_free(&value);
    session_locker_buffer_free(&revision);
    session_locker_buffer_free(&user_ids);
    session_locker_buffer_free(&after);
}

static void on_event(void *user_data, const SlEvent *event) {
    Server *server = (Server *)user_data;
    if (event->kind == SL_EVENT_LOST) {
        /* The only moment at which what was not saved comes by itself. It is also in
         * profile_get_lost_save_data, until the profile loses its next session. */
        printf("%s has lost the session. What it had, and has not saved:\n  %.*s\n", server->name,
               (int)event->text.length, event->text.data);
        keep_for_support(server->storage, event);
        server->is_lost = 1;
    } else if (event->kind == SL_EVENT_LIFECYCLE && event->reason == SL_REASON_LOADED) {
        printf("%s owns the key: %lld gold.\n", server->name, integer_at(server->data, "/Gold"));
        server->is_loaded = 1;
    } else if (event->kind == SL_EVENT_CHANGES_SAVED) {
        server->is_saved = event->outcome == SL_OUTCOME_SAVED;
        server->is_not_saved = event->outcome == SL_OUTCOME_NOT_SAVED;
    }
}

static void open_server(Server *server, const char *name, const SlStorage *storage) {
    SlEasyStoreConfig config;
    memset(server, 0, sizeof *server);
    server->name = name;
    server->storage = storage;
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
    OK(easy_store_create(storage, &config, &server->store));
}

static void join(Server *server) {
    OK(easy_store_start_session(server->store, TEXT(KEY), NULL, &server->profile));
    OK(profile_get_save_data(server->profile, &server->data));
    frames_until(server->store, &server->is_loaded, "a server does not get the key");
}

static void earn(Server *server, int64_t amount) {
    int64_t gold = 0;
    OK(save_data_add_i64(server->data, TEXT("/Gold"), amount, &gold));
    printf("On %s the player earns %lld, and has %lld gold, in memory.\n", server->name,
           (long long)amount, (long long)gold);
}

static int32_t is_available(const Server *server) {
    int32_t available = 0;
    OK(profile_is_available(server->profile, &available));
    return available;
}

static void shut_down(Server *server) {
    SlDrainReport *report = NULL;
    size_t left = 0;
    OK(easy_store_drain(server->store, PATIENCE_S, &report));
    OK(drain_report_unsaved_count(report, &left));
    MUST(left == 0, "a session could not be released in time");
    OK(drain_report_destroy(report));
    OK(easy_store_destroy(server->store));
}

int main(int argc, char **argv) {
    SlStorage *storage = NULL;
    SlBuffer lost;
    Server first, second;

    OK(locker_storage_open(TEXT(storage_url(argc, argv)), &storage));
    open_server(&first, "Server 1", storage);
    open_server(&second, "Server 2", storage);

    join(&first);
    earn(&first, 100);
    OK(profile_mark_force_save(first.profile));
    OK(profile_when_changes_saved(first.profile, NULL, NULL, NULL, NULL));
    frames_until(first.store, &first.is_saved, "a forced save does not come");
    printf("That is saved.\n\n");

    earn(&first, 5);
    OK(profile_when_changes_saved(first.profile, NULL, NULL, NULL, NULL));
    printf("Before it is saved, server 1 stands still.\n\n");
    join(&second); /* the first one gets no updates, and its session expires */
    MUST(!is_available(&first), "two servers hold one player for available");
    earn(&second, 1000);

    printf("\nServer 1 goes on. Its lease has run out, so it has known for a while that the session may\n"
           "be another's; now it looks, and finds out.\n");
    frames_until(first.store, &first.is_lost, "a lost session is not noticed");
    frame(first.store);
    MUST(first.is_not_saved, "a change that is lost was not said to be");
    printf("Who waited for the change to be saved has been told that it was not.\n");
    OK(profile_get_lost_save_data(first.profile, &lost));
    MUST(strstr(lost.data, "\"Gold\":105") != NULL, "the unsaved change is not in what was lost");
    session_locker_buffer_free(&lost);

    shut_down(&first);
    shut_down(&second);
    printf("\nWhat server 2 has saved is as it left it:\n");
    show_record(storage, KEY, &lost);
    MUST(strstr(lost.data, "\"Gold\":1100") != NULL, "the owner's save was overwritten");
    session_locker_buffer_free(&lost);
    OK(locker_storage_destroy(storage));
    return EXIT_SUCCESS;
}
