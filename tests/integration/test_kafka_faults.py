"""Kafka restarts or is away; transactions, compaction, retention; topics that are made anew."""

import pytest

from kit import wait


@pytest.mark.sanitize
@pytest.mark.system
def test_the_broker_restarts_during_a_drain(bench):
    log = bench.topic(partitions=8)
    bench.plain_table()
    log.fill(100_000)
    d = bench.start(bench.config(log, batch={"max_rows": 1000}))
    bench.wait_rows(1)
    bench.kafka.kill()
    bench.kafka.start()
    log.fill(10_000)
    bench.wait_stored(log)
    bench.kafka.stop()
    bench.kafka.start()
    log.fill(10_000)
    bench.wait_stored(log)
    assert d.running
    bench.check(log)


def test_the_broker_is_away_at_start(bench):
    log = bench.topic(partitions=2)
    bench.plain_table()
    log.fill(1000)
    bench.kafka.stop()
    d = bench.start(bench.config(log), ready=False)
    wait.stays(lambda: d.running and not d.notify.values("READY"), "running and not ready", 3)
    assert len(d.log().splitlines()) < 15, d.log()
    bench.kafka.start()
    d.wait_ready()
    bench.wait_stored(log)
    bench.check(log)


@pytest.mark.parametrize("how", ["stop", "kill"])
def test_the_broker_is_away_for_longer_than_a_session(bench, how):
    """The partitions are lost meanwhile; nobody else has them, and the same daemon gets them again."""
    log = bench.topic(partitions=4)
    bench.plain_table()
    log.fill(4000)
    d = bench.start(bench.config(log, properties={"session.timeout.ms": 1500, "heartbeat.interval.ms": 200}))
    bench.wait_stored(log)
    getattr(bench.kafka, how)()
    wait.stays(lambda: d.running, "running", 2.5)
    bench.kafka.start()
    log.fill(4000)
    bench.wait_stored(log)
    assert d.running
    bench.check(log)


def test_an_outage_of_kafka_gives_few_lines(bench):
    log = bench.topic(partitions=2)
    bench.plain_table()
    log.fill(100)
    d = bench.start(bench.config(log))
    bench.wait_stored(log)
    before = len(d.log().splitlines())
    bench.kafka.stop()
    wait.stays(lambda: d.running, "running", 5)
    bench.kafka.start()
    log.fill(100)
    bench.wait_stored(log)
    said = d.log().splitlines()[before:]
    assert 1 <= len(said) <= 15, said
    bench.check(log)


def test_the_network_to_kafka_fails(bench):
    log = bench.topic(partitions=4)
    bench.plain_table()
    log.fill(30_000)
    d = bench.start(bench.config(log, kafka={"brokers": bench.kafka.proxied}, batch={"max_rows": 500}))
    bench.wait_rows(1)
    for what in (bench.kafka.proxy.cut, bench.kafka.proxy.reset, bench.kafka.proxy.refuse):
        what()
        bench.kafka.proxy.heal()
        log.fill(5000)
        bench.wait_stored(log)
    assert d.running
    bench.check(log)


def test_a_slow_network_to_kafka(bench):
    log = bench.topic(partitions=4)
    bench.plain_table()
    log.fill(20_000)
    bench.kafka.proxy.delay = 0.05
    bench.drain(bench.config(log, kafka={"brokers": bench.kafka.proxied}))
    bench.check(log)


@pytest.mark.quick
@pytest.mark.sanitize
@pytest.mark.system
def test_aborted_transactions_never_reach_the_table(bench):
    log = bench.topic(partitions=3)
    bench.plain_table()
    tx = bench.transactions(log)
    bench.start(bench.config(log))
    for n in range(24):
        tx.begin()
        tx.fill(50)
        tx.abort() if n % 3 == 1 else tx.commit()
    bench.wait_stored(log)
    bench.check(log)


def test_an_open_transaction_holds_back_what_follows(bench):
    log = bench.topic(partitions=1)
    bench.plain_table()
    tx = bench.transactions(log)
    log.fill(10)
    tx.begin()
    tx.fill(10)
    log.fill(10)
    bench.start(bench.config(log))
    bench.wait_rows(10)
    wait.stays(lambda: bench.rows() == 10, "waiting for the transaction", 1)
    tx.commit()
    bench.wait_rows(30)
    bench.check(log)


def test_until_end_ends_behind_transaction_markers(bench):
    """The last offset of each partition is a marker or an aborted record, which nobody will ever see."""
    log = bench.topic(partitions=2)
    bench.plain_table()
    tx = bench.transactions(log)
    tx.begin()
    tx.fill(100)
    tx.commit()
    tx.begin()
    tx.fill(10)
    tx.abort()
    bench.drain(bench.config(log), timeout=30)
    bench.check(log)
    bench.drain(bench.config(log), timeout=30)
    bench.check(log)


