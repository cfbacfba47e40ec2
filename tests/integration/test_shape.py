"""What shapes rows: conditions, constants, the first of several values, arrays that make many rows."""

import datetime
import functools
import json
import re

import pytest

from kit import ledger, standing

STOPPED = ["is not read to its end"]
KEPT = "seq bigint GENERATED ALWAYS AS IDENTITY, _partition int, _offset bigint"


def one_if(holds):
    """For the checker: the route makes one row of such a record, and none of others."""
    return lambda record: 1 if record.value is not None and holds(record.json) else 0


# ---- when ----


@pytest.mark.sanitize
def test_conditions_share_a_topic_among_tables(bench):
    log = bench.topic(partitions=2)
    for table in ("small", "large", "rest"):
        bench.sql(f"CREATE TABLE {table} ({KEPT}, id bigint NOT NULL, kind text)")
    kinds = ["a", "b", "c", None, 5]
    log.send_many(
        (i % 2, None, json.dumps({"id": i, "kind": kinds[i % 5], "n": i}).encode(), None, None) for i in range(3000)
    )
    route = {"topics": [log.topic], "format": "json", "on_error": "stop"}
    bench.drain(
        bench.config(
            routes=[
                route | {"table": "small", "when": "value.kind in ('a', 'b') and value.n < 1000"},
                route | {"table": "large", "when": "value.kind in ('a', 'b') and not value.n < 1000"},
                route | {"table": "rest", "when": "not (value.kind in ('a', 'b'))"},
            ]
        )
    )
    bench.stop()
    known = ("a", "b")
    for table, holds in {
        "small": lambda v: v["kind"] in known and v["n"] < 1000,
        "large": lambda v: v["kind"] in known and v["n"] >= 1000,
        "rest": lambda v: v["kind"] not in known,
    }.items():
        bench.check(log, table, rows=one_if(holds), contents=ledger.json_fields("id"))


def test_a_topic_of_which_no_record_is_taken_is_passed(bench):
    log = bench.topic(partitions=2)
    bench.plain_table()
    log.fill(500)
    bench.drain(bench.config(log, route={"when": "value.id < 0"}))
    bench.check(log, rows=lambda _: 0)
    assert sum(bench.next_offsets(log).values()) == 500


def test_the_condition_comes_before_the_columns(bench):
    log = bench.topic()
    bench.sql(f"CREATE TABLE events ({KEPT}, id bigint NOT NULL)")
    log.send_json(type="order", id=1)
    log.send_json(type="visit", id="none")
    log.send_json(type="visit")
    log.send(None)
    log.send_json(type="order", id=2)
    bad = log.send_json(type="order", id="none")
    config = bench.config(log, route={"when": "value.type = 'order'"})
    bench.drain(config, code=1, allow=["not a valid int8", *STOPPED])
    bench.check(
        log, stops={0: bad.offset}, rows=one_if(lambda v: v.get("type") == "order"), contents=ledger.json_fields("id")
    )


def test_what_is_no_json_is_a_fault_of_a_route_with_a_condition(bench):
    log = bench.topic()
    bench.plain_table()
    log.fill(3)
    bad = log.send(b"no json")
    bench.drain(bench.config(log, route={"when": "value.id > 1"}), code=1, allow=["not valid JSON", *STOPPED])
    bench.check(log, stops={0: bad.offset}, rows=lambda r: 0 if r.value == b"no json" else int(r.json["id"] > 1))


def test_conditions_on_keys_headers_and_the_record(bench):
    log = bench.topic(partitions=2)
    bench.sql(f"CREATE TABLE events ({KEPT}, value bytea)")
    for i in range(40):
        log.send(b"%d" % i, partition=i % 2, key=b"k%d" % (i % 3), headers=[("v", b"%d" % (i % 5))])
    when = "key != 'k0' and headers.v >= 2 and meta.partition = 1 and meta.offset > 3"
    bench.drain(bench.config(log, route={"format": "raw", "when": when}))

    def rows(r):
        return int(r.key != b"k0" and int(r.value) % 5 >= 2 and r.partition == 1 and r.offset > 3)

    bench.check(log, rows=rows, contents=lambda r: {"value": r.value})


def test_a_bad_condition_has_its_place_in_the_file(bench):
    log = bench.topic()
    bench.plain_table()
    config = bench.config(log, route={"when": "value.id = = 5"})
    result = bench.command("check", config)
    assert result.returncode == 3
    assert re.search(r"check1\.yaml:\d+:\d+: .*when: expected a value at byte 12, before '= 5'", result.stderr)


# ---- constants and coalesce ----


