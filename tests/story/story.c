/* The story of README.md, as a host in C tells it: events and signals by callback.
 *
 *   story STORAGE-URL
 */
#include "example.h"

#define ANN "player/ann"
#define BEN "player/ben"
#define CLEO "player/cleo"

enum { GOLD = 1, HAT = 2, GIFT = 3, TITLE = 9 };

/* A server: a store, and what it was told. */
typedef struct Server {
    const char *name;
    SlEasyStore *store;
    double later_s; /* how far its clock is ahead */
    int is_sent;    /* a send was answered */
    int is_lost;
} Server;

/* What all purchases of a game have in common, and the answer to the last one. */
typedef struct Shop {
    SlProfile *friend_chosen;
    int is_answered;
    int is_granted;
} Shop;

/* ---- The save data: hooks ------------------------------------------------------------------ */

static SlStatus create_save_data(void *user_data, const char *key, size_t key_length,
                                 SlSaveData *data) {
    SlStatus status = save_data_set_i64(data, TEXT("/Gold"), 0);
    (void)user_data, (void)key, (void)key_length;
    return status != SL_OK ? status : save_data_set_json(data, TEXT("/Items"), TEXT("[]"));
}

static SlStatus coins_to_gold(void *user_data, SlSaveData *data, double *version_patch) {
    int64_t coins = 0;
    SlStatus status = save_data_get_i64(data, TEXT("/Coins"), &coins);
    (void)user_data;
    if (status != SL_OK) {
        session_locker_set_hook_error(TEXT("there are no coins"));
        return status;
    }
    *version_patch = 0.5;
    status = save_data_set_i64(data, TEXT("/Gold"), coins);
    return status != SL_OK ? status : save_data_remove(data, TEXT("/Coins"));
}

static SlStatus process_remote_change(void *user_data, const char *key, size_t key_length,
                                      SlSaveData *data, const char *change_json,
                                      size_t change_json_length) {
    SlSaveData *change = NULL;
    SlBuffer kind = {NULL, 0, 0};
    int64_t gold = 0;
    SlStatus status = save_data_create(change_json, change_json_length, &change);
    (void)user_data, (void)key, (void)key_length;
    if (status != SL_OK) {
        return status;
    }
    status = save_data_get_string(change, TEXT("/K"), &kind);
    if (status == SL_OK && strcmp(kind.data, "give_gold") == 0) {
        int64_t amount = integer_at(change, "/Amount");
        status = save_data_add_i64(data, TEXT("/Gold"), amount, &gold);
    } else if (status == SL_OK) {
        status = SL_ERROR_NOT_APPLICABLE;
    }
    session_locker_buffer_free(&kind);
    OK(save_data_destroy(change));
    return status;
}

static SlStatus set_last_server(void *user_data, SlProfile *profile) {
    SlSaveData *data = NULL;
    OK(profile_get_save_data(profile, &data));
    return save_data_set_string(data, TEXT("/LastServer"), TEXT((const char *)user_data));
}

/* ---- The shop ------------------------------------------------------------------------------ */

static SlStatus process(void *user_data, SlProductOp op, SlProductCall *call) {
    Shop *shop = (Shop *)user_data;
    int64_t product = call->receipt->product_id;
    int64_t sum = 0;
    int32_t is_there = 0;
    switch (op) {
    case SL_PRODUCT_OP_VALIDATE:
        call->recipient_profile = product == GIFT ? shop->friend_chosen : NULL;
        return product == GOLD || product == GIFT ? SL_OK : SL_ERROR_NOT_APPLICABLE;
    case SL_PRODUCT_OP_APPLY:
        return save_data_add_i64(call->save_data, TEXT("/Gold"), product == GOLD ? 500 : 50, &sum);
    case SL_PRODUCT_OP_RECORD:
        OK(save_data_contains(call->save_data, TEXT("/Spent"), &is_there));
        if (!is_there) {
            OK(save_data_set_i64(call->save_data, TEXT("/Spent"), 0));
        }
        return save_data_add_i64(call->save_data, TEXT("/Spent"), call->receipt->currency_spent,
                                 &sum);
    default: return SL_ERROR_UNSUPPORTED;
    }
}

static void on_answer(void *user_data, int32_t is_granted) {
    Shop *shop = (Shop *)user_data;
    shop->is_answered = 1;
    shop->is_granted = is_granted;
}

/* ---- What is told -------------------------------------------------------------------------- */

static void on_event(void *user_data, const SlEvent *event) {
    Server *server = (Server *)user_data;
    if (event->kind == SL_EVENT_REMOTE_CHANGES_SENT) {
        server->is_sent = event->outcome == SL_SEND_SENT;
    } else if (event->kind == SL_EVENT_LOST) {
        SlSaveData *lost = NULL;
        OK(save_data_parse(event->text.data, event->text.length, &lost));
        printf("ann: lost, with %lld gold\n", integer_at(lost, "/Gold"));
        OK(save_data_destroy(lost));
        server->is_lost = 1;
    }
}

