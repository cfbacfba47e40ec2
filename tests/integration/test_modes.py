"""Rows with a key: what a table holds is what its records come to, one after the other."""

import datetime
import json
import random
import re

import psycopg
import pytest

from kit import wait
from kit.model import Model

PATHS = ["copy", "unnest"]

# A key, a version and three columns; `b` has a DEFAULT and `c` has none, and a record may lack both.
COLUMNS = """
    id int, part text, v bigint, a text, b int DEFAULT 7, c numeric, gone bool, at timestamptz,
    PRIMARY KEY (id, part)
"""
FILLED = ["id", "part", "v", "a", "b", "c"]
PATHS_OF_KEY = {"id": "key.id", "part": "key.part", "v": "key.v"}


def key_of(rng, partitions, keys):
    """A partition, and a key that no other partition has."""
    n = rng.randrange(keys)
    return n % partitions, {"id": n % 7, "part": f"p{n}"}


def value_of(rng):
    value = {"a": rng.choice(["x", "", "ä€", None]), "b": rng.choice([None, 1, 2, 3]), "c": rng.randint(0, 9)}
    for name in ("b", "c"):
        if rng.random() < 0.25:
            del value[name]
    return value


def records(rng, n, partitions, keys=24):
    """What send_many wants: upserts and tombstones, versions that mostly rise."""
    made = []
    for i in range(n):
        partition, key = key_of(rng, partitions, keys)
        key["v"] = i + rng.choice([0, 0, 0, -40, -400])
        value = None if rng.random() < 0.25 else json.dumps(value_of(rng)).encode()
        made.append((partition, json.dumps(key).encode(), value, None, None))
    return made


def model(mode, **options):
    return Model(mode, ["id", "part"], FILLED, defaults={"b": 7}, **options)


GONE = {"columns": [*FILLED, "gone"], "mark": "gone"}

# table -> what its route says, its model
MODES = {
    "upserted": ({"mode": "upsert"}, {}),
    "upserted_deleted": ({"mode": "upsert", "delete": "tombstone"}, {"deletes": True}),
    "upserted_marked": (
        {"mode": "upsert", "delete": "tombstone", "soft_delete": "gone"},
        {"deletes": True, "mark": "gone"},
    ),
    "upserted_newer": ({"mode": "upsert", "only_if_newer": "v"}, {"version": "v"}),
    "upserted_deleted_newer": (
        {"mode": "upsert", "delete": "tombstone", "only_if_newer": "v"},
        {"deletes": True, "version": "v"},
    ),
    "upserted_marked_newer": (
        {"mode": "upsert", "delete": "tombstone", "soft_delete": "gone", "only_if_newer": "v"},
        {"deletes": True, "mark": "gone", "version": "v"},
    ),
    "ignored": ({"mode": "ignore"}, {}),
    "ignored_deleted": ({"mode": "ignore", "delete": "tombstone"}, {"deletes": True}),
    "ignored_marked": (
        {"mode": "ignore", "delete": "tombstone", "soft_delete": "gone"},
        {"deletes": True, "mark": "gone"},
    ),
    "updated": ({"mode": "update"}, {}),
    "updated_deleted": ({"mode": "update", "delete": "tombstone"}, {"deletes": True}),
    "updated_marked": (
        {"mode": "update", "delete": "tombstone", "soft_delete": "gone"},
        {"deletes": True, "mark": "gone"},
    ),
    "updated_marked_newer": (
        {"mode": "update", "delete": "tombstone", "soft_delete": "gone", "only_if_newer": "v"},
        {"deletes": True, "mark": "gone", "version": "v"},
    ),
}


def old_rows(table):
    """Every other key is there before, so that an update finds some and an ignore too."""
    mark = False if "marked" in table else None
    return [
        {"id": n % 7, "part": f"p{n}", "v": None if n % 4 else n * 10, "a": "old", "b": None, "c": None, "gone": mark}
        for n in range(0, 24, 2)
    ]


