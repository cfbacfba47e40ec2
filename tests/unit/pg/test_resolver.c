/* resolver.c: what needs a lookup, the order of addresses, failures, and a name server that is
 * dead.
 */
#include "pg/resolver.h"

#include "base/clock.h"

#include "names_kit.h"

#include <poll.h>

/* Waits for the answer, at most 5 s. */
static enum resolver_answer wait_answer(struct resolver *r, const char *name, struct addresses *out,
                                        struct error *err)
{
    struct pollfd p = {.fd = resolver_ask(r, name), .events = POLLIN};

    assert_int_equal(poll(&p, 1, 5000), 1);
    return resolver_take(r, name, out, err);
}

static void expect(struct resolver *r, const char *name, const char *want)
{
    struct addresses a;
    struct error err;
    char got[200] = "";

    assert_int_equal(wait_answer(r, name, &a, &err), RESOLVER_DONE);
    for (size_t i = 0; i < a.count; i++) {
        size_t n = strlen(got);
        snprintf(got + n, sizeof got - n, "%s%s", n > 0 ? " " : "", a.items[i]);
    }
    assert_string_equal(got, want);
    addresses_clear(&a);
    assert_int_equal(a.count, 0);
}

static void test_names(void **state)
{
    (void) state;
    assert_true(resolver_is_name("db1"));
    assert_true(resolver_is_name("localhost"));
    assert_false(resolver_is_name(""));
    assert_false(resolver_is_name("10.0.0.1"));
    assert_false(resolver_is_name("::1"));
    assert_false(resolver_is_name("/run/postgresql"));
    assert_false(resolver_is_name("@abstract"));
}

static void test_all_addresses_in_order(void **state)
{
    (void) state;
    struct resolver *r = resolver_new();

    names_set("a.test 127.0.0.9 ::1 127.0.0.2\nb.test 127.0.0.3\n");
    expect(r, "a.test", "127.0.0.9 ::1 127.0.0.2");
    expect(r, "b.test", "127.0.0.3");
    names_set("a.test 127.0.0.4\n"); /* asked again each time */
    expect(r, "a.test", "127.0.0.4");
    assert_null(resolver_free(r));
    assert_null(resolver_free(NULL));
}

static void test_failures(void **state)
{
    (void) state;
    struct resolver *r = resolver_new();
    struct addresses a;
    struct error err;

    names_set("none.test \n");
    assert_int_equal(wait_answer(r, "none.test", &a, &err), RESOLVER_FAILED);
    assert_int_equal(err.class, ERROR_LINK);
    assert_string_equal(err.text, "could not translate host name \"none.test\" to address: "
                                  "Name or service not known");
    resolver_free(r);
}

/* Nobody waits for it; the next question finds the same lookup, and takes its answer. */
static void test_a_dead_name_server(void **state)
{
    (void) state;
    struct resolver *r = resolver_new();
    struct addresses a;
    struct error err;

    names_set("dead.test -\nother.test 127.0.0.5\n");
    usec_t begin = clock_mono();
    int fd = resolver_ask(r, "dead.test");
    assert_int_equal(resolver_take(r, "dead.test", &a, &err), RESOLVER_WAIT);
    for (int i = 0; i < 100; i++) {
        assert_int_equal(resolver_ask(r, "dead.test"), fd);
    }
    expect(r, "other.test", "127.0.0.5");
    assert_true(clock_mono() - begin < 2 * USEC_PER_SEC);
    names_set("dead.test 127.0.0.6\n");
    expect(r, "dead.test", "127.0.0.6");

    names_set("dead.test -\n");
    (void) resolver_ask(r, "dead.test");
    resolver_free(r); /* does not wait */
    names_set("dead.test 127.0.0.6\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_all_addresses_in_order),
        cmocka_unit_test(test_failures),
        cmocka_unit_test(test_a_dead_name_server),
    };

    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    names_done();
    return failed;
}
