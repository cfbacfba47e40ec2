"""`pgsinkd check` reads the newest records of each topic and says what would become of them."""

import json
import re
import struct

import pytest

from kit import wait
from kit.avro_bytes import framed, record
from kit.ledger import json_fields, offsets_only
from kit.registry import Double

EVENTS = """
CREATE TABLE events (
    seq        bigint GENERATED ALWAYS AS IDENTITY,
    _partition int,
    _offset    bigint,
    {}
)
"""


def table(bench, columns):
    bench.sql(EVENTS.format(columns))


def check(bench, config, *argv, code=0):
    """What check prints; and it has written nothing, neither here nor there."""
    done = bench.command("check", config, *argv)
    assert done.returncode == code, done.stdout + done.stderr
    assert not bench.value("SELECT to_regnamespace('pgsinkd') IS NOT NULL")
    assert bench.group not in wait.until(bench.kafka.group_names, "the coordinator")
    return done


def sampled(done):
    """The lines about samples."""
    lines = done.stdout.splitlines()
    return [line for line in lines[[line.startswith("sample") for line in lines].index(True) :] if line != "ok"]


def then_run(bench, log, config, dead=0, **expected):
    """What check has said comes true: the daemon stores the rest, and these are dead letters."""
    for route in config["routes"]:
        route["on_error"] = "dead_letter"
    bench.drain(config)
    bench.check(log, contents=offsets_only, dead=dead, **expected)


@pytest.mark.quick
@pytest.mark.system
def test_good_records(bench):
    log = bench.topic(partitions=3)
    bench.plain_table()
    log.fill(60)
    config = bench.config(log)
    done = check(bench, config)
    assert done.stderr == ""
    assert sampled(done) == [
        f"sample of {log.topic}: the newest 60 records",
        "  route 1 -> events",
        '    table "public"."events": insert 60',
    ]
    assert bench.rows() == 0
    bench.drain(config)
    bench.check(log)


def test_some_would_be_rejected(bench):
    """The exit code stays 0: this is what dead letters are for. Each reason is said once, with its first record."""
    log = bench.topic()
    table(bench, "id int NOT NULL, n smallint, at timestamptz")
    for value in (
        b'{"id": 1, "n": 5, "at": "2026-01-01T00:00:00Z"}', b'{"id": 2, "n": 99999}', b'{"n": 1}', b'{"id": 3, "n": 77777}',
        b"{", b'{"id": 4, "at": "now"}', b"[1]", b'{"id": 5}',
    ):  # fmt: skip
        log.send(value)
    config = bench.config(log, route={"on_error": "dead_letter"})
    done = check(bench, config)
    lines = sampled(done)
    assert '    table "public"."events": insert 2' in lines
    assert "    rejected 6: dead letters" in lines
    (number,) = [line for line in lines if "column 'n'" in line]
    assert re.match(rf"      2: {log.topic}-0@1: column 'n': .*99999.* \(22003\)$", number)
    assert [line for line in lines if re.match(rf"      1: {log.topic}-0@2: column 'id': .*missing.* \(23502\)$", line)]
    assert [line for line in lines if re.match(rf"      1: {log.topic}-0@5: column 'at': .*now", line)]
    assert lines[-1] == "sample: 6 of 8 records would be rejected"
    then_run(bench, log, config, dead=6)


def test_a_partition_would_stop(bench):
    log = bench.topic()
    table(bench, "id int NOT NULL")
    log.send_json(id=1)
    log.send(b"{}")
    config = bench.config(log, route={"on_error": "stop"})
    assert "    rejected 1: each stops its partition (on_error: stop)" in sampled(check(bench, config))
    then_run(bench, log, config, dead=1)


def test_all_would_be_rejected(bench):
    """Then either the route or the topic is not what somebody believes: exit code 1."""
    log = bench.topic()
    table(bench, "id int NOT NULL")
    for _ in range(3):
        log.send_json(other=1)
    config = bench.config(log, route={"on_error": "dead_letter"})
    done = check(bench, config, code=1)
    assert f"sample of {log.topic}: route 1 would reject every record\nHINT: " in done.stderr
    assert done.stdout.endswith("sample: 3 of 3 records would be rejected\nnot ok\n")
    assert "sample" not in check(bench, config, "--sample", "0").stdout
    then_run(bench, log, config, dead=3)


