// A small game server in the manner of an engine: a world of entities that tick, players who come and go,
// earn, buy and send gifts, and a shutdown with a deadline. Then a second server starts, and finds it all.
//
//   server [STORAGE-URL]
//
// The storage is the first argument, or else SESSION_LOCKER_STORAGE, or else a temporary database.
#include "session_locker.hpp"

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <vector>

namespace sl = session_locker;

namespace {

constexpr auto frame_time = std::chrono::milliseconds(4);
constexpr double shutdown_s = 10;
// How long anything here may take before it counts as stuck.
constexpr double patience_s = 30;

[[noreturn]] void stop(const std::string &why) {
    std::fflush(stdout);
    std::fprintf(stderr, "server.cpp: %s\n", why.c_str());
    std::exit(EXIT_FAILURE);
}

// A server that cannot even start has nothing better to do than to say why.
template <typename T> T must(sl::result<T> outcome) {
    if (!outcome) {
        stop(outcome.error().message);
    }
    return *std::move(outcome);
}

// What may go wrong at any time is told, and the game goes on.
void expect_ok(const sl::result<void> &outcome) {
    if (!outcome) {
        std::printf("  ! %s\n", outcome.error().message.c_str());
    }
}

enum product : std::int64_t { chest_of_gold = 1, bouquet = 2 };

} // namespace

// ---- A player, for as long as the server knows of one -------------------------------------------

class player {
public:
    player(const sl::easy_store &store, std::string name) : name_(std::move(name)) {
        sl::session_options options;
        options.user_ids = {name_};
        session_ = must(store.start_session("player/" + name_, options));
        listen();
    }

    // The lambdas below hold `this`, so a player stays where it is.
    player(const player &) = delete;
    player &operator=(const player &) = delete;

    const std::string &name() const { return name_; }
    const sl::profile &session() const { return session_; }
    sl::save_data_ref data() const { return session_.get_save_data(); }
    std::int64_t gold() const { return data()["/Gold"].get<std::int64_t>().value_or(0); }
    bool is_playing() const { return session_.is_available(); }
    bool is_gone() const { return session_.is_finished(); }

    // Ten coins a step; that is a write of some nanoseconds, and in the next save by itself.
    void tick() {
        if (is_playing()) {
            data()["/Gold"] += 10;
            data()["/Position/X"] = position_ += 0.5;
        }
    }

    // The session is saved and released in the frames that follow.
    void leave() { expect_ok(session_.end_session()); }

private:
    void listen() {
        listeners_.push_back(must(session_.on_loaded([this] {
            position_ = data()["/Position/X"].get<double>().value_or(0);
            std::printf("  %s is here, with %lld gold, at %.1f\n", name_.c_str(),
                        static_cast<long long>(gold()), position_);
        })));
        listeners_.push_back(must(session_.on_lost([this] {
            // Another server has the player: let nobody play on with what will not be saved.
            std::printf("  %s was taken over by another server\n", name_.c_str());
            leave();
        })));
        listeners_.push_back(
            must(session_.on_finished([this] { std::printf("  %s is saved and gone\n", name_.c_str()); })));
        expect_ok(session_.set_before_save([visits = 0](sl::profile_ref profile) mutable {
            profile.get_save_data()["/Saves done"] = ++visits;
        }));
    }

    std::string name_;
    double position_ = 0;
    sl::profile session_;
    std::vector<sl::signal_connection> listeners_;
};

// ---- The game -----------------------------------------------------------------------------------

class game {
public:
    explicit game(const std::string &url) {
        sl::easy_store_config config;
        config.job_id = "example server";
        config.create_save_data = [](std::string_view, sl::save_data_ref data) {
            data["/Gold"] = 0;
            return data["/Position"].set_json(R"({"X":0.0})");
        };
        config.process_remote_change = [](std::string_view, sl::save_data_ref data,
                                          const sl::remote_change &change) -> sl::result<void> {
            if (change.kind() != "prize") {
                return sl::not_applicable(); // perhaps a newer server knows it
            }
            return data["/Gold"] += change.get<std::int64_t>("/Gold").value_or(0);
        };
        config.report_error = [](const sl::error_report &report) {
            std::printf("  ! %s\n", std::string(report.message()).c_str());
        };
        store_ = must(sl::easy_store::create(must(sl::storage::open(url)), std::move(config)));
    }

    player &join(const char *name) {
        players_.push_back(std::make_unique<player>(store_, name));
        return *players_.back();
    }

    // The platform has a receipt for us. It brings it again until it is told that it is granted.
    void on_receipt(const player &buyer, const char *purchase_id, product bought, const player &whom) {
        sl::receipt_info receipt;
        receipt.purchase_id = purchase_id;
        receipt.product_id = bought;
        receipt.user_id = buyer.name();
        const std::string id = purchase_id;
        expect_ok(buyer.session().call_when_product_is_processed_and_saved(
            receipt,
            [friend_of = sl::profile_ref(whom.session())](sl::product_op op, const sl::product_call &call) {
                return process(op, call, friend_of);
            },
            [this, id](bool is_granted) {
                std::printf("  %s: %s\n", id.c_str(), is_granted ? "granted" : "not granted");
                ++answered_;
            }));
    }

    // A moderator's tool, here in the same process. The player may be anywhere, or offline.
    void send_prize(const char *name, int gold) {
        sl::send_options options;
        options.operation_id = "spring-prize";
        const std::string change = R"([{"K":"prize","Gold":)" + std::to_string(gold) + "}]";
        const auto sent = store_.send_remote_changes(std::string("player/") + name, change, options);
        if (!sent) {
            expect_ok(sl::unexpected(sent.error()));
        }
    }

