/* unread.c: what nobody reads is reported after a minute, again after ten, and once when it is
 * over. The clock is a number. One thread. */
#include "sink/crew/unread.h"

#include "unit.h"

#define SEC USEC_PER_SEC
#define BEGAN (1000 * SEC)

struct look {
    const char *topic;
    int32_t partition;
};

/* One look at the group, in which these are missing. */
static void look(struct unread *u, usec_t now, const struct look *missing, size_t n)
{
    unread_begin(u);
    for (size_t i = 0; i < n; i++) {
        unread_add(u, missing[i].topic, missing[i].partition, now);
    }
    unread_end(u);
}

#define LOOK(u, now, ...)                                                                          \
    look(u, now, (struct look[]){__VA_ARGS__}, ARRAY_LEN(((struct look[]){__VA_ARGS__})))

static void expect_nothing(struct unread *u, usec_t now)
{
    struct unread_news news;

    assert_false(unread_next(u, now, &news));
}

static void expect_missing(struct unread *u, usec_t now, const char *topic, const char *partitions)
{
    struct unread_news news;

    assert_true(unread_next(u, now, &news));
    assert_false(news.read_again);
    assert_string_equal(news.topic, topic);
    assert_string_equal(news.partitions, partitions);
}

static void expect_read_again(struct unread *u, usec_t now, const char *topic)
{
    struct unread_news news;

    assert_true(unread_next(u, now, &news));
    assert_true(news.read_again);
    assert_string_equal(news.topic, topic);
}

static void test_reported_after_a_minute_and_again_after_ten(void **state)
{
    struct unread *u = unread_new();

    (void) state;

    LOOK(u, BEGAN, {"a", 0}, {"a", 1}, {"a", 2}, {"a", 5});
    expect_nothing(u, BEGAN);
    LOOK(u, BEGAN + 59 * SEC, {"a", 5}, {"a", 2}, {"a", 0}, {"a", 1}); /* in whatever order */
    expect_nothing(u, BEGAN + 59 * SEC);
    expect_missing(u, BEGAN + 60 * SEC, "a", "0-2, 5");
    expect_nothing(u, BEGAN + 60 * SEC);
    LOOK(u, BEGAN + 659 * SEC, {"a", 5});
    expect_nothing(u, BEGAN + 659 * SEC);
    expect_missing(u, BEGAN + 660 * SEC, "a", "5");
    unread_free(u);
}

static void test_read_again_is_said_once_and_only_of_what_was_reported(void **state)
{
    struct unread *u = unread_new();

    (void) state;

    LOOK(u, BEGAN, {"a", 0}, {"b", 3});
    LOOK(u, BEGAN + 20 * SEC, {"a", 0}); /* b was missing for less than a minute */
    expect_nothing(u, BEGAN + 20 * SEC);
    LOOK(u, BEGAN + 60 * SEC, {"a", 0}, {"b", 3});
    expect_missing(u, BEGAN + 60 * SEC, "a", "0");
    expect_nothing(u, BEGAN + 60 * SEC); /* b begins again */
    look(u, BEGAN + 80 * SEC, NULL, 0);
    expect_read_again(u, BEGAN + 80 * SEC, "a");
    expect_nothing(u, BEGAN + 80 * SEC);
    expect_nothing(u, BEGAN + 1000 * SEC);
    unread_free(u);
}

static void test_a_partition_that_joins_the_missing_waits_its_own_minute(void **state)
{
    struct unread *u = unread_new();

    (void) state;

    LOOK(u, BEGAN, {"a", 0});
    LOOK(u, BEGAN + 40 * SEC, {"a", 0}, {"a", 1});
    expect_missing(u, BEGAN + 60 * SEC, "a", "0");
    LOOK(u, BEGAN + 80 * SEC, {"a", 1}); /* 0 is read again, the topic is not */
    expect_nothing(u, BEGAN + 80 * SEC);
    expect_missing(u, BEGAN + 660 * SEC, "a", "1");
    unread_free(u);
    assert_null(unread_free(NULL));
}

static void test_a_long_list_is_cut(void **state)
{
    struct unread *u = unread_new();
    struct unread_news news;

    (void) state;

    unread_begin(u);
    for (int32_t p = 0; p < 2000; p += 2) {
        unread_add(u, "a", p, BEGAN);
    }
    unread_end(u);
    assert_true(unread_next(u, BEGAN + 60 * SEC, &news));
    assert_string_equal(news.partitions + strlen(news.partitions) - 5, ", ...");
    unread_free(u);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reported_after_a_minute_and_again_after_ten),
        cmocka_unit_test(test_read_again_is_said_once_and_only_of_what_was_reported),
        cmocka_unit_test(test_a_partition_that_joins_the_missing_waits_its_own_minute),
        cmocka_unit_test(test_a_long_list_is_cut),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
