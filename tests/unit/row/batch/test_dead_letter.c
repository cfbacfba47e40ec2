/* dead_letter.c: a record that cannot be a row, as a row of dead_letters. */
#include "row/batch/dead_letter.h"

#include "row/kit.h"
#include "row/table/tuple.h"

enum {
    SINK,
    TOPIC,
    PARTITION,
    OFFSET,
    ROUTE,
    TIMESTAMP,
    KEY,
    VALUE,
    HEADER_NAMES,
    HEADER_VALUES,
    CLASS,
    SQLSTATE,
    MESSAGE,
    COLUMN,
    ATTEMPTS,
    FIELDS,
};

/* As the catalog describes it: with more columns, in another order. */
static struct table *table_of(void)
{
    return KIT_TABLE(kit_column("failed_at", TYPE_TIMESTAMPTZ), kit_column("attempts", TYPE_INT4),
                     kit_column("sink", TYPE_TEXT), kit_column("topic", TYPE_TEXT),
                     kit_column("partition", TYPE_INT4), kit_column("offset", TYPE_INT8),
                     kit_column("route", TYPE_TEXT), kit_column("timestamp", TYPE_TIMESTAMPTZ),
                     kit_column("key", TYPE_BYTEA), kit_column("value", TYPE_BYTEA),
                     kit_column("header_names", TYPE_ARRAY),
                     kit_column("header_values", TYPE_ARRAY), kit_column("error_class", TYPE_TEXT),
                     kit_column("sqlstate", TYPE_TEXT), kit_column("message", TYPE_TEXT),
                     kit_column("column", TYPE_TEXT));
}

static void test_the_target(void **state)
{
    (void) state;
    struct error err;
    struct table *t = table_of();
    struct target *target = dead_letter_target(t, &err);
    assert_non_null(target);
    assert_int_equal(target->column_count, FIELDS);
    assert_string_equal(target->columns[SINK].column->name, "sink");
    assert_string_equal(target->columns[HEADER_VALUES].column->name, "header_values");
    assert_string_equal(target->columns[ATTEMPTS].column->name, "attempts");
    assert_int_equal(target_width(target, ROW_INSERT, 0), FIELDS);
    dead_letter_target_free(target);
    dead_letter_target_free(NULL);
    table_free(t);
}

static void test_a_table_that_lacks_a_column(void **state)
{
    (void) state;
    struct error err;
    struct table *t = table_of();
    free(t->columns[2].name);
    t->columns[2].name = mem_strdup("snik");
    assert_null(dead_letter_target(t, &err));
    assert_int_equal(err.class, ERROR_SETUP);
    kit_assert_text(err.text, "table \"public\".\"t\" has no column 'sink'");
    table_free(t);
}

/* The fields of the row that the letter makes; they point into out. */
static void write_letter(const struct dead_letter *d, struct buf *out, struct str fields[FIELDS])
{
    dead_letter_write(d, out);
    const char *at = tuple_fields(buf_str(out));
    for (size_t i = 0; i < FIELDS; i++) {
        fields[i] = tuple_next(&at);
    }
    assert_ptr_equal(at, out->p + out->n);
}

static bool is_null(struct str field)
{
    return field.n == 4 && memcmp(field.p, "\xff\xff\xff\xff", 4) == 0;
}

static void expect_field(struct str field, const char *want, size_t n)
{
    struct str data = tuple_data(field);

    assert_false(is_null(field));
    assert_int_equal(data.n, n);
    assert_memory_equal(data.p, want, n);
}

#define EXPECT(field, want) expect_field(fields[field], want, sizeof(want) - 1)

static struct error error_of(const char *text, const char *sqlstate)
{
    struct error err;

    error_set(&err, ERROR_RECORD, "%s", text);
    if (sqlstate != NULL) {
        error_sqlstate(&err, sqlstate);
    }
    return err;
}

