/* protobuf_format.c, protobuf_json.c and protobuf_wire.c: messages into cells, and bad ones. */
#include "row/format/protobuf_format.h"

#include "row/json/document.h"
#include "row/kit.h"
#include "row/schema/protobuf_schema.h"
#include "row/text/hex.h"

#define PROTO3 "syntax = 'proto3'; "

struct bench {
    const struct schema *schema;
    struct fields names;
    struct format_scratch scratch;
    struct cell cells[32];
    struct error err;
    struct buf bytes;
    struct buf said;
};

/* A path with * is wanted whole, too; one with @ is that of a column. */
static void want(struct bench *b, const char *path)
{
    bool is_whole = *path == '*';
    bool is_column = *path == '@';
    uint32_t node = 0;

    path += is_whole || is_column ? 1 : 0;
    while (*path != '\0') {
        size_t n = strcspn(path, ".");
        struct str name = {.p = path, .n = n};
        node = is_column ? fields_add_row(&b->names, node, name)
                         : fields_add(&b->names, node, name);
        path += n + (path[n] == '.' ? 1 : 0);
    }
    if (is_whole) {
        b->names.nodes[node].is_whole = true;
    }
}

/* Paths are separated by blanks. */
static void bench_init(struct bench *b, const char *schema, const char *paths)
{
    *b = (struct bench){0};
    if (!protobuf_schema_read(str_of(schema), NULL, 0, &b->schema, &b->err)) {
        print_error("%s\n", b->err.text);
        fail();
    }
    fields_init(&b->names);
    b->names.policy = NAMES_SNAKE_CASE;
    while (*paths != '\0') {
        char path[64];
        size_t n = strcspn(paths, " ");
        snprintf(path, sizeof path, "%.*s", (int) n, paths);
        want(b, path);
        paths += n + (paths[n] == ' ' ? 1 : 0);
    }
    fields_seal(&b->names);
}

static void bench_done(struct bench *b)
{
    b->schema = schema_drop(b->schema);
    fields_done(&b->names);
    format_scratch_done(&b->scratch);
    buf_done(&b->bytes);
    buf_done(&b->said);
}

static void say(struct buf *out, const struct cell *c)
{
    switch (c->kind) {
    case CELL_ABSENT:
        buf_add_z(out, "-");
        break;
    case CELL_NULL:
        buf_add_z(out, "null");
        break;
    case CELL_BOOL:
        buf_add_z(out, c->truth ? "true" : "false");
        break;
    case CELL_INT:
        buf_printf(out, "%lld", (long long) c->number);
        break;
    case CELL_NUMBER:
        buf_add_z(out, "#");
        buf_add_str(out, c->text);
        break;
    case CELL_STRING:
        buf_add_z(out, "'");
        buf_add_str(out, c->text);
        buf_add_z(out, "'");
        break;
    case CELL_JSON:
        buf_add_str(out, c->text);
        break;
    case CELL_BYTES:
        buf_add_z(out, "x");
        for (size_t i = 0; i < c->text.n; i++) {
            buf_printf(out, "%02x", (uint8_t) c->text.p[i]);
        }
        break;
    }
}

/* hex may have blanks; `..` repeats nothing. */
static void set_bytes(struct bench *b, const char *hex)
{
    buf_clear(&b->bytes);
    for (const char *p = hex; *p != '\0';) {
        if (*p == ' ') {
            p++;
            continue;
        }
        if (*p == '\'') { /* text */
            for (p++; *p != '\''; p++) {
                buf_add_u8(&b->bytes, (uint8_t) *p);
            }
            p++;
            continue;
        }
        char digits[3] = {p[0], p[1], '\0'};
        buf_add_u8(&b->bytes, (uint8_t) strtoul(digits, NULL, 16));
        p += 2;
    }
}

static bool read_bytes(struct bench *b)
{
    /* Memory of its own size, so that a sanitizer sees what is read after it. */
    char *copy = mem_alloc(b->bytes.n);

    for (size_t i = 0; i < b->bytes.n; i++) {
        copy[i] = (char) b->bytes.p[i];
    }
    const struct format_input in = {
        .what = "value",
        .bytes = {.p = copy, .n = b->bytes.n},
        .names = &b->names,
        .schema = b->schema,
        .shape = schema_root(b->schema, 0),
    };

    for (size_t i = 0; i < ARRAY_LEN(b->cells); i++) {
        b->cells[i].kind = CELL_BYTES; /* each has to be set */
    }
    bool ok = format_of(FORMAT_PROTOBUF)->read(&b->scratch, &in, b->cells, &b->err);
    buf_clear(&b->said);
    for (size_t i = b->names.count > 1 ? 1 : 0; i < b->names.count && ok; i++) {
        buf_add_z(&b->said, b->said.n > 0 ? " " : "");
        say(&b->said, &b->cells[i]);
    }
    free(copy);
    return ok;
}

