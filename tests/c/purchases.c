/* Purchases: of profiles and of lockers, gifts, credit in their place, and what is run by hand. */
#include "locker_world.h"

/* A shop that sells as much gold as the product's number says. */
typedef struct Shop {
    SlProfile *profile, *recipient;
    SlLocker *locker, *recipient_locker;
    SlStatus on_validate, on_apply, on_record;
    int validated, applied, recorded;
    int answers, granted, drops;
} Shop;

static SlStatus process(void *user_data, int32_t op, SlProductCall *call) {
    Shop *shop = (Shop *)user_data;
    const SlReceiptInfo *receipt = call->receipt;
    int64_t gold;
    CHECK(call->struct_size == sizeof *call && call->reserved == 0);
    CHECK(receipt->struct_size == sizeof *receipt && receipt->reserved == 0);
    CHECK(call->profile == shop->profile && call->locker == shop->locker);
    CHECK(receipt->user_id_length == 2 && memcmp(receipt->user_id, "17", 2) == 0);
    switch (op) {
    case SL_PRODUCT_OP_VALIDATE:
        shop->validated++;
        CHECK(call->save_data == NULL);
        CHECK(call->recipient_locker == NULL && call->recipient_profile == NULL);
        call->recipient_profile = shop->recipient;
        call->recipient_locker = shop->recipient_locker;
        return shop->on_validate;
    case SL_PRODUCT_OP_APPLY:
        shop->applied++;
        OK(save_data_add_i64(call->save_data, Z("/Gold"), receipt->product_id, &gold));
        if (shop->on_apply == SL_ERROR_HOOK) {
            session_locker_set_hook_error(Z("out of gold"));
        }
        return shop->on_apply;
    case SL_PRODUCT_OP_RECORD:
        shop->recorded++;
        OK(save_data_set_i64(call->save_data, Z("/Spent"), receipt->currency_spent));
        return shop->on_record;
    default: CHECK(!"an unknown op"); return SL_ERROR_HOOK;
    }
}

static void on_answer(void *user_data, int32_t is_granted) {
    Shop *shop = (Shop *)user_data;
    CHECK(is_granted == 0 || is_granted == 1);
    shop->answers++;
    shop->granted += is_granted;
}

static void on_drop(void *user_data) { ((Shop *)user_data)->drops++; }

static Shop shop_for(SlProfile *profile, SlLocker *locker) {
    Shop shop;
    memset(&shop, 0, sizeof shop);
    shop.profile = profile;
    shop.locker = locker;
    return shop;
}

static SlReceiptInfo receipt_of(const char *purchase_id, int64_t gold) {
    SlReceiptInfo receipt;
    OK(session_locker_receipt_info_init(&receipt, sizeof receipt));
    receipt.purchase_id = purchase_id;
    receipt.product_id = gold;
    receipt.user_id = "17";
    receipt.currency_spent = 99;
    return receipt;
}

static void ask(Shop *shop, const char *purchase_id) {
    SlReceiptInfo receipt = receipt_of(purchase_id, 5);
    OK(profile_call_when_product_is_processed_and_saved(shop->profile, process, &receipt, on_answer,
                                                        shop, on_drop));
}

static void a_purchase_is_granted_once_it_is_stored_and_again_without_being_applied(void) {
    Server server;
    Shop shop;

    server_open(&server, "memory:", 0, 1);
    shop = shop_for(loaded(&server, "player"), NULL);
    ask(&shop, "a");
    CHECK(shop.answers == 0 && shop.drops == 0);
    OK(easy_store_update(server.store, server.moment.seconds));
    CHECK(shop.answers == 1 && shop.granted == 1 && shop.drops == 1);
    CHECK(shop.validated == 1 && shop.applied == 1 && shop.recorded == 1);
    CHECK(stored_has(server.storage, "player", "\"Purchases\":[[5,\"a\",1700000000]]"));
    CHECK(stored_has(server.storage, "player", "\"Gold\":5"));
    CHECK(stored_has(server.storage, "player", "\"Spent\":99"));
    ask(&shop, "a");
    frame(&server, 1);
    CHECK(shop.granted == 2 && shop.applied == 1 && shop.drops == 2);
    OK(profile_destroy(shop.profile));
    frame(&server, 0);
    server_close(&server);
}

