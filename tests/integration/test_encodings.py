"""A database that cannot hold every character: what its dead letters say is escaped."""

import json

import pytest

from kit.ledger import json_fields
from kit.model import Model


def of_encoding(bench, encoding):
    """The test's database is made again with that encoding."""
    bench.db.close()
    bench.postgres.drop_database(bench.database)
    bench.postgres.create_database(bench.database, encoding)
    bench.db = bench.postgres.connect(bench.database, client_encoding="UTF8")


@pytest.mark.parametrize("encoding", ["LATIN1", "EUC_JP", "SQL_ASCII"])
def test_a_dead_letter_whose_own_text_cannot_be_stored(bench, encoding):
    of_encoding(bench, encoding)
    log = bench.topic()
    bench.plain_table()
    bench.start(bench.config(log, route={"on_error": "dead_letter"}))
    header = [("\u20ac\U0001f600", "\u65e5".encode())]
    log.send_json(id=1, note="a")
    log.send(json.dumps({"id": "\u65e5\u672c \u00e9 \U0001f600"}, ensure_ascii=False).encode(), key="\u65e5".encode(), headers=header)
    log.send_json(id=3, note="c")
    bench.wait_stored(log)
    said = bench.value("SELECT message FROM pgsinkd.dead_letters")
    assert "\\u65e5\\u672c \\u00e9 \\ud83d\\ude00" in said
    assert said.isascii()
    assert bench.command("dead-letters", bench.config(log), "list").returncode == 0
    bench.check(log, dead={(0, 1)})


CASES = {
    "append": ({}, "CREATE TABLE events (seq bigint GENERATED ALWAYS AS IDENTITY, _partition int, _offset bigint, id bigint, note text)"),
    "upsert": ({"mode": "upsert", "key": ["id"]}, "CREATE TABLE events (id bigint PRIMARY KEY, note text)"),
    "text key": ({"mode": "upsert", "key": ["note"]}, "CREATE TABLE events (id bigint, note text PRIMARY KEY)"),
    "cast": (
        {}, "CREATE TABLE events (seq bigint GENERATED ALWAYS AS IDENTITY, _partition int, _offset bigint, id bigint, note tsvector)",
    ),
    "cast upsert": ({"mode": "upsert", "key": ["id"]}, "CREATE TABLE events (id bigint PRIMARY KEY, note tsvector)"),
    "expression": (
        {"columns": {"note": {"sql": "lower(value->>'note')"}}},
        "CREATE TABLE events (seq bigint GENERATED ALWAYS AS IDENTITY, _partition int, _offset bigint, id bigint, note text)",
    ),
}  # fmt: skip


@pytest.mark.parametrize("path", ["copy", "unnest"])
@pytest.mark.parametrize("case", CASES)
def test_a_value_that_the_database_cannot_hold(bench, case, path):
    """22P05, wherever the text is converted: in the table's own statement, or on its way into a temporary table."""
    route, ddl = CASES[case]
    of_encoding(bench, "LATIN1")
    bench.sql(ddl)
    log, other = bench.topic(), bench.topic()
    bench.plain_table("others")
    routes = [
        {"topics": [log.topic], "table": "events", "on_error": "dead_letter"} | route,
        {"topics": [other.topic], "table": "others"},
    ]
    config = bench.config(routes=routes, workers=1, batch={"write_path": path})
    other.fill(5)
    values = [f"n{n}" for n in range(30)]
    values[7], values[20] = "\u65e5\u672c", "\u20ac"  # neither is in LATIN1
    values[3] = "\u00e9"
    log.send_many([(0, None, json.dumps({"id": n, "note": v}, ensure_ascii=False).encode(), None, None)
                   for n, v in enumerate(values)])  # fmt: skip
    d = bench.start(config)
    bench.wait_stored(log)
    bench.wait_stored(other)
    alone = log.send_json(id=99, note="\u65e5").offset
    bench.wait_stored(log)
    assert d.running
    assert set(bench.sql("SELECT sqlstate FROM pgsinkd.dead_letters")) == {("22P05",)}
    dead = {(0, 7), (0, 20), (0, alone)}
    if route.get("mode"):
        bench.check(log, dead=dead, model=Model("upsert", route["key"], ["id"] if "cast" in case else ["id", "note"]))
    else:
        bench.check(log, dead=dead, contents=json_fields("id"))
    bench.check(other, "others")
