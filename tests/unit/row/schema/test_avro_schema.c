/* avro_schema.c: from the JSON of a schema to shapes. */
#include "row/schema/avro_schema.h"

#include "row/kit.h"

#include <malloc.h>

/* The schema of that text; ' stands for ". */
static struct str quoted(const char *text, struct buf *out)
{
    buf_clear(out);
    for (const char *p = text; *p != '\0'; p++) {
        buf_add_u8(out, *p == '\'' ? '"' : (uint8_t) *p);
    }
    return buf_str(out);
}

static const struct schema *schema_of(const char *text)
{
    _cleanup_buf_ struct buf b = {0};
    const struct schema *s = NULL;
    struct error err;

    if (!schema_compile(SCHEMA_AVRO, quoted(text, &b), NULL, 0, &s, &err)) {
        print_error("%s\n", err.text);
        fail();
    }
    assert_int_equal(schema_language(s), SCHEMA_AVRO);
    assert_int_equal(schema_root_count(s), 1);
    return s;
}

static void expect_fault(const char *text, const char *want)
{
    _cleanup_buf_ struct buf b = {0};
    const struct schema *s = NULL;
    struct error err;

    assert_false(avro_schema_read(quoted(text, &b), NULL, 0, &s, &err));
    kit_assert_text(err.text, want);
    assert_int_equal(err.class, ERROR_SETUP);
    assert_string_equal(err.sqlstate, "");
    assert_null(s);
}

/* The only field of a record whose type is that text. */
static const struct shape *only(const struct schema **out, const char *type)
{
    _cleanup_buf_ struct buf b = {0};

    buf_printf(&b, "{'type':'record','name':'R','fields':[{'name':'f','type':%s}]}", type);
    *out = schema_of(buf_cstr(&b));
    return schema_root(*out, 0)->fields[0].shape;
}

static void test_primitive_types(void **state)
{
    (void) state;
    static const struct {
        const char *text;
        enum shape_kind kind;
    } cases[] = {
        {"'null'", SHAPE_NULL},     {" 'boolean' ", SHAPE_BOOL},
        {"'int'", SHAPE_INT32},     {"{'type':'long'}", SHAPE_INT64},
        {"'float'", SHAPE_FLOAT},   {"{'type':{'type':'double'}}", SHAPE_DOUBLE},
        {"'string'", SHAPE_STRING}, {"\xEF\xBB\xBF'bytes'", SHAPE_BYTES},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const struct schema *s = schema_of(cases[i].text);
        assert_int_equal(schema_root(s, 0)->kind, cases[i].kind);
        assert_int_equal(schema_root(s, 0)->sense, SENSE_NONE);
        schema_drop(s);
    }
}

static void test_a_record(void **state)
{
    (void) state;
    const struct schema *s = schema_of(
        "{'type':'record','name':'Order','namespace':'shop','doc':'d','aliases':['Old'],'fields':["
        "{'name':'id','type':'long'},{'name':'n','type':'long','default':3,'aliases':['m']},"
        "{'name':'tags','type':{'type':'array','items':'string'}},"
        "{'name':'more','type':{'type':'map','values':['null','int']}},"
        "{'name':'kind','type':{'type':'enum','name':'Kind','symbols':['A','B\\u0041']}},"
        "{'name':'hash','type':{'type':'fixed','name':'x.y.Hash','namespace':'z','size':4}}]}");
    const struct shape *r = schema_root(s, 0);

    assert_int_equal(r->kind, SHAPE_RECORD);
    assert_true(str_eq_z(r->name, "shop.Order"));
    assert_int_equal(r->field_count, 6);
    assert_true(str_eq_z(r->fields[1].name, "n"));
    assert_int_equal(r->fields[1].number, 1);
    assert_int_equal(r->fields[1].oneof, -1);
    assert_false(r->fields[1].is_optional);
    assert_ptr_equal(r->fields[0].shape, r->fields[1].shape);
    assert_int_equal(r->fields[2].shape->kind, SHAPE_ARRAY);
    assert_int_equal(r->fields[2].shape->element->kind, SHAPE_STRING);
    assert_int_equal(r->fields[3].shape->kind, SHAPE_MAP);
    const struct shape *u = r->fields[3].shape->element;
    assert_int_equal(u->kind, SHAPE_UNION);
    assert_int_equal(u->branch_count, 2);
    assert_int_equal(u->branches[1]->kind, SHAPE_INT32);
    const struct shape *e = r->fields[4].shape;
    assert_int_equal(e->kind, SHAPE_ENUM);
    assert_true(str_eq_z(e->name, "shop.Kind"));
    assert_int_equal(e->symbol_count, 2);
    assert_true(str_eq_z(e->symbols[1], "BA"));
    assert_null(e->numbers);
    const struct shape *h = r->fields[5].shape;
    assert_int_equal(h->kind, SHAPE_FIXED);
    assert_true(str_eq_z(h->name, "x.y.Hash"));
    assert_int_equal(h->length, 4);
    schema_drop(s);
}

