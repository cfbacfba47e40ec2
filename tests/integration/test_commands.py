"""Commands, exit codes, and that no secret is ever printed."""

import os
import pty
import re
import subprocess

import pytest

from kit import daemon
from kit.postgres import SUPERUSER

SECRET = "s3cr3t-Wort"


@pytest.fixture
def with_password(bench):
    """A role that needs a password, and the DSN that has it."""
    role = f"{bench.sink}_role"
    bench.sql(f"CREATE ROLE {role} LOGIN PASSWORD '{SECRET}'")
    bench.sql(f"GRANT CREATE ON DATABASE {bench.database} TO {role}")
    yield role
    with bench.postgres.connect() as admin:
        bench.sql(f"DROP OWNED BY {role}")
        admin.execute(f"DROP ROLE {role}")


def said(done):
    return done.stdout + done.stderr


def error_lines(done):
    return [line for line in done.stderr.splitlines() if line and not line.startswith("HINT: ")]


# run


@pytest.mark.quick
@pytest.mark.system
def test_until_end_takes_what_is_there_at_the_start(bench):
    log = bench.topic(partitions=4)
    bench.plain_table()
    log.fill(10_000)
    d = bench.drain(bench.config(log))
    assert d.lines("info")
    log.fill(10_000)
    bench.drain(bench.config(log))
    bench.drain(bench.config(log))
    bench.check(log)


def test_until_end_shared_by_two(bench):
    """Both end, and together they have stored everything."""
    log = bench.topic(partitions=4)
    bench.plain_table()
    log.fill(40_000)
    config = bench.config(log, batch={"max_rows": 500})
    both = [bench.start(config, ready=False, args=["--until-end"]) for _ in range(2)]
    assert [d.wait_exit(60) for d in both] == [0, 0]
    bench.check(log)


@pytest.mark.parametrize(
    "argv",
    [
        [],
        ["frobnicate"],
        ["run"],
        ["run", "-c"],
        ["run", "--no-such-option", "-c", "x.yaml"],
        ["check"],
        ["run", "-c", "x.yaml", "surplus"],
        ["run", "-c", "x.yaml", "--config", "y.yaml"],
    ],
)
def test_usage_errors_exit_2(argv):
    done = daemon.command(*argv)
    assert done.returncode == 2, said(done)
    assert done.stderr.strip()


def test_version():
    done = daemon.command("version")
    assert done.returncode == 0
    assert re.match(r"pgsinkd \d+\.\d+\.\d+", done.stdout)


def test_help():
    done = daemon.command("--help")
    assert done.returncode == 0
    assert "run" in done.stdout


BAD_YAML = {
    "syntax": ("sink: [a\n", r":\d+:\d+: "),
    "unknown key": ("sink: a\nkafka:\n  brokers: x:1\n  brokres: y\n", r":4:3: .*brokres.*\n.*brokers"),
    "wrong type": ("sink: a\nworkers: many\n", r":2:10: .*workers"),
    "out of range": ("sink: a\nworkers: 100000\n", r":2:10: .*workers"),
    "duplicate key": ("sink: a\nsink: b\n", r":2:1: .*sink"),
    "missing key": ("sink: a\nkafka: {brokers: 'x:1'}\nroutes:\n  - topics: [t]\n", r":\d+:\d+: .*table"),
    "forbidden property": (
        "sink: a\nkafka:\n  brokers: x:1\n  properties: {enable.auto.commit: true}\n"
        "routes:\n  - {topics: [t], table: t}\n",
        r":4:\d+: .*enable\.auto\.commit",
    ),
    "unknown property": (
        "sink: a\nkafka:\n  brokers: x:1\n  properties: {no.such.thing: 1}\nroutes:\n  - {topics: [t], table: t}\n",
        r":4:\d+: .*no\.such\.thing",
    ),
    "bad dsn": (
        "sink: a\nkafka: {brokers: 'x:1'}\npostgres:\n  dsn: 'dbname=x nonsense'\nroutes:\n  - {topics: [t], table: t}\n",
        r":4:\d+: ",
    ),
    "bad regex": ("sink: a\nkafka: {brokers: 'x:1'}\nroutes:\n  - {topics: ['^(a'], table: t}\n", r":4:\d+: "),
}


