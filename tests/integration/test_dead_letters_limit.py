"""max_dead_letters: a route may give up a share of its records, or so many in such a time; then its partitions stop."""

import random
import time

import pytest

from kit import wait
from kit.ledger import json_fields

LIMITED = """
CREATE TABLE events (
    seq        bigint GENERATED ALWAYS AS IDENTITY,
    _topic     text   NOT NULL,
    _partition int    NOT NULL,
    _offset    bigint NOT NULL,
    id         bigint NOT NULL,
    note       text   CHECK (note <> 'bad')
)
"""

BAD = {
    "found by us": b'{"id": "seven"}',
    "found by PostgreSQL": b'{"id": 7, "note": "bad"}',
}


GOOD = b'{"id": 1, "note": "n"}'
SKIPPED = b'{"id": 2, "note": "skipped"}'
STOPPED = "is not read to its end"


def fill(log, bad, total=200, every=5, partition=0):
    """Good records with bad ones among them; the offsets of the bad."""
    batch = [
        (partition, None, bad if n % every == 4 else b'{"id": %d, "note": "n"}' % n, None, None) for n in range(total)
    ]
    return [record.offset for record in log.send_many(batch) if record.value == bad]


def fill_all(log, values, partition=0):
    return [r.offset for r in log.send_many([(partition, None, value, None, None) for value in values])]


def config(bench, log, limit=None, when=None, **more):
    route = {"on_error": "dead_letter", "max_dead_letters": limit, "when": when}
    return bench.config(log, route={name: value for name, value in route.items() if value}, **more)


@pytest.mark.parametrize("bad", BAD.values(), ids=list(BAD))
def test_the_next_one_stops_its_partition(bench, bad):
    log = bench.topic(partitions=2)
    bench.sql(LIMITED)
    offsets = fill(log, bad)
    fill(log, b'{"id": 1}', partition=1)
    allow = ["route 'events' has had 10 dead letters in 3600 s", STOPPED]
    d = bench.drain(config(bench, log, "10 per 1h"), code=1, allow=allow)
    assert f"{log.topic}-0@{offsets[10]}" in "\n".join(d.lines("error"))
    assert "HINT: Where so much fails it is rarely the records" in d.log()
    dead = {(0, offset) for offset in offsets[:10]}
    bench.check(log, contents=json_fields("id", "note"), stops={0: offsets[10]}, dead=dead)


@pytest.mark.parametrize("bad", BAD.values(), ids=list(BAD))
def test_as_many_again_after_a_while(bench, bad):
    """The rate is kept while the records come: nothing stops."""
    log = bench.topic(partitions=1)
    bench.sql(LIMITED)
    bench.start(config(bench, log, "4 per 1s"))
    dead = set()
    for _ in range(3):
        dead |= {(0, o) for o in fill(log, bad, total=20)}
        bench.wait_stored(log)
        full_again = time.monotonic() + 1.1
        wait.until(lambda at=full_again: time.monotonic() > at, "the second to pass")
    bench.check(log, dead=dead)


@pytest.mark.parametrize("bad", BAD.values(), ids=list(BAD))
def test_off(bench, bad):
    log = bench.topic(partitions=1)
    bench.sql(LIMITED)
    offsets = fill(log, bad, total=3000, every=5)
    bench.drain(config(bench, log, "off"))
    bench.check(log, dead={(0, o) for o in offsets})


def test_all_partitions_of_a_route_share_it(bench):
    log = bench.topic(partitions=4)
    bench.sql(LIMITED)
    bad = BAD["found by us"]
    offsets = {p: fill(log, bad, partition=p) for p in range(4)}
    bench.drain(config(bench, log, "20 per 1h", workers=1), code=1, allow=["has had 20 dead letters", STOPPED])
    stood = bench.next_offsets(log)
    stops = {p: stood[p] for p in range(4)}
    assert all(stops[p] in offsets[p] for p in range(4))
    bench.check(log, stops=stops, dead=20)


# A share


