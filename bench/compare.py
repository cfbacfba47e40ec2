"""The measurements of bench/compare, which installs and builds what this needs, and says what the options are.

Both sinks are watched in the same way: 50 times a second PostgreSQL is asked for its current snapshot, which changes
exactly when a transaction that wrote something ends. When it stands still, the rows are counted; when they are all
there, its last change was the moment the last row became visible. So a sink at work is left alone.
"""

import argparse
import json
import os
import re
import signal
import statistics
import subprocess
import time
from pathlib import Path

from kit import connect, daemon, kafka, postgres, process, wait

from measure import POLL_SECONDS, SERVER, Servers, cpu_of, cpu_of_ended_children, peak_rss, say

PARTITIONS = 16
COLUMNS = "id bigint, ts timestamptz, user_id int, amount float8, kind text, note text"

QUIET_SECONDS = 0.3  # without a commit, then the rows are counted
STUCK_SECONDS = 120  # without a commit, then the run has failed; more than the 45 s a group keeps a dead member
SETTLED_SECONDS = 3  # after a kill: so long nothing more may come once no id is missing
STOP_SECONDS = 30

# ---- the workloads ----

# kind is the producer's word for the records, and the name of the topic.
WORKLOADS = {
    "w1": {"title": "W1, insert", "mode": "append", "kind": "events"},
    "w5-uniform": {"title": "W5, upsert, uniform keys", "mode": "upsert", "kind": "uniform"},
    "w5-zipfian": {"title": "W5, upsert, zipfian keys", "mode": "upsert", "kind": "zipfian"},
}


# ---- the sinks ----


NOT_HERE = "not_in_this_version"


class NotInThisVersion(Exception):
    """The mode that the program itself refuses."""


class Pgsinkd:
    title = "pgsinkd"
    ends = (0,)  # exit codes after SIGTERM

    def __init__(self, bench):
        self.bench = bench

    def config(self, name, work):
        return {
            "sink": name,
            "kafka": {"brokers": self.bench.kafka.bootstrap},
            "postgres": {"dsn": self.bench.postgres.dsn("postgres")},
            "workers": self.bench.options.workers,
            "routes": [{"topics": [work["kind"]], "table": "events", "mode": work["mode"]}],
        }

    def argv(self, name, work):
        path = self.bench.root / f"{name}.yaml"
        path.write_text(daemon.yaml(self.config(name, work)) + "\n")
        binary = self.bench.options.binary
        asked = subprocess.run([binary, "config", "-c", path], capture_output=True, text=True, env=daemon.environment())
        if asked.returncode != 0:
            if re.search(rf"'mode': '{work['mode']}' is not supported in this version", asked.stderr):
                raise NotInThisVersion(work["mode"])
            raise SystemExit(f"{binary} config ended with {asked.returncode}:\n{asked.stderr}")
        return [binary, "run", "-c", path]


# The record's fields, for a converter that wants a schema.
FIELDS = [
    {"field": "id", "type": "int64"},
    {"field": "ts", "type": "string", "name": "io.debezium.time.ZonedTimestamp"},
    {"field": "user_id", "type": "int32"},
    {"field": "amount", "type": "double"},
    {"field": "kind", "type": "string"},
    {"field": "note", "type": "string"},
]
BATCH = 5000


