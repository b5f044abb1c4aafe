// A remote change as the owner's hook is asked to apply it.
#ifndef SESSION_LOCKER_REMOTE_CHANGE_HPP
#define SESSION_LOCKER_REMOTE_CHANGE_HPP

#include "save_data.hpp"

namespace session_locker {
inline namespace SESSION_LOCKER_MODE {

/// One remote change: an object with a kind, `K`, an id, `I`, the time when it was sent in Unix seconds,
/// `A`, and what its sender has put into it. Lent: it lives until the hook returns.
class remote_change {
public:
    /// Reads a change as it was sent, which must outlive this.
    explicit remote_change(std::string_view json) noexcept : json_(json) {}
    remote_change(const remote_change &) = delete;
    remote_change &operator=(const remote_change &) = delete;
    ~remote_change() = default;

    /// The change as it was sent.
    [[nodiscard]] std::string_view json() const noexcept { return json_; }
    /// Its kind; empty where it cannot be read.
    [[nodiscard]] std::string kind() const { return get<std::string>("/K").value_or(std::string()); }
    /// A member of the change, by JSON Pointer; kinds and errors of `field::get`.
    template <typename T> [[nodiscard]] result<T> get(std::string_view pointer) const {
        if (!parsed_) {
            // As a member of its own, for names that are reserved in save data are not in a change.
            parsed_ = save_data::create("{\"C\":" + std::string(json_) + "}");
        }
        if (!*parsed_) {
            return unexpected(parsed_->error());
        }
        return (**parsed_)["/C" + std::string(pointer)].template get<T>();
    }

private:
    std::string_view json_;
    mutable std::optional<result<save_data>> parsed_;
};

} // namespace SESSION_LOCKER_MODE
} // namespace session_locker

#endif
