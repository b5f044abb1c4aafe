// The library's clock, and clocks of the host's own.
#ifndef SESSION_LOCKER_CLOCK_HPP
#define SESSION_LOCKER_CLOCK_HPP

#include "callback.hpp"

namespace session_locker {
inline namespace SESSION_LOCKER_MODE {

/// Seconds that never run backwards, time asleep included: what a host without such a clock of its own
/// passes as `now` to every update.
[[nodiscard]] inline double now() noexcept { return session_locker_now(); }

/// Clocks of the host's own, for tests and for engines with a time of their own. All three functions are
/// needed: without one, what is to have the clock is refused with `invalid_argument`. They may be called on any thread that calls into the library, must not call back into it, and
/// must not throw (that ends the program).
struct clock {
    /// Unix seconds, by this server's clock.
    base::function<double()> wall;
    /// Seconds that never run backwards, from any epoch, time asleep included: they tell how
    /// old the time is that the host tells. Not a number: they cannot be read now, and until they can no
    /// session is available.
    base::function<double()> monotonic;
    /// Lets about so many seconds pass; called by blocking waits alone.
    base::function<void(double)> sleep;
};

namespace detail {

// The table of a clock that is to be the library's.
[[nodiscard]] inline SlClock clock_table(clock *host) {
    SlClock table{};
    session_locker_clock_init(&table, sizeof table);
    table.user_data = host;
    // The library refuses a table in which one is missing.
    if (host->wall) {
        table.wall = [](void *user_data) noexcept { return static_cast<clock *>(user_data)->wall(); };
    }
    if (host->monotonic) {
        table.monotonic = [](void *user_data) noexcept {
            return static_cast<clock *>(user_data)->monotonic();
        };
    }
    if (host->sleep) {
        table.sleep = [](void *user_data, double seconds) noexcept {
            static_cast<clock *>(user_data)->sleep(seconds);
        };
    }
    table.drop = &drop<clock>;
    return table;
}

} // namespace detail
} // namespace SESSION_LOCKER_MODE
} // namespace session_locker

#endif