class Debezium:
    """Kafka Connect standalone with one connector, in a JVM of its own."""

    ends = (0, 128 + signal.SIGTERM)

    def __init__(self, bench, tasks):
        self.bench = bench
        self.tasks = tasks
        self.title = f"Debezium, {tasks} task{'s' if tasks > 1 else ''}"

    def worker(self, name):
        schema = {"type": "struct", "optional": False, "fields": [{"optional": False} | f for f in FIELDS]}
        return {
            "bootstrap.servers": self.bench.kafka.bootstrap,
            "listeners": f"http://127.0.0.1:{process.free_port()}",
            "key.converter": "org.apache.kafka.connect.storage.StringConverter",
            "value.converter": "org.apache.kafka.connect.json.JsonConverter",
            "value.converter.schemas.enable": "true",
            "value.converter.schema.content": json.dumps(schema),
            "offset.storage.file.filename": self.bench.root / f"{name}.offsets",
            "offset.flush.interval.ms": 10000,
            "plugin.path": connect.plugins("jdbc"),
            "plugin.discovery": "service_load",
        }

    def connector(self, name, work):
        keys = {"primary.key.mode": "none"}
        if work["mode"] == "upsert":
            # A statement may not touch a key twice: without the reduction such a batch fails.
            keys = {"primary.key.mode": "record_value", "primary.key.fields": "id", "use.reduction.buffer": "true"}
        return keys | {
            "name": name,
            "connector.class": "io.debezium.connector.jdbc.JdbcSinkConnector",
            "tasks.max": self.tasks,
            "topics": work["kind"],
            "connection.url": f"jdbc:postgresql://127.0.0.1:{self.bench.postgres.port}/postgres"
            "?reWriteBatchedInserts=true",
            "connection.username": postgres.SUPERUSER,
            "connection.password": "unused",
            "insert.mode": "insert" if work["mode"] == "append" else work["mode"],
            "collection.name.format": "events",
            "schema.evolution": "none",
            "batch.size": BATCH,
            "dialect.postgres.unnest.insert.enabled": "true",
            "consumer.override.max.poll.records": BATCH,
            "consumer.override.max.partition.fetch.bytes": 4 << 20,
            "consumer.override.fetch.max.bytes": 50 << 20,
        }

    def argv(self, name, work):
        parts = {"worker": self.worker(name), "connector": self.connector(name, work)}
        files = [connect.write_properties(self.bench.root / f"{name}.{part}", p) for part, p in parts.items()]
        return connect.argv(files, ["-Xms256m", "-Xmx2g", "-XX:+UseG1GC"])


# ---- one run of one of them ----


class Sight:
    """A moment of a run: how many rows were seen, and what it had cost until then."""

    def __init__(self, at, rows, cpu, backends):
        self.at = at
        self.rows = rows
        self.cpu = cpu
        self.backends = backends


