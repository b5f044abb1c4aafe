/* The game that is played while its servers are killed: players with keys of their own, what they
 * may buy, what may be sent to them, and how a server notes all of it in its ledger.
 *
 * Whatever is done leaves in the save data something by which it is known again, so that at the end
 * everything can be counted:
 *
 *   Changes    {"17.3": [1, 2, 3]}: the changes of the third session of server 17, in their order
 *   Bought     the ids of the purchases of gold
 *   Presents   the ids of gifts from other players
 *   Hat        whether there is one; a second one becomes product credit
 *   Spent      how many purchases were recorded
 *   Credits    how much product credit was given by hand, less what was used
 *   Notes      the ids of remote changes
 */
#ifndef GAME_H
#define GAME_H

#include "../../examples-c/files_storage.h"

#include <stdarg.h>

#define TEMPLATE                                                                                   \
    "{\"Changes\":{},\"Bought\":[],\"Presents\":[],\"Hat\":false,\"Spent\":0,"                         \
    "\"Credits\":0,\"Notes\":[]}"

/* The players. The first few are asked for most often. */
#define KEYS 20
#define HOT_KEYS 5
#define ID_CAPACITY 24

enum { GOLD = 1, HAT = 2, GIFT = 3, BY_HAND = 4 };

/* A purchase that the platform has money for. It asks until it is granted, here or elsewhere. */
typedef struct Receipt {
    char id[ID_CAPACITY];
    int product;
    int buyer;
    int recipient; /* of a gift; of all else the buyer */
    int questions; /* that are not answered yet */
    int is_granted;
} Receipt;

/* Something to be sent to a player. Under its id as an operation id, it may be sent again. */
typedef struct Operation {
    char id[ID_CAPACITY];
    int key;
    int is_named; /* the id is the operation id */
    int sends;    /* that are not answered yet */
    int is_sent;
} Operation;

/* One place for a player on this server. */
typedef struct Seat {
    int key;
    SlProfile *profile; /* NULL: nobody is here */
    SlProfile *guest;   /* a second profile of the same session, or NULL */
    SlSaveData *data;
    unsigned session; /* which of this server's; 0: not loaded */
    unsigned changes; /* of this session */
    unsigned unsaved; /* changes of this seat that are not answered yet */
    int was_available;
    int is_finished;
    double looked_at;
    double until; /* when it has waited, or stayed, for long enough */
} Seat;

typedef struct Game {
    SlEasyStore *store;
    unsigned server; /* which one; no two have the same number, and none is ever started again */
    int ledger;
    uint64_t chance;
    int calm; /* it saves in one of so many frames */
    Seat seats[KEYS];
    int seat_count;
    unsigned sessions;
    unsigned ids;
    Receipt **receipts;
    size_t receipt_count;
    Operation **operations;
    size_t operation_count;
} Game;

/* ---- Chance ------------------------------------------------------------------------------ */

/* A number from 0 on, below a limit. */
static inline int draw(Game *game, int below) {
    game->chance ^= game->chance << 13;
    game->chance ^= game->chance >> 7;
    game->chance ^= game->chance << 17;
    return (int)((game->chance >> 33) % (uint64_t)below);
}

static inline int one_in(Game *game, int many) { return draw(game, many) == 0; }

/* So many milliseconds at most, in seconds. */
static inline double some_ms(Game *game, int at_most) { return draw(game, at_most) / 1000.0; }

/* ---- The ledger -------------------------------------------------------------------------- */

/* Notes one line, by one write: what the system has taken of it outlives the process. */
static inline void note(const Game *game, const char *format, ...) {
    char line[512];
    va_list values;
    int length;
    va_start(values, format);
    length = vsnprintf(line, sizeof line - 1, format, values);
    va_end(values);
    MUST(length >= 0, "a line cannot be made");
    length = length < (int)sizeof line - 2 ? length : (int)sizeof line - 2;
    line[length] = '\n';
    MUST(write_all(game->ledger, line, (size_t)length + 1) == 0, "the ledger cannot be written");
}

static inline void *new_thing(size_t size) {
    void *thing = calloc(1, size);
    MUST(thing != NULL, "there is no memory left");
    return thing;
}

