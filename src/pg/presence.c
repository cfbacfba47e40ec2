/* See presence.h. */
#include "pg/presence.h"

#include "base/mem.h"
#include "pg/libpq.h"
#include "pg/sql.h"
#include "pg/sqlstate.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FOLD_EVENTS 1000000U

struct presence {
    struct conn *c;
    const char *schema;
    const char *sink;
    const char *topic;
    const struct presence_table *tables;
    size_t table_count;
    const struct target **targets; /* whose rows were added; events have their place here */
    size_t target_count;
    size_t target_cap;
    uint64_t *events; /* of each table: not folded yet */
    uint64_t *folded; /* ... and left after the last time */
    size_t part_count;
    struct buf sql;
    struct buf rows;
    PGresult *found;
    int next;
};

static const char *const REASONS[PRESENCE_KINDS] = {
    [PRESENCE_OTHER_PARTITION] = "the row of the key is of another partition or topic, or of none: "
                                 "which of them came last is not known",
    [PRESENCE_DELETED_ELSEWHERE] = "there is no row, and another partition or topic has or may "
                                   "have deleted it",
    [PRESENCE_MOVING] = "there is no row, and records that were not read, because the daemon "
                        "stored them meanwhile or they are beyond --to, may have deleted it",
    [PRESENCE_UNREAD] = "there is no row, and a delete of it may be among the offsets that have no "
                        "record in Kafka any more, or are before --from",
    [PRESENCE_NO_RECORD] = "the row is of a later offset, at which Kafka has no record of its key "
                           "(compacted, or of a former log)",
    [PRESENCE_REPLAYED] = "the row is of an older record, whose dead letter was replayed",
    [PRESENCE_UPDATE] = "there is no row, and only updates of it were read, which make none",
    [PRESENCE_VERSION] = "only_if_newer decides, and deletes of the key leave no version",
};

const char *presence_reason(enum presence_kind kind)
{
    return REASONS[kind];
}

struct presence *presence_new(struct conn *c, const char *schema, const char *sink,
                              const char *topic, const struct presence_table *tables,
                              size_t table_count)
{
    struct presence *x = mem_zalloc(sizeof *x);

    x->c = c;
    x->schema = schema;
    x->sink = sink;
    x->topic = topic;
    x->tables = tables;
    x->table_count = table_count;
    x->events = mem_array(MAX(table_count, 1), sizeof *x->events);
    x->folded = mem_array(MAX(table_count, 1), sizeof *x->folded);
    memset(x->events, 0, MAX(table_count, 1) * sizeof *x->events);
    memset(x->folded, 0, MAX(table_count, 1) * sizeof *x->folded);
    return x;
}

struct presence *presence_free(struct presence *x)
{
    if (x != NULL) {
        buf_done(&x->sql);
        buf_done(&x->rows);
        result_clear(&x->found);
        free(x->targets);
        free(x->events);
        free(x->folded);
        free(x);
    }
    return NULL;
}

size_t presence_find(const struct presence *x, const struct table *table)
{
    size_t i = 0;

    while (i < x->table_count && x->tables[i].target->table->oid != table->oid) {
        i++;
    }
    return i;
}

/* ---- the columns that count ---- */

static size_t column_named(const struct target *t, const char *name)
{
    size_t i = 0;

    while (i < t->column_count && strcmp(t->columns[i].column->name, name) != 0) {
        i++;
    }
    return i;
}

static bool has_all_of(const struct target *a, const struct target *b)
{
    for (size_t i = 0; i < a->column_count; i++) {
        const struct target_column *c = &a->columns[i];
        if (!c->is_key && !c->is_version) {
            continue;
        }
        size_t other = column_named(b, c->column->name);
        if (other == b->column_count || b->columns[other].is_key != c->is_key ||
            b->columns[other].is_version != c->is_version ||
            b->columns[other].version_rank != c->version_rank) {
            return false;
        }
    }
    return true;
}

bool presence_fits(const struct target *a, const struct target *b)
{
    return a == b || (has_all_of(a, b) && has_all_of(b, a));
}

/* The column that is compared as the rank-th of the version, or column_count. */
static size_t version_at(const struct target *t, size_t rank)
{
    size_t i = 0;

    while (i < t->column_count &&
           !(t->columns[i].is_version && t->columns[i].version_rank == rank)) {
        i++;
    }
    return i;
}

