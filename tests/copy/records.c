/* Writes, erases and shows records, for the test of copy_storage.
 *
 *   records fill URL COUNT          keys of many lengths and kinds, with no, one or many users
 *   records put URL KEY JSON        as it is, over what may be there
 *   records own URL KEY SECONDS     as a server would that has saved so long ago
 *   records erase URL KEY
 *   records show URL [PREFIX]       every key, its users and its value, a line each
 */
#include "example.h"

static void put(const SlStorage *storage, const char *key, size_t key_length, const char *bytes,
                size_t length, const SlText *users, size_t user_count) {
    int32_t is_present = 0;
    SlBuffer found, before, after, user_ids;
    OK(locker_storage_fetch(storage, key, key_length, PATIENCE_S, &is_present, &found, &before,
                            &user_ids));
    OK(locker_storage_commit(storage, key, key_length, bytes, length, users, user_count,
                             before.data, before.length, PATIENCE_S, &after));
    session_locker_buffer_free(&found);
    session_locker_buffer_free(&before);
    session_locker_buffer_free(&after);
    session_locker_buffer_free(&user_ids);
}

/* The key of a number. Some have what some engine or shell might trip over, all sort differently
 * than they are made. */
static size_t key_of(char *key, size_t capacity, unsigned number) {
    static const char *const endings[] = {"", " with blanks", "/{brace}", "\xC3\xBC\xE2\x82\xAC", "\\\"'%s",
                                          "\n", "\x01"};
    int length = snprintf(key, capacity, "player/%u%s", number * 7919u % 1000003u,
                          endings[number % (sizeof endings / sizeof endings[0])]);
    MUST(length > 0 && (size_t)length + 400 < capacity, "a key that is too long");
    if (number % 500 == 3) {
        memset(key + length, 'x', 400);
        length += 400;
    }
    if (number % 100 == 4) {
        key[length++] = '\0';
    }
    return (size_t)length;
}

/* The value of a number: most are small, some large; some are no documents at all. */
static size_t value_of(char *value, size_t capacity, unsigned number) {
    size_t padding = number % 50 == 7 ? 60000 : number % 10 * 100;
    int length;
    if (number % 200 == 9) {
        memcpy(value, "\0\xFFno document", 14);
        return number % 400 == 9 ? 14 : 0;
    }
    length = snprintf(value, capacity, "{\"Version\":1,\"Gold\":%u,\"Luck\":0.1000,\"Padding\":\"",
                      number);
    MUST(length > 0 && (size_t)length + padding + 3 < capacity, "a value that is too long");
    memset(value + length, 'a' + (int)(number % 26), padding);
    memcpy(value + length + padding, "\" }", 3);
    return (size_t)length + padding + 3;
}

/* The users of a number: none, one, or as many as there may be, in no order. */
static size_t users_of(char (*ids)[32], SlText *users, unsigned number) {
    size_t count = number % 300 == 5 ? 64 : number % 3;
    size_t at;
    for (at = 0; at < count; at++) {
        snprintf(ids[at], sizeof ids[at], "%u-\"%u\"", (unsigned)at * 37u % 64u, number);
        users[at].data = ids[at];
        users[at].length = SL_NUL_TERMINATED;
    }
    return count;
}

static void fill(const SlStorage *storage, unsigned count) {
    static char key[1024], value[100000], ids[64][32];
    static SlText users[64];
    unsigned number;
    for (number = 0; number < count; number++) {
        size_t key_length = key_of(key, sizeof key, number);
        size_t length = value_of(value, sizeof value, number);
        size_t user_count = users_of(ids, users, number);
        put(storage, key, key_length, value, length, users, user_count);
    }
}

static void own(const SlStorage *storage, const char *key, double age_s) {
    char json[256];
    snprintf(json, sizeof json,
             "{\"Version\":1,\"Session\":{\"PlaceId\":0,\"JobId\":\"server 9\",\"LockId\":17,"
             "\"UpdatedAt\":%.0f,\"Expiry\":1800}}",
             wall_s() - age_s);
    put(storage, TEXT(key), json, strlen(json), NULL, 0);
}

static void erase(const SlStorage *storage, const char *key) {
    SlBuffer revision;
    OK(locker_storage_erase(storage, TEXT(key), NULL, 0, PATIENCE_S, &revision));
    session_locker_buffer_free(&revision);
}

/* Bytes that a line cannot have, in hexadecimal. */
static void print_bytes(const SlBuffer *bytes) {
    size_t at;
    for (at = 0; at < bytes->length; at++) {
        unsigned char byte = (unsigned char)bytes->data[at];
        printf(byte < ' ' || byte == '\\' ? "\\%02X" : "%c", byte);
    }
}

static void print_record(const SlStorage *storage, const SlBuffer *key) {
    SlBuffer bytes, revision, users;
    int32_t is_present = 0;
    OK(locker_storage_fetch(storage, key->data, key->length, PATIENCE_S, &is_present, &bytes,
                            &revision, &users));
    MUST(is_present, "a listed record is not there");
    print_bytes(key);
    printf(" %s ", users.data);
    print_bytes(&bytes);
    printf("\n");
    session_locker_buffer_free(&bytes);
    session_locker_buffer_free(&revision);
    session_locker_buffer_free(&users);
}

/* Prints a page of records behind `last`, which becomes the last of them; 0 if there is none. */
static int print_page(const SlStorage *storage, const char *prefix, SlBuffer *last) {
    SlSaveData *keys = NULL;
    SlBuffer listed;
    size_t count = 0, at;
    OK(locker_storage_list(storage, TEXT(prefix), last->data, last->length, 700, PATIENCE_S,
                           &listed));
    OK(save_data_create(TEXT("{}"), &keys));
    OK(save_data_set_json(keys, TEXT("/keys"), listed.data, listed.length));
    OK(save_data_length(keys, TEXT("/keys"), &count));
    for (at = 0; at < count; at++) {
        char pointer[32];
        snprintf(pointer, sizeof pointer, "/keys/%lu", (unsigned long)at);
        session_locker_buffer_free(last);
        OK(save_data_get_string(keys, TEXT(pointer), last));
        print_record(storage, last);
    }
    session_locker_buffer_free(&listed);
    OK(save_data_destroy(keys));
    return count > 0;
}

static void show(const SlStorage *storage, const char *prefix) {
    SlBuffer last;
    memset(&last, 0, sizeof last);
    while (print_page(storage, prefix, &last)) {
    }
    session_locker_buffer_free(&last);
}

int main(int argc, char **argv) {
    SlStorage *storage = NULL;
    MUST(argc >= 3, "records WHAT URL ...");
    OK(locker_storage_open(TEXT(argv[2]), &storage));
    if (strcmp(argv[1], "fill") == 0 && argc == 4) {
        fill(storage, (unsigned)atoi(argv[3]));
    } else if (strcmp(argv[1], "put") == 0 && argc == 5) {
        put(storage, TEXT(argv[3]), argv[4], strlen(argv[4]), NULL, 0);
    } else if (strcmp(argv[1], "own") == 0 && argc == 5) {
        own(storage, argv[3], atof(argv[4]));
    } else if (strcmp(argv[1], "erase") == 0 && argc == 4) {
        erase(storage, argv[3]);
    } else {
        MUST(strcmp(argv[1], "show") == 0 && argc <= 4, "fill, put, own, erase or show");
        show(storage, argc == 4 ? argv[3] : "");
    }
    OK(locker_storage_destroy(storage));
    return EXIT_SUCCESS;
}
