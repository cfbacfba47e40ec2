"""An operator moves next_offset by SQL while the daemon runs: it takes effect at once."""

import time

import pytest

from kit import ledger, standing, wait


def times(bench):
    """{offset: how often it is a row} of partition 0."""
    return dict(bench.sql("SELECT _offset, count(*) FROM events WHERE _partition = 0 GROUP BY 1"))


@pytest.mark.sanitize
@pytest.mark.system
def test_backwards_while_idle(bench):
    """Rows come again because the operator wants them: from there on, once, without new records."""
    log = bench.topic(partitions=2)
    bench.plain_table()
    log.fill(200)
    d = bench.start(bench.config(log))
    bench.wait_stored(log)
    bench.move(log, 0, 60)
    wait.until(lambda: bench.rows() == 240, "40 rows to come again", timeout=10)
    wait.stays(lambda: bench.rows() == 240, "no more than that", 0.5)
    assert times(bench) == {o: 2 if o >= 60 else 1 for o in range(100)}
    assert bench.next_offset(log) == 100
    bench.sql("DELETE FROM events a USING events b WHERE a._partition = b._partition AND a._offset = b._offset"
              " AND a.seq < b.seq")  # fmt: skip
    log.fill(200)
    bench.wait_stored(log)
    assert d.running
    bench.check(log)


@pytest.mark.parametrize("strategy", ["roundrobin", "cooperative-sticky"])
def test_a_deleted_line_starts_again_at_once(bench, strategy):
    """As kafka.start says, here from the beginning; the other partition is left alone."""
    log = bench.topic(partitions=2)
    bench.plain_table()
    log.fill(200)
    d = bench.start(bench.config(log, properties={"partition.assignment.strategy": strategy}))
    bench.wait_stored(log)
    with bench.db.transaction():
        bench.sql("DELETE FROM events WHERE _partition = 0")
        bench.sql("DELETE FROM pgsinkd.offsets WHERE sink = %s AND partition = 0", bench.sink)
    bench.wait_stored(log, timeout=10)
    log.fill(200)
    bench.wait_stored(log)
    assert d.running
    bench.check(log)


@pytest.mark.sanitize
def test_forwards_while_idle(bench):
    """What lies between is not wanted: it never comes."""
    log = bench.topic(partitions=1)
    bench.plain_table()
    log.fill(100)
    d = bench.start(bench.config(log))
    bench.wait_stored(log)
    d.freeze()
    log.fill(100)
    # Frozen, so that it cannot have stored any of these before the ledger moves.
    bench.move(log, 0, 150)
    d.thaw()
    bench.wait_stored(log)
    bench.check(log, without={(0, o) for o in range(100, 150)})


def test_to_delete_and_load_again_while_idle(bench):
    """The use it is made for: empty the table, start from the beginning, in one transaction."""
    log = bench.topic(partitions=3)
    bench.plain_table()
    log.fill(3000)
    bench.start(bench.config(log))
    bench.wait_stored(log)
    with bench.db.transaction():
        bench.sql("UPDATE pgsinkd.offsets SET next_offset = 0 WHERE sink = %s", bench.sink)
        bench.sql("TRUNCATE events")
    bench.wait_rows(3000, timeout=10)
    bench.wait_stored(log)
    bench.check(log)


@pytest.mark.sanitize
def test_to_delete_and_load_again_while_busy(bench):
    log = bench.topic(partitions=4)
    bench.plain_table()
    log.fill(60_000)
    d = bench.start(bench.config(log, batch={"max_rows": 500}))
    for n in range(5):
        bench.wait_rows(3000 * n + 100)
        with bench.db.transaction():
            # The ledger first: its row locks keep the daemon's transactions out until this one ends.
            bench.sql("SELECT FROM pgsinkd.offsets WHERE sink = %s ORDER BY topic, partition FOR UPDATE", bench.sink)
            bench.sql("UPDATE pgsinkd.offsets SET next_offset = 0 WHERE sink = %s", bench.sink)
            bench.sql("DELETE FROM events")
    bench.wait_stored(log)
    assert d.running
    bench.check(log)


