"""The checker's part about dead letters: every one was announced, and holds its record as it was produced."""

import datetime

from kit.generations import Partition

COLUMNS = (
    'partition, "offset", route, timestamp, key, value, header_names, header_values, error_class, message, attempts'
)


def check(db, sink, log, partitions, expect, faults):
    """Notes the dead letters of the topic in their generations; what is wrong with them goes to faults.

    expect.dead   a set of (partition, offset), or how many there are
    expect.route  only those of this route; None: of all, and then no record may be there for two
    """
    if not db.execute("SELECT to_regclass('pgsinkd.dead_letters') IS NOT NULL").fetchone()[0]:
        found = []
    else:
        found = db.execute(
            f"SELECT {COLUMNS} FROM pgsinkd.dead_letters WHERE sink = %(sink)s AND topic = %(topic)s"
            " AND (%(route)s::text IS NULL OR route = %(route)s) ORDER BY 1, 2",
            {"sink": sink, "topic": log.topic, "route": expect.route},
        ).fetchall()
    places = [row[:2] for row in found]
    if isinstance(expect.dead, int):
        if len(places) != expect.dead:
            faults.append(("dead letters", f"{len(places)} instead of {expect.dead}: {places[:10]}"))
    elif places != sorted(expect.dead):
        faults.append(("dead letters", f"{places} instead of {sorted(expect.dead)}"))
    for row in found:
        _letter(partitions.setdefault(row[0], Partition()), row, faults)


def _holder(partition, offset, value):
    """The log from which the dead letter came: the newest whose record there has that value, or the newest of all."""
    for log in reversed(partition.logs):
        if offset in log.records and log.records[offset].value == value:
            return log
    return partition.now


def _letter(partition, row, faults):
    number, offset, route, timestamp, key, value, names, values, error_class, message, attempts = row
    log = _holder(partition, offset, value)
    log.dead.add(offset)
    name = f"{number}@{offset}{log.label}"
    record = log.records.get(offset)
    if record is None:
        if offset in log.unknown:
            return  # there is a finding for that
        faults.append(("invention", f"{name} is a dead letter, but no such record was committed"))
        return
    if log.stop is not None and offset >= log.stop:
        faults.append(("stop", f"{name} is a dead letter, though the partition stands at {log.stop}"))
    if offset < log.start:
        faults.append(("start", f"{name} is a dead letter, though the partition starts later"))
    got = {
        "timestamp": timestamp and timestamp.astimezone(datetime.UTC),
        "key": key,
        "value": value,
        "headers": None if names is None else list(zip(names, values, strict=True)),
    }
    want = {"timestamp": record.time, "key": record.key, "value": record.value, "headers": _headers(record)}
    for what, wanted in want.items():
        if got[what] != wanted:
            faults.append(("letter", f"the {what} of dead letter {name} is {got[what]!r} instead of {wanted!r}"))
    if not route or not message or error_class not in ("record", "database") or attempts < 1:
        faults.append(("letter", f"dead letter {name} says {(route, error_class, message, attempts)}"))


def _bytes(text):
    return text.encode() if isinstance(text, str) else text


def _headers(record):
    """As produced: a list of (name, value) or a dict; none at all is None."""
    headers = record.headers.items() if isinstance(record.headers, dict) else record.headers
    return [(_bytes(name), _bytes(value)) for name, value in headers or []] or None
