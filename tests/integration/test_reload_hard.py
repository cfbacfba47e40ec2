"""SIGHUP at bad moments: under load, twice, during the start and during a stop, with static members, and without a
ledger. How long a partition stands is seen in the times at which its rows were stored."""

import copy
import signal
import threading

import pytest

from kit import wait

PROTOCOLS = pytest.mark.parametrize("protocol", ["roundrobin", "cooperative-sticky"])
# Seconds in which each partition stores something, also one that a reload concerns. Generous: the machine is shared, and
# what a reload costs is measured elsewhere; this is to find a partition that waits for a session or a request to time out.
STALL = 5.0 * wait.FACTOR


def strategy(protocol, **more):
    return {"partition.assignment.strategy": protocol} | more


def static(protocol, name="one", **more):
    """Long enough a session that a process which is started again is the same member."""
    return strategy(protocol, **{"group.instance.id": name, "session.timeout.ms": 10000}, **more)


def tagged(log, table="events", tag="a", **more):
    return {"topics": [log.topic], "table": table, "on_error": "stop", "columns": {"tag": {"const": tag}}} | more


def with_tag(config, tag, route=0):
    config = copy.deepcopy(config)
    config["routes"][route]["columns"]["tag"]["const"] = tag
    return config


def with_routes(config, *routes):
    return config | {"routes": list(routes)}


def tables(bench, *names):
    for name in names:
        bench.plain_table(name)
        bench.sql(f"ALTER TABLE {name} ADD tag text, ADD stored timestamptz NOT NULL DEFAULT clock_timestamp()")


class Trickle:
    """A few records into each partition, all the while; says when each round was produced."""

    def __init__(self, *logs, per_partition=1, pause=0.02):
        self._logs, self._n, self._pause, self._over = logs, per_partition, pause, threading.Event()
        self._thread = threading.Thread(target=self._run)

    def _run(self):
        while not self._over.wait(self._pause):
            for log in self._logs:
                log.fill(self._n * len(log.partitions))

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._over.set()
        self._thread.join()


def gap(bench, table, since, until):
    """The longest time, in seconds, in which one of the partitions stored nothing, between two moments."""
    return bench.value(
        f"WITH t AS (SELECT _partition, stored FROM {table} WHERE stored BETWEEN %s AND %s"
        f"           UNION ALL SELECT DISTINCT _partition, moment FROM {table}, unnest(ARRAY[%s, %s]) moment),"
        "     d AS (SELECT stored - lag(stored) OVER (PARTITION BY _partition ORDER BY stored) AS d FROM t)"
        " SELECT extract(epoch FROM max(d))::float8 FROM d",
        since, until, since, until,
    )  # fmt: skip


def moment(bench):
    return bench.value("SELECT clock_timestamp()")


def wait_all_move(bench, *logs):
    """Every partition stores something from here on."""
    before = {log.topic: bench.next_offsets(log) for log in logs}

    def moved(log):
        at = bench.next_offsets(log)
        return all(at.get(p, 0) > before[log.topic].get(p, 0) for p in log.partitions)

    wait.until(lambda: all(moved(log) for log in logs), "all partitions to move on")


def wait_tag(bench, tag, table="events"):
    wait.until(lambda: bench.value(f"SELECT true FROM {table} WHERE tag = %s LIMIT 1", tag), f"rows with {tag}")


# ---- how long anything stands ----


@PROTOCOLS
def test_a_changed_route_stalls_its_own_topic_shortly_and_no_other(bench, protocol):
    changed, other = bench.topic(partitions=3), bench.topic(partitions=3)
    tables(bench, "events", "others")
    config = bench.config(routes=[tagged(other, "others"), tagged(changed)], properties=strategy(protocol))
    d = bench.start(config)
    with Trickle(changed, other):
        wait_all_move(bench, changed, other)
        owners, begun = bench.owners(other), moment(bench)
        for tag in "bcde":
            d.reload(with_tag(config, tag, route=1))
            wait_tag(bench, tag)
            wait_all_move(bench, changed, other)
        ended = moment(bench)
        # An eager member gives all its partitions back, and claims them again.
        if protocol == "cooperative-sticky":
            assert bench.owners(other) == owners, "what is not concerned was claimed again"
    longest = gap(bench, "events", begun, ended)
    print("longest gap", longest)
    assert longest < STALL
    bench.wait_stored(changed), bench.wait_stored(other)
    bench.check(changed)
    bench.check(other, "others")


