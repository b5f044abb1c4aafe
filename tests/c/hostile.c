/* Hosts that do the worst inside every kind of callback, in a store and in the full API: they destroy
 * whatever there is, or drive what is being driven. All that was accepted is answered and dropped once.
 *
 * Where the rest is shown: destruction from another thread and inside a storage in destruction.c,
 * connections and waits that end themselves in reentrancy.c and drops.c, many of a thing in limits.c,
 * limits_purchases.c and limits_remote_changes.c, hooks that lie in hostile_hooks.c, threads in
 * hostile_threads.c. */
#include "locker_world.h"

typedef enum Place {
    IN_EVENT,
    IN_SIGNAL,
    IN_WHEN_LOADED,
    IN_ANSWER,
    IN_BEFORE_SAVE,
    IN_CREATE,
    IN_MIGRATE,
    IN_REMOTE_CHANGE,
    IN_MERGE,
    IN_VALIDATE,
    IN_APPLY,
    IN_RECORD,
    IN_GRANTED,
    IN_SENT,
    IN_REPORT,
    IN_LOG,
    IN_DROP_OF_SIGNAL,
    IN_DROP_OF_WAIT,
    IN_DROP_OF_PURCHASE,
    IN_DROP_OF_SEND,
    IN_DROP_OF_CONFIG,
    IN_DROP_OF_MIGRATORS,
    PLACES
} Place;

typedef enum Deed {
    END_PROFILE,
    END_STORE,
    END_CONNECTION,
    END_WAIT,
    END_LOCKER,
    END_SPEC,
    END_PURCHASER,
    END_SENDER,
    END_MIGRATORS,
    END_STORAGE,
    END_EVERYTHING,
    DRIVE,
    DRIVE_ANOTHER,
    DEEDS
} Deed;

/* One of what is handed over: how often it was accepted, heard and dropped. */
typedef struct Handed {
    int accepted;
    int heard;
    int drops;
} Handed;

/* Of the store the first handles, of the full API the second; the others are NULL. */
typedef struct Scene {
    Place place;
    Deed deed;
    int done;
    int is_full;
    int config_drops;
    int migrator_drops;
    int errors;
    Moment moment;
    SlStorage *storage;
    SlMigrators *migrators;
    SlEasyStore *store;
    SlProfile *profile;
    SlLockerSpec *spec;
    SlLocker *locker;
    SlProductPurchaser *purchaser;
    SlRemoteChangeSender *sender;
    SlSignalConnection *connection;
    SlSavedConnection *wait;
    Handed signal, waits, purchase, send;
} Scene;

static Scene scene;

/* Another store, on another storage, which a callback may drive as it likes. */
static Server another;

/* What a call may come to once the host has destroyed something. */
static int is_served_or_refused(SlStatus status) {
    return status == SL_OK ||
           (scene.done && (status == SL_ERROR_INVALID_HANDLE || status == SL_ERROR_NOT_ACTIVE ||
                           status == SL_ERROR_CLOSED || status == SL_ERROR_NOT_LOADED));
}

#define TRY(call) CHECK(is_served_or_refused(call))

/* What is destroyed is gone for the host, however the library uses it still. */
#define END(handle, function)                                                                      \
    do {                                                                                           \
        if ((handle) != NULL) {                                                                    \
            SlStatus ended = function(handle);                                                     \
            CHECK(ended == SL_OK || ended == SL_ERROR_INVALID_HANDLE || ended == SL_ERROR_BUSY);   \
            CHECK(function(handle) == (ended == SL_ERROR_BUSY ? SL_ERROR_BUSY                      \
                                                              : SL_ERROR_INVALID_HANDLE));         \
        }                                                                                          \
    } while (0)

static int is_busy(SlStatus status) {
    return status == SL_ERROR_BUSY || status == SL_ERROR_INVALID_HANDLE;
}

