#!/usr/bin/python3
"""Writes schema.tsv and plain.tsv anew: the same changes, as a real Debezium writes them with and without schemas.

    PYTHONPATH=tests tests/unit/row/envelope/debezium/capture.py

A line is a record: its key, a tab, its value; \\N is null. tests/unit/row/envelope/test_debezium.c reads them.
"""

import tempfile
from pathlib import Path

from kit.bench import Bench
from kit.connect import Connect
from kit.debezium import Source
from kit.kafka import Broker
from kit.postgres import Postgres

HERE = Path(__file__).parent

# In the order of the columns in test_debezium.c.
COLUMNS = """
    id int PRIMARY KEY, ok bool, n numeric, n2 numeric(12,2), note text, raw bytea, who uuid, doc jsonb,
    day date, t time, t3 time(3), ts ts6, ts3 timestamp(3), at timestamptz, span interval, bits bit(3),
    place point, tags text[], times timestamp[], amounts numeric(10,2)[], big text
""".replace("ts6", "timestamp")
CHANGES = """
INSERT INTO source.things VALUES (2, true, 12345678901234567890.5, -12.30, 'h' || chr(228), '\\x00ff',
    'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', '{"b": [1, 2.50]}', '2024-02-29', '13:14:15.123456', '13:14:15.123',
    '2024-02-29 13:14:15.123456', '1969-12-31 23:59:59.5', '2024-02-29 13:14:15.123456+02', '1 year 3 days 04:05:06',
    B'101', '(1.5,-2)', '{a,NULL,"b c"}', '{"2024-02-29 13:14:15.123456",infinity}', '{1.50,NULL}', repeat('x', 2100));
INSERT INTO source.things (id, day, ts, ts3, at) VALUES (3, 'infinity', '-infinity', 'infinity', 'infinity');
UPDATE source.things SET note = 'changed' WHERE id = 2;
UPDATE source.things SET id = 4 WHERE id = 1;
DELETE FROM source.things WHERE id = 3;
TRUNCATE source.things
"""
RECORDS = 10


def text(data):
    return data.decode() if data is not None else "\\N"


def capture(bench, connect, name, schemas):
    options = {"interval_handling_mode": "string"} | ({} if schemas else {"decimal_handling_mode": "string"})
    bench.sql("CREATE SCHEMA source")
    bench.sql(f"CREATE TABLE source.things ({COLUMNS})")
    bench.sql("ALTER TABLE source.things ALTER big SET STORAGE EXTERNAL")
    bench.sql("INSERT INTO source.things (id, note) VALUES (1, 'read by a snapshot')")
    with Source(bench, connect, schemas=schemas, **options) as source:
        for statement in CHANGES.strip().split(";\n"):
            bench.sql(statement)
        records = source.log("things", RECORDS).records[0]
    assert len(records) == RECORDS
    lines = "".join(f"{text(r.key)}\t{text(r.value)}\n" for _, r in sorted(records.items()))
    (HERE / f"{name}.tsv").write_text(lines)


def main():
    root = Path(tempfile.mkdtemp(prefix="capture-"))
    root.chmod(0o755)
    postgres = Postgres(root).initdb().start()
    kafka = Broker(root).format().start()
    connect = Connect(root, kafka.bootstrap, "postgres").start()
    try:
        for name, schemas in (("schema", True), ("plain", False)):
            bench = Bench(root, postgres, kafka)
            capture(bench, connect, name, schemas)
            bench.close()
    finally:
        connect.destroy()
        kafka.destroy()
        postgres.destroy()


main()
