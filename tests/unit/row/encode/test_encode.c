/*
 * encode*.c: bytes and fault texts. That the bytes are what PostgreSQL makes of the same values is
 * proved by tests/integration/test_encode.py with many more; these here need no server.
 */
#include "row/encode/encode.h"

#include "row/kit.h"

static struct encoder encoder;
static struct value_rules rules;

/* A value the way a document, a key or the record gives it. */
struct given {
    enum column_type type;
    int32_t typmod;
    enum time_unit unit;
    enum cell_kind kind;
    const char *text;
    const char *want; /* hexadecimal of the field, or the text of the fault */
};

static struct cell cell_of(const struct given *g)
{
    struct cell c = {.kind = g->kind, .text = str_of(g->text)};

    if (g->kind == CELL_BOOL) {
        c.truth = strcmp(g->text, "true") == 0;
    } else if (g->kind == CELL_INT) {
        c.number = strtoll(g->text, NULL, 10);
    } else if (g->kind == CELL_STRING) {
        c.raw = STR_LIT("\"raw\"");
    }
    return c;
}

static void expect_cell(const struct given *g, const struct cell *c)
{
    _cleanup_buf_ struct buf out = {0};
    struct error err;
    struct column column = {.name = NULL, .type = g->type, .typmod = g->typmod};
    char name[32];

    snprintf(name, sizeof name, "%s(n)", column_type_name(g->type));
    column.type_name = name;
    bool ok = encode_value(&(struct encoding){&encoder, &column, g->unit, c, &out, &err, &rules});
    kit_assert_text(ok ? kit_hex(&out, 0) : err.text, g->want);
}

/* The field f of {"f":<before><text><before>} as a document hands it out; text must be alive. */
static struct cell read_cell(struct document *d, struct buf *text, const char *before,
                             const char *value)
{
    struct fields f;
    struct cell cells[2];
    struct error err;

    fields_init(&f);
    fields_add(&f, 0, STR_LIT("f"));
    fields_seal(&f);
    buf_clear(text);
    buf_printf(text, "{\"f\":%s%s%s}", before, value, before);
    if (!document_read(d, buf_str(text), &f, cells, &err)) {
        print_error("%s: %s\n", value, err.text);
        fail();
    }
    fields_done(&f);
    return cells[1];
}

/* Numbers and strings also as a document hands them out, which knows more of them. */
static void expect(const struct given *g)
{
    struct cell c = cell_of(g);

    expect_cell(g, &c);
    if (c.kind == CELL_NUMBER ||
        (c.kind == CELL_STRING && g->type != TYPE_JSON && strchr(g->text, '\\') == NULL)) {
        struct document *d = document_new();
        _cleanup_buf_ struct buf text = {0};
        c = read_cell(d, &text, c.kind == CELL_STRING ? "\"" : "", g->text);
        expect_cell(g, &c);
        document_free(d);
    }
}

#define EXPECT_ALL(list)                                                                           \
    for (size_t i = 0; i < ARRAY_LEN(list); i++) {                                                 \
        expect(&(list)[i]);                                                                        \
    }

static void test_null(void **state)
{
    (void) state;
    for (int t = 0; t < COLUMN_TYPES; t++) {
        struct given g = {(enum column_type) t, -1, UNIT_NONE, CELL_NULL, "", "ffffffff"};
        expect(&g);
    }
}

static void test_objects_go_into_text_and_json_only(void **state)
{
    (void) state;
    for (int t = 0; t < COLUMN_TYPES; t++) {
        char want[64];
        if (t == TYPE_ARRAY || (column_type_is_cast((enum column_type) t) && t != TYPE_MONEY)) {
            continue;
        }
        struct given g = {(enum column_type) t, -1, UNIT_MS, CELL_JSON, "[]", want};
        snprintf(want, sizeof want, "an array does not go into %s%s", column_type_name(g.type),
                 g.type == TYPE_ENUM ? "(n)" : "");
        if (t == TYPE_TEXT || t == TYPE_VARCHAR || t == TYPE_BPCHAR || t == TYPE_JSON) {
            g.want = "000000025b5d";
        } else if (t == TYPE_JSONB) {
            g.want = "00000003015b5d";
        }
        expect(&g);
    }
}

/* Sent as a numeric: the same bytes. */
static void test_money(void **state)
{
    (void) state;
    static const struct given cases[] = {
        {TYPE_MONEY, -1, UNIT_NONE, CELL_NUMBER, "12.5",
         "0000000c00020000000000010"
         "00c1388"},
        {TYPE_MONEY, -1, UNIT_NONE, CELL_STRING, "12.5",
         "0000000c00020000000000010"
         "00c1388"},
        {TYPE_MONEY, -1, UNIT_NONE, CELL_INT, "7", "0000000a00010000000000000007"},
        {TYPE_MONEY, -1, UNIT_NONE, CELL_NUMBER, "1e-20",
         "0000000a0001fffb0000001400"
         "01"},
        {TYPE_MONEY, -1, UNIT_NONE, CELL_STRING, "$1,234.50",
         "\"$1,234.50\" is not a number, as money takes one: no currency sign, no separators"},
        {TYPE_MONEY, -1, UNIT_NONE, CELL_STRING, "NaN",
         "\"NaN\" is not a number, as money takes one: no currency sign, no separators"},
        {TYPE_MONEY, -1, UNIT_NONE, CELL_STRING, "-inf",
         "\"-inf\" is not a number, as money takes one: no currency sign, no separators"},
        {TYPE_MONEY, -1, UNIT_NONE, CELL_NUMBER, "1e131072", "1e131072 is out of range for money"},
    };
    EXPECT_ALL(cases);
}

static void test_bool(void **state)
{
    (void) state;
    static const struct given cases[] = {
        {TYPE_BOOL, -1, UNIT_NONE, CELL_BOOL, "true", "0000000101"},
        {TYPE_BOOL, -1, UNIT_NONE, CELL_BOOL, "false", "0000000100"},
        {TYPE_BOOL, -1, UNIT_NONE, CELL_NUMBER, "1", "0000000101"},
        {TYPE_BOOL, -1, UNIT_NONE, CELL_NUMBER, "2", "2 is not a valid bool"},
        {TYPE_BOOL, -1, UNIT_NONE, CELL_STRING, " OFF ", "0000000100"},
        {TYPE_BOOL, -1, UNIT_NONE, CELL_STRING, "o", "\"o\" is not a valid bool"},
        {TYPE_BOOL, -1, UNIT_NONE, CELL_BYTES, "tru", "0000000101"},
    };
    EXPECT_ALL(cases);
}

