/* Making the statements and finding them by their shape, see statements.h. Worker thread. */
#include "pg/statements.h"

#include "base/mem.h"
#include "pg/catalog.h"
#include "row/table/table.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Each costs the server a plan. More are rare: many tables, or rows that omit many different sets
 * of columns. */
#define PREPARED_MAX 256

/* What is left in a session of targets that were forgotten is taken away when it is this much. */
#define LITTER_MAX 32

/* Neither fails, whatever there is. The first is no part of a transaction; what a rollback brings
 * back of the second has names that are not used again. */
const char *const statements_clean_sql[2] = {"DEALLOCATE ALL", "DISCARD TEMP"};

struct statements {
    char *schema; /* NULL: there is none */
    struct statement advance;
    struct statement compare;
    struct statement history;
    struct statement **guards; /* of targets whose rows are updated or deleted */
    size_t guard_count;
    size_t guard_cap;
    size_t next_number;        /* for names: no two statements of a session ever have the same */
    size_t litter;             /* statements of this session that were forgotten */
    struct statement **stores; /* pointers: a flight keeps them while the array grows */
    size_t store_count;
    size_t store_cap;
    size_t *index;     /* by shape, open addressing: the number in stores, plus one; 0 = free */
    size_t index_size; /* a power of two, or 0; at most half of it is used */
    size_t last;       /* the last answer of statements_of */
    char marker[17];   /* of the connection */
    uint64_t session;  /* the connection's count of sessions when they were prepared */
};

static void statement_done(struct statement *s)
{
    free(s->sql);
    free(s->parameter_types);
    free(s->casts_pass);
}

/* Unique to the connection. */
static void name_after(struct statement *s, const char *kind, const char *marker)
{
    snprintf(s->name, sizeof s->name, "%s%zu_%s", kind, s->number, marker);
}

static void statement_free(struct statement *s)
{
    statement_done(s);
    free(s);
}

static char *take_sql(struct buf *sql)
{
    char *text = mem_strdup(buf_cstr(sql));

    buf_done(sql);
    return text;
}

/* The parameters of advance(): the sink, the topics, then each enum span_field in its order; last
 * the session's marker. */
static void init_advance(struct statement *s, const char *schema)
{
    static const uint32_t types[] = {
        OID_TEXT,       OID_TEXT_ARRAY, OID_INT4_ARRAY, OID_INT8_ARRAY,
        OID_INT8_ARRAY, OID_INT8_ARRAY, OID_INT4_ARRAY, OID_INT8_ARRAY,
        OID_INT8_ARRAY, OID_INT8_ARRAY, OID_INT4_ARRAY, OID_TEXT,
    };

    _Static_assert(ARRAY_LEN(types) == 2 + SPAN_FIELDS + 1,
                   "a type for each parameter of advance()");
    struct buf sql = {0};

    s->parameter_count = ARRAY_LEN(types);
    s->parameter_types = mem_array(ARRAY_LEN(types), sizeof *types);
    for (size_t i = 0; i < ARRAY_LEN(types); i++) {
        s->parameter_types[i] = types[i];
    }
    buf_add_z(&sql, "SELECT ");
    table_quote_ident(&sql, schema);
    buf_add_z(&sql, ".advance($1,$2,$3,$4,$5,$6,$7,$8,$9,$10,$11,$12)");
    s->sql = take_sql(&sql);
    s->may_prepare = true;
}

/* The parameters: a table's name in SQL, its signature. */
static void init_compare(struct statement *s, const char *schema)
{
    struct buf sql = {0};

    snprintf(s->name, sizeof s->name, "compare");
    s->parameter_count = 2;
    s->parameter_types = mem_array(2, sizeof *s->parameter_types);
    s->parameter_types[0] = s->parameter_types[1] = OID_TEXT;
    buf_add_z(&sql, "SELECT ");
    table_quote_ident(&sql, schema);
    buf_add_z(&sql, ".columns_now(pg_catalog.to_regclass($1),$2)");
    s->sql = take_sql(&sql);
    s->may_prepare = true;
}

/* The parameters: txn_history.c. */
static void init_history(struct statement *s, const char *schema)
{
    static const uint32_t types[] = {
        OID_TEXT,       OID_TEXT, OID_TEXT_ARRAY, OID_INT4_ARRAY, OID_INT8_ARRAY,
        OID_INT8_ARRAY, OID_INT8, OID_INT8,       OID_INT8,       OID_INT8,
    };
    struct buf sql = {0};

    s->parameter_count = ARRAY_LEN(types);
    s->parameter_types = mem_array(ARRAY_LEN(types), sizeof *types);
    memcpy(s->parameter_types, types, sizeof types);
    buf_add_z(&sql, "INSERT INTO ");
    table_quote_ident(&sql, schema);
    buf_add_z(&sql, ".history (sink,owner,topics,partitions,froms,nexts,records,rows,dead_letters,"
                    "bytes) VALUES ($1,$2,$3,$4,$5,$6,$7,$8,$9,$10)");
    s->sql = take_sql(&sql);
    s->may_prepare = true;
}

