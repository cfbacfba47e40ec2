"""A column whose field no record has stays NULL without a fault: that is said once, after 1,000 records of its route."""

import json

import pytest

from kit.ledger import offsets_only

TABLE = """
CREATE TABLE {} (
    seq bigint GENERATED ALWAYS AS IDENTITY, _partition int NOT NULL, _offset bigint NOT NULL,
    deliveryid int, status text, created_at timestamptz DEFAULT now(), filled_by_others text
)
"""


def delivery(_partition, n):
    return json.dumps({"deliveryId": n, "status": "new" if n % 2 else None, "more": 1}).encode()


def said(d):
    return [line for line in d.lines("warning") if "none of 1,000 records" in line]


@pytest.mark.quick
def test_said_once_and_again_after_a_change(bench):
    """Two workers, four partitions; another route is right, and a third one has too few records."""
    log, right, few = bench.topic(partitions=4), bench.topic(), bench.topic()
    for name in ("deliveries", "others", "short"):
        bench.sql(TABLE.format(name))
    routes = [
        {"topics": [log.topic], "table": "deliveries"},
        {"topics": [right.topic], "table": "others", "columns": {"deliveryid": "value.deliveryId"}},
        {"topics": [few.topic], "table": "short"},
    ]
    config = bench.config(routes=routes)
    log.fill(2800, delivery)
    right.fill(1200, delivery)
    few.fill(900, delivery)
    d = bench.start(config)

    def stored():
        for of in (log, right, few):
            bench.wait_stored(of)

    stored()
    text = "route 'deliveries': none of 1,000 records has the field of column 'deliveryid'; there is 'deliveryId'"
    assert said(d) == [f"main: {text}"], d.log()
    assert "HINT: Set names: lower, or columns: {deliveryid: value.deliveryId}." in d.log()

    # Another route changes: this one is the same, and has been named.
    config["routes"][1]["max_dead_letters"] = "off"
    d.reload(config)
    log.fill(2800, delivery)
    stored()
    assert len(said(d)) == 1, d.log()

    # It changes, and still has the fault.
    config["routes"][0]["columns"] = {"status": "value.state"}
    d.reload(config)
    log.fill(2800, delivery)
    stored()
    also = "; nor that of column 'status' (value.state); there is 'status'"
    assert said(d) == [f"main: {text}", f"main: {text}{also}"], d.log()

    # It is put right.
    config["routes"][0] |= {"columns": {"status": "keep"}, "names": "lower"}
    d.reload(config)
    log.fill(2800, delivery)
    stored()
    assert len(said(d)) == 2, d.log()
    d.terminate()
    bench.check(log, "deliveries", contents=offsets_only)
    bench.check(right, "others", contents=offsets_only)
    bench.check(few, "short", contents=offsets_only)


def test_an_altered_table_begins_again(bench):
    """The count is of one table; with the column there, nothing is missing."""
    log = bench.topic()
    bench.sql(TABLE.format("events"))
    config = bench.config(log)
    log.fill(600, delivery)
    d = bench.start(config)
    bench.wait_stored(log)
    bench.sql("ALTER TABLE events RENAME deliveryid TO \"deliveryId\"")
    log.fill(1, delivery)
    bench.wait_stored(log)
    log.fill(1200, delivery)
    bench.wait_stored(log)
    assert said(d) == [], d.log()
    d.terminate()
    bench.check(log, contents=offsets_only)


def test_workers_count_together(bench):
    """Each of four workers has 300 records of the route, and none has 1,000."""
    log = bench.topic(partitions=4)
    bench.sql(TABLE.format("events"))
    log.fill(1200, delivery)
    d = bench.start(bench.config(log, workers=4))
    bench.wait_stored(log)
    log.fill(4, delivery)  # who has had a record before is asked again
    bench.wait_stored(log)
    assert len(said(d)) == 1, d.log()
    d.terminate()
    bench.check(log, contents=offsets_only)


def test_an_altered_table_is_reported_again(bench):
    """The warning was about the table as it was; one of another table is no reason."""
    log, other = bench.topic(), bench.topic()
    bench.sql(TABLE.format("events"))
    bench.sql(TABLE.format("others"))
    routes = [{"topics": [log.topic], "table": "events"}, {"topics": [other.topic], "table": "others"}]
    log.fill(1200, delivery)
    other.fill(10, delivery)
    d = bench.start(bench.config(routes=routes))
    for of in (log, other):
        bench.wait_stored(of)
    assert len(said(d)) == 1, d.log()

    bench.sql("ALTER TABLE others ADD COLUMN more int")
    other.fill(10, delivery)
    bench.wait_stored(other)
    log.fill(1200, delivery)
    bench.wait_stored(log)
    assert len(said(d)) == 1, d.log()

    bench.sql('ALTER TABLE events ADD COLUMN "MORE" int')
    for n in (1, 1200):
        log.fill(n, delivery)
        bench.wait_stored(log)
    assert len(said(d)) == 2 and "nor that of column 'MORE'" in said(d)[1], d.log()
    d.terminate()
    bench.check(log, "events", contents=offsets_only)
    bench.check(other, "others", contents=offsets_only)


def test_deletes_at_first(bench):
    """They have no fields; what follows is looked at all the same."""
    log = bench.topic()
    bench.sql("CREATE TABLE events (id int PRIMARY KEY, deliveryid int)")
    route = {"mode": "upsert", "delete": "tombstone", "columns": {"id": "key.id"}}
    log.send_many([(0, b'{"id": 1}', None, None, None)] * 9000)
    d = bench.start(bench.config(log, route=route))
    bench.wait_stored(log)
    log.send_many([(0, b'{"id": 2}', b'{"deliveryId": 1}', None, None)] * 18000)
    bench.wait_stored(log)
    assert len(said(d)) == 1, d.log()
    d.terminate()
    assert bench.sql("SELECT id, deliveryid FROM events") == [(2, None)]
