/* logical.c, logical_apply.c: what values of change events are, by schema and by column. */
#include "row/schema/logical.h"

#include "row/kit.h"

struct bench {
    struct logical_scratch scratch;
    struct cell out;
    struct error err;
};

static struct column column_of(enum column_type type, const char *name)
{
    return (struct column){.name = (char *) (uintptr_t) "c",
                           .type_name = (char *) (uintptr_t) name,
                           .type = type,
                           .typmod = -1};
}

static struct cell string(const char *text)
{
    return (struct cell){.kind = CELL_STRING, .text = str_of(text)};
}

static struct cell number(const char *text)
{
    int64_t n;
    bool whole = str_to_i64(str_of(text), &n);

    return (struct cell){.kind = CELL_NUMBER,
                         .is_short = whole && strlen(text) <= CELL_SHORT_DIGITS,
                         .number = whole ? n : 0,
                         .text = str_of(text)};
}

static struct cell object(const char *text)
{
    return (struct cell){.kind = CELL_JSON, .text = str_of(text)};
}

static void expect(struct bench *b, const struct logical *l, struct cell in, enum cell_kind kind,
                   const char *want)
{
    if (!logical_apply(l, &in, &b->scratch, &b->out, &b->err)) {
        print_error("%s\n", b->err.text);
        fail();
    }
    char *text = mem_strndup(b->out.text.p, b->out.text.n);
    kit_assert_text(text, want);
    free(text);
    assert_int_equal(b->out.kind, kind);
}

static void expect_fault(struct bench *b, const struct logical *l, struct cell in, const char *want)
{
    if (logical_apply(l, &in, &b->scratch, &b->out, &b->err)) {
        print_error("taken, instead of: %s\n", want);
        fail();
    }
    assert_int_equal(b->err.class, ERROR_RECORD);
    kit_assert_text(b->err.text, want);
}

/* ---- by schema ---- */

static const struct logical_rules quiet = {.precision = PRECISION_ADAPTIVE};

struct schema_case {
    const char *entry;
    enum column_type type;
    const char *type_name;
    enum logical_kind kind;
    enum time_unit unit;
};

#define NAMED(type, name) "{\"type\":\"" type "\",\"optional\":true,\"name\":\"" name "\"}"

static const struct schema_case schemas[] = {
    {NAMED("int32", "io.debezium.time.Date"), TYPE_DATE, "date", LOGICAL_DAYS, UNIT_NONE},
    {NAMED("int32", "io.debezium.time.Date"), TYPE_TIMESTAMPTZ, "", LOGICAL_DAYS, UNIT_NONE},
    {NAMED("int32", "io.debezium.time.Date"), TYPE_INT4, "integer", LOGICAL_PLAIN, UNIT_NONE},
    {NAMED("int32", "io.debezium.time.Time"), TYPE_TIME, "", LOGICAL_PLAIN, UNIT_MS},
    {NAMED("int64", "io.debezium.time.MicroTime"), TYPE_TIME, "", LOGICAL_PLAIN, UNIT_US},
    {NAMED("int64", "io.debezium.time.NanoTime"), TYPE_TIME, "", LOGICAL_PLAIN, UNIT_NS},
    {NAMED("int64", "io.debezium.time.Timestamp"), TYPE_TIMESTAMP, "", LOGICAL_INSTANT, UNIT_MS},
    {NAMED("int64", "io.debezium.time.MicroTimestamp"), TYPE_TIMESTAMP, "", LOGICAL_INSTANT,
     UNIT_US},
    {NAMED("int64", "io.debezium.time.NanoTimestamp"), TYPE_DATE, "", LOGICAL_INSTANT, UNIT_NS},
    {NAMED("string", "io.debezium.time.ZonedTimestamp"), TYPE_TIMESTAMPTZ, "", LOGICAL_PLAIN,
     UNIT_NONE},
    {NAMED("int64", "io.debezium.time.MicroDuration"), TYPE_INTERVAL, "", LOGICAL_PLAIN, UNIT_US},
    {NAMED("int64", "io.debezium.time.NanoDuration"), TYPE_INTERVAL, "", LOGICAL_PLAIN, UNIT_NS},
    {NAMED("int32", "org.apache.kafka.connect.data.Date"), TYPE_DATE, "", LOGICAL_DAYS, UNIT_NONE},
    {NAMED("int32", "org.apache.kafka.connect.data.Time"), TYPE_TIME, "", LOGICAL_PLAIN, UNIT_MS},
    {NAMED("int64", "org.apache.kafka.connect.data.Timestamp"), TYPE_TIMESTAMP, "", LOGICAL_INSTANT,
     UNIT_MS},
    {NAMED("struct", "io.debezium.data.VariableScaleDecimal"), TYPE_NUMERIC, "", LOGICAL_SCALED,
     UNIT_NONE},
    {NAMED("struct", "io.debezium.data.VariableScaleDecimal"), TYPE_JSONB, "", LOGICAL_PLAIN,
     UNIT_NONE},
    {NAMED("string", "io.debezium.data.Json"), TYPE_JSONB, "", LOGICAL_JSON, UNIT_NONE},
    {NAMED("string", "io.debezium.data.Json"), TYPE_HSTORE, "hstore", LOGICAL_OBJECT, UNIT_NONE},
    {NAMED("string", "io.debezium.data.Json"), TYPE_TEXT, "text", LOGICAL_PLAIN, UNIT_NONE},
    {NAMED("string", "io.debezium.data.Uuid"), TYPE_UUID, "uuid", LOGICAL_PLAIN, UNIT_NONE},
    {NAMED("struct", "io.debezium.data.geometry.Point"), TYPE_OTHER, "point", LOGICAL_POINT,
     UNIT_NONE},
    {NAMED("struct", "io.debezium.data.geometry.Point"), TYPE_OTHER, "geometry", LOGICAL_GEOMETRY,
     UNIT_NONE},
    {NAMED("struct", "io.debezium.data.geometry.Point"), TYPE_JSONB, "jsonb", LOGICAL_PLAIN,
     UNIT_NONE},
    {NAMED("struct", "io.debezium.data.geometry.Geography"), TYPE_OTHER, "geography",
     LOGICAL_GEOMETRY, UNIT_NONE},
    {"{\"type\":\"boolean\",\"optional\":true}", TYPE_OTHER, "bit(1)", LOGICAL_BITS, UNIT_NONE},
    {"{\"type\":\"boolean\",\"optional\":true}", TYPE_BOOL, "boolean", LOGICAL_PLAIN, UNIT_NONE},
    {"{\"type\":\"bytes\",\"optional\":true}", TYPE_BYTEA, "bytea", LOGICAL_TEXT, UNIT_NONE},
    {"{\"type\":\"bytes\",\"optional\":true}", TYPE_OTHER, "box", LOGICAL_TEXT, UNIT_NONE},
    {"{\"type\":\"int64\",\"optional\":true}", TYPE_TIMESTAMP, "", LOGICAL_PLAIN, UNIT_NONE},
    {"{}", TYPE_TIMESTAMP, "", LOGICAL_PLAIN, UNIT_NONE},
};

