/* What copy_storage does when somebody writes to the storage that it copies from, just behind one of its
 * requests. It is compiled into this program, which stands between it and the storage.
 */
#include "example.h"

/* What is done once, behind the first request of a kind. */
typedef struct Meddler {
    const SlStorage *storage; /* NULL: nothing */
    int comes_behind_lists;   /* else behind fetches */
    void (*act)(const SlStorage *storage);
} Meddler;

static Meddler meddler;

/* There is one key, so one thread alone makes requests at a time. */
static void meddle(const SlStorage *storage, int is_list) {
    if (storage == meddler.storage && is_list == meddler.comes_behind_lists) {
        meddler.storage = NULL;
        meddler.act(storage);
    }
}

static SlStatus meddled_fetch(const SlStorage *storage, const char *key, size_t key_length,
                              double timeout_s, int32_t *is_present, SlBuffer *bytes,
                              SlBuffer *revision, SlBuffer *user_ids) {
    SlStatus status = locker_storage_fetch(storage, key, key_length, timeout_s, is_present, bytes,
                                           revision, user_ids);
    meddle(storage, 0);
    return status;
}

static SlStatus meddled_list(const SlStorage *storage, const char *prefix, size_t prefix_length,
                             const char *after, size_t after_length, size_t limit, double timeout_s,
                             SlBuffer *keys) {
    SlStatus status = locker_storage_list(storage, prefix, prefix_length, after, after_length, limit,
                                          timeout_s, keys);
    meddle(storage, 1);
    return status;
}

#define locker_storage_fetch meddled_fetch
#define locker_storage_list meddled_list
#define main copy_storage
#include "copy_storage.c"
#undef main

#define KEY "player/1"
#define OLD "{\"Version\":1,\"Gold\":1}"
#define NEW "{\"Version\":1,\"Gold\":2}"

static void change(const SlStorage *storage) { put(storage, KEY, NEW, "1"); }

static void write_again(const SlStorage *storage) { put(storage, KEY, OLD, "1"); }

static void erase_it(const SlStorage *storage) { erase(storage, KEY); }

/* Whether a storage has these contents; NULL: none. */
static void must_hold(const SlStorage *storage, const char *json) {
    SlBuffer key;
    Record found;
    memset(&key, 0, sizeof key);
    key.data = (char *)KEY;
    key.length = strlen(KEY);
    OK(fetch(storage, &key, &found));
    MUST(found.is_present == (json != NULL), "a record should be there, or should not");
    MUST(json == NULL || strcmp(found.bytes.data, json) == 0, "a record has other contents");
    free_record(&found);
}

/* Copies one record, which the other storage may have already, while `whom` meddles: this becomes of
 * it, the status at the end is a success or not, and the other storage has `left`. */
static void becomes(const char *name, const Meddler *whom, int is_there, Fate fate, int is_success,
                    const char *left) {
    SlStorage *from = NULL, *to = NULL;
    size_t fates[FATES];
    int at;
    OK(locker_storage_open(TEXT("memory:"), &from));
    OK(locker_storage_open(TEXT("memory:"), &to));
    put(from, KEY, OLD, "1");
    if (is_there) {
        put(to, KEY, OLD, "1");
    }
    printf("%s:\n", name);
    meddler = *whom;
    meddler.storage = from;
    MUST(copy_all(from, to, fates) == is_success, "another status at the end");
    MUST(meddler.storage == NULL, "nobody has meddled");
    for (at = 0; at < FATES; at++) {
        MUST(fates[at] == (at == (int)fate), "another fate");
    }
    must_hold(to, left);
    OK(locker_storage_destroy(from));
    OK(locker_storage_destroy(to));
}

int main(void) {
    static const Meddler changes = {NULL, 0, change}, rewrites = {NULL, 0, write_again};
    static const Meddler erases = {NULL, 0, erase_it}, erases_listed = {NULL, 1, erase_it};
    becomes("changed before it was copied", &changes, 0, FAILED, 0, NULL);
    becomes("changed though an equal one was there", &changes, 1, IN_THE_WAY, 0, OLD);
    becomes("written again as it was", &rewrites, 1, ALREADY_THERE, 1, OLD);
    becomes("erased though an equal one was there", &erases, 1, LEFT_OVER, 0, OLD);
    becomes("erased since it was listed", &erases_listed, 0, GONE, 1, NULL);
    becomes("erased since it was listed, though one is there", &erases_listed, 1, LEFT_OVER, 0, OLD);
    return EXIT_SUCCESS;
}
