"""COPY and unnest store the same, and say the same of a record that PostgreSQL refuses."""

import json
import random
import re
import time

import pytest

from kit import ledger, process, wait
from kit.proxy import DOWN, UP

PATHS = ["copy", "unnest"]

COLUMNS = """
    seq bigint, _partition int, _offset bigint,
    a_bool bool, a_int2 int2, a_int4 int4, a_int8 int8, a_float4 float4, a_float8 float8,
    a_numeric numeric, a_numeric_12_2 numeric(12, 2), a_text text, a_varchar varchar(8), a_char char(6),
    a_bytea bytea, a_uuid uuid, a_json json, a_jsonb jsonb, a_date date, a_time time, a_time_0 time(0),
    a_timestamp timestamp, a_timestamp_3 timestamp(3), a_timestamptz timestamptz, a_short short,
    b_int4 int4 DEFAULT 7, b_text text DEFAULT 'none', b_now_null timestamptz DEFAULT NULL,
    generated int4 GENERATED ALWAYS AS (a_int2 + 1) STORED
"""
SPARSE = ["b_int4", "b_text", "b_now_null"]


def values(rng):
    """One field for every column, each of a random value of its type."""
    digits = "".join(rng.choice("0123456789") for _ in range(rng.randint(1, 40)))
    day = f"{rng.randint(1, 9999):04}-{rng.randint(1, 12):02}-{rng.randint(1, 28):02}"
    time = f"{rng.randint(0, 23):02}:{rng.randint(0, 59):02}:{rng.randint(0, 59):02}.{rng.randint(0, 999999):06}"
    text = "".join(rng.choice("aä世🚀\"\\'\n{},NUL ") for _ in range(rng.randint(0, 300)))
    document = {"n": rng.randint(-9, 9), "t": text, "deep": [None, True, {"x": rng.random()}]}
    return {
        "a_bool": rng.random() < 0.5,
        "a_int2": rng.choice([-32768, 32766, rng.randint(-99, 99)]),
        "a_int4": rng.choice([-(2**31), 2**31 - 1, rng.randint(-99, 99)]),
        "a_int8": rng.choice([-(2**63), 2**63 - 1, rng.randint(-99, 99)]),
        "a_float4": rng.choice([0.0, -0.0, 1.5, 3.4e38, rng.random()]),
        "a_float8": rng.choice([0.0, -1e300, 5e-324, rng.random()]),
        "a_numeric": f"-{digits}.{digits}",
        "a_numeric_12_2": round(rng.uniform(-1e6, 1e6), 4),
        "a_text": text,
        "a_varchar": text[:8],
        "a_char": text[:6],
        "a_bytea": "\\x" + rng.randbytes(rng.randint(0, 40)).hex(),
        "a_uuid": rng.randbytes(16).hex(),
        "a_json": document,
        "a_jsonb": document,
        "a_date": day,
        "a_time": time,
        "a_time_0": time,
        "a_timestamp": f"{day}T{time}",
        "a_timestamp_3": f"{day}T{time}",
        "a_timestamptz": f"{day}T{time}+0{rng.randint(0, 9)}:30",
        "a_short": text[:4],
        "b_int4": 1,
        "b_text": "given",
        "b_now_null": f"{day}T{time}Z",
    }


def record(rng):
    fields = values(rng)
    for name in list(fields):
        if rng.random() < 0.1:
            fields[name] = None
        if name in SPARSE and rng.random() < 0.3:
            del fields[name]  # its DEFAULT then
    return json.dumps(fields).encode()


