/*
 * The statements behind status, offsets, pause, resume, seek and reset, see control.h. Main thread.
 */
#include "pg/control.h"

#include "base/mem.h"
#include "pg/libpq.h"
#include "pg/sql.h"

#include <stdlib.h>
#include <string.h>

/* ---- listings ---- */

void listing_done(struct listing *l)
{
    for (size_t i = 0; i < l->column_count; i++) {
        free(l->names[i]);
    }
    for (size_t i = 0; i < l->row_count * l->column_count; i++) {
        free(l->cells[i]);
    }
    free(l->names);
    free(l->are_numbers);
    free(l->cells);
    *l = (struct listing){0};
}

const char *listing_cell(const struct listing *l, size_t row, size_t column)
{
    return l->cells[row * l->column_count + column];
}

/* The types of pg_catalog, whose numbers never change. */
static bool is_number(Oid type)
{
    static const Oid numbers[] = {20 /* int8 */, 23 /* int4 */, 701 /* float8 */,
                                  1700 /* numeric */};

    for (size_t i = 0; i < ARRAY_LEN(numbers); i++) {
        if (numbers[i] == type) {
            return true;
        }
    }
    return false;
}

static void take_result(const PGresult *res, struct listing *out)
{
    out->row_count = (size_t) PQntuples(res);
    out->column_count = (size_t) PQnfields(res);
    out->names = mem_array(MAX(out->column_count, 1), sizeof *out->names);
    out->are_numbers = mem_array(MAX(out->column_count, 1), sizeof *out->are_numbers);
    out->cells = mem_array(MAX(out->row_count * out->column_count, 1), sizeof *out->cells);
    for (int column = 0; column < PQnfields(res); column++) {
        out->names[column] = mem_strdup(PQfname(res, column));
        out->are_numbers[column] = is_number(PQftype(res, column));
    }
    for (int row = 0; row < PQntuples(res); row++) {
        for (int column = 0; column < PQnfields(res); column++) {
            bool is_null = PQgetisnull(res, row, column);
            out->cells[(size_t) row * out->column_count + (size_t) column] =
                is_null ? NULL : mem_strdup(PQgetvalue(res, row, column));
        }
    }
}

/* ---- views ---- */

/* clang-format breaks lines inside of macros that stand between literals. */
/* clang-format off */
#define TIME(column) "pg_catalog.to_char(" column ", 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"')"
#define ROUNDED(column) "pg_catalog.round(" column "::pg_catalog.numeric)"
#define PLACE(of) "pg_catalog.format('%s-%s', " of ".topic, " of ".partition)"
#define OF_SINK(of) " WHERE " of ".sink" SQL_EQ "$1"
#define AT_PLACE(of)                                                                               \
    OF_SINK(of)                                                                                    \
    " AND ($2::pg_catalog.text IS NULL OR " of ".topic" SQL_EQ "$2)"                               \
    " AND ($3::pg_catalog.int4 IS NULL OR " of ".partition" SQL_EQ "$3)"

/* For 30 s a process that was killed looks alive, and its last rate like one of now. Where others
 * have its partitions, it counts no more. */
#define RATE(column)                                                                               \
    "(SELECT coalesce(pg_catalog.sum(i." column "), 0) FROM $S.instances i" OF_SINK("i")           \
    " AND NOT i.stale AND EXISTS (SELECT FROM $S.lag l" OF_SINK("l")                               \
    " AND l.owner" SQL_EQ "i.owner))"

static const char sink_sql[] =
    "SELECT s.instances, s.partitions, s.partitions_behind, s.lag, " ROUNDED("s.lag_seconds") ", "
    ROUNDED(RATE("records_per_second")) ", " ROUNDED(RATE("rows_per_second")) ","
    " s.standing, s.seeks,"
    " s.gaps, s.dead_letters, s.last_error, " TIME("s.last_error_at")
    " FROM $S.status s" OF_SINK("s");

static const char instances_sql[] =
    "SELECT i.host, i.pid, i.version, " TIME("i.started_at") " AS started, "
    TIME("i.seen_at") " AS seen, CASE WHEN i.stale THEN 'stale' ELSE 'runs' END AS state,"
    " i.workers, i.partitions, " ROUNDED("i.records_per_second") " AS \"records/s\", "
    ROUNDED("i.rows_per_second") " AS \"rows/s\", i.last_error"
    " FROM $S.instances i" OF_SINK("i") " ORDER BY i.host, i.pid";

static const char standing_sql[] =
    "SELECT " PLACE("s") " AS partition, s.state, " TIME("s.since") " AS since, s.reason, s.hint"
    " FROM $S.standing s" OF_SINK("s") " ORDER BY s.topic, s.partition";

