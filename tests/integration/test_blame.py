"""Whose fault a refusal is: a record's own, its table's, or nobody's.

The letters are those of the counter-examples to simpler rules that were found before this one (docs/decisions). What
PostgreSQL says is real wherever that is cheap; a trigger says the rest. In each test the partitions of another topic,
on the same worker, go on; what becomes of those that stand is in test_parked.py.
"""

import os
import random
import shutil
import string
import struct

import pytest
from confluent_kafka import Producer

from kit import disk, ledger, postgres, wait
from kit.bench import Bench
from kit.model import Model
from kit.standing import Pair, clerk, letters, refuse, resume, standing, trigger, untrigger

PATHS = pytest.mark.parametrize("path", ["copy", "unnest"])
ODD = 666  # the id of the one odd record
IF_ODD = f"IF NEW.id = {ODD} THEN {{}}; END IF"
COLUMNS = "seq bigint GENERATED ALWAYS AS IDENTITY, _partition int NOT NULL, _offset bigint NOT NULL, id bigint, note text"


@pytest.fixture
def role(bench):
    with clerk(bench) as name:
        yield name


def odd(log, partition=0):
    """Sends the odd record; its place."""
    record = log.send_json(partition, id=ODD, note="odd")
    return record.partition, record.offset


def one_batch(log, *documents, partition=0):
    """The records arrive together, however slow the machine is: in one request. Their places."""
    producer = Producer({"bootstrap.servers": log.broker.bootstrap, "linger.ms": 1000})
    batch = [(partition, None, document.encode(), None, None) for document in documents]
    sent = log.send_many(batch, producer)
    return [(r.partition, r.offset) for r in sent]


def good(n, more=""):
    return [f'{{"id": {k}, "note": "good"{more}}}' for k in range(n)]


# a, m: the table lacks a partition

DAYS = f"""
CREATE TABLE events ({COLUMNS}, at timestamptz) PARTITION BY RANGE (at);
CREATE TABLE today PARTITION OF events FOR VALUES FROM ('2026-01-02') TO ('2026-01-03')
"""
YESTERDAY = "CREATE TABLE yesterday PARTITION OF events FOR VALUES FROM ('2026-01-01') TO ('2026-01-02')"


def days(n, day):
    return good(n, f', "at": "{day}T10:00:00Z"')


@PATHS
@pytest.mark.parametrize(("late", "first"), [((1, 5), 0), ((5, 1), 1)], ids=["one late record", "five late records"])
def test_a_time_partition_is_missing(bench, late, first, path):
    """a, C06: the good ones are no witness against the late one, nor is it one against them."""
    pair = Pair(bench, path, ddl=DAYS)
    one_batch(pair.log, *days(2, "2026-01-02"))
    pair.begin(0)
    pair.other.fill(5)
    late_ones, good_ones = days(late[0], "2026-01-01"), days(late[1], "2026-01-02")
    one_batch(pair.log, *(good_ones + late_ones if first else late_ones + good_ones))
    pair.stands("parked", "23514", at={0: 2 + first})
    pair.neighbours_go_on()
    pair.blames_none()
    bench.sql(YESTERDAY)
    pair.ends()
    pair.check()


STRAY = '{"id": 666, "note": "odd", "at": "56132-01-01T00:00:00Z"}'
PLACES = {
    "through its parent": (DAYS, STRAY),
    "into the partition itself": (
        "CREATE SEQUENCE numbers;"
        f"CREATE TABLE parent ({COLUMNS}, at timestamptz) PARTITION BY RANGE (at);"
        "CREATE TABLE events PARTITION OF parent FOR VALUES FROM ('2026-01-02') TO ('2026-01-03');"
        "ALTER TABLE parent ALTER seq DROP IDENTITY; ALTER TABLE events ALTER seq SET DEFAULT nextval('numbers')",
        '{"id": 666, "note": "odd", "at": "2026-01-01T10:00:00Z"}',
    ),
}


@pytest.mark.parametrize("place", PLACES)
def test_a_stray_record_among_good_ones(bench, place):
    """a, m, C06: ten good ones behind it, and a refusal that lasts: it is the record's own."""
    ddl, stray = PLACES[place]
    pair = Pair(bench, ddl=ddl)
    one_batch(pair.log, *days(2, "2026-01-02"))
    pair.begin(0)
    _, lost, *_ = one_batch(pair.log, *days(1, "2026-01-02"), stray, *days(15, "2026-01-02"))
    pair.ends()
    pair.neighbours_go_on()
    pair.check(dead={lost})
    assert bench.sql("SELECT sqlstate FROM pgsinkd.dead_letters") == [("23514",)]


