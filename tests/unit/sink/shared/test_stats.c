/*
 * stats.c: every row of stats.def is counted, set and added up, and is described so that people and
 * Prometheus can read it. One thread.
 */
#include "sink/shared/stats.h"

#include "unit.h"

enum kind { COUNTER, GAUGE, BUCKETS };

static const struct {
    const char *name;
    enum kind kind;
    const char *unit;
    const char *help;
} rows[] = {
#define STAT(name, kind, unit, help) {#name, kind, #unit, help},
#define STAT_BY(name, kind, unit, labels, help) {#name, kind, #unit, help},
#define HISTOGRAM(name, unit, scale, help, ...) {#name, GAUGE, #unit, help},
#define SEEN(name, kind, unit, labels, help) {#name, kind, #unit, help},
#define PROCESS(name, kind, unit, help) {#name, kind, #unit, help},
#include "sink/shared/stats.def"
};

/* Number i of a worker is made 10 * i + n, in two steps. */
static void fill(struct worker_stats *s, uint64_t n)
{
    uint64_t i = 0;

#define STAT(name, kind, unit, help)                                                               \
    stats_set(&s->name, n);                                                                        \
    stats_count(&s->name, 10 * i++);
#define STAT_BY(name, kind, unit, labels, help)                                                    \
    stats_set(&s->name, n);                                                                        \
    stats_count(&s->name, 10 * i++);
#include "sink/shared/stats.def"
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
#define STAT_BY(name, kind, unit, labels, help) assert_int_equal(t.name, 20 * i++ + 6);
#include "sink/shared/stats.def"
    assert_true(i > 0);
}

static void test_a_gauge_falls(void **state)
{
    struct worker_stats s = {0};
    struct totals t = {0};

    (void) state;
    stats_set(&s.connections, 1);
    stats_set(&s.connections, 0);
    stats_add(&t, &s);
    assert_int_equal(t.connections, 0);
}

static void test_a_histogram(void **state)
{
    struct worker_stats s = {0};
    struct totals t = {0};
    size_t n;
    const uint64_t *bounds = stats_bounds(HISTOGRAM_batch_rows, &n);

    (void) state;
    stats_observe(&s, batch_rows, 0);
    stats_observe(&s, batch_rows, bounds[0]);
    stats_observe(&s, batch_rows, bounds[0] + 1);
    stats_observe(&s, batch_rows, bounds[n - 1]);
    stats_observe(&s, batch_rows, bounds[n - 1] + 1);
    stats_add(&t, &s);
    stats_add(&t, &s);
    assert_int_equal(t.batch_rows.counts[0], 4); /* a bound belongs to its bucket */
    assert_int_equal(t.batch_rows.counts[1], 2);
    assert_int_equal(t.batch_rows.counts[n - 1], 2);
    assert_int_equal(t.batch_rows.counts[n], 2);
    assert_int_equal(t.batch_rows.sum, 2 * (2 * bounds[0] + 1 + 2 * bounds[n - 1] + 1));
}

static void test_bounds_rise(void **state)
{
    (void) state;
#define HISTOGRAM(name, unit, scale, help, ...)                                                    \
    {                                                                                              \
        size_t n;                                                                                  \
        const uint64_t *bounds = stats_bounds(HISTOGRAM_##name, &n);                               \
        for (size_t i = 1; i < n; i++) {                                                           \
            assert_true(bounds[i] > bounds[i - 1]);                                                \
        }                                                                                          \
    }
#include "sink/shared/stats.def"
}

static uint64_t count_of(const struct route_stats *r, const char *sqlstate)
{
    for (size_t i = 0; i < ROUTE_CODES; i++) {
        char text[6];
        stats_code_text(r->codes[i].code, text);
        if (r->codes[i].code != 0 && strcmp(text, sqlstate) == 0) {
            return r->codes[i].count;
        }
    }
    return 0;
}

static void test_letters_by_code(void **state)
{
    struct route_stats r = {0};
    char code[6];

    (void) state;
    stats_route_letter(&r, "23505");
    stats_route_letter(&r, "");
    stats_route_letter(&r, "23505");
    assert_int_equal(count_of(&r, "23505"), 2);
    assert_int_equal(count_of(&r, ""), 1);
    for (int i = 0; i < 40; i++) {
        snprintf(code, sizeof code, "22%03d", i);
        stats_route_letter(&r, code);
    }
    assert_int_equal(r.others, 40 - (ROUTE_CODES - 2)); /* bounded, and nothing is lost */
    stats_route_letter(&r, "23505");
    assert_int_equal(count_of(&r, "23505"), 3);
}

static void test_every_row_is_described(void **state)
{
    (void) state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        size_t unit = strlen(rows[i].unit);
        size_t help = strlen(rows[i].help);
        assert_true(rows[i].kind <= BUCKETS);
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
        cmocka_unit_test(test_totals_of_two_workers), cmocka_unit_test(test_a_gauge_falls),
        cmocka_unit_test(test_a_histogram),           cmocka_unit_test(test_bounds_rise),
        cmocka_unit_test(test_letters_by_code),       cmocka_unit_test(test_every_row_is_described),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
