// What the C++ layer adds to a call of the C ABI: the same calls by both, taking turns.
#include "session_locker.hpp"

#include <chrono>
#include <cinttypes>
#include <cstdio>
#include <cstdlib>

namespace sl = session_locker;

namespace {

constexpr int rounds = 41;
constexpr int calls_per_round = 20000;

template <typename T> T must(sl::result<T> outcome) {
    if (!outcome) {
        std::fprintf(stderr, "%s\n", outcome.error().message.c_str());
        std::exit(EXIT_FAILURE);
    }
    return *std::move(outcome);
}

// Sums what is read, so that nothing is left out.
std::int64_t sum = 0;

template <typename Call> double round_ns(Call &call) {
    const auto begin = std::chrono::steady_clock::now();
    for (int at = 0; at < calls_per_round; ++at) {
        call(at);
    }
    const std::chrono::duration<double, std::nano> took = std::chrono::steady_clock::now() - begin;
    return took.count() / calls_per_round;
}

// The fastest round of each, for other programs only ever make a round slower.
template <typename C, typename Cpp> void compare(const char *what, C &&in_c, Cpp &&in_cpp) {
    double c_ns = 1e9;
    double cpp_ns = 1e9;
    for (int round = 0; round < rounds; ++round) {
        const double one = round_ns(in_c);
        const double other = round_ns(in_cpp);
        c_ns = one < c_ns ? one : c_ns;
        cpp_ns = other < cpp_ns ? other : cpp_ns;
    }
    const double more = 100 * (cpp_ns - c_ns) / c_ns;
    std::printf("C++ %-26s %8.1f ns %8.1f ns in C, %+5.1f %%   goal: at most +10 %%\n", what, cpp_ns, c_ns,
                more);
}

void fields(const sl::profile &profile) {
    const sl::save_data_ref data = profile.get_save_data();
    SlSaveData *const raw = data.handle();
    compare(
        "integer read",
        [raw](int) {
            std::int64_t gold = 0;
            if (save_data_get_i64(raw, "/Gold", 5, &gold) == SL_OK) {
                sum += gold;
            }
        },
        [data](int) { sum += data["/Gold"].get<std::int64_t>().value_or(0); });
    compare(
        "integer written",
        [raw](int at) {
            if (save_data_set_i64(raw, "/Gold", 5, at) != SL_OK) {
                sum += 1;
            }
        },
        [data](int at) { data["/Gold"] = at; });
    compare(
        "float read",
        [raw](int) {
            double luck = 0;
            if (save_data_get_f64(raw, "/Luck", 5, &luck) == SL_OK) {
                sum += luck > 0 ? 1 : 0;
            }
        },
        [data](int) { sum += data["/Luck"].get<double>().value_or(0) > 0 ? 1 : 0; });
    compare(
        "string read",
        [raw](int) {
            SlBuffer text;
            if (save_data_get_string(raw, "/Name", 5, &text) == SL_OK) {
                sum += static_cast<std::int64_t>(text.length);
                session_locker_buffer_free(&text);
            }
        },
        [data](int) {
            if (const auto text = data["/Name"].get<std::string>()) {
                sum += static_cast<std::int64_t>(text->size());
            }
        });
}

} // namespace

int main() {
    const sl::storage records = must(sl::storage::open("memory:"));
    sl::easy_store_config config;
    config.template_json = R"({"Gold":1,"Luck":0.25,"Name":"Ann"})";
    const sl::easy_store store = must(sl::easy_store::create(records, std::move(config)));
    const sl::profile profile = must(store.start_session("player/ann"));
    if (!profile.wait_until_loaded(10)) {
        return EXIT_FAILURE;
    }
    fields(profile);
    const double now = sl::now();
    compare(
        "idle frame", [&](int) { sum += easy_store_update(store.handle(), now); },
        [&](int) { sum += store.update(now) ? 0 : 1; });
    return sum == 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
