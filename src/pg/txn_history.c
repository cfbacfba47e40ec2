/*
 * The row of history that a transaction writes when it is audited (sql/009_history.sql): its last
 * statement, so that it knows how long the others have taken; the server fills in xid and times. It
 * is written after the ledger has moved, under the locks of its rows, so the ids of the rows of one
 * partition rise in the order of the transactions. The write path unnest has it as a prepared
 * statement, with the parameters
 *
 *     sink, owner, topics, partitions, froms, nexts, records, rows, dead_letters, bytes
 *
 * Worker thread; a replay's txn: scout.
 */
#include "pg/sql.h"
#include "pg/txn_state.h"
#include "row/table/table.h"

struct history_counts txn_history_counts(const struct batch *b)
{
    struct history_counts n = {
        .records = (int64_t) b->record_count,
        .bytes = (int64_t) b->bytes,
    };

    for (size_t i = 0; i < b->part_count; i++) {
        const struct batch_part *p = &b->parts[i];
        bool are_letters = p->target->route == NULL; /* our own table is no route's */
        *(are_letters ? &n.dead_letters : &n.rows) += (int64_t) p->row_count;
    }
    return n;
}

void txn_history_add_sql(struct txn *t, const struct batch *b)
{
    static const enum span_field fields[] = {SPAN_PARTITION, SPAN_FROM, SPAN_NEXT};
    struct history_counts n = txn_history_counts(b);

    if (t->audited_as == NULL) {
        return;
    }
    buf_add_z(&t->sql, buf_cstr(&t->sql)[0] != '\0' ? ";INSERT INTO " : "INSERT INTO ");
    table_quote_ident(&t->sql, t->schema);
    buf_add_z(&t->sql,
              ".history (kind,sink,owner,records,rows,dead_letters,bytes,topics,partitions,"
              "froms,nexts) VALUES (");
    buf_add_z(&t->sql, t->letters_of != NULL ? "'replay'," : "'store',");
    sql_literal(&t->sql, t->sink);
    buf_add_u8(&t->sql, ',');
    sql_literal(&t->sql, t->audited_as);
    buf_printf(&t->sql, ",%lld,%lld,%lld,%lld,", (long long) n.records, (long long) n.rows,
               (long long) n.dead_letters, (long long) n.bytes);
    txn_spans_topics(t, b);
    for (size_t i = 0; i < ARRAY_LEN(fields); i++) {
        buf_add_u8(&t->sql, ',');
        txn_spans_field(t, b, fields[i]);
    }
    buf_add_u8(&t->sql, ')');
    txn_expect(&t->flights[0], (struct answer){.kind = ANSWER_HISTORY});
}
