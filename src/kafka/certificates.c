/* See certificates.h. */
#include "kafka/certificates.h"

#include "base/buf.h"
#include "base/mem.h"
#include "config/file.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/pkcs12.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#define MINUTE 60
#define HOUR (60 * MINUTE)
#define DAY (24 * HOUR)

static const char *property(const struct config *cfg, const char *name)
{
    for (size_t i = 0; i < cfg->kafka.properties.count; i++) {
        if (strcmp(cfg->kafka.properties.items[i].name, name) == 0) {
            return cfg->kafka.properties.items[i].value;
        }
    }
    return NULL;
}

static bool uses_tls(const struct config *cfg)
{
    const char *protocol = property(cfg, "security.protocol");

    return protocol != NULL &&
           (strcasecmp(protocol, "ssl") == 0 || strcasecmp(protocol, "sasl_ssl") == 0);
}

/* ---- reading ---- */

static void name_of(const X509 *x, struct certificate *c)
{
    BIO *bio = BIO_new(BIO_s_mem());

    if (bio == NULL) {
        return;
    }
    X509_NAME_print_ex(bio, X509_get_subject_name(x), 0, XN_FLAG_RFC2253);
    int n = BIO_read(bio, c->name, (int) sizeof c->name - 1);
    c->name[MAX(n, 0)] = '\0';
    BIO_free(bio);
}

static void add(struct certificates *out, const X509 *x, const char *place)
{
    struct tm tm;

    if (x == NULL || out->count == CERTIFICATES_MAX ||
        ASN1_TIME_to_tm(X509_get0_notAfter(x), &tm) != 1) {
        return;
    }
    struct certificate *c = &out->items[out->count++];
    *c = (struct certificate){.ends = timegm(&tm), .last_ca = INT64_MIN};
    snprintf(c->place, sizeof c->place, "%s", place);
    name_of(x, c);
}

static void add_pem(struct certificates *out, struct str text, const char *place)
{
    char no_password[] = ""; /* else it would be asked for at the terminal */
    BIO *bio = BIO_new_mem_buf(text.p, (int) text.n);

    if (bio == NULL) {
        return;
    }
    while (out->count < CERTIFICATES_MAX) {
        X509 *x = PEM_read_bio_X509(bio, NULL, NULL, no_password);
        if (x == NULL) {
            break;
        }
        add(out, x, place);
        X509_free(x);
    }
    BIO_free(bio);
}

static void add_keystore(struct certificates *out, struct str bytes, const char *password,
                         const char *place)
{
    BIO *bio = BIO_new_mem_buf(bytes.p, (int) bytes.n);
    PKCS12 *p12 = bio != NULL ? d2i_PKCS12_bio(bio, NULL) : NULL;
    EVP_PKEY *key = NULL;
    X509 *x = NULL;
    struct stack_st_X509 *others = NULL;

    if (p12 != NULL && PKCS12_parse(p12, password, &key, &x, &others) == 1) {
        add(out, x, place);
        for (int i = 0; i < sk_X509_num(others); i++) {
            add(out, sk_X509_value(others, i), place);
        }
    }
    EVP_PKEY_free(key);
    X509_free(x);
    sk_X509_pop_free(others, X509_free);
    PKCS12_free(p12);
    BIO_free(bio);
}

/* Appends what the file has, in plain text or as a keystore. */
static void add_file(struct certificates *out, const struct config *cfg, const char *name,
                     bool is_keystore)
{
    _cleanup_buf_ struct buf content = {0};
    struct error err;
    const char *path = property(cfg, name);

    if (path == NULL || !file_read(path, &content, NULL, &err)) {
        return;
    }
    if (is_keystore) {
        add_keystore(out, buf_str(&content), property(cfg, "ssl.keystore.password"), path);
    } else {
        add_pem(out, buf_str(&content), path);
    }
}

static void add_text(struct certificates *out, const struct config *cfg, const char *name)
{
    char place[64];
    const char *text = property(cfg, name);

    if (text != NULL) {
        snprintf(place, sizeof place, "property '%s'", name);
        add_pem(out, str_of(text), place);
    }
}

