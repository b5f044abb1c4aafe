// Purchases of profiles and lockers, gifts, credit, and products by hand.
#include "world.hpp"

#if SESSION_LOCKER_HAS_EXCEPTIONS
#include <stdexcept>
#endif

using check::fails;

namespace {

enum product : std::int64_t { gold = 1, nothing = 2, gift = 3, broken = 4, thrown = 5, not_here = 6 };

sl::receipt_info receipt_of(std::string_view purchase_id, std::int64_t product_id) {
    sl::receipt_info receipt;
    receipt.purchase_id = purchase_id;
    receipt.product_id = product_id;
    receipt.user_id = "ann";
    receipt.place_id = 5;
    receipt.currency_spent = 99;
    return receipt;
}

// The process function of all these tests; holds a witness, as a host's lambda holds its game.
struct shop {
    witness alive;
    sl::profile_ref friend_of_profile = {};
    sl::locker_ref friend_of_locker = {};

    sl::result<void> validate(const sl::product_call &call) const {
        CHECK(!call.save_data());
        switch (call.receipt().product_id) {
        case nothing: return sl::not_applicable();
        case not_here: return sl::not_now();
        case broken: return sl::fail("the shop is closed");
#if SESSION_LOCKER_HAS_EXCEPTIONS
        case thrown: throw std::runtime_error("the shop burns");
#endif
        case gift:
            if (friend_of_profile) {
                call.set_recipient(friend_of_profile);
            } else {
                call.set_recipient(friend_of_locker);
            }
            return {};
        default: return {};
        }
    }

    sl::result<void> operator()(sl::product_op op, const sl::product_call &call) const {
        if (op == sl::product_op::validate) {
            return validate(call);
        }
        ++*alive;
        if (op == sl::product_op::apply) {
            return call.save_data()["/Gold"] += 500;
        }
        return call.save_data()["/Spent"] = call.receipt().currency_spent;
    }
};

// Hears whether a purchase is granted: 1, 0, or -1 while it is not known.
struct answer {
    int value = -1;
    auto hear() {
        return [this](bool is_granted) { value = is_granted ? 1 : 0; };
    }
};

} // namespace

TEST(a_purchase_is_applied_once_and_granted_each_time) {
    const auto records = new_storage();
    server one(records);
    const sl::profile ann = one.loaded("ann");
    const witness alive = std::make_shared<int>(0);
    for (int time = 0; time < 2; ++time) {
        answer heard;
        MUST(ann.call_when_product_is_processed_and_saved(receipt_of("p1", gold), shop{alive},
                                                          heard.hear()));
        one.frame();
        CHECK(heard.value == 1);
    }
    CHECK(ann.get_save_data()["/Gold"].get<int>() == 500 && stored_has(records, "ann", R"("Gold":500)"));
    CHECK(ann.get_save_data()["/Spent"].get<int>() == 99 && *alive == 2 && is_alone(alive));
    CHECK(one.heard.are("saved p1:granted p1:granted "));
}

TEST(a_process_function_sees_the_receipt_and_the_buyer) {
    const auto records = new_storage();
    server one(records);
    const sl::profile ann = one.loaded("ann");
    int seen = 0;
    MUST(ann.call_when_product_is_processed_and_saved(
        receipt_of("p1", gold),
        [&](sl::product_op, const sl::product_call &call) {
            const sl::receipt_info receipt = call.receipt();
            CHECK(receipt.purchase_id == "p1" && receipt.user_id == "ann" && receipt.place_id == 5);
            CHECK(receipt.currency_spent == 99 && receipt.product_id == gold);
            CHECK(call.profile() == ann && !call.locker());
            ++seen;
        },
        [](bool is_granted) { CHECK(is_granted); }));
    one.frame();
    CHECK(seen == 3);
}

TEST(what_is_not_applicable_becomes_credit) {
    const auto records = new_storage();
    server one(records);
    const sl::profile ann = one.loaded("ann");
    const witness alive = std::make_shared<int>(0);
    std::string changes;
    const auto listener =
        MUST(ann.on_product_credit_changed([&](std::int64_t product_id, std::int64_t amount) {
            changes += std::to_string(product_id) + ":" + std::to_string(amount) + " ";
        }));
    answer heard;
    MUST(
        ann.call_when_product_is_processed_and_saved(receipt_of("p2", nothing), shop{alive}, heard.hear()));
    one.frame();
    CHECK(heard.value == 1 && ann.product_credit_query(nothing) == 1);
    MUST(ann.product_credit_give(9, 2));
    CHECK(ann.product_credit_use(9, 3) == false && ann.product_credit_use(9, 1) == true);
    CHECK(ann.product_credit_query(9) == 1 &&
          fails(ann.product_credit_give(9, 0), sl::status::out_of_range));
    one.frame();
    CHECK(check::same("2:1 9:2 9:-1 ", changes));
    const sl::profile ben = MUST(one.store.start_session("ben"));
    CHECK(fails(ben.product_credit_query(1), sl::status::not_loaded));
}

