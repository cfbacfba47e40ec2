/* See try_text.h: for people. Pure. Main thread. */
#include "command/try_text.h"

#include "base/log_line.h"
#include "command/escape.h"
#include "command/sample.h"
#include "pg/sql.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define SHOWN_TEXT_MAX 2000 /* bytes of a key, a value or a header; */
#define SHOWN_HEX_MAX 256   /*   of one that is no text; */
#define SHOWN_VALUE_MAX 200 /*   of a column */

/* Where the clock's four digits for a year end. */
#define STAMP_END_MS INT64_C(253402300800000)

/* ---- pieces ---- */

/* The first bytes of a text, without half a character. */
static struct str cut(struct str s, size_t most)
{
    size_t n = MIN(s.n, most);

    while (n > 0 && n < s.n && ((unsigned char) s.p[n] & 0xc0) == 0x80) {
        n--;
    }
    return (struct str){.p = s.p, .n = n};
}

static void add_rest(struct buf *out, size_t left)
{
    if (left > 0) {
        buf_printf(out, "... (%zu bytes more)", left);
    }
}

static void add_text(struct buf *out, struct str s, size_t most)
{
    struct str head = cut(s, most);

    escape_add(out, head, '\0');
    add_rest(out, s.n - head.n);
}

static void add_bytes(struct buf *out, struct str s)
{
    if (escape_is_text(s)) {
        add_text(out, s, SHOWN_TEXT_MAX);
        return;
    }
    size_t n = MIN(s.n, SHOWN_HEX_MAX);
    buf_add_z(out, "\\x");
    escape_add_hex(out, (struct str){.p = s.p, .n = n});
    add_rest(out, s.n - n);
}

/* ---- the record ---- */

static uint32_t schema_id(struct str bytes)
{
    uint32_t id;

    memcpy(&id, bytes.p + 1, sizeof id);
    return __builtin_bswap32(id);
}

void try_text_looks(struct str bytes, enum guess guess, bool is_key, struct buf *out)
{
    const char *like = sample_like(guess, is_key);

    if (bytes.p == NULL) {
        buf_add_z(out, is_key ? "null" : "null, a tombstone");
    } else if (bytes.n == 0) {
        buf_add_z(out, "empty");
    } else if (like != NULL) {
        buf_add_z(out, like);
        if (guess == GUESS_CONFLUENT || guess == GUESS_CONFLUENT_JSON) {
            buf_printf(out, ", schema id %" PRIu32, schema_id(bytes));
        }
    } else {
        buf_add_z(out, guess_is_document(bytes) ? "JSON"
                       : escape_is_text(bytes)  ? "text"
                                                : "binary data");
    }
}

static void add_part(struct buf *out, const char *label, struct str bytes, enum guess guess,
                     bool is_key)
{
    buf_printf(out, "  %-12s  ", label);
    if (bytes.n > 0) {
        buf_printf(out, "%zu byte%s, ", bytes.n, bytes.n == 1 ? "" : "s");
    }
    try_text_looks(bytes, guess, is_key, out);
    if (bytes.n > 0) {
        buf_add_z(out, ": ");
        add_bytes(out, bytes);
    }
    buf_add_u8(out, '\n');
}

static void add_timestamp(struct buf *out, const struct message *msg)
{
    char stamp[LOG_STAMP_MAX];

    buf_printf(out, "  %-12s  ", "timestamp");
    if (msg->timestamp_ms < 0) {
        buf_add_z(out, "none\n");
        return;
    }
    if (msg->timestamp_ms < STAMP_END_MS) {
        log_stamp(msg->timestamp_ms, stamp);
        buf_add_z(out, stamp);
    } else {
        buf_printf(out, "%" PRId64 " ms after 1970", msg->timestamp_ms);
    }
    buf_printf(out, ", %s\n", msg->is_append_time ? "LogAppendTime" : "CreateTime");
}

static void add_header(struct buf *out, const struct message_header *header)
{
    buf_printf(out, "  %-12s  ", "header");
    add_text(out, header->name, SHOWN_TEXT_MAX);
    if (header->value.p == NULL) {
        buf_add_z(out, ": null\n");
        return;
    }
    buf_add_z(out, ": ");
    add_bytes(out, header->value);
    buf_add_u8(out, '\n');
}

