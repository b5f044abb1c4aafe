// The host's lambdas: what they return, what they throw, and when they are destroyed.
#include "world.hpp"

#include <array>
#include <functional>

#if SESSION_LOCKER_HAS_EXCEPTIONS
#include <stdexcept>
#endif

using check::fails;

namespace {

// A configuration without a template, whose errors are noted.
sl::easy_store_config config_without_template(moment &time, notes &heard) {
    auto config = config_of<sl::easy_store_config>(time, heard);
    config.template_json.clear();
    return config;
}

// The load status and the error of a session whose document is made by this hook.
template <typename Hook> void created_by(Hook &&hook, sl::load_status expected, std::string_view error) {
    moment time;
    notes heard;
    const auto records = new_storage();
    auto config = config_without_template(time, heard);
    config.event = nullptr;
    std::string reported;
    config.report_error = [&](const sl::error_report &report) {
        CHECK(report.activity() == sl::activity::create && report.key() == "ann");
        reported = report.message();
    };
    config.create_save_data = std::forward<Hook>(hook);
    const auto store = MUST(sl::easy_store::create(records, std::move(config)));
    const sl::profile ann = MUST(store.start_session("ann"));
    MUST(store.update(0));
    CHECK(ann.load_status() == expected);
    if (reported.find(error) == std::string::npos || reported.empty() != error.empty()) {
        CHECK(check::same(error, reported));
    }
    CHECK(MUST(records.fetch("ann", 10)).is_present == error.empty());
}

} // namespace

TEST(a_create_hook_may_return_nothing_a_result_or_an_assignment) {
    const auto created = sl::load_status::loaded;
    created_by([](std::string_view key, sl::save_data_ref data) { data["/Key"] = key; }, created, "");
    created_by([](std::string_view, sl::save_data_ref data) { return data["/Gold"].set(1); }, created, "");
    created_by([](std::string_view, sl::save_data_ref data) { return data["/Gold"] = 1; }, created, "");
    created_by(
        [](std::string_view, sl::save_data_ref data) {
            CHECK(data["/Gold"] = 1);
            return data["/Gold"].add(1);
        },
        created, "");
}

TEST(a_hook_that_fails_is_reported_with_its_message) {
    const auto failed = sl::load_status::create_failed;
    created_by([](std::string_view,
                  sl::save_data_ref) { return sl::result<void>(sl::fail("no such \u00e4 world")); },
               failed, "no such \u00e4 world");
    created_by([](std::string_view, sl::save_data_ref data) { return data["/Missing/Deep"].set(1); },
               failed, "/Missing");
    created_by([](std::string_view, sl::save_data_ref data) { return data["/Version"] = 1; }, failed,
               "Version");
}

TEST(an_assignment_that_fails_unseen_fails_its_hook) {
    const auto failed = sl::load_status::create_failed;
    created_by(
        [](std::string_view, sl::save_data_ref data) {
            data["/Version"] = 1;
            data["/Missing/Deep"] = 2;
            data["/Gold"] = 3;
        },
        failed, "Version");
    created_by(
        [](std::string_view, sl::save_data_ref data) {
            static_cast<void>((data["/Version"] = 1).has_value());
            data["/Gold"] = 3;
        },
        sl::load_status::loaded, "");
}

TEST(an_assignment_that_fails_in_a_callback_inside_a_hook_is_not_the_hooks_failure) {
    const auto other = MUST(sl::save_data::create("{}"));
    MUST(sl::set_log_callback([&](sl::log_level, std::string_view) { other["/Version"] = 1; }));
    created_by(
        [](std::string_view, sl::save_data_ref data) {
            MUST(sl::log_error_variations("a hook", "says something", ""));
            data["/Gold"] = 1;
        },
        sl::load_status::loaded, "");
    MUST(sl::set_log_callback(nullptr));
}

TEST(an_error_without_a_code_is_a_failure_too) {
    created_by([](std::string_view,
                  sl::save_data_ref) { return sl::result<void>(sl::fail(sl::status::ok, "odd")); },
               sl::load_status::create_failed, "odd");
}

#if SESSION_LOCKER_HAS_EXCEPTIONS
TEST(what_a_hook_throws_is_its_failure_and_goes_no_further) {
    const auto failed = sl::load_status::create_failed;
    created_by([](std::string_view, sl::save_data_ref) { throw std::runtime_error("the world is gone"); },
               failed, "the world is gone");
    created_by([](std::string_view, sl::save_data_ref) { throw 5; }, failed, "no std::exception");
    created_by([](std::string_view,
                  sl::save_data_ref data) { static_cast<void>(data["/Missing"].get<int>().value()); },
               failed, "nothing at \"/Missing\"");
}