def make_tables(bench, create=f"CREATE TABLE {{table}} ({COLUMNS})"):
    """One table and one model for each mode, and the routes from one topic into all of them."""
    routes, models = [], {}
    for table, (route, said) in MODES.items():
        bench.sql(create.format(table=table))
        columns = [*FILLED, "gone"] if said.get("mark") else FILLED
        start = [{name: row[name] for name in columns} for row in old_rows(table)]
        for row in start:
            bench.sql(
                f"INSERT INTO {table} ({', '.join(row)}) VALUES ({', '.join(['%s'] * len(row))})", *row.values()
            )
        ignored = {"gone": "key.gone"} if not said.get("mark") else {}
        routes.append({"table": table, "format": "json", "on_error": "stop", "columns": PATHS_OF_KEY | ignored} | route)
        models[table] = Model(
            route["mode"], ["id", "part"], columns, defaults={"b": 7}, start=start, **said
        )
    return routes, models


def check_all(bench, log, models):
    bench.stop()
    for table, expected in models.items():
        bench.check(log, table, model=expected)


@pytest.mark.quick
@pytest.mark.sanitize
@pytest.mark.system
@pytest.mark.parametrize("path", PATHS)
def test_every_mode_through_kills_and_batches_of_all_sizes(bench, path):
    log = bench.topic(partitions=3)
    rng = random.Random(f"modes {path}")
    routes, models = make_tables(bench)
    routes = [route | {"topics": [log.topic]} for route in routes]

    def start(max_rows):
        return bench.start(bench.config(routes=routes, batch={"write_path": path, "max_rows": max_rows}), ready=False)

    d = start(50)
    for max_rows in (13, 50_000, 1000):
        before = sum(bench.next_offsets(log).values())
        for _ in range(6):
            log.send_many(records(rng, rng.choice([1, 2, 10, 100, 300]), 3))
        wait.until(lambda: sum(bench.next_offsets(log).values()) > before, "some of it to be stored")
        d.kill()
        d = start(max_rows)
    log.send_many(records(rng, 500, 3))
    bench.wait_stored(log)
    check_all(bench, log, models)


def test_verify_raises_no_false_alarm(bench):
    """Whatever the mode, with deletes of both kinds, versions that fall, and rows that are of no record."""
    log = bench.topic(partitions=3)
    rng = random.Random("verify")
    routes, models = make_tables(bench)
    for table in MODES:
        bench.sql(f"ALTER TABLE {table} ADD _partition int, ADD _offset bigint")
    file = bench.config(routes=[route | {"topics": [log.topic]} for route in routes])
    bench.start(file)
    for n in range(3):
        log.send_many(records(rng, 400, 3))
        if n == 2:
            bench.wait_stored(log)
        run = bench.command("verify", file, "--content", log.topic, "--json")
        *findings, summary = [json.loads(line) for line in run.stdout.splitlines()]
        assert run.returncode == 0 and findings == [], "also while the daemon runs"
        assert summary["tables"] == len(MODES)
    print(summary)
    check_all(bench, log, models)


# ---- tables of all kinds ----

PARTITIONED = f"""
CREATE TABLE {{table}} ({COLUMNS}) PARTITION BY LIST (id);
CREATE TABLE {{table}}_low PARTITION OF {{table}} FOR VALUES IN (0, 1, 2, 3);
CREATE TABLE {{table}}_high PARTITION OF {{table}} DEFAULT PARTITION BY HASH (part);
CREATE TABLE {{table}}_high_0 PARTITION OF {{table}}_high FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE {{table}}_high_1 PARTITION OF {{table}}_high FOR VALUES WITH (MODULUS 2, REMAINDER 1);
"""

