/* One program with two Rust static libraries in it: both work, and each catches its own panics. */
#include "../check.h"

#ifdef __cplusplus
extern "C"
#endif
int64_t second_library_sum(uint32_t count);

int main(void) {
    SlSaveData *data = NULL;
    SlStorage *storage = NULL;

    OK(save_data_create(Z("{\"Gold\":1}"), &data));
    CHECK(json_is(data, "/Gold", "1"));
    CHECK(second_library_sum(5) == 10);
    CHECK(second_library_sum(0) == -1);
    OK(save_data_destroy(data));
    OK(locker_storage_open(Z("memory:"), &storage));
    OK(locker_storage_destroy(storage));
    return finish("two_libraries");
}