# b: a broken index


def damage_the_last_leaf(bench, index, how):
    """Of a btree in its file, while the server is down: it is marked as deleted, or zeroed."""
    path = bench.postgres.data / bench.value("SELECT pg_relation_filepath(%s)", index)
    bench.sql("CHECKPOINT")
    bench.postgres.stop()
    pages = bytearray(path.read_bytes())
    for page in range(8192, len(pages), 8192):
        _, after, level, flags, _ = struct.unpack_from("<IIIHH", pages, page + 8192 - 16)
        if (after, level, flags & 1) == (0, 0, 1):
            break
    else:
        raise AssertionError("no last leaf")
    if how == "zeroed":
        pages[page : page + 8192] = bytes(8192)
    else:
        struct.pack_into("<H", pages, page + 8192 - 4, flags | 1 << 4)
    path.write_bytes(pages)
    bench.postgres.start()


@pytest.mark.parametrize(
    ("how", "code", "state"), [("marked", "XX000", "waiting"), ("zeroed", "XX002", "parked")], ids=["XX000", "XX002"]
)
def test_a_leaf_of_an_index_is_damaged(bench, how, code, state):
    """b: keys on other leaves go through, and prove nothing; nobody is blamed before it is repaired."""
    pair = Pair(bench, partitions=2, times={"patience": "8s" if state == "waiting" else "1s"})
    bench.sql("CREATE INDEX by_id ON events (id)")
    bench.sql("INSERT INTO events (_topic, _partition, _offset, id) SELECT '', 0, 0, generate_series(1, 3000)")
    bench.sql("DELETE FROM events")  # the leaves stay
    damage_the_last_leaf(bench, "by_id", how)
    pair.log.fill(5, partitions=[0])
    pair.begin(0)
    pair.log.fill(40)  # the ids of partition 1 are higher than any before
    pair.stands(state, code, partitions=[1], at={1: 0})
    pair.neighbours_go_on()
    pair.blames_none()
    bench.sql("REINDEX INDEX by_id")
    pair.ends()
    pair.check()


# c: rows without effect


@pytest.mark.parametrize("mode", ["ignore", "update"])
def test_rows_without_effect_are_no_witness(bench, mode):
    """c: a trigger refuses every row that is really written; rows that change nothing never meet it."""
    there = [{"id": k, "note": "before"} for k in range(30)]
    changed, unchanged = (range(100, 103), range(1, 30)) if mode == "ignore" else (range(0, 3), range(100, 130))
    pair = Pair(
        bench, ddl="CREATE TABLE events (id bigint PRIMARY KEY, note text)", times={"patience": "8s"},
        route={"mode": mode, "key": ["id"]},
    )  # fmt: skip
    bench.sql("INSERT INTO events SELECT k, 'before' FROM generate_series(0, 29) k")
    one_batch(pair.log, '{"id": 0, "note": "before"}')
    pair.begin(0)
    trigger(bench, refuse("XX000"), on=f"AFTER {'INSERT' if mode == 'ignore' else 'UPDATE'}")
    one_batch(pair.log, *(f'{{"id": {k}, "note": "after"}}' for k in [*changed, *unchanged]))
    pair.stands("waiting", "XX000", at={0: 1})
    pair.neighbours_go_on()
    pair.blames_none()
    untrigger(bench)
    pair.ends()
    pair.check(model=Model(mode, ["id"], ["id", "note"], start=there))


# d: what zero rows do not meet

