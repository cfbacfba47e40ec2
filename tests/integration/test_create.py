"""create: tables made from the schema of a topic's records. The rows are compared, and the catalog says what the
columns are."""

import datetime
import decimal
import json

import pytest

from kit.avro_bytes import framed, record
from kit.connect import Connect
from kit.debezium import Mirror, Source
from kit.login import Login
from kit.registry import Double
from kit.standing import standing
from kit.wait import until

pytestmark = pytest.mark.timeout(180)

FIELDS = [
    {"field": "id", "type": "int64", "optional": False},
    {"field": "who", "type": "string", "optional": True},
    {"field": "day", "type": "int32", "optional": True, "name": "io.debezium.time.Date"},
    {"field": "at", "type": "int64", "optional": True, "name": "org.apache.kafka.connect.data.Timestamp"},
    {"field": "price", "type": "bytes", "optional": True, "name": "org.apache.kafka.connect.data.Decimal",
     "parameters": {"scale": "2", "connect.decimal.precision": "12"}},
    {"field": "tags", "type": "array", "optional": True, "items": {"type": "string"}},
    {"field": "more", "type": "struct", "optional": True, "fields": [{"field": "x", "type": "int8"}]},
    {"field": "raw", "type": "bytes", "optional": True},
]  # fmt: skip
VALUES = {"id": 7, "who": "Ada", "day": 20484, "at": 1769847300500, "price": "BOI=", "tags": ["a", "b"],
          "more": {"x": 1}, "raw": "AAE="}  # fmt: skip
ROW = "(7::bigint, 'Ada', '2026-01-31'::date, '2026-01-31 08:15:00.5'::timestamp, 12.50, '{a,b}'::text[], "
ROW += """'{"x":1}'::jsonb, '\\x0001'::bytea)"""
TYPES = {"id": "bigint", "who": "text", "day": "date", "at": "timestamp without time zone", "price": "numeric(12,2)",
         "tags": "text[]", "more": "jsonb", "raw": "bytea"}  # fmt: skip


def logical(base, name, **more):
    return {"type": base, "logicalType": name, **more}


ORDER = record(
    "Order", ("id", "long"), ("who", ["null", "string"]), ("day", ["null", logical("int", "date")]),
    ("at", logical("long", "timestamp-micros")), ("price", logical("bytes", "decimal", precision=12, scale=2)),
    ("tags", {"type": "array", "items": "string"}), ("code", logical("string", "uuid")),
    ("more", {"type": "record", "name": "More", "fields": [{"name": "x", "type": "int"}]}), ("any", ["null", "int", "long"]),
)  # fmt: skip
KEY = record("Key", ("id", "long"))
AT = datetime.datetime(2026, 1, 31, 8, 15, tzinfo=datetime.timezone.utc)
ORDERED = {"id": 7, "who": "Ada", "day": AT.date(), "at": AT, "price": decimal.Decimal("12.50"), "tags": ["a", "b"],
           "code": "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", "more": {"x": 1}, "any": 2}  # fmt: skip
ORDERED_ROW = "(7::bigint, 'Ada', '2026-01-31'::date, '2026-01-31 08:15:00+00'::timestamptz, 12.50, '{a,b}'::text[],"
ORDERED_ROW += """ 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'::uuid, '{"x":1}'::jsonb, 2::bigint)"""
ORDERED_TYPES = {"id": "bigint", "who": "text", "day": "date", "at": "timestamp with time zone", "price": "numeric(12,2)",
                 "tags": "text[]", "code": "uuid", "more": "jsonb", "any": "bigint"}  # fmt: skip


@pytest.fixture
def registry():
    with Double() as double:
        yield double


@pytest.fixture(scope="module")
def connect(root, shared_kafka):
    worker = Connect(root, shared_kafka.bootstrap, "postgres").start()
    yield worker
    worker.destroy()


def wrapped(payload, fields=FIELDS):
    schema = {"type": "struct", "name": "shop.Order", "optional": False, "fields": fields}
    return json.dumps({"schema": schema, "payload": payload}).encode()


def key(n):
    fields = [{"field": "id", "type": "int64", "optional": False}]
    return wrapped({"id": n}, fields)


def columns(bench, table):
    found = bench.db.execute(
        "SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute"
        " WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attnum", [table]
    )  # fmt: skip
    return dict(found.fetchall())


def primary_key(bench, table):
    return bench.value(
        "SELECT string_agg(attname, ',' ORDER BY attnum) FROM pg_attribute JOIN pg_index ON attrelid = indrelid"
        f" AND attnum = ANY (indkey) WHERE indisprimary AND indrelid = '{table}'::regclass"
    )


def create(**more):
    return {"envelope": "connect", "create": True} | more


def test_a_table_from_the_schema_of_connect(bench):
    log = bench.topic(1)
    log.send(wrapped(VALUES))
    config = bench.config(log, "public.orders", route=create())
    bench.drain(config)
    assert columns(bench, "public.orders") == TYPES
    assert primary_key(bench, "public.orders") is None
    assert f"topic {log.topic}, schema shop.Order" in bench.value("SELECT obj_description('orders'::regclass)")
    bench.check(log, "public.orders", model=Mirror(f"(VALUES {ROW})"))


