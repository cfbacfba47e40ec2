"""Columns and tables of which PostgreSQL, or who made them, wants something: identities GENERATED ALWAYS, money, composite
types, views, row-level security.

Each is written by every way that a batch can take: large ones by COPY, small ones from arrays, and row by row, when one of
them is refused.
"""

import json
import os
import shutil
import subprocess

import psycopg
import pytest

from kit.debezium import Mirror

PATHS = pytest.mark.parametrize("path", ["copy", "unnest"])


def send(log, *values, key=None):
    return [log.send((value if isinstance(value, str) else json.dumps(value)).encode(), key=key) for value in values]


def places(records):
    return {(r.partition, r.offset) for r in records}


def change(op, after=None, before=None):
    return {"op": op, "before": before, "after": after}


def config(bench, log, table, path, /, **route):
    return bench.config(log, table, route={"on_error": "dead_letter", "max_dead_letters": "off"} | route, batch={"write_path": path})


def check(bench, log, table, rows, /, **expected):
    """THE checker: these are the rows, as PostgreSQL prints them."""
    bench.check(log, table, model=Mirror(f"(VALUES {rows})"), **expected)


# ---- identities that are GENERATED ALWAYS ----

IDENTITY = "id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, note text CHECK (note <> 'bad')"
NUMBERED = "id bigint PRIMARY KEY, number bigint GENERATED ALWAYS AS IDENTITY, note text CHECK (note <> 'bad')"
BAD = {"id": 9, "n": 9, "note": "bad"}


@PATHS
def test_an_identity_that_is_appended(bench, path):
    """The entry of columns: fills it; where a record lacks it, the database makes the number."""
    log = bench.topic()
    bench.sql(f"CREATE TABLE things ({IDENTITY})")
    bad = send(log, {"n": 40, "note": "a"}, {"note": "b"}, BAD, {"n": 50, "note": "c"})[2:3]
    bench.drain(config(bench, log, "things", path, columns={"id": "value.n"}))
    made = bench.value("SELECT id FROM things WHERE note = 'b'")
    check(bench, log, "things", f"(40, 'a'), ({made}, 'b'), (50, 'c')", dead=places(bad))


@PATHS
@pytest.mark.parametrize("refused", [False, True])
def test_an_identity_that_is_the_key_of_an_upsert(bench, path, refused):
    log = bench.topic()
    bench.sql(f"CREATE TABLE things ({IDENTITY}); INSERT INTO things OVERRIDING SYSTEM VALUE VALUES (7, 'old'), (8, 'gone')")
    send(log, {"id": 7, "note": "new"}, {"id": 40, "note": "a"})
    bad = send(log, BAD) if refused else []
    send(log, {"id": 8, "x": True}, {"id": 40, "note": "b"})
    bench.drain(config(bench, log, "things", path, mode="upsert", columns={"id": "value.id"}, delete_when="value.x"))
    check(bench, log, "things", "(7, 'new'), (40, 'b')", dead=places(bad))


@PATHS
@pytest.mark.parametrize("refused", [False, True])
def test_an_identity_beside_the_key_keeps_its_number(bench, path, refused):
    """An upsert gives it to new rows; PostgreSQL lets nobody update it."""
    log = bench.topic()
    bench.sql(f"CREATE TABLE things ({NUMBERED}); INSERT INTO things OVERRIDING SYSTEM VALUE VALUES (7, 70, 'old')")
    send(log, {"id": 7, "n": 700, "note": "new"}, {"id": 8, "n": 80, "note": "a"})
    bad = send(log, BAD) if refused else []
    bench.drain(config(bench, log, "things", path, mode="upsert", columns={"number": "value.n"}))
    check(bench, log, "things", "(7, 70, 'new'), (8, 80, 'a')", dead=places(bad))


