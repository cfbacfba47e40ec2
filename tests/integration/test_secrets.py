"""Passwords with any characters, in every place where one may stand: they work, and no line of a log, and no output of a
command, has a piece of one, whatever goes wrong.
"""

import pytest

from kit.login import Login

QUICK = {"PGSINKD_FAILTIMES": "refused_pause=200,refused_start=1000"}
PASSWORDS = {
    "backslash": "hu\\sh\\",
    "uri": "p@hush:/x#1%40?y&z=1",
    "all": "h@s\" w'rd#1:/\\x%41 =$${HOME}",
    "umlaut": "h\u00fcsch \u20ac 1",
}


def pieces(password):
    """What of it must not be printed: any four characters of it in a row."""
    return {password[i : i + 4] for i in range(len(password) - 3)}


def expect_hushed(text, password):
    found = [piece for piece in pieces(password) if piece in text]
    assert not found, f"{found} in:\n{text}"


@pytest.fixture
def login(bench):
    login = Login(bench)
    yield login
    bench.stop()
    login.close()


def uri(login, password="${file:pg-password}", **changes):
    place = {"host": "127.0.0.1", "port": login.bench.postgres.port} | changes
    return f"postgresql://{login.role}:{password}@{place['host']}:{place['port']}/{login.bench.database}"


PLACES = {
    "keyword": lambda login: {"dsn": login.dsn()},
    "quoted": lambda login: {"dsn": login.dsn(password="'${file:pg-password}'")},
    "uri": lambda login: {"dsn": uri(login)},
    "variable": lambda login: {"dsn": uri(login, password="${KIT_PASSWORD}")},
    "option": lambda login: {"dsn": login.dsn(password=None), "password": "${file:pg-password}"},
    "literal": lambda login: {"dsn": login.dsn(password=None), "password": login.password.replace("${", "$${")},
    "environment": lambda login: {"dsn": login.dsn(password=None)},
}


# Of the others those that have something to lose there; "all" has their characters too, but not in the same places.
OTHERS = [("uri", "uri"), ("backslash", "keyword"), ("umlaut", "uri")]


@pytest.mark.parametrize("kind, place", [("all", place) for place in PLACES] + OTHERS)
def test_any_password_in_any_place(bench, login, kind, place):
    password = PASSWORDS[kind]
    login.set_password(password)
    login.write_password(password)
    env = {"KIT_PASSWORD": password} | ({"PGPASSWORD": password} if place == "environment" else {})
    log = bench.topic(partitions=1)
    log.fill(10)
    config = bench.config(log, postgres=PLACES[place](login))
    d = bench.drain(config, env=env)
    for verb in ("config", "check", "status"):
        result = bench.command(verb, config, env=env)
        assert result.returncode == 0, result.stderr
        expect_hushed(result.stdout + result.stderr, password)
    expect_hushed(d.log(), password)
    bench.check(log)


# What goes wrong, and what of the configuration is changed for it. A password as it is in a URI is what people write first.
MISTAKES = {
    "wrong password": lambda login: {"dsn": login.dsn(user="operator_of_nothing")},
    "host": lambda login: {"dsn": uri(login, host="no-such-host.invalid")},
    "port": lambda login: {"dsn": uri(login, port=1)},
    "as it is in a uri": lambda login: {"dsn": uri(login, password=login.password.replace("${", "$${"))},
    "as it is after a keyword": lambda login: {"dsn": login.dsn(password=login.password.replace("${", "$${"))},
    "sslmode": lambda login: {"dsn": login.dsn(sslmode="${file:pg-password}")},
    "option": lambda login: {"dsn": login.dsn(options="'-c ${file:pg-password}'")},
    "host is the password": lambda login: {
        "dsn": uri(login, host="${file:pg-password}") + "?password=${file:pg-password}"
    },
}


@pytest.mark.parametrize("kind, mistake", [("all", mistake) for mistake in MISTAKES] + [("uri", "as it is in a uri")])
def test_no_message_has_a_piece_of_a_password(bench, login, kind, mistake):
    login.set_password(PASSWORDS[kind])
    login.write_password(PASSWORDS[kind])
    log = bench.topic(partitions=1)
    log.fill(1)
    config = bench.config(log, postgres=MISTAKES[mistake](login))
    # The way to the server is the same for all that use it.
    for verb in ("config", "check", *(["offsets"] if mistake == "wrong password" else [])):
        result = bench.command(verb, config, env=QUICK)
        expect_hushed(result.stdout + result.stderr, PASSWORDS[kind])
    d = bench.start(config, ready=False, env=QUICK | {"PGCONNECT_TIMEOUT": "2"}).allow(".*")
    if mistake in ("host", "port"):
        d.wait_log("trying again")
        d.terminate()
    else:
        assert d.wait_exit(60) != 0
    expect_hushed(d.log(), PASSWORDS[kind])


def test_no_message_has_a_piece_of_kafkas_password(bench):
    """The broker does not speak SASL: whatever the library says about it."""
    password = PASSWORDS["all"]
    log = bench.topic(partitions=1)
    bench.plain_table()
    bench_file = bench.root / "kafka-password"
    bench_file.write_text(password + "\n")
    sasl = {
        "security.protocol": "sasl_plaintext",
        "sasl.mechanism": "PLAIN",
        "sasl.username": "pgsinkd",
        "sasl.password": "${file:kafka-password}",
        "debug": "security,conf",
    }
    config = bench.config(log, properties=sasl) | {"log": {"level": "debug"}}
    for verb in ("config", "check"):
        result = bench.command(verb, config)
        expect_hushed(result.stdout + result.stderr, password)
    d = bench.start(config, ready=False).allow(".*")
    d.wait_log("cannot be reached")
    d.terminate()
    expect_hushed(d.log(), password)


def test_a_password_is_changed_by_a_reload(bench, login):
    """Written out in the file: the next connection has it."""
    password = PASSWORDS["uri"]
    log = bench.topic(partitions=1)
    config = bench.config(log, postgres={"dsn": login.dsn(password=None), "password": "${file:pg-password}"})
    d = bench.start(config).allow("cannot connect")
    log.fill(10)
    bench.wait_stored(log)
    login.set_password(password)
    config["postgres"]["password"] = password
    d.reload(config)
    d.wait_log("postgres.password: .* -> .\\*\\*\\*")
    bench.postgres.terminate_backends()
    log.fill(10)
    bench.wait_stored(log)
    expect_hushed(d.log(), password)
    bench.check(log)
