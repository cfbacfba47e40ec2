/* See topic_entries.h. Main thread before the workers start; the scout. */
#include "pg/topic_entries.h"

#include "base/buf.h"
#include "base/mem.h"
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
    char *sql _cleanup_mem_ = sql_in_schema(statement, schema);
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
    if (!read_names(c, "SELECT entry FROM $S.topic_entries WHERE sink = $1", schema, sink,
                    out_entries, err)) {
        return false;
    }
    return out_entries->count > 0 ||
           read_names(c, "SELECT DISTINCT topic FROM $S.offsets WHERE sink = $1", schema, sink,
                      out_topics, err);
}

static void take_made(const PGresult *res, struct ledger_entry *rows)
{
    for (int row = 0; row < PQntuples(res); row++) {
        rows[strtol(PQgetvalue(res, row, 0), NULL, 10) - 1].inserted = true;
    }
}

bool topic_entries_use(struct conn *c, const char *schema, const char *sink, const char *entry,
                       const char *reason, struct ledger_entry *rows, size_t n, struct error *err)
{
    struct buf arrays[3] = {{0}};
    char *sql _cleanup_mem_ = sql_in_schema("SELECT * FROM $S.first_use($1, $2, $3, $4, $5, $6)",
                                            schema);
    for (size_t i = 0; i < ARRAY_LEN(arrays); i++) {
        sql_array_open(&arrays[i]);
    }
    for (size_t i = 0; i < n; i++) {
        sql_array_text(&arrays[0], rows[i].topic);
        sql_array_i64(&arrays[1], rows[i].partition);
        sql_array_i64(&arrays[2], rows[i].first_offset);
        rows[i].inserted = false;
    }
    for (size_t i = 0; i < ARRAY_LEN(arrays); i++) {
        sql_array_close(&arrays[i]);
    }
    const char *values[] = {
        sink, entry, buf_cstr(&arrays[0]), buf_cstr(&arrays[1]), buf_cstr(&arrays[2]), reason};
    _cleanup_result_ PGresult *res = conn_exec(c, sql, ARRAY_LEN(values), values, err);
    for (size_t i = 0; i < ARRAY_LEN(arrays); i++) {
        buf_done(&arrays[i]);
    }
    if (res == NULL) {
        return error_wrap(err, "cannot write down the first use of topics entry '%s'", entry);
    }
    take_made(res, rows);
    return true;
}
