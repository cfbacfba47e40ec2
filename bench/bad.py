"""The measurements of bench/bad, which installs and builds what this needs, and says what the options are."""

import argparse
import json
import shlex
import statistics

from lab import Lab
from measure import say
from workloads import EVENTS

PARTITIONS = 16
COLUMNS = ", ".join(f"{name} {kind}" for name, kind in EVENTS.items())

# name: (which of our topics, every so manieth row that PostgreSQL refuses; 0 = none)
DRAINS = {
    "none": (0, 0),
    "json-100": (100, 0),
    "refused-100": (0, 100),
    "json-10": (10, 0),
    "refused-10": (0, 10),
    "json-1": (1, 0),
    "refused-1": (0, 1),
}
TITLES = {"none": "none", "json": "not JSON", "refused": "CHECK"}


def title(name):
    kind, _, every = name.partition("-")
    return f"{TITLES[kind]}, {100 // int(every)} %" if every else TITLES[kind]


class Bad:
    def __init__(self, lab, options):
        self.lab = lab
        self.options = options
        self.topics = {}

    def topic(self, every):
        """Events, of which every so manieth is not JSON."""
        if every not in self.topics:
            self.topics[every] = f"bad{every}"
            self.lab.kafka.create_topic(self.topics[every], PARTITIONS)
            bad = ["-b", every] if every else []
            self.lab.produce(self.topics[every], self.options.records, *bad)
            say(f"produced {self.options.records} records, {'every %d. bad' % every if every else 'none bad'}")
        return self.topics[every]

    def drain(self, name):
        lab, records = self.lab, self.options.records
        bad_json, refused = DRAINS[name]
        topic = self.topic(bad_json)
        lab.db.execute("DROP TABLE IF EXISTS events")
        # The same work for each row, whether it is refused or not.
        lab.db.execute(f"CREATE TABLE events ({COLUMNS}, CHECK (id % {refused or records + 1} <> 0))")
        lab.db.execute("CHECKPOINT")
        sink = f"{name}-run{lab.runs}"
        config = lab.write_config(sink, topic, "events", {"max_dead_letters": "off"})
        got = lab.measure([*shlex.split(self.options.wrap), self.options.binary, "run", "-c", config, "--until-end"], records)
        dead = records // (bad_json or refused or records + 1)
        self.check(sink, records - dead, dead)
        _, got["transactions"] = lab.totals(lab.log)
        lab.forget(sink)
        lab.db.execute("TRUNCATE pgsinkd.dead_letters")
        return got

    def check(self, sink, rows, dead):
        count = "SELECT (SELECT count(DISTINCT id) FROM events), (SELECT count(*) FROM events), count(*)"
        found = self.lab.db.execute(f"{count} FROM pgsinkd.dead_letters WHERE sink = %s", [sink]).fetchone()
        assert found == (rows, rows, dead), f"{sink}: rows and dead letters are {found} instead of {(rows, rows, dead)}"


def summary(rounds, baseline):
    """Medians; and the seconds as a multiple of those without a bad record, round by round."""
    got = {key: statistics.median(r[key] for r in rounds) for key in rounds[0]}
    got["times"] = statistics.median(r["seconds"] / b["seconds"] for r, b in zip(rounds, baseline, strict=True))
    return got


def table(results):
    head = ("bad records", "records/s", "time", "CPU s per M", "backends", "WAL bytes/record", "transactions")
    print("| " + " | ".join(head) + " |\n|" + "---|" * len(head))
    for name, r in results.items():
        print(
            f"| {title(name)} | {r['rows_per_second']:,.0f} | {r['times']:.2f} | {r['cpu']:.2f} | "
            f"{r['cpu_backends']:.2f} | {r['wal_bytes_per_row']:,.0f} | {r['transactions']:,.0f} |"
        )


def read_options():
    parser = argparse.ArgumentParser(prog="bench/bad")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--records", type=int, default=500_000)
    parser.add_argument("--workers", type=int, default=0)
    parser.add_argument("--only", type=lambda text: text.split(","), default=list(DRAINS))
    parser.add_argument("--binary", required=True)
    parser.add_argument("--producer", required=True)
    parser.add_argument("--wrap", default="")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--keep", action="store_true")
    options = parser.parse_args()
    options.only = [name for name in DRAINS if name in options.only or name == "none"]
    return options


def main():
    options = read_options()
    rounds = {name: [] for name in options.only}
    with Lab(options) as lab:
        bad = Bad(lab, options)
        bad.drain("none")  # warms up, and makes the schema
        for n in range(options.rounds):
            for name in options.only:
                rounds[name].append(bad.drain(name))
                say(f"round {n + 1}: {title(name)}: {rounds[name][-1]['seconds']:.2f} s")
    results = {name: summary(r, rounds["none"]) for name, r in rounds.items()}
    if options.json:
        print(json.dumps({"rounds": rounds, "summary": results}, indent=2))
    else:
        table(results)


if __name__ == "__main__":
    main()
