/* Target tables: lookup, quoting, release. Pure; any thread. */
#include "row/table/table.h"

#include "base/mem.h"

#include <stdlib.h>
#include <string.h>

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
    free(c->default_sql);
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
    free(t->defaults);
    free(t->schema);
    free(t->name);
    free(t->quoted);
    free(t->role);
    free(t);
}

static bool is_same_text(const char *a, const char *b)
{
    return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

static bool column_is_same(const struct column *a, const struct column *b)
{
    if (a == NULL || b == NULL) {
        return a == b;
    }
    return is_same_text(a->name, b->name) && is_same_text(a->type_name, b->type_name) &&
           a->type == b->type && a->wire_oid == b->wire_oid &&
           a->wire_array_oid == b->wire_array_oid && is_same_text(a->wire_name, b->wire_name) &&
           is_same_text(a->base_name, b->base_name) && is_same_text(a->sql_name, b->sql_name) &&
           is_same_text(a->equals, b->equals) && is_same_text(a->equals_as, b->equals_as) &&
           a->cast == b->cast && is_same_text(a->compare_as, b->compare_as) &&
           column_is_same(a->element, b->element) && a->typmod == b->typmod &&
           a->not_null == b->not_null && a->has_default == b->has_default &&
           is_same_text(a->default_sql, b->default_sql) && a->generated == b->generated &&
           a->identity == b->identity && a->identity_always == b->identity_always &&
           a->has_domain == b->has_domain;
}

static bool unique_is_same(const struct unique *a, const struct unique *b)
{
    return a->is_primary == b->is_primary && a->column_count == b->column_count &&
           memcmp(a->columns, b->columns, a->column_count * sizeof *a->columns) == 0;
}

static bool is_same_relation(const struct table *a, const struct table *b)
{
    return a->oid == b->oid && is_same_text(a->quoted, b->quoted) &&
           is_same_text(a->signature, b->signature) && a->is_view == b->is_view &&
           a->has_instead == b->has_instead && a->by_insert == b->by_insert &&
           a->has_rules == b->has_rules && a->may_lock == b->may_lock &&
           a->may_select == b->may_select && a->may_update == b->may_update &&
           a->may_delete == b->may_delete && a->may_truncate == b->may_truncate &&
           a->may_stage == b->may_stage && a->may_set_all == b->may_set_all &&
           is_same_text(a->defaults, b->defaults) && a->is_referenced == b->is_referenced &&
           a->has_domains == b->has_domains;
}

bool table_is_same(const struct table *a, const struct table *b)
{
    if (!is_same_relation(a, b) || a->column_count != b->column_count ||
        a->unique_count != b->unique_count) {
        return false;
    }
    for (size_t i = 0; i < a->column_count; i++) {
        if (!column_is_same(&a->columns[i], &b->columns[i])) {
            return false;
        }
    }
    for (size_t i = 0; i < a->unique_count; i++) {
        if (!unique_is_same(&a->uniques[i], &b->uniques[i])) {
            return false;
        }
    }
    return true;
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

size_t target_width(const struct target *t, enum row_action action, omit_mask omit)
{
    size_t n = omit == OMIT_MIXED ? 1 : 0;

    for (size_t i = 0; i < t->column_count; i++) {
        n += target_holds(t, i, action, omit) ? 1 : 0;
    }
    return n;
}
