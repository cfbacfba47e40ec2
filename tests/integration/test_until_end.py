"""run --until-end: 0 only when everything is read that was there at the start; else a line for each topic says why."""

import re

import pytest

from kit import daemon, process, wait
from kit.ledger import offsets_only

NOT_READ = "is not read to its end"
TIMED_OUT = "--timeout expired before it was read to the end"
DELIVERIES = pytest.mark.parametrize("delivery", ["exactly_once", "at_least_once", "at_most_once"])
WITHOUT_LEDGER = pytest.mark.parametrize("delivery", ["at_least_once", "at_most_once"])


def start_drain(bench, config, *options):
    return bench.start(config, ready=False, args=["--until-end", *options])


def drain(bench, config, *options, code=0, timeout=60):
    """As bench.drain, with options; the topics' lines of its end are looked at by the test."""
    d = start_drain(bench, config, *options).allow("main: topic '", "kafka: no broker")
    ended = d.wait_exit(timeout)
    assert ended == code, f"exited with {ended} instead of {code}:\n{d.log()}"
    return d


def line_of(d, topic):
    """The one error line of a topic."""
    found = [text for text in d.lines("error") if text.startswith(f"main: topic '{topic}'")]
    assert len(found) == 1, d.log()
    return found[0]


def slow_table(bench, seconds=0.05):
    """Small batches into it take long enough for a test to act in between."""
    bench.plain_table()
    bench.sql(f"CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS"
              f" $$ BEGIN PERFORM pg_sleep({seconds}); RETURN NULL; END $$")  # fmt: skip
    bench.sql("CREATE TRIGGER slow AFTER INSERT ON events FOR EACH STATEMENT EXECUTE FUNCTION slow()")


def make_fast(bench):
    bench.sql("DROP TRIGGER slow ON events")


def owner_of(bench, log, partition):
    return bench.value(
        "SELECT owner FROM pgsinkd.offsets WHERE sink = %s AND topic = %s AND partition = %s",
        bench.sink, log.topic, partition,
    )  # fmt: skip


# ---- the source lacks something ----


@DELIVERIES
def test_a_topic_that_does_not_exist(bench, delivery):
    bench.plain_table()
    missing = bench.name("missing")
    d = drain(bench, bench.config(topics=[missing], delivery=delivery), code=5)
    assert "does not exist, or may not be seen" in line_of(d, missing)


@pytest.mark.sanitize
def test_the_other_topics_are_drained_first(bench):
    log = bench.topic(partitions=2)
    bench.plain_table()
    log.fill(2000)
    missing = bench.name("missing")
    d = drain(bench, bench.config(topics=[missing, log.topic]), code=5)
    line_of(d, missing)
    assert len([text for text in d.lines("error") if "topic '" in text]) == 1
    bench.check(log)


def test_a_pattern_that_matches_nothing(bench):
    bench.plain_table()
    d = drain(bench, bench.config(topics=[f"^{re.escape(bench.sink)}\\.none\\."]))
    assert any("nothing to store" in text for text in d.lines("warning"))


def test_a_pattern_that_matches_beside_one_that_does_not(bench):
    log = bench.topic(partitions=2)
    bench.plain_table()
    log.fill(500)
    prefix = re.escape(bench.sink)
    drain(bench, bench.config(topics=[f"^{prefix}\\.topic\\.", f"^{prefix}\\.none\\."]))
    bench.check(log)


def test_kafka_is_not_reached_in_time(bench):
    bench.plain_table()
    config = bench.config(topics=["orders"], kafka={"brokers": f"127.0.0.1:{process.free_port()}"})
    d = drain(bench, config, "--timeout", "2s", code=5, timeout=10)
    assert any("no broker could be reached before --timeout expired" in text for text in d.lines("error"))


def test_kafka_is_waited_for(bench):
    log = bench.topic(partitions=2)
    bench.plain_table()
    log.fill(500)
    bench.kafka.proxy.refuse()
    try:
        d = start_drain(bench, bench.config(log, kafka={"brokers": bench.kafka.proxied}))
        d.wait_log("brokers cannot be reached")
        assert d.running
    finally:
        bench.kafka.proxy.heal()
    assert d.wait_exit(60) == 0, d.log()
    bench.check(log)


# ---- the topic is not the one that it was ----


