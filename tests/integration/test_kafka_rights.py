"""What Kafka allows: rights are taken away and given, tokens fetched by a program."""

import re
from pathlib import Path

import pytest

from kit import process, wait
from kit.secure import PASSWORDS, unsecured_jwt
from kit.web import Web

READ = "--operation Read"


def poor(bench, log, *, topics=None, **changes):
    """A sink whose user may do nothing until it is allowed."""
    kafka = bench.kafka
    return bench.config(log, topics=topics, kafka={"brokers": kafka.at("SASL"), "start": "earliest"},
                        properties=kafka.login("PLAIN", "poor"), **changes)  # fmt: skip


def test_the_rights_that_are_listed_are_enough(secure_bench):
    """Exactly the list of docs/OPERATIONS.md, with a pattern of topics given as a prefix."""
    bench, kafka = secure_bench, secure_bench.kafka
    log = bench.topic(partitions=2)
    log.fill(60)
    bench.plain_table()
    kafka.allow("poor", "read", "topic", bench.sink + ".", "prefixed")
    kafka.allow("poor", "read", "group", bench.group)
    config = poor(bench, log, topics=[f"^{bench.sink}[.].*"], audit=True)
    config["kafka"]["properties"]["group.instance.id"] = bench.sink
    checked = bench.command("check", config)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    d = bench.start(config)
    bench.wait_stored(log)
    log.fill(10)
    bench.wait_stored(log)
    assert d.lines("error") == []
    d.terminate()
    for argv in ([], ["--content", log.topic]):
        verified = bench.command("verify", config, *argv)
        assert verified.returncode == 0, verified.stdout + verified.stderr
    moved = bench.command("seek", config, log.topic, "--from-group", bench.group)
    assert moved.returncode == 0, moved.stdout + moved.stderr
    bench.check(log)


@pytest.mark.parametrize("missing", ["topic", "group", "describe"])
def test_check_finds_the_right_that_is_missing(secure_bench, missing):
    bench, kafka = secure_bench, secure_bench.kafka
    log = bench.topic()
    bench.plain_table()
    if missing != "group":
        kafka.allow("poor", "read", "group", bench.group)
    if missing != "describe":
        kafka.allow("poor", "describe" if missing == "topic" else "read", "topic", log.topic)
    checked = bench.command("check", poor(bench, log))
    print(checked.stdout, checked.stderr)
    assert checked.returncode == 5
    said = {
        "topic": f"do not allow this client to read topic '{log.topic}'",
        "group": f"do not allow this client to use the group '{bench.group}'",
        "describe": f"topic '{log.topic}' does not exist, or may not be seen",
    }
    assert [m for m, text in said.items() if text in checked.stderr] == [missing]
    if missing != "describe":
        name = log.topic if missing == "topic" else bench.group
        acl = f"--add --allow-principal 'User:poor' {READ} --{missing} '{name}'"
        assert acl in checked.stderr


def test_not_ready_while_the_group_is_refused(secure_bench):
    bench, kafka = secure_bench, secure_bench.kafka
    log = bench.topic()
    log.fill(20)
    bench.plain_table()
    kafka.allow("poor", "read", "topic", log.topic)
    port = process.free_port()
    config = poor(bench, log, http={"listen": f"127.0.0.1:{port}"})
    d = bench.start(config, ready=False, times="repeat=1s").allow("may not|do not allow")
    d.wait_log(f"do not allow this client to use the group '{bench.group}'.*\n.*{READ} --group '{bench.group}'")
    wait.until(lambda: any("refuse the group" in s for s in d.notify.values("STATUS")), "STATUS to say so")
    ready = Web(port).get("/readyz")
    assert ready.status == 503 and "refuse the group" in ready.text, ready
    wait.until(lambda: d.log().count("do not allow this client to use") > 1, "it to be said again")
    assert d.notify.values("READY") == []
    kafka.allow("poor", "read", "group", bench.group)
    d.wait_ready()
    d.wait_log(f"the group '{bench.group}' may be used now")
    bench.wait_stored(log)
    bench.check(log)


