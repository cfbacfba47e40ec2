/*
 * Dead letters for commands and replays. Bytes travel as hexadecimal digits, so that a single
 * result in text format carries everything; a cursor keeps memory small however many letters there
 * are. Main thread, scout.
 */
#include "pg/letters.h"

#include "base/arena.h"
#include "base/ascii.h"
#include "base/mem.h"
#include "pg/libpq.h"
#include "pg/sql.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PAGE "32" /* rows of one FETCH: each may be as large as a record */

struct letters {
    struct conn *c;
    const char *values[1 + LETTERS_TERMS];
    char *schema;
    char *asked_at; /* replay_requested_at of the letters that letters_replay has marked */
    PGresult *page; /* NULL = nothing is being read, or all has been */
    int row;        /* of the page, the next one */
    struct letter letter;
    struct arena arena; /* of the letter's bytes */
};

/* ---- statements ---- */

#define CHOSEN "$S.choose_dead_letters($1, $2, $3, $4, $5, $6, $7, $8, $9) d"
#define TIME(column) "pg_catalog.to_char(" column ", 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"')"
#define HEX(column) "pg_catalog.encode(" column ", 'hex')"
#define HEX_OR(column, none) "coalesce(" HEX(column) ", '" none "')"

/* "name:value,name:-", all in hexadecimal digits. */
#define HEADER HEX_OR("h.name", "") SQL_CAT "':'" SQL_CAT HEX_OR("h.value", "-")
#define HEADERS                                                                                    \
    "(SELECT pg_catalog.string_agg(" HEADER ", ',' ORDER BY h.place)"                              \
    " FROM ROWS FROM (pg_catalog.unnest(d.header_names), pg_catalog.unnest(d.header_values))"      \
    " WITH ORDINALITY AS h(name, value, place))"

enum letter_column {
    FIELD_TOPIC,
    FIELD_PARTITION,
    FIELD_OFFSET,
    FIELD_ROUTE,
    FIELD_TIMESTAMP,
    FIELD_ERROR_CLASS,
    FIELD_SQLSTATE,
    FIELD_MESSAGE,
    FIELD_COLUMN,
    FIELD_FAILED_AT,
    FIELD_ATTEMPTS,
    FIELD_REPLAY_REQUESTED_AT,
    FIELD_TIMESTAMP_MS,
    FIELD_KEY,
    FIELD_VALUE,
    FIELD_HEADERS,
};

#define TIME_MS(column) "(extract(epoch FROM " column ")" SQL_TIMES "1000)::pg_catalog.int8"
#define FAULT_FIELDS "d.error_class, d.sqlstate, d.message, d.\"column\", " TIME("d.failed_at")
#define REPLAY_FIELDS "d.attempts, " TIME("d.replay_requested_at") ", " TIME_MS("d.timestamp")
#define PLACE_FIELDS "d.topic, d.partition, d.\"offset\", d.route, " TIME("d.timestamp")
#define LINE_FIELDS PLACE_FIELDS ", " FAULT_FIELDS ", " REPLAY_FIELDS

static const char read_lines_sql[] = "DECLARE letters NO SCROLL CURSOR FOR SELECT " LINE_FIELDS
                                     ", NULL, NULL, NULL FROM " CHOSEN;
#define WHOLE_FIELDS LINE_FIELDS ", " HEX("d.key") ", " HEX("d.value") ", " HEADERS
static const char read_whole_sql[] = "DECLARE letters NO SCROLL CURSOR FOR SELECT " WHOLE_FIELDS
                                     " FROM " CHOSEN;

#define MARKED "$S.dead_letters d WHERE d.sink" SQL_EQ "$1 AND d.replay_requested_at IS NOT NULL"
static const char marked_sql[] = "SELECT EXISTS (SELECT FROM " MARKED ")";
static const char stranger_sql[] = "SELECT pg_catalog.min(d.route) FROM " MARKED
                                   " AND d.route" SQL_NE "ALL ($2::pg_catalog.text[])";
/* The sizes are summed up without reading the bytes, so that only the letters wanted are read. */
static const char read_marked_sql[] =
    "DECLARE letters NO SCROLL CURSOR FOR SELECT " WHOLE_FIELDS " FROM (SELECT l.*,"
    " pg_catalog.sum(coalesce(pg_catalog.octet_length(l.key), 0)" SQL_PLUS
    "coalesce(pg_catalog.octet_length(l.value), 0)" SQL_PLUS
    "coalesce(pg_catalog.pg_column_size(l.header_names), 0)" SQL_PLUS
    "coalesce(pg_catalog.pg_column_size(l.header_values), 0))"
    " OVER (ORDER BY l.topic, l.partition, l.\"offset\""
    " ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS before"
    " FROM (SELECT d.* FROM " MARKED " AND d.route" SQL_EQ "$2"
    " ORDER BY d.topic, d.partition, d.\"offset\" LIMIT $3 FOR UPDATE SKIP LOCKED) l) d"
    " WHERE coalesce(d.before, 0)" SQL_LT "$4::pg_catalog.int8"
    " ORDER BY d.topic, d.partition, d.\"offset\"";

