/* See content.h. One thread of a command. */
#include "pg/content.h"

#include "base/mem.h"
#include "pg/libpq.h"
#include "pg/sql.h"
#include "pg/sqlstate.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Rows of one table and the same columns: only such are compared column by column. Of further ones
 * the number is compared. */
#define SHAPES_MAX 200

struct content {
    struct conn *c;
    const char *schema;
    const char *sink;
    const char *topic;
    const struct content_table *tables;
    size_t table_count;
    int32_t partition;
    struct rows_shape shapes[SHAPES_MAX];
    size_t shape_table[SHAPES_MAX];
    size_t shape_count;
    struct buf sql;
    const char **columns; /* of a finding */
    size_t column_count;
    size_t column_cap;
    PGresult *found;
    size_t found_table;
    int next;
};

struct content *content_new(struct conn *c, const char *schema, const char *sink, const char *topic,
                            const struct content_table *tables, size_t table_count)
{
    struct content *x = mem_zalloc(sizeof *x);

    x->c = c;
    x->schema = schema;
    x->sink = sink;
    x->topic = topic;
    x->tables = tables;
    x->table_count = table_count;
    return x;
}

struct content *content_free(struct content *x)
{
    if (x != NULL) {
        buf_done(&x->sql);
        free(x->columns);
        result_clear(&x->found);
        free(x);
    }
    return NULL;
}

size_t content_find(const struct content *x, const struct table *table)
{
    size_t i = 0;

    while (i < x->table_count && strcmp(x->tables[i].table->quoted, table->quoted) != 0) {
        i++;
    }
    return i;
}

/* ---- the ledger ---- */

static PGresult *ask(struct conn *c, const char *statement, const char *schema, const char *sink,
                     const char *topic, struct error *err)
{
    const char *values[] = {sink, topic};
    _cleanup_mem_ char *sql = sql_in_schema(statement, schema);

    return conn_exec(c, sql, ARRAY_LEN(values), values, err);
}

bool content_ledger(struct conn *c, const char *schema, const char *sink, const char *topic,
                    struct content_part **out_parts, size_t *out_part_count,
                    struct content_gap **out_gaps, size_t *out_gap_count, struct error *err)
{
    /* Where the log was another one before, only what was noted since the partition began counts
     * for where that of now begins; first_offset is NULL where the beginning was not noted. */
    static const char parts_sql[] =
        "SELECT o.partition::pg_catalog.int8, coalesce(g.again, p.first_offset, 0), o.next_offset,"
        " coalesce(g.former, 0) FROM $S.offsets o LEFT JOIN $S.partitions p ON p.sink" SQL_EQ
        "o.sink AND p.topic" SQL_EQ "o.topic AND p.partition" SQL_EQ
        "o.partition LEFT JOIN LATERAL (SELECT pg_catalog.max(g.from_offset) AS former,"
        " (pg_catalog.array_agg(g.next_offset ORDER BY g.recorded_at DESC) FILTER (WHERE"
        " pg_catalog.starts_with(g.reason, 'the topic') AND (p.first_offset IS NULL OR"
        " g.recorded_at" SQL_GE "p.first_at)))[1] AS again FROM $S.gaps g WHERE g.sink" SQL_EQ
        "o.sink AND g.topic" SQL_EQ "o.topic AND g.partition" SQL_EQ
        "o.partition AND (pg_catalog.starts_with(g.reason, 'the topic') OR"
        " pg_catalog.starts_with(g.reason, 'overwritten'))) g ON true WHERE o.sink" SQL_EQ
        "$1 AND o.topic" SQL_EQ "$2 ORDER BY o.partition";
    /* Not those from before the partition began, and of a former log only what lies before the
     * offset from which on the log is another one. */
    static const char gaps_sql[] =
        "SELECT g.partition::pg_catalog.int8, g.from_offset, g.until FROM (SELECT g.partition,"
        " g.from_offset, least(g.next_offset, (SELECT pg_catalog.min(l.next_offset) FROM $S.gaps l"
        " WHERE l.sink" SQL_EQ "g.sink AND l.topic" SQL_EQ "g.topic AND l.partition" SQL_EQ
        "g.partition AND l.recorded_at" SQL_GT "g.recorded_at AND (pg_catalog.starts_with(l.reason,"
        " 'the topic') OR pg_catalog.starts_with(l.reason, 'overwritten')))) AS until"
        " FROM $S.gaps g WHERE g.sink" SQL_EQ "$1 AND g.topic" SQL_EQ
        "$2 AND NOT EXISTS (SELECT FROM $S.partitions p WHERE p.sink" SQL_EQ
        "g.sink AND p.topic" SQL_EQ "g.topic AND p.partition" SQL_EQ
        "g.partition AND p.first_offset IS NOT NULL AND g.recorded_at" SQL_LT
        "p.first_at)) g WHERE g.until" SQL_GT "g.from_offset";
    _cleanup_result_ PGresult *parts = ask(c, parts_sql, schema, sink, topic, err);

