"""What real sources write: each value is stored right or becomes a dead letter, and none is damaged in silence.

One route, topic and table for each case, all in one sink. Most cases are change events; the target keeps them as a
history, so that each record is one row or one dead letter.
"""

import dataclasses
import json

from kit import ledger

PLACE = "seq bigint GENERATED ALWAYS AS IDENTITY, _partition int, _offset bigint, id int"


@dataclasses.dataclass
class Case:
    """A record, or several, into a column `v` of that type, and what is stored there; None is NULL."""

    type: str
    record: object  # JSON, or text as it is
    stored: list | str | None = None
    dead: str | None = None  # instead: a part of the dead letter's message
    route: dict = dataclasses.field(default_factory=dict)
    key: bytes | None = None

    @property
    def records(self):
        return self.record if isinstance(self.record, list) else [self.record]

    @property
    def wanted(self):
        return self.stored if isinstance(self.stored, list) else [self.stored]


def event(value, connector=None, **more):
    source = {"source": {"connector": connector}} if connector else {}
    return {"op": "c", "after": {"id": 1, "v": value} | more} | source


def wrapped(field, value, **more):
    """The same with its schema, as Kafka Connect's converter writes it."""
    entry = {"type": "struct", "field": "after", "optional": True, "fields": [
        {"type": "int32", "optional": False, "field": "id"}, {"optional": True, "field": "v"} | field]}  # fmt: skip
    schema = {"type": "struct", "name": "s.Envelope", "optional": False,
              "fields": [entry, {"type": "string", "optional": False, "field": "op"}]}  # fmt: skip
    return {"schema": schema, "payload": event(value, **more)}


def connect(value, *fields):
    """A row in Kafka Connect's JSON; each field is (name, entry)."""
    entries = [{"optional": True, "field": name} | entry for name, entry in fields]
    return {"schema": {"type": "struct", "optional": False, "fields": entries}, "payload": value}


def bits(length, value):
    return wrapped({"type": "bytes", "name": "io.debezium.data.Bits", "parameters": {"length": str(length)}}, value)


def named(kind, name, value, **parameters):
    more = {"parameters": parameters} if parameters else {}
    return wrapped({"type": kind, "name": name} | more, value)


def run(bench, cases, **defaults):
    """Drains all cases and compares; the checker looks at each topic."""
    logs, routes = {}, []
    for name, case in cases.items():
        log = logs[name] = bench.topic()
        bench.sql(f'CREATE TABLE "{name}" ({PLACE}, v {case.type})')
        for record in case.records:
            log.send(record.encode() if isinstance(record, str) else json.dumps(record).encode(), key=case.key)
        routes.append({"topics": [log.topic], "table": f'public."{name}"', "mode": "append"} | defaults | case.route)
    bench.drain(bench.config(routes=routes), allow=[r"dead letter", r"rejected"])
    faults = []
    for name, case in cases.items():
        log, dead = logs[name], set()
        letters = dict(bench.sql('SELECT "offset", message FROM pgsinkd.dead_letters WHERE topic = %s', log.topic))
        rows = dict(bench.sql(f'SELECT _offset, v::text FROM "{name}"'))
        for offset, _ in enumerate(case.records):
            want = case.wanted[offset] if case.dead is None else None
            if case.dead is not None:
                dead.add((0, offset))
                if case.dead not in letters.get(offset, ""):
                    faults.append(f"{name}: {letters.get(offset) or rows.get(offset)!r} instead of a dead letter")
            elif offset not in rows or rows[offset] != want:
                faults.append(f"{name}: {letters.get(offset) or rows.get(offset)!r} instead of {want!r}")
        if not faults:
            bench.check(log, f'"{name}"', contents=ledger.offsets_only, dead=dead)
    assert not faults, "\n".join(faults)


DECIMAL = {"type": "bytes", "name": "org.apache.kafka.connect.data.Decimal", "parameters": {"scale": "3"}}
TIMESTAMP = {"type": "int64", "name": "org.apache.kafka.connect.data.Timestamp"}
INSTANT = {"type": "timestamp", "record": event(1709212455000)}
ADAPTIVE = {"time_precision": "adaptive_time_microseconds"}
US = {"time_precision": "microseconds"}
NO_UNIT = "no unit is declared"

