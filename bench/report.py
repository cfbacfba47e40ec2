"""What bench/run prints: one table for each workload, and one that sets them side by side."""

import dataclasses
import statistics

from workloads import DELIVERIES, Drain, Trickle

# The bars and the lines, in their order.
RATES = {
    "pgsinkd": "pgsinkd, first to last row",
    "pgsinkd_whole": "pgsinkd, start to exit",
    "at_least_once": "at_least_once, start to exit",
    "at_least_once_async": "its commits async",
    "at_most_once": "at_most_once, start to exit",
    "copy_binary": "\\copy binary",
    "copy_text": "\\copy text",
    "upsert": "upsert by hand, 50,000 each",
    "kcat": "kcat to /dev/null",
    "encode": "encode only, one CPU",
}
NOT_HERE = "not in this version"
WIDTH = 29


@dataclasses.dataclass
class Result:
    """What a workload gave."""

    work: Drain | Trickle
    records: int
    rounds: list  # of {what was measured: figures}
    rows: int | None = None  # of a drain: how many are in the table at the end
    lacks: str | None = None  # why this pgsinkd cannot do it
    round_trip: float | None = None  # to PostgreSQL, in seconds, if it is far away


def rates(rounds, name):
    """One for each round; empty when it was not measured."""
    source = name.removesuffix("_whole")
    figure = "steady_rows_per_second" if name == "pgsinkd" else "rows_per_second"
    return [r[source][figure] for r in rounds if source in r]


def median(rounds, *path):
    """Of a figure that stands so deep in each round; None when it was not measured."""
    found = []
    for value in rounds:
        for key in path:
            value = value.get(key) if value else None
        if value is not None:
            found.append(value)
    return statistics.median(found) if found else None


def summary(result):
    """Of a drain: medians and their ratios to \\copy binary; CPU seconds of everybody and what they allow."""
    rounds = result.rounds
    medians = {name: statistics.median(rates(rounds, name)) for name in RATES if rates(rounds, name)}
    copy = medians["copy_binary"]
    found = {
        "rows_per_second": medians,
        "ratio_to_copy_binary": {name: value / copy for name, value in medians.items()},
    }
    if "pgsinkd" in medians:
        figures = ("cpu", "cpu_backends", "cpu_postgres_helpers", "cpu_kafka")
        found["cpu_of_all"] = sum(median(rounds, "pgsinkd", figure) for figure in figures)
        found["backends_to_copy_binary"] = median(rounds, "pgsinkd", "cpu_backends") / median(
            rounds, "copy_binary", "cpu_backends"
        )
    return found


def _cells(values, form):
    return "".join(f"{form.format(v) if v is not None else '-':>11}" for v in values)


def print_drain(result, cpus):
    work, rounds = result.work, result.rounds
    found = summary(result)
    remain = "" if result.rows == result.records else f", {result.rows:,} rows remain: those are what \\copy brings"
    far = f", round trip of {result.round_trip * 1e3:.1f} ms" if result.round_trip else ""
    print(f"\n{work.name}: {work.title}\n{result.records:,} records, {work.topic.partitions} partitions{remain}{far}")
    heads = [f"round {i + 1}" for i in range(len(rounds))] + ["median"]
    print(f"\n{'rows/s':<{WIDTH}}{''.join(f'{head:>11}' for head in heads)}{'ratio':>8}")
    for name, title in RATES.items():
        values = rates(rounds, name)
        if values:
            ratio = found["ratio_to_copy_binary"][name]
            values.append(found["rows_per_second"][name])
            print(f"{title:<{WIDTH}}{_cells(values, '{:,.0f}')}{ratio:>8.2f}")
        elif name == "pgsinkd":
            print(f"{title:<{WIDTH}}  {NOT_HERE}: {result.lacks}")

    heads = ("itself", "backends", "wal etc.", "kafka", "peak MB", "WAL B/row")
    print(f"\n{'CPU s per million, medians':<{WIDTH}}{''.join(f'{head:>11}' for head in heads)}")
    for name in ("pgsinkd", *DELIVERIES, "copy_binary", "copy_text", "upsert", "kcat"):
        if median(rounds, name, "cpu") is None:
            continue
        figures = ("cpu", "cpu_backends", "cpu_postgres_helpers", "cpu_kafka")
        cells = _cells([median(rounds, name, f) for f in figures], "{:.2f}")
        more = _cells([median(rounds, name, "peak_rss") / 1e6, median(rounds, name, "wal_bytes_per_row")], "{:.0f}")
        print(f"{RATES[name].partition(',')[0]:<{WIDTH}}{cells}{more}")
    encode = median(rounds, "encode", "ns_per_record")
    if encode is not None:
        print(f"{'encode only':<{WIDTH}}{_cells([encode / 1e3], '{:.2f}')}")
    if "cpu_of_all" in found:
        print_details(rounds, found, cpus)