LACKS = {  # name: (the table, how it breaks, how it is mended, what is said)
    "a right on the sequence of a DEFAULT": (
        "CREATE SEQUENCE numbers; GRANT USAGE ON numbers TO {role};"
        "CREATE TABLE events ({columns}, number bigint DEFAULT nextval('numbers'))",
        "REVOKE USAGE ON numbers FROM {role}", "GRANT USAGE ON numbers TO {role}", "42501",
    ),
    "the table of a DEFAULT's function": (
        "CREATE TABLE numbers (n int); INSERT INTO numbers VALUES (1); GRANT SELECT ON numbers TO {role};"
        "CREATE FUNCTION number() RETURNS int LANGUAGE plpgsql AS 'BEGIN RETURN (SELECT n FROM numbers); END';"
        "CREATE TABLE events ({columns}, number int DEFAULT number())",
        "ALTER TABLE numbers RENAME TO elsewhere", "ALTER TABLE elsewhere RENAME TO numbers", "42P01",
    ),
    "row-level security": (
        "CREATE TABLE events ({columns})", "ALTER TABLE events ENABLE ROW LEVEL SECURITY",
        "ALTER TABLE events DISABLE ROW LEVEL SECURITY", None,
    ),
    "a sequence that goes on": (
        "CREATE SEQUENCE numbers MAXVALUE 15; GRANT USAGE ON numbers TO {role};"
        "CREATE TABLE events ({columns}, number bigint DEFAULT nextval('numbers'))",
        "SELECT", "ALTER SEQUENCE numbers MAXVALUE 1000000", "2200H",
    ),
}  # fmt: skip


@pytest.mark.parametrize("lack", LACKS)
def test_something_is_lacking_that_zero_rows_do_not_need(bench, role, lack):
    """d, m: each row is refused, the statement over no rows is not; no record is ever blamed for that."""
    ddl, breaks, mends, code = (text and text.format(role=role, columns=COLUMNS) for text in LACKS[lack])
    pair = Pair(bench, ddl=ddl, role=role)
    pair.begin()
    bench.sql(breaks)
    pair.log.fill(20)
    pair.stands("parked", code)
    pair.neighbours_go_on()
    pair.blames_none()
    bench.sql(mends)
    pair.ends()
    pair.check()


# e: triggers of statements


def test_a_trigger_that_refuses_an_empty_batch(bench):
    """e: zero rows are refused with another code than the record, which is nothing against the table."""
    pair = Pair(bench)
    empty = f"IF NOT EXISTS (SELECT FROM came) THEN {refuse('XX001')}; END IF"
    trigger(bench, empty, name="empty", on="AFTER INSERT", table="events REFERENCING NEW TABLE AS came", each="STATEMENT")
    trigger(bench, IF_ODD.format(refuse("XX000")))
    pair.begin()
    lost = odd(pair.log)
    pair.ends()
    pair.neighbours_go_on()
    pair.check(dead={lost})


def test_a_trigger_that_refuses_every_batch(bench):
    """e: zero rows are refused with the same code: it is the table, and patience has no end."""
    pair = Pair(bench)
    pair.begin()
    trigger(bench, refuse("XX000"), each="STATEMENT")
    pair.log.fill(20)
    pair.stands("parked", "XX000")
    pair.neighbours_go_on()
    pair.blames_none()
    untrigger(bench)
    pair.ends()
    pair.check()


# f: errors at COMMIT

LATE = """
CREATE TABLE late (n int);
CREATE FUNCTION late() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    context text;
BEGIN
    GET DIAGNOSTICS context = PG_CONTEXT;
    IF context ~ E'\\n' OR current_query() ~* 'set constraints' THEN  -- SET CONSTRAINTS, not COMMIT
        SET CONSTRAINTS ALL DEFERRED;
        INSERT INTO late VALUES (1);
        RETURN NULL;
    END IF;
    RAISE EXCEPTION USING ERRCODE = '{code}', MESSAGE = 'at COMMIT';
END $$;
CREATE CONSTRAINT TRIGGER late AFTER INSERT ON late DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION late()
"""
# Emptied at COMMIT, but for the key that refers to it: PostgreSQL refuses with 0A000.
REFERRED = "CREATE TEMP TABLE IF NOT EXISTS a (id int PRIMARY KEY) ON COMMIT DELETE ROWS;" \
    " CREATE TEMP TABLE IF NOT EXISTS b (id int REFERENCES a)"  # fmt: skip


@pytest.mark.parametrize("code", ["XX000", "P0001", "54000", "0A000"])
def test_an_error_at_commit_that_no_statement_repeats(bench, code):
    """f: it is never a record's, whatever its code. A full queue of notifications is 54000."""
    pair = Pair(bench)
    pair.begin()
    if code == "0A000":
        trigger(bench, REFERRED)
    else:
        bench.sql(LATE.format(code=code))
        trigger(bench, "INSERT INTO late VALUES (0)")
    pair.log.fill(20)
    pair.stands("parked", code)
    pair.neighbours_go_on()
    pair.blames_none()
    untrigger(bench)
    pair.ends()
    pair.check()


