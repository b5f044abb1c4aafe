/* The library prints nothing, whatever goes wrong: what it has to say goes to callbacks, and without
 * them nowhere. */
#include "host_memory.h"

#include <unistd.h>

static SlStatus fail_hook(void *user_data, SlProfile *profile) {
    (void)user_data;
    (void)profile;
    session_locker_set_hook_error(Z("the hook says why"));
    return SL_ERROR_HOOK;
}

static SlStatus fail_create(void *user_data, const char *key, size_t key_length, SlSaveData *data) {
    (void)user_data;
    (void)key;
    (void)key_length;
    CHECK_STATUS(SL_ERROR_INVALID_JSON, save_data_set_json(data, Z("/Gold"), Z("{")));
    return SL_ERROR_HOOK;
}

/* A store that hears nothing: sessions, saves and sends fail, and it says so nowhere. */
static void a_store(HostMemory *memory, int32_t verbose_logs, SlCreateSaveData create) {
    SlStorage *storage = host_storage(memory);
    SlEasyStore *store = NULL;
    SlEasyStoreConfig config;
    SlProfile *profile = NULL, *corrupt = NULL;
    Moment moment;
    SlClock clock;
    Record *record = record_of(memory, "corrupt", 7);
    double now;

    strcpy(record->bytes, "[1,2");
    record->length = 4;
    record->revision = 1;
    memset(&moment, 0, sizeof moment);
    clock = clock_of(&moment);
    OK(easy_store_config_init(&config, sizeof config));
    config.clock = &clock;
    config.template_json = create == NULL ? "{\"Gold\":0}" : NULL;
    config.create_save_data = create;
    config.verbose_logs = verbose_logs;
    OK(easy_store_create(storage, &config, &store));
    OK(easy_store_start_session(store, Z("player"), NULL, &profile));
    OK(easy_store_start_session(store, Z("corrupt"), NULL, &corrupt));
    OK(profile_set_before_save(profile, fail_hook, NULL, NULL));
    memory->fails = "no disk";
    OK(easy_store_send_remote_changes(store, Z("player"), Z("[{\"K\":\"k\"}]"), NULL, NULL, NULL, NULL,
                                      NULL));
    for (now = 0; now < 1000; now += 50) {
        memory->fails = now < 100 || now > 500 ? "no disk" : NULL;
        OK(easy_store_update(store, now));
        OK(profile_mark_force_save(profile));
    }
    OK(easy_store_drain(store, 1, NULL));
    OK(profile_destroy(profile));
    OK(easy_store_destroy(store));
    OK(locker_storage_destroy(storage));
    memory->fails = NULL;
}

static void what_is_refused(void) {
    SlStorage *storage = NULL;
    CHECK_STATUS(SL_ERROR_INVALID_HANDLE, easy_store_update(NULL, 0));
    CHECK_STATUS(SL_ERROR_STORAGE, locker_storage_open(Z("nonsense:"), &storage));
    CHECK_STATUS(SL_ERROR_STORAGE, locker_storage_open(Z("sqlite:/no/such/folder/db"), &storage));
    OK(session_locker_log_error_variations(Z("Load"), Z("error"), Z("at trace")));
}

/* Whether so many bytes are printed while this runs. */
static int prints(long expected, void (*run)(void)) {
    FILE *file = tmpfile();
    int out, err;
    long length;
    fflush(stdout);
    fflush(stderr);
    out = dup(STDOUT_FILENO);
    err = dup(STDERR_FILENO);
    CHECK(file != NULL && out >= 0 && err >= 0);
    CHECK(dup2(fileno(file), STDOUT_FILENO) >= 0 && dup2(fileno(file), STDERR_FILENO) >= 0);
    run();
    fflush(stdout);
    fflush(stderr);
    CHECK(dup2(out, STDOUT_FILENO) >= 0 && dup2(err, STDERR_FILENO) >= 0);
    close(out);
    close(err);
    CHECK(fseek(file, 0, SEEK_END) == 0);
    length = ftell(file);
    if (length != expected) {
        char text[2000];
        size_t count;
        rewind(file);
        count = fread(text, 1, sizeof text, file);
        fprintf(stderr, "%.*s\n", (int)count, text);
    }
    fclose(file);
    return length == expected;
}

static void everything(void) {
    static HostMemory memory;
    what_is_refused();
    a_store(&memory, 0, NULL);
    a_store(&memory, 1, NULL);
    a_store(&memory, 1, fail_create);
}

static void print(void) {
    printf("out ");
    fprintf(stderr, "err");
}

int main(void) {
    CHECK(prints(7, print));
    CHECK(prints(0, everything));
    return finish("silent");
}
