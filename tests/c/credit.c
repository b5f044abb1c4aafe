/* Product credit: of profiles and of lockers, by both ways to hear of it. */
#include "locker_world.h"

#define SWORD 7

typedef struct Heard {
    int64_t product_id, amount;
    int times;
} Heard;

static void on_credit(void *user_data, SlProfile *profile, const SlEvent *event) {
    Heard *heard = (Heard *)user_data;
    CHECK(event->kind == SL_EVENT_PRODUCT_CREDIT_CHANGED && event->profile == profile);
    CHECK(event->key.length == strlen("player") && event->text.length == 0);
    heard->product_id = event->product_id;
    heard->amount = event->amount;
    heard->times++;
}

static int64_t credit_of(SlProfile *profile) {
    int64_t credit = -7;
    OK(profile_product_credit_query(profile, SWORD, &credit));
    return credit;
}

static void a_profile_gives_uses_and_tells_credit(int polls) {
    Server server;
    SlProfile *profile;
    SlEvent event;
    Heard heard = {0, 0, 0};
    size_t count = 0;
    int32_t did_use = 7;

    server_open(&server, "memory:", polls, 1);
    profile = loaded(&server, "player");
    OK(profile_connect(profile, SL_SIGNAL_PRODUCT_CREDIT_CHANGED, on_credit, &heard, NULL, NULL));
    CHECK(credit_of(profile) == 0);
    OK(profile_product_credit_give(profile, SWORD, 3));
    OK(profile_product_credit_use(profile, SWORD, 4, &did_use));
    CHECK(did_use == 0 && credit_of(profile) == 3);
    OK(easy_store_update(server.store, server.moment.seconds));
    CHECK(heard.times == 1 && heard.product_id == SWORD && heard.amount == 3);
    if (polls) {
        OK(easy_store_poll_event(server.store, &event, 1, &count));
        CHECK(count == 1 && event.kind == SL_EVENT_PRODUCT_CREDIT_CHANGED);
        CHECK(event.profile == profile && event.product_id == SWORD && event.amount == 3);
    }
    OK(profile_product_credit_use(profile, SWORD, 3, &did_use));
    CHECK(did_use == 1 && credit_of(profile) == 0);
    OK(easy_store_update(server.store, server.moment.seconds));
    CHECK(heard.times == 2 && heard.amount == -3);
    OK(profile_product_credit_give(profile, SWORD, 1));
    OK(profile_mark_force_save(profile));
    frame(&server, 0);
    CHECK(stored_has(server.storage, "player", "\"ProductCredit\":[[7,1]]"));
    OK(profile_destroy(profile));
    frame(&server, 0);
    server_close(&server);
}

static void what_is_refused_changes_nothing_and_is_not_told(void) {
    Server server;
    SlProfile *profile;
    Heard heard = {0, 0, 0};
    int64_t credit = 7;
    int32_t did_use = 7;

    server_open(&server, "memory:", 0, 1);
    OK(easy_store_start_session(server.store, Z("player"), NULL, &profile));
    CHECK_STATUS(SL_ERROR_NOT_LOADED, profile_product_credit_query(profile, SWORD, &credit));
    CHECK_STATUS(SL_ERROR_NOT_LOADED, profile_product_credit_give(profile, SWORD, 1));
    CHECK_STATUS(SL_ERROR_NOT_LOADED, profile_product_credit_use(profile, SWORD, 1, &did_use));
    OK(profile_destroy(profile));

    profile = loaded(&server, "player");
    OK(profile_connect(profile, SL_SIGNAL_PRODUCT_CREDIT_CHANGED, on_credit, &heard, NULL, NULL));
    CHECK_STATUS(SL_ERROR_OUT_OF_RANGE, profile_product_credit_give(profile, SWORD, 0));
    CHECK_STATUS(SL_ERROR_OUT_OF_RANGE, profile_product_credit_give(profile, SWORD, -5));
    CHECK_STATUS(SL_ERROR_OUT_OF_RANGE, profile_product_credit_use(profile, SWORD, -5, &did_use));
    CHECK(last_error_says("the amount is -5"));
    CHECK_STATUS(SL_ERROR_INVALID_ARGUMENT, profile_product_credit_query(profile, SWORD, NULL));
    CHECK_STATUS(SL_ERROR_INVALID_ARGUMENT, profile_product_credit_use(profile, SWORD, 1, NULL));
    CHECK(credit_of(profile) == 0 && credit == 7 && did_use == 7);
    OK(profile_product_credit_give(profile, SWORD, INT64_MAX));
    frame(&server, 0);
    CHECK(heard.times == 1);
    CHECK_STATUS(SL_ERROR_OUT_OF_RANGE, profile_product_credit_give(profile, SWORD, 1));
    frame(&server, 0);
    CHECK(heard.times == 1 && credit_of(profile) == INT64_MAX);
    OK(profile_destroy(profile));
    frame(&server, 0);
    server_close(&server);
}

static void a_locker_keeps_credit(void) {
    Full full;
    SlLocker *locker;
    SlEvent event;
    size_t count = 0;
    int64_t credit = 7;
    int32_t did_use = 7, should_remove = 7;

    full_open(&full, "memory:", 1, 1);
    locker = locker_of(&full, "player");
    CHECK_STATUS(SL_ERROR_NOT_LOADED, locker_product_credit_give(locker, SWORD, 1));
    CHECK(locker_step(&full, locker, 0) == 1);
    OK(locker_destroy(locker));
    locker = acquired(&full, "player");
    OK(locker_product_credit_give(locker, SWORD, 2));
    OK(locker_product_credit_use(locker, SWORD, 1, &did_use));
    OK(locker_product_credit_query(locker, SWORD, &credit));
    CHECK(did_use == 1 && credit == 1);
    OK(locker_update(locker, full.moment.seconds, &should_remove));
    OK(locker_poll_event(locker, &event, 1, &count));
    CHECK(count == 1 && event.kind == SL_EVENT_PRODUCT_CREDIT_CHANGED && event.amount == 2);
    CHECK(event.locker == locker && event.product_id == SWORD);
    OK(locker_poll_event(locker, &event, 1, &count));
    CHECK(count == 1 && event.amount == -1);
    released(&full, locker);
    CHECK(stored_has(full.storage, "player", "\"ProductCredit\":[[7,1]]"));
    full_close(&full);
}

int main(void) {
    a_profile_gives_uses_and_tells_credit(0);
    a_profile_gives_uses_and_tells_credit(1);
    what_is_refused_changes_nothing_and_is_not_told();
    a_locker_keeps_credit();
    return finish("credit");
}
