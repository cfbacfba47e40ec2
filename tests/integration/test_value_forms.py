"""One value in the forms that sources write it in: what is not ambiguous is taken, anything else is a dead letter.

Each group is a table, a topic and a route of its own; one daemon drains them all.
"""

import base64
import dataclasses
import json
import re
import uuid

import pytest

from kit import ledger
from kit.model import Model

PLACE = "seq bigint GENERATED ALWAYS AS IDENTITY, _partition int, _offset bigint"
UUID = uuid.UUID("a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11")
BASE64 = base64.b64encode(UUID.bytes).decode()
ONES = "ffffffff-ffff-ffff-ffff-ffffffffffff"
BOM = b"\xef\xbb\xbf"


@dataclasses.dataclass
class Case:
    """A record, and what becomes of it: a text for each column, or what its dead letter says."""

    value: bytes | None
    want: dict | str
    key: bytes | None = None
    headers: list | None = None


@dataclasses.dataclass
class Group:
    columns: str
    cases: list
    route: dict = dataclasses.field(default_factory=dict)


def value(text, **want):
    return Case(text.encode(), want)


def bad(text, message):
    return Case(text.encode(), message)


def key(data, message=None, **want):
    return Case(b"{}", message or want, key=data)


def at(text, **want):
    return Case(f'{{"at": "{text}"}}'.encode(), want)


def bad_at(text, message):
    return bad(f'{{"at": "{text}"}}', message)


TIMES = [
    ("2026-01-31T08:00:00+01:00[Europe/Berlin]", "2026-01-31 07:00:00+00"),
    ("2026-01-31T08:00Z[UTC]", "2026-01-31 08:00:00+00"),
    ("2026-01-31T08:00:00.5+01:00[Europe/Berlin][u-ca=iso8601]", "2026-01-31 07:00:00.5+00"),
    ("20260131T080000Z", "2026-01-31 08:00:00+00"),
    ("20260131T080000", "2026-01-31 07:00:00+00"),
    ("20260131T080000+0200", "2026-01-31 06:00:00+00"),
    ("20260131T0800+02", "2026-01-31 06:00:00+00"),
    ("2026-01-31 08:00:00 +0000", "2026-01-31 08:00:00+00"),
    ("2026-01-31 08:00:00 UTC", "2026-01-31 08:00:00+00"),
    ("2026-01-31 08:00:00 GMT", "2026-01-31 08:00:00+00"),
    ("2026-01-31 08:00:00.25 +0000 UTC", "2026-01-31 08:00:00.25+00"),
    ("2026-01-31t08:00:00,5z", "2026-01-31 08:00:00.5+00"),
    ("2026-031T08:00:00Z", "2026-01-31 08:00:00+00"),
    ("2026-W05-6T08:00:00Z", "2026-01-31 08:00:00+00"),
    ("20260131", "2026-01-30 23:00:00+00"),
]