# Columns that nothing fills, and triggers that fill one of them and keep count.
FURNISHED = f"""
CREATE TABLE IF NOT EXISTS seen (name text PRIMARY KEY, n bigint);
CREATE OR REPLACE FUNCTION before_row() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.length := coalesce(length(NEW.a), 0);
    RETURN NEW;
END $$;
CREATE OR REPLACE FUNCTION after_row() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO seen AS s VALUES (TG_TABLE_NAME || '-' || pg_backend_pid(), 1)
        ON CONFLICT (name) DO UPDATE SET n = s.n + 1;
    RETURN NULL;
END $$;
CREATE TABLE {{table}} (number bigint GENERATED ALWAYS AS IDENTITY, length int, {COLUMNS},
    twice int GENERATED ALWAYS AS (id * 2) STORED, made timestamptz NOT NULL DEFAULT now());
CREATE TRIGGER before_row BEFORE INSERT OR UPDATE ON {{table}} FOR EACH ROW EXECUTE FUNCTION before_row();
CREATE TRIGGER after_row AFTER INSERT OR UPDATE OR DELETE ON {{table}} FOR EACH ROW EXECUTE FUNCTION after_row();
"""


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("kind", ["partitioned", "furnished"])
def test_tables_of_all_kinds(bench, kind, path):
    log = bench.topic(partitions=3)
    rng = random.Random(f"{kind} {path}")
    routes, models = make_tables(bench, PARTITIONED if kind == "partitioned" else FURNISHED)
    routes = [route | {"topics": [log.topic]} for route in routes]
    log.send_many(records(rng, 3000, 3))
    bench.drain(bench.config(routes=routes, batch={"write_path": path, "max_rows": 1500}))
    check_all(bench, log, models)
    if kind == "furnished":
        for table in models:
            wrong = "SELECT count(*) FROM {} WHERE length <> coalesce(length(a), 0) OR twice <> 2 * id"
            assert bench.value(wrong.format(table)) == 0
        assert bench.value("SELECT count(*) FROM seen") > 0


@pytest.mark.parametrize("path", PATHS)
def test_a_key_from_the_value_and_an_index_that_is_named(bench, path):
    log = bench.topic(partitions=2)
    bench.sql(
        """CREATE TABLE things (number bigserial PRIMARY KEY, price numeric(8, 2) NOT NULL, name char(5) NOT NULL,
               ratio float8 NOT NULL, note text);
           CREATE UNIQUE INDEX ON things (name, ratio, price)"""
    )
    rng = random.Random(5)
    made = []
    for i in range(1500):
        price, name = rng.choice(["1", "1.00", "1e0", "2.50"]), rng.choice(["a", "a ", "b"])
        ratio = rng.choice(["0.0", "-0.0", "1.5"])
        value = f'{{"price": {price}, "name": "{name}", "ratio": {ratio}, "note": "{i}"}}'
        made.append((0 if name[0] == "a" else 1, None, value.encode(), None, None))
    log.send_many(made)
    route = {"mode": "upsert", "key": ["price", "name", "ratio"]}
    bench.drain(bench.config(log, "things", route=route, batch={"write_path": path}))

    def row(record):
        value = json.loads(record.value)
        return {"price": value["price"], "name": value["name"].ljust(5), "ratio": value["ratio"], "note": value["note"]}

    columns = ["price", "name", "ratio", "note"]
    bench.check(log, "things", model=Model("upsert", columns[:3], columns, row=row))
    assert bench.value("SELECT count(*) FROM things") == 8


@pytest.mark.parametrize("path", PATHS)
def test_parents_and_children(bench, path):
    """The order of routes is the order of tables: a parent comes before its children and goes after them."""
    log = bench.topic(partitions=3)
    bench.sql(
        """CREATE TABLE parents (id int PRIMARY KEY, note text);
           CREATE TABLE children (id int, part text, note text, PRIMARY KEY (id, part),
                                  FOREIGN KEY (id) REFERENCES parents)"""
    )
    rng = random.Random(7)
    made = []
    for i in range(3000):
        n = rng.randrange(30)
        value = None if rng.random() < 0.4 else json.dumps({"note": f"{i}"}).encode()
        made.append((n % 3, json.dumps({"id": n, "part": "x"}).encode(), value, None, None))
    log.send_many(made)
    route = {"topics": [log.topic], "format": "json", "on_error": "stop", "mode": "upsert", "delete": "tombstone"}
    routes = [
        route | {"table": "parents", "columns": {"id": "key.id"}},
        route | {"table": "children", "columns": {"id": "key.id", "part": "key.part"}},
    ]
    bench.drain(bench.config(routes=routes, batch={"write_path": path, "max_rows": 400}))
    bench.check(log, "parents", model=Model("upsert", ["id"], ["id", "note"], deletes=True))
    bench.check(log, "children", model=Model("upsert", ["id", "part"], ["id", "part", "note"], deletes=True))
    assert bench.value("SELECT count(*) FROM children") > 0


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("mark", [None, "gone"])
def test_a_condition_deletes(bench, mark, path):
    """A field says what happened; tombstones, which follow deletes in a compacted topic, delete too."""
    log = bench.topic(partitions=2)
    bench.sql("CREATE TABLE things (id int PRIMARY KEY, op text, n int, gone boolean NOT NULL DEFAULT false)")
    route = {"mode": "upsert", "delete": "tombstone", "delete_when": "value.op in ('d', 'x')", "on_error": "stop"}
    route |= {"columns": {"id": "key.id"}} | ({"soft_delete": mark} if mark else {})
    config = bench.config(log, "things", route=route, batch={"write_path": path})
    rng = random.Random(7)
    bench.start(config)
    for n in range(1500):
        k = rng.randrange(40)
        value = None if n % 17 == 0 else json.dumps({"op": rng.choice("cud x"), "n": n}).encode()
        log.send(value, partition=k % 2, key=json.dumps({"id": k}).encode())
    bench.wait_stored(log)
    model = Model(
        "upsert",
        ["id"],
        ["id", "op", "n", "gone"] if mark else ["id", "op", "n"],
        deletes=lambda r: r.value is None or r.json["op"] in ("d", "x"),
        mark=mark,
    )
    bench.check(log, "things", model=model)


