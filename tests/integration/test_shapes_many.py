"""Records that lack ever different fields: columns with a DEFAULT, more than a mask has bits, in any combination."""

import json
import random

import pytest

from kit.model import Model

PATHS = ["copy", "unnest"]

# The type, its DEFAULT, that as PostgreSQL prints it, and a value of a record and how that is printed.
KINDS = [
    ("int", "7", "7", lambda i: (i, str(i))),
    ("text", "'it''s'", "it's", lambda i: (f"t{i}", f"t{i}")),
    ("numeric(8,2)", "1.5", "1.50", lambda i: (i + 0.25, f"{i}.25")),
    ("bool", "true", "true", lambda i: (i % 2 == 0, "true" if i % 2 == 0 else "false")),
    ("jsonb", "'[]'", "[]", lambda i: ({"n": i}, f'{{"n": {i}}}')),
    ("int[]", "'{1,2}'", "{1,2}", lambda i: ([i, None], f"{{{i},NULL}}")),
    ("varchar(6)", "'abc'", "abc", lambda i: (f"v{i % 1000}", f"v{i % 1000}")),
    ("char(3)", "'x'", "x", lambda i: ("yz", "yz")),
    ("bit(3)", "B'101'", "101", lambda i: ("110", "110")),
    ("date", "'2020-02-29 23:00'", "2020-02-29", lambda i: ("2021-03-04", "2021-03-04")),
    ("uuid", "'00000000-0000-0000-0000-000000000001'", "00000000-0000-0000-0000-000000000001",
     lambda i: (f"{i:032x}", f"00000000-0000-0000-0000-{i:012x}")),
    ("real", "1.5", "1.5", lambda i: (i / 2, f"{i // 2}.5" if i % 2 else f"{i // 2}")),
    ("bigint", "9007199254740993", "9007199254740993", lambda i: (2**53 + i, str(2**53 + i))),
    ("smallint", "length('four') + 0.4", "4", lambda i: (i % 100, str(i % 100))),
    ("int4range", "'[1,4)'", "[1,4)", lambda i: (f"[{i},{i + 2})", f"[{i},{i + 2})")),
    ("few", None, "3", lambda i: (i % 90, str(i % 90))),
    ("timestamptz", "timestamptz '2020-01-01 00:00Z' + '1 day'", "2020-01-02 00:00:00+00",
     lambda i: ("2021-03-04T05:06:07Z", "2021-03-04 05:06:07+00")),
]  # fmt: skip


class Table:
    """A table with an id and as many columns that have a DEFAULT, one kind after the other, and what records hold."""

    def __init__(self, bench, columns, key="PRIMARY KEY"):
        self.kinds = [(f"c{i}", *KINDS[i % len(KINDS)]) for i in range(columns)]
        bench.sql("CREATE DOMAIN few AS int DEFAULT 3 CHECK (VALUE < 100)")
        listed = ", ".join(
            f"{name} {kind}" + (f" DEFAULT {default}" if default else "") for name, kind, default, *_ in self.kinds
        )
        bench.sql(f"CREATE TABLE things (id int {key}, {listed})")
        seen = ", ".join(f"{name}::text AS {name}" for name, *_ in self.kinds)
        bench.sql(f"CREATE VIEW seen AS SELECT id, {seen} FROM things")
        self.defaults = {name: printed for name, _, _, printed, _ in self.kinds}
        self.columns = ["id", *self.defaults]

    def value(self, rng, n, i, share=0.5):
        """A record that has each field with that probability; some are null. No column takes `i`."""
        value = {"id": n, "i": i}
        for name, _, _, _, made in self.kinds:
            if rng.random() < share:
                value[name] = None if rng.random() < 0.05 else made(i)[0]
        return json.dumps(value).encode()

    def row(self, record):
        """As the view shows it."""
        value = json.loads(record.value)
        return {"id": value["id"]} | {
            name: None if value[name] is None else made(value["i"])[1]
            for name, _, _, _, made in self.kinds
            if name in value
        }

    def model(self, mode, **more):
        return Model(mode, ["id"], self.columns, row=self.row, defaults=self.defaults, **more)


def shuffled(rng, table, n, keys, partitions=2):
    """Records of which those of a key are in one partition; some have every field, or no other than the key."""
    made = []
    for i in range(n):
        key = rng.randrange(keys) if keys else i
        share = rng.choice([0, 0.02, 0.5, 0.5, 0.5, 0.98, 1])
        made.append((key % partitions, None, table.value(rng, key, i, share), None, None))
    return made


