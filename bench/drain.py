"""The measurements of bench/drain, which installs and builds what this needs, and says what the options are."""

import argparse
import json
import os
import re
import shlex
import shutil
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

from kit import daemon, kafka, postgres

from measure import JAVA, POLL_SECONDS, SERVER, Run, cpu_of, cpu_of_children, cpu_of_ended_children, say

TOPIC = "events"
PARTITIONS = 16
TABLE = "id bigint, ts timestamptz, user_id int, amount float8, kind text, note text"
COLUMNS = "id, ts, user_id, amount, kind, note"


# ---- the four ----


class Drain:
    def __init__(self, options, root):
        self.options = options
        self.root = root
        self.runs = 0
        self.postgres = postgres.Postgres(root, **SERVER)
        kafka.JAVA[:] = JAVA
        self.kafka = kafka.Broker(root)

    def start(self):
        self.postgres.initdb().start()
        self.db = self.postgres.connect()
        self.kafka.format().start()
        self.kafka.create_topic(TOPIC, PARTITIONS)

    def stop(self):
        self.kafka.destroy()
        if self.options.keep:
            self.postgres.stop()
        else:
            self.postgres.destroy()

    def produce(self):
        began = time.monotonic()
        n = self.options.records
        subprocess.run([self.options.producer, self.kafka.bootstrap, TOPIC, str(n)], check=True)
        seconds = time.monotonic() - began
        assert sum(self.kafka.ends(TOPIC).values()) == n
        say(f"produced {n} records in {seconds:.1f} s")

    # What each measurement begins and ends with

    def fresh_table(self):
        self.db.execute("DROP TABLE IF EXISTS events")
        self.db.execute(f"CREATE TABLE events ({TABLE})")
        self.db.execute("CHECKPOINT")
        self.runs += 1

    def check_rows(self):
        n = self.options.records
        count, ids, total = self.db.execute("SELECT count(*), count(DISTINCT id), sum(id) FROM events").fetchone()
        assert (count, ids, total) == (n, n, n * (n + 1) // 2), f"wrong rows: {(count, ids, total)}"

    def server_cpu(self):
        """(of ended backends, of the processes that serve them all, of Kafka)"""
        pid = self.postgres.popen.pid
        return (
            cpu_of_ended_children(pid),
            cpu_of_children(pid, ("walwriter", "background writer", "checkpointer")),
            cpu_of(self.kafka.popen.pid),
        )

    def measure(self, argv, watch=None):
        """Runs it; the figures that all have. PostgreSQL has reaped the backends when nobody is there."""
        millions = self.options.records / 1e6
        before = self.server_cpu()
        run = Run(argv, self.root / f"log{self.runs}", watch)
        deadline = time.monotonic() + 10
        while self.clients() > 0 and time.monotonic() < deadline:
            time.sleep(POLL_SECONDS)
        after = self.server_cpu()
        backends, helpers, broker = ((b - a) / millions for a, b in zip(before, after, strict=True))
        return {
            "seconds": run.seconds,
            "rows_per_second": self.options.records / run.seconds,
            "cpu": run.cpu / millions,
            "cpu_backends": backends,
            "cpu_postgres_helpers": helpers,
            "cpu_kafka": broker,
            "peak_rss": run.rss,
        }

    def clients(self):
        """Backends but our own."""
        return self.db.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
        ).fetchone()[0]

    def psql(self, statement):
        server = ["-h", self.postgres.host, "-p", self.postgres.port, "-U", postgres.SUPERUSER, "-d", "postgres"]
        return [postgres.bindir() / "psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", *server, "-c", statement]

    # pgsinkd

    def config(self, sink):
        return {
            "sink": sink,
            "kafka": {"brokers": self.kafka.bootstrap},
            "postgres": {"dsn": self.postgres.dsn("postgres", host=self.postgres.host)},
            "workers": self.options.workers,
            "routes": [{"topics": [TOPIC], "table": "events"}],
        }

    def stored(self, sink):
        """Rows that are visible: the sum of the offsets, since each partition begins at 0 and has no holes."""
        if not self.db.execute("SELECT to_regclass('pgsinkd.offsets') IS NOT NULL").fetchone()[0]:
            return 0
        return int(
            self.db.execute(
                "SELECT coalesce(sum(next_offset), 0) FROM pgsinkd.offsets WHERE sink = %s", [sink]
            ).fetchone()[0]
        )

    def pgsinkd(self):
        self.fresh_table()
        sink = f"drain{self.runs}"
        config = self.root / f"{sink}.yaml"
        config.write_text(daemon.yaml(self.config(sink)) + "\n")
        seen = []  # (moment, rows): the first sight of rows, and the last change

        def watch():
            rows = self.stored(sink)
            if rows > 0 and (not seen or rows != seen[-1][1]):
                seen[1:] = [(time.monotonic(), rows)]

        wrap = shlex.split(self.options.wrap)
        began = time.monotonic()
        got = self.measure([*wrap, self.options.binary, "run", "-c", config, "--until-end"], watch)
        self.check_rows()
        log = (self.root / f"log{self.runs}").read_text()
        end = re.search(r"stored (\d+) records as (\d+) rows in (\d+) transactions", log)
        transactions = int(end[3])
        (first, first_rows), (last, last_rows) = seen[0], seen[-1]
        got["first_row"] = first - began
        got["steady_rows_per_second"] = (last_rows - first_rows) / (last - first) if last > first else 0.0
        got["transactions"] = transactions
        got["rows_per_transaction"] = self.options.records / transactions
        self.db.execute("DELETE FROM pgsinkd.offsets WHERE sink = %s", [sink])
        return got

    # The references

    def export(self):
        """The rows of the table as files, for both \\copy."""
        for name, with_ in (("binary", "(FORMAT binary)"), ("text", "")):
            path = self.root / f"rows.{name}"
            subprocess.run(list(map(str, self.psql(f"\\copy events TO '{path}' {with_}"))), check=True)

    def copy(self, name, with_):
        self.fresh_table()
        got = self.measure(self.psql(f"\\copy events ({COLUMNS}) FROM '{self.root / f'rows.{name}'}' {with_}"))
        self.check_rows()
        return got

    def kcat(self):
        self.runs += 1
        return self.measure(["kcat", "-C", "-q", "-b", self.kafka.bootstrap, "-t", TOPIC, "-o", "beginning", "-e"])

    def round(self):
        return {
            "pgsinkd": self.pgsinkd(),
            "copy_binary": self.copy("binary", "(FORMAT binary)"),
            "copy_text": self.copy("text", ""),
            "kcat": self.kcat(),
        }


