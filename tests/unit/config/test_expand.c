/* expand.c and file.c: variables, files, credentials; what is refused. */
#include "config/expand.h"

#include "config/file.h"

#include "config_kit.h"

static void expect(const char *text, const char *dir, const char *want)
{
    _cleanup_buf_ struct buf out = {0};
    struct error err = {0};

    if (!expand_text(str_of(text), dir, &out, &err)) {
        print_error("%s: %s\n", text, err.text);
        fail();
    }
    assert_string_equal(buf_cstr(&out), want);
}

static void expect_fault(const char *text, const char *dir, const char *want)
{
    _cleanup_buf_ struct buf out = {0};
    struct error err = {0};

    assert_false(expand_text(str_of(text), dir, &out, &err));
    assert_int_equal(err.class, ERROR_SETUP);
    assert_string_equal(err.text, want);
    assert_null(strstr(err.hint, "hunter2"));
}

static void test_needed(void **state)
{
    (void) state;
    assert_true(expand_needed(STR_LIT("${A}")));
    assert_true(expand_needed(STR_LIT("x$${")));
    assert_false(expand_needed(STR_LIT("$A")));
    assert_false(expand_needed(STR_LIT("$")));
    assert_false(expand_needed(STR_LIT("")));
}

static void test_reference(void **state)
{
    (void) state;
    assert_int_equal(expand_reference(STR_LIT("${A}x")), 4);
    assert_int_equal(expand_reference(STR_LIT("${}")), 3);
    assert_int_equal(expand_reference(STR_LIT("${A")), 0);
    assert_int_equal(expand_reference(STR_LIT("$${A}")), 0);
    assert_int_equal(expand_reference(STR_LIT("A")), 0);
}

static void test_variables(void **state)
{
    (void) state;
    setenv("KIT_A", "one", 1);
    setenv("KIT_B2", "", 1);
    setenv("KIT_NEST", "${KIT_A}", 1);
    expect("", ".", "");
    expect("plain $5 $KIT_A {x}", ".", "plain $5 $KIT_A {x}");
    expect("<${KIT_A}>${KIT_A}", ".", "<one>one");
    expect("<${KIT_B2}>", ".", "<>");
    expect("${KIT_NEST}", ".", "${KIT_A}");
    expect("$${KIT_A} $$${KIT_A}", ".", "${KIT_A} $${KIT_A}");
    expect("$", ".", "$");
    expect("$$", ".", "$$");
}

static void test_faults(void **state)
{
    (void) state;
    unsetenv("KIT_UNSET");
    setenv("KIT_LATIN", "\xe9hunter2", 1);
    expect_fault("x${KIT_UNSET}", ".", "environment variable 'KIT_UNSET' is not set");
    expect_fault("${KIT_LATIN}", ".", "environment variable 'KIT_LATIN' is not valid UTF-8");
    expect_fault("${KIT_A", ".", "'${' has no closing '}'");
    expect_fault("${}", ".",
                 "'${...}' contains neither the name of a variable nor 'file:' and a path");
    expect_fault("${1A}", ".",
                 "'${...}' contains neither the name of a variable nor 'file:' and a path");
    expect_fault("${A-B}", ".",
                 "'${...}' contains neither the name of a variable nor 'file:' and a path");
    expect_fault("${file:}", ".", "'${file:}' names no file");
}

static void test_files(void **state)
{
    struct kit *kit = *state;
    char text[PATH_MAX + 32];

    kit_write_z(kit, "one", "a line\n");
    expect("<${file:one}>", kit->dir, "<a line>");
    snprintf(text, sizeof text, "<${file:%s}>", kit->path);
    expect(text, "/nowhere", "<a line>");
    kit_write_z(kit, "two", "a\nb\n\n");
    expect("<${file:two}>", kit->dir, "<a\nb\n>");
    kit_write_z(kit, "crlf", "a\r\n");
    expect("<${file:crlf}>", kit->dir, "<a>");
    kit_write_z(kit, "bare", "a");
    expect("<${file:bare}>", kit->dir, "<a>");
    kit_write_z(kit, "empty", "");
    expect("<${file:empty}>", kit->dir, "<>");
    kit_write_z(kit, "nest", "${KIT_A}\n");
    expect("${file:nest}", kit->dir, "${KIT_A}");
}

