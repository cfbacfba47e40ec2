"""Dead letters: a record that cannot become a row goes there, in the transaction of its neighbours."""

import json
import random
import re
import string

import pytest

from kit import ledger, wait
from kit.bad import BAD, COLUMN, TABLE, contents
from kit.model import Model
from kit.records import numbered

PATHS = pytest.mark.parametrize("path", ["copy", "unnest"])

# What PostgreSQL itself would say of these, see kit/bad.py.
FOUND_BY_US = {
    "22P02": ["not json", "cut off", "nothing", "two documents", "text for a number", "object for a number",
              "fraction for an integer", "text for a boolean", "bad uuid", "bad bytea", "json array", "json number",
              "lone surrogate"],
    "22021": ["bad utf-8", "nul in text"],
    "22P05": ["nul in jsonb"],
    "23502": ["json null", "tombstone", "null for not null", "not null is missing"],
    "22003": ["bigint out of range", "smallint out of range", "real out of range", "numeric too big"],
    "22001": ["varchar too long", "char too long"],
    "22007": ["bad timestamp"],
    "22008": ["bad date", "bad time"],
}  # fmt: skip
SQLSTATE = {name: code for code, names in FOUND_BY_US.items() for name in names}


def route(**changes):
    return {"on_error": "dead_letter"} | changes


def config(bench, log, *, table="events", path="auto", limit="off", batch=None, **changes):
    """One worker, so that all there is at the start makes few and large batches."""
    changes = {"route": route(max_dead_letters=limit), "workers": 1} | changes
    return bench.config(log, table, batch={"write_path": path} | (batch or {}), **changes)


def letters(bench, log, columns, name=None):
    """{(partition, offset): the columns} of the dead letters of a topic, or of one route of it."""
    rows = bench.sql(
        f'SELECT partition, "offset", {columns} FROM pgsinkd.dead_letters'
        " WHERE topic = %s AND (%s::text IS NULL OR route = %s)",
        log.topic, name, name,
    )  # fmt: skip
    return {row[:2]: row[2:] for row in rows}


def places(records):
    return {(r.partition, r.offset) for r in records}


# Found by pgsinkd


@pytest.mark.system
@PATHS
def test_what_we_find(bench, path):
    log = bench.topic(partitions=2)
    bench.sql(TABLE)
    named = {}
    for n, (name, code) in enumerate(SQLSTATE.items()):
        log.fill(2)
        record = log.send(BAD[name], n % 2, key=None if n % 3 else b"k\x00\xff", headers=[("n", name.encode())])
        named[record.partition, record.offset] = (code, COLUMN.get(name, "id" if code == "23502" else None))
    log.fill(10)
    bench.drain(config(bench, log, path=path))
    bench.check(log, contents=contents, dead=set(named))
    found = letters(bench, log, 'sqlstate, "column", error_class, attempts, route')
    assert found == {place: (*said, "record", 1, "events") for place, said in named.items()}


def test_a_record_is_kept_byte_by_byte(bench):
    """Whatever there may be in a record, found by us and by PostgreSQL; the checker compares."""
    log = bench.topic()
    bench.sql(TABLE)
    strange = [("twice", b"1"), ("twice", b"2"), ("none", None), ("empty", b""), ("bytes", b"\xff\x00\xfe"), ("", b"x")]
    refused = BAD["check constraint"]
    sent = [log.send(b'{"id": 1}')]
    for value in (b"\xff\xfe\x00", b"", b"\\x41", b"x" * 100_000, None, refused):
        for key in (None, b"", b"\x00\xff", b"k" * 3000):
            sent.append(log.send(value, key=key, headers=strange))
        sent.append(log.send(value, headers=[], timestamp=1))
    bench.drain(config(bench, log))
    bench.check(log, contents=contents, dead=places(sent[1:]))


# Found by PostgreSQL

rng = random.Random(20261124)
INCOMPRESSIBLE = "".join(rng.choices(string.ascii_letters + string.digits, k=9000))

TRIGGER = """
CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.id < 0 THEN
        {action};
    END IF;
    RETURN NEW;
END $$;
CREATE {kind} TRIGGER refuse {when} FOR EACH ROW EXECUTE FUNCTION refuse();
"""


def trigger(action, kind="", when="BEFORE INSERT ON events"):
    return TRIGGER.format(action=action, kind=kind, when=when)


AT_COMMIT = ("CONSTRAINT", "AFTER INSERT ON events DEFERRABLE INITIALLY DEFERRED")
NEGATIVE = {"id": -1, "note": "bad"}
TAKEN = None  # the id of the first record of the partition

