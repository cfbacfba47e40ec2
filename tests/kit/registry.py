"""A double of a schema registry: Confluent's API, and what Apicurio's own has beside it, over HTTP or TLS. It does on
demand what no real one does: answer 500 or 429, hang, cut its answer, say 404 at first, want a login, count.

    with registry.Double() as double:
        number = double.register("orders-value", schema)
        double.url                          # for registry.url
        double.fail(500)                    # every request, until double.fail(None)
        double.asked                        # paths, in order
        double.leave(), double.come_back()  # nothing listens at its address meanwhile
"""

import base64
import collections
import contextlib
import http.server
import json
import socket
import ssl
import threading
import time
import urllib.parse
import uuid

from kit import process


class Schema:
    def __init__(self, text, kind, references, extra):
        self.text, self.kind, self.references, self.extra = text, kind, references, extra
        self.guid = str(uuid.uuid5(uuid.NAMESPACE_URL, json.dumps([text, kind, references])))

    def body(self):
        """As Confluent's registry writes it: what is empty, or AVRO, is left out."""
        out = {"schema": self.text, **self.extra}
        if self.kind != "AVRO":
            out["schemaType"] = self.kind
        if self.references:
            out["references"] = self.references
        return out


def not_found(code, message):
    return 404, {"error_code": code, "message": message}


def shook_hands(connection):
    """False: one of the two refuses the other's certificate. What the client has sent already is read, or closing would
    reset the connection, and why it was refused would be lost."""
    try:
        connection.do_handshake()
        return True
    except ssl.SSLError:
        connection.settimeout(5)
        connection.shutdown(socket.SHUT_WR)
        while connection.recv(65536):
            pass
        return False


