/*
 * When the certificates end that kafka.properties names. librdkafka reads them once, when a client
 * is made, and does not say when they expire. Any thread.
 */
#ifndef KAFKA_CERTIFICATES_H
#define KAFKA_CERTIFICATES_H

#include "base/error.h"
#include "config/config.h"

#define CERTIFICATES_MAX ((size_t) 1000)
#define CERTIFICATES_NOTICE_DAYS 14

struct certificate {
    char name[128];  /* its subject: "CN=pgsinkd,O=Example"; printable ASCII, cut if longer */
    char place[256]; /* the file, or "property 'ssl.ca.pem'"; cut if longer */
    int64_t ends;    /* notAfter, Unix time in seconds */
    int64_t last_ca; /* of a CA: when the last of all CAs ends; else INT64_MIN */
};

struct certificates {
    struct certificate *items;
    size_t count;
};

/*
 * Those of ssl.ca.*, ssl.certificate.* and ssl.keystore.location, if security.protocol says that
 * TLS is used; of all files together CERTIFICATES_MAX at most. What cannot be read (a directory, a
 * file of more than FILE_MAX bytes, another password) has none: the library says what is wrong with
 * it. To be freed with certificates_done.
 */
void certificates_read(const struct config *cfg, struct certificates *out);
void certificates_done(struct certificates *c);

enum certificates_state {
    CERTIFICATES_FINE,
    CERTIFICATES_EXPIRE,  /* one within CERTIFICATES_NOTICE_DAYS */
    CERTIFICATES_EXPIRED, /* one has */
};

/*
 * How those stand that are in use; `now` is Unix time in seconds. Fills *err, if not all is fine,
 * with the one that ends first. on_disk: what its place holds by now, which says whether only a
 * restart is missing; NULL: the same. Of several CAs only the one that lasts longest counts: an old
 * one is left there when a new one is added, and a distribution's file holds those of everybody.
 */
enum certificates_state certificates_judge(const struct certificates *used,
                                           const struct certificates *on_disk, int64_t now,
                                           struct error *err);

#endif
