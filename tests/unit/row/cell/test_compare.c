/* compare.c: the order of cells. What conditions make of it is in path/test_condition.c. */
#include "row/cell/compare.h"

#include "row/kit.h"

static struct cell whole(int64_t n)
{
    return (struct cell){.kind = CELL_INT, .number = n};
}

static struct cell number(const char *text)
{
    struct cell c;

    assert_true(compare_number(str_of(text), &c));
    return c;
}

/* Both ways round. */
static void expect(struct cell a, struct cell b, enum cell_order want)
{
    static const enum cell_order turned[] = {
        [CELL_LESS] = CELL_GREATER, [CELL_EQUAL] = CELL_EQUAL,   [CELL_GREATER] = CELL_LESS,
        [CELL_OTHER] = CELL_OTHER,  [CELL_UNLIKE] = CELL_UNLIKE,
    };

    assert_int_equal(compare_cells(&a, &b), want);
    assert_int_equal(compare_cells(&b, &a), turned[want]);
}

static void test_whole_numbers_of_64_bits(void **state)
{
    (void) state;
    expect(whole(INT64_MIN), whole(INT64_MAX), CELL_LESS);
    expect(whole(INT64_MIN), whole(INT64_MIN), CELL_EQUAL);
    expect(whole(INT64_MIN), whole(INT64_MIN + 1), CELL_LESS);
    expect(whole(0), whole(-1), CELL_GREATER);
}

static void test_against_numbers_of_a_document(void **state)
{
    (void) state;
    expect(whole(INT64_MIN), number("-9223372036854775808"), CELL_EQUAL);
    expect(whole(INT64_MIN), number("-9223372036854775808.0"), CELL_EQUAL);
    expect(whole(INT64_MIN), number("-9223372036854775809"), CELL_GREATER);
    expect(whole(INT64_MIN), number("-9223372036854775807"), CELL_LESS);
    expect(whole(INT64_MIN), number("-1e99"), CELL_GREATER);
    expect(whole(INT64_MAX), number("9223372036854775807"), CELL_EQUAL);
    expect(whole(INT64_MAX), number("9223372036854775807.5"), CELL_LESS);
    expect(whole(INT64_MAX), number("9223372036854775808"), CELL_LESS);
    expect(whole(INT64_MAX), number("1"), CELL_GREATER);
    expect(whole(0), number("-0"), CELL_EQUAL);
    expect(whole(12), number("12.0"), CELL_EQUAL);
    expect(whole(12), number("12.01"), CELL_LESS);
    expect(whole(1000), number("1e3"), CELL_EQUAL);
}

static void test_against_other_kinds(void **state)
{
    (void) state;
    struct cell bytes = {.kind = CELL_BYTES, .text = STR_LIT("-9223372036854775808")};
    struct cell string = {.kind = CELL_STRING, .text = STR_LIT("1")};
    struct cell truth = {.kind = CELL_BOOL, .truth = true};
    expect(whole(INT64_MIN), bytes, CELL_EQUAL);
    expect(whole(1), string, CELL_UNLIKE);
    expect(whole(1), truth, CELL_UNLIKE);
}

/* Two counts are compared as the numbers that they are. */
static void test_units_are_no_part_of_the_order(void **state)
{
    (void) state;
    struct cell ms = {.kind = CELL_ABSENT};
    cell_set_int(&ms, 5, UNIT_MS);
    expect(ms, whole(5), CELL_EQUAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_whole_numbers_of_64_bits),
        cmocka_unit_test(test_against_numbers_of_a_document),
        cmocka_unit_test(test_against_other_kinds),
        cmocka_unit_test(test_units_are_no_part_of_the_order),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