/* The same array, with room for one more. */
static inline void *grown(void *array, size_t count, size_t element_size) {
    void *longer = realloc(array, (count + 1) * element_size);
    MUST(longer != NULL, "there is no memory left");
    return longer;
}

/* Remembers a purchase, and notes that it is about to be asked for. */
static inline Receipt *add_receipt(Game *game, const Receipt *given) {
    Receipt *receipt = (Receipt *)new_thing(sizeof *receipt);
    *receipt = *given;
    game->receipts = (Receipt **)grown(game->receipts, game->receipt_count, sizeof receipt);
    game->receipts[game->receipt_count++] = receipt;
    note(game, "buys %s %d player/%02d player/%02d", given->id, given->product, given->buyer,
         given->recipient);
    return receipt;
}

/* Remembers an operation, and notes that it is about to be sent. */
static inline Operation *add_operation(Game *game, const Operation *given) {
    Operation *operation = (Operation *)new_thing(sizeof *operation);
    *operation = *given;
    game->operations =
        (Operation **)grown(game->operations, game->operation_count, sizeof operation);
    game->operations[game->operation_count++] = operation;
    note(game, "sends %s player/%02d %s", given->id, given->key,
         given->is_named ? "named" : "nameless");
    return operation;
}

/* ---- The ledger of another --------------------------------------------------------------- */

/* What another server has bought and sent. */
typedef struct Legacy {
    Receipt *receipts;
    size_t receipt_count;
    Operation *operations;
    size_t operation_count;
} Legacy;

static inline void read_line(Legacy *legacy, const char *line) {
    Receipt receipt;
    Operation operation;
    char id[ID_CAPACITY], kind[ID_CAPACITY];
    size_t at;
    int outcome;
    memset(&receipt, 0, sizeof receipt);
    memset(&operation, 0, sizeof operation);
    if (sscanf(line, "buys %23s %d player/%d player/%d", receipt.id, &receipt.product,
               &receipt.buyer, &receipt.recipient) == 4) {
        legacy->receipts =
            (Receipt *)grown(legacy->receipts, legacy->receipt_count, sizeof receipt);
        legacy->receipts[legacy->receipt_count++] = receipt;
    } else if (sscanf(line, "granted %23s", id) == 1) {
        for (at = 0; at < legacy->receipt_count; at++) {
            legacy->receipts[at].is_granted |= strcmp(legacy->receipts[at].id, id) == 0;
        }
    } else if (sscanf(line, "sends %23s player/%d %23s", operation.id, &operation.key, kind) == 3) {
        operation.is_named = strcmp(kind, "named") == 0;
        legacy->operations =
            (Operation *)grown(legacy->operations, legacy->operation_count, sizeof operation);
        legacy->operations[legacy->operation_count++] = operation;
    } else if (sscanf(line, "sent %23s %d", id, &outcome) == 2) {
        for (at = 0; at < legacy->operation_count && outcome == SL_SEND_SENT; at++) {
            legacy->operations[at].is_sent |= strcmp(legacy->operations[at].id, id) == 0;
        }
    }
}

/* Takes over what was bought and sent, save what was sent without an operation id: nobody can send
 * that again. Of what was answered, one in so many is enough. */
static inline void take_over(Game *game, const char *path, int one_answered_in) {
    Legacy legacy;
    char line[512];
    size_t at;
    FILE *file = fopen(path, "r");
    MUST(file != NULL, "the other ledger cannot be opened");
    memset(&legacy, 0, sizeof legacy);
    while (fgets(line, sizeof line, file) != NULL) {
        /* Half a line at the end is something that was not acted on yet, or an answer. */
        if (strchr(line, '\n') != NULL) {
            read_line(&legacy, line);
        }
    }
    fclose(file);
    for (at = 0; at < legacy.receipt_count; at++) {
        if (!legacy.receipts[at].is_granted || one_in(game, one_answered_in)) {
            add_receipt(game, &legacy.receipts[at]);
        }
    }
    for (at = 0; at < legacy.operation_count; at++) {
        const Operation *operation = &legacy.operations[at];
        if (operation->is_named && (!operation->is_sent || one_in(game, one_answered_in))) {
            add_operation(game, operation);
        }
    }
    free(legacy.receipts);
    free(legacy.operations);
}

