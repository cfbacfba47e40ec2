"""A real Apicurio Registry: the kit's double answers as it does, and a daemon stores what is registered there, also by
Confluent's own serializers."""

import struct

import pytest

from kit import apicurio, confluent, registry
from kit.avro_bytes import decode, encode, framed, record
from kit.debezium import Mirror
from kit.model import Model

ORDER = record("Order", ("id", "long"), ("note", "string"))
WRAP = record("Wrap", ("id", "long"), ("at", "shop.Order"))
PROTO = 'syntax = "proto3";\nmessage P {\n  int64 id = 1;\n}\n'
JSON = '{"$schema":"http://json-schema.org/draft-07/schema#","type":"object","properties":{"id":{"type":"integer"}}}'


def register(server, prefix):
    """[number]: a schema of each kind, and one that refers to another."""
    refers = [{"name": "shop.Order", "subject": f"{prefix}order", "version": 1}]
    return [
        server.register(f"{prefix}order", ORDER | {"doc": prefix}),
        server.register(f"{prefix}wrap", WRAP | {"doc": prefix}, references=refers),
        server.register(f"{prefix}proto", PROTO, kind="PROTOBUF"),
        server.register(f"{prefix}json", JSON, kind="JSON"),
    ]


def plain(answer, numbers):
    """What of an answer counts: the wording of faults does not, nor that of what is the default, nor which number it is."""
    status, body = answer
    if isinstance(body, list):
        return status, sorted(str(item) for item in body)
    if not isinstance(body, dict):
        return status, bool(body)
    if status != 200:
        return status, body.get("error_code"), body.get("name")
    if "schema" not in body:
        return status, body
    number = body.get("id")
    return (status, body["schema"], body.get("schemaType", "AVRO"), body.get("references") or [], body.get("subject"),
            body.get("version"), number and numbers.index(number))  # fmt: skip


def test_the_double_answers_as_it_does(shared_apicurio):
    """Confluent's API, and what Apicurio's own says of globalIds and contentIds."""
    with registry.Double() as double:
        both = [(double, double.url, double.url), (shared_apicurio, f"{shared_apicurio.url}/apis/ccompat/v7",
                                                   f"{shared_apicurio.url}/apis/registry/v3")]  # fmt: skip
        said = []
        for server, confluent, own in both:
            numbers = register(server, "t-")
            paths = [f"/schemas/ids/{number}" for number in (*numbers, 4711)]
            paths += ["/schemas/types", "/subjects/t-wrap/versions/1", "/subjects/t-json/versions/latest"]
            paths += ["/subjects/t-none/versions/latest", "/subjects/t-wrap/versions/9"]
            names = [f"/ids/{kind}/{number}" for kind in ("globalIds", "contentIds") for number in (*numbers[:2], 4711)]
            names += [f"{name}/references" for name in names if "4711" not in name]
            urls = [confluent + path for path in paths] + [own + name for name in names]
            said.append([plain(apicurio.get(url), numbers) for url in urls])
        for ours, real, path in zip(*said, paths + names, strict=True):
            assert ours == real, path