static const char seeks_sql[] =
    "SELECT " PLACE("q") " AS partition, q.\"where\" AS \"seek to\", "
    TIME("q.requested_at") " AS \"asked for\", q.error"
    " FROM $S.seeks q" OF_SINK("q") " ORDER BY q.topic, q.partition";

#define TOPICS                                                                                     \
    "SELECT l.topic, pg_catalog.count(*) AS partitions,"                                           \
    " pg_catalog.count(*) FILTER (WHERE l.lag" SQL_GT "0) AS behind,"                              \
    " pg_catalog.sum(l.lag) AS lag, " TIME("pg_catalog.max(l.last_timestamp)") " AS last_record"   \
    " FROM $S.lag l" OF_SINK("l")                                                                  \
    " GROUP BY l.topic ORDER BY pg_catalog.sum(l.lag) DESC NULLS LAST, l.topic"
static const char topics_sql[] = TOPICS;

#define ALL_OF(view, order)                                                                        \
    "coalesce((SELECT pg_catalog.json_agg(pg_catalog.to_json(v) ORDER BY " order ")"               \
    " FROM $S." view " v" OF_SINK("v") "), '[]'::pg_catalog.json)"
static const char status_json_sql[] =
    "SELECT pg_catalog.json_build_object('sink', $1::pg_catalog.text, 'status',"
    " (SELECT pg_catalog.to_jsonb(v)" SQL_CAT "pg_catalog.jsonb_build_object('records_per_second', "
    RATE("records_per_second") ", 'rows_per_second', " RATE("rows_per_second") ")"
    " FROM $S.status v" OF_SINK("v") "),"
    " 'instances', " ALL_OF("instances", "v.host, v.pid") ","
    " 'standing', " ALL_OF("standing", "v.topic, v.partition") ","
    " 'seeks', " ALL_OF("seeks", "v.topic, v.partition") ","
    " 'topics', coalesce((SELECT pg_catalog.json_agg(pg_catalog.to_json(t))"
    " FROM (" TOPICS ") t), '[]'::pg_catalog.json))";

#define PARTITIONS                                                                                 \
    "SELECT l.topic, l.partition, l.next_offset, l.end_offset, l.lag, "                            \
    TIME("l.last_timestamp") " AS last_record, s.state, l.owner"                                   \
    " FROM $S.lag l LEFT JOIN $S.standing s ON s.sink" SQL_EQ "l.sink"                             \
    " AND s.topic" SQL_EQ "l.topic AND s.partition" SQL_EQ "l.partition"                           \
    AT_PLACE("l") " ORDER BY l.topic, l.partition"
static const char partitions_sql[] = PARTITIONS;
static const char partitions_json_sql[] =
    "SELECT pg_catalog.to_json(v)::pg_catalog.text FROM (" PARTITIONS ") v";

static const char names_sql[] = "SELECT o.topic FROM $S.offsets o" OF_SINK(
    "o") " GROUP BY o.topic ORDER BY o.topic";
/* clang-format on */

static const char sinks_sql[] = "SELECT s.sink FROM $S.status s ORDER BY s.sink";

static const struct {
    const char *sql;
    int values;
} views[] = {
    [CONTROL_SINK] = {sink_sql, 1},
    [CONTROL_INSTANCES] = {instances_sql, 1},
    [CONTROL_STANDING] = {standing_sql, 1},
    [CONTROL_SEEKS] = {seeks_sql, 1},
    [CONTROL_TOPICS] = {topics_sql, 1},
    [CONTROL_STATUS_JSON] = {status_json_sql, 1},
    [CONTROL_PARTITIONS] = {partitions_sql, 3},
    [CONTROL_PARTITIONS_JSON] = {partitions_json_sql, 3},
    [CONTROL_NAMES] = {names_sql, 1},
    [CONTROL_SINKS] = {sinks_sql, 0},
};
_Static_assert(ARRAY_LEN(views) == CONTROL_VIEWS, "each view has its statement");

static PGresult *ask(const struct control *k, const char *sql, int count, const char *const *values,
                     struct error *err)
{
    _cleanup_mem_ char *text = sql_in_schema(sql, k->schema);

    return conn_exec(k->conn, text, count, values, err);
}

static bool list(const struct control *k, const char *sql, int count, const char *const *values,
                 struct listing *out, struct error *err)
{
    _cleanup_result_ PGresult *res = ask(k, sql, count, values, err);

    if (res == NULL) {
        return false;
    }
    take_result(res, out);
    return true;
}