static void a_host_that_polls_gets_the_answer_as_an_event(void) {
    Server server;
    SlEvent events[4];
    SlReceiptInfo receipt = receipt_of("a", 5);
    Shop shop;
    size_t count = 0;

    server_open(&server, "memory:", 1, 1);
    shop = shop_for(loaded(&server, "player"), NULL);
    OK(profile_call_when_product_is_processed_and_saved(shop.profile, process, &receipt, NULL,
                                                        &shop, on_drop));
    OK(easy_store_update(server.store, server.moment.seconds));
    CHECK(shop.answers == 0 && shop.drops == 1);
    OK(easy_store_poll_event(server.store, events, 4, &count));
    CHECK(count == 2 && events[0].lifecycle == SL_LIFECYCLE_SAVED);
    CHECK(events[1].kind == SL_EVENT_PURCHASE && events[1].profile == shop.profile);
    CHECK(events[1].product_id == 5 && events[1].outcome == SL_OUTCOME_SAVED);
    CHECK(events[1].text.length == 1 && events[1].text.data[0] == 'a');
    OK(profile_destroy(shop.profile));
    frame(&server, 0);
    server_close(&server);
}

static void what_is_not_applicable_becomes_credit_and_what_fails_is_tried_again(void) {
    Server server;
    Shop shop;
    int64_t credit = 0;

    server_open(&server, "memory:", 0, 1);
    shop = shop_for(loaded(&server, "player"), NULL);
    shop.on_validate = SL_ERROR_NOT_APPLICABLE;
    ask(&shop, "a");
    frame(&server, 0);
    shop.on_validate = SL_OK;
    shop.on_apply = SL_ERROR_NOT_APPLICABLE;
    ask(&shop, "b");
    frame(&server, 0);
    OK(profile_product_credit_query(shop.profile, 5, &credit));
    CHECK(credit == 2 && shop.granted == 2);
    CHECK(json_is(data_of(shop.profile), "/Gold", "0"));

    shop.on_apply = SL_ERROR_HOOK;
    shop.on_record = SL_ERROR_HOOK;
    ask(&shop, "c");
    frame(&server, 0);
    frame(&server, 9);
    CHECK(shop.applied == 2 && shop.answers == 2);
    CHECK(strcmp(server.last_text, "purchase c of product 5: apply failed: out of gold") == 0);
    CHECK(json_is(data_of(shop.profile), "/Gold", "0"));
    shop.on_apply = SL_OK;
    frame(&server, 1);
    CHECK(shop.granted == 3 && json_is(data_of(shop.profile), "/Gold", "5"));
    CHECK(json_is(data_of(shop.profile), "/Spent", "99"));
    OK(profile_destroy(shop.profile));
    frame(&server, 0);
    server_close(&server);
}

static void what_validate_cannot_tell_now_is_answered_with_no_and_asked_for_again(void) {
    Server server;
    Shop shop;
    int64_t credit = 7;

    server_open(&server, "memory:", 0, 1);
    shop = shop_for(loaded(&server, "ann"), NULL);
    shop.on_validate = SL_ERROR_NOT_ACTIVE;
    ask(&shop, "a");
    frame(&server, 0);
    CHECK(shop.answers == 1 && shop.granted == 0 && shop.applied == 0 && shop.recorded == 0);
    CHECK(strstr(server.log.text, "error") == NULL);
    OK(profile_product_credit_query(shop.profile, 5, &credit));
    CHECK(credit == 0);
    CHECK(json_is(data_of(shop.profile), "/Purchases", "[]"));

    shop.on_validate = SL_OK;
    ask(&shop, "a");
    frame(&server, 0);
    frame(&server, 0);
    CHECK(shop.answers == 2 && shop.granted == 1 && shop.applied == 1 && shop.drops == 2);
    server_close(&server);
}