void try_text_record(const struct message *msg, const struct record_looks *looks, struct buf *out)
{
    buf_printf(out, STR_FMT "-%" PRId32 "@%" PRId64 "\n", STR_ARG(msg->topic), msg->partition,
               msg->offset);
    add_timestamp(out, msg);
    if (msg->leader_epoch >= 0) {
        buf_printf(out, "  %-12s  %" PRId32 "\n", "leader epoch", msg->leader_epoch);
    }
    add_part(out, "key", msg->key, looks->key, true);
    add_part(out, "value", msg->value, looks->value, false);
    for (size_t i = 0; i < msg->header_count; i++) {
        add_header(out, &msg->headers[i]);
    }
}

/* ---- columns ---- */

static const char *state_word(const struct tried_column *c)
{
    switch (c->state) {
    case TRIED_NULL:
        return "NULL";
    case TRIED_DEFAULT:
        return "DEFAULT";
    case TRIED_KEPT:
        return "kept as it is";
    case TRIED_UNKNOWN:
        return "not tried: it would write";
    case TRIED_NOT:
    case TRIED_VALUE:
    case TRIED_REFUSED:
        break;
    }
    return "";
}

static void add_value(struct buf *out, const struct column *c, const char *value)
{
    bool is_bare = column_type_is_number(c->type);

    buf_add_z(out, is_bare ? "" : "'");
    add_text(out, str_of(value), SHOWN_VALUE_MAX);
    buf_add_z(out, is_bare ? "" : "'");
}

/* A text of the catalog's or the file's, which may be in any language, and blanks up to a width. */
static void add_padded(struct buf *out, const char *text, size_t width)
{
    size_t chars = 0;

    escape_add(out, str_of(text), '\0');
    (void) str_utf8(str_of(text), &chars);
    buf_fill(out, ' ', width > chars ? width - chars : 0);
}

/* Of names, types and sources; a long one moves only what comes after it. */
struct widths {
    size_t name;
    size_t type;
    size_t source;
};

#define WIDTH_MAX 32

static size_t wider(size_t width, const char *text)
{
    size_t chars = 0;

    (void) str_utf8(str_of(text), &chars);
    return chars > WIDTH_MAX ? width : MAX(width, chars);
}

static void add_column(struct buf *out, const struct tried_column *c, const struct widths *w)
{
    buf_add_z(out, "      ");
    add_padded(out, c->column->name, w->name + 2);
    add_padded(out, c->column->type_name, w->type);
    buf_add_z(out, "  <- ");
    add_padded(out, c->source, c->state != TRIED_NOT ? w->source + 2 : 0);
    if (c->state == TRIED_VALUE || c->state == TRIED_REFUSED) {
        add_value(out, c->column, c->value);
        buf_add_z(out, c->state == TRIED_REFUSED ? "  refused" : "");
    } else {
        buf_add_z(out, state_word(c));
    }
    buf_add_u8(out, '\n');
}

static void add_row(struct buf *out, const struct tried_row *row, size_t number)
{
    struct widths w = {0};

    buf_printf(out, "    row %zu: %s, table %s\n", number + 1, sample_action(row->part->action),
               row->part->target->table->quoted);
    for (size_t i = 0; i < row->column_count; i++) {
        const struct tried_column *c = &row->columns[i];
        w.name = wider(w.name, c->column->name);
        w.type = wider(w.type, c->column->type_name);
        w.source = wider(w.source, c->source);
    }
    for (size_t i = 0; i < row->column_count; i++) {
        add_column(out, &row->columns[i], &w);
    }
}

/* ---- SQL ---- */

static void add_indented(struct buf *out, struct str text)
{
    buf_add_z(out, "      ");
    for (size_t i = 0; i < text.n; i++) {
        buf_add(out, text.p + i, 1);
        buf_add_z(out, text.p[i] == '\n' ? "      " : "");
    }
    buf_add_z(out, "\n");
}

/* In place of a column: the bits of mixed rows. */
#define BITS SIZE_MAX

/* One parameter: an array with an element for each row. */
static void add_parameter(struct buf *out, const struct tried *t, const struct batch_part *part,
                          size_t column, size_t number)
{
    size_t n = 0;

    buf_printf(out, "      $%zu = ARRAY[", number);
    for (size_t i = 0; i < t->row_count; i++) {
        const char *sent = column == BITS ? t->rows[i].there : t->rows[i].sent[column];
        if (t->rows[i].part != part) {
            continue;
        }
        _cleanup_buf_ struct buf literal = {0};
        _cleanup_buf_ struct buf shown = {0};
        if (sent != NULL) {
            add_text(&shown, str_of(sent), SHOWN_VALUE_MAX);
            sql_literal(&literal, buf_cstr(&shown));
        }
        buf_printf(out, "%s%s", n++ > 0 ? "," : "", sent != NULL ? buf_cstr(&literal) : "NULL");
    }
    buf_printf(out, "%s]::%s[]\n", part->row_count > n ? ",..." : "",
               column == BITS ? "pg_catalog.bytea"
                              : part->target->columns[column].column->wire_name);
}

