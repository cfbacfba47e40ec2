/* Dead letters as text, see letter_text.h. Pure. Main thread. */
#include "command/letter_text.h"

#include "command/escape.h"
#include "command/json_text.h"

#include <string.h>

/* ---- pieces ---- */

static void add_bytes(struct buf *out, struct str s)
{
    if (s.p == NULL) {
        buf_add_z(out, "(none)");
    } else if (str_utf8(s, NULL)) {
        escape_add(out, s, '\0');
    } else {
        buf_add_z(out, "\\x");
        escape_add_hex(out, s);
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

static void add_json_headers(struct buf *out, const struct letter *letter)
{
    json_name(out, "headers");
    buf_add_u8(out, '[');
    for (size_t i = 0; i < letter->header_count; i++) {
        buf_add_z(out, i == 0 ? "{" : ",{");
        json_text(out, "name", letter->headers[i].name);
        json_text(out, "value", letter->headers[i].value);
        buf_add_u8(out, '}');
    }
    buf_add_u8(out, ']');
}

void letter_text_json(const struct letter *letter, bool whole, struct buf *out)
{
    buf_add_u8(out, '{');
    json_text(out, "topic", str_of(letter->topic));
    json_number(out, "partition", letter->partition);
    json_number(out, "offset", letter->offset);
    json_text(out, "route", str_of(letter->route));
    json_text(out, "timestamp", str_of(letter->timestamp));
    json_text(out, "error_class", str_of(letter->error_class));
    json_text(out, "sqlstate", str_of(letter->sqlstate));
    json_text(out, "message", str_of(letter->message));
    json_text(out, "column", str_of(letter->column));
    json_text(out, "failed_at", str_of(letter->failed_at));
    json_number(out, "attempts", letter->attempts);
    json_text(out, "replay_requested_at", str_of(letter->replay_requested_at));
    if (whole) {
        json_text(out, "key", letter->key);
        json_text(out, "value", letter->value);
        add_json_headers(out, letter);
    }
    buf_add_z(out, "}\n");
}
