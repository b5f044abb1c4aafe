/* Purchases that are too large, too many, or not text: each is refused by name, or answered once. */
#include "locker_world.h"

/* What `docs/protocol.md` says: unanswered purchases of one locker, and those looked at in one update. */
enum { UNANSWERED_MAX = 65536, LOOKED_AT_MAX = 1024, MEGABYTE = 1 << 20 };

typedef struct Shop {
    int applied;
    int answers;
    int granted;
    int drops;
} Shop;

static SlStatus sell(void *user_data, SlProductOp op, SlProductCall *call) {
    int64_t gold;
    if (op == SL_PRODUCT_OP_APPLY) {
        ((Shop *)user_data)->applied++;
        return save_data_add_i64(call->save_data, Z("/Gold"), 1, &gold);
    }
    return SL_OK;
}

static void on_answer(void *user_data, int32_t is_granted) {
    ((Shop *)user_data)->answers++;
    ((Shop *)user_data)->granted += is_granted;
}

static void on_drop(void *user_data) { ((Shop *)user_data)->drops++; }

static SlReceiptInfo receipt_of(const char *purchase_id) {
    SlReceiptInfo receipt;
    OK(session_locker_receipt_info_init(&receipt, sizeof receipt));
    receipt.purchase_id = purchase_id;
    receipt.product_id = 5;
    return receipt;
}

static SlStatus ask(SlProfile *profile, const SlReceiptInfo *receipt, Shop *shop) {
    return profile_call_when_product_is_processed_and_saved(profile, sell, receipt, on_answer, shop,
                                                            on_drop);
}

static int64_t gold_of(SlProfile *profile) {
    int64_t gold = -1;
    OK(save_data_get_i64(data_of(profile), Z("/Gold"), &gold));
    return gold;
}

static void ids_that_cannot_be_are_refused_by_name(void) {
    Shop shop = {0, 0, 0, 0};
    Server server;
    SlProfile *profile;
    SlReceiptInfo receipt;
    char *huge = (char *)malloc(MEGABYTE);
    memset(huge, 'x', MEGABYTE);
    server_open(&server, "memory:", 0, 1);
    profile = loaded(&server, "player");

    receipt = receipt_of(huge);
    receipt.purchase_id_length = MEGABYTE;
    CHECK_STATUS(SL_ERROR_INVALID_ARGUMENT, ask(profile, &receipt, &shop));
    CHECK(last_error_says("the purchase id is 1048576 bytes long"));
    receipt.purchase_id_length = 257;
    CHECK_STATUS(SL_ERROR_INVALID_ARGUMENT, ask(profile, &receipt, &shop));
    receipt.purchase_id_length = 0;
    CHECK_STATUS(SL_ERROR_INVALID_ARGUMENT, ask(profile, &receipt, &shop));
    receipt.purchase_id_length = SIZE_MAX / 2 + 1;
    CHECK_STATUS(SL_ERROR_INVALID_ARGUMENT, ask(profile, &receipt, &shop));
    CHECK(last_error_says("receipt.purchase_id"));
    receipt = receipt_of("\xff\xfe");
    CHECK_STATUS(SL_ERROR_INVALID_UTF8, ask(profile, &receipt, &shop));
    CHECK(last_error_says("receipt.purchase_id"));
    receipt = receipt_of("a");
    receipt.user_id = "\xc3";
    CHECK_STATUS(SL_ERROR_INVALID_UTF8, ask(profile, &receipt, &shop));
    CHECK(last_error_says("receipt.user_id"));
    receipt.user_id_length = SIZE_MAX / 2 + 1;
    CHECK_STATUS(SL_ERROR_INVALID_ARGUMENT, ask(profile, &receipt, &shop));
    receipt.user_id = huge;
    receipt.user_id_length = MEGABYTE;
    CHECK_STATUS(SL_ERROR_INVALID_ARGUMENT, ask(profile, &receipt, &shop));
    CHECK(last_error_says("the user id of the receipt is 1048576 bytes long"));
    receipt = receipt_of("a");
    receipt.struct_size = 3;
    CHECK_STATUS(SL_ERROR_INVALID_ARGUMENT, ask(profile, &receipt, &shop));
    frame(&server, 0);
    CHECK(shop.applied == 0 && shop.answers == 0 && shop.drops == 0);

    /* The longest that is allowed. */
    receipt = receipt_of(huge);
    receipt.purchase_id_length = 256;
    receipt.user_id = huge;
    receipt.user_id_length = 128;
    OK(ask(profile, &receipt, &shop));
    frame(&server, 0);
    CHECK(shop.granted == 1 && shop.drops == 1 && gold_of(profile) == 1);
    server_close(&server);
    free(huge);
}

