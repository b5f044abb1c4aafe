// Sessions for a whole game server: the seed's `EasyStore`.
#ifndef SESSION_LOCKER_STORE_HPP
#define SESSION_LOCKER_STORE_HPP

#include "config.hpp"
#include "profile.hpp"
#include "send.hpp"

namespace session_locker {
inline namespace SESSION_LOCKER_MODE {

/// What a store is made with: settings, with the defaults of the process filled in, and hooks.
struct easy_store_config : session_settings, session_hooks {
    /// The defaults.
    easy_store_config()
        : session_settings(detail::defaults_of<SlEasyStoreConfig>(easy_store_config_init)) {}
};

/// A key whose session a drain could not release in time.
struct unsaved_session {
    /// The key.
    std::string key;
    /// Why, for a person.
    std::string reason;
    /// What became of the last changes.
    session_locker::outcome outcome = session_locker::outcome::none;
};

/// A key to which a drain could not send all remote changes in time.
struct unsent_changes {
    /// The key.
    std::string key;
    /// Why, for a person.
    std::string reason;
    /// `send_outcome::unknown` where a commit with some of them is not answered, else `not_sent`.
    send_outcome outcome = send_outcome::not_sent;
    /// How many changes.
    std::size_t change_count = 0;
};

/// What a drain could not do in time; empty when all went well.
struct drain_report {
    /// The keys whose sessions are not released.
    std::vector<unsaved_session> unsaved;
    /// The keys to which remote changes were not sent.
    std::vector<unsent_changes> unsent;
};

/// Sessions for a whole game server; one `update` a frame drives everything. Any thread, save where it
/// says otherwise.
///
/// Its end frees it and the handles of its profiles. Sessions that are not released by then are left to
/// expire, and waits, sends and purchases are answered: so `drain` it first. Inside a callback of its own
/// the end takes effect when the outermost call has returned.
class easy_store : public base::owner<base::named<SlEasyStore>, easy_store_destroy> {
public:
    using owner::owner;

    /// Makes a store for the records of a storage, which stays open as long as the store lives. The
    /// hooks are the store's from here on; if this fails they are destroyed. Errors: `invalid_handle` (the
    /// storage), `invalid_argument` (a setting, named), `invalid_utf8`, `invalid_json`, `wrong_type` and
    /// `too_large` (the template), `unsupported` (no random numbers).
    [[nodiscard]] static result<easy_store> create(const storage &records, easy_store_config config) {
        auto raw = detail::defaults_of<SlEasyStoreConfig>(easy_store_config_init);
        detail::write_settings(raw, config);
        auto hooks = std::make_unique<session_hooks>(std::move(static_cast<session_hooks &>(config)));
        detail::trampolines<session_hooks>::write(raw, *hooks);
        SlEasyStore *made = nullptr;
        const result<void> outcome = detail::create_with(
            raw, std::move(hooks), std::move(config.clock), [&](const SlEasyStoreConfig *filled) {
                return easy_store_create(records.handle(), filled, &made);
            });
        if (!outcome) {
            return unexpected(outcome.error());
        }
        return easy_store(made);
    }

    /// Begins a session for a key of 1 to 512 bytes. It is loaded once the key is ours: see
    /// `profile_ref::loaded`, `when_loaded`, `on_loaded`. While another session of this store has the key,
    /// this one waits. Errors: `invalid_argument`, `invalid_utf8`, `closed`, `limit`.
    [[nodiscard]] result<profile> start_session(std::string_view key,
                                                const session_options &options = {}) const {
        return start(easy_store_start_session, key, options);
    }
    /// Joins the session that this store has of the key, if it has one; it ends with the last of its
    /// profiles. The options count only if the session begins here. Errors as for `start_session`.
    [[nodiscard]] result<profile> start_session_reusable(std::string_view key,
                                                         const session_options &options = {}) const {
        return start(easy_store_start_session_reusable, key, options);
    }

    /// Does all there is to do, once a frame, on this thread: loads, saves, hooks, purchases, sends, events.
    /// Never waits for the storage. `now` is in seconds that never run backwards, time asleep included:
    /// the host's, or `session_locker::now()`. Errors: `out_of_range`, `busy` (an update, wait or drain
    /// of this store is under way, on another thread or around this callback).
    result<void> update(double now) const { return detail::checked(easy_store_update(handle(), now)); }
    /// Calls `told(const event &)` for each unread event, oldest first, and says how many there were; of a
    /// store with `polls_events`. One thread at a time. What it throws passes through, and the events
    /// taken with that one are gone.
    template <typename F> result<std::size_t> poll_events(F &&told) const {
        return detail::poll_events<SlEasyStore>(easy_store_poll_event, handle(), std::forward<F>(told));
    }

    /// Takes remote changes on their way to a key, whoever owns it: a JSON array of up to 10 000 objects
    /// with a string `K`, in at most 1 MiB. Gives the send's id, by which `event_kind::remote_changes_sent`
    /// names it. Errors: `invalid_argument`, `invalid_utf8`, `invalid_json`, `wrong_type`, `not_found`
    /// (no `K`), `out_of_range`, `too_large`, `limit`, `closed`.
    result<std::uint64_t> send_remote_changes(std::string_view key, std::string_view json_array,
                                              const send_options &options = {}) const {
        return send_remote_changes(key, json_array, options, detail::nobody_hears_send{});
    }
    /// The same, calling `told(std::uint64_t send_id, send_outcome)` once it has ended.
    template <typename F>
    result<std::uint64_t> send_remote_changes(std::string_view key, std::string_view json_array,
                                              const send_options &options, F &&told) const {
        return detail::send(std::forward<F>(told), options, [&](auto... rest) {
            return easy_store_send_remote_changes(handle(), key.data(), key.size(), json_array.data(),
                                                  json_array.size(), rest...);
        });
    }
    /// `co_await` of the same gives a `result<send_outcome>`. Name the options before the `co_await`; see
    /// `profile_ref::product_processed_and_saved`.
    [[nodiscard]] auto remote_changes_sent(std::string_view key, std::string_view json_array,
                                           const send_options &options) const {
        return detail::await_sent(options, [store = handle(), key = std::string(key),
                                            json_array = std::string(json_array)](auto... rest) {
            return easy_store_send_remote_changes(store, key.data(), key.size(), json_array.data(),
                                                  json_array.size(), rest...);
        });
    }
    /// The same without options.
    [[nodiscard]] auto remote_changes_sent(std::string_view key, std::string_view json_array) const {
        return remote_changes_sent(key, json_array, send_options());
    }

    /// What its sessions and sends have asked of the storage, how it has answered, and how many wait for the
    /// limits of the store's config. Also inside callbacks.
    [[nodiscard]] result<request_stats> stats() const {
        return detail::stats_of<SlEasyStore>(easy_store_get_stats, handle());
    }

    /// Begins shutdown: no session or send starts any more, and all sessions are saved and end, in the
    /// updates that follow.
    result<void> close() const { return detail::checked(easy_store_close(handle())); }
    /// Whether it was closed, every session is released, and every purchase and send answered.
    [[nodiscard]] bool is_closed() const noexcept {
        return detail::ask<SlEasyStore>(easy_store_is_closed, handle());
    }
    /// Closes the store and updates it until that is so, or `timeout` seconds have passed. Blocks; for
    /// shutdown. That the time ran out is no error: the report says it. Errors: `out_of_range`, `busy`.
    [[nodiscard]] result<drain_report> drain(double timeout) const {
        SlDrainReport *raw = nullptr;
        const SlStatus code = easy_store_drain(handle(), timeout, &raw);
        if (code != SL_OK) {
            return detail::failure(code);
        }
        const report_owner report(raw);
        return read(report);
    }

private:
    using starts = SlStatus (*)(const SlEasyStore *, const char *, std::size_t, const SlSessionOptions *,
                                SlProfile **);
    using report_owner = base::owner<base::named<SlDrainReport>, drain_report_destroy>;

    [[nodiscard]] result<profile> start(starts call, std::string_view key,
                                        const session_options &options) const {
        const detail::raw_session_options raw(options);
        SlProfile *made = nullptr;
        const SlStatus code = call(handle(), key.data(), key.size(), raw.get(), &made);
        return detail::owned<profile>(code, made);
    }

    [[nodiscard]] static result<drain_report> read(const report_owner &from) {
        drain_report report;
        std::size_t count = 0;
        SlStatus code = drain_report_unsaved_count(from.handle(), &count);
        for (std::size_t at = 0; code == SL_OK && at < count; ++at) {
            SlUnsaved raw{};
            raw.struct_size = sizeof raw;
            code = drain_report_get_unsaved(from.handle(), at, &raw);
            report.unsaved.push_back({std::string(detail::view(raw.key)),
                                      std::string(detail::view(raw.reason)),
                                      static_cast<session_locker::outcome>(raw.outcome)});
        }
        count = 0;
        if (code == SL_OK) {
            code = drain_report_unsent_count(from.handle(), &count);
        }
        for (std::size_t at = 0; code == SL_OK && at < count; ++at) {
            SlUnsent raw{};
            raw.struct_size = sizeof raw;
            code = drain_report_get_unsent(from.handle(), at, &raw);
            report.unsent.push_back({std::string(detail::view(raw.key)),
                                     std::string(detail::view(raw.reason)),
                                     static_cast<send_outcome>(raw.outcome), raw.change_count});
        }
        if (code != SL_OK) {
            return detail::failure(code);
        }
        return report;
    }
};

} // namespace SESSION_LOCKER_MODE
} // namespace session_locker

#endif
