"""`verify --content`: the topic is read again, and what was changed by hand in the table is found."""

import json

import pytest

from kit.bad import BAD, TABLE

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
    bench.sql("DELETE FROM pgsinkd.dead_letters")
    findings, _ = compared(bench, file, log, code=1)
    assert findings == [("missing", 0, refused[0].offset, 1, 0), ("missing", 0, refused[1].offset, 0, 0)] + [
        ("missing", 0, record.offset, 0, 0) for record in unknown
    ]


def test_conditions_and_exploded_records(bench):
    """Several rows of one record, rows of two routes, none."""
    log = bench.topic()
    bench.sql("CREATE TABLE items (_partition int, _offset bigint, sku text, n int)")
    for n in range(50):
        log.send_json(kind="order" if n % 2 else "other", items=[{"sku": "a", "n": n}, {"sku": "a", "n": n}, {"sku": "b"}])
    routes = [
        {"topics": [log.topic], "table": "items", "name": name, "explode": "value.items", "when": f"value.kind = '{kind}'"}
        for name, kind in (("first", "order"), ("second", "never"))
    ]
    file = bench.config(routes=routes)
    bench.drain(file)
    assert bench.rows("items") == 75
    assert compared(bench, file, log) == ([], (0, 0, 0))
    bench.sql("DELETE FROM items WHERE ctid IN (SELECT ctid FROM items WHERE _offset = 1 AND sku = 'a' LIMIT 1)")
    bench.sql("UPDATE items SET n = 0 WHERE _offset = 3 AND sku = 'b'")
    bench.sql("INSERT INTO items VALUES (0, 4, 'b', 1)")
    findings, _ = compared(bench, file, log, code=1)
    assert findings == [("different", 0, 3, 3, 3), ("doubled", 0, 4, 0, 1), ("missing", 0, 1, 3, 2)]


def test_what_cannot_be_compared_is_said(bench):
    log = bench.topic()
    bench.plain_table("keyed")
    bench.sql("ALTER TABLE keyed ADD PRIMARY KEY (id)")
    log.fill(10)
    file = bench.config(log, "keyed", route={"mode": "upsert"})
    bench.drain(file)
    run = bench.command("verify", file, "--content", log.topic)
    assert run.returncode == 1
    assert "mode is not append" in run.stderr and "nothing of topic" in run.stderr
    bench.sql("CREATE TABLE bare (id bigint)")
    run = bench.command("verify", bench.config(log, "bare"), "--content", log.topic)
    assert run.returncode == 1 and "meta.partition" in run.stderr
    run = bench.command("verify", file, "--content", "no.such.topic")
    assert run.returncode == 2


def test_what_kafka_has_deleted_is_said(bench):
    log, file = placed(bench, records=300, partitions=1)
    log.broker.delete_records(log.topic, {0: 100})
    run = bench.command("verify", file, "--content", log.topic)
    assert run.returncode == 0, run.stderr
    assert "offsets 0 to 100 are not compared" in run.stderr
    assert "200 records of 1 partition " in run.stdout
    bench.sql("DELETE FROM placed WHERE _offset BETWEEN 100 AND 249")
    findings, counts = compared(bench, file, log, code=1)
    assert (len(findings), counts) == (100, (150, 0, 0)), "not all are listed, but all are counted"
    run = bench.command("verify", file, "--content", log.topic, "--to", "100")
    assert run.returncode == 1 and "nothing of topic" in run.stderr
