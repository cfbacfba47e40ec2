"""A PostgreSQL server of our own: temporary directory, own port, own socket directory.

fsync is off: no test here cuts the power, and kill -9 of PostgreSQL does not need it.
As root the server runs as user postgres, since PostgreSQL refuses root.
"""

import contextlib
import os
import re
import shutil
import signal
import subprocess
from pathlib import Path

import psycopg

from kit import process, wait

SETTINGS = {
    "fsync": "off",
    "full_page_writes": "off",
    "autovacuum": "off",
    "max_connections": "120",
    "shared_buffers": "64MB",
    "max_wal_size": "4GB",
    "checkpoint_timeout": "30min",
    "wal_level": "logical",  # Debezium reads it
    "max_wal_senders": "4",
    "log_min_messages": "warning",
    "log_line_prefix": "%m [%p] %a %d ",
    "restart_after_crash": "on",
}
SUPERUSER = "operator"


def bindir(program="postgres"):
    """Where that program is: in the directory that PGSINKD_TEST_POSTGRES names, or in the newest version installed."""
    chosen = os.environ.get("PGSINKD_TEST_POSTGRES")
    if chosen and (Path(chosen) / program).exists():
        return Path(chosen)
    homes = Path("/usr/lib/postgresql").glob("*/bin/postgres")
    found = sorted((p.parent for p in homes), key=lambda p: float(p.parent.name))
    assert found, "PostgreSQL is not installed: run tools/test, it installs what the tests need"
    return found[-1]


def major():
    """The server's major version."""
    said = subprocess.run([bindir() / "postgres", "--version"], capture_output=True, text=True, check=True).stdout
    return int(re.search(r"\) (\d+)", said)[1])


def as_server_user(argv, death=None):
    """The command line that runs argv as a user PostgreSQL accepts."""
    if os.geteuid() != 0:
        return argv
    drop = ["setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups"]
    if death:
        drop.append(f"--pdeathsig={death}")  # changing user clears the death signal: set it anew
    return [*drop, *argv]


def copy_if_there(source, target):
    with contextlib.suppress(FileNotFoundError):
        shutil.copy2(source, target)