static void test_names_and_namespaces(void **state)
{
    (void) state;
    /* Debezium: `after` refers by its short name to what is defined inside `before`. */
    const struct schema *s = schema_of(
        "{'type':'record','name':'Envelope','namespace':'srv.shop','fields':["
        "{'name':'before','type':['null',{'type':'record','name':'Value','fields':["
        "{'name':'next','type':['null','Value']}]}]},"
        "{'name':'after','type':['null','Value']},"
        "{'name':'same','type':{'type':'srv.shop.Value'}},"
        "{'name':'inner','type':{'type':'record','name':'I','namespace':'','fields':["
        "{'name':'i','type':['null','I']}]}},"
        "{'name':'outer','type':'I'},"
        "{'name':'deep','type':{'type':'record','name':'a.b.D','fields':["
        "{'name':'x','type':{'type':'record','name':'X','fields':[]}}]}}]}");
    const struct shape *r = schema_root(s, 0);
    const struct shape *value = r->fields[0].shape->branches[1];

    assert_true(str_eq_z(value->name, "srv.shop.Value"));
    assert_ptr_equal(value->fields[0].shape->branches[1], value);
    assert_ptr_equal(r->fields[1].shape->branches[1], value);
    assert_ptr_equal(r->fields[2].shape, value);
    assert_true(str_eq_z(r->fields[3].shape->name, "I"));
    assert_ptr_equal(r->fields[3].shape->fields[0].shape->branches[1], r->fields[3].shape);
    assert_ptr_equal(r->fields[4].shape, r->fields[3].shape);
    assert_true(str_eq_z(r->fields[5].shape->fields[0].shape->name, "a.b.X"));
    assert_int_equal(r->fields[5].shape->fields[0].shape->field_count, 0);
    schema_drop(s);
}

