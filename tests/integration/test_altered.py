"""A table is altered while the daemon runs: the catalog is read again, and nothing is lost or damaged."""

import pytest

from kit import wait

PATHS = ["copy", "unnest"]

def numbers(bench, log, n):
    for _ in range(n):
        log.send_json(partition=0, seq=log.count(), a=log.count(), b="x", c=7)

@pytest.mark.parametrize("path", PATHS)
def test_a_column_is_added(bench, path):
    log = bench.topic()
    bench.sql("CREATE TABLE events (seq bigint GENERATED ALWAYS AS IDENTITY, _partition int, _offset bigint, a int)")
    d = bench.start(bench.config(log, batch={"write_path": path}))
    d.allow("have changed")
    numbers(bench, log, 10)
    bench.wait_stored(log)
    bench.sql("ALTER TABLE events ADD COLUMN c int")
    wait.until(lambda: numbers(bench, log, 1) or bench.value("SELECT count(c) FROM events WHERE c = 7"), "the new column to be filled")
    bench.wait_stored(log)
    assert d.running
    bench.check(log, contents=lambda r: {"a": r.json["a"]})

@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("alter", ["ALTER COLUMN a TYPE bigint", "ALTER COLUMN a TYPE float4", "ALTER COLUMN a TYPE text",
    "DROP COLUMN b", "RENAME COLUMN b TO d"])
def test_a_column_changes(bench, path, alter):
    log = bench.topic()
    bench.sql("CREATE TABLE events (seq bigint GENERATED ALWAYS AS IDENTITY, _partition int, _offset bigint, a int, b text)")
    d = bench.start(bench.config(log, batch={"write_path": path}))
    d.allow("changed").allow("does not exist")
    numbers(bench, log, 10)
    bench.wait_stored(log)
    bench.sql("ALTER TABLE events " + alter)
    for _ in range(5):
        numbers(bench, log, 20)
    bench.wait_stored(log)
    assert d.running
    assert bench.value("SELECT count(*) FROM events WHERE a::text = (_offset)::text") == log.count()
    assert bench.value("SELECT count(*) FROM pgsinkd.dead_letters") == 0
    bench.check(log, contents=lambda r: {})


def test_a_role_that_may_insert_into_some_columns_only(bench):
    """It may not lock the table: its columns are compared all the same."""
    log = bench.topic()
    bench.sql("CREATE TABLE events (seq bigint GENERATED ALWAYS AS IDENTITY, _partition int, _offset bigint, a int)")
    role = f"clerk_{bench.sink}"
    bench.sql(f"CREATE ROLE {role} LOGIN PASSWORD 'clerk'")
    bench.sql(f"GRANT INSERT (_partition, _offset, a) ON events TO {role}")
    bench.sql(f"GRANT CREATE, TEMPORARY ON DATABASE {bench.database} TO {role}")
    d = bench.start(bench.config(log, batch={"write_path": "copy"}, postgres={"dsn": bench.dsn(user=role, password='clerk')}))
    d.allow("changed")
    numbers(bench, log, 10)
    bench.wait_stored(log)
    bench.sql("ALTER TABLE events ALTER COLUMN a TYPE float4")
    numbers(bench, log, 10)
    bench.wait_stored(log)
    bench.check(log, contents=lambda r: {"a": r.json["a"]})


def test_tables_named_by_records(bench):
    log = bench.topic()
    for name in ("events_a", "events_b"):
        bench.sql(f"CREATE TABLE {name} (seq bigint GENERATED ALWAYS AS IDENTITY, _partition int, _offset bigint, a int)")
    config = bench.config(log, "events_{value.t}", route={"tables": ["events_a", "events_b"]})
    d = bench.start(config)
    d.allow("changed")

    def send(n):
        for i in range(n):
            log.send_json(t="ab"[i % 2], a=i)

    send(10)
    bench.wait_stored(log)
    bench.sql("ALTER TABLE events_b RENAME COLUMN a TO was")
    bench.sql("ALTER TABLE events_b ADD COLUMN a text")
    wait.until(lambda: send(2) or bench.value("SELECT count(a) FROM events_b") > 0, "the new column to be filled")
    bench.wait_stored(log)
    bench.sql("CREATE VIEW events AS SELECT seq, _partition, _offset FROM events_a"
              " UNION ALL SELECT seq, _partition, _offset FROM events_b")
    bench.check(log, contents=lambda r: {})
    assert d.wait_exit(10) == 0