static const char replay_sql[] =
    "SELECT $S.replay($1, $2, $3, $4, $5, $6, $7, $8, $9), pg_catalog.now()";
static const char discard_sql[] = "SELECT $S.discard($1, $2, $3, $4, $5, $6, $7, $8, $9)";

/* A letter that has failed again may have another error now, and the choice would not find it. */
static const char progress_sql[] =
    "SELECT pg_catalog.count(*) FILTER (WHERE d.replay_requested_at" SQL_EQ
    "$2::pg_catalog.timestamptz),"
    " pg_catalog.count(*) FILTER (WHERE d.failed_at" SQL_GE
    "$2::pg_catalog.timestamptz AND d.attempts" SQL_GT "1)"
    " FROM $S.dead_letters d WHERE d.sink" SQL_EQ "$1";

static PGresult *ask(struct letters *l, const char *sql, int count, const char *const *values,
                     struct error *err)
{
    _cleanup_mem_ char *text = sql_in_schema(sql, l->schema);

    return conn_exec(l->c, text, count, values, err);
}

static PGresult *ask_chosen(struct letters *l, const char *sql, struct error *err)
{
    return ask(l, sql, ARRAY_LEN(l->values), l->values, err);
}

/* ---- life ---- */

struct letters *letters_new(struct conn *c, const char *schema, const struct letters_choice *choice)
{
    struct letters *l = mem_zalloc(sizeof *l);

    l->c = c;
    l->schema = mem_strdup(schema);
    l->values[0] = choice->sink;
    for (size_t i = 0; i < LETTERS_TERMS; i++) {
        l->values[1 + i] = choice->terms[i];
    }
    return l;
}

struct letters *letters_free(struct letters *l)
{
    if (l != NULL) {
        PQclear(l->page);
        free(l->letter.headers);
        arena_done(&l->arena);
        free(l->asked_at);
        free(l->schema);
        free(l);
    }
    return NULL;
}

/* ---- reading ---- */

static bool fetch(struct letters *l, struct error *err)
{
    PQclear(l->page);
    l->row = 0;
    l->page = conn_exec(l->c, "FETCH " PAGE " FROM letters", -1, NULL, err);
    return l->page != NULL;
}

bool letters_read(struct letters *l, bool whole, struct error *err)
{
    if (!conn_run(l->c, "BEGIN READ ONLY", err)) {
        return false;
    }
    _cleanup_result_ PGresult *declared = ask_chosen(l, whole ? read_whole_sql : read_lines_sql,
                                                     err);
    return declared != NULL && fetch(l, err);
}

bool letters_read_marked(struct letters *l, const char *route, uint32_t limit, size_t bytes,
                         struct error *err)
{
    char number[16];
    char size[24];
    const char *values[] = {l->values[0], route, number, size};

    snprintf(number, sizeof number, "%" PRIu32, limit);
    snprintf(size, sizeof size, "%zu", bytes);
    if (!conn_run(l->c, "BEGIN", err)) {
        return false;
    }
    _cleanup_result_ PGresult *declared = ask(l, read_marked_sql, ARRAY_LEN(values), values, err);
    return declared != NULL && fetch(l, err);
}

static const char *text(const struct letters *l, enum letter_column field)
{
    int column = (int) field;

    return PQgetisnull(l->page, l->row, column) ? NULL : PQgetvalue(l->page, l->row, column);
}

/* The bytes that hexadecimal digits stand for, in the arena. */
static struct str unhex(struct arena *a, const char *hex, size_t digits)
{
    char *bytes = arena_alloc(a, digits / 2 + 1);

    for (size_t i = 0; i < digits / 2; i++) {
        bytes[i] = (char) (ascii_hex(hex[2 * i]) << 4 | ascii_hex(hex[2 * i + 1]));
    }
    return (struct str){bytes, digits / 2};
}

static struct str bytes(struct letters *l, enum letter_column field)
{
    const char *hex = text(l, field);

    return hex != NULL ? unhex(&l->arena, hex, strlen(hex)) : (struct str){0};
}

static size_t count_headers(const char *list)
{
    size_t n = 1;

    for (; (list = strchr(list, ',')) != NULL; list++) {
        n++;
    }
    return n;
}

