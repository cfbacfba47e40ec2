"""Where partitions begin: kafka.start decides only for what an entry of topics matches when it is first used."""

import pytest

from kit import wait

LATEST = {"start": "latest"}


def pattern(bench):
    return "^" + bench.sink.replace(".", r"\.") + r"\.wild\."


def wild(bench, name, partitions=1):
    return bench.topic(partitions, name=f"{bench.sink}.wild.{name}")


def begun(bench, log):
    """{partition: (first_offset, first_reason)}"""
    rows = bench.sql(
        "SELECT partition, first_offset, first_reason FROM pgsinkd.partitions WHERE sink = %s AND topic = %s",
        bench.sink, log.topic,
    )  # fmt: skip
    return {p: (offset, reason) for p, offset, reason in rows}


@pytest.mark.quick
def test_what_is_there_at_the_first_start(bench):
    log = bench.topic(partitions=2)
    bench.plain_table()
    log.fill(200)
    d = bench.start(bench.config(log, kafka=LATEST))
    reason = f"topics entry '{log.topic}' was used for the first time; kafka.start latest"
    assert begun(bench, log) == {0: (100, reason), 1: (100, reason)}
    assert f"{log.topic}-1: begins at offset 100: {reason}" in d.log()
    log.fill(100)
    bench.wait_stored(log)
    bench.check(log, start={0: 100, 1: 100})


def test_a_topic_that_appears_while_it_is_away(bench):
    first = wild(bench, "first")
    bench.plain_table()
    first.fill(10)
    config = bench.config(topics=[pattern(bench)], kafka=LATEST)
    bench.start(config).terminate()
    second = wild(bench, "second")
    second.fill(5)
    first.fill(5)
    d = bench.start(config)
    bench.wait_stored(second)
    bench.wait_stored(first)
    bench.check(second)
    bench.check(first, start={0: 10})
    assert f"{second.topic}-0: begins at offset 0: it appeared after" in d.log()


@pytest.mark.sanitize
def test_topics_and_partitions_that_appear_while_it_runs(bench):
    first = wild(bench, "first")
    bench.plain_table()
    first.fill(10)
    bench.start(bench.config(topics=[pattern(bench)], kafka=LATEST))
    second = wild(bench, "second", partitions=2)
    second.fill(20)
    first.add_partitions(3)
    first.fill(30)
    bench.wait_stored(second)
    bench.wait_stored(first)
    bench.check(first, start={0: 10})
    bench.check(second)


def test_an_entry_that_is_added_later_is_a_first_use_of_its_own(bench):
    """Else a new route of a sink that starts at the latest would read a whole old topic."""
    one, other = bench.topic(), bench.topic(partitions=2)
    bench.plain_table()
    one.fill(10)
    other.fill(40)
    bench.start(bench.config(one, kafka=LATEST)).terminate()
    one.fill(10)
    d = bench.start(bench.config(topics=[one.topic, other.topic], kafka=LATEST))
    bench.wait_stored(one)
    other.fill(20)
    bench.wait_stored(other)
    assert d.running
    bench.check(one, start={0: 10})
    bench.check(other, start={0: 20, 1: 20})


def test_an_entry_that_matches_a_topic_of_an_older_one(bench):
    """What has no row of that topic has come later: a new entry must not pass it."""
    log = wild(bench, "first")
    bench.plain_table()
    log.fill(10)
    bench.start(bench.config(log, kafka=LATEST)).terminate()
    log.add_partitions(2)
    log.fill(20, partitions=[1])
    second = wild(bench, "second")
    second.fill(5)
    bench.start(bench.config(topics=[log.topic, pattern(bench)], kafka=LATEST))
    bench.wait_stored(log)
    second.fill(5)
    bench.wait_stored(second)
    bench.check(log, start={0: 10})
    bench.check(second, start={0: 5})


def test_a_failover_loses_the_first_use(bench):
    """The server has lost the commit of the rows, and nobody has deleted them: they come back as they were."""
    log = bench.topic(partitions=1)
    bench.plain_table()
    log.fill(30)
    d = bench.start(bench.config(log, kafka=LATEST))
    with bench.db.transaction():
        bench.sql("SET LOCAL session_replication_role = replica")  # without the triggers of changes by hand
        for table in ("offsets", "partitions", "topic_entries"):
            bench.sql(f"DELETE FROM pgsinkd.{table}")
    bench.postgres.terminate_backends()
    log.fill(10)
    bench.wait_stored(log)
    assert d.running
    bench.check(log, start={0: 30})