def test_constants_and_the_first_of_several_values(bench):
    log = bench.topic()
    bench.sql(f"CREATE TABLE events ({KEPT}, id bigint, name text NOT NULL, n int, source text, doc jsonb)")
    log.send_many(
        (0, None, json.dumps({"id": i} | ({"nick": f"n{i}"} if i % 2 else {"nick": None, "name": i})).encode(), None, None)
        for i in range(1000)
    )
    columns = {
        "name": {"coalesce": ["value.nick", "value.name"]},
        "n": {"const": 5},
        "source": {"const": "web"},
        "doc": {"const": '{"a": [1, 2]}'},
    }
    bench.drain(bench.config(log, route={"columns": columns}))
    bench.check(
        log,
        contents=lambda r: {
            "name": r.json["nick"] or str(r.json["name"]),
            "n": 5,
            "source": "web",
            "doc": {"a": [1, 2]},
        },
    )


def test_a_constant_that_does_not_fit_has_its_place_in_the_file(bench):
    log = bench.topic()
    bench.plain_table()
    result = bench.command("check", bench.config(log, route={"columns": {"id": {"const": "web"}}}))
    assert result.returncode == 4
    assert re.search(r'yaml:\d+:\d+: .*column \'id\': constant: "web" is not a valid int8', result.stderr)


# ---- explode ----

ITEMS = f"CREATE TABLE events ({KEPT}, _index int NOT NULL, order_id bigint NOT NULL, sku text NOT NULL, qty int)"
EXPLODE = {"explode": "value.items", "columns": {"order_id": "value.id"}}


def order(n, items):
    return json.dumps({"id": n, "items": [{"sku": f"{n}-{i}", "qty": i} for i in range(items)]}).encode()


@functools.cache
def items_of_value(value):
    whole = json.loads(value)
    items = enumerate(whole.get("items") or [])
    return [{"_index": i, "order_id": whole["id"], "sku": e["sku"], "qty": e.get("qty")} for i, e in items]


def items_of(record):
    return items_of_value(record.value)


@pytest.mark.quick
@pytest.mark.sanitize
@pytest.mark.parametrize("write_path", ["copy", "unnest"])
def test_one_record_makes_many_rows(bench, write_path):
    log = bench.topic(partitions=2)
    bench.sql(ITEMS)
    log.send_many((i % 2, None, order(i, i % 7), None, None) for i in range(2000))
    log.send_json(id=-1)
    log.send_json(id=-2, items=None)
    batch = {"write_path": write_path, "max_rows": 100}
    bench.drain(bench.config(log, route=EXPLODE, batch=batch))
    bench.check(log, rows=lambda r: len(items_of(r)), contents=items_of)


def test_one_bad_element_keeps_the_whole_record_out(bench):
    log = bench.topic()
    bench.sql(ITEMS)
    log.send(order(1, 3))
    bad = log.send_json(id=2, items=[{"sku": "a"}, {"sku": "b", "qty": "many"}, {"sku": "c"}])
    log.send(order(3, 3))
    d = bench.drain(bench.config(log, route=EXPLODE), code=1, allow=["element 1: column 'qty'", *STOPPED])
    assert "element 1: column 'qty': \"many\" is not a valid int4" in d.log()
    bench.check(log, stops={0: bad.offset}, rows=lambda r: len(items_of(r)), contents=items_of)


def test_rows_of_one_record_are_stored_together(bench):
    """PostgreSQL refuses one element: with it, it refuses its record's other rows."""
    log = bench.topic()
    bench.sql(ITEMS)
    bench.sql("ALTER TABLE events ADD CHECK (qty < 5)")
    for n in (1, 2):
        log.send(order(n, 4))
    bad = log.send(order(3, 9))
    log.send(order(4, 4))
    bench.drain(bench.config(log, route=EXPLODE), code=1, allow=["events_qty_check", *STOPPED])
    bench.check(log, stops={0: bad.offset}, rows=lambda r: len(items_of(r)), contents=items_of)


def test_a_kill_stores_no_half_of_a_record(bench):
    log = bench.topic(partitions=2)
    bench.sql(ITEMS)
    config = bench.config(log, route=EXPLODE, batch={"max_rows": 20})
    for _ in range(2):
        log.send_many((i % 2, None, order(i, 20), None, None) for i in range(1500))
        d = bench.start(config)
        bench.wait_rows(bench.rows() + 1)
        d.kill()
        halves = bench.sql("SELECT _partition, _offset FROM events GROUP BY 1, 2 HAVING count(*) <> 20")
        assert halves == []
    bench.drain(config)
    bench.check(log, rows=lambda r: len(items_of(r)), contents=items_of)


