"""Every encoder against PostgreSQL itself.

Our bytes go through COPY BINARY into a column of the type, and must come back equal to what PostgreSQL
makes of the value's text; where PostgreSQL refuses the text, we must refuse it too. What differs on
purpose stands in NARROWER (we refuse, PostgreSQL takes it) and in OWN (we say what it means, PostgreSQL
leaves it open or refuses).
"""

import json
import os
import random
import struct
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from kit import daemon

ENCODE_ROWS = Path(
    os.environ.get("PGSINKD_ENCODE_ROWS", daemon.BINARY.parent / "tests" / "unit" / "row" / "encode_rows"),
)  # fmt: skip

SEED = 20260

SENDS = {
    "bool": "boolsend",
    "int2": "int2send",
    "int4": "int4send",
    "int8": "int8send",
    "float4": "float4send",
    "float8": "float8send",
    "numeric": "numeric_send",
    "text": "textsend",
    "varchar": "varcharsend",
    "bpchar": "bpcharsend",
    "bytea": "byteasend",
    "uuid": "uuid_send",
    "json": "json_send",
    "jsonb": "jsonb_send",
    "date": "date_send",
    "time": "time_send",
    "timestamp": "timestamp_send",
    "timestamptz": "timestamptz_send",
    "interval": "interval_send",
    "inet": "inet_send",
    "cidr": "cidr_send",
    "macaddr": "macaddr_send",
    "macaddr8": "macaddr8_send",
}  # fmt: skip

# What PostgreSQL makes of a text: the bytes of its send function, or NULL when it refuses. Assignment,
# not a cast: a cast to varchar(n) cuts in silence.
SETUP = """
CREATE FUNCTION expected(target text, send text, input text) RETURNS bytea LANGUAGE plpgsql AS $$
DECLARE answer bytea;
BEGIN
    EXECUTE format('INSERT INTO %s_expected (v) VALUES (%s) RETURNING %s(v)', target,
                   CASE WHEN send IN ('varcharsend', 'bpcharsend') THEN quote_literal(input) || '::text'
                        ELSE quote_literal(input) END, send)
        INTO answer;
    RETURN answer;
EXCEPTION WHEN data_exception OR program_limit_exceeded OR feature_not_supported THEN
    RETURN NULL;
END $$;
"""


@dataclass
class Case:
    data: str  # a JSON value, or hexadecimal bytes
    text: str | None = None  # what PostgreSQL is given; default: the text of the JSON value
    unit: str = ""
    source: str = "json"

    def __post_init__(self):
        if self.text is None:
            if self.source == "bytes":
                self.text = bytes.fromhex(self.data).decode()
            else:
                self.text = json.loads(self.data) if self.data.startswith('"') else self.data


def strings(*texts):
    return [Case(json.dumps(t)) for t in texts]


def values(*data):
    return [Case(d) for d in data]


def keys(*texts):
    return [Case(t.encode().hex(), source="bytes") for t in texts]


INT_EDGES = [
    0, -0, 1, -1, 127, 128, 32767, 32768, -32768, -32769, 2**31 - 1, 2**31, -(2**31), -(2**31) - 1, 2**53,
    2**63 - 1, 2**63, -(2**63), -(2**63) - 1, 10**18, 10**19, 10**40,
]  # fmt: skip
INTS = values(*map(str, INT_EDGES)) + strings(*map(str, INT_EDGES)) + keys("12", "-7", "x", "")
INTS += strings("+5", "007", "-0", "", "-", "+", "abc", "1 2", "--1", "1.5", "12a", "٣") + values(
    "1.5", "1e-1", "true", "[1]", "{}",
)  # fmt: skip

FLOAT_TEXTS = [
    "0", "-0", "0.0", "-0.0", "1", "0.1", "-0.1", "1e22", "1e23", "123456789012345678", "9007199254740993",
    "9007199254740992", "3.4028234663852886e38", "3.4028235677973366e38", "3.5e38", "1e308",
    "1.7976931348623157e308", "1.7976931348623159e308", "1e309", "-1e309", "5e-324", "4.9e-324", "2.5e-324",
    "2e-324", "1e-400", "1.4e-45", "7e-46", "7.1e-46", "1e-46", "2.2250738585072011e-308",
    "2.2250738585072014e-308", "1.17549435e-38", "1.1754942e-38", "16777217", "16777216.5", "0.3", "8.5e-9",
    "1e10", "33554433e-10", "0e999999999", "0.000001e-999999", "0." + "0" * 400 + "1", "1" + "0" * 308,
    "1" * 400, "0.1" + "0" * 800 + "1", "179769313486231580793728971405301e276",
]  # fmt: skip
FLOATS = values(*FLOAT_TEXTS) + strings(*FLOAT_TEXTS) + keys("1.5", "nan")
FLOATS += strings(
    "NaN", "nan", "Infinity", "-Infinity", "inf", "-inf", "+inf", "+Infinity", "INFINITY", "infin", "-nan.",
    "", ".5", "5.", "+1.5", ".", "e5", "1e", "1e+", "abc", "1,5", "1e5x",
)  # fmt: skip
FLOATS += values("true", "[]", "{}")

NUMERIC_TEXTS = [
    "0", "-0", "0.0", "-0.00", "1", "-1", "10000", "9999", "10001", "100000000", "0.0001", "0.00010000",
    "0.00001", "1.10", "123456789.123456789", "1e3", "1E+3", "1e-3", "1.5e-3", "12345e-10", "0.001e5",
    "1e131071", "1e131072", "-1e131071", "9" * 131072, "9" * 131073, "1e-16383", "1e-16384", "0e-16383",
    "0e-16384", "0e200000", "1e200000", "1e-200000", "0." + "0" * 16382 + "1", "0." + "0" * 16383 + "1",
    "9" * 1000, "0." + "9" * 1000, "9" * 500 + "." + "1" * 500, "1" + "0" * 999,
    "12345678901234567890123456789012345678901234567890.5", "4.99995", "0.00005", "99999999.99995",
    "1" + "0" * 131071 + "." + "1" * 16383, "1e99999", "1.0e-9999",
]  # fmt: skip
NUMERICS = values(*NUMERIC_TEXTS) + strings(*NUMERIC_TEXTS) + keys("1.25", "0x")
NUMERICS += strings(
    "NaN", "nan", "Infinity", "-Infinity", "inf", "-inf", "+inf", "", ".5", "5.", "+1.5", ".", "-", "e5",
    "1e", "abc", "1,5", "1e5x", "--1", "NaNx", "-NaN",
)  # fmt: skip
NUMERICS += values("true", "[]", "1e999999999", "1e-999999999", "0e2147483647")