@pytest.mark.parametrize("path", PATHS)
def test_two_routes_into_one_table_keep_the_order_of_records(bench, path):
    log = bench.topic(partitions=2)
    bench.sql("CREATE TABLE things (id int PRIMARY KEY, a text, b text)")
    rng = random.Random(11)
    made = []
    for i in range(2000):
        n = rng.randrange(20)
        value = {"id": n, "kind": rng.choice("ab"), "note": f"{i}"}
        made.append((n % 2, None, json.dumps(value).encode(), None, None))
    log.send_many(made)
    route = {"topics": [log.topic], "table": "things", "format": "json", "on_error": "stop", "mode": "upsert"}
    routes = [
        route | {"name": name, "when": f"value.kind = '{name}'", "columns": {name: "value.note"}} for name in ("b", "a")
    ]
    bench.drain(bench.config(routes=routes, batch={"write_path": path}))

    def row(record):
        value = json.loads(record.value)
        return {"id": value["id"], "a": None, "b": None} | {value["kind"]: value["note"]}

    bench.check(log, "things", model=Model("upsert", ["id"], ["id", "a", "b"], row=row))


@pytest.mark.parametrize("path", PATHS)
def test_a_key_that_only_sql_can_compare(bench, path):
    log = bench.topic(partitions=2)
    bench.sql(
        """CREATE COLLATION nocase (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
           CREATE TABLE things (name text COLLATE nocase, at timestamp(0), note text, PRIMARY KEY (name, at))"""
    )
    rng = random.Random(13)
    made = []
    for i in range(1500):
        n = rng.randrange(6)
        key = {"name": rng.choice([f"Name {n}", f"NAME {n}", f"name {n}"])}
        key["at"] = rng.choice(["2026-01-01T00:00:00", "2026-01-01T00:00:00.3", "2026-01-01T00:00:01.2"])
        value = None if rng.random() < 0.2 else json.dumps({"note": f"{i}"}).encode()
        made.append((n % 2, json.dumps(key).encode(), value, None, None))
    log.send_many(made)
    route = {"mode": "upsert", "delete": "tombstone", "columns": {"name": "key.name", "at": "key.at"}}
    bench.drain(bench.config(log, "things", route=route, batch={"write_path": path, "max_rows": 700}))

    def row(record):
        key = json.loads(record.key)
        at = datetime.datetime.fromisoformat(key["at"][:19])
        return {"name": key["name"].lower(), "at": at} | (json.loads(record.value) if record.value else {})

    bench.sql("ALTER TABLE things ALTER name TYPE text COLLATE \"C\"; UPDATE things SET name = lower(name)")
    model = Model("upsert", ["name", "at"], ["name", "at", "note"], row=row, deletes=True)
    bench.check(log, "things", model=model)


