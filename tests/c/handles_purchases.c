/* The functions of purchases refuse wrong handles, whatever they are, and change nothing. */
#include "locker_world.h"
#include "wrong_handles.h"

static SlStatus process_nothing(void *user_data, int32_t op, SlProductCall *call) {
    (void)user_data;
    (void)op;
    (void)call;
    CHECK(!"a purchase that was refused is processed");
    return SL_OK;
}

static void answer_nothing(void *user_data, int32_t is_granted) {
    (void)user_data;
    (void)is_granted;
    CHECK(!"a purchase that was refused is answered");
}

static void drop_nothing(void *user_data) {
    (void)user_data;
    CHECK(!"a user data that was refused is dropped");
}

int main(void) {
    Full full;
    Server server;
    SlProductPurchaser *live = NULL, *stale = NULL;
    SlPendingProductPurchase *pending = NULL, *stale_pending = NULL;
    SlLocker *locker, *stale_locker;
    SlProfile *profile, *stale_profile;
    SlReceiptInfo receipt;
    int32_t value = 7;

    full_open(&full, "memory:", 0, 1);
    server_open(&server, "memory:", 0, 2);
    locker = acquired(&full, "live");
    stale_locker = acquired(&full, "stale");
    released(&full, stale_locker);
    profile = loaded(&server, "live");
    stale_profile = loaded(&server, "stale");
    OK(profile_destroy(stale_profile));
    frame(&server, 0);
    OK(session_locker_receipt_info_init(&receipt, sizeof receipt));
    receipt.purchase_id = "a";
    OK(product_purchaser_create(&live));
    OK(product_purchaser_create(&stale));
    OK(product_purchaser_destroy(stale));
    CHECK_STATUS(SL_ERROR_INVALID_ARGUMENT, product_purchaser_create(NULL));

    prepare(stale, live, locker);
    REFUSED(SlProductPurchaser, product_purchaser_update(handle, 1));
    REFUSED(SlProductPurchaser, product_purchaser_has_incomplete_purchases(handle, &value));
    REFUSED(SlProductPurchaser,
            product_purchaser_call_when_product_is_processed_and_saved(handle, locker,
                                                                       process_nothing, &receipt,
                                                                       answer_nothing, NULL,
                                                                       drop_nothing));
    REFUSED(SlProductPurchaser,
            product_purchaser_wait_until_product_is_processed_and_saved(handle, locker,
                                                                        process_nothing, &receipt,
                                                                        NULL, drop_nothing, 1,
                                                                        &value));
    REFUSED(SlProductPurchaser, product_purchaser_destroy(handle));

    prepare(stale_locker, locker, live);
    REFUSED(SlLocker,
            product_purchaser_call_when_product_is_processed_and_saved(
                live, handle, process_nothing, &receipt, answer_nothing, NULL, drop_nothing));
    REFUSED(SlLocker,
            product_purchaser_wait_until_product_is_processed_and_saved(
                live, handle, process_nothing, &receipt, NULL, drop_nothing, 1, &value));

    prepare(stale_profile, profile, live);
    REFUSED(SlProfile,
            profile_call_when_product_is_processed_and_saved(handle, process_nothing, &receipt,
                                                             answer_nothing, NULL, drop_nothing));
    REFUSED(SlProfile,
            profile_wait_until_product_is_processed_and_saved(handle, process_nothing, &receipt,
                                                              NULL, drop_nothing, 1, &value));

    OK(pending_product_purchase_from_receipt(process_nothing, &receipt, NULL, NULL, &pending));
    OK(pending_product_purchase_from_receipt(process_nothing, &receipt, NULL, NULL,
                                             &stale_pending));
    OK(pending_product_purchase_destroy(stale_pending));
    prepare(stale_pending, pending, profile);
    REFUSED(SlPendingProductPurchase,
            pending_product_purchase_validate(handle, NULL, profile, &value));
    REFUSED(SlPendingProductPurchase,
            pending_product_purchase_apply(handle, locker, NULL, &value));
    REFUSED(SlPendingProductPurchase,
            pending_product_purchase_use_credit(handle, NULL, profile, &value));
    REFUSED(SlPendingProductPurchase, pending_product_purchase_destroy(handle));
    CHECK_STATUS(SL_ERROR_INVALID_HANDLE,
                 pending_product_purchase_apply(pending, stale_locker, NULL, &value));
    CHECK_STATUS(SL_ERROR_INVALID_HANDLE,
                 pending_product_purchase_apply(pending, NULL, stale_profile, &value));
    CHECK_STATUS(SL_ERROR_INVALID_ARGUMENT,
                 pending_product_purchase_apply(pending, locker, profile, &value));
    CHECK_STATUS(SL_ERROR_INVALID_ARGUMENT,
                 pending_product_purchase_apply(pending, locker, NULL, NULL));
    CHECK(value == 7);
    OK(product_purchaser_has_incomplete_purchases(live, &value));
    CHECK(value == 0);

    OK(pending_product_purchase_destroy(pending));
    OK(product_purchaser_destroy(live));
    released(&full, locker);
    full_close(&full);
    OK(profile_destroy(profile));
    frame(&server, 0);
    server_close(&server);
    return finish("handles_purchases");
}
