/* See json_text.h. Pure. Main thread. */
#include "command/json_text.h"

#include "command/escape.h"

#include <inttypes.h>

void json_next(struct buf *out)
{
    if (out->n > 0 && out->p[out->n - 1] != '{' && out->p[out->n - 1] != '[') {
        buf_add_u8(out, ',');
    }
}

static void add_name(struct buf *out, const char *name, const char *suffix)
{
    json_next(out);
    buf_printf(out, "\"%s%s\":", name, suffix);
}

void json_name(struct buf *out, const char *name)
{
    add_name(out, name, "");
}

static void add_text(struct buf *out, const char *name, struct str s, bool hex)
{
    add_name(out, name, hex ? "_hex" : "");
    if (s.p == NULL) {
        buf_add_z(out, "null");
        return;
    }
    buf_add_u8(out, '"');
    if (hex) {
        escape_add_hex(out, s);
    } else {
        escape_add(out, s, '"');
    }
    buf_add_u8(out, '"');
}

void json_text(struct buf *out, const char *name, struct str s)
{
    add_text(out, name, s, s.p != NULL && !str_utf8(s, NULL));
}

void json_bytes(struct buf *out, const char *name, struct str s)
{
    add_text(out, name, s, s.p != NULL && !escape_is_text(s));
}

void json_number(struct buf *out, const char *name, const char *digits)
{
    json_name(out, name);
    buf_add_z(out, digits);
}

void json_i64(struct buf *out, const char *name, int64_t value)
{
    json_name(out, name);
    buf_printf(out, "%" PRId64, value);
}

void json_bool(struct buf *out, const char *name, bool value)
{
    json_number(out, name, value ? "true" : "false");
}

void json_string(struct buf *out, const char *text)
{
    if (text == NULL) {
        buf_add_z(out, "null");
        return;
    }
    buf_add_u8(out, '"');
    escape_add(out, str_of(text), '"');
    buf_add_u8(out, '"');
}
