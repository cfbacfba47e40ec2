"""The daemon and its registry: what is kept of its answers, what goes on while it fails, how it is logged in to."""

import pytest

from kit import registry, wait
from kit.avro_bytes import decode, framed, record
from kit.model import Model
from kit.secure import Authority
from kit.standing import standing

ORDER = record("Order", ("id", "long"), ("note", "string"))
LINE = record("Line", ("id", "long"), ("note", "string"))
NOTES = record("Notes", ("id", "long"), ("note", {"type": "string", "avro.java.string": "String"}))
TABLE = "CREATE TABLE events (id bigint PRIMARY KEY, note text)"


@pytest.fixture
def double():
    with registry.Double() as it:
        yield it


@pytest.fixture
def authority(tmp_path):
    return Authority(tmp_path / "certificates")


def avro(log, table="events", **changes):
    return {"topics": [log.topic], "table": table, "format": "avro", "mode": "upsert", "on_error": "stop"} | changes


def send(log, number, ids, schema=ORDER, note="n", **options):
    for i in ids:
        log.send(framed(number, schema, {"id": i, "note": f"{note}{i}"}), **options)


MODEL = Model(mode="upsert", key=["id"], columns=["id", "note"], row=lambda rec: decode(ORDER, rec.value[5:]))
LETTERS = {"on_error": "dead_letter", "max_dead_letters": "off"}


def letters(bench):
    return bench.sql('SELECT "offset", value FROM pgsinkd.dead_letters ORDER BY 1')


def replayed(bench):
    bench.sql("SELECT pgsinkd.replay(%s)", bench.sink)
    wait.until(lambda: not letters(bench), "the replay")


def test_a_registry_in_the_configuration_holds_up_nothing(bench, double):
    log = bench.topic()
    bench.plain_table()
    double.fail("hang")
    config = bench.config(log)
    d = bench.start(config | {"registry": {"url": double.url}})
    log.fill(20)
    bench.wait_stored(log)
    d.reload(config)
    d.reload(config | {"registry": {"url": double.url, "context": "staging"}})
    log.fill(20)
    bench.wait_stored(log)
    d.terminate()
    bench.check(log)


def test_an_id_that_the_registry_lacks(bench, double):
    """Its word is believed after the grace; the bytes are kept as they came, and replay() stores them later. The
    registry is asked again when its word is old."""
    log = bench.topic()
    bench.sql(TABLE)
    double.register("orders", ORDER)
    send(log, 1, range(5))
    send(log, 77, range(5, 8))
    send(log, 1, range(8, 10))
    d = bench.start(bench.config(routes=[avro(log, **LETTERS)], registry={"url": double.url}),
                    times="schema_absent=1s,schema_fault=2s")  # fmt: skip
    bench.wait_stored(log)
    assert letters(bench) == [(offset, log.records[0][offset].value) for offset in (5, 6, 7)]
    message, known = bench.sql("SELECT message, (SELECT count(*) FROM pgsinkd.schemas) FROM pgsinkd.dead_letters")[0]
    assert "id 77" in message
    assert known == 1, "what it lacks is not kept"
    double.register("late", ORDER, number=77)
    replayed(bench)

    def is_stored():
        send(log, 77, [20])
        bench.wait_stored(log)
        return bench.value("SELECT count(*) FROM events WHERE id = 20")

    wait.until(is_stored, "the registry to be asked again", interval=0.3)
    assert d.running
    replayed(bench)
    bench.check(log, model=MODEL)


def test_a_follower_that_lags_is_not_believed(bench, double):
    log = bench.topic()
    bench.sql(TABLE)
    double.register("orders", ORDER)
    bench.start(bench.config(routes=[avro(log, **LETTERS)], registry={"url": double.url}))
    double.hide(1, 1.5)
    send(log, 1, range(10))
    bench.wait_stored(log)
    assert not letters(bench)
    assert double.count("/ids/1") >= 2
    bench.check(log, model=MODEL)


