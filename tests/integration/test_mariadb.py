"""A second source: MariaDB, by Debezium, into PostgreSQL.

Each value of each type is written before the connector starts (a snapshot reads it) and once more after that (the
binary log brings it), in a row of its own, so that a record that is rejected hides no other. The source itself is asked
what a value is. What Debezium, Connect, the driver or PostgreSQL change of it is listed in LOSSES: any other difference
fails, and so does a listed one that is gone.
"""

import dataclasses
import json
import re

import psycopg
import pytest

from kit import wait
from kit.connect import Connect
from kit.debezium import MariaSource, Mirror, read_back
from kit.mariadb import MariaDB, as_hex

pytestmark = pytest.mark.timeout(180)

DEAD = "a dead letter"


@pytest.fixture(scope="module")
def mariadb(root):
    server = MariaDB(root).install().start()
    yield server
    server.destroy()


@pytest.fixture(scope="module")
def shared_connect(root, shared_kafka):
    worker = Connect(root, shared_kafka.bootstrap, "mariadb").start()
    yield worker
    worker.destroy()


@pytest.fixture
def connect(shared_connect, postgres, kafka):  # noqa: ARG001 - both are running, whatever the test before did
    return shared_connect


# ---- the modes of the connector ----


@dataclasses.dataclass
class Mode:
    """Settings of the connector, and what a route says of records whose schema does not."""

    connector: dict
    route: dict
    exact: bool = False  # must the target's columns have the precision of the source's?


MODES = {
    "default": Mode(
        {}, {"time_precision": "adaptive_time_microseconds", "decimal": "base64", "bytes": "base64"}, exact=True
    ),
    "connect": Mode(
        {"time_precision_mode": "connect", "decimal_handling_mode": "string",
         "bigint_unsigned_handling_mode": "precise", "binary_handling_mode": "base64"},
        {"time_precision": "connect", "decimal": "string", "bytes": "base64"},
    ),
    "isostring": Mode(
        {"time_precision_mode": "isostring", "decimal_handling_mode": "double", "binary_handling_mode": "hex"},
        {"decimal": "number", "bytes": "hex"},
    ),
    "microseconds": Mode(
        {"time_precision_mode": "microseconds", "decimal_handling_mode": "string",
         "binary_handling_mode": "base64-url-safe"},
        {"time_precision": "microseconds", "decimal": "string", "bytes": "base64"},
    ),
    "nanoseconds": Mode(
        {"time_precision_mode": "nanoseconds"},
        {"time_precision": "nanoseconds", "decimal": "base64", "bytes": "base64"},
    ),
    "recommended": Mode(
        {"time_precision_mode": "microseconds", "decimal_handling_mode": "precise",
         "bigint_unsigned_handling_mode": "precise", "enable_time_adjuster": "false",
         "value_converter_decimal_format": "NUMERIC", "key_converter_decimal_format": "NUMERIC",
         "value_converter_replace_null_with_default": "false"},
        {"time_precision": "microseconds", "decimal": "number", "bytes": "base64"},
    ),
}  # fmt: skip
ADJUSTED = "default connect isostring microseconds nanoseconds"  # where enable.time.adjuster is true
LONG = "default isostring microseconds nanoseconds"  # where unsigned bigints are signed ones of 64 bits

# ---- the types ----


@dataclasses.dataclass
class Column:
    """A type of the source, one of the target, and the values as the source's SQL writes them."""

    kind: str
    target: str
    values: list
    schema_only: bool = False  # what a record without a schema cannot tell
    name: str = ""
    table: str = ""

    def text(self):
        """The source's expression for the value in the words of the target."""
        bits = re.fullmatch(r"BIT\((\d+)\)", self.kind)
        if bits:
            if self.target.startswith("bit varying"):  # has lost its leading zeros
                return f"BIN({self.name}+0)"
            digits = self.target.startswith("bit") or self.target == "text"
            return f"LPAD(BIN({self.name}+0), {bits[1]}, '0')" if digits else f"{self.name}+0"
        if self.kind.startswith("FLOAT"):
            return f"CAST({self.name} AS DOUBLE)"
        if self.target == "boolean":
            return f"IF({self.name} = 0, 'false', 'true')"
        if self.target == "bytea":
            return rf"CONCAT('\\x', HEX({self.name}))"
        if self.target == "uuid":
            return f"HEX({self.name})" if "BINARY" in self.kind else self.name
        if self.target == "text[]":
            return f"CONCAT('{{', REPLACE({self.name}, ' ', '\\\\ '), '}}')"
        if self.target.startswith("geometry"):
            return f"CONCAT('SRID=', ST_SRID({self.name}), ';', HEX(ST_AsWKB({self.name})))"
        if self.target == "point":
            return f"CONCAT('(', ST_X({self.name}), ',', ST_Y({self.name}), ')')"
        return self.name

    def target_in(self, mode):
        """Only the default mode's records need a target of the source's precision."""
        return self.target if mode.exact else re.sub(r"^(time|timestamp|timestamptz)\(\d\)$", r"\1", self.target)


def texts(*values):
    return ["'" + value.replace("\\", "\\\\").replace("'", "''") + "'" for value in values]


def shape(text, srid=0):
    return f"ST_GeomFromText('{text}', {srid})"


