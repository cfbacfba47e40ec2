/* instance.c: which file is read for which process, and what INSTANCE is then. */
#include "command/instance.h"

#include "unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char dir[64];

static const char *in_dir(const char *name)
{
    static char path[128];

    snprintf(path, sizeof path, "%s/%s", dir, name);
    return path;
}

static int begin(void **state)
{
    (void) state;
    snprintf(dir, sizeof dir, "/tmp/pgsinkd-instance-XXXXXX");
    return mkdtemp(dir) == NULL;
}

static int end(void **state)
{
    (void) state;
    (void) unlink(in_dir("orders:2.yaml"));
    return rmdir(dir);
}

/* What the name is made into, and INSTANCE. */
static void expect(const char *exported, const char *name, const char *file, const char *instance)
{
    _cleanup_buf_ struct buf z = {0};
    char path[128];

    snprintf(path, sizeof path, "%s", in_dir(name));
    if (exported == NULL) {
        unsetenv("INSTANCE");
    } else {
        setenv("INSTANCE", exported, 1);
    }
    assert_string_equal(instance_file(path, &z), in_dir(file));
    assert_string_equal(getenv("INSTANCE"), instance);
}

static void test_names(void **state)
{
    (void) state;
    expect(NULL, "orders.yaml", "orders.yaml", "1");
    expect("7", "orders.yaml", "orders.yaml", "7");
    expect(NULL, "orders:2.yaml", "orders.yaml", "2");
    expect("7", "orders:2.yaml", "orders.yaml", "2");
    expect(NULL, "orders:12", "orders", "12");
    expect(NULL, "orders:a.yaml", "orders:a.yaml", "1");
    expect(NULL, ":2.yaml", ":2.yaml", "1");
}

static void test_a_file_that_is_really_called_so(void **state)
{
    (void) state;
    FILE *f = fopen(in_dir("orders:2.yaml"), "w");

    assert_non_null(f);
    fclose(f);
    expect(NULL, "orders:2.yaml", "orders:2.yaml", "2");
    expect("7", "orders:2.yaml", "orders:2.yaml", "7");
}

/* Another reason than that it is not there: it is read, and the reason is said. */
static void test_a_file_that_cannot_be_seen(void **state)
{
    (void) state;
    expect(NULL, "orders:2.yaml/orders:3.yaml", "orders:2.yaml/orders:3.yaml", "3");
}

static const char *hint_of(const char *name)
{
    static struct error err;

    error_set(&err, ERROR_SETUP, "cannot be read");
    assert_false(instance_hint(in_dir(name), &err));
    return err.hint;
}

static void test_hints(void **state)
{
    (void) state;
    assert_non_null(strstr(hint_of("orders:a.yaml"), "orders:2.yaml"));
    assert_string_equal(hint_of("orders:3.yaml"), "");
    assert_string_equal(hint_of("orders.yaml"), "");
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_a_file_that_is_really_called_so),
        cmocka_unit_test(test_a_file_that_cannot_be_seen),
        cmocka_unit_test(test_hints),
    };

    return cmocka_run_group_tests(tests, begin, end);
}
