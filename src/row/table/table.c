/* Target tables: lookup, quoting, names, release. Pure; any thread. */
#include "row/table/table.h"

#include "base/mem.h"

#include <stdlib.h>

static void column_done(struct column *c)
{
    if (c->element) {
        column_done(c->element);
        free(c->element);
    }
    free(c->name);
    free(c->type_name);
    free(c->wire_name);
    free(c->base_name);
    free(c->compare_as);
}

void table_free(struct table *t)
{
    if (!t) {
        return;
    }
    for (size_t i = 0; i < t->column_count; i++) {
        column_done(&t->columns[i]);
    }
    free(t->columns);
    for (size_t i = 0; i < t->unique_count; i++) {
        free(t->uniques[i].columns);
    }
    free(t->uniques);
    free(t->signature);
    free(t->schema);
    free(t->name);
    free(t->quoted);
    free(t);
}

const struct column *table_column(const struct table *t, struct str name)
{
    for (size_t i = 0; i < t->column_count; i++) {
        if (str_eq_z(name, t->columns[i].name)) {
            return &t->columns[i];
        }
    }
    return NULL;
}

void table_quote_ident(struct buf *out, const char *name)
{
    buf_add_u8(out, '"');
    for (; *name; name++) {
        if (*name == '"') {
            buf_add_u8(out, '"');
        }
        buf_add_u8(out, (uint8_t) *name);
    }
    buf_add_u8(out, '"');
}

const char *column_type_name(enum column_type type)
{
    static const char *const names[] = {
        [TYPE_BOOL] = "bool",           [TYPE_INT2] = "int2",
        [TYPE_INT4] = "int4",           [TYPE_INT8] = "int8",
        [TYPE_FLOAT4] = "float4",       [TYPE_FLOAT8] = "float8",
        [TYPE_NUMERIC] = "numeric",     [TYPE_TEXT] = "text",
        [TYPE_VARCHAR] = "varchar",     [TYPE_BPCHAR] = "bpchar",
        [TYPE_BYTEA] = "bytea",         [TYPE_UUID] = "uuid",
        [TYPE_JSON] = "json",           [TYPE_JSONB] = "jsonb",
        [TYPE_DATE] = "date",           [TYPE_TIME] = "time",
        [TYPE_TIMESTAMP] = "timestamp", [TYPE_TIMESTAMPTZ] = "timestamptz",
        [TYPE_INTERVAL] = "interval",   [TYPE_INET] = "inet",
        [TYPE_CIDR] = "cidr",           [TYPE_MACADDR] = "macaddr",
        [TYPE_MACADDR8] = "macaddr8",   [TYPE_ENUM] = "enum",
        [TYPE_ARRAY] = "array",         [TYPE_HSTORE] = "hstore",
        [TYPE_OTHER] = "other",
    };
    return names[type];
}

size_t target_width(const struct target *t, enum row_action action, uint64_t omit)
{
    size_t n = 0;
    for (size_t i = 0; i < t->column_count; i++) {
        n += target_holds(t, i, action, omit) ? 1 : 0;
    }
    return n;
}