def created_again(bench, log, total):
    """The same name, and other records from offset 0 on."""
    bench.kafka.delete_topic(log.topic)
    again = bench.topic(partitions=len(log.partitions), name=log.topic)
    again.fill(total)
    return again


@pytest.mark.sanitize
def test_a_topic_created_again_with_fewer_records(bench):
    log = bench.topic(partitions=1)
    bench.plain_table()
    log.fill(10)
    config = bench.config(log)
    drain(bench, config)
    again = created_again(bench, log, 3)
    d = start_drain(bench, config).allow("main: topic '", "another log")
    assert d.wait_exit(60) == 1, d.log()
    line = line_of(d, log.topic)
    assert NOT_READ in line
    assert "partition 0 has stopped" in line
    assert "this is another log than the one that was stored" in line
    bench.sql("DELETE FROM events")
    bench.move(log, 0, 0)
    drain(bench, config)
    bench.check(again)


def test_a_topic_created_again_is_read_from_its_start_where_the_operator_says_so(bench):
    log = bench.topic(partitions=1)
    bench.plain_table()
    log.fill(10)
    drain(bench, bench.config(log))
    again = created_again(bench, log, 3)
    bench.sql("DELETE FROM events")
    bench.value("SELECT pgsinkd.seek(%s, %s, 0, 0)", bench.sink, log.topic)
    drain(bench, bench.config(log))
    assert bench.next_offsets(log) == {0: 3}
    assert bench.rows() == 3
    bench.check(again)


# ---- it ends before its time ----


@DELIVERIES
def test_a_signal_before_the_end(bench, delivery):
    log = bench.topic(partitions=2)
    slow_table(bench)
    log.fill(4000)
    config = bench.config(log, delivery=delivery, batch={"max_rows": 50})
    d = start_drain(bench, config).allow("main: topic '")
    bench.wait_rows(1)
    d.terminate(code=1)
    line = line_of(d, log.topic)
    assert "ended by a signal before it was read to its end: partition " in line
    assert re.search(r"partition \d stands at offset \d+ of 2000", line)
    make_fast(bench)
    drain(bench, config)
    bench.check(log, delivery=delivery)


def test_a_signal_before_postgresql_is_reached(bench):
    config = bench.config(topics=["orders", "^pay"], postgres={"dsn": bench.dsn(port=process.free_port())})
    d = start_drain(bench, config).allow("main: topic '")
    d.wait_log("trying again until it answers")
    d.terminate(code=1)
    assert "ended by a signal" in line_of(d, "orders")
    assert "ended by a signal" in line_of(d, "^pay")


def test_a_signal_while_a_replay_delays_the_end(bench):
    """All is read by then: that is what the exit code says."""
    log = bench.topic(partitions=1)
    bench.sql("CREATE TABLE events (seq bigint GENERATED ALWAYS AS IDENTITY, _partition int, _offset bigint,"
              " id int CHECK (id <> 1))")  # fmt: skip
    log.send(b'{"id": 1}')
    config = bench.config(log, route={"on_error": "dead_letter"})
    drain(bench, config)
    bench.sql("ALTER TABLE events DROP CONSTRAINT events_id_check")
    bench.sql("SELECT pgsinkd.replay(%s)", bench.sink)
    with bench.postgres.connect(bench.database) as other, other.transaction():
        other.execute("LOCK TABLE events")
        d = start_drain(bench, config)
        d.wait_log(": ready")
        waits = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
        d.wait_log("replay: .*trying again")  # the scout has answered the drain in between
        wait.until(lambda: bench.value(waits), "the replay to wait for the table")
        d.terminate()
    drain(bench, config)
    bench.check(log, contents=offsets_only, replayed={(0, 0)})


def test_the_time_is_over(bench):
    log = bench.topic(partitions=2)
    slow_table(bench)
    log.fill(4000)
    config = bench.config(log, batch={"max_rows": 50})
    d = drain(bench, config, "--timeout", "1500ms", code=1, timeout=10)
    assert TIMED_OUT in line_of(d, log.topic)
    make_fast(bench)
    drain(bench, config, "--timeout", "1h")
    bench.check(log)


def test_postgresql_is_not_reached_in_time(bench):
    log = bench.topic()
    bench.plain_table()
    log.fill(10)
    config = bench.config(log, postgres={"dsn": bench.dsn(port=process.free_port())})
    d = drain(bench, config, "--timeout", "2s", code=1, timeout=10)
    assert TIMED_OUT in line_of(d, log.topic)
    drain(bench, bench.config(log))
    bench.check(log)


