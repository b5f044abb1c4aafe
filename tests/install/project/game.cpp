// One session by way of an installed library, in C++.
#include <session_locker.hpp>

#include <cstdio>

namespace sl = session_locker;

static sl::result<long> gold_of(const char *key) {
    auto storage = sl::storage::open("memory:");
    if (!storage) {
        return sl::unexpected(storage.error());
    }
    sl::easy_store_config config;
    config.template_json = R"({"Gold":25})";
    auto store = sl::easy_store::create(*storage, std::move(config));
    if (!store) {
        return sl::unexpected(store.error());
    }
    auto profile = store->start_session(key);
    if (!profile) {
        return sl::unexpected(profile.error());
    }
    if (auto loaded = profile->wait_until_loaded(10); !loaded) {
        return sl::unexpected(loaded.error());
    }
    return profile->get_save_data()["/Gold"].get<long>();
}

int main() {
    const auto gold = gold_of("player/1");
    if (!gold) {
        std::fprintf(stderr, "%s\n", gold.error().message.c_str());
        return 1;
    }
    std::printf("session-locker %s: %ld gold\n", sl::version(), *gold);
    return 0;
}