static void test_credentials(void **state)
{
    struct kit *kit = *state;
    char credentials[128];
    char want[PATH_MAX];

    snprintf(credentials, sizeof credentials, "%s/credentials", kit->dir);
    assert_int_equal(mkdir(credentials, 0700), 0);
    kit_write_z(kit, "both", "beside");
    kit_write_z(kit, "beside", "beside");
    kit_write_z(kit, "credentials/both", "credential");
    setenv("CREDENTIALS_DIRECTORY", credentials, 1);
    expect("${file:both}", kit->dir, "credential");
    expect("${file:beside}", kit->dir, "beside");
    expect("${file:./both}", kit->dir, "credential");
    setenv("CREDENTIALS_DIRECTORY", "", 1);
    expect("${file:both}", kit->dir, "beside");
    unsetenv("CREDENTIALS_DIRECTORY");
    snprintf(want, sizeof want, "file '%s/none': cannot be read: No such file or directory",
             kit->dir);
    expect_fault("${file:none}", kit->dir, want);
    expect_fault("${file:none}", ".", "file 'none': cannot be read: No such file or directory");
    expect_fault("${file:/none}", ".", "file '/none': cannot be read: No such file or directory");
}

static void test_unreadable_credential(void **state)
{
    struct kit *kit = *state;

    /* A credential that is there but cannot be read is a fault, not a reason to look elsewhere. */
    kit_write_z(kit, "loop", "beside");
    char loop[128];
    snprintf(loop, sizeof loop, "%s/c", kit->dir);
    assert_int_equal(mkdir(loop, 0700), 0);
    snprintf(loop, sizeof loop, "%s/c/loop", kit->dir);
    assert_int_equal(symlink("loop", loop), 0);
    snprintf(loop, sizeof loop, "%s/c", kit->dir);
    setenv("CREDENTIALS_DIRECTORY", loop, 1);
    char want[PATH_MAX];
    snprintf(want, sizeof want,
             "file '%s/c/loop': cannot be read: Too many levels of symbolic links", kit->dir);
    expect_fault("${file:loop}", kit->dir, want);
    unsetenv("CREDENTIALS_DIRECTORY");
}

static void test_file_content(void **state)
{
    struct kit *kit = *state;

    kit_write(kit, "nul", "hunter2\0x", 9);
    expect_fault("${file:nul}", kit->dir, "file 'nul' is not UTF-8 text");
    kit_write(kit, "latin", "hunter2\xe9", 8);
    expect_fault("${file:latin}", kit->dir, "file 'latin' is not UTF-8 text");
}

static void test_file_limit(void **state)
{
    struct kit *kit = *state;
    _cleanup_buf_ struct buf out = {0};
    _cleanup_buf_ struct buf big = {0};
    struct error err = {0};
    int code = -1;

    buf_fill(&big, 'x', FILE_MAX);
    buf_add_z(&out, "before");
    assert_true(file_read(kit_write(kit, "max", big.p, big.n), &out, &code, &err));
    assert_int_equal(out.n, FILE_MAX + 6);
    assert_int_equal(code, 0);
    buf_add_z(&big, "x");
    buf_clear(&out);
    buf_add_z(&out, "before");
    assert_false(file_read(kit_write(kit, "more", big.p, big.n), &out, NULL, &err));
    assert_string_equal(err.text, "is larger than 1 MiB");
    assert_string_equal(buf_cstr(&out), "before");
    assert_false(file_read(kit->dir, &out, &code, &err));
    assert_string_equal(err.text, "cannot be read: Is a directory");
    assert_int_equal(code, 0);
    assert_false(file_read("/none", &out, &code, &err));
    assert_int_equal(code, ENOENT);
}

/* ---- connection strings ---- */

static void expect_dsn(const char *text, const char *value, const char *want)
{
    _cleanup_buf_ struct buf out = {0};
    struct error err = {0};

    setenv("KIT_V", value, 1);
    if (!expand_dsn(str_of(text), ".", &out, &err)) {
        print_error("%s: %s\n", text, err.text);
        fail();
    }
    assert_string_equal(buf_cstr(&out), want);
}

static void test_values_after_keywords_are_quoted(void **state)
{
    (void) state;
    expect_dsn("", "", "");
    expect_dsn("host=h dbname='a b'", "", "host=h dbname='a b'");
    expect_dsn("password=${KIT_V} host=h", "a b'c\\d", "password=a\\ b\\'c\\\\d host=h");
    expect_dsn("password = '${KIT_V}' host=h", "a b'", "password = 'a\\ b\\'' host=h");
    expect_dsn("password=x${KIT_V}y${KIT_V}", " ", "password=x\\ y\\ ");
    expect_dsn("password=${KIT_V} host=h", "", "password='' host=h");
    expect_dsn("password=${KIT_V}", "", "password=''");
    expect_dsn("password=${KIT_V}x", "", "password=x");
    expect_dsn("password=${KIT_V}${KIT_V} user=u", "", "password='' user=u");
    expect_dsn("password=${KIT_V}'a b' user=u", "", "password='a b' user=u");
    expect_dsn("password='${KIT_V}'", "", "password=''");
    expect_dsn("a='it\\'s ${KIT_V}' b=1", "'", "a='it\\'s \\'' b=1");
    expect_dsn("a=\\ ${KIT_V} b=1", " ", "a=\\ \\  b=1");
    expect_dsn("a=\\\\ ${KIT_V}", "b=c d=e", "a=\\\\ b=c d=e");
    expect_dsn("password=$${KIT_V}", "", "password=${KIT_V}");
}

