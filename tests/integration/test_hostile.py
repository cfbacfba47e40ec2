"""Somebody else's operators, functions and types in the search_path: none of them runs as the sink's role."""

import json
import random

import pytest

from kit import hostile, standing
from kit.model import Model

PATHS = ["copy", "unnest"]

# The key's type, and its values, some of them written in ways that only the type knows to be equal.
KEYS = {
    "varchar": ("varchar(20)", ["a", "b"]),
    "bpchar": ("char(5)", ["a    ", "b    "]),
    "text": ("text", ["a", "b"]),
    "citext": ("ext.citext", ["a", "b"]),
    "int": ("int", [1, 2]),
    "numeric": ("numeric(8, 2)", [1.25, 2.75]),
    "uuid": ("uuid", ["00000000-0000-0000-0000-000000000001", "00000000-0000-0000-0000-000000000002"]),
    "enum": ("public.mood", ["sad", "glad"]),
    "domain": ("public.short", ["a", "b"]),
    "domain_of_citext": ("public.name", ["a", "b"]),
    "ltree": ("ext.ltree", ["a.b", "b"]),
    "jsonb": ("jsonb", [{"a": 1}, {"b": 1}]),
    "array": ("text[]", [["a"], ["b"]]),
    "stamp": ("timestamp(0)", ["2026-01-01T00:00:00", "2026-01-01T00:00:01"]),
}

MODES = {
    "upserted": ({"mode": "upsert", "delete": "tombstone", "only_if_newer": "v"}, {"deletes": True, "version": "v"}),
    "ignored": ({"mode": "ignore"}, {}),
    "updated": ({"mode": "update", "delete": "tombstone"}, {"deletes": True}),
    "marked": (
        {"mode": "upsert", "delete": "tombstone", "soft_delete": "gone", "only_if_newer": "v"},
        {"deletes": True, "version": "v", "mark": "gone"},
    ),
}


@pytest.fixture
def evil(bench):
    """Makes a role that may write into a schema of the sink's search_path; and a role for the sink."""
    sink, evil = f"{bench.sink}_sink", f"{bench.sink}_evil"
    bench.sql(
        f"""CREATE ROLE {sink} LOGIN PASSWORD 'sink'; CREATE ROLE {evil};
            GRANT CREATE, TEMPORARY ON DATABASE {bench.database} TO {sink};
            CREATE SCHEMA ext; GRANT USAGE ON SCHEMA ext TO PUBLIC;
            CREATE EXTENSION citext SCHEMA ext; CREATE EXTENSION ltree SCHEMA ext;
            CREATE TYPE public.mood AS ENUM ('sad', 'glad'); CREATE DOMAIN public.short AS varchar(9);
            CREATE DOMAIN public.name AS ext.citext;
            GRANT CREATE ON SCHEMA public TO {evil};
            CREATE SCHEMA hostile AUTHORIZATION {evil}; GRANT USAGE ON SCHEMA hostile TO PUBLIC"""
    )
    yield sink, evil
    bench.stop()
    with bench.postgres.connect() as admin:
        bench.sql(f"DROP OWNED BY {sink}, {evil} CASCADE")
        admin.execute(f"DROP ROLE {sink}, {evil}")


def as_evil(bench, evil):
    def run(statement):
        bench.sql(f"SET ROLE {evil}")
        bench.sql(statement)
        bench.sql("RESET ROLE")

    return run


def set_traps(bench, roles, path):
    """Operators in public, where PUBLIC may CREATE on many servers; or a schema that comes before pg_catalog."""
    sink, evil = roles
    run = as_evil(bench, evil)
    more = ["public.mood", "public.short", "public.name", "ext.citext"]
    if path == "public":
        hostile.exact_operators(run, "public", more)
    else:
        hostile.everything(run, "hostile", more)
        bench.sql(f"ALTER ROLE {sink} SET search_path = hostile, pg_catalog, public")


