"""Kafka over TLS and with logins: what works, and what is said of each mistake: what is wrong, at which broker, why, and
what to do.
"""

import contextlib
import re
import time

import pytest

from kit import daemon, process, wait
from kit.proxy import Proxy
from kit.records import Log
from kit.secure import LOST, PASSWORDS
from kit.web import Web

SECRET = "no-such-word-77"

RIGHT = {
    "SSL": ("TLS", lambda k: k.tls()),
    "mTLS": ("MTLS", lambda k: k.mtls()),
    "PLAIN over TLS": ("SASL_TLS", lambda k: k.login("PLAIN", tls=True)),
    "PLAIN": ("SASL", lambda k: k.login("PLAIN")),
    "OAUTHBEARER": ("OAUTH", lambda k: k.oauth()),
}


@pytest.mark.parametrize("way", RIGHT)
def test_stores_over(secure_bench, way):
    listener, properties = RIGHT[way]
    kafka = secure_bench.kafka
    log = secure_bench.topic(partitions=2)
    secure_bench.plain_table()
    log.fill(200)
    secure_bench.drain(secure_bench.config(log, kafka={"brokers": kafka.at(listener)}, properties=properties(kafka)))
    secure_bench.check(log)


V4 = {"broker.address.family": "v4"}
NO_PROTOCOL = V4 | {"sasl.mechanism": "PLAIN", "sasl.username": "pgsinkd", "sasl.password": SECRET}

# brokers, properties, why (after the broker's name), what to do
MISTAKES = {
    "host name": (
        lambda k: ("kafka1.invalid:9092", V4),
        "Failed to resolve: Name or service not known",
        "Check the host names in kafka.brokers",
    ),
    "port": (
        lambda k: (f"localhost:{process.free_port()}", V4),
        "Connection refused",
        "Is Kafka running there",
    ),
    "plaintext to TLS": (
        lambda k: (k.at("TLS"), V4),
        r"it ends the connection at the first request \(a TLS listener\?\)",
        "Set security.protocol to SSL ",
    ),
    "TLS to plaintext": (
        lambda k: (k.bootstrap, k.tls()),
        r"SSL handshake failed: it .* \(a listener without TLS\?\)",
        "Set security.protocol to PLAINTEXT ",
    ),
    "plaintext to a login": (
        lambda k: (k.at("SASL"), V4),
        r"it ends the connection because there was no login \(a SASL listener\?\)",
        "Set security.protocol to SASL_SSL or SASL_PLAINTEXT",
    ),
    "login without security.protocol": (
        lambda k: (k.at("SASL"), NO_PROTOCOL),
        r"it ends the connection because there was no login \(a SASL listener\?\)",
        r"kafka\.properties has sasl\.\*, and no security\.protocol",
    ),
    "login where there is none": (
        lambda k: (k.bootstrap, k.login("PLAIN")),
        r"it knows no login \(not a SASL listener\)",
        "Set security.protocol to PLAINTEXT or SSL",
    ),
    "unknown CA": (
        lambda k: (k.at("TLS"), k.tls(k.other_ca)),
        "SSL handshake failed: its certificate cannot be verified",
        "Set ssl.ca.location",
    ),
    "no client certificate": (
        lambda k: (k.at("MTLS"), k.tls()),
        "Receive failed: sslv3 alert bad certificate: SSL alert number 42",
        "set ssl.certificate.location and ssl.key.location",
    ),
    "client certificate of another CA": (
        lambda k: (k.at("MTLS"), k.mtls(certificate=k.other_ca.issue("pgsinkd"))),
        "Receive failed: sslv3 alert certificate unknown: SSL alert number 46",
        "signed by a CA that the broker knows",
    ),
    "password": (
        lambda k: (k.at("SASL_TLS"), k.login("PLAIN", password=SECRET, tls=True)),
        "SASL authentication error: Authentication failed: Invalid username or password",
        "Check sasl.username and sasl.password",
    ),
    "mechanism": (
        lambda k: (k.at("SASL_TLS"), k.login("SCRAM-SHA-512", tls=True)),
        ".*: Unsupported SASL mechanism: broker's supported mechanisms: PLAIN",
        "Set sasl.mechanism",
    ),
    "SCRAM with an old library": (
        lambda k: (k.at("SASL"), k.login("SCRAM-SHA-512")),
        r"Authentication failed; librdkafka 2\.0\.2 cannot do SCRAM with Kafka 4",
        r"\(needs 2\.6\.1\)\. Use PLAIN over TLS, or a newer librdkafka \(Debian 13 has 2\.8\)\.",
    ),
}


