/* framing.c: which schema a record names, where the value begins, and what is said of other bytes.
 */
#include "row/format/framing.h"

#include "row/kit.h"

#define BYTES(lit) STR_LIT(lit)
#define GUID "\x4c\x85\x53\xa0\x11\x22\x33\x44\x55\x66\x77\x88\x99\xaa\xbb\xcc"

static struct framed framed;
static struct error fault;

struct headers {
    struct message_header of[4];
    size_t count;
};

static bool reads_with(enum framing_id id, bool has_message, bool of_key, struct str bytes,
                       const struct headers *h)
{
    const struct framing f = {.id = id, .has_message = has_message, .is_binary = true};
    const struct message msg = {
        .key = of_key ? bytes : (struct str){0},
        .value = of_key ? (struct str){0} : bytes,
        .headers = h != NULL ? h->of : NULL,
        .header_count = h != NULL ? h->count : 0,
    };

    fault = (struct error){0};
    return framing_read(&f, &msg, of_key, &framed, &fault);
}

static bool reads(enum framing_id id, struct str bytes)
{
    return reads_with(id, false, false, bytes, NULL);
}

static void expect_id(enum schema_ref_kind kind, int64_t id, struct str payload)
{
    assert_int_equal(framed.ref.kind, kind);
    assert_int_equal(framed.ref.id, id);
    assert_true(str_eq(framed.payload, payload));
}

static void expect_guid(struct str payload)
{
    assert_int_equal(framed.ref.kind, SCHEMA_REF_GUID);
    assert_memory_equal(framed.ref.guid, GUID, 16);
    assert_int_equal(framed.ref.id, 0);
    assert_true(str_eq(framed.payload, payload));
}

static void expect_fault(const char *text, const char *hint)
{
    assert_int_equal(fault.class, ERROR_RECORD);
    assert_string_equal(fault.sqlstate, "22P03");
    assert_non_null(strstr(fault.text, text));
    if (hint == NULL) {
        assert_string_equal(fault.hint, "");
    } else {
        assert_non_null(strstr(fault.hint, hint));
    }
}

static struct headers one(const char *name, struct str value)
{
    return (struct headers){.of = {{.name = str_of(name), .value = value}}, .count = 1};
}

static void test_names(void **state)
{
    (void) state;
    assert_string_equal(framing_name(FRAMING_AUTO), "auto");
    for (int id = 0; id < FRAMING_COUNT; id++) {
        assert_non_null(framing_name((enum framing_id) id));
    }
}

static void test_prefix_of_an_id(void **state)
{
    (void) state;
    for (int id = FRAMING_AUTO; id <= FRAMING_CONFLUENT; id++) {
        assert_true(reads((enum framing_id) id, BYTES("\0\0\0\0\x0cxyz")));
        expect_id(SCHEMA_REF_ID, 12, STR_LIT("xyz"));
        assert_int_equal(framed.index_count, 0);
        assert_true(reads((enum framing_id) id, BYTES("\0\0\0\1\0")));
        expect_id(SCHEMA_REF_ID, 256, STR_LIT(""));
    }
    assert_true(reads(FRAMING_APICURIO, BYTES("\0\0\0\0\x0cxyz")));
    expect_id(SCHEMA_REF_CONTENT, 12, STR_LIT("xyz"));
    assert_true(reads(FRAMING_APICURIO8, BYTES("\0\0\0\0\1\0\0\0\x0cxyz")));
    expect_id(SCHEMA_REF_GLOBAL, (INT64_C(1) << 32) + 12, STR_LIT("xyz"));
    assert_true(reads(FRAMING_AUTO, BYTES("\0\xff\xff\xff\xfe")));
    expect_id(SCHEMA_REF_ID, -2, STR_LIT(""));
}

static void test_prefix_of_a_guid(void **state)
{
    (void) state;
    assert_true(reads(FRAMING_AUTO, BYTES("\1" GUID "abc")));
    expect_guid(STR_LIT("abc"));
    assert_true(reads(FRAMING_CONFLUENT, BYTES("\1" GUID)));
    expect_guid(STR_LIT(""));
    assert_false(reads(FRAMING_AUTO, BYTES("\1\2\3")));
    expect_fault("begins with 01, but no GUID of 16 bytes follows; its first bytes are 01 02 03: ",
                 "framing: none");
    assert_false(reads(FRAMING_APICURIO, BYTES("\1" GUID)));
    expect_fault("does not begin with the id of a schema", "framing: none");
}

