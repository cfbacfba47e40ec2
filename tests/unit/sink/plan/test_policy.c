/* policy.c: which routes write dead letters, to which table, and until how many. One thread. */
#include "sink/plan/policy.h"

#include "config/config_kit.h"
#include "row/kit.h"

static const char text[] =
    "sink: s\n"
    "kafka: {brokers: b}\n"
    "postgres: {dsn: ''}\n"
    "routes:\n"
    "  - {topics: [a], table: public.a, on_error: stop}\n"
    "  - {topics: [b], table: b, on_error: dead_letter, max_dead_letters: 2 per 1h}\n";

/* The table dead_letters with these columns only. */
static struct table *letters_of(const char *const *names, size_t n)
{
    struct column columns[32];

    assert_in_range(n, 0, ARRAY_LEN(columns));
    for (size_t i = 0; i < n; i++) {
        columns[i] = kit_column(names[i], TYPE_TEXT);
    }
    return kit_table(columns, n);
}

static const char *const names[] = {
    "sink",        "topic",    "partition", "offset",       "route",
    "timestamp",   "key",      "value",     "header_names", "header_values",
    "error_class", "sqlstate", "message",   "column",       "attempts",
};

static void test_routes_and_their_letters(void **state)
{
    _cleanup_config_ struct config *cfg = kit_load(*state, text);
    struct policies *p = policies_new(cfg);

    assert_int_equal(p->count, 2);
    assert_false(p->list[0]->dead_letter);
    assert_true(p->list[1]->dead_letter);
    assert_true(policies_want_letters(p));
    assert_ptr_equal(policies_find(p, &(struct target){.route = "b", .number = 1}), p->list[1]);
    assert_null(policies_find(p, &(struct target){.route = NULL}));
    assert_null(policies_free(p));
    assert_null(policies_free(NULL));
}

static void test_no_route_writes_letters(void **state)
{
    static const char plain[] = "sink: s\n"
                                "kafka: {brokers: b}\n"
                                "postgres: {dsn: ''}\n"
                                "routes:\n"
                                "  - {topics: [a], table: public.a, on_error: stop}\n";
    _cleanup_config_ struct config *cfg = kit_load(*state, plain);
    struct policies *p = policies_new(cfg);

    assert_false(policies_want_letters(p));
    policies_free(p);
}

static void test_the_table_of_letters(void **state)
{
    _cleanup_config_ struct config *cfg = kit_load(*state, text);
    struct policies *p = policies_new(cfg);
    struct error err;

    assert_false(policies_set_letters(p, letters_of(names, ARRAY_LEN(names) - 1), &err));
    assert_int_equal(err.class, ERROR_SETUP);
    assert_null(p->letters);
    assert_true(policies_set_letters(p, letters_of(names, ARRAY_LEN(names)), &err));
    assert_non_null(p->letters);
    assert_true(policies_set_letters(p, letters_of(names, ARRAY_LEN(names)), &err)); /* renewed */
    assert_ptr_equal(p->letters->table, p->letters_table);
    policies_free(p);
}

/* ---- what a batch asks for ---- */

static int tag;

/* Records of one partition: G is a good one of route b, L a letter of it, c and l are those of
 * route c; everything else is a record that no route takes. */
static struct batch *batch_like(const char *records)
{
    struct batch *b = batch_new();
    uint32_t span = batch_span(b, &tag, "t", 0, 1, 0);

    for (int64_t i = 0; records[i] != '\0'; i++) {
        batch_record_begin(b, span, i, 1000, -1);
        if (strchr("GLcl", records[i]) != NULL) {
            batch_take(b, records[i] == 'c' || records[i] == 'l' ? 2 : 1,
                       records[i] == 'L' || records[i] == 'l');
        }
        batch_record_end(b);
    }
    return b;
}

static const char shares[] = "sink: s\n"
                             "kafka: {brokers: b}\n"
                             "postgres: {dsn: ''}\n"
                             "routes:\n"
                             "  - {topics: [a], table: a, on_error: stop}\n"
                             "  - {topics: [b], table: b, max_dead_letters: 20%}\n"
                             "  - {topics: [b], table: c, max_dead_letters: 3 per 1h}\n";

