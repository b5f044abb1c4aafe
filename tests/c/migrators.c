/* Migrators and patchers in C: their order, their drafts, their failures, their user data. */
#include "check.h"

/* What one migrator or patcher was given, and what it has seen. */
typedef struct Step {
    int64_t adds;
    int runs;
    int drops;
    double patch_before;
    SlSaveData *draft;
} Step;

static SlStatus add(void *user_data, SlSaveData *data, double *version_patch) {
    Step *step = (Step *)user_data;
    int64_t gold = 0;

    step->runs++;
    step->draft = data;
    step->patch_before = *version_patch;
    *version_patch = 0.5;
    CHECK_STATUS(SL_ERROR_UNSUPPORTED, save_data_destroy(data));
    return save_data_add_i64(data, Z("/Gold"), step->adds, &gold);
}

static SlStatus fail_with_reason(void *user_data, SlSaveData *data, double *version_patch) {
    (void)user_data;
    (void)version_patch;
    OK(save_data_set_i64(data, Z("/Gold"), 1000));
    CHECK_STATUS(SL_ERROR_INVALID_UTF8, session_locker_set_hook_error(T("\xff")));
    OK(session_locker_set_hook_error(Z("the item list is gone")));
    return SL_ERROR_HOOK;
}

static SlStatus fail_silently(void *user_data, SlSaveData *data, double *version_patch) {
    (void)user_data;
    (void)data;
    (void)version_patch;
    return 5;
}

static SlStatus give_no_number(void *user_data, SlSaveData *data, double *version_patch) {
    double zero = 0;
    (void)user_data;
    (void)data;
    *version_patch = zero / zero;
    return SL_OK;
}

static void drop_step(void *user_data) { ((Step *)user_data)->drops++; }

static SlSaveData *stored(const char *json) {
    SlSaveData *data = NULL;
    OK(save_data_parse(json, strlen(json), &data));
    return data;
}

static void steps_run_in_order(void) {
    Step patcher = {100, 0, 0, -1, NULL}, first = {1, 0, 0, -1, NULL}, second = {2, 0, 0, -1, NULL};
    SlMigratorBuilder *builder = NULL;
    SlMigrators *migrators = NULL;
    SlSaveData *data = stored("{\"Gold\":5,\"Version\":1,\"VersionPatch\":0.25}");
    int64_t gold = 0;

    OK(migrator_builder_create(&builder));
    OK(migrator_builder_add_migrator_from(builder, 2, add, &second, drop_step));
    OK(migrator_builder_add_migrator_from(builder, 1, add, &first, drop_step));
    OK(migrator_builder_add_patcher_for(builder, 1, add, &patcher, drop_step));
    OK(migrator_builder_check_version(builder, 3));
    CHECK_STATUS(SL_ERROR_MIGRATION, migrator_builder_check_version(builder, 0));
    CHECK_STATUS(SL_ERROR_MIGRATION, migrator_builder_check_version(builder, 2));
    CHECK(last_error_says("out of date"));
    CHECK_STATUS(SL_ERROR_MIGRATION, migrator_builder_check_version(builder, 4));
    OK(migrator_builder_build(builder, &migrators));
    OK(migrator_builder_destroy(builder));

    OK(migrators_migrate(migrators, data, 3));
    CHECK(json_is(data, "/Gold", "108"));
    CHECK(json_is(data, "/Version", "3"));
    CHECK(patcher.runs == 1 && first.runs == 1 && second.runs == 1);
    CHECK(patcher.patch_before == 0.25 && first.patch_before == 0);
    CHECK_STATUS(SL_ERROR_INVALID_HANDLE, save_data_get_i64(first.draft, Z("/Gold"), &gold));
    OK(migrators_migrate(migrators, data, 3));
    CHECK(second.runs == 1);
    CHECK_STATUS(SL_ERROR_MIGRATION, migrators_migrate(migrators, data, 2));
    CHECK(last_error_says("version 3"));
    CHECK_STATUS(SL_ERROR_MIGRATION, migrators_migrate(migrators, data, UINT32_MAX));

    CHECK(patcher.drops == 0 && first.drops == 0);
    OK(migrators_destroy(migrators));
    CHECK(patcher.drops == 1 && first.drops == 1 && second.drops == 1);
    OK(save_data_destroy(data));
}

