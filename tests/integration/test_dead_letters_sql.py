"""The SQL of dead letters by itself: store_each() finds the bad rows of a staged batch, and only those; the
functions for operators; the upgrade of a database from before there were dead letters."""

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
    bench.sql(step.read_text().replace(':"schema"', "pgsinkd"))


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




def refuse(db, body):
    db.sql(RAISES.format(body=body))
    db.sql("CREATE TRIGGER early BEFORE INSERT ON target FOR EACH ROW EXECUTE FUNCTION refuse()")


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
