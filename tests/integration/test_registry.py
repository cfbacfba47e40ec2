"""What a schema registry says, and how it fails: asked as the registrar asks, of the double in tests/kit/registry.py."""

import os
import subprocess

import pytest

from kit import daemon, registry
from kit.secure import Authority

ASK = os.environ.get("PGSINKD_SCHEMA_ASK", daemon.BINARY.parent / "tests" / "unit" / "sink" / "schema_ask")
ORDER = '{"type": "record", "name": "Order", "fields": [{"name": "id", "type": "long"}]}'


@pytest.fixture
def double():
    with registry.Double() as it:
        yield it


def ask(tmp_path, section, *words):
    path = tmp_path / "c.yaml"
    path.write_text(f"sink: s\nkafka: {{brokers: b}}\nregistry: {{{section}}}\nroutes: [{{topics: t, table: t}}]\n")
    done = subprocess.run([ASK, path, *map(str, words)], capture_output=True, text=True, timeout=60, check=True)
    return [line.split("\t") for line in done.stdout.rstrip("\n").split("\n")]


def test_a_schema_and_what_it_refers_to(double, tmp_path):
    double.register("c", "C")
    double.register("b", "B", references=[{"name": "c.avsc", "subject": "c", "version": 1}])
    both = [{"name": "b.avsc", "subject": "b", "version": 1}, {"name": "c.avsc", "subject": "c", "version": 1}]
    top = double.register("orders-value", ORDER, references=both)
    proto = double.register("p", 'syntax = "proto3";', kind="PROTOBUF", ruleSet={"domainRules": [{"type": "ENCRYPT"}]})
    first, second, third = ask(tmp_path, f"url: {double.url}", "id", top, "id", proto, "latest", "orders-value")
    assert first == ["found", "AVRO", "plain", ORDER, "c.avsc", "b.avsc"], "each before whatever needs it, and once"
    assert second == ["found", "PROTOBUF", "encrypted", 'syntax = "proto3";']
    assert third[:4] == first[:4]


def test_guids_and_contexts(double, tmp_path):
    number = double.register("orders-value", ORDER, context="staging")
    guid = double.guid(number, "staging").replace("-", "")
    assert ask(tmp_path, f"url: {double.url}", "guid", guid)[0][3] == ORDER
    assert ask(tmp_path, f"url: {double.url}", "id", number)[0][0] == "absent"
    assert ask(tmp_path, f"url: {double.url}, context: staging", "id", number)[0][3] == ORDER
    assert ask(tmp_path, f"url: {double.url}, context: staging", "latest", "orders-value")[0][3] == ORDER


def test_apicurio_numbers(double, tmp_path):
    number = double.register("a", ORDER)
    found = ask(tmp_path, f"url: {double.url}, flavor: apicurio", "globalId", number, "contentId", number, "id", number)
    assert [f[:2] + f[3:] for f in found] == 3 * [["found", "AVRO", ORDER]]
    said = ask(tmp_path, f"url: {double.url}", "globalId", number)[0]
    assert said[:2] == ["unusable", "setup"] and "flavor: apicurio" in said[3]


@pytest.mark.parametrize(
    ("fault", "outcome", "kind"),
    [(500, "away", "link"), (429, "away", "link"), (403, "away", "setup"), ("cut", "away", "link"),
     ("page", "away", "setup"), ("huge", "unusable", "setup"), ("hang", "away", "link")],
)  # fmt: skip
def test_faults(double, tmp_path, fault, outcome, kind):
    number = double.register("a", ORDER)
    double.fail(fault)
    said = ask(tmp_path, f"url: {double.url}, timeout: 500ms", "id", number)[0]
    assert said[:2] == [outcome, kind], said
    assert bool(said[3]) == (kind == "setup" and outcome == "away"), said


def test_the_registry_alone_says_that_it_lacks_a_number(double, tmp_path):
    assert ask(tmp_path, f"url: {double.url}", "id", 99)[0][:2] == ["absent", "record"]


