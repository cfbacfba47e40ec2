/* certificates.c: certificates that are made here, in files and in properties. */
#include "kafka/certificates.h"

#include "unit.h"

#include "base/mem.h"
#include "config/file.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/pkcs12.h>
#include <openssl/x509.h>

#define DAY 86400
#define NOW INT64_C(1796000000) /* 2026-11-30T00:53:20Z */

static EVP_PKEY *key;
static char folder[] = "/tmp/pgsinkd-certificates-XXXXXX";

static X509 *make(const char *name, int64_t days)
{
    X509 *x = X509_new();
    X509_NAME *subject = X509_get_subject_name(x);

    X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_UTF8, (const unsigned char *) name, -1, -1,
                               0);
    ASN1_TIME_set(X509_getm_notBefore(x), (time_t) (NOW - INT64_C(1000) * DAY));
    ASN1_TIME_set(X509_getm_notAfter(x), (time_t) (NOW + days * DAY));
    X509_set_pubkey(x, key);
    assert_true(X509_sign(x, key, EVP_sha256()) > 0);
    return x;
}

/* Appends one to what bio has. */
static void put(BIO *bio, const char *name, int64_t days)
{
    X509 *x = make(name, days);

    assert_int_equal(PEM_write_bio_X509(bio, x), 1);
    X509_free(x);
}

static char *path_of(const char *name)
{
    return mem_printf("%s/%s", folder, name);
}

static BIO *file(const char *name)
{
    _cleanup_mem_ char *path = path_of(name);
    BIO *bio = BIO_new_file(path, "wb");

    assert_non_null(bio);
    return bio;
}

/* A file with one, and the key before it. */
static void write_one(const char *name, const char *subject, int64_t days)
{
    BIO *bio = file(name);

    PEM_write_bio_PrivateKey(bio, key, EVP_aes_128_cbc(), (const unsigned char *) "pw", 2, NULL,
                             NULL);
    put(bio, subject, days);
    BIO_free(bio);
}

/* ---- configurations: pairs of a property and its value, until NULL ---- */

struct made {
    struct config cfg;
    struct config_property items[8];
};

static void set(struct made *m, const char *name, const char *value)
{
    struct config_properties *all = &m->cfg.kafka.properties;

    all->items = m->items;
    m->items[all->count++] = (struct config_property){.name = mem_strdup(name),
                                                      .value = mem_strdup(value)};
}

static void set_file(struct made *m, const char *name, const char *value)
{
    _cleanup_mem_ char *path = path_of(value);

    set(m, name, path);
}

static void done(struct made *m)
{
    for (size_t i = 0; i < m->cfg.kafka.properties.count; i++) {
        free(m->items[i].name);
        free(m->items[i].value);
    }
    *m = (struct made){0};
}

/* What is said of it, after "kafka: certificate 'CN="; NULL: all is fine. Frees m's texts. */
static void expect(struct made *m, enum certificates_state state, const char *text)
{
    struct certificates c;
    struct error err = {0};

    certificates_read(&m->cfg, &c);
    assert_int_equal(certificates_judge(&c, NULL, NOW, &err), state);
    if (text != NULL && strstr(err.text, text) == NULL) {
        fail_msg("%s", err.text);
    }
    assert_true(text == NULL || strstr(err.hint, "Put the renewed one in its place") != NULL);
    certificates_done(&c);
    done(m);
}

static void expect_client(const char *subject, int64_t days, enum certificates_state state,
                          const char *text)
{
    struct made m = {0};

    write_one("client.pem", subject, days);
    set(&m, "security.protocol", "SASL_SSL");
    set_file(&m, "ssl.certificate.location", "client.pem");
    expect(&m, state, text);
}

static void says_when(void **state)
{
    (void) state;
    expect_client("me", 15, CERTIFICATES_FINE, NULL);
    expect_client("me", 14, CERTIFICATES_EXPIRE,
                  "/client.pem expires in 14 days (2026-12-14T00:53:20Z)");
    expect_client("me", 3, CERTIFICATES_EXPIRE, "kafka: certificate 'CN=me' in /tmp/");
    expect_client("me", 1, CERTIFICATES_EXPIRE, "expires in 24 hours");
    expect_client("me", 0, CERTIFICATES_EXPIRED, "has expired (2026-11-30T00:53:20Z)");
    expect_client("me", -40, CERTIFICATES_EXPIRED, "has expired (2026-10-21T00:53:20Z)");
    expect_client("a\nb\xc3\xa9", 3, CERTIFICATES_EXPIRE, "'CN=a\\0Ab\\C3\\A9'");
}

