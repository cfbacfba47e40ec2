"""`pgsinkd try`: one record as Kafka has it, and what its routes would make of it. Nothing is written."""

import json

import pytest
from kit import wait
from kit.ledger import offsets_only

TABLE = """
CREATE TYPE mood AS ENUM ('happy', 'sad');
CREATE TABLE events (
    seq         bigint GENERATED ALWAYS AS IDENTITY,
    _partition  int,
    _offset     bigint,
    id          bigint NOT NULL,
    name        text,
    amount      numeric(12, 2),
    mood        mood,
    tags        text[],
    note        text DEFAULT 'none',
    twice       bigint,
    created_at  timestamptz DEFAULT now()
);
"""


def attempt(bench, config, place, *argv, code=0):
    done = bench.command("try", config, place, *argv)
    assert done.returncode == code, done.stdout + done.stderr
    return done


def lines(done):
    """Without the blanks that align columns."""
    return [" ".join(line.split()) for line in done.stdout.splitlines()]


def route_of(bench, config, place, code=0):
    """The record and its first route, as JSON says it."""
    record = json.loads(attempt(bench, config, place, "--json", code=code).stdout)
    return record, record["routes"][0]


def columns(row):
    return {c["name"]: (c["state"], c["value"]) for c in row["columns"]}


@pytest.fixture
def shop(bench):
    """A topic of two partitions and the route of all tests that want nothing special."""
    bench.sql(TABLE)
    log = bench.topic(partitions=2)
    config = bench.config(
        log, route={"columns": {"name": "value.customer.name", "twice": {"sql": "(value->>'id')::bigint * 2"}},
                    "on_error": "dead_letter"}
    )  # fmt: skip
    return bench, log, config


@pytest.mark.quick
def test_a_record_in_full(shop):
    bench, log, config = shop
    log.send(
        b'{"id": 7, "customer": {"name": "O\'Hara\\u001b"}, "amount": 12.5, "mood": "sad", "tags": ["a", "b"], "noet": 1}',
        key=b"k7", headers=[("kind", b"new"), ("raw", b"\xff\x00"), ("none", None)], timestamp=1780000000123,
    )  # fmt: skip
    done = attempt(bench, config, log.topic)
    assert done.stderr == ""
    got = lines(done)
    assert got[0] == f"{log.topic}-0@0"
    assert "timestamp 2026-05-28T20:26:40.123Z, CreateTime" in got
    assert "key 2 bytes, text: k7" in got
    assert "header kind: new" in got and "header raw: \\xff00" in got and "header none: null" in got
    assert any(line.startswith('value 109 bytes, JSON: {"id": 7, ') for line in got)
    assert "mode append" in got and 'row 1: insert, table "public"."events"' in got
    assert "id bigint <- value.id 7" in got
    assert "name text <- value.customer.name 'O'Hara\\u001b'" in got
    assert "amount numeric(12,2) <- value.amount 12.50" in got
    assert "mood mood <- value.mood 'sad'" in got
    assert "tags text[] <- value.tags '{a,b}'" in got
    assert "note text <- value.note DEFAULT" in got
    assert "twice bigint <- (value->>'id')::bigint * 2 14" in got
    assert "created_at timestamp with time zone <- value.created_at DEFAULT" in got
    assert got[-1] == "nothing is written"
    assert "\x1b" not in done.stdout

    record, route = route_of(bench, config, f"{log.topic}:0@0")
    assert (record["topic"], record["partition"], record["offset"]) == (log.topic, 0, 0)
    assert (record["timestamp_ms"], record["timestamp_type"]) == (1780000000123, "CreateTime")
    assert (record["key"], record["key_looks"], record["value_looks"]) == ("k7", "text", "JSON")
    assert record["headers"] == [
        {"name": "kind", "value": "new"},
        {"name": "raw", "value_hex": "ff00"},
        {"name": "none", "value": None},
    ]
    assert route["result"] == "rows" and len(route["rows"]) == 1
    assert columns(route["rows"][0])["mood"] == ("value", "sad")
    assert columns(route["rows"][0])["twice"] == ("value", "14")
    assert columns(route["rows"][0])["note"] == ("default", None)
    bench.drain(config)
    bench.check(log, contents=offsets_only)
    assert bench.value("SELECT concat_ws(',', id, name, mood, twice) FROM events") == "7,O'Hara\x1b,sad,14"