BITS = {
    "int2": Case("int2", bits(8, "BQ=="), "5"),
    "int4": Case("int4", bits(16, "AgE="), "258"),
    "int8": Case("int8", bits(12, "Cg8="), "3850"),
    "int8 too large": Case("int8", bits(64, "//////////8="), dead="out of range for int8"),
    "int2 too large": Case("int2", bits(16, "//8="), dead="out of range for int2"),
    "numeric": Case("numeric", bits(64, "//////////8="), "18446744073709551615"),
    "float8": Case("float8", bits(12, "BQA="), "5"),
    "float4": Case("float4", bits(12, "BQA="), "5"),
    "bool": Case("bool", [bits(8, "AQ=="), bits(8, "AA==")], ["true", "false"]),
    "bool too large": Case("bool", bits(8, "BQ=="), dead="is not a valid bool"),
    "bit": Case("bit(8)", bits(8, "BQ=="), "00000101"),
    "longer bit": Case("bit(16)", bits(8, "BQ=="), "0000000000000101"),
    "shorter bit": Case("bit(4)", [bits(8, "BQ=="), bits(8, "Dw==")], ["0101", "1111"]),
    "bit too large": Case("bit(4)", bits(8, "EA=="), dead="has more than 4 bits"),
    "varbit": Case("bit varying(8)", bits(12, "BQA="), "101"),
    "varbit too large": Case("bit varying(3)", bits(12, "CAA="), dead="has more than 3 bits"),
    "bytea": Case("bytea", bits(12, "AQA="), "\\x0001"),
    "text": Case("text", bits(12, "BQA="), "000000000101"),
    "jsonb": Case("jsonb", bits(12, "Cg8="), "3850"),
    "of several": Case("int", bits(12, "Cg8="), "3850",
                       route={"columns": {"v": {"coalesce": ["value.after.w", "value.after.v"]}}}),
    "flag into bit": Case("bit(8)", wrapped({"type": "boolean"}, True), "00000001"),
}  # fmt: skip

TIMES = {
    "timestamp": Case("timestamp", event(1709212455000), dead=NO_UNIT),
    "timestamp of mysql": Case("timestamp(3)", event(1709212455000, "mysql"), dead=NO_UNIT),
    "timestamp of sqlserver": Case("timestamp", event(1709212455123456700, "sqlserver"), dead=NO_UNIT),
    "timestamp of postgresql": Case(
        "timestamp", event(1709212455123456, "postgresql"), "2024-02-29 13:14:15.123456"),
    "timestamp(3) of postgresql": Case(
        "timestamp(3)", event(1709212455123, "postgresql"), "2024-02-29 13:14:15.123"),
    "date": Case("date", event(19782), dead=NO_UNIT),
    "date of postgresql": Case("date", event(19782, "postgresql"), "2024-02-29"),
    "time": Case("time(0)", event(5000000), dead=NO_UNIT),
    "interval": Case("interval", event(47655000000), dead=NO_UNIT),
    "interval of postgresql": Case("interval", event(47655000000, "postgresql"), "13:14:15"),
    "array": Case("timestamp[]", event([1709212455000], "mysql"), dead=NO_UNIT),
    "year": Case("date", event(2024), dead=NO_UNIT),
    "year, said": Case("date", event(2024), dead="may be a year", route=US),
    "year of mariadb": Case("date", event(1901, "mariadb"), dead="may be a year", route=US),
    "date of 1975": Case("date", event(2024, "sqlserver"), "1975-07-18", route=US),
    "date of 1975, said": Case("date", event(2024), "1975-07-18",
                               route={"columns": {"v": {"from": "value.after.v", "unit": "d"}}}),
    "year with a schema": Case("date", named("int32", "io.debezium.time.Year", 2024), dead="is a year"),
    "adaptive without a precision": Case("timestamp", event(1709212455000), dead=NO_UNIT, route=ADAPTIVE),
    "adaptive timestamptz": Case("timestamptz", event(1709212455000, "mariadb"), dead=NO_UNIT, route=ADAPTIVE),
    "adaptive of milliseconds": Case(
        "timestamp(0)", event(1709212455000, "mysql"), "2024-02-29 13:14:15", route=ADAPTIVE),
    "adaptive of microseconds": Case(
        "timestamp(6)", event(1709212455123456, "mysql"), "2024-02-29 13:14:15.123456", route=ADAPTIVE),
    "adaptive of another precision": Case(
        "timestamp(3)", event(1709212455123456), dead="after the year 9999", route=ADAPTIVE),
    "adaptive into date": Case("date", event(1709212455000), dead="after the year 9999", route=ADAPTIVE),
    "adaptive time of mysql": Case("time(0)", event(5000000, "mysql"), "00:00:05", route=ADAPTIVE),
    "adaptive date": Case("date", [event(19782, "mysql"), event(-354285, "mysql"), event(2932896, "mysql")],
                          ["2024-02-29", "1000-01-01", "9999-12-31"], route=ADAPTIVE),
    "adaptive days into timestamp": Case("timestamp", event(19782), dead=NO_UNIT, route=ADAPTIVE),
    "microseconds": Case("timestamp(0)", event(1709212455000000), "2024-02-29 13:14:15", route=US),
    "microseconds before 1970": Case("timestamp", event(-1000000, "mysql"), "1969-12-31 23:59:59", route=US),
    "interval of connect": Case("interval", event(47655000), "13:14:15", route={"time_precision": "connect"}),
    "interval of nanoseconds": Case("interval", event(47655000000000), "13:14:15",
                                    route={"time_precision": "nanoseconds"}),
    "interval of a connector": Case("interval", event(47655000000, "postgresql"), "13:14:15",
                                    route={"time_precision": "connect"}),
    "nanoseconds of sqlserver": Case("timestamp", event(1709212455123456700, "sqlserver"),
                                     "2024-02-29 13:14:15.123457", route={"time_precision": "nanoseconds"}),
    "unit of the column": Case("timestamp", event(1709212455000), "2024-02-29 13:14:15",
                               route={"columns": {"v": {"from": "value.after.v", "unit": "ms"}}}),
    "far away, from postgresql": Case("date", event(35807000, "postgresql"), "100006-03-28"),
    "time of day into interval": Case(
        "interval", named("string", "io.debezium.time.IsoTime", "13:14:15Z"), "13:14:15"),
    "time of day into interval, plain": Case("interval", event("13:14:15.5Z"), "13:14:15.5"),
}  # fmt: skip

