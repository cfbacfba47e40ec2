/* One statement each, see heartbeats.h. Scout thread. */
#include "pg/heartbeats.h"

#include "base/mem.h"
#include "pg/libpq.h"
#include "pg/sql.h"

#include <stdio.h>
#include <stdlib.h>

#define NUMBER 32 /* holds any number as text */

static const char write_sql[] =
    "SELECT $S.heartbeat($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)";
static const char remove_sql[] = "DELETE FROM $S.heartbeats WHERE sink" SQL_EQ "$1 AND owner" SQL_EQ
                                 "$2";

static void take_number(char out[NUMBER], uint64_t value)
{
    snprintf(out, NUMBER, "%llu", (unsigned long long) value);
}

static PGresult *send_beat(struct conn *c, const char *sql, const char *sink,
                           const struct heartbeat *h, bool has_error, struct error *err)
{
    char pid[NUMBER];
    char age[NUMBER];
    char workers[NUMBER];
    char partitions[NUMBER];
    char records[NUMBER];
    char rows[NUMBER];
    char error_age[NUMBER];

    take_number(pid, (uint64_t) h->pid);
    take_number(age, h->age_usec / USEC_PER_MSEC);
    take_number(workers, h->workers);
    take_number(partitions, h->partitions);
    snprintf(records, sizeof records, "%.1f", h->records_per_second);
    snprintf(rows, sizeof rows, "%.1f", h->rows_per_second);
    take_number(error_age, h->last_error_age_usec / USEC_PER_MSEC);
    const char *values[] = {sink,
                            h->owner,
                            h->host,
                            pid,
                            PGSINKD_VERSION,
                            age,
                            workers,
                            partitions,
                            records,
                            rows,
                            has_error ? h->last_error : NULL,
                            has_error ? error_age : NULL};
    return conn_exec(c, sql, ARRAY_LEN(values), values, err);
}

bool heartbeats_write(struct conn *c, const char *schema, const char *sink,
                      const struct heartbeat *h, bool *out_seeks, struct error *err)
{
    bool has_error = h->last_error[0] != '\0';
    _cleanup_mem_ char *sql = sql_in_schema(write_sql, schema);
    _cleanup_result_ PGresult *res = send_beat(c, sql, sink, h, has_error, err);

    if (res == NULL && has_error && conn_is_open(c)) {
        /* The encoding of the database may lack a character of it. */
        res = send_beat(c, sql, sink, h, false, err);
    }
    if (res == NULL) {
        return error_wrap(err, "cannot write a heartbeat");
    }
    *out_seeks = result_is_true(res, 0, 0);
    return true;
}

bool heartbeats_remove(struct conn *c, const char *schema, const char *sink, const char *owner,
                       struct error *err)
{
    const char *values[] = {sink, owner};
    _cleanup_mem_ char *sql = sql_in_schema(remove_sql, schema);
    _cleanup_result_ PGresult *res = conn_exec(c, sql, ARRAY_LEN(values), values, err);

    return res != NULL;
}
