/* protobuf_schema.c and protobuf_file.cc: texts and descriptors of messages into shapes. */
#include "row/schema/protobuf_schema.h"

#include "row/kit.h"
#include "row/text/base64.h"

struct bench {
    const struct schema *schema;
    struct error err;
};

static bool reads_with(struct bench *b, const char *text, const struct schema_part *refs, size_t n)
{
    b->schema = schema_drop(b->schema);
    bool ok = protobuf_schema_read(str_of(text), refs, n, &b->schema, &b->err);

    if (!ok) {
        assert_int_equal(b->err.class, ERROR_SETUP);
    }
    return ok;
}

static void expect_read(struct bench *b, const char *text)
{
    if (!reads_with(b, text, NULL, 0)) {
        print_error("%s\n", b->err.text);
        fail();
    }
}

static void expect_refused(struct bench *b, const char *text, const char *words)
{
    assert_false(reads_with(b, text, NULL, 0));
    if (strstr(b->err.text, words) == NULL) {
        print_error("%s\n", b->err.text);
        fail();
    }
}

static void bench_done(struct bench *b)
{
    b->schema = schema_drop(b->schema);
}

/* The field of the first message. */
static const struct shape_field *field(const struct bench *b, const char *name)
{
    const struct shape_field *f = shape_field_of(schema_root(b->schema, 0), str_of(name));

    if (f == NULL) {
        print_error("no field %s\n", name);
        fail();
    }
    return f;
}

static void test_every_scalar(void **state)
{
    (void) state;
    static const struct {
        const char *type;
        enum shape_kind kind;
        bool is_zigzag;
        bool is_fixed_width;
    } types[] = {
        {"double", SHAPE_DOUBLE, false, true},  {"float", SHAPE_FLOAT, false, true},
        {"int32", SHAPE_INT32, false, false},   {"int64", SHAPE_INT64, false, false},
        {"uint32", SHAPE_UINT32, false, false}, {"uint64", SHAPE_UINT64, false, false},
        {"sint32", SHAPE_INT32, true, false},   {"sint64", SHAPE_INT64, true, false},
        {"fixed32", SHAPE_UINT32, false, true}, {"fixed64", SHAPE_UINT64, false, true},
        {"sfixed32", SHAPE_INT32, false, true}, {"sfixed64", SHAPE_INT64, false, true},
        {"bool", SHAPE_BOOL, false, false},     {"string", SHAPE_STRING, false, false},
        {"bytes", SHAPE_BYTES, false, false},
    };
    struct bench b = {0};

    for (size_t i = 0; i < ARRAY_LEN(types); i++) {
        char text[256];
        snprintf(text, sizeof text, "syntax = \"proto3\"; message M { %s x = 77; %s y = 2; }",
                 types[i].type, types[i].type);
        expect_read(&b, text);
        const struct shape_field *x = field(&b, "x");
        assert_int_equal(x->number, 77);
        assert_false(x->is_optional);
        assert_false(x->is_repeated);
        assert_int_equal(x->oneof, -1);
        assert_int_equal(x->shape->kind, types[i].kind);
        assert_int_equal(x->shape->is_zigzag, types[i].is_zigzag);
        assert_int_equal(x->shape->is_fixed_width, types[i].is_fixed_width);
        assert_ptr_equal(x->shape, field(&b, "y")->shape);
    }
    bench_done(&b);
}

