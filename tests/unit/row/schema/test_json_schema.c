/* json_schema.c: JSON Schema into shapes. */
#include "row/schema/json_schema.h"

#include "row/kit.h"

static const struct schema *schema_of(const char *text, const struct schema_part *refs, size_t n)
{
    const struct schema *s = NULL;
    struct error err;

    if (!schema_compile(SCHEMA_JSON, str_of(text), refs, n, &s, &err)) {
        print_error("%s: %s\n", text, err.text);
        fail();
    }
    assert_int_equal(schema_language(s), SCHEMA_JSON);
    assert_int_equal(schema_root_count(s), 1);
    return s;
}

static void expect_fault_at(struct str text, const struct schema_part *refs, size_t n,
                            const char *want)
{
    const struct schema *s = NULL;
    struct error err;

    assert_false(json_schema_read(text, refs, n, &s, &err));
    assert_null(s);
    assert_int_equal(err.class, ERROR_SETUP);
    assert_string_equal(err.sqlstate, "");
    if (strstr(err.text, want) == NULL) {
        print_error("%s\n", err.text);
        fail();
    }
}

static void expect_fault(const char *text, const char *want)
{
    expect_fault_at(str_of(text), NULL, 0, want);
}

static const struct shape *field(const struct shape *s, const char *name)
{
    const struct shape_field *f = shape_field_of(s, str_of(name));

    assert_non_null(f);
    return f->shape;
}

/* The shape of one property. */
static void expect_type(const char *type, enum shape_kind kind, enum shape_sense sense)
{
    char text[512];

    snprintf(text, sizeof text, "{\"type\":\"object\",\"properties\":{\"a\":%s}}", type);
    const struct schema *s = schema_of(text, NULL, 0);
    const struct shape *a = shape_beyond_null(field(schema_root(s, 0), "a"), NULL);
    if (a->kind != kind || a->sense != sense) {
        print_error("%s: kind %u, sense %u\n", type, a->kind, a->sense);
        fail();
    }
    (void) schema_drop(s);
}

static void test_an_object(void **state)
{
    (void) state;
    const struct schema *s = schema_of(
        "\xef\xbb\xbf {\"$schema\":\"http://json-schema.org/draft-07/schema#\",\"title\":\"Order\","
        "\"type\":\"object\",\"properties\":{\"id\":{\"type\":\"integer\"},"
        "\"\\u0066ew\":{\"type\":[\"string\",\"null\"]},\"tags\":{\"items\":{\"type\":\"string\"},"
        "\"type\":\"array\"},\"any\":true,\"of\":{\"properties\":{}}},"
        "\"required\":[\"id\",7,\"none\"]}",
        NULL, 0);
    const struct shape *root = schema_root(s, 0);
    bool nullable;
    assert_int_equal(root->kind, SHAPE_RECORD);
    assert_true(str_eq_z(root->name, "Order"));
    assert_int_equal(root->field_count, 5);
    assert_false(root->fields[0].is_optional);
    assert_true(root->fields[1].is_optional);
    assert_int_equal(root->fields[1].number, 1);
    assert_int_equal(shape_beyond_null(field(root, "few"), &nullable)->kind, SHAPE_STRING);
    assert_true(nullable);
    assert_int_equal(field(root, "tags")->element->kind, SHAPE_STRING);
    assert_int_equal(field(root, "any")->kind, SHAPE_ANY);
    assert_int_equal(field(root, "of")->kind, SHAPE_RECORD);
    assert_int_equal(field(root, "of")->field_count, 0);
    (void) schema_drop(s);
}

