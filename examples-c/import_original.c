/* Brings documents of the original SessionLocker, as they were exported, into a storage, and starts
 * sessions on them.
 *
 *   import_original [FOLDER [STORAGE-URL]]
 *
 * FOLDER has the documents; without it, it is looked for in the repository that this is run in.
 */
#include "example.h"

/* The player's fields that every one of these documents has. */
static const char *const FIELDS[] = {"DisplayName", "Level",    "Xp",       "Gold",
                                     "Gems",        "Playtime", "Settings", "Inventory"};
#define FIELD_COUNT (sizeof FIELDS / sizeof FIELDS[0])

/* A document, and what must be in it. */
typedef struct Document {
    const char *name; /* FOLDER/name.json, and the key original/name */
    size_t purchases;
    size_t credits;
    size_t remote_changes;
    int is_owned;
} Document;

static const Document DOCUMENTS[] = {
    {"fresh", 0, 0, 0, 0},
    {"inventory_1kb", 0, 0, 0, 0},
    {"inventory_50kb", 0, 0, 0, 0},
    {"purchases_and_credit", 3, 2, 0, 0},
    {"remote_changes_pending", 0, 0, 3, 0},
    {"owned_by_a_live_session", 0, 0, 0, 1},
};
#define DOCUMENT_COUNT (sizeof DOCUMENTS / sizeof DOCUMENTS[0])

/* ---- Reading ----------------------------------------------------------------------------- */

static const char *find_folder(int argc, char **argv) {
    static const char *const places[] = {"tests/data/original", "../tests/data/original",
                                         "../../tests/data/original"};
    size_t at;
    if (argc > 1) {
        return argv[1];
    }
    for (at = 0; at < sizeof places / sizeof places[0]; at++) {
        if (access(places[at], R_OK) == 0) {
            return places[at];
        }
    }
    MUST(0, "tests/data/original is not here: give the folder as the first argument");
    return NULL;
}

/* The whole of FOLDER/NAME.json, with a NUL behind it; to be freed. */
static char *read_document(const char *folder, const char *name) {
    char path[1024];
    char *text;
    long length = -1;
    FILE *file;
    int written = snprintf(path, sizeof path, "%s/%s.json", folder, name);
    MUST(written > 0 && (size_t)written < sizeof path, "the folder's name is too long");
    file = fopen(path, "rb");
    if (file == NULL) {
        perror(path);
    }
    MUST(file != NULL, "a document cannot be read");
    MUST(fseek(file, 0, SEEK_END) == 0 && (length = ftell(file)) >= 0, "a document has no length");
    rewind(file);
    text = (char *)malloc((size_t)length + 1);
    MUST(text != NULL, "no memory");
    MUST(fread(text, 1, (size_t)length, file) == (size_t)length, "a document cannot be read");
    text[length] = '\0';
    fclose(file);
    return text;
}

static size_t length_at(const SlSaveData *data, const char *pointer) {
    size_t length = 0;
    int32_t is_there = 0;
    OK(save_data_contains(data, TEXT(pointer), &is_there));
    if (is_there) {
        OK(save_data_length(data, TEXT(pointer), &length));
    }
    return length;
}

static SlBuffer json_at(const SlSaveData *data, const char *pointer) {
    SlBuffer json;
    OK(save_data_get_json(data, TEXT(pointer), &json));
    return json;
}

static void print_time(long long unix_seconds) {
    char text[32];
    time_t seconds = (time_t)unix_seconds;
    struct tm parts;
    MUST(gmtime_r(&seconds, &parts) != NULL, "a time that no calendar has");
    strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S UTC", &parts);
    printf("%s", text);
}

/* ---- Checking ---------------------------------------------------------------------------- */

