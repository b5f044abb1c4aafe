/* The original's faults in purchases and credit, and what is right here: 10, 16, 17, 21, 22 and 29;
 * and what the end of a session or a store does with purchases that are open. Each test of a fault is
 * named after it. */
#include "faults.h"

/* A shop that sells five gold at a time, and hands it to the recipient if there is one. */
typedef struct Shop {
    SlProfile *buyer, *recipient;
    int failures; /* so many times it fails to apply */
    int applied;
    char order[8]; /* the first letters of what was applied */
    int answers, granted;
    int finished;
} Shop;

static SlStatus sell(void *user_data, int32_t op, SlProductCall *call) {
    Shop *shop = (Shop *)user_data;
    int64_t gold;
    switch (op) {
    case SL_PRODUCT_OP_VALIDATE: call->recipient_profile = shop->recipient; return SL_OK;
    case SL_PRODUCT_OP_APPLY:
        shop->order[shop->applied++ % 7] = call->receipt->purchase_id[0];
        OK(save_data_add_i64(call->save_data, Z("/Gold"), 5, &gold));
        if (shop->failures > 0) {
            shop->failures--;
            session_locker_set_hook_error(Z("out-of-gold"));
            return SL_ERROR_HOOK;
        }
        return SL_OK;
    default: return SL_OK;
    }
}

static void on_answer(void *user_data, int32_t is_granted) {
    Shop *shop = (Shop *)user_data;
    CHECK(shop->finished == 0);
    shop->answers++;
    shop->granted += is_granted;
}

static Shop shop_for(SlProfile *buyer, SlProfile *recipient) {
    Shop shop;
    memset(&shop, 0, sizeof shop);
    shop.buyer = buyer;
    shop.recipient = recipient;
    return shop;
}

static void ask(Shop *shop, const char *purchase_id) {
    SlReceiptInfo receipt;
    OK(session_locker_receipt_info_init(&receipt, sizeof receipt));
    receipt.purchase_id = purchase_id;
    receipt.product_id = 5;
    OK(profile_call_when_product_is_processed_and_saved(shop->buyer, sell, &receipt, on_answer,
                                                        shop, NULL));
}

static void frames(Server *server, int count) {
    while (count-- > 0) {
        frame(server, 0);
    }
}

static void close_faulty(Server *server) {
    OK(easy_store_close(server->store));
    frames(server, 3);
    server_close(server);
}

static void count_signal(void *user_data, SlProfile *profile, const SlEvent *event) {
    (void)profile, (void)event;
    ++*(int *)user_data;
}

static void fault_10_credit_that_is_refused_is_silent_and_credit_that_is_given_is_stored(void) {
    FaultyHost host = faulty_host();
    Server server;
    SlProfile *profile;
    Answer answer;
    int64_t credit = 7;
    int32_t did_use = 7;
    int changes = 0, commits;

    faulty_server_open(&server, &host, 0, 1);
    profile = loaded(&server, "player");
    on_signal(profile, SL_SIGNAL_PRODUCT_CREDIT_CHANGED, count_signal, &changes);
    commits = host.requests[COMMIT];
    OK(profile_product_credit_use(profile, 5, 1, &did_use));
    CHECK(did_use == 0);
    CHECK_STATUS(SL_ERROR_OUT_OF_RANGE, profile_product_credit_use(profile, 5, -9, &did_use));
    CHECK_STATUS(SL_ERROR_OUT_OF_RANGE, profile_product_credit_give(profile, 5, -9));
    frames(&server, 2);
    OK(profile_product_credit_query(profile, 5, &credit));
    CHECK(credit == 0 && changes == 0 && host.requests[COMMIT] == commits);

    OK(profile_product_credit_give(profile, 5, 3));
    fail_next(&host, COMMIT, HOLD_ANSWER, 1);
    wait_for_changes(profile, &answer);
    save_now(&server, profile);
    CHECK(changes == 1 && answer.count == 0);
    faulty_answer(&host);
    frame(&server, 0);
    CHECK(answered(&answer, SL_OUTCOME_SAVED));
    CHECK(faulty_has(&host, "player", "\"ProductCredit\":[[5,3]]"));
    close_faulty(&server);
}

