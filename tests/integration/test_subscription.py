"""What is subscribed is what is read: routes and topics come and go between two starts, with and without static ids."""

import pytest

from kit import standing, wait


REJOINED = r"rejoined, \d+ partitions? assigned"
PROTOCOLS = pytest.mark.parametrize("protocol", ["roundrobin", "cooperative-sticky"])


def routes(*pairs):
    """Routes of (topic or pattern, table)."""
    return [{"topics": [topic], "table": table, "format": "json", "mode": "append"} for topic, table in pairs]


def static(bench, *pairs, member="one", protocol="roundrobin", properties=None, **top):
    """The configuration of one static member."""
    properties = {"group.instance.id": member, "partition.assignment.strategy": protocol} | (properties or {})
    return bench.config(routes=routes(*pairs), properties=properties, **top)


def two_topics(bench, partitions=2):
    """Two topics with a table each."""
    bench.plain_table("kept")
    bench.plain_table("other")
    return bench.topic(partitions=partitions), bench.topic(partitions=partitions)


def positions(bench, log, delivery):
    """{partition: next offset}, wherever this kind of delivery keeps it."""
    ledger = delivery == "exactly_once"
    return bench.next_offsets(log) if ledger else bench.kafka.committed(bench.group, log.topic)


DELIVERIES = pytest.mark.parametrize("delivery", ["exactly_once", "at_least_once"])


@pytest.mark.quick
@PROTOCOLS
@DELIVERIES
def test_a_route_is_taken_out_and_put_back(bench, protocol, delivery):
    """Kafka hands the static member the topic that no route takes any more: its records must stay for later."""
    kept, other = two_topics(bench)
    more = {"protocol": protocol, "delivery": delivery}
    both = static(bench, (kept.topic, "kept"), (other.topic, "other"), **more)
    kept.fill(100), other.fill(100)
    d = bench.start(both)
    bench.wait_present(kept, "kept"), bench.wait_present(other, "other")
    d.terminate()
    before = positions(bench, other, delivery)
    other.fill(60), kept.fill(60)
    d = bench.start(static(bench, (kept.topic, "kept"), **more))
    bench.wait_present(kept, "kept")
    d.terminate()
    assert positions(bench, other, delivery) == before, "a partition without a route was advanced"
    bench.start(both)
    bench.wait_present(other, "other")
    bench.check(kept, "kept", delivery=delivery)
    bench.check(other, "other", delivery=delivery)


def test_what_no_route_takes_is_never_claimed(bench):
    """Also while the member has it: the rejoin, which gives it up, waits for PostgreSQL."""
    kept, other = two_topics(bench)
    kept.fill(100), other.fill(100)
    both = static(bench, (kept.topic, "kept"), (other.topic, "other"))
    d = bench.start(both)
    bench.wait_stored(kept), bench.wait_stored(other)
    d.terminate()
    owners = bench.owners(other)
    other.fill(60)
    bench.sql("BEGIN"), bench.sql("LOCK TABLE pgsinkd.static_members")
    d = bench.start(static(bench, (kept.topic, "kept")), ready=False)
    d.wait_log("no route takes it; not read")
    kept.fill(60)
    bench.wait_stored(kept)
    assert "leaving" not in d.log(), "the lock has not held it up"
    assert bench.owners(other) == owners
    bench.sql("ROLLBACK")
    d.wait_log(REJOINED)
    d.terminate()
    assert bench.owners(other) == owners
    bench.start(both)
    bench.wait_stored(other)
    bench.check(kept, "kept")
    bench.check(other, "other")


def test_two_daemons_with_different_files(bench):
    """The group's leader hands out what all subscribe to; without static ids each gets only its own topics."""
    kept, other = two_topics(bench)
    first = bench.start(bench.config(routes=routes((kept.topic, "kept"))))
    second = bench.start(bench.config(routes=routes((other.topic, "other"))))
    kept.fill(200), other.fill(200)
    bench.wait_stored(kept), bench.wait_stored(other)
    assert first.running and second.running
    bench.check(kept, "kept")
    bench.check(other, "other")


@pytest.mark.sanitize
@PROTOCOLS
@DELIVERIES
def test_a_topic_is_added(bench, protocol, delivery):
    """The commonest change there is. Kafka hands the static member what it had: the new topic would never be read."""
    kept, other = two_topics(bench)
    more = {"protocol": protocol, "delivery": delivery}
    kept.fill(100), other.fill(100)
    d = bench.start(static(bench, (kept.topic, "kept"), **more))
    bench.wait_present(kept, "kept")
    d.terminate()
    d = bench.start(static(bench, (kept.topic, "kept"), (other.topic, "other"), **more))
    bench.wait_present(other, "other")
    d.wait_log(REJOINED)
    kept.fill(100), other.fill(100)
    bench.wait_present(kept, "kept"), bench.wait_present(other, "other")
    bench.check(kept, "kept", delivery=delivery)
    bench.check(other, "other", delivery=delivery)