@pytest.mark.parametrize("name", BAD_YAML)
@pytest.mark.parametrize("verb", ["run", "check", "config"])
def test_a_bad_config_file_exits_3(tmp_path, name, verb):
    text, pattern = BAD_YAML[name]
    path = tmp_path / "bad.yaml"
    path.write_text(text)
    done = daemon.command(verb, "-c", path)
    assert done.returncode == 3, said(done)
    assert re.search(re.escape(str(path)) + pattern, done.stderr), done.stderr


def test_a_config_file_is_named_once(tmp_path):
    """Neither of two is taken in silence; and a letter is no number of a process."""
    twice = daemon.command("config", "-c", "x.yaml", "-c", "y.yaml")
    assert twice.stderr.startswith("pgsinkd: -c is there twice: 'x.yaml' and 'y.yaml'\n"), twice.stderr
    (tmp_path / "orders.yaml").write_text("")
    letter = daemon.command("config", "-c", tmp_path / "orders:a.yaml")
    assert letter.returncode == 3
    assert "HINT: After the ':' comes the number of a process, as in orders:2.yaml" in letter.stderr


def test_a_missing_config_file_exits_3(tmp_path):
    done = daemon.command("run", "-c", tmp_path / "none.yaml")
    assert done.returncode == 3
    assert "none.yaml" in done.stderr


# Target faults: the operator must act, so there is no retry


def target_fault(bench, config, pattern, verb="run", code=4):
    done = bench.command(verb, config, env={"PGSINKD_FAILTIMES": "refused_start=500"})
    assert done.returncode == code, said(done)
    assert re.search(pattern, done.stderr), done.stderr
    return done


@pytest.mark.parametrize("verb", ["run", "check"])
def test_a_missing_table_exits_4(bench, verb):
    log = bench.topic()
    done = target_fault(bench, bench.config(log, "no_such_table"), "no_such_table", verb)
    assert re.search(r"^HINT: [A-Z].*\.( \(PGS-\d+\))?$", done.stderr, re.MULTILINE), done.stderr


def test_no_grant_on_the_table_exits_4(bench, with_password):
    log = bench.topic()
    bench.plain_table()
    dsn = bench.dsn(user=with_password, password=SECRET)
    target_fault(bench, bench.config(log, postgres={"dsn": dsn}), "events")
    assert bench.value("SELECT to_regclass('pgsinkd.offsets') IS NOT NULL") in (True, False)


def test_a_wrong_password_exits_1(bench, with_password):
    """It may be right a moment later, so the service manager starts it again."""
    log = bench.topic()
    bench.plain_table()
    dsn = bench.dsn(user=with_password, password="wr0ng-Wort")
    done = target_fault(bench, bench.config(log, postgres={"dsn": dsn}), "password", code=1)
    assert "wr0ng" not in said(done)


def test_a_missing_database_exits_1(bench):
    log = bench.topic()
    dsn = bench.postgres.dsn("no_such_database")
    target_fault(bench, bench.config(log, postgres={"dsn": dsn}), "no_such_database", code=1)


