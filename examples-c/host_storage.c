/* A storage that the host brings: a folder of files, on a disk of this machine.
 *
 *   host_storage [FOLDER]
 *
 * The storage is files_storage.h: how it keeps records, and the callbacks by which the library asks
 * it. Here a game plays on it, and two writers try to write the same record at the same time.
 */
#include "files_storage.h"

#define KEY "player/tom"

/* Prints a key's files, of which there must be so many. */
static void show_files(const char *folder, const char *key_folder, int count) {
    char path[1024];
    struct dirent *entry;
    DIR *list;
    int seen = 0;
    snprintf(path, sizeof path, "%s/%s", folder, key_folder);
    list = opendir(path);
    MUST(list != NULL, "the key has no folder");
    while ((entry = readdir(list)) != NULL) {
        size_t length;
        char *bytes, *line;
        if (entry->d_name[0] == '.') {
            continue;
        }
        bytes = read_file(dirfd(list), entry->d_name, &length);
        MUST(bytes != NULL, "a file cannot be read");
        printf("  %s/%s\n", key_folder, entry->d_name);
        for (line = strtok(bytes, "\n"); line != NULL; line = strtok(NULL, "\n")) {
            printf("      %s\n", line);
        }
        free(bytes);
        seen++;
    }
    closedir(list);
    MUST(seen == count, "there are more files than there must be, or fewer");
}

/* A whole session, by the blocking calls that tools use. Gives the gold that was there before. */
static long long play(const SlStorage *storage, long long reward) {
    SlEasyStoreConfig config;
    SlEasyStore *store = NULL;
    SlProfile *profile = NULL;
    SlSaveData *data = NULL;
    SlDrainReport *report = NULL;
    SlText user;
    SlSessionOptions options;
    long long before;
    int64_t after = 0;
    int32_t was_saved = 0;
    size_t left = 0;
    user.data = "1002";
    user.length = SL_NUL_TERMINATED;
    OK(easy_store_config_init(&config, sizeof config));
    config.template_json = "{\"Gold\":0}";
    OK(easy_store_create(storage, &config, &store));
    OK(session_locker_session_options_init(&options, sizeof options));
    options.user_ids = &user;
    options.user_id_count = 1;
    OK(easy_store_start_session(store, TEXT(KEY), &options, &profile));
    OK(profile_wait_until_loaded(profile, PATIENCE_S));
    OK(profile_get_save_data(profile, &data));
    before = integer_at(data, "/Gold");
    OK(save_data_add_i64(data, TEXT("/Gold"), reward, &after));
    OK(profile_mark_force_save(profile));
    OK(profile_wait_until_changes_saved(profile, PATIENCE_S, &was_saved));
    MUST(was_saved, "the changes were not saved");
    printf("Tom had %lld gold, wins %lld, and has %lld: loaded, saved and released.\n", before,
           reward, (long long)after);
    OK(profile_destroy(profile));
    OK(easy_store_drain(store, PATIENCE_S, &report));
    OK(drain_report_unsaved_count(report, &left));
    MUST(left == 0, "the session could not be released in time");
    OK(drain_report_destroy(report));
    OK(easy_store_destroy(store));
    return before;
}

/* One of two writers that expect the same revision. */
typedef struct Writer {
    SlStorage *storage;
    const SlBuffer *expected;
    SlStatus status;
    SlBuffer revision;
} Writer;

static void *commit_once(void *argument) {
    Writer *writer = (Writer *)argument;
    writer->status = locker_storage_commit(
        writer->storage, TEXT("race"), "{\"Lap\":1}", 9, NULL, 0, writer->expected->data,
        writer->expected->length, PATIENCE_S, &writer->revision);
    return NULL;
}

/* Lets two storages of the same folder, each with its thread, write one key at the same time. */
static void race(const char *folder, int laps) {
    Writer writers[2];
    int32_t is_present;
    SlBuffer bytes, expected, user_ids;
    int lap, wins[2] = {0, 0}, at;
    memset(writers, 0, sizeof writers);
    for (at = 0; at < 2; at++) {
        writers[at].storage = open_files(folder);
        writers[at].expected = &expected;
    }
    OK(locker_storage_fetch(writers[0].storage, TEXT("race"), PATIENCE_S, &is_present, &bytes,
                            &expected, &user_ids));
    session_locker_buffer_free(&bytes);
    session_locker_buffer_free(&user_ids);
    for (lap = 0; lap < laps; lap++) {
        pthread_t threads[2];
        int winner;
        for (at = 0; at < 2; at++) {
            MUST(pthread_create(&threads[at], NULL, commit_once, &writers[at]) == 0, "no thread");
        }
        for (at = 0; at < 2; at++) {
            pthread_join(threads[at], NULL);
        }
        winner = writers[0].status == SL_OK ? 0 : 1;
        MUST(writers[winner].status == SL_OK, "of two writers none won");
        MUST(writers[1 - winner].status == SL_ERROR_CONFLICT, "of two writers one did not lose");
        wins[winner]++;
        session_locker_buffer_free(&expected);
        expected = writers[winner].revision;
    }
    session_locker_buffer_free(&expected);
    OK(locker_storage_destroy(writers[0].storage));
    OK(locker_storage_destroy(writers[1].storage));
    printf("%d times two writers wanted the same revision: one won %d times, the other %d times,\n"
           "and whoever lost was told so.\n",
           laps, wins[0], wins[1]);
}

int main(int argc, char **argv) {
    const char *folder = argc > 1 ? argv[1] : temporary_folder();
    SlStorage *storage = open_files(folder);
    SlBuffer before, erased, none;
    int32_t is_present;
    SlBuffer bytes, user_ids;

    printf("The storage is the folder %s\n", folder);
    MUST(play(storage, 100) == 0, "Tom had gold before: this example wants an empty folder");
    show_files(folder, "player%2Ftom", 2);
    printf("\n");
    MUST(play(storage, 50) == 100, "what the first session saved is not what the second loads");
    show_files(folder, "player%2Ftom", 2);

    printf("\nTom asks for all that is stored of him to be erased.\n");
    OK(locker_storage_fetch(storage, TEXT(KEY), PATIENCE_S, &is_present, &bytes, &before,
                            &user_ids));
    MUST(is_present && strcmp(user_ids.data, "[\"1002\"]") == 0, "the record is not Tom's");
    OK(locker_storage_erase(storage, TEXT(KEY), NULL, 0, PATIENCE_S, &erased));
    show_files(folder, "player%2Ftom", 1);
    MUST(locker_storage_commit(storage, TEXT(KEY), bytes.data, bytes.length, NULL, 0, before.data,
                               before.length, PATIENCE_S, &none) == SL_ERROR_CONFLICT,
         "a late commit has brought an erased record back");
    printf("A commit that comes too late is refused. Nothing of him comes back.\n\n");
    session_locker_buffer_free(&bytes);
    session_locker_buffer_free(&user_ids);
    session_locker_buffer_free(&before);
    session_locker_buffer_free(&erased);

    MUST(play(storage, 7) == 0, "an erased player came back with gold");
    show_files(folder, "player%2Ftom", 2);
    printf("\n");
    race(folder, 25);
    OK(locker_storage_destroy(storage));
    return EXIT_SUCCESS;
}