def test_two_tenants_of_one_address(bench, double):
    """The same number is another schema to each, and what is kept of the one is not given to the other."""
    turned = record("Order", ("note", "string"), ("id", "long"))
    for n, (tenant, schema) in enumerate({"lsrc-1": ORDER, "lsrc-2": turned}.items()):
        log = bench.topic()
        bench.sql(TABLE.replace("events", f"events{n}"))
        assert double.register("orders", schema, context=tenant) == 1
        send(log, 1, range(5), schema)
        where = {"url": double.url, "headers": {"target-sr-cluster": tenant}}
        bench.start(bench.config(routes=[avro(log, f"events{n}")], registry=where)).wait_ready()
        bench.wait_stored(log)
        kept = "SELECT count(DISTINCT registry) FROM pgsinkd.schemas"
        wait.until(lambda want=n + 1: bench.value(kept) == want, "the schema to be kept")
        decoded = {"row": lambda rec, schema=schema: decode(schema, rec.value[5:])}
        bench.check(log, f"events{n}", model=Model(mode="upsert", key=["id"], columns=["id", "note"], **decoded))


def test_what_is_kept(bench, double):
    """The table schemas has what a run was told, with what it refers to; a start and a replay need no registry then."""
    log = bench.topic()
    bench.sql(TABLE + " ; ALTER TABLE events ADD CONSTRAINT known CHECK (id <> 3)")
    double.register("base", record("Base", ("id", "long")))
    refers = [{"name": "shop.Base", "subject": "base", "version": 1}]
    number = double.register("orders", ORDER, references=refers)
    config = bench.config(routes=[avro(log, **LETTERS)], registry={"url": double.url})
    send(log, number, range(5))
    bench.start(config).wait_ready()
    bench.wait_stored(log)
    wait.until(lambda: bench.value("SELECT count(*) FROM pgsinkd.schemas"), "the schema to be kept")
    row = bench.sql("SELECT registry, ref, type, text::jsonb, refs FROM pgsinkd.schemas")
    part = ["shop.Base", double.schemas[""][1].text]
    assert row[0][:4] == (double.url, f"id {number}", "AVRO", ORDER)
    assert [[ref["name"], ref["text"]] for ref in row[0][4]] == [part]
    bench.stop()
    double.leave()
    d = bench.start(config)
    send(log, number, range(5, 10))
    bench.wait_stored(log)
    assert [offset for offset, _ in letters(bench)] == [3]
    bench.sql("ALTER TABLE events DROP CONSTRAINT known")
    replayed(bench)
    assert not [line for line in d.lines() if line.startswith("main: registry")], "nobody asked it"
    bench.check(log, model=MODEL)


def test_a_replay_that_needs_the_registry_waits_for_it(bench, double):
    """A dead letter is not rejected again because the registry is away."""
    log = bench.topic()
    bench.sql(TABLE)
    config = bench.config(routes=[avro(log, **LETTERS)], registry={"url": double.url})
    double.register("orders", ORDER)
    send(log, 1, range(3))
    send(log, 77, [3])
    bench.start(config, times="schema_absent=200ms")
    bench.wait_stored(log)
    bench.stop()
    double.leave()
    d = bench.start(config)
    d.allow("replay", "registry")
    before = bench.sql("SELECT attempts, message FROM pgsinkd.dead_letters")
    bench.sql("SELECT pgsinkd.replay(%s)", bench.sink)
    send(log, 1, range(4, 6))
    bench.wait_stored(log)
    assert [offset for offset, _ in letters(bench)] == [3]
    assert bench.sql("SELECT attempts, message FROM pgsinkd.dead_letters") == before
    double.register("late", ORDER, number=77)
    double.come_back()
    wait.until(lambda: not letters(bench), "the replay")
    bench.check(log, model=MODEL)


