// Where records are kept: the library's own storages, and tools that read and write records directly.
#ifndef SESSION_LOCKER_STORAGE_HPP
#define SESSION_LOCKER_STORAGE_HPP

#include "handle.hpp"
#include "stats.hpp"
#include "text.hpp"

#include <memory>

namespace session_locker {
inline namespace SESSION_LOCKER_MODE {

class host_storage;

/// The ids of users, or other texts, by reference: `{"ann", "ben"}`, or a vector of strings such as
/// `record::user_ids`, which must outlive this.
class texts : public std::vector<std::string_view> {
public:
    using vector::vector;

    /// None.
    texts() = default;
    /// These.
    texts(std::vector<std::string_view> all) noexcept : vector(std::move(all)) {}
    /// Names all of them.
    texts(const std::vector<std::string> &all) : vector(all.begin(), all.end()) {}
};

/// What a storage has under a key.
struct record {
    /// Whether there is one.
    bool is_present = false;
    /// Its value, which a locker will want to be save data.
    std::string bytes;
    /// What `storage::commit` and `storage::erase` must find to go through.
    std::string revision;
    /// The users it belongs to.
    std::vector<std::string> user_ids;
};

/// A storage: a key, its bytes, its revision, and the users it belongs to. What was created with it keeps
/// it open. Any thread.
///
/// The functions that read and write block, for up to a timeout in seconds, and **know nothing of
/// sessions**: for imports, inspections and erasure requests, on keys that nobody owns.
class storage : public base::owner<base::named<SlStorage>, locker_storage_destroy> {
public:
    using owner::owner;

    /// Opens `memory:`, `memory:NAME`, `sqlite:PATH` or `sqlite:PATH?synchronous=normal`; with
    /// `requests_per_second` or `requests_in_flight` among the parameters, within these limits. May block
    /// while a file is opened. Errors: `invalid_argument`, `invalid_utf8`, `storage` (the message says why).
    [[nodiscard]] static result<storage> open(std::string_view url) {
        SlStorage *opened = nullptr;
        const SlStatus code = locker_storage_open(url.data(), url.size(), &opened);
        return detail::owned<storage>(code, opened);
    }
    /// Makes a storage of the host's own; see `host_storage`. Errors: `out_of_range` (a limit).
    [[nodiscard]] static result<storage> open_host(std::unique_ptr<host_storage> host,
                                                   request_limits limits = {});

    /// What was asked of it by all that were created with it and by tools, and how it has answered. Also
    /// inside callbacks.
    [[nodiscard]] result<request_stats> stats() const {
        return detail::stats_of<SlStorage>(locker_storage_get_stats, handle());
    }

    /// Reads the record under a key of 1 to 512 bytes. Errors: `storage`, `timeout`, and those of bad
    /// arguments.
    [[nodiscard]] result<record> fetch(std::string_view key, double timeout) const {
        std::int32_t is_present = 0;
        detail::buffer bytes;
        detail::buffer revision;
        detail::buffer user_ids;
        const SlStatus code = locker_storage_fetch(handle(), key.data(), key.size(), timeout, &is_present,
                                                   bytes.out(), revision.out(), user_ids.out());
        if (code != SL_OK) {
            return detail::failure(code);
        }
        return record{is_present != 0, bytes.string(), revision.string(), detail::strings(user_ids.view())};
    }
    /// Writes a record if the key is still at the revision `expected`, which a fetch, commit or erasure
    /// has given; gives the new one. Up to 64 user ids, in place of those stored before. Errors:
    /// `conflict` (nothing was written), `storage` and `timeout` (it may have been written, or may still
    /// be), and those of bad arguments.
    [[nodiscard]] result<std::string> commit(std::string_view key, std::string_view bytes,
                                             const texts &user_ids, std::string_view expected,
                                             double timeout) const {
        const std::vector<SlText> users = detail::texts(user_ids);
        detail::buffer revision;
        const SlStatus code = locker_storage_commit(
            handle(), key.data(), key.size(), bytes.data(), bytes.size(), users.data(), users.size(),
            expected.data(), expected.size(), timeout, revision.out());
        return detail::text_of(code, revision);
    }
    /// Removes a record, if the key is at the revision `expected`, or whatever is there if that is empty;
    /// gives the revision of the erasure. Errors as for `commit`.
    [[nodiscard]] result<std::string> erase(std::string_view key, std::string_view expected,
                                            double timeout) const {
        detail::buffer revision;
        const SlStatus code =
            locker_storage_erase(handle(), key.data(), key.size(), detail::data_or_null(expected),
                                 expected.size(), timeout, revision.out());
        return detail::text_of(code, revision);
    }
    /// Up to `limit` (1 to 10 000) keys that begin with `prefix`, in byte order, from the first one behind
    /// `after`; the last one is `after` for the next page. Errors: `out_of_range`, `storage`, `timeout`,
    /// and those of bad arguments.
    [[nodiscard]] result<std::vector<std::string>> list(std::string_view prefix, std::string_view after,
                                                        std::size_t limit, double timeout) const {
        detail::buffer keys;
        const SlStatus code =
            locker_storage_list(handle(), detail::data_or_null(prefix), prefix.size(),
                                detail::data_or_null(after), after.size(), limit, timeout, keys.out());
        return detail::strings_of(code, keys);
    }
    /// The keys of the records that carry a user id, in byte order: what an erasure request needs. Errors
    /// as for `list`.
    [[nodiscard]] result<std::vector<std::string>> keys_of_user(std::string_view user_id,
                                                                double timeout) const {
        detail::buffer keys;
        const SlStatus code =
            locker_storage_keys_of_user(handle(), user_id.data(), user_id.size(), timeout, keys.out());
        return detail::strings_of(code, keys);
    }
};

} // namespace SESSION_LOCKER_MODE
} // namespace session_locker

#endif