/* The cells of all nodes but the root, or of that if there are no others. */
static void expect(struct bench *b, const char *hex, const char *cells)
{
    set_bytes(b, hex);
    if (!read_bytes(b)) {
        print_error("%s: %s\n", hex, b->err.text);
        fail();
    }
    kit_assert_text(buf_cstr(&b->said), cells);
}

static void expect_fault(struct bench *b, const char *hex, const char *words)
{
    set_bytes(b, hex);
    assert_false(read_bytes(b));
    assert_int_equal(b->err.class, ERROR_RECORD);
    if (strstr(b->err.text, words) == NULL) {
        print_error("%s: %s\n", hex, b->err.text);
        fail();
    }
}

/* One reading with a schema of its own. */
static void expect_once(const char *schema, const char *paths, const char *hex, const char *cells)
{
    struct bench b;

    bench_init(&b, schema, paths);
    expect(&b, hex, cells);
    bench_done(&b);
}

#define SCALARS                                                                                    \
    PROTO3 "message M { int32 a = 1; sint32 b = 2; sint64 c = 3; uint32 d = 4; uint64 e = 5;"      \
           " fixed32 f = 6; sfixed32 g = 7; fixed64 h = 8; sfixed64 i = 9; bool j = 10;"           \
           " float k = 11; double l = 12; string m = 13; bytes n = 14; E o = 15; int64 p = 16; }"  \
           "enum E { ZERO = 0; ONE = 1; MINUS = -1; }"

static void test_scalars(void **state)
{
    (void) state;
    struct bench b;
    bench_init(&b, SCALARS, "a b c d e f g h i j k l m n o p q");
    expect(&b,
           "08 ffffffffffffffffff01  10 03  18 04  20 ffffffff0f  28 ffffffffffffffffff01"
           "35 ffffffff  3d ffffffff  41 ffffffffffffffff  49 feffffffffffffff  50 01"
           "5d 0000c03f  61 9a9999999999b93f  6a 02 'hi'  72 02 00ff  78 01  8001 07",
           "-1 -2 2 4294967295 #18446744073709551615 4294967295 -1 #18446744073709551615 -2 true"
           " #1.5 #0.1 'hi' x00ff 'ONE' 7 -");
    expect(&b, "", "0 0 0 0 0 0 0 0 0 false #0 #0 '' x 'ZERO' 0 -");
    expect(
        &b,
        "78 ffffffffffffffffff01 5d 0000c07f 61 000000000000f0ff 50 8002 20 ffffffffffffffffff01",
        "0 0 0 4294967295 0 0 0 0 0 true 'NaN' '-Infinity' '' x 'MINUS' 0 -");
    expect(&b, "78 2a", "0 0 0 0 0 0 0 0 0 false #0 #0 '' x '42' 0 -");
    bench_done(&b);
    bench_init(&b, SCALARS, "");
    expect(&b, "08 01 72 01 ff 78 09",
           "{\"a\":1,\"b\":0,\"c\":0,\"d\":0,\"e\":0,\"f\":0,\"g\":0,\"h\":0,\"i\":0,\"j\":false,"
           "\"k\":0,\"l\":0,\"m\":\"\",\"n\":\"/w==\",\"o\":\"9\",\"p\":0}");
    expect(
        &b, "50 01 5d 0000c03f 61 9a9999999999b93f 28 ffffffffffffffffff01 6a 01 22",
        "{\"a\":0,\"b\":0,\"c\":0,\"d\":0,\"e\":18446744073709551615,\"f\":0,\"g\":0,\"h\":0,"
        "\"i\":0,\"j\":true,\"k\":1.5,\"l\":0.1,\"m\":\"\\\"\",\"n\":\"\",\"o\":\"ZERO\",\"p\":0}");
    assert_false(b.scratch.is_odd);
    set_bytes(&b, "6a 01 00");
    assert_true(read_bytes(&b));
    assert_true(b.scratch.is_odd);
    bench_done(&b);
}

static void test_null_and_the_last_one(void **state)
{
    (void) state;
    struct bench b;
    bench_init(&b, PROTO3 "message M { optional int32 a = 1; M b = 2; int32 c = 3; }", "a b b.a c");
    expect(&b, "", "null null - 0");
    expect(&b, "08 01 08 00 18 05 18 06", "0 null - 6");
    expect(&b, "12 00", "null {} null 0");
    expect(&b, "12 02 08 01 12 02 08 02", "null {} 2 0");
    assert_ptr_equal(format_node_shape(&b.scratch, 2), schema_root(b.schema, 0));
    assert_null(format_node_shape(&b.scratch, 1));
    const struct format_input nothing = {
        .what = "value", .names = &b.names, .schema = b.schema, .shape = schema_root(b.schema, 0)};
    assert_true(protobuf_format_read(&b.scratch, &nothing, b.cells, &b.err));
    assert_int_equal(b.cells[0].kind, CELL_NULL);
    assert_int_equal(b.cells[1].kind, CELL_ABSENT);
    bench_done(&b);
}

