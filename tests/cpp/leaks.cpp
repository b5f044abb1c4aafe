// Very many sessions, and several threads: nothing is left behind.
#include "world.hpp"

#include <atomic>
#include <fstream>
#include <thread>

namespace {

// Kilobytes of this process that are in memory; 0 where that cannot be told.
long resident_kb() {
    std::ifstream file("/proc/self/statm");
    long pages = 0;
    long resident = 0;
    file >> pages >> resident;
    return resident * 4;
}

void session(server &one, const std::string &key, int &heard) {
    const sl::profile ann = MUST(one.store.start_session(key));
    MUST(ann.when_loaded([&heard] { ++heard; }));
    MUST(ann.on_saved([&heard] { ++heard; })).detach();
    MUST(ann.set_before_save([text = std::string(200, 'x')](sl::profile_ref profile) {
        profile.get_save_data()["/Note"] = text;
    }));
    one.frame();
    one.frame();
    MUST(ann.when_changes_saved([&heard](sl::outcome) { ++heard; }));
    const auto watched = MUST(ann.watch_changes_saved());
    MUST(ann.end_session());
    one.frame();
    one.heard.forget();
}

} // namespace

TEST(ten_thousand_sessions_leave_neither_handles_nor_memory) {
    const auto records = new_storage();
    server one(records);
    const std::uint64_t handles = sl::live_handles();
    int heard = 0;
    long halfway_kb = 0;
    for (int number = 0; number < 10000; ++number) {
        // The same keys again and again, for records are to stay.
        session(one, "player/" + std::to_string(number % 100), heard);
        if (number == 4999) {
            halfway_kb = resident_kb();
        }
    }
    CHECK(heard == 30000 && sl::live_handles() == handles);
    CHECK(resident_kb() - halfway_kb < 4096);
}

TEST(texts_that_are_read_leave_no_memory) {
    const auto data = MUST(sl::save_data::create(R"({"O":{"a":1}})"));
    CHECK(data["/S"] = std::string(2000, 'x'));
    long halfway_kb = 0;
    for (int time = 0; time < 10000; ++time) {
        const auto text = data["/S"].get<std::string>();
        const auto any = data["/S"].get<sl::value>();
        const auto json = data[""].get_json();
        const auto names = data["/O"].names();
        CHECK(text->size() == 2000 && any->string.size() == 2000 && json->size() > 2000 &&
              names->size() == 1);
        halfway_kb = time == 4999 ? resident_kb() : halfway_kb;
    }
    CHECK(resident_kb() - halfway_kb < 2048);
}

TEST(save_data_is_written_by_several_threads_while_frames_run) {
    const auto records = new_storage();
    server one(records);
    const sl::profile ann = one.loaded("ann");
    std::atomic<int> added{0};
    std::vector<std::thread> threads;
    for (int number = 0; number < 3; ++number) {
        threads.emplace_back([&] {
            const sl::save_data_ref data = ann.get_save_data();
            for (int time = 0; time < 500; ++time) {
                // Refused as busy only while a hook owns the document.
                added += data["/Gold"].add(1) ? 1 : 0;
            }
        });
    }
    for (int frame = 0; frame < 200; ++frame) {
        MUST(ann.mark_force_save());
        one.frame(0.1);
    }
    for (std::thread &thread : threads) {
        thread.join();
    }
    CHECK(added == 1500 && ann.get_save_data()["/Gold"].get<int>() == 1500);
}

TEST(an_update_on_another_thread_is_refused_as_busy) {
    const auto records = new_storage();
    server *the_one = nullptr;
    bool was_refused = false;
    server one(records, [&](sl::easy_store_config &config) {
        config.create_save_data = [&](std::string_view, sl::save_data_ref) {
            std::thread([&] {
                was_refused = check::fails(the_one->store.update(1), sl::status::busy);
            }).join();
        };
        config.template_json.clear();
    });
    the_one = &one;
    const sl::profile ann = MUST(one.store.start_session("ann"));
    one.frame();
    CHECK(was_refused && ann.is_loaded());
}
