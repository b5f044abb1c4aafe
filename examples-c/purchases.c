/* A shop: purchases, product credit, and a gift whose server dies halfway.
 *
 *   purchases [STORAGE-URL]
 *
 * A platform takes the players' money. It keeps a receipt of each purchase and asks the game's
 * receipt handler again and again, after crashes too, until the game says that it is granted. So the
 * game must give each purchase once, however often it is asked, and say so only when it is stored.
 *
 * The servers that die are processes of their own, for which this program starts itself again.
 */
#include "processes.h"

#define ANN "player/ann"
#define BEN "player/ben"

/* A server that dies keeps its players' keys until their sessions expire, by its own setting or by
 * that of the server that waits, whichever is longer. So that nobody has to wait for long, it is short
 * here for both; real servers keep the default, 1800 s. SAVE_PERIOD_S + 3 TIMEOUT_S < EXPIRY_S. */
#define SAVE_PERIOD_S 0.4
#define TIMEOUT_S 0.4
#define EXPIRY_S 2.0

/* How soon a server asks again for a key that is locked; the default is 10 s. */
#define ASK_AGAIN_S 0.1

enum { GOLD = 1, HAT = 2, GOLD_FOR_A_FRIEND = 3 };

/* What the platform keeps of a purchase. Only the platform's own part touches the last three. */
typedef struct Receipt {
    const char *purchase_id;
    int64_t product;
    int64_t price;
    int is_asked; /* the game has been asked, and has not answered yet */
    int is_granted;
    double ask_from;
} Receipt;

/* ---- The game ---------------------------------------------------------------------------- */

typedef struct Player {
    const char *key;
    SlProfile *profile; /* NULL: not here */
    SlSaveData *data;
    struct Player *friend_chosen; /* in the shop's window, for whom the next gift is */
    int is_loaded;
} Player;

typedef struct Game {
    SlEasyStore *store;
    Player ann, ben;
    int applied;         /* how often a product was given, by this server */
    SlProductOp dies_in; /* the step of a gift at which this server is to die; 0 for none */
} Game;

/* What the receipt handler was asked, until it is answered. */
typedef struct Question {
    Game *game;
    Receipt *receipt; /* NULL: no receipt, for the product is given for credit */
} Question;

static void platform_hears(Receipt *receipt, int is_granted);

/* Which of the two it is who is here. */
static Player *player_of(Game *game, const SlProfile *profile) {
    return profile == game->ben.profile ? &game->ben : &game->ann;
}

static int has_hat(const SlSaveData *data) {
    int32_t is_there = 0;
    OK(save_data_get_bool(data, TEXT("/Hat"), &is_there));
    return is_there;
}

/* Can the product be given, and to whom? Nothing is written here. Not asked again for a gift that is
 * on its way: the buyer's record says to whom. */
static SlStatus validate(Game *game, SlProductCall *call) {
    Player *buyer = player_of(game, call->profile);
    switch (call->receipt->product_id) {
    case GOLD: return SL_OK;
    case HAT: return has_hat(buyer->data) ? SL_ERROR_NOT_APPLICABLE : SL_OK;
    case GOLD_FOR_A_FRIEND:
        if (buyer->friend_chosen == NULL) {
            session_locker_set_hook_error(TEXT("nobody knows for whom the gift is"));
            return SL_ERROR_NOT_FOUND;
        }
        call->recipient_profile = buyer->friend_chosen->profile;
        return SL_OK;
    default: return SL_ERROR_NOT_APPLICABLE; /* credit, for a server that knows the product */
    }
}

/* Gives the product. `save_data` is the buyer's, or for a gift the recipient's. */
static SlStatus apply(Game *game, SlProductCall *call) {
    int64_t gold = 0;
    game->applied++;
    switch (call->receipt->product_id) {
    case GOLD: return save_data_add_i64(call->save_data, TEXT("/Gold"), 100, &gold);
    case HAT: return save_data_set_bool(call->save_data, TEXT("/Hat"), 1);
    default: return save_data_add_i64(call->save_data, TEXT("/Gold"), 50, &gold);
    }
}

/* Notes what was spent, with the buyer, also where the product became credit or went to a friend. */
static SlStatus record(SlProductCall *call) {
    int64_t spent = 0;
    return save_data_add_i64(call->save_data, TEXT("/Spent"), call->receipt->currency_spent, &spent);
}

