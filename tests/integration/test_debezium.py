"""Change events as Debezium really writes them: a source table becomes a target table that is its equal."""

import random

import pytest

from kit import wait
from kit.connect import Connect
from kit.debezium import Mirror, Source
from kit.source_tables import EXTREMES, TYPES, UNKNOWN, check, insert, prepare_types, route, same, tables

pytestmark = pytest.mark.timeout(180)


@pytest.fixture(scope="module")
def shared_connect(root, shared_kafka):
    """Kafka Connect for all tests of this file: its start is what takes time."""
    worker = Connect(root, shared_kafka.bootstrap, "postgres").start()
    yield worker
    worker.destroy()


@pytest.fixture
def connect(shared_connect, postgres, kafka):  # noqa: ARG001 - both are running, whatever the test before did
    return shared_connect


STOPPED = r"is not read to its end"

# What differs where a record has no schema part: see docs/debezium.md.
WITHOUT_SCHEMA = {"decimal_handling_mode": "string"}
ALWAYS = {"interval_handling_mode": "string"}


def options(schemas):
    return ALWAYS | ({} if schemas else WITHOUT_SCHEMA)


# ---- types ----


@pytest.mark.parametrize("schemas", [True, False], ids=["schema", "plain"])
def test_every_type(bench, connect, schemas):
    """Read by a snapshot, and followed: each value arrives as it was, also at the ends of its range."""
    prepare_types(bench)
    types = TYPES | (UNKNOWN if schemas else {})
    tables(bench, types="id int PRIMARY KEY, " + ", ".join(f"{name} {kind}" for name, (kind, _) in types.items()))
    usual = {name: value for name, (_, value) in types.items()}
    rows = [usual, {}, *EXTREMES]
    for i, row in enumerate(rows):
        insert(bench, row, i)
    with Source(bench, connect, schemas=schemas, include_unknown_datatypes="true", **options(schemas)) as source:
        for i, row in enumerate(rows):
            insert(bench, row, 100 + i)
        bench.sql("UPDATE source.types SET i4 = 1 WHERE id = 0")
        log = source.log("types", 2 * len(rows) + 1)
    bench.drain(bench.config(routes=[route(source, "types")]))
    check(bench, log, "types")


@pytest.mark.parametrize("mode", ["connect", "microseconds", "nanoseconds", "adaptive_time_microseconds", "isostring"])
def test_units_of_times_without_a_schema(bench, connect, mode):
    """The route says what the records do not: the source's time.precision.mode."""
    tables(bench, times="id int PRIMARY KEY, ti time(3), ts timestamp(3), ts6 timestamp(3), da date")
    with Source(bench, connect, time_precision_mode=mode) as source:
        bench.sql(
            "INSERT INTO source.times VALUES (1, '13:14:15.123', '2024-02-29 13:14:15.123', '1900-01-01', '2024-02-29')"
        )
        log = source.log("times", 1)
    precision = {} if mode == "isostring" else {"time_precision": mode}
    bench.drain(bench.config(routes=[route(source, "times", **precision)]))
    check(bench, log, "times")


# ---- changes ----


@pytest.mark.quick
@pytest.mark.parametrize("schemas", [True, False], ids=["schema", "plain"])
def test_changes_of_a_table(bench, connect, schemas):
    """Inserts, updates, deletes, changes of the key, and a truncate in the middle, while the daemon runs."""
    tables(bench, things="a int, b text, note text, at timestamptz DEFAULT now(), PRIMARY KEY (a, b)")
    bench.sql("INSERT INTO source.things SELECT i, 'x', 'snapshot' FROM generate_series(1, 100) AS i")
    with Source(bench, connect, schemas=schemas, **options(schemas)) as source:
        d = bench.start(bench.config(routes=[route(source, "things")]))
        log = source.log("things", 100)
        bench.wait_stored(log)
        same(bench, "things")
        bench.sql("UPDATE source.things SET note = 'changed' WHERE a % 2 = 0")
        bench.sql("UPDATE source.things SET b = 'y' WHERE a % 10 = 0")
        bench.sql("UPDATE source.things SET a = a + 1000 WHERE a > 90")
        bench.sql("DELETE FROM source.things WHERE a BETWEEN 20 AND 30")
        bench.sql("UPDATE source.things SET note = NULL WHERE a = 1")
        log = source.log("things", 100 + 50 + 10 * 3 + 10 * 3 + 11 * 2 + 1)
        bench.wait_stored(log)
        same(bench, "things")
        count = log.count()
        bench.sql("TRUNCATE source.things")
        bench.sql("INSERT INTO source.things VALUES (1, 'new', 'after')")
        log = source.log("things", count + 2)
        bench.wait_stored(log)
        assert d.running
    check(bench, log, "things")


