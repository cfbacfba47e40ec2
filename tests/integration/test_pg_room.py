"""The PostgreSQL room by itself: C programs against a real server, and the schema as psql sees it."""

import os
import re
import subprocess

import psycopg
import pytest

from kit.daemon import BINARY, ROOT
from kit.postgres import bindir

PROGRAMS = BINARY.parent / "tests" / "unit" / "pg"


@pytest.fixture
def database(postgres):
    """An empty database; roles named unit... go with it."""
    postgres.drop_database("unit")
    postgres.create_database("unit")
    yield "unit"
    postgres.drop_database("unit")
    with postgres.connect() as admin:
        for (role,) in admin.execute("SELECT rolname FROM pg_roles WHERE rolname LIKE 'unit%'").fetchall():
            admin.execute(f'DROP ROLE "{role}"')


@pytest.mark.sanitize
@pytest.mark.parametrize("name", ["conn", "ledger", "rows", "schema", "txn"])
def test_room(postgres, database, name):
    env = os.environ | {"PGSINKD_TEST_DSN": postgres.dsn(database)}
    done = subprocess.run(
        [PROGRAMS / f"pg_server_{name}"], env=env, capture_output=True, text=True, timeout=110
    )
    print(done.stdout, done.stderr)
    assert done.returncode == 0
    assert re.search(r"PASSED  \] [1-9]", done.stdout + done.stderr), "nothing was tested"


def psql(postgres, database, *argv, script=None):
    done = subprocess.run(
        [bindir("psql") / "psql", "-X", "-h", postgres.host, "-p", str(postgres.port), "-U", "operator", *argv, database],
        input=script, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def printed(schema):
    return subprocess.run(
        [PROGRAMS / "pg_server_schema", "print", schema], check=True, capture_output=True, text=True
    ).stdout


def objects(postgres, database, schema):
    """What is in a schema, in words that do not depend on its name."""
    with postgres.connect(database) as db:
        return db.execute(
            """
            SELECT c.relkind::text || ' ' || c.relname || coalesce(' ' || c.reloptions::text, '') FROM pg_class c
             WHERE c.relnamespace = %(s)s::regnamespace
            UNION ALL
            SELECT p.proname || ' ' || pg_get_function_identity_arguments(p.oid) FROM pg_proc p
             WHERE p.pronamespace = %(s)s::regnamespace
            UNION ALL
            SELECT t.tgname FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid
             WHERE c.relnamespace = %(s)s::regnamespace
            ORDER BY 1
            """,
            {"s": f'"{schema}"'},
        ).fetchall()


def test_files_and_printed_script_make_the_same_schema(postgres, database):
    psql(postgres, database, "-c", "CREATE SCHEMA by_hand")
    steps = sorted((ROOT / "sql").glob("[0-9]*.sql"))
    assert steps
    for step in steps:
        psql(postgres, database, "-1", "-v", "ON_ERROR_STOP=1", "-v", "schema=by_hand", "-f", step)
    psql(postgres, database, script=printed("Printed 'One'"))
    made = objects(postgres, database, "by_hand")
    assert made
    assert made == objects(postgres, database, "Printed 'One'")


def test_printed_script_does_only_what_is_missing_and_grants(postgres, database):
    with postgres.connect() as admin:
        admin.execute("CREATE ROLE unit_daemon LOGIN PASSWORD 'secret'")
    psql(postgres, database, script=printed("pgsinkd"))
    psql(postgres, database, "-v", "role=unit_daemon", script=printed("pgsinkd"))
    with psycopg.connect(
        postgres.dsn(database, user="unit_daemon", password="secret"), autocommit=True
    ) as daemon:
        daemon.execute("SELECT pgsinkd.claim('s', 'me', '{t}', '{0}', '{0}', false)")
        daemon.execute("SELECT pgsinkd.advance('s', '{t}', '{0}', '{1}', '{0}', '{5}', '{-1}', '{-1}', '{-1}')")
        daemon.execute("SELECT pgsinkd.gap('s', 't', 0, 1, 5, 9, 'test')")
        assert daemon.execute("SELECT next_offset FROM pgsinkd.lag").fetchone() == (9,)
        assert daemon.execute("SELECT gaps FROM pgsinkd.status").fetchone() == (1,)
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            daemon.execute("DELETE FROM pgsinkd.offsets")
        daemon.execute(
            'INSERT INTO pgsinkd.dead_letters (sink, topic, partition, "offset", route, error_class, message)'
            " SELECT 's', 't', 0, o, 'r', 'record', 'm' FROM generate_series(1, 4) o"
        )
        assert daemon.execute("SELECT pgsinkd.replay('s', \"offset\" => 1)").fetchone() == (1,)
        assert daemon.execute("SELECT pgsinkd.discard('s', \"offset\" => 2)").fetchone() == (1,)
        daemon.execute("SELECT pgsinkd.take_dead_letters('s', '{t}', '{0}', '{1}', '{r}')")
        assert daemon.execute("SELECT count(*) FROM pgsinkd.dead_letters_text").fetchone() == (2,)


def test_everything_is_commented(postgres, database):
    psql(postgres, database, script=printed("pgsinkd"))
    with postgres.connect(database) as db:
        bare = db.execute(
            """
            SELECT c.relname FROM pg_class c WHERE c.relnamespace = 'pgsinkd'::regnamespace
               AND c.relkind IN ('r', 'v') AND obj_description(c.oid, 'pg_class') IS NULL
            UNION ALL
            SELECT p.proname FROM pg_proc p WHERE p.pronamespace = 'pgsinkd'::regnamespace
               AND obj_description(p.oid, 'pg_proc') IS NULL
            UNION ALL
            SELECT t.tgname FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid
             WHERE c.relnamespace = 'pgsinkd'::regnamespace AND obj_description(t.oid, 'pg_trigger') IS NULL
            UNION ALL
            SELECT a.attname FROM pg_attribute a WHERE a.attnum > 0
               AND a.attrelid IN ('pgsinkd.offsets'::regclass, 'pgsinkd.dead_letters'::regclass)
               AND col_description(a.attrelid, a.attnum) IS NULL
            """
        ).fetchall()
    assert bare == []


def test_updates_of_the_ledger_stay_heap_only(postgres, database):
    psql(postgres, database, script=printed("pgsinkd"))
    with postgres.connect(database) as db:
        db.execute(
            "SELECT pgsinkd.claim('s', 'me', array_agg('t'::text), array_agg(g), array_agg(0::bigint), false)"
            " FROM generate_series(0, 15) g"
        )
        for n in range(200):
            db.execute(
                "SELECT pgsinkd.advance('s', array_agg('t'::text), array_agg(g), array_agg(1::bigint),"
                " array_agg(%(n)s::bigint), array_agg(%(n)s + 1::bigint), array_agg(-1), array_agg(1::bigint),"
                " array_agg(9::bigint)) FROM generate_series(0, 15) g",
                {"n": n},
            )
        db.execute("SELECT pg_stat_force_next_flush()")
        updates, hot = db.execute(
            "SELECT n_tup_upd, n_tup_hot_upd FROM pg_stat_user_tables"
            " WHERE schemaname = 'pgsinkd' AND relname = 'offsets'"
        ).fetchone()
    assert updates == 3200
    assert hot > updates * 0.95
