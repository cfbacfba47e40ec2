"""The SQL of dead letters by itself: store_each() finds the bad rows of a staged batch, and only those; the
functions for operators; the upgrade of a database from before there were dead letters."""

import contextlib
import re
from typing import NamedTuple

import psycopg
import pytest

from kit.daemon import ROOT

# What a session of the daemon has while it isolates: the rows, and one statement for each sort of them.
STAGING = "CREATE TEMPORARY TABLE staged (place int PRIMARY KEY, id bigint, note text, parent bigint)"
STORE = (
    "INSERT INTO {table} (id, note, parent) SELECT id, note, parent FROM pg_temp.staged"
    " WHERE place BETWEEN $1 AND $2 ORDER BY place"
)
TABLE = """
CREATE TABLE {name} (
    seq    bigint GENERATED ALWAYS AS IDENTITY,
    id     bigint,
    note   text,
    parent bigint{more}
)
"""


def steps():
    return sorted((ROOT / "sql").glob("[0-9]*.sql"))


def apply_step(bench, step):
    bench.sql(step.read_text().replace(':"schema"', "pgsinkd").replace(":'schema'", "'pgsinkd'"))


@pytest.fixture
def db(bench):
    """A session with the project's schema and an empty staging table."""
    bench.sql("CREATE SCHEMA pgsinkd")
    for step in steps():
        apply_step(bench, step)
    bench.sql(STAGING)
    return bench


def table(db, name="target", more=""):
    db.sql(TABLE.format(name=name, more=f", {more}" if more else ""))
    return name


def stage(db, rows):
    """rows: (id, note, parent), each at the place of its position."""
    with db.db.cursor().copy("COPY staged FROM STDIN") as copy:
        for place, row in enumerate(rows):
            copy.write_row((place, *row))


class Line(NamedTuple):
    run: int
    place: int
    upto: int
    effects: int | None
    blame: str | None
    without_rows: bool | None
    is_cast: bool | None
    sqlstate: str | None
    message: str | None
    detail: str | None
    column: str | None
    constraint: str | None
    table: str | None


def tried(db, *runs, statements=None):
    """Calls store_each() with (part, first, last)."""
    statements = statements or [STORE.format(table="target")]
    found = db.sql(
        "SELECT * FROM pgsinkd.store_each(%s, %s::int[], %s::int[], %s::int[]) ORDER BY run, place",
        statements, [r[0] for r in runs], [r[1] for r in runs], [r[2] for r in runs],
    )  # fmt: skip
    return [Line(*row) for row in found]


def store(db, *runs, statements=None):
    """{(run, place): its line} of the refused rows; the others are said to be stored, each once."""
    lines = tried(db, *runs, statements=statements)
    places = [(line.run, place) for line in lines for place in range(line.place, line.upto + 1)]
    assert places == [(n, place) for n, run in enumerate(runs, 1) for place in range(run[1], run[2] + 1)]
    return {(line.run, line.place): line for line in lines if line.blame}


def stored(lines):
    return [(line.run, line.place, line.upto, line.effects) for line in lines if not line.blame]


def ids(db, name="target"):
    return [i for (i,) in db.sql(f"SELECT id FROM {name} ORDER BY seq")]


def check_finds(db, rows, bad, *, sqlstate, message, column=None, constraint=None, blame="record"):
    """The rows at the places `bad` are refused, for that reason; all others are stored, in their order."""
    stage(db, rows)
    found = store(db, (1, 0, len(rows) - 1))
    assert sorted(place for _, place in found) == sorted(bad)
    assert ids(db) == [rows[i][0] for i in range(len(rows)) if i not in bad]
    for line in found.values():
        assert (line.blame, line.sqlstate) == (blame, sqlstate)
        assert message in line.message
        assert (line.column or None, line.constraint or None) == (column, constraint)


def plain(n):
    return [(i, f"note {i}", None) for i in range(n)]


def spoil(rows, bad, **change):
    """The rows, with the named fields changed at the places in bad."""
    for i in bad:
        row = dict(zip(("id", "note", "parent"), rows[i], strict=True)) | change
        rows[i] = (row["id"], row["note"], row["parent"])
    return rows


CHECK = "CONSTRAINT positive CHECK (parent > 0)"


@pytest.mark.parametrize(
    "bad",
    [
        pytest.param(set(), id="none"),
        pytest.param({0}, id="first"),
        pytest.param({1999}, id="last"),
        pytest.param({7, 1000}, id="two"),
        pytest.param(set(range(500, 800)), id="a run"),
        pytest.param(set(range(0, 2000, 100)), id="1 %"),
        pytest.param(set(range(3, 2000, 10)), id="10 %"),
        pytest.param(set(range(0, 2000, 2)), id="every other"),
        pytest.param(set(range(2000)), id="all"),
    ],
)
def test_finds_the_bad_rows_and_stores_the_others(db, bad):
    table(db, more=CHECK)
    rows = spoil(plain(2000), bad, parent=-1)
    check_finds(db, rows, bad, sqlstate="23514", message='violates check constraint "positive"', constraint="positive")


def test_unique(db):
    table(db, more="CONSTRAINT once UNIQUE (id)")
    rows = [*plain(50), (7, "again", None), *[(100 + i, "x", None) for i in range(20)], (101, "again", None)]
    check_finds(db, rows, {50, 71}, sqlstate="23505", message="duplicate key value", constraint="once")


def test_not_null_names_its_column(db):
    table(db)
    db.sql("ALTER TABLE target ALTER note SET NOT NULL")
    rows = spoil(plain(50), {9}, note=None)
    check_finds(db, rows, {9}, sqlstate="23502", message="null value in column", column="note")


def test_foreign_key(db):
    db.sql("CREATE TABLE parents (id bigint PRIMARY KEY)")
    db.sql("INSERT INTO parents VALUES (1)")
    table(db, more="CONSTRAINT kin FOREIGN KEY (parent) REFERENCES parents")
    rows = spoil([(i, "x", 1) for i in range(300)], {20, 21, 250}, parent=2)
    check_finds(db, rows, {20, 21, 250}, sqlstate="23503", message="violates foreign key", constraint="kin")


