"""PostgreSQL refuses a connection: a login, a database, an address. The daemon lives, says so once, and goes on by
itself when it is let in again; at a start it gives up after a while, for the service manager to start it again.
"""

import contextlib
import os
import shutil
import subprocess

import psycopg
import pytest

from kit import process, wait
from kit.login import PASSWORD, Login

# Times of the daemon that are minutes of a test otherwise: a refused connection is tried every 200 ms, for 1 s at a start.
QUICK = {"PGSINKD_FAILTIMES": "refused_pause=200,refused_start=1000"}


@pytest.fixture
def login(bench):
    login = Login(bench)
    yield login
    bench.stop()
    login.close()


@contextlib.contextmanager
def nologin(login):
    login.sql(f"ALTER ROLE {login.role} NOLOGIN")
    yield
    login.sql(f"ALTER ROLE {login.role} LOGIN")


@contextlib.contextmanager
def connection_limit(login):
    login.sql(f"ALTER ROLE {login.role} CONNECTION LIMIT 0")
    yield
    login.sql(f"ALTER ROLE {login.role} CONNECTION LIMIT -1")


@contextlib.contextmanager
def connection_limit_of_the_database(login):
    login.sql(f"ALTER DATABASE {login.bench.database} CONNECTION LIMIT 0")
    yield
    login.sql(f"ALTER DATABASE {login.bench.database} CONNECTION LIMIT -1")


@contextlib.contextmanager
def expired(login):
    """The password is no longer valid."""
    login.sql(f"ALTER ROLE {login.role} VALID UNTIL '2020-01-01'")
    yield
    login.sql(f"ALTER ROLE {login.role} VALID UNTIL 'infinity'")


@contextlib.contextmanager
def other_name(login):
    """There is no such role for a while."""
    login.sql(f"ALTER ROLE {login.role} RENAME TO {login.role}_2")
    yield
    login.sql(f"ALTER ROLE {login.role}_2 RENAME TO {login.role}")


@contextlib.contextmanager
def no_connect(login):
    """Its owner may always connect, so somebody else owns the database meanwhile."""
    login.sql(f"ALTER DATABASE {login.bench.database} OWNER TO operator")
    login.sql(f"REVOKE CONNECT ON DATABASE {login.bench.database} FROM PUBLIC")
    yield
    login.sql(f"GRANT CONNECT ON DATABASE {login.bench.database} TO PUBLIC")
    login.sql(f"ALTER DATABASE {login.bench.database} OWNER TO {login.role}")


@contextlib.contextmanager
def no_connections_allowed(login):
    """To nobody, as before a database is replaced."""
    allow = f"ALTER DATABASE {login.bench.database} ALLOW_CONNECTIONS"
    with login.bench.postgres.connect() as admin:
        admin.execute(f"{allow} false")
        try:
            yield
        finally:
            admin.execute(f"{allow} true")


@contextlib.contextmanager
def no_database(login):
    name = login.bench.database
    login.rename(f"{name}_elsewhere")
    yield
    login.rename(name)


@contextlib.contextmanager
def hba_line(login):
    login.set_hba(f"host all {login.role} 127.0.0.1/32 reject\n" + login.hba_before)
    yield
    login.set_hba(login.hba_before)


@contextlib.contextmanager
def new_password(login):
    """The role gets it at once; the file that ${file:...} names, later."""
    login.set_password("s3cret-2")
    yield
    login.write_password("s3cret-2")


@contextlib.contextmanager
def no_password_file(login):
    path = login.bench.root / "pg-password"
    path.rename(login.bench.root / "elsewhere")
    yield
    (login.bench.root / "elsewhere").rename(path)


# What refuses; the SQLSTATE or words in the log; is it for a person (error with HINT), or may it pass (warning)?
WAYS = {
    "nologin": (nologin, "28000", True),
    "connection limit": (connection_limit, "53300", False),
    "connection limit of the database": (connection_limit_of_the_database, "53300", False),
    "expired": (expired, "28P01", True),
    "no such role": (other_name, "28P01", True),
    "no CONNECT": (no_connect, "42501", True),
    "no connections allowed": (no_connections_allowed, "55000", True),
    "no database": (no_database, "3D000", True),
    "pg_hba.conf": (hba_line, "28000", True),
    "password": (new_password, "28P01", True),
    "password file": (no_password_file, "file '.*/pg-password': ", True),
}


def certificate(directory, name):
    """A self-signed certificate for localhost; its key, which the server can read, beside it."""
    path = directory / f"{name}.crt"
    key = path.with_suffix(".key")
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost",
         "-addext", "subjectAltName=DNS:localhost", "-keyout", key, "-out", path],
        check=True, capture_output=True,
    )  # fmt: skip
    if os.geteuid() == 0:
        shutil.chown(key, "postgres", "postgres")
    return path


