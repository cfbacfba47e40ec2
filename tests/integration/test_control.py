"""Operators steer a sink by SQL while it runs: pause and resume."""

import contextlib
import random
import re
import threading
import time

import psycopg
import pytest

from kit import wait
from kit.daemon import ROOT
from kit.records import numbered
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
    again = f"SELECT pgsinkd.seek('{bench.sink}', '{log.topic}', 0, {refused.offset});"
    assert again in before.hint and again in d.log(), "the same in SQL and in the log"
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


def test_a_route_over_its_limit_has_a_new_allowance_after_a_pause(bench):
    """One resume() ends both."""
    log = bench.topic()
    bench.plain_table()
    route = {"on_error": "dead_letter", "max_dead_letters": "2 per 1h"}
    d = bench.start(bench.config(log, route=route)).allow("dead letters")
    log.send_many([(0, None, b"broken", None, None)] * 4)
    wait.until(lambda: [row.state for row in standing(bench)] == ["over_limit"], "it to be over its limit")
    pause(bench)
    wait.until(lambda: knows_of_pause(d, log, 0), "the daemon to know of the pause")
    resume(bench)
    bench.wait_stored(log)
    assert not standing(bench)
    bench.check(log, dead={(0, o) for o in range(4)})


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
    log.send_many([(p, None, numbered(p, n), None, now + 1000 * n) for n in range(10) for p in (0, 1)])
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


def test_a_seek_of_a_topic_that_is_gone(bench):
    """It is reported once, however often it is tried, and holds up no other."""
    log, gone, lost = bench.topic(partitions=2), bench.topic(), bench.topic()
    bench.plain_table()
    d = bench.start(bench.config(topics=[log.topic, gone.topic, lost.topic])).allow("gone", "deleted", "no longer", "log")
    for each in (log, gone, lost):
        each.fill(10)
        bench.wait_stored(each)
    for each in (gone, lost):
        bench.kafka.delete_topic(each.topic)
    assert seek(bench, lost.topic, "latest") == 1
    assert seek(bench, gone.topic, "earliest") == 1
    assert seek(bench, log.topic, "earliest") == 2
    wait.until(lambda: bench.rows() == 40, "the topic that is there to be stored again")
    reasons = wait.until(lambda: len(found := seeks(bench)) == 2 and all(found.values()) and found, "the reasons")
    assert all(reason.startswith("kafka: ") for reason in reasons.values()), reasons
    tried = bench.value("SELECT max(tried_at) FROM pgsinkd.seeks")
    wait.until(lambda: bench.value("SELECT min(tried_at) > %s FROM pgsinkd.seeks", tried), "another try of both", 40)
    assert len([line for line in d.lines("warning") if line.startswith("main: seek(): ")]) == 1, d.log()
    bench.sql("DELETE FROM pgsinkd.seeks")
    bench.sql("DELETE FROM events WHERE _topic <> %s", log.topic)
    forget_doubles(bench)
    bench.check(log)


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


@pytest.mark.parametrize(
    "call",
    ["pause('{sink}', 't', 1)", "resume('{sink}', 't')", "seek('{sink}', 't', 0, 5)", "reset('{sink}', 't')"],
    ids=lambda call: call.split("(")[0],
)
def test_the_ledger_is_locked_first(bench, call):
    """As by the daemon when it claims, and by the commands: what waits for a row of the ledger keeps nobody waiting."""
    assert bench.command("init", bench.config(topics=["t"])).returncode == 0
    for insert in ("offsets (sink, topic, partition, next_offset, owner_epoch) VALUES (%s, 't', 0, 3, 1)",
                   "offsets (sink, topic, partition, next_offset, owner_epoch) VALUES (%s, 't', 1, 3, 1)",
                   "partitions (sink, topic, partition, first_reason) VALUES (%s, 't', 0, 'begun')",
                   "seeks (sink, topic, partition, \"where\", at_ms) VALUES (%s, 't', 0, 'earliest', -2)"):  # fmt: skip
        bench.sql(f"INSERT INTO pgsinkd.{insert}", bench.sink)
    pause(bench, "t", 0)
    with psycopg.connect(bench.dsn(), autocommit=True) as other, other.cursor() as cursor:
        with bench.db.transaction():
            bench.sql("SELECT FROM pgsinkd.offsets FOR UPDATE")
            waits = threading.Thread(target=cursor.execute, args=["SELECT pgsinkd." + call.format(sink=bench.sink)])
            waits.start()
            held = "SELECT count(*) FROM pg_stat_activity WHERE pid = %s AND wait_event_type = 'Lock'"
            wait.until(lambda: bench.value(held, other.info.backend_pid) == 1, "it to wait for the ledger")
            bench.sql("SET LOCAL lock_timeout = '500ms'")
            for table in ("partitions", "seeks", "paused"):
                bench.sql(f"SELECT FROM pgsinkd.{table} FOR UPDATE")
            bench.sql("INSERT INTO pgsinkd.paused (sink, topic, partition) VALUES (%s, 't', 1)", bench.sink)
        waits.join()
        assert cursor.fetchone()[0] in (1, 2, 3)