static void test_senses(void **state)
{
    (void) state;
    static const struct {
        const char *type;
        enum shape_sense sense;
        enum time_unit unit;
        const char *logical;
    } cases[] = {
        {"{'type':'int','logicalType':'date'}", SENSE_DATE, UNIT_DAY, "date"},
        {"{'type':'int','logicalType':'time-millis'}", SENSE_TIME, UNIT_MS, "time-millis"},
        {"{'type':'long','logicalType':'time-micros'}", SENSE_TIME, UNIT_US, "time-micros"},
        {"{'type':'long','logicalType':'timestamp-millis'}", SENSE_INSTANT, UNIT_MS,
         "timestamp-millis"},
        {"{'type':'long','logicalType':'timestamp-micros'}", SENSE_INSTANT, UNIT_US,
         "timestamp-micros"},
        {"{'type':'long','logicalType':'timestamp-nanos'}", SENSE_INSTANT, UNIT_NS,
         "timestamp-nanos"},
        {"{'type':'long','logicalType':'local-timestamp-millis'}", SENSE_TIMESTAMP, UNIT_MS,
         "local-timestamp-millis"},
        {"{'type':'long','logicalType':'local-timestamp-micros'}", SENSE_TIMESTAMP, UNIT_US,
         "local-timestamp-micros"},
        {"{'type':'long','logicalType':'local-timestamp-nanos'}", SENSE_TIMESTAMP, UNIT_NS,
         "local-timestamp-nanos"},
        {"{'type':'string','logicalType':'uuid'}", SENSE_UUID, UNIT_NONE, "uuid"},
        {"{'type':'fixed','name':'U','size':16,'logicalType':'uuid'}", SENSE_UUID, UNIT_NONE,
         "uuid"},
        {"{'type':'fixed','name':'U','size':15,'logicalType':'uuid'}", SENSE_NONE, UNIT_NONE,
         "uuid"},
        {"{'type':'fixed','name':'D','size':12,'logicalType':'duration'}", SENSE_DURATION,
         UNIT_NONE, "duration"},
        {"{'type':'bytes','logicalType':'decimal'}", SENSE_DECIMAL, UNIT_NONE, "decimal"},
        {"{'type':'string','logicalType':'decimal'}", SENSE_NONE, UNIT_NONE, "decimal"},
        {"{'type':'string','logicalType':'date'}", SENSE_NONE, UNIT_NONE, "date"},
        {"{'type':'long','logicalType':'date'}", SENSE_NONE, UNIT_NONE, "date"},
        {"{'type':'long','logicalType':'time-millis'}", SENSE_NONE, UNIT_NONE, "time-millis"},
        {"{'type':'int','logicalType':'time-micros'}", SENSE_NONE, UNIT_NONE, "time-micros"},
        {"{'type':'int','logicalType':'timestamp-millis'}", SENSE_NONE, UNIT_NONE,
         "timestamp-millis"},
        {"{'type':'int','logicalType':'local-timestamp-nanos'}", SENSE_NONE, UNIT_NONE,
         "local-timestamp-nanos"},
        {"{'type':'long','connect.name':'io.debezium.time.Date'}", SENSE_DATE, UNIT_DAY,
         "io.debezium.time.Date"},
        {"{'type':'int','logicalType':'no-such'}", SENSE_NONE, UNIT_NONE, "no-such"},
        {"{'type':'int','logicalType':7}", SENSE_NONE, UNIT_NONE, NULL},
        /* Connect's name says more than the logical type. */
        {"{'type':'long','logicalType':'timestamp-millis',"
         "'connect.name':'org.apache.kafka.connect.data.Timestamp'}",
         SENSE_TIMESTAMP, UNIT_MS, "org.apache.kafka.connect.data.Timestamp"},
        {"{'type':'long','connect.name':'io.debezium.time.MicroTimestamp'}", SENSE_TIMESTAMP,
         UNIT_US, "io.debezium.time.MicroTimestamp"},
        {"{'type':'string','connect.name':'io.debezium.time.ZonedTimestamp'}", SENSE_INSTANT,
         UNIT_NONE, "io.debezium.time.ZonedTimestamp"},
        {"{'type':'long','connect.name':'io.debezium.time.MicroDuration'}", SENSE_DURATION, UNIT_US,
         "io.debezium.time.MicroDuration"},
        {"{'type':'string','connect.name':'io.debezium.time.Interval'}", SENSE_DURATION, UNIT_NONE,
         "io.debezium.time.Interval"},
        {"{'type':'int','connect.name':'io.debezium.time.Year'}", SENSE_YEAR, UNIT_NONE,
         "io.debezium.time.Year"},
        {"{'type':'string','connect.name':'io.debezium.time.Year'}", SENSE_NONE, UNIT_NONE,
         "io.debezium.time.Year"},
        {"{'type':'string','connect.name':'io.debezium.data.Json'}", SENSE_JSON, UNIT_NONE,
         "io.debezium.data.Json"},
        {"{'type':'record','name':'P','fields':[],"
         "'connect.name':'io.debezium.data.geometry.Point'}",
         SENSE_POINT, UNIT_NONE, "io.debezium.data.geometry.Point"},
        {"{'type':'record','name':'V','fields':[],"
         "'connect.name':'io.debezium.data.VariableScaleDecimal'}",
         SENSE_SCALED, UNIT_NONE, "io.debezium.data.VariableScaleDecimal"},
        {"{'type':'int','logicalType':'date','connect.name':'my.Own'}", SENSE_DATE, UNIT_DAY,
         "date"},
        {"{'type':'int','connect.name':'my.Own'}", SENSE_NONE, UNIT_NONE, "my.Own"},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const struct schema *s;
        const struct shape *shape = only(&s, cases[i].type);
        if (shape->sense != cases[i].sense || shape->unit != cases[i].unit) {
            print_error("%s: %d, %d\n", cases[i].type, (int) shape->sense, (int) shape->unit);
            fail();
        }
        if (cases[i].logical == NULL) {
            assert_null(shape->logical.p);
        } else {
            assert_true(str_eq_z(shape->logical, cases[i].logical));
        }
        schema_drop(s);
    }
}

