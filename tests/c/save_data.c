/* Save data: every read and write through the C ABI, and what each refuses. */
#include "check.h"

#include <math.h>

static SlSaveData *create(const char *json) {
    SlSaveData *data = NULL;
    OK(save_data_create(Z(json), &data));
    return data;
}

static void reads(void) {
    SlSaveData *data = create("{\"Gold\":12,\"Ratio\":0.5,\"Name\":\"A\\u0000b\\u20ac\",\"Vip\":true,"
                              "\"None\":null,\"Items\":[{\"Id\":9223372036854775807}],\"Box\":{}}");
    SlBuffer text;
    int64_t integer = 0;
    double number = 0;
    int32_t value = 0;
    size_t length = 0;

    OK(save_data_get_i64(data, Z("/Gold"), &integer));
    CHECK(integer == 12);
    OK(save_data_get_i64(data, Z("/Items/0/Id"), &integer));
    CHECK(integer == INT64_MAX);
    OK(save_data_get_f64(data, T("/Ratio"), &number));
    CHECK(number == 0.5);
    OK(save_data_get_f64(data, Z("/Gold"), &number));
    CHECK(number == 12);
    OK(save_data_get_bool(data, Z("/Vip"), &value));
    CHECK(value == 1);
    OK(save_data_get_string(data, Z("/Name"), &text));
    CHECK(text.length == 6 && memcmp(text.data, "A\0b\xe2\x82\xac", 7) == 0);
    session_locker_buffer_free(&text);
    CHECK(json_is(data, "/Items", "[{\"Id\":9223372036854775807}]"));

    OK(save_data_contains(data, Z("/None"), &value));
    CHECK(value == 1);
    OK(save_data_contains(data, Z("/Items/1"), &value));
    CHECK(value == 0);
    OK(save_data_length(data, Z("/Items"), &length));
    CHECK(length == 1);
    OK(save_data_length(data, Z("/Name"), &length));
    CHECK(length == 6);
    OK(save_data_length(data, Z(""), &length));
    CHECK(length == 7 + 3);

    OK(save_data_type(data, Z("/None"), &value));
    CHECK(value == SL_VALUE_NULL);
    OK(save_data_type(data, Z("/Vip"), &value));
    CHECK(value == SL_VALUE_BOOL);
    OK(save_data_type(data, Z("/Gold"), &value));
    CHECK(value == SL_VALUE_INTEGER);
    OK(save_data_type(data, Z("/Ratio"), &value));
    CHECK(value == SL_VALUE_FLOAT);
    OK(save_data_type(data, Z("/Name"), &value));
    CHECK(value == SL_VALUE_STRING);
    OK(save_data_type(data, Z("/Items"), &value));
    CHECK(value == SL_VALUE_ARRAY);
    OK(save_data_type(data, Z(""), &value));
    CHECK(value == SL_VALUE_OBJECT);

    integer = 7;
    CHECK_STATUS(SL_ERROR_NOT_FOUND, save_data_get_i64(data, Z("/Silver"), &integer));
    CHECK(last_error_says("/Silver"));
    CHECK_STATUS(SL_ERROR_WRONG_TYPE, save_data_get_i64(data, Z("/Name"), &integer));
    CHECK_STATUS(SL_ERROR_INVALID_POINTER, save_data_get_i64(data, Z("Gold"), &integer));
    CHECK_STATUS(SL_ERROR_INVALID_ARGUMENT, save_data_get_i64(data, NULL, 5, &integer));
    CHECK_STATUS(SL_ERROR_INVALID_ARGUMENT, save_data_get_i64(data, Z(NULL), &integer));
    CHECK_STATUS(SL_ERROR_INVALID_ARGUMENT,
                 save_data_get_i64(data, "/Gold", SIZE_MAX / 2 + 1, &integer));
    CHECK(last_error_says("pointer has a length of"));
    CHECK_STATUS(SL_ERROR_INVALID_UTF8, save_data_get_i64(data, T("/Go\xff"), &integer));
    CHECK(last_error_says("at byte 3"));
    CHECK(integer == 7);
    CHECK_STATUS(SL_ERROR_INVALID_ARGUMENT, save_data_get_i64(data, Z("/Gold"), NULL));
    CHECK(last_error_says("value is NULL"));
    CHECK_STATUS(SL_ERROR_INVALID_ARGUMENT, save_data_get_json(data, NULL, 0, NULL));
    OK(save_data_destroy(data));
}

