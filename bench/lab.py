"""The servers of bench/run, the topics on them, and how one process is measured.

What a measured process cost is the difference of two readings: of its own CPU time, of the time of PostgreSQL's
backends that have ended meanwhile, of the WAL position.
"""

import contextlib
import re
import subprocess
import time

from kit import daemon, postgres, process, wait

from measure import POLL_SECONDS, Run, Servers, cpu_of, cpu_of_children, cpu_of_ended_children, say

HELPERS = ("walwriter", "background writer", "checkpointer")
WAL = "SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')"


class Lab(Servers):
    def __init__(self, options):
        super().__init__(keep=options.keep)
        self.options = options
        self.topics = {}  # Topic -> its name
        self.runs = 0

    def __enter__(self):
        super().__enter__()
        self.db.execute("SET work_mem = '256MB'")
        return self

    # Topics

    def topic(self, topic, records):
        """The name of the topic, which is produced when it is not there yet."""
        if (topic, records) not in self.topics:
            name = f"t{len(self.topics)}"
            self.kafka.create_topic(name, topic.partitions)
            where = ["-p", 0] if topic.hot else []
            began = time.monotonic()
            self.produce(name, records, "-k", topic.kind, "-z", topic.codec, *where)
            seconds = time.monotonic() - began
            assert sum(self.kafka.ends(name).values()) == records
            say(f"produced {records} {topic.kind} in {seconds:.1f} s")
            self.topics[topic, records] = name
        return self.topics[topic, records]

    def keep_topics(self, wanted):
        """Deletes the topics that nobody wants any more."""
        for key in self.topics.keys() - wanted:
            self.kafka.delete_topic(self.topics.pop(key))

    def producer(self, topic, records, *arguments):
        return [*map(str, [self.options.producer, *arguments, self.kafka.bootstrap, topic, records])]

    def produce(self, topic, records, *arguments):
        subprocess.run(self.producer(topic, records, *arguments), check=True)

    # Measuring

    def processes(self):
        """PostgreSQL's: backends count as ended when the postmaster has reaped them."""
        return set(process.children(self.postgres.popen.pid))

    def wal(self):
        return int(self.db.execute(WAL).fetchone()[0])

    def reading(self):
        pid = self.postgres.popen.pid
        return {
            "cpu_backends": cpu_of_ended_children(pid),
            "cpu_postgres_helpers": cpu_of_children(pid, HELPERS),
            "cpu_kafka": cpu_of(self.kafka.popen.pid),
            "wal_bytes": self.wal(),
        }

    def measure(self, argv, records, watch=None):
        """Runs it; the figures that all have, CPU per million records. Backends count when they have ended."""
        self.runs += 1
        self.log = self.root / f"log{self.runs}"
        others = self.processes()
        before = self.reading()
        run = Run(argv, self.log, watch)
        wait.until(lambda: self.processes() <= others, "the backends to end", interval=POLL_SECONDS)
        after = self.reading()
        spent = {key: after[key] - before[key] for key in after}
        wal = spent.pop("wal_bytes")
        return {
            "seconds": run.seconds,
            "rows_per_second": records / run.seconds,
            "cpu": run.cpu * 1e6 / records,
            **{key: value * 1e6 / records for key, value in spent.items()},
            "wal_bytes_per_row": wal / records,
            "peak_rss": run.rss,
        }

    def psql(self, *statements, port=None):
        """The command line of a psql that runs them; over TCP when there is a port, else over the Unix socket."""
        host = "127.0.0.1" if port else self.postgres.host
        server = ["-h", host, "-p", port or self.postgres.port, "-U", postgres.SUPERUSER, "-d", "postgres"]
        commands = [word for statement in statements for word in ("-c", statement)]
        return [str(w) for w in [postgres.bindir() / "psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", *server, *commands]]

    # pgsinkd

    def write_config(self, sink, topic, table, route, port=None, kafka=None, **top):
        config = self.config(sink, [topic], table, workers=self.options.workers, **top)
        config["routes"][0] |= route
        config["kafka"] |= kafka or {}
        if port:
            config["postgres"]["dsn"] = self.postgres.dsn("postgres", port=port)
        path = self.root / f"{sink}.yaml"
        path.write_text(daemon.yaml(config) + "\n")
        return path

    def refusal(self, config):
        """What this pgsinkd lacks for the configuration, in its own words; None when it takes it."""
        done = subprocess.run([self.options.binary, "config", "-c", config], capture_output=True, text=True)
        if done.returncode == 0:
            return None
        found = re.search(r"'[^\n]* is not supported in this version", done.stderr)
        if not found:
            raise SystemExit(f"pgsinkd refuses {config}:\n{done.stderr}")
        return found[0]

    def forget(self, sink):
        self.db.execute("DELETE FROM pgsinkd.offsets WHERE sink = %s", [sink])

    def totals(self, log):
        """(records, transactions) that pgsinkd has counted itself."""
        found = re.search(r"stored (\d+) records as \d+ rows and \d+ dead letters in (\d+) transactions", log.read_text())
        return int(found[1]), int(found[2])

    # The way to PostgreSQL

    @contextlib.contextmanager
    def far_away(self, round_trip_ms):
        """The port of a proxy that makes PostgreSQL so far away, or None."""
        if not round_trip_ms:
            yield None
            return
        argv = [self.options.delay, self.postgres.port, round_trip_ms]
        popen = process.spawn(argv, stdout=subprocess.PIPE)
        try:
            yield int(popen.stdout.readline())
        finally:
            popen.kill()
            popen.wait()

    def fsync(self):
        """fdatasync per second on the file system of the data directory, as pg_test_fsync counts it."""
        argv = postgres.as_server_user(
            [str(postgres.bindir() / "pg_test_fsync"), "-s", "1", "-f", str(self.postgres.root / "fsync")]
        )
        popen = process.spawn(argv, stdout=subprocess.PIPE, cwd="/")
        for line in popen.stdout:
            found = re.match(rb"\s*fdatasync\s+([0-9.]+) ops/sec", line)
            if found:
                break
        popen.terminate()  # it removes its file; the methods that follow do not matter
        popen.communicate()
        return float(found[1]) if found else None