def test_a_deferred_trigger_refuses_one_record(bench):
    """f, q: SET CONSTRAINTS repeats that error, so the record is found."""
    pair = Pair(bench, times={"patience": "60s"})
    trigger(bench, IF_ODD.format(refuse("XX000")), on="AFTER INSERT", constraint=True)
    pair.begin()
    _, lost, *_ = one_batch(pair.log, *good(1), '{"id": 666, "note": "odd"}', *good(20))
    bench.wait_stored(pair.log)
    pair.check(dead={lost})


# g, h: limits of a program. For those of the server itself see the end of this file.


@PATHS
def test_a_row_is_too_large_for_its_index(bench, path):
    """g, h: 54000 without a table, a column or a constraint. Among others it is found at once, alone in a while."""
    pair = Pair(bench, path, partitions=2)
    bench.sql("CREATE INDEX ON events (note)")
    pair.begin()
    large = '{"id": 1, "note": "%s"}' % "".join(random.Random(1).choices(string.ascii_letters, k=9000))
    among, alone = one_batch(pair.log, large, *good(20))[0], one_batch(pair.log, large, partition=1)[0]
    bench.wait_stored(pair.log)
    pair.check(dead={among, alone})
    assert set(bench.sql("SELECT sqlstate FROM pgsinkd.dead_letters")) == {("54000",)}
    pair.d.wait_log(f"s, then the record at offset {alone[1]} was blamed")


# i: ERRORs with the code of a lost connection


def pids(bench):
    return bench.sql(
        "SELECT pid FROM pg_stat_activity WHERE application_name LIKE 'pgsinkd % worker %' AND datname = current_database()"
        " ORDER BY pid"
    )


@pytest.mark.parametrize("code", ["57P01", "08001"])
def test_an_error_has_the_code_of_a_lost_connection(bench, code):
    """i: a trigger, dblink or a foreign table passes on what another server has said. The connection is kept."""
    pair = Pair(bench)
    pair.begin()
    before = pids(bench)
    trigger(bench, refuse(code))
    pair.log.fill(20)
    pair.stands("parked", code)
    pair.neighbours_go_on()
    pair.blames_none(0.5)
    assert pids(bench) == before
    untrigger(bench)
    pair.ends()
    pair.check()


# j: what only fewer rows can pass

PARTITIONED = f"""
CREATE TABLE events ({COLUMNS}) PARTITION BY LIST (id);
DO $$
BEGIN
    FOR i IN 0..599 LOOP
        EXECUTE 'CREATE TABLE part' || i || ' PARTITION OF events FOR VALUES IN (' || i || ')';
    END LOOP;
END $$
"""
FEW_LOCKS = {"max_locks_per_transaction": "10", "max_connections": "16", "max_worker_processes": "0"}
if postgres.major() >= 18:
    FEW_LOCKS["autovacuum_worker_slots"] = "1"  # each of them adds to the locks


@PATHS
def test_a_batch_needs_more_locks_than_there_are(bench, path):
    """j: 53200 of 600 partitions, again and again; by halves it goes."""
    pair = Pair(bench, path, ddl=PARTITIONED)
    settings, said = bench.postgres.settings, len(bench.postgres.log.read_bytes())
    bench.postgres.settings = settings | FEW_LOCKS
    try:
        bench.postgres.restart()
        one_batch(pair.log, *good(600))
        pair.other.fill(10)
        pair.start()
        bench.wait_stored(pair.log)
        bench.wait_stored(pair.other)
        assert pair.d.running and not letters(bench)
        pair.d.terminate()
    finally:
        bench.postgres.settings = settings
        bench.postgres.restart()
    assert b"out of shared memory" in bench.postgres.log.read_bytes()[said:]
    pair.check()


# k: poison without a code

ENDS = "PERFORM pg_terminate_backend(pg_backend_pid())"
NEVER = "PERFORM pg_sleep(1e6)"


