// Figures of what was asked of a storage, and how it has answered.
#ifndef SESSION_LOCKER_STATS_HPP
#define SESSION_LOCKER_STATS_HPP

#include "result.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <optional>

namespace session_locker {
inline namespace SESSION_LOCKER_MODE {

/// How many requests may go to a storage; 0 for any number. What may not go yet waits: saves before loads
/// before sends and tools.
struct request_limits {
    /// In no second are there more: up to 1 000 000.
    std::uint32_t per_second = 0;
    /// At no time are more unanswered: up to 1 000 000.
    std::uint32_t in_flight = 0;
};

/// A number of each kind of request, the one that goes first being the first.
struct by_priority {
    /// Saves.
    std::uint64_t saves = 0;
    /// Loads.
    std::uint64_t loads = 0;
    /// All else: remote changes on their way, and tools.
    std::uint64_t others = 0;
};

/// What was asked of a storage, how it has answered, and who waits; of a storage, or of a store's sessions
/// and sends. `SlRequestStats` in the C header tells how the two differ.
///
/// Each request is in one place: `requests()` is `answers()`, `refused`, `given_up` and `in_flight`
/// together, and for a storage all of `waiting` too.
struct request_stats {
    /// Fetches asked.
    std::uint64_t fetches = 0;
    /// Commits asked.
    std::uint64_t commits = 0;
    /// Erasures asked.
    std::uint64_t erasures = 0;
    /// Lists asked, of keys or of a user's keys.
    std::uint64_t lists = 0;
    /// How many of these were asked because the request before had come to nothing.
    std::uint64_t retries = 0;
    /// Answers that were a conflict.
    std::uint64_t conflicts = 0;
    /// Answers that were a failure of the kind `request_error_kind::script`.
    std::uint64_t failures_script = 0;
    /// Answers that were a failure of the kind `request_error_kind::misc`.
    std::uint64_t failures_misc = 0;
    /// Answers that were a failure of the kind `request_error_kind::backend`.
    std::uint64_t failures_backend = 0;
    /// Requests whose answer a store has stopped waiting for.
    std::uint64_t given_up = 0;
    /// Requests that were refused because too many waited for the storage's limits.
    std::uint64_t refused = 0;
    /// Bytes of values that fetches have brought.
    std::uint64_t bytes_read = 0;
    /// Bytes of values of all commits asked.
    std::uint64_t bytes_written = 0;
    /// Requests that were handed over and are not answered, now.
    std::uint64_t in_flight = 0;
    /// The most of them there ever were.
    std::uint64_t most_in_flight = 0;
    /// Who waits, now.
    by_priority waiting;
    /// The most that ever waited.
    by_priority most_waiting;
    /// How many answers took how long: see `latency_bound`.
    std::array<std::uint64_t, SL_LATENCY_BUCKETS> latencies{};

    /// All that was asked.
    [[nodiscard]] std::uint64_t requests() const noexcept { return fetches + commits + erasures + lists; }
    /// All that was answered, in whatever way.
    [[nodiscard]] std::uint64_t answers() const noexcept {
        std::uint64_t sum = 0;
        for (const std::uint64_t count : latencies) {
            sum += count;
        }
        return sum;
    }
    /// What the answers of a bucket of `latencies` took less than; none for the last. The bound of the
    /// bucket before is what they took at least.
    [[nodiscard]] static std::optional<std::chrono::microseconds> latency_bound(std::size_t bucket) noexcept {
        if (bucket + 1 >= SL_LATENCY_BUCKETS) {
            return std::nullopt;
        }
        return std::chrono::microseconds(std::int64_t{SL_LATENCY_FIRST_US} << bucket);
    }
};

namespace detail {

// Reads the figures of the object that a handle names.
template <typename Handle>
[[nodiscard]] result<request_stats> stats_of(SlStatus (*call)(const Handle *, SlRequestStats *),
                                             const Handle *handle) {
    SlRequestStats raw{};
    raw.struct_size = sizeof raw;
    const SlStatus code = call(handle, &raw);
    if (code != SL_OK) {
        return failure(code);
    }
    request_stats stats;
    stats.fetches = raw.fetches;
    stats.commits = raw.commits;
    stats.erasures = raw.erasures;
    stats.lists = raw.lists;
    stats.retries = raw.retries;
    stats.conflicts = raw.conflicts;
    stats.failures_script = raw.failures_script;
    stats.failures_misc = raw.failures_misc;
    stats.failures_backend = raw.failures_backend;
    stats.given_up = raw.given_up;
    stats.refused = raw.refused;
    stats.bytes_read = raw.bytes_read;
    stats.bytes_written = raw.bytes_written;
    stats.in_flight = raw.in_flight;
    stats.most_in_flight = raw.most_in_flight;
    stats.waiting = {raw.waiting_saves, raw.waiting_loads, raw.waiting_others};
    stats.most_waiting = {raw.most_waiting_saves, raw.most_waiting_loads, raw.most_waiting_others};
    std::copy(std::begin(raw.latencies), std::end(raw.latencies), stats.latencies.begin());
    return stats;
}

} // namespace detail

} // namespace SESSION_LOCKER_MODE
} // namespace session_locker

#endif
