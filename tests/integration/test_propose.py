"""`pgsinkd propose`: the table that it prints is created as it is, and its route drains the topic into it."""

import json

import pytest
from kit import daemon
from kit.ledger import offsets_only
from kit.model import Model

KEYED = [
    {"id": 1, "part": "a", "amount": 12.5, "created_at": 1780000000123, "day": "2026-05-28", "tags": ["x", "y"]},
    {"id": 2, "part": "a", "amount": 3, "created_at": 1780000000124, "day": None, "doc": {"a": [1]}},
    {"id": 1, "part": "b", "amount": 0.25, "created_at": 1780000000125, "raw": '{"b": 2}', "yes": True},
]


def propose(bench, topic, *argv, code=0):
    """By a file without routes."""
    config = bench.config(routes=[])
    del config["routes"]
    done = bench.command("propose", config, topic, *argv)
    assert done.returncode == code, done.stdout + done.stderr
    return config, done


def use(bench, config, proposal):
    """What a user does with it: the SQL into psql, all of it, and the route into the file."""
    path = bench.root / "proposal.sql"
    path.write_text(proposal)
    done = bench.psql("-f", path)
    assert done.returncode == 0, done.stderr
    route = proposal[proposal.index("\nroutes:\n") : proposal.rindex("*/")]
    return daemon.yaml(config) + "\n" + route


@pytest.mark.quick
def test_keys_name_rows(bench):
    log = bench.topic(name=bench.name("orders").replace(".", "-"))
    for record in KEYED:
        log.send(json.dumps(record).encode(), key=json.dumps({"id": record["id"], "part": record["part"]}).encode())
    config, done = propose(bench, log.topic)
    assert done.stderr == ""
    table = log.topic.replace("-", "_")
    assert f"-- From the newest 3 records of {log.topic}: 3 rows. Nothing was executed.\n" in done.stdout
    assert bench.value("SELECT to_regclass(%s)", table) is None
    file = use(bench, config, done.stdout)
    checked = bench.command("check", file)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    bench.drain(file)
    assert bench.sql(f"SELECT id, part, amount, created_at::text, day::text, tags, doc, raw, yes FROM {table} ORDER BY 2, 1") == [
        (1, "a", 12.5, "2026-05-28 20:26:40.123+00", "2026-05-28", ["x", "y"], None, None, None),
        (2, "a", 3, "2026-05-28 20:26:40.124+00", None, None, {"a": [1]}, None, None),
        (1, "b", 0.25, "2026-05-28 20:26:40.125+00", None, None, None, {"b": 2}, True),
    ]  # fmt: skip
    bench.check(log, table, model=Model("upsert", ["id", "part"], ["id", "part", "amount", "tags", "doc"]))


def test_hostile_names_do_no_harm(bench):
    bench.sql("CREATE TABLE victim (id int)")
    log = bench.topic()
    names = ['a"); DROP TABLE victim; --', "*/ DROP TABLE victim; /*", "\\", "tab\tname", "yes", "x'y", "value.z", "ä"]
    log.send(json.dumps(dict.fromkeys(names, "2026-01-31T12:00:00Z") | {"n_at\n": 1780000000}).encode())
    config, done = propose(bench, log.topic)
    table = log.topic.replace(".", "_")
    file = use(bench, config, done.stdout)
    bench.sql(f"ALTER TABLE {table} ADD seq bigint GENERATED ALWAYS AS IDENTITY")  # for the checker
    bench.drain(file)
    assert bench.value("SELECT count(*) FROM victim") == 0
    quoted = ", ".join('"' + name.replace('"', '""') + '"' for name in names)
    row = bench.connected().execute(f"SELECT {quoted} FROM {table}".replace("%", "%%")).fetchone()
    assert {str(value) for value in row} == {"2026-01-31 12:00:00+00:00"}
    bench.check(log, table, contents=offsets_only)


def row_of(record):
    event = json.loads(record.value)
    return event["after"] or event["before"]


def test_change_events(bench):
    log = bench.topic()
    for op, before, after in (("c", None, {"id": 1, "name": "Ada"}), ("u", None, {"id": 1, "name": "Eve"}),
                              ("c", None, {"id": 2, "name": "Bob"}), ("d", {"id": 2}, None)):  # fmt: skip
        key = {"id": (after or before)["id"]}
        log.send(json.dumps({"op": op, "before": before, "after": after}).encode(), key=json.dumps(key).encode())
    config, done = propose(bench, log.topic, "--records", "3")
    assert f"-- From the newest 3 records of {log.topic}: 3 rows." in done.stdout
    table = log.topic.rpartition(".")[2]
    bench.drain(use(bench, config, done.stdout))
    assert bench.sql(f'SELECT id, name FROM "{table}"') == [(1, "Eve")]
    events = Model("upsert", ["id"], ["id", "name"], row=row_of, deletes=lambda r: json.loads(r.value)["op"] == "d")
    bench.check(log, f'"{table}"', model=events)


def test_what_cannot_be_proposed(bench):
    empty, text, nothing = bench.topic(), bench.topic(), bench.topic()
    text.send(b"\x00\x00\x00\x00\x07\x02\x06abc")
    nothing.send(None, key=b"k")
    _, done = propose(bench, empty.topic, code=5)
    assert done.stderr == f"{empty.topic} has no records to propose a table from\n"
    _, done = propose(bench, text.topic, code=1)
    assert f"none of the newest 1 records of {text.topic} is a JSON object: " in done.stderr and "Avro" in done.stderr
    assert "HINT: A route with format: raw stores" in done.stderr
    _, done = propose(bench, nothing.topic, code=1)
    assert "is a JSON object: null\n" in done.stderr
    _, done = propose(bench, empty.topic + "x", code=5)
    assert f"kafka: topic '{empty.topic}x' does not exist\nHINT: There is '{empty.topic}'." in done.stderr
    for n in ("0", "100001", "x"):
        assert f"--records: '{n}' is not a number from 1 to 100000" in propose(bench, "t", "--records", n, code=2)[1].stderr
