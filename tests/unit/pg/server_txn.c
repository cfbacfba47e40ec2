/* txn.c against a real server: what is stored, what is refused and where, and what a lost
 * connection means. */
#include "row/batch/batch.h"

#include "base/failpoint.h"
#include "row/batch/dead_letter.h"

#include "server.h"

#define SCHEMA "pgsinkd"

static PGconn *admin;
static enum txn_path path; /* every test runs once with each */
static struct conn *c;
static struct ledger *l;
static struct txn *t;
static struct batch *b;
static struct ledger_entry claimed; /* orders-0 */

static void open_all(const struct conn_settings *settings)
{
    struct error err;

    c = server_open_with(settings);
    server_fresh_schema(c, SCHEMA);
    l = ledger_new(SCHEMA, "unit", "me");
    t = txn_new(SCHEMA, "unit", true);
    b = batch_new();
    claimed = (struct ledger_entry){.topic = "orders", .partition = 0, .first_offset = 100};
    assert_ok(ledger_claim_start(l, c, &claimed, 1, false, &err), &err);
    assert_int_equal(server_drive_ledger(l, c, &err), LEDGER_DONE);
}

static int setup(void **state)
{
    struct conn_settings settings = server_settings(server_dsn());

    (void) state;
    settings.lock_timeout_usec = 5 * USEC_PER_SEC;
    open_all(&settings);
    return 0;
}

static int teardown(void **state)
{
    (void) state;
    b = batch_free(b);
    t = txn_free(t);
    l = ledger_free(l);
    c = conn_free(c);
    return 0;
}

/* --- tables, targets, rows --- */

/* Creates the table again and fills all its columns; those with a DEFAULT may be omitted, bits in
 * their order. */
static struct target *make_target(const char *name, const char *columns, uint32_t id)
{
    struct target *g = mem_zalloc(sizeof *g);
    struct error err;
    _cleanup_buf_ struct buf sql = {0};
    int bit = 0;

    buf_add_z(&sql, "DROP TABLE IF EXISTS ");
    table_quote_ident(&sql, name);
    buf_add_z(&sql, " CASCADE; CREATE TABLE ");
    table_quote_ident(&sql, name);
    buf_printf(&sql, " (%s)", columns);
    operator_ask(admin, buf_cstr(&sql));
    struct table *table = catalog_table(c, "public", name, &err);
    assert_ok(table != NULL, &err);
    g->id = id;
    g->route = "r";
    g->table = table;
    g->column_count = table->column_count;
    g->columns = mem_array(g->column_count, sizeof *g->columns);
    for (size_t i = 0; i < g->column_count; i++) {
        g->columns[i] = (struct target_column){
            .column = &table->columns[i],
            .omit_bit = table->columns[i].has_default ? bit++ : -1,
        };
    }
    return g;
}

/* The next target may lie at the same address. */
static void free_target(struct target *g)
{
    union {
        const struct table *from;
        struct table *to;
    } table = {.from = g->table};
    const struct target *const gone[] = {g};

    txn_forget(t, gone, 1);
    table_free(table.to);
    free(g->columns);
    free(g);
}

static int64_t next_offset = 100;

static void begin_record(void)
{
    uint32_t span = batch_span(b, &claimed, "orders", 0, claimed.owner_epoch, claimed.next_offset);

    batch_record_begin(b, span, next_offset++, 1700000000123, 4);
}

/* One row of one record: n fields given as text (NULL = NULL), in a text or bytea format. */
static void add_row(const struct target *g, omit_mask omit, size_t n, const char *const *fields)
{
    begin_record();
    uint32_t part = batch_part(b, g, ROW_INSERT, omit);
    struct buf *out = batch_row_begin(b, part);
    buf_add_u16(out, (uint16_t) n);
    for (size_t i = 0; i < n; i++) {
        if (fields[i] == NULL) {
            buf_add_u32(out, UINT32_MAX);
            continue;
        }
        buf_add_u32(out, (uint32_t) strlen(fields[i]));
        buf_add_z(out, fields[i]);
    }
    batch_row_end(b, part);
    batch_record_end(b);
}

#define ADD(target, omit, ...)                                                                     \
    add_row(target, omit, ARRAY_LEN(((const char *const[]){__VA_ARGS__})),                         \
            (const char *const[]){__VA_ARGS__})

static void start(void)
{
    struct error err;

    assert_ok(txn_start(t, c, b, path, &err), &err);
}

static struct txn_result run(void)
{
    start();
    return server_drive_txn(t, c);
}

static void expect_committed(void)
{
    struct txn_result r = run();

    if (r.outcome != TXN_COMMITTED) {
        print_error("%s\n", r.error.text);
    }
    assert_int_equal(r.outcome, TXN_COMMITTED);
    assert_int_equal(r.error.class, ERROR_NONE);
    assert_true(conn_is_open(c));
    claimed.next_offset = next_offset;
    batch_clear(b);
}

static struct txn_result expect_fault(enum error_class class, size_t part, size_t row,
                                      const char *sqlstate)
{
    struct txn_result r = run();

    assert_int_equal(r.path, path);
    if (path == TXN_UNNEST) { /* which it does not say; the batch goes again by COPY, as in sink/ */
        assert_int_equal(r.outcome, TXN_ROLLED_BACK);
        assert_int_equal(r.error.class, class);
        assert_string_equal(r.error.sqlstate, sqlstate);
        assert_true(r.row == TXN_NO_ROW && r.part == TXN_NO_ROW);
        path = TXN_COPY;
        r = run();
        path = TXN_UNNEST;
    }
    if (r.error.class != class || r.row != row || r.part != part) {
        print_error("%s, part %zu row %zu\n", r.error.text, r.part, r.row);
    }
    assert_int_equal(r.outcome, TXN_ROLLED_BACK);
    assert_int_equal(r.error.class, class);
    assert_string_equal(r.error.sqlstate, sqlstate);
    assert_int_equal(r.part, part);
    assert_int_equal(r.row, row);
    assert_true(conn_is_open(c));
    assert_true(conn_deadline(c) == USEC_NEVER);
    batch_clear(b);
    next_offset = claimed.next_offset;
    return r;
}

