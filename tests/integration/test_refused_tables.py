"""More ways in which a table refuses its rows, each of them for real. In each the daemon lives, the partitions that need
the table are parked and no record is blamed, the other topic goes on, and all is stored once the table is well again.

A table that is dropped, renamed or locked, or lacks a right or a partition, is in test_parked.py; what only looks like a
fault of records, in test_blame.py; refused connections, in test_refused.py.
"""

import pytest

from kit import wait
from kit.model import Model
from kit.standing import Pair, clerk, letters, refuse, standing, trigger

PATHS = pytest.mark.parametrize("path", ["copy", "unnest"])
COLUMNS = "seq bigint GENERATED ALWAYS AS IDENTITY, _partition int NOT NULL, _offset bigint NOT NULL, id bigint, note text"
KEYED = "CREATE TABLE {table} (id bigint NOT NULL, note text, amount numeric, CONSTRAINT one_of UNIQUE (id));" \
    "GRANT SELECT, UPDATE ON {table} TO {role}"  # fmt: skip
UPSERT = {"mode": "upsert", "key": ["id"]}
ROWS = "CREATE TABLE {table} ({columns}, amount numeric)"
SCHEMA = "CREATE SCHEMA app_{s}; GRANT USAGE ON SCHEMA app_{s} TO {role};" + ROWS
# A partition for the ids from 10 on that lies behind a foreign server, which is this one.
FOREIGN = """
CREATE EXTENSION IF NOT EXISTS postgres_fdw SCHEMA public;
CREATE SERVER far_{s} FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host '{host}', port '{port}', dbname '{database}');
CREATE USER MAPPING FOR operator SERVER far_{s} OPTIONS (user 'operator');
CREATE USER MAPPING FOR {role} SERVER far_{s} OPTIONS (user 'operator', password_required 'false');
CREATE TABLE far_away (seq bigint, _partition int, _offset bigint, id bigint, note text, amount numeric);
CREATE TABLE {table} ({columns}, amount numeric) PARTITION BY RANGE (id);
CREATE TABLE near PARTITION OF {table} FOR VALUES FROM (0) TO (10);
CREATE FOREIGN TABLE far_ones PARTITION OF {table} FOR VALUES FROM (10) TO (20000000)
    SERVER far_{s} OPTIONS (schema_name '{s}', table_name 'far_away')
"""
TWIN = "CREATE TABLE twin (LIKE {table} INCLUDING ALL); INSERT INTO twin OVERRIDING SYSTEM VALUE SELECT * FROM {table};"


class Way:
    def __init__(self, makes, breaks, fixes, *codes, route=None, table="events"):
        self.makes, self.breaks, self.fixes, self.codes = makes, breaks, fixes, codes
        self.route, self.table = route or {}, table