/* Every call that drives, on what is being driven already. Not so inside what may run by itself. */
static void drive(Place place) {
    int32_t value = 7;
    SlDrainReport *report = NULL;
    int may_run = place == IN_LOG || place >= IN_DROP_OF_SIGNAL;
    if (!scene.is_full) {
        SlStatus status = easy_store_update(scene.store, 0);
        CHECK(may_run || status == SL_ERROR_BUSY);
        if (status == SL_ERROR_BUSY) {
            CHECK(is_busy(easy_store_drain(scene.store, 1, &report)));
            CHECK(is_busy(profile_wait_until_loaded(scene.profile, 1)));
            CHECK(is_busy(profile_wait_until_changes_saved(scene.profile, 1, &value)));
        }
        CHECK(value == 7 && report == NULL);
        return;
    }
    if (place == IN_SENT || place == IN_REPORT || place == IN_DROP_OF_SEND) {
        CHECK(may_run || remote_change_sender_update(scene.sender, 0) == SL_ERROR_BUSY);
    } else if (place >= IN_VALIDATE && place <= IN_GRANTED) {
        CHECK_STATUS(SL_ERROR_BUSY, product_purchaser_update(scene.purchaser, 0));
        CHECK(place == IN_GRANTED || locker_update(scene.locker, 0, &value) == SL_ERROR_BUSY);
    } else if (!may_run && scene.locker != NULL && place != IN_CREATE) {
        CHECK_STATUS(SL_ERROR_BUSY, locker_update(scene.locker, 0, &value));
        CHECK_STATUS(SL_ERROR_BUSY, locker_wait_until_changes_saved(scene.locker, 1, &value));
    }
    CHECK(value == 7 || value == 0 || value == 1);
}

static void drive_another(void) {
    SlProfile *profile = NULL;
    int32_t is_loaded = 0;
    OK(easy_store_start_session(another.store, Z("guest"), NULL, &profile));
    OK(profile_wait_until_loaded(profile, 1));
    OK(easy_store_update(another.store, 0));
    OK(profile_is_loaded(profile, &is_loaded));
    CHECK(is_loaded == 1);
    OK(profile_destroy(profile));
    OK(easy_store_update(another.store, 0));
}

/* The callback for `place` runs: does the deed, once. */
static void reached(Place place) {
    Deed deed = scene.deed;
    int all = deed == END_EVERYTHING;
    if (scene.done || place != scene.place) {
        return;
    }
    scene.done = 1;
    if (deed == DRIVE) {
        drive(place);
    }
    if (deed == DRIVE_ANOTHER) {
        drive_another();
    }
    if (all || deed == END_CONNECTION) {
        END(scene.connection, signal_connection_disconnect);
    }
    if (all || deed == END_WAIT) {
        END(scene.wait, saved_connection_destroy);
    }
    if (all || deed == END_PROFILE) {
        END(scene.profile, profile_destroy);
    }
    if (all || deed == END_LOCKER) {
        END(scene.locker, locker_destroy);
    }
    if (all || deed == END_SENDER) {
        END(scene.sender, remote_change_sender_destroy);
    }
    if (all || deed == END_PURCHASER) {
        END(scene.purchaser, product_purchaser_destroy);
    }
    if (all || deed == END_STORE) {
        END(scene.store, easy_store_destroy);
    }
    if (all || deed == END_SPEC) {
        END(scene.spec, locker_spec_destroy);
    }
    if (all || deed == END_MIGRATORS) {
        END(scene.migrators, migrators_destroy);
    }
    if (all || deed == END_STORAGE) {
        END(scene.storage, locker_storage_destroy);
    }
}

static void on_event(void *user_data, const SlEvent *event) {
    CHECK(user_data == &scene && event->kind > 0 && scene.config_drops == 0);
    reached(IN_EVENT);
}

static void on_signal(void *user_data, SlProfile *profile, const SlEvent *event) {
    (void)profile;
    CHECK(event->kind > 0 && ((Handed *)user_data)->drops == 0);
    ((Handed *)user_data)->heard++;
    reached(IN_SIGNAL);
}

