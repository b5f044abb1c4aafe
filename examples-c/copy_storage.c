/* Copies every record of one storage into another: the way of a game from one machine to a cluster,
 * or back.
 *
 *   copy_storage FROM TO     two storage URLs, such as sqlite:saves.db and postgres://...
 *   copy_storage             shows what it does, on storages of its own
 *
 * Stop the game servers first. A record is written only where there is none, with its users, and then
 * read again and compared, byte for byte. One that a session owns is refused, for its server still
 * has what belongs into it; so is one that the other storage has already with other contents. These
 * are named, the rest is copied all the same, and the status at the end is not 0. What is there
 * already and equal counts as copied, so an interrupted copy is simply begun again. Nothing is
 * written to the storage that is copied from. What was erased there is not copied; if it is erased
 * while this runs and the other storage has it, that is said, and left to you.
 */
#include "example.h"

#include <pthread.h>
#include <sys/stat.h>

/* How many records are under way at a time: a thread for each, since the functions for tools block. */
#define IN_FLIGHT 32
/* How many keys are listed at a time. */
#define PAGE 1000
/* How often a record is tried while a storage fails, and how long it is left alone in between. */
#define ATTEMPTS 6
#define PAUSE_S 1.0
/* The longest path of a database. */
#define PATH_SIZE 4096
/* How long a session lasts whose record does not say it, and by how much clocks may be apart. */
#define SESSION_EXPIRY_S 1800.0
#define CLOCK_TOLERANCE_S 300.0

/* What becomes of a record. */
typedef enum Fate {
    COPIED,
    ALREADY_THERE,
    GONE,      /* erased since it was listed */
    LEFT_OVER, /* erased since it was listed, and the other storage has it */
    OWNED,
    IN_THE_WAY,
    FAILED,
    FATES,
    /* Not known yet, and to be tried once more: */
    AGAIN,  /* a storage has failed */
    CHANGED /* the original was changed since it was read */
} Fate;

typedef struct Copy {
    SlStorage *from;
    SlStorage *to;
    /* Guards what follows. */
    pthread_mutex_t lock;
    SlSaveData *page;
    size_t page_length;
    size_t next;
    size_t fates[FATES];
    double bytes;
} Copy;

typedef struct Record {
    int32_t is_present;
    SlBuffer bytes;
    SlBuffer revision;
    SlBuffer user_ids;
} Record;

/* ---- Records ----------------------------------------------------------------------------- */

static SlStatus fetch(const SlStorage *storage, const SlBuffer *key, Record *record) {
    memset(record, 0, sizeof *record);
    return locker_storage_fetch(storage, key->data, key->length, PATIENCE_S, &record->is_present,
                                &record->bytes, &record->revision, &record->user_ids);
}

static void free_record(Record *record) {
    session_locker_buffer_free(&record->bytes);
    session_locker_buffer_free(&record->revision);
    session_locker_buffer_free(&record->user_ids);
}

static int are_equal(const SlBuffer *one, const SlBuffer *other) {
    return one->length == other->length && memcmp(one->data, other->data, one->length) == 0;
}

static int have_the_same(const Record *one, const Record *other) {
    return one->is_present && other->is_present && are_equal(&one->bytes, &other->bytes) &&
           are_equal(&one->user_ids, &other->user_ids);
}

/* A JSON array of strings, to be read with `text_at`. */
static SlSaveData *read_list(const SlBuffer *json, size_t *length) {
    SlSaveData *list = NULL;
    OK(save_data_create(TEXT("{}"), &list));
    OK(save_data_set_json(list, TEXT("/List"), json->data, json->length));
    OK(save_data_length(list, TEXT("/List"), length));
    return list;
}

static SlBuffer text_at(const SlSaveData *list, size_t at) {
    char pointer[32];
    SlBuffer text;
    snprintf(pointer, sizeof pointer, "/List/%lu", (unsigned long)at);
    OK(save_data_get_string(list, TEXT(pointer), &text));
    return text;
}

/* Writes what `record` has if the key is still at `expected`. */
static SlStatus write_copy(const SlStorage *storage, const SlBuffer *key, const Record *record,
                           const SlBuffer *expected, SlBuffer *revision) {
    SlBuffer ids[64]; /* no record has more */
    SlText users[64];
    size_t count = 0, at;
    SlSaveData *list = read_list(&record->user_ids, &count);
    SlStatus status;
    MUST(count <= sizeof ids / sizeof ids[0], "a record with too many users");
    for (at = 0; at < count; at++) {
        ids[at] = text_at(list, at);
        users[at].data = ids[at].data;
        users[at].length = ids[at].length;
    }
    status = locker_storage_commit(storage, key->data, key->length, record->bytes.data,
                                   record->bytes.length, users, count, expected->data,
                                   expected->length, PATIENCE_S, revision);
    for (at = 0; at < count; at++) {
        session_locker_buffer_free(&ids[at]);
    }
    OK(save_data_destroy(list));
    return status;
}

