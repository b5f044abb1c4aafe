// Storages: the tools, and storages of the host's own.
#include "world.hpp"

#include <map>
#include <thread>

#if SESSION_LOCKER_HAS_EXCEPTIONS
#include <stdexcept>
#endif

using check::fails;

namespace {

// Records in a map, with a revision that counts; it answers at once.
class map_storage : public sl::host_storage {
public:
    explicit map_storage(witness alive) : alive_(std::move(alive)) {}

    sl::result<void> fetch(sl::storage_request &request, std::string_view key) override {
        const auto found = records_.find(std::string(key));
        if (found == records_.end()) {
            return request.absent();
        }
        return request.fetched(found->second.bytes, found->second.revision, users(found->second));
    }
    sl::result<void> commit(sl::storage_request &request, const sl::storage_commit &commit) override {
        if (!is_as(commit.key(), commit.expected(), commit.revision())) {
            return request.conflict();
        }
        sl::record &record = records_[std::string(commit.key())];
        record.bytes = commit.bytes();
        record.revision = std::to_string(++revision_);
        record.user_ids.clear();
        for (const std::string_view user : commit.user_ids()) {
            record.user_ids.emplace_back(user);
        }
        return request.committed(record.revision);
    }
    sl::result<void> erase(sl::storage_request &request, std::string_view key, sl::expected_record expected,
                           std::string_view revision) override {
        if (!is_as(key, expected, revision)) {
            return request.conflict();
        }
        records_.erase(std::string(key));
        return request.erased(std::to_string(++revision_));
    }
    sl::result<void> list(sl::storage_request &request, std::string_view prefix, std::string_view after,
                          std::size_t limit) override {
        sl::texts keys;
        for (const auto &one : records_) {
            if (one.first.compare(0, prefix.size(), prefix) == 0 && one.first > after &&
                keys.size() < limit) {
                keys.push_back(one.first);
            }
        }
        return request.keys(keys);
    }
    sl::result<void> keys_of_user(sl::storage_request &request, std::string_view user_id) override {
        sl::texts keys;
        for (const auto &one : records_) {
            for (const std::string &user : one.second.user_ids) {
                if (user == user_id) {
                    keys.push_back(one.first);
                }
            }
        }
        return request.keys(keys);
    }

private:
    static sl::texts users(const sl::record &record) {
        return sl::texts(record.user_ids.begin(), record.user_ids.end());
    }
    bool is_as(std::string_view key, sl::expected_record expected, std::string_view revision) const {
        const auto found = records_.find(std::string(key));
        switch (expected) {
        case sl::expected_record::present:
            return found != records_.end() && found->second.revision == revision;
        case sl::expected_record::absent: return found == records_.end();
        case sl::expected_record::any: return true;
        }
        return false;
    }