/* "k0,k1", of prefix "x." "x.k0,x.k1". */
static void add_keys(struct buf *out, const struct target *t, const char *prefix)
{
    for (size_t i = 0, n = 0; i < t->column_count; i++) {
        if (t->columns[i].is_key) {
            buf_printf(out, "%s%sk%zu", n > 0 ? "," : "", prefix, n);
            n++;
        }
    }
}

/* ",v0,v1" */
static void add_version_names(struct buf *out, const struct target *t)
{
    for (size_t rank = 0; version_at(t, rank) < t->column_count; rank++) {
        buf_printf(out, ",v%zu", rank);
    }
}

/* Texts of versions are compared by their bytes (pg/rows_sql.c). */
static const char *by_bytes(const struct target *t, size_t column)
{
    return column_type_is_text(t->columns[column].column->type)
               ? "::pg_catalog.text COLLATE pg_catalog.\"C\""
               : "";
}

/* ---- the temporary tables ---- */

/* o: the offset, n: the place of the row in its batch, a: the action, r: the target, made: an
 * insert is folded into it. The columns of the key and the version have the table's types. */
static void add_create(struct buf *out, const struct target *t, size_t table)
{
    size_t n = 0;

    buf_printf(out, "CREATE TEMPORARY TABLE pgsinkd_key%zu AS SELECT ", table);
    for (size_t i = 0; i < t->column_count; i++) {
        if (t->columns[i].is_key) {
            buf_add_z(out, "t.");
            table_quote_ident(out, t->columns[i].column->name);
            buf_printf(out, " AS k%zu,", n++);
        }
    }
    for (size_t rank = 0, i; (i = version_at(t, rank)) < t->column_count; rank++) {
        buf_add_z(out, "t.");
        table_quote_ident(out, t->columns[i].column->name);
        buf_printf(out, " AS v%zu,", rank);
    }
    buf_printf(out,
               "0::pg_catalog.int4 AS p,0::pg_catalog.int8 AS o,0::pg_catalog.int8 AS n,"
               "0::pg_catalog.int4 AS a,0::pg_catalog.int4 AS r,false AS made FROM %s t"
               " WITH NO DATA;",
               t->table->quoted);
}

bool presence_begin(struct presence *x, struct error *err)
{
    /* What presence_end and presence_compare read beside the ledger: a right that is missing is
     * noticed before the topic is read. */
    _cleanup_mem_ char *may_read = sql_in_schema(
        "SELECT FROM $S.history LIMIT 0;SELECT FROM $S.dead_letters LIMIT 0", x->schema);

    if (!conn_run(x->c, may_read, err)) {
        return false;
    }
    buf_clear(&x->sql);
    for (size_t i = 0; i < x->table_count; i++) {
        add_create(&x->sql, x->tables[i].target, i);
    }
    buf_add_z(&x->sql,
              "CREATE TEMPORARY TABLE pgsinkd_cut (tab integer, p integer, o bigint, n bigint);"
              "CREATE TEMPORARY TABLE pgsinkd_turned (tab integer, p integer, o bigint, r integer);"
              "CREATE TEMPORARY TABLE pgsinkd_part (p integer, f bigint, t bigint, whole boolean)");
    return conn_run(x->c, buf_cstr(&x->sql), err) ||
           error_wrap(err, "cannot use temporary tables of the table's columns");
}

static size_t target_number(struct presence *x, const struct target *t)
{
    for (size_t i = 0; i < x->target_count; i++) {
        if (x->targets[i] == t) {
            return i;
        }
    }
    x->targets = mem_grow(x->targets, &x->target_cap, x->target_count, sizeof *x->targets);
    x->targets[x->target_count] = t;
    return x->target_count++;
}

/* ---- folding ---- */

