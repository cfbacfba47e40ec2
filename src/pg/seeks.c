/* Two statements, see seeks.h. Scout thread. */
#include "pg/seeks.h"

#include "base/mem.h"
#include "pg/key_arrays.h"
#include "pg/libpq.h"
#include "pg/sql.h"

#include <stdio.h>
#include <stdlib.h>

static const char read_sql[] =
    "SELECT s.topic, s.partition, s.id, s.at_ms FROM $S.seeks s JOIN $S.offsets o"
    " ON o.sink" SQL_EQ "s.sink AND o.topic" SQL_EQ "s.topic AND o.partition" SQL_EQ "s.partition"
    " WHERE s.sink" SQL_EQ "$1 AND o.owner" SQL_EQ "$2"
    " ORDER BY s.tried_at NULLS FIRST, s.at_ms, s.topic, s.partition";

bool seeks_read(struct conn *c, const char *schema, const char *sink, const char *owner,
                struct seek **out, size_t *out_n, struct error *err)
{
    const char *values[] = {sink, owner};
    _cleanup_mem_ char *sql = sql_in_schema(read_sql, schema);
    _cleanup_result_ PGresult *res = conn_exec(c, sql, ARRAY_LEN(values), values, err);

    if (res == NULL) {
        return error_wrap(err, "cannot read what seek() has asked for");
    }
    *out_n = (size_t) PQntuples(res);
    *out = mem_array(*out_n, sizeof **out);
    for (int row = 0; row < PQntuples(res); row++) {
        struct seek *s = &(*out)[row];
        s->topic = mem_strdup(PQgetvalue(res, row, 0));
        s->partition = (int32_t) result_i64(res, row, 1, 0);
        snprintf(s->id, sizeof s->id, "%s", PQgetvalue(res, row, 2));
        s->at_ms = result_i64(res, row, 3, 0);
    }
    return true;
}

void seeks_free(struct seek *seeks, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        free(seeks[i].topic);
    }
    free(seeks);
}

static void add_seek(struct key_arrays *keys, const struct seek *s)
{
    key_arrays_add(keys, s->topic, s->partition);
    sql_array_text(&keys->of[KEY_ARRAYS_MORE], s->id);
    if (s->error != NULL) {
        sql_array_null(&keys->of[KEY_ARRAYS_MORE + 1]);
        sql_array_text(&keys->of[KEY_ARRAYS_MORE + 2], s->error);
    } else {
        sql_array_i64(&keys->of[KEY_ARRAYS_MORE + 1], s->offset);
        sql_array_null(&keys->of[KEY_ARRAYS_MORE + 2]);
    }
}

bool seeks_done(struct conn *c, const char *schema, const char *sink, const struct seek *seeks,
                size_t n, size_t *out_moved, struct error *err)
{
    _cleanup_key_arrays_ struct key_arrays keys = {0};
    _cleanup_mem_ char *sql = sql_in_schema("SELECT $S.seek_done($1, $2, $3, $4, $5, $6)", schema);

    key_arrays_begin(&keys);
    for (size_t i = 0; i < n; i++) {
        add_seek(&keys, &seeks[i]);
    }
    const char *values[] = {sink,
                            key_arrays_end(&keys, KEY_ARRAYS_TOPIC),
                            key_arrays_end(&keys, KEY_ARRAYS_PARTITION),
                            key_arrays_end(&keys, KEY_ARRAYS_MORE),
                            key_arrays_end(&keys, KEY_ARRAYS_MORE + 1),
                            key_arrays_end(&keys, KEY_ARRAYS_MORE + 2)};
    _cleanup_result_ PGresult *res = conn_exec(c, sql, ARRAY_LEN(values), values, err);
    if (res == NULL) {
        return error_wrap(err, "cannot carry out what seek() has asked for");
    }
    *out_moved = (size_t) result_i64(res, 0, 0, 0);
    return true;
}