static void on_error(void *user_data, const SlErrorReport *report) {
    /* What the hook said stands behind what the library says of it. */
    const char *own = ": there are no coins";
    size_t length = report->message.length;
    const char *message = report->message.data;
    (void)user_data;
    if (length > strlen(own) && memcmp(message + length - strlen(own), own, strlen(own)) == 0) {
        message += length - strlen(own) + 2;
        length = strlen(own) - 2;
    }
    printf("error: %.*s\n", (int)length, message);
}

static void on_credit(void *user_data, SlProfile *profile, const SlEvent *event) {
    (void)user_data, (void)profile;
    printf("ann: credit of %lld by %lld\n", (long long)event->product_id, (long long)event->amount);
}

static void on_signal(void *user_data, SlProfile *profile, const SlEvent *event) {
    (void)profile, (void)event;
    printf("ben: %s\n", (const char *)user_data);
}

/* ---- The servers --------------------------------------------------------------------------- */

static void open_server(Server *server, const char *name, uint64_t seed,
                        const SlStorage *storage) {
    SlEasyStoreConfig config;
    SlMigratorBuilder *builder = NULL;
    SlMigrators *migrators = NULL;
    memset(server, 0, sizeof *server);
    server->name = name;

    OK(migrator_builder_create(&builder));
    OK(migrator_builder_add_migrator_from(builder, 1, coins_to_gold, NULL, NULL));
    OK(migrator_builder_check_version(builder, 2));
    OK(migrator_builder_build(builder, &migrators));
    OK(migrator_builder_destroy(builder));

    OK(easy_store_config_init(&config, sizeof config));
    config.job_id = name;
    config.seed = seed;
    config.place_id = 7;
    config.save_data_version = 2;
    config.migrators = migrators;
    config.create_save_data = create_save_data;
    config.process_remote_change = process_remote_change;
    config.event = on_event;
    config.report_error = on_error;
    config.user_data = server;
    OK(easy_store_create(storage, &config, &server->store));
    OK(migrators_destroy(migrators));
}

static void story_frame(const Server *server) {
    OK(easy_store_update(server->store, session_locker_now() + server->later_s));
    sleep_s(0.001);
}