def test_a_newer_schema_exits_4(bench):
    """Found by what holds the version: the table of the schema's steps, whatever its columns are."""
    log = bench.topic()
    bench.plain_table()
    assert bench.command("init", bench.config(log)).returncode == 0
    table, column = bench.sql(
        "SELECT c.relname, a.attname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid"
        " WHERE c.relnamespace = 'pgsinkd'::regnamespace AND c.relkind = 'r' AND a.attnum > 0"
        " AND a.atttypid IN ('int4'::regtype, 'int8'::regtype)"
        " AND (a.attname IN ('version', 'step') OR c.relname LIKE '%%version%%' OR c.relname LIKE '%%schema%%')"
    )[0]
    bench.sql(f'INSERT INTO pgsinkd."{table}" ("{column}") VALUES (9999)')
    for verb in ("run", "check", "init"):
        target_fault(bench, bench.config(log), "9999|newer", verb)


def test_an_unmanaged_schema_is_only_checked(bench):
    log = bench.topic()
    bench.plain_table()
    config = bench.config(log, postgres={"manage_schema": False})
    target_fault(bench, config, "pgsinkd")
    assert not bench.value("SELECT to_regnamespace('pgsinkd') IS NOT NULL")
    assert bench.command("init", bench.config(log)).returncode == 0
    log.fill(100)
    bench.drain(config)
    bench.check(log)


def test_two_daemons_starting_at_once_make_the_schema_together(bench):
    log = bench.topic(partitions=4)
    bench.plain_table()
    log.fill(2000)
    config = bench.config(log)
    for _ in range(3):
        bench.start(config, ready=False)
    for d in bench.daemons:
        d.wait_ready()
    bench.wait_stored(log)
    bench.check(log)


# check, config, init


def test_check_prints_the_plan(bench):
    log = bench.topic(partitions=3)
    bench.plain_table()
    bench.sql("ALTER TABLE events ADD city text, ADD unfilled text")
    done = bench.command("check", bench.config(log, route={"columns": {"city": "value.address.city"}}))
    assert done.returncode == 0, said(done)
    for word in (log.topic, "events", "value.address.city", "unfilled", "amount", "numeric"):
        assert word in done.stdout, done.stdout
    assert re.search(rf"{re.escape(log.topic)}.*\b3\b", done.stdout), done.stdout
    assert not bench.value("SELECT to_regnamespace('pgsinkd') IS NOT NULL"), "check must not write"
    assert bench.rows() == 0


def test_check_says_which_way_each_column_goes(bench):
    log = bench.topic()
    bench.sql("CREATE TYPE mood AS ENUM ('good'); CREATE DOMAIN score AS int4 CHECK (VALUE > 0)")
    bench.sql("CREATE TABLE events (_partition int, _offset bigint, area polygon, m mood, s score[], p point[])")
    done = bench.command("check", bench.config(log))
    assert done.returncode == 0, said(done)
    ways = {line.split()[0]: line.split("  ")[-1] for line in done.stdout.splitlines() if " <- " in line}
    assert ways == {
        "_partition": "int4 binary", "_offset": "int8 binary", "area": "text, cast to polygon", "m": "enum binary",
        "s": "int4 array binary", "p": "text, cast to point[]",
    }  # fmt: skip


def test_check_without_kafka_exits_5(bench):
    bench.plain_table()
    config = bench.config(topics=["x"], kafka={"brokers": "127.0.0.1:1"})
    done = bench.command("check", config)
    assert done.returncode == 5, said(done)


def test_check_without_postgresql_exits_4(bench):
    log = bench.topic()
    done = bench.command("check", bench.config(log, postgres={"dsn": "host=127.0.0.1 port=1 dbname=x"}))
    assert done.returncode == 4, said(done)


def test_config_prints_what_holds_and_needs_no_server(bench):
    config = bench.config(topics=["x"], kafka={"brokers": "127.0.0.1:1"},
                          postgres={"dsn": f"host=127.0.0.1 port=1 dbname=x password={SECRET}"})  # fmt: skip
    done = bench.command("config", config)
    assert done.returncode == 0, said(done)
    assert SECRET not in said(done)
    for word in ("on_gap: stop", "commit_interval: 5s", "exactly_once", "max_rows: 50000", f"sink: {bench.sink}"):
        assert word in done.stdout, done.stdout
    # What it prints is a config file again, and says the same.
    again = bench.command("config", done.stdout)
    assert again.returncode == 0, said(again)
    assert again.stdout == done.stdout


