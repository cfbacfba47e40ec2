"""A table is altered while the daemon runs: the catalog is read again, and nothing is lost or damaged."""

import pytest

from kit import wait
from kit.model import Model

PATHS = ["copy", "unnest"]

def numbers(bench, log, n):
    for _ in range(n):
        log.send_json(partition=0, seq=log.count(), a=log.count(), b="x", c=7)

@pytest.mark.quick
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
    # every second record goes into each table; an identity leaves numbers out when a transaction is rolled back
    place = "2 * row_number() OVER (ORDER BY seq)"
    bench.sql(f"CREATE VIEW events AS SELECT {place} AS seq, _partition, _offset FROM events_a"
              f" UNION ALL SELECT {place} + 1, _partition, _offset FROM events_b")
    bench.check(log, contents=lambda r: {})
    assert d.wait_exit(10) == 0


@pytest.mark.parametrize("path", PATHS)
def test_a_column_is_added_to_rows_with_a_key(bench, path):
    log = bench.topic()
    bench.sql("CREATE TABLE events (a int PRIMARY KEY, b text)")
    d = bench.start(bench.config(log, route={"mode": "upsert"}, batch={"write_path": path}))
    d.allow("have changed")
    numbers(bench, log, 10)
    bench.wait_stored(log)
    bench.sql("ALTER TABLE events ADD COLUMN c int")
    wait.until(
        lambda: numbers(bench, log, 1) or bench.value("SELECT count(c) FROM events WHERE c = 7"),
        "the new column to be filled",
    )
    bench.wait_stored(log)
    assert d.running
    bench.check(log, model=Model("upsert", ["a"], ["a", "b"]))


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("mode", ["append", "upsert"])
def test_a_column_that_must_not_be_null_is_added(bench, mode, path):
    """PostgreSQL refuses rows that were made before; that is no fault of their records."""
    log = bench.topic()
    bench.sql("CREATE TABLE events (seq bigint GENERATED ALWAYS AS IDENTITY, _partition int, _offset bigint, a int UNIQUE)")
    route = {"mode": mode, "on_error": "dead_letter"} | ({"key": ["a"]} if mode == "upsert" else {})
    d = bench.start(bench.config(log, route=route, batch={"write_path": path}))
    d.allow("have changed")
    numbers(bench, log, 10)
    bench.wait_stored(log)
    bench.sql("ALTER TABLE events ADD COLUMN c int; UPDATE events SET c = 7; ALTER TABLE events ALTER COLUMN c SET NOT NULL")
    for _ in range(5):
        numbers(bench, log, 20)
    bench.wait_stored(log)
    assert d.running
    bench.check(log, dead=0, contents=lambda r: {"a": r.json["a"], "c": 7})


UNUSABLE = {
    "DROP TABLE events": "CREATE TABLE events (a int PRIMARY KEY, b text)",
    "ALTER TABLE events DROP COLUMN b": "ALTER TABLE events ADD COLUMN b text",
    "DROP INDEX by_a": "CREATE UNIQUE INDEX ON events (a)",
}
SAID = {
    "DROP TABLE events": "does not exist",
    "ALTER TABLE events DROP COLUMN b": "has no column 'b'",
    "DROP INDEX by_a": "has no unique index on",
}


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("alter", UNUSABLE)
def test_a_table_that_the_route_cannot_use_any_more(bench, alter, path):
    """Its partition is parked, with no dead letter and a word about what it needs, and goes on when the table fits."""
    log = bench.topic()
    bench.sql("CREATE TABLE events (a int, b text); CREATE UNIQUE INDEX by_a ON events (a)")
    route = {"mode": "upsert", "key": ["a"], "columns": {"b": "value.b"}, "on_error": "dead_letter"}
    d = bench.start(bench.config(log, route=route, batch={"write_path": path}), times="retry=100ms,retry_max=500ms")
    d.allow("events")
    numbers(bench, log, 10)
    bench.wait_stored(log)
    bench.sql(alter)
    numbers(bench, log, 1)
    d.wait_log(f"parked: .*{SAID[alter]}")
    bench.sql(UNUSABLE[alter])
    bench.wait_stored(log)
    d.wait_log("moves again; it was parked")
    assert d.running
    bench.move(log, 0, 0)
    bench.wait_stored(log)
    bench.check(log, dead=0, model=Model("upsert", ["a"], ["a", "b"]))


