/*
 * Keys, values, headers and the record's own numbers into cells.
 *
 * All headers together are one JSON object, in their order; a name that comes twice stands there
 * twice (in jsonb the last one wins, as it does for headers.<name>). A value is a string, or null.
 * A name or value that is no text (not UTF-8, or with U+0000) is a string of \x and hexadecimal
 * digits, as bytea is written. Any thread.
 */
#include "row/decode_raw.h"

#include <string.h>

static struct cell bytes_cell(struct str s)
{
    return (struct cell){.kind = s.p ? CELL_BYTES : CELL_NULL, .text = s};
}

static struct cell int_cell(int64_t n)
{
    return (struct cell){.kind = CELL_INT, .number = n};
}

/* ---- headers ---- */

static bool is_text(struct str s)
{
    return s.n == 0 || (!memchr(s.p, 0, s.n) && str_utf8(s, NULL));
}

static void put_hex(struct buf *out, struct str s)
{
    static const char hex[] = "0123456789abcdef";
    buf_add_z(out, "\"\\\\x");
    for (size_t i = 0; i < s.n; i++) {
        buf_add_u8(out, (uint8_t) hex[(uint8_t) s.p[i] >> 4]);
        buf_add_u8(out, (uint8_t) hex[(uint8_t) s.p[i] & 15]);
    }
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

static struct cell headers_cell(const struct message *msg, struct buf *text)
{
    buf_clear(text);
    buf_add_u8(text, '{');
    for (size_t i = 0; i < msg->header_count; i++) {
        const struct message_header *h = &msg->headers[i];
        buf_add_z(text, i > 0 ? "," : "");
        put_string(text, h->name);
        buf_add_u8(text, ':');
        if (h->value.p) {
            put_string(text, h->value);
        } else {
            buf_add_z(text, "null");
        }
    }
    buf_add_u8(text, '}');
    return (struct cell){.kind = CELL_JSON, .text = buf_str(text)};
}

static struct cell header_cell(const struct message *msg, struct str name)
{
    for (size_t i = msg->header_count; i-- > 0;) {
        if (str_eq(msg->headers[i].name, name)) {
            return bytes_cell(msg->headers[i].value);
        }
    }
    return (struct cell){.kind = CELL_ABSENT};
}

/* ---- all sources ---- */

/* The whole document: any JSON value as its text, but null is NULL. */
static struct cell document_cell(const struct cell *root, struct str value)
{
    struct cell c = {.kind = CELL_JSON, .text = root->kind == CELL_STRING ? root->raw : root->text};
    if (root->kind == CELL_NULL) {
        c.kind = CELL_NULL;
    } else if (root->kind == CELL_BOOL) {
        c.text = str_trim(value);
    }
    return c;
}

static struct cell value_bytes_cell(const struct mapping *m, const struct cell *root,
                                    struct str value)
{
    if (m->reads_value && root->kind == CELL_NULL) {
        return (struct cell){.kind = CELL_NULL};
    }
    return bytes_cell(value);
}

static struct cell source_cell(const struct mapping *m, const struct source *s,
                               const struct message *msg, const struct cell *root, struct buf *text)
{
    switch (s->kind) {
    case SOURCE_VALUE_JSON:
        return document_cell(root, msg->value);
    case SOURCE_VALUE_BYTES:
        return value_bytes_cell(m, root, msg->value);
    case SOURCE_KEY_BYTES:
        return bytes_cell(msg->key);
    case SOURCE_HEADERS:
        return headers_cell(msg, text);
    case SOURCE_HEADER:
        return header_cell(msg, s->header);
    case SOURCE_TOPIC:
        return (struct cell){.kind = CELL_STRING, .text = msg->topic};
    case SOURCE_PARTITION:
        return int_cell(msg->partition);
    case SOURCE_OFFSET:
        return int_cell(msg->offset);
    case SOURCE_TIMESTAMP:
        return msg->timestamp_ms < 0 ? (struct cell){.kind = CELL_ABSENT}
                                     : int_cell(msg->timestamp_ms);
    }
    __builtin_unreachable();
}

void decode_raw(const struct mapping *m, const struct message *msg, struct cell *cells,
                struct buf *text)
{
    struct cell *to = cells + mapping_source_cell(m);
    for (size_t i = 0; i < m->source_count; i++) {
        to[i] = source_cell(m, &m->sources[i], msg, &cells[0], text);
    }
}
