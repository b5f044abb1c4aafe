/* Two game servers, two real processes, one database file: who owns a player's key.
 *
 *   two_servers [STORAGE-URL]
 *
 * This process directs: it starts this very program twice as a server, tells each through a pipe
 * what its players do, and hears through another what comes of it. A server runs a frame loop and
 * knows nothing of the other one; all that they share is the storage.
 */
#include "example.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/types.h>
#include <sys/wait.h>

#define KEY "player/ana"

/* Real servers keep the defaults: saves at least every 300 s, expiry 1800 s. Here everything is
 * short, so that nobody has to wait. SAVE_PERIOD_S + 2 TIMEOUT_S + TIMEOUT_S < EXPIRY_S. */
#define SAVE_PERIOD_S 0.5
#define TIMEOUT_S 0.5
#define EXPIRY_S 3.0
#define ASK_AGAIN_S 0.25

/* ---- A server ---------------------------------------------------------------------------- */

typedef struct Server {
    SlEasyStore *store;
    SlProfile *profile; /* NULL while the player is not here */
    SlSaveData *data;
    int is_leaving;
    int is_stopping;
} Server;

/* Says one line to the director. */
static void say(const char *words) {
    printf("%s\n", words);
    fflush(stdout);
}

static void say_gold(const char *words, const SlSaveData *data) {
    printf("%s: %lld gold\n", words, integer_at(data, "/Gold"));
    fflush(stdout);
}

static void on_event(void *user_data, const SlEvent *event) {
    Server *server = (Server *)user_data;
    int is_status = event->kind == SL_EVENT_LOAD_STATUS;
    int is_step = event->kind == SL_EVENT_LIFECYCLE;
    if (is_status && event->load_status == SL_LOAD_STATUS_SESSION_IS_LOCKED) {
        say("is told that the key is locked, and asks again and again");
    } else if (is_step && event->reason == SL_REASON_LOADED) {
        say_gold("owns the key", server->data);
    } else if (is_step && event->reason == SL_REASON_LOST) {
        say("has lost the key");
    } else if (is_step && event->lifecycle == SL_LIFECYCLE_FINISHED) {
        server->is_leaving = 2;
    } else if (event->kind == SL_EVENT_ERROR) {
        printf("reports an error: %.*s\n", (int)event->text.length, event->text.data);
        fflush(stdout);
    }
}

static void on_saved(void *user_data, int32_t outcome) {
    (void)user_data;
    say(outcome == SL_OUTCOME_SAVED ? "has saved" : "could not save");
}

static SlEasyStore *make_store(const char *url, const char *name, Server *server) {
    SlStorage *storage = NULL;
    SlEasyStore *store = NULL;
    SlEasyStoreConfig config;
    OK(locker_storage_open(TEXT(url), &storage));
    OK(easy_store_config_init(&config, sizeof config));
    config.template_json = "{\"Gold\":0}";
    config.job_id = name;
    config.maintain_session_period = SAVE_PERIOD_S;
    config.request_timeout = TIMEOUT_S;
    config.session_expiry = EXPIRY_S;
    config.session_retry_cooldown = ASK_AGAIN_S;
    config.session_retry_ceiling = ASK_AGAIN_S;
    config.event = on_event;
    config.user_data = server;
    OK(easy_store_create(storage, &config, &store));
    OK(locker_storage_destroy(storage)); /* the store keeps it open */
    return store;
}

static void obey(Server *server, const char *command) {
    int64_t gold = 0;
    if (strcmp(command, "join") == 0) {
        OK(easy_store_start_session(server->store, TEXT(KEY), NULL, &server->profile));
        OK(profile_get_save_data(server->profile, &server->data));
    } else if (strncmp(command, "earn ", 5) == 0) {
        OK(save_data_add_i64(server->data, TEXT("/Gold"), atoi(command + 5), &gold));
        say_gold("has more gold, in memory", server->data);
    } else if (strcmp(command, "save") == 0) {
        OK(profile_mark_force_save(server->profile));
        OK(profile_when_changes_saved(server->profile, on_saved, NULL, NULL, NULL));
    } else if (strcmp(command, "leave") == 0) {
        server->is_leaving = 1;
        OK(profile_end_session(server->profile));
    } else {
        MUST(strcmp(command, "stop") == 0, "a command that no server knows");
        server->is_stopping = 1;
    }
}

