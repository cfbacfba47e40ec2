"""Records into rows: formats, routes, columns, types."""

import datetime
import decimal
import json
import uuid

import pytest

from kit import ledger

UTC = datetime.UTC


@pytest.mark.sanitize
def test_json_fields_go_to_columns_of_the_same_name(bench):
    log = bench.topic(partitions=3)
    bench.plain_table()
    log.fill(3000)
    bench.drain(bench.config(log))
    bench.check(log)


def test_a_record_is_written_as_soon_as_it_arrives(bench):
    log = bench.topic()
    bench.plain_table()
    bench.start(bench.config(log))
    for n in range(20):
        log.fill(1)
        bench.wait_rows(n + 1, timeout=5)
    bench.check(log)


@pytest.mark.sanitize
def test_every_supported_type(bench):
    log = bench.topic()
    bench.sql(
        """CREATE DOMAIN short AS varchar(8);
           CREATE TABLE events (
               seq bigint GENERATED ALWAYS AS IDENTITY, _partition int, _offset bigint,
               a_bool bool, a_int2 int2, a_int4 int4, a_int8 int8, a_float4 float4, a_float8 float8,
               a_numeric numeric, a_numeric_12_2 numeric(12, 2), a_text text, a_varchar varchar(5),
               a_char char(5), a_bytea bytea, a_uuid uuid, a_json json, a_jsonb jsonb, a_date date,
               a_time time, a_timestamp timestamp, a_timestamptz timestamptz, a_short short)"""
    )
    first = {
        "a_bool": True, "a_int2": -32768, "a_int4": -2147483648, "a_int8": -9223372036854775808,
        "a_float4": 1.5, "a_float8": -1e300, "a_numeric": 0, "a_numeric_12_2": 1234567890.12,
        "a_text": "Grüße, 世界 🚀 \t\n\"", "a_varchar": "fünf5", "a_char": "ab", "a_bytea": "\\xdeadbeef",
        "a_uuid": "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", "a_json": {"b": [1, 2.50, None]},
        "a_jsonb": {"b": [1, 2.50, None], "a": "x"}, "a_date": "2026-02-28", "a_time": "23:59:59.999999",
        "a_timestamp": "2026-01-31T12:34:56.789", "a_timestamptz": "2026-01-31T12:34:56.789+02:00",
        "a_short": "eight888",
    }  # fmt: skip
    log.send_json(**first)
    digits = "1" * 300 + "." + "7" * 300
    text = '{"a_int2": 32767, "a_int4": 2147483647, "a_int8": 9223372036854775807, "a_bool": false,'
    text += f' "a_numeric": {digits}, "a_bytea": "AAEC/w==", "a_float8": 0.1,'
    text += ' "a_timestamptz": "1969-12-31T23:59:59Z"}'
    log.send(text.encode())
    log.send(b"{}")
    bench.drain(bench.config(log))
    bench.check(log, contents=ledger.offsets_only)

    columns = ", ".join(first)
    rows = bench.sql(f"SELECT {columns} FROM events ORDER BY _offset")
    got = dict(zip(first, rows[0], strict=True))
    assert got == first | {
        "a_numeric_12_2": decimal.Decimal("1234567890.12"),
        "a_char": "ab   ",
        "a_bytea": b"\xde\xad\xbe\xef",
        "a_uuid": uuid.UUID(first["a_uuid"]),
        "a_date": datetime.date(2026, 2, 28),
        "a_time": datetime.time(23, 59, 59, 999999),
        "a_timestamp": datetime.datetime(2026, 1, 31, 12, 34, 56, 789000),
        "a_timestamptz": datetime.datetime(2026, 1, 31, 10, 34, 56, 789000, UTC),
    }
    got = dict(zip(first, rows[1], strict=True))
    assert got["a_int8"] == 9223372036854775807
    assert got["a_numeric"] == decimal.Decimal(digits)
    assert got["a_bytea"] == b"\x00\x01\x02\xff"
    assert got["a_float8"] == 0.1
    assert got["a_timestamptz"] == datetime.datetime(1969, 12, 31, 23, 59, 59, 0, UTC)
    assert got["a_text"] is None
    assert set(rows[2]) == {None}


