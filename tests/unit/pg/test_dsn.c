/* dsn.c: syntax errors that quote nothing, and the hosts to try one by one. */
#include "pg/dsn.h"

#include "pg/conn.h"

#include "unit.h"

static void test_syntax(void **state)
{
    (void) state;
    static const char *const good[] = {"", "dbname=warehouse", "host='a b' port=1",
                                       "postgresql://u:p@h:1/db?sslmode=require", "postgres:///db"};
    static const struct {
        const char *dsn;
        const char *words;
    } bad[] = {
        {"warehouse", "a word without \"=\""},
        {"password=my s3cret", "a word without \"=\""},
        {"password=my s3cret=x", "an unknown keyword"},
        {"password='s3cret", "a quoted value without its closing quote"},
        {"postgresql://u:s3cret@[::1/db", "a malformed URI"},
        {"postgresql://h/db?s3cret=1", "an unknown keyword"},
        {"postgresql://u:%zzs3cret@h/db", "a bad %-sequence in the URI"},
    };
    struct error err;

    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        assert_true(conn_check_dsn(good[i], &err));
    }
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        assert_false(conn_check_dsn(bad[i].dsn, &err));
        assert_int_equal(err.class, ERROR_SETUP);
        if (strstr(err.text, bad[i].words) == NULL) {
            print_error("%s: %s\n", bad[i].dsn, err.text);
            fail();
        }
        assert_null(strstr(err.text, "s3cret"));
        assert_true(*err.hint);
    }
}

static void expect_hosts(const char *dsn, const char *want)
{
    struct dsn *d = dsn_new(dsn);
    char got[200] = "";

    assert_string_equal(d->text, dsn);
    for (size_t i = 0; i < d->host_count; i++) {
        const struct dsn_host *h = &d->hosts[i];
        size_t n = strlen(got);
        snprintf(got + n, sizeof got - n, "%s|%s|%s;", h->host != NULL ? h->host : "-",
                 h->hostaddr != NULL ? h->hostaddr : "-", h->port != NULL ? h->port : "-");
    }
    assert_string_equal(got, want);
    assert_null(dsn_free(d));
}

static void test_hosts(void **state)
{
    (void) state;
    unsetenv("PGHOST");
    unsetenv("PGHOSTADDR");
    unsetenv("PGPORT");
    unsetenv("PGSERVICE");
    expect_hosts("", "-|-|-;");
    expect_hosts("not a dsn", "-|-|-;");
    expect_hosts("host=a port=1", "-|-|-;");
    expect_hosts("host=a,b", "a|-|-;b|-|-;");
    expect_hosts("host=a,b port=7", "a|-|7;b|-|7;");
    expect_hosts("host=a,b port=7,8", "a|-|7;b|-|8;");
    expect_hosts("host=a,b hostaddr=1.1.1.1,2.2.2.2 port=7,8", "a|1.1.1.1|7;b|2.2.2.2|8;");
    expect_hosts("postgresql://a:1,b:2/db", "a|-|1;b|-|2;");
    expect_hosts("host=a,b port=7,8,9", "-|-|-;"); /* libpq will say what is wrong */
    expect_hosts("host=a,b hostaddr=1.1.1.1", "-|-|-;");
    expect_hosts("host=a,,b", "-|-|-;"); /* an empty one is a default: libpq's business */
    expect_hosts("host=a,b service=s", "-|-|-;");
    setenv("PGHOST", "x,y", 1);
    expect_hosts("port=3", "x|-|3;y|-|3;");
    expect_hosts("host=a", "-|-|-;");
    unsetenv("PGHOST");
    assert_null(dsn_free(NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_syntax),
        cmocka_unit_test(test_hosts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
