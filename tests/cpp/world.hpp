// Game servers for the tests: their clock moves only when it is told to, and what they hear is noted as
// words.
#ifndef WORLD_HPP
#define WORLD_HPP

#include "check.hpp"

#include <memory>
#include <vector>

// A clock that nothing but `seconds` moves, and blocking waits.
struct moment {
    double seconds = 0;

    sl::clock clock() {
        sl::clock made;
        made.wall = [this] { return 1700000000 + seconds; };
        made.monotonic = [this] { return seconds; };
        made.sleep = [this](double time) { seconds += time; };
        return made;
    }
};

inline std::string word_of(const sl::event &event) {
    switch (event.kind()) {
    case sl::event_kind::lifecycle:
        switch (event.lifecycle()) {
        case sl::lifecycle::replaced:
            switch (event.reason()) {
            case sl::reason::loaded: return "loaded";
            case sl::reason::released: return "released";
            case sl::reason::lost: return "lost";
            case sl::reason::none: break;
            }
            return "replaced?";
        case sl::lifecycle::saved: return "saved";
        case sl::lifecycle::idling: return "idling";
        case sl::lifecycle::deleted: return "deleted";
        case sl::lifecycle::destroyed: return "destroyed";
        case sl::lifecycle::finished: return "finished";
        case sl::lifecycle::none: break;
        }
        return "lifecycle?";
    case sl::event_kind::load_status: return std::string("=") + sl::name(event.load_status());
    case sl::event_kind::error: return "error(" + std::string(event.text()) + ")";
    case sl::event_kind::lost: return "lost-document";
    case sl::event_kind::changes_saved:
        return event.outcome() == sl::outcome::saved ? "answer:yes" : "answer:no";
    case sl::event_kind::product_credit_changed:
        return "credit:" + std::to_string(event.product_id()) + ":" + std::to_string(event.amount());
    case sl::event_kind::purchase:
        return std::string(event.text()) + (event.outcome() == sl::outcome::saved ? ":granted" : ":no");
    case sl::event_kind::remote_changes_sent:
        return std::string(event.key()) + ":" + std::to_string(static_cast<int>(event.send_outcome()));
    }
    return "?";
}

// What was noted, as words with a space after each.
class notes {
public:
    void operator()(const std::string &word) { text_ += word + " "; }
    // Whether this is what was noted since the last look.
    bool are(std::string_view expected) {
        const bool is_it = check::same(expected, text_);
        text_.clear();
        return is_it;
    }
    // Forgets it.
    void forget() { text_.clear(); }

private:
    std::string text_;
};

// A configuration with a template, the clock, and events noted.
template <typename Config> Config config_of(moment &time, notes &heard) {
    Config config;
    config.clock = time.clock();
    config.seed = 1;
    config.template_json = R"({"Gold":0})";
    config.event = [&heard](const sl::event &event) { heard(word_of(event)); };
    return config;
}

// A game server with a store of its own.
struct server {
    explicit server(const sl::storage &records, std::uint64_t seed = 1)
        : server(records, [seed](sl::easy_store_config &config) { config.seed = seed; }) {}
    template <typename Change, std::enable_if_t<!std::is_integral_v<Change>, int> = 0>
    server(const sl::storage &records, Change &&change) {
        auto config = config_of<sl::easy_store_config>(time, heard);
        change(config);
        store = MUST(sl::easy_store::create(records, std::move(config)));
    }
    server(const server &) = delete;
    server &operator=(const server &) = delete;

    // One update, so many seconds after the last.
    void frame(double seconds = 0) {
        time.seconds += seconds;
        MUST(store.update(time.seconds));
    }
    // A session that is loaded.
    sl::profile loaded(std::string_view key) {
        sl::profile profile = MUST(store.start_session(key));
        frame();
        frame();
        CHECK(profile.is_loaded());
        CHECK(heard.are("loaded =loaded "));
        return profile;
    }

    moment time;
    notes heard;
    sl::easy_store store;
};

inline sl::storage new_storage() { return MUST(sl::storage::open("memory:")); }

// Writes a record, as a tool would, over whatever is there.
inline void put(const sl::storage &records, std::string_view key, std::string_view json) {
    const sl::record found = MUST(records.fetch(key, 10));
    MUST(records.commit(key, json, {}, found.revision, 10));
}

// Whether what is stored under a key has these words in it.
inline bool stored_has(const sl::storage &records, std::string_view key, std::string_view words) {
    return MUST(records.fetch(key, 10)).bytes.find(words) != std::string::npos;
}

// A document that another server owns, whose session has just been saved.
constexpr std::string_view owned_by_another =
    R"({"Version":1,"Session":{"PlaceId":0,"JobId":"other","LockId":77,"UpdatedAt":1700000000},"Gold":5})";

// What lambdas hold, to see when they are destroyed.
using witness = std::shared_ptr<int>;
inline bool is_alone(const witness &one) { return one.use_count() == 1; }

#endif