def test_deferred_foreign_key(db):
    db.sql("CREATE TABLE parents (id bigint PRIMARY KEY)")
    db.sql("INSERT INTO parents VALUES (1)")
    table(db, more="CONSTRAINT kin FOREIGN KEY (parent) REFERENCES parents DEFERRABLE INITIALLY DEFERRED")
    rows = spoil([(i, "x", 1) for i in range(300)], {20, 21, 250}, parent=2)
    check_finds(db, rows, {20, 21, 250}, sqlstate="23503", message="violates foreign key", constraint="kin")


def test_deferred_constraint_trigger(db):
    table(db)
    db.sql(
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
        " IF NEW.parent = 13 THEN RAISE EXCEPTION 'not 13, please' USING ERRCODE = 'MY001'; END IF;"
        " RETURN NULL; END $$"
    )
    db.sql(
        "CREATE CONSTRAINT TRIGGER late AFTER INSERT ON target DEFERRABLE INITIALLY DEFERRED"
        " FOR EACH ROW EXECUTE FUNCTION refuse()"
    )
    rows = spoil(plain(100), {5}, parent=13)
    check_finds(db, rows, {5}, sqlstate="MY001", message="not 13, please")


def test_deferred_constraints_let_later_rows_help_earlier_ones(db):
    """Children come first, their parents in a later run: only the child that has none is refused, whether
    another row is bad or not."""
    db.sql("CREATE TABLE parents (id bigint PRIMARY KEY CHECK (id < 100), note text, parent bigint)")
    table(db, more="FOREIGN KEY (parent) REFERENCES parents DEFERRABLE INITIALLY DEFERRED")
    statements = [STORE.format(table="target"), STORE.format(table="parents")]
    children = [(i, "child", 1 + i % 3) for i in range(9)]
    parents = [(1, "parent", None), (2, "parent", None), (3, "parent", None), (500, "too high", None)]
    stage(db, children + parents)
    assert sorted(store(db, (1, 0, 8), (2, 9, 12), statements=statements)) == [(2, 12)]
    assert ids(db) == list(range(9))

    db.sql("TRUNCATE target, parents, staged")
    children[4] = (4, "orphan", 77)
    stage(db, children + parents)
    assert sorted(store(db, (1, 0, 8), (2, 9, 12), statements=statements)) == [(1, 4), (2, 12)]
    assert ids(db) == [i for i in range(9) if i != 4]


def test_an_older_row_that_is_helped_later_does_not_overwrite_a_newer(db):
    """Two rows of one key; the partner of the older comes between them, and another row has none."""
    db.sql("CREATE TABLE parents (id bigint PRIMARY KEY, note text, parent bigint)")
    table(db, more="UNIQUE (id), FOREIGN KEY (parent) REFERENCES parents DEFERRABLE INITIALLY DEFERRED")
    upsert = STORE.format(table="target") + " ON CONFLICT (id) DO UPDATE SET note = excluded.note"
    stage(db, [(1, "older", 5), (2, "orphan", 77), (5, "parent", None), (1, "newer", 5), (1, "newest", 5)])
    statements = [upsert, STORE.format(table="parents")]
    assert sorted(store(db, (1, 0, 1), (2, 2, 2), (1, 3, 4), statements=statements)) == [(1, 1)]
    assert db.sql("SELECT id, note, parent FROM target") == [(1, "newest", 5)]


def test_rows_that_need_each_other_are_refused_when_another_row_is_bad(db):
    """Which of them is at fault cannot be told; without the orphan both are stored."""
    table(db, more="PRIMARY KEY (id), FOREIGN KEY (parent) REFERENCES target DEFERRABLE INITIALLY DEFERRED")
    rows = [(1, "one", 2), (2, "two", 1), (3, "three", 3)]
    stage(db, rows)
    assert store(db, (1, 0, 2)) == {}
    assert ids(db) == [1, 2, 3]
    db.sql("TRUNCATE target, staged")
    stage(db, [*rows, (4, "orphan", 99)])
    assert sorted(store(db, (1, 0, 3))) == [(1, 0), (1, 1), (1, 3)]
    assert ids(db) == [3]


def test_trigger_exception(db):
    table(db)
    db.sql(
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
        " IF NEW.parent = 13 THEN RAISE EXCEPTION 'not 13, please'; END IF; RETURN NEW; END $$"
    )
    db.sql("CREATE TRIGGER early BEFORE INSERT ON target FOR EACH ROW EXECUTE FUNCTION refuse()")
    check_finds(db, spoil(plain(100), {5}, parent=13), {5}, sqlstate="P0001", message="not 13, please")


def test_trigger_assertion(db):
    """OTHERS does not name it, yet it is the row's fault."""
    table(db)
    db.sql(
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
        " ASSERT NEW.parent IS DISTINCT FROM 13, 'no 13'; RETURN NEW; END $$"
    )
    db.sql("CREATE TRIGGER early BEFORE INSERT ON target FOR EACH ROW EXECUTE FUNCTION refuse()")
    check_finds(db, spoil(plain(100), {5}, parent=13), {5}, sqlstate="P0004", message="no 13")


def test_domain(db):
    db.sql("CREATE DOMAIN small AS bigint CONSTRAINT tiny CHECK (VALUE < 10)")
    table(db)
    db.sql("ALTER TABLE target ALTER parent TYPE small")
    rows = spoil(plain(100), {0, 99}, parent=10)
    check_finds(db, rows, {0, 99}, sqlstate="23514", message="violates check constraint", constraint="tiny")


def test_too_long(db):
    table(db)
    db.sql("ALTER TABLE target ALTER note TYPE varchar(8)")
    check_finds(db, spoil(plain(100), {3}, note="123456789"), {3}, sqlstate="22001", message="value too long")


def test_a_row_that_no_page_and_no_index_holds(db):
    table(db)
    db.sql("CREATE INDEX ON target (note)")
    rows = plain(20)
    db.sql("CREATE TABLE noise AS SELECT string_agg(md5(i::text), '') AS text FROM generate_series(1, 3000) i")
    rows[11] = (11, db.value("SELECT text FROM noise"), None)
    check_finds(db, rows, {11}, sqlstate="54000", message="index row", blame="doubt")


