/* ledger.c and sql/ against a real server: claims, races, zombies, gaps, ends, notices of hand-made
 * changes. */
#include "server.h"

#define SCHEMA "unit ledger"

static PGconn *admin;
static struct conn *c;
static struct ledger *l;

static int setup(void **state)
{
    (void) state;
    c = server_open();
    server_fresh_schema(c, SCHEMA);
    l = ledger_new(SCHEMA, "unit", "me");
    operator_ask(admin, "SET search_path TO \"" SCHEMA "\", public");
    return 0;
}

static int teardown(void **state)
{
    (void) state;
    l = ledger_free(l);
    c = conn_free(c);
    return 0;
}

static bool claim_with(struct ledger *ledger, struct conn *conn, struct ledger_entry *e, size_t n,
                       bool only_mine, struct error *err)
{
    return ledger_claim_start(ledger, conn, e, n, only_mine, err) &&
           server_drive_ledger(ledger, conn, err) == LEDGER_DONE;
}

static void claim(struct ledger_entry *e, size_t n)
{
    struct error err;

    assert_ok(claim_with(l, c, e, n, false, &err), &err);
}

static struct ledger_entry entry(const char *topic, int32_t partition, int64_t first_offset)
{
    return (struct ledger_entry){
        .topic = topic, .partition = partition, .first_offset = first_offset};
}

static void test_claim(void **state)
{
    (void) state;
    struct ledger_entry e[] = {entry("b", 1, 5), entry("a", 7, LEDGER_UNKNOWN),
                               entry("it's \"odd\\", 0, 0)};

    claim(e, 3);
    assert_int_equal(e[0].next_offset, 5);
    assert_int_equal(e[0].owner_epoch, 1);
    assert_int_equal(e[0].leader_epoch, -1);
    assert_true(e[0].mine);
    assert_int_equal(e[1].next_offset, LEDGER_UNKNOWN);
    assert_false(e[1].mine);
    assert_int_equal(e[2].next_offset, 0);
    assert_string_equal(operator_ask(admin, "SELECT count(*) FROM offsets"), "2");
    assert_string_equal(operator_ask(admin, "SELECT topic FROM offsets WHERE partition = 0"),
                        "it's \"odd\\");

    e[0].first_offset = 99; /* known by now: the ledger's word counts */
    e[1].first_offset = 3;
    claim(e, 3);
    assert_int_equal(e[0].next_offset, 5);
    assert_int_equal(e[0].owner_epoch, 2);
    assert_int_equal(e[1].next_offset, 3);
    assert_int_equal(e[1].owner_epoch, 1);
    claim(NULL, 0);
}

static void test_claim_only_mine(void **state)
{
    (void) state;
    struct ledger_entry e[] = {entry("a", 0, 10), entry("a", 1, 20), entry("a", 2, LEDGER_UNKNOWN)};
    struct error err;
    struct ledger *other = ledger_new(SCHEMA, "unit", "other");

    claim(e, 2);
    assert_ok(claim_with(other, c, e, 1, false, &err), &err); /* a-0 goes to the other */
    assert_int_equal(e[0].owner_epoch, 2);

    assert_ok(claim_with(l, c, e, 3, true, &err), &err);
    assert_false(e[0].mine);
    assert_int_equal(e[0].next_offset, 10);
    assert_int_equal(e[0].owner_epoch, 2);
    assert_true(e[1].mine);
    assert_int_equal(e[1].owner_epoch, 2);
    assert_false(e[2].mine);
    assert_int_equal(e[2].next_offset, LEDGER_UNKNOWN);

    e[0].first_offset = LEDGER_UNKNOWN;
    assert_ok(claim_with(l, c, e, 1, true, &err), &err);
    assert_false(e[0].mine);
    assert_int_equal(e[0].owner_epoch, 2);
    ledger_free(other);
}

