"""Somebody has locked a row of the ledger: a zombie, an operator. It holds up its own partition and no other."""

import contextlib

import psycopg
import pytest

from kit import wait
from kit.standing import Pair

PATHS = pytest.mark.parametrize("path", ["copy", "unnest"])


@contextlib.contextmanager
def locked(bench, log, partition=0, **who):
    """The row of a partition, locked by an open transaction; gives its connection. Rolled back in the end."""
    options = {"host": "127.0.0.1", "port": bench.postgres.port, "user": "operator", "dbname": bench.database}
    with psycopg.connect(**(options | who), application_name="somebody") as db:
        db.execute(
            "UPDATE pgsinkd.offsets SET end_offset = end_offset WHERE sink = %s AND topic = %s AND partition = %s",
            [bench.sink, log.topic, partition],
        )
        yield db
        with contextlib.suppress(psycopg.OperationalError):  # it was ended
            db.rollback()


def others_are_stored(bench, log):
    def stored():
        at = bench.next_offsets(log)
        return all(at[p] == max(records) + 1 for p, records in log.records.items() if p != 0)

    wait.until(stored, "the partitions whose rows are free", timeout=4)


def role(bench, name, grants=""):
    """A login that may write what the sink writes; gives its name."""
    name = f"{bench.sink}_{name}"
    bench.sql(f"DROP ROLE IF EXISTS {name}")
    bench.sql(f"CREATE ROLE {name} LOGIN PASSWORD 'x'")
    bench.sql(f"GRANT USAGE ON SCHEMA pgsinkd TO {name}")
    bench.sql(f"GRANT ALL ON ALL TABLES IN SCHEMA pgsinkd, public TO {name}")
    if grants:
        bench.sql(f"GRANT {grants} TO {name}")
    return {"user": name, "password": "x"}


@pytest.fixture
def roles(bench):
    """Makes roles, see role(); they are dropped in the end."""
    made = []

    def make(name, grants=""):
        made.append(role(bench, name, grants))
        return made[-1]

    yield make
    bench.stop()
    for who in made:
        bench.sql(f"DROP OWNED BY {who['user']}")
        bench.sql(f"DROP ROLE {who['user']}")


def lines(d, pattern):
    return [line for line in d.lines() if pattern in line]


@pytest.mark.sanitize
@pytest.mark.quick
@PATHS
def test_a_row_locked_by_an_operator_holds_up_its_partition_only(bench, path):
    log = bench.topic(partitions=4)
    bench.plain_table()
    log.fill(40)
    config = bench.config(log, workers=1, batch={"write_path": path}, postgres={"lock_timeout": "500ms"})
    d = bench.start(config)
    bench.wait_stored(log)
    with locked(bench, log) as db:
        for _ in range(3):
            log.fill(400)
            others_are_stored(bench, log)
        wait.stays(lambda: not db.closed and not db.broken, "the operator's session", 1)
        pid = db.info.backend_pid
        db.execute("SELECT 1")  # it is the operator's, not that of a former owner: it was not ended
        assert bench.next_offset(log) == 10
    bench.wait_stored(log)
    said = lines(d, f"{log.topic}-0: its row of the ledger is")
    assert len(said) == 2, said
    assert f"locked by process {pid} (user 'operator', application 'somebody', idle in" in said[0]
    assert "no longer locked, after" in said[1]
    assert f"pg_terminate_backend({pid})" in d.log()
    bench.check(log)


@PATHS
def test_a_row_is_locked_while_all_are_claimed_again(bench, path):
    """Any change by hand has a worker claim all of its partitions."""
    log = bench.topic(partitions=4)
    bench.plain_table()
    log.fill(40)
    d = bench.start(bench.config(log, workers=1, batch={"write_path": path}))
    bench.wait_stored(log)
    with locked(bench, log):
        epochs = bench.owners(log)
        bench.sql(f"NOTIFY pgsinkd, '{bench.sink}'")
        wait.until(lambda: all(bench.owners(log)[p] > epochs[p] for p in (1, 2, 3)), "the others to be claimed")
        log.fill(400)
        others_are_stored(bench, log)
    bench.wait_stored(log)
    assert len(lines(d, "of the ledger is locked by")) == 1
    bench.check(log)


