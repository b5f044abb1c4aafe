// One of several parts of a program that all include the header; compiled with each part's name as UNIT,
// by any standard, with and without exceptions. It uses what changes with those.
#include "session_locker.hpp"

#include <cstdio>

#if defined(__cpp_impl_coroutine)
#include <coroutine>
#endif

namespace sl = session_locker;

int UNIT();

namespace {

struct host {
    int points = 0;
    sl::easy_store store;

    sl::result<void> open() {
        auto records = sl::storage::open("memory:");
        if (!records) {
            return sl::unexpected(records.error());
        }
        sl::easy_store_config config;
        config.create_save_data = [](std::string_view key, sl::save_data_ref data) { data["/Key"] = key; };
        config.event = [this](const sl::event &event) {
            points += event.reason() == sl::reason::loaded ? 1 : 0;
        };
        auto made = sl::easy_store::create(*records, std::move(config));
        if (!made) {
            return sl::unexpected(made.error());
        }
        store = *std::move(made);
        return {};
    }
};

// Full marks: 1 for the load, 10 for the wait, 100 for the failure of a hook, 1000 for the purchase.
int points_of(host &one, const sl::profile &ann) {
    static_cast<void>(ann.when_changes_saved([&](sl::outcome) { one.points += 10; }));
    static_cast<void>(ann.set_before_save([&](sl::profile_ref profile) -> sl::result<void> {
        one.points += profile.get_save_data()["/Version"].set(7) ? 0 : 100;
        return {};
    }));
    sl::receipt_info receipt;
    receipt.purchase_id = "p";
    const auto asked = ann.call_when_product_is_processed_and_saved(
        receipt, [](sl::product_op, const sl::product_call &) {},
        [&](bool is_granted) { one.points += is_granted ? 1000 : 0; });
    const auto updated = one.store.update(3);
    return asked && updated ? one.points : -1;
}

#if defined(__cpp_impl_coroutine)
// Every awaitable, so that each is compiled.
[[maybe_unused]] sl::task wait_for_everything(sl::profile_ref profile, sl::locker_ref locker,
                                              const sl::easy_store &store,
                                              const sl::product_purchaser &purchaser,
                                              const sl::remote_change_sender &sender) {
    const auto process = [](sl::product_op, const sl::product_call &) {};
    const sl::receipt_info receipt;
    static_cast<void>(co_await profile.loaded());
    static_cast<void>(co_await profile.changes_saved());
    static_cast<void>(co_await profile.product_processed_and_saved(receipt, process));
    static_cast<void>(co_await locker.changes_saved());
    static_cast<void>(co_await store.remote_changes_sent("key", "[]"));
    static_cast<void>(co_await purchaser.product_processed_and_saved(locker, receipt, process));
    static_cast<void>(co_await sender.sent("key", "[]"));
}
#endif

} // namespace

// 1111 if all went well.
int UNIT() {
    host one;
    if (const auto opened = one.open(); !opened) {
        std::fprintf(stderr, "%s\n", opened.error().message.c_str());
        return -1;
    }
    const auto ann = one.store.start_session("ann");
    if (!ann || !one.store.update(1) || !one.store.update(2)) {
        return -1;
    }
    return points_of(one, *ann);
}
