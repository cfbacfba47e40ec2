"""A table is altered while its topic is idle: the very first record after it is stored by the new table."""

import re

import pytest

from kit import wait
from kit.model import Model

ABSENT = object()

ROUTES = {
    "append": {},
    "upsert": {"mode": "upsert", "key": ["k"]},
}

# what is done to it, what the record needs of it, and what is stored then
CHANGES = {
    "a column is added": ("ALTER TABLE events ADD c int", {"k": 2, "c": 5}, "k = 2 AND c = 5"),
    "more digits": ("ALTER TABLE events ALTER q TYPE numeric(12,4)", {"k": 2, "q": "1.2345"}, "q = 1.2345"),
    "a wider type": ("ALTER TABLE events ALTER a TYPE bigint", {"k": 2, "a": 5000000000}, "a = 5000000000"),
    "a column is renamed": ("ALTER TABLE events RENAME a TO b", {"k": 2, "b": 7}, "b = 7"),
    "NULL is allowed": ("ALTER TABLE events ALTER n DROP NOT NULL", {"k": 2, "n": None}, "n IS NULL"),
    "a default": ("ALTER TABLE events ALTER a SET DEFAULT 9", {"k": 2}, "a = 9"),
    "a domain allows NULL": ("ALTER DOMAIN dom DROP NOT NULL", {"k": 2, "d": None}, "d IS NULL"),
    "a domain's default": ("ALTER DOMAIN dom SET DEFAULT 4", {"k": 2, "d": ABSENT}, "d = 4"),
    "a label": ("ALTER TYPE mood ADD VALUE 'new'", {"k": 2, "e": "new"}, "e = 'new'"),
    "another type, and the old one is gone": (
        "CREATE TYPE mood2 AS ENUM ('new'); ALTER TABLE events ALTER e TYPE mood2 USING NULL; DROP TYPE mood CASCADE",
        {"k": 2, "e": "new"}, "e = 'new'"),
    "two renames": (
        "BEGIN; CREATE TABLE other (LIKE events INCLUDING ALL, c int); ALTER TABLE events RENAME TO former;"
        "ALTER TABLE other RENAME TO events; COMMIT", {"k": 2, "c": 5}, "c = 5"),
    "a trigger": (
        "CREATE FUNCTION odd() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.a := 9; RETURN NEW; END';"
        " CREATE TRIGGER odd BEFORE INSERT ON events FOR EACH ROW EXECUTE FUNCTION odd()", {"k": 2, "a": 1}, "a = 9"),
    "another index for its key": (
        "CREATE UNIQUE INDEX other ON events (k); ALTER TABLE events DROP CONSTRAINT pk", {"k": 2, "a": 7}, "a = 7"),
    "a domain's constraint is dropped": ("ALTER DOMAIN dom DROP CONSTRAINT small", {"k": 2, "d": 500}, "d = 500"),
    "a domain's constraint is added": (
        "ALTER DOMAIN dom ADD CONSTRAINT other CHECK (value < 5)", {"k": 2, "d": 4}, "d = 4"),
    "it becomes partitioned": (
        "ALTER TABLE events RENAME TO former; CREATE TABLE events (k int PRIMARY KEY, c int) PARTITION BY RANGE (k);"
        "CREATE TABLE other PARTITION OF events DEFAULT", {"k": 2, "c": 5}, "c = 5"),
    "made again": ("ALTER TABLE events RENAME TO former; CREATE TABLE other AS TABLE former; DROP TABLE former;"
        " ALTER TABLE other RENAME TO former; CREATE TABLE events (k bigint PRIMARY KEY, c int)", {"k": 2, "c": 5}, "c = 5"),
}


def wait_row(bench, i, k):
    wait.until(lambda: bench.value(f"SELECT count(*) FROM events_{i} WHERE k = {k}"), f"row {k} of events_{i}")


def renamed(sql, i):
    """Each change is of a table, and types, of its own."""
    return re.sub(r"\b(events|mood2|mood|dom|odd|pk|other|former)\b", rf"\1_{i}", sql)


@pytest.mark.parametrize("mode, delivery, path, on_error", [
    ("append", "exactly_once", "auto", "dead_letter"), ("append", "exactly_once", "copy", "stop"),
    ("upsert", "exactly_once", "copy", "dead_letter"), ("upsert", "exactly_once", "auto", "stop"),
    ("append", "at_least_once", "copy", "stop"), ("upsert", "at_least_once", "unnest", "stop"),
    ("append", "at_most_once", "unnest", "stop"), ("upsert", "at_most_once", "copy", "stop")])  # fmt: skip
def test_the_first_record_after_an_alter(bench, mode, delivery, path, on_error):
    log = bench.topic()
    tables = [f"events_{i}" for i in range(len(CHANGES))]
    for i in range(len(CHANGES)):
        bench.sql(renamed("""
            CREATE TYPE mood AS ENUM ('old'); CREATE DOMAIN dom AS int CONSTRAINT small CHECK (value < 100) NOT NULL;
            CREATE TABLE events (k int CONSTRAINT pk PRIMARY KEY, a int, q numeric(12,2), n int NOT NULL DEFAULT 1, d dom, e mood)
            """, i))
    route = ROUTES[mode] | {"tables": tables, "on_error": on_error}
    d = bench.start(bench.config(log, "events_{value.t}", route=route, delivery=delivery, batch={"write_path": path}))
    d.allow("changed", "does not exist", "cache lookup failed", "dead letter of route")
    for i in range(len(CHANGES)):
        log.send_json(t=i, k=1, a=1, q="1.25", n=1, d=1, e="old")
    for i in range(len(CHANGES)):
        wait_row(bench, i, 1)
    for i, (sql, record, _) in enumerate(CHANGES.values()):
        bench.sql(renamed(sql, i))
        fields = {"t": i, "n": 1, "d": 1} | record
        log.send_json(**{name: value for name, value in fields.items() if value != ABSENT})
        wait_row(bench, i, 2)
    for i, (name, (_, _, stored)) in enumerate(CHANGES.items()):
        assert bench.value(f"SELECT count(*) FROM events_{i} WHERE k = 2 AND {stored}") == 1, name
    assert d.running
    # some of the tables have a new one in their place; each record is in one of them
    stored = [f"SELECT {i} AS t, k::bigint FROM {table}_{i}"
              for i, (sql, _, _) in enumerate(CHANGES.values()) for table in ("events", "former") if table in sql or table == "events"]
    bench.sql("CREATE VIEW events AS " + " UNION ALL ".join(stored))
    bench.check(log, model=Model("upsert", ["t", "k"], ["t", "k"]), delivery=delivery)


