// Sessions of a store: how they are heard, what is waited for, and what is left when objects end.
#include "world.hpp"

using check::fails;

TEST(a_session_is_loaded_written_saved_and_released) {
    const auto records = new_storage();
    server one(records);
    {
        const sl::profile ann = one.loaded("player/ann");
        CHECK(ann.is_active() && ann.is_available() && !ann.is_finished());
        CHECK(MUST(ann.key()) == "player/ann" && ann.load_status() == sl::load_status::loaded);
        const sl::save_data_ref data = ann.get_save_data();
        CHECK(data == ann.get_save_data() && data["/Gold"].get<int>() == 0);
        CHECK(data["/Gold"] = 7);
        MUST(ann.mark_force_save());
        one.frame();
        CHECK(one.heard.are("saved ") && stored_has(records, "player/ann", R"("Gold":7)"));
        MUST(ann.mark_should_save());
        MUST(ann.end_session());
        CHECK(!ann.is_active());
        one.frame();
        CHECK(ann.is_finished() && !ann.is_loaded());
        CHECK(one.heard.are("destroyed saved released =loading idling deleted finished "));
        CHECK(fails(ann.mark_force_save(), sl::status::not_active));
        CHECK(!stored_has(records, "player/ann", "Session"));
    }
    CHECK(MUST(one.store.drain(10)).unsaved.empty() && one.store.is_closed());
}

TEST(the_end_of_a_profile_ends_its_session) {
    const auto records = new_storage();
    server one(records);
    sl::profile_ref name;
    {
        const sl::profile ann = one.loaded("ann");
        name = ann;
        CHECK(ann.get_save_data()["/Gold"] = 3);
    }
    CHECK(!name.is_active() && fails(name.key(), sl::status::invalid_handle));
    CHECK(name && !name.get_save_data());
    one.frame();
    CHECK(stored_has(records, "ann", R"("Gold":3)") && !stored_has(records, "ann", "Session"));
}

TEST(a_profile_that_outlives_its_store_gives_errors_and_no_crash) {
    const auto records = new_storage();
    sl::profile ann;
    sl::save_data_ref data;
    sl::signal_connection listener;
    {
        server one(records);
        ann = one.loaded("ann");
        data = ann.get_save_data();
        listener = MUST(ann.on_saved([] {}));
    }
    CHECK(!ann.is_loaded() && fails(ann.end_session(), sl::status::invalid_handle));
    CHECK(fails(data["/Gold"].get<int>(), sl::status::invalid_handle));
    CHECK(fails(data["/Gold"].set(1), sl::status::invalid_handle));
    CHECK(fails(ann.destroy(), sl::status::invalid_handle) && !ann);
}

TEST(signals_of_one_event_come_deepest_first) {
    const auto records = new_storage();
    server one(records);
    const sl::profile ann = MUST(one.store.start_session("ann"));
    notes heard;
    std::vector<sl::signal_connection> all;
    all.push_back(MUST(ann.on_lifecycle([&](sl::lifecycle, sl::reason why) {
        heard(why == sl::reason::loaded ? "Lifecycle(r_loaded)" : "Lifecycle");
    })));
    all.push_back(MUST(ann.on_replaced(
        [&](sl::reason why) { heard(why == sl::reason::loaded ? "Replaced(r_loaded)" : "Replaced"); })));
    all.push_back(MUST(ann.on_reset(
        [&](sl::reason why) { heard(why == sl::reason::released ? "Reset(r_released)" : "Reset"); })));
    all.push_back(MUST(ann.on_loaded([&] { heard("Loaded"); })));
    all.push_back(MUST(ann.on_saved([&] { heard("Saved"); })));
    all.push_back(MUST(ann.on_released([&] { heard("Released"); })));
    all.push_back(MUST(ann.on_lost([&] { heard("Lost"); })));
    all.push_back(MUST(ann.on_destroyed([&] { heard("Destroyed"); })));
    all.push_back(MUST(ann.on_finished([&] { heard("Finished"); })));
    one.frame();
    CHECK(heard.are("Loaded Replaced(r_loaded) Lifecycle(r_loaded) "));
    MUST(ann.end_session());
    one.frame();
    CHECK(heard.are("Destroyed Lifecycle Saved Lifecycle Released Reset(r_released) Replaced Lifecycle "
                    "Lifecycle Lifecycle Finished "));
}