DOCUMENT = '{"a": [1, 2.50, null]}'
STRING = {"type": "string"}
JSON = {
    f"{kind} {what}": Case(kind, record, stored)
    for kind in ("jsonb", "json")
    for what, record, stored in [
        ("plain", event(DOCUMENT), DOCUMENT),
        ("schema", wrapped(STRING, DOCUMENT), DOCUMENT),
        ("named", named("string", "io.debezium.data.Json", DOCUMENT), DOCUMENT),
        ("plain string in it", event('"x"'), '"x"'),
        ("schema, string in it", wrapped(STRING, '"x"'), '"x"'),
        ("plain number", event("5"), "5"),
        ("schema, number", wrapped(STRING, "5"), "5"),
        ("plain null", event("null"), "null"),
        ("schema, null", wrapped(STRING, "null"), "null"),
        ("plain text", event("x {"), '"x {"'),
        ("schema, text", wrapped(STRING, "x {"), '"x {"'),
        ("plain, empty", event(""), '""'),
        ("schema, empty", wrapped(STRING, ""), '""'),
    ]
} | {
    "hstore of a string": Case("hstore", [wrapped(STRING, '{"a": "1"}'), event('{"a": "1"}')], ['"a"=>"1"'] * 2),
}  # fmt: skip

BYTES = {"type": "bytes"}
BINARY = {
    "digits": Case("bytea", event("deadbeef"), dead="may be hexadecimal digits or base64"),
    "digits, with a schema": Case("bytea", wrapped(STRING, "deadbeef"), dead="may be hexadecimal digits or base64"),
    "two digits": Case("bytea", [event("00"), event("1F")], dead="may be hexadecimal digits or base64"),
    "digits that are bytes": Case("bytea", wrapped(BYTES, "1234"), "\\xd76df8"),
    "hex": Case("bytea", [event("deadbeef"), event("00")], ["\\xdeadbeef", "\\x00"], route={"bytes": "hex"}),
    "hex with a schema": Case("bytea", wrapped(STRING, "deadbeef"), "\\xdeadbeef", route={"bytes": "hex"}),
    "said base64": Case("bytea", event("1234"), "\\xd76df8", route={"bytes": "base64"}),
    "base64": Case("bytea", [event("3q2+7w=="), wrapped(STRING, "3q2+7w==")], ["\\xdeadbeef"] * 2),
    "url-safe": Case("bytea", [event("_-8="), wrapped(STRING, "_-8=")], ["\\xffef"] * 2),
    "empty": Case("bytea", event(""), "\\x"),
}  # fmt: skip