static void test_integers(void **state)
{
    (void) state;
    static const struct given cases[] = {
        {TYPE_INT2, -1, UNIT_NONE, CELL_NUMBER, "-32768", "000000028000"},
        {TYPE_INT2, -1, UNIT_NONE, CELL_NUMBER, "99999", "99999 is out of range for int2"},
        {TYPE_INT2, -1, UNIT_NONE, CELL_INT, "70000", "70000 is out of range for int2"},
        {TYPE_INT4, -1, UNIT_NONE, CELL_NUMBER, "1e3", "00000004000003e8"},
        {TYPE_INT4, -1, UNIT_NONE, CELL_NUMBER, "1.5", "1.5 is not an integer"},
        {TYPE_INT4, -1, UNIT_NONE, CELL_NUMBER, "2147483648",
         "2147483648 is out of range for int4"},
        {TYPE_INT4, -1, UNIT_NONE, CELL_STRING, "12", "000000040000000c"},
        {TYPE_INT4, -1, UNIT_NONE, CELL_STRING, "12x", "\"12x\" is not a valid int4"},
        {TYPE_INT4, -1, UNIT_NONE, CELL_STRING, "", "\"\" is not a valid int4"},
        {TYPE_INT4, -1, UNIT_NONE, CELL_BOOL, "true", "true is not a valid int4"},
        {TYPE_INT8, -1, UNIT_NONE, CELL_NUMBER, "9223372036854775807", "000000087fffffffffffffff"},
        {TYPE_INT8, -1, UNIT_NONE, CELL_NUMBER, "-9223372036854775809",
         "-9223372036854775809 is out of range for int8"},
        {TYPE_INT8, -1, UNIT_NONE, CELL_INT, "-1", "00000008ffffffffffffffff"},
    };
    EXPECT_ALL(cases);
}

static void test_floats(void **state)
{
    (void) state;
    static const struct given cases[] = {
        {TYPE_FLOAT8, -1, UNIT_NONE, CELL_NUMBER, "1.5", "000000083ff8000000000000"},
        {TYPE_FLOAT8, -1, UNIT_NONE, CELL_INT, "2", "000000084000000000000000"},
        {TYPE_FLOAT8, -1, UNIT_NONE, CELL_STRING, "-Infinity", "00000008fff0000000000000"},
        {TYPE_FLOAT8, -1, UNIT_NONE, CELL_STRING, "nan", "000000087ff8000000000000"},
        {TYPE_FLOAT8, -1, UNIT_NONE, CELL_NUMBER, "1e400", "1e400 is out of range for float8"},
        {TYPE_FLOAT8, -1, UNIT_NONE, CELL_STRING, "", "\"\" is not a valid float8"},
        {TYPE_FLOAT4, -1, UNIT_NONE, CELL_NUMBER, "-0", "0000000480000000"},
        {TYPE_FLOAT4, -1, UNIT_NONE, CELL_STRING, "inf", "000000047f800000"},
        {TYPE_FLOAT4, -1, UNIT_NONE, CELL_NUMBER, "1e39", "1e39 is out of range for float4"},
        {TYPE_FLOAT4, -1, UNIT_NONE, CELL_BOOL, "true", "true is not a valid float4"},
    };
    EXPECT_ALL(cases);
}

#define NUMERIC(p, s) (((p) << 16 | ((s) &0x7FF)) + 4)

static void test_numeric(void **state)
{
    (void) state;
    static const struct given cases[] = {
        {TYPE_NUMERIC, -1, UNIT_NONE, CELL_NUMBER, "0", "000000080000000000000000"},
        {TYPE_NUMERIC, -1, UNIT_NONE, CELL_NUMBER, "-0.00", "000000080000000000000002"},
        {TYPE_NUMERIC, -1, UNIT_NONE, CELL_NUMBER, "-12345.678",
         "0000000e000300014000000300010929"
         "1a7c"},
        {TYPE_NUMERIC, -1, UNIT_NONE, CELL_NUMBER, "0.00012",
         "0000000c0002ffff000000050001"
         "07d0"},
        {TYPE_NUMERIC, -1, UNIT_NONE, CELL_NUMBER, "1e-5", "0000000a0001fffe0000000503e8"},
        {TYPE_NUMERIC, -1, UNIT_NONE, CELL_NUMBER, "1E4", "0000000a00010001000000000001"},
        {TYPE_NUMERIC, -1, UNIT_NONE, CELL_INT, "7", "0000000a00010000000000000007"},
        {TYPE_NUMERIC, -1, UNIT_NONE, CELL_STRING, "NaN", "0000000800000000c0000000"},
        {TYPE_NUMERIC, -1, UNIT_NONE, CELL_STRING, "Infinity", "0000000800000000d0000000"},
        {TYPE_NUMERIC, -1, UNIT_NONE, CELL_STRING, "-inf", "0000000800000000f0000000"},
        {TYPE_NUMERIC, -1, UNIT_NONE, CELL_STRING, "x", "\"x\" is not a valid numeric"},
        {TYPE_NUMERIC, -1, UNIT_NONE, CELL_NUMBER, "1e131072",
         "1e131072 is out of range for numeric"},
        {TYPE_NUMERIC, -1, UNIT_NONE, CELL_NUMBER, "1e-16384",
         "1e-16384 is out of range for numeric"},
        {TYPE_NUMERIC, -1, UNIT_NONE, CELL_NUMBER, "0e9999999999",
         "0e9999999999 is out of range for numeric"},
        {TYPE_NUMERIC, NUMERIC(5, 2), UNIT_NONE, CELL_NUMBER, "999.994",
         "0000000c00020000000000"
         "0203e726ac"},
        {TYPE_NUMERIC, NUMERIC(5, 2), UNIT_NONE, CELL_NUMBER, "999.995",
         "999.995 is out of range for numeric(5,2)"},
        {TYPE_NUMERIC, NUMERIC(5, 2), UNIT_NONE, CELL_NUMBER, "0.005",
         "0000000a0001ffff000000020064"},
        {TYPE_NUMERIC, NUMERIC(5, 2), UNIT_NONE, CELL_NUMBER, "-0.0049",
         "000000080000000000000002"},
        {TYPE_NUMERIC, NUMERIC(5, 2), UNIT_NONE, CELL_NUMBER, "1.235",
         "0000000c00020000000000020001"
         "0960"},
        {TYPE_NUMERIC, NUMERIC(5, 2), UNIT_NONE, CELL_NUMBER, "0.0005", "000000080000000000000002"},
        {TYPE_NUMERIC, NUMERIC(5, 2), UNIT_NONE, CELL_STRING, "NaN", "0000000800000000c0000000"},
        {TYPE_NUMERIC, NUMERIC(5, 2), UNIT_NONE, CELL_STRING, "inf",
         "\"inf\" is out of range for numeric"},
        {TYPE_NUMERIC, NUMERIC(3, -2), UNIT_NONE, CELL_NUMBER, "99949",
         "0000000c00020001000000000009"
         "26ac"},
        {TYPE_NUMERIC, NUMERIC(3, -2), UNIT_NONE, CELL_NUMBER, "99950",
         "99950 is out of range for numeric(3,-2)"},
    };
    EXPECT_ALL(cases);
}

