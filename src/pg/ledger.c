/*
 * The ledger's operations except the advance: each is one statement, with arrays for all
 * partitions. Worker thread.
 */
#include "pg/ledger.h"

#include "base/mem.h"
#include "pg/key_arrays.h"
#include "pg/libpq.h"
#include "pg/sql.h"
#include "pg/sqlstate.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum ledger_op { LEDGER_CLAIM, LEDGER_EVICT, LEDGER_GAP, LEDGER_ENDS, LEDGER_NOTE, LEDGER_OPS };

struct ledger {
    char *sink;
    char *owner;
    char *sql[LEDGER_OPS];
    struct conn *c; /* NULL = nothing under way */
    enum ledger_op op;
    struct ledger_entry *entries;
    size_t n;
    int64_t gap_to;
    size_t evicted;
    bool answered;
    struct error fault; /* of the operation under way */
    struct key_arrays keys;
};

/* Each $S is the schema. */
static const char *const statements[LEDGER_OPS] = {
    [LEDGER_CLAIM] = "SELECT place, next_offset, owner_epoch, leader_epoch, mine, inserted, begun,"
                     " fp_offset, fp_crc, cluster_id, topic_id"
                     " FROM $S.claim($1, $2, $3, $4, $5, $6, $7)",
    /* A row's xmax is the transaction that holds its lock. We do not end backends of other roles.
     */
    [LEDGER_EVICT] =
        "SELECT pg_catalog.count(pg_catalog.pg_terminate_backend(a.pid))"
        " FROM pg_catalog.pg_stat_activity a"
        " WHERE a.usename" SQL_EQ "current_user AND a.pid" SQL_NE "pg_catalog.pg_backend_pid()"
        " AND a.backend_xid" SQL_EQ "ANY (SELECT o.xmax"
        " FROM unnest($2::pg_catalog.text[], $3::pg_catalog.int4[]) AS u(topic, partition)"
        " JOIN $S.offsets o ON o.sink" SQL_EQ "$1 AND o.topic" SQL_EQ
        "u.topic AND o.partition" SQL_EQ "u.partition)",
    [LEDGER_GAP] = "SELECT $S.gap($1, $2, $3, $4, $5, $6, $7)",
    /* Never waits: a row that somebody is changing gets its end with the next call. */
    [LEDGER_ENDS] = "WITH l AS (SELECT o.sink, o.topic, o.partition, u.end_offset"
                    " FROM unnest($2::pg_catalog.text[], $3::pg_catalog.int4[],"
                    " $4::pg_catalog.int8[], $5::pg_catalog.int8[])"
                    " AS u(topic, partition, owner_epoch, end_offset)"
                    " JOIN $S.offsets o ON o.sink" SQL_EQ "$1 AND o.topic" SQL_EQ "u.topic"
                    " AND o.partition" SQL_EQ "u.partition AND o.owner_epoch" SQL_EQ "u.owner_epoch"
                    " FOR NO KEY UPDATE OF o SKIP LOCKED)"
                    " UPDATE $S.offsets o"
                    " SET end_offset = l.end_offset, end_seen_at = pg_catalog.now()"
                    " FROM l WHERE o.sink" SQL_EQ "l.sink AND o.topic" SQL_EQ "l.topic"
                    " AND o.partition" SQL_EQ "l.partition",
    [LEDGER_NOTE] = "SELECT $S.note_log($1, $2, $3, $4, $5, $6)",
};

struct ledger *ledger_new(const char *schema, const char *sink, const char *owner)
{
    struct ledger *l = mem_zalloc(sizeof *l);

    l->sink = mem_strdup(sink);
    l->owner = mem_strdup(owner);
    for (size_t i = 0; i < LEDGER_OPS; i++) {
        l->sql[i] = sql_in_schema(statements[i], schema);
    }
    return l;
}

struct ledger *ledger_free(struct ledger *l)
{
    if (l != NULL) {
        for (size_t i = 0; i < LEDGER_OPS; i++) {
            free(l->sql[i]);
        }
        key_arrays_done(&l->keys);
        free(l->owner);
        free(l->sink);
        free(l);
    }
    return NULL;
}

size_t ledger_evicted(const struct ledger *l)
{
    return l->evicted;
}

static const char *array(struct ledger *l, size_t i)
{
    return key_arrays_end(&l->keys, i);
}