class Bench:
    def __init__(self, options, servers):
        self.options = options
        self.root = servers.root
        self.postgres = servers.postgres
        self.kafka = servers.kafka
        self.db = servers.db
        self.db.execute("SET max_parallel_workers_per_gather = 0")  # its CPU is not to be counted
        self.runs = 0
        self.expected = {}  # workload: the digest of the right table

    # The topic, and what must become of it

    def prepare(self, name):
        work = WORKLOADS[name]
        self.kafka.create_topic(work["kind"], PARTITIONS)
        began = time.monotonic()
        argv = [self.options.producer, "-k", work["kind"], self.kafka.bootstrap, work["kind"]]
        subprocess.run([*argv, str(self.options.records)], check=True)
        say(f"{name}: produced {self.options.records} records in {time.monotonic() - began:.1f} s")
        self.fresh_table(work)
        self.expected[name] = self.reference(work)
        say(f"{name}: {self.expected[name][0]} rows are to be stored")

    def reference(self, work):
        """The digest of the right table, without either sink: kcat, and SQL."""
        topic = work["kind"]
        self.db.execute("CREATE UNLOGGED TABLE log (partition int, at bigint, value json)")
        argv = ["kcat", "-C", "-q", "-b", self.kafka.bootstrap, "-t", topic, "-o", "beginning", "-e"]
        reader = subprocess.Popen([*argv, "-f", r"%p\t%o\t%s\n"], stdout=subprocess.PIPE)
        load = r"COPY log FROM STDIN (FORMAT csv, DELIMITER E'\t', QUOTE E'\x01')"
        with self.db.cursor().copy(load) as copy:
            while data := reader.stdout.read(1 << 20):
                copy.write(data)
        assert reader.wait() == 0
        read = self.value("SELECT count(*) FROM log")
        assert read == sum(self.kafka.ends(topic).values()) == self.options.records, f"read {read} records"
        self.db.execute(
            "CREATE UNLOGGED TABLE rows AS SELECT partition, at, row"
            " FROM log, json_populate_record(NULL::events, value) AS row"
        )
        rows = "SELECT (row).* FROM rows"
        if work["mode"] == "upsert":  # the last of each key, which has an order only within a partition
            apart = "SELECT FROM rows GROUP BY (row).id HAVING min(partition) <> max(partition)"
            assert not self.value(f"SELECT count(*) FROM ({apart}) AS apart"), f"{topic} has keys in several partitions"
            last = "SELECT DISTINCT ON ((row).id) row FROM rows ORDER BY (row).id, at DESC"
            rows = f"SELECT (row).* FROM ({last}) AS last"
        expected = self.digest(f"({rows}) AS events")
        self.db.execute("DROP TABLE log, rows")
        return expected

    def digest(self, table="events"):
        """(rows, distinct ids, sum of the ids, sum of a hash of each row)"""
        hashes = "sum(hashtextextended(events::text, 0))"
        return self.db.execute(f"SELECT count(*), count(DISTINCT id), sum(id), {hashes} FROM {table}").fetchone()

    def value(self, statement):
        return self.db.execute(statement).fetchone()[0]

    # What each run begins with, and what is watched

    def fresh_table(self, work):
        self.db.execute("DROP TABLE IF EXISTS events")
        self.db.execute(f"CREATE TABLE events ({COLUMNS})")
        if work["mode"] == "upsert":
            self.db.execute("ALTER TABLE events ADD PRIMARY KEY (id)")
        self.db.execute("CHECKPOINT")
        self.wait_alone()

    def clients(self):
        """Process ids of all backends but our own."""
        found = self.db.execute(
            "SELECT pid FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
        )
        return [pid for (pid,) in found]

    def wait_alone(self):
        wait.until(lambda: not self.clients(), "the backends of the sink to end", STOP_SECONDS, POLL_SECONDS)

    def snapshot(self):
        return self.value("SELECT pg_current_snapshot()::text")

    def cpu_of_backends(self):
        """CPU seconds of all backends but our own, ended or not."""
        while True:
            ended = cpu_of_ended_children(self.postgres.popen.pid)
            try:
                alive = sum(cpu_of(pid) for pid in self.clients())
            except OSError:
                continue  # one has just ended
            if cpu_of_ended_children(self.postgres.popen.pid) == ended:
                return ended + alive

    def spawn(self, argv, name):
        with open(self.root / f"{name}.log", "ab") as log:
            return process.spawn(argv, stdout=log, env=daemon.environment())

    def tail(self, name):
        return (self.root / f"{name}.log").read_text(errors="replace")[-4000:]

    def check_runs(self, popen, name):
        if popen.poll() is not None:
            raise SystemExit(f"{name} ended with {popen.returncode}:\n{self.tail(name)}")

    def end(self, system, popen, name):
        popen.send_signal(signal.SIGTERM)
        if process.reap(popen, STOP_SECONDS) is None:
            popen.kill()
            popen.wait()
            say(f"{name} did not stop within {STOP_SECONDS} s, and was killed")
        elif popen.returncode not in system.ends:
            raise SystemExit(f"{name} ended with {popen.returncode}:\n{self.tail(name)}")
        self.wait_alone()

    def complete(self, name):
        rows = self.expected[name][0]
        return self.value("SELECT count(*) FROM events") == rows and self.digest() == self.expected[name]

    def run(self, system, name):
        """From the start of the sink until all is visible; the figures."""
        work = WORKLOADS[name]
        self.runs += 1
        sink = f"run{self.runs}"
        argv = system.argv(sink, work)
        self.fresh_table(work)
        backends = self.cpu_of_backends()
        began = time.monotonic()
        popen = self.spawn(argv, sink)

        def sight(at, rows):
            return Sight(at, rows, cpu_of(popen.pid), self.cpu_of_backends() - backends)

        try:
            first, last = None, began
            was, counted = self.snapshot(), None
            while True:
                self.check_runs(popen, sink)
                now = time.monotonic()
                new = self.snapshot()
                if new != was:
                    was, last = new, now
                if first is None:
                    if self.value("SELECT EXISTS (SELECT FROM events)"):
                        first = sight(now, self.value("SELECT count(*) FROM events"))
                elif now - last > QUIET_SECONDS and counted != was:
                    end = sight(last, self.options.records)
                    if self.complete(name):
                        break
                    counted = was
                if now - last > STUCK_SECONDS:
                    count = self.digest()
                    raise SystemExit(f"{system.title}: {count} instead of {self.expected[name]}:\n{self.tail(sink)}")
                time.sleep(POLL_SECONDS)
            rss = peak_rss(popen.pid)
            self.end(system, popen, sink)
            if self.digest() != self.expected[name]:
                raise SystemExit(f"{system.title}: the rows have changed at the end: {self.digest()}")
        finally:
            if popen.poll() is None:
                popen.kill()
                popen.wait()
        say(f"{name}: {system.title}: {end.at - began:.2f} s from its start to the last row")
        return self.figures(began, first, end, rss)

    def figures(self, began, first, end, rss):
        millions = self.options.records / 1e6
        # A row that an upsert changes counts as often as it comes. None when the first sight was the last.
        steady = (end.rows - first.rows) / 1e6 if end.at > first.at else None
        return {
            "steady_rows_per_second": steady * 1e6 / (end.at - first.at) if steady else None,
            "seconds": end.at - began,
            "first_row": first.at - began,
            "cpu_steady": (end.cpu - first.cpu) / steady if steady else None,
            "cpu": end.cpu / millions,
            "cpu_backends_steady": (end.backends - first.backends) / steady if steady else None,
            "cpu_backends": end.backends / millions,
            "peak_rss": rss,
        }

    def systems(self, name):
        peers = {"append": [1], "upsert": [4, 1]}[WORKLOADS[name]["mode"]]
        return [Pgsinkd(self), *(Debezium(self, tasks) for tasks in peers)]

    def round(self, number, names):
        got = {}
        for name in names:
            systems = self.systems(name)
            got[name] = {}
            for system in systems if number % 2 == 0 else reversed(systems):
                try:
                    got[name][system.title] = self.run(system, name)
                except NotInThisVersion as mode:
                    got[name][system.title] = {NOT_HERE: f"mode {mode}"}
        return got

    # kill -9

    def kill(self, system, name):
        """Half of the rows are there, kill -9, the same command again; what the table is in the end."""
        work = WORKLOADS[name]
        self.runs += 1
        sink = f"kill{self.runs}"
        argv = system.argv(sink, work)
        self.fresh_table(work)
        popen = self.spawn(argv, sink)
        try:
            began = time.monotonic()
            while (rows := self.value("SELECT count(*) FROM events")) < self.options.records / 2:
                self.check_runs(popen, sink)
                assert time.monotonic() - began < STUCK_SECONDS, f"{rows} rows:\n{self.tail(sink)}"
                time.sleep(POLL_SECONDS)
            popen.kill()
            popen.wait()
            killed = time.monotonic()
            self.wait_alone()
            before = self.value("SELECT count(*) FROM events")
            popen = self.spawn(argv, sink)
            again = self.settle(popen, sink, name, before)
            self.end(system, popen, sink)
        finally:
            if popen.poll() is None:
                popen.kill()
                popen.wait()
        count, ids, _, _ = self.digest()
        return {
            "stored_before": before,
            "doubled": count - ids,
            "lost": self.expected[name][0] - ids,
            "first_row_after": again - killed if again else None,
        }

    def settle(self, popen, sink, name, before):
        """Waits until no id is missing and nothing more comes, or nothing comes at all; when the first new row came."""
        again, last = None, time.monotonic()
        was, counted = self.snapshot(), None
        while (now := time.monotonic()) - last < STUCK_SECONDS:
            self.check_runs(popen, sink)
            new = self.snapshot()
            if new != was:
                was, last = new, now
                if again is None and self.value("SELECT count(*) FROM events") > before:
                    again = now
            elif now - last > SETTLED_SECONDS and counted != was:
                if self.value("SELECT count(DISTINCT id) FROM events") == self.expected[name][0]:
                    break
                counted = was
            time.sleep(POLL_SECONDS)
        return again