@PATHS
@pytest.mark.parametrize("refused", [False, True])
def test_change_events_into_an_identity(bench, path, refused):
    log = bench.topic()
    bench.sql(f"CREATE TABLE things ({IDENTITY})")
    send(log, *(change("c", {"id": n, "note": "new"}) for n in (11, 12, 13)))
    bad = send(log, change("c", BAD)) if refused else []
    send(
        log,
        change("u", {"id": 12, "note": "changed"}, {"id": 12, "note": "new"}),
        change("u", {"id": 14, "note": "moved"}, {"id": 11, "note": "new"}),
        change("d", None, {"id": 13, "note": "new"}),
    )
    bench.drain(config(bench, log, "things", path, mode="upsert", envelope="debezium"))
    check(bench, log, "things", "(12, 'changed'), (14, 'moved')", dead=places(bad))


@PATHS
def test_change_events_update_a_row_with_an_identity(bench, path):
    log = bench.topic()
    bench.sql(f"CREATE TABLE things ({NUMBERED}); INSERT INTO things OVERRIDING SYSTEM VALUE VALUES (7, 70, 'old')")
    send(log, change("u", {"id": 7, "number": 700, "note": "new"}), change("c", {"id": 8, "number": 80, "note": "none"}))
    bench.drain(config(bench, log, "things", path, mode="update", envelope="debezium"))
    check(bench, log, "things", "(7, 70, 'new')")


# ---- money, which each database writes in its own way ----


@pytest.fixture(params=["C.UTF-8", "de_DE.UTF-8", "ja_JP.UTF-8"])  # 12.50, 12,50, and a currency without cents
def money(request, bench):
    """The database writes amounts as people do there."""
    name = request.param
    try:
        bench.sql(f"SET lc_monetary = '{name}'")
    except psycopg.Error:
        localedef = shutil.which("localedef")
        if os.geteuid() != 0 or not localedef:
            pytest.skip(f"the server has no locale {name}")
        # Not into the archive, and for a new session: nobody looks twice for what was not there.
        subprocess.run([localedef, "--no-archive", "-i", name.partition(".")[0], "-f", "UTF-8", name], check=True)
        bench.db.close()
    bench.sql(f"ALTER DATABASE {bench.database} SET lc_monetary = '{name}'; SET lc_monetary = '{name}'")
    return name


AMOUNTS = "id int PRIMARY KEY, amount money, amounts money[], note text CHECK (note <> 'bad')"
NOT_MONEY = ["$1,234.50", "12,50", "NaN", 1e30]


@PATHS
@pytest.mark.parametrize("refused", [False, True])
def test_money(bench, money, path, refused):  # noqa: ARG001
    """It is the number that the record says, whatever separators the database would read in a text."""
    log = bench.topic()
    bench.sql(f"CREATE TABLE things ({AMOUNTS}); CREATE TABLE appended (LIKE things INCLUDING ALL)")
    send(log, {"id": 1, "amount": 12.5}, {"id": 2, "amount": "-1234567.5"}, {"id": 3, "amount": 10.0051})
    bad = send(log, *({"id": 4, "amount": amount} for amount in NOT_MONEY)) if refused else []
    bad += send(log, {"id": 5, "amount": 1, "note": "bad"}) if refused else []
    send(log, {"id": 6, "amount": None}, {"id": 7, "amount": 1e15})
    routes = [
        {"topics": [log.topic], "table": table, "mode": mode, "on_error": "dead_letter", "max_dead_letters": "off"}
        for table, mode in (("things", "upsert"), ("appended", "append"))
    ]
    bench.drain(bench.config(routes=routes, batch={"write_path": path}))
    rows = ", ".join(
        f"({n}, ({amount})::numeric::money, NULL::money[], NULL)"
        for n, amount in ((1, 12.5), (2, -1234567.5), (3, 10.0051), (6, "NULL"), (7, "1e15"))
    )
    for table in ("things", "appended"):
        check(bench, log, table, rows, dead=places(bad), route=table)
    said = dict(bench.sql("SELECT \"offset\", message FROM pgsinkd.dead_letters WHERE route = 'things'"))
    assert not refused or said[3].endswith('"$1,234.50" is not a number, as money takes one: no currency sign, no separators')


