// A program whose parts are compiled by two compilers, by three standards, with and without exceptions. All
// are called, and each finds its own kind of result and of hook.
#include <cstdio>

#define PARTS                 \
    PART(gxx_cxx17)           \
    PART(gxx_cxx20)           \
    PART(gxx_cxx23)           \
    PART(gxx_cxx17_plain)     \
    PART(gxx_cxx20_plain)     \
    PART(gxx_cxx23_plain)     \
    PART(clangxx_cxx17)       \
    PART(clangxx_cxx20)       \
    PART(clangxx_cxx23)       \
    PART(clangxx_cxx17_plain) \
    PART(clangxx_cxx20_plain) \
    PART(clangxx_cxx23_plain)

#define PART(name) int name();
PARTS
#undef PART

int main() {
    int passed = 0;
    int failed = 0;
#define PART(name)                                                        \
    if (const int points = name(); points == 1111) {                      \
        ++passed;                                                         \
    } else {                                                              \
        ++failed;                                                         \
        std::fprintf(stderr, #name " has %d points, not 1111\n", points); \
    }
    PARTS
    std::printf("%d passed, %d failed\n", passed, failed);
    return failed;
}