ENUM = r"ENUM('a','b c','d,e','f''g','ä😀')"
COLUMNS = {
    "integers": [
        Column("BOOL", "boolean", [0, 1, 2, -128, 127]),
        Column("TINYINT(1)", "smallint", [0, 1, 2, -128]),
        Column("TINYINT(1) UNSIGNED", "smallint", [0, 1, 255]),
        Column("TINYINT", "smallint", [-128, 127]),
        Column("TINYINT UNSIGNED", "smallint", [0, 128, 255]),
        Column("SMALLINT", "smallint", [-32768, 32767]),
        Column("SMALLINT UNSIGNED", "integer", [32768, 65535]),
        Column("MEDIUMINT", "integer", [-8388608, 8388607]),
        Column("MEDIUMINT UNSIGNED", "integer", [8388608, 16777215]),
        Column("INT", "integer", [-2147483648, 2147483647]),
        Column("INT UNSIGNED", "bigint", [2147483648, 4294967295]),
        Column("INT(8) ZEROFILL", "bigint", [42, 4294967295]),
        Column("BIGINT", "bigint", [-(2**63), 2**63 - 1]),
        Column("BIGINT", "numeric", [-(2**63), 2**63 - 1]),
        Column("YEAR", "smallint", [1901, 2024, 2155]),
        Column("YEAR", "integer", [2024]),
    ],
    "uints": [Column("BIGINT UNSIGNED", "numeric(20,0)", [0, 1, 2**63 - 1, 2**63, 2**64 - 1])],
    "decimals": [
        Column("DECIMAL(65,30)", "numeric(65,30)", [
            "99999999999999999999999999999999999.999999999999999999999999999999",
            "-99999999999999999999999999999999999.999999999999999999999999999999",
            "0.000000000000000000000000000001", "0", "1234567890.5",
        ]),
        Column("DECIMAL(10,2)", "numeric(10,2)",
               ["0.00", "0.01", "-0.01", "99999999.99", "-99999999.99", "1234.50", "-26588.24"]),
        Column("DECIMAL(20,0)", "numeric(20,0)", [37898298469234]),  # its base64 reads "Infinity"
        Column("DECIMAL(5,0)", "numeric(5,0)", [99999, -99999, -26598]),
        Column("DECIMAL(5,0)", "integer", [99999, -99999, -26598], schema_only=True),  # may be bits, too
        Column("DECIMAL(10,2) UNSIGNED", "numeric(10,2)", ["0.00", "99999999.99"]),
    ],
    "floats": [
        Column("FLOAT", "real",
               ["1.1", "1.4e-45", "0", "0.1", "3.4028235e38", "-3.4028235e38", "1.17549435e-38", "16777216"]),
        Column("FLOAT(7,4)", "real", ["999.9999", "-1.1"]),
        Column("FLOAT(53)", "double precision", ["1.1", "1e300"]),
        Column("DOUBLE", "double precision",
               ["1.1", "1.7976931348623157e308", "-1.7976931348623157e308", "2.2250738585072014e-308", "5e-324", "0",
                "0.1", "9007199254740992"]),
        Column("DOUBLE(10,5)", "double precision", ["12345.12345"]),
        Column("DOUBLE", "numeric", ["1.1", "0.1"]),
    ],
    "bits": [
        Column("BIT(1)", "boolean", ["b'0'", "b'1'"]),
        Column("BIT(1)", "smallint", ["b'0'", "b'1'"]),
        Column("BIT(8)", "bit(8)", ["b'0'", "b'101'", "b'11111111'"]),
        Column("BIT(12)", "bit(12)", [0, 1, 5, 3850, 2048]),
        Column("BIT(24)", "bit(24)", [16281047]),  # its base64 reads "1234"
        Column("BIT(64)", "bit(64)", [0, 1, 2**64 - 1, 2**63]),
        Column("BIT(12)", "bit varying(12)", [5]),
        Column("BIT(8)", "smallint", [0, 5, 255], schema_only=True),
        Column("BIT(12)", "integer", [0, 1, 5, 3850, 2048], schema_only=True),
        Column("BIT(24)", "integer", [16281047], schema_only=True),
        Column("BIT(12)", "bigint", [5, 2048], schema_only=True),
        Column("BIT(64)", "numeric", [0, 1, 2**64 - 1, 2**63], schema_only=True),
        Column("BIT(12)", "double precision", [5, 2048], schema_only=True),
        Column("BIT(12)", "text", [5, 2048], schema_only=True),
    ],
    "dates": [
        Column("DATE", "date", texts(
            "0000-00-00", "2023-00-00", "2023-02-00", "0001-01-01", "1000-01-01", "1500-02-28", "1582-10-04",
            "1582-10-15", "1969-12-31", "1970-01-01", "2024-02-29", "9999-12-31",
        )),
        Column("DATETIME", "timestamp(0)", texts(
            "0000-00-00", "2023-00-10 01:02:03", "0001-01-01", "1000-01-01", "1500-02-28 12:00:00",
            "1969-12-31 23:59:59", "1970-01-01", "2024-02-29 13:14:15", "2038-01-19 03:14:08", "9999-12-31 23:59:59",
        )),
        Column("DATETIME", "timestamptz(0)", texts("2024-02-29 13:14:15")),
        Column("DATETIME(1)", "timestamp(1)", texts("2024-02-29 13:14:15.1")),
        Column("DATETIME(3)", "timestamp(3)", texts(
            "2024-02-29 13:14:15.123", "9999-12-31 23:59:59.999", "1000-01-01 00:00:00.001", "1969-12-31 23:59:59.5",
        )),
        Column("DATETIME(4)", "timestamp(4)", texts("2024-02-29 13:14:15.1234")),
        Column("DATETIME(6)", "timestamp(6)", texts(
            "0000-00-00", "2024-02-29 13:14:15.123456", "9999-12-31 23:59:59.999999", "1000-01-01 00:00:00.000001",
            "1969-12-31 23:59:59.999999",
        )),
        Column("TIMESTAMP", "timestamptz", texts(
            "0000-00-00", "1970-01-01 00:00:01", "2024-02-29 13:14:15", "2038-01-19 03:14:07",
        )),
        Column("TIMESTAMP(3)", "timestamptz", texts("2024-02-29 13:14:15.123")),
        Column("TIMESTAMP(6)", "timestamptz", texts(
            "0000-00-00", "2024-02-29 13:14:15.123456", "2038-01-19 03:14:07.999999",
        )),
    ],
    "times": [
        Column("TIME", "interval", texts(
            "00:00:00", "13:14:15", "23:59:59", "24:00:00", "100:00:00", "838:59:59", "-00:00:01", "-838:59:59",
        )),
        Column("TIME(3)", "interval", texts("13:14:15.123", "-00:00:00.5", "-100:00:00.5")),
        Column("TIME(6)", "interval", texts(
            "13:14:15.123456", "838:59:59.999999", "-838:59:59.999999", "-00:00:00.000001", "24:00:00.000001",
        )),
        Column("TIME", "time(0)", texts("00:00:05", "13:14:15")),
        Column("TIME(6)", "time(6)", texts("13:14:15.123456")),
    ],
    "texts": [
        Column("CHAR(5)", "char(5)", texts("ab", "a", "", "😀😀")),
        Column("VARCHAR(20)", "varchar(20)", [
            *texts("hä😀€", "", "a  ", "it's \\ \"q\" \n\t", "1234", "__debezium_unavailab"),
            "CONCAT('a', CHAR(0), 'b')",
        ]),
        Column("VARCHAR(20) CHARACTER SET latin1", "text", [*texts("häß€"), "_latin1 X'80818D8F909DFF'"]),
        Column("VARCHAR(20) CHARACTER SET ucs2", "text", texts("hä€")),
        Column("VARCHAR(20) CHARACTER SET utf16", "text", texts("hä😀")),
        Column("VARCHAR(20) CHARACTER SET utf32", "text", texts("hä😀")),
        Column("VARCHAR(20) CHARACTER SET cp1251", "text", texts("При")),
        Column("VARCHAR(20) CHARACTER SET sjis", "text", texts("日本")),
        Column("VARCHAR(20) CHARACTER SET gbk", "text", texts("中文")),
        Column("VARCHAR(20) CHARACTER SET ascii", "text", texts("abc")),
        Column("VARCHAR(20) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin", "text", texts("ä")),
        Column("CHAR(10) CHARACTER SET latin1", "text", texts("äöü")),
        Column("TEXT", "text", [*texts("ä😀"), "REPEAT('x', 60000)"]),
        Column("TEXT CHARACTER SET latin1", "text", texts("ä€")),
        Column("TINYTEXT", "text", texts("ä")),
        Column("MEDIUMTEXT", "text", texts("ä")),
        Column("LONGTEXT", "text", [*texts("ä"), "REPEAT('y', 70000)"]),
    ],
    "binaries": [
        Column("BINARY(16)", "bytea", [
            "X'00112233445566778899AABBCCDDEEFF'", "X'A0EEBC999C0B4EF8BB6D6BB9BD380A00'", "''", "X'01'",
        ]),
        Column("BINARY(16)", "uuid", [
            "X'00112233445566778899AABBCCDDEEFF'", "X'A0EEBC999C0B4EF8BB6D6BB9BD380A00'", "''", "X'01'",
        ]),
        Column("VARBINARY(40)", "bytea", [
            "''", "X'00'", "X'DEADBEEF'", "X'0001000000'", "X'5C783431'", "X'D76DF8'", "X'F8D76DF8D76D'",
        ]),
        Column("BLOB", "bytea", ["''", "X'DEADBEEF'", "X'FF00'", "REPEAT(X'00FF', 50)"]),
        Column("TINYBLOB", "bytea", ["X'ABCD'"]),
        Column("MEDIUMBLOB", "bytea", ["X'ABCD'"]),
        Column("LONGBLOB", "bytea", ["X'ABCD'"]),
        Column("CHAR(8) BYTE", "bytea", ["X'ABCD'"]),
    ],
    "words": [
        Column(ENUM, "my_enum", [*texts("a", "b c", "d,e", "f'g", "ä😀", ""), 2]),
        Column("ENUM('x','ä') CHARACTER SET latin1", "text", texts("x", "ä")),
        Column("SET('x','y','z z')", "text", texts("", "x", "x,z z", "x,y,z z")),
        Column("SET('x','y','z z')", "text[]", texts("", "x", "x,z z", "x,y,z z")),
        *(Column("JSON", kind, texts(
            '{"a": [1, 2.50, null], "b": "ä"}', "[1, 2]", '"x"', "5", "true", "null", '{"d": 1, "d": 2}',
            '{"n": 12345678901234567890.12345}',
        )) for kind in ("jsonb", "json")),
        Column("UUID", "uuid", texts(
            "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", "123e4567-e89b-12d3-a456-426655440000",
        )),
    ],
    "shapes": [
        Column("POINT", "geometry", [
            shape("POINT(1.5 -2)"), shape("POINT(1e-300 179.99999999999997)"), shape("POINT(1 2)", 4326),
        ]),
        Column("POINT", "point", [shape("POINT(1.5 -2)")]),
        Column("GEOMETRY", "geometry", [
            shape("POINT(1 2)"), shape("LINESTRING(0 0,1 1)", 4326),
            shape("GEOMETRYCOLLECTION(POINT(1 2),LINESTRING(0 0,1 1))"),
        ]),
        Column("LINESTRING", "geometry", [shape("LINESTRING(0 0,1 1,2 3)")]),
        Column("POLYGON", "geometry", [shape("POLYGON((0 0,4 0,4 4,0 0))")]),
        Column("MULTIPOINT", "geometry", [shape("MULTIPOINT(0 0,1 1)")]),
        Column("MULTILINESTRING", "geometry", [shape("MULTILINESTRING((0 0,1 1),(2 2,3 3))")]),
        Column("MULTIPOLYGON", "geometry", [shape("MULTIPOLYGON(((0 0,4 0,4 4,0 0)))")]),
        Column("GEOMETRYCOLLECTION", "geometry", [shape("GEOMETRYCOLLECTION(POINT(1 2))")]),
    ],
}  # fmt: skip
for _table, _columns in COLUMNS.items():
    for _number, _column in enumerate(_columns):
        _column.table, _column.name = _table, f"c{_number}"