@pytest.mark.quick
@pytest.mark.sanitize
@pytest.mark.system
def test_both_paths_store_the_same(bench):
    log = bench.topic(partitions=3)
    rng = random.Random(20261124)
    log.send_many([(i % 3, None, record(rng), None, None) for i in range(3000)])
    bench.sql("CREATE DOMAIN short AS varchar(5) CHECK (length(VALUE) < 5)")
    for path in PATHS:
        bench.sql(f"CREATE TABLE by_{path} ({COLUMNS})")
        # Rows that omit different columns may change places within a transaction (decision 003).
        route = {"columns": {"seq": "meta.offset"}}
        bench.drain(bench.config(log, f"by_{path}", route=route, batch={"write_path": path, "max_rows": 400}))
        bench.check(log, f"by_{path}", contents=ledger.offsets_only)
        bench.sql("DELETE FROM pgsinkd.offsets")
    # As text, for json has no equality, and since -0 = 0 would hide a difference.
    copy, unnest = (f"SELECT t::text FROM by_{path} t" for path in PATHS)
    assert bench.value(f"SELECT count(*) FROM ({copy} EXCEPT ALL {unnest}) x") == 0
    assert bench.value(f"SELECT count(*) FROM ({unnest} EXCEPT ALL {copy}) x") == 0
    assert bench.value("SELECT count(*) FROM by_unnest WHERE b_int4 = 7 AND b_text = 'none'") > 0


@pytest.mark.parametrize("path", PATHS)
def test_rows_of_defaults_only(bench, path):
    log = bench.topic()
    bench.sql("CREATE TABLE events (a int DEFAULT 3)")
    for value in (b'{"a": 1}', b"{}", b'{"a": null}', b"{}"):
        log.send(value)
    bench.drain(bench.config(log, batch={"write_path": path}))
    rows = sorted(bench.sql("SELECT coalesce(a, -1) FROM events"))
    assert rows == [(-1,), (1,), (3,), (3,)]


@pytest.mark.parametrize("deferred", [False, True])
def test_both_paths_name_the_same_record(bench, deferred):
    """The bad one is in the middle of a batch; unnest is not told which it is, and finds out."""
    log = bench.topic()
    told = {}
    for n in range(300):
        log.send_json(id=n if n != 177 else 5, note="x")
    for path in PATHS:
        bench.sql(
            f"""CREATE TABLE by_{path} (
                seq bigint GENERATED ALWAYS AS IDENTITY, _partition int, _offset bigint, id int, note text,
                CONSTRAINT one_of_a_kind UNIQUE (id){" DEFERRABLE INITIALLY DEFERRED" if deferred else ""})"""
        )
        d = bench.start(bench.config(log, f"by_{path}", batch={"write_path": path}), ready=False)
        d.allow(f"{log.topic}-0@177: ")
        told[path] = d.wait_log(r"error .*one_of_a_kind.*")[0].replace(f"by_{path}", "the_table")
        bench.check(log, f"by_{path}", contents=ledger.offsets_only, stops={0: 177})
        bench.sql(f"DROP TABLE by_{path}; DELETE FROM pgsinkd.offsets")
    assert told["copy"] == told["unnest"]


@pytest.mark.parametrize("path", PATHS)
def test_a_column_changes_its_type_meanwhile(bench, path):
    """int becomes bigint: what is on its way by the old catalog is refused or converted, never damaged."""
    log = bench.topic()
    bench.plain_table()
    bench.start(bench.config(log, batch={"write_path": path}))
    log.fill(100)
    bench.wait_stored(log)
    bench.sql("ALTER TABLE events ALTER note TYPE varchar(200)")
    log.fill(100)
    bench.wait_stored(log)
    bench.check(log)


def test_a_table_with_rules_goes_by_copy(bench):
    """INSERT would follow them, and the record would be passed as stored."""
    log = bench.topic()
    bench.plain_table()
    bench.sql("CREATE RULE nothing AS ON INSERT TO events DO INSTEAD NOTHING")
    log.fill(10)
    bench.drain(bench.config(log, batch={"write_path": "unnest"}))
    bench.check(log)


# Several transactions on their way: only over a long way, and by unnest

DELAY = 0.02  # seconds, in each direction