/* One read that asks for no type: scalars come whole, containers by their size. */
static void values_of_any_type(void) {
    SlSaveData *data = create("{\"Gold\":-12,\"Zero\":0,\"Big\":18446744073709551615,\"Ratio\":0.5,"
                              "\"Minus\":-0.0,\"Name\":\"A\\u0000b\",\"Vip\":true,\"None\":null,"
                              "\"Items\":[{\"Id\":9223372036854775807},\"x\"],\"Box\":{\"a\":1}}");
    SlValue value;

    OK(save_data_get_value(data, Z("/Gold"), &value));
    CHECK(value.value_type == SL_VALUE_INTEGER && value.integer == -12 && value.number == -12);
    CHECK(value.text.data == NULL && value.length == 0 && value.boolean == 0);
    OK(save_data_get_value(data, Z("/Zero"), &value));
    CHECK(value.value_type == SL_VALUE_INTEGER && value.integer == 0);
    OK(save_data_get_value(data, Z("/Items/0/Id"), &value));
    CHECK(value.value_type == SL_VALUE_INTEGER && value.integer == INT64_MAX);
    OK(save_data_get_value(data, Z("/Big"), &value));
    CHECK(value.value_type == SL_VALUE_FLOAT && value.number == 18446744073709551616.0);
    CHECK(value.integer == 0);
    OK(save_data_get_value(data, Z("/Ratio"), &value));
    CHECK(value.value_type == SL_VALUE_FLOAT && value.number == 0.5);
    OK(save_data_get_value(data, Z("/Minus"), &value));
    CHECK(value.value_type == SL_VALUE_FLOAT && signbit(value.number));
    OK(save_data_get_value(data, Z("/Vip"), &value));
    CHECK(value.value_type == SL_VALUE_BOOL && value.boolean == 1);
    OK(save_data_get_value(data, Z("/None"), &value));
    CHECK(value.value_type == SL_VALUE_NULL);
    OK(save_data_get_value(data, Z("/Name"), &value));
    CHECK(value.value_type == SL_VALUE_STRING && value.length == 3);
    CHECK(value.text.length == 3 && memcmp(value.text.data, "A\0b", 4) == 0);
    session_locker_buffer_free(&value.text);
    OK(save_data_get_value(data, Z("/Items"), &value));
    CHECK(value.value_type == SL_VALUE_ARRAY && value.length == 2 && value.text.data == NULL);
    OK(save_data_get_value(data, Z("/Items/1"), &value));
    CHECK(value.value_type == SL_VALUE_STRING && value.length == 1);
    session_locker_buffer_free(&value.text);
    OK(save_data_get_value(data, Z("/Box"), &value));
    CHECK(value.value_type == SL_VALUE_OBJECT && value.length == 1);
    OK(save_data_get_value(data, Z("/Purchases"), &value));
    CHECK(value.value_type == SL_VALUE_ARRAY && value.length == 0);
    OK(save_data_get_value(data, Z(""), &value));
    CHECK(value.value_type == SL_VALUE_OBJECT && value.length == 10 + 3);

    value.integer = 7;
    CHECK_STATUS(SL_ERROR_NOT_FOUND, save_data_get_value(data, Z("/Silver"), &value));
    CHECK_STATUS(SL_ERROR_INVALID_POINTER, save_data_get_value(data, Z("Gold"), &value));
    CHECK_STATUS(SL_ERROR_INVALID_ARGUMENT, save_data_get_value(data, Z("/Gold"), NULL));
    CHECK(value.integer == 7 && value.value_type == SL_VALUE_OBJECT);
    OK(save_data_destroy(data));

    OK(save_data_parse(T("{\"Huge\":1e999}"), &data));
    CHECK_STATUS(SL_ERROR_INVALID_JSON, save_data_get_value(data, Z("/Huge"), &value));
    CHECK(last_error_says("Huge"));
    OK(save_data_destroy(data));
}