GROUPS = {
    "strict": Group(
        "b boolean, n smallint",
        [
            value('{"b": true, "n": 1}', b="true", n="1"),
            value('{"b": 0}', b="false"),
            bad('{"b": 2}', "column 'b': 2 is not a valid bool"),
            bad('{"n": true}', "column 'n': true is not a valid int2"),
        ],
    ),
    "number": Group(
        "b boolean, bs boolean[], n2 smallint, n4 int, n8 bigint, n numeric(5,2), f4 real, f8 float8, t text",
        [
            value('{"b": 2, "bs": [0, -128, 1.5, null, true]}', b="true", bs="{f,t,t,NULL,t}"),
            value('{"b": 0}', b="false"),
            value('{"b": 0.0}', b="false"),
            value('{"b": 1e-400}', b="true"),
            value('{"b": "off"}', b="false"),
            value('{"n2": true, "n4": false, "n8": true, "n": true}', n2="1", n4="0", n8="1", n="1.00"),
            value('{"f4": true, "f8": false, "t": true}', f4="1", f8="0", t="true"),
            bad('{"b": "2"}', "column 'b': \"2\" is not a valid bool"),
        ],
        {"booleans": "number"},
    ),
    "times": Group(
        "at timestamptz, day date, local timestamp, clock time",
        [
            *[at(text, at=want) for text, want in TIMES],
            value('{"day": "20260131", "clock": "T080000"}', day="2026-01-31", clock="08:00:00"),
            value('{"day": "2026-01-31z"}', day="2026-01-31"),
            value('{"local": "2026-01-31T08:00:00+01:00[Europe/Berlin]"}', local="2026-01-31 08:00:00"),
            value('{"clock": "08:00:00 UTC"}', clock="08:00:00"),
            bad_at("2026-01-31T08:00:00[Europe/Berlin]", "names a time zone and has no offset"),
            bad_at("2026-01-31T08:00:00Z[!Europe/Berlin]", "is not a valid timestamptz"),
            bad_at("2026-01-31 08:00:00 CET", "is not a valid timestamptz"),
            bad_at("20260131080000", "is not a valid timestamptz"),
            bad_at("20261301T080000Z", "is out of range for timestamptz"),
            bad('{"at": 20260131}', "20260131 is a number, and no unit is declared"),
            bad('{"clock": "080000"}', '"080000" is not a valid time'),
        ],
        {"time_zone": "+01:00"},
    ),
    # What docs/types.md says of the two hours in which summer time begins and ends.
    "zones": Group(
        "at timestamptz",
        [
            value('{"local": "2026-07-31T08:00:00"}', at="2026-07-31 06:00:00+00"),
            value('{"local": "2026-10-25T02:30:00"}', at="2026-10-25 01:30:00+00"),
            value('{"local": "2026-03-29T02:30:00"}', at="2026-03-29 01:30:00+00"),
        ],
        {"columns": {"at": {"sql": "(value->>'local')::timestamp AT TIME ZONE 'Europe/Berlin'"}}},
    ),
    # With a unit, what reads as a number is one.
    "units": Group("at timestamptz", [at("20260131", at="1970-08-23 11:48:51+00")], {"time_unit": "s"}),
    "marks": Group(
        "id int, doc jsonb, plain json, t text, k jsonb, ks int[]",
        [
            Case(BOM + b'{"id": 1}', {"id": "1", "doc": '{"id": 1}', "plain": '{"id": 1}', "t": '{"id": 1}'}),
            Case(b"{}", {"doc": "{}", "plain": "{}", "t": "{}", "k": "[7]", "ks": "{7}"}, key=BOM + b"[7]"),
            Case(BOM, "the value: not valid JSON: it is empty"),
            Case(b" " + BOM + b"{}", "the value: not valid JSON"),
        ],
        {"columns": {"doc": "value", "plain": "value", "t": "value", "k": "key", "ks": "key"}},
    ),
    "uuids": Group(
        "u uuid, k uuid, h uuid, us uuid[]",
        [
            value(f'{{"u": "{BASE64}"}}', u=str(UUID)),
            value(f'{{"u": "{BASE64.rstrip("=")}"}}', u=str(UUID)),
            value(f'{{"u": "{"/" * 21}w=="}}', u=ONES),
            value(f'{{"us": ["{"_" * 21}w", null]}}', us=f"{{{ONES},NULL}}"),
            Case(b"{}", {"k": str(UUID), "h": str(UUID)}, UUID.bytes, [("id", UUID.bytes)]),
            Case(b"{}", {"k": str(UUID), "h": str(UUID)}, str(UUID).encode(), [("id", BASE64.encode())]),
            bad(f'{{"u": "{BASE64[:20]}"}}', "is not a valid uuid"),
            Case(b"{}", "is not a valid uuid", UUID.bytes[1:]),
            Case(b"{}", "\"customer-0000042\" is not a valid uuid", b"customer-0000042"),
        ],
        {"columns": {"k": "key", "h": "headers.id"}},
    ),
    "raw_uuid": Group("value uuid", [Case(UUID.bytes, {"value": str(UUID)})], {"format": "raw"}),
    "key_auto": Group(
        "t text, field text",
        [key(b'{"id": "c-1"}', t='{"id": "c-1"}', field="c-1")],
        {"columns": {"t": "key", "field": "key.id"}},
    ),
    "key_text": Group("t text, n int", [key(b'"c-1"', "column 'n'"), key(b"12", t="12", n="12")],
                      {"key_format": "text", "columns": {"t": "key", "n": "key"}}),
    "key_json": Group(
        "t text, _key text, j jsonb, b bytea, s text, has boolean",
        [
            key(b'"c-1"', t="c-1", _key="c-1", j='"c-1"', b="\\x22632d3122", s="<c-1>", has="true"),
            key(b"1.50", t="1.50", _key="1.50", j="1.50", b="\\x312e3530", s="<1.50>", has="true"),
            key(b"null", b="\\x6e756c6c", has="false"),
            key(None, has="false"),
            key(b'{"id": 7}', t='{"id": 7}', _key='{"id": 7}', j='{"id": 7}', b="\\x7b226964223a20377d",
                s='<{"id": 7}>', has="true"),
            key(b"c-1", "the key: not valid JSON"),
        ],
        {
            "key_format": "json",
            "columns": {"t": "key", "j": "key", "b": "key", "s": {"sql": "'<' || key || '>'"},
                        "has": {"sql": "key IS NOT NULL"}},
        },
    ),
    "key_field": Group(
        "id int, name text", [key(b'{"id": 7, "name": "x"}', id="7", name="x"), key(b'"c-1"', "not a JSON object")],
        {"key_format": "json", "columns": {"id": "key.id", "name": "key.name"}},
    ),
    "key_int32": Group(
        "n int, t text, j jsonb, _key bigint, s text, b bytea",
        [
            key(b"\0\0\x01\x02", n="258", t="258", j="258", _key="258", s="<258>", b="\\x00000102"),
            key(b"\xff\xff\xff\xd6", n="-42", t="-42", j="-42", _key="-42", s="<-42>", b="\\xffffffd6"),
            key(None),
            key(b"42", "the key has 2 bytes, and key_format: int32 reads 4"),
            key(bytes(8), "the key has 8 bytes, and key_format: int32 reads 4"),
        ],
        {"key_format": "int32", "columns": {"n": "key", "t": "key", "j": "key", "b": "key",
                                            "s": {"sql": "'<' || key || '>'"}}},
    ),
    "key_int64": Group(
        "n bigint, at timestamptz",
        [
            key((1_700_000_000_000).to_bytes(8), n="1700000000000", at="2023-11-14 22:13:20+00"),
            key(b"\x80" + bytes(7), "is out of range for timestamptz"),
            key(bytes(4), "the key has 4 bytes, and key_format: int64 reads 8"),
        ],
        {"key_format": "int64", "columns": {"n": "key", "at": {"from": "key", "unit": "ms"}}},
    ),
    "names_exact": Group("user_id int", [value('{"userId": 1, "user_id": 2}', user_id="2"), value('{"userId": 1}')]),
    "names_snake": Group(
        "user_id int, created_at text, http_server int, user2_id int, again text, twice text",
        [
            value('{"userId": 1, "createdAt": "x"}', user_id="1", created_at="x", twice="1"),
            value('{"userID": 1, "HTTPServer": 2, "user2Id": 3}', user_id="1", http_server="2", user2_id="3"),
            value('{"user_id": 1, "created-at": null}', user_id="1", again="1"),
            value('{"userId": 1, "userId": 2}', user_id="2", twice="2"),
            value('{"userid": 1, "nested": {"userId": 1}}'),
            bad('{"userId": 1, "user_id": 1}', "'userId' and 'user_id' both meet column 'user_id'"),
            bad('{"user_id": 1, "n": {}, "UserId": null}', "'user_id' and 'UserId' both meet column 'user_id'"),
        ],
        # A path that a user writes leads to the exact name.
        {"names": "snake_case", "columns": {"again": "value.user_id", "twice": "value.userId"},
         "when": "value.userId is not null or value.userId is null"},
    ),
    "names_lower": Group(
        'id int, name text, "Name" text',
        [
            value('{"ID": 1, "NAME": "x"}', id="1", name="x"),
            value('{"Id": 2, "Name": "y"}', id="2", Name="y"),
            bad('{"ID": 1, "id": 1}', "'ID' and 'id' both meet column 'id'"),
        ],
        {"names": "lower"},
    ),
    "names_rest": Group(
        "user_id int, rest jsonb",
        [value('{"UserId": 1, "userid": 2, "Rest": 3}', user_id="1", rest='{"Rest": 3, "userid": 2}')],
        {"names": "snake_case", "unknown_fields": "rest"},
    ),
    "names_unknown": Group(
        "user_id int",
        [value('{"UserId": 1}', user_id="1"), bad('{"userid": 1}', "no column takes the field 'userid'")],
        {"names": "snake_case", "unknown_fields": "error"},
    ),
    "raw_key": Group("key int, value text", [Case(b"x", {"key": "5", "value": "x"}, bytes([0, 0, 0, 5]))],
                     {"format": "raw", "key_format": "int32"}),
}  # fmt: skip


