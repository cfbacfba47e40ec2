"""The reader of Protobuf against Google's own library, over schemas and messages made by chance.

Each .proto file is generated, or one of the few below. Messages of it are written by python3-protobuf; then their fields
are put into another order, split into pieces, packed or not, with unknown ones among them. What pgsinkd reads must be
what python3-protobuf reads there: as JSON and as single cells. Then the bytes are spoilt: cut at every place, changed,
with lengths and wire types that lie and groups that nobody ends. Both must refuse the same bytes, and read the same in
the others.

The seed is printed; PGSINKD_PROTOBUF_SEED repeats a run.
"""

import base64
import json
import math
import os
import random
import struct
import subprocess
import time
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import DecodeError
from kit import daemon

READ_FORMAT = Path(
    os.environ.get("PGSINKD_READ_FORMAT", daemon.BINARY.parent / "tests" / "unit" / "row" / "read_format"),
)  # fmt: skip

SEED = int(os.environ.get("PGSINKD_PROTOBUF_SEED", time.time_ns() % 1_000_000_000))
SCHEMAS = 100
MESSAGES = 8
LIMIT = 100  # levels that python3-protobuf reads

VARINT, FIXED64, BYTES, GROUP, GROUP_END, FIXED32 = range(6)
SCALARS = (
    "double float int32 int64 uint32 uint64 sint32 sint64 fixed32 fixed64 sfixed32 sfixed64 bool string bytes".split()
)
KEYS = [s for s in SCALARS if s not in ("double", "float", "bytes")]
KNOWN = {
    "Timestamp": "timestamp",
    "Duration": "duration",
    "Any": "any",
    "Struct": "struct",
    "Value": "struct",
    "ListValue": "struct",
    **{
        f"{n}Value": "wrappers"
        for n in "Double Float Int64 UInt64 Int32 UInt32 Bool String Bytes".split()
    },
}  # fmt: skip

# What chance would seldom make.
FILES = {
    "a list of itself": """
        syntax = "proto3";
        message Root { int32 n = 1; Root next = 2; repeated Root all = 3; map<string, Root> by = 4; }""",
    "groups": """
        syntax = "proto2";
        message Root { optional group One = 1 { optional int32 n = 1; optional Root in = 2; }
                       repeated group Many = 2 { repeated string s = 1; } }""",
    "one of many": """
        syntax = "proto3";
        message Root { oneof of { int32 a = 1; string b = 2; Root c = 3; bytes d = 4; double e = 5; } Root f = 6; }""",
    "nothing": 'syntax = "proto3"; message Root {}',
    "required": """
        syntax = "proto2";
        message Root { required int32 a = 1; required string b = 2 [default = "x"]; optional sint64 c = 536870911; }""",
}

AROUND = ["\nmessage Around { Root root = 1; }", "\nmessage Around { optional Root root = 1; }"]


