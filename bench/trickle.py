"""A workload of bench/run that is no drain: few records a second over many partitions, for some seconds."""

import contextlib
import os
import shlex
import signal
import time

from kit import daemon, process, wait

from measure import POLL_SECONDS, Run, cpu_of, peak_rss, say
from report import Result
from workloads import EVENTS

TABLE = "events"
IDLE_SECONDS = 3
WARM_UPS = 4  # at most
PATIENCE_SECONDS = 120


class Spent:
    """CPU seconds and WAL of all who take part, from one moment on."""

    def __init__(self, lab, pid):
        self.lab = lab
        self.pid = pid
        self.backends = [
            row[0]
            for row in lab.db.execute("SELECT pid FROM pg_stat_activity WHERE application_name LIKE 'pgsinkd %'")
        ]
        self.began = time.monotonic()
        self.before = self.reading()

    def reading(self):
        common = self.lab.reading()
        return {
            "cpu": cpu_of(self.pid),
            "cpu_backends": sum(cpu_of(pid) for pid in self.backends),
            "cpu_postgres_helpers": common["cpu_postgres_helpers"],
            "cpu_kafka": common["cpu_kafka"],
            "wal_bytes": common["wal_bytes"],
        }

    def per_second(self):
        seconds = time.monotonic() - self.began
        return {key: (value - self.before[key]) / seconds for key, value in self.reading().items()}


class TrickleBench:
    def __init__(self, lab, work):
        self.lab = lab
        self.work = work
        # As many for each partition, so that an offset is the same place in all of them.
        each = max(1, round(work.rate * lab.options.seconds / work.partitions))
        self.records = each * work.partitions
        self.sink = "trickle"
        self.produced = 0

    def run(self, rounds):
        lab = self.lab
        # Kafka maps an index of 10 MB into memory for each partition; that many of them stop it for seconds.
        lab.kafka.create_topic(self.sink, self.work.partitions, segment_index_bytes=65536)
        columns = ", ".join(f"{name} {kind}" for name, kind in EVENTS.items())
        lab.db.execute(f"CREATE TABLE {TABLE} ({columns})")
        self.warm_up()
        # The latest: what the reference has read before is none of our business.
        self.config = lab.write_config(self.sink, self.sink, TABLE, {}, kafka={"start": "latest"})
        result = Result(self.work, self.records, [])
        for i in range(rounds):
            result.rounds.append({"pgsinkd": self.pgsinkd(), "kcat": self.kcat()})
            cpu = result.rounds[-1]["pgsinkd"]["flow"]["cpu"]
            say(f"{self.work.name}, round {i + 1} of {rounds}: pgsinkd {cpu:.3f} CPU s per second")
        lab.db.execute(f"DROP TABLE {TABLE}")
        lab.kafka.delete_topic(self.sink)
        return result

    def warm_up(self):
        """A young broker cannot keep up with so many partitions, and then the producer is measured."""
        for _ in range(WARM_UPS):
            rate = self.kcat()["records_per_second"]
            say(f"{self.work.name}, warming up: {rate:,.0f} records/s")
            if rate > 0.95 * self.work.rate:
                return

    def start_producer(self):
        arguments = ["-f", self.produced + 1, "-r", self.work.partitions, "-s", self.work.rate]
        self.produced += self.records
        return process.spawn(self.lab.producer(self.sink, self.records, *arguments), stdout=None, stderr=None)

    @contextlib.contextmanager
    def daemon(self):
        """The process id of pgsinkd, which has said that it is ready and ends as under a service manager."""
        lab = self.lab
        lab.runs += 1
        self.log = lab.root / f"log{lab.runs}"
        notify = daemon.Notify(lab.root / f"notify{lab.runs}")
        argv = [*shlex.split(lab.options.wrap), lab.options.binary, "run", "-c", self.config]
        with self.log.open("wb") as log:
            env = daemon.environment({"NOTIFY_SOCKET": str(notify.path)})
            popen = process.spawn(argv, stdout=log, env=env)
        try:
            wait.until(lambda: notify.values("READY") or popen.poll() is not None, "pgsinkd to be ready", timeout=60)
            pid = next(iter(process.children(popen.pid)), popen.pid)  # --wrap may have put another one before it
            yield pid
            os.kill(pid, signal.SIGTERM)
            popen.wait(30)
        finally:
            popen.kill()
            popen.wait()
            notify.close()
        if popen.returncode != 0:
            raise SystemExit(f"pgsinkd ended with {popen.returncode}:\n{self.log.read_text()[-4000:]}")

    def pgsinkd(self):
        lab = self.lab
        lab.db.execute(f"TRUNCATE {TABLE}")
        lab.db.execute("CHECKPOINT")
        began = time.monotonic()
        with self.daemon() as pid:
            ready = time.monotonic() - began
            idle = Spent(lab, pid)
            time.sleep(IDLE_SECONDS)  # it is what is measured
            idle = idle.per_second()

            flow = Spent(lab, pid)
            producer = self.start_producer()
            if producer.wait() != 0:
                raise SystemExit("the producer has failed")
            lag = self.produced - lab.stored(self.sink)
            ended = time.monotonic()
            wait.until(lambda: lab.stored(self.sink) == self.produced, "all to be stored", interval=POLL_SECONDS)
            caught_up = time.monotonic() - ended
            seconds = time.monotonic() - flow.began
            flow = flow.per_second()
            rss = peak_rss(pid)
        self.check_rows()
        lab.forget(self.sink)
        stored, transactions = lab.totals(self.log)
        return {
            "ready": ready,
            "seconds": seconds,
            "records_per_second": self.records / seconds,
            "idle": idle,
            "flow": flow,
            "lag_records": lag,
            "caught_up": caught_up,
            "transactions": transactions,
            "transactions_per_second": transactions / seconds,
            "rows_per_transaction": stored / transactions,
            "wal_bytes_per_row": flow["wal_bytes"] * seconds / self.records,
            "peak_rss": rss,
        }

    def check_rows(self):
        n = self.records
        found = self.lab.db.execute(f"SELECT count(*), count(DISTINCT id), min(id), max(id) FROM {TABLE}").fetchone()
        assert found == (n, n, self.produced - n + 1, self.produced), f"wrong rows: {found}"

    def kcat(self):
        """A bare consumer of the same trickle: it begins where the partitions end now, and ends by the count."""
        lab = self.lab
        lab.runs += 1
        offset = self.produced // self.work.partitions
        producer = self.start_producer()
        argv = ["kcat", "-C", "-q", "-b", lab.kafka.bootstrap, "-t", self.sink, "-o", offset, "-c", self.records]
        deadline = time.monotonic() + PATIENCE_SECONDS

        def watch():
            assert time.monotonic() < deadline, "kcat waits for records that do not come"

        kafka = cpu_of(lab.kafka.popen.pid)
        run = Run(argv, lab.root / f"log{lab.runs}", watch)
        kafka = cpu_of(lab.kafka.popen.pid) - kafka
        if producer.wait() != 0:
            raise SystemExit("the producer has failed")
        flow = {"cpu": run.cpu / run.seconds, "cpu_kafka": kafka / run.seconds}
        rate = self.records / run.seconds
        return {"seconds": run.seconds, "records_per_second": rate, "flow": flow, "peak_rss": run.rss}
