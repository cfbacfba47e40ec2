/* feed.c: what the library's words say of a truncated log. Its texts are those of librdkafka 2.1
 * to 2.15. */
#include "kafka/feed.h"

#include "unit.h"

static void expect(const char *text, bool want_truncated, int64_t want_end)
{
    bool truncated = !want_truncated;
    int64_t end = 0;

    feed_read_reset(text, &truncated, &end);
    assert_int_equal(truncated, want_truncated);
    assert_int_equal(end, want_end);
}

static void test_what_a_reset_says(void **state)
{
    (void) state;
    expect("fetch failed due to requested offset not available on the broker: "
           "Broker: Offset out of range (broker 1)",
           false, -1);
    expect(
        "Partition log truncation detected at offset 100 (leader epoch 1): broker end offset is 90 "
        "(offset leader epoch 1): Local: Partition log truncation detected by consumer (broker 2)",
        true, 90);
    expect("Unable to validate offset and epoch: log truncation detected", true, -1);
    expect("Partition log truncation detected: broker end offset is none", true, -1);
    expect("", false, -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_a_reset_says),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
