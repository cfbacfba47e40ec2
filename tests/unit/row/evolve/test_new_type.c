/* new_type.c: the type of a column for every shape. */
#include "row/evolve/new_type.h"

#include "row/kit.h"

static struct schema *schema;

static struct shape *add(enum shape_kind kind, enum shape_sense sense)
{
    struct shape *s = schema_add(schema, kind);

    s->sense = sense;
    return s;
}

static void expect(const struct shape *s, const char *want)
{
    _cleanup_buf_ struct buf out = {0};

    new_type_print(s, &out);
    kit_assert_text(buf_cstr(&out), want);
}

static struct shape *union_of(const struct shape *a, const struct shape *b, const struct shape *c)
{
    struct shape *s = add(SHAPE_UNION, SENSE_NONE);
    const struct shape **branches = arena_alloc(schema_memory(schema), 3 * sizeof(struct shape *));

    branches[0] = a;
    branches[1] = b;
    branches[2] = c;
    s->branches = branches;
    s->branch_count = c != NULL ? 3 : 2;
    return s;
}

static int open_schema(void **state)
{
    (void) state;
    schema = schema_new(SCHEMA_AVRO);
    return 0;
}

static int close_schema(void **state)
{
    (void) state;
    schema_seal(schema);
    (void) schema_drop(schema);
    return 0;
}