def test_triggers_see_the_search_path_of_the_session(db):
    db.sql("CREATE SCHEMA own")
    table(db, "own.target")
    db.sql("CREATE TABLE own.seen (id bigint)")
    db.sql(
        "CREATE FUNCTION own.note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
        " INSERT INTO seen VALUES (NEW.id); RETURN NEW; END $$"
    )
    db.sql("CREATE TRIGGER note BEFORE INSERT ON own.target FOR EACH ROW EXECUTE FUNCTION own.note()")
    db.sql("SET search_path TO own")
    stage(db, plain(3))
    assert store(db, (1, 0, 2), statements=[STORE.format(table="own.target")]) == {}
    assert db.value("SELECT count(*) FROM own.seen") == 3


def test_runs_keep_their_order_and_their_statement(db):
    table(db, more=CHECK)
    table(db, "other")
    stage(db, spoil(plain(10), {4, 8}, parent=-1))
    statements = [STORE.format(table="other"), STORE.format(table="target")]
    found = store(db, (2, 0, 2), (1, 3, 5), (2, 6, 9), statements=statements)
    assert sorted(found) == [(3, 8)]
    assert ids(db) == [0, 1, 2, 6, 7, 9]
    assert ids(db, "other") == [3, 4, 5]


def test_nothing_to_store(db):
    assert store(db) == {}


# What may be a fault of the target is looked into; what certainly is ends the transaction.
RAISES = "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {body}; RETURN NEW; END $$"




def refuse(db, body, name="target", when="BEFORE"):
    db.sql(RAISES.format(body=body))
    db.sql(f"CREATE TRIGGER early {when} INSERT ON {name} FOR EACH ROW EXECUTE FUNCTION refuse()")


@pytest.mark.parametrize(
    ("sqlstate", "blame"),
    [("53100", "target"), ("40P01", "again"), ("57P01", "target"), ("57014", "target"), ("XX001", "target")],
)
def test_a_fault_of_the_target_ends_it(db, sqlstate, blame):
    """It is the only line, and names the run."""
    table(db, "other")
    table(db)
    refuse(db, f"IF NEW.id = 30 THEN RAISE EXCEPTION 'no' USING ERRCODE = '{sqlstate}'; END IF")
    stage(db, plain(50))
    [line] = tried(db, (1, 0, 9), (2, 10, 49), statements=[STORE.format(table="other"), STORE.format(table="target")])
    assert (line.run, line.blame, line.sqlstate, line.message) == (2, blame, sqlstate, "no")


@pytest.mark.parametrize("sqlstate", ["SK001", "26000"])
def test_a_fault_of_the_session_goes_through(db, sqlstate):
    table(db)
    refuse(db, f"IF NEW.id = 30 THEN RAISE EXCEPTION 'no' USING ERRCODE = '{sqlstate}'; END IF")
    stage(db, plain(50))
    with pytest.raises(psycopg.Error, match="no") as caught:
        tried(db, (1, 0, 49))
    assert caught.value.sqlstate == sqlstate


def test_a_timeout_ends_it(db):
    table(db)
    refuse(db, "PERFORM pg_sleep(30)")
    stage(db, plain(5))
    db.sql("SET statement_timeout TO 100")
    assert [(line.blame, line.sqlstate) for line in tried(db, (1, 0, 4))] == [("target", "57014")]


def test_a_lock_timeout_ends_it(db, postgres):
    table(db)
    stage(db, plain(5))
    with postgres.connect(db.database) as other, other.transaction():
        other.execute("LOCK TABLE target")
        db.sql("SET lock_timeout TO 100")
        assert [(line.blame, line.sqlstate) for line in tried(db, (1, 0, 4))] == [("target", "55P03")]


@pytest.fixture
def guest(db):
    """A role that may call store_each() and insert into `target`, and nothing else."""
    db.sql("CREATE ROLE letters_guest")
    db.sql("GRANT USAGE ON SCHEMA pgsinkd TO letters_guest")
    db.sql("GRANT SELECT ON staged TO letters_guest")
    db.sql("CREATE SEQUENCE numbers")
    table(db)
    db.sql("GRANT INSERT ON target TO letters_guest")
    yield "letters_guest"
    db.sql("RESET ROLE")
    db.sql("DROP OWNED BY letters_guest")
    db.sql("DROP ROLE letters_guest")


def test_the_right_to_insert_is_all_it_takes(db, guest):
    stage(db, plain(5))
    db.sql(f"SET ROLE {guest}")
    assert stored(tried(db, (1, 0, 4))) == [(1, 0, 4, 5)]


def test_a_revoked_right_shows_without_any_row(db, guest):
    stage(db, plain(5))
    db.sql(f"REVOKE INSERT ON target FROM {guest}")
    db.sql(f"SET ROLE {guest}")
    lines = tried(db, (1, 0, 4))
    assert {(line.blame, line.sqlstate, line.without_rows) for line in lines} == {("unfit", "42501", True)}


def test_a_right_that_a_default_lacks_does_not_show_without_rows(db, guest):
    db.sql("ALTER TABLE target ADD n bigint DEFAULT nextval('numbers')")
    stage(db, plain(5))
    db.sql(f"SET ROLE {guest}")
    lines = tried(db, (1, 0, 4))
    assert {(line.blame, line.sqlstate, line.without_rows) for line in lines} == {("unfit", "42501", False)}


def test_another_code_without_rows_proves_nothing(db):
    """A statement trigger that refuses an empty batch, and a row that is refused for another reason."""
    table(db)
    refuse(db, "IF NEW.id = 7 THEN RAISE EXCEPTION 'no' USING ERRCODE = 'XX000'; END IF")
    db.sql(
        "CREATE FUNCTION filled() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
        " IF NOT EXISTS (SELECT FROM came) THEN RAISE EXCEPTION 'empty' USING ERRCODE = '42P01'; END IF;"
        " RETURN NULL; END $$"
    )
    db.sql(
        "CREATE TRIGGER filled AFTER INSERT ON target REFERENCING NEW TABLE AS came FOR EACH STATEMENT"
        " EXECUTE FUNCTION filled()"
    )
    stage(db, plain(20))
    found = store(db, (1, 0, 19))
    assert {place: (line.blame, line.without_rows) for place, line in found.items()} == {(1, 7): ("doubt", False)}