@pytest.mark.quick
def test_one_partition_backwards_while_busy(bench):
    """The others of the same batch lose nothing and gain nothing."""
    log = bench.topic(partitions=4)
    bench.plain_table()
    log.fill(60_000)
    bench.start(bench.config(log, batch={"max_rows": 500}))
    for n in range(10):
        bench.wait_rows(2000 * n + 100)
        with bench.db.transaction():
            at = bench.value("SELECT next_offset FROM pgsinkd.offsets WHERE sink = %s AND partition = 1 FOR UPDATE",
                             bench.sink)  # fmt: skip
            back = max(0, at - 700)
            bench.move(log, 1, back)
            bench.sql("DELETE FROM events WHERE _partition = 1 AND _offset >= %s", back)
    bench.wait_stored(log)
    bench.check(log)


def test_forwards_while_busy(bench):
    log = bench.topic(partitions=2)
    bench.plain_table()
    log.fill(40_000)
    bench.start(bench.config(log, batch={"max_rows": 500}))
    bench.wait_rows(1000)
    with bench.db.transaction():
        at = bench.value("SELECT next_offset FROM pgsinkd.offsets WHERE sink = %s AND partition = 0 FOR UPDATE",
                         bench.sink)  # fmt: skip
        to = min(at + 5000, 20_000)
        bench.move(log, 0, to)
    bench.wait_stored(log)
    bench.check(log, without={(0, o) for o in range(at, to)})


def test_moved_while_stopped(bench):
    log = bench.topic(partitions=1)
    bench.plain_table()
    log.fill(100)
    bench.drain(bench.config(log))
    bench.move(log, 0, 70)
    bench.sql("DELETE FROM events WHERE _offset >= 70")
    bench.drain(bench.config(log))
    bench.check(log)


def test_moved_between_two_daemons(bench):
    """Whoever owns the partition obeys; the other one does not care."""
    log = bench.topic(partitions=2)
    bench.plain_table()
    config = bench.config(log)
    bench.start(config)
    bench.start(config)
    log.fill(2000)
    bench.wait_stored(log)
    wait.until(lambda: len(bench.sql("SELECT DISTINCT owner FROM pgsinkd.offsets")) == 2, "both to own partitions")
    for p in (0, 1):
        with bench.db.transaction():
            bench.move(log, p, 500)
            bench.sql("DELETE FROM events WHERE _partition = %s AND _offset >= 500", p)
    bench.wait_rows(2000, timeout=10)
    bench.wait_stored(log)
    bench.check(log)


def test_lag_is_one_select(bench):
    log = bench.topic(partitions=2)
    bench.plain_table()
    log.fill(200)
    bench.start(bench.config(log))
    bench.wait_stored(log)
    last = max(log.records[0])
    row = bench.sql("SELECT owner, claimed_at, updated_at, last_timestamp FROM pgsinkd.offsets WHERE partition = 0")[0]
    assert row[0] and row[1] and row[2]
    assert row[3] == log.records[0][last].time

    def known():
        return bench.sql("SELECT DISTINCT end_offset - next_offset FROM pgsinkd.offsets") == [(0,)]

    wait.until(known, "the known end to be in the ledger", timeout=40)
    bench.check(log)


def test_a_fenced_transaction_has_its_own_sqlstate(bench):
    """The function's contract, seen from SQL: a wrong epoch or offset raises SK001."""
    log = bench.topic(partitions=1)
    bench.plain_table()
    log.fill(10)
    bench.drain(bench.config(log))
    source = bench.value(
        "SELECT string_agg(prosrc, '') FROM pg_proc WHERE pronamespace = 'pgsinkd'::regnamespace"
    )
    assert "SK001" in source
    bench.check(log, contents=ledger.json_fields("id"))