def test_a_random_history_in_one_batch_and_in_many(bench, connect):
    """The same events, read at once and a few at a time, come to the same table."""
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")
    rng = random.Random(seed)
    tables(bench, things="id int PRIMARY KEY, n int, short text, big text")
    bench.sql("ALTER TABLE source.things ALTER big SET STORAGE EXTERNAL")
    bench.sql("CREATE TABLE target.again (LIKE target.things INCLUDING ALL)")
    with Source(bench, connect) as source:
        for _ in range(600):
            ident = rng.randint(1, 25)
            what = rng.choices(["put", "change", "big", "move", "delete", "truncate"], [8, 12, 6, 3, 4, 0.2])[0]
            if what == "put":
                big = f"repeat('{rng.randint(0, 9)}', {rng.choice([10, 3000])})"
                bench.sql(
                    f"INSERT INTO source.things VALUES ({ident}, 0, 'a', {big}) ON CONFLICT (id) DO UPDATE SET n = 7"
                )
            elif what == "change":
                bench.sql(f"UPDATE source.things SET n = n + 1, short = 's{rng.randint(0, 99)}' WHERE id = {ident}")
            elif what == "big":
                bench.sql(f"UPDATE source.things SET big = repeat('{rng.randint(0, 9)}', 4000) WHERE id = {ident}")
            elif what == "move":  # tells big too, or it would be lost: see below
                bench.sql(
                    f"UPDATE source.things SET id = {ident + 100}, big = 'moved' WHERE id = {ident}"
                    f" AND NOT EXISTS (SELECT FROM source.things WHERE id = {ident + 100})"
                )
            elif what == "delete":
                bench.sql(f"DELETE FROM source.things WHERE id IN ({ident}, {ident + 100})")
            else:
                bench.sql("TRUNCATE source.things")
        bench.sql("INSERT INTO source.things VALUES (-1, 0, 'the end', '')")
        wait.until(lambda: ends_with(source.log("things", 1), b'"the end"'), "the last event")
        log = source.log("things", 1)
    bench.drain(bench.config(routes=[route(source, "things")]))
    few = bench.config(routes=[route(source, "things", table="target.again")], batch={"max_rows": 3})
    few["sink"] = f"{bench.sink}-few"
    bench.drain(few)
    assert not Mirror("source.things").faults(bench.db, "target.again", [])
    check(bench, log, "things")


def ends_with(log, text):
    last = max(log.records[0])
    return text in (log.records[0][last].value or b"")


def test_killed_in_the_middle(bench, connect):
    """What was under way when the daemon died is neither lost nor done twice, a truncate among it."""
    tables(bench, things="id int PRIMARY KEY, n int")
    with Source(bench, connect) as source:
        bench.sql("INSERT INTO source.things SELECT i, 0 FROM generate_series(1, 2000) AS i")
        bench.sql("TRUNCATE source.things")
        bench.sql("INSERT INTO source.things SELECT i, 0 FROM generate_series(1, 2000) AS i")
        bench.sql("UPDATE source.things SET n = n + 1")
        bench.sql("DELETE FROM source.things WHERE id % 3 = 0")
        log = source.log("things", 6001 + 2 * 666)
    config = bench.config(routes=[route(source, "things")], batch={"max_rows": 50})
    for share in (0.2, 0.5, 0.8):
        d = bench.start(config, ready=False)
        wait.until(lambda share=share: bench.next_offsets(log).get(0, 0) > share * log.count(), "a share to be stored")
        d.kill()
    bench.drain(config)
    check(bench, log, "things")


# ---- TOAST ----