bool control_list(const struct control *k, enum control_view view, const struct control_place *at,
                  struct listing *out, struct error *err)
{
    const char *values[] = {k->sink, at != NULL ? at->topic : NULL,
                            at != NULL ? at->partition : NULL};

    return list(k, views[view].sql, views[view].values, values, out, err);
}

/* ---- actions ---- */

/* clang-format off */
#define STATE(of)                                                                                  \
    "(SELECT s.state FROM $S.standing s" OF_SINK("s")                                              \
    " AND s.topic" SQL_EQ of ".topic AND s.partition" SQL_EQ of ".partition)"

/*
 * In key order, as every function of the schema locks them. What the rows say then is what the
 * action finds; as arrays, because the statement that says what has changed is given it again.
 */
static const char lock_sql[] =
    "SELECT coalesce(pg_catalog.array_agg(b.topic), '{}'),"
    " coalesce(pg_catalog.array_agg(b.partition), '{}'),"
    " coalesce(pg_catalog.array_agg(b.next_offset), '{}'),"
    " coalesce(pg_catalog.array_agg(" STATE("b") "), '{}')"
    " FROM (SELECT o.topic, o.partition, o.next_offset FROM $S.offsets o" AT_PLACE("o")
    " ORDER BY o.topic, o.partition FOR NO KEY UPDATE) b";

static const char changes_sql[] =
    "WITH change AS (SELECT b.topic, b.partition, b.next_offset AS before, o.next_offset AS after,"
    " b.was FROM unnest($2::pg_catalog.text[], $3::pg_catalog.int4[], $4::pg_catalog.int8[],"
    " $5::pg_catalog.text[]) AS b(topic, partition, next_offset, was)"
    " LEFT JOIN $S.offsets o ON o.sink" SQL_EQ "$1"
    " AND o.topic" SQL_EQ "b.topic AND o.partition" SQL_EQ "b.partition),"
    " whole AS (SELECT c.topic, c.partition, c.before, c.after, c.was, " STATE("c") " AS state,"
    " (SELECT q.\"where\" FROM $S.seeks q" OF_SINK("q")
    " AND q.topic" SQL_EQ "c.topic AND q.partition" SQL_EQ "c.partition) AS asked FROM change c)"
    " SELECT w.topic, w.partition, w.before, w.after, w.was, w.state, w.asked,"
    " pg_catalog.to_json(w)::pg_catalog.text FROM whole w"
    " ORDER BY w.topic COLLATE pg_catalog.\"C\", w.partition";
/* clang-format on */

static const struct {
    const char *sql;
    int values;
} actions[] = {
    [CONTROL_PAUSE] = {"SELECT $S.pause($1::pg_catalog.text, $2::pg_catalog.text,"
                       " $3::pg_catalog.int4)",
                       3},
    [CONTROL_RESUME] = {"SELECT $S.resume($1::pg_catalog.text, $2::pg_catalog.text,"
                        " $3::pg_catalog.int4)",
                        3},
    [CONTROL_SEEK] = {"SELECT $S.seek($1::pg_catalog.text, $2::pg_catalog.text,"
                      " $4::pg_catalog.text, $3::pg_catalog.int4)",
                      4},
    [CONTROL_RESET] = {"SELECT $S.reset($1::pg_catalog.text, $2::pg_catalog.text)", 2},
};
_Static_assert(ARRAY_LEN(actions) == CONTROL_ACTIONS, "each action has its statement");

static bool run(const struct control *k, const char *sql, int count, const char *const *values,
                struct error *err)
{
    _cleanup_result_ PGresult *res = ask(k, sql, count, values, err);

    return res != NULL;
}

/* What rows say, locked, by one of the lock statements: *out has one row, its first columns are
 * four arrays. */
static bool begin(const struct control *k, const char *sql, int count, const char *const *values,
                  struct listing *out, struct error *err)
{
    return conn_run(k->conn, "BEGIN", err) && list(k, sql, count, values, out, err);
}

static bool end(const struct control *k, const struct listing *before, struct listing *out,
                struct error *err)
{
    const char *values[] = {k->sink, listing_cell(before, 0, 0), listing_cell(before, 0, 1),
                            listing_cell(before, 0, 2), listing_cell(before, 0, 3)};

    return list(k, changes_sql, ARRAY_LEN(values), values, out, err) &&
           conn_run(k->conn, "COMMIT", err);
}

bool control_do(const struct control *k, enum control_action action, const struct control_place *at,
                const char *where, struct listing *out_changes, struct error *err)
{
    const char *values[] = {k->sink, at->topic, at->partition, where};
    _cleanup_listing_ struct listing before = {0};

    return begin(k, lock_sql, 3, values, &before, err) &&
           run(k, actions[action].sql, actions[action].values, values, err) &&
           end(k, &before, out_changes, err);
}

