// What is of the whole process: logs, defaults, reporters, helpers.
#include "world.hpp"

using check::fails;

TEST(messages_go_to_the_log_callback_until_another_takes_its_place) {
    const witness first = std::make_shared<int>(0);
    std::string last;
    MUST(sl::set_log_callback([first](sl::log_level level, std::string_view) {
        *first += level == sl::log_level::warning ? 1 : 100;
    }));
    MUST(sl::log_error_variations("a shop", "it burns", "in line 1"));
    CHECK(*first == 4 && !is_alone(first));
    MUST(sl::set_log_callback([&](sl::log_level, std::string_view message) { last = message; }));
    CHECK(is_alone(first));
    MUST(sl::log_error_variations("a shop", "it burns", "in line 1"));
    CHECK(last.find("it burns") != std::string::npos && last.find("in line 1") != std::string::npos);
    MUST(sl::log_error_variations("a shop", "it burns", ""));
    const std::string with_empty_traceback = last;
    MUST(sl::log_error_variations("a shop", "it burns", std::string_view()));
    CHECK(check::same(with_empty_traceback, last));
    CHECK(last.find("it burns") != std::string::npos && last.find("in line 1") == std::string::npos);
    MUST(sl::log_error_variations("a shop", "it burns"));
    MUST(sl::set_log_callback(nullptr));
    CHECK(fails(sl::log_error_variations("\xff", "it burns"), sl::status::invalid_utf8));
}

TEST(verbose_stores_log_their_steps) {
    const auto records = new_storage();
    int steps = 0;
    MUST(sl::set_log_callback(
        [&](sl::log_level level, std::string_view) { steps += level == sl::log_level::debug ? 1 : 0; }));
    {
        server one(records, [](sl::easy_store_config &config) { config.verbose_logs = true; });
        const sl::profile ann = one.loaded("ann");
        CHECK(steps > 0);
    }
    MUST(sl::set_log_callback(nullptr));
}

TEST(log_prefixes_name_the_player) {
    CHECK(check::same("[SessionLocker][Ann]:[1001 / 2002]",
                      MUST(sl::log_prefix(true, "1001", "2002", "Ann"))));
    CHECK(check::same("[1001]", MUST(sl::log_prefix(false, "1001"))));
    CHECK(fails(sl::log_prefix(true, ""), sl::status::invalid_argument));
}

TEST(messages_of_the_platform_say_whose_fault_they_are) {
    CHECK(sl::get_request_error_kind("301: queue full") == sl::request_error_kind::backend);
    CHECK(sl::get_request_error_kind("104: too long") == sl::request_error_kind::script);
    CHECK(sl::get_request_error_kind("what") == sl::request_error_kind::misc);
    CHECK(fails(sl::get_request_error_kind("\xff"), sl::status::invalid_utf8));
}

TEST(defaults_of_the_process_count_for_configurations_made_later) {
    const double before = sl::get_default(sl::config_value::session_expiry);
    MUST(sl::set_default(sl::config_value::session_expiry, 2400));
    CHECK(sl::get_default(sl::config_value::session_expiry) > 2399);
    CHECK(sl::easy_store_config().session_expiry > 2399 && sl::locker_spec_config().session_expiry > 2399);
    MUST(sl::set_default(sl::config_value::session_expiry, before));
    CHECK(sl::easy_store_config().session_expiry < 1801);
    CHECK(fails(sl::set_default(sl::config_value::session_expiry, -1), sl::status::out_of_range));
}

