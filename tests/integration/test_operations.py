"""Commands of docs/OPERATIONS.md that move, restore or remove a sink, executed as they stand there."""

import pathlib
import re
import subprocess

import psycopg

from kit import daemon
from kit.postgres import SUPERUSER, bindir

PAGE = (pathlib.Path(__file__).resolve().parents[2] / "docs" / "OPERATIONS.md").read_text()


def section(title):
    return re.search(rf"^#+ {re.escape(title)}\n(.*?)(?=^#+ )", PAGE, re.M | re.S)[1]


def sql_of(title, bench, log):
    """The SQL of a section, with the names of the test."""
    lines = re.findall(r"^ {4,}(SELECT pgsinkd\..*;)$", section(title), re.M)
    assert lines
    return [line.replace("'orders', 'orders'", f"'orders', '{log.topic}'").replace("'orders'", f"'{bench.sink}'")
            .replace("FROM orders", "FROM events") for line in lines]  # fmt: skip


class Once:
    """A model for bench.check: the table holds each record of the log once, and no other row."""

    def __init__(self, log):
        self.log = log

    def faults(self, db, table, _records):
        rows = sorted(db.execute(f"SELECT _partition, _offset FROM {table}").fetchall())
        want = sorted((p, offset) for p, records in self.log.records.items() for offset in records)
        return [] if rows == want else [("table", f"{len(rows)} rows of {len(want)} records")]


def url(bench, database):
    return f"postgresql://{SUPERUSER}@127.0.0.1:{bench.postgres.port}/{database}"


def test_a_sink_moves_to_another_database(bench):
    log = bench.topic(partitions=2)
    bench.plain_table()
    log.fill(200)
    config = bench.config(log)
    d = bench.start(config)
    bench.wait_stored(log)
    d.terminate()
    new = f"{bench.database}_new"
    bench.postgres.create_database(new)
    path = bench.root / "orders.yaml"
    path.write_text(daemon.yaml(config) + "\n")
    log.fill(100)
    (block,) = re.findall(r"^```sh\n(.*?)^```$", section("Move a sink to another database"), re.M | re.S)
    names = {
        "/etc/pgsinkd/orders.yaml": str(path),
        "'orders'": f"'{bench.sink}'",
        "s/dbname=warehouse/dbname=lake/": f"s/dbname={bench.database}/dbname={new}/",
    }
    lines = [line for line in block.splitlines() if not line.startswith("systemctl")]
    env = daemon.environment({"OLD": url(bench, bench.database), "NEW": url(bench, new)})
    env["PATH"] = f"{bindir('psql')}:{daemon.BINARY.parent}:{env['PATH']}"
    for line in lines:
        for old, to in names.items():
            line = line.replace(old, to)
        done = subprocess.run(
            line, shell=True, executable="/bin/bash", capture_output=True, text=True, env=env, cwd=bench.root
        )
        assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"

    before = bench.start(config, ready=False)  # somebody starts it with the old file
    before.wait_log(r"PGS-413")  # paused
    text = path.read_text()
    bench.start(text).terminate()
    before.terminate()
    bench.drain(text)
    assert bench.rows() == 200, "the old database"
    with psycopg.connect(bench.postgres.dsn(new), autocommit=True) as db:
        old, bench.db = bench.db, db
        bench.check(log)
        bench.db = old
    bench.postgres.drop_database(new)


def test_a_table_that_is_older_than_the_ledger(bench):
    """It is restored alone; then the whole schema is lost."""
    log = bench.topic(partitions=2)
    bench.plain_table()
    log.fill(300)
    config = bench.config(log)
    d = bench.start(config)
    bench.wait_stored(log)
    pause, seek, resume = sql_of("Backup and restore", bench, log)[:3]
    bench.sql(pause)
    bench.sql("DELETE FROM events WHERE _offset >= 50 + 40 * _partition")
    bench.sql(seek)
    bench.sql(resume)
    bench.wait_rows(300)
    bench.wait_stored(log)
    d.terminate()

    bench.sql("DROP SCHEMA pgsinkd CASCADE")
    bench.sql("DELETE FROM events WHERE _offset >= 120")
    assert bench.command("init", config).returncode == 0
    assert bench.command("seek", config, "--from-group", bench.group).returncode == 0
    bench.sql(seek)
    bench.drain(config)
    bench.check(log, start={0: 150, 1: 150}, model=Once(log))  # what the group had, which is where the new ledger began


def test_a_sink_is_taken_away(bench):
    log = bench.topic(partitions=2)
    bench.plain_table()
    log.fill(20)
    log.send(b"no json")
    config = bench.config(log, route={"on_error": "dead_letter"})
    bench.drain(config)
    bench.check(log, dead=1)
    for statement in sql_of("Uninstall", bench, log):
        bench.sql(statement)
    for table in ("offsets", "dead_letters", "paused"):
        assert bench.value(f"SELECT count(*) FROM pgsinkd.{table} WHERE sink = %s", bench.sink) == 0
    assert bench.rows() == 20
