/*
 * stats.c: every row of stats.def is counted, set and added up, and is described so that people and
 * Prometheus can read it. One thread.
 */
#include "sink/shared/stats.h"

#include "unit.h"

enum kind { COUNTER, GAUGE };

static const struct {
    const char *name;
    enum kind kind;
    const char *unit;
    const char *help;
} rows[] = {
#define STAT(name, kind, unit, help) {#name, kind, #unit, help},
#include "sink/shared/stats.def"
#undef STAT
};

/* Number i of a worker is made 10 * i + n, in two steps. */
static void fill(struct worker_stats *s, uint64_t n)
{
    uint64_t i = 0;

#define STAT(name, kind, unit, help)                                                               \
    stats_set(&s->name, n);                                                                        \
    stats_count(&s->name, 10 * i++);
#include "sink/shared/stats.def"
#undef STAT
}

static void test_totals_of_two_workers(void **state)
{
    struct worker_stats a = {0};
    struct worker_stats b = {0};
    struct totals t = {0};
    uint64_t i = 0;

    (void) state;
    fill(&a, 1);
    fill(&b, 5);
    stats_add(&t, &a);
    stats_add(&t, &b);
#define STAT(name, kind, unit, help) assert_int_equal(t.name, 20 * i++ + 6);
#include "sink/shared/stats.def"
#undef STAT
    assert_int_equal(i, ARRAY_LEN(rows));
}

static void test_a_gauge_falls(void **state)
{
    struct worker_stats s = {0};
    struct totals t = {0};

    (void) state;
    stats_set(&s.linked, 1);
    stats_set(&s.linked, 0);
    stats_add(&t, &s);
    assert_int_equal(t.linked, 0);
}

static void test_every_row_is_described(void **state)
{
    (void) state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        size_t unit = strlen(rows[i].unit);
        size_t help = strlen(rows[i].help);
        assert_true(rows[i].kind == COUNTER || rows[i].kind == GAUGE);
        assert_true(unit > 0 && rows[i].unit[unit - 1] == 's'); /* plural */
        assert_true(help > 0 && rows[i].help[help - 1] == '.');
        assert_null(strchr(rows[i].help, '\n'));
        for (size_t k = 0; k < i; k++) {
            assert_string_not_equal(rows[i].name, rows[k].name);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_totals_of_two_workers),
        cmocka_unit_test(test_a_gauge_falls),
        cmocka_unit_test(test_every_row_is_described),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