static void add_dead_letters(struct presence *x, size_t table)
{
    for (size_t r = 0; r < x->target_count; r++) {
        if (presence_find(x, x->targets[r]->table) != table) {
            continue;
        }
        _cleanup_mem_ char *from = sql_in_schema(" USING $S.dead_letters d WHERE d.sink",
                                                 x->schema);
        buf_printf(&x->sql, "DELETE FROM pg_temp.pgsinkd_key%zu x%s" SQL_EQ, table, from);
        sql_literal(&x->sql, x->sink);
        buf_add_z(&x->sql, " AND d.topic" SQL_EQ);
        sql_literal(&x->sql, x->topic);
        buf_add_z(&x->sql, " AND d.route" SQL_EQ);
        sql_literal(&x->sql, x->targets[r]->route);
        buf_printf(
            &x->sql,
            " AND d.partition" SQL_EQ "x.p AND d.\"offset\"" SQL_EQ "x.o AND x.r" SQL_EQ "%zu;", r);
    }
}

/* Of each (key, partition) are left: its last delete, and after that the one whose row must be
 * there. */
static void add_fold(struct presence *x, size_t table)
{
    const struct target *t = x->tables[table].target;
    _cleanup_buf_ struct buf keys = {0};
    _cleanup_buf_ struct buf versions = {0};
    _cleanup_buf_ struct buf by_version = {0};

    add_keys(&keys, t, "");
    add_version_names(&versions, t);
    for (size_t rank = 0, i; (i = version_at(t, rank)) < t->column_count; rank++) {
        buf_printf(&by_version, "v%zu%s DESC NULLS LAST,", rank, by_bytes(t, i));
    }
    const char *k = buf_cstr(&keys);
    buf_printf(&x->sql,
               "DELETE FROM pg_temp.pgsinkd_key%zu x USING pg_temp.pgsinkd_cut c WHERE c.tab" SQL_EQ
               "%zu AND c.p" SQL_EQ "x.p AND (x.o" SQL_LT "c.o OR x.o" SQL_EQ "c.o AND x.n" SQL_LT
               "c.n);",
               table, table);
    buf_printf(&x->sql,
               "CREATE TEMPORARY TABLE pgsinkd_fold AS WITH e AS (SELECT DISTINCT ON (%s,p,o) *"
               " FROM pg_temp.pgsinkd_key%zu ORDER BY %s,p,o,n DESC),"
               " d AS (SELECT e.*, pg_catalog.max(o) FILTER (WHERE a" SQL_EQ
               "%d) OVER (PARTITION BY %s,p) AS gone FROM e),",
               k, table, k, ROW_DELETE, k);
    buf_printf(&x->sql,
               " f AS (SELECT d.*, pg_catalog.bool_or(made OR a" SQL_EQ "%d OR a" SQL_EQ
               "%d) FILTER (WHERE a" SQL_NE "%d AND (gone IS NULL OR o" SQL_GT
               "gone)) OVER (PARTITION BY %s,p) AS was_made,",
               ROW_UPSERT, ROW_IGNORE, ROW_DELETE, k);
    buf_printf(&x->sql,
               " pg_catalog.row_number() OVER (PARTITION BY %s,p,a" SQL_EQ
               "%d ORDER BY (gone IS NULL OR o" SQL_GT "gone) DESC, a" SQL_EQ
               "%d,%s CASE WHEN a" SQL_EQ "%d THEN o END, o DESC) AS place FROM d)",
               k, ROW_DELETE, ROW_IGNORE, buf_cstr(&by_version), ROW_IGNORE);
    buf_printf(&x->sql,
               " SELECT %s%s,p,o,n,a,r,coalesce(was_made,false) AS made FROM f WHERE place" SQL_EQ
               "1 AND (a" SQL_EQ "%d OR gone IS NULL OR o" SQL_GT "gone);"
               "DROP TABLE pg_temp.pgsinkd_key%zu;"
               "ALTER TABLE pg_temp.pgsinkd_fold RENAME TO pgsinkd_key%zu;"
               "ANALYZE pg_temp.pgsinkd_key%zu",
               k, buf_cstr(&versions), ROW_DELETE, table, table, table);
}

static bool fold(struct presence *x, size_t table, struct error *err)
{
    char count[80];

    buf_clear(&x->sql);
    add_dead_letters(x, table);
    add_fold(x, table);
    snprintf(count, sizeof count, "SELECT pg_catalog.count(*) FROM pg_temp.pgsinkd_key%zu", table);
    if (!conn_run(x->c, buf_cstr(&x->sql), err)) {
        return false;
    }
    _cleanup_result_ PGresult *left = conn_exec(x->c, count, 0, NULL, err);
    if (left == NULL) {
        return false;
    }
    x->events[table] = 0;
    x->folded[table] = (uint64_t) result_i64(left, 0, 0, 0);
    return true;
}