static void test_types(void **state)
{
    (void) state;
    static const struct {
        const char *type;
        enum shape_kind kind;
        enum shape_sense sense;
    } cases[] = {
        {"{\"type\":\"boolean\"}", SHAPE_BOOL, SENSE_NONE},
        {"{\"type\":\"null\"}", SHAPE_NULL, SENSE_NONE},
        {"{\"type\":\"number\"}", SHAPE_NUMBER, SENSE_NONE},
        {"{\"type\":\"integer\",\"minimum\":0,\"maximum\":9223372036854775807}", SHAPE_INT64,
         SENSE_NONE},
        {"{\"type\":\"integer\",\"maximum\":18446744073709551615}", SHAPE_NUMBER, SENSE_NONE},
        {"{\"type\":\"integer\",\"minimum\":-18446744073709551615}", SHAPE_NUMBER, SENSE_NONE},
        {"{\"type\":\"integer\",\"minimum\":-1.00000000000000000000}", SHAPE_INT64, SENSE_NONE},
        {"{\"type\":\"string\"}", SHAPE_STRING, SENSE_NONE},
        {"{\"type\":\"string\",\"format\":\"date\"}", SHAPE_STRING, SENSE_DATE},
        {"{\"type\":\"string\",\"format\":\"date-time\"}", SHAPE_STRING, SENSE_INSTANT},
        {"{\"type\":\"string\",\"format\":\"time\"}", SHAPE_STRING, SENSE_ZONED_TIME},
        {"{\"type\":\"string\",\"format\":\"uuid\"}", SHAPE_STRING, SENSE_UUID},
        {"{\"type\":\"string\",\"format\":\"duration\"}", SHAPE_STRING, SENSE_DURATION},
        {"{\"type\":\"string\",\"format\":\"ipv4\"}", SHAPE_STRING, SENSE_INET},
        {"{\"type\":\"string\",\"format\":\"ipv6\"}", SHAPE_STRING, SENSE_INET},
        {"{\"type\":\"string\",\"format\":\"email\"}", SHAPE_STRING, SENSE_NONE},
        {"{\"type\":\"string\",\"contentEncoding\":\"base64\"}", SHAPE_BYTES, SENSE_NONE},
        {"{\"type\":\"file\"}", SHAPE_ANY, SENSE_NONE},
        {"{\"enum\":[1,2]}", SHAPE_ANY, SENSE_NONE},
        {"{\"type\":\"array\"}", SHAPE_ARRAY, SENSE_NONE},
        {"{\"type\":\"array\",\"items\":[{},{}]}", SHAPE_ARRAY, SENSE_NONE},
        {"{\"type\":\"object\"}", SHAPE_MAP, SENSE_NONE},
        {"{\"type\":\"object\",\"additionalProperties\":{\"type\":\"number\"}}", SHAPE_MAP,
         SENSE_NONE},
        {"{\"type\":[]}", SHAPE_ANY, SENSE_NONE},
        {"{\"type\":[\"string\"]}", SHAPE_STRING, SENSE_NONE},
        {"{\"type\":[\"string\",\"integer\",7]}", SHAPE_UNION, SENSE_NONE},
        {"{\"type\":[\"null\",\"string\"],\"format\":\"date\"}", SHAPE_STRING, SENSE_DATE},
        {"{\"oneOf\":[{\"type\":\"null\"},{\"type\":\"integer\"}]}", SHAPE_INT64, SENSE_NONE},
        {"{\"anyOf\":[{\"type\":\"integer\"},{\"type\":\"null\"}]}", SHAPE_INT64, SENSE_NONE},
        {"{\"oneOf\":[{\"type\":\"string\"},{\"type\":\"integer\"}]}", SHAPE_UNION, SENSE_NONE},
        {"{\"oneOf\":[]}", SHAPE_ANY, SENSE_NONE},
        {"{\"allOf\":[{\"type\":\"integer\"}]}", SHAPE_INT64, SENSE_NONE},
        {"{\"allOf\":[{\"type\":\"integer\"},{\"minimum\":1}]}", SHAPE_ANY, SENSE_NONE},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        expect_type(cases[i].type, cases[i].kind, cases[i].sense);
    }
}