static void test_messages_in_pieces_are_one(void **state)
{
    (void) state;
    const char *schema = PROTO3
        "message M { N n = 1; int32 x = 2; }"
        "message N { int32 a = 1; int32 b = 2; repeated int32 c = 3; M m = 4; }";
    const char *hex =
        "0a 06 08 01 18 05 18 06 10 09 0a 04 10 02 18 07 0a 04 22 02 10 03 0a 04 22 02 0a 00";

    expect_once(schema, "n.a n.b n.c n.m.x", hex, "{} 1 2 [5,6,7] {} 3");
    expect_once(schema, "n", hex,
                "{\"a\":1,\"b\":2,\"c\":[5,6,7],\"m\":{\"n\":{\"a\":0,\"b\":0,\"c\":[],\"m\":null},"
                "\"x\":3}}");
    expect_once(schema, "*n n.a", hex,
                "{\"a\":1,\"b\":2,\"c\":[5,6,7],\"m\":{\"n\":{\"a\":0,\"b\":0,\"c\":[],\"m\":null},"
                "\"x\":3}} 1");
}

static void test_oneof(void **state)
{
    (void) state;
    struct bench b;
    bench_init(&b,
               PROTO3 "message M { oneof o { int32 a = 1; N b = 2; string c = 3; } int32 d = 4; }"
                      "message N { int32 x = 1; int32 y = 2; }",
               "a b.x b.y c d");
    expect(&b, "08 00", "0 null - - null 0");
    expect(&b, "08 07 1a 01 'x' 20 01", "null null - - 'x' 1");
    expect(&b, "12 02 08 05 12 02 10 06", "null {} 5 6 null 0");
    expect(&b, "12 02 08 05 08 01 12 02 10 06", "null {} 0 6 null 0");
    expect_fault(&b, "12 02 08 ff 08 01", "without an end"); /* also where it is cleared */
    bench_done(&b);
    bench_init(&b, PROTO3 "message M { oneof o { int32 a = 1; M b = 2; } }", "a");
    expect(&b, "08 01 12 00", "null"); /* cleared by what nothing wants */
    bench_done(&b);
}

static void test_repeated(void **state)
{
    (void) state;
    const char *schema = PROTO3
        "message M { repeated int32 a = 1; repeated string b = 2; repeated M c = 3;"
        " repeated fixed32 d = 4 [packed = false]; repeated double e = 5; repeated bool f = 6;"
        " repeated bytes g = 7; }";
    struct bench b;
    bench_init(&b, schema, "a b c d e f g");
    expect(&b, "", "[] [] [] [] [] [] []");
    expect(
        &b,
        "08 01 12 01 'x' 0a 03 02 ac02 1a 02 08 07 12 00 08 03 22 08 01000000 02000000 25 03000000"
        "29 000000000000f03f 30 01 32 02 00 01 3a 01 00",
        "[1,2,300,3] [\"x\",\"\"] "
        "[{\"a\":[7],\"b\":[],\"c\":[],\"d\":[],\"e\":[],\"f\":[],\"g\":[]}]"
        " [1,2,3] [1] [true,false,true] [\"AA==\"]");
    expect_fault(&b, "0a 01 80", "end in the middle of one");
    expect_fault(&b, "22 03 010000", "packed numbers of 4 bytes in 3");
    expect_fault(&b, "2a 03 010000", "packed numbers of 8 bytes in 3");
    bench_done(&b);
    bench_init(&b, schema, "c.a a"); /* an array has no fields */
    expect(&b, "1a 02 08 07 08 01", "[] - [1]");
    expect_fault(&b, "1a 02 08 80", "without an end");
    bench_done(&b);
}

static void test_maps(void **state)
{
    (void) state;
    const char *schema = PROTO3 "message M { map<string, int32> a = 1; map<int32, N> b = 2;"
                                " map<bool, string> c = 3; }"
                                "message N { int32 x = 1; }";
    struct bench b;
    bench_init(&b, schema, "a b c");
    expect(&b, "", "{} {} {}");
    expect(&b, "0a 05 0a 01 'k' 10 07 0a 00 0a 04 10 01 10 02", "{\"k\":7,\"\":0,\"\":2} {} {}");
    expect(&b, "12 06 08 05 12 02 08 09 12 00 1a 05 08 01 12 01 'x' 1a 00",
           "{} {\"5\":{\"x\":9},\"0\":{\"x\":0}} {\"true\":\"x\",\"false\":\"\"}");
    expect_fault(&b, "12 02 12 05", "has 5 bytes where 0 are left");
    expect_fault(&b, "0a 03 0a 01 ff", "not valid UTF-8");
    bench_done(&b);
    bench_init(&b, schema, "a.k b.5.x *c c.true b.0.x");
    expect(&b,
           "0a 05 0a 01 'k' 10 07 0a 05 0a 01 'j' 10 08 12 06 08 05 12 02 08 09 1a 02 08 01 12 00",
           "{} 7 {} {} 9 {\"true\":\"\"} '' {} 0");
    expect(&b, "0a 05 0a 01 'k' 10 07 0a 03 0a 01 'k'", "{} 0 {} - - {} - - -");
    expect(&b, "12 06 08 05 12 02 08 09 12 02 08 05", "{} - {} {} 0 {} - - -");
    bench_done(&b);
}

