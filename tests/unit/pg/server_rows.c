/*
 * rows_sql.c by way of txn.c against a real server: every action, on every path, stores the same,
 * and the same as if each row had a transaction of its own.
 *
 * There are four tables of the same shape and content. The rows of a batch go into the first one by
 * one; into the others as a batch, by COPY, unnest and each. Then all hold the same.
 */
#include "row/batch/batch.h"
#include "row/table/tuple.h"

#include "server.h"

#define SCHEMA "pgsinkd"

enum { SERIAL, BY_COPY, BY_UNNEST, BY_EACH, WAYS };

static const char *const tables[WAYS] = {"serial", "by_copy", "by_unnest", "by_each"};
static const enum txn_path paths[WAYS] = {TXN_UNNEST, TXN_COPY, TXN_UNNEST, TXN_EACH};

static PGconn *admin;
static struct conn *c;
static struct ledger *l;
static struct ledger_entry claimed[WAYS];
static struct txn *t;
static struct target *targets[WAYS];

static int setup(void **state)
{
    struct conn_settings settings = server_settings(server_dsn());
    struct error err;

    (void) state;
    c = server_open_with(&settings);
    server_fresh_schema(c, SCHEMA);
    l = ledger_new(SCHEMA, "unit", "me");
    t = txn_new(SCHEMA, "unit", true);
    for (int i = 0; i < WAYS; i++) {
        claimed[i] = (struct ledger_entry){.topic = "orders", .partition = i};
    }
    assert_ok(ledger_claim_start(l, c, claimed, WAYS, false, &err), &err);
    assert_int_equal(server_drive_ledger(l, c, &err), LEDGER_DONE);
    return 0;
}

static void free_targets(void)
{
    for (int i = 0; i < WAYS; i++) {
        union {
            const struct table *from;
            struct table *to;
        } table = {.from = targets[i] != NULL ? targets[i]->table : NULL};
        table_free(table.to);
        free(targets[i] != NULL ? targets[i]->columns : NULL);
        free(targets[i]);
        targets[i] = NULL;
    }
}

static int teardown(void **state)
{
    (void) state;
    t = txn_free(t);
    l = ledger_free(l);
    c = conn_free(c);
    free_targets();
    return 0;
}

/* --- tables --- */

/* Which columns of a table are what, by their names: k..., v, mark; others may be omitted. */
static struct target *make_target(const char *name, bool has_version, bool omit_leaves)
{
    struct target *g = mem_zalloc(sizeof *g);
    struct error err;
    int bit = 0;
    struct table *table = catalog_table(c, "public", name, &err);

    assert_ok(table != NULL, &err);
    g->table = table;
    g->has_version = has_version;
    g->omit_leaves = omit_leaves;
    g->columns = mem_array(table->column_count, sizeof *g->columns);
    for (size_t i = 0; i < table->column_count; i++) {
        struct column *column = &table->columns[i];
        bool is_key = column->name[0] == 'k';
        bool is_version = strcmp(column->name, "v") == 0;
        bool is_mark = strcmp(column->name, "mark") == 0;
        if (column->generated || strcmp(column->name, "unfilled") == 0) {
            continue;
        }
        g->columns[g->column_count++] = (struct target_column){
            .column = column,
            .omit_bit = is_key || is_version || is_mark ? -1 : bit++,
            .is_key = is_key,
            .is_version = is_version && has_version,
            .is_mark = is_mark,
        };
        g->key_count += is_key ? 1 : 0;
        g->keys_by_sql |= is_key && column->compare_as != NULL;
        if (column->default_sql == NULL) { /* a row may omit it all the same */
            column->default_sql = mem_strdup("NULL");
        }
    }
    g->omit_count = (size_t) bit;
    g->mixes = true;
    return g;
}

/* The statement with another name in the place of "serial". */
static void create_table(const char *create, const char *name)
{
    _cleanup_buf_ struct buf sql = {0};
    const char *at;

    for (; (at = strstr(create, tables[SERIAL])) != NULL; create = at + strlen(tables[SERIAL])) {
        buf_add(&sql, create, (size_t) (at - create));
        buf_add_z(&sql, name);
    }
    buf_add_z(&sql, create);
    operator_ask(admin, buf_cstr(&sql));
}