    if (parts == NULL) {
        return false;
    }
    _cleanup_result_ PGresult *gaps = ask(c, gaps_sql, schema, sink, topic, err);
    if (gaps == NULL) {
        return false;
    }
    *out_part_count = (size_t) PQntuples(parts);
    *out_parts = mem_array(MAX(*out_part_count, 1), sizeof **out_parts);
    for (int i = 0; i < PQntuples(parts); i++) {
        (*out_parts)[i] = (struct content_part){.partition = (int32_t) result_i64(parts, i, 0, 0),
                                                .first_offset = result_i64(parts, i, 1, 0),
                                                .next_offset = result_i64(parts, i, 2, 0),
                                                .former = result_i64(parts, i, 3, 0)};
    }
    *out_gap_count = (size_t) PQntuples(gaps);
    *out_gaps = mem_array(MAX(*out_gap_count, 1), sizeof **out_gaps);
    for (int i = 0; i < PQntuples(gaps); i++) {
        (*out_gaps)[i] = (struct content_gap){.partition = (int32_t) result_i64(gaps, i, 0, 0),
                                              .from = result_i64(gaps, i, 1, 0),
                                              .next = result_i64(gaps, i, 2, 0)};
    }
    return true;
}

/* ---- what is expected ---- */

/* A row without `img` stands for a record as such (route NULL), or for one that was rejected. */
static const char begin_sql[] = "CREATE TEMPORARY TABLE IF NOT EXISTS pg_temp.pgsinkd_expected"
                                " (o bigint, tab integer, route text, shape integer, img text);"
                                "TRUNCATE pg_temp.pgsinkd_expected";

bool content_begin(struct content *x, int32_t partition, struct error *err)
{
    x->partition = partition;
    return conn_run(x->c, begin_sql, err) || error_wrap(err, "cannot use temporary tables");
}

/* The number of the shape, SHAPES_MAX: too many. */
static size_t shape_number(struct content *x, const struct rows_shape *s, size_t table)
{
    for (size_t i = 0; i < x->shape_count; i++) {
        if (x->shapes[i].target == s->target && x->shapes[i].omit == s->omit) {
            return i;
        }
    }
    if (x->shape_count == SHAPES_MAX) {
        return SHAPES_MAX;
    }
    x->shapes[x->shape_count] = *s;
    x->shape_table[x->shape_count] = table;
    return x->shape_count++;
}

/* Is it certain what the column must hold? Not what PostgreSQL computes, nor a DEFAULT. */
static bool is_compared(const struct rows_shape *s, size_t column)
{
    const struct target_column *c = &s->target->columns[column];

    return target_holds(s->target, column, s->action, s->omit) && !c->is_input &&
           (s->omit != OMIT_MIXED || c->omit_bit < 0);
}