def test_a_missing_partition_and_its_neighbours(db):
    db.sql("CREATE TABLE target (seq bigint GENERATED ALWAYS AS IDENTITY, id bigint, note text, parent bigint)"
           " PARTITION BY RANGE (id)")  # fmt: skip
    db.sql("CREATE TABLE small PARTITION OF target FOR VALUES FROM (0) TO (100)")
    rows = spoil(plain(60), {20}, id=777)
    check_finds(db, rows, {20}, sqlstate="23514", message="no partition", blame="unfit")


def test_when_too_many_are_refused_the_rest_is_not_tried(db):
    """No row can be a witness any more."""
    table(db)
    refuse(db, "IF NEW.id % 2 = 1 THEN RAISE EXCEPTION 'no' USING ERRCODE = 'XX000'; END IF")
    stage(db, plain(1000))
    lines = tried(db, (1, 0, 999))
    refused = [line.place for line in lines if line.blame]
    assert refused == list(range(1, 203, 2))
    assert not [line for line in lines if line.place > refused[-1]]


def test_an_error_while_an_attempt_is_undone(db):
    """PostgreSQL then undoes less than it should; so nothing of it may be committed."""
    table(db, "other")
    table(db)
    db.sql(
        "CREATE FUNCTION look() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM FROM came; RETURN NULL; END $$;"
        "CREATE TRIGGER look AFTER INSERT ON target REFERENCING NEW TABLE AS came FOR EACH STATEMENT EXECUTE FUNCTION look()"
    )
    for size in (300, 500, 1000, 2000, 4000, 9000):
        db.sql(STAGING.replace("TABLE", "TABLE IF NOT EXISTS"))  # it may also end the session
        db.sql("TRUNCATE staged, target, other")
        stage(db, plain(size + 10))
        db.sql("SET work_mem = '64kB'; SET temp_file_limit = 0")
        with contextlib.suppress(psycopg.errors.ConfigurationLimitExceeded, psycopg.OperationalError):
            tried(db, (1, 0, 9), (2, 10, size + 9), statements=[STORE.format(table="other"), STORE.format(table="target")])
        db.sql("RESET temp_file_limit; RESET work_mem")
        assert db.sql("SELECT id, count(*) FROM other GROUP BY id HAVING count(*) > 1") == [], size
        assert db.sql("SELECT id, count(*) FROM target GROUP BY id HAVING count(*) > 1") == [], size


# Casts, in which no table is involved

CASTS = "SELECT (note::tsvector) IS NULL FROM pg_temp.staged WHERE place OPERATOR(pg_catalog.=) $1"


def cast(db, notes):
    """(place, blame, is_cast, column) of the refused rows."""
    db.sql("CREATE TABLE target (seq bigint GENERATED ALWAYS AS IDENTITY, id bigint, note tsvector)")
    stage(db, [(i, note, None) for i, note in enumerate(notes)])
    return db.sql(
        "SELECT place, blame, is_cast, column_name FROM pgsinkd.store_each(%s, '{1}', '{0}', ARRAY[%s]::int[],"
        " %s, '{1}', '{v}') WHERE blame IS NOT NULL ORDER BY place",
        ["INSERT INTO target (id, note) SELECT id, note::tsvector FROM pg_temp.staged WHERE place BETWEEN $1 AND $2"],
        len(notes) - 1, [CASTS],
    )  # fmt: skip


@pytest.mark.parametrize("others", [["a", None], [None, "a"], ["'b", "a"]])
def test_a_text_that_cannot_be_cast_is_at_fault_if_another_can(db, others):
    found = cast(db, ["'unclosed", *others])
    assert found[0] == (0, "record", True, "v")
    assert {line[1:] for line in found} == {("record", True, "v")}


def test_nobody_knows_while_no_text_could_be_cast(db):
    assert cast(db, [None, "'unclosed", None]) == [(1, "doubt", True, "v")]


# Which rows had an effect


def test_rows_with_a_conflict_have_no_effect(db):
    table(db, more="UNIQUE (id)")
    ignore = STORE.format(table="target") + " ON CONFLICT DO NOTHING"
    stage(db, [(0, "", None), (1, "", None), (1, "", None), (2, "", None), (0, "", None), (5, "", -1)])
    assert stored(tried(db, (1, 0, 4), statements=[ignore])) == [(1, 0, 4, 3)]


def test_updates_and_deletes_have_an_effect_where_the_key_is(db):
    table(db)
    db.sql("INSERT INTO target (id) VALUES (1), (2), (3)")
    stage(db, plain(10))
    join = "g.id = s.id AND place BETWEEN $1 AND $2"
    update = f"UPDATE target AS g SET note = 'new' FROM pg_temp.staged s WHERE {join}"
    delete = f"DELETE FROM target AS g USING pg_temp.staged s WHERE {join}"
    assert stored(tried(db, (1, 2, 9), (2, 0, 1), statements=[update, delete])) == [(1, 2, 9, 2), (2, 0, 1, 1)]


def test_effects_between_refused_rows(db):
    table(db, more=f"UNIQUE (id), {CHECK}")
    ignore = STORE.format(table="target") + " ON CONFLICT DO NOTHING"
    db.sql("INSERT INTO target (id) VALUES (0), (1), (9)")
    rows = spoil(plain(10), {5, 8}, parent=-1)
    stage(db, rows)
    lines = tried(db, (1, 0, 9), statements=[ignore])
    assert stored(lines) == [(1, 0, 4, 3), (1, 6, 7, 2), (1, 9, 9, 0)]