# name -> (DDL, the bad record, SQLSTATE, what the message says, column)
REFUSED = {
    "check": ("ALTER TABLE events ADD CONSTRAINT positive_id CHECK (id >= 0)", NEGATIVE, "23514", '"positive_id"', None),
    "check that divides by zero": ("ALTER TABLE events ADD CHECK (1 / (id + 1) < 2)", NEGATIVE, "22012", "division", None),
    "domain": (
        "CREATE DOMAIN small AS int CHECK (VALUE < 100); ALTER TABLE events ADD n small",
        NEGATIVE | {"n": 100}, "23514", "domain small", None,
    ),
    "unique": ("ALTER TABLE events ADD UNIQUE (id)", TAKEN, "23505", "already exists", None),
    "unique, deferred": (
        "ALTER TABLE events ADD UNIQUE (id) DEFERRABLE INITIALLY DEFERRED", TAKEN, "23505", "already exists", None,
    ),
    "exclusion": (
        "ALTER TABLE events ADD EXCLUDE USING gist (int8range(id, id, '[]') WITH &&)",
        TAKEN, "23P01", "conflicting key value", None,
    ),
    "foreign key": (
        "CREATE TABLE parents (id int PRIMARY KEY); ALTER TABLE events ADD n int REFERENCES parents",
        NEGATIVE | {"n": 5}, "23503", "not present in table", None,
    ),
    "foreign key, deferred": (
        "CREATE TABLE parents (id int PRIMARY KEY);"
        "ALTER TABLE events ADD n int REFERENCES parents DEFERRABLE INITIALLY DEFERRED",
        NEGATIVE | {"n": 5}, "23503", "not present in table", None,
    ),
    "trigger": (trigger("RAISE EXCEPTION 'no %', NEW.note"), NEGATIVE, "P0001", "no bad", None),
    "trigger, deferred": (trigger("RAISE EXCEPTION 'late no'", *AT_COMMIT), NEGATIVE, "P0001", "late no", None),
    "trigger with its own SQLSTATE": (
        trigger("RAISE EXCEPTION USING ERRCODE = 'MY042', MESSAGE = 'ours', COLUMN = 'note'"),
        NEGATIVE, "MY042", "ours", "note",
    ),
    "trigger with an assertion": (trigger("ASSERT false, 'never'"), NEGATIVE, "P0004", "never", None),
    "data exception in a trigger": (trigger("NEW.id := NEW.note::int"), NEGATIVE, "22P02", '"bad"', None),
    "NULL by a trigger": (trigger("NEW._partition := NULL"), NEGATIVE, "23502", "null value", "_partition"),
    "generated column": (
        "ALTER TABLE events ADD g int GENERATED ALWAYS AS (100 / (id + 1)) STORED", NEGATIVE, "22012", "division", None,
    ),
    "row too large": (
        "ALTER TABLE events ADD large text; ALTER TABLE events ALTER large SET STORAGE PLAIN",
        NEGATIVE | {"large": INCOMPRESSIBLE}, "54000", "row is too big", None,
    ),
    "index entry too large": (
        "CREATE INDEX ON events (note)", {"id": -1, "note": INCOMPRESSIBLE}, "54000", "index row", None,
    ),
}  # fmt: skip

EVENTS = """
CREATE SEQUENCE seq;
CREATE TABLE events (
    seq bigint GENERATED ALWAYS AS IDENTITY, _partition int NOT NULL, _offset bigint NOT NULL,
    id bigint NOT NULL, note text
);
"""


def bad_record(value, partition):
    return numbered(partition, 0) if value is TAKEN else json.dumps(value).encode()


def scatter(log, value, partition):
    """Bad records adjacent, alone and at the end; and as the first of all, where it is bad there too."""
    sent = []

    def bad(n):
        sent.extend(log.send_many([(partition, b"key", bad_record(value, partition), [("h", b"v")], None)] * n))

    bad(0 if value is TAKEN else 1)
    for n in (3, 1, 2, 17, 1):
        log.fill(40 + n, partitions=[partition])
        bad(n)
    return sent


def among_good_ones(log, value, partition):
    """So few that the rows after each of them speak for the table: its SQLSTATE alone would not."""
    log.fill(40, partitions=[partition])
    (sent,) = log.send_many([(partition, b"key", bad_record(value, partition), [("h", b"v")], None)])
    log.fill(40, partitions=[partition])
    return [sent]


