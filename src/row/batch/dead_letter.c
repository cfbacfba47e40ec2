/* See dead_letter.h. Pure; any thread. */
#include "row/batch/dead_letter.h"

#include "base/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* In the order of the fields of a tuple. */
static const char *const columns[] = {
    "sink",        "topic",    "partition", "offset",       "route",
    "timestamp",   "key",      "value",     "header_names", "header_values",
    "error_class", "sqlstate", "message",   "column",       "attempts",
};

enum { AT_ROUTE = 4, AT_SQLSTATE = 11, AT_MESSAGE = 12, AT_COLUMN = 13 };

#define TARGET_ID UINT32_MAX /* after all others */
/* timestamptz counts microseconds from 2000-01-01; its last moment is in the year 294276. */
#define EPOCH_2000_MS INT64_C(946684800000)
#define TIMESTAMP_MAX_MS INT64_C(9000000000000000)

struct target *dead_letter_target(const struct table *table, struct error *err)
{
    struct target *t = mem_zalloc(sizeof *t);

    t->id = TARGET_ID;
    t->table = table;
    t->columns = mem_array(ARRAY_LEN(columns), sizeof *t->columns);
    for (size_t i = 0; i < ARRAY_LEN(columns); i++) {
        const struct column *c = table_column(table, str_of(columns[i]));
        if (c == NULL) {
            error_set(err, ERROR_SETUP, "table %s has no column '%s'", table->quoted, columns[i]);
            dead_letter_target_free(t);
            return NULL;
        }
        t->columns[t->column_count++] = (struct target_column){.column = c, .omit_bit = -1};
    }
    return t;
}

void dead_letter_target_free(struct target *t)
{
    if (t != NULL) {
        free(t->columns);
        free(t);
    }
}

/* ---- fields ---- */

static void add_null(struct buf *out)
{
    buf_add_u32(out, UINT32_MAX);
}

static void add_bytes(struct buf *out, struct str s)
{
    if (s.p == NULL) {
        add_null(out);
        return;
    }
    buf_add_u32(out, (uint32_t) s.n);
    buf_add(out, s.p, s.n);
}

static void add_text(struct buf *out, const char *text)
{
    add_bytes(out, str_of(text));
}

/* The bytes of the character at p, as its first byte says; 1 for a byte that begins none. */
static size_t char_bytes(const char *p)
{
    unsigned char c = (unsigned char) *p;

    return c >= 0xf8 ? 1 : c >= 0xf0 ? 4 : c >= 0xe0 ? 3 : c >= 0xc0 ? 2 : 1;
}

static void add_unit(struct buf *out, uint32_t unit)
{
    buf_printf(out, "\\u%04x", unit);
}

/* A character beyond ASCII as JSON writes it. */
static void add_escaped(struct buf *out, const char *p, size_t n)
{
    uint32_t c = (unsigned char) p[0] & (0xffU >> (n + 1));

    for (size_t i = 1; i < n; i++) {
        c = c << 6 | ((unsigned char) p[i] & 0x3fU);
    }
    if (c >= 0x10000) {
        add_unit(out, 0xd800 + ((c - 0x10000) >> 10));
        add_unit(out, 0xdc00 + ((c - 0x10000) & 0x3ff));
    } else {
        add_unit(out, c);
    }
}

/*
 * A text for people, which may quote anything and may be cut inside a character: only that
 * character is dropped, and a byte that is no UTF-8 becomes a question mark. With `escapes`
 * everything beyond ASCII is written as \\uXXXX.
 */
static void add_said(struct buf *out, const char *text, bool escapes)
{
    size_t begin = out->n;

    buf_add_u32(out, 0); /* the length, known at the end */
    for (size_t n; *text != '\0'; text += n) {
        n = char_bytes(text);
        size_t there = strnlen(text, n);
        if (there < n) {
            bool is_cut = true;
            for (size_t i = 1; i < there; i++) {
                is_cut &= ((unsigned char) text[i] & 0xc0) == 0x80;
            }
            if (is_cut) {
                break;
            }
        }
        if (there < n || !str_utf8((struct str){text, n}, NULL)) {
            n = 1;
            buf_add_u8(out, '?');
        } else if (n > 1 && escapes) {
            add_escaped(out, text, n);
        } else {
            buf_add(out, text, n);
        }
    }
    buf_put_u32(out->p + begin, (uint32_t) (out->n - begin - sizeof(uint32_t)));
}

