// Runs all tests that are linked in, and counts them.
#include "check.hpp"

#include <cstdlib>
#include <cstring>

namespace check {
namespace {
test *first = nullptr;
test **last = &first;
int failures = 0;
} // namespace

test::test(const char *sentence_, void (*run_)()) : sentence(sentence_), run(run_) {
    *last = this;
    last = &next;
}

void failed(const char *what, const char *file, int line) {
    ++failures;
    std::fprintf(stderr, "%s:%d: %s does not hold\n", file, line, what);
}

bool same(std::string_view expected, std::string_view got) {
    if (expected == got) {
        return true;
    }
    std::fprintf(stderr, "expected: %.*s\n     got: %.*s\n", static_cast<int>(expected.size()),
                 expected.data(), static_cast<int>(got.size()), got.data());
    return false;
}

void hopeless(const std::string &message, const char *file, int line) {
    std::fprintf(stderr, "%s:%d: %s\n", file, line, message.c_str());
    std::exit(EXIT_FAILURE);
}

} // namespace check

// With an argument it runs only the tests that have it in their name.
int main(int argc, char **argv) {
    int passed = 0;
    int broken = 0;
    for (const check::test *one = check::first; one != nullptr; one = one->next) {
        if (argc > 1 && std::strstr(one->sentence, argv[1]) == nullptr) {
            continue;
        }
        const int before = check::failures;
        const std::uint64_t handles = sl::live_handles();
        one->run();
        if (sl::live_handles() != handles) {
            check::failed("that a test leaves no handle behind", one->sentence, 0);
        }
        if (check::failures == before) {
            ++passed;
        } else {
            ++broken;
            std::fprintf(stderr, "FAILED: %s\n", one->sentence);
        }
    }
    std::printf("%d passed, %d failed\n", passed, broken);
    return broken == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
