// The full API: lockers that the host updates itself, and what becomes of those that it lets go.
#include "world.hpp"

using check::fails;

namespace {

struct full {
    explicit full(const sl::storage &records) : full(records, [](sl::locker_spec_config &) {}) {}
    template <typename Change> full(const sl::storage &records, Change &&change) {
        auto config = config_of<sl::locker_spec_config>(time, heard);
        change(config);
        spec = MUST(sl::locker_spec::create(records, std::move(config)));
    }
    full(const full &) = delete;
    full &operator=(const full &) = delete;

    bool step(const sl::locker &locker, double seconds = 0) {
        time.seconds += seconds;
        return MUST(locker.update(time.seconds));
    }
    sl::locker acquired(std::string_view key) {
        sl::locker locker = MUST(sl::locker::create(spec, key));
        MUST(locker.mark_should_acquire());
        CHECK(!step(locker) && locker.is_available());
        CHECK(heard.are("released loaded =loaded "));
        return locker;
    }

    moment time;
    notes heard;
    sl::locker_spec spec;
};

} // namespace

TEST(a_locker_acquires_saves_and_releases) {
    const auto records = new_storage();
    full host(records);
    const sl::locker ann = MUST(sl::locker::create_player(host.spec, "42"));
    CHECK(MUST(ann.key()) == "42" && !ann.is_deleted());
    CHECK(host.step(ann) && ann.is_idling() && host.heard.are("released idling "));
    MUST(ann.mark_should_acquire());
    CHECK(!ann.is_idling() && !host.step(ann) && host.heard.are("loaded =loaded "));
    CHECK(ann.is_available() && ann.load_status() == sl::load_status::loaded);
    CHECK(MUST(records.keys_of_user("42", 10)) == std::vector<std::string>{"42"});
    CHECK(ann.get_save_data()["/Gold"] = 5);
    MUST(ann.mark_should_save());
    MUST(ann.mark_force_save());
    host.step(ann);
    CHECK(host.heard.are("saved ") && stored_has(records, "42", R"("Gold":5)"));
    MUST(ann.set_is_syncing(false));
    CHECK(!ann.is_syncing() && !ann.is_available());
    MUST(ann.set_is_syncing(true));
    CHECK(ann.is_syncing() && ann.is_available());
    MUST(ann.set_log_prefix("[Ann]"));
    CHECK(fails(ann.mark_deleted(), sl::status::busy) && ann.load_minimum_server_version() == 0U);
    CHECK(fails(ann.get_lost_save_data(), sl::status::not_found));
    MUST(ann.mark_should_release());
    CHECK(host.step(ann) && host.heard.are("saved released =loading idling "));
    MUST(ann.mark_deleted());
    CHECK(ann.is_deleted() && host.heard.are("deleted ") && fails(ann.update(1), sl::status::not_active));
}

TEST(a_locker_that_is_idle_is_freed_at_its_end) {
    const auto records = new_storage();
    full host(records);
    const std::uint64_t before = sl::live_handles();
    {
        const sl::locker ann = MUST(sl::locker::create(host.spec, "ann"));
        CHECK(host.step(ann) && sl::live_handles() > before);
    }
    CHECK(sl::live_handles() == before && host.spec.leaving_count() == 0);
}

TEST(a_locker_that_was_never_updated_is_freed_at_its_end) {
    const auto records = new_storage();
    full host(records);
    const std::uint64_t before = sl::live_handles();
    CHECK(MUST(sl::locker::create(host.spec, "ann")).destroy().has_value());
    static_cast<void>(MUST(sl::locker::create(host.spec, "ann")));
    CHECK(sl::live_handles() == before && host.spec.leaving_count() == 0);
}

TEST(a_locker_that_is_let_go_is_saved_and_released_by_its_spec) {
    const auto records = new_storage();
    full host(records);
    const std::uint64_t before = sl::live_handles();
    {
        sl::locker ann = host.acquired("ann");
        CHECK(ann.get_save_data()["/Gold"] = 11);
        MUST(ann.mark_should_acquire(7));
        MUST(ann.mark_should_acquire(8));
        MUST(ann.mark_should_release(8));
        CHECK(fails(ann.destroy(), sl::status::busy) && ann);
        // What is moved away leaves nothing behind that could end.
        const sl::locker moved = std::move(ann);
        CHECK(!ann && moved.is_available());
    }
    CHECK(host.spec.leaving_count() == 1 && sl::live_handles() > before);
    MUST(host.spec.update_leaving(host.time.seconds));
    CHECK(host.spec.leaving_count() == 0 && sl::live_handles() == before);
    CHECK(stored_has(records, "ann", R"("Gold":11)") && !stored_has(records, "ann", "Session"));
    CHECK(host.heard.are("saved released =loading idling deleted "));
}

TEST(a_locker_that_is_replaced_by_another_is_let_go) {
    const auto records = new_storage();
    full host(records);
    sl::locker one = host.acquired("ann");
    one = MUST(sl::locker::create(host.spec, "ben"));
    CHECK(host.spec.leaving_count() == 1 && MUST(one.key()) == "ben");
    MUST(host.spec.update_leaving(host.time.seconds));
    CHECK(host.spec.leaving_count() == 0 && !stored_has(records, "ann", "Session"));
    CHECK(host.step(one));
}