@pytest.mark.parametrize(
    ("does", "way_out"), [(ENDS, "resume"), (ENDS, "seek"), (NEVER, "resume")], ids=["ends+resume", "ends+seek", "never"]
)
def test_a_record_ends_its_session_or_never_returns(bench, does, way_out):
    """k: after the third time its partition alone is parked, and not tried again before somebody says so."""
    pair = Pair(bench, partitions=2, postgres={"timeout": "1s", "lock_timeout": "100ms"})
    trigger(bench, IF_ODD.format(does))
    pair.begin()
    lost = odd(pair.log)
    pair.log.fill(4)
    pair.stands("poison", partitions=[0], at={0: lost[1]}, timeout=40)
    pair.status_says("poison")
    pair.neighbours_go_on()
    bench.wait_stored(pair.log, ends={0: lost[1], 1: pair.log.count(1)})
    if does == ENDS:
        pair.d.terminate()
        pair.start()  # finds in the ledger that it was poison
        pair.stands("poison", partitions=[0], at={0: lost[1]})
        pair.status_says("poison")
        pair.neighbours_go_on()
    backends = pids(bench)
    if way_out == "resume":
        untrigger(bench)
    wait.stays(lambda: bench.next_offset(pair.log) == lost[1] and pids(bench) == backends, "left alone", 1)
    if way_out == "resume":
        resume(bench, pair.log.topic, 0)
    else:
        bench.sql("SELECT pgsinkd.seek(%s, %s, 0, %s)", bench.sink, pair.log.topic, lost[1] + 1)
    pair.ends()
    pair.check(without={lost} if way_out == "seek" else set())


# l: what one table lacks. Of locks see test_parked.py


def test_the_library_of_an_extension_is_missing(bench):
    """l: 58P01 of one table concerns that table."""
    library = bench.postgres.root / f"{bench.sink}.so"  # the server must reach it
    original = bench.value("SELECT setting FROM pg_config WHERE name = 'PKGLIBDIR'") + "/insert_username.so"
    library.symlink_to(original)
    pair = Pair(bench)
    bench.sql("ALTER TABLE events ADD who text")
    pair.begin()
    bench.sql(
        f"CREATE FUNCTION odd() RETURNS trigger LANGUAGE C AS '{library}', 'insert_username';"
        "CREATE TRIGGER odd BEFORE INSERT ON events FOR EACH ROW EXECUTE FUNCTION odd('who')"
    )
    library.unlink()
    pair.log.fill(20)
    pair.stands("parked", "58P01")
    pair.neighbours_go_on()
    pair.blames_none()
    library.symlink_to(original)
    pair.ends()
    pair.check()


def test_there_is_no_room_where_one_table_is(bench):
    """l: 53100 of one tablespace concerns the tables there."""
    pair = Pair(bench, "unnest")
    pair.other.fill(5)
    pair.start()
    bench.wait_stored(pair.other)
    with disk.full_device(bench, "events") as repair:
        pair.log.fill(20)
        pair.stands("parked", "53100")
        pair.neighbours_go_on()
        pair.blames_none()
        repair()
        pair.ends()
    pair.check()


# m: codes of data that name no column or no constraint


def test_a_trigger_leaves_a_column_empty(bench):
    """m: 23502 has no constraint, but a column: at once a dead letter, also alone in its topic."""
    pair = Pair(bench, times={"patience": "60s", "strict": "60s"})
    bench.sql("ALTER TABLE events ALTER note SET NOT NULL")
    trigger(bench, IF_ODD.format("NEW.note := NULL"))
    pair.begin()
    lost = odd(pair.log)
    bench.wait_stored(pair.log)
    pair.check(dead={lost})
    assert bench.sql("SELECT sqlstate FROM pgsinkd.dead_letters") == [("23502",)]


# n: a doubt, and nobody to settle it


def test_a_doubtful_record_alone_in_its_topic(bench):
    """n: five attempts without a witness, then it alone is blamed; all others of the worker go on meanwhile."""
    pair = Pair(bench, partitions=2, times={"patience": "3s"})
    bench.sql("CREATE SEQUENCE attempts")
    trigger(bench, IF_ODD.format("PERFORM nextval('attempts'); " + refuse("XX000")))
    pair.begin()
    lost = odd(pair.log)
    pair.stands("waiting", "XX000", partitions=[0], at={0: lost[1]})
    pair.neighbours_go_on()
    pair.log.fill(10, partitions=[1])
    bench.wait_stored(pair.log, ends={1: pair.log.count(1)}, timeout=5)
    assert bench.next_offset(pair.log) == lost[1], "the patience was over too soon to prove anything"
    bench.wait_stored(pair.log)
    assert bench.value("SELECT last_value FROM attempts") >= 5
    wait.until(lambda: not standing(bench), "nothing to stand", 5)
    pair.check(dead={lost})


