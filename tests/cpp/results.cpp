// `result<T>`, texts and handles: what the rest is built on.
#include "world.hpp"

#include <cstring>
#include <new>
#include <type_traits>

namespace {

sl::result<int> half_of(int number) {
    if (number % 2 != 0) {
        return sl::fail(sl::status::out_of_range, "it is odd");
    }
    return number / 2;
}

static_assert(!std::is_copy_constructible_v<sl::profile> &&
              std::is_nothrow_move_constructible_v<sl::profile>);
static_assert(!std::is_copy_constructible_v<sl::locker> &&
              std::is_nothrow_move_constructible_v<sl::locker>);
static_assert(std::is_nothrow_move_assignable_v<sl::easy_store>);
static_assert(!std::is_copy_constructible_v<sl::save_data> &&
              std::is_copy_constructible_v<sl::save_data_ref>);
static_assert(std::is_convertible_v<sl::profile, sl::profile_ref>, "a profile goes where a name does");
static_assert(sizeof(sl::profile_ref) == sizeof(void *) && sizeof(sl::profile) == sizeof(void *));

// A place for an object that a lambda of its own keeps: with the lambda the object goes, and leaves a mark,
// which whatever is written to the object afterwards would spoil.
template <typename T> class place {
    alignas(T) unsigned char bytes_[sizeof(T)] = {};

public:
    explicit place(T given) : object(new(static_cast<void *>(bytes_)) T(std::move(given))) {}

    // What that lambda holds.
    std::shared_ptr<void> keeper() {
        return {this, [](void *of) { static_cast<place *>(of)->end(); }};
    }
    bool is_untouched() const {
        for (const unsigned char byte : bytes_) {
            if (byte != mark) {
                return false;
            }
        }
        return true;
    }

    T *const object;

private:
    static constexpr unsigned char mark = 0x5A;
    void end() {
        object->~T();
        std::memset(bytes_, mark, sizeof bytes_);
    }
};

} // namespace

TEST(a_result_has_a_value_or_an_error) {
    const auto well = half_of(8);
    CHECK(well && well.has_value() && *well == 4 && well.value() == 4 && well == 4);
    CHECK(well.value_or(9) == 4);
    const auto badly = half_of(7);
    CHECK(!badly && badly.value_or(9) == 9 && !(badly == 3));
    CHECK(check::fails(badly, sl::status::out_of_range, "it is odd"));
    const sl::result<void> nothing;
    CHECK(nothing.has_value());
    nothing.value();
    CHECK(check::fails(sl::result<void>(sl::fail("no")), sl::status::hook, "no"));
}

TEST(results_are_compared) {
    const sl::unexpected odd = sl::fail(sl::status::out_of_range, "it is odd");
    CHECK(half_of(8) == half_of(8) && half_of(8) != half_of(6) && half_of(8) != half_of(7));
    CHECK(half_of(7) == half_of(9) && half_of(7) == odd && half_of(8) != odd && half_of(7) != sl::fail("no"));
    CHECK(sl::result<void>() == sl::result<void>() && sl::result<void>() != sl::result<void>(odd));
    CHECK(sl::result<void>(odd) == odd);
}

TEST(results_are_copied_moved_and_assigned) {
    sl::result<std::string> text = std::string("a text that is too long to be kept in place");
    sl::result<std::string> copy = text;
    CHECK(copy == text.value());
    copy = sl::fail(sl::status::busy, "an error that is too long to be kept in place");
    CHECK(check::fails(copy, sl::status::busy, "too long") && text.has_value());
    sl::result<std::string> moved = std::move(copy);
    CHECK(check::fails(moved, sl::status::busy, "too long"));
    moved = std::move(text);
    CHECK(moved->substr(0, 6) == "a text" && std::move(moved).value().size() == 43);
    sl::result<std::unique_ptr<int>> only = std::make_unique<int>(5);
    sl::result<std::unique_ptr<int>> taken = std::move(only);
    CHECK(**taken == 5 && *only == nullptr);
    const std::unique_ptr<int> last = std::move(taken).value_or(nullptr);
    CHECK(last != nullptr && *taken == nullptr);
}

#if SESSION_LOCKER_HAS_EXCEPTIONS
TEST(the_value_of_a_failed_result_throws_its_error) {
    bool was_thrown = false;
    try {
        static_cast<void>(half_of(7).value());
    } catch (const std::exception &) {
        was_thrown = true;
    }
    CHECK(was_thrown);
}
#endif

TEST(every_status_has_the_name_of_the_c_header) {
    CHECK(check::same(sl::name(sl::status::busy), "SL_ERROR_BUSY"));
    CHECK(check::same(sl::name(sl::status::not_applicable), "SL_ERROR_NOT_APPLICABLE"));
    CHECK(check::same(sl::name(sl::status::ok), "SL_OK"));
}