/* Two daemons claim a partition that the ledger does not know, at the same time. */
static void test_race_for_a_new_partition(void **state)
{
    (void) state;
    struct ledger_entry e = entry("new", 0, 100);
    struct error err;

    operator_ask(admin, "BEGIN");
    operator_ask(admin, "SELECT claim('unit', 'other', '{new}', '{0}', '{40}', false)");
    assert_ok(ledger_claim_start(l, c, &e, 1, false, &err), &err);
    assert_int_equal(ledger_step(l, &err), LEDGER_WAIT);
    operator_ask(admin, "SELECT pg_sleep(0.1)");
    assert_int_equal(ledger_step(l, &err), LEDGER_WAIT);
    operator_ask(admin, "COMMIT");
    assert_int_equal(server_drive_ledger(l, c, &err), LEDGER_DONE);
    assert_int_equal(e.next_offset, 40);
    assert_int_equal(e.owner_epoch, 2);
    assert_string_equal(operator_ask(admin, "SELECT owner FROM offsets"), "me");
}

static size_t look(struct ledger_entry *e, size_t n, const struct ledger_lock **out)
{
    struct error err;
    size_t count;

    assert_ok(ledger_look_start(l, c, e, n, &err), &err);
    assert_ok(server_drive_ledger(l, c, &err) == LEDGER_DONE, &err);
    *out = ledger_locks(l, &count);
    return count;
}

static PGconn *locker(const char *statement)
{
    PGconn *pg = operator_open();

    operator_ask(pg, "SET search_path TO \"" SCHEMA "\"");
    operator_ask(pg, "SET application_name TO 'somebody'");
    operator_ask(pg, "BEGIN");
    operator_ask(pg, statement);
    return pg;
}

static void test_locked_row_and_its_holder(void **state)
{
    (void) state;
    struct ledger_entry e[] = {entry("a", 0, 10), entry("a", 1, 10)};
    const struct ledger_lock *locks;
    struct error err;
    char xid[12];

    claim(e, 2);
    PGconn *zombie = locker("SELECT advance('unit','{a}','{1}','{1}','{10}','{11}','{-1}','{-1}',"
                            "'{-1}')");
    usec_t begun = clock_mono();
    assert_false(claim_with(l, c, e, 2, false, &err));
    assert_int_equal(err.class, ERROR_AGAIN);
    assert_string_equal(err.sqlstate, "55P03");
    assert_true(clock_mono() - begun < 4 * LEDGER_PATIENCE);
    assert_true(conn_is_open(c));

    assert_int_equal(look(e, 1, &locks), 0);
    assert_int_equal(look(e, 2, &locks), 1);
    assert_int_equal(locks[0].entry, 1);
    assert_true(locks[0].mine);
    assert_int_equal(locks[0].pid, PQbackendPID(zombie));
    assert_has(locks[0].holder, "user 'operator', application 'somebody'");
    assert_has(locks[0].holder, "idle in transaction, its transaction began 20");
    assert_int_equal(ledger_ended(l), 0);

    /* Only the zombie goes, and only when it is this transaction that holds the row. */
    snprintf(xid, sizeof xid, "%s", locks[0].xid);
    e[0].end_xid = xid;
    e[1].end_xid = "3";
    assert_int_equal(look(e, 2, &locks), 1);
    assert_int_equal(ledger_ended(l), 0);
    e[1].end_xid = xid;
    assert_int_equal(look(e, 2, &locks), 1);
    assert_int_equal(ledger_ended(l), 1);
    claim(e, 2);
    assert_int_equal(e[1].next_offset, 10);
    assert_int_equal(e[1].owner_epoch, 2);
    PQfinish(zombie);
}