# ---- who writes at the same time ----


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("mode", ["upsert", "update"])
def test_two_daemons_write_the_same_rows(bench, mode, path):
    """Every key is in every partition, and versions decide; whoever deadlocks tries again."""
    log = bench.topic(partitions=8)
    rng = random.Random(f"{mode} {path}")
    bench.sql("CREATE TABLE things (id int PRIMARY KEY, v bigint, a text)")
    start = [{"id": n, "v": 0, "a": "old"} for n in range(300)] if mode == "update" else []
    for row in start:
        bench.sql("INSERT INTO things VALUES (%s, %s, %s)", *row.values())
    versions = list(range(1, 24_001))
    rng.shuffle(versions)
    made = []
    for i, v in enumerate(versions):
        value = {"id": rng.randrange(300), "v": v, "a": f"{v}"}
        made.append((i % 8, None, json.dumps(value).encode(), None, None))
    log.send_many(made)
    config = bench.config(
        log, "things", route={"mode": mode, "only_if_newer": "v"}, batch={"write_path": path, "max_rows": 500}
    )
    for _ in range(2):
        bench.start(config, ready=False)
    bench.wait_stored(log, timeout=90)
    bench.check(log, "things", model=Model(mode, ["id"], ["id", "v", "a"], version="v", start=start))


# ---- versions ----


def test_versions_of_all_kinds(bench):
    """An offset, the record's time, a time of the business, a header; deletes that come too late do nothing."""
    log = bench.topic()
    tables = {
        "by_offset": ("bigint", "meta.offset"),
        "by_time": ("timestamptz", "meta.timestamp"),
        "by_header": ("timestamp", "headers.at"),
        "by_key": ("smallint", "key.n"),
    }
    routes = []
    for table, (kind, path) in tables.items():
        bench.sql(f"CREATE TABLE {table} (id int PRIMARY KEY, version {kind}, note text)")
        routes.append(
            {
                "topics": [log.topic], "table": table, "format": "json", "on_error": "stop", "mode": "upsert",
                "delete": "tombstone", "only_if_newer": "version", "columns": {"id": "key.id", "version": path},
            }
        )  # fmt: skip

    def put(key, n, note):
        value = None if note is None else json.dumps({"note": note}).encode()
        at = f"2026-01-{n:02}T00:00:00".encode()
        log.send(value, key=json.dumps({"id": key, "n": n - 15}).encode(), headers=[("at", at)], timestamp=10**12 + n)

    put(1, 20, "newer")
    put(1, 10, "older")
    put(2, 20, "newer")
    put(2, 10, None)
    put(3, 10, "older")
    put(3, 20, None)
    put(4, 10, "older")
    put(4, 20, "newer")
    put(5, 20, "first")
    put(5, 20, "same")
    bench.drain(bench.config(routes=routes, batch={"max_rows": 1}))
    versions = {(1, "newer"), (2, "newer"), (4, "newer"), (5, "same")}
    for table in tables:
        want = {(1, "older"), (4, "newer"), (5, "same")} if table == "by_offset" else versions
        assert set(bench.sql(f"SELECT id, note FROM {table}")) == want
    once = [route | {"table": f"{route['table']}_once"} for route in routes]
    for route in once:
        bench.sql(f"CREATE TABLE {route['table']} (LIKE {route['table'].removesuffix('_once')} INCLUDING ALL)")
    bench.drain(bench.config(routes=once) | {"sink": f"{bench.sink}_once"})
    for table in tables:
        assert set(bench.sql(f"SELECT * FROM {table}")) == set(bench.sql(f"SELECT * FROM {table}_once"))


# ---- faults of a record ----


@pytest.mark.parametrize(
    "mode, key, value, said",
    [
        ("upsert", None, b'{"note": "x"}', "field 'id' is missing and the column is part of the key"),
        ("ignore", None, b'{"id": null, "note": "x"}', "value.id is null and the column is part of the key"),
        ("update", None, b'{"note": "x"}', "field 'id' is missing and the column is part of the key"),
        ("upsert", None, None, "the value is null (a tombstone), and the column is part of the key"),
    ],
)
def test_a_key_that_is_null_is_a_fault(bench, mode, key, value, said):
    log = bench.topic()
    bench.sql("CREATE TABLE things (id int UNIQUE, note text)")
    log.send_json(id=1, note="good")
    log.send(value, key=key)
    log.send_json(id=2, note="never")
    d = bench.start(bench.config(log, "things", route={"mode": mode, "key": ["id"]}), ready=False)
    d.allow(re.escape(f"{log.topic}-0@1: "), "is not read to its end")
    d.wait_log(re.escape(said))
    bench.wait_stored(log, ends={0: 1})
    bench.check(log, "things", stops={0: 1}, model=Model(mode, ["id"], ["id", "note"]))


# ---- what is refused at start ----