static void test_presence(void **state)
{
    (void) state;
    struct bench b = {0};

    expect_read(&b, "syntax = 'proto3'; package shop;"
                    "message M { int32 a = 1; optional int32 b = 2; M c = 3; repeated int32 d = 4;"
                    "  oneof e { int32 f = 5; string g = 6; } oneof h { int32 i = 7; } }");
    assert_true(str_eq_z(schema_root(b.schema, 0)->name, "shop.M"));
    assert_false(field(&b, "a")->is_optional);
    assert_true(field(&b, "b")->is_optional);
    assert_int_equal(field(&b, "b")->oneof, -1); /* it has one of its own, which is no oneof */
    assert_true(field(&b, "c")->is_optional);
    assert_ptr_equal(field(&b, "c")->shape, schema_root(b.schema, 0));
    assert_true(field(&b, "d")->is_repeated);
    assert_int_equal(field(&b, "d")->shape->kind, SHAPE_ARRAY);
    assert_int_equal(field(&b, "d")->shape->element->kind, SHAPE_INT32);
    assert_int_equal(field(&b, "f")->oneof, 0);
    assert_int_equal(field(&b, "g")->oneof, 0);
    assert_int_equal(field(&b, "i")->oneof, 1);
    assert_true(field(&b, "g")->is_optional);
    bench_done(&b);
}

static void test_proto2(void **state)
{
    (void) state;
    struct bench b = {0};

    expect_read(&b, "message M { optional string a = 1; required int32 b = 2;"
                    "  optional group Pair = 3 { optional int32 x = 1; }"
                    "  repeated group Many = 4 { optional M m = 1; } optional Pair again = 5;"
                    "  extensions 100 to 200; }"
                    "extend M { optional int32 extra = 100; }");
    assert_true(field(&b, "a")->is_optional);
    assert_true(field(&b, "a")->shape->is_loose);
    assert_true(field(&b, "b")->is_optional);
    const struct shape *pair = field(&b, "pair")->shape;
    assert_true(pair->is_group);
    assert_int_equal(pair->field_count, 1);
    assert_true(str_eq_z(pair->name, "M.Pair"));
    assert_false(field(&b, "again")->shape->is_group);
    assert_true(field(&b, "many")->shape->element->is_group);
    assert_null(shape_field_of(schema_root(b.schema, 0), STR_LIT("extra")));
    bench_done(&b);
}

static void test_edition_2023(void **state)
{
    (void) state;
    struct bench b = {0};

    expect_read(
        &b, "// a comment\n/* and\n another * one */ edition = \"2023\";\n"
            "message M { int32 a = 1; int32 b = 2 [features.field_presence = IMPLICIT];"
            "  int32 c = 3 [features.field_presence = LEGACY_REQUIRED]; oneof o { int32 d = 4; }"
            "  repeated int32 e = 5 [features.repeated_field_encoding = EXPANDED];"
            "  map<string, int32> f = 6; string g = 7 [features.utf8_validation = NONE];"
            "  string h = 8; }");
    assert_true(field(&b, "a")->is_optional);
    assert_false(field(&b, "b")->is_optional);
    assert_true(field(&b, "c")->is_optional);
    assert_int_equal(field(&b, "d")->oneof, 0);
    assert_int_equal(field(&b, "a")->oneof, -1);
    assert_true(field(&b, "g")->shape->is_loose);
    assert_false(field(&b, "h")->shape->is_loose);
    expect_read(&b, "edition = '2023'; option features.field_presence = IMPLICIT;"
                    "option features.utf8_validation = NONE; option java_package = 'x';"
                    "message M { int32 a = 1; int32 b = 2 [features.field_presence = EXPLICIT];"
                    "  string c = 3 [features.utf8_validation = VERIFY]; string d = 4; }");
    assert_false(field(&b, "a")->is_optional);
    assert_true(field(&b, "b")->is_optional);
    assert_false(field(&b, "c")->shape->is_loose);
    assert_true(field(&b, "d")->shape->is_loose);
    bench_done(&b);
}

