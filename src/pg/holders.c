/* One statement, see holders.h. Scout thread. */
#include "pg/holders.h"

#include "base/mem.h"
#include "pg/key_arrays.h"
#include "pg/libpq.h"
#include "pg/sql.h"

#include <assert.h>
#include <stdlib.h>

/* $S is the schema. */
static const char read_sql[] = "SELECT o.next_offset, o.owner"
                               " FROM unnest($2::pg_catalog.text[], $3::pg_catalog.int4[])"
                               " WITH ORDINALITY AS u(topic, partition, place)"
                               " LEFT JOIN $S.offsets o ON o.sink" SQL_EQ "$1 AND o.topic" SQL_EQ
                               "u.topic AND o.partition" SQL_EQ "u.partition"
                               " ORDER BY u.place";

static void take_row(const PGresult *res, int row, struct holder *h)
{
    h->next_offset = result_i64(res, row, 0, -1);
    h->owner = PQgetisnull(res, row, 1) ? NULL : mem_strdup(PQgetvalue(res, row, 1));
}

bool holders_read(struct conn *c, const char *schema, const char *sink, struct holder *holders,
                  size_t n, struct error *err)
{
    _cleanup_mem_ char *sql = sql_in_schema(read_sql, schema);
    _cleanup_key_arrays_ struct key_arrays keys = {0};

    key_arrays_begin(&keys);
    for (size_t i = 0; i < n; i++) {
        key_arrays_add(&keys, holders[i].topic, holders[i].partition);
    }
    const char *values[] = {sink, key_arrays_end(&keys, KEY_ARRAYS_TOPIC),
                            key_arrays_end(&keys, KEY_ARRAYS_PARTITION)};
    _cleanup_result_ PGresult *res = conn_exec(c, sql, ARRAY_LEN(values), values, err);
    if (res == NULL) {
        return error_wrap(err, "cannot read the ledger");
    }
    assert((size_t) PQntuples(res) == n);
    for (size_t i = 0; i < n; i++) {
        take_row(res, (int) i, &holders[i]);
    }
    return true;
}