static void test_columns_and_paths(void **state)
{
    (void) state;
    struct bench b;
    bench_init(&b, "message M { optional int32 userId = 1; optional int32 user_id = 2; }",
               "@user_id");
    set_bytes(&b, "08 05");
    bool ok = read_bytes(&b);
    assert_false(ok);
    assert_non_null(strstr(b.err.text, "user_id"));
    bench_done(&b);
    bench_init(&b, PROTO3 "message M { map<string, int32> m = 1; }", "@m.user_id");
    expect(&b, "0a 0a 0a 06 'userId' 10 07", "{} 7");
    expect_fault(&b, "0a 0a 0a 06 'userId' 10 07 0a 0b 0a 07 'user_id' 10 07", "user_id");
    bench_done(&b);
}

static void test_unknown_fields(void **state)
{
    (void) state;
    struct bench b;
    bench_init(&b,
               "message M { optional int32 a = 1; optional group G = 2 { optional int32 b = 3; }"
               " optional int32 z = 1000; }",
               "a g.b z");
    expect(&b, "08 01 13 18 05 14", "1 {} 5 null");
    expect(&b, "13 18 05 14 13 14", "null {} 5 null");
    expect(&b, "c03e 07 e03e 01 20 01 29 0102030405060708 32 01 00 3d 01020304 4b 4b 08 01 4c 4c",
           "null null - 7");
    expect(&b, "0a 01 01 0d 01020304 12 00 10 01", "null null - null"); /* other wire types */
    expect_fault(&b, "13 18 05", "the middle of a tag");
    expect_fault(&b, "13 1c", "the end of another group");
    expect_fault(&b, "14", "a group that was not begun");
    expect_fault(&b, "4b 4b 4c", "in the middle of a tag");
    expect_fault(&b, "4b 08", "a number without an end");
    expect_fault(&b, "00", "no tag of a field");
    expect_fault(&b, "0e", "no tag of a field");
    expect_fault(&b, "ffffffffff01", "no tag of a field");
    expect(&b, "88808080 04 01", "null null - null"); /* a field of another number */
    expect(&b, "8880808010 05", "5 null - null");     /* more than 32 bits: not looked at */
    expect_fault(&b, "ffffffffffffffffffff", "in the middle of a tag");
    expect_fault(&b, "08", "a number without an end at byte 1");
    expect_fault(&b, "0d 0102", "field 1 has 4 bytes where 2 are left");
    expect_fault(&b, "09 0102", "field 1 has 8 bytes where 2 are left");
    expect_fault(&b, "0a 80", "a length without an end");
    expect_fault(&b, "0a ffffffffffffffffff01", "field 1 has 18446744073709551615 bytes");
    bench_done(&b);
}

static void test_strings_that_are_not_utf8(void **state)
{
    (void) state;
    struct bench b;
    bench_init(&b, PROTO3 "message M { string a = 1; string b = 2; }", "a");
    expect_fault(&b, "0a 01 ff", "a string that is not valid UTF-8");
    expect_fault(&b, "12 01 ff", "a string that is not valid UTF-8"); /* which nothing wants */
    bench_done(&b);
    expect_once("message M { optional string a = 1; }", "a", "0a 01 ff", "xff");
    expect_once("message M { optional string a = 1; }", "a", "0a 01 'x'", "'x'");
    bench_init(&b, "message M { optional string a = 1; }", "");
    expect_fault(&b, "0a 01 ff", "cannot be JSON");
    bench_done(&b);
}

/* Messages in messages. */
/* What the end of one piece lacks is not in the next one. */
static void test_each_piece_is_whole(void **state)
{
    (void) state;
    static const char *const paths[] = {"*next", "next.n", "next"};

    for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
        struct bench b;
        bench_init(&b, PROTO3 "message M { M next = 2; int32 n = 1; }", paths[i]);
        expect_fault(&b, "12 01 09 12 08 0801080208030804", "where 0 are left");
        expect_fault(&b, "12 02 0801 12 01 80", "in the middle of a tag");
        bench_done(&b);
    }
}

/* Each level is split in two, and the inner one is large. */
static void test_too_much_in_pieces(void **state)
{
    (void) state;
    struct bench b;
    _cleanup_buf_ struct buf inner = {0};

    bench_init(&b, PROTO3 "message M { M next = 2; bytes b = 1; }", "*next");
    buf_add_u8(&b.bytes, 0x0a);
    buf_add(&b.bytes, "\x80\x80\x80\x04", 4);
    buf_fill(&b.bytes, 0, 8 << 20);
    for (int i = 0; i < 14; i++) {
        size_t n = b.bytes.n;
        buf_clear(&inner);
        buf_add(&inner, "\x12\x00\x12", 3);
        for (; n >= 0x80; n >>= 7) {
            buf_add_u8(&inner, (uint8_t) (n | 0x80));
        }
        buf_add_u8(&inner, (uint8_t) n);
        buf_add_str(&inner, buf_str(&b.bytes));
        buf_clear(&b.bytes);
        buf_add_str(&b.bytes, buf_str(&inner));
    }
    assert_false(read_bytes(&b));
    assert_non_null(strstr(b.err.text, "messages in pieces have more than"));
    bench_done(&b);
}