LATER = 1000  # added to the id of a row that is written when the snapshot is over


def phase_of(ident):
    return "snapshot" if ident <= LATER else "stream"


# ---- what others change of it ----


@dataclasses.dataclass
class Loss:
    """What becomes of some values: {what the source holds: what arrives}."""

    kind: str
    values: dict
    modes: str = " ".join(MODES)
    when: str = "snapshot stream"


def nothing(*values):
    return dict.fromkeys(values)


ZERO, ZERO6 = "0000-00-00 00:00:00", "0000-00-00 00:00:00.000000"
LOSSES = [
    # Dates that no calendar has. A TIMESTAMP of the binary log is a number, 0 for this one.
    Loss("DATE", nothing("0000-00-00", "2023-00-00", "2023-02-00")),
    Loss("DATETIME", nothing(ZERO, "2023-00-10 01:02:03")),
    Loss("DATETIME(6)", nothing(ZERO6)),
    Loss("TIMESTAMP", nothing(ZERO), when="snapshot"),
    Loss("TIMESTAMP", {ZERO: "1970-01-01 00:00:00+00"}, when="stream"),
    Loss("TIMESTAMP(6)", nothing(ZERO6), when="snapshot"),
    Loss("TIMESTAMP(6)", {ZERO6: "1970-01-01 00:00:00+00"}, when="stream"),
    # Debezium takes years below 100 for short ones, unless enable.time.adjuster is false.
    Loss("DATE", {"0001-01-01": "2001-01-01"}, ADJUSTED),
    Loss("DATETIME", {"0001-01-01 00:00:00": "2001-01-01 00:00:00"}, ADJUSTED),
    # The server prints a FLOAT with six digits.
    Loss("FLOAT", {"3.4028234663852886e38": "3.40282e+38", "-3.4028234663852886e38": "-3.40282e+38",
                   "1.1754943508222875e-38": "1.17549e-38", "16777216": "1.67772e+07"}, when="snapshot"),
    # bigint.unsigned.handling.mode=long
    Loss("BIGINT UNSIGNED", {"9223372036854775808": "-9223372036854775808", "18446744073709551615": "-1"}, LONG),
    # decimal.handling.mode=double: 1e35 has a digit too many.
    Loss("DECIMAL(65,30)", {"99999999999999999999999999999999999.999999999999999999999999999999": DEAD,
                            "-99999999999999999999999999999999999.999999999999999999999999999999": DEAD}, "isostring"),
    # time.precision.mode=connect has milliseconds.
    Loss("DATETIME(4)", {"2024-02-29 13:14:15.1234": "2024-02-29 13:14:15.123"}, "connect"),
    Loss("DATETIME(6)", {"2024-02-29 13:14:15.123456": "2024-02-29 13:14:15.123",
                         "9999-12-31 23:59:59.999999": "9999-12-31 23:59:59.999",
                         "1000-01-01 00:00:00.000001": "1000-01-01 00:00:00",
                         "1969-12-31 23:59:59.999999": "1969-12-31 23:59:59.999"}, "connect"),
    Loss("TIME(6)", {"13:14:15.123456": "13:14:15.123"}, "connect"),
    # Its times, and those of isostring, are times of a day.
    Loss("TIME", nothing("100:00:00", "838:59:59", "-00:00:01", "-838:59:59"), "connect isostring"),
    Loss("TIME", {"24:00:00": "00:00:00"}, "isostring"),
    Loss("TIME(3)", nothing("-00:00:00.500", "-100:00:00.500"), "connect isostring"),
    Loss("TIME(6)", nothing("838:59:59.999999", "-838:59:59.999999", "-00:00:00.000001", "24:00:00.000001"),
         "connect isostring"),
    # Nanoseconds since 1970 in 64 bits reach from 1677 to 2262, and wrap round.
    Loss("DATETIME", {"1000-01-01 00:00:00": "2169-02-08 23:09:07.419103",
                      "1500-02-28 12:00:00": "2084-09-17 11:34:33.709552",
                      "9999-12-31 23:59:59": "1816-03-30 05:56:07.066277"}, "nanoseconds"),
    Loss("DATETIME(3)", {"9999-12-31 23:59:59.999": "1816-03-30 05:56:08.065277",
                         "1000-01-01 00:00:00.001": "2169-02-08 23:09:07.420103"}, "nanoseconds"),
    Loss("DATETIME(6)", {"9999-12-31 23:59:59.999999": "1816-03-30 05:56:08.066276",
                         "1000-01-01 00:00:00.000001": "2169-02-08 23:09:07.419104"}, "nanoseconds"),
    # No text of PostgreSQL has U+0000 (the option nul decides).
    Loss("VARCHAR(20)", {"a\0b": DEAD}),
    # Java's windows-1252 has no letters for these bytes; the server turns them into control characters.
    Loss("VARCHAR(20) CHARACTER SET latin1", {"€\x81\x8d\x8f\x90\x9dÿ": "€\ufffd\ufffd\ufffd\ufffd\ufffdÿ"},
         when="stream"),
    # The labels of the binary log: a comma is escaped, and letters beyond U+FFFF are question marks.
    Loss(ENUM, {"d,e": DEAD, "ä😀": DEAD}, when="stream"),
    # The server leaves out zero bytes at the end, and Debezium puts them to the front.
    Loss("UUID", {"123e4567-e89b-12d3-a456-426655440000": "0000123e-4567-e89b-12d3-a45642665544"}, when="stream"),
]  # fmt: skip


