/*
 * encode_array.c and elements.c: arrays and hstore. That the bytes are what PostgreSQL makes of its
 * own literals is proved by tests/integration/test_encode.py.
 */
#include "row/encode/encode.h"

#include "row/kit.h"

static struct encoder encoder;
static struct value_rules rules;

/* The field, or the text of the fault. cast: the array goes as text. */
static const char *encoded(enum column_type element, bool cast, enum cell_kind kind,
                           const char *json)
{
    static char text[4096];
    _cleanup_buf_ struct buf out = {0};
    struct error err;
    struct column column = {.type = TYPE_ARRAY, .typmod = -1, .cast = cast};
    struct column of = {.type = element, .typmod = -1, .wire_oid = 23};
    char type_name[] = "array[]";
    char element_name[] = "element";

    column.type_name = type_name;
    column.element = &of;
    of.type_name = element_name;
    of.not_null = element == TYPE_INT8;
    struct cell cell = {.kind = kind, .text = str_of(json)};
    struct encoding v = {&encoder, &column, UNIT_NONE, &cell, &out, &err, &rules};
    buf_add_u8(&out, 0); /* what is there stays */
    if (!encode_value(&v)) {
        snprintf(text, sizeof text, "%s", err.text);
    } else if (cast) {
        snprintf(text, sizeof text, "%.*s", (int) out.n - 5, (const char *) out.p + 5);
    } else {
        snprintf(text, sizeof text, "%s", kit_hex(&out, 1));
    }
    return text;
}