static int names_are(const SlSaveData *data, const char *pointer, const char *json) {
    SlBuffer names;
    OK(save_data_get_names(data, Z(pointer), &names));
    return buffer_is(&names, json);
}

/* The names of an object's members, in their order. */
static void names_of_members(void) {
    SlSaveData *data = create("{\"b\":{\"y\":1,\"x\":{},\"a\\\"/~\":2},\"a\":[1],\"\":{}}");
    SlBuffer names = {NULL, 7, 0};

    CHECK(names_are(data, "/b", "[\"y\",\"x\",\"a\\\"/~\"]"));
    CHECK(names_are(data, "/b/x", "[]"));
    CHECK(names_are(data, "/", "[]"));
    CHECK(names_are(data, "", "[\"VersionPatch\",\"Purchases\",\"ProductCredit\",\"b\",\"a\",\"\"]"));
    OK(save_data_remove(data, Z("/b/y")));
    OK(save_data_set_i64(data, Z("/b/y"), 3));
    CHECK(names_are(data, "/b", "[\"x\",\"a\\\"/~\",\"y\"]"));
    CHECK_STATUS(SL_ERROR_WRONG_TYPE, save_data_get_names(data, Z("/a"), &names));
    CHECK(last_error_says("/a") && last_error_says("an object"));
    CHECK_STATUS(SL_ERROR_NOT_FOUND, save_data_get_names(data, Z("/c"), &names));
    CHECK_STATUS(SL_ERROR_INVALID_ARGUMENT, save_data_get_names(data, Z("/b"), NULL));
    CHECK(names.data == NULL && names.length == 7);
    OK(save_data_destroy(data));
}

