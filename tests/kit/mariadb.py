"""A MariaDB server of our own: temporary directory, own port, own socket, a binary log that Debezium reads.

Nothing is flushed: no test here cuts the power. As root the server runs as user postgres, as PostgreSQL does. SQL goes
through the client program, so that no other package is needed.
"""

import contextlib
import os
import shutil
import subprocess
from pathlib import Path

from kit import process, wait
from kit.postgres import as_server_user

SETTINGS = {
    "bind-address": "127.0.0.1",
    "skip-name-resolve": "on",
    "performance-schema": "off",
    "innodb-buffer-pool-size": "32M",
    "innodb-log-file-size": "16M",
    "innodb-flush-log-at-trx-commit": "0",
    "innodb-fast-shutdown": "2",
    "character-set-server": "utf8mb4",
    "default-time-zone": "+00:00",
    "explicit-defaults-for-timestamp": "on",
    "sql-mode": "",  # zero dates, and enums of no label
    "server-id": "1",
    "log-bin": "binlog",
    "sync-binlog": "0",
    "binlog-format": "ROW",
    "binlog-row-image": "FULL",
    "binlog-row-metadata": "FULL",
}


class MariaDB:
    """One server. A test has databases of its own in it."""

    def __init__(self, root: Path):
        self.root = root / "mariadb"
        self.root.mkdir(mode=0o755)
        self.data = self.root / "data"
        self.log = self.root / "log"
        self.socket = self.root / "socket"
        self.port = process.free_port()
        self.popen = None
        if os.geteuid() == 0:
            shutil.chown(self.root, "postgres", "postgres")

    def install(self):
        """Makes the data directory."""
        argv = ["mariadb-install-db", "--no-defaults", f"--datadir={self.data}", "--skip-test-db",
                "--skip-name-resolve", "--auth-root-authentication-method=normal"]  # fmt: skip
        done = subprocess.run(as_server_user(argv), cwd="/", capture_output=True, text=True)
        assert done.returncode == 0, f"mariadb-install-db: {done.stdout}{done.stderr}"
        return self

    def start(self):
        argv = [program(), "--no-defaults", f"--datadir={self.data}", f"--socket={self.socket}",
                f"--port={self.port}", f"--pid-file={self.root / 'pid'}"]  # fmt: skip
        argv += [f"--{key}={value}" for key, value in SETTINGS.items()]
        with self.log.open("ab") as log:
            self.popen = process.spawn(as_server_user(argv, death="KILL"), stdout=log, cwd="/")
        wait.until(self._answers, f"MariaDB to answer; its log is {self.log}", timeout=30)
        return self

    def _answers(self):
        assert self.popen.poll() is None, f"MariaDB ended: {self.log.read_text()[-2000:]}"
        with contextlib.suppress(AssertionError):
            return self.rows("SELECT 1")

    def run(self, sql, database=""):
        """Runs statements; what the client prints."""
        argv = ["mariadb", "--no-defaults", f"--socket={self.socket}", "--user=root", "--batch", "--skip-column-names",
                "--default-character-set=utf8mb4", database]  # fmt: skip
        done = subprocess.run(argv, input=sql, capture_output=True, text=True)
        assert done.returncode == 0, f"MariaDB: {done.stderr} in {sql[:2000]}"
        return done.stdout

    def rows(self, sql, database=""):
        """The rows of a query whose expressions are numbers or `as_hex`: NULL is None, anything else a text."""
        return [[_value(field) for field in line.split("\t")] for line in self.run(sql, database).splitlines()]

    def value(self, sql, database=""):
        return self.rows(sql, database)[0][0]

    def destroy(self):
        if self.popen is None:
            return
        process.end(self.popen, 20)
        self.popen = None
        shutil.rmtree(self.root, ignore_errors=True)


def program():
    path = shutil.which("mariadbd", path=f"{os.environ['PATH']}:/usr/sbin")
    assert path, "MariaDB is not installed: run tools/test, it installs what the tests need"
    return path


def as_hex(expression):
    """An expression for rows(): the client would escape some bytes of a text, and shows NULL as the text NULL."""
    return f"CONCAT('x', HEX(CONVERT({expression} USING utf8mb4)))"


def _value(field):
    if field == "NULL":
        return None
    return bytes.fromhex(field[1:]).decode() if field.startswith("x") else field