def test_names_that_nearly_match(bench):
    """The usual reason why a column stays empty."""
    log = bench.topic()
    table(bench, "user_id int, note text, amount numeric, unused text")
    for n in range(4):
        log.send_json(userId=n, note="x", amuont=1, somethingElse={"a": 1}, **({"rare": None} if n == 2 else {}))
    config = bench.config(log)
    lines = sampled(check(bench, config))
    assert (
        "      no column takes: userId (4, column user_id?), amuont (4, column amount?), somethingElse (4), rare (1)"
        in lines
    )
    assert "      nothing fills: user_id <- value.userId" not in lines
    assert (
        "      nothing fills: user_id <- value.user_id, amount <- value.amount, unused <- value.unused" in lines
    )
    assert [line for line in lines if line.startswith("      HINT: ") and "columns" in line]
    then_run(bench, log, config)


def test_names_of_a_schema(bench):
    """Records in Avro hold no names: those that count are in the schema that each was written with."""
    log = bench.topic()
    table(bench, "user_id int, note text")
    old = record("Old", ("userId", "int"), ("note", ["null", "string"]), ("place", record("Place", ("street", "string"))))
    new = record("New", ("userId", "int"), ("more", ["null", "int"]))
    with Double() as double:
        numbers = [double.register(schema["name"], schema) for schema in (old, new)]
        for n in range(4):
            log.send(framed(numbers[0], old, {"userId": n, "note": "x", "place": {"street": "y"}}))
        log.send(framed(numbers[1], new, {"userId": 4, "more": None}))
        config = bench.config(log, route={"format": "avro"}, registry={"url": double.url})
        lines = sampled(check(bench, config))
        assert "      no column takes: userId (5, column user_id?), place (4), more (1)" in lines
        assert "      nothing fills: user_id <- value.user_id" in lines
        assert [line for line in lines if line.startswith("      HINT: Set names: snake_case")]
        config["routes"][0] |= {"names": "snake_case", "columns": {"note": "value.place.street"}}
        lines = sampled(check(bench, config))
        assert "      no column takes: note (4), more (1)" in lines
        then_run(bench, log, config)


def test_many_names_are_cut(bench):
    """Names of an object may be data; and they are producers' bytes, which the terminal must not obey."""
    log = bench.topic()
    table(bench, "id int")
    log.send(json.dumps({"id": 1} | {f"k{n}": n for n in range(30)}).encode())
    log.send(json.dumps({"id": 1} | {"\x1b[31m": n for n in range(1)}).encode())
    config = bench.config(log)
    done = check(bench, config)
    (line,) = [line for line in sampled(done) if "no column takes" in line]
    assert line.endswith("k9 (1), 21 more")
    assert "\x1b" not in done.stdout
    then_run(bench, log, config)


def test_no_name_is_left_where_a_column_takes_the_value(bench):
    log = bench.topic()
    table(bench, "id int, whole jsonb")
    log.send_json(id=1, surplus=2)
    config = bench.config(log, route={"columns": {"whole": "value"}})
    assert "no column takes" not in check(bench, config).stdout
    then_run(bench, log, config)


# What it looks like

AVRO = b"\x00" + struct.pack(">i", 7) + b"\x02\x06abc\x80\x01"
CONNECT = json.dumps({"schema": {"type": "struct", "fields": []}, "payload": {"id": 1}}).encode()
EVENT = {"before": None, "after": {"id": 1}, "source": {}, "op": "c", "ts_ms": 1}

LOOKS = {
    "confluent": (AVRO, "Confluent's framing", "Set format: avro or protobuf, and registry.url"),
    "confluent json": (AVRO[:5] + b'{"id": 1}', "5 bytes come before it", "Set format: json_schema"),
    "apicurio": (b"\x00" + struct.pack(">q", 7) + b"\x02abc", "Apicurio", "Set format: avro"),
    "avro file": (b"Obj\x01\x04\x14avro.codec", "an Avro file", "not a file of them"),
    "gzip": (b"\x1f\x8b\x08\x00abc", "gzip", "compression.type"),
    "zstd": (b"\x28\xb5\x2f\xfdabc", "zstd", "compression.type"),
    "utf-16": ('{"id": 1}'.encode("utf-16"), "UTF-16", "encoding"),
    "protobuf": (b"\x08\x96\x01\x12\x03abc", "binary data", "nobody knows the schema"),
    "connect": (CONNECT, "Kafka Connect", "envelope: connect"),
    "debezium": (json.dumps(EVENT).encode(), "Debezium", "envelope: debezium"),
    "debezium in a wrapper": (json.dumps({"schema": {}, "payload": EVENT}).encode(), "Debezium", "envelope: debezium"),
    "a string": (json.dumps('{"id": 1}').encode(), "JSON in a JSON string", "parse: json"),
}


