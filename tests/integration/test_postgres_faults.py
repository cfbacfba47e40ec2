"""PostgreSQL restarts, ends sessions, becomes a standby, is replaced; the network to it fails."""

import contextlib

import psycopg
import pytest

from kit import ledger, wait
from kit.proxy import DOWN, UP


def state_changes(d):
    """Lines that an operator sees: warnings and worse."""
    return d.lines("warning") + d.lines("error")


@pytest.mark.sanitize
@pytest.mark.system
def test_postgresql_restarts_immediately_five_times(bench):
    log = bench.topic(partitions=8)
    bench.plain_table()
    log.fill(100_000)
    d = bench.start(bench.config(log, batch={"max_rows": 1000}))
    for n in range(5):
        bench.wait_rows(n * 10_000 + 1)
        bench.postgres.restart("immediate")
    bench.wait_stored(log)
    assert d.running
    bench.check(log)


@pytest.mark.sanitize
def test_every_worker_backend_is_terminated_in_a_loop(bench):
    log = bench.topic(partitions=8)
    bench.plain_table()
    log.fill(200_000)
    d = bench.start(bench.config(log, batch={"max_rows": 500}, workers=4))
    ended = 0

    def terminate():
        nonlocal ended
        if ended < 60:
            ended += bench.postgres.terminate_backends()
        return sum(bench.next_offsets(log).values()) == 200_000

    wait.until(terminate, "the drain in spite of it", timeout=90, interval=0.1)
    assert ended >= 8, "the drain was over too soon to prove anything"
    assert d.running
    bench.check(log)


def test_queries_are_cancelled_in_a_loop(bench):
    """pg_cancel_backend ends a statement, not the session: the batch is tried again."""
    log = bench.topic(partitions=4)
    bench.plain_table()
    log.fill(50_000)
    d = bench.start(bench.config(log, batch={"max_rows": 1000}))
    cancelled = 0

    def cancel():
        nonlocal cancelled
        if cancelled < 60:
            cancelled += bench.value(
                "SELECT count(pg_cancel_backend(pid)) FROM pg_stat_activity"
                " WHERE application_name LIKE 'pgsinkd %' AND state = 'active'"
            )
        return sum(bench.next_offsets(log).values()) == 50_000

    wait.until(cancel, "the drain in spite of it", timeout=90, interval=0.05)
    assert d.running
    bench.check(log)


def test_postgresql_is_away_at_start(bench):
    log = bench.topic(partitions=2)
    bench.plain_table()
    log.fill(1000)
    bench.postgres.stop()
    try:
        d = bench.start(bench.config(log), ready=False)
        wait.stays(lambda: d.running and not d.notify.values("READY"), "running and not ready", 2)
    finally:
        bench.postgres.start()
    d.wait_ready()
    bench.wait_stored(log)
    bench.check(log)


def test_an_outage_gives_few_lines(bench):
    """One line when it goes, one when it is back: no flood, whatever the number of workers and tries."""
    log = bench.topic(partitions=4)
    bench.plain_table()
    log.fill(1000)
    d = bench.start(bench.config(log, workers=4))
    bench.wait_stored(log)
    before = len(d.log().splitlines())
    bench.postgres.stop("immediate")
    try:
        log.fill(1000)
        wait.stays(lambda: d.running, "running", 6)
    finally:
        bench.postgres.start()
    bench.wait_stored(log)
    said = d.log().splitlines()[before:]
    assert 2 <= len(said) <= 20, said
    assert state_changes(d), "an outage is worth a warning"
    bench.check(log)


def test_the_group_stays_calm_while_postgresql_is_away(bench):
    """No rebalance because of PostgreSQL: the epochs move only as often as connections are made anew."""
    log = bench.topic(partitions=4)
    bench.plain_table()
    config = bench.config(log)
    bench.start(config)
    bench.start(config)
    log.fill(1000)
    bench.wait_stored(log)
    wait.until(lambda: len(bench.sql("SELECT DISTINCT owner FROM pgsinkd.offsets")) == 2, "both to own partitions")
    owners = sorted(bench.sql("SELECT partition, owner FROM pgsinkd.offsets"))
    with bench.postgres.frozen():
        group = f"pgsinkd-{bench.sink}"
        wait.stays(lambda: bench.kafka.group(group)[0] == "Stable", "a stable group", 5, interval=0.5)
        log.fill(1000)
    bench.wait_stored(log)
    assert sorted(bench.sql("SELECT partition, owner FROM pgsinkd.offsets")) == owners
    bench.check(log)