# ---- what it prints ----

# name, heading, decimals, divisor
FIGURES = [
    ("first_row", "first row", 2, 1),
    ("seconds", "last row", 2, 1),
    ("cpu_steady", "sink CPU", 2, 1),
    ("cpu", "whole run", 2, 1),
    ("cpu_backends_steady", "PG CPU", 2, 1),
    ("cpu_backends", "whole run", 2, 1),
    ("peak_rss", "peak MB", 0, 1e6),
]


def median(runs, figure):
    """None when there is no such figure."""
    found = [run[figure] for run in runs if run.get(figure) is not None]
    return statistics.median(found) if found else None


def summary(bench, rounds):
    """{workload: {system: {figure: median}, "ratios": {peer: {figure: pgsinkd's / the peer's}}}}"""
    names = ["steady_rows_per_second", *(name for name, *_ in FIGURES)]
    found = {}
    for work in rounds[0]:
        systems = [s.title for s in bench.systems(work)]
        runs = {title: [r[work][title] for r in rounds] for title in systems}
        medians = {title: {name: median(runs[title], name) for name in names} for title in systems}
        ours = medians[Pgsinkd.title]
        ratios = {
            title: {n: ours[n] / theirs[n] if ours[n] is not None and theirs[n] else None for n in names}
            for title, theirs in medians.items()
            if title != Pgsinkd.title
        }
        refused = {title: of[0][NOT_HERE] for title, of in runs.items() if NOT_HERE in of[0]}
        found[work] = {"medians": medians, "ratios": ratios, NOT_HERE: refused}
    return found


def cell(value, decimals=2, divisor=1):
    return f"{'-' if value is None else f'{value / divisor:,.{decimals}f}':>11}"


