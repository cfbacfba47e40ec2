/*
 * What a query string calls for the spans of a batch, see txn_state.h: advance(), which moves them
 * in the ledger; take_dead_letters() for a replay; letters_are_new() before dead letters. And the
 * COPY that needs no temporary table, by which dead letters are written. Worker thread.
 */
#include "pg/sql.h"
#include "pg/txn_state.h"
#include "row/table/table.h"

void txn_spans_topics(struct txn *t, const struct batch *b)
{
    buf_add_u8(&t->sql, '\'');
    sql_array_open(&t->sql);
    for (size_t i = 0; i < b->span_count; i++) {
        sql_array_text_quoted(&t->sql, b->spans[t->order[i]].topic);
    }
    sql_array_close(&t->sql);
    buf_add_u8(&t->sql, '\'');
}

void txn_spans_field(struct txn *t, const struct batch *b, enum span_field field)
{
    buf_add_u8(&t->sql, '\'');
    sql_array_open(&t->sql);
    for (size_t i = 0; i < b->span_count; i++) {
        sql_array_i64(&t->sql, statements_span_field(&b->spans[t->order[i]], field));
    }
    sql_array_close(&t->sql);
    buf_add_u8(&t->sql, '\'');
}

/* SELECT "pgsinkd".function('sink','{topics}' */
static void add_call(struct txn *t, const struct batch *b, const char *function)
{
    buf_add_z(&t->sql, "SELECT ");
    table_quote_ident(&t->sql, t->schema);
    buf_printf(&t->sql, ".%s(", function);
    sql_literal(&t->sql, t->sink);
    buf_add_u8(&t->sql, ',');
    txn_spans_topics(t, b);
}

static void add_field(struct txn *t, const struct batch *b, enum span_field field)
{
    buf_add_u8(&t->sql, ',');
    txn_spans_field(t, b, field);
}

void txn_spans_advance(struct txn *t, const struct batch *b)
{
    add_call(t, b, "advance");
    for (int field = 0; field < SPAN_FIELDS; field++) {
        add_field(t, b, (enum span_field) field);
    }
    buf_printf(&t->sql, ",'%s')", t->c->marker);
}

void txn_spans_take_letters(struct txn *t, const struct batch *b)
{
    add_call(t, b, "take_dead_letters");
    add_field(t, b, SPAN_PARTITION);
    add_field(t, b, SPAN_FROM);
    buf_add_z(&t->sql, ",'");
    sql_array_open(&t->sql);
    for (size_t i = 0; i < b->span_count; i++) {
        sql_array_text_quoted(&t->sql, t->letters_of);
    }
    sql_array_close(&t->sql);
    buf_add_z(&t->sql, "')");
}

/* Is a letter of any of the batch's records there already? If not, the table need not look. */
static void add_letters_are_new(struct txn *t, const struct batch *b, const struct target *letters)
{
    add_call(t, b, "letters_are_new");
    add_field(t, b, SPAN_PARTITION);
    add_field(t, b, SPAN_FROM);
    add_field(t, b, SPAN_NEXT);
    buf_add_u8(&t->sql, ')');
    txn_expect(&t->flights[0], (struct answer){.kind = ANSWER_SAME, .target = letters});
}

void txn_spans_direct(struct txn *t, const struct rows_shape *shape, size_t group)
{
    rows_sql_copy(&t->sql, shape, NULL, false);
    txn_expect(&t->flights[0], (struct answer){.kind = ANSWER_COPY,
                                               .target = shape->target,
                                               .group = group,
                                               .relation = shape->target->table->name});
    t->copies_left++;
}

void txn_spans_letters(struct txn *t, const struct rows_shape *shape, size_t group)
{
    if (buf_cstr(&t->sql)[0] != '\0') {
        buf_add_u8(&t->sql, ';');
    }
    add_letters_are_new(t, t->flights[0].b, shape->target);
    buf_add_u8(&t->sql, ';');
    txn_spans_direct(t, shape, group);
}