def test_init_print_is_a_script_for_psql(bench):
    log = bench.topic()
    bench.plain_table()
    printed = bench.command("init", bench.config(log), "--print")
    assert printed.returncode == 0, said(printed)
    assert not bench.value("SELECT to_regnamespace('pgsinkd') IS NOT NULL")
    assert "GRANT" in printed.stdout
    script = bench.root / "init.sql"
    script.write_text(printed.stdout)
    unnamed = bench.psql("-f", script)
    assert unnamed.returncode == 0 and "no role is granted anything" in unnamed.stderr, unnamed.stderr
    assert "-v reader=NAME" in unnamed.stderr
    named = bench.psql("-v", f"role={SUPERUSER}", "-f", script)
    assert named.returncode == 0 and "no role is granted" not in named.stderr, named.stderr
    log.fill(100)
    bench.drain(bench.config(log, postgres={"manage_schema": False}))
    bench.check(log)


def test_init_twice_is_fine(bench):
    log = bench.topic()
    bench.plain_table()
    for _ in range(2):
        done = bench.command("init", bench.config(log))
        assert done.returncode == 0, said(done)


def test_a_role_with_no_more_than_the_grants_is_enough(bench, with_password):
    """The schema is made by its owner; the daemon's role has what init grants or prints, and INSERT."""
    log = bench.topic(partitions=2)
    bench.plain_table()
    assert bench.command("init", bench.config(log)).returncode == 0
    role = with_password
    bench.sql(f"REVOKE CREATE ON DATABASE {bench.database} FROM {role}")
    bench.sql(f"GRANT USAGE ON SCHEMA pgsinkd TO {role}")
    bench.sql(f"GRANT SELECT, INSERT, UPDATE ON ALL TABLES IN SCHEMA pgsinkd TO {role}")
    bench.sql(f"GRANT DELETE ON pgsinkd.dead_letters, pgsinkd.seeks, pgsinkd.heartbeats TO {role}")
    bench.sql(f"GRANT USAGE ON ALL SEQUENCES IN SCHEMA pgsinkd TO {role}")
    bench.sql(f"GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA pgsinkd TO {role}")
    bench.sql(f"GRANT INSERT ON events TO {role}")
    log.fill(1000)
    dsn = bench.dsn(user=role, password=SECRET)
    d = bench.drain(bench.config(log, postgres={"dsn": dsn}))
    assert SECRET not in d.log()
    bench.check(log)


def test_check_finds_rights_on_the_database(bench, with_password):
    """What `run` needs to install the schema is a fault; temporary tables are one only for tables that need them."""
    log = bench.topic()
    bench.plain_table()
    role = with_password
    bench.sql(f"GRANT INSERT ON events TO {role}")
    config = bench.config(log, postgres={"dsn": bench.dsn(user=role, password=SECRET)})
    assert bench.command("check", config).stderr == ""
    bench.sql(f"REVOKE CREATE ON DATABASE {bench.database} FROM {role}")
    bench.sql(f"REVOKE TEMPORARY ON DATABASE {bench.database} FROM PUBLIC")
    done = bench.command("check", config)
    assert done.returncode == 4, said(done)
    assert f'GRANT CREATE, TEMPORARY ON DATABASE "{bench.database}" TO "{role}";' in done.stderr
    assert "warning: " in done.stderr and f"HINT: GRANT TEMPORARY ON DATABASE {bench.database} TO {role};" in done.stderr
    assert bench.command("run", config).returncode == 4
    bench.sql(f"GRANT CREATE ON DATABASE {bench.database} TO {role}")
    done = bench.command("check", config)
    assert done.returncode == 0 and "may not create temporary tables" in done.stderr, said(done)
    assert done.stdout.endswith("ok, with 1 warning\n")
    bench.sql(f"CREATE TABLE keyed (id bigint PRIMARY KEY, note text); CREATE TABLE cast_to (id bigint, area polygon);"
              f"GRANT ALL ON keyed, cast_to TO {role}")  # fmt: skip
    for table, route in (("keyed", {"mode": "upsert", "key": ["id"]}), ("cast_to", {})):
        needs = bench.config(log, table, route=route, postgres={"dsn": bench.dsn(user=role, password=SECRET)})
        done = bench.command("check", needs)
        assert done.returncode == 4 and f'"{table}": its large batches cannot be stored' in done.stderr, said(done)
    log.fill(100)
    bench.drain(config)
    bench.check(log)