@pytest.mark.parametrize("way", WAYS)
def test_a_connection_is_refused_while_it_runs(bench, login, way):
    """Each time the sessions are ended, records arrive, and the daemon waits until it is let in again."""
    refuse, words, for_a_person = WAYS[way]
    log = bench.topic(partitions=4)
    config = bench.config(log, postgres={"dsn": login.dsn()})
    d = bench.start(config, env=QUICK).allow("cannot connect")
    log.fill(1000)
    bench.wait_stored(log)
    with refuse(login):
        bench.postgres.terminate_backends()
        log.fill(1000)
        d.wait_log(words)
        if for_a_person:
            d.wait_log("HINT: ")
        wait.stays(lambda: d.running, "running", 1)
        assert len(d.lines("error")) == (1 if for_a_person else 0), d.lines("error")
    bench.connected()
    bench.wait_stored(log)
    assert d.running and "s3cret" not in d.log()
    assert len([line for line in d.lines() if "connected again after" in line]) == 1, d.lines()
    bench.check(log)


def test_a_password_among_the_credentials_of_the_service(bench, login):
    """systemd copies them when the service starts: a new password needs a restart, and the log says so."""
    log = bench.topic(partitions=2)
    config = bench.config(log, postgres={"dsn": login.dsn()})
    (bench.root / "credentials").mkdir()
    copy = (bench.root / "pg-password").rename(bench.root / "credentials" / "pg-password")
    env = QUICK | {"CREDENTIALS_DIRECTORY": str(copy.parent)}
    d = bench.start(config, env=env).allow("cannot connect")
    log.fill(100)
    bench.wait_stored(log)
    login.set_password("s3cret-2")
    login.write_password("s3cret-2")
    bench.postgres.terminate_backends()
    log.fill(100)
    d.wait_log("HINT: .*systemd copies its credentials when the service starts: restart it")
    d.terminate()
    shutil.copy(bench.root / "pg-password", copy)
    d = bench.start(config, env=env)
    bench.connected()
    bench.wait_stored(log)
    assert not d.lines("error"), d.lines("error")
    bench.check(log)


def test_a_certificate_is_wrong_for_a_while(bench, login):
    """The file of trusted certificates is replaced by a wrong one, and that by the right one."""
    trusted = bench.root / "root.crt"
    server = certificate(bench.postgres.root, "server")
    other = certificate(bench.root, "other")
    shutil.copy(server, trusted)
    log = bench.topic(partitions=2)
    dsn = login.dsn(host="localhost", hostaddr="127.0.0.1", sslmode="verify-full", sslrootcert=trusted)
    try:
        bench.postgres.set_default("ssl_cert_file", server)
        bench.postgres.set_default("ssl_key_file", server.with_suffix(".key"))
        bench.postgres.set_default("ssl", "on")
        d = bench.start(bench.config(log, postgres={"dsn": dsn}), env=QUICK)
        d.allow("cannot connect")
        log.fill(100)
        bench.wait_stored(log)
        shutil.copy(other, trusted)
        bench.postgres.terminate_backends()
        log.fill(100)
        d.wait_log("certificate verify failed")
        d.wait_log("HINT: ")
        wait.stays(lambda: d.running, "running", 0.5)
        assert len(d.lines("error")) == 1, d.lines("error")
        shutil.copy(server, trusted)
        bench.wait_stored(log)
        assert d.running
        bench.check(log)
    finally:
        for name in ("ssl", "ssl_cert_file", "ssl_key_file"):
            bench.postgres.set_default(name, None)


@pytest.mark.parametrize("path", ["copy", "unnest"])
def test_only_new_connections_are_refused(bench, login, path):
    """The workers have their sessions; the scout, who reads the catalog after an ALTER, gets none."""
    log = bench.topic(partitions=2)
    config = bench.config(log, postgres={"dsn": login.dsn()}, batch={"write_path": path})
    d = bench.start(config, env=QUICK).allow("cannot connect")
    log.fill(100)
    bench.wait_stored(log)
    with nologin(login):
        login.sql("ALTER TABLE events ALTER amount TYPE double precision")
        log.fill(100)
        d.wait_log("28000")
        before = process.cpu_ticks(d.pid)
        wait.stays(lambda: d.running, "running", 1)
        assert process.cpu_ticks(d.pid) - before < 30 * wait.FACTOR  # it sleeps until it has the catalog
        assert len(d.lines("error")) == 1, d.lines("error")
    bench.wait_stored(log)
    d.wait_log("postgresql: connected\n")
    bench.check(log)