/* ---- adding ---- */

/* Each tuple with its place in front. */
static struct str placed(struct presence *x, const struct batch_part *p, size_t first, size_t n)
{
    buf_clear(&x->rows);
    for (size_t row = 0; row < n; row++) {
        struct str tuple = batch_tuple(p, first + row);
        const uint8_t *bytes = (const uint8_t *) tuple.p;
        buf_add_u16(&x->rows, (uint16_t) ((bytes[0] << 8 | bytes[1]) + 1));
        buf_add_u32(&x->rows, sizeof(uint32_t));
        buf_add_u32(&x->rows, (uint32_t) row + 1);
        buf_add(&x->rows, tuple.p + 2, tuple.n - 2);
    }
    return (struct str){.p = (const char *) x->rows.p, .n = x->rows.n};
}

static void add_array(struct presence *x, const struct batch *b, const struct batch_part *p,
                      size_t first, size_t n, bool offsets)
{
    buf_add_z(&x->sql, ",('");
    sql_array_open(&x->sql);
    for (size_t i = 0; i < n; i++) {
        const struct batch_row *row = &p->rows[first + i];
        sql_array_i64(&x->sql, offsets ? b->records[row->record].offset : (int64_t) row->seq);
    }
    sql_array_close(&x->sql);
    buf_add_z(&x->sql, "'::pg_catalog.int8[])[s.place]");
}

/* From the stage: the key, the version if the row holds one, and where it is from. */
static void add_events(struct presence *x, int32_t partition, const struct batch *b,
                       const struct batch_part *p, size_t table, size_t first, size_t n,
                       const char *stage)
{
    const struct target *like = x->tables[table].target;
    const struct rows_shape s = {p->target, p->action, p->omit};

    buf_printf(&x->sql, "INSERT INTO pg_temp.pgsinkd_key%zu SELECT ", table);
    for (size_t i = 0; i < like->column_count; i++) {
        if (like->columns[i].is_key) {
            rows_sql_value(&x->sql, &s, column_named(p->target, like->columns[i].column->name));
            buf_add_u8(&x->sql, ',');
        }
    }
    for (size_t rank = 0, i; (i = version_at(p->target, rank)) < p->target->column_count; rank++) {
        if (target_holds(p->target, i, p->action, p->omit)) {
            rows_sql_value(&x->sql, &s, i);
        } else {
            buf_add_z(&x->sql, "NULL");
        }
        buf_add_u8(&x->sql, ',');
    }
    buf_printf(&x->sql, "%" PRId32, partition);
    add_array(x, b, p, first, n, true);
    add_array(x, b, p, first, n, false);
    buf_printf(&x->sql, ",%d,%zu,false FROM pg_temp.%s s;COMMIT", (int) p->action,
               target_number(x, p->target), stage);
}

static bool add_rows(struct presence *x, int32_t partition, const struct batch *b,
                     const struct batch_part *p, size_t table, size_t first, size_t n,
                     struct error *err)
{
    const struct rows_shape s = {p->target, p->action, p->omit};
    char stage[40];

    snprintf(stage, sizeof stage, "pgsinkd_place%" PRIu32, p->target->id);
    buf_clear(&x->sql);
    buf_add_z(&x->sql, "BEGIN;");
    rows_sql_create(&x->sql, &s, stage, true);
    if (!conn_run(x->c, buf_cstr(&x->sql), err)) {
        return false;
    }
    buf_clear(&x->sql);
    rows_sql_copy(&x->sql, &s, stage, true);
    if (!content_copy(x->c, buf_cstr(&x->sql), placed(x, p, first, n), err)) {
        return false;
    }
    buf_clear(&x->sql);
    add_events(x, partition, b, p, table, first, n, stage);
    return conn_run(x->c, buf_cstr(&x->sql), err);
}

