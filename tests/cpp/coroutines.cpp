// Coroutines: what they wait for, on whose call they go on, and what becomes of those that are left.
#include "world.hpp"

#if defined(__cpp_impl_coroutine)
#include <coroutine>

#if SESSION_LOCKER_HAS_EXCEPTIONS
#include <stdexcept>
#endif

using check::fails;

namespace {

// A coroutine that is destroyed with its object, wherever it has come to.
class held {
public:
    struct promise_type {
        held get_return_object() { return held(std::coroutine_handle<promise_type>::from_promise(*this)); }
        std::suspend_never initial_suspend() const noexcept { return {}; }
        std::suspend_always final_suspend() const noexcept { return {}; }
        void return_void() const noexcept {}
        void unhandled_exception() const noexcept {}
    };

    held(held &&other) noexcept : handle_(std::exchange(other.handle_, nullptr)) {}
    held(const held &) = delete;
    held &operator=(const held &) = delete;
    held &operator=(held &&) = delete;
    ~held() {
        if (handle_) {
            handle_.destroy();
        }
    }

private:
    explicit held(std::coroutine_handle<promise_type> handle) : handle_(handle) {}
    std::coroutine_handle<promise_type> handle_;
};

sl::task greet(sl::profile_ref profile, notes &heard) {
    heard("waits");
    const sl::result<void> outcome = co_await profile.loaded();
    heard(outcome ? "loaded" : sl::name(outcome.error().code));
    if (!outcome) {
        co_return;
    }
    CHECK(profile.get_save_data()["/Gold"] = 5);
    CHECK(profile.mark_force_save().has_value());
    const sl::result<sl::outcome> saved = co_await profile.changes_saved();
    heard(saved == sl::outcome::saved ? "saved" : "not saved");
}

sl::task buy(sl::profile_ref profile, witness alive, notes &heard) {
    sl::receipt_info receipt;
    receipt.purchase_id = "p";
    receipt.product_id = 1;
    const auto process = [alive](sl::product_op op, const sl::product_call &call) {
        if (op == sl::product_op::apply) {
            call.save_data()["/Gold"] += 100;
        }
    };
    const sl::result<bool> granted = co_await profile.product_processed_and_saved(receipt, process);
    heard(!granted ? sl::name(granted.error().code) : *granted ? "granted" : "not granted");
}

} // namespace

TEST(a_coroutine_goes_on_in_the_update_that_brings_its_answer) {
    const auto records = new_storage();
    server one(records);
    const sl::profile ann = MUST(one.store.start_session("ann"));
    notes heard;
    greet(ann, heard);
    CHECK(heard.are("waits "));
    one.frame();
    one.frame();
    CHECK(heard.are("loaded saved ") && stored_has(records, "ann", R"("Gold":5)"));
}

TEST(a_coroutine_goes_on_when_its_session_ends_without_an_answer) {
    const auto records = new_storage();
    server one(records);
    notes heard;
    {
        const sl::profile ann = MUST(one.store.start_session("ann"));
        greet(ann, heard);
    }
    CHECK(heard.are("waits SL_ERROR_NOT_ACTIVE "));
    const sl::profile ben = MUST(one.store.start_session("ben"));
    greet(ben, heard);
    one.store = sl::easy_store();
    CHECK(heard.are("waits SL_ERROR_NOT_ACTIVE "));
}

TEST(a_coroutine_whose_call_is_refused_goes_on_at_once) {
    notes heard;
    greet(sl::profile_ref(), heard);
    CHECK(heard.are("waits SL_ERROR_INVALID_HANDLE "));
    buy(sl::profile_ref(), nullptr, heard);
    CHECK(heard.are("SL_ERROR_INVALID_HANDLE "));
}

TEST(a_coroutine_that_is_destroyed_while_it_waits_is_not_resumed) {
    const auto records = new_storage();
    server one(records);
    const sl::profile ann = MUST(one.store.start_session("ann"));
    const witness alive = std::make_shared<int>(0);
    {
        const held waits = [](sl::profile_ref profile, witness kept) -> held {
            static_cast<void>(co_await profile.loaded());
            ++*kept;
        }(ann, alive);
        CHECK(!is_alone(alive));
    }
    CHECK(is_alone(alive));
    one.frame();
    one.frame();
    CHECK(ann.is_loaded() && *alive == 0);
}