# ---- who runs it ----


def instances(bench, where="true"):
    return bench.sql(f"SELECT owner, stale, partitions, workers, version FROM pgsinkd.instances WHERE {where}")


def status(bench, *columns):
    return bench.sql(f"SELECT {', '.join(columns)} FROM pgsinkd.status WHERE sink = %s", bench.sink)[0]


@pytest.mark.quick
def test_who_runs_it(bench):
    """One row for each process; a clean stop takes its row away, a kill leaves it; owners that are gone are named so."""
    log = bench.topic(partitions=2)
    bench.plain_table()
    log.fill(20)
    d = bench.start(bench.config(log))
    bench.wait_stored(log)
    owner = bench.value("SELECT DISTINCT owner FROM pgsinkd.offsets")
    # On a slow machine the first heartbeat comes before the assignment.
    wait.until(lambda: [row[:4] for row in instances(bench)] == [(owner, False, 2, 2)], "a heartbeat with partitions", 25)
    host, pid, _ = owner.split(":")
    started = bench.sql("SELECT host, pid, now() - started_at < interval '1 min', seen_at >= started_at FROM pgsinkd.instances")
    assert started == [(host, int(pid), True, True)]
    assert bench.sql("SELECT DISTINCT owner_alive FROM pgsinkd.lag") == [(True,)]
    assert status(bench, "instances", "partitions", "owners", "partitions_unowned", "last_error") == (1, 2, 1, 0, None)
    took = d.terminate()
    print(f"stopped in {took:.3f} s")
    assert not instances(bench)
    assert bench.sql("SELECT DISTINCT owner_alive, owner_seen_at FROM pgsinkd.lag") == [(False, None)]
    assert status(bench, "instances", "partitions", "owners", "partitions_unowned") == (0, 2, 1, 2)
    d = bench.start(bench.config(log))
    wait.until(lambda: instances(bench), "a heartbeat", 10)
    d.kill()
    assert [row[1] for row in instances(bench)] == [False]
    bench.sql("UPDATE pgsinkd.heartbeats SET seen_at = now() - interval '31 seconds'")
    assert [row[1] for row in instances(bench)] == [True]
    assert status(bench, "instances", "partitions_unowned") == (0, 2)
    bench.sql("UPDATE pgsinkd.heartbeats SET seen_at = now() - interval '25 hours'")
    d = bench.start(bench.config(log))
    wait.until(lambda: [row[1] for row in instances(bench)] == [False], "the dead one to be forgotten", 10)
    bench.check(log)


def test_a_stop_does_not_wait_for_its_last_heartbeat(bench):
    """Somebody has locked the table: the stop is as quick as ever."""
    log = bench.topic()
    bench.plain_table()
    log.fill(20)
    d = bench.start(bench.config(log))
    bench.wait_stored(log)
    wait.until(lambda: instances(bench), "the first heartbeat", 10)
    with bench.db.transaction():
        bench.sql("LOCK TABLE pgsinkd.heartbeats")
        took = d.terminate()
    print(f"stopped in {took:.3f} s")
    assert took < 3
    bench.check(log)


def test_the_last_error_is_in_status(bench):
    """Word for word as in the log; and what stands is counted by its state."""
    log = bench.topic(partitions=2)
    bench.plain_table()
    bench.sql("ALTER TABLE events ADD CHECK (id <> 13)")
    log.fill(20)
    refused = log.send_json(partition=0, id=13, note="refused")
    d = bench.start(bench.config(log)).allow("23514")
    wait.until(lambda: standing(bench), "it to stop")
    pause(bench, log.topic, 1)
    wait.until(lambda: status(bench, "last_error")[0], "the next heartbeat", 15)
    text, at = status(bench, "last_error", "last_error_at")
    assert d.lines("error")[-1] == f"main: {text}"
    assert bench.value("SELECT now() - %s < interval '1 min'", at)
    assert status(bench, "standing", "stopped", "paused", "parked", "waiting", "poison", "over_limit") == (2, 1, 1, 0, 0, 0, 0)
    bench.check(log, stops={0: refused.offset})