def test_a_topic_that_may_not_be_read_while_another_is(secure_bench):
    """Its right is taken away while the daemon runs and nothing happens in it, and comes back."""
    bench, kafka = secure_bench, secure_bench.kafka
    log, other = bench.topic(), bench.topic()
    for one in (log, other):
        one.fill(20)
        kafka.allow("poor", "read", "topic", one.topic)
        kafka.allow("poor", "describe", "topic", one.topic)
    bench.plain_table("events")
    bench.plain_table("others")
    kafka.allow("poor", "read", "group", bench.group)
    routes = [{"topics": [one.topic], "table": t, "format": "json", "mode": "append", "on_error": "stop"}
              for one, t in ((log, "events"), (other, "others"))]  # fmt: skip
    d = bench.start(poor(bench, log, routes=routes), times="repeat=1s,retry_max=1s")
    d.allow("do not allow", "cannot be read")
    for one in (log, other):
        bench.wait_stored(one)
    kafka.disallow("poor", "read", "topic", log.topic)
    d.wait_log(f"do not allow this client to read topic '{log.topic}'.*\n.*{READ} --topic '{log.topic}'")
    wait.until(lambda: any("1 topic may not be read" in s for s in d.notify.values("STATUS")), "STATUS to say so")
    other.fill(20)
    bench.wait_stored(other)
    kafka.allow("poor", "read", "topic", log.topic)
    d.wait_log(f"topic '{log.topic}' can be read now")
    log.fill(20)
    bench.wait_stored(log)
    bench.check(log)
    bench.check(other, "others")


def test_an_idle_topic_may_be_read_again_without_a_ledger(secure_bench):
    """No record comes that would show it."""
    bench, kafka = secure_bench, secure_bench.kafka
    log = bench.topic()
    log.fill(20)
    bench.plain_table()
    for right, resource, name in (("read", "topic", log.topic), ("describe", "topic", log.topic), ("read", "group", bench.group)):
        kafka.allow("poor", right, resource, name)
    d = bench.start(poor(bench, log, delivery="at_least_once"), times="repeat=1s,retry_max=1s")
    d.allow("do not allow", "cannot be read")
    bench.wait_rows(20)
    kafka.disallow("poor", "read", "topic", log.topic)
    d.wait_log(f"do not allow this client to read topic '{log.topic}'")
    kafka.allow("poor", "read", "topic", log.topic)
    d.wait_log(f"topic '{log.topic}' can be read now")
    d.terminate()


def test_the_password_is_exchanged_by_a_reload(secure_bench):
    bench, kafka = secure_bench, secure_bench.kafka
    log = bench.topic()
    log.fill(10)
    bench.plain_table()
    (bench.root / "password").write_text("not-this-one")
    config = bench.config(log, kafka={"brokers": kafka.at("SASL")},
                          properties=kafka.login("PLAIN", password="${file:password}"))  # fmt: skip
    d = bench.start(config, ready=False, env={"CREDENTIALS_DIRECTORY": str(bench.root)}).allow("uthentication")
    d.wait_log("uthentication")
    (bench.root / "password").write_text(PASSWORDS["pgsinkd"])
    d.reload()
    d.wait_log(r"sasl.password: [^ ]*file:password[^ ]*, which is another value now")
    d.wait_ready()
    bench.wait_stored(log)
    assert PASSWORDS["pgsinkd"] not in d.log()
    bench.check(log)


# Tokens


def tokens(bench, script, name="token"):
    """A program that prints a token, and what a sink needs that uses it."""
    path = bench.root / name
    path.write_text("#!/bin/sh\n" + script)
    path.chmod(0o755)
    kafka = {"brokers": bench.kafka.at("OAUTH"), "oauth_token_command": f"{path} --audience kafka"}
    properties = {
        "broker.address.family": "v4",
        "security.protocol": "SASL_PLAINTEXT",
        "sasl.mechanism": "OAUTHBEARER",
    }
    return {"kafka": kafka, "properties": properties}