class Maker:
    """A .proto file, by chance."""

    def __init__(self, chance):
        self.random = chance
        self.is_old = chance.random() < 0.3
        self.messages = ["Root"]
        self.enums = []
        self.imports = set()
        self.count = 0

    def file(self):
        body = self.message("Root", 3)
        head = f'syntax = "proto{2 if self.is_old else 3}";\n'
        head += "".join(f'import "google/protobuf/{i}.proto";\n' for i in sorted(self.imports))
        return head + body + "".join(self.enums)

    def name(self):
        self.count += 1
        return f"N{self.count}"

    def enum(self):
        name = self.name()
        numbers = [0, 1, self.random.choice([2, -1, 2**31 - 1, -(2**31)])]
        values = "".join(f" {name}_{i} = {n};" for i, n in enumerate(numbers))
        self.enums.append(f"enum {name} {{{values} }}\n")
        return name

    def known(self):
        name = self.random.choice(list(KNOWN))
        self.imports.add(KNOWN[name])
        return f"google.protobuf.{name}"

    def type(self, depth, inner):
        kind = self.random.random()
        if kind < 0.6:
            return self.random.choice(SCALARS)
        if kind < 0.7:
            return self.enum()
        if kind < 0.8:
            return self.known()
        if depth > 0 and kind < 0.95:
            name = self.name()
            inner.append(self.message(name, depth - 1))
            return name
        return "Root"

    def field(self, number, depth, inner):
        kind = self.random.random()
        name = f"f{number}"
        if kind < 0.12:
            return f"map<{self.random.choice(KEYS)}, {self.type(depth, inner)}> {name} = {number};"
        if kind < 0.25 and depth > 0:
            members = [f"{self.type(depth, inner)} {name}x{i} = {number + i};" for i in range(3)]
            return f"oneof of_{number} {{ {' '.join(members)} }}"
        type_ = self.type(depth, inner)
        if kind < 0.5:
            packed = type_ in SCALARS[:13] and self.random.random() < 0.5
            how = f" [packed = {self.random.choice(['true', 'false'])}]" if packed else ""
            return f"repeated {type_} {name} = {number}{how};"
        label = "optional " if self.is_old or kind < 0.6 else ""
        return f"{label}{type_} {name} = {number};"

    def message(self, name, depth):
        inner = []
        numbers = [1 + 3 * i for i in range(self.random.randrange(1 if depth == 3 else 0, 9))]
        if self.random.random() < 0.4:
            numbers += [self.random.choice([16, 2047, 18000, 2**29 - 50]) + 40]
        self.random.shuffle(numbers)
        fields = [self.field(n, depth, inner) for n in numbers]
        return f"message {name} {{\n" + "\n".join(inner + fields) + "\n}\n"


class Filler:
    """Messages of a descriptor, by chance."""

    def __init__(self, chance):
        self.random = chance

    def text(self):
        letters = 'abc "\\/\n\t\x00\x1fäß€😀'
        return "".join(self.random.choice(letters) for _ in range(self.random.choice([0, 1, 5, 20, 200])))

    def whole(self, bits, is_signed):
        low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if is_signed else (0, 2**bits - 1)
        small = self.random.randrange(-300 if is_signed else 0, 300)
        return self.random.choice([0, 1, low, high, small, self.random.randrange(low, high + 1)])

    def double(self):
        common = [0.0, -0.0, 1.5, 12.34, 1e30, -1e-30, math.inf, -math.inf, math.nan]
        return self.random.choice([*common, self.random.uniform(-1e6, 1e6), self.random.gauss(0, 1)])

    def scalar(self, f):
        kind = f.cpp_type
        if kind == FieldDescriptor.CPPTYPE_ENUM:
            values = [v.number for v in f.enum_type.values]
            is_open = f.file.syntax == "proto3"
            return self.random.choice(values + ([77, -5] if is_open else []))
        if kind == FieldDescriptor.CPPTYPE_STRING:
            return self.text() if f.type == f.TYPE_STRING else self.random.randbytes(self.random.choice([0, 1, 30]))
        return {
            FieldDescriptor.CPPTYPE_INT32: lambda: self.whole(32, True),
            FieldDescriptor.CPPTYPE_INT64: lambda: self.whole(64, True),
            FieldDescriptor.CPPTYPE_UINT32: lambda: self.whole(32, False),
            FieldDescriptor.CPPTYPE_UINT64: lambda: self.whole(64, False),
            FieldDescriptor.CPPTYPE_DOUBLE: self.double,
            FieldDescriptor.CPPTYPE_FLOAT: lambda: struct.unpack("<f", struct.pack("<f", self.double()))[0],
            FieldDescriptor.CPPTYPE_BOOL: lambda: self.random.random() < 0.5,
        }[kind]()

    def time(self, message):
        """Seldom one that is out of range."""
        bound = 315576000000 if message.DESCRIPTOR.name == "Duration" else 62135596800
        message.seconds = self.random.randrange(0, bound) if self.random.random() < 0.99 else 2**60
        message.nanos = self.random.choice([0, 5, 120000000, 999999999])
        if message.DESCRIPTOR.name == "Duration" and self.random.random() < 0.5:
            message.seconds, message.nanos = -message.seconds, -message.nanos

    def fill(self, message, depth):
        if message.DESCRIPTOR.full_name in ("google.protobuf.Timestamp", "google.protobuf.Duration"):
            self.time(message)
            return
        for f in message.DESCRIPTOR.fields:
            if self.random.random() < 0.7:
                self.fill_field(message, f, depth)

    def fill_field(self, message, f, depth):
        value = getattr(message, f.name)
        is_message = f.message_type is not None
        n = self.random.choice([0, 1, 2, 7 if depth > 2 else 1])
        if is_message and depth == 0:
            return
        if is_message and f.message_type.GetOptions().map_entry:
            for _ in range(n):
                key = self.scalar(f.message_type.fields_by_name["key"])
                of = f.message_type.fields_by_name["value"]
                if of.message_type is not None:
                    self.fill(value[key], depth - 1)
                else:
                    value[key] = self.scalar(of)
        elif f.label == f.LABEL_REPEATED:
            for _ in range(n):
                if is_message:
                    self.fill(value.add(), depth - 1)
                else:
                    value.append(self.scalar(f))
        elif is_message:
            value.SetInParent()
            self.fill(value, depth - 1)
        else:
            setattr(message, f.name, self.scalar(f))


