"""The log is still the same log: topics that are created again, other clusters, what begins when."""

import pytest

from kit import wait


def refill(bench, log, records, note="new"):
    """The topic is deleted and created again, with other records: {partition: [their notes]}."""
    partitions = len(log.records)
    bench.kafka.delete_topic(log.topic)
    bench.kafka.create_topic(log.topic, partitions)
    log.connect()
    batch = [(p, None, b'{"id": %d, "note": "%s"}' % (n, note.encode()), None, log.EPOCH + 500_000 + n)
             for n in range(records) for p in range(partitions)]  # fmt: skip
    if batch:
        log.send_many(batch, keep=False)


def stands_at(bench, log, offset):
    """All of the former log is stored, and nothing of the new one; the ledger has not moved."""
    assert bench.next_offsets(log) == dict.fromkeys(log.records, offset)
    assert bench.value("SELECT count(*) FROM events WHERE note = 'new'") == 0
    assert bench.value("SELECT count(*) FROM pgsinkd.gaps") == 0


@pytest.mark.sanitize
@pytest.mark.parametrize("policy", ["stop", "earliest", "latest"])
@pytest.mark.parametrize("records", [50, 100, 150])
def test_created_again_while_it_was_down(bench, records, policy):
    """Fewer, as many, more records than were stored: nobody knows which log it is, so it always stops."""
    log = bench.topic(partitions=2)
    bench.plain_table()
    log.fill(200)
    config = bench.config(log, kafka={"on_gap": policy})
    d = bench.start(config)
    bench.wait_stored(log)
    d.terminate()
    refill(bench, log, records)
    d = bench.start(config, ready=False).allow(r"another log|above the log")
    wait.until(lambda: len(d.lines("error")) == 2, "an error for each partition")
    wait.stays(lambda: d.running and len(d.lines("error")) == 2, "one error each", 1)
    assert "seek('" in d.log()
    stands_at(bench, log, 100)
    d.terminate()


def test_the_new_log_is_accepted_by_seek(bench):
    log = bench.topic(partitions=2)
    bench.plain_table()
    log.fill(200)
    d = bench.start(bench.config(log))
    bench.wait_stored(log)
    d.terminate()
    refill(bench, log, 150)
    d = bench.start(bench.config(log), ready=False).allow(r"another log")
    wait.until(lambda: len(d.lines("error")) == 2, "an error for each partition")
    bench.sql("SELECT pgsinkd.seek(%s, %s, 1, 0)", bench.sink, log.topic)
    wait.until(lambda: bench.value("SELECT count(*) FROM events WHERE note = 'new'") == 150, "its records")
    assert bench.next_offsets(log) == {0: 100, 1: 150}
    d.terminate()
    d = bench.start(bench.config(log), ready=False).allow(r"another log")
    wait.until(lambda: d.lines("error"), "the error of the other")
    wait.stays(lambda: len(d.lines("error")) == 1, "one error", 1)
    assert bench.rows() == 350
    d.terminate()