static void a_gift_goes_to_the_profile_that_validate_names(void) {
    Server server;
    Shop shop;

    server_open(&server, "memory:", 0, 1);
    shop = shop_for(loaded(&server, "ann"), NULL);
    shop.recipient = loaded(&server, "ben");
    ask(&shop, "a");
    frame(&server, 0);
    frame(&server, 0);
    frame(&server, 0);
    CHECK(shop.granted == 1 && shop.applied == 1 && shop.drops == 1);
    CHECK(json_is(data_of(shop.profile), "/Gold", "0"));
    CHECK(json_is(data_of(shop.recipient), "/Gold", "5"));
    CHECK(stored_has(server.storage, "ben", "\"Gifts\":[[\"a\",1700000000,5,\"ann\"]]"));
    CHECK(stored_has(server.storage, "ann", "\"Purchases\":[[5,\"a\",1700000000]]"));
    /* A handle that names nobody is a failure of validate. */
    OK(profile_destroy(shop.recipient));
    frame(&server, 0);
    ask(&shop, "b");
    frame(&server, 0);
    CHECK(shop.answers == 1 && strstr(server.last_text, "SlProfile, got one that was freed"));
    OK(easy_store_close(server.store));
    frame(&server, 0);
    CHECK(shop.answers == 2 && shop.granted == 1 && shop.drops == 2);
    server_close(&server);
}

/* Also while the host still has the profile, or the locker. */
static void a_gift_to_somebody_who_has_left_is_answered_with_no(void) {
    Server server;
    Full full;
    SlProductPurchaser *purchaser = NULL;
    SlReceiptInfo receipt = receipt_of("a", 5);
    Shop shop;
    int32_t is_finished = 0;

    server_open(&server, "memory:", 0, 1);
    shop = shop_for(loaded(&server, "ann"), NULL);
    shop.recipient = loaded(&server, "ben");
    OK(profile_end_session(shop.recipient));
    frame(&server, 0);
    frame(&server, 0);
    OK(profile_is_finished(shop.recipient, &is_finished));
    CHECK(is_finished == 1);
    ask(&shop, "a");
    frame(&server, 0);
    CHECK(shop.answers == 1 && shop.granted == 0 && shop.validated == 1 && shop.drops == 1);
    CHECK(json_is(data_of(shop.profile), "/Purchases", "[]"));
    server_close(&server);

    full_open(&full, "memory:", 0, 1);
    OK(product_purchaser_create(&purchaser));
    shop = shop_for(NULL, acquired(&full, "ann"));
    shop.recipient_locker = locker_of(&full, "ben");
    locker_step(&full, shop.recipient_locker, 0);
    OK(locker_mark_deleted(shop.recipient_locker));
    OK(product_purchaser_call_when_product_is_processed_and_saved(
        purchaser, shop.locker, process, &receipt, on_answer, &shop, on_drop));
    OK(product_purchaser_update(purchaser, 0));
    CHECK(shop.answers == 1 && shop.granted == 0 && shop.validated == 1 && shop.drops == 1);
    OK(product_purchaser_destroy(purchaser));
    OK(locker_destroy(shop.recipient_locker));
    released(&full, shop.locker);
    full_close(&full);
}

