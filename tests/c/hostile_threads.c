/* Two threads that do everything to one store, or to one spec with its purchaser and sender, at once: what
 * was accepted is in the storage at the end, once, and the books balance. */
#include "locker_world.h"
#include "patience.h"

#include <pthread.h>

enum { THREADS = 2, ROUNDS = 40 };

/* What both threads count, in callbacks too. */
typedef struct Books {
    pthread_mutex_t lock;
    double now;
    int asked, answered, granted, drops;
    int sends, sent, send_drops;
    int given, used;
    int failures;
} Books;

static Books books;

static void count(int *what, int by) {
    pthread_mutex_lock(&books.lock);
    *what += by;
    pthread_mutex_unlock(&books.lock);
}

/* A time that goes on with every update, whichever thread it is. */
static double next_moment(void) {
    double now;
    pthread_mutex_lock(&books.lock);
    now = books.now += 0.001;
    pthread_mutex_unlock(&books.lock);
    return now;
}

#define EXPECT(condition)                                                                          \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "%s:%d: %s does not hold\n", __FILE__, __LINE__, #condition);          \
            count(&books.failures, 1);                                                             \
        }                                                                                          \
    } while (0)

/* Adds to the save data; somebody else's hook may own it for a moment. */
static void add(SlSaveData *data, const char *pointer) {
    int64_t value;
    SlStatus status;
    do {
        status = save_data_add_i64(data, Z(pointer), 1, &value);
    } while (status == SL_ERROR_BUSY && has_patience());
    EXPECT(status == SL_OK);
}

static SlStatus process(void *user_data, SlProductOp op, SlProductCall *call) {
    int64_t value;
    (void)user_data;
    return op == SL_PRODUCT_OP_APPLY ? save_data_add_i64(call->save_data, Z("/Bought"), 1, &value) : SL_OK;
}

static void on_granted(void *user_data, int32_t is_granted) {
    (void)user_data;
    count(&books.answered, 1);
    count(&books.granted, is_granted);
}

static void on_purchase_drop(void *user_data) {
    (void)user_data;
    count(&books.drops, 1);
}

static void on_sent(void *user_data, uint64_t send_id, int32_t outcome) {
    (void)user_data;
    (void)send_id;
    EXPECT(outcome == SL_SEND_SENT);
    count(&books.sent, 1);
}

static void on_send_drop(void *user_data) {
    (void)user_data;
    count(&books.send_drops, 1);
}

static SlStatus on_change(void *user_data, const char *key, size_t key_length, SlSaveData *data,
                          const char *change, size_t change_length) {
    int64_t value;
    (void)user_data;
    (void)key;
    (void)key_length;
    (void)change;
    (void)change_length;
    return save_data_add_i64(data, Z("/Presents"), 1, &value);
}

static void on_event(void *user_data, const SlEvent *event) {
    (void)user_data;
    EXPECT(event->kind > 0);
}

static const char template_json[] = "{\"Earned\":0,\"Bought\":0,\"Presents\":0}";

static void open_books(void) {
    memset(&books, 0, sizeof books);
    CHECK(pthread_mutex_init(&books.lock, NULL) == 0);
}

/* What a store's thread works with. */
typedef struct Worker {
    Server *server;
    SlProfile *shared;
    int number;
} Worker;

static void update(SlEasyStore *store) {
    SlStatus status = easy_store_update(store, next_moment());
    EXPECT(status == SL_OK || status == SL_ERROR_BUSY);
}

static void ask(SlProfile *profile, int number, int round) {
    char id[32];
    SlReceiptInfo receipt;
    SlStatus status = session_locker_receipt_info_init(&receipt, sizeof receipt);
    sprintf(id, "%d/%d", number, round);
    receipt.purchase_id = id;
    receipt.product_id = 5;
    EXPECT(status == SL_OK);
    EXPECT(profile_call_when_product_is_processed_and_saved(profile, process, &receipt, on_granted, NULL,
                                                            on_purchase_drop) == SL_OK);
    count(&books.asked, 1);
}

static void use_credit(SlProfile *profile, int round) {
    int32_t was_used = 0;
    SlStatus status;
    do {
        status = round % 2 == 0 ? profile_product_credit_give(profile, 9, 2)
                                : profile_product_credit_use(profile, 9, 1, &was_used);
    } while (status == SL_ERROR_BUSY && has_patience());
    EXPECT(status == SL_OK);
    count(round % 2 == 0 ? &books.given : &books.used, round % 2 == 0 ? 2 : was_used);
}

