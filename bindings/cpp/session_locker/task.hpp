// A coroutine that nobody waits for, for hosts without a coroutine type of their own. C++20.
#ifndef SESSION_LOCKER_TASK_HPP
#define SESSION_LOCKER_TASK_HPP

#include "callback.hpp"

#if defined(__cpp_impl_coroutine) && defined(__cpp_lib_coroutine)
#include <coroutine>

namespace session_locker {
inline namespace SESSION_LOCKER_MODE {

/// What a coroutine of the host's returns: `session_locker::task greet(…) { co_await profile.loaded(); }`.
/// It begins at once, runs on inside the calls that bring what it awaits, and frees itself at its end.
/// What it throws is caught and logged.
///
/// Its parameters must live as long as it: take them by value, or see that they do.
class task {
public:
    /// How the compiler makes one.
    struct promise_type {
        task get_return_object() const noexcept { return {}; }
        std::suspend_never initial_suspend() const noexcept { return {}; }
        std::suspend_never final_suspend() const noexcept { return {}; }
        void return_void() const noexcept {}
        void unhandled_exception() const noexcept {
#if SESSION_LOCKER_HAS_EXCEPTIONS
            detail::run_callback([] { throw; });
#endif
        }
    };
};

} // namespace SESSION_LOCKER_MODE
} // namespace session_locker

#endif
#endif