def test_a_restart_without_a_change_does_not_join_again(bench):
    log = bench.topic(partitions=4)
    bench.plain_table()
    config = static(bench, (log.topic, "events"))
    log.fill(100)
    d = bench.start(config)
    bench.wait_stored(log)
    wait.until(lambda: joined_with(bench) == {"one": [log.topic]}, "the topics to be written down")
    for _ in range(2):
        d.terminate()
        d = bench.start(config)
        log.fill(100)
        bench.wait_stored(log)
        assert "rejoining" not in d.log()
        assert len([text for text in d.lines("info") if "assigned" in text]) == 1
    bench.check(log)


def joined_with(bench):
    """{instance id: topics} as it is written down."""
    return dict(bench.sql("SELECT instance_id, topics FROM pgsinkd.static_members WHERE sink = %s", bench.sink))


@PROTOCOLS
def test_a_pattern_is_narrowed_and_widened(bench, protocol):
    stem = bench.name("wide")
    bench.plain_table()
    kept, other = bench.topic(name=f"{stem}.kept", partitions=2), bench.topic(name=f"{stem}.other", partitions=2)
    escaped = stem.replace(".", "\\.")
    wide = static(bench, (f"^{escaped}\\.", "events"), protocol=protocol)
    narrow = static(bench, (f"^{escaped}\\.kept$", "events"), protocol=protocol)
    for config in (wide, narrow, wide):
        passed = bench.next_offsets(other)
        kept.fill(100), other.fill(100)
        d = bench.start(config)
        bench.wait_stored(kept)
        if config is narrow:
            assert bench.next_offsets(other) == passed
        else:
            bench.wait_stored(other)
        d.terminate()
    bench.check(kept)
    bench.check(other)


def test_a_topic_that_a_pattern_finds_while_it_runs_is_written_down(bench):
    """Else the next start would find the topics changed, and join again for nothing."""
    stem = bench.name("new")
    bench.plain_table()
    first = bench.topic(name=f"{stem}.a")
    config = static(bench, ("^" + stem.replace(".", "\\."), "events"))
    d = bench.start(config)
    second = bench.topic(name=f"{stem}.b")
    first.fill(10), second.fill(10)
    bench.wait_stored(first), bench.wait_stored(second)
    wait.until(lambda: joined_with(bench) == {"one": [first.topic, second.topic]}, "both to be written down", 40)
    d.terminate()
    d = bench.start(config)
    first.fill(10), second.fill(10)
    bench.wait_stored(first), bench.wait_stored(second)
    assert "rejoining" not in d.log()
    bench.check(first)
    bench.check(second)


@PROTOCOLS
def test_a_rolling_change_over_three_static_members(bench, protocol):
    """Topics are added and removed, a pattern is narrowed and widened; records come in all the time."""
    stem = bench.name("roll")
    bench.plain_table()
    logs = [bench.topic(name=f"{stem}.{letter}", partitions=3) for letter in "abc"]
    escaped = stem.replace(".", "\\.")
    files = ([logs[0].topic], [log.topic for log in logs], [f"^{escaped}\\.[ab]$"], [f"^{escaped}\\."])
    members = ("one", "two", "three")
    running = {}

    def fill():
        for log in logs:
            log.fill(300)

    for topics in files:
        for member in members:
            fill()
            if member in running:
                running.pop(member).terminate()
            config = static(bench, *[(topic, "events") for topic in topics], member=member, protocol=protocol)
            config["routes"] = [config["routes"][0] | {"topics": topics}]
            running[member] = bench.start(config)
            fill()
        bench.wait_stored(logs[0])
    for log in logs:
        bench.wait_stored(log)
    fill()
    for log in logs:
        bench.wait_stored(log)
    assert all(d.running for d in running.values())
    for log in logs:
        bench.check(log)


@pytest.mark.parametrize("until", ["leaving the group", "revoked", REJOINED])
@PROTOCOLS
def test_a_stop_in_the_middle_of_joining_again(bench, protocol, until):
    kept, other = two_topics(bench)
    both = static(bench, (kept.topic, "kept"), (other.topic, "other"), protocol=protocol)
    kept.fill(5000), other.fill(5000)
    bench.start(static(bench, (kept.topic, "kept"), protocol=protocol)).terminate()
    d = bench.start(both, ready=False)
    d.wait_log(until)
    d.terminate()
    bench.start(both)
    bench.wait_stored(kept), bench.wait_stored(other)
    bench.check(kept, "kept")
    bench.check(other, "other")


