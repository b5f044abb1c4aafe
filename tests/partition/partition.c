/* Two game servers in networks of their own, and between them a storage's server. One of them is cut off
 * while it owns a key, and comes back when the other has it.
 *
 *   partition URL       the storage; run by tests/partition/run, in a network that nobody else uses
 */
#define _GNU_SOURCE /* for unshare */
#include <sched.h>

#include "processes.h"

#define KEY "player/ana"

/* Of a purchase: so much gold. */
#define BOUGHT 100

/* SAVE_PERIOD_S + 2 TIMEOUT_S + the margin, which is TIMEOUT_S, < EXPIRY_S. */
#define SAVE_PERIOD_S 1.0
#define TIMEOUT_S 1.0
#define EXPIRY_S 6.0
#define ASK_AGAIN_S 0.25

/* ---- A game server ------------------------------------------------------------------------- */

typedef struct Server {
    SlEasyStore *store;
    SlProfile *profile;
    SlSaveData *data;
    int questions; /* of the platform, that are not answered */
    /* When it was last seen to be available; 0 if it is not. By the machine's clock. */
    double available_at;
} Server;

/* A purchase that the platform asks for. */
typedef struct Question {
    Server *server;
    char id[16];
} Question;

static void say_time(const char *words, double time) {
    printf("%s: %.6f\n", words, time);
    fflush(stdout);
}

static void on_event(void *user_data, const SlEvent *event) {
    const Server *server = (const Server *)user_data;
    int is_step = event->kind == SL_EVENT_LIFECYCLE;
    if (event->kind == SL_EVENT_LOAD_STATUS &&
        event->load_status == SL_LOAD_STATUS_SESSION_IS_LOCKED) {
        say("is told that the key is locked");
    } else if (is_step && event->lifecycle == SL_LIFECYCLE_REPLACED &&
               event->reason == SL_REASON_LOADED) {
        say_time("has the key at", monotonic_s());
        say_gold("owns the key", server->data);
    } else if (is_step && event->lifecycle == SL_LIFECYCLE_REPLACED &&
               event->reason == SL_REASON_LOST) {
        say("has lost the key");
    } else if (is_step && event->lifecycle == SL_LIFECYCLE_FINISHED) {
        say("has given up the key");
    }
}

static SlStatus process(void *user_data, SlProductOp op, SlProductCall *call) {
    int64_t value = 0;
    (void)user_data;
    switch (op) {
    case SL_PRODUCT_OP_VALIDATE: return SL_OK;
    case SL_PRODUCT_OP_APPLY:
        return save_data_add_i64(call->save_data, TEXT("/Gold"), BOUGHT, &value);
    case SL_PRODUCT_OP_RECORD: return save_data_add_i64(call->save_data, TEXT("/Bought"), 1, &value);
    default: return SL_ERROR_UNSUPPORTED;
    }
}

static void on_answer(void *user_data, int32_t is_granted) {
    Question *question = (Question *)user_data;
    char words[64];
    question->server->questions--;
    snprintf(words, sizeof words, "%s %s", is_granted ? "grants" : "refuses", question->id);
    say_gold(words, question->server->data);
}

static void buy(Server *server, const char *id) {
    Question *question = (Question *)calloc(1, sizeof *question);
    SlReceiptInfo info;
    MUST(question != NULL, "no memory");
    question->server = server;
    snprintf(question->id, sizeof question->id, "%s", id);
    OK(session_locker_receipt_info_init(&info, sizeof info));
    info.purchase_id = question->id;
    info.product_id = 1;
    server->questions++;
    OK(profile_call_when_product_is_processed_and_saved(server->profile, process, &info, on_answer,
                                                        question, free));
}

static void on_saved(void *user_data, int32_t outcome) {
    (void)user_data;
    say(outcome == SL_OUTCOME_SAVED ? "has saved" : "could not save");
}

static int obey(void *role, const char *command) {
    Server *server = (Server *)role;
    int64_t gold = 0;
    if (strcmp(command, "join") == 0) {
        OK(easy_store_start_session(server->store, TEXT(KEY), NULL, &server->profile));
        OK(profile_get_save_data(server->profile, &server->data));
    } else if (strncmp(command, "earn ", 5) == 0) {
        OK(save_data_add_i64(server->data, TEXT("/Gold"), atoi(command + 5), &gold));
        OK(profile_mark_force_save(server->profile));
        OK(profile_when_changes_saved(server->profile, on_saved, NULL, NULL, NULL));
    } else if (strncmp(command, "buy ", 4) == 0) {
        buy(server, command + 4);
    } else if (strcmp(command, "leave") == 0) {
        OK(profile_end_session(server->profile));
    } else {
        MUST(strcmp(command, "stop") == 0, "a command that no server knows");
        return 0;
    }
    return 1;
}

/* Says it when the key is not its own any more. */
static void look(Server *server) {
    double before = monotonic_s();
    int32_t is_available = 0;
    if (server->profile == NULL) {
        return;
    }
    OK(profile_is_available(server->profile, &is_available));
    if (is_available) {
        server->available_at = before;
    } else if (server->available_at > 0.0) {
        say_time("is not available any more, and was at", server->available_at);
        server->available_at = 0.0;
    }
}

/* Into a network of its own, which the director connects with the storage's. */
static int leave_network(void *role, const char *command) {
    (void)role;
    MUST(strcmp(command, "connected") == 0, "a network is not connected");
    return 0;
}

