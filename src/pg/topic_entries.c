/* Three statements, see topic_entries.h. Main thread before the workers start; the scout. */
#include "pg/topic_entries.h"

#include "base/mem.h"
#include "pg/key_arrays.h"
#include "pg/libpq.h"
#include "pg/sql.h"

#include <stdlib.h>

void topic_entries_names_free(struct topic_entries_names *names)
{
    for (size_t i = 0; i < names->count; i++) {
        free(names->items[i]);
    }
    free(names->items);
    *names = (struct topic_entries_names){0};
}

static bool read_names(struct conn *c, const char *statement, const char *schema, const char *sink,
                       struct topic_entries_names *out, struct error *err)
{
    const char *values[] = {sink};
    _cleanup_mem_ char *sql = sql_in_schema(statement, schema);
    _cleanup_result_ PGresult *res = conn_exec(c, sql, ARRAY_LEN(values), values, err);

    if (res == NULL) {
        return false;
    }
    out->count = (size_t) PQntuples(res);
    out->items = mem_array(out->count, sizeof(char *));
    for (size_t i = 0; i < out->count; i++) {
        out->items[i] = mem_strdup(PQgetvalue(res, (int) i, 0));
    }
    return true;
}

bool topic_entries_read(struct conn *c, const char *schema, const char *sink,
                        struct topic_entries_names *out_entries,
                        struct topic_entries_names *out_topics, struct error *err)
{
    *out_entries = *out_topics = (struct topic_entries_names){0};
    if (!read_names(c, "SELECT entry FROM $S.topic_entries WHERE sink" SQL_EQ "$1", schema, sink,
                    out_entries, err)) {
        return false;
    }
    return out_entries->count > 0 ||
           read_names(c, "SELECT DISTINCT topic FROM $S.offsets WHERE sink" SQL_EQ "$1", schema,
                      sink, out_topics, err);
}

static void take_made(const PGresult *res, struct ledger_entry *rows)
{
    for (int row = 0; row < PQntuples(res); row++) {
        rows[result_i64(res, row, 0, 0) - 1].inserted = true;
    }
}

bool topic_entries_use(struct conn *c, const char *schema, const char *sink, const char *entry,
                       const char *reason, struct ledger_entry *rows, size_t n, struct error *err)
{
    _cleanup_key_arrays_ struct key_arrays keys = {0};
    _cleanup_mem_ char *sql = sql_in_schema("SELECT * FROM $S.first_use($1, $2, $3, $4, $5, $6)",
                                            schema);

    key_arrays_begin(&keys);
    for (size_t i = 0; i < n; i++) {
        key_arrays_add(&keys, rows[i].topic, rows[i].partition);
        sql_array_i64(&keys.of[KEY_ARRAYS_MORE], rows[i].first_offset);
        rows[i].inserted = false;
    }
    const char *values[] = {sink,
                            entry,
                            key_arrays_end(&keys, KEY_ARRAYS_TOPIC),
                            key_arrays_end(&keys, KEY_ARRAYS_PARTITION),
                            key_arrays_end(&keys, KEY_ARRAYS_MORE),
                            reason};
    _cleanup_result_ PGresult *res = conn_exec(c, sql, ARRAY_LEN(values), values, err);
    if (res == NULL) {
        return error_wrap(err, "cannot record the first use of topics entry '%s'", entry);
    }
    take_made(res, rows);
    return true;
}