def test_numbers_are_times_in_the_declared_unit(bench):
    log = bench.topic()
    bench.sql(
        """CREATE TABLE events (seq bigint GENERATED ALWAYS AS IDENTITY, _partition int, _offset bigint,
           s timestamptz, ms timestamptz, us timestamp, ns timestamptz)"""
    )
    log.send(b'{"s": 1767225599, "ms": 1767225599123, "us": 1767225599123456, "ns": 1767225599123456789}')
    columns = {unit: {"from": f"value.{unit}", "unit": unit} for unit in ("s", "ms", "us", "ns")}
    bench.drain(bench.config(log, route={"columns": columns}))
    bench.check(log, contents=ledger.offsets_only)
    s, ms, us, ns = bench.sql("SELECT s, ms, us, ns FROM events")[0]
    second = datetime.datetime(2025, 12, 31, 23, 59, 59, 0, UTC)
    assert s == second
    assert ms == second.replace(microsecond=123000)
    assert us == second.replace(microsecond=123456, tzinfo=None)
    assert ns in (second.replace(microsecond=123456), second.replace(microsecond=123457))


def test_columns_map_nested_paths_keys_headers_and_metadata(bench):
    log = bench.topic()
    bench.sql(
        """CREATE TABLE events (seq bigint GENERATED ALWAYS AS IDENTITY, _topic text, _partition int, _offset bigint,
           _timestamp timestamptz, _key text, _headers jsonb,
           "Customer Name" text, city text, key_id int, trace text, at bigint, whole jsonb)"""
    )
    log.send(
        json.dumps({"customer": {"name": "Åsa", "address": {"city": "Lund"}}, "other": 1}).encode(),
        key=b'{"id": 42}',
        headers=[("trace", b"abc"), ("more", b"1")],
    )
    log.send(b'{"customer": {"address": null}}', key=b'{"id": 43}')
    log.send(b'{"other": 1}', key=b'{"id": 44}')
    columns = {
        "Customer Name": "value.customer.name", "city": "value.customer.address.city", "key_id": "key.id",
        "trace": "headers.trace", "at": "meta.offset", "whole": "value",
    }  # fmt: skip
    bench.drain(bench.config(log, route={"columns": columns}))
    bench.check(log, contents=lambda r: {"_topic": log.topic, "_timestamp": r.time, "_key": r.key.decode(),
                                         "key_id": json.loads(r.key)["id"], "at": r.offset, "whole": r.json})  # fmt: skip
    rows = bench.sql('SELECT "Customer Name", city, trace FROM events ORDER BY _offset')
    assert rows == [("Åsa", "Lund", "abc"), (None, None, None), (None, None, None)]
    assert bench.value("SELECT _headers FROM events WHERE _offset = 0") in (
        {"trace": "abc", "more": "1"},
        [{"trace": "abc"}, {"more": "1"}],
        [{"key": "trace", "value": "abc"}, {"key": "more", "value": "1"}],
    )


def test_defaults_generated_and_identity_columns_are_left_to_postgresql(bench):
    log = bench.topic()
    bench.sql(
        """CREATE TABLE events (seq bigint GENERATED ALWAYS AS IDENTITY, _partition int, _offset bigint,
           serial bigserial, by_default bigint GENERATED BY DEFAULT AS IDENTITY,
           id bigint, double bigint GENERATED ALWAYS AS (id * 2) STORED,
           state text NOT NULL DEFAULT 'new', stored_at timestamptz NOT NULL DEFAULT now())"""
    )
    log.fill(10)
    bench.drain(bench.config(log))
    bench.check(log, contents=lambda r: {"id": r.json["id"], "double": 2 * r.json["id"], "state": "new"})
    assert bench.value("SELECT count(DISTINCT serial) FROM events WHERE stored_at IS NOT NULL") == 10


