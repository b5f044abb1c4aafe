/* Destroying a profile or a store from inside whatever the library calls, and from another thread
 * meanwhile: it takes effect when the call returns, and nothing is called or used after its end. */
#include "host_memory.h"

#include <pthread.h>

/* Where the host destroys. */
typedef enum Where {
    IN_EVENT,
    IN_SIGNAL,
    IN_WHEN_LOADED,
    IN_ANSWER,
    IN_BEFORE_SAVE,
    IN_TRANSFORM,
    IN_CREATE,
    IN_FETCH,
    IN_COMMIT,
    PLACES
} Where;

/* What is destroyed, and by whom. */
typedef enum What { THE_PROFILE, THE_STORE, THE_STORE_FROM_ANOTHER_THREAD, DEEDS } What;

typedef struct Scene {
    Server server;
    HostMemory memory;
    SlProfile *profile;
    Where where;
    What what;
    int done;
    int answers;
    int32_t outcome;
} Scene;

static void *destroy_the_store(void *argument) {
    Scene *scene = (Scene *)argument;
    return easy_store_destroy(scene->server.store) == SL_OK ? scene : NULL;
}

static void reached(Scene *scene, Where where) {
    pthread_t thread;
    void *destroyed = NULL;
    int32_t value = 7;
    CHECK(scene->server.drops == 0);
    if (scene->done || where != scene->where) {
        return;
    }
    scene->done = 1;
    switch (scene->what) {
    case THE_PROFILE: OK(profile_destroy(scene->profile)); break;
    case THE_STORE: OK(easy_store_destroy(scene->server.store)); break;
    default:
        CHECK(pthread_create(&thread, NULL, destroy_the_store, scene) == 0);
        CHECK(pthread_join(thread, &destroyed) == 0 && destroyed == scene);
    }
    if (scene->what != THE_PROFILE) {
        CHECK_STATUS(SL_ERROR_INVALID_HANDLE, easy_store_update(scene->server.store, 1));
        CHECK_STATUS(SL_ERROR_INVALID_HANDLE, easy_store_close(scene->server.store));
    }
    CHECK_STATUS(SL_ERROR_INVALID_HANDLE, profile_is_loaded(scene->profile, &value));
    CHECK(value == 7 && scene->server.drops == 0 && scene->server.moment.drops == 0);
}

static void on_event(void *user_data, const SlEvent *event) {
    (void)event;
    reached((Scene *)user_data, IN_EVENT);
}

static void on_signal(void *user_data, SlProfile *profile, const SlEvent *event) {
    Scene *scene = (Scene *)user_data;
    (void)event;
    CHECK(profile != NULL && !(scene->done && scene->where != IN_SIGNAL));
    reached(scene, IN_SIGNAL);
}

static void on_load(void *user_data, SlProfile *profile) {
    Scene *scene = (Scene *)user_data;
    CHECK(profile == scene->profile && !scene->done);
    reached(scene, IN_WHEN_LOADED);
}

static void on_answer(void *user_data, int32_t outcome) {
    Scene *scene = (Scene *)user_data;
    scene->answers++;
    scene->outcome = outcome;
    reached(scene, IN_ANSWER);
}

static SlStatus on_save(void *user_data, SlProfile *profile) {
    Scene *scene = (Scene *)user_data;
    CHECK(profile == scene->profile && !scene->done);
    reached(scene, IN_BEFORE_SAVE);
    return SL_OK;
}

static SlStatus on_transform(void *user_data, SlProfile *profile) {
    Scene *scene = (Scene *)user_data;
    CHECK(profile == scene->profile && !scene->done);
    reached(scene, IN_TRANSFORM);
    return SL_OK;
}

static SlStatus on_create(void *user_data, const char *key, size_t key_length, SlSaveData *data) {
    (void)key;
    CHECK(key_length == 6);
    reached((Scene *)user_data, IN_CREATE);
    return save_data_set_i64(data, Z("/Gold"), 0);
}

static void on_request(HostMemory *memory, SlStorageRequest *request) {
    (void)request;
    reached((Scene *)memory->user_data, memory->commits == 0 ? IN_FETCH : IN_COMMIT);
}

static void drop(void *user_data) { ((Scene *)user_data)->server.drops++; }

/* A session with everything connected, up to its first save; `scene` says what happens on the way. */
static void play(Scene *scene, Where where, What what) {
    SlClock clock;
    SlEasyStoreConfig config;
    SlSavedConnection *wait = NULL;
    int32_t value = 7;

    memset(scene, 0, sizeof *scene);
    scene->where = where;
    scene->what = what;
    scene->server.storage = host_storage(&scene->memory);
    scene->memory.before_answer = on_request;
    scene->memory.user_data = scene;
    config = server_config(&scene->server, &clock, 1);
    config.template_json = NULL;
    config.create_save_data = on_create;
    config.event = on_event;
    config.user_data = scene;
    config.drop = drop;
    OK(easy_store_create(scene->server.storage, &config, &scene->server.store));
    OK(easy_store_start_session(scene->server.store, Z("player"), NULL, &scene->profile));
    OK(profile_connect(scene->profile, SL_SIGNAL_LIFECYCLE, on_signal, scene, NULL, NULL));
    OK(profile_connect_once(scene->profile, SL_SIGNAL_REPLACED, on_signal, scene, NULL, NULL));
    OK(profile_when_loaded(scene->profile, on_load, scene, NULL));
    OK(profile_set_before_save(scene->profile, on_save, scene, NULL));
    OK(profile_set_before_save_transform(scene->profile, on_transform, scene, NULL));
    /* The first update loads; a change and a wait that it does not answer come after it. */
    OK(easy_store_update(scene->server.store, 0));
    if (!scene->done) {
        OK(save_data_set_i64(data_of(scene->profile), Z("/Gold"), 1));
        OK(profile_when_changes_saved(scene->profile, on_answer, scene, NULL, &wait));
        OK(profile_mark_force_save(scene->profile));
        OK(easy_store_update(scene->server.store, 1));
        CHECK(scene->answers == 1 && scene->outcome == SL_OUTCOME_SAVED);
    }
    CHECK(scene->done);
    if (what == THE_PROFILE) {
        OK(easy_store_update(scene->server.store, 2));
        CHECK(strstr(host_record(&scene->memory, "player"), "\"Session\"") == NULL);
        CHECK(scene->server.drops == 0);
        OK(easy_store_destroy(scene->server.store));
    }
    CHECK(scene->server.drops == 1 && scene->server.moment.drops == 1);
    CHECK_STATUS(SL_ERROR_INVALID_HANDLE, profile_destroy(scene->profile));
    if (wait != NULL) {
        OK(saved_connection_is_connected(wait, &value));
        CHECK(value == 0 && scene->answers == 1);
        OK(saved_connection_destroy(wait));
    }
    OK(locker_storage_destroy(scene->server.storage));
    CHECK(scene->memory.drops == 1);
}

int main(void) {
    static Scene scene;
    int where, what;
    for (what = 0; what < DEEDS; what++) {
        for (where = 0; where < PLACES; where++) {
            int failed = checks_failed;
            play(&scene, (Where)where, (What)what);
            if (checks_failed > failed) {
                fprintf(stderr, "that was destroying %d in place %d\n", what, where);
            }
        }
    }
    return finish("destruction");
}