static bool add_turned(struct presence *x, int32_t partition, const struct content_reject *r,
                       size_t n, struct error *err)
{
    if (n == 0) {
        return true;
    }
    buf_clear(&x->sql);
    buf_add_z(&x->sql, "INSERT INTO pg_temp.pgsinkd_turned VALUES ");
    for (size_t i = 0; i < n; i++) {
        buf_printf(&x->sql, "%s(%zu,%" PRId32 ",%" PRId64 ",%zu)", i > 0 ? "," : "", r[i].table,
                   partition, r[i].offset, target_number(x, r[i].target));
    }
    return conn_run(x->c, buf_cstr(&x->sql), err);
}

/* A row that the server refuses is found by halving, as in content.c. */
static bool add_part(struct presence *x, int32_t partition, const struct batch *b,
                     const struct batch_part *p, size_t table, struct error *err)
{
    size_t at = 0;
    size_t n = p->row_count;

    while (at < p->row_count) {
        if (add_rows(x, partition, b, p, table, at, n, err)) {
            at += n;
            n *= 2;
            n = MIN(n, p->row_count - at);
            continue;
        }
        if (!content_is_refusal(err) || !conn_run(x->c, "ROLLBACK", err)) {
            return false;
        }
        if (n > 1) {
            n /= 2;
            continue;
        }
        const struct content_reject one = {
            .offset = b->records[p->rows[at].record].offset, .target = p->target, .table = table};
        if (!add_turned(x, partition, &one, 1, err)) {
            return false;
        }
        at++;
    }
    x->events[table] += p->row_count;
    return true;
}

/* A truncate makes all before it void: of this partition, as far as is known. */
static bool add_cut(struct presence *x, int32_t partition, const struct batch *b,
                    const struct batch_part *p, size_t table, struct error *err)
{
    const struct batch_row *last = &p->rows[p->row_count - 1];

    buf_clear(&x->sql);
    buf_printf(&x->sql,
               "INSERT INTO pg_temp.pgsinkd_cut VALUES (%zu,%" PRId32 ",%" PRId64 ",%" PRIu32 ")",
               table, partition, b->records[last->record].offset, last->seq);
    return conn_run(x->c, buf_cstr(&x->sql), err);
}

static bool add_batch(struct presence *x, int32_t partition, const struct batch *b,
                      struct error *err)
{
    for (size_t i = 0; i < b->part_count; i++) {
        const struct batch_part *p = &b->parts[i];
        size_t table = presence_find(x, p->target->table);
        /* A soft delete leaves partition and offset as they are. */
        if (p->row_count == 0 || table == x->table_count || p->action == ROW_SOFT_DELETE) {
            continue;
        }
        if (!(p->action == ROW_TRUNCATE ? add_cut(x, partition, b, p, table, err)
                                        : add_part(x, partition, b, p, table, err))) {
            return false;
        }
    }
    return true;
}

bool presence_add(struct presence *x, int32_t partition, const struct batch *b,
                  const struct content_reject *rejected, size_t rejected_count, struct error *err)
{
    bool ok = add_batch(x, partition, b, err) &&
              add_turned(x, partition, rejected, rejected_count, err);

    for (size_t i = 0; ok && i < x->table_count; i++) {
        if (x->events[i] >= MAX(FOLD_EVENTS, x->folded[i])) {
            ok = fold(x, i, err);
        }
    }
    if (!ok) {
        conn_close(x->c); /* whatever transaction is open */
    }
    return ok;
}

/* ---- comparing ---- */

/* What was replayed is known where there is history. */
static const char replayed_sql[] =
    "CREATE TEMPORARY TABLE pgsinkd_replayed AS SELECT DISTINCT u.p, u.o FROM $S.history h,"
    " LATERAL ROWS FROM (pg_catalog.unnest(h.topics), pg_catalog.unnest(h.partitions),"
    " pg_catalog.unnest(h.froms)) AS u(t, p, o) WHERE h.kind" SQL_EQ "'replay' AND h.sink" SQL_EQ;

bool presence_end(struct presence *x, const struct presence_part *parts, size_t n,
                  struct error *err)
{
    _cleanup_mem_ char *replayed = sql_in_schema(replayed_sql, x->schema);

