"""Records in Avro, whose schemas a registry has: rows by the schema that each was written with, what waits for one,
and what becomes a dead letter.

The producer is Apache Avro's own library for Python. The registry is the kit's double.
"""

import decimal
import struct

import pytest

from kit import wait
from kit.avro_bytes import decode, encode, framed, record
from kit.debezium import Mirror
from kit.model import Model
from kit.registry import Double
from kit.standing import standing

ORDER = record("Order", ("id", "long"), ("note", ["null", "string"]), ("amount", ["null", "double"]))
GROWN = record("Order", ("id", "long"), ("more", "string"), ("note", ["null", "string"]))
OTHER = record("Parcel", ("id", "long"), ("weight", "int"))
KEY = record("Key", ("id", "long"))


@pytest.fixture
def registry():
    with Double() as double:
        for schema in (ORDER, GROWN, OTHER, KEY):  # 1 to 4
            double.register(schema["name"], schema)
        yield double


TABLE = "CREATE TABLE {} (id bigint PRIMARY KEY, note text DEFAULT 'none', amount numeric, more text)"
COLUMNS = ["id", "note", "amount", "more"]


def config(bench, registry, log, table="events", **changes):
    route = {"format": "avro", "mode": "upsert"} | changes.pop("route", {})
    return bench.config(log, table, route=route, registry={"url": registry.url}, **changes)


def read(rec):
    """What a record of the numbers 1, 2 and 77 says; NULL is never a default."""
    number = struct.unpack(">i", rec.value[1:5])[0]
    value = decode({1: ORDER, 2: GROWN, 77: ORDER}[number], rec.value[5:])
    if value.get("amount") is not None:
        value["amount"] = pytest.approx(value["amount"])
    return value


def model(row=read):
    return Model(mode="upsert", key=["id"], columns=COLUMNS, row=row, defaults={"note": "none"})


def orders(log, first, n, number=1):
    for i in range(first, first + n):
        note = None if i % 3 == 0 else f"nöte {i}"
        value = {"id": i, "note": note, "amount": i / 4 if i % 2 else None, "more": f"m{i}"}
        names = [f["name"] for f in {1: ORDER, 2: GROWN}[number]["fields"]]
        log.send(framed(number, {1: ORDER, 2: GROWN}[number], {k: value[k] for k in names}))


@pytest.mark.parametrize("path", ["copy", "unnest"])
def test_rows(bench, registry, path):
    """Several schemas in one topic, which change in the middle of a batch: each record is read by its own."""
    log = bench.topic()
    bench.sql(TABLE.format("events"))
    for i in range(20):
        orders(log, 10 * i, 10, 1 + i % 2)
    bench.drain(config(bench, registry, log, batch={"write_path": path}))
    bench.check(log, model=model())
    assert registry.tally() == {"/schemas/ids/1": 1, "/schemas/ids/2": 1}


def test_growth(bench, registry):
    """A field that the table lacks is left out, and stored once there is a column for it."""
    log = bench.topic()
    bench.sql(TABLE.format("events").replace(", more text", ""))
    bench.start(config(bench, registry, log))
    orders(log, 0, 10)
    orders(log, 10, 10, 2)
    bench.wait_stored(log)
    bench.sql("ALTER TABLE events ADD COLUMN more text")
    orders(log, 20, 10, 2)
    bench.wait_stored(log)

    def row(rec):
        value = read(rec)
        if value["id"] < 20:
            value.pop("more", None)
        return value

    bench.check(log, model=model(row))