def test_a_start_is_refused_for_a_moment(bench, login):
    log = bench.topic(partitions=2)
    log.fill(100)
    with nologin(login):
        d = bench.start(bench.config(log, postgres={"dsn": login.dsn()}), ready=False,
                        env={"PGSINKD_FAILTIMES": "refused_pause=200"})  # fmt: skip
        d.allow("cannot connect")
        d.wait_log("28000")
        wait.stays(lambda: d.running and not d.notify.values("READY"), "running and not ready", 0.5)
    d.wait_ready()
    bench.wait_stored(log)
    assert len(d.lines("error")) == 1, d.lines("error")
    bench.check(log)


def test_a_start_is_refused_for_long(bench, login):
    """Code 1, after which the service manager starts it again; not 4, after which it does not."""
    log = bench.topic(partitions=2)
    log.fill(100)
    config = bench.config(log, postgres={"dsn": login.dsn()})
    with nologin(login):
        d = bench.start(config, ready=False, env=QUICK).allow("cannot connect")
        assert d.wait_exit(20) == 1
        assert len(d.lines("error")) == 2, d.lines("error")
    bench.drain(config)
    bench.check(log)


def test_a_stop_while_refused(bench, login):
    log = bench.topic(partitions=2)
    config = bench.config(log, postgres={"dsn": login.dsn()})
    d = bench.start(config).allow("cannot connect")
    log.fill(100)
    bench.wait_stored(log)
    with nologin(login):
        bench.postgres.terminate_backends()
        d.wait_log("28000")
        assert d.terminate() < 2
        early = bench.start(config, ready=False).allow("cannot connect")
        early.wait_log("28000")
        assert early.terminate() < 2
    log.fill(100)
    bench.drain(config)
    bench.check(log)


def test_the_role_is_dropped_and_made_again(bench, login):
    """Its sessions go on for as long as they ask for nothing; then it may do nothing, and is not let in again."""
    log = bench.topic(partitions=4)
    d = bench.start(bench.config(log, postgres={"dsn": login.dsn()}), env=QUICK)
    d.allow("trying again until it works", "dead letters", "pgsinkd")
    log.fill(100)
    bench.wait_stored(log)
    login.drop()
    log.fill(100)
    d.wait_log("28P01")
    wait.stays(lambda: d.running and bench.rows() == 100, "running", 0.5)
    login.sql(f"CREATE ROLE {login.role} LOGIN; GRANT INSERT ON events TO {login.role}")
    login.set_password(PASSWORD)
    granted = bench.command("init", bench.config(log), "--print").stdout
    bench.root.joinpath("grants.sql").write_text(granted)
    assert bench.psql("-v", f"role={login.role}", "-f", bench.root / "grants.sql").returncode == 0
    bench.wait_stored(log)
    assert d.running
    bench.check(log)


def schema_is_dropped(bench):
    """Statements of the daemon lock several of its tables, in an order of their own."""
    try:
        bench.sql("DROP SCHEMA pgsinkd CASCADE; TRUNCATE events")
    except psycopg.errors.DeadlockDetected:
        return False
    return True


@pytest.mark.parametrize("what", ["database", "schema"])
def test_the_ledger_is_dropped_and_made_again(bench, what):
    """Empty, and the table too: all begins again as kafka.start says, without a restart."""
    log = bench.topic(partitions=4)
    bench.plain_table()
    config = bench.config(log)
    d = bench.start(config, env=QUICK).allow("cannot connect", "trying again until it works", "dead letters")
    log.fill(100)
    bench.wait_stored(log)
    if what == "database":
        bench.db.close()
        bench.postgres.drop_database(bench.database)
        log.fill(100)
        d.wait_log("3D000")
        bench.postgres.create_database(bench.database)
        bench.connected()
        bench.plain_table()
    else:
        wait.until(lambda: schema_is_dropped(bench), "the schema to be dropped")
        log.fill(100)
    d.wait_log("3F000")
    assert bench.command("init", config).returncode == 0
    bench.wait_stored(log)
    assert d.running
    bench.check(log)


NOT_NOW = """
CREATE FUNCTION not_now() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN RAISE EXCEPTION 'not now' USING ERRCODE = 'insufficient_privilege'; END $$;
CREATE TRIGGER not_now BEFORE UPDATE ON pgsinkd.offsets FOR EACH STATEMENT EXECUTE FUNCTION not_now()"""


@contextlib.contextmanager
def no_change_of_the_ledger(login):
    """Neither a claim nor an advance works, and nothing shows it before."""
    login.sql(NOT_NOW)
    yield
    login.sql("DROP FUNCTION not_now CASCADE")