def test_check_finds_a_schema_that_it_may_not_upgrade(bench, with_password):
    log = bench.topic()
    bench.plain_table()
    role = with_password
    assert bench.command("init", bench.config(log)).returncode == 0
    bench.sql("DELETE FROM pgsinkd.schema_version WHERE version > 1")
    bench.sql(f"GRANT USAGE ON SCHEMA pgsinkd TO {role}; GRANT SELECT ON ALL TABLES IN SCHEMA pgsinkd TO {role}")
    bench.sql(f"GRANT INSERT ON events TO {role}")
    config = bench.config(log, postgres={"dsn": bench.dsn(user=role, password=SECRET)})
    done = bench.command("check", config)
    assert done.returncode == 4 and "must be upgraded" in done.stderr and "HINT: " in done.stderr, said(done)
    bench.sql(f"GRANT CREATE ON SCHEMA pgsinkd TO {role}")
    assert bench.command("check", config).returncode == 4
    assert bench.command("run", config).returncode == 4


def test_functions_that_public_may_not_execute(bench, with_password):
    """A hardened database: `check` and `run` say which GRANT is missing, and init --print has it."""
    log = bench.topic()
    bench.plain_table()
    role = with_password
    bench.sql("ALTER DEFAULT PRIVILEGES REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC")
    bench.sql(f"GRANT INSERT ON events TO {role}")
    assert bench.command("init", bench.config(log)).returncode == 0
    bench.sql(f"REVOKE CREATE ON DATABASE {bench.database} FROM {role}")
    config = bench.config(log, postgres={"dsn": bench.dsn(user=role, password=SECRET)})
    printed = bench.command("init", bench.config(log), "--print").stdout
    bench.root.joinpath("grants.sql").write_text(printed)
    assert bench.psql("-v", f"role={role}", "-f", bench.root / "grants.sql").returncode == 0
    bench.sql(f"REVOKE EXECUTE ON FUNCTION pgsinkd.claim(text, text, text[], int[], bigint[], text[], boolean) FROM {role}")
    bench.sql(f"REVOKE UPDATE, SELECT ON pgsinkd.offsets FROM {role}")
    for verb, table, schema, to in (
        ("check", 'TABLE "pgsinkd"."offsets"', '"pgsinkd"', f'"{role}"'),
        ("run", "pgsinkd.offsets", "pgsinkd", role),
    ):
        done = bench.command(verb, config)
        assert done.returncode == 4
        assert f"GRANT SELECT, UPDATE ON {table} TO {to};" in done.stderr
        assert f"GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA {schema} TO {to};" in done.stderr
    bench.sql(f"GRANT SELECT, UPDATE ON pgsinkd.offsets TO {role}")
    assert "no EXECUTE privilege on 1 of its functions, claim() among them" in bench.command("run", config).stderr
    bench.sql(f"GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA pgsinkd TO {role}")
    assert bench.command("check", config).returncode == 0
    log.fill(20)
    bench.drain(config)
    bench.check(log)


# Secrets


