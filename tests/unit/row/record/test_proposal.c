/* proposal.c: what a sample of records says about their fields. */
#include "row/record/proposal.h"

#include "row/kit.h"

static void add(struct proposal *p, const char *key, const char *value)
{
    struct message msg = kit_message(key, value);

    proposal_add(p, &msg);
}

static const struct proposal_field *field(const struct proposal *p, const char *name)
{
    size_t n;
    size_t left_out;
    const struct proposal_field *fields = proposal_fields(p, &n, &left_out);

    for (size_t i = 0; i < n; i++) {
        if (strcmp(fields[i].name, name) == 0) {
            return &fields[i];
        }
    }
    return NULL;
}

/* What becomes of a field `f_at` of records with these values, as JSON, NULL after the last one. */
static void becomes(const char *const *values, const char *type, const char *why)
{
    struct proposal *p = proposal_new();
    struct proposed_type got;
    _cleanup_buf_ struct buf text = {0};

    for (; *values != NULL; values++) {
        char value[256];
        snprintf(value, sizeof value, "{\"f_at\": %s}", *values);
        add(p, NULL, value);
    }
    proposal_type(field(p, "f_at"), &got, &text);
    assert_string_equal(got.type, type);
    assert_string_equal(buf_cstr(&text), why);
    proposal_free(p);
}

#define BECOMES(type, why, ...) becomes((const char *const[]){__VA_ARGS__, NULL}, type, why)

static void test_numbers(void **state)
{
    (void) state;
    BECOMES("bigint", "whole numbers, -1 to 7", "7", "-1", "null");
    BECOMES("numeric", "whole numbers beyond 64 bits", "9223372036854775808", "1");
    BECOMES("numeric", "numbers, some with a fraction", "1", "0.50");
    BECOMES("numeric", "numbers with a fraction", "1.25");
    BECOMES("double precision", "numbers, some with an exponent", "1", "1.5e-9", "2E3");
    BECOMES("timestamptz",
            "whole numbers, 1700000000 to 1700000001: seconds since 1970, by the name",
            "1700000000", "1700000001");
    BECOMES("timestamptz",
            "whole numbers, 1700000000000 to 1700000000000: milliseconds since 1970, by the name",
            "1700000000000");
    BECOMES(
        "timestamptz",
        "whole numbers, 1700000000000000 to 1700000000000000: microseconds since 1970, by the name",
        "1700000000000000");
    BECOMES("timestamptz",
            "whole numbers, 1700000000000000000 to 1700000000000000000: nanoseconds since 1970, by "
            "the name",
            "1700000000000000000");
    BECOMES("bigint", "whole numbers, 1 to 1700000000", "1700000000", "1");
}

static void test_texts(void **state)
{
    (void) state;
    BECOMES("text", "texts of at most 3 characters", "\"a\"", "\"\\u00e4bc\"");
    BECOMES("text", "texts of at most 1 character", "\"a\"");
    BECOMES("text", "texts of at most 5 characters, all numbers: numeric, unless they are codes",
            "\"01234\"", "\"1.5\"");
    BECOMES("timestamptz", "texts: times with their zone", "\"2026-01-31T12:00:00Z\"",
            "\"2026-01-31 12:00:00.5+01:00\"");
    BECOMES("timestamp", "texts: times without a zone", "\"2026-01-31T12:00:00\"");
    BECOMES("text", "texts of at most 20 characters", "\"2026-01-31T12:00:00Z\"",
            "\"2026-01-31T12:00:00\"");
    BECOMES("date", "texts: dates", "\"2026-01-31\"");
    BECOMES("text", "texts of at most 10 characters", "\"2026-02-31\"");
    BECOMES("text", "texts of at most 8 characters, all numbers: numeric, unless they are codes",
            "\"20260131\"");
    BECOMES("time", "texts: times of day", "\"12:30\"", "\"12:30:00.25\"");
    BECOMES("text", "texts of at most 9 characters", "\"12:30:00Z\"");
    BECOMES("uuid", "texts: UUIDs", "\"2f1C0a34-5b6d-4e7f-8a9b-0c1d2e3f4a5b\"");
    BECOMES("text", "texts of at most 36 characters", "\"2f1c0a34-5b6d-4e7f-8a9b-0c1d2e3f4a5g\"",
            "\"2f1c0a34x5b6d-4e7f-8a9b-0c1d2e3f4a5b\"");
    BECOMES("jsonb", "texts that are JSON documents", "\"{\\\"a\\\": 1}\"", "\"[]\"");
}

