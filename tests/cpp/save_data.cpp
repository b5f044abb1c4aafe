// Save data: typed access by JSON Pointer, and assignments that fail.
#include "world.hpp"

#include <cmath>
#include <limits>

using check::fails;

TEST(integers_of_64_bits_come_back_exactly) {
    const auto data = MUST(sl::save_data::create("{}"));
    for (const std::int64_t number :
         {std::numeric_limits<std::int64_t>::min(), std::int64_t{-1}, std::int64_t{0},
          (std::int64_t{1} << 53) + 1, std::numeric_limits<std::int64_t>::max()}) {
        CHECK(data["/N"] = number);
        CHECK(data["/N"].get<std::int64_t>() == number);
    }
    CHECK(data["/N"].set(std::uint64_t{7}).has_value() &&
          data["/N"].get<std::uint64_t>() == std::uint64_t{7});
    CHECK(fails(data["/N"].set(std::numeric_limits<std::uint64_t>::max()), sl::status::out_of_range,
                "18446744073709551615 does not fit"));
    CHECK(data["/N"].get<int>() == 7);
}

TEST(an_integer_that_is_too_large_for_what_is_asked_is_out_of_range) {
    const auto data =
        MUST(sl::save_data::create(R"({"N":300,"Minus":-1,"Big":4294967296,"Huge":9223372036854775808})"));
    CHECK(fails(data["/N"].get<std::int8_t>(), sl::status::out_of_range, "300 does not fit"));
    CHECK(fails(data["/N"].get<std::uint8_t>(), sl::status::out_of_range));
    CHECK(data["/N"].get<std::int16_t>() == 300);
    CHECK(fails(data["/Minus"].get<unsigned>(), sl::status::out_of_range));
    CHECK(fails(data["/Minus"].get<std::uint64_t>(), sl::status::out_of_range));
    CHECK(fails(data["/Big"].get<int>(), sl::status::out_of_range));
    CHECK(fails(data["/Huge"].get<std::int64_t>(), sl::status::out_of_range));
}

TEST(a_number_that_is_too_large_for_the_float_asked_for_is_out_of_range) {
    const auto data = MUST(sl::save_data::create(R"({"N":1e300,"Minus":-1e300,"Most":3.4e38})"));
    CHECK(fails(data["/N"].get<float>(), sl::status::out_of_range, "does not fit the float"));
    CHECK(fails(data["/Minus"].get<float>(), sl::status::out_of_range));
    CHECK(data["/Most"].get<float>().has_value() && data["/N"].get<double>().has_value());
    if (std::numeric_limits<long double>::max_exponent > std::numeric_limits<double>::max_exponent) {
        const long double most = std::numeric_limits<long double>::max();
        CHECK(fails(data["/N"].set(most), sl::status::out_of_range));
        CHECK(fails(data["/N"].append(-most), sl::status::out_of_range));
    }
}

TEST(floats_come_back_to_the_last_digit_and_stay_floats) {
    const auto data = MUST(sl::save_data::create("{}"));
    for (const double number : {0.1, 1.0 / 3, 5e-324, 1.7976931348623157e308, -0.0, 3.0}) {
        CHECK(data["/N"] = number);
        const double read = MUST(data["/N"].get<double>());
        CHECK(read >= number && read <= number && std::signbit(read) == std::signbit(number));
        CHECK(data["/N"].type() == sl::value_type::number);
    }
    CHECK(fails(data["/N"].set(std::nan("")), sl::status::out_of_range));
    CHECK(data["/N"].get<int>() == 3);
    CHECK(data["/N"].get<float>() == 3.0F);
}

TEST(strings_keep_unicode_and_nul) {
    using namespace std::string_view_literals;
    const auto data = MUST(sl::save_data::create("{}"));
    const std::string_view text = "\u00dcn\0\"\\\n\U0001f600"sv;
    CHECK(data["/Text"] = text);
    CHECK(data["/Text"].get<std::string>() == std::string(text));
    CHECK(data["/Text"].length() == text.size());
    CHECK(data["/Text"] = "a literal");
    CHECK(data["/Text"] = std::string("a string"));
    CHECK(data["/Text"].get<std::string>() == std::string("a string"));
    CHECK(fails(data["/Text"].set("\xff"sv), sl::status::invalid_utf8));
}

TEST(bools_and_null_are_read_and_written) {
    const auto data = MUST(sl::save_data::create("{}"));
    CHECK(data["/B"] = true);
    CHECK(data["/B"].get<bool>() == true && data["/B"].type() == sl::value_type::boolean);
    CHECK(data["/B"] = false);
    CHECK(data["/B"].get<bool>() == false);
    CHECK(data["/B"] = nullptr);
    CHECK(data["/B"].type() == sl::value_type::null && data["/B"].contains());
    CHECK(fails(data["/B"].get<bool>(), sl::status::wrong_type));
    CHECK(!data["/C"].contains());
}

