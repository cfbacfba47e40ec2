/*
 * A place in a record as users write it: "value.customer.name", "key", "headers.trace",
 * "meta.offset", "item.sku". The forms are in row/mapping/mapping.h. Main thread, while a mapping
 * is made.
 */
#ifndef ROW_PATH_PATH_H
#define ROW_PATH_PATH_H

#include "base/buf.h"
#include "base/error.h"
#include "base/str.h"

enum path_root { PATH_VALUE, PATH_KEY, PATH_HEADERS, PATH_META, PATH_ITEM };

enum path_meta {
    META_TOPIC,
    META_PARTITION,
    META_OFFSET,
    META_TIMESTAMP,
    META_INDEX,
    META_SCHEMA,
    META_SCHEMA_ID,
};

struct path {
    enum path_root root;
    enum path_meta meta; /* PATH_META */
    struct str *names;   /* owned, and what they point to; none for PATH_META */
    size_t name_count;
    size_t name_cap;
    bool is_column; /* no user wrote it: its last name is that of a column */
};

/* Fills *out, which the caller releases with path_done. ERROR_SETUP. */
bool path_parse(const char *text, struct path *out, struct error *err) _must_;
void path_done(struct path *p);

/* How many bytes at the beginning of a longer text may be a path, which path_parse is then given.
 * 0: no path begins there. */
size_t path_length(const char *text) _pure_;

/* Adds one name below what is there. */
void path_add(struct path *p, struct str name);

/* Appends the names, joined by dots and quoted where they have to be; with_root: the root
 * comes first. */
void path_print(const struct path *p, bool with_root, struct buf *out);

#endif