def test_until_end_ends_before_an_open_transaction(bench):
    log = bench.topic(partitions=1)
    bench.plain_table()
    tx = bench.transactions(log)
    log.fill(10)
    tx.begin()
    tx.fill(10)
    bench.drain(bench.config(log), timeout=30)
    assert bench.rows() == 10
    tx.commit()
    bench.drain(bench.config(log), timeout=30)
    bench.check(log)


@pytest.mark.sanitize
def test_compaction_leaves_holes(bench):
    log = bench.topic(
        partitions=2, cleanup_policy="compact", segment_ms=100, min_cleanable_dirty_ratio=0.001,
        min_compaction_lag_ms=0, delete_retention_ms=100,
    )  # fmt: skip
    bench.plain_table()
    for round_ in range(6):
        for p in (0, 1):
            log.send_many(
                [(p, b"key %d" % (n % 37), b'{"id": %d, "note": "%d"}' % (n, round_), None, None) for n in range(100)]
            )

    def compacted():
        # The active segment is never compacted; a record more rolls it.
        log.send_many([(p, b"roll", b'{"id": 0, "note": "roll"}', None, None) for p in (0, 1)])
        seen = bench.kafka.visible(log.topic)
        return seen if all(len(offsets) < 300 for offsets in seen.values()) else None

    seen = wait.until(compacted, "the broker to compact", timeout=60, interval=0.3)
    bench.kafka.configure_topic(log.topic, cleanup_policy="delete")  # no more of it from here on
    seen = bench.kafka.visible(log.topic)
    log.records = {p: {o: log.records[p][o] for o in offsets} for p, offsets in seen.items()}
    bench.drain(bench.config(log))
    bench.check(log)
    log.fill(100)
    bench.drain(bench.config(log))
    bench.check(log)


# The ledger's offset is not in the log


def drained_then_deleted(bench, upto, total=100):
    """100 records stored, `total - 100` more produced, everything below `upto` deleted."""
    log = bench.topic(partitions=2)
    bench.plain_table()
    log.fill(200)
    bench.drain(bench.config(log))
    log.fill(2 * (total - 100))
    stored = {p: dict(log.records[p]) for p in (0, 1)}
    bench.kafka.delete_records(log.topic, {0: upto})
    # What is deleted and was not stored yet is gone; the rest of the log still holds.
    log.records[0] = {o: r for o, r in stored[0].items() if o < 100 or o >= upto}
    return log


@pytest.mark.system
def test_a_gap_stops_its_partition(bench):
    log = drained_then_deleted(bench, upto=150, total=200)
    d = bench.start(bench.config(log), ready=False).allow(r"\b0\b.*100.*150|150.*100")
    wait.until(lambda: d.lines("error"), "the error")
    bench.wait_stored(log, ends={1: 200})
    wait.stays(lambda: d.running and len(d.lines("error")) == 1, "one error line", 1)
    (line,) = d.lines("error")
    assert log.topic in line and "100" in line and "150" in line
    bench.check(log, stops={0: 100})


@pytest.mark.quick
@pytest.mark.parametrize("policy", ["earliest", "latest"])
def test_a_gap_is_recorded_and_passed(bench, policy):
    log = drained_then_deleted(bench, upto=150, total=200)
    after = 150 if policy == "earliest" else 200
    d = bench.start(bench.config(log, kafka={"on_gap": policy}))
    bench.wait_stored(log, ends={0: after, 1: 200})
    log.fill(200)
    bench.wait_stored(log)
    assert d.running
    bench.check(log, gaps={0: [(100, after)]})


@pytest.mark.sanitize
def test_a_gap_opens_while_the_daemon_runs(bench):
    """Retention overtakes a daemon whose PostgreSQL is away."""
    log = bench.topic(partitions=1)
    bench.plain_table()
    log.fill(100)
    d = bench.start(bench.config(log, kafka={"on_gap": "earliest"}))
    bench.wait_stored(log)
    d.freeze()
    log.fill(100)
    bench.kafka.delete_records(log.topic, {0: 150})
    d.thaw()
    log.fill(100)
    bench.wait_stored(log)
    # What it had fetched before the deletion it stores: then the gap is smaller, or there is none.
    gaps = bench.sql("SELECT from_offset, next_offset FROM pgsinkd.gaps")
    assert all(100 <= first < after == 150 for first, after in gaps)
    bench.check(log, gaps={0: gaps} if gaps else {})


def test_a_gap_in_an_empty_partition(bench):
    """Everything is deleted, stored or not: the log starts at its end."""
    log = drained_then_deleted(bench, upto=200, total=200)
    bench.start(bench.config(log, kafka={"on_gap": "earliest"}))
    bench.wait_stored(log, ends={0: 200, 1: 200})
    log.fill(20)
    bench.wait_stored(log)
    bench.check(log, gaps={0: [(100, 200)]})