class Lost:
    """The losses of one run. An entry that no value asks for is a fault of the list."""

    def __init__(self, mode):
        self._entries = {}
        for loss in LOSSES:
            if mode in loss.modes.split():
                for value, arrives in loss.values.items():
                    for when in loss.when.split():
                        assert (loss.kind, value, when) not in self._entries, f"{loss.kind} {value} is listed twice"
                        self._entries[loss.kind, value, when] = arrives
        self._asked = set()

    def arrives(self, kind, value, when, otherwise):
        self._asked.add((kind, value, when))
        return self._entries.get((kind, value, when), otherwise)

    def unused(self):
        return set(self._entries) - self._asked


# ---- one run ----


class Run:
    """All values through one connector."""

    def __init__(self, bench, server, mode, schemas):
        self.bench = bench
        self.server = server
        self.mode = MODES[mode]
        self.schemas = schemas
        self.columns = {
            table: [column for column in columns if schemas or not column.schema_only]
            for table, columns in COLUMNS.items()
        }
        self.wanted = {}  # table -> {id: (column, what the target must hold)}
        self.wrote = {}  # (table, id) -> what Debezium wrote
        self._lost = Lost(mode)

    def make_tables(self):
        self.bench.sql("SET TimeZone TO 'UTC'")
        self.bench.sql("CREATE EXTENSION postgis")
        self.bench.sql("CREATE TYPE my_enum AS ENUM ('a', 'b c', 'd,e', 'f''g', 'ä😀', '')")
        statements = [f"CREATE DATABASE {self.bench.database}", f"USE {self.bench.database}"]
        for table, columns in self.columns.items():
            kinds = ", ".join(f"{column.name} {column.kind} NULL DEFAULT NULL" for column in columns)
            statements.append(f"CREATE TABLE {table} (id INT PRIMARY KEY, {kinds})")
            kinds = ", ".join(f"{column.name} {column.target_in(self.mode)}" for column in columns)
            self.bench.sql(f"CREATE TABLE {table} (id int PRIMARY KEY, {kinds})")
        self.server.run(";\n".join(statements))

    def insert(self, first):
        """Each value into a row of its own; the rows of a table count from first + 1."""
        statements = ["BEGIN"]
        for table, columns in self.columns.items():
            ident = first
            for column in columns:
                for value in column.values:
                    ident += 1
                    statements.append(f"INSERT INTO {table} (id, {column.name}) VALUES ({ident}, {value})")
        self.server.run(";\n".join([*statements, "COMMIT"]), self.bench.database)

    def want(self):
        """Asks the source what it holds."""
        columns = [column for columns in self.columns.values() for column in columns]
        query = " UNION ALL ".join(
            f"SELECT {i}, id, {as_hex(column.text())} FROM {column.table} WHERE {column.name} IS NOT NULL"
            for i, column in enumerate(columns)
        )
        for i, ident, text in self.server.rows(query, self.bench.database):
            column, ident = columns[int(i)], int(ident)
            want = self._lost.arrives(column.kind, text, phase_of(ident), text)
            if want is text:
                want = self._as_printed(column, text)
            self.wanted.setdefault(column.table, {})[ident] = (column, want)
        assert not self._lost.unused(), "the list of losses names values that are not tested"

    def _as_printed(self, column, text):
        """The text as PostgreSQL prints it; as it is where it holds no such value."""
        try:
            return self.bench.value(f"SELECT (%s::{column.target_in(self.mode)})::text", text)
        except psycopg.Error:
            return text

    def read(self, table, log):
        """Keeps the records of a table's topic for the report of a failed test."""
        self.wrote |= {(table, ident_of(record)): after_of(record) for record in log.records[0].values()}

    def dead(self, table, log):
        """(partition, offset) of the records that must be dead letters."""
        idents = {ident for ident, (_, want) in self.wanted[table].items() if want is DEAD}
        return {(0, offset) for offset, record in log.records[0].items() if ident_of(record) in idents}

    def faults(self, _db, table, _records):
        """As a model for bench.check."""
        columns = self.columns[table]
        texts_ = ", ".join(f"{column.name}::text" for column in columns)
        stored = {ident: values for ident, *values in self.bench.sql(f"SELECT id, {texts_} FROM {table}")}
        found = []
        for ident, (column, want) in self.wanted[table].items():
            values = stored.pop(ident, None)
            got = DEAD if values is None else values.pop(columns.index(column))
            if got != want or (values and any(values)):
                name = f"{column.kind} -> {column.target_in(self.mode)}, {phase_of(ident)}, {table} {ident}"
                wrote = json.dumps(self.wrote[table, ident][column.name])
                found.append(("contents", f"{name}: {short(got)} instead of {short(want)}; {short(wrote)}"))
        return found + [("invention", f"{table} {ident}") for ident in stored]


