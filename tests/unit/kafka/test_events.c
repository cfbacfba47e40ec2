/* events.c: the one word of the library's log that is more than a word. */
#include "kafka/events.h"

#include "unit.h"

static void expect(const char *text, const char *want_topic, int32_t want_partition)
{
    char topic[250];
    int32_t partition = -1;

    assert_true(event_read_doubt(text, topic, sizeof topic, &partition));
    assert_string_equal(topic, want_topic);
    assert_int_equal(partition, want_partition);
}

static void expect_nothing(const char *text)
{
    char topic[16];
    int32_t partition;

    assert_false(event_read_doubt(text, topic, sizeof topic, &partition));
}

static void test_a_broker_that_does_not_know_a_partition(void **state)
{
    (void) state;
    expect(
        "[thrd:127.0.0.1:9092/bootstrap]: orders [3]: broker unavailable: fetch: Broker: Unknown "
        "topic or partition",
        "orders", 3);
    expect("orders.eu [12345]: broker unavailable: fetch: Broker: Not leader for partition",
           "orders.eu", 12345);
}

static void test_other_words(void **state)
{
    (void) state;
    expect_nothing("");
    expect_nothing("[thrd:main]: Topic orders [0]: migrating from broker -1 to 1");
    expect_nothing("]: broker unavailable: ");
    expect_nothing("[]: broker unavailable: ");
    expect_nothing("[3]: broker unavailable: ");
    expect_nothing(" [3]: broker unavailable: ");
    expect_nothing("orders [three]: broker unavailable: fetch");
    expect_nothing("a.topic.of.a.long.name [3]: broker unavailable: fetch");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_broker_that_does_not_know_a_partition),
        cmocka_unit_test(test_other_words),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
