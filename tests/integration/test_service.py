"""As a service: readiness, status, watchdog, stopping in time."""

import os
import re
import signal
import stat
import time

import pytest

from kit import process, wait
from kit.web import Web


def busy(bench, partitions=4, records=60_000, **changes):
    """A daemon in the middle of a drain."""
    log = bench.topic(partitions=partitions)
    bench.plain_table()
    log.fill(records)
    d = bench.start(bench.config(log, batch={"max_rows": 500}, **changes))
    bench.wait_rows(1)
    return log, d


@pytest.mark.system
def test_ready_comes_after_the_first_claim(bench):
    log = bench.topic(partitions=2)
    bench.plain_table()
    log.fill(200)
    d = bench.start(bench.config(log))
    assert bench.next_offsets(log)
    assert d.notify.values("READY") == ["1"]
    bench.wait_stored(log)
    bench.check(log)
    assert "1" in d.notify.values("STOPPING")


def test_ready_without_partitions(bench):
    log = bench.topic(partitions=1)
    bench.plain_table()
    config = bench.config(log)
    bench.start(config)
    bench.start(config)  # waits until it is ready
    bench.check(log)


def test_ready_comes_only_once(bench):
    log = bench.topic(partitions=4)
    bench.plain_table()
    config = bench.config(log)
    d = bench.start(config)
    bench.start(config).terminate()
    log.fill(100)
    bench.wait_stored(log)
    assert d.notify.values("READY") == ["1"]
    bench.check(log)


def test_signals_of_a_log_rotation_are_ignored(bench):
    log, d = busy(bench)
    d.popen.send_signal(signal.SIGUSR1)
    d.popen.send_signal(signal.SIGUSR2)
    bench.wait_stored(log)
    assert d.running
    bench.check(log)


def test_status_says_rate_and_lag(bench):
    log, d = busy(bench)
    bench.wait_stored(log)
    wait.until(lambda: d.notify.values("STATUS"), "a status")
    wait.until(lambda: "lag 0" in d.notify.values("STATUS")[-1].lower() or "lag: 0" in d.notify.values("STATUS")[-1],
               "the status to say that there is no lag", timeout=15)  # fmt: skip
    bench.check(log)


def test_status_says_why_postgresql_is_away(bench):
    """While it waits at its start, when the connection is lost, and no longer than that."""
    log = bench.topic()
    bench.plain_table()
    port = process.free_port()
    config = bench.config(log, http={"listen": f"127.0.0.1:{port}"})
    bench.postgres.stop("immediate")
    d = bench.start(config, ready=False)
    wait.until(lambda: any("waiting for postgresql: " in s for s in d.notify.values("STATUS")), "the reason at the start")
    bench.postgres.start()
    d.wait_ready()
    log.fill(10)
    bench.wait_stored(log)
    bench.postgres.stop("immediate")
    lost = re.compile("connection to postgresql lost: .*; 1 partitions")
    wait.until(lambda: lost.match(d.notify.values("STATUS")[-1]), "the reason")
    assert "no connection to PostgreSQL: connection to postgresql lost: " in Web(port).get("/readyz").text
    bench.postgres.start()
    wait.until(lambda: d.notify.values("STATUS")[-1].startswith("1 partitions"), "the reason to go")
    log.fill(10)
    bench.wait_stored(log)
    bench.check(log)


@pytest.mark.sanitize
@pytest.mark.parametrize("signal_number", [signal.SIGTERM, signal.SIGINT])
def test_stop_while_idle(bench, signal_number):
    log = bench.topic()
    bench.plain_table()
    d = bench.start(bench.config(log))
    log.fill(10)
    bench.wait_stored(log)
    d.terminate(signal_number=signal_number)
    bench.check(log)


@pytest.mark.quick
@pytest.mark.sanitize
def test_stop_while_busy(bench):
    log, d = busy(bench)
    d.terminate()
    assert bench.rows() < 60_000
    bench.drain(bench.config(log))
    bench.check(log)


def test_stop_before_it_is_ready(bench):
    """Neither server answers: it must still obey."""
    bench.plain_table()
    dsn = "host=127.0.0.1 port=1 dbname=x"
    d = bench.start(bench.config(topics=["x"], kafka={"brokers": "127.0.0.1:1"}, postgres={"dsn": dsn}), ready=False)
    wait.stays(lambda: d.running, "running", 1)
    d.terminate()