/* Runs frames of a server until something is so. */
#define UNTIL(server, condition)                                                                    \
    do {                                                                                            \
        double deadline = monotonic_s() + PATIENCE_S;                                               \
        while (!(condition)) {                                                                      \
            MUST(monotonic_s() < deadline, #condition " never comes true");                         \
            story_frame(server);                                                                    \
        }                                                                                           \
    } while (0)

static SlProfile *start(const Server *server, const char *key, const char *user_id) {
    SlSessionOptions options;
    SlProfile *profile = NULL;
    SlText user;
    OK(session_locker_session_options_init(&options, sizeof options));
    if (user_id != NULL) {
        user.data = user_id;
        user.length = SL_NUL_TERMINATED;
        options.user_ids = &user;
        options.user_id_count = 1;
    }
    OK(easy_store_start_session(server->store, TEXT(key), &options, &profile));
    return profile;
}

static int is_loaded(const SlProfile *profile) {
    int32_t value = 0;
    OK(profile_is_loaded(profile, &value));
    return value;
}

static int is_finished(const SlProfile *profile) {
    int32_t value = 0;
    OK(profile_is_finished(profile, &value));
    return value;
}

static int load_status(const SlProfile *profile) {
    int32_t value = 0;
    OK(profile_load_status(profile, &value));
    return value;
}

static SlSaveData *data_of(const SlProfile *profile) {
    SlSaveData *data = NULL;
    OK(profile_get_save_data(profile, &data));
    return data;
}

static long long gold_of(const SlProfile *profile) { return integer_at(data_of(profile), "/Gold"); }

static void add_gold(const SlProfile *profile, int64_t amount) {
    int64_t gold = 0;
    OK(save_data_add_i64(data_of(profile), TEXT("/Gold"), amount, &gold));
}

static int is_saved(const SlSavedConnection *wait) {
    int32_t value = 0;
    OK(saved_connection_is_saved(wait, &value));
    return value;
}

static void force_save(const Server *server, const SlProfile *profile) {
    SlSavedConnection *wait = NULL;
    OK(profile_mark_force_save(profile));
    OK(profile_when_changes_saved(profile, NULL, NULL, NULL, &wait));
    UNTIL(server, is_saved(wait));
    OK(saved_connection_destroy(wait));
}

static void end(const Server *server, SlProfile *profile) {
    OK(profile_end_session(profile));
    UNTIL(server, is_finished(profile));
}

/* ---- The story ----------------------------------------------------------------------------- */

static void put(const SlStorage *storage, const char *key, const char *document,
                const char *user_id) {
    SlBuffer bytes, revision, users, written;
    int32_t is_present = 0;
    SlText user;
    user.data = user_id;
    user.length = SL_NUL_TERMINATED;
    OK(locker_storage_fetch(storage, TEXT(key), PATIENCE_S, &is_present, &bytes, &revision,
                            &users));
    OK(locker_storage_commit(storage, TEXT(key), document, strlen(document), &user,
                             user_id == NULL ? 0 : 1, revision.data, revision.length, PATIENCE_S,
                             &written));
    session_locker_buffer_free(&bytes);
    session_locker_buffer_free(&revision);
    session_locker_buffer_free(&users);
    session_locker_buffer_free(&written);
}

static void migrate(const Server *one, SlProfile **ben) {
    SlProfile *cleo;
    *ben = start(one, BEN, "ben");
    UNTIL(one, is_loaded(*ben));
    printf("ben: loaded, %lld gold\n", gold_of(*ben));

    cleo = start(one, CLEO, NULL);
    UNTIL(one, load_status(cleo) == SL_LOAD_STATUS_MIGRATION_FAILED);
    printf("cleo: migration_failed\n");
    end(one, cleo);
    printf("cleo: finished\n");
    OK(profile_destroy(cleo));
}

static void earn(const Server *one, const SlProfile *ann) {
    SlSaveData *data = data_of(ann);
    SlBuffer item;
    size_t items = 0;
    add_gold(ann, 100);
    OK(save_data_set_string(data, TEXT("/Name"), TEXT("Ann \xc3\x9cnal")));
    OK(save_data_set_json(data, TEXT("/Stats"), TEXT("{}")));
    OK(save_data_set_i64(data, TEXT("/Stats/Level"), 3));
    OK(save_data_set_f64(data, TEXT("/Stats/Luck"), 0.25));
    OK(save_data_set_bool(data, TEXT("/Stats/Banned"), 0));
    OK(save_data_append(data, TEXT("/Items"), TEXT("\"sword\"")));
    OK(save_data_append(data, TEXT("/Items"), TEXT("\"bow\"")));
    OK(save_data_remove(data, TEXT("/Items/0")));
    force_save(one, ann);
    OK(save_data_length(data, TEXT("/Items"), &items));
    OK(save_data_get_string(data, TEXT("/Items/0"), &item));
    printf("ann: saved, %lld gold, %lu item, the last one a %s\n", gold_of(ann),
           (unsigned long)items, item.data);
    session_locker_buffer_free(&item);
}

static void buy(const Server *one, Shop *shop, const SlProfile *ann, const char *purchase_id,
                int64_t product, int64_t spent) {
    SlReceiptInfo receipt;
    OK(session_locker_receipt_info_init(&receipt, sizeof receipt));
    receipt.purchase_id = purchase_id;
    receipt.product_id = product;
    receipt.user_id = "ann";
    receipt.currency_spent = spent;
    shop->is_answered = 0;
    OK(profile_call_when_product_is_processed_and_saved(ann, process, &receipt, on_answer, shop,
                                                        NULL));
    UNTIL(one, shop->is_answered);
    printf("%s: %s", purchase_id, shop->is_granted ? "granted" : "not granted");
}

static void buy_everything(const Server *one, const SlProfile *ann, SlProfile *ben) {
    Shop shop = {NULL, 0, 0};
    SlSignalConnection *credit_changes = NULL;
    int64_t credit = 0;
    int32_t did_use = 0;

    buy(one, &shop, ann, "p1", GOLD, 99);
    printf(", %lld gold\n", gold_of(ann));
    buy(one, &shop, ann, "p1", GOLD, 99);
    printf(", %lld gold\n", gold_of(ann));

    OK(profile_connect(ann, SL_SIGNAL_PRODUCT_CREDIT_CHANGED, on_credit, NULL, NULL,
                       &credit_changes));
    buy(one, &shop, ann, "p2", HAT, 150);
    printf(", %lld gold\n", gold_of(ann));
    OK(signal_connection_disconnect(credit_changes));
    OK(profile_product_credit_give(ann, TITLE, 2));
    OK(profile_product_credit_query(ann, TITLE, &credit));
    printf("ann: credit of 9: %lld\n", (long long)credit);
    OK(profile_product_credit_use(ann, TITLE, 3, &did_use));
    printf("ann: used 3: %s\n", did_use ? "yes" : "no");
    OK(profile_product_credit_use(ann, TITLE, 1, &did_use));
    printf("ann: used 1: %s\n", did_use ? "yes" : "no");

    shop.friend_chosen = ben;
    buy(one, &shop, ann, "p3", GIFT, 20);
    printf(", ben has %lld gold\n", gold_of(ben));
}

static void send_mail(Server *two) {
    SlSendOptions options;
    OK(session_locker_send_options_init(&options, sizeof options));
    options.operation_id = "mail-1";
    two->is_sent = 0;
    OK(easy_store_send_remote_changes(
        two->store, TEXT(ANN), TEXT("[{\"K\":\"give_gold\",\"Amount\":7},{\"K\":\"dance\"}]"),
        &options, NULL, NULL, NULL, NULL));
    UNTIL(two, two->is_sent);
    printf("mail-1: sent\n");
}

static void remote_change(const Server *one, Server *two, const SlProfile *ann) {
    long long before = gold_of(ann);
    send_mail(two);
    OK(profile_mark_force_save(ann));
    UNTIL(one, gold_of(ann) != before);
    printf("ann: %lld gold\n", gold_of(ann));
    force_save(one, ann);
    send_mail(two);
}

static void leave(const Server *one, SlProfile *ben) {
    static const struct {
        int32_t signal;
        const char *name;
    } signals[] = {
        {SL_SIGNAL_LIFECYCLE, "Lifecycle"}, {SL_SIGNAL_FINISHED, "Finished"},
        {SL_SIGNAL_DESTROYED, "Destroyed"}, {SL_SIGNAL_SAVED, "Saved"},
        {SL_SIGNAL_REPLACED, "Replaced"},   {SL_SIGNAL_LOADED, "Loaded"},
        {SL_SIGNAL_RESET, "Reset"},         {SL_SIGNAL_RELEASED, "Released"},
        {SL_SIGNAL_LOST, "Lost"},
    };
    size_t at;
    OK(profile_set_before_save(ben, set_last_server, (void *)"one", NULL));
    for (at = 0; at < sizeof signals / sizeof signals[0]; at++) {
        OK(profile_connect(ben, signals[at].signal, on_signal, (void *)signals[at].name, NULL,
                           NULL));
    }
    end(one, ben);
    OK(profile_destroy(ben));
}

/* Server one hangs; server two takes Ann over; server one wakes up. */
static SlProfile *lose(Server *one, Server *two, SlProfile *ann) {
    SlProfile *ann_on_two;
    add_gold(ann, 5);
    ann_on_two = start(two, ANN, NULL);
    UNTIL(two, load_status(ann_on_two) == SL_LOAD_STATUS_SESSION_IS_LOCKED);
    printf("server two: ann is session_is_locked\n");
    story_frame(two);
    two->later_s = 2000;
    UNTIL(two, is_loaded(ann_on_two));
    printf("server two: ann: loaded, %lld gold\n", gold_of(ann_on_two));

    OK(profile_mark_force_save(ann));
    UNTIL(one, one->is_lost);
    printf("ann: %lld gold\n", gold_of(ann));
    end(one, ann);
    printf("ann: finished\n");
    OK(profile_destroy(ann));
    return ann_on_two;
}

static void drain(const Server *server) {
    SlDrainReport *report = NULL;
    size_t unsaved = 0, unsent = 0;
    OK(easy_store_drain(server->store, 10, &report));
    OK(drain_report_unsaved_count(report, &unsaved));
    OK(drain_report_unsent_count(report, &unsent));
    printf("%s: drained, %lu unsaved, %lu unsent\n", server->name, (unsigned long)unsaved,
           (unsigned long)unsent);
    OK(drain_report_destroy(report));
}

int main(int argc, char **argv) {
    static Server one, two;
    SlStorage *storage = NULL;
    SlProfile *ann, *ben;
    uint64_t handles = 0;
    MUST(argc == 2, "the argument is the URL of a storage");
    OK(locker_storage_open(TEXT(argv[1]), &storage));
    put(storage, BEN, "{\"Version\":1,\"Coins\":30,\"Items\":[\"shield\"]}", "ben");
    put(storage, CLEO, "{\"Version\":1,\"Items\":[]}", NULL);
    open_server(&one, "server one", 5, storage);
    open_server(&two, "server two", 51, storage);

    ann = start(&one, ANN, "ann");
    UNTIL(&one, is_loaded(ann));
    printf("ann: loaded, %lld gold\n", gold_of(ann));
    migrate(&one, &ben);
    earn(&one, ann);
    buy_everything(&one, ann, ben);
    remote_change(&one, &two, ann);
    leave(&one, ben);
    ann = lose(&one, &two, ann);
    add_gold(ann, 1);
    drain(&one);
    drain(&two);

    OK(profile_destroy(ann));
    OK(easy_store_destroy(one.store));
    OK(easy_store_destroy(two.store));
    OK(locker_storage_destroy(storage));
    OK(session_locker_live_handles(&handles));
    printf("handles left: %llu\n", (unsigned long long)handles);
    return EXIT_SUCCESS;
}