static void test_schemas(void **state)
{
    (void) state;
    for (size_t i = 0; i < ARRAY_LEN(schemas); i++) {
        const struct schema_case *s = &schemas[i];
        struct column c = column_of(s->type, s->type_name);
        struct logical l;
        logical_of_schema(str_of(s->entry), &c, &quiet, &l);
        if (l.kind != s->kind || l.unit != s->unit) {
            print_error("%s for %s: kind %d, unit %d\n", s->entry, s->type_name, (int) l.kind,
                        (int) l.unit);
            fail();
        }
        logical_done(&l);
    }
}

static void test_parameters(void **state)
{
    (void) state;
    struct column numeric = column_of(TYPE_NUMERIC, "numeric(12,2)");
    struct column bits = column_of(TYPE_OTHER, "bit(3)");
    struct column varying = column_of(TYPE_OTHER, "bit varying(20)");
    struct logical l;
    logical_of_schema(STR_LIT("{\"name\":\"org.apache.kafka.connect.data.Decimal\",\"parameters\":"
                              "{\"scale\":\"2\",\"connect.decimal.precision\":\"12\"}}"),
                      &numeric, &quiet, &l);
    assert_int_equal(l.kind, LOGICAL_DECIMAL);
    assert_int_equal(l.scale, 2);
    struct str entry = STR_LIT("{\"name\":\"io.debezium.data.Bits\",\"parameters\":"
                               "{\"length\":\"3\"}}");
    bits.typmod = 3;
    logical_of_schema(entry, &bits, &quiet, &l);
    assert_int_equal(l.kind, LOGICAL_BITS);
    assert_int_equal(l.length, 3);
    logical_of_schema(entry, &varying, &quiet, &l);
    assert_int_equal(l.length, 0);
    logical_of_schema(STR_LIT("{\"name\":\"io.debezium.data.Bits\",\"parameters\":"
                              "{\"length\":\"99999999999\"}}"),
                      &bits, &quiet, &l);
    assert_int_equal(l.length, 3);
}

static void test_arrays(void **state)
{
    (void) state;
    struct column element = column_of(TYPE_TIMESTAMP, "timestamp");
    struct column array = column_of(TYPE_ARRAY, "timestamp[]");
    struct column jsonb = column_of(TYPE_JSONB, "jsonb");
    struct logical l;
    array.element = &element;
    struct str entry = STR_LIT(
        "{\"type\":\"array\",\"items\":" NAMED("int64", "io.debezium.time.MicroTimestamp") "}");
    logical_of_schema(entry, &array, &quiet, &l);
    assert_int_equal(l.kind, LOGICAL_ARRAY);
    assert_int_equal(l.element->kind, LOGICAL_INSTANT);
    assert_int_equal(l.element->unit, UNIT_US);
    logical_done(&l);
    logical_of_schema(entry, &jsonb, &quiet, &l);
    assert_int_equal(l.kind, LOGICAL_PLAIN);
    const struct logical_rules connect = {.precision = PRECISION_CONNECT};
    logical_of_column(&array, &connect, CONNECTOR_POSTGRESQL, &l);
    assert_int_equal(l.kind, LOGICAL_ARRAY);
    assert_int_equal(l.element->unit, UNIT_MS);
    logical_done(&l);
}