static void read_headers(struct letters *l)
{
    const char *at = text(l, FIELD_HEADERS);
    struct letter *letter = &l->letter;

    letter->header_count = at != NULL ? count_headers(at) : 0;
    letter->headers = mem_realloc(letter->headers, MAX(letter->header_count, (size_t) 1),
                                  sizeof *letter->headers);
    for (size_t i = 0; i < letter->header_count; i++) {
        struct letter_header *h = &letter->headers[i];
        size_t name = strcspn(at, ":");
        size_t value = strcspn(at + name + 1, ",");

        h->name = unhex(&l->arena, at, name);
        h->value = at[name + 1] == '-' ? (struct str){0} : unhex(&l->arena, at + name + 1, value);
        at += name + 1 + value + 1;
    }
}

static void read_letter(struct letters *l)
{
    struct letter *letter = &l->letter;

    arena_reset(&l->arena);
    letter->topic = text(l, FIELD_TOPIC);
    letter->partition = text(l, FIELD_PARTITION);
    letter->offset = text(l, FIELD_OFFSET);
    letter->route = text(l, FIELD_ROUTE);
    letter->timestamp = text(l, FIELD_TIMESTAMP);
    letter->error_class = text(l, FIELD_ERROR_CLASS);
    letter->sqlstate = text(l, FIELD_SQLSTATE);
    letter->message = text(l, FIELD_MESSAGE);
    letter->column = text(l, FIELD_COLUMN);
    letter->failed_at = text(l, FIELD_FAILED_AT);
    letter->attempts = text(l, FIELD_ATTEMPTS);
    letter->replay_requested_at = text(l, FIELD_REPLAY_REQUESTED_AT);
    letter->timestamp_ms = text(l, FIELD_TIMESTAMP_MS);
    letter->key = bytes(l, FIELD_KEY);
    letter->value = bytes(l, FIELD_VALUE);
    read_headers(l);
}

bool letters_next(struct letters *l, const struct letter **out, struct error *err)
{
    if (l->row == PQntuples(l->page) && l->row > 0 && !fetch(l, err)) {
        return false;
    }
    if (l->row == PQntuples(l->page)) {
        *out = NULL;
        return conn_run(l->c, "COMMIT", err);
    }
    read_letter(l);
    l->row++;
    *out = &l->letter;
    return true;
}

/* ---- marked ones ---- */

bool letters_marked(struct letters *l, bool *out_any, struct error *err)
{
    _cleanup_result_ PGresult *res = ask(l, marked_sql, 1, l->values, err);

    if (res == NULL) {
        return false;
    }
    *out_any = result_is_true(res, 0, 0);
    return true;
}

bool letters_marked_stranger(struct letters *l, const char *const *routes, size_t n,
                             char **out_route, struct error *err)
{
    _cleanup_buf_ struct buf known = {0};

    sql_array_open(&known);
    for (size_t i = 0; i < n; i++) {
        sql_array_text(&known, routes[i]);
    }
    sql_array_close(&known);
    const char *values[] = {l->values[0], buf_cstr(&known)};
    _cleanup_result_ PGresult *res = ask(l, stranger_sql, ARRAY_LEN(values), values, err);
    if (res == NULL) {
        return false;
    }
    *out_route = PQgetisnull(res, 0, 0) ? NULL : mem_strdup(PQgetvalue(res, 0, 0));
    return true;
}

/* ---- changing ---- */

bool letters_replay(struct letters *l, int64_t *out_count, struct error *err)
{
    _cleanup_result_ PGresult *res = ask_chosen(l, replay_sql, err);

    if (res == NULL) {
        return false;
    }
    *out_count = result_i64(res, 0, 0, 0);
    free(l->asked_at);
    l->asked_at = mem_strdup(PQgetvalue(res, 0, 1));
    return true;
}

bool letters_discard(struct letters *l, int64_t *out_count, struct error *err)
{
    _cleanup_result_ PGresult *res = ask_chosen(l, discard_sql, err);

    if (res == NULL) {
        return false;
    }
    *out_count = result_i64(res, 0, 0, 0);
    return true;
}

bool letters_progress(struct letters *l, struct letters_progress *out, struct error *err)
{
    const char *values[] = {l->values[0], l->asked_at};
    _cleanup_result_ PGresult *res = ask(l, progress_sql, 2, values, err);

    if (res == NULL) {
        return false;
    }
    *out = (struct letters_progress){.waiting = result_i64(res, 0, 0, 0),
                                     .failed = result_i64(res, 0, 1, 0)};
    return true;
}