static void test_text(void **state)
{
    (void) state;
    static const struct given cases[] = {
        {TYPE_TEXT, -1, UNIT_NONE, CELL_STRING, "", "00000000"},
        {TYPE_TEXT, -1, UNIT_NONE, CELL_STRING, "\xf0\x9f\x98\x80", "00000004f09f9880"},
        {TYPE_TEXT, -1, UNIT_NONE, CELL_NUMBER, "1.50", "00000004312e3530"},
        {TYPE_TEXT, -1, UNIT_NONE, CELL_BOOL, "true", "0000000474727565"},
        {TYPE_TEXT, -1, UNIT_NONE, CELL_INT, "-5", "000000022d35"},
        {TYPE_TEXT, -1, UNIT_NONE, CELL_BYTES, "a\xff", "\"a\\xff\" is not valid UTF-8"},
        {TYPE_VARCHAR, -1, UNIT_NONE, CELL_STRING, "abc", "00000003616263"},
        {TYPE_VARCHAR, 4 + 2, UNIT_NONE, CELL_STRING, "\xc3\xa9\xc3\xa9", "00000004c3a9c3a9"},
        {TYPE_VARCHAR, 4 + 2, UNIT_NONE, CELL_STRING, "\xc3\xa9\xc3\xa9  ", "00000004c3a9c3a9"},
        {TYPE_VARCHAR, 4 + 2, UNIT_NONE, CELL_STRING, "abc",
         "\"abc\" is too long for varchar(n): it has 3 characters"},
        {TYPE_VARCHAR, 4 + 2, UNIT_NONE, CELL_STRING, "ab c",
         "\"ab c\" is too long for varchar(n): it has 4 characters"},
        {TYPE_VARCHAR, 4 + 2, UNIT_NONE, CELL_NUMBER, "123",
         "123 is too long for varchar(n): it has 3 characters"},
        {TYPE_BPCHAR, 4 + 2, UNIT_NONE, CELL_STRING, "a", "0000000161"},
        {TYPE_BPCHAR, 4 + 2, UNIT_NONE, CELL_BYTES, "\xff", "\"\\xff\" is not valid UTF-8"},
    };
    EXPECT_ALL(cases);
    struct cell zero = {
        .kind = CELL_STRING, .text = STR_LIT("a\0b"), .raw = STR_LIT("\"a\\u0000b\"")};
    struct column column = {.type = TYPE_TEXT, .typmod = -1};
    _cleanup_buf_ struct buf out = {0};
    struct error err;
    assert_false(
        encode_value(&(struct encoding){&encoder, &column, UNIT_NONE, &zero, &out, &err, &rules}));
    kit_assert_text(err.text, "\"a\\x00b\" contains U+0000, which text cannot hold");
}