@pytest.fixture(autouse=True)
def old_library(request):
    """Of Debian 12; a newer one can do SCRAM."""
    name = getattr(request.node, "callspec", None)
    if name and "SCRAM" in str(name.params.values()) and "librdkafka 2.0.2" not in daemon.command("version").stdout:
        pytest.skip("this librdkafka can do SCRAM")


def config_of(bench, mistake, log):
    brokers, properties = mistake[0](bench.kafka)
    return brokers, bench.config(log, kafka={"brokers": brokers}, properties=properties)


@pytest.mark.parametrize("name", MISTAKES)
def test_check_says_why(secure_bench, name):
    mistake = MISTAKES[name]
    log = Log(secure_bench.kafka, "nothing", 1)
    secure_bench.plain_table()
    brokers, config = config_of(secure_bench, mistake, log)
    begun = time.monotonic()
    done = secure_bench.command("check", config)
    took = time.monotonic() - begun
    assert done.returncode == 5, done.stderr
    assert re.search(rf"^kafka: brokers cannot be reached \({brokers}: {mistake[1]}\)$", done.stderr, re.M), done.stderr
    assert re.search(rf"^HINT: .*{mistake[2]}", done.stderr, re.M), done.stderr
    assert SECRET not in done.stderr + done.stdout
    assert took < 9, "it waits for what does not come"


def test_run_says_why(secure_bench):
    """The log at level info, and STATUS; all mistakes at once, each a daemon that waits until Kafka answers."""
    log = secure_bench.topic()
    secure_bench.plain_table()
    begun = []
    for name, mistake in MISTAKES.items():
        brokers, config = config_of(secure_bench, mistake, log)
        d = secure_bench.start(config, ready=False).allow(f"^main: kafka: {brokers}: ")
        begun.append((name, brokers, mistake, d))
    for name, brokers, (_, why, what), d in begun:
        d.wait_log(rf"kafka: brokers cannot be reached \({brokers}: {why}\); trying again until they can\n.*HINT: .*{what}")
        said = rf"^kafka: brokers cannot be reached \({brokers}: {why}\); 0 partitions"
        wait.until(lambda: any(re.search(said, s) for s in d.notify.values("STATUS")), f"STATUS to say it: {name}")  # noqa: B023
        lines = re.findall("brokers cannot be reached.*", d.log())
        assert len([line for line in lines if re.search(why, line)]) == 1, name
        assert len(lines) <= 2, "one before the reason is known, and one that says it"
        assert SECRET not in d.log() + str(d.notify.messages)
        d.kill()


def test_says_it_again_and_when_it_is_over(secure_bench):
    """Wrong until the right port is there: a proxy stands for a broker that is started later."""
    port = process.free_port()
    log = secure_bench.topic()
    secure_bench.plain_table()
    log.fill(10)
    web = Web(process.free_port())
    config = secure_bench.config(log, kafka={"brokers": f"localhost:{port}"}, properties=V4, http={"listen": web.address})
    d = secure_bench.start(config, ready=False, times="repeat=500ms")
    again = r"(?s)(brokers cannot be reached \(localhost:\d+: Connection refused\).*){3}"
    d.wait_log(again)
    answer = web.get("/readyz")
    assert answer.status == 503
    assert f"kafka: brokers cannot be reached (localhost:{port}: Connection refused)" in answer.text
    assert f'"brokers_why":"brokers cannot be reached (localhost:{port}: Connection refused)"' in web.get("/status").text
    with contextlib.closing(Proxy(("127.0.0.1", int(secure_bench.kafka.bootstrap.split(":")[1])), port=port)):
        d.wait_log("brokers can be reached again")
        d.wait_ready()
        secure_bench.wait_stored(log)
        assert len(re.findall("can be reached again", d.log())) == 1
        wait.until(lambda: "cannot be reached" not in d.notify.values("STATUS")[-1], "STATUS to be well again")
        d.terminate()
    secure_bench.check(log)