# ---- bytes ----


def varint_of(n):
    out = bytearray()
    while n > 0x7F:
        out.append(n & 0x7F | 0x80)
        n >>= 7
    out.append(n)
    return bytes(out)


def varint_at(data, at):
    n = shift = 0
    while True:
        byte = data[at]
        n |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return n, at


def pieces_of(data):
    """The fields of a good message: number, wire type, bytes; of a group with its end."""
    at, found = 0, []
    while at < len(data):
        tag, begin = varint_at(data, at)
        at = end_of(data, begin, tag)
        found.append((tag >> 3, tag & 7, data[begin:at]))
    return found


def end_of(data, at, tag):
    wire = tag & 7
    if wire == VARINT:
        return varint_at(data, at)[1]
    if wire == FIXED64:
        return at + 8
    if wire == FIXED32:
        return at + 4
    if wire == BYTES:
        n, at = varint_at(data, at)
        return at + n
    while True:
        inner, at = varint_at(data, at)
        if inner & 7 == GROUP_END:
            return at
        at = end_of(data, at, inner)


def piece(number, wire, body):
    return varint_of(number << 3 | wire) + body


def delimited(body):
    return varint_of(len(body)) + body


def width_of(f):
    if f.cpp_type in (f.CPPTYPE_STRING, f.CPPTYPE_MESSAGE):
        return None
    if f.type in (f.TYPE_DOUBLE, f.TYPE_FIXED64, f.TYPE_SFIXED64):
        return FIXED64
    return FIXED32 if f.type in (f.TYPE_FLOAT, f.TYPE_FIXED32, f.TYPE_SFIXED32) else VARINT


def unpacked(f, body):
    """The numbers that were packed, one by one."""
    n, at = varint_at(body, 0)
    wire, found = width_of(f), []
    while at < len(body):
        end = end_of(body, at, wire)
        found.append(piece(f.number, wire, body[at:end]))
        at = end
    return found


def rewritten(descriptor, data, chance):
    """The same fields as another writer might have them; what they say may change by that."""
    out = []
    for number, wire, body in pieces_of(data):
        f = descriptor.fields_by_number.get(number)
        if f is None or chance.random() < 0.3:
            out.append(piece(number, wire, body))
        elif f.label == f.LABEL_REPEATED and width_of(f) is not None and wire == BYTES:
            out += unpacked(f, body)
        elif f.label == f.LABEL_REPEATED and width_of(f) is not None:
            out.append(piece(number, BYTES, delimited(body)))
        elif f.type == f.TYPE_MESSAGE:
            n, at = varint_at(body, 0)
            inner = rewritten(f.message_type, body[at : at + n], chance)
            half = len(inner) // 2
            parts = [inner] if f.label == f.LABEL_REPEATED else [inner[:half], inner[half:]]
            out += [piece(number, BYTES, delimited(b"".join(p))) for p in parts]
        else:
            out.append(piece(number, wire, body))
    if chance.random() < 0.5:
        wire = chance.choice([VARINT, FIXED64, BYTES, FIXED32, GROUP])
        # One that the enums of proto2 do not know would be left aside by the library, and is digits here.
        number = chance.choice([999, 2**29 - 1, *([1, 2, 3, 4] if descriptor.file.syntax == "proto3" else [])])
        body = {VARINT: b"\xff" * 9 + b"\x01", FIXED64: bytes(8), BYTES: b"\x03abc", FIXED32: bytes(4)}
        body[GROUP] = piece(7, VARINT, b"\x05") + varint_of(number << 3 | GROUP_END)
        out.append(piece(number, wire, body[wire]))
    if chance.random() < 0.5:
        chance.shuffle(out)
    return out


