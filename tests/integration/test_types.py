"""Every type through the daemon: the column gets what PostgreSQL itself makes of the value's text.

tests/integration/test_encode.py has many more values for the binary encoders; here the whole way is gone, with both
write paths, and with the types that only PostgreSQL can read.
"""

import json

import pytest

from kit import ledger

PATHS = ["copy", "unnest"]
PLACE = "seq bigint GENERATED ALWAYS AS IDENTITY, _partition int, _offset bigint"
DAY = "2024-02-29"
UUID = "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"

SETUP = """
CREATE EXTENSION hstore;
CREATE EXTENSION citext;
CREATE TYPE mood AS ENUM ('good', 'bad', 'so so', 'größe');
CREATE TYPE pair AS (a int, b text);
CREATE DOMAIN score AS numeric(5, 2) NOT NULL CHECK (VALUE > 0);
CREATE DOMAIN moods AS mood[] CHECK (cardinality(VALUE) < 3);
CREATE DOMAIN better AS mood CHECK (VALUE <> 'bad');
"""

# type -> the JSON value and the text that PostgreSQL is given
BINARY = {
    "bool": [("true", "t"), ('"off"', "f")],
    "int2": [("-32768", "-32768")],
    "int4": [("1e3", "1000")],
    "int8": [("9223372036854775807", "9223372036854775807")],
    "float4": [("0.1", "0.1")],
    "float8": [("1e300", "1e300")],
    "numeric": [("123456789012345678901234567890.123456789", "123456789012345678901234567890.123456789")],
    "text": [('"a\\u00e9"', "aé"), ('{"a": [1]}', '{"a": [1]}')],
    "citext": [('"MiXed"', "MiXed")],
    "varchar(3)": [('"abc"', "abc")],
    "char(5)": [('"ab"', "ab")],
    "bytea": [('"3q2+7w=="', "\\xdeadbeef")],
    "uuid": [(f'"{UUID}"', UUID)],
    "json": [('{"a":  [1, 1e5]}', '{"a":  [1, 1e5]}')],
    "jsonb": [('{"b":12345678901234567890.5,"a":null}', '{"b":12345678901234567890.5,"a":null}')],
    "date": [(f'"{DAY}"', DAY)],
    "time(0)": [('"10:11:12.6"', "10:11:12.6")],
    "timestamp": [(f'"{DAY}T10:11:12"', f"{DAY} 10:11:12")],
    "timestamptz": [(f'"{DAY}T10:11:12+02:00"', f"{DAY} 10:11:12+02:00")],
    "interval": [('"P1Y2M3DT4H5M6.5S"', "P1Y2M3DT4H5M6.5S"), ('"-1 days 02:03"', "-1 days 02:03")],
    "interval(1)": [('"00:00:01.26"', "00:00:01.26")],
    "inet": [('"10.1.2.3/8"', "10.1.2.3/8"), ('"2001:db8::1"', "2001:db8::1")],
    "cidr": [('"10.0.0.0/8"', "10.0.0.0/8")],
    "macaddr": [('"08:00:2b:01:02:03"', "08:00:2b:01:02:03")],
    "macaddr8": [('"08:00:2b:01:02:03"', "08:00:2b:01:02:03")],
    "mood": [('"good"', "good"), ('"so so"', "so so"), ('"größe"', "größe")],
    "better": [('"good"', "good")],
}  # fmt: skip

# Arrays go by COPY whatever the size of the batch.
ARRAYS = {
    "int4[]": [("[1,null,3]", "{1,NULL,3}"), ("[]", "{}"), ("[[1,2],[3,4]]", "{{1,2},{3,4}}")],
    "text[]": [('["a","",null,"null","{\\"}"]', '{a,"",NULL,"null","{\\"}"}')],
    "numeric(5,2)[]": [("[1.005]", "{1.005}")],
    "timestamptz[]": [(f'["{DAY}T10:11:12Z"]', f"{{{DAY} 10:11:12Z}}")],
    "jsonb[]": [('[{"a":[1]},[2]]', '{"{\\"a\\":[1]}","[2]"}')],
    "mood[]": [('["good",null,"so so"]', '{good,NULL,"so so"}')],
    "moods": [('["bad"]', "{bad}")],
    "score[]": [("[1.5,2]", "{1.5,2}")],
    "citext[]": [('["Aa"]', "{Aa}")],
    "inet[]": [('["::1","1.2.3.4/8"]', "{::1,1.2.3.4/8}")],
    "interval[]": [('["P1D"]', "{P1D}")],
}  # fmt: skip