def test_others_come_and_go_while_a_member_joins_again(bench):
    """A rebalance in the middle: the unsubscribe has to wait for it, or the other way round."""
    kept, other = two_topics(bench, partitions=6)
    less = bench.config(routes=routes((kept.topic, "kept")))
    bench.start(static(bench, (kept.topic, "kept"))).terminate()
    both = static(bench, (kept.topic, "kept"), (other.topic, "other"))
    steady = bench.start(both, ready=False)
    for _ in range(3):
        passing = bench.start(less, ready=False)
        kept.fill(1000), other.fill(1000)
        passing.wait_ready().terminate()
    bench.wait_stored(kept), bench.wait_stored(other)
    assert steady.running
    bench.check(kept, "kept")
    bench.check(other, "other")


def test_kafka_is_away_while_the_group_is_asked(bench):
    """Without what is written down the group decides; the question must outlive its broker."""
    log = bench.topic(partitions=2)
    bench.plain_table()
    log.fill(100)
    session = {"session.timeout.ms": 30_000}  # it outlives the broker: a commit of a lost session would be fenced
    config = static(bench, (log.topic, "events"), delivery="at_least_once", properties=session)
    d = bench.start(config, ready=False)
    d.wait_log("assigned")
    bench.kafka.kill()
    d.wait_log("brokers cannot be reached", 20)
    bench.kafka.start()
    log.connect()
    log.fill(100)
    bench.wait_present(log)
    assert d.running
    bench.check(log, delivery="at_least_once")


def members(bench):
    return bench.kafka.group(bench.group)[1]


@PROTOCOLS
def test_until_end_leaves_the_group(bench, protocol):
    log = bench.topic(partitions=2)
    bench.plain_table()
    log.fill(100)
    config = static(bench, (log.topic, "events"), protocol=protocol)
    config["kafka"]["properties"]["session.timeout.ms"] = 30_000
    bench.drain(config)
    assert members(bench) == []
    bench.check(log)


@pytest.mark.sanitize
def test_until_end_reads_a_topic_that_was_added(bench):
    kept, other = two_topics(bench)
    kept.fill(100), other.fill(100)
    bench.start(static(bench, (kept.topic, "kept"))).terminate()
    bench.drain(static(bench, (kept.topic, "kept"), (other.topic, "other")))
    bench.check(kept, "kept")
    bench.check(other, "other")


@PROTOCOLS
def test_a_stop_keeps_the_static_member(bench, protocol):
    """A restart is to find its partitions again, at once."""
    log = bench.topic(partitions=2)
    bench.plain_table()
    log.fill(100)
    config = static(bench, (log.topic, "events"), protocol=protocol)
    config["kafka"]["properties"]["session.timeout.ms"] = 30_000
    d = bench.start(config)
    bench.wait_stored(log)
    d.terminate()
    assert members(bench) == ["pgsinkd"]
    bench.check(log)


def test_who_is_not_started_again_leaves_the_group(bench):
    """Exit code 4: the unit does not restart it, and the others should not wait for its session."""
    log = bench.topic(partitions=2)
    bench.plain_table()
    config = static(bench, (log.topic, "events"))
    config["kafka"]["properties"]["session.timeout.ms"] = 30_000
    assert bench.command("init", config).returncode == 0
    standing.trigger(bench, standing.refuse("42501"), on="BEFORE UPDATE", table="pgsinkd.offsets", each="STATEMENT")
    d = bench.start(config, ready=False).allow("odd")
    log.fill(10)
    assert d.wait_exit(30) == 4
    assert members(bench) == []
    standing.untrigger(bench)
    bench.start(config)
    bench.wait_stored(log)
    bench.check(log)


@pytest.mark.slow
@pytest.mark.timeout(200)
def test_partitions_that_nobody_reads_are_reported(bench):
    """What is written down says that it has joined with both topics, and Kafka keeps to the old assignment."""
    kept, other = two_topics(bench)
    kept.fill(10), other.fill(10)
    d = bench.start(static(bench, (kept.topic, "kept")))
    wait.until(lambda: joined_with(bench) == {"one": [kept.topic]}, "the topics to be written down")
    d.terminate()
    bench.sql("UPDATE pgsinkd.static_members SET topics = %s", [kept.topic, other.topic])
    d = bench.start(static(bench, (kept.topic, "kept"), (other.topic, "other")))
    d.wait_log(f"topic '{other.topic}': nobody in group '{bench.group}' reads partitions 0-1", 100)
    assert bench.rows("other") == 0
    bench.start(bench.config(routes=routes((kept.topic, "kept"), (other.topic, "other"))))
    d.wait_log(f"topic '{other.topic}': all its partitions are read again", 40)
    bench.wait_stored(kept), bench.wait_stored(other)
    bench.check(kept, "kept")
    bench.check(other, "other")
