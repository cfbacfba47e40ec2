"""Operators steer a sink by SQL while it runs: pause and resume."""

import re
import time

import psycopg
import pytest

from kit import wait
from kit.standing import resume, standing, trigger, untrigger


def pause(bench, *what):
    """pause(sink [, topic [, partition]]): how many partitions it concerns."""
    return bench.value(f"SELECT pgsinkd.pause(%s{', %s' * len(what)})", bench.sink, *what)


def paused(bench, log=None):
    """{partition: Standing} of what the view calls paused."""
    rows = standing(bench, log)
    rows = rows.values() if isinstance(rows, dict) else rows
    return {row.partition: row for row in rows if row.state == "paused"}


def takes_effect(what, condition, timeout=15):
    """Waits for the effect of what an operator has just done, and prints how long it took."""
    begun = time.monotonic()
    wait.until(condition, what, timeout, interval=0.01)
    print(f"{what}: {time.monotonic() - begun:.3f} s")


def knows_of_pause(d, log, partition):
    """The daemon has said that it is paused, and has not said since that it moves."""
    lines = [line for line in d.lines() if f"{log.topic}-{partition}@" in line]
    return bool(lines) and "paused by" in lines[-1]


@pytest.mark.quick
@pytest.mark.sanitize
@pytest.mark.parametrize("strategy", ["roundrobin", "cooperative-sticky"])
def test_a_topic_is_paused_and_resumed(bench, strategy):
    """Nothing of it is stored any more, all else is; what to do is in the view, the log and the status."""
    log, other = bench.topic(partitions=2), bench.topic()
    bench.plain_table()
    bench.plain_table("others")
    routes = [{"topics": [log.topic], "table": "events"}, {"topics": [other.topic], "table": "others"}]
    log.fill(20)
    d = bench.start(bench.config(routes=routes, properties={"partition.assignment.strategy": strategy}))
    bench.wait_stored(log)
    assert pause(bench, log.topic) == 2
    takes_effect("a pause", lambda: all(knows_of_pause(d, log, p) for p in (0, 1)))
    log.fill(20)
    other.fill(20)
    bench.wait_stored(other)
    wait.stays(lambda: bench.rows() == 20, "nothing more to be stored of it", 1)
    rows = paused(bench, log)
    assert set(rows) == {0, 1}
    assert f"{log.topic}-0@10: paused by 'operator' since 2" in rows[0].reason
    assert rows[0].hint == f"To end it: SELECT pgsinkd.resume('{bench.sink}', '{log.topic}');"
    wait.until(lambda: ", 2 paused: " in d.notify.values("STATUS")[-1], "the status to say so")
    assert pause(bench, log.topic) == 2  # once more changes nothing
    bench.sql(rows[0].hint.removeprefix("To end it: "))
    takes_effect("the end of a pause", lambda: bench.rows() == 40)
    assert not standing(bench)
    assert not d.lines("error") + d.lines("warning")
    bench.check(log)
    bench.check(other, "others")


def test_a_pause_under_load_rolls_back_what_is_on_its_way(bench):
    """Nothing is stored after pause() has returned: the ledger does not move, and no row comes."""
    log = bench.topic(partitions=4)
    bench.plain_table()
    log.fill(60_000)
    bench.start(bench.config(log, batch={"max_rows": 300}))
    for n in range(5):
        bench.wait_rows(2000 * n + 100)
        assert pause(bench, log.topic, 1) == 1
        at = bench.next_offset(log, 1)
        rows = bench.rows()
        wait.until(lambda: bench.rows() > rows, "the others to continue")
        assert bench.next_offset(log, 1) == at
        assert bench.value("SELECT count(*) FROM events WHERE _partition = 1") == at
        resume(bench, log.topic, 1)
    bench.wait_stored(log)
    bench.check(log)


def test_paused_before_it_exists(bench):
    """A sink, its topic and its partitions may all come later; then restarts and other owners change nothing."""
    log = bench.topic(partitions=2)
    bench.plain_table()
    config = bench.config(log)
    assert bench.command("init", config).returncode == 0
    assert pause(bench, log.topic) == 0
    log.fill(20)
    d = bench.start(config)
    wait.until(lambda: set(paused(bench, log)) == {0, 1}, "both to be paused from the start")
    assert "begins at offset 0" in d.log()
    d.kill()
    d = bench.start(config)
    second = bench.start(config)
    wait.until(lambda: len(bench.sql("SELECT DISTINCT owner FROM pgsinkd.offsets")) == 2, "both to own one")
    wait.until(lambda: all(any(knows_of_pause(x, log, p) for x in (d, second)) for p in (0, 1)), "both to know it")
    assert bench.rows() == 0
    resume(bench)
    bench.wait_stored(log)
    bench.check(log)


