"""A real Apicurio Registry: the kit's double answers as it does, and a daemon stores what is registered there."""

import struct

import pytest

from kit import apicurio, registry
from kit.avro_bytes import decode, encode, framed, record
from kit.model import Model

ORDER = record("Order", ("id", "long"), ("note", "string"))
WRAP = record("Wrap", ("id", "long"), ("at", "shop.Order"))
PROTO = 'syntax = "proto3";\nmessage P {\n  int64 id = 1;\n}\n'
JSON = '{"$schema":"http://json-schema.org/draft-07/schema#","type":"object","properties":{"id":{"type":"integer"}}}'


@pytest.fixture(scope="session")
def shared_apicurio(root):
    server = apicurio.Apicurio(root).start()
    yield server
    server.destroy()


def register(server, prefix):
    """[number]: a schema of each kind, and one that refers to another."""
    refers = [{"name": "shop.Order", "subject": f"{prefix}order", "version": 1}]
    return [
        server.register(f"{prefix}order", ORDER | {"doc": prefix}),
        server.register(f"{prefix}wrap", WRAP | {"doc": prefix}, references=refers),
        server.register(f"{prefix}proto", PROTO, kind="PROTOBUF"),
        server.register(f"{prefix}json", JSON, kind="JSON"),
    ]


def plain(answer, numbers):
    """What of an answer counts: the wording of faults does not, nor that of what is the default, nor which number it is."""
    status, body = answer
    if isinstance(body, list):
        return status, sorted(str(item) for item in body)
    if not isinstance(body, dict):
        return status, bool(body)
    if status != 200:
        return status, body.get("error_code"), body.get("name")
    if "schema" not in body:
        return status, body
    number = body.get("id")
    return (status, body["schema"], body.get("schemaType", "AVRO"), body.get("references") or [], body.get("subject"),
            body.get("version"), number and numbers.index(number))  # fmt: skip


def test_the_double_answers_as_it_does(shared_apicurio):
    """Confluent's API, and what Apicurio's own says of globalIds and contentIds."""
    with registry.Double() as double:
        both = [(double, double.url, double.url), (shared_apicurio, f"{shared_apicurio.url}/apis/ccompat/v7",
                                                   f"{shared_apicurio.url}/apis/registry/v3")]  # fmt: skip
        said = []
        for server, confluent, own in both:
            numbers = register(server, "t-")
            paths = [f"/schemas/ids/{number}" for number in (*numbers, 4711)]
            paths += ["/schemas/types", "/subjects/t-wrap/versions/1", "/subjects/t-json/versions/latest"]
            paths += ["/subjects/t-none/versions/latest", "/subjects/t-wrap/versions/9"]
            names = [f"/ids/{kind}/{number}" for kind in ("globalIds", "contentIds") for number in (*numbers[:2], 4711)]
            names += [f"{name}/references" for name in names if "4711" not in name]
            urls = [confluent + path for path in paths] + [own + name for name in names]
            said.append([plain(apicurio.get(url), numbers) for url in urls])
        for ours, real, path in zip(*said, paths + names, strict=True):
            assert ours == real, path


@pytest.mark.parametrize("flavor", ["confluent", "apicurio"])
def test_rows(bench, shared_apicurio, flavor):
    """Its copy of Confluent's API; and its own, for ids in headers. A schema refers to another."""
    log = bench.topic()
    bench.sql("CREATE TABLE events (id bigint PRIMARY KEY, note text)")
    numbers = register(shared_apicurio, flavor)
    line = record("Line", ("id", "long"), ("note", "string"), ("order", ["null", "shop.Order"]))
    refers = [{"name": "shop.Order", "subject": f"{flavor}order", "version": 1}]
    subject = f"{flavor}line"
    numbers.append(shared_apicurio.register(subject, line | {"doc": flavor}, references=refers))
    whole = record("Line", ("id", "long"), ("note", "string"), ("order", ["null", ORDER]))
    for i in range(20):
        log.send(framed(numbers[0], ORDER, {"id": i, "note": f"order {i}"}))
        value = {"id": 100 + i, "note": f"line {i}", "order": {"id": i, "note": "of a line"}}
        if flavor == "confluent":
            log.send(framed(numbers[-1], whole, value))
            continue
        kind = i % 2
        name = ("apicurio.value.globalId", "apicurio.value.contentId")[kind]
        number = shared_apicurio.numbers(subject)[kind]
        log.send(encode(whole, value), headers=[(name, struct.pack(">q", number))])
    url = shared_apicurio.url + ("/apis/ccompat/v7" if flavor == "confluent" else "")
    config = bench.config(log, route={"format": "avro", "mode": "upsert"}, registry={"url": url, "flavor": flavor})
    bench.drain(config)
    kept = bench.sql("SELECT split_part(ref, ' ', 1), jsonb_array_length(refs) FROM pgsinkd.schemas ORDER BY 1, 2")
    lines = [("id", 1)] if flavor == "confluent" else [("contentId", 1), ("globalId", 1)]
    assert sorted(kept) == sorted([("id", 0), *lines])

    def row(rec):
        at = 5 if rec.value[:1] == b"\0" else 0
        schema = ORDER if rec.offset % 2 == 0 else whole
        return {k: v for k, v in decode(schema, rec.value[at:]).items() if k != "order"}

    bench.check(log, model=Model(mode="upsert", key=["id"], columns=["id", "note"], row=row))