BASE64 = {"decimal": "base64"}
DECIMALS = {
    "may be both": Case("numeric(10,2)", [event("1234"), event("Infinity")], dead="decimal"),
    "unlimited, infinity": Case("numeric", event("Infinity"), dead="is not a decimal"),
    "integer, may be both": Case("int", event("1234"), dead="may be a decimal or base64"),
    "certainly base64": Case("numeric(10,2)", event("APMW"), dead="is not a decimal"),
    "certainly a decimal": Case("numeric(10,2)", [event("12.34"), event("-1234"), event("123")],
                                ["12.34", "-1234.00", "123.00"]),
    "string": Case("numeric(10,2)", event("1234"), "1234.00", route={"decimal": "string"}),
    "string that is none": Case("numeric(10,2)", event("APMW"), dead="is not a decimal",
                                route={"decimal": "string"}),
    "base64": Case("numeric(10,2)", [event("1234"), event("AQ=="), event("AA==")],
                   ["-26588.24", "0.01", "0.00"], route=BASE64),
    "base64, integer": Case("int", [event("AYaf"), event("1234")], dead="does not have the scale", route=BASE64),
    "base64, unlimited": Case("numeric", event("AQ=="), dead="does not have the scale", route=BASE64),
    "base64, a number": Case("numeric(10,2)", event(1.5), "1.50", route=BASE64),
    "number": Case("numeric(10,2)", event("12.34"), dead="decimal: number", route={"decimal": "number"}),
    "number, a number": Case("numeric(10,2)", event(12.34), "12.34", route={"decimal": "number"}),
    "a schema tells it": Case("numeric(10,2)", wrapped(STRING, "1234"), "1234.00"),
    "not finite": Case("numeric", [event("NAN"), event("POSITIVE_INFINITY"), event("NEGATIVE_INFINITY")],
                       ["NaN", "Infinity", "-Infinity"]),
    "float": Case("float8", [event("Infinity"), event("-Infinity"), event("NaN"), event(1.5)],
                  ["Infinity", "-Infinity", "NaN", "1.5"]),
    "of several": Case("numeric(10,2)", event("1234"), dead="may be a decimal or base64",
                       route={"columns": {"v": {"coalesce": ["value.after.w", "value.after.v"]}}}),
    "struct": Case("int8", event({"scale": 0, "value": "Kg=="}), "42"),
    "struct with a fraction": Case("int8", event({"scale": 1, "value": "Kg=="}), dead="is not an integer"),
    "struct into float": Case("float8", event({"scale": 1, "value": "Kg=="}), "4.2"),
}  # fmt: skip

LABELS = {
    "set": Case("text[]", [named("string", "io.debezium.data.EnumSet", value, allowed='x,y,z "z')
                           for value in ("x,y", "", 'x,z "z')], ["{x,y}", "{}", '{x,"z \\"z"}']),
    "set of mysql": Case("text[]", event("x,y", "mysql"), "{x,y}"),
    "array of mysql": Case("text[]", event('["x","y"]', "mysql"), "{x,y}"),
    "text of postgresql": Case("text[]", event("x,y", "postgresql"), dead="is not a JSON array"),
}  # fmt: skip


def test_bits(bench):
    run(bench, BITS, envelope="debezium")


def test_units_of_times(bench):
    run(bench, TIMES, envelope="debezium")


def test_documents_that_the_source_calls_strings(bench):
    bench.sql("CREATE EXTENSION hstore")
    run(bench, JSON, envelope="debezium")


def test_bytes(bench):
    run(bench, BINARY, envelope="debezium")


def test_decimals(bench):
    run(bench, DECIMALS, envelope="debezium")


def test_sets(bench):
    run(bench, LABELS, envelope="debezium")