/* A subtransaction, a row shared by two, a claim that only waits for the row as we do. */
static void test_who_holds_a_row(void **state)
{
    (void) state;
    struct ledger_entry e[] = {entry("a", 0, 10)};
    const struct ledger_lock *locks;
    PGconn *one;
    PGconn *two;

    claim(e, 1);
    one = locker("SAVEPOINT s");
    operator_ask(one, "UPDATE offsets SET end_offset = 1");
    two = operator_open();
    operator_ask(two, "SET search_path TO \"" SCHEMA "\"");
    assert_int_equal(PQsendQuery(two, "UPDATE offsets SET end_offset = 2"), 1);
    operator_ask(admin, "SELECT pg_sleep(0.1)");
    assert_int_equal(look(e, 1, &locks), 1);
    assert_int_equal(locks[0].pid, PQbackendPID(one));
    operator_ask(one, "ROLLBACK");
    PQclear(PQgetResult(two));
    PQfinish(two);

    operator_ask(one, "BEGIN");
    operator_ask(one, "SELECT 1 FROM offsets FOR SHARE");
    two = locker("SELECT 1 FROM offsets FOR SHARE");
    assert_int_equal(look(e, 1, &locks), 1);
    assert_has(locks[0].holder, " and process ");
    PQfinish(one);
    PQfinish(two);

    one = locker("SELECT 1 FROM offsets FOR KEY SHARE"); /* is in nobody's way */
    assert_int_equal(look(e, 1, &locks), 0);
    PQfinish(one);
}

static void test_the_table_is_locked(void **state)
{
    (void) state;
    struct ledger_entry e[] = {entry("a", 0, 10)};
    struct error err;

    claim(e, 1);
    PGconn *one = locker("LOCK TABLE offsets IN ACCESS EXCLUSIVE MODE");
    assert_ok(ledger_look_start(l, c, e, 1, &err), &err);
    assert_int_equal(server_drive_ledger(l, c, &err), LEDGER_FAILED);
    assert_int_equal(err.class, ERROR_AGAIN);
    assert_has(err.text, "the table is locked by process ");
    assert_has(err.text, "application 'somebody'");
    PQfinish(one);
    claim(e, 1);
}

static const char *dsn_of(const char *more)
{
    static char dsn[500];

    snprintf(dsn, sizeof dsn, "%s %s", server_dsn(), more);
    return dsn;
}

/* A session of a role holds the row; ours is that of another login. Is it ended? */
static bool ends(const char *holder, const char *own, const struct ledger_lock **out)
{
    struct ledger_entry e[] = {entry("a", 0, 10)};
    struct error err;
    char xid[12];
    PGconn *pg = PQconnectdb(dsn_of(holder));

    assert_int_equal(PQstatus(pg), CONNECTION_OK);
    operator_ask(pg, "BEGIN");
    operator_ask(pg, "UPDATE \"" SCHEMA "\".offsets SET end_offset = 1");
    struct conn_settings settings = server_settings(dsn_of(own));
    conn_free(c);
    c = server_open_with(&settings);
    assert_int_equal(look(e, 1, out), 1);
    snprintf(xid, sizeof xid, "%s", (*out)[0].xid);
    e[0].end_xid = xid;
    assert_int_equal(look(e, 1, out), 1);
    assert_true(conn_is_open(c));
    bool ended = ledger_ended(l) == 1;
    assert_int_equal(ended, (*out)[0].refused[0] == '\0');
    assert_ok(conn_run(c, "SELECT 1", &err), &err);
    PQfinish(pg);
    return ended;
}

/* Another login: pg_signal_backend is enough. SET role in force: what the login may do counts too.
 * A session that stays is named. */
