/* Remote changes that are too large, too many, or not what they should be: each send is refused with a
 * status or answered once, and the owner of a full inbox goes on. */
#include "locker_world.h"

/* What `docs/protocol.md` says of inboxes and senders. */
enum { INBOX_MAX = 10000, SENDS_MAX = 1 << 20, INBOX_MAX_BYTES = 1 << 20 };

typedef struct Sends {
    int answers;
    int outcomes[7];
    int drops;
    uint64_t last_id;
    int in_order;
} Sends;

static void hear(void *user_data, uint64_t send_id, int32_t outcome) {
    Sends *sends = (Sends *)user_data;
    sends->answers++;
    sends->outcomes[outcome]++;
    sends->in_order += send_id > sends->last_id;
    sends->last_id = send_id;
}

static void on_drop(void *user_data) { ((Sends *)user_data)->drops++; }

/* An array of so many changes, each of so many bytes. The caller frees it. */
static char *changes_of(size_t count, size_t each) {
    static const char head[] = "{\"K\":\"gold\",\"S\":\"", tail[] = "\"}";
    size_t padding = each - (sizeof head - 1) - (sizeof tail - 1), at;
    char *json = (char *)malloc(count * (each + 1) + 3), *end = json;
    *end++ = '[';
    for (at = 0; at < count; at++) {
        if (at > 0) {
            *end++ = ',';
        }
        memcpy(end, head, sizeof head - 1);
        end += sizeof head - 1;
        memset(end, 'x', padding);
        end += padding;
        memcpy(end, tail, sizeof tail - 1);
        end += sizeof tail - 1;
    }
    *end++ = ']';
    *end = '\0';
    return json;
}

/* A document whose inbox holds so many changes, each of 1 gold. The caller frees it. */
static char *document_with(int count, int padding) {
    char *json = (char *)malloc((size_t)count * (size_t)(80 + padding) + 200), *end = json;
    int at;
    end += sprintf(end, "{\"Version\":1,\"VersionPatch\":0,\"Gold\":0,\"RemoteChanges\":[");
    for (at = 0; at < count; at++) {
        end += sprintf(end, "%s{\"K\":\"gold\",\"I\":\"i:%d\",\"A\":1700000000,\"S\":\"%0*d\"}",
                       at > 0 ? "," : "", at, padding, 0);
    }
    sprintf(end, "]}");
    return json;
}

static SlStatus send_to(Server *server, const char *key, const char *json, Sends *sends) {
    return easy_store_send_remote_changes(server->store, Z(key), Z(json), NULL, hear, sends, on_drop,
                                          NULL);
}

static void what_cannot_be_a_change_is_refused(void) {
    Server server;
    Sends sends;
    char *json, *id = (char *)malloc(1 << 20);
    char deep[600];
    size_t at, length;
    uint64_t send_id = 7;
    memset(&sends, 0, sizeof sends);
    memset(id, 'i', 1 << 20);
    server_open(&server, "memory:", 0, 1);

    json = changes_of(1, 5 << 20);
    CHECK_STATUS(SL_ERROR_TOO_LARGE, send_to(&server, "player", json, &sends));
    CHECK(last_error_says("1048576"));
    free(json);
    json = changes_of(INBOX_MAX + 1, 32);
    CHECK_STATUS(SL_ERROR_TOO_LARGE, send_to(&server, "player", json, &sends));
    CHECK(last_error_says("10001 remote changes"));
    free(json);
    /* 200 levels, then one more than a document may have in its inbox, then as many as it may have. */
    for (at = 0; at < 3; at++) {
        size_t levels = at == 0 ? 200 : at == 1 ? 125 : 124;
        length = (size_t)sprintf(deep, "[{\"K\":\"k\",\"V\":");
        memset(deep + length, '[', levels + 1);
        memset(deep + length + levels + 1, ']', levels + 1);
        strcpy(deep + length + 2 * (levels + 1), "}]");
        CHECK_STATUS(at < 2 ? SL_ERROR_TOO_LARGE : SL_OK, send_to(&server, "deep", deep, &sends));
    }
    CHECK_STATUS(SL_ERROR_NOT_FOUND, send_to(&server, "player", "[{\"gold\":1}]", &sends));
    CHECK(last_error_says("/0/K"));
    CHECK_STATUS(SL_ERROR_WRONG_TYPE, send_to(&server, "player", "[{\"K\":\"k\"},{\"K\":7}]", &sends));
    CHECK(last_error_says("/1/K"));
    CHECK_STATUS(SL_ERROR_OUT_OF_RANGE, send_to(&server, "player", "[{\"K\":\"\"}]", &sends));
    CHECK_STATUS(SL_ERROR_WRONG_TYPE, send_to(&server, "player", "{\"K\":\"k\"}", &sends));
    CHECK_STATUS(SL_ERROR_WRONG_TYPE, send_to(&server, "player", "7", &sends));
    CHECK_STATUS(SL_ERROR_WRONG_TYPE, send_to(&server, "player", "[[]]", &sends));
    CHECK_STATUS(SL_ERROR_INVALID_JSON, send_to(&server, "player", "[{\"K\":\"k\"}", &sends));
    CHECK_STATUS(SL_ERROR_INVALID_JSON, send_to(&server, "player", "[{\"K\":\"k\"}] x", &sends));
    CHECK_STATUS(SL_ERROR_INVALID_JSON, send_to(&server, "player", "", &sends));
    CHECK_STATUS(SL_ERROR_INVALID_UTF8, send_to(&server, "player", "[{\"K\":\"\xff\"}]", &sends));
#define SEND_UNDER(id, length)                                                                     \
    easy_store_send_remote_changes(server.store, Z("player"), Z("[{\"K\":\"k\"}]"),                      \
                                   sent_as(id, length), hear, &sends, on_drop, &send_id)
    CHECK_STATUS(SL_ERROR_INVALID_ARGUMENT, SEND_UNDER(id, 129));
    CHECK_STATUS(SL_ERROR_INVALID_ARGUMENT, SEND_UNDER(id, 1 << 20));
    CHECK(last_error_says("the operation id is 1048576 bytes long"));
    CHECK_STATUS(SL_ERROR_INVALID_ARGUMENT, SEND_UNDER(id, SIZE_MAX / 2 + 1));
    CHECK_STATUS(SL_ERROR_INVALID_ARGUMENT, SEND_UNDER(id, 0));
    CHECK_STATUS(SL_ERROR_INVALID_UTF8, SEND_UNDER("\xff", 1));
    CHECK(send_id == 7);
    OK(SEND_UNDER(id, 128));
#undef SEND_UNDER
    frame(&server, 0);
    CHECK(sends.answers == 2 && sends.drops == 2 && sends.outcomes[SL_SEND_SENT] == 2);
    server_close(&server);
    free(id);
}