/* ---- by column ---- */

static void test_units_of_columns(void **state)
{
    (void) state;
    enum { PG = CONNECTOR_POSTGRESQL, MY = CONNECTOR_MYSQL, NO = CONNECTOR_UNKNOWN };
    static const struct {
        enum column_type type;
        int32_t typmod;
        enum time_precision precision;
        int connector;
        enum time_unit unit;
    } cases[] = {
        {TYPE_TIMESTAMP, -1, PRECISION_ADAPTIVE, PG, UNIT_US},
        {TYPE_TIMESTAMP, -1, PRECISION_ADAPTIVE, MY, UNIT_NONE},
        {TYPE_TIMESTAMP, 6, PRECISION_ADAPTIVE, MY, UNIT_US},
        {TYPE_TIMESTAMP, 4, PRECISION_ADAPTIVE, NO, UNIT_US},
        {TYPE_TIMESTAMP, 3, PRECISION_ADAPTIVE, NO, UNIT_MS},
        {TYPE_TIMESTAMPTZ, 0, PRECISION_ADAPTIVE, PG, UNIT_MS},
        {TYPE_TIME, 3, PRECISION_ADAPTIVE, PG, UNIT_MS},
        {TYPE_TIME, 3, PRECISION_ADAPTIVE, MY, UNIT_US},
        {TYPE_TIME, -1, PRECISION_ADAPTIVE, PG, UNIT_US},
        {TYPE_TIME, -1, PRECISION_ADAPTIVE, NO, UNIT_NONE},
        {TYPE_TIME, 3, PRECISION_ADAPTIVE_TIME_MICROSECONDS, NO, UNIT_US},
        {TYPE_TIMESTAMP, 3, PRECISION_ADAPTIVE_TIME_MICROSECONDS, MY, UNIT_MS},
        {TYPE_TIMESTAMP, -1, PRECISION_CONNECT, NO, UNIT_MS},
        {TYPE_TIMESTAMP, 3, PRECISION_MICROSECONDS, MY, UNIT_US},
        {TYPE_TIMESTAMP, 3, PRECISION_NANOSECONDS, PG, UNIT_NS},
        {TYPE_INTERVAL, -1, PRECISION_NANOSECONDS, PG, UNIT_US},
        {TYPE_INTERVAL, -1, PRECISION_NANOSECONDS, MY, UNIT_NS},
        {TYPE_INTERVAL, -1, PRECISION_CONNECT, NO, UNIT_MS},
        {TYPE_TIMESTAMP, 3, PRECISION_AUTO, PG, UNIT_MS},
        {TYPE_TIMESTAMP, 3, PRECISION_AUTO, MY, UNIT_NONE},
        {TYPE_INTERVAL, -1, PRECISION_AUTO, NO, UNIT_NONE},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct column c = column_of(cases[i].type, "");
        const struct logical_rules rules = {.precision = cases[i].precision};
        struct logical l;
        c.typmod = cases[i].typmod;
        logical_of_column(&c, &rules, (enum connector) cases[i].connector, &l);
        if (l.unit != cases[i].unit) {
            print_error("case %zu: unit %d\n", i, (int) l.unit);
            fail();
        }
    }
}

static void test_bits_of_columns(void **state)
{
    (void) state;
    struct column c = column_of(TYPE_OTHER, "bit(7)");
    struct logical l;
    c.typmod = 7;
    logical_of_column(&c, &quiet, CONNECTOR_POSTGRESQL, &l);
    assert_int_equal(l.length, 7);
    c.type_name = (char *) (uintptr_t) "bit varying(9)";
    logical_of_column(&c, &quiet, CONNECTOR_POSTGRESQL, &l);
    assert_int_equal(l.length, 0);
}

/* ---- values ---- */

