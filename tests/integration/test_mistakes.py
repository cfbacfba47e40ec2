"""The mistakes that an operator makes with a first file: for each what is wrong, where, why and what to do is said by
`check`, by `run` in its log, and in STATUS where the daemon goes on. Where it ends, its exit code and its last line say so.

One table for each place of a mistake: the file, the command line, Kafka, the database, a record. What each option's faults
look like in detail is in test_mistakes_file.py, TLS and logins in test_secure.py, rights in test_check_rights.py and
test_kafka_rights.py.
"""

import re
import signal
from concurrent.futures import ThreadPoolExecutor

import pytest

from kit import daemon, process, wait

HEAD = "sink: s\nkafka: {brokers: 'b:1'}\npostgres: {dsn: dbname=x}\nroutes:\n"
ROUTE = "  - {topics: [t], table: t}\n"


def route(*lines):
    """What the route has beside topics and table begins in line 7."""
    return HEAD + "  - topics: [t]\n    table: public.t\n" + "".join(f"    {line}\n" for line in lines)


def dsn(text):
    return f"sink: s\nkafka: {{brokers: 'b:1'}}\npostgres:\n  dsn: {text}\nroutes:\n{ROUTE}"


def properties(line):
    return f"sink: s\nkafka:\n  brokers: b:1\n  properties:\n    {line}\npostgres: {{dsn: dbname=x}}\nroutes:\n{ROUTE}"


# name: the file; line and column; what is wrong, and why; what to do
IN_THE_FILE = {
    "YAML: a key that is not indented": (
        "sink: s\nkafka:\nbrokers: b:1\n", "3:1", "unknown key 'brokers'", "It belongs in 'kafka'",
    ),
    "YAML: one blank too few": (
        HEAD + ROUTE + "   - {topics: u, table: u}\n", r"\d+:\d+", "not valid YAML", "one column",
    ),
    "YAML: a tab": ("sink: s\nkafka:\n\tbrokers: b\n", "3:1", "tabs cannot indent", ""),
    "YAML: a key twice": ("sink: s\nsink: t\n", "2:1", "duplicate key 'sink', first at line 1", ""),
    "YAML: a second document": (HEAD + ROUTE + "---\nsink: t\n", r"\d+:1", "a second document starts here", ""),
    "YAML: an anchor": ("sink: &a s\nkafka: {brokers: *a}\n", r"\d+:\d+", "anchors", ""),
    "a password cut by a comment": (dsn("password=a #b"), "4:8", "where a comment begins", "quotes"),
    "a password with blanks": (dsn("password=one two dbname=x"), "4:8", "a word without", "needs single quotes"),
    "a mode misspelt": (route("mode: upserts"), "7:11", "'mode' cannot be 'upserts'", "Did you mean 'upsert'"),
    "a mode of others": (route("mode: insert"), "7:11", "'mode' cannot be 'insert'", "append"),
    "a key with append": (route("key: id"), "7:10", "mode append only adds", "upsert"),
    "topics: a pattern without ^": (
        HEAD + "  - {topics: 'deliver.*', table: t}\n", "5:14", "not the name of a topic", "starts with \\^",
    ),
    "topics: a pattern that does not compile": (HEAD + "  - {topics: '^(a', table: t}\n", "5:14", "does not compile", "grep -E"),
    "DSN: a keyword misspelt": (dsn("hots=db1"), "4:8", "an unknown keyword 'hots'", "Did you mean 'host'"),
    "a secret's file is not there": (dsn("password=${file:pg-password}"), "4:8", "cannot be read: No such file", "looked for in"),
    "a variable is not set": (dsn("password=${NO_SUCH}"), "4:8", "'NO_SUCH' is not set", ""),
    "Java: max.poll.records": (properties("max.poll.records: 5"), "5:5", "has no property", "batch.max_rows"),
    "Java: bootstrap.servers": (
        "sink: s\nkafka: {bootstrap.servers: b}\n", "2:9", "unknown key", "kafka.brokers",
    ),
    "Java: auto.offset.reset": (properties("auto.offset.reset: latest"), "5:5", "is refused", "kafka.start|"),
}  # fmt: skip


def runs(root, name, text):
    """The daemon, with a file that ends it: (exit code, what it says)."""
    d = daemon.Daemon(root, name, text)
    code = d.wait_exit(20)
    d.close()
    return code, d.log()


