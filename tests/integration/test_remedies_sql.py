"""What the functions for operators answer when they find nothing, the order of views, and who may write history."""

import contextlib

import psycopg
import pytest

from kit.daemon import ROOT

LETTER = (
    'INSERT INTO pgsinkd.dead_letters (sink, topic, partition, "offset", route, error_class, message)'
    " VALUES ('orders', 'clicks', %s, %s, 'public.clicks', 'record', 'x')"
)
ROW = "INSERT INTO pgsinkd.offsets (sink, topic, partition, next_offset, owner_epoch) VALUES (%s, %s, %s, 10, 1)"


def steps():
    return sorted((ROOT / "sql").glob("[0-9]*.sql"))


def apply(bench, steps_of):
    for step in steps_of:
        done = bench.psql("-1", "-v", "schema=pgsinkd", "-f", step)
        assert done.returncode == 0, done.stderr


@pytest.fixture
def db(bench):
    """A session with the project's schema, two sinks in it, and a list of the notices it gets."""
    bench.sql("CREATE SCHEMA pgsinkd")
    apply(bench, steps())
    for sink, topic, partition in (("payments", "paid", 0), ("orders", "views", 1), ("orders", "clicks", 1),
                                   ("orders", "views", 0), ("orders", "clicks", 0)):  # fmt: skip
        bench.sql(ROW, sink, topic, partition)
    bench.said = []
    bench.db.add_notice_handler(lambda d: bench.said.append((d.message_primary, d.message_hint)))
    return bench


@contextlib.contextmanager
def role(bench, grants=""):
    name = f"{bench.sink}_someone"
    bench.sql(f"CREATE ROLE {name} LOGIN PASSWORD 'secret'")
    try:
        bench.sql(grants.format(name))
        with psycopg.connect(bench.dsn(user=name, password="secret"), autocommit=True) as session:
            yield session
    finally:
        bench.sql(f"DROP OWNED BY {name}")
        with bench.postgres.connect() as admin:
            admin.execute(f"DROP ROLE {name}")


def as_operator(bench):
    """Gives the rights of grants.sql to the role that is named."""
    grants = ROOT / "sql" / "grants.sql"
    done = bench.psql("-v", "schema=pgsinkd", "-v", f"operator={bench.sink}_someone", "-f", grants)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("function", ["replay", "discard"])
def test_dead_letters_that_do_not_exist(db, function):
    """A notice says what is missing, and what there is."""

    def ask(arguments):
        db.said.clear()
        assert db.value(f"SELECT pgsinkd.{function}({arguments})") == 0
        return db.said[-1] if db.said else None

    assert ask("'oders'") == ("nothing is known of sink 'oders'", "Known are: 'orders', 'payments'.")
    assert ask("NULL") == ("nothing is known of sink NULL", "Known are: 'orders', 'payments'.")
    assert ask("'orders'") is None, "it has none, which is right"
    assert ask("'orders', topic => 'click'") == (
        "the ledger of sink 'orders' has no topic 'click'", "It has: 'clicks', 'views'.",
    )  # fmt: skip
    for place in ((0, 3), (1, 4)):
        db.sql(LETTER, *place)
    assert ask("'orders', route => 'clicks'") == (
        "sink 'orders' has no dead letters of route 'clicks'", "It has some of: 'public.clicks'.",
    )  # fmt: skip
    assert ask("'orders', topic => 'views'") == (
        "sink 'orders' has no dead letters of topic 'views'", "It has some of: 'clicks'.",
    )  # fmt: skip
    said, hint = ask("'orders', topic => 'clicks', partition => 0, \"offset\" => 4")
    assert said == "sink 'orders' has no dead letter at topic 'clicks', partition 0, offset 4"
    assert len(db.sql(hint.removeprefix("To see which there are: "))) == 2
    assert ask("'orders', partition => 7")[0] == "sink 'orders' has no dead letter at partition 7"
    assert ask("'orders', sqlstate => '23', topic => 'clicks'") is None
    assert ask("'orders', until => now() - interval '90 days'") is None, "a job that deletes old ones"
    assert ask("'payments'") is None
    db.said.clear()
    assert db.value(f"SELECT pgsinkd.{function}('orders', \"offset\" => 3)") == 1 and not db.said


def test_an_empty_ledger_has_a_hint_too(db):
    db.sql("DELETE FROM pgsinkd.offsets WHERE sink = 'orders'")
    db.sql(LETTER, 0, 3)
    db.value("SELECT pgsinkd.seek('orders', 'clicks', 'latest')")
    assert db.said.pop() == ("the ledger of sink 'orders' has no topic 'clicks'", "It has no partition at all yet.")
    db.sql("TRUNCATE pgsinkd.offsets, pgsinkd.dead_letters")
    db.value("SELECT pgsinkd.replay('orders')")
    assert db.said.pop() == ("nothing is known of sink 'orders'", "No daemon has used this schema yet.")