static void nest(struct bench *b, int depth, uint8_t begin, uint8_t end)
{
    buf_clear(&b->bytes);
    for (int i = 0; i < depth; i++) {
        buf_add_u8(&b->bytes, begin);
    }
    for (int i = 0; i < depth; i++) {
        buf_add_u8(&b->bytes, end);
    }
}

static void nest_lengths(struct bench *b, int depth)
{
    _cleanup_buf_ struct buf inner = {0};

    buf_clear(&b->bytes);
    for (int i = 0; i < depth; i++) {
        buf_clear(&inner);
        buf_add_str(&inner, buf_str(&b->bytes));
        buf_clear(&b->bytes);
        buf_add_u8(&b->bytes, 0x0a);
        for (size_t n = inner.n;; n >>= 7) {
            buf_add_u8(&b->bytes, (uint8_t) (n < 0x80 ? n : (n & 0x7F) | 0x80));
            if (n < 0x80) {
                break;
            }
        }
        buf_add_str(&b->bytes, buf_str(&inner));
    }
}

static void expect_too_deep(struct bench *b)
{
    assert_false(read_bytes(b));
    assert_non_null(strstr(b->err.text, "nested deeper than 1024 levels"));
    assert_string_equal(b->err.sqlstate, "54001");
}

static void test_depth(void **state)
{
    (void) state;
    struct bench b;
    const char *schema =
        "message M { optional M a = 1; optional group G = 2 { optional int32 x = 3; }"
        " optional int32 z = 3; }";
    bench_init(&b, schema, "z");
    nest_lengths(&b, 1000);
    assert_true(read_bytes(&b));
    nest_lengths(&b, 1100);
    expect_too_deep(&b);
    nest(&b, 1000, 0x13, 0x14);
    assert_true(read_bytes(&b));
    nest(&b, 1100, 0x13, 0x14);
    expect_too_deep(&b);
    bench_done(&b);
    bench_init(&b, schema, "");
    nest_lengths(&b, 1000);
    assert_true(read_bytes(&b));
    nest_lengths(&b, 1100);
    expect_too_deep(&b);
    bench_done(&b);
    bench_init(
        &b,
        PROTO3
        "import 'google/protobuf/struct.proto'; message M { google.protobuf.ListValue v = 1; }",
        "v");
    nest_lengths(&b, 600);
    set_bytes(&b, "0a 08 0a 06 32 04 0a 02 08 00");
    assert_true(read_bytes(&b));
    bench_done(&b);
}

#define KNOWN(import, type)                                                                        \
    PROTO3 "import '" import ".proto'; message M { " type " v = 1; repeated " type " w = 2; }"

static void test_times(void **state)
{
    (void) state;
    struct bench b;
    bench_init(&b, KNOWN("google/protobuf/timestamp", "google.protobuf.Timestamp"),
               "v w *v v.seconds");
    expect(&b, "", "null [] -");
    expect(&b, "0a 00", "'1970-01-01T00:00:00Z' [] 0");
    expect(&b, "0a 08 08 80e2cfaa06 10 05 12 0d 08 ffffffffffffffffff01 10 0a",
           "'2023-11-14T22:13:20.000000005Z' [\"1969-12-31T23:59:59.00000001Z\"] 1700000000");
    expect_fault(&b, "0a 0b 10 ffffffffffffffffff01",
                 "a google.protobuf.Timestamp that is out of range");
    expect_fault(&b, "0a 06 10 8094ebdc03", "is out of range");
    expect_fault(&b, "0a 09 08 ffffffffffffff7f", "is out of range");
    bench_done(&b);
    bench_init(&b, KNOWN("google/protobuf/duration", "google.protobuf.Duration"), "v");
    expect(&b, "0a 08 08 05 10 80cab5ee01", "'PT5.5S'");
    expect(&b, "0a 16 08 ffffffffffffffffff01 10 80b6ca91feffffffff01", "'PT-1.5S'");
    expect_fault(&b, "0a 0d 08 ffffffffffffffffff01 10 05", "out of range");
    expect_fault(&b, "0a 0d 08 05 10 ffffffffffffffffff01", "out of range");
    expect_fault(&b, "0a 06 10 8094ebdc03", "out of range");
    bench_done(&b);
    bench_init(&b, KNOWN("google/type/date", "google.type.Date"), "v");
    expect(&b, "0a 07 08 e70f 10 0b 18 09", "'2023-11-09'");
    expect(&b, "0a 00", "'0000-00-00'");
    bench_done(&b);
    bench_init(&b, KNOWN("google/type/timeofday", "google.type.TimeOfDay"), "v");
    expect(&b, "0a 0b 08 17 10 3b 18 01 20 80ade204", "'23:59:01.01'");
    expect_fault(&b, "0a 0b 20 ffffffffffffffffff01", "out of range");
    bench_done(&b);
}

