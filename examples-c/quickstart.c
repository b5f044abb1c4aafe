/* One whole session of one player: start, wait until loaded, add gold, save now, wait until saved,
 * end, shut down.
 *
 *   quickstart [STORAGE-URL]
 *
 * A game server does all of this inside its frame loop: nothing here ever waits for the storage.
 */
#include "example.h"

/* What has happened to the player's session so far. */
typedef struct Player {
    int is_loaded;
    int is_answered;
    int32_t outcome;
    int is_finished;
} Player;

static void on_loaded(void *user_data, SlProfile *profile) {
    (void)profile;
    ((Player *)user_data)->is_loaded = 1;
}

static void on_saved(void *user_data, int32_t outcome) {
    Player *player = (Player *)user_data;
    player->is_answered = 1;
    player->outcome = outcome;
}

static void on_finished(void *user_data, SlProfile *profile, const SlEvent *event) {
    (void)profile, (void)event;
    ((Player *)user_data)->is_finished = 1;
}

/* The library goes on by itself after an error; a server writes it to its log. */
static void on_event(void *user_data, const SlEvent *event) {
    (void)user_data;
    if (event->kind == SL_EVENT_ERROR) {
        fprintf(stderr, "  log: %.*s\n", (int)event->text.length, event->text.data);
    }
}

int main(int argc, char **argv) {
    const char *url = storage_url(argc, argv);
    SlStorage *storage = NULL;
    SlEasyStoreConfig config;
    SlEasyStore *store = NULL;
    SlProfile *profile = NULL;
    SlSaveData *data = NULL;
    SlDrainReport *report = NULL;
    SlBuffer stored;
    SlText user;
    SlSessionOptions options;
    Player player;
    int32_t has_owner = 1;
    int64_t gold = 0;
    long long gold_before;
    size_t left = 0;

    printf("session-locker %s, on %s\n", session_locker_version(), url);
    memset(&player, 0, sizeof player);

    /* Once, when the server starts. */
    OK(locker_storage_open(TEXT(url), &storage));
    OK(easy_store_config_init(&config, sizeof config));
    config.template_json = "{\"Gold\":0,\"Items\":[]}";
    config.event = on_event;
    OK(easy_store_create(storage, &config, &store));

    /* When a player joins. The user id is stored beside the document, for erasure requests. */
    user.data = "1001";
    user.length = SL_NUL_TERMINATED;
    OK(session_locker_session_options_init(&options, sizeof options));
    options.user_ids = &user;
    options.user_id_count = 1;
    OK(easy_store_start_session(store, TEXT("player/1001"), &options, &profile));
    OK(profile_when_loaded(profile, on_loaded, &player, NULL));
    OK(profile_connect(profile, SL_SIGNAL_FINISHED, on_finished, &player, NULL, NULL));
    OK(profile_get_save_data(profile, &data));
    printf("player 1001 joins: the session begins, and the server's frames go on\n");
    frames_until(store, &player.is_loaded, "the session was not loaded");
    gold_before = integer_at(data, "/Gold");
    printf("loaded: this server owns the key now; the player has %lld gold\n", gold_before);

    /* While the player plays. Every write counts as a change and is saved within five minutes at
     * the latest; what must not wait is saved at once. */
    OK(save_data_add_i64(data, TEXT("/Gold"), 100, &gold));
    OK(save_data_append(data, TEXT("/Items"), TEXT("{\"Id\":\"oak_shield\",\"Level\":1}")));
    OK(profile_mark_force_save(profile));
    OK(profile_when_changes_saved(profile, on_saved, &player, NULL, NULL));
    printf("the player wins 100 gold and a shield: saving now\n");
    frames_until(store, &player.is_answered, "the wait for the save was never answered");
    MUST(player.outcome == SL_OUTCOME_SAVED, "the changes were not saved");
    printf("saved: %lld gold are in the database, whatever happens to this server\n",
           (long long)gold);

    /* When the player leaves. */
    OK(profile_end_session(profile));
    printf("the player leaves: the session saves once more and gives up the key\n");
    frames_until(store, &player.is_finished, "the session did not end");
    OK(profile_destroy(profile));
    printf("released: any server may have the key now\n");

    /* Once, when the server stops: whatever is still open is saved and released. */
    OK(easy_store_drain(store, PATIENCE_S, &report));
    OK(drain_report_unsaved_count(report, &left));
    MUST(left == 0, "a session could not be released in time");
    OK(drain_report_destroy(report));
    OK(easy_store_destroy(store));
    printf("shut down: every session is saved and released\n");

    /* What a tool sees: the document as it is stored. */
    printf("\nIn the database there is now:\n");
    show_record(storage, "player/1001", &stored);
    OK(save_data_parse(stored.data, stored.length, &data));
    MUST(integer_at(data, "/Gold") == gold_before + 100, "the gold in the database is wrong");
    OK(save_data_contains(data, TEXT("/Session"), &has_owner));
    MUST(!has_owner, "the record still has an owner");
    OK(save_data_destroy(data));
    session_locker_buffer_free(&stored);
    OK(locker_storage_destroy(storage));
    return EXIT_SUCCESS;
}
