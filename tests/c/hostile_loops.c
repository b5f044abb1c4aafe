/* Callbacks that ask again for what they have just been told: each update returns all the same, and the
 * next goes on with it. */
#include "locker_world.h"

/* More often than this nothing is called back in one update. */
enum { CALLS_MAX = 2000 };

typedef enum Again {
    WAIT,
    SAVE,
    SAVE_IN_HOOK,
    LOADED,
    PURCHASE,
    SEND,
    SEND_NOTHING,
    SESSION,
    CREDIT,
    KINDS
} Again;

typedef struct Asker {
    Server server;
    Again kind;
    SlProfile *profile;
    int calls;
    int sessions;
} Asker;

static Asker asker;

static void ask_again(Again kind);

static void on_answer(void *user_data, int32_t outcome) {
    (void)user_data;
    (void)outcome;
    ask_again(WAIT);
}

static void on_loaded(void *user_data, SlProfile *profile) {
    (void)user_data;
    (void)profile;
    ask_again(LOADED);
}

static void on_granted(void *user_data, int32_t is_granted) {
    (void)user_data;
    (void)is_granted;
    ask_again(PURCHASE);
}

static void on_sent(void *user_data, uint64_t send_id, int32_t outcome) {
    (void)user_data;
    (void)send_id;
    (void)outcome;
    ask_again(asker.kind == SEND ? SEND : SEND_NOTHING);
}

static SlStatus on_save(void *user_data, SlProfile *profile) {
    (void)user_data;
    (void)profile;
    ask_again(SAVE_IN_HOOK);
    return SL_OK;
}

static SlStatus process(void *user_data, SlProductOp op, SlProductCall *call) {
    (void)user_data;
    (void)op;
    (void)call;
    return SL_OK;
}

static void on_event(void *user_data, const SlEvent *event) {
    (void)user_data;
    if (event->kind == SL_EVENT_PRODUCT_CREDIT_CHANGED) {
        ask_again(CREDIT);
    } else if (event->kind == SL_EVENT_LIFECYCLE && event->lifecycle == SL_LIFECYCLE_SAVED) {
        ask_again(SAVE);
    } else if (event->kind == SL_EVENT_LIFECYCLE &&
               (event->lifecycle == SL_LIFECYCLE_FINISHED || event->reason == SL_REASON_LOADED)) {
        ask_again(SESSION);
    }
}

static void begin(Again kind) {
    SlReceiptInfo receipt;
    SlProfile *profile = NULL;
    switch (kind) {
    case WAIT: OK(profile_when_changes_saved(asker.profile, on_answer, NULL, NULL, NULL)); break;
    case SAVE:
    case SAVE_IN_HOOK: OK(profile_mark_force_save(asker.profile)); break;
    case LOADED: OK(profile_when_loaded(asker.profile, on_loaded, NULL, NULL)); break;
    case PURCHASE:
        OK(session_locker_receipt_info_init(&receipt, sizeof receipt));
        receipt.purchase_id = "a";
        OK(profile_call_when_product_is_processed_and_saved(asker.profile, process, &receipt, on_granted,
                                                            NULL, NULL));
        break;
    case SEND:
    case SEND_NOTHING:
        OK(easy_store_send_remote_changes(asker.server.store, Z("other"),
                                          Z(kind == SEND ? "[{\"K\":\"k\"}]" : "[]"), NULL, on_sent, NULL,
                                          NULL, NULL));
        break;
    case SESSION:
        OK(easy_store_start_session(asker.server.store, Z("guest"), NULL, &profile));
        OK(profile_destroy(profile));
        asker.sessions++;
        break;
    default: OK(profile_product_credit_give(asker.profile, 5, 1));
    }
}

/* Stops after so many calls that an update would not seem to return. */
static void ask_again(Again kind) {
    if (kind == asker.kind && ++asker.calls <= CALLS_MAX) {
        begin(kind);
    }
}

static void an_update_returns_however_often_it_is_asked_again(Again kind, int32_t disable_apis) {
    SlSessionOptions options = options_of(NULL, 0);
    SlEasyStoreConfig config;
    SlClock clock;
    int step, total = 0;
    memset(&asker, 0, sizeof asker);
    asker.kind = KINDS;
    options.disable_apis = disable_apis;
    OK(locker_storage_open(Z("memory:"), &asker.server.storage));
    config = server_config(&asker.server, &clock, 1);
    config.event = on_event;
    OK(easy_store_create(asker.server.storage, &config, &asker.server.store));
    OK(easy_store_start_session(asker.server.store, Z("player"), &options, &asker.profile));
    frame(&asker.server, 0);
    if (kind == SAVE_IN_HOOK) {
        OK(profile_set_before_save(asker.profile, on_save, NULL, NULL));
    }
    asker.kind = kind;
    begin(kind);
    for (step = 0; step < 5; step++) {
        frame(&asker.server, 1);
        CHECK(asker.calls <= CALLS_MAX);
        total += asker.calls;
        asker.calls = 0;
    }
    /* What is asked inside the hook is covered by the save that follows. */
    CHECK(total >= (kind == SAVE_IN_HOOK ? 1 : 2));
    asker.kind = KINDS;
    OK(profile_destroy(asker.profile));
    frame(&asker.server, 0);
    server_close(&asker.server);
}

int main(void) {
    int kind, disable_apis;
    for (kind = 0; kind < KINDS; kind++) {
        for (disable_apis = 0; disable_apis < 2; disable_apis++) {
            int failed = checks_failed;
            an_update_returns_however_often_it_is_asked_again((Again)kind, disable_apis);
            if (checks_failed > failed) {
                fprintf(stderr, "that was asking again for %d, without the storage: %d\n", kind,
                        disable_apis);
            }
        }
    }
    return finish("hostile_loops");
}