static void test_numbers_that_are_messages(void **state)
{
    (void) state;
    struct bench b;
    bench_init(&b, KNOWN("google/type/decimal", "google.type.Decimal"), "v w");
    expect(&b, "0a 07 0a 05 '-1.50' 12 04 0a 02 '07' 12 04 0a 02 '+1'", "#-1.50 [\"07\",\"+1\"]");
    expect(&b, "0a 05 0a 03 '1e5' 12 03 0a 01 '7' 12 04 0a 02 '1.'", "'1e5' [7,\"1.\"]");
    expect(&b, "0a 00", "'' []");
    bench_done(&b);
    bench_init(&b, KNOWN("confluent/type/decimal", "confluent.type.Decimal"), "v w");
    expect(&b, "0a 06 0a 02 ff6a 18 02", "#-1.50 []");
    expect(&b, "0a 00 12 03 0a 01 07", "#0 [7]");
    expect_fault(&b, "0a 08 0a 02 ff6a 18 80897a", "out of range for numeric");
    bench_done(&b);
    expect_once(KNOWN("google/protobuf/wrappers", "google.protobuf.Int64Value"), "*v w v.value",
                "0a 02 08 05 12 00", "5 [0] 5");
    expect_once(KNOWN("google/protobuf/wrappers", "google.protobuf.StringValue"), "v w", "0a 00",
                "'' []");
    expect_once(KNOWN("google/protobuf/wrappers", "google.protobuf.DoubleValue"), "v w", "",
                "null []");
}

static void test_dynamic(void **state)
{
    (void) state;
    struct bench b;
    const char *object = "0a 09 0a 01 'a' 12 04 1a 02 'x\"'  0a 05 0a 01 'b' 12 00"
                         "0a 0e 0a 01 'c' 12 09 11 000000000000f83f"
                         "0a 14 0a 01 'd' 12 0f 2a 0d 0a 07 0a 01 'e' 12 02 20 01 0a 02 0a 00"
                         "0a 0d 0a 01 'f' 12 08 32 06 0a 02 20 00 0a 00";
    char hex[512];
    snprintf(hex, sizeof hex, "0a 47 %s", object);
    bench_init(&b, KNOWN("google/protobuf/struct", "google.protobuf.Struct"), "v");
    expect(
        &b, hex,
        "{\"a\":\"x\\\"\",\"b\":null,\"c\":1.5,\"d\":{\"e\":true,\"\":null},\"f\":[false,null]}");
    bench_done(&b);
    bench_init(&b, KNOWN("google/protobuf/struct", "google.protobuf.Struct"),
               "v.a v.b v.c v.d.e v.f v.g");
    expect(&b, hex, "{} 'x\"' null #1.5 {} true [false,null] -");
    bench_done(&b);
    bench_init(&b, KNOWN("google/protobuf/struct", "google.protobuf.Value"), "v w");
    expect(&b, "0a 02 08 00", "null []");
    expect(&b, "0a 02 20 01 12 00", "true [null]");
    expect(&b, "0a 02 2a 00", "{} []");
    expect(&b, "0a 02 32 00", "[] []");
    bench_done(&b);
    expect_once(KNOWN("google/protobuf/any", "google.protobuf.Any"), "v",
                "0a 06 0a 01 'u' 12 01 00", "{\"@type\":\"u\",\"value\":\"AA==\"}");
}

static void test_too_much_json(void **state)
{
    (void) state;
    struct bench b;
    _cleanup_buf_ struct buf schema = {0};
    buf_add_z(&schema, PROTO3 "message M { repeated N n = 1; map<int32, N> m = 2; } message N {");
    for (int i = 1; i <= 5000; i++) {
        buf_printf(&schema, "int32 quite_a_long_name_%d = %d;", i, i);
    }
    buf_add_z(&schema, "}");
    bench_init(&b, buf_cstr(&schema), "n m");
    buf_clear(&b.bytes);
    for (int i = 0; i < 2000; i++) {
        buf_add(&b.bytes, "\x0a\x00", 2);
    }
    assert_false(read_bytes(&b));
    assert_non_null(strstr(b.err.text, "its JSON would have more than"));
    for (size_t i = 0; i < b.bytes.n; i += 2) {
        b.bytes.p[i] = 0x12;
    }
    assert_false(read_bytes(&b));
    assert_string_equal(b.err.sqlstate, "54000");
    bench_done(&b);
}