static void counts_minutes(void **state)
{
    struct certificates c = {.items = mem_array(1, sizeof *c.items), .count = 1};
    struct error err;

    (void) state;
    c.items[0] = (struct certificate){.name = "CN=x", .place = "y", .ends = NOW + 61};
    assert_int_equal(certificates_judge(&c, NULL, NOW, &err), CERTIFICATES_EXPIRE);
    assert_non_null(strstr(err.text, "'CN=x' in y expires in 1 minute ("));
    certificates_done(&c);
}

static void only_with_tls(void **state)
{
    struct made m = {0};

    (void) state;
    write_one("client.pem", "me", 1);
    set_file(&m, "ssl.certificate.location", "client.pem");
    expect(&m, CERTIFICATES_FINE, NULL);
    set(&m, "security.protocol", "sasl_plaintext");
    set_file(&m, "ssl.certificate.location", "client.pem");
    expect(&m, CERTIFICATES_FINE, NULL);
}

static void with_cas(struct made *m, const int64_t *days, size_t n)
{
    BIO *bio = file("ca.pem");
    char name[8] = "a";

    for (size_t i = 0; i < n; i++, name[0]++) {
        put(bio, name, days[i]);
    }
    BIO_free(bio);
    set(m, "security.protocol", "ssl");
    set_file(m, "ssl.ca.location", "ca.pem");
}

static void reads_several(void **state)
{
    struct made m = {0};

    (void) state;
    with_cas(&m, (const int64_t[]){3, 9, 5, 1}, 4);
    expect(&m, CERTIFICATES_EXPIRE, "'CN=b' in ");
    with_cas(&m, (const int64_t[]){-5, 3, 100}, 3); /* the last one lasts longer */
    expect(&m, CERTIFICATES_FINE, NULL);
    with_cas(&m, (const int64_t[]){-5, -6}, 2);
    expect(&m, CERTIFICATES_EXPIRED, "'CN=a' in ");
    with_cas(&m, (const int64_t[]){-5, 100}, 2);
    write_one("client.pem", "me", -1);
    set_file(&m, "ssl.certificate.location", "client.pem");
    expect(&m, CERTIFICATES_EXPIRED, "'CN=me' in ");
}

static void reads_properties(void **state)
{
    BIO *bio = BIO_new(BIO_s_mem());
    char text[4096];
    struct made m = {0};

    (void) state;
    put(bio, "inside", 2);
    text[BIO_read(bio, text, sizeof text - 1)] = '\0';
    BIO_free(bio);
    set(&m, "security.protocol", "ssl");
    set(&m, "ssl.certificate.pem", text);
    expect(&m, CERTIFICATES_EXPIRE, "'CN=inside' in property 'ssl.certificate.pem' expires in 2");
    set(&m, "security.protocol", "ssl");
    set(&m, "ssl.ca.pem", text);
    expect(&m, CERTIFICATES_EXPIRE, "'CN=inside' in property 'ssl.ca.pem' expires in 2");
}

static void keystore(const char *password, enum certificates_state state, const char *text)
{
    struct made m = {0};

    set(&m, "security.protocol", "ssl");
    set_file(&m, "ssl.keystore.location", "store.p12");
    set(&m, "ssl.keystore.password", password);
    expect(&m, state, text);
}

static void reads_keystores(void **state)
{
    X509 *mine = make("mine", 50);
    X509 *other = make("other", 4);
    struct stack_st_X509 *others = sk_X509_new_null();
    BIO *bio = file("store.p12");

    (void) state;
    sk_X509_push(others, other);
    PKCS12 *p12 = PKCS12_create("pw", "n", key, mine, others, 0, 0, 0, 0, 0);
    assert_int_equal(i2d_PKCS12_bio(bio, p12), 1);
    PKCS12_free(p12);
    BIO_free(bio);
    sk_X509_pop_free(others, X509_free);
    X509_free(mine);
    keystore("pw", CERTIFICATES_EXPIRE, "'CN=other' in ");
    keystore("wrong", CERTIFICATES_FINE, NULL);
    write_one("store.p12", "me", 1);
    keystore("pw", CERTIFICATES_FINE, NULL);
}