/* concat_ws(',', hash of "a", hash of "b", ...), of columns of t. NULL has the hash 1. */
static void add_image(struct buf *out, const struct rows_shape *s)
{
    buf_add_z(out, "pg_catalog.concat_ws(',',''");
    for (size_t i = 0; i < s->target->column_count; i++) {
        if (is_compared(s, i)) {
            buf_add_z(out, ",coalesce(pg_catalog.hashtextextended(t.");
            table_quote_ident(out, s->target->columns[i].column->name);
            buf_add_z(out, "::pg_catalog.text,0),1)");
        }
    }
    buf_add_u8(out, ')');
}

bool content_copy(struct conn *c, const char *copy, struct str rows, struct error *err)
{
    static const char header[] = "PGCOPY\n\377\r\n\0\0\0\0\0\0\0\0";
    static const char trailer[] = {'\377', '\377'};
    PGconn *pg = c->pg;

    conn_begin(c);
    (void) PQsetnonblocking(pg, 0);
    _cleanup_result_ PGresult *began = PQexec(pg, copy);
    bool ok = PQresultStatus(began) == PGRES_COPY_IN;
    if (ok) {
        (void) PQputCopyData(pg, header, sizeof header);
        (void) PQputCopyData(pg, rows.p, (int) rows.n);
        (void) PQputCopyData(pg, trailer, sizeof trailer);
        (void) PQputCopyEnd(pg, NULL);
    }
    _cleanup_result_ PGresult *ended = ok ? PQgetResult(pg) : NULL;
    ok = ok && PQresultStatus(ended) == PGRES_COMMAND_OK;
    if (!ok) {
        fault_result(ended != NULL ? ended : began, err);
    }
    for (PGresult *rest; (rest = PQgetResult(pg)) != NULL;) {
        PQclear(rest);
    }
    (void) PQsetnonblocking(pg, 1);
    conn_end(c);
    return ok;
}

/* By the statement that stores them, but into a table that only looks like theirs: so they get the
 * types and the precision of its columns. */
static void add_store(struct content *x, const struct rows_shape *s, const char *stage,
                      const char *image)
{
    struct table table = *s->target->table;
    struct target target = *s->target;
    struct rows_shape shape = *s;
    char quoted[64];

    snprintf(quoted, sizeof quoted, "pg_temp.%s", image);
    table.quoted = quoted;
    target.table = &table;
    shape.target = &target;
    rows_sql_store(&x->sql, &shape, ROWS_STAGE, stage, NULL);
}

static void add_expected(struct content *x, const struct rows_shape *s, size_t table,
                         const char *image)
{
    size_t number = shape_number(x, s, table);

    buf_printf(&x->sql, ";INSERT INTO pg_temp.pgsinkd_expected SELECT t.");
    table_quote_ident(&x->sql, x->tables[table].offset);
    buf_printf(&x->sql, "::pg_catalog.int8,%zu,", table);
    sql_literal(&x->sql, s->target->route);
    buf_printf(&x->sql, ",%zu,", number);
    if (number < SHAPES_MAX) {
        add_image(&x->sql, s);
    } else {
        buf_add_z(&x->sql, "''");
    }
    buf_printf(&x->sql, " FROM pg_temp.%s t;COMMIT", image);
}

/* The n rows from the first on. */
static bool add_rows(struct content *x, const struct batch_part *p, size_t table, size_t first,
                     size_t n, struct error *err)
{
    const char *begin = batch_tuple(p, first).p;
    struct str last = batch_tuple(p, first + n - 1);
    struct str rows = {.p = begin, .n = (size_t) (last.p + last.n - begin)};
    const struct rows_shape s = {p->target, p->action, p->omit};
    char stage[40];
    char image[40];

    snprintf(stage, sizeof stage, "pgsinkd_stage%" PRIu32, p->target->id);
    snprintf(image, sizeof image, "pgsinkd_image%zu", table);
    buf_clear(&x->sql);
    buf_add_z(&x->sql, "BEGIN;");
    rows_sql_create(&x->sql, &s, stage, false);
    buf_printf(&x->sql,
               ";CREATE TEMPORARY TABLE IF NOT EXISTS pg_temp.%s ON COMMIT DELETE ROWS AS"
               " SELECT * FROM %s WITH NO DATA",
               image, p->target->table->quoted);
    if (!conn_run(x->c, buf_cstr(&x->sql), err)) {
        return false;
    }
    buf_clear(&x->sql);
    rows_sql_copy(&x->sql, &s, stage, false);
    if (!content_copy(x->c, buf_cstr(&x->sql), rows, err)) {
        return false;
    }
    buf_clear(&x->sql);
    add_store(x, &s, stage, image);
    add_expected(x, &s, table, image);
    return conn_run(x->c, buf_cstr(&x->sql), err);
}

