"""docs/migrate.md: a real Debezium JDBC sink is stopped in mid-stream, and the commands of the page let pgsinkd continue.

The page's block `sh` is what is executed: with the addresses and names of the test, and as far as a test can (what it
says of systemd is done by the daemon itself).
"""

import json
import pathlib
import re
import subprocess

import pytest

from kit import daemon, wait
from kit.connect import Connect
from kit.postgres import SUPERUSER
from kit.records import numbered

pytestmark = pytest.mark.timeout(180)

PAGE = (pathlib.Path(__file__).resolve().parents[2] / "docs" / "migrate.md").read_text()
CONNECTS_OWN = {"Common", "Transforms", "Predicates", "Error Handling"}
CLASS = "io.debezium.connector.jdbc.JdbcSinkConnector"
FIELDS = [
    {"field": "id", "type": "int64", "optional": False},
    {"field": "note", "type": "string", "optional": True},
    {"field": "amount", "type": "double", "optional": True},
]
SCHEMA = json.dumps({"type": "struct", "optional": False, "fields": FIELDS}).encode()


@pytest.fixture(scope="module")
def shared_connect(root, shared_kafka):
    worker = Connect(root, shared_kafka.bootstrap, "jdbc").start()
    yield worker
    worker.destroy()


@pytest.fixture
def connect(shared_connect):
    """The worker, running whatever the test before did to it."""
    if shared_connect.popen.poll() is not None:
        shared_connect.start()
    return shared_connect


def assert_in_mid_stream(is_so):
    """Both sinks have something to do. A machine that stands still may miss the moment."""
    if not is_so:
        raise wait.Late("the connector was not stopped in mid-stream")


def enveloped(partition, n):
    return b'{"schema": %s, "payload": %s}' % (SCHEMA, numbered(partition, n))


class Once:
    """A model for bench.check: whoever has stored it, the table holds each record of the topic once, and no other row."""

    def __init__(self, log):
        self.log = log

    def faults(self, db, table, _records):
        rows = db.execute(f"SELECT id, note, amount FROM {table}").fetchall()
        payloads = [r.json["payload"] for records in self.log.records.values() for r in records.values()]
        found, want = set(rows), {(row["id"], row["note"], row["amount"]) for row in payloads}
        faults = [("double", f"{len(rows) - len(found)} rows")] if len(rows) != len(found) else []
        faults += [("lacks", str(row)) for row in want - found]
        return faults + [("invention", str(row)) for row in found - want]


