/* See debezium.h. */
#include "row/envelope/debezium.h"

#define LITERAL(text)                                                                              \
    {                                                                                              \
        .p = (text), .n = sizeof(text) - 1                                                         \
    } /* of static storage */

/* ---- what the source did not report ---- */

/*
 * An update does not log values that PostgreSQL stores apart from the row (TOAST) and that did not
 * change. In their place Debezium writes this, or what it makes of it for the type. For numbers,
 * booleans and most arrays it writes null, which cannot be told apart from a real one.
 */
static const struct str unavailable[] = {
    LITERAL("__debezium_unavailable_value"),
    LITERAL("X19kZWJleml1bV91bmF2YWlsYWJsZV92YWx1ZQ=="),
    LITERAL("{\"__debezium_unavailable_value\":\"__debezium_unavailable_value\"}"),
    LITERAL("[\"__debezium_unavailable_value\"]"),
    LITERAL("[\"X19kZWJleml1bV91bmF2YWlsYWJsZV92YWx1ZQ==\"]"),
    LITERAL("[\"b68a35a7-17ad-35b3-af2a-ae46edb4545a\"]"),
    LITERAL("[95,95,100,101,98,101,122,105,117,109,95,117,110,97,118,97,105,108,97,98,108,101,95,"
            "118,97,108,117,101]"),
};

static bool is_unavailable(const struct cell *c)
{
    if (c->kind != CELL_STRING && c->kind != CELL_JSON) {
        return false;
    }
    for (size_t i = 0; i < ARRAY_LEN(unavailable); i++) {
        if (str_eq(c->text, unavailable[i])) {
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

static bool take_unavailable(const struct mapping *m, struct cell *cells, enum change_op op,
                             struct error *err)
{
    for (uint32_t node = m->change.after + 1; node < m->value.count; node++) {
        if (m->value.nodes[node].parent != m->change.after || !is_unavailable(&cells[node])) {
            continue;
        }
        if (!can_do_without(m, node, op)) {
            return not_reported(m->value.nodes[node].name, err);
        }
        cells[node].kind = CELL_ABSENT;
    }
    return true;
}

/* ---- the envelope ---- */

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

static bool check_envelope(const struct mapping *m, const struct cell *cells, enum change_op *out,
                           struct error *err)
{
    const struct cell *op = &cells[m->change.op];

    if (op->kind <= CELL_NULL) {
        return error_set(err, ERROR_RECORD,
                         "the value is not a change event: it has no field 'op'");
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

bool debezium_read(const struct mapping *m, struct cell *cells, enum change_op *out_op,
                   struct error *err)
{
    if (cells[0].kind == CELL_NULL) {
        *out_op = CHANGE_NONE;
        return true;
    }
    return check_envelope(m, cells, out_op, err) &&
           ((*out_op != CHANGE_CREATE && *out_op != CHANGE_UPDATE) ||
            take_unavailable(m, cells, *out_op, err));
}