@pytest.mark.parametrize("flavor", ["confluent", "apicurio"])
def test_rows(bench, shared_apicurio, flavor):
    """Its copy of Confluent's API; and its own, for ids in headers. A schema refers to another."""
    log = bench.topic()
    bench.sql("CREATE TABLE events (id bigint PRIMARY KEY, note text)")
    numbers = register(shared_apicurio, flavor)
    line = record("Line", ("id", "long"), ("note", "string"), ("order", ["null", "shop.Order"]))
    refers = [{"name": "shop.Order", "subject": f"{flavor}order", "version": 1}]
    subject = f"{flavor}line"
    numbers.append(shared_apicurio.register(subject, line | {"doc": flavor}, references=refers))
    whole = record("Line", ("id", "long"), ("note", "string"), ("order", ["null", ORDER]))
    for i in range(20):
        log.send(framed(numbers[0], ORDER, {"id": i, "note": f"order {i}"}))
        value = {"id": 100 + i, "note": f"line {i}", "order": {"id": i, "note": "of a line"}}
        if flavor == "confluent":
            log.send(framed(numbers[-1], whole, value))
            continue
        kind = i % 2
        name = ("apicurio.value.globalId", "apicurio.value.contentId")[kind]
        number = shared_apicurio.numbers(subject)[kind]
        log.send(encode(whole, value), headers=[(name, struct.pack(">q", number))])
    url = shared_apicurio.url + ("/apis/ccompat/v7" if flavor == "confluent" else "")
    config = bench.config(log, route={"format": "avro", "mode": "upsert"}, registry={"url": url, "flavor": flavor})
    bench.drain(config)
    kept = bench.sql("SELECT split_part(ref, ' ', 1), jsonb_array_length(refs) FROM pgsinkd.schemas ORDER BY 1, 2")
    lines = [("id", 1)] if flavor == "confluent" else [("contentId", 1), ("globalId", 1)]
    assert sorted(kept) == sorted([("id", 0), *lines])

    def row(rec):
        at = 5 if rec.value[:1] == b"\0" else 0
        schema = ORDER if rec.offset % 2 == 0 else whole
        return {k: v for k, v in decode(schema, rec.value[at:]).items() if k != "order"}

    bench.check(log, model=Model(mode="upsert", key=["id"], columns=["id", "note"], row=row))


# ---- Confluent's serializers ----

KEY = record("Key", ("id", "long"))
PLACE = record("Place", ("street", "string"), ("at", {"type": "array", "items": "double"}))
MOOD = {"type": "enum", "name": "Mood", "symbols": ["SAD", "GLAD"], "default": "SAD"}
EVERY = record(
    "Every",
    ("id", "int"), ("bo", "boolean"), ("i8", "long"), ("f4", "float"), ("f8", "double"), ("te", "string"),
    ("by", "bytes"), ("fi", {"type": "fixed", "name": "Two", "size": 2}), ("mood", MOOD),
    ("n", {"type": "bytes", "logicalType": "decimal", "precision": 20, "scale": 3}),
    ("da", {"type": "int", "logicalType": "date"}),
    ("ti", {"type": "long", "logicalType": "time-micros"}),
    ("tz", {"type": "long", "logicalType": "timestamp-millis"}),
    ("ts", {"type": "long", "logicalType": "local-timestamp-micros"}),
    ("uu", {"type": "string", "logicalType": "uuid"}),
    ("ai", {"type": "array", "items": ["null", "int"]}), ("jb", {"type": "map", "values": "long"}),
    ("place", ["null", PLACE]), ("any", ["null", "string", "long", "Place"]), ("later", "string"),
)  # fmt: skip
COLUMNS = (
    "id int PRIMARY KEY, bo bool, i8 int8, f4 float4, f8 float8, te text, by bytea, fi bytea, mood text, n numeric(20,3),"
    " da date, ti time, tz timestamptz, ts timestamp, uu uuid, ai int[], jb jsonb, place jsonb, \"any\" jsonb, later text"
)  # fmt: skip


def values():
    usual = {
        "id": 1, "bo": True, "i8": -(1 << 63), "f4": 1.1, "f8": 1e300, "te": 'h"ä€\n', "by": {"$bytes": "AP8Q"},
        "fi": {"$bytes": "AAE="}, "mood": "GLAD", "n": {"$decimal": "-12345678901234567.891"},
        "da": {"$date": "1969-12-31"}, "ti": {"$time": "13:14:15.123456"},
        "tz": {"$datetime": "2024-02-29T13:14:15.123+02:00"}, "ts": {"$datetime": "1969-12-31T23:59:59.999999"},
        "uu": {"$uuid": "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"}, "ai": [1, None, -3], "jb": {"a": 1, "b ä": 1 << 53},
        "place": {"street": "x", "at": [1.5, -2.0]}, "any": "a text", "later": "x" * 3000,
    }  # fmt: skip
    return [
        usual,
        usual | {"id": 2, "place": None, "any": None, "ai": [], "jb": {}, "te": "", "by": {"$bytes": ""}},
        usual | {"id": 3, "any": 7, "n": {"$decimal": "0"}, "f4": 0.0, "mood": "SAD"},
        usual | {"id": 4, "any": {"street": "y", "at": []}},
    ]


