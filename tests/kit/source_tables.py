"""Tables that a Debezium source has, their like that pgsinkd fills, and every type that there is.

Source and target are two schemas of the test's database, so SQL can compare them.
"""

from kit.debezium import Mirror


def tables(bench, **columns):
    """The same tables in both schemas: name=columns."""
    for schema in ("source", "target"):
        bench.sql(f"CREATE SCHEMA IF NOT EXISTS {schema}")
        for name, text in columns.items():
            bench.sql(f"CREATE TABLE {schema}.{name} ({text})")


def route(source, name, **more):
    return {"topics": [source.topic(name)], "table": f"target.{name}", "envelope": "debezium",
            "on_error": "stop"} | more  # fmt: skip


def same(bench, *names):
    """Each table of the source is now equal to the one of the target."""
    for name in names:
        assert not Mirror(f"source.{name}").faults(bench.db, f"target.{name}", [])


def check(bench, log, name, rows=None, **expected):
    """THE checker: the target is the source, or holds these rows, and the ledger says so."""
    model = Mirror(f"(VALUES {rows})" if rows else f"source.{name}")
    bench.check(log, f"target.{name}", model=model, **expected)


# ---- every type ----

# column: (type, value), and whether a record without a schema can tell it
TYPES = {
    "bo": ("bool", "true"),
    "i2": ("int2", "-32768"),
    "i4": ("int4", "2147483647"),
    "i8": ("int8", "-9223372036854775808"),
    "f4": ("float4", "1.1"),
    "f8": ("float8", "1e300"),
    "n": ("numeric", "123456789012345678901234567890.123456789"),
    "nn": ("numeric", "-0.000000000000000000000000000000000000000001"),
    "n2": ("numeric(12,2)", "-1234567890.12"),
    "n0": ("numeric(5,0)", "-12345"),
    "mo": ("money", "'$1,234.50'"),
    "te": ("text", "'h' || chr(228) || chr(8364) || E'\\n\\\\\"'"),
    "vc": ("varchar(10)", "'varchar'"),
    "ch": ("char(5)", "'ab'"),
    "by": ("bytea", r"'\x00ff10'"),
    "uu": ("uuid", "'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'"),
    "js": ("json", """'{"a":  1}'"""),
    "jb": ("jsonb", """'{"b": [1, 2.50, "\\u00e4"]}'"""),
    "xm": ("xml", "'<a>x</a>'"),
    "da": ("date", "'2024-02-29'"),
    "ti": ("time", "'13:14:15.123456'"),
    "ti3": ("time(3)", "'13:14:15.123'"),
    "ts": ("timestamp", "'2024-02-29 13:14:15.123456'"),
    "ts3": ("timestamp(3)", "'1969-12-31 23:59:59.5'"),
    "ts0": ("timestamp(0)", "'2024-02-29 13:14:15'"),
    "tz": ("timestamptz", "'2024-02-29 13:14:15.123456+02'"),
    "iv": ("interval", "'-1 year 2 mons -3 days 04:05:06.789'"),
    "ine": ("inet", "'10.1.2.3/24'"),
    "cid": ("cidr", "'10.1.0.0/16'"),
    "mac": ("macaddr", "'08:00:2b:01:02:03'"),
    "bit1": ("bit", "B'1'"),
    "bit3": ("bit(3)", "B'001'"),
    "bit16": ("bit(16)", "B'0000101011110000'"),
    "vb": ("bit varying(20)", "B'1011011'"),
    "mood": ("public.mood", "'glad'"),
    "pos": ("public.positive", "7"),
    "po": ("point", "'(1.5,-2)'"),
    "r4": ("int4range", "'[1,5)'"),
    "tzr": ("tstzrange", "'[2024-01-01 00:00:00+00,2024-01-02 00:00:00+00)'"),
    "cit": ("public.citext", "'CiTe'"),
    "hs": ("public.hstore", """'a=>1, "b c"=>NULL, d=>"x\\"y"'"""),
    "lt": ("public.ltree", "'a.b.c'"),
    "tsv": ("tsvector", "'a b'"),
    "oi": ("oid", "4294967295"),
    "ai": ("int4[]", "'{1,NULL,3}'"),
    "at": ("text[]", """'{a,NULL,"b \\"c",""}'"""),
    "an": ("numeric(10,2)[]", "'{1.50,NULL}'"),
    "anu": ("numeric[]", "'{1.5,NULL,100}'"),
    "ats": ("timestamp[]", """'{"2024-02-29 13:14:15.123456"}'"""),
    "ad": ("date[]", "'{2024-02-29,NULL}'"),
    "au": ("uuid[]", "'{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11}'"),
    "aj": ("jsonb[]", """ARRAY['{"a": 1}', '"x"']::jsonb[]"""),
    "am": ("public.mood[]", "'{sad,ok}'"),
    "aby": ("bytea[]", r"ARRAY['\x0102'::bytea]"),
}

# Types that Debezium has no word for: it writes the bytes of their text, which only the schema tells.
UNKNOWN = {
    "pair": ("public.pair", "ROW(1, 'x')"),
    "ln": ("line", "'{1,2,3}'"),
    "bx": ("box", "'(1,1),(0,0)'"),
    "ci": ("circle", "'<(0,0),2>'"),
    "mr": ("int4multirange", "'{[1,3),[5,7)}'"),
    "tsq": ("tsquery", "'a & b'"),
    "lsn": ("pg_lsn", "'16/B374D848'"),
}

EXTREMES = [
    {"f4": "'NaN'", "f8": "'-Infinity'", "ts": "'infinity'", "tz": "'-infinity'", "ti": "'24:00'"},
    {"ts": "'-infinity'", "ts3": "'infinity'", "tz": "'infinity'", "da": "'infinity'", "ti3": "'00:00'"},
    {"ts3": "'-infinity'", "da": "'-infinity'", "ad": "'{infinity,-infinity}'"},
    {"ts": "'0044-03-15 12:00:00.5 BC'", "tz": "'0044-03-15 12:00:00+00 BC'", "ts3": "'0001-01-01'"},
    {"ts": "'99999-03-15'", "tz": "'99999-03-15 12:00:00+00'", "da": "'99999-03-15'"},
    {"n2": "0", "n0": "99999", "n": "'-1e100'", "jb": "'null'", "js": "'\"x\"'", "at": "'{}'"},
    {"te": "''", "by": "''", "hs": "''", "vb": "B'1'", "iv": "'0'", "da": "'1969-12-31'"},
    {"n": "repeat('9', 3000)::numeric + 0.5", "te": "repeat('x', 5000)"},
]

PRELUDE = """
CREATE EXTENSION citext; CREATE EXTENSION hstore; CREATE EXTENSION ltree;
CREATE TYPE mood AS ENUM ('sad', 'ok', 'glad');
CREATE DOMAIN positive AS int CHECK (VALUE > 0);
CREATE TYPE pair AS (a int, b text);
"""


def prepare_types(bench):
    """The extensions and types that TYPES and UNKNOWN need."""
    for statement in PRELUDE.strip().split(";\n"):
        bench.sql(statement)


def insert(bench, values, ident):
    names = "".join(f", {name}" for name in values)
    bench.sql(f"INSERT INTO source.types (id{names}) VALUES ({ident}{''.join(f', {v}' for v in values.values())})")