/* One change of nearly 1 MiB fits, and is applied. */
static SlStatus count_gold(void *user_data, const char *key, size_t key_length, SlSaveData *data,
                           const char *change, size_t change_length) {
    int64_t gold;
    (void)user_data;
    (void)key;
    (void)key_length;
    CHECK(change_length > 0 && change[0] == '{');
    return save_data_add_i64(data, Z("/Gold"), 1, &gold);
}

typedef struct Owner {
    Server server;
    int offers;
    SlStatus answer;
} Owner;

/* Tries what no hook may keep, then answers as it is told to. */
static SlStatus on_change(void *user_data, const char *key, size_t key_length, SlSaveData *data,
                          const char *change, size_t change_length) {
    Owner *owner = (Owner *)((char *)user_data - offsetof(Owner, server));
    owner->offers++;
    OK(count_gold(user_data, key, key_length, data, change, change_length));
    return owner->answer;
}

static void owner_open(Owner *owner, SlStorage *storage) {
    SlClock clock;
    SlEasyStoreConfig config;
    memset(owner, 0, sizeof *owner);
    owner->server.storage = storage;
    config = server_config(&owner->server, &clock, 7);
    config.process_remote_change = on_change;
    OK(easy_store_create(storage, &config, &owner->server.store));
}

/* A document that is larger than the budget of an update takes a few of them. */
static void frames_of(Server *server, int count) {
    while (count-- > 0) {
        frame(server, 3);
    }
}

static int64_t gold_of(SlProfile *profile) {
    int64_t gold = -1;
    OK(save_data_get_i64(data_of(profile), Z("/Gold"), &gold));
    return gold;
}

/* The owner finds out what was sent, and stores what it has applied. */
static void take_all(Owner *owner, SlProfile *profile) {
    int step;
    OK(profile_mark_force_save(profile));
    for (step = 0; step < 200; step++) {
        frame(&owner->server, 0.01);
    }
    OK(profile_mark_force_save(profile));
    frame(&owner->server, 0.01);
}

static int32_t is_loaded(SlProfile *profile) {
    int32_t value = 7;
    OK(profile_is_loaded(profile, &value));
    return value;
}