static void what_cannot_be_a_purchase_is_refused_and_stays_the_hosts(void) {
    Server server;
    SlReceiptInfo receipt = receipt_of("a", 5);
    Shop shop;
    int32_t was_granted = 7;
    char long_id[258];

    server_open(&server, "memory:", 0, 1);
    shop = shop_for(loaded(&server, "player"), NULL);
#define ASK(receipt)                                                                               \
    profile_call_when_product_is_processed_and_saved(shop.profile, process, receipt, on_answer,    \
                                                     &shop, on_drop)
    CHECK_STATUS(SL_ERROR_INVALID_ARGUMENT, ASK(NULL));
    CHECK_STATUS(SL_ERROR_INVALID_ARGUMENT,
                 profile_call_when_product_is_processed_and_saved(shop.profile, NULL, &receipt,
                                                                  on_answer, &shop, on_drop));
    receipt.purchase_id = NULL;
    CHECK_STATUS(SL_ERROR_INVALID_ARGUMENT, ASK(&receipt));
    receipt.purchase_id = "";
    CHECK_STATUS(SL_ERROR_INVALID_ARGUMENT, ASK(&receipt));
    CHECK(last_error_says("the purchase id is 0 bytes long"));
    memset(long_id, 'x', sizeof long_id);
    receipt.purchase_id = long_id;
    receipt.purchase_id_length = 257;
    CHECK_STATUS(SL_ERROR_INVALID_ARGUMENT, ASK(&receipt));
    receipt.purchase_id_length = 1;
    receipt.user_id = "\xff";
    CHECK_STATUS(SL_ERROR_INVALID_UTF8, ASK(&receipt));
    receipt.user_id = NULL;
    receipt.user_id_length = 5;
    CHECK_STATUS(SL_ERROR_INVALID_ARGUMENT, ASK(&receipt));
    CHECK(last_error_says("receipt.user_id"));
    receipt = receipt_of("a", 5);
    receipt.reserved = 1;
    CHECK_STATUS(SL_ERROR_INVALID_ARGUMENT, ASK(&receipt));
    receipt.reserved = 0;
    receipt.struct_size = 7;
    CHECK_STATUS(SL_ERROR_INVALID_ARGUMENT, ASK(&receipt));
    receipt = receipt_of("a", 5);
    CHECK_STATUS(SL_ERROR_OUT_OF_RANGE,
                 profile_wait_until_product_is_processed_and_saved(
                     shop.profile, process, &receipt, &shop, on_drop, -1, &was_granted));
    CHECK(shop.drops == 0 && was_granted == 7);
    OK(profile_wait_until_product_is_processed_and_saved(shop.profile, process, &receipt, &shop,
                                                         on_drop, 1, &was_granted));
    CHECK(was_granted == 1 && shop.drops == 1);
    /* A failing one is not answered in time; it goes on, until the session ends. */
    shop.on_apply = SL_ERROR_HOOK;
    receipt = receipt_of("b", 5);
    CHECK_STATUS(SL_ERROR_TIMEOUT,
                 profile_wait_until_product_is_processed_and_saved(
                     shop.profile, process, &receipt, &shop, on_drop, 1, &was_granted));
    CHECK(shop.drops == 1);
    OK(easy_store_close(server.store));
    frame(&server, 0);
    CHECK(shop.drops == 2);
    server_close(&server);
}

static void a_lockers_purchases_are_a_purchasers(int polls) {
    Full full;
    SlProductPurchaser *purchaser = NULL;
    SlReceiptInfo receipt = receipt_of("a", 5);
    SlEvent event;
    Shop shop;
    size_t count = 0;
    int32_t value = 7;

    full_open(&full, "memory:", polls, 1);
    OK(product_purchaser_create(&purchaser));
    shop = shop_for(NULL, acquired(&full, "ann"));
    OK(product_purchaser_call_when_product_is_processed_and_saved(
        purchaser, shop.locker, process, &receipt, on_answer, &shop, on_drop));
    OK(product_purchaser_has_incomplete_purchases(purchaser, &value));
    CHECK(value == 1);
    OK(product_purchaser_update(purchaser, 0));
    CHECK(shop.applied == 1 && shop.answers == 0);
    OK(locker_update(shop.locker, 0, &value));
    OK(product_purchaser_update(purchaser, 0));
    CHECK(shop.granted == 1 && shop.drops == 1);
    OK(product_purchaser_has_incomplete_purchases(purchaser, &value));
    CHECK(value == 0);
    OK(locker_update(shop.locker, 0, &value));
    if (polls) {
        OK(locker_poll_event(shop.locker, &event, 1, &count));
        OK(locker_poll_event(shop.locker, &event, 1, &count));
        CHECK(count == 1 && event.kind == SL_EVENT_PURCHASE && event.outcome == 1);
        CHECK(event.product_id == 5 && strcmp(event.text.data, "a") == 0);
    }
    shop.recipient_locker = acquired(&full, "ben");
    receipt = receipt_of("gift", 5);
    OK(product_purchaser_wait_until_product_is_processed_and_saved(
        purchaser, shop.locker, process, &receipt, &shop, on_drop, 5, &value));
    CHECK(value == 1 && shop.drops == 2);
    CHECK(json_is(data_in(shop.recipient_locker), "/Gold", "5"));

    /* What is left at the end is answered with no, once. */
    receipt = receipt_of("last", 5);
    shop.on_validate = SL_ERROR_HOOK;
    OK(product_purchaser_call_when_product_is_processed_and_saved(
        purchaser, shop.locker, process, &receipt, on_answer, &shop, on_drop));
    OK(product_purchaser_update(purchaser, 1));
    OK(product_purchaser_destroy(purchaser));
    CHECK(shop.answers == 2 && shop.granted == 1 && shop.drops == 3);
    released(&full, shop.recipient_locker);
    released(&full, shop.locker);
    full_close(&full);
}

