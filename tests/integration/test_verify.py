"""What is missing on purpose: verify() must find each hole that was made by hand, and explain nothing away."""

import json

import pytest

from kit.bad import BAD, TABLE, contents


def drained(bench, records=1000, partitions=2, **changes):
    log = bench.topic(partitions=partitions)
    bench.plain_table()
    log.fill(records)
    file = bench.config(log, audit=True, workers=1, batch={"max_rows": 50}, **changes)
    bench.drain(file)
    bench.check(log)
    return log, file


def verified(bench, file, code):
    """The rows of `pgsinkd verify --json`, by what they say; its exit code is checked."""
    run = bench.command("verify", file, "--json")
    assert run.returncode == code, run.stdout + run.stderr
    return [json.loads(line) for line in run.stdout.splitlines()]


def findings(rows):
    return [
        (row["what"], row["partition"], row["from_offset"], row["next_offset"])
        for row in rows
        if row["what"] not in ("proven", "begin")
    ]


def id_of(bench, partition, place):
    """The id of the n-th row of history about the partition, of the oldest or the newest."""
    ids = bench.sql(
        "SELECT id, froms[1], nexts[1] FROM pgsinkd.history WHERE kind = 'store' AND partitions = ARRAY[%s::int] ORDER BY id",
        partition,
    )
    return ids[place]


@pytest.mark.quick
@pytest.mark.parametrize("place", [0, 3, -1])
def test_a_row_of_history_is_deleted(bench, place):
    log, file = drained(bench, partitions=1)
    assert findings(verified(bench, file, 0)) == []
    gone, first, after = id_of(bench, 0, place)
    bench.sql("DELETE FROM pgsinkd.history WHERE id = %s", gone)
    assert findings(verified(bench, file, 1)) == [("not proven", 0, 0, 1000), ("hole", 0, first, after)]


def test_the_oldest_rows_are_deleted(bench):
    """Also with the row that says where the partition began: the daemon has noted where history does."""
    log, file = drained(bench, partitions=1)
    bench.sql("SELECT pgsinkd.trim_history(%s, '1 h', 10)", bench.sink)
    bench.sql("UPDATE pgsinkd.history_starts SET next_offset = 0")
    gone, _, after = id_of(bench, 0, 2)
    bench.sql("DELETE FROM pgsinkd.history WHERE id <= %s", gone)
    assert findings(verified(bench, file, 1)) == [("not proven", 0, after, 1000), ("hole", 0, 0, after)]


def test_the_ledger_is_moved_behind_our_back(bench):
    """By somebody who turns the triggers off."""
    log, file = drained(bench)
    bench.sql("SET session_replication_role = replica")
    bench.sql("UPDATE pgsinkd.offsets SET next_offset = 480 WHERE partition = 0")
    bench.sql("UPDATE pgsinkd.offsets SET next_offset = 520 WHERE partition = 1")
    bench.sql("RESET session_replication_role")
    assert findings(verified(bench, file, 1)) == [
        ("not proven", 0, 0, 480), ("overlap", 0, 480, 500),
        ("not proven", 1, 0, 520), ("hole", 1, 500, 520),
    ]  # fmt: skip


def test_dead_letters_ahead_of_the_ledger(bench):
    """As after a restore of an older ledger: dead letters show it even without history."""
    log = bench.topic()
    bench.sql(TABLE)
    log.fill(10)
    letter = log.send(BAD["check constraint"])
    log.fill(10)
    file = bench.config(log, route={"on_error": "dead_letter", "max_dead_letters": "off"})
    bench.drain(file)
    bench.check(log, contents=contents, dead={(0, letter.offset)})
    assert findings(verified(bench, file, 1)) == [("no history", 0, None, 21)]
    bench.sql("SET session_replication_role = replica")
    bench.sql("UPDATE pgsinkd.offsets SET next_offset = 5")
    bench.sql("RESET session_replication_role")
    assert findings(verified(bench, file, 1)) == [("not proven", 0, None, 5), ("dead letters ahead", 0, 5, 5)]


def test_it_says_what_it_could_not_prove(bench):
    log, file = drained(bench)
    run = bench.command("verify", file)
    assert run.returncode == 0
    assert "2 of 2 partitions proven" in run.stdout
    bench.sql("TRUNCATE pgsinkd.history, pgsinkd.history_starts")
    run = bench.command("verify", file | {"audit": False})
    assert run.returncode == 1
    assert "0 of 2 partitions proven, 2 without history" in run.stdout
    assert "audit: true" in run.stdout
    run = bench.command("verify", file | {"sink": "another"})
    assert run.returncode == 1
    assert "nothing is proven" in run.stdout


def test_a_reader_needs_no_more_than_to_read(bench):
    log, file = drained(bench)
    role = f"role_{bench.sink}"
    bench.sql(f"CREATE ROLE {role} LOGIN PASSWORD 'x'")
    bench.sql(f"GRANT USAGE ON SCHEMA pgsinkd TO {role}")
    bench.sql(f"GRANT SELECT ON ALL TABLES IN SCHEMA pgsinkd TO {role}")
    dsn = bench.dsn(user=role, password="x")
    assert len(verified(bench, file | {"postgres": {"dsn": dsn}}, 0)) == 4