@pytest.mark.sanitize
def test_raw_lands_any_topic(bench):
    log = bench.topic()
    bench.sql(
        """CREATE TABLE landing (seq bigint GENERATED ALWAYS AS IDENTITY, _partition int, _offset bigint,
           topic text, partition int, "offset" bigint, timestamp timestamptz, key bytea, value bytea, headers jsonb)"""
    )
    log.send(b"\x00\xff not JSON at all", key=b"\x01", headers=[("h", b"v")])
    log.send(b"", key=b"")
    log.send(None, key=b"tombstone")
    log.send(b"no key")
    bench.drain(bench.config(log, "landing", route={"format": "raw"}))
    bench.check(
        log, "landing",
        contents=lambda r: {"topic": log.topic, "partition": r.partition, "offset": r.offset,
                            "timestamp": r.time, "key": r.key, "value": r.value},
    )  # fmt: skip


def test_raw_as_text(bench):
    log = bench.topic()
    bench.sql(
        """CREATE TABLE landing (seq bigint GENERATED ALWAYS AS IDENTITY, _partition int, _offset bigint,
           key text, value text)"""
    )
    log.send("Ärger".encode(), key=b"k")
    bench.drain(bench.config(log, "landing", route={"format": "raw"}))
    bench.check(log, "landing", contents=lambda r: {"key": r.key.decode(), "value": r.value.decode()})


def test_one_topic_feeds_two_tables(bench):
    log = bench.topic(partitions=2)
    bench.plain_table("first")
    bench.sql(
        """CREATE TABLE second (seq bigint GENERATED ALWAYS AS IDENTITY, _partition int, _offset bigint, value text)"""
    )
    log.fill(2000)
    routes = [
        {"topics": [log.topic], "table": "first", "format": "json", "on_error": "stop"},
        {"topics": [log.topic], "table": "second", "format": "raw", "on_error": "stop"},
    ]
    bench.drain(bench.config(routes=routes))
    bench.check(log, "first")
    bench.check(log, "second", contents=lambda r: {"value": r.value.decode()})


def test_many_topics_feed_one_table(bench):
    logs = [bench.topic(partitions=2) for _ in range(3)]
    bench.plain_table()
    for log in logs:
        log.fill(500)
    bench.drain(bench.config(topics=[log.topic for log in logs]))
    for log in logs:
        bench.check(log)


def test_a_regex_names_topics(bench):
    stem = bench.name("regex")
    logs = [bench.topic(name=f"{stem}.{word}") for word in ("a", "b")]
    other = bench.topic(name=f"other.{stem}.a")
    bench.plain_table()
    for log in [*logs, other]:
        log.fill(300)
    bench.drain(bench.config(topics=["^" + stem.replace(".", "\\.") + "\\.[a-z]$"]))
    for log in logs:
        bench.check(log)
    assert bench.rows() == 600


def test_the_table_is_a_template_of_the_topic(bench):
    stem = bench.name("template")
    logs = [bench.topic(name=f"{stem}.{word}") for word in ("orders", "Payments")]
    for log in logs:
        bench.plain_table(f'"landing_{log.topic}"')
        log.fill(200)
    pattern = "^" + stem.replace(".", "\\.")
    bench.drain(bench.config(None, 'public."landing_{topic}"', topics=[pattern]))
    for log in logs:
        bench.check(log, f'"landing_{log.topic}"')