NUMERIC_TYPMODS = [
    "numeric(10,2)", "numeric(5,0)", "numeric(1000,1000)", "numeric(1000,0)", "numeric(3,5)",
    "numeric(3,-2)", "numeric(1,1)", "numeric(38,9)", "numeric(4,4)",
]  # fmt: skip
TYPMOD_TEXTS = [
    "0", "1", "0.005", "0.004999", "-0.005", "99999999.99", "99999999.994", "99999999.995", "-99999999.995",
    "99999.4", "99999.5", "99999.49999", "100000", "0.00123", "0.00999", "0.009994", "0.009995", "0.01",
    "12345", "99949", "99950", "99999", "49", "50", "-50", "51", "0.94", "0.95", "0.04", "0.05", "1e20000",
    "0.99995", "0.99994", "0.00005", "0.00004", "1234567890123456789012345678.9", "9" * 1000,
    "0." + "9" * 1000, "0." + "9" * 1001, "9" * 29 + ".9999999994", "9" * 29 + ".9999999995",
]  # fmt: skip

TEXTS = strings(
    "", "a", "  ", "äöü", "日本語", "😀", "𝄞x", "a\tb\nc\r\x01\x7f\x1f", '"quoted"\\', "\u0000", "a\u0000b",
    "\uffff\U0010ffff", "x" * 100000, "é" * 5000,
)  # fmt: skip
TEXTS += [Case('"\\u0041\\u00e9\\ud83d\\ude00\\b\\f\\n\\r\\t\\/\\\\\\""', 'Aé😀\b\f\n\r\t/\\"')]
TEXTS += values("1", "1.50", "-0", "1e5", "true", "false", "[1, 2]", '{"a" : 1}', "1" * 1000) + keys(
    "", "key", "ключ",
)  # fmt: skip

LIMITED = strings(
    "", "a", "abcde", "abcdef", "abc  ", "abcde   ", "abcde  x", "     ", "      ", "ééééé", "éééééé",
    "😀😀😀😀😀", "😀😀😀😀😀😀", "😀😀😀😀😀 ", "abcd\u3000\u3000", "a\u0000", "\t\t\t\t\t\t",
)  # fmt: skip
LIMITED += values("12345", "123456", "true", "false", "[1,2]", "[1,2,3]") + keys("abcde", "abcdef", "äöüäöü")  # fmt: skip

BOOLS = values("true", "false", "1", "0", "2", "1.0", "-1", "10", "[]", "{}", "1e0")
BOOLS += strings(
    "t", "f", "true", "false", "TRUE", "False", "tru", "fals", "y", "yes", "n", "no", "on", "off", "o",
    "of", "ON", "1", "0", "", " true ", "\ttrue\n", "truex", "2", "00", "yess", "01", "null",
)  # fmt: skip
BOOLS += keys("true", "0", "x")

BYTEAS = strings("\\x", "\\x00", "\\xDEADbeef", "\\x0", "\\x0g", "\\xzz")
UUID = "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"
UUIDS = strings(
    UUID, UUID.upper(), "{" + UUID + "}", UUID.replace("-", ""), "{" + UUID.replace("-", "") + "}",
    "a0ee-bc99-9c0b-4ef8-bb6d-6bb9-bd38-0a11", "a0eebc99-9c0b4ef8-bb6d6bb9-bd380a11", UUID[:-1], UUID + "0",
    UUID + "-", "-" + UUID, "{" + UUID, UUID + "}", "", "{}", "g" + UUID[1:], UUID.replace("-", "--", 1),
    "a0e-ebc999c0b4ef8bb6d6bb9bd380a11", " " + UUID, "00000000-0000-0000-0000-000000000000",
)  # fmt: skip
UUIDS += keys(UUID, "x") + values("1", "true")

deep = lambda n: "[" * n + "]" * n  # noqa: E731
JSONS = values(
    "1", "-0", "1.50", "1e5", "true", "false", '""', '"a"', '"\\ud83d\\ude00\\n"', "[]", "{}",
    '[1, "a" , null]', '{"b" : 1,  "a":2,"b":3}', '{"a":{"b":{"c":[[],[{}]]}}}', '{"":1}', '"\\\\u0000"',
    '{"a\\u00e9":"é"}', '{"n":12345678901234567890123456789.000}', deep(1000),
    '{"a":' * 500 + "1" + "}" * 500, '["' + "x" * 70000 + '"]', "[" + ",".join(map(str, range(5000))) + "]",
    "[1e131071]", "[-0, 0.0, 1E-5]",
)  # fmt: skip
for case in JSONS:
    case.text = case.data
JSONS += keys(
    "1", '"a"', ' {"a" : [1,2]} ', "", "{", "abc", '{"a":1}x', "[1,]", "'a'", '{"a":truu}', "01", "1.",
    '"\x01"',
)  # fmt: skip
JSONBS = JSONS + values(
    '{"a":"\\u0000"}', '{"a\\u0000b":1}', '["\\u0000"]', "[1e131072]", "[1e-16384]", "[1e-16383]",
    '{"a":[1,1e999999]}',
)  # fmt: skip
JSONBS += [
    Case('"\\u0000"', '"\\u0000"'), Case('"a\\\\\\u0000"', '"a\\\\\\u0000"'), Case("1e200000", "1e200000"),
]  # fmt: skip