@pytest.mark.parametrize("fault", ["hang", 500])
def test_it_fails_in_the_middle(bench, double, fault):
    """What needs no answer goes on, one warning says why the rest waits, and each id is asked for once in the end."""
    log, known, plain = bench.topic(partitions=4), bench.topic(), bench.topic()
    bench.sql(TABLE)
    bench.sql(TABLE.replace("events", "known"))
    bench.plain_table("plain")
    double.register("orders", ORDER)
    double.register("lines", LINE)
    double.register("notes", NOTES)
    routes = [avro(log), avro(known, "known"),
              {"topics": [plain.topic], "table": "plain", "on_error": "stop"}]  # fmt: skip
    d = bench.start(bench.config(routes=routes, registry={"url": double.url, "timeout": "500ms"}))
    send(log, 1, range(20))
    send(known, 1, range(20))
    bench.wait_stored(log)
    bench.wait_stored(known)
    double.fail(fault)
    for i in range(20, 420, 4):
        for p, (number, schema) in enumerate([(1, ORDER), (2, LINE), (3, NOTES), (2, LINE)]):
            send(log, number, [i + p], schema, partition=p)
    wait.until(lambda: len(standing(bench, log)) == 3, "three partitions to wait")
    send(known, 1, range(20, 40))
    plain.fill(100)
    bench.wait_stored(known, timeout=10)
    bench.wait_stored(plain, timeout=10)
    wait.until(lambda: double.count("/ids/2") > 1 and double.count("/ids/3") > 1, "both to be asked for again")
    assert len([line for line in d.lines("warning") if line.startswith("main: registry")]) == 1
    assert bench.value("SELECT count(*) FROM events WHERE id >= 20 AND id % 4 <> 0") == 0
    double.fail(None)
    bench.wait_stored(log)
    d.wait_log("registry: .*answers")
    assert double.answered == {"/schemas/ids/1": 1, "/schemas/ids/2": 1, "/schemas/ids/3": 1}
    assert len([line for line in d.lines("warning") if line.startswith("main: registry")]) == 1
    bench.check(known, "known", model=MODEL)
    bench.check(plain, "plain")
    bench.check(log, model=MODEL)
    assert not letters(bench)


def test_until_end_waits_for_the_registry(bench, double):
    """A partition that waits for a schema is not one that has stopped."""
    log = bench.topic()
    bench.sql(TABLE)
    double.register("orders", ORDER)
    send(log, 1, range(10))
    double.fail("hang")
    config = bench.config(routes=[avro(log)], registry={"url": double.url, "timeout": "500ms"})
    d = bench.start(config, ready=False, args=["--until-end"])
    wait.until(lambda: standing(bench, log), "the partition to wait", 30)
    d.wait_log("waits for schema 1")
    asked = len(double.asked)
    wait.until(lambda: len(double.asked) > asked, "the registry to be asked again")
    double.fail(None)
    assert d.wait_exit(60) == 0, d.log()
    bench.check(log, model=MODEL)


def test_a_reload_forgets_schemas_only_of_another_registry(bench, double):
    log = bench.topic()
    bench.sql(TABLE)
    double.register("orders", ORDER)
    config = bench.config(routes=[avro(log)], registry={"url": double.url})
    d = bench.start(config)
    send(log, 1, range(5))
    bench.wait_stored(log)
    wait.until(lambda: bench.value("SELECT count(*) FROM pgsinkd.schemas"), "the schema to be kept")
    bench.sql("DELETE FROM pgsinkd.schemas")
    d.reload(config | {"registry": {"url": double.url, "timeout": "3s"}})
    send(log, 1, range(5, 10))
    bench.wait_stored(log)
    assert double.count("/ids/1") == 1
    double.register("orders", ORDER, context="other")
    d.reload(config | {"registry": {"url": double.url, "headers": {"target-sr-cluster": "other"}}})
    send(log, 1, range(10, 15))
    bench.wait_stored(log)
    assert double.count("/ids/1") == 2
    bench.check(log, model=MODEL)