TEST(what_a_callback_throws_is_logged_and_goes_no_further) {
    notes heard;
    MUST(sl::set_log_callback([&](sl::log_level, std::string_view message) {
        heard(message.find("ears") != std::string_view::npos ? "why" : "that");
    }));
    const auto records = new_storage();
    {
        server one(records);
        const sl::profile ann = one.loaded("ann");
        const auto listener = MUST(ann.on_saved([] { throw std::runtime_error("my ears"); }));
        MUST(ann.mark_force_save());
        one.frame();
        CHECK(one.heard.are("saved ") && heard.are("that that why why "));
        CHECK(ann.is_loaded());
    }
    MUST(sl::set_log_callback(nullptr));
}
#endif

TEST(what_is_empty_is_no_hook) {
    notes heard;
    MUST(sl::set_log_callback([&](sl::log_level, std::string_view message) { heard(std::string(message)); }));
    const auto records = new_storage();
    {
        server one(records, [](sl::easy_store_config &config) {
            config.event = std::function<void(const sl::event &)>();
            void (*const none)(const sl::error_report &) = nullptr;
            config.report_error = none;
            CHECK(!config.event && !config.report_error);
        });
        const sl::profile ann = MUST(one.store.start_session("ann"));
        one.frame();
        one.frame();
        CHECK(ann.is_loaded());
    }
    MUST(sl::set_log_callback(nullptr));
    CHECK(heard.are(""));
}

TEST(an_empty_function_that_is_given_to_be_called_is_refused) {
    const auto records = new_storage();
    server one(records);
    const sl::profile ann = one.loaded("ann");
    const auto refused = sl::status::invalid_argument;
    const std::function<void()> nothing;
    void (*const nobody)(sl::outcome) = nullptr;
    CHECK(fails(ann.connect(sl::signal::saved, std::function<void(const sl::event &)>()), refused));
    CHECK(fails(ann.on_saved(nothing), refused));
    CHECK(fails(ann.on_replaced(std::function<void(sl::reason)>()), refused));
    CHECK(fails(ann.on_product_credit_changed(std::function<void(std::int64_t, std::int64_t)>()), refused));
    CHECK(fails(ann.when_loaded(nothing), refused));
    CHECK(fails(ann.when_changes_saved(nobody), refused));
    const std::function<void(std::uint64_t, sl::send_outcome)> no_answer;
    CHECK(fails(one.store.send_remote_changes("ben", "[]", {}, no_answer), refused));

    using process = std::function<sl::result<void>(sl::product_op, const sl::product_call &)>;
    const sl::receipt_info receipt{};
    CHECK(fails(ann.call_when_product_is_processed_and_saved(receipt, process(), [](bool) {}), refused));
    CHECK(fails(ann.wait_until_product_is_processed_and_saved(receipt, process(), 0), refused));
    CHECK(fails(sl::pending_product_purchase::from_ids(1, "ann", process()), refused));
    sl::migrator_builder builder = MUST(sl::migrator_builder::create());
    const std::function<void(sl::save_data_ref)> no_migrator;
    CHECK(fails(builder.add_migrator_from(1, no_migrator), refused));

    // Where there may be none, it is none.
    MUST(ann.set_before_save([](sl::profile_ref) { return sl::fail("never saved so"); }));
    MUST(ann.set_before_save(std::function<void(sl::profile_ref)>()));
    MUST(ann.mark_force_save());
    one.frame();
    CHECK(one.heard.are("saved "));
}

TEST(what_a_callback_returns_is_nobodys_concern) {
    const auto records = new_storage();
    std::vector<int> all;
    server one(records, [&](sl::easy_store_config &config) {
        config.event = [&](const sl::event &event) -> int & {
            return all.emplace_back(static_cast<int>(event.kind()));
        };
    });
    const sl::profile ann = MUST(one.store.start_session("ann"));
    one.frame();
    one.frame();
    CHECK(!all.empty());
}