INT = ("id", {"type": "int32"})
CONNECT = {
    "decimal": Case("numeric", connect({"id": 1, "v": "adw="}, INT, ("v", DECIMAL)), "27.100"),
    "timestamp": Case("timestamp", connect({"id": 1, "v": 1605708606000}, INT, ("v", TIMESTAMP)), "2020-11-18 14:10:06"),
    "date": Case("date", connect({"v": 19782}, ("v", {"type": "int32", "name": "org.apache.kafka.connect.data.Date"})),
                 "2024-02-29"),
    "time": Case("time", connect({"v": 5000}, ("v", {"type": "int32", "name": "org.apache.kafka.connect.data.Time"})),
                 "00:00:05"),
    "bytes": Case("bytea", connect({"v": "3q2+7w=="}, ("v", BYTES)), "\\xdeadbeef"),
    "bytes, whatever the route says": Case("bytea", connect({"v": "1234"}, ("v", BYTES)), "\\xd76df8",
                                           route={"bytes": "hex"}),
    "bytes that look like digits": Case("bytea", connect({"v": "1234"}, ("v", BYTES)), "\\xd76df8"),
    "string": Case("text", connect({"v": "x"}, ("v", STRING)), "x"),
    "of several": Case("numeric", [connect({"v": "adw="}, ("v", DECIMAL)), connect({"w": "adw="}, ("w", DECIMAL))],
                       ["27.100"] * 2, route={"columns": {"v": {"coalesce": ["value.w", "value.v", "key"]}}}),
    "string into jsonb": Case("jsonb", connect({"v": '{"a": 1}'}, ("v", STRING)), '"{\\"a\\": 1}"'),
    "boolean": Case("bool", connect({"v": True}, ("v", {"type": "boolean"})), "true"),
    "float": Case("float8", connect({"v": 1.5}, ("v", {"type": "double"})), "1.5"),
    "array": Case("date[]", connect({"v": [0, None]}, ("v", {"type": "array", "items": {
        "type": "int32", "name": "org.apache.kafka.connect.data.Date"}})), "{1970-01-01,NULL}"),
    "map": Case("jsonb", connect({"v": {"a": 1}}, ("v", {"type": "map", "keys": STRING, "values": {"type": "int32"}})),
                '{"a": 1}'),
    "uuid of bytes": Case("uuid", connect({"v": "ABEiM0RVZneImaq7zN3u/w=="}, ("v", BYTES)),
                          "00112233-4455-6677-8899-aabbccddeeff"),
    "scalar": Case("int", {"schema": {"type": "int32", "optional": False}, "payload": 7}, "7",
                   route={"columns": {"v": "value", "id": "meta.offset"}}),
    "scalar decimal": Case("numeric", {"schema": DECIMAL, "payload": "adw="}, "27.100",
                           route={"columns": {"v": "value", "id": "meta.offset"}}),
    "scalar text": Case("text", {"schema": STRING, "payload": 'a"b'}, 'a"b',
                        route={"columns": {"v": "value", "id": "meta.offset"}}),
    "without a schema": Case("text", {"schema": None, "payload": {"v": "x"}}, "x"),
    "not wrapped": Case("text", {"v": "x"}, dead="no schema and payload around it"),
    "whole key": Case("numeric", connect({"id": 1}, INT), "27.100",
                      route={"columns": {"v": "key"}, "key_format": "json"},
                      key=json.dumps({"schema": DECIMAL, "payload": "adw="}).encode()),
    "whole key as it is": Case("text", connect({"id": 1}, INT), dead="the key is an object of exactly",
                               route={"columns": {"v": "key"}},
                               key=json.dumps({"schema": STRING, "payload": "x"}).encode()),
    "plain key": Case("text", connect({"id": 1}, INT), "x", route={"columns": {"v": "key"}}, key=b"x"),
    "key": Case("numeric", connect({"id": 1}, INT), "27.100", route={"columns": {"v": "key.v"}},
                key=json.dumps(connect({"v": "adw="}, ("v", DECIMAL))).encode()),
}  # fmt: skip

