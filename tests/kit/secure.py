"""A real Kafka whose listeners want TLS, certificates and passwords, and which gives rights by ACLs.

    @pytest.fixture(scope="module")
    def shared_secure(root): ...         # in conftest.py: one broker for a whole file, started once

    def test_x(secure_bench):            # a Bench whose kafka is that broker; secure_bench.config() uses `bootstrap`
        kafka = secure_bench.kafka
        secure_bench.config(log, kafka={"brokers": kafka.at("TLS")}, properties=kafka.tls())

`bootstrap` leads to the plain listener of the kit, where everybody is a super user (User:ANONYMOUS), and so is a client
of TLS, which shows no certificate. The others, each `kafka.at(NAME)` = "localhost:PORT":

    TLS         SSL, no certificate asked                       kafka.tls()
    MTLS        SSL, a client certificate is required           kafka.mtls("pgsinkd")
    SASL_TLS    SASL_SSL with PLAIN (and nothing else)          kafka.login("PLAIN", "pgsinkd", tls=True)
    SASL        SASL_PLAINTEXT: PLAIN, SCRAM-SHA-256 and -512   kafka.login("SCRAM-SHA-512", "pgsinkd")
    OAUTH       SASL_PLAINTEXT with OAUTHBEARER: Kafka's own    kafka.oauth("pgsinkd")
                check of unsecured tokens, see `unsecured_jwt`
    LOST        PLAINTEXT; its advertised name, also in `LOST`, does not resolve
    GONE        PLAINTEXT; its advertised port, kafka.gone, is one on which nothing listens

User `pgsinkd` (also as CN of a certificate, and as the subject of a token) is a super user; `poor` may do nothing until
`allow` gives it rights. The passwords are in PASSWORDS. `issue` makes more certificates: `kafka.ca.issue("name")`, and
`other_ca` is one that the broker does not know.
"""

import base64
import json
import socket
import struct
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from kit import process, wait
from kit.kafka import COMMON, Broker

PASSWORDS = {"pgsinkd": "sesame-open-9", "poor": "church-mouse-4"}
LISTENERS = {"TLS": "SSL", "MTLS": "SSL", "SASL_TLS": "SASL_SSL", "SASL": "SASL_PLAINTEXT", "OAUTH": "SASL_PLAINTEXT",
             "LOST": "PLAINTEXT", "GONE": "PLAINTEXT"}  # fmt: skip
LOST = "kafka-1.invalid"

