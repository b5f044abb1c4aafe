// What a coroutine waits for: `co_await profile.loaded()` and the like.
//
// Nothing here names std::coroutine_handle, so that the same functions are there under every standard;
// any kind of coroutine may await.
#ifndef SESSION_LOCKER_AWAIT_HPP
#define SESSION_LOCKER_AWAIT_HPP

#include "callback.hpp"

namespace session_locker {
inline namespace SESSION_LOCKER_MODE {
namespace detail {

// The answer of what has none but that it came.
struct nothing {};

// What the library and a waiting coroutine share.
template <typename T> struct waiting {
    // The coroutine, until it goes on or is destroyed.
    void *frame = nullptr;
    void (*resume)(void *) = nullptr;
    // None when what was waited for has ended without an answer.
    std::optional<T> answer;
    // Why the call that was to wait has failed.
    std::optional<error> refused;
};

// The user_data of a callback that answers a coroutine.
template <typename T> struct answering {
    explicit answering(std::shared_ptr<waiting<T>> given) : state(std::move(given)) {}
    std::shared_ptr<waiting<T>> state;
};

// The `drop` of such a user_data: the answer is there, or never comes. Either way the coroutine goes on.
template <typename Box> void go_on(void *user_data) noexcept {
    run_callback([user_data] {
        const std::unique_ptr<Box> box(static_cast<Box *>(user_data));
        auto &state = *box->state;
        if (void *frame = std::exchange(state.frame, nullptr)) {
            state.resume(frame);
        }
    });
}

/// Something to `co_await`, once, where it was made. The coroutine goes on inside the call of the host's
/// that brings the answer (an update, a drain, a destruction), on its thread. It may be destroyed while
/// it waits, on the thread that updates; then nobody is told.
///
/// `T` is what the answer is made of, nothing for none; `Start` begins to wait.
template <typename T, typename Start> class awaiter {
    using answer = std::conditional_t<std::is_same_v<T, nothing>, void, T>;

public:
    explicit awaiter(Start start) : start_(std::move(start)) {}
    awaiter(const awaiter &) = delete;
    awaiter &operator=(const awaiter &) = delete;
    ~awaiter() { state_->frame = nullptr; }

    /// Never: the answer comes with an update.
    [[nodiscard]] bool await_ready() const noexcept { return false; }
    /// Begins to wait; if that is refused, the coroutine goes on at once.
    template <typename Handle> bool await_suspend(Handle coroutine) {
        // From the call on this object may be gone, if another thread updates.
        const std::shared_ptr<waiting<T>> state = state_;
        state->frame = coroutine.address();
        state->resume = [](void *frame) { Handle::from_address(frame).resume(); };
        result<void> begun = start_(state);
        if (!begun) {
            state->refused = std::move(begun).error();
            return false;
        }
        return true;
    }
    /// The answer; or the error of the call, or `not_active` where the session has ended without one.
    [[nodiscard]] result<answer> await_resume() {
        if (state_->refused) {
            return unexpected(*std::move(state_->refused));
        }
        if (!state_->answer) {
            return fail(status::not_active, "what was waited for has ended without an answer");
        }
        if constexpr (std::is_void_v<answer>) {
            return {};
        } else {
            return *std::move(state_->answer);
        }
    }

private:
    Start start_;
    std::shared_ptr<waiting<T>> state_ = std::make_shared<waiting<T>>();
};

template <typename T, typename Start> [[nodiscard]] awaiter<T, Start> awaits(Start start) {
    return awaiter<T, Start>(std::move(start));
}

} // namespace detail
} // namespace SESSION_LOCKER_MODE
} // namespace session_locker

#endif
