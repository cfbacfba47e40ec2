/*
 * Keys, values, headers and the record's own numbers into cells.
 *
 * All headers together are one JSON object, in their order; a name that comes twice stands there
 * twice (in jsonb the last one wins, as it does for headers.<name>). A value is a string, or null.
 * A name or value that is no text (not UTF-8, or with U+0000) is a string of \x and hexadecimal
 * digits, as bytea is written. Any thread.
 */
#include "row/record/sources.h"

#include "row/text/hex.h"

#include <string.h>

/* Cells are filled where they are: to copy one that was just made is slow (store forwarding). */
static void set_bytes(struct cell *c, struct str s)
{
    c->kind = s.p != NULL ? CELL_BYTES : CELL_NULL;
    c->text = s;
    c->raw = (struct str){0};
}

static void set_text(struct cell *c, enum cell_kind kind, struct str s)
{
    c->kind = kind;
    c->text = s;
    c->raw = (struct str){0};
}

/* ---- headers ---- */

static bool is_text(struct str s)
{
    return s.n == 0 || (memchr(s.p, 0, s.n) == NULL && str_utf8(s, NULL));
}

static void put_hex(struct buf *out, struct str s)
{
    buf_add_z(out, "\"\\\\x");
    hex_add(out, s.p, s.n);
    buf_add_u8(out, '"');
}

static void put_string(struct buf *out, struct str s)
{
    if (!is_text(s)) {
        put_hex(out, s);
        return;
    }
    buf_add_u8(out, '"');
    for (size_t i = 0; i < s.n; i++) {
        uint8_t c = (uint8_t) s.p[i];
        if (c == '"' || c == '\\') {
            buf_add_u8(out, '\\');
        }
        if (c < 0x20) {
            buf_printf(out, "\\u%04x", (unsigned) c);
        } else {
            buf_add_u8(out, c);
        }
    }
    buf_add_u8(out, '"');
}

static void set_headers(struct cell *c, const struct message *msg, struct buf *text)
{
    buf_clear(text);
    buf_add_u8(text, '{');
    for (size_t i = 0; i < msg->header_count; i++) {
        const struct message_header *h = &msg->headers[i];
        buf_add_z(text, i > 0 ? "," : "");
        put_string(text, h->name);
        buf_add_u8(text, ':');
        if (h->value.p != NULL) {
            put_string(text, h->value);
        } else {
            buf_add_z(text, "null");
        }
    }
    buf_add_u8(text, '}');
    set_text(c, CELL_JSON, buf_str(text));
}

static void set_header(struct cell *c, const struct message *msg, struct str name)
{
    c->kind = CELL_ABSENT;
    for (size_t i = msg->header_count; i-- > 0 && c->kind == CELL_ABSENT;) {
        if (str_eq(msg->headers[i].name, name)) {
            set_bytes(c, msg->headers[i].value);
        }
    }
}

/* ---- all sources ---- */

/* The whole document: any JSON value as its text, but null is NULL. Of a format that is not JSON a
 * string or a number has no such text, and stays what it is. */
static void set_document(struct cell *c, const struct cell *root)
{
    switch (root->kind) {
    case CELL_BOOL:
        set_text(c, CELL_JSON, root->truth ? STR_LIT("true") : STR_LIT("false"));
        return;
    case CELL_STRING:
        if (root->raw.p != NULL) {
            set_text(c, CELL_JSON, root->raw);
        } else {
            *c = *root;
        }
        return;
    case CELL_NUMBER:
    case CELL_JSON:
        set_text(c, CELL_JSON, root->text);
        return;
    case CELL_BYTES:
        set_bytes(c, root->text);
        return;
    case CELL_ABSENT:
    case CELL_NULL:
    case CELL_INT:
        *c = *root;
        return;
    }
    __builtin_unreachable();
}

static void set_source(struct cell *c, const struct mapping *m, const struct source *s,
                       const struct message *msg, const struct cell *root, struct buf *text)
{
    switch (s->kind) {
    case SOURCE_VALUE_JSON:
        set_document(c, root);
        return;
    case SOURCE_VALUE_BYTES:
        set_bytes(c, m->reads_value && root->kind == CELL_NULL ? (struct str){0} : msg->value);
        return;
    case SOURCE_KEY_BYTES:
        set_bytes(c, msg->key);
        return;
    case SOURCE_HEADERS:
        set_headers(c, msg, text);
        return;
    case SOURCE_HEADER:
        set_header(c, msg, s->text);
        return;
    case SOURCE_TOPIC:
        set_text(c, CELL_STRING, msg->topic);
        return;
    case SOURCE_PARTITION:
        cell_set_int(c, msg->partition, UNIT_NONE);
        return;
    case SOURCE_OFFSET:
        cell_set_int(c, msg->offset, UNIT_NONE);
        return;
    case SOURCE_TIMESTAMP:
        cell_set_int(c, msg->timestamp_ms, UNIT_MS);
        c->kind = msg->timestamp_ms < 0 ? CELL_ABSENT : CELL_INT;
        return;
    case SOURCE_CONSTANT:
        set_bytes(c, s->text);
        return;
    case SOURCE_SCHEMA:
    case SOURCE_SCHEMA_ID:
    case SOURCE_INDEX:
    case SOURCE_MARK:
    case SOURCE_REST:
        return;
    }
    __builtin_unreachable();
}

void sources_fill(const struct mapping *m, const struct message *msg, struct cell *cells,
                  struct buf *text)
{
    struct cell *to = cells + mapping_source_cell(m);

    for (size_t i = 0; i < m->source_count; i++) {
        set_source(&to[i], m, &m->sources[i], msg, &cells[0], text);
    }
}