def test_doubtful_records_in_a_row(bench):
    """n: without a witness each of them needs its own patience, and the others do not take it away."""
    pair = Pair(bench)
    trigger(bench, IF_ODD.format(refuse("XX000")))
    pair.begin()
    lost = one_batch(pair.log, *['{"id": 666, "note": "odd"}'] * 3)
    pair.ends()
    pair.neighbours_go_on()
    pair.check(dead=set(lost))


def test_a_witness_comes_while_a_record_waits(bench):
    """n: the batch grows meanwhile, so that no more patience is needed than until the next record."""
    pair = Pair(bench, times={"patience": "20s"})
    trigger(bench, IF_ODD.format(refuse("XX000")))
    pair.begin()
    lost = odd(pair.log)
    pair.stands("waiting", "XX000", at={0: lost[1]})
    pair.log.fill(1)
    bench.wait_stored(pair.log, timeout=10)
    pair.check(dead={lost})


# o, p, q


def test_children_of_a_dead_letter(bench):
    """o: rows that refer to it become dead letters as well; a replay in the order of the offsets mends all."""
    ddl = f"CREATE TABLE events ({COLUMNS.replace('id bigint', 'id bigint PRIMARY KEY')}, parent bigint REFERENCES events," \
        " CONSTRAINT positive CHECK (id > 0))"  # fmt: skip
    pair = Pair(bench, ddl=ddl)
    pair.begin(0)
    places = one_batch(
        pair.log, '{"id": 1, "note": ""}', '{"id": -2, "note": ""}', '{"id": 3, "note": "", "parent": -2}',
        '{"id": 4, "note": "", "parent": 3}', '{"id": 5, "note": "", "parent": 1}',
    )  # fmt: skip
    bench.wait_stored(pair.log)
    assert letters(bench) == set(places[1:4])
    bench.sql("ALTER TABLE events DROP CONSTRAINT positive")
    bench.sql("SELECT pgsinkd.replay(%s)", bench.sink)
    wait.until(lambda: not letters(bench), "the dead letters to be stored")
    pair.check(replayed=set(places[1:4]))


def test_a_partition_is_made_between_verdict_and_letter(bench):
    """p: the record is blamed all the same, once; all others of its day are stored."""
    pair = Pair(bench, ddl=DAYS)
    one_batch(pair.log, *days(2, "2026-01-02"))
    pair.begin(0)
    trigger(bench, "PERFORM pg_advisory_xact_lock(17)", name="held", table="pgsinkd.dead_letters")
    with bench.postgres.connect(bench.database) as operator:
        operator.execute("SELECT pg_advisory_lock(17)")
        lost, *_ = one_batch(pair.log, *days(1, "2026-01-01"), *days(15, "2026-01-02"))
        wait.until(
            lambda: bench.value("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"),
            "the dead letter to be written",
        )
        bench.sql(
            "CREATE TABLE yesterday (LIKE events);"
            "ALTER TABLE events ATTACH PARTITION yesterday FOR VALUES FROM ('2026-01-01') TO ('2026-01-02')"
        )
    bench.wait_stored(pair.log)
    one_batch(pair.log, *days(3, "2026-01-01"))
    pair.ends()
    pair.check(dead={lost})


@pytest.mark.parametrize("code", ["40001", "40P01"])
def test_a_deadlock_while_rows_are_tried_one_by_one(bench, code):
    """q: it ends the whole call, which is made again; it is nobody's fault."""
    pair = Pair(bench, times={"patience": "60s"})
    bench.sql("CREATE SEQUENCE met; ALTER TABLE events ADD CHECK (id >= 0)")
    trigger(bench, f"IF NEW.id = 7 AND nextval('met') < 5 THEN {refuse(code)}; END IF")
    pair.begin(0)
    lost, *_ = one_batch(pair.log, '{"id": -1, "note": ""}', *good(10))
    pair.ends()
    assert bench.value("SELECT last_value FROM met") >= 5
    pair.check(dead={lost})