static void expect_decimal(const char *type, int32_t precision, int32_t scale)
{
    const struct schema *s;
    const struct shape *shape = only(&s, type);

    assert_int_equal(shape->sense, SENSE_DECIMAL);
    assert_int_equal(shape->precision, precision);
    assert_int_equal(shape->scale, scale);
    schema_drop(s);
}

static void test_decimals(void **state)
{
    (void) state;
    expect_decimal("{'type':'bytes','logicalType':'decimal','precision':10,'scale':2}", 10, 2);
    expect_decimal("{'type':'bytes','logicalType':'decimal','precision':10}", 10, 0);
    expect_decimal("{'type':'bytes','logicalType':'decimal','precision':0}", SHAPE_UNSAID, 0);
    expect_decimal("{'type':'bytes','logicalType':'decimal','precision':1.5,'scale':'x'}",
                   SHAPE_UNSAID, 0);
    expect_decimal("{'type':'bytes','logicalType':'decimal','scale':99999999999}", SHAPE_UNSAID, 0);
    expect_decimal("{'type':'fixed','name':'F','size':8,'logicalType':'decimal','precision':4,"
                   "'scale':-2}",
                   4, -2);
    expect_decimal("{'type':'bytes','connect.name':'org.apache.kafka.connect.data.Decimal',"
                   "'connect.version':1,"
                   "'connect.parameters':{'scale':'2','connect.decimal.precision':'10'}}",
                   10, 2);
    expect_decimal("{'type':'bytes','scale':127,'precision':64,'logicalType':'decimal',"
                   "'connect.name':'org.apache.kafka.connect.data.Decimal',"
                   "'connect.parameters':{'scale':'127'}}",
                   64, 127);
}

static void test_what_connect_says_beside(void **state)
{
    (void) state;
    const struct schema *s;
    const struct shape *shape = only(&s, "{'type':'int','connect.type':'int16'}");

    assert_int_equal(shape->bits, 16);
    schema_drop(s);
    shape = only(&s, "{'type':'int','connect.type':'int8'}");
    assert_int_equal(shape->bits, 8);
    schema_drop(s);
    shape = only(&s, "{'type':'string','connect.type':'int8'}");
    assert_int_equal(shape->bits, 0);
    schema_drop(s);
    shape = only(&s, "{'type':'bytes','connect.name':'io.debezium.data.Bits',"
                     "'connect.parameters':{'length':'5'}}");
    assert_int_equal(shape->sense, SENSE_BITS);
    assert_int_equal(shape->length, 5);
    schema_drop(s);
    shape = only(&s, "{'type':'bytes','connect.name':'io.debezium.data.Bits'}");
    assert_int_equal(shape->length, 0);
    schema_drop(s);
    shape = only(&s, "{'type':'string','connect.parameters':{'allowed':'calm,cross',"
                     "'__debezium.source.column.type':'VARCH\\u0041R',"
                     "'__debezium.source.column.length':'40',"
                     "'__debezium.source.column.scale':'x'}}");
    assert_true(str_eq_z(shape->source_type, "VARCHAR"));
    assert_int_equal(shape->source_length, 40);
    assert_int_equal(shape->source_scale, SHAPE_UNSAID);
    schema_drop(s);
    shape = only(&s, "{'type':'string','connect.parameters':['allowed']}");
    assert_null(shape->source_type.p);
    schema_drop(s);
    /* Beside the type it means nothing. */
    s = schema_of("{'type':'record','name':'R','fields':["
                  "{'name':'f','type':'int','logicalType':'date'}]}");
    assert_int_equal(schema_root(s, 0)->fields[0].shape->sense, SENSE_NONE);
    schema_drop(s);
}

