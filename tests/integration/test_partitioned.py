"""Partitioned tables: RANGE, LIST and HASH, partitions of partitions, DEFAULT, records for which there is no partition,
and partitions that come and go while records are stored. Append and upsert, and either way of writing a batch.
"""

import json

import pytest

from kit import wait
from kit.debezium import Mirror

# Each mode and each way of writing a batch, not each with each.
MODES_AND_PATHS = pytest.mark.parametrize("mode, path", [("append", "copy"), ("upsert", "unnest")])

COLUMNS = "id int, region text NOT NULL, note text, PRIMARY KEY (id, region)"
KINDS = {
    "range": f"""
CREATE TABLE things ({COLUMNS}) PARTITION BY RANGE (id);
CREATE TABLE things_a PARTITION OF things FOR VALUES FROM (MINVALUE) TO (100);
CREATE TABLE things_b PARTITION OF things FOR VALUES FROM (100) TO (200);
""",
    "list": f"""
CREATE TABLE things ({COLUMNS}) PARTITION BY LIST (region);
CREATE TABLE things_a PARTITION OF things FOR VALUES IN ('north', 'south');
CREATE TABLE things_b PARTITION OF things FOR VALUES IN ('east', 'west');
""",
    "hash": f"""
CREATE TABLE things ({COLUMNS}) PARTITION BY HASH (id);
CREATE TABLE things_a PARTITION OF things FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE things_b PARTITION OF things FOR VALUES WITH (MODULUS 2, REMAINDER 1);
""",
    "default": f"""
CREATE TABLE things ({COLUMNS}) PARTITION BY LIST (region);
CREATE TABLE things_a PARTITION OF things FOR VALUES IN ('north');
CREATE TABLE things_rest PARTITION OF things DEFAULT;
""",
    "of partitions": f"""
CREATE TABLE things ({COLUMNS}) PARTITION BY RANGE (id);
CREATE TABLE things_a PARTITION OF things FOR VALUES FROM (MINVALUE) TO (100) PARTITION BY LIST (region);
CREATE TABLE things_an PARTITION OF things_a FOR VALUES IN ('north', 'south');
CREATE TABLE things_ar PARTITION OF things_a DEFAULT PARTITION BY HASH (id);
CREATE TABLE things_ar0 PARTITION OF things_ar FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE things_ar1 PARTITION OF things_ar FOR VALUES WITH (MODULUS 2, REMAINDER 1);
CREATE TABLE things_b PARTITION OF things FOR VALUES FROM (100) TO (200);
""",
}
REGIONS = ("north", "south", "east", "west")


def thing(n, region=None, note="a"):
    return {"id": n, "region": region or REGIONS[n % 4], "note": note}


def send(log, *things):
    return log.send_many([(0, None, json.dumps(t).encode(), None, None) for t in things])


def config(bench, log, mode, path, **route):
    route = {"mode": mode, "on_error": "dead_letter", "max_dead_letters": "off"} | route
    return bench.config(log, "things", route=route, batch={"write_path": path})


def check(bench, log, things, table="things", dead=()):
    """THE checker: exactly these rows."""
    rows = ", ".join(f"({t['id']}, '{t['region']}', '{t['note']}')" for t in things)
    bench.check(log, table, model=Mirror(f"(VALUES {rows})"), dead={(r.partition, r.offset) for r in dead}, route="things")


@pytest.mark.parametrize(
    "kind, mode, path",
    [(kind, "append", "copy") for kind in KINDS]
    + [(kind, "upsert", "unnest") for kind in ("range", "default", "of partitions")],
)
def test_rows_go_to_their_partitions(bench, kind, mode, path):
    log = bench.topic()
    bench.sql(KINDS[kind])
    things = [thing(n) for n in range(0, 200, 3)]
    send(log, *things)
    if mode == "upsert":
        changed = [t | {"note": "b"} for t in things[::2]]
        send(log, *changed)
        things = changed + things[1::2]
    bench.drain(config(bench, log, mode, path))
    assert bench.value("SELECT count(DISTINCT tableoid) FROM things") >= 2
    assert bench.value("SELECT count(*) FROM ONLY things") == 0
    check(bench, log, things)


