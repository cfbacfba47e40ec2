"""pgsinkd under test: its config file, its life, what it tells the service manager, and its log."""

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import threading
import time
from pathlib import Path

from kit import process, wait

ROOT = Path(__file__).resolve().parents[2]
BINARY = Path(os.environ.get("PGSINKD", ROOT / "build" / "pgsinkd"))
FAKE_NAMES = BINARY.parent / "tests" / "libfake_names.so"  # host names as a test wants them: tests/fake_names.c

# Marks of a broken program, wherever they appear in its output.
BROKEN = re.compile(r"assert|AddressSanitizer|LeakSanitizer|ThreadSanitizer|runtime error:", re.IGNORECASE)
LINE = re.compile(
    r"(?P<time>\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z) (?P<level>error|warning|notice|info|debug) (?P<text>.*)"
)

STOP_SECONDS = 5  # SIGTERM to exit, whatever the servers do


def yaml(value, indent=0):
    """A block-style YAML document of dicts, lists and scalars; strings are always quoted."""
    pad = "  " * indent
    if isinstance(value, dict) and value:
        lines = []
        for key, item in value.items():
            key = key if re.fullmatch(r"[a-z_][a-z0-9_.]*", key) else json.dumps(key)
            nested = isinstance(item, (dict, list)) and item
            lines.append(f"{pad}{key}:\n{yaml(item, indent + 1)}" if nested else f"{pad}{key}: {yaml(item)}")
        return "\n".join(lines)
    if isinstance(value, list) and value:
        # The item's own first line starts behind the dash.
        return "\n".join(f"{pad}- {yaml(item, indent + 1).lstrip()}" for item in value)
    return json.dumps(value, ensure_ascii=False)


def environment(extra=None):
    """The daemon's environment: nothing of ours that could change what it does."""
    env = {k: v for k, v in os.environ.items() if not k.startswith(("PG", "PGSINKD_FAILPOINTS"))}
    for name in ("JOURNAL_STREAM", "NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"):
        env.pop(name, None)
    return env | (extra or {})


def command(*argv, env=None, timeout=60):
    """Runs `pgsinkd argv…` to its end: CompletedProcess with text output."""
    assert BINARY.exists(), f"{BINARY} does not exist: build it, or run tools/test"
    done = subprocess.run(
        [str(BINARY), *map(str, argv)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        env=environment(env),
        timeout=timeout * wait.FACTOR,
    )
    assert not BROKEN.search(done.stderr), done.stderr
    return done


class Notify:
    """The service manager's side of sd_notify: collects (monotonic time, key, value)."""

    def __init__(self, path: Path):
        self.path = path
        self.messages = []
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(path))
        threading.Thread(target=self._collect, daemon=True).start()

    def _collect(self):
        while True:
            try:
                data = self._socket.recv(4096)
            except OSError:
                return
            for line in data.decode().splitlines():
                key, _, value = line.partition("=")
                self.messages.append((time.monotonic(), key, value))

    def values(self, key, since=0.0):
        return [value for when, k, value in list(self.messages) if k == key and when >= since]

    def close(self):
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()


def failtimes(times):
    """ "patience=2s,retry=200ms", or the same as a dict, as builds with failpoints read it (src/base/failtime.def)."""
    pairs = times.items() if isinstance(times, dict) else (pair.split("=") for pair in times.split(","))
    return ",".join(f"{name}={value[:-2] if value.endswith('ms') else int(value[:-1]) * 1000}" for name, value in pairs)