def test_operators_of_others_are_not_called(db):
    """Whoever may create in a schema of the search path cannot make the daemon call his operators."""
    table(db)
    db.sql(
        "CREATE FUNCTION evil(text, int) RETURNS text LANGUAGE plpgsql AS $$ BEGIN RAISE 'evil'; END $$;"
        "CREATE FUNCTION evil(int, int) RETURNS int LANGUAGE plpgsql AS $$ BEGIN RAISE 'evil'; END $$;"
        "CREATE FUNCTION evil_is(text, text) RETURNS bool LANGUAGE plpgsql AS $$ BEGIN RAISE 'evil'; END $$;"
        "CREATE FUNCTION evil_is(name, text) RETURNS bool LANGUAGE plpgsql AS $$ BEGIN RAISE 'evil'; END $$;"
        "CREATE FUNCTION evil_is(int, int) RETURNS bool LANGUAGE plpgsql AS $$ BEGIN RAISE 'evil'; END $$;"
        "CREATE OPERATOR public.|| (LEFTARG = text, RIGHTARG = int, FUNCTION = evil)"
    )
    for op in ("+", "-", "*", "/"):
        db.sql(f"CREATE OPERATOR public.{op} (LEFTARG = int, RIGHTARG = int, FUNCTION = evil)")
    for op in ("=", "<>", "<", ">", "<=", ">="):
        for left, right in (("text", "text"), ("name", "text"), ("int", "int")):
            db.sql(f"CREATE OPERATOR public.{op} (LEFTARG = {left}, RIGHTARG = {right}, FUNCTION = evil_is)")
    refuse(db, "IF pg_catalog.int8eq(NEW.id, 3) THEN RAISE EXCEPTION 'no' USING ERRCODE = 'XX000'; END IF")
    stage(db, plain(12))
    statement = (
        "INSERT INTO public.target (id) SELECT id FROM pg_temp.staged"
        " WHERE place OPERATOR(pg_catalog.>=) $1 AND place OPERATOR(pg_catalog.<=) $2"
    )
    call = "SELECT place, blame FROM pgsinkd.store_each(%s, '{1}', '{0}', '{11}')"
    db.sql("SET search_path TO public, pg_catalog")
    lines = db.sql(call, [statement])
    db.sql("RESET search_path")
    assert sorted(lines) == [(0, None), (3, "doubt"), (4, None)]


# Rows that screen() takes out at once


def screened(db, n, *, alone=True, casts=(), known=False, name="target", rows="target", columns=("id", "note", "parent")):
    """{place: (is_cast, sqlstate, message, column, detail)} of what it finds among the n staged rows, and what it leaves."""
    values = [f"s.{c}::tsvector" if c in casts else f"s.{c}" for c in columns]
    statement = (
        f"INSERT INTO {name} ({', '.join(columns)}) SELECT {', '.join(values)} FROM pg_temp.staged s"
        " WHERE place BETWEEN $1 AND $2 ORDER BY place"
    )
    lines = db.sql(
        "SELECT place, upto, is_cast, sqlstate, message, column_name, detail FROM pgsinkd.screen('staged', 0, %s, %s,"
        " %s::regclass, %s, %s, %s, %s, %s, %s, %s, %s)",
        n - 1, statement, name, list(columns), values, alone, [f"pgsinkd.cast_fault(r.{c}, NULL::tsvector)" for c in casts],
        [f"r.{c}" for c in casts], ["tsvector" for _ in casts], list(casts), [known for _ in casts],
    )  # fmt: skip
    found = {place: line[2:] for line in lines for place in range(line[0], line[1] + 1)}
    left = [place for (place,) in db.sql("SELECT place FROM staged ORDER BY place")]
    assert sorted(found) + left == sorted(found) + [place for place in range(n) if place not in found]
    assert db.value(f"SELECT count(*) FROM {rows}") == 0, "nothing is stored yet"
    return found


def finds(db, rows, bad, sqlstate, message, column=None, detail=None, **how):
    """Exactly the rows at the places `bad` are found, for that reason; and the table refuses each of them by itself."""
    stage(db, rows)
    assert screened(db, len(rows), **how) == {
        place: (bool(column), sqlstate, message(place) if callable(message) else message, column, detail) for place in bad
    }


VIOLATED = 'new row for relation "target" violates check constraint "{}"'
NO_PARENT = 'insert or update on table "target" violates foreign key constraint "target_parent_fkey"'


@pytest.mark.parametrize("bad", [set(), {0}, {999}, set(range(0, 1000, 10)), set(range(1000)), {1, 2, 3, 500, 998, 999}])
def test_screen_finds_what_a_check_refuses(db, bad):
    """What PostgreSQL says of the values is kept of a single row only."""
    table(db, more=CHECK)
    detail = f"Failing row contains (1, {min(bad)}, note {min(bad)}, 0)." if len(bad) == 1 else None
    finds(db, spoil(plain(1000), bad, parent=0), bad, "23514", VIOLATED.format("positive"), detail=detail)


def test_screen_names_the_constraint_that_an_insert_would_name(db):
    table(db, more="CONSTRAINT b CHECK (id > 2), CONSTRAINT a CHECK (id % 2 = 1), CONSTRAINT none CHECK (note <> '')")
    stage(db, [(i, "x", None) for i in range(1, 6)])
    found = screened(db, 5)
    assert {place: line[2] for place, line in found.items()} == {
        0: VIOLATED.format("b"), 1: VIOLATED.format("a"), 3: VIOLATED.format("a"),
    }  # fmt: skip


@pytest.mark.parametrize(
    "more",
    [
        pytest.param("kind text DEFAULT 'x' CHECK (kind <> 'x')", id="a column that the rows lack"),
        pytest.param("twice bigint GENERATED ALWAYS AS (id * 2) STORED CHECK (twice < 0)", id="a generated column"),
        pytest.param("CHECK (target.* IS NULL)", id="the whole row"),
        pytest.param("CHECK (tableoid IS NULL)", id="a system column"),
        pytest.param("CHECK (1 / id > 0)", id="a condition that fails"),
    ],
)
def test_screen_leaves_to_store_each_what_it_cannot_know(db, more):
    table(db, more=more)
    finds(db, plain(20), set(), None, None)


def test_screen_sees_values_as_the_columns_have_them(db):
    """99.999 is refused and 100.004 is not, once they are rounded."""
    db.sql("CREATE DOMAIN two AS numeric(6, 2)")
    for kind in ("numeric(6, 2)", "two"):
        db.sql(f"DROP TABLE IF EXISTS target; CREATE TABLE target (v {kind}, CONSTRAINT exact CHECK (v = 100 OR v < 99))")
        db.sql("DROP TABLE IF EXISTS staged; CREATE TEMPORARY TABLE staged (place int PRIMARY KEY, v numeric)")
        db.sql("INSERT INTO staged VALUES (0, 99.999), (1, 100.004), (2, 99.5), (3, 98.999), (4, 98.991)")
        found = screened(db, 5, columns=("v",))
        assert sorted(found) == [2, 3], kind