def test_stop_while_it_waits_for_the_schema(bench):
    """Another session holds the lock under which the schema is made; the daemon waits for it, and stops in time."""
    log = bench.topic(partitions=1)
    bench.plain_table()
    log.fill(10)
    with bench.db.transaction():
        bench.sql("SELECT pg_advisory_xact_lock(hashtextextended('pgsinkd ' || 'pgsinkd', 0))")
        d = bench.start(bench.config(log, postgres={"lock_timeout": "50s"}), ready=False)
        wait.until(
            lambda: bench.value("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"),
            "the daemon to wait for the lock",
        )
        d.terminate()
    bench.drain(bench.config(log))
    bench.check(log)


def test_stop_while_kafka_never_answered(bench):
    bench.plain_table()
    d = bench.start(bench.config(topics=["x"], kafka={"brokers": "127.0.0.1:1"}), ready=False)
    wait.stays(lambda: d.running, "running", 1)
    d.terminate()


@pytest.mark.sanitize
def test_stop_while_postgresql_stands_still(bench):
    log, d = busy(bench)
    with bench.postgres.frozen():
        wait.stays(lambda: d.running, "running", 0.5)
        d.terminate()
    bench.drain(bench.config(log, postgres={"lock_timeout": "500ms"}))
    bench.check(log)


def test_stop_while_postgresql_is_gone(bench):
    log, d = busy(bench)
    bench.postgres.stop("immediate")
    try:
        wait.stays(lambda: d.running, "running", 0.5)
        d.terminate()
    finally:
        bench.postgres.start()
    bench.drain(bench.config(log))
    bench.check(log)


@pytest.mark.sanitize
def test_stop_while_kafka_stands_still(bench):
    log = bench.topic(partitions=4)
    bench.plain_table()
    log.fill(4000)
    d = bench.start(bench.config(log))
    bench.wait_stored(log)
    bench.kafka.freeze()
    try:
        wait.stays(lambda: d.running, "running", 0.5)
        d.terminate()
    finally:
        bench.kafka.thaw()
    log.fill(1000)
    bench.drain(bench.config(log))
    bench.check(log)


def test_stop_while_both_stand_still(bench):
    log, d = busy(bench)
    bench.kafka.freeze()
    try:
        with bench.postgres.frozen():
            wait.stays(lambda: d.running, "running", 0.5)
            d.terminate()
    finally:
        bench.kafka.thaw()
    bench.drain(bench.config(log, postgres={"lock_timeout": "500ms"}))
    bench.check(log)


def test_stop_while_it_waits_for_a_lock(bench):
    log = bench.topic()
    bench.plain_table()
    d = bench.start(bench.config(log))
    with bench.postgres.connect(bench.database) as operator, operator.transaction():
        operator.execute("LOCK TABLE events IN ACCESS EXCLUSIVE MODE")
        log.fill(100)
        wait.stays(lambda: d.running, "running", 0.5)
        d.terminate()
    bench.drain(bench.config(log))
    bench.check(log)


@pytest.mark.sanitize
def test_stop_while_a_revocation_comes_in(bench):
    """One worker is still writing, the other has ended, and the group takes partitions away."""
    log = bench.topic(partitions=2)
    bench.plain_table()
    log.fill(100)
    config = bench.config(log)
    d = bench.start(config)
    bench.wait_stored(log)
    other = bench.postgres.connect(bench.database)
    other.autocommit = False
    other.execute("LOCK TABLE events IN ACCESS EXCLUSIVE MODE")
    log.send(b'{"id": 1, "note": "x", "amount": 1}', partition=0)
    wait.until(lambda: bench.value("SELECT count(*) FROM pg_locks WHERE NOT granted"), "a worker to wait for the table")
    heir = bench.start(config, ready=False)
    d.terminate()
    other.rollback()
    other.close()
    bench.wait_stored(log, timeout=60)
    assert heir.running
    bench.check(log)


def test_the_group_is_left_when_it_stops(bench):
    """So that the others take over at once, not after the session's time."""
    log = bench.topic(partitions=2)
    bench.plain_table()
    d = bench.start(bench.config(log))
    group = f"pgsinkd-{bench.sink}"
    wait.until(lambda: bench.kafka.group(group)[0] == "Stable", "the group")
    d.terminate()
    wait.until(lambda: not bench.kafka.group(group)[1], "the group to be empty", timeout=2)
    bench.check(log)


# The watchdog


def fed(d, seconds, at_least):
    """WATCHDOG=1 comes at least so often in the next seconds."""
    begun = time.monotonic()
    wait.stays(lambda: d.running, "running", seconds)
    times = len(d.notify.values("WATCHDOG", since=begun))
    assert times >= at_least, f"{times} in {seconds} s"


@pytest.mark.sanitize
@pytest.mark.system
def test_the_watchdog_is_fed_when_idle(bench):
    log = bench.topic()
    bench.plain_table()
    d = bench.start(bench.config(log), watchdog=2)
    fed(d, 4, 2)
    bench.check(log)