TEST(a_lost_session_is_heard_with_what_was_not_saved) {
    const auto records = new_storage();
    server one(records);
    server two(records, 2);
    const sl::profile here = one.loaded("ann");
    CHECK(here.get_save_data()["/Gold"] = 9);
    notes heard;
    const auto lost = MUST(here.on_lost([&] { heard("Lost"); }));
    const auto reset = MUST(
        here.on_reset([&](sl::reason why) { heard(why == sl::reason::lost ? "Reset(r_lost)" : "Reset"); }));
    const sl::profile there = MUST(two.store.start_session("ann"));
    two.frame();
    CHECK(there.load_status() == sl::load_status::session_is_locked);
    for (int tenth = 0; tenth < 60 && !there.is_loaded(); ++tenth) {
        two.frame(60);
    }
    CHECK(there.is_loaded() && fails(here.get_lost_save_data(), sl::status::not_found));
    MUST(here.mark_force_save());
    one.frame(1);
    one.frame(1);
    CHECK(heard.are("Lost Reset(r_lost) ") &&
          one.heard.are("lost-document lost =loading =session_is_locked "));
    CHECK(MUST(here.get_lost_save_data()).find(R"("Gold":9)") != std::string::npos);
    CHECK(here.get_save_data()["/Gold"].get<int>() == 0);
}

TEST(a_listener_is_destroyed_when_its_connection_ends) {
    const auto records = new_storage();
    server one(records);
    const sl::profile ann = one.loaded("ann");
    const witness alive = std::make_shared<int>(0);
    {
        const auto listener = MUST(ann.on_saved([alive] { ++*alive; }));
        CHECK(!is_alone(alive));
        MUST(ann.mark_force_save());
        one.frame();
        CHECK(*alive == 1);
    }
    CHECK(is_alone(alive));
    MUST(ann.mark_force_save());
    one.frame();
    CHECK(*alive == 1);
}

TEST(a_listener_that_is_detached_hears_until_the_profile_ends) {
    const auto records = new_storage();
    server one(records);
    const witness alive = std::make_shared<int>(0);
    {
        const sl::profile ann = one.loaded("ann");
        MUST(ann.on_saved([alive] { ++*alive; })).detach();
        MUST(ann.mark_force_save());
        one.frame();
        CHECK(*alive == 1 && !is_alone(alive));
    }
    CHECK(is_alone(alive));
}

TEST(a_listener_that_hears_once_hears_once) {
    const auto records = new_storage();
    server one(records);
    const sl::profile ann = one.loaded("ann");
    const witness alive = std::make_shared<int>(0);
    const auto listener = MUST(ann.connect_once(sl::signal::saved, [alive](const sl::event &event) {
        *alive += event.lifecycle() == sl::lifecycle::saved ? 1 : 100;
    }));
    for (int save = 0; save < 2; ++save) {
        MUST(ann.mark_force_save());
        one.frame();
    }
    CHECK(*alive == 1 && is_alone(alive));
}

TEST(a_listener_may_disconnect_itself_and_destroy_its_profile) {
    const auto records = new_storage();
    server one(records);
    sl::profile ann = one.loaded("ann");
    const witness alive = std::make_shared<int>(0);
    sl::signal_connection listener;
    listener = MUST(ann.on_saved([&, alive] {
        ++*alive;
        listener.disconnect();
        ann = sl::profile();
    }));
    MUST(ann.mark_force_save());
    one.frame();
    CHECK(*alive == 1 && !ann && is_alone(alive));
}

TEST(an_event_names_the_profile_it_is_of) {
    const auto records = new_storage();
    sl::profile ann;
    int is_hers = 0;
    server one(records, [&](sl::easy_store_config &config) {
        config.event = [&](const sl::event &event) {
            is_hers += event.profile() == ann && event.key() == "ann" && !event.locker() ? 1 : 0;
        };
    });
    ann = MUST(one.store.start_session("ann"));
    one.frame();
    CHECK(is_hers == 2);
}

TEST(events_are_polled_in_their_order) {
    const auto records = new_storage();
    server one(records, [](sl::easy_store_config &config) { config.polls_events = true; });
    std::vector<sl::profile> all;
    for (int player = 0; player < 50; ++player) {
        all.push_back(MUST(one.store.start_session("player/" + std::to_string(player))));
    }
    for (int frame = 0; frame < 4; ++frame) {
        one.frame();
    }
    CHECK(one.heard.are(""));
    std::size_t seen = 0;
    int loads = 0;
    const std::size_t count = MUST(one.store.poll_events([&](const sl::event &event) {
        ++seen;
        loads += event.reason() == sl::reason::loaded ? 1 : 0;
    }));
    CHECK(count == 100 && seen == 100 && loads == 50);
    CHECK(one.store.poll_events([](const sl::event &) {}) == std::size_t{0});
}

