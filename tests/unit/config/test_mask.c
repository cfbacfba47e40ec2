/* mask.c: no secret gets through, however it is written. */
#include "config/mask.h"

#include "unit.h"

static void expect_dsn(const char *dsn, const char *want)
{
    _cleanup_buf_ struct buf b = {0};

    mask_dsn(str_of(dsn), &b);
    assert_string_equal(buf_cstr(&b), want);
}

static void expect_property(const char *name, const char *value, const char *want)
{
    _cleanup_buf_ struct buf b = {0};

    mask_property(str_of(name), str_of(value), &b);
    assert_string_equal(buf_cstr(&b), want);
}

static void test_keywords(void **state)
{
    (void) state;
    expect_dsn("", "");
    expect_dsn("  ", "  ");
    expect_dsn("host=db", "host=db");
    expect_dsn("host=db password=hunter2", "host=db password=***");
    expect_dsn("password=hunter2 host=db ", "password=*** host=db ");
    expect_dsn("password = 'hun ter2' host='a b'", "password = *** host='a b'");
    expect_dsn("password='hun\\' ter2' host=x", "password=*** host=x");
    expect_dsn("password=hun\\ ter2 host=x", "password=*** host=x");
    expect_dsn("password=hunter2\\", "password=***");
    expect_dsn("password= host=x", "password= ***");
    expect_dsn("PassWord=hunter2", "PassWord=***");
    expect_dsn("sslpassword=hunter2\tdbname=x", "sslpassword=***\tdbname=x");
    expect_dsn("oauth_client_secret=hunter2", "oauth_client_secret=***");
    expect_dsn("scram_client_key=hunter2", "scram_client_key=***");
    expect_dsn("dbname='postgresql://u:hunter2@h/d'", "dbname=***");
    expect_dsn("passfile=/x user=u", "passfile=/x user=u");
}

static void test_keywords_not_understood(void **state)
{
    (void) state;
    expect_dsn("password='hunter2", "***");
    expect_dsn("password='a'word=hunter2", "***");
    expect_dsn("password hunter2", "***");
    expect_dsn("host=x pass word=hunter2", "***");
    expect_dsn("hunter2", "***");
    expect_dsn("=hunter2", "***");
    expect_dsn("pass-word=hunter2", "***");
    expect_dsn("http://u:hunter2@h", "***");
}

static void test_references(void **state)
{
    (void) state;
    expect_dsn("${DSN}", "${DSN}");
    expect_dsn("${file:a b}", "${file:a b}");
    expect_dsn("${BASE} password=hunter2", "${BASE} password=***");
    expect_dsn("password=${PW} host=h", "password=${PW} host=h");
    expect_dsn("password='${PW}' host=h", "password='${PW}' host=h");
    expect_dsn("password=${file:a b} host=h", "password=${file:a b} host=h");
    expect_dsn("password=${A}${B}", "password=${A}${B}");
    expect_dsn("password=${A}hunter2", "password=***");
    expect_dsn("password=$${A}", "password=***");
    expect_dsn("${A}password=hunter2", "***");
    expect_dsn("${A}=hunter2", "***");
    expect_dsn("postgres://u:${file:/x@y}@h/d", "postgres://u:${file:/x@y}@h/d");
    expect_dsn("postgres://u:$${@hunter2}@h/d", "***");
}

static void test_uri(void **state)
{
    (void) state;
    expect_dsn("postgresql://", "postgresql://");
    expect_dsn("postgresql:///db", "postgresql:///db");
    expect_dsn("postgresql://h1:1,h2:2/db", "postgresql://h1:1,h2:2/db");
    expect_dsn("postgres://user@h/db", "postgres://user@h/db");
    expect_dsn("postgres://user:hunter2@h:5/db", "postgres://user:***@h:5/db");
    expect_dsn("postgres://:hunter2@h", "postgres://:***@h");
    expect_dsn("postgres://u:hunter2?x@h/db", "***");
    expect_dsn("postgres://u:p:hunter2@h", "postgres://u:***@h");
    expect_dsn("postgres://h/db?password=hunter2", "postgres://h/db?password=***");
    expect_dsn("postgres://h?a=b&sslpassword=hunter2&c=d", "postgres://h?a=b&sslpassword=***&c=d");
    expect_dsn("postgres://h?pass%77ord=hunter2", "postgres://h?pass%77ord=***");
    expect_dsn("postgres://h?password=a=hunter2", "postgres://h?password=***");
    expect_dsn("postgres://h?application_name=a@b&x", "***");
    expect_dsn("postgres://h?password=hunter2&x=a@b", "***");
    expect_dsn("postgres://u@h?application_name=a@b&x", "postgres://u@h?application_name=a@b&x");
    expect_dsn("postgres://u:hun@ter2@h/db", "***");
    expect_dsn("postgres://u:hun/ter2@h/db", "***");
    expect_dsn("postgres://h?password=${PW}", "postgres://h?password=${PW}");
}

static void test_properties(void **state)
{
    (void) state;
    expect_property("client.id", "me", "me");
    expect_property("sasl.username", "me", "me");
    expect_property("ssl.key.location", "/k.pem", "/k.pem");
    expect_property("ssl.ca.pem", "public", "public");
    expect_property("sasl.password", "hunter2", "***");
    expect_property("sasl.password", "", "");
    expect_property("ssl.key.password", "hunter2", "***");
    expect_property("ssl.keystore.password", "hunter2", "***");
    expect_property("ssl.key.pem", "hunter2", "***");
    expect_property("ssl_key", "hunter2", "***");
    expect_property("sasl.oauthbearer.config", "hunter2", "***");
    expect_property("sasl.oauthbearer.client.secret", "hunter2", "***");
    expect_property("sasl.oauthbearer.assertion.private.key.passphrase", "hunter2", "***");
    expect_property("sasl.oauthbearer.token.endpoint.url", "https://h/t", "https://h/t");
    expect_property("sasl.oauthbearer.token.endpoint.url", "https://u:hunter2@h/t", "***");
    expect_property("sasl.password", "${PW}", "${PW}");
}

static void expect_urls(const char *urls, const char *want)
{
    _cleanup_buf_ struct buf b = {0};

    mask_urls(str_of(urls), &b);
    assert_string_equal(buf_cstr(&b), want);
}

static void test_urls(void **state)
{
    (void) state;
    expect_urls("https://a:8081, http://b/path", "https://a:8081, http://b/path");
    expect_urls("https://u:hunter2@a:8081,  https://b", "https://u:***@a:8081,  https://b");
    expect_urls("https://u@a/x,https://v:${SECRET}@b", "https://u@a/x,https://v:${SECRET}@b");
    expect_urls("https://u:hun@ter2@a", "***");
    expect_urls("https://u:hun,ter2@a", "***");
    expect_urls("https://a, u:hunter2@b", "***");
    expect_urls("${URL}, https://u:hunter2@b", "${URL}, https://u:***@b");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_keywords),   cmocka_unit_test(test_keywords_not_understood),
        cmocka_unit_test(test_references), cmocka_unit_test(test_uri),
        cmocka_unit_test(test_properties), cmocka_unit_test(test_urls),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