@PATHS
@pytest.mark.parametrize("name", REFUSED)
def test_what_postgresql_finds(bench, name, path):
    ddl, value, code, message, column = REFUSED[name]
    log = bench.topic(partitions=2)
    bench.sql(EVENTS + ddl)
    send = among_good_ones if code == "54000" else scatter
    bad = send(log, value, 0) + send(log, value, 1)
    bench.drain(config(bench, log, path=path))
    bench.check(log, contents=contents, dead=places(bad))
    for said in letters(bench, log, 'sqlstate, "column", error_class, attempts, message').values():
        assert said[:-1] == (code, column, "database", 1)
        assert message in said[-1], said[-1]


@PATHS
@pytest.mark.parametrize("total", [1, 2, 500])
def test_all_of_a_batch(bench, path, total):
    log = bench.topic()
    bench.plain_table()
    bench.sql("ALTER TABLE events ADD CHECK (id >= 0)")
    bad = log.send_many([(0, None, b'{"id": -%d}' % (n + 1), None, None) for n in range(total)])
    bench.drain(config(bench, log, path=path))
    bench.check(log, dead=places(bad))


@pytest.mark.sanitize
@pytest.mark.system
@PATHS
def test_faults_of_all_kinds_at_random(bench, path):
    """In small batches, some of which are all bad, with several workers."""
    dice = random.Random(5)
    kinds = [*SQLSTATE, "check constraint", "unique constraint", "foreign key", "trigger exception"]
    log = bench.topic(partitions=4)
    bench.sql(TABLE)
    log.send_many([(p, None, b'{"id": 7, "once": %d}' % (p + 1), None, None) for p in range(4)])
    batch = []
    for n in range(4000):
        p = n % 4
        bad = dice.random() < (0.9 if 1000 < n < 1400 else 0.05)
        name = dice.choice(kinds)
        value = b'{"id": 1, "once": %d}' % (p + 1) if name == "unique constraint" else BAD[name]
        batch.append((p, b"bad" if bad else None, value if bad else numbered(p, n), None, None))
    bad = [r for r in log.send_many(batch) if r.key]
    bench.drain(config(bench, log, path=path, batch={"max_rows": 150}, workers=3))
    bench.check(log, contents=contents, dead=places(bad))


@PATHS
def test_a_running_daemon(bench, path):
    """Record by record, and a run of bad ones: whatever a worker remembers of the last, nothing is mixed up."""
    log = bench.topic(partitions=2)
    bench.sql(TABLE)
    bench.start(config(bench, log, path=path))
    bad = []
    for n in range(30):
        log.fill(4)
        if n % 3:
            bad.append(log.send(BAD["check constraint" if n % 2 else "not json"], n % 2))
        bench.wait_stored(log)
    bad += log.send_many([(0, None, BAD["trigger exception"], None, None)] * 100)
    log.fill(100)
    bench.wait_stored(log)
    bench.check(log, contents=contents, dead=places(bad))


# Routes


def two_routes(log, **second):
    return [
        {"topics": [log.topic], "table": "landing", "format": "raw", "on_error": "dead_letter"},
        {"topics": [log.topic], "table": "events", "on_error": "dead_letter", "name": "parsed"} | second,
    ]


LANDING = "CREATE TABLE landing (seq bigint GENERATED ALWAYS AS IDENTITY, _partition int, _offset bigint, value bytea);"


@pytest.mark.quick
@PATHS
@pytest.mark.parametrize("name", ["not json", "check constraint", "foreign key", "trigger exception"])
def test_the_other_route_has_its_row(bench, name, path):
    log = bench.topic(partitions=2)
    bench.sql(TABLE + LANDING)
    log.fill(100)
    bad = log.send_many([(0, None, BAD[name], None, None)] * 2)
    log.fill(100)
    bad.append(log.send(BAD[name], 1))
    bench.drain(bench.config(routes=two_routes(log), batch={"write_path": path}, workers=1))
    bench.check(log, contents=contents, dead=places(bad), route="parsed")
    bench.check(log, "landing", contents=lambda r: {"value": r.value}, route="landing")
    assert set(letters(bench, log, "route").values()) == {("parsed",)}


