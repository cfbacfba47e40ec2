/* dsn.c: syntax errors that quote nothing, and the hosts to try one by one. */
#include "pg/dsn.h"

#include "base/buf.h"
#include "base/mem.h"
#include "config/expand.h"
#include "pg/conn.h"

#include "unit.h"

static void test_syntax(void **state)
{
    (void) state;
    static const char *const good[] = {"",
                                       "dbname=warehouse",
                                       "host='a b' port=1",
                                       "postgresql://u:p@h:1/db?sslmode=require",
                                       "postgres:///db",
                                       "postgres://h/d?user=a@b",
                                       "postgres://u:p@h/d?application_name=a@b"};
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
        {"postgresql://u:p@s3cret@h/db", "an '@'"},
        {"postgres://u:p/s3cret@h/db", "an '@'"},
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

static void test_hosts_and_ports(void **state)
{
    (void) state;
    static const char *const good[] = {
        "",
        "host=a",
        "host=a port=5432",
        "host=a,b port=1,65535",
        "host=a,b port=,5433",
        "host=a,b port=5432",
        "host=/run/x:1",
        "host=::1",
        "hostaddr=127.0.0.1,::1 port=1,2",
        "postgresql://a:1,b:2/d",
        "postgresql://[::1]:5432/d",
    };
    static const struct {
        const char *dsn;
        const char *words;
    } bad[] = {
        {"host=s3cret:5432", "the host has a port in it"},
        {"host=a,s3cret:1", "the host has a port in it"},
        {"port=s3cret", "the port is not a number"},
        {"host=a,b port=1,0", "the port is not a number"},
        {"port=65536", "the port is not a number"},
        {"postgresql://h:s3cret/d", "the port is not a number"},
        {"host=a,b port=1,2,3", "there are 3 ports for 2 hosts"},
        {"hostaddr=::1 port=1,2", "there are 2 ports for 1 hosts"},
    };
    struct error err;

    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        assert_true(conn_check_hosts(good[i], &err));
    }
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        assert_false(conn_check_hosts(bad[i].dsn, &err));
        assert_int_equal(err.class, ERROR_SETUP);
        assert_non_null(strstr(err.text, bad[i].words));
        assert_null(strstr(err.text, "s3cret"));
        assert_true(*err.hint);
    }
    assert_true(conn_check_hosts("no string of libpq", &err)); /* conn_check_dsn's */
}

/* libpq reads the same out of a connection string that a reference brought into it. */
static void test_hostile_passwords(void **state)
{
    (void) state;
    static const char *const passwords[] = {
        "a b",
        " a",
        "a ",
        "it's",
        "'",
        "\"",
        "\\",
        "a\\'b",
        "p@ss w'rd#1:/x",
        "%41",
        "a=b",
        "?a&b=c",
        ":/#[]@!$&()*+,;=",
        "$${HOME}",
        "\t\x01\x7f",
        "p\xC3\xA4\xE2\x82\xAC",
        "-._~",
    };
    static const char *const dsns[] = {
        "user=u password=${KIT_PASSWORD} host=h dbname=d",
        "user=u password='${KIT_PASSWORD}' host=h dbname=d",
        "postgresql://u:${KIT_PASSWORD}@h/d",
        "postgres://u@h/d?password=${KIT_PASSWORD}",
    };

    for (size_t i = 0; i < ARRAY_LEN(passwords); i++) {
        setenv("KIT_PASSWORD", passwords[i], 1);
        for (size_t k = 0; k < ARRAY_LEN(dsns); k++) {
            _cleanup_buf_ struct buf text = {0};
            struct error err;
            assert_true(expand_dsn(str_of(dsns[k]), ".", &text, &err));
            assert_true(conn_check_dsn(buf_cstr(&text), &err));
            struct dsn *d = dsn_new(buf_cstr(&text));
            assert_string_equal(d->words.password, passwords[i]);
            assert_string_equal(d->words.user, "u");
            assert_string_equal(d->words.host, "h");
            assert_string_equal(d->words.dbname, "d");
            assert_int_equal(d->host_count, 1);
            dsn_free(d);
        }
    }
}

