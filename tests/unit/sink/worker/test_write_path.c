/* path.c: which way a batch takes, by rows and bytes, with its margin. One thread. */
#include "sink/worker/write_path.h"

#include "unit.h"

static const struct table table = {.name = (char[]){"t"}};

/* A batch as write_path.c sees it: this many rows, of this many bytes in all. */
static enum txn_path choose_for(struct write_path *p, enum row_action action, size_t rows,
                                size_t bytes)
{
    static const struct target target = {.id = 0, .table = &table};
    struct batch_part part = {
        .target = &target, .action = action, .row_count = rows, .bytes = {.n = bytes}};
    struct batch b = {.parts = &part, .part_count = 1, .bytes = bytes};

    return write_path_choose(p, &b);
}

static enum txn_path choose(struct write_path *p, size_t rows, size_t bytes)
{
    return choose_for(p, ROW_INSERT, rows, bytes);
}

static void test_wanted(void **state)
{
    (void) state;
    struct write_path p;

    write_path_init(&p, WRITE_PATH_COPY);
    assert_int_equal(choose(&p, 1, 10), TXN_COPY);
    write_path_init(&p, WRITE_PATH_UNNEST);
    assert_int_equal(choose(&p, 10 * PATH_ROWS, 10 * PATH_BYTES), TXN_UNNEST);
}

static void test_auto_by_rows_and_bytes(void **state)
{
    (void) state;
    struct write_path p;

    write_path_init(&p, WRITE_PATH_AUTO);
    assert_int_equal(choose(&p, 0, 0), TXN_UNNEST); /* only the ledger moves */
    assert_int_equal(choose(&p, 1, 100), TXN_UNNEST);
    assert_int_equal(choose(&p, 2 * PATH_ROWS, 100), TXN_COPY);
    assert_int_equal(choose(&p, 1, 100), TXN_UNNEST);
    assert_int_equal(choose(&p, 1, 2 * PATH_BYTES), TXN_COPY);
}

static void test_near_the_border_it_stays(void **state)
{
    (void) state;
    struct write_path p;

    write_path_init(&p, WRITE_PATH_AUTO);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(choose(&p, PATH_ROWS + PATH_ROWS / 5, 100), TXN_UNNEST);
        assert_int_equal(choose(&p, PATH_ROWS - PATH_ROWS / 5, 100), TXN_UNNEST);
    }
    assert_int_equal(choose(&p, PATH_ROWS + PATH_ROWS / 3, 100), TXN_COPY);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(choose(&p, PATH_ROWS - PATH_ROWS / 5, 100), TXN_COPY);
        assert_int_equal(choose(&p, 10, PATH_BYTES - PATH_BYTES / 5), TXN_COPY);
    }
    assert_int_equal(choose(&p, PATH_ROWS - PATH_ROWS / 3, 100), TXN_UNNEST);
}

static void test_rows_that_copy_would_stage(void **state)
{
    (void) state;
    struct write_path p;

    write_path_init(&p, WRITE_PATH_AUTO);
    assert_int_equal(choose_for(&p, ROW_UPSERT, PATH_STAGED_ROWS, 100), TXN_UNNEST);
    assert_int_equal(choose_for(&p, ROW_UPSERT, 2 * PATH_STAGED_ROWS, 100), TXN_COPY);
    assert_int_equal(choose_for(&p, ROW_DELETE, 2 * PATH_ROWS, 100), TXN_UNNEST);
    assert_int_equal(choose_for(&p, ROW_DELETE, 1, 2 * PATH_STAGED_BYTES), TXN_COPY);
    assert_int_equal(choose_for(&p, ROW_DELETE, 1, 2 * PATH_BYTES), TXN_UNNEST);
}

/* Several on their way add up in memory, whatever they are. */
static void test_large_ones_do_not_follow(void **state)
{
    (void) state;
    static const struct target target = {.id = 0, .table = &table};
    struct batch_part part = {.target = &target, .action = ROW_UPSERT, .row_count = PATH_ROWS};
    struct batch b = {.parts = &part, .part_count = 1, .bytes = 100};
    struct write_path p;

    write_path_init(&p, WRITE_PATH_AUTO);
    assert_true(write_path_may_follow(&p, &b));
    part.row_count = 2 * PATH_ROWS;
    assert_false(write_path_may_follow(&p, &b));
}

static bool expects(const struct write_path *p, size_t rows)
{
    static const struct target target = {.id = 0, .table = &table};
    struct batch_part part = {.target = &target, .row_count = rows};
    struct batch b = {.parts = &part, .part_count = 1};

    return write_path_expects_refusals(p, &b);
}

static void test_refusals_are_expected_in_proportion(void **state)
{
    (void) state;
    struct write_path p;

    write_path_init(&p, WRITE_PATH_AUTO);
    assert_false(expects(&p, 100000));
    write_path_learn(&p, 1000, 10);
    assert_false(expects(&p, 99));
    assert_true(expects(&p, 100));
    write_path_learn(&p, 1000, 0);
    assert_false(expects(&p, 199));
    assert_true(expects(&p, 200));
    for (int i = 0; i < 3; i++) { /* a few batches without any, and it is forgotten */
        write_path_learn(&p, 1, 0);
    }
    assert_false(expects(&p, 100000));
    write_path_learn(&p, 1, 1);
    assert_true(expects(&p, 1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_wanted),
        cmocka_unit_test(test_auto_by_rows_and_bytes),
        cmocka_unit_test(test_near_the_border_it_stays),
        cmocka_unit_test(test_rows_that_copy_would_stage),
        cmocka_unit_test(test_large_ones_do_not_follow),
        cmocka_unit_test(test_refusals_are_expected_in_proportion),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
