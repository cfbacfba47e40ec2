"""`verify --content` of tables with a key: the row of each key must be that of the key's last record. It says that one
is missing only where that is certain, and how many could not be decided."""

import json

import pytest

from kit import wait
from kit.bad import BAD, TABLE
from kit.debezium import Mirror
from kit.model import Model


KEYED = "CREATE TABLE {} (id int PRIMARY KEY, note text, v int, _partition int, _offset bigint)"
ROUTE = {"mode": "upsert", "delete": "tombstone", "columns": {"id": "key.id"}}
COMPACT = {
    "cleanup_policy": "compact", "segment_ms": 100, "min_cleanable_dirty_ratio": 0.001, "min_compaction_lag_ms": 0,
    "delete_retention_ms": 100,
}  # fmt: skip


def key(n):
    return json.dumps({"id": n}).encode()


def upsert(n, partition=0, **fields):
    return (partition, key(n), json.dumps({"note": f"note {n}", **fields}).encode(), None, None)


def delete(n, partition=0):
    return (partition, key(n), None, None, None)


def keyed(record):
    return json.loads(record.key) | (record.json if record.value is not None else {})


def model(mode="upsert", **options):
    return Model(mode, ["id"], ["id", "note"], row=keyed, **({"deletes": True} | options))


def found(bench, file, log, *argv, code=0):
    """The findings as (what, partition, offset, found_offset), and the summary."""
    run = bench.command("verify", file, "--content", log.topic, "--json", *argv)
    assert run.returncode == code, run.stdout + run.stderr
    *findings, summary = [json.loads(line) for line in run.stdout.splitlines()]
    return [(f["what"], f["partition"], f["offset"], f["found_offset"]) for f in findings], summary


def why(summary):
    """How many could not be decided, by the first word that tells the reasons apart."""
    words = {"which of them came last": "elsewhere", "has or may have deleted": "deleted elsewhere",
             "records that were not read": "moving", "no record in Kafka any more": "unread",
             "at which Kafka has no record": "no record", "dead letter was replayed": "replayed",
             "only updates": "update", "leave no version": "version", "former log of the": "former"}  # fmt: skip
    told = {}
    for entry in summary["why_undecided"]:
        [word] = [name for text, name in words.items() if text in entry["reason"]]
        told[word] = entry["count"]
    assert sum(told.values()) == summary["undecided"]
    return told


def stored(bench, sent, partitions=1, route=None, topic=None, table="things", **changes):
    log = bench.topic(partitions=partitions, **(topic or {}))
    bench.sql(KEYED.format(table))
    log.send_many(sent)
    file = bench.config(log, table, route=ROUTE | (route or {}), **changes)
    bench.drain(file)
    return log, file


@pytest.mark.quick
@pytest.mark.sanitize
def test_what_is_changed_by_hand_is_found(bench):
    sent = [upsert(n, n % 3) for n in range(30)] + [upsert(n, n % 3, v=1) for n in range(30)]
    sent += [delete(n, n % 3) for n in range(6)]
    log, file = stored(bench, sent, partitions=3)
    bench.check(log, "things", model=model())
    assert found(bench, file, log)[0] == []
    bench.sql("DELETE FROM things WHERE id = 7")  # partition 1: 7 is its third of ten keys, which came twice
    bench.sql("UPDATE things SET _offset = 2 WHERE id = 8")
    bench.sql("INSERT INTO things VALUES (3, 'back', 1, 0, 1)")
    bench.sql("INSERT INTO things VALUES (100, 'of the application', 1)")
    findings, summary = found(bench, file, log, code=1)
    assert findings == [("not deleted", 0, 21, 1), ("missing", 1, 12, None), ("missing", 2, 12, 2)]
    assert (summary["missing"], summary["not_deleted"], summary["undecided"]) == (2, 1, 0)
    run = bench.command("verify", file, "--content", log.topic)
    assert run.returncode == 1
    assert f'{log.topic}-1@12: missing in "public"."things": there is neither a row nor a dead letter' in run.stdout
    assert f'{log.topic}-2@12: missing in "public"."things": the row of its key is of offset 2' in run.stdout
    assert "2 missing, 0 doubled, 0 different, 1 not deleted" in run.stdout