@PATHS
def test_both_routes_refuse_it(bench, path):
    """One dead letter for each, with the fault that each has."""
    log = bench.topic()
    bench.sql(TABLE + LANDING + "ALTER TABLE landing ADD CHECK (octet_length(value) < 40)")
    long_and_bad = b'{"id": 1, "positive": -1, "padding": "' + b"x" * 40 + b'"}'
    only_long = b'{"id": 1, "padding": "' + b"x" * 40 + b'"}'
    values = [b'{"id": 1}', long_and_bad, only_long, BAD["check constraint"], BAD["not json"], b'{"id": 2}']
    sent = [log.send(value) for value in values]
    bench.drain(bench.config(routes=two_routes(log), batch={"write_path": path}, workers=1))
    bench.check(log, "landing", contents=lambda r: {"value": r.value}, dead=places(sent[1:3]), route="landing")
    bench.check(log, contents=contents, dead=places([sent[1], sent[3], sent[4]]), route="parsed")


@PATHS
@pytest.mark.parametrize("name", ["not json", "check constraint"])
def test_one_route_stops_and_the_other_does_not(bench, name, path):
    """What stops the partition leaves no dead letter of the other route, which comes first."""
    log = bench.topic(partitions=2)
    bench.sql(TABLE + "CREATE TABLE strict (LIKE events INCLUDING ALL)")
    bench.sql("ALTER TABLE events ADD CHECK (note <> 'odd')")
    log.fill(100)
    bad = log.send_many([(0, None, b'{"id": 4, "note": "odd"}', None, None)] * 2)  # for the first route only
    log.fill(100)
    stop = log.send(BAD[name]).offset
    log.fill(100)
    bad.append(log.send(b'{"id": 4, "note": "odd"}', 1))
    routes = [
        {"topics": [log.topic], "table": "events", "on_error": "dead_letter"},
        {"topics": [log.topic], "table": "strict", "on_error": "stop"},
    ]
    here = re.escape(f"{log.topic}-0@{stop}")
    d = bench.start(bench.config(routes=routes, batch={"write_path": path}, workers=1), ready=False).allow(here)
    d.wait_log(here)
    bench.wait_stored(log, ends={0: stop, 1: log.count(1)})
    assert d.running
    bench.check(log, contents=contents, stops={0: stop}, dead=places(bad), route="events")
    bench.check(log, "strict", contents=contents, stops={0: stop}, route="strict")
    bench.move(log, 0, stop + 1)
    bench.drain(bench.config(routes=routes))
    bench.check(log, contents=contents, without={(0, stop)}, dead=places(bad), route="events")


@PATHS
def test_too_many_stop_the_partition_and_no_other(bench, path):
    log = bench.topic(partitions=3)
    bench.sql(TABLE)
    batch = []
    for n in range(300):
        batch.append((0, None, BAD["check constraint"] if n % 10 == 9 else numbered(0, n), None, None))
        batch.append((1, None, numbered(1, n), None, None))
    log.send_many(batch)
    d = bench.start(config(bench, log, path=path, limit="12 per 1h"), ready=False).allow("12 dead letters in 3600 s")
    bench.wait_stored(log, ends={0: 129, 1: 300})
    d.wait_log("HINT: Where so much fails it is rarely the records")
    log.fill(300, partitions=[1, 2])
    bench.wait_stored(log, ends={0: 129, 1: 450, 2: 150})
    assert d.running
    assert len(d.lines("error")) == 1
    bench.check(log, contents=contents, stops={0: 129}, dead={(0, n) for n in range(9, 129, 10)})


# Keys

KEYED = """
CREATE TABLE things (
    id int PRIMARY KEY, v int NOT NULL CHECK (v >= 0), _partition int, _offset bigint
)
"""


def last_of_each_key(records):
    return {r.key: r for r in records}.values()


@pytest.mark.sanitize
@PATHS
def test_keys_before_and_after_a_bad_one(bench, path):
    """An earlier good version of a key in the same batch is the row when the later one is refused.

    A bad version that a good one of the same batch replaces need not be seen by PostgreSQL at all.
    """
    log = bench.topic(partitions=2)
    bench.sql(KEYED)
    dice = random.Random(11)
    batch, refused = [], []
    for n in range(4000):
        p = n % 2
        id_ = p + 2 * dice.randrange(60 if n < 2000 else 600)
        kind = dice.choices(["good", "bad", "tombstone"], [70, 20, 10])[0]
        value = {"good": b'{"v": %d}' % n, "bad": b'{"v": -%d}' % (n + 1), "tombstone": None}[kind]
        batch.append((p, b'{"id": %d}' % id_, value, None, None))
        refused.append(kind == "bad")
    sent = log.send_many(batch)
    bad = places(r for r, is_bad in zip(sent, refused, strict=True) if is_bad)
    columns = {"id": "key.id"}
    keyed = route(mode="upsert", delete="tombstone", max_dead_letters="off", columns=columns)
    bench.drain(config(bench, log, path=path, table="things", route=keyed, batch={"max_rows": 700}))
    found = letters(bench, log, "sqlstate")
    model = Model(mode="upsert", key=["id"], columns=["id", "v"], deletes=True)
    bench.check(log, "things", model=model, dead=set(found))
    replaced = {place for place in bad if place not in found}
    assert found == dict.fromkeys(bad - replaced, ("23514",))
    assert not replaced & {(r.partition, r.offset) for r in last_of_each_key(sent)}