@pytest.mark.parametrize("form", ["bare", "json"])
def test_a_program_prints_the_token(secure_bench, form):
    bench = secure_bench
    log = bench.topic(partitions=2)
    log.fill(40)
    bench.plain_table()
    token = unsecured_jwt("pgsinkd", 8)
    (bench.root / "claims").write_text(token if form == "bare" else f'{{"access_token": "{token}", "expires_in": 8}}')
    made = tokens(bench, f'echo "$1 $2 $#" >>{bench.root}/calls\ncat {bench.root}/claims\n')
    config = bench.config(log, **made)
    checked = bench.command("check", config)
    assert checked.returncode == 0, checked.stderr
    assert "prints a token that is valid for" in checked.stdout
    d = bench.start(config, env=None)
    bench.wait_stored(log)
    calls = len((bench.root / "calls").read_text().splitlines())
    (bench.root / "claims").write_text(unsecured_jwt("pgsinkd", 3600))
    wait.until(lambda: len((bench.root / "calls").read_text().splitlines()) > calls, "the next token")
    assert set((bench.root / "calls").read_text().splitlines()) == {"--audience kafka 2"}
    log.fill(10)
    bench.wait_stored(log)
    assert token not in d.log() + checked.stdout + checked.stderr
    bench.check(log)


def test_no_token(secure_bench):
    """The program fails, and secrets in what it says do not reach the log; later it works."""
    bench = secure_bench
    log = bench.topic()
    log.fill(5)
    bench.plain_table()
    right = bench.root / "right"
    secret = "s3cr3t-of-the-client-0123"
    script = f'[ -e {right} ] && exec cat {right}\necho first >&2\necho "denied for client_secret={secret}" >&2\nexit 3\n'
    config = bench.config(log, **tokens(bench, script))
    checked = bench.command("check", config)
    text = "it ended with exit status 3: denied for client_secret=***"
    assert checked.returncode == 5 and text in checked.stderr and "HINT: Run" in checked.stderr, checked.stderr
    d = bench.start(config, ready=False).allow("no token")
    d.wait_log("error main: kafka: no token for SASL OAUTHBEARER: '/.*" + text.replace("*", "[*]") + ".*\n.*HINT: Run")
    why = rf"kafka: brokers cannot be reached \(no token for SASL OAUTHBEARER: '/.*{text.replace('*', '[*]')}\)"
    d.wait_log(rf"warning main: {why}; trying again until they can\n.*HINT: Run")
    wait.until(lambda: any(re.search(why, s) for s in d.notify.values("STATUS")), "STATUS to say it")
    right.write_text(unsecured_jwt("pgsinkd"))
    d.wait_ready(60)
    bench.wait_stored(log)
    assert secret not in d.log() + checked.stderr
    bench.check(log)


def test_a_program_that_fails_otherwise_each_time(secure_bench):
    """The library runs it every 10 s; what it says for itself is not a line of the log each time."""
    bench = secure_bench
    calls = bench.root / "calls"
    bench.plain_table()
    script = f'echo x >>{calls}\necho "request $$ took too long" >&2\nexit 3\n'
    d = bench.start(bench.config(topics=["t"], **tokens(bench, script)), ready=False).allow("no token", "cannot be reached")
    wait.until(lambda: calls.exists() and calls.read_text().count("x") > 2, "the program to run three times")
    assert len(re.findall("error main: kafka: no token for SASL OAUTHBEARER: .*: request", d.log())) == 1
    d.terminate()


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("exec true", "it has printed nothing"),
        ("echo two words", "neither one token nor JSON"),
        ("echo '{\"error\": \"access_denied\"}'", 'has no "access_token"'),
        ("head -c 100000 /dev/zero", "more than 64 KiB"),
        ("kill -9 $$", "ended by signal 9"),
        (f"echo {unsecured_jwt('pgsinkd', -600)}", "its token expired "),
    ],
    ids=["nothing", "words", "error", "endless", "killed", "expired"],
)
def test_check_says_what_is_wrong_with_the_token(secure_bench, script, said):
    bench = secure_bench
    config = bench.config(topics=["t"], **tokens(bench, script + "\n"))
    bench.plain_table()
    checked = bench.command("check", config)
    assert checked.returncode == 5 and said in checked.stderr, checked.stderr


def test_a_stop_does_not_wait_for_the_program(secure_bench):
    """Which hangs, and is killed. terminate() allows five seconds."""
    bench = secure_bench
    calls = bench.root / "calls"
    config = bench.config(topics=["t"], **tokens(bench, f"echo $$ >>{calls}\nexec sleep 300\n"))
    bench.plain_table()
    d = bench.start(config, ready=False).allow("no token", "brokers cannot be reached")
    wait.until(calls.exists, "the program to run")
    d.terminate()
    assert "not everything ended in time" not in d.log()
    for pid in calls.read_text().split():
        wait.until(lambda pid=pid: not Path(f"/proc/{pid}").exists(), "the program to be gone")
