// What the C++ tests share: tests that are named as sentences, and checks that say where they failed.
#ifndef CHECK_HPP
#define CHECK_HPP

#include "session_locker.hpp"

#include <cstdio>
#include <string>
#include <string_view>

namespace sl = session_locker;

namespace check {

// A test, which is on the list as soon as it is made.
struct test {
    test(const char *sentence, void (*run)());
    const char *sentence;
    void (*run)();
    test *next = nullptr;
};

// Notes that something does not hold.
void failed(const char *what, const char *file, int line);

inline void that(bool holds, const char *what, const char *file, int line) {
    if (!holds) {
        failed(what, file, line);
    }
}

// Whether two texts are the same; prints both if not.
bool same(std::string_view expected, std::string_view got);

// Whether a call failed with this status, and with these words in its message.
template <typename T>
bool fails(const sl::result<T> &outcome, sl::status code, std::string_view words = {}) {
    if (outcome.has_value()) {
        std::fprintf(stderr, "it went well\n");
        return false;
    }
    const bool is_it =
        outcome.error().code == code && outcome.error().message.find(words) != std::string::npos;
    if (!is_it) {
        std::fprintf(stderr, "it gave %s: %s\n", sl::name(outcome.error().code),
                     outcome.error().message.c_str());
    }
    return is_it;
}

[[noreturn]] void hopeless(const std::string &message, const char *file, int line);

template <typename T> T must(sl::result<T> outcome, const char *file, int line) {
    if (!outcome) {
        hopeless(outcome.error().message, file, line);
    }
    return *std::move(outcome);
}

inline void must(sl::result<void> outcome, const char *file, int line) {
    if (!outcome) {
        hopeless(outcome.error().message, file, line);
    }
}

} // namespace check

#define CHECK(...) ::check::that((__VA_ARGS__) ? true : false, #__VA_ARGS__, __FILE__, __LINE__)
// The value of a result, without which the test cannot go on.
#define MUST(...) ::check::must((__VA_ARGS__), __FILE__, __LINE__)
// A test, by a sentence that is true.
#define TEST(sentence)                                         \
    static void sentence();                                    \
    static ::check::test test_##sentence(#sentence, sentence); \
    static void sentence()

#endif