/* Of all CAs so far. */
static void note_last_ca(struct certificates *out)
{
    int64_t last = INT64_MIN;

    for (size_t i = 0; i < out->count; i++) {
        last = MAX(last, out->items[i].ends);
    }
    for (size_t i = 0; i < out->count; i++) {
        out->items[i].last_ca = last;
    }
}

void certificates_read(const struct config *cfg, struct certificates *out)
{
    *out = (struct certificates){0};
    if (!uses_tls(cfg)) {
        return;
    }
    out->items = mem_array(CERTIFICATES_MAX, sizeof *out->items);
    ERR_set_mark(); /* what is no certificate leaves errors in the queue of this thread */
    add_file(out, cfg, "ssl.ca.location", false);
    add_text(out, cfg, "ssl.ca.pem");
    note_last_ca(out);
    add_file(out, cfg, "ssl.certificate.location", false);
    add_text(out, cfg, "ssl.certificate.pem");
    add_file(out, cfg, "ssl.keystore.location", true);
    ERR_pop_to_mark();
    out->items = mem_realloc(out->items, MAX(out->count, 1), sizeof *out->items);
}

void certificates_done(struct certificates *c)
{
    free(c->items);
    *c = (struct certificates){0};
}

/* ---- judging ---- */

static const struct certificate *first_to_end(const struct certificates *c)
{
    const struct certificate *first = NULL;

    for (size_t i = 0; i < c->count; i++) {
        const struct certificate *x = &c->items[i];
        bool outlasted = x->ends < x->last_ca;
        if (!outlasted && (first == NULL || x->ends < first->ends)) {
            first = x;
        }
    }
    return first;
}

/* Does its place hold only certificates by now that last longer, or a new CA beside the old? */
static bool is_renewed(const struct certificate *used, const struct certificates *on_disk)
{
    int64_t first = INT64_MAX;

    for (size_t i = 0; on_disk != NULL && i < on_disk->count; i++) {
        const struct certificate *x = &on_disk->items[i];
        if (strcmp(x->place, used->place) != 0) {
            continue;
        }
        if (x->last_ca > used->last_ca) {
            return true;
        }
        first = MIN(first, x->ends);
    }
    return first != INT64_MAX && first > used->ends;
}

/* "expires in 3 days" */
static void describe(int64_t left, char *out, size_t size)
{
    int64_t unit = left >= 2 * DAY ? DAY : left >= 2 * HOUR ? HOUR : MINUTE;
    const char *name = unit == DAY ? "day" : unit == HOUR ? "hour" : "minute";
    long long n = (left + unit / 2) / unit;

    if (left <= 0) {
        snprintf(out, size, "has expired");
    } else {
        snprintf(out, size, "expires in %lld %s%s", n, name, n == 1 ? "" : "s");
    }
}

enum certificates_state certificates_judge(const struct certificates *used,
                                           const struct certificates *on_disk, int64_t now,
                                           struct error *err)
{
    char when[40];
    char what[40];
    struct tm tm;
    const struct certificate *c = first_to_end(used);

    if (c == NULL || c->ends - now > (int64_t) CERTIFICATES_NOTICE_DAYS * DAY) {
        return CERTIFICATES_FINE;
    }
    time_t ends = (time_t) c->ends;
    gmtime_r(&ends, &tm);
    strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%SZ", &tm);
    describe(c->ends - now, what, sizeof what);
    bool renewed = is_renewed(c, on_disk);
    error_set(err, ERROR_SETUP, "kafka: certificate '%s' in %s %s (%s)%s", c->name, c->place, what,
              when, renewed ? "; a renewed one is there, but this process still uses the old" : "");
    if (renewed) {
        error_hint(err, "Restart: librdkafka reads certificates only when it starts.");
    } else {
        error_hint(err, "Put the renewed one in its place and restart: librdkafka reads it only "
                        "when it starts.");
    }
    return c->ends <= now ? CERTIFICATES_EXPIRED : CERTIFICATES_EXPIRE;
}