static struct txn_result expect_record_fault(size_t part, size_t row, const char *sqlstate)
{
    return expect_fault(ERROR_RECORD, part, row, sqlstate);
}

static const char *ledger_line(void)
{
    return operator_ask(admin, "SELECT concat_ws(' ', next_offset, owner_epoch, leader_epoch,"
                               " extract(epoch FROM last_timestamp), end_offset)"
                               " FROM pgsinkd.offsets WHERE topic = 'orders'");
}

/* --- what is stored --- */

static void test_rows_and_ledger_together(void **state)
{
    (void) state;
    struct target *g = make_target("rows", "a text, b text DEFAULT 'made', c text DEFAULT 'up'", 0);
    struct target *h = make_target("other \"rows\" 2", "x text NOT NULL", 1);

    next_offset = 100;
    ADD(g, 0, "1", "two", NULL);
    ADD(g, 1, "2", "three");
    ADD(h, 0, "x1");
    ADD(g, 3, "3");
    ADD(g, 0, "4", "", "z");
    b->spans[0].end_offset = 777;
    expect_committed();
    assert_string_equal(operator_ask(admin,
                                     "SELECT string_agg(concat_ws('/', a, b, coalesce(c, 'null')),"
                                     " ' ' ORDER BY a) FROM rows"),
                        "1/two/null 2/made/three 3/made/up 4//z");
    assert_string_equal(operator_ask(admin, "SELECT x FROM \"other \"\"rows\"\" 2\""), "x1");
    assert_string_equal(ledger_line(), "105 1 4 1700000000.123000 777");

    /* Nothing but a skip: only the ledger moves, and what is not known stays. */
    uint32_t span = batch_span(b, &claimed, "orders", 0, 1, 105);
    batch_span_skip(b, span, 200);
    next_offset = 200;
    expect_committed();
    assert_string_equal(ledger_line(), "200 1 4 1700000000.123000 777");
    free_target(g);
    free_target(h);
}

static void test_rows_of_defaults_only(void **state)
{
    (void) state;
    struct target *g = make_target("empty", "a text DEFAULT 'x', b text DEFAULT 'y'", 0);

    next_offset = 100;
    add_row(g, 3, 0, NULL);
    ADD(g, 2, "own");
    add_row(g, 3, 0, NULL);
    expect_committed();
    assert_string_equal(operator_ask(admin, "SELECT string_agg(a || b, ' ' ORDER BY a) FROM empty"),
                        "owny xy xy");
    add_row(g, 3, 0, NULL);
    expect_committed(); /* no COPY at all */
    assert_string_equal(operator_ask(admin, "SELECT count(*) FROM empty"), "4");
    free_target(g);
}

static void test_many_parts(void **state)
{
    (void) state;
    enum { N = 200 };
    struct target *g[N];
    char name[20];

    next_offset = 100;
    for (uint32_t i = 0; i < N; i++) {
        snprintf(name, sizeof name, "many_%u", i);
        g[i] = make_target(name, "a text", i);
    }
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < N; i++) {
            ADD(g[i], 0, "v");
        }
    }
    expect_committed();
    assert_string_equal(operator_ask(admin, "SELECT count(*) FROM many_0"), "3");
    assert_string_equal(operator_ask(admin, "SELECT count(*) FROM many_199"), "3");
    for (int i = 0; i < N; i++) {
        free_target(g[i]);
    }
    operator_ask(
        admin,
        "DO $$ BEGIN FOR i IN 0..199 LOOP EXECUTE 'DROP TABLE many_' || i; END LOOP; END $$");
}

static void add_wide_rows(const struct target *g, int rows, size_t width)
{
    char *wide = mem_zalloc(width + 1);

    memset(wide, 'w', width);
    for (int i = 0; i < rows; i++) {
        ADD(g, 0, wide);
    }
    free(wide);
}

static void test_large_batch(void **state)
{
    (void) state;
    struct target *g = make_target("large", "a text", 0);

    next_offset = 100;
    add_wide_rows(g, 40000, 500);
    expect_committed();
    assert_string_equal(operator_ask(admin, "SELECT count(*) || ' ' || sum(length(a)) FROM large"),
                        "40000 20000000");
    add_wide_rows(g, 2, 5000000); /* rows far larger than a chunk */
    expect_committed();
    assert_string_equal(operator_ask(admin, "SELECT count(*) FROM large WHERE length(a) = 5000000"),
                        "2");
    free_target(g);
}

/* --- what is refused --- */

static void test_row_and_column_are_named(void **state)
{
    (void) state;
    struct target *g = make_target("orders 2024",
                                   "key1 text PRIMARY KEY, y1 text NOT NULL,"
                                   " note text DEFAULT 'n' CHECK (note <> 'bad')",
                                   0);
    struct txn_result r;

    next_offset = 100;
    ADD(g, 0, "a", "1", "n");
    ADD(g, 0, "b", NULL, "n");
    r = expect_record_fault(0, 1, "23502");
    assert_string_equal(r.error.column, "y1");
    assert_has(r.error.text, "table 'public.orders 2024': column 'y1': null value");

    ADD(g, 0, "a", "1", "n");
    ADD(g, 0, "b", "1", "n");
    ADD(g, 0, "c", "1", "bad");
    expect_record_fault(0, 2, "23514");

    ADD(g, 0, "a", "1", "n");
    ADD(g, 1, "b", "1"); /* another part */
    ADD(g, 1, "c", "1");
    ADD(g, 1, "b", "1");
    r = expect_record_fault(1, 2, "23505");
    assert_has(r.error.text, "(key1)=(b)");

    ADD(g, 0, "a", "1", "n");
    ADD(g, 0, "b\xff", "1", "n");
    r = expect_record_fault(0, 1, "22021");
    assert_string_equal(r.error.column, "key1");
    assert_string_equal(operator_ask(admin, "SELECT count(*) FROM \"orders 2024\""), "0");
    assert_string_equal(ledger_line(), "100 1");

    ADD(g, 0, "a", "1", "n");
    expect_committed(); /* the connection is as good as before */
    free_target(g);
}

