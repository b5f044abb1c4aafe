// Text on its way in and out: std::string_view in, std::string out, lists of both, JSON Pointers.
#ifndef SESSION_LOCKER_TEXT_HPP
#define SESSION_LOCKER_TEXT_HPP

#include "result.hpp"

#include <initializer_list>
#include <vector>

namespace session_locker {
inline namespace SESSION_LOCKER_MODE {
namespace detail {

// A text that the library gives; frees it.
class buffer {
public:
    buffer() = default;
    // Takes over what a call has filled.
    explicit buffer(const SlBuffer &filled) noexcept : raw_(filled) {}
    buffer(const buffer &) = delete;
    buffer &operator=(const buffer &) = delete;
    ~buffer() { session_locker_buffer_free(&raw_); }

    // For the call that fills it.
    [[nodiscard]] SlBuffer *out() noexcept { return &raw_; }
    [[nodiscard]] std::string_view view() const noexcept {
        return raw_.data == nullptr ? std::string_view() : std::string_view(raw_.data, raw_.length);
    }
    [[nodiscard]] std::string string() const { return std::string(view()); }

private:
    SlBuffer raw_{nullptr, 0, 0};
};

// What a call that gives a text came to.
[[nodiscard]] inline result<std::string> text_of(SlStatus code, const buffer &text) {
    if (code != SL_OK) {
        return failure(code);
    }
    return text.string();
}

[[nodiscard]] inline std::string_view view(const char *data, std::size_t length) noexcept {
    return data == nullptr ? std::string_view() : std::string_view(data, length);
}

[[nodiscard]] inline std::string_view view(const SlText &text) noexcept {
    return view(text.data, text.length);
}

[[nodiscard]] inline SlText text(std::string_view from) noexcept {
    return SlText{from.data(), from.size()};
}

// For parameters where an empty text must not be taken for "none", nor the other way round.
[[nodiscard]] inline const char *data_or_null(std::string_view from) noexcept {
    return from.empty() ? nullptr : from.data();
}

// Any list of texts, as an array of the C ABI. Lent by the texts it was made of.
template <typename Texts> [[nodiscard]] std::vector<SlText> texts(const Texts &from) {
    std::vector<SlText> all;
    all.reserve(from.size());
    for (const auto &one : from) {
        all.push_back(text(one));
    }
    return all;
}

inline void append_utf8(std::string &to, std::uint32_t letter) {
    const auto byte = [&to](std::uint32_t bits) {
        to += static_cast<char>(static_cast<unsigned char>(bits));
    };
    if (letter < 0x80) {
        byte(letter);
    } else if (letter < 0x800) {
        byte(0xC0 | (letter >> 6));
        byte(0x80 | (letter & 0x3F));
    } else if (letter < 0x10000) {
        byte(0xE0 | (letter >> 12));
        byte(0x80 | ((letter >> 6) & 0x3F));
        byte(0x80 | (letter & 0x3F));
    } else {
        byte(0xF0 | (letter >> 18));
        byte(0x80 | ((letter >> 12) & 0x3F));
        byte(0x80 | ((letter >> 6) & 0x3F));
        byte(0x80 | (letter & 0x3F));
    }
}

// The four hexadecimal digits at `at`, which the library has written and are there.
[[nodiscard]] inline std::uint32_t four_digits(std::string_view json, std::size_t at) {
    std::uint32_t value = 0;
    for (const char digit : json.substr(at, 4)) {
        const int low = digit <= '9' ? digit - '0' : (digit | 0x20) - 'a' + 10;
        value = value * 16 + static_cast<std::uint32_t>(low);
    }
    return value;
}

// The character behind a backslash at `at`; moves `at` to the last byte that belongs to it.
inline void append_escaped(std::string &to, std::string_view json, std::size_t &at) {
    switch (json[at]) {
    case 'b': to += '\b'; return;
    case 'f': to += '\f'; return;
    case 'n': to += '\n'; return;
    case 'r': to += '\r'; return;
    case 't': to += '\t'; return;
    case 'u': break;
    default: to += json[at]; return;
    }
    std::uint32_t letter = four_digits(json, at + 1);
    at += 4;
    if (letter >= 0xD800 && letter < 0xDC00) {
        letter = 0x10000 + ((letter - 0xD800) << 10) + (four_digits(json, at + 3) - 0xDC00);
        at += 6;
    }
    append_utf8(to, letter);
}

// The elements of a JSON array of strings, as the library writes one.
[[nodiscard]] inline std::vector<std::string> strings(std::string_view json) {
    std::vector<std::string> all;
    bool is_inside = false;
    for (std::size_t at = 0; at < json.size(); ++at) {
        const char letter = json[at];
        if (letter == '"') {
            is_inside = !is_inside;
            if (is_inside) {
                all.emplace_back();
            }
        } else if (is_inside && letter == '\\') {
            append_escaped(all.back(), json, ++at);
        } else if (is_inside) {
            all.back() += letter;
        }
    }
    return all;
}

// What a call that gives a JSON array of strings came to.
[[nodiscard]] inline result<std::vector<std::string>> strings_of(SlStatus code, const buffer &json) {
    if (code != SL_OK) {
        return failure(code);
    }
    return strings(json.view());
}

inline void append_step(std::string &pointer, std::string_view member) {
    pointer += '/';
    for (const char letter : member) {
        if (letter == '~') {
            pointer += "~0";
        } else if (letter == '/') {
            pointer += "~1";
        } else {
            pointer += letter;
        }
    }
}

template <typename Step> void append_one(std::string &pointer, const Step &step) {
    if constexpr (std::is_integral_v<Step>) {
        append_step(pointer, std::to_string(step));
    } else {
        append_step(pointer, step);
    }
}

} // namespace detail

/// The JSON Pointer (RFC 6901) that leads through these members and indices, with `/` and `~` in names
/// escaped: `pointer("Inventory", 3, "Id")` is `/Inventory/3/Id`.
template <typename... Steps> [[nodiscard]] std::string pointer(const Steps &...steps) {
    std::string made;
    (detail::append_one(made, steps), ...);
    return made;
}

/// A text as a JSON string, quoted and escaped, for hosts that put JSON together by hand.
[[nodiscard]] inline std::string json_string(std::string_view text) {
    constexpr std::string_view digits = "0123456789abcdef";
    std::string made = "\"";
    for (const char letter : text) {
        const auto code = static_cast<unsigned char>(letter);
        if (letter == '"' || letter == '\\') {
            made += '\\';
            made += letter;
        } else if (code < 0x20) {
            made += "\\u00";
            made += digits[code >> 4U];
            made += digits[code & 0x0FU];
        } else {
            made += letter;
        }
    }
    made += '"';
    return made;
}

} // namespace SESSION_LOCKER_MODE
} // namespace session_locker

#endif