WAYS = {
    # The schema
    "its schema is renamed": Way(
        SCHEMA, "ALTER SCHEMA app_{s} RENAME TO old", "ALTER SCHEMA old RENAME TO app_{s}", "3F000", "42P01", table="app_{s}.events"
    ),
    "its schema may not be used": Way(
        SCHEMA, "REVOKE USAGE ON SCHEMA app_{s} FROM {role}", "GRANT USAGE ON SCHEMA app_{s} TO {role}", "42501", table="app_{s}.events"
    ),
    # Rights
    "its role is not in the group that may write it": Way(
        ROWS, "REVOKE INSERT ON {table} FROM {role}",
        "CREATE ROLE {role}_group; GRANT INSERT ON {table} TO {role}_group; GRANT {role}_group TO {role}", "42501",
    ),
    "UPDATE is revoked": Way(
        KEYED, "REVOKE UPDATE ON {table} FROM {role}", "GRANT UPDATE ON {table} TO {role}", "42501", route=UPSERT
    ),
    "SELECT is revoked": Way(
        KEYED, "REVOKE SELECT ON {table} FROM {role}", "GRANT SELECT ON {table} TO {role}", "42501", route=UPSERT
    ),
    "the function of a DEFAULT may not be executed": Way(
        "CREATE FUNCTION number() RETURNS int LANGUAGE sql VOLATILE AS 'SELECT 1'; REVOKE EXECUTE ON FUNCTION number FROM PUBLIC;"
        "GRANT EXECUTE ON FUNCTION number TO {role}; CREATE TABLE {table} ({columns}, number int DEFAULT number())",
        "REVOKE EXECUTE ON FUNCTION number FROM {role}", "GRANT EXECUTE ON FUNCTION number TO {role}", "42501",
    ),
    "a policy lets no row in": Way(
        ROWS, "ALTER TABLE {table} ENABLE ROW LEVEL SECURITY; CREATE POLICY none ON {table} WITH CHECK (false)",
        "DROP POLICY none ON {table}; ALTER TABLE {table} DISABLE ROW LEVEL SECURITY", None, "0A000", "42501",
    ),
    "a trigger may not write its own table": Way(
        ROWS + "; CREATE TABLE {s}.audit (id bigint); GRANT INSERT ON {s}.audit TO {role};"
        "CREATE FUNCTION note_it() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO {s}.audit VALUES (NEW.id); RETURN NEW; END $$;"
        "CREATE TRIGGER note_it BEFORE INSERT ON {table} FOR EACH ROW EXECUTE FUNCTION note_it()",
        "REVOKE INSERT ON {s}.audit FROM {role}", "GRANT INSERT ON {s}.audit TO {role}", "42501",
    ),
    # Keys
    "the unique index of its key is dropped": Way(
        KEYED, "ALTER TABLE {table} DROP CONSTRAINT one_of", "ALTER TABLE {table} ADD CONSTRAINT one_of UNIQUE (id)",
        None, "42P10", route=UPSERT,
    ),
    "its key becomes deferrable": Way(
        KEYED, "ALTER TABLE {table} DROP CONSTRAINT one_of, ADD CONSTRAINT one_of UNIQUE (id) DEFERRABLE",
        "ALTER TABLE {table} DROP CONSTRAINT one_of, ADD CONSTRAINT one_of UNIQUE (id)", None, "55000", "42P10", route=UPSERT,
    ),
    "it is published and has no replica identity": Way(
        KEYED, "CREATE PUBLICATION p FOR TABLE {table}", "DROP PUBLICATION p", "55000", route=UPSERT
    ),
    # Another relation in its place
    "a materialized view is in its place": Way(
        ROWS, TWIN + "ALTER TABLE {table} RENAME TO former; CREATE MATERIALIZED VIEW {table} AS TABLE twin; GRANT INSERT ON {table} TO {role}",
        "DROP MATERIALIZED VIEW {table}; ALTER TABLE former RENAME TO {table}", None,
    ),
    "it is unlogged": Way(ROWS, "ALTER TABLE {table} SET UNLOGGED", "ALTER TABLE {table} SET LOGGED", None),
    "a column is missing that its route names": Way(
        ROWS, "ALTER TABLE {table} RENAME note TO remark", "ALTER TABLE {table} RENAME remark TO note", None, "42703",
        route={"columns": {"note": "value.note"}},
    ),
    # Partitions
    "a partition is detached": Way(
        "CREATE TABLE {table} ({columns}, amount numeric) PARTITION BY RANGE (id);"
        "CREATE TABLE part PARTITION OF {table} FOR VALUES FROM (0) TO (20000000)",
        "ALTER TABLE {table} DETACH PARTITION part",
        "ALTER TABLE {table} ATTACH PARTITION part FOR VALUES FROM (0) TO (20000000)", "23514",
    ),
    "the foreign server of a partition is away": Way(
        FOREIGN, "ALTER SERVER far_{s} OPTIONS (SET port '1')", "ALTER SERVER far_{s} OPTIONS (SET port '{port}')", "08001"
    ),
    "the table behind a foreign partition is gone": Way(
        FOREIGN, "ALTER TABLE far_away RENAME TO farther", "ALTER TABLE farther RENAME TO far_away", "42P01"
    ),
}  # fmt: skip


@pytest.fixture
def role(bench):
    with clerk(bench) as name:
        yield name
        if bench.value("SELECT count(*) FROM pg_roles WHERE rolname = %s", f"{name}_group"):
            bench.sql(f"DROP OWNED BY {name}_group; DROP ROLE {name}_group")


class Tried:
    """A way, and its table in a schema of its own that comes first in the search_path while it is made or changed."""

    def __init__(self, bench, role, way, schema):
        self.bench, self.name, self.way, self.schema = bench, way, WAYS[way], schema
        self.words = {
            "role": role, "columns": COLUMNS, "s": schema, "table": self.way.table.format(s=schema), "host": bench.postgres.host,
            "port": bench.postgres.port, "database": bench.database,
        }  # fmt: skip
        table = self.words["table"]
        self.table = table if "." in table else f"{schema}.{table}"
        self.route = {"table": self.table} | self.way.route

    def run(self, text):
        self.bench.sql(f"SET search_path = {self.schema}, public")
        self.bench.sql(text.format(**self.words))
        self.bench.sql("RESET search_path")

    def make(self):
        self.bench.sql("CREATE SCHEMA {s}; GRANT USAGE ON SCHEMA {s} TO {role}".format(**self.words))
        self.run(self.way.makes + "; GRANT INSERT ON {table} TO {role}")

    def breaks(self):
        self.run(self.way.breaks)

    def fixes(self):
        self.run(self.way.fixes)

    def check(self, log):
        keyed = {"model": Model("upsert", ["id"], ["id", "note"])} if self.way.route.get("mode") else {}
        self.bench.check(log, self.table, **keyed)


@pytest.mark.parametrize("way", WAYS)
def test_a_table_refuses(bench, role, way):
    tried = Tried(bench, role, way, "own")
    tried.make()
    path = ["copy", "unnest"][list(WAYS).index(way) % 2]
    pair = Pair(bench, path, ddl="SELECT", route=tried.route, role=role)
    d = pair.begin()
    tried.breaks()
    pair.log.fill(10)
    (row,) = pair.stands("parked", at={0: 10}).values()
    assert row.sqlstate in tried.way.codes and row.hint, row
    pair.neighbours_go_on()
    assert not d.notify.values("STOPPING") and not letters(bench)
    tried.fixes()
    pair.ends()
    tried.check(pair.log)
    bench.check(pair.other, "others")