WRAPPED = {
    "wrapped": Case("text", connect({"id": 1, "v": "x"}, INT, ("v", STRING)), dead="exactly 'schema' and 'payload'"),
    "wrapped null": Case("text", {"schema": None, "payload": None}, dead="exactly 'schema' and 'payload'"),
    "the other order": Case("text", {"payload": {"v": 1}, "schema": {"type": "struct"}}, dead="exactly 'schema'"),
    "as a document": Case("jsonb", connect({"v": "x"}), dead="exactly 'schema' and 'payload'",
                          route={"columns": {"v": "value"}}),
    "other fields": Case("text", {"schema": "public", "payload": {}, "v": "x"}, "x"),
    "a wrapped key": Case("text", {"id": 1}, dead="the key is an object of exactly", route={"columns": {"v": "key.v"}},
                          key=json.dumps(connect({"v": "x"}, ("v", STRING))).encode()),
    "a column named payload": Case("text, payload jsonb", connect({"v": "x"}, ("v", STRING)), dead="the value is an object"),
    "a schema that is a name": Case("text", {"schema": "public", "payload": {}}, None),
    "asked for": Case("text", connect({"v": "x"}), "x", route={"columns": {"v": "value.payload.v"}}),
    "passed over": Case("text", [{"v": "x"}], "x", route={"when": "not exists(value.schema)"}),
}  # fmt: skip


def test_connect_json(bench):
    """All of Connect's types and logical names, in values and keys."""
    run(bench, CONNECT, envelope="connect")


def test_connect_json_without_an_envelope(bench):
    """A wrapper is never taken for a row."""
    run(bench, WRAPPED)


def test_a_wrapped_null_is_a_tombstone(bench):
    log = bench.topic()
    bench.sql("CREATE TABLE events (_partition int, _offset bigint, id int PRIMARY KEY, v text)")
    row = ("id", {"type": "int32"})
    key = json.dumps(connect({"id": 1}, row)).encode()
    log.send(json.dumps(connect({"id": 1, "v": "x"}, row, ("v", STRING))).encode(), key=key)
    log.send(json.dumps({"schema": None, "payload": None}).encode(), key=key)
    route = {"envelope": "connect", "mode": "upsert", "delete": "tombstone", "columns": {"id": "key.id"}}
    bench.drain(bench.config(log, route=route))
    assert bench.rows() == 0
    bench.stop()
    assert bench.next_offset(log) == 2


# ---- the placeholder of a value that the source does not tell ----

PLACEHOLDERS = {
    "text": ("text", "__debezium_unavailable_value", "old"),
    "bytea": ("bytea", "X19kZWJleml1bV91bmF2YWlsYWJsZV92YWx1ZQ==", "\\x00"),
    "hex": ("bytea", b"__debezium_unavailable_value".hex(), "\\x00"),
    "map": ("jsonb", {"__debezium_unavailable_value": "__debezium_unavailable_value"}, "[]"),
    "texts": ("text[]", ["__debezium_unavailable_value"], "{a}"),
    "uuids": ("uuid[]", ["b68a35a7-17ad-35b3-af2a-ae46edb4545a"], "{}"),
    "numbers": ("float8[]", list(b"__debezium_unavailable_value"), "{1}"),
    "floats": ("float8[]", [float(b) for b in b"__debezium_unavailable_value"], "{1}"),
    "own text": ("text", "__toast__", "old"),
    "own bytes": ("bytea", "X190b2FzdF9f", "\\x00"),
    "own hex": ("bytea", b"__toast__".hex(), "\\x00"),
    "own map": ("jsonb", {"__toast__": "__toast__"}, "[]"),
    "own texts": ("text[]", ["__toast__"], "{a}"),
    "own numbers": ("int4[]", list(b"__toast__"), "{1}"),
    "own uuids": ("uuid[]", ["e65e77df-c1d0-3d86-a3e8-3c6b5d33a3a2"], "{}"),
}  # fmt: skip