static void test_times(void **state)
{
    (void) state;
    struct bench b = {0};
    struct logical days = {.kind = LOGICAL_DAYS};
    struct logical ms = {.kind = LOGICAL_INSTANT, .unit = UNIT_MS};
    struct logical us = {.kind = LOGICAL_INSTANT, .unit = UNIT_US};
    struct logical ns = {.kind = LOGICAL_INSTANT, .unit = UNIT_NS};
    struct logical iso = {.kind = LOGICAL_INSTANT};
    expect(&b, &days, number("19782"), CELL_NUMBER, "19782");
    expect(&b, &days, number("-1"), CELL_NUMBER, "-1");
    expect(&b, &days, number("-622191234"), CELL_STRING, "infinity");
    expect(&b, &days, number("-625821272"), CELL_STRING, "-infinity");
    expect(&b, &days, number("-2147472692"), CELL_STRING, "infinity");
    expect(&b, &days, number("-2147472691"), CELL_STRING, "-infinity");
    expect(&b, &days, string("-5877611-06-21Z"), CELL_STRING, "infinity");
    expect(&b, &days, string("+292269055-12-02Z"), CELL_STRING, "-infinity");
    expect(&b, &days, string("2024-02-29Z"), CELL_STRING, "2024-02-29Z");
    expect(&b, &ms, number("9223372036825200"), CELL_STRING, "infinity");
    expect(&b, &ms, number("-9223372036832400"), CELL_STRING, "-infinity");
    expect(&b, &ms, number("9223372036825201"), CELL_NUMBER, "9223372036825201");
    expect(&b, &us, number("9223372036825200"), CELL_NUMBER, "9223372036825200");
    expect(&b, &us, number("9223372036825200000"), CELL_STRING, "infinity");
    expect(&b, &us, number("-9223372036832400000"), CELL_STRING, "-infinity");
    expect(&b, &ns, number("9223372036854775807"), CELL_STRING, "infinity");
    expect(&b, &ns, number("-9223372036854775808"), CELL_STRING, "-infinity");
    expect(&b, &iso, string("+294247-01-10T04:00:25.2Z"), CELL_STRING, "infinity");
    expect(&b, &us, string("-290308-12-21T19:59:27.6Z"), CELL_STRING, "-infinity");
    expect(&b, &us, string("2024-02-29T00:00:00Z"), CELL_STRING, "2024-02-29T00:00:00Z");
    logical_scratch_done(&b.scratch);
}

/* The same numbers, read from a format that has numbers of 64 bits. */
static void test_times_of_64_bits(void **state)
{
    (void) state;
    static const struct {
        struct logical l;
        int64_t n;
        const char *want; /* NULL: it stays what it is */
    } cases[] = {
        {{.kind = LOGICAL_DAYS}, 19782, NULL},
        {{.kind = LOGICAL_DAYS}, INT64_MIN, NULL},
        {{.kind = LOGICAL_DAYS}, -622191234, "infinity"},
        {{.kind = LOGICAL_DAYS}, -2147472691, "-infinity"},
        {{.kind = LOGICAL_INSTANT, .unit = UNIT_MS}, INT64_C(9223372036825200), "infinity"},
        {{.kind = LOGICAL_INSTANT, .unit = UNIT_US}, INT64_C(9223372036825200), NULL},
        {{.kind = LOGICAL_INSTANT, .unit = UNIT_US}, INT64_C(-9223372036832400000), "-infinity"},
        {{.kind = LOGICAL_INSTANT, .unit = UNIT_NS}, INT64_MAX, "infinity"},
        {{.kind = LOGICAL_INSTANT, .unit = UNIT_NS}, INT64_MIN, "-infinity"},
        {{.kind = LOGICAL_INSTANT, .unit = UNIT_US}, INT64_MIN, NULL},
    };
    struct bench b = {0};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct cell in = {.kind = CELL_INT, .number = cases[i].n};
        if (cases[i].want != NULL) {
            expect(&b, &cases[i].l, in, CELL_STRING, cases[i].want);
        } else {
            assert_true(logical_apply(&cases[i].l, &in, &b.scratch, &b.out, &b.err));
            assert_int_equal(b.out.kind, CELL_INT);
            assert_int_equal(b.out.number, cases[i].n);
        }
    }
    logical_scratch_done(&b.scratch);
}

static void test_decimals(void **state)
{
    (void) state;
    struct bench b = {0};
    struct logical decimal = {.kind = LOGICAL_DECIMAL, .scale = 2};
    struct logical scaled = {.kind = LOGICAL_SCALED};
    expect(&b, &decimal, string("40Fm5ew="), CELL_NUMBER, "-1234567890.12");
    expect(&b, &decimal, string("AA=="), CELL_NUMBER, "0.00");
    expect(&b, &decimal, number("12.50"), CELL_NUMBER, "12.50");
    expect_fault(&b, &decimal, string("12.50"), "\"12.50\" is not base64");
    decimal.scale = 16384;
    expect_fault(&b, &decimal, string("AA=="), "\"AA==\" is out of range for numeric");
    expect(&b, &scaled, object("{\"scale\":9,\"value\":\"XODppWAV/sWq36MorjmBFQ==\"}"), CELL_NUMBER,
           "123456789012345678901234567890.123456789");
    expect(&b, &scaled, object("{ \"value\" : \"XODppWAV\\/sWq36MorjmBFQ==\", \"scale\" : 9 }"),
           CELL_NUMBER, "123456789012345678901234567890.123456789");
    expect(&b, &scaled, object("{\"scale\":-3,\"value\":\"DA==\"}"), CELL_NUMBER, "12000");
    expect(&b, &scaled, string("12.50"), CELL_STRING, "12.50");
    expect(&b, &scaled, string("1234"), CELL_STRING, "1234"); /* a schema tells it */
    expect_fault(&b, &scaled, object("{\"scale\":\"9\",\"value\":\"AA==\"}"),
                 "{\"scale\":\"9\",\"value\":\"AA==\"} is not a decimal with its scale");
    expect_fault(&b, &scaled, object("{\"scale\":9}"),
                 "{\"scale\":9} is not a decimal with its scale");
    logical_scratch_done(&b.scratch);
}