/* ---- What a player is given -------------------------------------------------------------- */

/* Appends an id to an array of the save data. */
static inline SlStatus append_id(SlSaveData *data, const char *pointer, const char *id) {
    char json[ID_CAPACITY + 2];
    snprintf(json, sizeof json, "\"%s\"", id);
    return save_data_append(data, TEXT(pointer), TEXT(json));
}

/* What is kept with a purchase until it is answered. */
typedef struct Question {
    Game *game;
    Receipt *receipt;
} Question;

/* Who plays here under a key. */
static inline Seat *seat_of(Game *game, int key) {
    int at;
    for (at = 0; at < game->seat_count; at++) {
        if (game->seats[at].profile != NULL && game->seats[at].key == key) {
            return &game->seats[at];
        }
    }
    return NULL;
}

static inline SlStatus validate(Question *question, SlProductCall *call) {
    Seat *recipient = seat_of(question->game, question->receipt->recipient);
    if (question->receipt->product != GIFT) {
        return SL_OK;
    }
    if (recipient == NULL || recipient->session == 0) {
        return SL_ERROR_NOT_ACTIVE;
    }
    call->recipient_profile = recipient->profile;
    return SL_OK;
}

static inline SlStatus apply(const Receipt *receipt, SlSaveData *data) {
    int32_t has_hat = 0;
    if (receipt->product == GOLD) {
        return append_id(data, "/Bought", receipt->id);
    }
    if (receipt->product == GIFT) {
        return append_id(data, "/Presents", receipt->id);
    }
    OK(save_data_get_bool(data, TEXT("/Hat"), &has_hat));
    return has_hat ? SL_ERROR_NOT_APPLICABLE : save_data_set_bool(data, TEXT("/Hat"), 1);
}

static inline SlStatus process(void *user_data, SlProductOp op, SlProductCall *call) {
    Question *question = (Question *)user_data;
    int64_t spent = 0;
    switch (op) {
    case SL_PRODUCT_OP_VALIDATE: return validate(question, call);
    case SL_PRODUCT_OP_APPLY: return apply(question->receipt, call->save_data);
    case SL_PRODUCT_OP_RECORD:
        return save_data_add_i64(call->save_data, TEXT("/Spent"), 1, &spent);
    default: return SL_ERROR_UNSUPPORTED;
    }
}

static inline void on_answer(void *user_data, int32_t is_granted) {
    Question *question = (Question *)user_data;
    question->receipt->questions--;
    question->receipt->is_granted |= is_granted;
    note(question->game, "%s %s", is_granted ? "granted" : "refused", question->receipt->id);
}

/* The platform asks for a purchase whose buyer is here. */
static inline void ask_for(Game *game, Receipt *receipt, const Seat *buyer) {
    Question *question = (Question *)new_thing(sizeof *question);
    SlReceiptInfo info;
    question->game = game;
    question->receipt = receipt;
    receipt->questions++;
    OK(session_locker_receipt_info_init(&info, sizeof info));
    info.purchase_id = receipt->id;
    info.product_id = receipt->product;
    OK(profile_call_when_product_is_processed_and_saved(buyer->profile, process, &info, on_answer,
                                                        question, free));
}

static inline SlStatus process_remote_change(void *user_data, const char *key, size_t key_length,
                                             SlSaveData *data, const char *json,
                                             size_t json_length) {
    SlSaveData *change = NULL;
    SlBuffer id;
    SlStatus status;
    (void)user_data;
    (void)key;
    (void)key_length;
    OK(save_data_create(json, json_length, &change));
    OK(save_data_get_string(change, TEXT("/Note"), &id));
    status = append_id(data, "/Notes", id.data);
    session_locker_buffer_free(&id);
    OK(save_data_destroy(change));
    return status;
}

/* What is kept with a send until it is answered. */
typedef struct Posted {
    Game *game;
    Operation *operation;
} Posted;