static void test_editions_that_are_not_read(void **state)
{
    (void) state;
    struct bench b = {0};

    expect_refused(&b, "edition = '2024'; message M { int32 a = 1; }", "edition 2024 is not read");
    expect_refused(&b, "edition = '2023'; option features = {field_presence: IMPLICIT};",
                   "write features.field_presence");
    expect_refused(
        &b, "edition = '2023'; message M { M m = 1 [features.message_encoding = DELIMITED]; }",
        "features.message_encoding = DELIMITED is not read");
    expect_refused(&b, "edition = '2023'; enum E { option features.enum_type = CLOSED; A = 1; }",
                   "features.enum_type = CLOSED is not read");
    expect_refused(
        &b, "edition = '2023'; message M { enum E { option features.enum_type = CLOSED; A = 1; } }",
        "CLOSED");
    expect_refused(
        &b, "edition = '2023'; message M { message N { M m = 1 [features.x = DELIMITED]; } }",
        "DELIMITED");
    expect_refused(&b, "edition '2023'; message M {}", "schema, line 1");
    expect_refused(&b, "edition", "schema, line 1");
    expect_refused(&b, "edition = 2023; message M {}", "schema, line 1");
    expect_refused(&b, "edition = '2023", "schema, line 1");
    expect_refused(&b, "/* open", "schema");
    expect_refused(&b, "/", "schema");
    bench_done(&b);
}

static void test_options_of_others_do_not_matter(void **state)
{
    (void) state;
    struct bench b = {0};

    expect_read(&b,
                "syntax = 'proto3'; package shop; import 'confluent/meta.proto';"
                "import 'buf/validate/validate.proto'; import public 'x/options.proto';"
                "option (confluent.file_meta).doc = 'x'; option go_package = 'y';"
                "message M { option (confluent.message_meta) = { doc: 'z' };"
                "  string a = 1 [(confluent.field_meta) = { tags: ['PII'] }, deprecated = true];"
                "  oneof o { option (x.y) = 1; int32 b = 2; }"
                "  reserved 9; }"
                "enum E { option allow_alias = true; option (e) = 1; X = 0 [(v) = 2]; Y = 0; }"
                "service S { rpc Get (M) returns (not.Known); }");
    assert_int_equal(schema_root_count(b.schema), 1);
    assert_int_equal(field(&b, "a")->shape->kind, SHAPE_STRING);
    expect_refused(&b, "syntax = 'proto3'; import 'x.proto'; message M { x.Missing a = 1; }",
                   "\"x.Missing\" is not defined");
    expect_refused(&b, "syntax = 'proto3'; message M { int32 a = 1; int32 a = 2; }",
                   "already defined");
    expect_refused(&b, "syntax = 'proto3';\nmessage M { int32 a; }", "schema, line 2, column 20");
    expect_refused(&b, "syntax = 'proto3'; enum E { A = 0; }", "has no message");
    expect_refused(&b, "", "has no message");
    bench_done(&b);
}

static void test_enums(void **state)
{
    (void) state;
    struct bench b = {0};

    expect_read(&b,
                "syntax = 'proto3'; message M { enum E { option allow_alias = true; A = 0; B = 5;"
                "  C = -1; D = 5; } E e = 1; repeated E f = 2; }");
    const struct shape *e = field(&b, "e")->shape;
    assert_int_equal(e->kind, SHAPE_ENUM);
    assert_int_equal(e->symbol_count, 4);
    assert_true(str_eq_z(e->name, "M.E"));
    assert_true(str_eq_z(e->symbols[1], "B"));
    assert_int_equal(e->numbers[1], 5);
    assert_int_equal(e->numbers[2], -1);
    assert_ptr_equal(field(&b, "f")->shape->element, e);
    bench_done(&b);
}

static void test_maps(void **state)
{
    (void) state;
    struct bench b = {0};

    expect_read(&b,
                "syntax = 'proto3'; message M { map<int64, M> a = 1; map<string, string> b = 2; }");
    const struct shape *a = field(&b, "a")->shape;
    assert_int_equal(a->kind, SHAPE_MAP);
    assert_true(field(&b, "a")->is_repeated);
    assert_int_equal(a->key->kind, SHAPE_INT64);
    assert_ptr_equal(a->element, schema_root(b.schema, 0));
    assert_int_equal(field(&b, "b")->shape->element->kind, SHAPE_STRING);
    bench_done(&b);
}

static const char nested[] =
    "syntax = 'proto3'; package p;"
    "message A { map<string, int32> m = 1; message X { message Y {} } message Z {} }"
    "enum E { N = 0; } message B { message C {} }";

