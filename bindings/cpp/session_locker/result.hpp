// What a call came to: `result<T>`, `error`, `status`. Nothing in this binding throws; where the
// standard library has std::expected, a result is one, and elsewhere a class that is used in the same way,
// without `and_then` and its like.
#ifndef SESSION_LOCKER_RESULT_HPP
#define SESSION_LOCKER_RESULT_HPP

#include "session_locker.h"

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <new>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#if defined(__has_include)
#if __has_include(<version>)
#include <version>
#endif
#endif
#if defined(__cpp_lib_expected) && __cpp_lib_expected >= 202202L
#define SESSION_LOCKER_HAS_EXPECTED 1
#include <expected>
#else
#define SESSION_LOCKER_HAS_EXPECTED 0
#endif

#if defined(__cpp_exceptions) || defined(_CPPUNWIND)
#define SESSION_LOCKER_HAS_EXCEPTIONS 1
#include <exception>
#else
#define SESSION_LOCKER_HAS_EXCEPTIONS 0
#endif

// Parts of one program may be compiled by different standards, with and without exceptions. What that
// changes is in the names of everything here, so that such parts link and never mix.
#if SESSION_LOCKER_HAS_EXPECTED && SESSION_LOCKER_HAS_EXCEPTIONS
#define SESSION_LOCKER_MODE expected_and_exceptions
#elif SESSION_LOCKER_HAS_EXPECTED
#define SESSION_LOCKER_MODE expected
#elif SESSION_LOCKER_HAS_EXCEPTIONS
#define SESSION_LOCKER_MODE exceptions
#else
#define SESSION_LOCKER_MODE plain
#endif