static void *work(void *argument) {
    Worker *worker = (Worker *)argument;
    SlEasyStore *store = worker->server->store;
    char own[32], others[32];
    int round;
    sprintf(own, "player/%d", worker->number);
    sprintf(others, "player/%d", (worker->number + 1) % THREADS);
    for (round = 0; round < ROUNDS; round++) {
        SlProfile *profile = NULL;
        SlSaveData *data = NULL;
        int32_t is_loaded = 0;
        EXPECT(easy_store_start_session(store, Z(own), NULL, &profile) == SL_OK);
        while (!is_loaded && has_patience()) {
            update(store);
            EXPECT(profile_is_loaded(profile, &is_loaded) == SL_OK);
        }
        EXPECT(is_loaded == 1);
        EXPECT(profile_get_save_data(profile, &data) == SL_OK);
        add(data, "/Earned");
        EXPECT(profile_get_save_data(worker->shared, &data) == SL_OK);
        add(data, "/Earned");
        ask(profile, worker->number, round);
        ask(worker->shared, worker->number + THREADS, round);
        use_credit(worker->shared, round);
        EXPECT(profile_mark_force_save(worker->shared) == SL_OK);
        EXPECT(easy_store_send_remote_changes(store, Z(others), Z("[{\"K\":\"gift\"}]"), NULL, on_sent,
                                              NULL, on_send_drop, NULL) == SL_OK);
        count(&books.sends, 1);
        update(store);
        EXPECT(profile_destroy(profile) == SL_OK);
    }
    return NULL;
}

static void run_threads(void *(*run)(void *), Worker *workers, Server *server, SlProfile *shared) {
    pthread_t threads[THREADS];
    int index;
    for (index = 0; index < THREADS; index++) {
        workers[index].server = server;
        workers[index].shared = shared;
        workers[index].number = index;
        CHECK(pthread_create(&threads[index], NULL, run, &workers[index]) == 0);
    }
    for (index = 0; index < THREADS; index++) {
        CHECK(pthread_join(threads[index], NULL) == 0);
    }
}

static SlEasyStore *store_of(Server *server, uint64_t seed) {
    SlEasyStore *store = NULL;
    SlClock clock;
    SlEasyStoreConfig config = server_config(server, &clock, seed);
    config.template_json = template_json;
    config.event = on_event;
    config.process_remote_change = on_change;
    OK(easy_store_create(server->storage, &config, &store));
    return store;
}

static int64_t number_in(SlSaveData *data, const char *pointer) {
    int64_t value = -1;
    OK(save_data_get_i64(data, Z(pointer), &value));
    return value;
}

static void threads_that_share_a_store_lose_nothing(void) {
    Server server, later;
    Worker workers[THREADS];
    SlProfile *shared, *own;
    SlDrainReport *report = NULL;
    size_t left = 7;
    int64_t gifts = 0, credit = 0;
    int index, round;
    open_books();
    memset(&server, 0, sizeof server);
    OK(locker_storage_open(Z("memory:"), &server.storage));
    server.store = store_of(&server, 1);
    shared = loaded(&server, "shared");
    run_threads(work, workers, &server, shared);
    OK(easy_store_drain(server.store, 3600, &report));
    OK(drain_report_unsaved_count(report, &left));
    CHECK(left == 0);
    OK(drain_report_unsent_count(report, &left));
    CHECK(left == 0);
    OK(drain_report_destroy(report));
    CHECK(books.failures == 0);
    CHECK(books.asked == 2 * THREADS * ROUNDS);
    CHECK(books.answered == books.asked && books.drops == books.asked);
    CHECK(books.sends == THREADS * ROUNDS && books.sent == books.sends && books.send_drops == books.sends);

    /* Another server finds it all, and grants again what was paid for, without giving it twice. */
    memset(&later, 0, sizeof later);
    later.moment = server.moment;
    later.storage = server.storage;
    later.store = store_of(&later, 2);
    books.asked = books.answered = books.granted = books.drops = 0;
    shared = loaded(&later, "shared");
    CHECK(number_in(data_of(shared), "/Earned") == THREADS * ROUNDS);
    OK(profile_product_credit_query(shared, 9, &credit));
    CHECK(credit == books.given - books.used);
    for (index = 0; index < THREADS; index++) {
        char key[32];
        sprintf(key, "player/%d", index);
        own = loaded(&later, key);
        CHECK(number_in(data_of(own), "/Earned") == ROUNDS);
        gifts += number_in(data_of(own), "/Presents");
        for (round = 0; round < ROUNDS; round++) {
            ask(own, index, round);
            ask(shared, index + THREADS, round);
        }
        while (books.answered < books.asked && has_patience()) {
            frame(&later, 0);
        }
        CHECK(number_in(data_of(own), "/Bought") == ROUNDS);
        OK(profile_destroy(own));
    }
    CHECK(gifts == books.sends);
    CHECK(number_in(data_of(shared), "/Bought") == THREADS * ROUNDS);
    CHECK(books.granted == books.asked && books.drops == books.asked && books.failures == 0);
    OK(profile_destroy(shared));
    frame(&later, 0);
    OK(easy_store_destroy(later.store));
    server_close(&server);
    CHECK(pthread_mutex_destroy(&books.lock) == 0);
}

/* The same with the parts of the full API: both threads update all of them. */
typedef struct Parts {
    Full full;
    SlLocker *lockers[THREADS];
    SlProductPurchaser *purchaser;
    SlRemoteChangeSender *sender;
} Parts;

