"""The measurements of bench/start, which installs and builds what this needs, and says what the options are."""

import argparse
import itertools
import json
import re
import statistics
import subprocess
import time
from pathlib import Path

from confluent_kafka import Producer
from kit import daemon, process, wait
from kit.web import Web

from measure import Servers, cpu_of, peak_rss, say, watch_threads

TABLE = "id bigint, sent bigint, note text"
TOPIC_PARTITIONS = 1000  # of one topic at most
SESSION_SECONDS = 6  # where a dead member must be noticed
QUIET_PERCENT = 15
BIG_BYTES = 10_000_000
MANY_PROPERTIES = (  # Kafka with 10,000 partitions: nothing but what is measured
    "log.retention.check.interval.ms=300000",
    "log.cleaner.enable=false",
    "log.index.size.max.bytes=65536",
    "broker.heartbeat.interval.ms=2000",
    "broker.session.timeout.ms=20000",
)
MANY_FETCH = {"fetch.wait.max.ms": 500}  # what docs/OPERATIONS.md advises
PARTS = ("idle", "start", "many", "handover", "kill", "stop", "memory")
WATCHDOG_SECONDS = 4  # the daemon feeds it every other second


class Told(dict):
    """Figures that are said as soon as they are there: what is left of a run that fails."""

    def __init__(self, start, title):
        super().__init__()
        self.start, self.title = start, title

    def __setitem__(self, what, got):
        super().__setitem__(what, got)
        self.start.tell(f"{self.title}: {what}: {got}")