TEST(a_process_function_that_fails_is_reported_and_tried_again) {
    answer heard; // at the end of the server too
    const auto records = new_storage();
    server one(records);
    const sl::profile ann = one.loaded("ann");
    const witness alive = std::make_shared<int>(0);
    MUST(ann.call_when_product_is_processed_and_saved(receipt_of("p3", broken), shop{alive}, heard.hear()));
    one.frame();
    CHECK(heard.value == -1 && !is_alone(alive) &&
          one.heard.are("error(purchase p3 of product 4: validate failed: the shop is closed) "));
    MUST(ann.end_session());
    one.frame();
    CHECK(heard.value == 0 && is_alone(alive));
}

#if SESSION_LOCKER_HAS_EXCEPTIONS
TEST(what_a_process_function_throws_is_its_failure) {
    answer heard; // at the end of the server too
    const auto records = new_storage();
    server one(records);
    const sl::profile ann = one.loaded("ann");
    MUST(ann.call_when_product_is_processed_and_saved(receipt_of("p", thrown),
                                                      shop{std::make_shared<int>(0)}, heard.hear()));
    one.frame();
    CHECK(heard.value == -1 &&
          one.heard.are("error(purchase p of product 5: validate failed: the shop burns) "));
}
#endif

TEST(a_purchase_that_cannot_be_told_now_is_answered_with_no) {
    const auto records = new_storage();
    server one(records);
    const sl::profile ann = one.loaded("ann");
    answer heard;
    MUST(ann.call_when_product_is_processed_and_saved(receipt_of("p", not_here),
                                                      shop{std::make_shared<int>(0)}, heard.hear()));
    one.frame();
    CHECK(heard.value == 0 && one.heard.are("p:no "));
}

TEST(a_gift_goes_to_the_recipient) {
    const auto records = new_storage();
    server one(records);
    const sl::profile ann = one.loaded("ann");
    const sl::profile ben = one.loaded("ben");
    answer heard;
    MUST(ann.call_when_product_is_processed_and_saved(receipt_of("p", gift),
                                                      shop{std::make_shared<int>(0), ben}, heard.hear()));
    for (int frame = 0; frame < 8; ++frame) {
        one.frame();
    }
    CHECK(heard.value == 1 && ben.get_save_data()["/Gold"].get<int>() == 500);
    CHECK(ann.get_save_data()["/Gold"].get<int>() == 0 && ann.get_save_data()["/Spent"].get<int>() == 99);
}

TEST(a_purchase_that_is_refused_keeps_nothing) {
    const auto records = new_storage();
    server one(records);
    const sl::profile ann = one.loaded("ann");
    const witness alive = std::make_shared<int>(0);
    CHECK(fails(
        ann.call_when_product_is_processed_and_saved(receipt_of("", gold), shop{alive}, [alive](bool) {}),
        sl::status::invalid_argument));
    CHECK(is_alone(alive));
    CHECK(fails(ann.wait_until_product_is_processed_and_saved(receipt_of("", gold), shop{alive}, 1),
                sl::status::invalid_argument));
    CHECK(is_alone(alive));
}

TEST(a_purchase_is_waited_for_and_goes_on_after_a_timeout) {
    const auto records = new_storage();
    server one(records);
    const sl::profile ann = one.loaded("ann");
    const witness alive = std::make_shared<int>(0);
    CHECK(ann.wait_until_product_is_processed_and_saved(receipt_of("p", gold), shop{alive}, 10) == true);
    CHECK(is_alone(alive));
    CHECK(fails(ann.wait_until_product_is_processed_and_saved(receipt_of("q", broken), shop{alive}, 1),
                sl::status::timeout));
    CHECK(!is_alone(alive));
    MUST(ann.end_session());
    one.frame(1);
    CHECK(is_alone(alive));
}