@pytest.mark.parametrize("how", ["database", "server"])
def test_postgresql_becomes_read_only_for_a_while(bench, how):
    log = bench.topic(partitions=2)
    bench.plain_table()
    log.fill(1000)
    d = bench.start(bench.config(log))
    bench.wait_stored(log)
    if how == "server":
        bench.postgres.set_default("default_transaction_read_only", "on")
    else:
        bench.sql(f"ALTER DATABASE {bench.database} SET default_transaction_read_only = on")
        bench.postgres.terminate_backends()
    try:
        log.fill(1000)
        wait.until(lambda: state_changes(d), "a warning")
        wait.stays(lambda: d.running and not d.lines("error"), "waiting", 1)
        assert bench.value("SELECT count(*) FROM events") == 1000
    finally:
        if how == "server":
            bench.postgres.set_default("default_transaction_read_only", None)
        else:
            bench.sql("SET default_transaction_read_only = off")
            bench.sql(f"ALTER DATABASE {bench.database} RESET default_transaction_read_only")
    bench.wait_stored(log)
    assert d.running
    bench.check(log)


def test_a_standby_is_waited_for_until_it_is_promoted(bench):
    """A DSN that leads to a standby: nothing can be written there until it takes over."""
    log = bench.topic(partitions=2)
    bench.plain_table()
    log.fill(1000)
    bench.drain(bench.config(log))
    standby = bench.postgres.standby()
    try:

        def followed():
            with contextlib.suppress(psycopg.Error), standby.connect(bench.database) as db:
                return db.execute("SELECT count(*) FROM events").fetchone()[0] == 1000

        wait.until(followed, "the standby to have all")
        log.fill(1000)
        dsn = standby.dsn(bench.database)
        d = bench.start(bench.config(log, postgres={"dsn": dsn}), ready=False)
        wait.stays(lambda: d.running and not d.notify.values("READY"), "running and not ready", 2)
        standby.promote()
        d.wait_ready()
        with standby.connect(bench.database) as db:
            wait.until(lambda: db.execute("SELECT count(*) FROM events").fetchone()[0] >= 2000, "the rest")
            d.terminate()
            ledger.check(db, bench.sink, log, "events")
    finally:
        standby.destroy()


@pytest.mark.quick
@pytest.mark.sanitize
def test_failover_to_a_standby_that_lost_the_last_commits(bench):
    """Asynchronous replication: the new primary lacks rows and offsets, together. They come again."""
    log = bench.topic(partitions=4)
    bench.plain_table()
    standby = bench.postgres.standby()
    try:
        proxy, dsn = bench.postgres_proxy()
        log.fill(2000)
        d = bench.start(bench.config(log, postgres={"dsn": dsn}))
        bench.wait_stored(log)

        def followed():
            with contextlib.suppress(psycopg.Error), standby.connect(bench.database) as db:
                return db.execute("SELECT sum(next_offset) FROM pgsinkd.offsets").fetchone()[0] == 2000

        wait.until(followed, "the standby to have the first part")
        with standby.connect() as db:  # from here on the standby hears nothing
            db.execute("ALTER SYSTEM SET primary_conninfo = ''")
            db.execute("SELECT pg_reload_conf()")
            wait.until(
                lambda: not db.execute("SELECT count(*) FROM pg_stat_wal_receiver").fetchone()[0],
                "the standby to be cut off",
            )
        log.fill(2000)
        bench.wait_stored(log)  # stored on the old primary only
        proxy.refuse()
        standby.promote()
        proxy.target = ("127.0.0.1", standby.port)
        proxy.heal()
        log.fill(2000)
        with standby.connect(bench.database) as db:

            def caught_up():
                return db.execute("SELECT sum(next_offset) FROM pgsinkd.offsets").fetchone()[0] == 6000

            wait.until(caught_up, "the lost part to come again, and the new one", timeout=60)
            d.terminate()
            ledger.check(db, bench.sink, log, "events")
    finally:
        standby.destroy()


# The network


@pytest.mark.quick
@pytest.mark.sanitize
@pytest.mark.system
@pytest.mark.parametrize(("path", "tag"), [("copy", b"COPY "), ("unnest", b"INSERT 0 ")])
def test_the_answer_to_commit_is_lost(bench, path, tag):
    """The transaction is stored, the daemon cannot know: it must ask the ledger, not guess."""
    log = bench.topic(partitions=4)
    bench.plain_table()
    proxy, dsn = bench.postgres_proxy()
    batch = {"max_rows": 500, "write_path": path}
    d = bench.start(bench.config(log, batch=batch, postgres={"dsn": dsn}))
    log.fill(100)
    bench.wait_stored(log)
    for n in range(10):
        # The command tag of the last statement is the first the client hears of the commit.
        proxy.cut_at(DOWN, tag, skip=n % 3)
        log.fill(4000)
        wait.until(proxy.struck.is_set, "the answer to pass by")
        bench.wait_stored(log)
    assert d.running
    bench.check(log)


@pytest.mark.parametrize("nbytes", [1, 5, 100, 1000, 20_000, 200_000])
def test_the_connection_is_cut_anywhere(bench, nbytes):
    """After so many bytes to the server: in the startup, in the claim, in the middle of rows."""
    log = bench.topic(partitions=2)
    bench.plain_table()
    proxy, dsn = bench.postgres_proxy()
    d = bench.start(bench.config(log, batch={"max_rows": 500}, postgres={"dsn": dsn}))
    for factor in (1, 2, 3):
        proxy.cut_after(UP, nbytes * factor)
        wait.until(lambda: log.fill(3000) and proxy.struck.is_set(), "the cut")
        bench.wait_stored(log)
    assert d.running
    bench.check(log)