/* With windows so short that five bad records are the end of route b. */
static struct policies *with_shares(const struct config *cfg)
{
    struct policies *p = policies_new(cfg);

    assert_int_equal(p->list[1]->quota.full, (int64_t) QUOTA_WINDOW * 8000);
    quota_init_share(&p->list[1]->quota, 2000, 5);
    return p;
}

/* Reserves for it; if that is refused, *out_route is the route, else it is kept. */
static size_t excess_of(struct policies *p, const char *records, size_t *out_route)
{
    struct batch *b = batch_like(records);
    struct policy *policy = NULL;
    size_t record = SIZE_MAX;

    *out_route = 0;
    if (policies_reserve(p, b, 1, &record, &policy)) {
        policies_keep(b);
    } else {
        *out_route = policy->number;
        assert_int_equal(b->reserve_count, 0);
    }
    batch_free(b);
    return record;
}

static void test_which_letter_is_too_much(void **state)
{
    static const struct {
        const char *records;
        size_t record, route;
    } cases[] = {
        {"GGGGGGGG", SIZE_MAX, 0},   {"LLLLL", SIZE_MAX, 0}, {"LLLLLL", 5, 1},
        {"GGGG-GGGGLLLLLL", 14, 1},  {"LGGGGLLLLL", 10, 0},  {"LGGGLLLLL", 8, 1},
        {"LLLLLGGGGLGGGGLL", 15, 1}, {"lllG", SIZE_MAX, 0},  {"cccccclllGl", 10, 2},
        {"LLLLlllLl", 8, 2},         {"LlLlLlLLLl", 8, 1},   {"-----", SIZE_MAX, 0},
    };
    _cleanup_config_ struct config *cfg = kit_load(*state, shares);

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct policies *p = with_shares(cfg);
        size_t route;
        size_t record = excess_of(p, cases[i].records, &route);
        assert_int_equal(route, cases[i].route);
        assert_int_equal(record, cases[i].route == 0 ? SIZE_MAX : cases[i].record);
        if (route != 0) { /* what is before it fits, and then it does not fit by itself */
            char before[32] = {0};
            memcpy(before, cases[i].records, record);
            assert_int_equal(excess_of(p, before, &route), SIZE_MAX);
            assert_int_equal(excess_of(p, cases[i].records + record, &route), 0);
        }
        policies_free(p);
    }
}

static void test_what_is_not_stored_is_given_back(void **state)
{
    _cleanup_config_ struct config *cfg = kit_load(*state, shares);
    struct policies *p = with_shares(cfg);
    struct batch *b = batch_like("LLLL-lll");
    struct policy *policy;
    size_t record;
    size_t route;

    for (int i = 0; i < 3; i++) { /* sent again and again, it counts once */
        assert_true(policies_reserve(p, b, 1, &record, &policy));
        assert_int_equal(b->reserve_count, 2);
    }
    assert_int_equal(excess_of(p, "LL", &route), 1);
    policies_give_back(p, b);
    assert_int_equal(b->reserve_count, 0);
    policies_give_back(p, b);
    assert_int_equal(excess_of(p, "LLLLL", &route), SIZE_MAX);
    assert_int_equal(excess_of(p, "L", &route), 0);
    assert_int_equal(excess_of(p, "lll", &route), SIZE_MAX);
    batch_free(b);
    policies_free(p);
}

static void test_who_counts(void **state)
{
    _cleanup_config_ struct config *cfg = kit_load(*state, shares);
    struct policies *p = policies_new(cfg);

    assert_false(policy_counts(p->list[0]));
    assert_true(policy_counts(p->list[1]));
    assert_false(policy_counts(p->list[2])); /* good records mean nothing to a rate */
    policies_free(p);
}

