"""Everything that bench/run measures; the script installs and builds what this needs, and says what the options are."""

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

from kit import kafka, postgres

import plots
import report
from drains import DrainBench
from lab import Lab
from measure import SERVER, say
from trickle import TrickleBench
from workloads import Drain, choose


def first_line(*argv):
    return subprocess.run(list(map(str, argv)), capture_output=True, text=True).stdout.split("\n")[0]


def about(options):
    return {
        "pgsinkd": first_line(options.binary, "version"),
        "postgresql": first_line(postgres.bindir() / "postgres", "--version"),
        "kafka": kafka.VERSION,
        "cpus": os.cpu_count(),
        "load_before": os.getloadavg()[0],
        "workers": options.workers,
        "settings": SERVER,
    }


def measure(lab, options, works):
    """The Result of each workload."""
    records = {w.name: options.records or w.records for w in works if isinstance(w, Drain)}
    results = []
    for i, work in enumerate(works):
        if isinstance(work, Drain):
            bench = DrainBench(lab, work, records[work.name])
        else:
            bench = TrickleBench(lab, work)
        results.append(bench.run(options.rounds))
        lab.keep_topics({(w.topic, records[w.name]) for w in works[i + 1 :] if isinstance(w, Drain)})
    return results


def as_json(results, known):
    works = {}
    for r in results:
        works[r.work.name] = {"title": r.work.title, "records": r.records, "rounds": r.rounds}
        if isinstance(r.work, Drain):
            works[r.work.name] |= {
                "rows": r.rows,
                "not_in_this_version": r.lacks,
                "round_trip": r.round_trip,
                "summary": report.summary(r),
            }
    return json.dumps({"about": known, "workloads": works}, indent=2) + "\n"


def read_options():
    parser = argparse.ArgumentParser(prog="bench/run")
    parser.add_argument("--only", type=lambda text: text.split(","), default=[])
    parser.add_argument("--records", type=int)
    parser.add_argument("--seconds", type=int, default=15)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--workers", type=int, default=0)
    parser.add_argument("--delivery", action="store_true")
    parser.add_argument("--scrape", action="store_true")
    parser.add_argument("--binary", required=True)
    parser.add_argument("--tools", type=Path, required=True)  # where producer, encode and delay are
    parser.add_argument("--wrap", default="")
    parser.add_argument("--json", nargs="?", const="-")
    parser.add_argument("--plots", type=Path)
    parser.add_argument("--keep", action="store_true")
    options = parser.parse_args()
    if options.rounds < 1 or options.seconds < 1 or not (options.records is None or options.records >= 1000):
        parser.error("at least 1000 records, one round, one second")
    try:
        works = choose(options.only)
    except ValueError as e:
        parser.error(str(e))
    for name in ("producer", "encode", "delay"):
        setattr(options, name, options.tools / name)
    return options, works


def main():
    options, works = read_options()
    known = about(options)
    say("\n".join(f"{key}: {value}" for key, value in known.items()))
    with Lab(options) as lab:
        known["fdatasync_per_second"] = lab.fsync()
        say(f"fdatasync per second: {known['fdatasync_per_second']}")
        results = measure(lab, options, works)
    if options.plots:
        plots.write(options.plots, results)
    if options.json:
        text = as_json(results, known)
        if options.json == "-":
            sys.stdout.write(text)
        else:
            Path(options.json).write_text(text)
    if options.json != "-":
        report.print_all(results, known["cpus"])


if __name__ == "__main__":
    main()