static bool add_rejected(struct content *x, const struct content_reject *r, size_t n,
                         struct error *err)
{
    if (n == 0) {
        return true;
    }
    buf_clear(&x->sql);
    buf_add_z(&x->sql, "INSERT INTO pg_temp.pgsinkd_expected (o, tab, route) VALUES ");
    for (size_t i = 0; i < n; i++) {
        buf_printf(&x->sql, "%s(%" PRId64 ",%zu,", i > 0 ? "," : "", r[i].offset, r[i].table);
        sql_literal(&x->sql, r[i].target->route);
        buf_add_u8(&x->sql, ')');
    }
    return conn_run(x->c, buf_cstr(&x->sql), err);
}

bool content_is_refusal(const struct error *err)
{
    static const char *const classes[] = {"22", "23", "54", "P0"};

    for (size_t i = 0; i < ARRAY_LEN(classes); i++) {
        if (sqlstate_is(err->sqlstate, classes[i])) {
            return true;
        }
    }
    return false;
}

/* A row that the server refuses, so that a dead letter is expected, is found by halving. */
static bool add_part(struct content *x, const struct batch *b, size_t part, size_t table,
                     struct error *err)
{
    const struct batch_part *p = &b->parts[part];
    size_t at = 0;
    size_t n = p->row_count;

    while (at < p->row_count) {
        if (add_rows(x, p, table, at, n, err)) {
            at += n;
            n *= 2;
        } else if (!content_is_refusal(err) || !conn_run(x->c, "ROLLBACK", err)) {
            return false;
        } else if (n > 1) {
            n /= 2;
        } else {
            struct content_reject r = {.offset = b->records[p->rows[at].record].offset,
                                       .target = p->target,
                                       .table = table};
            if (!add_rejected(x, &r, 1, err)) {
                return false;
            }
            at++;
        }
        n = MIN(n, p->row_count - at);
    }
    return true;
}

static bool add_records(struct content *x, const struct batch *b, struct error *err)
{
    buf_clear(&x->sql);
    buf_add_z(&x->sql, "INSERT INTO pg_temp.pgsinkd_expected (o)"
                       " SELECT pg_catalog.unnest('");
    sql_array_open(&x->sql);
    for (size_t i = 0; i < b->record_count; i++) {
        sql_array_i64(&x->sql, b->records[i].offset);
    }
    sql_array_close(&x->sql);
    buf_add_z(&x->sql, "'::pg_catalog.int8[])");
    return conn_run(x->c, buf_cstr(&x->sql), err);
}

bool content_add(struct content *x, const struct batch *b, const struct content_reject *rejected,
                 size_t rejected_count, struct error *err)
{
    if (!add_records(x, b, err) || !add_rejected(x, rejected, rejected_count, err)) {
        return false;
    }
    for (size_t i = 0; i < b->part_count; i++) {
        const struct batch_part *p = &b->parts[i];
        size_t table = content_find(x, p->target->table);
        if (p->row_count == 0 || p->action != ROW_INSERT || table == x->table_count) {
            continue;
        }
        if (!add_part(x, b, i, table, err)) {
            conn_close(x->c); /* whatever transaction is open */
            return false;
        }
    }
    return true;
}

/* ---- comparing ---- */