static void test_dimensions(void **state)
{
    (void) state;
    static const char empty[] = "0000000c"
                                "00000000"
                                "00000001"
                                "00000017";
    static const struct {
        const char *json;
        const char *want;
    } cases[] = {
        {"[]", empty},
        {"[ [ ] , [ ] ]", empty},
        {"[1,null]", "00000020"
                     "00000001"
                     "00000001"
                     "00000017"
                     "00000002"
                     "00000001"
                     "00000004"
                     "00000001"
                     "ffffffff"},
        {"[[1],[2]]", "0000002c"
                      "00000002"
                      "00000001"
                      "00000017"
                      "00000002"
                      "00000001"
                      "00000001"
                      "00000001"
                      "00000004"
                      "00000001"
                      "00000004"
                      "00000002"},
        {"[[1],[2,3]]", "[[1],[2,3]] has arrays of different lengths, which array[] does not take"},
        {"[[1],2]", "[[1],2] has arrays of different lengths, which array[] does not take"},
        {"[1,[2]]", "[1,[2]] has arrays of different lengths, which array[] does not take"},
        {"[[[[[[[1]]]]]]]", "[[[[[[[1]]]]]]] has more than 6 dimensions"},
        {"[1,[\"x\\\"]\"],[2]]",
         "[1,[\"x\\\"]\"],[2]] has arrays of different lengths, which array[] does not take"},
        {"[1,\"x\"]", "element 2: \"x\" is not a valid int4"},
        {"{}", "an object does not go into array[]"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        kit_assert_text(encoded(TYPE_INT4, false, CELL_JSON, cases[i].json), cases[i].want);
    }
}

static void test_what_an_array_comes_from(void **state)
{
    (void) state;
    kit_assert_text(encoded(TYPE_INT4, false, CELL_STRING, "{1}"),
                    "\"{1}\" is not a JSON array, as array[] wants one");
    kit_assert_text(encoded(TYPE_INT4, false, CELL_BYTES, " [] "),
                    "0000000c000000000000000100000017");
    kit_assert_text(encoded(TYPE_INT4, false, CELL_BYTES, "1"),
                    "\"1\" is not a JSON array, as array[] wants one");
    kit_assert_text(encoded(TYPE_INT4, false, CELL_BYTES, "[1"),
                    "not valid JSON: expected ',' or ']' at byte 3");
    kit_assert_text(encoded(TYPE_INT8, false, CELL_JSON, "[1,null]"),
                    "element 2 is null, which element does not take");
}

static void test_elements_of_each_kind(void **state)
{
    (void) state;
    kit_assert_text(encoded(TYPE_BOOL, false, CELL_JSON, "[ true , false ]"), "0000001e"
                                                                              "00000001"
                                                                              "00000001"
                                                                              "00000017"
                                                                              "00000002"
                                                                              "00000001"
                                                                              "0000000101"
                                                                              "0000000100");
    kit_assert_text(encoded(TYPE_TEXT, false, CELL_JSON, "[\"a\\u00e9\\\"\", {\"x\" : [1]}]"),
                    "0000002b"
                    "00000001"
                    "00000001"
                    "00000017"
                    "00000002"
                    "00000001"
                    "0000000461c3a922"
                    "0000000b7b227822203a205b315d7d");
    kit_assert_text(encoded(TYPE_JSONB, false, CELL_JSON, "[[1,[2]]]"), "00000020"
                                                                        "00000001"
                                                                        "00000001"
                                                                        "00000017"
                                                                        "00000001"
                                                                        "00000001"
                                                                        "00000008015b312c5b325d5d");
    kit_assert_text(encoded(TYPE_NUMERIC, false, CELL_JSON, "[-0.5e1]"), "00000022"
                                                                         "00000001"
                                                                         "00000001"
                                                                         "00000017"
                                                                         "00000001"
                                                                         "00000001"
                                                                         "0000000a0001000040000000"
                                                                         "0005");
    kit_assert_text(encoded(TYPE_NUMERIC, false, CELL_JSON, "[-0]"), "00000020"
                                                                     "00000001"
                                                                     "00000001"
                                                                     "00000017"
                                                                     "00000001"
                                                                     "00000001"
                                                                     "000000080000000000000000");
}

static void test_arrays_as_text(void **state)
{
    (void) state;
    kit_assert_text(encoded(TYPE_OTHER, true, CELL_JSON, "[\"(1,2)\", null, [\"\\\"\\\\\"], 1.50]"),
                    "{\"(1,2)\",NULL,{\"\\\"\\\\\"},\"1.50\"}");
    kit_assert_text(encoded(TYPE_HSTORE, true, CELL_JSON, "[{\"a\":1}]"),
                    "{\"\\\"a\\\"=>\\\"1\\\"\"}");
    kit_assert_text(encoded(TYPE_OTHER, true, CELL_STRING, "{1,2}"), "{1,2}");
    kit_assert_text(encoded(TYPE_OTHER, true, CELL_JSON, "[[[[[[[1]]]]]]]"),
                    "[[[[[[[1]]]]]]] has more than 6 dimensions");
    kit_assert_text(encoded(TYPE_HSTORE, true, CELL_JSON, "[{\"a\":\"\\u0000\"}]"),
                    "{\"a\":\"\\u0000\"} contains U+0000, which hstore cannot hold");
    kit_assert_text(encoded(TYPE_OTHER, true, CELL_JSON, "{}"),
                    "an object does not go into array[]");
}

static void test_hstore(void **state)
{
    (void) state;
    _cleanup_buf_ struct buf out = {0};
    struct error err;
    struct column column = {.type = TYPE_HSTORE, .typmod = -1, .cast = true};
    struct cell cell = {
        .kind = CELL_JSON,
        .text = STR_LIT(
            "{ \"a\\n\" : null , \"b\":\"q\\\"\\\\\", \"c\" :true,\"d\":1.0,\"e\":{\"x\":[]}}"),
    };
    struct encoding v = {&encoder, &column, UNIT_NONE, &cell, &out, &err, &rules};
    assert_true(encode_value(&v));
    assert_int_equal(out.p[3], out.n - 4);
    buf_add_u8(&out, '\0');
    kit_assert_text((const char *) out.p + 4,
                    "\"a\n\"=>NULL,\"b\"=>\"q\\\"\\\\\",\"c\"=>\"true\",\"d\"=>\"1.0\","
                    "\"e\"=>\"{\\\"x\\\":[]}\"");
    cell.text = STR_LIT("{\"\\u0000\":1}");
    assert_false(encode_value(&v));
    kit_assert_text(err.text, "{\"\\u0000\":1} contains U+0000, which hstore cannot hold");
}

static int done(void **state)
{
    (void) state;
    encoder_done(&encoder);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_dimensions),
        cmocka_unit_test(test_what_an_array_comes_from),
        cmocka_unit_test(test_elements_of_each_kind),
        cmocka_unit_test(test_arrays_as_text),
        cmocka_unit_test(test_hstore),
    };

    return cmocka_run_group_tests(tests, NULL, done);
}