static SlStatus process(void *user_data, SlProductOp op, SlProductCall *call) {
    Game *game = ((Question *)user_data)->game;
    if (op == game->dies_in) {
        /* Before `apply` of a gift, the buyer's entry is stored; before `record`, the gift is too. */
        say(op == SL_PRODUCT_OP_APPLY ? "is about to give Ben the gift, and dies"
                                      : "has saved the gift with Ben, and dies");
        crash();
    }
    switch (op) {
    case SL_PRODUCT_OP_VALIDATE: return validate(game, call);
    case SL_PRODUCT_OP_APPLY: return apply(game, call);
    case SL_PRODUCT_OP_RECORD: return record(call);
    default: return SL_ERROR_UNSUPPORTED;
    }
}

static void on_answer(void *user_data, int32_t is_granted) {
    platform_hears(((Question *)user_data)->receipt, is_granted);
}

static Question *new_question(Game *game, Receipt *receipt) {
    Question *question = (Question *)malloc(sizeof *question);
    MUST(question != NULL, "there is no memory left");
    question->game = game;
    question->receipt = receipt;
    return question;
}

/* The receipt handler. The platform calls it with any receipt, at any time, as often as it likes.
 * Here Ann is the only one who buys. */
static void on_receipt(Game *game, Receipt *receipt) {
    SlReceiptInfo info;
    if (game->ann.profile == NULL) {
        platform_hears(receipt, 0); /* she is not here: the platform will ask again */
        return;
    }
    OK(session_locker_receipt_info_init(&info, sizeof info));
    info.purchase_id = receipt->purchase_id;
    info.product_id = receipt->product;
    info.user_id = "ann";
    info.currency_spent = receipt->price;
    OK(profile_call_when_product_is_processed_and_saved(game->ann.profile, process, &info, on_answer,
                                                        new_question(game, receipt), free));
}

static void on_event(void *user_data, const SlEvent *event) {
    Game *game = (Game *)user_data;
    if (event->kind == SL_EVENT_LIFECYCLE && event->reason == SL_REASON_LOADED) {
        player_of(game, event->profile)->is_loaded = 1;
    } else if (event->kind == SL_EVENT_PRODUCT_CREDIT_CHANGED) {
        printf("  Ann's credit for product %lld changes by %lld.\n", (long long)event->product_id,
               (long long)event->amount);
    } else if (event->kind == SL_EVENT_ERROR) {
        printf("  An error: %.*s\n", (int)event->text.length, event->text.data);
    }
}

static void open_game(Game *game, const char *url, int is_hasty) {
    SlStorage *storage = NULL;
    SlEasyStoreConfig config;
    memset(game, 0, sizeof *game);
    game->ann.key = ANN;
    game->ben.key = BEN;
    OK(locker_storage_open(TEXT(url), &storage));
    OK(easy_store_config_init(&config, sizeof config));
    config.template_json = "{\"Gold\":0,\"Hat\":false,\"Spent\":0}";
    if (is_hasty) {
        config.maintain_session_period = SAVE_PERIOD_S;
        config.request_timeout = TIMEOUT_S;
        config.session_expiry = EXPIRY_S;
    }
    config.session_retry_cooldown = ASK_AGAIN_S;
    config.session_retry_ceiling = ASK_AGAIN_S;
    config.event = on_event;
    config.user_data = game;
    OK(easy_store_create(storage, &config, &game->store));
    OK(locker_storage_destroy(storage)); /* the store keeps it open */
}

static void join(Game *game, Player *player) {
    OK(easy_store_start_session(game->store, TEXT(player->key), NULL, &player->profile));
    OK(profile_get_save_data(player->profile, &player->data));
    frames_until(game->store, &player->is_loaded, "a player is not loaded");
}

static void open_hasty_game_with_both(Game *game, const char *url) {
    open_game(game, url, 1);
    join(game, &game->ann);
    join(game, &game->ben);
}

static void close_game(Game *game) {
    SlDrainReport *report = NULL;
    size_t left = 0;
    OK(easy_store_drain(game->store, PATIENCE_S, &report));
    OK(drain_report_unsaved_count(report, &left));
    MUST(left == 0, "a session could not be released in time");
    OK(drain_report_destroy(report));
    OK(easy_store_destroy(game->store));
}

/* ---- The platform, which is not the game's ----------------------------------------------- */

#define PLATFORM_ASKS_AGAIN_S 0.2

static void platform_asks(Game *game, Receipt *receipt) {
    receipt->is_asked = 1;
    on_receipt(game, receipt);
}

/* The game's answer. */
static void platform_hears(Receipt *receipt, int is_granted) {
    receipt->is_asked = 0;
    receipt->is_granted = is_granted;
    receipt->ask_from = monotonic_s() + PLATFORM_ASKS_AGAIN_S;
    printf("  The platform asks for %s: %s.\n", receipt->purchase_id,
           is_granted ? "granted" : "not yet");
}

