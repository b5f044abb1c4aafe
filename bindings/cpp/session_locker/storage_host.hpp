// A storage of the host's own: a class with a virtual function for each operation.
#ifndef SESSION_LOCKER_STORAGE_HOST_HPP
#define SESSION_LOCKER_STORAGE_HOST_HPP

#include "callback.hpp"
#include "event.hpp"
#include "storage.hpp"

namespace session_locker {
inline namespace SESSION_LOCKER_MODE {

/// What must be true of a key before it is written.
enum class expected_record : std::int32_t {
    /// Its record is there, at the given revision.
    present = SL_EXPECTED_PRESENT,
    /// There is none; the revision is that of its erasure, or empty if the fetch reported none.
    absent = SL_EXPECTED_ABSENT,
    /// Nothing. Only an erasure says this.
    any = SL_EXPECTED_ANY,
};

/// A request to a storage of the host's own: the right, and the duty, to answer it once, from any thread,
/// inside the call that brought it or later. Move it out of that call to keep it.
///
/// `clock` is the storage's own clock when it acted, in Unix seconds, or 0 if it has none. An answer that
/// is refused (`invalid_argument`: not an answer to what was asked; `out_of_range`: the clock) leaves the
/// request waiting; `invalid_handle` says that the storage is no more. One that is destroyed unanswered
/// is answered as failed.
class storage_request {
public:
    /// Takes over a request of the C ABI.
    explicit storage_request(SlStorageRequest *handle) noexcept : handle_(handle) {}
    storage_request(storage_request &&other) noexcept : handle_(other.release()) {}
    storage_request &operator=(storage_request &&other) noexcept {
        if (this != &other) {
            let_go();
            handle_ = other.release();
        }
        return *this;
    }
    storage_request(const storage_request &) = delete;
    storage_request &operator=(const storage_request &) = delete;
    ~storage_request() { let_go(); }

    /// Answers a fetch: the record is there, at a revision of 1 to 64 bytes.
    result<void> fetched(std::string_view bytes, std::string_view revision, const texts &user_ids,
                         double clock = 0) {
        const std::vector<SlText> users = detail::texts(user_ids);
        return answered(storage_request_fetched(handle_, bytes.data(), bytes.size(), revision.data(),
                                                revision.size(), users.data(), users.size(), clock));
    }
    /// Answers a fetch: there is no record. The revision is that of its erasure, or empty.
    result<void> absent(std::string_view revision = {}, double clock = 0) {
        return answered(
            storage_request_absent(handle_, detail::data_or_null(revision), revision.size(), clock));
    }
    /// Answers a commit: it is written and durable.
    result<void> committed(std::string_view revision, double clock = 0) {
        return answered(storage_request_committed(handle_, revision.data(), revision.size(), clock));
    }
    /// Answers an erasure: it is durable.
    result<void> erased(std::string_view revision, double clock = 0) {
        return answered(storage_request_erased(handle_, revision.data(), revision.size(), clock));
    }
    /// Answers a commit or an erasure: this request has written nothing and never will.
    result<void> conflict(double clock = 0) { return answered(storage_request_conflict(handle_, clock)); }
    /// Answers a list, or a search for a user's records, with keys in byte order.
    result<void> keys(const texts &all) {
        const std::vector<SlText> raw = detail::texts(all);
        return answered(storage_request_keys(handle_, raw.data(), raw.size()));
    }
    /// Answers any request: it failed, or nobody knows whether it did.
    result<void> failed(request_error_kind kind, std::string_view message, double clock = 0) {
        return answered(storage_request_failed(handle_, static_cast<std::int32_t>(kind), message.data(),
                                               message.size(), clock));
    }

    /// The handle, for functions of the C ABI; null once it is answered or moved from.
    [[nodiscard]] SlStorageRequest *handle() const noexcept { return handle_; }
    /// Gives the handle away: who calls this answers.
    SlStorageRequest *release() noexcept { return std::exchange(handle_, nullptr); }

private:
    result<void> answered(SlStatus code) {
        if (code != SL_OK) {
            return detail::failure(code);
        }
        handle_ = nullptr;
        return {};
    }
    void let_go() noexcept {
        constexpr std::string_view message = "the host has let go of the request without an answer";
        if (handle_ != nullptr) {
            storage_request_failed(handle_, SL_REQUEST_ERROR_MISC, message.data(), message.size(), 0);
        }
    }

    SlStorageRequest *handle_;
};

/// What a storage of the host's own is asked to write. Lent: it lives until the function returns.
class storage_commit {
public:
    /// Reads a commit of the C ABI, which must outlive this.
    explicit storage_commit(const SlStorageCommit &raw) noexcept : raw_(&raw) {}

    /// The record's key.
    [[nodiscard]] std::string_view key() const noexcept { return detail::view(raw_->key); }
    /// What must be true of it: `present` or `absent`.
    [[nodiscard]] expected_record expected() const noexcept {
        return static_cast<expected_record>(raw_->expected);
    }
    /// The expected revision, or none.
    [[nodiscard]] std::string_view revision() const noexcept { return detail::view(raw_->revision); }
    /// The whole new value.
    [[nodiscard]] std::string_view bytes() const noexcept { return detail::view(raw_->bytes); }
    /// The users the record belongs to, in place of those stored before.
    [[nodiscard]] texts user_ids() const {
        texts all;
        for (std::size_t at = 0; at < raw_->user_id_count; ++at) {
            all.push_back(detail::view(raw_->user_ids[at]));
        }
        return all;
    }

private:
    const SlStorageCommit *raw_;
};

/// A storage of the host's own; `SlStorageCallbacks` in the C header says what it must promise (a
/// revision is never used twice for a key; committed means durable; what is not certain has failed).
///
/// Its functions run on the thread that called in, with no lock of the library held, on several at once
/// if the host uses the storage from several. They must not block. Each answers its request, at once or
/// later; an error that is returned, or thrown, answers it as failed, if it was not moved away. The
/// object is destroyed when the storage's handle and all that was created with it are.
class host_storage {
public:
    host_storage() = default;
    host_storage(const host_storage &) = delete;
    host_storage &operator=(const host_storage &) = delete;
    virtual ~host_storage() = default;

    /// Reads a record: `fetched` or `absent`.
    virtual result<void> fetch(storage_request &request, std::string_view key) = 0;
    /// Writes a record if the key is as expected: `committed` or `conflict`.
    virtual result<void> commit(storage_request &request, const storage_commit &commit) = 0;
    /// Removes a record if the key is as expected, and remembers the revision of the erasure for at least
    /// 24 hours: `erased` or `conflict`.
    virtual result<void> erase(storage_request &request, std::string_view key, expected_record expected,
                               std::string_view revision) = 0;
    /// Lists up to `limit` keys that begin with `prefix`, in byte order, behind `after`: `keys`.
    virtual result<void> list(storage_request &request, std::string_view prefix, std::string_view after,
                              std::size_t limit) {
        static_cast<void>(request);
        static_cast<void>(prefix);
        static_cast<void>(after);
        static_cast<void>(limit);
        return fail(status::unsupported, "this storage cannot list its keys");
    }
    /// Lists the keys of the records that carry a user id, in byte order: `keys`.
    virtual result<void> keys_of_user(storage_request &request, std::string_view user_id) {
        static_cast<void>(request);
        static_cast<void>(user_id);
        return fail(status::unsupported, "this storage cannot find the records of a user");
    }
};

namespace detail {

// Runs a function of the host's storage; a request that it leaves here, with an error, is answered by
// that error.
template <typename F> SlStatus run_request(SlStorageRequest *handle, F &&asked) noexcept {
    storage_request request(handle);
    const SlStatus code = run_hook([&]() -> result<void> { return asked(request); });
    if (code != SL_OK) {
        static_cast<void>(request.release());
    }
    return code;
}

[[nodiscard]] inline SlStorageCallbacks host_storage_table() {
    SlStorageCallbacks table{};
    locker_storage_callbacks_init(&table, sizeof table);
    table.fetch = [](void *user_data, SlStorageRequest *handle, const char *key,
                     std::size_t length) noexcept {
        auto *host = static_cast<host_storage *>(user_data);
        return run_request(handle, [&](auto &request) { return host->fetch(request, view(key, length)); });
    };
    table.commit = [](void *user_data, SlStorageRequest *handle, const SlStorageCommit *raw) noexcept {
        auto *host = static_cast<host_storage *>(user_data);
        return run_request(handle,
                           [&](auto &request) { return host->commit(request, storage_commit(*raw)); });
    };
    table.erase = [](void *user_data, SlStorageRequest *handle, const char *key, std::size_t length,
                     std::int32_t expected, const char *revision, std::size_t revision_length) noexcept {
        auto *host = static_cast<host_storage *>(user_data);
        return run_request(handle, [&](auto &request) {
            return host->erase(request, view(key, length), static_cast<expected_record>(expected),
                               view(revision, revision_length));
        });
    };
    table.list = [](void *user_data, SlStorageRequest *handle, const char *prefix,
                    std::size_t prefix_length, const char *after, std::size_t after_length,
                    std::size_t limit) noexcept {
        auto *host = static_cast<host_storage *>(user_data);
        return run_request(handle, [&](auto &request) {
            return host->list(request, view(prefix, prefix_length), view(after, after_length), limit);
        });
    };
    table.keys_of_user = [](void *user_data, SlStorageRequest *handle, const char *user_id,
                            std::size_t length) noexcept {
        auto *host = static_cast<host_storage *>(user_data);
        return run_request(
            handle, [&](auto &request) { return host->keys_of_user(request, view(user_id, length)); });
    };
    table.drop = &drop<host_storage>;
    return table;
}

} // namespace detail

inline result<storage> storage::open_host(std::unique_ptr<host_storage> host, request_limits limits) {
    if (host == nullptr) {
        return fail(status::invalid_argument, "there is no storage");
    }
    SlStorageCallbacks table = detail::host_storage_table();
    table.requests_per_second = limits.per_second;
    table.requests_in_flight = limits.in_flight;
    SlStorage *opened = nullptr;
    const result<void> outcome = detail::hand_over(std::move(host), [&](void *user_data) {
        return locker_storage_open_host(&table, user_data, &opened);
    });
    if (!outcome) {
        return unexpected(outcome.error());
    }
    return storage(opened);
}

} // namespace SESSION_LOCKER_MODE
} // namespace session_locker

#endif