def after_of(record):
    value = json.loads(record.value)
    return value.get("payload", value)["after"]


def ident_of(record):
    return after_of(record)["id"]


def short(text):
    return text if text is None or len(text) < 120 else f"{text[:120]}..."


@pytest.mark.parametrize("schemas", [True, False], ids=["schema", "plain"])
@pytest.mark.parametrize("mode", MODES)
def test_every_type(bench, connect, mariadb, mode, schemas):
    """By a snapshot and by the log: each value arrives as it was, or as the list says that it is lost."""
    run = Run(bench, mariadb, mode, schemas)
    run.make_tables()
    run.insert(0)
    with MariaSource(bench, connect, mariadb, bench.database, schemas=schemas, **run.mode.connector) as source:
        run.insert(LATER)
        run.want()
        logs = {table: source.log(table, len(wanted)) for table, wanted in run.wanted.items()}
    bench.drain(bench.config(routes=[route_of_types(source, table, run.mode) for table in logs]))
    for table, log in logs.items():
        run.read(table, log)
    faults = [text for table in logs for _, text in run.faults(bench.db, table, [])]
    assert not faults, "\n" + "\n".join(faults)
    for table, log in logs.items():
        bench.check(log, table, model=run, dead=run.dead(table, log))


def route_of_types(source, table, mode):
    more = dict(mode.route)
    if table == "uints" and mode.connector.get("bigint_unsigned_handling_mode") == "precise":
        more["decimal"] = "number" if "value_converter_decimal_format" in mode.connector else "base64"
    return {"topics": [source.topic(table)], "table": table, "envelope": "debezium", "on_error": "dead_letter",
            "booleans": "number"} | more  # fmt: skip