static void test_what_connect_writes(void **state)
{
    (void) state;
    const struct schema *s = schema_of(
        "{\"type\":\"object\",\"title\":\"shop.Order\",\"properties\":{"
        "\"price\":{\"connect.index\":2,\"oneOf\":[{\"type\":\"null\"},{\"type\":\"number\","
        "\"title\":\"org.apache.kafka.connect.data.Decimal\",\"connect.type\":\"bytes\","
        "\"connect.parameters\":{\"scale\":\"2\"}}]},"
        "\"b\":{\"type\":\"string\",\"connect.type\":\"bytes\",\"connect.index\":3},"
        "\"few\":{\"type\":\"integer\",\"connect.type\":\"int16\",\"connect.index\":1},"
        "\"f\":{\"type\":\"number\",\"connect.type\":\"float64\"},"
        "\"g\":{\"type\":\"number\",\"connect.type\":\"float32\"},"
        "\"day\":{\"type\":\"integer\",\"title\":\"io.debezium.time.Date\","
        "\"connect.type\":\"int32\",\"connect.index\":0},"
        "\"m\":{\"type\":\"object\",\"connect.type\":\"map\",\"properties\":{},"
        "\"additionalProperties\":{\"type\":\"string\"}},"
        "\"odd\":{\"type\":\"string\",\"title\":\"io.debezium.time.Date\"}}}",
        NULL, 0);
    const struct shape *root = schema_root(s, 0);
    static const char *const order[] = {"day", "few", "price", "b", "f", "g", "m", "odd"};
    assert_int_equal(root->field_count, ARRAY_LEN(order));
    for (uint32_t i = 0; i < root->field_count; i++) {
        assert_true(str_eq_z(root->fields[i].name, order[i]));
        assert_int_equal(root->fields[i].number, i);
    }
    const struct shape *price = shape_beyond_null(field(root, "price"), NULL);
    assert_int_equal(price->kind, SHAPE_BYTES);
    assert_int_equal(price->sense, SENSE_DECIMAL);
    assert_int_equal(price->scale, 2);
    assert_int_equal(field(root, "b")->kind, SHAPE_BYTES);
    assert_int_equal(field(root, "few")->bits, 16);
    assert_int_equal(field(root, "f")->kind, SHAPE_DOUBLE);
    assert_int_equal(field(root, "g")->kind, SHAPE_FLOAT);
    assert_int_equal(field(root, "day")->sense, SENSE_DATE);
    assert_int_equal(field(root, "day")->unit, UNIT_DAY);
    assert_true(str_eq_z(field(root, "day")->logical, "io.debezium.time.Date"));
    assert_int_equal(field(root, "m")->element->kind, SHAPE_STRING);
    assert_int_equal(field(root, "odd")->sense, SENSE_NONE);
    (void) schema_drop(s);
}

static void test_references(void **state)
{
    (void) state;
    const struct schema_part refs[] = {
        {STR_LIT("item.json"),
         STR_LIT("{\"$id\":\"http://shop/item\",\"type\":\"object\",\"properties\":{"
                 "\"n\":{\"type\":\"integer\"},\"in\":{\"$ref\":\"#\"}},"
                 "\"$defs\":{\"a/~b\":{\"type\":\"boolean\"}}}")},
    };
    const struct schema *s = schema_of(
        "{\"type\":\"object\",\"properties\":{"
        "\"next\":{\"oneOf\":[{\"type\":\"null\"},{\"$ref\":\"#\"}]},"
        "\"item\":{\"$ref\":\"item.json\"},\"again\":{\"$ref\":\"http://shop/item#\"},"
        "\"truth\":{\"$ref\":\"item.json#/$defs/a~1~0b\"},"
        "\"day\":{\"$ref\":\"#/definitions/far\"},"
        "\"more\":{\"$ref\":\"#/definitions/Day\"},\"all\":{\"$ref\":\"#/definitions/true\"},"
        "\"one\":{\"$ref\":\"#/definitions/one\"},\"anchor\":{\"$ref\":\"#anchor\"}},"
        "\"definitions\":{\"Day\":{\"type\":\"string\",\"format\":\"date\"},"
        "\"far\":{\"$ref\":\"#/definitions/Day\"},\"true\":true,"
        "\"one\":{\"allOf\":[{\"type\":\"object\",\"properties\":{\"x\":"
        "{\"$ref\":\"#/definitions/one\"}}}]}}}",
        refs, ARRAY_LEN(refs));
    const struct shape *root = schema_root(s, 0);
    assert_ptr_equal(shape_beyond_null(field(root, "next"), NULL), root);
    const struct shape *item = field(root, "item");
    assert_int_equal(item->kind, SHAPE_RECORD);
    assert_ptr_equal(field(root, "again"), item);
    assert_ptr_equal(field(item, "in"), item);
    assert_int_equal(field(root, "truth")->kind, SHAPE_BOOL);
    assert_int_equal(field(root, "day")->sense, SENSE_DATE);
    assert_ptr_equal(field(root, "day"), field(root, "more"));
    assert_int_equal(field(root, "all")->kind, SHAPE_ANY);
    assert_int_equal(field(root, "one")->kind, SHAPE_RECORD);
    assert_int_equal(field(root, "anchor")->kind, SHAPE_ANY);
    (void) schema_drop(s);
}

