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
  9. Kafka's side  each offset that a plain read_committed consumer sees below next_offset is accounted for too,
                   and the producer knows it; next_offset never lies beyond the end that this consumer reaches

The log is known from two sides. Kafka is read again, so that no record can be forgotten by a test; and the producer
has kept its tally, for what retention, DeleteRecords or a new topic of the same name has removed. Each offset of
either side must be accounted for. An offset that neither knows holds a marker, an aborted or a compacted record.

A start is not only the test's word: it must be the offset at which pgsinkd says that the partition began.

A topic that was created again, or whose log was truncated, has several logs (see generations.py). `former` says how
far each former one was stored; 1 to 5 then hold for each log alone, and the rows of a log come before those of the
next. `held` names the partitions that have noticed it and stand still: their ledger says what it said before.

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

from kit import dead_letters, generations
from kit.generations import Partition

NO_ROW = (ValueError, TypeError, LookupError, AttributeError)  # how contents() fails for a record that is no row
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
    """What differs from `every record of the log is a row`.

    None of them lets the ledger pass what Kafka shows without a word: `start` lies within the log, and everything
    from there on is accounted for; the ledger of a partition in `stops` says exactly that offset; gaps, `dead` and
    `without` name what they excuse, and nothing else may be missing there.
    """

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
    former: dict | list = field(default_factory=dict)  # of log.former: partition -> next_offset; default: all stored
    held: set = field(default_factory=set)  # partitions whose ledger still means the log before: nothing of this one

    def rows_of(self, record):
        return 1 if self.rows is None or record is None else self.rows(record)

    def former_of(self, n):
        """What is expected of log.former[n]; one dict stands for the only one."""
        return (self.former if isinstance(self.former, list) else [self.former])[n] if self.former else {}


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
    faults = []
    shown, gaps = log.shown(), _gaps(db, sink, log.topic)
    partitions = generations.partitions(log, shown, gaps, expect)
    if not model:
        _rows(db, log, table, contents or json_fields("id", "note"), expect, partitions, faults)
    _same_gaps(expect, gaps, faults)
    dead_letters.check(db, sink, log, partitions, expect, faults)
    if model:
        faults += model.faults(db, table, _passed(partitions, expect))
    _begun(db, sink, log, expect, faults)
    entries = _entries(db, sink, log) if expect.positions is None else expect.positions
    for p in sorted(set(partitions) | set(entries)):
        partition = partitions.setdefault(p, Partition())
        _tally(p, partition.now, shown.get(p), faults)
        if not model:
            for generation in partition.logs:
                _generation(p, generation, expect, faults)
            _unknown(p, partition, entries.get(p, 0), expect, faults)
        _ledger(p, partition, entries.get(p), shown.get(p), faults)
    if faults:
        raise LedgerError(log.topic, faults)


def _passed(partitions, expect):
    """The records that are to be applied, in the order of each partition."""
    for p, partition in sorted(partitions.items()):
        for log in partition.logs:
            for offset, record in sorted(log.records.items()):
                other = offset in log.dead or (p, offset) in expect.without
                if log.wants(offset) and not (log.skipped(offset) or other):
                    yield record


def _columns(db, table):
    rows = db.execute(
        "SELECT attname FROM pg_attribute WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped",
        [table],
    )
    return {name for (name,) in rows}


def _rows(db, log, table, contents, expect, partitions, faults):
    """Gives each row to its generation; checks order, invention and contents on the way."""
    columns = _columns(db, table)
    wanted = _contents_columns(log, contents)
    where = "WHERE _topic = %s" if "_topic" in columns else ""
    listed = "".join(f', "{name}"' for name in wanted)
    rows = db.execute(
        f"SELECT _partition, _offset{listed} FROM {table} {where} ORDER BY seq", [log.topic] if where else None
    )
    for p, offset, *values in rows:
        got = dict(zip(wanted, values, strict=True))
        generation, late = partitions.setdefault(p, Partition()).take(
            offset, expect.rows_of, lambda log, offset=offset, got=got: _fits(log, offset, contents, got)
        )
        _row(p, offset, got, generation, late, contents, expect, faults)


def _row(p, offset, got, generation, late, contents, expect, faults):
    name = f"{p}@{offset}{generation.label}"
    times = generation.rows[offset] = generation.rows.get(offset, 0) + 1
    if (p, offset) not in expect.replayed:
        if expect.order and (late or (offset <= generation.last and times == 1)):
            before = "a row of the next log" if late else f"{p}@{generation.last}"
            faults.append(("order", f"{name} was stored after {before}"))
        generation.last = max(offset, generation.last)
    record = generation.records.get(offset)
    if record is None:
        if offset not in generation.unknown:
            faults.append(("invention", f"{name} is a row, but no such record was committed"))
        return
    want = _want(contents, record, times)
    if not _alike(got, want):
        faults.append(("contents", f"{name} is {got} instead of {want}"))


def _want(contents, record, times):
    """What the n-th row of a record says; None where it makes fewer."""
    want = contents(record)
    if isinstance(want, list):
        return want[times - 1] if times <= len(want) else None
    return want


def _fits(generation, offset, contents, got):
    """Is the row one of this generation's record?"""
    try:
        want = _want(contents, generation.records[offset], generation.rows.get(offset, 0) + 1)
    except NO_ROW:
        return False
    return _alike(got, want)


