"""The measurements of bench/latency, which installs and builds what this needs, and says what the options are.

When a row is visible is read off the snapshots that PostgreSQL gives: a connection asks for its snapshot all the time,
and a row is visible from the first answer on in which its transaction has ended. A commit's own timestamp is earlier:
PostgreSQL takes it before it flushes the commit to disk. Both are reported. All clocks are one: CLOCK_REALTIME.
"""

import argparse
import array
import bisect
import json
import math
import subprocess
import threading
import time
from pathlib import Path

import psycopg
from kit import daemon, kafka, postgres, process, wait

from measure import SERVER, Servers, say

TABLE = "id bigint, sent bigint, note text"
DRAIN_TABLE = "id bigint, ts timestamptz, user_id int, amount float8, kind text, note text"
PARTITIONS = 16
WARM_UP = 20  # records
# (rate, seconds); half of the maximum comes last
RATES = ((1, 30), (100, 20), (1000, 15), (10_000, 10))
HALF_SECONDS = 8
BARE_RATE = 10_000  # the bare consumer takes part up to here
TINY = {"queued.min.messages": 1000, "queued.max.messages.kbytes": 128, "fetch.message.max.bytes": 16384}
TINY_SECONDS = 20  # a drain that sleeps a second again and again would take minutes
QUANTILES = {"p50": 0.5, "p99": 0.99, "p99.9": 0.999, "max": 1.0}
STEPS = 2  # bars of the histogram in a power of two


def now_usec():
    return time.time_ns() // 1000


def quantiles(values):
    """Milliseconds of microseconds."""
    values = sorted(values)
    n = len(values)
    return {name: values[max(0, math.ceil(q * n) - 1)] / 1000 for name, q in QUANTILES.items()} | {"count": n}


def bar_of(usec):
    return math.floor(math.log2(max(usec, 1)) * STEPS)


def bar_starts(bar):
    """Milliseconds."""
    return 2 ** (bar / STEPS) / 1000


# ---- watching PostgreSQL ----


class Watcher:
    """Asks for something again and again on a connection of its own, until it is stopped."""

    def __init__(self, db, query, pause):
        self.db = db
        self.query = query.encode()
        self.pause = pause
        self.over = threading.Event()
        self.answers = []  # (moment after the answer, the rows), where they differ from the ones before
        self.asked = 0
        self.thread = threading.Thread(target=self._run)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.thread.join()
        self.db.close()

    def _run(self):
        pgconn = self.db.pgconn
        pgconn.prepare(b"q", self.query)
        last = None
        while not self.over.wait(self.pause):
            result = pgconn.exec_prepared(b"q", [])
            at = now_usec()
            self.asked += 1
            rows = [result.get_value(i, 0) for i in range(result.ntuples)]
            if rows != last:
                self.answers.append((at, rows))
                last = rows


def visible_since(snapshots, xids):
    """{xid: moment}: the first of the snapshots, xmin:xmax:running, in which each has ended."""
    xids = sorted(xids)
    found, running, done = {}, set(), 0
    for at, (snapshot,) in snapshots:
        _, end, active = snapshot.decode().split(":")
        begun = bisect.bisect_left(xids, int(end))
        running.update(xids[done:begun])
        done = max(done, begun)
        active = {int(xid) for xid in active.split(",") if xid}
        for xid in running - active:
            found[xid] = at
        running &= active
    return found


# ---- the measurements ----


