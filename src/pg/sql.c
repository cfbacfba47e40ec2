/* Quoting, see sql.h. Pure; any thread. */
#include "pg/sql.h"

#include "base/mem.h"
#include "row/table/table.h"

#include <string.h>

void sql_literal(struct buf *out, const char *text)
{
    buf_add_u8(out, '\'');
    for (; *text; text++) {
        if (*text == '\'') {
            buf_add_u8(out, '\'');
        }
        buf_add_u8(out, (uint8_t) *text);
    }
    buf_add_u8(out, '\'');
}

void sql_array_open(struct buf *out)
{
    buf_add_u8(out, '{');
}

static void separate(struct buf *out)
{
    if (out->p[out->n - 1] != '{') {
        buf_add_u8(out, ',');
    }
}

static void array_text(struct buf *out, const char *text, bool in_literal)
{
    separate(out);
    buf_add_u8(out, '"');
    for (; *text; text++) {
        if (*text == '"' || *text == '\\') {
            buf_add_u8(out, '\\');
        } else if (*text == '\'' && in_literal) {
            buf_add_u8(out, '\'');
        }
        buf_add_u8(out, (uint8_t) *text);
    }
    buf_add_u8(out, '"');
}

void sql_array_text(struct buf *out, const char *text)
{
    array_text(out, text, false);
}

void sql_array_text_quoted(struct buf *out, const char *text)
{
    array_text(out, text, true);
}

void sql_array_i64(struct buf *out, int64_t value)
{
    char digits[24];
    char *p = digits + sizeof digits;
    uint64_t v = value < 0 ? 0 - (uint64_t) value : (uint64_t) value;

    separate(out);
    do {
        *--p = (char) ('0' + v % 10);
        v /= 10;
    } while (v);
    if (value < 0) {
        *--p = '-';
    }
    buf_add(out, p, (size_t) (digits + sizeof digits - p));
}

void sql_array_null(struct buf *out)
{
    separate(out);
    buf_add_z(out, "NULL");
}

void sql_array_close(struct buf *out)
{
    buf_add_u8(out, '}');
}

char *sql_in_schema(const char *sql, const char *schema)
{
    _cleanup_buf_ struct buf out = {0};

    for (const char *at; (at = strstr(sql, "$S")) != NULL; sql = at + 2) {
        buf_add(&out, sql, (size_t) (at - sql));
        table_quote_ident(&out, schema);
    }
    buf_add_z(&out, sql);
    return mem_strdup(buf_cstr(&out));
}