static void passes_over_garbage(void **state)
{
    struct made m = {0};
    BIO *bio = file("garbage");
    BIO *large = file("large");

    (void) state;
    BIO_puts(bio, "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n");
    BIO_free(bio);
    put(large, "me", 1);
    for (size_t i = 0; i <= FILE_MAX / 8; i++) {
        BIO_puts(large, "filling\n");
    }
    BIO_free(large);
    set(&m, "security.protocol", "ssl");
    set(&m, "ssl.ca.location", folder);
    set_file(&m, "ssl.certificate.location", "garbage");
    set_file(&m, "ssl.keystore.location", "missing");
    expect(&m, CERTIFICATES_FINE, NULL);
    set(&m, "security.protocol", "ssl");
    set_file(&m, "ssl.ca.location", "large");
    expect(&m, CERTIFICATES_FINE, NULL);
}

static void is_bounded(void **state)
{
    struct made m = {0};
    struct certificates c;
    BIO *bio = file("ca.pem");

    (void) state;
    for (size_t i = 0; i <= CERTIFICATES_MAX; i++) {
        put(bio, "ca", 100);
    }
    BIO_free(bio);
    set(&m, "security.protocol", "ssl");
    set_file(&m, "ssl.ca.location", "ca.pem");
    set_file(&m, "ssl.certificate.location", "ca.pem");
    certificates_read(&m.cfg, &c);
    assert_int_equal(c.count, CERTIFICATES_MAX);
    certificates_done(&c);
    done(&m);
}

/* Is said of the one in use, and whether there is a renewed one. */
static void expect_renewed(const struct certificates *used, const struct made *m, bool renewed)
{
    struct certificates now;
    struct error err;

    certificates_read(&m->cfg, &now);
    assert_int_equal(certificates_judge(used, &now, NOW, &err), CERTIFICATES_EXPIRE);
    assert_int_equal(strstr(err.text, "; a renewed one is there, but this process still") != NULL,
                     renewed);
    assert_int_equal(strncmp(err.hint, "Restart: ", 9) == 0, renewed);
    certificates_done(&now);
}

static void a_renewed_one_needs_a_restart(void **state)
{
    struct made m = {0};
    struct made cas = {0};
    struct certificates used;

    (void) state;
    write_one("client.pem", "me", 3);
    set(&m, "security.protocol", "ssl");
    set_file(&m, "ssl.certificate.location", "client.pem");
    certificates_read(&m.cfg, &used);
    expect_renewed(&used, &m, false);
    write_one("client.pem", "me", 4);
    expect_renewed(&used, &m, true);
    BIO_free(file("client.pem")); /* empty */
    expect_renewed(&used, &m, false);
    certificates_done(&used);
    done(&m);
    with_cas(&cas, (const int64_t[]){3}, 1);
    certificates_read(&cas.cfg, &used);
    done(&cas);
    with_cas(&cas, (const int64_t[]){3, 300}, 2); /* the new one beside the old */
    expect_renewed(&used, &cas, true);
    certificates_done(&used);
    done(&cas);
}

static int begin(void **state)
{
    (void) state;
    key = EVP_EC_gen("P-256");
    return key != NULL && mkdtemp(folder) != NULL ? 0 : -1;
}

static int end(void **state)
{
    static const char *const names[] = {"client.pem", "ca.pem", "store.p12", "garbage", "large"};

    (void) state;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        _cleanup_mem_ char *path = path_of(names[i]);
        unlink(path);
    }
    EVP_PKEY_free(key);
    return rmdir(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(says_when),
        cmocka_unit_test(counts_minutes),
        cmocka_unit_test(only_with_tls),
        cmocka_unit_test(reads_several),
        cmocka_unit_test(reads_properties),
        cmocka_unit_test(reads_keystores),
        cmocka_unit_test(passes_over_garbage),
        cmocka_unit_test(is_bounded),
        cmocka_unit_test(a_renewed_one_needs_a_restart),
    };

    return cmocka_run_group_tests(tests, begin, end);
}