@pytest.mark.parametrize("columns", [65, 200])
@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("mode", ["append", "ignore", "upsert", "update"])
def test_more_columns_than_a_mask_has_bits(bench, mode, path, columns):
    """What a record lacks has its DEFAULT; an update leaves it as it is."""
    rng = random.Random(f"{mode} {path} {columns}")
    log = bench.topic(partitions=2)
    table = Table(bench, columns)
    start = []
    if mode == "update":
        bench.sql("INSERT INTO things SELECT generate_series(0, 29)")
        start = [{"id": n} | table.defaults for n in range(30)]
    log.send_many(shuffled(rng, table, 600, keys=0 if mode == "append" else 40))
    config = bench.config(log, "things", route={"mode": mode}, batch={"write_path": path, "max_rows": 150})
    bench.drain(config)
    model = table.model("upsert" if mode == "append" else mode, start=start)
    bench.check(log, "seen", model=model)


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("mode", ["append", "upsert", "update"])
def test_many_shapes_of_few_columns(bench, mode, path):
    """A statement for each set of fields would cost more than the rows."""
    rng = random.Random(f"{mode} {path}")
    log = bench.topic(partitions=2)
    table = Table(bench, 12)
    start = []
    if mode == "update":
        bench.sql("INSERT INTO things SELECT generate_series(0, 499)")
        start = [{"id": n} | table.defaults for n in range(500)]
    log.send_many(shuffled(rng, table, 8000, keys=0 if mode == "append" else 700))
    config = bench.config(log, "things", route={"mode": mode}, batch={"write_path": path, "max_rows": 2000})
    bench.drain(config)
    bench.check(log, "seen", model=table.model("upsert" if mode == "append" else mode, start=start))


@pytest.mark.parametrize("path", PATHS)
def test_a_sequence_is_asked_only_where_the_field_lacks(bench, path):
    """A DEFAULT is computed once for each row that needs it, an identity column's too, and never for others."""
    rng = random.Random(path)
    log = bench.topic()
    listed = ", ".join(f"c{i} int DEFAULT {i}" for i in range(70))
    bench.sql(
        "CREATE TABLE things (id int PRIMARY KEY, s bigserial, u uuid NOT NULL DEFAULT gen_random_uuid(), "
        f"at timestamptz NOT NULL DEFAULT clock_timestamp(), g int GENERATED ALWAYS AS (c0 + c69) STORED, "
        f"n int NOT NULL GENERATED BY DEFAULT AS IDENTITY (START 1000), {listed})"
    )
    lacking = {"s": 0, "n": 0}
    made = []
    for i in range(3000):
        value = {"id": i} | {f"c{k}": i for k in range(70) if rng.random() < 0.5}
        value |= {name: 10**6 + i for name in lacking if rng.random() < 0.5}
        for name in lacking:
            lacking[name] += name not in value
        made.append((0, None, json.dumps(value).encode(), None, None))
    log.send_many(made)
    route = {"columns": {"n": "value.n"}}
    bench.drain(bench.config(log, "things", route=route, batch={"write_path": path, "max_rows": 500}))
    for name, first in (("s", 1), ("n", 1000)):
        given = bench.sql(f"SELECT {name} FROM things WHERE {name} < 1000000 ORDER BY 1")
        assert [n for (n,) in given] == list(range(first, first + lacking[name]))
    assert bench.value("SELECT count(DISTINCT u) = 3000 AND count(DISTINCT at) > 1000 FROM things")

    def row(record):
        value = json.loads(record.value)
        value["g"] = value.get("c0", 0) + value.get("c69", 69)
        return value

    columns = ["id", "g", *(f"c{i}" for i in range(70))]
    defaults = {f"c{i}": i for i in range(70)}
    bench.check(log, "things", model=Model("upsert", ["id"], columns, row=row, defaults=defaults))


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("mode", ["append", "upsert", "update"])
def test_refused_rows_among_many_shapes(bench, mode, path):
    """They become dead letters, each of its own record; a DEFAULT refuses rows too, and other keys come again."""
    rng = random.Random(f"{mode} {path}")
    log = bench.topic()
    table = Table(bench, 20)
    bench.sql("ALTER TABLE things ADD CHECK (c0 <> 131313), ADD CHECK (id < 5000 OR c1 <> 'it''s')")
    start = []
    if mode == "update":
        bench.sql("INSERT INTO things (id, c1) SELECT n, 'was' FROM generate_series(0, 6999) n")
        start = [{"id": n} | table.defaults | {"c1": "was"} for n in range(7000)]
    made, bad = [], set()
    for i in range(1500):
        alone = i >= 200 and rng.random() < 0.3
        value = json.loads(table.value(rng, 5000 + i if alone else i if mode == "append" else i % 50, i))
        if alone and rng.random() < 0.3:
            value["c0"] = 131313
        if value.get("c0") == 131313 or (alone and mode != "update" and "c1" not in value):
            bad.add((0, i))
        made.append((0, None, json.dumps(value).encode(), None, None))
    log.send_many(made)
    config = bench.config(
        log, "things", route={"mode": mode, "on_error": "dead_letter", "max_dead_letters": "off"},
        batch={"write_path": path, "max_rows": 300},
    )  # fmt: skip
    bench.drain(config, allow=["dead letter"])
    bench.check(log, "seen", model=table.model("upsert" if mode == "append" else mode, start=start), dead=bad)