/* Takes the director's next commands, without waiting for any. Its end ends the server too. */
static void take_commands(Server *server) {
    static char line[64];
    static size_t length = 0;
    struct pollfd input;
    input.fd = STDIN_FILENO;
    input.events = POLLIN;
    while (!server->is_stopping && poll(&input, 1, 0) > 0) {
        char byte;
        if (read(STDIN_FILENO, &byte, 1) != 1) {
            server->is_stopping = 1;
        } else if (byte != '\n') {
            MUST(length + 1 < sizeof line, "a command that is too long");
            line[length++] = byte;
        } else {
            line[length] = '\0';
            length = 0;
            obey(server, line);
        }
    }
}

static int run_server(const char *name, const char *url) {
    Server server;
    SlDrainReport *report = NULL;
    size_t left = 0;
    memset(&server, 0, sizeof server);
    server.store = make_store(url, name, &server);
    while (!server.is_stopping) {
        take_commands(&server);
        frame(server.store);
        if (server.is_leaving == 2) {
            OK(profile_destroy(server.profile));
            server.is_leaving = 0;
            say("has saved and given up the key");
        }
    }
    OK(easy_store_drain(server.store, PATIENCE_S, &report));
    OK(drain_report_count(report, &left));
    MUST(left == 0, "a session could not be released in time");
    OK(drain_report_destroy(report));
    OK(easy_store_destroy(server.store));
    say("has shut down");
    return EXIT_SUCCESS;
}

/* ---- The director ------------------------------------------------------------------------ */

/* A server as the director sees it. */
typedef struct Process {
    const char *name;
    pid_t pid;
    int commands;
    int words;
    char heard[4096];
    size_t length;
} Process;

static void keep_from_children(int file) {
    MUST(fcntl(file, F_SETFD, FD_CLOEXEC) == 0, "a pipe cannot be set up");
}

static void start(Process *server, const char *name, const char *program, const char *url) {
    int commands[2], words[2];
    printf("\n%s starts.\n", name);
    fflush(stdout);
    memset(server, 0, sizeof *server);
    MUST(pipe(commands) == 0 && pipe(words) == 0, "no pipe can be made");
    keep_from_children(commands[1]);
    keep_from_children(words[0]);
    server->name = name;
    server->commands = commands[1];
    server->words = words[0];
    server->pid = fork();
    MUST(server->pid >= 0, "no process can be started");
    if (server->pid == 0) {
        dup2(commands[0], STDIN_FILENO);
        dup2(words[1], STDOUT_FILENO);
        close(commands[0]);
        close(words[1]);
        execlp(program, program, "--server", name, url, (char *)NULL);
        perror(program);
        _exit(EXIT_FAILURE);
    }
    close(commands[0]);
    close(words[1]);
}

static void tell(const Process *server, const char *command) {
    char line[64];
    int length = snprintf(line, sizeof line, "%s\n", command);
    MUST(write(server->commands, line, (size_t)length) == length, "a server does not listen");
}

/* Takes the server's next line if there is a whole one. */
static int next_line(Process *server, char *line, size_t capacity) {
    char *end = (char *)memchr(server->heard, '\n', server->length);
    size_t length;
    if (end == NULL) {
        return 0;
    }
    length = (size_t)(end - server->heard);
    MUST(length < capacity, "a line that is too long");
    memcpy(line, server->heard, length);
    line[length] = '\0';
    server->length -= length + 1;
    memmove(server->heard, end + 1, server->length);
    return 1;
}

/* Hears what the server says, until it says `words`. A line that begins like them, up to the
 * colon, must be them. */
static void hear(Process *server, const char *words) {
    const char *colon = strchr(words, ':');
    size_t begins = colon == NULL ? strlen(words) : (size_t)(colon - words);
    double deadline = monotonic_s() + PATIENCE_S;
    for (;;) {
        char line[512];
        struct pollfd output;
        while (next_line(server, line, sizeof line)) {
            printf("  %s %s\n", server->name, line);
            fflush(stdout);
            if (strncmp(line, words, begins) == 0) {
                if (strcmp(line, words) != 0) {
                    fprintf(stderr, "it should be: %s\n", words);
                }
                MUST(strcmp(line, words) == 0, "a server says something else");
                return;
            }
            MUST(strcmp(line, "has lost the key") != 0, "a server has lost its key");
        }
        output.fd = server->words;
        output.events = POLLIN;
        if (poll(&output, 1, 100) > 0) {
            ssize_t got = read(server->words, server->heard + server->length,
                               sizeof server->heard - server->length);
            MUST(got > 0, "a server has ended too early");
            server->length += (size_t)got;
        }
        MUST(monotonic_s() < deadline, "a server says nothing more");
    }
}

