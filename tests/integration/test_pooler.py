"""A connection pooler before PostgreSQL: session mode works, the others are refused before they do any harm."""

import pytest

from kit import wait
from kit.pooler import Pooler

REASON = "a connection pooler gives each transaction another server session"


@pytest.fixture
def pooler(bench):
    """Starts a PgBouncer with the given settings."""
    made = []

    def make(**settings):
        made.append(Pooler(bench.postgres, **settings))
        return made[-1]

    yield make
    bench.stop()
    for p in made:
        p.close()


def lines(d, pattern):
    return [line for line in d.lines() if pattern in line]


@pytest.mark.quick
@pytest.mark.parametrize("path", ["copy", "unnest"])
def test_session_mode_works(bench, pooler, path):
    log = bench.topic(partitions=4)
    bench.plain_table()
    p = pooler(default_pool_size=6)  # 4 workers and two more
    d = bench.start(bench.config(log, workers=4, batch={"write_path": path}, postgres={"dsn": bench.dsn(port=p.port)}))
    log.fill(4000)
    bench.wait_stored(log)
    bench.postgres.terminate_backends()
    log.fill(4000)
    bench.wait_stored(log)
    epochs = bench.owners(log)
    bench.sql(f"NOTIFY pgsinkd, '{bench.sink}'")  # arrives
    wait.until(lambda: all(bench.owners(log)[p] > epochs[p] for p in epochs), "all to be claimed again")
    assert not lines(d, "pooler")
    bench.check(log)


@pytest.mark.parametrize("delivery", ["exactly_once", "at_least_once"])
@pytest.mark.parametrize("mode", ["transaction", "statement"])
def test_another_pool_mode_is_refused_at_the_first_start(bench, pooler, mode, delivery):
    log = bench.topic(partitions=4)
    bench.plain_table()
    log.fill(100)
    p = pooler(pool_mode=mode)
    config = bench.config(log, workers=4, delivery=delivery, postgres={"dsn": bench.dsn(port=p.port)})
    d = bench.drain(config, code=4, allow=[REASON])
    assert "HINT: Set pool_mode = session for this database and user" in d.log()
    assert bench.rows() == 0
    assert not bench.value("SELECT to_regnamespace('pgsinkd') IS NOT NULL")
    done = bench.command("check", config)
    assert done.returncode == 4
    assert REASON in done.stderr and "pool_mode = session" in done.stderr


@pytest.mark.sanitize
@pytest.mark.parametrize(("path", "mode"), [("copy", "transaction"), ("unnest", "transaction"), ("copy", "statement")])
def test_the_pool_mode_is_changed_while_it_runs(bench, pooler, path, mode):
    """Nothing is written by a session of another worker, and none is ended; it continues when it is mended."""
    log = bench.topic(partitions=8)
    bench.plain_table()
    p = pooler()
    batch = {"max_rows": 200, "write_path": path}
    d = bench.start(bench.config(log, workers=4, batch=batch, postgres={"dsn": bench.dsn(port=p.port)}))
    log.fill(8000)
    bench.wait_stored(log)
    p.change(pool_mode=mode, default_pool_size=2)
    log.fill(2000)  # those who are connected begin to share what they have
    bench.postgres.terminate_backends()
    for _ in range(3):
        log.fill(2000)
        wait.stays(lambda: d.running, "running", 0.5)
    d.wait_log(REASON)
    assert not lines(d, "backend(s) that held rows")
    assert len([line for line in d.lines("warning") if REASON in line]) <= 2, "once for each episode"
    assert d.running
    p.change(pool_mode="session", default_pool_size=20)
    bench.postgres.terminate_backends()
    bench.wait_stored(log)
    assert d.running
    bench.check(log)


def test_the_pool_mode_is_another_at_a_later_start(bench, pooler):
    """The service manager does not start it again after exit code 4, so it waits until it is mended."""
    log = bench.topic(partitions=2)
    bench.plain_table()
    log.fill(100)
    bench.drain(bench.config(log))
    log.fill(100)
    p = pooler(pool_mode="transaction")
    d = bench.start(bench.config(log, postgres={"dsn": bench.dsn(port=p.port)}), ready=False)
    d.wait_log(REASON)
    wait.stays(lambda: d.running and len(lines(d, REASON)) == 1, "one line, and waiting", 1.5)
    assert "HINT: Set pool_mode = session" in d.log()
    p.change(pool_mode="session")
    d.wait_ready()
    bench.wait_stored(log)
    bench.check(log)


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"default_pool_size": 2, "query_wait_timeout": 1}, "query_wait_timeout"),
        ({"max_client_conn": 3}, "no more connections allowed"),
        ({"default_pool_size": 2}, "has accepted the login, and then not answered within 10 s"),
    ],
)
def test_too_few_connections_are_reported_as_such(bench, pooler, settings, says):
    log = bench.topic(partitions=4)
    bench.plain_table()
    log.fill(400)
    p = pooler(**settings)
    d = bench.start(bench.config(log, workers=4, postgres={"dsn": bench.dsn(port=p.port)}), ready=False)
    d.wait_log(says, timeout=20)
    assert "HINT: pgsinkd needs 6 connections at the same time" in d.log()
    assert d.running
    d.terminate()
    p.change(default_pool_size=6, max_client_conn=100)
    bench.start(bench.config(log, workers=4, postgres={"dsn": bench.dsn(port=p.port)}))
    bench.wait_stored(log)
    bench.check(log)