CAST = {
    "hstore": [('{"a":1,"b":"x\\"\\\\y","c":null,"d":{"e":[]}}', '"a"=>"1","b"=>"x\\"\\\\y","c"=>NULL,"d"=>"{\\"e\\":[]}"'),
               ('"k=>v"', "k=>v"), ("{}", "")],
    "int4range": [('"[1,5)"', "[1,5)"), ("[1,5]", "[1,5]"), ('"empty"', "empty")],
    "tstzrange": [(f'["{DAY}Z","2024-03-01Z"]', f'["{DAY}Z","2024-03-01Z"]')],
    "int4multirange": [('"{[1,3),[5,7)}"', "{[1,3),[5,7)}")],
    "point": [('"(1,2.5)"', "(1,2.5)")],
    "money": [("12.5", "12.5")],
    "bit(3)": [('"101"', "101")],
    "varbit(5)": [('"11"', "11")],
    "xml": [('"<a>1</a>"', "<a>1</a>")],
    "tsvector": [('"a fat cat"', "a fat cat")],
    "timetz": [('"10:11:12+02"', "10:11:12+02")],
    "pg_lsn": [('"16/B374D848"', "16/B374D848")],
    "pair": [('"(1,x)"', "(1,x)")],
    "point[]": [('["(1,2)",null]', '{"(1,2)",NULL}')],
    "hstore[]": [('[{"a":"b"}]', '{"\\"a\\"=>\\"b\\""}')],
    "pair[]": [('["(1,x)","(2,\\"y z\\")"]', '{"(1,x)","(2,\\"y z\\")"}'), ('"{\\"(1,x)\\"}"', '{"(1,x)"}')],
}  # fmt: skip


def write_and_compare(bench, types, path):
    """A column for each type, a record for each value: all other columns of its row are NULL."""
    log = bench.topic()
    columns = ", ".join(f"c{i} {sql_type}" for i, sql_type in enumerate(types))
    bench.sql(f"CREATE TABLE events ({PLACE}, {columns})")
    bench.sql(f"CREATE TABLE expected (_offset bigint, {columns})")
    for i, values in enumerate(types.values()):
        for data, text in values:
            sent = log.send(f'{{"c{i}": {data}}}'.encode())
            bench.sql(f"INSERT INTO expected (_offset, c{i}) VALUES ({sent.offset}, %s)", text)
    bench.drain(bench.config(log, batch={"write_path": path}))
    bench.check(log, contents=ledger.offsets_only)
    names = ", ".join(f"e.c{i}::text, x.c{i}::text" for i in range(len(types)))
    for row in bench.sql(f"SELECT {names} FROM events e JOIN expected x USING (_offset) ORDER BY _offset"):
        for sql_type, got, want in zip(types, row[::2], row[1::2], strict=True):
            assert got == want, sql_type


@pytest.mark.parametrize("path", PATHS)
def test_types_with_a_binary_encoder(bench, path):
    bench.sql(SETUP)
    write_and_compare(bench, BINARY, path)


@pytest.mark.parametrize("path", PATHS)
def test_arrays(bench, path):
    bench.sql(SETUP)
    write_and_compare(bench, ARRAYS, path)


@pytest.mark.parametrize("path", PATHS)
def test_types_that_postgresql_reads(bench, path):
    bench.sql(SETUP)
    write_and_compare(bench, CAST, path)


BAD = [
    ("mood", '"ugly"'), ("better", '"bad"'), ("moods", '["good","bad","good"]'), ("score[]", "[-1]"),
    ("bit(3)", '"1011"'), ("int4range", '"[5,1)"'), ("pair", '"(x,1)"'),
]  # fmt: skip


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(("sql_type", "data"), BAD)
def test_what_postgresql_refuses(bench, sql_type, data, path):
    """The very record is found, and those before it are stored. Nothing is cut to fit."""
    bench.sql(SETUP)
    log = bench.topic()
    bench.sql(f"CREATE TABLE events ({PLACE}, v {sql_type})")
    log.send(b"{}")
    log.send(b'{"v": null}')
    log.send(f'{{"v": {data}}}'.encode())
    d = bench.start(bench.config(log, batch={"write_path": path}), ready=False)
    d.allow(f"{log.topic}-0@2: ")
    d.wait_log(rf"error .*{log.topic}-0@2: ")
    bench.check(log, contents=ledger.offsets_only, stops={0: 2})


def test_a_label_is_added_while_running(bench):
    bench.sql(SETUP)
    log = bench.topic()
    bench.sql(f"CREATE TABLE events ({PLACE}, m mood)")
    bench.start(bench.config(log))
    log.send_json(m="good")
    bench.wait_rows(1)
    bench.sql("ALTER TYPE mood ADD VALUE 'new'")
    log.send_json(m="new")
    bench.wait_rows(2)
    bench.check(log, contents=ledger.offsets_only)