static const struct shape *at2(const struct bench *b, uint32_t first, uint32_t second)
{
    return protobuf_message_at(b->schema, (uint32_t[]){first, second}, 2);
}

static void test_indexes_of_messages(void **state)
{
    (void) state;
    struct bench b = {0};

    expect_read(&b, nested);
    assert_int_equal(schema_root_count(b.schema), 2);
    assert_ptr_equal(protobuf_message_at(b.schema, NULL, 0), schema_root(b.schema, 0));
    assert_ptr_equal(protobuf_message_at(b.schema, (uint32_t[]){1}, 1), schema_root(b.schema, 1));
    assert_true(str_eq_z(at2(&b, 1, 0)->name, "p.B.C"));
    assert_true(str_eq_z(at2(&b, 0, 0)->name, "p.A.X")); /* the map's entry is not counted */
    assert_true(str_eq_z(at2(&b, 0, 1)->name, "p.A.Z"));
    const struct shape *y = protobuf_message_at(b.schema, (uint32_t[]){0, 0, 0}, 3);
    assert_true(str_eq_z(y->name, "p.A.X.Y"));
    assert_null(at2(&b, 0, 2));
    assert_null(at2(&b, 0, UINT32_MAX));
    assert_null(at2(&b, 2, 0));
    assert_null(at2(&b, UINT32_MAX, 0));
    assert_null(protobuf_message_at(b.schema, (uint32_t[]){0, 7, 0}, 3));
    assert_ptr_equal(protobuf_message_named(b.schema, STR_LIT("p.A.X.Y")), y);
    assert_ptr_equal(protobuf_message_named(b.schema, STR_LIT("A")), schema_root(b.schema, 0));
    assert_null(protobuf_message_named(b.schema, STR_LIT("Y")));
    assert_null(protobuf_message_named(b.schema, STR_LIT("")));
    assert_ptr_equal(protobuf_message_named(b.schema, STR_LIT("p.B")), schema_root(b.schema, 1));
    assert_null(protobuf_message_named(b.schema, STR_LIT("p.E")));
    bench_done(&b);
}

/* One length-delimited field of a descriptor. */
static void add_field(struct buf *to, int number, const struct buf *content)
{
    buf_add_u8(to, (uint8_t) (number << 3 | 2));
    buf_add_u8(to, (uint8_t) content->n);
    buf_add_str(to, buf_str(content));
}

static void add_text(struct buf *to, int number, const char *text)
{
    _cleanup_buf_ struct buf b = {0};

    buf_add_z(&b, text);
    add_field(to, number, &b);
}

/* message A { map<string, string> m = 1; message X {} }, of that syntax. */
static char *descriptor(const char *syntax)
{
    _cleanup_buf_ struct buf file = {0};
    _cleanup_buf_ struct buf a = {0};
    _cleanup_buf_ struct buf m = {0};
    _cleanup_buf_ struct buf entry = {0};
    _cleanup_buf_ struct buf key = {0};
    _cleanup_buf_ struct buf value = {0};
    _cleanup_buf_ struct buf x = {0};
    _cleanup_buf_ struct buf text = {0};

    add_text(&key, 1, "key");
    buf_add(&key, "\x18\x01\x20\x01\x28\x09", 6); /* number 1, optional, string */
    add_text(&entry, 1, "MEntry");
    add_field(&entry, 2, &key);
    add_text(&value, 1, "value");
    buf_add(&value, "\x18\x02\x20\x01\x28\x09", 6);
    add_field(&entry, 2, &value);
    add_text(&entry, 7, "\x38\x01"); /* map_entry */
    add_text(&m, 1, "m");
    buf_add(&m, "\x18\x01\x20\x03\x28\x0b", 6);
    add_text(&m, 6, ".A.MEntry");
    add_text(&x, 1, "X");
    add_text(&a, 1, "A");
    add_field(&a, 2, &m);
    add_field(&a, 3, &entry);
    add_field(&a, 3, &x);
    add_text(&file, 1, "orders.proto");
    add_field(&file, 4, &a);
    add_text(&file, 12, syntax);
    buf_add_z(&text, "\n");
    base64_add(&text, buf_str(&file), BASE64_STANDARD);
    buf_add_z(&text, "\n");
    return mem_strdup(buf_cstr(&text));
}