def test_the_key_comes_from_the_key_of_the_records(bench):
    log = bench.topic(1)
    log.send(wrapped(VALUES), key=key(7))
    log.send(wrapped(VALUES), key=key(7))
    bench.drain(bench.config(log, "public.orders", route=create(mode="upsert")))
    assert primary_key(bench, "public.orders") == "id"
    bench.check(log, "public.orders", model=Mirror(f"(VALUES {ROW})"))


def test_check_shows_the_statement_first(bench):
    log = bench.topic(1)
    log.send(wrapped(VALUES), key=key(7))
    config = bench.config(log, "public.orders", route=create(mode="upsert", columns={
        "_offset": "meta.offset", "x": "value.more.x", "source": {"const": "shop"}}))  # fmt: skip
    shown = bench.command("check", config)
    assert shown.returncode == 0, shown.stderr
    ddl = shown.stdout[shown.stdout.index("CREATE TABLE") : shown.stdout.index("COMMENT")]
    assert bench.value("SELECT to_regclass('public.orders')") is None
    bench.drain(config)
    made = columns(bench, "public.orders")
    assert made == TYPES | {"_offset": "bigint", "x": "smallint", "source": "text"}
    bench.sql(ddl.replace('"orders"', '"by_hand"'))
    assert columns(bench, "public.by_hand") == made
    bench.check(log, "public.orders", model=Mirror(f"(VALUES {ROW[:-1]}, 0::bigint, 1::smallint, 'shop'))"))


def test_a_topic_that_is_empty_at_first(bench):
    log = bench.topic(1)
    d = bench.start(bench.config(log, "public.orders", route=create())).allow("no record yet")
    d.wait_log("no record yet to make the table from")
    log.send(wrapped(VALUES))
    until(lambda: bench.value("SELECT to_regclass('public.orders')"), "the table", 90)
    bench.wait_stored(log)
    bench.check(log, "public.orders", model=Mirror(f"(VALUES {ROW})"))


def test_several_daemons_create_it_once(bench):
    log = bench.topic(2)
    for p in (0, 1):
        log.send(wrapped(VALUES), p)
    config = bench.config(log, "public.orders", route=create())
    daemons = [bench.start(config, ready=False) for _ in range(2)]
    for d in daemons:
        d.wait_ready()
    bench.wait_stored(log)
    assert sum("created for topic" in d.log() for d in daemons) == 1
    bench.check(log, "public.orders", model=Mirror(f"(VALUES {ROW}, {ROW})"))


def test_somebody_right_before_us_creates_it(bench):
    """Who does not take our lock, or spells the name in another way."""
    log = bench.topic(1)
    log.send(wrapped(VALUES))
    bench.drain(bench.config(log, "public.pattern", route=create()))
    with bench.postgres.connect(bench.database) as other, other.transaction():
        other.execute("CREATE TABLE orders (LIKE pattern)")
        d = bench.start(bench.config(log, "public.orders", route=create(), sink="second"), ready=False)
        until(lambda: bench.value("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
                                  " AND query LIKE 'CREATE TABLE%'"), "it to wait", 30)  # fmt: skip
    d.wait_ready()
    until(lambda: bench.value("SELECT count(*) FROM orders"), "the row", 60)
    assert "cannot be created" not in d.log()
    assert "created for topic" not in d.log()


def test_without_the_right_the_statement_is_the_hint(bench):
    log = bench.topic(1)
    log.send(wrapped({"id": 7}, FIELDS[:1]))
    login = Login(bench)
    try:
        bench.sql(f"CREATE SCHEMA shut; GRANT USAGE ON SCHEMA shut TO {login.role}")
        config = bench.config(log, "shut.orders", route=create(), postgres={"dsn": login.dsn()})
        d = bench.start(config).allow("cannot be created")
        d.wait_log(r'CREATE TABLE "shut"\."orders"')
        until(lambda: bench.value("SELECT state FROM pgsinkd.standing") == "parked", "the partition to be parked")
        bench.sql(f"GRANT CREATE ON SCHEMA shut TO {login.role}")
        until(lambda: bench.value("SELECT to_regclass('shut.orders')"), "the table", 90)
        bench.wait_stored(log)
        bench.check(log, "shut.orders", model=Mirror("(VALUES (7::bigint))"))
    finally:
        bench.stop()
        login.drop()