static void test_kinds(void **state)
{
    (void) state;
    static const struct {
        enum shape_kind kind;
        const char *type;
    } cases[] = {
        {SHAPE_NULL, "jsonb"},     {SHAPE_BOOL, "boolean"},
        {SHAPE_INT32, "integer"},  {SHAPE_INT64, "bigint"},
        {SHAPE_UINT32, "bigint"},  {SHAPE_UINT64, "numeric(20,0)"},
        {SHAPE_FLOAT, "real"},     {SHAPE_DOUBLE, "double precision"},
        {SHAPE_NUMBER, "numeric"}, {SHAPE_STRING, "text"},
        {SHAPE_BYTES, "bytea"},    {SHAPE_FIXED, "bytea"},
        {SHAPE_ENUM, "text"},      {SHAPE_RECORD, "jsonb"},
        {SHAPE_MAP, "jsonb"},      {SHAPE_ANY, "jsonb"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        expect(add(cases[i].kind, SENSE_NONE), cases[i].type);
    }
    struct shape *small = add(SHAPE_INT32, SENSE_NONE);
    small->bits = 16;
    expect(small, "smallint");
    small->bits = 8;
    expect(small, "smallint");
}

static void test_senses(void **state)
{
    (void) state;
    static const char *const types[SENSE_COUNT] = {
        [SENSE_NONE] = "text",
        [SENSE_DATE] = "date",
        [SENSE_TIME] = "time",
        [SENSE_TIMESTAMP] = "timestamp",
        [SENSE_INSTANT] = "timestamptz",
        [SENSE_ZONED_TIME] = "timetz",
        [SENSE_DURATION] = "interval",
        [SENSE_YEAR] = "integer",
        [SENSE_DECIMAL] = "numeric",
        [SENSE_SCALED] = "numeric",
        [SENSE_DECIMAL_TEXT] = "numeric",
        [SENSE_UUID] = "uuid",
        [SENSE_JSON] = "jsonb",
        [SENSE_XML] = "xml",
        [SENSE_LTREE] = "text",
        [SENSE_INET] = "inet",
        [SENSE_BITS] = "bit varying",
        [SENSE_ENUM] = "text",
        [SENSE_SET] = "text",
        [SENSE_POINT] = "jsonb",
        [SENSE_GEOMETRY] = "jsonb",
        [SENSE_GEOGRAPHY] = "jsonb",
        [SENSE_WRAPPER] = "text",
        [SENSE_DYNAMIC] = "jsonb",
        [SENSE_PACKED_ANY] = "jsonb",
        [SENSE_CALENDAR_DATE] = "date",
        [SENSE_TIME_OF_DAY] = "time",
        [SENSE_DECIMAL_RECORD] = "numeric",
        [SENSE_CONFLUENT_DECIMAL] = "numeric",
    };
    for (int i = 0; i < SENSE_COUNT; i++) {
        expect(add(SHAPE_STRING, (enum shape_sense) i), types[i]);
    }
}

static void test_decimals(void **state)
{
    (void) state;
    static const struct {
        int32_t precision;
        int32_t scale;
        const char *type;
    } cases[] = {
        {12, 2, "numeric(12,2)"}, {12, SHAPE_UNSAID, "numeric(12,0)"},
        {64, 2, "numeric"},       {SHAPE_UNSAID, 2, "numeric"},
        {12, 13, "numeric"},      {12, -1, "numeric"},
        {0, 0, "numeric"},        {1000, 0, "numeric(1000,0)"},
        {1001, 0, "numeric"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct shape *s = add(SHAPE_BYTES, SENSE_DECIMAL);
        s->precision = cases[i].precision;
        s->scale = cases[i].scale;
        expect(s, cases[i].type);
    }
    struct shape *s = add(SHAPE_BYTES, SENSE_DECIMAL);
    s->scale = 3;
    s->source_length = 8;
    expect(s, "numeric(8,3)");
}

static void test_what_the_source_says(void **state)
{
    (void) state;
    static const struct {
        enum shape_sense sense;
        const char *word;
        int32_t length;
        const char *type;
    } cases[] = {
        {SENSE_NONE, "VARCHAR", 40, "varchar(40)"},
        {SENSE_NONE, "character varying", 1, "varchar(1)"},
        {SENSE_NONE, "NVARCHAR2", 7, "varchar(7)"},
        {SENSE_NONE, "BPCHAR", 3, "char(3)"},
        {SENSE_NONE, "VARCHAR", 0, "text"},
        {SENSE_NONE, "VARCHAR", 10485761, "text"},
        {SENSE_NONE, "VARCHAR", SHAPE_UNSAID, "text"},
        {SENSE_NONE, "TEXT", 9, "text"},
        {SENSE_NONE, "CIDR", SHAPE_UNSAID, "cidr"},
        {SENSE_NONE, "MACADDR", SHAPE_UNSAID, "macaddr"},
        {SENSE_JSON, "JSON", SHAPE_UNSAID, "json"},
        {SENSE_JSON, "JSONB", SHAPE_UNSAID, "jsonb"},
        {SENSE_JSON, "OTHER", SHAPE_UNSAID, "jsonb"},
        {SENSE_UUID, "CHAR", 36, "uuid"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct shape *s = add(SHAPE_STRING, cases[i].sense);
        s->source_type = str_of(cases[i].word);
        s->source_length = cases[i].length;
        expect(s, cases[i].type);
    }
    struct shape *bits = add(SHAPE_BYTES, SENSE_BITS);
    bits->length = 3;
    expect(bits, "bit(3)");
    bits->source_type = STR_LIT("VARBIT");
    expect(bits, "bit varying(3)");
    bits->length = 83886081;
    expect(bits, "bit varying");
}

static void test_arrays(void **state)
{
    (void) state;
    struct shape *array = add(SHAPE_ARRAY, SENSE_NONE);
    struct shape *matrix = add(SHAPE_ARRAY, SENSE_NONE);
    matrix->element = array;
    array->element = add(SHAPE_INT32, SENSE_DATE);
    expect(array, "date[]");
    expect(matrix, "jsonb");
    array->element = union_of(add(SHAPE_NULL, SENSE_NONE), add(SHAPE_STRING, SENSE_NONE), NULL);
    expect(array, "text[]");
    array->element = add(SHAPE_RECORD, SENSE_NONE);
    expect(array, "jsonb");
    array->element = array;
    expect(array, "jsonb");
}

static void test_unions(void **state)
{
    (void) state;
    const struct shape *null = add(SHAPE_NULL, SENSE_NONE);
    const struct shape *int32 = add(SHAPE_INT32, SENSE_NONE);
    const struct shape *int64 = add(SHAPE_INT64, SENSE_NONE);
    const struct shape *real = add(SHAPE_FLOAT, SENSE_NONE);
    const struct shape *dbl = add(SHAPE_DOUBLE, SENSE_NONE);
    const struct shape *u64 = add(SHAPE_UINT64, SENSE_NONE);
    const struct shape *text = add(SHAPE_STRING, SENSE_NONE);
    expect(union_of(null, int32, NULL), "integer");
    expect(union_of(int32, null, NULL), "integer");
    expect(union_of(null, int32, int64), "bigint");
    expect(union_of(int32, null, real), "numeric");
    expect(union_of(dbl, int64, null), "numeric");
    expect(union_of(real, dbl, null), "double precision");
    expect(union_of(u64, int32, null), "numeric");
    expect(union_of(text, int32, null), "jsonb");
    expect(union_of(add(SHAPE_INT32, SENSE_DATE), int64, null), "jsonb");
    expect(union_of(null, null, NULL), "jsonb");
}

static void test_wrappers(void **state)
{
    (void) state;
    struct shape *wrapper = add(SHAPE_RECORD, SENSE_WRAPPER);
    struct shape_field field = {.name = STR_LIT("value"), .shape = add(SHAPE_UINT32, SENSE_NONE)};
    wrapper->fields = &field;
    wrapper->field_count = 1;
    expect(wrapper, "bigint");
    field.shape = wrapper; /* made to hang us */
    expect(wrapper, "jsonb");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_kinds),    cmocka_unit_test(test_senses),
        cmocka_unit_test(test_decimals), cmocka_unit_test(test_what_the_source_says),
        cmocka_unit_test(test_arrays),   cmocka_unit_test(test_unions),
        cmocka_unit_test(test_wrappers),
    };

    return cmocka_run_group_tests(tests, open_schema, close_schema);
}