static void test_sessions_of_other_roles(void **state)
{
    (void) state;
    struct ledger_entry e = entry("a", 0, 10);
    const struct ledger_lock *locks;

    claim(&e, 1);
    operator_ask(admin, "CREATE ROLE unit_owner;"
                        "CREATE ROLE unit_former LOGIN PASSWORD 'x' IN ROLE unit_owner;"
                        "CREATE ROLE unit_heir LOGIN PASSWORD 'x' IN ROLE unit_owner;"
                        "GRANT ALL ON SCHEMA \"" SCHEMA "\" TO unit_owner;"
                        "GRANT ALL ON ALL TABLES IN SCHEMA \"" SCHEMA "\" TO unit_owner");
    assert_true(ends("user=unit_heir password=x", "user=unit_heir password=x", &locks));
    assert_false(ends("user=unit_former password=x", "user=unit_heir password=x", &locks));
    assert_has(locks[0].holder, "user 'unit_former'");
    assert_has(locks[0].holder, "its state is hidden from this role");

    operator_ask(admin, "GRANT pg_signal_backend TO unit_heir");
    assert_true(ends("user=unit_former password=x", "user=unit_heir password=x", &locks));
    assert_false(ends("user=operator", "user=unit_heir password=x", &locks));
    assert_has(locks[0].holder, "user 'operator'");
    operator_ask(admin, "REVOKE pg_signal_backend FROM unit_heir");

    operator_ask(admin, "ALTER ROLE unit_heir SET role TO unit_owner");
    assert_true(ends("user=unit_heir password=x", "user=unit_heir password=x", &locks));
    assert_false(ends("user=unit_former password=x", "user=unit_heir password=x", &locks));
    operator_ask(admin, "DROP OWNED BY unit_owner");
}

/* A pooler gives the statement the session of another connection: it does nothing there. */
static void test_another_session(void **state)
{
    (void) state;
    struct ledger_entry e = entry("a", 0, 10);
    const struct ledger_lock *locks;
    struct error err;

    claim(&e, 1);
    PGconn *somebody = locker("UPDATE offsets SET end_offset = 1");
    assert_int_equal(look(&e, 1, &locks), 1);
    char xid[12];
    snprintf(xid, sizeof xid, "%s", locks[0].xid);
    e.end_xid = xid;
    assert_ok(conn_run(c, "SET pgsinkd.session TO 'of somebody else'", &err), &err);
    assert_ok(ledger_look_start(l, c, &e, 1, &err), &err);
    assert_int_equal(server_drive_ledger(l, c, &err), LEDGER_FAILED);
    assert_int_equal(err.class, ERROR_LINK);
    assert_string_equal(err.sqlstate, "SK004");
    assert_has(err.hint, "pool_mode = session");
    operator_ask(somebody, "COMMIT"); /* it was not ended */
    PQfinish(somebody);

    assert_ok(conn_open_wait(c, -1, &err), &err);
    assert_ok(conn_run(c, "RESET pgsinkd.session", &err), &err);
    assert_false(claim_with(l, c, &e, 1, false, &err));
    assert_string_equal(err.sqlstate, "SK004");
    assert_string_equal(operator_ask(admin, "SELECT owner_epoch FROM offsets"), "1");
}

static void test_gap(void **state)
{
    (void) state;
    struct ledger_entry e = entry("a", 0, 10);
    struct error err;

    claim(&e, 1);
    assert_ok(ledger_gap_start(l, c, &e, 50, "retention: the log starts at 50", &err), &err);
    assert_int_equal(server_drive_ledger(l, c, &err), LEDGER_DONE);
    assert_int_equal(e.next_offset, 50);
    assert_string_equal(operator_ask(admin, "SELECT concat_ws(' ', sink, topic, partition,"
                                            " from_offset, next_offset, reason) FROM gaps"),
                        "unit a 0 10 50 retention: the log starts at 50");

    e.next_offset = 10; /* no longer true */
    assert_ok(ledger_gap_start(l, c, &e, 60, "again", &err), &err);
    assert_int_equal(server_drive_ledger(l, c, &err), LEDGER_FAILED);
    assert_int_equal(err.class, ERROR_FENCED);
    assert_string_equal(err.sqlstate, "SK001");
    assert_has(
        err.text,
        "a-0: expected next_offset 10 under owner_epoch 1, the ledger says 50 under 1, owner 'me'");
    assert_true(conn_is_open(c));

    e.next_offset = 50; /* back: the topic was created again */
    assert_ok(ledger_gap_start(l, c, &e, 0, "the log ends at 0", &err), &err);
    assert_int_equal(server_drive_ledger(l, c, &err), LEDGER_DONE);
    assert_string_equal(operator_ask(admin, "SELECT count(*) FROM gaps"), "2");
    assert_string_equal(operator_ask(admin, "SELECT next_offset FROM offsets"), "0");
}