TEST(lockers_that_leave_wait_until_the_storage_answers) {
    const auto records = new_storage();
    put(records, "ann", owned_by_another);
    full host(records);
    {
        const sl::locker ann = MUST(sl::locker::create(host.spec, "ann"));
        MUST(ann.mark_should_acquire());
        CHECK(!host.step(ann) && ann.load_status() == sl::load_status::session_is_locked);
    }
    CHECK(host.spec.leaving_count() == 1);
    CHECK(fails(host.spec.update_leaving(1e16), sl::status::out_of_range) &&
          host.spec.leaving_count() == 1);
    MUST(host.spec.update_leaving(host.time.seconds));
    CHECK(host.spec.leaving_count() == 0);
}

TEST(a_locker_may_be_let_go_inside_its_own_callback) {
    const auto records = new_storage();
    sl::locker ann;
    full host(records, [&](sl::locker_spec_config &config) {
        config.event = [&](const sl::event &event) {
            if (event.reason() == sl::reason::loaded) {
                CHECK(event.locker() == ann && !event.profile());
                ann = sl::locker();
            }
        };
    });
    ann = MUST(sl::locker::create(host.spec, "ann"));
    MUST(ann.mark_should_acquire());
    const sl::locker_ref name = ann;
    CHECK(ann.update(0).has_value());
    CHECK(!ann && host.spec.leaving_count() == 1 && !name.is_deleted());
    MUST(host.spec.update_leaving(0));
    CHECK(host.spec.leaving_count() == 0 && fails(name.key(), sl::status::invalid_handle));
}

TEST(use_keys_share_a_locker) {
    const auto records = new_storage();
    full host(records);
    const sl::locker ann = host.acquired("ann");
    MUST(ann.mark_should_acquire(5));
    MUST(ann.mark_should_release());
    CHECK(!host.step(ann) && ann.is_available());
    MUST(ann.mark_should_release(5));
    CHECK(host.step(ann) && ann.is_idling());
}

TEST(hooks_of_a_spec_run_before_its_saves) {
    const auto records = new_storage();
    const witness alive = std::make_shared<int>(0);
    {
        full host(records, [&](sl::locker_spec_config &config) {
            config.before_save = [alive](sl::locker_ref locker) {
                ++*alive;
                locker.get_save_data()["/Hooks"] = *alive;
                CHECK(fails(sl::result<void>(locker.get_save_data()["/Version"] = 1),
                            sl::status::reserved_field));
            };
            config.before_save_transform = [](sl::locker_ref locker) -> sl::result<void> {
                if (locker.get_save_data()["/Hooks"].get<int>() == 2) {
                    return sl::fail("not today");
                }
                return locker.get_save_data()["/Hooks"] += 100;
            };
        });
        const sl::locker ann = host.acquired("ann");
        MUST(ann.mark_force_save());
        host.step(ann);
        CHECK(host.heard.are("saved ") && stored_has(records, "ann", R"("Hooks":101)"));
        MUST(ann.mark_force_save());
        host.step(ann);
        CHECK(stored_has(records, "ann", R"("Hooks":101)") && *alive == 2);
        MUST(ann.mark_should_release());
        host.step(ann);
    }
    CHECK(is_alone(alive));
}

TEST(events_of_a_locker_are_polled) {
    const auto records = new_storage();
    full host(records, [](sl::locker_spec_config &config) { config.polls_events = true; });
    const sl::locker ann = MUST(sl::locker::create(host.spec, "ann"));
    host.step(ann);
    notes polled;
    CHECK(ann.poll_events([&](const sl::event &event) { polled(word_of(event)); }) == std::size_t{2});
    CHECK(polled.are("released idling ") && host.heard.are(""));
}

TEST(changes_of_a_locker_are_waited_for) {
    const auto records = new_storage();
    full host(records);
    sl::locker ann = host.acquired("ann");
    CHECK(ann.get_save_data()["/Gold"] = 1);
    int answers = 0;
    MUST(ann.when_changes_saved(
        [&](sl::outcome outcome) { answers += outcome == sl::outcome::saved ? 1 : 9; }));
    auto wait = MUST(ann.watch_changes_saved());
    MUST(ann.mark_force_save());
    CHECK(ann.wait_until_changes_saved(10) == true);
    CHECK(answers == 1 && wait.is_saved());
    ann = sl::locker();
    MUST(host.spec.update_leaving(host.time.seconds));
}

TEST(a_spec_says_what_it_was_made_with) {
    const auto records = new_storage();
    full host(records, [](sl::locker_spec_config &config) { config.session_expiry = 2000; });
    CHECK(host.spec.query_config(sl::config_value::session_expiry) == 2000.0);
    CHECK(host.spec.query_config(sl::config_value::verbose_logs) == 0.0);
    CHECK(
        fails(sl::locker_spec().query_config(sl::config_value::verbose_logs), sl::status::invalid_handle));
}