/* ---- Owners ------------------------------------------------------------------------------ */

static void say(const SlBuffer *key, const char *words) {
    printf("  %.*s: %s\n", (int)key->length, key->data, words);
    fflush(stdout);
}

/* Says what the last call of this thread has met. */
static void say_error(const SlBuffer *key) {
    char message[512];
    session_locker_last_error(message, sizeof message);
    say(key, message);
}

/* Whether the session of a document has not expired; `words` says whose it is. */
static int is_alive(const SlSaveData *document, char *words, size_t capacity) {
    double stamp = 0.0, expiry = SESSION_EXPIRY_S;
    double age;
    SlBuffer server;
    int32_t has_session = 0;
    OK(save_data_contains(document, TEXT("/Session"), &has_session));
    if (!has_session) {
        return 0;
    }
    OK(save_data_get_f64(document, TEXT("/Session/UpdatedAt"), &stamp));
    save_data_get_f64(document, TEXT("/Session/Expiry"), &expiry); /* not every document has it */
    OK(save_data_get_string(document, TEXT("/Session/JobId"), &server));
    age = wall_s() - stamp;
    snprintf(words, capacity, "refused, for the server \"%.*s\" has it; it saved %.0f s ago",
             (int)server.length, server.data, age > 0.0 ? age : 0.0);
    session_locker_buffer_free(&server);
    return age < expiry + CLOCK_TOLERANCE_S;
}

/* Whether a value speaks of a session, in whatever way. */
static int mentions_session(const SlBuffer *bytes) {
    static const char NAME[] = "\"Session\"";
    size_t length = sizeof NAME - 1, at;
    for (at = 0; at + length <= bytes->length; at++) {
        if (memcmp(bytes->data + at, NAME, length) == 0) {
            return 1;
        }
    }
    return 0;
}

/* Whether a session owns a record, or may: then it is said. What is no save data and speaks of no session
 * is copied as it is. */
static int is_owned(const SlBuffer *key, const Record *record) {
    SlSaveData *document = NULL;
    char words[512];
    int owned;
    SlStatus status = save_data_parse(record->bytes.data, record->bytes.length, &document);
    if (status != SL_OK && (status == SL_ERROR_TOO_LARGE || mentions_session(&record->bytes))) {
        say(key, "refused, for it cannot be seen whether a session has it");
        return 1;
    }
    if (status != SL_OK) {
        return 0;
    }
    owned = is_alive(document, words, sizeof words);
    OK(save_data_destroy(document));
    if (owned) {
        say(key, words);
    }
    return owned;
}

/* ---- One record -------------------------------------------------------------------------- */

/* After an equal copy was found: what it is equal to may be the original no more. */
static Fate confirm(const Copy *copy, const SlBuffer *key, const Record *original) {
    Record now;
    int is_unchanged;
    if (fetch(copy->from, key, &now) != SL_OK) {
        return AGAIN;
    }
    is_unchanged = now.is_present && are_equal(&original->revision, &now.revision);
    free_record(&now);
    return is_unchanged ? ALREADY_THERE : CHANGED;
}

/* After a copy was written: it must read as it was written, and the original must not have been
 * changed meanwhile. Otherwise the copy goes again, if it is still ours. */
static Fate verify(const Copy *copy, const SlBuffer *key, const Record *original,
                   const SlBuffer *written) {
    Record there, now;
    SlBuffer erased;
    int is_same = 0, is_unchanged = 0;
    SlStatus status = fetch(copy->to, key, &there);
    if (status == SL_OK) {
        is_same = have_the_same(original, &there);
        free_record(&there);
        status = fetch(copy->from, key, &now);
    }
    if (status == SL_OK) {
        is_unchanged = now.is_present && are_equal(&original->revision, &now.revision);
        free_record(&now);
    }
    if (status != SL_OK || (is_same && is_unchanged)) {
        return status == SL_OK ? COPIED : AGAIN;
    }
    say(key, is_same ? "changed while it was copied: a game server is running"
                     : "the copy is not what was written");
    status = locker_storage_erase(copy->to, key->data, key->length, written->data, written->length,
                                  PATIENCE_S, &erased);
    if (status != SL_OK) {
        say(key, "and the copy could not be taken back: erase it before you begin again");
        return FAILED;
    }
    session_locker_buffer_free(&erased);
    return FAILED;
}

