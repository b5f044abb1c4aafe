// A player's save data, read and written by JSON Pointer: `data["/Gold"]`.
#ifndef SESSION_LOCKER_SAVE_DATA_HPP
#define SESSION_LOCKER_SAVE_DATA_HPP

#include "callback.hpp"
#include "handle.hpp"
#include "text.hpp"

#include <cmath>
#include <cstdio>
#include <limits>

namespace session_locker {
inline namespace SESSION_LOCKER_MODE {

/// What kind of value a field has.
enum class value_type : std::int32_t {
    null = SL_VALUE_NULL,
    boolean = SL_VALUE_BOOL,
    integer = SL_VALUE_INTEGER,
    number = SL_VALUE_FLOAT,
    string = SL_VALUE_STRING,
    array = SL_VALUE_ARRAY,
    object = SL_VALUE_OBJECT,
};

/// A value of whatever type it is, for hosts that do not know it before.
struct value {
    /// Which of the members below mean something. An integer that does not fit 64 bits is a number.
    value_type type = value_type::null;
    /// Of a boolean.
    bool boolean = false;
    /// Of an integer.
    std::int64_t integer = 0;
    /// Of a number, and of an integer.
    double number = 0;
    /// Elements of an array, members of an object, bytes of a string.
    std::size_t length = 0;
    /// Of a string.
    std::string string;
};

/// What an assignment to save data came to: `data["/Gold"] = 5`.
///
/// It may be looked at: `if (!(data["/Gold"] = 5)) …`. One that failed and that nobody has looked at is
/// not lost: inside a hook it becomes the hook's failure, and elsewhere it goes to the host's log (see
/// `set_log_callback`). `set` gives a plain result instead, which the compiler wants looked at.
class written {
public:
    /// Of a call of the C ABI on this thread, the last one.
    explicit written(SlStatus code) {
        if (code != SL_OK) {
            error_ = detail::failure(code).error();
        }
    }
    /// Of a write.
    explicit written(result<void> outcome) {
        if (!outcome) {
            error_ = std::move(outcome).error();
        }
    }
    written(written &&other) noexcept
        : error_(std::exchange(other.error_, std::nullopt)), is_seen_(other.is_seen_) {}
    written(const written &) = delete;
    written &operator=(const written &) = delete;
    written &operator=(written &&) = delete;
    ~written() {
        if (error_ && !is_seen_) {
            tell();
        }
    }

    /// Whether it went well. Now it counts as looked at.
    [[nodiscard]] bool has_value() noexcept {
        is_seen_ = true;
        return !error_;
    }
    /// Whether it went well. Now it counts as looked at.
    explicit operator bool() noexcept { return has_value(); }
    /// The error, which must be there.
    [[nodiscard]] const session_locker::error &error() noexcept {
        is_seen_ = true;
        return *error_;
    }
    /// The same as a result.
    operator result<void>() && {
        if (!has_value()) {
            return unexpected(*std::move(error_));
        }
        return {};
    }

private:
    void tell() noexcept {
        if (detail::innermost_hook == nullptr) {
            detail::log_failure("An assignment to save data has failed", error_->message);
        } else if (!detail::innermost_hook->unseen) {
            detail::innermost_hook->unseen = std::move(error_);
        }
    }

    std::optional<session_locker::error> error_;
    bool is_seen_ = false;
};

namespace detail {

// A float as JSON has it, whatever the locale: with all its digits, and still a float without a
// fraction.
[[nodiscard]] inline std::string json_number(double number) {
    char digits[40];
    const int length = std::snprintf(digits, sizeof digits, "%.17g", number);
    std::string made;
    bool is_float = false;
    for (const char letter : std::string_view(digits, static_cast<std::size_t>(length))) {
        const bool is_plain = (letter >= '0' && letter <= '9') || letter == '-' || letter == '+';
        if (is_plain || letter == 'e') {
            made += letter;
            is_float = is_float || letter == 'e';
        } else if (!is_float) {
            made += '.';
            is_float = true;
        }
    }
    return is_float ? made : made + ".0";
}

template <typename T, typename... Types> constexpr bool is_one_of = (std::is_same_v<T, Types> || ...);

// Neither a bool, nor a letter of whatever kind, nor more than 64 bits.
template <typename T>
constexpr bool is_integer = is_one_of<T, signed char, unsigned char, short, unsigned short, int, unsigned,
                                      long, unsigned long, long long, unsigned long long>;

[[nodiscard]] inline unexpected does_not_fit(const std::string &number, const char *into) {
    return fail(status::out_of_range, number + " does not fit " + into);
}

// An integer as the library has them.
template <typename T> [[nodiscard]] result<std::int64_t> integer_of(T number) {
    if constexpr (std::is_unsigned_v<T> && sizeof(T) >= sizeof(std::int64_t)) {
        if (number > static_cast<T>((std::numeric_limits<std::int64_t>::max)())) {
            return does_not_fit(std::to_string(number), "a signed integer of 64 bits");
        }
    }
    return static_cast<std::int64_t>(number);
}

// A float of another size; one that is too large for it has no meaning in C++.
template <typename To, typename From> [[nodiscard]] result<To> float_of(From number) {
    if constexpr (sizeof(To) < sizeof(From)) {
        constexpr auto most = static_cast<From>((std::numeric_limits<To>::max)());
        if (std::isfinite(number) && (number > most || number < -most)) {
            return does_not_fit("a number", "the float that it is to be");
        }
    }
    return static_cast<To>(number);
}

} // namespace detail

/// One place in a save data, named by its JSON Pointer. It exists while it is named, as in
/// `data["/Gold"].get<int>()` and `data["/Gold"] = 5`, for it holds the pointer by reference.
///
/// Any thread. Errors of reading: `not_found`, `wrong_type` and those of every `save_data_` function;
/// of writing: those of every write; see SlSaveData in the C header.
class field {
public:
    /// Made by `save_data_ref::operator[]`.
    field(SlSaveData *data, std::string_view pointer) noexcept : data_(data), pointer_(pointer) {}
    field(const field &) = delete;
    field &operator=(const field &) = delete;
    ~field() = default;

    /// The value, as a bool, an integer, a floating-point number, a std::string, or a `value` of any
    /// type. A number that is too large for T is `out_of_range`; a float without a fraction counts as an
    /// integer, and any integer as a float.
    template <typename T> [[nodiscard]] result<T> get() const &&;
    /// The value as JSON text; of the pointer "" the whole document, reserved fields included.
    [[nodiscard]] result<std::string> get_json() const && {
        detail::buffer json;
        const SlStatus code = save_data_get_json(data_, pointer_.data(), pointer_.size(), json.out());
        return detail::text_of(code, json);
    }
    /// What type the value is of.
    [[nodiscard]] result<value_type> type() const && {
        std::int32_t type = 0;
        const SlStatus code = save_data_type(data_, pointer_.data(), pointer_.size(), &type);
        return detail::checked<value_type>(code, type);
    }
    /// How many elements the array, members the object, or bytes the string has.
    [[nodiscard]] result<std::size_t> length() const && {
        std::size_t length = 0;
        const SlStatus code = save_data_length(data_, pointer_.data(), pointer_.size(), &length);
        return detail::checked<std::size_t>(code, length);
    }
    /// The names of the object's members, in their order.
    [[nodiscard]] result<std::vector<std::string>> names() const && {
        detail::buffer names;
        const SlStatus code = save_data_get_names(data_, pointer_.data(), pointer_.size(), names.out());
        return detail::strings_of(code, names);
    }
    /// Whether there is anything here, a `null` too. No where it cannot be told.
    [[nodiscard]] bool contains() const &&noexcept {
        std::int32_t is_there = 0;
        return save_data_contains(data_, pointer_.data(), pointer_.size(), &is_there) == SL_OK &&
               is_there != 0;
    }

    /// Sets the value to a bool, an integer, a floating-point number (which stays one also without a
    /// fraction; not NaN or infinite), a text, or with nullptr to `null`. An unsigned number beyond
    /// 2^63 is `out_of_range`.
    template <typename T> [[nodiscard]] result<void> set(const T &value) const &&;
    /// Sets the value to JSON text; of the pointer "" all fields of the player's at once, where reserved
    /// names are ignored.
    [[nodiscard]] result<void> set_json(std::string_view json) const && {
        return detail::checked(
            save_data_set_json(data_, pointer_.data(), pointer_.size(), json.data(), json.size()));
    }
    /// As `set`; what it came to need not be looked at: see `written`.
    template <typename T> written operator=(const T &value) const && {
        return written(std::move(*this).set(value));
    }
    /// As `add`; what it came to need not be looked at: see `written`.
    template <typename T> written operator+=(T delta) const && {
        return written_of(std::move(*this).add(delta));
    }
    /// As `add` of what is the other way round.
    template <typename T> written operator-=(T delta) const &&;

    /// Adds an integer to the integer that must be there, in one step, and gives the sum.
    template <typename T> [[nodiscard]] result<std::int64_t> add(T delta) const &&;
    /// Appends a value of the kinds that `set` takes to the array.
    template <typename T> [[nodiscard]] result<void> append(const T &value) const &&;
    /// Appends JSON text to the array.
    [[nodiscard]] result<void> append_json(std::string_view json) const && {
        return detail::checked(
            save_data_append(data_, pointer_.data(), pointer_.size(), json.data(), json.size()));
    }
    /// Removes the value; later elements of an array move down.
    [[nodiscard]] result<void> remove() const && {
        return detail::checked(save_data_remove(data_, pointer_.data(), pointer_.size()));
    }

private:
    [[nodiscard]] result<value> get_value() const;
    [[nodiscard]] static written written_of(const result<std::int64_t> &sum) {
        return sum ? written(SL_OK) : written(result<void>(unexpected(sum.error())));
    }

    SlSaveData *data_;
    std::string_view pointer_;
};

template <typename T> result<T> field::get() const && {
    if constexpr (std::is_same_v<T, bool>) {
        std::int32_t read = 0;
        const SlStatus code = save_data_get_bool(data_, pointer_.data(), pointer_.size(), &read);
        if (code != SL_OK) {
            return detail::failure(code);
        }
        return read != 0;
    } else if constexpr (std::is_integral_v<T>) {
        static_assert(detail::is_integer<T>,
                      "an integer of up to 64 bits or a std::string, not a single character");
        std::int64_t read = 0;
        const SlStatus code = save_data_get_i64(data_, pointer_.data(), pointer_.size(), &read);
        if (code != SL_OK) {
            return detail::failure(code);
        }
        const T narrow = static_cast<T>(read);
        if (static_cast<std::int64_t>(narrow) != read || (std::is_unsigned_v<T> && read < 0)) {
            return detail::does_not_fit(std::to_string(read), "the integer asked for");
        }
        return narrow;
    } else if constexpr (std::is_floating_point_v<T>) {
        double read = 0;
        const SlStatus code = save_data_get_f64(data_, pointer_.data(), pointer_.size(), &read);
        if (code != SL_OK) {
            return detail::failure(code);
        }
        return detail::float_of<T>(read);
    } else if constexpr (std::is_same_v<T, value>) {
        return get_value();
    } else {
        static_assert(std::is_same_v<T, std::string>,
                      "a field is read as a bool, an integer, a float, a std::string or a value");
        detail::buffer read;
        const SlStatus code = save_data_get_string(data_, pointer_.data(), pointer_.size(), read.out());
        return detail::text_of(code, read);
    }
}

inline result<value> field::get_value() const {
    SlValue raw{};
    const SlStatus code = save_data_get_value(data_, pointer_.data(), pointer_.size(), &raw);
    if (code != SL_OK) {
        return detail::failure(code);
    }
    const detail::buffer text(raw.text);
    value read;
    read.type = static_cast<value_type>(raw.value_type);
    read.boolean = raw.boolean != 0;
    read.integer = raw.integer;
    read.number = raw.number;
    read.length = raw.length;
    read.string = text.string();
    return read;
}

template <typename T> result<void> field::set(const T &value) const && {
    const char *at = pointer_.data();
    const std::size_t length = pointer_.size();
    if constexpr (std::is_same_v<T, std::nullptr_t>) {
        return detail::checked(save_data_set_null(data_, at, length));
    } else if constexpr (std::is_same_v<T, bool>) {
        return detail::checked(save_data_set_bool(data_, at, length, value ? 1 : 0));
    } else if constexpr (std::is_integral_v<T>) {
        static_assert(detail::is_integer<T>,
                      "an integer of up to 64 bits or a text, not a single character");
        const result<std::int64_t> number = detail::integer_of(value);
        if (!number) {
            return unexpected(number.error());
        }
        return detail::checked(save_data_set_i64(data_, at, length, *number));
    } else if constexpr (std::is_floating_point_v<T>) {
        const result<double> number = detail::float_of<double>(value);
        if (!number) {
            return unexpected(number.error());
        }
        return detail::checked(save_data_set_f64(data_, at, length, *number));
    } else {
        static_assert(std::is_convertible_v<const T &, std::string_view>,
                      "a field is set to a bool, an integer, a float, a text or nullptr");
        const std::string_view text = value;
        return detail::checked(save_data_set_string(data_, at, length, text.data(), text.size()));
    }
}

template <typename T> result<std::int64_t> field::add(T delta) const && {
    static_assert(detail::is_integer<T>, "integers are added to; a float is read, and set anew");
    const result<std::int64_t> number = detail::integer_of(delta);
    if (!number) {
        return number;
    }
    std::int64_t sum = 0;
    const SlStatus code = save_data_add_i64(data_, pointer_.data(), pointer_.size(), *number, &sum);
    return detail::checked<std::int64_t>(code, sum);
}

template <typename T> written field::operator-=(T delta) const && {
    static_assert(detail::is_integer<T>, "integers are taken from; a float is read, and set anew");
    result<std::int64_t> number = detail::integer_of(delta);
    if (number && *number == (std::numeric_limits<std::int64_t>::min)()) {
        number = detail::does_not_fit("what is to be taken away", "a signed integer of 64 bits");
    }
    return written_of(number ? std::move(*this).add(-*number) : number);
}

template <typename T> result<void> field::append(const T &value) const && {
    if constexpr (std::is_same_v<T, std::nullptr_t>) {
        return std::move(*this).append_json("null");
    } else if constexpr (std::is_same_v<T, bool>) {
        return std::move(*this).append_json(value ? "true" : "false");
    } else if constexpr (std::is_integral_v<T>) {
        static_assert(detail::is_integer<T>,
                      "an integer of up to 64 bits or a text, not a single character");
        const result<std::int64_t> number = detail::integer_of(value);
        if (!number) {
            return unexpected(number.error());
        }
        return std::move(*this).append_json(std::to_string(*number));
    } else if constexpr (std::is_floating_point_v<T>) {
        const result<double> number = detail::float_of<double>(value);
        if (!number) {
            return unexpected(number.error());
        }
        if (!std::isfinite(*number)) {
            return fail(status::out_of_range, "JSON has no word for a number that is not finite");
        }
        return std::move(*this).append_json(detail::json_number(*number));
    } else {
        static_assert(std::is_convertible_v<const T &, std::string_view>,
                      "an element is a bool, an integer, a float, a text or nullptr");
        return std::move(*this).append_json(json_string(value));
    }
}

/// The player's fields of a save data as they were at one moment.
class save_data_backup : public base::owner<base::named<SlSaveDataBackup>, save_data_backup_destroy> {
public:
    using owner::owner;
};

/// A save data that belongs to somebody else: a profile's, a locker's, a hook's draft. A small name,
/// to be copied; it lasts as long as what it came from, and fails with `invalid_handle` afterwards.
class save_data_ref : public base::named<SlSaveData> {
public:
    using named::named;

    /// The place that a JSON Pointer names, such as `/Inventory/3/Id`; "" is the whole document. See
    /// `pointer` for names that hold `/` or `~`.
    [[nodiscard]] field operator[](std::string_view pointer) const noexcept {
        return field(handle_, pointer);
    }
    /// Applies a JSON Merge Patch (RFC 7396) to the whole document. Errors besides those of every
    /// write: `invalid_json`, `wrong_type`.
    [[nodiscard]] result<void> merge_patch(std::string_view json) const {
        return detail::checked(save_data_merge_patch(handle_, json.data(), json.size()));
    }
    /// Applies a JSON Patch (RFC 6902), all of its operations or none. Errors besides those of every
    /// write: `invalid_json`, `patch_failed`.
    [[nodiscard]] result<void> apply_patch(std::string_view json) const {
        return detail::checked(save_data_apply_patch(handle_, json.data(), json.size()));
    }
    /// Keeps the player's fields as they are now: the seed's `TableDeepCopy`. Cheap.
    [[nodiscard]] result<save_data_backup> backup() const {
        SlSaveDataBackup *made = nullptr;
        const SlStatus code = ::save_data_backup(handle_, &made);
        return detail::owned<session_locker::save_data_backup>(code, made);
    }
    /// Puts the player's fields back: the seed's `TableRestoreBackup`. Errors: `busy`, `not_active`,
    /// `too_large`.
    [[nodiscard]] result<void> restore(const save_data_backup &from) const {
        return detail::checked(save_data_restore(handle_, from.handle()));
    }
};

/// A save data of the host's own, which belongs to no session: for tools, tests, and JSON that came from
/// elsewhere.
class save_data : public base::owner<save_data_ref, save_data_destroy> {
public:
    using owner::owner;

    /// Makes one of a JSON object, `{}` for an empty one; reserved names in it are ignored. Errors:
    /// `invalid_utf8`, `invalid_json`, `wrong_type` (not an object), `too_large` (4 MiB).
    [[nodiscard]] static result<save_data> create(std::string_view json) {
        SlSaveData *made = nullptr;
        const SlStatus code = save_data_create(json.data(), json.size(), &made);
        return detail::owned<save_data>(code, made);
    }
    /// Makes one of a stored document, reserved fields included. Errors as for `create`, with 8 MiB.
    [[nodiscard]] static result<save_data> parse(std::string_view bytes) {
        SlSaveData *made = nullptr;
        const SlStatus code = save_data_parse(bytes.data(), bytes.size(), &made);
        return detail::owned<save_data>(code, made);
    }
};

} // namespace SESSION_LOCKER_MODE
} // namespace session_locker

#endif
