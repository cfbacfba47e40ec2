/*
 * group.c: what members' assignments say, and a broker that cannot be asked (the library's own
 * mock). One thread.
 */
#include "kafka/group.h"

#include "config/config_kit.h"

static void add(struct group_held *held, const char *bytes, size_t n)
{
    group_held_add(held, bytes, n);
}

#define ADD(held, text) add(held, text, sizeof text - 1)

static void expect(const struct group_held *held, size_t i, const char *topic, int32_t partition)
{
    assert_true(i < held->count);
    assert_string_equal(held->refs[i].topic, topic);
    assert_int_equal(held->refs[i].partition, partition);
}

static void test_an_assignment(void **state)
{
    struct group_held held = {0};

    (void) state;

    ADD(&held, "\0\1"
               "\0\0\0\2"
               "\0\3abc"
               "\0\0\0\2\0\0\0\0\0\0\1\2"
               "\0\1x"
               "\0\0\0\1\0\0\0\7"
               "\0\0\0\4data"); /* the user's */
    assert_int_equal(held.count, 3);
    expect(&held, 0, "abc", 0);
    expect(&held, 1, "abc", 258);
    expect(&held, 2, "x", 7);
    group_held_free(held.refs, held.count);
}

static void test_a_member_without_partitions(void **state)
{
    struct group_held held = {0};

    (void) state;

    group_held_add(&held, NULL, 0);
    ADD(&held, "\0\0\0\0\0\0");
    assert_int_equal(held.count, 0);
    group_held_free(held.refs, held.count);
}

/* Nothing after the end is read, whatever the counts say. */
static void test_bytes_of_another_form(void **state)
{
    static const char whole[] = "\0\1\0\0\0\1\0\3abc\0\0\0\2\0\0\0\0\0\0\0\1";

    (void) state;

    for (size_t n = 0; n < sizeof whole - 1; n++) {
        struct group_held held = {0};
        char *exact = malloc(n > 0 ? n : 1); /* so that a sanitizer sees one byte too many */
        memcpy(exact, whole, n);
        add(&held, exact, n);
        assert_true(held.count <= 1);
        group_held_free(held.refs, held.count);
        free(exact);
    }
    struct group_held held = {0};
    ADD(&held, "\0\1\0\0\0\1\377\377abc");           /* a name of -1 bytes */
    ADD(&held, "\0\1\0\0\0\1\0\1a\377\377\377\377"); /* -1 partitions */
    ADD(&held, "\0\1\377\377\377\377\0\1a");         /* -1 topics */
    assert_int_equal(held.count, 0);
    group_held_free(held.refs, held.count);
}

/* It must not harm the consumer either: that is closed in time. */
static void test_a_broker_that_cannot_say_who_has_what(void **state)
{
    struct error err = {0};
    _cleanup_config_ struct config *cfg = kit_load(
        *state, "sink: s\n"
                "postgres: {dsn: ''}\n"
                "kafka: {brokers: unused, properties: {test.mock.num.brokers: 1}}\n"
                "routes:\n"
                "  - {topics: [a], table: t}\n");
    struct client *c = client_new(cfg, 1, &err);

    assert_non_null(c);
    struct partition_ref *refs = NULL;
    size_t n = 0;
    usec_t began = clock_mono();

    assert_int_equal(group_ask(c, "g", &refs, &n, 2 * USEC_PER_SEC), GROUP_UNKNOWN);
    assert_null(refs);
    assert_true(clock_mono() - began < 4 * USEC_PER_SEC);
    assert_true(client_close(c, clock_mono() + 5 * USEC_PER_SEC));
}

static void test_the_id_of_a_static_member(void **state)
{
    (void) state;
    assert_true(group_is_instance("orders-1-0b6ad2f4-2c51-4fe2-8c5e-6a1c4d0f7e11", "orders-1"));
    assert_false(group_is_instance("orders-1-0b6ad2f4-2c51-4fe2-8c5e-6a1c4d0f7e11", "orders"));
    assert_false(group_is_instance("orders-10b6ad2f4-2c51-4fe2-8c5e-6a1c4d0f7e11x", "orders-1"));
    assert_false(group_is_instance("pgsinkd-0b6ad2f4-2c51-4fe2-8c5e-6a1c4d0f7e11", "orders-1"));
    assert_false(group_is_instance("", "orders-1"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_id_of_a_static_member),
        cmocka_unit_test(test_an_assignment),
        cmocka_unit_test(test_a_member_without_partitions),
        cmocka_unit_test(test_bytes_of_another_form),
        cmocka_unit_test(test_a_broker_that_cannot_say_who_has_what),
    };

    return cmocka_run_group_tests(tests, kit_open, kit_close);
}