/* All shapes of a target share one temporary table of each kind: PostgreSQL empties every table at
 * each COMMIT, and there are very many sets of columns that rows can omit. */
static const struct statement *first_of_target(const struct statements *all,
                                               const struct target *target)
{
    for (size_t i = 0; i < all->store_count; i++) {
        if (all->stores[i]->shape.target == target) {
            return all->stores[i];
        }
    }
    return NULL;
}

static void name_stages(const struct statements *all, struct statement *s, size_t number)
{
    const struct statement *first = first_of_target(all, s->shape.target);

    if (first != NULL) {
        memcpy(s->stage, first->stage, sizeof s->stage);
        memcpy(s->places, first->places, sizeof s->places);
        return;
    }
    snprintf(s->stage, sizeof s->stage, "pgsinkd_stage%zu", number);
    snprintf(s->places, sizeof s->places, "pgsinkd_each%zu", number);
}

/* Their statements have a plan of their own for each execution, because of the join with arrays:
 * a guard in it would be computed each time. */
static bool is_guarded_apart(const struct statements *all, enum row_action action)
{
    return all->schema != NULL &&
           (action == ROW_UPDATE || action == ROW_SOFT_DELETE || action == ROW_DELETE);
}

static void add_store_sql(const struct statements *all, const struct rows_shape *shape,
                          struct buf *out)
{
    const struct target *target = shape->target;
    _cleanup_buf_ struct buf guard = {0};
    /* our own table is no route's: it changes only with the program */
    bool is_guarded = target->route != NULL && !is_guarded_apart(all, shape->action);

    if (is_guarded) {
        catalog_guard_sql(&guard, all->schema, target->table, true);
    }
    if (is_guarded && rows_have_defaults(shape)) {
        buf_add_z(&guard, " AND ");
        catalog_defaults_guard_sql(&guard, target->table);
    }
    rows_sql_store(out, shape, ROWS_UNNEST, NULL, is_guarded ? buf_cstr(&guard) : NULL);
}

static void init_store(struct statements *all, struct statement *s, const struct rows_shape *shape)
{
    const struct target *target = shape->target;
    struct buf sql = {0};
    size_t number = all->next_number++;

    s->number = number;
    name_after(s, "store", all->marker);
    s->shape = *shape;
    name_stages(all, s, number);
    s->may_prepare = all->store_count < PREPARED_MAX;
    s->parameter_types = mem_array(target->column_count + 1, sizeof *s->parameter_types);
    for (size_t i = 0; i < target->column_count; i++) {
        if (target_holds(target, i, shape->action, shape->omit)) {
            s->parameter_types[s->parameter_count++] = target->columns[i].column->wire_array_oid;
        }
    }
    if (rows_are_mixed(shape)) {
        s->parameter_types[s->parameter_count++] = OID_BYTEA_ARRAY;
    }
    s->casts_pass = mem_array(MAX(target->column_count, 1), sizeof *s->casts_pass);
    add_store_sql(all, shape, &sql);
    s->sql = take_sql(&sql);
}

struct statements *statements_new(const char *schema)
{
    struct statements *s = mem_zalloc(sizeof *s);

    if (schema != NULL) {
        s->schema = mem_strdup(schema);
        init_advance(&s->advance, schema);
        init_compare(&s->compare, schema);
        init_history(&s->history, schema);
    }
    return s;
}

struct statements *statements_free(struct statements *s)
{
    if (s != NULL) {
        statement_done(&s->advance);
        statement_done(&s->compare);
        statement_done(&s->history);
        for (size_t i = 0; i < s->store_count; i++) {
            statement_free(s->stores[i]);
        }
        for (size_t i = 0; i < s->guard_count; i++) {
            statement_free(s->guards[i]);
        }
        free(s->stores);
        free(s->guards);
        free(s->schema);
        free(s->index);
        free(s);
    }
    return NULL;
}

