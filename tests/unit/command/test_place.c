/* place.c: which record a word names. */
#include "command/place.h"

#include "unit.h"

#include <string.h>

struct expected {
    const char *word;
    const char *topic;
    int32_t partition;
    enum place_kind kind;
    int64_t number;
};

static const struct expected PLACES[] = {
    {"orders", "orders", -1, PLACE_NEWEST, 0},
    {"orders:3", "orders", 3, PLACE_NEWEST, 0},
    {"orders@latest", "orders", -1, PLACE_NEWEST, 0},
    {"a.b_c-d:0@earliest", "a.b_c-d", 0, PLACE_EARLIEST, 0},
    {"orders:0@0", "orders", 0, PLACE_OFFSET, 0},
    {"orders@9223372036854775807", "orders", -1, PLACE_OFFSET, INT64_MAX},
    {"orders:2147483647@-1", "orders", INT32_MAX, PLACE_BACK, 1},
    {"orders:1@-100000", "orders", 1, PLACE_BACK, 100000},
};

static const char *const MISUSES[] = {
    "",
    ":1",
    "@1",
    "orders:",
    "orders:x",
    "orders:-1",
    "orders:2147483648",
    "orders@",
    "orders@x",
    "orders@1x",
    "orders@1:2",
    "orders@-",
    "orders@-100001",
    "orders@9223372036854775808",
};

static void test_places(void **state)
{
    (void) state;
    for (size_t i = 0; i < ARRAY_LEN(PLACES); i++) {
        struct record_place got;
        struct error err;
        assert_true(place_parse(PLACES[i].word, &got, &err));
        assert_string_equal(got.topic, PLACES[i].topic);
        assert_int_equal(got.partition, PLACES[i].partition);
        assert_int_equal(got.kind, PLACES[i].kind);
        assert_int_equal(got.number, PLACES[i].number);
    }
}

static void test_what_names_no_record(void **state)
{
    (void) state;
    char longest[PLACE_TOPIC_MAX + 1] = {0};
    struct record_place got;
    struct error err;

    for (size_t i = 0; i < ARRAY_LEN(MISUSES); i++) {
        assert_false(place_parse(MISUSES[i], &got, &err));
        assert_int_equal(err.class, ERROR_SETUP);
    }
    memset(longest, 'x', PLACE_TOPIC_MAX);
    assert_false(place_parse(longest, &got, &err));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_places),
        cmocka_unit_test(test_what_names_no_record),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