static void test_faults_without_a_row(void **state)
{
    (void) state;
    struct target *parent = make_target("parent", "id text PRIMARY KEY", 0);
    struct target *g = make_target("child", "id text REFERENCES parent DEFERRABLE", 1);

    next_offset = 100;
    ADD(g, 0, "nobody");
    expect_record_fault(0, TXN_NO_ROW, "23503"); /* found after the COPY */

    operator_ask(admin, "ALTER TABLE child ALTER CONSTRAINT child_id_fkey INITIALLY DEFERRED");
    ADD(g, 0, "nobody");
    struct txn_result r = run(); /* found by the commit: no part can be named, nothing is certain */
    assert_int_equal(r.outcome, TXN_ROLLED_BACK);
    assert_int_equal(r.error.class, ERROR_DOUBT);
    assert_string_equal(r.error.sqlstate, "23503");
    assert_int_equal(r.row, TXN_NO_ROW);
    assert_null(r.target);
    batch_clear(b);
    next_offset = 100;

    /* A row too big for a page: the server names the line it has read last, so we name none. */
    char columns[8000] = "c0 text";
    const char *fields[700];
    for (int i = 1; i < 700; i++) {
        size_t n = strlen(columns);
        snprintf(columns + n, sizeof columns - n, ",c%d text", i);
    }
    for (int i = 0; i < 700; i++) {
        fields[i] = "1234567890123456789";
    }
    char sql[9000];
    snprintf(sql, sizeof sql, "DROP TABLE IF EXISTS fat; CREATE TABLE fat (%s)", columns);
    operator_ask(admin, sql);
    struct error err;
    struct table *table = catalog_table(c, NULL, "fat", &err);
    assert_ok(table != NULL, &err);
    struct target fat = {.id = 2,
                         .table = table,
                         .column_count = 700,
                         .columns = mem_array(700, sizeof *fat.columns)};
    for (int i = 0; i < 700; i++) {
        fat.columns[i] = (struct target_column){.column = &table->columns[i], .omit_bit = -1};
    }
    const char *thin[700] = {NULL};
    add_row(&fat, 0, 700, fields);
    add_row(&fat, 0, 700, thin);
    expect_fault(ERROR_DOUBT, 0, TXN_NO_ROW, "54000");
    free(fat.columns);
    table_free(table);
    free_target(parent);
    free_target(g);
}

static void test_trigger_raises(void **state)
{
    (void) state;
    struct target *g = make_target("guarded", "a text", 0);

    operator_ask(
        admin,
        "CREATE OR REPLACE FUNCTION guard() RETURNS trigger LANGUAGE plpgsql AS $$"
        " BEGIN IF NEW.a = 'bad' THEN RAISE EXCEPTION 'no 99 please' USING ERRCODE = 'SH001';"
        " END IF; RAISE NOTICE 'fine'; RETURN NEW; END $$");
    operator_ask(
        admin,
        "CREATE TRIGGER guard BEFORE INSERT ON guarded FOR EACH ROW EXECUTE FUNCTION guard()");
    next_offset = 100;
    ADD(g, 0, "fine");
    ADD(g, 0, "fine");
    ADD(g, 0, "bad");
    struct txn_result r = expect_record_fault(0, 2, "SH001");
    assert_has(r.error.text, "no 99 please (SH001)");
    ADD(g, 0, "fine");
    expect_committed();
    free_target(g);
}

static struct txn_refusal refused_alone(const struct target *g, const char *text)
{
    enum txn_path was = path;
    size_t n;

    path = TXN_EACH;
    ADD(g, 0, text);
    struct txn_result r = run();
    path = was;
    assert_int_equal(r.outcome, TXN_ROLLED_BACK);
    assert_ptr_equal(r.target, g);
    const struct txn_refusal *list = txn_refusals(t, &n);
    assert_int_equal(n, 1);
    batch_clear(b);
    next_offset = claimed.next_offset;
    return list[0];
}

/* Nothing speaks for the type of a column before it has taken a text; later it does, in whatever
 * transaction that was. */
static void test_a_text_that_cannot_be_cast(void **state)
{
    (void) state;
    struct target *g = make_target("cast", "v tsvector", 0);

    next_offset = 100;
    struct txn_refusal r = refused_alone(g, "'unclosed");
    assert_true(r.is_cast && r.witness == WITNESS_NONE);
    assert_int_equal(r.class, ERROR_DOUBT);
    assert_string_equal(r.error->column, "v");
    ADD(g, 0, NULL);
    expect_committed(); /* which no cast is needed for */
    assert_int_equal(refused_alone(g, "'unclosed").class, ERROR_DOUBT);
    ADD(g, 0, "a");
    expect_committed();
    assert_int_equal(refused_alone(g, "'unclosed").class, ERROR_RECORD);
    free_target(g);
}

/* A target for dead letters, and one of offset 100 in the batch that takes the place of b. */
static struct target *letters_target(void)
{
    struct error err;
    const struct table *table = catalog_table(c, SCHEMA, "dead_letters", &err);

