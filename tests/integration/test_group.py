"""Several daemons of one sink: joining, leaving, and a zombie that wakes up."""

import contextlib
import re

import pytest

from kit import process, wait
from kit.records import padded

PROTOCOLS = pytest.mark.parametrize("protocol", ["range", "roundrobin", "cooperative-sticky"])


def strategy(protocol, **more):
    return {"partition.assignment.strategy": protocol} | more


@pytest.mark.sanitize
@PROTOCOLS
def test_three_daemons_join_and_leave_while_records_come_in(bench, protocol):
    log = bench.topic(partitions=12)
    bench.plain_table()
    config = bench.config(log, properties=strategy(protocol))
    running = []
    for step in ("+", "+", "+", "-", "+", "-", "-", "+", "-"):
        log.fill(4000)
        if step == "+":
            running.append(bench.start(config))
        else:
            running.pop(0).terminate()
        log.fill(4000)
    assert len(running) == 1
    bench.wait_stored(log)
    bench.check(log)


@pytest.mark.quick
@pytest.mark.system
@PROTOCOLS
def test_two_daemons_share_the_partitions(bench, protocol):
    log = bench.topic(partitions=8)
    bench.plain_table()
    config = bench.config(log, properties=strategy(protocol))
    bench.start(config)
    bench.start(config)
    log.fill(8000)
    bench.wait_stored(log)

    def owners():
        return bench.value("SELECT count(DISTINCT owner) FROM pgsinkd.offsets WHERE sink = %s", bench.sink) == 2

    wait.until(owners, "both to own partitions")
    bench.check(log)


def test_commits_for_lag_tools_never_lose_the_assignment(bench):
    """
    A member of a cooperative group joins again in silence. librdkafka before 2.10 takes the refusal of a commit that
    comes too late for the loss of everything.
    """
    log = bench.topic(partitions=8)
    bench.plain_table()
    slow = strategy("cooperative-sticky", **{"heartbeat.interval.ms": 3000, "session.timeout.ms": 10000})
    config = bench.config(log, properties=slow, kafka={"commit_interval": "700ms"})
    first = bench.start(config)
    bench.start(config)

    def owners():
        log.fill(16)  # so that there is always something to commit
        return bench.value("SELECT count(DISTINCT owner) FROM pgsinkd.offsets WHERE sink = %s", bench.sink) == 2

    wait.until(owners, "both to own partitions")
    bench.wait_stored(log)
    assert "lost" not in first.log()
    bench.check(log)


def test_one_of_two_is_killed(bench):
    log = bench.topic(partitions=8)
    bench.plain_table()
    config = bench.config(log)
    bench.start(config)
    doomed = bench.start(config)
    log.fill(20_000)
    bench.wait_rows(1)
    doomed.kill()
    log.fill(20_000)
    bench.wait_stored(log)
    bench.check(log)


@pytest.mark.quick
@pytest.mark.sanitize
@PROTOCOLS
def test_a_zombie_must_not_write(bench, protocol):
    """One daemon stands still for longer than its session; a second takes over; the first wakes up."""
    log = bench.topic(partitions=4)
    bench.plain_table()
    config = bench.config(log, properties=strategy(protocol))
    zombie = bench.start(config)
    log.fill(1000)
    bench.wait_stored(log)
    log.fill(20_000)
    zombie.freeze()
    heir = bench.start(config)
    bench.wait_stored(log, timeout=30)
    log.fill(4000)
    bench.wait_stored(log)
    zombie.thaw()
    log.fill(4000)
    bench.wait_stored(log)
    # The woken one joins again, and then both do their share.
    wait.until(lambda: bench.value("SELECT count(DISTINCT owner) FROM pgsinkd.offsets") == 2, "both to own partitions")
    log.fill(4000)
    bench.wait_stored(log)
    assert heir.running and zombie.running
    bench.check(log)


@pytest.mark.parametrize("others", [1, 2])
def test_a_zombie_that_wakes_in_the_middle_of_a_drain(bench, others):
    """It wakes while the second one is busy with the same partitions, again and again."""
    log = bench.topic(partitions=4)
    bench.plain_table()
    config = bench.config(log, batch={"max_rows": 500},
                          properties={"session.timeout.ms": 1000, "heartbeat.interval.ms": 200})  # fmt: skip
    log.fill(60_000)
    zombie = bench.start(config)
    bench.wait_rows(1)
    for _ in range(3):
        zombie.freeze()
        for _ in range(others):
            bench.start(config)
        before = bench.rows()
        log.fill(10_000)
        bench.wait_rows(before + 2000)
        zombie.thaw()
        before = bench.rows()
        log.fill(10_000)
        bench.wait_rows(before + 2000)
        for d in bench.daemons:
            if d.running and d is not zombie:
                d.kill()
    bench.wait_stored(log, timeout=60)
    bench.check(log)


def stop_in_copy(bench, d, table="events"):
    """Freezes the daemon while a backend of its holds row locks inside an open transaction."""

    def open_transaction():
        return bench.value(
            "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'pgsinkd %'"
            " AND datname = current_database() AND backend_xid IS NOT NULL AND wait_event = 'ClientRead'"
        )

    def caught():
        d.freeze()
        with contextlib.suppress(AssertionError):
            # It must last: a frozen client cannot go on, so three looks are enough.
            wait.stays(open_transaction, "a transaction that waits for its client", 0.15)
            return True
        d.thaw()
        return False

    wait.until(caught, "a moment in the middle of COPY", timeout=30, interval=0.005)