static void test_references(void **state)
{
    (void) state;
    const struct schema_part refs[] = {
        {STR_LIT("money"), STR_LIT("{\"type\":\"record\",\"name\":\"shop.Money\",\"fields\":[]}")},
        {STR_LIT("line"), STR_LIT("{\"type\":\"record\",\"name\":\"shop.Line\",\"fields\":["
                                  "{\"name\":\"m\",\"type\":\"Money\"}]}")},
        {STR_LIT("again"), STR_LIT("{\"type\":\"record\",\"name\":\"shop.Money\",\"fields\":[]}")},
    };
    const struct schema *s;
    struct error err;

    assert_true(avro_schema_read(STR_LIT("[\"shop.Line\", \"shop.Money\"]"), refs, 3, &s, &err));
    const struct shape *u = schema_root(s, 0);
    assert_int_equal(u->kind, SHAPE_UNION);
    assert_ptr_equal(u->branches[0]->fields[0].shape, u->branches[1]);
    schema_drop(s);
    assert_true(avro_schema_read(STR_LIT("\"shop.Line\""), refs, 3, &s, &err));
    assert_true(str_eq_z(schema_root(s, 0)->name, "shop.Line"));
    schema_drop(s);
    assert_false(avro_schema_read(STR_LIT("\"shop.Line\""), refs + 1, 1, &s, &err));
    assert_string_equal(err.text,
                        "the Avro schema refers to 'line', which cannot be read: record "
                        "'shop.Line': field 'm': neither it nor a schema that it refers to has a "
                        "type 'shop.Money'");
    assert_false(avro_schema_read(
        STR_LIT("{\"type\":\"fixed\",\"size\":1,\"name\":\"shop.Money\"}"), refs, 1, &s, &err));
    assert_string_equal(err.text, "the Avro schema cannot be read: it has two types of the name "
                                  "'shop.Money'");
}

static void test_what_cannot_be_read(void **state)
{
    (void) state;
#define CANNOT "the Avro schema cannot be read: "
    expect_fault("", CANNOT "not valid JSON: it is empty");
    expect_fault("{'type':", CANNOT "not valid JSON: unexpected end at byte 9");
    expect_fault("17", CANNOT "it is neither a string nor an object nor an array");
    expect_fault("'Order'", CANNOT "neither it nor a schema that it refers to has a type 'Order'");
    expect_fault("{'name':'x'}", CANNOT "where a type belongs there is nothing");
    expect_fault("{'type':7}", CANNOT "where a type belongs there is a number");
    expect_fault("['null',null]", CANNOT "where a type belongs there is null");
    expect_fault("['null',['int']]", CANNOT "a union stands directly in a union");
    expect_fault("{'type':'record','fields':[]}",
                 CANNOT "a record, an enum or a fixed has no name");
    expect_fault("{'type':'enum','symbols':[]}", CANNOT "a record, an enum or a fixed has no name");
    expect_fault("{'type':'fixed','size':1}", CANNOT "a record, an enum or a fixed has no name");
    expect_fault("{'type':'record','name':'R'}", CANNOT "record 'R': it has no array 'fields'");
    expect_fault("{'type':'record','name':'R','fields':[7]}",
                 CANNOT "record 'R': a field is a number, not an object");
    expect_fault("{'type':'record','name':'R','fields':[{'type':'int'}]}",
                 CANNOT "record 'R': a field has no name");
    expect_fault("{'type':'record','name':'R','fields':[{'name':'f'}]}",
                 CANNOT "record 'R': field 'f': where a type belongs there is nothing");
    expect_fault("{'type':'record','name':'R','fields':[{'name':'f','type':'int'},"
                 "{'name':'f','type':'int'}]}",
                 CANNOT "record 'R': it has two fields of the name 'f'");
    expect_fault("{'type':'enum','name':'E'}", CANNOT "enum 'E': it has no array 'symbols'");
    expect_fault("{'type':'enum','name':'E','symbols':[1]}",
                 CANNOT "enum 'E': a symbol is a number, not a string");
    expect_fault("{'type':'fixed','name':'F'}",
                 CANNOT "there is no usable 'size' in the fixed 'F'");
    expect_fault("{'type':'fixed','name':'F','size':-1}",
                 CANNOT "there is no usable 'size' in the fixed 'F'");
    expect_fault("{'type':'array','items':'X'}",
                 CANNOT "the items of an array: neither it nor a schema that it refers to has a "
                        "type 'X'");
    expect_fault("{'type':'record','name':'R\\u0000','fields':[]}",
                 CANNOT "the name of a type has U+0000 in it");
    expect_fault("{'type':'fixed','name':'F','namespace':'\\u0000','size':1}",
                 CANNOT "the name of a type has U+0000 in it");
    expect_fault("{'type':'record','name':'R','fields':[{'name':'a\\u0000','type':'int'}]}",
                 CANNOT "record 'R': the name of a field has U+0000 in it");
    expect_fault("{'type':'enum','name':'E','symbols':['A','\\u0000']}",
                 CANNOT "enum 'E': a symbol has U+0000 in it");
    expect_fault("{'type':'map'}",
                 CANNOT "the values of a map: where a type belongs there is nothing");
}