/* None is prepared any more. */
static void forget_prepared(struct statements *s)
{
    s->litter = 0;
    s->advance.state = STATEMENT_NONE;
    s->compare.state = STATEMENT_NONE;
    s->history.state = STATEMENT_NONE;
    snprintf(s->advance.name, sizeof s->advance.name, "advance_%s", s->marker);
    snprintf(s->compare.name, sizeof s->compare.name, "compare_%s", s->marker);
    snprintf(s->history.name, sizeof s->history.name, "history_%s", s->marker);
    for (size_t i = 0; i < s->store_count; i++) {
        struct statement *store = s->stores[i];
        store->state = STATEMENT_NONE;
        name_after(store, "store", s->marker);
    }
    for (size_t i = 0; i < s->guard_count; i++) {
        s->guards[i]->state = STATEMENT_NONE;
        name_after(s->guards[i], "guard", s->marker);
    }
}

struct statements *statements_with_schema(struct statements *former, const char *schema)
{
    struct statements *s = statements_new(schema);

    s->next_number = former->next_number;
    s->session = former->session;
    memcpy(s->marker, former->marker, sizeof s->marker);
    forget_prepared(s); /* so that all have their names */
    s->litter = former->litter + former->store_count;
    statements_free(former);
    return s;
}

bool statements_meet(struct statements *s, const struct conn *c)
{
    bool is_littered = s->session == c->session && s->litter >= LITTER_MAX;

    if (s->session != c->session || is_littered) {
        memcpy(s->marker, c->marker, sizeof s->marker);
        forget_prepared(s);
    }
    s->session = c->session;
    return is_littered;
}

struct statement *statements_advance(struct statements *s)
{
    return &s->advance;
}

struct statement *statements_history(struct statements *s)
{
    return &s->history;
}

static bool is_of(const struct statement *s, const struct rows_shape *shape)
{
    return s->shape.target == shape->target && s->shape.omit == shape->omit &&
           s->shape.action == shape->action;
}

static uint64_t shape_hash(const struct rows_shape *shape)
{
    uint64_t h = (uint64_t) (uintptr_t) shape->target ^ (uint64_t) shape->action;

    h *= UINT64_C(0x9e3779b97f4a7c15);
    h = (h ^ h >> 32 ^ (uint64_t) shape->omit) * UINT64_C(0x9e3779b97f4a7c15);
    h = (h ^ h >> 32 ^ (uint64_t) (shape->omit >> 64)) * UINT64_C(0x9e3779b97f4a7c15);
    return h ^ h >> 32;
}

/* The place in the index that names the shape, or the free one that would. */
static size_t *place_of(const struct statements *s, const struct rows_shape *shape)
{
    size_t i = (size_t) shape_hash(shape) & (s->index_size - 1);

    while (s->index[i] != 0 && !is_of(s->stores[s->index[i] - 1], shape)) {
        i = (i + 1) & (s->index_size - 1);
    }
    return &s->index[i];
}

static void index_make(struct statements *s, size_t size)
{
    free(s->index);
    s->index_size = size;
    s->index = mem_array(s->index_size, sizeof *s->index);
    for (size_t i = 0; i < s->store_count; i++) {
        *place_of(s, &s->stores[i]->shape) = i + 1;
    }
}

/* Makes room for one more. */
static void index_grow(struct statements *s)
{
    if (2 * (s->store_count + 1) > s->index_size) {
        index_make(s, MAX(2 * s->index_size, 16));
    }
}

static struct statement *store_add(struct statements *s, const struct rows_shape *shape)
{
    struct statement *made = mem_zalloc(sizeof *made);

    init_store(s, made, shape);
    s->stores = mem_grow(s->stores, &s->store_cap, s->store_count, sizeof(struct statement *));
    s->stores[s->store_count++] = made;
    return made;
}

struct statement *statements_of(struct statements *s, const struct rows_shape *shape)
{
    if (s->last < s->store_count && is_of(s->stores[s->last], shape)) {
        return s->stores[s->last];
    }
    index_grow(s);
    size_t *place = place_of(s, shape);
    if (*place == 0) {
        (void) store_add(s, shape);
        *place = s->store_count;
    }
    s->last = *place - 1;
    return s->stores[s->last];
}

/* ---- casts ---- */

/* Of so many rows of a part, at most, it is looked at which columns they have. */
#define LOOKED_AT 100

bool statements_cast_passes(struct statements *s, const struct rows_shape *shape, size_t column)
{
    return statements_of(s, shape)->casts_pass[column];
}

void statements_met_cast(struct statements *s, const struct rows_shape *shape, size_t column)
{
    statements_of(s, shape)->casts_pass[column] = true;
}