@pytest.mark.parametrize("schemas", [True, False], ids=["schema", "plain"])
def test_a_large_value_that_did_not_change_is_left_alone(bench, connect, schemas):
    """PostgreSQL does not log it, Debezium writes a placeholder, the target keeps what it has."""
    large = {"te": "text NOT NULL", "vc": "varchar", "by": "bytea", "jb": "jsonb", "xm": "xml", "at": "text[]",
             "ai": "int[]", "au": "uuid[]", "aby": "bytea[]", "hs": "public.hstore"}  # fmt: skip
    bench.sql("CREATE EXTENSION hstore")
    tables(bench, large="id int PRIMARY KEY, n int, " + ", ".join(f"{name} {kind}" for name, kind in large.items()))
    for name in large:
        bench.sql(f"ALTER TABLE source.large ALTER {name} SET STORAGE EXTERNAL")
    with Source(bench, connect, schemas=schemas, **options(schemas)) as source:
        bench.sql(
            "INSERT INTO source.large SELECT i, 0, repeat('t', 3000), repeat('v', 3000), repeat('b', 3000)::bytea,"
            """ ('"' || repeat('j', 3000) || '"')::jsonb, ('<a>' || repeat('x', 3000) || '</a>')::xml,"""
            " array_fill('x'::text, ARRAY[1000]), array_fill(7, ARRAY[1000]),"
            " array_fill('a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'::uuid, ARRAY[300]),"
            " array_fill('x'::bytea, ARRAY[1000]), hstore('k', repeat('h', 3000))"
            " FROM generate_series(1, 3) AS i"
        )
        bench.sql("UPDATE source.large SET n = 1")
        bench.sql("UPDATE source.large SET n = 2, vc = 'short', at = '{a}' WHERE id = 2")
        log = source.log("large", 7)
        bench.drain(bench.config(routes=[route(source, "large")]))  # all in one batch
        same(bench, "large")
        bench.sql("UPDATE source.large SET n = 3")
        log = source.log("large", 10)
    assert b"__debezium_unavailable_value" in log.records[0][9].value
    bench.drain(bench.config(routes=[route(source, "large")]))  # of rows that are there
    check(bench, log, "large")


def test_a_new_key_without_a_large_value_is_a_fault(bench, connect):
    """Debezium makes a delete and a create of it, and the create lacks what did not change: the row would be
    stored without it. With REPLICA IDENTITY FULL nothing is lacking."""
    tables(bench, large="id int PRIMARY KEY, big text")
    bench.sql("ALTER TABLE source.large ALTER big SET STORAGE EXTERNAL")
    with Source(bench, connect) as source:
        bench.sql("INSERT INTO source.large VALUES (1, repeat('x', 3000))")
        bench.sql("ALTER TABLE source.large REPLICA IDENTITY FULL")
        bench.sql("UPDATE source.large SET id = 2")
        log = source.log("large", 4)
        config = bench.config(routes=[route(source, "large")])
        bench.drain(config)
        same(bench, "large")
        bench.sql("ALTER TABLE source.large REPLICA IDENTITY DEFAULT")
        bench.sql("UPDATE source.large SET id = 3")
        log = source.log("large", 7)
    d = bench.drain(config, code=1, allow=[r"the source did not report the value of .big.", STOPPED])
    assert "REPLICA IDENTITY FULL" in d.log()
    bench.check(log, "target.large", model=Mirror("(SELECT 1 WHERE false)"), stops={0: 6})


# ---- truncates, deletes, histories ----


def test_a_truncate_can_be_ignored(bench, connect):
    tables(bench, things="id int GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY")
    with Source(bench, connect) as source:
        bench.sql("INSERT INTO source.things VALUES (1)")
        bench.sql("TRUNCATE source.things")
        bench.sql("INSERT INTO source.things VALUES (2)")
        log = source.log("things", 3)
    bench.drain(bench.config(routes=[route(source, "things", on_truncate="ignore")]))
    check(bench, log, "things", "(1), (2)")


