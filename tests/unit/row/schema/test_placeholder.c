/* placeholder.c: every form of the text that stands for a value that the source does not have; and
 * what it is made with, md5.c and base64_add. */
#include "row/schema/placeholder.h"

#include "row/kit.h"
#include "row/text/base64.h"
#include "row/text/hex.h"
#include "row/text/md5.h"

#define DEBEZIUM "__debezium_unavailable_value"
#define DEBEZIUM_64 "X19kZWJleml1bV91bmF2YWlsYWJsZV92YWx1ZQ=="
#define DEBEZIUM_HEX "5f5f646562657a69756d5f756e617661696c61626c655f76616c7565"
#define DEBEZIUM_UUID "b68a35a7-17ad-35b3-af2a-ae46edb4545a"

#define TOAST "__toast__"
#define TOAST_64 "X190b2FzdF9f"
#define TOAST_HEX "5f5f746f6173745f5f"
#define TOAST_UUID "1336d5b8-1168-3205-a644-df61db0a6a22"

static bool is_cell(const char *placeholder, enum cell_kind kind, struct str text)
{
    struct placeholder *p = placeholder_new(placeholder);
    struct cell c = {.kind = kind, .text = text};
    struct buf plain = {0};
    bool is = placeholder_is(p, &c, &plain);

    buf_done(&plain);
    assert_null(placeholder_free(p));
    return is;
}

static void expect(const char *placeholder, enum cell_kind kind, const char *text, bool want)
{
    if (is_cell(placeholder, kind, str_of(text)) != want) {
        print_error("'%s' %s '%s'\n", text, want ? "is not" : "is", placeholder);
        fail();
    }
}

/* The texts, up to NULL, are all forms of it, or none is. */
static void expect_all(const char *placeholder, enum cell_kind kind, const char *const *texts,
                       bool want)
{
    for (; *texts != NULL; texts++) {
        expect(placeholder, kind, *texts, want);
    }
}

static void test_strings(void **state)
{
    static const char *const debezium[] = {
        DEBEZIUM, DEBEZIUM_64, DEBEZIUM_HEX, DEBEZIUM_UUID, "{\"" DEBEZIUM "\":\"" DEBEZIUM "\"}",
        NULL,
    };
    static const char *const toast[] = {
        TOAST, TOAST_64, TOAST_HEX, TOAST_UUID, "{\"" TOAST "\":\"" TOAST "\"}", NULL,
    };
    static const char *const others[] = {
        "",
        "__toast_",
        "__toast__ ",
        "__TOAST__",
        "X190b2FzdF9",
        "X190b2FzdF9g",
        "5f5f746f6173745f",
        "5f5f746f6173745f5e",
        "1336d5b8-1168-3205-a644-df61db0a6a23",
        "1336d5b811683205a644df61db0a6a22",
        "{\"__toast__\":\"\"}",
        "[\"__toast__\"]",
        NULL,
    };

    (void) state;
    expect_all(DEBEZIUM, CELL_STRING, debezium, true);
    expect_all(TOAST, CELL_STRING, toast, true);
    expect_all(DEBEZIUM, CELL_STRING, toast, false);
    expect_all(TOAST, CELL_STRING, debezium, false);
    expect_all(TOAST, CELL_STRING, others, false);
}

static void test_both_alphabets(void **state)
{
    (void) state;
    expect("?>~??", CELL_STRING, "Pz5+Pz8=", true);
    expect("?>~??", CELL_STRING, "Pz5-Pz8=", true);
    expect("?>~??", CELL_STRING, "66edfc10-7e04-3925-997a-8f2116a381a4", true);
    expect("?>~??", CELL_STRING, "Pz5/Pz8=", false);
    expect("?>~??", CELL_STRING, "Pz5_Pz8=", false);
}

/* As a binary format has them. */
static void test_bytes(void **state)
{
    (void) state;
    expect(TOAST, CELL_BYTES, TOAST, true);
    expect(TOAST, CELL_BYTES, TOAST_64, false);
    expect(TOAST, CELL_BYTES, "", false);
    assert_true(
        is_cell(TOAST, CELL_BYTES,
                STR_LIT("\x13\x36\xd5\xb8\x11\x68\x32\x05\xa6\x44\xdf\x61\xdb\x0a\x6a\x22")));
    assert_false(
        is_cell(TOAST, CELL_BYTES,
                STR_LIT("\x13\x36\xd5\xb8\x11\x68\x32\x05\xa6\x44\xdf\x61\xdb\x0a\x6a\x23")));
}

static void test_other_kinds(void **state)
{
    static const enum cell_kind kinds[] = {
        CELL_ABSENT, CELL_NULL, CELL_BOOL, CELL_INT, CELL_NUMBER,
    };

    (void) state;
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        expect(TOAST, kinds[i], TOAST, false);
    }
}

