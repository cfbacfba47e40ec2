"""`verify --content`: the topic is read again, and what was changed by hand in the table is found."""

import json
import subprocess
import sys

import pytest
from confluent_kafka import Producer

from kit.bad import BAD, TABLE
from kit.daemon import BINARY

PLACED = """
CREATE TABLE placed (
    _partition int, _offset bigint, id bigint, note text, amount numeric(12,2), at timestamptz(3), doc json,
    tags text[], code char(5), seq bigint GENERATED ALWAYS AS IDENTITY, made timestamptz DEFAULT now()
)
"""


def numbered(partition, n):
    return json.dumps({
        "id": n, "note": None if n % 7 == 0 else f"note {n}", "amount": n / 3, "at": "2026-01-31T12:00:00.123456Z",
        "doc": {"a": [n, "ä"]}, "tags": ["x", None], "code": "ab",
    }).encode()  # fmt: skip


def compared(bench, file, log, *argv, code=0):
    """The findings, and the summary's counts of missing, doubled and different."""
    run = bench.command("verify", file, "--content", log.topic, "--json", *argv)
    assert run.returncode == code, run.stdout + run.stderr
    *findings, summary = [json.loads(line) for line in run.stdout.splitlines()]
    places = [(f["what"], f["partition"], f["offset"], f["expected"], f["found"]) for f in findings]
    return sorted(places), (summary["missing"], summary["doubled"], summary["different"])


def placed(bench, records=3000, partitions=3, **changes):
    log = bench.topic(partitions=partitions)
    bench.sql(PLACED)
    log.fill(records, make=numbered)
    file = bench.config(log, "placed", **changes)
    bench.drain(file)
    bench.check(log, "placed")
    return log, file


@pytest.mark.quick
def test_what_is_changed_by_hand_is_found(bench):
    log, file = placed(bench)
    assert compared(bench, file, log) == ([], (0, 0, 0))
    bench.sql("DELETE FROM placed WHERE _partition = 0 AND _offset = 17")
    bench.sql("""INSERT INTO placed (_partition, _offset, id, note) SELECT _partition, _offset, id, note FROM placed
                  WHERE _partition = 1 AND _offset = 0""")
    for column, value in (("amount", "1"), ("at", "now()"), ("doc", "'{}'"), ("tags", "'{}'"), ("note", "'x'")):
        bench.sql(f"UPDATE placed SET {column} = {value} WHERE _partition = 2 AND _offset = length('{column}')")
    findings, counts = compared(bench, file, log, code=1)
    assert counts == (1, 1, 4), "of note and tags, both of four letters, one row"
    assert findings == [
        ("different", 2, 2, 1, 1), ("different", 2, 3, 1, 1), ("different", 2, 4, 1, 1), ("different", 2, 6, 1, 1),
        ("doubled", 1, 0, 1, 2), ("missing", 0, 17, 1, 0),
    ]  # fmt: skip
    run = bench.command("verify", file, "--content", log.topic)
    assert run.returncode == 1
    assert f'{log.topic}-2@4: different in "public"."placed": note, tags' in run.stdout
    assert "1 missing, 1 doubled, 4 different" in run.stdout
    assert compared(bench, file, log, "--from", "18") == ([], (0, 0, 0))
    assert compared(bench, file, log, "--from", "10", "--to", "18", code=1)[1] == (1, 0, 0)


def test_it_leaves_a_running_daemon_alone(bench):
    log = bench.topic(partitions=2)
    bench.sql(PLACED)
    file = bench.config(log, "placed")
    d = bench.start(file)
    for _ in range(3):
        log.fill(1000, make=numbered)
        assert compared(bench, file, log) == ([], (0, 0, 0))
    bench.wait_rows(3000, "placed")
    assert compared(bench, file, log) == ([], (0, 0, 0))
    owners = bench.sql("SELECT DISTINCT owner_epoch FROM pgsinkd.offsets")
    assert owners == [(1,)], "nothing was claimed again"
    d.terminate()
    bench.check(log, "placed")