static void make_tables(const char *create, bool has_version, bool omit_leaves)
{
    free_targets();
    operator_ask(admin, "DROP TABLE IF EXISTS serial, by_copy, by_unnest, by_each CASCADE");
    for (int i = 0; i < WAYS; i++) {
        create_table(create, tables[i]);
        targets[i] = make_target(tables[i], has_version, omit_leaves);
    }
}

/* --- rows --- */

static uint64_t seed;

static uint32_t chance(uint32_t n)
{
    seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t) (seed >> 33) % n;
}

static void add_text(struct buf *out, const char *text)
{
    buf_add_u32(out, (uint32_t) strlen(text));
    buf_add_z(out, text);
}

static void add_value(struct buf *out, const struct target_column *column, bool deleted)
{
    static const char *const moods[] = {"sad", "glad", "so so"};
    static const char *const texts[] = {"", "x", "some text"};
    static const char *const ranges[] = {"[1,3)", "empty", "(,7)"};
    static const char *const letters[] = {"", "x", "X"};

    if (column->is_key && column->column->type == TYPE_INT4) {
        buf_add_u32(out, 4);
        buf_add_u32(out, chance(3) - 1);
    } else if (column->is_key) {
        add_text(out, letters[chance(ARRAY_LEN(letters))]);
    } else if (strcmp(column->column->name, "v") == 0) {
        buf_add_u32(out, 8);
        buf_add_u64(out, (uint64_t) (int64_t) chance(9) - 4);
    } else if (column->is_mark) {
        buf_add_u32(out, 1);
        buf_add_u8(out, deleted);
    } else if (chance(6) == 0) {
        buf_add_u32(out, UINT32_MAX);
    } else if (column->column->cast) {
        add_text(out, ranges[chance(ARRAY_LEN(ranges))]);
    } else if (column->column->type == TYPE_ENUM) {
        add_text(out, moods[chance(ARRAY_LEN(moods))]);
    } else {
        add_text(out, texts[chance(ARRAY_LEN(texts))]);
    }
}

/* The target's columns are alike, so a tuple goes into any of them. */
struct made {
    enum row_action action;
    omit_mask omit;
    struct buf tuple;
    bool is_mixed; /* but where it is stored alone */
    struct buf mixed;
};

static void mix(struct made *row)
{
    const struct target *g = targets[SERIAL];
    const char *at = tuple_fields(buf_str(&row->tuple));

    assert_true(g->omit_count <= 8);
    buf_clear(&row->mixed);
    buf_add_u16(&row->mixed, (uint16_t) target_width(g, row->action, OMIT_MIXED));
    for (size_t i = 0; i < g->column_count; i++) {
        if (target_holds(g, i, row->action, row->omit)) {
            struct str field = tuple_next(&at);
            buf_add(&row->mixed, field.p, field.n);
        } else {
            buf_add_u32(&row->mixed, TUPLE_NULL);
        }
    }
    buf_add_u32(&row->mixed, 1);
    buf_add_u8(&row->mixed, (uint8_t) ~row->omit);
}

/* Not those for which mapping_omit.c forbids it: beside an upsert that leaves columns as they are,
 * an update becomes a part of it. */
static bool may_mix(const struct target *g, enum row_action action)
{
    bool changes = action == ROW_UPSERT || action == ROW_UPDATE;

    return action < ROW_DELETE && !(changes && g->omit_leaves) &&
           !(action == ROW_UPDATE && g->keys_by_sql);
}

/* in_run: of a batch whose rows nearly all do the same. */
static void make_row(struct made *row, bool marks, bool in_run)
{
    static const enum row_action actions[] = {ROW_UPSERT, ROW_UPSERT, ROW_UPDATE,
                                              ROW_IGNORE, ROW_DELETE, ROW_SOFT_DELETE};
    static const enum row_action runs[] = {ROW_UPDATE, ROW_UPSERT};
    const struct target *g = targets[SERIAL];

    row->action = in_run ? runs[chance(8) / 7] : actions[chance(marks ? 6 : 5)];
    row->omit = row->action < ROW_DELETE ? chance(16) : 0;
    buf_clear(&row->tuple);
    buf_add_u16(&row->tuple, (uint16_t) target_width(g, row->action, row->omit));
    for (size_t i = 0; i < g->column_count; i++) {
        if (target_holds(g, i, row->action, row->omit)) {
            add_value(&row->tuple, &g->columns[i], row->action == ROW_SOFT_DELETE);
        }
    }
    row->is_mixed = may_mix(g, row->action) && chance(2) == 0;
    if (row->is_mixed) {
        mix(row);
    }
}