static void fault_16_a_purchase_during_the_release_is_answered_before_the_end(int polls) {
    FaultyHost host = faulty_host();
    Server server;
    Shop shop;
    size_t length;

    faulty_server_open(&server, &host, polls, 1);
    shop = shop_for(loaded(&server, "player"), NULL);
    on_signal(shop.buyer, SL_SIGNAL_FINISHED, count_signal, &shop.finished);
    fail_next(&host, COMMIT, HOLD_ANSWER, 1);
    OK(profile_end_session(shop.buyer));
    frame(&server, 0);
    ask(&shop, "a");
    frame(&server, 3);
    CHECK(shop.answers == 0 && shop.finished == 0);
    faulty_answer(&host);
    frames(&server, 2);
    CHECK(shop.answers == 1 && shop.granted == 0 && shop.applied == 0);
    CHECK(shop.finished == 1 && faulty_has(&host, "player", "\"Gold\":0"));
    /* The purchase, noted as ?, is told before the last thing that the profile says. */
    length = strlen(server.log.text);
    CHECK(length > 19 && strcmp(server.log.text + length - 19, "? deleted finished ") == 0);
    close_faulty(&server);
}

static void fault_17_a_product_that_fails_is_undone_and_tried_again_after_the_cooldown(void) {
    FaultyHost host = faulty_host();
    Server server;
    Shop shop;

    faulty_server_open(&server, &host, 0, 1);
    shop = shop_for(loaded(&server, "player"), NULL);
    shop.failures = 2;
    ask(&shop, "a");
    frame(&server, 0);
    pass(&server, 9, 1);
    CHECK(shop.applied == 1 && shop.answers == 0 && gold_of(shop.buyer) == 0);
    CHECK(strstr(server.last_text, "apply failed: out-of-gold") != NULL);
    pass(&server, 10, 1);
    CHECK(shop.applied == 2 && shop.answers == 0 && gold_of(shop.buyer) == 0);
    pass(&server, 10, 1);
    CHECK(shop.applied == 3 && shop.granted == 1 && gold_of(shop.buyer) == 5);
    CHECK(faulty_has(&host, "player", "\"Gold\":5"));
    close_faulty(&server);
}

/* The server dies at one of a gift's three saves: the mark, the gift, and the mark's end. What it then
 * writes does not arrive, or arrives but is not answered. */
static void fault_21_a_crash_during_a_gift_gives_it_once(int saves, Fault last) {
    FaultyHost host = faulty_host();
    Server server, after;
    Shop shop, shop_after;
    int is_given = saves + (last == HOLD_ANSWER) >= 2;

    faulty_server_open(&server, &host, 0, 1);
    shop = shop_for(loaded(&server, "ann"), NULL);
    shop.recipient = loaded(&server, "ben");
    fail_after(&host, COMMIT, saves, last);
    ask(&shop, "a");
    frames(&server, 5);
    CHECK(shop.answers == 0 && faulty_has(&host, "ben", "\"Gold\":5") == is_given);
    fail_next(&host, COMMIT, NO_FAULT, 0);

    /* Another server, once the locks have expired, is asked for the same receipt. */
    faulty_server_open(&after, &host, 0, 2);
    after.moment.seconds = 100000;
    shop_after = shop_for(loaded(&after, "ann"), NULL);
    shop_after.recipient = loaded(&after, "ben");
    ask(&shop_after, "a");
    frames(&after, 5);
    CHECK(shop_after.answers == 1 && shop_after.granted == 1);
    CHECK(shop_after.applied == !is_given);
    CHECK(gold_of(shop_after.recipient) == 5 && gold_of(shop_after.buyer) == 0);
    CHECK(faulty_has(&host, "ben", "\"Gold\":5"));
    /* And once more: it is granted, and nothing happens. */
    ask(&shop_after, "a");
    frames(&after, 5);
    CHECK(shop_after.granted == 2 && gold_of(shop_after.recipient) == 5);
    close_faulty(&after);
    server_close(&server);
}