static void test_a_descriptor(void **state)
{
    (void) state;
    struct bench b = {0};
    char *text = descriptor("proto3");

    expect_read(&b, text);
    assert_true(str_eq_z(schema_root(b.schema, 0)->name, "A"));
    assert_int_equal(field(&b, "m")->shape->kind, SHAPE_MAP);
    assert_true(str_eq_z(at2(&b, 0, 1)->name, "A.X")); /* the map's entry is [0, 0] */
    free(text);
    text = descriptor("editions");
    expect_refused(&b, text, "only read as text");
    free(text);
    expect_refused(&b, "AAAA", "schema, line 1"); /* base64, but of no descriptor */
    bench_done(&b);
}

static void test_references(void **state)
{
    (void) state;
    struct bench b = {0};
    const char *main = "syntax = 'proto3'; import 'b.proto'; message M { b.B b = 1; }";
    const struct schema_part refs[] = {
        {STR_LIT("a.proto"), STR_LIT("syntax = 'proto3'; package a; message A { int32 x = 1; }")},
        {STR_LIT("b.proto"), STR_LIT("syntax = 'proto2'; package b; import 'a.proto';"
                                     "message B { optional a.A a = 1; optional string s = 2; }")},
        {STR_LIT("a.proto"), STR_LIT("syntax = 'proto3'; package a; message A { int32 x = 1; }")},
    };
    const struct schema_part circle[] = {
        {STR_LIT("a.proto"),
         STR_LIT("syntax = 'proto3'; import 'b.proto'; message A { B b = 1; }")},
        {STR_LIT("b.proto"),
         STR_LIT("syntax = 'proto3'; import 'a.proto'; message B { A a = 1; }")},
    };
    const struct schema_part bad[] = {{STR_LIT("b.proto"), STR_LIT("no proto")}};

    assert_true(reads_with(&b, main, refs, ARRAY_LEN(refs)));
    assert_int_equal(schema_root_count(b.schema), 1);
    const struct shape *its = field(&b, "b")->shape;
    assert_true(str_eq_z(its->name, "b.B"));
    assert_true(shape_field_of(its, STR_LIT("s"))->shape->is_loose);
    assert_true(str_eq_z(shape_field_of(its, STR_LIT("a"))->shape->name, "a.A"));
    assert_false(
        reads_with(&b, "syntax = 'proto3'; import 'a.proto'; message M { A a = 1; }", circle, 2));
    assert_non_null(strstr(b.err.text, "b.proto"));
    assert_false(reads_with(&b, main, bad, 1));
    assert_non_null(strstr(b.err.text, "b.proto, line 1"));
    bench_done(&b);
}

static void test_imports_that_are_nested_too_deep(void **state)
{
    (void) state;
    struct bench b = {0};
    struct schema_part refs[80];
    char names[80][16];
    char texts[80][64];

    for (int i = 0; i < 80; i++) {
        snprintf(names[i], sizeof names[i], "f%d", i);
        snprintf(texts[i], sizeof texts[i], "syntax = 'proto3'; import 'f%d';", i + 1);
        refs[i] = (struct schema_part){str_of(names[i]), str_of(texts[i])};
    }
    assert_false(reads_with(&b, "syntax = 'proto3'; import 'f0'; message M {}", refs, 80));
    assert_non_null(strstr(b.err.text, "nested deeper than 64 files"));
    bench_done(&b);
}