def test_dead_letters_stand_for_rows(bench):
    log = bench.topic()
    bench.sql(TABLE)
    log.fill(20)
    refused = [log.send(BAD[name]) for name in ("check constraint", "not json")]
    log.fill(20)
    bench.sql("ALTER TABLE events ADD feeling mood")  # which labels there are is known only to the server
    unknown = [log.send(b'{"id": 1, "feeling": "so-so"}') for _ in range(2)]
    log.fill(20)
    file = bench.config(log, route={"on_error": "dead_letter", "max_dead_letters": "off"})
    bench.drain(file)
    assert compared(bench, file, log) == ([], (0, 0, 0))
    bench.check(log, dead={(0, record.offset) for record in refused + unknown})
    bench.sql("DELETE FROM pgsinkd.dead_letters")
    findings, _ = compared(bench, file, log, code=1)
    assert findings == [("missing", 0, refused[0].offset, 1, 0), ("missing", 0, refused[1].offset, 0, 0)] + [
        ("missing", 0, record.offset, 0, 0) for record in unknown
    ]


def test_conditions_and_exploded_records(bench):
    """Several rows of one record, rows of two routes, none."""
    log = bench.topic()
    bench.sql("CREATE TABLE items (_partition int, _offset bigint, sku text, n int, seq bigint GENERATED ALWAYS AS IDENTITY)")
    for n in range(50):
        log.send_json(kind="order" if n % 2 else "other", items=[{"sku": "a", "n": n}, {"sku": "a", "n": n}, {"sku": "b"}])
    routes = [
        {"topics": [log.topic], "table": "items", "name": name, "explode": "value.items", "when": f"value.kind = '{kind}'"}
        for name, kind in (("first", "order"), ("second", "never"))
    ]
    file = bench.config(routes=routes)
    bench.drain(file)
    assert bench.rows("items") == 75
    bench.check(log, "items", contents=lambda record: [
        {"sku": item["sku"], "n": item.get("n")} for item in record.json["items"] if record.json["kind"] == "order"
    ], rows=lambda record: 3 if record.json["kind"] == "order" else 0)  # fmt: skip
    assert compared(bench, file, log) == ([], (0, 0, 0))
    bench.sql("DELETE FROM items WHERE ctid IN (SELECT ctid FROM items WHERE _offset = 1 AND sku = 'a' LIMIT 1)")
    bench.sql("UPDATE items SET n = 0 WHERE _offset = 3 AND sku = 'b'")
    bench.sql("INSERT INTO items VALUES (0, 4, 'b', 1)")
    findings, _ = compared(bench, file, log, code=1)
    assert findings == [("different", 0, 3, 3, 3), ("doubled", 0, 4, 0, 1), ("missing", 0, 1, 3, 2)]


def test_what_cannot_be_compared_is_said(bench):
    log = bench.topic()
    bench.plain_table()
    log.fill(10)
    file = bench.config(log)
    bench.drain(file)
    bench.sql("CREATE TABLE bare (id bigint)")
    run = bench.command("verify", bench.config(log, "bare"), "--content", log.topic)
    assert run.returncode == 1
    assert "meta.partition" in run.stderr and "nothing of topic" in run.stderr
    run = bench.command("verify", file, "--content", "no.such.topic")
    assert run.returncode == 2
    bench.sql("ALTER TABLE events ADD PRIMARY KEY (id)")
    topics = {"append": log.topic, "upsert": bench.topic().topic}
    routes = [{"topics": [topic], "table": "events", "name": mode, "mode": mode} for mode, topic in topics.items()]
    run = bench.command("verify", bench.config(routes=routes), "--content", log.topic)
    assert run.returncode == 1 and "some of its routes append, and others have a key" in run.stderr
    bench.check(log)


@pytest.mark.parametrize("order", [1, -1], ids=["first", "last"])
def test_one_route_keeps_a_table_from_being_compared(bench, order):
    """In whatever order the routes are: the rows of one that does not say where they are from would be missing."""
    log = bench.topic()
    bench.plain_table()
    log.fill(10)
    whole = {"topics": [log.topic], "table": "events", "name": "whole"}
    bare = {"topics": [log.topic], "table": "events", "name": "bare", "when": "value.id = 0", "columns": {"_offset": "value.other"}}
    bench.drain(bench.config(routes=[whole]))
    bench.check(log)
    whole["when"] = "value.id > 0"
    run = bench.command("verify", bench.config(routes=[bare, whole][::order]), "--content", log.topic)
    assert run.returncode == 1, run.stdout + run.stderr
    assert run.stderr.count("is not compared: it has no integer columns") == 1
    assert "nothing of topic" in run.stderr and run.stdout == ""


