// The story of README.md, as a host in C++ tells it.
#include "session_locker.hpp"

#include <chrono>
#include <cinttypes>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <thread>
#include <vector>

namespace sl = session_locker;
using sl::result;

namespace {

constexpr double patience_s = 60;
constexpr double half_an_hour_s = 2000;

[[noreturn]] void give_up(const std::string &why) {
    std::fflush(stdout);
    std::fprintf(stderr, "story.cpp: %s\n", why.c_str());
    std::exit(EXIT_FAILURE);
}

// What must go well, or the story is over.
template <typename T> T must(result<T> outcome) {
    if (!outcome) {
        give_up(outcome.error().message);
    }
    return *std::move(outcome);
}

void must(result<void> outcome) {
    if (!outcome) {
        give_up(outcome.error().message);
    }
}

std::int64_t gold_of(sl::save_data_ref data) { return must(data["/Gold"].get<std::int64_t>()); }

// The hooks that both servers have.
result<void> create_save_data(std::string_view, sl::save_data_ref data) {
    data["/Gold"] = 0;
    return data["/Items"].set_json("[]");
}

result<void> coins_to_gold(sl::save_data_ref data, double &version_patch) {
    const auto coins = data["/Coins"].get<std::int64_t>();
    if (!coins) {
        return sl::fail("there are no coins");
    }
    data["/Gold"] = *coins;
    version_patch = 0.5;
    return data["/Coins"].remove();
}

result<void> process_remote_change(std::string_view, sl::save_data_ref data,
                                   const sl::remote_change &change) {
    if (change.kind() != "give_gold") {
        return sl::not_applicable();
    }
    const auto amount = change.get<std::int64_t>("/Amount");
    if (!amount) {
        return sl::unexpected(amount.error());
    }
    return data["/Gold"] += *amount;
}

void report_error(const sl::error_report &report) {
    const std::string message(report.message());
    const std::string given = "there are no coins";
    const std::size_t at = message.rfind(": " + given);
    const bool is_a_hooks = at != std::string::npos && at + 2 + given.size() == message.size();
    std::printf("error: %s\n", (is_a_hooks ? given : message).c_str());
}

class server {
public:
    server(const char *name, std::uint64_t seed, const sl::storage &records, const sl::migrators &migrations)
        : name_(name) {
        sl::easy_store_config config;
        config.job_id = name;
        config.seed = seed;
        config.place_id = 7;
        config.save_data_version = 2;
        config.migrators = &migrations;
        config.create_save_data = create_save_data;
        config.process_remote_change = process_remote_change;
        config.report_error = report_error;
        config.event = [this](const sl::event &event) {
            if (event.kind() == sl::event_kind::lost) {
                const auto lost = must(sl::save_data::parse(event.text()));
                std::printf("ann: lost, with %" PRId64 " gold\n", gold_of(lost));
                has_lost_ = true;
            }
        };
        store_ = must(sl::easy_store::create(records, std::move(config)));
    }

    const sl::easy_store &store() const { return store_; }
    bool has_lost() const { return has_lost_; }
    void pass(double seconds) { ahead_s_ += seconds; }

    // Frames of this server alone, until something is there.
    template <typename Condition> void frames_until(const char *what, Condition &&is_there) {
        const double deadline = sl::now() + patience_s;
        while (!is_there()) {
            if (sl::now() > deadline) {
                give_up(std::string(name_) + " waits in vain: " + what);
            }
            frame();
        }
    }

    void frame() {
        must(store_.update(sl::now() + ahead_s_));
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }

    sl::profile load(const char *key, std::vector<std::string> user_ids) {
        sl::session_options options;
        options.user_ids = std::move(user_ids);
        sl::profile profile = must(store_.start_session(key, options));
        frames_until(key, [&] { return profile.is_loaded(); });
        return profile;
    }

    void save(const sl::profile &profile) {
        bool is_answered = false;
        must(profile.when_changes_saved([&](sl::outcome outcome) {
            is_answered = true;
            if (outcome != sl::outcome::saved) {
                give_up("changes were not saved");
            }
        }));
        must(profile.mark_force_save());
        frames_until("a save", [&] { return is_answered; });
    }

    void finish(const sl::profile &profile) {
        must(profile.end_session());
        frames_until("the end of a session", [&] { return profile.is_finished(); });
    }