class Double:
    def __init__(self, *, tls=None, want_client=None, user=None, token=None, token_life=300):
        """tls: (certificate, key) in PEM; want_client: the CA of clients' certificates; user: (name, password); token:
        the bearer that is wanted; /token gives it for client credentials, as valid for token_life seconds."""
        self.schemas, self.subjects = {}, {}
        self.asked, self.headers = [], []
        self.answered = collections.Counter()  # paths without their query, whose answer was a 200
        self.user, self.token, self.token_life = user, token, token_life
        self.clients = {"pgsinkd": "client secret"}
        self.tokens_given = 0
        self.fault, self.hidden_until = None, {}
        self.lock = threading.Lock()
        self.released = threading.Event()
        self.connections = set()
        self.tls = None
        if tls:
            self.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.tls.load_cert_chain(*map(str, tls))
            if want_client:
                self.tls.load_verify_locations(str(want_client))
                self.tls.verify_mode = ssl.CERT_REQUIRED
        self.port = process.free_port()
        self.url = f"{'https' if tls else 'http'}://localhost:{self.port}"
        self.server = self.thread = None
        self.come_back()

    def come_back(self):
        """It listens, at the same address as before."""
        double = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                double.answer(self)

            def do_POST(self):
                double.answer(self)

            def log_message(self, *_):
                pass

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True

            def process_request(self, request, client_address):
                double.connections.add(request)
                super().process_request(request, client_address)

            def finish_request(self, request, client_address):
                if not double.tls or shook_hands(request):
                    super().finish_request(request, client_address)

            def handle_error(self, *_):
                """A client that goes away, or whose certificate is refused, is what tests are about."""

        self.server = Server(("127.0.0.1", self.port), Handler)
        if self.tls:
            # The handshake is the thread's of the connection: one that fails, or hangs, is nobody else's.
            self.server.socket = self.tls.wrap_socket(
                self.server.socket, server_side=True, do_handshake_on_connect=False
            )
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True)
        self.thread.start()

    def leave(self):
        """Nothing listens, and who was connected is so no longer."""
        self.released.set()
        self.released = threading.Event()
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()
        for connection in self.connections:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        self.connections.clear()
        self.server = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        if self.server:
            self.leave()

    # ---- what it has ----

    def register(self, subject, text, kind="AVRO", references=(), number=None, context="", **extra):
        """The number of the schema, which is the same for the same schema within a context."""
        if not isinstance(text, str):
            text = json.dumps(text)
        schema = Schema(text, kind, list(references), extra)
        with self.lock:
            have = self.schemas.setdefault(context, {})
            same = [n for n, s in have.items() if s.guid == schema.guid and s.extra == schema.extra]
            number = number or (same[0] if same else len(have) + 1)
            have[number] = schema
            self.subjects.setdefault((context, subject), []).append(number)
        return number

    def guid(self, number, context=""):
        return self.schemas[context][number].guid

    def forget(self, number, context=""):
        del self.schemas[context][number]

    # ---- how it fails ----

    def fail(self, fault):
        """A status for every request; "hang": no answer; "cut": half of one; "page": a 404 that is not a registry's;
        "huge": more than any schema has; None: none of it."""
        self.fault = fault
        if fault != "hang":
            self.released.set()
            self.released = threading.Event()

    def hide(self, number, seconds):
        """It says 404 to the number until then, as a follower that lags behind."""
        self.hidden_until[number] = time.monotonic() + seconds

    def count(self, part):
        return sum(part in path for path in self.asked)

    def tally(self):
        """{path without its query: how often it was asked}"""
        return dict(collections.Counter(path.partition("?")[0] for path in self.asked))

    # ---- answers ----

    def answer(self, request):
        length = int(request.headers.get("Content-Length") or 0)
        form = request.rfile.read(length).decode()
        self.asked.append(request.path)
        self.headers.append(dict(request.headers.items()))
        fault = self.fault
        if fault == "hang":
            self.released.wait(60)
            request.close_connection = True
            return
        if fault == "huge":
            with contextlib.suppress(OSError):
                self.send(request, 200, {"schema": "x" * (9 << 20)})
            return
        if fault == "page":
            self.send_text(request, 404, "<html>404 Not Found</html>", "text/html")
            return
        if isinstance(fault, int):
            self.send(request, fault, {"error_code": fault * 100 + 1, "message": "on demand"})
            return
        status, body = self.token_for(request, form) if request.path == "/token" else self.judge(request, form)
        if status == 200 and not fault:
            self.answered[request.path.partition("?")[0]] += 1
        self.send(request, status, body, cut=fault == "cut")

    def send(self, request, status, body, cut=False):
        if isinstance(body, str):
            self.send_text(request, status, body, "application/x-protobuf", cut)
        else:
            self.send_text(request, status, json.dumps(body), "application/vnd.schemaregistry.v1+json", cut)

    def send_text(self, request, status, text, kind, cut=False):
        body = text.encode()
        request.send_response(status)
        request.send_header("Content-Type", kind)
        request.send_header("Content-Length", str(len(body)))
        request.end_headers()
        request.wfile.write(body[: len(body) // 2] if cut else body)
        if cut:
            request.close_connection = True

    def token_for(self, request, form):
        said = request.headers.get("Authorization", "")
        name, _, secret = base64.b64decode(said.removeprefix("Basic ")).decode().partition(":")
        if "grant_type=client_credentials" not in form or self.clients.get(name) != secret:
            return 401, {"error": "invalid_client"}
        self.tokens_given += 1
        return 200, {"access_token": self.token, "token_type": "Bearer", "expires_in": self.token_life}

    def is_known(self, request):
        said = request.headers.get("Authorization", "")
        if self.token:
            return said == f"Bearer {self.token}"
        if self.user:
            return said == "Basic " + base64.b64encode(":".join(self.user).encode()).decode()
        return True

    def judge(self, request, form):
        if not self.is_known(request):
            return 401, {"error_code": 401, "message": "Unauthorized"}
        url = urllib.parse.urlsplit(request.path)
        query = dict(urllib.parse.parse_qsl(url.query))
        path = [urllib.parse.unquote(part) for part in url.path.split("/")[1:]]
        for prefix in (["apis", "ccompat", "v7"], ["apis", "registry", "v3"]):
            if path[:3] == prefix:
                path = path[3:]
        match request.command, path:
            case "POST", ["subjects", subject, "versions"]:
                return self.take(subject, json.loads(form))
        if tenant := request.headers.get("target-sr-cluster"):  # each has numbers of its own, at one address
            query["subject"] = f":.{tenant}:"
        with self.lock:
            return self.look(path, query)

    def take(self, subject, body):
        """A schema that a client registers."""
        context, name = self.in_context(subject)
        kind, references = body.get("schemaType", "AVRO"), body.get("references") or []
        number = self.register(name, body["schema"], kind, references, context=context)
        return 200, {"id": number, "guid": self.guid(number, context), **self.schemas[context][number].body()}

    def look(self, path, query):
        match path:
            case ["schemas", "types"]:
                return 200, ["JSON", "PROTOBUF", "AVRO"]
            case ["schemas", "ids", number]:
                context, _ = self.in_context(query.get("subject", ""))
                return self.by_number(context, int(number))
            case ["schemas", "guids", guid]:
                found = [s for have in self.schemas.values() for s in have.values() if s.guid == guid]
                return (200, found[0].body()) if found else not_found(40403, "Schema not found")
            case ["subjects", subject, "versions", version]:
                return self.by_subject(subject, version)
            case ["ids", "globalIds" | "contentIds" as kind, number, *more]:
                return self.by_apicurio(kind, int(number), more)
        return 404, {"error_code": 404, "message": "HTTP 404 Not Found"}

    @staticmethod
    def in_context(subject):
        """":.staging:orders-value" -> ("staging", "orders-value")"""
        if subject.startswith(":."):
            context, _, rest = subject[2:].partition(":")
            return context, rest
        return "", subject

    def by_number(self, context, number):
        schema = self.schemas.get(context, {}).get(number)
        if schema is None or time.monotonic() < self.hidden_until.get(number, 0):
            return not_found(40403, f"Schema {number} not found")
        return 200, schema.body()

    def by_subject(self, subject, version):
        context, name = self.in_context(subject)
        numbers = self.subjects.get((context, name))
        if numbers is None:
            return not_found(40401, f"Subject '{subject}' not found.")
        at = len(numbers) if version == "latest" else int(version)
        if not 1 <= at <= len(numbers):
            return not_found(40402, f"Version {version} not found.")
        number = numbers[at - 1]
        schema = self.schemas[context][number]
        return 200, {"subject": subject, "version": at, "id": number, "guid": schema.guid, **schema.body()}

    def by_apicurio(self, kind, number, more):
        schema = self.schemas.get("", {}).get(number)
        if schema is None:
            name = "VersionNotFoundException" if kind == "globalIds" else "ContentNotFoundException"
            return 404, {"status": 404, "name": name, "title": f"{kind} has no {number}"}
        if more == ["references"]:
            return 200, [
                {"artifactId": r["subject"], "version": str(r["version"]), "name": r["name"]} for r in schema.references
            ]
        return 200, schema.text
