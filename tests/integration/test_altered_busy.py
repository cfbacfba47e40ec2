"""Tables are altered under load: eight partitions, two workers, every kind of change, both write paths."""

import threading

import pytest

from kit import wait
from kit.model import Model

# (before, on) a table of its columns (k, a, b, e): each leaves a table that takes the same records
CHANGES = [
    "ALTER TABLE events ADD c int",
    "ALTER TABLE events DROP c",
    "ALTER TABLE events RENAME b TO former",
    "ALTER TABLE events ADD b text",
    "ALTER TABLE events ALTER a TYPE bigint",
    "ALTER TABLE events ALTER a TYPE numeric(12,2)",
    "ALTER TABLE events ALTER a TYPE numeric(14,3)",
    "ALTER TABLE events ALTER a TYPE float8",
    "ALTER TABLE events ALTER b SET DEFAULT 'none'",
    "UPDATE events SET b = '' WHERE b IS NULL; ALTER TABLE events ALTER b SET NOT NULL",
    "ALTER TABLE events ALTER b DROP NOT NULL",
    "ALTER TABLE events ADD i int GENERATED ALWAYS AS IDENTITY",
    "ALTER TYPE mood ADD VALUE 'new'",
    "CREATE UNIQUE INDEX by_k ON events (k)",
    "ALTER TABLE events DROP CONSTRAINT events_pkey; ALTER TABLE events ADD PRIMARY KEY (k, seq)",
    "CREATE FUNCTION fine() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';"
    " CREATE TRIGGER fine BEFORE INSERT ON events FOR EACH ROW EXECUTE FUNCTION fine()",
    "BEGIN; LOCK TABLE events; ALTER TABLE events RENAME TO first; "
    " CREATE TABLE events (b text, a int, seq bigint DEFAULT nextval('one'), k int UNIQUE); COMMIT",
    "BEGIN; LOCK TABLE events; CREATE TABLE second AS TABLE events; DROP TABLE events;"
    " CREATE TABLE events (a text, k bigint UNIQUE, b text, seq bigint DEFAULT nextval('one')); COMMIT",
]
PARTITIONS = 8


@pytest.mark.parametrize("path", ["copy", "unnest"])
@pytest.mark.parametrize("mode", ["append", "upsert"])
def test_every_kind_of_change(bench, mode, path):
    log = bench.topic(partitions=PARTITIONS)
    bench.sql("CREATE SEQUENCE one; CREATE TYPE mood AS ENUM ('old');"
              "CREATE TABLE events (seq bigint DEFAULT nextval('one'), k int PRIMARY KEY, a int, b text, e mood)")
    route = {"on_error": "dead_letter"} | ({"mode": "upsert", "key": ["k"]} if mode == "upsert" else {})
    d = bench.start(bench.config(log, route=route, workers=2, batch={"write_path": path}))
    d.allow("changed", "does not exist", "trying again", "reading again", "dead letter of route")
    done = threading.Event()

    def send():
        while not done.is_set():
            for p in range(PARTITIONS):
                log.send_json(partition=p, k=log.count(), a=7, b="x")
            done.wait(0.01)

    sender = threading.Thread(target=send)
    sender.start()
    try:
        for change in CHANGES:
            before = bench.value("SELECT sum(next_offset) FROM pgsinkd.offsets")
            bench.sql(change)
            moved = f"SELECT sum(next_offset) > {before + 2 * PARTITIONS} FROM pgsinkd.offsets"
            wait.until(lambda: bench.value(moved), change)
    finally:
        done.set()
        sender.join()
    bench.wait_stored(log)
    assert d.running
    bench.sql("CREATE VIEW all_events AS SELECT k::bigint, a::int, b FROM first UNION ALL SELECT k, a::int, b FROM second"
              " UNION ALL SELECT k, a::int, b FROM events")
    bench.check(log, "all_events", model=Model("upsert", ["k"], ["k", "a"]))
