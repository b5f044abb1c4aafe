/* A callback that is handed over on its own brings a `drop`, which ends its user_data: exactly once,
 * when the callback runs no more, with no lock held; and not at all when the call was refused. */
#include "locker_world.h"

/* What the callbacks get, and what became of it. */
typedef struct Data {
    int calls;
    int is_running;
    int drops;
    /* What `drop` asks, as a host might. */
    Server *server;
    SlProfile *profile;
    SlLocker *locker;
    /* What a callback ends, or replaces, while it runs. */
    SlSignalConnection *connection;
    SlSavedConnection *wait;
    SlProfile *destroyed;
    struct Data *next_hook;
} Data;

static Data data_with(Server *server, SlProfile *profile) {
    Data data;
    memset(&data, 0, sizeof data);
    data.server = server;
    data.profile = profile;
    return data;
}

/* A call that needs the very locks under which callbacks are kept would never return. */
static void dropped(void *user_data) {
    Data *data = (Data *)user_data;
    int32_t value = 7;
    CHECK(data->is_running == 0);
    data->drops++;
    if (data->server != NULL) {
        SlStatus status = easy_store_is_closed(data->server->store, &value);
        CHECK(status == SL_OK || status == SL_ERROR_INVALID_HANDLE);
    }
    if (data->profile != NULL) {
        SlStatus status = profile_is_available(data->profile, &value);
        CHECK(status == SL_OK || status == SL_ERROR_INVALID_HANDLE || status == SL_ERROR_NOT_ACTIVE);
    }
    if (data->locker != NULL) {
        SlStatus status = locker_is_available(data->locker, &value);
        CHECK(status == SL_OK || status == SL_ERROR_INVALID_HANDLE);
    }
}

static SlStatus on_save(void *user_data, SlProfile *profile);

/* Every callback of this program. */
static void run(Data *data) {
    data->calls++;
    data->is_running = 1;
    if (data->connection != NULL) {
        OK(signal_connection_disconnect(data->connection));
    }
    if (data->wait != NULL) {
        OK(saved_connection_destroy(data->wait));
    }
    if (data->destroyed != NULL) {
        OK(profile_destroy(data->destroyed));
    }
    if (data->next_hook != NULL) {
        OK(profile_set_before_save(data->profile, on_save, data->next_hook, dropped));
    }
    CHECK(data->drops == 0);
    data->is_running = 0;
    data->connection = NULL;
    data->wait = NULL;
    data->destroyed = NULL;
    data->next_hook = NULL;
}

static void on_signal(void *user_data, SlProfile *profile, const SlEvent *event) {
    (void)profile;
    (void)event;
    run((Data *)user_data);
}

static void on_load(void *user_data, SlProfile *profile) {
    (void)profile;
    run((Data *)user_data);
}

static void on_answer(void *user_data, int32_t outcome) {
    (void)outcome;
    run((Data *)user_data);
}

static SlStatus on_save(void *user_data, SlProfile *profile) {
    (void)profile;
    run((Data *)user_data);
    return SL_OK;
}

static int was(const Data *data, int calls, int drops) {
    if (data->calls == calls && data->drops == drops) {
        return 1;
    }
    fprintf(stderr, "%d calls and %d drops\n", data->calls, data->drops);
    return 0;
}

static void save(Server *server, SlProfile *profile) {
    OK(profile_mark_force_save(profile));
    frame(server, 1);
}