/* Copies a record that nobody owns to where there may be one already. */
static Fate copy_free_record(const Copy *copy, const SlBuffer *key, const Record *original) {
    Record there;
    SlBuffer written;
    SlStatus status;
    Fate fate = AGAIN;
    if (fetch(copy->to, key, &there) != SL_OK) {
        return AGAIN;
    }
    if (there.is_present) {
        fate = have_the_same(original, &there) ? confirm(copy, key, original) : IN_THE_WAY;
        free_record(&there);
        return fate;
    }
    /* One that fails may have been written, or may still be: then it is found there, or this one's
     * revision is not expected any more. Never are there two. */
    status = write_copy(copy->to, key, original, &there.revision, &written);
    if (status == SL_OK) {
        fate = verify(copy, key, original, &written);
        session_locker_buffer_free(&written);
    }
    free_record(&there);
    return fate;
}

/* What becomes of a record that was erased: an earlier copy of it is not erased here, for what the other
 * storage has under that key may also be somebody else's. */
static Fate look_for_copy(const Copy *copy, const SlBuffer *key) {
    Record there;
    int is_left_over;
    if (fetch(copy->to, key, &there) != SL_OK) {
        return AGAIN;
    }
    is_left_over = there.is_present;
    free_record(&there);
    return is_left_over ? LEFT_OVER : GONE;
}

static Fate try_record(const Copy *copy, const SlBuffer *key, double *bytes) {
    Record original;
    Fate fate;
    if (fetch(copy->from, key, &original) != SL_OK) {
        return AGAIN;
    }
    if (!original.is_present) {
        fate = look_for_copy(copy, key);
    } else if (is_owned(key, &original)) {
        fate = OWNED;
    } else {
        fate = copy_free_record(copy, key, &original);
    }
    *bytes = fate == COPIED ? (double)original.bytes.length : 0.0;
    free_record(&original);
    return fate;
}

static Fate copy_record(const Copy *copy, const SlBuffer *key, double *bytes) {
    int attempt;
    for (attempt = 1; attempt <= ATTEMPTS; attempt++) {
        Fate fate = try_record(copy, key, bytes);
        if (fate == IN_THE_WAY) {
            say(key, "refused, for it is there already with other contents");
        }
        if (fate == LEFT_OVER) {
            say(key, "erased meanwhile, and the other storage has it still: erase it there too");
        }
        if (fate < FATES) {
            return fate;
        }
        if (fate == CHANGED) {
            say(key, "changed while it was compared: a game server is running");
        } else {
            say_error(key);
        }
        sleep_s(PAUSE_S);
    }
    return FAILED;
}

/* ---- All records ------------------------------------------------------------------------- */

/* One of the threads that share the keys of a page. */
static void *copy_some(void *shared) {
    Copy *copy = (Copy *)shared;
    pthread_mutex_lock(&copy->lock);
    while (copy->next < copy->page_length) {
        SlBuffer key = text_at(copy->page, copy->next++);
        double bytes = 0.0;
        Fate fate;
        pthread_mutex_unlock(&copy->lock);
        fate = copy_record(copy, &key, &bytes);
        session_locker_buffer_free(&key);
        pthread_mutex_lock(&copy->lock);
        copy->fates[fate]++;
        copy->bytes += bytes;
    }
    pthread_mutex_unlock(&copy->lock);
    return NULL;
}

static void copy_page(Copy *copy) {
    pthread_t threads[IN_FLIGHT];
    size_t at;
    copy->next = 0;
    for (at = 0; at < IN_FLIGHT; at++) {
        MUST(pthread_create(&threads[at], NULL, copy_some, copy) == 0, "no thread can be made");
    }
    for (at = 0; at < IN_FLIGHT; at++) {
        MUST(pthread_join(threads[at], NULL) == 0, "a thread cannot be waited for");
    }
}

/* Lists the keys behind `last`, which becomes the last of them. 0 if there are none. */
static int next_page(Copy *copy, SlBuffer *last) {
    SlBuffer keys;
    if (copy->page != NULL) {
        OK(save_data_destroy(copy->page));
        copy->page = NULL;
    }
    OK(locker_storage_list(copy->from, NULL, 0, last->data, last->length, PAGE, PATIENCE_S, &keys));
    copy->page = read_list(&keys, &copy->page_length);
    session_locker_buffer_free(&keys);
    session_locker_buffer_free(last);
    if (copy->page_length == 0) {
        OK(save_data_destroy(copy->page));
        return 0;
    }
    *last = text_at(copy->page, copy->page_length - 1);
    return 1;
}