@pytest.mark.parametrize("form", ["keywords", "uri", "environment", "file"])
def test_no_secret_is_ever_printed(bench, with_password, form, tmp_path):
    log = bench.topic()
    bench.plain_table()
    bench.sql(f"GRANT ALL ON events TO {with_password}")
    log.fill(100)
    port, role = bench.postgres.port, with_password
    env = {}
    if form == "keywords":
        dsn = bench.dsn(user=role, password=SECRET)
    elif form == "uri":
        dsn = f"postgresql://{role}:{SECRET}@127.0.0.1:{port}/{bench.database}"
    elif form == "environment":
        dsn = bench.dsn(user=role, password="${SINK_PASSWORD}")
        env["SINK_PASSWORD"] = SECRET
    else:
        (tmp_path / "password").write_text(SECRET + "\n")
        dsn = bench.dsn(user=role, password="${file:" + str(tmp_path / "password") + "}")
    config = bench.config(
        log, postgres={"dsn": dsn}, log={"level": "debug"}, properties={"sasl.password": "an0ther-Wort"}
    )
    for verb in ("config", "check", "init"):
        done = bench.command(verb, config, env=env)
        assert done.returncode == 0, said(done)
        assert SECRET not in said(done) and "an0ther-Wort" not in said(done)
    d = bench.drain(config, env=env)
    assert SECRET not in d.log() and "an0ther-Wort" not in d.log()
    bench.check(log)


def test_environment_variables_of_libpq_work(bench):
    log = bench.topic()
    bench.plain_table()
    log.fill(100)
    env = {"PGHOST": "127.0.0.1", "PGPORT": str(bench.postgres.port), "PGUSER": "operator",
           "PGDATABASE": bench.database}  # fmt: skip
    bench.drain(bench.config(log, postgres={"dsn": ""}), env=env)
    bench.check(log)


def test_errors_are_one_line_each_in_lower_case(bench):
    log = bench.topic()
    done = bench.command("run", bench.config(log, "no_such_table"))
    lines = error_lines(done)
    assert lines
    for line in lines:
        text = re.sub(r"^\S+Z (error|warning|notice|info) \S+: ", "", line)
        assert not re.match(r"[A-Z][a-z]", text), line
        assert not text.endswith("."), line


@pytest.mark.sanitize
def test_progress_is_logged_when_there_is_no_terminal(bench):
    log = bench.topic(partitions=2)
    bench.plain_table()
    log.fill(20_000)
    d = bench.drain(bench.config(log))
    assert any("20000" in re.sub(r"[,_ ']", "", line) for line in d.lines("info")), d.log()
    bench.check(log)


def test_progress_is_a_bar_on_a_terminal(bench, tmp_path):
    """Small batches keep it busy for a while, so that the bar is drawn in between."""
    log = bench.topic(partitions=2)
    bench.plain_table()
    log.fill(20_000)
    bench.sql("CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS"
              " $$ BEGIN PERFORM pg_sleep(0.05); RETURN NULL; END $$")  # fmt: skip
    bench.sql("CREATE TRIGGER slow AFTER INSERT ON events FOR EACH STATEMENT EXECUTE FUNCTION slow()")
    path = tmp_path / "bar.yaml"
    path.write_text(daemon.yaml(bench.config(log, batch={"max_rows": 200})) + "\n")
    ours, its = pty.openpty()
    with subprocess.Popen([str(daemon.BINARY), "run", "-c", str(path), "--until-end"], stdin=subprocess.DEVNULL,
                          stdout=its, stderr=its, env=daemon.environment()) as popen:  # fmt: skip
        os.close(its)
        shown = b""
        try:
            while data := os.read(ours, 4096):
                shown += data
        except OSError:  # the terminal's end: its last user has gone
            pass
        os.close(ours)
        assert popen.wait(30) == 0, shown.decode()
    assert re.search(r"\[[#.]+\] +\d+ %  \d+ rows  \d+ rows/s  lag \d+  eta ", shown.decode()), shown.decode()
    bench.check(log)