static void on_loaded(void *user_data, SlProfile *profile) {
    (void)user_data;
    (void)profile;
    reached(IN_WHEN_LOADED);
}

static void on_answer(void *user_data, int32_t outcome) {
    (void)outcome;
    CHECK(((Handed *)user_data)->drops < ((Handed *)user_data)->accepted);
    ((Handed *)user_data)->heard++;
    reached(IN_ANSWER);
}

/* Writes, acts, and looks at what it was lent: that outlives what the host has destroyed. */
static SlStatus write_around(SlSaveData *data, Place place) {
    int64_t gold = 0;
    OK(save_data_add_i64(data, Z("/Gold"), 1, &gold));
    reached(place);
    return save_data_get_i64(data, Z("/Gold"), &gold);
}

static SlStatus on_save(void *user_data, SlProfile *profile) {
    (void)user_data;
    (void)profile;
    reached(IN_BEFORE_SAVE);
    return SL_OK;
}

static SlStatus on_locker_save(void *user_data, SlLocker *locker) {
    (void)user_data;
    (void)locker;
    reached(IN_BEFORE_SAVE);
    return SL_OK;
}

static SlStatus on_create(void *user_data, const char *key, size_t key_length, SlSaveData *data) {
    (void)user_data;
    CHECK(key_length > 0);
    OK(save_data_set_i64(data, Z("/Gold"), 0));
    /* A spec makes the default save data of a locker inside its creation. */
    if (!scene.is_full || scene.locker != NULL || key[0] == 's') {
        return write_around(data, IN_CREATE);
    }
    return SL_OK;
}

static SlStatus on_migrate(void *user_data, SlSaveData *data, double *version_patch) {
    (void)user_data;
    CHECK(*version_patch == 0);
    return write_around(data, IN_MIGRATE);
}

static SlStatus on_change(void *user_data, const char *key, size_t key_length, SlSaveData *data,
                          const char *change, size_t change_length) {
    SlStatus status = write_around(data, IN_REMOTE_CHANGE);
    CHECK(user_data == &scene && key_length == 6 && memcmp(key, "player", 6) == 0);
    CHECK(change_length > 0 && change[change_length - 1] == '}');
    return status;
}

/* Fails, so that there is an error to be told. */
static SlStatus on_merge(void *user_data, const char *key, size_t key_length, SlSaveData *offline,
                         SlSaveData *data) {
    int64_t gold = 0;
    (void)key;
    (void)key_length;
    CHECK(user_data == &scene);
    OK(write_around(data, IN_MERGE));
    OK(save_data_get_i64(offline, Z("/Gold"), &gold));
    return SL_ERROR_HOOK;
}

static SlStatus process(void *user_data, SlProductOp op, SlProductCall *call) {
    static const char id[] = "purchase";
    SlStatus status = SL_OK;
    CHECK(((Handed *)user_data)->drops == 0);
    switch (op) {
    case SL_PRODUCT_OP_VALIDATE: reached(IN_VALIDATE); break;
    case SL_PRODUCT_OP_APPLY: status = write_around(call->save_data, IN_APPLY); break;
    default: status = write_around(call->save_data, IN_RECORD);
    }
    CHECK(memcmp(call->receipt->purchase_id, id, sizeof id - 1) == 0);
    return status;
}

static void on_granted(void *user_data, int32_t is_granted) {
    CHECK(is_granted == 0 || is_granted == 1);
    ((Handed *)user_data)->heard++;
    reached(IN_GRANTED);
}

static void on_sent(void *user_data, uint64_t send_id, int32_t outcome) {
    CHECK(send_id > 0 && outcome > 0);
    ((Handed *)user_data)->heard++;
    reached(IN_SENT);
}

static void on_report(void *user_data, const SlErrorReport *report) {
    size_t length = report->message.length;
    char last = report->message.data[length - 1];
    (void)user_data;
    scene.errors++;
    reached(IN_REPORT);
    CHECK(report->message.data[length - 1] == last);
}