@pytest.mark.parametrize("refused", [False, True])
def test_arrays_of_money(bench, money, refused):  # noqa: ARG001
    log = bench.topic()
    bench.sql(f"CREATE DOMAIN price AS money; CREATE TABLE things ({AMOUNTS}, prices price[])")
    send(log, {"id": 1, "amounts": [12.5, None, "-0.5"], "prices": [[1], [2]]}, {"id": 2, "amounts": []})
    bad = send(log, {"id": 3, "amounts": ["$1"]}, {"id": 4, "amounts": "{1}"}) if refused else []
    bad += send(log, {"id": 5, "amounts": [1], "note": "bad"}) if refused else []
    bench.drain(config(bench, log, "things", "copy", mode="upsert"))
    rows = """(1, NULL::money, ARRAY[12.5, NULL, -0.5]::numeric[]::money[], NULL, ARRAY[[1], [2]]::numeric[]::money[]),
        (2, NULL, '{}', NULL, NULL)"""
    check(bench, log, "things", rows, dead=places(bad))


@PATHS
def test_money_is_a_key(bench, money, path):  # noqa: ARG001
    """Numbers that are the same amount are the same key."""
    log = bench.topic()
    bench.sql("CREATE TABLE things (amount money PRIMARY KEY, note text); INSERT INTO things VALUES (7::numeric::money, 'old')")
    send(log, {"amount": 7.000001, "note": "new"}, {"amount": 8, "note": "a"}, {"amount": "8.0", "note": "b"})
    bench.drain(config(bench, log, "things", path, mode="upsert"))
    check(bench, log, "things", "(7::numeric::money, 'new'), (8::numeric::money, 'b')")


SCHEMA = {
    "type": "struct",
    "fields": [
        {"field": name, "type": "struct", "optional": True, "fields": [
            {"field": "id", "type": "int32"},
            {"field": "amount", "type": "bytes", "name": "org.apache.kafka.connect.data.Decimal", "parameters": {"scale": "2"}},
        ]}
        for name in ("before", "after")
    ],
}  # fmt: skip


@PATHS
def test_decimals_of_debezium_into_money(bench, money, path):  # noqa: ARG001
    log = bench.topic()
    bench.sql("CREATE TABLE things (id int PRIMARY KEY, amount money)")
    send(log, *({"schema": SCHEMA, "payload": change("c", {"id": n, "amount": text})} for n, text in ((1, "BOI="), (2, "+x4="))))
    bench.drain(config(bench, log, "things", path, mode="upsert", envelope="debezium"))
    check(bench, log, "things", "(1, 12.50::numeric::money), (2, (-12.50)::numeric::money)")


# ---- composite types ----

TYPES = """
CREATE SCHEMA app;
CREATE TYPE app.place AS (lat numeric(6, 3), lon numeric);
CREATE TYPE app.address AS (street text, zip int, place app.place, tags text[], doc jsonb);
CREATE DOMAIN app.known AS app.address CHECK ((VALUE).zip > 0);
CREATE TABLE things (id int PRIMARY KEY, home app.address, homes app.address[], known app.known, note text CHECK (note <> 'bad'));
CREATE TABLE appended (LIKE things INCLUDING ALL);
"""
FULL = {"street": "Long Rd, \"east\"", "zip": 8010, "place": {"lat": 47.0707, "lon": 15.4395}, "tags": ["a", None], "doc": {"a": [1]}}
OBJECTS = [
    {"id": 1, "home": FULL, "homes": [FULL, None, {"zip": 1}], "known": FULL},
    {"id": 2, "home": {"street": None, "unknown": 5}, "homes": [], "known": None},
    {"id": 3, "home": '("Short, St",12,"(1,2)",,)', "homes": '{"(a,1,,,)","(b,2,,,)"}', "known": "(x,3,,,)"},
    {"id": 4, "home": json.dumps(FULL), "homes": ["(c,3,,,)", {"street": "d", "zip": 4}], "known": {}},
    {"id": 5, "homes": [["(e,5,,,)"], ["(f,6,,,)"]]},
]  # fmt: skip
NO_OBJECTS = [
    {"id": 6, "home": {"zip": "abc"}},
    {"id": 7, "home": {"place": {"lat": 1e9}}},
    {"id": 8, "homes": [FULL, {"zip": 1e20}]},
    {"id": 9, "known": {"zip": -1}},
    {"id": 10, "home": "{not json"},
    {"id": 11, "home": [1, 2]},
    {"id": 12, "homes": [[FULL], [FULL]]},
    {"id": 13, "home": "(a,b)"},
]


