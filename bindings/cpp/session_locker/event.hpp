// What happens, as the library tells it: events, signals, error reports, and the words in them.
#ifndef SESSION_LOCKER_EVENT_HPP
#define SESSION_LOCKER_EVENT_HPP

#include "text.hpp"

namespace session_locker {
inline namespace SESSION_LOCKER_MODE {

class profile_ref;
class locker_ref;

/// What an event tells; says which of its members mean something.
enum class event_kind : std::int32_t {
    /// A step of the lifecycle: `lifecycle`, `reason`.
    lifecycle = SL_EVENT_LIFECYCLE,
    /// `load_status`.
    load_status = SL_EVENT_LOAD_STATUS,
    /// Something failed, and the library goes on by itself: `activity`, `error_kind`, `text`, and
    /// `product_id` if it is about a purchase.
    error = SL_EVENT_ERROR,
    /// The session was lost: `text` is the document as it was, with what was not saved, as JSON; where the
    /// waits for some of it are then answered with `outcome::unknown`, that may be saved.
    lost = SL_EVENT_LOST,
    /// A wait for changes was answered: `saved_connection`, `outcome`.
    changes_saved = SL_EVENT_CHANGES_SAVED,
    /// Product credit was given or used: `product_id`, `amount`.
    product_credit_changed = SL_EVENT_PRODUCT_CREDIT_CHANGED,
    /// A purchase was answered: `product_id`, `text` is the purchase id, and `outcome` is `saved` if it
    /// is granted.
    purchase = SL_EVENT_PURCHASE,
    /// Remote changes were sent, or were not: `key`, `send_id`, `send_outcome`.
    remote_changes_sent = SL_EVENT_REMOTE_CHANGES_SENT,
};

/// A step in the life of a session.
enum class lifecycle : std::int32_t {
    /// No step: the event is of another kind.
    none = 0,
    /// The save data was replaced; see `reason`.
    replaced = SL_LIFECYCLE_REPLACED,
    /// The save data is in the storage.
    saved = SL_LIFECYCLE_SAVED,
    /// No session is held and nothing is under way.
    idling = SL_LIFECYCLE_IDLING,
    /// The locker was deleted.
    deleted = SL_LIFECYCLE_DELETED,
    /// The profile was ended by the host.
    destroyed = SL_LIFECYCLE_DESTROYED,
    /// The last event of a profile.
    finished = SL_LIFECYCLE_FINISHED,
};

/// By what the save data was replaced, and why.
enum class reason : std::int32_t {
    /// It was not.
    none = SL_REASON_NONE,
    /// By the player's, from the storage.
    loaded = SL_REASON_LOADED,
    /// By the default; the session was ended willingly, or has not begun.
    released = SL_REASON_RELEASED,
    /// By the default; another server owns the key, or the record is gone.
    lost = SL_REASON_LOST,
};

/// How far loading has come.
enum class load_status : std::int32_t {
    /// Waiting for the key.
    loading = SL_LOAD_STATUS_LOADING,
    /// A storage request failed; it is asked again after a cooldown.
    data_store_request_fail = SL_LOAD_STATUS_DATA_STORE_REQUEST_FAIL,
    /// Another owner holds the key; it is asked for again after the cooldown.
    session_is_locked = SL_LOAD_STATUS_SESSION_IS_LOCKED,
    /// The document is of a version this server does not understand. Final until asked anew.
    invalid_version = SL_LOAD_STATUS_INVALID_VERSION,
    /// The session is ours, and the save data is the player's.
    loaded = SL_LOAD_STATUS_LOADED,
    /// The stored bytes are not a document. Final until asked anew.
    corrupt_data = SL_LOAD_STATUS_CORRUPT_DATA,
    /// A migrator or patcher failed. Final until asked anew.
    migration_failed = SL_LOAD_STATUS_MIGRATION_FAILED,
    /// A new document could not be created. Final until asked anew.
    create_failed = SL_LOAD_STATUS_CREATE_FAILED,
    /// The record was erased. Final until asked anew.
    erased = SL_LOAD_STATUS_ERASED,
};

/// How a wait for changes ended.
enum class outcome : std::int32_t {
    /// There is no answer.
    none = SL_OUTCOME_NONE,
    /// The session ended without them. Of a purchase: it is not granted.
    not_saved = SL_OUTCOME_NOT_SAVED,
    /// They are in the storage. Of a purchase: it is granted.
    saved = SL_OUTCOME_SAVED,
    /// Nobody knows: a commit that contains them is not answered, and the store was destroyed or its drain
    /// has run out of time; or the session was lost, and the record does not tell any more whether that
    /// commit was written.
    unknown = SL_OUTCOME_UNKNOWN,
};

/// How a send of remote changes ended.
enum class send_outcome : std::int32_t {
    /// The changes are in the inbox of their record, or applied by its owner.
    sent = SL_SEND_SENT,
    /// There is no record, and none was to be made; or it was erased meanwhile.
    missing = SL_SEND_MISSING,
    /// The record's inbox has no room for them. Nothing was written.
    inbox_full = SL_SEND_INBOX_FULL,
    /// The sender was destroyed, or a day has passed, and nothing was written.
    not_sent = SL_SEND_NOT_SENT,
    /// The same, with an attempt whose fate is not known.
    unknown = SL_SEND_UNKNOWN,
    /// What is stored under the key is no document. It stays as it is.
    corrupt_data = SL_SEND_CORRUPT_DATA,
};

/// What was being done when something failed.
enum class activity : std::int32_t {
    load = SL_ACTIVITY_LOAD,
    save = SL_ACTIVITY_SAVE,
    create = SL_ACTIVITY_CREATE,
    migrate = SL_ACTIVITY_MIGRATE,
    before_save = SL_ACTIVITY_BEFORE_SAVE,
    remote_change = SL_ACTIVITY_REMOTE_CHANGE,
    merge = SL_ACTIVITY_MERGE,
    purchase = SL_ACTIVITY_PURCHASE,
    send = SL_ACTIVITY_SEND,
};

/// Whose fault a failed request is, and whether trying again helps.
enum class request_error_kind : std::int32_t {
    /// Our own: code or configuration.
    script = SL_REQUEST_ERROR_SCRIPT,
    /// Unknown, or perhaps passes.
    misc = SL_REQUEST_ERROR_MISC,
    /// The backend's: its limits, its network, its outages.
    backend = SL_REQUEST_ERROR_BACKEND,
};

/// What a profile tells. Of one event the signals fire deepest first: `lost` or `released`, then
/// `reset`, `replaced`, `lifecycle`.
enum class signal : std::int32_t {
    lifecycle = SL_SIGNAL_LIFECYCLE,
    finished = SL_SIGNAL_FINISHED,
    destroyed = SL_SIGNAL_DESTROYED,
    saved = SL_SIGNAL_SAVED,
    replaced = SL_SIGNAL_REPLACED,
    loaded = SL_SIGNAL_LOADED,
    reset = SL_SIGNAL_RESET,
    released = SL_SIGNAL_RELEASED,
    lost = SL_SIGNAL_LOST,
    product_credit_changed = SL_SIGNAL_PRODUCT_CREDIT_CHANGED,
};

/// The original's word for a load status, such as `"session_is_locked"`.
[[nodiscard]] inline const char *name(load_status status) noexcept {
    constexpr const char *words[] = {
        "loading",      "data_store_request_fail", "session_is_locked", "invalid_version", "loaded",
        "corrupt_data", "migration_failed",        "create_failed",     "erased"};
    const auto at = static_cast<std::size_t>(status);
    return at < sizeof words / sizeof words[0] ? words[at] : "unknown load status";
}

/// The original's word for a signal, such as `"Saved"`.
[[nodiscard]] inline const char *name(signal which) noexcept {
    constexpr const char *words[] = {"Lifecycle", "Finished", "Destroyed", "Saved", "Replaced",
                                     "Loaded",    "Reset",    "Released",  "Lost",  "ProductCreditChanged"};
    const auto at = static_cast<std::size_t>(which) - 1;
    return at < sizeof words / sizeof words[0] ? words[at] : "unknown signal";
}

/// Something that happened, with the state of its moment. Lent, texts and all: it lives until the
/// callback that got it returns.
class event {
public:
    /// Reads an event of the C ABI, which must outlive this.
    explicit event(const SlEvent &raw) noexcept : raw_(&raw) {}

    /// What it tells.
    [[nodiscard]] event_kind kind() const noexcept { return static_cast<event_kind>(raw_->kind); }
    /// The step of the lifecycle.
    [[nodiscard]] session_locker::lifecycle lifecycle() const noexcept {
        return static_cast<session_locker::lifecycle>(raw_->lifecycle);
    }
    /// Why the save data was replaced.
    [[nodiscard]] session_locker::reason reason() const noexcept {
        return static_cast<session_locker::reason>(raw_->reason);
    }
    /// How far loading has come.
    [[nodiscard]] session_locker::load_status load_status() const noexcept {
        return static_cast<session_locker::load_status>(raw_->load_status);
    }
    /// What was being done when something failed.
    [[nodiscard]] session_locker::activity activity() const noexcept {
        return static_cast<session_locker::activity>(raw_->activity);
    }
    /// Whose fault it was.
    [[nodiscard]] request_error_kind error_kind() const noexcept {
        return static_cast<request_error_kind>(raw_->error_kind);
    }
    /// How a wait, or a purchase, ended.
    [[nodiscard]] session_locker::outcome outcome() const noexcept {
        return static_cast<session_locker::outcome>(raw_->outcome);
    }
    /// How a send ended.
    [[nodiscard]] session_locker::send_outcome send_outcome() const noexcept {
        return static_cast<session_locker::send_outcome>(raw_->outcome);
    }
    /// Whose event it is, of a store; none once the host has destroyed the profile.
    [[nodiscard]] profile_ref profile() const noexcept;
    /// Whose event it is, of a spec; none once the host has destroyed the locker.
    [[nodiscard]] locker_ref locker() const noexcept;
    /// The handle of the wait that was answered, as `saved_connection::handle` has it; null if the host
    /// has none.
    [[nodiscard]] const SlSavedConnection *saved_connection() const noexcept {
        return raw_->saved_connection;
    }
    /// An error's message, the document that was lost, or the id of the purchase.
    [[nodiscard]] std::string_view text() const noexcept { return detail::view(raw_->text); }
    /// The key of the profile or locker, also when that was destroyed; or the key of a send.
    [[nodiscard]] std::string_view key() const noexcept { return detail::view(raw_->key); }
    /// The product, of a credit, a purchase, or an error about one.
    [[nodiscard]] std::int64_t product_id() const noexcept { return raw_->product_id; }
    /// By how much a credit has changed; negative for what was used.
    [[nodiscard]] std::int64_t amount() const noexcept { return raw_->amount; }
    /// The send that was answered.
    [[nodiscard]] std::uint64_t send_id() const noexcept { return raw_->send_id; }

    /// The event of the C ABI.
    [[nodiscard]] const SlEvent &raw() const noexcept { return *raw_; }

private:
    const SlEvent *raw_;
};

/// An error, and what identifies the player. Lent: it lives until the callback that got it returns.
class error_report {
public:
    /// Reads a report of the C ABI, which must outlive this.
    explicit error_report(const SlErrorReport &raw) noexcept : raw_(&raw) {}

    /// What was being done.
    [[nodiscard]] session_locker::activity activity() const noexcept {
        return static_cast<session_locker::activity>(raw_->activity);
    }
    /// Whose fault it is.
    [[nodiscard]] request_error_kind error_kind() const noexcept {
        return static_cast<request_error_kind>(raw_->error_kind);
    }
    /// Whether the configuration asks for verbose logs.
    [[nodiscard]] bool verbose_logs() const noexcept { return raw_->verbose_logs != 0; }
    /// What the log lines of the locker or sender begin with.
    [[nodiscard]] std::string_view log_prefix() const noexcept { return detail::view(raw_->log_prefix); }
    /// The key that was being worked on.
    [[nodiscard]] std::string_view key() const noexcept { return detail::view(raw_->key); }
    /// What happened, in full.
    [[nodiscard]] std::string_view message() const noexcept { return detail::view(raw_->message); }
    /// The same with placeholders for user ids and key, so that equal messages can be counted.
    [[nodiscard]] std::string_view filtered_message() const noexcept {
        return detail::view(raw_->filtered_message);
    }
    /// The users that the record belongs to.
    [[nodiscard]] std::vector<std::string_view> user_ids() const {
        std::vector<std::string_view> all;
        for (std::size_t at = 0; at < raw_->user_id_count; ++at) {
            all.push_back(detail::view(raw_->user_ids[at]));
        }
        return all;
    }

private:
    const SlErrorReport *raw_;
};

namespace detail {

// Hands all unread events of a store, locker or sender to a lambda. They come in batches; the texts of
// one live until the next is taken.
template <typename Raw, typename F>
[[nodiscard]] result<std::size_t> poll_events(SlStatus (*poll)(const Raw *, SlEvent *, std::size_t,
                                                               std::size_t *),
                                              const Raw *from, F &&told) {
    constexpr std::size_t batch = 32;
    SlEvent events[batch];
    std::size_t all = 0;
    std::size_t count = 0;
    do {
        const SlStatus code = poll(from, events, batch, &count);
        if (code != SL_OK) {
            return failure(code);
        }
        for (std::size_t at = 0; at < count; ++at) {
            const event one(events[at]);
            told(one);
        }
        all += count;
    } while (count == batch);
    return all;
}

} // namespace detail
} // namespace SESSION_LOCKER_MODE
} // namespace session_locker

#endif