# Restarts


def mixed(log, total, share):
    """Good records and bad ones, half of which PostgreSQL finds; the places of the bad."""
    dice = random.Random(total)
    batch = []
    for n in range(total):
        p = n % len(log.partitions)
        bad = BAD[dice.choice(["not json", "check constraint"])]
        batch.append((p, None, bad if dice.random() < share else numbered(p, n), None, None))
    return {(r.partition, r.offset) for r in log.send_many(batch) if r.value in BAD.values()}


@PATHS
def test_kill_9_while_dead_letters_are_written(bench, path):
    log = bench.topic(partitions=4)
    bench.sql(TABLE)
    dead = mixed(log, 60_000, 0.05)
    dice = random.Random()
    batch = {"max_rows": 1000, "write_path": path}
    restartable = config(bench, log, batch=batch, workers=2, properties={"group.instance.id": "one"})
    for _ in range(10):
        d = bench.start(restartable, ready=False)
        moment = dice.uniform(0.0, 0.9)
        wait.stays(lambda d=d: d.running, f"running until it is killed after {moment} s", moment, interval=0.01)
        d.kill()
    bench.drain(restartable)
    bench.check(log, contents=contents, dead=dead)
    assert set(letters(bench, log, "attempts").values()) == {(1,)}


@pytest.mark.parametrize("action", ["crash", "error"])
@pytest.mark.parametrize("name", ["txn.mid_copy", "txn.before_commit", "txn.tried", "txn.after_commit"])
def test_faults_while_dead_letters_are_written(bench, name, action):
    """Each life a little later: before, in and after the transactions that isolate."""
    log = bench.topic(partitions=2)
    bench.sql(TABLE)
    dead = mixed(log, 10_000, 0.05)
    small = config(bench, log, batch={"max_rows": 700}, properties={"group.instance.id": "one"})
    for hit in (1, 2, 3, 4, 6):
        d = bench.start(small, ready=False, failpoints=f"{name}={action}@{hit}", args=["--until-end"])
        code = d.allow("failpoint").wait_exit(60)
        assert code == (99 if action == "crash" else 0), d.log()
        if action == "error":
            assert "failpoint" in d.log(), "the failpoint was never reached"
            bench.check(log, contents=contents, dead=dead)
            bench.sql("TRUNCATE events, pgsinkd.offsets, pgsinkd.dead_letters")
    bench.drain(small)
    bench.check(log, contents=contents, dead=dead)
    assert set(letters(bench, log, "attempts").values()) == {(1,)}


@PATHS
def test_back_to_where_a_record_failed(bench, path):
    """It fails again: still one line, and one attempt more."""
    log = bench.topic()
    bench.sql(TABLE)
    log.fill(10)
    dead = places([log.send(BAD["not json"]), log.send(BAD["check constraint"])])
    last = log.fill(10)[0].offset
    sink = config(bench, log, path=path)
    d = bench.start(sink)
    for attempts in (1, 2, 3):
        if attempts > 1:
            bench.sql("DELETE FROM events WHERE _offset >= 5")
            bench.sql("SELECT pgsinkd.seek(%s, %s, 0, 5)", bench.sink, log.topic)
        bench.wait_stored(log)
        wait.until(lambda: bench.rows() == 20, "all rows")
        assert letters(bench, log, "attempts") == dict.fromkeys(dead, (attempts,))
    assert d.running and last
    bench.check(log, contents=contents, dead=dead)


# Faults that screen() finds, beside others

SCREENED = """
CREATE TABLE parents (id int PRIMARY KEY);
INSERT INTO parents SELECT generate_series(1, 9);
CREATE TABLE events (
    seq bigint GENERATED ALWAYS AS IDENTITY, _partition int NOT NULL, _offset bigint NOT NULL, id bigint NOT NULL,
    note text, parent int REFERENCES parents, words tsvector, weight numeric(8, 2), once bigint,
    CONSTRAINT positive CHECK (id >= 0), CONSTRAINT exact CHECK (weight = round(weight, 1)),
    UNIQUE (_partition, once)
)
"""