@pytest.mark.parametrize("where", ["latest", "12"])
def test_a_seek_of_nothing(db, where):
    def ask(*arguments):
        db.said.clear()
        assert db.value(f"SELECT pgsinkd.seek(%s, %s, '{where}', %s)", *arguments) == 0
        return db.said

    assert ask("oders", None, None) == [("nothing is known of sink 'oders'", "Known are: 'orders', 'payments'.")]
    assert ask("orders", "click", None) == [
        ("the ledger of sink 'orders' has no topic 'click'", "It has: 'clicks', 'views'.")
    ]
    assert ask("orders", "clicks", 7) == [
        ("the ledger of sink 'orders' has no partition 7 of topic 'clicks'", "It has: 'views', clicks-0, clicks-1.")
    ]
    db.said.clear()
    assert db.value(f"SELECT pgsinkd.seek('orders', 'clicks', '{where}')") == 2 and not db.said


def test_a_reset_of_nothing(db):
    assert db.value("SELECT pgsinkd.reset('orders', 'click')") == 0
    assert db.said == [("the ledger of sink 'orders' has no topic 'click'", "It has: 'clicks', 'views'.")]
    db.said.clear()
    assert db.value("SELECT pgsinkd.reset('orders', 'clicks')") == 2 and not db.said


def test_a_resume_of_nothing(db):
    """Of what is known and does not stand, and of a pause of what is still to come, nothing is said."""

    def ask(*arguments):
        db.said.clear()
        assert db.value("SELECT pgsinkd.resume(%s, %s, %s)", *arguments) == 0
        return db.said

    assert ask("oders", None, None) == [("nothing is known of sink 'oders'", "Known are: 'orders', 'payments'.")]
    assert ask("orders", "click", None) == [
        ("the ledger of sink 'orders' has no topic 'click'", "It has: 'clicks', 'views'.")
    ]
    assert ask("orders", "clicks", 7) == [
        ("the ledger of sink 'orders' has no partition 7 of topic 'clicks'", "It has: 'views', clicks-0, clicks-1.")
    ]
    assert ask("orders", None, None) == [] and ask("orders", "clicks", 1) == []
    db.value("SELECT pgsinkd.pause('orders', 'click')")
    assert ask("orders", "click", None) == [], "the pause has ended"
    assert len(ask("orders", "click", None)) == 1
    db.value("SELECT pgsinkd.pause('orders', 'clicks')")
    db.said.clear()
    assert db.value("SELECT pgsinkd.resume('orders', 'clicks')") == 2 and not db.said


def test_who_may_not_look_gets_the_number(db):
    """A role with less than an operator has is not refused because of the notice."""
    less = (
        "GRANT USAGE ON SCHEMA pgsinkd TO {0}; GRANT SELECT, UPDATE, DELETE ON pgsinkd.dead_letters TO {0};"
        "GRANT SELECT, INSERT, UPDATE ON pgsinkd.seeks TO {0}"
    )
    with role(db, less) as session:
        assert session.execute("SELECT pgsinkd.replay('nobody')").fetchone() == (0,)
        assert session.execute("SELECT pgsinkd.discard('nobody', topic => 'x')").fetchone() == (0,)


def test_views_are_in_order(db):
    db.sql("INSERT INTO pgsinkd.paused (sink) VALUES ('orders'), ('payments')")
    keys = [("orders", "clicks", 0), ("orders", "clicks", 1), ("orders", "views", 0), ("orders", "views", 1),
            ("payments", "paid", 0)]  # fmt: skip
    for view in ("lag", "standing"):
        assert [row[:3] for row in db.sql(f"SELECT * FROM pgsinkd.{view}")] == keys
    db.sql(
        "INSERT INTO pgsinkd.heartbeats SELECT s, 'host:' || n, 'host', n, '1', now() - n * interval '1 hour', now(),"
        " 1, 1, 1, 1 FROM unnest(ARRAY['payments', 'orders']) AS s, generate_series(1, 3) AS n"
    )
    assert [row[:2] for row in db.sql("SELECT * FROM pgsinkd.instances")] == [
        (sink, f"host:{n}") for sink in ("orders", "payments") for n in (3, 2, 1)
    ]


def test_a_claim_reaches_what_stands_by_the_key(db):
    """The order of the view does not hide the index from a condition on the key."""
    db.sql("INSERT INTO pgsinkd.offsets (sink, topic, partition, next_offset, owner_epoch, standing)"
           " SELECT 'orders', 'many', n, 0, 1, 'stopped' FROM generate_series(1, 20000) n")  # fmt: skip
    db.sql("ANALYZE pgsinkd.offsets")
    plan = "\n".join(row[0] for row in db.sql(
        "EXPLAIN SELECT * FROM pgsinkd.standing WHERE sink = 'orders' AND topic = 'many' AND partition = 77"
    ))  # fmt: skip
    assert "Index Scan using offsets_pkey" in plan and "Seq Scan on offsets" not in plan, plan