def test_change_events_of_debezium(bench, connect):
    """The row is `after`, the key is that of the events, and the source says how long its texts are."""
    bench.sql("CREATE SCHEMA source; CREATE TABLE source.people (id int PRIMARY KEY, name varchar(40) NOT NULL,"
              " paid numeric(12,2), born date, seen timestamptz, note text, bits bit(3), doc jsonb, u uuid)")  # fmt: skip
    with Source(bench, connect, schemas=True, **{"column.propagate.source.type": ".*"}) as source:
        bench.sql("INSERT INTO source.people VALUES (1, 'Ada', 12.50, '1815-12-10', '2026-01-31 08:15:00+00', 'x',"
                  " B'101', '{\"a\": 1}', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11')")  # fmt: skip
        bench.sql("INSERT INTO source.people (id, name) VALUES (2, 'Bo')")
        bench.sql("UPDATE source.people SET note = 'y' WHERE id = 1")
        bench.sql("DELETE FROM source.people WHERE id = 2")
        log = source.log("people", 5)
    bench.drain(bench.config(routes=[{"topics": [log.topic], "table": "public.people", "envelope": "debezium",
                                      "on_error": "stop", "create": True}]))  # fmt: skip
    assert primary_key(bench, "public.people") == "id"
    assert columns(bench, "public.people") == columns(bench, "source.people")
    bench.check(log, "public.people", model=Mirror("source.people"))


def avro(bench, registry, log, **changes):
    route = {"format": "avro", "create": True} | changes.pop("route", {})
    return bench.config(log, "public.orders", route=route, registry={"url": registry.url}, **changes)


def test_avro_from_the_newest_record(bench, registry):
    """By the schemas that its key and its value name; `check` asks the registry as the daemon does."""
    log = bench.topic(1)
    number, of_key = registry.register("any", ORDER), registry.register("key", KEY)
    log.send(framed(number, ORDER, ORDERED), key=framed(of_key, KEY, {"id": 7}))
    config = avro(bench, registry, log, route={"mode": "upsert"})
    shown = bench.command("check", config)
    assert shown.returncode == 0, shown.stderr
    assert 'PRIMARY KEY ("id")' in shown.stdout
    assert bench.value("SELECT to_regclass('public.orders')") is None
    bench.drain(config)
    assert columns(bench, "public.orders") == ORDERED_TYPES
    assert primary_key(bench, "public.orders") == "id"
    bench.check(log, "public.orders", model=Mirror(f"(VALUES {ORDERED_ROW})"))


def test_avro_from_the_subject_of_an_empty_topic(bench, registry):
    log = bench.topic(1)
    registry.register(f"{log.topic}-value", KEY)
    registry.register(f"{log.topic}-value", ORDER)
    d = bench.start(avro(bench, registry, log))
    until(lambda: bench.value("SELECT to_regclass('public.orders')"), "the table", 30)
    assert "created for topic" in d.log()
    log.send(framed(2, ORDER, ORDERED))
    bench.wait_stored(log)
    assert columns(bench, "public.orders") == ORDERED_TYPES
    bench.check(log, "public.orders", model=Mirror(f"(VALUES {ORDERED_ROW})"))


def test_avro_of_an_empty_topic_without_a_subject(bench, registry):
    """The daemon is ready, the partition is parked, and the first record makes the table."""
    log = bench.topic(1)
    number = registry.register("another", ORDER)
    d = bench.start(avro(bench, registry, log)).allow("no record yet to make the table from")
    until(lambda: [s.state for s in standing(bench, log).values()] == ["parked"], "the partition to be parked")
    assert "no record yet" in standing(bench, log)[0].reason
    log.send(framed(number, ORDER, ORDERED))
    bench.wait_stored(log)
    assert "created for topic" in d.log()
    bench.check(log, "public.orders", model=Mirror(f"(VALUES {ORDERED_ROW})"))


def test_avro_while_the_registry_is_away(bench, registry):
    """The topic is parked, others go on, and the table is made when the registry is back."""
    log, other = bench.topic(1), bench.topic(1)
    log.send(framed(registry.register("any", ORDER), ORDER, ORDERED))
    other.send(wrapped(VALUES))
    registry.leave()
    routes = [{"topics": [log.topic], "table": "public.orders", "format": "avro", "create": True},
              {"topics": [other.topic], "table": "public.others", "envelope": "connect", "create": True}]  # fmt: skip
    d = bench.start(bench.config(routes=routes, registry={"url": registry.url}))
    d.allow("registry", "is to be made from is not known")
    until(lambda: [s.state for s in standing(bench, log).values()] == ["parked"], "the partition to be parked")
    bench.wait_stored(other)
    shown = bench.command("check", bench.config(routes=routes[:1], registry={"url": registry.url}))
    assert shown.returncode != 0
    assert "table 'orders' does not exist: " in shown.stderr
    registry.come_back()
    bench.wait_stored(log)
    bench.check(log, "public.orders", model=Mirror(f"(VALUES {ORDERED_ROW})"))


def test_what_cannot_become_a_table(bench):
    plain = bench.topic(1)
    plain.send(b'{"id": 1}')
    shown = bench.command("check", bench.config(plain, "public.orders", route=create()))
    assert shown.returncode != 0
    assert "do not say their schema" in shown.stderr
    shown = bench.command("check", bench.config(plain, "public.orders", route={"create": True}))
    assert shown.returncode == 3
    assert "'create' needs records that carry their schema" in shown.stderr
