/* See debezium.h. */
#include "row/envelope/debezium.h"

#include "row/json/elements.h"

#include <string.h>

/* ---- what the source did not report ---- */

/*
 * An update does not log values that PostgreSQL stores apart from the row (TOAST) and that did not
 * change: Debezium writes a placeholder instead. For numbers, booleans and most arrays it writes
 * null, which cannot be told apart from a real one.
 */
static bool is_untold(const struct mapping *m, const struct cell *c, struct buf *plain)
{
    if (c->kind != CELL_STRING && c->kind != CELL_JSON && c->kind != CELL_BYTES) {
        return false;
    }
    for (size_t i = 0; i < m->placeholder_count; i++) {
        if (placeholder_is(m->placeholders[i], c, plain)) {
            return true;
        }
    }
    return false;
}

static bool not_reported(struct str name, struct error *err)
{
    error_set(err, ERROR_RECORD, "the source did not report the value of '" STR_FMT "'",
              STR_ARG(name));
    return error_hint(err, "ALTER TABLE ... REPLICA IDENTITY FULL at the source.");
}

/*
 * Can a row do without that field? An update can, where the column may be left out. A created row
 * that lacks a value is one whose key has changed, which Debezium reports as a delete and a create;
 * only an update of a row that is there, or a history, takes it.
 */
static bool can_do_without(const struct mapping *m, uint32_t node, enum change_op op)
{
    if (m->action == ROW_INSERT) {
        return true;
    }
    for (size_t i = 0; i < m->fill_count; i++) {
        if (m->fills[i].cell == node && m->fills[i].omit_bit < 0) {
            return false;
        }
    }
    return op == CHANGE_UPDATE || m->action == ROW_UPDATE;
}

static bool take_untold(const struct mapping *m, struct cell *cells, enum change_op op,
                        struct buf *plain, struct error *err)
{
    for (uint32_t node = m->change.after + 1; node < m->value.count; node++) {
        if (m->value.nodes[node].parent != m->change.after || !is_untold(m, &cells[node], plain)) {
            continue;
        }
        if (!can_do_without(m, node, op)) {
            return not_reported(m->value.nodes[node].name, err);
        }
        cells[node].kind = CELL_ABSENT;
    }
    return true;
}

static bool op_of(const struct cell *c, enum change_op *out)
{
    char letter = c->kind == CELL_STRING && c->text.n == 1 ? *c->text.p : '\0';

    switch (letter) {
    case 'c':
    case 'r':
        *out = CHANGE_CREATE;
        return true;
    case 'u':
        *out = CHANGE_UPDATE;
        return true;
    case 'd':
        *out = CHANGE_DELETE;
        return true;
    case 't':
        *out = CHANGE_TRUNCATE;
        return true;
    case 'm':
        *out = CHANGE_NONE;
        return true;
    default:
        return false;
    }
}

/* ---- what a connector writes beside change events ---- */

/* What the fields of a value without `op` say about it. */
struct own_fields {
    size_t count;
    bool has_ts;
    bool has_id;
    bool has_status; /* BEGIN or END */
    bool has_source;
    bool has_ddl;
};

static void look_at_field(struct own_fields *f, struct str name, const struct cell *value)
{
    bool is_string = value->kind == CELL_STRING;

    f->count++;
    f->has_ts |= str_eq_z(name, "ts_ms") && value->kind == CELL_NUMBER;
    f->has_id |= str_eq_z(name, "id") && is_string;
    f->has_source |= str_eq_z(name, "source") && cell_is_object(value);
    f->has_ddl |= str_eq_z(name, "ddl") || str_eq_z(name, "tableChanges");
    if (str_eq_z(name, "status") && is_string) {
        f->has_status = str_eq_z(value->text, "BEGIN") || str_eq_z(value->text, "END");
    }
}