LEDGER = {  # what is done to it, and how it is taken back
    "schema is renamed": ("ALTER SCHEMA pgsinkd RENAME TO elsewhere", "ALTER SCHEMA elsewhere RENAME TO pgsinkd"),
    "schema may not be used": (
        "ALTER SCHEMA pgsinkd OWNER TO operator", "ALTER SCHEMA pgsinkd OWNER TO {role}",
    ),
    "table is renamed": ("ALTER TABLE pgsinkd.offsets RENAME TO elsewhere", "ALTER TABLE pgsinkd.elsewhere RENAME TO offsets"),
    "table is another's": ("ALTER TABLE pgsinkd.offsets OWNER TO operator", "ALTER TABLE pgsinkd.offsets OWNER TO {role}"),
    "function is missing": ("ALTER FUNCTION pgsinkd.advance{arguments} RENAME TO elsewhere", "ALTER FUNCTION pgsinkd.elsewhere RENAME TO advance"),
}  # fmt: skip


@pytest.mark.parametrize("way", LEDGER)
def test_the_ledger_cannot_be_used_for_a_while(bench, login, way):
    """It waits, with one error line, and goes on when the ledger is as it was."""
    log = bench.topic(partitions=4)
    d = bench.start(bench.config(log, postgres={"dsn": login.dsn()}), env=QUICK).allow("until it works", "pgsinkd")
    log.fill(100)
    bench.wait_stored(log)
    newest = "SELECT oid FROM pg_proc WHERE proname = 'advance' ORDER BY pronargs DESC LIMIT 1"
    arguments = bench.value(f"SELECT '(' || pg_get_function_identity_arguments(({newest})) || ')'")
    breaks, fixes = (text.format(role=login.role, arguments=arguments) for text in LEDGER[way])
    login.sql(breaks)
    log.fill(100)
    d.wait_log("HINT: ")
    wait.stays(lambda: d.running and bench.rows() == 100, "running", 0.5)
    assert len([line for line in d.lines("error") if "trying again until it works" in line]) == 1, d.lines("error")
    login.sql(fixes)
    bench.wait_stored(log)
    d.wait_log("connected again after")
    bench.check(log)


def test_what_is_asked_of_the_ledger_is_refused(bench, login):
    """Once anything is stored it waits until it may; at a later start it does so too."""
    log = bench.topic(partitions=4)
    config = bench.config(log, workers=2, postgres={"dsn": login.dsn()})
    d = bench.start(config, env=QUICK).allow("not now")
    log.fill(1000)
    bench.wait_stored(log)
    with no_change_of_the_ledger(login):
        log.fill(1000)
        d.wait_log("not now")
        d.wait_log("HINT: Grant what")
        wait.stays(lambda: d.running, "running", 1)
        assert len(d.lines("error")) == 1, d.lines("error")
    bench.wait_stored(log)
    d.wait_log("connected again after")
    assert len([line for line in d.lines() if "connected again after" in line]) == 1, d.lines()
    d.terminate()
    with no_change_of_the_ledger(login):
        d = bench.start(config, env=QUICK, ready=False).allow("not now")
        log.fill(1000)
        d.wait_log("not now")
        wait.stays(lambda: d.running, "running", 1)
        assert len(d.lines("error")) == 1, d.lines("error")
    bench.wait_stored(log)
    bench.check(log)


def test_what_is_asked_of_the_ledger_is_refused_at_the_first_start(bench, login):
    """Whoever has just set it up is told at once, by the exit code as well."""
    log = bench.topic(partitions=2)
    log.fill(100)
    config = bench.config(log, postgres={"dsn": login.dsn()})
    assert bench.command("init", config).returncode == 0
    with no_change_of_the_ledger(login):
        d = bench.start(config, ready=False).allow("not now")
        assert d.wait_exit(20) == 4, d.log()
        assert len(d.lines("error")) == 1, d.lines("error")
        assert "HINT: Grant what" in d.log()
    bench.drain(config)
    bench.check(log)


def test_what_is_asked_of_the_ledger_is_refused_after_ready(bench, login):
    """Nothing is stored yet, but it has said that it is ready: from then on nothing ends it."""
    log = bench.topic(partitions=2)
    config = bench.config(log, postgres={"dsn": login.dsn()})
    d = bench.start(config, env=QUICK).allow("not now")
    with no_change_of_the_ledger(login):
        log.fill(100)
        d.wait_log("HINT: Grant what")
        wait.stays(lambda: d.running, "running", 1)
    bench.wait_stored(log)
    bench.check(log)