def test_a_key_in_several_partitions(bench):
    """Nobody knows which of two partitions was stored last, so neither record is called missing."""
    sent = [upsert(n, p, v=p) for n in range(10) for p in (0, 1)]
    log, file = stored(bench, sent, partitions=2, route={"delete": "off"})
    bench.check(log, "things", without={(0, n) for n in range(10)}, model=model(deletes=False))
    findings, summary = found(bench, file, log)
    assert findings == [] and why(summary) == {"elsewhere": 10}
    bench.sql("DELETE FROM things WHERE id < 2")
    findings, _ = found(bench, file, log, code=1)
    assert [f[:3] for f in findings] == [("missing", p, n) for p in (0, 1) for n in (0, 1)], "nothing can delete it"


def test_the_partition_of_a_key_has_changed(bench):
    """The topic has grown, and the tombstone is in another partition than the row's record."""
    log, file = stored(bench, [upsert(n) for n in range(10)], route={"delete": "tombstone"})
    log.add_partitions(2)
    d = bench.start(file)
    log.send_many([delete(3, 1), upsert(4, 1)])
    bench.wait_stored(log)
    d.terminate()
    bench.check(log, "things", model=model())
    findings, summary = found(bench, file, log)
    assert findings == [] and why(summary) == {"deleted elsewhere": 1, "elsewhere": 1}
    bench.sql("DELETE FROM things WHERE id = 5")
    assert found(bench, file, log, code=1)[0] == [("missing", 0, 5, None)], "no partition has deleted that"


def test_what_comes_meanwhile_may_delete(bench):
    """Of --to, and of a daemon that has stored more than was read."""
    log, file = stored(bench, [upsert(n) for n in range(10)] + [delete(2)])
    bench.check(log, "things", model=model())
    findings, summary = found(bench, file, log, "--to", "10")
    assert findings == [] and why(summary) == {"moving": 1}
    findings, summary = found(bench, file, log, "--from", "5", "--to", "8")
    assert findings == [] and summary["records"] == 3 and summary["undecided"] == 0


def test_ignore_keeps_the_first(bench):
    sent = [upsert(n, v=n) for n in range(10)] + [upsert(n, v=100) for n in range(10)]
    log, file = stored(bench, sent, route={"mode": "ignore", "delete": "off"})
    bench.check(log, "things", model=model("ignore", deletes=False))
    assert found(bench, file, log)[1]["undecided"] == 0
    assert found(bench, file, log, "--from", "10")[0] == [], "those before are the first"
    bench.sql("DELETE FROM things WHERE id = 1")
    assert found(bench, file, log, code=1)[0] == [("missing", 0, 1, None)]


def test_update_makes_no_row(bench):
    log = bench.topic()
    bench.sql(KEYED.format("things"))
    bench.sql("INSERT INTO things SELECT n, 'old' FROM generate_series(0, 4) n")
    log.send_many([upsert(n, v=v) for v in (1, 2) for n in range(10)])
    file = bench.config(log, "things", route={"mode": "update", "columns": {"id": "key.id"}})
    bench.drain(file)
    start = [{"id": n, "note": "old"} for n in range(5)]
    bench.check(log, "things", model=model("update", deletes=False, start=start))
    findings, summary = found(bench, file, log)
    assert findings == [] and why(summary) == {"update": 5}
    bench.sql("UPDATE things SET _offset = 1 WHERE id = 1")
    assert found(bench, file, log, code=1)[0] == [("missing", 0, 11, 1)]


def test_only_if_newer(bench):
    sent = [upsert(n, v=5) for n in range(5)] + [upsert(n, v=n + 3) for n in range(5)]
    log, file = stored(bench, sent, route={"delete": "off", "only_if_newer": "v"})
    columns = {"columns": ["id", "note", "v"], "version": "v", "row": keyed}
    bench.check(log, "things", model=Model("upsert", ["id"], **columns))
    assert found(bench, file, log)[1]["undecided"] == 0
    bench.sql("UPDATE things SET _offset = 0, v = 3 WHERE id = 0")  # 5 is the highest: as it was
    bench.sql("UPDATE things SET _offset = 8, v = 1 WHERE id = 4")
    assert [f[:3] for f in found(bench, file, log, code=1)[0]] == [("missing", 0, 9)]