@pytest.mark.parametrize(
    "kind, mode, path",
    [("range", "append", "copy"), ("range", "upsert", "unnest"),
     ("of partitions", "append", "unnest"), ("of partitions", "upsert", "copy")],
)  # fmt: skip
def test_a_record_for_which_there_is_no_partition(bench, kind, mode, path):
    """23514 is the record's fault if others of its batch pass: a dead letter, and it is stored when there is one."""
    log = bench.topic()
    bench.sql(KINDS[kind])
    good = [thing(n) for n in range(20)]
    send(log, *good[:10])
    bad = send(log, {"id": 500, "region": "nowhere", "note": "bad"})
    send(log, *good[10:])
    bench.drain(config(bench, log, mode, path), times="patience=1s,strict=1s,retry=100ms,retry_max=500ms")
    found = bench.sql("SELECT sqlstate, message FROM pgsinkd.dead_letters")
    assert [row[0] for row in found] == ["23514"] and "no partition of relation" in found[0][1], found
    check(bench, log, good, dead=bad)


@MODES_AND_PATHS
def test_partitions_come_and_go_while_records_are_stored(bench, mode, path):
    """One is attached that was filled before, one is detached with its rows, one is created for what comes next."""
    log = bench.topic()
    bench.sql(KINDS["range"])
    d = bench.start(config(bench, log, mode, path)).allow("things")
    things = [thing(n) for n in range(0, 200, 5)]
    send(log, *things[:20])
    bench.wait_stored(log)
    bench.sql("CREATE TABLE things_c (LIKE things INCLUDING ALL); INSERT INTO things_c VALUES (250, 'old', 'before')")
    send(log, *things[20:])
    bench.sql("ALTER TABLE things ATTACH PARTITION things_c FOR VALUES FROM (200) TO (300)")
    more = [thing(n) for n in range(200, 250, 5)]
    send(log, *more)
    bench.wait_stored(log)
    bench.sql("ALTER TABLE things DETACH PARTITION things_a")
    later = [thing(n) for n in range(100, 300, 5) if n % 10 == 5 and mode == "upsert" and n < 200]
    later += [thing(n) for n in range(251, 300, 4)]
    send(log, *later)
    bench.wait_stored(log)
    bench.sql("CREATE TABLE things_d PARTITION OF things FOR VALUES FROM (300) TO (MAXVALUE)")
    newest = [thing(n) for n in range(300, 320)]
    send(log, *newest)
    bench.wait_stored(log)
    assert d.running and bench.value("SELECT count(*) FROM pgsinkd.dead_letters") == 0
    assert bench.value("SELECT count(*) FROM things_d") == 20
    bench.sql("CREATE VIEW everything AS SELECT * FROM things UNION ALL SELECT * FROM things_a")
    expected = {(t["id"], t["region"]): t for t in [*things, *more, *later, *newest]}
    check(bench, log, [*expected.values(), {"id": 250, "region": "old", "note": "before"}], table="everything")


def test_a_partition_is_detached_concurrently(bench):
    """DETACH CONCURRENTLY waits for whoever uses the table, and is not waited for by the next batch for long."""
    log = bench.topic()
    bench.sql(KINDS["default"])
    bench.sql("ALTER TABLE things DETACH PARTITION things_rest; ALTER TABLE things_rest RENAME TO former;"
              "CREATE TABLE things_b PARTITION OF things FOR VALUES IN ('south', 'east', 'west')")  # fmt: skip
    d = bench.start(config(bench, log, "append", "copy")).allow("things")
    first = [thing(n) for n in range(40)]
    send(log, *first)
    bench.wait_stored(log)
    bench.sql("ALTER TABLE things DETACH PARTITION things_a CONCURRENTLY")
    second = [thing(n) for n in range(41, 80) if n % 4]
    send(log, *second)
    bench.wait_stored(log)
    assert d.running
    bench.sql("CREATE VIEW everything AS SELECT * FROM things UNION ALL SELECT * FROM things_a")
    check(bench, log, first + second, table="everything")


@MODES_AND_PATHS
def test_no_partition_at_all_yet(bench, mode, path):
    """Nothing passes: the records wait, or are blamed as CHECKs are; none is lost, and those that come later pass."""
    log = bench.topic()
    bench.sql(f"CREATE TABLE things ({COLUMNS}) PARTITION BY RANGE (id)")
    d = bench.start(config(bench, log, mode, path, on_error="stop"), times="retry=200ms").allow("things", "stops", "partition")
    things = [thing(n) for n in range(10)]
    send(log, *things)
    wait.until(lambda: bench.value("SELECT standing FROM pgsinkd.offsets WHERE standing IS NOT NULL"), "it to stand")
    assert bench.next_offset(log) == 0
    bench.sql("CREATE TABLE things_all PARTITION OF things DEFAULT")
    bench.value("SELECT pgsinkd.resume(%s, %s)", bench.sink, log.topic)
    bench.wait_stored(log)
    assert d.running
    check(bench, log, things)