/* A byte is the name of an enum's value. */
static void test_too_much_packed(void **state)
{
    (void) state;
    struct bench b;
    _cleanup_buf_ struct buf schema = {0};

    buf_add_z(&schema, PROTO3 "message M { repeated E e = 1; } enum E { Z");
    buf_fill(&schema, 'z', 4000);
    buf_add_z(&schema, " = 0; }");
    bench_init(&b, buf_cstr(&schema), "e");
    buf_add(&b.bytes, "\x0a\x80\x80\x20", 4);
    buf_fill(&b.bytes, 0, 1 << 19);
    assert_false(read_bytes(&b));
    assert_non_null(strstr(b.err.text, "its JSON would have more than"));
    assert_string_equal(b.err.sqlstate, "54000");
    bench_done(&b);
}

static void test_many_symbols(void **state)
{
    (void) state;
    struct bench b;
    _cleanup_buf_ struct buf schema = {0};
    char hex[64];
    char want[64];

    buf_add_z(&schema, PROTO3 "message M { E e = 1; } enum E { option allow_alias = true;"
                              " ZERO = 0; NONE = 0; TOP = 2147483647; MINUS = -7; OTHER = -7;");
    for (int i = 100; i >= 3; i--) {
        buf_printf(&schema, "E%d = %d;", i, i);
    }
    buf_add_z(&schema, "THREE = 3; }");
    bench_init(&b, buf_cstr(&schema), "e");
    for (int i = 3; i <= 100; i++) {
        snprintf(hex, sizeof hex, "08 %02x", (unsigned) i);
        snprintf(want, sizeof want, "'E%d'", i);
        expect(&b, hex, want);
    }
    expect(&b, "08 00", "'ZERO'"); /* of aliases, the first one */
    expect(&b, "08 f9ffffffffffffffff01", "'MINUS'");
    expect(&b, "08 ffffffff07", "'TOP'");
    expect(&b, "08 feffffff07", "'2147483646'");
    expect(&b, "08 02", "'2'");
    expect(&b, "08 80808080f8ffffffff01", "'-2147483648'");
    bench_done(&b);
}

static void test_a_long_decimal_is_odd(void **state)
{
    (void) state;
    struct bench b;
    bench_init(&b, KNOWN("google/type/decimal", "google.type.Decimal"), "v");
    for (size_t n = 1024; n <= 1025; n++) {
        buf_clear(&b.bytes);
        buf_add_u8(&b.bytes, 0x0a);
        buf_add_u8(&b.bytes, (uint8_t) ((n + 3) | 0x80));
        buf_add_u8(&b.bytes, (uint8_t) ((n + 3) >> 7));
        buf_add_u8(&b.bytes, 0x0a);
        buf_add_u8(&b.bytes, (uint8_t) (n | 0x80));
        buf_add_u8(&b.bytes, (uint8_t) (n >> 7));
        buf_fill(&b.bytes, '7', n);
        assert_true(read_bytes(&b));
        assert_int_equal(b.said.p[0], '#');
        assert_int_equal(b.scratch.is_odd, n > 1024);
    }
    bench_done(&b);
}

/* The members of a large oneof, most of which nothing wants, by turns and again and again. */
static void test_a_large_oneof(void **state)
{
    (void) state;
    struct bench b;
    _cleanup_buf_ struct buf schema = {0};

    buf_add_z(&schema, PROTO3 "message M { int32 before = 1; oneof o { M m = 2; int32 a = 3;"
                              " int32 z = 4; } oneof p { int32 q = 5; int32 r = 6; }");
    for (int i = 7; i < 18000; i++) {
        buf_printf(&schema, "int32 f%d = %d;", i, i);
    }
    buf_add_z(&schema, "}");
    for (int i = 0; i < 2; i++) {
        bench_init(&b, buf_cstr(&schema), i == 0 ? "before m a q" : "before m a z q r");
        const char *more = i == 0 ? "" : " null";
        char want[64];
        snprintf(want, sizeof want, "5 null 7%s 9%s", more, more);
        expect(&b, "08 05 12 02 08 01 12 00 28 09 18 06 18 07", want);
        snprintf(want, sizeof want, "5 null null%s 9%s", i == 0 ? "" : " 8", more);
        expect(&b, "08 05 18 06 28 08 28 09 20 08", want);
        snprintf(want, sizeof want, "5 null null%s null%s", i == 0 ? "" : " 8", i == 0 ? "" : " 1");
        expect(&b, "08 05 18 06 28 08 20 08 30 01", want);
        expect_fault(&b, "12 02 08 80 18 06", "a number without an end");
        buf_clear(&b.bytes);
        for (int k = 0; k < 300000; k++) {
            buf_add(&b.bytes, "\x20\x08", 2);
        }
        assert_true(read_bytes(&b));
        bench_done(&b);
    }
}

static void test_many_plans(void **state)
{
    (void) state;
    struct bench b;
    struct bench others[70];
    bench_init(&b, SCALARS, "a");
    for (size_t i = 0; i < ARRAY_LEN(others); i++) {
        bench_init(&others[i], SCALARS, i % 2 == 0 ? "a b" : "c");
        const struct schema *mine = b.schema;
        b.schema = others[i].schema;
        expect(&b, "08 05", "5");
        expect(&b, "08 05", "5");
        b.schema = mine;
        expect(&b, "08 06", "6");
    }
    for (size_t i = 0; i < ARRAY_LEN(others); i++) {
        bench_done(&others[i]);
    }
    bench_done(&b);
}