DATES = strings(
    "2024-02-29", "2023-02-29", "2000-02-29", "1900-02-29", "1970-01-01", "2000-01-01", "0001-01-01",
    "0000-01-01", "1582-10-10", "9999-12-31", "10000-01-01", "294276-12-31", "5874897-12-31",
    "5874898-01-01", "9999999-12-31", "2024-13-01", "2024-00-01", "2024-01-00", "2024-01-32", "2024-04-31",
    "2024-12-31", "infinity", "-infinity", "Infinity", "", "abc", "2024", "2024-01", "2024-01-01T10:11:12Z",
    "2024-01-01T23:59:59.9999999Z", "2024-01-01 00:00:00+14:00", "2024-01-01T24:00:00Z",
    "2024-01-01T25:00:00Z", "2024-01-01x", "99999999-01-01", "20240229", "20230229",
)  # fmt: skip
DATES += values("true", "[]") + keys("2024-02-29", "nope")

TIMES = strings(
    "00:00:00", "23:59:59", "24:00:00", "24:00:01", "24:00:00.0000001", "23:59:60", "23:59:60.5",
    "12:59:60", "12:59:60.5", "12:59:61", "12:60:00", "25:00:00", "10:11", "10:11:12.5", "10:11:12.123456",
    "10:11:12.1234564", "10:11:12.1234565", "10:11:12.1234575", "10:11:12.9999999", "23:59:59.9999999",
    "10:11:12.0000005", "10:11:12.0000015", "10:11:12." + "1" * 50, "10:11:12Z", "10:11:12+02",
    "10:11:12+02:30", "10:11:12-15:59", "10:11:12+16:00", "", "10", "ab:cd:ef", "-1:00:00", "10:11:12x",
    "10:11:12.5.5", "T10:11:12", "T101112", "t1011", "T101112.25+02", "10:11:12 UTC", "10:11:12 +02", "T",
)  # fmt: skip
TIMES += values("true", "[]", "{}") + keys("01:02:03", "nope")

STAMPS = strings(
    "2024-02-29T12:34:56Z", "2024-02-29t12:34:56z", "2024-02-29 12:34:56+00",
    "2024-02-29 12:34:56.789+01:30", "2024-02-29T12:34:56.123456789Z", "2024-02-29T12:34:56.1234565Z",
    "2024-02-29T12:34:56.1234575-08:00", "2024-02-29T23:59:59.9999999Z", "2016-12-31T23:59:60Z",
    "2016-12-31T23:59:60.5Z", "2016-12-31T23:58:60.5Z", "2024-02-29T24:00:00Z", "2024-02-29T24:00:01Z",
    "2024-02-29T00:00:00+15:59", "2024-02-29T00:00:00+15:59:59", "2024-02-29T00:00:00-15:59",
    "2024-02-29T00:00:00+16:00", "2024-02-29T00:00:00+0530", "2024-02-29T00:00+05",
    "2024-02-29T00:00:00+05:60", "2024-02-29", "2024-02-29T12:34", "2024-02-29T12:34:56",
    "0001-01-01T00:00:00Z", "0001-01-01T00:00:00+12:00", "0000-01-01T00:00:00Z",
    "294276-12-31T23:59:59.999999Z", "294277-01-01T00:00:00Z", "294276-12-31T23:59:59.9999999Z",
    "294276-12-31T23:59:59-01:00", "294277-01-01T00:30:00+01:00", "1582-10-04T00:00:00Z",
    "1969-12-31T23:59:59.999999Z", "infinity", "-infinity", "INFINITY", "2023-02-29T00:00:00Z",
    "2024-02-29T12:60:00Z", "2024-02-29T25:00:00Z", "", "abc", "2024-02-29T", "2024-02-29T12:34:56ZZ",
    "2024-02-29T12:34:56+", "2024-02-29T12:34:56 Zx", "5874897-12-31T00:00:00Z",
    "20240229", "20240229T123456", "20240229T123456Z", "20240229 123456.5+0130", "20240229T1234+01",
    "20240229T12:34:56Z", "2024-02-29T123456Z", "20241301", "2024-02-29 12:34:56 +0000",
    "2024-02-29 12:34:56 -0130", "2024-02-29 12:34:56 Z", "2024-02-29 12:34:56 UTC", "2024-02-29 12:34:56 GMT",
    "2024-02-29 12:34:56utc", "2024-02-29 12:34:56 +00:00 CET",
)  # fmt: skip
STAMPS += values("true", "[]", "{}") + keys("2024-02-29T12:34:56Z", "nope")

INTERVALS = strings(
    "P1Y2M3W4DT5H6M7.891234S", "P1D", "PT2H", "P1DT2H", "PT-1H30M", "P-1Y2M", "P1.5Y", "P1.25Y", "P0.04Y", "P1.5M",
    "P2.7M", "P1.5W", "P0.33W", "P1.5D", "PT1.5H", "PT0.000001S", "PT0.0000005S", "PT0.0000015S", "PT0.4999999S",
    "PT1000000H", "PT36H", "P0D", "PT0S", "P", "1P", "P1H", "PT1Y", "PD", "p1d",
    "1 day", "2 hours", "1 day 02:03:04", "-1 day 02:03:04", "-1 days +02:03:00", "1 year 2 mons -3 days -04:05:06.5",
    "3 years 6 mons", "@ 1 year 2 mons", "@ 1 day ago", "1 day 2 hours ago", "02:03", "02:03:04.1234567", "-00:00:01",
    "100:59:60", "100:60:00", "1:02:61", "00:00:00.0000005", "1week", "2h30m", "1d 2h 3m 4s", "1 y 2 mon 3 w", "5 ms",
    "1500 us", "1.5 ms", "1.5 seconds 3 ms", "1 second 3 ms", "1.5 days", "1.7 months", "0.1 hours", "1.5 weeks",
    "1 DAY", "1 Hour", " 1 day ", "1  day   2 hours", "1 day 1 day", "1 hour 02:03", "02:03 04:05", "", " ", "day",
    "1 dy", "1 day x", "ago", "1. day x", "--1 day", "2147483647 days", "2147483648 days",
    "-2147483648 days", "178956970 years 7 mons", "178956970 years 8 mons", "2562047788:00:54.775807",
    "2562047788:00:54.775808", "9223372036854775807 us", "9223372036854775808 us", "99999999999999999999 years",
    "3000000000 hours", "-2147483648 days ago", "1 yr 2 yrs", "1 hr 2 min 3 secs", "12 minutes", "1 microsecond",
)  # fmt: skip
INTERVALS += values("true", "[]", "{}") + keys("1 day", "nope")
# PostgreSQL applies the precision. Of the two largest, version 15 makes nonsense then, and version 17 refuses them.
INTERVALS_TO_ROUND = [c for c in INTERVALS if c.text not in ("2562047788:00:54.775807", "9223372036854775807 us")]