@pytest.mark.parametrize("protocol, member", [("roundrobin", "dynamic"), ("cooperative-sticky", "static")])
def test_another_list_of_topics_stalls_nothing_for_long(bench, protocol, member):
    """The group rebalances; what was read and is read still stands no longer than that takes."""
    first, second = bench.topic(partitions=3), bench.topic(partitions=3)
    tables(bench, "events", "others")
    one = bench.config(routes=[tagged(first)], properties=static(protocol) if member == "static" else strategy(protocol))
    both = with_routes(one, tagged(second, "others"), tagged(first))
    d = bench.start(one)
    with Trickle(first, second):
        wait_all_move(bench, first)
        owners, begun = bench.owners(first), moment(bench)
        for config in (both, one, both):
            d.reload(config)
            wait_all_move(bench, first)
        wait_all_move(bench, first, second)
        ended = moment(bench)
        if protocol == "cooperative-sticky":
            assert bench.owners(first) == owners, "what is read before and after was claimed again"
    longest = gap(bench, "events", begun, ended)
    print("longest gap", longest)
    assert longest < STALL
    bench.wait_stored(first), bench.wait_stored(second)
    bench.check(first)
    bench.check(second, "others")


# ---- two at a time ----


def test_of_two_in_quick_succession_the_last_file_wins(bench):
    log, other = bench.topic(partitions=4), bench.topic(partitions=2)
    tables(bench, "events", "others")
    config = bench.config(routes=[tagged(log)], properties=strategy("cooperative-sticky"))
    more = with_routes(config, tagged(other, "others"), tagged(log))
    d = bench.start(config)
    with Trickle(log, other, per_partition=20):
        bench.wait_rows(1)
        for n in range(3):
            d.hangup(with_tag(more if n % 2 else config, f"x{n}", route=n % 2))
            d.hangup(with_tag(config if n % 2 else more, f"y{n}", route=1 - n % 2))
            wait_tag(bench, f"y{n}")
    # Whatever was skipped, the last one is in force.
    d.reload(with_tag(more, "z", route=1))
    bench.wait_stored(log), bench.wait_stored(other)
    last = bench.sql("SELECT tag FROM events ORDER BY _offset DESC LIMIT 1")
    log.fill(4)
    bench.wait_stored(log)
    assert bench.value("SELECT count(*) FROM events WHERE tag = 'z'") >= 4, last
    for n in range(3):
        late = bench.value(
            "SELECT count(*) FROM events x JOIN events y USING (_partition)"
            " WHERE x.tag = %s AND y.tag = %s AND x._offset > y._offset", f"x{n}", f"y{n}",
        )  # fmt: skip
        assert late == 0, f"x{n} was in force after y{n}"
    bench.check(log)
    bench.check(other, "others")


# ---- during the start ----


def handles_hangup(d):
    """Has the process a handler, or blocked the signal? Before that it ends by it, as any process."""
    status = f"/proc/{d.pid}/status"
    wait.until(d.log, "its first line: it is not Python any more", interval=0.001)

    def caught():
        with open(status) as f:
            masks = {k: int(v, 16) for k, v in (line.split() for line in f if line.startswith("Sig") and "Q" not in line)}
        return (masks["SigBlk:"] | masks["SigCgt:"] | masks["SigIgn:"]) >> (signal.SIGHUP - 1) & 1

    return wait.until(caught, "the process to take SIGHUP", interval=0.001)


@pytest.mark.parametrize("away", ["nothing", "postgres"])
def test_a_hangup_during_the_start(bench, away):
    """It is done when the start is complete; what was read first is not used for a single record after it."""
    log = bench.topic(partitions=2)
    tables(bench, "events")
    log.fill(100)
    proxy, dsn = bench.postgres_proxy()
    config = bench.config(routes=[tagged(log)], postgres={"dsn": dsn})
    for n in range(2):
        if away == "postgres":
            proxy.refuse()
        d = bench.start(config, ready=False).allow("cannot connect", "connection")
        handles_hangup(d)
        ended = d.hangup(with_tag(config, f"n{n}"))
        if away == "postgres":
            wait.stays(lambda: not d.notify.values("READY"), "not ready without PostgreSQL", 0.5)
            proxy.reopen()
        d.wait_ready()
        wait.until(lambda: d.reloads() > ended, "the reload to be over")
        log.fill(20)
        bench.wait_stored(log)
        assert bench.value("SELECT count(*) FROM events WHERE tag = %s", f"n{n}") >= 20
        assert d.notify.values("READY")
        d.terminate()
    bench.check(log)


# ---- during a stop ----


@pytest.mark.parametrize("protocol, order", [("roundrobin", "before"), ("cooperative-sticky", "after")])
def test_a_hangup_during_a_stop(bench, protocol, order):
    log = bench.topic(partitions=4)
    tables(bench, "events")
    config = bench.config(routes=[tagged(log)], properties=strategy(protocol))
    with Trickle(log, per_partition=50):
        for n in range(2):
            d = bench.start(with_tag(config, f"r{n}"))
            wait_tag(bench, f"r{n}")
            if order == "before":
                d.hangup(with_tag(config, f"s{n}"))
                d.terminate()
            else:
                d.popen.send_signal(signal.SIGTERM)
                d.hangup(with_tag(config, f"s{n}"))
                assert d.wait_exit(5) == 0
    d = bench.start(config)
    bench.wait_stored(log)
    bench.check(log)