class Move:
    """A sink of Debezium's and the one of pgsinkd that takes its place."""

    def __init__(self, bench, connect):
        self.bench = bench
        self.connect = connect
        self.name = bench.sink
        self.log = bench.topic(partitions=2)
        self.path = bench.root / "orders.yaml"
        self.path.write_text(daemon.yaml(self.config()) + "\n")

    def config(self):
        return self.bench.config(self.log, "orders", route={"mode": "upsert", "key": ["id"], "envelope": "connect"})

    def connector(self):
        return {
            "connector.class": CLASS,
            "topics": self.log.topic,
            "connection.url": f"jdbc:postgresql://127.0.0.1:{self.bench.postgres.port}/{self.bench.database}",
            "connection.username": SUPERUSER,
            "connection.password": "unused",
            "insert.mode": "upsert",
            "primary.key.mode": "record_value",
            "primary.key.fields": "id",
            "schema.evolution": "basic",
            "collection.name.format": "orders",
            "key.converter": "org.apache.kafka.connect.storage.StringConverter",
            "consumer.override.max.poll.records": 10,  # slow, so that it is stopped in mid-stream
            "batch.size": 10,
        }

    def begin(self):
        """Debezium creates the table and stores a part of the topic."""
        self.log.fill(30_000, enveloped)
        self.connect.add(self.name, self.connector())
        there = "SELECT to_regclass('orders') IS NOT NULL"
        wait.until(lambda: self.bench.value(there), "Debezium to create the table", timeout=30, interval=0.02)
        wait.until(lambda: self.bench.rows("orders") > 100, "Debezium to store", timeout=30, interval=0.02)

    def run(self, line):
        """A command of the page, with the names of the test."""
        line = line.split("  #")[0].replace("http://connect:8083", self.connect.url)
        line = line.replace("/etc/pgsinkd/orders.yaml", str(self.path))
        line = re.sub(r"connect-orders\b|connectors/orders\b", lambda m: m[0].replace("orders", self.name), line)
        line = re.sub(r"^pgsinkd\b", str(daemon.BINARY), line)
        done = subprocess.run(line, shell=True, capture_output=True, text=True, timeout=60, env=daemon.environment())
        assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"
        return done.stdout

    def take_over(self, stopped):
        """The page's commands, from top to bottom; those before and after that do the same are skipped."""
        (block,) = re.findall(r"^```sh\n(.*?)^```$", PAGE, re.M | re.S)
        seen = []
        for line in block.splitlines():
            word = line.split()[0]
            if word == "systemctl":
                continue
            if word == "curl" and not stopped:
                continue  # the worker is dead
            if line.endswith("/status"):
                wait.until(lambda line=line: '"state":"STOPPED"' in self.run(line), "the connector to stop")
            else:
                seen.append((line, self.run(line)))
        moved = [line for text, out in seen if "--from-group" in text for line in out.splitlines()]
        return {int(p): int(to) for p, to in re.findall(r"-(\d): \(not begun\) -> (\d+)$", "\n".join(moved), re.M)}

    def complete(self, at):
        """pgsinkd stores the rest, and what is produced now."""
        self.log.fill(1000, enveloped)
        d = self.bench.start(self.config())
        self.bench.wait_stored(self.log)
        d.terminate()
        stored = int(re.search(r"stored (\d+) records as", d.log())[1])
        assert stored == self.log.count() - sum(at.values())
        self.bench.check(self.log, "orders", model=Once(self.log), start=at)

    def go_back(self):
        """The connector gets pgsinkd's offsets."""
        done = self.bench.kafka.committed(self.bench.group, self.log.topic)
        assert done == self.log.ends()
        offsets = [
            {"partition": {"kafka_topic": self.log.topic, "kafka_partition": p}, "offset": {"kafka_offset": offset}}
            for p, offset in done.items()
        ]
        self.connect.ask("PATCH", f"/connectors/{self.name}/offsets", {"offsets": offsets})
        assert self.bench.kafka.committed(f"connect-{self.name}", self.log.topic) == done


def test_pgsinkd_continues_where_a_connector_was_stopped(bench, connect):
    move = Move(bench, connect)
    move.begin()
    at = move.take_over(stopped=True)
    stored = bench.rows("orders")
    assert sum(at.values()) == stored
    assert_in_mid_stream(stored < move.log.count())
    move.complete(at)
    move.go_back()


def test_every_option_of_the_connector_is_in_the_page(connect):
    asked = connect.ask("PUT", f"/connector-plugins/{CLASS}/config/validate", {"connector.class": CLASS, "name": "x"})
    definitions = [option["definition"] for option in asked["configs"]]
    its = [option["name"] for option in definitions if option["group"] not in CONNECTS_OWN]
    assert not [name for name in its if f"`{name}`" not in PAGE and f"`{name}=" not in PAGE]


def test_pgsinkd_continues_after_a_worker_that_was_killed(bench, connect):
    """Its last offsets are older than its rows: those records come once more, and the key takes them."""
    move = Move(bench, connect)
    move.begin()
    wait.until(lambda: len(bench.kafka.committed(f"connect-{move.name}", move.log.topic)) == 2, "it to commit once")
    connect.popen.kill()
    connect.popen.wait()
    at = move.take_over(stopped=False)
    stored = bench.rows("orders")
    assert sum(at.values()) <= stored
    assert_in_mid_stream(stored < move.log.count())
    move.complete(at)