class Daemon:
    """One process `pgsinkd run -c FILE`. A restart is a new Daemon with the same config."""

    def __init__(self, root: Path, name, config, *, args=(), env=None, failpoints=None, watchdog=None,
                 times=None, program=None):  # fmt: skip
        program = program or BINARY
        assert program.exists(), f"{program} does not exist: build it, or run tools/test"
        self.name = name
        self.config = config if isinstance(config, Path) else root / f"{name}.yaml"
        if config != self.config:
            self.config.write_text(config if isinstance(config, str) else yaml(config) + "\n")
        self.log_path = root / f"{name}.log"
        self.notify = Notify(root / f"{name}.notify")
        extra = {"NOTIFY_SOCKET": str(self.notify.path)}
        if failpoints:
            extra["PGSINKD_FAILPOINTS"] = failpoints
        if times:
            extra["PGSINKD_FAILTIMES"] = failtimes(times)
        if watchdog:
            extra["WATCHDOG_USEC"] = str(int(watchdog * 1_000_000))
        self.started = time.monotonic()
        with self.log_path.open("wb") as log:
            self.popen = process.spawn(
                [program, "run", "-c", self.config, *args], stdout=log, env=environment(extra | (env or {}))
            )
        self.pid = self.popen.pid
        self.allowed = []  # patterns of error lines the test announced
        self.expect_code = None  # exit code the test has already seen and accepted

    # What it says

    def log(self):
        return self.log_path.read_text(errors="replace")

    def lines(self, level=None):
        """Texts of the log lines, of one level or all, without the hints."""
        found = []
        for line in self.log().splitlines():
            match = LINE.fullmatch(line)
            if match and (level is None or match["level"] == level) and ": HINT: " not in line:
                found.append(match["text"])
        return found

    def wait_log(self, pattern, timeout=30):
        """Waits for a line that matches, and returns the match."""
        return wait.until(
            lambda: re.search(pattern, self.log()), f"the log of {self.name} to show {pattern!r}", timeout
        )

    def wait_ready(self, timeout=30):
        def ready():
            assert self.running or self.notify.values("READY"), f"{self.name} ended early:\n{self.log()}"
            return self.notify.values("READY")

        wait.until(ready, f"READY=1 of {self.name}", timeout)
        return self

    def allow(self, *patterns):
        """Announces error lines: each pattern may occur, any number of times."""
        self.allowed += patterns
        return self

    # Its life

    @property
    def running(self):
        return self.popen.poll() is None

    def wait_exit(self, timeout=60):
        """Waits for the process to end by itself; its exit code."""
        code = process.reap(self.popen, timeout)
        assert code is not None, f"{self.name} still runs after {timeout} s:\n{self.log()}"
        return code

    def configure(self, config):
        """Puts another file in the place of its own, in one step."""
        fresh = self.config.with_suffix(".new")
        fresh.write_text(config if isinstance(config, str) else yaml(config) + "\n")
        fresh.replace(self.config)

    def hangup(self, config=None):
        """SIGHUP, with another file if there is one. Returns how many reloads were over before."""
        ended = self.reloads()
        if config is not None:
            self.configure(config)
        self.popen.send_signal(signal.SIGHUP)
        return ended

    def reloads(self):
        """How many reloads are over, well or not."""
        return len(re.findall("reload: done in|nothing is changed by the reload", self.log()))

    def reload(self, config=None, timeout=30):
        """The same, and waits until it is over."""
        ended = self.hangup(config)
        wait.until(lambda: self.reloads() > ended, f"{self.name} to reload", timeout)

    def kill(self):
        """kill -9, and wait until it is gone."""
        self.popen.kill()
        self.popen.wait()

    def freeze(self):
        process.freeze(self.pid)

    def thaw(self):
        process.thaw(self.pid)

    def terminate(self, code=0, signal_number=signal.SIGTERM):
        """SIGTERM; it must exit with the code in under five seconds."""
        assert self.running, f"{self.name} has ended already: {self.popen.returncode}\n{self.log()}"
        begun = time.monotonic()
        self.popen.send_signal(signal_number)
        ended = process.reap(self.popen, STOP_SECONDS)
        took = time.monotonic() - begun
        if ended is None:
            self.popen.send_signal(signal.SIGABRT)
            self.popen.wait()
            raise AssertionError(f"{self.name} did not stop within {STOP_SECONDS} s:\n{self.log()}")
        assert ended == code, f"{self.name} exited with {ended} instead of {code}:\n{self.log()}"
        return took

    def close(self):
        """End of the test: the process is gone, and its log is fit to be judged."""
        if self.running:
            with contextlib.suppress(ProcessLookupError):
                self.popen.send_signal(signal.SIGCONT)
            self.kill()
        self.notify.close()

    def faults(self):
        """What in the log must not be there."""
        found = [f"broken: {line}" for line in self.log().splitlines() if BROKEN.search(line)]
        for text in self.lines("error"):
            if not any(re.search(pattern, text) for pattern in self.allowed):
                found.append(f"unannounced error: {text}")
        return found