/* Every field must stand in the exported text as the library gives it: to the digit. */
static void check_fields(const SlSaveData *data, const char *exported) {
    size_t at;
    for (at = 0; at < FIELD_COUNT; at++) {
        char pointer[64];
        SlBuffer json;
        char *member;
        size_t capacity;
        snprintf(pointer, sizeof pointer, "/%s", FIELDS[at]);
        json = json_at(data, pointer);
        capacity = json.length + sizeof pointer + 4;
        member = (char *)malloc(capacity);
        MUST(member != NULL, "no memory");
        snprintf(member, capacity, "\"%s\":%s", FIELDS[at], json.data);
        MUST(strstr(exported, member) != NULL, "a field is not what was exported");
        free(member);
        session_locker_buffer_free(&json);
    }
}

/* The same for a list that the library keeps, which it writes only where it is needed. */
static void check_list(const SlSaveData *data, const char *name, size_t count,
                       const char *exported) {
    char pointer[64];
    SlBuffer json;
    snprintf(pointer, sizeof pointer, "/%s", name);
    MUST(length_at(data, pointer) == count, "an entry was lost, or came from nowhere");
    if (count > 0) {
        json = json_at(data, pointer);
        MUST(strstr(exported, json.data) != NULL, "an entry is not what was exported");
        session_locker_buffer_free(&json);
    }
}

static void check_all(const SlSaveData *data, const Document *document, const char *exported) {
    MUST(integer_at(data, "/Version") == 1, "the version is not the exported one");
    check_fields(data, exported);
    check_list(data, "Purchases", document->purchases, exported);
    check_list(data, "ProductCredit", document->credits, exported);
    check_list(data, "RemoteChanges", document->remote_changes, exported);
}

/* ---- Showing ----------------------------------------------------------------------------- */

static void show_lists(const SlSaveData *data, const Document *document) {
    char pointer[64];
    size_t at;
    for (at = 0; at < document->purchases; at++) {
        SlBuffer id;
        snprintf(pointer, sizeof pointer, "/Purchases/%d/0", (int)at);
        printf("    bought: product %lld", integer_at(data, pointer));
        snprintf(pointer, sizeof pointer, "/Purchases/%d/1", (int)at);
        OK(save_data_get_string(data, TEXT(pointer), &id));
        printf(", receipt %s, ", id.data);
        session_locker_buffer_free(&id);
        snprintf(pointer, sizeof pointer, "/Purchases/%d/2", (int)at);
        print_time(integer_at(data, pointer));
        printf("\n");
    }
    for (at = 0; at < document->credits; at++) {
        snprintf(pointer, sizeof pointer, "/ProductCredit/%d/0", (int)at);
        printf("    credit: product %lld", integer_at(data, pointer));
        snprintf(pointer, sizeof pointer, "/ProductCredit/%d/1", (int)at);
        printf(", %lld of it\n", integer_at(data, pointer));
    }
    for (at = 0; at < document->remote_changes; at++) {
        SlBuffer change;
        snprintf(pointer, sizeof pointer, "/RemoteChanges/%d", (int)at);
        change = json_at(data, pointer);
        printf("    waiting in the inbox: %s\n", change.data);
        session_locker_buffer_free(&change);
    }
}

static void show_fields(const SlSaveData *data, const Document *document) {
    SlBuffer name = json_at(data, "/DisplayName");
    SlBuffer xp = json_at(data, "/Xp");
    printf("    version %lld; %s, level %lld, %s xp, %lld gold, %d things\n",
           integer_at(data, "/Version"), name.data, integer_at(data, "/Level"), xp.data,
           integer_at(data, "/Gold"), (int)length_at(data, "/Inventory"));
    session_locker_buffer_free(&name);
    session_locker_buffer_free(&xp);
    show_lists(data, document);
}

/* ---- The steps --------------------------------------------------------------------------- */

/* Writes one exported document under its key, if there is nothing yet. */
static void import(const SlStorage *storage, const char *key, const char *exported) {
    int32_t is_present = 0;
    SlBuffer found, before, after, user_ids, none;
    OK(locker_storage_fetch(storage, TEXT(key), PATIENCE_S, &is_present, &found, &before,
                            &user_ids));
    MUST(!is_present, "the storage has such a record already: nothing is overwritten");
    OK(locker_storage_commit(storage, TEXT(key), exported, strlen(exported), NULL, 0, before.data,
                             before.length, PATIENCE_S, &after));
    MUST(locker_storage_commit(storage, TEXT(key), "{}", 2, NULL, 0, before.data, before.length,
                               PATIENCE_S, &none) == SL_ERROR_CONFLICT,
         "a commit against an old revision went through");
    printf("  %s: %d bytes\n", key, (int)strlen(exported));
    session_locker_buffer_free(&found);
    session_locker_buffer_free(&before);
    session_locker_buffer_free(&after);
    session_locker_buffer_free(&user_ids);
}

