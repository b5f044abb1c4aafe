/* Prints every record of a storage: its key, its users, its document.
 *
 *   documents STORAGE-URL
 */
#include "example.h"

static void print_record(const SlStorage *storage, const char *key) {
    SlBuffer bytes, revision, users;
    int32_t is_present = 0;
    OK(locker_storage_fetch(storage, TEXT(key), PATIENCE_S, &is_present, &bytes, &revision,
                            &users));
    MUST(is_present, "a listed record is not there");
    printf("%s %s %s\n", key, users.data, bytes.data);
    session_locker_buffer_free(&bytes);
    session_locker_buffer_free(&revision);
    session_locker_buffer_free(&users);
}

int main(int argc, char **argv) {
    SlStorage *storage = NULL;
    SlSaveData *keys = NULL;
    SlBuffer listed;
    size_t count = 0, at;
    MUST(argc == 2, "the argument is the URL of a storage");
    OK(locker_storage_open(TEXT(argv[1]), &storage));
    OK(locker_storage_list(storage, NULL, 0, NULL, 0, SL_MAX_LISTED_KEYS, PATIENCE_S, &listed));
    OK(save_data_create(TEXT("{}"), &keys));
    OK(save_data_set_json(keys, TEXT("/keys"), listed.data, listed.length));
    session_locker_buffer_free(&listed);
    OK(save_data_length(keys, TEXT("/keys"), &count));
    for (at = 0; at < count; at++) {
        char pointer[32];
        SlBuffer key;
        snprintf(pointer, sizeof pointer, "/keys/%lu", (unsigned long)at);
        OK(save_data_get_string(keys, TEXT(pointer), &key));
        print_record(storage, key.data);
        session_locker_buffer_free(&key);
    }
    OK(save_data_destroy(keys));
    OK(locker_storage_destroy(storage));
    return EXIT_SUCCESS;
}