TEST(hooks_are_destroyed_with_their_store) {
    const auto records = new_storage();
    const std::array<witness, 5> alive = {std::make_shared<int>(), std::make_shared<int>(),
                                          std::make_shared<int>(), std::make_shared<int>(),
                                          std::make_shared<int>()};
    {
        sl::easy_store_config config;
        config.create_save_data = [kept = alive[0]](std::string_view, sl::save_data_ref) {};
        config.event = [kept = alive[1]](const sl::event &) {};
        config.process_remote_change = [kept = alive[2]](std::string_view, sl::save_data_ref,
                                                         const sl::remote_change &) {};
        config.merge_offline_save_data = [kept = alive[3]](std::string_view, sl::save_data_ref,
                                                           sl::save_data_ref) {};
        config.report_error = [kept = alive[4]](const sl::error_report &) {};
        const auto store = MUST(sl::easy_store::create(records, std::move(config)));
        for (const witness &one : alive) {
            CHECK(one.use_count() == 2);
        }
    }
    for (const witness &one : alive) {
        CHECK(is_alone(one));
    }
}

TEST(hooks_and_clock_of_a_store_that_is_refused_are_destroyed) {
    const auto records = new_storage();
    const witness alive = std::make_shared<int>();
    sl::easy_store_config config;
    config.template_json = "[1]";
    config.clock.emplace();
    config.clock->wall = [alive] { return 0.0; };
    config.clock->monotonic = [] { return 0.0; };
    config.clock->sleep = [](double) {};
    config.event = [alive](const sl::event &) {};
    CHECK(fails(sl::easy_store::create(records, std::move(config)), sl::status::wrong_type));
    CHECK(is_alone(alive));
    sl::easy_store_config of_nothing;
    of_nothing.event = [alive](const sl::event &) {};
    CHECK(fails(sl::easy_store::create(sl::storage(), std::move(of_nothing)), sl::status::invalid_handle));
    CHECK(is_alone(alive));
}

TEST(a_clock_of_the_hosts_is_asked_and_destroyed) {
    const auto records = new_storage();
    const witness alive = std::make_shared<int>();
    double seconds = 5;
    {
        sl::easy_store_config config;
        config.template_json = "{}";
        config.clock.emplace();
        config.clock->wall = [] { return 1900000000.0; };
        config.clock->monotonic = [&] { return seconds; };
        config.clock->sleep = [&seconds, alive](double time) {
            seconds += time;
            ++*alive;
        };
        const auto store = MUST(sl::easy_store::create(records, std::move(config)));
        put(records, "ann", R"({"Session":{"PlaceId":0,"JobId":"x","LockId":1,"UpdatedAt":1900000000}})");
        const sl::profile ann = MUST(store.start_session("ann"));
        CHECK(fails(ann.wait_until_loaded(30), sl::status::timeout));
        CHECK(*alive > 0 && seconds >= 35 && !is_alone(alive));
    }
    CHECK(is_alone(alive));
}

TEST(a_clock_that_lacks_a_function_is_refused) {
    const auto records = new_storage();
    const witness alive = std::make_shared<int>();
    for (int missing = 0; missing < 3; ++missing) {
        sl::easy_store_config config;
        config.template_json = "{}";
        config.clock.emplace();
        if (missing != 0) {
            config.clock->wall = [alive] { return 0.0; };
        }
        if (missing != 1) {
            config.clock->monotonic = [alive] { return 0.0; };
        }
        if (missing != 2) {
            config.clock->sleep = [alive](double) {};
        }
        CHECK(fails(sl::easy_store::create(records, std::move(config)), sl::status::invalid_argument));
        CHECK(is_alone(alive));
    }
}

TEST(hooks_before_a_save_write_what_is_saved_and_can_put_it_off) {
    const auto records = new_storage();
    server one(records);
    const sl::profile ann = one.loaded("ann");
    const witness alive = std::make_shared<int>(0);
    MUST(ann.set_before_save([alive](sl::profile_ref profile) {
        ++*alive;
        profile.get_save_data()["/Hooks"] = *alive;
    }));
    MUST(ann.set_before_save_transform(
        [](sl::profile_ref profile) { return profile.get_save_data()["/Hooks"] += 100; }));
    MUST(ann.mark_force_save());
    one.frame();
    CHECK(one.heard.are("saved ") && stored_has(records, "ann", R"("Hooks":101)"));

    MUST(ann.set_before_save_transform(
        [](sl::profile_ref) -> sl::result<void> { return sl::fail("not today"); }));
    MUST(ann.mark_force_save());
    one.frame();
    CHECK(stored_has(records, "ann", R"("Hooks":101)") && one.heard.are("error(not today) "));
    // The first hook's change stays; it has not failed.
    CHECK(ann.get_save_data()["/Hooks"].get<int>() == 2);
    MUST(ann.set_before_save(nullptr));
    MUST(ann.set_before_save_transform(nullptr));
    CHECK(is_alone(alive));
    one.frame(60);
    CHECK(one.heard.are("saved "));
}