def test_a_pause_during_a_first_claim_is_not_lost(bench):
    """The row of the ledger is being made, and pause() cannot see it yet: the daemon is notified, and claims again."""
    log = bench.topic()
    bench.plain_table()
    log.fill(10)
    config = bench.config(log, kafka={"start": "earliest"})
    assert bench.command("init", config).returncode == 0
    # The entry is used already, so the row is made by the claim itself; this holds its transaction open.
    bench.sql("INSERT INTO pgsinkd.topic_entries (sink, entry) VALUES (%s, %s)", bench.sink, log.topic)
    trigger(bench, "PERFORM pg_sleep(1.5)", on="BEFORE INSERT", table="pgsinkd.offsets", name="slow", each="ROW")
    d = bench.start(config, ready=False)
    wait.until(lambda: bench.value("SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'"), "the claim")
    assert pause(bench) == 0
    wait.until(lambda: knows_of_pause(d, log, 0), "the daemon to know of the pause")
    untrigger(bench, "slow")
    assert set(paused(bench, log)) == {0}
    at = bench.next_offset(log)
    log.fill(10)
    wait.stays(lambda: bench.next_offset(log) == at, "nothing to be stored", 0.7)
    resume(bench)
    bench.wait_stored(log)
    bench.check(log)


def test_what_stood_before_is_not_lost(bench):
    """A pause comes before it in the view; if the pause is deleted by hand, it stands as before, and is not tried."""
    log = bench.topic()
    bench.plain_table()
    bench.sql("ALTER TABLE events ADD CHECK (id <> 13)")
    log.fill(5)
    refused = log.send_json(partition=0, id=13, note="refused")
    log.fill(5)
    d = bench.start(bench.config(log)).allow("23514")
    wait.until(lambda: [row.state for row in standing(bench)] == ["stopped"], "it to stop")
    before = standing(bench)[0]
    pause(bench)
    row = paused(bench)[0]
    assert f"; before that it was stopped: {before.reason}" in row.reason
    wait.until(lambda: knows_of_pause(d, log, 0), "the daemon to know of the pause")
    bench.sql("DELETE FROM pgsinkd.paused")
    wait.until(lambda: "is stopped" in d.lines("error")[-1], "it to be stopped again")
    assert standing(bench)[0] == before
    pause(bench)
    d.terminate()
    bench.sql("ALTER TABLE events DROP CONSTRAINT events_id_check")
    d = bench.start(bench.config(log)).allow("23514")
    wait.until(lambda: knows_of_pause(d, log, 0), "the daemon to know of the pause after a restart")
    assert bench.next_offset(log) == refused.offset
    resume(bench)
    bench.wait_stored(log)
    bench.check(log)


def test_a_seek_moves_what_is_paused_and_does_not_resume_it(bench):
    log = bench.topic()
    bench.plain_table()
    log.fill(20)
    d = bench.start(bench.config(log))
    bench.wait_stored(log)
    pause(bench, log.topic, 0)
    wait.until(lambda: knows_of_pause(d, log, 0), "the daemon to know of the pause")
    bench.sql("DELETE FROM events WHERE _offset >= 7")
    bench.value("SELECT pgsinkd.seek(%s, %s, 0, 7)", bench.sink, log.topic)
    wait.stays(lambda: bench.rows() == 7 and paused(bench), "it to stay paused", 0.7)
    resume(bench, log.topic, 0)
    bench.wait_rows(20)
    bench.check(log)


def test_until_end_does_not_wait_for_what_is_paused(bench):
    log = bench.topic(partitions=2)
    bench.plain_table()
    log.fill(20)
    config = bench.config(log)
    assert bench.command("init", config).returncode == 0
    pause(bench, log.topic, 1)
    d = bench.drain(config, code=1, allow=["paused by"])
    assert f"partition 1 has stopped at offset 0 of 10: {log.topic}-1@0: paused by" in d.lines("error")[-1]
    resume(bench, log.topic, 1)
    bench.drain(config)
    bench.check(log)


