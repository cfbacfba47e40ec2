/* path.c: which way a batch takes, by rows and bytes, with its margin. One thread. */
#include "sink/path.h"

#include "unit.h"

/* A batch as path.c sees it: so many rows of so many bytes in all. */
static enum txn_path choose(struct path *p, size_t rows, size_t bytes)
{
    struct batch_part part = {.row_count = rows};
    struct batch b = {.parts = &part, .part_count = 1, .bytes = bytes};

    return path_choose(p, &b);
}

static void test_wanted(void **state)
{
    (void) state;
    struct path p;

    path_init(&p, WRITE_PATH_COPY);
    assert_int_equal(choose(&p, 1, 10), TXN_COPY);
    path_init(&p, WRITE_PATH_UNNEST);
    assert_int_equal(choose(&p, 10 * PATH_ROWS, 10 * PATH_BYTES), TXN_UNNEST);
}

static void test_auto_by_rows_and_bytes(void **state)
{
    (void) state;
    struct path p;

    path_init(&p, WRITE_PATH_AUTO);
    assert_int_equal(choose(&p, 0, 0), TXN_UNNEST); /* only the ledger moves */
    assert_int_equal(choose(&p, 1, 100), TXN_UNNEST);
    assert_int_equal(choose(&p, 2 * PATH_ROWS, 100), TXN_COPY);
    assert_int_equal(choose(&p, 1, 100), TXN_UNNEST);
    assert_int_equal(choose(&p, 1, 2 * PATH_BYTES), TXN_COPY);
}

static void test_near_the_border_it_stays(void **state)
{
    (void) state;
    struct path p;

    path_init(&p, WRITE_PATH_AUTO);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_wanted),
        cmocka_unit_test(test_auto_by_rows_and_bytes),
        cmocka_unit_test(test_near_the_border_it_stays),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