    assert_ok(table != NULL, &err);
    struct target *letters = dead_letter_target(table, &err);
    assert_ok(letters != NULL, &err);
    return letters;
}

static void free_letters_target(struct target *letters)
{
    union {
        const struct table *from;
        struct table *to;
    } table = {.from = letters->table};

    dead_letter_target_free(letters);
    table_free(table.to);
}

static void add_letter(struct batch *to, const struct target *letters, int64_t offset)
{
    struct error why;
    const struct message msg = {.topic = STR_LIT("orders"), .offset = offset, .timestamp_ms = -1};
    const struct dead_letter letter = {
        .sink = "unit", .route = "r", .message = &msg, .error = &why, .attempts = 1};
    uint32_t part = batch_part(to, letters, ROW_INSERT, 0);

    error_set(&why, ERROR_RECORD, "no");
    dead_letter_write(&letter, batch_row_begin(to, part));
    batch_row_end(to, part);
}

static struct batch *without_row(const struct target *g, const struct target *letters, size_t row)
{
    struct batch *to = batch_new();
    const struct span *s = &b->spans[0];
    uint32_t span = batch_span(to, s->tag, s->topic, s->partition, s->owner_epoch, s->from);

    for (size_t i = 0; i < b->record_count; i++) {
        batch_record_begin(to, span, b->records[i].offset, -1, 4);
        if (i == row) {
            add_letter(to, letters, b->records[i].offset);
        } else {
            batch_copy_row(&b->parts[0], i, to);
        }
        batch_record_end(to);
    }
    assert_ptr_equal(b->parts[0].target, g);
    return to;
}

static const char *stored_and_dead(void)
{
    return operator_ask(admin,
                        "SELECT concat_ws(' ', (SELECT string_agg(a, '' ORDER BY a) FROM tried),"
                        " (SELECT string_agg(\"offset\"::text, ',') FROM pgsinkd.dead_letters),"
                        " (SELECT next_offset FROM pgsinkd.offsets))");
}

/* What is stored beside a refused row stays, if the caller has a dead letter for it. */
static void test_letters_are_given_to_what_is_tried(void **state)
{
    (void) state;
    struct target *g = make_target("tried", "a text CHECK (a <> 'x')", 0);
    struct target *letters = letters_target();
    enum txn_path was = path;
    size_t n;

    path = TXN_EACH;
    txn_hold(t);
    for (int give = 0; give < 2; give++) {
        next_offset = 100;
        ADD(g, 0, "a");
        ADD(g, 0, "x");
        ADD(g, 0, "b");
        start();
        struct txn_result r;
        enum txn_step step;
        while ((step = txn_step(t, &r)) == TXN_WAIT) {
            server_wait(c);
        }
        assert_int_equal(step, TXN_TRIED);
        const struct txn_refusal *list = txn_refusals(t, &n);
        assert_int_equal(n, 1);
        assert_true(list[0].row == 1 && list[0].class == ERROR_RECORD);
        assert_string_equal(list[0].error->sqlstate, "23514");
        struct batch *to = without_row(g, letters, 1);
        if (give) {
            txn_give(t, to);
            r = server_drive_txn(t, c);
            assert_int_equal(r.outcome, TXN_COMMITTED);
            assert_string_equal(stored_and_dead(), "ab 101 103");
        } else {
            txn_refuse(t);
            r = server_drive_txn(t, c);
            assert_int_equal(r.outcome, TXN_ROLLED_BACK);
            assert_string_equal(r.error.sqlstate, "23514");
            assert_ptr_equal(r.target, g);
            assert_string_equal(stored_and_dead(), "100");
        }
        batch_free(to);
        batch_clear(b);
    }
    path = was;
    free_target(g);
    free_letters_target(letters);
}

/* Nothing speaks for the type in this batch, so that not all rows are tried: none is stored. */
static void test_nothing_is_given_to_what_is_half_tried(void **state)
{
    (void) state;
    struct target *g = make_target("tried", "a text, v tsvector", 0);
    enum txn_path was = path;
    size_t n;

    next_offset = 100;
    ADD(g, 0, "a", "good");
    expect_committed();
    path = TXN_EACH;
    txn_hold(t);
    for (int i = 0; i < 5; i++) {
        ADD(g, 0, "x", i < 2 ? "'open" : NULL);
    }
    struct txn_result r = run(); /* not TXN_TRIED */
    assert_int_equal(r.outcome, TXN_ROLLED_BACK);
    const struct txn_refusal *list = txn_refusals(t, &n);
    assert_int_equal(n, 2);
    assert_true(list[0].class == ERROR_RECORD && list[1].class == ERROR_RECORD);
    assert_string_equal(operator_ask(admin, "SELECT string_agg(a, '') FROM tried"), "a");
    assert_string_equal(operator_ask(admin, "SELECT next_offset FROM pgsinkd.offsets"), "101");
    batch_clear(b);
    path = was;
    free_target(g);
}

/* They come last, and are refused by themselves. */
static void test_letters_that_are_refused(void **state)
{
    (void) state;
    struct target *g = make_target("tried", "a text", 0);
    struct target *letters = letters_target();
    enum txn_path was = path;

    path = path == TXN_COPY ? TXN_EACH : TXN_COPY;
    operator_ask(admin, "ALTER TABLE pgsinkd.dead_letters ADD CHECK (\"offset\" <> 101)");
    next_offset = 100;
    ADD(g, 0, "a");
    begin_record();
    add_letter(b, letters, 101);
    batch_record_end(b);
    struct txn_result r = run();
    assert_int_equal(r.outcome, TXN_ROLLED_BACK);
    assert_string_equal(r.error.sqlstate, "23514");
    assert_ptr_equal(r.target, letters);
    assert_int_equal(r.part, 1);
    assert_int_equal(r.row, 0);
    assert_string_equal(stored_and_dead(), "100");
    operator_ask(admin,
                 "ALTER TABLE pgsinkd.dead_letters DROP CONSTRAINT dead_letters_offset_check");
    expect_committed();
    assert_string_equal(stored_and_dead(), "a 101 102");
    path = was;
    free_target(g);
    free_letters_target(letters);
}

