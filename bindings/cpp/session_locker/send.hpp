// What sends of remote changes have in common, by a store or by a sender.
#ifndef SESSION_LOCKER_SEND_HPP
#define SESSION_LOCKER_SEND_HPP

#include "await.hpp"
#include "event.hpp"

namespace session_locker {
inline namespace SESSION_LOCKER_MODE {

/// What a send may be given.
struct send_options {
    /// The host's own name for this send, 1 to 128 bytes; empty for none. Sent again to the same key under
    /// the same name within 7 days, by any sender, it is answered with `sent` and not written again: so a
    /// process that has crashed may safely send anew.
    std::string operation_id = {};
};

namespace detail {

struct nobody_hears_send {
    void operator()(std::uint64_t, send_outcome) const noexcept {}
};

[[nodiscard]] inline SlSendOptions raw_send_options(const send_options &from) {
    SlSendOptions raw{};
    session_locker_send_options_init(&raw, sizeof raw);
    raw.operation_id = data_or_null(from.operation_id);
    raw.operation_id_length = from.operation_id.size();
    return raw;
}

// Sends: `call(options, callback, user_data, drop, send_id)` is the call of the C ABI.
template <typename F, typename Call>
[[nodiscard]] result<std::uint64_t> send(F &&told, const send_options &options, Call &&call) {
    using kept = std::decay_t<F>;
    const SlSendOptions raw = raw_send_options(options);
    std::uint64_t id = 0;
    const result<void> outcome =
        hand_over_callable(std::forward<F>(told), [&](void *user_data) {
            const SlSendCallback tell = [](void *of, std::uint64_t send_id, std::int32_t answer) noexcept {
                run_callback(
                    [&] { (*static_cast<kept *>(of))(send_id, static_cast<send_outcome>(answer)); });
            };
            return call(&raw, tell, user_data, &drop<kept>, &id);
        });
    if (!outcome) {
        return unexpected(outcome.error());
    }
    return id;
}

// The same for a coroutine.
template <typename Call> [[nodiscard]] auto await_sent(const send_options &options, Call call) {
    using box = answering<send_outcome>;
    auto start = [call, options](std::shared_ptr<waiting<send_outcome>> state) -> result<void> {
        const SlSendOptions raw = raw_send_options(options);
        return hand_over(std::make_unique<box>(std::move(state)), [&](void *user_data) {
            const SlSendCallback tell = [](void *of, std::uint64_t, std::int32_t answer) noexcept {
                static_cast<box *>(of)->state->answer = static_cast<send_outcome>(answer);
            };
            return call(&raw, tell, user_data, &go_on<box>, nullptr);
        });
    };
    return awaits<send_outcome>(std::move(start));
}

} // namespace detail
} // namespace SESSION_LOCKER_MODE
} // namespace session_locker

#endif