/* ---- offsets of somebody else ---- */

#define STARTS                                                                                     \
    "unnest($2::pg_catalog.text[], $3::pg_catalog.int4[], $4::pg_catalog.int8[])"                  \
    " AS u(topic, partition, next_offset)"

/* clang-format off */
static const char lock_starts_sql[] =
    "SELECT pg_catalog.array_agg(u.topic), pg_catalog.array_agg(u.partition),"
    " pg_catalog.array_agg(b.next_offset), pg_catalog.array_agg(" STATE("b") "),"
    " pg_catalog.bool_or(b.next_offset IS NULL)"
    " FROM " STARTS " LEFT JOIN (SELECT o.topic, o.partition, o.next_offset FROM $S.offsets o"
    OF_SINK("o") " AND o.topic" SQL_EQ "ANY ($2::pg_catalog.text[])"
    " ORDER BY o.topic, o.partition FOR NO KEY UPDATE) b"
    " ON b.topic" SQL_EQ "u.topic AND b.partition" SQL_EQ "u.partition";
/* clang-format on */

/* fp_offset -1: it counts for whatever log is there, as after a seek(). */
static const char begin_rows_sql[] =
    "WITH made AS (INSERT INTO $S.offsets AS o (sink, topic, partition, next_offset, owner_epoch,"
    " updated_at, fp_offset) SELECT $1, u.topic, u.partition, u.next_offset, 0,"
    " pg_catalog.clock_timestamp(), -1 FROM " STARTS " ORDER BY u.topic, u.partition"
    " ON CONFLICT DO NOTHING RETURNING o.topic, o.partition, o.next_offset)"
    " INSERT INTO $S.partitions (sink, topic, partition, first_offset, first_reason)"
    " SELECT $1, m.topic, m.partition, m.next_offset, $5 FROM made m"
    " ON CONFLICT (sink, topic, partition) DO UPDATE SET first_offset = excluded.first_offset,"
    " first_reason = excluded.first_reason, first_at = pg_catalog.now(), cluster_id = NULL,"
    " topic_id = NULL";

static const char seek_rows_sql[] =
    "SELECT $S.seek($1::pg_catalog.text, u.topic, u.partition, u.next_offset)"
    " FROM (SELECT u.topic, u.partition, u.next_offset FROM " STARTS
    " ORDER BY u.topic, u.partition) u";

struct start_arrays {
    struct buf topics;
    struct buf partitions;
    struct buf next_offsets;
};

static void arrays_init(struct start_arrays *a, const struct control_start *starts, size_t n)
{
    *a = (struct start_arrays){0};
    sql_array_open(&a->topics);
    sql_array_open(&a->partitions);
    sql_array_open(&a->next_offsets);
    for (size_t i = 0; i < n; i++) {
        sql_array_text(&a->topics, starts[i].topic);
        sql_array_i64(&a->partitions, starts[i].partition);
        sql_array_i64(&a->next_offsets, starts[i].next_offset);
    }
    sql_array_close(&a->topics);
    sql_array_close(&a->partitions);
    sql_array_close(&a->next_offsets);
}

static void arrays_done(struct start_arrays *a)
{
    buf_done(&a->topics);
    buf_done(&a->partitions);
    buf_done(&a->next_offsets);
}

#define _cleanup_arrays_ _cleanup_(arrays_done)

/* An operator may move rows and not make them: that is asked for only where one is missing. */
static bool begin_missing(const struct control *k, const struct listing *before,
                          const char *const *values, struct error *err)
{
    const char *is_missing = listing_cell(before, 0, 4);
    bool none = is_missing == NULL || strcmp(is_missing, "t") != 0;

    return none || run(k, begin_rows_sql, 5, values, err);
}

bool control_take_over(const struct control *k, const struct control_start *starts, size_t n,
                       const char *reason, struct listing *out_changes, struct error *err)
{
    _cleanup_arrays_ struct start_arrays a;
    _cleanup_listing_ struct listing before = {0};

    arrays_init(&a, starts, n);
    const char *values[] = {k->sink, buf_cstr(&a.topics), buf_cstr(&a.partitions),
                            buf_cstr(&a.next_offsets), reason};
    return begin(k, lock_starts_sql, 4, values, &before, err) &&
           begin_missing(k, &before, values, err) && run(k, seek_rows_sql, 4, values, err) &&
           end(k, &before, out_changes, err);
}