def test_what_cannot_be_stored(shop):
    """Rejected by pgsinkd; refused by PostgreSQL, which is asked about each value; and the column's nearest name."""
    bench, log, config = shop
    del config["routes"][0]["columns"]
    for value in (
        b'{"id": "many"}', b'{"id": 1, "mood": "angry", "Note": 5}', b"{", b"\x00\x00\x00\x00\x07\x02\x06abc", b"\x1f\x8b\x08\x00", None, b"",
    ):  # fmt: skip
        log.send(value)
    place = f"{log.topic}:0@"

    got = lines(attempt(bench, config, place + "0", code=1))
    at = next(i for i, line in enumerate(got) if line.startswith("rejected: column 'id': \"many\""))
    assert got[at].endswith("(22P02)")
    assert "so it becomes a dead letter" in got and "SQL:" not in got

    got = lines(attempt(bench, config, place + "1", code=1))
    assert "mood mood <- value.mood 'angry' refused" in got
    assert any(
        line.startswith("row 1: PostgreSQL refuses it: column 'mood': ") and line.endswith("(22P02)") for line in got
    )
    assert "no column takes: Note (1, column note?)" in got
    _, route = route_of(bench, config, place + "1", code=1)
    assert (route["result"], route["sqlstate"], route["row"]) == ("dead letter", "22P02", 1)

    got = lines(attempt(bench, config, place + "2", code=1))
    assert "value 1 byte, text: {" in got
    assert any(line.startswith("rejected: ") for line in got)

    got = lines(attempt(bench, config, place + "3", code=1))
    assert "value 10 bytes, Avro or Protobuf in Confluent's framing, schema id 7: \\x00000000070206616263" in got
    record, route = route_of(bench, config, place + "3", code=1)
    assert record["value_hex"] == "00000000070206616263"
    assert record["value_looks"].endswith("Confluent's framing, schema id 7")

    record, _ = route_of(bench, config, place + "4", code=1)
    assert record["value_looks"].startswith("gzip: ")
    record, route = route_of(bench, config, place + "5", code=1)
    assert (record["value"], record["value_looks"]) == (None, "null, a tombstone")
    record, _ = route_of(bench, config, place + "6", code=1)
    assert (record["value"], record["value_looks"]) == ("", "empty")

    config["routes"][0]["on_error"] = "stop"
    assert "so it stops its partition (on_error: stop)" in lines(attempt(bench, config, place + "2", code=1))
    config["routes"][0]["on_error"] = "dead_letter"
    bench.drain(config)
    bench.check(log, contents=offsets_only, dead=7)


def test_which_record(shop):
    bench, log, config = shop
    for n in range(6):
        log.send_json(partition=n % 2, id=n, timestamp=None)
    log.send(b'{"id": 6}', timestamp=1000)  # the last of partition 0, and the oldest by its timestamp
    places = {
        log.topic: (1, 2), f"{log.topic}:0": (0, 3), f"{log.topic}:1@latest": (1, 2), f"{log.topic}:0@-2": (0, 2),
        f"{log.topic}:0@-4": (0, 0), f"{log.topic}:1@1": (1, 1), f"{log.topic}:0@earliest": (0, 0),
    }  # fmt: skip
    for place, want in places.items():
        record, _ = route_of(bench, config, place)
        assert (record["partition"], record["offset"]) == want, place

    log.delete_records({0: 2})
    record, _ = route_of(bench, config, f"{log.topic}:0@earliest")
    assert record["offset"] == 2
    faults = {
        f"{log.topic}:0@1": f"{log.topic}-0@1 is before the partition, which has offsets 2 to 3",
        f"{log.topic}:1@3": f"{log.topic}-1@3 is after the partition, which has offsets 0 to 2",
        f"{log.topic}:0@-5": f"{log.topic}-0: the last 64 MiB, or all, are 2 records",
        f"{log.topic}@1": f"topic '{log.topic}' has 2 partitions: which one?",
        f"{log.topic}:2": f"kafka: topic '{log.topic}' has 2 partitions, from 0 on",
    }
    for place, text in faults.items():
        assert attempt(bench, config, place, code=5).stderr.startswith(text + "\n"), place


