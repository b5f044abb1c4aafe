/* A game server that is to be killed at any moment, by the test in main.rs.
 *
 *   server play WHERE LEDGER NUMBER SEED [OTHER-LEDGER]
 *   server settle WHERE LEDGER NUMBER SEED OTHER-LEDGER
 *   server dump WHERE FILE
 *
 * WHERE is the URL of a storage, or `files:` and a folder. To play, it lets players come and go and
 * keeps the storage busy, until it is told by SIGTERM to shut down. To settle, it lets everybody
 * in, brings to its end all that was bought and sent, and shuts down. To dump is to write every key
 * with what is stored under it.
 *
 * What it is about to do it writes into its ledger before, and what comes of it after, a line each:
 *
 *   owns player/07 17.3 TIME TIME  session 3 of server 17 was available, at some time between these
 *   still 17.3 TIME               it was available after this time
 *   left 17.3, lost 17.3          it has ended: willingly, or another has the key
 *   asks player/07 17.3 5         its fifth change is about to be made
 *   saved 17.3 5, unsaved, unknown    how it ended
 *   buys ID PRODUCT BUYER RECIPIENT   the platform is about to ask
 *   granted ID, refused ID            and was answered
 *   sends ID KEY named|nameless       about to send; `named`: with the id as the operation id
 *   sent ID OUTCOME                   an SL_SEND_ constant
 *   error WORDS                       what the library has reported, for people
 *
 * With another ledger, of a server that was killed, it goes on with what that one has bought and
 * sent, whether it was answered or not. It ends when its standard input does.
 */
#include "game.h"

#include <signal.h>
#ifdef __linux__
#include <sys/prctl.h>
#endif

#define SEATS 4
#define FRAME_S 0.0005
/* How many changes of a player may be waiting to be saved. */
#define UNSAVED_MAX 3
/* How often a server notes that a key is still its own. */
#define LOOK_PERIOD_S 0.005
/* One server with all the players saves for all of them, so it is given more time. */
#define SETTLING_TIMES 3

static volatile sig_atomic_t is_stopping;

static void on_signal(int signal) {
    (void)signal;
    is_stopping = 1;
}

/* Waits for the end of the standard input: the director is gone then, however that came about, and
 * nobody else would end this server. */
static void *end_with_director(void *nothing) {
    char byte;
    ssize_t got;
    do {
        got = read(STDIN_FILENO, &byte, 1);
    } while (got > 0 || (got < 0 && errno == EINTR));
    _exit(EXIT_FAILURE);
    return nothing;
}

/* ---- What a player does ------------------------------------------------------------------ */

/* What is kept with a change until it is known to be saved. */
typedef struct Change {
    Game *game;
    Seat *seat;
    unsigned session;
    unsigned number;
} Change;

static void on_saved(void *user_data, int32_t outcome) {
    Change *change = (Change *)user_data;
    const char *word = outcome == SL_OUTCOME_SAVED       ? "saved"
                       : outcome == SL_OUTCOME_NOT_SAVED ? "unsaved"
                                                         : "unknown";
    change->seat->unsaved--;
    note(change->game, "%s %u.%u %u", word, change->game->server, change->session, change->number);
}

/* Gives product credit or uses some, and counts it in the save data. */
static void change_credit(Game *game, Seat *seat) {
    int64_t credits = 0;
    int32_t did_use = 0;
    if (one_in(game, 2)) {
        OK(profile_product_credit_give(seat->profile, BY_HAND, 1));
        OK(save_data_add_i64(seat->data, TEXT("/Credits"), 1, &credits));
    } else {
        OK(profile_product_credit_use(seat->profile, BY_HAND, 1, &did_use));
        OK(save_data_add_i64(seat->data, TEXT("/Credits"), -did_use, &credits));
    }
}