static void test_faults(void **state)
{
    (void) state;
    const struct schema_part bad[] = {{STR_LIT("x.json"), STR_LIT("[")}};

    expect_fault("[]", "the JSON Schema cannot be read: it is no object");
    expect_fault("{", "the JSON Schema cannot be read");
    expect_fault_at(STR_LIT("{}"), bad, 1, "its reference 'x.json'");
    expect_fault("{\"type\":\"object\",\"properties\":{\"a\":{\"properties\":{\"b\":7}}}}",
                 "a: b: where a type belongs there is a number");
    expect_fault("{\"type\":\"array\",\"items\":{\"$ref\":\"#/definitions/No\"}}",
                 "it refers to '#/definitions/No', which is not there");
    expect_fault("{\"type\":\"array\",\"items\":{\"$ref\":\"#/type/No\"}}", "which is not there");
    expect_fault("{\"oneOf\":[{\"$ref\":\"other.json\"}]}", "refers to 'other.json'");
    expect_fault("{\"type\":[\"null\",\"array\"],\"items\":{\"$ref\":\"no\"}}", "refers to 'no'");
    expect_fault("{\"$ref\":\"#\"}", "nested deeper than 64 types");
    expect_fault("{\"items\":{\"$ref\":\"#/a\"},\"type\":\"array\",\"a\":{\"$ref\":\"#/b\"},"
                 "\"b\":{\"$ref\":\"#/a\"}}",
                 "nested deeper than 64 types");
}

/* So many times what `each` says, where it has @ each time its number. */
static void fill(struct buf *out, size_t n, const char *each)
{
    for (size_t i = 0; i < n; i++) {
        const char *at = strchr(each, '@');
        buf_add_z(out, i > 0 ? "," : "");
        buf_printf(out, "%.*s%zu%s", (int) (at - each), each, i, at + 1);
    }
}

static void test_too_much(void **state)
{
    (void) state;
    _cleanup_buf_ struct buf text = {0};

    buf_fill(&text, ' ', (8 << 20) + 1);
    expect_fault_at(buf_str(&text), NULL, 0, "more than 8388608");
    buf_clear(&text);
    buf_add_z(&text, "{\"oneOf\":[");
    fill(&text, 100001, "{\"a\":@}");
    buf_add_z(&text, "]}");
    expect_fault_at(buf_str(&text), NULL, 0, "more than 100000 types");
    buf_clear(&text);
    buf_add_z(&text, "{\"oneOf\":[");
    fill(&text, 10001, "{\"$ref\":\"#/@\"}");
    buf_add_z(&text, "],");
    fill(&text, 10001, "\"@\":{}");
    buf_add_z(&text, "}");
    expect_fault_at(buf_str(&text), NULL, 0, "too large to follow its references");
    buf_clear(&text);
    buf_add_z(&text, "{\"properties\":{");
    fill(&text, 40000, "\"@\":{}");
    buf_add_z(&text, "},\"required\":[");
    fill(&text, 40000, "\"@\"");
    buf_add_z(&text, "]}");
    expect_fault_at(buf_str(&text), NULL, 0, "too large to follow its references");
}

static void test_words_that_come_again(void **state)
{
    (void) state;
    _cleanup_buf_ struct buf text = {0};
    const struct schema *s = schema_of(
        "{\"type\":[\"object\",\"null\",\"object\",\"x\",7],\"properties\":{\"a\":true}}", NULL, 0);

    assert_int_equal(schema_root(s, 0)->branch_count, 3);
    assert_int_equal(schema_root(s, 0)->branches[0]->kind, SHAPE_RECORD);
    assert_int_equal(schema_root(s, 0)->branches[1]->kind, SHAPE_NULL);
    assert_int_equal(schema_root(s, 0)->branches[2]->kind, SHAPE_ANY);
    (void) schema_drop(s);
    buf_add_z(&text, "{\"type\":[");
    for (int i = 0; i < 1000; i++) {
        buf_add_z(&text, i > 0 ? ",\"object\"" : "\"object\"");
    }
    buf_add_z(&text, "],\"properties\":{");
    fill(&text, 1000, "\"@\":{\"type\":\"string\"}");
    buf_add_z(&text, "}}");
    s = schema_of(buf_cstr(&text), NULL, 0);
    assert_int_equal(schema_root(s, 0)->kind, SHAPE_RECORD);
    assert_int_equal(schema_root(s, 0)->field_count, 1000);
    assert_int_equal(schema_shape_count(s), 1001);
    (void) schema_drop(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_object),
        cmocka_unit_test(test_types),
        cmocka_unit_test(test_what_connect_writes),
        cmocka_unit_test(test_references),
        cmocka_unit_test(test_faults),
        cmocka_unit_test(test_too_much),
        cmocka_unit_test(test_words_that_come_again),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