    for (size_t i = 0; i < x->table_count; i++) {
        if (!fold(x, i, err)) {
            return false;
        }
    }
    x->part_count = n;
    buf_clear(&x->sql);
    buf_add_z(&x->sql, replayed);
    sql_literal(&x->sql, x->sink);
    buf_add_z(&x->sql, " AND u.t" SQL_EQ);
    sql_literal(&x->sql, x->topic);
    for (size_t i = 0; i < n; i++) {
        buf_printf(&x->sql, "%s(%" PRId32 ",%" PRId64 ",%" PRId64 ",%s)",
                   i > 0 ? "," : ";INSERT INTO pg_temp.pgsinkd_part VALUES ", parts[i].partition,
                   parts[i].from, parts[i].to, parts[i].is_whole ? "true" : "false");
    }
    return conn_run(x->c, buf_cstr(&x->sql), err);
}

/* g: the rows that there are. */
static void add_stored(struct presence *x, const struct presence_table *table)
{
    const struct target *t = table->target;
    size_t n = 0;

    buf_add_z(&x->sql, "(SELECT true AS there,");
    for (size_t i = 0; i < t->column_count; i++) {
        if (t->columns[i].is_key) {
            buf_add_z(&x->sql, "t.");
            table_quote_ident(&x->sql, t->columns[i].column->name);
            buf_printf(&x->sql, " AS k%zu,", n++);
        }
    }
    for (size_t rank = 0, i; (i = version_at(t, rank)) < t->column_count; rank++) {
        buf_add_z(&x->sql, "t.");
        table_quote_ident(&x->sql, t->columns[i].column->name);
        buf_printf(&x->sql, " AS v%zu,", rank);
    }
    buf_add_z(&x->sql, "t.");
    table_quote_ident(&x->sql, table->partition);
    buf_add_z(&x->sql, "::pg_catalog.int4 AS p,t.");
    table_quote_ident(&x->sql, table->offset);
    buf_add_z(&x->sql, "::pg_catalog.int8 AS o,");
    if (table->topic != NULL) {
        buf_add_z(&x->sql, "coalesce(t.");
        table_quote_ident(&x->sql, table->topic);
        buf_add_z(&x->sql, "::pg_catalog.text" SQL_EQ);
        sql_literal(&x->sql, x->topic);
        buf_add_z(&x->sql, ",false)");
    } else {
        buf_add_z(&x->sql, "true");
    }
    buf_printf(&x->sql, " AS ours FROM %s t) g", t->table->quoted);
}

/* By the operators that the key's types have, see struct column. */
static void add_same_key(struct buf *out, const struct target *t)
{
    for (size_t i = 0, n = 0; i < t->column_count; i++) {
        const struct column *c = t->columns[i].column;
        if (!t->columns[i].is_key) {
            continue;
        }
        buf_printf(out, "%sg.k%zu", n > 0 ? " AND " : "", n);
        if (c->equals_as != NULL) {
            buf_printf(out, "::%s", c->equals_as);
        }
        buf_printf(out, "%sw.k%zu", c->equals != NULL ? c->equals : SQL_EQ, n);
        if (c->equals_as != NULL) {
            buf_printf(out, "::%s", c->equals_as);
        }
        n++;
    }
}

/* The row that is there is newer: (g.v0 > w.v0 OR g.v0 = w.v0 AND (...)). */
static void add_is_newer(struct buf *out, const struct target *t)
{
    size_t rank = 0;

    buf_add_u8(out, '(');
    for (size_t i; (i = version_at(t, rank)) < t->column_count; rank++) {
        const char *as = by_bytes(t, i);
        if (rank > 0) {
            buf_printf(out, " OR g.v%zu%s" SQL_EQ "w.v%zu%s AND (", rank - 1,
                       by_bytes(t, version_at(t, rank - 1)), rank - 1,
                       by_bytes(t, version_at(t, rank - 1)));
        }
        buf_printf(out, "g.v%zu%s" SQL_GT "w.v%zu%s OR w.v%zu IS NULL", rank, as, rank, as, rank);
    }
    for (size_t i = 1; i < rank; i++) {
        buf_add_u8(out, ')');
    }
    buf_add_z(out, rank == 0 ? "false)" : ")");
}