static void test_nothing_is_framed_in_nothing(void **state)
{
    (void) state;
    const struct headers h = one("__value_schema_id", BYTES("\1" GUID));
    for (int id = 0; id < FRAMING_COUNT; id++) {
        assert_true(reads_with((enum framing_id) id, true, false, (struct str){0}, &h));
        assert_int_equal(framed.ref.kind, SCHEMA_REF_NONE);
        assert_null(framed.payload.p);
    }
    assert_true(reads(FRAMING_NONE, BYTES("\0\0\0\0\1x")));
    expect_id(SCHEMA_REF_NONE, 0, BYTES("\0\0\0\0\1x"));
    assert_true(reads(FRAMING_NONE, STR_LIT("")));
    expect_id(SCHEMA_REF_NONE, 0, STR_LIT(""));
}

static void test_header_of_confluent(void **state)
{
    (void) state;
    struct headers h = one("__value_schema_id", BYTES("\1" GUID));
    /* What follows begins with 00 and five more bytes: with the header it is no prefix. */
    assert_true(reads_with(FRAMING_AUTO, false, false, BYTES("\0\2\2\6Ada"), &h));
    expect_guid(BYTES("\0\2\2\6Ada"));
    assert_true(reads_with(FRAMING_CONFLUENT, false, false, STR_LIT(""), &h));
    expect_guid(STR_LIT(""));
    h = one("__value_schema_id", BYTES("\0\0\0\0\7"));
    assert_true(reads_with(FRAMING_AUTO, false, false, STR_LIT("abc"), &h));
    expect_id(SCHEMA_REF_ID, 7, STR_LIT("abc"));
    /* The key has a header of its own. */
    assert_false(reads_with(FRAMING_AUTO, false, true, STR_LIT("abc"), &h));
    expect_fault("the key does not begin with the id of a schema; its first bytes are 61 62 63: "
                 "they look like text",
                 "key_format: text");
    h = one("__key_schema_id", BYTES("\0\0\0\0\7"));
    assert_true(reads_with(FRAMING_AUTO, false, true, STR_LIT("abc"), &h));
    expect_id(SCHEMA_REF_ID, 7, STR_LIT("abc"));
}

static void test_the_last_header_wins(void **state)
{
    (void) state;
    struct headers h = {
        .of = {{STR_LIT("__value_schema_id"), BYTES("\0\0\0\0\7")},
               {STR_LIT("__value_schema_id"), BYTES("\0\0\0\0\x8")},
               {STR_LIT("other"), BYTES("\0\0\0\0\x9")}},
        .count = 3,
    };
    assert_true(reads_with(FRAMING_AUTO, false, false, STR_LIT("abc"), &h));
    expect_id(SCHEMA_REF_ID, 8, STR_LIT("abc"));
    /* One whose value is null is none. */
    h.of[1].value = (struct str){0};
    assert_true(reads_with(FRAMING_AUTO, false, false, BYTES("\0\0\0\0\x05xyz"), &h));
    expect_id(SCHEMA_REF_ID, 5, STR_LIT("xyz"));
}

