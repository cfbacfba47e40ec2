/* guess.c: what bytes look like, and what they do not. */
#include "row/record/guess.h"

#include "row/kit.h"

static const struct message_header REGISTRY_VALUE = {
    .name = {.p = "apicurio.value.globalId", .n = sizeof "apicurio.value.globalId" - 1},
};
static const struct message_header REGISTRY_KEY = {
    .name = {.p = "apicurio.key.encoding", .n = sizeof "apicurio.key.encoding" - 1},
};

static void value_looks(struct str bytes, enum guess want)
{
    struct guesser *g = guesser_new();
    struct message msg = kit_message(NULL, NULL);

    msg.value = bytes;
    assert_int_equal(guess_value(g, &msg), want);
    guesser_free(g);
}

static void key_looks(struct str bytes, enum guess want)
{
    struct guesser *g = guesser_new();
    struct message msg = kit_message(NULL, "{}");

    msg.key = bytes;
    assert_int_equal(guess_key(g, &msg), want);
    guesser_free(g);
}

static void test_plain_values(void **state)
{
    (void) state;
    value_looks((struct str){.p = NULL, .n = 0}, GUESS_NONE);
    value_looks(STR_LIT(""), GUESS_NONE);
    value_looks(STR_LIT("{\"id\": 1}"), GUESS_NONE);
    value_looks(STR_LIT("[1]"), GUESS_NONE);
    value_looks(STR_LIT("\"text\""), GUESS_NONE);
    value_looks(STR_LIT("no JSON,\tbut text: \xc3\xa9\r\n"), GUESS_NONE);
    value_looks(STR_LIT("{\"id\": 1"), GUESS_NONE);
}

static void test_frames(void **state)
{
    (void) state;
    value_looks(STR_LIT("\0\0\0\0\7\2\6abc"), GUESS_CONFLUENT);
    value_looks(STR_LIT("\0\0\0\0\7{\"id\": 1}"), GUESS_CONFLUENT_JSON);
    value_looks(STR_LIT("\0\0\0\0\7[1]"), GUESS_CONFLUENT_JSON);
    value_looks(STR_LIT("\0\377\377\377\377abc"), GUESS_BINARY);
    value_looks(STR_LIT("\0\0\0\0\0\377\377\377\377abc"), GUESS_BINARY);
    value_looks(STR_LIT("{\"a\": \"\33[1m\"}"), GUESS_NONE);
    value_looks(STR_LIT("{\"a\": \"\33\xe9\"}"), GUESS_BINARY);
    value_looks(STR_LIT("\0\0\0\0\0\0\0\0\7\2abc"), GUESS_APICURIO);
    value_looks(STR_LIT("\0\0\0\0\0\0\0\0\0\0"), GUESS_BINARY);
    value_looks(STR_LIT("\0\0\0\0\0"), GUESS_BINARY);
    value_looks(STR_LIT("\0\0\0\0\7"), GUESS_BINARY);
}

static void test_magic_bytes(void **state)
{
    (void) state;
    value_looks(STR_LIT("Obj\1\4\24avro.codec"), GUESS_AVRO_FILE);
    value_looks(STR_LIT("\x1f\x8b\x08\0"), GUESS_GZIP);
    value_looks(STR_LIT("\x28\xb5\x2f\xfd\0"), GUESS_ZSTD);
    value_looks(STR_LIT("\xff\xfe{\0}\0"), GUESS_UTF16);
    value_looks(STR_LIT("\xfe\xff\0{\0}"), GUESS_UTF16);
    value_looks(STR_LIT("\x08\x96\x01\x12\x03"), GUESS_BINARY);
    value_looks(STR_LIT("caf\xe9"), GUESS_BINARY);
    value_looks(STR_LIT("a\x7f"), GUESS_BINARY);
}