def test_keys_that_move_and_truncates(bench):
    """What one record of Debezium does to two keys, and to all."""
    log = bench.topic()
    bench.sql(KEYED.format("things"))

    def change(op, before=None, after=None):
        log.send_json(key=json.dumps(after or before or {}).encode(), before=before, after=after, op=op,
                      source={"ts_ms": 1}, ts_ms=1)  # fmt: skip

    for n in range(5):
        change("c", after={"id": n, "note": "a", "v": 1})
    change("t")
    for n in range(5, 10):
        change("c", after={"id": n, "note": "b", "v": 1})
    change("u", before={"id": 6, "note": "b", "v": 1}, after={"id": 60, "note": "b", "v": 1})
    change("d", before={"id": 7, "note": "b", "v": 1})
    file = bench.config(log, "things", route={"mode": "upsert", "envelope": "debezium"})
    bench.drain(file)
    assert bench.sql("SELECT id FROM things ORDER BY id") == [(5,), (8,), (9,), (60,)]
    bench.check(log, "things", model=Mirror(
        "(VALUES (5, 'b', 1, 0, 6), (8, 'b', 1, 0, 9), (9, 'b', 1, 0, 10), (60, 'b', 1, 0, 11))"))  # fmt: skip
    findings, summary = found(bench, file, log)
    assert findings == [] and summary["undecided"] == 0
    bench.sql("DELETE FROM things WHERE id = 60")
    bench.sql("INSERT INTO things VALUES (7, 'b', 1, 0, 8), (6, 'b', 1, 0, 7)")
    findings, _ = found(bench, file, log, code=1)
    assert sorted(findings) == [("missing", 0, 11, None), ("not deleted", 0, 11, 7), ("not deleted", 0, 12, 8)]


# ---- logs of all kinds ----


def test_a_compacted_topic(bench):
    """With one partition whose key is the record's nothing is hidden: a tombstone goes after what it deletes."""
    log = bench.topic(**COMPACT)
    bench.sql(KEYED.format("things"))
    bench.sql(KEYED.format("others"))
    log.send_many([upsert(1, other=10), upsert(2, other=20)])
    log.send_many([upsert(3, other=30, v=n) for n in range(300)] + [delete(2)])
    routes = [{"topics": [log.topic], "table": "things", "on_error": "stop"} | ROUTE,
              {"topics": [log.topic], "table": "others", "on_error": "dead_letter", "max_dead_letters": "off",
               "mode": "upsert", "delete_when": "value.v = 7", "columns": {"id": "value.other"}}]  # fmt: skip
    file = bench.config(routes=routes)
    bench.drain(file)

    def compacted():
        log.send_many([upsert(3, other=30, v=0)])  # the active segment is never compacted; a record more rolls it
        return log.shown()[0].offsets[:2][-1] > 290

    wait.until(compacted, "the broker to compact", timeout=60, interval=0.3)
    bench.drain(file)
    bench.kafka.configure_topic(log.topic, cleanup_policy="compact", min_compaction_lag_ms=3600_000)
    findings, summary = found(bench, file, log)
    assert findings == [] and summary["undecided"] == 0
    bench.sql("DELETE FROM things WHERE id = 1")
    bench.sql("DELETE FROM others WHERE id = 10")
    findings, summary = found(bench, file, log, code=1)
    assert findings == [("missing", 0, 0, None)], "of others a record that deletes may be gone"
    assert why(summary) == {"unread": 1}
    seen = log.shown()[0].offsets
    log.records[0] = {offset: log.records[0][offset] for offset in seen}
    bench.sql("INSERT INTO things (id, note) VALUES (1, 'note 1')")
    bench.sql("DELETE FROM pgsinkd.dead_letters")  # of the tombstone, which makes no row of others
    bench.check(log, "things", model=model())


def test_transactions_of_the_producer(bench):
    """Markers and aborted records hold no row, and hide no delete where the topic is not compacted."""
    log = bench.topic(partitions=2)
    bench.plain_table()
    bench.sql("ALTER TABLE events ADD PRIMARY KEY (id, _partition)")
    transactions = bench.transactions(log)
    for n in range(6):
        transactions.begin()
        transactions.fill(20)
        transactions.abort() if n % 2 else transactions.commit()
    file = bench.config(log, route={"mode": "upsert", "delete_when": "value.note = 'never'"})
    bench.drain(file)
    bench.check(log)
    assert found(bench, file, log)[1]["undecided"] == 0
    bench.sql("DELETE FROM events WHERE _partition = 1 AND _offset < 2")
    assert [f[:3] for f in found(bench, file, log, code=1)[0]] == [("missing", 1, 0), ("missing", 1, 1)]


