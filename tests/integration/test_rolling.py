"""A rolling restart of three daemons of one group while records come in. What it costs in time is bench/rolling's."""

import re
import threading

import pytest

from kit import wait

DAEMONS = 3


class Trickle:
    """Records into all partitions, all the while."""

    def __init__(self, log, count):
        self._log, self._count, self._over = log, count, threading.Event()
        self._thread = threading.Thread(target=self._run)

    def _run(self):
        while not self._over.wait(0.02):
            self._log.fill(self._count)

    def __enter__(self):
        self._thread.start()

    def __exit__(self, *_):
        self._over.set()
        self._thread.join()


def config(bench, log, protocol, member=None):
    properties = {"partition.assignment.strategy": protocol}
    if member is not None:
        # Only a restart within the session keeps the partitions; the machine may be busy.
        properties |= {"group.instance.id": f"member-{member}", "session.timeout.ms": 20000}
    return bench.config(log, properties=properties)


def owners(bench, log):
    """{partition: process id of its owner}"""
    rows = bench.sql("SELECT partition, split_part(owner, ':', 2)::int FROM pgsinkd.offsets"
                     " WHERE sink = %s AND topic = %s AND owner IS NOT NULL", bench.sink, log.topic)  # fmt: skip
    return dict(rows)


def wait_shared(bench, log, daemons):
    """Until each has its share, and no partition changes hands any more."""
    pids = {d.pid for d in daemons}

    def shared():
        found = owners(bench, log)
        return len(found) == len(log.partitions) and set(found.values()) == pids and found

    return wait.until(shared, "each daemon to own partitions", 60)


def moves_on(bench, log):
    """Every partition stores something from here on."""
    before = bench.next_offsets(log)
    wait.until(lambda: all(at > before[p] for p, at in bench.next_offsets(log).items()), "all partitions to move on")


def rebalances(d):
    return [line for line in d.lines("info") if re.search("partitions? (assigned|revoked)", line)]


@pytest.mark.quick
def test_a_rolling_restart_of_static_members(bench):
    """Nobody but the one that restarts hears of it: it has the same partitions again, and continues where it was."""
    log = bench.topic(partitions=6)
    bench.plain_table()
    configs = [config(bench, log, "cooperative-sticky", n) for n in range(DAEMONS)]
    daemons = [bench.start(c) for c in configs]
    with Trickle(log, 60):
        wait_shared(bench, log, daemons)
        moves_on(bench, log)
        for n in range(DAEMONS):
            former, epochs = owners(bench, log), bench.owners(log)
            mine = {p for p, pid in former.items() if pid == daemons[n].pid}
            heard = [rebalances(d) for d in daemons]
            daemons[n].terminate()
            daemons[n] = bench.start(configs[n])
            wait.until(lambda n=n, mine=mine: {p for p, pid in owners(bench, log).items() if pid == daemons[n].pid} == mine,
                       "the same partitions")  # fmt: skip
            moves_on(bench, log)
            after = bench.owners(log)
            assert {p for p in after if after[p] != epochs[p]} == mine
            assert all(rebalances(d) == heard[i] for i, d in enumerate(daemons) if i != n)
            assert len(rebalances(daemons[n])) == 1, daemons[n].log()
    bench.wait_stored(log)
    bench.check(log)


def test_a_rolling_restart_of_dynamic_members(bench):
    """With the cooperative protocol those that stay keep reading all that they keep."""
    log = bench.topic(partitions=6)
    bench.plain_table()
    settings = config(bench, log, "cooperative-sticky")
    daemons = [bench.start(settings) for _ in range(DAEMONS)]
    with Trickle(log, 60):
        wait_shared(bench, log, daemons)
        for n in range(DAEMONS):
            epochs, former = bench.owners(log), owners(bench, log)
            daemons[n].terminate()
            daemons[n] = bench.start(settings)
            now = wait_shared(bench, log, daemons)
            moves_on(bench, log)
            after = bench.owners(log)
            kept = {p for p in now if now[p] == former[p] and after[p] == epochs[p]}
            assert kept, (former, now, epochs, after)
    bench.wait_stored(log)
    bench.check(log)