    // One frame: the world, then the store, then what is left of it.
    void frame() {
        for (const auto &one : players_) {
            one->tick();
        }
        expect_ok(store_.update(sl::now()));
        for (auto at = players_.begin(); at != players_.end();) {
            at = (*at)->is_gone() ? players_.erase(at) : at + 1;
        }
        std::this_thread::sleep_for(frame_time);
    }

    template <typename Condition> void play_until(Condition &&is_so) {
        const double deadline = sl::now() + patience_s;
        while (!is_so()) {
            if (sl::now() > deadline) {
                stop("the story is stuck");
            }
            frame();
        }
    }

    std::size_t player_count() const { return players_.size(); }
    int answered() const { return answered_; }

    // The operator gives us so many seconds.
    void shut_down() {
        const sl::drain_report report = must(store_.drain(shutdown_s));
        std::printf("  drained: %zu sessions not saved, %zu sends not sent\n", report.unsaved.size(),
                    report.unsent.size());
        for (const sl::unsaved_session &one : report.unsaved) {
            std::printf("  ! %s: %s\n", one.key.c_str(), one.reason.c_str());
        }
        players_.clear();
    }

private:
    // Flowers are for somebody else; a chest is for the buyer.
    static sl::result<void> process(sl::product_op op, const sl::product_call &call,
                                    sl::profile_ref friend_of) {
        const bool is_gift = call.receipt().product_id == bouquet;
        switch (op) {
        case sl::product_op::validate:
            if (is_gift) {
                call.set_recipient(friend_of);
            }
            return {};
        case sl::product_op::apply:
            if (is_gift) {
                return call.save_data()["/Flowers"] = true;
            }
            return call.save_data()["/Gold"] += 1000;
        case sl::product_op::record: break;
        }
        return call.save_data()["/LastPurchase"] = call.receipt().purchase_id;
    }

    sl::easy_store store_;
    std::vector<std::unique_ptr<player>> players_;
    int answered_ = 0;
};

// ---- The story ----------------------------------------------------------------------------------

static void first_evening(const std::string &url) {
    game server(url);
    std::printf("The server opens, and three players join:\n");
    player &ann = server.join("ann");
    player &ben = server.join("ben");
    player &cleo = server.join("cleo");
    server.play_until([&] { return ann.is_playing() && ben.is_playing() && cleo.is_playing(); });
    server.play_until([&] { return cleo.gold() >= 100; });
    std::printf("After ten steps each of them has %lld gold. Cleo leaves:\n",
                static_cast<long long>(cleo.gold()));
    cleo.leave();
    server.play_until([&] { return server.player_count() == 2; });

    std::printf("Ann buys a chest, and flowers for Ben. The platform brings the chest's receipt twice:\n");
    server.on_receipt(ann, "chest-1", chest_of_gold, ann);
    server.on_receipt(ann, "chest-1", chest_of_gold, ann);
    server.on_receipt(ann, "flowers-1", bouquet, ben);
    server.play_until([&] { return server.answered() == 3; });
    std::printf("  Ben %s flowers; Ann has bought one chest: %s\n",
                ben.data()["/Flowers"].get<bool>().value_or(false) ? "has" : "has no",
                ann.gold() >= 1000 && ann.gold() < 2000 ? "yes" : "no");

    std::printf("A moderator sends Cleo, who is gone, a prize, and the server shuts down:\n");
    server.send_prize("cleo", 5000);
    server.shut_down();
}

static void next_morning(const std::string &url) {
    game server(url);
    std::printf("The server opens again, and Cleo is the first:\n");
    player &cleo = server.join("cleo");
    server.play_until([&] { return cleo.is_playing(); });
    std::printf("  her prize %s\n", cleo.gold() >= 5000 ? "was waiting for her" : "is missing");
    server.join("ann");
    server.join("ben");
    server.play_until([frames = 0]() mutable { return ++frames > 60; });
    std::printf("The server shuts down with everybody on it:\n");
    server.shut_down();
}

namespace {

// A folder that is removed, with all that is in it.
class temporary_folder {
public:
    temporary_folder() {
        std::random_device chance;
        path_ = std::filesystem::temp_directory_path() /
                ("session-locker-" + std::to_string(chance()) + std::to_string(chance()));
        std::filesystem::create_directory(path_);
    }
    temporary_folder(const temporary_folder &) = delete;
    temporary_folder &operator=(const temporary_folder &) = delete;
    ~temporary_folder() {
        std::error_code ignored;
        std::filesystem::remove_all(path_, ignored);
    }
    std::string url() const { return "sqlite:" + (path_ / "saves.db").string(); }

private:
    std::filesystem::path path_;
};

} // namespace

int main(int argc, char **argv) {
    const char *given = argc > 1 ? argv[1] : std::getenv("SESSION_LOCKER_STORAGE");
    std::unique_ptr<temporary_folder> folder;
    std::string url = given == nullptr ? "" : given;
    if (url.empty()) {
        folder = std::make_unique<temporary_folder>();
        url = folder->url();
    }
    first_evening(url);
    std::printf("\n");
    next_morning(url);
    std::printf("Handles left: %llu\n", static_cast<unsigned long long>(sl::live_handles()));
    return EXIT_SUCCESS;
}