def test_only_the_table_has_it(bench, double):
    """A registry's 404 is not believed before the table has answered, and neither is a table that is locked: not for a
    record, and not for a replay."""
    log = bench.topic()
    bench.sql(TABLE + " ; ALTER TABLE events ADD CONSTRAINT known CHECK (id <> 3)")
    double.register("orders", ORDER)
    config = bench.config(routes=[avro(log, **LETTERS)], registry={"url": double.url},
                          postgres={"lock_timeout": "200ms"})  # fmt: skip
    send(log, 1, range(5))
    bench.start(config)
    bench.wait_stored(log)
    wait.until(lambda: bench.value("SELECT count(*) FROM pgsinkd.schemas"), "the schema to be kept")
    bench.stop()
    double.forget(1)
    d = bench.start(config, times="schema_absent=200ms,retry=300ms").allow("replay", "lock timeout")
    with bench.postgres.connect(bench.database) as operator, operator.transaction():
        operator.execute("LOCK TABLE pgsinkd.schemas IN ACCESS EXCLUSIVE MODE")
        asked = double.count("/ids/1")
        send(log, 1, range(5, 10))
        wait.until(lambda: double.count("/ids/1") >= asked + 4, "the registry to say 404 for long enough")
        bench.sql("ALTER TABLE events DROP CONSTRAINT known")
        bench.sql("SELECT pgsinkd.replay(%s)", bench.sink)
        d.wait_log("lock timeout")
    bench.wait_stored(log)
    wait.until(lambda: not letters(bench), "the replay")
    bench.check(log, model=MODEL)


def test_a_schema_that_may_not_be_kept(bench, double):
    log = bench.topic()
    bench.sql(TABLE)
    double.register("orders", ORDER)
    double.register("lines", LINE)
    d = bench.start(bench.config(routes=[avro(log)], registry={"url": double.url}))
    bench.sql("CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS"
              " $$ BEGIN RAISE insufficient_privilege; END $$")  # fmt: skip
    bench.sql("CREATE TRIGGER refuse BEFORE INSERT ON pgsinkd.schemas FOR EACH ROW EXECUTE FUNCTION refuse()")
    send(log, 1, range(5))
    send(log, 2, range(5, 10), LINE)
    bench.wait_stored(log)
    d.wait_log("PGS-354")
    assert len([line for line in d.lines("warning") if "the table of schemas cannot be used" in line]) == 1
    bench.check(log, model=MODEL)


def test_tls(bench, authority):
    """A registry that wants a client certificate: without one, and with an authority that did not sign it, nothing is
    stored and an error with a hint says so; a reload with the right files is enough."""
    server, client = authority.issue("localhost", host="localhost"), authority.issue("pgsinkd")
    stranger = Authority(authority.root, "other")
    log = bench.topic()
    bench.sql(TABLE)
    with registry.Double(tls=(server.cert, server.key), want_client=authority.cert) as double:
        double.register("orders", ORDER)

        def config(**tls):
            section = {"url": double.url, "tls": {name: str(path) for name, path in tls.items()}}
            return bench.config(routes=[avro(log)], registry=section)

        d = bench.start(config(ca=stranger.cert))
        d.allow("main: registry: ")
        send(log, 1, range(10))
        d.wait_log("registry: .*certificate")
        d.wait_log("PGS-351")
        errors = len(d.lines("error"))
        d.reload(config(ca=authority.cert))
        wait.until(lambda: len(d.lines("error")) > errors, "it to want a certificate")
        assert not double.asked
        assert "answers again" not in d.log(), "a reload alone is no answer"
        d.reload(config(ca=authority.cert, cert=client.cert, key=client.key))
        bench.wait_stored(log)
        d.wait_log("registry: it answers again")
    assert client.key.read_text().splitlines()[1] not in d.log()
    bench.check(log, model=MODEL)