static void add_row(struct batch *b, int way, const struct made *row, int64_t offset)
{
    struct ledger_entry *e = &claimed[way];
    uint32_t span = batch_span(b, e, "orders", way, e->owner_epoch, e->next_offset);

    batch_record_begin(b, span, offset, -1, -1);
    bool is_mixed = row->is_mixed && way != SERIAL;
    const struct buf *tuple = is_mixed ? &row->mixed : &row->tuple;
    uint32_t part = batch_part(b, targets[way], row->action, is_mixed ? OMIT_MIXED : row->omit);
    buf_add(batch_row_begin(b, part), tuple->p, tuple->n);
    batch_row_end(b, part);
    batch_record_end(b);
}

static void store(struct batch *b, int way)
{
    struct error err;

    assert_ok(txn_start(t, c, b, paths[way], &err), &err);
    struct txn_result r = server_drive_txn(t, c);
    if (r.outcome != TXN_COMMITTED) {
        print_error("%s: %s\n", tables[way], r.error.text);
    }
    assert_int_equal(r.outcome, TXN_COMMITTED);
    assert_true(r.path == paths[way] || (targets[way]->keys_by_sql && way != BY_EACH));
    claimed[way].next_offset = b->spans[0].next;
    batch_clear(b);
}

static void store_all(const struct made *rows, size_t n, struct batch *b)
{
    for (int way = 0; way < WAYS; way++) {
        int64_t offset = claimed[way].next_offset;
        for (size_t i = 0; i < n; i++) {
            add_row(b, way, &rows[i], offset++);
            if (way == SERIAL) {
                store(b, way);
            }
        }
        if (way != SERIAL) {
            store(b, way);
        }
    }
}

/* --- content --- */

static void compare(int way)
{
    char sql[400];

    snprintf(sql, sizeof sql,
             "SELECT coalesce(string_agg(x::text, ' '), '') FROM ("
             "(SELECT 'lacks', * FROM serial EXCEPT ALL SELECT 'lacks', * FROM %s) UNION ALL"
             "(SELECT 'has', * FROM %s EXCEPT ALL SELECT 'has', * FROM serial)) x",
             tables[way], tables[way]);
    const char *difference = operator_ask(admin, sql);
    if (*difference) {
        print_error("%s: %s\n", tables[way], difference);
    }
    assert_string_equal(difference, "");
}

static void stream(const char *create, bool has_version, bool omit_leaves, bool marks)
{
    enum { BATCHES = 8, ROWS = 30 };
    struct made rows[ROWS] = {0};
    struct batch *b = batch_new();

    make_tables(create, has_version, omit_leaves);
    for (int i = 0; i < BATCHES; i++) {
        seed = (uint64_t) i + 1;
        size_t n = 1 + chance(ROWS);
        for (size_t k = 0; k < n; k++) {
            make_row(&rows[k], marks, i % 2 == 0 && k > 4);
        }
        store_all(rows, n, b);
        for (int way = 1; way < WAYS; way++) {
            compare(way);
        }
        if (i % 3 == 2) { /* so that there are rows that an update does not find */
            operator_ask(admin, "TRUNCATE serial, by_copy, by_unnest, by_each");
        }
    }
    for (size_t k = 0; k < ROWS; k++) {
        buf_done(&rows[k].tuple);
        buf_done(&rows[k].mixed);
    }
    batch_free(b);
}

#define COLUMNS                                                                                    \
    "k int, v bigint, mark bool, a text, b text DEFAULT 'made', mood mood DEFAULT "                \
    "'glad', range int4range DEFAULT '[0,1)', unfilled int DEFAULT 7"

static void test_plain(void **state)
{
    (void) state;
    stream("CREATE TABLE serial (" COLUMNS ", PRIMARY KEY (k))", false, false, false);
}

