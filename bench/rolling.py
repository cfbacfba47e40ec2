"""The measurement of bench/rolling, which installs and builds what this needs, and says what the options are.

A partition's gaps are the times between two of its rows, by the time at which each was stored. What restarts cost is the
longest gap of each partition in the time of the restarts, beside the longest in a time as long without.
"""

import argparse
import json
import statistics
import subprocess
import time
from pathlib import Path

from kit import daemon, process

from measure import Servers, say

TABLE = "id bigint, sent bigint, note text, _partition int, _offset bigint, stored timestamptz NOT NULL DEFAULT clock_timestamp()"
SETTLED_SECONDS = 2  # how long all must own partitions, and no partition change hands
WAYS = {
    "cooperative": {"partition.assignment.strategy": "cooperative-sticky"},
    "static": {"partition.assignment.strategy": "cooperative-sticky", "group.instance.id": "member-{}"},
    "eager": {"partition.assignment.strategy": "roundrobin"},
}
GAPS = """
WITH moments AS (SELECT _partition, stored FROM {0} WHERE stored BETWEEN %(begin)s AND %(end)s
                 UNION ALL SELECT DISTINCT _partition, m FROM {0}, unnest(ARRAY[%(begin)s, %(end)s]::timestamptz[]) m),
     gaps AS (SELECT _partition, stored - lag(stored) OVER (PARTITION BY _partition ORDER BY stored) AS gap, stored FROM moments)
SELECT _partition, extract(epoch FROM max(gap))::float8 FROM gaps GROUP BY _partition ORDER BY _partition
"""


class Rolling:
    def __init__(self, options, servers):
        self.options = options
        self.servers = servers
        self.db = servers.db
        self.started = 0

    def config(self, sink, way, member):
        properties = {key: value.format(member) for key, value in WAYS[way].items()}
        properties |= dict(p.split("=", 1) for p in self.options.property)
        config = self.servers.config(sink, [sink], table=sink, properties=properties)
        return config

    def run(self, config):
        self.started += 1
        return daemon.Daemon(self.servers.root, f"daemon{self.started}", config)

    def now(self):
        return self.db.execute("SELECT clock_timestamp()").fetchone()[0]

    def owners(self, sink):
        """{partition: (owner, epoch)}"""
        rows = self.db.execute(
            "SELECT partition, owner, owner_epoch FROM pgsinkd.offsets WHERE sink = %s", [sink]
        ).fetchall()
        return {partition: (owner, epoch) for partition, owner, epoch in rows}

    def settle(self, sink, daemons):
        """Waits until all own partitions, and until that has not changed for a while."""
        pids = {str(d.pid) for d in daemons}
        last, since = None, time.monotonic()
        deadline = time.monotonic() + 120
        while time.monotonic() < since + SETTLED_SECONDS:
            found = self.owners(sink)
            if found != last or {owner.split(":")[1] for owner, _ in found.values() if owner} != pids:
                last, since = found, time.monotonic()
            assert time.monotonic() < deadline, f"the owners of {sink}: {found}"
            time.sleep(0.02)

    def gaps(self, sink, begin, end):
        return dict(self.db.execute(GAPS.format(sink), {"begin": begin, "end": end}).fetchall())

    def measure(self, way):
        o = self.options
        sink = f"rolling_{way}"
        self.servers.kafka.create_topic(sink, o.partitions)
        self.db.execute(f"CREATE TABLE {sink} ({TABLE})")
        argv = [o.pace, "send", self.servers.kafka.bootstrap, sink, o.rate, o.rate * 3600, "/dev/null"]
        load = process.spawn([str(a) for a in argv], stdout=subprocess.DEVNULL, stderr=None)
        daemons = [self.run(self.config(sink, way, n)) for n in range(o.daemons)]
        rounds = []
        try:
            for d in daemons:
                d.wait_ready()
            self.settle(sink, daemons)
            for _ in range(o.rounds):
                rounds.append(self.round(sink, way, daemons))
        finally:
            load.kill()
            load.wait()
        for d in daemons:
            d.terminate()
        doubled = self.db.execute(f"SELECT count(*) - count(DISTINCT (_partition, _offset)) FROM {sink}").fetchone()[0]
        stored = self.servers.stored(sink)
        rows = self.db.execute(f"SELECT count(*) FROM {sink}").fetchone()[0]
        assert doubled == 0 and rows == stored, f"{rows} rows, {doubled} of them twice, {stored} in the ledger"
        self.db.execute(f"DROP TABLE {sink}")
        self.servers.kafka.delete_topic(sink)
        return rounds

    def round(self, sink, way, daemons):
        begin = self.now()
        began = time.monotonic()
        stops, ready = [], []
        for n in range(len(daemons)):
            stops.append(daemons[n].terminate())
            daemons[n] = self.run(self.config(sink, way, n))
            daemons[n].wait_ready()
            ready.append(time.monotonic() - daemons[n].started)
            self.settle(sink, daemons)
        end = self.now()
        seconds = time.monotonic() - began
        restarts = self.gaps(sink, begin, end)
        begin = self.now()
        time.sleep(seconds)
        quiet = self.gaps(sink, begin, self.now())
        say(f"{way}: {max(restarts.values()):.2f} s, quiet {max(quiet.values()):.2f} s")
        return {"restarts": restarts, "quiet": quiet, "seconds": seconds, "stop": stops, "ready": ready}


def print_table(found):
    print(f"{'longest gap of a partition, s':<32}{'median':>10}{'maximum':>10}{'stop':>10}{'ready':>10}")
    for way, rounds in found.items():
        for what in ("quiet", "restarts"):
            gaps = [gap for r in rounds for gap in r[what].values()]
            more = ""
            if what == "restarts":
                more = "".join(f"{max(s for r in rounds for s in r[key]):>10.2f}" for key in ("stop", "ready"))
            print(f"{way + ', ' + what:<32}{statistics.median(gaps):>10.3f}{max(gaps):>10.3f}{more}")


def main():
    parser = argparse.ArgumentParser(prog="bench/rolling")
    parser.add_argument("--only", default=",".join(WAYS))
    parser.add_argument("--daemons", type=int, default=4)
    parser.add_argument("--partitions", type=int, default=16)
    parser.add_argument("--rate", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--property", action="append", default=[])
    parser.add_argument("--binary", required=True)
    parser.add_argument("--pace", required=True)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--keep", action="store_true")
    options = parser.parse_args()
    daemon.BINARY = Path(options.binary).resolve()
    with Servers(options.keep) as servers:
        rolling = Rolling(options, servers)
        found = {way: rolling.measure(way) for way in options.only.split(",")}
    if options.json:
        print(json.dumps(found, indent=2))
    else:
        print_table(found)


if __name__ == "__main__":
    main()