TEST(load_statuses_and_signals_have_the_names_of_the_original) {
    CHECK(check::same(sl::name(sl::load_status::loading), "loading"));
    CHECK(check::same(sl::name(sl::load_status::loaded), "loaded"));
    CHECK(check::same(sl::name(sl::load_status::erased), "erased"));
    CHECK(check::same(sl::name(sl::signal::lifecycle), "Lifecycle"));
    CHECK(check::same(sl::name(sl::signal::lost), "Lost"));
    CHECK(check::same(sl::name(sl::signal::product_credit_changed), "ProductCreditChanged"));
}

TEST(json_pointers_are_put_together_with_their_names_escaped) {
    CHECK(check::same("/Inventory/3/Id", sl::pointer("Inventory", 3, "Id")));
    CHECK(check::same("/a~1b/m~0n/", sl::pointer("a/b", std::string("m~n"), "")));
    CHECK(check::same("", sl::pointer()));
}

TEST(json_strings_are_quoted_and_escaped) {
    using namespace std::string_view_literals;
    CHECK(check::same(R"("a\"b\\c\u000a\u0000\u001f")", sl::json_string("a\"b\\c\n\0\x1f"sv)));
    CHECK(check::same("\"\u00e4\U0001f600\"", sl::json_string("\u00e4\U0001f600")));
}

TEST(a_name_of_nothing_gives_errors_and_no_crash) {
    const sl::profile_ref nobody;
    CHECK(!nobody && !nobody.is_active() && !nobody.is_loaded() && !nobody.is_finished());
    CHECK(check::fails(nobody.key(), sl::status::invalid_handle));
    CHECK(!nobody.get_save_data());
    CHECK(check::fails(nobody.get_save_data()["/Gold"].get<int>(), sl::status::invalid_handle));
    CHECK(check::fails(nobody.on_saved([] {}), sl::status::invalid_handle));
    const sl::locker none;
    CHECK(check::fails(none.update(0), sl::status::invalid_handle));
    CHECK(check::fails(none.mark_should_acquire(), sl::status::invalid_handle));
    const sl::easy_store no_store;
    CHECK(check::fails(no_store.update(0), sl::status::invalid_handle));
    CHECK(check::fails(no_store.start_session("key"), sl::status::invalid_handle));
    CHECK(sl::profile().destroy().has_value());
}

TEST(a_handle_is_freed_once_whoever_has_it) {
    const std::uint64_t before = sl::live_handles();
    auto first = MUST(sl::save_data::create("{}"));
    sl::save_data second = std::move(first);
    CHECK(!first && second && sl::live_handles() == before + 1);
    first = std::move(second);
    CHECK(first && !second && sl::live_handles() == before + 1);
    first = MUST(sl::save_data::create(R"({"Gold":1})"));
    CHECK(sl::live_handles() == before + 1);
    SlSaveData *raw = first.release();
    CHECK(!first && sl::live_handles() == before + 1);
    sl::save_data again(raw);
    CHECK(again["/Gold"].get<int>() == 1);
    CHECK(again.destroy().has_value() && !again && sl::live_handles() == before);
}

TEST(an_object_may_go_with_the_lambdas_that_its_end_destroys) {
    const auto records = new_storage();
    server one(records);
    place<sl::profile> ended(MUST(one.store.start_session("ann")));
    MUST(ended.object->on_loaded([kept = ended.keeper()] {})).detach();
    CHECK(ended.object->destroy().has_value() && ended.is_untouched());

    place<sl::profile> replaced(MUST(one.store.start_session("ben")));
    MUST(replaced.object->on_loaded([kept = replaced.keeper()] {})).detach();
    *replaced.object = sl::profile();
    CHECK(replaced.is_untouched());

    const sl::profile cat = MUST(one.store.start_session("cat"));
    place<sl::signal_connection> connection{sl::signal_connection()};
    *connection.object = MUST(cat.on_loaded([kept = connection.keeper()] {}));
    connection.object->disconnect();
    CHECK(connection.is_untouched());
}

TEST(a_locker_may_go_with_what_its_own_farewell_ends) {
    moment time;
    notes heard;
    const auto records = new_storage();
    auto config = config_of<sl::locker_spec_config>(time, heard);
    std::shared_ptr<void> keeper;
    config.event = [&keeper](const sl::event &event) {
        if (event.lifecycle() == sl::lifecycle::deleted) {
            keeper = nullptr;
        }
    };
    const auto spec = MUST(sl::locker_spec::create(records, std::move(config)));
    place<sl::locker> replaced(MUST(sl::locker::create(spec, "ann")));
    MUST(replaced.object->update(0));
    keeper = replaced.keeper();
    *replaced.object = sl::locker();
    CHECK(replaced.is_untouched());
}
