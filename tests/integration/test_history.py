"""`audit: true`: each transaction of the daemon leaves one row of history, and verify() proves from them that nothing
was left out. What is missing on purpose is test_verify.py's."""

import pytest

from kit import wait
from kit.bad import BAD, TABLE, contents

PATHS = pytest.mark.parametrize("path", ["copy", "unnest"])


def config(bench, log, *, path="auto", route=None, batch=None, **changes):
    changes = {"audit": True, "workers": 1} | changes
    return bench.config(
        log, route=route or {}, batch={"write_path": path} | (batch or {}), **changes
    )


def history(bench, columns, kind="store"):
    return bench.sql(f"SELECT {columns} FROM pgsinkd.history WHERE sink = %s AND kind = %s ORDER BY id", bench.sink, kind)


def verified(bench):
    """verify() without its texts: a row for each partition, and its findings."""
    return bench.sql(
        "SELECT partition, from_offset, next_offset, what FROM pgsinkd.verify(%s)", bench.sink
    )


def proven(log):
    return [(p, 0, log.ends()[p], "proven") for p in log.partitions]


def whats(bench):
    return [row[3] for row in verified(bench)]


def begins(bench):
    """Without the row that says where each partition began, as every one has."""
    return [row for row in verified(bench) if row[3] != "begin"]


@pytest.mark.quick
@PATHS
def test_each_transaction_leaves_one_row(bench, path):
    log = bench.topic(partitions=3)
    bench.plain_table()
    log.fill(5000)
    bench.drain(config(bench, log, path=path, batch={"max_rows": 300}))
    bench.check(log)
    assert begins(bench) == proven(log)
    found = history(bench, 'xid, owner, records, "rows", dead_letters, bytes, duration_ms, cardinality(froms)')
    assert len({row[0] for row in found}) == len(found) >= 5000 / 300
    assert len({row[1] for row in found}) == 1, "one process"
    assert sum(row[2] for row in found) == sum(row[3] for row in found) == 5000
    assert all(row[4] == 0 and row[5] > 0 and row[6] >= 0 for row in found)
    # the row is of the same transaction as the rows of the table
    alien = bench.value(
        "SELECT count(*) FROM events e WHERE NOT EXISTS (SELECT FROM pgsinkd.history h WHERE h.xid::xid = e.xmin)"
    )
    assert alien == 0


@pytest.mark.sanitize
@PATHS
def test_kill_9_leaves_no_hole(bench, path):
    log = bench.topic(partitions=4)
    bench.plain_table()
    log.fill(30_000)
    file = config(bench, log, path=path, batch={"max_rows": 500}, properties={"group.instance.id": "one"})
    for n in range(1, 4):
        d = bench.start(file, ready=False)
        bench.wait_rows(n * 5000)
        d.kill()
        assert set(whats(bench)) <= {"proven", "begin"}
    d = bench.start(file)
    log.fill(2000)
    wait.until(lambda: bench.rows() == 32_000, "all rows")
    assert begins(bench) == proven(log), "and while it runs"
    d.terminate()
    bench.check(log)
    assert len({row[0] for row in history(bench, "owner")}) >= 2


@pytest.mark.quick
@PATHS
def test_dead_letters_and_their_replay(bench, path):
    log = bench.topic()
    bench.sql(TABLE)
    log.fill(20)
    refused = [log.send(BAD["check constraint"]) for _ in range(3)]
    found_by_us = log.send(b"not json")
    log.fill(20)
    file = config(bench, log, path=path, route={"on_error": "dead_letter", "max_dead_letters": "off"})
    bench.drain(file)
    dead = {(r.partition, r.offset) for r in [*refused, found_by_us]}
    bench.check(log, contents=contents, dead=dead)
    found = history(bench, 'records, "rows", dead_letters')
    assert [sum(column) for column in zip(*found, strict=True)] == [44, 40, 4]
    assert begins(bench) == proven(log)
    bench.sql("SELECT pgsinkd.replay(%s)", bench.sink)
    bench.drain(file)
    bench.check(log, contents=contents, dead=dead)
    again = history(bench, 'froms, nexts, records, "rows", dead_letters', "replay")
    assert sorted(o for row in again for o in row[0]) == sorted(o for _, o in dead)
    assert [sum(row[n] for row in again) for n in (2, 3, 4)] == [4, 0, 4]
    assert begins(bench) == proven(log)