def test_what_pause_and_resume_refuse(bench):
    """A wider pause is not ended by a narrower resume(), and says so."""
    log = bench.topic()
    bench.plain_table()
    log.fill(5)
    bench.drain(bench.config(log))
    with pytest.raises(psycopg.errors.InvalidParameterValue, match="partition 3 of which topic"):
        pause(bench, None, 3)
    pause(bench)
    pause(bench, log.topic)
    pause(bench, log.topic, 0)
    with pytest.raises(psycopg.errors.ObjectNotInPrerequisiteState, match="is paused as a whole") as refused:
        resume(bench, log.topic)
    assert refused.value.diag.message_primary.startswith(f"sink '{bench.sink}' is")
    assert refused.value.diag.message_hint == f"SELECT resume('{bench.sink}') ends that."
    assert paused(bench)[0].hint == f"To end it: SELECT pgsinkd.resume('{bench.sink}');"
    resume(bench)
    assert bench.value("SELECT count(*) FROM pgsinkd.paused") == 0
    pause(bench, log.topic)
    with pytest.raises(psycopg.errors.ObjectNotInPrerequisiteState, match=f"topic '{log.topic}' of sink"):
        resume(bench, log.topic, 0)
    resume(bench, log.topic)
    assert not standing(bench)
    bench.check(log)


# ---- seek ----


def seek(bench, topic, where, *partition):
    """seek(sink, topic, where [, partition]): how many partitions."""
    more = ", %s" * len(partition)
    return bench.value(f"SELECT pgsinkd.seek(%s, %s, %s::text{more})", bench.sink, topic, where, *partition)


def seeks(bench):
    """Requests that wait: {(topic, partition): error}."""
    rows = bench.sql("SELECT topic, partition, error FROM pgsinkd.seeks WHERE sink = %s", bench.sink)
    return {(topic, partition): error for topic, partition, error in rows}


def stored_again(bench, offsets):
    """How often these offsets of partition 0 are rows."""
    return [bench.value("SELECT count(*) FROM events WHERE _partition = 0 AND _offset = %s", o) for o in offsets]


def forget_doubles(bench):
    """Of each record the last row stays, which is the one that was stored in its turn."""
    bench.sql("DELETE FROM events a USING events b WHERE a._partition = b._partition AND a._offset = b._offset"
              " AND a.seq < b.seq")  # fmt: skip


@pytest.mark.quick
@pytest.mark.sanitize
def test_a_seek_to_what_only_kafka_knows(bench):
    """Earliest, a time, the end: a request that the daemon carries out at once; rows come again, or never."""
    log = bench.topic(partitions=2)
    bench.plain_table()
    now = int(time.time() * 1000) - 3_600_000
    for p in (0, 1):
        for n in range(10):
            log.send_json(partition=p, id=n, note="old", timestamp=now + 1000 * n)
    d = bench.start(bench.config(log))
    bench.wait_stored(log)
    assert seek(bench, log.topic, "earliest") == 2
    takes_effect("a seek to earliest", lambda: bench.rows() == 40)
    at = bench.value("SELECT to_char(to_timestamp(%s::numeric / 1000) AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"')",
                     now + 6001)  # fmt: skip
    assert seek(bench, log.topic, at, 0) == 1
    takes_effect("a seek to a time", lambda: bench.rows() == 43)
    assert stored_again(bench, (6, 7)) == [2, 3]
    assert seek(bench, None, "2999-01-01") == 2
    wait.until(lambda: not seeks(bench), "the requests to be carried out")
    assert bench.next_offsets(log) == {0: 10, 1: 10}  # a time after the last record means the end
    wait.stays(lambda: bench.rows() == 43, "nothing to come again", 0.5)
    assert seek(bench, log.topic, "5") == 2
    takes_effect("a seek to an offset", lambda: bench.rows() == 53)
    assert not d.lines("error") + d.lines("warning")
    forget_doubles(bench)
    bench.check(log)


def test_a_seek_to_the_end_passes_what_is_there(bench):
    log = bench.topic()
    bench.plain_table()
    log.fill(10)
    d = bench.start(bench.config(log))
    bench.wait_stored(log)
    d.freeze()
    log.fill(10)
    assert seek(bench, log.topic, "Latest", 0) == 1
    bench.value("SELECT pgsinkd.pause(%s)", bench.sink)  # so that it cannot have stored them before
    d.thaw()
    wait.until(lambda: not seeks(bench), "the request to be carried out")
    assert bench.next_offset(log) == 20
    resume(bench)
    log.fill(5)
    bench.wait_stored(log)
    bench.check(log, without={(0, o) for o in range(10, 20)})