static void test_headers_of_apicurio(void **state)
{
    (void) state;
    static const enum framing_id ids[] = {FRAMING_AUTO, FRAMING_APICURIO, FRAMING_APICURIO8};
    for (size_t i = 0; i < ARRAY_LEN(ids); i++) {
        struct headers h = one("apicurio.value.globalId", BYTES("\0\0\0\0\0\0\0\x2a"));
        assert_true(reads_with(ids[i], false, false, BYTES("\0\2\2\6Ada"), &h));
        expect_id(SCHEMA_REF_GLOBAL, 42, BYTES("\0\2\2\6Ada"));
        h = one("apicurio.value.contentId", BYTES("\0\0\0\0\0\0\0\x2b"));
        assert_true(reads_with(ids[i], false, false, STR_LIT("abc"), &h));
        expect_id(SCHEMA_REF_CONTENT, 43, STR_LIT("abc"));
        h = one("apicurio.key.globalId", BYTES("\0\0\0\0\0\0\0\x2c"));
        assert_true(reads_with(ids[i], false, true, STR_LIT("abc"), &h));
        expect_id(SCHEMA_REF_GLOBAL, 44, STR_LIT("abc"));
    }
    /* Confluent's counts first. */
    const struct headers both = {
        .of = {{STR_LIT("__value_schema_id"), BYTES("\0\0\0\0\7")},
               {STR_LIT("apicurio.value.globalId"), BYTES("\0\0\0\0\0\0\0\x2a")}},
        .count = 2,
    };
    assert_true(reads_with(FRAMING_AUTO, false, false, STR_LIT("abc"), &both));
    expect_id(SCHEMA_REF_ID, 7, STR_LIT("abc"));
    assert_true(reads_with(FRAMING_APICURIO, false, false, STR_LIT("abc"), &both));
    expect_id(SCHEMA_REF_GLOBAL, 42, STR_LIT("abc"));
}

static void test_headers_that_are_odd(void **state)
{
    (void) state;
    struct headers h = one("__value_schema_id", BYTES("\1\2\3"));
    assert_false(reads_with(FRAMING_AUTO, false, false, STR_LIT("abc"), &h));
    expect_fault("the header __value_schema_id is neither 00 and an id nor 01 and a GUID: 01 02 03",
                 NULL);
    h = one("__value_schema_id", BYTES("\0\2\3"));
    assert_false(reads_with(FRAMING_AUTO, false, false, STR_LIT("abc"), &h));
    h = one("__value_schema_id", BYTES("\2" GUID));
    assert_false(reads_with(FRAMING_AUTO, false, false, STR_LIT("abc"), &h));
    expect_fault("nor 01 and a GUID: 02 4c 85 53 a0 11 22 33 ...", NULL);
    h = one("__value_schema_id", STR_LIT(""));
    assert_false(reads_with(FRAMING_AUTO, false, false, STR_LIT("abc"), &h));
    expect_fault("a GUID: it is empty", NULL);
    h = one("__value_schema_id", BYTES("\0\0\0\0\7\2"));
    assert_false(reads_with(FRAMING_AUTO, false, false, STR_LIT("abc"), &h));
    expect_fault("has more bytes than it needs: 00 00 00 00 07 02", NULL);
    h = one("apicurio.value.globalId", BYTES("\0\0\0\7"));
    assert_false(reads_with(FRAMING_AUTO, false, false, STR_LIT("abc"), &h));
    expect_fault("the header apicurio.value.globalId has not eight bytes: 00 00 00 07", NULL);
}

static void test_json_of_avro(void **state)
{
    (void) state;
    struct headers h = {
        .of = {{STR_LIT("apicurio.value.globalId"), BYTES("\0\0\0\0\0\0\0\x2a")},
               {STR_LIT("apicurio.value.encoding"), STR_LIT("JSON")}},
        .count = 2,
    };
    const struct framing json = {.id = FRAMING_AUTO};
    const struct message msg = {.value = STR_LIT("{}"), .headers = h.of, .header_count = h.count};

    assert_false(reads_with(FRAMING_AUTO, false, false, STR_LIT("{}"), &h));
    expect_fault("Avro's JSON, as the header apicurio.value.encoding says", "BINARY");
    assert_true(framing_read(&json, &msg, false, &framed, &fault));
    h.of[1].value = STR_LIT("BINARY");
    assert_true(reads_with(FRAMING_AUTO, false, false, STR_LIT("{}"), &h));
}

static bool reads_message(enum framing_id id, struct str bytes)
{
    return reads_with(id, true, false, bytes, NULL);
}

static void expect_indexes(size_t n, uint32_t first, uint32_t second, struct str payload)
{
    assert_int_equal(framed.index_count, n);
    assert_int_equal(framed.indexes[0], first);
    assert_int_equal(n < 2 ? 0 : framed.indexes[1], second);
    assert_null(framed.message.p);
    assert_true(str_eq(framed.payload, payload));
}