static void add_statement(struct buf *out, const struct tried *t, const struct batch_part *part)
{
    const struct rows_shape s = {
        .target = part->target, .action = part->action, .omit = part->omit};
    _cleanup_buf_ struct buf sql = {0};
    size_t n = 0;

    tried_sql(part, &sql);
    add_indented(out, buf_str(&sql));
    for (size_t i = 0; rows_unnest(&s) && i < part->target->column_count; i++) {
        if (target_holds(part->target, i, part->action, part->omit)) {
            add_parameter(out, t, part, i, ++n);
        }
    }
    if (rows_are_mixed(&s) && rows_unnest(&s)) {
        add_parameter(out, t, part, BITS, ++n);
    }
}

static void add_statements(struct buf *out, const struct tried *t)
{
    const struct batch *b = t->trial.batch;

    buf_add_z(out, "    SQL:\n");
    for (size_t i = 0; i < b->part_count; i++) {
        if (b->parts[i].row_count > 0) {
            add_statement(out, t, &b->parts[i]);
        }
    }
}

/* ---- what becomes of it ---- */

static void add_fault(struct buf *out, const struct error *err)
{
    escape_add(out, str_of(err->text), '\0');
    /* the server's own texts end with it */
    if (err->sqlstate[0] != '\0' && strstr(err->text, err->sqlstate) == NULL) {
        buf_printf(out, " (%s)", err->sqlstate);
    }
    buf_add_u8(out, '\n');
    if (err->hint[0] != '\0') {
        buf_add_z(out, "    HINT: ");
        escape_add(out, str_of(err->hint), '\0');
        buf_add_u8(out, '\n');
    }
}

static void add_fate(struct buf *out, const struct config_route *route)
{
    buf_add_z(out, route->on_error == ON_ERROR_STOP
                       ? "    so it stops its partition (on_error: stop)\n"
                       : "    so it becomes a dead letter\n");
}

static void add_result(struct buf *out, const struct tried *t)
{
    if (t->trial.rejected > 0) {
        buf_add_z(out, "    rejected: ");
        add_fault(out, &t->trial.reasons[0].why);
        add_fate(out, t->route);
    } else if (tried_parks(t)) {
        buf_printf(out, "    row %zu: PostgreSQL cannot make it now: ", t->refused_row + 1);
        add_fault(out, &t->refused);
        buf_add_z(out, "    so its partition waits, and no record is rejected\n");
    } else if (t->refused.class != ERROR_NONE) {
        buf_printf(out, "    row %zu: PostgreSQL refuses it: ", t->refused_row + 1);
        add_fault(out, &t->refused);
        add_fate(out, t->route);
    } else if (t->row_count == 0) {
        buf_printf(out, "    no row: %s\n", tried_nothing(t));
    }
}

/* Of an array whose elements it chooses, the rows show which are taken. */
static void add_when(struct buf *out, const struct tried *t)
{
    bool is_false = t->trial.nothing[NOTHING_WHEN] > 0;

    if (*t->route->when != '\0' && (is_false || t->row_count > 0)) {
        buf_printf(out, "    when %s: %s\n", t->route->when, is_false ? "not true" : "true");
    }
}

void try_text_route(const struct config *cfg, const struct tried *t, struct buf *out)
{
    _cleanup_buf_ struct buf name = {0};
    _cleanup_buf_ struct buf place = {0};

    table_name_print(&t->route->table, &name);
    config_position_text(cfg, t->route->pos, &place);
    buf_printf(out, "  route %zu -> %s (%s)\n", t->number + 1, buf_cstr(&name), buf_cstr(&place));
    if (t->unusable.class != ERROR_NONE) {
        buf_add_z(out, "    its table cannot be used: ");
        add_fault(out, &t->unusable);
        return;
    }
    if (t->row_count > 0) {
        buf_add_z(out, "    ");
        mapping_describe_mode(t->rows[0].mapping, out);
        buf_add_u8(out, '\n');
    }
    add_when(out, t);
    for (size_t i = 0; i < t->row_count; i++) {
        add_row(out, &t->rows[i], i);
    }
    if (t->rows_left_out > 0) {
        buf_printf(out, "    %zu more rows\n", t->rows_left_out);
    }
    add_result(out, t);
    if (t->row_count > 0) {
        add_statements(out, t);
    }
}