static void ten_thousand_changes_are_applied_once_each_over_several_updates(SlStatus answer,
                                                                            int count, int padding) {
    Owner owner;
    SlProfile *profile = NULL, *other = NULL;
    SlStorage *storage = NULL;
    char *document = document_with(count, padding);
    int frames = 0, before, most = 0;
    OK(locker_storage_open(Z("memory:"), &storage));
    store_under(storage, "player", document);
    owner_open(&owner, storage);
    owner.answer = answer;
    OK(easy_store_start_session(owner.server.store, Z("player"), NULL, &profile));
    OK(easy_store_start_session(owner.server.store, Z("other"), NULL, &other));
    while (!is_loaded(profile) && frames++ < 2 * count) {
        before = owner.offers;
        frame(&owner.server, 0.01);
        most = owner.offers - before > most ? owner.offers - before : most;
        /* Others do not wait for it. */
        CHECK(frames < 3 || is_loaded(other));
    }
    CHECK(is_loaded(profile) && owner.offers == count && most <= 128 + 16);
    CHECK(gold_of(profile) == (answer == SL_OK ? count : 0));
    /* The session is a session like any other. */
    OK(save_data_set_i64(data_of(profile), Z("/Level"), 3));
    OK(profile_destroy(profile));
    OK(profile_destroy(other));
    frame(&owner.server, 0);
    frame(&owner.server, 0);
    CHECK(stored_has(storage, "player", "\"Level\":3"));
    CHECK(!stored_has(storage, "player", "\"Session\""));
    CHECK(stored_has(storage, "player", "RemoteChanges") == (answer != SL_OK));
    server_close(&owner.server);
    free(document);
}

/* A full inbox: the sender hears it, and the owner, when there is one again, empties it. */
static void a_full_inbox_ends_sends_and_its_owner_goes_on(void) {
    Owner owner;
    Server server;
    Sends sends;
    SlProfile *profile;
    SlStorage *storage = NULL;
    char *document = document_with(INBOX_MAX, 1), *all, *large;
    int step;
    memset(&sends, 0, sizeof sends);
    OK(locker_storage_open(Z("memory:"), &storage));
    store_under(storage, "player", document);
    free(document);
    /* A server that knows no remote changes: it loads the key, and leaves them alone. */
    memset(&server, 0, sizeof server);
    {
        SlClock clock;
        SlEasyStoreConfig config = server_config(&server, &clock, 1);
        server.storage = storage;
        OK(easy_store_create(storage, &config, &server.store));
    }
    OK(send_to(&server, "player", "[{\"K\":\"gold\"}]", &sends));
    frames_of(&server, 3);
    CHECK(sends.outcomes[SL_SEND_INBOX_FULL] == 1 && sends.answers == 1);
    profile = loaded(&server, "player");
    OK(save_data_set_i64(data_of(profile), Z("/Level"), 3));
    OK(send_to(&server, "player", "[{\"K\":\"gold\"}]", &sends));
    frames_of(&server, 3);
    CHECK(sends.outcomes[SL_SEND_INBOX_FULL] == 2);
    OK(profile_destroy(profile));
    frame(&server, 0);
    CHECK(stored_has(storage, "player", "\"Level\":3"));

    owner_open(&owner, storage);
    OK(easy_store_start_session(owner.server.store, Z("player"), NULL, &profile));
    for (step = 0; step < 2 * INBOX_MAX && !is_loaded(profile); step++) {
        frame(&owner.server, 0.01);
    }
    CHECK(gold_of(profile) == INBOX_MAX);

    /* There is room again: for as many as that, or for as much. */
    all = changes_of(INBOX_MAX, 32);
    large = changes_of(1, INBOX_MAX_BYTES - 100);
    take_all(&owner, profile);
    OK(send_to(&server, "player", all, &sends));
    OK(send_to(&server, "player", "[{\"K\":\"gold\"}]", &sends));
    frames_of(&server, 3);
    CHECK(sends.outcomes[SL_SEND_SENT] == 1 && sends.outcomes[SL_SEND_INBOX_FULL] == 3);
    take_all(&owner, profile);
    CHECK(gold_of(profile) == 2 * INBOX_MAX);
    OK(send_to(&server, "player", large, &sends));
    OK(send_to(&server, "player", "[{\"K\":\"gold\",\"S\":\"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\"}]", &sends));
    frames_of(&server, 3);
    CHECK(sends.outcomes[SL_SEND_SENT] == 2 && sends.outcomes[SL_SEND_INBOX_FULL] == 4);
    take_all(&owner, profile);
    CHECK(gold_of(profile) == 2 * INBOX_MAX + 1 && owner.offers == 2 * INBOX_MAX + 1);
    CHECK(sends.answers == 6 && sends.drops == 6);
    free(all);
    free(large);
    OK(profile_destroy(profile));
    frame(&owner.server, 0);
    OK(easy_store_destroy(owner.server.store));
    server_close(&server);
}