static void test_message_indexes(void **state)
{
    (void) state;
    static const enum framing_id ids[] = {FRAMING_AUTO, FRAMING_CONFLUENT, FRAMING_APICURIO};
    for (size_t i = 0; i < ARRAY_LEN(ids); i++) {
        assert_true(reads_message(ids[i], BYTES("\0\0\0\0\7\0abc")));
        expect_indexes(1, 0, 0, STR_LIT("abc"));
        assert_true(reads_message(ids[i], BYTES("\0\0\0\0\7\2\2abc")));
        expect_indexes(1, 1, 0, STR_LIT("abc"));
        assert_true(reads_message(ids[i], BYTES("\0\0\0\0\7\4\2\0abc")));
        expect_indexes(2, 1, 0, STR_LIT("abc"));
        assert_true(reads_message(ids[i], BYTES("\0\0\0\0\7\4\4\xac\2abc")));
        expect_indexes(2, 2, 150, STR_LIT("abc"));
        assert_true(reads_message(ids[i], BYTES("\0\0\0\0\7\0")));
        expect_indexes(1, 0, 0, STR_LIT(""));
    }
    assert_true(reads_message(FRAMING_AUTO, BYTES("\1" GUID "\2\2abc")));
    expect_indexes(1, 1, 0, STR_LIT("abc"));
    assert_true(reads_message(FRAMING_APICURIO8, BYTES("\0\0\0\0\0\0\0\0\7\2\2abc")));
    expect_indexes(1, 1, 0, STR_LIT("abc"));
    assert_true(reads_message(FRAMING_NONE, STR_LIT("abc")));
    expect_indexes(0, 0, 0, STR_LIT("abc"));
}

static void test_message_indexes_in_the_header(void **state)
{
    (void) state;
    struct headers h = one("__value_schema_id", BYTES("\1" GUID "\2\2"));
    assert_true(reads_with(FRAMING_AUTO, true, false, BYTES("\0abc"), &h));
    expect_indexes(1, 1, 0, BYTES("\0abc"));
    h = one("__value_schema_id", BYTES("\1" GUID "\0"));
    assert_true(reads_with(FRAMING_AUTO, true, false, BYTES("\0abc"), &h));
    expect_indexes(1, 0, 0, BYTES("\0abc"));
    h = one("__value_schema_id", BYTES("\0\0\0\0\7\4\2\0"));
    assert_true(reads_with(FRAMING_AUTO, true, false, STR_LIT("abc"), &h));
    expect_id(SCHEMA_REF_ID, 7, STR_LIT("abc"));
    expect_indexes(2, 1, 0, STR_LIT("abc"));
    h = one("__value_schema_id", BYTES("\1" GUID));
    assert_false(reads_with(FRAMING_AUTO, true, false, BYTES("\0abc"), &h));
    expect_fault("has no message indexes, as Protobuf wants them", NULL);
    h = one("__value_schema_id", BYTES("\1" GUID "\2\2\0"));
    assert_false(reads_with(FRAMING_AUTO, true, false, BYTES("\0abc"), &h));
    expect_fault("has more bytes than it needs", NULL);
}

static void test_message_indexes_that_are_none(void **state)
{
    (void) state;
    const struct str bad[] = {
        STR_LIT(""),                       /* cut */
        STR_LIT("\4\2"),                   /* one of two */
        STR_LIT("\1abc"),                  /* -1; also a plain varint of an old client */
        STR_LIT("\2\1abc"),                /* -1 */
        STR_LIT("\x42"),                   /* 33 */
        STR_LIT("\2\xff\xff\xff\xff\x1f"), /* more than 32 bits */
        STR_LIT("\2\x80\x80\x80\x80\x80\x01"),
        STR_LIT("\2\x80"),
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        char bytes[32] = "\0\0\0\0\7";
        memcpy(bytes + 5, bad[i].p, bad[i].n);
        assert_false(reads_message(FRAMING_AUTO, (struct str){.p = bytes, .n = 5 + bad[i].n}));
        expect_fault("has an id, but after it no message indexes", "framing: none");
    }
}

