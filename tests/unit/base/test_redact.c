/* redact.c: pieces of a secret, what may stay, and texts that are full. */
#include "base/redact.h"

#include "unit.h"

#include <string.h>

static void expect_plain(const char *text, const char *secret, const char *const *plain, size_t n,
                         const char *want)
{
    char buf[128];

    assert_true(strlen(text) < sizeof buf);
    memcpy(buf, text, strlen(text) + 1);
    redact(buf, sizeof buf, secret, plain, n);
    assert_string_equal(buf, want);
}

static void expect(const char *text, const char *secret, const char *want)
{
    expect_plain(text, secret, NULL, 0, want);
}

static void test_pieces(void **state)
{
    (void) state;
    expect("", "hunter2", "");
    expect("hunter2", "hunter2", "***");
    expect("no host \"ss w'rd#1\", 5432", "p@ss w'rd#1:/x", "no host \"***\", 5432");
    expect("xhunter2hunter2y", "hunter2", "x******y");
    expect("unte", "hunter2", "***");
    expect("unt", "hunter2", "unt");
    expect("hunter1", "hunter2", "***1");
    expect("aabaabaaX", "abaabaaX", "******");
    expect("pw", "pw", "pw");
    expect("all of it", "", "all of it");
}

static void test_what_may_be_printed(void **state)
{
    (void) state;
    const char *plain[] = {NULL, "pgsinkd", "warehouse"};

    expect_plain("role \"pgsinkd\"", "pgsinkd", plain, 3, "role \"pgsinkd\"");
    expect_plain("role \"pgsinkd-1\"", "pgsinkd-1", plain, 3, "role \"***\"");
    expect_plain("ware", "ware", plain, 3, "ware");
    expect_plain("pgsinkd2", "pgsinkd2", plain, 3, "***");
}

static void test_words_of_sentences(void **state)
{
    (void) state;
    const char *secret = "my-word-4";

    expect("password authentication failed", secret, "password authentication failed");
    expect("Passwords: (sworded), 'reword'.", secret, "Passwords: (sworded), 'reword'.");
    expect("the word", secret, "the ***");
    expect("Sword", "words", "Sword");
    /* A piece that is as long, or all there is, is never a chance. */
    expect("a passwords b", "passwor", "a ***ds b");
    expect("unpasswords", "1password1", "un***s");
    /* What is next to it is not of a sentence: it may be quoted. */
    expect("pass-word", secret, "pass***");
    expect("passWord", "Word1", "pass***");
    expect("password1", secret, "pass***1");
    expect("=password", secret, "=pass***");
    expect("%3dword", secret, "%3d***");
    expect("password-4", secret, "pass***");
    expect("\\nword", secret, "\\n***");
    expect("\xC3\xA4sword", secret, "\xC3\xA4s***");
    expect("word-4xword", secret, "***x***");
}

static void test_characters_stay_whole(void **state)
{
    (void) state;
    /* The last byte of the first character, and the first of the last one, are the secret's too. */
    expect("-\xC3\xA4"
           "bcd\xC3\xA9-",
           "\xE2\x82\xA4"
           "bcd\xC3\xA7",
           "-***-");
}

static void test_full_texts(void **state)
{
    (void) state;
    char text[8] = "abcdefg";

    redact(text, sizeof text, "abcd", NULL, 0);
    assert_string_equal(text, "***efg");
    memcpy(text, "xxxabcd", sizeof text);
    redact(text, sizeof text, "abcd", NULL, 0);
    assert_string_equal(text, "xxx***");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pieces),
        cmocka_unit_test(test_what_may_be_printed),
        cmocka_unit_test(test_words_of_sentences),
        cmocka_unit_test(test_characters_stay_whole),
        cmocka_unit_test(test_full_texts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
