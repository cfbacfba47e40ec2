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

enum ledger_op {
    LEDGER_CLAIM,
    LEDGER_LOOK,
    LEDGER_GAP,
    LEDGER_ENDS,
    LEDGER_NOTE,
    LEDGER_STAND,
    LEDGER_OPS
};

struct ledger {
    char *sink;
    char *owner;
    char *sql[LEDGER_OPS];
    struct conn *c; /* NULL = nothing under way */
    enum ledger_op op;
    struct ledger_entry *entries;
    size_t n;
    int64_t gap_to;
    struct ledger_lock *locks; /* what the last look has found */
    size_t lock_count;
    size_t lock_cap;
    size_t ended;
    bool answered;
    struct error fault; /* of the operation under way */
    struct key_arrays keys;
};

/*
 * Each $S is the schema. Those that wait for rows, or may end a session, do nothing in another
 * session than the one that the connection has set up, and say how long they wait.
 */
#define HERE(marker) " FROM $S.in_session(" marker ", '250ms') AS here"
_Static_assert(LEDGER_PATIENCE == 250 * USEC_PER_MSEC, "and it is said how long");

static const char *const statements[LEDGER_OPS] = {
    /* The CASE makes the call depend on the session, so that it comes after it. */
    [LEDGER_CLAIM] = "SELECT place, next_offset, owner_epoch, leader_epoch, mine, inserted, begun,"
                     " fp_offset, fp_crc, cluster_id, topic_id, standing, standing_reason,"
                     " standing_sqlstate, standing_hint, tried_again" HERE(
                         "$9") " CROSS JOIN LATERAL $S.claim(CASE WHEN here THEN $1 END,"
                               " $2, $3, $4, $5, $6, $7, $8)",
    [LEDGER_LOOK] = "SELECT place, mine, pid, xid, holder, refused, ended" HERE(
        "$6") " CROSS JOIN LATERAL $S.locked(CASE WHEN here THEN $1 END, $2, $3, $4, $5)"
              " ORDER BY place",
    [LEDGER_GAP] = "SELECT $S.gap($1, $2, $3, $4, $5, $6, $7)" HERE("$8"),
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
    [LEDGER_NOTE] = "SELECT $S.note_log($1, $2, $3, $4, $5, $6)" HERE("$7"),
    [LEDGER_STAND] = "SELECT $S.stand($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)" HERE("$11"),
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
        free(l->locks);
        free(l->owner);
        free(l->sink);
        free(l);
    }
    return NULL;
}

const struct ledger_lock *ledger_locks(const struct ledger *l, size_t *out_n)
{
    *out_n = l->lock_count;
    return l->locks;
}

size_t ledger_ended(const struct ledger *l)
{
    return l->ended;
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
    const char *values[] = {
        l->sink,     l->owner,    array(l, 0),           array(l, 1),
        array(l, 2), array(l, 3), only_mine ? "t" : "f", only_mine ? "{}" : "{parked,waiting}",
        c->marker};
    return send_statement(l, ARRAY_LEN(values), values, err);
}

static void add_text(struct buf *out, const char *text)
{
    if (text == NULL || text[0] == '\0') {
        sql_array_null(out);
    } else {
        sql_array_text(out, text);
    }
}

bool ledger_look_start(struct ledger *l, struct conn *c, struct ledger_entry *entries, size_t n,
                       struct error *err)
{
    begin(l, c, LEDGER_LOOK, entries, n);
    l->lock_count = 0;
    l->ended = 0;
    for (size_t i = 0; i < n; i++) {
        add_text(&l->keys.of[2], entries[i].end_xid);
    }
    const char *values[] = {l->sink, l->owner, array(l, 0), array(l, 1), array(l, 2), c->marker};
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
                            numbers[2], numbers[3],   reason,     c->marker};
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

bool ledger_note_start(struct ledger *l, struct conn *c, struct ledger_entry *entries, size_t n,
                       struct error *err)
{
    begin(l, c, LEDGER_NOTE, entries, n);
    for (size_t i = 0; i < n; i++) {
        sql_array_i64(&l->keys.of[2], entries[i].owner_epoch);
        add_text(&l->keys.of[3], entries[i].ids.cluster);
        add_text(&l->keys.of[4], entries[i].ids.topic);
    }
    const char *values[] = {l->sink,     array(l, 0), array(l, 1), array(l, 2),
                            array(l, 3), array(l, 4), c->marker};
    return send_statement(l, ARRAY_LEN(values), values, err);
}

static const char *const standing_names[] = {
    [STANDING_NONE] = "",           [STANDING_PARKED] = "parked",
    [STANDING_WAITING] = "waiting", [STANDING_POISON] = "poison",
    [STANDING_STOPPED] = "stopped", [STANDING_OVER_LIMIT] = "over_limit",
    [STANDING_PAUSED] = "paused",
};

const char *standing_name(enum standing_state state)
{
    return standing_names[state];
}

enum standing_state standing_of(const char *name)
{
    for (size_t i = 1; i < ARRAY_LEN(standing_names); i++) {
        if (strcmp(standing_names[i], name) == 0) {
            return (enum standing_state) i;
        }
    }
    return STANDING_NONE;
}