@pytest.mark.parametrize("domain", [False, True])
def test_screen_compares_as_the_column_does(db, domain):
    db.sql("CREATE COLLATION ci (provider = icu, locale = 'und-u-ks-level2', deterministic = false)")
    kind = "text COLLATE ci"
    if domain:
        db.sql("CREATE DOMAIN word AS text COLLATE ci")
        kind = "word"
    db.sql(f"CREATE TABLE target (id bigint, note {kind} CHECK (note IN ('new', 'old')), parent bigint)")
    stage(db, [(i, note, None) for i, note in enumerate(["NEW", "bogus", "Old", "new", "other", None] * 2)])
    assert sorted(screened(db, 12)) == [1, 4, 7, 10]


@pytest.mark.parametrize("how", ["function", "operator"])
def test_screen_leaves_conditions_that_look_at_other_rows(db, how):
    """What they say of a row depends on those before it, which are not stored yet."""
    table(db)
    db.sql(
        "CREATE FUNCTION is_there(wanted bigint, dummy bigint DEFAULT 0) RETURNS bool LANGUAGE plpgsql IMMUTABLE AS"
        " $$ BEGIN RETURN wanted IS NULL OR EXISTS (SELECT FROM target WHERE id = wanted); END $$"
    )
    db.sql("CREATE OPERATOR ?? (LEFTARG = bigint, RIGHTARG = bigint, FUNCTION = is_there)")
    db.sql(f"ALTER TABLE target ADD CHECK ({'is_there(parent)' if how == 'function' else 'parent ?? 0'})")
    rows = [(0, "", 99), (1, "", None), (2, "", 1), (3, "", 2), (4, "", 77)] + [(i, "", i - 1) for i in range(5, 12)]
    stage(db, rows)
    assert screened(db, len(rows)) == {}


def test_screen_does_not_foresee_what_a_trigger_changes(db):
    table(db, more=CHECK)
    refuse(db, "NEW.parent := 1")
    finds(db, spoil(plain(20), {3, 4}, parent=0), set(), None, None)


def test_screen_looks_for_triggers_of_partitions(db):
    db.sql("CREATE TABLE target (id bigint, note text, parent bigint CHECK (parent > 0)) PARTITION BY RANGE (id)")
    db.sql("CREATE TABLE part PARTITION OF target FOR VALUES FROM (0) TO (1000)")
    refused = VIOLATED.format("target_parent_check").replace("target", "part", 1)
    finds(db, spoil(plain(20), {3, 4}, parent=0), {3, 4}, "23514", refused)
    db.sql("TRUNCATE staged")
    refuse(db, "NEW.parent := 1", name="part")
    finds(db, spoil(plain(20), {3, 4}, parent=0), set(), None, None)


def parents(db, more=""):
    db.sql("CREATE TABLE parent (id bigint PRIMARY KEY); INSERT INTO parent SELECT generate_series(1, 10)")
    table(db, more="FOREIGN KEY (parent) REFERENCES parent" + more)
    return spoil(plain(40), range(0, 40, 2), parent=5)


def test_screen_finds_rows_without_a_parent(db):
    detail = 'Key (parent)=(11) is not present in table "parent".'
    finds(db, spoil(parents(db), {3, 4, 39}, parent=11), {3, 4, 39}, "23503", NO_PARENT, detail=detail)


def test_screen_finds_parents_by_several_columns(db):
    db.sql('CREATE TABLE "the parents" (a bigint, "b c" bigint, PRIMARY KEY ("b c", a)); INSERT INTO "the parents" VALUES (1, 2)')
    table(db, more='FOREIGN KEY (parent, id) REFERENCES "the parents" ("b c", a)')
    stage(db, [(1, "", 2), (2, "", 1), (1, "", None), (None, "", 7), (1, "", 3)] + [(1, "", 2)] * 5)
    said = 'insert or update on table "target" violates foreign key constraint "target_parent_id_fkey"'
    assert screened(db, 10) == {
        place: (False, "23503", said, None, f'Key (parent, id)=({key}) is not present in table "the parents".')
        for place, key in ((1, "1, 2"), (4, "3, 1"))
    }


def test_screen_leaves_parents_in_a_table_that_this_is_a_partition_of(db):
    db.sql("CREATE TABLE whole (id bigint, note text, parent bigint, PRIMARY KEY (id)) PARTITION BY RANGE (id)")
    db.sql("CREATE TABLE target PARTITION OF whole FOR VALUES FROM (0) TO (1000)")
    db.sql("ALTER TABLE whole ADD FOREIGN KEY (parent) REFERENCES whole (id)")
    stage(db, [(i, "", 999 if i == 3 else i - 1 if i else None) for i in range(20)])
    assert screened(db, 20) == {}


def test_screen_does_not_wait_for_partitions(db):
    db.sql("CREATE TABLE target (id bigint, note text, parent bigint CHECK (parent > 0)) PARTITION BY RANGE (id)")
    for n in range(2):
        db.sql(f"CREATE TABLE part{n} PARTITION OF target FOR VALUES FROM ({n * 1000}) TO ({n * 1000 + 1000})")
    stage(db, spoil(plain(20), {3, 4}, parent=0))
    with db.postgres.connect(db.database) as other:
        other.autocommit = False
        other.execute("LOCK TABLE part1")
        db.sql("SET lock_timeout = 100")
        assert sorted(screened(db, 20, rows="part0")) == [3, 4]
        other.rollback()


@pytest.mark.parametrize("why", ["another table", "deferred", "rls", "a trigger", "itself", "may not read"])
def test_screen_leaves_parents_that_may_still_come(db, why):
    rows = spoil(parents(db, " INITIALLY DEFERRED" if why == "deferred" else ""), {3, 4}, parent=11)
    if why == "rls":
        db.sql("ALTER TABLE parent ENABLE ROW LEVEL SECURITY")
    elif why == "a trigger":
        refuse(db, "INSERT INTO parent VALUES (NEW.parent)", when="AFTER")
    elif why == "itself":
        db.sql("ALTER TABLE target DROP CONSTRAINT target_parent_fkey, ADD UNIQUE (id)")
        db.sql("ALTER TABLE target ADD FOREIGN KEY (parent) REFERENCES target (id)")
    elif why == "may not read":
        db.sql("CREATE ROLE reads_nothing; GRANT USAGE ON SCHEMA pgsinkd TO reads_nothing")
        db.sql("GRANT INSERT, SELECT ON target TO reads_nothing; GRANT ALL ON staged TO reads_nothing")
        db.sql("SET ROLE reads_nothing")
    stage(db, rows)
    found = screened(db, len(rows), alone=why != "another table")
    db.sql("RESET ROLE")
    if why == "may not read":
        db.sql("DROP OWNED BY reads_nothing; DROP ROLE reads_nothing")
    assert found == {}