@pytest.mark.parametrize(
    ("value", "want"),
    [
        (b'{"b": 12345678901234567890123.50, "a": [1]}', '{"a": [1], "b": 12345678901234567890123.50}'),
        (b"9223372036854775808.000000000000000000001", "9223372036854775808.000000000000000000001"),
        (b' "text" ', '"text"'),
        (b"true", "true"),
        (b"[]", "[]"),
        (b"null", None),
    ],
)
def test_whole_values(bench, value, want):
    """The value, the key and all headers as jsonb; a scalar also as what it is."""
    log = bench.topic()
    bench.sql(f"CREATE TABLE events ({PLACE}, _key jsonb, _headers jsonb, v jsonb, t text)")
    log.send(value, key=b'{"k": 1e2}', headers=[("a", b"x"), ("b", None), ("a", b"y")])
    bench.drain(bench.config(log, route={"columns": {"v": "value", "t": "value"}}))
    bench.check(log, contents=ledger.offsets_only)
    row = bench.sql("SELECT v::text, t, _key::text, _headers FROM events")[0]
    assert row == (want, None if want is None else value.decode().strip(), '{"k": 100}', {"a": "y", "b": None})


@pytest.mark.parametrize(
    ("sql_type", "value", "want"),
    [
        ("numeric", "123456789012345678901234567890.5", "123456789012345678901234567890.5"),
        ("int4", "7", "7"),
        ("timestamptz", f'"{DAY}T00:00:00Z"', f"{DAY} 00:00:00+00"),
        ("int4[]", "[1, 2]", "{1,2}"),
        ("hstore", '{"a": 1}', '"a"=>"1"'),
        ("point", '"(1,2)"', "(1,2)"),
    ],
)
def test_the_whole_value_as_what_it_is(bench, sql_type, value, want):
    bench.sql(SETUP)
    log = bench.topic()
    bench.sql(f"CREATE TABLE events ({PLACE}, v {sql_type})")
    log.send(value.encode())
    log.send(None)
    bench.drain(bench.config(log, route={"columns": {"v": "value"}}))
    bench.check(log, contents=ledger.offsets_only)
    bench.sql("SET TimeZone = 'UTC'")
    assert bench.sql("SELECT v::text FROM events ORDER BY _offset") == [(want,), (None,)]


def test_numbers_beyond_int8_and_double_are_exact(bench):
    log = bench.topic()
    bench.sql(f"CREATE TABLE events ({PLACE}, n numeric, j jsonb, t text, plain json)")
    number = "-98765432109876543210987654321.000000000000000000000000000001"
    log.send(f'{{"n": {number}, "j": {{"x": {number}}}, "t": {number}, "plain": {number}}}'.encode())
    bench.drain(bench.config(log))
    bench.check(log, contents=ledger.offsets_only)
    row = bench.sql("SELECT n::text, j->>'x', t, plain::text FROM events")
    assert row == [(number, number, number, number)]


# What a route says, what the column is, the JSON, and what PostgreSQL shows then; None: a dead letter.
RULES = [
    ({}, "text", '"a\\u0000b"', None),
    ({"nul": "strip"}, "text", '"a\\u0000b"', "ab"),
    ({"nul": "replace"}, "varchar(3)", '"a\\u0000b"', "a\ufffdb"),
    ({"nul": "strip"}, "jsonb", '{"a\\u0000":["\\u0000", "\\\\u0000"]}', '{"a": ["", "\\\\u0000"]}'),
    ({"nul": "replace"}, "hstore", '{"a":"\\u0000"}', '"a"=>"\ufffd"'),
    ({"nul": "strip"}, "text[]", '["\\u0000x"]', "{x}"),
    ({"nul": "strip"}, "mood", '"go\\u0000od"', "good"),
    ({}, "int4", '"12"', "12"),
    ({}, "text", "12", "12"),
    ({"numbers": "strict"}, "int4", '"12"', None),
    ({"numbers": "strict"}, "int4[]", '["12"]', None),
    ({"numbers": "strict"}, "text", "12", None),
    ({"numbers": "strict"}, "numeric", "12", "12"),
    ({}, "varchar(2)", '"abc"', None),
    ({"too_long": "truncate"}, "varchar(2)", '"äbc"', "äb"),
    ({"too_long": "truncate"}, "short", '"abc"', "ab"),
    ({"too_long": "truncate"}, "varchar(2)[]", '["abc","d"]', "{ab,d}"),
    ({"empty_as_null": True}, "text", '""', "(null)"),
    ({"empty_as_null": True}, "timestamptz", '""', "(null)"),
    ({"empty_as_null": True}, "hstore", '""', "(null)"),
    ({"empty_as_null": True}, "jsonb", '""', '""'),
    ({"time_unit": "ms"}, "timestamptz", "1709210096789", "2024-02-29 12:34:56.789+00"),
    ({"time_unit": "s"}, "date[]", "[0,86400]", "{1970-01-01,1970-01-02}"),
    ({"time_unit": "us"}, "interval", "1500000", "00:00:01.5"),
    ({}, "timestamptz", f'"{DAY}T00:00:00"', f"{DAY} 00:00:00+00"),
    ({"time_zone": "+02:00"}, "timestamptz", f'"{DAY}T00:00:00"', "2024-02-28 22:00:00+00"),
    ({"time_zone": "+02:00"}, "timestamptz", f'"{DAY}T00:00:00Z"', f"{DAY} 00:00:00+00"),
    ({"bytes": "base64"}, "bytea", '"AP8="', "\\x00ff"),
    ({"bytes": "base64"}, "bytea", '"\\\\x00ff"', None),
    ({"bytes": "hex"}, "bytea", '"00ff"', "\\x00ff"),
    ({"bytes": "utf8"}, "bytea", '"AP8="', "\\x4150383d"),
]  # fmt: skip