static void add_standing(struct key_arrays *keys, const struct standing *s)
{
    static const struct standing none = {.retry_at = USEC_NEVER};
    const struct standing *it = s != NULL ? s : &none;
    usec_t now = clock_mono();

    add_text(&keys->of[4], standing_name(it->state));
    add_text(&keys->of[5], it->why.text);
    add_text(&keys->of[6], it->why.sqlstate);
    add_text(&keys->of[7], it->why.hint);
    if (it->retry_at == USEC_NEVER) {
        sql_array_null(&keys->of[8]);
    } else {
        usec_t wait = it->retry_at > now ? it->retry_at - now : 0;
        sql_array_i64(&keys->of[8], (int64_t) (wait / USEC_PER_MSEC));
    }
}

bool ledger_stand_start(struct ledger *l, struct conn *c, struct ledger_entry *entries, size_t n,
                        struct error *err)
{
    begin(l, c, LEDGER_STAND, entries, n);
    for (size_t i = 0; i < n; i++) {
        sql_array_i64(&l->keys.of[2], entries[i].owner_epoch);
        sql_array_i64(&l->keys.of[3], entries[i].next_offset);
        add_standing(&l->keys, entries[i].standing);
    }
    const char *values[] = {l->sink,     array(l, 0), array(l, 1), array(l, 2),
                            array(l, 3), array(l, 4), array(l, 5), array(l, 6),
                            array(l, 7), array(l, 8), c->marker};
    return send_statement(l, ARRAY_LEN(values), values, err);
}

/* NULL: the partition moves, or its owner has tried again by itself and so does the next. */
static struct standing *take_standing(const PGresult *res, int row, int column, int64_t offset)
{
    enum standing_state state = standing_of(PQgetvalue(res, row, column));

    if (state == STANDING_NONE || result_is_true(res, row, column + 4)) {
        return NULL;
    }
    struct standing *s = mem_zalloc(sizeof *s);
    s->state = state;
    s->offset = offset;
    s->retry_at = USEC_NEVER;
    error_set(&s->why, ERROR_RECORD, "%s", PQgetvalue(res, row, column + 1));
    snprintf(s->why.sqlstate, sizeof s->why.sqlstate, "%s", PQgetvalue(res, row, column + 2));
    error_hint(&s->why, "%s", PQgetvalue(res, row, column + 3));
    return s;
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
        e->standing = NULL;
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
        e->standing = e->mine ? take_standing(res, row, 11, e->next_offset) : NULL;
    }
}

static void take_text(char *to, size_t size, const PGresult *res, int row, int column)
{
    snprintf(to, size, "%s", PQgetvalue(res, row, column));
}

/* Rows of the columns of LEDGER_LOOK. */
static void take_locks(struct ledger *l, const PGresult *res)
{
    for (int row = 0; row < PQntuples(res); row++) {
        int64_t place = result_i64(res, row, 0, 0);
        if (place == 0) {
            error_set(&l->fault, ERROR_AGAIN, "the table is locked by %s", PQgetvalue(res, row, 4));
            return;
        }
        assert(place >= 1 && (size_t) place <= l->n);
        l->locks = mem_grow(l->locks, &l->lock_cap, l->lock_count, sizeof *l->locks);
        struct ledger_lock *lock = &l->locks[l->lock_count++];
        lock->entry = (size_t) place - 1;
        lock->mine = result_is_true(res, row, 1);
        lock->pid = (int32_t) result_i64(res, row, 2, 0);
        take_text(lock->xid, sizeof lock->xid, res, row, 3);
        take_text(lock->holder, sizeof lock->holder, res, row, 4);
        take_text(lock->refused, sizeof lock->refused, res, row, 5);
        l->ended += (size_t) result_i64(res, row, 6, 0);
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
    case LEDGER_LOOK:
        take_locks(l, res);
        break;
    case LEDGER_GAP:
        l->entries->next_offset = l->gap_to;
        break;
    case LEDGER_ENDS:
    case LEDGER_NOTE:
    case LEDGER_STAND:
    case LEDGER_OPS:
        break;
    }
}

/* ReadyForQuery has come. */
static enum ledger_step finish(struct ledger *l, struct error *err)
{
    static const char *const names[LEDGER_OPS] = {
        [LEDGER_CLAIM] = "claim",
        [LEDGER_LOOK] = "find out who has locked rows of the ledger",
        [LEDGER_GAP] = "record a gap",
        [LEDGER_ENDS] = "write end offsets",
        [LEDGER_NOTE] = "write the ids of a log",
        [LEDGER_STAND] = "write why a partition does not move",
    };
    struct conn *c = TAKE_PTR(l->c);

    if (l->fault.class == ERROR_NONE && !l->answered) {
        error_set(&l->fault, ERROR_LINK, "no result");
    }
    if (l->fault.class == ERROR_NONE) {
        conn_end(c);
        return LEDGER_DONE;
    }
    if (l->fault.class == ERROR_LINK) {
        conn_close(c);
    } else {
        conn_end(c);
    }
    *err = l->fault;
    assert(l->op < LEDGER_OPS);
    error_wrap(err, "cannot %s", names[l->op]);
    if (sqlstate_is(err->sqlstate, SQLSTATE_INSUFFICIENT_PRIVILEGE)) {
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