static void of_more_than_a_million_sends_those_that_were_accepted_are_answered_once(void) {
    Full full;
    Sends sends;
    SlRemoteChangeSender *sender = NULL;
    SlRemoteChangeSenderConfig config;
    int at, accepted = 0, refused = 0;
    memset(&sends, 0, sizeof sends);
    full_open(&full, "memory:", 0, 1);
    OK(remote_change_sender_config_init(&config, sizeof config));
    config.create_if_missing = 1;
    OK(remote_change_sender_create(full.spec, &config, &sender));
#define SEND                                                                                       \
    remote_change_sender_send(sender, T("player"), T("[{\"K\":\"k\"}]"), NULL, hear, &sends, on_drop, \
                              NULL)
    for (at = 0; at < SENDS_MAX + 1000; at++) {
        SlStatus status = SEND;
        accepted += status == SL_OK;
        refused += status == SL_ERROR_LIMIT;
    }
    CHECK(accepted == SENDS_MAX && refused == 1000 && last_error_says("1048576"));
    for (at = 0; at < 5; at++) {
        OK(remote_change_sender_update(sender, at));
    }
    CHECK(sends.answers == accepted && sends.drops == accepted);
    CHECK(sends.outcomes[SL_SEND_SENT] == INBOX_MAX);
    CHECK(sends.outcomes[SL_SEND_INBOX_FULL] == accepted - INBOX_MAX);
    OK(SEND);
#undef SEND
    OK(remote_change_sender_update(sender, 8));
    OK(remote_change_sender_update(sender, 9));
    CHECK(sends.answers == accepted + 1);
    OK(remote_change_sender_destroy(sender));
    full_close(&full);
}

static void sends_that_are_too_large_together_are_refused(void) {
    enum { UNANSWERED_MAX_BYTES = 1 << 28 };
    const size_t each = 1000000;
    char *json = changes_of(1, each), key[32];
    Server server;
    Sends sends;
    SlStatus status = SL_OK;
    int accepted = 0, at;
    memset(&sends, 0, sizeof sends);
    server_open(&server, "memory:", 0, 1);
    while (accepted < 1000 && status == SL_OK) {
        sprintf(key, "player/%d", accepted);
        status = send_to(&server, key, json, &sends);
        accepted += status == SL_OK;
    }
    CHECK(status == SL_ERROR_LIMIT && last_error_says("268435456"));
    /* The braces of each are not counted. */
    CHECK(accepted == (int)(UNANSWERED_MAX_BYTES / (each - 2)));
    OK(send_to(&server, "small", "[{\"K\":\"k\"}]", &sends));
    accepted++;
    for (at = 0; at < 3000 && sends.answers < accepted; at++) {
        frame(&server, 0.01);
    }
    CHECK(sends.outcomes[SL_SEND_SENT] == accepted && sends.drops == accepted);
    OK(send_to(&server, "player/1000", json, &sends));
    server_close(&server);
    CHECK(sends.answers == accepted + 1);
    free(json);
}

static void a_hundred_thousand_keys_are_sent_to_within_the_budget_of_each_update(void) {
    enum { KEYS = 100000 };
    Server server;
    Sends sends;
    char key[16];
    int at, before, most = 0, frames = 0, accepted = 0;
    memset(&sends, 0, sizeof sends);
    server_open(&server, "memory:", 0, 1);
    for (at = 0; at < KEYS; at++) {
        sprintf(key, "player/%d", at);
        accepted += send_to(&server, key, "[{\"K\":\"gold\"}]", &sends) == SL_OK;
    }
    CHECK(accepted == KEYS);
    do {
        before = sends.answers;
        frame(&server, 0.01);
        most = sends.answers - before > most ? sends.answers - before : most;
    } while (sends.answers < KEYS && frames++ < 10000);
    CHECK(sends.outcomes[SL_SEND_SENT] == KEYS && sends.drops == KEYS && most <= 128);
    CHECK(stored_has(server.storage, "player/0", "gold"));
    CHECK(stored_has(server.storage, "player/99999", "gold"));
    server_close(&server);
}

int main(void) {
    what_cannot_be_a_change_is_refused();
    ten_thousand_changes_are_applied_once_each_over_several_updates(SL_OK, INBOX_MAX, 1);
    ten_thousand_changes_are_applied_once_each_over_several_updates(SL_ERROR_HOOK, INBOX_MAX, 1);
    ten_thousand_changes_are_applied_once_each_over_several_updates(SL_ERROR_NOT_APPLICABLE, 1000, 1);
    /* An inbox beyond its limits, as another program may have written it, is read all the same. */
    ten_thousand_changes_are_applied_once_each_over_several_updates(SL_OK, 3 * INBOX_MAX, 100);
    a_full_inbox_ends_sends_and_its_owner_goes_on();
    of_more_than_a_million_sends_those_that_were_accepted_are_answered_once();
    sends_that_are_too_large_together_are_refused();
    a_hundred_thousand_keys_are_sent_to_within_the_budget_of_each_update();
    return finish("limits_remote_changes");
}
