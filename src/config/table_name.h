/*
 * A table's name as people write it in SQL, taken apart: public.orders, public."Mixed Case",
 * orders. Unquoted parts fold to lower case (ASCII), quoted ones are exact, "" inside quotes is one
 * quote. The name may be a template: {topic} stands for the exact name of the topic, {value.type}
 * and other paths for what a record has there. row/ says which paths there are. Pure;
 * any thread.
 */
#ifndef CONFIG_TABLE_NAME_H
#define CONFIG_TABLE_NAME_H

#include "base/buf.h"
#include "base/error.h"
#include "base/str.h"

/* Bytes of an identifier; PostgreSQL would silently cut a longer one. */
#define TABLE_NAME_MAX 63

struct table_name {
    char *schema; /* NULL = the search path decides */
    char *name;   /* unquoted and folded; with {topic} or {path} when is_template */
    bool is_template;
    bool is_by_record; /* a template with more than {topic} */
};

/*
 * Parses text. On failure err is ERROR_SETUP, and *out_at, if not NULL, the byte of text it
 * concerns. The caller owns what *out holds.
 */
bool table_name_parse(struct str text, struct table_name *out, size_t *out_at,
                      struct error *err) _must_;
void table_name_done(struct table_name *t);

/*
 * Appends the name (without schema, without quotes) of the table for one topic. ERROR_SETUP when it
 * is longer than an identifier may be.
 */
bool table_name_for_topic(const struct table_name *t, struct str topic, struct buf *out_name,
                          struct error *err) _must_;

/* Appends the whole name as SQL, quoted where needed; a template keeps its braces. Reads back as
 * the same. */
void table_name_print(const struct table_name *t, struct buf *out);

bool table_name_same(const struct table_name *a, const struct table_name *b) _pure_;

#endif
