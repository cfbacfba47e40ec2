"""Crash, or fail, at each named point of the program; then prove that nothing is lost or doubled.

Needs a build with -Dfailpoints=true.
"""

import pytest

CRASHED = 99

# name -> the hits at which to strike: the first one, and a later one where there are many
POINTS = {
    "ledger.after_claim": (1,),
    "crew.before_assign": (1,),
    "txn.mid_copy": (1, 7),
    "txn.before_commit": (1, 7),
    "txn.after_commit": (1, 7),
}
CASES = [pytest.param(name, hit, id=f"{name}@{hit}") for name, hits in POINTS.items() for hit in hits]

pytestmark = pytest.mark.sanitize


def prepare(bench, records=20_000, **changes):
    log = bench.topic(partitions=4)
    bench.plain_table()
    log.fill(records)
    config = bench.config(log, batch={"max_rows": 500}, properties={"group.instance.id": "one"}, **changes)
    return log, config


@pytest.mark.parametrize(("name", "hit"), CASES)
def test_crash(bench, name, hit):
    log, config = prepare(bench)
    d = bench.start(config, ready=False, failpoints=f"{name}=crash@{hit}")
    assert d.wait_exit(30) == CRASHED, d.log()
    bench.drain(config)
    bench.check(log)


@pytest.mark.parametrize(("name", "hit"), CASES)
def test_error(bench, name, hit):
    log, config = prepare(bench)
    d = bench.start(config, ready=False, failpoints=f"{name}=error@{hit}").allow("failpoint")
    bench.wait_stored(log)
    if name.startswith("txn."):  # a fault of the connection, which is worth a line
        assert "failpoint" in d.log(), "the failpoint was never reached"
    assert d.running
    bench.check(log)


@pytest.mark.parametrize("hit", [2, 6])
@pytest.mark.parametrize("name", ["txn.mid_copy", "txn.before_commit", "txn.after_commit"])
def test_error_with_others_on_their_way(bench, name, hit):
    """A long way to PostgreSQL: the fault meets one of several transactions that follow each other."""
    log = bench.topic(partitions=4)
    bench.plain_table()
    proxy, dsn = bench.postgres_proxy()
    proxy.delay = 0.005
    config = bench.config(log, postgres={"dsn": dsn}, workers=1, batch={"max_rows": 100, "write_path": "unnest"})
    d = bench.start(config, failpoints=f"{name}=error@{hit}").allow("failpoint")
    log.fill(20_000)
    bench.wait_stored(log)
    assert "failpoint" in d.log(), "the failpoint was never reached"
    assert d.running
    bench.check(log)


@pytest.mark.parametrize("name", POINTS)
def test_crash_again_and_again(bench, name):
    """Each life crashes a little later, until one gets through."""
    log, config = prepare(bench)
    for hit in (1, 1, 2, 3, 5):
        d = bench.start(config, ready=False, failpoints=f"{name}=crash@{hit}", args=["--until-end"])
        code = d.wait_exit(30)
        assert code in (CRASHED, 0), d.log()
        if code == 0:  # there are fewer hits than that in a whole drain
            break
    bench.drain(config)
    bench.check(log)


@pytest.mark.parametrize("action", ["crash", "error"])
@pytest.mark.parametrize("protocol", ["roundrobin", "cooperative-sticky"])
def test_fault_before_release_when_another_joins(bench, action, protocol):
    log = bench.topic(partitions=4)
    bench.plain_table()
    log.fill(40_000)
    config = bench.config(log, batch={"max_rows": 500}, properties={"partition.assignment.strategy": protocol})
    d = bench.start(config, failpoints=f"worker.before_release={action}@1").allow("failpoint")
    bench.wait_rows(1)
    bench.start(config)
    if action == "crash":
        assert d.wait_exit(30) == CRASHED
    bench.wait_stored(log)
    bench.check(log)


@pytest.mark.parametrize(("name", "hit"), CASES)
def test_crash_with_a_heir_waiting(bench, name, hit):
    """Another daemon is there already and takes over."""
    log = bench.topic(partitions=4)
    bench.plain_table()
    config = bench.config(log, batch={"max_rows": 500})
    bench.start(config)
    d = bench.start(config, ready=False, failpoints=f"{name}=crash@{hit}")
    for _ in range(5):
        log.fill(5000)
    assert d.wait_exit(30) == CRASHED, d.log()
    bench.wait_stored(log)
    bench.check(log)


def test_two_faults_in_one_life(bench):
    log, config = prepare(bench)
    d = bench.start(
        config, ready=False, failpoints="txn.mid_copy=error@2,txn.after_commit=error@5,txn.before_commit=crash@9"
    ).allow("failpoint")
    assert d.wait_exit(30) == CRASHED, d.log()
    bench.drain(config)
    bench.check(log)
