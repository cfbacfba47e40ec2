"""Size: many records, many partitions, bounded memory."""

import itertools

from kit import process, wait
from kit.records import padded


def test_16_partitions_and_200_000_records(bench):
    log = bench.topic(partitions=16)
    bench.plain_table()
    log.fill(200_000)
    bench.drain(bench.config(log))
    bench.check(log)


def test_records_come_in_while_it_drains(bench):
    log = bench.topic(partitions=4)
    bench.plain_table()
    bench.start(bench.config(log))
    for _ in range(20):
        log.fill(2000)
    bench.wait_stored(log)
    bench.check(log)


def test_memory_stays_bounded_while_postgresql_is_away(bench):
    """A topic far bigger than the bound, and a server that takes nothing for a while."""
    log = bench.topic(partitions=8)
    bench.plain_table()
    log.fill(1000)
    d = bench.start(bench.config(log))
    bench.wait_stored(log)
    peak = 0
    with bench.postgres.frozen():
        for _ in range(8):
            log.fill(50_000, padded(1000))  # 50 MB each
            peak = max(peak, process.rss_bytes(d.pid))
    bench.wait_stored(log, timeout=90)
    peak = max(peak, process.rss_bytes(d.pid))
    print(f"peak {peak >> 20} MiB")
    assert peak < 300 << 20
    bench.check(log)


def test_memory_is_flat_while_postgresql_comes_and_goes(bench):
    log = bench.topic(partitions=2)
    bench.plain_table()
    d = bench.start(bench.config(log))
    sizes = []
    for _ in range(12):
        log.fill(3000)
        bench.wait_stored(log)
        bench.postgres.terminate_backends()
        sizes.append(process.rss_bytes(d.pid) >> 20)
    log.fill(100)
    bench.wait_stored(log)
    print(f"MiB: {sizes}")
    assert sizes[-1] < sizes[3] + 20
    bench.check(log)


def test_tiny_queues_never_sleep(bench):
    """
    librdkafka before 2.2 sleeps a second over a full queue. Here a fetch brings each of two workers a batch of 500
    records, far above the limit, which take it some transactions: 100 fetches would last more than a minute.
    """
    log = bench.topic(partitions=2)
    bench.plain_table()
    for _ in range(100):
        log.fill(1000)
    limits = {"queued.min.messages": 100, "fetch.message.max.bytes": 1000}
    bench.drain(bench.config(log, properties=limits, batch={"max_rows": 100}), timeout=40)
    bench.check(log)


def test_hundreds_of_partitions(bench):
    log = bench.topic(partitions=300)
    bench.plain_table()
    log.fill(3000)
    bench.drain(bench.config(log))
    bench.check(log)


def test_it_sleeps_when_there_is_nothing_to_do(bench):
    """Idle means idle: no busy loop in any thread."""
    log = bench.topic(partitions=2)
    bench.plain_table()
    log.fill(10)
    d = bench.start(bench.config(log))
    bench.wait_stored(log)

    before = process.cpu_ticks(d.pid)
    clock = itertools.count()
    wait.stays(lambda: d.running and next(clock) >= 0, "running", 3)
    assert process.cpu_ticks(d.pid) - before < 30 * wait.FACTOR
    bench.check(log)