static void test_a_route_has_no_more_letters(void **state)
{
    _cleanup_config_ struct config *cfg = kit_load(*state, shares);
    struct policies *p = with_shares(cfg);
    struct error err;
    size_t route;

    error_set(&err, ERROR_RECORD, "a@7: refused");
    assert_false(policy_exceeded(p->list[1], &err));
    kit_assert_text(err.text, "route 'b' has had more dead letters than 20% of its records, the "
                              "next would be: a@7: refused");
    assert_non_null(strstr(err.hint, "max_dead_letters"));
    error_set(&err, ERROR_RECORD, "a@7: refused");
    assert_false(policy_exceeded(p->list[2], &err));
    kit_assert_text(err.text, "route 'c' has had 3 dead letters in 3600 s, the next would be: "
                              "a@7: refused");
    assert_int_equal(excess_of(p, "GGGGG", &route), SIZE_MAX);
    assert_int_equal(excess_of(p, "GGGGGGGGL", &route), 8); /* once exceeded it stays so */
    policy_refill(p->list[1]);
    assert_int_equal(excess_of(p, "LLLLL", &route), SIZE_MAX);
    assert_int_equal(excess_of(p, "l", &route), 0);
    policy_refill(p->list[2]);
    assert_int_equal(excess_of(p, "lll", &route), SIZE_MAX);
    policies_free(p);
}

static void test_no_limit(void **state)
{
    static const char off[] = "sink: s\n"
                              "kafka: {brokers: b}\n"
                              "postgres: {dsn: ''}\n"
                              "routes:\n"
                              "  - {topics: [a], table: a}\n"
                              "  - {topics: [b], table: b, max_dead_letters: off}\n";
    _cleanup_config_ struct config *cfg = kit_load(*state, off);
    struct policies *p = policies_new(cfg);
    size_t route;

    assert_int_equal(p->list[0]->quota.kind, QUOTA_SHARE);
    assert_int_equal(p->list[0]->quota.full, (int64_t) QUOTA_WINDOW * 5000);
    assert_false(policy_counts(p->list[1]));
    for (int i = 0; i < 1000; i++) {
        assert_int_equal(excess_of(p, "LLLLLLLLLL", &route), SIZE_MAX);
    }
    policies_free(p);
}

/* ---- a reload ---- */

static const char changed[] =
    "sink: s\n"
    "kafka: {brokers: b}\n"
    "postgres: {dsn: ''}\n"
    "routes:\n"
    "  - {topics: [a], table: public.a, on_error: stop}\n"
    "  - {topics: [b], table: b, on_error: dead_letter, max_dead_letters: 3 per 1h}\n";

/* Batches that are on their way at a reload count, whether their worker knows of it or not. */
static void test_a_changed_route_counts_on(void **state)
{
    _cleanup_config_ struct config *before = kit_load(*state, text);
    _cleanup_config_ struct config *after = kit_load(*state, changed);
    const struct target of_former = {.route = "b", .number = 1};
    struct policies *former = policies_new(before);
    uint32_t number = former->numbers[1];

    policies_count_rows(former, &of_former, 10);
    policies_count_letter(former, str_of("b"), "23505");
    struct policies *p = policies_reload(former, before, after);
    assert_ptr_equal(p->list[0], former->list[0]);
    assert_true(policies_at(p, number)->retired);
    assert_int_not_equal(p->numbers[1], number);
    policies_count_rows(former, &of_former, 100);
    policies_count_letter(former, str_of("b"), "23505");
    policies_count_rows(p, &of_former, 1000);
    policies_count_rows(p, &(struct target){.route = "b", .number = p->numbers[1]}, 10000);
    policies_count_letter(p, str_of("b"), "23505");
    const struct route_stats *stats = policies_at(p, p->numbers[1])->stats;
    assert_int_equal(stats->rows, 11110);
    assert_int_equal(stats->codes[0].count, 3);
    assert_int_equal(stats->codes[1].code, 0);
    policies_release(former, p);
    policies_free(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_routes_and_their_letters),
        cmocka_unit_test(test_no_route_writes_letters),
        cmocka_unit_test(test_the_table_of_letters),
        cmocka_unit_test(test_a_route_has_no_more_letters),
        cmocka_unit_test(test_which_letter_is_too_much),
        cmocka_unit_test(test_what_is_not_stored_is_given_back),
        cmocka_unit_test(test_who_counts),
        cmocka_unit_test(test_no_limit),
        cmocka_unit_test(test_a_changed_route_counts_on),
    };

    return cmocka_run_group_tests(tests, kit_open, kit_close);
}