/* Makes the session's next change, and waits to hear that it is saved. */
static void make_change(Game *game, Seat *seat) {
    Change *change = (Change *)new_thing(sizeof *change);
    char pointer[48], number[16];
    change->game = game;
    change->seat = seat;
    change->session = seat->session;
    change->number = ++seat->changes;
    note(game, "asks player/%02d %u.%u %u", seat->key, game->server, seat->session, seat->changes);
    snprintf(pointer, sizeof pointer, "/Changes/%u.%u", game->server, seat->session);
    snprintf(number, sizeof number, "%u", seat->changes);
    if (seat->changes == 1) {
        OK(save_data_set_json(seat->data, TEXT(pointer), TEXT("[]")));
    }
    OK(save_data_append(seat->data, TEXT(pointer), TEXT(number)));
    if (one_in(game, 4)) {
        change_credit(game, seat);
    }
    OK(profile_when_changes_saved(seat->profile, on_saved, change, free, NULL));
    seat->unsaved++;
}

/* The platform has money from this player. */
static void buy(Game *game, Seat *seat) {
    Receipt receipt;
    Seat *friend_of = &game->seats[draw(game, game->seat_count)];
    memset(&receipt, 0, sizeof receipt);
    snprintf(receipt.id, sizeof receipt.id, "p%u-%u", game->server, ++game->ids);
    receipt.product = draw(game, 10) == 0 ? HAT : GOLD;
    receipt.buyer = receipt.recipient = seat->key;
    if (friend_of->profile != NULL && friend_of != seat && one_in(game, 2)) {
        receipt.product = GIFT;
        receipt.recipient = friend_of->key;
    }
    ask_for(game, add_receipt(game, &receipt), seat);
}

/* The platform asks again, be it that it was not answered or that it has lost the answer. */
static void ask_again(Game *game) {
    Receipt *receipt;
    Seat *buyer;
    if (game->receipt_count == 0) {
        return;
    }
    receipt = game->receipts[draw(game, (int)game->receipt_count)];
    buyer = seat_of(game, receipt->buyer);
    if (buyer != NULL && buyer->session != 0 && receipt->questions < 2) {
        ask_for(game, receipt, buyer);
    }
}

/* Somebody sends something to a player, wherever that one is. */
static void send_note(Game *game) {
    Operation operation;
    if (game->operation_count > 0 && one_in(game, 3)) {
        Operation *old = game->operations[draw(game, (int)game->operation_count)];
        if (old->is_named && old->sends < 2) {
            post(game, old);
        }
        return;
    }
    memset(&operation, 0, sizeof operation);
    snprintf(operation.id, sizeof operation.id, "n%u-%u", game->server, ++game->ids);
    operation.key = draw(game, KEYS);
    operation.is_named = !one_in(game, 4);
    post(game, add_operation(game, &operation));
}

/* Notes that the key is this server's, if it is. */
static void look(Game *game, Seat *seat) {
    double before = monotonic_s();
    int32_t is_available = 0;
    if (seat->profile == NULL || seat->session == 0) {
        return;
    }
    OK(profile_is_available(seat->profile, &is_available));
    if (!is_available) {
        return;
    }
    if (!seat->was_available) {
        note(game, "owns player/%02d %u.%u %.6f %.6f", seat->key, game->server, seat->session, before,
             monotonic_s());
        seat->was_available = 1;
    } else if (before - seat->looked_at > LOOK_PERIOD_S) {
        note(game, "still %u.%u %.6f", game->server, seat->session, before);
    } else {
        return;
    }
    seat->looked_at = before;
}

/* ---- Coming and going -------------------------------------------------------------------- */

/* Most often somebody whom other servers want too, or whom a purchase waits for. */
static int choose_key(Game *game) {
    int chance = draw(game, 10);
    if (chance < 4) {
        return draw(game, HOT_KEYS);
    }
    if (chance < 7 && game->receipt_count > 0) {
        const Receipt *receipt = game->receipts[draw(game, (int)game->receipt_count)];
        return one_in(game, 2) ? receipt->buyer : receipt->recipient;
    }
    return draw(game, KEYS);
}

static void end_guest(Seat *seat) {
    if (seat->guest != NULL) {
        OK(profile_destroy(seat->guest));
        seat->guest = NULL;
    }
}

