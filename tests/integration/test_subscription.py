"""What is subscribed is what is read: routes and topics come and go between two starts, with and without static ids."""

import pytest


PROTOCOLS = pytest.mark.parametrize("protocol", ["roundrobin", "cooperative-sticky"])


def routes(*pairs):
    """Routes of (topic or pattern, table)."""
    return [{"topics": [topic], "table": table, "format": "json", "mode": "append"} for topic, table in pairs]


def static(bench, *pairs, member="one", protocol="roundrobin", **top):
    """The configuration of one static member."""
    properties = {"group.instance.id": member, "partition.assignment.strategy": protocol}
    return bench.config(routes=routes(*pairs), properties=properties, **top)


def two_topics(bench, partitions=2):
    """Two topics with a table each."""
    bench.plain_table("kept")
    bench.plain_table("other")
    return bench.topic(partitions=partitions), bench.topic(partitions=partitions)


@PROTOCOLS
def test_a_route_is_taken_out_and_put_back(bench, protocol):
    """Kafka hands the static member the topic that no route takes any more: its records must stay for later."""
    kept, other = two_topics(bench)
    both = static(bench, (kept.topic, "kept"), (other.topic, "other"), protocol=protocol)
    less = static(bench, (kept.topic, "kept"), protocol=protocol)
    kept.fill(100), other.fill(100)
    d = bench.start(both)
    bench.wait_stored(kept), bench.wait_stored(other)
    d.terminate()
    passed = bench.owners(other)
    other.fill(60), kept.fill(60)
    d = bench.start(less)
    bench.wait_stored(kept)
    d.terminate()
    assert bench.owners(other) == passed, "a partition without a route was claimed"
    bench.start(both)
    bench.wait_stored(other)
    bench.check(kept, "kept")
    bench.check(other, "other")


def test_two_daemons_with_different_files(bench):
    """The group's leader hands out what all subscribe to; without static ids each gets only its own topics."""
    kept, other = two_topics(bench)
    first = bench.start(bench.config(routes=routes((kept.topic, "kept"))))
    second = bench.start(bench.config(routes=routes((other.topic, "other"))))
    kept.fill(200), other.fill(200)
    bench.wait_stored(kept), bench.wait_stored(other)
    assert first.running and second.running
    bench.check(kept, "kept")
    bench.check(other, "other")