/* In a large batch what a constraint refuses is found at once, other faults one by one: they come
 * back in the order of the rows. */
static void test_many_refused_rows(void **state)
{
    (void) state;
    struct target *g = make_target("tried", "a text UNIQUE CHECK (a <> 'x'), v tsvector", 0);
    enum txn_path was = path;
    size_t n;

    path = TXN_EACH;
    next_offset = 100;
    for (int i = 0; i < 300; i++) {
        char a[20];
        snprintf(a, sizeof a, i % 10 == 9 ? "same" : i % 10 == 5 ? "x" : "%d", i);
        ADD(g, 0, a, i % 10 == 7 ? "'open" : "v");
    }
    struct txn_result r = run();
    assert_int_equal(r.outcome, TXN_ROLLED_BACK);
    const struct txn_refusal *list = txn_refusals(t, &n);
    assert_int_equal(n, 30 + 30 + 29);
    for (size_t i = 0; i < n; i++) {
        size_t at = list[i].row % 10;
        assert_true(i == 0 || list[i].row > list[i - 1].row);
        assert_string_equal(list[i].error->sqlstate, at == 5   ? "23514"
                                                     : at == 7 ? "42601"
                                                               : "23505");
        assert_true(list[i].class == ERROR_RECORD && list[i].is_cast == (at == 7));
        assert_string_equal(list[i].error->column, at == 7 ? "v" : "");
    }
    assert_string_equal(r.error.sqlstate, "23514");
    batch_clear(b);
    path = was;
    free_target(g);
}

/* A row of the same statement after it speaks for the table; one before it does not. */
static void test_witnesses(void **state)
{
    (void) state;
    struct target *g = make_target("odd", "a text", 0);
    enum txn_path was = path;
    size_t n;

    operator_ask(admin, "CREATE OR REPLACE FUNCTION odd() RETURNS trigger LANGUAGE plpgsql AS $$"
                        " BEGIN IF NEW.a = 'bad' THEN RAISE EXCEPTION USING ERRCODE = 'XX000';"
                        " END IF; RETURN NEW; END $$");
    operator_ask(admin,
                 "CREATE TRIGGER odd BEFORE INSERT ON odd FOR EACH ROW EXECUTE FUNCTION odd()");
    next_offset = 100;
    ADD(g, 0, "good");
    ADD(g, 0, "bad");
    ADD(g, 0, "good");
    path = TXN_EACH;
    struct txn_result r = run();
    assert_int_equal(r.error.class, ERROR_DOUBT);
    const struct txn_refusal *list = txn_refusals(t, &n);
    assert_int_equal(n, 1);
    assert_true(list[0].row == 1 && list[0].witness == WITNESS_PLAIN);
    assert_true(txn_blames_record(&list[0]));
    batch_clear(b);
    next_offset = 100;
    ADD(g, 0, "good");
    ADD(g, 0, "bad");
    (void) run();
    list = txn_refusals(t, &n);
    assert_true(n == 1 && list[0].witness == WITNESS_NONE && !list[0].without_rows);
    assert_false(txn_blames_record(&list[0]));
    batch_clear(b);
    next_offset = 100;
    path = was;
    free_target(g);
}

/* A connection that a trigger has lost, not ours. */
static void test_a_fault_of_the_target_leaves_the_connection(void **state)
{
    (void) state;
    struct target *g = make_target("remote", "a text", 0);

    operator_ask(admin, "CREATE OR REPLACE FUNCTION remote() RETURNS trigger LANGUAGE plpgsql AS $$"
                        " BEGIN RAISE EXCEPTION USING ERRCODE = '57P01'; END $$");
    operator_ask(
        admin,
        "CREATE TRIGGER remote BEFORE INSERT ON remote FOR EACH ROW EXECUTE FUNCTION remote()");
    next_offset = 100;
    ADD(g, 0, "x");
    struct txn_result r = run();
    assert_int_equal(r.outcome, TXN_ROLLED_BACK);
    assert_int_equal(r.error.class, ERROR_TARGET);
    assert_ptr_equal(r.target, g);
    assert_true(conn_is_open(c));
    batch_clear(b);
    next_offset = 100;
    free_target(g);
}

static void expect_locked(const struct target *g, size_t part, size_t row)
{
    txn_set_lock_timeout(t, 100 * USEC_PER_MSEC);
    struct txn_result r = run();
    assert_int_equal(r.error.class, ERROR_TARGET);
    assert_string_equal(r.error.sqlstate, "55P03");
    assert_ptr_equal(r.target, g);
    assert_int_equal(r.part, part);
    assert_int_equal(r.row, row);
    assert_true(conn_is_open(c));
}

/* Whether it is all of the table, or one row: here the one whose key another session inserts. Rows
 * of another table lie between, so that each is tried alone. */
static void test_a_lock_names_its_row(void **state)
{
    (void) state;
    struct target *g = make_target("locked", "a text UNIQUE", 0);
    struct target *between = make_target("between_them", "a text", 1);
    PGconn *holder = operator_open();
    enum txn_path was = path;

    g->route = between->route = "r";
    next_offset = 100;
    for (char key[] = "a"; key[0] <= 'd'; key[0]++) {
        ADD(g, 0, key);
        ADD(between, 0, key);
    }
    path = TXN_EACH;
    operator_ask(holder, "BEGIN");
    operator_ask(holder, "INSERT INTO locked VALUES ('c')");
    expect_locked(g, 0, 2);
    operator_ask(holder, "ROLLBACK");
    operator_ask(holder, "BEGIN");
    operator_ask(holder, "LOCK TABLE locked");
    expect_locked(g, TXN_NO_ROW, TXN_NO_ROW);
    PQfinish(holder);
    expect_committed();
    path = was;
    free_target(between);
    free_target(g);
}