static void test_bits(void **state)
{
    (void) state;
    struct bench b = {0};
    struct logical three = {.kind = LOGICAL_BITS, .length = 3};
    struct logical sixteen = {.kind = LOGICAL_BITS, .length = 16};
    struct logical any = {.kind = LOGICAL_BITS};
    struct cell yes = {.kind = CELL_BOOL, .truth = true};
    struct cell no = {.kind = CELL_BOOL};
    expect(&b, &three, string("BQ=="), CELL_STRING, "101");
    expect(&b, &three, string("AQ=="), CELL_STRING, "001");
    expect(&b, &three, string(""), CELL_STRING, "000");
    expect(&b, &sixteen, string("8Ko="), CELL_STRING, "1010101011110000");
    expect(&b, &sixteen, string("AQ=="), CELL_STRING, "0000000000000001");
    expect(&b, &any, string("Ww=="), CELL_STRING, "1011011");
    expect(&b, &any, yes, CELL_STRING, "1");
    expect(&b, &any, no, CELL_STRING, "0");
    expect(&b, &any, number("1"), CELL_NUMBER, "1");
    expect_fault(&b, &three, string("CA=="), "\"CA==\" has more than 3 bits");
    struct logical counted = {.kind = LOGICAL_BITS, .bits = BITS_NUMBER};
    struct logical bytes = {.kind = LOGICAL_BITS, .bits = BITS_BYTES, .length = 12};
    struct logical column = {.kind = LOGICAL_BITS, .length = 8, .most = 4};
    expect(&b, &counted, string("AgE="), CELL_NUMBER, "258");
    expect(&b, &counted, string("//////////8="), CELL_NUMBER, "18446744073709551615");
    expect(&b, &counted, string(""), CELL_NUMBER, "0");
    expect(&b, &counted, yes, CELL_NUMBER, "1");
    expect_fault(&b, &column, string("EA=="), "\"EA==\" has more than 4 bits");
    struct cell in = string("BQA=");
    assert_true(logical_apply(&bytes, &in, &b.scratch, &b.out, &b.err));
    assert_int_equal(b.out.kind, CELL_BYTES);
    assert_int_equal(b.out.text.n, 2);
    assert_memory_equal(b.out.text.p, "\0\5", 2);
    expect_fault(&b, &three, string("101"), "\"101\" is not base64");
    logical_scratch_done(&b.scratch);
}

static void test_documents_and_texts(void **state)
{
    (void) state;
    struct bench b = {0};
    struct logical json = {.kind = LOGICAL_JSON};
    struct logical map = {.kind = LOGICAL_OBJECT};
    struct logical text = {.kind = LOGICAL_TEXT};
    expect(&b, &json, string("{\"a\": 1}"), CELL_BYTES, "{\"a\": 1}");
    expect(&b, &json, object("{\"a\": 1}"), CELL_JSON, "{\"a\": 1}");
    expect(&b, &map, string(" {\"a\":\"1\"} "), CELL_JSON, "{\"a\":\"1\"}");
    expect(&b, &map, string("a=>1"), CELL_STRING, "a=>1");
    expect(&b, &map, object("{\"a\":\"1\"}"), CELL_JSON, "{\"a\":\"1\"}");
    expect_fault(&b, &map, string("{\"a\""), "not valid JSON: expected ':' at byte 5");
    expect(&b, &text, string("KDEseCk="), CELL_BYTES, "(1,x)");
    expect(&b, &text, number("1"), CELL_NUMBER, "1");
    expect_fault(&b, &text, string("(1,x)"), "\"(1,x)\" is not base64");
    logical_scratch_done(&b.scratch);
}