def test_what_kafka_has_deleted_is_said(bench):
    log, file = placed(bench, records=300, partitions=1)
    bench.sql("CREATE TABLE keyed (id bigint PRIMARY KEY, note text, _partition int, _offset bigint)")
    routes = [{"topics": [log.topic], "table": "placed"}, {"topics": [log.topic], "table": "keyed", "mode": "upsert"}]
    file = bench.config(routes=routes)
    bench.sql("INSERT INTO keyed SELECT id, note, _partition, _offset FROM placed")  # as if both had stored it
    log.broker.delete_records(log.topic, {0: 100})
    run = bench.command("verify", file, "--content", log.topic)
    assert run.returncode == 0, run.stdout + run.stderr
    assert "offsets 0 to 100 are not compared" in run.stderr
    assert "200 records of 1 partition " in run.stdout
    bench.sql("DELETE FROM placed WHERE _offset BETWEEN 100 AND 249")
    bench.sql("DELETE FROM keyed WHERE _offset < 150")
    findings, counts = compared(bench, file, log, code=1)
    assert (len(findings), counts) == (100, (200, 0, 0)), "not all are listed, but all are counted"
    run = bench.command("verify", file, "--content", log.topic, "--to", "100")
    assert run.returncode == 1 and "nothing of topic" in run.stderr


def test_gaps_of_a_former_log_do_not_count(bench):
    """Nor those from before a reset(): what lies in them was stored since, and is missed."""
    log = bench.topic()
    bench.plain_table()
    log.fill(50)
    gap = "INSERT INTO pgsinkd.gaps VALUES (%s, %s, 0, %s, %s, %s, now() - make_interval(mins => %s))"
    file = bench.config(log, kafka={"start": "latest"})
    bench.drain(file)
    bench.sql("UPDATE pgsinkd.partitions SET first_at = now() - interval '10 min'")
    log.fill(50)
    bench.drain(file)
    bench.check(log, start={0: 50})
    lost = "deleted: the log held"
    again = "the topic was created again; the log held"
    bench.sql("DELETE FROM events WHERE _offset IN (60, 70, 90)")
    for values in ((50, 0, again, 30), (60, 65, lost, 20), (70, 75, lost, 5)):
        bench.sql(gap, bench.sink, log.topic, *values)
    findings, _ = compared(bench, file, log, code=1)
    assert [f[:3] for f in findings] == [("missing", 0, 60), ("missing", 0, 90)], "it began at 50; 70 is in a gap"
    bench.sql(gap, bench.sink, log.topic, 95, 50, again, 3)
    findings, _ = compared(bench, file, log, code=1)
    assert [f[:3] for f in findings] == [("missing", 0, 60), ("missing", 0, 70), ("missing", 0, 90)]


def test_rights_and_row_level_security(bench):
    """It reads the tables; rows that a policy hides from the role are missing, and that is said."""
    log = bench.topic()
    bench.plain_table()
    log.fill(10)
    bench.drain(bench.config(log))
    role = f"{bench.sink}_verifier"
    bench.sql(f"CREATE ROLE {role} LOGIN PASSWORD 'secret'")
    file = bench.config(log, postgres={"dsn": bench.dsn(user=role, password="secret"), "manage_schema": False})
    bench.sql(f"GRANT USAGE ON SCHEMA pgsinkd TO {role}")
    bench.sql(f"GRANT SELECT ON ALL TABLES IN SCHEMA pgsinkd TO {role}")
    bench.sql(f"GRANT INSERT ON events TO {role}")
    run = bench.command("verify", file, "--content", log.topic)
    assert run.returncode == 1 and "this role may not read it (GRANT SELECT on the table)" in run.stderr
    bench.sql(f"GRANT SELECT ON events TO {role}")
    assert compared(bench, file, log) == ([], (0, 0, 0))
    bench.sql("ALTER TABLE events ENABLE ROW LEVEL SECURITY")
    bench.sql("CREATE POLICY half ON events USING (_offset < 5)")
    run = bench.command("verify", file, "--content", log.topic)
    assert run.returncode == 1 and "5 missing" in run.stdout
    assert 'row-level security of table "public"."events" is in force for this role' in run.stderr
    bench.sql(f"DROP OWNED BY {role}")
    with bench.postgres.connect() as admin:
        admin.execute(f"DROP ROLE {role}")
    bench.check(log)