def spoilt(data, chance):
    for at in range(min(len(data), 60)):
        yield data[:at]
    yield data + chance.randbytes(1)
    for _ in range(10):
        if data:
            at = chance.randrange(len(data))
            yield data[:at] + bytes([chance.randrange(256)]) + data[at + 1 :]
    parts = pieces_of(data)
    for _ in range(8):
        if parts:
            at = chance.randrange(len(parts))
            number, wire, body = parts[at]
            liar = [
                piece(number, chance.randrange(8), body),
                piece(number, BYTES, varint_of(chance.choice([len(body) + 1, 2**31, 2**63, 2**32 - 1])) + body),
                piece(number, GROUP, body),
                piece(number, GROUP_END, b""),
                piece(number, GROUP, varint_of((number + 1) << 3 | GROUP_END)),
                piece(0, wire, body),
            ]
            all_ = [piece(*p) for p in parts]
            all_[at] = chance.choice(liar)
            yield b"".join(all_)


# ---- what should be read ----


class OutOfRange(Exception):
    """A time that is none."""


def number(value):
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    return value


def without_zeros(text):
    return text.rstrip("0").rstrip(".") if "." in text else text


def timestamp(m):
    if not 0 <= m.nanos < 10**9 or not -62135596800 <= m.seconds <= 253402300799:
        raise OutOfRange
    at = datetime(1970, 1, 1) + timedelta(seconds=m.seconds)
    return without_zeros(f"{at.isoformat()}.{m.nanos:09d}") + "Z"


def duration(m):
    bad = abs(m.nanos) >= 10**9 or abs(m.seconds) > 315576000000 or m.seconds * m.nanos < 0
    if bad:
        raise OutOfRange
    sign = "-" if m.seconds < 0 or m.nanos < 0 else ""
    return "PT" + sign + without_zeros(f"{abs(m.seconds)}.{abs(m.nanos):09d}") + "S"


def scalar(f, value):
    if f.cpp_type == f.CPPTYPE_ENUM:
        known = f.enum_type.values_by_number.get(value)
        return known.name if known is not None else str(value)
    if f.type == f.TYPE_BYTES:
        return base64.b64encode(value).decode()
    return number(value) if isinstance(value, float) else value


def single(f, value):
    return expected(value) if f.message_type is not None else scalar(f, value)


def key(f, value):
    return str(value).lower() if f.type == f.TYPE_BOOL else str(value)


def field(message, f):
    value = getattr(message, f.name)
    if f.message_type is not None and f.message_type.GetOptions().map_entry:
        of = f.message_type.fields_by_name
        return {key(of["key"], k): single(of["value"], value[k]) for k in value}
    if f.label == f.LABEL_REPEATED:
        return [single(f, v) for v in value]
    if f.has_presence and not message.HasField(f.name):
        return None
    return single(f, value)


def dynamic(m):
    if m.DESCRIPTOR.name != "Value":
        return field(m, m.DESCRIPTOR.fields[0])
    kind = m.WhichOneof("kind")
    if kind in (None, "null_value"):
        return None
    return field(m, m.DESCRIPTOR.fields_by_name[kind])


