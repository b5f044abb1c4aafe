// Remote changes: sent by stores and senders, applied by the owner's hook.
#include "world.hpp"

using check::fails;

namespace {

constexpr std::string_view gold_and_dance = R"([{"K":"give_gold","Amount":7,"Version":3},{"K":"dance"}])";

void apply_gold(sl::easy_store_config &config) {
    config.process_remote_change = [](std::string_view key, sl::save_data_ref data,
                                      const sl::remote_change &change) -> sl::result<void> {
        CHECK(key == "ann" && change.json().find("\"I\":") != std::string_view::npos);
        if (change.kind() != "give_gold") {
            return sl::not_applicable();
        }
        // A name that is reserved in save data is none in a change.
        CHECK(change.get<int>("/Version") == 3 && fails(change.get<int>("/None"), sl::status::not_found));
        return data["/Gold"] += change.get<std::int64_t>("/Amount").value_or(0);
    };
}

} // namespace

TEST(a_remote_change_is_applied_by_the_owner_and_answered_to_the_sender) {
    const auto records = new_storage();
    server two(records, 2);
    server one(records, apply_gold);
    std::string answer;
    const std::uint64_t id = MUST(two.store.send_remote_changes(
        "ann", gold_and_dance, {}, [&](std::uint64_t send_id, sl::send_outcome outcome) {
            answer = std::to_string(send_id) + (outcome == sl::send_outcome::sent ? " sent" : " not sent");
        }));
    for (int frame = 0; frame < 4; ++frame) {
        two.frame();
    }
    CHECK(check::same(std::to_string(id) + " sent", answer) && two.heard.are("ann:1 "));
    const sl::profile ann = MUST(one.store.start_session("ann"));
    one.frame();
    CHECK(ann.get_save_data()["/Gold"].get<int>() == 7);
    CHECK(ann.get_save_data()["/RemoteChanges"].length() == std::size_t{1});
}

TEST(a_send_with_an_operation_id_is_written_once) {
    const auto records = new_storage();
    server one(records);
    for (int time = 0; time < 2; ++time) {
        sl::send_options options;
        options.operation_id = std::string("mail ") + "1";
        MUST(one.store.send_remote_changes("ann", R"([{"K":"a"}])", options));
        for (int frame = 0; frame < 4; ++frame) {
            one.frame(1);
        }
        CHECK(one.heard.are("ann:1 "));
    }
    const auto stored = MUST(sl::save_data::parse(MUST(records.fetch("ann", 10)).bytes));
    CHECK(stored["/RemoteChanges"].length() == std::size_t{1});
}

TEST(a_hook_of_remote_changes_that_fails_is_reported_and_undone) {
    const auto records = new_storage();
    put(records, "ann", R"({"Version":1,"RemoteChanges":[{"K":"a","I":1,"A":0}]})");
    bool is_broken = true;
    server one(records, [&](sl::easy_store_config &config) {
        config.process_remote_change = [&](std::string_view, sl::save_data_ref data,
                                           const sl::remote_change &) -> sl::result<void> {
            data["/Gold"] = 5;
            if (is_broken) {
                return sl::fail("not understood");
            }
            return {};
        };
    });
    const sl::profile ann = MUST(one.store.start_session("ann"));
    one.frame();
    CHECK(one.heard.are("error(a 1: not understood) loaded =loaded "));
    CHECK(!ann.get_save_data()["/Gold"].contains());
    is_broken = false;
    one.frame(20);
    CHECK(ann.get_save_data()["/Gold"].get<int>() == 5);
    CHECK(ann.get_save_data()["/RemoteChanges"].length().value_or(0) == 0);
}

TEST(sends_that_are_refused_keep_nothing) {
    const auto records = new_storage();
    server one(records);
    const witness alive = std::make_shared<int>();
    const auto told = [alive](std::uint64_t, sl::send_outcome) {};
    CHECK(fails(one.store.send_remote_changes("ann", "{}", {}, told), sl::status::wrong_type));
    CHECK(fails(one.store.send_remote_changes("ann", R"([{"k":"a"}])", {}, told), sl::status::not_found));
    CHECK(fails(one.store.send_remote_changes("", "[]", {}, told), sl::status::invalid_argument));
    CHECK(alive.use_count() == 2);
}

TEST(a_sender_sends_to_the_records_of_its_spec) {
    moment time;
    notes heard;
    const auto records = new_storage();
    const auto spec =
        MUST(sl::locker_spec::create(records, config_of<sl::locker_spec_config>(time, heard)));
    const witness alive = std::make_shared<int>();
    {
        sl::remote_change_sender_config config;
        config.polls_events = true;
        config.log_prefix = "[Mail]";
        config.seed = 9;
        config.report_error = [alive](const sl::error_report &) {};
        const auto sender = MUST(sl::remote_change_sender::create(spec, std::move(config)));
        int missing = 0;
        MUST(sender.send("nobody", gold_and_dance, {},
                         [&missing, alive](std::uint64_t, sl::send_outcome outcome) {
                             missing += outcome == sl::send_outcome::missing ? 1 : 0;
                         }));
        CHECK(sender.is_sending());
        MUST(sender.update(0));
        MUST(sender.update(0));
        CHECK(!sender.is_sending() && missing == 1 && alive.use_count() == 2);
        notes polled;
        CHECK(sender.poll_events([&](const sl::event &event) { polled(word_of(event)); }) ==
              std::size_t{1});
        CHECK(polled.are("nobody:2 "));
        CHECK(fails(sender.update(1e16), sl::status::out_of_range));
    }
    CHECK(is_alone(alive));
}

TEST(a_sender_makes_missing_records_if_asked_and_is_heard_when_it_ends) {
    moment time;
    notes heard;
    const auto records = new_storage();
    const auto spec =
        MUST(sl::locker_spec::create(records, config_of<sl::locker_spec_config>(time, heard)));
    sl::remote_change_sender_config config;
    config.create_if_missing = true;
    auto sender = MUST(sl::remote_change_sender::create(spec, std::move(config)));
    MUST(sender.send("new", gold_and_dance));
    for (int frame = 0; frame < 4; ++frame) {
        MUST(sender.update(frame));
    }
    CHECK(stored_has(records, "new", "give_gold"));
    const witness alive = std::make_shared<int>(0);
    MUST(sender.send("other", gold_and_dance, {}, [alive](std::uint64_t, sl::send_outcome outcome) {
        *alive += outcome == sl::send_outcome::not_sent ? 1 : 100;
    }));
    CHECK(sender.destroy().has_value());
    CHECK(*alive == 1 && is_alone(alive));
    const sl::remote_change_sender dummy = [&] {
        sl::remote_change_sender_config idle;
        idle.disable_apis = true;
        return MUST(sl::remote_change_sender::create(spec, std::move(idle)));
    }();
    bool was_sent = false;
    MUST(dummy.send("nowhere", gold_and_dance, {}, [&](std::uint64_t, sl::send_outcome outcome) {
        was_sent = outcome == sl::send_outcome::sent;
    }));
    MUST(dummy.update(0));
    CHECK(was_sent && !dummy.is_sending() && !MUST(records.fetch("nowhere", 10)).is_present);
}