static void a_process_run_by_hand_gives_products_for_credit(void) {
    Server server;
    SlPendingProductPurchase *pending = NULL, *of_receipt = NULL;
    SlReceiptInfo receipt = receipt_of("a", 5);
    Shop shop;
    int64_t credit = 7;
    int32_t value = 7;

    server_open(&server, "memory:", 0, 1);
    shop = shop_for(loaded(&server, "player"), NULL);
    OK(pending_product_purchase_from_ids(process, 5, T("17"), &shop, on_drop, &pending));
    OK(pending_product_purchase_from_receipt(process, &receipt, &shop, on_drop, &of_receipt));
    CHECK_STATUS(SL_ERROR_INVALID_ARGUMENT,
                 pending_product_purchase_from_ids(NULL, 5, T("17"), &shop, on_drop, &pending));
    CHECK_STATUS(SL_ERROR_INVALID_ARGUMENT,
                 pending_product_purchase_apply(pending, NULL, NULL, &value));
    CHECK(shop.drops == 0);

    OK(pending_product_purchase_validate(pending, NULL, shop.profile, &value));
    CHECK(value == 1);
    shop.on_validate = SL_ERROR_NOT_APPLICABLE;
    OK(pending_product_purchase_validate(pending, NULL, shop.profile, &value));
    CHECK(value == 0);
    shop.on_validate = SL_ERROR_HOOK;
    CHECK_STATUS(SL_ERROR_HOOK,
                 pending_product_purchase_validate(pending, NULL, shop.profile, &value));
    shop.on_validate = SL_OK;
    OK(pending_product_purchase_apply(of_receipt, NULL, shop.profile, &value));
    CHECK(value == 1 && json_is(data_of(shop.profile), "/Gold", "5"));

    OK(pending_product_purchase_use_credit(pending, NULL, shop.profile, &value));
    CHECK(value == 0);
    OK(profile_product_credit_give(shop.profile, 5, 1));
    shop.on_apply = SL_ERROR_HOOK;
    CHECK_STATUS(SL_ERROR_HOOK,
                 pending_product_purchase_use_credit(pending, NULL, shop.profile, &value));
    CHECK(last_error_says("out of gold"));
    shop.recipient = loaded(&server, "ben");
    CHECK_STATUS(SL_ERROR_UNSUPPORTED,
                 pending_product_purchase_use_credit(pending, NULL, shop.profile, &value));
    shop.recipient = NULL;
    shop.on_apply = SL_OK;
    OK(pending_product_purchase_use_credit(pending, NULL, shop.profile, &value));
    OK(profile_product_credit_query(shop.profile, 5, &credit));
    CHECK(value == 1 && credit == 0 && json_is(data_of(shop.profile), "/Gold", "10"));
    CHECK(json_is(data_of(shop.profile), "/Purchases", "[]"));

    OK(pending_product_purchase_destroy(pending));
    OK(pending_product_purchase_destroy(of_receipt));
    CHECK(shop.drops == 2 && shop.recorded == 0);
    OK(profile_end_session(shop.profile));
    frame(&server, 0);
    CHECK_STATUS(SL_ERROR_INVALID_HANDLE,
                 pending_product_purchase_apply(pending, NULL, shop.profile, &value));
    OK(easy_store_close(server.store));
    frame(&server, 0);
    server_close(&server);
}

