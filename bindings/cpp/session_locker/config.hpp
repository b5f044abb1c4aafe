// What stores and specs are made with: settings, hooks, and options of sessions.
#ifndef SESSION_LOCKER_CONFIG_HPP
#define SESSION_LOCKER_CONFIG_HPP

#include "clock.hpp"
#include "event.hpp"
#include "migrator.hpp"
#include "remote_change.hpp"
#include "storage.hpp"

namespace session_locker {
inline namespace SESSION_LOCKER_MODE {

/// What a session may be given at its start.
struct session_options {
    /// The session never touches the storage: for players without records of their own.
    bool disable_apis = false;
    /// The users that the record belongs to, at most 64, each of 1 to 128 bytes. With none the record
    /// keeps those it has.
    std::vector<std::string> user_ids = {};
    /// What the log lines begin with, at most 1024 bytes; empty for the default. `log_prefix` makes one.
    std::string log_prefix = {};
};

/// The settings of stores and specs, with the defaults of the process (see `set_default`). Times are
/// seconds; the C header explains each at SlEasyStoreConfig.
struct session_settings {
    /// The version of the save data this server writes, 1 or more (1).
    std::uint32_t save_data_version;
    /// The `VersionPatch` of new documents (0).
    double save_data_version_patch;
    /// How older documents are brought up to date; null for none. Lent to the call that creates.
    const session_locker::migrators *migrators = nullptr;
    /// The fields of a new document, a JSON object; empty if `create_save_data` makes them.
    std::string template_json;
    /// A document to show under every key that was not written, for tests; empty for none.
    std::string test_data_json;
    /// Which server this is, for people who read a document; empty for a random one.
    std::string job_id;
    /// Which game this is, for people who read a document (0).
    std::int64_t place_id;
    /// The longest that a session goes without a save (300).
    double maintain_session_period;
    /// How long a session that stopped saving keeps its key (1800).
    double session_expiry;
    /// How far apart the servers' clocks may be, on a storage without a clock of its own (300).
    double clock_tolerance;
    /// The wait before a locked key is asked for again, and after a first failure (10).
    double session_retry_cooldown;
    /// What that wait doubles up to while the storage keeps failing (120).
    double session_retry_ceiling;
    /// How long a request may go unanswered before it counts as failed (30).
    double request_timeout;
    /// The largest document that may be written, reserved fields not counted, in bytes (4 MiB).
    std::uint64_t document_limit_bytes;
    /// The most bytes of documents that one update reads and writes (256 KiB).
    std::uint64_t bytes_per_update;
    /// How many purchases a document remembers (100).
    std::uint32_t purchase_history_limit;
    /// The most requests that one update starts (48).
    std::uint32_t requests_per_update;
    /// The most requests under way at once (4096).
    std::uint32_t requests_in_flight;
    /// The storage is read but never written; what is written stays in memory (false).
    bool read_only_data_stores;
    /// Events wait to be polled, instead of going to `event` (false).
    bool polls_events;
    /// The steps of each session are logged, and errors that nobody hears in full (false).
    bool verbose_logs;
    /// Clocks of the host's own; none for the system's.
    std::optional<session_locker::clock> clock;
    /// What all chance is drawn from; 0 for a seed from the operating system. Servers that share a
    /// storage must never share a seed.
    std::uint64_t seed;

protected:
    template <typename Raw> explicit session_settings(const Raw &raw) {
        save_data_version = raw.save_data_version;
        save_data_version_patch = raw.save_data_version_patch;
        place_id = raw.place_id;
        maintain_session_period = raw.maintain_session_period;
        session_expiry = raw.session_expiry;
        clock_tolerance = raw.clock_tolerance;
        session_retry_cooldown = raw.session_retry_cooldown;
        session_retry_ceiling = raw.session_retry_ceiling;
        request_timeout = raw.request_timeout;
        document_limit_bytes = raw.document_limit_bytes;
        bytes_per_update = raw.bytes_per_update;
        purchase_history_limit = raw.purchase_history_limit;
        requests_per_update = raw.requests_per_update;
        requests_in_flight = raw.requests_in_flight;
        read_only_data_stores = raw.read_only_data_stores != 0;
        polls_events = raw.polls_events != 0;
        verbose_logs = raw.verbose_logs != 0;
        seed = raw.seed;
    }
};

/// The hooks and callbacks of stores and specs. All run inside a call of the host's, on its thread, with
/// no lock of the library held. They are kept until the store, or the spec with its lockers and senders,
/// is gone, and destroyed then.
struct session_hooks {
    /// Makes a new document, by writing to an empty draft: `[](std::string_view key, save_data_ref data)`.
    /// It may run again for the same key. If it fails, the load status is `create_failed`.
    hook<std::string_view, save_data_ref> create_save_data;
    /// Told of everything that happens; not with `polls_events`. May call any function but another
    /// update.
    callback<const session_locker::event &> event;
    /// Applies a remote change to the save data of a key: `[](std::string_view key, save_data_ref data,
    /// const remote_change &change)`. `not_applicable()` leaves it in the inbox until the next load; a
    /// failure is reported, and it is tried again. Without this hook all stay in the inbox.
    hook<std::string_view, save_data_ref, const remote_change &> process_remote_change;
    /// Takes over into what was loaded (the last parameter) what the host has written before the load
    /// (the second, a copy): `[](std::string_view key, save_data_ref offline, save_data_ref data)`.
    /// Without this hook that is dropped.
    hook<std::string_view, save_data_ref, save_data_ref> merge_offline_save_data;
    /// Told of every failure. Several threads may run it at the same time.
    callback<const error_report &> report_error;
};

namespace detail {

// What the options say, for as long as they and this live. Not to be moved.
class raw_session_options {
public:
    explicit raw_session_options(const session_options &from) : user_ids_(texts(from.user_ids)) {
        session_locker_session_options_init(&raw_, sizeof raw_);
        raw_.disable_apis = from.disable_apis ? 1 : 0;
        raw_.user_ids = user_ids_.data();
        raw_.user_id_count = user_ids_.size();
        raw_.log_prefix = data_or_null(from.log_prefix);
        raw_.log_prefix_length = from.log_prefix.size();
    }
    raw_session_options(const raw_session_options &) = delete;
    raw_session_options &operator=(const raw_session_options &) = delete;

    [[nodiscard]] const SlSessionOptions *get() const noexcept { return &raw_; }

private:
    std::vector<SlText> user_ids_;
    SlSessionOptions raw_{};
};

template <typename Raw> void write_settings(Raw &raw, const session_settings &from) {
    raw.save_data_version = from.save_data_version;
    raw.save_data_version_patch = from.save_data_version_patch;
    raw.migrators = from.migrators == nullptr ? nullptr : from.migrators->handle();
    raw.template_json = data_or_null(from.template_json);
    raw.template_json_length = from.template_json.size();
    raw.test_data_json = data_or_null(from.test_data_json);
    raw.test_data_json_length = from.test_data_json.size();
    raw.job_id = data_or_null(from.job_id);
    raw.job_id_length = from.job_id.size();
    raw.place_id = from.place_id;
    raw.maintain_session_period = from.maintain_session_period;
    raw.session_expiry = from.session_expiry;
    raw.clock_tolerance = from.clock_tolerance;
    raw.session_retry_cooldown = from.session_retry_cooldown;
    raw.session_retry_ceiling = from.session_retry_ceiling;
    raw.request_timeout = from.request_timeout;
    raw.document_limit_bytes = from.document_limit_bytes;
    raw.bytes_per_update = from.bytes_per_update;
    raw.purchase_history_limit = from.purchase_history_limit;
    raw.requests_per_update = from.requests_per_update;
    raw.requests_in_flight = from.requests_in_flight;
    raw.read_only_data_stores = from.read_only_data_stores ? 1 : 0;
    raw.polls_events = from.polls_events ? 1 : 0;
    raw.verbose_logs = from.verbose_logs ? 1 : 0;
    raw.seed = from.seed;
}

// A report_error callback of whatever has one.
template <typename Hooks> void tell_error(void *user_data, const SlErrorReport *raw) noexcept {
    run_callback([&] { static_cast<Hooks *>(user_data)->report_error(error_report(*raw)); });
}

// The functions that call the hooks in an object of the type Hooks, which is their user_data.
template <typename Hooks> struct trampolines {
    static SlStatus create_save_data(void *user_data, const char *key, std::size_t key_length,
                                     SlSaveData *data) noexcept {
        return run_hook(
            [&] { return of(user_data).create_save_data(view(key, key_length), save_data_ref(data)); });
    }
    static void event(void *user_data, const SlEvent *raw) noexcept {
        run_callback([&] { of(user_data).event(session_locker::event(*raw)); });
    }
    static SlStatus process_remote_change(void *user_data, const char *key, std::size_t key_length,
                                          SlSaveData *data, const char *json,
                                          std::size_t json_length) noexcept {
        return run_hook([&] {
            const remote_change change(view(json, json_length));
            return of(user_data).process_remote_change(view(key, key_length), save_data_ref(data), change);
        });
    }
    static SlStatus merge(void *user_data, const char *key, std::size_t key_length, SlSaveData *offline,
                          SlSaveData *data) noexcept {
        return run_hook([&] {
            return of(user_data).merge_offline_save_data(view(key, key_length), save_data_ref(offline),
                                                         save_data_ref(data));
        });
    }

    template <typename Raw> static void write(Raw &raw, const Hooks &hooks) {
        raw.create_save_data = hooks.create_save_data ? &create_save_data : nullptr;
        raw.event = hooks.event ? &event : nullptr;
        raw.process_remote_change = hooks.process_remote_change ? &process_remote_change : nullptr;
        raw.merge_offline_save_data = hooks.merge_offline_save_data ? &merge : nullptr;
        raw.report_error = hooks.report_error ? &tell_error<Hooks> : nullptr;
        raw.drop = &drop<Hooks>;
    }

private:
    static Hooks &of(void *user_data) noexcept { return *static_cast<Hooks *>(user_data); }
};

// Creates a store or a spec with a filled-in configuration; hooks and clock become the library's if that
// succeeds.
template <typename Raw, typename Hooks, typename Create>
[[nodiscard]] result<void> create_with(Raw &raw, std::unique_ptr<Hooks> hooks,
                                       std::optional<clock> &&own_clock, Create &&create) {
    std::unique_ptr<clock> kept;
    SlClock table{};
    if (own_clock) {
        kept = std::make_unique<clock>(*std::move(own_clock));
        table = clock_table(kept.get());
        raw.clock = &table;
    }
    const result<void> outcome = hand_over(std::move(hooks), [&](void *user_data) {
        raw.user_data = user_data;
        return create(&raw);
    });
    if (outcome) {
        static_cast<void>(kept.release());
    }
    return outcome;
}

// A configuration of the C ABI with the defaults of the process.
template <typename Raw> [[nodiscard]] Raw defaults_of(SlStatus (*init)(Raw *, std::size_t)) {
    Raw raw{};
    init(&raw, sizeof raw);
    return raw;
}

} // namespace detail
} // namespace SESSION_LOCKER_MODE
} // namespace session_locker

#endif