/* Copies everything; 1 if all of it is there then. */
static int copy_all(SlStorage *from, SlStorage *to, size_t fates[FATES]) {
    Copy copy;
    SlBuffer last;
    size_t keys = 0;
    double begun = monotonic_s();
    memset(&copy, 0, sizeof copy);
    memset(&last, 0, sizeof last);
    copy.from = from;
    copy.to = to;
    MUST(pthread_mutex_init(&copy.lock, NULL) == 0, "no mutex can be made");
    while (next_page(&copy, &last)) {
        copy_page(&copy);
        keys += copy.page_length;
        printf("  %lu keys, %.1f MB copied, %.0f s\n", (unsigned long)keys, copy.bytes / 1e6,
               monotonic_s() - begun);
        fflush(stdout);
    }
    pthread_mutex_destroy(&copy.lock);
    memcpy(fates, copy.fates, sizeof copy.fates);
    printf("  copied: %lu, there already: %lu, erased meanwhile: %lu\n"
           "  refused: %lu owned by sessions, %lu there with other contents; failed: %lu\n"
           "  erased meanwhile, and still in the other storage: %lu\n",
           (unsigned long)fates[COPIED], (unsigned long)fates[ALREADY_THERE],
           (unsigned long)fates[GONE], (unsigned long)fates[OWNED],
           (unsigned long)fates[IN_THE_WAY], (unsigned long)fates[FAILED],
           (unsigned long)fates[LEFT_OVER]);
    if (keys == 0) {
        printf("  There are no keys: is this the right storage?\n");
    }
    return keys > 0 && fates[OWNED] + fates[IN_THE_WAY] + fates[FAILED] + fates[LEFT_OVER] == 0;
}

/* The path in a URL of SQLite; 0 if it is one of something else. */
static int path_of(const char *url, char *path, size_t size) {
    const char *begin = url + strlen("sqlite:");
    if (strncmp(url, "sqlite:", strlen("sqlite:")) != 0) {
        return 0;
    }
    MUST(strcspn(begin, "?") < size, "the path of a database is too long");
    snprintf(path, size, "%.*s", (int)strcspn(begin, "?"), begin);
    return 1;
}

/* Opening would make a database that is not there. */
static void must_be_there(const char *url) {
    char path[PATH_SIZE];
    MUST(!path_of(url, path, sizeof path) || access(path, R_OK) == 0,
         "there is no database to copy from");
}

/* One database has many names: paths, symbolic links, hard links. Of servers this cannot be seen. */
static void must_be_two(const char *from_url, const char *to_url) {
    char from[PATH_SIZE], to[PATH_SIZE];
    struct stat one, other;
    MUST(strcmp(from_url, to_url) != 0, "a storage is not copied into itself");
    if (path_of(from_url, from, sizeof from) && path_of(to_url, to, sizeof to) &&
        stat(from, &one) == 0 && stat(to, &other) == 0) {
        MUST(one.st_dev != other.st_dev || one.st_ino != other.st_ino,
             "both URLs name the same database: a storage is not copied into itself");
    }
}

/* The tool. */
static int copy_urls(const char *from_url, const char *to_url) {
    SlStorage *from = NULL, *to = NULL;
    size_t fates[FATES];
    int is_all_there;
    must_be_two(from_url, to_url);
    must_be_there(from_url);
    OK(locker_storage_open(TEXT(from_url), &from));
    OK(locker_storage_open(TEXT(to_url), &to));
    is_all_there = copy_all(from, to, fates);
    OK(locker_storage_destroy(from));
    OK(locker_storage_destroy(to));
    return is_all_there;
}

/* ---- What it does, shown ------------------------------------------------------------------- */

#define PLAYERS 200
#define OWNED_KEY "player/0007"
#define ERASED_KEY "player/0008"
#define TAKEN_KEY "player/0009"

/* Writes a record, for one user, where there is none. */
static void put(const SlStorage *storage, const char *key, const char *json, const char *user_id) {
    SlBuffer name, revision;
    Record there;
    SlText user;
    user.data = user_id;
    user.length = SL_NUL_TERMINATED;
    memset(&name, 0, sizeof name);
    name.data = (char *)key;
    name.length = strlen(key);
    OK(fetch(storage, &name, &there));
    OK(locker_storage_commit(storage, TEXT(key), json, strlen(json), &user, 1, there.revision.data,
                             there.revision.length, PATIENCE_S, &revision));
    free_record(&there);
    session_locker_buffer_free(&revision);
}