class Latency:
    def __init__(self, options, servers):
        self.options = options
        self.servers = servers
        self.db = servers.db
        self.kafka = servers.kafka
        self.sinks = 0

    def sink(self, table):
        self.sinks += 1
        name = f"l{self.sinks}"
        self.kafka.create_topic(name, PARTITIONS)
        self.db.execute(f"CREATE TABLE {name} ({table})")
        return name

    def run(self, sink, topic, properties=None, args=()):
        config = self.servers.config(sink, [topic], table=sink, properties=properties)
        return daemon.Daemon(self.servers.root, sink, config, args=args)

    # What is compared with

    def fsync(self):
        """Milliseconds of one fdatasync, as pg_test_fsync measures it beside the server's data."""
        argv = [postgres.bindir() / "pg_test_fsync", "-s", 1, "-f", self.servers.postgres.root / "fsync"]
        argv = postgres.as_server_user([str(a) for a in argv])
        with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, cwd="/") as popen:
            for line in popen.stdout:
                if line.split()[:1] == ["fdatasync"]:
                    popen.terminate()  # the others are of no interest
                    return float(line.split()[3]) / 1000
        raise SystemExit("pg_test_fsync says nothing about fdatasync")

    def one_row_commits(self):
        """INSERT of one row, in autocommit, on a warm connection; and how long before the answer it was stamped."""
        self.db.execute(f"CREATE TABLE one ({TABLE})")
        took, answered = [], {}
        with self.servers.postgres.connect() as db:
            for i in range(550):
                began = now_usec()
                db.execute("INSERT INTO one VALUES (%s, %s, 'a row')", [i, began])
                ended = now_usec()
                answered[i] = ended
                took.append(ended - began)
        stamped = self.db.execute(
            "SELECT id, (1e6 * extract(epoch FROM pg_xact_commit_timestamp(xmin)))::bigint FROM one"
        ).fetchall()
        return {
            "commit": quantiles(took[50:]),
            "answer_after_stamp": quantiles(answered[i] - at for i, at in stamped if i >= 50),
        }

    # Drains

    def drain(self, sink, topic, n, properties=None, limit=60.0):
        """Rows per second from the first to the last that was seen."""
        self.db.execute("CHECKPOINT")
        seen = []
        d = self.run(sink, topic, properties, ["--until-end"])
        while d.running and time.monotonic() < d.started + limit:
            rows = self.servers.stored(sink)
            if rows > 0 and (not seen or rows != seen[-1][1]):
                seen[1:] = [(time.monotonic(), rows)]
            time.sleep(0.01)
        if d.running:
            d.terminate()
        assert d.popen.wait() == 0, d.log()
        (began, first), (ended, last) = seen[0], seen[-1]
        found = {
            "rows_per_second": (last - first) / (ended - began) if ended > began else 0.0,
            "seconds": ended - d.started,
            "rows": last,
            "records": n,
        }
        d.close()
        return found

    def produce(self, topic, n):
        subprocess.run([self.options.producer, self.kafka.bootstrap, topic, str(n)], check=True)

    def drains(self):
        n = self.options.records
        sink = self.sink(DRAIN_TABLE)
        self.produce(sink, n)
        found = {"maximum": self.drain(sink, sink, n)}
        n = min(n, 200_000)
        topic = self.sink(DRAIN_TABLE)
        self.produce(topic, n)
        found["small"] = self.drain(topic, topic, n)
        sink = self.sink(DRAIN_TABLE)
        found["small_tiny_queues"] = self.drain(sink, topic, n, TINY, TINY_SECONDS)
        return found

    # Latencies

    def pace(self, *argv):
        return process.spawn([self.options.pace, *argv], stdout=subprocess.PIPE, stderr=None)

    def moments(self, path):
        """(handed over or seen, acknowledged or seen), microseconds after each was due."""
        both = array.array("i", path.read_bytes())
        return both[0::2], both[1::2]

    def warm_up(self, sink):
        warm = self.pace("send", self.kafka.bootstrap, sink, 100, WARM_UP, "/dev/null")
        assert warm.wait() == 0
        wait.until(lambda: self.servers.stored(sink) == WARM_UP, f"{sink} to be warm")

    def at_rate(self, rate, seconds):
        sink = self.sink(TABLE)
        n = rate * seconds
        sent_file, seen_file = self.servers.root / "sent", self.servers.root / "seen"
        d = self.run(sink, sink)
        self.warm_up(sink)
        self.db.execute("CHECKPOINT")
        see = None
        if rate <= BARE_RATE:
            see = self.pace("see", self.kafka.bootstrap, sink, n, seen_file)
            assert see.stdout.readline() == b"ready\n"
        pause = 0.0005 if rate <= BARE_RATE else 0.002
        reader = Watcher(self.servers.postgres.connect(), f"SELECT sent FROM {sink} ORDER BY ctid", pause)
        with Watcher(self.servers.postgres.connect(), "SELECT pg_current_snapshot()", pause) as watcher:
            send = self.pace("send", self.kafka.bootstrap, sink, rate, n, sent_file)
            begin = int(send.stdout.readline())
            if rate == 1:
                with reader:
                    assert send.wait() == 0
            else:
                reader.db.close()
                assert send.wait() == 0
            wait.until(lambda: self.servers.stored(sink) >= WARM_UP + n, f"{n} rows in {sink}", 60)
            time.sleep(3 * pause)  # the watcher sees the last as well
        assert see is None or see.wait(10) == 0
        d.terminate()
        d.close()
        late, acked = self.moments(sent_file)
        found = {"rate": rate, "seconds": seconds}
        if see:
            seen = self.moments(seen_file)[0]
            found["bare_consumer"] = quantiles(seen)
        found |= self.latencies(sink, begin, n, watcher, seen if see else None)
        found["sender_late"] = quantiles(late)
        found["acknowledged"] = quantiles(acked)
        found["snapshots_per_second"] = watcher.asked / seconds
        if rate == 1:
            found["reader"] = self.compare(sink, begin, reader)
        got = found["visible"]
        say(f"{rate} records/s: p50 {got['p50']:.2f} ms, p99 {got['p99']:.2f} ms, max {got['max']:.2f} ms")
        return found

    def latencies(self, sink, begin, n, watcher, seen):
        xids = {
            xid: stamped
            for xid, stamped in self.db.execute(
                "SELECT x::text::bigint, (1e6 * extract(epoch FROM pg_xact_commit_timestamp(x)))::bigint"
                f" FROM (SELECT DISTINCT xmin FROM {sink} WHERE sent >= %s) AS t(x)",
                [begin],
            )
        }
        visible = visible_since(watcher.answers, xids)
        assert visible.keys() == xids.keys(), "a transaction was never seen to end"
        self.db.execute("CREATE TEMP TABLE seen (xid xid, stamped bigint, visible bigint)")
        with self.db.cursor().copy("COPY seen FROM STDIN") as copy:
            for xid, stamped in xids.items():
                copy.write_row((xid, stamped, visible[xid]))
        found = {"transactions": len(xids)}
        for name in ("visible", "stamped"):
            of = f"FROM {sink} AS e JOIN seen ON seen.xid = e.xmin WHERE e.sent >= {begin}"
            values, count = self.db.execute(
                f"SELECT percentile_disc(%s) WITHIN GROUP (ORDER BY {name} - sent), count(*) {of}",
                [list(QUANTILES.values())],
            ).fetchone()
            assert count == n, f"{count} rows of {n}"
            found[name] = {q: v / 1000 for q, v in zip(QUANTILES, values, strict=True)} | {"count": count}
        bars = self.db.execute(
            f"SELECT floor(log(2, greatest(visible - sent, 1)) * {STEPS})::int, count(*) {of} GROUP BY 1 ORDER BY 1"
        ).fetchall()
        found["histogram"] = {bar: count for bar, count in bars}
        found["visible_after_stamp"] = quantiles(visible[xid] - stamped for xid, stamped in xids.items())
        if seen is not None:
            rows = self.db.execute(f"SELECT id, visible - sent {of}").fetchall()
            found["after_bare_consumer"] = quantiles(usec - seen[i - 1] for i, usec in rows)
        self.db.execute("DROP TABLE seen")
        return found

    def compare(self, sink, begin, reader):
        """A reader that looks at the rows themselves: how long after the stamp it sees each."""
        first = {}
        for at, rows in reader.answers:
            for sent in rows:
                first.setdefault(int(sent), at)
        stamped = self.db.execute(
            "SELECT sent, (1e6 * extract(epoch FROM pg_xact_commit_timestamp(xmin)))::bigint"
            f" FROM {sink} WHERE sent >= %s",
            [begin],
        ).fetchall()
        return {
            "visible": quantiles(first[sent] - sent for sent, _ in stamped),
            "after_stamp": quantiles(first[sent] - at for sent, at in stamped),
        }

    def measure(self):
        found = {"fsync": self.fsync()} | self.one_row_commits()
        say(f"fdatasync {found['fsync']:.2f} ms, a commit of one row {found['commit']['p50']:.2f} ms")
        found["drains"] = self.drains()
        maximum = found["drains"]["maximum"]["rows_per_second"]
        tiny = found["drains"]["small_tiny_queues"]["rows_per_second"]
        say(f"drain {maximum:,.0f} rows/s, with tiny queues {tiny:,.0f} rows/s")
        found["rates"] = [self.at_rate(*pair) for pair in RATES]
        found["rates"].append(self.at_rate(int(maximum / 2), HALF_SECONDS))
        return found