TEST(a_purchaser_processes_the_purchases_of_lockers) {
    moment time;
    notes heard;
    const auto records = new_storage();
    const auto spec =
        MUST(sl::locker_spec::create(records, config_of<sl::locker_spec_config>(time, heard)));
    const auto purchaser = MUST(sl::product_purchaser::create());
    const witness alive = std::make_shared<int>(0);
    {
        const sl::locker ann = MUST(sl::locker::create(spec, "ann"));
        const sl::locker ben = MUST(sl::locker::create(spec, "ben"));
        const auto frame = [&] {
            MUST(purchaser.update(0));
            MUST(ann.update(0));
            MUST(ben.update(0));
        };
        answer first;
        MUST(purchaser.call_when_product_is_processed_and_saved(ann, receipt_of("p", gold), shop{alive},
                                                                first.hear()));
        CHECK(purchaser.has_incomplete_purchases());
        frame();
        CHECK(first.value == -1);
        MUST(ann.mark_should_acquire());
        MUST(ben.mark_should_acquire());
        for (int count = 0; count < 4; ++count) {
            frame();
        }
        CHECK(first.value == 1 && !purchaser.has_incomplete_purchases());
        CHECK(ann.get_save_data()["/Gold"].get<int>() == 500);

        answer second;
        MUST(purchaser.call_when_product_is_processed_and_saved(ann, receipt_of("g", gift),
                                                                shop{alive, {}, ben}, second.hear()));
        for (int count = 0; count < 8; ++count) {
            frame();
        }
        CHECK(second.value == 1 && ben.get_save_data()["/Gold"].get<int>() == 500);
        CHECK(purchaser.wait_until_product_is_processed_and_saved(ann, receipt_of("r", gold), shop{alive},
                                                                  10) == true);
        MUST(ann.product_credit_give(gold, 2));
        CHECK(ann.product_credit_use(gold, 1) == true && ann.product_credit_query(gold) == 1);
        const auto pending = MUST(sl::pending_product_purchase::from_ids(gold, "ann", shop{alive}));
        CHECK(pending.validate(ann) == true && pending.apply(ann) == true &&
              pending.use_credit(ann) == true);
        CHECK(ann.product_credit_query(gold) == 0 && ann.get_save_data()["/Gold"].get<int>() == 2000);
    }
    MUST(spec.update_leaving(0));
    CHECK(spec.leaving_count() == 0 && is_alone(alive));
}

TEST(the_end_of_a_purchaser_answers_what_is_left_with_no) {
    moment time;
    notes heard;
    const auto records = new_storage();
    const auto spec =
        MUST(sl::locker_spec::create(records, config_of<sl::locker_spec_config>(time, heard)));
    const sl::locker ann = MUST(sl::locker::create(spec, "ann"));
    MUST(ann.update(0));
    answer left;
    const witness alive = std::make_shared<int>(0);
    {
        const auto purchaser = MUST(sl::product_purchaser::create());
        MUST(purchaser.call_when_product_is_processed_and_saved(ann, receipt_of("p", gold), shop{alive},
                                                                left.hear()));
    }
    CHECK(left.value == 0 && is_alone(alive));
}

TEST(products_are_processed_by_hand) {
    const auto records = new_storage();
    server one(records);
    const sl::profile ann = one.loaded("ann");
    const sl::profile ben = one.loaded("ben");
    const witness alive = std::make_shared<int>(0);
    {
        const auto pending =
            MUST(sl::pending_product_purchase::from_receipt(receipt_of("", gold), shop{alive}));
        CHECK(pending.validate() == true && pending.validate(ann) == true);
        CHECK(pending.use_credit(ann) == false);
        MUST(ann.product_credit_give(gold, 1));
        CHECK(pending.use_credit(ann) == true && ann.product_credit_query(gold) == 0);
        CHECK(pending.apply(ann) == true && ann.get_save_data()["/Gold"].get<int>() == 1000);
        CHECK(!is_alone(alive));
        const auto useless = MUST(sl::pending_product_purchase::from_ids(nothing, "", shop{alive}));
        MUST(ann.product_credit_give(nothing, 1));
        CHECK(useless.validate(ann) == false && useless.use_credit(ann) == false);
        const auto closed = MUST(sl::pending_product_purchase::from_ids(broken, "ann", shop{alive}));
        CHECK(fails(closed.validate(ann), sl::status::hook, "the shop is closed"));
        const auto given = MUST(sl::pending_product_purchase::from_ids(gift, "ann", shop{alive, ben}));
        MUST(ann.product_credit_give(gift, 1));
        CHECK(fails(given.use_credit(ann), sl::status::unsupported));
    }
    CHECK(is_alone(alive));
}