EVENTS = "CREATE TABLE events (seq bigint GENERATED ALWAYS AS IDENTITY, _partition int, _offset bigint, a int, b text)"


def some(log, n, partition):
    for _ in range(n):
        log.send_json(partition=partition, a=1, b="x", c=7)


def test_a_worker_that_was_idle_at_the_first_change_meets_the_second(bench):
    log = bench.topic(partitions=2)
    bench.sql(EVENTS)
    d = bench.start(bench.config(log, workers=2, batch={"write_path": "copy"}))
    d.allow("changed")
    for p in (0, 1):
        some(log, 5, p)
    bench.wait_stored(log)
    bench.sql("ALTER TABLE events ADD COLUMN c int")
    some(log, 5, 0)
    bench.wait_stored(log)
    bench.sql("ALTER TABLE events DROP COLUMN b")
    some(log, 5, 1)
    bench.wait_stored(log)
    assert d.running
    bench.check(log, contents=lambda r: {"a": 1})


@pytest.mark.parametrize("path", PATHS)
def test_a_migration_of_many_statements(bench, path):
    log = bench.topic()
    bench.sql(EVENTS)
    d = bench.start(bench.config(log, batch={"write_path": path}))
    d.allow("changed")
    some(log, 5, 0)
    bench.wait_stored(log)
    for n in range(12):
        bench.sql(f"ALTER TABLE events ADD COLUMN x{n} int")
        some(log, 20, 0)
    bench.wait_stored(log)
    assert d.running
    bench.check(log, contents=lambda r: {"a": 1})


@pytest.mark.parametrize("delivery", ["exactly_once", "at_most_once"])
def test_partitions_are_revoked_while_the_catalog_is_read(bench, delivery):
    """The catalog cannot be read for a while: what waits for it is given back, not kept."""
    log = bench.topic(partitions=2)
    bench.sql(EVENTS)
    proxy, dsn = bench.postgres_proxy()
    d = bench.start(bench.config(log, workers=1, delivery=delivery, postgres={"dsn": dsn}))
    d.allow("changed", "does not exist", "revoked partition")
    for p in (0, 1):
        some(log, 5, p)
    wait.until(lambda: bench.rows() == 10, "the first rows")
    target = proxy.target
    proxy.target = ("127.0.0.1", 1)  # for new connections
    bench.sql("ALTER TABLE events DROP COLUMN b")
    for p in (0, 1):
        some(log, 5, p)
    d.wait_log("does not exist")
    e = bench.start(bench.config(log, workers=1, delivery=delivery), ready=False)
    d.wait_log("revoked")
    proxy.target = target
    e.wait_ready(60)
    for p in (0, 1):
        some(log, 5, p)
    wait.until(lambda: bench.rows() == 30, "all rows", 60)
    bench.check(log, contents=lambda r: {"a": 1}, delivery=delivery)


def test_a_column_for_headers_is_added(bench):
    log = bench.topic()
    bench.sql("CREATE TABLE events (seq bigint GENERATED ALWAYS AS IDENTITY, _partition int, _offset bigint, a int)")
    d = bench.start(bench.config(log))
    d.allow("changed")
    log.send_json(a=1)
    bench.wait_stored(log)
    bench.sql("ALTER TABLE events ADD COLUMN _headers jsonb")

    def arrives():
        log.send(b'{"a": 1}', headers=[("h", b"v")])
        return bench.value("SELECT count(*) FROM events WHERE _headers->>'h' = 'v'")

    wait.until(arrives, "headers in the new column")
    bench.wait_stored(log)
    bench.check(log, contents=lambda r: {"a": 1})


def test_the_table_of_dead_letters_gets_a_column(bench):
    log = bench.topic()
    bench.sql(EVENTS)
    d = bench.start(bench.config(log, batch={"write_path": "copy"}, route={"on_error": "dead_letter"}))
    d.allow("dead letter")
    some(log, 1, 0)
    bench.wait_stored(log)
    bench.sql("ALTER TABLE pgsinkd.dead_letters ADD COLUMN ticket text")
    log.send(b"no json")
    bench.wait_stored(log)
    assert d.running
    bench.check(log, contents=lambda r: {"a": 1}, dead=1)