@pytest.mark.parametrize("name", LOOKS)
def test_values_that_look_like_something_else(bench, name):
    value, like, hint = LOOKS[name]
    log = bench.topic()
    table(bench, "id int NOT NULL")
    log.send(value)
    log.send(value)
    config = bench.config(log)
    lines = sampled(check(bench, config, code=1))
    at = [i for i, line in enumerate(lines) if line.startswith("    2 values look like ")]
    assert at, lines
    assert like in lines[at[0]]
    assert lines[at[0] + 1].startswith("    HINT: ") and hint in lines[at[0] + 1]
    then_run(bench, log, config, dead=2)


def test_headers_of_a_registry(bench):
    log = bench.topic()
    table(bench, "id int")
    log.send(b"\x02\x06abc\x01", headers=[("apicurio.value.globalId", struct.pack(">q", 1))])
    config = bench.config(log)
    assert "1 value looks like Avro or Protobuf of Apicurio's registry" in check(bench, config, code=1).stdout
    then_run(bench, log, config, dead=1)


KEYS = {
    "int": (struct.pack(">i", 7), "4 bytes", "key_format: int32"),
    "long": (struct.pack(">q", 7), "8 bytes", "key_format: int64"),
    "uuid": (bytes(range(16)), "16 bytes", "uuid"),
    "confluent": (AVRO, "Confluent", "Set key_format: avro"),
    "other": (b"\xf0\x01\x02", "binary", "bytea"),
}


@pytest.mark.parametrize("name", KEYS)
def test_keys_that_look_like_something_else(bench, name):
    """That is no fault where the column takes bytes."""
    key, like, hint = KEYS[name]
    log = bench.topic()
    table(bench, "id int, k text, b bytea")
    log.send(b'{"id": 1}', key=key)
    config = bench.config(log, route={"columns": {"k": "key"}})
    lines = sampled(check(bench, config, code=1))
    at = [i for i, line in enumerate(lines) if line.startswith("    1 key looks like ")]
    assert at, lines
    assert like in lines[at[0]] and hint in lines[at[0] + 1]
    config["routes"][0]["columns"] = {"b": "key"}
    if name != "confluent":
        assert "key looks like " not in check(bench, config).stdout
    del config["routes"][0]["columns"]
    assert "key looks like " not in check(bench, config).stdout, "no column takes the key"
    then_run(bench, log, config)


def test_keys_in_quotes(bench):
    log = bench.topic()
    table(bench, "id int, k text")
    log.send(b'{"id": 1}', key=b'"a"')
    config = bench.config(log, route={"columns": {"k": "key"}})
    lines = sampled(check(bench, config))
    at = lines.index("    1 key looks like JSON strings: their quotes go into the column")
    assert lines[at + 1] == "    HINT: Set key_format: json."
    then_run(bench, log, config)


TOLD = {
    "connect": ({"envelope": "connect"}, CONNECT, None),
    "root": ({"root": "value.payload"}, CONNECT, None),
    "a string": ({"parse": "json"}, LOOKS["a string"][0], None),
    "names": ({"names": "lower"}, b'{"ID": 1}', None),
    "long": ({"key_format": "int64", "columns": {"k": "key"}}, b'{"id": 1}', KEYS["long"][0]),
    "quoted": ({"key_format": "json", "columns": {"k": "key"}}, b'{"id": 1}', b'"a"'),
    "document": ({"columns": {"doc": {"from": "value.doc", "parse": "json"}}}, b'{"id": 1, "doc": "{}"}', None),
}