def test_the_next_address_is_tried(double, tmp_path):
    number = double.register("a", ORDER)
    said = ask(tmp_path, f'url: "http://127.0.0.1:1, {double.url}"', "id", number)[0]
    assert said[0] == "found"


def test_what_it_refers_to_is_not_there(double, tmp_path):
    double.register("a", "A", references=[{"name": "b", "subject": "b", "version": 1}])
    double.register("b", "B", references=[{"name": "gone", "subject": "gone", "version": 1}])
    said = ask(tmp_path, f"url: {double.url}", "id", 1)[0]
    assert said[:2] == ["unusable", "setup"] and "gone" in said[2]


@pytest.mark.parametrize("how", ["apart", "url", "wrong"])
def test_a_user(tmp_path, how):
    with registry.Double(user=("me", "p@ss/word")) as double:
        number = double.register("a", ORDER)
        section = f'url: {double.url}, username: me, password: "p@ss/word"'
        if how == "url":
            section = f"url: {double.url.replace('://', '://me:p%40ss%2Fword@')}"
        said = ask(tmp_path, section.replace("p@ss", "pass") if how == "wrong" else section, "id", number)[0]
        if how == "wrong":
            assert said[:2] == ["away", "setup"] and "refuses" in said[3] and "word" not in said[2], said
        else:
            assert said[0] == "found", said


def test_a_token_and_a_fetched_one(tmp_path):
    with registry.Double(token="tok.en") as double:
        number = double.register("a", ORDER)
        (tmp_path / "token").write_text("tok.en\n")
        assert ask(tmp_path, f'url: {double.url}, token: "${{file:token}}"', "id", number)[0][0] == "found"
        oauth = f'oauth: {{url: "{double.url}/token", client_id: pgsinkd, client_secret: client secret}}'
        found = ask(tmp_path, f"url: {double.url}, {oauth}", "id", number, "id", number)
        assert [f[0] for f in found] == ["found", "found"] and double.tokens_given == 1
        said = ask(tmp_path, f"url: {double.url}, {oauth.replace('client secret', 'wrong')}", "id", number)[0]
        assert said[:2] == ["away", "setup"] and "client_secret" in said[3], said


def test_certificates(tmp_path):
    """What a server says of ours comes after the handshake with TLS 1.3, and is no lost connection."""
    ca = Authority(tmp_path / "ca")
    server, other = ca.issue("localhost", host="localhost"), ca.issue("elsewhere", host="elsewhere")
    client, stranger = ca.issue("pgsinkd"), Authority(tmp_path / "ca", "other").issue("pgsinkd")
    locked = tmp_path / "locked.key"
    subprocess.run(["openssl", "rsa", "-aes256", "-passout", "pass:sesame", "-in", client.key, "-out", locked],
                   check=True, capture_output=True)  # fmt: skip
    ours = f"cert: {client.cert}, key: {client.key}"
    cases = [
        (ours, "found"),
        (f"cert: {client.cert}, key: {locked}, key_password: sesame", "found"),
        (f"cert: {client.cert}, key: {locked}, key_password: simsalabim", "away"),
        (f"cert: {stranger.cert}, key: {stranger.key}", "away"),
        ("", "away"),
    ]
    with registry.Double(tls=(server.cert, server.key), want_client=ca.cert) as double:
        number = double.register("a", ORDER)
        for files, outcome in cases:
            said = ask(tmp_path, f'url: "{double.url}", tls: {{ca: {ca.cert}, {files}}}', "id", number)[0]
            assert said[0] == outcome, (files, said)
            if outcome == "away":
                assert said[1] == "setup" and "registry.tls" in said[3] and "simsalabim" not in said[2], (files, said)
    with registry.Double(tls=(other.cert, other.key)) as double:
        said = ask(tmp_path, f'url: "{double.url}", tls: {{ca: {ca.cert}}}', "id", 1)[0]
        assert said[0] == "away" and said[1] == "setup" and "registry.tls" in said[3].lower(), said
