"""Everything one test needs: its own database, topics and sink on the shared servers.

    def test_something(bench):
        log = bench.topic(partitions=4)
        bench.plain_table("events")
        log.fill(1000)
        bench.drain(bench.config(log, "events"))
        bench.check(log, "events")
"""

import contextlib
import itertools
import math
import os
import subprocess

import psycopg

from kit import daemon, ledger, wait
from kit.postgres import SUPERUSER, bindir
from kit.proxy import Proxy
from kit.records import Log, Transactions

PLAIN = """
CREATE TABLE {name} (
    seq        bigint GENERATED ALWAYS AS IDENTITY,
    _topic     text   NOT NULL,
    _partition int    NOT NULL,
    _offset    bigint NOT NULL,
    id         bigint NOT NULL,
    note       text,
    amount     numeric
)
"""

# Kafka settings that make a test quick: lost sessions, lost brokers and new topics are seen soon. A request
# that librdkafka 2.0.2 has queued for a coordinator that has just gone is given up after socket.timeout.ms, and
# with a commit among them the group waits for that: with the library's 60 s, so would the tests.
QUICK = {
    "socket.timeout.ms": 10000,
    "session.timeout.ms": 3000,
    "heartbeat.interval.ms": 300,
    "reconnect.backoff.ms": 50,
    "reconnect.backoff.max.ms": 500,
    "topic.metadata.refresh.interval.ms": 1000,
}

_numbers = itertools.count(1)


# The path that all batches of all daemons take; unset = as they choose.
WRITE_PATH = os.environ.get("PGSINKD_TEST_WRITE_PATH")


def _plain(row):
    return " | ".join(str(value) for value in row)