static int run_server(const char *name, const char *url) {
    Server server;
    SlStorage *storage = NULL;
    SlEasyStoreConfig config;
    memset(&server, 0, sizeof server);
    MUST(unshare(CLONE_NEWNET) == 0, "no network can be made");
    say("is in a network of its own");
    while (take_commands(leave_network, NULL)) {
        sleep_s(0.005);
    }
    OK(locker_storage_open(TEXT(url), &storage));
    OK(easy_store_config_init(&config, sizeof config));
    config.template_json = "{\"Gold\":0,\"Bought\":0}";
    config.job_id = name;
    config.maintain_session_period = SAVE_PERIOD_S;
    config.request_timeout = TIMEOUT_S;
    config.session_expiry = EXPIRY_S;
    config.session_retry_cooldown = ASK_AGAIN_S;
    config.session_retry_ceiling = ASK_AGAIN_S;
    config.event = on_event;
    config.user_data = &server;
    OK(easy_store_create(storage, &config, &server.store));
    OK(locker_storage_destroy(storage));
    while (take_commands(obey, &server)) {
        look(&server);
        frame(server.store);
    }
    OK(easy_store_drain(server.store, PATIENCE_S, NULL));
    OK(easy_store_destroy(server.store));
    MUST(server.questions == 0, "a purchase was never answered");
    say("has shut down");
    return EXIT_SUCCESS;
}

/* ---- The director ------------------------------------------------------------------------ */

static void run(const char *format, const char *side, long number) {
    char command[256];
    snprintf(command, sizeof command, format, side, number);
    MUST(system(command) == 0, command);
}

/* Connects the network of a process with this one. `side` is 1 or 2, and part of its address. */
static void connect_network(const Process *process, const char *side) {
    long pid = (long)process->pid;
    run("ip link add game%s type veth peer name eth0 netns %ld", side, pid);
    run("ip address add 10.117.%s.1/30 dev game%1$s", side, 0);
    run("ip link set game%s up", side, 0);
    run("nsenter --net --target %2$ld ip address add 10.117.%1$s.2/30 dev eth0", side, pid);
    run("nsenter --net --target %2$ld ip link set eth0 up", side, pid);
    run("nsenter --net --target %2$ld ip route add default via 10.117.%1$s.1", side, pid);
}

static void begin(Process *process, const char *program, const char *name, const char *url,
                  const char *side) {
    start(process, program, "--server", name, url);
    hear(process, "is in a network of its own");
    connect_network(process, side);
    tell(process, "connected");
    tell(process, "join");
}

/* Hears the process, until it tells the time of this. */
static double hear_time(Process *process, const char *words) {
    double deadline = monotonic_s() + PATIENCE_S;
    size_t length = strlen(words);
    for (;;) {
        char line[512];
        while (next_line(process, line, sizeof line)) {
            if (strncmp(line, words, length) == 0 && line[length] == ':') {
                return atof(line + length + 1);
            }
        }
        MUST(hear_more(process, deadline), "a process has ended too early");
    }
}

/* Everything that was bought is there, once. */
static void check_stored(const char *url) {
    SlSaveData *data;
    size_t purchases = 0;
    printf("\nIn the storage there is now:\n");
    data = stored(url, KEY);
    MUST(data != NULL && !has(data, "/Session"), "the record still has an owner");
    OK(save_data_length(data, TEXT("/Purchases"), &purchases));
    MUST(purchases == 2 && integer_at(data, "/Bought") == 2, "a purchase is missing, or twice there");
    MUST(integer_at(data, "/Gold") == 2 * BOUGHT + 20, "the gold is wrong");
    OK(save_data_destroy(data));
}

int main(int argc, char **argv) {
    Process a, b;
    double was_available, had_key;
    if (argc == 4 && strcmp(argv[1], "--server") == 0) {
        return run_server(argv[2], argv[3]);
    }
    MUST(argc == 2, "partition URL");

    begin(&a, argv[0], "Server A", argv[1], "1");
    hear(&a, "owns the key: 0 gold");
    tell(&a, "buy p1");
    hear(&a, "grants p1: 100 gold");
    begin(&b, argv[0], "Server B", argv[1], "2");
    hear(&b, "is told that the key is locked");

    printf("\nThe network of server A is cut. It does not know that, and goes on.\n");
    run("ip link set game%s down", "1", 0);
    tell(&a, "earn 7");
    tell(&a, "buy p2");
    had_key = hear_time(&b, "has the key at");
    hear(&b, "owns the key: 100 gold");
    was_available = hear_time(&a, "is not available any more, and was at");
    printf("  Server A was last available %.2f s before server B got the key.\n",
           had_key - was_available);
    MUST(was_available < had_key, "two servers had the key");

    printf("\nThe platform, which has no answer, asks server B.\n");
    tell(&b, "buy p2");
    hear(&b, "grants p2: 200 gold");
    tell(&b, "earn 20");
    hear(&b, "has saved");

    printf("\nThe network of server A is whole again. What it sent comes late, and is refused.\n");
    run("ip link set game%s up", "1", 0);
    hear(&a, "has lost the key");
    tell(&b, "leave");
    hear(&b, "has given up the key");
    stop(&b);
    hear(&a, "owns the key: 220 gold");
    tell(&a, "buy p1");
    hear(&a, "grants p1: 220 gold");
    tell(&a, "buy p2");
    hear(&a, "grants p2: 220 gold");
    tell(&a, "leave");
    hear(&a, "has given up the key");
    stop(&a);
    check_stored(argv[1]);
    return EXIT_SUCCESS;
}