static void writes(void) {
    SlSaveData *data = create("{}");
    int64_t sum = 7;

    OK(save_data_set_i64(data, Z("/Gold"), INT64_MAX - 1));
    OK(save_data_add_i64(data, Z("/Gold"), 1, &sum));
    CHECK(sum == INT64_MAX);
    CHECK_STATUS(SL_ERROR_OUT_OF_RANGE, save_data_add_i64(data, Z("/Gold"), 1, &sum));
    CHECK(sum == INT64_MAX);
    CHECK_STATUS(SL_ERROR_NOT_FOUND, save_data_add_i64(data, Z("/Silver"), 1, &sum));
    CHECK_STATUS(SL_ERROR_INVALID_ARGUMENT, save_data_add_i64(data, Z("/Gold"), -1, NULL));
    OK(save_data_set_f64(data, Z("/Ratio"), 2));
    CHECK_STATUS(SL_ERROR_OUT_OF_RANGE, save_data_set_f64(data, Z("/Ratio"), (double)NAN));
    CHECK_STATUS(SL_ERROR_OUT_OF_RANGE, save_data_set_f64(data, Z("/Ratio"), -HUGE_VAL));
    OK(save_data_set_bool(data, Z("/Vip"), 0));
    CHECK_STATUS(SL_ERROR_INVALID_ARGUMENT, save_data_set_bool(data, Z("/Vip"), 2));
    CHECK_STATUS(SL_ERROR_INVALID_ARGUMENT, save_data_set_bool(data, Z("/Vip"), -1));
    OK(save_data_set_string(data, Z("/Name"), T("a\0b")));
    CHECK_STATUS(SL_ERROR_INVALID_UTF8, save_data_set_string(data, Z("/Name"), T("\xc3")));
    OK(save_data_set_null(data, Z("/None")));
    OK(save_data_set_json(data, Z("/Items"), Z("[1]")));
    CHECK_STATUS(SL_ERROR_INVALID_JSON, save_data_set_json(data, Z("/Items"), Z("[1")));
    OK(save_data_append(data, Z("/Items"), Z("{\"Id\":2}")));
    CHECK_STATUS(SL_ERROR_WRONG_TYPE, save_data_append(data, Z("/Gold"), Z("1")));
    OK(save_data_set_i64(data, Z("/Items/1/Id"), 3));
    CHECK_STATUS(SL_ERROR_NOT_FOUND, save_data_set_i64(data, Z("/Items/5/Id"), 3));
    CHECK_STATUS(SL_ERROR_WRONG_TYPE, save_data_set_i64(data, Z("/Gold/x"), 3));
    CHECK(json_is(data, "",
                  DOCUMENT(",\"Gold\":9223372036854775807,\"Ratio\":2.0,\"Vip\":false,"
                           "\"Name\":\"a\\u0000b\",\"None\":null,\"Items\":[1,{\"Id\":3}]")));

    OK(save_data_remove(data, Z("/Items/0")));
    CHECK_STATUS(SL_ERROR_NOT_FOUND, save_data_remove(data, Z("/Items/9")));
    CHECK_STATUS(SL_ERROR_INVALID_POINTER, save_data_remove(data, Z("")));
    OK(save_data_merge_patch(data, Z("{\"Gold\":1,\"Ratio\":null,\"Vip\":null,\"Name\":null}")));
    CHECK_STATUS(SL_ERROR_WRONG_TYPE, save_data_merge_patch(data, Z("[]")));
    OK(save_data_apply_patch(
        data, Z("[{\"op\":\"test\",\"path\":\"/Gold\",\"value\":1},"
                "{\"op\":\"remove\",\"path\":\"/None\"}]")));
    CHECK_STATUS(SL_ERROR_PATCH_FAILED,
                 save_data_apply_patch(data, Z("[{\"op\":\"remove\",\"path\":\"/Gold\"},"
                                               "{\"op\":\"remove\",\"path\":\"/None\"}]")));
    CHECK(json_is(data, "", DOCUMENT(",\"Gold\":1,\"Items\":[{\"Id\":3}]")));
    OK(save_data_destroy(data));
}

/* Reserved fields are read like others, refused to every write, and survive the host's own. */
static void reserved_fields(void) {
    const char *stored = "{\"Gold\":1,\"Version\":3,\"Purchases\":[[1,\"p\",5]]}";
    SlSaveData *data = NULL;
    int64_t version = 0;

    OK(save_data_parse(stored, strlen(stored), &data));
    OK(save_data_get_i64(data, Z("/Version"), &version));
    CHECK(version == 3);
    CHECK_STATUS(SL_ERROR_RESERVED_FIELD, save_data_set_i64(data, Z("/Version"), 4));
    CHECK_STATUS(SL_ERROR_RESERVED_FIELD, save_data_remove(data, Z("/Purchases")));
    CHECK_STATUS(SL_ERROR_RESERVED_FIELD, save_data_set_null(data, Z("/Session")));
    OK(save_data_set_json(data, Z(""), Z("{\"Gold\":2,\"Version\":9}")));
    OK(save_data_get_i64(data, Z("/Version"), &version));
    CHECK(version == 3);
    CHECK(json_is(data, "/Gold", "2"));
    CHECK(json_is(data, "/Purchases/0/1", "\"p\""));
    OK(save_data_destroy(data));
}