@pytest.mark.parametrize("path", PATHS)
def test_rules_of_a_route(bench, path):
    """One sink with a route for each case. The columns of types with a cast go another way than the others."""
    bench.sql(SETUP + "CREATE DOMAIN short AS varchar(2)")
    log = bench.topic()
    routes = []
    for i, (rule, sql_type, data, _) in enumerate(RULES):
        bench.sql(f"CREATE TABLE t{i} ({PLACE}, v {sql_type})")
        routes.append({"topics": [log.topic], "table": f"t{i}", "columns": {"v": f"value.v{i}"}} | rule)
    values = ", ".join(f'"v{i}": {data}' for i, (_, _, data, _) in enumerate(RULES))
    log.send(f"{{{values}}}".encode())
    bench.drain(bench.config(log, routes=routes, batch={"write_path": path}))
    bench.sql("SET TimeZone = 'UTC'")
    for i, (rule, sql_type, data, want) in enumerate(RULES):
        got = bench.sql(f"SELECT coalesce(v::text, '(null)') FROM t{i}")
        assert got == ([] if want is None else [(want,)]), (rule, sql_type, data)
        dead = {(0, 0)} if want is None else set()
        bench.check(log, f"t{i}", contents=ledger.offsets_only, dead=dead, route=f"t{i}")


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("sql_type", ["json", "jsonb"])
def test_unknown_fields_are_collected(bench, path, sql_type):
    log = bench.topic()
    bench.sql(f"CREATE TABLE events ({PLACE}, id int, city text, rest {sql_type})")
    number = "12345678901234567890.10"
    log.send(f'{{"id": 1, "n": {number}, "address": {{"city": "x", "zip": 1}}, "s": "\\u00e9", "o": {{"id": 2}}}}'.encode())
    log.send(b'{"id": 2}')
    log.send(None)
    route = {"unknown_fields": "rest", "columns": {"city": "value.address.city"}}
    bench.drain(bench.config(log, route=route, batch={"write_path": path}))
    bench.check(log, contents=ledger.offsets_only)
    rows = bench.sql("SELECT id, city, rest::text::jsonb::text FROM events ORDER BY _offset")
    assert rows == [(1, "x", f'{{"n": {number}, "o": {{"id": 2}}, "s": "é"}}'), (2, None, "{}"), (None, None, None)]


def test_unknown_fields_are_faults(bench):
    log = bench.topic()
    bench.sql(f"CREATE TABLE events ({PLACE}, id int)")
    log.send(b'{"id": 1}')
    log.send(b'{"id": 2, "odd": 1}')
    log.send(b"{}")
    bench.drain(bench.config(log, route={"unknown_fields": "error", "on_error": "dead_letter"}))
    bench.check(log, contents=ledger.offsets_only, dead={(0, 1)})
    (message,) = bench.sql("SELECT message FROM pgsinkd.dead_letters")[0]
    assert "no column takes the field 'odd'" in message


def test_a_column_for_unknown_fields_must_be_there(bench):
    log = bench.topic()
    bench.sql(f"CREATE TABLE events ({PLACE}, id int)")
    done = bench.command("check", bench.config(log, route={"unknown_fields": "rest"}))
    assert done.returncode == 4
    assert "no column 'rest'" in done.stderr and "ADD COLUMN" in done.stderr