def test_lag_that_is_not_known_counts_as_behind(bench):
    log = bench.topic(partitions=2)
    bench.plain_table()
    assert bench.command("init", bench.config(log)).returncode == 0
    bench.sql("INSERT INTO pgsinkd.offsets (sink, topic, partition, next_offset, owner_epoch, end_offset, last_timestamp)"
              " VALUES (%s, 't', 0, 5, 0, 5, now()), (%s, 't', 1, 0, 0, NULL, NULL),"
              " (%s, 't', 2, 7, 0, 9, now() - interval '100 s')", bench.sink, bench.sink, bench.sink)  # fmt: skip
    behind, lag, seconds = status(bench, "partitions_behind", "lag", "lag_seconds")
    assert (behind, lag) == (2, 2) and 100 <= seconds < 160
    bench.sql("DELETE FROM pgsinkd.offsets")
    log.fill(2)
    bench.drain(bench.config(log))
    bench.check(log)


# ---- roles ----


@contextlib.contextmanager
def roles(bench):
    """A reader and an operator who own nothing, as psql makes them from what is printed: two connections."""
    names = {kind: f"{bench.sink}_{kind}" for kind in ("reader", "operator")}
    for name in names.values():
        bench.sql(f"CREATE ROLE {name} LOGIN PASSWORD 'secret'")
    bench.sql("ALTER DEFAULT PRIVILEGES REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC")
    script = bench.root / "init.sql"
    script.write_text(bench.command("init", bench.config(topics=["t"]), "--print").stdout)
    done = bench.psql(*(f"-v{kind}={name}" for kind, name in names.items()), "-f", script)
    assert done.returncode == 0, done.stderr
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(psycopg.connect(bench.dsn(user=name, password="secret"), autocommit=True))
               for name in names.values()]  # fmt: skip
    for name in names.values():
        bench.sql(f"DROP OWNED BY {name}")
        with bench.postgres.connect() as admin:
            admin.execute(f"DROP ROLE {name}")


STEERING = [
    "SELECT pgsinkd.pause('{sink}', '{topic}', 0)",
    "SELECT pgsinkd.resume('{sink}', '{topic}', 0)",
    "SELECT pgsinkd.seek('{sink}', '{topic}', 0, 0)",
    "SELECT pgsinkd.seek('{sink}', '{topic}', 'earliest')",
    "UPDATE pgsinkd.offsets SET next_offset = 0 WHERE topic = '{topic}'",
    "SELECT pgsinkd.replay('{sink}', sqlstate => '22')",
    "SELECT pgsinkd.discard('{sink}', topic => '{topic}')",
    "DELETE FROM pgsinkd.gaps",
    "DELETE FROM pgsinkd.schemas",
    "SELECT pgsinkd.reset('{sink}', '{topic}')",
]
SEEN = ["offsets", "partitions", "gaps", "paused", "seeks", "heartbeats", "topic_entries", "static_members",
        "schema_version", "lag", "status", "standing", "instances", "schemas"]  # fmt: skip
PAYLOADS = ["key", "value", "header_names", "header_values", "message"]