def test_a_truncate_of_tables_that_refer_to_each_other(bench, connect):
    """TRUNCATE refuses a table that a foreign key refers to, even an empty one."""
    tables(bench, parents="id int PRIMARY KEY", children="id int PRIMARY KEY, parent int")
    bench.sql("ALTER TABLE target.children ADD FOREIGN KEY (parent) REFERENCES target.parents")
    with Source(bench, connect) as source:
        bench.sql("INSERT INTO source.parents VALUES (1), (2)")
        bench.sql("INSERT INTO source.children VALUES (1, 1), (2, 2)")
        source.log("parents", 2)
        source.log("children", 2)
        for name in ("parents", "children"):
            bench.drain(bench.config(routes=[route(source, name)]))
        same(bench, "parents", "children")
        bench.sql("TRUNCATE source.parents, source.children")
        bench.sql("INSERT INTO source.parents VALUES (3)")
        logs = [source.log("parents", 4), source.log("children", 3)]
    for name in ("children", "parents"):
        bench.drain(bench.config(routes=[route(source, name)]))
    for log, name in zip(logs, ("parents", "children"), strict=True):
        check(bench, log, name)


def test_soft_deletes_and_versions(bench, connect):
    """A deleted row is marked; what is older than the row in the table changes nothing."""
    tables(bench, things="id int PRIMARY KEY, note text")
    bench.sql("ALTER TABLE target.things ADD gone boolean NOT NULL DEFAULT false, ADD lsn bigint")
    with Source(bench, connect) as source:
        bench.sql("INSERT INTO source.things VALUES (1, 'a'), (2, 'b'), (3, 'c')")
        bench.sql("DELETE FROM source.things WHERE id = 1")
        bench.sql("UPDATE source.things SET note = 'changed' WHERE id = 2")
        log = source.log("things", 6)
    more = {"soft_delete": "gone", "on_truncate": "ignore", "only_if_newer": "lsn",
            "columns": {"lsn": "value.source.lsn"}}  # fmt: skip
    bench.drain(bench.config(routes=[route(source, "things", **more)]))
    rows = "SELECT id, note, gone FROM target.things ORDER BY id"
    assert bench.sql(rows) == [(1, "a", True), (2, "changed", False), (3, "c", False)]
    bench.sql("UPDATE target.things SET lsn = lsn + 1, note = 'newer' WHERE id = 2")
    again = bench.config(routes=[route(source, "things", **more)])
    again["sink"] = f"{bench.sink}-again"
    bench.drain(again)
    rows = "(1, 'a', true), (2, 'newer', false), (3, 'c', false)"
    bench.check(log, "(SELECT id, note, gone FROM target.things)", model=Mirror(f"(VALUES {rows})"))


def test_a_history(bench, connect):
    """Mode append: each change is a row, a delete the row as it was."""
    tables(bench, things="id int PRIMARY KEY, note text")
    bench.sql("ALTER TABLE source.things REPLICA IDENTITY FULL")
    bench.sql("CREATE TABLE target.history (seq int GENERATED ALWAYS AS IDENTITY, id int, note text, op text,"
              " was text, at timestamptz)")  # fmt: skip
    with Source(bench, connect, schemas=True) as source:
        bench.sql("INSERT INTO source.things VALUES (1, 'a')")
        bench.sql("UPDATE source.things SET note = 'b'")
        bench.sql("DELETE FROM source.things")
        bench.sql("TRUNCATE source.things")
        log = source.log("things", 5)
    columns = {"op": "value.op", "was": "value.before.note", "at": {"from": "value.ts_ms", "unit": "ms"}}
    bench.drain(
        bench.config(routes=[route(source, "things", table="target.history", mode="append", columns=columns)])
    )
    rows = bench.sql("SELECT id, note, op, was FROM target.history ORDER BY seq")
    assert rows == [(1, "a", "c", None), (1, "b", "u", "a"), (1, "b", "d", "b")]
    assert bench.value("SELECT min(now() - at) < '10 min' AND max(now() - at) >= '0' FROM target.history")
    rows = "(1, 'a', 'c', NULL), (1, 'b', 'u', 'a'), (1, 'b', 'd', 'b')"
    bench.check(log, "(SELECT id, note, op, was FROM target.history)", model=Mirror(f"(VALUES {rows})"))