static void test_ends(void **state)
{
    (void) state;
    struct ledger_entry e[] = {entry("a", 0, 10), entry("a", 1, 10), entry("a", 2, 10)};
    struct error err;

    claim(e, 3);
    for (int i = 0; i < 3; i++) {
        e[i].first_offset = 30;
    }
    e[1].owner_epoch = 99; /* not ours any more */
    operator_ask(admin, "BEGIN");
    operator_ask(admin, "SELECT 1 FROM offsets WHERE partition = 2 FOR UPDATE");
    assert_ok(ledger_ends_start(l, c, e, 3, &err), &err);
    assert_int_equal(server_drive_ledger(l, c, &err), LEDGER_DONE);
    operator_ask(admin, "COMMIT");
    assert_string_equal(
        operator_ask(admin, "SELECT string_agg(coalesce(end_offset::text, '-') || ' '"
                            " || coalesce(lag::text, '-'), ', ' ORDER BY partition) FROM lag"),
        "30 20, - -, - -");
    assert_string_equal(operator_ask(admin, "SELECT concat_ws(' ', sink, partitions, owners, lag,"
                                            " partitions_behind, gaps) FROM status"),
                        "unit 3 1 20 3 0"); /* also those whose end is not known */
}

static bool reported(void)
{
    struct error err;
    struct conn_news news;
    bool any = false;

    for (int i = 0; i < 3 && !any; i++) {
        struct pollfd p = {.fd = conn_fd(c), .events = POLLIN};
        poll(&p, 1, 50);
        assert_ok(conn_idle(c, &news, &err), &err);
        any = news.ledger;
    }
    return any;
}

static void test_changes_by_hand_are_reported(void **state)
{
    (void) state;
    struct ledger_entry e[] = {entry("a", 0, 10), entry("a", 1, 10)};
    struct error err;

    claim(e, 2);
    claim(e, 2);
    operator_ask(admin,
                 "SELECT advance('unit','{a}','{0}','{2}','{10}','{11}','{3}','{1}','{20}')");
    e[0].owner_epoch = 2;
    e[0].next_offset = 11;
    assert_ok(ledger_gap_start(l, c, &e[0], 12, "r", &err), &err);
    assert_int_equal(server_drive_ledger(l, c, &err), LEDGER_DONE);
    assert_ok(ledger_ends_start(l, c, e, 2, &err), &err);
    assert_int_equal(server_drive_ledger(l, c, &err), LEDGER_DONE);
    assert_false(reported()); /* our own doing */

    operator_ask(admin, "UPDATE offsets SET end_offset = 4");
    assert_false(reported());
    operator_ask(admin, "UPDATE offsets SET next_offset = 3 WHERE partition = 0");
    assert_true(reported());
    operator_ask(admin, "UPDATE offsets SET owner_epoch = owner_epoch + 1");
    assert_true(reported());
    operator_ask(admin, "DELETE FROM offsets WHERE partition = 0");
    assert_true(reported());
    assert_string_equal(operator_ask(admin, "SELECT seek('unit', 'a', 1, 77)"), "10");
    assert_true(reported());
    assert_string_equal(
        operator_ask(admin, "SELECT concat_ws(' ', next_offset, owner_epoch, owner) FROM offsets"),
        "77 4 me");
    operator_ask(admin, "TRUNCATE offsets");
    assert_true(reported());

    PGresult *res = PQexec(admin, "SELECT seek('unit', 'a', 1, 77)");
    assert_string_equal(PQresultErrorField(res, PG_DIAG_SQLSTATE), "P0002");
    PQclear(res);
}