static void test_bounds(void **state)
{
    (void) state;
    _cleanup_buf_ struct buf b = {0};
    const struct schema *s = NULL;
    struct error err;

    /* depth */
    for (int i = 0; i < 64; i++) {
        buf_add_z(&b, "{'type':'array','items':");
    }
    buf_add_z(&b, "'int'");
    buf_fill(&b, '}', 64);
    s = schema_of(buf_cstr(&b));
    assert_int_equal(schema_shape_count(s), 65);
    schema_drop(s);
    buf_clear(&b);
    for (int i = 0; i < 65; i++) {
        buf_add_z(&b, "[");
    }
    buf_fill(&b, ']', 65);
    expect_fault(buf_cstr(&b), CANNOT "it is nested deeper than 64 types");

    /* size */
    buf_clear(&b);
    buf_fill(&b, ' ', (8 << 20) + 1);
    s = NULL;
    assert_false(avro_schema_read(buf_str(&b), NULL, 0, &s, &err));
    assert_string_equal(err.text, CANNOT "it has 8388609 bytes, more than 8388608");

    /* number of types */
    static const char *const types[] = {
        "{'type':'map','values':'int'}",
        "{'type':'int','logicalType':'date'}",
        "['int']",
        "",
    };
    for (size_t t = 0; t < ARRAY_LEN(types); t++) {
        buf_clear(&b);
        buf_add_z(&b, "[");
        for (int i = 0; i < 100000; i++) {
            buf_add_z(&b, i > 0 ? "," : "");
            if (*types[t] != '\0') {
                buf_printf(&b, "{'type':'array','items':%s}", types[t]);
            } else {
                buf_printf(&b, "{'type':'fixed','size':1,'name':'F%d'}", i);
            }
        }
        buf_add_z(&b, "]");
        _cleanup_buf_ struct buf text = {0};
        s = NULL;
        assert_false(avro_schema_read(quoted(buf_cstr(&b), &text), NULL, 0, &s, &err));
        assert_non_null(strstr(err.text, "it has more than 100000 types"));
    }
}

static size_t memory_in_use(void)
{
    struct mallinfo2 m = mallinfo2(); /* nothing with a sanitizer */

    return m.uordblks + m.hblkhd;
}

static void test_long_names(void **state)
{
    (void) state;
    _cleanup_buf_ struct buf b = {0};
    _cleanup_buf_ struct buf space = {0};
    const struct schema *s;

    size_t before = memory_in_use();
    /* A name in a namespace is looked for with both: that is not kept for each of them. */
    buf_fill(&space, 'n', 4094);
    buf_printf(&b, "{'type':'record','name':'R','namespace':'%s','fields':[", buf_cstr(&space));
    for (int i = 0; i < 20000; i++) {
        buf_printf(&b, "%s{'name':'f%d','type':'R'}", i > 0 ? "," : "", i);
    }
    buf_add_z(&b, "]}");
    s = schema_of(buf_cstr(&b));
    assert_int_equal(schema_root(s, 0)->name.n, 4096);
    assert_ptr_equal(schema_root(s, 0)->fields[19999].shape, schema_root(s, 0));
    assert_true(memory_in_use() - before < ((size_t) 16 << 20));
    schema_drop(s);

    buf_clear(&b);
    buf_printf(&b, "{'type':'record','name':'RR','namespace':'%s','fields':[]}", buf_cstr(&space));
    expect_fault(buf_cstr(&b), CANNOT "the name of a type has more than 4096 bytes");
    buf_clear(&b);
    buf_printf(&b, "{'type':'array','items':'%snnn'}", buf_cstr(&space));
    expect_fault(buf_cstr(&b),
                 CANNOT "the items of an array: the name of a type has more than 4096 bytes");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_primitive_types),
        cmocka_unit_test(test_a_record),
        cmocka_unit_test(test_names_and_namespaces),
        cmocka_unit_test(test_senses),
        cmocka_unit_test(test_decimals),
        cmocka_unit_test(test_what_connect_says_beside),
        cmocka_unit_test(test_references),
        cmocka_unit_test(test_what_cannot_be_read),
        cmocka_unit_test(test_bounds),
        cmocka_unit_test(test_long_names),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
