"""Change events as Debezium really writes them in Avro, through Apicurio's converter and registry: a source table becomes
a target table that is its equal. What does not depend on the format is in test_debezium.py."""

import pytest

from kit.connect import Connect
from kit.debezium import Source, avro
from kit.source_tables import EXTREMES, TYPES, UNKNOWN, check, insert, prepare_types, same, tables
from kit.source_tables import route as plain_route

pytestmark = pytest.mark.timeout(180)


@pytest.fixture(scope="module")
def shared_connect(root, shared_kafka):
    """Kafka Connect for all tests of this file: its start is what takes time."""
    worker = Connect(root, shared_kafka.bootstrap, "postgres", avro=True).start()
    yield worker
    worker.destroy()


@pytest.fixture
def connect(shared_connect, shared_apicurio, postgres, kafka):  # noqa: ARG001 - all of them run
    return shared_connect


@pytest.fixture
def source(bench, connect, shared_apicurio):
    """Makes a source whose records are framed like that."""

    def make(framing="confluent", **options):
        defaults = {"interval_handling_mode": "string", "include_unknown_datatypes": "true"}
        return Source(bench, connect, **avro(shared_apicurio, framing) | defaults | options)

    return make


def config(bench, registry, routes, framing="confluent", **more):
    own = framing != "confluent"
    url = registry.url + ("" if own else "/apis/ccompat/v7")
    return bench.config(
        routes=routes, registry={"url": url, "flavor": "apicurio" if own else "confluent"}, **more
    )


def route(source, name, framing="confluent", **more):
    read = {"format": "avro", "key_format": "avro", "framing": "apicurio8" if framing == "apicurio8" else "auto"}
    return plain_route(source, name, **read | more)


# ---- types ----


def test_every_type(bench, source, shared_apicurio):
    """Read by a snapshot, and followed: each value arrives as it was, also at the ends of its range."""
    prepare_types(bench)
    types = TYPES | UNKNOWN
    tables(bench, types="id int PRIMARY KEY, " + ", ".join(f"{name} {kind}" for name, (kind, _) in types.items()))
    usual = {name: value for name, (_, value) in types.items()}
    rows = [usual, {}, *EXTREMES]
    for i, row in enumerate(rows):
        insert(bench, row, i)
    with source() as debezium:
        for i, row in enumerate(rows):
            insert(bench, row, 100 + i)
        bench.sql("UPDATE source.types SET i4 = 1 WHERE id = 0")
        log = debezium.log("types", 2 * len(rows) + 1)
    bench.drain(config(bench, shared_apicurio, [route(debezium, "types")]))
    check(bench, log, "types")


@pytest.mark.parametrize("mode", ["connect", "nanoseconds", "isostring"])
def test_units_of_times(bench, source, shared_apicurio, mode):
    """Connect's own logical types are Avro's in the schema, Debezium's stay names. The elements of arrays have units too."""
    tables(bench, times="id int PRIMARY KEY, ti time(3), ts timestamp(3), tz timestamptz(3), da date, ads date[]")
    with source(time_precision_mode=mode) as debezium:
        bench.sql(
            "INSERT INTO source.times VALUES (1, '13:14:15.123', '2024-02-29 13:14:15.123', '1969-12-31 23:00:00.5+00',"
            " '2024-02-29', '{1969-12-31,NULL}'), (2, NULL, NULL, NULL, NULL, NULL)"
        )
        log = debezium.log("times", 2)
    bench.drain(config(bench, shared_apicurio, [route(debezium, "times")]))
    check(bench, log, "times")


# ---- changes ----