def test_only_offsets_without_records(bench):
    """A transaction that moves the ledger and stores nothing is no exception."""
    log = bench.topic()
    bench.plain_table()
    log.fill(10)
    transactions = bench.transactions(log)
    transactions.begin()
    transactions.fill(50)
    transactions.abort()
    bench.drain(config(bench, log))
    bench.check(log)
    assert begins(bench) == [(0, 0, bench.next_offset(log), "proven")]


def test_what_operators_do_is_explained(bench):
    """seek(), an UPDATE by hand, a row that is deleted: none is a hole, and each is named."""
    log = bench.topic()
    bench.plain_table()
    log.fill(100)
    file = config(bench, log)
    bench.drain(file)
    bench.sql("SELECT pgsinkd.seek(%s, %s, 0, 40)", bench.sink, log.topic)
    bench.drain(file)
    log.fill(100)
    bench.sql("UPDATE pgsinkd.offsets SET next_offset = 150 WHERE sink = %s", bench.sink)
    bench.drain(file)
    assert verified(bench) == [
        (0, 0, 200, "proven"), (0, None, 0, "begin"), (0, 100, 40, "seek"), (0, 100, 150, "seek"),
    ]  # fmt: skip
    bench.sql("DELETE FROM pgsinkd.offsets WHERE sink = %s", bench.sink)
    assert verified(bench) == [], "of what is forgotten nothing is to be proven"
    bench.drain(file)
    assert verified(bench) == [(0, 0, 200, "proven"), (0, 200, None, "reset"), (0, None, 0, "begin")]


def test_a_reset_forgets_what_history_says(bench):
    """Its partitions are not called unproven for ever, and neither are those of a topic that never comes back."""
    log = bench.topic(partitions=2)
    bench.plain_table()
    log.fill(100)
    bench.drain(config(bench, log, batch={"max_rows": 20}))
    trim = "SELECT pgsinkd.trim_history(%s, %s::interval, %s)"
    bench.sql(trim, bench.sink, "1 h", 1)  # notes where history begins
    bench.sql("SELECT pgsinkd.reset(%s, %s)", bench.sink, log.topic)
    bench.sql("DELETE FROM events")
    assert verified(bench) == []
    bench.drain(config(bench, log, audit=False))
    bench.check(log)
    assert verified(bench) == [row for p in (0, 1) for row in [(p, None, 50, "no history"), (p, 50, None, "reset")]]
    log.fill(100)
    bench.drain(config(bench, log))
    bench.check(log)
    again = [row for p in (0, 1) for row in [(p, 50, 100, "proven"), (p, 50, None, "reset")]]
    assert verified(bench) == again
    assert bench.value(trim, bench.sink, "0 s", 3) == 3, "of what is forgotten"
    assert verified(bench) == again
    while bench.value(trim, bench.sink, "0 s", 1):
        assert {row[3] for row in verified(bench)} == {"proven", "reset"}
        if bench.value("SELECT count(*) FROM pgsinkd.history WHERE kind = 'reset'") < 2:
            break
    while bench.value(trim, bench.sink, "0 s", 1):
        assert "not proven" not in whats(bench)
    assert verified(bench) == [(p, 100, 100, "proven") for p in (0, 1)]
    bench.sql("SELECT pgsinkd.reset(%s, %s)", bench.sink, log.topic)
    assert verified(bench) == []
    bench.sql(trim, bench.sink, "0 s", 10)
    assert verified(bench) == [] and not bench.sql("SELECT * FROM pgsinkd.history_starts")