def far_away(bench, log, **options):
    """A daemon with one worker, whose PostgreSQL is 40 ms away; and the proxy between them."""
    proxy, dsn = bench.postgres_proxy()
    proxy.delay = DELAY
    d = bench.start(bench.config(log, postgres={"dsn": dsn}, workers=1, batch={"write_path": "auto"}), **options)
    return d, proxy


def test_transactions_follow_each_other_over_a_long_way(bench):
    log = bench.topic(partitions=2)
    bench.plain_table()
    d, _ = far_away(bench, log)
    log.fill(2)
    bench.wait_stored(log)
    begun = time.monotonic()
    for n in range(300):
        log.fill(1, partitions=[n % 2])
    bench.wait_stored(log)
    took = time.monotonic() - begun
    d.terminate()
    transactions = int(re.search(r"dead letters in (\d+) transactions", d.log())[1])
    # One after the other could not be more than this, for each takes a whole round trip.
    assert transactions > 1.2 * took / (2 * DELAY)
    bench.check(log)


def test_a_worker_whose_batch_cannot_follow_sleeps(bench):
    """A lock holds up the batch on its way, and the next has grown too large to follow it."""
    log = bench.topic()
    bench.plain_table()
    d, _ = far_away(bench, log)
    log.fill(1)
    bench.wait_stored(log)
    blocked = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND application_name LIKE 'pgsinkd %'"
    with bench.postgres.connect(bench.database) as holder:
        holder.execute("BEGIN")
        holder.execute("LOCK TABLE events")
        log.fill(1)
        wait.until(lambda: bench.value(blocked) == 1, "the batch to wait")
        log.fill(10_000)
        before = process.cpu_ticks(d.pid)
        time.sleep(2)  # a quiet time, to be measured
        assert process.cpu_ticks(d.pid) - before < 50 * wait.FACTOR  # of 200
        holder.execute("COMMIT")
    bench.wait_stored(log)
    bench.check(log)


@pytest.mark.sanitize
def test_what_follows_a_lost_connection_is_settled_by_the_ledger(bench):
    """None, some or all of those on their way are stored when the connection goes."""
    log = bench.topic(partitions=3)
    bench.plain_table()
    d, proxy = far_away(bench, log)
    for n in range(12):
        if n % 2 == 0:
            proxy.cut_at(DOWN, b"INSERT 0 ", skip=n % 3)
        else:
            proxy.cut_after(UP, 1500 + 700 * n)
        while not proxy.struck.is_set():
            log.fill(1, partitions=[n % 3])
        bench.wait_stored(log)
    assert d.running
    bench.check(log)


@pytest.mark.sanitize
def test_what_follows_a_refused_record_waits_for_it(bench):
    """The one behind it has missed its advance, which is no fence; other partitions' may be stored."""
    log = bench.topic(partitions=3)
    bench.plain_table()
    bench.sql("ALTER TABLE events ADD CHECK (id NOT BETWEEN 10000020 AND 10000040)")
    d, _ = far_away(bench, log)
    d.allow(f"{log.topic}-1@20: ")
    for n in range(240):
        log.fill(1, partitions=[n % 3])
    bench.wait_stored(log, ends={0: 80, 1: 20, 2: 80})
    d.wait_log(f"{log.topic}-1@20: ")
    bench.check(log, stops={1: 20})


@pytest.mark.sanitize
def test_an_operator_and_a_second_daemon_while_transactions_follow(bench):
    log = bench.topic(partitions=4)
    bench.plain_table()
    d, _ = far_away(bench, log)
    log.fill(40)
    bench.wait_stored(log)
    for n in range(60):
        log.fill(4)
        if n == 20:
            bench.sql("UPDATE pgsinkd.offsets SET owner_epoch = owner_epoch + 1")  # fenced, and still the owner
        if n == 40:
            far_away(bench, log, ready=False)
    bench.wait_stored(log)
    assert d.running
    bench.check(log)
