/* Two statements, see members.h. Blocking. Scout thread. */
#include "pg/members.h"

#include "base/mem.h"
#include "pg/libpq.h"
#include "pg/sql.h"

#include <stdlib.h>

static const char read_sql[] =
    "SELECT t.topic FROM $S.static_members m"
    " LEFT JOIN LATERAL pg_catalog.unnest(m.topics) WITH ORDINALITY AS t(topic, place) ON true"
    " WHERE m.sink" SQL_EQ "$1 AND m.instance_id" SQL_EQ "$2 ORDER BY t.place";

static const char write_sql[] =
    "INSERT INTO $S.static_members AS m (sink, instance_id, topics) VALUES ($1, $2, $3)"
    " ON CONFLICT (sink, instance_id) DO UPDATE"
    " SET topics = excluded.topics, joined_at = excluded.joined_at";

bool members_read(struct conn *c, const struct members_key *key, bool *out_found, char ***out,
                  size_t *out_n, struct error *err)
{
    const char *values[] = {key->sink, key->instance_id};
    _cleanup_mem_ char *sql = sql_in_schema(read_sql, key->schema);
    _cleanup_result_ PGresult *r = conn_exec(c, sql, ARRAY_LEN(values), values, err);

    if (r == NULL) {
        return false;
    }
    int rows = PQntuples(r);
    *out_found = rows > 0;
    *out = mem_array((size_t) rows, sizeof **out);
    *out_n = 0;
    for (int i = 0; i < rows; i++) {
        if (!PQgetisnull(r, i, 0)) { /* a member without topics has one row of nothing */
            (*out)[(*out_n)++] = mem_strdup(PQgetvalue(r, i, 0));
        }
    }
    return true;
}

bool members_write(struct conn *c, const struct members_key *key, char *const *topics, size_t n,
                   struct error *err)
{
    _cleanup_buf_ struct buf list = {0};

    sql_array_open(&list);
    for (size_t i = 0; i < n; i++) {
        sql_array_text(&list, topics[i]);
    }
    sql_array_close(&list);
    const char *values[] = {key->sink, key->instance_id, buf_cstr(&list)};
    _cleanup_mem_ char *sql = sql_in_schema(write_sql, key->schema);
    _cleanup_result_ PGresult *r = conn_exec(c, sql, ARRAY_LEN(values), values, err);
    return r != NULL;
}