static void on_log(void *user_data, int32_t level, const char *message, size_t length) {
    char last = length > 0 ? message[length - 1] : 0;
    (void)user_data;
    (void)level;
    /* What happens before anything could be destroyed is left alone. */
    if (scene.profile != NULL || scene.locker != NULL) {
        reached(IN_LOG);
    }
    CHECK(length == 0 || message[length - 1] == last);
}

static void drop_signal(void *user_data) {
    ((Handed *)user_data)->drops++;
    reached(IN_DROP_OF_SIGNAL);
}

static void drop_wait(void *user_data) {
    ((Handed *)user_data)->drops++;
    reached(IN_DROP_OF_WAIT);
}

static void drop_purchase(void *user_data) {
    ((Handed *)user_data)->drops++;
    reached(IN_DROP_OF_PURCHASE);
}

static void drop_send(void *user_data) {
    ((Handed *)user_data)->drops++;
    reached(IN_DROP_OF_SEND);
}

static void drop_config(void *user_data) {
    CHECK(user_data == &scene);
    scene.config_drops++;
    reached(IN_DROP_OF_CONFIG);
}

static void drop_migrator(void *user_data) {
    CHECK(user_data == &scene);
    scene.migrator_drops++;
    reached(IN_DROP_OF_MIGRATORS);
}

static SlReceiptInfo receipt(void) {
    SlReceiptInfo receipt;
    OK(session_locker_receipt_info_init(&receipt, sizeof receipt));
    receipt.purchase_id = "purchase";
    receipt.product_id = 5;
    return receipt;
}

static void open_scene(Place place, Deed deed, int is_full) {
    SlMigratorBuilder *builder = NULL;
    memset(&scene, 0, sizeof scene);
    scene.place = place;
    scene.deed = deed;
    scene.is_full = is_full;
    OK(locker_storage_open(Z("memory:"), &scene.storage));
    store_under(scene.storage, "player",
                "{\"Version\":1,\"VersionPatch\":0,\"Gold\":5,\"RemoteChanges\":"
                "[{\"K\":\"gold\",\"I\":\"a:1\",\"A\":1700000000},{\"K\":\"gold\",\"I\":\"a:2\",\"A\":1700000000}]}");
    store_under(scene.storage, "corrupt", "no document");
    OK(migrator_builder_create(&builder));
    OK(migrator_builder_add_migrator_from(builder, 1, on_migrate, &scene, drop_migrator));
    OK(migrator_builder_build(builder, &scene.migrators));
    OK(migrator_builder_destroy(builder));
    OK(session_locker_set_log_callback(on_log, &scene, NULL));
    OK(session_locker_set_default_report_error(SL_REPORTER_LOCKERS, on_report, &scene, NULL));
    OK(session_locker_set_default_report_error(SL_REPORTER_SENDERS, on_report, &scene, NULL));
}

/* The end of a scene, of which nothing may be left. */
static void close_scene(void) {
    CHECK(scene.done);
    OK(session_locker_set_log_callback(NULL, NULL, NULL));
    OK(session_locker_set_default_report_error(SL_REPORTER_LOCKERS, NULL, NULL, NULL));
    OK(session_locker_set_default_report_error(SL_REPORTER_SENDERS, NULL, NULL, NULL));
    CHECK(scene.config_drops == 1 && scene.moment.drops == 1 && scene.migrator_drops == 1);
    CHECK(scene.signal.drops == scene.signal.accepted);
    CHECK(scene.waits.drops == scene.waits.accepted && scene.waits.heard <= scene.waits.accepted);
    CHECK(scene.purchase.drops == scene.purchase.accepted);
    CHECK(scene.purchase.heard == scene.purchase.accepted);
    CHECK(scene.send.drops == scene.send.accepted && scene.send.heard == scene.send.accepted);
    TRY(locker_storage_destroy(scene.storage));
}

#define ACCEPT(handed, call)                                                                       \
    do {                                                                                           \
        SlStatus accepted = call;                                                                  \
        CHECK(is_served_or_refused(accepted));                                                     \
        (handed).accepted += accepted == SL_OK;                                                    \
    } while (0)