static void test_well_known_types(void **state)
{
    (void) state;
    static const struct {
        const char *import;
        const char *type;
        enum shape_sense sense;
    } types[] = {
        {"google/protobuf/timestamp.proto", "google.protobuf.Timestamp", SENSE_INSTANT},
        {"google/protobuf/duration.proto", "google.protobuf.Duration", SENSE_DURATION},
        {"google/protobuf/wrappers.proto", "google.protobuf.DoubleValue", SENSE_WRAPPER},
        {"google/protobuf/wrappers.proto", "google.protobuf.BytesValue", SENSE_WRAPPER},
        {"google/protobuf/wrappers.proto", "google.protobuf.StringValue", SENSE_WRAPPER},
        {"google/protobuf/struct.proto", "google.protobuf.Struct", SENSE_DYNAMIC},
        {"google/protobuf/struct.proto", "google.protobuf.Value", SENSE_DYNAMIC},
        {"google/protobuf/struct.proto", "google.protobuf.ListValue", SENSE_DYNAMIC},
        {"google/protobuf/any.proto", "google.protobuf.Any", SENSE_PACKED_ANY},
        {"google/protobuf/empty.proto", "google.protobuf.Empty", SENSE_NONE},
        {"google/protobuf/field_mask.proto", "google.protobuf.FieldMask", SENSE_NONE},
        {"google/type/date.proto", "google.type.Date", SENSE_CALENDAR_DATE},
        {"google/type/timeofday.proto", "google.type.TimeOfDay", SENSE_TIME_OF_DAY},
        {"google/type/decimal.proto", "google.type.Decimal", SENSE_DECIMAL_RECORD},
        {"google/type/calendar_period.proto", "google.type.CalendarPeriod", SENSE_NONE},
        {"google/type/color.proto", "google.type.Color", SENSE_NONE},
        {"google/type/datetime.proto", "google.type.DateTime", SENSE_NONE},
        {"google/type/dayofweek.proto", "google.type.DayOfWeek", SENSE_NONE},
        {"google/type/expr.proto", "google.type.Expr", SENSE_NONE},
        {"google/type/fraction.proto", "google.type.Fraction", SENSE_NONE},
        {"google/type/interval.proto", "google.type.Interval", SENSE_NONE},
        {"google/type/latlng.proto", "google.type.LatLng", SENSE_NONE},
        {"google/type/localized_text.proto", "google.type.LocalizedText", SENSE_NONE},
        {"google/type/money.proto", "google.type.Money", SENSE_NONE},
        {"google/type/month.proto", "google.type.Month", SENSE_NONE},
        {"google/type/phone_number.proto", "google.type.PhoneNumber", SENSE_NONE},
        {"google/type/postal_address.proto", "google.type.PostalAddress", SENSE_NONE},
        {"google/type/quaternion.proto", "google.type.Quaternion", SENSE_NONE},
        {"confluent/type/decimal.proto", "confluent.type.Decimal", SENSE_CONFLUENT_DECIMAL},
        {"confluent/type/variant.proto", "confluent.type.Variant", SENSE_NONE},
    };
    struct bench b = {0};

    for (size_t i = 0; i < ARRAY_LEN(types); i++) {
        char text[256];
        snprintf(text, sizeof text, "syntax = 'proto3'; import '%s'; message M { %s x = 1; }",
                 types[i].import, types[i].type);
        expect_read(&b, text);
        const struct shape *x = field(&b, "x")->shape;
        assert_int_equal(x->sense, types[i].sense);
        assert_true(str_eq_z(x->name, types[i].type));
    }
    expect_read(&b, "syntax = 'proto3'; package google.type; message M { Date d = 1; }"
                    "message Date { string year = 1; }");
    assert_int_equal(field(&b, "d")->shape->sense, SENSE_NONE);
    bench_done(&b);
}