INETS = strings(
    "1.2.3.4", "0.0.0.0", "255.255.255.255", "1.2.3.4/24", "1.2.3.4/32", "1.2.3.4/0", "1.2.3.4/33", "1.2.3.4/",
    "1.2.3.4/-1", "1.2.3.256", "1.2.3", "1.2.3.4.5", "::", "::1", "2001:db8::1/64", "2001:DB8::1/128", "::1/129",
    "::ffff:1.2.3.4", "::ffff:1.2.3.4/96", "1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7:8:9", "fe80::1%eth0", "", "x", "12345",
    "1.2.3.4/24x", "g::1", "1.2.3.4 ", "a.b.c.d",
)  # fmt: skip
INETS += values("1", "true", "[]", "{}") + keys("10.0.0.1", "nope")
CIDRS = strings(
    "10.0.0.0/8", "10.1.0.0/8", "10.1.2.3/32", "10.1.2.3", "192.168.100.128/25", "192.168.100.129/25", "0.0.0.0/0",
    "128.0.0.0/0", "2001:4f8:3:ba::/64", "2001:4f8:3:ba::1/64", "2001:4f8:3:ba:2e0:81ff:fe22:d1f1", "::/0", "8000::/0",
    "", "x",
)  # fmt: skip
MACS = strings(
    "08:00:2b:01:02:03", "08-00-2b-01-02-03", "08002b:010203", "08002b-010203", "0800.2b01.0203", "0800-2b01-0203",
    "08002b010203", "08:00:2B:01:02:03", " 08:00:2b:01:02:03 ", "08:00:2b:01:02", "08:00:2b:01:02:03:04",
    "08:00:2b:01:02-03", "0800:2b01:0203", "08.00.2b.01.02.03", "08:00:2b:01:02:0g", "", "x", "08:00:2b:01:02:03:",
    ":08:00:2b:01:02:03",
)  # fmt: skip
MACS += values("1", "true", "[]") + keys("08:00:2b:01:02:03")
MAC8S = strings(
    "08:00:2b:01:02:03:04:05", "08-00-2b-01-02-03-04-05", "0800.2b01.0203.0405", "08002b0102030405", "08002b010203",
    "08:00:2b:01:02:03", "08:00:2b:01:02:03:04", "", "08:00:2b:01:02:03:04:05:06", "0800-2b01-0203-0405",
)  # fmt: skip

# A JSON array, and the literal that PostgreSQL is given; None: both refuse.
ARRAYS = {
    "int4[]": [
        Case("[]", "{}"), Case("[[]]", "{}"), Case("[[],[]]", "{}"), Case("[1]", "{1}"), Case("[ 1 ,\t2, -3 ]", "{1,2,-3}"),
        Case("[null]", "{NULL}"), Case("[1,null,3]", "{1,NULL,3}"), Case("[[1,2],[3,4]]", "{{1,2},{3,4}}"),
        Case("[[[1],[2]],[[null],[4]]]", "{{{1},{2}},{{NULL},{4}}}"), Case("[[[[[[7]]]]]]", "{{{{{{7}}}}}}"),
        Case("[[[[[[[7]]]]]]]", "{{{{{{{7}}}}}}}"), Case("[[1],[2,3]]", "{{1},{2,3}}"), Case("[1,[2]]", "{1,{2}}"),
        Case("[[1],2]", "{{1},2}"), Case("[[],[1]]", "{{},{1}}"), Case("[[1],[]]", "{{1},{}}"), Case("[null,[1]]", "{NULL,{1}}"),
        Case("[2147483648]", "{2147483648}"), Case('["1","-2"]', "{1,-2}"), Case('["x"]', "{x}"), Case("[true]", "{true}"),
        Case("[{}]", '{"{}"}'), Case("{}", "()"), Case("1", "1"), Case("[" + "1," * 999 + "1]", "{" + "1," * 999 + "1}"),
        Case("205b312c325d20", "{1,2}", source="bytes"), Case("7b7d", "()", source="bytes"), Case("5b", "{", source="bytes"),
    ],
    "int8[]": [Case("[9223372036854775807,-9223372036854775808,0]", "{9223372036854775807,-9223372036854775808,0}")],
    "float8[]": [Case('[0.1,1e300,-0,"NaN",null,12345678901234567890]', "{0.1,1e300,-0,NaN,NULL,12345678901234567890}")],
    "float4[]": [Case("[0.1,-1.5,3.4e38,3.5e38]", "{0.1,-1.5,3.4e38,3.5e38}"), Case("[0.1,7]", "{0.1,7}")],
    "numeric[]": [Case("[1.50,-0.0001,12345678901234567890123.5,0]", "{1.50,-0.0001,12345678901234567890123.5,0}")],
    "numeric(5,2)[]": [Case("[1.005,999.99]", "{1.005,999.99}"), Case("[999.995]", "{999.995}")],
    "bool[]": [Case("[true,false,null]", "{t,f,NULL}")],
    "text[]": [
        Case('["a","","null",null,"a,b","{x}","\\"q\\"","\\\\","\\u00e9\\ud83d\\ude00\\n"]',
             '{a,"","null",NULL,"a,b","{x}","\\"q\\"","\\\\","é😀\n"}'),
        Case('[1,1.50,true,{"a":[1]}]', '{1,1.50,true,"{\\"a\\":[1]}"}'), Case('["a\\u0000"]', "{"),
        Case('["]","[","\\"]"]', '{"]","[","\\"]"}'), Case('[["a]"],["\\\\"]]', '{{"a]"},{"\\\\"}}'),
    ],
    "varchar(3)[]": [Case('["abc","ab   "]', '{abc,"ab   "}'), Case('["abcd"]', "{abcd}")],
    "char(3)[]": [Case('["a","abc"]', "{a,abc}")],
    "uuid[]": [Case(f'["{UUID}"]', f"{{{UUID}}}")],
    "bytea[]": [Case('["\\\\x00ff"]', '{"\\\\x00ff"}'), Case('["AP8="]', '{"\\\\x00ff"}')],
    "date[]": [Case('["2024-02-29",null]', "{2024-02-29,NULL}"), Case('["2023-02-29"]', "{2023-02-29}")],
    "timestamptz[]": [Case('["2024-02-29T12:34:56Z"]', "{2024-02-29T12:34:56Z}"), Case("[86400000]", "{1970-01-02Z}", "ms")],
    "timestamp(0)[]": [Case('["2024-02-29T12:34:56.7"]', "{2024-02-29T12:34:56.7}")],
    "interval[]": [Case('["P1D","2 hours"]', '{P1D,"2 hours"}')],
    "inet[]": [Case('["1.2.3.4/8","::1"]', "{1.2.3.4/8,::1}")],
    "jsonb[]": [Case('[{"a":[1,2]},[1,[2]],"x",1]', '{"{\\"a\\":[1,2]}","[1,[2]]","\\"x\\"",1}'), Case("[null]", "{NULL}")],
    "json[]": [Case('[{"a":  1}]', '{"{\\"a\\":  1}"}')],
}  # fmt: skip