FIRST = """
INSERT INTO wanted VALUES
    (1, true, -9223372036854775808, 1.1, 1e300, E'h"ä€\\n', '\\x00ff10', '\\x0001', 'GLAD', -12345678901234567.891,
     '1969-12-31', '13:14:15.123456', '2024-02-29 13:14:15.123+02', '1969-12-31 23:59:59.999999',
     'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', '{1,NULL,-3}', '{"a": 1, "b ä": 9007199254740992}',
     '{"street": "x", "at": [1.5, -2]}', '"a text"', repeat('x', 3000), -1)
"""
OTHERS = [
    """{"id": 2, "key_id": -2, "place": null, "any": null, "ai": [], "jb": {}, "te": "", "by": "\\\\x"}""",
    """{"id": 3, "key_id": -3, "any": 7, "n": 0.000, "f4": 0, "mood": "SAD"}""",
    """{"id": 4, "key_id": -4, "any": {"street": "y", "at": []}}""",
]


def test_every_type_by_confluent(bench, shared_apicurio):
    """Its serializer, which registers the schemas. The id comes before the bytes, of keys too. NULL, what is empty, and each
    branch of a union."""
    log = bench.topic()
    url = f"{shared_apicurio.url}/apis/ccompat/v7"
    keys = confluent.part(KEY, [{"id": -v["id"]} for v in values()])
    for key, value, _ in confluent.write(url, log.topic, keys, confluent.part(EVERY, values())):
        log.send(value, key=key)
    for table in ("events", "wanted"):
        bench.sql(f"CREATE TABLE {table} ({COLUMNS}, key_id bigint)")
    bench.sql(FIRST)
    for other in OTHERS:
        bench.sql("INSERT INTO wanted SELECT (jsonb_populate_record(w, %s)).* FROM wanted AS w WHERE id = 1", other)
    route = {"format": "avro", "key_format": "avro", "mode": "upsert", "columns": {"key_id": "key.id"}}
    bench.drain(bench.config(log, route=route, registry={"url": url}))
    bench.check(log, model=Mirror("wanted"))


def test_ids_in_headers_by_confluent(bench):
    """A GUID, of values and of keys; the bytes begin with 00 all the same. One schema refers to another. The double has
    GUIDs, and Apicurio none."""
    log = bench.topic()
    bench.sql("CREATE TABLE events (id bigint PRIMARY KEY, note text, key_id bigint)")
    line = record("Line", ("id", "long"), ("order", "shop.Order"))
    refers = [{"name": "shop.Order", "subject": "order", "version": 1}]
    orders = [{"id": 0, "order": {"id": i, "note": f"n{i}"}} for i in range(10)]
    with registry.Double() as double:
        double.register("order", ORDER)
        double.register(f"{log.topic}-value", line, references=refers)
        double.register(f"{log.topic}-key", KEY)
        keys, wrote = confluent.part(KEY, [{"id": i} for i in range(10)]), confluent.part(line, orders, refers)
        for key, value, headers in confluent.write(double.url, log.topic, keys, wrote, framing="header"):
            assert value[:1] == b"\0"
            assert [name for name, _ in headers] == ["__key_schema_id", "__value_schema_id"]
            log.send(value, key=key, headers=headers)
        columns = {"id": "value.order.id", "note": "value.order.note", "key_id": "key.id"}
        route = {"format": "avro", "key_format": "avro", "mode": "upsert", "columns": columns}
        bench.drain(bench.config(log, route=route, registry={"url": double.url}))
    rows = ", ".join(f"({i}, 'n{i}', {i})" for i in range(10))
    bench.check(log, model=Mirror(f"(VALUES {rows})"))