@pytest.mark.parametrize("path", PATHS)
def test_a_default_means_what_it_means_to_postgresql(bench, path):
    """A function of the same name in a schema that comes first is another one."""
    log = bench.topic()
    bench.sql("CREATE FUNCTION public.f() RETURNS int LANGUAGE sql AS 'SELECT 1'")
    columns = ", ".join(f"c{i} int DEFAULT f()" for i in range(8))
    bench.sql(f"CREATE TABLE things (id int PRIMARY KEY, {columns})")
    bench.sql("CREATE SCHEMA mine; CREATE FUNCTION mine.f() RETURNS int LANGUAGE sql AS 'SELECT 2'")
    bench.sql(f"ALTER DATABASE {bench.database} SET search_path = mine, public")
    rng = random.Random(7)
    rows = {n: {f"c{i}": 5 for i in range(8) if rng.random() < 0.5} for n in range(300)}
    log.send_many((0, None, json.dumps({"id": n} | row).encode(), None, None) for n, row in rows.items())
    route = {"topics": [log.topic], "table": "public.things", "mode": "append", "on_error": "stop"}
    bench.drain(bench.config(routes=[route], batch={"write_path": path}))
    want = [(n, *(row.get(f"c{i}", 1) for i in range(8))) for n, row in rows.items()]
    assert bench.sql("SELECT * FROM public.things ORDER BY id") == want
    bench.stop()
    assert bench.next_offset(log) == 300


@pytest.mark.parametrize("path", PATHS)
def test_a_default_changes_while_it_runs(bench, path):
    """Rows that come later have the new one, though no column has changed."""
    rng = random.Random(path)
    log = bench.topic()
    bench.sql(f"CREATE TABLE things (id int PRIMARY KEY, {', '.join(f'c{i} int DEFAULT 1' for i in range(70))})")
    columns = ["id", *(f"c{i}" for i in range(70))]

    def send(first):
        for i in range(first, first + 200):
            log.send_json(id=i, **{f"c{k}": 0 for k in range(70) if rng.random() < 0.5})

    def row(record):
        value = json.loads(record.value)
        return {f"c{i}": 1 if value["id"] < 200 else 2 for i in range(70)} | value

    daemon = bench.start(bench.config(log, "things", batch={"write_path": path}))
    send(0)
    bench.wait_rows(200, "things")
    bench.sql("ALTER TABLE things " + ", ".join(f"ALTER c{i} SET DEFAULT 2" for i in range(70)))
    send(200)
    bench.wait_rows(400, "things")
    daemon.terminate()
    bench.check(log, "things", model=Model("upsert", ["id"], columns, row=row))


def test_triggers_see_what_they_would(bench):
    """Of rows that are inserted: all columns with their DEFAULTs. UPDATE OF some columns: mode update does without."""
    rng = random.Random(7)
    log = bench.topic()
    table = Table(bench, 30)
    bench.sql(
        "CREATE TABLE noted (id int, c0 int, of_c0 bool);"
        "CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
        " INSERT INTO noted VALUES (new.id, new.c0, TG_NARGS > 0); RETURN new; END $$;"
        "CREATE TRIGGER inserted BEFORE INSERT ON things FOR EACH ROW EXECUTE FUNCTION note();"
    )
    log.send_many(shuffled(rng, table, 500, keys=0, partitions=1))
    bench.drain(bench.config(log, "things"))
    assert bench.value("SELECT count(*) FROM noted") == 500
    assert bench.value("SELECT bool_and(n.c0 IS NOT DISTINCT FROM t.c0) FROM noted n JOIN things t USING (id)")
    bench.sql("CREATE TRIGGER of_c0 BEFORE UPDATE OF c0 ON things FOR EACH ROW EXECUTE FUNCTION note('of')")
    config = bench.config(log, "things", route={"mode": "update"})
    config["sink"] = f"{bench.sink}-again"
    bench.drain(config)
    with_c0 = sum("c0" in json.loads(record.value) for record in log.records[0].values())
    assert bench.value("SELECT count(*) FROM noted WHERE of_c0") == with_c0
    bench.check(log, "seen", model=table.model("upsert"))


def test_what_forbids_more_columns(bench):
    """With the reason, before anything is stored."""
    log = bench.topic()
    listed = ", ".join(f"c{i} int DEFAULT 0" for i in range(128))
    bench.sql(f"CREATE TABLE things (id int PRIMARY KEY, {listed})")
    bench.sql("CREATE RULE nothing AS ON INSERT TO things DO ALSO NOTHING")
    done = bench.command("check", bench.config(log, "things"))
    assert 'table "public"."things": more than 127 columns with a DEFAULT are filled' in done.stderr
    assert "Replace the rules of the table with triggers" in done.stderr
    bench.sql("DROP RULE nothing ON things")
    log.send_json(id=1, c127=5)
    bench.drain(bench.config(log, "things"))
    bench.check(log, "(SELECT id, c0, c127 FROM things) AS t", model=Model("upsert", ["id"], ["id", "c0", "c127"],
                                                                        defaults={"c0": 0}))  # fmt: skip