def test_a_seek_waits_for_a_daemon_and_for_kafka(bench):
    """What nobody can do yet stays in the table, with the reason, and in status; a later one takes its place."""
    log = bench.topic(partitions=2)
    bench.plain_table()
    log.fill(20)
    config = bench.config(log)
    bench.drain(config)
    assert seek(bench, log.topic, "earliest") == 2
    assert seek(bench, log.topic, "latest", 1) == 1
    assert bench.value("SELECT pgsinkd.seek(%s, %s, 0, 3)", bench.sink, log.topic) == 10
    assert seeks(bench) == {(log.topic, 1): None}
    assert bench.value("SELECT seeks FROM pgsinkd.status WHERE sink = %s", bench.sink) == 1
    # A partition that Kafka does not have, of a row that somebody has made.
    bench.sql("INSERT INTO pgsinkd.offsets (sink, topic, partition, next_offset, owner_epoch)"
              " VALUES (%s, %s, 7, 0, 1)", bench.sink, log.topic)  # fmt: skip
    assert seek(bench, log.topic, "earliest", 7) == 1
    bench.sql("DELETE FROM events WHERE _partition = 0 AND _offset >= 3")
    d = bench.start(config)
    bench.wait_rows(20)
    owner = "UPDATE pgsinkd.offsets SET owner = (SELECT owner FROM pgsinkd.offsets WHERE partition = 0) WHERE partition = 7"
    bench.sql(owner)
    seek(bench, log.topic, "earliest", 7)
    wait.until(lambda: seeks(bench).get((log.topic, 7)), "the reason to be written down")
    assert set(seeks(bench)) == {(log.topic, 7)}
    assert re.search("kafka: ", seeks(bench)[(log.topic, 7)])
    wait.until(lambda: any("seek(): " in line for line in d.lines("warning")), "the log to say it")
    assert bench.value("SELECT pgsinkd.reset(%s, %s)", bench.sink, log.topic) == 3
    assert not seeks(bench)
    bench.sql("DELETE FROM events")
    bench.wait_stored(log)
    bench.wait_rows(20)
    bench.check(log)


def test_an_answer_that_is_overtaken_changes_nothing(bench):
    """Kafka has answered for a request that is not there any more: the ledger stays as it is."""
    log = bench.topic()
    bench.plain_table()
    log.fill(10)
    bench.drain(bench.config(log))
    seek(bench, log.topic, "earliest", 0)
    first = bench.value("SELECT id FROM pgsinkd.seeks")
    seek(bench, log.topic, "latest", 0)
    done = "SELECT pgsinkd.seek_done(%s, %s, '{0}', %s, '{0}', '{NULL}')"
    assert bench.value(done, bench.sink, [log.topic], [first]) == 0
    assert bench.next_offset(log) == 10
    second = bench.value("SELECT id FROM pgsinkd.seeks")
    bench.value("SELECT pgsinkd.seek(%s, %s, 0, 10)", bench.sink, log.topic)
    assert bench.value(done, bench.sink, [log.topic], [second]) == 0
    assert bench.next_offset(log) == 10
    bench.check(log)


@pytest.mark.parametrize("where", ["", "erliest", "-1", "12x", "infinity"])
def test_a_seek_to_nowhere_is_refused(bench, where):
    log = bench.topic()
    bench.plain_table()
    log.fill(1)
    bench.drain(bench.config(log))
    with pytest.raises(psycopg.errors.InvalidParameterValue, match="is neither an offset, nor earliest, latest or a time"):
        seek(bench, log.topic, where)
    bench.check(log)


# ---- reset ----


@pytest.mark.parametrize("start", ["earliest", "latest"])
def test_a_topic_is_reset_under_load(bench, start):
    """It begins again as kafka.start says, whatever is on its way; pause and requests are forgotten."""
    log = bench.topic(partitions=3)
    bench.plain_table()
    if start == "earliest":
        log.fill(30_000)
    d = bench.start(bench.config(log, kafka={"start": start}, batch={"max_rows": 300}))
    if start == "latest":
        wait.until(lambda: len(bench.next_offsets(log)) == 3, "all to begin")
        log.fill(30_000)
    bench.wait_rows(2000)
    with bench.db.transaction():
        assert bench.value("SELECT pgsinkd.reset(%s, %s)", bench.sink, log.topic) == 3
        bench.sql("DELETE FROM events")
    begun = "SELECT count(*), min(first_offset) FROM pgsinkd.partitions WHERE first_offset IS NOT NULL"
    wait.until(lambda: bench.sql(begun)[0][0] == 3, "all to begin again")
    if start == "earliest":
        assert bench.sql(begun)[0][1] == 0
        bench.wait_stored(log)
        bench.check(log)
    else:
        bench.wait_stored(log, ends={0: 10_000, 1: 10_000, 2: 10_000})
        log.fill(300)
        bench.wait_stored(log)
        assert bench.sql(begun)[0][1] == 10_000
        bench.check(log, start={0: 10_000, 1: 10_000, 2: 10_000})
    assert "its row was deleted; kafka.start" in d.log()