static Parts parts;

static void update_parts(void) {
    SlStatus status;
    int32_t should_remove;
    int index;
    for (index = 0; index < THREADS; index++) {
        status = locker_update(parts.lockers[index], next_moment(), &should_remove);
        EXPECT(status == SL_OK || status == SL_ERROR_BUSY);
    }
    status = product_purchaser_update(parts.purchaser, next_moment());
    EXPECT(status == SL_OK || status == SL_ERROR_BUSY);
    status = remote_change_sender_update(parts.sender, next_moment());
    EXPECT(status == SL_OK || status == SL_ERROR_BUSY);
}

static void *work_on_parts(void *argument) {
    int number = ((Worker *)argument)->number, round, index;
    for (round = 0; round < ROUNDS; round++) {
        for (index = 0; index < THREADS; index++) {
            SlLocker *locker = parts.lockers[index];
            SlSaveData *data = NULL;
            SlReceiptInfo receipt;
            char id[32], key[32];
            EXPECT(locker_get_save_data(locker, &data) == SL_OK);
            add(data, "/Earned");
            EXPECT(locker_mark_should_save(locker) == SL_OK);
            sprintf(id, "%d/%d", number, round);
            EXPECT(session_locker_receipt_info_init(&receipt, sizeof receipt) == SL_OK);
            receipt.purchase_id = id;
            EXPECT(product_purchaser_call_when_product_is_processed_and_saved(
                       parts.purchaser, locker, process, &receipt, on_granted, NULL, on_purchase_drop) ==
                   SL_OK);
            count(&books.asked, 1);
            sprintf(key, "player/%d", index);
            EXPECT(remote_change_sender_send(parts.sender, Z(key), Z("[{\"K\":\"gift\"}]"), NULL, on_sent,
                                             NULL, on_send_drop, NULL) == SL_OK);
            count(&books.sends, 1);
            update_parts();
        }
    }
    return NULL;
}

static void threads_that_share_a_spec_a_purchaser_and_a_sender_lose_nothing(void) {
    SlLockerSpecConfig config;
    SlRemoteChangeSenderConfig sender_config;
    SlClock clock;
    Worker workers[THREADS];
    int64_t gifts = 0;
    int32_t is_left = 1;
    int index, tries = 0;
    open_books();
    memset(&parts, 0, sizeof parts);
    OK(locker_storage_open(Z("memory:"), &parts.full.storage));
    config = spec_config(&parts.full, &clock, 1);
    config.template_json = template_json;
    config.event = on_event;
    config.process_remote_change = on_change;
    OK(locker_spec_create(parts.full.storage, &config, &parts.full.spec));
    OK(remote_change_sender_config_init(&sender_config, sizeof sender_config));
    OK(remote_change_sender_create(parts.full.spec, &sender_config, &parts.sender));
    OK(product_purchaser_create(&parts.purchaser));
    for (index = 0; index < THREADS; index++) {
        char key[32];
        sprintf(key, "player/%d", index);
        parts.lockers[index] = acquired(&parts.full, key);
    }
    run_threads(work_on_parts, workers, NULL, NULL);
    CHECK(books.failures == 0);
    /* Saves are what tells an owner of what was sent. */
    for (tries = 0; tries < 1000 && (books.answered < books.asked || is_left || books.sent < books.sends);
         tries++) {
        books.now += 3;
        update_parts();
        OK(product_purchaser_has_incomplete_purchases(parts.purchaser, &is_left));
    }
    for (tries = 0; tries < 10; tries++) {
        for (index = 0; index < THREADS; index++) {
            OK(locker_mark_force_save(parts.lockers[index]));
        }
        books.now += 3;
        update_parts();
    }
    CHECK(books.asked == THREADS * THREADS * ROUNDS && books.sends == THREADS * THREADS * ROUNDS);
    CHECK(books.granted == books.asked && books.answered == books.asked && books.drops == books.asked);
    CHECK(books.sent == books.sends && books.send_drops == books.sends && books.failures == 0);
    for (index = 0; index < THREADS; index++) {
        SlSaveData *data = data_in(parts.lockers[index]);
        CHECK(number_in(data, "/Earned") == THREADS * ROUNDS);
        CHECK(number_in(data, "/Bought") == THREADS * ROUNDS);
        gifts += number_in(data, "/Presents");
        parts.full.moment.seconds = books.now;
        released(&parts.full, parts.lockers[index]);
    }
    CHECK(gifts == books.sends);
    OK(product_purchaser_destroy(parts.purchaser));
    OK(remote_change_sender_destroy(parts.sender));
    full_close(&parts.full);
    CHECK(pthread_mutex_destroy(&books.lock) == 0);
}

int main(void) {
    begin_patience();
    threads_that_share_a_store_lose_nothing();
    threads_that_share_a_spec_a_purchaser_and_a_sender_lose_nothing();
    return finish("hostile_threads");
}