static void test_maps(void **state)
{
    static const char *const same[] = {
        "{\"" TOAST "\":\"" TOAST "\"}",
        "{ \"" TOAST "\"\t:\n\"" TOAST "\" }",
        "{\"\\u005f_toast__\":\"__toast_\\u005F\"}",
        NULL,
    };
    static const char *const others[] = {
        "{}",
        "{\"a\":\"" TOAST "\"}",
        "{\"" TOAST "\":\"a\"}",
        "{\"" TOAST "\":null}",
        "{\"" TOAST "\":[\"" TOAST "\"]}",
        "{\"" TOAST "\":{\"" TOAST "\":\"" TOAST "\"}}",
        "{\"" TOAST "\":\"" TOAST_64 "\"}",
        "{\"" TOAST "\":\"" TOAST "\",\"a\":1}",
        "{\"" TOAST "\":\"" TOAST "\",\"" TOAST "\":\"" TOAST "\"}",
        NULL,
    };

    (void) state;
    expect_all(TOAST, CELL_JSON, same, true);
    expect_all(TOAST, CELL_JSON, others, false);
    expect(DEBEZIUM, CELL_JSON, "{\"" DEBEZIUM "\": \"" DEBEZIUM "\"}", true);
    expect(DEBEZIUM, CELL_JSON, same[0], false);
}

static void test_arrays_of_texts(void **state)
{
    static const char *const same[] = {
        "[\"" TOAST "\"]",
        "[ \"" TOAST "\"\r\n]",
        "[\"\\u005f_toast__\"]",
        "[\"" TOAST_64 "\"]",
        "[\"" TOAST_HEX "\"]",
        "[\"" TOAST_UUID "\"]",
        "[\"{\\\"" TOAST "\\\":\\\"" TOAST "\\\"}\"]",
        NULL,
    };
    static const char *const others[] = {
        "[]",
        "[ ]",
        "[null]",
        "[true]",
        "[\"\"]",
        "[\"__toast_\"]",
        "[\"" TOAST "\",\"" TOAST "\"]",
        "[\"" TOAST "\",null]",
        "[null,\"" TOAST "\"]",
        "[[\"" TOAST "\"]]",
        "[{\"" TOAST "\":\"" TOAST "\"}]",
        NULL,
    };

    (void) state;
    expect_all(TOAST, CELL_JSON, same, true);
    expect_all(TOAST, CELL_JSON, others, false);
    expect(DEBEZIUM, CELL_JSON, "[\"" DEBEZIUM "\"]", true);
    expect(DEBEZIUM, CELL_JSON, "[\"" DEBEZIUM_64 "\"]", true);
    expect(DEBEZIUM, CELL_JSON, "[\"" DEBEZIUM_UUID "\"]", true);
    expect(DEBEZIUM, CELL_JSON, "[\"" TOAST "\"]", false);
}

static void test_arrays_of_numbers(void **state)
{
    static const char *const same[] = {
        "[95,95,116,111,97,115,116,95,95]",
        "[ 95 , 95,\t116,\n111,97,115,116,95,95 ]",
        "[95.0,95.0,116.0,111.0,97.0,115.0,116.0,95.0,95.0]",
        "[95.00,95,116,111,97,115,116,95,95.0]",
        NULL,
    };
    static const char *const others[] = {
        "[95]",
        "[95,95,116,111,97,115,116,95]",
        "[95,95,116,111,97,115,116,95,95,95]",
        "[95,95,116,111,97,115,116,95,95,0]",
        "[95,95,116,111,97,115,116,95,94]",
        "[96,95,116,111,97,115,116,95,95]",
        "[-95,95,116,111,97,115,116,95,95]",
        "[351,95,116,111,97,115,116,95,95]",
        "[95.5,95,116,111,97,115,116,95,95]",
        "[9.5,95,116,111,97,115,116,95,95]",
        "[95.01,95,116,111,97,115,116,95,95]",
        "[95e0,95,116,111,97,115,116,95,95]",
        "[95,\"95\",116,111,97,115,116,95,95]",
        "[95,null,116,111,97,115,116,95,95]",
        "[[95,95,116,111,97,115,116,95,95]]",
        "[95,95,116,111,97,115,116,95,[95]]",
        NULL,
    };

    (void) state;
    expect_all(TOAST, CELL_JSON, same, true);
    expect_all(TOAST, CELL_JSON, others, false);
    expect(DEBEZIUM, CELL_JSON,
           "[95,95,100,101,98,101,122,105,117,109,95,117,110,97,118,97,105,108,97,98,108,101,95,"
           "118,97,108,117,101]",
           true);
    expect(DEBEZIUM, CELL_JSON, same[0], false);
    expect("\xC3\xA9", CELL_JSON, "[195,169]", true);
    expect("\xC3\xA9", CELL_JSON, "[-61,-87]", false);
}

/* ["__toast__"] with that many bytes, most of them spaces. */
static bool is_wide(size_t n)
{
    struct buf text = {0};

    buf_add_z(&text, "[\"" TOAST "\"");
    buf_fill(&text, ' ', n - text.n - 1);
    buf_add_z(&text, "]");
    assert_int_equal(text.n, n);
    bool is = is_cell(TOAST, CELL_JSON, buf_str(&text));
    buf_done(&text);
    return is;
}