class Bench:
    def __init__(self, root, postgres, kafka):
        self.root = root
        self.postgres = postgres
        self.kafka = kafka
        self.sink = f"t{next(_numbers)}"
        self.database = self.sink
        postgres.create_database(self.database)
        self.db = postgres.connect(self.database)
        self.daemons = []
        self._topics = []
        self._proxies = []
        self._started = itertools.count(1)
        self._named = itertools.count(1)

    # Source and target

    def name(self, hint="topic"):
        """A topic name of this test alone."""
        return f"{self.sink}.{hint}.{next(self._named)}"

    def topic(self, partitions=1, name=None, **config):
        name = name or self.name()
        self.kafka.create_topic(name, partitions, **config)
        self._topics.append(name)
        return Log(self.kafka, name, partitions)

    def transactions(self, log):
        return Transactions(log, f"{log.topic}-tx")

    def sql(self, statement, *parameters):
        """Runs SQL in the test's database; rows when there are some."""
        self.connected()
        cursor = self.db.execute(statement, parameters or None)
        return cursor.fetchall() if cursor.description else None

    def value(self, statement, *parameters):
        """The one value of a query."""
        rows = self.sql(statement, *parameters)
        return rows[0][0] if rows else None

    def psql(self, *argv):
        """Runs psql in the test's database: CompletedProcess with text output."""
        server = ["-h", self.postgres.host, "-p", str(self.postgres.port), "-U", SUPERUSER, "-d", self.database]
        return subprocess.run(
            [str(bindir("psql") / "psql"), "-X", "-v", "ON_ERROR_STOP=1", *server, *map(str, argv)],
            stdin=subprocess.DEVNULL, capture_output=True, text=True,
        )  # fmt: skip

    def connected(self):
        """Renews the test's own connection after a PostgreSQL restart."""
        if self.db.closed or self.db.broken:
            self.db = self.postgres.connect(self.database)
        else:
            try:
                self.db.execute("SELECT 1")
            except Exception:  # noqa: BLE001 - lost, in whatever way
                self.db = self.postgres.connect(self.database)
        return self.db

    def plain_table(self, name="events"):
        self.sql(PLAIN.format(name=name))
        return name

    # The daemon

    def dsn(self, **changes):
        return self.postgres.dsn(self.database, **changes)

    def config(self, source=None, table="events", /, *, topics=None, route=None, routes=None, kafka=None,
               properties=None, postgres=None, **top):  # fmt: skip
        """The config of a sink as a dict. One route from `source` (or `topics`) to `table`, or `routes`."""
        if routes is None:
            names = topics or [source.topic]
            routes = [
                {"topics": names, "table": table, "format": "json", "mode": "append", "on_error": "stop"}
                | (route or {})
            ]
        if WRITE_PATH:
            top["batch"] = {"write_path": WRITE_PATH} | top.get("batch", {})
        return {
            "sink": self.sink,
            "kafka": {"brokers": self.kafka.bootstrap}
            | (kafka or {})
            | {"properties": QUICK | (properties or {})},
            "postgres": {"dsn": self.dsn()} | (postgres or {}),
            "workers": 2,
            "http": {"listen": "off"},
            "routes": routes,
        } | top

    def start(self, config, *, ready=True, **options):
        """Starts `pgsinkd run`; several may run at a time. See daemon.Daemon for the options."""
        name = f"daemon{next(self._started)}"
        d = daemon.Daemon(self.root, name, config, **options)
        self.daemons.append(d)
        if ready:
            d.wait_ready()
        return d

    def drain(self, config, *, code=0, timeout=120, allow=(), **options):
        """`pgsinkd run --until-end`, which must end with the exit code."""
        d = self.start(config, ready=False, args=["--until-end"], **options).allow(*allow)
        ended = d.wait_exit(timeout)
        assert ended == code, f"exited with {ended} instead of {code}:\n{d.log()}"
        return d

    def command(self, verb, config, *argv, env=None):
        """Runs another command of the program on a config file."""
        path = self.root / f"{verb}{next(self._started)}.yaml"
        path.write_text(config if isinstance(config, str) else daemon.yaml(config) + "\n")
        return daemon.command(verb, "-c", path, *argv, env=env)

    def stop(self):
        """Ends the daemons that still run the polite way."""
        for d in self.daemons:
            if d.running:
                d.terminate()

    # The network

    def postgres_proxy(self):
        """A proxy before PostgreSQL, and the DSN that leads through it."""
        proxy = Proxy(("127.0.0.1", self.postgres.port))
        self._proxies.append(proxy)
        return proxy, self.dsn(port=proxy.port)

    # Waiting and checking

    def rows(self, table="events"):
        return self.value(f"SELECT count(*) FROM {table}")

    def wait_rows(self, n, table="events", timeout=60):
        """Waits until the table has at least n rows."""
        return wait.until(lambda: self.rows(table) >= n, f"{n} rows in {table}", timeout)

    def next_offset(self, log, partition=0):
        return self.value(
            "SELECT next_offset FROM pgsinkd.offsets WHERE sink = %s AND topic = %s AND partition = %s",
            self.sink, log.topic, partition,
        )  # fmt: skip

    def next_offsets(self, log):
        """{partition: next_offset}; empty while there is no ledger."""
        if not self.value("SELECT to_regclass('pgsinkd.offsets') IS NOT NULL"):
            return {}
        return dict(
            self.sql(
                "SELECT partition, next_offset FROM pgsinkd.offsets WHERE sink = %s AND topic = %s",
                self.sink, log.topic,
            )
        )  # fmt: skip

    def move(self, log, partition, next_offset):
        """What an operator does by SQL."""
        moved = self.sql(
            "UPDATE pgsinkd.offsets SET next_offset = %s"
            " WHERE sink = %s AND topic = %s AND partition = %s RETURNING 1",
            next_offset, self.sink, log.topic, partition,
        )  # fmt: skip
        assert moved, f"the ledger does not know {log.topic}-{partition}"

    def owners(self, log):
        """{partition: owner epoch}."""
        return dict(
            self.sql(
                "SELECT partition, owner_epoch FROM pgsinkd.offsets WHERE sink = %s AND topic = %s",
                self.sink, log.topic,
            )
        )  # fmt: skip

    def wait_stored(self, log, timeout=40, ends=None):
        """Waits until every record of the log is stored: next_offset is behind the last of each partition.

        Where another log was before (see records.py), what it said of that one does not count: above the log's end.
        """
        want = ends or {p: max(records) + 1 for p, records in log.records.items() if records}
        most = log.ends() if log.former else {}

        def missing():
            at = self.next_offsets(log)
            return {p: (at.get(p), end) for p, end in want.items() if not end <= at.get(p, 0) <= most.get(p, math.inf)}

        def all_stored():
            return not missing()

        try:
            wait.until(all_stored, "all to be stored", timeout)
        except wait.Late:
            raise wait.Late(
                f"not all of {log.topic} was stored in {timeout} s; (next_offset, end): {missing()}"
            ) from None

    def state(self):
        """For the report of a failed test: the ledger, the gaps, and what the daemons' backends do."""
        try:
            ledger_ = self.sql(
                "SELECT topic, partition, next_offset, owner_epoch, owner, updated_at::time FROM pgsinkd.offsets"
                " ORDER BY topic, partition LIMIT 40"
            )
            gaps = self.sql("SELECT topic, partition, from_offset, next_offset FROM pgsinkd.gaps LIMIT 10")
            letters = self.sql(
                'SELECT topic, partition, "offset", route, sqlstate, message FROM pgsinkd.dead_letters LIMIT 10'
            )
        except psycopg.Error:
            ledger_, gaps, letters = [], [], []  # delivery without one, or not made yet
        backends = self.sql(
            "SELECT pid, application_name, state, wait_event, xact_start::time, left(query, 60) FROM pg_stat_activity"
            " WHERE application_name LIKE 'pgsinkd %' AND datname = current_database()",
        )
        groups = (("ledger", ledger_), ("gaps", gaps), ("dead letters", letters), ("backends", backends))
        return "\n".join(f"{name}:\n" + "\n".join(f"  {row}" for row in map(_plain, rows)) for name, rows in groups)

    def logs(self):
        return "\n".join(f"--- {d.name} ---\n{d.log()[-6000:]}" for d in self.daemons)

    @property
    def group(self):
        return f"pgsinkd-{self.sink}"

    def tally(self, table="events"):
        """(rows, different records among them) of one topic's table."""
        return self.sql(f"SELECT count(*), count(DISTINCT (_partition, _offset)) FROM {table}")[0]

    def wait_present(self, log, table="events", timeout=40):
        """Waits until each record of the log is in the table, once or more often."""
        want = sum(len(records) for records in log.records.values())
        wait.until(lambda: self.tally(table)[1] >= want, f"{want} different records in {table}", timeout)

    def check(self, log, table="events", *, delivery="exactly_once", **expected):
        """THE checker, see ledger.py. The daemons that still run are stopped first; Kafka runs again."""
        self.stop()
        self.kafka.revive()
        if delivery != "exactly_once":
            expected |= {"delivery": delivery, "positions": self.kafka.committed(self.group, log.topic)}
        ledger.check(self.connected(), self.sink, log, table, **expected)

    # The end

    def close(self):
        """Stops everything; returns what the daemons' logs must not show."""
        for d in self.daemons:
            d.close()
        faults = [f"{d.name}: {fault}" for d in self.daemons for fault in d.faults()]
        for proxy in self._proxies:
            proxy.close()
        with contextlib.suppress(Exception):
            self.db.close()
        self.postgres.drop_database(self.database)
        return faults
