/* See statements.h. Worker thread. */
#include "pg/statements.h"

#include "base/mem.h"
#include "pg/txn_state.h"
#include "row/table.h"

#include <stdio.h>
#include <stdlib.h>

/* Each costs the server a plan: more are rare (many tables, or rows that omit many sets of
 * columns). */
#define INSERTS_MAX 256

struct statements {
    struct statement advance;
    struct statement **inserts; /* pointers: a flight keeps them while the array grows */
    size_t insert_count;
    size_t insert_cap;
    size_t last;      /* the last answer of statements_insert */
    uint64_t session; /* the connection's count of sessions when they were prepared */
};

static void statement_done(struct statement *s)
{
    free(s->sql);
    free(s->parameter_types);
}

static char *take_sql(struct buf *sql)
{
    char *text = mem_strdup(buf_cstr(sql));
    buf_done(sql);
    return text;
}

static void init_advance(struct statement *s, const char *schema)
{
    static const uint32_t types[] = {
        OID_TEXT,       OID_TEXT_ARRAY, OID_INT4_ARRAY, OID_INT8_ARRAY, OID_INT8_ARRAY,
        OID_INT8_ARRAY, OID_INT4_ARRAY, OID_INT8_ARRAY, OID_INT8_ARRAY,
    };
    struct buf sql = {0};

    snprintf(s->name, sizeof s->name, "advance");
    s->parameter_count = ARRAY_LEN(types);
    s->parameter_types = mem_array(ARRAY_LEN(types), sizeof *types);
    for (size_t i = 0; i < ARRAY_LEN(types); i++) {
        s->parameter_types[i] = types[i];
    }
    buf_add_z(&sql, "SELECT ");
    table_quote_ident(&sql, schema);
    buf_add_z(&sql, ".advance($1,$2,$3,$4,$5,$6,$7,$8,$9)");
    s->sql = take_sql(&sql);
}

/*
 * The arrays are unnested in the select list, where one plan node walks them in step. In FROM each
 * would first be stored as a whole, on disk when it exceeds work_mem: 30 to 50 % slower, and far
 * more above that size (docs/performance.md).
 */
static void init_insert(struct statement *s, const struct batch_part *p, size_t number)
{
    const struct target *target = p->target;
    struct buf names = {0};
    struct buf values = {0};

    snprintf(s->name, sizeof s->name, "insert%zu", number);
    s->target = target;
    s->omit = p->omit;
    s->parameter_types = mem_array(target->column_count, sizeof *s->parameter_types);
    for (size_t i = 0; i < target->column_count; i++) {
        const struct target_column *column = &target->columns[i];
        if (txn_column_omitted(column, p->omit)) {
            continue;
        }
        const char *comma = s->parameter_count > 0 ? "," : "";
        s->parameter_types[s->parameter_count++] = column->column->wire_array_oid;
        buf_add_z(&names, comma);
        table_quote_ident(&names, column->column->name);
        buf_printf(&values, "%spg_catalog.unnest($%zu)", comma, s->parameter_count);
    }
    struct buf sql = {0};
    buf_printf(&sql, "INSERT INTO %s (%s) ", target->table->quoted, buf_cstr(&names));
    buf_printf(&sql, "SELECT %s", buf_cstr(&values));
    s->sql = take_sql(&sql);
    buf_done(&names);
    buf_done(&values);
}

struct statements *statements_new(const char *schema)
{
    struct statements *s = mem_zalloc(sizeof *s);

    init_advance(&s->advance, schema);
    return s;
}

struct statements *statements_free(struct statements *s)
{
    if (s) {
        statement_done(&s->advance);
        for (size_t i = 0; i < s->insert_count; i++) {
            statement_done(s->inserts[i]);
            free(s->inserts[i]);
        }
        free(s->inserts);
        free(s);
    }
    return NULL;
}

void statements_meet(struct statements *s, const struct conn *c)
{
    if (s->session == c->session) {
        return;
    }
    s->session = c->session;
    s->advance.state = STATEMENT_NONE;
    for (size_t i = 0; i < s->insert_count; i++) {
        s->inserts[i]->state = STATEMENT_NONE;
    }
}

struct statement *statements_advance(struct statements *s)
{
    return &s->advance;
}

static bool is_of(const struct statement *s, const struct batch_part *p)
{
    return s->target == p->target && s->omit == p->omit;
}

struct statement *statements_insert(struct statements *s, const struct batch_part *p)
{
    if (s->last < s->insert_count && is_of(s->inserts[s->last], p)) {
        return s->inserts[s->last];
    }
    for (size_t i = 0; i < s->insert_count; i++) {
        if (is_of(s->inserts[i], p)) {
            s->last = i;
            return s->inserts[i];
        }
    }
    if (s->insert_count == INSERTS_MAX) {
        return NULL;
    }
    s->inserts = mem_grow(s->inserts, &s->insert_cap, s->insert_count, sizeof(struct statement *));
    struct statement *made = mem_zalloc(sizeof *made);
    s->last = s->insert_count++;
    s->inserts[s->last] = made;
    init_insert(made, p, s->last);
    return made;
}