def test_rows_of_a_former_log(bench):
    """The topic was created again: an offset says no more of which log a row is."""
    log = bench.topic()
    bench.plain_table()
    bench.sql("CREATE TABLE things (id int PRIMARY KEY, note text, _partition int, _offset bigint)")
    log.fill(100)
    routes = [{"topics": [log.topic], "table": "events", "on_error": "stop"},
              {"topics": [log.topic], "table": "things", "on_error": "stop", "mode": "upsert"}]  # fmt: skip
    file = bench.config(routes=routes)
    bench.drain(file)
    log.recreate()
    log.fill(60)
    # as on_gap: earliest does it where librdkafka knows ids of topics
    bench.sql("UPDATE pgsinkd.offsets SET next_offset = 0 WHERE sink = %s", bench.sink)
    bench.sql("INSERT INTO pgsinkd.gaps VALUES (%s, %s, 0, 100, 0, 'the topic was created again; the log held')",
              bench.sink, log.topic)  # fmt: skip
    bench.drain(file)
    findings = bench.command("verify", file, "--content", log.topic, "--json")
    assert findings.returncode == 0, findings.stdout + findings.stderr
    [summary] = [json.loads(line) for line in findings.stdout.splitlines()]
    assert why(summary) == {"former": 60} and summary["without_record"] == 0
    bench.check(log, gaps={0: [(100, 0)]})


def test_where_a_partition_began(bench):
    """What lies before was never to be stored, and is named."""
    log = bench.topic(partitions=2)
    bench.sql(KEYED.format("things"))
    log.send_many([upsert(n, 0) for n in range(10)])
    file = bench.config(log, "things", route=ROUTE, kafka={"start": "latest"})
    bench.drain(file)
    log.send_many([upsert(n, n % 2) for n in range(10, 20)])
    bench.drain(file)
    findings, summary = found(bench, file, log)
    assert findings == [] and summary["undecided"] == 0
    assert summary["never_read"] == [{"partition": 0, "below": 10}]
    run = bench.command("verify", file, "--content", log.topic)
    assert f"{log.topic}-0: offsets below 10 were never read by pgsinkd" in run.stdout
    bench.check(log, "things", start={0: 10, 1: 0}, model=model())


# ---- tables of all kinds ----


def test_dead_letters_and_their_replay(bench):
    log = bench.topic()
    bench.sql(TABLE)
    bench.sql("ALTER TABLE events ADD PRIMARY KEY (id)")
    log.fill(10)
    refused = log.send(BAD["not json"])
    file = bench.config(log, route={"mode": "upsert", "on_error": "dead_letter", "max_dead_letters": "off"}, audit=True)
    bench.drain(file)
    assert found(bench, file, log)[0] == []
    bench.sql("DELETE FROM pgsinkd.dead_letters")
    assert found(bench, file, log, code=1)[0] == [("missing", 0, refused.offset, None)]
    bench.check(log, without={(0, refused.offset)}, model=Model("upsert", ["id"], ["id", "note"]))


def test_a_replayed_record_puts_an_older_row_back(bench):
    """As docs/dead-letters.md says it does: where history knows of it, nothing is missing."""
    log = bench.topic()
    bench.sql(KEYED.format("things"))
    bench.sql("ALTER TABLE things ADD CHECK (v <> 13)")
    route = ROUTE | {"on_error": "dead_letter", "max_dead_letters": "off"}
    file = bench.config(log, "things", route=route, audit=True)
    for v in (1, 13, 2):  # in one batch only the last of a key would be tried
        log.send_many([upsert(1, v=v)])
        bench.drain(file)
    assert found(bench, file, log)[0] == []
    bench.sql("ALTER TABLE things DROP CONSTRAINT things_v_check")
    bench.sql("SELECT pgsinkd.replay(%s)", bench.sink)
    bench.drain(file)
    assert bench.sql("SELECT v, _offset FROM things") == [(13, 1)]
    findings, summary = found(bench, file, log)
    assert findings == [] and why(summary) == {"replayed": 1}
    bench.check(log, "things", model=model())