static void test_no_privilege(void **state)
{
    (void) state;
    struct error err;
    struct ledger_entry e = entry("a", 0, 10);

    operator_ask(admin, "CREATE ROLE unit_poor");
    assert_ok(conn_run(c, "SET ROLE unit_poor", &err), &err);
    assert_false(claim_with(l, c, &e, 1, false, &err));
    assert_int_equal(err.class, ERROR_SETUP);
    assert_string_equal(err.sqlstate, "42501");
    assert_has(err.hint, "init --print");
}

static void test_lost_connection(void **state)
{
    (void) state;
    struct error err;
    struct ledger_entry e = entry("a", 0, 10);
    char sql[100];

    operator_ask(admin, "BEGIN");
    operator_ask(admin, "SELECT claim('unit', 'other', '{a}', '{0}', '{40}', false)");
    assert_ok(ledger_claim_start(l, c, &e, 1, false, &err), &err);
    assert_int_equal(ledger_step(l, &err), LEDGER_WAIT);
    snprintf(sql, sizeof sql, "SELECT pg_terminate_backend(%d)", conn_backend_pid(c));
    operator_ask(admin, sql);
    assert_int_equal(server_drive_ledger(l, c, &err), LEDGER_FAILED);
    operator_ask(admin, "ROLLBACK");
    assert_int_equal(err.class, ERROR_LINK);
    assert_string_equal(err.sqlstate, "57P01");
    assert_false(conn_is_open(c));
    assert_ok(conn_open_wait(c, -1, &err), &err);
    claim(&e, 1);
}

/* Not a benchmark, but nobody shall make it quadratic unseen. */
static void test_ten_thousand_partitions(void **state)
{
    (void) state;
    enum { N = 10000 };
    struct ledger_entry *e = mem_array(N, sizeof *e);

    for (int i = 0; i < N; i++) {
        e[i] = entry(i % 2 ? "orders" : "payments", i / 2, i);
    }
    usec_t begin = clock_mono();
    claim(e, N);
    usec_t fresh = clock_mono() - begin;
    begin = clock_mono();
    claim(e, N);
    usec_t known = clock_mono() - begin;
    print_message("claim of %d: new %llu ms, known %llu ms\n", N, (unsigned long long) fresh / 1000,
                  (unsigned long long) known / 1000);
    for (int i = 0; i < N; i++) {
        assert_int_equal(e[i].next_offset, i);
        assert_int_equal(e[i].owner_epoch, 2);
    }
    assert_true(fresh < 10 * USEC_PER_SEC && known < 10 * USEC_PER_SEC);
    free(e);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_claim, setup, teardown),
        cmocka_unit_test_setup_teardown(test_claim_only_mine, setup, teardown),
        cmocka_unit_test_setup_teardown(test_race_for_a_new_partition, setup, teardown),
        cmocka_unit_test_setup_teardown(test_locked_row_and_its_holder, setup, teardown),
        cmocka_unit_test_setup_teardown(test_who_holds_a_row, setup, teardown),
        cmocka_unit_test_setup_teardown(test_the_table_is_locked, setup, teardown),
        cmocka_unit_test_setup_teardown(test_sessions_of_other_roles, setup, teardown),
        cmocka_unit_test_setup_teardown(test_another_session, setup, teardown),
        cmocka_unit_test_setup_teardown(test_gap, setup, teardown),
        cmocka_unit_test_setup_teardown(test_ends, setup, teardown),
        cmocka_unit_test_setup_teardown(test_changes_by_hand_are_reported, setup, teardown),
        cmocka_unit_test_setup_teardown(test_no_privilege, setup, teardown),
        cmocka_unit_test_setup_teardown(test_lost_connection, setup, teardown),
        cmocka_unit_test_setup_teardown(test_ten_thousand_partitions, setup, teardown),
    };

    admin = operator_open();
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    PQfinish(admin);
    return failed;
}
