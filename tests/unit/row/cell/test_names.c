/* names.c: what a field's name becomes. */
#include "row/cell/names.h"

#include "row/kit.h"

static void expect(enum name_policy policy, const char *name, const char *want)
{
    struct folded_name out;

    assert_true(names_fold(policy, str_of(name), &out));
    out.text[out.n] = '\0';
    kit_assert_text(out.text, want);
}

static void test_exact(void **state)
{
    (void) state;
    expect(NAMES_EXACT, "userId", "userId");
}

static void test_lower(void **state)
{
    (void) state;
    expect(NAMES_LOWER, "ID", "id");
    expect(NAMES_LOWER, "Customer_Name", "customer_name");
    expect(NAMES_LOWER, "userId", "userid");
    expect(NAMES_LOWER, "already-lower 1", "already-lower 1");
    expect(NAMES_LOWER, "GR\xc3\x96SSE", "gr\xc3\x96sse");
    expect(NAMES_LOWER, "", "");
}

static void test_snake_case(void **state)
{
    (void) state;
    static const char *const cases[][2] = {
        {"userId", "user_id"},
        {"UserId", "user_id"},
        {"userID", "user_id"},
        {"USER_ID", "user_id"},
        {"User_Id", "user_id"},
        {"user-id", "user_id"},
        {"User-Id", "user_id"},
        {"User Id", "user_id"},
        {"user_id", "user_id"},
        {"createdAt", "created_at"},
        {"HTTPServer", "http_server"},
        {"parseHTTP", "parse_http"},
        {"user2Id", "user2_id"},
        {"user2ID", "user2_id"},
        {"address1", "address1"},
        {"line2Text", "line2_text"},
        {"ID", "id"},
        {"A", "a"},
        {"aB", "a_b"},
        {"AB", "ab"},
        {"ABc", "a_bc"},
        {"iPhone", "i_phone"},
        {"_id", "_id"},
        {"_Id", "_id"},
        {"__v", "__v"},
        {"user__Id", "user__id"},
        {"already_snake", "already_snake"},
        {"user.id", "user.id"},
        {"$ref", "$ref"},
        {"caf\xc3\xa9"
         "Bar",
         "caf\xc3\xa9_bar"},
        {"", ""},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        expect(NAMES_SNAKE_CASE, cases[i][0], cases[i][1]);
    }
}

static void test_long_names(void **state)
{
    (void) state;
    struct folded_name out;
    char name[NAMES_MAX + 1];
    memset(name, 'a', sizeof name);
    assert_true(names_fold(NAMES_LOWER, (struct str){name, NAMES_MAX - 1}, &out));
    assert_int_equal(out.n, NAMES_MAX - 1);
    assert_false(names_fold(NAMES_LOWER, (struct str){name, sizeof name}, &out));
    for (size_t i = 1; i < sizeof name; i += 2) {
        name[i] = 'B';
    }
    assert_false(names_fold(NAMES_SNAKE_CASE, (struct str){name, NAMES_MAX - 1}, &out));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_exact),
        cmocka_unit_test(test_lower),
        cmocka_unit_test(test_snake_case),
        cmocka_unit_test(test_long_names),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
