"""kill -9 at any moment."""

import random

import pytest

from kit import wait
from kit.bench import QUICK


def seed():
    """Another one each time; printed, so that a failure can be repeated: put the number here."""
    number = random.randrange(1 << 32)
    print(f"seed {number}")
    return random.Random(number)


def kill_while_draining(bench, log, config, times, dice, longest):
    for _ in range(times):
        d = bench.start(config, ready=False)
        moment = dice.uniform(0.0, longest)
        # No wait for a condition here: the random moment is the point.
        wait.stays(lambda d=d: d.running, "the daemon to run until it is killed", moment, interval=0.01)
        d.kill()


@pytest.mark.sanitize
def test_kill_9_at_20_random_moments(bench):
    """With a static member id, so that the next one may start at once."""
    dice = seed()
    log = bench.topic(partitions=16)
    bench.plain_table()
    log.fill(200_000)
    config = bench.config(
        log, properties={"group.instance.id": "one"}, batch={"max_rows": 2000}
    )
    kill_while_draining(bench, log, config, 20, dice, 0.9)
    bench.drain(config)
    bench.check(log)


def test_kill_9_without_a_static_member_id(bench):
    dice = seed()
    log = bench.topic(partitions=8)
    bench.plain_table()
    log.fill(100_000)
    config = bench.config(log, properties={"session.timeout.ms": 1000, "heartbeat.interval.ms": 200},
                          batch={"max_rows": 2000})  # fmt: skip
    kill_while_draining(bench, log, config, 5, dice, 2.5)
    bench.drain(config)
    bench.check(log)


@pytest.mark.quick
@pytest.mark.system
def test_kill_9_while_records_come_in(bench):
    dice = seed()
    log = bench.topic(partitions=4)
    bench.plain_table()
    config = bench.config(log, properties={"group.instance.id": "one"})
    for _ in range(8):
        d = bench.start(config)
        for _ in range(dice.randrange(1, 6)):
            log.fill(dice.randrange(1, 3000))
        d.kill()
    bench.drain(config)
    bench.check(log)


def test_the_first_row_after_kill_9_comes_soon(bench):
    """With a static member id nobody waits for the session of the dead process to end."""
    log = bench.topic()
    bench.plain_table()
    config = bench.config(
        log, properties=QUICK | {"group.instance.id": "one", "session.timeout.ms": 45000}
    )
    d = bench.start(config)
    log.fill(10)
    bench.wait_stored(log)
    d.kill()
    log.fill(10)
    bench.start(config, ready=False)
    bench.wait_stored(log, timeout=5)
    bench.check(log)