def test_no_record_at_an_offset(bench):
    """The mark of a transaction is none, and nor is what was aborted."""
    log = bench.topic()
    bench.plain_table()
    producer = bench.transactions(log)
    producer.begin()
    producer.fill(1)
    producer.commit()
    producer.begin()
    producer.fill(1)
    producer.abort()
    log.fill(1)
    config = bench.config(log)
    for offset in (1, 2, 3):
        done = attempt(bench, config, f"{log.topic}@{offset}", code=5)
        assert f"{log.topic}-0@{offset} holds no record" in done.stderr
        assert "HINT: The next record is at 4." in done.stderr
    assert route_of(bench, config, f"{log.topic}@4")[1]["result"] == "rows"
    bench.drain(config)
    bench.check(log)


def test_a_regular_expression_is_no_name_of_a_topic(bench):
    bench.plain_table()
    config = bench.config(topics=["^try[.]order$"])
    done = attempt(bench, config, "^try[.]ordr$", code=2)
    assert "HINT: A route takes the topics that its `topics` names." in done.stderr


MISUSES = {
    "": (2, "does not begin with the name of a topic"),
    ":1": (2, "does not begin with the name of a topic"),
    "{}:x": (2, "'x' is not a partition"),
    "{}@soon": (2, "'soon' is not an offset"),
    "{}x": (2, "HINT: Is it '{}'?"),
}


def test_misuse(bench):
    config = bench.config(topics=["try.orders"])
    bench.plain_table()
    for place, (code, text) in MISUSES.items():
        assert text.format("try.orders") in attempt(bench, config, place.format("try.orders"), code=code).stderr
    assert "topic 'try.orders' does not exist" in attempt(bench, config, "try.orders", code=5).stderr


