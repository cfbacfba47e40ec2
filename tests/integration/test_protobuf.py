"""Records in Protobuf, whose schemas a registry has: rows by the message that each one is, and what becomes a dead letter.

The producer is Google's own library for Python. The registry is the kit's double.
"""

import struct

import pytest

from kit import wait
from kit.debezium import Mirror
from kit.model import Model
from kit.protobuf_bytes import compiled, framed
from kit.registry import Double

ORDER = """
syntax = "proto3";
package shop;
import "google/protobuf/timestamp.proto";
message Line { string what = 1; int32 count = 2; }
message Order {
  int64 id = 1;
  optional string note = 2;
  double amount = 3;
  State state = 4;
  google.protobuf.Timestamp at = 5;
  repeated Line lines = 6;
  map<string, int32> tags = 7;
  uint64 big = 8;
  bytes raw = 9;
  oneof who { string name = 10; Line line = 11; }
  message Key { int64 id = 1; }
}
enum State { NEW = 0; PAID = 1; }
"""
GROWN = ORDER.replace("message Key", "string more = 12;\n  message Key")
CHANGE = """
syntax = "proto3";
package shop.change;
message Value { int32 id = 1; optional string note = 2; }
message Envelope { optional Value before = 1; optional Value after = 2; optional string op = 3; }
message Key { int32 id = 1; }
"""
MESSAGES, GROWN_MESSAGES, CHANGES = compiled(ORDER), compiled(GROWN), compiled(CHANGE)
AT = (1,)  # of Order in its file
TABLE = "CREATE TABLE {} (id bigint PRIMARY KEY, note text DEFAULT 'none', amount numeric, state text, more text)"
LETTERS = {"on_error": "dead_letter", "max_dead_letters": "off"}


@pytest.fixture
def registry():
    with Double() as double:
        for name, text in (("order", ORDER), ("order", GROWN), ("change", CHANGE)):  # 1 to 3
            double.register(name, text, "PROTOBUF")
        yield double


def config(bench, registry, log, table="events", **changes):
    route = {"format": "protobuf", "mode": "upsert"} | changes.pop("route", {})
    return bench.config(log, table, route=route, registry={"url": registry.url}, **changes)


def order(number, **fields):
    of = {1: MESSAGES, 2: GROWN_MESSAGES}[number]
    return framed(number, of["shop.Order"](**fields), AT)


def orders(log, first, n, number=1):
    """Without a note each third one; the field that only the grown schema has."""
    for i in range(first, first + n):
        more = {"more": f"m{i}"} if number == 2 else {}
        note = {} if i % 3 == 0 else {"note": f"nöte {i}"}
        log.send(order(number, id=i, amount=i / 4, state=i % 2, **note, **more))


def read(rec):
    """What has presence is null if it was not written; all else is its default. What its schema lacks is lacking."""
    number = struct.unpack(">i", rec.value[1:5])[0]
    it = {1: MESSAGES, 2: GROWN_MESSAGES}[number]["shop.Order"].FromString(rec.value[7:])
    note = it.note if it.HasField("note") else None
    row = {"id": it.id, "note": note, "amount": pytest.approx(it.amount), "state": ["NEW", "PAID"][it.state]}
    return row | ({"more": it.more} if number == 2 else {})


def model():
    return Model(mode="upsert", key=["id"], columns=["id", "note", "amount", "state", "more"], row=read)


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


def test_all_that_a_route_can_do(bench, registry):
    """Paths into messages, lists and maps; when; a key of its own; names of messages; what is wanted as JSON."""
    log = bench.topic()
    bench.sql("CREATE TABLE events (id bigint PRIMARY KEY, at timestamptz, first text, tag int, lines jsonb, big numeric,"
              " raw bytea, who text, name text, number int)")  # fmt: skip
    make, line = MESSAGES["shop.Order"], MESSAGES["shop.Line"]
    for i in range(10):
        it = make(id=-1, lines=[line(what=f"w{i}", count=i)], tags={"a": i}, big=2**64 - 1, raw=b"\0\xff", state=1)
        it.at.FromMilliseconds(1_700_000_000_123)
        it.line.what = f"l{i}"
        log.send(framed(1, it, AT), key=framed(1, MESSAGES["shop.Order.Key"](id=i), (1, 0)))
    log.send(order(1, id=7, state=0), key=framed(1, MESSAGES["shop.Order.Key"](id=7), (1, 0)))  # not taken
    log.send(None, key=framed(1, MESSAGES["shop.Order.Key"](id=3), (1, 0)))  # deletes
    route = {
        "key_format": "protobuf",
        "when": "value is null or value.state = 'PAID'",
        "delete": "tombstone",
        "columns": {
            "id": "key.id",
            "first": {"sql": "value->'lines'->0->>'what'"},
            "tag": "value.tags.a",
            "who": {"coalesce": ["value.name", "value.line.what"]},
            "name": "meta.schema",
            "number": "meta.schema_id",
        },
    }
    bench.drain(config(bench, registry, log, route=route))
    want = ", ".join(
        f"({i}, timestamptz '2023-11-14 22:13:20.123Z', 'w{i}', {i}, '[{{\"what\": \"w{i}\", \"count\": {i}}}]'::jsonb,"
        f" 18446744073709551615, '\\x00ff'::bytea, 'l{i}', 'shop.Order', 1)"
        for i in range(10)
        if i != 3
    )
    bench.check(log, model=Mirror(f"(VALUES {want})"))