# ---- what it prints ----


def row(title, values):
    print(f"{title:<34}" + "".join(f"{values[q]:>10.2f}" for q in QUANTILES))


def print_tables(found):
    rates = found["rates"]
    heads = "".join(f"{q:>10}" for q in QUANTILES)
    print(f"\n{'milliseconds':<34}{heads}")
    for r in rates:
        print(f"{r['rate']:,} records/s, {r['transactions'] / r['seconds']:,.0f} transactions/s")
        row("  visible", r["visible"])
        for title, key in (
            ("seen by a bare consumer", "bare_consumer"),
            ("visible after the bare consumer", "after_bare_consumer"),
            ("acknowledged to the sender", "acknowledged"),
            ("handed over by the sender", "sender_late"),
            ("commit's timestamp", "stamped"),
        ):
            if key in r:
                row(f"  {title}", r[key])
        row("  visible after that timestamp", r["visible_after_stamp"])
        if "reader" in r:
            row("  seen by a reader of the table", r["reader"]["visible"])
            row("  the reader after that timestamp", r["reader"]["after_stamp"])
    print(f"\none fdatasync: {found['fsync']:.2f} ms")
    print(f"{'':<34}{heads}")
    row("a commit of one row, answered", found["commit"])
    row("  and after its timestamp", found["answer_after_stamp"])
    at_100 = next(r for r in rates if r["rate"] == 100)["visible"]["p99"]
    print(f"p99 at 100 records/s, without one fdatasync: {at_100 - found['fsync']:.2f} ms (target: 5 ms)")
    for title, key in (
        ("drain", "maximum"),
        ("drain, fewer records", "small"),
        ("drain, tiny queues", "small_tiny_queues"),
    ):
        d = found["drains"][key]
        how_much = f"{d['rows']} of {d['records']} in {d['seconds']:.2f} s"
        print(f"{title:<34}{d['rows_per_second']:>10,.0f} rows/s, {how_much}")
    print_histogram(rates)