def test_a_hangup_while_a_stop_waits_for_the_database(bench):
    log = bench.topic(partitions=2)
    tables(bench, "events")
    proxy, dsn = bench.postgres_proxy()
    config = bench.config(routes=[tagged(log)], postgres={"dsn": dsn})
    d = bench.start(config).allow("postgres", "connection", "not stored")
    log.fill(100)
    bench.wait_stored(log)
    proxy.black_hole()
    log.fill(100)
    d.hangup(with_tag(config, "b"))
    d.popen.send_signal(signal.SIGTERM)
    d.hangup(with_tag(config, "c"))
    assert d.wait_exit(10) == 0
    proxy.heal()
    bench.start(config)
    bench.wait_stored(log)
    bench.check(log)


# ---- static members ----


def members(bench):
    return dict(bench.sql("SELECT instance_id, topics FROM pgsinkd.static_members WHERE sink = %s", bench.sink))


def test_static_members_reload_one_after_the_other(bench):
    """A topic is taken out and another put in, then the other way round, while records come in."""
    log, old, new = bench.topic(partitions=4), bench.topic(partitions=2), bench.topic(partitions=2)
    tables(bench, "events", "olds", "news")
    routes = {"olds": tagged(old, "olds"), "news": tagged(new, "news")}
    configs = {
        (name, with_): bench.config(routes=[tagged(log), routes[with_]], properties=static("cooperative-sticky", name))
        for name in ("one", "two") for with_ in routes
    }  # fmt: skip
    daemons = {name: bench.start(configs[name, "olds"]) for name in ("one", "two")}
    with Trickle(log, old, new, per_partition=10):
        bench.wait_rows(1), bench.wait_rows(1, "olds")
        for with_ in ("news", "olds", "news"):
            for name, d in daemons.items():
                d.reload(configs[name, with_])
            more = bench.rows(with_) + 1
            bench.wait_rows(more, with_)
    bench.wait_stored(log), bench.wait_stored(new)
    for name, d in daemons.items():
        d.reload(configs[name, "olds"] | {"routes": [tagged(log), *routes.values()]})
    for log_ in (log, old, new):
        bench.wait_stored(log_)
    bench.check(log)
    bench.check(old, "olds")
    bench.check(new, "news")


@pytest.mark.parametrize("protocol, others, killed", [("roundrobin", 0, "at once"), ("cooperative-sticky", 1, "later")])
def test_a_static_member_dies_soon_after_a_topic_was_taken_out(bench, protocol, others, killed):
    """
    The group has seen it give up the topic; what is written down must not say that it reads it. Else one that is started
    with the topic again is content with its former assignment, and nobody reads the topic.
    """
    log, gone = bench.topic(partitions=2), bench.topic(partitions=2)
    tables(bench, "events", "gones")
    both = bench.config(routes=[tagged(log), tagged(gone, "gones")], properties=static(protocol))
    one = with_routes(both, tagged(log))
    d = bench.start(both)
    rest = [bench.start(one | {"kafka": one["kafka"] | {"properties": static_of(one, "rest")}}) for _ in range(others)]
    log.fill(100), gone.fill(100)
    bench.wait_stored(log), bench.wait_stored(gone)
    wait.until(lambda: gone.topic in members(bench).get("one", ()), "what it reads to be written down", 60)
    d.reload(one)
    if killed == "later":
        log.fill(100)
        bench.wait_stored(log)
    d.kill()
    log.fill(100), gone.fill(100)
    again = bench.start(both)
    bench.wait_stored(gone)
    bench.wait_stored(log)
    assert again.running and all(r.running for r in rest)
    bench.check(log)
    bench.check(gone, "gones")


def static_of(config, name):
    return config["kafka"]["properties"] | {"group.instance.id": name}


# ---- without a ledger ----


@pytest.mark.parametrize("protocol, delivery", [("roundrobin", "at_least_once"), ("cooperative-sticky", "at_most_once")])
def test_reloads_without_a_ledger(bench, delivery, protocol):
    """Nothing is committed that is not stored, or the other way round. A commit that the group refuses, because its
    generation has changed with the topics, lets the last records be read again.
    """
    log, other = bench.topic(partitions=4), bench.topic(partitions=2)
    tables(bench, "events", "others")
    config = bench.config(
        routes=[tagged(log)], delivery=delivery, properties=strategy(protocol),
        kafka={"commit": "sync", "commit_interval": "300ms"},
    )  # fmt: skip
    more = with_routes(config, tagged(other, "others"), tagged(log))
    d = bench.start(config)
    with Trickle(log, other, per_partition=20):
        bench.wait_rows(1)
        for n, tag in enumerate("bcd"):
            d.reload(with_tag(config if n % 2 else more, tag, route=1 - n % 2))
            wait_tag(bench, tag)
            d.reload(with_tag(config if n % 2 else more, tag, route=1 - n % 2) | {"workers": 1 + n % 3})
    bench.wait_present(log), bench.wait_present(other, "others")
    total = sum(len(records) for records in log.records.values())
    rows, distinct = bench.tally()
    assert distinct == total and (rows == total or delivery == "at_least_once"), (rows, distinct, total)
    bench.check(log, delivery=delivery)
    bench.check(other, "others", delivery=delivery)