static void a_step_fails(SlMigrator step, const char *reason) {
    SlMigratorBuilder *builder = NULL;
    SlMigrators *migrators = NULL;
    SlSaveData *data = stored("{\"Gold\":5,\"Version\":1}");

    OK(migrator_builder_create(&builder));
    OK(migrator_builder_add_migrator_from(builder, 1, step, NULL, NULL));
    OK(migrator_builder_build(builder, &migrators));
    OK(migrator_builder_destroy(builder));
    CHECK_STATUS(SL_ERROR_MIGRATION, migrators_migrate(migrators, data, 2));
    CHECK(last_error_says("the migrator from version 1"));
    CHECK(last_error_says(reason));
    CHECK(json_is(data, "/Gold", "5"));
    CHECK(json_is(data, "/Version", "1"));
    OK(migrators_destroy(migrators));
    OK(save_data_destroy(data));
}

static void a_call_inside_fails(void) {
    Step step = {1, 0, 0, 0, NULL};
    SlMigratorBuilder *builder = NULL;
    SlMigrators *migrators = NULL;
    SlSaveData *data = stored("{\"Version\":1}");

    OK(migrator_builder_create(&builder));
    OK(migrator_builder_add_migrator_from(builder, 1, add, &step, NULL));
    OK(migrator_builder_build(builder, &migrators));
    CHECK_STATUS(SL_ERROR_MIGRATION, migrators_migrate(migrators, data, 2));
    CHECK(last_error_says("/Gold"));
    OK(migrators_destroy(migrators));
    OK(migrator_builder_destroy(builder));
    OK(save_data_destroy(data));
}

static void what_is_refused_stays_the_hosts(void) {
    Step step = {1, 0, 0, 0, NULL};
    SlMigratorBuilder *builder = NULL;
    SlMigrators *migrators = NULL;

    OK(migrator_builder_create(&builder));
    OK(migrator_builder_add_migrator_from(builder, 1, add, NULL, NULL));
    CHECK_STATUS(SL_ERROR_MIGRATION,
                 migrator_builder_add_migrator_from(builder, 1, add, &step, drop_step));
    CHECK_STATUS(SL_ERROR_MIGRATION,
                 migrator_builder_add_migrator_from(builder, UINT32_MAX, add, &step, drop_step));
    CHECK_STATUS(SL_ERROR_INVALID_ARGUMENT,
                 migrator_builder_add_migrator_from(builder, 2, NULL, &step, drop_step));
    CHECK_STATUS(SL_ERROR_INVALID_ARGUMENT,
                 migrator_builder_add_patcher_for(builder, 1, NULL, &step, drop_step));
    CHECK(step.drops == 0);
    OK(migrator_builder_add_migrator_from(builder, 3, add, &step, drop_step));
    CHECK_STATUS(SL_ERROR_MIGRATION, migrator_builder_build(builder, &migrators));
    CHECK(last_error_says("version 2"));
    CHECK(migrators == NULL);
    CHECK_STATUS(SL_ERROR_INVALID_ARGUMENT, migrator_builder_build(builder, NULL));
    CHECK_STATUS(SL_ERROR_INVALID_ARGUMENT, migrator_builder_create(NULL));
    OK(migrator_builder_destroy(builder));
    CHECK(step.drops == 1);
}

int main(void) {
    steps_run_in_order();
    a_step_fails(fail_with_reason, "the item list is gone");
    a_step_fails(fail_silently, "it returned 5");
    a_step_fails(give_no_number, "version patch");
    a_call_inside_fails();
    what_is_refused_stays_the_hosts();
    return finish("migrators");
}
