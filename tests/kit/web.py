"""Who asks a daemon over HTTP: pages, metrics, and sockets that behave badly."""

import contextlib
import http.client
import re
import socket
from dataclasses import dataclass

SAMPLE = re.compile(r"^([a-zA-Z_:][a-zA-Z0-9_:]*)\{(.*)\} (\S+)$")
LABEL = re.compile(r'([a-z_]+)="((?:\\.|[^"\\])*)"')


@dataclass
class Answer:
    status: int
    headers: dict
    text: str


class Web:
    def __init__(self, port, host="127.0.0.1"):
        self.host = host
        self.port = port
        self.address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"

    def get(self, path, method="GET", timeout=10, **headers):
        connection = http.client.HTTPConnection(self.host, self.port, timeout=timeout)
        with contextlib.closing(connection):
            connection.request(method, path, headers=headers)
            response = connection.getresponse()
            return Answer(response.status, dict(response.getheaders()), response.read().decode())

    def try_get(self, path):
        """None while nobody listens."""
        try:
            return self.get(path)
        except ConnectionRefusedError:
            return None

    def status(self, path):
        return self.get(path).status

    def metrics(self):
        """{name: {labels without the sink: value}}; labels are sorted pairs."""
        found = {}
        for line in self.get("/metrics").text.splitlines():
            match = SAMPLE.match(line)
            if match:
                labels = dict(LABEL.findall(match.group(2)))
                assert labels.pop("sink"), line
                found.setdefault(match.group(1), {})[tuple(sorted(labels.items()))] = float(match.group(3))
        return found

    def metric(self, name, **labels):
        """One sample; None where there is none."""
        return self.metrics().get(name, {}).get(tuple(sorted(labels.items())))

    def connect(self):
        """A bare connection; the caller closes it."""
        return socket.create_connection((self.host, self.port), timeout=15)

    def send(self, request):
        """What comes back for these bytes until the server closes; the request is to say that it should."""
        with self.connect() as s:
            s.sendall(request)
            return read_all(s)


def read_all(s):
    """Until the other side closes, in whatever way."""
    data = b""
    with contextlib.suppress(ConnectionError):
        while chunk := s.recv(65536):
            data += chunk
    return data