/*
 * Debezium's own records, which a pattern for topics easily takes in: a heartbeat {"ts_ms"}, the
 * begin or end of a transaction {"status", "id", ...}, a change of the schema {"source", "ddl",
 * "tableChanges", ...}. They concern no row.
 */
static bool is_own(const struct cell *root, struct buf *plain)
{
    struct own_fields f = {0};
    struct elements e;
    struct cell value;
    struct str name;

    if (!cell_is_object(root)) {
        return false;
    }
    elements_open(&e, root->text, plain);
    while (elements_next(&e)) {
        char start[16] = {0}; /* the name may be in `plain`, which the value overwrites */
        elements_name(&e, &name);
        size_t n = MIN(name.n, sizeof start - 1);
        memcpy(start, name.p, n);
        elements_value(&e, &value);
        look_at_field(&f, (struct str){.p = start, .n = n}, &value);
    }
    return (f.count == 1 && f.has_ts) || (f.has_status && f.has_id) || (f.has_source && f.has_ddl);
}

bool debezium_is_own(const struct shape *s)
{
    static const char *const names[][3] = {
        {"ts_ms", "ts_ms", "ts_ms"},
        {"status", "id", "status"},
        {"source", "ddl", "source"},
    };

    if (s == NULL || s->kind != SHAPE_RECORD || shape_field_of(s, STR_LIT("op")) != NULL) {
        return false;
    }
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        bool has_all = i > 0 || s->field_count == 1;
        for (size_t k = 0; k < 3; k++) {
            has_all = has_all && shape_field_of(s, str_of(names[i][k])) != NULL;
        }
        if (has_all) {
            return true;
        }
    }
    return false;
}

/* ---- the envelope ---- */

static bool check_envelope(const struct mapping *m, const struct cell *cells, enum change_op *out,
                           struct error *err)
{
    const struct cell *op = &cells[m->change.op];

    if (op->kind <= CELL_NULL) {
        error_set(err, ERROR_RECORD, "the value is not a change event: it has no field 'op'");
        return error_hint(err, "If there are other records in the topic: when: value.op is not "
                               "null");
    }
    if (!op_of(op, out)) {
        struct excerpt x;
        return error_set(err, ERROR_RECORD, "the value is not a change event: 'op' is %s",
                         excerpt_cell(&x, op));
    }
    bool has_row = *out == CHANGE_CREATE || *out == CHANGE_UPDATE;
    if (has_row && !cell_is_object(&cells[m->change.after])) {
        return error_set(err, ERROR_RECORD, "the change event has no row in 'after'");
    }
    return true;
}

bool debezium_read(const struct mapping *m, struct cell *cells, struct buf *plain,
                   enum change_op *out_op, struct error *err)
{
    bool has_op = cells[m->change.op].kind > CELL_NULL;

    *out_op = CHANGE_NONE;
    if (cells[0].kind == CELL_NULL || (!has_op && is_own(&cells[0], plain))) {
        return true;
    }
    return check_envelope(m, cells, out_op, err) &&
           ((*out_op != CHANGE_CREATE && *out_op != CHANGE_UPDATE) ||
            take_untold(m, cells, *out_op, plain, err));
}

enum connector debezium_connector(const struct mapping *m, const struct cell *cells)
{
    const struct cell *c = &cells[m->change.connector];
    bool is_said = m->change.connector != 0 && c->kind == CELL_STRING;

    return is_said ? logical_connector(c->text) : CONNECTOR_UNKNOWN;
}

bool debezium_hide_untold(const struct mapping *m, struct cell *cells, struct buf *plain)
{
    size_t end = mapping_item_cell(m) + m->item.count;
    bool hidden = false;

    for (size_t i = 1; i < end; i++) {
        bool of_key = i >= mapping_key_cell(m) && i < mapping_item_cell(m);
        if (!of_key && is_untold(m, &cells[i], plain)) {
            cells[i].kind = CELL_ABSENT;
            hidden = true;
        }
    }
    return hidden;
}