/* Asks until the purchase is granted, while the game runs its frames. */
static void platform_sells(Game *game, Receipt *receipt) {
    double deadline = monotonic_s() + PATIENCE_S;
    receipt->is_granted = 0;
    while (!receipt->is_granted) {
        MUST(monotonic_s() < deadline, "a purchase is never granted");
        if (!receipt->is_asked && monotonic_s() >= receipt->ask_from) {
            platform_asks(game, receipt);
        }
        frame(game->store);
    }
}

/* ---- The story --------------------------------------------------------------------------- */

static Receipt gold = {"gold-1", GOLD, 99, 0, 0, 0};
static Receipt hat = {"hat-1", HAT, 250, 0, 0, 0};
static Receipt second_hat = {"hat-2", HAT, 250, 0, 0, 0};
static Receipt gifts[] = {{"gift-1", GOLD_FOR_A_FRIEND, 49, 0, 0, 0},
                          {"gift-2", GOLD_FOR_A_FRIEND, 49, 0, 0, 0},
                          {"gift-3", GOLD_FOR_A_FRIEND, 49, 0, 0, 0}};

static void buy_gold(Game *game) {
    printf("The platform has money from Ann, but Ann is not here yet:\n");
    platform_asks(game, &gold);
    MUST(!gold.is_granted, "a purchase is granted for nobody");
    printf("\nAnn comes:\n");
    join(game, &game->ann);
    platform_sells(game, &gold);
    MUST(integer_at(game->ann.data, "/Gold") == 100, "the gold was not given");
    printf("She has %lld gold. The platform has lost the answer:\n",
           integer_at(game->ann.data, "/Gold"));
    platform_sells(game, &gold);
    MUST(integer_at(game->ann.data, "/Gold") == 100 && game->applied == 1, "she got it twice");
}

static void buy_gold_once_more_after_a_restart(Game *game) {
    printf("\nThe server is started anew. The platform has forgotten the answer again:\n");
    join(game, &game->ann);
    platform_sells(game, &gold);
    MUST(game->applied == 0, "a purchase was given a second time");
    MUST(integer_at(game->ann.data, "/Gold") == 100, "the gold is not as it was");
    MUST(integer_at(game->ann.data, "/Spent") == 99, "the price was not noted once");
    printf("She has %lld gold still.\n", integer_at(game->ann.data, "/Gold"));
}

static void buy_two_hats(Game *game) {
    SlPendingProductPurchase *another = NULL;
    int64_t credit = 0;
    int32_t is_applicable = 1, was_given = 0;
    printf("\nAnn buys a hat, and by mistake another one, but has only one head:\n");
    platform_sells(game, &hat);
    platform_sells(game, &second_hat);
    OK(profile_product_credit_query(game->ann.profile, HAT, &credit));
    MUST(has_hat(game->ann.data) && credit == 1, "the second hat was not kept as credit");

    /* The same process function, run by hand, for no receipt. */
    OK(pending_product_purchase_from_ids(process, HAT, TEXT("ann"), new_question(game, NULL), free,
                                         &another));
    OK(pending_product_purchase_validate(another, NULL, game->ann.profile, &is_applicable));
    MUST(!is_applicable, "the shop would offer her another hat");
    printf("\nThe wind takes the hat, and Ann gets another one for the credit:\n");
    OK(save_data_set_bool(game->ann.data, TEXT("/Hat"), 0));
    OK(pending_product_purchase_use_credit(another, NULL, game->ann.profile, &was_given));
    frame(game->store);
    MUST(was_given && has_hat(game->ann.data), "the credit was not used");
    OK(profile_product_credit_query(game->ann.profile, HAT, &credit));
    MUST(credit == 0, "the credit is still there");
    OK(pending_product_purchase_destroy(another));
}

static void buy_a_gift(Game *game) {
    printf("\nBen comes. Ann chooses him in the shop, and buys gold for him:\n");
    join(game, &game->ben);
    game->ann.friend_chosen = &game->ben;
    platform_sells(game, &gifts[0]);
    MUST(integer_at(game->ben.data, "/Gold") == 50, "the gift has not come");
    MUST(integer_at(game->ann.data, "/Gold") == 100, "the gift was given to its giver");
}