class Start:
    def __init__(self, options, servers):
        self.options = options
        self.servers = servers
        self.db = servers.db
        self.kafka = servers.kafka
        self.sinks = 0
        self.daemons = []

    def tell(self, text):
        """A line of the result; beside JSON only for whoever waits."""
        if self.options.json:
            say(text)
        else:
            print(text, flush=True)

    # What each measurement begins with

    def sink(self, partitions):
        """A name, and as many topics and partitions and a fresh table of that name."""
        self.sinks += 1
        name = f"s{self.sinks}"
        topics = []
        while partitions > 0:
            topics.append(f"{name}.{len(topics)}")
            # Small indexes: thousands of the usual 10 MB keep Kafka busy with page faults.
            self.kafka.create_topic(topics[-1], min(partitions, TOPIC_PARTITIONS), segment_index_bytes=65536)
            partitions -= TOPIC_PARTITIONS
        self.db.execute(f"CREATE TABLE {name} ({TABLE})")
        return name, topics

    def config(self, sink, topics, properties=None, **top):
        return self.servers.config(sink, topics, table=sink, properties=properties, **top)

    def run(self, config):
        d = daemon.Daemon(self.servers.root, f"daemon{len(self.daemons)}", config)
        self.daemons.append(d)
        return d

    def pace(self, topic, rate, seconds):
        """Records at a steady rate; ended by the caller, or by itself."""
        argv = [self.options.pace, "send", self.kafka.bootstrap, topic, rate, rate * seconds, "/dev/null"]
        return process.spawn(argv, stdout=subprocess.DEVNULL, stderr=None)

    def fill(self, topics, records, size=100, **properties):
        """Records in turn into all partitions."""
        producer = Producer({"bootstrap.servers": self.kafka.bootstrap, "linger.ms": 50} | properties)
        value = json.dumps({"id": 0, "sent": 0, "note": "x" * size}).encode()
        where = [(t, p) for t in topics for p in range(self.kafka.partitions(t))]
        for i in range(records):
            topic, partition = where[i % len(where)]
            while True:
                try:
                    producer.produce(topic, value, partition=partition)
                    break
                except BufferError:
                    producer.poll(0.1)
        assert producer.flush(60 * wait.FACTOR) == 0

    # What is seen in PostgreSQL

    def rows(self, table):
        return self.db.execute(f"SELECT count(*) FROM {table}").fetchone()[0]

    def wait_rows(self, table, n, timeout=60):
        """Waits until there are n rows; when."""
        wait.until(lambda: self.rows(table) >= n, f"{n} rows in {table}", timeout, interval=0.002)
        return time.monotonic()

    def ledger(self, sink):
        """{(topic, partition): (owner, next_offset)}"""
        rows = self.db.execute(
            "SELECT topic, partition, owner, next_offset FROM pgsinkd.offsets WHERE sink = %s", [sink]
        ).fetchall()
        return {(topic, partition): (owner, offset) for topic, partition, owner, offset in rows}

    def wait_owner(self, sink, d):
        """Waits until the daemon has claimed partitions: nothing of its forerunner can commit any more."""

        def owns():
            return any(owner.split(":")[1] == str(d.pid) for owner, _ in self.ledger(sink).values())

        wait.until(owns, f"{d.name} to own partitions", interval=0.002)

    def flows(self, sink, owners, count):
        """Waits until so many owners share the partitions evenly, and each partition moves on after that.

        (when, the longest that any partition stood still meanwhile)
        """
        moved, last, stall = {}, {}, 0.0
        since = None
        deadline = time.monotonic() + 60
        while True:
            now = time.monotonic()
            ledger = self.ledger(sink)
            for partition, (_, offset) in ledger.items():
                if moved.get(partition) != offset:
                    stall = max(stall, now - last.get(partition, now))
                    moved[partition], last[partition] = offset, now
            found = [owner for owner, _ in ledger.values()]
            even = len(set(found)) == owners and all(found.count(o) == count // owners for o in set(found))
            if not even:
                since = None
            elif since is None:
                since = now
            elif all(when > since for when in last.values()):
                return now, stall
            assert now < deadline, f"{owners} owners of {sink}: {ledger}"
            time.sleep(0.005)

    # The measurements

    def idle(self):
        """CPU and wake-ups without data; and with a trickle over many partitions."""
        found = {}
        for name, workers in (("16 partitions", 0), ("16 partitions, 24 workers", 24)):
            sink, topics = self.sink(16)
            self.fill(topics, 1600)
            d = self.run(self.config(sink, topics, workers=workers))
            self.wait_rows(sink, 1600)
            found[name] = self.quiet(d, self.options.seconds)
            d.terminate()
        sink, topics = self.sink(1000)
        self.fill(topics, 1000)
        d = self.run(self.config(sink, topics))
        self.wait_rows(sink, 1000)
        found["1,000 partitions"] = self.quiet(d, self.options.seconds / 2)
        trickle = self.pace(topics[0], 100, int(self.options.seconds / 2) + 2)
        self.wait_rows(sink, 1100)
        found["1,000 partitions, 100 records/s"] = watch_threads(d.pid, self.options.seconds / 2)
        assert trickle.wait() == 0
        self.wait_rows(sink, 1000 + 100 * (int(self.options.seconds / 2) + 2))
        d.terminate()
        for what, got in found.items():
            self.tell(f"idle, {what}: {got['cpu_percent']:.2f} % CPU, {got['wakeups_per_second']:.0f} wake-ups/s")
        return found

    def quiet(self, d, seconds):
        time.sleep(2)  # the last words of the start
        return watch_threads(d.pid, seconds)

    def settle(self, d):
        """Waits until the daemon does little; when."""
        wait.until(lambda: watch_threads(d.pid, 1)["cpu_percent"] < QUIET_PERCENT, f"{d.name} to be quiet", 120)
        return time.monotonic()

    def start(self):
        """From exec to the first new row, to all new rows, and to READY; without and with lines in the ledger."""
        return {f"{n:,} partitions": self.start_with(n) for n in (1, 100, self.options.partitions)}

    def start_with(self, partitions):
        began = time.monotonic()
        sink, topics = self.sink(partitions)
        created = time.monotonic() - began
        records = max(partitions, 100)
        found = {"topics_made_in": created}
        for turn, title in enumerate(("first", "second"), 1):
            self.fill(topics, records)
            d = self.run(self.config(sink, topics))
            first = self.wait_rows(sink, records * (turn - 1) + 1)
            last = self.wait_rows(sink, records * turn, 120)
            ready = next(when for when, key, _ in d.notify.messages if key == "READY")
            cpu = cpu_of(d.pid)
            got = {
                "first_row": first - d.started,
                "all_rows": last - d.started,
                "ready": ready - d.started,
                "cpu": cpu,
                "peak_rss": peak_rss(d.pid),
            }
            if turn == 2:
                found["quiet_after"] = self.settle(d) - d.started
                found["idle"] = self.quiet(d, self.options.seconds / 2)
            got["stop"] = d.terminate()
            found[title] = got
            self.tell(
                f"{partitions:,} partitions, {title} start: first row {got['first_row']:.2f} s, all rows"
                f" {got['all_rows']:.2f} s, CPU {cpu:.2f} s, stop {got['stop']:.2f} s"
            )
        self.tell(
            f"{partitions:,} partitions: quiet {found['quiet_after']:.1f} s after the start, then"
            f" {found['idle']['cpu_percent']:.2f} % CPU, {found['idle']['wakeups_per_second']:.0f} wake-ups/s"
        )
        return found

    def asked(self, ask, times=20):
        """Seconds that it takes, (median, longest), and what came last."""
        seconds = []
        for _ in range(times):
            began = time.monotonic()
            found = ask()
            seconds.append(time.monotonic() - began)
            time.sleep(0.2)
        return {"median": statistics.median(seconds), "longest": max(seconds)}, found

    def gap(self, d, key, since):
        """The longest time between two messages of that kind to the service manager."""
        times = [when for when, k, _ in d.notify.messages if k == key and when >= since]
        return max(b - a for a, b in itertools.pairwise(times))

    def many(self):
        """Very many partitions in one sink while people look: how soon pages, SQL and requests are answered."""
        partitions = self.options.partitions
        sink, topics = self.sink(partitions)
        web = Web(process.free_port())
        config = self.config(sink, topics, MANY_FETCH, http={"listen": web.address})
        found = {}
        for turn, title in enumerate(("first", "second"), 1):
            self.fill(topics, partitions)
            d = daemon.Daemon(self.servers.root, f"many{turn}", config, watchdog=WATCHDOG_SECONDS)
            self.daemons.append(d)
            last = self.wait_rows(sink, partitions * turn, 300)
            found[title] = Told(self, f"{partitions:,} partitions, watched, {title} start")
            found[title]["all_rows"] = last - d.started
            self.settle(d)
            watched = time.monotonic()
            for path in ("/metrics", "/status", "/", "/readyz"):
                got, answer = self.asked(lambda path=path: web.get(path))
                found[title][path] = got | {"bytes": len(answer.text)}
            got, _ = self.asked(lambda: self.db.execute("SELECT * FROM pgsinkd.status WHERE sink = %s", [sink]).fetchall())
            found[title]["pgsinkd.status"] = got
            found[title]["pause"] = self.asked(lambda: self.steer(d, web, sink, topics[0]), 3)[0]
            wait.until(lambda: time.monotonic() > watched + 25, "heartbeats")
            found[title]["heartbeat_age"] = float(
                self.db.execute(
                    "SELECT extract(epoch FROM now() - seen_at) FROM pgsinkd.instances WHERE sink = %s", [sink]
                ).fetchone()[0]
            )
            found[title]["status_gap"] = self.gap(d, "STATUS", watched)
            found[title]["watchdog_gap"] = self.gap(d, "WATCHDOG", watched)
            found[title]["rss"] = process.rss_bytes(d.pid)
            found[title]["peak_rss"] = peak_rss(d.pid)
            found[title]["bound"] = int(d.wait_log(r"memory bound (\d+) MiB")[1]) << 20
            found[title]["stop"] = d.terminate()
        return found

    def steer(self, d, web, sink, topic):
        """A partition is paused, which the daemon hears by NOTIFY, and goes on."""
        for call, state in (("pause", "paused"), ("resume", "reading")):
            self.db.execute(f"SELECT pgsinkd.{call}(%s, %s, 0)", [sink, topic])
            wait.until(lambda state=state: self.state(web, topic) == state, f"{topic}-0 to be {state}")

    def state(self, web, topic):
        partitions = json.loads(web.get("/status").text)["partitions"]
        return next((p["state"] for p in partitions if (p["topic"], p["partition"]) == (topic, 0)), None)

    def handover(self):
        """A second member comes, and goes: until each has its half, or all, and every partition moves."""
        found = {}
        for strategy in ("roundrobin", "cooperative-sticky"):
            sink, topics = self.sink(16)
            properties = {"partition.assignment.strategy": strategy}
            config = self.config(sink, topics, properties)
            load = self.pace(topics[0], 2000, 60)
            one = self.run(config)
            self.wait_rows(sink, 1)
            self.flows(sink, 1, 16)
            two = self.run(config)
            joined, stall = self.flows(sink, 2, 16)
            got = {"join": joined - two.started, "join_stall": stall}
            began = time.monotonic()
            two.terminate()
            left, stall = self.flows(sink, 1, 16)
            got |= {"leave": left - began, "leave_stall": stall}
            load.kill()
            load.wait()
            one.terminate()
            found[strategy] = got
            self.tell(
                f"hand over, {strategy}: {got['join']:.2f} s from start to both, longest stall"
                f" {got['join_stall']:.2f} s; {got['leave']:.2f} s from SIGTERM to one, longest stall"
                f" {got['leave_stall']:.2f} s"
            )
        return found

    def kill(self):
        """kill -9 and start again at once, under way: to the next row."""
        found = {}
        for title, extra in (("static member", {"group.instance.id": "a"}), ("dynamic member", {})):
            sink, topics = self.sink(16)
            config = self.config(sink, topics, {"session.timeout.ms": SESSION_SECONDS * 1000} | extra)
            load = self.pace(topics[0], 1000, 60)
            d = self.run(config)
            self.wait_rows(sink, 1)
            self.flows(sink, 1, 16)
            d.kill()
            killed = time.monotonic()
            d = self.run(config)
            self.wait_owner(sink, d)
            found[title] = self.wait_rows(sink, self.rows(sink) + 1) - killed
            load.kill()
            load.wait()
            d.terminate()
            self.tell(f"kill -9 to the next row, {title}: {found[title]:.2f} s")
        return found | {"session_timeout": SESSION_SECONDS}

    def preload(self, sink, topics, records):
        subprocess.run([self.options.producer, self.kafka.bootstrap, topics[0], str(records)], check=True)

    def stop(self):
        """SIGTERM in the middle of a drain, to the exit."""
        sink, topics = self.sink(16)
        self.preload(sink, topics, self.options.records)
        seconds = []
        for i in range(3):
            before = self.rows(sink)
            d = self.run(self.config(sink, topics))
            self.wait_rows(sink, before + 1)
            seconds.append(d.terminate())
            assert self.rows(sink) < self.options.records, "all was stored before the stop: more --records"
        self.tell("SIGTERM to exit under full load: " + ", ".join(f"{s:.3f}" for s in seconds) + " s")
        return {"seconds": seconds}

    def memory(self):
        """Peak memory beside the bound that the daemon prints."""
        found = {}
        sink, topics = self.sink(16)
        self.preload(sink, topics, self.options.records)
        d = self.run(self.config(sink, topics))
        self.wait_rows(sink, self.options.records)
        bound = int(d.wait_log(r"memory bound (\d+) MiB")[1]) << 20
        found["full load"] = peak_rss(d.pid)
        d.terminate()

        sink, topics = self.sink(16)
        d = self.run(self.config(sink, topics))
        load = self.pace(topics[0], 50_000, 22)
        self.wait_rows(sink, 1)
        self.servers.postgres.stop()
        began = time.monotonic()
        samples = []
        while time.monotonic() < began + 20:
            samples.append(process.rss_bytes(d.pid))
            time.sleep(0.2)
        assert load.wait() == 0
        self.servers.postgres.start()
        self.db = self.servers.db = self.servers.postgres.connect()
        self.wait_rows(sink, 22 * 50_000)
        found["outage"] = peak_rss(d.pid)
        found["outage_samples"] = samples
        d.terminate()

        sink, topics = self.sink(4)
        self.kafka.configure_topic(topics[0], max_message_bytes=BIG_BYTES + 100_000)
        self.fill(topics, 40, BIG_BYTES, **{"message.max.bytes": BIG_BYTES + 100_000})
        d = self.run(self.config(sink, topics))
        self.wait_rows(sink, 40)
        found["records of 10 MB"] = peak_rss(d.pid)
        d.terminate()
        found["bound"] = bound
        for what in ("full load", "outage", "records of 10 MB"):
            self.tell(f"peak memory, {what}: {found[what] / 1e6:.0f} MB of {bound / 1e6:.0f}")
        return found


def main():
    parser = argparse.ArgumentParser(prog="bench/start")
    parser.add_argument("--only", default=",".join(PARTS))
    parser.add_argument("--seconds", type=int, default=20)
    parser.add_argument("--partitions", type=int, default=10_000)
    parser.add_argument("--binary", required=True)
    parser.add_argument("--pace", required=True)
    parser.add_argument("--producer", required=True)
    parser.add_argument("--records", type=int, default=1_000_000)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--keep", action="store_true")
    options = parser.parse_args()
    daemon.BINARY = Path(options.binary).resolve()
    found = {}
    with Servers(options.keep, MANY_PROPERTIES) as servers:
        start = Start(options, servers)
        for part in options.only.split(","):
            found[part] = getattr(start, part)()
    if options.json:
        print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
