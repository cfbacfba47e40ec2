"""max_dead_letters: a route may give up so many records in such a time; at the next one its partition stops."""

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


STOPPED = "is not read to its end"


def fill(log, bad, total=200, every=5, partition=0):
    """Good records with bad ones among them; the offsets of the bad."""
    batch = [
        (partition, None, bad if n % every == 4 else b'{"id": %d, "note": "n"}' % n, None, None) for n in range(total)
    ]
    return [record.offset for record in log.send_many(batch) if record.value == bad]


def config(bench, log, limit, **more):
    return bench.config(log, route={"on_error": "dead_letter", "max_dead_letters": limit}, **more)


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
