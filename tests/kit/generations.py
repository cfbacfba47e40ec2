"""The logs a partition has had: what of each is to be stored, and what of it was found in the database.

A partition has one log, unless its topic was created again or its log truncated (see records.py): then offsets name
other records than before, and a row, which says only (_partition, _offset), belongs to the log whose record it holds.
Where the contents do not tell, the order does: an offset that is there already begins the next log.

A gap that begins where a former log's rows end is the passage to the next log. It counts there, from where that log
departs from the former one up to the gap's next_offset.
"""

from dataclasses import dataclass, field


@dataclass
class Generation:
    """One log of one partition."""

    records: dict = field(default_factory=dict)  # offset -> Record, as its producer knows it
    start: int = 0  # nothing below is to be stored
    stop: int | None = None  # nothing from here on is to be stored
    gaps: list = field(default_factory=list)  # [(from, next)] recorded skips
    unknown: set = field(default_factory=set)  # offsets that Kafka shows and the producer does not know
    label: str = ""  # added to the name of an offset
    dead: set = field(default_factory=set)  # found: offsets that are dead letters
    rows: dict = field(default_factory=dict)  # found: offset -> number of rows
    last: int = -1  # found: the highest offset so far that was stored in its turn

    def wants(self, offset):
        return self.start <= offset and (self.stop is None or offset < self.stop)

    def skipped(self, offset):
        return any(first <= offset < after for first, after in self.gaps)

    @property
    def offsets(self):
        """All there are, by Kafka's account or by the producer's."""
        return self.records.keys() | self.unknown


class Partition:
    """The logs of one partition, oldest first; the last one is the log as it is now."""

    def __init__(self, logs=None, held=None):
        self.logs = logs or [Generation()]
        self.held = held  # where it stands if it stays in the log before the last one, else None
        self._at = 0

    @property
    def now(self):
        return self.logs[-1]

    def take(self, offset, rows_of, fits):
        """The log to which the next row belongs, in the order of rows, and whether a later log's rows came before.

        fits(generation): does the row say what that log's record says?
        """
        if len(self.logs) == 1:
            return self.now, False
        fitting = [n for n, log in enumerate(self.logs) if fits(log)]
        due = [n for n in fitting if n >= self._at and self._is_due(self.logs[n], offset, rows_of)]
        later = [n for n in fitting if n >= self._at]
        n = (due or later or fitting or [self._at])[0]
        late = n < self._at
        self._at = max(n, self._at)
        return self.logs[n], late

    @staticmethod
    def _is_due(log, offset, rows_of):
        return log.wants(offset) and offset >= log.last and log.rows.get(offset, 0) < rows_of(log.records[offset])


def partitions(log, shown, gaps, expect):
    """{partition: Partition} of a records.Log, before anything of the table is known."""
    return {
        p: _partition(p, log, shown.get(p), gaps.get(p, []), expect)
        for p in sorted(set(log.records) | set(shown) | {p for former in log.former for p in former.records})
    }


def _partition(p, log, shown, gaps, expect):
    logs, start, passed = [], expect.start.get(p, 0), []
    held = p in expect.held
    for n, former in enumerate(log.former):
        if p not in former.records:
            continue
        records = former.records[p]
        stop = expect.former_of(n).get(p, max(records, default=-1) + 1)
        own, passage, gaps = _split(gaps, stop)
        logs.append(Generation(records, start, stop, passed + own, label=f" of former log {n}"))
        start = min(former.cut[p], stop)
        passed = [(start, after) for _, after in passage]
    records = log.records.get(p, {})
    assert logs or not held, f"{p} has no former log in which it could be held"
    unknown = set(shown.offsets) - records.keys() if shown else set()
    logs.append(Generation(records, start, start if held else expect.stops.get(p), passed + gaps, unknown))
    return Partition(logs, logs[-2].stop if held else None)


def _split(gaps, stop):
    """Gaps in the order they were recorded: those of a log whose rows end at `stop`, the passage, and later ones.

    Where nothing records the passage (the partition is held, or an operator moved it), a gap below `stop` is taken
    for one of the former log; if it is not, records of the next one are missing, which the checker finds.
    """
    for n, (first, _) in enumerate(gaps):
        if first == stop:
            return gaps[:n], gaps[n : n + 1], gaps[n + 1 :]
    return [gap for gap in gaps if gap[1] <= stop], [], [gap for gap in gaps if gap[1] > stop]