/* What libpq takes where no host is given: its own socket's directory. */
static char *default_host(void)
{
    struct dsn *d = dsn_new("");
    char *host = mem_strdup(d->hosts[0].host);

    assert_int_equal(host[0], '/');
    dsn_free(d);
    return host;
}

static int without_environment(void **state)
{
    (void) state;
    unsetenv("PGHOST");
    unsetenv("PGHOSTADDR");
    unsetenv("PGPORT");
    unsetenv("PGSERVICE");
    return 0;
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
    char *socket = default_host();
    char want[200];

    snprintf(want, sizeof want, "%s|-|5432;", socket);
    expect_hosts("", want);
    expect_hosts("not a dsn", want);
    expect_hosts("host=a port=1", "a|-|1;");
    expect_hosts("host=/run/x", "/run/x|-|5432;");
    expect_hosts("host=a,b", "a|-|5432;b|-|5432;");
    expect_hosts("host=a,b port=7", "a|-|7;b|-|7;");
    expect_hosts("host=a,b port=7,8", "a|-|7;b|-|8;");
    expect_hosts("host=a,b port=,8", "a|-|5432;b|-|8;");
    expect_hosts("host=a,b hostaddr=1.1.1.1,2.2.2.2 port=7,8", "a|1.1.1.1|7;b|2.2.2.2|8;");
    expect_hosts("hostaddr=1.1.1.1,2.2.2.2", "1.1.1.1|1.1.1.1|5432;2.2.2.2|2.2.2.2|5432;");
    expect_hosts("postgresql://a:1,b:2/db", "a|-|1;b|-|2;");
    snprintf(want, sizeof want, "a|-|5432;%s|-|5432;b|-|5432;", socket);
    expect_hosts("host=a,,b", want);
    free(socket);

    /* libpq will say what is wrong, or do by itself what we cannot */
    expect_hosts("host=a,b port=7,8,9", "-|-|-;");
    expect_hosts("host=a,b hostaddr=1.1.1.1", "-|-|-;");
    expect_hosts("host=a,/run/x hostaddr=1.1.1.1,", "-|-|-;");
}

static void test_hosts_of_the_environment(void **state)
{
    (void) state;
    setenv("PGHOST", "x,y", 1);
    expect_hosts("port=3", "x|-|3;y|-|3;");
    expect_hosts("host=a", "a|-|5432;");
    unsetenv("PGHOST");
    setenv("PGPORT", "9", 1);
    expect_hosts("host=a", "a|-|9;");
    unsetenv("PGPORT");
}

static void test_hosts_of_a_service(void **state)
{
    (void) state;
    char path[64];

    snprintf(path, sizeof path, "/tmp/service-test-%ld", (long) getpid());
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    assert_true(fputs("[warehouse]\nhost=x,y\nport=7,8\npassword=p\n", f) >= 0);
    assert_int_equal(fclose(f), 0);
    setenv("PGSERVICEFILE", path, 1);
    expect_hosts("service=warehouse", "x|-|7;y|-|8;");
    expect_hosts("service=warehouse host=a,b", "a|-|7;b|-|8;");
    setenv("PGSERVICE", "warehouse", 1);
    expect_hosts("dbname=w", "x|-|7;y|-|8;");
    unsetenv("PGSERVICE");
    unsetenv("PGSERVICEFILE");
    assert_int_equal(unlink(path), 0);
}

static void test_no_dsn(void **state)
{
    (void) state;
    assert_null(dsn_free(NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_syntax),
        cmocka_unit_test(test_hosts_and_ports),
        cmocka_unit_test(test_hostile_passwords),
        cmocka_unit_test(test_hosts),
        cmocka_unit_test(test_hosts_of_the_environment),
        cmocka_unit_test(test_hosts_of_a_service),
        cmocka_unit_test(test_no_dsn),
    };

    return cmocka_run_group_tests(tests, without_environment, NULL);
}
