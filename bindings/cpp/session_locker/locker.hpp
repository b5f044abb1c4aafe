// One key's lock and save data, which the host updates itself: the seed's `LockerState`, and its spec.
#ifndef SESSION_LOCKER_LOCKER_HPP
#define SESSION_LOCKER_LOCKER_HPP

#include "config.hpp"
#include "connection.hpp"
#include "leaving.hpp"
#include "purchase.hpp"

namespace session_locker {
inline namespace SESSION_LOCKER_MODE {

/// One key's lock and save data, by its name: what hooks and events have, and what `locker` can do. Any
/// thread, also inside callbacks, save where it says otherwise. Questions to a name that nothing answers
/// to any more are answered with no, and calls fail with `invalid_handle`.
class locker_ref : public base::named<SlLocker> {
public:
    using named::named;

    /// The key that the locker was made for.
    [[nodiscard]] result<std::string> key() const {
        detail::buffer text;
        const SlStatus code = locker_get_key(handle(), text.out());
        return detail::text_of(code, text);
    }
    /// How far loading has come. Errors: `not_active` (the locker was deleted).
    [[nodiscard]] result<session_locker::load_status> load_status() const {
        std::int32_t status = 0;
        const SlStatus code = locker_load_status(handle(), &status);
        return detail::checked<session_locker::load_status>(code, status);
    }
    /// The version that a server must have for this document, after `load_status::invalid_version`; else
    /// 0. Errors: `not_active`.
    [[nodiscard]] result<std::uint32_t> load_minimum_server_version() const {
        std::uint32_t version = 0;
        const SlStatus code = locker_load_minimum_server_version(handle(), &version);
        return detail::checked<std::uint32_t>(code, version);
    }
    /// Whether the locker holds no session and has nothing under way.
    [[nodiscard]] bool is_idling() const noexcept { return asks(locker_is_idling); }
    /// Whether the locker was deleted.
    [[nodiscard]] bool is_deleted() const noexcept { return asks(locker_is_deleted); }
    /// What `set_is_syncing` has set; true in the beginning.
    [[nodiscard]] bool is_syncing() const noexcept { return asks(locker_is_syncing); }
    /// Whether the save data is the player's and will be saved: loaded, syncing, within the lease, and not
    /// being released.
    [[nodiscard]] bool is_available() const noexcept { return asks(locker_is_available); }
    /// The save data: the player's while loaded, else the default. Each write counts as a change. Of a
    /// locker that is gone it names nothing.
    [[nodiscard]] save_data_ref get_save_data() const noexcept {
        SlSaveData *data = nullptr;
        return locker_get_save_data(handle(), &data) == SL_OK ? save_data_ref(data) : save_data_ref();
    }
    /// The document of the session that was lost last, with what was not saved, as JSON. Errors:
    /// `not_found` (none was), `not_active`.
    [[nodiscard]] result<std::string> get_lost_save_data() const {
        detail::buffer json;
        const SlStatus code = locker_get_lost_save_data(handle(), json.out());
        return detail::text_of(code, json);
    }

    /// Says whether the save data is kept in step with the player's state, for hosts that keep that
    /// elsewhere. Errors: `not_active`.
    result<void> set_is_syncing(bool is_syncing) const {
        return detail::checked(locker_set_is_syncing(handle(), is_syncing ? 1 : 0));
    }
    /// Notes a change that the save data does not know of: it is in the next save. Errors: `not_active`.
    result<void> mark_should_save() const { return detail::checked(locker_mark_should_save(handle())); }
    /// Saves at the next update. Errors: `not_active`.
    result<void> mark_force_save() const { return detail::checked(locker_mark_force_save(handle())); }
    /// Sets what the log lines begin with, at most 1024 bytes; empty for the default. Errors:
    /// `invalid_argument`, `invalid_utf8`, `not_active`.
    result<void> set_log_prefix(std::string_view prefix) const {
        return detail::checked(locker_set_log_prefix(handle(), prefix.data(), prefix.size()));
    }

    /// Calls `told(outcome)` once the changes made so far are saved, or are not. Errors: `not_active`,
    /// `limit`.
    template <typename F> [[nodiscard]] result<void> when_changes_saved(F &&told) const {
        return detail::when_saved(std::forward<F>(told), [&](auto... rest) {
            return locker_when_changes_saved(handle(), rest..., nullptr);
        });
    }
    /// The same for who wants to look at the wait, or may give it up. Errors as for `when_changes_saved`.
    [[nodiscard]] result<saved_connection> watch_changes_saved() const {
        SlSavedConnection *made = nullptr;
        const SlStatus code = locker_when_changes_saved(handle(), nullptr, nullptr, nullptr, &made);
        return detail::owned<saved_connection>(code, made);
    }
    /// `co_await locker.changes_saved()` gives a `result<outcome>`.
    [[nodiscard]] auto changes_saved() const {
        return detail::await_saved([locker = handle()](auto... rest) {
            return locker_when_changes_saved(locker, rest..., nullptr);
        });
    }
    /// Updates the locker until the changes made so far are saved (true) or the session has ended without
    /// them, as far as anybody knows (false), for at most `timeout` seconds. Blocks; for tools. Errors: `timeout`, `busy`,
    /// `not_active`, `out_of_range`.
    [[nodiscard]] result<bool> wait_until_changes_saved(double timeout) const {
        std::int32_t was_saved = 0;
        const SlStatus code = locker_wait_until_changes_saved(handle(), timeout, &was_saved);
        return detail::checked<bool>(code, was_saved);
    }

    /// How much of a product the player has paid for and not been given yet. Errors: `not_loaded`,
    /// `not_active`.
    [[nodiscard]] result<std::int64_t> product_credit_query(std::int64_t product_id) const {
        std::int64_t credit = 0;
        const SlStatus code = locker_product_credit_query(handle(), product_id, &credit);
        return detail::checked<std::int64_t>(code, credit);
    }
    /// Adds 1 or more to the credit of a product. Errors: those, `out_of_range`, `busy`.
    [[nodiscard]] result<void> product_credit_give(std::int64_t product_id, std::int64_t amount) const {
        return detail::checked(locker_product_credit_give(handle(), product_id, amount));
    }
    /// Takes 1 or more from the credit of a product: true, or false where there is too little and nothing
    /// has changed. Errors as for `product_credit_give`.
    [[nodiscard]] result<bool> product_credit_use(std::int64_t product_id, std::int64_t amount) const {
        std::int32_t did_use = 0;
        const SlStatus code = locker_product_credit_use(handle(), product_id, amount, &did_use);
        return detail::checked<bool>(code, did_use);
    }

private:
    using asked = SlStatus (*)(const SlLocker *, std::int32_t *);

    [[nodiscard]] bool asks(asked question) const noexcept {
        return detail::ask<SlLocker>(question, handle());
    }
};

/// The hooks of a spec. As `session_hooks`, and those that run before a save.
struct locker_hooks : session_hooks {
    /// Runs before every save, and may write to the save data: `[](locker_ref locker)`. If it fails, the
    /// save is put off.
    hook<locker_ref> before_save;
    /// Runs after `before_save`, just before the document is written out.
    hook<locker_ref> before_save_transform;
};

/// What a spec is made with: settings, with the defaults of the process filled in, and hooks.
struct locker_spec_config : session_settings, locker_hooks {
    /// The defaults.
    locker_spec_config()
        : session_settings(detail::defaults_of<SlLockerSpecConfig>(locker_spec_config_init)) {}
};

/// A value of a configuration that has a default of the whole process.
enum class config_value : std::int32_t {
    verbose_logs = SL_CONFIG_VERBOSE_LOGS,
    read_only_data_stores = SL_CONFIG_READ_ONLY_DATA_STORES,
    maintain_session_period = SL_CONFIG_MAINTAIN_SESSION_PERIOD,
    session_expiry = SL_CONFIG_SESSION_EXPIRY,
    session_retry_cooldown = SL_CONFIG_SESSION_RETRY_COOLDOWN,
    purchase_history_limit = SL_CONFIG_PURCHASE_HISTORY_LIMIT,
};

class locker;

/// What lockers have in common: the seed's `LockerSpec`. Any thread. Its lockers and senders go on when
/// it is destroyed, and keep what they need of it.
///
/// It also sees those lockers to their end that their owner has let go before they were idle; see
/// `locker`.
class locker_spec : public base::owner<base::named<SlLockerSpec>, locker_spec_destroy> {
public:
    /// Owns nothing.
    locker_spec() noexcept = default;
    /// Takes over a handle of the C ABI.
    explicit locker_spec(SlLockerSpec *handle)
        : owner(handle), leaving_(std::make_shared<detail::leaving_lockers>()) {}

    /// Makes a spec for the records of a storage, which stays open as long as the spec or a locker of it
    /// lives. The hooks are the spec's from here on. Errors as for `easy_store::create`.
    [[nodiscard]] static result<locker_spec> create(const storage &records, locker_spec_config config) {
        auto raw = detail::defaults_of<SlLockerSpecConfig>(locker_spec_config_init);
        detail::write_settings(raw, config);
        auto hooks = std::make_unique<locker_hooks>(std::move(static_cast<locker_hooks &>(config)));
        detail::trampolines<locker_hooks>::write(raw, *hooks);
        raw.before_save = hooks->before_save ? &run<&locker_hooks::before_save> : nullptr;
        raw.before_save_transform =
            hooks->before_save_transform ? &run<&locker_hooks::before_save_transform> : nullptr;
        SlLockerSpec *made = nullptr;
        const result<void> outcome = detail::create_with(
            raw, std::move(hooks), std::move(config.clock), [&](const SlLockerSpecConfig *filled) {
                return locker_spec_create(records.handle(), filled, &made);
            });
        if (!outcome) {
            return unexpected(outcome.error());
        }
        return locker_spec(made);
    }

    /// The value that the spec was made with; 0 and 1 for no and yes.
    [[nodiscard]] result<double> query_config(config_value which) const {
        double found = 0;
        const SlStatus code = locker_spec_query_config(handle(), static_cast<std::int32_t>(which), &found);
        return detail::checked<double>(code, found);
    }
    /// Updates the lockers that were let go before they were idle, once a frame, on this thread, and frees
    /// those that are saved and released. `now` as for `locker::update`. Errors: `out_of_range`, `busy`.
    result<void> update_leaving(double now) const {
        return leaving_ == nullptr ? result<void>() : leaving_->update(now);
    }
    /// How many they are. At shutdown, let all lockers go, and call `update_leaving` until it is 0.
    [[nodiscard]] std::size_t leaving_count() const { return leaving_ == nullptr ? 0 : leaving_->count(); }

private:
    friend class locker;

    template <hook<locker_ref> locker_hooks::*Hook>
    static SlStatus run(void *user_data, SlLocker *raw) noexcept {
        return detail::run_hook(
            [&] { return (static_cast<locker_hooks *>(user_data)->*Hook)(locker_ref(raw)); });
    }

    std::shared_ptr<detail::leaving_lockers> leaving_;
};

/// One key's lock and save data, owned. The host updates it once a frame.
///
/// **Its end.** A locker that is idle, or was never updated, is deleted and freed. One that holds a session,
/// or has something under way, cannot be: it is handed to its spec, which lets go of the use keys that were
/// acquired through this object, and saves and releases it in `locker_spec::update_leaving`. If nobody
/// calls that, or the spec is gone, it is never freed, and the key stays locked until the session expires,
/// as when a server dies. `destroy` refuses with `busy` instead.
class locker : public base::owner<locker_ref, locker_destroy> {
public:
    /// Owns nothing.
    locker() noexcept = default;
    locker(locker &&) noexcept = default;
    locker &operator=(locker &&other) noexcept {
        if (this != &other) {
            // Ends last, for what it tells may end the object that this is part of.
            const locker former(std::move(*this));
            handle_ = other.release();
            leaving_ = std::move(other.leaving_);
            held_ = std::move(other.held_);
        }
        return *this;
    }
    locker(const locker &) = delete;
    locker &operator=(const locker &) = delete;
    ~locker() { leave(); }

    /// Makes a locker for a key of 1 to 512 bytes that wants nothing yet: the seed's `LockerCreate`. Its
    /// first events come with its first update. Errors: `invalid_argument`, `invalid_utf8`, `limit`.
    [[nodiscard]] static result<locker> create(const locker_spec &spec, std::string_view key,
                                               const session_options &options = {}) {
        return make(locker_create, spec, key, options);
    }
    /// Makes a locker for a player, whose user id is the key and the record's only user id: the seed's
    /// `LockerCreatePlayer`. The options must have no user ids. Errors as for `create`.
    [[nodiscard]] static result<locker> create_player(const locker_spec &spec, std::string_view user_id,
                                                      const session_options &options = {}) {
        return make(locker_create_player, spec, user_id, options);
    }

    /// Does all there is to do, once a frame, on this thread: the seed's `SessionUpdate`. Never waits for
    /// the storage. True when the locker is idle and may be destroyed. `now` as for `easy_store::update`,
    /// the same for all lockers of a spec. Errors: `out_of_range`, `busy` (an update or wait of a locker
    /// of the same spec is under way), `not_active` (it was deleted).
    result<bool> update(double now) const {
        std::int32_t should_remove = 0;
        const SlStatus code = locker_update(handle(), now, &should_remove);
        return detail::checked<bool>(code, should_remove);
    }
    /// Calls `told(const event &)` for each unread event, oldest first, and says how many there were; with
    /// `polls_events`. As `easy_store::poll_events`.
    template <typename F> result<std::size_t> poll_events(F &&told) const {
        return detail::poll_events<SlLocker>(locker_poll_event, handle(), std::forward<F>(told));
    }
    /// Acquires the key as soon as it is free, in the updates that follow; after a load status that is
    /// final, tries anew. The session is held for as long as at least one use key is: numbers of the
    /// users' own choosing, for parts of a game that share a locker. Errors: `limit` (1024 are held),
    /// `not_active`.
    result<void> mark_should_acquire(std::uint64_t use_key = 0) const {
        return with_keys([&](detail::use_keys &keys) {
            return keys.acquire(
                use_key, [&] { return detail::checked(locker_mark_should_acquire(handle(), use_key)); });
        });
    }
    /// Lets go of a use key. With the last one, the locker saves and gives up the key in the updates that
    /// follow. Errors: `not_active`.
    result<void> mark_should_release(std::uint64_t use_key = 0) const {
        return with_keys([&](detail::use_keys &keys) {
            return keys.release(
                use_key, [&] { return detail::checked(locker_mark_should_release(handle(), use_key)); });
        });
    }
    /// Says farewell to a locker that is idle: the seed's `MarkDeleted`. Its last event is told inside this
    /// call, or waits to be polled. Errors: `busy` (it is not idle), `not_active` (it was deleted).
    result<void> mark_deleted() const { return detail::checked(locker_mark_deleted(handle())); }

private:
    using makes = SlStatus (*)(const SlLockerSpec *, const char *, std::size_t, const SlSessionOptions *,
                               SlLocker **);

    locker(SlLocker *handle, std::shared_ptr<detail::leaving_lockers> leaving)
        : owner(handle), leaving_(std::move(leaving)), held_(std::make_unique<detail::use_keys>()) {}

    static result<locker> make(makes call, const locker_spec &spec, std::string_view key,
                               const session_options &options) {
        const detail::raw_session_options raw(options);
        SlLocker *made = nullptr;
        const SlStatus code = call(spec.handle(), key.data(), key.size(), raw.get(), &made);
        if (code != SL_OK) {
            return detail::failure(code);
        }
        return locker(made, spec.leaving_);
    }

    template <typename Call> result<void> with_keys(Call &&call) const {
        if (held_ == nullptr) {
            return fail(status::invalid_handle, "there is no locker");
        }
        return call(*held_);
    }

    void leave() noexcept {
        if (free() != SL_ERROR_BUSY) {
            return;
        }
        for (const std::uint64_t use_key : held_->take()) {
            locker_mark_should_release(handle(), use_key);
        }
        leaving_->add(release());
    }

    std::shared_ptr<detail::leaving_lockers> leaving_;
    std::unique_ptr<detail::use_keys> held_;
};

inline locker_ref event::locker() const noexcept { return locker_ref(raw_->locker); }
inline locker_ref product_call::locker() const noexcept { return locker_ref(raw_->locker); }
inline void product_call::set_recipient(locker_ref recipient) const noexcept {
    raw_->recipient_locker = recipient.handle();
}

} // namespace SESSION_LOCKER_MODE
} // namespace session_locker

#endif
