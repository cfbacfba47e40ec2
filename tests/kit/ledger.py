"""THE checker: every produced offset is in the database exactly once, in order, with its contents.

Every integration and chaos test ends with check(). What it proves, for one topic and one table:

  1. no loss       each offset of the log is a row, a recorded skip, or a dead letter
  2. no double     it is only one of them, and only once
  3. no invention  there is no row whose offset was never committed to the topic
  4. order         the rows of a partition were inserted in the order of their offsets
  5. contents      each row says what its record said
  6. ledger        next_offset is the last stored offset + 1, or lies between that and the end of the
                   partition where nothing visible follows (transaction markers, compaction)
  7. a stop        a partition that stands at offset X has everything below X and nothing from X on
  8. dead letters  those which the test announced and no others, each holding its record as it was produced

The other modes of delivery are proved with delivery= and positions=, what the group has committed:
at_least_once drops 2 (no double), at_most_once drops 1 (no loss); then 6 is about the group's offsets.

Order is seen by the column `seq bigint GENERATED ALWAYS AS IDENTITY` that every test table has. It draws
from a sequence when a row is built. Inside one COPY or INSERT rows are built in the order they were sent;
two transactions of the same partition cannot overlap, because each starts by updating that partition's
row of the ledger and keeps its lock until it has committed. So seq rises exactly with the order in which
rows were stored. (ctid would not do: freed space is used again. xmin tells only transactions apart.)

Test tables have the columns seq, _partition and _offset, and _topic where several topics share one; no
unique constraint on them, or a double could not be seen.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, field

from kit import dead_letters

LIMIT = 20  # faults shown; there may be thousands


class LedgerError(AssertionError):
    """The promise is broken. `faults` has a (kind, text) for each finding."""

    def __init__(self, topic, faults):
        self.faults = faults
        kinds = {}
        for kind, _ in faults:
            kinds[kind] = kinds.get(kind, 0) + 1
        lines = [f"{topic}: " + ", ".join(f"{n} x {kind}" for kind, n in sorted(kinds.items()))]
        lines += [f"  {kind}: {text}" for kind, text in faults[:LIMIT]]
        if len(faults) > LIMIT:
            lines.append(f"  … and {len(faults) - LIMIT} more")
        super().__init__("\n".join(lines))


def json_fields(*names):
    """Expected contents: these columns hold the JSON fields of the same name."""

    def contents(record):
        document = json.loads(record.value)
        return {name: document.get(name) for name in names}

    return contents


def offsets_only(_record):
    """Expected contents where the values do not matter or are checked elsewhere."""
    return {}


@dataclass
class Expected:
    """What differs from `every record of the log is a row`."""

    start: dict = field(default_factory=dict)  # partition -> first offset to be stored
    stops: dict = field(default_factory=dict)  # partition -> offset it stands at
    gaps: dict = field(default_factory=dict)  # partition -> [(from, next)] recorded skips
    dead: set | int = field(default_factory=set)  # (partition, offset) of dead letters, or their number
    route: str | None = None  # whose dead letters count, where the topic has several routes
    without: set = field(default_factory=set)  # (partition, offset) the operator passed over by SQL
    replayed: set = field(default_factory=set)  # (partition, offset) that replay() has stored: late, in no order
    rows: Callable | None = None  # record -> how many rows the route makes of it; None: one of each
    delivery: str = "exactly_once"
    order: bool = True  # False: a zombie may have stored its last batch behind its heir's
    positions: dict | None = None  # partition -> next offset; default: those of the ledger

    def rows_of(self, record):
        return 1 if self.rows is None or record is None else self.rows(record)


def check(db, sink, log, table, *, contents=None, model=None, **expected):
    """Proves the promise for one topic (a records.Log) and one table, or raises LedgerError.

    db        connection to the target database
    contents  record -> {column: value as psycopg reads it}, or a list of them where it makes several
              rows; default: the plain test record's fields
    model     of a route with a key, see model.py: the table is what the records come to in order, in
              place of 1 to 5
    others    see Expected
    """
    expect = Expected(**expected)
    contents = contents or json_fields("id", "note")
    faults = []
    stored = {} if model else _rows(db, log, table, contents, expect.replayed, faults)
    if not expect.order:
        faults = [(kind, text) for kind, text in faults if kind != "order"]
    gaps = _gaps(db, sink, log.topic)
    _same_gaps(expect, gaps, faults)
    expect.dead = dead_letters.check(db, sink, log, expect, faults)  # from here on what there is
    if model:
        faults += model.faults(db, table, _passed(log, expect, gaps))
    for p in [] if model else sorted(set(log.records) | set(stored)):
        _partition(p, log.records.get(p, {}), stored.get(p, {}), gaps.get(p, []), expect, faults)
    _ledger(db, sink, log, expect, gaps, faults)
    if faults:
        raise LedgerError(log.topic, faults)


def _passed(log, expect, gaps):
    """The records that are to be applied, in the order of each partition."""
    for p, records in sorted(log.records.items()):
        for offset, record in sorted(records.items()):
            skipped = any(first <= offset < after for first, after in gaps.get(p, []))
            beyond = p in expect.stops and offset >= expect.stops[p]
            other = (p, offset) in expect.dead or (p, offset) in expect.without
            if offset >= expect.start.get(p, 0) and not (skipped or beyond or other):
                yield record


def _columns(db, table):
    rows = db.execute(
        "SELECT attname FROM pg_attribute WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped",
        [table],
    )
    return {name for (name,) in rows}


def _rows(db, log, table, contents, replayed, faults):
    """{partition: {offset: times}} of the table; checks order, invention and contents on the way."""
    columns = _columns(db, table)
    wanted = _contents_columns(log, contents)
    where = "WHERE _topic = %s" if "_topic" in columns else ""
    listed = "".join(f', "{name}"' for name in wanted)
    rows = db.execute(
        f"SELECT _partition, _offset{listed} FROM {table} {where} ORDER BY seq", [log.topic] if where else None
    )
    stored, last = {}, {}
    for partition, offset, *values in rows:
        name = f"{partition}@{offset}"
        offsets = stored.setdefault(partition, {})
        offsets[offset] = offsets.get(offset, 0) + 1
        if (partition, offset) not in replayed:
            if offset <= last.get(partition, -1) and offsets[offset] == 1:
                faults.append(("order", f"{name} was stored after {partition}@{last[partition]}"))
            last[partition] = max(offset, last.get(partition, -1))
        record = log.records.get(partition, {}).get(offset)
        if record is None:
            faults.append(("invention", f"{name} is a row, but no such record was committed"))
            continue
        want = contents(record)
        if isinstance(want, list):
            want = want[offsets[offset] - 1] if offsets[offset] <= len(want) else {}
        got = dict(zip(wanted, values, strict=True))
        if not _alike(got, want):
            faults.append(("contents", f"{name} is {got} instead of {want}"))
    return stored


def _contents_columns(log, contents):
    """The columns that contents() speaks of. It may fail for bad records, which are no rows anyhow."""
    for records in log.records.values():
        for record in records.values():
            try:
                found = contents(record)
                if found != []:
                    return list(found[0] if isinstance(found, list) else found)
            except (ValueError, TypeError, LookupError, AttributeError):
                continue
    return []


def _alike(got, want):
    return got == want or all(g == want[c] or (g is None and want[c] is None) for c, g in got.items())


def _exists(db, relation):
    return db.execute("SELECT to_regclass(%s) IS NOT NULL", [relation]).fetchone()[0]


def _gaps(db, sink, topic):
    found = {}
    if _exists(db, "pgsinkd.gaps"):
        for partition, first, after in db.execute(
            "SELECT partition, from_offset, next_offset FROM pgsinkd.gaps"
            " WHERE sink = %s AND topic = %s ORDER BY 1, 2",
            [sink, topic],
        ):
            found.setdefault(partition, []).append((first, after))
    return found


def _same_gaps(expect, gaps, faults):
    for p in sorted(set(expect.gaps) | set(gaps)):
        if expect.gaps.get(p, []) != gaps.get(p, []):
            faults.append(("gaps", f"{p}: recorded {gaps.get(p, [])} instead of {expect.gaps.get(p, [])}"))


def _partition(p, records, stored, gaps, expect, faults):
    """Loss, doubles and stops of one partition."""
    start = expect.start.get(p, 0)
    stop = expect.stops.get(p)
    for offset, times in stored.items():
        if times > expect.rows_of(records.get(offset)) and expect.delivery != "at_least_once":
            faults.append(("double", f"{p}@{offset} is there {times} times"))
        if stop is not None and offset >= stop:
            faults.append(("stop", f"{p}@{offset} is a row, though the partition stands at {stop}"))
        if offset < start:
            faults.append(("start", f"{p}@{offset} is a row, though the partition starts at {start}"))
        if any(first <= offset < after for first, after in gaps):
            faults.append(("double", f"{p}@{offset} is a row and a recorded skip"))
        if (p, offset) in expect.dead:
            faults.append(("double", f"{p}@{offset} is a row and a dead letter"))
    for offset, record in records.items():
        if offset < start or (stop is not None and offset >= stop):
            continue
        if stored.get(offset, 0) >= expect.rows_of(record):
            continue
        if (p, offset) in expect.dead or (p, offset) in expect.without:
            continue
        if any(first <= offset < after for first, after in gaps) or expect.delivery == "at_most_once":
            continue
        faults.append(("loss", f"{p}@{offset} is not in the database"))


def _ledger(db, sink, log, expect, gaps, faults):
    """next_offset. Where nothing invisible follows the last record, low and high are the same."""
    entries = expect.positions
    if entries is None:
        entries = dict(
            db.execute(
                "SELECT partition, next_offset FROM pgsinkd.offsets WHERE sink = %s AND topic = %s", [sink, log.topic]
            ).fetchall()
        )
    ends = log.ends()
    for p in sorted(set(log.records) | set(entries)):
        records = log.records.get(p, {})
        if p not in entries:
            if records:
                faults.append(("ledger", f"{p} is unknown to it"))
            continue
        at, end = entries[p], ends.get(p, 0)
        start = expect.start.get(p, 0)
        stop = expect.stops.get(p, end)
        passed = [o for o in records if start <= o < stop]
        low = max([o + 1 for o in passed] + [after for _, after in gaps.get(p, [])], default=start)
        high = max(low, stop)
        if not low <= at <= high:
            want = str(low) if low == high else f"{low} … {high}"
            faults.append(("ledger", f"{p}: next_offset is {at} instead of {want} (end {end})"))