def test_an_unknown_id(bench, registry):
    """Neighbours are stored; when the registry has it, replay() stores the record, whose bytes are as they came."""
    log = bench.topic()
    bench.sql(TABLE.format("events"))
    orders(log, 0, 5)
    log.send(framed(77, ORDER, {"id": 5, "note": "late", "amount": None}))
    orders(log, 6, 5)
    rejects = config(bench, registry, log, route={"on_error": "dead_letter", "max_dead_letters": "off"})
    d = bench.start(rejects, times="schema_absent=1s")
    bench.wait_stored(log)
    assert bench.sql('SELECT "offset", value FROM pgsinkd.dead_letters') == [(5, log.records[0][5].value)]
    registry.register("late", ORDER, number=77)
    bench.sql("SELECT pgsinkd.replay(%s)", bench.sink)
    wait.until(lambda: bench.value("SELECT count(*) FROM pgsinkd.dead_letters") == 0, "the replay", 60)
    assert bench.value("SELECT note FROM events WHERE id = 5") == "late"
    assert d.running
    bench.check(log, model=model())


BAD = {
    b'{"id": 1}': "they look like JSON",
    b"\0\0\0": "no id of four bytes follows",
    b"\0\0\0\0\0\0\0\0\1": "they look like an id of eight bytes",
    framed(1, ORDER, {"id": 1, "note": "x", "amount": None})[:-2]: None,
    framed(1, ORDER, {"id": 1, "note": "x", "amount": None}) + b"\0": None,
    b"": "is empty",
}


def test_what_is_no_avro(bench, registry):
    """Each becomes one dead letter that says what the bytes look like."""
    log = bench.topic()
    bench.sql(TABLE.format("events"))
    for value in BAD:
        log.send(value)
    orders(log, 0, 5)
    bench.drain(config(bench, registry, log, route={"on_error": "dead_letter", "max_dead_letters": "off"}))
    found = bench.sql('SELECT value, message FROM pgsinkd.dead_letters ORDER BY "offset"')
    assert [bytes(value) for value, _ in found] == list(BAD)
    for (_, message), want in zip(found, BAD.values(), strict=True):
        assert want is None or want in message
    bench.check(log, model=model(), dead={(0, offset) for offset in range(len(BAD))})


def test_the_registry_is_away(bench, registry):
    """What needs no schema goes on meanwhile; when it is back all is stored, and nothing was rejected."""
    log, plain = bench.topic(), bench.topic()
    bench.sql(TABLE.format("events"))
    bench.plain_table("plain")
    registry.leave()
    orders(log, 0, 10)
    routes = [
        {"topics": [log.topic], "table": "events", "format": "avro", "mode": "upsert", "on_error": "stop"},
        {"topics": [plain.topic], "table": "plain", "on_error": "stop"},
    ]
    d = bench.start(bench.config(routes=routes, registry={"url": registry.url}, workers=1))
    d.allow(r"registry", r"schema")
    wait.until(lambda: standing(bench, log), "the partition to be parked", 30)
    at = standing(bench, log)[0]
    assert at.state == "parked"
    assert "waits for schema 1" in at.reason
    plain.fill(100)
    bench.wait_stored(plain, timeout=10)
    registry.come_back()
    bench.wait_stored(log)
    registry.leave()
    orders(log, 10, 10)
    orders(log, 20, 10, 2)
    wait.until(lambda: standing(bench, log), "the partition to be parked again", 30)
    assert bench.value("SELECT max(id) FROM events") == 19
    registry.come_back()
    bench.wait_stored(log)
    bench.check(log, model=model())
    bench.check(plain, "plain")
    assert bench.value("SELECT count(*) FROM pgsinkd.dead_letters") == 0


def test_a_schema_that_cannot_be_read(bench, registry):
    """It parks its partition, with the reason, and no record is rejected."""
    log = bench.topic()
    bench.sql(TABLE.format("events"))
    registry.register("Order", "no schema", number=1)
    orders(log, 0, 3)
    d = bench.start(config(bench, registry, log, route={"on_error": "dead_letter"}))
    d.allow(r"schema", r"parked")
    wait.until(lambda: standing(bench, log), "the partition to be parked", 30)
    assert standing(bench, log)[0].state == "parked"
    bench.check(log, model=Mirror("(SELECT * FROM events WHERE false)"), stops={0: 0})