static void test_name_of_the_message(void **state)
{
    (void) state;
    static const enum framing_id ids[] = {FRAMING_APICURIO, FRAMING_APICURIO8};
    for (size_t i = 0; i < ARRAY_LEN(ids); i++) {
        struct str all = BYTES("\0\0\0\0\0\0\0\0\x07\x07\x0a\x05Orderabc");
        size_t skip = ids[i] == FRAMING_APICURIO ? 4 : 0;
        char bytes[64];
        memcpy(bytes, all.p + skip, all.n - skip);
        bytes[0] = 0;
        assert_true(reads_message(ids[i], (struct str){.p = bytes, .n = all.n - skip}));
        assert_true(str_eq_z(framed.message, "Order"));
        assert_int_equal(framed.index_count, 0);
        assert_true(str_eq_z(framed.payload, "abc"));
    }
    /* Nobody else has it: the same bytes are no indexes. */
    assert_false(reads_message(FRAMING_AUTO, BYTES("\0\0\0\0\x07\x07\x0a\x05Orderabc")));
    struct headers h = {
        .of = {{STR_LIT("apicurio.value.globalId"), BYTES("\0\0\0\0\0\0\0\x2a")},
               {STR_LIT("apicurio.value.protobuf.type"), STR_LIT("Order")}},
        .count = 2,
    };
    assert_true(reads_with(FRAMING_AUTO, true, false, STR_LIT("abc"), &h));
    assert_true(str_eq_z(framed.message, "Order"));
    h.count = 1;
    assert_true(reads_with(FRAMING_AUTO, true, false, STR_LIT("abc"), &h));
    assert_null(framed.message.p);
    assert_int_equal(framed.index_count, 0);
}

static void test_what_is_no_name_of_a_message(void **state)
{
    (void) state;
    const struct str bad[] = {
        STR_LIT("\x07\x0a\x05Ord"),                                  /* cut */
        STR_LIT("\x01\x0a"),                                         /* too short */
        STR_LIT("\x07\x12\x05Order"),                                /* another field */
        STR_LIT("\x07\x0a\x04Order"),                                /* more than the name */
        STR_LIT("\x07\x0a\x05Or-er"), STR_LIT("\x05\x0a\x03\x31ob"), /* begins with a digit */
        STR_LIT("\x03\x0a\x80\x01"),  STR_LIT("\x80"),
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        char bytes[32] = "\0\0\0\0\7";
        memcpy(bytes + 5, bad[i].p, bad[i].n);
        assert_false(reads_message(FRAMING_APICURIO, (struct str){.p = bytes, .n = 5 + bad[i].n}));
        assert_null(framed.message.p);
    }
    assert_true(reads_message(FRAMING_APICURIO, BYTES("\0\0\0\0\7\x06\x0a\x04shop")));
    assert_true(str_eq_z(framed.message, "shop"));
    assert_true(reads_message(FRAMING_APICURIO, BYTES("\0\0\0\0\7\x08\x0a\x06_a.B_1")));
    assert_true(str_eq_z(framed.message, "_a.B_1"));
}

struct likely {
    struct str bytes;
    const char *text;
    const char *hint;
};

static void test_what_the_bytes_look_like(void **state)
{
    (void) state;
    const struct likely all[] = {
        {STR_LIT("{\"id\": 1}"),
         "does not begin with the id of a schema; its first bytes are "
         "7b 22 69 64 22 3a 20 31 ...: they look like JSON",
         "format: json"},
        {STR_LIT(" [1]"), "20 5b 31 5d: they look like JSON", "key_format: json"},
        {STR_LIT("\"x\""), "they look like JSON", "framing: none"},
        {STR_LIT("order-17"), "6f 72 64 65 72 2d 31 37: they look like text", "format: raw"},
        {STR_LIT("a\tb\r\n"), "they look like text", "format: raw"},
        {STR_LIT("\x03\x00" GUID "abc"), "they look like AWS Glue's framing", "not supported"},
        {STR_LIT("\x03\x05" GUID "abc"), "they look like AWS Glue's framing", "not supported"},
        {STR_LIT("\xc3\x01"
                 "12345678abc"),
         "they look like Avro's single-object encoding", "fingerprint"},
        {STR_LIT("Obj\x01"), "they look like a whole Avro file", "not a file"},
        {STR_LIT("\x02\x02\x06"
                 "Ada"),
         "they look like a value without a schema's id", "framing: none"},
        {STR_LIT("\xff\xfe"), "they look like a value without a schema's id", "framing: none"},
        {STR_LIT("ab\0"), "they look like a value without a schema's id", "framing: none"},
        {STR_LIT("\0\0\0\0\0\0\0\0\7abc"),
         "begins with 00 and the id 0, which no registry gives; its first bytes are 00 00 00 00 00 "
         "00 00 00 ...: they look like an id of eight bytes",
         "framing: apicurio8"},
        {STR_LIT("\0\0\0\0\0a"),
         "which no registry gives; its first bytes are 00 00 00 00 00 61: ", "framing: none"},
        {STR_LIT("\0\0\1"), "begins with 00, but no id of four bytes follows", "framing: none"},
    };
    for (size_t i = 0; i < ARRAY_LEN(all); i++) {
        assert_false(reads(FRAMING_AUTO, all[i].bytes));
        expect_fault(all[i].text, all[i].hint);
    }
    assert_false(reads(FRAMING_AUTO, STR_LIT("")));
    expect_fault("the value is empty, and does not begin with the id of a schema", NULL);
    assert_false(reads(FRAMING_APICURIO8, BYTES("\0\0\0\0\1abc")));
    expect_fault("begins with 00, but no id of eight bytes follows", "framing: none");
}

