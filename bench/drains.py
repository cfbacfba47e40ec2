"""A workload of bench/run that drains a topic: pgsinkd, the references, and both in turn."""

import functools
import json
import shlex
import statistics
import subprocess
import time

import psycopg

from kit import process
from kit.web import Web
from measure import say
from report import Result
from workloads import DELIVERIES

TABLE = "events"
UPSERT_ROWS = 50_000  # in each statement of the upsert by hand


class DrainBench:
    def __init__(self, lab, work, records):
        self.lab = lab
        self.work = work
        self.records = records
        self.port = None
        self.rows = records  # that remain in the table
        self.lacks = None

    def run(self, rounds):
        self.topic = self.lab.topic(self.work.topic, self.records)
        self.prepare()
        with self.lab.far_away(self.work.round_trip_ms) as self.port:
            result = Result(self.work, self.records, [], self.rows, self.lacks, self.round_trip())
            for i in range(rounds):
                result.rounds.append({name: measure() for name, measure in self.measurements().items()})
                rate = result.rounds[-1].get("pgsinkd", {}).get("steady_rows_per_second")
                done = f"{rate:,.0f} rows/s" if rate else self.lacks
                say(f"{self.work.name}, round {i + 1} of {rounds}: pgsinkd {done}")
        for path in self.lab.root.glob("rows.*"):
            path.unlink()
        self.lab.db.execute(f"DROP TABLE {TABLE}")
        return result

    def measurements(self):
        all_of_them = {
            "pgsinkd": self.pgsinkd,
            "scraped": lambda: self.pgsinkd(scraped=True),
            **{name: functools.partial(self.without_ledger, *how) for name, how in DELIVERIES.items()},
            "copy_binary": lambda: self.copy("binary"),
            "copy_text": lambda: self.copy("text"),
            "upsert": self.upsert_by_hand,
            "kcat": self.kcat,
            "encode": self.encode,
        }
        left_out = {"pgsinkd", "scraped"} if self.lacks else set()
        left_out |= set() if self.lab.options.scrape else {"scraped"}
        left_out |= set() if self.lab.options.delivery and not self.lacks else set(DELIVERIES)
        left_out |= set() if self.work.key else {"upsert"}
        left_out |= set() if self.work.encode else {"encode"}
        return {name: measure for name, measure in all_of_them.items() if name not in left_out}

    def round_trip(self):
        """Seconds, as measured through the proxy: its timers are as exact as the kernel's."""
        if not self.port:
            return None
        seconds = []
        with psycopg.connect(self.lab.postgres.dsn("postgres", port=self.port), autocommit=True) as db:
            for _ in range(11):
                began = time.monotonic()
                db.execute("SELECT 1")
                seconds.append(time.monotonic() - began)
        return statistics.median(seconds)

    # Before the rounds

    def prepare(self):
        """Warms up, and makes the rows of the references."""
        sink = "prepare"
        route = {k: v for k, v in self.work.route.items() if k not in ("mode", "key")}
        table = "arrived" if self.work.key else TABLE
        self.fresh_table(table, self.work.table.partition(", PRIMARY KEY")[0])
        config = self.lab.write_config(sink, self.topic, table, route)
        self.lab.measure([self.lab.options.binary, "run", "-c", config, "--until-end"], self.records)
        self.lab.forget(sink)
        if self.work.key:
            self.lacks = self.lab.refusal(self.lab.write_config("refusal", self.topic, TABLE, self.work.route))
            self.prepare_upsert()
        else:
            self.check_rows()
            self.export(TABLE, "binary", "text")

    def prepare_upsert(self):
        """All rows as they arrived, in pieces, and those that remain: the last of each id."""
        key = self.work.key
        rows, times = self.lab.db.execute("SELECT count(*), count(DISTINCT ts) FROM arrived").fetchone()
        assert rows == times == self.records, f"wrong rows: {(rows, times)}"
        self.lab.db.execute("DROP TABLE IF EXISTS expected")
        self.lab.db.execute(
            f"CREATE TABLE expected AS SELECT DISTINCT ON ({key}) * FROM arrived ORDER BY {key}, ts DESC"
        )
        self.rows = self.lab.db.execute("SELECT count(*) FROM expected").fetchone()[0]
        self.export("(SELECT * FROM arrived ORDER BY ts)", "text")
        whole = self.lab.root / "rows.text"
        subprocess.run(["split", "-l", str(UPSERT_ROWS), "-d", "-a", "5", whole, f"{whole}."], check=True)
        self.pieces = sorted(self.lab.root.glob("rows.text.*"))
        self.export("(SELECT * FROM expected ORDER BY ts)", "binary", "text")
        self.lab.db.execute("DROP TABLE arrived")

    def export(self, what, *names):
        for name in names:
            path = self.lab.root / f"rows.{name}"
            subprocess.run(self.lab.psql(f"\\copy {what} TO '{path}' (FORMAT {name})"), check=True)

    def fresh_table(self, table=TABLE, columns=None):
        self.lab.db.execute(f"DROP TABLE IF EXISTS {table}")
        self.lab.db.execute(f"CREATE TABLE {table} ({columns or self.work.table})")
        self.lab.db.execute("CHECKPOINT")

    def check_rows(self):
        """Every record is there once; of an upsert, exactly the last of each id."""
        db = self.lab.db
        if self.work.key:
            differ = db.execute(f"SELECT count(*) FROM (TABLE expected EXCEPT TABLE {TABLE}) d").fetchone()[0]
            count = db.execute(f"SELECT count(*) FROM {TABLE}").fetchone()[0]
            assert (count, differ) == (self.rows, 0), f"wrong rows: {count} instead of {self.rows}, {differ} differ"
            return
        identity = self.work.identity
        found = db.execute(
            f"SELECT count(*), count(DISTINCT i), sum(i) FROM (SELECT {identity} AS i FROM {TABLE}) t"
        ).fetchone()
        n = self.records
        total = n * (n + 1) // 2
        if self.work.format == "raw":
            ends = self.lab.kafka.ends(self.topic)
            total = sum((p << 40) * end + end * (end - 1) // 2 for p, end in ends.items())
        assert found == (n, n, total), f"wrong rows: {found} instead of {(n, n, total)}"

    # pgsinkd

    def pgsinkd(self, scraped=False):
        """scraped: with HTTP, and Prometheus' request every second."""
        lab = self.lab
        self.fresh_table()
        sink = f"drain{lab.runs}"
        web = Web(process.free_port())
        listen = {"http": {"listen": web.address}} if scraped else {}
        config = lab.write_config(sink, self.topic, TABLE, self.work.route, self.port, **listen)
        seen = []  # (moment, records) at each change
        scrapes = [time.monotonic()]

        def watch():
            if scraped and time.monotonic() >= scrapes[-1] + 1:
                web.get("/metrics")
                scrapes.append(time.monotonic())
            records = lab.stored(sink)
            if records > (seen[-1][1] if seen else 0):
                seen.append((time.monotonic(), records))

        wrap = shlex.split(lab.options.wrap)
        began = time.monotonic()
        got = lab.measure([*wrap, lab.options.binary, "run", "-c", config, "--until-end"], self.records, watch)
        self.check_rows()
        _, transactions = lab.totals(lab.log)
        (first, first_records), (last, last_records) = seen[0], seen[-1]
        moments = [moment for moment, _ in seen]
        got["first_row"] = first - began
        got["steady_rows_per_second"] = (last_records - first_records) / (last - first) if last > first else 0.0
        got["longest_pause"] = max((b - a for a, b in zip(moments, moments[1:], strict=False)), default=0.0)
        got["transactions"] = transactions
        got["transactions_per_second"] = transactions / got["seconds"]
        got["rows_per_transaction"] = self.records / transactions
        lab.forget(sink)
        return got

    def without_ledger(self, delivery, commit):
        """From start to exit: nothing in the database tells how far it is."""
        lab = self.lab
        self.fresh_table()
        config = lab.write_config(
            f"{delivery}-{commit}-{lab.runs}", self.topic, TABLE, self.work.route, self.port,
            kafka={"commit": commit}, delivery=delivery,
        )  # fmt: skip
        wrap = shlex.split(lab.options.wrap)
        got = lab.measure([*wrap, lab.options.binary, "run", "-c", config, "--until-end"], self.records)
        self.check_rows()
        return got

    # The references

    def copy(self, name):
        self.fresh_table()
        path = self.lab.root / f"rows.{name}"
        copy = f"\\copy {TABLE} FROM '{path}' (FORMAT {name})"
        got = self.lab.measure(self.lab.psql(copy, port=self.port), self.rows)
        self.check_rows()
        return got

    def upsert_by_hand(self):
        """Pieces of the rows as they arrived, each into a temporary table and from there into the table."""
        self.fresh_table()
        key = self.work.key
        sets = ", ".join(f"{c} = excluded.{c}" for c in self.work.columns if c != key)
        commands = [f"CREATE TEMPORARY TABLE piece (LIKE {TABLE})"]
        for path in self.pieces:
            commands += [
                "BEGIN",
                "TRUNCATE piece",
                f"\\copy piece FROM '{path}'",
                f"INSERT INTO {TABLE} SELECT DISTINCT ON ({key}) * FROM piece ORDER BY {key}, ts DESC"
                f" ON CONFLICT ({key}) DO UPDATE SET {sets}",
                "COMMIT",
            ]
        got = self.lab.measure(self.lab.psql(*commands, port=self.port), self.records)
        self.check_rows()
        return got

    def kcat(self):
        lab = self.lab
        argv = ["kcat", "-C", "-q", "-b", lab.kafka.bootstrap, "-t", self.topic, "-o", "beginning", "-c", self.records]
        return lab.measure(argv, self.records)

    def encode(self):
        """Decoding and encoding alone, on one CPU."""
        work = self.work
        raw = ["-r"] if work.format == "raw" else []
        mapping = [word for column, path in work.mapping.items() for word in ("-m", f"{column}={path}")]
        columns = [f"{name}:{kind}" for name, kind in work.columns.items()]
        sample = str(min(self.records, 100_000))
        argv = [self.lab.options.encode, *raw, *mapping, work.topic.kind, sample, *columns]
        done = subprocess.run(argv, capture_output=True, text=True)
        if done.returncode != 0:
            raise SystemExit(done.stderr)
        found = json.loads(done.stdout)
        found["rows_per_second"] = 1e9 / found["ns_per_record"]
        return found