    witness alive_;
    std::map<std::string, sl::record> records_;
    int revision_ = 0;
};

void try_every_tool(const sl::storage &records) {
    const sl::record none = MUST(records.fetch("a/1", 10));
    CHECK(!none.is_present && none.bytes.empty() && none.user_ids.empty());
    const std::string first =
        MUST(records.commit("a/1", R"({"Gold":1})", {"ann", "\u00dc\"\\"}, none.revision, 10));
    CHECK(fails(records.commit("a/1", "{}", {}, none.revision, 10), sl::status::conflict));
    const sl::record found = MUST(records.fetch("a/1", 10));
    CHECK(found.is_present && found.bytes == R"({"Gold":1})" && found.revision == first);
    CHECK(found.user_ids == std::vector<std::string>{"ann", "\u00dc\"\\"});
    MUST(records.commit("a/2", "{}", {"ann"}, MUST(records.fetch("a/2", 10)).revision, 10));
    MUST(records.commit("b", "{}", {}, MUST(records.fetch("b", 10)).revision, 10));
    CHECK(MUST(records.list("a/", "", 10, 10)) == std::vector<std::string>{"a/1", "a/2"});
    CHECK(MUST(records.list("", "a/1", 1, 10)) == std::vector<std::string>{"a/2"});
    CHECK(MUST(records.keys_of_user("ann", 10)) == std::vector<std::string>{"a/1", "a/2"});
    CHECK(fails(records.erase("a/1", none.revision.empty() ? std::string("no such") : none.revision, 10),
                sl::status::conflict) ||
          !MUST(records.fetch("a/1", 10)).is_present);
    MUST(records.erase("a/1", first, 10));
    MUST(records.erase("a/2", "", 10));
    CHECK(MUST(records.keys_of_user("ann", 10)).empty());
    CHECK(fails(records.list("", "", 0, 10), sl::status::out_of_range));
    CHECK(fails(records.fetch("", 10), sl::status::invalid_argument));
}

// Does with a commit what the test says, and knows no record.
struct odd_storage : sl::host_storage {
    using commits = sl::base::function<sl::result<void>(sl::storage_request &)>;
    explicit odd_storage(commits given) : committing(std::move(given)) {}
    sl::result<void> fetch(sl::storage_request &request, std::string_view) override {
        return request.absent();
    }
    sl::result<void> commit(sl::storage_request &request, const sl::storage_commit &) override {
        return committing(request);
    }
    sl::result<void> erase(sl::storage_request &request, std::string_view, sl::expected_record,
                           std::string_view) override {
        return request.erased("1");
    }
    commits committing;
};

sl::result<std::string> committed_by(odd_storage::commits committing, double timeout = 10) {
    const auto records = MUST(sl::storage::open_host(std::make_unique<odd_storage>(std::move(committing))));
    return records.commit("a", "{}", {}, MUST(records.fetch("a", 10)).revision, timeout);
}

} // namespace

TEST(a_record_is_written_back_with_the_users_it_was_read_with) {
    const auto records = new_storage();
    const std::string none = MUST(records.fetch("ann", 10)).revision;
    MUST(records.commit("ann", "{}", {"ann", "ben"}, none, 10));
    const sl::record found = MUST(records.fetch("ann", 10));
    const std::string next = MUST(records.commit("ann", R"({"Gold":1})", found.user_ids, found.revision, 10));
    CHECK(MUST(records.fetch("ann", 10)).user_ids == std::vector<std::string>({"ann", "ben"}));
    const std::vector<std::string_view> others = {"cat"};
    MUST(records.commit("ann", "{}", others, next, 10));
    CHECK(MUST(records.keys_of_user("cat", 10)) == std::vector<std::string>{"ann"});
}

TEST(records_are_written_read_listed_and_erased_by_tools) {
    try_every_tool(new_storage());
    CHECK(fails(sl::storage::open("paper:"), sl::status::storage));
    CHECK(fails(sl::storage().fetch("a", 1), sl::status::invalid_handle));
}

TEST(a_storage_of_the_hosts_own_does_the_same) {
    const witness alive = std::make_shared<int>();
    {
        const auto records = MUST(sl::storage::open_host(std::make_unique<map_storage>(alive)));
        try_every_tool(records);
        server one(records);
        {
            const sl::profile ann = one.loaded("ann");
            CHECK(ann.get_save_data()["/Gold"] = 5);
        }
        one.frame();
        CHECK(stored_has(records, "ann", R"("Gold":5)"));
        CHECK(!is_alone(alive));
    }
    CHECK(is_alone(alive));
    CHECK(fails(sl::storage::open_host(nullptr), sl::status::invalid_argument));
}

TEST(a_request_is_answered_later_and_from_another_thread) {
    CHECK(committed_by([](sl::storage_request &request) -> sl::result<void> {
              std::thread([kept = std::move(request)]() mutable { MUST(kept.committed("7")); }).detach();
              return {};
          }).has_value());
}

TEST(a_request_that_fails_says_why) {
    CHECK(fails(committed_by([](sl::storage_request &request) {
                    return request.failed(sl::request_error_kind::backend, "the disk is full");
                }),
                sl::status::storage, "the disk is full"));
    CHECK(fails(committed_by(
                    [](sl::storage_request &) -> sl::result<void> { return sl::fail("the disk is gone"); }),
                sl::status::storage, "the disk is gone"));
#if SESSION_LOCKER_HAS_EXCEPTIONS
    CHECK(fails(committed_by(
                    [](sl::storage_request &) -> sl::result<void> { throw std::runtime_error("no disk"); }),
                sl::status::storage, "no disk"));
#endif
}

