// Mistakes that the compiler must find: each is compiled with its name defined, and with none all is well.
#include "session_locker.hpp"

namespace sl = session_locker;

void use(sl::save_data_ref data, sl::profile &profile, sl::easy_store_config &config);

void use(sl::save_data_ref data, sl::profile &profile, sl::easy_store_config &config) {
    data["/Gold"] += 1;
    config.event = [](const sl::event &) {};
#if defined(A_FLOAT_IS_ADDED)
    data["/Gold"] += 0.5;
#elif defined(A_LETTER_IS_WRITTEN)
    data["/Name"] = 'A';
#elif defined(A_POINTER_IS_WRITTEN)
    data["/Gold"] = &profile;
#elif defined(A_FIELD_IS_KEPT_AND_READ)
    auto kept = data["/Gold"];
    static_cast<void>(kept.get<int>());
#elif defined(A_FIELD_IS_KEPT_AND_WRITTEN)
    auto kept = data["/Gold"];
    kept = 5;
#elif defined(A_FIELD_IS_COPIED)
    data["/Gold"] = data["/Silver"];
#elif defined(A_PROFILE_IS_COPIED)
    const sl::profile copy = profile;
#elif defined(A_RESULT_IS_NOT_LOOKED_AT)
    data["/Gold"].set(5);
#elif defined(A_HOOK_RETURNS_A_NUMBER)
    config.create_save_data = [](std::string_view, sl::save_data_ref) { return 5; };
#elif defined(A_HOOK_TAKES_SOMETHING_ELSE)
    config.create_save_data = [](int) {};
#endif
    static_cast<void>(profile.end_session());
}