TEST(names_with_slashes_and_tildes_are_reached_through_json_pointers) {
    const auto data = MUST(sl::save_data::create(R"({"a/b":{"m~n":[1,{"":5}]}})"));
    CHECK(data["/a~1b/m~0n/1/"].get<int>() == 5);
    CHECK(data[sl::pointer("a/b", "m~n", 0)].get<int>() == 1);
    CHECK(data[sl::pointer("a/b", "m~n", 1, "")] = 6);
    CHECK(check::same(R"({"m~n":[1,{"":6}]})", MUST(data["/a~1b"].get_json())));
    CHECK(fails(data["a/b"].get<int>(), sl::status::invalid_pointer));
}

TEST(what_is_missing_or_of_another_type_is_told_apart) {
    const auto data = MUST(sl::save_data::create(R"({"Gold":5,"Name":"Ann"})"));
    CHECK(fails(data["/Silver"].get<int>(), sl::status::not_found));
    CHECK(data["/Silver"].get<std::int64_t>().value_or(0) == 0);
    CHECK(fails(data["/Name"].get<int>(), sl::status::wrong_type));
    CHECK(fails(data["/Gold"].get<std::string>(), sl::status::wrong_type));
    CHECK(fails(data["/Gold/Deeper"].set(1), sl::status::wrong_type));
    CHECK(fails(data["/No/Parent"].set(1), sl::status::not_found));
    CHECK(fails(data["/Version"].set(2), sl::status::reserved_field));
}

TEST(numbers_are_added_to_in_one_step) {
    const auto data = MUST(sl::save_data::create(R"({"Gold":5})"));
    CHECK(data["/Gold"].add(100) == 105);
    CHECK(data["/Gold"] += -5);
    CHECK(data["/Gold"].get<int>() == 100);
    CHECK(data["/Gold"] -= 30U);
    CHECK(data["/Gold"] -= -30);
    CHECK(data["/Gold"].get<int>() == 100);
    const std::uint64_t too_much = std::numeric_limits<std::uint64_t>::max();
    CHECK(fails(data["/Gold"].add(too_much), sl::status::out_of_range, "18446744073709551615"));
    CHECK(!(data["/Gold"] += too_much) && !(data["/Gold"] -= too_much));
    CHECK(!(data["/Gold"] -= std::numeric_limits<std::int64_t>::min()));
    CHECK(data["/Gold"].get<int>() == 100);
    CHECK(fails(data["/Gold"].add(std::numeric_limits<std::int64_t>::max()), sl::status::out_of_range));
    CHECK(fails(data["/Silver"].add(1), sl::status::not_found));
}

TEST(values_of_every_kind_are_appended_to_arrays) {
    const auto data = MUST(sl::save_data::create(R"({"A":[],"O":{}})"));
    MUST(data["/A"].append(1));
    MUST(data["/A"].append(-9223372036854775807 - 1));
    MUST(data["/A"].append(0.1));
    MUST(data["/A"].append(0.1 + 0.2));
    MUST(data["/A"].append(2.0));
    MUST(data["/A"].append(1e300));
    MUST(data["/A"].append(true));
    MUST(data["/A"].append(nullptr));
    MUST(data["/A"].append("a\"b"));
    MUST(data["/A"].append_json(R"({"Id":7})"));
    CHECK(check::same(
        R"([1,-9223372036854775808,0.1,0.30000000000000004,2.0,1e+300,true,null,"a\"b",{"Id":7}])",
        MUST(data["/A"].get_json())));
    CHECK(fails(data["/A"].append(std::numeric_limits<double>::infinity()), sl::status::out_of_range));
    CHECK(fails(data["/A"].append(std::numeric_limits<std::uint64_t>::max()), sl::status::out_of_range));
    CHECK(fails(data["/O"].append(1), sl::status::wrong_type));
    MUST(data["/A/0"].remove());
    CHECK(data["/A"].length() == std::size_t{9} && data["/A/1"].get<double>() == 0.1);
    CHECK(fails(data["/A/9"].remove(), sl::status::not_found));
}