def test_a_condition_chooses_elements(bench):
    log = bench.topic()
    bench.sql(ITEMS)
    log.send_many((0, None, order(i, i % 7), None, None) for i in range(500))
    route = EXPLODE | {"when": "item.qty >= 2 and value.id != 13"}
    bench.drain(bench.config(log, route=route))

    def chosen(r):
        return [item for item in items_of(r) if item["qty"] >= 2 and r.json["id"] != 13]

    bench.check(log, rows=lambda r: len(chosen(r)), contents=chosen)


# ---- the record names the table ----


@pytest.mark.sanitize
def test_records_name_their_table(bench):
    log = bench.topic(partitions=2)
    kinds = ["order", "Refund", "7"]
    for kind in kinds:
        bench.sql(f'CREATE TABLE "events_{kind}" ({KEPT}, id bigint NOT NULL)')
    log.send_many(
        (i % 2, None, json.dumps({"id": i, "at": {"kind": 7 if i % 3 == 2 else kinds[i % 3]}}).encode(), None, None)
        for i in range(3000)
    )
    route = {"tables": [f"events_{kind}" for kind in kinds]}
    bench.drain(bench.config(log, "public.events_{value.at.kind}", route=route))
    for kind in kinds:
        bench.check(
            log,
            f'"events_{kind}"',
            rows=one_if(lambda v, kind=kind: str(v["at"]["kind"]) == kind),
            contents=ledger.json_fields("id"),
        )


def test_a_record_with_a_table_that_is_not_listed_stops_or_becomes_a_dead_letter(bench):
    log = bench.topic()
    for table in ("events_a", "events_b"):
        bench.sql(f"CREATE TABLE {table} ({KEPT}, id bigint NOT NULL)")
    log.send_json(id=1, kind="a")
    bad = [log.send_json(id=2, kind="c"), log.send_json(id=3), log.send_json(id=4, kind={})]
    log.send_json(id=5, kind="b")
    route = {"tables": ["events_a"], "on_error": "stop"}
    config = bench.config(log, "events_{value.kind}", route=route)
    d = bench.drain(config, code=1, allow=["no table of this route is called 'events_c'", *STOPPED])
    assert "HINT: If it should be one, create it and add it to tables: of the route." in d.log()
    bench.check(log, "events_a", stops={0: bad[0].offset}, contents=ledger.json_fields("id"))

    route = {"tables": ["events_a", "events_b"], "on_error": "dead_letter"}
    standing.resume(bench)
    bench.drain(bench.config(log, "events_{value.kind}", route=route), allow=["dead letter"])
    dead = {(0, r.offset) for r in bad}
    for kind in ("a", "b"):
        bench.check(
            log,
            f"events_{kind}",
            dead=dead,
            rows=one_if(lambda v, kind=kind: v.get("kind") == kind),
            contents=ledger.json_fields("id"),
        )


def test_check_shows_every_table_and_the_place_of_one_that_is_missing(bench):
    log = bench.topic()
    bench.sql(f"CREATE TABLE events_a ({KEPT}, id bigint NOT NULL)")
    bench.sql(f"CREATE TABLE events_b ({KEPT}, id bigint NOT NULL)")
    route = {"tables": ["events_a", "events_b"], "when": "value.kind != 'x'", "explode": "value.items"}
    config = bench.config(log, "events_{value.kind}", route=route)
    good = bench.command("check", config)
    assert good.returncode == 0, good.stderr
    assert "  explode value.items\n  when value.kind != 'x'\n" in good.stdout
    assert 'table "public"."events_a"' in good.stdout
    assert 'table "public"."events_b"' in good.stdout
    bench.sql("DROP TABLE events_b")
    bad = bench.command("check", config)
    assert bad.returncode == 4
    place = re.search(r"check2\.yaml:(\d+):\d+: .*events_b", bad.stderr)
    assert "events_b" in (bench.root / "check2.yaml").read_text().splitlines()[int(place[1]) - 1]


# ---- sql ----


def sql_table(bench):
    bench.sql("CREATE TABLE customers (id bigint PRIMARY KEY, ref text UNIQUE)")
    bench.sql("INSERT INTO customers SELECT n, 'c-' || n FROM generate_series(0, 99) n")
    bench.sql(f"CREATE TABLE events ({KEPT}, id bigint NOT NULL, email text, customer_id bigint, at timestamptz)")


SQL = {
    "email": {"sql": "lower(value->>'email')"},
    "customer_id": {"sql": "(SELECT id FROM customers c WHERE c.ref = value->>'ref')"},
    "at": {"sql": "record.timestamp + interval '1 hour' -- of the record"},
}