def test_postgresql_goes_away_in_the_middle(bench):
    log = bench.topic(partitions=2)
    slow_table(bench)
    log.fill(4000)
    proxy, dsn = bench.postgres_proxy()
    d = start_drain(bench, bench.config(log, postgres={"dsn": dsn}, batch={"max_rows": 50}), "--timeout", "3s")
    d.allow("main: topic '")
    bench.wait_rows(1)
    proxy.refuse()
    assert d.wait_exit(10) == 1, d.log()
    assert TIMED_OUT in line_of(d, log.topic)
    make_fast(bench)
    drain(bench, bench.config(log))
    bench.check(log)


def test_a_locked_table(bench):
    log = bench.topic(partitions=2)
    bench.plain_table()
    log.fill(100)
    with bench.postgres.connect(bench.database) as other, other.transaction():
        other.execute("LOCK TABLE events IN EXCLUSIVE MODE")
        d = drain(bench, bench.config(log), "--timeout", "3s", code=1, timeout=10)
    line = line_of(d, log.topic)
    assert TIMED_OUT in line
    assert "partition 0 stands at offset 0 of 50; partition 1 stands at offset 0 of 50" in line
    drain(bench, bench.config(log))
    bench.check(log)


@pytest.mark.parametrize(
    "argv", [["--timeout", "5s"], ["--until-end", "--timeout", "5"], ["--until-end", "--timeout", "0"],
             ["--until-end", "--timeout", "soon"], ["--until-end", "--timeout"]],
)  # fmt: skip
def test_a_timeout_that_means_nothing_exits_2(argv):
    done = daemon.command("run", "-c", "none.yaml", *argv)
    assert done.returncode == 2, done.stderr
    assert "timeout" in done.stderr


# ---- partitions that stop ----


@DELIVERIES
def test_a_stopped_partition_beside_one_that_is_read(bench, delivery):
    log = bench.topic(partitions=2)
    bench.plain_table()
    log.fill(200)
    bad = log.send(b"not json").offset
    log.fill(200)
    d = start_drain(bench, bench.config(log, delivery=delivery)).allow("main: topic '", f"{log.topic}-0@{bad}")
    assert d.wait_exit(60) == 1, d.log()
    line = line_of(d, log.topic)
    assert f"{NOT_READ}: partition 0 has stopped at offset {bad} of 201: " in line
    assert "not valid JSON" in line
    assert "partition 1" not in line
    bench.check(log, delivery=delivery, stops={0: bad})


# ---- several members ----


@DELIVERIES
@pytest.mark.parametrize("members", [2, 3])
def test_drains_together(bench, delivery, members):
    """Each waits for what the others hold, so that each can say whether all is read."""
    log = bench.topic(partitions=4)
    slow_table(bench, 0.02)
    log.fill(8000)
    config = bench.config(log, delivery=delivery, batch={"max_rows": 100})
    all_ = [start_drain(bench, config) for _ in range(members)]
    assert [d.wait_exit(90) for d in all_] == [0] * members, bench.logs()
    bench.check(log, delivery=delivery)


@DELIVERIES
def test_drains_together_where_partitions_are_empty(bench, delivery):
    """Nothing is ever stored of them, so the group has no offset: that they end where they begin is enough."""
    log = bench.topic(partitions=6)
    bench.plain_table()
    log.fill(1000, partitions=[2])
    config = bench.config(log, delivery=delivery)
    both = [start_drain(bench, config) for _ in range(2)]
    assert [d.wait_exit(60) for d in both] == [0, 0], bench.logs()
    bench.check(log, delivery=delivery)


@pytest.mark.sanitize
@pytest.mark.parametrize("protocol", ["roundrobin", "cooperative-sticky"])
def test_a_drain_beside_a_daemon(bench, protocol):
    """What the daemon reads counts, also beyond the end that the drain has seen at its start."""
    log = bench.topic(partitions=4)
    slow_table(bench, 0.02)
    config = bench.config(log, batch={"max_rows": 100}, properties={"partition.assignment.strategy": protocol})
    bench.start(config)
    log.fill(4000)
    d = start_drain(bench, config)
    d.wait_log(r"\d partitions? assigned")
    log.fill(4000)
    assert d.wait_exit(60) == 0, d.log()
    bench.wait_stored(log)
    bench.check(log)