def test_what_cannot_be_compared_is_said(bench):
    log = bench.topic()
    log.send_many([upsert(n) for n in range(5)])
    bench.sql("CREATE TABLE bare (id int PRIMARY KEY, note text)")
    bench.sql(KEYED.format("things"))
    run = bench.command("verify", bench.config(log, "bare", route=ROUTE), "--content", log.topic)
    assert run.returncode == 4, "no daemon has run: there is no ledger"
    file = bench.config(log, "things", route=ROUTE)
    bench.drain(file)
    run = bench.command("verify", bench.config(log, "bare", route=ROUTE), "--content", log.topic)
    assert run.returncode == 1 and 'table "public"."bare" is not compared: it has no integer columns' in run.stderr
    bench.sql("ALTER TABLE things DROP COLUMN _offset")
    run = bench.command("verify", file, "--content", log.topic)
    assert run.returncode == 1 and "meta.partition and meta.offset" in run.stderr
    bench.sql("ALTER TABLE things ADD _offset bigint")
    bench.sql("UPDATE things SET _offset = id")
    bench.sql("ALTER TABLE things DROP COLUMN note")  # of a key only where its row is from is compared
    assert found(bench, file, log)[0] == []
    bench.sql("ALTER TABLE things ADD note text")
    bench.sql("UPDATE things SET note = 'note ' || id")
    bench.check(log, "things", model=model())


def test_routes_that_do_not_agree_about_the_key(bench):
    """Three into one table, of which the second has another key: none of them is compared."""
    log = bench.topic()
    bench.sql(KEYED.format("things"))
    bench.sql("CREATE UNIQUE INDEX ON things (note)")
    log.send_many([upsert(n) for n in range(5)])
    route = ROUTE | {"topics": [log.topic], "table": "things"}
    one = route | {"name": "one"}
    bench.drain(bench.config(routes=[one]))
    bench.check(log, "things", model=model())
    other = {"topics": [log.topic], "table": "things", "name": "other", "mode": "upsert", "key": ["note"]}
    routes = [r | {"when": f"value.note = '{n}'"} for n, r in enumerate((one, other, route | {"name": "three"}))]
    run = bench.command("verify", bench.config(routes=routes), "--content", log.topic)
    assert run.returncode == 1, run.stdout + run.stderr
    assert run.stderr.count("its routes do not agree about key or only_if_newer") == 1
    assert "nothing of topic" in run.stderr and run.stdout == ""


def test_history_that_may_not_be_read(bench):
    """It is said before the topic is read."""
    log, file = stored(bench, [upsert(n) for n in range(5)])
    bench.check(log, "things", model=model())
    role = f"{bench.sink}_verifier"
    bench.sql(f"CREATE ROLE {role} LOGIN PASSWORD 'secret'")
    bench.sql(f"GRANT USAGE ON SCHEMA pgsinkd TO {role}")
    bench.sql(f"GRANT SELECT ON ALL TABLES IN SCHEMA pgsinkd TO {role}")
    bench.sql(f"GRANT SELECT, INSERT, UPDATE, DELETE ON things TO {role}")
    bench.sql(f"REVOKE SELECT ON pgsinkd.history FROM {role}")
    file |= {"postgres": {"dsn": bench.dsn(user=role, password="secret"), "manage_schema": False}}
    bench.sql("DELETE FROM things WHERE id = 1")
    run = bench.command("verify", file, "--content", log.topic)
    assert run.returncode == 4 and "history" in run.stderr, run.stdout + run.stderr
    assert "temporary" not in run.stderr and "cannot be compared" not in run.stderr
    bench.sql(f"DROP OWNED BY {role}")
    with bench.postgres.connect() as admin:
        admin.execute(f"DROP ROLE {role}")


def test_keys_that_only_sql_can_compare(bench):
    bench.sql("CREATE EXTENSION citext")
    bench.sql("CREATE TABLE things (id citext, n numeric(5, 1), note text, _partition int, _offset bigint,"
              " PRIMARY KEY (id, n))")  # fmt: skip
    log = bench.topic()
    for n in range(40):
        log.send_json(id="aBcD"[n % 4] if n % 8 < 4 else "AbCd"[n % 4], n=f"{n % 3}.{'0' * (n % 4)}1", note=f"note {n}")
    file = bench.config(log, "things", route={"mode": "upsert"})
    bench.drain(file)
    last = {(r.json["id"].lower(), r.json["n"][:3]): offset for offset, r in sorted(log.records[0].items())}
    rows = ", ".join(f"('{k}', {n}, 'note {offset}', 0, {offset})" for (k, n), offset in last.items())
    bench.check(log, "(SELECT lower(id::text), n, note, _partition, _offset FROM things)", model=Mirror(f"(VALUES {rows})"))
    findings, summary = found(bench, file, log)
    assert findings == [] and summary["undecided"] == 0
    bench.sql("DELETE FROM things WHERE _offset = 39")
    assert found(bench, file, log, code=1)[0] == [("missing", 0, 39, None)]