def all_bars(rates):
    bars = [bar for r in rates for bar in r["histogram"]]
    return range(min(bars), max(max(bars), bar_of(2_000_000)) + 1)


def print_histogram(rates):
    print(f"\n{'visible after':<20}" + "".join(f"{format(r['rate'], ',') + '/s':>12}" for r in rates))
    for bar in all_bars(rates):
        label = f"{bar_starts(bar):,.2f} ms and more"
        print(f"{label:<20}" + "".join(f"{r['histogram'].get(bar, '.'):>12}" for r in rates))


def svg(rates):
    """One panel a rate; both axes are logarithmic, so that a single late record shows."""
    width, panel, left, right = 760, 110, 110, 20
    bars = all_bars(rates)
    step = (width - left - right) / len(bars)
    out = []

    def text(x, y, what, anchor="start"):
        out.append(f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{what}</text>')

    for i, r in enumerate(rates):
        base = 30 + (i + 1) * panel
        tallest = math.log10(max(r["histogram"].values())) + 1
        text(left - 10, base - panel / 2, f"{r['rate']:,}/s", "end")
        for bar, count in r["histogram"].items():
            height = (math.log10(count) + 1) / tallest * (panel - 25)
            x = left + (bar - bars[0]) * step
            out.append(
                f'<rect x="{x:.1f}" y="{base - height:.1f}" width="{step - 1:.1f}" height="{height:.1f}">'
                f"<title>{count} from {bar_starts(bar):.2f} ms</title></rect>"
            )
        out.append(f'<line x1="{left}" x2="{width - right}" y1="{base}" y2="{base}"/>')
    bottom = 30 + len(rates) * panel
    for usec in (100, 1000, 10_000, 100_000, 1_000_000, 10_000_000):
        if bars[0] <= bar_of(usec) <= bars[-1]:
            x = left + (math.log2(usec) * STEPS - bars[0]) * step
            out.append(f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="30" y2="{bottom}"/>')
            text(x, bottom + 18, f"{usec / 1000:g} ms", "middle")
    text(left, 18, "From the due moment of a record to its visible row; records, both axes logarithmic")
    style = "text{font:13px sans-serif}rect{fill:#36c}line{stroke:#333}.grid{stroke:#ccc}"
    body = "\n".join(out)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {bottom + 30}" width="{width}">\n'
        f'<style>{style}</style>\n<rect width="100%" height="100%" style="fill:#fff"/>\n{body}\n</svg>\n'
    )


def main():
    parser = argparse.ArgumentParser(prog="bench/latency")
    parser.add_argument("--records", type=int, default=1_000_000)
    parser.add_argument("--binary", required=True)
    parser.add_argument("--pace", required=True)
    parser.add_argument("--producer", required=True)
    parser.add_argument("--plots", type=Path)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--keep", action="store_true")
    options = parser.parse_args()
    daemon.BINARY = Path(options.binary).resolve()
    settings = {"track_commit_timestamp": "on"}
    with Servers(options.keep, **settings) as servers:
        found = Latency(options, servers).measure()
    found["about"] = {"kafka": kafka.VERSION, "psycopg": psycopg.__version__, "settings": SERVER | settings}
    if options.plots:
        options.plots.mkdir(parents=True, exist_ok=True)
        (options.plots / "latency.svg").write_text(svg(found["rates"]))
    if options.json:
        print(json.dumps(found, indent=2))
    else:
        print_tables(found)


if __name__ == "__main__":
    main()
