/* escape.c: no text of others moves the cursor, breaks a line or turns the order of a text. */
#include "command/escape.h"

#include "unit.h"

#include <string.h>

static const char *const TEXTS[][2] = {
    {"plain, \xc3\xa4 \xe2\x82\xac \xf0\x9f\x98\x80",
     "plain, \xc3\xa4 \xe2\x82\xac \xf0\x9f\x98\x80"},
    {"\033]0;x\007\n\x7f", "\\u001b]0;x\\u0007\\n\\u007f"},
    {"\xc2\x9b"
     "2J",
     "\\u009b2J"},
    {"a\xe2\x80\xa8"
     "b\xe2\x80\xae"
     "c",
     "a\\u2028b\\u202ec"},
    {"\xe2\x81\xa6x\xe2\x81\xa9", "\\u2066x\\u2069"},
    {"\xe2\x80\xa7 \xe2\x80\xaf \xe2\x81\xaa \xe2\x80",
     "\xe2\x80\xa7 \xe2\x80\xaf \xe2\x81\xaa \xe2\x80"},
    {"\"\\", "\\\"\\\\"},
};

static void test_texts(void **state)
{
    (void) state;
    for (size_t i = 0; i < ARRAY_LEN(TEXTS); i++) {
        _cleanup_buf_ struct buf out = {0};
        escape_add(&out, (struct str){TEXTS[i][0], strlen(TEXTS[i][0])}, '"');
        assert_string_equal(buf_cstr(&out), TEXTS[i][1]);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_texts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
