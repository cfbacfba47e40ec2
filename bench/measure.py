"""What every measurement in bench/ shares: how the servers are set up, and the accounting.

CPU time is each process's own accounting: of a child as the kernel tells its parent; of PostgreSQL as it tells the
postmaster about backends that have ended (and, apart from them, about what still runs).
"""

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from kit import daemon, kafka, postgres, process

# The kit's servers are made for quick tests; here they are set up as for work.
SERVER = {
    "fsync": "on",
    "full_page_writes": "on",
    "synchronous_commit": "on",
    "shared_buffers": "1GB",
    "max_wal_size": "16GB",  # no checkpoint but our own, before each measurement
    "wal_level": "replica",
    "autovacuum": "off",
    "track_io_timing": "off",
}
JAVA = ["-Xms512m", "-Xmx512m", "-XX:+UseParallelGC"]

POLL_SECONDS = 0.02
TICKS = os.sysconf("SC_CLK_TCK")


def say(text):
    print(text, file=sys.stderr, flush=True)


# ---- accounting ----


def cpu_of(pid):
    """CPU seconds of a process that runs."""
    return process.cpu_ticks(pid) / TICKS


def cpu_of_ended_children(pid):
    fields = process.stat(pid)
    return (int(fields[13]) + int(fields[14])) / TICKS


def cpu_of_children(pid, names):
    """CPU seconds of the running children whose title begins with one of the names."""
    total = 0.0
    for child in process.children(pid):
        with contextlib.suppress(OSError):
            title = Path(f"/proc/{child}/cmdline").read_text().removeprefix("postgres: ")
            if title.startswith(names):
                total += cpu_of(child)
    return total


def peak_rss(pid):
    """The kernel's high-water mark, or 0 when the process is gone."""
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    return 0


class Run:
    """One process from start to end: seconds, CPU, peak memory; `watch` is called all along."""

    def __init__(self, argv, log, watch=None):
        self.rss = 0
        self.began = time.monotonic()
        with open(log, "wb") as err:
            popen = subprocess.Popen(
                [str(a) for a in argv],
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=err, env=daemon.environment(),
            )  # fmt: skip
        while True:
            if watch:
                watch()
            self.rss = max(self.rss, peak_rss(popen.pid))
            pid, status, usage = os.wait4(popen.pid, os.WNOHANG)
            if pid:
                break
            time.sleep(POLL_SECONDS)
        self.seconds = time.monotonic() - self.began
        popen.returncode = os.waitstatus_to_exitcode(status)
        self.cpu = usage.ru_utime + usage.ru_stime
        if popen.returncode != 0:
            raise SystemExit(f"{argv[0]} ended with {popen.returncode}:\n{Path(log).read_text()[-4000:]}")


# ---- threads that wait ----


def threads(pid):
    """{thread id: (name, nanoseconds on a CPU, voluntary context switches)}"""
    found = {}
    for task in Path(f"/proc/{pid}/task").iterdir():
        with contextlib.suppress(OSError):
            name = (task / "comm").read_text().strip()
            on_cpu = int((task / "schedstat").read_text().split()[0])
            status = (task / "status").read_text()
            switches = int(status.split("\nvoluntary_ctxt_switches:")[1].split()[0])
            found[int(task.name)] = (name, on_cpu, switches)
    return found


def watch_threads(pid, seconds):
    """What a process does in so many seconds: CPU in %, wake-ups per second, and the same of each thread."""
    before = threads(pid)
    began = time.monotonic()
    time.sleep(seconds)
    after = threads(pid)
    took = time.monotonic() - began
    each = []
    for thread, (name, on_cpu, switches) in after.items():
        _, on_cpu_before, switches_before = before.get(thread, (name, 0, 0))
        each.append(
            {
                "name": name,
                "cpu_percent": (on_cpu - on_cpu_before) / 1e7 / took,
                "wakeups_per_second": (switches - switches_before) / took,
            }
        )
    each.sort(key=lambda t: -t["wakeups_per_second"])
    return {
        "cpu_percent": sum(t["cpu_percent"] for t in each),
        "wakeups_per_second": sum(t["wakeups_per_second"] for t in each),
        "threads": each,
    }


# ---- a Kafka and a PostgreSQL ----


class Servers:
    """Both, set up as for work, in a directory of their own. Use it as a context manager."""

    def __init__(self, keep=False, kafka_properties=(), **settings):
        self.keep = keep
        self.root = Path(tempfile.mkdtemp(prefix="pgsinkd-bench-"))
        self.root.chmod(0o755)
        self.postgres = postgres.Postgres(self.root, **(SERVER | settings))
        kafka.JAVA[:] = JAVA
        self.kafka = kafka.Broker(self.root)
        with self.kafka.properties.open("a") as f:
            f.writelines(f"{line}\n" for line in kafka_properties)

    def __enter__(self):
        try:
            self.postgres.initdb().start()
            self.db = self.postgres.connect()
            self.kafka.format().start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        if self.keep:
            self.kafka.stop()
            self.postgres.stop()
            say(f"files of the run: {self.root}")
        else:
            self.kafka.destroy()
            self.postgres.destroy()
            shutil.rmtree(self.root, ignore_errors=True)

    def stored(self, sink):
        """Records that are visible: the sum of the offsets, since each partition begins at 0 and has no holes."""
        if not self.db.execute("SELECT to_regclass('pgsinkd.offsets') IS NOT NULL").fetchone()[0]:
            return 0
        return int(
            self.db.execute(
                "SELECT coalesce(sum(next_offset), 0) FROM pgsinkd.offsets WHERE sink = %s", [sink]
            ).fetchone()[0]
        )

    def config(self, sink, topics, table="events", properties=None, **top):
        """A configuration with everything at its default, over PostgreSQL's Unix socket."""
        return {
            "sink": sink,
            "kafka": {"brokers": self.kafka.bootstrap} | ({"properties": properties} if properties else {}),
            "postgres": {"dsn": self.postgres.dsn("postgres", host=self.postgres.host)},
            "routes": [{"topics": topics, "table": table}],
        } | top