/*
 * e: of each offset that was read, how many rows it must have: none where it is a dead letter.
 * s: the rows that there are, with the image that rows of that shape have. $1 to $7: sink, topic,
 * partition, table, from, to, how many findings of a kind, below which offset a former log's rows
 * may be.
 */
static const char expected_sql[] =
    "WITH e AS (SELECT x.o, pg_catalog.count(x.img) FILTER (WHERE d.route IS NULL) AS n,"
    " pg_catalog.bool_or(x.route IS NOT NULL AND x.img IS NULL AND d.route IS NULL) AS lost,"
    " pg_catalog.min(x.shape) FILTER (WHERE d.route IS NULL) AS shape,"
    " pg_catalog.max(x.shape) FILTER (WHERE d.route IS NULL) AS shape_max,"
    " pg_catalog.array_agg(x.img ORDER BY x.img) FILTER (WHERE d.route IS NULL AND x.img IS NOT"
    " NULL) AS images FROM pg_temp.pgsinkd_expected x LEFT JOIN $S.dead_letters d"
    " ON d.sink" SQL_EQ "$1 AND d.topic" SQL_EQ "$2 AND d.partition" SQL_EQ
    "$3::pg_catalog.int4 AND d.\"offset\"" SQL_EQ "x.o AND d.route" SQL_EQ "x.route"
    " WHERE x.tab IS NULL OR x.tab" SQL_EQ "$4::pg_catalog.int4 GROUP BY x.o),";

static const char compared_sql[] =
    " g AS (SELECT s.o, pg_catalog.count(*) AS n,"
    " pg_catalog.array_agg(s.image ORDER BY s.image) AS images FROM s GROUP BY s.o),"
    " r AS (SELECT coalesce(e.o, g.o) AS o, coalesce(e.n, 0) AS wanted, coalesce(g.n, 0) AS found,"
    " e.shape, e.images[1] AS old, g.images[1] AS new,"
    " CASE WHEN e.o IS NULL THEN 3"
    " WHEN coalesce(g.n, 0)" SQL_LT "e.n OR e.lost THEN 0"
    " WHEN coalesce(g.n, 0)" SQL_GT "e.n THEN CASE WHEN e.o" SQL_LT
    "$8::pg_catalog.int8 THEN 4 ELSE 1 END"
    " WHEN e.n" SQL_GT "0 AND e.shape" SQL_EQ "e.shape_max AND e.images" SQL_NE
    "g.images THEN CASE WHEN e.o" SQL_LT
    "$8::pg_catalog.int8 THEN 4 ELSE 2 END END AS kind FROM e FULL JOIN g ON g.o" SQL_EQ "e.o)"
    " SELECT f.kind, f.o, f.wanted, f.found, f.shape, f.old, f.new,"
    " CASE WHEN f.place" SQL_EQ "1 THEN f.of_kind ELSE 0 END FROM (SELECT r.*,"
    " pg_catalog.row_number() OVER (PARTITION BY r.kind ORDER BY r.o) AS place,"
    " pg_catalog.count(*) OVER (PARTITION BY r.kind) AS of_kind FROM r"
    " WHERE r.kind IS NOT NULL) f WHERE f.place" SQL_LE "$7::pg_catalog.int8 ORDER BY f.o";