TABLE = {
    "bool": BOOLS,
    "int2": INTS,
    "int4": INTS,
    "int8": INTS,
    "float4": FLOATS,
    "float8": FLOATS,
    "numeric": NUMERICS,
    **dict.fromkeys(NUMERIC_TYPMODS, values(*TYPMOD_TEXTS) + strings("NaN", "Infinity", "-inf")),
    "text": TEXTS,
    "varchar": TEXTS,
    "bpchar": TEXTS,
    "varchar(5)": LIMITED,
    "char(5)": LIMITED,
    "varchar(1)": LIMITED,
    "char(1)": LIMITED,
    "bytea": BYTEAS,
    "uuid": UUIDS,
    "json": JSONS,
    "jsonb": JSONBS,
    "date": DATES,
    "time": TIMES,
    "time(3)": TIMES,
    "time(0)": TIMES,
    "timestamp": STAMPS,
    "timestamptz": STAMPS,
    "timestamp(3)": STAMPS,
    "timestamptz(0)": STAMPS,
    "interval": INTERVALS,
    "interval(2)": INTERVALS_TO_ROUND,
    "inet": INETS,
    "cidr": CIDRS,
    "macaddr": MACS,
    "macaddr8": MAC8S,
    **ARRAYS,
}  # fmt: skip

# PostgreSQL takes these; we do not, so that nothing is guessed and nothing depends on its version.
NARROWER = {
    "int4": strings(" 5", "5 ", "\t5\n"),
    "float8": strings(" 1.5", "1.5 ", "0x1p3", "0x10"),
    "numeric": strings(" 1.5", "1.5 ", "\n1"),
    "bytea": strings("\\xde ad", "\\x de", "abc\\000def", "plain text"),
    "json": strings("\ud800"),
    "date": strings(
        "today", "now", "epoch", "2024-2-9", "29 Feb 2024", "Feb 29, 2024", "2024-02-29 BC",
        "2024.060", "J2451545", " 2024-02-29",
    ) + values("20240229"),
    "time": strings(
        "10:", "10:11:", "10:11:12 PM", "101112", "now", "allballs", "1:02:03",
        "2024-01-01T10:11:12",
    ) + values("101112"),
    "timestamp": strings(
        "now", "epoch", "2024-02-29 10:11:12 Europe/Berlin", "2024-02-29 10:11:12 CET",
        "2024-2-9 10:11:12", "2024-02-29T10:11:12+2", "2024-02-29T10:11:12.", "20240229T250000",
        "Thu Feb 29 10:11:12 2024",
    ) + values("20240229"),
    "uuid": values("11111111111111111111111111111111"),
    "interval": strings("1", "3600", "1-2", "1 02:03:04", "1 2:03", "02:03.5", "1. day", ".5 day", "- 1 day", "1 day, 2 hours",
                        "1 century", "P0001-02-03T04:05:06", "P1DT1:30", "PT1H1H", "PT.5S", "1 day 2", "P1DT",
                        "PT", "P1", "P1DT2", "1 day ago 2 hours", "1 day ago ago", "1.") + values("1"),
    "inet": strings("010.1.1.1"),
    "cidr": strings("10", "10.1/16", "192.168"),
    "macaddr": strings("8:0:2b:1:2:3"),
    "macaddr8": strings("08002b:0102030405"),
    "int4[]": strings("{1,2}", "[1,2]"),
}  # fmt: skip