@pytest.mark.parametrize("name", TOLD)
def test_what_the_route_says_already_is_no_hint(bench, name):
    route, value, key = TOLD[name]
    log = bench.topic()
    table(bench, "id int NOT NULL, k text, doc jsonb")
    log.send(value, key=key)
    config = bench.config(log, route=route)
    lines = sampled(check(bench, config))
    assert '    table "public"."events": insert 1' in lines
    assert not [line for line in lines if "HINT" in line or "no column takes" in line], lines
    then_run(bench, log, config)


def test_a_rejected_key(bench):
    log = bench.topic()
    table(bench, "id int, k bigint")
    log.send(b'{"id": 1}', key=b"12")
    log.send(b'{"id": 2}', key=struct.pack(">q", 7))
    config = bench.config(log, route={"columns": {"k": "key"}})
    lines = sampled(check(bench, config))
    assert [line for line in lines if re.match(rf"      1: {log.topic}-0@1: column 'k': ", line)]
    assert [line for line in lines if "8 bytes" in line]
    then_run(bench, log, config, dead=1)


def test_json_in_the_string_of_a_field(bench):
    log = bench.topic()
    table(bench, "id int, payload jsonb, note text")
    log.send_json(id=1, payload='{"a": 1}', note='{"a": 1}')
    log.send_json(id=2, payload={"a": 1}, note="x")
    config = bench.config(log)
    lines = sampled(check(bench, config))
    assert "      column 'payload' gets a JSON string that holds JSON: 1" in lines
    assert not [line for line in lines if "'note'" in line]
    then_run(bench, log, config)


# Which rows

def test_upserts_and_deletes(bench):
    log = bench.topic()
    bench.sql("CREATE TABLE things (id int PRIMARY KEY, note text)")
    log.send(b'{"id": 1, "note": "a"}', key=b'{"id": 1}')
    log.send(None, key=b'{"id": 1}')
    log.send(b'{"id": 2, "note": "b"}', key=b'{"id": 2}')
    config = bench.config(
        log, "things", route={"mode": "upsert", "delete": "tombstone", "columns": {"id": "key.id"}}
    )
    lines = sampled(check(bench, config))
    assert '    table "public"."things": upsert 2, delete 1' in lines
    bench.drain(config)
    assert bench.sql("SELECT id, note FROM things") == [(2, "b")]


def test_change_events(bench):
    log = bench.topic()
    bench.sql("CREATE TABLE things (id int PRIMARY KEY, note text)")
    row = {"id": 1, "note": "a", "extra": 1}
    for event in (
        EVENT | {"after": row}, EVENT | {"op": "u", "after": row}, EVENT | {"op": "d", "before": row, "after": None},
        EVENT | {"op": "t", "after": None}, {"op": "m", "ts_ms": 1, "source": {}, "message": {}},
    ):  # fmt: skip
        log.send(json.dumps(event).encode(), key=b'{"id": 1}')
    log.send(None, key=b'{"id": 1}')
    config = bench.config(log, "things", route={"mode": "upsert", "envelope": "debezium"})
    lines = sampled(check(bench, config))
    assert lines[2:] == [
        '    table "public"."things": upsert 2, delete 1, truncate 1',
        "      no column takes: extra (2)",
        "    no rows of 1: tombstones",
        "    no rows of 1: events that concern no row",
    ]
    bench.drain(config)
    assert bench.rows("things") == 0


def test_when_takes_nothing(bench):
    log = bench.topic()
    bench.plain_table()
    log.fill(5)
    config = bench.config(log, route={"when": "value.id < 0"})
    lines = sampled(check(bench, config))
    assert lines[2:] == ["    no rows of 5: when does not take them"]
    del config["routes"][0]["when"]
    bench.drain(config)
    bench.check(log)


def test_elements_and_several_routes(bench):
    """Each route is tried with the same records; a route that is right is no excuse for one that is wrong."""
    log = bench.topic()
    table(bench, "id int NOT NULL")
    bench.sql("CREATE TABLE lines (order_id int, sku text, n int)")
    log.send_json(id=1, lines=[{"sku": "a", "n": 1, "colour": "red"}, {"sku": "b", "n": 2}])
    log.send_json(id=2, lines=[])
    routes = [
        {"topics": [log.topic], "table": "events", "mode": "append"},
        {"topics": [log.topic], "table": "lines", "mode": "append", "explode": "value.lines",
         "columns": {"order_id": "value.id"}},
    ]  # fmt: skip
    config = bench.config(routes=routes)
    assert sampled(check(bench, config)) == [
        f"sample of {log.topic}: the newest 2 records",
        "  route 1 -> events",
        '    table "public"."events": insert 2',
        "      no column takes: lines (2)",
        "  route 2 -> lines",
        '    table "public"."lines": insert 2',
        "      no column takes: colour (1)",
        "    no rows of 1: no element to explode",
    ]
    routes[1]["columns"]["n"] = "value.id.what"
    log.send_json(id=3, lines=[{"sku": "c"}])
    done = check(bench, config, "--sample", "1", code=1)
    assert "route 2 would reject every record" in done.stderr and "route 1" not in done.stderr
    del routes[1]
    bench.drain(config)
    bench.check(log, contents=json_fields("id"))