class Postgres:
    """One server. `data` is made by initdb, or taken from a standby's base backup."""

    def __init__(self, root: Path, name="postgres", **settings):
        self.root = root / name
        self.root.mkdir(mode=0o755)
        self.data = self.root / "data"
        self.log = self.root / "log"
        self.port = process.free_port()
        self.host = str(self.root)
        self.settings = SETTINGS | settings
        self.popen = None
        if os.geteuid() == 0:
            shutil.chown(self.root, "postgres", "postgres")

    def initdb(self):
        more = ["--no-data-checksums"] if major() >= 18 else []  # a test damages a page and not its checksum
        self.run(
            "initdb", "-D", self.data, "-U", SUPERUSER, "-A", "trust", "-E", "UTF8",
            "--locale=C.UTF-8", "--no-sync", "--no-instructions", *more,
        )  # fmt: skip
        # Passwords over TCP, so that a wrong one can be shown; the local socket is trusted.
        (self.data / "pg_hba.conf").write_text(
            "local all all trust\n"
            "local replication all trust\n"
            f"host all {SUPERUSER} 127.0.0.1/32 trust\n"
            "host all all 127.0.0.1/32 scram-sha-256\n"
        )
        return self

    def start(self, ready=True):
        argv = [bindir() / "postgres", "-D", self.data, "-p", self.port, "-k", self.host,
                "-c", "listen_addresses=127.0.0.1"]  # fmt: skip
        for key, value in self.settings.items():
            argv += ["-c", f"{key}={value}"]
        with self.log.open("ab") as log:
            self.popen = process.spawn(
                as_server_user(argv, death="QUIT"), stdout=log, cwd="/", death=signal.SIGQUIT
            )
        if ready:
            self.wait_ready()
        return self

    def wait_ready(self):
        wait.until(self._answers, f"PostgreSQL to answer; its log is {self.log}", timeout=30)

    def _answers(self):
        assert self.popen.poll() is None, f"PostgreSQL ended: {self.log.read_text()[-2000:]}"
        try:
            self.connect().close()
        except psycopg.OperationalError:
            return False
        return True

    def stop(self, mode="fast"):
        """mode: smart, fast, or immediate (as pg_ctl stop -m)."""
        if self.popen is None:
            return
        signals = {"smart": signal.SIGTERM, "fast": signal.SIGINT, "immediate": signal.SIGQUIT}
        self.popen.send_signal(signals[mode])
        if process.reap(self.popen, 20) is None:
            self.popen.kill()
            self.popen.wait()
        self.popen = None

    def restart(self, mode="fast"):
        self.stop(mode)
        self.start()

    @contextlib.contextmanager
    def frozen(self):
        """Every process of the server stands still: connections stay open, nothing answers."""
        pids = [self.popen.pid]
        process.freeze(self.popen.pid)  # first, so that no new backend appears
        for pid in process.children(self.popen.pid):
            process.freeze(pid)
            pids.append(pid)
        try:
            yield
        finally:
            for pid in pids:
                with contextlib.suppress(ProcessLookupError):
                    process.thaw(pid)

    def connect(self, dbname="postgres", **options):
        return psycopg.connect(
            host=self.host, port=self.port, user=SUPERUSER, dbname=dbname, autocommit=True, **options
        )

    def dsn(self, dbname, host=None, port=None, user=SUPERUSER, **options):
        """A libpq connection string. By default over TCP, as most installations do."""
        parts = {"host": host or "127.0.0.1", "port": port or self.port, "user": user, "dbname": dbname}
        return " ".join(f"{k}={v}" for k, v in (parts | options).items())

    def create_database(self, dbname, encoding="UTF8"):
        with self.connect() as admin:
            locale = "C.UTF-8" if encoding == "UTF8" else "C"
            admin.execute(
                f"CREATE DATABASE \"{dbname}\" TEMPLATE template0 ENCODING '{encoding}' LOCALE '{locale}'"
            )

    def drop_database(self, dbname):
        with self.connect() as admin:
            admin.execute(f'DROP DATABASE IF EXISTS "{dbname}" WITH (FORCE)')

    def terminate_backends(self, application_name="pgsinkd %"):
        """pg_terminate_backend for all whose application_name matches the LIKE pattern."""
        with self.connect() as admin:
            rows = admin.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE %s",
                [application_name],
            ).fetchall()
        return len(rows)

    def backends(self, application_name="pgsinkd %"):
        """(pid, application_name, state, query) of the daemon's connections."""
        with self.connect() as admin:
            return admin.execute(
                "SELECT pid, application_name, state, query FROM pg_stat_activity"
                " WHERE application_name LIKE %s AND backend_type = 'client backend' ORDER BY 2",
                [application_name],
            ).fetchall()

    def set_default(self, name, value):
        """ALTER SYSTEM and reload; value None takes it back. Sessions see it at their next command."""
        with self.connect() as admin:
            admin.execute("SET default_transaction_read_only = off")
            if value is None:
                admin.execute(f"ALTER SYSTEM RESET {name}")
            else:
                admin.execute(f"ALTER SYSTEM SET {name} = '{value}'")
            admin.execute("SELECT pg_reload_conf()")

    def standby(self, name="standby", port=None, **settings):
        """A streaming, asynchronous standby of this server: started, and following.

        Not by pg_basebackup, which has to be of the server's version and does not come with every server.
        """
        other = Postgres(self.root.parent, name, **settings)
        other.port = port or other.port
        with self.connect() as admin:
            admin.execute("SELECT pg_backup_start('standby', fast => true)")
            self._copy_data(other.data)
            label, _ = admin.execute(
                "SELECT labelfile, spcmapfile FROM pg_backup_stop(wait_for_archive => false)"
            ).fetchone()
        (other.data / "backup_label").write_text(label)
        (other.data / "standby.signal").touch()
        with (other.data / "postgresql.auto.conf").open("a") as f:
            f.write(f"primary_conninfo = 'host={self.host} port={self.port} user={SUPERUSER}'\n")
        if os.geteuid() == 0:
            subprocess.run(["chown", "-R", "postgres:postgres", other.data], check=True)
        other.start()
        wait.until(self._is_followed, "the standby to stream")
        return other

    def _copy_data(self, data):
        """As a base backup has it; files may change and go meanwhile."""
        shutil.copytree(
            self.data, data, ignore=shutil.ignore_patterns("postmaster.*", "pg_internal.init", "pgsql_tmp*"),
            ignore_dangling_symlinks=True, copy_function=copy_if_there,
        )  # fmt: skip
        for inside in ("pg_wal", "pg_replslot", "pg_stat_tmp", "pg_dynshmem"):
            for path in (data / inside).iterdir():
                shutil.rmtree(path) if path.is_dir() else path.unlink()

    def _is_followed(self):
        with self.connect() as admin:
            return admin.execute("SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming'").fetchone()[0]

    def promote(self):
        with self.connect() as admin:
            assert admin.execute("SELECT pg_promote(wait => true)").fetchone()[0]

    def destroy(self):
        self.stop("immediate")
        shutil.rmtree(self.root, ignore_errors=True)

    def run(self, name, *argv):
        """Runs a program of the server's to its end."""
        command = as_server_user([str(bindir(name) / name), *map(str, argv)])
        done = subprocess.run(command, cwd="/", capture_output=True, text=True)
        assert done.returncode == 0, f"{name}: {done.stderr}"