def expected(m):
    """As JSON."""
    name = m.DESCRIPTOR.full_name.removeprefix("google.protobuf.")
    if name in ("Timestamp", "Duration"):
        return timestamp(m) if name == "Timestamp" else duration(m)
    if name in ("Struct", "Value", "ListValue"):
        return dynamic(m)
    if name == "Any":
        return {"@type": m.type_url, "value": base64.b64encode(m.value).decode()}
    if name in KNOWN:
        return field(m, m.DESCRIPTOR.fields[0])
    return {f.name: field(m, f) for f in m.DESCRIPTOR.fields}


def cell_of_scalar(f, value):
    if f.type == f.TYPE_BYTES:
        return ["bytes", value.hex()]
    if f.cpp_type in (f.CPPTYPE_STRING, f.CPPTYPE_ENUM):
        return ["string", scalar(f, value)]
    if isinstance(value, float):
        return ["number" if math.isfinite(value) else "string", number(value)]
    if isinstance(value, bool):
        return ["bool", value]
    return ["int" if value < 2**63 else "number", value]


def cell(message, f):
    """The kind and the value of the cell."""
    if f.label == f.LABEL_REPEATED:
        return ["json", field(message, f)]
    value = getattr(message, f.name)
    if f.has_presence and not message.HasField(f.name):
        return ["null", None]
    if f.message_type is None:
        return cell_of_scalar(f, value)
    name = f.message_type.full_name.removeprefix("google.protobuf.")
    if name == "Value":
        kind = value.WhichOneof("kind")
        return ["null", None] if kind in (None, "null_value") else cell(value, value.DESCRIPTOR.fields_by_name[kind])
    if name in KNOWN and KNOWN[name] == "wrappers":
        return cell_of_scalar(value.DESCRIPTOR.fields[0], value.value)
    return ["string" if name in ("Timestamp", "Duration") else "json", expected(value)]


def paths_of(m, prefix=()):
    """All that paths lead to, in messages that are no more than their fields."""
    found = {}
    for f in m.DESCRIPTOR.fields:
        path = (*prefix, f.name)
        found[path] = (m, f)
        is_message = f.message_type is not None and f.label != f.LABEL_REPEATED
        if is_message and m.HasField(f.name) and not f.message_type.full_name.startswith("google."):
            found |= paths_of(getattr(m, f.name), path)
    return found


def same(got, want):
    """Numbers are exact: a float is compared as what its text says."""
    if isinstance(want, dict):
        return isinstance(got, dict) and got.keys() == want.keys() and all(same(got[k], want[k]) for k in want)
    if isinstance(want, list):
        return isinstance(got, list) and len(got) == len(want) and all(map(same, got, want))
    if isinstance(want, float):
        if isinstance(got, bool) or not isinstance(got, (int, Decimal)):
            return False
        return float(got) == want or struct.pack("<f", float(got)) == struct.pack("<f", want)
    return got == want and isinstance(got, bool) == isinstance(want, bool)


# ---- the test ----


class Schema:
    """A .proto file, for both."""

    def __init__(self, text, folder):
        self.file = folder / "it.proto"
        self.file.write_text(text + AROUND[text.lstrip().startswith('syntax = "proto2"')])
        out = folder / "it.set"
        command = ["protoc", "-I", folder, "--include_imports", f"--descriptor_set_out={out}", self.file]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{done.stderr}{text}"
        pool = descriptor_pool.DescriptorPool()
        for file in descriptor_pb2.FileDescriptorSet.FromString(out.read_bytes()).file:
            pool.Add(file)
        self.root = pool.FindMessageTypeByName("Root")
        factory = message_factory.MessageFactory(pool)
        self.type = factory.GetPrototype(self.root)
        self.around = factory.GetPrototype(pool.FindMessageTypeByName("Around"))
        # See rewritten().
        self.is_closed = self.root.file.syntax == "proto2"

    def oracle(self, data):
        """None: it does not read this. In another message, because at the top an end before the end is fine with it."""
        try:
            return self.around.FromString(piece(1, BYTES, delimited(data))).root
        except DecodeError:
            return None

    def run(self, paths, records):
        """What pgsinkd's reader says of each of these bytes."""
        args = [READ_FORMAT, "protobuf", self.file, *("/".join(p) for p in paths)]
        text = "".join(r.hex() + "\n" for r in records)
        done = subprocess.run(args, input=text, capture_output=True, text=True, check=False, timeout=120)
        assert done.returncode == 0, f"{done.returncode}: {done.stderr}{self.file.read_text()}"
        lines = done.stdout.splitlines()
        assert len(lines) == len(records)
        return [json.loads(line, parse_float=Decimal) for line in lines]