def test_in_the_file(tmp_path):
    """`config`, `check` and `run` say the same, with exit code 3, before any server is asked."""

    def all_three(number, text):
        path = tmp_path / f"m{number}.yaml"
        path.write_text(text)
        said = [(done.returncode, done.stderr) for done in (daemon.command(verb, "-c", path) for verb in ("config", "check"))]
        return [*said, runs(tmp_path, f"m{number}", text)]

    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda m: all_three(*m), enumerate(text for text, *_ in IN_THE_FILE.values())))
    for (name, (_, place, what, todo)), answers in zip(IN_THE_FILE.items(), found, strict=True):
        for code, said in answers:
            fault, _, hint = said.partition("HINT: ")
            assert code == 3, f"{name}: {said}"
            assert re.search(rf"m\d+\.yaml:{place}: .*{what}", fault), f"{name}: {said}"
            assert re.search(todo, hint), f"{name}: {said}"


UNREADABLE = {
    "there is no such file": (lambda root: root / "none.yaml", "cannot be read: No such file or directory"),
    "it is a directory": (lambda root: root, "cannot be read: Is a directory|is a directory"),
}


@pytest.mark.parametrize("name", UNREADABLE)
def test_the_file_itself(tmp_path, name):
    path, words = UNREADABLE[name]
    for verb in ("config", "check", "run"):
        done = daemon.command(verb, "-c", path(tmp_path))
        assert done.returncode == 3 and re.search(words, done.stderr), done.stderr
        assert str(path(tmp_path)) in done.stderr


COMMAND_LINE = {
    "run without a file": (["run"], 2, "-c FILE is missing"),
    "the file without -c": (["run", "x.yaml"], 2, "Did you mean '-c x.yaml'"),
    "a command misspelt": (["runn"], 2, "Did you mean 'run'"),
    "nothing": ([], 2, "usage: "),
    "help": (["help"], 0, "usage: "),
    "--help": (["--help"], 0, "usage: "),
    "-h": (["-h"], 0, "usage: "),
    "-V": (["-V"], 0, "pgsinkd 0."),
    "--version": (["--version"], 0, "pgsinkd 0."),
    "version": (["version"], 0, "pgsinkd 0."),
}


def test_the_command_line():
    for name, (argv, code, words) in COMMAND_LINE.items():
        done = daemon.command(*argv)
        assert done.returncode == code, f"{name}: {done.stderr}"
        assert words in done.stdout + done.stderr, name


# ---- servers ----

V4 = {"broker.address.family": "v4"}
AWAY = r"kafka: brokers cannot be reached \({}\)"
NOBODY = "zebra-quagga-77"


class Mistake:
    """Expected of check: its exit code and words. Of run: words of its log, and either its exit code or STATUS."""

    def __init__(self, change, check, said, todo, *, ends=None, status=None, log=None, place=None):
        self.change, self.check, self.said, self.todo = change, check, said, todo
        self.ends, self.status, self.log, self.place = ends, status, log or said, place


def kafka_mistake(brokers, props, why, todo):
    said = AWAY.format(r"\S+: " + why)
    return Mistake(lambda b: {"kafka": {"brokers": brokers(b.kafka)}, "properties": props(b.kafka)}, 5, said, todo, status=said)


def table_mistake(said, todo, place=r"\d+:\d+", **change):
    return Mistake(lambda b: {"route": change}, 4, said, todo, ends=4, place=place)


def dsn_mistake(more, why, todo, *, ends=None, check=4):
    status = f"waiting for postgresql: .*{why}"
    return Mistake(lambda b: {"postgres": {"dsn": f"{b.dsn()} {more(b)}"}}, check, why, todo, ends=ends, status=status,
                   place=r"\d+:\d+")  # fmt: skip