def send(bench, name, group):
    log = bench.topic()
    bench.sql(f"CREATE TABLE {name} ({PLACE}, {group.columns})")
    sent = log.send_many((0, case.key, case.value, case.headers, None) for case in group.cases)
    return log, sent


def compare(bench, name, group, log, sent):
    dead = {(r.partition, r.offset) for case, r in zip(group.cases, sent, strict=True) if isinstance(case.want, str)}
    bench.check(log, name, contents=ledger.offsets_only, dead=dead)
    letters = dict(bench.sql('SELECT "offset", message FROM pgsinkd.dead_letters WHERE topic = %s', log.topic))
    columns = [c for (c,) in bench.sql("SELECT attname FROM pg_attribute WHERE attrelid = %s::regclass AND attnum > 3"
                                       " ORDER BY attnum", name)]  # fmt: skip
    texts = ", ".join(f'"{column}"::text' for column in columns)
    rows = {row[0]: row[1:] for row in bench.sql(f"SELECT _offset, {texts} FROM {name}")}
    for case, record in zip(group.cases, sent, strict=True):
        if isinstance(case.want, str):
            assert case.want in letters[record.offset], (name, case)
        else:
            got = dict(zip(columns, rows[record.offset], strict=True))
            assert got == dict.fromkeys(columns) | case.want, (name, case)