def test_routes_elements_and_deletes(bench):
    """Several routes: one does not take it, one explodes it, one deletes, one has a table that is missing."""
    log = bench.topic()
    bench.sql("CREATE TABLE items (_partition int, _offset bigint, _index int, sku text, qty int)")
    for name in ("state", "copy"):
        bench.sql(f"CREATE TABLE {name} (id bigint PRIMARY KEY, name text)")
    bench.plain_table()
    log.send(b'{"id": 1, "kind": "a", "items": [{"sku": "x", "qty": 1}, {"sku": "y", "qty": 2}]}', key=b'{"id": 1}')
    log.send(None, key=b'{"id": 1}')
    log.send(json.dumps({"op": "d", "before": {"id": 9, "name": "n"}, "after": None, "source": {}}).encode())
    routes = [
        {"name": "none", "topics": [log.topic], "table": "events", "when": "value.kind = 'b'"},
        {"name": "items", "topics": [log.topic], "table": "items", "explode": "value.items"},
        {"name": "state", "topics": [log.topic], "table": "state", "mode": "upsert", "key": ["id"],
         "columns": {"id": "key.id"}, "key_format": "json", "delete": "tombstone"},
        {"name": "changes", "topics": [log.topic], "table": "copy", "mode": "upsert", "envelope": "debezium"},
        {"name": "gone", "topics": [log.topic], "table": "nowhere"},
    ]  # fmt: skip
    config = bench.config(routes=routes)

    def tried(offset, code):
        done = attempt(bench, config, f"{log.topic}:0@{offset}", "--json", code=code)
        return {route["route"]: route for route in json.loads(done.stdout)["routes"]}

    first = tried(0, 4)  # the record is rejected by a route, and the table of another is missing: the latter is worse
    assert (first["none"]["result"], first["none"]["message"]) == ("no row", "when does not take it")
    assert [columns(row)["sku"] for row in first["items"]["rows"]] == [("value", "x"), ("value", "y")]
    (statement,) = first["items"]["statements"]
    assert "unnest($1)" in statement["sql"]
    assert statement["parameters"][-2:] == [["x", "y"], ["1", "2"]]
    assert first["state"]["rows"][0]["action"] == "upsert"
    assert "ON CONFLICT" in first["state"]["statements"][0]["sql"]
    assert first["gone"]["result"] == "table cannot be used" and "nowhere" in first["gone"]["message"]

    second = tried(1, 4)
    assert second["state"]["rows"][0]["action"] == "delete"
    assert columns(second["state"]["rows"][0]) == {"id": ("value", "1")}
    assert (second["changes"]["result"], second["changes"]["message"]) == ("no row", "it is a tombstone")

    third = tried(2, 4)
    assert third["changes"]["rows"][0]["action"] == "delete"
    assert columns(third["changes"]["rows"][0]) == {"id": ("value", "9")}


def test_nothing_is_written(shop):
    """Beside a sink that has run: its ledger, its table, its group and a sequence stay as they are."""
    bench, log, config = shop
    bench.sql("CREATE SEQUENCE counter")
    config["routes"][0]["columns"]["twice"] = {"sql": "nextval('counter')"}
    log.send_json(id=1)
    bench.drain(config)
    log.send_json(id=2)
    state = "SELECT (SELECT jsonb_agg(o) FROM pgsinkd.offsets o)::text || (SELECT jsonb_agg(e) FROM events e)::text"
    before = bench.value(state), bench.kafka.committed(bench.group, log.topic), bench.value("SELECT last_value FROM counter")
    others = wait.until(bench.kafka.group_names, "the coordinator")
    assert "not tried: it would write" in attempt(bench, config, log.topic).stdout
    assert before == (
        bench.value(state), bench.kafka.committed(bench.group, log.topic), bench.value("SELECT last_value FROM counter")
    )  # fmt: skip
    assert others == wait.until(bench.kafka.group_names, "the coordinator")
    bench.drain(config)
    bench.check(log, contents=offsets_only)


def test_postgresql_is_away(shop):
    """The record is shown all the same."""
    bench, log, config = shop
    log.send(b"x" * 3000)
    config["postgres"]["dsn"] = bench.dsn(port=1)
    done = attempt(bench, config, log.topic, code=4)
    assert "... (1000 bytes more)" in done.stdout
    assert done.stderr != ""


def test_what_is_computed_becomes_a_value_of_its_column(shop):
    """As an assignment does it: rounded to the scale, refused where it is too long."""
    bench, log, config = shop
    config["routes"][0]["columns"]["amount"] = {"sql": "(value->>'amount')::numeric"}
    bench.sql("ALTER TABLE events ADD code varchar(3)")
    config["routes"][0]["columns"]["code"] = {"sql": "value->>'code'"}
    log.send(b'{"id": 1, "amount": 1.2345, "code": "abc  "}', partition=0)
    log.send(b'{"id": 1, "amount": 1, "code": "abcd"}', partition=0)
    _, route = route_of(bench, config, f"{log.topic}:0@0")
    got = columns(route["rows"][0])
    assert (got["amount"], got["code"]) == (("value", "1.23"), ("value", "abc")), got
    _, route = route_of(bench, config, f"{log.topic}:0@1", code=1)
    assert route["sqlstate"] == "22001"