ON_SERVERS = {
    # Kafka cannot be reached
    "broker: host name": kafka_mistake(
        lambda k: "kafka1.invalid:9092", lambda k: V4, "Failed to resolve: Name or service not known", "host names in kafka.brokers",
    ),
    "broker: port": kafka_mistake(
        lambda k: f"localhost:{process.free_port()}", lambda k: V4, "Connection refused", "Is Kafka running there",
    ),
    "broker: the port of TLS": kafka_mistake(
        lambda k: k.at("TLS"), lambda k: V4, r".*\(a TLS listener\?\)", "Set security.protocol to SSL ",
    ),
    "broker: the port of a login": kafka_mistake(
        lambda k: k.at("SASL"), lambda k: V4, r".*\(a SASL listener\?\)", "Set security.protocol to SASL_SSL",
    ),
    "TLS where there is none": kafka_mistake(
        lambda k: k.bootstrap, lambda k: k.tls(), r"SSL handshake failed: it .*without TLS\?\)", "Set security.protocol to PLAINTEXT",
    ),
    "an unknown CA": kafka_mistake(
        lambda k: k.at("TLS"), lambda k: k.tls(k.other_ca), "SSL handshake failed: its certificate cannot be verified",
        "Set ssl.ca.location",
    ),
    "a login's password": kafka_mistake(
        lambda k: k.at("SASL_TLS"), lambda k: k.login("PLAIN", password=NOBODY, tls=True), "SASL authentication error: .*",
        "Check sasl.username and sasl.password",
    ),
    "a mechanism that is not offered": kafka_mistake(
        lambda k: k.at("SASL_TLS"), lambda k: k.login("SCRAM-SHA-512", tls=True),
        ".*Unsupported SASL mechanism: broker's supported mechanisms: PLAIN", "Set sasl.mechanism",
    ),
    # Kafka refuses, or has not what is asked for
    "no right on the topic": Mistake(
        lambda b: b.poor("group"), 5, "do not allow this client to read topic '{bad}'", "kafka-acls.sh .*--topic '{bad}'",
        status="1 topic may not be read: {bad}",
    ),
    "no right on the group": Mistake(
        lambda b: b.poor("topic"), 5, "do not allow this client to use the group '{group}'", "kafka-acls.sh .*--group '{group}'",
        status="the brokers refuse the group '{group}'",
    ),
    "a topic misspelt": Mistake(
        lambda b: {"topics": [b.log.topic + "x"]}, 5, "topic '{topic}x' does not exist", "Did you mean '{topic}'",
        log="topic '{topic}x' does not exist, or may not be seen.*\n.*HINT: Did you mean '{topic}'",
        status="topic '{topic}x' does not exist, or may not be seen", place=r"\d+:\d+",
    ),
    "a pattern that matches nothing": Mistake(
        lambda b: {"topics": ["^nothing\\.like"]}, 0, "matches no topic that exists", "picked up within a minute",
        log=r"notice main: kafka: pattern '\^nothing\\.like' matches no topic that exists and may be seen", # it may be for topics to come
        status=r"pattern '\^nothing\\.like' matches no topic", place=r"\d+:\d+",
    ),
    # the target
    "a table misspelt": table_mistake("table 'public.ordrs' does not exist", "Did you mean 'public.orders'", table="public.ordrs"),
    "a schema misspelt": table_mistake(
        "schema 'pubic' does not exist", "'public'", table="pubic.orders",
    ),
    "one pair of quotes": table_mistake(
        "table 'public.orders' does not exist", "One pair of quotes makes one name of it", table='"public.orders"',
    ),
    "a view": table_mistake("is a view that takes no rows", "Name the table that it reads", table="seen"),
    "a key without an index": table_mistake(
        r'key: table "public"."keyless" has no unique index on \("id"\)', "CREATE UNIQUE INDEX CONCURRENTLY", place="@KEY:\\d+",
        table="keyless", mode="upsert", key=["id"],
    ),
    "no primary key": table_mistake("has no primary key, and the route names no key", "ADD PRIMARY KEY", table="keyless", mode="upsert"),
    # rights
    "no right on the table": Mistake(
        lambda b: b.as_role("", "orders"), 4, "missing rights", 'GRANT INSERT ON TABLE "public"."orders" TO "{role}";', ends=4,
        log=r"\d+:\d+: table 'public.orders': role '{role}' has no INSERT privilege.*\n.*"
            'GRANT INSERT ON TABLE "public"."orders" TO "{role}";',
    ),
    "no right on its schema": Mistake(
        lambda b: b.as_role("", "priv.t"), 4, "missing rights", 'GRANT USAGE ON SCHEMA "priv" TO "{role}";', ends=4,
        log="has no USAGE privilege on the schema\n.*GRANT USAGE ON SCHEMA \"priv\" TO \"{role}\";",
    ),
    "no right on our own schema": Mistake(
        lambda b: b.as_role("2", "events"), 4, "missing rights", 'GRANT USAGE ON SCHEMA "pgsinkd" TO "{role}2";', ends=4,
        log="role '{role}2' has no USAGE privilege\n.*`pgsinkd init --print`",
    ),
    # the database
    "DSN: host": dsn_mistake(lambda b: "host=db1.invalid", "could not translate host name", "DSN|dsn|host"),
    "DSN: port": dsn_mistake(lambda b: f"port={process.free_port()}", "Connection refused", "running"),
    "DSN: database": dsn_mistake(lambda b: "dbname=warehous", 'database "warehous" does not exist', "correct dbname in postgres.dsn", ends=1),
    "DSN: user": dsn_mistake(lambda b: f"user={NOBODY} password=x", "authentication failed for user", "Check user and password", ends=1),
    "DSN: password": dsn_mistake(
        lambda b: f"user={b.role} password={NOBODY}", "authentication failed for user", "Check user and password", ends=1,
    ),
    "a password file that others may read": Mistake(
        lambda b: {"postgres": {"dsn": f"{b.dsn()} user={b.role} passfile={b.open_file()}"}}, 4, "no password supplied",
        "the password file|0600", ends=1, status="no password supplied", place=r"\d+:\d+",
    ),
    # a record
    "a value of another type": Mistake(
        lambda b: {"route": {"table": "orders"}, "topics": [b.bad.topic]}, 1,
        "{bad}-0@0: column 'amount': \"12,50\" is not a valid numeric", "Compare the reasons above with the route",
        log="{bad}-0@0: column 'amount': \"12,50\" is not a valid numeric\n.*HINT: Fix the cause and try again: SELECT pgsinkd.seek",
        status="1 stopped: {bad}-0@0: column 'amount': \"12,50\" is not a valid numeric",
    ),
}  # fmt: skip


