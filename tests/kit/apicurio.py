"""A real Apicurio Registry, in memory: Confluent's API under ccompat, and its own under apis. tools/lib.sh fetches it."""

import json
import urllib.error
import urllib.request
from pathlib import Path

from kit import kafka, process, wait

VERSION = "3.0.9"  # the newest that runs with Debian 12's Java
HOME = kafka.CACHE / f"apicurio-{VERSION}"
SMALL = ["-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto"]


def get(url):
    """(status, JSON or text) of a request."""
    try:
        with urllib.request.urlopen(url, timeout=30 * wait.FACTOR) as answer:
            status, text = answer.status, answer.read().decode()
    except urllib.error.HTTPError as refused:
        status, text = refused.code, refused.read().decode()
    try:
        return status, json.loads(text)
    except ValueError:
        return status, text


class Apicurio:
    def __init__(self, root: Path):
        self.root = root / "apicurio"
        self.root.mkdir()
        self.log = self.root / "log"
        self.port = process.free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.popen = None

    def start(self):
        jar = HOME / f"apicurio-registry-app-{VERSION}-runner.jar"
        assert jar.is_file(), f"no Apicurio Registry in {HOME}: run tools/test, it fetches what the tests need"
        listens = ["-Dquarkus.http.host=127.0.0.1", f"-Dquarkus.http.port={self.port}"]
        with self.log.open("ab") as log:
            self.popen = process.spawn(["java", *SMALL, *listens, "-jar", jar], stdout=log, cwd=self.root)
        wait.until(self._answers, f"Apicurio to answer; its log is {self.log}", timeout=90, interval=0.1)
        return self

    def _answers(self):
        assert self.popen.poll() is None, f"Apicurio ended:\n{self.log.read_text(errors='replace')[-4000:]}"
        try:
            return get(f"{self.url}/apis/ccompat/v7/subjects")[0] == 200
        except OSError:
            return False

    def register(self, subject, text, kind="AVRO", references=()):
        """The number of the schema in Confluent's API."""
        body = {"schema": text if isinstance(text, str) else json.dumps(text), "schemaType": kind}
        request = urllib.request.Request(
            f"{self.url}/apis/ccompat/v7/subjects/{subject}/versions",
            json.dumps(body | ({"references": list(references)} if references else {})).encode(),
            {"Content-Type": "application/vnd.schemaregistry.v1+json"},
        )
        with urllib.request.urlopen(request, timeout=30 * wait.FACTOR) as answer:
            return json.load(answer)["id"]

    def numbers(self, subject):
        """(globalId, contentId) of a subject's latest version."""
        status, body = get(f"{self.url}/apis/registry/v3/groups/default/artifacts/{subject}/versions/branch=latest")
        assert status == 200, body
        return body["globalId"], body["contentId"]

    def destroy(self):
        if self.popen is not None:
            process.end(self.popen, 10)
            self.popen = None
