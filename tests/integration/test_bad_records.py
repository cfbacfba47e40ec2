"""A record that cannot become a row: its partition stops at exactly that offset, and nothing is lost."""

import re

import pytest

from kit import ledger, standing, wait
from kit.bad import BAD, COLUMN, TABLE, contents


def at(log, partition, offset):
    """How an error line names a record."""
    return re.escape(f"{log.topic}-{partition}@{offset}")


def bad_log(bench, value, before=50, after=50):
    """Two partitions; a bad record in the middle of the first. Returns the log and its offset."""
    log = bench.topic(partitions=2)
    bench.sql(TABLE)
    log.send(b'{"id": 7, "once": 1}')
    log.fill(2 * before)
    bad = log.send(value).offset
    log.fill(2 * after)
    return log, bad


@pytest.mark.quick
@pytest.mark.parametrize("name", BAD)
def test_a_bad_record_stops_its_partition(bench, name):
    log, bad = bad_log(bench, BAD[name])
    config = bench.config(log)
    here = at(log, 0, bad)

    d = bench.start(config, ready=False).allow(here)
    bench.wait_stored(log, ends={0: bad, 1: log.count(1)})
    d.wait_log(here)
    log.fill(100, partitions=[1])
    bench.wait_stored(log, ends={1: log.count(1)})  # the other partition goes on
    (line,) = d.lines("error")  # one clear line
    assert re.search(here, line), line
    if name in COLUMN:
        assert re.search(rf"['\"]{COLUMN[name]}['\"]", line), line
    assert d.running
    bench.check(log, contents=contents, stops={0: bad})


@pytest.mark.sanitize
@pytest.mark.parametrize("name", ["not json", "varchar too long", "unique constraint", "trigger exception"])
def test_a_restart_stands_at_the_same_place_until_the_operator_acts(bench, name):
    log, bad = bad_log(bench, BAD[name])
    config = bench.config(log)
    here = at(log, 0, bad)
    for _ in range(2):
        d = bench.start(config, ready=False).allow(here)
        d.wait_log(here)
        bench.wait_stored(log, ends={0: bad, 1: log.count(1)})
        assert len(d.lines("error")) == 1
        bench.check(log, contents=contents, stops={0: bad})
    bench.move(log, 0, bad + 1)
    bench.drain(config)
    bench.check(log, contents=contents, without={(0, bad)})


@pytest.mark.sanitize
@pytest.mark.parametrize("name", ["not json", "check constraint"])
def test_the_operator_moves_past_it_while_the_daemon_runs(bench, name):
    log, bad = bad_log(bench, BAD[name])
    here = at(log, 0, bad)
    d = bench.start(bench.config(log), ready=False).allow(here)
    d.wait_log(here)
    bench.wait_stored(log, ends={0: bad})
    bench.move(log, 0, bad + 1)
    bench.wait_stored(log)
    assert len(d.lines("error")) == 1
    bench.check(log, contents=contents, without={(0, bad)})


def test_the_operator_mends_the_table(bench):
    """The fault was in the table, not in the record: after resume() it goes on without a loss."""
    log, bad = bad_log(bench, b'{"id": 1, "short": "sixsix"}')
    d = bench.start(bench.config(log), ready=False).allow(at(log, 0, bad))
    d.wait_log(at(log, 0, bad))
    d.terminate()
    bench.sql("ALTER TABLE events ALTER short TYPE varchar(10)")
    standing.resume(bench)
    bench.drain(bench.config(log))
    bench.check(log, contents=contents)


@pytest.mark.parametrize("name", ["not json", "foreign key"])
@pytest.mark.parametrize("place", ["first", "last"])
def test_a_bad_record_at_the_edge(bench, name, place):
    before, after = (0, 50) if place == "first" else (50, 0)
    log = bench.topic(partitions=2)
    bench.sql(TABLE)
    log.fill(2 * before)
    bad = log.send(BAD[name]).offset
    log.fill(2 * after)
    d = bench.start(bench.config(log), ready=False).allow(at(log, 0, bad))
    d.wait_log(at(log, 0, bad))
    bench.wait_stored(log, ends={0: bad, 1: log.count(1)})
    bench.check(log, contents=contents, stops={0: bad})


@pytest.mark.sanitize
def test_every_partition_stops_at_its_own_bad_record(bench):
    """Bad for the daemon and bad for PostgreSQL, mixed in the same batches."""
    log = bench.topic(partitions=4)
    bench.sql(TABLE)
    stops = {}
    log.fill(400)
    for p, name in enumerate(["not json", "check constraint", "foreign key", "varchar too long"]):
        stops[p] = log.send(BAD[name], p).offset
    log.fill(4000)
    for p, name in enumerate(["foreign key", "not json", "cut off", "trigger exception"]):
        log.send(BAD[name], p)
    d = bench.start(bench.config(log), ready=False).allow(*(at(log, p, o) for p, o in stops.items()))
    for p, offset in stops.items():
        d.wait_log(at(log, p, offset))
    bench.wait_stored(log, ends=stops)
    assert len(d.lines("error")) == 4
    bench.check(log, contents=contents, stops=stops)