def test_elements_of_arrays_have_their_length(shop):
    """An assignment refuses what a cast would cut; but for blanks, and whatever the dimensions."""
    bench, log, config = shop
    config["routes"][0]["columns"]["codes"] = {"sql": "ARRAY[[value->>'a', 'x'], ['y', 'z']]"}
    bench.sql("ALTER TABLE events ADD codes varchar(3)[], ADD plain varchar(3)[]")
    for value in (b'{"id": 1, "a": "abc  ", "plain": ["abc"]}', b'{"id": 1, "a": "abcd"}', b'{"id": 1, "plain": ["abcd"]}'):
        log.send(value, partition=0)
    got = columns(route_of(bench, config, f"{log.topic}:0@0")[1]["rows"][0])
    assert (got["codes"], got["plain"]) == (("value", "{{abc,x},{y,z}}"), ("value", "{abc}"))
    for offset in (1, 2):
        _, route = route_of(bench, config, f"{log.topic}:0@{offset}", code=1)
        assert (route["result"], route["sqlstate"]) == ("dead letter", "22001"), route
    bench.drain(config)
    assert bench.value("SELECT codes::text || plain::text FROM events") == "{{abc,x},{y,z}}{abc}"
    bench.check(log, contents=offsets_only, dead=2)


def test_a_fault_of_the_target_is_none_of_the_record(shop):
    """Also where PostgreSQL refuses a value of the same row: the partition waits for the repair, so nothing is rejected."""
    bench, log, config = shop
    bench.sql(
        "CREATE FUNCTION price(id bigint) RETURNS bigint LANGUAGE plpgsql AS"
        " $$BEGIN RETURN (SELECT p.price FROM prices p WHERE p.id = price.id); END$$"
    )
    config["routes"][0]["columns"]["twice"] = {"sql": "price((value->>'id')::bigint)"}
    log.send(b'{"id": 1, "mood": "angry"}', partition=0)
    log.send(b'{"id": 1, "mood": "sad"}', partition=0)
    for offset in (0, 1):
        done = attempt(bench, config, f"{log.topic}:0@{offset}", code=4)
        assert "so its partition waits, and no record is rejected" in lines(done)
        _, route = route_of(bench, config, f"{log.topic}:0@{offset}", code=4)
        assert (route["result"], route["sqlstate"]) == ("waits", "42P01"), route
        assert route["message"].startswith("column 'twice': ")
    bench.sql("CREATE TABLE prices (id bigint, price numeric)")
    _, route = route_of(bench, config, f"{log.topic}:0@0", code=1)
    assert (route["result"], route["sqlstate"]) == ("dead letter", "22P02"), route
    bench.drain(config)
    bench.check(log, contents=offsets_only, dead=1)


def test_mixed_rows_have_their_bits_among_the_parameters(bench):
    """What the statement has a parameter for is in the list: one for each $."""
    log = bench.topic()
    wide = ", ".join(f"c{n} int DEFAULT {n}" for n in range(140))
    bench.sql(f"CREATE TABLE events (_partition int, _offset bigint, {wide})")
    config = bench.config(log)
    log.send(b'{"c0": 1, "c139": 2}')
    _, route = route_of(bench, config, log.topic)
    (statement,) = route["statements"]
    assert f"${len(statement['parameters'])}" in statement["sql"]
    assert f"${len(statement['parameters']) + 1}" not in statement["sql"]
    ((bits,),) = statement["parameters"][-1:]
    assert bits.startswith("\\x") and int(bits[2:], 16).bit_count() == 2, bits
    (last,) = [line for line in lines(attempt(bench, config, log.topic)) if "::pg_catalog.bytea[]" in line]
    assert bits in last
    bench.drain(config)
    assert bench.value("SELECT concat_ws(',', c0, c1, c138, c139) FROM events") == "1,1,138,2"