static void test_envelopes(void **state)
{
    (void) state;
    value_looks(STR_LIT("{\"schema\": {}, \"payload\": {\"id\": 1}}"), GUESS_CONNECT);
    value_looks(STR_LIT("{\"schema\": null, \"payload\": 5}"), GUESS_CONNECT);
    value_looks(STR_LIT("{\"schema\": {}, \"payload\": {}, \"more\": 1}"), GUESS_NONE);
    value_looks(STR_LIT("{\"payload\": {}}"), GUESS_NONE);
    value_looks(STR_LIT("{\"op\": \"c\", \"after\": {}, \"ts_ms\": 1}"), GUESS_DEBEZIUM);
    value_looks(STR_LIT("{\"op\": \"d\", \"before\": {}}"), GUESS_DEBEZIUM);
    value_looks(STR_LIT("{\"op\": \"c\"}"), GUESS_NONE);
    value_looks(STR_LIT("{\"schema\": {}, \"payload\": {\"op\": \"c\", \"after\": {}}}"),
                GUESS_DEBEZIUM);
    value_looks(STR_LIT("\"{\\\"id\\\": 1}\""), GUESS_JSON_STRING);
    value_looks(STR_LIT(" \" [1] \""), GUESS_JSON_STRING);
}

static void test_keys(void **state)
{
    (void) state;
    key_looks((struct str){.p = NULL, .n = 0}, GUESS_NONE);
    key_looks(STR_LIT("plain"), GUESS_NONE);
    key_looks(STR_LIT("1234"), GUESS_NONE);
    key_looks(STR_LIT("{\"id\": 1}"), GUESS_NONE);
    key_looks(STR_LIT("\"plain\""), GUESS_KEY_QUOTED);
    key_looks(STR_LIT("\0\0\0\7"), GUESS_KEY_INT32);
    key_looks(STR_LIT("\xff\xff\xff\xfe"), GUESS_KEY_INT32);
    key_looks(STR_LIT("\0\0\1\x9a\0\0\0\0"), GUESS_KEY_INT64);
    key_looks(STR_LIT("\0\1\2\3\4\5\6\7\0\1\2\3\4\5\6\7"), GUESS_KEY_UUID);
    key_looks(STR_LIT("\0\0\0\0\7\2abcdef"), GUESS_CONFLUENT);
    key_looks(STR_LIT("\0\0\0\0\7\024ten_letters"), GUESS_CONFLUENT);    /* of 17 bytes, */
    key_looks(STR_LIT("\0\0\0\0\7\022nine_char"), GUESS_CONFLUENT);      /* 15, */
    key_looks(STR_LIT("\0\0\1\206\241\024ten_letter"), GUESS_CONFLUENT); /* and as a UUID has */
    key_looks(STR_LIT("\0\0\0\0\7{\"id\": 12}\n"), GUESS_CONFLUENT_JSON);
    key_looks(STR_LIT("\0\0\0\0\0\0\0\0\7\014abcdef"), GUESS_APICURIO);
    key_looks(STR_LIT("\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1"), GUESS_KEY_UUID);
    key_looks(STR_LIT("\1\2\3"), GUESS_BINARY);
    key_looks(STR_LIT("{\"schema\": {}, \"payload\": {\"id\": 1}}"), GUESS_CONNECT);
}

/* With the headers the schema's id is not in the value; JSON stays JSON. */
static void test_headers_of_a_registry(void **state)
{
    (void) state;
    struct guesser *g = guesser_new();
    struct message msg = kit_message("k", "\x02\x06"
                                          "abc");

    msg.headers = &REGISTRY_VALUE;
    msg.header_count = 1;
    assert_int_equal(guess_value(g, &msg), GUESS_APICURIO);
    msg.value = STR_LIT("{}");
    assert_int_equal(guess_value(g, &msg), GUESS_NONE);
    msg.key = STR_LIT("\0\0\0\7");
    assert_int_equal(guess_key(g, &msg), GUESS_KEY_INT32);
    msg.headers = &REGISTRY_KEY;
    assert_int_equal(guess_key(g, &msg), GUESS_APICURIO);
    guesser_free(g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_plain_values), cmocka_unit_test(test_frames),
        cmocka_unit_test(test_magic_bytes),  cmocka_unit_test(test_envelopes),
        cmocka_unit_test(test_keys),         cmocka_unit_test(test_headers_of_a_registry),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