@pytest.mark.quick
def test_a_reader_moves_nothing_and_an_operator_reads_no_payload(bench):
    log = bench.topic()
    bench.plain_table()
    with roles(bench) as (reader, operator):
        log.fill(5)
        log.send(b"broken")
        bench.drain(bench.config(log, route={"on_error": "dead_letter", "max_dead_letters": "off"}))
        for role in (reader, operator):
            for name in SEEN:
                role.execute(f"SELECT * FROM pgsinkd.{name}")
            assert role.execute('SELECT "offset", sqlstate FROM pgsinkd.dead_letters').fetchall() == [(5, "22P02")]
            for secret in (*(f"SELECT {column} FROM pgsinkd.dead_letters" for column in PAYLOADS),
                           "SELECT * FROM pgsinkd.dead_letters_text",
                           f"SELECT pgsinkd.choose_dead_letters('{bench.sink}')"):  # fmt: skip
                with pytest.raises(psycopg.errors.InsufficientPrivilege):
                    role.execute(secret)
        for statement in (*STEERING, "INSERT INTO pgsinkd.paused (sink) VALUES ('x')", "DELETE FROM pgsinkd.heartbeats"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                reader.execute(statement.format(sink=bench.sink, topic=log.topic))
        before = bench.sql("SELECT * FROM pgsinkd.dead_letters")
        assert len(before) == 1 and bench.next_offset(log) == 6
        for statement in STEERING:
            operator.execute(statement.format(sink=bench.sink, topic=log.topic))
        assert not bench.sql("SELECT * FROM pgsinkd.dead_letters") and not bench.next_offsets(log)
        for statement in ("UPDATE pgsinkd.offsets SET owner = 'me'", "DELETE FROM events", "DELETE FROM pgsinkd.heartbeats"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                operator.execute(statement)
        # history: what it moves is noted, by its name, and it can add, change or delete nothing there
        noted = bench.sql("SELECT DISTINCT kind, owner FROM pgsinkd.history WHERE kind IN ('seek', 'reset')")
        assert sorted(noted) == [("reset", operator.info.user), ("seek", operator.info.user)]
        assert operator.execute("SELECT count(*) FROM pgsinkd.verify(%s)", [bench.sink]).fetchone()
        for statement in ("INSERT INTO pgsinkd.history (sink, topics, partitions, froms, nexts)"
                          " VALUES ('x', '{}', '{}', '{}', '{}')",
                          "UPDATE pgsinkd.history SET kind = 'store'", "DELETE FROM pgsinkd.history",
                          "SELECT pgsinkd.trim_history('x', '0 s', 1)"):  # fmt: skip
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                operator.execute(statement)
        bench.sql("DELETE FROM events")
        bench.drain(bench.config(log, route={"on_error": "dead_letter", "max_dead_letters": "off"}))
        bench.check(log, dead={(0, 5)})


@pytest.mark.parametrize("named", [["operator"], ["reader", "operator"]], ids="-".join)
def test_only_the_roles_that_are_named_get_rights(bench, named):
    names = {kind: f'{bench.sink}" {kind}' for kind in ("reader", "operator")}  # a name that wants its quotes
    quoted = ['"' + name.replace('"', '""') + '"' for name in names.values()]
    for name in quoted:
        bench.sql(f"CREATE ROLE {name}")
    script = bench.root / "init.sql"
    script.write_text(bench.command("init", bench.config(topics=["t"]), "--print").stdout)
    for _ in range(2):
        done = bench.psql(*(f"-v{kind}={names[kind]}" for kind in named), "-f", script)
        assert done.returncode == 0, done.stderr
    rights = {
        kind: tuple(bench.value("SELECT has_table_privilege(%s, %s, %s)", name, table, privilege) for table, privilege in (
            ("pgsinkd.offsets", "SELECT"), ("pgsinkd.history", "SELECT"), ("pgsinkd.paused", "INSERT"),
            ("pgsinkd.history", "INSERT")))
        for kind, name in names.items()
    }  # fmt: skip
    assert rights == {"reader": ("reader" in named,) * 2 + (False, False),
                      "operator": ("operator" in named,) * 3 + (False,)}  # fmt: skip
    for name in quoted:
        bench.sql(f"DROP OWNED BY {name}")
        with bench.postgres.connect() as admin:
            admin.execute(f"DROP ROLE {name}")


# ---- all of it at once ----


class Operator:
    """Steers at random, and knows what must not move meanwhile."""

    def __init__(self, bench, log, config, seed):
        self.bench, self.log, self.config = bench, log, config
        self.random = random.Random(seed)
        self.daemons = [bench.start(config), bench.start(config)]
        self.still = {}  # partition: next_offset, while it is paused

    def step(self):
        self.log.fill(80)
        name = self.random.choice(["pause", "pause", "resume", "again", "back", "rewind", "kill", "join", "leave"])
        print(name)
        getattr(self, name)()
        now = self.bench.next_offsets(self.log)
        assert {p: now[p] for p in self.still} == self.still, f"moved while paused: {now}, {self.still}"

    def some(self):
        """Arguments of pause() and resume(): the sink, the topic, or a partition."""
        partition = (self.log.topic, self.random.choice(self.log.partitions))
        return self.random.choice([(), (self.log.topic,), partition, partition, partition])

    def concerns(self, what):
        return self.log.partitions if len(what) < 2 else [what[1]]

    def pause(self):
        what = self.some()
        pause(self.bench, *what)
        now = self.bench.next_offsets(self.log)
        self.still |= {p: now[p] for p in self.concerns(what)}

    def resume(self, *what):
        what = what or self.some()
        try:
            resume(self.bench, *what)
        except psycopg.errors.ObjectNotInPrerequisiteState:
            return  # more than that is paused
        for p in self.concerns(what):
            self.still.pop(p, None)

    def again(self):
        """A seek to where the partition stands."""
        self.moved(0)

    def back(self):
        """A seek backwards; the rows that will come again are deleted with it."""
        self.moved(self.random.randrange(1, 60))

    def moved(self, by):
        p = self.random.choice(self.log.partitions)
        with self.bench.db.transaction():
            at = self.bench.value("SELECT next_offset FROM pgsinkd.offsets WHERE partition = %s FOR UPDATE", p)
            to = max(0, at - by)
            self.bench.value("SELECT pgsinkd.seek(%s, %s, %s, %s)", self.bench.sink, self.log.topic, p, to)
            self.bench.sql("DELETE FROM events WHERE _partition = %s AND _offset >= %s", p, to)
        if p in self.still:
            self.still[p] = to

    def rewind(self):
        """To what only Kafka knows, while it is paused."""
        p = self.random.choice(self.log.partitions)
        pause(self.bench, self.log.topic, p)
        with self.bench.db.transaction():
            seek(self.bench, self.log.topic, "earliest", p)
            self.bench.sql("DELETE FROM events WHERE _partition = %s", p)
        if self.random.randrange(2):
            self.kill()
        wait.until(lambda: not seeks(self.bench), "the request to be carried out")
        self.still[p] = 0
        assert self.bench.next_offset(self.log, p) == 0
        self.resume(self.log.topic, p)

    def kill(self):
        self.daemons.pop(self.random.randrange(len(self.daemons))).kill()
        self.join()

    def join(self):
        self.daemons.append(self.bench.start(self.config, ready=False))
        if len(self.daemons) > 3:
            self.leave()

    def leave(self):
        if len(self.daemons) > 1:
            d = self.daemons.pop(0)
            wait.until(lambda: d.notify.values("READY"), "it to be ready")
            d.terminate()


@pytest.mark.sanitize
@pytest.mark.parametrize("strategy", ["roundrobin", "cooperative-sticky"])
def test_steered_at_random_while_daemons_come_and_go(bench, strategy):
    """What is paused does not move, whoever dies; in the end each record is stored once, in order."""
    log = bench.topic(partitions=4)
    bench.plain_table()
    log.fill(400)
    config = bench.config(log, batch={"max_rows": 20}, properties={"partition.assignment.strategy": strategy})
    operator = Operator(bench, log, config, seed=20261129)
    bench.wait_stored(log)
    for _ in range(30):
        operator.step()
    resume(bench)
    bench.wait_stored(log, timeout=60)
    assert not standing(bench) and not seeks(bench)
    bench.check(log)


# ---- the former version ----


def steps():
    return sorted((ROOT / "sql").glob("[0-9]*.sql"))


def interface(bench):
    """What a program may call or name in the schema."""
    functions = bench.sql(
        "SELECT p.proname || '(' || pg_get_function_identity_arguments(p.oid) || ') ' || pg_get_function_result(p.oid)"
        " FROM pg_proc p WHERE p.pronamespace = 'pgsinkd'::regnamespace"
    )
    columns = bench.sql(
        "SELECT c.relname || '.' || a.attname || ' ' || format_type(a.atttypid, a.atttypmod)"
        " FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid"
        " WHERE c.relnamespace = 'pgsinkd'::regnamespace AND c.relkind IN ('r', 'v') AND a.attnum > 0"
    )
    return {row[0] for row in functions + columns}


def test_a_step_keeps_what_the_former_version_uses(bench):
    """A daemon of the former version goes on while this step is applied: functions, their results, columns stay."""
    bench.sql("CREATE SCHEMA pgsinkd")
    for step in steps()[:-1]:
        assert bench.psql("-1", "-v", "schema=pgsinkd", "-f", step).returncode == 0
    before = interface(bench)
    assert bench.psql("-1", "-v", "schema=pgsinkd", "-f", steps()[-1]).returncode == 0
    assert before <= interface(bench), before - interface(bench)
    log = bench.topic()
    bench.plain_table()
    log.fill(5)
    bench.drain(bench.config(log))
    bench.check(log)