TEST(a_purchase_is_awaited) {
    const auto records = new_storage();
    server one(records);
    const sl::profile ann = one.loaded("ann");
    const witness alive = std::make_shared<int>(0);
    notes heard;
    buy(ann, alive, heard);
    one.frame();
    one.frame();
    CHECK(heard.are("granted ") && ann.get_save_data()["/Gold"].get<int>() == 100 && is_alone(alive));
}

TEST(sends_and_what_lockers_do_are_awaited) {
    moment time;
    notes heard;
    const auto records = new_storage();
    server one(records);
    [](const sl::easy_store &store, notes &told) -> sl::task {
        const auto outcome = co_await store.remote_changes_sent("ann", R"([{"K":"a"}])");
        told(outcome == sl::send_outcome::sent ? "sent" : "not sent");
        sl::send_options options;
        options.operation_id = "an operation whose name is too long to be kept in place";
        const auto named = co_await store.remote_changes_sent("ann", R"([{"K":"a"}])", options);
        told(named == sl::send_outcome::sent ? "sent" : "not sent");
        const auto refused = co_await store.remote_changes_sent("ann", "{}");
        told(fails(refused, sl::status::wrong_type) ? "refused" : "not refused");
    }(one.store, heard);
    for (int frame = 0; frame < 8; ++frame) {
        one.frame(1);
    }
    CHECK(heard.are("sent sent refused "));

    const auto spec =
        MUST(sl::locker_spec::create(records, config_of<sl::locker_spec_config>(time, heard)));
    const auto purchaser = MUST(sl::product_purchaser::create());
    const auto sender = MUST(sl::remote_change_sender::create(spec));
    const sl::locker ben = MUST(sl::locker::create(spec, "ben"));
    MUST(ben.mark_should_acquire());
    MUST(ben.update(0));
    heard.forget();
    [](const sl::locker &locker, const sl::product_purchaser &shop, const sl::remote_change_sender &mail,
       notes &told) -> sl::task {
        locker.get_save_data()["/Gold"] = 1;
        CHECK(locker.mark_force_save().has_value());
        told((co_await locker.changes_saved()) == sl::outcome::saved ? "wait" : "?");
        sl::receipt_info receipt;
        receipt.purchase_id = "p";
        const auto granted = co_await shop.product_processed_and_saved(
            locker, receipt, [](sl::product_op, const sl::product_call &) {});
        told(granted == true ? "granted" : "?");
        told((co_await mail.sent("nobody", R"([{"K":"a"}])")) == sl::send_outcome::missing ? "missing"
                                                                                           : "?");
    }(ben, purchaser, sender, heard);
    for (int frame = 0; frame < 6; ++frame) {
        MUST(purchaser.update(frame));
        MUST(ben.update(frame));
        MUST(sender.update(frame));
    }
    CHECK(heard.are("saved wait answer:yes saved granted p:granted missing "));
    MUST(ben.mark_should_release());
    MUST(ben.update(9));
}

#if SESSION_LOCKER_HAS_EXCEPTIONS
TEST(a_task_that_waits_for_a_load_goes_on_when_loading_is_given_up) {
    const auto records = new_storage();
    put(records, "ann", R"({"Version":"?"})");
    server one(records);
    notes heard;
    const sl::profile ann = MUST(one.store.start_session("ann"));
    greet(ann, heard);
    one.frame();
    CHECK(ann.is_active() && ann.load_status() == sl::load_status::corrupt_data);
    CHECK(heard.are("waits SL_ERROR_NOT_ACTIVE "));
    greet(ann, heard);
    CHECK(heard.are("waits SL_ERROR_NOT_ACTIVE "));
}

TEST(what_a_task_throws_is_logged_and_goes_no_further) {
    const auto records = new_storage();
    server one(records);
    notes heard;
    MUST(sl::set_log_callback([&](sl::log_level, std::string_view message) {
        heard(message.find("my task") != std::string_view::npos ? "why" : "that");
    }));
    const sl::profile ann = MUST(one.store.start_session("ann"));
    [](sl::profile_ref profile) -> sl::task {
        static_cast<void>(co_await profile.loaded());
        throw std::runtime_error("my task");
    }(ann);
    one.frame();
    one.frame();
    CHECK(ann.is_loaded() && heard.are("that that why why "));
    MUST(sl::set_log_callback(nullptr));
}
#endif

#endif