def test_a_table_where_nothing_can_be_serialized(bench):
    """q: it is no race that the next try wins; after a while its partitions alone are parked."""
    pair = Pair(bench, times={"again": "500ms"})
    pair.begin()
    trigger(bench, refuse("40001"))
    pair.log.fill(20)
    pair.stands("parked", "40001")
    pair.neighbours_go_on()
    pair.blames_none()
    untrigger(bench)
    pair.ends()
    pair.check()


# Text that is cast: certain and cheap to find, whatever code the type's input has

CASTS = {  # the column, a good text, a bad one
    "ltree": ("ltree", '"a.b"', '"a b!c"'),
    "tsvector": ("tsvector", '"x y"', "\"'unclosed\""),
    "tsquery": ("tsquery", '"a & b"', '"a &"'),
    "hstore": ("hstore", '"a=>1"', '"no hstore"'),
    "regclass": ("regclass", '"pg_class"', '"no_such_table"'),
    "jsonpath": ("jsonpath", '"$.a"', '"$.["'),
    "sql": ("tsquery", '"a & b"', '"a &"'),
}


class Casts:
    """One topic for each of these types, all on one worker."""

    def __init__(self, bench, path=None, without=(), **times):
        self.bench = bench
        self.times = ",".join(f"{name}={value}" for name, value in times.items())
        self.logs = {name: bench.topic(name=bench.name(name)) for name in CASTS if name not in without}
        self.dead = {name: set() for name in self.logs}
        bench.sql("CREATE EXTENSION ltree; CREATE EXTENSION hstore")
        routes = []
        for name, log in self.logs.items():
            bench.sql(f"CREATE TABLE c_{name} ({COLUMNS.replace(', note text', '')}, x {CASTS[name][0]})")
            columns = {"x": {"sql": "to_tsquery('simple', value->>'x')"}} if name == "sql" else {}
            routes.append(
                {"topics": [log.topic], "table": f"c_{name}", "on_error": "dead_letter"}
                | ({"columns": columns} if columns else {})
            )
        self.config = bench.config(routes=routes, workers=1, **({"batch": {"write_path": path}} if path else {}))

    def send(self, *which):
        """'good', 'bad' and 'none' of each type, in one go."""
        for name, log in self.logs.items():
            _, well, badly = CASTS[name]
            text = {"good": f', "x": {well}', "bad": f', "x": {badly}', "none": ""}
            places = one_batch(log, *(f'{{"id": {k}{text[what]}}}' for k, what in enumerate(which)))
            self.dead[name] |= {place for place, what in zip(places, which, strict=True) if what == "bad"}

    def start(self):
        self.d = self.bench.start(self.config, times=self.times)

    def wait_stored(self):
        for log in self.logs.values():
            self.bench.wait_stored(log, timeout=20)
        assert self.d.running

    def check(self):
        for name, log in self.logs.items():
            self.bench.check(log, f"c_{name}", contents=ledger.json_fields("id"), dead=self.dead[name])


@PATHS
def test_a_text_that_its_type_refuses_among_others(bench, path):
    """C01: at once, for the good ones have been cast."""
    casts = Casts(bench, path, patience="60s", strict="60s", retry="60s")
    casts.send("good", "bad", "good", *["bad"] * 12, "good")
    casts.start()
    casts.wait_stored()
    casts.check()


def test_a_text_that_its_type_refuses_alone(bench):
    """C01: one record at a time. Once the column has been cast, at once.

    Not so an expression: it may read tables, so only a value in the same batch is a witness.
    """
    casts = Casts(bench, without=("sql",), patience="60s", strict="60s", retry="60s")
    casts.start()
    for what in ("good", "bad", "good", "bad"):
        casts.send(what)
        casts.wait_stored()
    casts.check()


def test_a_text_that_its_type_refuses_is_the_first_of_its_column(bench):
    """C01 as it was seen: no other record has the column, so patience decides."""
    casts = Casts(bench, patience="1s", strict="1s", retry="100ms", retry_max="500ms")
    casts.start()
    casts.send("none", "bad", "none")
    casts.wait_stored()
    casts.check()


