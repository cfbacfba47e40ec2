/* See try_text.h: for programs. Pure. Main thread. */
#include "command/json_text.h"
#include "command/sample.h"
#include "command/try_text.h"

#include <string.h>

static void add_looks(struct buf *out, const char *name, struct str bytes, enum guess guess,
                      bool is_key)
{
    _cleanup_buf_ struct buf words = {0};

    try_text_looks(bytes, guess, is_key, &words);
    json_text(out, name, buf_str(&words));
}

static void add_headers(struct buf *out, const struct message *msg)
{
    json_name(out, "headers");
    buf_add_u8(out, '[');
    for (size_t i = 0; i < msg->header_count; i++) {
        json_next(out);
        buf_add_u8(out, '{');
        json_text(out, "name", msg->headers[i].name);
        json_bytes(out, "value", msg->headers[i].value);
        buf_add_u8(out, '}');
    }
    buf_add_u8(out, ']');
}

void try_json_begin(const struct message *msg, const struct record_looks *looks, struct buf *out)
{
    buf_add_u8(out, '{');
    json_text(out, "topic", msg->topic);
    json_i64(out, "partition", msg->partition);
    json_i64(out, "offset", msg->offset);
    json_i64(out, "timestamp_ms", msg->timestamp_ms);
    json_text(out, "timestamp_type",
              msg->timestamp_ms < 0 ? (struct str){0}
                                    : str_of(msg->is_append_time ? "LogAppendTime" : "CreateTime"));
    json_i64(out, "leader_epoch", msg->leader_epoch);
    json_bytes(out, "key", msg->key);
    add_looks(out, "key_looks", msg->key, looks->key, true);
    json_bytes(out, "value", msg->value);
    add_looks(out, "value_looks", msg->value, looks->value, false);
    add_headers(out, msg);
    json_name(out, "routes");
    buf_add_u8(out, '[');
}

/* ---- rows ---- */

static const char *const STATES[] = {
    [TRIED_VALUE] = "value",       [TRIED_NULL] = "null",      [TRIED_DEFAULT] = "default",
    [TRIED_KEPT] = "kept",         [TRIED_NOT] = "not filled", [TRIED_REFUSED] = "refused",
    [TRIED_UNKNOWN] = "not tried",
};

static void add_column(struct buf *out, const struct tried_column *c)
{
    json_next(out);
    buf_add_u8(out, '{');
    json_text(out, "name", str_of(c->column->name));
    json_text(out, "type", str_of(c->column->type_name));
    json_text(out, "source", str_of(c->source));
    json_text(out, "state", str_of(STATES[c->state]));
    json_text(out, "value", str_of(c->value));
    buf_add_u8(out, '}');
}

static void add_row(struct buf *out, const struct tried_row *row)
{
    json_next(out);
    buf_add_u8(out, '{');
    json_text(out, "table", str_of(row->part->target->table->quoted));
    json_text(out, "action", str_of(sample_action(row->part->action)));
    json_name(out, "columns");
    buf_add_u8(out, '[');
    for (size_t i = 0; i < row->column_count; i++) {
        add_column(out, &row->columns[i]);
    }
    buf_add_z(out, "]}");
}

/* In place of a column: the bits of mixed rows. */
#define BITS SIZE_MAX

static void add_parameter(struct buf *out, const struct tried *t, const struct batch_part *part,
                          size_t column)
{
    json_next(out);
    buf_add_u8(out, '[');
    for (size_t i = 0; i < t->row_count; i++) {
        if (t->rows[i].part == part) {
            json_next(out);
            json_string(out, column == BITS ? t->rows[i].there : t->rows[i].sent[column]);
        }
    }
    buf_add_u8(out, ']');
}

static void add_statement(struct buf *out, const struct tried *t, const struct batch_part *part)
{
    const struct rows_shape s = {
        .target = part->target, .action = part->action, .omit = part->omit};
    _cleanup_buf_ struct buf sql = {0};

    tried_sql(part, &sql);
    json_next(out);
    buf_add_u8(out, '{');
    json_text(out, "sql", buf_str(&sql));
    json_name(out, "parameters");
    buf_add_u8(out, '[');
    for (size_t i = 0; rows_unnest(&s) && i < part->target->column_count; i++) {
        if (target_holds(part->target, i, part->action, part->omit)) {
            add_parameter(out, t, part, i);
        }
    }
    if (rows_unnest(&s) && rows_are_mixed(&s)) {
        add_parameter(out, t, part, BITS);
    }
    buf_add_z(out, "]}");
}

/* ---- a route ---- */

static void add_fault(struct buf *out, const struct error *err)
{
    json_text(out, "message", str_of(err->text));
    json_text(out, "sqlstate", err->sqlstate[0] != '\0' ? str_of(err->sqlstate) : (struct str){0});
    json_text(out, "hint", err->hint[0] != '\0' ? str_of(err->hint) : (struct str){0});
}

static void add_result(struct buf *out, const struct tried *t)
{
    const char *fate = t->route->on_error == ON_ERROR_STOP ? "stop" : "dead letter";

    if (t->unusable.class != ERROR_NONE) {
        json_text(out, "result", STR_LIT("table cannot be used"));
        add_fault(out, &t->unusable);
    } else if (t->trial.rejected > 0) {
        json_text(out, "result", str_of(fate));
        add_fault(out, &t->trial.reasons[0].why);
    } else if (t->refused.class != ERROR_NONE) {
        json_text(out, "result", tried_parks(t) ? STR_LIT("waits") : str_of(fate));
        json_i64(out, "row", (int64_t) t->refused_row + 1);
        add_fault(out, &t->refused);
    } else if (t->row_count == 0) {
        json_text(out, "result", STR_LIT("no row"));
        json_text(out, "message", str_of(tried_nothing(t)));
    } else {
        json_text(out, "result", STR_LIT("rows"));
    }
}

static void add_statements(struct buf *out, const struct tried *t)
{
    const struct batch *b = t->trial.batch;

    json_name(out, "statements");
    buf_add_u8(out, '[');
    for (size_t i = 0; b != NULL && i < b->part_count; i++) {
        if (b->parts[i].row_count > 0) {
            add_statement(out, t, &b->parts[i]);
        }
    }
    buf_add_u8(out, ']');
}

void try_json_route(const struct config *cfg, const struct tried *t, struct buf *out)
{
    _cleanup_buf_ struct buf place = {0};

    config_position_text(cfg, t->route->pos, &place);
    json_next(out);
    buf_add_u8(out, '{');
    json_text(out, "route", str_of(t->route->name));
    json_text(out, "place", buf_str(&place));
    add_result(out, t);
    json_name(out, "rows");
    buf_add_u8(out, '[');
    for (size_t i = 0; i < t->row_count; i++) {
        add_row(out, &t->rows[i]);
    }
    buf_add_u8(out, ']');
    json_i64(out, "rows_left_out", (int64_t) t->rows_left_out);
    add_statements(out, t);
    buf_add_u8(out, '}');
}

void try_json_end(struct buf *out)
{
    buf_add_z(out, "]}\n");
}