def test_the_role_of_the_daemon_may_write_history(bench):
    """With the rights that `init --print` gives and no others it stores, trims and proves."""
    log = bench.topic()
    bench.plain_table()
    role = f"{bench.sink}_daemon"
    bench.sql(f"CREATE ROLE {role} LOGIN PASSWORD 'x'")
    bench.sql(f"GRANT INSERT ON events TO {role}")
    script = bench.root / "init.sql"
    script.write_text(bench.command("init", config(bench, log), "--print").stdout)
    done = bench.psql(f"-vrole={role}", "-f", script)
    assert done.returncode == 0, done.stderr
    log.fill(100)
    dsn = bench.dsn(user=role, password="x")
    file = config(bench, log, batch={"max_rows": 10}, history_retention="1s", postgres={"dsn": dsn, "manage_schema": False})
    d = bench.start(file)
    bench.wait_rows(100)
    wait.until(lambda: bench.value("SELECT min(now() - committed_at) > interval '1 s' FROM pgsinkd.history"),
               "rows that are old enough")  # fmt: skip
    d.terminate()
    bench.drain(file)
    bench.check(log)
    wait.until(lambda: bench.value("SELECT count(*) FROM pgsinkd.history_starts WHERE trimmed") == 1, "it to trim")
    assert bench.command("verify", file).returncode == 0


def test_a_gap_is_explained(bench):
    log = bench.topic()
    bench.plain_table()
    log.fill(100)
    file = config(bench, log, kafka={"on_gap": "earliest"})
    bench.drain(file)
    log.fill(100)
    log.broker.delete_records(log.topic, {0: 150})
    bench.drain(file)
    bench.check(log, gaps={0: [(100, 150)]})
    assert begins(bench) == [(0, 0, 200, "proven"), (0, 100, 150, "gap")]


def test_without_audit_there_is_no_history(bench):
    log = bench.topic(partitions=2)
    bench.plain_table()
    log.fill(100)
    bench.drain(config(bench, log, audit=False))
    bench.check(log)
    assert bench.value("SELECT count(*) FROM pgsinkd.history") == 0
    assert verified(bench) == [(p, None, log.ends()[p], "no history") for p in range(2)]
    log.fill(100)
    bench.drain(config(bench, log))
    assert {row[3] for row in verified(bench)} == {"proven"}, "from the first row of history on"


def history_role(bench):
    """A login that may do all that the daemon does."""
    role = f"role_{bench.sink}"
    bench.sql(f"CREATE ROLE {role} LOGIN PASSWORD 'x'")
    bench.sql(f"GRANT USAGE ON SCHEMA pgsinkd TO {role}")
    bench.sql(f"GRANT ALL ON ALL TABLES IN SCHEMA pgsinkd TO {role}")
    bench.sql(f"GRANT INSERT ON events TO {role}")
    return role


def test_without_the_right_to_write_history_nothing_is_stored(bench):
    """A row of the table without its row of history would be a hole."""
    log = bench.topic()
    bench.plain_table()
    assert bench.command("init", bench.config(log)).returncode == 0
    role = history_role(bench)
    d = bench.start(config(bench, log, postgres={"dsn": bench.dsn(user=role, password="x")}))
    d.allow("cannot write history")
    bench.sql(f"REVOKE INSERT ON pgsinkd.history FROM {role}")
    log.fill(100)
    wait.until(lambda: "cannot write history" in d.log(), "the reason")
    assert bench.rows() == 0
    bench.sql(f"GRANT INSERT ON pgsinkd.history TO {role}")
    bench.wait_rows(100)
    d.terminate()
    bench.check(log)
    assert begins(bench) == proven(log)


def test_without_the_right_to_write_history_nothing_begins(bench):
    """Known before the first record, and said by `check` as well."""
    log = bench.topic(partitions=1)
    bench.plain_table()
    assert bench.command("init", bench.config(log)).returncode == 0
    role = history_role(bench)
    bench.sql(f"REVOKE INSERT ON pgsinkd.history FROM {role}")
    log.fill(10)
    refused = config(bench, log, postgres={"dsn": bench.dsn(user=role, password="x")})
    d = bench.start(refused, ready=False).allow("has no INSERT privilege")
    assert d.wait_exit() == 4
    checked = bench.command("check", refused)
    assert checked.returncode == 4 and 'GRANT INSERT ON TABLE "pgsinkd"."history' in checked.stderr
    assert bench.rows() == 0
    bench.sql(f"GRANT INSERT ON pgsinkd.history TO {role}")
    bench.drain(refused)
    bench.check(log)


