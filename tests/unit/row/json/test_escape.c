/* escape.c: texts as JSON strings. Resolving escapes is tested with documents. */
#include "row/json/escape.h"

#include "row/kit.h"

static void expect(struct str text, const char *want)
{
    _cleanup_buf_ struct buf out = {0};

    escape_quote(&out, text);
    kit_assert_text(buf_cstr(&out), want);
}

static void test_texts_in_quotes(void **state)
{
    (void) state;
    expect(STR_LIT(""), "\"\"");
    expect(STR_LIT("plain"), "\"plain\"");
    expect(STR_LIT("\"a\\b\""), "\"\\\"a\\\\b\\\"\"");
    expect(STR_LIT("\b\t\n\f\r/"), "\"\\b\\t\\n\\f\\r/\"");
    expect(STR_LIT("\0\x01\x0b\x1f \x7f"), "\"\\u0000\\u0001\\u000b\\u001f \x7f\"");
    expect(STR_LIT("\xC3\xA4"), "\"\xC3\xA4\"");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_texts_in_quotes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
