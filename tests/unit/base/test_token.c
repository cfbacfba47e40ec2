/* What a program has printed that fetches a token. */
#include "unit.h"

#include "base/token.h"

#include <stdio.h>
#include <string.h>

#define NOW INT64_C(1700000000000)
/* {"alg":"none"} . {"sub":"me","nested":{"exp":[1,"}"]},
 * "exp":1700000060} */
#define JWT                                                                                        \
    "eyJhbGciOiJub25lIn0.eyJzdWIiOiJtZSIsIm5lc3RlZCI6eyJleHAiOlsxLCJ9Il19LCJleHAiOjE3MDAwMDAwNjB9."

static void expect(const char *printed, const char *text, const char *principal, int64_t seconds)
{
    struct token t;
    struct error err;

    if (!token_read(str_of(printed), NOW, &t, &err)) {
        fail_msg("%s: %s", printed, err.text);
    }
    assert_string_equal(t.text, text);
    assert_string_equal(t.principal, principal);
    assert_int_equal(t.expires_ms, NOW + seconds * 1000);
    token_done(&t);
}

static void reads_tokens(void **state)
{
    (void) state;
    expect("opaque-token\n", "opaque-token", "unknown", 300);
    expect("  \r\n" JWT "\n", JWT, "me", 60);
    expect("{\"access_token\": \"" JWT "\", \"expires_in\": 10}", JWT, "me", 60);
    expect("{\"token_type\":\"Bearer\",\"expires_in\":10,\"access_token\":\"x.y\"}", "x.y",
           "unknown", 10);
    expect("{\"a\":{\"access_token\":\"no\"},\"expires_in\":\"20\",\"access_token\":\"yes\"}",
           "yes", "unknown", 20);
    expect("{\"access_token\":\"x\"}", "x", "unknown", 300);
    expect("a.!.c", "a.!.c", "unknown", 300);
}

static void refuse(const char *printed, const char *text)
{
    struct token t;
    struct error err;

    assert_false(token_read(str_of(printed), NOW, &t, &err));
    if (strstr(err.text, text) == NULL) {
        fail_msg("%s: %s", printed, err.text);
    }
}

static void refuses_what_is_no_token(void **state)
{
    (void) state;
    refuse(" \n", "printed nothing");
    refuse("two words", "neither one token nor JSON");
    refuse("\"quoted\"", "neither one token nor JSON");
    refuse("{", "no \"access_token\"");
    refuse("{\"access_token\"", "no \"access_token\"");
    refuse("{\"access_token\": 5}", "no \"access_token\"");
    refuse("{\"access_token\": \"a b\"}", "no \"access_token\"");
    refuse("{\"access_token\": \"unended", "no \"access_token\"");
    refuse("{\"x\": [[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[", "no \"access_token\"");
    refuse("{\"access_token\": \"x\", \"expires_in\": 0}", "expired 0 s ago");
    refuse("h.eyJleHAiOjE2OTk5OTk5NDB9.s", "expired 60 s ago");
}

static void line(const char *text, const char *expected)
{
    char out[64];

    token_last_line(str_of(text), out, sizeof out);
    assert_string_equal(out, expected);
}

static void makes_a_line_fit_for_a_message(void **state)
{
    (void) state;
    line("", "");
    line("first\nlast\n\n", "last");
    line("a\tb\x01"
         "c\xc3\xa4",
         "a?b?c??");
    line("curl: (22) error: 401", "curl: (22) error: 401");
    line("client_secret=abc", "client_secret=***");
    line("password: hunter2 no", "password: *** no");
    line("token expired", "token expired");
    line("\"secret\": \"abc\"", "\"secret\": \"***\"");
    line("password: hunter22", "password: ***");
    line("Bearer " JWT, "Bearer ***");
    line("password=p@ss!word", "password=***");
    line("client_secret=abc/defgh rest", "client_secret=*** rest");
    line("password=@abc", "password=***");
    line("passwd = \"two words\", next", "passwd = \"***\", next");
    line("{\"password\":\"a\\\"b c\"}", "{\"password\":\"***\"}");
    line("Authorization: Bearer a.b!c no", "Authorization: *** no");
    line("authorization: basic dXNlcg== no", "authorization: *** no");
    line("api_key: ab!cd", "api_key: ***");
    line("the key is lost", "the key is lost");
    line("token expired: yes", "token expired: yes");
    line("got abcD/efGH/1jkl/+nop/qrst== back", "got *** back");
    line("a_very_long_name_of_a_client_secret=ab!c", "******");
    line("/usr/bin/some/path/that/is/long: no", "/usr/bin/some/path/that/is/long: no");
    line("it is a long line of many words, which is longer than what fits in there",
         "it is a long line of many words, which is longer than what f");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_tokens),
        cmocka_unit_test(refuses_what_is_no_token),
        cmocka_unit_test(makes_a_line_fit_for_a_message),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