def test_placeholders(bench):
    """Debezium's own and the route's, in every form: the column stays as it is."""
    import hashlib
    import uuid

    digest = bytearray(hashlib.md5(b"__toast__").digest())  # noqa: S324 - what Java makes a UUID of
    own = str(uuid.UUID(bytes=bytes(digest), version=3))
    values = PLACEHOLDERS | {"own uuids": ("uuid[]", [own], "{}")}
    log = bench.topic()
    columns = ", ".join(f'"{name}" {kind}' for name, (kind, _, _) in values.items())
    bench.sql(f"CREATE TABLE events (id int PRIMARY KEY, n int, {columns})")
    names = ", ".join(f'"{name}"' for name in values)
    bench.sql(f"INSERT INTO events (id, n, {names}) VALUES (1, 1, {', '.join('%s' for _ in values)})",
              *(old for _, _, old in values.values()))  # fmt: skip
    before = bench.sql(f"SELECT {names} FROM events")
    after = {"id": 1, "n": 2} | {name: value for name, (_, value, _) in values.items()}
    log.send(json.dumps({"op": "u", "after": after}).encode())
    log.send(json.dumps({"op": "u", "after": after}, separators=(",", ":")).encode())
    bench.drain(bench.config(log, route={"envelope": "debezium", "mode": "upsert", "placeholder": "__toast__"}))
    assert bench.sql(f"SELECT {names} FROM events") == before
    assert bench.value("SELECT n FROM events") == 2
    bench.stop()
    assert bench.next_offset(log) == 2


def test_a_placeholder_in_plain_records(bench):
    """Records without an envelope, as a connector's transform leaves them."""
    log = bench.topic()
    bench.sql("CREATE TABLE events (id int PRIMARY KEY, v text NOT NULL, n int)")
    log.send_json(id=1, v="x", n=1)
    log.send_json(id=1, v="__toast__", n=2)
    log.send_json(id=2, v="y", n=1)
    bench.drain(bench.config(log, route={"mode": "upsert", "placeholder": "__toast__"}))
    assert bench.sql("SELECT * FROM events ORDER BY id") == [(1, "x", 2), (2, "y", 1)]
    bench.stop()
    assert bench.next_offset(log) == 3


# ---- what else is in a topic ----

OWN = [
    {"ts_ms": 1795876993478},
    {"status": "BEGIN", "id": "571", "ts_ms": 1, "event_count": None, "data_collections": None},
    {"status": "END", "id": "571", "ts_ms": 1, "event_count": 1, "data_collections": [{"data_collection": "a"}]},
    {"source": {"table": "t"}, "ddl": "ALTER TABLE t ADD x int", "databaseName": "db", "tableChanges": []},
    {"source": {"table": "t"}, "ts_ms": 5, "databaseName": "db", "schemaName": "s", "ddl": None, "tableChanges": []},
]


def test_records_of_debezium_that_are_no_changes_are_passed_over(bench):
    """Heartbeats, transactions, changes of the schema: no row, no dead letter, not a word."""
    log = bench.topic()
    bench.sql(f"CREATE TABLE events ({PLACE}, v text)")
    for record in OWN:
        log.send(json.dumps(record).encode())
        log.send(json.dumps({"schema": {"type": "struct", "fields": []}, "payload": record}).encode())
    log.send(json.dumps(event("x")).encode())
    bench.drain(bench.config(log, route={"envelope": "debezium"}))
    bench.check(log, contents=ledger.offsets_only, rows=lambda record: 1 if b'"op"' in record.value else 0)


def test_when_is_asked_before_the_envelope_is_judged(bench):
    log = bench.topic()
    bench.sql(f"CREATE TABLE events ({PLACE}, v text, k text)")
    log.send(json.dumps({"something": "else"}).encode(), key=b"no JSON")
    log.send(json.dumps(event("x")).encode(), key=b"{}")
    log.send(json.dumps({"op": "?"}).encode(), key=b"{}")
    route = {"envelope": "debezium", "columns": {"k": "key.k"}, "when": "value.op is not null", "on_error": "dead_letter"}
    bench.drain(bench.config(log, route=route), allow=["dead letter", "rejected"])
    bench.check(log, contents=ledger.offsets_only, dead={(0, 2)}, rows=lambda r: 0 if b"something" in r.value else 1)


# ---- where the row is ----