# ---- changes ----


class Tables:
    """Tables of the same columns in the source and in the target's schema `target`, and a copy of the source's rows in
    the schema `source`, for Mirror."""

    def __init__(self, bench, server):
        self.bench = bench
        self.server = server
        self.names = []
        bench.sql("SET TimeZone TO 'UTC'; CREATE SCHEMA source; CREATE SCHEMA target")
        server.run(f"CREATE DATABASE {bench.database}")

    def make(self, name, at_source, at_target):
        """Without a text for the source it is made later."""
        self.names.append(name)
        if at_source:
            self.run(f"CREATE TABLE `{name}` ({at_source})")
        for schema in ("source", "target"):
            self.bench.sql(f'CREATE TABLE {schema}."{name}" ({at_target})')

    def run(self, *statements):
        self.server.run(";\n".join(statements), self.bench.database)

    def copy(self):
        """Each table of the source as it is now."""
        for name in self.names:
            self.bench.sql(f'TRUNCATE source."{name}"')
            columns = self.bench.sql(
                "SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute"
                " WHERE attrelid = %s::regclass AND attnum > 0 ORDER BY attnum", f'source."{name}"',
            )  # fmt: skip
            texts_ = ", ".join(as_hex(rf"CONCAT('\\x', HEX(`{c}`))" if k == "bytea" else f"`{c}`") for c, k in columns)
            slots = ", ".join(f"%s::{kind}" for _, kind in columns)
            for row in self.server.rows(f"SELECT {texts_} FROM `{name}`", self.bench.database):
                self.bench.sql(f'INSERT INTO source."{name}" VALUES ({slots})', *row)

    def faults(self):
        """What differs between the source and the target."""
        self.copy()
        return [fault for name in self.names
                for fault in Mirror(f'source."{name}"').faults(self.bench.db, f'target."{name}"', [])]  # fmt: skip


# A primary key of each of these types: (source, target, four values).
KEYS = [
    ("BINARY(16)", "bytea", ["X'01'", "X'A0EEBC999C0B4EF8BB6D6BB9BD380A00'", "''", "X'00FF'"]),
    ("VARBINARY(8)", "bytea", ["X'01'", "X'0100'", "''", "X'FF'"]),
    ("DATETIME", "timestamp(0)", texts("2024-02-29 13:14:15", "1969-12-31 23:59:59", "9999-12-31", "1000-01-01")),
    ("DATETIME(6)", "timestamp(6)", texts("2024-02-29 13:14:15.000001", "2024-02-29 13:14:15", "1970-01-01",
                                          "1969-12-31 23:59:59.999999")),
    ("TIMESTAMP(6)", "timestamptz", texts("2024-02-29 13:14:15.000001", "2024-02-29 13:14:15", "1970-01-01 00:00:01",
                                          "2038-01-19 03:14:07.999999")),
    ("DATE", "date", texts("2024-02-29", "1969-12-31", "1000-01-01", "9999-12-31")),
    ("TIME(6)", "interval", texts("-838:59:59", "00:00:00.000001", "838:59:59", "13:14:15")),
    ("DECIMAL(10,2)", "numeric(10,2)", ["0.01", "-26588.24", "99999999.99", "0"]),
    ("BIGINT UNSIGNED", "numeric(20,0)", [0, 2**63, 2**64 - 1, 1]),
    ("ENUM('a','b','c','d')", "text", texts("a", "b", "c", "d")),
    ("VARCHAR(20)", "varchar(20)", texts("😀", "", "ä", "1234")),
    ("UUID", "uuid", texts("a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a12",
                           "00000000-0000-0000-0000-000000000001", "ffffffff-ffff-ffff-ffff-ffffffffffff")),
    ("YEAR", "smallint", [1901, 2024, 2155, 2000]),
]  # fmt: skip