static void a_store(Place place, Deed deed) {
    SlEasyStoreConfig config;
    SlClock clock;
    SlReceiptInfo bought = receipt();
    SlDrainReport *report = NULL;
    SlSaveData *data = NULL;
    size_t left = 7;
    int64_t gold;
    int step;
    open_scene(place, deed, 0);
    clock = clock_of(&scene.moment);
    OK(easy_store_config_init(&config, sizeof config));
    config.clock = &clock;
    config.seed = 1;
    config.save_data_version = 2;
    config.migrators = scene.migrators;
    config.create_save_data = on_create;
    config.process_remote_change = on_change;
    config.merge_offline_save_data = on_merge;
    config.event = place == IN_REPORT ? NULL : on_event;
    config.verbose_logs = 1;
    config.user_data = &scene;
    config.drop = drop_config;
    OK(easy_store_create(scene.storage, &config, &scene.store));
    OK(easy_store_start_session(scene.store, Z("player"), NULL, &scene.profile));
    ACCEPT(scene.signal, profile_connect(scene.profile, SL_SIGNAL_LIFECYCLE, on_signal, &scene.signal,
                                         drop_signal, &scene.connection));
    TRY(profile_when_loaded(scene.profile, on_loaded, NULL, NULL));
    TRY(profile_set_before_save(scene.profile, on_save, NULL, NULL));
    ACCEPT(scene.purchase,
           profile_call_when_product_is_processed_and_saved(scene.profile, process, &bought, on_granted,
                                                            &scene.purchase, drop_purchase));
    ACCEPT(scene.send, easy_store_send_remote_changes(scene.store, Z("sent"), Z("[{\"K\":\"k\"}]"), NULL, on_sent, &scene.send, drop_send, NULL));
    for (step = 0; step < 4; step++) {
        TRY(easy_store_update(scene.store, step));
        if (profile_get_save_data(scene.profile, &data) == SL_OK) {
            TRY(save_data_add_i64(data, Z("/Gold"), 1, &gold));
        }
        if (step == 1) {
            ACCEPT(scene.waits, profile_when_changes_saved(scene.profile, on_answer, &scene.waits,
                                                           drop_wait, &scene.wait));
        }
        TRY(profile_mark_force_save(scene.profile));
    }
    if (place == IN_DROP_OF_SIGNAL && !scene.done) {
        OK(signal_connection_disconnect(scene.connection));
    }
    if (place == IN_DROP_OF_MIGRATORS || place == IN_DROP_OF_CONFIG) {
        /* These drops come with the store's end. */
        OK(migrators_destroy(scene.migrators));
        scene.migrators = NULL;
        OK(easy_store_destroy(scene.store));
        scene.profile = NULL;
    } else {
        CHECK(scene.done);
        TRY(profile_destroy(scene.profile));
        if (easy_store_drain(scene.store, 60, &report) == SL_OK) {
            OK(drain_report_unsaved_count(report, &left));
            CHECK(left == 0 && scene.purchase.heard == scene.purchase.accepted);
            OK(drain_report_destroy(report));
        }
        TRY(easy_store_destroy(scene.store));
        TRY(migrators_destroy(scene.migrators));
    }
    CHECK_STATUS(SL_ERROR_INVALID_HANDLE, easy_store_update(scene.store, 9));
    if (scene.wait != NULL) {
        TRY(saved_connection_destroy(scene.wait));
    }
    close_scene();
}

/* Updates what is left of the full API. */
static void full_step(double now) {
    int32_t should_remove;
    TRY(product_purchaser_update(scene.purchaser, now));
    TRY(locker_update(scene.locker, now, &should_remove));
    TRY(product_purchaser_update(scene.purchaser, now));
    TRY(remote_change_sender_update(scene.sender, now));
}