static void test_bytea_and_uuid(void **state)
{
    (void) state;
    static const char *const neither = "\"a\" is neither \\x and hexadecimal digits nor base64";
    static const struct given cases[] = {
        {TYPE_BYTEA, -1, UNIT_NONE, CELL_STRING, "", "00000000"},
        {TYPE_BYTEA, -1, UNIT_NONE, CELL_STRING, "\\x", "00000000"},
        {TYPE_BYTEA, -1, UNIT_NONE, CELL_STRING, "\\x00aBFf", "0000000300abff"},
        {TYPE_BYTEA, -1, UNIT_NONE, CELL_STRING, "\\x00112233445566778899aAbB",
         "0000000c00112233445566778899aabb"},
        {TYPE_BYTEA, -1, UNIT_NONE, CELL_STRING, "AP+r", "0000000300ffab"},
        {TYPE_BYTEA, -1, UNIT_NONE, CELL_STRING, "AP-_", "0000000300ffbf"},
        {TYPE_BYTEA, -1, UNIT_NONE, CELL_STRING, "3q2+7w==", "00000004deadbeef"},
        {TYPE_BYTEA, -1, UNIT_NONE, CELL_STRING, "AA==", "0000000100"},
        {TYPE_BYTEA, -1, UNIT_NONE, CELL_STRING, "AA", "0000000100"},
        {TYPE_BYTEA, -1, UNIT_NONE, CELL_STRING, "AAE=", "000000020001"},
        {TYPE_BYTEA, -1, UNIT_NONE, CELL_STRING, "a", neither},
        {TYPE_BYTEA, -1, UNIT_NONE, CELL_NUMBER, "1", "1 is not a valid bytea"},
        {TYPE_BYTEA, -1, UNIT_NONE, CELL_BYTES, "\\x00", "000000045c783030"},
        {TYPE_UUID, -1, UNIT_NONE, CELL_STRING, "{00112233-4455-6677-8899-AABBCCDDEEFF}",
         "0000001000112233445566778899aabbccddeeff"},
        {TYPE_UUID, -1, UNIT_NONE, CELL_BYTES, "00112233445566778899aabbccddeeff",
         "0000001000112233445566778899aabbccddeeff"},
        {TYPE_UUID, -1, UNIT_NONE, CELL_STRING, "00112233-4455-6677-8899-AABBccddeeff",
         "0000001000112233445566778899aabbccddeeff"},
        {TYPE_UUID, -1, UNIT_NONE, CELL_STRING, "00112233-4455-6677-8899-aabbccddeefg",
         "\"00112233-4455-6677-8899-aabbccddeefg\" is not a valid uuid"},
        {TYPE_UUID, -1, UNIT_NONE, CELL_STRING, "0011-2233-4455-6677-8899-aabbccddeef",
         "\"0011-2233-4455-6677-8899-aabbccddeef\" is not a valid uuid"},
        {TYPE_UUID, -1, UNIT_NONE, CELL_STRING, "0011223344556677-8899-aabb-ccdd-eeff",
         "0000001000112233445566778899aabbccddeeff"},
        {TYPE_UUID, -1, UNIT_NONE, CELL_STRING, "0011", "\"0011\" is not a valid uuid"},
        {TYPE_UUID, -1, UNIT_NONE, CELL_NUMBER, "1", "1 is not a valid uuid"},
        {TYPE_UUID, -1, UNIT_NONE, CELL_STRING,
         "ABEiM0RVZneImaq7zN3u/w==", "0000001000112233445566778899aabbccddeeff"},
        {TYPE_UUID, -1, UNIT_NONE, CELL_STRING, "ABEiM0RVZneImaq7zN3u_w",
         "0000001000112233445566778899aabbccddeeff"},
        {TYPE_UUID, -1, UNIT_NONE, CELL_BYTES, "ABEiM0RVZneImaq7zN3u_w",
         "0000001000112233445566778899aabbccddeeff"},
        {TYPE_UUID, -1, UNIT_NONE, CELL_STRING, "ABEiM0RVZneImaq7zN3u",
         "\"ABEiM0RVZneImaq7zN3u\" is not a valid uuid"},
        {TYPE_UUID, -1, UNIT_NONE, CELL_STRING,
         "ABEiM0RVZneImaq7zN3u/wA=", "\"ABEiM0RVZneImaq7zN3u/wA=\" is not a valid uuid"},
        {TYPE_UUID, -1, UNIT_NONE, CELL_STRING, "ABEiM0RVZneImaq7zN3u/x",
         "\"ABEiM0RVZneImaq7zN3u/x\" is not a valid uuid"},
        {TYPE_UUID, -1, UNIT_NONE, CELL_BYTES, "\x01\x11\"3DUfw\x88\x99\xaa\xbb\xcc\xdd\xee\xff",
         "0000001001112233445566778899aabbccddeeff"},
        {TYPE_UUID, -1, UNIT_NONE, CELL_BYTES, "customer-0000042",
         "\"customer-0000042\" is not a valid uuid"},
        {TYPE_UUID, -1, UNIT_NONE, CELL_STRING, "caf\xc3\xa9-0123456789",
         "\"caf\xc3\xa9-0123456789\" is not a valid uuid"},
    };
    static const char *const bad[] = {
        "AA=",  "A===",  "=",     "AB==",        "AAB=",  "AA==AA==", "A A",
        "\\x0", "\\xg0", "\\x0g", "\\x0011223g", "AAAAA", "AA=A",     "!!!!"};
    EXPECT_ALL(cases);
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        char want[80];
        snprintf(want, sizeof want, "\"%s\" is neither \\x and hexadecimal digits nor base64",
                 bad[i]);
        struct given g = {TYPE_BYTEA, -1, UNIT_NONE, CELL_STRING, bad[i], want};
        expect(&g);
    }
}

static void test_json(void **state)
{
    (void) state;
    static const struct given cases[] = {
        {TYPE_JSON, -1, UNIT_NONE, CELL_STRING, "cooked", "000000052272617722"},
        {TYPE_JSON, -1, UNIT_NONE, CELL_NUMBER, "1.0", "00000003312e30"},
        {TYPE_JSON, -1, UNIT_NONE, CELL_BOOL, "false", "0000000566616c7365"},
        {TYPE_JSON, -1, UNIT_NONE, CELL_BYTES, "[1]", "000000035b315d"},
        {TYPE_JSON, -1, UNIT_NONE, CELL_BYTES, "[1",
         "not valid JSON: expected ',' or ']' at byte 3"},
        {TYPE_JSONB, -1, UNIT_NONE, CELL_BYTES, "x",
         "not valid JSON: unexpected character at byte 1"},
        {TYPE_JSONB, -1, UNIT_NONE, CELL_BYTES, "[1]", "00000004015b315d"},
        {TYPE_JSONB, -1, UNIT_NONE, CELL_BYTES, "[\"\\\\u0000\",1e-16383]",
         "0000001501"
         "5b225c5c7530303030222c31652d31363338335d"},
        {TYPE_JSONB, -1, UNIT_NONE, CELL_BYTES, "[00]", "not valid JSON: bad number at byte 2"},
        {TYPE_JSONB, -1, UNIT_NONE, CELL_BYTES, "[0.00e1111]",
         "0000000c01"
         "5b302e303065313131315d"},
        {TYPE_JSONB, -1, UNIT_NONE, CELL_BYTES, "[1,1e200000]",
         "1e200000 is out of range for a number in jsonb"},
        {TYPE_JSONB, -1, UNIT_NONE, CELL_BYTES, "[\"\\\\\\u0000\"]",
         "\"[\"\\\\\\u0000\"]\" contains U+0000, which jsonb cannot hold"},
    };
    EXPECT_ALL(cases);
}

/* A string of a format that is not JSON. */
static void test_strings_of_no_document(void **state)
{
    (void) state;
    static const struct value_rules replacing = {.nul = NUL_REPLACE};
    struct cell c = {.kind = CELL_STRING, .text = STR_LIT("say \"hi\"")};
    struct cell zero = {.kind = CELL_STRING, .text = STR_LIT("a\0b")};
    struct column json = {.type = TYPE_JSON, .typmod = -1};
    struct column jsonb = {.type = TYPE_JSONB, .typmod = -1};
    _cleanup_buf_ struct buf out = {0};
    struct error err;
    assert_true(
        encode_value(&(struct encoding){&encoder, &json, UNIT_NONE, &c, &out, &err, &rules}));
    assert_int_equal(out.n, 4 + 12);
    assert_memory_equal(out.p + 4, "\"say \\\"hi\\\"\"", 12);
    assert_false(
        encode_value(&(struct encoding){&encoder, &jsonb, UNIT_NONE, &zero, &out, &err, &rules}));
    kit_assert_text(err.text, "\"a\\x00b\" contains U+0000, which jsonb cannot hold");
    buf_clear(&out);
    assert_true(encode_value(
        &(struct encoding){&encoder, &jsonb, UNIT_NONE, &zero, &out, &err, &replacing}));
    assert_memory_equal(out.p + 5, "\"a\\ufffdb\"", 10);
}