/* An early error in a large batch: the rest is not sent for nothing, and the session is usable at
 * once. */
static void test_early_error(void **state)
{
    (void) state;
    struct target *g = make_target("early", "a text NOT NULL", 0);

    next_offset = 100;
    for (int i = 0; i < 3; i++) {
        ADD(g, 0, NULL);
        add_wide_rows(g, 40000, 500);
        expect_record_fault(0, 0, "23502");
    }
    ADD(g, 0, "x");
    expect_committed();
    free_target(g);
}

static void test_setup_faults(void **state)
{
    (void) state;
    struct target *g = make_target("dropped", "a text", 0);

    next_offset = 100;
    operator_ask(admin, "DROP TABLE dropped");
    ADD(g, 0, "x");
    struct txn_result r = run();
    assert_int_equal(r.outcome, TXN_ROLLED_BACK);
    assert_int_equal(r.error.class, ERROR_UNFIT);
    assert_ptr_equal(r.target, g);
    assert_string_equal(r.error.sqlstate, "42P01");
    assert_has(r.error.text, "table 'public.dropped'");
    assert_true(conn_is_open(c));
    free_target(g);
}

static void test_fenced(void **state)
{
    (void) state;
    struct target *g = make_target("fenced", "a text", 0);
    struct error err;

    next_offset = 100;
    ADD(g, 0, "x");
    struct ledger *other = ledger_new(SCHEMA, "unit", "other");
    struct ledger_entry e = claimed;
    assert_ok(ledger_claim_start(other, c, &e, 1, false, &err), &err);
    assert_int_equal(server_drive_ledger(other, c, &err), LEDGER_DONE);
    ledger_free(other);
    struct txn_result r = run();
    assert_int_equal(r.outcome, TXN_ROLLED_BACK);
    assert_int_equal(r.error.class, ERROR_FENCED);
    assert_has(r.error.text, "orders-0: expected next_offset 100 under owner_epoch 1,"
                             " the ledger says 100 under 2, owner 'other'");
    assert_true(conn_is_open(c));
    assert_string_equal(operator_ask(admin, "SELECT count(*) FROM fenced"), "0");

    operator_ask(admin, "DELETE FROM pgsinkd.offsets");
    r = run();
    assert_int_equal(r.error.class, ERROR_FENCED);
    assert_has(r.error.text, "no such line");
    free_target(g);
}

/* A pooler gives the transaction the session of another connection. */
static void test_another_session(void **state)
{
    (void) state;
    struct target *g = make_target("pooled", "a text", 0);
    struct error err;

    next_offset = 100;
    ADD(g, 0, "x");
    assert_ok(conn_run(c, "SET pgsinkd.session TO 'of somebody else'", &err), &err);
    struct txn_result r = run();
    assert_int_equal(r.outcome, TXN_ROLLED_BACK);
    assert_int_equal(r.error.class, ERROR_LINK);
    assert_string_equal(r.error.sqlstate, "SK004");
    assert_has(r.error.text, "a connection pooler gives each transaction another server session");
    assert_has(r.error.hint, "pool_mode = session");
    assert_false(conn_is_open(c));
    assert_string_equal(operator_ask(admin, "SELECT count(*) FROM pooled"), "0");
    assert_ok(conn_open_wait(c, -1, &err), &err);
    expect_committed();
    free_target(g);
}

/* --- a replay's --- */

static void make_letters(const char *offsets)
{
    char sql[300];

    snprintf(
        sql, sizeof sql,
        "INSERT INTO pgsinkd.dead_letters (sink, topic, partition, \"offset\", route,"
        " error_class, message) SELECT 'unit', 'it''s', 3, o, 'the {\"route''s\"}', 'record', ''"
        " FROM unnest('%s'::bigint[]) o",
        offsets);
    operator_ask(admin, sql);
}

/* A batch in which a letter of each of two offsets makes a row; a third one makes none. */
static void add_letters(const struct target *g, int *tags)
{
    for (int64_t i = 0; i < 3; i++) {
        uint32_t span = batch_span(b, &tags[i], "it's", 3, 0, 70 + i);
        batch_record_begin(b, span, 70 + i, 1700000000123, -1);
        if (i < 2) {
            uint32_t part = batch_part(b, g, ROW_INSERT, 0);
            struct buf *out = batch_row_begin(b, part);
            buf_add_u16(out, 1);
            buf_add_u32(out, 1);
            buf_add_u8(out, (uint8_t) ('a' + i));
            batch_row_end(b, part);
        }
        batch_record_end(b);
    }
}

static void takes_letters(enum txn_path how)
{
    struct target *g = make_target("replayed", "a text CHECK (a <> 'x')", 0);
    static const char letters[] = "SELECT string_agg(\"offset\"::text, ' ' ORDER BY \"offset\")"
                                  " FROM pgsinkd.dead_letters";
    static const char rows[] = "SELECT string_agg(a, ' ' ORDER BY a) FROM replayed";
    int tags[3];

    operator_ask(admin, "DELETE FROM pgsinkd.dead_letters");
    txn_free(t);
    t = txn_new(SCHEMA, "unit", false);
    txn_take_letters(t, "the {\"route's\"}");
    path = how;
    add_letters(g, tags);

    /* One of them is gone: nothing is done. */
    make_letters("{70,72,99}");
    struct txn_result r = run();
    assert_int_equal(r.outcome, TXN_ROLLED_BACK);
    assert_int_equal(r.error.class, ERROR_FENCED);
    assert_has(r.error.text, "it's-3@71: sink 'unit' has no such dead letter");
    assert_true(conn_is_open(c));
    assert_string_equal(operator_ask(admin, letters), "70 72 99");
    assert_string_equal(operator_ask(admin, rows), "");

    make_letters("{71}");
    r = run();
    assert_int_equal(r.outcome, TXN_COMMITTED);
    assert_string_equal(operator_ask(admin, letters), "99");
    assert_string_equal(operator_ask(admin, rows), "a b");
    assert_string_equal(ledger_line(), "100 1"); /* as it was claimed */

    r = run();
    assert_int_equal(r.error.class, ERROR_FENCED);
    assert_string_equal(operator_ask(admin, rows), "a b");
    free_target(g);
}