@pytest.mark.quick
def test_old_rows_are_deleted_and_the_proof_stays(bench):
    log = bench.topic(partitions=2)
    bench.plain_table()
    log.fill(1000)
    d = bench.start(config(bench, log, batch={"max_rows": 50}, history_retention="1s"))
    bench.wait_rows(1000)
    d.terminate()
    wait.until(lambda: bench.value("SELECT min(now() - committed_at) > interval '1 s' FROM pgsinkd.history"),
               "rows that are old enough")  # fmt: skip
    log.fill(10)
    bench.drain(config(bench, log, history_retention="1s"))
    bench.check(log)
    trimmed = bench.sql("SELECT partition, next_offset FROM pgsinkd.history_starts WHERE trimmed ORDER BY 1")
    assert [start for _, start in trimmed] == [500, 500]
    assert verified(bench) == [(p, 500, log.ends()[p], "proven") for p in range(2)]


def test_trimming_takes_the_oldest_and_no_more(bench):
    """Rows of one partition never have a hole, whatever the times in them say."""
    log = bench.topic()
    bench.plain_table()
    log.fill(500)
    bench.drain(config(bench, log, batch={"max_rows": 50}))
    n = bench.value("SELECT count(*) FROM pgsinkd.history")
    bench.sql("UPDATE pgsinkd.history SET committed_at = now() - interval '1 d' WHERE id <> 4")
    assert bench.value("SELECT pgsinkd.trim_history(%s, '1 h', 2)", bench.sink) == 2
    assert bench.value("SELECT pgsinkd.trim_history(%s, '1 h', 1000)", bench.sink) == 1
    assert bench.value("SELECT count(*) FROM pgsinkd.history") == n - 3
    assert whats(bench) == ["proven"]


@PATHS
def test_history_that_cannot_be_written_is_no_fault_of_a_record(bench, path):
    """Whatever is wrong with our own table, no record becomes a dead letter, and nothing is stored without its row."""
    log = bench.topic()
    bench.plain_table()
    file = config(bench, log, path=path, route={"on_error": "dead_letter"})
    bench.drain(file)
    bench.sql("ALTER TABLE pgsinkd.history RENAME bytes TO size")
    log.fill(100)
    d = bench.start(file, ready=False)
    d.allow("history")
    wait.until(lambda: "cannot write history" in d.log(), "the reason")
    assert bench.rows() == 0
    assert "table 'public.events'" not in d.log(), "nor of their table"
    bench.sql("ALTER TABLE pgsinkd.history RENAME size TO bytes")
    bench.wait_rows(100)
    d.terminate()
    bench.check(log)
    assert begins(bench) == proven(log)


def test_what_came_before_history_is_no_hole(bench):
    """A move by hand leaves its row even without audit. That it is deleted for its age says nothing of where history
    begins."""
    log = bench.topic()
    bench.plain_table()
    log.fill(100)
    bench.drain(config(bench, log, audit=False))
    bench.sql("SELECT pgsinkd.seek(%s, %s, 0, 40)", bench.sink, log.topic)
    bench.drain(config(bench, log, audit=False))
    bench.sql("UPDATE pgsinkd.history SET committed_at = now() - interval '40 d'")
    log.fill(100)
    bench.drain(config(bench, log))
    bench.sql("SELECT pgsinkd.trim_history(%s, '30 d', 1000)", bench.sink)
    assert history(bench, "id", "seek") == []
    assert verified(bench) == [(0, 100, 200, "proven")]


def test_dead_letters_of_offsets_that_were_set_back(bench):
    """The row of history of that move explains them, also where no transaction has one."""
    log = bench.topic()
    bench.sql(TABLE)
    log.fill(10)
    log.send(BAD["check constraint"])
    bench.drain(config(bench, log, audit=False, route={"on_error": "dead_letter", "max_dead_letters": "off"}))
    bench.sql("SELECT pgsinkd.seek(%s, %s, 0, 5)", bench.sink, log.topic)
    assert verified(bench) == [(0, None, 5, "no history")]