/* There is no row, of one that must have been made. */
static void add_absent(struct presence *x, const struct presence_table *t)
{
    if (!t->is_deleted_of) {
        buf_printf(&x->sql, "WHEN g.there IS NULL AND NOT cut AND dmin IS NULL THEN %d ",
                   PRESENCE_MISSING);
    }
    buf_printf(&x->sql,
               "WHEN g.there IS NULL AND (dmin" SQL_NE "w.p OR dmax" SQL_NE "w.p OR cut%s"
               ") THEN %d WHEN g.there IS NULL AND moving THEN %d ",
               t->is_shared ? " OR true" : "", PRESENCE_DELETED_ELSEWHERE, PRESENCE_MOVING);
    buf_printf(&x->sql,
               "WHEN g.there IS NULL AND (holes" SQL_GT "1 OR holes" SQL_EQ
               "1 AND (q.whole OR %s)) THEN %d WHEN g.there IS NULL THEN %d ",
               t->by_record_key ? "false" : "true", PRESENCE_UNREAD, PRESENCE_MISSING);
}

static void add_kind(struct presence *x, const struct presence_table *t)
{
    bool versioned = t->target->has_version;

    buf_printf(&x->sql,
               "CASE WHEN w.a" SQL_EQ "%d THEN CASE WHEN won IS NULL AND g.ours AND g.p" SQL_EQ
               "w.p AND g.o" SQL_LT "w.o THEN CASE WHEN replayed THEN %d ELSE %d END END ",
               ROW_DELETE, PRESENCE_REPLAYED, versioned ? PRESENCE_VERSION : PRESENCE_UNDELETED);
    buf_printf(&x->sql, "WHEN g.there IS NULL AND NOT w.made THEN %d ", PRESENCE_UPDATE);
    if (versioned) {
        buf_printf(&x->sql,
                   "WHEN dmin IS NOT NULL AND (g.there IS NULL OR g.o" SQL_NE "w.o) THEN %d ",
                   PRESENCE_VERSION);
    }
    add_absent(x, t);
    buf_printf(&x->sql,
               "WHEN NOT g.ours OR g.p IS NULL OR g.o IS NULL OR g.p" SQL_NE
               "w.p THEN %d WHEN g.o" SQL_EQ "w.o OR g.o" SQL_GE "q.t THEN NULL ",
               PRESENCE_OTHER_PARTITION);
    /* The first stays. */
    buf_printf(&x->sql,
               "WHEN w.a" SQL_EQ "%d AND g.o" SQL_LT "q.f THEN NULL WHEN w.a" SQL_EQ "%d THEN %d ",
               ROW_IGNORE, ROW_IGNORE, PRESENCE_NO_RECORD);
    buf_add_z(&x->sql, "WHEN ");
    add_is_newer(&x->sql, t->target);
    buf_printf(&x->sql,
               " THEN NULL WHEN replayed THEN %d WHEN g.o" SQL_LT "w.o THEN %d ELSE %d END AS kind",
               PRESENCE_REPLAYED, PRESENCE_MISSING, PRESENCE_NO_RECORD);
}