def sql_record(n):
    return json.dumps({"id": n, "email": f"User{n}@Example.ORG", "ref": f"c-{n % 120}"}).encode()


def sql_contents(r):
    n = r.json["id"]
    customer = n % 120 if n % 120 < 100 else None
    return {"id": n, "email": f"user{n}@example.org", "customer_id": customer, "at": r.time + datetime.timedelta(hours=1)}


@pytest.mark.sanitize
@pytest.mark.parametrize("write_path", ["copy", "unnest"])
def test_postgresql_computes_columns(bench, write_path):
    log = bench.topic(partitions=2)
    sql_table(bench)
    log.send_many((i % 2, None, sql_record(i), None, None) for i in range(3000))
    bench.drain(bench.config(log, route={"columns": SQL}, batch={"write_path": write_path}))
    bench.check(log, contents=sql_contents)


@pytest.mark.parametrize("write_path", ["copy", "unnest"])
def test_computed_columns_of_an_upsert(bench, write_path):
    log = bench.topic(partitions=2)
    bench.sql("CREATE TABLE events (id int PRIMARY KEY, n int, twice int, value text)")
    log.send_many((i % 2, None, json.dumps({"id": i % 10, "n": i, "value": "x"}).encode(), None, None) for i in range(999))
    log.send(None, partition=0, key=b"4")
    route = {
        "mode": "upsert", "delete": "tombstone",
        "columns": {"id": {"coalesce": ["value.id", "key"]}, "twice": {"sql": "2 * (value->>'n')::int"}},
    }  # fmt: skip
    bench.drain(bench.config(log, route=route, batch={"write_path": write_path}))
    bench.stop()
    last = {i % 10: i for i in range(999)}
    want = [(k, n, 2 * n, "x") for k, n in sorted(last.items()) if k != 4]
    assert bench.sql("SELECT id, n, twice, value FROM events ORDER BY id") == want
    assert sum(bench.next_offsets(log).values()) == 1000


def test_what_an_expression_refuses_is_a_fault_of_its_record(bench):
    log = bench.topic()
    bench.sql(f"CREATE TABLE events ({KEPT}, id bigint NOT NULL, part int)")
    log.send_many((0, None, json.dumps({"id": i, "of": 0 if i in (5, 700) else 1 + i}).encode(), None, None) for i in range(1000))
    route = {"columns": {"part": {"sql": "1000 / (value->>'of')::int"}}, "on_error": "dead_letter"}
    bench.drain(bench.config(log, route=route), allow=["dead letter"])
    bench.check(
        log,
        dead={(0, 5), (0, 700)},
        contents=lambda r: {"id": r.json["id"], "part": 1000 // (r.json["of"] or 1)},
    )
    assert bench.sql("SELECT DISTINCT sqlstate FROM pgsinkd.dead_letters") == [("22012",)]


@pytest.mark.parametrize(
    ("sql", "words"),
    [
        ("lower(valu->>'x')", 'column "valu" does not exist'),
        ("value->>'x'", "is of type bigint but expression is of type text"),
        ("(SELECT 1 FROM nowhere)", 'relation "nowhere" does not exist'),
        ("1); DROP TABLE events; SELECT (1", "')' at byte 2 closes nothing"),
        ("1 +", "syntax error at or near"),
        ("(SELECT id FROM secret LIMIT 1)", "permission denied for table secret"),
        ("$1", "expression is of type text"),
    ],
)
def test_a_bad_expression_has_its_place_in_the_file(bench, sql, words):
    log = bench.topic()
    bench.sql(f"CREATE TABLE events ({KEPT}, id bigint NOT NULL)")
    bench.sql("CREATE TABLE secret (id bigint)")
    bench.sql(f"CREATE ROLE role_{bench.sink} LOGIN PASSWORD 'x'")
    bench.sql(f"GRANT INSERT, SELECT ON events TO role_{bench.sink}")
    bench.sql(f"GRANT CREATE ON DATABASE {bench.database} TO role_{bench.sink}")
    dsn = bench.dsn(user=f"role_{bench.sink}", password="x")
    config = bench.config(log, route={"columns": {"id": {"sql": sql}}}, postgres={"dsn": dsn})
    result = bench.command("check", config)
    assert result.returncode == (3 if " at byte " in words else 4), result.stdout
    assert re.search(r"check1\.yaml:\d+:\d+: (table .*)?column 'id': sql: .*" + re.escape(words), result.stderr)
    assert bench.value("SELECT to_regclass('events') IS NOT NULL")
