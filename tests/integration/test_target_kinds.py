"""Columns and tables of which PostgreSQL, or who made them, wants something: identities GENERATED ALWAYS, money, composite
types, views, row-level security.

Each is written by every way that a batch can take: large ones by COPY, small ones from arrays, and row by row, when one of
them is refused.
"""

import json

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