TEST(when_loaded_calls_once_and_never_if_the_session_ends_first) {
    const auto records = new_storage();
    server one(records);
    const witness alive = std::make_shared<int>(0);
    const sl::profile ann = MUST(one.store.start_session("ann"));
    MUST(ann.when_loaded([alive] { ++*alive; }));
    CHECK(*alive == 0);
    one.frame();
    one.frame();
    CHECK(*alive == 1 && is_alone(alive));
    {
        const sl::profile gone = MUST(one.store.start_session("ben"));
        MUST(gone.when_loaded([alive] { ++*alive; }));
        MUST(gone.end_session());
        CHECK(fails(gone.when_loaded([alive] {}), sl::status::not_active));
    }
    one.frame();
    CHECK(*alive == 1 && is_alone(alive));
}

TEST(a_wait_for_changes_is_answered_once) {
    const auto records = new_storage();
    server one(records);
    const sl::profile ann = one.loaded("ann");
    CHECK(ann.get_save_data()["/Gold"] = 1);
    const witness alive = std::make_shared<int>(0);
    MUST(ann.when_changes_saved(
        [alive](sl::outcome outcome) { *alive += outcome == sl::outcome::saved ? 1 : 100; }));
    MUST(ann.mark_force_save());
    one.frame();
    one.frame();
    CHECK(*alive == 1 && is_alone(alive));
}

TEST(a_wait_can_be_looked_at_answered_by_hand_and_given_up) {
    const auto records = new_storage();
    server one(records);
    const sl::profile ann = one.loaded("ann");
    CHECK(ann.get_save_data()["/Gold"] = 1);
    auto wait = MUST(ann.watch_changes_saved());
    CHECK(wait.is_connected() && !wait.is_saved() && wait.outcome() == sl::outcome::none);
    MUST(ann.mark_force_save());
    one.frame();
    CHECK(!wait.is_connected() && wait.is_saved() && wait.outcome() == sl::outcome::saved);
    CHECK(one.heard.are("saved answer:yes "));

    CHECK(ann.get_save_data()["/Gold"] = 2);
    wait = MUST(ann.watch_changes_saved());
    MUST(wait.trigger(false));
    CHECK(wait.outcome() == sl::outcome::not_saved);
    one.frame();
    CHECK(one.heard.are("answer:no "));

    wait = MUST(ann.watch_changes_saved());
    wait.disconnect();
    CHECK(!wait.is_connected() && wait.outcome() == sl::outcome::none);
    MUST(ann.mark_force_save());
    one.frame();
    CHECK(one.heard.are("saved "));
}

TEST(the_event_of_an_answer_names_its_wait) {
    const auto records = new_storage();
    const SlSavedConnection *answered = nullptr;
    server one(records, [&](sl::easy_store_config &config) {
        config.event = [&](const sl::event &event) {
            answered = event.kind() == sl::event_kind::changes_saved ? event.saved_connection() : answered;
        };
    });
    const sl::profile ann = MUST(one.store.start_session("ann"));
    one.frame();
    const auto wait = MUST(ann.watch_changes_saved());
    int heard = 0;
    const auto listener = MUST(ann.connect(sl::signal::saved, [&](const sl::event &) { ++heard; }));
    MUST(ann.mark_force_save());
    one.frame();
    CHECK(answered != nullptr && answered == wait.handle() && heard == 1);
}

TEST(blocking_waits_end_with_the_answer_or_the_timeout) {
    const auto records = new_storage();
    server one(records);
    const sl::profile ann = MUST(one.store.start_session("ann"));
    MUST(ann.wait_until_loaded(10));
    CHECK(ann.get_save_data()["/Gold"] = 1);
    CHECK(fails(ann.wait_until_changes_saved(1), sl::status::timeout));
    MUST(ann.mark_force_save());
    CHECK(ann.wait_until_changes_saved(10) == true);
    put(records, "ben", owned_by_another);
    const sl::profile ben = MUST(one.store.start_session("ben"));
    CHECK(fails(ben.wait_until_loaded(1), sl::status::timeout));
    put(records, "cleo", "no document");
    const sl::profile cleo = MUST(one.store.start_session("cleo"));
    CHECK(fails(cleo.wait_until_loaded(1), sl::status::not_loaded));
    CHECK(cleo.load_status() == sl::load_status::corrupt_data);
}

TEST(a_newer_document_says_which_server_it_needs) {
    const auto records = new_storage();
    put(records, "ann", R"({"Version":8})");
    server one(records);
    const sl::profile ann = MUST(one.store.start_session("ann"));
    one.frame();
    CHECK(ann.load_status() == sl::load_status::invalid_version && ann.load_minimum_server_version() == 8U);
}

TEST(a_reusable_session_is_shared) {
    const auto records = new_storage();
    server one(records);
    const sl::profile first = one.loaded("ann");
    CHECK(first.get_save_data()["/Gold"] = 4);
    sl::profile second = MUST(one.store.start_session_reusable("ann"));
    CHECK(second.is_loaded() && second != first && second.get_save_data()["/Gold"].get<int>() == 4);
    MUST(first.end_session());
    one.frame();
    CHECK(second.is_loaded());
}