# of sinks with a schema of ours, and without
DELIVERIES = {"exactly_once": "dead_letter", "at_least_once": "stop", "at_most_once": "stop"}
RACES = {
    "a column is added": ("ALTER TABLE events ADD c int", {"c": 5}, "c = 5"),
    "more digits": ("ALTER TABLE events ALTER q TYPE numeric(12,4)", {"q": "1.2345"}, "q = 1.2345"),
    "two renames": (
        "CREATE TABLE other (LIKE events INCLUDING ALL, c int); INSERT INTO other SELECT * FROM events;"
        " ALTER TABLE events RENAME TO former; ALTER TABLE other RENAME TO events", {"c": 5}, "c = 5"),
}


@pytest.mark.parametrize("path", ["copy", "unnest"])
@pytest.mark.parametrize("delivery", DELIVERIES)
@pytest.mark.parametrize("mode", ["append", "upsert", "update"])
def test_an_alter_commits_while_rows_wait_for_its_lock(bench, mode, path, delivery):
    """The transaction of each record waits until the change is committed."""
    log = bench.topic()
    tables = [f"events_{i}" for i in range(len(RACES))]
    for table in tables:
        bench.sql(f"CREATE TABLE {table} (k int PRIMARY KEY, a int, q numeric(12,2))")
        if mode == "update":
            bench.sql(f"INSERT INTO {table} VALUES (1), (2)")
    route = {"tables": tables, "on_error": DELIVERIES[delivery]} | ({} if mode == "append" else {"mode": mode, "key": ["k"]})
    batch = {"write_path": path}
    d = bench.start(bench.config(log, "events_{value.t}", route=route, delivery=delivery, batch=batch))
    d.allow("changed", "does not exist", "dead letter of route")
    for i, table in enumerate(tables):
        log.send_json(t=i, k=1, a=1)
        wait.until(lambda t=table: bench.value(f"SELECT count(a) FROM {t}"), "the first record")
    for i, (sql, record, stored) in enumerate(RACES.values()):
        with bench.postgres.connect(bench.database) as other, other.transaction():
            other.execute(f"LOCK TABLE events_{i}")
            other.execute(renamed(sql, i))
            log.send_json(t=i, k=2, a=1, **record)
            waits = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
            wait.until(lambda w=waits: bench.value(w), "the daemon to wait")
        query = f"SELECT count(*) FROM events_{i} WHERE k = 2 AND {stored}"
        wait.until(lambda q=query: bench.value(q), sql)
    assert d.running
    bench.sql("CREATE VIEW events AS " + " UNION ".join(f"SELECT {i} AS t, k FROM events_{i}" for i in range(len(tables))))
    start = [{"t": i, "k": k} for i in range(len(tables)) for k in (1, 2)] if mode == "update" else []
    bench.check(log, model=Model("upsert" if mode == "append" else mode, ["t", "k"], ["t", "k"], start=start), delivery=delivery)


@pytest.mark.parametrize("path", ["copy", "unnest"])
@pytest.mark.parametrize("envelope", ["none", "debezium"])
def test_the_key_is_renamed(bench, envelope, path):
    """The records have its new name: no row of the former kind ever comes that would show what has changed."""
    log, wider = bench.topic(), bench.topic()
    for table in ("events", "others"):
        bench.sql(f"CREATE TABLE {table} (id int PRIMARY KEY, a int)")
    upsert = {"on_error": "dead_letter"} | ({"envelope": "debezium"} if envelope == "debezium" else {"mode": "upsert"})
    routes = [upsert | {"topics": [log.topic], "table": "events"}, upsert | {"topics": [wider.topic], "table": "others"}]
    d = bench.start(bench.config(routes=routes, workers=1, batch={"write_path": path}))

    def send(to, **row):
        to.send_json(**(row if envelope == "none" else {"op": "c", "after": row}))
        bench.wait_stored(to)

    send(log, id=1, a=1)
    send(wider, id=1, a=1)
    bench.sql("ALTER TABLE events RENAME id TO pk; ALTER TABLE others ALTER a TYPE bigint")
    for n in (2, 3):
        send(log, pk=n, a=n)
        send(wider, id=n, a=5_000_000_000)
    assert d.running and not bench.value("SELECT count(*) FROM pgsinkd.dead_letters")

    def row_of(record):
        row = record.json if envelope == "none" else record.json["after"]
        return {"pk": row.get("pk", row.get("id")), "a": row["a"]}

    bench.check(log, model=Model("upsert", ["pk"], ["pk", "a"], row=row_of))
    bench.sql("ALTER TABLE others RENAME id TO pk")
    bench.check(wider, "others", model=Model("upsert", ["pk"], ["pk", "a"], row=row_of))
