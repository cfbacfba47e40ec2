/* mem.c: memory comes zeroed where promised, grows, and a failure ends the process. */
#include "base/mem.h"

#include "unit.h"

#include <malloc.h>

static volatile size_t huge = SIZE_MAX / 2;
/* Where results go: a compiler may take out an allocation that is only freed. */
static void *volatile kept;

static void test_alloc(void **state)
{
    (void) state;
    _cleanup_mem_ char *a = mem_alloc(0);
    _cleanup_mem_ char *z = mem_zalloc(100);
    _cleanup_mem_ int *array = mem_array(10, sizeof *array);
    _cleanup_mem_ char *nothing = mem_array(0, 8);

    assert_non_null(a);
    assert_non_null(nothing);
    for (size_t i = 0; i < 100; i++) {
        assert_int_equal(z[i], 0);
    }
    for (size_t i = 0; i < 10; i++) {
        assert_int_equal(array[i], 0);
    }
}

static void test_resize(void **state)
{
    (void) state;
    uint16_t *p = mem_realloc(NULL, 2, sizeof *p);

    p[0] = 1;
    p[1] = 2;
    p = mem_realloc(p, 1000, sizeof *p);
    assert_int_equal(p[0] + p[1], 3);
    p = mem_realloc(p, 0, sizeof *p);
    assert_non_null(p);
    free(p);
}

static void test_strings(void **state)
{
    (void) state;
    _cleanup_mem_ char *dup = mem_strdup("abc");
    _cleanup_mem_ char *cut = mem_strndup("abc", 2);
    _cleanup_mem_ char *whole = mem_strndup("abc", 99);
    _cleanup_mem_ char *printed = mem_printf("%s-%d", "x", 7);

    assert_string_equal(dup, "abc");
    assert_string_equal(cut, "ab");
    assert_string_equal(whole, "abc");
    assert_string_equal(printed, "x-7");
    assert_null(mem_strdup(NULL));
}

static void test_grow(void **state)
{
    (void) state;
    size_t *items = NULL;
    size_t cap = 0;

    for (size_t n = 0; n < 1000; n++) {
        items = mem_grow(items, &cap, n, sizeof *items);
        items[n] = n;
    }
    assert_int_equal(cap, 1024);
    for (size_t n = 0; n < 1000; n++) {
        assert_int_equal(items[n], n);
    }
    free(items);
}

static void alloc_huge(void *arg)
{
    (void) arg;
    kept = mem_alloc(huge);
}

static void zalloc_huge(void *arg)
{
    (void) arg;
    kept = mem_zalloc(huge);
}

static void array_overflow(void *arg)
{
    (void) arg;
    kept = mem_array(huge, 3);
}

static void realloc_overflow(void *arg)
{
    (void) arg;
    kept = mem_realloc(NULL, huge, 3);
}

static void grow_overflow(void *arg)
{
    size_t cap = SIZE_MAX / 2 + 1;

    (void) arg;
    kept = mem_grow(NULL, &cap, cap, 1);
}

static void test_failure_aborts(void **state)
{
    (void) state;
    unit_expect_abort(alloc_huge, NULL, "pgsinkd: out of memory\n");
    unit_expect_abort(zalloc_huge, NULL, "pgsinkd: out of memory\n");
    unit_expect_abort(array_overflow, NULL, "pgsinkd: the size of an allocation overflows\n");
    unit_expect_abort(realloc_overflow, NULL, "pgsinkd: the size of an allocation overflows\n");
    unit_expect_abort(grow_overflow, NULL, "pgsinkd: the size of an allocation overflows\n");
}

/* Blocks of a size that comes and goes with every fetch. */
static void test_freed_memory_stays_with_the_process(void **state)
{
    const size_t size = (size_t) 20 << 20;

    (void) state;
    mem_keep_freed();
    kept = mem_alloc(size);
    bool accounts = mallinfo2().arena != 0; /* a sanitizer's allocator gives no account */
    free(kept);
    if (!accounts) {
        skip();
    }
    assert_true(mallinfo2().fordblks >= size);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_alloc),
        cmocka_unit_test(test_resize),
        cmocka_unit_test(test_strings),
        cmocka_unit_test(test_grow),
        cmocka_unit_test(test_failure_aborts),
        cmocka_unit_test(test_freed_memory_stays_with_the_process),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