/* Waits until the process has ended, and gives how. */
static int end_of(Process *server) {
    int status = 0;
    pid_t ended;
    close(server->commands);
    do {
        ended = waitpid(server->pid, &status, 0);
    } while (ended < 0 && errno == EINTR);
    MUST(ended == server->pid, "a server cannot be waited for");
    close(server->words);
    return status;
}

static void stop(Process *server) {
    int status;
    tell(server, "stop");
    hear(server, "has shut down");
    status = end_of(server);
    MUST(WIFEXITED(status) && WEXITSTATUS(status) == EXIT_SUCCESS, "a server has failed");
}

/* The story below begins with a player whom nobody has seen yet. */
static void check_nothing_is_stored(const char *url) {
    SlStorage *storage = NULL;
    SlBuffer bytes;
    OK(locker_storage_open(TEXT(url), &storage));
    printf("In the storage there is:\n");
    show_record(storage, KEY, &bytes);
    MUST(bytes.length == 0, "Ana has a record already: this example wants an empty storage");
    session_locker_buffer_free(&bytes);
    OK(locker_storage_destroy(storage));
}

static void show_stored(const char *url, long long gold) {
    SlStorage *storage = NULL;
    SlSaveData *data = NULL;
    SlBuffer bytes;
    int32_t is_owned = 1;
    printf("\nIn the database there is now:\n");
    OK(locker_storage_open(TEXT(url), &storage));
    show_record(storage, KEY, &bytes);
    OK(save_data_parse(bytes.data, bytes.length, &data));
    MUST(integer_at(data, "/Gold") == gold, "the gold in the database is wrong");
    OK(save_data_contains(data, TEXT("/Session"), &is_owned));
    MUST(!is_owned, "the record still has an owner");
    session_locker_buffer_free(&bytes);
    OK(save_data_destroy(data));
    OK(locker_storage_destroy(storage));
}

int main(int argc, char **argv) {
    const char *url;
    Process a, b;
    double last_save_from, waited;
    int status;
    if (argc == 4 && strcmp(argv[1], "--server") == 0) {
        return run_server(argv[2], argv[3]);
    }
    url = storage_url(argc, argv);
    signal(SIGPIPE, SIG_IGN);
    printf("Two servers share %s\n", url);
    check_nothing_is_stored(url);

    start(&a, "Server A", argv[0], url);
    printf("Ana joins it.\n");
    tell(&a, "join");
    hear(&a, "owns the key: 0 gold");
    tell(&a, "earn 100");
    hear(&a, "has more gold, in memory: 100 gold");

    start(&b, "Server B", argv[0], url);
    printf("Ana turns up there, before server A has let her go.\n");
    tell(&b, "join");
    hear(&b, "is told that the key is locked, and asks again and again");

    printf("\nServer A lets Ana go, and stops.\n");
    tell(&a, "leave");
    hear(&a, "has saved and given up the key");
    stop(&a);
    hear(&b, "owns the key: 100 gold");
    tell(&b, "earn 20");
    hear(&b, "has more gold, in memory: 120 gold");
    tell(&b, "leave");
    hear(&b, "has saved and given up the key");

    start(&a, "Server A", argv[0], url);
    printf("Ana joins it again, and turns up on server B too.\n");
    tell(&a, "join");
    hear(&a, "owns the key: 120 gold");
    tell(&b, "join");
    hear(&b, "is told that the key is locked, and asks again and again");
    tell(&a, "earn 30");
    hear(&a, "has more gold, in memory: 150 gold");
    last_save_from = monotonic_s();
    tell(&a, "save");
    hear(&a, "has saved");

    printf("\nServer A is killed with SIGKILL: it can save nothing and release nothing.\n");
    MUST(kill(a.pid, SIGKILL) == 0, "server A cannot be killed");
    status = end_of(&a);
    MUST(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL, "server A ended by itself");
    hear(&b, "owns the key: 150 gold");
    waited = monotonic_s() - last_save_from;
    printf("  That was %.1f s after the last save of server A; a session expires %.1f s after it.\n",
           waited, EXPIRY_S);
    MUST(waited >= EXPIRY_S, "server B has got the key too early");
    tell(&b, "leave");
    hear(&b, "has saved and given up the key");
    stop(&b);

    show_stored(url, 150);
    return EXIT_SUCCESS;
}