TEST(every_setting_reaches_the_library_and_comes_from_it) {
    const auto numbers_of = [](const SlEasyStoreConfig &raw) {
        return std::vector<double>{static_cast<double>(raw.save_data_version),
                                   raw.save_data_version_patch,
                                   static_cast<double>(raw.place_id),
                                   raw.maintain_session_period,
                                   raw.session_expiry,
                                   raw.clock_tolerance,
                                   raw.session_retry_cooldown,
                                   raw.session_retry_ceiling,
                                   raw.request_timeout,
                                   static_cast<double>(raw.document_limit_bytes),
                                   static_cast<double>(raw.bytes_per_update),
                                   static_cast<double>(raw.purchase_history_limit),
                                   static_cast<double>(raw.requests_per_update),
                                   static_cast<double>(raw.requests_in_flight),
                                   static_cast<double>(raw.read_only_data_stores),
                                   static_cast<double>(raw.polls_events),
                                   static_cast<double>(raw.verbose_logs),
                                   static_cast<double>(raw.seed)};
    };
    const auto defaults = sl::detail::defaults_of<SlEasyStoreConfig>(easy_store_config_init);
    sl::easy_store_config config;
    SlEasyStoreConfig raw{};
    sl::detail::write_settings(raw, config);
    CHECK(numbers_of(raw) == numbers_of(defaults));
    CHECK(raw.template_json == nullptr && raw.test_data_json == nullptr && raw.job_id == nullptr);

    config.save_data_version = 2;
    config.save_data_version_patch = 3;
    config.place_id = 4;
    config.maintain_session_period = 5;
    config.session_expiry = 6;
    config.clock_tolerance = 7;
    config.session_retry_cooldown = 8;
    config.session_retry_ceiling = 9;
    config.request_timeout = 10;
    config.document_limit_bytes = 11;
    config.bytes_per_update = 12;
    config.purchase_history_limit = 13;
    config.requests_per_update = 14;
    config.requests_in_flight = 15;
    config.read_only_data_stores = config.polls_events = config.verbose_logs = true;
    config.seed = 17;
    sl::detail::write_settings(raw, config);
    CHECK(numbers_of(raw) == std::vector<double>{2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 1, 1, 1, 17});
}

TEST(errors_that_nobody_hears_go_to_the_reporter_of_the_process) {
    const witness alive = std::make_shared<int>(0);
    std::string message;
    std::string filtered;
    std::vector<std::string> users;
    MUST(sl::set_default_report_error(sl::reporter::lockers, [&, alive](const sl::error_report &report) {
        ++*alive;
        message = report.message();
        filtered = report.filtered_message();
        CHECK(report.activity() == sl::activity::load && report.key() == "player 7");
        CHECK(report.error_kind() == sl::request_error_kind::script && !report.verbose_logs());
        CHECK(report.log_prefix() == "[Ann]");
        for (const std::string_view user : report.user_ids()) {
            users.emplace_back(user);
        }
    }));
    const auto records = new_storage();
    put(records, "player 7", "no document");
    {
        server one(records, [](sl::easy_store_config &config) { config.event = nullptr; });
        sl::session_options options;
        options.user_ids = {"7"};
        options.log_prefix = "[Ann]";
        const sl::profile ann = MUST(one.store.start_session("player 7", options));
        one.frame();
    }
    CHECK(*alive >= 1 && !message.empty() && !filtered.empty() && users == std::vector<std::string>{"7"});
    MUST(sl::set_default_report_error(sl::reporter::lockers, nullptr));
    CHECK(is_alone(alive));
}

TEST(the_version_and_the_clock_are_there) {
    CHECK(std::string_view(sl::version()).find('.') != std::string_view::npos);
    const double before = sl::now();
    CHECK(sl::now() >= before);
}

TEST(a_read_only_store_and_one_of_test_data_write_nothing) {
    const auto records = new_storage();
    put(records, "ann", R"({"Version":1,"Gold":3})");
    {
        server one(records, [](sl::easy_store_config &config) { config.read_only_data_stores = true; });
        const sl::profile ann = one.loaded("ann");
        CHECK(ann.get_save_data()["/Gold"].get<int>() == 3);
        CHECK(ann.get_save_data()["/Gold"] = 4);
        MUST(ann.end_session());
        one.frame();
    }
    {
        server one(records, [](sl::easy_store_config &config) {
            config.test_data_json = R"({"Version":1,"Gold":8})";
        });
        const sl::profile ann = one.loaded("ann");
        CHECK(ann.get_save_data()["/Gold"].get<int>() == 8);
        MUST(ann.end_session());
        one.frame();
    }
    CHECK(stored_has(records, "ann", R"("Gold":3)") && !stored_has(records, "ann", "Session"));
}
