/* Sessions on a storage of the host's own that fails, answers late, twice, wrongly, or never: it
 * costs one session its progress, and never a save. */
#include "host_memory.h"

static void a_load_that_fails_is_tried_again(void) {
    HostMemory memory;
    Server server;
    SlProfile *profile = NULL;

    host_server_open(&server, &memory, 1);
    memory.fails = "the disk is full";
    OK(easy_store_start_session(server.store, Z("player"), NULL, &profile));
    frame(&server, 0);
    CHECK(log_is(&server.log, "error:load(the disk is full) =request_fail "));
    memory.fails = NULL;
    frame(&server, 1);
    CHECK(log_is(&server.log, ""));
    frame(&server, 12);
    CHECK(log_is(&server.log, "loaded =loaded "));
    OK(profile_destroy(profile));
    frame(&server, 0);
    server_close(&server);
}

static void a_save_whose_answer_was_lost_is_found_in_the_storage(void) {
    HostMemory memory;
    Server server;
    SlProfile *profile;

    host_server_open(&server, &memory, 0);
    profile = loaded(&server, "player");
    OK(save_data_set_i64(data_of(profile), Z("/Gold"), 5));
    OK(profile_mark_force_save(profile));
    memory.commits = 0;
    memory.holds = 1;
    frame(&server, 0);
    memory.holds = 0;
    frame(&server, 29);
    CHECK(log_is(&server.log, ""));
    frame(&server, 1);
    CHECK(log_is(&server.log, "error:save(no answer from the storage within 30 s) saved "));
    CHECK(memory.commits == 1);

    /* The late answer is taken, once, and changes nothing. */
    {
        SlStorageRequest *late = memory.held[0].request;
        CHECK(host_answer_held(&memory) == 1);
        CHECK_STATUS(SL_ERROR_INVALID_HANDLE, storage_request_conflict(late, 0));
    }
    frame(&server, 0);
    CHECK(log_is(&server.log, ""));
    OK(profile_destroy(profile));
    frame(&server, 0);
    CHECK(log_is(&server.log, "destroyed saved released =loading idling deleted finished "));
    server_close(&server);
}

static void a_storage_that_never_answers_costs_one_session_its_progress(void) {
    HostMemory memory;
    Server server;
    SlProfile *stuck = NULL, *other;
    int32_t is_available = 7, is_loaded = 7;

    host_server_open(&server, &memory, 0);
    other = loaded(&server, "other");
    memory.refuses = 1;
    OK(easy_store_start_session(server.store, Z("stuck"), NULL, &stuck));
    frame(&server, 0);
    memory.refuses = 0;
    OK(save_data_set_i64(data_of(other), Z("/Gold"), 1));
    OK(profile_mark_force_save(other));
    frame(&server, 0);
    CHECK(log_is(&server.log, "saved "));
    OK(profile_is_available(other, &is_available));
    OK(profile_is_loaded(stuck, &is_loaded));
    CHECK(is_available == 1 && is_loaded == 0);
    frame(&server, 30);
    CHECK(log_is(&server.log,
                 "error:load(no answer from the storage within 30 s) =request_fail "));
    frame(&server, 12);
    CHECK(log_is(&server.log, "loaded =loaded "));
    OK(profile_destroy(stuck));
    OK(profile_destroy(other));
    frame(&server, 0);
    server_close(&server);
}

/* Answers a request with everything that does not fit it. */
static void answer_wrongly(HostMemory *memory, SlStorageRequest *request) {
    int is_fetch = *(int *)memory->user_data;
    if (is_fetch) {
        CHECK_STATUS(SL_ERROR_INVALID_ARGUMENT, storage_request_committed(request, Z("r9"), 0));
        CHECK_STATUS(SL_ERROR_INVALID_ARGUMENT, storage_request_conflict(request, 0));
    } else {
        CHECK_STATUS(SL_ERROR_INVALID_ARGUMENT, storage_request_absent(request, NULL, 0, 0));
        CHECK_STATUS(SL_ERROR_INVALID_ARGUMENT,
                     storage_request_fetched(request, T("{}"), Z("r9"), NULL, 0, 0));
        CHECK_STATUS(SL_ERROR_INVALID_ARGUMENT, storage_request_committed(request, Z(""), 0));
    }
    CHECK_STATUS(SL_ERROR_INVALID_ARGUMENT, storage_request_erased(request, Z("r9"), 0));
    CHECK_STATUS(SL_ERROR_INVALID_ARGUMENT, storage_request_keys(request, NULL, 0));
}

