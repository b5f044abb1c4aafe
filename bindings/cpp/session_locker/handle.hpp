// Handles of the C ABI: named, or named and owned. What every class of this binding is built on.
#ifndef SESSION_LOCKER_HANDLE_HPP
#define SESSION_LOCKER_HANDLE_HPP

#include "result.hpp"

namespace session_locker {
inline namespace SESSION_LOCKER_MODE {

// What the public classes are made of. Apart from `detail`, for a call such as `buy(profile)` of the
// host's is looked up in the namespaces of the base classes too, and must find nothing there.
namespace base {

/// A handle by its name. The library looks names up and never follows them, so one whose object is gone
/// does no harm: every call on it fails with `status::invalid_handle`.
template <typename Raw> class named {
public:
    using raw_type = Raw;

    /// Names nothing.
    named() noexcept = default;
    /// Names a handle of the C ABI.
    explicit named(Raw *handle) noexcept : handle_(handle) {}

    /// The handle, for functions of the C ABI.
    [[nodiscard]] Raw *handle() const noexcept { return handle_; }
    /// Whether it names anything; what it names may be gone.
    explicit operator bool() const noexcept { return handle_ != nullptr; }
    /// Whether both name the same.
    friend bool operator==(const named &left, const named &right) noexcept {
        return left.handle_ == right.handle_;
    }
    friend bool operator!=(const named &left, const named &right) noexcept { return !(left == right); }

protected:
    Raw *handle_ = nullptr;
};

/// Names a handle and frees it at its end. Moved, never copied; a copy of its base only names it.
template <typename Named, SlStatus (*Destroy)(typename Named::raw_type *)> class owner : public Named {
public:
    using raw_type = typename Named::raw_type;

    /// Owns nothing.
    owner() noexcept = default;
    /// Takes over a handle of the C ABI.
    explicit owner(raw_type *handle) noexcept : Named(handle) {}
    owner(owner &&other) noexcept : Named(other.release()) {}
    owner &operator=(owner &&other) noexcept {
        if (this != &other) {
            const owner former(std::exchange(this->handle_, other.release()));
        }
        // Here, this may be gone: see `free`.
        return *this;
    }
    owner(const owner &) = delete;
    owner &operator=(const owner &) = delete;
    ~owner() { free(); }

    /// Gives the handle away: who calls this frees it.
    raw_type *release() noexcept { return std::exchange(this->handle_, nullptr); }
    /// Frees the handle now, and says if that went wrong; one that is refused as `busy` is still owned.
    /// Where nothing is owned, nothing is done.
    result<void> destroy() { return detail::checked(free()); }

protected:
    // With the handle go lambdas of the host's, and one of them may have been the last that kept the object
    // this is part of. So nothing here is touched afterwards, unless the handle was refused and is back.
    SlStatus free() noexcept {
        raw_type *const handle = release();
        if (handle == nullptr) {
            return SL_OK;
        }
        const SlStatus code = Destroy(handle);
        if (code == SL_ERROR_BUSY) {
            this->handle_ = handle;
        }
        return code;
    }
};

} // namespace base

namespace detail {

// What a call that gives a handle came to.
template <typename Owner>
[[nodiscard]] result<Owner> owned(SlStatus code, typename Owner::raw_type *handle) {
    if (code != SL_OK) {
        return failure(code);
    }
    return Owner(handle);
}

// A question that is answered with 1 or 0; no where it cannot be answered.
template <typename Raw>
[[nodiscard]] bool ask(SlStatus (*question)(const Raw *, std::int32_t *), const Raw *of) noexcept {
    std::int32_t answer = 0;
    return question(of, &answer) == SL_OK && answer != 0;
}

} // namespace detail
} // namespace SESSION_LOCKER_MODE
} // namespace session_locker

#endif