SHOP = """
syntax = "proto3";
package shop;
import "google/protobuf/timestamp.proto";
import "google/protobuf/wrappers.proto";
enum Mood { SAD = 0; GLAD = 1; }
message Other { string x = 1; }
message Order {
  message Line { int64 n = 1; string sku = 2; }
  int64 id = 1;
  optional string note = 2;
  repeated Line lines = 3;
  map<string, int32> by = 4;
  Mood mood = 5;
  oneof what { string a = 6; double b = 7; }
  google.protobuf.Timestamp at = 8;
  google.protobuf.StringValue maybe = 9;
  bytes raw = 10;
  repeated sint32 nums = 11;
  uint64 big = 12;
}
"""


def test_protobuf_by_confluent(bench, shared_apicurio):
    """It registers a descriptor in base64, not the text; the framing says which message of the file it is, of keys too."""
    log = bench.topic()
    url = f"{shared_apicurio.url}/apis/ccompat/v7"
    orders = [
        {"id": 1, "note": "n", "lines": [{"n": 1, "sku": "s"}], "by": {"k": 1}, "mood": "GLAD", "a": "x",
         "at": "2024-02-29T13:14:15.5Z", "maybe": "m", "raw": "AAE=", "nums": [-1, 2], "big": str(2**64 - 1)},
        {"id": 2, "b": 1.5, "lines": [{}]},
    ]  # fmt: skip
    keys = confluent.protobuf_part(bench.root, SHOP, "shop.Order.Line", [{"n": o["id"]} for o in orders])
    wrote = confluent.protobuf_part(bench.root, SHOP, "shop.Order", orders)
    for key, value, _ in confluent.write(url, log.topic, keys, wrote):
        log.send(value, key=key)
    bench.sql(
        "CREATE TABLE events (id bigint PRIMARY KEY, note text, lines jsonb, by jsonb, mood text, a text, b float8,"
        " at timestamptz, maybe text, raw bytea, nums int[], big numeric, key_n bigint)"
    )
    route = {"format": "protobuf", "key_format": "protobuf", "mode": "upsert", "columns": {"key_n": "key.n"}}
    bench.drain(bench.config(log, route=route, registry={"url": url}))
    rows = """
        (1, 'n', '[{"n": 1, "sku": "s"}]'::jsonb, '{"k": 1}'::jsonb, 'GLAD', 'x', NULL,
         timestamptz '2024-02-29 13:14:15.5+00', 'm', '\\x0001'::bytea, '{-1,2}'::int[], 18446744073709551615, 1),
        (2, NULL, '[{"n": 0, "sku": ""}]', '{}', 'SAD', NULL, 1.5, NULL, NULL, '', '{}', 0, 2)
    """
    bench.check(log, model=Mirror(f"(VALUES {rows})"))


def test_json_by_confluent(bench, shared_apicurio):
    """JSON after an id, whose schema says what a text is."""
    log = bench.topic()
    url = f"{shared_apicurio.url}/apis/ccompat/v7"
    kinds = {"id": {"type": "integer"}, "at": {"type": "string", "format": "date-time"}, "n": {"type": ["number", "null"]}}
    schema = {"$schema": "http://json-schema.org/draft-07/schema#", "title": "Event", "type": "object", "properties": kinds}
    found = [{"id": 1, "at": "2024-02-29T13:14:15.5Z", "n": 1.5}, {"id": 2, "at": "2024-02-29T13:14:15Z", "n": None}]
    keys = {"title": "Key", "type": "object", "properties": {"id": {"type": "integer"}}}
    parts = confluent.json_part(keys, [{"id": -e["id"]} for e in found]), confluent.json_part(schema, found)
    for key, value, _ in confluent.write(url, log.topic, *parts):
        log.send(value, key=key)
    bench.sql("CREATE TABLE events (id bigint PRIMARY KEY, at timestamptz, n numeric, key_id bigint)")
    route = {"format": "json_schema", "key_format": "json_schema", "mode": "upsert", "columns": {"key_id": "key.id"}}
    bench.drain(bench.config(log, route=route, registry={"url": url}))
    rows = "(1, timestamptz '2024-02-29 13:14:15.5+00', 1.5, -1), (2, '2024-02-29 13:14:15+00', NULL, -2)"
    bench.check(log, model=Mirror(f"(VALUES {rows})"))