/* 64 bytes, and 16 for each of the placeholder's: longer texts are not looked at. */
static void test_long_texts(void **state)
{
    (void) state;
    assert_true(is_wide(64 + 16 * strlen(TOAST)));
    assert_false(is_wide(64 + 16 * strlen(TOAST) + 1));
}

static void test_free_nothing(void **state)
{
    (void) state;
    assert_null(placeholder_free(NULL));
}

static void expect_md5(struct str text, const char *want)
{
    uint8_t digest[MD5_BYTES];
    struct buf digits = {0};

    md5(text, digest);
    hex_add(&digits, digest, sizeof digest);
    kit_assert_text(buf_cstr(&digits), want);
    buf_done(&digits);
}

/* RFC 1321, A.5. */
static void test_md5_vectors(void **state)
{
    (void) state;
    expect_md5(STR_LIT(""), "d41d8cd98f00b204e9800998ecf8427e");
    expect_md5(STR_LIT("a"), "0cc175b9c0f1b6a831c399e269772661");
    expect_md5(STR_LIT("abc"), "900150983cd24fb0d6963f7d28e17f72");
    expect_md5(STR_LIT("message digest"), "f96b697d7cb7938d525a2f31aaf161d0");
    expect_md5(STR_LIT("abcdefghijklmnopqrstuvwxyz"), "c3fcd3d76192e4007dfb496cca67e13b");
    expect_md5(STR_LIT("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"),
               "d174ab98d277d9f5a5611c2c9f419d9f");
    expect_md5(STR_LIT("12345678901234567890123456789012345678901234567890123456789012345678901234"
                       "567890"),
               "57edf4a22be3c955ac49da2e2107b67a");
}

/* Around the ends of blocks, where the length goes into the same block or into the next. */
static void test_md5_blocks(void **state)
{
    static const struct {
        size_t n;
        const char *want;
    } cases[] = {
        {55, "ef1772b6dff9a122358552954ad0df65"},  {56, "3b0c8ac703f828b04c6c197006d17218"},
        {63, "b06521f39153d618550606be297466d5"},  {64, "014842d480b571495a4a0363793f7367"},
        {65, "c743a45e0d2e6a95cb859adae0248435"},  {119, "8a7bd0732ed6a28ce75f6dabc90e1613"},
        {120, "5f61c0ccad4cac44c75ff505e1f1e537"}, {128, "e510683b3f5ffe4093d021808bc6ff70"},
    };
    char text[128];

    (void) state;
    memset(text, 'a', sizeof text);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        expect_md5((struct str){.p = text, .n = cases[i].n}, cases[i].want);
    }
}

static void expect_base64(struct str bytes, enum base64_alphabet alphabet, const char *want)
{
    struct buf text = {0};
    uint8_t back[64];
    size_t n;

    buf_add_z(&text, "<");
    base64_add(&text, bytes, alphabet);
    kit_assert_text(buf_cstr(&text) + 1, want);
    assert_int_equal(text.p[0], '<');
    assert_true(base64_decode(str_of(want), back, &n));
    assert_int_equal(n, bytes.n);
    assert_memory_equal(back, bytes.p, n);
    buf_done(&text);
}

/* RFC 4648, section 10; and the characters in which the alphabets differ. */
static void test_base64(void **state)
{
    (void) state;
    expect_base64(STR_LIT(""), BASE64_STANDARD, "");
    expect_base64(STR_LIT("f"), BASE64_STANDARD, "Zg==");
    expect_base64(STR_LIT("fo"), BASE64_STANDARD, "Zm8=");
    expect_base64(STR_LIT("foo"), BASE64_STANDARD, "Zm9v");
    expect_base64(STR_LIT("foob"), BASE64_URL_SAFE, "Zm9vYg==");
    expect_base64(STR_LIT("fooba"), BASE64_URL_SAFE, "Zm9vYmE=");
    expect_base64(STR_LIT("foobar"), BASE64_URL_SAFE, "Zm9vYmFy");
    expect_base64(STR_LIT("\xFB\xFF\xBF\x00"), BASE64_STANDARD, "+/+/AA==");
    expect_base64(STR_LIT("\xFB\xFF\xBF\x00"), BASE64_URL_SAFE, "-_-_AA==");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_strings),
        cmocka_unit_test(test_both_alphabets),
        cmocka_unit_test(test_bytes),
        cmocka_unit_test(test_other_kinds),
        cmocka_unit_test(test_maps),
        cmocka_unit_test(test_arrays_of_texts),
        cmocka_unit_test(test_arrays_of_numbers),
        cmocka_unit_test(test_long_texts),
        cmocka_unit_test(test_free_nothing),
        cmocka_unit_test(test_md5_vectors),
        cmocka_unit_test(test_md5_blocks),
        cmocka_unit_test(test_base64),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