/* The profile goes. Its session, if it has one still, is released behind it. */
static void stand_up(Game *game, Seat *seat) {
    end_guest(seat);
    if (seat->session != 0) {
        note(game, "left %u.%u", game->server, seat->session);
    }
    OK(profile_destroy(seat->profile));
    seat->profile = NULL;
    seat->session = 0;
}

static void come_or_go(Game *game, Seat *seat) {
    double now = monotonic_s();
    int32_t is_active = 0;
    if (seat->profile == NULL) {
        int key = choose_key(game);
        if (seat_of(game, key) == NULL) {
            sit_down(game, seat, key);
            seat->until = now + 0.05 + some_ms(game, 1500);
        }
        return;
    }
    if (seat->is_finished) {
        stand_up(game, seat);
        return;
    }
    OK(profile_is_active(seat->profile, &is_active));
    if (now < seat->until || !is_active) {
        return;
    }
    if (one_in(game, 4)) {
        stand_up(game, seat);
    } else {
        end_guest(seat);
        OK(profile_end_session(seat->profile));
    }
}

/* A second profile joins the session, or leaves it. */
static void let_guest_in_or_out(Game *game, Seat *seat) {
    char name[16];
    if (seat->guest != NULL) {
        end_guest(seat);
        return;
    }
    snprintf(name, sizeof name, "player/%02d", seat->key);
    OK(easy_store_start_session_reusable(game->store, TEXT(name), NULL, &seat->guest));
}

static void play(Game *game, Seat *seat) {
    int32_t is_active = 0;
    /* First of all, for this server may have been stopped for a long time. */
    look(game, seat);
    come_or_go(game, seat);
    if (seat->profile == NULL || seat->session == 0) {
        return;
    }
    OK(profile_is_active(seat->profile, &is_active));
    if (!is_active) {
        return;
    }
    if (seat->unsaved < UNSAVED_MAX && one_in(game, 8)) {
        make_change(game, seat);
    }
    if (one_in(game, game->calm)) {
        OK(profile_mark_force_save(seat->profile));
    }
    if (one_in(game, 200)) {
        buy(game, seat);
    }
    if (one_in(game, 400)) {
        let_guest_in_or_out(game, seat);
    }
}

static void frame_of(const Game *game) {
    OK(easy_store_update(game->store, monotonic_s()));
    sleep_s(FRAME_S);
}

/* ---- The three things that it can do ------------------------------------------------------- */

/* How much is not answered yet. */
static size_t unanswered(const Game *game) {
    size_t count = 0, at;
    int seat;
    for (at = 0; at < game->receipt_count; at++) {
        count += (size_t)game->receipts[at]->questions;
    }
    for (at = 0; at < game->operation_count; at++) {
        count += (size_t)game->operations[at]->sends;
    }
    for (seat = 0; seat < game->seat_count; seat++) {
        count += game->seats[seat].unsaved;
    }
    return count;
}

static void shut_down(Game *game, double patience_s) {
    SlDrainReport *report = NULL;
    size_t unsaved = 0, unsent = 0;
    OK(easy_store_drain(game->store, patience_s, &report));
    OK(drain_report_unsaved_count(report, &unsaved));
    OK(drain_report_unsent_count(report, &unsent));
    MUST(patience_s < PATIENCE_S || unsaved + unsent == 0, "not all could be saved and sent");
    OK(drain_report_destroy(report));
    OK(easy_store_destroy(game->store));
    MUST(unanswered(game) == 0, "somebody was not answered");
}

static void run_until_stopped(Game *game) {
    size_t at;
    for (at = 0; at < game->operation_count; at++) {
        if (!game->operations[at]->is_sent) {
            post(game, game->operations[at]);
        }
    }
    game->seat_count = SEATS;
    game->calm = one_in(game, 2) ? 1 : 50;
    while (!is_stopping) {
        int seat;
        for (seat = 0; seat < game->seat_count; seat++) {
            play(game, &game->seats[seat]);
        }
        if (one_in(game, 50)) {
            ask_again(game);
        }
        if (one_in(game, 50)) {
            send_note(game);
        }
        frame_of(game);
    }
    /* One in three has not the time to do it properly. */
    shut_down(game, one_in(game, 3) ? some_ms(game, 50) : PATIENCE_S);
}