def test_screen_finds_texts_that_cannot_be_cast_and_says_why_each(db):
    db.sql("CREATE TABLE target (id bigint, note tsvector, parent bigint)")
    rows = spoil(spoil(plain(30), {2}, note="'a"), {7, 8}, note="'b")
    finds(db, rows, {2, 7, 8}, "42601", lambda place: f"syntax error in tsvector: \"{rows[place][1]}\"", "note", casts=["note"])


@pytest.mark.parametrize("known", [False, True])
def test_screen_blames_texts_only_if_others_pass(db, known):
    db.sql("CREATE TABLE target (id bigint, note tsvector, parent bigint)")
    stage(db, [(i, "'x" if i % 2 else None, None) for i in range(20)])
    assert sorted(screened(db, 20, casts=["note"], known=known)) == (list(range(1, 20, 2)) if known else [])


def test_screen_knows_only_the_input_of_a_type(db):
    """A cast of its own from text may take more."""
    db.sql("CREATE TYPE pair AS (a int, b int)")
    db.sql("CREATE FUNCTION to_pair(text) RETURNS pair LANGUAGE sql AS $$ SELECT ROW(1, 2)::pair $$")
    db.sql("CREATE CAST (text AS pair) WITH FUNCTION to_pair(text)")
    db.sql("CREATE TABLE target (note pair)")
    stage(db, [(i, "x" if i % 2 else "(1,2)", None) for i in range(20)])
    lines = db.sql(
        "SELECT * FROM pgsinkd.screen('staged', 0, 19, 'INSERT INTO target SELECT note::pair FROM pg_temp.staged"
        " WHERE place BETWEEN $1 AND $2', 'target'::regclass, '{note}', '{s.note::pair}', true,"
        " '{\"pgsinkd.cast_fault(r.note, NULL::pair)\"}', '{r.note}', '{pair}', '{note}', '{true}')"
    )
    assert lines == []


def test_screen_leaves_room_for_store_each(db):
    """What is left is stored in its order, and what only an attempt can find is found."""
    table(db, more=f"UNIQUE (id), {CHECK}")
    rows = spoil(spoil(plain(100), {10, 20, 99}, parent=0), {50, 51}, id=3)
    stage(db, rows)
    assert sorted(screened(db, 100)) == [10, 20, 99]
    lines = tried(db, (1, 0, 99))
    assert [(line.place, line.sqlstate) for line in lines if line.blame] == [(50, "23505"), (51, "23505")]
    assert ids(db) == [i for i in range(99) if i not in (10, 20, 50, 51)]


# Dead letters themselves

LETTER = (
    "INSERT INTO pgsinkd.dead_letters (sink, topic, partition, \"offset\", route, value, error_class, sqlstate,"
    " message) VALUES (%s, %s, %s, %s, %s, %s, 'record', %s, 'no')"
)  # fmt: skip


def letter(db, topic="t", partition=0, offset=0, route="r", value=b"v", sqlstate="22003", sink="s"):
    db.sql(LETTER, sink, topic, partition, offset, route, value, sqlstate)


def letters(db, columns='topic, partition, "offset", route'):
    return db.sql(f'SELECT {columns} FROM pgsinkd.dead_letters ORDER BY sink, topic, partition, "offset", route')


def test_a_record_that_fails_again_renews_its_letter(db):
    letter(db, value=b"first")
    db.sql("UPDATE pgsinkd.dead_letters SET failed_at = '2020-01-01', replay_requested_at = now()")
    letter(db, value=b"second", sqlstate="23505")
    letter(db, route="other")
    assert letters(db, "route, value, sqlstate, attempts, replay_requested_at, failed_at > '2021-01-01'") == [
        ("other", b"v", "22003", 1, None, True),
        ("r", b"second", "23505", 2, None, True),
    ]


@pytest.mark.parametrize(
    ("there", "is_new"),
    [
        ({}, False),
        ({"offset": 9}, False),
        ({"topic": "u", "partition": 3, "offset": 0, "route": "other"}, False),
        ({"offset": 4}, True),
        ({"offset": 10}, True),
        ({"partition": 1}, True),
        ({"topic": "v"}, True),
        ({"sink": "else"}, True),
        (None, True),
    ],
)
def test_letters_are_new_unless_one_is_there(db, there, is_new):
    """Of offsets 5 to 9 of t-0 and 0 of u-3; only for the transaction that has asked."""
    if there is not None:
        letter(db, **{"offset": 5} | there)
    renewed = 'SELECT attempts FROM pgsinkd.dead_letters WHERE topic = \'t\' AND "offset" = 100'
    letter(db, offset=100)
    with db.postgres.connect(db.database) as other:
        other.autocommit = False
        ask = "SELECT pgsinkd.letters_are_new('s', '{t,u}', '{0,3}', '{5,0}', '{10,1}')"
        assert other.execute(ask).fetchone() == (is_new,)
        other.execute("SAVEPOINT there")
        again = ["s", "t", 0, 100, "r", b"v", "22003"]
        if is_new:
            with pytest.raises(psycopg.errors.UniqueViolation):
                other.execute(LETTER, again)
            other.execute("ROLLBACK TO there")
        else:
            other.execute(LETTER, again)
        other.commit()
        assert other.execute(renewed).fetchone() == (1 if is_new else 2,)
        other.execute(LETTER, again)
        assert other.execute(renewed).fetchone() == (2 if is_new else 3,), "it is over with that transaction"
        other.rollback()


def test_take(db):
    for offset in range(4):
        letter(db, offset=offset)
    take = "SELECT pgsinkd.take_dead_letters(%s, %s, %s::int[], %s::bigint[], %s)"
    db.sql(take, "s", ["t", "t"], [0, 0], [3, 1], ["r", "r"])
    assert letters(db, '"offset"') == [(0,), (2,)]
    for missing in (("s", ["t", "t"], [0, 0], [0, 3], ["r", "r"]), ("x", ["t"], [0], [0], ["r"])):
        with pytest.raises(psycopg.Error, match="has no such dead letter") as caught:
            db.sql(take, *missing)
        assert caught.value.sqlstate == "SK001"
    assert letters(db, '"offset"') == [(0,), (2,)]