static bool learns(const struct statement *s)
{
    for (size_t i = 0; i < s->shape.target->column_count; i++) {
        if (rows_are_cast(&s->shape, i) && !s->casts_pass[i]) {
            return true;
        }
    }
    return false;
}

static void meet_row(struct statement *s, struct str tuple)
{
    const char *at = tuple.p + sizeof(uint16_t);

    for (size_t i = 0; i < s->shape.target->column_count; i++) {
        uint32_t length;
        if (!target_holds(s->shape.target, i, s->shape.action, s->shape.omit)) {
            continue;
        }
        memcpy(&length, at, sizeof length);
        length = __builtin_bswap32(length);
        at += sizeof length + (length == UINT32_MAX ? 0 : length);
        s->casts_pass[i] = s->casts_pass[i] || length != UINT32_MAX;
    }
}

void statements_met_rows(struct statements *s, const struct batch *b)
{
    for (size_t i = 0; i < b->part_count; i++) {
        const struct batch_part *p = &b->parts[i];
        const struct rows_shape shape = {p->target, p->action, p->omit};
        if (p->row_count == 0 || p->action == ROW_TRUNCATE) {
            continue;
        }
        struct statement *of = statements_of(s, &shape);
        /* Of rows that share a key only the last is sent for certain. */
        size_t first = p->action == ROW_INSERT ? 0 : p->row_count - 1;
        for (size_t row = first; row < MIN(p->row_count, first + LOOKED_AT) && learns(of); row++) {
            meet_row(of, batch_tuple(p, row));
        }
    }
}

/* ---- comparing ---- */

struct statement *statements_compare(struct statements *s)
{
    return s->schema != NULL ? &s->compare : NULL;
}

/* No row of the table is read, but it is locked against changes until the transaction ends. */
static struct statement *guard_new(struct statements *s, const struct target *target)
{
    struct statement *g = mem_zalloc(sizeof *g);
    struct buf sql = {0};

    g->number = s->next_number++;
    name_after(g, "guard", s->marker);
    g->shape.target = target;
    g->may_prepare = true;
    buf_add_z(&sql, "SELECT ");
    catalog_guard_sql(&sql, s->schema, target->table, true);
    buf_printf(&sql, " FROM ONLY %s LIMIT 0", target->table->quoted);
    g->sql = take_sql(&sql);
    return g;
}

struct statement *statements_guard(struct statements *s, const struct target *target)
{
    if (s->schema == NULL) {
        return NULL;
    }
    for (size_t i = 0; i < s->guard_count; i++) {
        if (s->guards[i]->shape.target == target) {
            return s->guards[i];
        }
    }
    s->guards = mem_grow(s->guards, &s->guard_cap, s->guard_count, sizeof(struct statement *));
    s->guards[s->guard_count] = guard_new(s, target);
    return s->guards[s->guard_count++];
}

/* ---- forgetting ---- */

/* Returns how many are left. */
static size_t forget_some(struct statements *s, struct statement **list, size_t count,
                          const struct target *const *targets, size_t n)
{
    size_t kept = 0;

    for (size_t i = 0; i < count; i++) {
        bool is_gone = false;
        for (size_t k = 0; k < n && !is_gone; k++) {
            is_gone = list[i]->shape.target == targets[k];
        }
        if (is_gone) {
            s->litter++;
            statement_free(list[i]);
        } else {
            list[kept++] = list[i];
        }
    }
    return kept;
}

void statements_forget(struct statements *s, const struct target *const *targets, size_t n)
{
    size_t stores = forget_some(s, s->stores, s->store_count, targets, n);

    s->guard_count = forget_some(s, s->guards, s->guard_count, targets, n);
    s->last = 0;
    if (stores < s->store_count) {
        s->store_count = stores;
        index_make(s, s->index_size);
    }
}

int64_t statements_span_field(const struct span *s, enum span_field field)
{
    switch (field) {
    case SPAN_PARTITION:
        return s->partition;
    case SPAN_OWNER_EPOCH:
        return s->owner_epoch;
    case SPAN_FROM:
        return s->from;
    case SPAN_NEXT:
        return s->next;
    case SPAN_LEADER_EPOCH:
        return s->leader_epoch;
    case SPAN_TIMESTAMP:
        return s->last_timestamp_ms;
    case SPAN_END:
        return s->end_offset;
    case SPAN_FP_OFFSET:
        return s->fp.offset;
    case SPAN_FP_CRC:
        return (int32_t) s->fp.crc; /* PostgreSQL has no unsigned integers */
    case SPAN_FIELDS:
        break;
    }
    assert(false && "no such field of a span");
    return 0;
}