def test_few_bad_ones_never_stop(bench):
    """However fast they come. Half of them are found by PostgreSQL, with default options."""
    log = bench.topic(partitions=1)
    bench.sql(LIMITED)
    bad = list(BAD.values())
    values = [bad[n // 33 % 2] if n % 33 == 7 else b'{"id": %d, "note": "n"}' % n for n in range(60_000)]
    offsets = fill_all(log, values)
    bench.drain(config(bench, log))
    bench.check(log, dead={(0, o) for o in offsets if values[o] in bad})


@pytest.mark.parametrize("bad", BAD.values(), ids=list(BAD))
def test_a_hopeless_route_stops_after_a_thousand(bench, bad):
    log = bench.topic(partitions=1)
    bench.sql(LIMITED)
    offsets = fill_all(log, [bad] * 2500)
    allow = ["route 'events' has had more dead letters than 50% of its records, the next would be", STOPPED]
    d = bench.drain(config(bench, log), code=1, allow=allow)
    said = "\n".join(d.lines("error"))
    assert f"{log.topic}-0@{offsets[1000]}" in said
    assert "is not a valid int8" in said or "violates check constraint" in said
    bench.check(log, stops={0: offsets[1000]}, dead={(0, o) for o in offsets[:1000]})


def end_of(share, values):
    """The credit of a share as docs/dead-letters.md has it: the first record that is too much."""
    credit = full = 1000 * (100 - share)
    for n, value in enumerate(values):
        if value in BAD.values():
            if credit < 100 - share:
                return n
            credit -= 100 - share
        elif value != SKIPPED:
            credit = min(full, credit + share)
    return None


@pytest.mark.parametrize("way", ["short", "long"])
def test_where_a_share_ends(bench, way):
    """
    To the record, however the batches lie, and with several of them on a long way to PostgreSQL (where it refuses
    none, or they would go one by one); what the route does not take counts for nothing.
    """
    log = bench.topic(partitions=1)
    bench.sql(LIMITED)
    rng = random.Random(20261129)
    bad = list(BAD.values()) if way == "short" else [BAD["found by us"]] * 2
    values = [rng.choice([*bad, GOOD, GOOD, GOOD, SKIPPED, SKIPPED]) for _ in range(9000)]
    end = end_of(25, values)
    assert 5000 < end < 8000
    fill_all(log, values)
    changes = {"batch": {"max_rows": 700}}
    if way == "long":
        proxy, dsn = bench.postgres_proxy()
        proxy.delay = 0.005
        changes = {"batch": {"max_rows": 100, "write_path": "unnest"}, "postgres": {"dsn": dsn}}
    made = config(bench, log, "25%", when="not (value.note = 'skipped')", **changes)
    bench.drain(made, code=1, allow=["has had more dead letters than 25% of its records", STOPPED])
    dead = {(0, n) for n in range(end) if values[n] in bad}
    without = {(0, n) for n in range(end) if values[n] == SKIPPED}
    bench.check(log, contents=json_fields("id", "note"), stops={0: end}, dead=dead, without=without)


@pytest.mark.parametrize(
    ("bad", "point"),
    [
        ("found by us", "txn.before_commit"),
        ("found by us", "txn.after_commit"),
        ("found by PostgreSQL", "txn.tried"),
        ("found by PostgreSQL", "txn.after_commit"),
    ],
)
def test_what_is_sent_twice_counts_once(bench, bad, point):
    """The connection breaks with some of the thousand on their way: they are stored, or not."""
    log = bench.topic(partitions=1)
    bench.sql(LIMITED)
    offsets = fill_all(log, [BAD[bad]] * 1200)
    allow = ["has had more dead letters than 50% of its records", STOPPED, "failpoint"]
    made = config(bench, log, batch={"max_rows": 400, "write_path": "copy"})
    d = bench.drain(made, code=1, allow=allow, failpoints=f"{point}=error@2")
    assert "failpoint" in d.log(), "the failpoint was never reached"
    bench.check(log, stops={0: offsets[1000]}, dead={(0, o) for o in offsets[:1000]})