def print_workload(work, found, rounds):
    heads = [f"round {i + 1}" for i in range(len(rounds))] + ["median"]
    print(f"\n{WORKLOADS[work]['title']}\n{'rows/s, first to last row':<32}" + "".join(f"{h:>11}" for h in heads))
    for title, medians in found["medians"].items():
        if title in found[NOT_HERE]:
            print(f"{title:<32}  not in this version: {found[NOT_HERE][title]}")
            continue
        rates = [r[work][title]["steady_rows_per_second"] for r in rounds] + [medians["steady_rows_per_second"]]
        print(f"{title:<32}" + "".join(cell(rate, 0) for rate in rates))
    for title, ratios in found["ratios"].items():
        print(f"{f'pgsinkd / {title}':<32}" + " " * 11 * len(rounds) + cell(ratios["steady_rows_per_second"], 1))
    print(f"\n{'medians; s; CPU s per million':<32}" + "".join(f"{head:>11}" for _, head, _, _ in FIGURES))
    for title, medians in found["medians"].items():
        if title in found[NOT_HERE]:
            print(f"{title:<32}  not in this version")
        else:
            print(f"{title:<32}" + "".join(cell(medians[n], decimals, by) for n, _, decimals, by in FIGURES))
    for title, ratios in found["ratios"].items():
        print(f"{f'pgsinkd / {title}':<32}" + "".join(cell(ratios[name]) for name, *_ in FIGURES))


def print_kills(kills):
    heads = ("before", "doubled", "lost", "new row s")
    print(f"\n{'kill -9 half way through W1':<32}" + "".join(f"{h:>11}" for h in heads))
    for title, k in kills.items():
        counts = "".join(cell(k[name], 0) for name in ("stored_before", "doubled", "lost"))
        print(f"{title:<32}{counts}{cell(k['first_row_after'])}")


def versions(options):
    def first_line(*argv):
        return subprocess.run(list(map(str, argv)), capture_output=True, text=True).stdout.split("\n")[0]

    def jar(directory, name):
        (found,) = directory.glob(f"**/{name}-[0-9]*.jar")
        return found.stem.removeprefix(f"{name}-")

    plugins = connect.plugins("jdbc")

    return {
        "pgsinkd": first_line(options.binary, "version"),
        "debezium-connector-jdbc": jar(plugins, "debezium-connector-jdbc"),
        "kafka connect": jar(connect.JARS, "connect-runtime"),
        "postgresql jdbc": jar(plugins, "postgresql"),
        "postgresql": first_line(postgres.bindir() / "postgres", "--version"),
        "kafka": kafka.VERSION,
        "cpus": os.cpu_count(),
    }


def parse():
    parser = argparse.ArgumentParser(prog="bench/compare")
    parser.add_argument("--records", type=int, default=2_000_000)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--only", type=lambda text: text.split(","), default=list(WORKLOADS))
    parser.add_argument("--kill", action="store_true")
    parser.add_argument("--workers", type=int, default=0)
    parser.add_argument("--binary", required=True)
    parser.add_argument("--producer", required=True)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--keep", action="store_true")
    options = parser.parse_args()
    if options.records < 10_000 or options.rounds < 1:
        parser.error("at least 10000 records and one round")
    if unknown := set(options.only) - set(WORKLOADS):
        parser.error(f"--only {','.join(sorted(unknown))}: there are {', '.join(WORKLOADS)}")
    if options.kill and "w1" not in options.only:
        parser.error("--kill needs w1")
    return options


def main():
    options = parse()
    about = versions(options) | {"records": options.records, "workers": options.workers, "settings": SERVER}
    say("\n".join(f"{key}: {value}" for key, value in about.items()))
    say(f"load before: {' '.join(f'{x:.2f}' for x in os.getloadavg())}")
    with Servers(options.keep) as servers:
        bench = Bench(options, servers)
        for name in options.only:
            bench.prepare(name)
        rounds = []
        for i in range(options.rounds):
            rounds.append(bench.round(i, options.only))
            say(f"round {i + 1} of {options.rounds} is done")
        kills = {s.title: bench.kill(s, "w1") for s in bench.systems("w1")} if options.kill else {}
    found = summary(bench, rounds)
    if options.json:
        print(json.dumps({"about": about, "rounds": rounds, "kills": kills, "summary": found}, indent=2))
        return
    for work, figures in found.items():
        print_workload(work, figures, rounds)
    if kills:
        print_kills(kills)


if __name__ == "__main__":
    main()