static void test_headers_of_another_framing(void **state)
{
    (void) state;
    struct headers h = one("apicurio.value.globalId", BYTES("\0\0\0\0\0\0\0\x2a"));
    assert_false(reads_with(FRAMING_CONFLUENT, false, false, STR_LIT("abc"), &h));
    expect_fault("61 62 63: the record has Apicurio's headers", "framing: apicurio, or auto");
    h = one("apicurio.value.contentId", BYTES("\0\0\0\0\0\0\0\x2a"));
    assert_false(reads_with(FRAMING_CONFLUENT, false, false, STR_LIT("abc"), &h));
    expect_fault("the record has Apicurio's headers", "framing: apicurio, or auto");
    h = one("__value_schema_id", BYTES("\1" GUID));
    assert_false(reads_with(FRAMING_APICURIO, false, false, STR_LIT("abc"), &h));
    expect_fault("the record has Confluent's header", "framing: confluent, or auto");
}

/* Whatever bytes come, nothing beyond them is read: a sanitizer sees to that. */
static void test_every_cut(void **state)
{
    (void) state;
    const struct str whole[] = {
        STR_LIT("\0\0\0\0\7\4\2\0"),
        STR_LIT("\1" GUID "\4\2\0"),
        STR_LIT("\0\0\0\0\0\0\0\0\x07\x07\x0a\x05Order"),
        STR_LIT("\0\0\0\0\x07\x07\x0a\x05Order"),
    };
    for (size_t i = 0; i < ARRAY_LEN(whole); i++) {
        for (size_t n = 0; n < whole[i].n; n++) {
            char *exact = malloc(n + (n == 0));
            memcpy(exact, whole[i].p, n);
            for (int id = 0; id < FRAMING_NONE; id++) {
                bool ok = reads_message((enum framing_id) id, (struct str){.p = exact, .n = n});
                assert_true(ok || fault.class == ERROR_RECORD);
                assert_true(!ok || framed.payload.p + framed.payload.n == exact + n);
            }
            free(exact);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_prefix_of_an_id),
        cmocka_unit_test(test_prefix_of_a_guid),
        cmocka_unit_test(test_nothing_is_framed_in_nothing),
        cmocka_unit_test(test_header_of_confluent),
        cmocka_unit_test(test_the_last_header_wins),
        cmocka_unit_test(test_headers_of_apicurio),
        cmocka_unit_test(test_headers_that_are_odd),
        cmocka_unit_test(test_json_of_avro),
        cmocka_unit_test(test_message_indexes),
        cmocka_unit_test(test_message_indexes_in_the_header),
        cmocka_unit_test(test_message_indexes_that_are_none),
        cmocka_unit_test(test_name_of_the_message),
        cmocka_unit_test(test_what_is_no_name_of_a_message),
        cmocka_unit_test(test_what_the_bytes_look_like),
        cmocka_unit_test(test_headers_of_another_framing),
        cmocka_unit_test(test_every_cut),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