def test_records_that_name_their_table(bench):
    log = bench.topic()
    for name in ("a", "b"):
        bench.sql(f"CREATE TABLE of_{name} (id int, note text)")
    for value in ({"type": "a", "id": 1}, {"type": "b", "id": 2, "surplus_of_b": 1}, {"type": "a", "id": 3}, {"type": "c"}):
        log.send_json(**value)
    routes = [
        {"topics": [log.topic], "table": "of_{value.type}", "tables": ["of_a", "of_b"], "mode": "append",
         "on_error": "dead_letter"}
    ]  # fmt: skip
    config = bench.config(routes=routes)
    lines = sampled(check(bench, config))
    assert '    table "public"."of_a": insert 2' in lines
    assert '    table "public"."of_b": insert 1' in lines
    assert "      no column takes: surplus_of_b (1)" in lines
    assert [line for line in lines if line.startswith(f"      1: {log.topic}-0@3: ") and "of_c" in line]
    bench.drain(config)
    bench.check(log, "of_a", model=Tables(bench), dead=1)


class Tables:
    """What the records of the test above come to."""

    def __init__(self, bench):
        self.bench = bench

    def faults(self, _db, _table, _records):
        found = [self.bench.rows("of_a"), self.bench.rows("of_b")]
        return [] if found == [2, 1] else [("rows", str(found))]


# Which records

def test_the_newest_of_all_partitions(bench):
    """N of the topic, not of a partition: here partition 1 has the newest, and partition 2 nothing."""
    log = bench.topic(partitions=3)
    table(bench, "id int, note text")
    old = [(0, None, b'{"id": 1, "old": 1}', None, 1_000_000 + n) for n in range(50)]
    new = [(1, None, b'{"id": 2, "new": 1}', None, 2_000_000 + n) for n in range(50)]
    log.send_many(old + new)
    config = bench.config(log)
    lines = sampled(check(bench, config, "--sample", "30"))
    assert lines[0] == f"sample of {log.topic}: the newest 30 records"
    assert "      no column takes: new (30)" in lines
    lines = sampled(check(bench, config, "--sample", "60"))
    assert "      no column takes: old (10), new (50)" in lines
    lines = sampled(check(bench, config, "--sample", "1000"))
    assert lines[0] == f"sample of {log.topic}: the newest 100 records"
    then_run(bench, log, config)


def test_of_one_partition_the_last(bench):
    log = bench.topic()
    table(bench, "id int")
    log.send_many([(0, None, json.dumps({"id": n, f"k{n}": 1}).encode(), None, None) for n in range(40)])
    config = bench.config(log)
    lines = sampled(check(bench, config, "--sample", "3"))
    assert "      no column takes: k37 (1), k38 (1), k39 (1)" in lines
    then_run(bench, log, config)


def test_markers_and_aborted_records_at_the_end(bench):
    """What a reader of committed records never sees is not waited for; what is still open is not read."""
    log = bench.topic(partitions=2)
    bench.plain_table()
    tx = bench.transactions(log)
    tx.begin()
    tx.fill(20)
    tx.commit()
    for _ in range(3):
        tx.begin()
        tx.fill(100)
        tx.producer.flush()
        tx.abort()
    config = bench.config(log)
    lines = sampled(check(bench, config, "--sample", "10"))
    assert lines[0] == f"sample of {log.topic}: the newest 10 records"
    assert '    table "public"."events": insert 10' in lines
    tx.begin()
    tx.fill(5)
    assert sampled(check(bench, config, "--sample", "10")) == lines
    tx.abort()
    bench.drain(config)
    bench.check(log)