static void test_reserved_ranges_do_not_matter(void **state)
{
    (void) state;
    struct bench b = {0};
    _cleanup_buf_ struct buf text = {0};

    expect_read(&b, "syntax = 'proto2'; message M { reserved 1, 1 to 5; reserved 'a';"
                    " extensions 3 to 7; extensions 6; optional int32 a = 4; optional E e = 6; }"
                    "enum E { reserved 0, 0 to 2; reserved 'ZERO'; ZERO = 0; }");
    assert_int_equal(field(&b, "a")->number, 4);
    assert_true(str_eq_z(field(&b, "e")->shape->symbols[0], "ZERO"));
    buf_add_z(&text, "syntax = 'proto3'; message M { int32 a = 1; reserved 2");
    for (int i = 3; i < 100000; i++) {
        buf_printf(&text, ",%d", i);
    }
    buf_add_z(&text, "; }");
    expect_read(&b, buf_cstr(&text));
    bench_done(&b);
}

static void test_long_names(void **state)
{
    (void) state;
    static const char *const texts[] = {
        "package p%s; message M {}", /* libprotobuf takes fewer bytes of it */
        "message M%s {}",
        "message M { int32 f%s = 1; }",
        "message M { message N%s {} }",
        "message M { oneof o%s { int32 a = 1; } }",
        "message M { enum E%s { Z = 0; } }",
        "message M { enum E { Z%s = 0; } }",
        "message M {} enum E%s { Z = 0; }",
    };
    struct bench b = {0};
    _cleanup_buf_ struct buf rest = {0};
    _cleanup_buf_ struct buf text = {0};

    buf_fill(&rest, 'x', 4090);
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        for (int fits = i > 0 ? 1 : 0; fits >= 0; fits--) {
            buf_clear(&text);
            buf_add_z(&text, "syntax = 'proto3';");
            const char *at = strchr(texts[i], '%');
            buf_add(&text, texts[i], (size_t) (at - texts[i]));
            buf_add_str(&text, buf_str(&rest));
            buf_add_z(&text, fits != 0 ? "" : "xxxxxx");
            buf_add_z(&text, at + 2);
            if (fits != 0) {
                expect_read(&b, buf_cstr(&text));
            } else {
                expect_refused(&b, buf_cstr(&text), "a full name has more than 4096 bytes");
            }
        }
    }
    bench_done(&b);
}

static void test_too_large(void **state)
{
    (void) state;
    struct bench b = {0};
    _cleanup_buf_ struct buf text = {0};

    buf_add_z(&text, "syntax = 'proto3'; message M {");
    for (int i = 1; i <= 110000; i++) {
        buf_printf(&text, "int32 a%d = %d;", i, i < 19000 ? i : i + 1000);
    }
    buf_add_z(&text, "}");
    expect_refused(&b, buf_cstr(&text), "more than 100000 types and fields");
    const struct schema_part ref = {STR_LIT("x"), {.p = text.p == NULL ? "" : "x", .n = 65 << 20}};
    assert_false(reads_with(&b, "message M {}", &ref, 1));
    assert_non_null(strstr(b.err.text, "is too large"));
    bench_done(&b);
}

static void test_through_the_table_of_languages(void **state)
{
    (void) state;
    struct bench b = {0};

    assert_true(protobuf_schema_is_there());
    assert_true(schema_compile(SCHEMA_PROTOBUF, STR_LIT("syntax = 'proto3'; message M {}"), NULL, 0,
                               &b.schema, &b.err));
    assert_int_equal(schema_language(b.schema), SCHEMA_PROTOBUF);
    bench_done(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_scalar),
        cmocka_unit_test(test_presence),
        cmocka_unit_test(test_proto2),
        cmocka_unit_test(test_edition_2023),
        cmocka_unit_test(test_editions_that_are_not_read),
        cmocka_unit_test(test_options_of_others_do_not_matter),
        cmocka_unit_test(test_enums),
        cmocka_unit_test(test_maps),
        cmocka_unit_test(test_indexes_of_messages),
        cmocka_unit_test(test_a_descriptor),
        cmocka_unit_test(test_references),
        cmocka_unit_test(test_imports_that_are_nested_too_deep),
        cmocka_unit_test(test_well_known_types),
        cmocka_unit_test(test_reserved_ranges_do_not_matter),
        cmocka_unit_test(test_long_names),
        cmocka_unit_test(test_too_large),
        cmocka_unit_test(test_through_the_table_of_languages),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
