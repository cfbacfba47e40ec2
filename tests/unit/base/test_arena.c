/* arena.c: alignment, no overlap, large requests, reset keeps one block. */
#include "base/arena.h"

#include "unit.h"

static void test_aligned_and_apart(void **state)
{
    (void) state;
    struct arena a = {0};
    uint8_t *parts[2000];

    for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
        parts[i] = arena_alloc(&a, i);
        assert_int_equal((uintptr_t) parts[i] % 16, 0);
        memset(parts[i], (int) (i & 0xFF), i);
    }
    for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
        for (size_t k = 0; k < i; k++) {
            assert_int_equal(parts[i][k], i & 0xFF);
        }
    }
    assert_true(a.used >= 2000 * 1999 / 2);
    arena_done(&a);
}

static void test_steady_state_reuses_memory(void **state)
{
    (void) state;
    struct arena a = {0};

    for (size_t i = 0; i < 1000; i++) {
        (void) (arena_alloc(&a, 1000) == NULL);
    }
    arena_reset(&a);
    assert_int_equal(a.used, 0);
    struct arena_block *kept = a.head;
    assert_non_null(kept);
    for (size_t round = 0; round < 10; round++) {
        for (size_t i = 0; i < 200; i++) {
            (void) (arena_alloc(&a, 1000) == NULL);
        }
        arena_reset(&a);
        assert_ptr_equal(a.head, kept);
    }
    arena_done(&a);
    assert_null(a.head);
}

static void test_large_requests(void **state)
{
    (void) state;
    struct arena a = {0};
    const size_t large = (size_t) 8 << 20;

    /* The first request of all may be the large one: its block is not kept. */
    memset(arena_alloc(&a, large), 1, large);
    arena_reset(&a);
    assert_null(a.head);

    uint8_t *small = arena_alloc(&a, 10);
    struct arena_block *head = a.head;
    memset(arena_alloc(&a, large), 1, large);
    memset(arena_alloc(&a, large), 1, large);
    assert_ptr_equal(a.head, head);
    assert_ptr_equal(arena_alloc(&a, 10), small + 16);
    arena_reset(&a);
    assert_ptr_equal(a.head, head);
    arena_done(&a);
    arena_reset(&a);
    arena_done(&a);
}

static void test_copy(void **state)
{
    (void) state;
    struct arena a = {0};
    char text[] = "hello";

    struct str copy = arena_copy(&a, str_of(text));
    text[0] = 'j';
    assert_true(str_eq_z(copy, "hello"));
    assert_null(arena_copy(&a, (struct str){0}).p);
    struct str empty = arena_copy(&a, str_of(""));
    assert_non_null(empty.p);
    assert_int_equal(empty.n, 0);
    arena_done(&a);
}

static void alloc_all(void *arg)
{
    struct arena *a = arg;
    volatile size_t all = SIZE_MAX;

    (void) (arena_alloc(a, all) == NULL);
}

static void test_overflow_aborts(void **state)
{
    (void) state;
    struct arena a = {0};

    unit_expect_abort(alloc_all, &a, "overflows");
    (void) (arena_alloc(&a, 1) == NULL);
    unit_expect_abort(alloc_all, &a, "overflows");
    arena_done(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_aligned_and_apart), cmocka_unit_test(test_steady_state_reuses_memory),
        cmocka_unit_test(test_large_requests),    cmocka_unit_test(test_copy),
        cmocka_unit_test(test_overflow_aborts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