@pytest.fixture
def shop(secure_bench):
    """Tables, topics and roles with which something can be wrong."""
    b = secure_bench
    b.log, b.bad = b.topic(), b.topic()
    b.log.fill(5)
    b.bad.send_json(id=1, amount="12,50")
    b.plain_table()
    b.sql("CREATE TABLE orders (id int PRIMARY KEY, amount numeric); CREATE TABLE keyless (id int, v int);"
          "CREATE VIEW seen AS SELECT id, count(*) AS n FROM orders GROUP BY id;"
          "CREATE SCHEMA priv; CREATE TABLE priv.t (id int)")  # fmt: skip
    b.role = f"{b.sink}_poor"
    for name in (b.role, b.role + "2"):
        b.sql(f"CREATE ROLE {name} LOGIN PASSWORD 'x'")
    assert b.command("init", b.config(b.log)).returncode == 0
    for kind in ("TABLES", "FUNCTIONS"):
        b.sql(f"GRANT ALL ON ALL {kind} IN SCHEMA pgsinkd TO {b.role}")
    b.sql(f"GRANT USAGE ON SCHEMA pgsinkd TO {b.role}; GRANT INSERT ON events TO {b.role}2;"
          f"GRANT CREATE ON DATABASE {b.database} TO {b.role}")  # fmt: skip

    def poor(which):
        """A user who has the right on this, and not on the other."""
        name = b.log.topic if which == "topic" else f"pgsinkd-{b.current}"
        b.kafka.allow("poor", "read", which, name)
        if which == "group":
            b.kafka.allow("poor", "describe", "topic", b.bad.topic)
        topics = [b.bad.topic if which == "group" else b.log.topic]
        return {"kafka": {"brokers": b.kafka.at("SASL")}, "properties": b.kafka.login("PLAIN", "poor"), "topics": topics}

    def open_file():
        path = b.root / "pgpass"
        path.write_text(f"*:*:*:{b.role}:x\n")
        path.chmod(0o644)
        return path

    b.poor, b.open_file = poor, open_file
    b.as_role = lambda more, table: {"postgres": {"dsn": b.dsn(user=b.role + more, password="x")}, "route": {"table": table}}
    yield b
    b.stop()
    for name in (b.role, b.role + "2"):
        b.sql(f"DROP OWNED BY {name} CASCADE")
        with b.postgres.connect() as admin:
            admin.execute(f"DROP ROLE {name}")


