// Sends remote changes to the records of a spec: the seed's `RemoteChangeSender`.
#ifndef SESSION_LOCKER_SENDER_HPP
#define SESSION_LOCKER_SENDER_HPP

#include "locker.hpp"
#include "send.hpp"

namespace session_locker {
inline namespace SESSION_LOCKER_MODE {

/// What a sender is made with.
struct remote_change_sender_config {
    /// A missing record is made, of the spec's template or by its create hook.
    bool create_if_missing = false;
    /// Nothing is read or written, and every send is answered with `sent`; for tests.
    bool disable_apis = false;
    /// Answers and failures wait to be polled, beside the callbacks.
    bool polls_events = false;
    /// What the sender's log lines begin with, at most 1024 bytes; empty for the default.
    std::string log_prefix = {};
    /// What the sender's name and its waits are drawn from; 0 for a seed from the operating system. No two
    /// senders that share a storage may share one, nor may a sender have that of a store.
    std::uint64_t seed = 0;
    /// Told of every failure, after which the sender tries again.
    callback<const error_report &> report_error = {};
};

/// Sends remote changes to the records of a spec. Any thread. A store has a sender of its own:
/// `easy_store::send_remote_changes`.
///
/// Its end answers each send that is not answered yet, with `not_sent` or `unknown`.
class remote_change_sender
    : public base::owner<base::named<SlRemoteChangeSender>, remote_change_sender_destroy> {
public:
    using owner::owner;

    /// Makes a sender, which keeps the spec's storage, settings, clocks and hooks. Errors:
    /// `invalid_handle` (the spec), `invalid_argument` (a field, named), `invalid_utf8`, `unsupported`
    /// (no random numbers).
    [[nodiscard]] static result<remote_change_sender> create(const locker_spec &spec,
                                                             remote_change_sender_config config = {}) {
        auto raw = detail::defaults_of<SlRemoteChangeSenderConfig>(remote_change_sender_config_init);
        raw.create_if_missing = config.create_if_missing ? 1 : 0;
        raw.disable_apis = config.disable_apis ? 1 : 0;
        raw.polls_events = config.polls_events ? 1 : 0;
        raw.log_prefix = detail::data_or_null(config.log_prefix);
        raw.log_prefix_length = config.log_prefix.size();
        raw.seed = config.seed;
        auto kept = std::make_unique<hooks>(hooks{std::move(config.report_error)});
        raw.report_error = kept->report_error ? &detail::tell_error<hooks> : nullptr;
        raw.drop = &detail::drop<hooks>;
        SlRemoteChangeSender *made = nullptr;
        const result<void> outcome = detail::hand_over(std::move(kept), [&](void *user_data) {
            raw.user_data = user_data;
            return remote_change_sender_create(spec.handle(), &raw, &made);
        });
        if (!outcome) {
            return unexpected(outcome.error());
        }
        return remote_change_sender(made);
    }

    /// Does all there is to do, once a frame, on this thread. Never waits for the storage. `now` as for
    /// `easy_store::update`. Errors: `out_of_range`, `busy`.
    result<void> update(double now) const {
        return detail::checked(remote_change_sender_update(handle(), now));
    }
    /// Calls `told(const event &)` for each unread event, oldest first, and says how many there were; with
    /// `polls_events`. As `easy_store::poll_events`.
    template <typename F> result<std::size_t> poll_events(F &&told) const {
        return detail::poll_events<SlRemoteChangeSender>(remote_change_sender_poll_event, handle(),
                                                         std::forward<F>(told));
    }
    /// Whether a send is not answered yet.
    [[nodiscard]] bool is_sending() const noexcept {
        return detail::ask<SlRemoteChangeSender>(remote_change_sender_is_sending, handle());
    }
    /// Takes remote changes on their way to a key; all as for `easy_store::send_remote_changes`.
    result<std::uint64_t> send(std::string_view key, std::string_view json_array,
                               const send_options &options = {}) const {
        return send(key, json_array, options, detail::nobody_hears_send{});
    }
    /// The same, calling `told(std::uint64_t send_id, send_outcome)` once it has ended.
    template <typename F>
    result<std::uint64_t> send(std::string_view key, std::string_view json_array,
                               const send_options &options, F &&told) const {
        return detail::send(std::forward<F>(told), options, [&](auto... rest) {
            return remote_change_sender_send(handle(), key.data(), key.size(), json_array.data(),
                                             json_array.size(), rest...);
        });
    }
    /// `co_await` of the same gives a `result<send_outcome>`. Name the options before the `co_await`; see
    /// `profile_ref::product_processed_and_saved`.
    [[nodiscard]] auto sent(std::string_view key, std::string_view json_array,
                            const send_options &options) const {
        return detail::await_sent(options, [sender = handle(), key = std::string(key),
                                            json_array = std::string(json_array)](auto... rest) {
            return remote_change_sender_send(sender, key.data(), key.size(), json_array.data(),
                                             json_array.size(), rest...);
        });
    }
    /// The same without options.
    [[nodiscard]] auto sent(std::string_view key, std::string_view json_array) const {
        return sent(key, json_array, send_options());
    }

private:
    struct hooks {
        callback<const error_report &> report_error;
    };
};

} // namespace SESSION_LOCKER_MODE
} // namespace session_locker

#endif