static void send_all(Game *game) {
    size_t at;
    for (at = 0; at < game->operation_count; at++) {
        post(game, game->operations[at]);
    }
    while (unanswered(game) > 0) {
        frame_of(game);
    }
    for (at = 0; at < game->operation_count; at++) {
        MUST(game->operations[at]->is_sent, "something cannot be sent");
    }
}

static void load_all(Game *game) {
    int at, loaded = 0;
    game->seat_count = KEYS;
    for (at = 0; at < KEYS; at++) {
        sit_down(game, &game->seats[at], at);
    }
    while (loaded < KEYS) {
        frame_of(game);
        loaded = 0;
        for (at = 0; at < KEYS; at++) {
            loaded += game->seats[at].session != 0;
        }
    }
}

static void ask_for_all(Game *game) {
    size_t granted = 0, at;
    while (granted < game->receipt_count) {
        granted = 0;
        for (at = 0; at < game->receipt_count; at++) {
            Receipt *receipt = game->receipts[at];
            granted += receipt->is_granted;
            if (!receipt->is_granted && receipt->questions == 0) {
                ask_for(game, receipt, seat_of(game, receipt->buyer));
            }
        }
        frame_of(game);
    }
}

/* For as long as it takes: whoever has started it knows for how long to wait. */
static void settle(Game *game) {
    send_all(game);
    load_all(game);
    ask_for_all(game);
    shut_down(game, PATIENCE_S);
}

static void dump(const char *where, const char *path) {
    SlStorage *storage = open_storage(where);
    FILE *file = fopen(path, "w");
    int at;
    MUST(file != NULL, "the file cannot be opened");
    for (at = 0; at < KEYS; at++) {
        SlBuffer bytes, revision, user_ids;
        int32_t is_present = 0;
        char key[16];
        snprintf(key, sizeof key, "player/%02d", at);
        OK(locker_storage_fetch(storage, TEXT(key), PATIENCE_S, &is_present, &bytes, &revision,
                                &user_ids));
        if (is_present) {
            fprintf(file, "%s %s\n", key, bytes.data);
        }
        session_locker_buffer_free(&bytes);
        session_locker_buffer_free(&revision);
        session_locker_buffer_free(&user_ids);
    }
    MUST(fclose(file) == 0, "the file cannot be written");
    OK(locker_storage_destroy(storage));
}

int main(int argc, char **argv) {
    static Game game;
    struct sigaction action;
    pthread_t watch;
    int is_settling;
    if (argc == 4 && strcmp(argv[1], "dump") == 0) {
        dump(argv[2], argv[3]);
        return EXIT_SUCCESS;
    }
    MUST(argc == 6 || argc == 7, "server play|settle WHERE LEDGER NUMBER SEED [OTHER-LEDGER]");
#ifdef __linux__
    /* So that it ends with its director while it is stopped, too. */
    MUST(prctl(PR_SET_PDEATHSIG, SIGKILL) == 0, "the director cannot be watched");
#endif
    MUST(pthread_create(&watch, NULL, end_with_director, NULL) == 0, "no thread can be made");
    memset(&action, 0, sizeof action);
    action.sa_handler = on_signal;
    MUST(sigaction(SIGTERM, &action, NULL) == 0, "no signal can be heard");
    game.ledger = open(argv[3], O_WRONLY | O_CREAT | O_EXCL | O_APPEND, 0600);
    MUST(game.ledger >= 0, "the ledger cannot be made");
    game.server = (unsigned)strtoul(argv[4], NULL, 10);
    game.chance = strtoull(argv[5], NULL, 10) | 1;
    is_settling = strcmp(argv[1], "settle") == 0;
    if (argc == 7) {
        take_over(&game, argv[6], is_settling ? 1 : 8);
    }
    open_store(&game, argv[2], is_settling ? SETTLING_TIMES : 1 + draw(&game, 2));
    if (is_settling) {
        settle(&game);
    } else {
        run_until_stopped(&game);
    }
    return EXIT_SUCCESS;
}
