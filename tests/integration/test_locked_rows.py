"""Another session keeps a lock on single rows of a table: that parks the partitions of these rows, at these records.

A lock on the whole table parks all that feeds it, see test_parked.py.
"""

import contextlib

import pytest

from kit.model import Model
from kit.standing import Pair, resume

PATHS = pytest.mark.parametrize("path", ["copy", "unnest"])
THINGS = "CREATE TABLE events (id bigint PRIMARY KEY, note text)"
MODEL = Model("upsert", ["id"], ["id", "note"])
QUICKLY = {"postgres": {"lock_timeout": "200ms"}}


def things(bench, path, **options):
    """Three partitions of ten keys each, 0 to 9, 100 to 109, 200 to 209, which are all stored."""
    pair = Pair(bench, path, ddl=THINGS, partitions=3, route={"mode": "upsert"}, **QUICKLY, **options)
    pair.begin(0)
    send(pair, "old")
    bench.wait_stored(pair.log)
    return pair


def send(pair, note):
    """Each key once more; the records lie in turn, so that batches hold all of the partitions."""
    one = b'{"id": %d, "note": "%s"}'
    pair.log.send_many(
        [(p, None, one % (100 * p + n, note.encode()), None, None) for n in range(10) for p in pair.log.partitions]
    )


@contextlib.contextmanager
def locked(bench, statement):
    """A session that does this, and nothing more, until the block ends; what it did is rolled back."""
    with bench.postgres.connect(bench.database) as other, other.transaction(force_rollback=True):
        other.execute(statement)
        yield


def select(*keys):
    return f"SELECT FROM events WHERE id IN ({', '.join(map(str, keys))}) FOR UPDATE"


@pytest.mark.quick
@PATHS
def test_one_row_is_locked(bench, path):
    """Its partition is cut before its record. The records of the others are stored, later ones too."""
    pair = things(bench, path)
    with locked(bench, select(105)):
        send(pair, "new")
        pair.stands("parked", "55P03", partitions=[1], at={1: 15})
        bench.wait_stored(pair.log, ends={0: 20, 1: 15, 2: 20})
        send(pair, "newer")
        bench.wait_stored(pair.log, ends={0: 30, 1: 15, 2: 30})
        pair.neighbours_go_on()
    pair.ends()
    pair.bench.check(pair.log, model=MODEL)
    pair.bench.check(pair.other, "others")


@PATHS
def test_rows_of_two_partitions_are_locked(bench, path):
    """Each of the two is found, and the third partition is stored."""
    pair = things(bench, path)
    with locked(bench, select(3, 207, 209)):
        send(pair, "new")
        pair.stands("parked", "55P03", partitions=[0, 2], at={0: 13, 2: 17})
        bench.wait_stored(pair.log, ends={0: 13, 1: 20, 2: 17})
        pair.neighbours_go_on()
    pair.ends()
    pair.bench.check(pair.log, model=MODEL)


def test_rows_of_many_partitions_are_locked(bench):
    """After some the others stand too early; the next tries bring them to their records."""
    pair = Pair(bench, ddl=THINGS, partitions=8, route={"mode": "upsert"}, **QUICKLY)
    pair.begin(0)
    send(pair, "old")
    bench.wait_stored(pair.log)
    with locked(bench, select(*(100 * p + 5 for p in range(7)))):
        send(pair, "new")
        bench.wait_stored(pair.log, timeout=30, ends=dict.fromkeys(range(7), 15) | {7: 20})
        pair.stands("parked", "55P03", partitions=range(7), at=dict.fromkeys(range(7), 15))
        pair.neighbours_go_on()
    pair.ends()
    pair.bench.check(pair.log, model=MODEL)


@PATHS
@pytest.mark.parametrize("lock", ["LOCK TABLE events IN ACCESS EXCLUSIVE MODE", "UPDATE events SET note = 'never'"])
def test_the_table_is_locked(bench, path, lock):
    """No row is named, or each is, which comes to the same: all stand, from their first records on."""
    pair = things(bench, path)
    with locked(bench, lock):
        send(pair, "new")
        pair.stands("parked", "55P03", at={0: 10, 1: 10, 2: 10})
        pair.neighbours_go_on()
    pair.ends()
    pair.bench.check(pair.log, model=MODEL)


def test_resume_while_the_row_is_locked(bench):
    """One try, and it stands as before, at the same record."""
    pair = things(bench, "copy", times={"retry": "60s", "retry_max": "60s"})
    with locked(bench, select(105)):
        send(pair, "new")
        pair.stands("parked", "55P03", partitions=[1], at={1: 15})
        resume(bench, pair.log.topic, 1)
        pair.stands("parked", "55P03", partitions=[1], at={1: 15})
        pair.neighbours_go_on()
    resume(bench, pair.log.topic, 1)
    pair.ends(timeout=10)
    pair.bench.check(pair.log, model=MODEL)


@PATHS
def test_the_row_that_a_foreign_key_refers_to_is_locked(bench, path):
    bench.sql("CREATE TABLE notes (note text PRIMARY KEY)")
    bench.sql("INSERT INTO notes VALUES ('free'), ('locked')")
    pair = Pair(bench, path, partitions=2, **QUICKLY)
    bench.sql("ALTER TABLE events ADD FOREIGN KEY (note) REFERENCES notes")
    pair.begin(0)
    with locked(bench, "SELECT FROM notes WHERE note = 'locked' FOR UPDATE"):
        line = b'{"id": %d, "note": "%s"}'
        note = {(0, 4): b"locked"}
        pair.log.send_many(
            [(p, None, line % (n, note.get((p, n), b"free")), None, None) for n in range(10) for p in (0, 1)]
        )
        pair.stands("parked", "55P03", partitions=[0], at={0: 4})
        bench.wait_stored(pair.log, ends={0: 4, 1: 10})
        pair.neighbours_go_on()
    pair.ends()
    pair.check()


@PATHS
def test_another_session_is_inserting_the_same_key(bench, path):
    """Whether there will be a conflict is not known before it ends."""
    pair = Pair(bench, path, partitions=2, **QUICKLY)
    bench.sql("ALTER TABLE events ADD UNIQUE (id)")
    pair.begin(0)
    insert = "INSERT INTO events (_topic, _partition, _offset, id) VALUES ('', 0, 0, 4)"
    with locked(bench, insert):
        pair.log.fill(20)
        pair.stands("parked", "55P03", partitions=[0], at={0: 4})
        bench.wait_stored(pair.log, ends={0: 4, 1: 10})
        pair.neighbours_go_on()
    pair.ends()
    pair.check()


def test_rows_of_two_tables(bench):
    """The partition stands for both of its routes."""
    pair = Pair(bench, ddl=THINGS, partitions=2, route={"mode": "upsert"}, **QUICKLY)
    bench.plain_table("copies")
    pair.config["routes"].append({"topics": [pair.log.topic], "table": "copies", "on_error": "dead_letter"})
    pair.begin(0)
    send(pair, "old")
    bench.wait_stored(pair.log)
    with locked(bench, select(105)):
        send(pair, "new")
        pair.stands("parked", "55P03", partitions=[1], at={1: 15})
        bench.wait_stored(pair.log, ends={0: 20, 1: 15})
        pair.neighbours_go_on()
    pair.ends()
    pair.bench.check(pair.log, model=MODEL)
    pair.bench.check(pair.log, "copies")