def make_tables(tables):
    tables.make("pairs", "a INT, b VARCHAR(10) COLLATE utf8mb4_general_ci, note VARCHAR(20), PRIMARY KEY (a, b)",
                "a int, b varchar(10), note varchar(20), PRIMARY KEY (a, b)")  # fmt: skip
    tables.make("numbered", "id INT AUTO_INCREMENT PRIMARY KEY, code VARCHAR(10) UNIQUE, n INT",
                "id int PRIMARY KEY, code varchar(10) UNIQUE, n int")  # fmt: skip
    tables.make("coded", "code VARCHAR(10) NOT NULL UNIQUE, n INT", "code varchar(10) PRIMARY KEY, n int")
    tables.make("keysonly", "a INT, b INT, PRIMARY KEY (a, b)", "a int, b int, PRIMARY KEY (a, b)")
    tables.make("defaults",
                "id INT PRIMARY KEY, i INT DEFAULT 5, s VARCHAR(10) DEFAULT 'x',"
                " at DATETIME(6) DEFAULT CURRENT_TIMESTAMP(6), n DECIMAL(10,2) DEFAULT 1.50",
                "id int PRIMARY KEY, i int DEFAULT 5, s varchar(10) DEFAULT 'x',"
                " at timestamp(6) DEFAULT now(), n numeric(10,2) DEFAULT 1.50")  # fmt: skip
    tables.make("computed", "id INT PRIMARY KEY, n INT, twice INT AS (n * 2) VIRTUAL, thrice INT AS (n * 3) PERSISTENT",
                "id int PRIMARY KEY, n int, twice int, thrice int")  # fmt: skip
    tables.make("Names", "id INT PRIMARY KEY, `order` INT, `two words` INT, `a.b` INT, `MiXed` INT, `ä` INT",
                'id int PRIMARY KEY, "order" int, "two words" int, "a.b" int, "MiXed" int, "ä" int')  # fmt: skip
    tables.make("emptied", "id INT PRIMARY KEY, n INT", "id int PRIMARY KEY, n int")
    tables.make("late", None, "id int PRIMARY KEY, bo boolean, si smallint, js jsonb")
    for i, (kind, target, _) in enumerate(KEYS):
        tables.make(f"key{i}", f"k {kind} PRIMARY KEY, n INT", f"k {target} PRIMARY KEY, n int")


def begin(tables):
    """What the snapshot reads."""
    tables.run(
        "INSERT INTO pairs SELECT seq, 'x', 'snapshot' FROM seq_1_to_100",
        "INSERT INTO numbered (code, n) SELECT CONCAT('c', seq), seq FROM seq_1_to_20",
        "INSERT INTO coded VALUES ('a', 1), ('b', 2), ('c', 3)",
        "INSERT INTO keysonly VALUES (1, 1), (1, 2), (2, 1)",
        "INSERT INTO defaults VALUES (1, NULL, NULL, NULL, NULL), (2, 7, 'y', '2024-02-29 13:14:15.5', 2.50)",
        "INSERT INTO computed (id, n) VALUES (1, 10), (2, 20)",
        "INSERT INTO Names VALUES (1, 1, 1, 1, 1, 1), (2, 2, 2, 2, 2, 2)",
        "INSERT INTO emptied VALUES (1, 1), (2, 2)",
        *(f"INSERT INTO key{i} VALUES ({values[0]}, 0), ({values[1]}, 1), ({values[2]}, 2)"
          for i, (_, _, values) in enumerate(KEYS)),
    )  # fmt: skip


CHANGES = [
    # Both parts of a key, each alone and together; a letter that the collation takes for the same.
    "UPDATE pairs SET note = 'changed' WHERE a % 2 = 0",
    "UPDATE pairs SET b = 'y' WHERE a % 10 = 0",
    "UPDATE pairs SET b = 'Y' WHERE a = 10",
    "UPDATE pairs SET a = a + 1000 WHERE a > 90",
    "UPDATE pairs SET a = a + 2000, b = 'z', note = NULL WHERE a BETWEEN 50 AND 55",
    "DELETE FROM pairs WHERE a BETWEEN 20 AND 30",
    "INSERT INTO pairs VALUES (21, 'x', 'again')",
    # One statement that deletes and inserts.
    "REPLACE INTO numbered VALUES (1, 'c1', 100)",
    "REPLACE INTO numbered (code, n) VALUES ('c2', 200)",
    "REPLACE INTO numbered VALUES (3, 'c4', 300)",
    "INSERT INTO numbered VALUES (5, 'new', 1) ON DUPLICATE KEY UPDATE n = 500",
    "INSERT INTO numbered (code, n) VALUES ('c6', 1) ON DUPLICATE KEY UPDATE id = 600",
    "INSERT IGNORE INTO numbered VALUES (7, 'ignored', 1)",
    "INSERT INTO numbered (code, n) VALUES ('last', 1)",
    # A unique value moves between rows.
    "UPDATE numbered SET code = NULL WHERE id = 8",
    "UPDATE numbered SET code = 'c8' WHERE id = 9",
    "UPDATE numbered SET code = 'c9' WHERE id = 8",
    "DELETE FROM numbered WHERE id = 10",
    "UPDATE numbered SET code = 'c10' WHERE id = 11",
    # The unique index is the key.
    "UPDATE coded SET code = 'd' WHERE code = 'a'",
    "UPDATE coded SET n = 20 WHERE code = 'b'",
    "DELETE FROM coded WHERE code = 'c'",
    "UPDATE keysonly SET b = 3 WHERE a = 1 AND b = 1",
    "DELETE FROM keysonly WHERE a = 2",
    "INSERT INTO defaults (id) VALUES (3)",
    "INSERT INTO defaults VALUES (4, NULL, NULL, NULL, NULL)",
    "UPDATE defaults SET i = NULL, s = NULL, at = NULL, n = NULL WHERE id = 2",
    "UPDATE computed SET n = 11 WHERE id = 1",
    "INSERT INTO computed (id, n) VALUES (3, NULL)",
    "UPDATE Names SET `order` = 10, `two words` = 11, `a.b` = 12, MiXed = 13, ä = 14 WHERE id = 1",
    "DELETE FROM Names WHERE id = 2",
    "UPDATE emptied SET n = 3 WHERE id = 1",
    "TRUNCATE emptied",
    "INSERT INTO emptied VALUES (2, 20), (3, 30)",
    # What Debezium sees being made has other types than what is there before it: booleans, documents.
    "CREATE TABLE late (id INT PRIMARY KEY, bo BOOL, si BOOL, js JSON)",
    """INSERT INTO late VALUES (1, true, true, '{"a": 1}'), (2, false, false, '"x"'), (3, NULL, NULL, NULL)""",
    "UPDATE late SET bo = false, si = false, js = '[]' WHERE id = 1",
    # Transactions.
    "BEGIN",
    "INSERT INTO pairs VALUES (5000, 'kept', '')",
    "SAVEPOINT s",
    "INSERT INTO pairs VALUES (5001, 'gone', '')",
    "ROLLBACK TO s",
    "INSERT INTO coded VALUES ('kept', 1)",
    "COMMIT",
    "BEGIN",
    "DELETE FROM pairs",
    "ROLLBACK",
    # Several tables in one statement.
    "UPDATE pairs, numbered SET pairs.note = 'both', numbered.n = numbered.n + 1 WHERE pairs.a = numbered.id",
    "DELETE pairs, numbered FROM pairs JOIN numbered ON pairs.a = numbered.id WHERE numbered.id BETWEEN 12 AND 14",
    "INSERT INTO pairs SELECT id, 'copy', code FROM numbered",
]