def test_a_name_without_a_topic_is_used_all_the_same(bench):
    """Whatever the topic holds when it is noticed has come after that."""
    bench.plain_table()
    name = bench.name()
    d = bench.start(bench.config(topics=[name], kafka=LATEST))
    log = bench.topic(name=name)
    log.fill(10)
    bench.wait_stored(log)
    assert d.running
    bench.check(log)


def test_two_daemons_start_at_once(bench):
    log = bench.topic(partitions=8)
    bench.plain_table()
    log.fill(80)
    config = bench.config(log, kafka=LATEST)
    for d in [bench.start(config, ready=False) for _ in range(3)]:
        d.wait_ready()
    wait.until(lambda: len(bench.next_offsets(log)) == 8, "all rows")
    log.fill(80)
    bench.wait_stored(log)
    bench.check(log, start=dict.fromkeys(range(8), 10))


def test_a_row_that_was_deleted_begins_as_kafka_start_says(bench):
    log = bench.topic(partitions=2)
    bench.plain_table()
    log.fill(20)
    config = bench.config(log, kafka=LATEST)
    d = bench.start(config)
    log.fill(20)
    bench.wait_stored(log)
    d.terminate()
    log.fill(20)
    bench.sql("DELETE FROM pgsinkd.offsets WHERE partition = 1")
    d = bench.start(config)
    bench.wait_stored(log)
    log.fill(20)
    bench.wait_stored(log)
    assert begun(bench, log)[1] == (30, "its row was deleted; kafka.start latest")
    assert f"{log.topic}-1: begins at offset 30: its row was deleted" in d.log()
    assert bench.value("SELECT count(*) FROM events WHERE _partition = 1 AND _offset < 30") == 10
    bench.sql("DELETE FROM events WHERE _partition = 1 AND _offset < 30")  # of its former life
    bench.check(log, start={0: 10, 1: 30})


def test_a_row_that_is_deleted_while_it_runs(bench):
    log = bench.topic(partitions=1)
    bench.plain_table()
    log.fill(10)
    d = bench.start(bench.config(log, kafka=LATEST))
    log.fill(10)
    bench.wait_stored(log)
    bench.sql("DELETE FROM pgsinkd.offsets")
    wait.until(lambda: "its row was deleted; kafka.start latest" in d.log(), "the new row")
    log.fill(10)
    bench.wait_stored(log)
    assert bench.rows() == 20
    bench.sql("DELETE FROM events WHERE _offset < 20")  # of its former life
    bench.check(log, start={0: 20})


def test_a_sink_of_an_earlier_version(bench):
    """It has rows in the ledger, and nothing about entries: they have been used, so what is new begins at its start."""
    first = wild(bench, "first", partitions=2)
    bench.plain_table()
    first.fill(20)
    config = bench.config(topics=[pattern(bench)], kafka=LATEST)
    bench.start(config).terminate()
    bench.sql("DELETE FROM pgsinkd.topic_entries")
    second = wild(bench, "second")
    second.fill(5)
    bench.start(config)
    bench.wait_stored(second)
    assert bench.sql("SELECT entry FROM pgsinkd.topic_entries") == [(pattern(bench),)]
    bench.check(first, start={0: 10, 1: 10})
    bench.check(second)


def test_without_a_ledger_the_log_says_where_partitions_begin(bench):
    log = bench.topic(partitions=2)
    bench.plain_table()
    log.fill(20)
    d = bench.start(bench.config(log, kafka=LATEST, delivery="at_least_once"))
    assert f"{log.topic}-0: begins at offset 10: the group has no offset of it; kafka.start latest" in d.log()
    log.fill(20)
    wait.until(lambda: bench.rows() == 20, "the rows")
    bench.check(log, delivery="at_least_once", start={0: 10, 1: 10},
                positions=bench.kafka.committed(f"pgsinkd-{bench.sink}", log.topic))  # fmt: skip