static void test_the_rest(void **state)
{
    (void) state;
    BECOMES("boolean", "true or false", "true", "false", "null");
    BECOMES("text", "null in all records", "null");
    BECOMES("jsonb", "objects", "{}", "{\"a\": 1}");
    BECOMES("bigint[]", "arrays of whole numbers", "[1, 2]", "[]", "[null]");
    BECOMES("numeric[]", "arrays of numbers", "[1, 2.5]");
    BECOMES("numeric[]", "arrays of numbers", "[2.5]");
    BECOMES("text[]", "arrays of texts", "[\"a\"]");
    BECOMES("boolean[]", "arrays of booleans", "[true]");
    BECOMES("jsonb", "empty arrays", "[]");
    BECOMES("jsonb", "arrays of objects, or of several kinds", "[{}]");
    BECOMES("jsonb", "arrays of objects, or of several kinds", "[1, \"a\"]");
    BECOMES("text", "1 booleans, 2 numbers, 1 texts", "true", "1", "1.5", "\"a\"");
    BECOMES("jsonb", "1 texts, 1 objects, 1 arrays", "\"a\"", "{}", "[]");
}

/* A name that says nothing of times. */
static void test_names_of_times(void **state)
{
    (void) state;
    static const struct {
        const char *name;
        bool is_time;
    } names[] = {
        {"created_at", true}, {"createdAt", true}, {"ts", true},       {"eventTime", true},
        {"updated", true},    {"format", false},   {"amounts", false}, {"id", false},
    };

    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        struct proposal *p = proposal_new();
        struct proposed_type got;
        char value[128];
        _cleanup_buf_ struct buf why = {0};

        snprintf(value, sizeof value, "{\"%s\": 1700000000000}", names[i].name);
        add(p, NULL, value);
        proposal_type(field(p, names[i].name), &got, &why);
        assert_int_equal(got.unit, names[i].is_time ? UNIT_MS : UNIT_NONE);
        assert_string_equal(got.type, names[i].is_time ? "timestamptz" : "bigint");
        assert_int_equal(strstr(buf_cstr(&why), "perhaps") != NULL, !names[i].is_time);
        proposal_free(p);
    }
}

static void test_shares(void **state)
{
    (void) state;
    struct proposal *p = proposal_new();
    size_t n;
    size_t left_out;

    add(p, NULL, "{\"a\": 1, \"b\": null}");
    add(p, NULL, "{\"a\": 2, \"\": 3, \"x\\u0000y\": 4}");
    add(p, NULL, "[1]");
    add(p, NULL, "no JSON");
    add(p, "k", NULL);
    assert_int_equal(proposal_records(p), 5);
    assert_int_equal(proposal_rows(p), 2);
    assert_int_equal(proposal_others(p), 2);
    assert_int_equal(proposal_tombstones(p), 1);
    assert_int_equal(proposal_envelope(p), PROPOSAL_PLAIN);
    proposal_fields(p, &n, &left_out);
    assert_int_equal(n, 2);
    assert_int_equal(left_out, 2);
    assert_int_equal(field(p, "a")->present, 2);
    assert_int_equal(field(p, "b")->nulls, 1);
    assert_false(proposal_is_key(p, field(p, "a")));
    proposal_free(p);
}

static void test_names_that_are_data(void **state)
{
    (void) state;
    struct proposal *p = proposal_new();
    size_t n;
    size_t left_out;

    for (int i = 0; i < PROPOSAL_FIELDS_MAX + 5; i++) {
        char value[64];
        snprintf(value, sizeof value, "{\"user%d\": 1}", i);
        add(p, NULL, value);
    }
    proposal_fields(p, &n, &left_out);
    assert_int_equal(n, PROPOSAL_FIELDS_MAX);
    assert_int_equal(left_out, 5);
    proposal_free(p);
}

/* Two records with these keys and values {"id": 1, "part": "x", "n": 5} and {"id": 2, ...}. */
static struct proposal *keyed(const char *first, const char *second)
{
    struct proposal *p = proposal_new();

    add(p, first, "{\"id\": 1, \"part\": \"x\", \"n\": 5, \"o\": {}, \"b\": true}");
    add(p, second, "{\"id\": 2, \"part\": \"y\", \"n\": 5, \"o\": {}, \"b\": true}");
    return p;
}

