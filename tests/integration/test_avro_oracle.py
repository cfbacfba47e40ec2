"""The reader of Avro against Apache's own Python library, over schemas and values made by chance.

Each schema is generated, values of it are written by python3-avro, and the same values once more by the writer below,
which splits arrays and maps into blocks as other writers do. What pgsinkd reads must be what was written: as JSON, with
the logical types applied, and as single cells. Then the bytes are spoilt: cut, changed, with something after them. What
is taken all the same must be what python3-avro reads there, to the last byte.

The seed is printed; PGSINKD_AVRO_SEED repeats a run.
"""

import base64
import io
import json
import math
import os
import random
import struct
import subprocess
import time
import uuid
from datetime import date, datetime, timedelta
from decimal import Decimal, getcontext
from pathlib import Path

import avro.io
import avro.schema
from kit import daemon

READ_FORMAT = Path(
    os.environ.get("PGSINKD_READ_FORMAT", daemon.BINARY.parent / "tests" / "unit" / "row" / "read_format"),
)  # fmt: skip

SEED = int(os.environ.get("PGSINKD_AVRO_SEED", time.time_ns() % 1_000_000_000))
SCHEMAS = 150
VALUES = 12

EPOCH = datetime(1970, 1, 1)
getcontext().prec = 1000
PRIMITIVES = ["null", "boolean", "int", "long", "float", "double", "string", "bytes"]
LOGICAL = {
    "int": ["date", "time-millis"],
    "long": [
        "time-micros",
        "timestamp-millis",
        "timestamp-micros",
        "local-timestamp-millis",
        "local-timestamp-micros",
        "timestamp-nanos",
    ],
    "string": ["uuid"],
    "bytes": ["decimal"],
}


