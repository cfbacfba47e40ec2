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
from kit.standing import clerk

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
@pytest.mark.parametrize("rows", [1, 1000])
def test_an_identity_beside_the_key_does_not_depend_on_batches(bench, path, rows):
    """The first record of a key gives the number, whether the second one comes in the same batch or not."""
    log = bench.topic()
    bench.sql(f"CREATE TABLE things ({NUMBERED})")
    send(log, {"id": 7, "n": 70, "note": "a"}, {"id": 7, "n": 71, "note": "b"}, {"id": 8, "n": 80, "note": "c"})
    sink = config(bench, log, "things", path, mode="upsert", columns={"number": "value.n"})
    sink["batch"] = sink.get("batch", {}) | {"max_rows": rows}
    bench.drain(sink)
    check(bench, log, "things", "(7, 70, 'b'), (8, 80, 'c')")


def test_an_identity_that_postgresql_computes(bench):
    log = bench.topic()
    bench.sql("CREATE TABLE things (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, note text)")
    send(log, {"n": 6, "note": "a"})
    bench.drain(bench.config(log, "things", route={"columns": {"id": {"sql": "(value->>'n')::int + 1"}}}))
    assert bench.sql("SELECT * FROM things") == [(7, "a")]
    bench.stop()
    assert bench.next_offset(log) == 1


def test_a_view_over_a_foreign_table_is_refused(bench):
    """What is written through it is not committed together with the ledger."""
    log = bench.topic()
    bench.sql("CREATE EXTENSION postgres_fdw; CREATE SERVER far FOREIGN DATA WRAPPER postgres_fdw")
    bench.sql("CREATE FOREIGN TABLE f (id int) SERVER far; CREATE VIEW things AS SELECT * FROM f")
    said = bench.command("check", bench.config(log, "things"))
    assert said.returncode == 4
    assert "reads a foreign or an unlogged table" in said.stderr


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


# ---- views, and row-level security: by INSERT, never by COPY ----

BASE = """
CREATE TABLE base (id int PRIMARY KEY, note text CHECK (note <> 'bad'), made text NOT NULL DEFAULT 'by default');
CREATE VIEW things AS SELECT note, id, made, id * 2 AS twice FROM base WHERE id > 0 WITH CHECK OPTION;
"""
GUARDED = """
CREATE TABLE base (id int PRIMARY KEY, note text, made text NOT NULL DEFAULT 'by default');
CREATE VIEW things AS SELECT id, note, 1 AS one FROM base;
CREATE FUNCTION take() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    IF NEW.note = 'bad' THEN RAISE EXCEPTION 'not this one'; END IF;
    INSERT INTO base VALUES (NEW.id, NEW.note || NEW.one);
    RETURN NEW;
END $$;
CREATE TRIGGER take INSTEAD OF INSERT ON things FOR EACH ROW EXECUTE FUNCTION take();
"""


@PATHS
@pytest.mark.parametrize("refused", [False, True])
def test_rows_are_appended_to_a_view(bench, path, refused):
    """What a record lacks becomes the DEFAULT of the table that the view reads; what the view computes is not written."""
    log = bench.topic()
    bench.sql(BASE)
    send(log, {"id": 1, "note": "a", "twice": 5}, {"id": 2, "note": "b", "made": "here"})
    bad = send(log, {"id": 3, "note": "bad"}, {"id": -4, "note": "c"}) if refused else []
    send(log, {"id": 5})
    bench.drain(config(bench, log, "things", path))
    check(bench, log, "base", "(1, 'a', 'by default'), (2, 'b', 'here'), (5, NULL, 'by default')", dead=places(bad))


@PATHS
@pytest.mark.parametrize("refused", [False, True])
def test_an_instead_of_trigger_takes_the_rows(bench, path, refused):
    log = bench.topic()
    bench.sql(GUARDED)
    send(log, {"id": 1, "note": "a", "one": 7}, {"id": 2, "note": "b", "one": 8})
    bad = send(log, {"id": 3, "note": "bad"}) if refused else []
    bench.drain(config(bench, log, "things", path))
    check(bench, log, "base", "(1, 'a7', 'by default'), (2, 'b8', 'by default')", dead=places(bad))


