/* Two statements, see schema_texts.h. */
#include "pg/schema_texts.h"

#include "base/mem.h"
#include "pg/libpq.h"
#include "pg/sql.h"

#include <stdlib.h>

static const char read_sql[] =
    "SELECT s.type, s.text, r.name, r.text FROM $S.schemas s"
    " LEFT JOIN LATERAL pg_catalog.jsonb_to_recordset(s.refs) AS r(place pg_catalog.int4,"
    " name pg_catalog.text, text pg_catalog.text) ON true"
    " WHERE s.registry" SQL_EQ "$1 AND s.ref" SQL_EQ "$2 ORDER BY r.place";

static const char write_sql[] =
    "INSERT INTO $S.schemas (registry, ref, type, text, refs)"
    " SELECT $1, $2, $3, $4, COALESCE(pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object("
    "'place', p.place, 'name', p.name, 'text', p.text) ORDER BY p.place), '[]')"
    " FROM ROWS FROM (pg_catalog.unnest($5::pg_catalog.text[]),"
    " pg_catalog.unnest($6::pg_catalog.text[])) WITH ORDINALITY AS p(name, text, place)"
    " ON CONFLICT (registry, ref) DO NOTHING";

void schema_text_done(struct schema_text *t)
{
    for (size_t i = 0; i < t->part_count; i++) {
        free(t->parts[i].name);
        free(t->parts[i].text);
    }
    free(t->parts);
    free(t->type);
    free(t->text);
    *t = (struct schema_text){0};
}

bool schema_text_read(struct conn *c, const struct schema_text_key *key, bool *out_found,
                      struct schema_text *out, struct error *err)
{
    const char *values[] = {key->registry, key->ref};
    _cleanup_mem_ char *sql = sql_in_schema(read_sql, key->schema);
    _cleanup_result_ PGresult *r = conn_exec(c, sql, ARRAY_LEN(values), values, err);

    if (r == NULL) {
        return false;
    }
    int rows = PQntuples(r);
    *out_found = rows > 0;
    *out = (struct schema_text){0};
    if (rows == 0) {
        return true;
    }
    out->type = mem_strdup(PQgetvalue(r, 0, 0));
    out->text = mem_strdup(PQgetvalue(r, 0, 1));
    out->parts = mem_array((size_t) rows, sizeof *out->parts);
    for (int i = 0; i < rows; i++) {
        if (!PQgetisnull(r, i, 2)) { /* one without parts has one row of nothing */
            out->parts[out->part_count++] = (struct schema_text_part){
                mem_strdup(PQgetvalue(r, i, 2)), mem_strdup(PQgetvalue(r, i, 3))};
        }
    }
    return true;
}

bool schema_text_write(struct conn *c, const struct schema_text_key *key,
                       const struct schema_text *t, struct error *err)
{
    _cleanup_buf_ struct buf names = {0};
    _cleanup_buf_ struct buf texts = {0};

    sql_array_open(&names);
    sql_array_open(&texts);
    for (size_t i = 0; i < t->part_count; i++) {
        sql_array_text(&names, t->parts[i].name);
        sql_array_text(&texts, t->parts[i].text);
    }
    sql_array_close(&names);
    sql_array_close(&texts);
    const char *values[] = {key->registry, key->ref,         t->type,
                            t->text,       buf_cstr(&names), buf_cstr(&texts)};
    _cleanup_mem_ char *sql = sql_in_schema(write_sql, key->schema);
    _cleanup_result_ PGresult *r = conn_exec(c, sql, ARRAY_LEN(values), values, err);
    return r != NULL;
}