static void add_i32(struct buf *out, int32_t v)
{
    buf_add_u32(out, sizeof v);
    buf_add_u32(out, (uint32_t) v);
}

static void add_i64(struct buf *out, int64_t v)
{
    buf_add_u32(out, sizeof v);
    buf_add_u64(out, (uint64_t) v);
}

/* A producer may say anything: what timestamptz cannot hold is NULL. */
static void add_timestamp(struct buf *out, int64_t ms)
{
    if (ms < 0 || ms > TIMESTAMP_MAX_MS) {
        add_null(out);
    } else {
        add_i64(out, (ms - EPOCH_2000_MS) * 1000);
    }
}

/* bytea[] of all names, or all values; NULL when there are no headers. */
static void add_headers(struct buf *out, const struct message *m, bool names)
{
    if (m->header_count == 0) {
        add_null(out);
        return;
    }
    size_t begin = out->n;
    buf_add_u32(out, 0); /* the length, known at the end */
    buf_add_u32(out, 1); /* dimensions */
    buf_add_u32(out, 1); /* may hold NULLs */
    buf_add_u32(out, OID_BYTEA);
    buf_add_u32(out, (uint32_t) m->header_count);
    buf_add_u32(out, 1); /* lower bound */
    for (size_t i = 0; i < m->header_count; i++) {
        add_bytes(out, names ? m->headers[i].name : m->headers[i].value);
    }
    buf_put_u32(out->p + begin, (uint32_t) (out->n - begin - sizeof(uint32_t)));
}

/* What a person can do about it belongs to what is wrong: nobody else will say it again. */
static void add_message(struct buf *out, const struct error *e, bool escapes)
{
    char text[sizeof e->text + sizeof e->hint + 8];

    snprintf(text, sizeof text, "%s%s%s", e->text, *e->hint ? " HINT: " : "", e->hint);
    add_said(out, text, escapes);
}

void dead_letter_write(const struct dead_letter *d, struct buf *out)
{
    const struct message *m = d->message;
    const struct error *e = d->error;

    buf_add_u16(out, ARRAY_LEN(columns));
    add_text(out, d->sink);
    add_bytes(out, m->topic);
    add_i32(out, m->partition);
    add_i64(out, m->offset);
    add_text(out, d->route);
    add_timestamp(out, m->timestamp_ms);
    add_bytes(out, m->key);
    add_bytes(out, m->value);
    add_headers(out, m, true);
    add_headers(out, m, false);
    add_text(out, d->class == DEAD_LETTER_RECORD ? "record" : "database");
    add_bytes(out, *e->sqlstate ? str_of(e->sqlstate) : (struct str){0});
    add_message(out, e, d->escapes);
    if (*e->column) {
        add_said(out, e->column, d->escapes);
    } else {
        add_null(out);
    }
    add_i32(out, d->attempts);
}

/* ---- and back ---- */

/* The next field; *at moves behind it. p is NULL for a NULL. */
static struct str next_field(const char **at)
{
    uint32_t n;

    memcpy(&n, *at, sizeof n);
    n = __builtin_bswap32(n);
    *at += sizeof n;
    if (n == UINT32_MAX) {
        return (struct str){0};
    }
    struct str s = {.p = *at, .n = n};
    *at += n;
    return s;
}

void dead_letter_read(struct str tuple, struct str *out_route, struct error *out_fault)
{
    const char *at = tuple.p + sizeof(uint16_t);
    struct str fields[ARRAY_LEN(columns)];

    for (size_t i = 0; i < ARRAY_LEN(columns); i++) {
        fields[i] = next_field(&at);
    }
    *out_route = fields[AT_ROUTE];
    error_set(out_fault, ERROR_RECORD, STR_FMT, STR_ARG(fields[AT_MESSAGE]));
    snprintf(out_fault->sqlstate, sizeof out_fault->sqlstate, STR_FMT,
             STR_ARG(fields[AT_SQLSTATE]));
    snprintf(out_fault->column, sizeof out_fault->column, STR_FMT, STR_ARG(fields[AT_COLUMN]));
}