@pytest.mark.parametrize("how", ["cut", "reset"])
def test_connections_end_again_and_again(bench, how):
    log = bench.topic(partitions=4)
    bench.plain_table()
    proxy, dsn = bench.postgres_proxy()
    log.fill(50_000)
    d = bench.start(bench.config(log, batch={"max_rows": 500}, postgres={"dsn": dsn}))
    bench.wait_rows(1)
    for n in range(15):
        before = bench.rows()
        getattr(proxy, how)()
        if n < 8:
            bench.wait_rows(min(before + 500, 50_000))
    bench.wait_stored(log)
    assert d.running
    bench.check(log)


@pytest.mark.sanitize
@pytest.mark.parametrize("server_knows", [True, False])
def test_a_black_hole_swallows_everything(bench, server_knows):
    """Neither FIN nor RST: only the daemon's own deadline ends the wait.

    When the server does not hear of it either, its old backends keep their open transactions and with
    them the ledger's rows, until the daemon that claims again ends them.
    """
    log = bench.topic(partitions=4)
    bench.plain_table()
    proxy, dsn = bench.postgres_proxy()
    postgres = {"dsn": dsn, "timeout": "2s", "lock_timeout": "500ms"}
    d = bench.start(bench.config(log, batch={"max_rows": 500}, postgres=postgres))
    log.fill(30_000)
    bench.wait_rows(1)
    proxy.black_hole()
    log.fill(10_000)
    # It gives up the old connections and tries new ones, which vanish too.
    wait.until(lambda: state_changes(d), "the daemon to notice")
    proxy.heal() if server_knows else proxy.reopen()
    bench.wait_stored(log)
    assert d.running
    bench.check(log)


def test_a_slow_network(bench):
    log = bench.topic(partitions=4)
    bench.plain_table()
    proxy, dsn = bench.postgres_proxy()
    proxy.delay = 0.02
    log.fill(20_000)
    bench.drain(bench.config(log, postgres={"dsn": dsn}))
    bench.check(log)


def test_a_lock_on_the_table_is_waited_for(bench):
    """LOCK TABLE by an operator: the daemon waits, and does not end the operator's session."""
    log = bench.topic(partitions=2)
    bench.plain_table()
    log.fill(100)
    d = bench.start(bench.config(log, postgres={"lock_timeout": "300ms"}))
    bench.wait_stored(log)
    with bench.postgres.connect(bench.database) as operator, operator.transaction():
        operator.execute("LOCK TABLE events IN ACCESS EXCLUSIVE MODE")
        log.fill(100)
        wait.stays(lambda: d.running, "running", 2)
        assert operator.execute("SELECT count(*) FROM events").fetchone()[0] == 100
    bench.wait_stored(log)
    bench.check(log)


@pytest.mark.parametrize("setting", ["off", "local"])
def test_synchronous_commit_is_a_setting(bench, setting):
    log = bench.topic(partitions=2)
    bench.plain_table()
    log.fill(10_000)
    bench.start(bench.config(log, batch={"max_rows": 500}, postgres={"synchronous_commit": setting}))
    bench.wait_rows(1000)
    bench.postgres.restart("immediate")
    bench.wait_stored(log)
    bench.check(log)


def test_the_table_vanishes_and_comes_back(bench):
    """42P01 at run time: that is the operator's doing, so it is said once, and nothing is lost."""
    log = bench.topic(partitions=2)
    bench.plain_table()
    log.fill(100)
    d = bench.start(bench.config(log)).allow("events")
    bench.wait_stored(log)
    bench.sql("ALTER TABLE events RENAME TO elsewhere")
    log.fill(100)
    d.wait_log("42P01|does not exist")
    wait.stays(lambda: True, "a while", 1)
    assert len(d.lines("error")) <= 2
    if d.running:
        d.close()
    bench.sql("ALTER TABLE elsewhere RENAME TO events")
    bench.drain(bench.config(log))
    bench.check(log)


def test_a_batch_that_takes_longer_than_the_timeout_is_cut(bench):
    """After an outage a batch may hold more rows than its triggers get done within postgres.timeout."""
    log = bench.topic(partitions=1)
    bench.plain_table()
    bench.sql("CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS"
              " $$ BEGIN PERFORM pg_sleep(0.004); RETURN NULL; END $$")  # fmt: skip
    bench.sql("CREATE TRIGGER slow AFTER INSERT ON events FOR EACH ROW EXECUTE FUNCTION slow()")
    log.fill(1000)
    d = bench.start(bench.config(log, postgres={"timeout": "1s", "lock_timeout": "500ms"}), ready=False)
    bench.wait_stored(log, timeout=60)
    assert d.running
    bench.check(log)