# kind: (the bad record, its SQLSTATE, what its message ends with)
SPOILED = {
    "check": ({"id": -1}, "23514", "violates check constraint"),
    "rounded": ({"id": 1, "weight": 1.234}, "23514", '"exact"'),
    "parent": ({"id": 1, "parent": 77}, "23503", "Key (parent)=(77) is not present in table"),
    "words": ({"id": 1, "words": "'open"}, "42601", "syntax error in tsvector: \"'open\""),
    "unique": ({"id": 1, "once": 1}, "23505", "Key (_partition, once)="),
    "two": ({"id": -1, "words": "'open"}, "42601", "syntax error in tsvector"),
    "ours": ("no object", "22P02", ""),
}  # fmt: skip


def spoiled(log, n, share, partitions=2, kinds=tuple(SPOILED), once=1):
    """n records, of which a share is bad, in one go; {(partition, offset): kind} of the bad ones."""
    dice = random.Random(11)
    first = json.dumps({"id": 7, "once": once, "words": "a"}).encode()
    log.send_many([(p, None, first, None, None) for p in range(partitions)])
    batch = []
    for i in range(n):
        kind = dice.choice(kinds) if dice.random() < share else None
        good = {"id": i, "parent": i % 9 + 1, "words": "a b", "weight": i % 7 + 0.5, "once": once + 1 + i}
        value = json.dumps(good | SPOILED[kind][0] if kind not in (None, "ours") else good if not kind else "no object")
        batch.append((i % partitions, (kind or "").encode() or None, value.encode(), None, None))
    return {(r.partition, r.offset): r.key.decode() for r in log.send_many(batch) if r.key}


@pytest.mark.sanitize
@pytest.mark.parametrize("share", [0.01, 0.3, 1])
def test_faults_found_at_once_beside_others(bench, share):
    log = bench.topic(partitions=2)
    bench.sql(SCREENED)
    bad = spoiled(log, 6000, share)
    sink = config(bench, log, route=route(max_dead_letters="off"))
    for attempts in (1, 2):
        if attempts == 2:  # each is a dead letter again
            bench.sql("TRUNCATE events")
            bench.sql("SELECT pgsinkd.seek(%s, %s, p, 0) FROM generate_series(0, 1) p", bench.sink, log.topic)
        bench.drain(sink)
        bench.check(log, contents=contents, dead=set(bad))
        for place, said in letters(bench, log, "attempts, sqlstate, message").items():
            _, code, message = SPOILED[bad[place]]
            assert said[:2] == (attempts, code)
            assert message in said[2]


@pytest.mark.parametrize("kind", ["check", "parent", "words"])
def test_good_rows_are_sent_once(bench, kind):
    """What is stored beside refused rows stays, and is not stored again without them."""
    log = bench.topic(partitions=2)
    bench.sql(SCREENED)
    d = bench.start(config(bench, log))
    d.allow("dead letter")
    bad = spoiled(log, 200, 0.1, kinds=(kind,))
    bench.wait_stored(log)  # from now on refusals are expected
    bad |= spoiled(log, 20_000, 0.1, kinds=(kind,), once=1000)
    bench.wait_stored(log)
    d.terminate()
    bench.check(log, contents=contents, dead=set(bad))
    inserted = bench.value("SELECT n_tup_ins FROM pg_stat_user_tables WHERE relname = 'events'")
    assert inserted < 1.05 * bench.rows() + 1000, f"{inserted} for {bench.rows()} rows"


@PATHS
@pytest.mark.parametrize("fault", [{"n": -1}, {"v": "'open"}])
def test_one_row_of_a_record_takes_those_beside_it_along(bench, path, fault):
    """A record is stored with all of its rows, or becomes a dead letter."""
    log = bench.topic(partitions=2)
    bench.sql("CREATE TABLE events (_partition int, _offset bigint, n int CHECK (n >= 0), v tsvector)")
    explode = route(max_dead_letters="off", explode="value.items", columns={"n": "item.n", "v": "item.v"})
    good = [{"n": 1, "v": "a"}, {"n": 2, "v": "b"}, {"n": 3}]
    sent = log.send_many(
        [
            (i % 2, b"bad" if i % 5 == 0 else None, json.dumps({"items": [*good, *([fault] if i % 5 == 0 else []), good[0]]}).encode(), None, None)
            for i in range(600)
        ]
    )  # fmt: skip
    bad = places(r for r in sent if r.key)
    bench.drain(config(bench, log, path=path, route=explode))
    assert set(letters(bench, log, "route")) == bad
    found = bench.sql("SELECT _partition, _offset, count(*) FROM events GROUP BY 1, 2 ORDER BY 1, 2")
    assert found == sorted((r.partition, r.offset, 4) for r in sent if not r.key)