def test_a_row_for_each_element(bench, registry):
    log = bench.topic()
    bench.sql("CREATE TABLE events (id bigint, what text, count int)")
    line = MESSAGES["shop.Line"]
    for i in range(10):
        log.send(order(1, id=i, lines=[line(what=f"w{k}", count=k) for k in range(i % 3)]))
    route = {"mode": "append", "explode": "value.lines", "columns": {"id": "value.id", "what": "item.what",
             "count": "item.count"}}  # fmt: skip
    bench.drain(config(bench, registry, log, route=route))
    rows = ", ".join(f"({i}, 'w{k}', {k})" for i in range(10) for k in range(i % 3))
    bench.check(log, model=Mirror(f"(VALUES {rows})"))


GOOD = order(1, id=1)
BAD = {
    b'{"id": 1}': "they look like JSON",
    b"\0\0\0": "no id of four bytes follows",
    GOOD[:-1]: None,
    GOOD + b"\x0a": None,
    framed(1, MESSAGES["shop.Order"](id=1), (5,)): "no message at the place",
    framed(1, MESSAGES["shop.Order"](id=1), (1, 3)): "no message at the place",
    framed(1, MESSAGES["shop.Order"](id=1), AT)[:5]: None,
    GOOD + b"\x12\x02\xff\xfe": None,
    GOOD + b"\x12\xff\xff\xff\xff\x0f": None,
    b"": "is empty",
}


def test_what_is_no_protobuf(bench, registry):
    """Each becomes one dead letter with the bytes as they came; a replay with a right one stores it."""
    log = bench.topic()
    bench.sql(TABLE.format("events"))
    for value in BAD:
        log.send(value)
    log.send(order(1, id=5, note="late").replace(b"\0\0\0\0\1", b"\0\0\0\0\x4d", 1))
    orders(log, 10, 5)
    bench.start(config(bench, registry, log, route=LETTERS), times="schema_absent=1s")
    bench.wait_stored(log)
    found = bench.sql('SELECT value, message FROM pgsinkd.dead_letters ORDER BY "offset"')
    assert [bytes(value) for value, _ in found[:-1]] == list(BAD)
    for (_, message), want in zip(found, BAD.values(), strict=False):
        assert want is None or want in message
    registry.register("late", ORDER, "PROTOBUF", number=77)
    bench.sql("SELECT pgsinkd.replay(%s)", bench.sink)
    left = "SELECT count(*) FROM pgsinkd.dead_letters"
    wait.until(lambda: bench.value(left) == len(BAD), "the replay", 60)
    assert bench.value("SELECT note FROM events WHERE id = 5") == "late"
    rows = "SELECT id, note, amount, state FROM events ORDER BY id"
    assert [row[0] for row in bench.sql(rows)] == [5, *range(10, 15)]
    want = ", ".join(f"({i}, {repr(f'nöte {i}') if i % 3 else 'null'})" for i in range(10, 15))
    bench.check(log, "(SELECT id, note FROM events)", model=Mirror(f"(VALUES (5, 'late'), {want})"),
                dead={(0, offset) for offset in range(len(BAD))})  # fmt: skip


def test_change_events(bench, registry):
    """Debezium's envelope, as its converter for Protobuf writes it; deletes by the key."""
    log = bench.topic()
    bench.sql("CREATE TABLE events (id int PRIMARY KEY, note text)")

    def event(op, number, **fields):
        it = CHANGES["shop.change.Envelope"](op=op)
        if fields:
            it.after.CopyFrom(CHANGES["shop.change.Value"](id=number, **fields))
        log.send(framed(3, it, (1,)), key=framed(3, CHANGES["shop.change.Key"](id=number), (2,)))

    event("c", 1, note="x" * 3000)
    event("c", 2, note="y")
    event("u", 1, note="__debezium_unavailable_value")
    event("c", 3, note="z")
    event("d", 2)
    log.send(None, key=framed(3, CHANGES["shop.change.Key"](id=2), (2,)))
    bench.drain(config(bench, registry, log, route={"envelope": "debezium"}))
    bench.check(log, model=Mirror("(VALUES (1, repeat('x', 3000)), (3, 'z'))"))