# ---- what it prints ----

NAMES = {
    "pgsinkd": "pgsinkd, first to last row",
    "pgsinkd_whole": "pgsinkd, start to exit",
    "copy_binary": "\\copy binary",
    "copy_text": "\\copy text",
    "kcat": "kcat to /dev/null",
}


def rates(rounds, name):
    if name == "pgsinkd":
        return [r["pgsinkd"]["steady_rows_per_second"] for r in rounds]
    return [r[name.removesuffix("_whole")]["rows_per_second"] for r in rounds]


def median(rounds, name, figure):
    return statistics.median(r[name][figure] for r in rounds)


def summary(rounds):
    medians = {name: statistics.median(rates(rounds, name)) for name in NAMES}
    copy = medians["copy_binary"]
    return {
        "rows_per_second": medians,
        "ratio_to_copy_binary": {name: value / copy for name, value in medians.items()},
    }


def print_table(rounds):
    found = summary(rounds)
    head = "".join(f"{f'round {i + 1}':>11}" for i in range(len(rounds)))
    print(f"\n{'rows/s':<28}{head}{'median':>11}{'ratio':>8}")
    for name, title in NAMES.items():
        values = "".join(f"{value:>11,.0f}" for value in rates(rounds, name))
        print(f"{title:<28}{values}{found['rows_per_second'][name]:>11,.0f}{found['ratio_to_copy_binary'][name]:>8.2f}")
    heads = "".join(f"{head:>11}" for head in ("itself", "backends", "wal etc.", "kafka", "peak MB"))
    print(f"\n{'CPU s per million, medians':<28}{heads}")
    for name in ("pgsinkd", "copy_binary", "copy_text", "kcat"):
        cells = [median(rounds, name, f) for f in ("cpu", "cpu_backends", "cpu_postgres_helpers", "cpu_kafka")]
        rss = median(rounds, name, "peak_rss") / 1e6
        title = "pgsinkd" if name == "pgsinkd" else NAMES[name]
        print(f"{title:<28}" + "".join(f"{c:>11.2f}" for c in cells) + f"{rss:>11.0f}")
    transactions = "  ".join(str(r["pgsinkd"]["transactions"]) for r in rounds)
    sizes = "  ".join(f"{r['pgsinkd']['rows_per_transaction']:.0f}" for r in rounds)
    first = "  ".join(f"{r['pgsinkd']['first_row']:.2f}" for r in rounds)
    print(f"\npgsinkd: transactions {transactions}; rows in each {sizes}; first row after {first} s")


def versions(drain):
    def first_line(*argv):
        return subprocess.run(list(map(str, argv)), capture_output=True, text=True).stdout.split("\n")[0]

    return {
        "pgsinkd": first_line(drain.options.binary, "version"),
        "postgresql": first_line(postgres.bindir() / "postgres", "--version"),
        "kafka": kafka.VERSION,
        "cpus": os.cpu_count(),
    }


def main():
    parser = argparse.ArgumentParser(prog="bench/drain")
    parser.add_argument("--records", type=int, default=2_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--workers", type=int, default=0)
    parser.add_argument("--binary", required=True)
    parser.add_argument("--producer", required=True)
    parser.add_argument("--wrap", default="")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--keep", action="store_true")
    options = parser.parse_args()
    if options.records < 1000 or options.rounds < 1:
        parser.error("at least 1000 records and one round")
    root = Path(tempfile.mkdtemp(prefix="pgsinkd-bench-"))
    root.chmod(0o755)
    drain = Drain(options, root)
    about = versions(drain) | {"records": options.records, "workers": options.workers, "settings": SERVER}
    say("\n".join(f"{key}: {value}" for key, value in about.items()))
    say(f"load before: {' '.join(f'{x:.2f}' for x in os.getloadavg())}")
    try:
        drain.start()
        drain.produce()
        drain.pgsinkd()  # warms up, and makes the rows of the references
        drain.export()
        rounds = []
        for i in range(options.rounds):
            rounds.append(drain.round())
            rate = rounds[-1]["pgsinkd"]["steady_rows_per_second"]
            say(f"round {i + 1} of {options.rounds}: pgsinkd {rate:,.0f} rows/s")
    finally:
        drain.stop()
        if options.keep:
            say(f"files of the run: {root}")
        else:
            shutil.rmtree(root, ignore_errors=True)
    if options.json:
        print(json.dumps({"about": about, "rounds": rounds, "summary": summary(rounds)}, indent=2))
    else:
        print_table(rounds)


if __name__ == "__main__":
    main()