def test_one_bad_record_in_a_large_batch_is_found_quickly(bench):
    """PostgreSQL refuses it, so the daemon must find out which of 50,000 it was."""
    log = bench.topic(partitions=1)
    bench.sql(TABLE)
    log.fill(40_000)
    bad = log.send(BAD["check constraint"]).offset
    log.fill(10_000)
    d = bench.start(bench.config(log), ready=False).allow(at(log, 0, bad))
    bench.wait_stored(log, ends={0: bad}, timeout=20)
    d.wait_log(at(log, 0, bad))
    bench.check(log, contents=contents, stops={0: bad})


def test_many_bad_records_one_after_the_other(bench):
    log = bench.topic(partitions=1)
    bench.sql(TABLE)
    bad = [log.send(value).offset for value in (BAD["not json"], BAD["check constraint"], BAD["tombstone"])]
    log.fill(10)
    d = bench.start(bench.config(log), ready=False).allow(*(at(log, 0, o) for o in bad))
    for offset in bad:
        d.wait_log(at(log, 0, offset))
        bench.move(log, 0, offset + 1)
    bench.wait_stored(log)
    assert len(d.lines("error")) == 3
    bench.check(log, contents=contents, without={(0, o) for o in bad})


def test_a_deferred_constraint_fails_at_commit(bench):
    """The error comes with the answer to COMMIT and names no row."""
    log = bench.topic(partitions=2)
    bench.sql(TABLE)
    bench.sql("ALTER TABLE events ALTER CONSTRAINT events_parent_fkey DEFERRABLE INITIALLY DEFERRED")
    log.fill(200)
    bad = log.send(BAD["foreign key"]).offset
    log.fill(200)
    d = bench.start(bench.config(log), ready=False).allow(at(log, 0, bad))
    d.wait_log(at(log, 0, bad))
    bench.wait_stored(log, ends={0: bad, 1: log.count(1)})
    bench.check(log, contents=contents, stops={0: bad})


def test_until_end_with_a_stopped_partition_exits_1(bench):
    log, bad = bad_log(bench, BAD["not json"])
    d = bench.drain(bench.config(log), code=1, allow=[at(log, 0, bad), "not read to its end"])
    assert re.search(at(log, 0, bad), d.lines("error")[0])
    bench.check(log, contents=contents, stops={0: bad})


def test_one_of_two_routes_cannot_take_it(bench):
    """The partition stops for both tables: there is one offset for it."""
    log = bench.topic(partitions=1)
    bench.sql(TABLE)
    bench.sql("CREATE TABLE landing (seq bigint GENERATED ALWAYS AS IDENTITY, _partition int, _offset bigint, value bytea)")
    log.fill(100)
    bad = log.send(b"not json").offset
    log.fill(100)
    routes = [
        {"topics": [log.topic], "table": "landing", "format": "raw", "on_error": "stop"},
        {"topics": [log.topic], "table": "events", "format": "json", "on_error": "stop"},
    ]
    d = bench.start(bench.config(routes=routes), ready=False).allow(at(log, 0, bad))
    d.wait_log(at(log, 0, bad))
    bench.wait_stored(log, ends={0: bad})
    bench.check(log, contents=contents, stops={0: bad})
    bench.check(log, "landing", contents=lambda r: {"value": r.value}, stops={0: bad})


def test_tombstones_and_null_become_rows_where_no_column_minds(bench):
    log = bench.topic(partitions=1)
    bench.sql("CREATE TABLE events (seq bigint GENERATED ALWAYS AS IDENTITY, _partition int, _offset bigint, id int)")
    log.send(None, key=b"gone")
    log.send(b"null")
    log.send(b'{"id": 1}')
    bench.drain(bench.config(log))
    bench.check(log, contents=ledger.offsets_only)
    assert bench.sql("SELECT id FROM events ORDER BY _offset") == [(None,), (None,), (1,)]


@pytest.mark.sanitize
def test_a_rebalance_does_not_move_a_stopped_partition(bench):
    log, bad = bad_log(bench, BAD["unique constraint"])
    config = bench.config(log)
    first = bench.start(config, ready=False).allow(at(log, 0, bad))
    first.wait_log(at(log, 0, bad))
    second = bench.start(config).allow(at(log, 0, bad))
    log.fill(100)
    bench.wait_stored(log, ends={0: bad, 1: log.count(1)})
    first.terminate()
    log.fill(100)
    bench.wait_stored(log, ends={0: bad, 1: log.count(1)})
    wait.stays(lambda: second.running and bench.next_offset(log) == bad, "standing", 1)
    bench.check(log, contents=contents, stops={0: bad})
