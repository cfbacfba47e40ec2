/* remedy.c: what the hint of a partition that stands says that a person can do. One thread. */
#include "sink/shared/remedy.h"

#include "config/config_kit.h"
#include "base/mem.h"

#include <stdlib.h>

static const char head[] = "sink: s\n"
                           "postgres: {dsn: ''}\n"
                           "routes:\n"
                           "  - {topics: [a], table: public.a, on_error: stop}\n";

static struct config *config_of(struct kit *kit, const char *kafka, const char *more)
{
    _cleanup_buf_ struct buf text = {0};

    buf_printf(&text, "%skafka: {brokers: b%s}\n%s", head, kafka, more);
    return kit_load(kit, buf_cstr(&text));
}

static struct standing standing_of_hint(enum standing_state state, const char *hint)
{
    struct standing why = {.state = state, .offset = 120};

    error_set(&why.why, ERROR_RECORD, "it cannot be stored");
    if (*hint != '\0') {
        error_hint(&why.why, "%s", hint);
    }
    return why;
}

static void check(const struct config *cfg, enum standing_state state, const char *hint,
                  const char *expected)
{
    struct standing why = standing_of_hint(state, hint);

    for (int i = 0; i < 2; i++) { /* the second time it changes nothing */
        remedy_for(cfg, "orders", 3, &why);
        assert_string_equal(why.why.hint, expected);
    }
}

static void test_by_sql(void **state)
{
    _cleanup_config_ struct config *cfg = config_of(*state, "", "");
    struct standing corrupt = standing_of_hint(STANDING_STOPPED, "");

    check(cfg, STANDING_STOPPED, "",
          "Fix the cause and try again: SELECT pgsinkd.seek('s', 'orders', 3, 120); with 121 it "
          "skips the record.");
    check(cfg, STANDING_OVER_LIMIT, "",
          "When the cause is gone: SELECT pgsinkd.resume('s', 'orders', 3);");
    corrupt.is_corrupt = true;
    remedy_for(cfg, "orders", 3, &corrupt);
    assert_string_equal(corrupt.why.hint, "It is read again every minute. To pass it over: SELECT "
                                          "pgsinkd.seek('s', 'orders', 3, 121);");
}

static void test_a_hint_of_its_own(void **state)
{
    static const char more[] = "Declare its unit. Then SELECT pgsinkd.seek('s', 'orders', 3, 120); "
                               "with 121 it skips the record.";
    _cleanup_config_ struct config *cfg = config_of(*state, "", "");
    char is_long[sizeof((struct error *) 0)->hint - 20];

    check(cfg, STANDING_STOPPED, "Declare its unit.", more);
    check(cfg, STANDING_POISON, "Declare its unit.", more);
    check(cfg, STANDING_PARKED, "GRANT INSERT.", "GRANT INSERT."); /* goes on by itself */
    check(cfg, STANDING_STOPPED, "To go on: SELECT x.seek('s', 'orders', 3, 9);",
          "To go on: SELECT x.seek('s', 'orders', 3, 9);");
    memset(is_long, 'x', sizeof is_long - 1);
    is_long[sizeof is_long - 1] = '\0';
    check(cfg, STANDING_STOPPED, is_long, is_long); /* not half a statement */
}

static void test_by_the_group(void **state)
{
    _cleanup_config_ struct config *cfg = config_of(*state, "", "delivery: at_least_once\n");

    check(cfg, STANDING_STOPPED, "",
          "Fix the cause and restart, or stop and skip the record: kafka-consumer-groups.sh "
          "--group pgsinkd-s --topic orders:3 --reset-offsets --to-offset 121 --execute");
    check(cfg, STANDING_STOPPED, "Declare its unit.", "Declare its unit.");
    check(cfg, STANDING_PARKED, "", "");
}

static void check_group(struct kit *kit, const char *group, const char *word)
{
    _cleanup_buf_ struct buf kafka = {0};
    _cleanup_buf_ struct buf expected = {0};
    _cleanup_buf_ struct buf out = {0};

    buf_printf(&kafka, ", group: %s", group);
    _cleanup_config_ struct config *cfg = config_of(kit, buf_cstr(&kafka), "");
    remedy_move_group(cfg, "orders", 3, 7, &out);
    buf_printf(&expected,
               "kafka-consumer-groups.sh --group %s --topic orders:3 --reset-offsets "
               "--to-offset 7 --execute",
               word);
    assert_string_equal(buf_cstr(&out), buf_cstr(&expected));
    buf_clear(&out);
    remedy_move_group(cfg, "orders", 3, -1, &out);
    assert_non_null(strstr(buf_cstr(&out), "--to-earliest --execute"));
}

static void test_a_group_is_one_word_of_the_shell(void **state)
{
    check_group(*state, "pgsinkd-orders.1", "pgsinkd-orders.1");
    check_group(*state, "\"all orders; rm -rf *\"", "'all orders; rm -rf *'");
    check_group(*state, "\"it's\"", "'it'\\''s'");
    check_group(*state, "\"$(id)\"", "'$(id)'");
}

static void test_the_schema(void **state)
{
    static const char *const names[][2] = {
        {"pgsinkd", "pgsinkd"}, {"Sink", "\"Sink\""}, {"1st", "\"1st\""}};

    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        _cleanup_buf_ struct buf out = {0};
        _cleanup_config_ struct config *cfg = config_of(*state, "", "");
        free(cfg->postgres.schema);
        cfg->postgres.schema = mem_strdup(names[i][0]);
        remedy_schema(cfg, &out);
        assert_string_equal(buf_cstr(&out), names[i][1]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_by_sql),
        cmocka_unit_test(test_a_hint_of_its_own),
        cmocka_unit_test(test_by_the_group),
        cmocka_unit_test(test_a_group_is_one_word_of_the_shell),
        cmocka_unit_test(test_the_schema),
    };

    return cmocka_run_group_tests(tests, kit_open, kit_close);
}