def drain(bench, groups):
    bench.sql(f"ALTER DATABASE {bench.database} SET timezone = 'UTC'")
    bench.db.execute("SET timezone = 'UTC'")
    sent = {name: send(bench, name, group) for name, group in groups.items()}
    routes = [
        {"topics": [sent[name][0].topic], "table": name, "max_dead_letters": "off"} | group.route
        for name, group in groups.items()
    ]
    bench.drain(bench.config(routes=routes))
    for name, group in groups.items():
        compare(bench, name, group, *sent[name])


@pytest.mark.sanitize
def test_forms_of_values_and_keys(bench):
    drain(bench, GROUPS)


KEYS = {"int32": lambda n: n.to_bytes(4), "int64": lambda n: n.to_bytes(8), "json": lambda n: str(n).encode()}


def number(record):
    return int(record.key) if record.key.isdigit() else int.from_bytes(record.key)


def test_what_else_asks_for_the_key(bench):
    """Deletes by tombstones, conditions, and the name of the table."""
    logs, routes = {}, []
    for name, make in KEYS.items():
        log = logs[name] = bench.topic()
        bench.sql(f"CREATE TABLE {name}_rows ({PLACE}, id int PRIMARY KEY, note text)")
        for n in (1, 2):
            bench.sql(f"CREATE TABLE {name}_{n} ({PLACE}, note text)")
        for n, value in [(1, "a"), (2, "b"), (3, "c"), (1, None), (2, "d"), (1, None)]:
            log.send(None if value is None else f'{{"note": "{value}"}}'.encode(), key=make(n))
        route = {"topics": [log.topic], "key_format": name}
        upsert = {"mode": "upsert", "delete": "tombstone", "columns": {"id": "key"}}
        routes.append(route | upsert | {"table": f"{name}_rows"})
        named = {"table": name + "_{key}", "tables": [f"{name}_1", f"{name}_2"], "when": "key < 3"}
        routes.append(route | named)
    bench.drain(bench.config(routes=routes))
    for name, log in logs.items():
        rows = Model("upsert", ["id"], ["id", "note"], lambda r: {"id": number(r)} | json.loads(r.value or "{}"), deletes=True)
        bench.check(log, f"{name}_rows", model=rows)
        for n in (1, 2):
            bench.check(log, f"{name}_{n}", rows=lambda r, n=n: int(number(r) == n), contents=ledger.offsets_only)