/* What a process does besides. */
static SlStatus process_that_meddles(void *user_data, int32_t op, SlProductCall *call) {
    Server *server = (Server *)user_data;
    int32_t value = 7;
    (void)op;
    CHECK_STATUS(SL_ERROR_BUSY, easy_store_update(server->store, 9));
    CHECK_STATUS(SL_ERROR_BUSY, profile_wait_until_loaded(call->profile, 0));
    OK(profile_is_available(call->profile, &value));
    return SL_OK;
}

static void nobody_drives_the_store_from_inside_a_process_function(void) {
    Server server;
    SlReceiptInfo receipt = receipt_of("a", 5);
    SlProfile *profile;

    server_open(&server, "memory:", 0, 1);
    profile = loaded(&server, "player");
    OK(profile_call_when_product_is_processed_and_saved(profile, process_that_meddles, &receipt,
                                                        NULL, &server, NULL));
    frame(&server, 0);
    CHECK(stored_has(server.storage, "player", "[[5,\"a\""));
    OK(profile_destroy(profile));
    frame(&server, 0);
    server_close(&server);
}

/* Waits inside a callback of a purchaser, for the same purchaser. */
typedef struct Waiter {
    SlProductPurchaser *purchaser;
    SlLocker *locker;
    int calls;
} Waiter;

static SlStatus process_nothing(void *user_data, int32_t op, SlProductCall *call) {
    (void)user_data, (void)op, (void)call;
    return SL_OK;
}

static void wait_inside(Waiter *waiter) {
    SlReceiptInfo receipt = receipt_of("inner", 5);
    int32_t was_granted = 7;
    waiter->calls++;
    CHECK_STATUS(SL_ERROR_BUSY,
                 product_purchaser_wait_until_product_is_processed_and_saved(
                     waiter->purchaser, waiter->locker, process_nothing, &receipt, NULL, NULL, 1,
                     &was_granted));
    CHECK(was_granted == 7);
}

static void answer_that_waits(void *user_data, int32_t is_granted) {
    CHECK(is_granted == 1);
    wait_inside((Waiter *)user_data);
}

static SlStatus process_that_waits(void *user_data, int32_t op, SlProductCall *call) {
    (void)op, (void)call;
    wait_inside((Waiter *)user_data);
    return SL_OK;
}

static void a_wait_inside_the_purchasers_own_callbacks_is_refused(void) {
    Full full, other;
    Waiter waiter;
    SlReceiptInfo receipt = receipt_of("a", 5);
    SlLocker *locker;
    int32_t value = 7;

    full_open(&full, "memory:", 0, 1);
    full_open(&other, "memory:", 0, 2);
    memset(&waiter, 0, sizeof waiter);
    OK(product_purchaser_create(&waiter.purchaser));
    waiter.locker = locker = acquired(&full, "ann");
    OK(product_purchaser_call_when_product_is_processed_and_saved(
        waiter.purchaser, locker, process_nothing, &receipt, answer_that_waits, &waiter, NULL));
    OK(product_purchaser_update(waiter.purchaser, 0));
    OK(locker_update(locker, 0, &value));
    OK(product_purchaser_update(waiter.purchaser, 0));
    CHECK(waiter.calls == 1);

    waiter.locker = acquired(&other, "ben");
    receipt = receipt_of("b", 5);
    OK(product_purchaser_call_when_product_is_processed_and_saved(
        waiter.purchaser, locker, process_that_waits, &receipt, NULL, &waiter, NULL));
    OK(product_purchaser_update(waiter.purchaser, 0));
    CHECK(waiter.calls == 4);
    OK(product_purchaser_destroy(waiter.purchaser));
    released(&full, locker);
    released(&other, waiter.locker);
    full_close(&full);
    full_close(&other);
}

/* Writes where it only should have looked, and answers as its user data says. */
static SlStatus process_that_writes_early(void *user_data, int32_t op, SlProductCall *call) {
    int64_t gold;
    if (op == SL_PRODUCT_OP_VALIDATE) {
        SlSaveData *data = data_of(call->profile);
        CHECK_STATUS(SL_ERROR_BUSY, save_data_add_i64(data, Z("/Gold"), 5, &gold));
        OK(save_data_get_i64(data, Z("/Gold"), &gold));
    }
    return *(SlStatus *)user_data;
}