ROOTS = {
    "data": Case("text", {"meta": {"v": "no"}, "data": {"id": 1, "v": "x"}}, "x", route={"root": "value.data"}),
    "no data": Case("text", [{"meta": 1}, {"data": None}], dead="there is no row: the root 'value.data' is",
                    route={"root": "value.data"}),
    "data that is none": Case("text", {"data": 5}, dead="an object should be", route={"root": "value.data"}),
    "document in a string": Case("jsonb", {"v": DOCUMENT}, DOCUMENT,
                                 route={"columns": {"v": {"from": "value.v", "parse": "json"}}}),
    "number in a string": Case("int", {"v": " 5 "}, "5", route={"columns": {"v": {"from": "value.v", "parse": "json"}}}),
    "null in a string": Case("int", {"v": "null"}, None, route={"columns": {"v": {"from": "value.v", "parse": "json"}}}),
    "no document in a string": Case("jsonb", {"v": "{"}, dead="not valid JSON",
                                    route={"columns": {"v": {"from": "value.v", "parse": "json"}}}),
    "document as it is": Case("jsonb", {"v": {"a": 1}}, '{"a": 1}',
                              route={"columns": {"v": {"from": "value.v", "parse": "json"}}}),
    "encoded twice": Case("text", json.dumps(json.dumps({"id": 1, "v": 'x"y'})), 'x"y', route={"parse": "json"}),
    "row in a string": Case("text", {"after": '{"id": 1, "v": "x"}'}, "x",
                            route={"root": "value.after", "parse": "json"}),
    "deep in it": Case("text", {"after": '{"id": 1, "v": {"w": "x"}}'}, "x",
                       route={"root": "value.after", "parse": "json", "columns": {"v": "item.v.w"}}),
    "no row in a string": Case("text", {"after": "["}, dead="not valid JSON",
                               route={"root": "value.after", "parse": "json"}),
}  # fmt: skip


def test_where_the_row_is(bench):
    run(bench, ROOTS)


def test_documents_of_mongodb(bench):
    """`after` is a string that holds the document, and a key too."""
    log = bench.topic()
    bench.sql("CREATE TABLE events (id text PRIMARY KEY, name text, tags text[])")
    for n, op, after in [
        (1, "c", {"_id": {"$oid": "64"}, "name": "Ada", "tags": ["x"]}),
        (2, "c", {"_id": {"$oid": "65"}, "name": "Bob"}),
        (1, "u", {"_id": {"$oid": "64"}, "name": "Eve", "tags": []}),
        (2, "d", None),
        (1, "u", None),
    ]:
        key = json.dumps({"id": json.dumps({"$oid": str(63 + n)})}).encode()
        value = {"op": op, "after": after and json.dumps(after), "source": {"connector": "mongodb"}}
        log.send(json.dumps(value).encode(), key=key)
    route = {"mode": "upsert", "root": "value.after", "parse": "json", "delete_when": "value.op = 'd'",
             "columns": {"id": "key.id"}}  # fmt: skip
    log.send(None, key=json.dumps({"id": json.dumps({"$oid": "65"})}).encode())
    bench.drain(bench.config(log, route=route | {"on_error": "dead_letter"}), allow=["dead letter"])
    assert bench.sql("SELECT * FROM events") == [('{"$oid": "64"}', "Eve", [])]
    bench.stop()
    assert bench.next_offset(log) == 6
    assert bench.sql('SELECT "offset" FROM pgsinkd.dead_letters') == [(4,)]  # an update without its document


def test_unknown_fields_of_a_root(bench):
    log = bench.topic()
    bench.sql(f"CREATE TABLE events ({PLACE}, v text, rest jsonb)")
    log.send_json(meta=1, data={"id": 1, "v": "x", "w": 2})
    bench.drain(bench.config(log, route={"root": "value.data", "unknown_fields": "rest"}))
    assert bench.sql("SELECT id, v, rest FROM events") == [(1, "x", {"w": 2})]
    bench.check(log, contents=ledger.offsets_only)


def test_check_prints_units(bench):
    """`check` says what numbers count, for each column."""
    log = bench.topic()
    bench.sql("CREATE TABLE events (id int PRIMARY KEY, a timestamp(3), b date, c interval)")
    route = {"envelope": "debezium", "mode": "upsert"}
    said = bench.command("check", bench.config(log, route=route)).stdout
    assert "timestamp binary, without a schema numbers are ms from postgresql, else rejected" in said
    assert "date binary, without a schema numbers are days from postgresql, else rejected" in said
    said = bench.command("check", bench.config(log, route=route | {"time_precision": "nanoseconds"})).stdout
    assert "interval binary, without a schema numbers are us from postgresql, else ns" in said
    assert "timestamp binary, without a schema numbers are ns\n" in said
