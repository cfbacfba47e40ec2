"""PgBouncer in front of a test's PostgreSQL: own port, own files, pool mode and sizes as a test wants them."""

import signal
import subprocess
import tempfile
from pathlib import Path

import psycopg

from kit import process, wait
from kit.postgres import SUPERUSER, as_server_user


class Pooler:
    """A running PgBouncer. It is stopped by close()."""

    def __init__(self, postgres, **settings):
        root = Path(tempfile.mkdtemp(prefix="pgbouncer-", dir=postgres.root.parent))
        root.chmod(0o755)  # it runs as the server's user, since it refuses root
        self.postgres = postgres
        self.port = process.free_port()
        self.file = root / "pgbouncer.ini"
        self.log_path = root / "pgbouncer.log"
        self.settings = {
            "listen_addr": "127.0.0.1",
            "listen_port": self.port,
            "unix_socket_dir": "",
            "auth_type": "trust",
            "auth_file": root / "pgbouncer.users",
            "admin_users": SUPERUSER,
            "default_pool_size": 20,
            "pool_mode": "session",
        } | settings
        (root / "pgbouncer.users").write_text(f'"{SUPERUSER}" ""\n')
        self._write()
        with self.log_path.open("wb") as log:
            self.popen = process.spawn(
                as_server_user(["pgbouncer", str(self.file)], death="KILL"), stdout=log, cwd="/"
            )
        wait.until(self._answers, f"PgBouncer to answer; its log is {self.log_path}", timeout=10)

    def _write(self):
        lines = [f"{key} = {value}" for key, value in self.settings.items()]
        self.file.write_text(
            f"[databases]\n* = host=127.0.0.1 port={self.postgres.port}\n[pgbouncer]\n" + "\n".join(lines) + "\n"
        )

    def _answers(self):
        assert self.popen.poll() is None, f"PgBouncer ended: {self.log_path.read_text()[-2000:]}"
        try:
            self.show("VERSION")
        except psycopg.OperationalError:
            return False
        return True

    def admin(self, command):
        """A command of its own console; the rows, if it gives any."""
        done = subprocess.run(
            ["psql", "-XAt", "-h", "127.0.0.1", "-p", str(self.port), "-U", SUPERUSER, "-c", command, "pgbouncer"],
            capture_output=True, text=True,
        )  # fmt: skip
        if done.returncode != 0:
            raise psycopg.OperationalError(done.stderr)
        return done.stdout.splitlines()

    def show(self, what):
        return self.admin(f"SHOW {what}")

    def change(self, **settings):
        """Other settings; those who are connected keep their server until they are linked anew."""
        self.settings |= settings
        self._write()
        self.admin("RELOAD")

    def close(self):
        self.popen.send_signal(signal.SIGINT)
        if process.reap(self.popen, 5) is None:
            self.popen.kill()
            self.popen.wait()