CHOICES = [
    ({}, ["a", "b", "c", "d"]),
    ({"route": "r2"}, ["c"]),
    ({"topic": "u"}, ["d"]),
    ({"topic": "t", "partition": 1}, ["b"]),
    ({"offset": 7}, ["c"]),
    ({"sqlstate": "23505"}, ["b"]),
    ({"sqlstate": "23"}, ["b", "c"]),
    ({"since": "2026-02-01"}, ["c", "d"]),
    ({"until": "2026-02-01"}, ["a", "b"]),
    ({"since": "2026-01-15", "until": "2026-02-02"}, ["b", "c"]),
    ({"max_count": 2}, ["a", "c"]),
    ({"sqlstate": "2", "max_count": 1}, ["a"]),
    ({"route": "none"}, []),
]


def four_letters(db):
    letter(db, value=b"a")
    letter(db, partition=1, value=b"b", sqlstate="23505")
    letter(db, offset=7, route="r2", value=b"c", sqlstate="23514")
    letter(db, topic="u", value=b"d", sqlstate=None)
    letter(db, sink="else", value=b"e")
    for value, time_ in (("a", "2026-01-01"), ("b", "2026-01-15"), ("c", "2026-02-01"), ("d", "2026-02-02")):
        db.sql("UPDATE pgsinkd.dead_letters SET failed_at = %s WHERE value = %s::text::bytea", time_, value)


def call(db, function, choice):
    named = "".join(f', "{name}" => %s' for name in choice)
    return db.value(f"SELECT pgsinkd.{function}('s'{named})", *choice.values())


def values(db, where):
    return [bytes(v).decode() for (v,) in db.sql(f"SELECT value FROM pgsinkd.dead_letters WHERE {where} ORDER BY 1")]


@pytest.mark.parametrize(("choice", "chosen"), CHOICES, ids=str)
def test_replay_marks_what_is_chosen_and_tells_the_daemon(db, choice, chosen):
    four_letters(db)
    heard = []
    db.db.add_notify_handler(lambda notice: heard.append((notice.channel, notice.payload)))
    db.sql("LISTEN pgsinkd")
    assert call(db, "replay", choice) == len(chosen)
    assert values(db, "replay_requested_at IS NOT NULL") == chosen
    assert heard == ([("pgsinkd", "replay:s")] if chosen else [])


@pytest.mark.parametrize(("choice", "chosen"), CHOICES, ids=str)
def test_discard_deletes_what_is_chosen(db, choice, chosen):
    four_letters(db)
    assert call(db, "discard", choice) == len(chosen)
    assert values(db, "true") == [v for v in "abcde" if v not in chosen]


def test_letters_are_readable(db):
    db.sql(
        "INSERT INTO pgsinkd.dead_letters (sink, topic, partition, \"offset\", route, key, value, header_names,"
        " header_values, error_class, message) VALUES"
        " ('s', 't', 0, 0, 'r', 'caf\\303\\251', '\\xff', '{trace, trace, \"\\\\xfe\"}', '{abc, NULL, \"\\\\x00\"}', 'record', 'm'),"
        " ('s', 't', 0, 1, 'r', NULL, '\\x6100', NULL, NULL, 'record', 'm')"
    )
    assert db.sql('SELECT key, value, headers FROM pgsinkd.dead_letters_text ORDER BY "offset"') == [
        (
            "café",
            None,
            [
                {"name": "trace", "value": "abc"},
                {"name": "trace", "value": None},
                {"name": "\\xfe", "value": "\\x00"},
            ],
        ),
        (None, None, None),
    ]


def test_the_manuals_sql_runs(db):
    """Every statement of docs/dead-letters.md, but for the examples that test_docs.py executes."""
    db.sql("SELECT pgsinkd.claim('orders', 'me', '{orders}', '{3}', '{0}', false)")
    for offset, value in ((18210, b'{"id": 7}'), (18211, b"\xff"), (18212, b'{"id": 9}')):
        letter(db, "orders", 3, offset, "public.orders", value, "23503", sink="orders")
    sections = re.split(r"^#+ ", (ROOT / "docs" / "dead-letters.md").read_text(), flags=re.M)
    blocks = "".join(s for s in sections if "```yaml" not in s).split("```sql\n")[1:]
    script = re.sub(r"--.*", "", "".join(block.split("```")[0] for block in blocks))
    answers = [db.sql(statement) for statement in script.split(";") if statement.strip()]
    assert answers[0][0][:4] == ("public.orders", "23503", None, 3)
    assert sorted((row[2], *row[4:]) for row in answers[1]) == [
        (18210, None, '{"id": 7}'), (18211, None, None), (18212, None, '{"id": 9}')
    ]  # fmt: skip
    assert answers[2] == [("7", "no"), (None, "no"), ("9", "no")]
    assert answers[3] == [("orders", 3)]
    assert answers[4:] == [[(3,)], [(3,)], [(3,)], [(1,)], [(3,)], [(1,)], [(0,)]]


def test_status_counts_them(db):
    db.sql("SELECT pgsinkd.claim('s', 'me', '{t}', '{0}', '{0}', false)")
    four_letters(db)
    assert db.sql("SELECT sink, dead_letters FROM pgsinkd.status") == [("s", 4)]


def test_a_daemon_upgrades_a_schema_from_before(bench):
    """The ledger of an older version is in use: it goes on where that stood."""
    log = bench.topic(partitions=1)
    bench.plain_table()
    log.fill(100)
    bench.sql("CREATE SCHEMA pgsinkd")
    apply_step(bench, steps()[0])
    bench.sql(
        "INSERT INTO pgsinkd.offsets (sink, topic, partition, next_offset, owner_epoch, owner)"
        " VALUES (%s, %s, 0, 40, 7, 'older')",
        bench.sink, log.topic,
    )  # fmt: skip
    refused = bench.drain(bench.config(log, postgres={"manage_schema": False}), code=4, allow=["has version 1"])
    assert "this program needs" in refused.log()
    bench.drain(bench.config(log))
    assert bench.value("SELECT max(version) FROM pgsinkd.schema_version") == len(steps())
    bench.check(log, start={0: 40})