def test_the_example_of_readme(secure_bench):
    """README's first file, as it stands there, with the names of this place."""
    kafka = secure_bench.kafka
    text = re.search(r"```yaml\n(sink: orders\n.*?)```", (daemon.ROOT / "README.md").read_text(), re.S)[1]
    dsn = secure_bench.dsn()
    for there, here in (
        ("kafka1.example.net:9093,kafka2.example.net:9093", kafka.at("SASL_TLS")),
        ("/etc/pgsinkd/kafka-ca.pem", str(kafka.ca.cert)),
        ("dsn: host=db.example.net dbname=warehouse user=pgsinkd sslmode=verify-full", f"dsn: {dsn}"),
        ("sink: orders", f"sink: {secure_bench.sink}"),
        ("    sasl.mechanism", "    broker.address.family: v4\n    sasl.mechanism"),
    ):
        assert text.count(there) == 1, there
        text = text.replace(there, here)
    (secure_bench.root / "kafka-password").write_text(PASSWORDS["pgsinkd"] + "\n")
    (secure_bench.root / "pg-password").write_text("any\n")
    secure_bench.sql("CREATE TABLE orders (id bigint, customer text, placed_at timestamptz, amount numeric)")
    secure_bench.sql("CREATE TABLE customers (id bigint PRIMARY KEY, name text)")
    secure_bench.sql("CREATE TABLE audit (_topic text, _offset bigint, _value bytea)")
    orders, customers, audit = (secure_bench.topic(name=name) for name in ("orders", "customers", "audit.logins"))
    orders.send(b'{"id": 1, "customer": {"name": "Ada"}, "ts_ms": 0, "amount": 12.5}')
    customers.send(b'{"name": "Ada"}', key=b'{"id": 7}')
    customers.send(b'{"name": "Lovelace"}', key=b'{"id": 7}')
    audit.send(b"\x00 in any form")
    done = secure_bench.command("check", text)
    assert done.returncode == 0, done.stdout + done.stderr
    secure_bench.drain(text)
    assert secure_bench.sql("SELECT id, customer, amount FROM orders") == [(1, "Ada", 12.5)]
    assert secure_bench.sql("SELECT id, name FROM customers") == [(7, "Lovelace")]
    assert secure_bench.value("SELECT count(*) FROM audit") == 1


def test_a_topic_that_is_deleted(secure_bench):
    """The brokers are not away because of that."""
    log = secure_bench.topic()
    secure_bench.plain_table()
    log.fill(10)
    d = secure_bench.start(secure_bench.config(log))
    secure_bench.wait_stored(log)
    secure_bench.kafka.delete_topic(log.topic)
    d.wait_log(f"warning main: kafka: topic '{log.topic}' does not exist, or may not be seen")
    d.wait_log("partitions? revoked")
    d.terminate()
    assert "cannot be reached" not in d.log()


def test_a_topic_with_a_wrong_name(secure_bench):
    """The rest is stored; the log and STATUS say so, with the name that is nearest, until there is such a topic."""
    there = secure_bench.topic()
    missing = f"{there.topic}_x"
    secure_bench.plain_table()
    there.fill(10)
    config = secure_bench.config(there)
    config["routes"][0]["topics"] = [there.topic, missing]
    d = secure_bench.start(config)
    secure_bench.wait_stored(there)
    said = f"topic '{missing}' does not exist, or may not be seen"
    d.wait_log(rf"warning main: kafka: {said}; it is read when it appears\n.*HINT: Did you mean '{there.topic}'\? ")
    status = f"{said} (did you mean '{there.topic}'?); 1 partitions"
    wait.until(lambda: any(s.startswith(status) for s in d.notify.values("STATUS")), "STATUS to say it")
    secure_bench.topic(name=missing)
    d.wait_log(f"notice main: kafka: topic '{missing}' exists now")
    d.wait_log("2 partitions assigned", timeout=60)
    wait.until(lambda: "does not exist" not in d.notify.values("STATUS")[-1], "STATUS to be well again")
    d.terminate()
    secure_bench.check(there)


def test_another_command_says_why(secure_bench):
    log = secure_bench.topic()
    secure_bench.plain_table()
    config = secure_bench.config(log)
    secure_bench.drain(config)
    config["kafka"] |= {"brokers": secure_bench.kafka.at("SASL_TLS")}
    for argv in (("seek", "--from-group", "other"), ("verify", "--content", log.topic), ("try", log.topic)):
        done = secure_bench.command(argv[0], config, *argv[1:])
        assert done.returncode == 5, done.stderr
        assert re.search(r"brokers cannot be reached \(localhost:\d+: it ends the .* \(a TLS listener\?\)\)", done.stderr)
        assert "HINT: Set security.protocol to SSL" in done.stderr