static void begin(struct ledger *l, struct conn *c, enum ledger_op op, struct ledger_entry *entries,
                  size_t n)
{
    assert(l->c == NULL);
    l->c = c;
    l->op = op;
    l->entries = entries;
    l->n = n;
    l->answered = false;
    l->fault.class = ERROR_NONE;
    key_arrays_begin(&l->keys);
    for (size_t i = 0; i < n; i++) {
        key_arrays_add(&l->keys, entries[i].topic, entries[i].partition);
    }
    conn_begin(c);
}

static bool send_statement(struct ledger *l, int count, const char *const *values,
                           struct error *err)
{
    struct conn *c = l->c;

    if (!PQsendQueryParams(c->pg, l->sql[l->op], count, NULL, values, NULL, NULL, 0)) {
        l->c = NULL;
        return conn_lost(c, err);
    }
    if (!conn_flush(c, err)) {
        l->c = NULL;
        return false;
    }
    return true;
}

bool ledger_claim_start(struct ledger *l, struct conn *c, struct ledger_entry *entries, size_t n,
                        bool only_mine, struct error *err)
{
    begin(l, c, LEDGER_CLAIM, entries, n);
    for (size_t i = 0; i < n; i++) {
        sql_array_i64(&l->keys.of[2], entries[i].first_offset);
        sql_array_text(&l->keys.of[3],
                       entries[i].first_reason != NULL ? entries[i].first_reason : "");
    }
    const char *values[] = {l->sink,     l->owner,    array(l, 0),          array(l, 1),
                            array(l, 2), array(l, 3), only_mine ? "t" : "f"};
    return send_statement(l, ARRAY_LEN(values), values, err);
}

bool ledger_evict_start(struct ledger *l, struct conn *c, struct ledger_entry *entries, size_t n,
                        struct error *err)
{
    begin(l, c, LEDGER_EVICT, entries, n);
    l->evicted = 0;
    const char *values[] = {l->sink, array(l, 0), array(l, 1)};
    return send_statement(l, ARRAY_LEN(values), values, err);
}

bool ledger_gap_start(struct ledger *l, struct conn *c, struct ledger_entry *entry, int64_t to,
                      const char *reason, struct error *err)
{
    char *numbers[4];
    const int64_t n[] = {entry->partition, entry->owner_epoch, entry->next_offset, to};

    begin(l, c, LEDGER_GAP, entry, 1);
    l->gap_to = to;
    for (size_t i = 0; i < ARRAY_LEN(n); i++) {
        numbers[i] = mem_printf("%lld", (long long) n[i]);
    }
    const char *values[] = {l->sink,    entry->topic, numbers[0], numbers[1],
                            numbers[2], numbers[3],   reason};
    bool ok = send_statement(l, ARRAY_LEN(values), values, err);
    for (size_t i = 0; i < ARRAY_LEN(n); i++) {
        free(numbers[i]);
    }
    return ok;
}

bool ledger_ends_start(struct ledger *l, struct conn *c, struct ledger_entry *entries, size_t n,
                       struct error *err)
{
    begin(l, c, LEDGER_ENDS, entries, n);
    for (size_t i = 0; i < n; i++) {
        sql_array_i64(&l->keys.of[2], entries[i].owner_epoch);
        sql_array_i64(&l->keys.of[3], entries[i].first_offset);
    }
    const char *values[] = {l->sink, array(l, 0), array(l, 1), array(l, 2), array(l, 3)};
    return send_statement(l, ARRAY_LEN(values), values, err);
}

static void add_id(struct buf *out, const char *id)
{
    if (id[0] == '\0') {
        sql_array_null(out);
    } else {
        sql_array_text(out, id);
    }
}

bool ledger_note_start(struct ledger *l, struct conn *c, struct ledger_entry *entries, size_t n,
                       struct error *err)
{
    begin(l, c, LEDGER_NOTE, entries, n);
    for (size_t i = 0; i < n; i++) {
        sql_array_i64(&l->keys.of[2], entries[i].owner_epoch);
        add_id(&l->keys.of[3], entries[i].ids.cluster);
        add_id(&l->keys.of[4], entries[i].ids.topic);
    }
    const char *values[] = {l->sink,     array(l, 0), array(l, 1),
                            array(l, 2), array(l, 3), array(l, 4)};
    return send_statement(l, ARRAY_LEN(values), values, err);
}

/* In SQL -1 means "by hand", and NULL that there is no fingerprint. */
static struct fingerprint take_fingerprint(const PGresult *res, int row, int column)
{
    int64_t offset = result_i64(res, row, column, FINGERPRINT_NONE);