def test_many_tables_refuse_at_once(bench, role):
    """All of these on one worker: each stands for itself, and moves when its own table is well."""
    all_of_them = {n: Tried(bench, role, way, f"own{n}") for n, way in enumerate(WAYS)}
    logs = {n: bench.topic() for n in all_of_them}
    for tried in all_of_them.values():
        tried.make()
    pair = Pair(bench, ddl="CREATE TABLE events (id bigint)", role=role)
    pair.config["routes"] += [
        {"topics": [logs[n].topic], "on_error": "dead_letter", "max_dead_letters": "off"} | tried.route
        for n, tried in all_of_them.items()
    ]
    for log in logs.values():
        log.fill(10)
    d = pair.start()
    d.allow("events")
    for log in logs.values():
        bench.wait_stored(log)
    for tried in all_of_them.values():
        tried.breaks()
    for log in logs.values():
        log.fill(10)

    def parked():
        return {row.topic: row.sqlstate for row in standing(bench) if row.state == "parked"}

    wait.until(lambda: len(parked()) == len(logs), "all to be parked", 30)
    found = parked()
    others = {way.name: found[logs[n].topic] for n, way in all_of_them.items() if found[logs[n].topic] not in way.way.codes}
    assert not others
    for _ in range(3):
        pair.neighbours_go_on()
    assert d.running and not letters(bench)
    last = list(all_of_them)[-1]
    for n, tried in all_of_them.items():
        if n != last:
            tried.fixes()
            bench.wait_stored(logs[n], timeout=20)
    assert set(parked()) == {logs[last].topic}
    all_of_them[last].fixes()
    bench.wait_stored(logs[last])
    for n, tried in all_of_them.items():
        tried.check(logs[n])
    bench.check(pair.other, "others")


# What is refused without a word, or only when there is much of it


@PATHS
def test_a_trigger_drops_rows(bench, path):
    """A BEFORE trigger returns NULL: nothing is refused, and its author wanted it. Dropped rows are no witness either."""
    pair = Pair(bench, path, times={"patience": "2s"})
    trigger(bench, f"IF NEW.id = 666 THEN {refuse('XX000')}; END IF; IF NEW.note = 'drop' THEN RETURN NULL; END IF")
    pair.begin()
    sent = [(0, None, b'{"id": %d, "note": "drop"}' % n, None, None) for n in range(30)]
    pair.log.send_many(sent)
    bench.wait_stored(pair.log)
    odd, *_ = pair.log.send_many([(0, None, b'{"id": 666, "note": "odd"}', None, None), *sent])
    pair.stands("waiting", "XX000", at={0: odd.offset})
    pair.neighbours_go_on()
    pair.ends()
    pair.check(dead={(0, odd.offset)}, rows=lambda record: record.json["note"] != "drop")


def test_a_batch_needs_more_temporary_files_than_allowed(bench, role):
    """53400 of a large batch; smaller ones pass, so that it neither stands nor takes a retry for each record."""
    pair = Pair(bench, role=role, times={"retry": "60s", "retry_max": "60s"})
    bench.sql(f"ALTER ROLE {role} SET temp_file_limit = 0; ALTER ROLE {role} SET work_mem = '64kB'")
    bench.sql(
        "CREATE FUNCTION look() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM FROM came; RETURN NULL; END $$;"
        "CREATE TRIGGER look AFTER INSERT ON events REFERENCING NEW TABLE AS came FOR EACH STATEMENT EXECUTE FUNCTION look()"
    )
    pair.log.fill(4000)
    pair.other.fill(10)
    said = len(bench.postgres.log.read_bytes())
    pair.start()
    pair.ends()
    assert b"temporary file size exceeds" in bench.postgres.log.read_bytes()[said:]
    assert not letters(bench)
    pair.check()


def test_temporary_tables_are_not_allowed(bench, role):
    """The right is revoked while it runs. Large batches of a key mode need it; rejected records are found with it."""
    ddl = KEYED.format(table="events", role=role) + "; ALTER TABLE events ADD CHECK (id >= 0)"
    pair = Pair(bench, ddl=ddl, route=UPSERT, role=role)
    pair.begin(1000)
    bench.sql(f"REVOKE TEMPORARY ON DATABASE {bench.database} FROM PUBLIC, {role}")
    bench.postgres.terminate_backends()
    pair.log.fill(30_000)
    bad = pair.log.send_json(id=-1, note="bad")
    (row,) = pair.stands("parked", "42501").values()
    assert "temporary" in row.reason and "GRANT TEMPORARY" in row.hint, row
    pair.neighbours_go_on()
    bench.sql(f"GRANT TEMPORARY ON DATABASE {bench.database} TO {role}")
    pair.ends()
    bench.check(pair.log, dead={(0, bad.offset)}, model=Model("upsert", ["id"], ["id", "note"]))
    bench.check(pair.other, "others")