static void test_letters_are_taken_with_their_rows(void **state)
{
    (void) state;
    enum txn_path was = path;

    takes_letters(TXN_COPY);
    batch_clear(b);
    takes_letters(TXN_EACH);
    path = was;
}

static void test_standby_meanwhile(void **state)
{
    (void) state;
    struct target *g = make_target("readonly", "a text", 0);
    struct error err;

    next_offset = 100;
    ADD(g, 0, "x");
    assert_ok(conn_run(c, "SET default_transaction_read_only TO on", &err), &err);
    struct txn_result r = run();
    assert_int_equal(r.outcome, TXN_ROLLED_BACK);
    assert_int_equal(r.error.class, ERROR_LINK);
    assert_string_equal(r.error.sqlstate, "25006");
    assert_false(conn_is_open(c));
    free_target(g);
}

/* --- lost connections --- */

static void terminate(int pid)
{
    char sql[100];

    snprintf(sql, sizeof sql, "SELECT pg_terminate_backend(%d)", pid);
    operator_ask(admin, sql);
}

static void wait_for_lock(int pid)
{
    char sql[200];

    snprintf(sql, sizeof sql,
             "SELECT count(*) FROM pg_stat_activity WHERE pid = %d AND wait_event_type = 'Lock'",
             pid);
    while (strcmp(operator_ask(admin, sql), "1") != 0) {
        struct txn_result r;
        assert_int_equal(txn_step(t, &r), TXN_WAIT);
    }
}

/* COPY waits with the rows until the server wants them; unnest has sent everything. */
static enum txn_outcome if_all_is_sent(void)
{
    return path == TXN_UNNEST ? TXN_UNKNOWN : TXN_ROLLED_BACK;
}

static void test_terminated_before_the_end(void **state)
{
    (void) state;
    struct target *g = make_target("cut", "a text", 0);
    PGconn *holder = operator_open();

    next_offset = 100;
    add_wide_rows(g, 1000, 500);
    operator_ask(holder, "BEGIN");
    operator_ask(holder, "LOCK TABLE cut");
    start();
    int pid = conn_backend_pid(c);
    wait_for_lock(pid); /* the advance is done, the COPY not begun */
    terminate(pid);
    struct txn_result r = server_drive_txn(t, c);
    assert_int_equal(r.outcome, if_all_is_sent());
    assert_int_equal(r.error.class, ERROR_LINK);
    assert_string_equal(r.error.sqlstate, "57P01");
    assert_false(conn_is_open(c));
    PQfinish(holder);
    assert_string_equal(ledger_line(), "100 1");
    free_target(g);
}

/* Every row is sent and the answer is awaited: whatever ends the session now, the outcome is open.
 */
static void test_terminated_in_commit(void **state)
{
    (void) state;
    struct target *g = make_target("late", "a text", 0);
    PGconn *holder = operator_open();

    operator_ask(admin, "CREATE TABLE IF NOT EXISTS gate (a int)");
    operator_ask(admin,
                 "CREATE OR REPLACE FUNCTION wait_at_gate() RETURNS trigger LANGUAGE plpgsql AS"
                 " $$ BEGIN LOCK TABLE gate; RETURN NULL; END $$");
    operator_ask(admin,
                 "CREATE CONSTRAINT TRIGGER late AFTER INSERT ON late DEFERRABLE INITIALLY DEFERRED"
                 " FOR EACH ROW EXECUTE FUNCTION wait_at_gate()");
    next_offset = 100;
    ADD(g, 0, "x");
    operator_ask(holder, "BEGIN");
    operator_ask(holder, "LOCK TABLE gate");
    start();
    int pid = conn_backend_pid(c);
    wait_for_lock(pid);
    terminate(pid);
    struct txn_result r = server_drive_txn(t, c);
    assert_int_equal(r.outcome, TXN_UNKNOWN);
    assert_int_equal(r.error.class, ERROR_LINK);
    assert_false(conn_is_open(c));
    PQfinish(holder);
    free_target(g);
}

static void test_no_answer(void **state)
{
    (void) state;
    struct target *g = make_target("mute", "a text", 0);
    PGconn *holder = operator_open();
    struct conn_settings settings = server_settings(server_dsn());

    teardown(NULL);
    settings.timeout_usec = 2 * USEC_PER_SEC; /* enough to install the schema */
    settings.lock_timeout_usec = 60 * USEC_PER_SEC;
    open_all(&settings);
    next_offset = 100;
    ADD(g, 0, "x");
    operator_ask(holder, "BEGIN");
    operator_ask(holder, "LOCK TABLE mute");
    struct txn_result r = run();
    assert_int_equal(r.outcome, if_all_is_sent());
    assert_int_equal(r.error.class, ERROR_LINK);
    assert_has(r.error.text, "no answer from postgresql");
    assert_false(conn_is_open(c));
    PQfinish(holder);
    free_target(g);
}