static void test_jsonb_has_a_size_limit(void **state)
{
    (void) state;
    _cleanup_buf_ struct buf text = {0};
    _cleanup_buf_ struct buf out = {0};
    struct error err;
    struct column column = {.type = TYPE_JSONB, .typmod = -1};
    buf_fill(&text, '0', (size_t) 0x10000000);
    struct cell c = {.kind = CELL_JSON, .text = buf_str(&text)};
    assert_false(
        encode_value(&(struct encoding){&encoder, &column, UNIT_NONE, &c, &out, &err, &rules}));
    assert_non_null(strstr(err.text, "is too large for jsonb"));
}

static void test_times(void **state)
{
    (void) state;
    static const struct given cases[] = {
        {TYPE_DATE, -1, UNIT_NONE, CELL_STRING, "2000-01-02", "0000000400000001"},
        {TYPE_DATE, -1, UNIT_NONE, CELL_STRING, "infinity", "000000047fffffff"},
        {TYPE_DATE, -1, UNIT_NONE, CELL_STRING, "-infinity", "0000000480000000"},
        {TYPE_DATE, -1, UNIT_NONE, CELL_STRING, "2000-13-02",
         "\"2000-13-02\" is out of range for date"},
        {TYPE_DATE, -1, UNIT_NONE, CELL_STRING, "9999999-01-01",
         "\"9999999-01-01\" is out of range for date"},
        {TYPE_DATE, -1, UNIT_NONE, CELL_STRING, "x", "\"x\" is not a valid date"},
        {TYPE_DATE, -1, UNIT_NONE, CELL_NUMBER, "5",
         "5 is a number, and no unit is declared for this date"},
        {TYPE_DATE, -1, UNIT_S, CELL_NUMBER, "946771199", "0000000400000000"},
        {TYPE_DATE, -1, UNIT_S, CELL_NUMBER, "-1", "00000004ffffd532"},
        {TYPE_DATE, -1, UNIT_US, CELL_NUMBER, "-9.3e18", "-9.3e18 is out of range for date"},
        {TYPE_DATE, -1, UNIT_S, CELL_BOOL, "true", "true is not a valid date"},
        {TYPE_TIME, -1, UNIT_NONE, CELL_STRING, "00:00:01", "0000000800000000000f4240"},
        {TYPE_TIME, -1, UNIT_MS, CELL_NUMBER, "1000", "0000000800000000000f4240"},
        {TYPE_TIME, -1, UNIT_MS, CELL_NUMBER, "-1", "-1 is out of range for time"},
        {TYPE_TIME, -1, UNIT_S, CELL_NUMBER, "86401", "86401 is out of range for time"},
        {TYPE_TIME, -1, UNIT_S, CELL_NUMBER, "1e99", "1e99 is out of range for time"},
        {TYPE_TIME, -1, UNIT_NONE, CELL_STRING, "25:00", "\"25:00\" is out of range for time"},
        {TYPE_TIME, -1, UNIT_NONE, CELL_STRING, "x", "\"x\" is not a valid time"},
        {TYPE_TIME, -1, UNIT_NONE, CELL_BOOL, "true", "true is not a valid time"},
        {TYPE_TIMESTAMP, -1, UNIT_NONE, CELL_STRING, "2000-01-01T00:00:01+01",
         "0000000800000000000f4240"},
        {TYPE_TIMESTAMPTZ, -1, UNIT_NONE, CELL_STRING, "2000-01-01T01:00:01+01",
         "0000000800000000000f4240"},
        {TYPE_TIMESTAMPTZ, -1, UNIT_NONE, CELL_STRING, "2000-01-01T00:00:01",
         "0000000800000000000f4240"},
        {TYPE_TIMESTAMPTZ, -1, UNIT_NONE, CELL_STRING, "infinity", "000000087fffffffffffffff"},
        {TYPE_TIMESTAMPTZ, -1, UNIT_NONE, CELL_STRING, "-infinity", "000000088000000000000000"},
        {TYPE_TIMESTAMPTZ, -1, UNIT_NONE, CELL_STRING, "yesterday",
         "\"yesterday\" is not a valid timestamptz"},
        {TYPE_TIMESTAMPTZ, -1, UNIT_NONE, CELL_STRING, "294277-01-01",
         "\"294277-01-01\" is out of range for timestamptz"},
        {TYPE_TIMESTAMPTZ, -1, UNIT_NONE, CELL_STRING, "999999-01-01",
         "\"999999-01-01\" is out of range for timestamptz"},
        {TYPE_TIMESTAMPTZ, -1, UNIT_NONE, CELL_STRING, "294277-01-09T04:00:54.775807-15:59",
         "\"294277-01-09T04:00:54.775807-15:59\" is out of range for timestamptz"},
        {TYPE_TIMESTAMPTZ, -1, UNIT_S, CELL_NUMBER, "946684801", "0000000800000000000f4240"},
        {TYPE_TIMESTAMPTZ, -1, UNIT_MS, CELL_INT, "946684801000", "0000000800000000000f4240"},
        {TYPE_TIMESTAMPTZ, -1, UNIT_US, CELL_STRING, "946684801000000", "0000000800000000000f4240"},
        {TYPE_TIMESTAMPTZ, -1, UNIT_NS, CELL_BYTES, "946684801000000499",
         "0000000800000000000f4240"},
        {TYPE_TIMESTAMPTZ, -1, UNIT_NS, CELL_NUMBER, "946684801000000500",
         "0000000800000000000f4241"},
        {TYPE_TIMESTAMPTZ, -1, UNIT_S, CELL_NUMBER, "9224318016000",
         "9224318016000 is out of range for timestamptz"},
        {TYPE_TIMESTAMPTZ, -1, UNIT_S, CELL_NUMBER, "1e99", "1e99 is out of range for timestamptz"},
        {TYPE_TIMESTAMPTZ, -1, UNIT_US, CELL_NUMBER, "-9.3e18",
         "-9.3e18 is out of range for timestamptz"},
    };
    EXPECT_ALL(cases);
}