class Maker:
    """Schemas and values of them, by chance."""

    def __init__(self, seed):
        self.random = random.Random(seed)
        self.names = 0
        self.made = []  # records, enums and fixed that may be used again

    def name(self):
        self.names += 1
        return f"N{self.names}"

    def schema(self, depth, also_union=True):
        kinds = ["primitive"] * 6 + ["logical"] * 3 + ["enum", "fixed"]
        if depth > 0:
            kinds += ["record"] * 3 + ["array", "map"] * 2 + (["option", "option", "union"] if also_union else [])
        if self.made:
            kinds.append("known")
        return getattr(self, self.random.choice(kinds))(depth)

    def primitive(self, _depth):
        return self.random.choice(PRIMITIVES)

    def logical(self, _depth):
        base = self.random.choice(list(LOGICAL))
        made = {"type": base, "logicalType": self.random.choice(LOGICAL[base])}
        if made["logicalType"] == "decimal":
            made |= {"precision": 30, "scale": self.random.randrange(12)}
        return made

    def known_type(self, made):
        self.made.append(made)
        return made

    def known(self, _depth):
        return self.random.choice(self.made)

    def enum(self, _depth):
        return self.known_type({"type": "enum", "name": self.name(), "symbols": ["A", "B", "LONG_ONE"]})

    def fixed(self, _depth):
        size = self.random.choice([0, 1, 12, 16, 20])
        made = {"type": "fixed", "name": self.name(), "size": size}
        if size == 16 and self.random.random() < 0.5:
            made["logicalType"] = "uuid"
        if size == 12 and self.random.random() < 0.5:
            made["logicalType"] = "duration"
        return self.known_type(made)

    def record(self, depth):
        made = {"type": "record", "name": self.name(), "fields": []}
        for i in range(self.random.randrange(6)):
            made["fields"].append({"name": f"f{i}", "type": self.schema(depth - 1)})
        return self.known_type(made)

    def array(self, depth):
        return {"type": "array", "items": self.schema(depth - 1)}

    def map(self, depth):
        return {"type": "map", "values": self.schema(depth - 1)}

    def option(self, depth):
        other = self.schema(depth - 1, also_union=False)
        branches = ["null", "int" if other == "null" else other]
        self.random.shuffle(branches)
        return branches

    def union(self, depth):
        """Of branches that Python's values tell apart."""
        of = [
            "null",
            self.random.choice(["int", "long", "double"]),
            self.random.choice(["string", self.enum(0)]),
            self.random.choice(["bytes", self.fixed(0)]),
            self.array(depth),
            self.random.choice([self.map, self.record])(depth),
        ]
        return self.random.sample(of, self.random.randrange(1, len(of) + 1))

    # ---- values ----

    def value(self, schema):
        kind = kind_of(schema)
        if kind == "union":
            return self.value(self.random.choice(schema))
        if kind == "record":
            return {f["name"]: self.value(f["type"]) for f in schema["fields"]}
        if kind == "array":
            return [self.value(schema["items"]) for _ in range(self.random.choice([0, 1, 2, 7]))]
        if kind == "map":
            return {self.text(): self.value(schema["values"]) for _ in range(self.random.choice([0, 1, 3]))}
        if kind == "enum":
            return self.random.choice(schema["symbols"])
        if kind == "fixed":
            return self.random.randbytes(schema["size"])
        return getattr(self, "value_" + kind)(schema)

    def value_null(self, _schema):
        return None

    def value_boolean(self, _schema):
        return self.random.random() < 0.5

    def value_int(self, schema):
        logical = schema.get("logicalType") if isinstance(schema, dict) else None
        if logical == "date":
            return self.random.randrange(-719000, 2900000)
        if logical == "time-millis":
            return self.random.randrange(86_400_000)
        return self.random.choice([0, -1, 1, 2**31 - 1, -(2**31), self.random.randrange(-(2**20), 2**20)])

    def value_long(self, schema):
        logical = schema.get("logicalType") if isinstance(schema, dict) else None
        if logical == "time-micros":
            return self.random.randrange(86_400_000_000)
        if logical is not None:
            per = {"millis": 10**3, "micros": 10**6, "nanos": 10**9}[logical.split("-")[-1]]
            return self.random.randrange(-(10**10) * per // 10, 10**9 * per * 9)
        return self.random.choice([0, -1, 2**63 - 1, -(2**63), self.random.randrange(-(2**40), 2**40)])

    def value_float(self, _schema):
        return struct.unpack("<f", struct.pack("<f", self.value_double(None)))[0]

    def value_double(self, _schema):
        common = [0.0, -0.0, 1.5, 12.34, 1e30, -1e-30, math.inf, -math.inf, math.nan]
        return self.random.choice([*common, self.random.uniform(-1e6, 1e6), self.random.gauss(0, 1)])

    def text(self):
        letters = 'abc "\\/\n\t\x00\x1fäß€😀'
        return "".join(self.random.choice(letters) for _ in range(self.random.choice([0, 1, 5, 20, 200])))

    def value_string(self, schema):
        if isinstance(schema, dict) and schema.get("logicalType") == "uuid":
            return str(uuid.UUID(int=self.random.getrandbits(128)))
        return self.text()

    def value_bytes(self, schema):
        if isinstance(schema, dict) and schema.get("logicalType") == "decimal":
            number = self.random.randrange(-(10**20), 10**20)
            return b"" if number % 9 == 0 else number.to_bytes(10, "big", signed=True)
        return self.random.randbytes(self.random.choice([0, 1, 3, 100]))


def kind_of(schema):
    if isinstance(schema, list):
        return "union"
    return schema["type"] if isinstance(schema, dict) else schema


def bare(schema, seen):
    """Without logical types, and with each named type written out once."""
    if isinstance(schema, list):
        return [bare(s, seen) for s in schema]
    if not isinstance(schema, dict):
        return schema
    name = schema.get("name")
    if name is not None and name in seen:
        return name
    seen.add(name)
    made = {k: v for k, v in schema.items() if k not in ("logicalType", "precision", "scale")}
    if "fields" in made:
        made["fields"] = [f | {"type": bare(f["type"], seen)} for f in made["fields"]]
    for key in ("items", "values"):
        if key in made:
            made[key] = bare(made[key], seen)
    return made


def once(schema, seen):
    """The schema as it is registered: a named type that comes again by its name."""
    if isinstance(schema, list):
        return [once(s, seen) for s in schema]
    if not isinstance(schema, dict):
        return schema
    if "name" in schema:
        if schema["name"] in seen:
            return schema["name"]
        seen.add(schema["name"])
    made = dict(schema)
    if "fields" in made:
        made["fields"] = [f | {"type": once(f["type"], seen)} for f in made["fields"]]
    for key in ("items", "values"):
        if key in made:
            made[key] = once(made[key], seen)
    return made


# ---- a writer that splits blocks ----


def long_of(n):
    n = (n << 1) ^ (n >> 63)
    out = bytearray()
    while n > 0x7F:
        out.append(n & 0x7F | 0x80)
        n >>= 7
    out.append(n)
    return bytes(out)


def fits(schema, value):
    kind = kind_of(schema)
    return {
        "null": value is None,
        "boolean": isinstance(value, bool),
        "int": isinstance(value, int) and not isinstance(value, bool),
        "long": isinstance(value, int) and not isinstance(value, bool),
        "float": isinstance(value, float),
        "double": isinstance(value, float),
        "string": isinstance(value, str),
        "enum": isinstance(value, str),
        "bytes": isinstance(value, bytes),
        "fixed": isinstance(value, bytes),
        "array": isinstance(value, list),
        "map": isinstance(value, dict),
        "record": isinstance(value, dict),
    }[kind]


def branch_of(schema, value):
    return next(i for i, s in enumerate(schema) if fits(s, value))


def blocks(items, chance):
    out = b""
    while items:
        n = chance.randrange(1, len(items) + 1)
        body = b"".join(items[:n])
        items = items[n:]
        out += long_of(n) + body if chance.random() < 0.5 else long_of(-n) + long_of(len(body)) + body
    return out + long_of(0)


def write(schema, value, chance):
    kind = kind_of(schema)
    if kind == "union":
        i = branch_of(schema, value)
        return long_of(i) + write(schema[i], value, chance)
    if kind == "record":
        return b"".join(write(f["type"], value[f["name"]], chance) for f in schema["fields"])
    if kind == "array":
        return blocks([write(schema["items"], v, chance) for v in value], chance)
    if kind == "map":
        return blocks(
            [write("string", k, chance) + write(schema["values"], v, chance) for k, v in value.items()],
            chance,
        )
    return {
        "null": lambda: b"",
        "boolean": lambda: bytes([value]),
        "int": lambda: long_of(value),
        "long": lambda: long_of(value),
        "float": lambda: struct.pack("<f", value),
        "double": lambda: struct.pack("<d", value),
        "string": lambda: long_of(len(value.encode())) + value.encode(),
        "bytes": lambda: long_of(len(value)) + value,
        "fixed": lambda: value,
        "enum": lambda: long_of(schema["symbols"].index(value)),
    }[kind]()


# ---- what should be read ----


def without_zeros(text):
    return text.rstrip("0").rstrip(".") if "." in text else text


def moment(count, per):
    whole, fraction = divmod(count, per)
    at = EPOCH + timedelta(seconds=whole)
    digits = len(str(per)) - 1
    return without_zeros(f"{at.isoformat()}.{fraction:0{digits}d}")


def clock(count, per):
    whole, fraction = divmod(abs(count), per)
    digits = len(str(per)) - 1
    text = f"{'-' if count < 0 else ''}{whole // 3600:02d}:{whole // 60 % 60:02d}:{whole % 60:02d}.{fraction:0{digits}d}"
    return without_zeros(text)


def meaning(schema, value):
    """With its logical type; None: it has none."""
    logical = schema.get("logicalType") if isinstance(schema, dict) else None
    if logical == "date":
        return (date(1970, 1, 1) + timedelta(days=value)).isoformat()
    if logical in ("time-millis", "time-micros"):
        return clock(value, 10**3 if logical == "time-millis" else 10**6)
    if logical is not None and "timestamp" in logical:
        per = {"millis": 10**3, "micros": 10**6, "nanos": 10**9}[logical.split("-")[-1]]
        return moment(value, per) + ("" if logical.startswith("local") else "Z")
    if logical == "decimal":
        return Decimal(int.from_bytes(value, "big", signed=True)).scaleb(-schema["scale"])
    if logical == "uuid" and isinstance(value, bytes):
        return str(uuid.UUID(bytes=value))
    if logical == "duration":
        months, days, millis = struct.unpack("<III", value)
        fraction = f".{millis % 1000:03d}" if millis % 1000 else ""
        return f"P{months}M{days}DT{millis // 1000}{fraction}S"
    return None


def number(value):
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    return value


def expected(schema, value):
    kind = kind_of(schema)
    if kind == "union":
        return expected(schema[branch_of(schema, value)], value)
    meant = meaning(schema, value)
    if meant is not None:
        return meant
    if kind == "record":
        return {f["name"]: expected(f["type"], value[f["name"]]) for f in schema["fields"]}
    if kind == "array":
        return [expected(schema["items"], v) for v in value]
    if kind == "map":
        return {k: expected(schema["values"], v) for k, v in value.items()}
    if kind in ("bytes", "fixed"):
        return base64.b64encode(value).decode()
    if kind in ("float", "double"):
        return number(value)
    return value


def same(got, want):
    """Numbers are exact: a float is compared as what its text says."""
    if isinstance(want, dict):
        return isinstance(got, dict) and got.keys() == want.keys() and all(same(got[k], want[k]) for k in want)
    if isinstance(want, list):
        return isinstance(got, list) and len(got) == len(want) and all(map(same, got, want))
    if isinstance(want, float):
        if not isinstance(got, (int, Decimal)):
            return False
        return float(got) == want or struct.pack("<f", float(got)) == struct.pack("<f", want)
    return got == want and isinstance(got, bool) == isinstance(want, bool)


def cell_of(schema, value):
    """The kind and the value of the cell."""
    kind = kind_of(schema)
    if kind == "union":
        return cell_of(schema[branch_of(schema, value)], value)
    if value is None:
        return ["null", None]
    if kind in ("record", "array", "map"):
        return ["json", expected(schema, value)]
    if kind in ("bytes", "fixed"):
        return ["bytes", value.hex()]
    if kind in ("float", "double"):
        return ["number" if math.isfinite(value) else "string", number(value)]
    return [{"boolean": "bool", "int": "int", "long": "int", "string": "string", "enum": "string"}[kind], value]


def paths_of(schema, value, prefix=()):
    """All that paths lead to: fields of records, through unions."""
    kind = kind_of(schema)
    if kind == "union":
        return paths_of(schema[branch_of(schema, value)], value, prefix)
    if kind != "record":
        return {}
    found = {}
    for f in schema["fields"]:
        path = (*prefix, f["name"])
        found[path] = (f["type"], value[f["name"]])
        found |= paths_of(f["type"], value[f["name"]], path)
    return found


# ---- the test ----


def run(schema_file, paths, records):
    """What the reader says of each of these bytes."""
    args = [READ_FORMAT, "avro", schema_file, *("/".join(p) for p in paths)]
    text = "".join(r.hex() + "\n" for r in records)
    done = subprocess.run(args, input=text, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, f"{done.returncode}: {done.stderr}"
    lines = done.stdout.splitlines()
    assert len(lines) == len(records)
    return [json.loads(line, parse_float=Decimal) for line in lines]


def oracle_bytes(parsed, value):
    out = io.BytesIO()
    avro.io.DatumWriter(parsed).write(value, avro.io.BinaryEncoder(out))
    return out.getvalue()


def oracle_value(parsed, data):
    """What python3-avro reads, and how many bytes of it."""
    stream = io.BytesIO(data)
    value = avro.io.DatumReader(parsed).read(avro.io.BinaryDecoder(stream))
    return value, stream.tell()


def spoilt(data, chance):
    at = chance.randrange(len(data) + 1)
    yield data[:at]
    yield data + chance.randbytes(1)
    for _ in range(4):
        if data:
            at = chance.randrange(len(data))
            yield data[:at] + bytes([chance.randrange(256)]) + data[at + 1 :]


def one_schema(seed, tmp_path):
    maker = Maker(seed)
    schema = {"type": "record", "name": "Root", "fields": []}
    for i in range(maker.random.randrange(1, 7)):
        schema["fields"].append({"name": f"r{i}", "type": maker.schema(3)})
    file = tmp_path / f"{seed}.avsc"
    file.write_text(json.dumps(once(schema, set())))
    parsed = avro.schema.parse(json.dumps(bare(schema, set())))
    values = [maker.value(schema) for _ in range(VALUES)]
    found = [paths_of(schema, v) for v in values]
    paths = sorted({p for f in found for p in f})[:40]
    records = []
    for value in values:
        records.append((value, oracle_bytes(parsed, value)))
        records.append((value, write(schema, value, maker.random)))
    for (value, data), answer in zip(records, run(file, paths, [d for _, d in records]), strict=True):
        what = f"seed {seed}, {data.hex()}: {answer}"
        assert "fault" not in answer, what
        assert same(answer["value"], expected(schema, value)), f"{what}\nwant {expected(schema, value)}"
        fields = paths_of(schema, value)
        for path, cell in zip(paths, answer["cells"], strict=True):
            want = cell_of(*fields[path]) if path in fields else ["absent", None]
            assert cell[0] == want[0] and same(cell[1], want[1]), f"{what}\n{path}: want {want}"
    bad = [(d, b) for _, d in records for b in spoilt(d, maker.random)]
    taken = 0
    for (data, changed), answer in zip(bad, run(file, paths, [b for _, b in bad]), strict=True):
        if len(changed) < len(data):
            assert "fault" in answer, f"seed {seed}: {changed.hex()} is cut: {answer}"
        if "fault" not in answer:
            taken += 1
            value, used = oracle_value(parsed, changed)
            assert used == len(changed)
            # A day that Python has no date for is compared no further.
            try:
                want = expected(schema, value)
            except (OverflowError, ValueError):
                continue
            assert same(answer["value"], want), f"seed {seed}, {changed.hex()}: {answer}\nwant {want}"
    return len(records), len(bad), taken


def test_what_another_writer_writes_is_what_is_read(tmp_path):
    print(f"PGSINKD_AVRO_SEED={SEED}")
    read = spoilt_count = taken = 0
    for i in range(SCHEMAS):
        a, b, c = one_schema(SEED + i, tmp_path)
        read, spoilt_count, taken = read + a, spoilt_count + b, taken + c
    print(f"{read} records read, {spoilt_count} spoilt ones, of which {taken} are records too")
    assert 0 < taken < spoilt_count