def make_tables(bench, role):
    routes, models = [], {}
    for key, (type_, _) in KEYS.items():
        for mode, (said, expected) in MODES.items():
            table = f"public.{mode}_{key}"
            bench.sql(
                f"CREATE TABLE {table} (k {type_} PRIMARY KEY, v bigint, a varchar, gone bool);"
                f"GRANT SELECT, INSERT, UPDATE, DELETE ON {table} TO {role}"
            )
            start = []
            if mode == "updated":
                value = json.dumps(KEYS[key][1][0])
                bench.sql(f"INSERT INTO {table} (k, v) SELECT j.k, 0 FROM json_populate_record(NULL::{table}, "
                          f"'{{\"k\": {value}}}') j")  # fmt: skip
                start = [{"k": json.dumps(KEYS[key][1][0]), "v": 0, "a": None}]
            columns = ["k", "v", "a"] + (["gone"] if mode == "marked" else [])
            routes.append({"table": table, "format": "json", "on_error": "stop", "unknown_fields": "ignore",
                           "columns": {"k": f"key.{key}", "v": "key.v"}
                           | ({} if mode == "marked" else {"gone": "key.none"})} | said)  # fmt: skip
            models[table] = Model(said["mode"], ["k"], columns, row=row_of(key), start=start, **expected)
    return routes, models


def row_of(name):
    def row(record):
        key = json.loads(record.key)
        return {"k": json.dumps(key[name]), "v": key["v"]} | json.loads(record.value or "{}")

    return row


def records(n):
    rng = random.Random(7)
    made = []
    for i in range(n):
        key = {name: rng.choice(values) for name, (_, values) in KEYS.items()} | {"v": i + rng.choice([0, -20])}
        value = None if rng.random() < 0.25 else json.dumps({"a": f"{i}"}).encode()
        made.append((0, json.dumps(key).encode(), value, None, None))
    return made


@pytest.mark.parametrize("write", PATHS)
@pytest.mark.parametrize("path", ["public", "first"])
def test_no_mode_runs_operators_of_others(bench, evil, path, write):
    log = bench.topic()
    routes, models = make_tables(bench, evil[0])
    set_traps(bench, evil, path)
    routes = [route | {"topics": [log.topic]} for route in routes]
    config = bench.config(
        routes=routes,
        batch={"write_path": write, "max_rows": 60},
        postgres={"dsn": bench.dsn(user=evil[0], password="sink")},
    )
    log.send_many(records(150))
    checked = bench.command("check", config)
    assert checked.returncode == 0, checked.stderr
    bench.drain(config)
    assert hostile.traces(bench.postgres, evil[0]) == []
    for table, model in models.items():
        as_json = f"(SELECT to_json(k)::text AS k, v, a, gone FROM {table}) t"
        bench.check(log, as_json, model=model)


def test_dead_letters_and_their_commands_neither(bench, evil):
    """What commands ask; only records that pgsinkd itself refuses, which need no store_each()."""
    log = bench.topic()
    bench.sql(f"CREATE TABLE public.events (k varchar PRIMARY KEY, n int); GRANT ALL ON public.events TO {evil[0]}")
    set_traps(bench, evil, "first")
    route = {"mode": "upsert", "on_error": "dead_letter", "columns": {"k": "value.k"}}
    config = bench.config(log, "public.events", postgres={"dsn": bench.dsn(user=evil[0], password="sink")},
                          route=route, properties={"group.instance.id": f"{bench.sink}-1"})  # fmt: skip
    bench.start(config)
    for n in range(20):
        log.send(json.dumps({"k": f"{n}", "n": n if n % 2 else "x"}).encode(), headers=[("h", b"1")])
    bench.wait_stored(log)
    for argv in (["list"], ["show", "--offset", "2"]):
        done = bench.command("dead-letters", config, *argv)
        assert done.returncode in (0, 1) and "operator" not in done.stderr, done.stderr
    assert hostile.traces(bench.postgres, evil[0]) == []
    bench.check(log, "public.events", model=Model("upsert", ["k"], ["k", "n"]), dead=10)