/* Encodes a number as a document hands it out, and as its text alone: the answers are the same. */
static void expect_same_without_value(struct document *d, const char *number,
                                      const struct column *column, enum time_unit unit)
{
    _cleanup_buf_ struct buf text = {0};
    _cleanup_buf_ struct buf quick = {0};
    _cleanup_buf_ struct buf slow = {0};
    struct error quick_err = {.text = ""};
    struct error slow_err = {.text = ""};
    struct cell c = read_cell(d, &text, "", number);
    bool ok = encode_value(
        &(struct encoding){&encoder, column, unit, &c, &quick, &quick_err, &rules});

    c.is_short = false;
    bool want = encode_value(
        &(struct encoding){&encoder, column, unit, &c, &slow, &slow_err, &rules});
    if (ok != want || strcmp(quick_err.text, slow_err.text) != 0 ||
        (ok && (quick.n != slow.n || memcmp(quick.p, slow.p, slow.n) != 0))) {
        print_error("%s as %s, typmod %d\n", number, column_type_name(column->type),
                    (int) column->typmod);
        fail();
    }
}

static void expect_same_in_all_types(struct document *d, const char *number)
{
    static const struct column columns[] = {
        {.type = TYPE_INT2, .typmod = -1},
        {.type = TYPE_INT4, .typmod = -1},
        {.type = TYPE_INT8, .typmod = -1},
        {.type = TYPE_FLOAT4, .typmod = -1},
        {.type = TYPE_FLOAT8, .typmod = -1},
        {.type = TYPE_BOOL, .typmod = -1},
        {.type = TYPE_TEXT, .typmod = -1},
        {.type = TYPE_NUMERIC, .typmod = -1},
        {.type = TYPE_NUMERIC, .typmod = NUMERIC(5, 2)},
        {.type = TYPE_NUMERIC, .typmod = NUMERIC(12, 4)},
        {.type = TYPE_NUMERIC, .typmod = NUMERIC(38, 10)},
        {.type = TYPE_NUMERIC, .typmod = NUMERIC(18, 0)},
        {.type = TYPE_NUMERIC, .typmod = NUMERIC(18, 18)},
        {.type = TYPE_NUMERIC, .typmod = NUMERIC(3, -2)},
        {.type = TYPE_NUMERIC, .typmod = NUMERIC(2, 5)},
        {.type = TYPE_NUMERIC, .typmod = NUMERIC(1000, 1000)},
    };
    static const enum column_type times[] = {TYPE_DATE, TYPE_TIME, TYPE_TIMESTAMP,
                                             TYPE_TIMESTAMPTZ};

    for (size_t i = 0; i < ARRAY_LEN(columns); i++) {
        expect_same_without_value(d, number, &columns[i], UNIT_NONE);
    }
    for (size_t i = 0; i < ARRAY_LEN(times); i++) {
        for (int unit = UNIT_NONE; unit <= UNIT_NS; unit++) {
            struct column column = {.type = times[i], .typmod = -1};
            expect_same_without_value(d, number, &column, (enum time_unit) unit);
        }
    }
}

static void random_number(uint64_t *random, char *out, size_t size)
{
    static const char *const exponents[] = {"", "", "", "e5", "E-7", "e+18", "e400", "e-320"};
    uint64_t x = kit_random(random);
    int whole = (int) (x % 20);
    int scale = (int) ((x >> 8) % 20);
    unsigned kind = (unsigned) ((x >> 16) % 4);
    char digits[48];

    for (size_t i = 0; i < sizeof digits - 1; i++) {
        uint64_t y = kit_random(random);
        digits[i] = (char) ('0' + (kind == 0 ? y % 10 : kind == 1 ? y % 2 * 9 : y % 7 == 0));
    }
    digits[sizeof digits - 1] = '\0';
    snprintf(out, size, "%s%.*s%s%.*s%s", x >> 20 & 1 ? "-" : "", whole > 1 ? whole : 1,
             digits[0] == '0' && whole > 1 ? "1000000000000000000000" : digits,
             scale > 0 ? "." : "", scale, digits + 24, exponents[x >> 24 & 7]);
}

static void test_a_known_value_changes_nothing(void **state)
{
    (void) state;
    static const char *const edges[] = {
        "0",
        "-0",
        "-0.0",
        "0.0",
        "-0e5",
        "0e-5",
        "32767",
        "32768",
        "-32768",
        "-32769",
        "2147483647",
        "2147483648",
        "-2147483648",
        "-2147483649",
        "999999999999999999",
        "1000000000000000000",
        "-999999999999999999",
        "-1000000000000000000",
        "9223372036854775807",
        "9223372036854775808",
        "-9223372036854775808",
        "-9223372036854775809",
        "18446744073709551615",
        "18446744073709551616",
        "9007199254740992",
        "9007199254740993",
        "-9007199254740993",
        "900719925474099.3",
        "16777216",
        "16777217",
        "0.000000000000000001",
        "0.00000000000000001",
        "0.0000000000000001",
        "1.0000000000000000",
        "12345678.12345678",
        "0.1",
        "1e400",
        "-1e400",
        "1e-400",
        "5e-324",
        "2.2250738585072011e-308",
        "1.0",
        "1e3",
        "1.5",
        "9999.9999",
        "10000.0001",
        "0.9999",
        "99999999",
        "100000000",
        "9999999999999",
        "9223371331199",
        "9223371331200",
        "-210866803200",
        "-210866803201",
        "86400",
        "86401",
    };
    struct document *d = document_new();
    uint64_t random = 7;
    char number[96];
    for (size_t i = 0; i < ARRAY_LEN(edges); i++) {
        expect_same_in_all_types(d, edges[i]);
    }
    for (int round = 0; round < 5000; round++) {
        random_number(&random, number, sizeof number);
        expect_same_in_all_types(d, number);
    }
    document_free(d);
}