@pytest.mark.parametrize("mode", ["ignore", "upsert"])
def test_a_row_that_changes_nothing_needs_no_parent(bench, mode):
    """PostgreSQL asks for a parent only where a row is stored."""
    log = bench.topic()
    bench.sql("CREATE TABLE parents (id int PRIMARY KEY); INSERT INTO parents VALUES (1)")
    bench.sql("CREATE TABLE events (id bigint PRIMARY KEY, v int, parent int REFERENCES parents)")
    bench.sql("INSERT INTO events SELECT n, 100, 1 FROM generate_series(1, 50) n")
    more = {"only_if_newer": "v"} if mode == "upsert" else {}
    d = bench.start(config(bench, log, route=route(mode=mode, key=["id"], **more)))
    d.allow("dead letter")
    log.send_json(id=1000, v=1, parent=9)
    bench.wait_stored(log)
    bad = log.send_many(
        [(0, b"new" if n > 50 else None, b'{"id": %d, "v": 1, "parent": 9}' % n, None, None) for n in [51, *range(1, 60)]]
    )
    bench.wait_stored(log)
    refused = {(0, 0)} | places(r for r in bad if r.key or r.offset == 1)
    assert set(letters(bench, log, "route")) == refused
    assert bench.rows() == 50


@pytest.mark.parametrize("rest", ["bad", "empty", "good"])
def test_texts_of_a_type_that_has_taken_some_before(bench, rest):
    """Nothing in this batch speaks for the type, so that not all of it is tried; but what is not tried is not stored."""
    log = bench.topic()
    bench.sql(SCREENED)
    d = bench.start(config(bench, log, batch={"linger": "200ms"}))
    d.allow("dead letter")
    dead = []
    for n in range(2):  # from now on records are kept
        log.send_json(id=n, words="good")
        dead.append(log.send_json(id=n, words="'open"))
        bench.wait_stored(log)
    rows = [{"id": 5, "words": "'open"}] * 2 + [
        {"bad": {"id": 6, "words": "'open"}, "empty": {"id": 6}, "good": {"id": 6, "words": "a"}}[rest]
    ] * 3
    sent = log.send_many([(0, None, json.dumps(row).encode(), None, None) for row in rows])
    bench.wait_stored(log)
    dead += sent if rest == "bad" else sent[:2]
    bench.check(log, contents=contents, dead=places(dead))


def test_a_dead_letter_that_is_refused_itself(bench):
    """Its partition stops there; what is before it and in others is stored."""
    log = bench.topic(partitions=2)
    bench.sql(SCREENED)
    sink = config(bench, log)
    assert bench.command("init", sink).returncode == 0
    bench.sql("ALTER TABLE pgsinkd.dead_letters ADD CONSTRAINT none_of_77 CHECK (convert_from(value, 'UTF8') NOT LIKE '%77%')")
    bad = [log.send_json(p, id=-1) for p in (0, 1)]
    log.fill(500)
    stop = log.send_json(0, id=1, parent=77)
    log.fill(500)
    d = bench.start(sink)
    d.allow("none_of_77")
    bench.wait_stored(log, ends={0: stop.offset, 1: log.count(1)})
    standing = "SELECT next_offset FROM pgsinkd.standing WHERE state = 'stopped' AND partition = 0"
    wait.until(lambda: bench.sql(standing) == [(stop.offset,)], "the partition to stand")
    assert set(letters(bench, log, "route")) == places(bad)
    bench.sql("ALTER TABLE pgsinkd.dead_letters DROP CONSTRAINT none_of_77")
    bench.sql("SELECT pgsinkd.resume(%s)", bench.sink)
    bench.wait_stored(log)
    bench.check(log, contents=contents, dead=places([*bad, stop]))


# Cost


