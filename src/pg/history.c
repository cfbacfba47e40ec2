/* One statement each, see history.h. */
#include "pg/history.h"

#include "base/mem.h"
#include "pg/libpq.h"
#include "pg/sql.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

static const char trim_sql[] = "SELECT $S.trim_history($1, $2::pg_catalog.int8" SQL_TIMES
                               "'1 microsecond'::pg_catalog.interval, $3::pg_catalog.int4)";

bool history_trim(struct conn *c, const char *schema, const char *sink, usec_t keep,
                  uint32_t max_rows, bool *out_more, struct error *err)
{
    char keep_usec[24];
    char rows[12];
    const char *values[] = {sink, keep_usec, rows};
    _cleanup_mem_ char *sql = sql_in_schema(trim_sql, schema);

    snprintf(keep_usec, sizeof keep_usec, "%" PRIu64, keep);
    snprintf(rows, sizeof rows, "%" PRIu32, max_rows);
    _cleanup_result_ PGresult *res = conn_exec(c, sql, ARRAY_LEN(values), values, err);
    if (res == NULL) {
        return error_wrap(err, "history cannot be trimmed");
    }
    *out_more = result_i64(res, 0, 0, 0) == (int64_t) max_rows;
    return true;
}

/* ---- the proof ---- */

struct proof {
    PGresult *res;
};

struct proof *proof_read(struct conn *c, const char *schema, const char *sink, struct error *err)
{
    const char *values[] = {sink};
    _cleanup_mem_ char *sql = sql_in_schema(
        "SELECT v.topic, v.partition, v.from_offset, v.next_offset,"
        " v.what, v.detail, pg_catalog.row_to_json(v)"
        " FROM $S.verify($1) v",
        schema);
    PGresult *res = conn_exec(c, sql, ARRAY_LEN(values), values, err);

    if (res == NULL) {
        error_wrap(err, "cannot verify the history of sink '%s'", sink);
        return NULL;
    }
    struct proof *p = mem_zalloc(sizeof *p);
    p->res = res;
    return p;
}

struct proof *proof_free(struct proof *p)
{
    if (p != NULL) {
        result_clear(&p->res);
        free(p);
    }
    return NULL;
}

size_t proof_count(const struct proof *p)
{
    return (size_t) PQntuples(p->res);
}

struct finding proof_finding(const struct proof *p, size_t i)
{
    const char *texts[7];

    for (int column = 0; column < (int) ARRAY_LEN(texts); column++) {
        texts[column] = PQgetisnull(p->res, (int) i, column) ? NULL
                                                             : PQgetvalue(p->res, (int) i, column);
    }
    return (struct finding){
        .topic = texts[0],
        .partition = texts[1],
        .from_offset = texts[2],
        .next_offset = texts[3],
        .what = texts[4],
        .detail = texts[5],
        .json = texts[6],
    };
}
