/* What the programs share that show, fault by fault, what is right here and wrong in the original:
 * servers on a storage that fails on command, and each kind of call in one place. */
#ifndef FAULTS_H
#define FAULTS_H

#include "faulty_host.h"

HELPER SlProfile *start(Server *server, const char *key) {
    SlProfile *profile = NULL;
    OK(easy_store_start_session(server->store, Z(key), NULL, &profile));
    return profile;
}

HELPER SlProfile *start_reusable(Server *server, const char *key) {
    SlProfile *profile = NULL;
    OK(easy_store_start_session_reusable(server->store, Z(key), NULL, &profile));
    return profile;
}

HELPER int32_t flag(SlProfile *profile, SlStatus (*is_so)(const SlProfile *, int32_t *)) {
    int32_t value = 7;
    OK(is_so(profile, &value));
    return value;
}

HELPER void set_gold(SlProfile *profile, int64_t gold) {
    OK(save_data_set_i64(data_of(profile), Z("/Gold"), gold));
}

HELPER int64_t gold_of(SlProfile *profile) {
    int64_t gold = -1;
    OK(save_data_get_i64(data_of(profile), Z("/Gold"), &gold));
    return gold;
}

/* Asks for a save and updates at once. */
HELPER void save_now(Server *server, SlProfile *profile) {
    OK(profile_mark_force_save(profile));
    frame(server, 0);
}

/* Lets time pass with an update every `step` seconds. */
HELPER void pass(Server *server, double seconds, double step) {
    double end = server->moment.seconds + seconds;
    while (server->moment.seconds < end) {
        frame(server, step);
    }
}

/* One wait: how often it was answered, and how. */
typedef struct Answer {
    int count;
    int32_t outcome;
} Answer;

HELPER void take_answer(void *user_data, int32_t outcome) {
    Answer *answer = (Answer *)user_data;
    answer->count++;
    answer->outcome = outcome;
}

HELPER void wait_for_changes(SlProfile *profile, Answer *answer) {
    answer->count = 0;
    answer->outcome = SL_OUTCOME_NONE;
    OK(profile_when_changes_saved(profile, take_answer, answer, NULL, NULL));
}

HELPER int answered(const Answer *answer, int32_t outcome) {
    return answer->count == 1 && answer->outcome == outcome;
}

HELPER void set_before_save(SlProfile *profile, int transform, SlBeforeSave hook, void *user_data) {
    OK(transform ? profile_set_before_save_transform(profile, hook, user_data, NULL)
                 : profile_set_before_save(profile, hook, user_data, NULL));
}

HELPER void on_signal(SlProfile *profile, int32_t signal, SlSignalCallback hear, void *user_data) {
    OK(profile_connect(profile, signal, hear, user_data, NULL, NULL));
}

#endif