def changes_of_keys():
    for i, (_, _, values) in enumerate(KEYS):
        yield f"UPDATE key{i} SET n = 10 WHERE k = {values[0]}"
        yield f"DELETE FROM key{i} WHERE k = {values[1]}"
        yield f"UPDATE key{i} SET k = {values[3]} WHERE k = {values[2]}"
        yield f"INSERT INTO key{i} VALUES ({values[1]}, 11)"


THE_END = "INSERT INTO coded VALUES ('the end', 0)"


def is_at_end(log):
    """Does the topic show the last change?"""
    return b'"the end"' in (log.records[0][max(log.records[0])].value or b"")


@pytest.mark.parametrize("schemas", [True, False], ids=["schema", "plain"])
def test_changes(bench, connect, mariadb, schemas):
    """All that MariaDB does to rows, with keys of many types, while the daemon runs. Patterns take in each topic of the
    connector: records that tell of no row are passed over."""
    mode = MODES["recommended"]
    tables = Tables(bench, mariadb)
    make_tables(tables)
    begin(tables)
    with MariaSource(
        bench, connect, mariadb, bench.database, schemas=schemas, provide_transaction_metadata="true",
        heartbeat_interval_ms=200, **mode.connector,
    ) as source:  # fmt: skip
        heartbeats = f"__debezium-heartbeat.{source.name}"
        patterns = [f"^{source.name}.*", f"^{re.escape(heartbeats)}$"]
        route = {"topics": patterns, "table": "target.{value.source.table}", "tables": tables.names,
                 "envelope": "debezium", "on_error": "dead_letter", "booleans": "number"} | mode.route  # fmt: skip
        bench.start(bench.config(routes=[route]))
        tables.run(*CHANGES, *changes_of_keys(), THE_END)
        wait.until(lambda: is_at_end(source.log("coded", 1)), "the last change")
    others = [source.name, f"{source.name}.transaction", heartbeats]
    logs = {topic: read_back(bench.kafka, topic) for topic in [*others, *map(source.topic, tables.names)]}
    for log in logs.values():
        bench.wait_stored(log)
    faults = tables.faults()
    assert not faults, "\n".join(text for _, text in faults)
    for topic, log in logs.items():
        name = topic.rpartition(".")[2] if topic not in others else "coded"
        bench.check(log, f'target."{name}"', model=Mirror(f'source."{name}"'))


def test_a_unit_that_nobody_tells_is_not_guessed(bench, connect, mariadb):
    """The default mode writes milliseconds or microseconds, as the precision of the source's column says. A record
    without a schema does not repeat it."""
    for name in ("untold", "precise_untold", "ambiguous", "precise", "unit"):
        kind = "timestamp(0)" if name.startswith("precise") else "timestamp"
        bench.sql(f"CREATE TABLE {name} (id int PRIMARY KEY, at {kind})")
    mariadb.run(f"CREATE DATABASE {bench.database}; USE {bench.database};"
                " CREATE TABLE t (id INT PRIMARY KEY, at DATETIME);"
                " INSERT INTO t VALUES (1, '2024-02-29 13:14:15'), (2, NULL)")  # fmt: skip
    with MariaSource(bench, connect, mariadb, bench.database) as source:
        log = source.log("t", 2)
    adaptive = {"time_precision": "adaptive_time_microseconds"}
    route = {"topics": [source.topic("t")], "envelope": "debezium", "on_error": "dead_letter"}
    unit = {"columns": {"at": {"from": "value.after.at", "unit": "ms"}}}
    more = {"untold": {}, "precise_untold": {}, "ambiguous": adaptive, "precise": adaptive, "unit": unit}
    bench.drain(bench.config(routes=[route | {"name": name, "table": name} | what for name, what in more.items()]))
    for name in more:
        right = name in ("precise", "unit")
        rows = "(1, '2024-02-29 13:14:15'::timestamp), (2, NULL)" if right else "(2, NULL::timestamp)"
        bench.check(log, name, model=Mirror(f"(VALUES {rows})"), route=name, dead=set() if right else {(0, 0)})