/* w: what must be there, and the deletes; q: its partition. */
static void add_judged(struct presence *x, size_t table)
{
    const struct presence_table *t = &x->tables[table];
    _cleanup_buf_ struct buf keys = {0};
    _cleanup_mem_ char *ledger = sql_in_schema("$S.offsets", x->schema);

    add_keys(&keys, t->target, "");
    const char *k = buf_cstr(&keys);
    buf_printf(
        &x->sql,
        "WITH m AS (SELECT EXISTS (SELECT FROM %s l LEFT JOIN pg_temp.pgsinkd_part q ON q.p" SQL_EQ
        "l.partition WHERE l.sink" SQL_EQ "$1 AND l.topic" SQL_EQ
        "$2 AND (q.p IS NULL OR l.next_offset" SQL_GT "q.t)) AS moving,"
        " (SELECT pg_catalog.count(*) FROM pg_temp.pgsinkd_part q WHERE NOT q.whole) AS"
        " holes),",
        ledger);
    buf_printf(&x->sql,
               " w AS (SELECT x.*, pg_catalog.min(p) FILTER (WHERE a" SQL_EQ
               "%d) OVER (PARTITION BY %s) AS dmin, pg_catalog.max(p) FILTER (WHERE a" SQL_EQ
               "%d) OVER (PARTITION BY %s) AS dmax, pg_catalog.max(o) FILTER (WHERE a" SQL_NE
               "%d) OVER (PARTITION BY %s,p) AS won FROM pg_temp.pgsinkd_key%zu x),",
               ROW_DELETE, k, ROW_DELETE, k, ROW_DELETE, k, table);
    buf_add_z(&x->sql, " j AS (SELECT z.p, z.o, z.there, z.kind FROM (SELECT w.p, w.o,"
                       " coalesce(g.o, '-1'::pg_catalog.int8) AS there, ");
    add_kind(x, t);
    buf_printf(&x->sql, " FROM m, w JOIN pg_temp.pgsinkd_part q ON q.p" SQL_EQ "w.p LEFT JOIN ");
    add_stored(x, t);
    buf_add_z(&x->sql, " ON ");
    add_same_key(&x->sql, t->target);
    buf_printf(
        &x->sql,
        " CROSS JOIN LATERAL (SELECT EXISTS (SELECT FROM pg_temp.pgsinkd_cut c WHERE c.tab" SQL_EQ
        "%zu AND c.p" SQL_NE "w.p) AS cut, g.there AND EXISTS (SELECT FROM"
        " pg_temp.pgsinkd_replayed y WHERE y.p" SQL_EQ "g.p AND y.o" SQL_EQ "g.o) AS replayed) y",
        table);
    buf_add_z(&x->sql, ") z WHERE z.kind IS NOT NULL");
    _cleanup_mem_ char *letters = sql_in_schema("$S.dead_letters", x->schema);
    for (size_t r = 0; r < x->target_count; r++) {
        if (presence_find(x, x->targets[r]->table) != table) {
            continue;
        }
        buf_printf(&x->sql,
                   " UNION ALL SELECT u.p, u.o, '-1'::pg_catalog.int8, %d FROM"
                   " pg_temp.pgsinkd_turned u WHERE u.tab" SQL_EQ "%zu AND u.r" SQL_EQ
                   "%zu AND NOT EXISTS (SELECT FROM %s d WHERE d.sink" SQL_EQ
                   "$1 AND d.topic" SQL_EQ "$2 AND d.partition" SQL_EQ "u.p AND d.\"offset\"" SQL_EQ
                   "u.o AND d.route" SQL_EQ,
                   PRESENCE_MISSING, table, r, letters);
        sql_literal(&x->sql, x->targets[r]->route);
        buf_add_u8(&x->sql, ')');
    }
    buf_add_u8(&x->sql, ')');
}

bool presence_compare(struct presence *x, size_t table, size_t max, struct error *err)
{
    const char *values[] = {x->sink, x->topic};

    buf_clear(&x->sql);
    add_judged(x, table);
    buf_printf(&x->sql,
               " SELECT f.kind, f.p::pg_catalog.int8, f.o, f.there, CASE WHEN f.place" SQL_EQ
               "1 THEN f.of_kind ELSE 0 END FROM (SELECT j.*, pg_catalog.row_number() OVER"
               " (PARTITION BY kind ORDER BY p, o) AS place, pg_catalog.count(*) OVER (PARTITION"
               " BY kind) AS of_kind FROM j) f WHERE f.place" SQL_LE "1 OR f.kind" SQL_LT
               "%d AND f.place" SQL_LE "%zu ORDER BY f.p, f.o",
               PRESENCE_FAULTS, max);
    result_clear(&x->found);
    x->found = conn_exec(x->c, buf_cstr(&x->sql), ARRAY_LEN(values), values, err);
    x->next = 0;
    return x->found != NULL ||
           error_wrap(err, "table %s cannot be compared", x->tables[table].target->table->quoted);
}

bool presence_next(struct presence *x, struct presence_finding *out)
{
    int row = x->next++;

    if (x->found == NULL || row >= PQntuples(x->found)) {
        return false;
    }
    *out = (struct presence_finding){
        .kind = (enum presence_kind) result_i64(x->found, row, 0, 0),
        .partition = (int32_t) result_i64(x->found, row, 1, 0),
        .offset = result_i64(x->found, row, 2, 0),
        .found = result_i64(x->found, row, 3, 0),
        .count = (uint64_t) result_i64(x->found, row, 4, 0),
    };
    return true;
}