/* A whole number as its own kind, and as its text alone: the answers are the same. */
static void expect_same_as_text(int64_t n, enum column_type type, enum time_unit unit)
{
    char text[32];

    snprintf(text, sizeof text, "%lld", (long long) n);
    char name[] = "x";
    struct column column = {.type = type, .typmod = -1, .type_name = name};
    struct cell whole = {.kind = CELL_INT, .number = n};
    struct cell digits = {.kind = CELL_NUMBER, .text = str_of(text)};
    _cleanup_buf_ struct buf out = {0};
    _cleanup_buf_ struct buf want = {0};
    struct error err = {.text = ""};
    struct error want_err = {.text = ""};
    bool ok = encode_value(&(struct encoding){&encoder, &column, unit, &whole, &out, &err, &rules});
    assert_int_equal(ok, encode_value(&(struct encoding){&encoder, &column, unit, &digits, &want,
                                                         &want_err, &rules}));
    kit_assert_text(err.text, want_err.text);
    kit_assert_text(err.sqlstate, want_err.sqlstate);
    if (ok) {
        assert_int_equal(out.n, want.n);
        assert_memory_equal(out.p, want.p, want.n);
    }
}

static void test_whole_numbers_as_times(void **state)
{
    (void) state;
    uint64_t random = 11;
    for (int round = 0; round < 20000; round++) {
        int64_t n = (int64_t) kit_random(&random) >> (kit_random(&random) % 64);
        expect_same_as_text(n, TYPE_TIMESTAMP, (enum time_unit)(UNIT_S + kit_random(&random) % 5));
    }
}

static void test_whole_numbers_in_every_type(void **state)
{
    (void) state;
    static const int64_t edges[] = {
        INT64_MIN,
        INT64_MIN + 1,
        INT32_MIN,
        -INT64_C(32769),
        -32768,
        -1,
        0,
        1,
        32767,
        32768,
        INT32_MAX,
        INT64_C(2147483648),
        INT64_C(946684800000),
        INT64_C(999999999999999999),
        INT64_MAX - 1,
        INT64_MAX,
    };
    for (int type = 0; type < COLUMN_TYPES; type++) {
        for (size_t i = 0; i < ARRAY_LEN(edges); i++) {
            for (int unit = UNIT_NONE; unit <= UNIT_DAY; unit++) {
                expect_same_as_text(edges[i], (enum column_type) type, (enum time_unit) unit);
            }
        }
    }
    static const struct given cases[] = {
        {TYPE_INT8, -1, UNIT_NONE, CELL_INT, "-9223372036854775808", "000000088000000000000000"},
        {TYPE_INT4, -1, UNIT_NONE, CELL_INT, "-9223372036854775808",
         "-9223372036854775808 is out of range for int4"},
        {TYPE_TEXT, -1, UNIT_NONE, CELL_INT, "-9223372036854775808",
         "000000142d39323233333732303336383534373735383038"},
        {TYPE_JSON, -1, UNIT_NONE, CELL_INT, "-9223372036854775808",
         "000000142d39323233333732303336383534373735383038"},
        {TYPE_NUMERIC, -1, UNIT_NONE, CELL_INT, "-9223372036854775808",
         "000000120005000440000000039a0d2c0170156516b0"},
        {TYPE_FLOAT8, -1, UNIT_NONE, CELL_INT, "-9223372036854775808", "00000008c3e0000000000000"},
        {TYPE_FLOAT4, -1, UNIT_NONE, CELL_INT, "-9223372036854775808", "00000004df000000"},
        {TYPE_BOOL, -1, UNIT_NONE, CELL_INT, "1", "0000000101"},
        {TYPE_BOOL, -1, UNIT_NONE, CELL_INT, "2", "2 is not a valid bool"},
        {TYPE_DATE, -1, UNIT_NONE, CELL_INT, "19782",
         "19782 is a number, and no unit is declared for this date"},
        {TYPE_TIMESTAMPTZ, -1, UNIT_US, CELL_INT, "-9223372036854775808",
         "-9223372036854775808 is out of range for timestamptz"},
        {TYPE_TIMESTAMPTZ, -1, UNIT_NS, CELL_INT, "946684801000000500", "0000000800000000000f4241"},
    };
    EXPECT_ALL(cases);
}

/* As the timestamp of a record: it counts milliseconds whatever is declared for the column. */
static void test_a_count_with_a_unit_of_its_own(void **state)
{
    (void) state;
    struct given g = {TYPE_TIMESTAMPTZ, -1, UNIT_S, CELL_INT, "", "0000000800000000000f4240"};
    struct cell c = {.kind = CELL_ABSENT};
    cell_set_int(&c, INT64_C(946684801000), UNIT_MS);
    expect_cell(&g, &c);
    g.unit = UNIT_NONE;
    expect_cell(&g, &c);
    cell_set_int(&c, INT64_C(946684801), UNIT_NONE);
    g.unit = UNIT_S;
    expect_cell(&g, &c);
}

/* Dates of Kafka Connect and Debezium. */
static void test_days(void **state)
{
    (void) state;
    static const struct given cases[] = {
        {TYPE_DATE, -1, UNIT_DAY, CELL_INT, "19782", "0000000400002279"},
        {TYPE_DATE, -1, UNIT_DAY, CELL_NUMBER, "19782", "0000000400002279"},
        {TYPE_DATE, -1, UNIT_DAY, CELL_NUMBER, "1e4", "00000004fffffc43"},
        {TYPE_DATE, -1, UNIT_DAY, CELL_INT, "-1", "00000004ffffd532"},
        {TYPE_DATE, -1, UNIT_DAY, CELL_NUMBER, "1.5", "1.5 is not a valid date"},
        {TYPE_DATE, -1, UNIT_DAY, CELL_NUMBER, "1e30", "1e30 is out of range for date"},
        {TYPE_DATE, -1, UNIT_DAY, CELL_INT, "9223372036854775807",
         "9223372036854775807 is out of range for date"},
        {TYPE_DATE, -1, UNIT_DAY, CELL_INT, "-9223372036854775808",
         "-9223372036854775808 is out of range for date"},
        {TYPE_TIMESTAMP, -1, UNIT_DAY, CELL_INT, "10958",
         "0000000800000014"
         "1dd76000"},
    };
    EXPECT_ALL(cases);
}