static void test_geometry(void **state)
{
    (void) state;
    struct bench b = {0};
    struct logical point = {.kind = LOGICAL_POINT};
    struct logical geometry = {.kind = LOGICAL_GEOMETRY};
    const char *with_srid = "{\"x\":1.5,\"y\":-2.0,\"wkb\":\"AQEAAAAAAAAAAAD4PwAAAAAAAADA\","
                            "\"srid\":4326}";
    expect(&b, &point, object(with_srid), CELL_STRING, "(1.5,-2.0)");
    expect(&b, &point, string("(1,2)"), CELL_STRING, "(1,2)");
    expect_fault(&b, &point, object("{\"x\":1}"), "{\"x\":1} has no x and y");
    expect(&b, &geometry, object(with_srid), CELL_STRING,
           "0101000020e6100000000000000000f83f00000000000000c0");
    expect(&b, &geometry, object("{\"wkb\":\"AQEAAAAAAAAAAAD4PwAAAAAAAADA\",\"srid\":null}"),
           CELL_STRING, "0101000000000000000000f83f00000000000000c0");
    /* big-endian; and one that has its SRID already */
    expect(&b, &geometry, object("{\"wkb\":\"AAAAAAE/+AAAAAAAAMAAAAAAAAAA\",\"srid\":4326}"),
           CELL_STRING, "0020000001000010e63ff8000000000000c000000000000000");
    expect(&b, &geometry, object("{\"wkb\":\"AQEAACDmEAAAAAAAAAAA+D8AAAAAAAAAwA==\",\"srid\":1}"),
           CELL_STRING, "0101000020e6100000000000000000f83f00000000000000c0");
    expect(&b, &geometry, object("{\"type\":\"Point\"}"), CELL_JSON, "{\"type\":\"Point\"}");
    expect(&b, &geometry, string("POINT(1 2)"), CELL_STRING, "POINT(1 2)");
    expect_fault(&b, &geometry, object("{\"wkb\":\"AQEA\",\"srid\":1}"),
                 "{\"wkb\":\"AQEA\",\"srid\":1} is not a geometry");
    expect_fault(&b, &geometry, object("{\"wkb\":\"AQEAAAAAAAAAAAD4PwAAAAAAAADA\",\"srid\":-1}"),
                 "{\"wkb\":\"AQEAAAAAAAAAAAD4PwAAAAAAAADA\",\"srid\":-1} is not a geometry");
    expect_fault(&b, &geometry, object("{\"wkb\":\"!\",\"srid\":1}"),
                 "{\"wkb\":\"!\",\"srid\":1} is not base64");
    logical_scratch_done(&b.scratch);
}

/* ---- what no schema says ---- */

static struct logical of_column(enum column_type type, const char *name, int32_t typmod,
                                const struct logical_rules *rules, enum connector connector)
{
    struct column c = column_of(type, name);
    struct logical l;

    c.typmod = typmod;
    logical_of_column(&c, rules, connector, &l);
    return l;
}

static void test_connectors(void **state)
{
    (void) state;
    assert_int_equal(logical_connector(STR_LIT("postgresql")), CONNECTOR_POSTGRESQL);
    assert_int_equal(logical_connector(STR_LIT("mysql")), CONNECTOR_MYSQL);
    assert_int_equal(logical_connector(STR_LIT("mariadb")), CONNECTOR_MYSQL);
    assert_int_equal(logical_connector(STR_LIT("sqlserver")), CONNECTOR_OTHER);
    assert_int_equal(logical_connector((struct str){0}), CONNECTOR_UNKNOWN);
}

static void test_kinds_of_columns(void **state)
{
    (void) state;
    const struct logical_rules rules = {
        .precision = PRECISION_MICROSECONDS,
        .texts = DECIMAL_BASE64,
        .guesses_bytes = true,
        .has_documents = true,
    };
    const struct logical_rules said = {.precision = PRECISION_AUTO};
    struct logical l = of_column(TYPE_DATE, "date", -1, &rules, CONNECTOR_MYSQL);
    assert_int_equal(l.kind, LOGICAL_DAYS);
    assert_true(l.is_year && l.is_recent);
    l = of_column(TYPE_DATE, "date", -1, &rules, CONNECTOR_OTHER);
    assert_true(!l.is_year && l.is_recent);
    assert_int_equal(of_column(TYPE_DATE, "date", -1, &said, CONNECTOR_OTHER).kind, LOGICAL_PLAIN);
    l = of_column(TYPE_NUMERIC, "numeric(10,2)", (10 << 16 | 2) + 4, &rules, CONNECTOR_OTHER);
    assert_int_equal(l.kind, LOGICAL_SCALED);
    assert_int_equal(l.scale, 2);
    assert_int_equal(l.texts, DECIMAL_BASE64);
    assert_int_equal(of_column(TYPE_INT4, "integer", -1, &rules, CONNECTOR_OTHER).scale,
                     SCALE_UNKNOWN);
    assert_true(of_column(TYPE_FLOAT8, "", -1, &rules, CONNECTOR_OTHER).has_infinity);
    assert_int_equal(of_column(TYPE_BYTEA, "bytea", -1, &rules, CONNECTOR_OTHER).kind,
                     LOGICAL_BINARY);
    assert_int_equal(of_column(TYPE_BYTEA, "bytea", -1, &said, CONNECTOR_OTHER).kind,
                     LOGICAL_PLAIN);
    struct column text = column_of(TYPE_TEXT, "text");
    struct column array = column_of(TYPE_ARRAY, "text[]");
    array.element = &text;
    logical_of_column(&array, &rules, CONNECTOR_MYSQL, &l);
    assert_int_equal(l.kind, LOGICAL_SET);
    logical_done(&l);
    logical_of_schema(STR_LIT("{\"type\":\"string\",\"name\":\"io.debezium.data.EnumSet\"}"),
                      &array, &rules, &l);
    assert_int_equal(l.kind, LOGICAL_SET);
    struct column jsonb = column_of(TYPE_JSONB, "jsonb");
    struct column bytea = column_of(TYPE_BYTEA, "bytea");
    struct column hstore = column_of(TYPE_HSTORE, "hstore");
    struct str string = STR_LIT("{\"type\":\"string\"}");
    logical_of_schema(string, &jsonb, &rules, &l);
    assert_int_equal(l.kind, LOGICAL_JSON);
    logical_of_schema(string, &jsonb, &said, &l);
    assert_int_equal(l.kind, LOGICAL_PLAIN);
    logical_of_schema(string, &bytea, &rules, &l);
    assert_int_equal(l.kind, LOGICAL_BINARY);
    logical_of_schema(string, &hstore, &rules, &l);
    assert_int_equal(l.kind, LOGICAL_OBJECT);
}