static void fault_22_a_purchase_during_the_save_of_another_is_answered(void) {
    FaultyHost host = faulty_host();
    Server server;
    Shop shop;

    faulty_server_open(&server, &host, 0, 1);
    shop = shop_for(loaded(&server, "player"), NULL);
    fail_next(&host, COMMIT, HOLD_ANSWER, 1);
    ask(&shop, "a");
    frame(&server, 0);
    ask(&shop, "b");
    frame(&server, 0);
    CHECK(shop.answers == 0);
    faulty_answer(&host);
    frames(&server, 2);
    CHECK(shop.answers == 2 && shop.granted == 2);
    CHECK(faulty_has(&host, "player", "\"Gold\":10"));
    close_faulty(&server);
}

static void fault_29_purchases_are_applied_in_the_order_they_were_asked_for(void) {
    FaultyHost host = faulty_host();
    Server server;
    Shop shop;

    faulty_server_open(&server, &host, 0, 1);
    shop = shop_for(loaded(&server, "player"), NULL);
    ask(&shop, "a");
    ask(&shop, "b");
    ask(&shop, "c");
    ask(&shop, "d");
    frame(&server, 0);
    CHECK(strcmp(shop.order, "abcd") == 0 && shop.granted == 4);
    close_faulty(&server);
}

static FaultyHost *late_host;

static void sleep_until_answered(void *user_data, double seconds) {
    moment_sleep(user_data, seconds);
    faulty_answer(late_host);
}

/* After so many of a gift's saves, the next is answered only while the store is drained. */
static void a_drain_answers_a_purchase_and_a_gift_that_are_open(int saves, int is_given) {
    FaultyHost host = faulty_host();
    Server server;
    SlClock clock;
    SlEasyStoreConfig config = faulty_config(&server, &host, &clock, 0, 1);
    Shop own, gift;
    int32_t is_closed = 7;

    late_host = &host;
    clock.sleep = sleep_until_answered;
    OK(easy_store_create(server.storage, &config, &server.store));
    own = shop_for(loaded(&server, "ann"), NULL);
    gift = shop_for(own.buyer, loaded(&server, "ben"));
    on_signal(own.buyer, SL_SIGNAL_FINISHED, count_signal, &own.finished);
    on_signal(own.buyer, SL_SIGNAL_FINISHED, count_signal, &gift.finished);
    fail_after(&host, COMMIT, saves, HOLD_ANSWER);
    ask(&gift, "g");
    frames(&server, 5);
    ask(&own, "a");
    frame(&server, 0);
    CHECK(own.applied == 1 && own.answers == 0 && gift.answers == 0);
    fail_next(&host, COMMIT, NO_FAULT, 0);
    OK(easy_store_drain(server.store, 100, NULL));
    OK(easy_store_is_closed(server.store, &is_closed));
    CHECK(is_closed == 1 && own.finished == 1);
    CHECK(own.answers == 1 && own.granted == 1 && faulty_has(&host, "ann", "\"Gold\":5"));
    CHECK(gift.answers == 1 && gift.granted == is_given);
    CHECK(faulty_has(&host, "ben", "\"Gold\":5") == is_given);
    server_close(&server);
}

int main(void) {
    int saves;
    fault_10_credit_that_is_refused_is_silent_and_credit_that_is_given_is_stored();
    fault_16_a_purchase_during_the_release_is_answered_before_the_end(0);
    fault_16_a_purchase_during_the_release_is_answered_before_the_end(1);
    fault_17_a_product_that_fails_is_undone_and_tried_again_after_the_cooldown();
    for (saves = 0; saves < 3; saves++) {
        fault_21_a_crash_during_a_gift_gives_it_once(saves, FAIL_BEFORE);
        fault_21_a_crash_during_a_gift_gives_it_once(saves, HOLD_ANSWER);
    }
    fault_22_a_purchase_during_the_save_of_another_is_answered();
    fault_29_purchases_are_applied_in_the_order_they_were_asked_for();
    a_drain_answers_a_purchase_and_a_gift_that_are_open(0, 0);
    a_drain_answers_a_purchase_and_a_gift_that_are_open(1, 1);
    return finish("faults_purchases");
}