/// One owner at a time for every player's save data: the C++ binding of session-locker.
namespace session_locker {
inline namespace SESSION_LOCKER_MODE {

/// What went wrong, by kind. The header `session_locker.h` explains each by its name in capitals.
enum class status : std::int32_t {
    ok = SL_OK,
    invalid_handle = SL_ERROR_INVALID_HANDLE,
    invalid_argument = SL_ERROR_INVALID_ARGUMENT,
    invalid_utf8 = SL_ERROR_INVALID_UTF8,
    invalid_json = SL_ERROR_INVALID_JSON,
    invalid_pointer = SL_ERROR_INVALID_POINTER,
    not_found = SL_ERROR_NOT_FOUND,
    wrong_type = SL_ERROR_WRONG_TYPE,
    out_of_range = SL_ERROR_OUT_OF_RANGE,
    reserved_field = SL_ERROR_RESERVED_FIELD,
    too_large = SL_ERROR_TOO_LARGE,
    patch_failed = SL_ERROR_PATCH_FAILED,
    busy = SL_ERROR_BUSY,
    timeout = SL_ERROR_TIMEOUT,
    panic = SL_ERROR_PANIC,
    not_active = SL_ERROR_NOT_ACTIVE,
    not_loaded = SL_ERROR_NOT_LOADED,
    closed = SL_ERROR_CLOSED,
    storage = SL_ERROR_STORAGE,
    conflict = SL_ERROR_CONFLICT,
    migration = SL_ERROR_MIGRATION,
    limit = SL_ERROR_LIMIT,
    unsupported = SL_ERROR_UNSUPPORTED,
    hook = SL_ERROR_HOOK,
    not_applicable = SL_ERROR_NOT_APPLICABLE,
};

/// The name of a status in the C header, such as `"SL_ERROR_BUSY"`. Static; never null.
[[nodiscard]] inline const char *name(status code) noexcept {
    return session_locker_status_name(static_cast<SlStatus>(code));
}

/// Why a call failed, or why a hook of the host's fails.
struct error {
    /// The kind; never `status::ok`.
    status code = status::hook;
    /// For a person: which key, field, byte. In a hook's error it is what the library reports.
    std::string message;

    friend bool operator==(const error &left, const error &right) {
        return left.code == right.code && left.message == right.message;
    }
    friend bool operator!=(const error &left, const error &right) { return !(left == right); }
};

#if SESSION_LOCKER_HAS_EXPECTED

/// A value, or the error that stands in its place: here std::expected.
///
/// Beware of `result<bool>`: `if (call())` asks whether the call went well, not what it answered. Ask
/// `call().value_or(false)` or `call() == true`.
template <typename T> using result = std::expected<T, error>;
/// What a function that returns a result returns for failure: here std::unexpected.
using unexpected = std::unexpected<error>;
#if SESSION_LOCKER_HAS_EXCEPTIONS
/// What `value()` of a result without one throws: here std::bad_expected_access.
using bad_result_access = std::bad_expected_access<error>;
#endif

#else

/// What a function that returns a result returns for failure; as std::unexpected.
class unexpected {
public:
    /// Wraps an error.
    explicit unexpected(session_locker::error failure) : error_(std::move(failure)) {}

    /// The error.
    [[nodiscard]] const session_locker::error &error() const &noexcept { return error_; }
    /// The error, to be changed.
    [[nodiscard]] session_locker::error &error() &noexcept { return error_; }
    /// The error, moved out.
    [[nodiscard]] session_locker::error &&error() &&noexcept { return std::move(error_); }

private:
    session_locker::error error_;
};

#if SESSION_LOCKER_HAS_EXCEPTIONS
/// What `value()` of a result without one throws; as std::bad_expected_access.
class bad_result_access : public std::exception {
public:
    /// Keeps the error that stood in the value's place.
    explicit bad_result_access(session_locker::error failure) : error_(std::move(failure)) {}

    /// The error's message.
    [[nodiscard]] const char *what() const noexcept override { return error_.message.c_str(); }
    /// The error.
    [[nodiscard]] const session_locker::error &error() const noexcept { return error_; }

private:
    session_locker::error error_;
};
#endif

namespace detail {
[[noreturn]] inline void no_value(const error &failure) {
#if SESSION_LOCKER_HAS_EXCEPTIONS
    throw bad_result_access(failure);
#else
    static_cast<void>(failure);
    std::abort();
#endif
}
} // namespace detail

/// A value, or the error that stands in its place; to be used as std::expected.
///
/// Beware of `result<bool>`: `if (call())` asks whether the call went well, not what it answered. Ask
/// `call().value_or(false)` or `call() == true`.
template <typename T> class result {
    template <typename U>
    static constexpr bool is_value_for =
        std::is_convertible_v<U, T> &&
        !std::is_same_v<std::remove_cv_t<std::remove_reference_t<U>>, result> &&
        !std::is_same_v<std::remove_cv_t<std::remove_reference_t<U>>, unexpected>;

public:
    using value_type = T;
    using error_type = session_locker::error;
    using unexpected_type = session_locker::unexpected;

    /// A value of its default.
    template <typename U = T, std::enable_if_t<std::is_default_constructible_v<U>, int> = 0>
    result() : value_(), has_value_(true) {}
    /// A value.
    template <typename U = T, std::enable_if_t<is_value_for<U>, int> = 0>
    result(U &&value) : value_(std::forward<U>(value)), has_value_(true) {}
    /// An error.
    result(unexpected_type failure) : error_(std::move(failure).error()), has_value_(false) {}
    result(result &&other) noexcept(std::is_nothrow_move_constructible_v<T>)
        : has_value_(other.has_value_) { take(std::move(other)); }
    result(const result &other) : has_value_(other.has_value_) { take(other); }
    result &operator=(result &&other) noexcept {
        if (this != &other) {
            end();
            has_value_ = other.has_value_;
            take(std::move(other));
        }
        return *this;
    }
    result &operator=(const result &other) {
        // Made first, so that this stays as it is if that throws.
        return *this = result(other);
    }
    ~result() { end(); }

    /// Whether there is a value.
    [[nodiscard]] bool has_value() const noexcept { return has_value_; }
    /// Whether there is a value.
    explicit operator bool() const noexcept { return has_value_; }

    /// The value, which must be there.
    [[nodiscard]] T &operator*() &noexcept { return value_; }
    [[nodiscard]] const T &operator*() const &noexcept { return value_; }
    [[nodiscard]] T &&operator*() &&noexcept { return std::move(value_); }
    [[nodiscard]] T *operator->() noexcept { return &value_; }
    [[nodiscard]] const T *operator->() const noexcept { return &value_; }

    /// The value. Without one it throws, or where there are no exceptions ends the program.
    T &value() & {
        must_have_value();
        return value_;
    }
    const T &value() const & {
        must_have_value();
        return value_;
    }
    T &&value() && {
        must_have_value();
        return std::move(value_);
    }

    /// The error, which must be there.
    [[nodiscard]] const error_type &error() const &noexcept { return error_; }
    [[nodiscard]] error_type &error() &noexcept { return error_; }
    [[nodiscard]] error_type &&error() &&noexcept { return std::move(error_); }

    /// The value, or without one `otherwise`.
    template <typename U> [[nodiscard]] T value_or(U &&otherwise) const & {
        return has_value_ ? value_ : static_cast<T>(std::forward<U>(otherwise));
    }
    template <typename U> [[nodiscard]] T value_or(U &&otherwise) && {
        return has_value_ ? std::move(value_) : static_cast<T>(std::forward<U>(otherwise));
    }

    /// Whether both have the same value, or both the same error.
    friend bool operator==(const result &left, const result &right) {
        if (left.has_value() != right.has_value()) {
            return false;
        }
        return left.has_value() ? *left == *right : left.error() == right.error();
    }
    friend bool operator!=(const result &left, const result &right) { return !(left == right); }
    /// Whether there is a value, and it is this one.
    template <typename U, std::enable_if_t<is_value_for<const U &>, int> = 0>
    friend bool operator==(const result &left, const U &value) {
        return left.has_value() && *left == value;
    }
    template <typename U, std::enable_if_t<is_value_for<const U &>, int> = 0>
    friend bool operator!=(const result &left, const U &value) {
        return !(left == value);
    }

private:
    void must_have_value() const {
        if (!has_value_) {
            detail::no_value(error_);
        }
    }
    // Makes what the other has, where nothing is; has_value_ says which already.
    template <typename Other> void take(Other &&other) {
        if (has_value_) {
            ::new (static_cast<void *>(&value_)) T(std::forward<Other>(other).value_);
        } else {
            ::new (static_cast<void *>(&error_)) error_type(std::forward<Other>(other).error_);
        }
    }
    void end() noexcept {
        if (has_value_) {
            value_.~T();
        } else {
            error_.~error_type();
        }
    }

    union {
        T value_;
        error_type error_;
    };
    bool has_value_;
};

/// Nothing, or the error that stands in its place.
template <> class result<void> {
public:
    using value_type = void;
    using error_type = session_locker::error;
    using unexpected_type = session_locker::unexpected;

    /// The call went well.
    result() = default;
    /// An error.
    result(unexpected_type failure) : error_(std::move(failure).error()) {}

    /// Whether the call went well.
    [[nodiscard]] bool has_value() const noexcept { return !error_.has_value(); }
    /// Whether the call went well.
    explicit operator bool() const noexcept { return has_value(); }
    /// Does nothing.
    void operator*() const noexcept {}
    /// Does nothing; with an error it throws, or where there are no exceptions ends the program.
    void value() const {
        if (error_.has_value()) {
            detail::no_value(*error_);
        }
    }

    /// The error, which must be there.
    [[nodiscard]] const error_type &error() const &noexcept { return *error_; }
    [[nodiscard]] error_type &error() &noexcept { return *error_; }
    [[nodiscard]] error_type &&error() &&noexcept { return *std::move(error_); }

    /// Whether both went well, or both have the same error.
    friend bool operator==(const result &left, const result &right) { return left.error_ == right.error_; }
    friend bool operator!=(const result &left, const result &right) { return !(left == right); }

private:
    std::optional<error_type> error_;
};

#endif

/// The failure of a hook, with what the library is to report: `return fail("there are no coins");`.
[[nodiscard]] inline unexpected fail(std::string message) {
    return unexpected(error{status::hook, std::move(message)});
}

/// A failure of a kind of its own.
[[nodiscard]] inline unexpected fail(status code, std::string message) {
    return unexpected(error{code, std::move(message)});
}

/// What a hook returns when what it was asked to apply cannot be applied, here or now, and that is no
/// failure: a remote change of a kind it does not know, a product that does not fit.
[[nodiscard]] inline unexpected not_applicable() {
    return unexpected(error{status::not_applicable, std::string()});
}

/// What a process function returns to `product_op::validate` when it cannot tell now: the friend whom
/// the gift was for has left. The purchase is answered with no, and nothing is written.
[[nodiscard]] inline unexpected not_now() { return unexpected(error{status::not_active, std::string()}); }

namespace detail {

// This thread's last message, with the status that came with it.
[[nodiscard]] inline unexpected failure(SlStatus code) {
    std::string message;
    const std::size_t length = session_locker_last_error(nullptr, 0);
    message.resize(length);
    session_locker_last_error(message.data(), length + 1);
    return unexpected(error{static_cast<status>(code), std::move(message)});
}

// What a call without an output came to.
[[nodiscard]] inline result<void> checked(SlStatus code) {
    if (code != SL_OK) {
        return failure(code);
    }
    return {};
}

// What a call with one output came to.
template <typename T, typename Raw> [[nodiscard]] result<T> checked(SlStatus code, const Raw &output) {
    if (code != SL_OK) {
        return failure(code);
    }
    return static_cast<T>(output);
}

template <typename T> struct is_result : std::false_type {};
template <typename T> struct is_result<result<T>> : std::true_type {};

} // namespace detail
} // namespace SESSION_LOCKER_MODE
} // namespace session_locker

#endif