static void key_is(const char *first, const char *second, const char *names)
{
    struct proposal *p = keyed(first, second);
    size_t n;
    size_t left_out;
    const struct proposal_field *fields = proposal_fields(p, &n, &left_out);
    _cleanup_buf_ struct buf got = {0};

    for (size_t i = 0; i < n; i++) {
        if (proposal_is_key(p, &fields[i])) {
            buf_printf(&got, "%s ", fields[i].name);
        }
    }
    assert_string_equal(buf_cstr(&got), names);
    proposal_free(p);
}

static void test_keys(void **state)
{
    (void) state;
    key_is("1", "2", "id ");
    key_is("x", "y", "part ");
    key_is("\"x\"", "\"y\"", "part ");
    key_is("{\"id\": 1}", "{\"id\": 2}", "id ");
    key_is("{\"id\": 1, \"part\": \"x\"}", "{\"id\": 2, \"part\": \"y\"}", "id part ");
    key_is("{\"schema\": null, \"payload\": {\"id\": 1}}",
           "{\"schema\": null, \"payload\": {\"id\": 2}}", "id ");
    key_is("{\"schema\": null, \"payload\": 1}", "{\"schema\": null, \"payload\": 2}", "id ");
    key_is("1", "3", "");                                         /* of one record only */
    key_is("1", NULL, "");                                        /* not all have one */
    key_is("\xff", "2", "");                                      /* no text */
    key_is("{\"id\": 1, \"k\": 1}", "{\"id\": 2, \"k\": 1}", ""); /* more than the row has */
    key_is("{\"id\": 1}", "{\"id\": 2, \"part\": \"y\"}", "");
    key_is("{\"id\": 1}", "2", "id ");
    key_is("true", "true", "");
    key_is("null", "null", "");
    key_is("{\"\": 1, \"id\": 1}", "{\"\": 1, \"id\": 2}", "");
}

/* What only the key has is no column. */
static void test_a_field_of_the_key_alone(void **state)
{
    (void) state;
    struct proposal *p = proposal_new();

    add(p, "{\"id\": 1}", "{\"name\": \"x\"}");
    assert_null(field(p, "id"));
    assert_false(proposal_is_key(p, field(p, "name")));
    proposal_free(p);
}

static void test_envelopes(void **state)
{
    (void) state;
    static const struct {
        const char *value;
        enum proposal_envelope envelope;
        size_t rows;
    } records[] = {
        {"{\"a\": 1}", PROPOSAL_PLAIN, 1},
        {"{\"schema\": {}, \"payload\": {\"a\": 1}}", PROPOSAL_CONNECT, 1},
        {"{\"schema\": {}, \"payload\": 1}", PROPOSAL_CONNECT, 0},
        {"{\"op\": \"c\", \"before\": null, \"after\": {\"a\": 1}}", PROPOSAL_DEBEZIUM, 1},
        {"{\"op\": \"d\", \"before\": {\"a\": 1}, \"after\": null}", PROPOSAL_DEBEZIUM, 1},
        {"{\"op\": \"t\", \"before\": null, \"after\": null}", PROPOSAL_DEBEZIUM, 0},
        {"{\"schema\": {}, \"payload\": {\"op\": \"c\", \"before\": null, \"after\": {\"a\": 1}}}",
         PROPOSAL_DEBEZIUM, 1},
    };

    for (size_t i = 0; i < ARRAY_LEN(records); i++) {
        struct proposal *p = proposal_new();
        add(p, NULL, records[i].value);
        assert_int_equal(proposal_envelope(p), records[i].envelope);
        assert_int_equal(proposal_rows(p), records[i].rows);
        assert_int_equal(proposal_others(p), 1 - records[i].rows);
        assert_int_equal(field(p, "a") != NULL, records[i].rows == 1);
        proposal_free(p);
    }
}

/* The first row says which one it is. */
static void test_another_envelope(void **state)
{
    (void) state;
    struct proposal *p = proposal_new();

    add(p, NULL, "{\"a\": 1}");
    add(p, NULL, "{\"schema\": {}, \"payload\": {\"b\": 1}}");
    assert_int_equal(proposal_rows(p), 1);
    assert_int_equal(proposal_others(p), 1);
    assert_null(field(p, "b"));
    assert_null(proposal_free(NULL));
    proposal_free(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_numbers),   cmocka_unit_test(test_texts),
        cmocka_unit_test(test_the_rest),  cmocka_unit_test(test_names_of_times),
        cmocka_unit_test(test_shares),    cmocka_unit_test(test_names_that_are_data),
        cmocka_unit_test(test_keys),      cmocka_unit_test(test_a_field_of_the_key_alone),
        cmocka_unit_test(test_envelopes), cmocka_unit_test(test_another_envelope),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