static void test_intervals(void **state)
{
    (void) state;
    static const struct given cases[] = {
        {TYPE_INTERVAL, -1, UNIT_NONE, CELL_STRING, "P1Y2M3DT4H",
         "0000001000000003"
         "5a4e9000"
         "00000003"
         "0000000e"},
        {TYPE_INTERVAL, -1, UNIT_NONE, CELL_BYTES, "-1 us",
         "00000010ffffffffffffffff"
         "0000000000000000"},
        {TYPE_INTERVAL, -1, UNIT_MS, CELL_NUMBER, "-1500",
         "00000010ffffffffffe91ca0"
         "0000000000000000"},
        {TYPE_INTERVAL, -1, UNIT_NONE, CELL_NUMBER, "5",
         "5 is a number, and no unit is declared for this interval"},
        {TYPE_INTERVAL, -1, UNIT_US, CELL_NUMBER, "9223372036854775808",
         "9223372036854775808 is out of range for interval"},
        {TYPE_INTERVAL, -1, UNIT_S, CELL_BOOL, "true", "true is not a valid interval"},
        {TYPE_INTERVAL, -1, UNIT_NONE, CELL_STRING, "tomorrow",
         "\"tomorrow\" is not a valid interval"},
        {TYPE_INTERVAL, -1, UNIT_NONE, CELL_STRING, "3000000000 days",
         "\"3000000000 days\" is out of range for interval"},
    };
    EXPECT_ALL(cases);
}

static void test_addresses(void **state)
{
    (void) state;
    static const struct given cases[] = {
        {TYPE_INET, -1, UNIT_NONE, CELL_STRING, "10.1.2.3/8", "00000008020800040a010203"},
        {TYPE_INET, -1, UNIT_NONE, CELL_BYTES, "::1",
         "000000140380001000000000000000000000000000000001"},
        {TYPE_INET, -1, UNIT_NONE, CELL_NUMBER, "1", "1 is not a valid inet"},
        {TYPE_INET, -1, UNIT_NONE, CELL_STRING, "", "\"\" is not a valid inet"},
        {TYPE_INET, -1, UNIT_NONE, CELL_STRING, "1.2.3.4/33", "\"1.2.3.4/33\" is not a valid inet"},
        {TYPE_INET, -1, UNIT_NONE, CELL_STRING,
         "1111:2222:3333:4444:5555:6666:7777:8888:9999:aaaa:bbbb:cccc:dddd:eeee",
         "\"1111:2222:3333:4444:5555:6666:7777:8888:9999:aaaa:bbbb:cccc:...\" is not a valid inet"},
        {TYPE_CIDR, -1, UNIT_NONE, CELL_STRING, "10.0.0.0/8", "00000008020801040a000000"},
        {TYPE_CIDR, -1, UNIT_NONE, CELL_STRING, "10.0.0.1/8",
         "\"10.0.0.1/8\" has bits set to the right of the mask"},
        {TYPE_MACADDR, -1, UNIT_NONE, CELL_STRING, "08:00:2b:01:02:03", "0000000608002b010203"},
        {TYPE_MACADDR, -1, UNIT_NONE, CELL_STRING, "08:00:2b:01:02:03:04:05",
         "\"08:00:2b:01:02:03:04:05\" is not a valid macaddr"},
        {TYPE_MACADDR, -1, UNIT_NONE, CELL_STRING, "0800.2b01.0203", "0000000608002b010203"},
        {TYPE_MACADDR, -1, UNIT_NONE, CELL_STRING, "08:00:2b:01:02-03",
         "\"08:00:2b:01:02-03\" is not a valid macaddr"},
        {TYPE_MACADDR, -1, UNIT_NONE, CELL_STRING, "08:00:2b:01:02:0g",
         "\"08:00:2b:01:02:0g\" is not a valid macaddr"},
        {TYPE_MACADDR, -1, UNIT_NONE, CELL_BOOL, "true", "true is not a valid macaddr"},
        {TYPE_MACADDR8, -1, UNIT_NONE, CELL_STRING, "0800-2b01-0203", "0000000808002bfffe010203"},
        {TYPE_MACADDR8, -1, UNIT_NONE, CELL_STRING, "08002b0102030405", "0000000808002b0102030405"},
    };
    EXPECT_ALL(cases);
}

static void test_what_goes_as_text(void **state)
{
    (void) state;
    static const struct given cases[] = {
        {TYPE_ENUM, -1, UNIT_NONE, CELL_STRING, "good", "00000004676f6f64"},
        {TYPE_ENUM, -1, UNIT_NONE, CELL_BYTES, "good", "00000004676f6f64"},
        {TYPE_ENUM, -1, UNIT_NONE, CELL_NUMBER, "1", "0000000131"},
        {TYPE_OTHER, 7, UNIT_NONE, CELL_STRING, "(1,2)", "0000000528312c3229"},
        {TYPE_OTHER, -1, UNIT_NONE, CELL_NUMBER, "1.50", "00000004312e3530"},
        {TYPE_OTHER, -1, UNIT_NONE, CELL_BOOL, "false", "0000000566616c7365"},
        {TYPE_OTHER, -1, UNIT_NONE, CELL_JSON, "{\"type\":1}", "0000000a7b2274797065223a317d"},
        {TYPE_OTHER, -1, UNIT_NONE, CELL_BYTES, "\xff", "\"\\xff\" is not valid UTF-8"},
        {TYPE_HSTORE, -1, UNIT_NONE, CELL_STRING, "a=>1", "00000004613d3e31"},
        {TYPE_HSTORE, -1, UNIT_NONE, CELL_JSON, "{}", "00000000"},
        {TYPE_HSTORE, -1, UNIT_NONE, CELL_JSON, "[]", "an array does not go into hstore"},
    };
    EXPECT_ALL(cases);
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
        cmocka_unit_test(test_null),
        cmocka_unit_test(test_objects_go_into_text_and_json_only),
        cmocka_unit_test(test_bool),
        cmocka_unit_test(test_money),
        cmocka_unit_test(test_integers),
        cmocka_unit_test(test_floats),
        cmocka_unit_test(test_numeric),
        cmocka_unit_test(test_text),
        cmocka_unit_test(test_bytea_and_uuid),
        cmocka_unit_test(test_json),
        cmocka_unit_test(test_strings_of_no_document),
        cmocka_unit_test(test_jsonb_has_a_size_limit),
        cmocka_unit_test(test_times),
        cmocka_unit_test(test_a_known_value_changes_nothing),
        cmocka_unit_test(test_whole_numbers_as_times),
        cmocka_unit_test(test_whole_numbers_in_every_type),
        cmocka_unit_test(test_a_count_with_a_unit_of_its_own),
        cmocka_unit_test(test_days),
        cmocka_unit_test(test_intervals),
        cmocka_unit_test(test_addresses),
        cmocka_unit_test(test_what_goes_as_text),
    };

    return cmocka_run_group_tests(tests, NULL, done);
}