def test_names_of_elements_and_change_events(bench):
    """Rows of an array's elements; a source with capital names, whose deletes have only a key."""
    items, events = bench.topic(), bench.topic()
    bench.sql(f"CREATE TABLE items ({PLACE}, order_id int, item_id int)")
    bench.sql(f"CREATE TABLE accounts ({PLACE}, id int PRIMARY KEY, full_name text)")
    items.send_json(orderId=7, lineItems=[{"itemId": 1}, {"item_id": 2}])
    bad_item = items.send_json(orderId=7, lineItems=[{"itemId": 1, "item_id": 2}])
    for op, n in [("c", 1), ("c", 2), ("u", 2), ("d", 1)]:
        row = {"ID": n, "FULL_NAME": f"{op}{n}"}
        event = {"op": op, "before": None if op in "cd" else {"ID": n}, "after": None if op == "d" else row}
        events.send_json(0, json.dumps({"ID": n}).encode(), **event)
    routes = [
        {"topics": [items.topic], "table": "items", "explode": "value.lineItems", "names": "snake_case",
         "columns": {"order_id": "value.orderId"}, "max_dead_letters": "off"},
        {"topics": [events.topic], "table": "accounts", "envelope": "debezium", "names": "lower"},
    ]  # fmt: skip
    bench.drain(bench.config(routes=routes))
    assert bench.sql("SELECT order_id, item_id FROM items ORDER BY 2") == [(7, 1), (7, 2)]
    [(message,)] = bench.sql("SELECT message FROM pgsinkd.dead_letters")
    assert "'itemId' and 'item_id' both meet column 'item_id'" in message
    bench.check(items, "items", contents=ledger.offsets_only, rows=lambda _: 2,
                dead={(bad_item.partition, bad_item.offset)})  # fmt: skip

    def row_of(record):
        row = record.json["after"] or json.loads(record.key)
        return {name.lower(): v for name, v in row.items()}

    deletes = Model("upsert", ["id"], ["id", "full_name"], row_of, deletes=lambda r: r.json["op"] == "d")
    bench.check(events, "accounts", model=deletes)


REFUSED = [
    ({"time_zone": "Europe/Vienna"}, r"sql: \"\(value->>'at'\)::timestamp AT TIME ZONE 'Europe/Vienna'\""),
    ({"key_format": "text", "columns": {"id": "key.id"}}, "with key_format text a key has no fields"),
    ({"key_format": "int64", "when": "key.id = 1"}, "with key_format int64 a key has no fields"),
]


@pytest.mark.parametrize(("route", "words"), REFUSED)
def test_refused(bench, route, words):
    log = bench.topic()
    bench.plain_table()
    done = bench.command("check", bench.config(log, route=route))
    assert done.returncode != 0
    assert re.search(words, done.stdout + done.stderr), done.stdout + done.stderr
    assert "HINT" in done.stdout + done.stderr