def config_of(b, name, mistake):
    b.current = f"{b.sink}_{list(ON_SERVERS).index(name)}"
    change = mistake.change(b)
    return b.config(**({"topics": [b.log.topic]} | change)) | {"sink": b.current}


def filled(b, config, pattern):
    """The names of this test in the place of {topic} and so on."""
    names = {"topic": b.log.topic, "bad": b.bad.topic, "role": b.role, "group": f"pgsinkd-{config['sink']}"}
    return re.sub(r"\{(\w+)\}", lambda m: re.escape(names[m[1]]) if m[1] in names else m[0], pattern)


def place_of(d, pattern):
    """@KEY: the line of `key:` in the file."""
    text = d.config.read_text().splitlines()
    at = next((i for i, line in enumerate(text, 1) if line.strip() == "key:"), 0)
    return pattern.replace("@KEY", rf"(?:{at}|{at + 1})")


def check_one(b, mistake, config, d, done):
    """done: of `check`; d: the daemon with the same file."""

    def expect(pattern, text, what):
        pattern = place_of(d, filled(b, config, pattern))
        assert re.search(pattern, text, re.M), f"{what}: no {pattern!r} in\n{text}"

    def keeps_secrets(text):
        assert NOBODY not in text.replace(f'user "{NOBODY}"', ""), text

    said = done.stderr + done.stdout
    assert done.returncode == mistake.check, said
    expect((rf"\.yaml:{mistake.place}: .*" if mistake.place else "") + mistake.said, said, "check")
    expect(mistake.todo, said, "check's hint")
    d.wait_log(filled(b, config, mistake.log), timeout=20)
    if mistake.status:
        status = filled(b, config, mistake.status)
        wait.until(lambda: any(re.search(status, s) for s in d.notify.values("STATUS")), f"STATUS {status!r}", 20)
    if mistake.log == mistake.said:
        expect(mistake.todo, d.log(), "run's hint")
    if mistake.ends is None:
        assert d.running, d.log()
    else:
        assert d.wait_exit(30) == mistake.ends, d.log()
        expect(mistake.log, "\n".join(d.log().splitlines()[-2:]), "run's last line")
    keeps_secrets(said)
    keeps_secrets(d.log() + str(d.notify.values("STATUS")))


def test_on_servers(shop):
    """All daemons at once; those that cannot go on end by themselves. The checks run beside them."""
    configs = {name: config_of(shop, name, m) for name, m in ON_SERVERS.items()}
    daemons = {
        name: shop.start(config, ready=False, times="refused_start=2s").allow(".")
        for name, config in configs.items()
    }  # fmt: skip
    with ThreadPoolExecutor(3) as pool:
        checks = dict(zip(configs, pool.map(lambda c: shop.command("check", c), configs.values()), strict=True))
    wrong = []
    for name, mistake in ON_SERVERS.items():
        try:
            check_one(shop, mistake, configs[name], daemons[name], checks[name])
        except AssertionError as e:
            wrong.append(f"{name}: {e}")
    assert not wrong, "\n\n".join(wrong)
    for d in daemons.values():
        if d.running:
            d.kill()


def test_what_is_no_mistake(shop):
    """An empty topic, two daemons of one file, signals: nothing is wrong, and each says what it does."""
    empty = shop.topic()
    assert "stored 0 records" in shop.drain(shop.config(empty)).log()
    config = shop.config(shop.log, properties={"group.instance.id": "copied"})
    first = shop.start(config).allow("another process has group.instance.id")
    for number in (signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2):
        first.popen.send_signal(number)
    wait.until(lambda: first.reloads() == 1, "the reload that SIGHUP asks for")
    second = shop.start(config)
    assert first.wait_exit(20) == 6
    assert "another process has group.instance.id 'copied'" in first.notify.values("STATUS")[-1]
    assert re.search("HINT: Each process of a group needs an id of its own", first.log())
    second.popen.send_signal(signal.SIGINT)
    assert second.wait_exit(10) == 0
    assert "stopping on Interrupt" in second.log()