static void test_what_is_more_than_a_value_stays(void **state)
{
    (void) state;
    expect_dsn("${KIT_V}", "host=h password='a b'", "host=h password='a b'");
    expect_dsn("${KIT_V} user=u", "host=h", "host=h user=u");
    expect_dsn("user='u' ${KIT_V}", "host=h", "user='u' host=h");
    expect_dsn("${KIT_V}", "postgresql://u:%40@h/d", "postgresql://u:%40@h/d");
    expect_dsn("postgres://${KIT_V}@h/d", "u:p%40", "postgres://u:p%40@h/d");
    expect_dsn("postgres://${KIT_V}/d", "h1:1,h2:2", "postgres://h1:1,h2:2/d");
    expect_dsn("postgres://h/d?${KIT_V}", "sslmode=require&x=y",
               "postgres://h/d?sslmode=require&x=y");
}

static void test_values_in_a_uri_are_encoded(void **state)
{
    (void) state;
    expect_dsn("postgresql://u:${KIT_V}@h/d", "p@ss w'rd#1:/x",
               "postgresql://u:p%40ss%20w%27rd%231%3A%2Fx@h/d");
    expect_dsn("postgres://${KIT_V}:x@h/d", "a:b@c", "postgres://a%3Ab%40c:x@h/d");
    expect_dsn("postgres://u:${KIT_V}@h", "", "postgres://u:@h");
    expect_dsn("postgres://u:${KIT_V}@h/${KIT_V}?a=${KIT_V}&b=x${KIT_V}", "\xC3\xA4?",
               "postgres://u:%C3%A4%3F@h/%C3%A4%3F?a=%C3%A4%3F&b=x%C3%A4%3F");
    setenv("KIT_URL", "postgres://u@h/d", 1);
    expect_dsn("${KIT_URL}?password=${KIT_V}&x=y", "it's a%41&",
               "postgres://u@h/d?password=it%27s%20a%2541%26&x=y");
    setenv("KIT_URL", "postgres://u@h/d?a=b", 1);
    expect_dsn("${KIT_URL}&password=${KIT_V}", "=", "postgres://u@h/d?a=b&password=%3D");
    expect_dsn("postgres:///d?a&b=1&", "", "postgres:///d?a&b=1&");
    expect_dsn("postgres://u:$${x@h", "", "postgres://u:${x@h");
    expect_dsn("postgresql://", "", "postgresql://");
    expect_dsn("postgresql://h?password=${KIT_V}", "AZaz09-._~+",
               "postgresql://h?password=AZaz09-._~%2B");
}

static void test_faults_in_connection_strings(void **state)
{
    (void) state;
    static const char *const bad[] = {
        "password=${KIT_NONE}",     "postgres://u:${KIT_NONE}@h", "postgres://${KIT_NONE}",
        "postgres://h/${KIT_NONE}", "postgres://h/d?${KIT_NONE}", "postgres://h/d?a=${KIT_NONE}",
        "postgres://${KIT_NONE}@h",
    };
    _cleanup_buf_ struct buf out = {0};
    struct error err;

    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        assert_false(expand_dsn(str_of(bad[i]), ".", &out, &err));
        assert_string_equal(err.text, "environment variable 'KIT_NONE' is not set");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_needed),
        cmocka_unit_test(test_reference),
        cmocka_unit_test(test_variables),
        cmocka_unit_test(test_faults),
        cmocka_unit_test(test_files),
        cmocka_unit_test(test_credentials),
        cmocka_unit_test(test_file_content),
        cmocka_unit_test(test_unreadable_credential),
        cmocka_unit_test(test_file_limit),
        cmocka_unit_test(test_values_after_keywords_are_quoted),
        cmocka_unit_test(test_what_is_more_than_a_value_stays),
        cmocka_unit_test(test_values_in_a_uri_are_encoded),
        cmocka_unit_test(test_faults_in_connection_strings),
    };

    return cmocka_run_group_tests(tests, kit_open, kit_close);
}
