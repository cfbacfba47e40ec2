"""The checker's part about dead letters: every one was announced, and holds its record as it was produced."""

import datetime

COLUMNS = (
    'partition, "offset", route, timestamp, key, value, header_names, header_values, error_class, message, attempts'
)


def check(db, sink, log, expect, faults):
    """The set of (partition, offset) that are dead letters of the topic; what is wrong with them goes to faults.

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
        _letter(log, expect, row, faults)
    return set(places)


def _letter(log, expect, row, faults):
    partition, offset, route, timestamp, key, value, names, values, error_class, message, attempts = row
    name = f"{partition}@{offset}"
    record = log.records.get(partition, {}).get(offset)
    if record is None:
        faults.append(("invention", f"{name} is a dead letter, but no such record was committed"))
        return
    stop = expect.stops.get(partition)
    if stop is not None and offset >= stop:
        faults.append(("stop", f"{name} is a dead letter, though the partition stands at {stop}"))
    if offset < expect.start.get(partition, 0):
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