static SlStatus process_of_nobody(void *user_data, int32_t op, SlProductCall *call) {
    (void)op;
    CHECK(call->receipt->user_id_length == 0);
    ++*(int *)user_data;
    return SL_OK;
}

static void a_user_id_that_is_NULL_stands_for_nobody(void) {
    SlPendingProductPurchase *pending = NULL;
    SlReceiptInfo receipt = receipt_of("a", 5);
    int32_t is_applicable = 0;
    int calls = 0;
    OK(pending_product_purchase_from_ids(process_of_nobody, 5, NULL, SL_NUL_TERMINATED, &calls,
                                         NULL, &pending));
    OK(pending_product_purchase_validate(pending, NULL, NULL, &is_applicable));
    OK(pending_product_purchase_destroy(pending));
    OK(pending_product_purchase_from_ids(process_of_nobody, 5, NULL, 0, &calls, NULL, &pending));
    OK(pending_product_purchase_validate(pending, NULL, NULL, &is_applicable));
    OK(pending_product_purchase_destroy(pending));
    receipt.user_id = NULL;
    OK(pending_product_purchase_from_receipt(process_of_nobody, &receipt, &calls, NULL, &pending));
    OK(pending_product_purchase_validate(pending, NULL, NULL, &is_applicable));
    OK(pending_product_purchase_destroy(pending));
    CHECK(calls == 3 && is_applicable == 1);
    CHECK_STATUS(SL_ERROR_INVALID_ARGUMENT,
                 pending_product_purchase_from_ids(process_of_nobody, 5, NULL, 5, &calls, NULL,
                                                   &pending));
}

static void validate_cannot_write_whatever_it_answers(void) {
    static SlStatus statuses[] = {SL_OK, SL_ERROR_NOT_APPLICABLE, SL_ERROR_HOOK};
    static const char *const purchase_ids[] = {"a", "b", "c"};
    Server server;
    SlPendingProductPurchase *pending = NULL;
    SlProfile *profile;
    int32_t value = 7;
    int index;

    server_open(&server, "memory:", 0, 1);
    profile = loaded(&server, "player");
    for (index = 0; index < 3; index++) {
        SlReceiptInfo receipt = receipt_of(purchase_ids[index], 5);
        OK(profile_call_when_product_is_processed_and_saved(
            profile, process_that_writes_early, &receipt, NULL, &statuses[index], NULL));
        frame(&server, 0);
        CHECK(json_is(data_of(profile), "/Gold", "0"));
    }
    OK(pending_product_purchase_from_ids(process_that_writes_early, 5, T("17"), &statuses[0], NULL,
                                         &pending));
    OK(pending_product_purchase_validate(pending, NULL, profile, &value));
    CHECK(value == 1 && json_is(data_of(profile), "/Gold", "0"));
    /* Afterwards the data can be written as before. */
    OK(save_data_set_i64(data_of(profile), Z("/Gold"), 1));
    OK(pending_product_purchase_destroy(pending));
    OK(easy_store_close(server.store));
    frame(&server, 0);
    server_close(&server);
}

int main(void) {
    a_purchase_is_granted_once_it_is_stored_and_again_without_being_applied();
    a_host_that_polls_gets_the_answer_as_an_event();
    what_is_not_applicable_becomes_credit_and_what_fails_is_tried_again();
    what_validate_cannot_tell_now_is_answered_with_no_and_asked_for_again();
    a_gift_goes_to_the_profile_that_validate_names();
    a_gift_to_somebody_who_has_left_is_answered_with_no();
    what_cannot_be_a_purchase_is_refused_and_stays_the_hosts();
    a_lockers_purchases_are_a_purchasers(0);
    a_lockers_purchases_are_a_purchasers(1);
    a_process_run_by_hand_gives_products_for_credit();
    nobody_drives_the_store_from_inside_a_process_function();
    a_wait_inside_the_purchasers_own_callbacks_is_refused();
    validate_cannot_write_whatever_it_answers();
    a_user_id_that_is_NULL_stands_for_nobody();
    return finish("purchases");
}