REFUSED = {
    "no primary key": (
        "CREATE TABLE things (id int, note text)",
        {"mode": "upsert"},
        'table "public"."things" has no primary key, and the route names no key',
        'ALTER TABLE "public"."things" ADD PRIMARY KEY (id)',
    ),
    "no unique index": (
        "CREATE TABLE things (id int, part int, note text, UNIQUE (id, part))",
        {"mode": "upsert", "key": ["id"]},
        'key: table "public"."things" has no unique index on ("id")',
        'CREATE UNIQUE INDEX CONCURRENTLY ON "public"."things" ("id")',
    ),
    "a partial index": (
        "CREATE TABLE things (id int, note text); CREATE UNIQUE INDEX ON things (id) WHERE id > 0",
        {"mode": "upsert", "key": ["id"]},
        'has no unique index on ("id")',
        'CREATE UNIQUE INDEX CONCURRENTLY ON "public"."things" ("id")',
    ),
    "a deferrable constraint": (
        "CREATE TABLE things (id int UNIQUE DEFERRABLE, note text)",
        {"mode": "update", "key": ["id"]},
        'has no unique index on ("id")',
        'CREATE UNIQUE INDEX CONCURRENTLY ON "public"."things" ("id")',
    ),
    "an index over an expression": (
        "CREATE TABLE things (id text, note text); CREATE UNIQUE INDEX ON things (lower(id))",
        {"mode": "upsert", "key": ["id"]},
        'has no unique index on ("id")',
        'CREATE UNIQUE INDEX CONCURRENTLY ON "public"."things" ("id")',
    ),
    "a key that nothing fills": (
        "CREATE TABLE things (number bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY, id int, note text)",
        {"mode": "upsert"},
        "key: nothing fills column 'number'",
        None,
    ),
    "a key that is no column": (
        "CREATE TABLE things (id int PRIMARY KEY, note text)",
        {"mode": "upsert", "key": ["Id"]},
        "key: table \"public\".\"things\" has no column 'Id'",
        None,
    ),
    "no column for the mark": (
        "CREATE TABLE things (id int PRIMARY KEY, note text)",
        {"mode": "upsert", "delete_when": "value.v = 0", "soft_delete": "gone"},
        "soft_delete: table \"public\".\"things\" has no column 'gone'",
        'ALTER TABLE "public"."things" ADD COLUMN gone timestamptz',
    ),
    "a mark of another type": (
        "CREATE TABLE things (id int PRIMARY KEY, gone int, note text)",
        {"mode": "upsert", "delete_when": "value.v = 0", "soft_delete": "gone"},
        "soft_delete: it is integer",
        'ALTER TABLE "public"."things" ALTER gone TYPE timestamptz USING NULL',
    ),
    "a version of another type": (
        "CREATE TABLE things (id int PRIMARY KEY, v numeric, note text)",
        {"mode": "upsert", "only_if_newer": "v"},
        "only_if_newer: column 'v' is numeric",
        "ALTER TABLE things ALTER v TYPE bigint USING 0",
    ),
    "no version": (
        "CREATE TABLE things (id int PRIMARY KEY, note text)",
        {"mode": "upsert", "only_if_newer": "v"},
        "only_if_newer: nothing fills column 'v'",
        "ALTER TABLE things ADD v bigint",
    ),
    "a version that a tombstone lacks": (
        "CREATE TABLE things (id int PRIMARY KEY, v bigint, note text)",
        {"columns": {"id": "key.id"}, "mode": "upsert", "only_if_newer": "v", "delete": "tombstone"},
        "only_if_newer: a tombstone has no value.v to compare",
        None,
    ),
    "rules and a cast": (
        "CREATE TABLE things (id int PRIMARY KEY, note int4range);"
        "CREATE RULE nothing AS ON INSERT TO things DO INSTEAD NOTHING",
        {"mode": "append"},
        "has rules, and column 'note' (int4range) needs a cast",
        None,
    ),
    "rules": (
        "CREATE TABLE things (id int PRIMARY KEY, note text);"
        "CREATE RULE nothing AS ON INSERT TO things DO INSTEAD NOTHING",
        {"mode": "upsert"},
        'table "public"."things" has rules',
        "DROP RULE nothing ON things",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused_at_start(bench, name):
    """And what the hint says helps."""
    create, route, said, remedy = REFUSED[name]
    log = bench.topic()
    log.send_json(id=1, v=1, note="x")
    bench.sql(create)
    config = bench.config(log, "things", route=route)
    for verb in ("run", "check"):
        done = bench.command(verb, config)
        assert done.returncode == 4
        assert said in done.stderr
        assert "HINT: " in done.stderr
        if remedy and remedy.split(" (")[0] in done.stderr and "INDEX" in remedy:
            assert remedy in done.stderr
    if remedy:
        bench.sql(remedy.replace("CONCURRENTLY ", ""))
        bench.drain(config)
        assert bench.next_offset(log) == 1


@pytest.mark.parametrize(
    "privilege, route",
    [
        ("UPDATE", {"mode": "upsert"}),
        ("SELECT", {"mode": "upsert"}),
        ("SELECT", {"mode": "ignore"}),
        ("UPDATE", {"mode": "update"}),
        ("DELETE", {"mode": "ignore", "delete": "tombstone"}),
        ("UPDATE", {"mode": "ignore", "delete": "tombstone", "soft_delete": "gone"}),
    ],
)
def test_a_privilege_that_is_not_there(bench, privilege, route):
    log = bench.topic()
    log.send_json(key=b'{"id": 1}', id=1, note="x")
    log.send(None, key=b'{"id": 1}')
    route = route | {"columns": {"id": "key.id"}}
    bench.sql("CREATE TABLE things (id int PRIMARY KEY, gone bool, note text)")
    role = f"keys_{bench.sink}"
    bench.sql(f"CREATE ROLE {role} LOGIN PASSWORD 'x'")
    try:
        bench.command("init", bench.config(log))
        for kind in ("TABLES", "FUNCTIONS"):
            bench.sql(f"GRANT ALL ON ALL {kind} IN SCHEMA pgsinkd TO {role}")
        rights = {"SELECT", "UPDATE", "DELETE"} | ({"INSERT"} if route["mode"] != "update" else set())
        bench.sql(f"GRANT ALL ON SCHEMA public, pgsinkd TO {role}; GRANT ALL ON DATABASE {bench.database} TO {role}")
        bench.sql(f"GRANT {', '.join(rights - {privilege})} ON things TO {role}")
        config = bench.config(
            log, "things", route=route, postgres={"dsn": bench.dsn(user=role, password="x")}
        )
        assert f'GRANT {privilege} ON TABLE "public"."things" TO "{role}";' in bench.command("check", config).stderr
        done = bench.command("run", config, "--until-end")
        assert done.stderr.count('table "public"."things"') == 1, "said once"
        assert f'table "public"."things": no {privilege} privilege, which this mode needs' in done.stderr
        assert f'GRANT {privilege} ON TABLE "public"."things" TO "{role}";' in done.stderr
        bench.sql(f"GRANT {privilege} ON things TO {role}")
        assert bench.command("check", config).stderr == ""
        bench.drain(config)
        assert bench.next_offset(log) == 2
    finally:
        bench.sql(f"DROP OWNED BY {role} CASCADE; DROP ROLE {role}")


# ---- what check tells ----


def test_check_tells_mode_key_and_deletes(bench):
    log = bench.topic()
    bench.sql("CREATE TABLE things (id int, part text, v bigint, gone bool, note text, PRIMARY KEY (id, part))")
    keys = {"columns": {"id": "key.id", "part": "key.part", "v": "meta.offset"}}
    for route, told in [
        ({"mode": "append"}, "mode append"),
        ({"mode": "upsert"}, "mode upsert, key (id, part)"),
        ({"mode": "ignore", "delete": "tombstone"} | keys, "mode ignore, key (id, part), a tombstone deletes"),
        (
            {"mode": "update", "key": ["part", "id"], "delete": "tombstone", "soft_delete": "gone"} | keys,
            "mode update, key (id, part), a tombstone sets gone",
        ),
        (
            {"mode": "upsert", "delete": "tombstone", "only_if_newer": "v"} | keys,
            "mode upsert, key (id, part), only if v is newer, a tombstone deletes",
        ),
    ]:
        done = bench.command("check", bench.config(log, "things", route=route))
        assert done.returncode == 0, done.stderr
        assert re.search(rf"^ +{re.escape(told)}$", done.stdout, re.MULTILINE), done.stdout