def test_a_row_is_locked_at_start_by_a_session_that_cannot_be_ended(bench, roles):
    log = bench.topic(partitions=4)
    bench.plain_table()
    log.fill(40)
    bench.drain(bench.config(log))
    heir = roles("heir", "pg_signal_backend")  # which a superuser's session is not subject to
    postgres = {"dsn": bench.dsn(**heir), "lock_timeout": "300ms"}
    with locked(bench, log) as db:
        d = bench.start(bench.config(log, workers=1, postgres=postgres))
        log.fill(400)
        others_are_stored(bench, log)
        d.wait_log("cannot be ended: (must be a superuser|permission denied to terminate)")
        wait.stays(lambda: len(lines(d, "cannot be ended")) == 1, "one line about it", 1.5)
        db.execute("SELECT 1")
    bench.wait_stored(log)
    assert len(lines(d, "of the ledger is locked by")) == 1
    assert "GRANT pg_signal_backend" in d.log()
    bench.check(log)


@pytest.mark.parametrize("how", ["pg_signal_backend", "set role"])
def test_the_session_of_a_former_owner_is_ended(bench, roles, how):
    """After its credentials were rotated the former owner has another login; or both act as the role of the owner."""
    log = bench.topic(partitions=4)
    bench.plain_table()
    log.fill(40)
    bench.drain(bench.config(log))
    former = heir = roles("former")
    if how == "set role":
        bench.sql(f"ALTER ROLE {heir['user']} SET role = '{roles('owner', '')['user']}'")
        bench.sql(f"GRANT {bench.sink}_owner TO {heir['user']}")
    else:
        heir = roles("heir", "pg_signal_backend")
    with locked(bench, log, **former):
        d = bench.start(
            bench.config(log, workers=1, postgres={"dsn": bench.dsn(**heir), "lock_timeout": "300ms"})
        )
        log.fill(40)
        bench.wait_stored(log, timeout=5)
    assert lines(d, "ended 1 backend(s) that held rows of the ledger")
    assert not lines(d, "cannot be ended")
    bench.check(log)


def test_a_partition_that_waits_for_its_row_is_released_at_once(bench):
    log = bench.topic(partitions=4)
    bench.plain_table()
    log.fill(40)
    config = bench.config(log, workers=1)
    d = bench.start(config)
    bench.wait_stored(log)
    with locked(bench, log):
        log.fill(400)
        d.wait_log("of the ledger is locked by")
        took = d.terminate()
        assert took < 2
        bench.start(config)
        log.fill(400)
        others_are_stored(bench, log)
        second = bench.start(config)
        wait.until(lambda: len(set(owners(bench, log))) == 2, "both to own partitions", timeout=10)
    bench.wait_stored(log)
    assert not lines(second, "releasing it anyway")
    assert not any(lines(other, "releasing it anyway") for other in bench.daemons)
    bench.check(log)


def owners(bench, log):
    return [o for (o,) in bench.sql("SELECT owner FROM pgsinkd.offsets WHERE topic = %s", log.topic)]


def test_a_partition_that_another_process_has_claimed_is_given_up_at_once(bench):
    """Its new owner's transaction may take long; the former owner neither waits for it nor ends its session."""
    log = bench.topic(partitions=2)
    bench.plain_table()
    log.fill(20)
    d = bench.start(bench.config(log, workers=1))
    bench.wait_stored(log)
    bench.sql("SELECT pgsinkd.claim(%s, 'another', ARRAY[%s], '{0}', '{-1}', '{}', false)", bench.sink, log.topic)
    with locked(bench, log) as db:
        log.fill(20)
        d.wait_log("-0: claimed by another process", timeout=2)
        db.execute("SELECT 1")
    bench.wait_stored(log)
    assert not lines(d, "ended 1 backend")
    bench.check(log)


@PATHS
@pytest.mark.parametrize("table", ["offsets", "dead_letters"])
def test_a_table_of_ours_is_locked_as_a_whole(bench, table, path):
    """As VACUUM FULL does. Without the ledger all wait; without dead_letters only those that have one to write."""
    pair = Pair(bench, path, partitions=2, postgres={"lock_timeout": "300ms"})
    d = pair.begin()
    with bench.postgres.connect(bench.database) as operator, operator.transaction():
        operator.execute(f"LOCK TABLE pgsinkd.{table} IN ACCESS EXCLUSIVE MODE")
        bad = pair.log.send(b"not json")
        pair.log.fill(10)
        if table == "offsets":
            d.wait_log("the table is locked by process")
            wait.stays(lambda: d.running and not d.lines("error"), "running", 0.5)
        else:
            pair.stands("parked", "55P03", partitions=[0], at={0: bad.offset})
            pair.neighbours_go_on()
    pair.ends()
    pair.check(dead={(0, bad.offset)})