TEST(what_was_written_before_the_load_is_merged_by_a_hook) {
    const auto records = new_storage();
    put(records, "ann", R"({"Version":1,"Gold":40})");
    int fails_left = 0;
    server one(records, [&](sl::easy_store_config &config) {
        config.merge_offline_save_data = [&](std::string_view key, sl::save_data_ref offline,
                                             sl::save_data_ref data) -> sl::result<void> {
            CHECK(key == "ann");
            data["/Gold"] += offline["/Gold"].get<std::int64_t>().value_or(0);
            if (fails_left > 0) {
                return sl::fail("cannot merge");
            }
            return {};
        };
    });
    {
        const sl::profile ann = MUST(one.store.start_session("ann"));
        CHECK(ann.get_save_data()["/Gold"] = 2);
        one.frame();
        CHECK(ann.get_save_data()["/Gold"].get<int>() == 42);
    }
    one.frame();
    one.heard.forget();
    fails_left = 1;
    const sl::profile ann = MUST(one.store.start_session("ann"));
    CHECK(ann.get_save_data()["/Gold"] = 2);
    one.frame();
    CHECK(ann.is_loaded() && ann.get_save_data()["/Gold"].get<int>() == 42);
}

TEST(migrators_bring_documents_up_to_date) {
    const auto records = new_storage();
    const witness alive = std::make_shared<int>();
    {
        auto builder = MUST(sl::migrator_builder::create());
        MUST(builder.add_migrator_from(1, [alive](sl::save_data_ref data) { return data["/Gold"] += 10; }));
        MUST(builder.add_migrator_from(2, [](sl::save_data_ref data, double &version_patch) {
            data["/Gold"] += 100;
            version_patch = 0.5;
        }));
        MUST(builder.add_patcher_for(1, [](sl::save_data_ref data, double &version_patch) {
            CHECK(version_patch < 0.1);
            data["/Gold"] += 1000;
        }));
        CHECK(fails(builder.add_migrator_from(1, [alive](sl::save_data_ref) {}), sl::status::migration));
        CHECK(alive.use_count() == 2);
        CHECK(fails(builder.check_version(2), sl::status::migration));
        MUST(builder.check_version(3));
        const auto migrators = MUST(builder.build());
        const auto data = MUST(sl::save_data::parse(R"({"Version":1,"Gold":5})"));
        MUST(migrators.migrate(data, 3));
        CHECK(data["/Gold"].get<int>() == 1115 && data["/Version"].get<int>() == 3);
        CHECK(data["/VersionPatch"].get<double>() == 0.5);

        put(records, "ann", R"({"Version":1,"Gold":7})");
        server one(records, [&](sl::easy_store_config &config) {
            config.save_data_version = 3;
            config.migrators = &migrators;
        });
        const sl::profile ann = one.loaded("ann");
        CHECK(ann.get_save_data()["/Gold"].get<int>() == 1117);
        CHECK(fails(migrators.migrate(ann.get_save_data(), 3), sl::status::unsupported));
    }
    CHECK(is_alone(alive));
}

TEST(a_migrator_that_fails_says_why_and_keeps_nothing) {
    auto builder = MUST(sl::migrator_builder::create());
    MUST(builder.add_migrator_from(1, [](sl::save_data_ref data) -> sl::result<void> {
        data["/Gold"] = 0;
        return sl::fail("there are no coins");
    }));
    const auto migrators = MUST(builder.build());
    const auto data = MUST(sl::save_data::parse(R"({"Version":1,"Gold":5})"));
    CHECK(fails(migrators.migrate(data, 2), sl::status::migration, "there are no coins"));
    CHECK(data["/Gold"].get<int>() == 5);
    MUST(builder.add_migrator_from(2, [](sl::save_data_ref) {}));
    MUST(builder.add_migrator_from(4, [](sl::save_data_ref) {}));
    CHECK(fails(builder.build(), sl::status::migration));
}