static void test_bits_into_columns(void **state)
{
    (void) state;
    struct str entry = STR_LIT("{\"type\":\"bytes\",\"name\":\"io.debezium.data.Bits\","
                               "\"parameters\":{\"length\":\"12\"}}");
    static const struct {
        enum column_type type;
        const char *name;
        int32_t typmod;
        enum bits_form form;
        int32_t length;
        int32_t most;
    } cases[] = {
        {TYPE_INT4, "integer", -1, BITS_NUMBER, 12, 0},
        {TYPE_BOOL, "boolean", -1, BITS_NUMBER, 12, 0},
        {TYPE_JSONB, "jsonb", -1, BITS_NUMBER, 12, 0},
        {TYPE_BYTEA, "bytea", -1, BITS_BYTES, 12, 0},
        {TYPE_TEXT, "text", -1, BITS_DIGITS, 12, 0},
        {TYPE_OTHER, "bit(16)", 16, BITS_DIGITS, 16, 16},
        {TYPE_OTHER, "bit varying(8)", 8, BITS_DIGITS, 0, 8},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct column c = column_of(cases[i].type, cases[i].name);
        struct logical l;
        c.typmod = cases[i].typmod;
        logical_of_schema(entry, &c, &quiet, &l);
        assert_int_equal(l.kind, LOGICAL_BITS);
        assert_int_equal(l.bits, cases[i].form);
        assert_int_equal(l.length, cases[i].length);
        assert_int_equal(l.most, cases[i].most);
    }
}

static void describe(const struct logical *pg, const struct logical *mysql,
                     const struct logical *other, const char *want)
{
    const struct logical *of[CONNECTORS] = {
        [CONNECTOR_UNKNOWN] = other,
        [CONNECTOR_POSTGRESQL] = pg,
        [CONNECTOR_MYSQL] = mysql,
        [CONNECTOR_OTHER] = other,
    };
    _cleanup_buf_ struct buf text = {0};

    logical_describe_units(of, &text);
    kit_assert_text(buf_cstr(&text), want);
}

static void test_units_in_words(void **state)
{
    (void) state;
    const struct logical days = {.kind = LOGICAL_DAYS};
    const struct logical ms = {.kind = LOGICAL_INSTANT, .unit = UNIT_MS};
    const struct logical us = {.kind = LOGICAL_INSTANT, .unit = UNIT_US};
    const struct logical none = {.kind = LOGICAL_PLAIN};
    describe(&us, &us, &us, "us");
    describe(&days, &none, &none, "days from postgresql, else rejected");
    describe(&ms, &us, &none, "ms from postgresql, us from mysql, else rejected");
}

static void test_times_that_count_something_else(void **state)
{
    (void) state;
    struct bench b = {0};
    const char *late = " would be a time after the year 9999, so it counts another unit";
    _cleanup_mem_ char *micro = mem_printf("1709212455123456%s", late);
    _cleanup_mem_ char *day = mem_printf("2932897%s", late);
    struct logical ms = {.kind = LOGICAL_INSTANT, .unit = UNIT_MS, .is_recent = true};
    struct logical none = {.kind = LOGICAL_INSTANT, .is_recent = true};
    struct logical days = {.kind = LOGICAL_DAYS, .is_recent = true, .is_year = true};
    struct logical span = {.kind = LOGICAL_SPAN, .unit = UNIT_US};
    struct logical year = {.kind = LOGICAL_YEAR};
    expect_fault(&b, &ms, number("1709212455123456"), micro);
    expect(&b, &ms, number("1709212455123"), CELL_NUMBER, "1709212455123");
    expect(&b, &none, number("1709212455123456"), CELL_NUMBER, "1709212455123456");
    expect_fault(&b, &days, number("2932897"), day);
    expect(&b, &days, number("2932896"), CELL_NUMBER, "2932896");
    expect_fault(&b, &days, number("1901"), "1901 may be a year or a number of days");
    expect_fault(&b, &days, number("2155"), "2155 may be a year or a number of days");
    expect(&b, &days, number("2156"), CELL_NUMBER, "2156");
    expect(&b, &days, string("2024-02-29Z"), CELL_STRING, "2024-02-29Z");
    expect(&b, &span, string("13:14:15Z"), CELL_STRING, "13:14:15");
    expect(&b, &span, string("P1D"), CELL_STRING, "P1D");
    expect(&b, &span, number("5"), CELL_NUMBER, "5");
    expect_fault(&b, &year, number("2024"), "2024 is a year, which is no date and no time");
    logical_scratch_done(&b.scratch);
}