def test_a_topic_without_records(bench):
    log = bench.topic(partitions=3)
    bench.plain_table()
    config = bench.config(log)
    assert sampled(check(bench, config)) == [f"sample of {log.topic}: no records"]
    log.fill(30)
    log.delete_records({p: 10 for p in log.partitions})
    assert sampled(check(bench, config)) == [f"sample of {log.topic}: no records"]
    bench.drain(config)
    bench.check(log, start=dict.fromkeys(log.partitions, 10))


def test_a_compacted_topic(bench):
    """Most offsets before the end hold no record any more."""
    log = bench.topic(
        cleanup_policy="compact", segment_ms=100, min_cleanable_dirty_ratio=0.001, min_compaction_lag_ms=0,
        delete_retention_ms=100,
    )  # fmt: skip
    table(bench, "id int, note text")
    log.send_json(key=b"first", id=1, kept=1)
    for n in range(300):
        log.send_json(key=b"same", id=n)

    def compacted():
        log.send_json(key=b"same", id=0)  # the active segment is never compacted; a record more rolls it
        return log.shown()[0].offsets[:2][-1] > 290

    wait.until(compacted, "the broker to compact", timeout=60, interval=0.3)
    bench.kafka.configure_topic(log.topic, cleanup_policy="delete")  # no more of it from here on
    seen = log.shown()[0].offsets
    log.records[0] = {offset: log.records[0][offset] for offset in seen}
    config = bench.config(log)
    assert "      no column takes: kept (1)" in sampled(check(bench, config, "--sample", str(len(seen) + 1)))
    bench.drain(config)
    bench.check(log, contents=offsets_only)


def test_large_records(bench):
    """At most 16 MiB are read, the newest first; a record that is larger than its share is read whole."""
    log = bench.topic(max_message_bytes=8_000_000)
    log.connect(**{"message.max.bytes": 8_000_000})
    table(bench, "id int, note text")
    for n in range(8):
        log.send(json.dumps({"id": n, "note": "x" * 4_000_000, f"k{n}": 1}).encode())
    config = bench.config(log)
    lines = sampled(check(bench, config))
    taken = int(re.fullmatch(rf"sample of {log.topic}: the newest (\d) records, which are 16 MiB", lines[0])[1])
    assert 3 <= taken <= 5
    names = ", ".join(f"k{n} (1)" for n in range(8 - taken, 8))
    assert f"      no column takes: {names}" in lines
    then_run(bench, log, config)


def test_topics_of_a_pattern(bench):
    """Each topic has its own sample; of a template's table only what its topic has."""
    prefix = bench.sink
    logs = [bench.topic(name=f"{prefix}_{name}") for name in ("a", "b")]
    for log in logs:
        bench.sql(f"CREATE TABLE {log.topic} (id int)")
        log.send_json(id=1)
    routes = [{"topics": [f"^{prefix}_[ab]$"], "table": "{topic}", "mode": "append"}]
    lines = sampled(check(bench, bench.config(routes=routes)))
    for log in logs:
        at = lines.index(f"sample of {log.topic}: the newest 1 record")
        assert lines[at + 2] == f'    table "public"."{log.topic}": insert 1'
    bench.drain(bench.config(routes=routes))
    for log in logs:
        assert bench.rows(log.topic) == 1


@pytest.mark.parametrize("n", ["-1", "x", "1.5", "100001", ""])
def test_a_bad_number_exits_2(bench, n):
    log = bench.topic()
    bench.plain_table()
    done = bench.command("check", bench.config(log), "--sample", n)
    assert done.returncode == 2
    assert f"--sample: '{n}' is not a number from 0 to 100000" in done.stderr


def test_a_running_daemon_is_not_disturbed(bench):
    """The sample is read beside it: its partitions stay with it, in the group and in the ledger."""
    log = bench.topic(partitions=2)
    bench.plain_table()
    config = bench.config(log)
    bench.start(config)
    log.fill(500)
    bench.wait_stored(log)
    owners = bench.owners(log)
    done = bench.command("check", config)
    assert done.returncode == 0, done.stdout + done.stderr
    assert '    table "public"."events": insert 100' in sampled(done)
    log.fill(500)
    bench.wait_stored(log)
    assert bench.owners(log) == owners
    bench.check(log)
