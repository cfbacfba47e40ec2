"""Kafka Connect of our own: one JVM, standalone, with a Debezium connector for source or sink.

tools/lib.sh fetches the jars; connectors are given as files at the start, or over REST later.
"""

import json
import tempfile
import urllib.error
import urllib.request
from pathlib import Path

from kit import kafka, process, wait

VERSION = "4.3.0"
DEBEZIUM = "3.6.0.Final"
DEBEZIUM_MARIADB = "3.5.0.Final"  # Maven Central has no newer one
APICURIO = "2.6.13.Final"  # its converter
JARS = kafka.CACHE / f"connect-{VERSION}" / "libs"

SMALL = ["-Xms64m", "-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto"]


def plugins(connector):
    """The directory with Debezium's connector for `jdbc`, `postgres` or `mariadb`."""
    version = DEBEZIUM_MARIADB if connector == "mariadb" else DEBEZIUM
    path = kafka.CACHE / f"debezium-{connector}-{version}"
    assert path.is_dir(), f"no Debezium in {path}: run tools/test, it fetches what the tests need"
    return path


def avro_converter():
    """The directory with Apicurio's converter."""
    path = kafka.CACHE / f"apicurio-converter-{APICURIO}"
    assert path.is_dir(), f"no converter of Apicurio's in {path}: run tools/test, it fetches what the tests need"
    return path


def write_properties(path: Path, properties):
    path.write_text("".join(f"{key}={value}\n" for key, value in properties.items()))
    return path


def argv(files, java):
    """The command line: the worker's file, then those of the connectors."""
    assert JARS.is_dir(), f"no Kafka Connect in {JARS}: run tools/test, it fetches what the tests need"
    log = "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn"
    return ["java", *java, log, "-cp", JARS / "*", "org.apache.kafka.connect.cli.ConnectStandalone", *files]


class Connect:
    """A worker whose connectors come and go by REST. `avro`: they may write Avro, see debezium.avro()."""

    def __init__(self, root: Path, bootstrap, connector, *, avro=False):
        self.root = Path(tempfile.mkdtemp(prefix=f"connect-{connector}-", dir=root))  # of several modules
        self.log = self.root / "log"
        self.url = f"http://127.0.0.1:{process.free_port()}"
        self.popen = None
        self._worker = {
            "bootstrap.servers": bootstrap,
            "listeners": self.url,
            "key.converter": "org.apache.kafka.connect.json.JsonConverter",
            "value.converter": "org.apache.kafka.connect.json.JsonConverter",
            "offset.storage.file.filename": self.root / "offsets",
            "offset.flush.interval.ms": 1000,
            "plugin.path": f"{plugins(connector)},{avro_converter()}" if avro else plugins(connector),
            "plugin.discovery": "service_load",
        }

    def start(self):
        worker = write_properties(self.root / "worker", self._worker)
        with self.log.open("ab") as log:
            self.popen = process.spawn(argv([worker], SMALL), stdout=log, cwd=self.root)
        wait.until(self._answers, f"Kafka Connect to answer; its log is {self.log}", timeout=90, interval=0.1)
        return self

    def _answers(self):
        assert self.popen.poll() is None, f"Kafka Connect ended:\n{self.tail()}"
        try:
            return self.ask("GET", "/")
        except OSError:
            return None

    def tail(self):
        return self.log.read_text(errors="replace")[-4000:]

    def ask(self, method, path, body=None):
        """One request; the answer as JSON. HTTPError is an OSError."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(
            self.url + path, data, {"Content-Type": "application/json"}, method=method
        )
        with urllib.request.urlopen(request, timeout=30 * wait.FACTOR) as answer:
            text = answer.read()
        return json.loads(text) if text else None

    def add(self, name, config):
        """Starts a connector, and waits until its task runs."""
        try:
            self.ask("POST", "/connectors", {"name": name, "config": {k: str(v) for k, v in config.items()}})
        except urllib.error.HTTPError as refused:
            raise AssertionError(f"connector {name} is refused: {refused.read().decode()}") from None
        wait.until(lambda: self.runs(name), f"connector {name} to run; the log is {self.log}", timeout=30)

    def runs(self, name):
        """Does the connector's task run? A failed one is an AssertionError with its trace."""
        try:
            status = self.ask("GET", f"/connectors/{name}/status")
        except urllib.error.HTTPError:  # not known yet
            return False
        parts = [status["connector"], *status["tasks"]]
        for part in parts:
            assert part["state"] != "FAILED", f"connector {name} failed:\n{part['trace']}"
        return len(parts) > 1 and all(part["state"] == "RUNNING" for part in parts)

    def remove(self, name):
        self.ask("DELETE", f"/connectors/{name}")

    def destroy(self):
        if self.popen is None:
            return
        process.end(self.popen, 10)
        self.popen = None