def test_a_certificate_that_expires(secure_bench):
    """`check` warns, and the log, at the start and once a day (here: a moment); also when a renewed one is in its place,
    which is not used before a restart."""
    kafka = secure_bench.kafka
    made = kafka.ca.issue("pgsinkd", days=3, file="short")
    log = secure_bench.topic(partitions=2)
    secure_bench.plain_table()
    config = secure_bench.config(log, kafka={"brokers": kafka.at("MTLS")}, properties=kafka.mtls(certificate=made))
    ends = rf"kafka: certificate 'CN=pgsinkd' in {re.escape(str(made.cert))} expires in 3 days \(20\S+Z\)"
    done = secure_bench.command("check", config)
    assert (done.returncode, done.stdout.splitlines()[-1]) == (0, "ok, with 1 warning"), done.stdout + done.stderr
    assert re.search(rf"^warning: {ends}\nHINT: Put the renewed one in its place and restart", done.stderr, re.M)
    d = secure_bench.start(config, times="certificates=300ms")
    d.wait_log(rf"warning main: {ends}\n.*HINT: Put the renewed one in its place and restart")
    kafka.ca.issue("pgsinkd", file="short")
    d.wait_log(rf"warning main: {ends}; a renewed one is there, but this process still uses the old\n.*HINT: Restart")
    log.fill(200)
    secure_bench.wait_stored(log)
    d.terminate()
    assert "expires" not in secure_bench.drain(config).log()
    secure_bench.check(log)


def test_a_certificate_that_has_expired(secure_bench):
    kafka = secure_bench.kafka
    made = kafka.ca.issue("pgsinkd", days=0, file="ended")
    log = Log(kafka, "nothing", 1)
    secure_bench.plain_table()
    config = secure_bench.config(log, kafka={"brokers": kafka.at("MTLS")}, properties=kafka.mtls(certificate=made))
    done = secure_bench.command("check", config)
    assert done.returncode == 5, done.stderr
    said = rf"^kafka: certificate 'CN=pgsinkd' in {re.escape(str(made.cert))} has expired \(20\S+Z\)\nHINT: Put the renewed"
    assert re.search(said, done.stderr, re.M), done.stderr


def test_a_name_that_is_advertised_and_not_known(secure_bench):
    """The address of kafka.brokers answers, and what it leads to does not."""
    kafka = secure_bench.kafka
    log = secure_bench.topic()
    secure_bench.plain_table()
    config = secure_bench.config(log, kafka={"brokers": kafka.at("LOST")}, properties=V4)
    why = rf"{LOST}:{kafka.ports['LOST']}: Failed to resolve: Name or service not known"
    done = secure_bench.command("check", config)
    assert done.returncode == 5, done.stdout + done.stderr
    assert re.search(rf"^kafka: group '.*': brokers cannot be reached \({why}\)$", done.stderr, re.M), done.stderr
    assert re.search(r"^HINT: .*advertised\.listeners", done.stderr, re.M), done.stderr


def test_run_says_that_an_advertised_name_is_not_known(secure_bench):
    """The daemon waits: the log, STATUS and /readyz say for what. The library reports what lasts every 30 s."""
    kafka = secure_bench.kafka
    log = secure_bench.topic()
    secure_bench.plain_table()
    web = Web(process.free_port())
    config = secure_bench.config(log, kafka={"brokers": kafka.at("LOST")}, properties=V4, http={"listen": web.address})
    d = secure_bench.start(config, ready=False, times="repeat=500ms")
    why = rf"kafka: some brokers cannot be reached \({LOST}:{kafka.ports['LOST']}: Failed to resolve: Name or service not known\)"
    again = rf"(?s)(warning main: {why}; trying again until they can\n[^\n]*HINT: [^\n]*advertised\.listeners.*){{2}}"
    d.wait_log(again, timeout=90)
    wait.until(lambda: any(re.search(f"^{why}; 0 partitions", s) for s in d.notify.values("STATUS")), "STATUS to say it")
    answer = web.get("/readyz")
    assert answer.status == 503
    assert re.search(f"starting: no partition has been claimed yet; {why}", answer.text), answer.text
    d.kill()


def test_run_says_when_an_advertised_address_can_be_reached(secure_bench):
    """Nothing listens on the port that the broker gives out, until a proxy does."""
    kafka = secure_bench.kafka
    log = secure_bench.topic()
    secure_bench.plain_table()
    log.fill(10)
    config = secure_bench.config(log, kafka={"brokers": kafka.at("GONE")}, properties=V4)
    d = secure_bench.start(config, ready=False)
    why = rf"kafka: some brokers cannot be reached \(localhost:{kafka.gone}: Connection refused\); trying again until they can"
    d.wait_log(rf"warning main: {why}\n.*HINT: .*the one that the broker gives out \(its advertised\.listeners\)", timeout=90)
    with contextlib.closing(Proxy(("127.0.0.1", kafka.ports["GONE"]), port=kafka.gone)):
        d.wait_log("notice main: kafka: all brokers that are needed can be reached again")
        d.wait_ready()
        secure_bench.wait_stored(log)
        wait.until(lambda: "cannot be reached" not in d.notify.values("STATUS")[-1], "STATUS to be well again")
        d.terminate()
    assert len(re.findall("some brokers cannot be reached", d.log())) == 1
    secure_bench.check(log)