static void ten_thousand_purchases_at_once_are_answered_once_and_spread_over_updates(void) {
    enum { PURCHASES = 10000 };
    Shop shop = {0, 0, 0, 0}, other_shop = {0, 0, 0, 0};
    Server server;
    SlProfile *profile, *other;
    SlReceiptInfo receipt = receipt_of(NULL);
    char id[16];
    int at, before, frames = 0, all_small = 1, accepted = 0;
    server_open(&server, "memory:", 0, 1);
    profile = loaded(&server, "player");
    other = loaded(&server, "other");
    for (at = 0; at < PURCHASES; at++) {
        sprintf(id, "%d", at);
        receipt.purchase_id = id;
        accepted += ask(profile, &receipt, &shop) == SL_OK;
    }
    CHECK(accepted == PURCHASES);
    OK(ask(other, &receipt, &other_shop));
    do {
        before = shop.applied;
        frame(&server, 0);
        all_small = all_small && shop.applied - before <= LOOKED_AT_MAX;
        /* Whoever has one purchase does not wait for all of them. */
        CHECK(frames < 2 || other_shop.granted == 1);
    } while (shop.answers < PURCHASES && ++frames < 100);
    CHECK(all_small && shop.applied == PURCHASES && shop.granted == PURCHASES);
    CHECK(shop.drops == PURCHASES && gold_of(profile) == PURCHASES);
    CHECK(strcmp(server.last_text, "9999") == 0);

    /* That many must be kept for a week; one more waits until then, and says so. */
    receipt.purchase_id = "one more";
    OK(ask(profile, &receipt, &shop));
    frame(&server, 0);
    CHECK(strstr(server.last_text, "the purchase history is full") != NULL);
    CHECK(shop.answers == PURCHASES);
    frame(&server, 8 * 86400);
    for (at = 0; at < 5; at++) {
        frame(&server, 60);
    }
    CHECK(shop.granted == PURCHASES + 1 && gold_of(profile) == PURCHASES + 1);
    server_close(&server);
}

static void of_a_million_purchases_those_that_were_accepted_are_answered_once(void) {
    Shop shop = {0, 0, 0, 0}, other_shop = {0, 0, 0, 0};
    Server server;
    SlProfile *profile = NULL, *other = NULL;
    SlReceiptInfo receipt = receipt_of("a");
    int at, accepted = 0, refused = 0;
    int32_t was_granted = 7;
    server_open(&server, "memory:", 0, 1);
    OK(easy_store_start_session(server.store, Z("player"), NULL, &profile));
    OK(easy_store_start_session(server.store, Z("other"), NULL, &other));
    for (at = 0; at < 1000000; at++) {
        SlStatus status = ask(profile, &receipt, &shop);
        accepted += status == SL_OK;
        refused += status == SL_ERROR_LIMIT;
    }
    CHECK(accepted == UNANSWERED_MAX && accepted + refused == 1000000);
    CHECK(last_error_says("65536"));
    CHECK_STATUS(SL_ERROR_LIMIT, profile_wait_until_product_is_processed_and_saved(
                                     profile, sell, &receipt, &shop, on_drop, 1, &was_granted));
    CHECK(shop.drops == 0 && was_granted == 7);
    /* It is a limit of each locker. */
    OK(ask(other, &receipt, &other_shop));
    for (at = 0; at < 100 && shop.answers < accepted; at++) {
        frame(&server, 0);
    }
    CHECK(shop.granted == accepted && shop.drops == accepted && shop.applied == 1);
    CHECK(other_shop.granted == 1);
    OK(ask(profile, &receipt, &shop));
    frame(&server, 0);
    CHECK(shop.granted == accepted + 1 && gold_of(profile) == 1);
    server_close(&server);
}

