"""A database that cannot hold every character: what its dead letters say is escaped."""

import json

import pytest


@pytest.mark.parametrize("encoding", ["LATIN1", "EUC_JP", "SQL_ASCII"])
def test_a_dead_letter_whose_own_text_cannot_be_stored(bench, encoding):
    bench.db.close()
    bench.postgres.drop_database(bench.database)
    bench.postgres.create_database(bench.database, encoding)
    bench.db = bench.postgres.connect(bench.database, client_encoding="UTF8")
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