def test_generated_columns_and_triggers(bench):
    """What PostgreSQL computes is not compared; what a trigger has changed differs."""
    log = bench.topic()
    bench.sql("CREATE TABLE placed (_partition int, _offset bigint, id int, note text,"
              " seq bigint GENERATED ALWAYS AS IDENTITY, twice int GENERATED ALWAYS AS (id * 2) STORED, made timestamptz DEFAULT clock_timestamp())")
    bench.sql("CREATE FUNCTION shout() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF NEW.id = 3 THEN"
              " NEW.note := NEW.note || '!'; END IF; RETURN NEW; END $$")
    bench.sql("CREATE TRIGGER t BEFORE INSERT ON placed FOR EACH ROW EXECUTE FUNCTION shout()")
    log.fill(10)
    file = bench.config(log, "placed")
    bench.drain(file)
    run = bench.command("verify", file, "--content", log.topic, "--json")
    assert run.returncode == 1
    finding, summary = [json.loads(line) for line in run.stdout.splitlines()]
    assert finding == {
        "what": "different", "topic": log.topic, "partition": 0, "offset": 3, "schema": "public", "table": "placed",
        "expected": 1, "found": 1, "columns": ["note"],
    }  # fmt: skip
    assert (summary["different"], summary["tables"]) == (1, 1)
    bench.sql("UPDATE placed SET note = rtrim(note, '!')")
    bench.check(log, "placed")


def test_a_row_of_a_former_log_hides_nothing(bench):
    """The topic was created again, and its rows lie at the offsets of others."""
    log = bench.topic()
    bench.plain_table()
    log.fill(100)
    file = bench.config(log)
    bench.drain(file)
    log.recreate()
    log.fill(150)
    # as on_gap: earliest does it where librdkafka knows ids of topics
    bench.sql("UPDATE pgsinkd.offsets SET next_offset = 0 WHERE sink = %s", bench.sink)
    bench.sql("INSERT INTO pgsinkd.gaps VALUES (%s, %s, 0, 100, 0, 'the topic was created again; the log held')",
              bench.sink, log.topic)  # fmt: skip
    bench.drain(file)
    assert compared(bench, file, log) == ([], (0, 0, 0))
    bench.check(log, gaps={0: [(100, 0)]})
    bench.sql("DELETE FROM events WHERE _offset IN (7, 120)")
    findings, counts = compared(bench, file, log, code=1)
    assert [f[:3] for f in findings] == [("missing", 0, 7), ("missing", 0, 120)] and counts == (2, 0, 0)


# Runs a command, and prints the most memory that it had, in kB, as the last word of stderr. A process of its own starts
# it, because what Linux reports for a child is at least what its parent had when it started the child.
MEASURED = """
import resource, subprocess, sys
code = subprocess.call(sys.argv[1:])
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss, file=sys.stderr)
sys.exit(code)
"""


@pytest.mark.timeout(500)
def test_many_records_in_little_memory(bench):
    """Read in passes: neither this process nor its temporary tables hold the topic. The records are too many for the
    checker, which holds all of them."""
    log = bench.topic()
    bench.sql("CREATE TABLE many (id int, _partition int, _offset bigint)")
    bench.sql("CREATE INDEX ON many (_partition, _offset)")
    bench.sql("CREATE TABLE keyed (id int PRIMARY KEY, _partition int, _offset bigint)")
    n = 300_000
    producer = Producer({"bootstrap.servers": log.broker.bootstrap, "linger.ms": 20})
    for i in range(n):
        while True:
            try:
                producer.produce(log.topic, b'{"id": %d}' % (i % (n // 2)), partition=0)
                break
            except BufferError:
                producer.poll(0.1)
    assert producer.flush(60) == 0
    routes = [{"topics": [log.topic], "table": "many"}, {"topics": [log.topic], "table": "keyed", "mode": "upsert"}]
    # A response of librdkafka's default size would hold all of them, at some hundred bytes each.
    small = {"queued.min.messages": 10_000, "fetch.message.max.bytes": 65_536}
    file = bench.config(routes=routes, properties=small)
    bench.drain(file, timeout=300)
    assert bench.sql("SELECT count(*), count(DISTINCT _offset), max(_offset) FROM many") == [(n, n, n - 1)]
    assert bench.sql("SELECT count(*), min(_offset) FROM keyed") == [(n // 2, n // 2)]
    bench.sql("DELETE FROM many WHERE _offset = %s", n - 3)
    bench.sql("DELETE FROM keyed WHERE _offset = %s", n - 3)
    path = bench.root / "many.yaml"
    path.write_text(json.dumps(file))
    run = subprocess.run(
        [sys.executable, "-c", MEASURED, BINARY, "verify", "-c", path, "--content", log.topic],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert run.returncode == 1, run.stdout + run.stderr
    assert f"{n} records" in run.stdout and "2 missing, 0 doubled, 0 different" in run.stdout
    memory = int(run.stderr.split()[-1])
    print("memory in kB", memory)
    assert memory < 150_000
