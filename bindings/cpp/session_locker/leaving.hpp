// Lockers whose owner has let them go before they were idle: their spec sees them to their end.
#ifndef SESSION_LOCKER_LEAVING_HPP
#define SESSION_LOCKER_LEAVING_HPP

#include "result.hpp"

#include <mutex>
#include <vector>

namespace session_locker {
inline namespace SESSION_LOCKER_MODE {
namespace detail {

template <typename T> void drop_from(std::vector<T> &all, T one) {
    for (auto at = all.begin(); at != all.end(); ++at) {
        if (*at == one) {
            all.erase(at);
            return;
        }
    }
}

// The lockers of one spec that are leaving. No lock is held while the library is called.
class leaving_lockers {
public:
    leaving_lockers() = default;
    leaving_lockers(const leaving_lockers &) = delete;
    leaving_lockers &operator=(const leaving_lockers &) = delete;
    // Nobody updates those that are left: their keys expire.
    ~leaving_lockers() = default;

    // Takes over a locker that nobody wants any more.
    void add(SlLocker *locker) {
        const std::lock_guard<std::mutex> lock(mutex_);
        lockers_.push_back(locker);
    }

    [[nodiscard]] std::size_t count() const {
        const std::lock_guard<std::mutex> lock(mutex_);
        return lockers_.size();
    }

    // Updates each once, and frees those that are idle. Goes on after a failure, and tells the first.
    result<void> update(double now) {
        result<void> first;
        for (SlLocker *locker : copy()) {
            std::int32_t should_remove = 0;
            const SlStatus code = locker_update(locker, now, &should_remove);
            if (code == SL_ERROR_BUSY || code == SL_ERROR_OUT_OF_RANGE) {
                first = first ? result<void>(failure(code)) : first;
            } else if (code != SL_OK || should_remove != 0) {
                // It is idle, or cannot be updated any more, having failed for good.
                if (locker_destroy(locker) != SL_ERROR_BUSY) {
                    remove(locker);
                }
            }
        }
        return first;
    }

private:
    [[nodiscard]] std::vector<SlLocker *> copy() const {
        const std::lock_guard<std::mutex> lock(mutex_);
        return lockers_;
    }

    void remove(SlLocker *locker) {
        const std::lock_guard<std::mutex> lock(mutex_);
        drop_from(lockers_, locker);
    }

    mutable std::mutex mutex_;
    std::vector<SlLocker *> lockers_;
};

// The use keys that are held through one locker object.
class use_keys {
public:
    // The lock is held meanwhile, so that what is noted is what the library knows.
    template <typename Call> result<void> acquire(std::uint64_t use_key, Call &&call) {
        const std::lock_guard<std::recursive_mutex> lock(mutex_);
        result<void> outcome = call();
        if (outcome) {
            drop_from(held_, use_key);
            held_.push_back(use_key);
        }
        return outcome;
    }

    template <typename Call> result<void> release(std::uint64_t use_key, Call &&call) {
        const std::lock_guard<std::recursive_mutex> lock(mutex_);
        result<void> outcome = call();
        if (outcome) {
            drop_from(held_, use_key);
        }
        return outcome;
    }

    // Those that are held, which are noted no more.
    [[nodiscard]] std::vector<std::uint64_t> take() {
        const std::lock_guard<std::recursive_mutex> lock(mutex_);
        return std::exchange(held_, {});
    }

private:
    // Recursive, for what the library logs inside the call may lead the host back here.
    std::recursive_mutex mutex_;
    std::vector<std::uint64_t> held_;
};

} // namespace detail
} // namespace SESSION_LOCKER_MODE
} // namespace session_locker

#endif