def test_retention_of_what_is_stored_is_no_gap(bench):
    log = bench.topic(partitions=1)
    bench.plain_table()
    log.fill(100)
    bench.drain(bench.config(log))
    bench.kafka.delete_records(log.topic, {0: 100})
    log.fill(100)
    bench.drain(bench.config(log))
    bench.check(log)


@pytest.mark.system
def test_a_ledger_beyond_the_end_stops_its_partition(bench):
    log = bench.topic(partitions=2)
    bench.plain_table()
    log.fill(200)
    bench.drain(bench.config(log))
    bench.move(log, 0, 5000)
    d = bench.start(bench.config(log), ready=False).allow(r"5000")
    wait.until(lambda: d.lines("error"), "the error")
    log.fill(200, partitions=[1])
    bench.wait_stored(log, ends={1: 300})
    (line,) = d.lines("error")
    assert log.topic in line and "5000" in line and "100" in line
    d.terminate()
    bench.move(log, 0, 100)
    bench.check(log)


def test_a_topic_that_was_made_anew_and_is_shorter_stops(bench):
    log = bench.topic(partitions=1)
    bench.plain_table()
    log.fill(100)
    bench.drain(bench.config(log))
    bench.kafka.delete_topic(log.topic)
    again = bench.topic(name=log.topic)
    again.fill(50)
    d = bench.start(bench.config(log), ready=False).allow(r"100")
    wait.until(lambda: d.lines("error"), "the error")
    assert bench.next_offset(log) == 100
    d.terminate()
    assert bench.rows() == 100


@pytest.mark.system
def test_kafka_offsets_are_committed_for_lag_tools(bench):
    log = bench.topic(partitions=3)
    bench.plain_table()
    log.fill(300)
    bench.start(bench.config(log, kafka={"commit_interval": "200ms"}))
    bench.wait_stored(log)
    group = f"pgsinkd-{bench.sink}"
    for n in (100, 200, 300):  # again and again: the library must tell how each of them ended
        wait.until(lambda n=n: bench.kafka.committed(group, log.topic) == dict.fromkeys(range(3), n), "the commits")
        log.fill(300)
    bench.wait_stored(log)
    bench.check(log)


@pytest.mark.quick
def test_kafka_offsets_are_never_read(bench):
    """The ledger says nothing is stored, the group's committed offsets say all is: the ledger is right."""
    log = bench.topic(partitions=2)
    bench.plain_table()
    log.fill(200)
    config = bench.config(log, kafka={"commit_interval": "200ms"})
    d = bench.start(config)
    bench.wait_stored(log)
    group = f"pgsinkd-{bench.sink}"
    wait.until(lambda: bench.kafka.committed(group, log.topic) == {0: 100, 1: 100}, "the commits")
    d.terminate()
    bench.sql("DROP SCHEMA pgsinkd CASCADE")
    bench.sql("TRUNCATE events")
    bench.drain(config)
    bench.check(log)


def test_no_commits_when_they_are_turned_off(bench):
    log = bench.topic(partitions=1)
    bench.plain_table()
    log.fill(100)
    bench.drain(bench.config(log, kafka={"commit_interval": "0s"}))
    assert bench.kafka.committed(f"pgsinkd-{bench.sink}", log.topic) == {}
    bench.check(log)


# Where a new partition starts


def test_start_latest(bench):
    log = bench.topic(partitions=2)
    bench.plain_table()
    log.fill(200)
    config = bench.config(log, kafka={"start": "latest"})
    d = bench.start(config)
    assert bench.next_offsets(log) == {0: 100, 1: 100}
    log.fill(100)
    bench.wait_stored(log)
    d.terminate()
    log.fill(100)  # now the ledger knows the partitions, `start` says nothing any more
    bench.drain(config)
    bench.check(log, start={0: 100, 1: 100})


def test_start_at_a_time(bench):
    log = bench.topic(partitions=2)
    bench.plain_table()
    log.fill(200)
    when = log.records[0][60].time
    bench.drain(bench.config(log, kafka={"start": when.strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"}))
    bench.check(log, start={0: 60, 1: 60})


def test_start_at_a_time_in_the_future_is_the_end(bench):
    log = bench.topic(partitions=1)
    bench.plain_table()
    log.fill(100)
    bench.drain(bench.config(log, kafka={"start": "2100-01-01T00:00:00Z"}))
    bench.check(log, start={0: 100})


def test_start_earliest_begins_where_the_log_does(bench):
    log = bench.topic(partitions=1)
    bench.plain_table()
    log.fill(100)
    log.delete_records({0: 30})
    bench.drain(bench.config(log))
    bench.check(log, start={0: 30})
