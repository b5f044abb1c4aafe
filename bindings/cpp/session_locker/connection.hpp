// What ends a listener, and what looks after a wait for changes.
#ifndef SESSION_LOCKER_CONNECTION_HPP
#define SESSION_LOCKER_CONNECTION_HPP

#include "await.hpp"
#include "event.hpp"
#include "handle.hpp"

namespace session_locker {
inline namespace SESSION_LOCKER_MODE {

/// A connection to a signal of a profile. Its end disconnects: the listener does not run any more, save
/// where it runs already, and is destroyed. Any thread.
class signal_connection
    : public base::owner<base::named<SlSignalConnection>, signal_connection_disconnect> {
public:
    using owner::owner;

    /// Disconnects now; also inside the listener itself.
    void disconnect() noexcept { free(); }
    /// Lets the listener hear for as long as the profile lives.
    void detach() noexcept { release(); }
};

/// A wait for changes to be saved: the seed's `SavedConnection`. Answered exactly once, unless it is
/// disconnected first. **Its end gives up the wait.** Any thread.
class saved_connection : public base::owner<base::named<SlSavedConnection>, saved_connection_destroy> {
public:
    using owner::owner;

    /// Whether the changes are in the storage.
    [[nodiscard]] bool is_saved() const noexcept {
        return detail::ask<SlSavedConnection>(saved_connection_is_saved, handle());
    }
    /// Whether it still waits.
    [[nodiscard]] bool is_connected() const noexcept {
        return detail::ask<SlSavedConnection>(saved_connection_is_connected, handle());
    }
    /// The answer; `outcome::none` while it waits and after it was given up.
    [[nodiscard]] session_locker::outcome outcome() const noexcept {
        std::int32_t answer = SL_OUTCOME_NONE;
        saved_connection_outcome(handle(), &answer);
        return static_cast<session_locker::outcome>(answer);
    }
    /// Answers the wait by hand; its callback, or event, comes with the next update. Errors: `not_active`
    /// (the session has ended; it was answered then).
    result<void> trigger(bool was_saved) const {
        return detail::checked(saved_connection_trigger(handle(), was_saved ? 1 : 0));
    }
    /// Gives up the wait; the object can still be asked.
    void disconnect() const noexcept { saved_connection_disconnect(handle()); }
};

namespace detail {

// A callback of a wait for changes.
template <typename F> void tell_outcome(void *user_data, std::int32_t answer) noexcept {
    run_callback([&] { (*static_cast<F *>(user_data))(static_cast<outcome>(answer)); });
}

// `when_changes_saved` of whatever has one: `call(callback, user_data, drop)` is the call of the C ABI.
template <typename F, typename Call> [[nodiscard]] result<void> when_saved(F &&told, Call &&call) {
    using kept = std::decay_t<F>;
    return hand_over_callable(std::forward<F>(told),
                     [&](void *user_data) { return call(&tell_outcome<kept>, user_data, &drop<kept>); });
}

// The same for a coroutine.
template <typename Call> [[nodiscard]] auto await_saved(Call call) {
    using box = answering<outcome>;
    auto start = [call](std::shared_ptr<waiting<outcome>> state) -> result<void> {
        return hand_over(std::make_unique<box>(std::move(state)), [&](void *user_data) {
            const SlSavedCallback told = [](void *of, std::int32_t answer) noexcept {
                static_cast<box *>(of)->state->answer = static_cast<outcome>(answer);
            };
            return call(told, user_data, &go_on<box>);
        });
    };
    return awaits<outcome>(std::move(start));
}

} // namespace detail
} // namespace SESSION_LOCKER_MODE
} // namespace session_locker

#endif