static void signals(Server *server) {
    SlProfile *profile = loaded(server, "signals");
    Data kept = data_with(server, profile), given_up = kept, once = kept, in_itself = kept;
    Data never = kept, nameless = kept;
    SlSignalConnection *connection = NULL, *other = NULL, *unheard = NULL;

    OK(profile_connect(profile, SL_SIGNAL_SAVED, on_signal, &kept, dropped, &connection));
    OK(profile_connect(profile, SL_SIGNAL_SAVED, on_signal, &nameless, dropped, NULL));
    OK(profile_connect(profile, SL_SIGNAL_SAVED, on_signal, &given_up, dropped, &other));
    OK(profile_connect(profile, SL_SIGNAL_SAVED, on_signal, &in_itself, dropped,
                       &in_itself.connection));
    OK(profile_connect_once(profile, SL_SIGNAL_SAVED, on_signal, &once, dropped, NULL));
    OK(profile_connect_once(profile, SL_SIGNAL_LOST, on_signal, &never, dropped, &unheard));
    save(server, profile);
    CHECK(was(&kept, 1, 0) && was(&nameless, 1, 0) && was(&given_up, 1, 0));
    CHECK(was(&in_itself, 1, 1) && was(&once, 1, 1) && was(&never, 0, 0));

    OK(signal_connection_disconnect(other));
    OK(signal_connection_disconnect(unheard));
    CHECK(was(&given_up, 1, 1) && was(&never, 0, 1));
    save(server, profile);
    CHECK(was(&kept, 2, 0) && was(&given_up, 1, 1) && was(&in_itself, 1, 1) && was(&once, 1, 1));

    /* At its end a profile lets go of all that it was given, though its handle stays. */
    OK(profile_end_session(profile));
    CHECK(was(&kept, 2, 0));
    frame(server, 1);
    CHECK(was(&kept, 3, 1) && was(&nameless, 3, 1));
    OK(signal_connection_disconnect(connection));
    OK(profile_destroy(profile));
    CHECK(was(&kept, 3, 1) && was(&nameless, 3, 1) && was(&never, 0, 1));
}

static void loads(Server *server) {
    SlProfile *profile = NULL, *ended = NULL, *thrown_away = NULL;
    Data first, again, unloaded, gone;

    OK(easy_store_start_session(server->store, Z("loads"), NULL, &profile));
    first = data_with(server, profile);
    again = first;
    OK(profile_when_loaded(profile, on_load, &first, dropped));
    CHECK(was(&first, 0, 0));
    frame(server, 1);
    CHECK(was(&first, 1, 1));
    OK(profile_when_loaded(profile, on_load, &again, dropped));
    frame(server, 1);
    CHECK(was(&first, 1, 1) && was(&again, 1, 1));

    OK(easy_store_start_session(server->store, Z("ended"), NULL, &ended));
    unloaded = data_with(server, ended);
    OK(profile_when_loaded(ended, on_load, &unloaded, dropped));
    OK(profile_end_session(ended));
    frame(server, 1);
    CHECK(was(&unloaded, 0, 1));

    OK(easy_store_start_session(server->store, Z("thrown away"), NULL, &thrown_away));
    gone = data_with(server, thrown_away);
    OK(profile_when_loaded(thrown_away, on_load, &gone, dropped));
    OK(profile_destroy(thrown_away));
    CHECK(was(&gone, 0, 1));
    OK(profile_destroy(ended));
    OK(profile_destroy(profile));
    frame(server, 1);
    CHECK(was(&first, 1, 1) && was(&again, 1, 1) && was(&unloaded, 0, 1) && was(&gone, 0, 1));
}

/* A document that cannot be understood is never loaded: who waits for that is let go at once. */
static void loading_is_given_up(Server *server) {
    SlProfile *profile = NULL;
    Data before, after;

    store_under(server->storage, "broken", "{\"Version\":\"?\"}");
    OK(easy_store_start_session(server->store, Z("broken"), NULL, &profile));
    before = data_with(server, profile);
    after = before;
    OK(profile_when_loaded(profile, on_load, &before, dropped));
    CHECK(was(&before, 0, 0));
    frame(server, 1);
    CHECK(load_status_of(profile) == SL_LOAD_STATUS_CORRUPT_DATA);
    CHECK(was(&before, 0, 1));
    OK(profile_when_loaded(profile, on_load, &after, dropped));
    CHECK(was(&after, 0, 1));
    OK(profile_destroy(profile));
    frame(server, 1);
    CHECK(was(&before, 0, 1) && was(&after, 0, 1));
}