@pytest.mark.parametrize("every", [100, 10, 1])
@pytest.mark.parametrize("kind", ["check constraint", "not json"])
def test_bad_records_do_not_need_a_transaction_each(bench, kind, every):
    log = bench.topic(partitions=4)
    bench.sql(TABLE)
    values = [BAD[kind] if n % every == 0 else numbered(n % 4, n) for n in range(20_000)]
    sent = log.send_many([(n % 4, None, value, None, None) for n, value in enumerate(values)])
    assert bench.command("init", config(bench, log)).returncode == 0
    transactions = "SELECT xact_commit + xact_rollback FROM pg_stat_database WHERE datname = current_database()"
    bench.sql("SELECT pg_stat_force_next_flush()")
    before = bench.value(transactions)
    bench.drain(config(bench, log))
    assert bench.value(transactions) - before < 100
    bench.check(log, contents=contents, dead=places(r for r in sent if r.value == BAD[kind]))


# What surrounds a bad record


def test_an_operator_goes_back_while_large_records_are_kept(bench):
    """Batches keep records after a refusal; dropping them gives the room back."""
    log = bench.topic()
    bench.sql(
        "CREATE TABLE events (seq bigint GENERATED ALWAYS AS IDENTITY, _partition int, _offset bigint,"
        " id int CHECK (id >= 0))"
    )
    d = bench.start(bench.config(log, workers=1, route={"on_error": "dead_letter"}))
    d.allow("dead letter")
    log.send_json(id=-1)
    bench.wait_stored(log)
    log.send_json(id=1)
    bench.wait_stored(log)
    with bench.postgres.connect(bench.database) as other:
        other.autocommit = False
        other.execute("UPDATE pgsinkd.offsets SET next_offset = 1")
        log.send_json(id=2)
        for n in range(30):
            log.send_json(id=3 + n, pad="x" * 900_000)
        d.wait_log("its row of the ledger is locked")
        other.commit()
    wait.until(lambda: bench.next_offset(log) == log.ends()[0], "all to be stored", 60)
    assert bench.value("SELECT count(DISTINCT _offset) FROM events") == 32


def test_a_table_with_rules_beside_one_that_refuses(bench):
    """Rules make of an INSERT what they like, so its rows only ever go by COPY."""
    log = bench.topic()
    bench.sql("CREATE TABLE events (seq bigint GENERATED ALWAYS AS IDENTITY, _partition int, _offset bigint, id int)")
    bench.sql("CREATE RULE r AS ON INSERT TO events DO INSTEAD NOTHING")
    bench.sql("CREATE TABLE other (_partition int, _offset bigint, id int CHECK (id >= 0))")
    routes = [{"topics": [log.topic], "table": table, "on_error": "dead_letter"} for table in ("events", "other")]
    d = bench.start(bench.config(log, workers=1, routes=routes))
    d.allow("dead letter")
    for n in (1, -1, 3):
        log.send_json(id=n)
        bench.wait_stored(log)
    assert bench.sql("SELECT id FROM events ORDER BY _offset") == [(1,), (-1,), (3,)]
    assert bench.sql("SELECT id FROM other ORDER BY _offset") == [(1,), (3,)]
    assert bench.sql("SELECT route FROM pgsinkd.dead_letters") == [("other",)]


@pytest.mark.parametrize("on_error", ["stop", "dead_letter"])
def test_a_role_that_may_not_make_temporary_tables(bench, on_error):
    log = bench.topic()
    bench.sql(
        "CREATE TABLE events (seq bigint GENERATED ALWAYS AS IDENTITY, _partition int, _offset bigint,"
        " id int CHECK (id >= 0))"
    )
    role = f"clerk_{bench.sink}"
    bench.sql(f"CREATE ROLE {role} LOGIN PASSWORD 'clerk'")
    bench.sql(f"GRANT INSERT ON events TO {role}")
    bench.sql(f"GRANT CREATE ON DATABASE {bench.database} TO {role}")
    bench.sql(f"REVOKE TEMPORARY ON DATABASE {bench.database} FROM PUBLIC")
    for n in range(20):
        log.send_json(id=-1 if n == 13 else n)
    dsn = bench.dsn(user=role, password="clerk")
    d = bench.start(bench.config(log, workers=1, route={"on_error": on_error}, postgres={"dsn": dsn}))
    d.allow("violates check constraint")
    contents = ledger.json_fields("id")
    if on_error == "dead_letter":
        bench.wait_stored(log)
        assert d.running
        bench.check(log, contents=contents, dead={(0, 13)})
    else:
        d.wait_log("violates check constraint")
        assert d.running
        bench.check(log, contents=contents, stops={0: 13})
