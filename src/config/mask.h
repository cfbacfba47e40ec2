/*
 * Secrets in values that people type, made into *** for printing. In doubt it masks more, never
 * less: a text that it does not understand and that could contain a secret is masked as a whole. A
 * secret that consists of ${...} references only stays as it is. Pure; any thread.
 */
#ifndef CONFIG_MASK_H
#define CONFIG_MASK_H

#include "base/buf.h"
#include "base/str.h"

/* A connection string of libpq, keywords or URI, before expansion: appends it with its secrets
 * masked. */
void mask_dsn(struct str dsn, struct buf *out);

/* Appends a value that is a secret as a whole, before expansion. */
void mask_secret(struct str value, struct buf *out);

/* URLs, separated by commas, before expansion: the passwords in them are masked. */
void mask_urls(struct str urls, struct buf *out);

/* Is the value of a librdkafka property, or of an entry of `registry`, before expansion, a secret,
 * or does it contain one? */
bool mask_is_secret(struct str name, struct str value) _pure_;

/* Appends the value of a librdkafka property, before expansion; masked if it is a secret or
 * contains one. */
void mask_property(struct str name, struct str value, struct buf *out);

#endif