static void waits(Server *server) {
    SlProfile *profile = loaded(server, "waits");
    Data saved = data_with(server, profile), nameless = saved, given_up = saved, freed = saved;
    Data triggered = saved, in_itself = saved, silent = saved, ended = saved, by_destruction = saved;
    SlSavedConnection *connection = NULL, *other = NULL, *third = NULL, *fourth = NULL;

    OK(save_data_set_i64(data_of(profile), Z("/Gold"), 1));
    OK(profile_when_changes_saved(profile, on_answer, &saved, dropped, &connection));
    OK(profile_when_changes_saved(profile, on_answer, &nameless, dropped, NULL));
    OK(profile_when_changes_saved(profile, on_answer, &given_up, dropped, &other));
    OK(profile_when_changes_saved(profile, on_answer, &freed, dropped, &third));
    OK(profile_when_changes_saved(profile, on_answer, &triggered, dropped, &fourth));
    OK(profile_when_changes_saved(profile, on_answer, &in_itself, dropped, &in_itself.wait));
    /* Nothing to call, so nothing to keep. */
    OK(profile_when_changes_saved(profile, NULL, &silent, dropped, NULL));
    CHECK(was(&silent, 0, 1));

    OK(saved_connection_disconnect(other));
    OK(saved_connection_destroy(third));
    OK(saved_connection_trigger(fourth, 1));
    CHECK(was(&given_up, 0, 1) && was(&freed, 0, 1) && was(&triggered, 0, 0));
    frame(server, 1);
    CHECK(was(&triggered, 1, 1) && was(&saved, 0, 0));
    save(server, profile);
    CHECK(was(&saved, 1, 1) && was(&nameless, 1, 1) && was(&in_itself, 1, 1));
    OK(saved_connection_disconnect(connection));
    OK(saved_connection_destroy(connection));
    OK(saved_connection_destroy(other));
    OK(saved_connection_destroy(fourth));

    OK(save_data_set_i64(data_of(profile), Z("/Gold"), 2));
    by_destruction.destroyed = profile;
    OK(profile_when_changes_saved(profile, on_answer, &by_destruction, dropped, NULL));
    OK(profile_when_changes_saved(profile, on_answer, &ended, dropped, NULL));
    OK(profile_end_session(profile));
    frame(server, 1);
    CHECK(was(&by_destruction, 1, 1) && was(&ended, 1, 1));
    CHECK(was(&saved, 1, 1) && was(&given_up, 0, 1) && was(&freed, 0, 1) && was(&silent, 0, 1));
}

static void hooks(Server *server) {
    SlProfile *profile = loaded(server, "hooks");
    Data first = data_with(server, profile), second = first, third = first, transform = first;
    Data nothing = first;

    OK(profile_set_before_save(profile, on_save, &first, dropped));
    OK(profile_set_before_save_transform(profile, on_save, &transform, dropped));
    first.next_hook = &second;
    save(server, profile);
    CHECK(was(&first, 1, 1) && was(&second, 0, 0) && was(&transform, 1, 0));
    save(server, profile);
    CHECK(was(&second, 1, 0) && was(&transform, 2, 0));
    OK(profile_set_before_save(profile, on_save, &third, dropped));
    CHECK(was(&second, 1, 1) && was(&third, 0, 0));
    OK(profile_set_before_save(profile, NULL, &nothing, dropped));
    CHECK(was(&third, 0, 1) && was(&nothing, 0, 1));
    OK(profile_end_session(profile));
    frame(server, 1);
    CHECK(was(&transform, 3, 1) && was(&first, 1, 1) && was(&second, 1, 1));
    OK(profile_destroy(profile));

    profile = loaded(server, "hooks");
    first = data_with(server, profile);
    transform = first;
    first.destroyed = profile;
    OK(profile_set_before_save(profile, on_save, &first, dropped));
    OK(profile_set_before_save_transform(profile, on_save, &transform, dropped));
    save(server, profile);
    frame(server, 1);
    CHECK(was(&first, 1, 1) && was(&transform, 0, 1));
}