def print_details(rounds, found, cpus):
    def each(figure, form):
        return "  ".join(form.format(r["pgsinkd"][figure]) for r in rounds)

    print(
        f"\npgsinkd: transactions {each('transactions', '{}')}; a second {each('transactions_per_second', '{:.0f}')};"
        f" rows in each {each('rows_per_transaction', '{:.0f}')}\n"
        f"first row after {each('first_row', '{:.2f}')} s; longest time without new rows"
        f" {each('longest_pause', '{:.2f}')} s\n"
        f"all together {found['cpu_of_all']:.2f} CPU s per million: {cpus} CPUs allow"
        f" {cpus * 1e6 / found['cpu_of_all']:,.0f} rows/s"
    )


def print_trickle(result):
    rounds = result.rounds
    print(f"\n{result.work.name}: {result.work.title}")
    heads = [f"round {i + 1}" for i in range(len(rounds))] + ["median"]
    print(f"\n{'':<{WIDTH}}{''.join(f'{head:>11}' for head in heads)}")
    lines = [
        ("ready after, s", "pgsinkd", ("ready",), "{:.2f}"),
        ("idle: pgsinkd, CPU ms/s", "pgsinkd", ("idle", "cpu"), "{:.1f}"),
        ("idle: backends", "pgsinkd", ("idle", "cpu_backends"), "{:.1f}"),
        ("idle: Kafka", "pgsinkd", ("idle", "cpu_kafka"), "{:.1f}"),
        ("flow: records/s", "pgsinkd", ("records_per_second",), "{:.0f}"),
        ("flow: pgsinkd, CPU ms/s", "pgsinkd", ("flow", "cpu"), "{:.1f}"),
        ("flow: backends", "pgsinkd", ("flow", "cpu_backends"), "{:.1f}"),
        ("flow: wal etc.", "pgsinkd", ("flow", "cpu_postgres_helpers"), "{:.1f}"),
        ("flow: Kafka", "pgsinkd", ("flow", "cpu_kafka"), "{:.1f}"),
        ("transactions/s", "pgsinkd", ("transactions_per_second",), "{:.1f}"),
        ("rows per transaction", "pgsinkd", ("rows_per_transaction",), "{:.1f}"),
        ("WAL bytes per row", "pgsinkd", ("wal_bytes_per_row",), "{:.0f}"),
        ("lag at the end, records", "pgsinkd", ("lag_records",), "{:.0f}"),
        ("caught up after, s", "pgsinkd", ("caught_up",), "{:.3f}"),
        ("peak MB", "pgsinkd", ("peak_rss",), "{:.0f}"),
        ("kcat instead: records/s", "kcat", ("records_per_second",), "{:.0f}"),
        ("kcat instead, CPU ms/s", "kcat", ("flow", "cpu"), "{:.1f}"),
        ("with kcat: Kafka", "kcat", ("flow", "cpu_kafka"), "{:.1f}"),
    ]
    for title, who, path, form in lines:
        scale = 1e3 if "cpu" in path[-1] else 1e-6 if path[-1] == "peak_rss" else 1
        values = [median([r], who, *path) * scale for r in rounds]
        print(f"{title:<{WIDTH}}{_cells([*values, statistics.median(values)], form)}")


def print_all(results, cpus):
    drains = [result for result in results if isinstance(result.work, Drain)]
    for result in results:
        if result in drains:
            print_drain(result, cpus)
        else:
            print_trickle(result)
    if len(drains) > 1:
        print_overview(drains)


def print_overview(drains):
    heads = ("rows/s", "to binary", "to text", "CPU itself", "backends", "to binary")
    print(f"\n{'pgsinkd, medians':<16}{''.join(f'{head:>12}' for head in heads)}")
    for result in drains:
        found = summary(result)
        if "cpu_of_all" not in found:
            print(f"{result.work.name:<16}  {NOT_HERE}")
            continue
        medians = found["rows_per_second"]
        cells = (
            f"{medians['pgsinkd']:,.0f}", f"{found['ratio_to_copy_binary']['pgsinkd']:.2f}",
            f"{medians['pgsinkd'] / medians['copy_text']:.2f}", f"{median(result.rounds, 'pgsinkd', 'cpu'):.2f}",
            f"{median(result.rounds, 'pgsinkd', 'cpu_backends'):.2f}", f"{found['backends_to_copy_binary']:.2f}",
        )  # fmt: skip
        print(f"{result.work.name:<16}{''.join(f'{cell:>12}' for cell in cells)}")
