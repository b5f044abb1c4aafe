// What is of the whole process: logs, defaults, and the seed's general helpers.
#ifndef SESSION_LOCKER_PROCESS_HPP
#define SESSION_LOCKER_PROCESS_HPP

#include "locker.hpp"

namespace session_locker {
inline namespace SESSION_LOCKER_MODE {

/// How loud a message is.
enum class log_level : std::int32_t {
    /// The steps of a session, with `verbose_logs`.
    debug = SL_LOG_DEBUG,
    /// What passes by itself.
    info = SL_LOG_INFO,
    /// What someone should look at.
    warning = SL_LOG_WARNING,
    /// A mistake in code or configuration.
    error = SL_LOG_ERROR,
};

/// Whose errors a reporter of the process is told.
enum class reporter : std::int32_t {
    /// Those of lockers, also of those beneath a store.
    lockers = SL_REPORTER_LOCKERS,
    /// Those of remote-change senders.
    senders = SL_REPORTER_SENDERS,
};

/// The library's version, such as `"0.1.0"`.
[[nodiscard]] inline const char *version() noexcept { return session_locker_version(); }

/// How many handles of all kinds are alive in the whole process, those that are lent included; for tests
/// that look for leaks.
[[nodiscard]] inline std::uint64_t live_handles() noexcept {
    std::uint64_t count = 0;
    session_locker_live_handles(&count);
    return count;
}

/// Sets where the messages of the whole process go: `told(log_level, std::string_view message)`, or with
/// nullptr nowhere, as in the beginning. Several threads may run it at the same time; what is logged
/// inside it goes nowhere. It is destroyed when another has taken its place and it runs no more.
template <typename F> result<void> set_log_callback(F &&told) {
    using kept = std::decay_t<F>;
    if constexpr (!std::is_null_pointer_v<kept>) {
        if (!detail::is_empty<kept>(told)) {
            return detail::hand_over_callable(std::forward<F>(told), [](void *user_data) {
                const SlLogCallback tell = [](void *of, std::int32_t level, const char *message,
                                              std::size_t length) noexcept {
                    detail::run_callback([&] {
                        (*static_cast<kept *>(of))(static_cast<log_level>(level),
                                                   detail::view(message, length));
                    });
                };
                return session_locker_set_log_callback(tell, user_data, &detail::drop<kept>);
            });
        }
    }
    return detail::checked(session_locker_set_log_callback(nullptr, nullptr, nullptr));
}

/// Sets who is told, in the whole process, of errors of which no host has asked to hear:
/// `told(const error_report &)`; with nullptr they are logged, as in the beginning. Kept and run as a log
/// callback.
template <typename F> result<void> set_default_report_error(reporter which, F &&told) {
    using kept = std::decay_t<F>;
    const auto raw_which = static_cast<std::int32_t>(which);
    if constexpr (!std::is_null_pointer_v<kept>) {
        if (!detail::is_empty<kept>(told)) {
            return detail::hand_over_callable(std::forward<F>(told), [&](void *user_data) {
                const SlReportError tell = [](void *of, const SlErrorReport *raw) noexcept {
                    detail::run_callback([&] { (*static_cast<kept *>(of))(error_report(*raw)); });
                };
                return session_locker_set_default_report_error(raw_which, tell, user_data,
                                                               &detail::drop<kept>);
            });
        }
    }
    return detail::checked(session_locker_set_default_report_error(raw_which, nullptr, nullptr, nullptr));
}

/// Logs one failure four times, as warnings: that `identifier` failed, the same with a traceback, with its
/// message, and with both, so that tools which count equal messages count it. The traceback is the
/// host's own; without one it is the native call stack of this thread.
inline result<void> log_error_variations(std::string_view identifier, std::string_view message,
                                         std::optional<std::string_view> traceback = std::nullopt) {
    const char *trace = nullptr;
    std::size_t length = 0;
    if (traceback) {
        // Empty is not none.
        trace = traceback->empty() ? "" : traceback->data();
        length = traceback->size();
    }
    return detail::checked(session_locker_log_error_variations(
        identifier.data(), identifier.size(), message.data(), message.size(), trace, length));
}

/// Makes what log lines begin with, such as `[SessionLocker][Ann]:[1001 / 2002]`: the library's name if
/// `show_module`, the player's user id, the user whose save data is used if that is another, and a name
/// before the ids. Both of the last may be empty, for none. Errors: `invalid_argument` (an empty
/// `user_id`), `invalid_utf8`.
[[nodiscard]] inline result<std::string> log_prefix(bool show_module, std::string_view user_id,
                                                    std::string_view data_store_user_id = {},
                                                    std::string_view name = {}) {
    detail::buffer made;
    const SlStatus code = session_locker_log_prefix_create(
        show_module ? 1 : 0, user_id.data(), user_id.size(), detail::data_or_null(data_store_user_id),
        data_store_user_id.size(), detail::data_or_null(name), name.size(), made.out());
    return detail::text_of(code, made);
}

/// Whose fault a failed request is, by the number that begins the messages of the original's platform:
/// the seed's `GetRequestErrorKind`. Errors: `invalid_utf8`.
[[nodiscard]] inline result<request_error_kind> get_request_error_kind(std::string_view message) {
    SlRequestErrorKind kind = SL_REQUEST_ERROR_MISC;
    const SlStatus code = session_locker_request_error_kind(message.data(), message.size(), &kind);
    return detail::checked<request_error_kind>(code, kind);
}

/// Sets the default of the whole process for one value of configurations that are made from then on.
/// Errors: `out_of_range`.
inline result<void> set_default(config_value which, double value) {
    return detail::checked(session_locker_set_default(static_cast<std::int32_t>(which), value));
}

/// The default of the whole process for one value; 0 and 1 for no and yes.
[[nodiscard]] inline double get_default(config_value which) noexcept {
    double value = 0;
    session_locker_get_default(static_cast<std::int32_t>(which), &value);
    return value;
}

} // namespace SESSION_LOCKER_MODE
} // namespace session_locker

#endif