@pytest.mark.parametrize("strategy", ["roundrobin", "cooperative-sticky"])
def test_seek_to_where_it_stands_means_try_again(bench, strategy):
    """The cause is repaired, and nothing else tells a stopped partition so."""
    log = bench.topic(partitions=2)
    bench.plain_table()
    bench.sql("ALTER TABLE events ADD CHECK (id <> 13)")
    log.fill(20)
    refused = log.send_json(partition=0, id=13, note="refused")
    log.fill(20)
    d = bench.start(bench.config(log, properties={"partition.assignment.strategy": strategy}))
    d.allow("23514")
    bench.wait_stored(log, ends={0: refused.offset, 1: 20})
    wait.until(lambda: d.lines("error"), "the error")
    seek = "SELECT pgsinkd.seek(%s, %s, 0, %s)"
    assert bench.value(seek, bench.sink, log.topic, refused.offset) == refused.offset
    wait.until(lambda: len(d.lines("error")) == 2, "the same error again")
    bench.sql("ALTER TABLE events DROP CONSTRAINT events_id_check")
    bench.value(seek, bench.sink, log.topic, refused.offset)
    bench.wait_stored(log)
    assert d.running
    bench.check(log)


def test_seek_to_where_it_stands_loses_and_doubles_nothing(bench):
    log = bench.topic(partitions=2)
    bench.plain_table()
    log.fill(20_000)
    d = bench.start(bench.config(log, batch={"max_rows": 200}))
    bench.wait_rows(1)
    for _ in range(20):
        with bench.db.transaction():
            at = bench.value("SELECT next_offset FROM pgsinkd.offsets WHERE partition = 0 FOR UPDATE")
            bench.value("SELECT pgsinkd.seek(%s, %s, 0, %s)", bench.sink, log.topic, at)
    bench.wait_stored(log)
    assert d.running
    bench.check(log)


# Notifications, which everybody may send


def notify(bench, payload, seconds):
    """Sends it again and again, each time in a transaction of its own; how often."""
    sent = 0
    end = time.monotonic() + seconds
    with bench.postgres.connect(bench.database) as anybody:
        while time.monotonic() < end:
            anybody.execute("SELECT pg_notify('pgsinkd', %s)", [payload])
            sent += 1
    return sent


def test_notifications_for_other_sinks(bench):
    log = bench.topic(partitions=2)
    bench.plain_table()
    bench.start(bench.config(log))
    log.fill(100)
    bench.wait_stored(log)
    before = bench.owners(log)
    for payload in ("other", f"{bench.sink}x", f"replay:{bench.sink}", "replay:other"):
        notify(bench, payload, 0.1)
    log.fill(100)
    bench.wait_stored(log)
    assert bench.owners(log) == before
    bench.check(log)


def test_a_flood_of_notifications(bench):
    """Each claim raises the epoch; at most ten a second are made because of notifications, and records go on."""
    log = bench.topic(partitions=2)
    bench.plain_table()
    d = bench.start(bench.config(log))
    log.fill(100)
    bench.wait_stored(log)
    before = bench.owners(log)
    log.fill(1000)
    assert notify(bench, bench.sink, 2) > 200
    bench.wait_stored(log)
    claims = {p: epoch - before[p] for p, epoch in bench.owners(log).items()}
    assert all(5 <= n <= 25 for n in claims.values()), claims
    bench.sql("DELETE FROM events WHERE _partition = 0")
    bench.move(log, 0, 0)  # an operator's change is still noticed
    wait.until(lambda: bench.rows() == 1100, "the rows again", timeout=10)
    assert d.running
    bench.check(log)


def test_a_state_that_comes_after_the_move_does_not_count(bench):
    """The daemon writes why a partition stands a moment after it has stood; a row that was moved meanwhile is not meant."""
    log = bench.topic(partitions=1)
    bench.plain_table()
    log.fill(100)
    bench.drain(bench.config(log))

    def stand(next_offset):
        bench.sql(
            "SELECT pgsinkd.stand(sink, ARRAY[topic], ARRAY[partition], ARRAY[owner_epoch], ARRAY[%s::bigint],"
            " ARRAY['stopped'], ARRAY['no'], ARRAY['23514'], ARRAY[''], ARRAY[NULL::bigint])"
            " FROM pgsinkd.offsets WHERE sink = %s",
            next_offset, bench.sink,
        )  # fmt: skip
        return [s.next_offset for s in standing.standing(bench)]

    assert stand(99) == []
    assert stand(100) == [100]
    standing.resume(bench)
    log.fill(100)
    bench.drain(bench.config(log))
    bench.check(log)