@pytest.mark.sanitize
def test_a_zombie_stopped_in_the_middle_of_copy_loses_its_locks(bench):
    """Its open transaction holds the ledger's rows for ever, so the claimer must end its backend."""
    log = bench.topic(partitions=1)
    bench.plain_table()
    # Few big rows that stream for long: most of the time a COPY is under way.
    bench.sql("ALTER TABLE events ADD ballast text")
    log.fill(20_000, padded(4000))
    config = bench.config(log, postgres={"lock_timeout": "500ms"})
    zombie = bench.start(config)
    bench.wait_rows(1)
    stop_in_copy(bench, zombie)
    heir = bench.start(config, ready=False)
    bench.wait_stored(log, timeout=60)
    zombie.thaw()
    log.fill(2000)
    bench.wait_stored(log)
    assert heir.running and zombie.running
    bench.check(log)


@pytest.mark.parametrize("protocol", ["range", "cooperative-sticky"])
def test_static_members_come_back_without_a_rebalance(bench, protocol):
    log = bench.topic(partitions=4)
    bench.plain_table()
    one = bench.config(log, properties=strategy(protocol, **{"group.instance.id": "one"}))
    two = bench.config(log, properties=strategy(protocol, **{"group.instance.id": "two"}))
    first = bench.start(one)
    bench.start(two)
    log.fill(4000)
    bench.wait_stored(log)
    wait.until(lambda: len(set(bench.sql("SELECT DISTINCT owner FROM pgsinkd.offsets"))) == 2, "both to own partitions")
    for _ in range(3):
        first.terminate()
        first = bench.start(one)
        log.fill(4000)
        bench.wait_stored(log)
    bench.check(log)


def test_a_session_is_lost_through_the_network(bench):
    """The zombie is alive but cut off from Kafka; it may still reach PostgreSQL and must not write."""
    log = bench.topic(partitions=4)
    bench.plain_table()
    cut_off = bench.config(log, kafka={"brokers": bench.kafka.proxied})
    zombie = bench.start(cut_off)
    log.fill(20_000)
    bench.wait_rows(1)
    bench.kafka.proxy.black_hole()
    bench.start(bench.config(log))
    log.fill(10_000)
    bench.wait_stored(log)
    bench.kafka.proxy.heal()
    log.fill(10_000)
    bench.wait_stored(log)
    assert zombie.running
    bench.check(log)


def test_new_partitions_are_picked_up(bench):
    log = bench.topic(partitions=2)
    bench.plain_table()
    bench.start(bench.config(log))
    log.fill(100)
    bench.wait_stored(log)
    log.add_partitions(5)
    log.fill(1000)
    bench.wait_stored(log, timeout=30)
    bench.check(log)


def test_a_new_topic_that_matches_the_regex_is_picked_up(bench):
    stem = bench.name("new")
    first = bench.topic(name=f"{stem}.a", partitions=2)
    bench.plain_table()
    first.fill(100)
    bench.start(bench.config(topics=["^" + stem.replace(".", "\\.")]))
    bench.wait_stored(first)
    second = bench.topic(name=f"{stem}.b", partitions=2)
    second.fill(100)
    bench.wait_stored(second, timeout=30)
    first.fill(100)
    bench.wait_stored(first)
    bench.check(first)
    bench.check(second)


def test_a_topic_that_appears_after_the_start_is_picked_up(bench):
    name = bench.name("late")
    bench.plain_table()
    bench.start(bench.config(topics=[name]))
    log = bench.topic(name=name, partitions=2)
    log.fill(100)
    bench.wait_stored(log, timeout=30)
    bench.check(log)


def test_more_daemons_than_partitions(bench):
    """The one without a partition is ready too, and takes over when the other goes."""
    log = bench.topic(partitions=1)
    bench.plain_table()
    config = bench.config(log)
    first, second = bench.start(config), bench.start(config)
    log.fill(1000)
    bench.wait_stored(log)
    first.terminate()
    log.fill(1000)
    bench.wait_stored(log)
    assert second.running
    bench.check(log)


def test_a_rebalance_storm(bench):
    """Members come and go while others are frozen; nobody waits for calm."""
    log = bench.topic(partitions=6)
    bench.plain_table()
    config = bench.config(log, batch={"max_rows": 1000},
                          properties={"session.timeout.ms": 1000, "heartbeat.interval.ms": 200})  # fmt: skip
    log.fill(50_000)
    steady = bench.start(config, ready=False)
    for n in range(6):
        d = bench.start(config, ready=False)
        log.fill(3000)
        if n % 3 == 0:
            steady.freeze()
        log.fill(3000)
        if process.state(steady.pid) == "T":
            steady.thaw()
        if n % 2:
            d.kill()
        else:
            d.wait_ready().terminate()
    bench.wait_stored(log)
    bench.check(log)


def test_a_copied_group_instance_id(bench):
    """Two processes with one id do not throw each other out for ever: the first ends for good, and says why."""
    log = bench.topic(partitions=2)
    bench.plain_table()
    config = bench.config(log, properties={"group.instance.id": "copied"})
    first = bench.start(config).allow("another process has group.instance.id")
    log.fill(50)
    bench.wait_stored(log)
    second = bench.start(config)
    assert first.wait_exit(20) == 6
    said = first.lines("error")
    assert any("another process has group.instance.id 'copied' (host 127.0.0.1)" in line for line in said), first.log()
    assert any("another process has group.instance.id 'copied'" in text for text in first.notify.values("STATUS"))
    hint = re.search(r"HINT: Each process of a group needs an id of its own.* (SELECT .*;)", first.log())[1]
    wait.until(lambda: [pid for _, pid in bench.sql(hint)] == [second.pid], "the other to be named")
    log.fill(50)
    bench.wait_stored(log)
    assert second.running and not second.lines("error")
    bench.check(log)