static void wrong_answers_are_refused_and_the_right_one_counts(void) {
    HostMemory memory;
    Server server;
    SlProfile *profile;
    int is_fetch = 1;

    host_server_open(&server, &memory, 0);
    memory.before_answer = answer_wrongly;
    memory.user_data = &is_fetch;
    OK(easy_store_start_session(server.store, Z("player"), NULL, &profile));
    /* The fetch is held back, so that the commit is known to be one. */
    memory.holds = 1;
    frame(&server, 0);
    is_fetch = memory.holds = 0;
    CHECK(host_answer_held(&memory) == 1);
    frame(&server, 0);
    CHECK(log_is(&server.log, "loaded =loaded "));
    OK(profile_destroy(profile));
    frame(&server, 0);
    CHECK(log_is(&server.log, "destroyed saved released =loading idling deleted finished "));
    server_close(&server);
}

/* Answers first, so that what the storage answers next is the second answer. */
static void answer_first(HostMemory *memory, SlStorageRequest *request) {
    memory->before_answer = NULL;
    OK(storage_request_failed(request, SL_REQUEST_ERROR_MISC, Z("nobody knows"), 0));
}

static void only_the_first_of_two_answers_counts(void) {
    HostMemory memory;
    Server server;
    SlProfile *profile;

    host_server_open(&server, &memory, 0);
    profile = loaded(&server, "player");
    OK(save_data_set_i64(data_of(profile), Z("/Gold"), 5));
    OK(profile_mark_force_save(profile));
    memory.before_answer = answer_first;
    memory.commits = memory.fetches = 0;
    frame(&server, 0);
    /* It was said to have failed, and the storage shows that it was written. */
    CHECK(log_is(&server.log, "error:save(nobody knows) saved "));
    CHECK(memory.commits == 1 && memory.fetches == 1);
    OK(profile_destroy(profile));
    frame(&server, 0);
    server_close(&server);
    CHECK(memory.drops == 1);
}

/* A session that is ending is not joined: the next one begins when it is over. */
static void nobody_joins_a_session_that_is_ending(int is_releasing) {
    HostMemory memory;
    Server server;
    SlProfile *ended, *next = NULL;
    int32_t value = 7;

    host_server_open(&server, &memory, 1);
    ended = loaded(&server, "player");
    OK(save_data_set_i64(data_of(ended), Z("/Gold"), 3));
    OK(profile_end_session(ended));
    if (is_releasing) {
        memory.holds = 1;
        frame(&server, 0);
        memory.holds = 0;
        CHECK(log_is(&server.log, "destroyed "));
    }
    OK(easy_store_start_session_reusable(server.store, Z("player"), NULL, &next));
    OK(profile_is_loaded(next, &value));
    CHECK(value == 0);
    frame(&server, 0);
    if (is_releasing) {
        CHECK(log_is(&server.log, "=is_locked "));
        CHECK(host_answer_held(&memory) == 1);
        frame(&server, 0);
        CHECK(log_is(&server.log,
                     "saved released =loading idling deleted finished loaded =loaded "));
    } else {
        CHECK(log_is(&server.log, "destroyed =is_locked saved released =loading idling deleted "
                                  "finished loaded =loaded "));
    }
    OK(profile_is_finished(ended, &value));
    CHECK(value == 1);
    OK(profile_is_finished(next, &value));
    CHECK(value == 0 && json_is(data_of(next), "/Gold", "3"));
    OK(profile_destroy(ended));
    OK(profile_destroy(next));
    frame(&server, 0);
    CHECK(log_is(&server.log, "destroyed saved released =loading idling deleted finished "));
    server_close(&server);
}

static void the_end_of_the_storage_frees_what_it_owes(void) {
    HostMemory memory;
    Server server;
    SlProfile *profile = NULL;

    host_server_open(&server, &memory, 0);
    memory.holds = 1;
    OK(easy_store_start_session(server.store, Z("player"), NULL, &profile));
    frame(&server, 0);
    CHECK(memory.held_count == 1);
    server_close(&server);
    CHECK(memory.drops == 1);
    CHECK(host_answer_held(&memory) == 0);
}

int main(void) {
    a_load_that_fails_is_tried_again();
    a_save_whose_answer_was_lost_is_found_in_the_storage();
    a_storage_that_never_answers_costs_one_session_its_progress();
    wrong_answers_are_refused_and_the_right_one_counts();
    only_the_first_of_two_answers_counts();
    nobody_joins_a_session_that_is_ending(0);
    nobody_joins_a_session_that_is_ending(1);
    the_end_of_the_storage_frees_what_it_owes();
    return finish("answers");
}
