"""Mistakes in the file and on the command line: what is wrong, where, and what to do.

No server is needed: `pgsinkd config` says all of it, with exit code 3 and the place in the file.
"""

import pytest

from kit import daemon

HEAD = "sink: s\nkafka: {brokers: 'b:1'}\npostgres: {dsn: dbname=x}\nroutes:\n"
ROUTE = "  - {topics: [t], table: t}\n"


def properties(*lines):
    """The properties begin in line 5."""
    return (
        "sink: s\nkafka:\n  brokers: b:1\n  properties:\n"
        + "".join(f"    {line}\n" for line in lines)
        + "postgres: {dsn: dbname=x}\nroutes:\n"
        + ROUTE
    )


def route(*lines):
    """What the route has beside topics and table begins in line 7."""
    return HEAD + "  - topics: [t]\n    table: public.t\n" + "".join(f"    {line}\n" for line in lines)


def dsn(text):
    return f"sink: s\nkafka: {{brokers: 'b:1'}}\npostgres:\n  dsn: {text}\nroutes:\n{ROUTE}"


# name: file, the beginning of the error after the file's name, words of its text, words of its hint
MISTAKES = {
    # paths and conditions
    "== in a condition": (route("when: value.a == 1"), "7:11: when: ", "before '= 1'", "single '='"),
    "a condition ends early": (route("when: value.a = "), "7:11: when: ", "expected a value", ""),
    "a bad delete_when": (
        route("mode: upsert", "delete_when: op = 'd'"), "8:18: delete_when: ", "'op' is not a path", "'value.op'",
    ),
    "no root": (route("columns:", "  a: courier.name"), "8:10: column 'a': ", "does not start", "'value.courier.name'"),
    "JSONPath": (route("columns:", "  a: $.x"), "8:10: column 'a': ", "'$.x' is not a path", "'value.x'"),
    "an index": (
        route("columns:", "  a: value.items[0].sku"), "8:10: column 'a': ", "no index", "explode: value.items. One",
    ),
    "one of several": (
        route("columns:", "  a: {coalesce: [value.a, vlaue.b]}"), "8:31: column 'a': ", "'vlaue.b'", "'value.b'",
    ),
    "an element without explode": (route("columns:", "  a: item.x"), "8:10: column 'a': ", "no elements", "explode"),
    "a bad root": (route("root: payload"), "7:11: root: ", "'payload' is not a path", "'value.payload'"),
    "a bad explode": (route("explode: items"), "7:14: explode: ", "'items' is not a path", "'value.items'"),
    "a bad template": (
        HEAD + "  - {topics: [t], table: 'e_{value..a}', tables: [e_a]}\n", "5:26: {value..a}: ", "missing after a dot", "A path is",
    ),
    "sql: a quote": (route("columns:", "  a: {sql: \"value->>'x\"}"), "8:16: column 'a': sql: ", "not closed", ""),
    "sql: a bracket": (route("columns:", "  a: {sql: \"f(value\"}"), "8:16: column 'a': sql: ", "'(' at byte 2", ""),
    "sql: a statement": (route("columns:", "  a: {sql: \"1;\"}"), "8:16: column 'a': sql: ", "';'", "semicolon"),
    # regular expressions
    "it does not compile": (HEAD + "  - {topics: '^(a', table: t}\n", "5:14: ", "does not compile", "grep -E"),
    "a digit": (HEAD + "  - {topics: '^a-\\d+$', table: t}\n", "5:14: ", "the letter d", "[0-9]"),
    "in double quotes": (HEAD + '  - {topics: "^a\\.b", table: t}\n', "5:17: ", "escape character", "single quotes"),
    "a glob": (HEAD + "  - {topics: 'a.*', table: t}\n", "5:14: ", "not the name of a topic", "starts with ^"),
    # YAML
    "a colon and a blank": (dsn("password=a: b"), "4:18: ", "mapping values", "needs quotes"),
    "a comment": (dsn("password=a #b"), "4:8: 'postgres.dsn' ", "where a comment begins", "quotes"),
    "a comment after a property": (
        properties("sasl.password: a #b"), "5:20: 'kafka.properties.sasl.password' ", "comment begins", "quotes",
    ),
    "one blank too few": (HEAD + ROUTE + "   - {topics: u, table: u}\n", "", "not valid YAML", "one column"),
    "a bracket is open": (HEAD + "  - {topics: [t, table: t}\n", "", "not valid YAML", "ends with ]"),
    "a quote is open": (dsn("'dbname=x"), "", "not valid YAML", "ends with the same"),
    "an at sign": (dsn("@x"), "4:8: ", "cannot start any token", "quotes"),
    "a key not indented": ("sink: s\nkafka:\nbrokers: b:1\n", "3:1: ", "unknown key 'brokers'", "belongs in 'kafka'"),
    "a tab": ("sink: s\nkafka:\n\tbrokers: b\n", "3:1: ", "tabs cannot indent", ""),
    # words of others
    "insert": (route("mode: insert"), "7:11: ", "'mode' cannot be 'insert'", "append"),
    "a mode misspelt": (route("mode: upserts"), "7:11: ", "'mode' cannot be 'upserts'", "'upsert'"),
    "insert.mode": (route("insert.mode: upsert"), "7:5: ", "unknown key 'insert.mode'", "mode"),
    "pk.mode": (route("pk.mode: record_key"), "7:5: ", "unknown key", "primary key"),
    "pk_fields": (route("pk_fields: id"), "7:5: ", "unknown key", "Here it is key"),
    "table.name.format": (route("table.name.format: x"), "7:5: ", "unknown key", "{topic}"),
    "auto.create": (route("auto.create: true"), "7:5: ", "unknown key", "create: true in the route"),
    "connection.url": ("connection.url: jdbc:x\n" + HEAD + ROUTE, "1:1: ", "unknown key", "postgres.dsn"),
    "topics.regex": (route("topics.regex: x"), "7:5: ", "unknown key", "starts with ^"),
    "bootstrap.servers": ("sink: s\nkafka: {bootstrap.servers: b}\n", "2:9: ", "unknown key", "kafka.brokers"),
    "transforms": ("transforms.unwrap.type: x\n" + HEAD + ROUTE, "1:1: ", "unknown key", "columns"),
    "delete.enabled": (route("delete.enabled: true"), "7:5: ", "unknown key", "tombstone"),
    "delete: true": (route("mode: upsert", "delete: true"), "8:13: ", "cannot be 'true'", "tombstone"),
    "on_error: skip": (route("on_error: skip"), "7:15: ", "cannot be 'skip'", "dead_letter"),
    "a key with append": (route("key: id"), "7:10: ", "mode append only adds", "upsert"),
    # properties of librdkafka
    "a name misspelt": (properties("sesion.timeout.ms: 1"), "5:5: ", "has no property", "'session.timeout.ms'"),
    "no default, misspelt": (properties("sasl.usrname: a"), "5:5: ", "has no property", "'sasl.username'"),
    "one of our own": (properties("group.id: a"), "5:5: ", "is refused", ""),
    "max.poll.records": (properties("max.poll.records: 5"), "5:5: ", "has no property", "batch.max_rows"),
    "a deserializer": (properties("value.deserializer: x"), "5:5: ", "has no property", "format"),
    "a truststore": (properties("ssl.truststore.location: /x.jks"), "5:30: ", "TrustStores are not", "ssl.ca.location"),
    "its password": (properties("ssl.truststore.password: x"), "5:5: ", "has no property", "ssl.ca.location"),
    "JAAS": (
        properties("sasl.jaas.config: 'x required username=u password=Geheim;'"),
        "5:23: ", "Java JAAS configuration is not supported, see http", "sasl.username and sasl.password",
    ),
    "a unit": (properties("session.timeout.ms: 6s"), "5:25: ", "whole number, of milliseconds", "6s is 6000"),
    "a unit of bytes": (properties("fetch.max.bytes: 1MiB"), "5:22: ", "whole number", "1MiB is 1048576"),
    "octal": (properties("session.timeout.ms: 010"), "5:25: ", "whole number", "Digits alone"),
    "out of range": (properties("session.timeout.ms: 0"), "5:25: ", "outside allowed range", "1 .. 3600000"),
    "a word that is none": (properties("security.protocol: sssl"), "5:24: ", "invalid value for the property", "sasl_ssl"),
    "no mechanism": (
        properties("security.protocol: sasl_ssl", "sasl.username: u", "sasl.password: p"),
        "5:24: ", "GSSAPI", "Set sasl.mechanism",
    ),
    "a mechanism that is none": (
        properties("security.protocol: sasl_ssl", "sasl.mechanism: PLAINN"),
        "6:21: ", "Unsupported SASL mechanism: PLAINN", "SCRAM-SHA-512",
    ),
    "no user": (
        properties("security.protocol: sasl_ssl", "sasl.mechanism: PLAIN"), "6:21: ", "must be set", "logs in with both",
    ),
    "no CA file": (
        properties("security.protocol: ssl", "ssl.ca.location: /none/ca.pem"),
        "6:22: ", "file '/none/ca.pem' cannot be read: No such file", "user that the daemon runs as",
    ),
    "no key file": (
        properties("security.protocol: ssl", "ssl.key.location: /none/key.pem"),
        "6:23: ", "file '/none/key.pem' cannot be read", "",
    ),
    "no PEM file": (
        properties("security.protocol: ssl", "ssl.ca.location: /etc/passwd"), "6:22: ", "ssl.ca.location", "PEM file",
    ),
    "they contradict": (
        properties("session.timeout.ms: 90000", "max.poll.interval.ms: 60000"), "6:27: ", "must be >=", "",
    ),
    # the database
    "a keyword misspelt": (dsn("hots=db1"), "4:8: 'postgres.dsn': ", "an unknown keyword 'hots'", "'host'"),
    "a piece of a password": (dsn("password=my Geheim=1"), "4:8: 'postgres.dsn': ", "an unknown keyword", "psql"),
    "a port in the host": (dsn("host=Geheim:5432"), "4:8: 'postgres.dsn': ", "has a port in it", "host=db1 port=5432"),
    "a port that is none": (dsn("port=Geheim"), "4:8: 'postgres.dsn': ", "not a number from 1 to 65535", "port=5432"),
    "more ports than hosts": (dsn("host=a port=1,2"), "4:8: 'postgres.dsn': ", "2 ports for 1 hosts", "one for all"),
    "the beginning of a property": (properties("sasl.user: u"), "5:5: ", "has no property", "'sasl.username'"),
    "a file that is not there": (dsn("password=${file:/none/pw}"), "4:8: 'postgres.dsn': ", "'/none/pw'", "correct its path"),
    "no equals sign": (dsn("dbname=x nonsense"), "4:8: 'postgres.dsn': ", "a word without", "psql"),
    "an at sign in a URI": (dsn("postgresql://u:a@Geheim@h/x"), "4:8: 'postgres.dsn': ", "an '@'", "%40"),
    "brokers as a URL": (
        "sink: s\nkafka: {brokers: 'b:1,http://localhost:9092'}\npostgres: {dsn: dbname=x}\nroutes:\n" + ROUTE,
        "2:18: ", "takes no URL", "host:port",
    ),
    # ${...}
    "no variable": (dsn("password=${NO_SUCH}"), "4:8: 'postgres.dsn': ", "'NO_SUCH' is not set", "EnvironmentFile="),
    "no file": (
        dsn("password=${file:pg-password}"), "4:8: 'postgres.dsn': ",
        "file 'FOLDER/pg-password': cannot be read", "looked for in FOLDER; $CREDENTIALS_DIRECTORY",
    ),
    "an empty variable": (
        "sink: s\nkafka: {brokers: 'b:1'}\npostgres: {password: '${EMPTY}'}\nroutes:\n" + ROUTE,
        "3:22: ", "'postgres.password' is empty", "variable",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_in_the_file(tmp_path, name):
    text, place, words, hint = MISTAKES[name]
    path = tmp_path / "bad.yaml"
    path.write_text(text)
    done = daemon.command("config", "-c", path, env={"EMPTY": ""})
    assert done.returncode == 3, done.stdout + done.stderr
    fault, _, advice = done.stderr.partition("\nHINT: ")
    assert fault.startswith(f"{path}:{place}"), done.stderr
    assert words.replace("FOLDER", str(tmp_path)) in fault, done.stderr
    assert hint.replace("FOLDER", str(tmp_path)) in advice, done.stderr
    assert advice or not hint, done.stderr
    assert "Geheim" not in done.stderr


def test_all_faults_are_said(tmp_path):
    """Of the file's form, or, if that is right, of what stands in it; of very many the first twenty."""
    path = tmp_path / "bad.yaml"
    path.write_text(properties("sasl.user: u", "session.timeot.ms: 1").replace("b:1", "http://b").replace("[t]", "[t, 'u v']"))
    said = daemon.command("config", "-c", path).stderr
    assert said.count(str(path)) == 2 and "takes no URL" in said and "'u v'" in said
    path.write_text(route("when: a = 1") + "  - {topics: [u], table: u, when: b = 1}\n")
    path.write_text(path.read_text().replace("dbname=x", "port=x").replace("'b:1'", "'b:1', properties: {sasl.user: u}"))
    said = daemon.command("config", "-c", path).stderr
    assert said.count(str(path)) == 4 and said.count("HINT: ") == 4, said
    for verb in ("run", "check"):
        assert daemon.command(verb, "-c", path).stderr.count(f"{path}:") == 4
    path.write_text(HEAD + "  - {topics: 'a b', table: t}\n" * 23)
    said = daemon.command("config", "-c", path).stderr
    assert said.count("is not the name of a topic") == 20 and said.endswith("\n... and 3 more\n")


@pytest.mark.parametrize("verb", ["run", "check"])
def test_a_bad_path_is_a_fault_of_the_file(tmp_path, verb):
    """Before any server is asked, and with the exit code of the file."""
    path = tmp_path / "bad.yaml"
    path.write_text(route("when: value.a == 1"))
    done = daemon.command(verb, "-c", path)
    assert done.returncode == 3, done.stdout + done.stderr
    assert f"{path}:7:11: when: " in done.stderr and "single '='" in done.stderr


def test_without_secrets(tmp_path):
    """As in CI: no database, no secrets, no certificates. What is printed loads again."""
    path = tmp_path / "ci.yaml"
    path.write_text(
        properties(
            "security.protocol: sasl_ssl",
            "sasl.mechanism: ${MECHANISM}",
            "sasl.username: ${file:user}",
            "sasl.password: ${file:kafka-password}",
            "ssl.ca.location: /etc/none.pem",
        ).replace("dbname=x", "'host=${HOST} password=${file:pg}'")
    )
    assert daemon.command("config", "-c", path).returncode == 3
    done = daemon.command("config", "-c", path, "--without-secrets")
    assert (done.returncode, done.stderr) == (0, "")
    assert "sasl.password: ${file:kafka-password}\n" in done.stdout
    assert "dsn: host=${HOST} password=${file:pg}\n" in done.stdout
    path.write_text(done.stdout)
    assert daemon.command("config", "-c", path, "--without-secrets").stdout == done.stdout
    path.write_text(done.stdout.replace("sasl.username", "sasl.usrname"))
    assert daemon.command("config", "-c", path, "--without-secrets").returncode == 3


# the command line


LINES = {
    "-V": (["-V"], 0, "pgsinkd 0."),
    "--version": (["--version"], 0, "pgsinkd 0."),
    "help": (["help", "run"], 0, "usage: pgsinkd run "),
    "help of none": (["help", "runn"], 2, "Did you mean 'run'?"),
    "--help": (["check", "--config", "x.yaml", "--help"], 0, "usage: pgsinkd check "),
    "man pages": (["help"], 0, "man pgsinkd"),
    "a command misspelt": (["runn", "-c", "x.yaml"], 2, "unknown command 'runn'\nHINT: Did you mean 'run'?"),
    "an option for a command": (["--until-end"], 2, "unknown option '--until-end'"),
    "no file": (["run"], 2, "pgsinkd run: -c FILE is missing\nusage: "),
    "a file without -c": (["run", "x.yaml"], 2, "-c FILE is missing\nHINT: Did you mean '-c x.yaml'?"),
    "--config": (["config", "--config", "/none/x.yaml"], 3, "/none/x.yaml: cannot be read"),
    "an option misspelt": (["run", "-c", "x.yaml", "--untl-end"], 2, "HINT: Did you mean '--until-end'?"),
    "another one's": (["run", "-c", "x.yaml", "--print"], 2, "there is no option '--print' here"),
    "a word too many": (["run", "-c", "x.yaml", "now"], 2, "'now' is one word too many"),
    "a word too few": (["reset", "-c", "x.yaml"], 2, "a word is missing"),
}


@pytest.mark.parametrize("name", LINES)
def test_the_command_line(name):
    argv, code, words = LINES[name]
    done = daemon.command(*argv)
    assert done.returncode == code, done.stdout + done.stderr
    assert words in (done.stderr if code else done.stdout)