static void open_full(void) {
    SlLockerSpecConfig config;
    SlRemoteChangeSenderConfig sender_config;
    SlClock clock = clock_of(&scene.moment);
    OK(locker_spec_config_init(&config, sizeof config));
    config.clock = &clock;
    config.seed = 1;
    config.save_data_version = 2;
    config.migrators = scene.migrators;
    config.create_save_data = on_create;
    config.process_remote_change = on_change;
    config.merge_offline_save_data = on_merge;
    config.before_save = on_locker_save;
    config.event = on_event;
    config.verbose_logs = 1;
    config.user_data = &scene;
    config.drop = drop_config;
    OK(locker_spec_create(scene.storage, &config, &scene.spec));
    OK(remote_change_sender_config_init(&sender_config, sizeof sender_config));
    sender_config.create_if_missing = 1;
    sender_config.report_error = on_report;
    OK(remote_change_sender_create(scene.spec, &sender_config, &scene.sender));
    OK(product_purchaser_create(&scene.purchaser));
    OK(locker_create(scene.spec, Z("player"), NULL, &scene.locker));
}

static void the_full_api(Place place, Deed deed) {
    SlReceiptInfo bought = receipt();
    SlSaveData *data = NULL;
    int64_t gold;
    int32_t should_remove = 0;
    int step;
    open_scene(place, deed, 1);
    open_full();
    TRY(locker_mark_should_acquire(scene.locker, 0));
    ACCEPT(scene.purchase,
           product_purchaser_call_when_product_is_processed_and_saved(
               scene.purchaser, scene.locker, process, &bought, on_granted, &scene.purchase, drop_purchase));
    ACCEPT(scene.send, remote_change_sender_send(scene.sender, Z("sent"), Z("[{\"K\":\"k\"}]"), NULL,
                                                 on_sent, &scene.send, drop_send, NULL));
    TRY(remote_change_sender_send(scene.sender, Z("corrupt"), Z("[{\"K\":\"k\"}]"), NULL, NULL, NULL,
                                  NULL, NULL));
    for (step = 0; step < 4; step++) {
        full_step(step);
        if (locker_get_save_data(scene.locker, &data) == SL_OK) {
            TRY(save_data_add_i64(data, Z("/Gold"), 1, &gold));
        }
        if (step == 1) {
            ACCEPT(scene.waits, locker_when_changes_saved(scene.locker, on_answer, &scene.waits, drop_wait,
                                                          &scene.wait));
        }
        TRY(locker_mark_force_save(scene.locker));
    }
    TRY(locker_mark_should_release(scene.locker, 0));
    full_step(5);
    TRY(locker_update(scene.locker, 6, &should_remove));
    TRY(locker_destroy(scene.locker));
    TRY(product_purchaser_destroy(scene.purchaser));
    TRY(remote_change_sender_destroy(scene.sender));
    TRY(locker_spec_destroy(scene.spec));
    if (scene.wait != NULL) {
        TRY(saved_connection_destroy(scene.wait));
    }
    if (scene.migrators != NULL) {
        scene.done = scene.done || place == IN_DROP_OF_MIGRATORS;
        TRY(migrators_destroy(scene.migrators));
    }
    close_scene();
}

/* Places that only one of the two has. */
static int is_only_in_a_store(int place) {
    return place == IN_SIGNAL || place == IN_WHEN_LOADED || place == IN_DROP_OF_SIGNAL;
}

int main(void) {
    int place, deed;
    server_open(&another, "memory:", 0, 9);
    for (place = 0; place < PLACES; place++) {
        for (deed = 0; deed < DEEDS; deed++) {
            int failed = checks_failed;
            a_store((Place)place, (Deed)deed);
            if (checks_failed > failed) {
                fprintf(stderr, "that was deed %d in place %d of a store\n", deed, place);
            }
            failed = checks_failed;
            if (!is_only_in_a_store(place)) {
                the_full_api((Place)place, (Deed)deed);
            }
            if (checks_failed > failed) {
                fprintf(stderr, "that was deed %d in place %d of the full API\n", deed, place);
            }
        }
    }
    server_close(&another);
    return finish("hostile");
}