def _contents_columns(log, contents):
    """The columns that contents() speaks of. It may fail for bad records, which are no rows anyhow."""
    for generation in [log.records, *(former.records for former in log.former)]:
        for record in (record for records in generation.values() for record in records.values()):
            try:
                found = contents(record)
                if found != []:
                    return list(found[0] if isinstance(found, list) else found)
            except NO_ROW:
                continue
    return []


def _alike(got, want):
    """A row beyond those that its record makes is a double; what it says is not compared."""
    return want is None or got == want or all(g == want[c] or (g is None and want[c] is None) for c, g in got.items())


def _exists(db, relation):
    return db.execute("SELECT to_regclass(%s) IS NOT NULL", [relation]).fetchone()[0]


def _gaps(db, sink, topic):
    """{partition: [(from, next)]}, in the order in which they were recorded."""
    found = {}
    if _exists(db, "pgsinkd.gaps"):
        for partition, first, after in db.execute(
            "SELECT partition, from_offset, next_offset FROM pgsinkd.gaps"
            " WHERE sink = %s AND topic = %s ORDER BY partition, recorded_at",
            [sink, topic],
        ):
            found.setdefault(partition, []).append((first, after))
    return found


def _same_gaps(expect, gaps, faults):
    for p in sorted(set(expect.gaps) | set(gaps)):
        if expect.gaps.get(p, []) != gaps.get(p, []):
            faults.append(("gaps", f"{p}: recorded {gaps.get(p, [])} instead of {expect.gaps.get(p, [])}"))


def _begun(db, sink, log, expect, faults):
    """Where the test says that a partition starts is where the daemon has written down that it began."""
    if expect.positions is not None or not _exists(db, "pgsinkd.partitions"):
        return
    for p, first in db.execute(
        "SELECT partition, first_offset FROM pgsinkd.partitions"
        " WHERE sink = %s AND topic = %s AND first_offset IS NOT NULL",
        [sink, log.topic],
    ):
        if p in expect.start and first != expect.start[p]:
            faults.append(("start", f"{p} began at {first} instead of {expect.start[p]}"))


def _entries(db, sink, log):
    """{partition: next_offset}."""
    return dict(
        db.execute(
            "SELECT partition, next_offset FROM pgsinkd.offsets WHERE sink = %s AND topic = %s", [sink, log.topic]
        ).fetchall()
    )


def _generation(p, log, expect, faults):
    """Loss, doubles and stops of one log of a partition."""
    for offset, times in log.rows.items():
        _surplus(p, offset, times, log, expect, faults)
    for offset, record in log.records.items():
        if not log.wants(offset) or log.rows.get(offset, 0) >= expect.rows_of(record):
            continue
        if not _excused(p, offset, log, expect):
            faults.append(("loss", f"{p}@{offset}{log.label} is not in the database"))


def _surplus(p, offset, times, log, expect, faults):
    """What is wrong with an offset for which there are rows."""
    name = f"{p}@{offset}{log.label}"
    if times > expect.rows_of(log.records.get(offset)) and expect.delivery != "at_least_once":
        faults.append(("double", f"{name} is there {times} times"))
    if log.stop is not None and offset >= log.stop:
        faults.append(("stop", f"{name} is a row, though the partition stands at {log.stop}"))
    if offset < log.start:
        faults.append(("start", f"{name} is a row, though the partition starts at {log.start}"))
    if log.skipped(offset):
        faults.append(("double", f"{name} is a row and a recorded skip"))
    if offset in log.dead:
        faults.append(("double", f"{name} is a row and a dead letter"))
    if (p, offset) in expect.without:
        faults.append(("double", f"{name} is a row, though the operator passed over it"))


def _excused(p, offset, log, expect):
    """Is there a reason why that offset has no row?"""
    return (
        offset in log.dead or log.skipped(offset) or (p, offset) in expect.without or expect.delivery == "at_most_once"
    )


def _tally(p, log, shown, faults):
    """Whether the producer and Kafka speak of the same log."""
    for offset in sorted(log.unknown):
        faults.append(("tally", f"{p}@{offset} is in Kafka, but its producer does not know it"))
    beyond = [offset for offset in log.records if shown and offset >= shown.end]
    if beyond:
        faults.append(("tally", f"{p}@{min(beyond)} was committed, but Kafka's log ends at {shown.end}"))


def _unknown(p, partition, at, expect, faults):
    """What only Kafka knows of has no row either, though the ledger has passed it."""
    log = partition.now
    for offset in sorted(log.unknown - log.rows.keys()):
        if offset < at and log.wants(offset) and not _excused(p, offset, log, expect):
            faults.append(("loss", f"{p}@{offset} is in Kafka below {at}, but not in the database"))


def _ledger(p, partition, at, shown, faults):
    """next_offset: exactly the offset of a stop, else anywhere after the last visible record up to the log's end."""
    log = partition.now
    if at is None:
        if log.offsets or partition.held is not None:
            faults.append(("ledger", f"{p} is unknown to it"))
        return
    passed = [o + 1 for o in log.offsets if log.wants(o)] + [after for _, after in log.gaps]
    low = max(passed, default=log.start)
    end = shown.end if shown else low
    high = end
    if partition.held is not None:
        low = high = partition.held
    elif log.stop is not None:
        low, high = log.stop, min(log.stop, end)
    if not low <= at <= high:
        want = str(low) if low == high else f"{low} … {high}"
        faults.append(("ledger", f"{p}: next_offset is {at} instead of {want} (end {end})"))
