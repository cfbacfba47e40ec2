"""What bench/run measures: the records, the topics, the tables. Nothing here does anything."""

import dataclasses

EVENTS = {"id": "int8", "ts": "timestamptz", "user_id": "int4", "amount": "float8", "kind": "text", "note": "text"}
NARROW = {"id": "int8", "device": "int4", "reading": "int4", "ts": "timestamptz"}
LANDING = {
    "topic": "text", "partition": "int4", "offset": "int8", "timestamp": "timestamptz",
    "key": "bytea", "value": "bytea",
}  # fmt: skip
TEN_TYPES = ("int8", "int4", "int2", "float8", "numeric", "bool", "text", "timestamptz", "date", "uuid")
WIDE = {f"c{i:02}": TEN_TYPES[i % 10] for i in range(40)}
# Drains without a ledger, with --delivery: (delivery, kafka.commit)
DELIVERIES = {
    "at_least_once": ("at_least_once", "sync"),
    "at_least_once_async": ("at_least_once", "async"),
    "at_most_once": ("at_most_once", "sync"),
}


@dataclasses.dataclass(frozen=True)
class Topic:
    """What a topic is filled with: workloads with the same one share it."""

    kind: str = "events"  # see records.h
    partitions: int = 16
    codec: str = "none"
    hot: bool = False  # all records are in partition 0


@dataclasses.dataclass(frozen=True)
class Drain:
    """A topic that was filled before, read to its end."""

    name: str
    title: str
    records: int
    topic: Topic = Topic()
    columns: dict = dataclasses.field(default_factory=lambda: EVENTS)
    key: str = ""  # the table's primary key: mode upsert
    format: str = "json"
    mapping: dict = dataclasses.field(default_factory=dict)  # the route's `columns:`
    identity: str = "id"  # an SQL expression: 1 to the number of records, each once
    round_trip_ms: int = 0  # to PostgreSQL
    encode: bool = True  # whether encode-only differs from that of another workload

    @property
    def route(self):
        extra = {"format": self.format}
        if self.mapping:
            extra["columns"] = self.mapping
        if self.key:
            extra |= {"mode": "upsert", "key": [self.key]}
        return extra

    @property
    def table(self):
        columns = [f'"{name}" {kind}' for name, kind in self.columns.items()]
        return ", ".join(columns + ([f"PRIMARY KEY ({self.key})"] if self.key else []))


@dataclasses.dataclass(frozen=True)
class Trickle:
    """Few records a second over many partitions: what each second costs."""

    name: str
    title: str
    partitions: int = 1000
    rate: int = 2000


WORKLOADS = [
    Drain("W1", "JSON of 200 bytes into six columns", 2_000_000),
    Drain("W2", "JSON of 75 bytes into three integers and a time", 2_000_000, Topic("narrow"), NARROW),
    Drain(
        "W3", "documents of 1 KB into one jsonb column", 400_000, Topic("documents"), {"doc": "jsonb"},
        mapping={"doc": "value"}, identity="(doc->>'id')::int8",
    ),
    Drain(
        "W4", "W1's records as they are, format raw, key and value as bytea", 2_000_000, columns=LANDING, format="raw",
        identity='"partition"::int8 << 40 | "offset"',
    ),
    Drain("W5-uniform", "upsert of 1,000,000 ids, each as likely", 2_000_000, Topic("uniform"), key="id", encode=False),
    Drain("W5-zipfian", "upsert of 1,000,000 ids, zipfian 0.99", 2_000_000, Topic("zipfian"), key="id", encode=False),
    Trickle("W6", "2,000 records a second over 1,000 partitions"),
    Drain("W7", "as W1, all in one partition of 16", 1_000_000, Topic(hot=True), encode=False),
    Drain("W8-lz4", "as W1, compressed with lz4", 2_000_000, Topic(codec="lz4"), encode=False),
    Drain("W8-zstd", "as W1, compressed with zstd", 2_000_000, Topic(codec="zstd"), encode=False),
    Drain("W9", "JSON of 750 bytes into 40 columns of ten types", 400_000, Topic("wide"), WIDE, identity="c00"),
    Drain("W10-5ms", "as W1, PostgreSQL 5 ms away", 2_000_000, round_trip_ms=5, encode=False),
    Drain("W10-50ms", "as W1, PostgreSQL 50 ms away", 2_000_000, round_trip_ms=50, encode=False),
]  # fmt: skip


def choose(names):
    """Those named, in order: `W8` stands for W8-lz4 and W8-zstd. ValueError for a name that is none."""
    if not names:
        return WORKLOADS
    for name in names:
        if not any(_called(w, name) for w in WORKLOADS):
            raise ValueError(f"no workload is called {name}: {', '.join(w.name for w in WORKLOADS)}")
    return [w for w in WORKLOADS if any(_called(w, name) for name in names)]


def _called(workload, name):
    return workload.name == name or workload.name.startswith(f"{name}-")
