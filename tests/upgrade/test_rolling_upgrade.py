"""Daemons of an older version store on while those of this one join them and replace them one by one.

tools/test upgrade builds the older program, and says where it is in PGSINKD_OLD.
"""

import os
import threading
from pathlib import Path

import pytest

from kit import wait

OLD = Path(os.environ["PGSINKD_OLD"])


class Load:
    """Records that come in all the time, until the end of the block."""

    def __init__(self, log):
        self.log = log
        self.ends = threading.Event()
        self.thread = threading.Thread(target=self.run)

    def run(self):
        while not self.ends.wait(0.02):
            self.log.fill(len(self.log.partitions) * 5)

    def __enter__(self):
        self.thread.start()

    def __exit__(self, *_):
        self.ends.set()
        self.thread.join()


def steps(bench):
    return bench.value("SELECT max(version) FROM pgsinkd.schema_version")


def positions(bench, d):
    """next_offset of each partition that the daemon owns."""
    return dict(
        bench.sql("SELECT partition, next_offset FROM pgsinkd.offsets WHERE owner LIKE %s", f"%:{d.pid}:%")
    )


def wait_moves(bench, d, what):
    """One of its partitions moves while it is the daemon's; it may lose others meanwhile."""
    before = {}

    def moves():
        nonlocal before
        now = positions(bench, d)
        moved = any(offset > before.get(partition, offset) for partition, offset in now.items())
        before = {partition: before.get(partition, offset) for partition, offset in now.items()}
        return moved

    wait.until(moves, f"{what} to own partitions and to store", timeout=60)


@pytest.mark.timeout(600)
@pytest.mark.parametrize("end", ["terminate", "kill"])
def test_one_daemon_after_the_other_under_load(bench, end):
    log = bench.topic(partitions=6)
    bench.plain_table()
    config = bench.config(log)
    olds = [bench.start(config, program=OLD) for _ in range(2)]
    log.fill(3000)
    bench.wait_stored(log)
    before = steps(bench)
    with Load(log):
        first = bench.start(config)
        assert steps(bench) > before, "this version has applied its steps"
        wait_moves(bench, first, "the new daemon")
        for d in olds:
            assert d.running
            wait_moves(bench, d, "an old daemon, after the steps,")
        for d in olds:
            getattr(d, end)()
            wait_moves(bench, bench.start(config), "another new daemon")
        wait_moves(bench, first, "the first new daemon")
    bench.wait_stored(log)
    bench.check(log)
