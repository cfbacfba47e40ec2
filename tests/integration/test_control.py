"""Operators steer a sink by SQL while it runs: pause and resume."""

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
