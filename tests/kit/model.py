"""What a table of a route with a key must hold: the records applied one by one, in order.

    model = Model(mode="upsert", key=["id"], columns=["id", "note"], deletes=True)
    bench.check(log, "things", model=model)

The model knows nothing of batches, SQL or write paths; order is that of each partition, so a key must stay
in one partition, unless versions decide.
"""

import json
from dataclasses import dataclass, field


def json_row(record):
    """The fields of the key and of the value, as far as they are there."""
    row = json.loads(record.key) if record.key else {}
    return row | (json.loads(record.value) if record.value is not None else {})


@dataclass
class Model:
    mode: str  # upsert, ignore, update
    key: list
    columns: list  # that the route fills, the key among them
    row: object = json_row  # record -> {column: value as psycopg reads it}; what is lacking is left out
    defaults: dict = field(default_factory=dict)  # of columns that have a DEFAULT; others are NULL
    deletes: object = False  # True: a record without a value deletes; or record -> bool
    mark: str | None = None  # soft_delete: a boolean column
    version: object = None  # only_if_newer: a column, or several
    start: list = field(default_factory=list)  # rows that are there before, as dicts

    def table(self, records):
        """{key: row} after all records."""
        rows = {self._key(row): dict(row) for row in self.start}
        for record in records:
            self._apply(rows, record)
        return rows

    def _key(self, row):
        return tuple(row[name] for name in self.key)

    def _versions(self):
        return [self.version] if isinstance(self.version, str) else self.version or []

    def _is_newer(self, there, came):
        """The first column that differs decides; NULL in the table is older than everything."""
        for name in self._versions():
            if there[name] is None or there[name] != came[name]:
                return there[name] is not None and there[name] > came[name]
        return False

    def _apply(self, rows, record):
        came = {name: value for name, value in self.row(record).items() if name in self.columns}
        deletes = self.deletes(record) if callable(self.deletes) else self.deletes and record.value is None
        if self.mark:
            came[self.mark] = deletes
        key = self._key(came)
        there = rows.get(key)
        if there and self._is_newer(there, came):
            return
        if deletes and not self.mark:
            rows.pop(key, None)
        elif deletes:
            if there:
                there |= {name: came[name] for name in (self.mark, *self._versions())}
        elif self.mode == "update":
            if there:
                there |= came
        elif there is None or self.mode == "upsert":
            rows[key] = {name: self.defaults.get(name) for name in self.columns} | came

    def faults(self, db, table, records):
        """(kind, text) for each difference between the table and the model."""
        listed = ", ".join(f'"{name}"' for name in self.columns)
        got = {}
        for values in db.execute(f"SELECT {listed} FROM {table}"):
            row = dict(zip(self.columns, values, strict=True))
            got[self._key(row)] = row
        want = self.table(records)
        found = []
        for key in sorted(set(got) | set(want), key=str):
            if got.get(key) != want.get(key):
                found.append(("model", f"{table} {key} is {got.get(key)} instead of {want.get(key)}"))
        return found
