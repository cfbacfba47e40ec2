"""only_if_newer over several columns: a place in the log of a source, whose parts are compared in order."""

import json
import random

import pytest

from kit.model import Model

PATHS = ["copy", "unnest"]
# In the order of their bytes, which is not that of a dictionary.
FILES = ["Binlog.000001", "binlog-000001", "binlog.000009", "binlog.000010", "ä.000001"]
VERSION = ["ts_ms", "file", "pos"]
TABLE = 'id int, ts_ms bigint, file varchar(40) COLLATE "und-x-icu", pos int, a text, b int DEFAULT 7'


def place_of(rng):
    """Few enough that many are the same in one part, in two, or in all."""
    return {"ts_ms": 10**12 + rng.randrange(3), "file": rng.choice(FILES), "pos": rng.randrange(4)}


def pick(rng, made):
    """A key of the partition, or an event that is read again."""
    return rng.choice(made) if made and rng.random() < 0.2 else None


MODES = {
    "upserted": ({"mode": "upsert"}, {}),
    "deleted": ({"mode": "upsert", "delete_when": "value.d = true"}, {"deletes": True}),
    "marked": ({"mode": "upsert", "delete_when": "value.d = true", "soft_delete": "gone"}, {"mark": "gone"}),
    "updated": ({"mode": "update"}, {}),
}


@pytest.mark.parametrize("path", PATHS)
def test_the_first_column_that_differs_decides(bench, path):
    """Shuffled records, ties, and records that come again: each mode ends as one by one, whatever is folded."""
    rng = random.Random(path)
    log = bench.topic(partitions=2)
    made = ([], [])
    for i in range(3000):
        n = rng.randrange(40)
        value = {"id": n, "a": f"{i}", "d": rng.random() < 0.15, **place_of(rng)}
        if rng.random() < 0.4:
            value["b"] = i
        made[n % 2].append(pick(rng, made[n % 2]) or value)
    log.send_many([(p, None, json.dumps(value).encode(), None, None) for p in (0, 1) for value in made[p]])
    routes = []
    start = [{"id": n, "ts_ms": 10**12 + 1 if n % 3 else None, "file": FILES[n % 5] if n % 4 else None,
              "pos": n % 5, "a": "old", "b": n} for n in range(20)]  # fmt: skip
    for name, (options, _) in MODES.items():
        bench.sql(f"CREATE TABLE {name} ({TABLE}, gone bool, PRIMARY KEY (id))")
        for row in start:
            bench.sql(f"INSERT INTO {name} VALUES (%s, %s, %s, %s, %s, %s)", *row.values())
        routes.append({"topics": [log.topic], "table": name, "only_if_newer": VERSION, **options})
    bench.drain(bench.config(routes=routes, batch={"write_path": path, "max_rows": 200}))
    columns = ["id", *VERSION, "a", "b"]
    for name, (options, expected) in MODES.items():
        if expected.get("deletes") or expected.get("mark"):
            expected = {**expected, "deletes": lambda record: json.loads(record.value)["d"]}
        mark = [expected["mark"]] if "mark" in expected else []
        began = [row | dict.fromkeys(mark) for row in start]
        model = Model(options["mode"], ["id"], columns + mark, defaults={"b": 7}, version=VERSION, start=began,
                      **expected)  # fmt: skip
        bench.check(log, name, model=model)


def event(op, before, after, place):
    return {"op": op, "before": before, "after": after, "ts_ms": 1, "source": {"db": "shop", **place}}


class Changes:
    """A model for bench.check: change events, applied one by one."""

    @staticmethod
    def _place(event):
        return tuple(event["source"][name] for name in VERSION)

    def table(self, records):
        rows = {}
        for record in records:
            e = json.loads(record.value)
            place = self._place(e)
            gone = e["before"]["id"] if e["before"] else None
            goes = gone in rows and (e["op"] == "d" or e["after"]["id"] != gone)
            if goes and rows[gone][0] <= place:
                del rows[gone]
            if e["op"] != "d":
                n = e["after"]["id"]
                if n not in rows or rows[n][0] <= place:
                    rows[n] = (place, e["after"]["a"])
        return rows

    def faults(self, db, table, records):
        got = {n: ((ts, file, pos), a) for n, a, ts, file, pos in db.execute(f"SELECT id, a, ts_ms, file, pos FROM {table}")}
        want = self.table(records)
        return [("model", f"{n}: {got.get(n)} instead of {want.get(n)}") for n in sorted(set(got) | set(want))
                if got.get(n) != want.get(n)]  # fmt: skip


@pytest.mark.parametrize("path", PATHS)
def test_change_events_of_a_source_without_an_lsn(bench, path):
    """Shuffled, read again, with ties, and with keys that change: what is older never overwrites."""
    rng = random.Random(path)
    log = bench.topic()
    made = []
    for i in range(2500):
        n = rng.randrange(25)
        kind = rng.random()
        after = {"id": n, "a": f"{i}"}
        if kind < 0.2:
            made.append(event("d", {"id": n, "a": "x"}, None, place_of(rng)))
        elif kind < 0.4:
            made.append(event("u", {"id": rng.randrange(25), "a": "x"}, after, place_of(rng)))
        else:
            made.append(pick(rng, made) or event("c", None, after, place_of(rng)))
    log.send_many([(0, json.dumps({"id": 0}).encode(), json.dumps(e).encode(), None, None) for e in made])
    bench.sql(f"CREATE TABLE things ({TABLE}, PRIMARY KEY (id))")
    config = bench.config(
        log, "things", batch={"write_path": path, "max_rows": 100},
        route={"envelope": "debezium", "mode": "upsert", "only_if_newer": VERSION,
               "columns": {name: f"value.source.{name}" for name in VERSION}},
    )  # fmt: skip
    assert "only if (ts_ms, file, pos) is newer" in bench.command("check", config).stdout
    bench.drain(config)
    bench.check(log, "things", model=Changes())


def test_a_version_that_is_null_in_part(bench):
    """A record without one of the columns is rejected, and says which."""
    log = bench.topic()
    bench.sql(f"CREATE TABLE things ({TABLE}, PRIMARY KEY (id))")
    log.send(json.dumps({"id": 1, "ts_ms": 1, "file": "binlog.000001", "pos": 4, "a": "x"}).encode())
    log.send(json.dumps({"id": 1, "ts_ms": 1, "file": None, "pos": 5, "a": "y"}).encode())
    config = bench.config(log, "things", route={"mode": "upsert", "only_if_newer": VERSION})
    words = r"value.file is null and the column is what only_if_newer compares"
    bench.drain(config, code=1, allow=[words, "is not read to its end"])
    bench.check(log, "things", model=Model("upsert", ["id"], ["id", *VERSION, "a"], version=VERSION), stops={0: 1})