def expected_objects():
    full, other = (f"jsonb_populate_record(NULL::app.address, '{json.dumps(o)}')" for o in (FULL, {"street": "d", "zip": 4}))
    return f"""(1, {full}, ARRAY[{full}, NULL, '(,1,,,)'], {full}, NULL), (2, '(,,,,)', '{{}}', NULL, NULL),
        (3, '("Short, St",12,"(1,2)",,)', '{{"(a,1,,,)","(b,2,,,)"}}', '(x,3,,,)', NULL),
        (4, {full}, ARRAY['(c,3,,,)', {other}], '(,,,,)', NULL), (5, NULL, '{{{{"(e,5,,,)"}},{{"(f,6,,,)"}}}}', NULL, NULL)"""


@PATHS
@pytest.mark.parametrize("refused", [False, True])
def test_objects_into_composite_types(bench, path, refused):
    """As jsonb_populate_record() makes rows of them; PostgreSQL's own text of a row is taken as well."""
    log = bench.topic()
    bench.sql(TYPES)
    send(log, *OBJECTS[:2])
    bad = send(log, *NO_OBJECTS) if refused else []
    send(log, *OBJECTS[2:])
    routes = [
        {"topics": [log.topic], "table": table, "mode": mode, "on_error": "dead_letter", "max_dead_letters": "off"}
        for table, mode in (("things", "upsert"), ("appended", "append"))
    ]
    bench.drain(bench.config(routes=routes, batch={"write_path": path}))
    for table in ("things", "appended"):
        check(bench, log, table, expected_objects(), dead=places(bad), route=table)


def test_a_bad_object_among_many_is_its_records_fault(bench):
    """The screening of batches does not take good objects for bad texts of a row."""
    log = bench.topic()
    bench.sql(TYPES)
    values = [{"id": n, "home": FULL, "homes": [FULL]} for n in range(40)]
    values[0] = values[0] | {"homes": [{"zip": "abc"}]}
    values[20] = values[20] | {"home": {"zip": "abc"}}
    sent = send(log, *values)
    bench.drain(config(bench, log, "things", "copy"))
    full = f"jsonb_populate_record(NULL::app.address, '{json.dumps(FULL)}')"
    rows = f"(SELECT n, {full}, ARRAY[{full}], NULL, NULL FROM generate_series(0, 39) n WHERE n NOT IN (0, 20))"
    bench.check(log, "things", model=Mirror(rows), dead=places([sent[0], sent[20]]))


@PATHS
def test_an_object_is_a_key(bench, path):
    log = bench.topic()
    bench.sql("CREATE TYPE pair AS (a int, b text); CREATE TABLE things (id pair PRIMARY KEY, note text);"
              "INSERT INTO things VALUES ('(1,x)', 'old'), ('(2,y)', 'gone')")  # fmt: skip
    send(log, {"id": {"b": "x", "a": 1}, "note": "new"}, {"id": "(3,z)", "note": "a"}, {"id": {"a": 3, "b": "z"}, "note": "b"})
    send(log, {"id": {"a": 2, "b": "y"}, "note": "delete"})
    bench.drain(config(bench, log, "things", path, mode="upsert", delete_when="value.note = 'delete'"))
    check(bench, log, "things", "('(1,x)'::pair, 'new'), ('(3,z)', 'b')")