@PATHS
@pytest.mark.parametrize("refused", [False, True])
def test_rows_are_upserted_and_deleted_through_a_view(bench, path, refused):
    log = bench.topic()
    bench.sql(BASE + "INSERT INTO base VALUES (1, 'old'), (2, 'gone')")
    send(log, {"id": 1, "note": "new"}, {"id": 3, "note": "a"}, {"id": 3, "note": "b"})
    bad = send(log, {"id": 4, "note": "bad"}) if refused else []
    send(log, {"id": 2, "note": "delete"})
    bench.drain(config(bench, log, "things", path, mode="upsert", key=["id"], delete_when="value.note = 'delete'"))
    check(bench, log, "base", "(1, 'new', 'by default'), (3, 'b', 'by default')", dead=places(bad))


REFUSED = {
    "no key is named": (BASE, {"mode": "upsert"}, "has no primary key, and the route names no key"),
    "the key has no index": (BASE, {"mode": "upsert", "key": ["note"]}, "no unique or exclusion constraint"),
    "a trigger": (GUARDED, {"mode": "upsert", "key": ["id"]}, "rows can only be appended to it"),
    "a computed column": (BASE, {"columns": {"twice": "value.x"}}, "computed by the view and cannot be filled"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_done_with_a_view(bench, name):
    ddl, route, said = REFUSED[name]
    log = bench.topic()
    bench.sql(ddl)
    done = bench.command("check", bench.config(log, "things", route=route))
    assert done.returncode != 0 and said in done.stderr + done.stdout, done.stderr + done.stdout


@PATHS
@pytest.mark.parametrize("by", ["CREATE OR REPLACE", "DROP VIEW things; CREATE"])
def test_a_view_is_replaced_while_it_is_written(bench, path, by):
    """The rows after it are made for the view that is there."""
    log = bench.topic()
    bench.sql("CREATE TABLE base (id int, note text, more numeric(9, 3)); CREATE VIEW things AS SELECT id, note FROM base")
    bench.start(config(bench, log, "things", path)).allow("things")
    send(log, {"id": 1, "note": "a", "more": 1.5})
    bench.wait_stored(log)
    bench.sql(f"{by} VIEW things AS SELECT id, note, more FROM base".replace("CREATE VIEW VIEW", "CREATE VIEW"))
    send(log, {"id": 2, "note": "b", "more": 2.5})
    bench.wait_stored(log)
    check(bench, log, "base", "(1, 'a', NULL::numeric), (2, 'b', 2.500)")


POLICY = """
CREATE TABLE things (id int PRIMARY KEY, tenant text NOT NULL, note text);
ALTER TABLE things ENABLE ROW LEVEL SECURITY;
CREATE POLICY ours ON things USING (tenant = 'ours') WITH CHECK (tenant = 'ours');
INSERT INTO things VALUES (1, 'theirs', 'theirs'), (2, 'ours', 'old'), (3, 'ours', 'old');
"""


@pytest.fixture
def role(bench):
    """One that policies are for."""
    with clerk(bench) as name:
        yield name


def as_role(bench, role, config):
    return config | {"postgres": {"dsn": bench.dsn(user=role, password="secret")}}


@PATHS
@pytest.mark.parametrize("mode", ["append", "upsert"])
@pytest.mark.parametrize("refused", [False, True])
def test_row_level_security(bench, role, path, mode, refused):
    """A row that a policy refuses among others that it lets pass is a fault of its record."""
    log = bench.topic()
    bench.sql(POLICY + f"GRANT SELECT, INSERT, UPDATE, DELETE ON things TO {role}")
    send(log, {"id": 10, "tenant": "ours", "note": "new"})
    bad = send(log, {"id": 4, "tenant": "theirs", "note": "new"}) if refused else []
    send(log, *({"id": n, "tenant": "ours", "note": "new"} for n in range(11, 31)))
    bench.drain(as_role(bench, role, config(bench, log, "things", path, mode=mode)))
    rows = "(1, 'theirs', 'theirs'), (2, 'ours', 'old'), (3, 'ours', 'old')"
    rows += "".join(f", ({n}, 'ours', 'new')" for n in range(10, 31))
    check(bench, log, "things", rows, dead=places(bad))


def test_row_level_security_is_enabled_while_it_runs(bench, role):
    """COPY is refused from then on, and INSERT takes its place."""
    log = bench.topic()
    bench.sql(f"CREATE TABLE things (id int, tenant text); GRANT SELECT, INSERT ON things TO {role}")
    bench.start(as_role(bench, role, config(bench, log, "things", "copy"))).allow("things")
    send(log, {"id": 1, "tenant": "ours"})
    bench.wait_stored(log)
    bench.sql("CREATE POLICY ours ON things USING (true); ALTER TABLE things ENABLE ROW LEVEL SECURITY")
    send(log, {"id": 2, "tenant": "ours"})
    bench.wait_stored(log, timeout=60)
    check(bench, log, "things", "(1, 'ours'), (2, 'ours')")


# ---- types whose explicit cast to a length damages ----


@PATHS
@pytest.mark.parametrize("refused", [False, True])
def test_bits_of_another_length(bench, path, refused):
    """'10101'::bit(3) is B'101' in silence; what is cast here is the type without its length, and INSERT refuses."""
    log = bench.topic()
    bench.sql("CREATE DOMAIN three AS bit(3);"
              "CREATE TABLE things (id int PRIMARY KEY, b bit(3), v bit varying(3), d three, note text CHECK (note <> 'bad'))")  # fmt: skip
    send(log, {"id": 1, "b": "101", "v": "11", "d": "001"})
    bad = send(log, *({"id": 2, column: text} for column in "bvd" for text in ("10101", "1"))) if refused else []
    fits = [bad.pop(3)] if refused else []  # one bit into bit varying(3)
    bad += send(log, {"id": 3, "note": "bad"}) if refused else []
    bench.drain(config(bench, log, "things", path, mode="upsert"))
    rows = "(1, '101'::bit(3), '11'::varbit, '001'::bit(3), NULL)" + ", (2, NULL, '1', NULL, NULL)" * len(fits)
    check(bench, log, "things", rows, dead=places(bad))


@pytest.mark.parametrize("refused", [False, True])
def test_arrays_of_bits_of_another_length(bench, refused):
    log = bench.topic()
    bench.sql("CREATE TABLE things (id int PRIMARY KEY, b bit(3)[], v bit varying(3)[])")
    send(log, {"id": 1, "b": ["101", None], "v": ["11"]})
    bad = send(log, {"id": 2, "b": ["10101"]}, {"id": 3, "b": ["1"]}, {"id": 4, "v": ["10101"]}) if refused else []
    bench.drain(config(bench, log, "things", "copy", mode="upsert"))
    check(bench, log, "things", "(1, '{101,NULL}'::bit(3)[], '{11}'::varbit[])", dead=places(bad))


# ---- columns of the application ----


@PATHS
@pytest.mark.parametrize("refused", [False, True])
def test_a_column_that_is_kept(bench, path, refused):
    """An upsert leaves it as the application has set it, whatever the record says; a new row gets the DEFAULT."""
    log = bench.topic()
    bench.sql("CREATE TABLE things (id int PRIMARY KEY, status text NOT NULL DEFAULT 'new', note text CHECK (note <> 'bad'));"
              "INSERT INTO things VALUES (1, 'done', 'old')")  # fmt: skip
    send(log, {"id": 1, "note": "a"}, {"id": 2, "status": "of the record", "note": "b"})
    bad = send(log, {"id": 3, "note": "bad"}) if refused else []
    settings = config(bench, log, "things", path, mode="upsert", columns={"status": "keep"})
    said = bench.command("check", settings).stdout
    assert "<- kept; default in a new row" in said, said
    assert 'status: "keep"' in (shown := bench.command("config", settings).stdout) or "status: keep" in shown, shown
    bench.drain(settings)
    check(bench, log, "things", "(1, 'done', 'a'), (2, 'new', 'b')", dead=places(bad))