TEST(options_give_user_ids_and_keep_away_from_the_storage) {
    const auto records = new_storage();
    server one(records);
    sl::session_options options;
    options.user_ids = {"user " + std::to_string(1), "user 2"};
    options.log_prefix = "[Ann]";
    const sl::profile ann = MUST(one.store.start_session("ann", options));
    MUST(ann.set_log_prefix("[Anna]"));
    one.frame();
    CHECK(MUST(records.fetch("ann", 10)).user_ids == std::vector<std::string>{"user 1", "user 2"});
    sl::session_options test;
    test.disable_apis = true;
    const sl::profile dummy = MUST(one.store.start_session("dummy", test));
    one.frame();
    CHECK(dummy.is_loaded() && !MUST(records.fetch("dummy", 10)).is_present);
    options.log_prefix.clear();
    options.user_ids = {""};
    CHECK(fails(one.store.start_session("ben", options), sl::status::invalid_argument));
}

TEST(a_drain_reports_what_it_could_not_save_and_send) {
    const auto records = new_storage();
    // A storage that does not answer.
    struct silent : sl::host_storage {
        explicit silent(std::vector<sl::storage_request> &kept) : unanswered(kept) {}
        sl::result<void> fetch(sl::storage_request &request, std::string_view key) override {
            if (key == "sent to") {
                unanswered.push_back(std::move(request));
                return {};
            }
            return request.absent();
        }
        sl::result<void> commit(sl::storage_request &request, const sl::storage_commit &) override {
            if (is_first) {
                is_first = false;
                return request.committed("1");
            }
            unanswered.push_back(std::move(request));
            return {};
        }
        sl::result<void> erase(sl::storage_request &request, std::string_view, sl::expected_record,
                               std::string_view) override {
            return request.conflict();
        }
        std::vector<sl::storage_request> &unanswered;
        bool is_first = true;
    };
    std::vector<sl::storage_request> unanswered;
    server one(MUST(sl::storage::open_host(std::make_unique<silent>(unanswered))));
    const sl::profile ann = one.loaded("ann");
    MUST(one.store.send_remote_changes("sent to", R"([{"K":"a"},{"K":"b"}])"));
    const sl::drain_report report = MUST(one.store.drain(2));
    CHECK(report.unsaved.size() == 1 && report.unsent.size() == 1);
    if (report.unsaved.size() == 1 && report.unsent.size() == 1) {
        CHECK(report.unsaved[0].key == "ann" && !report.unsaved[0].reason.empty());
        CHECK(report.unsaved[0].outcome == sl::outcome::unknown);
        CHECK(report.unsent[0].key == "sent to" && report.unsent[0].change_count == 2);
        CHECK(report.unsent[0].outcome == sl::send_outcome::not_sent && !report.unsent[0].reason.empty());
    }
    CHECK(!one.store.is_closed() && fails(one.store.start_session("ben"), sl::status::closed));
}

TEST(a_closed_store_saves_in_the_updates_that_follow) {
    const auto records = new_storage();
    server one(records);
    const sl::profile ann = one.loaded("ann");
    MUST(one.store.close());
    CHECK(!one.store.is_closed());
    one.frame();
    CHECK(one.store.is_closed() && ann.is_finished());
}

TEST(an_update_inside_a_callback_is_refused_as_busy) {
    const auto records = new_storage();
    server *the_one = nullptr;
    int refused = 0;
    server one(records, [&](sl::easy_store_config &config) {
        config.event = [&](const sl::event &) {
            refused += fails(the_one->store.update(1), sl::status::busy) ? 1 : 0;
            refused += fails(the_one->store.drain(1), sl::status::busy) ? 1 : 0;
        };
    });
    the_one = &one;
    const sl::profile ann = MUST(one.store.start_session("ann"));
    one.frame();
    CHECK(refused == 4);
    CHECK(fails(one.store.update(1e16), sl::status::out_of_range));
}

TEST(a_store_may_be_destroyed_inside_its_own_callback) {
    const auto records = new_storage();
    const witness alive = std::make_shared<int>(0);
    sl::easy_store store;
    sl::easy_store_config config;
    config.template_json = "{}";
    config.event = [&store, alive](const sl::event &) {
        ++*alive;
        store = sl::easy_store();
    };
    store = MUST(sl::easy_store::create(records, std::move(config)));
    const sl::profile ann = MUST(store.start_session("ann"));
    const sl::easy_store borrowed(store.handle());
    MUST(borrowed.update(1));
    CHECK(*alive >= 1 && is_alone(alive) && fails(borrowed.update(2), sl::status::invalid_handle));
}