/* All that a store's sessions were given goes with the store, and with each profile. */
static void the_end_of_a_store(void) {
    Server server;
    SlProfile *profile, *destroyed;
    Data all[6], of_destroyed[5];
    SlSavedConnection *wait = NULL;
    SlSignalConnection *connection = NULL;
    int i;

    server_open(&server, "memory:", 0, 2);
    destroyed = loaded(&server, "destroyed");
    OK(easy_store_start_session(server.store, Z("loading"), NULL, &profile));
    for (i = 0; i < 6; i++) {
        all[i] = data_with(&server, profile);
    }
    for (i = 0; i < 5; i++) {
        of_destroyed[i] = data_with(&server, destroyed);
    }
    OK(profile_connect(profile, SL_SIGNAL_LIFECYCLE, on_signal, &all[0], dropped, &connection));
    OK(profile_connect_once(profile, SL_SIGNAL_LOST, on_signal, &all[1], dropped, NULL));
    OK(profile_when_loaded(profile, on_load, &all[2], dropped));
    OK(profile_set_before_save(profile, on_save, &all[3], dropped));
    OK(profile_set_before_save_transform(profile, on_save, &all[4], dropped));
    OK(profile_when_changes_saved(profile, on_answer, &all[5], dropped, &wait));

    OK(save_data_set_i64(data_of(destroyed), Z("/Gold"), 1));
    OK(profile_connect(destroyed, SL_SIGNAL_LOST, on_signal, &of_destroyed[0], dropped, NULL));
    OK(profile_connect_once(destroyed, SL_SIGNAL_LOST, on_signal, &of_destroyed[1], dropped, NULL));
    OK(profile_set_before_save(destroyed, on_save, &of_destroyed[2], dropped));
    OK(profile_set_before_save_transform(destroyed, on_save, &of_destroyed[3], dropped));
    OK(profile_when_changes_saved(destroyed, on_answer, &of_destroyed[4], dropped, NULL));
    OK(profile_destroy(destroyed));
    for (i = 0; i < 4; i++) {
        CHECK(was(&of_destroyed[i], 0, 1));
    }
    /* A wait of a destroyed profile is still answered. */
    CHECK(was(&of_destroyed[4], 0, 0));

    server_close(&server);
    for (i = 0; i < 5; i++) {
        CHECK(was(&all[i], 0, 1));
    }
    CHECK(was(&all[5], 1, 1) && was(&of_destroyed[4], 1, 1));
    OK(saved_connection_destroy(wait));
    CHECK(was(&all[5], 1, 1));
    CHECK_STATUS(SL_ERROR_INVALID_HANDLE, signal_connection_disconnect(connection));
}