def test_what_is_no_change_event(bench):
    """A record of another kind stops its partition, with words that say what is wrong."""
    log = bench.topic()
    bench.sql("CREATE TABLE things (id int PRIMARY KEY)")
    log.send(b'{"before": null, "after": {"id": 1}, "op": "c"}')
    log.send(b'{"id": 2}')
    config = bench.config(log, "things", route={"envelope": "debezium", "mode": "upsert"})
    bench.drain(config, code=1, allow=[r"the value is not a change event: it has no field .op.", STOPPED])
    bench.check(log, "things", model=Mirror("(VALUES (1))"), stops={0: 1})


def test_a_truncate_beside_a_refused_row(bench, connect):
    """A batch in which PostgreSQL refuses a row is tried row by row, and the truncate in its place."""
    tables(bench, things="id int PRIMARY KEY, n int")
    bench.sql("ALTER TABLE target.things ADD CHECK (n < 10)")
    with Source(bench, connect) as source:
        bench.sql("INSERT INTO source.things VALUES (1, 1), (2, 20)")
        bench.sql("TRUNCATE source.things")
        bench.sql("INSERT INTO source.things VALUES (3, 3), (4, 40), (5, 5)")
        log = source.log("things", 6)
    bench.drain(bench.config(routes=[route(source, "things", on_error="dead_letter")]))
    dead = {(0, 1), (0, 4)}
    assert bench.value("SELECT count(*) FROM pgsinkd.dead_letters WHERE sqlstate = '23514'") == len(dead)
    check(bench, log, "things", "(3, 3), (5, 5)", dead=dead)


def test_a_condition_sees_the_envelope(bench, connect):
    tables(bench, things="id int PRIMARY KEY, kind text")
    with Source(bench, connect, schemas=True) as source:
        bench.sql("INSERT INTO source.things VALUES (1, 'a'), (2, 'b')")
        bench.sql("UPDATE source.things SET kind = 'c' WHERE id = 1")
        log = source.log("things", 3)
    when = "value.op = 'c' and value.after.kind in ('a', 'b')"
    bench.drain(bench.config(routes=[route(source, "things", when=when)]))
    check(bench, log, "things", "(1, 'a'), (2, 'b')")


def test_the_source_names_the_table(bench, connect):
    """Changes of several tables in one topic: the envelope says which one."""
    tables(bench, cats="id int PRIMARY KEY, name text", dogs="id int PRIMARY KEY, good bool")
    reroute = {"transforms": "one", "transforms_one_type": "io.debezium.transforms.ByLogicalTableRouter",
               "transforms_one_topic_regex": "(.*)(cats|dogs)", "transforms_one_topic_replacement": "$1all"}  # fmt: skip
    with Source(bench, connect, schemas=True, **reroute) as source:
        bench.sql("INSERT INTO source.cats VALUES (1, 'a'), (2, 'b')")
        bench.sql("INSERT INTO source.dogs VALUES (1, true), (3, false)")
        bench.sql("DELETE FROM source.cats WHERE id = 1")
        bench.sql("TRUNCATE source.dogs")
        bench.sql("INSERT INTO source.dogs VALUES (4, true)")
        log = source.log("all", 8)
    named = route(source, "all", table="target.{value.source.table}", tables=["cats", "dogs"])
    bench.drain(bench.config(routes=[named]))
    same(bench, "cats")
    check(bench, log, "dogs")


@pytest.mark.parametrize("schemas", [True, False], ids=["schema", "plain"])
def test_sql_sees_the_envelope(bench, connect, schemas):
    """An expression gets the envelope as `value`, without its schema part."""
    tables(bench, people="id int PRIMARY KEY, mail text")
    bench.sql("ALTER TABLE target.people ADD op text")
    with Source(bench, connect, schemas=schemas) as source:
        bench.sql("INSERT INTO source.people VALUES (1, 'Ada@Example'), (2, 'Bob@Example'), (3, NULL)")
        bench.sql("DELETE FROM source.people WHERE id = 2")
        bench.sql("UPDATE source.people SET mail = 'ADA' WHERE id = 1")
        log = source.log("people", 6)
    columns = {"mail": {"sql": "lower(value->'after'->>'mail')"}, "op": {"sql": "value->>'op'"}}
    bench.drain(bench.config(routes=[route(source, "people", columns=columns)]))
    check(bench, log, "people", "(1, 'ada', 'u'), (3, NULL, 'c')")