SETTINGS = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
listeners=DIRECT://127.0.0.1:{direct},PROXIED://127.0.0.1:{behind},CONTROLLER://127.0.0.1:{controller},{listeners}
advertised.listeners=DIRECT://127.0.0.1:{direct},PROXIED://127.0.0.1:{proxy},{advertised}
listener.security.protocol.map=DIRECT:PLAINTEXT,PROXIED:PLAINTEXT,CONTROLLER:PLAINTEXT,{protocols}
inter.broker.listener.name=DIRECT
controller.listener.names=CONTROLLER
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
super.users=User:ANONYMOUS;User:pgsinkd;User:CN=pgsinkd
ssl.keystore.type=PEM
ssl.keystore.location={server.both}
ssl.truststore.type=PEM
ssl.truststore.location={ca.cert}
listener.name.mtls.ssl.client.auth=required
listener.name.sasl_tls.sasl.enabled.mechanisms=PLAIN
listener.name.sasl_tls.plain.sasl.jaas.config={plain}
listener.name.sasl.sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256,SCRAM-SHA-512
listener.name.sasl.plain.sasl.jaas.config={plain}
listener.name.sasl.scram-sha-256.sasl.jaas.config={scram}
listener.name.sasl.scram-sha-512.sasl.jaas.config={scram}
listener.name.oauth.sasl.enabled.mechanisms=OAUTHBEARER
listener.name.oauth.oauthbearer.sasl.jaas.config={oauth}
"""
LOGIN = "org.apache.kafka.common.security"
SCRAM = f"{LOGIN}.scram.ScramLoginModule required;"
OAUTH = f'{LOGIN}.oauthbearer.OAuthBearerLoginModule required unsecuredLoginStringClaim_sub="broker";'

# Numbers of Kafka's protocol.
RESOURCES = {"topic": 2, "group": 3, "cluster": 4, "transactional_id": 5}
OPERATIONS = {"all": 2, "read": 3, "write": 4, "create": 5, "delete": 6, "alter": 7, "describe": 8,
              "cluster_action": 9, "describe_configs": 10, "alter_configs": 11}  # fmt: skip
PATTERNS = {"literal": 3, "prefixed": 4}
DENY, ALLOW = 2, 3
DESCRIBE_ACLS, CREATE_ACLS, DELETE_ACLS = 29, 30, 31


@dataclass
class Certificate:
    cert: Path
    key: Path
    both: Path  # the key, and the certificate after it


class Authority:
    """A certificate authority."""

    def __init__(self, root: Path, name="ca"):
        self.root = root
        self.root.mkdir(exist_ok=True)
        self.name = name
        self.cert = root / f"{name}.pem"
        self.key = root / f"{name}.key"
        _openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", 100, "-subj", f"/CN={name}",
                 "-keyout", self.key, "-out", self.cert)  # fmt: skip

    def issue(self, name, days=50, host=None, file=None):
        """A certificate with CN=name, for `days`; with a host also for a server of that name. The same `file` (name if
        not given) is replaced."""
        base = self.root / f"{self.name}-{file or name}"
        made = Certificate(base.with_suffix(".pem"), base.with_suffix(".key"), base.with_suffix(".both"))
        request, extensions = base.with_suffix(".csr"), base.with_suffix(".ext")
        extensions.write_text(f"subjectAltName=DNS:{host},IP:127.0.0.1\n" if host else "keyUsage=digitalSignature\n")
        _openssl("req", "-new", "-newkey", "rsa:2048", "-nodes", "-subj", f"/CN={name}", "-keyout", made.key,
                 "-out", request)  # fmt: skip
        _openssl("x509", "-req", "-in", request, "-CA", self.cert, "-CAkey", self.key, "-CAcreateserial",
                 "-days", days, "-extfile", extensions, "-out", made.cert)  # fmt: skip
        made.both.write_text(made.key.read_text() + made.cert.read_text())
        return made


class SecureBroker(Broker):
    def __init__(self, root: Path):
        certificates = root / "certificates"
        self.ca = Authority(certificates)
        self.other_ca = Authority(certificates, "other")
        self.certificates = {name: self.ca.issue(name) for name in PASSWORDS}
        super().__init__(root)
        self.ports = {name: process.free_port() for name in LISTENERS}
        self.gone = process.free_port()
        users = " ".join(f'user_{name}="{password}"' for name, password in PASSWORDS.items())
        known = dict(line.split("=", 1) for line in self.properties.read_text().splitlines())
        direct = self.bootstrap.split(":")[1]
        behind, controller = (known["listeners"].split(",")[i].split(":")[2] for i in (1, 2))
        settings = SETTINGS.format(
            direct=direct, behind=behind, proxy=self.proxy.port, controller=controller,
            listeners=",".join(f"{name}://127.0.0.1:{port}" for name, port in self.ports.items()),
            advertised=",".join(f"{name}://{self._advertised(name)}" for name in LISTENERS),
            protocols=",".join(f"{name}:{protocol}" for name, protocol in LISTENERS.items()),
            server=self.ca.issue("localhost", host="localhost"), ca=self.ca, scram=SCRAM, oauth=OAUTH,
            plain=f"{LOGIN}.plain.PlainLoginModule required {users};",
        )  # fmt: skip
        self.properties.write_text(settings + COMMON.format(copies=1) + f"log.dirs={self.data}\n")

    FORMAT = [
        word
        for name, password in PASSWORDS.items()
        for size in (256, 512)
        for word in ("--add-scram", f"SCRAM-SHA-{size}=[name={name},password={password}]")
    ]

    def _advertised(self, listener):
        host = LOST if listener == "LOST" else "localhost"
        return f"{host}:{self.gone if listener == 'GONE' else self.ports[listener]}"

    # What a client needs

    def at(self, listener):
        return f"localhost:{self.ports[listener]}"

    def tls(self, ca=None):
        """librdkafka's properties for TLS; `broker.address.family` because the broker listens on IPv4 only."""
        return {"security.protocol": "SSL", "ssl.ca.location": str((ca or self.ca).cert), "broker.address.family": "v4"}

    def mtls(self, user="pgsinkd", certificate=None):
        made = certificate or self.certificates[user]
        return self.tls() | {"ssl.certificate.location": str(made.cert), "ssl.key.location": str(made.key)}

    def login(self, mechanism, user="pgsinkd", password=None, tls=False):
        return (self.tls() if tls else {"broker.address.family": "v4"}) | {
            "security.protocol": "SASL_SSL" if tls else "SASL_PLAINTEXT",
            "sasl.mechanism": mechanism,
            "sasl.username": user,
            "sasl.password": password or PASSWORDS[user],
        }

    def oauth(self, user="pgsinkd", seconds=3600):
        """The library makes the token itself."""
        return {
            "broker.address.family": "v4",
            "security.protocol": "SASL_PLAINTEXT",
            "sasl.mechanism": "OAUTHBEARER",
            "enable.sasl.oauthbearer.unsecure.jwt": "true",
            "sasl.oauthbearer.config": f"principal={user} lifeSeconds={seconds}",
        }

    # Rights

    def allow(self, user, operation, resource, name, pattern="literal", permission=ALLOW):
        """allow("poor", "read", "topic", "orders"): adds an ACL, and waits until the broker obeys it. The user is one
        of a login or a token; "CN=poor" is one of a certificate."""
        acl = _acl(user, operation, resource, name, pattern, permission)
        self._ask(CREATE_ACLS, struct.pack(">i", 1) + acl)
        wait.until(lambda: self._knows(acl), f"the right of {user} to {operation} {resource} {name}", interval=0.02)

    def deny(self, *acl, **options):
        self.allow(*acl, permission=DENY, **options)

    def disallow(self, user, operation, resource, name, pattern="literal", permission=ALLOW):
        """Takes such an ACL away again."""
        acl = _acl(user, operation, resource, name, pattern, permission)
        self._ask(DELETE_ACLS, struct.pack(">i", 1) + acl)
        wait.until(lambda: not self._knows(acl), f"{user} to lose {operation} {resource} {name}", interval=0.02)

    def _knows(self, acl):
        answer = self._ask(DESCRIBE_ACLS, acl)
        (error,) = struct.unpack_from(">h", answer, 4)
        (message,) = struct.unpack_from(">h", answer, 6)
        (found,) = struct.unpack_from(">i", answer, 8 + max(message, 0))
        assert error == 0, f"DescribeAcls: error {error}"
        return found > 0

    def _ask(self, key, body):
        """One request, version 1, by hand: the Python client of Debian 12 knows nothing of ACLs. Returns what follows
        the header of the answer."""
        request = struct.pack(">hhi", key, 1, 1) + _string("kit") + body
        with socket.create_connection(self.leader_address(None, None), 15) as s:
            s.sendall(struct.pack(">i", len(request)) + request)
            (length,) = struct.unpack(">i", s.recv(4, socket.MSG_WAITALL))
            answer = s.recv(length, socket.MSG_WAITALL)[4:]
        if key != DESCRIBE_ACLS:
            (error,) = struct.unpack_from(">h", answer, 8)
            assert error == 0, f"request {key}: error {error}"
        return answer


def unsecured_jwt(user="pgsinkd", seconds=3600):
    """A token that the listener OAUTH takes: a header, claims and no signature."""
    now = int(time.time())
    parts = ({"alg": "none"}, {"sub": user, "iat": now, "exp": now + seconds})
    return ".".join(base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts) + "."


def _acl(user, operation, resource, name, pattern, permission):
    return (
        struct.pack(">b", RESOURCES[resource]) + _string(name) + struct.pack(">b", PATTERNS[pattern])
        + _string(f"User:{user}") + _string("*") + struct.pack(">bb", OPERATIONS[operation], permission)
    )  # fmt: skip


def _openssl(*argv):
    done = subprocess.run(["openssl", *map(str, argv)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def _string(text):
    return struct.pack(">h", len(text)) + text.encode()
