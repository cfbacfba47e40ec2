/* Dead letters as text, see letter_text.h. Pure. Main thread. */
#include "command/letter_text.h"

#include "command/escape.h"

#include <string.h>

/* ---- pieces ---- */

static void add_hex(struct buf *out, struct str s)
{
    for (size_t i = 0; i < s.n; i++) {
        buf_printf(out, "%02x", (unsigned) (unsigned char) s.p[i]);
    }
}

static void add_bytes(struct buf *out, struct str s)
{
    if (s.p == NULL) {
        buf_add_z(out, "(none)");
    } else if (str_utf8(s, NULL)) {
        escape_add(out, s, '\0');
    } else {
        buf_add_z(out, "\\x");
        add_hex(out, s);
    }
}

static void add_text(struct buf *out, const char *text)
{
    escape_add(out, text != NULL ? str_of(text) : STR_LIT("-"), '\0');
}

static void add_place(struct buf *out, const struct letter *letter)
{
    buf_printf(out, "%s-%s@%s", letter->topic, letter->partition, letter->offset);
}

/* ---- for people ---- */

void letter_text_line(const struct letter *letter, struct buf *out)
{
    const char *const fields[] = {letter->route,   letter->sqlstate,  letter->column,
                                  letter->message, letter->failed_at, letter->attempts};

    add_place(out, letter);
    for (size_t i = 0; i < ARRAY_LEN(fields); i++) {
        buf_add_u8(out, '\t');
        add_text(out, fields[i]);
    }
    buf_add_u8(out, '\n');
}

static void add_label(struct buf *out, const char *label)
{
    buf_printf(out, "  %-10s ", label);
}

static void add_line(struct buf *out, const char *label, const char *text)
{
    if (text != NULL) {
        add_label(out, label);
        add_text(out, text);
        buf_add_u8(out, '\n');
    }
}

static void add_bytes_line(struct buf *out, const char *label, struct str s)
{
    add_label(out, label);
    add_bytes(out, s);
    buf_add_u8(out, '\n');
}

void letter_text_full(const struct letter *letter, struct buf *out)
{
    add_place(out, letter);
    buf_add_u8(out, '\n');
    add_line(out, "route", letter->route);
    add_line(out, "message", letter->message);
    add_line(out, "refused by",
             strcmp(letter->error_class, "database") == 0 ? "PostgreSQL" : "pgsinkd");
    add_line(out, "sqlstate", letter->sqlstate);
    add_line(out, "column", letter->column);
    add_line(out, "failed at", letter->failed_at);
    add_line(out, "attempts", letter->attempts);
    add_line(out, "replay at", letter->replay_requested_at);
    add_line(out, "timestamp", letter->timestamp);
    add_bytes_line(out, "key", letter->key);
    for (size_t i = 0; i < letter->header_count; i++) {
        add_label(out, "header");
        add_bytes(out, letter->headers[i].name);
        buf_add_z(out, ": ");
        add_bytes(out, letter->headers[i].value);
        buf_add_u8(out, '\n');
    }
    add_bytes_line(out, "value", letter->value);
}

/* ---- for programs ---- */

static void add_name(struct buf *out, const char *name, const char *suffix)
{
    if (out->p[out->n - 1] != '{') {
        buf_add_u8(out, ',');
    }
    buf_printf(out, "\"%s%s\":", name, suffix);
}

static void add_member(struct buf *out, const char *name, struct str s)
{
    bool hex = s.p != NULL && !str_utf8(s, NULL);

    add_name(out, name, hex ? "_hex" : "");
    if (s.p == NULL) {
        buf_add_z(out, "null");
        return;
    }
    buf_add_u8(out, '"');
    if (hex) {
        add_hex(out, s);
    } else {
        escape_add(out, s, '"');
    }
    buf_add_u8(out, '"');
}

static void add_number(struct buf *out, const char *name, const char *digits)
{
    add_name(out, name, "");
    buf_add_z(out, digits);
}

static void add_json_headers(struct buf *out, const struct letter *letter)
{
    add_name(out, "headers", "");
    buf_add_u8(out, '[');
    for (size_t i = 0; i < letter->header_count; i++) {
        buf_add_z(out, i == 0 ? "{" : ",{");
        add_member(out, "name", letter->headers[i].name);
        add_member(out, "value", letter->headers[i].value);
        buf_add_u8(out, '}');
    }
    buf_add_u8(out, ']');
}

void letter_text_json(const struct letter *letter, bool whole, struct buf *out)
{
    buf_add_u8(out, '{');
    add_member(out, "topic", str_of(letter->topic));
    add_number(out, "partition", letter->partition);
    add_number(out, "offset", letter->offset);
    add_member(out, "route", str_of(letter->route));
    add_member(out, "timestamp", str_of(letter->timestamp));
    add_member(out, "error_class", str_of(letter->error_class));
    add_member(out, "sqlstate", str_of(letter->sqlstate));
    add_member(out, "message", str_of(letter->message));
    add_member(out, "column", str_of(letter->column));
    add_member(out, "failed_at", str_of(letter->failed_at));
    add_number(out, "attempts", letter->attempts);
    add_member(out, "replay_requested_at", str_of(letter->replay_requested_at));
    if (whole) {
        add_member(out, "key", letter->key);
        add_member(out, "value", letter->value);
        add_json_headers(out, letter);
    }
    buf_add_z(out, "}\n");
}