def test_nothing_to_do_beside_a_daemon(bench):
    """More members than partitions: one of them gets none, and the ledger is all that it has."""
    log = bench.topic(partitions=1)
    bench.plain_table()
    log.fill(1000)
    bench.start(bench.config(log))
    bench.wait_stored(log)
    drain(bench, bench.config(log))
    bench.check(log)


def test_records_that_come_meanwhile(bench):
    """It ends at the end that it saw at its start, or later, but never before."""
    log = bench.topic(partitions=2)
    slow_table(bench, 0.02)
    log.fill(4000)
    d = start_drain(bench, bench.config(log, batch={"max_rows": 100}))
    bench.wait_rows(1)
    log.fill(4000)
    assert d.wait_exit(60) == 0, d.log()
    assert min(bench.next_offsets(log).values()) >= 2000
    drain(bench, bench.config(log))
    bench.check(log)


def static(bench, log, member, session_ms, **top):
    return bench.config(log, properties={"group.instance.id": member, "session.timeout.ms": session_ms}, **top)


def start_statics(bench, log, session_ms, **top):
    """Two static members that hold two partitions each: the daemons, and which partitions the second has."""
    pair = [bench.start(static(bench, log, member, session_ms, **top)) for member in ("one", "two")]
    for d in pair:
        wait.until(lambda d=d: "2 partitions assigned" in d.log(), f"{d.name} to have two partitions")
    return pair


@pytest.mark.sanitize
def test_a_static_member_that_is_gone(bench):
    """Its partitions stay its own until its session is over: --timeout comes first."""
    log = bench.topic(partitions=4)
    bench.plain_table()
    one, two = start_statics(bench, log, 60_000)
    log.fill(400)
    bench.wait_stored(log)
    owner = f":{two.pid}:"
    held = [p for p in log.partitions if owner in owner_of(bench, log, p)]
    one.terminate()
    two.terminate()
    log.fill(400)
    d = drain(bench, static(bench, log, "one", 60_000), "--timeout", "6s", code=1, timeout=15)
    line = line_of(d, log.topic)
    assert TIMED_OUT in line
    for p in held:
        assert f"partition {p} is held by {owner_of(bench, log, p)}, and stands at offset 100 of 200" in line
    assert line.count("partition ") == len(held) == 2
    both = [start_drain(bench, static(bench, log, member, 60_000)) for member in ("one", "two")]
    assert [d.wait_exit(60) for d in both] == [0, 0], bench.logs()
    bench.check(log)


def test_a_static_member_that_hangs(bench):
    """Nothing moves for longer than a session takes to be over: then it is given up."""
    log = bench.topic(partitions=4)
    bench.plain_table()
    one, two = start_statics(bench, log, 60_000)
    log.fill(400)
    bench.wait_stored(log)
    held = [p for p in log.partitions if f":{two.pid}:" in owner_of(bench, log, p)]
    one.terminate()
    two.freeze()
    log.fill(400)
    d = drain(bench, static(bench, log, "one", 3000), code=1, timeout=40)
    line = line_of(d, log.topic)
    assert NOT_READ in line
    for p in held:
        assert f"partition {p} is held by {owner_of(bench, log, p)}, and stands at offset 100 of 200" in line
    assert line.count("partition ") == len(held) == 2
    two.thaw()
    assert start_drain(bench, static(bench, log, "one", 3000)).wait_exit(60) == 0, bench.logs()
    bench.check(log)


@WITHOUT_LEDGER
def test_a_static_member_that_is_gone_without_a_ledger(bench, delivery):
    log = bench.topic(partitions=4)
    bench.plain_table()
    one, two = start_statics(bench, log, 60_000, delivery=delivery)
    log.fill(400)
    bench.wait_rows(400)
    one.terminate()
    two.terminate()
    log.fill(400)
    config = static(bench, log, "one", 60_000, delivery=delivery)
    d = drain(bench, config, "--timeout", "6s", code=1, timeout=15)
    line = line_of(d, log.topic)
    held = "is held by another member of the group, and stands at offset 100 of 200"
    assert line.count(held) == 2
    both = [start_drain(bench, static(bench, log, member, 60_000, delivery=delivery)) for member in ("one", "two")]
    assert [d.wait_exit(60) for d in both] == [0, 0], bench.logs()
    bench.check(log, delivery=delivery)
