/* Target tables: lookup, quoting, release. Pure; any thread. */
#include "row/table/table.h"

#include "base/mem.h"

#include <stdlib.h>

static void column_done(struct column *c)
{
    if (c->element != NULL) {
        column_done(c->element);
        free(c->element);
    }
    free(c->name);
    free(c->type_name);
    free(c->wire_name);
    free(c->base_name);
    free(c->sql_name);
    free(c->compare_as);
    free(c->equals);
    free(c->equals_as);
}

void table_free(struct table *t)
{
    if (t == NULL) {
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

size_t target_width(const struct target *t, enum row_action action, uint64_t omit)
{
    size_t n = 0;

    for (size_t i = 0; i < t->column_count; i++) {
        n += target_holds(t, i, action, omit) ? 1 : 0;
    }
    return n;
}