TEST(a_request_that_nobody_answers_has_failed) {
    CHECK(fails(committed_by([](sl::storage_request &) -> sl::result<void> { return {}; }),
                sl::status::storage, "without an answer"));
    std::vector<sl::storage_request> kept;
    CHECK(fails(committed_by(
                    [&](sl::storage_request &request) -> sl::result<void> {
                        kept.push_back(std::move(request));
                        return {};
                    },
                    0.01),
                sl::status::timeout));
}

TEST(an_answer_that_is_none_leaves_the_request_waiting) {
    CHECK(committed_by([](sl::storage_request &request) {
              CHECK(fails(request.absent(), sl::status::invalid_argument));
              CHECK(fails(request.committed("1", -5), sl::status::out_of_range) &&
                    request.handle() != nullptr);
              auto outcome = request.committed("1");
              CHECK(request.handle() == nullptr &&
                    fails(request.committed("2"), sl::status::invalid_handle));
              return outcome;
          }).has_value());
    const auto records = MUST(sl::storage::open_host(
        std::make_unique<odd_storage>([](sl::storage_request &request) { return request.conflict(); })));
    CHECK(fails(records.list("", "", 5, 10), sl::status::storage, "cannot list"));
    CHECK(fails(records.keys_of_user("ann", 10), sl::status::storage, "cannot find"));
}

TEST(the_figures_of_a_storage_tell_what_was_asked) {
    const auto records = new_storage();
    try_every_tool(records);
    const sl::request_stats all = MUST(records.stats());
    CHECK(all.fetches > 3 && all.commits == 4 && all.erasures == 3 && all.lists == 4);
    CHECK(all.conflicts == 2 && all.bytes_read == 10 && all.bytes_written == 16);
    CHECK(all.requests() == all.answers() && all.in_flight == 0 && all.most_in_flight == 1);
    CHECK(fails(sl::storage().stats(), sl::status::invalid_handle));
}

TEST(a_store_has_figures_of_its_own) {
    const auto records = new_storage();
    server one(records), other(records, 2);
    const sl::profile ann = one.loaded("ann");
    const sl::profile ben = other.loaded("ben");
    const sl::request_stats own = MUST(one.store.stats());
    CHECK(own.fetches == 1 && own.commits == 1 && own.latencies[0] == 2);
    CHECK(MUST(records.stats()).requests() == 4);
    CHECK(fails(sl::easy_store().stats(), sl::status::invalid_handle));
}

TEST(a_storage_of_the_hosts_own_has_limits) {
    std::vector<sl::storage_request> kept;
    sl::request_limits limits;
    limits.in_flight = 1;
    const auto records = MUST(sl::storage::open_host(
        std::make_unique<odd_storage>([&](sl::storage_request &request) -> sl::result<void> {
            kept.push_back(std::move(request));
            return {};
        }),
        limits));
    CHECK(fails(records.commit("a", "{}", {}, "-", 0), sl::status::timeout));
    CHECK(fails(records.commit("b", "{}", {}, "-", 0), sl::status::storage, "nothing was written"));
    CHECK(kept.size() == 1 && MUST(records.stats()).refused == 1);
    MUST(kept[0].committed("1"));
    CHECK(fails(records.commit("c", "{}", {}, "-", 0), sl::status::timeout));
    CHECK(kept.size() == 2 && MUST(records.stats()).most_waiting.others == 1);
    kept.clear();
    limits.per_second = 1000001;
    CHECK(fails(sl::storage::open_host(std::make_unique<map_storage>(nullptr), limits),
                sl::status::out_of_range, "requests_per_second"));
}

TEST(the_bounds_of_latencies_double) {
    using std::chrono::microseconds;
    CHECK(sl::request_stats::latency_bound(0) == microseconds(16));
    CHECK(sl::request_stats::latency_bound(22) == microseconds(67108864));
    CHECK(!sl::request_stats::latency_bound(23) && !sl::request_stats::latency_bound(99));
}
