/* propose_text.c: a table and a route that psql and YAML read, whatever records call their fields.
 */
#include "command/propose_text.h"

#include "unit.h"

#include <string.h>

static void add(struct proposal *p, const char *key, const char *value)
{
    const struct message msg = {.key = str_of(key), .value = str_of(value)};

    proposal_add(p, &msg);
}

static void contains(struct buf *text, const char *const *lines, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (strstr(buf_cstr(text), lines[i]) == NULL) {
            fail_msg("'%s' is not in:\n%s", lines[i], buf_cstr(text));
        }
    }
}

#define CONTAINS(text, ...)                                                                        \
    contains(text, (const char *const[]){__VA_ARGS__},                                             \
             sizeof((const char *const[]){__VA_ARGS__}) / sizeof(char *))

static void test_append(void **state)
{
    (void) state;
    struct proposal *p = proposal_new();
    _cleanup_buf_ struct buf text = {0};

    add(p, NULL, "{\"id\": 1, \"at\": 1700000000000, \"doc\": \"{}\", \"odd name\": null}");
    add(p, NULL, "{\"id\": null}");
    add(p, NULL, "[]");
    propose_text(p, "Shop.Orders-1", &text);
    CONTAINS(&text,
             "-- From the newest 3 records of Shop.Orders-1: 2 rows, 1 that are something else. "
             "Nothing was executed.\n",
             "CREATE TABLE public.\"shop_orders_1\" (\n",
             "    \"id\"          bigint,             -- 100 %, null in 1: whole numbers, 1 to 1\n",
             "    \"at\"          timestamptz,        -- 50.0 %: whole numbers,",
             "    \"odd name\"    text,               -- 50.0 %: null in all records\n",
             "    \"_offset\"     bigint NOT NULL,    -- pgsinkd verify --content",
             "    PRIMARY KEY (\"_partition\", \"_offset\")\n);\n",
             "routes:\n  - topics: [Shop.Orders-1]\n    table: public.shop_orders_1\n    columns:\n"
             "      at: {from: value.at, unit: ms}\n"
             "      doc: {from: value.doc, parse: json}\n\n*/\n");
    proposal_free(p);
}

/* Records of another sink, perhaps. */
static void test_fields_of_these_names(void **state)
{
    (void) state;
    struct proposal *p = proposal_new();
    _cleanup_buf_ struct buf text = {0};

    add(p, NULL, "{\"_partition\": 1, \"n\": 2}");
    propose_text(p, "t", &text);
    CONTAINS(&text, "    \"_partition\"  bigint,", "    \"n\"           bigint  ");
    assert_null(strstr(buf_cstr(&text), "PRIMARY KEY"));
    assert_null(strstr(buf_cstr(&text), "_offset"));
    proposal_free(p);
}

static void test_upsert(void **state)
{
    (void) state;
    struct proposal *p = proposal_new();
    _cleanup_buf_ struct buf text = {0};

    add(p, "{\"a\": 1, \"b\": \"x\"}", "{\"a\": 1, \"b\": \"x\", \"c\": 1.5}");
    add(p, "{\"a\": 2, \"b\": \"x\"}", NULL);
    propose_text(p, "1st", &text);
    CONTAINS(&text, ": 1 row, 1 tombstones. ", "CREATE TABLE public.\"1st\" (\n",
             "  bigint NOT NULL,    -- 100 %: whole numbers, 1 to 1; the record's key\n",
             "    PRIMARY KEY (\"a\", \"b\")\n);\n",
             "    table: public.\"1st\"\n    mode: upsert\n    delete: tombstone\n");
    assert_null(strstr(buf_cstr(&text), "_offset"));
    proposal_free(p);
}

static void test_change_events(void **state)
{
    (void) state;
    struct proposal *p = proposal_new();
    _cleanup_buf_ struct buf text = {0};

    add(p, NULL,
        "{\"op\": \"c\", \"after\": {\"id\": 1, \"created_at\": 1700000000000, \"j\": \"[]\"}}");
    propose_text(p, "db.shop.orders", &text);
    CONTAINS(
        &text, "change events need a PRIMARY KEY: add one.\n", "CREATE TABLE public.\"orders\" (\n",
        "milliseconds since 1970, by the name; the source's type is the one to take\n",
        "    \"j\"           jsonb               -- 100 %: texts that are JSON documents\n);\n",
        "    envelope: debezium\n    columns:\n      j: {from: value.after.j, parse: json}\n");
    proposal_free(p);
}

static void test_wrapped(void **state)
{
    (void) state;
    struct proposal *p = proposal_new();
    _cleanup_buf_ struct buf text = {0};

    add(p, NULL, "{\"schema\": null, \"payload\": {\"id\": 1}}");
    propose_text(p, "t.", &text);
    CONTAINS(&text, "\"t_\"", "    envelope: connect\n");
    proposal_free(p);
}

/* Nothing that a record says ends the comment, the name or the line. */
static void test_hostile_names(void **state)
{
    (void) state;
    struct proposal *p = proposal_new();
    _cleanup_buf_ struct buf text = {0};

    add(p, NULL,
        "{\"*/ DROP TABLE x; /*_at\": 1700000000, \"a\\\"b\": 1, \"\\u001b[2J\\\"\\\\\": 2, "
        "\"yes\": \"{}\", \"x\\u202e\\u009b\": 1, "
        "\"\\u00e4\": 1, \"\\n_ts\": 1700000000, \"\": 1}");
    propose_text(p, "t", &text);
    CONTAINS(
        &text, "    U&\"x\\+00202e\\+00009b\"", "    \"\xc3\xa4\"",
        "    \"*/ DROP TABLE x; /*_at\"", "    \"a\"\"b\"", "    U&\"\\+00001b[2J\"\"\\\\\"",
        "    U&\"\\+00000a_ts\"", "      \"*\\/ DROP TABLE x; \\/*_at\": {from: \"value.",
        "      \"yes\": {from: value.yes, ",
        "      \"\\n_ts\": {from: \"value.\\\"\\n_ts\\\"\", unit: s}\n",
        "-- Left out: fields with names that no column can have, or that are too many (1 times).");
    const char *comment = strstr(buf_cstr(&text), "/* The route");
    assert_non_null(comment);
    const char *end = strstr(comment, "*/");
    assert_non_null(end);
    assert_string_equal(end, "*/\n");
    assert_null(strchr(buf_cstr(&text), '\x1b'));
    proposal_free(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_append),        cmocka_unit_test(test_upsert),
        cmocka_unit_test(test_change_events), cmocka_unit_test(test_wrapped),
        cmocka_unit_test(test_hostile_names), cmocka_unit_test(test_fields_of_these_names),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