@pytest.mark.parametrize("write", PATHS)
def test_rows_that_postgresql_refuses_neither(bench, evil, write):
    """store_each() and all that it calls: a key of varchar, a CHECK that refuses one row, and traps before pg_catalog.

    The traps are for the operators that its SQL uses and for functions with the names of what looks like syntax.
    """
    log = bench.topic()
    sink = evil[0]
    bench.sql(
        "CREATE TABLE public.events (k varchar(20) PRIMARY KEY, n int CHECK (n < 100), t tsvector);"
        f"GRANT ALL ON public.events TO {sink}"
    )
    bench.sql("ALTER TABLE public.events DROP CONSTRAINT events_n_check")
    bench.sql("ALTER TABLE public.events ADD CONSTRAINT small CHECK (n OPERATOR(pg_catalog.<) 100)")
    set_traps(bench, evil, "first")
    hostile.syntax(as_evil(bench, evil[1]), "hostile")
    route = {"mode": "upsert", "key": ["k"], "on_error": "dead_letter", "delete": "tombstone", "columns": {"k": "key.k"}}
    config = bench.config(log, "public.events", postgres={"dsn": bench.dsn(user=sink, password="sink")}, route=route,
                          batch={"write_path": write})  # fmt: skip
    made = [(0, json.dumps({"k": f"{i % 40}"}).encode(), json.dumps({"n": i % 90, "t": "'a' b"}).encode(), None, None)
            for i in range(200)]  # fmt: skip
    made[150:150] = [(0, b'{"k": "bad"}', b'{"n": 100, "t": "a"}', None, None), (0, b'{"k": "cast"}', b'{"n": 1, "t": "\'a"}', None, None)]
    made += [(0, b'{"k": "3"}', None, None, None)]
    log.send_many(made)
    bench.drain(config)
    assert hostile.traces(bench.postgres, sink) == []
    assert sorted(bench.sql("SELECT sqlstate FROM pgsinkd.dead_letters")) == [("23514",), ("42601",)]
    model = Model("upsert", ["k"], ["k", "n"], deletes=True)
    bench.check(log, "public.events", model=model, dead={(0, 150), (0, 151)})


def test_a_replay_neither(bench, evil):
    """Marked by the command, made by the daemon: what it reads, tries and stores."""
    log = bench.topic()
    sink = evil[0]
    bench.sql(f"CREATE TABLE public.events (k varchar PRIMARY KEY, n int, t tsvector); GRANT ALL ON public.events TO {sink}")
    bench.sql("ALTER TABLE public.events ADD CONSTRAINT small CHECK (n OPERATOR(pg_catalog.<) 100)")
    set_traps(bench, evil, "first")
    route = {"mode": "upsert", "on_error": "dead_letter", "columns": {"k": "value.k"}}
    config = bench.config(log, "public.events", postgres={"dsn": bench.dsn(user=sink, password="sink")}, route=route)
    d = bench.start(config)
    for n in range(40):
        value = {0: "x", 1: 100}.get(n % 8, n)
        log.send(json.dumps({"k": f"{n}", "n": value, "t": "'a" if n % 8 == 2 else "a"}).encode())
    bench.wait_stored(log)
    assert len(standing.letters(bench)) == 15
    before = hostile.traces(bench.postgres, sink)
    done = bench.command("dead-letters", config, "replay", "--wait")
    assert done.stdout.splitlines()[-1] == "0 stored, 15 failed again", done.stdout + done.stderr
    bench.sql("ALTER TABLE public.events DROP CONSTRAINT small")
    done = bench.command("dead-letters", config, "replay", "--wait")
    assert done.stdout.splitlines()[-1] == "5 stored, 10 failed again", done.stdout + done.stderr
    assert d.running
    assert hostile.traces(bench.postgres, sink) == before
    bench.check(log, "public.events", model=Model("upsert", ["k"], ["k"]), dead=10)
