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

/* A message is cut by bytes, maybe inside a character, and may quote anything. */
static void make_utf8(char *text)
{
    size_t chars;

    for (size_t n = strlen(text), cut = 0; cut < 3 && n > 0 && !str_utf8(str_of(text), &chars);
         cut++) {
        text[--n] = '\0';
    }
    for (char *p = text; *p && !str_utf8(str_of(text), &chars); p++) {
        *p = (unsigned char) *p < 0x80 ? *p : '?';
    }
}

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
    char message[sizeof e->text];
    memcpy(message, e->text, sizeof message);
    make_utf8(message);
    add_text(out, message);
    add_bytes(out, *e->column ? str_of(e->column) : (struct str){0});
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