static inline void on_sent(void *user_data, uint64_t send_id, int32_t outcome) {
    Posted *posted = (Posted *)user_data;
    (void)send_id;
    posted->operation->sends--;
    posted->operation->is_sent |= outcome == SL_SEND_SENT;
    note(posted->game, "sent %s %d", posted->operation->id, (int)outcome);
}

static inline void post(Game *game, Operation *operation) {
    Posted *posted = (Posted *)new_thing(sizeof *posted);
    SlSendOptions options;
    char key[16], json[64];
    posted->game = game;
    posted->operation = operation;
    operation->sends++;
    snprintf(key, sizeof key, "player/%02d", operation->key);
    snprintf(json, sizeof json, "[{\"K\":\"Note\",\"Note\":\"%s\"}]", operation->id);
    OK(session_locker_send_options_init(&options, sizeof options));
    options.operation_id = operation->is_named ? operation->id : NULL;
    OK(easy_store_send_remote_changes(game->store, TEXT(key), TEXT(json), &options, on_sent, posted,
                                      free, NULL));
}

/* ---- Sessions ---------------------------------------------------------------------------- */

/* A seat's session began, was given up willingly, or was lost to another server. */
static inline void on_replaced(Game *game, Seat *seat, int32_t reason) {
    if (reason == SL_REASON_LOADED) {
        seat->session = ++game->sessions;
        seat->changes = 0;
        seat->was_available = 0;
        return;
    }
    if (seat->session != 0) {
        note(game, "%s %u.%u", reason == SL_REASON_LOST ? "lost" : "left", game->server,
             seat->session);
    }
    seat->session = 0;
}

static inline void on_event(void *user_data, const SlEvent *event) {
    Game *game = (Game *)user_data;
    int at;
    if (event->kind == SL_EVENT_ERROR) {
        note(game, "error %.*s: %.*s", (int)event->key.length, event->key.data,
             (int)event->text.length, event->text.data);
    }
    for (at = 0; event->kind == SL_EVENT_LIFECYCLE && at < game->seat_count; at++) {
        Seat *seat = &game->seats[at];
        if (event->profile == NULL || event->profile != seat->profile) {
            continue;
        }
        if (event->lifecycle == SL_LIFECYCLE_REPLACED) {
            on_replaced(game, seat, event->reason);
        }
        seat->is_finished |= event->lifecycle == SL_LIFECYCLE_FINISHED;
    }
}

static inline void sit_down(Game *game, Seat *seat, int key) {
    char name[16];
    snprintf(name, sizeof name, "player/%02d", key);
    seat->key = key;
    seat->session = 0;
    seat->is_finished = 0;
    OK(easy_store_start_session(game->store, TEXT(name), NULL, &seat->profile));
    OK(profile_get_save_data(seat->profile, &seat->data));
}

static inline SlStorage *open_storage(const char *where) {
    SlStorage *storage = NULL;
    if (strncmp(where, "files:", 6) == 0) {
        return open_files(where + 6);
    }
    OK(locker_storage_open(TEXT(where), &storage));
    return storage;
}

/* The keys of a server that dies are free again when its sessions have expired, so they are short:
 * SAVE_PERIOD + 2 TIMEOUT + TIMEOUT < EXPIRY. Servers have them so many times as long; between two
 * the longer expiry counts. */
#define SAVE_PERIOD_S 0.1
#define TIMEOUT_S 0.1
#define EXPIRY_S 0.5

static inline void open_store(Game *game, const char *where, double times) {
    SlStorage *storage = open_storage(where);
    SlEasyStoreConfig config;
    OK(easy_store_config_init(&config, sizeof config));
    config.template_json = TEMPLATE;
    config.maintain_session_period = times * SAVE_PERIOD_S;
    config.request_timeout = times * TIMEOUT_S;
    config.session_expiry = times * EXPIRY_S;
    config.session_retry_cooldown = 0.02;
    config.session_retry_ceiling = 0.1;
    config.process_remote_change = process_remote_change;
    config.event = on_event;
    config.user_data = game;
    OK(easy_store_create(storage, &config, &game->store));
    OK(locker_storage_destroy(storage)); /* the store keeps it open */
}

#endif