static void add_stored(struct content *x, size_t table)
{
    const struct content_table *t = &x->tables[table];

    buf_add_z(&x->sql, " s AS (SELECT t.");
    table_quote_ident(&x->sql, t->offset);
    buf_add_z(&x->sql, "::pg_catalog.int8 AS o, CASE");
    for (size_t i = 0; i < x->shape_count; i++) {
        if (x->shape_table[i] == table) {
            buf_printf(&x->sql, " WHEN e.shape" SQL_EQ "%zu THEN ", i);
            add_image(&x->sql, &x->shapes[i]);
        }
    }
    buf_printf(&x->sql,
               " WHEN false THEN NULL ELSE '' END AS image FROM %s t LEFT JOIN e ON e.o" SQL_EQ
               "t.",
               t->table->quoted);
    table_quote_ident(&x->sql, t->offset);
    buf_add_z(&x->sql, "::pg_catalog.int8 WHERE t.");
    table_quote_ident(&x->sql, t->partition);
    buf_add_z(&x->sql, SQL_EQ "$3::pg_catalog.int4 AND t.");
    table_quote_ident(&x->sql, t->offset);
    buf_add_z(&x->sql, SQL_GE "$5::pg_catalog.int8 AND t.");
    table_quote_ident(&x->sql, t->offset);
    buf_add_z(&x->sql, SQL_LT "$6::pg_catalog.int8");
    if (t->topic != NULL) {
        buf_add_z(&x->sql, " AND t.");
        table_quote_ident(&x->sql, t->topic);
        buf_add_z(&x->sql, "::pg_catalog.text" SQL_EQ "$2");
    }
    buf_add_z(&x->sql, "),");
}

bool content_compare(struct content *x, size_t table, struct content_range range, size_t max,
                     struct error *err)
{
    char partition[16];
    char number[16];
    char first[24];
    char last[24];
    char most[24];
    char former[24];
    const char *values[] = {x->sink, x->topic, partition, number, first, last, most, former};
    _cleanup_mem_ char *expected = sql_in_schema(expected_sql, x->schema);

    snprintf(partition, sizeof partition, "%" PRId32, x->partition);
    snprintf(number, sizeof number, "%zu", table);
    snprintf(first, sizeof first, "%" PRId64, range.from);
    snprintf(last, sizeof last, "%" PRId64, range.to);
    snprintf(former, sizeof former, "%" PRId64, range.former);
    snprintf(most, sizeof most, "%zu", max);
    /* Without statistics a join in memory looks too large, and nested loops do not end. */
    if (!conn_run(x->c, "ANALYZE pg_temp.pgsinkd_expected", err)) {
        return false;
    }
    buf_clear(&x->sql);
    buf_add_z(&x->sql, expected);
    add_stored(x, table);
    buf_add_z(&x->sql, compared_sql);
    result_clear(&x->found);
    x->found = conn_exec(x->c, buf_cstr(&x->sql), ARRAY_LEN(values), values, err);
    x->found_table = table;
    x->next = 0;
    return x->found != NULL ||
           error_wrap(err, "table %s cannot be compared", x->tables[table].table->quoted);
}

/* The names of the columns whose hashes differ. */
static void name_columns(struct content *x, const struct rows_shape *s, const char *a,
                         const char *b)
{
    for (size_t i = 0; i < s->target->column_count && *a != '\0' && *b != '\0'; i++) {
        if (!is_compared(s, i)) {
            continue;
        }
        size_t n = strcspn(++a, ",");
        size_t m = strcspn(++b, ",");
        if (n != m || memcmp(a, b, n) != 0) {
            x->columns = mem_grow(x->columns, &x->column_cap, x->column_count, sizeof *x->columns);
            x->columns[x->column_count++] = s->target->columns[i].column->name;
        }
        a += n;
        b += m;
    }
}

bool content_next(struct content *x, struct content_finding *out)
{
    int row = x->next++;

    if (x->found == NULL || row >= PQntuples(x->found)) {
        return false;
    }
    *out = (struct content_finding){
        .kind = (enum content_kind) result_i64(x->found, row, 0, 0),
        .offset = result_i64(x->found, row, 1, 0),
        .expected = result_i64(x->found, row, 2, 0),
        .found = result_i64(x->found, row, 3, 0),
        .count = (uint64_t) result_i64(x->found, row, 7, 0),
    };
    x->column_count = 0;
    if (out->kind == CONTENT_DIFFERENT && out->expected == 1) {
        size_t shape = (size_t) result_i64(x->found, row, 4, 0);
        name_columns(x, &x->shapes[shape], PQgetvalue(x->found, row, 5),
                     PQgetvalue(x->found, row, 6));
    }
    out->columns = x->columns;
    out->column_count = x->column_count;
    return true;
}