def test_the_watchdog_is_fed_when_busy(bench):
    log = bench.topic(partitions=4)
    bench.plain_table()
    d = bench.start(bench.config(log), watchdog=2)
    begun = time.monotonic()
    for _ in range(10):
        log.fill(10_000)
        bench.wait_stored(log)
    took = time.monotonic() - begun
    assert len(d.notify.values("WATCHDOG", since=begun)) >= int(took / 2)
    bench.check(log)


def test_the_watchdog_is_fed_while_postgresql_is_away(bench):
    """An outage is no hang: a restart would not help."""
    log, d = busy(bench, postgres={"timeout": "2s"})
    d.terminate()
    d = bench.start(bench.config(log, postgres={"timeout": "2s"}), watchdog=2)
    with bench.postgres.frozen():
        fed(d, 5, 2)
    bench.postgres.stop("immediate")
    try:
        fed(d, 4, 2)
    finally:
        bench.postgres.start()
    bench.wait_stored(log)
    bench.check(log)


def test_the_watchdog_is_fed_while_kafka_is_away(bench):
    log = bench.topic()
    bench.plain_table()
    d = bench.start(bench.config(log), watchdog=2)
    log.fill(10)
    bench.wait_stored(log)
    bench.kafka.freeze()
    try:
        fed(d, 4, 2)
    finally:
        bench.kafka.thaw()
    log.fill(10)
    bench.wait_stored(log)
    bench.check(log)


def test_a_watchdog_for_another_process_is_not_fed(bench):
    log = bench.topic()
    bench.plain_table()
    d = bench.start(bench.config(log), watchdog=1, env={"WATCHDOG_PID": "1"})
    wait.stays(lambda: not d.notify.values("WATCHDOG"), "no feeding", 1.5)
    bench.check(log)


# The log


def test_lines_for_the_journal_carry_a_level_and_no_time(bench, tmp_path):
    """stderr is the journal when JOURNAL_STREAM names its device and inode."""
    log = bench.topic()
    bench.plain_table()
    log.fill(10)
    # The kit opens the log file by truncating it, so the file can be there before the process starts.
    path = bench.root / "daemon1.log"
    path.touch()
    entry = path.stat()
    assert stat.S_ISREG(entry.st_mode)
    d = bench.start(bench.config(log), env={"JOURNAL_STREAM": f"{entry.st_dev}:{entry.st_ino}"})
    bench.wait_stored(log)
    d.terminate()
    lines = d.log().splitlines()
    assert lines
    for line in lines:
        assert line[0] == "<" and line[1].isdigit() and line[2] == ">", line
        assert "Z info" not in line
    bench.check(log)


def test_human_lines_have_time_level_and_thread(bench):
    log = bench.topic()
    bench.plain_table()
    log.fill(10)
    d = bench.start(bench.config(log))
    bench.wait_stored(log)
    d.terminate()
    lines = [line for line in d.log().splitlines() if not line.startswith("HINT: ")]
    assert lines and len(lines) == len(d.lines()), d.log()
    bench.check(log)


@pytest.mark.parametrize("level", ["error", "debug"])
def test_the_log_level_is_a_setting(bench, level):
    log = bench.topic()
    bench.plain_table()
    log.fill(10)
    d = bench.start(bench.config(log, log={"level": level}))
    bench.wait_stored(log)
    d.terminate()
    assert bool(d.lines("info")) == (level == "debug")
    bench.check(log)


def test_backends_say_who_they_are(bench):
    log = bench.topic(partitions=2)
    bench.plain_table()
    bench.start(bench.config(log))
    log.fill(1000)
    bench.wait_stored(log)
    names = {name for _, name, _, _ in bench.postgres.backends(f"pgsinkd {bench.sink} worker %")}
    assert names <= {f"pgsinkd {bench.sink} worker {n}" for n in range(3)} and names, names
    bench.check(log)


def test_the_memory_bound_is_printed_at_start(bench):
    log = bench.topic()
    bench.plain_table()
    d = bench.start(bench.config(log))
    d.wait_log(r"(?i)memory.*\d+\s*([kMG]i?B|bytes)")
    bench.check(log)


def test_no_descriptor_is_left_open_by_reconnects(bench):
    log = bench.topic(partitions=2)
    bench.plain_table()
    d = bench.start(bench.config(log))
    log.fill(100)
    bench.wait_stored(log)

    def descriptors():
        return len(os.listdir(f"/proc/{d.pid}/fd"))

    before = descriptors()
    for _ in range(20):
        bench.postgres.terminate_backends()
        log.fill(10)
        bench.wait_stored(log)
    wait.until(lambda: descriptors() <= before + 2, "no more descriptors than before")
    bench.check(log)
