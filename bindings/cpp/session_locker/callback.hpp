// The host's lambdas on their way into the library: how they are kept, called, and ended by `drop`.
//
// What must hold: no exception leaves a trampoline, and every lambda that was given is destroyed once.
#ifndef SESSION_LOCKER_CALLBACK_HPP
#define SESSION_LOCKER_CALLBACK_HPP

#include "result.hpp"

#include <memory>

namespace session_locker {
inline namespace SESSION_LOCKER_MODE {
namespace detail {

// The hook that runs on this thread, and the first assignment in it that failed and was not looked at.
struct hook_frame {
    std::optional<error> unseen;
};

// Null where none runs, or where a callback that cannot fail runs inside it.
inline thread_local hook_frame *innermost_hook = nullptr;

// A frame for as long as a lambda runs.
class inside {
public:
    explicit inside(hook_frame *frame) noexcept : outer_(innermost_hook) { innermost_hook = frame; }
    inside(const inside &) = delete;
    inside &operator=(const inside &) = delete;
    ~inside() { innermost_hook = outer_; }

private:
    hook_frame *outer_;
};

// For what nobody hears otherwise: it goes to the host's log.
inline void log_failure(std::string_view identifier, std::string_view message) noexcept {
    session_locker_log_error_variations(identifier.data(), identifier.size(), message.data(),
                                        message.size(), "", 0);
}

inline SlStatus hook_fails(SlStatus code, std::string_view message) noexcept {
    session_locker_set_hook_error(message.data(), message.size());
    return code;
}

inline SlStatus hook_fails(const error &why) noexcept {
    // A failure is one, whatever the host has written into its code.
    const auto code = why.code == status::ok ? SL_ERROR_HOOK : static_cast<SlStatus>(why.code);
    return hook_fails(code, why.message);
}

// Calls a hook of any of the allowed kinds: it returns nothing, a result, or what an assignment gave.
template <typename F, typename... Arguments>
[[nodiscard]] result<void> outcome_of(F &hook, Arguments &&...arguments) {
    using returned = std::invoke_result_t<F &, Arguments...>;
    if constexpr (std::is_void_v<returned>) {
        hook(std::forward<Arguments>(arguments)...);
        return {};
    } else if constexpr (is_result<std::decay_t<returned>>::value) {
        auto given = hook(std::forward<Arguments>(arguments)...);
        if (!given) {
            return unexpected(std::move(given).error());
        }
        return {};
    } else {
        static_assert(std::is_convertible_v<returned, result<void>>,
                      "a hook returns nothing, a result<>, or what an assignment to save data gives");
        return hook(std::forward<Arguments>(arguments)...);
    }
}

template <typename Hook> [[nodiscard]] SlStatus run_unguarded(Hook &hook) {
    hook_frame frame;
    const inside here(&frame);
    const result<void> outcome = hook();
    if (!outcome) {
        return hook_fails(outcome.error());
    }
    return frame.unseen ? hook_fails(*frame.unseen) : SL_OK;
}

// Runs a hook: `hook()` gives a result<void>. What is thrown is its failure; `value()` of a failed result
// throws that result's own.
template <typename Hook> [[nodiscard]] SlStatus run_hook(Hook &&hook) noexcept {
#if SESSION_LOCKER_HAS_EXCEPTIONS
    try {
        return run_unguarded(hook);
    } catch (const bad_result_access &thrown) {
        return hook_fails(thrown.error());
    } catch (const std::exception &thrown) {
        return hook_fails(SL_ERROR_HOOK, thrown.what());
    } catch (...) {
        return hook_fails(SL_ERROR_HOOK, "something was thrown that is no std::exception");
    }
#else
    return run_unguarded(hook);
#endif
}

// Runs a callback that cannot fail. What is thrown is logged.
template <typename Callback> void run_callback(Callback &&callback) noexcept {
    const inside here(nullptr);
#if SESSION_LOCKER_HAS_EXCEPTIONS
    try {
        callback();
    } catch (const bad_result_access &thrown) {
        log_failure("A callback has thrown", thrown.error().message);
    } catch (const std::exception &thrown) {
        log_failure("A callback has thrown", thrown.what());
    } catch (...) {
        log_failure("A callback has thrown", "something that is no std::exception");
    }
#else
    callback();
#endif
}

template <typename F, typename = void> struct may_be_empty : std::bool_constant<std::is_pointer_v<F>> {};
// Has a conversion to bool of its own, as std::function does; that of a lambda is to a pointer first.
template <typename F>
struct may_be_empty<F, std::void_t<decltype(std::declval<const F &>().operator bool())>> : std::true_type {
};

// Whether there is nothing in it to be called: a null pointer, an empty std::function.
template <typename F> [[nodiscard]] bool is_empty(const F &given) {
    if constexpr (may_be_empty<F>::value) {
        return !static_cast<bool>(given);
    } else {
        return false;
    }
}

// The `drop` of what was made with new.
template <typename T> void drop(void *user_data) noexcept {
    run_callback([user_data] { delete static_cast<T *>(user_data); });
}

// Hands over what is to be `user_data`: it is the library's if the call takes it, and else destroyed
// here, after the call's message was read.
template <typename Box, typename Call>
[[nodiscard]] result<void> hand_over(std::unique_ptr<Box> box, Call &&call) {
    const SlStatus code = call(static_cast<void *>(box.get()));
    result<void> outcome = checked(code);
    if (code == SL_OK) {
        static_cast<void>(box.release());
    }
    return outcome;
}

// What a call is refused with that was given an empty std::function, or a null pointer, to be called.
[[nodiscard]] inline unexpected nothing_to_call() {
    return fail(status::invalid_argument, "there is nothing to be called: the function is empty");
}

// Hands over what the host has given to be called, as it is.
template <typename F, typename Call>
[[nodiscard]] result<void> hand_over_callable(F &&given, Call &&call) {
    using kept = std::decay_t<F>;
    if (is_empty<kept>(given)) {
        return nothing_to_call();
    }
    return hand_over(std::make_unique<kept>(std::forward<F>(given)), std::forward<Call>(call));
}

} // namespace detail

namespace base {

template <typename Signature> class function;

// Any lambda with this signature; move-only. A hook's result is void in the lambda, or of any kind that
// `outcome_of` knows.
template <typename R, typename... Arguments> class function<R(Arguments...)> {
    struct any {
        any() = default;
        any(const any &) = delete;
        any &operator=(const any &) = delete;
        virtual ~any() = default;
        virtual R call(Arguments... arguments) = 0;
    };

    template <typename F> struct one final : any {
        explicit one(F given) : kept(std::move(given)) {}
        R call(Arguments... arguments) override {
            if constexpr (std::is_same_v<R, result<void>>) {
                return detail::outcome_of(kept, std::forward<Arguments>(arguments)...);
            } else if constexpr (std::is_void_v<R>) {
                static_cast<void>(kept(std::forward<Arguments>(arguments)...));
            } else {
                return kept(std::forward<Arguments>(arguments)...);
            }
        }
        F kept;
    };

public:
    /// None.
    function() noexcept = default;
    /// None.
    function(std::nullptr_t) noexcept {}
    /// Keeps a lambda; none, if it is a null pointer or an empty std::function.
    template <typename F, std::enable_if_t<!std::is_same_v<std::decay_t<F>, function> &&
                                               std::is_invocable_v<std::decay_t<F> &, Arguments...>,
                                           int> = 0>
    function(F &&given) {
        if (!detail::is_empty<std::decay_t<F>>(given)) {
            kept_ = std::make_unique<one<std::decay_t<F>>>(std::forward<F>(given));
        }
    }

    /// Whether there is one.
    explicit operator bool() const noexcept { return kept_ != nullptr; }
    /// Calls it.
    R operator()(Arguments... arguments) const {
        return kept_->call(std::forward<Arguments>(arguments)...);
    }

private:
    std::unique_ptr<any> kept_;
};

} // namespace base

/// A lambda of the host's that is told something. What it throws is caught and logged.
template <typename... Arguments> using callback = base::function<void(Arguments...)>;

/// A lambda of the host's that may fail: it returns nothing, or a `result<>` (see `fail`), or what an
/// assignment to save data gives. What it throws is caught, and is its failure with `what()` as the
/// message. So is an assignment to save data in it that failed and that nobody looked at.
template <typename... Arguments> using hook = base::function<result<void>(Arguments...)>;

} // namespace SESSION_LOCKER_MODE
} // namespace session_locker

#endif