# We give these a meaning of our own. data, unit -> what PostgreSQL calls the same value.
OWN = {
    "int2": [
        Case("1e3", "1000"), Case("1.0", "1"), Case('"1e3"', "1000"), Case('"-2.50e1"', "-25"),
        Case("32767.000", "32767"),
    ],
    "int4": [
        Case("2147483647.0", "2147483647"), Case("21474836470e-1", "2147483647"), Case("0e5", "0"),
        Case("0e-999999999", "0"),
    ],
    "int8": [
        Case("9223372036854775807.0", "9223372036854775807"),
        Case("-9.223372036854775808e18", "-9223372036854775808"),
    ],
    "bytea": [
        Case('""', ""), Case('"3q2+7w=="', "\\xdeadbeef"), Case('"3q2+7w"', "\\xdeadbeef"),
        Case('"3q2-7w"', "\\xdeadbeef"), Case('"/+8="', "\\xffef"), Case('"_-8"', "\\xffef"),
        Case('"AA=="', "\\x00"), Case("00ff41", "\\x00ff41", source="bytes"),
        Case("5c7830", "\\x5c7830", source="bytes"), Case("", "", source="bytes"),
    ],
    "date": [
        Case("0", "1970-01-01", "s"), Case("86399", "1970-01-01", "s"), Case("-1", "1969-12-31", "s"),
        Case("1709164800000", "2024-02-29", "ms"), Case("-1", "1969-12-31", "us"),
        Case("-1", "1970-01-01", "ns"), Case("-499", "1970-01-01", "ns"), Case("-500", "1969-12-31", "ns"),
    ],
    # As COPY reads it; a literal is looked at before it is rounded.
    "numeric(10,2)": [Case("1e-20000", "0.00"), Case("0e-20000", "0.00")],
    "time": [
        Case('"10:11:12.' + "0" * 400 + '1"', "10:11:12"), Case("0", "00:00:00", "s"),
        Case("-0", "00:00:00", "s"), Case("86400", "24:00:00", "s"), Case("3723.5", "01:02:03.5", "s"),
        Case("1500", "00:00:01.5", "ms"), Case("1", "00:00:00.000001", "us"),
        Case('"1"', "00:00:00.001", "ms"),
    ],
    "timestamptz": [
        Case("0", "1970-01-01Z", "s"), Case("1709210096", "2024-02-29T12:34:56Z", "s"),
        Case("1709210096.789", "2024-02-29T12:34:56.789Z", "s"),
        Case("1.7092100967891234e9", "2024-02-29T12:34:56.789123Z", "s"),
        Case("1709210096789", "2024-02-29T12:34:56.789Z", "ms"),
        Case("1709210096789.1235", "2024-02-29T12:34:56.789124Z", "ms"),
        Case("1709210096789123", "2024-02-29T12:34:56.789123Z", "us"),
        Case("1709210096789123499", "2024-02-29T12:34:56.789123Z", "ns"),
        Case("1709210096789123500", "2024-02-29T12:34:56.789124Z", "ns"),
        Case("-1500", "1969-12-31T23:59:59.999998Z", "ns"), Case("-0.5", "1969-12-31T23:59:59.5Z", "s"),
        Case('"1709210096"', "2024-02-29T12:34:56Z", "s"),
        Case('"2024-02-29T12:34:56Z"', "2024-02-29T12:34:56Z", "ms"),
        Case("9224318015999", "294276-12-31T23:59:59Z", "s"),
        Case("-210866803200", "4714-11-24 00:00:00+00 BC", "s"),
        Case("31373039323130303936", "2024-02-29T12:34:56Z", "s", "bytes"),
    ],
    "timestamp": [Case("1709210096789", "2024-02-29T12:34:56.789", "ms"), Case("0", "1970-01-01", "s")],
    "interval": [
        Case('"-P1Y2DT3H"', "-1 year -2 days -03:00:00"), Case('"-PT1.5S"', "-00:00:01.5"), Case('"P+1D"', "1 day"),
        Case("90", "00:01:30", "s"), Case("-1500", "-00:00:01.5", "ms"), Case('"1500"', "00:00:01.5", "ms"),
        Case("9223372036854775807", "9223372036854775807 us", "us"), Case('"P1D"', "1 day", "ms"),
    ],
}  # fmt: skip

# Nothing of this is a value of the type, with the unit declared.
REFUSED = {
    "bytea": values("1", "true", "[]", "{}") + strings(
        "a", "abc=d", "====", "A===", "AB=", "AAAA=", "AB\n==", "AR==", "A", "AAAAA", "ä",
    ),
    "int4": values('{"a":1}', "2147483647.5"),
    "json": [Case("c3", "", source="bytes"), Case("22c328", "", source="bytes")],
    "text": [
        Case("c328", "", source="bytes"), Case("eda080", "", source="bytes"),
        Case("f4908080", "", source="bytes"), Case("610062", "", source="bytes"),
        Case("c080", "", source="bytes"),
    ],
    "interval": [Case("9223372036854775808", unit="us"), Case("1e30", unit="s"), Case("true", unit="s")],
    "date": [Case("1e30", unit="s"), Case("true", unit="s"), Case('"x"', unit="s")],
    "time": [Case("-1", unit="s"), Case("86400.000001", unit="s"), Case("[]", unit="s")],
    "timestamptz": values("0", "1709210096") + [
        Case("9224318016000", unit="s"), Case("-210866803201", unit="s"), Case("1e40", unit="us"),
        Case("-9223372036854775808", unit="us"),
    ],
}  # fmt: skip


def random_numerics(rng, n):
    for _ in range(n):
        whole = "".join(rng.choices("0123456789", k=rng.choice([0, 1, 2, 4, 5, 9, 30, 300])))
        frac = "".join(rng.choices("0123456789", k=rng.choice([0, 0, 1, 2, 4, 5, 9, 30, 300])))
        if rng.random() < 0.3:
            frac = rng.choice(["9" * 7, "4" + "9" * 6, "0" * 9 + "5", "00050", "5"])
        text = (whole.lstrip("0") or "0") + ("." + frac if frac else "")
        if rng.random() < 0.4:
            text += rng.choice("eE") + str(rng.randint(-40, 40))
        yield Case(rng.choice(["", "-"]) + text)


def random_floats(rng, n):
    for _ in range(n):
        kind = rng.randrange(4)
        if kind == 0:
            (x,) = struct.unpack("d", rng.randbytes(8))
            text = repr(x) if x == x and abs(x) != float("inf") else "0.1"
        elif kind == 1:
            (x,) = struct.unpack("f", rng.randbytes(4))
            text = repr(x) if x == x and abs(x) != float("inf") else "0.1"
        elif kind == 2:
            text = f"{rng.randrange(10**rng.randint(1, 25))}e{rng.randint(-345, 300)}"
        else:
            text = f"{rng.uniform(-1000, 1000):.{rng.randint(0, 17)}f}"
        yield Case(text)