static void lockers(void) {
    Full full;
    SlLocker *locker, *unloaded;
    Data saved, given_up, late, left;
    SlSavedConnection *wait = NULL, *kept = NULL;

    memset(&full, 0, sizeof full);
    full_open(&full, "memory:", 0, 3);
    locker = acquired(&full, "player");
    saved = data_with(NULL, NULL);
    saved.locker = locker;
    given_up = late = left = saved;
    OK(save_data_set_i64(data_in(locker), Z("/Gold"), 1));
    OK(locker_when_changes_saved(locker, on_answer, &saved, dropped, NULL));
    OK(locker_when_changes_saved(locker, on_answer, &given_up, dropped, &wait));
    OK(saved_connection_destroy(wait));
    CHECK(was(&given_up, 0, 1));
    OK(locker_mark_force_save(locker));
    locker_step(&full, locker, 1);
    CHECK(was(&saved, 1, 1));
    OK(save_data_set_i64(data_in(locker), Z("/Gold"), 2));
    OK(locker_when_changes_saved(locker, on_answer, &late, dropped, &kept));
    released(&full, locker);
    CHECK(was(&late, 1, 1) && was(&saved, 1, 1) && was(&given_up, 0, 1));
    OK(saved_connection_destroy(kept));
    CHECK_STATUS(SL_ERROR_INVALID_HANDLE,
                 locker_when_changes_saved(locker, on_answer, &left, dropped, NULL));

    unloaded = locker_of(&full, "another");
    locker_step(&full, unloaded, 1);
    OK(locker_when_changes_saved(unloaded, on_answer, &left, dropped, NULL));
    locker_step(&full, unloaded, 1);
    CHECK(was(&left, 1, 1));
    OK(locker_mark_deleted(unloaded));
    CHECK_STATUS(SL_ERROR_NOT_ACTIVE,
                 locker_when_changes_saved(unloaded, on_answer, &left, dropped, NULL));
    OK(locker_destroy(unloaded));
    CHECK(was(&left, 1, 1));
    full_close(&full);
}

/* What was refused stays the host's. */
static void refused(Server *server) {
    SlProfile *profile = loaded(server, "refused");
    Data data = data_with(server, profile);
    SlSignalConnection *connection = NULL;
    SlSavedConnection *wait = NULL;

    CHECK_STATUS(SL_ERROR_INVALID_ARGUMENT,
                 profile_connect(profile, 99, on_signal, &data, dropped, NULL));
    CHECK_STATUS(SL_ERROR_INVALID_ARGUMENT,
                 profile_connect(profile, SL_SIGNAL_LOST, NULL, &data, dropped, &connection));
    CHECK_STATUS(SL_ERROR_INVALID_ARGUMENT,
                 profile_connect_once(profile, SL_SIGNAL_LOST, NULL, &data, dropped, &connection));
    CHECK_STATUS(SL_ERROR_INVALID_ARGUMENT, profile_when_loaded(profile, NULL, &data, dropped));
    OK(profile_end_session(profile));
    CHECK_STATUS(SL_ERROR_NOT_ACTIVE, profile_when_loaded(profile, on_load, &data, dropped));
    frame(server, 1);
    CHECK_STATUS(SL_ERROR_NOT_ACTIVE,
                 profile_connect(profile, SL_SIGNAL_LOST, on_signal, &data, dropped, NULL));
    CHECK_STATUS(SL_ERROR_NOT_ACTIVE, profile_connect_once(profile, SL_SIGNAL_LOST, on_signal, &data,
                                                           dropped, &connection));
    CHECK_STATUS(SL_ERROR_NOT_ACTIVE, profile_set_before_save(profile, on_save, &data, dropped));
    CHECK_STATUS(SL_ERROR_NOT_ACTIVE,
                 profile_set_before_save_transform(profile, NULL, &data, dropped));
    CHECK_STATUS(SL_ERROR_NOT_ACTIVE,
                 profile_when_changes_saved(profile, on_answer, &data, dropped, NULL));
    CHECK_STATUS(SL_ERROR_NOT_ACTIVE,
                 profile_when_changes_saved(profile, on_answer, &data, dropped, &wait));
    OK(profile_destroy(profile));
    CHECK_STATUS(SL_ERROR_INVALID_HANDLE,
                 profile_set_before_save(profile, on_save, &data, dropped));
    CHECK_STATUS(SL_ERROR_INVALID_HANDLE,
                 profile_when_changes_saved(profile, NULL, &data, dropped, &wait));
    CHECK(was(&data, 0, 0) && connection == NULL && wait == NULL);
}

int main(void) {
    Server server;
    server_open(&server, "memory:", 0, 1);
    signals(&server);
    loads(&server);
    loading_is_given_up(&server);
    waits(&server);
    hooks(&server);
    refused(&server);
    server_close(&server);
    the_end_of_a_store();
    lockers();
    return finish("drops");
}