TEST(a_value_of_any_type_is_read_at_once) {
    const auto data = MUST(sl::save_data::create(
        R"({"I":9007199254740993,"F":2.5,"B":true,"S":"a\u0000b","N":null,"A":[1,2],"O":{"x":1,"y":2,"z":3},"U":18446744073709551615})"));
    const auto read = [&](std::string_view pointer) { return MUST(data[pointer].get<sl::value>()); };
    CHECK(read("/I").type == sl::value_type::integer && read("/I").integer == 9007199254740993);
    CHECK(read("/F").type == sl::value_type::number && read("/F").number > 2.4 && read("/F").number < 2.6);
    CHECK(read("/B").type == sl::value_type::boolean && read("/B").boolean);
    CHECK(read("/S").type == sl::value_type::string && read("/S").string == std::string("a\0b", 3));
    CHECK(read("/S").length == 3 && read("/N").type == sl::value_type::null);
    CHECK(read("/A").type == sl::value_type::array && read("/A").length == 2);
    CHECK(read("/O").type == sl::value_type::object && read("/O").length == 3);
    CHECK(read("/U").type == sl::value_type::number);
    CHECK(fails(data["/X"].get<sl::value>(), sl::status::not_found));
}

TEST(the_names_of_members_are_listed_in_their_order) {
    const auto data = MUST(sl::save_data::create(
        R"({"O":{"b":1,"a\"\\/\b\f\n\r\t\u0001":2,"\u00fc\u20ac\ud83d\ude00":3,"":4,",":5},"E":{}})"));
    const auto names = MUST(data["/O"].names());
    CHECK(names.size() == 5);
    CHECK(check::same("b", names[0]) && check::same("a\"\\/\b\f\n\r\t\x01", names[1]));
    CHECK(check::same("\u00fc\u20ac\U0001f600", names[2]) && check::same("", names[3]));
    CHECK(check::same(",", names[4]));
    CHECK(MUST(data["/E"].names()).empty());
    CHECK(fails(data["/O/b"].names(), sl::status::wrong_type));
}

TEST(escapes_that_the_library_need_not_write_are_understood) {
    const auto all = sl::detail::strings("[\"\\u00fc\\u20AC\\ud83d\\ude00\", \"\\/\\b\",\"\"]");
    CHECK(all.size() == 3 && check::same("\u00fc\u20ac\U0001f600", all[0]));
    CHECK(check::same("/\b", all[1]) && check::same("", all[2]));
    CHECK(sl::detail::strings("[]").empty());
}

TEST(whole_documents_are_read_patched_and_put_back) {
    const auto data = MUST(sl::save_data::create(R"({"Gold":5,"Items":["a"]})"));
    const auto before = MUST(data.backup());
    MUST(data.merge_patch(R"({"Gold":6,"Items":null})"));
    CHECK(data["/Gold"].get<int>() == 6 && !data["/Items"].contains());
    MUST(data.apply_patch(
        R"([{"op":"replace","path":"/Gold","value":7},{"op":"add","path":"/Name","value":"x"}])"));
    CHECK(data["/Gold"].get<int>() == 7);
    CHECK(fails(data.apply_patch(R"([{"op":"remove","path":"/None"}])"), sl::status::patch_failed));
    CHECK(fails(data.merge_patch("[]"), sl::status::wrong_type));
    MUST(data.restore(before));
    CHECK(data["/Gold"].get<int>() == 5 && data["/Items/0"].get<std::string>() == std::string("a"));
    MUST(data[""].set_json(R"({"Only":1,"Version":9})"));
    CHECK(data["/Only"].get<int>() == 1 && !data["/Gold"].contains());
    CHECK(MUST(data[""].get_json()).find(R"("Version":9)") == std::string::npos);
    CHECK(fails(data[""].set_json("{"), sl::status::invalid_json));
}

TEST(stored_documents_are_parsed_with_their_reserved_fields) {
    const auto data = MUST(sl::save_data::parse(R"({"Version":3,"Gold":5})"));
    CHECK(data["/Version"].get<int>() == 3);
    CHECK(fails(sl::save_data::parse("[]"), sl::status::wrong_type));
    CHECK(fails(sl::save_data::create("{"), sl::status::invalid_json));
}

TEST(an_assignment_that_fails_unseen_is_logged) {
    notes heard;
    MUST(sl::set_log_callback([&](sl::log_level level, std::string_view message) {
        if (level == sl::log_level::warning && message.find("An assignment") != std::string_view::npos) {
            heard(message.find("reserved") != std::string_view::npos ||
                          message.find("Version") != std::string_view::npos
                      ? "why"
                      : "that");
        }
    }));
    const auto data = MUST(sl::save_data::create("{}"));
    data["/Gold"] = 5;
    CHECK(heard.are(""));
    if (auto outcome = (data["/Version"] = 5); !outcome) {
        CHECK(outcome.error().code == sl::status::reserved_field);
    }
    const sl::result<void> looked_at = (data["/Version"] = 5);
    CHECK(fails(looked_at, sl::status::reserved_field) && heard.are(""));
    data["/Version"] = 5;
    CHECK(heard.are("that that why why "));
    data["/Silver"] += 5;
    CHECK(heard.are("that that that that "));
    MUST(sl::set_log_callback(nullptr));
}