static SlEasyStore *make_store(const SlStorage *storage, double session_expiry) {
    SlEasyStoreConfig config;
    SlEasyStore *store = NULL;
    OK(easy_store_config_init(&config, sizeof config));
    config.template_json = "{}";
    config.job_id = "import_original";
    config.session_expiry = session_expiry;
    if (session_expiry < 60.0) {
        config.maintain_session_period = session_expiry / 8.0;
        config.request_timeout = session_expiry / 8.0;
        config.session_retry_cooldown = 0.1;
    }
    OK(easy_store_create(storage, &config, &store));
    return store;
}

/* Frames until the store knows whether it gets the key. */
static int32_t load(const SlEasyStore *store, const SlProfile *profile) {
    int32_t status = SL_LOAD_STATUS_LOADING;
    double deadline = monotonic_s() + PATIENCE_S;
    while (status == SL_LOAD_STATUS_LOADING) {
        MUST(monotonic_s() < deadline, "a session neither loads nor is refused");
        frame(store);
        OK(profile_load_status(profile, &status));
    }
    return status;
}

/* Ends all sessions of a store, and the store. */
static void shut_down(SlEasyStore *store) {
    SlDrainReport *report = NULL;
    size_t left = 0;
    OK(easy_store_drain(store, PATIENCE_S, &report));
    OK(drain_report_unsaved_count(report, &left));
    MUST(left == 0, "a session could not be released in time");
    OK(drain_report_destroy(report));
    OK(easy_store_destroy(store));
}

/* Says who owns the document that a live session of the original was stopped on, and gives whether
 * that session still counts, for a server whose sessions expire after `expiry`. */
static int show_owner(const char *exported, double expiry) {
    SlSaveData *data = NULL;
    SlBuffer owner;
    long long stamp;
    int is_live;
    OK(save_data_parse(exported, strlen(exported), &data));
    OK(save_data_get_string(data, TEXT("/Session/JobId"), &owner));
    stamp = integer_at(data, "/Session/UpdatedAt");
    is_live = wall_s() - (double)stamp <= expiry;
    printf("    owned by server %s, which saved it last at ", owner.data);
    print_time(stamp);
    printf(";\n    here it is ");
    print_time((long long)wall_s());
    printf("\n");
    session_locker_buffer_free(&owner);
    OK(save_data_destroy(data));
    return is_live;
}

/* Starts a session on an imported document, and checks what it loads. Gives whether it is locked. */
static int start(const SlEasyStore *store, const Document *document, const char *key,
                 const char *exported, double expiry) {
    SlProfile *profile = NULL;
    SlSaveData *data = NULL;
    int32_t status;
    int is_locked = 0;
    printf("  %s\n", key);
    if (document->is_owned) {
        is_locked = show_owner(exported, expiry);
    }
    OK(easy_store_start_session(store, TEXT(key), NULL, &profile));
    status = load(store, profile);
    if (is_locked) {
        MUST(status == SL_LOAD_STATUS_SESSION_IS_LOCKED, "a session that counts was not respected");
        printf("    locked: by the clock, that session has not expired, and it is another's\n");
        return 1;
    }
    MUST(status == SL_LOAD_STATUS_LOADED, "a document was not loaded");
    if (document->is_owned) {
        printf("    loaded: that session has not saved for more than %.0f s, so it has expired\n",
               expiry);
    }
    OK(profile_get_save_data(profile, &data));
    show_fields(data, document);
    check_all(data, document, exported);
    return 0;
}