static void erase(const SlStorage *storage, const char *key) {
    SlBuffer revision;
    OK(locker_storage_erase(storage, TEXT(key), NULL, 0, PATIENCE_S, &revision));
    session_locker_buffer_free(&revision);
}

static void put_players(const SlStorage *storage) {
    int player;
    for (player = 1; player <= PLAYERS; player++) {
        char key[32], json[64], user[16];
        snprintf(key, sizeof key, "player/%04d", player);
        snprintf(json, sizeof json, "{\"Version\":1,\"Gold\":%d}", player * 10);
        snprintf(user, sizeof user, "%d", player);
        put(storage, key, json, user);
    }
    erase(storage, ERASED_KEY);
}

static void must_have(const size_t fates[FATES], size_t copied, size_t there, size_t owned,
                      size_t in_the_way) {
    MUST(fates[COPIED] == copied && fates[ALREADY_THERE] == there && fates[OWNED] == owned &&
             fates[IN_THE_WAY] == in_the_way && fates[GONE] == 0 && fates[FAILED] == 0 &&
             fates[LEFT_OVER] == 0,
         "other keys were copied than should have been");
}

/* A game server on a storage, which lets one player in. */
static SlEasyStore *play(const SlStorage *storage, SlProfile **profile) {
    SlEasyStoreConfig config;
    SlEasyStore *store = NULL;
    OK(easy_store_config_init(&config, sizeof config));
    config.template_json = "{\"Gold\":0}";
    config.job_id = "old server";
    OK(easy_store_create(storage, &config, &store));
    OK(easy_store_start_session(store, TEXT(OWNED_KEY), NULL, profile));
    OK(profile_wait_until_loaded(*profile, PATIENCE_S));
    return store;
}

static void shut_down(SlEasyStore *store) {
    SlDrainReport *report = NULL;
    size_t unsaved = 0;
    OK(easy_store_drain(store, PATIENCE_S, &report));
    OK(drain_report_unsaved_count(report, &unsaved));
    MUST(unsaved == 0, "a player was not saved");
    OK(drain_report_destroy(report));
    OK(easy_store_destroy(store));
}

static void show(SlStorage *from, SlStorage *to) {
    size_t fates[FATES];
    SlEasyStore *store;
    SlProfile *profile = NULL;
    SlSaveData *data = NULL;
    int64_t gold = 0;

    printf("%d players, one of them erased, one playing; one is in the other storage already, as\n"
           "somebody else.\n", PLAYERS);
    put_players(from);
    put(to, TAKEN_KEY, "{\"Version\":1,\"Gold\":1}", "somebody else");
    store = play(from, &profile);
    MUST(!copy_all(from, to, fates), "refused keys were not reported");
    must_have(fates, PLAYERS - 3, 0, 1, 1);

    printf("\nThe player has earned 7 gold, and the game server shuts down. Again:\n");
    OK(profile_get_save_data(profile, &data));
    OK(save_data_add_i64(data, TEXT("/Gold"), 7, &gold));
    shut_down(store);
    MUST(!copy_all(from, to, fates), "a refused key was not reported");
    must_have(fates, 1, PLAYERS - 3, 0, 1);

    printf("\nWhat was in the way is erased. Again:\n");
    erase(to, TAKEN_KEY);
    MUST(copy_all(from, to, fates), "not everything was copied");
    must_have(fates, 1, PLAYERS - 2, 0, 0);

    store = play(to, &profile);
    OK(profile_get_save_data(profile, &data));
    printf("\nThe game goes on: the player has %lld gold on the other storage.\n",
           integer_at(data, "/Gold"));
    MUST(integer_at(data, "/Gold") == gold, "the player has lost gold on the way");
    shut_down(store);
}

/* A storage that is copied, and one that it is copied into. */
static void show_on_storages(void) {
    SlStorage *from = NULL, *to = NULL;
    char url[600];
    snprintf(url, sizeof url, "sqlite:%s/old.db", temporary_folder());
    OK(locker_storage_open(TEXT(url), &from));
    OK(locker_storage_open(TEXT(storage_url(1, NULL)), &to));
    show(from, to);
    OK(locker_storage_destroy(from));
    OK(locker_storage_destroy(to));
}

int main(int argc, char **argv) {
    if (argc == 1) {
        show_on_storages();
        return EXIT_SUCCESS;
    }
    MUST(argc == 3, "copy_storage FROM TO");
    return copy_urls(argv[1], argv[2]) ? EXIT_SUCCESS : EXIT_FAILURE;
}