    void drain() {
        const sl::drain_report report = must(store_.drain(10));
        std::printf("%s: drained, %zu unsaved, %zu unsent\n", name_, report.unsaved.size(),
                    report.unsent.size());
    }

private:
    const char *name_;
    sl::easy_store store_;
    double ahead_s_ = 0;
    bool has_lost_ = false;
};

// The products of the shop; a gift goes to Ben.
struct shop {
    sl::profile_ref ben;

    result<void> operator()(sl::product_op op, const sl::product_call &call) const {
        const std::int64_t product = call.receipt().product_id;
        switch (op) {
        case sl::product_op::validate:
            if (product == 3) {
                call.set_recipient(ben);
            }
            return product == 1 || product == 3 ? result<void>() : sl::not_applicable();
        case sl::product_op::apply: return call.save_data()["/Gold"] += product == 1 ? 500 : 50;
        case sl::product_op::record: break;
        }
        const sl::save_data_ref data = call.save_data();
        if (!data["/Spent"].contains()) {
            data["/Spent"] = 0;
        }
        return data["/Spent"] += call.receipt().currency_spent;
    }
};

void buy(server &one, const sl::profile &ann, const sl::profile &ben, const char *purchase_id,
         std::int64_t product, std::int64_t spent) {
    sl::receipt_info receipt;
    receipt.purchase_id = purchase_id;
    receipt.product_id = product;
    receipt.user_id = "ann";
    receipt.currency_spent = spent;
    bool is_answered = false;
    must(ann.call_when_product_is_processed_and_saved(receipt, shop{ben}, [&](bool is_granted) {
        is_answered = true;
        std::printf("%s: %s, ", purchase_id, is_granted ? "granted" : "not granted");
    }));
    one.frames_until(purchase_id, [&] { return is_answered; });
    if (product == 3) {
        std::printf("ben has %" PRId64 " gold\n", gold_of(ben.get_save_data()));
    } else {
        std::printf("%" PRId64 " gold\n", gold_of(ann.get_save_data()));
    }
}

void prologue(const sl::storage &records) {
    const auto put = [&](const char *key, const char *json, const sl::texts &user_ids) {
        const sl::record found = must(records.fetch(key, patience_s));
        must(records.commit(key, json, user_ids, found.revision, patience_s));
    };
    put("player/ben", R"({"Version":1,"Coins":30,"Items":["shield"]})", {"ben"});
    put("player/cleo", R"({"Version":1,"Items":[]})", {});
}

void meet_cleo(server &one) {
    const sl::profile cleo = must(one.store().start_session("player/cleo"));
    one.frames_until("cleo's load status",
                     [&] { return cleo.load_status() == sl::load_status::migration_failed; });
    std::printf("cleo: %s\n", sl::name(must(cleo.load_status())));
    one.finish(cleo);
    std::printf("cleo: finished\n");
}

void earn(server &one, const sl::profile &ann) {
    const sl::save_data_ref data = ann.get_save_data();
    must(data["/Gold"].add(100));
    must(data["/Name"].set("Ann \u00dcnal"));
    must(data["/Stats"].set_json(R"({"Level":3,"Luck":0.25,"Banned":false})"));
    must(data["/Items"].append("sword"));
    must(data["/Items"].append("bow"));
    must(data["/Items/0"].remove());
    one.save(ann);
    const std::size_t items = must(data["/Items"].length());
    const std::string last = must(data[sl::pointer("Items", items - 1)].get<std::string>());
    std::printf("ann: saved, %" PRId64 " gold, %zu item%s, the last one a %s\n", gold_of(data), items,
                items == 1 ? "" : "s", last.c_str());
}

void use(const sl::profile &ann, std::int64_t amount) {
    const bool did_use = must(ann.product_credit_use(9, amount));
    std::printf("ann: used %" PRId64 ": %s\n", amount, did_use ? "yes" : "no");
}

void shopping(server &one, const sl::profile &ann, const sl::profile &ben) {
    buy(one, ann, ben, "p1", 1, 99);
    buy(one, ann, ben, "p1", 1, 99);
    sl::signal_connection credit =
        must(ann.on_product_credit_changed([](std::int64_t product, std::int64_t amount) {
            std::printf("ann: credit of %" PRId64 " by %" PRId64 "\n", product, amount);
        }));
    buy(one, ann, ben, "p2", 2, 150);
    credit.disconnect();
    must(ann.product_credit_give(9, 2));
    std::printf("ann: credit of 9: %" PRId64 "\n", must(ann.product_credit_query(9)));
    use(ann, 3);
    use(ann, 1);
    buy(one, ann, ben, "p3", 3, 20);
}

void send_mail(server &two) {
    bool is_answered = false;
    sl::send_options options;
    options.operation_id = "mail-1";
    must(two.store().send_remote_changes(
        "player/ann", R"([{"K":"give_gold","Amount":7},{"K":"dance"}])", options,
        [&](std::uint64_t, sl::send_outcome outcome) {
            is_answered = true;
            std::printf("mail-1: %s\n", outcome == sl::send_outcome::sent ? "sent" : "not sent");
        }));
    two.frames_until("mail-1", [&] { return is_answered; });
}

void remote_change(server &one, server &two, const sl::profile &ann) {
    const sl::save_data_ref data = ann.get_save_data();
    const std::int64_t before = gold_of(data);
    send_mail(two);
    must(ann.mark_force_save());
    one.frames_until("ann's mail", [&] { return gold_of(data) != before; });
    std::printf("ann: %" PRId64 " gold\n", gold_of(data));
    one.save(ann);
    send_mail(two);
}

void leave(server &one, const sl::profile &ben) {
    must(ben.set_before_save(
        [](sl::profile_ref leaving) { return leaving.get_save_data()["/LastServer"] = "one"; }));
    for (const sl::signal which :
         {sl::signal::product_credit_changed, sl::signal::lifecycle, sl::signal::finished,
          sl::signal::destroyed, sl::signal::saved, sl::signal::replaced, sl::signal::loaded,
          sl::signal::reset, sl::signal::released, sl::signal::lost}) {
        auto listener = must(
            ben.connect(which, [which](const sl::event &) { std::printf("ben: %s\n", sl::name(which)); }));
        listener.detach();
    }
    one.finish(ben);
}

sl::profile lose_the_lock(server &one, server &two, const sl::profile &ann) {
    must(ann.get_save_data()["/Gold"].add(5));
    sl::profile anew = must(two.store().start_session("player/ann"));
    two.frames_until("a locked session",
                     [&] { return anew.load_status() == sl::load_status::session_is_locked; });
    std::printf("server two: ann is %s\n", sl::name(must(anew.load_status())));
    two.frame();
    two.pass(half_an_hour_s);
    two.frames_until("ann", [&] { return anew.is_loaded(); });
    std::printf("server two: ann: loaded, %" PRId64 " gold\n", gold_of(anew.get_save_data()));
    must(ann.mark_force_save());
    one.frames_until("the loss of ann", [&] { return one.has_lost(); });
    std::printf("ann: %" PRId64 " gold\n", gold_of(ann.get_save_data()));
    one.finish(ann);
    std::printf("ann: finished\n");
    return anew;
}

void tell(const char *url) {
    const sl::storage records = must(sl::storage::open(url));
    prologue(records);
    sl::migrator_builder builder = must(sl::migrator_builder::create());
    must(builder.add_migrator_from(1, coins_to_gold));
    must(builder.check_version(2));
    const sl::migrators migrations = must(builder.build());
    server one("server one", 5, records, migrations);
    server two("server two", 51, records, migrations);

    const sl::profile ann = one.load("player/ann", {"ann"});
    std::printf("ann: loaded, %" PRId64 " gold\n", gold_of(ann.get_save_data()));
    const sl::profile ben = one.load("player/ben", {"ben"});
    std::printf("ben: loaded, %" PRId64 " gold\n", gold_of(ben.get_save_data()));
    meet_cleo(one);
    earn(one, ann);
    shopping(one, ann, ben);
    remote_change(one, two, ann);
    leave(one, ben);
    const sl::profile anew = lose_the_lock(one, two, ann);
    must(anew.get_save_data()["/Gold"].add(1));
    one.drain();
    two.drain();
}

} // namespace

int main(int argc, char **argv) {
    if (argc != 2) {
        give_up("the argument is the URL of a storage");
    }
    tell(argv[1]);
    std::printf("handles left: %" PRIu64 "\n", sl::live_handles());
    return EXIT_SUCCESS;
}
