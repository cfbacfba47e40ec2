"""Records in JSON whose schema is registered, as Confluent's serializer writes them: 5 bytes, then the JSON."""

import json
import struct

import pytest

from kit import wait
from kit.debezium import Mirror
from kit.model import Model
from kit.registry import Double

KEY = {"type": "object", "title": "Key", "properties": {"id": {"type": "integer"}}}
ORDER = {
    "$schema": "http://json-schema.org/draft-07/schema#",
    "title": "Order",
    "type": "object",
    "properties": {
        "id": {"type": "integer"},
        "note": {"oneOf": [{"type": "null"}, {"type": "string"}]},
        "amount": {"type": "number"},
        "day": {"type": "integer", "title": "org.apache.kafka.connect.data.Date", "connect.version": 1},
        "lines": {"type": "array", "items": {"type": "object", "properties": {"what": {"type": "string"}}}},
    },
}
GROWN = ORDER | {"properties": ORDER["properties"] | {"more": {"type": "string"}}}
TABLE = "CREATE TABLE {} (id bigint PRIMARY KEY, note text DEFAULT 'none', amount numeric, more text)"
COLUMNS = ["id", "note", "amount", "more"]
LETTERS = {"on_error": "dead_letter", "max_dead_letters": "off"}


@pytest.fixture
def registry():
    with Double() as double:
        for name, schema in (("order", ORDER), ("order", GROWN), ("key", KEY)):  # 1 to 3
            double.register(name, schema, "JSON")
        yield double


def config(bench, registry, log, table="events", **changes):
    route = {"format": "json_schema", "mode": "upsert"} | changes.pop("route", {})
    return bench.config(log, table, route=route, registry={"url": registry.url}, **changes)


def framed(number, value):
    return b"\0" + struct.pack(">i", number) + json.dumps(value).encode()


def orders(log, first, n, number=1):
    for i in range(first, first + n):
        value = {"id": i, "note": None if i % 3 == 0 else f"nöte {i}"}
        value |= {"amount": i / 4} if i % 2 else {}
        value |= {"more": f"m{i}"} if number == 2 else {}
        log.send(framed(number, value))


MODEL = Model(mode="upsert", key=["id"], columns=COLUMNS, row=lambda rec: json.loads(rec.value[5:]),
              defaults={"note": "none"})  # fmt: skip


def test_rows(bench, registry):
    """Several schemas in one topic, which change in the middle of a batch; what was not written is lacking."""
    log = bench.topic()
    bench.sql(TABLE.format("events"))
    for i in range(20):
        orders(log, 10 * i, 10, 1 + i % 2)
    bench.drain(config(bench, registry, log))
    bench.check(log, model=MODEL)
    assert registry.tally() == {"/schemas/ids/1": 1, "/schemas/ids/2": 1}


def test_all_that_a_route_can_do(bench, registry):
    """The schema says what a number means; paths, when, a key of its own, deletes, what is wanted as JSON."""
    log = bench.topic()
    bench.sql("CREATE TABLE events (id bigint PRIMARY KEY, day date, first text, lines jsonb, name text, number int)")
    for i in range(10):
        value = {"id": -1, "day": 20_000 + i, "lines": [{"what": f"w{i}"}], "note": "take"}
        log.send(framed(1, value), key=framed(3, {"id": i}))
    log.send(framed(1, {"id": -1, "note": "leave"}), key=framed(3, {"id": 4}))
    log.send(None, key=framed(3, {"id": 3}))
    route = {
        "key_format": "json_schema",
        "when": "value is null or value.note = 'take'",
        "delete": "tombstone",
        "columns": {
            "id": "key.id",
            "first": {"sql": "value->'lines'->0->>'what'"},
            "name": "meta.schema",
            "number": "meta.schema_id",
        },
    }
    bench.drain(config(bench, registry, log, route=route))
    rows = ", ".join(
        f"({i}, date '1970-01-01' + {20_000 + i}, 'w{i}', '[{{\"what\": \"w{i}\"}}]'::jsonb, 'Order', 1)"
        for i in range(10)
        if i != 3
    )
    bench.check(log, model=Mirror(f"(VALUES {rows})"))


GOOD = framed(1, {"id": 1})
BAD = [b'{"id": 1}', b"\0\0\0", GOOD[:-1], GOOD + b"}", GOOD[:5], GOOD[:5] + b'{"id": "\xff"}', b"", GOOD[:5] + b"[]"]


def test_what_is_no_json(bench, registry):
    """Each becomes one dead letter with the bytes as they came; what lacks only its schema is stored by a replay."""
    log = bench.topic()
    bench.sql(TABLE.format("events"))
    for value in BAD:
        log.send(value)
    log.send(framed(77, {"id": 5, "note": "late"}))
    orders(log, 10, 5)
    bench.start(config(bench, registry, log, route=LETTERS), times="schema_absent=1s")
    bench.wait_stored(log)
    letters = 'SELECT value FROM pgsinkd.dead_letters ORDER BY "offset"'
    assert [bytes(value) for (value,) in bench.sql(letters)] == [*BAD, log.records[0][len(BAD)].value]
    registry.register("late", ORDER, "JSON", number=77)
    bench.sql("SELECT pgsinkd.replay(%s)", bench.sink)
    wait.until(lambda: len(bench.sql(letters)) == len(BAD), "the replay", 60)
    bench.check(log, model=MODEL, dead={(0, offset) for offset in range(len(BAD))})