static void backups(void) {
    SlSaveData *data = create("{\"Gold\":1}");
    SlSaveData *other = create("{}");
    SlSaveDataBackup *backup = NULL;

    OK(save_data_backup(data, &backup));
    OK(save_data_set_i64(data, Z("/Gold"), 2));
    OK(save_data_restore(data, backup));
    CHECK(json_is(data, "", DOCUMENT(",\"Gold\":1")));
    OK(save_data_destroy(data));
    OK(save_data_restore(other, backup));
    CHECK(json_is(other, "", DOCUMENT(",\"Gold\":1")));
    CHECK_STATUS(SL_ERROR_INVALID_ARGUMENT, save_data_backup(other, NULL));
    OK(save_data_backup_destroy(backup));
    OK(save_data_destroy(other));
}

static void documents_that_are_refused(void) {
    SlSaveData *data = NULL;
    char *large = (char *)malloc(5 << 20);
    char deep[300];

    CHECK_STATUS(SL_ERROR_INVALID_JSON, save_data_create(Z("{"), &data));
    CHECK_STATUS(SL_ERROR_INVALID_JSON, save_data_create(NULL, 0, &data));
    CHECK_STATUS(SL_ERROR_WRONG_TYPE, save_data_create(Z("[]"), &data));
    CHECK_STATUS(SL_ERROR_INVALID_UTF8, save_data_parse(T("{\"\xff\":1}"), &data));
    CHECK_STATUS(SL_ERROR_INVALID_ARGUMENT, save_data_parse("{}", SL_NUL_TERMINATED, &data));
    CHECK_STATUS(SL_ERROR_INVALID_JSON, save_data_parse(T("{\"Version\":\"1\"}"), &data));
    CHECK_STATUS(SL_ERROR_INVALID_JSON, save_data_create(Z("{\"A\":1,\"A\":2}"), &data));
    CHECK(last_error_says("\"A\""));
    CHECK_STATUS(SL_ERROR_INVALID_ARGUMENT, save_data_create(Z("{}"), NULL));

    memset(large, 'x', 5 << 20);
    memcpy(large, "{\"A\":\"", 6);
    memcpy(large + (5 << 20) - 2, "\"}", 2);
    CHECK_STATUS(SL_ERROR_TOO_LARGE, save_data_create(large, 5 << 20, &data));
    memset(deep, '[', 150);
    memset(deep + 150, ']', 150);
    CHECK(data == NULL);
    data = create("{}");
    CHECK_STATUS(SL_ERROR_TOO_LARGE, save_data_set_json(data, Z("/A"), deep, sizeof deep));
    CHECK_STATUS(SL_ERROR_TOO_LARGE, save_data_set_string(data, Z("/A"), large, 5 << 20));
    CHECK(json_is(data, "", DOCUMENT("")));
    OK(save_data_destroy(data));
    free(large);
}

static void the_last_error(void) {
    char small[8];
    size_t needed;
    int64_t value;

    CHECK_STATUS(SL_ERROR_INVALID_HANDLE, save_data_get_i64(NULL, Z("/Gold"), &value));
    needed = session_locker_last_error(NULL, 0);
    CHECK(needed == strlen("expected the handle of an SlSaveData, got NULL"));
    memset(small, '#', sizeof small);
    CHECK(session_locker_last_error(small, sizeof small - 1) == needed);
    CHECK(strcmp(small, "expect") == 0 && small[7] == '#');
    CHECK(session_locker_last_error(small, 0) == needed);
}

static void buffers(void) {
    SlSaveData *data = create("{\"Name\":\"\"}");
    SlBuffer text;

    OK(save_data_get_string(data, Z("/Name"), &text));
    CHECK(text.data != NULL && text.length == 0 && text.data[0] == '\0');
    session_locker_buffer_free(&text);
    CHECK(text.data == NULL && text.length == 0 && text.capacity == 0);
    session_locker_buffer_free(&text);
    session_locker_buffer_free(NULL);
    OK(save_data_destroy(data));
}

int main(void) {
    reads();
    values_of_any_type();
    names_of_members();
    writes();
    reserved_fields();
    backups();
    documents_that_are_refused();
    the_last_error();
    buffers();
    return finish("save_data");
}
