/* The functions that send remote changes refuse wrong handles, whatever they are, and change
 * nothing. */
#include "world.h"
#include "wrong_handles.h"

static int drops = 0;

static void count_drop(void *user_data) {
    (void)user_data;
    drops++;
}

static void answer_nothing(void *user_data, uint64_t send_id, int32_t outcome) {
    (void)user_data;
    (void)send_id;
    (void)outcome;
    CHECK(!"a send that was refused is answered");
}

int main(void) {
    Server server;
    SlLockerSpec *spec = NULL, *stale_spec = NULL;
    SlLockerSpecConfig config;
    SlRemoteChangeSenderConfig sender_config;
    SlRemoteChangeSender *live = NULL, *stale = NULL, *nothing = NULL;
    SlDrainReport *report = NULL, *stale_report = NULL;
    SlUnsent unsent;
    SlEvent event;
    size_t count = 7;
    uint64_t id = 7;
    int32_t value = 7;

    server_open(&server, "memory:", 0, 1);
    OK(locker_spec_config_init(&config, sizeof config));
    config.template_json = "{\"Gold\":0}";
    OK(locker_spec_create(server.storage, &config, &spec));
    OK(locker_spec_create(server.storage, &config, &stale_spec));
    OK(locker_spec_destroy(stale_spec));
    OK(remote_change_sender_config_init(&sender_config, sizeof sender_config));
    sender_config.drop = count_drop;
    prepare(stale_spec, spec, server.store);
    REFUSED(SlLockerSpec, remote_change_sender_create(handle, &sender_config, &nothing));
    CHECK(nothing == NULL && drops == 0);

    OK(remote_change_sender_create(spec, NULL, &live));
    OK(remote_change_sender_create(spec, &sender_config, &stale));
    OK(remote_change_sender_destroy(stale));
    CHECK(drops == 1);
    prepare(stale, live, spec);
    REFUSED(SlRemoteChangeSender, remote_change_sender_update(handle, 1));
    REFUSED(SlRemoteChangeSender, remote_change_sender_poll_event(handle, &event, 1, &count));
    REFUSED(SlRemoteChangeSender, remote_change_sender_is_sending(handle, &value));
    REFUSED(SlRemoteChangeSender,
            remote_change_sender_send(handle, Z("key"), Z("[]"), NULL, answer_nothing, NULL,
                                      count_drop, &id));
    REFUSED(SlRemoteChangeSender, remote_change_sender_destroy(handle));
    OK(remote_change_sender_is_sending(live, &value));
    CHECK(value == 0);
    OK(remote_change_sender_destroy(live));

    prepare(NULL, server.store, server.storage);
    REFUSED(SlEasyStore,
            easy_store_send_remote_changes(handle, Z("key"), Z("[]"), NULL, answer_nothing, NULL,
                                           count_drop, &id));
    CHECK(drops == 1 && id == 7);

    OK(easy_store_drain(server.store, 0, &stale_report));
    OK(easy_store_drain(server.store, 0, &report));
    OK(drain_report_destroy(stale_report));
    unsent.struct_size = sizeof unsent;
    unsent.change_count = 7;
    prepare(stale_report, report, server.store);
    REFUSED(SlDrainReport, drain_report_unsent_count(handle, &count));
    REFUSED(SlDrainReport, drain_report_get_unsent(handle, 0, &unsent));
    CHECK(count == 7 && unsent.change_count == 7);
    OK(drain_report_destroy(report));
    OK(locker_spec_destroy(spec));
    server_close(&server);
    return finish("handles_senders");
}