def compare(schema, answer, data, paths, what):
    """Has the reader said the same as the library? False: both have refused it."""
    message = schema.oracle(data)
    what = f"{what}, {data.hex()}: {answer}"
    try:
        want = None if message is None else expected(message)
    except (OutOfRange, UnicodeDecodeError):
        want = None
    if want is None:
        assert "fault" in answer, f"{what}\nthe library refuses it"
        return False
    assert "fault" not in answer, f"{what}\nwant {want}"
    assert same(answer["value"], want), f"{what}\nwant {want}"
    fields = paths_of(message)
    for path, got in zip(paths, answer["cells"], strict=True):
        wanted = cell(*fields[path]) if path in fields else ["absent", None]
        assert got[0] == wanted[0] and same(got[1], wanted[1]), f"{what}\n{path}: want {wanted}, got {got}"
    return True


def one_schema(text, chance, folder, what):
    schema = Schema(text, folder)
    filler = Filler(chance)
    records = []
    for _ in range(MESSAGES):
        message = schema.type()
        filler.fill(message, 4)
        data = message.SerializePartialToString(deterministic=True)
        records += [data, b"".join(rewritten(schema.root, data, chance))]
    records.append(records[0] + records[2])
    read = [m for m in map(schema.oracle, records) if m is not None]
    paths = sorted({p for m in read for p in paths_of(m)})[:40]
    taken = 0
    for data, answer in zip(records, schema.run(paths, records), strict=True):
        taken += compare(schema, answer, data, paths, f"{what}\n{text}")
    bad = [b for d in records for b in spoilt(d, chance)]
    bad_taken = 0
    for data, answer in zip(bad, schema.run(paths, bad), strict=True):
        if schema.is_closed:
            bad_taken += "fault" not in answer
        else:
            bad_taken += compare(schema, answer, data, paths, f"{what}, spoilt\n{text}")
    return taken, len(bad), bad_taken


def test_what_the_library_reads_is_what_is_read(tmp_path):
    print(f"PGSINKD_PROTOBUF_SEED={SEED}")
    chance = random.Random(SEED)
    totals = [0, 0, 0]
    texts = list(FILES.items())
    texts += [(f"seed {SEED + i}", Maker(random.Random(SEED + i)).file()) for i in range(SCHEMAS)]
    for what, text in texts:
        counts = one_schema(text, chance, tmp_path, what)
        totals = [a + b for a, b in zip(totals, counts, strict=True)]
    print(f"{totals[0]} messages read, {totals[1]} spoilt ones, of which {totals[2]} are messages too")
    assert totals[0] > len(texts)
    assert 0 < totals[2] < totals[1]


def nested(levels):
    data = piece(1, VARINT, b"\x07")
    for _ in range(levels):
        data = piece(2, BYTES, delimited(data))
    return data


def test_messages_within_messages_end_somewhere(tmp_path):
    schema = Schema(FILES["a list of itself"], tmp_path)
    groups = piece(999, GROUP, b"")
    records = [nested(LIMIT - 3), nested(20_000), groups * 100_000, groups * 50 + piece(999, GROUP_END, b"") * 50]
    answers = schema.run([("next", "next", "n")], records)
    compare(schema, answers[0], records[0], [("next", "next", "n")], "within the limit of both")
    assert "deeper" in answers[1]["fault"]
    assert "deeper" in answers[2]["fault"]
    compare(schema, answers[3], records[3], [("next", "next", "n")], "groups that nobody knows")