static void purchases_that_nobody_can_process_end_with_the_session(void) {
    Shop shop = {0, 0, 0, 0};
    Server server;
    SlProfile *profile = NULL;
    SlReceiptInfo receipt = receipt_of("a");
    int at;
    server_open(&server, "memory:", 0, 1);
    store_under(server.storage, "player", OWNED_BY_ANOTHER);
    OK(easy_store_start_session(server.store, Z("player"), NULL, &profile));
    for (at = 0; at < UNANSWERED_MAX; at++) {
        if (ask(profile, &receipt, &shop) != SL_OK) {
            break;
        }
    }
    frame(&server, 0);
    CHECK(at == UNANSWERED_MAX && shop.answers == 0);
    OK(profile_destroy(profile));
    for (at = 0; at < 100 && shop.answers < UNANSWERED_MAX; at++) {
        frame(&server, 1);
    }
    CHECK(shop.answers == UNANSWERED_MAX && shop.drops == UNANSWERED_MAX && shop.granted == 0);
    server_close(&server);
}

static void a_host_that_reads_no_events_is_refused_purchases(void) {
    Shop shop = {0, 0, 0, 0};
    Server server;
    SlProfile *profile, *nothing = NULL;
    SlReceiptInfo receipt = receipt_of("a");
    SlStatus status = SL_OK;
    SlEvent event;
    size_t count = 0;
    int accepted = 0, frames = 0;
    server_open(&server, "memory:", 1, 1);
    profile = loaded(&server, "player");
    /* What was granted before is granted at once, and each time there is an event of it. */
    for (frames = 0; frames < 1000 && status == SL_OK; frames++) {
        int at;
        for (at = 0; at < 500 && status == SL_OK; at++) {
            status = ask(profile, &receipt, &shop);
            accepted += status == SL_OK;
        }
        OK(easy_store_update(server.store, 0));
    }
    CHECK(status == SL_ERROR_LIMIT && last_error_says("events are unread"));
    CHECK(accepted >= 65536 && accepted < 65536 + 1000);
    OK(easy_store_update(server.store, 0));
    CHECK(shop.granted == accepted && shop.drops == accepted && shop.applied == 1);
    CHECK_STATUS(SL_ERROR_LIMIT, easy_store_start_session(server.store, Z("other"), NULL, &nothing));
    do {
        OK(easy_store_poll_event(server.store, &event, 1, &count));
        accepted -= count == 1 && event.kind == SL_EVENT_PURCHASE;
    } while (count > 0);
    CHECK(accepted == 0);
    OK(ask(profile, &receipt, &shop));
    server_close(&server);
}

static void a_spec_whose_events_nobody_reads_is_refused_purchases(void) {
    Shop shop = {0, 0, 0, 0};
    Full full;
    SlProductPurchaser *purchaser = NULL;
    SlLocker *locker;
    SlReceiptInfo receipt = receipt_of("a");
    SlStatus status = SL_OK;
    int32_t should_remove = 0;
    int accepted = 0, frames, at;
    full_open(&full, "memory:", 1, 1);
    locker = acquired(&full, "player");
    OK(product_purchaser_create(&purchaser));
#define ASK                                                                                        \
    product_purchaser_call_when_product_is_processed_and_saved(purchaser, locker, sell, &receipt,  \
                                                               on_answer, &shop, on_drop)
    for (frames = 0; frames < 1000 && status == SL_OK; frames++) {
        for (at = 0; at < 500 && status == SL_OK; at++) {
            status = ASK;
            accepted += status == SL_OK;
        }
        OK(product_purchaser_update(purchaser, frames));
        OK(locker_update(locker, frames, &should_remove));
    }
    CHECK(status == SL_ERROR_LIMIT && last_error_says("events are unread"));
    CHECK(accepted >= 65536 && accepted < 65536 + 1500);
    OK(product_purchaser_update(purchaser, 1000));
    CHECK(shop.granted == accepted && shop.drops == accepted && shop.applied == 1);
    full.moment.seconds = 1000;
    CHECK(locker_step(&full, locker, 0) == 0);
    OK(ASK);
#undef ASK
    OK(product_purchaser_update(purchaser, 1001));
    CHECK(shop.granted == accepted + 1);
    released(&full, locker);
    OK(product_purchaser_destroy(purchaser));
    full_close(&full);
}

int main(void) {
    ids_that_cannot_be_are_refused_by_name();
    ten_thousand_purchases_at_once_are_answered_once_and_spread_over_updates();
    of_a_million_purchases_those_that_were_accepted_are_answered_once();
    purchases_that_nobody_can_process_end_with_the_session();
    a_host_that_reads_no_events_is_refused_purchases();
    a_spec_whose_events_nobody_reads_is_refused_purchases();
    return finish("limits_purchases");
}