static void test_composite_key_and_marks(void **state)
{
    (void) state;
    stream("CREATE TABLE serial (" COLUMNS ", k2 text, PRIMARY KEY (k2, k))", false, false, true);
}

static void test_version(void **state)
{
    (void) state;
    stream("CREATE TABLE serial (" COLUMNS ", k2 text, PRIMARY KEY (k, k2))", true, false, true);
}

static void test_what_is_omitted_stays(void **state)
{
    (void) state;
    stream("CREATE TABLE serial (" COLUMNS ", k2 text, PRIMARY KEY (k, k2))", false, true, true);
}

static void test_what_is_omitted_stays_with_a_version(void **state)
{
    (void) state;
    stream("CREATE TABLE serial (" COLUMNS ", PRIMARY KEY (k))", true, true, true);
}

static void test_partitions(void **state)
{
    (void) state;
    stream("CREATE TABLE serial (" COLUMNS ", k2 text, PRIMARY KEY (k, k2)) PARTITION BY LIST (k);"
           "CREATE TABLE serial_one PARTITION OF serial FOR VALUES IN (-1, 0);"
           "CREATE TABLE serial_other PARTITION OF serial DEFAULT",
           true, false, true);
}

static void test_triggers_and_generated_columns(void **state)
{
    (void) state;
    operator_ask(admin, "CREATE OR REPLACE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS $$"
                        " BEGIN NEW.unfilled := length(NEW.a); RETURN NEW; END $$;"
                        "CREATE OR REPLACE FUNCTION told() RETURNS trigger LANGUAGE plpgsql AS $$"
                        " BEGIN PERFORM count(*) FROM pg_catalog.pg_class; RETURN NULL; END $$");
    stream("CREATE TABLE serial (" COLUMNS
           ", k2 text, PRIMARY KEY (k, k2), twice int GENERATED ALWAYS AS "
           "(2 * k) STORED);"
           "CREATE TRIGGER touch BEFORE INSERT OR UPDATE ON serial FOR EACH ROW"
           " EXECUTE FUNCTION touch();"
           "CREATE TRIGGER told AFTER INSERT OR UPDATE OR DELETE ON serial FOR EACH ROW"
           " EXECUTE FUNCTION told()",
           false, false, false);
}

/* The type of a key need not compare as its bytes do: what stands in a table is found anyway. */
static void test_keys_of_other_types(void **state)
{
    (void) state;
    stream(
        "CREATE TABLE serial (kt mood, k int, v bigint, mark bool, a text, b text DEFAULT 'made',"
        " PRIMARY KEY (k, kt))",
        false, false, true);
}

/* Equal keys with different bytes, which only SQL finds. */
static void test_keys_that_sql_compares(void **state)
{
    (void) state;
    stream("CREATE TABLE serial (kn text COLLATE nocase, k int, v bigint, mark bool, a text,"
           " b text DEFAULT 'made', PRIMARY KEY (k, kn))",
           false, false, true);
    assert_true(targets[SERIAL]->keys_by_sql);
}

static void test_keys_and_versions_that_sql_compares(void **state)
{
    (void) state;
    stream("CREATE TABLE serial (kn text COLLATE nocase PRIMARY KEY, v bigint, mark bool, a text,"
           " b text DEFAULT 'made')",
           true, true, true);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_plain),
        TEST(test_composite_key_and_marks),
        TEST(test_version),
        TEST(test_what_is_omitted_stays),
        TEST(test_what_is_omitted_stays_with_a_version),
        TEST(test_partitions),
        TEST(test_triggers_and_generated_columns),
        TEST(test_keys_of_other_types),
        TEST(test_keys_that_sql_compares),
        TEST(test_keys_and_versions_that_sql_compares),
    };

    admin = operator_open();
    operator_ask(admin, "CREATE TYPE mood AS ENUM ('', 'x', 'X', 'sad', 'glad', 'so so')");
    operator_ask(admin, "CREATE COLLATION nocase (provider = icu, locale = 'und-u-ks-level2',"
                        " deterministic = false)");
    int failed = cmocka_run_group_tests_name("rows", tests, NULL, NULL);
    PQfinish(admin);
    return failed;
}