def random_stamps(rng, n):
    for _ in range(n):
        year = rng.choice([rng.randint(1, 9999), rng.randint(1900, 2100), rng.randint(10000, 294277)])
        text = f"{year:04d}-{rng.randint(1, 12):02d}-{rng.randint(1, 31):02d}{rng.choice('Tt ')}"
        text += f"{rng.randint(0, 24):02d}:{rng.randint(0, 59):02d}:{rng.randint(0, 60):02d}"
        if rng.random() < 0.7:
            text += "." + "".join(rng.choices("0123456789", k=rng.randint(1, 12)))
        offset = f"{rng.choice('+-')}{rng.randint(0, 15):02d}"
        minutes = f"{rng.randint(0, 59):02d}"
        text += rng.choice(["Z", "z", "", offset, offset + ":" + minutes, offset + minutes])
        yield Case(json.dumps(text))


def random_texts(rng, n):
    points = [
        range(1, 128),
        range(0x80, 0x800),
        range(0x800, 0xD800),
        range(0xE000, 0x10000),
        range(0x10000, 0x110000),
        [0x22, 0x5C, 0x20],
    ]
    for _ in range(n):
        text = "".join(chr(rng.choice(rng.choice(points))) for _ in range(rng.choice([0, 1, 5, 6, 20, 200])))
        yield Case(json.dumps(text, ensure_ascii=rng.random() < 0.5), text)


def random_documents(rng, n):
    def name():
        return json.loads(next(random_texts(rng, 1)).data)[:8]

    def value(depth):
        kind = rng.randrange(7 if depth < 5 else 4)
        if kind == 0:
            return rng.choice([True, False, None, [], {}])
        if kind == 1:
            return rng.choice([0, -1, 1.5, 1e-7, 1e300, rng.randrange(10**30)])
        if kind < 4:
            return json.loads(next(random_texts(rng, 1)).data)
        if kind == 4:
            return [value(depth + 1) for _ in range(rng.randrange(6))]
        return {name(): value(depth + 1) for _ in range(rng.randrange(6))}

    for _ in range(n):
        text = json.dumps([value(0)], ensure_ascii=rng.random() < 0.5, indent=None)
        yield Case(text, text)


def broken_documents(rng, n):
    """Documents with one to three bytes changed, taken out or put in; some are still JSON."""
    seeds = list(random_documents(rng, 50))
    seeds += values('{"a":[1,2.5e-3,true,false,null,"x\\n\\u00e9\\ud83d\\ude00"],"b":{"c":{}}}', "[[],[[]],{}]", "-12.5E+3")
    alphabet = "{}[]:,\"\\ \n\t\f\x1a\x01/0123456789.-+eEtrufalsn'x\u00e9\ud7ff"
    while n > 0:
        text = list(rng.choice(seeds).data[: rng.choice([20, 60, 400])])
        for _ in range(rng.randint(1, 3)):
            at = rng.randrange(len(text) + 1)
            text[at : at + rng.randint(0, 2)] = rng.choices(alphabet, k=rng.randint(0, 2))
        text = "".join(text)
        if "\0" not in text:
            n -= 1
            yield Case(text.encode().hex(), text, source="bytes")


def random_arrays(element):
    """Of one to three dimensions, some of them ragged, with NULLs; elements as (JSON, text)."""

    def quoted(text):
        return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'

    def build(rng, dimensions):
        if not dimensions:
            if rng.random() < 0.1:
                return "null", "NULL"
            data, text = element(rng)
            return data, quoted(text)
        n = dimensions[0] if rng.random() < 0.97 else rng.randint(1, 3)
        parts = [build(rng, dimensions[1:]) for _ in range(n)]
        space = rng.choice(["", " ", "\n"])
        return "[" + f",{space}".join(d for d, _ in parts) + "]", "{" + ",".join(t for _, t in parts) + "}"

    def cases(rng, n):
        for _ in range(n):
            data, text = build(rng, [rng.randint(1, 4) for _ in range(rng.randint(1, 3))])
            yield Case(data.replace("\n", " "), text)

    return cases


def random_element(cases):
    def element(rng):
        case = next(cases(rng, 1))
        return case.data, case.text

    return element


def random_intervals(rng, n):
    """PostgreSQL's own words, and ISO 8601. What is narrower here (NARROWER) is left out."""
    units = ["year", "mons", "month", "weeks", "day", "days", "hours", "hr", "min", "minutes", "s", "secs", "ms", "us"]

    def number(signs):
        whole = rng.randint(0, rng.choice([30, 10**6]))
        return rng.choice(signs) + str(whole) + rng.choice(["", "", f".{rng.randint(0, 10**7)}"])

    def iso():
        dates = "".join(number(["", "-"]) + unit for unit in "YMWD" if rng.random() < 0.4)
        times = "".join(number(["", "-"]) + unit for unit in "HMS" if rng.random() < 0.4)
        return "P" + (dates or "0D") + ("T" + times if times else "")

    def words():
        parts = [number(["", "-", "+"]) + rng.choice(["", " ", "  "]) + rng.choice(units) for _ in range(rng.randint(1, 3))]
        if rng.random() < 0.5:
            seconds = f"{rng.randint(0, 61):02}" + rng.choice(["", f".{rng.randint(0, 10**8)}"])
            parts.append(f"{rng.choice(['', '-', '+'])}{rng.randint(0, 99):02}:{rng.randint(0, 61):02}:{seconds}")
        return " ".join(parts + rng.choice([[], [], ["ago"]]))

    for _ in range(n):
        yield Case(json.dumps(rng.choice([iso, words])()))


RANDOM = {
    "interval": random_intervals,
    "interval(3)": random_intervals,
    "int4[]": random_arrays(lambda rng: (lambda n: (n, n))(str(rng.randint(-(2**31), 2**31 - 1)))),
    "text[]": random_arrays(random_element(random_texts)),
    "numeric[]": random_arrays(random_element(random_numerics)),
    "numeric": random_numerics,
    "numeric(12,3)": random_numerics,
    "numeric(30,10)": random_numerics,
    "float8": random_floats,
    "float4": random_floats,
    "timestamptz": random_stamps,
    "timestamp": random_stamps,
    "date": random_stamps,
    "text": random_texts,
    "varchar(6)": random_texts,
    "char(6)": random_texts,
    "jsonb": random_documents,
    "json": random_documents,
}  # fmt: skip