def test_keys_headers_and_names(bench, registry):
    """The key has a schema of its own; ids in headers; meta.schema chooses and names."""
    log = bench.topic()
    guid = registry.guid(1)
    header = b"\1" + bytes.fromhex(guid.replace("-", ""))
    bench.sql("CREATE TABLE events (id bigint PRIMARY KEY, note text, name text, number text)")
    for i in range(10):
        log.send(encode(ORDER, {"id": -1, "note": f"n{i}", "amount": None}), key=framed(4, KEY, {"id": i}),
                 headers=[("__value_schema_id", header)])  # fmt: skip
        log.send(framed(3, OTHER, {"id": i, "weight": 1}), key=framed(4, KEY, {"id": i}))
    route = {
        "when": "meta.schema = 'shop.Order'",
        "key_format": "avro",
        "columns": {"id": "key.id", "name": "meta.schema", "number": "meta.schema_id"},
    }
    bench.drain(config(bench, registry, log, route=route))
    rows = ", ".join(f"({i}, 'n{i}', 'shop.Order', '{guid}')" for i in range(10))
    bench.check(log, model=Mirror(f"(VALUES {rows})"))


def test_one_table_for_each_schema(bench, registry):
    log = bench.topic()
    bench.sql('CREATE TABLE "shop.Order" (id bigint, note text)')
    bench.sql('CREATE TABLE "shop.Parcel" (id bigint, weight int)')
    for i in range(5):
        log.send(framed(1, ORDER, {"id": i, "note": f"n{i}", "amount": None}))
        log.send(framed(3, OTHER, {"id": i, "weight": i}))
    route = {"mode": "append", "tables": ["shop.Order", "shop.Parcel"]}
    bench.drain(config(bench, registry, log, 'public."{meta.schema}"', route=route))
    both = """(SELECT id, note FROM "shop.Order" UNION ALL SELECT id, 'weighs ' || weight FROM "shop.Parcel")"""
    rows = ", ".join(f"({i}, 'n{i}'), ({i}, 'weighs {i}')" for i in range(5))
    bench.check(log, both, model=Mirror(f"(VALUES {rows})"))


ROW = record("Value", ("id", "int"), ("at", {"type": "long", "connect.name": "io.debezium.time.MicroTimestamp"}),
             ("price", {"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 2}),
             ("big", ["null", "string"]), ("u", ["null", "string"]))  # fmt: skip
ENVELOPE = record("Envelope", ("before", ["null", ROW]), ("after", ["null", "Value"]), ("op", "string"))
DEB_KEY = record("Key", ("id", "int"))
TOAST = "__debezium_unavailable_value"


def test_change_events(bench, registry):
    """Debezium's envelope: times and decimals by the schema, deletes by the key, what was not told is left as it is."""
    log = bench.topic()
    beat = record("Heartbeat", ("ts_ms", "long"))
    for number, schema in enumerate((ENVELOPE, DEB_KEY, beat), 10):
        registry.register(schema["name"], schema, number=number)
    bench.sql("CREATE TABLE events (id int PRIMARY KEY, at timestamp, price numeric(9,2), big text, u uuid)")
    uuid = "1336d5b8-1168-3205-a644-df61db0a6a22"

    def event(op, before, after, number):
        value = framed(10, ENVELOPE, {"before": before, "after": after, "op": op})
        log.send(value, key=framed(11, DEB_KEY, {"id": number}))

    def row(number, big, price="12.50"):
        return {"id": number, "at": 1_700_000_000_123_456, "price": decimal.Decimal(price), "big": big, "u": uuid}

    event("c", None, row(1, "x" * 3000), 1)
    event("c", None, row(2, "y"), 2)
    event("u", None, row(1, TOAST, "99.99"), 1)
    log.send(framed(12, beat, {"ts_ms": 1}))
    event("d", None, None, 2)
    log.send(None, key=framed(11, DEB_KEY, {"id": 2}))
    route = {"envelope": "debezium", "mode": "upsert"}
    bench.drain(config(bench, registry, log, route=route))
    row = f"(1, timestamp '2023-11-14 22:13:20.123456', 99.99, repeat('x', 3000), '{uuid}')"
    bench.check(log, model=Mirror(f"(VALUES {row})"))