def test_names_are_exact_as_in_sql(bench):
    log = bench.topic()
    bench.sql('CREATE SCHEMA "My Schema"')
    bench.sql(
        """CREATE TABLE "My Schema"."Mixed Case" (seq bigint GENERATED ALWAYS AS IDENTITY, _partition int,
           _offset bigint, "Id" int, id int, "sp ace" text, "quo""te" text)"""
    )
    log.send_json(Id=1, id=2, **{"sp ace": "a", 'quo"te': "b"})
    bench.drain(bench.config(log, '"My Schema"."Mixed Case"'))
    bench.check(log, '"My Schema"."Mixed Case"',
                contents=lambda _: {"Id": 1, "id": 2, "sp ace": "a", 'quo""te': "b"})  # fmt: skip


def test_a_partitioned_table_is_a_table(bench):
    log = bench.topic()
    bench.sql(
        """CREATE SEQUENCE s;
           CREATE TABLE events (seq bigint DEFAULT nextval('s'), _partition int, _offset bigint, id bigint, note text)
               PARTITION BY RANGE (_offset);
           CREATE TABLE events_1 PARTITION OF events FOR VALUES FROM (0) TO (50);
           CREATE TABLE events_2 PARTITION OF events FOR VALUES FROM (50) TO (MAXVALUE)"""
    )
    log.fill(100)
    bench.drain(bench.config(log))
    bench.check(log)


@pytest.mark.parametrize("size", [1_000_000, 8_000_000])
def test_big_records(bench, size):
    log = bench.topic(max_message_bytes=12_000_000)
    bench.sql(
        """CREATE TABLE events (seq bigint GENERATED ALWAYS AS IDENTITY, _partition int, _offset bigint, length int,
           value bytea)"""
    )
    log.connect(**{"message.max.bytes": 12_000_000})
    for _ in range(4):
        log.send(b"x" * size)
        log.send(b"small")
    bench.drain(bench.config(log, route={"format": "raw"}))
    bench.check(log, contents=lambda r: {"value": r.value})


@pytest.mark.system
@pytest.mark.parametrize("codec", ["gzip", "snappy", "lz4", "zstd"])
def test_compressed_topics(bench, codec):
    log = bench.topic(partitions=2, compression_type=codec)
    bench.plain_table()
    log.fill(2000)
    bench.drain(bench.config(log))
    bench.check(log)


@pytest.mark.parametrize("batch", [{"max_rows": 1}, {"max_bytes": "1KiB"}, {"max_rows": 7, "linger": "20ms"}])
def test_batch_limits_do_not_change_the_result(bench, batch):
    log = bench.topic(partitions=2)
    bench.plain_table()
    log.fill(400)
    bench.drain(bench.config(log, batch=batch))
    bench.check(log)


@pytest.mark.parametrize("workers", [1, 5])
def test_more_or_fewer_workers_than_partitions(bench, workers):
    log = bench.topic(partitions=3)
    bench.plain_table()
    log.fill(3000)
    bench.drain(bench.config(log, workers=workers))
    bench.check(log)


def test_an_empty_topic_drains_at_once(bench):
    log = bench.topic(partitions=3)
    bench.plain_table()
    bench.drain(bench.config(log), timeout=20)
    bench.check(log)


def test_own_schema_name(bench):
    log = bench.topic()
    bench.plain_table()
    log.fill(100)
    bench.drain(bench.config(log, postgres={"schema": "Sink State"}))
    assert bench.value('SELECT next_offset FROM "Sink State".offsets') == 100
    assert bench.rows() == 100


def test_an_absurd_timestamp_of_a_producer_harms_nobody(bench):
    """Nanoseconds for milliseconds: beyond what PostgreSQL has dates for. No column wants it, so it is a row."""
    log = bench.topic(partitions=1, message_timestamp_after_max_ms=2**63 - 1)
    bench.plain_table()
    log.fill(10)
    log.send(b'{"id": 99, "note": "x", "amount": 1}', timestamp=1_764_000_000_000_000_000)
    log.fill(10)
    bench.drain(bench.config(log))
    bench.check(log)
    assert bench.value("SELECT last_timestamp FROM pgsinkd.offsets WHERE sink = %s", bench.sink).year < 2100