# ---- history ----


FALSE_SPAN = (
    "INSERT INTO pgsinkd.history (sink, kind, owner, topics, partitions, froms, nexts)"
    " VALUES ('orders', '{}', 'me', '{{clicks}}', '{{0}}', '{{10}}', '{{99}}')"
)


def test_an_operator_adds_no_span(db):
    """Neither by an INSERT, nor by a function, nor by making the ledger's triggers those of another table."""
    with role(db) as session:
        as_operator(db)
        me = session.info.user
        for kind in ("store", "seek", "gap", "begin", "reset"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                session.execute(FALSE_SPAN.format(kind))
        session.execute("SELECT pgsinkd.note_move('store', 'me', 'orders', 'clicks', 0, 10, 99)")
        session.execute("CREATE TEMP TABLE offsets (LIKE pgsinkd.offsets)")
        session.execute("CREATE TEMP TABLE gaps (LIKE pgsinkd.gaps INCLUDING DEFAULTS)")
        session.execute("INSERT INTO pg_temp.offsets SELECT * FROM pgsinkd.offsets")
        for event, function in (("UPDATE ON offsets", "note_move_row()"), ("INSERT ON gaps", "note_move_row('gap')"),
                                ("UPDATE ON offsets", "tell()"), ("DELETE ON offsets", "tell()")):  # fmt: skip
            session.execute(f"CREATE TRIGGER t AFTER {event} FOR EACH ROW EXECUTE FUNCTION pgsinkd.{function}")
            statement = {
                "UPDATE ON offsets": "UPDATE pg_temp.offsets SET next_offset = 99, owner_epoch = 7",
                "DELETE ON offsets": "DELETE FROM pg_temp.offsets",
                "INSERT ON gaps": "INSERT INTO pg_temp.gaps (sink, topic, partition, from_offset, next_offset, reason)"
                                  " VALUES ('orders', 'clicks', 0, 10, 99, 'x')",
            }[event]  # fmt: skip
            with pytest.raises(psycopg.errors.InsufficientPrivilege, match="for the ledger"):
                session.execute(statement)
            session.execute(f"DROP TRIGGER t ON {event.split()[-1]}")
        assert db.sql("SELECT * FROM pgsinkd.history") == []
        # what it really moves is noted, under its name, and also under that of SET ROLE
        session.execute("SELECT pgsinkd.seek('orders', 'clicks', 0, 5)")
        session.execute("UPDATE pgsinkd.offsets SET next_offset = 6 WHERE topic = 'clicks' AND partition = 0")
        session.execute("SELECT pgsinkd.reset('orders', 'clicks')")
        noted = db.sql("SELECT kind, owner, partitions[1], froms[1], nexts[1] FROM pgsinkd.history ORDER BY id")
        assert noted == [("seek", me, 0, 10, 5), ("seek", me, 0, 5, 6), ("reset", me, 0, 6, None), ("reset", me, 1, 10, None)]
        db.sql(f"SET ROLE {me}")
        db.sql("SELECT pgsinkd.seek('orders', 'views', 0, 5)")
        db.sql("RESET ROLE")
        assert db.value("SELECT owner FROM pgsinkd.history ORDER BY id DESC LIMIT 1") == me


def test_the_step_takes_the_right_from_operators(bench):
    """Those of the former version could insert the columns of a move; a daemon's role keeps its right on the table."""
    bench.sql("CREATE SCHEMA pgsinkd")
    apply(bench, steps()[:9])
    daemon = f'{bench.sink}" daemon'
    quoted = '"' + daemon.replace('"', '""') + '"'
    bench.sql(f"CREATE ROLE {quoted}")
    former = "GRANT INSERT (sink, kind, owner, topics, partitions, froms, nexts) ON pgsinkd.history TO {0}"
    with role(bench, former) as session:
        bench.sql(f"GRANT INSERT ON pgsinkd.history TO {quoted}")
        for name in (session.info.user, daemon):
            assert bench.value("SELECT has_column_privilege(%s, 'pgsinkd.history', 'froms', 'INSERT')", name)
        apply(bench, steps()[9:])
        may = "SELECT has_any_column_privilege(%s, 'pgsinkd.history', 'INSERT')"
        assert not bench.value(may, session.info.user) and bench.value(may, daemon)
    bench.sql(f"DROP OWNED BY {quoted}")
    with bench.postgres.connect() as admin:
        admin.execute(f"DROP ROLE {quoted}")