@pytest.mark.parametrize("framing", ["headers", "confluent", "apicurio8"])
def test_changes_of_a_table(bench, source, shared_apicurio, framing):
    """Inserts, updates, deletes, changes of the key, a truncate, and columns that come and go, while the daemon runs."""
    tables(bench, things="a int, b text, note text, price numeric(10,2), PRIMARY KEY (a, b)")
    bench.sql("INSERT INTO source.things SELECT i, 'x', 'snapshot', i / 4.0 FROM generate_series(1, 100) AS i")
    with source(framing) as debezium:
        d = bench.start(config(bench, shared_apicurio, [route(debezium, "things", framing)], framing))
        log = debezium.log("things", 100)
        bench.wait_stored(log)
        same(bench, "things")
        bench.sql("UPDATE source.things SET note = 'changed' WHERE a % 2 = 0")
        bench.sql("UPDATE source.things SET b = 'y' WHERE a % 10 = 0")
        bench.sql("DELETE FROM source.things WHERE a BETWEEN 20 AND 30")
        bench.sql("UPDATE source.things SET note = NULL WHERE a = 1")
        log = debezium.log("things", 100 + 50 + 10 * 3 + 11 * 2 + 1)
        bench.wait_stored(log)
        same(bench, "things")
        count = log.count()
        for schema in ("target", "source"):  # what records bring needs a place
            bench.sql(f"ALTER TABLE {schema}.things ADD more int DEFAULT 7, DROP note, ALTER a TYPE bigint")
            bench.sql(f"ALTER TABLE {schema}.things ADD at timestamptz[] NOT NULL DEFAULT '{{}}'")
        bench.sql("INSERT INTO source.things VALUES (1::bigint << 40, 'new', 1.5, 9, '{2024-02-29}')")
        bench.sql("UPDATE source.things SET more = more + 1 WHERE a < 10")
        bench.sql("DELETE FROM source.things WHERE a = 11")
        log = debezium.log("things", count + 1 + 9 + 2)
        bench.wait_stored(log)
        same(bench, "things")
        bench.sql("TRUNCATE source.things")
        bench.sql("INSERT INTO source.things VALUES (1, 'new', 0, 0)")
        log = debezium.log("things", count + 1 + 9 + 2 + 2)
        bench.wait_stored(log)
        assert d.running
    first = log.records[0][0]
    names = {name.split(".")[-1] for name, _ in first.headers or ()}
    assert ("globalId" in names) == (framing == "headers")
    if framing != "headers":
        assert first.value[:1] == first.key[:1] == b"\0"
    assert (first.key[:5] == b"\0\0\0\0\0") == (framing == "apicurio8")
    check(bench, log, "things")


def test_a_large_value_that_did_not_change_is_left_alone(bench, source, shared_apicurio):
    """Debezium writes its placeholder in the form that each schema allows: a string, bytes, elements of an array, a map."""
    large = {"te": "text NOT NULL", "vc": "varchar", "by": "bytea", "jb": "jsonb", "xm": "xml", "at": "text[]",
             "ai": "int[]", "au": "uuid[]", "aby": "bytea[]", "hs": "public.hstore"}  # fmt: skip
    bench.sql("CREATE EXTENSION hstore")
    tables(bench, large="id int PRIMARY KEY, n int, " + ", ".join(f"{name} {kind}" for name, kind in large.items()))
    for name in large:
        bench.sql(f"ALTER TABLE source.large ALTER {name} SET STORAGE EXTERNAL")
    with source(hstore_handling_mode="map") as debezium:
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
        log = debezium.log("large", 7)
        routes = [route(debezium, "large")]
        bench.drain(config(bench, shared_apicurio, routes))  # all in one batch
        same(bench, "large")
        bench.sql("UPDATE source.large SET n = 3")
        log = debezium.log("large", 10)
    assert b"__debezium_unavailable_value" in log.records[0][9].value
    bench.drain(config(bench, shared_apicurio, routes))  # of rows that are there
    check(bench, log, "large")


# ---- without the envelope ----


def test_rows_alone(bench, source, shared_apicurio):
    """ExtractNewRecordState leaves the row after the change: an upsert, and a delete on a tombstone."""
    columns = "id int PRIMARY KEY, note text, at timestamp, price numeric(8,3), big text, tags text[]"
    tables(bench, things=columns)
    bench.sql("ALTER TABLE source.things ALTER big SET STORAGE EXTERNAL")
    bench.sql("ALTER TABLE target.things ADD op text")
    unwrap = {
        "transforms": "unwrap",
        "transforms_unwrap_type": "io.debezium.transforms.ExtractNewRecordState",
        "transforms_unwrap_delete.tombstone.handling.mode": "tombstone",
        "transforms_unwrap_add.fields": "op",
    }
    with source(**unwrap) as debezium:
        bench.sql(
            "INSERT INTO source.things SELECT i, 'n' || i, timestamp '2024-02-29 13:14:15.123456' + make_interval(i),"
            " i / 8.0, repeat('x', 3000), ARRAY['a', NULL] FROM generate_series(1, 20) AS i"
        )
        bench.sql("UPDATE source.things SET note = NULL WHERE id <= 5")
        bench.sql("DELETE FROM source.things WHERE id BETWEEN 3 AND 7")
        bench.sql("UPDATE source.things SET id = id + 100, big = 'moved' WHERE id > 18")
        log = debezium.log("things", 20 + 5 + 5 + 2 * 2)
    columns = {"id": "key.id", "op": "value.__op"}
    plain = route(debezium, "things", envelope="none", mode="upsert", delete="tombstone", columns=columns,
                  placeholder="__debezium_unavailable_value")  # fmt: skip
    bench.drain(config(bench, shared_apicurio, [plain]))
    bench.sql("ALTER TABLE source.things ADD op text")
    bench.sql("UPDATE source.things SET op = CASE WHEN id <= 5 THEN 'u' ELSE 'c' END")
    check(bench, log, "things")