static void test_all_that_a_letter_says(void **state)
{
    (void) state;
    const struct message_header headers[] = {
        {.name = STR_LIT("h"), .value = STR_LIT("v\xff")},
        {.name = STR_LIT(""), .value = {0}},
    };
    struct message m = kit_message("k", "v");
    struct error err = error_of("99999 is out of range for int2", "22003");
    _cleanup_buf_ struct buf out = {0};
    struct str fields[FIELDS];
    m.headers = headers;
    m.header_count = ARRAY_LEN(headers);
    m.timestamp_ms = INT64_C(946684800000) + 1;
    snprintf(err.column, sizeof err.column, "amount");
    const struct dead_letter letter = {.sink = "s",
                                       .route = "r",
                                       .message = &m,
                                       .class = DEAD_LETTER_RECORD,
                                       .error = &err,
                                       .attempts = 2};
    write_letter(&letter, &out, fields);
    EXPECT(SINK, "s");
    EXPECT(TOPIC, "orders");
    EXPECT(PARTITION, "\0\0\0\3");
    EXPECT(OFFSET, "\0\0\0\0\0\0\0\52");
    EXPECT(ROUTE, "r");
    EXPECT(TIMESTAMP, "\0\0\0\0\0\0\3\350"); /* 1000 microseconds */
    EXPECT(KEY, "k");
    EXPECT(VALUE, "v");
    EXPECT(HEADER_NAMES, "\0\0\0\1\0\0\0\1\0\0\0\21\0\0\0\2\0\0\0\1"
                         "\0\0\0\1h\0\0\0\0");
    EXPECT(HEADER_VALUES, "\0\0\0\1\0\0\0\1\0\0\0\21\0\0\0\2\0\0\0\1"
                          "\0\0\0\2v\xff\xff\xff\xff\xff");
    EXPECT(CLASS, "record");
    EXPECT(SQLSTATE, "22003");
    EXPECT(MESSAGE, "99999 is out of range for int2");
    EXPECT(COLUMN, "amount");
    EXPECT(ATTEMPTS, "\0\0\0\2");

    struct str route;
    struct error fault;
    dead_letter_read(buf_str(&out), &route, &fault);
    assert_true(str_eq_z(route, "r"));
    assert_int_equal(fault.class, ERROR_RECORD);
    assert_string_equal(fault.text, err.text);
    assert_string_equal(fault.sqlstate, "22003");
    assert_string_equal(fault.column, "amount");
    assert_string_equal(fault.hint, "");
}

static void test_what_is_not_known_is_null(void **state)
{
    (void) state;
    struct message m = kit_message(NULL, NULL);
    struct error err = error_of("refused", NULL);
    _cleanup_buf_ struct buf out = {0};
    struct str fields[FIELDS];
    m.timestamp_ms = -1;
    const struct dead_letter letter = {
        .sink = "s", .route = "r", .message = &m, .class = DEAD_LETTER_DATABASE, .error = &err};
    write_letter(&letter, &out, fields);
    EXPECT(CLASS, "database");
    assert_true(is_null(fields[TIMESTAMP]));
    assert_true(is_null(fields[KEY]));
    assert_true(is_null(fields[VALUE]));
    assert_true(is_null(fields[HEADER_NAMES]));
    assert_true(is_null(fields[HEADER_VALUES]));
    assert_true(is_null(fields[SQLSTATE]));
    assert_true(is_null(fields[COLUMN]));

    struct str route;
    struct error fault;
    dead_letter_read(buf_str(&out), &route, &fault);
    assert_string_equal(fault.text, "refused");
    assert_string_equal(fault.sqlstate, "");
    assert_string_equal(fault.column, "");
}

static void test_what_postgresql_cannot_hold(void **state)
{
    (void) state;
    static const struct {
        const char *text;
        const char *want;
    } cases[] = {
        {"caf\xc3\xa9", "caf\xc3\xa9"},
        {"caf\xc3", "caf"}, /* cut inside a character */
        {"caf\xf0\x9f\x98", "caf"},
        {"a\xff and more", "a? and more"}, /* nothing valid is cut */
        {"a\xc3 and more", "a? and more"},
        {"\xe6\x97\xa5\xff", "\xe6\x97\xa5?"},
        {"\xed\xa0\x80", "???"}, /* a surrogate */
    };
    struct message m = kit_message("k", "v");
    struct str fields[FIELDS];
    m.timestamp_ms = INT64_MAX;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct error err = error_of(cases[i].text, NULL);
        _cleanup_buf_ struct buf out = {0};
        const struct dead_letter letter = {.sink = "s", .route = "r", .message = &m, .error = &err};
        write_letter(&letter, &out, fields);
        struct str got = tuple_data(fields[MESSAGE]);
        assert_true(str_utf8(got, NULL));
        assert_true(str_eq_z(got, cases[i].want));
        assert_true(is_null(fields[TIMESTAMP])); /* beyond timestamptz */
    }
}

/* As JSON writes it; the column's name too, for it may be quoted from anywhere. */
static void test_what_a_database_that_is_not_utf8_cannot_hold(void **state)
{
    (void) state;
    struct message m = kit_message("k", "v");
    struct error err = error_of("'caf\xc3\xa9 \xe6\x97\xa5 \xf0\x9f\x98\x80 \xff' is cut\xc3",
                                NULL);
    _cleanup_buf_ struct buf out = {0};
    struct str fields[FIELDS];
    snprintf(err.column, sizeof err.column,
             "gr\xc3\xb6\xc3\x9f"
             "e");
    const struct dead_letter letter = {
        .sink = "s", .route = "r", .message = &m, .error = &err, .escapes = true};
    write_letter(&letter, &out, fields);
    EXPECT(MESSAGE, "'caf\\u00e9 \\u65e5 \\ud83d\\ude00 ?' is cut");
    EXPECT(COLUMN, "gr\\u00f6\\u00dfe");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_target),
        cmocka_unit_test(test_a_table_that_lacks_a_column),
        cmocka_unit_test(test_all_that_a_letter_says),
        cmocka_unit_test(test_what_is_not_known_is_null),
        cmocka_unit_test(test_what_postgresql_cannot_hold),
        cmocka_unit_test(test_what_a_database_that_is_not_utf8_cannot_hold),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