    if (!PQgetisnull(res, row, column) && offset < 0) {
        offset = FINGERPRINT_BY_HAND;
    }
    return (struct fingerprint){.offset = offset,
                                .crc = (uint32_t) result_i64(res, row, column + 1, 0)};
}

/* Rows of the columns of LEDGER_CLAIM. */
static void take_rows(struct ledger *l, const PGresult *res)
{
    for (size_t i = 0; i < l->n; i++) {
        struct ledger_entry *e = &l->entries[i];
        e->next_offset = LEDGER_UNKNOWN;
        e->owner_epoch = 0;
        e->leader_epoch = -1;
        e->mine = e->inserted = e->begun = false;
        e->fp = (struct fingerprint){.offset = FINGERPRINT_NONE};
        e->ids = (struct log_ids){{""}, {""}};
    }
    for (int row = 0; row < PQntuples(res); row++) {
        int64_t place = result_i64(res, row, 0, 0);
        assert(place >= 1 && (size_t) place <= l->n);
        struct ledger_entry *e = &l->entries[place - 1];
        e->next_offset = result_i64(res, row, 1, LEDGER_UNKNOWN);
        e->owner_epoch = result_i64(res, row, 2, 0);
        e->leader_epoch = (int32_t) result_i64(res, row, 3, -1);
        e->mine = result_is_true(res, row, 4);
        e->inserted = result_is_true(res, row, 5);
        e->begun = result_is_true(res, row, 6);
        e->fp = take_fingerprint(res, row, 7);
        snprintf(e->ids.cluster, sizeof e->ids.cluster, "%s", PQgetvalue(res, row, 9));
        snprintf(e->ids.topic, sizeof e->ids.topic, "%s", PQgetvalue(res, row, 10));
    }
}

static void take_result(struct ledger *l, const PGresult *res)
{
    ExecStatusType status = PQresultStatus(res);

    if (status != PGRES_TUPLES_OK && status != PGRES_COMMAND_OK) {
        if (l->fault.class == ERROR_NONE) {
            fault_result(res, &l->fault);
        }
        return;
    }
    l->answered = true;
    switch (l->op) {
    case LEDGER_CLAIM:
        take_rows(l, res);
        break;
    case LEDGER_EVICT:
        l->evicted = (size_t) result_i64(res, 0, 0, 0);
        break;
    case LEDGER_GAP:
        l->entries->next_offset = l->gap_to;
        break;
    case LEDGER_ENDS:
    case LEDGER_NOTE:
    case LEDGER_OPS:
        break;
    }
}

/* ReadyForQuery has come. */
static enum ledger_step finish(struct ledger *l, struct error *err)
{
    static const char *const names[LEDGER_OPS] = {
        [LEDGER_CLAIM] = "claim",
        [LEDGER_EVICT] = "end the former owner's session",
        [LEDGER_GAP] = "record a gap",
        [LEDGER_ENDS] = "write end offsets",
        [LEDGER_NOTE] = "write the ids of a log",
    };
    struct conn *c = TAKE_PTR(l->c);

    if (l->fault.class == ERROR_NONE && !l->answered) {
        error_set(&l->fault, ERROR_LINK, "no result");
    }
    if (l->fault.class == ERROR_NONE) {
        conn_end(c);
        return LEDGER_DONE;
    }
    if (l->fault.class == ERROR_RECORD) {
        l->fault.class = ERROR_SETUP; /* no record is concerned: somebody has changed the schema */
    }
    if (l->fault.class == ERROR_LINK) {
        conn_close(c);
    } else {
        conn_end(c);
    }
    *err = l->fault;
    assert(l->op < LEDGER_OPS);
    error_wrap(err, "cannot %s", names[l->op]);
    if (sqlstate_is(err->sqlstate, SQLSTATE_INSUFFICIENT_PRIVILEGE) && l->op != LEDGER_EVICT) {
        error_hint(err,
                   "Grant what `pgsinkd init --print` lists to the role that pgsinkd connects as.");
    }
    return LEDGER_FAILED;
}

enum ledger_step ledger_step(struct ledger *l, struct error *err)
{
    struct conn *c = l->c;
    bool heard;

    assert(c != NULL);
    if (!conn_pump(c, &heard, err)) {
        l->c = NULL;
        return LEDGER_FAILED;
    }
    while (!PQisBusy(c->pg)) {
        _cleanup_result_ PGresult *res = PQgetResult(c->pg);
        if (res == NULL) {
            return finish(l, err);
        }
        take_result(l, res);
    }
    return LEDGER_WAIT;
}