def test_a_geometry_that_postgis_refuses(bench):
    """C02: XX000 and others of a type that comes with an extension, from JSON and from change events."""
    log, events = bench.topic(), bench.topic()
    bench.sql("CREATE EXTENSION postgis")
    table = f"CREATE TABLE %s ({COLUMNS.replace(', note text', '')}, geom geometry)"
    bench.sql(table % "shapes")
    bench.sql(table % "changed" + "; ALTER TABLE changed ADD PRIMARY KEY (id)")
    letter = {"on_error": "dead_letter"}
    routes = [
        letter | {"topics": [log.topic], "table": "shapes"},
        letter | {"topics": [events.topic], "table": "changed", "envelope": "debezium"},
    ]
    values = ['"POINT(1 2)"', '"not wkt"', '"7C7F0000010C0000"', '{"type": "Nonsense"}', '"POINT(3 4)"']
    places = one_batch(log, *(f'{{"id": {k}, "geom": {value}}}' for k, value in enumerate(values)))
    field = '{"type": "struct", "name": "io.debezium.data.geometry.Geometry", "version": 1, "field": "geom", "fields":' \
        ' [{"type": "bytes", "field": "wkb"}, {"type": "int32", "optional": true, "field": "srid"}]}'  # fmt: skip
    row = f'{{"type": "struct", "field": "after", "fields": [{{"type": "int64", "field": "id"}}, {field}]}}'
    op = '{"type": "string", "field": "op"}'
    change = f'{{"schema": {{"type": "struct", "fields": [{row}, {op}]}}, "payload": {{"op": "c", "after": %s}}}}'
    (bad,) = one_batch(events, change % '{"id": 1, "geom": {"wkb": "AAAA", "srid": null}}')
    d = bench.start(bench.config(routes=routes, workers=1), times="patience=1s,strict=1s,retry=100ms,retry_max=500ms")
    bench.wait_stored(log)
    bench.wait_stored(events)
    assert d.running
    bench.check(log, "shapes", contents=ledger.json_fields("id"), dead=set(places[1:4]))
    bench.check(events, "changed", contents=ledger.json_fields("id"), dead={bad})


# g: the server's own limits. A server of its own is brought close to one of them


@pytest.fixture
def worn_bench(root, kafka):
    """A bench on a server that makes no more multixacts: it is as far from its oldest one as it may be."""
    server = postgres.Postgres(root, f"worn{os.getpid()}", max_prepared_transactions=1).initdb()
    server.start()
    with server.connect() as db:  # prepared, so that the lock is there before any process is
        db.execute("BEGIN")
        db.execute("LOCK TABLE pg_largeobject IN ACCESS EXCLUSIVE MODE")  # or a forced VACUUM would end it in a second
        db.execute("PREPARE TRANSACTION 'the oldest multixact stays'")
    server.stop()
    next_multi = 2**31 - 3_000_000 + 100
    server.run("pg_resetwal", "-f", "-m", f"{next_multi},1", "-D", server.data)
    segment = server.data / "pg_multixact" / "offsets" / f"{next_multi // 65536:04X}"
    segment.write_bytes(bytes(262144))
    if os.geteuid() == 0:
        shutil.chown(segment, "postgres", "postgres")
    server.start()
    files = root / f"worn-{os.getpid()}-files"
    files.mkdir()
    b = Bench(files, server, kafka)
    yield b
    print(b.state())
    print(b.logs())
    faults = b.close()
    server.destroy()
    assert not faults


def test_the_server_makes_no_more_multixacts(worn_bench):
    """g: 54000, of the rows whose parent somebody else has locked; their neighbours are no witnesses against them."""
    bench = worn_bench
    bench.sql("CREATE TABLE parents (id int PRIMARY KEY); INSERT INTO parents VALUES (1), (2)")
    pair = Pair(bench, "unnest", ddl=f"CREATE TABLE events ({COLUMNS}, parent int REFERENCES parents)")
    pair.begin(0)
    one_batch(pair.log, '{"id": 0, "note": "", "parent": 1}')
    bench.wait_stored(pair.log)
    with bench.postgres.connect(bench.database) as other, other.transaction():
        other.execute("SELECT FROM parents WHERE id = 1 FOR KEY SHARE")
        one_batch(pair.log, *good(3, ', "parent": 2'), '{"id": 9, "note": "", "parent": 1}', *good(30, ', "parent": 2'))
        pair.stands("parked", "54000", at={0: 4})
        pair.neighbours_go_on()
        pair.blames_none()
    pair.ends()
    pair.check()