static void test_decimals_as_texts(void **state)
{
    (void) state;
    struct bench b = {0};
    struct logical l = {.kind = LOGICAL_SCALED, .scale = 2, .texts = DECIMAL_AUTO};
    expect(&b, &l, string("12.34"), CELL_STRING, "12.34");
    expect(&b, &l, string("-1234"), CELL_STRING, "-1234");
    expect(&b, &l, string("x"), CELL_STRING, "x");
    expect(&b, &l, string("NAN"), CELL_STRING, "NaN");
    expect(&b, &l, string("POSITIVE_INFINITY"), CELL_STRING, "Infinity");
    expect(&b, &l, string("NEGATIVE_INFINITY"), CELL_STRING, "-Infinity");
    expect_fault(&b, &l, string("1234"), "\"1234\" may be a decimal or base64");
    expect_fault(&b, &l, string("AQ=="), "\"AQ==\" is not a decimal");
    expect_fault(&b, &l, string("Infinity"), "\"Infinity\" is not a decimal");
    l.has_infinity = true;
    expect(&b, &l, string("Infinity"), CELL_STRING, "Infinity");
    l.texts = DECIMAL_STRING;
    expect(&b, &l, string("1234"), CELL_STRING, "1234");
    l.texts = DECIMAL_NUMBER;
    expect_fault(&b, &l, string("1.5"), "\"1.5\" is a string, and the route says decimal: number");
    l.texts = DECIMAL_BASE64;
    expect(&b, &l, string("1234"), CELL_NUMBER, "-26588.24");
    l.scale = SCALE_UNKNOWN;
    expect_fault(&b, &l, string("AQ=="),
                 "\"AQ==\" is base64, and the column does not have the scale that it needs");
    logical_scratch_done(&b.scratch);
}

static struct cell quoted(const char *raw)
{
    struct str text = str_of(raw);

    return (struct cell){
        .kind = CELL_STRING, .text = {.p = text.p + 1, .n = text.n - 2}, .raw = text};
}

static void test_sets_and_bytes(void **state)
{
    (void) state;
    struct bench b = {0};
    struct logical set = {.kind = LOGICAL_SET};
    struct logical binary = {.kind = LOGICAL_BINARY};
    struct logical huge = {.kind = LOGICAL_BITS, .length = INT32_MAX};
    expect(&b, &set, quoted("\"x,y z\""), CELL_JSON, "[\"x\",\"y z\"]");
    expect(&b, &set, quoted("\"\""), CELL_JSON, "[]");
    expect(&b, &set, quoted("\"[1, 2]\""), CELL_JSON, "[1, 2]");
    expect(&b, &set, quoted("\"[x\""), CELL_JSON, "[\"[x\"]");
    expect(&b, &set, string("x,y"), CELL_JSON, "[\"x\",\"y\"]"); /* of no document */
    expect(&b, &binary, string("3q2+7w=="), CELL_STRING, "3q2+7w==");
    expect(&b, &binary, string("abc"), CELL_STRING, "abc");
    expect(&b, &binary, string(""), CELL_STRING, "");
    expect_fault(&b, &binary, string("deadbeef"),
                 "\"deadbeef\" may be hexadecimal digits or base64");
    expect_fault(&b, &huge, string("AQ=="),
                 "\"AQ==\" has 2147483647 bits, says its schema, which is too many");
    logical_scratch_done(&b.scratch);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_schemas),
        cmocka_unit_test(test_connectors),
        cmocka_unit_test(test_kinds_of_columns),
        cmocka_unit_test(test_bits_into_columns),
        cmocka_unit_test(test_units_in_words),
        cmocka_unit_test(test_times_that_count_something_else),
        cmocka_unit_test(test_decimals_as_texts),
        cmocka_unit_test(test_sets_and_bytes),
        cmocka_unit_test(test_parameters),
        cmocka_unit_test(test_arrays),
        cmocka_unit_test(test_units_of_columns),
        cmocka_unit_test(test_bits_of_columns),
        cmocka_unit_test(test_times),
        cmocka_unit_test(test_times_of_64_bits),
        cmocka_unit_test(test_decimals),
        cmocka_unit_test(test_bits),
        cmocka_unit_test(test_documents_and_texts),
        cmocka_unit_test(test_geometry),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