/* A stamp in the future never expires by the clock. But what stands still for as long as a session
 * may, under the eyes of a server, is nobody's any more, whatever its stamp says. */
static void take_over(const SlStorage *storage, const Document *document, const char *key,
                      const char *exported) {
    const double expiry = 2.0;
    SlEasyStore *store = make_store(storage, expiry);
    SlProfile *profile = NULL;
    SlSaveData *data = NULL;
    double since = monotonic_s();
    int32_t is_loaded = 0;
    printf("\nIts server is long gone, but its stamp lies in the future or has just been made: by the\n"
           "clock it would stay locked. So a server also watches: a session that has not moved for\n"
           "as long as a session may rest is over. This store lets sessions rest for %.0f s only.\n",
           expiry);
    OK(easy_store_start_session(store, TEXT(key), NULL, &profile));
    while (!is_loaded) {
        MUST(monotonic_s() - since < PATIENCE_S, "a dead session keeps its key for ever");
        frame(store);
        OK(profile_is_loaded(profile, &is_loaded));
    }
    MUST(monotonic_s() - since >= expiry, "the key was taken too early");
    printf("  %s\n    loaded, after watching for %.1f s\n", key, monotonic_s() - since);
    OK(profile_get_save_data(profile, &data));
    show_fields(data, document);
    check_all(data, document, exported);
    shut_down(store);
}

/* What is stored after the sessions have ended. */
static void check_stored(const SlStorage *storage, const Document *document, const char *key,
                         const char *exported) {
    int32_t is_present = 0, is_owned = 1;
    SlBuffer bytes, revision, user_ids;
    SlSaveData *data = NULL;
    OK(locker_storage_fetch(storage, TEXT(key), PATIENCE_S, &is_present, &bytes, &revision,
                            &user_ids));
    MUST(is_present, "a record is gone");
    OK(save_data_parse(bytes.data, bytes.length, &data));
    check_all(data, document, exported);
    OK(save_data_contains(data, TEXT("/Session"), &is_owned));
    MUST(!is_owned, "a record still has an owner");
    OK(save_data_destroy(data));
    session_locker_buffer_free(&bytes);
    session_locker_buffer_free(&revision);
    session_locker_buffer_free(&user_ids);
}

int main(int argc, char **argv) {
    const char *folder = find_folder(argc, argv);
    const char *url = storage_url(argc > 1 ? argc - 1 : argc, argc > 1 ? argv + 1 : argv);
    const double expiry = 1800.0;
    char *exported[DOCUMENT_COUNT];
    char keys[DOCUMENT_COUNT][64];
    int is_locked[DOCUMENT_COUNT];
    SlStorage *storage = NULL;
    SlEasyStore *store;
    size_t at;

    OK(locker_storage_open(TEXT(url), &storage));
    printf("Importing what the original library wrote, from %s, as it is:\n", folder);
    for (at = 0; at < DOCUMENT_COUNT; at++) {
        snprintf(keys[at], sizeof keys[at], "original/%s", DOCUMENTS[at].name);
        exported[at] = read_document(folder, DOCUMENTS[at].name);
        import(storage, keys[at], exported[at]);
    }

    printf("\nSessions on them, with the default expiry of %.0f s:\n", expiry);
    store = make_store(storage, expiry);
    for (at = 0; at < DOCUMENT_COUNT; at++) {
        is_locked[at] = start(store, &DOCUMENTS[at], keys[at], exported[at], expiry);
    }
    shut_down(store);

    for (at = 0; at < DOCUMENT_COUNT; at++) {
        if (is_locked[at]) {
            take_over(storage, &DOCUMENTS[at], keys[at], exported[at]);
        }
    }

    for (at = 0; at < DOCUMENT_COUNT; at++) {
        check_stored(storage, &DOCUMENTS[at], keys[at], exported[at]);
        free(exported[at]);
    }
    OK(locker_storage_destroy(storage));
    printf("\nAll sessions are saved and released. Every field, purchase, credit and waiting change is\n"
           "in the storage as it was exported, to the digit.\n");
    return EXIT_SUCCESS;
}