static void test_abandon(void **state)
{
    (void) state;
    struct target *g = make_target("abandoned", "a text", 0);
    struct error err;

    next_offset = 100;
    add_wide_rows(g, 10000, 500);
    start();
    txn_abandon(t);
    assert_false(conn_is_open(c));
    txn_abandon(t);
    /* The line is free as soon as the server has seen it; a claim waits for that. */
    assert_ok(conn_open_wait(c, -1, &err), &err);
    enum ledger_step claim = LEDGER_FAILED;
    for (int i = 0; i < 10 && claim != LEDGER_DONE; i++) { /* longer than lock_timeout at times */
        assert_ok(ledger_claim_start(l, c, &claimed, 1, false, &err), &err);
        claim = server_drive_ledger(l, c, &err);
    }
    assert_int_equal(claim, LEDGER_DONE);
    bool sent = path == TXN_UNNEST && claimed.next_offset == 10100; /* it may all have been */
    assert_true(claimed.next_offset == 100 || sent);
    assert_int_equal(claimed.owner_epoch, 2);
    batch_clear(b);
    next_offset = claimed.next_offset;
    ADD(g, 0, "x");
    expect_committed();
    free_target(g);
}

#ifdef PGSINKD_FAILPOINTS
/* An error at a failpoint is a lost connection; what the ledger says then is what the outcome
 * promised. */
static void failpoint(const char *name, enum txn_outcome outcome, const char *stored)
{
    struct target *g = make_target("failing", "a text", 0);
    struct error err;
    char points[100];

    snprintf(points, sizeof points, "%s=error", name);
    setenv("PGSINKD_FAILPOINTS", points, 1);
    failpoint_init();
    claimed.next_offset = next_offset = 100;
    claimed.first_offset = 100;
    ADD(g, 0, "one");
    ADD(g, 0, "two");
    struct txn_result r = run();
    assert_int_equal(r.outcome, outcome);
    assert_int_equal(r.error.class, ERROR_LINK);
    assert_false(conn_is_open(c));
    assert_ok(conn_open_wait(c, -1, &err), &err);
    assert_ok(ledger_claim_start(l, c, &claimed, 1, true, &err), &err);
    assert_int_equal(server_drive_ledger(l, c, &err), LEDGER_DONE);
    assert_string_equal(operator_ask(admin, "SELECT count(*) FROM failing"), stored);
    assert_int_equal(claimed.next_offset, *stored == '2' ? 102 : 100);
    free_target(g);
}

static void test_failpoints(void **state)
{
    (void) state;
    failpoint("txn.mid_copy", TXN_ROLLED_BACK, "0");
    batch_clear(b);
    failpoint("txn.before_commit", TXN_ROLLED_BACK, "0");
    batch_clear(b);
    failpoint("txn.after_commit", TXN_UNKNOWN, "2");
}
#endif

/* --- how long --- */

static void test_many_spans(void **state)
{
    (void) state;
    static const int counts[] = {1, 10, 100, 1000, 10000};
    enum { N = 10000 };
    struct ledger_entry *e = mem_array(N, sizeof *e);
    struct error err;

    for (int i = 0; i < N; i++) {
        e[i] = (struct ledger_entry){.topic = "spans", .partition = i, .first_offset = 0};
    }
    assert_ok(ledger_claim_start(l, c, e, N, false, &err), &err);
    assert_int_equal(server_drive_ledger(l, c, &err), LEDGER_DONE);
    for (size_t k = 0; k < ARRAY_LEN(counts); k++) {
        int rounds = MAX(2, 1000 / counts[k]);
        usec_t spent = 0;
        for (int round = 0; round < rounds; round++) {
            batch_clear(b);
            for (int i = 0; i < counts[k]; i++) {
                uint32_t s = batch_span(b, &e[i], "spans", i, e[i].owner_epoch, e[i].next_offset);
                batch_span_skip(b, s, ++e[i].next_offset);
            }
            usec_t begin = clock_mono();
            struct txn_result r = run();
            spent += clock_mono() - begin;
            assert_int_equal(r.outcome, TXN_COMMITTED);
        }
        print_message("advance of %d: %llu us a transaction\n", counts[k],
                      (unsigned long long) (spent / (usec_t) rounds));
        assert_true(spent / (usec_t) rounds < 10 * USEC_PER_SEC);
    }
    free(e);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_rows_and_ledger_together),
        TEST(test_rows_of_defaults_only),
        TEST(test_many_parts),
        TEST(test_large_batch),
        TEST(test_row_and_column_are_named),
        TEST(test_faults_without_a_row),
        TEST(test_trigger_raises),
        TEST(test_a_text_that_cannot_be_cast),
        TEST(test_letters_are_given_to_what_is_tried),
        TEST(test_nothing_is_given_to_what_is_half_tried),
        TEST(test_letters_that_are_refused),
        TEST(test_many_refused_rows),
        TEST(test_witnesses),
        TEST(test_a_fault_of_the_target_leaves_the_connection),
        TEST(test_a_lock_names_its_row),
        TEST(test_early_error),
        TEST(test_setup_faults),
        TEST(test_fenced),
        TEST(test_another_session),
        TEST(test_letters_are_taken_with_their_rows),
        TEST(test_standby_meanwhile),
        TEST(test_terminated_before_the_end),
        TEST(test_terminated_in_commit),
        TEST(test_no_answer),
        TEST(test_abandon),
#ifdef PGSINKD_FAILPOINTS
        TEST(test_failpoints),
#endif
        TEST(test_many_spans),
    };

    admin = operator_open();
    path = TXN_COPY;
    int failed = cmocka_run_group_tests_name("copy", tests, NULL, NULL);
    path = TXN_UNNEST;
    failed += cmocka_run_group_tests_name("unnest", tests, NULL, NULL);
    PQfinish(admin);
    return failed;
}