/* What the process does that is to die with a gift under way. */
static int run_server_that_dies(SlProductOp dies_in, const char *url) {
    Game game;
    open_hasty_game_with_both(&game, url);
    game.dies_in = dies_in;
    game.ann.friend_chosen = &game.ben;
    platform_sells(&game, &gifts[dies_in == SL_PRODUCT_OP_APPLY ? 1 : 2]);
    return EXIT_FAILURE;
}

/* Ann's last purchase has a mark for as long as it is a gift that is not known to have arrived. */
static int is_marked(const SlSaveData *ann, const char *recipient) {
    char pointer[64];
    SlBuffer mark;
    size_t count = 0;
    int is_his = 0;
    OK(save_data_length(ann, TEXT("/Purchases"), &count));
    snprintf(pointer, sizeof pointer, "/Purchases/%lu/3", (unsigned long)count - 1);
    if (has(ann, pointer)) {
        OK(save_data_get_string(ann, TEXT(pointer), &mark));
        is_his = strcmp(mark.data, recipient) == 0;
        session_locker_buffer_free(&mark);
    }
    return is_his;
}

/* Each gift that has arrived is with Ben once, and each that is granted was noted with Ann once. One
 * of a server that has died is under way. */
static void check_stored(const char *url, int arrived, int granted, int is_under_way) {
    SlSaveData *ann = stored(url, ANN);
    SlSaveData *ben = stored(url, BEN);
    size_t count = 0;
    MUST(ann != NULL && ben != NULL, "a record is missing");
    MUST(is_marked(ann, BEN) == is_under_way, "the gift's mark is not as it should be");
    OK(save_data_length(ben, TEXT("/Gifts"), &count));
    MUST(count == (size_t)arrived, "Ben has another number of gifts");
    MUST(integer_at(ben, "/Gold") == 50 * arrived, "Ben has not got each gift once");
    MUST(integer_at(ann, "/Gold") == 100 && has_hat(ann), "Ann has not what she bought");
    MUST(integer_at(ann, "/Spent") == 99 + 2 * 250 + 49 * granted, "not each price is noted once");
    MUST(has(ann, "/Session") == is_under_way, "only a server that died leaves an owner behind");
    OK(save_data_destroy(ann));
    OK(save_data_destroy(ben));
}

/* A server dies in a step of gift `at`, and another one brings it to its end. */
static void gift_of_a_server_that_dies(Game *game, const char *program, const char *url, int at) {
    Process dying;
    int is_applied_here = at == 1;
    start(&dying, program, is_applied_here ? "--dies-in-apply" : "--dies-in-record",
          is_applied_here ? "Server 2" : "Server 3", url);
    must_crash(&dying);
    printf("Ann's record says that a gift is on its way to Ben; his says which have come:\n");
    check_stored(url, is_applied_here ? at : at + 1, at, 1);

    printf("\nA new server waits until it may have the players. It does not know who was chosen:\n");
    open_hasty_game_with_both(game, url);
    MUST(game->ann.friend_chosen == NULL, "a new server remembers what it cannot");
    platform_sells(game, &gifts[at]);
    MUST(game->applied == is_applied_here, "the gift was not given once");
    platform_sells(game, &gifts[at]);
    MUST(game->applied == is_applied_here, "the gift was given again");
    printf("Ben has %lld gold.\n", integer_at(game->ben.data, "/Gold"));
    close_game(game);
}

int main(int argc, char **argv) {
    static Game game;
    const char *url;
    if (argc == 4 && strncmp(argv[1], "--dies-in-", 10) == 0) {
        int in_apply = strcmp(argv[1], "--dies-in-apply") == 0;
        return run_server_that_dies(in_apply ? SL_PRODUCT_OP_APPLY : SL_PRODUCT_OP_RECORD, argv[3]);
    }
    url = storage_url(argc, argv);
    printf("In the storage there is:\n");
    MUST(stored(url, ANN) == NULL && stored(url, BEN) == NULL,
         "there are records already: this example wants an empty storage");

    open_game(&game, url, 0);
    buy_gold(&game);
    close_game(&game);

    open_game(&game, url, 0);
    buy_gold_once_more_after_a_restart(&game);
    buy_two_hats(&game);
    buy_a_gift(&game);
    close_game(&game);

    printf("\nAnn buys Ben another one, and the server dies between her save and his.\n");
    gift_of_a_server_that_dies(&game, argv[0], url, 1);
    printf("\nAnd a third one, and the server dies after his save.\n");
    gift_of_a_server_that_dies(&game, argv[0], url, 2);

    printf("\nWhat is stored in the end:\n");
    check_stored(url, 3, 3, 0);
    return EXIT_SUCCESS;
}