/* Whatever the bytes are, nothing is read that is not there, and what is read as JSON is JSON. */
static void test_random_bytes(void **state)
{
    (void) state;
    const char *schema = PROTO3
        "import 'google/protobuf/struct.proto'; import 'google/protobuf/timestamp.proto';"
        "message M { int32 a = 1; repeated int32 b = 2; M c = 3; map<string, M> d = 4;"
        " google.protobuf.Struct e = 5; google.protobuf.Timestamp f = 6;"
        " oneof o { string g = 7; M h = 8; }"
        " repeated fixed32 i = 9; }";
    struct bench whole;
    struct bench parts;
    uint64_t seed = 20261130;
    int good = 0;
    bench_init(&whole, schema, "");
    bench_init(&parts, schema, "a b c.a d.x.a e.x f h.c.a *h i @g");
    for (int i = 0; i < 60000; i++) {
        size_t n = kit_random(&seed) % 24;
        buf_clear(&whole.bytes);
        for (size_t k = 0; k < n; k++) {
            uint64_t r = kit_random(&seed);
            uint8_t tag = (uint8_t) ((r >> 8) % 10 << 3 | ((r >> 16) % 4 != 0 ? 2 : (r >> 24) % 8));
            buf_add_u8(&whole.bytes, r % 3 == 0   ? (uint8_t) (r >> 32)
                                     : r % 3 == 1 ? tag
                                                  : (uint8_t) (r >> 32) % 8);
        }
        buf_clear(&parts.bytes);
        buf_add_str(&parts.bytes, buf_str(&whole.bytes));
        bool as_parts = read_bytes(&parts);
        bool as_whole = read_bytes(&whole);
        good += as_whole ? 1 : 0;
        if (as_whole && !as_parts) { /* a time of a Timestamp is only looked at where it is shown */
            print_error("%s\n", parts.err.text);
            fail();
        }
        struct document *d = document_new();
        if (as_whole) {
            assert_true(document_read(d, buf_str(&whole.said), NULL, NULL, &whole.err));
        }
        document_free(d);
    }
    assert_true(good > 1000);
    bench_done(&whole);
    bench_done(&parts);
}

/* Which message of the file a frame means. */
static void test_the_message_of_a_frame(void **state)
{
    (void) state;
    struct bench b;
    const struct format *f = format_of(FORMAT_PROTOBUF);
    const struct {
        struct framed framed;
        const char *name; /* or the fault */
    } cases[] = {
        {{.index_count = 0}, "p.A"},
        {{.indexes = {1}, .index_count = 1}, "p.B"},
        {{.indexes = {1, 0}, .index_count = 2}, "p.B.C"},
        {{.message = STR_LIT("p.B.C")}, "p.B.C"},
        {{.message = STR_LIT("B")}, "p.B"},
        {{.indexes = {2}, .index_count = 1},
         "its schema has no message at the place 2, counted from 0"},
        {{.indexes = {1, 1}, .index_count = 2},
         "its schema has no message at the place 1.1, counted from 0"},
        {{.message = STR_LIT("D")}, "its schema has no message 'D'"},
    };

    bench_init(&b, PROTO3 "package p; message A {} message B { message C {} }", "");
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const struct shape *found = f->pick(b.schema, &cases[i].framed, &b.err);
        if (found != NULL) {
            assert_true(str_eq_z(found->name, cases[i].name));
        } else {
            assert_string_equal(b.err.text, cases[i].name);
            assert_string_equal(b.err.sqlstate, "22P03");
        }
    }
    bench_done(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_scalars),
        cmocka_unit_test(test_null_and_the_last_one),
        cmocka_unit_test(test_messages_in_pieces_are_one),
        cmocka_unit_test(test_each_piece_is_whole),
        cmocka_unit_test(test_too_much_in_pieces),
        cmocka_unit_test(test_oneof),
        cmocka_unit_test(test_repeated),
        cmocka_unit_test(test_maps),
        cmocka_unit_test(test_columns_and_paths),
        cmocka_unit_test(test_unknown_fields),
        cmocka_unit_test(test_strings_that_are_not_utf8),
        cmocka_unit_test(test_depth),
        cmocka_unit_test(test_times),
        cmocka_unit_test(test_numbers_that_are_messages),
        cmocka_unit_test(test_dynamic),
        cmocka_unit_test(test_too_much_json),
        cmocka_unit_test(test_too_much_packed),
        cmocka_unit_test(test_many_symbols),
        cmocka_unit_test(test_a_long_decimal_is_odd),
        cmocka_unit_test(test_a_large_oneof),
        cmocka_unit_test(test_many_plans),
        cmocka_unit_test(test_random_bytes),
        cmocka_unit_test(test_the_message_of_a_frame),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
