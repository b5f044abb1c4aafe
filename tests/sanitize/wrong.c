/* Errors made on purpose, each of which a tool must report, so that one that is off, or does not look into
 * the library, is noticed.
 *
 *     wrong use-after-free | leak | overflow | race */
#include "session_locker.h"

#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The library reads what has been freed. */
static int use_after_free(void) {
    char *json = (char *)malloc(3);
    SlSaveData *data = NULL;
    memcpy(json, "{}", 3);
    free(json);
    return save_data_create(json, 2, &data) == SL_OK;
}

/* What the library has allocated is never freed. */
static int leak(void) {
    SlSaveData *data = NULL;
    SlBuffer buffer;
    int is_lost = save_data_create("{}", 2, &data) == SL_OK &&
                  save_data_get_json(data, "", 0, &buffer) == SL_OK && save_data_destroy(data) == SL_OK;
    memset(&buffer, 0, sizeof buffer);
    return is_lost;
}

static int overflow(int one) {
    int most = INT_MAX;
    most += one;
    return most < 0;
}

/* The library fills one struct on two threads. */
static SlReceiptInfo shared;

static void *fill(void *is_well) {
    int time;
    for (time = 0; time < 1000; time++) {
        *(int *)is_well = session_locker_receipt_info_init(&shared, sizeof shared) == SL_OK;
    }
    return NULL;
}

static int race(void) {
    pthread_t other;
    int here = 0, there = 0;
    if (pthread_create(&other, NULL, fill, &there) != 0) {
        return 0;
    }
    fill(&here);
    return pthread_join(other, NULL) == 0 && here && there;
}

int main(int argc, char **argv) {
    const char *error = argc == 2 ? argv[1] : "";
    int is_made = 0;
    if (strcmp(error, "use-after-free") == 0) {
        is_made = use_after_free();
    } else if (strcmp(error, "leak") == 0) {
        is_made = leak();
    } else if (strcmp(error, "overflow") == 0) {
        is_made = overflow(argc);
    } else if (strcmp(error, "race") == 0) {
        is_made = race();
    }
    printf("the error \"%s\" %s made\n", error, is_made ? "was" : "was not");
    return is_made ? EXIT_SUCCESS : EXIT_FAILURE;
}