class Prover:
    """One database; a table per type for our bytes, another one for what PostgreSQL makes of the texts."""

    def __init__(self, connection):
        self.connection = connection
        self.tables = {}
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute(SETUP)

    def table(self, sql_type):
        """(table name, send function, our type's name, typmod)"""
        if sql_type not in self.tables:
            name = f"t{len(self.tables)}"
            for table in (name, name + "_expected"):
                self.connection.execute(f"CREATE UNLOGGED TABLE {table} (id int8, v {sql_type})")
            base, element, typmod = self.connection.execute(
                "SELECT t.typname, CASE WHEN e.oid IS NOT NULL THEN format('%s[%s]', e.typname, e.oid) END, a.atttypmod"
                " FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid"
                " LEFT JOIN pg_type e ON e.oid = t.typelem AND t.typinput = 'array_in'::regproc"
                f" WHERE a.attrelid = '{name}'::regclass AND a.attname = 'v'"
            ).fetchone()
            # Without a length char is char(1): bpchar is the name of the type without one.
            send = "array_send" if element else SENDS[base]
            self.tables[sql_type] = (name, send, element or base, typmod)
        return self.tables[sql_type]

    def encode(self, sql_type, cases):
        """Our answers: bytes of a tuple, or the text of the fault."""
        _, _, base, typmod = self.table(sql_type)
        lines = [f"{base}\t{typmod}\t{c.unit}\t{c.source}\t{c.data}\n" for c in cases]
        done = subprocess.run(
            [ENCODE_ROWS],
            input="".join(lines),
            capture_output=True,
            text=True,
            encoding="utf-8",
            errors="surrogatepass",
        )
        assert done.returncode == 0 and not done.stderr, done.stderr
        answers = [line.split(" ", 1) for line in done.stdout.removesuffix("\n").split("\n")]
        assert len(answers) == len(cases)
        return [bytes.fromhex(rest) if word == "ok" else rest for word, rest in answers]

    def store(self, sql_type, answers):
        """Copies the tuples in and reads them back: {number: bytes of the send function}."""
        name, send, _, _ = self.table(sql_type)
        self.connection.execute(f"TRUNCATE {name}")
        tuples = b"".join(a for a in answers if isinstance(a, bytes))
        stream = b"PGCOPY\n\xff\r\n\0" + b"\0" * 8 + tuples + b"\xff\xff"
        with self.connection.cursor() as cursor:
            with cursor.copy(f"COPY {name} FROM STDIN (FORMAT binary)") as copy:
                copy.write(stream)
            rows = cursor.execute(f"SELECT id, {send}(v) FROM {name}").fetchall()
        return dict(rows)

    def expect(self, sql_type, cases):
        """What PostgreSQL makes of the texts, in order; None where it refuses."""
        name, send, _, _ = self.table(sql_type)
        expected = [None] * len(cases)
        with self.connection.cursor() as cursor:
            cursor.execute("CREATE TEMP TABLE input (id int, input text)")
            with cursor.copy("COPY input FROM STDIN") as copy:
                for i, case in enumerate(cases):
                    if "\0" not in case.text:  # cannot even be sent
                        copy.write_row((i, case.text))
            cursor.execute(f"SELECT id, expected('{name}', '{send}', input) FROM input")
            for i, answer in cursor.fetchall():
                expected[i] = answer
            cursor.execute(f"DROP TABLE input; TRUNCATE {name}_expected")
        return expected

    def differences(self, sql_type, cases):
        answers = self.encode(sql_type, cases)
        stored = self.store(sql_type, answers)
        faults = []
        expected = self.expect(sql_type, cases)
        for i, (case, answer, want) in enumerate(zip(cases, answers, expected, strict=True)):
            got = stored.get(i)
            if got != want:
                what = f"fault {answer!r}" if isinstance(answer, str) else f"got {got.hex()}"
                want = "a fault" if want is None else want.hex()
                faults.append(f"{sql_type} {case.unit} {case.data[:80]}: {what[:300]}, want {want[:300]}")
        return faults

    def taken(self, sql_type, cases):
        """Those that should have been refused."""
        answers = zip(cases, self.encode(sql_type, cases), strict=True)
        return [f"{sql_type} {case.data}: taken" for case, answer in answers if not isinstance(answer, str)]


@pytest.fixture(scope="module")
def prover(shared_postgres):
    assert ENCODE_ROWS.exists(), f"{ENCODE_ROWS} does not exist: build it, or run tools/test"
    shared_postgres.create_database("encode")
    with shared_postgres.connect("encode") as connection:
        yield Prover(connection)
    shared_postgres.drop_database("encode")


def show(faults):
    assert not faults, f"{len(faults)} differences:\n" + "\n".join(faults[:40])


@pytest.mark.system
@pytest.mark.parametrize("sql_type", TABLE)
def test_encoder_equals_postgres(prover, sql_type):
    show(prover.differences(sql_type, TABLE[sql_type]))


@pytest.mark.parametrize("sql_type", OWN)
def test_what_has_a_meaning_of_our_own(prover, sql_type):
    show(prover.differences(sql_type, OWN[sql_type]))


@pytest.mark.parametrize("sql_type", NARROWER)
def test_what_postgres_takes_and_we_do_not(prover, sql_type):
    show(prover.taken(sql_type, NARROWER[sql_type]))


@pytest.mark.parametrize("sql_type", REFUSED)
def test_what_is_no_value_of_the_type(prover, sql_type):
    show(prover.taken(sql_type, REFUSED[sql_type]))


@pytest.mark.parametrize("sql_type", RANDOM)
def test_random_values(prover, sql_type):
    rng = random.Random(SEED)
    show(prover.differences(sql_type, list(RANDOM[sql_type](rng, 2000))))


def test_what_is_json_and_what_is_not(prover):
    cases = list(broken_documents(random.Random(SEED), 20000))
    show(prover.differences("jsonb", cases))
    # json keeps escapes as they are and accepts lone surrogates, which we do not.
    show(prover.differences("json", [c for c in cases if "\\ud" not in c.text.lower()]))


def test_null_is_null(prover):
    for sql_type in SENDS:
        answers = prover.encode(sql_type, [Case("null")])
        assert prover.store(sql_type, answers) == {0: None}
