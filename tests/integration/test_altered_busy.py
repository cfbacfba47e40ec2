"""Tables are altered under load: eight partitions, two workers, every kind of change, both write paths."""

import threading

import pytest

from kit import wait
from kit.model import Model

# (before, on) a table of its columns (k, a, b, e, d): each leaves a table that takes the same records. Where a condition
# follows, each row that is stored after the change meets it; where fields follow, the records sent from then on have them
# as well, and their rows meet the condition.
CHANGES = [
    ("ALTER TABLE events ADD c int", "c = 5"),
    ("ALTER TABLE events ALTER c TYPE text", "c = '5'"),
    "ALTER TABLE events DROP c",
    ("ALTER TABLE events ADD c bigint DEFAULT 3", "c = 5"),
    "ALTER TABLE events RENAME b TO former",
    ("ALTER TABLE events ADD b text", "b = 'x'"),
    "ALTER TABLE events ALTER a TYPE bigint",
    "ALTER TABLE events ALTER a TYPE numeric(12,2)",
    "ALTER TABLE events ALTER a TYPE numeric(14,3)",
    "ALTER TABLE events ALTER a TYPE float8",
    "ALTER TABLE events ALTER b SET DEFAULT 'none'",
    "UPDATE events SET b = '' WHERE b IS NULL; ALTER TABLE events ALTER b SET NOT NULL",
    "ALTER TABLE events ALTER b DROP NOT NULL",
    "ALTER TABLE events ADD i int GENERATED ALWAYS AS IDENTITY",
    ("ALTER TYPE mood ADD VALUE 'new'", "e = 'new'", {"e": "new"}),
    "ALTER TYPE mood RENAME VALUE 'old' TO 'ancient'",
    ("ALTER DOMAIN small DROP CONSTRAINT below_100", "d = 500", {"d": 500}),
    ("ALTER DOMAIN small ADD CONSTRAINT below_1000 CHECK (value < 1000)", "d = 500"),
    "CREATE UNIQUE INDEX by_k ON events (k)",
    "ALTER TABLE events DROP CONSTRAINT events_pkey; ALTER TABLE events ADD PRIMARY KEY (k, seq)",
    "CREATE UNIQUE INDEX again ON events (k); DROP INDEX by_k",
    ("CREATE FUNCTION loud() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.b := upper(NEW.b); RETURN NEW; END';"
     " CREATE TRIGGER loud BEFORE INSERT ON events FOR EACH ROW EXECUTE FUNCTION loud()", "b = 'X'"),
    ("DROP TRIGGER loud ON events", "b = 'x'"),
    "LOCK TABLE events; ALTER TABLE events RENAME TO first; "
    " CREATE TABLE events (b text, a int, seq bigint DEFAULT nextval('one'), k int UNIQUE)",
    "LOCK TABLE events; CREATE TABLE second AS TABLE events; DROP TABLE events;"
    " CREATE TABLE events (a text, k bigint UNIQUE, b text, seq bigint DEFAULT nextval('one'))",
    ("CREATE TABLE other (LIKE events INCLUDING ALL, c int); ALTER TABLE events RENAME TO third;"
     " ALTER TABLE other RENAME TO events", "c = 5"),
    "ALTER TABLE events RENAME TO fourth;"
    " CREATE TABLE events (k bigint UNIQUE, a int, b text, seq bigint DEFAULT nextval('one')) PARTITION BY RANGE (k);"
    " CREATE TABLE fifth PARTITION OF events DEFAULT",
    "CREATE TABLE low (LIKE events); ALTER TABLE events ATTACH PARTITION low FOR VALUES FROM (MINVALUE) TO (0)",
    "CREATE TABLE sixth (seq bigint DEFAULT nextval('one'), b text, k bigint UNIQUE, a int);"
    " ALTER TABLE events DETACH PARTITION fifth; ALTER TABLE events ATTACH PARTITION sixth DEFAULT",
    "ALTER TABLE events DETACH PARTITION low",
]  # fmt: skip
FORMER = ["first", "second", "third", "fourth", "fifth"]
PARTITIONS = 8




class Sender(threading.Thread):
    """Sends records to all partitions until it is told to stop."""

    def __init__(self, log):
        super().__init__()
        self.log = log
        self.fields = {"a": 7, "b": "x", "c": 5, "d": 1}
        self.done = threading.Event()

    def run(self):
        while not self.done.is_set():
            for p in range(PARTITIONS):
                self.log.send_json(partition=p, k=self.log.count(), **self.fields)
            self.done.wait(0.01)

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.done.set()
        self.join()

    def sends(self, fields):
        """From now on also these; the key of the last record that may lack them."""
        self.fields = self.fields | fields
        return self.log.count()


def change(bench, sender, sql, stored=None, fields=None):
    """One change, until each partition is likely to have moved on."""
    # in the transaction of the change, whose lock keeps all rows away that are not in `former_rows` yet
    bench.sql(sql + ("; CREATE TABLE former_rows AS SELECT k FROM events" if stored else ""))
    later = "k NOT IN (SELECT k FROM former_rows)"
    if fields:
        later = f"k > {sender.sends(fields)}"
        wait.until(lambda: bench.value(f"SELECT count(*) > {2 * PARTITIONS} FROM events WHERE {later}"), sql)
    before = bench.value("SELECT sum(next_offset) FROM pgsinkd.offsets")
    wait.until(lambda: bench.value("SELECT sum(next_offset) FROM pgsinkd.offsets") > before + 2 * PARTITIONS, sql)
    if stored:
        others = bench.sql(f"SELECT * FROM events WHERE {later} AND ({stored}) IS NOT TRUE LIMIT 5")
        assert not others, (sql, others)
        bench.sql("DROP TABLE former_rows")


@pytest.mark.parametrize("path", ["copy", "unnest"])
@pytest.mark.parametrize("mode", ["append", "upsert"])
def test_every_kind_of_change(bench, mode, path):
    log = bench.topic(partitions=PARTITIONS)
    bench.sql("CREATE SEQUENCE one; CREATE TYPE mood AS ENUM ('old');"
              "CREATE DOMAIN small AS int CONSTRAINT below_100 CHECK (value < 100);"
              "CREATE TABLE events (seq bigint DEFAULT nextval('one'), k int PRIMARY KEY, a int, b text, e mood, d small)")
    route = {"on_error": "dead_letter"} | ({"mode": "upsert", "key": ["k"]} if mode == "upsert" else {})
    d = bench.start(bench.config(log, route=route, workers=2, batch={"write_path": path}))
    d.allow("changed", "does not exist", "trying again", "reading again", "dead letter of route")
    with Sender(log) as sender:
        for one in CHANGES:
            change(bench, sender, *([one] if isinstance(one, str) else one))
    bench.wait_stored(log)
    assert d.running
    tables = [f"SELECT k::bigint, a::int, b FROM {table}" for table in [*FORMER, "events"]]
    bench.sql("CREATE VIEW all_events AS " + " UNION ALL ".join(tables))
    assert bench.value("SELECT count(*) = count(DISTINCT k) FROM all_events")
    bench.check(log, "all_events", model=Model("upsert", ["k"], ["k", "a"]))
