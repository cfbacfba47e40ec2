"""SIGHUP: the file is read again while records flow, and nothing is lost or stored twice by it."""

import copy
from pathlib import Path

import pytest

from kit import wait
from kit.process import free_port
from kit.reloads import Load, table, tagged, with_tag
from kit.web import Web

PROTOCOLS = pytest.mark.parametrize("protocol", ["roundrobin", "cooperative-sticky"])


def strategy(protocol):
    return {"partition.assignment.strategy": protocol}


@pytest.mark.quick
@pytest.mark.sanitize
@PROTOCOLS
def test_a_route_is_changed_under_load_and_others_are_not_touched(bench, protocol):
    changed, other = bench.topic(partitions=4), bench.topic(partitions=4)
    table(bench)
    table(bench, "others")
    routes = [tagged(bench, other, "others"), tagged(bench, changed)]
    config = bench.config(routes=routes, properties=strategy(protocol))
    d = bench.start(config)
    with Load(changed, other):
        bench.wait_rows(1)
        bench.wait_rows(1, "others")
        before = bench.owners(other)
        for tag in "bcde":
            d.reload(with_tag(config, tag, route=1))
            wait.until(
                lambda tag=tag: bench.value("SELECT true FROM events WHERE tag = %s LIMIT 1", tag), f"rows with {tag}"
            )
        assert bench.owners(other) == before
    bench.wait_stored(changed)
    bench.wait_stored(other)
    assert bench.owners(other) == before
    name = "main: reload: routes[events].columns.tag: {const: a} -> {const: b}"
    assert name in d.lines("notice"), d.log()
    assert bench.value("SELECT count(DISTINCT tag) FROM others") == 1
    # What was not stored under one configuration was stored under the next: they follow each other.
    assert bench.sql("SELECT 1 FROM (SELECT tag, lag(tag) OVER (PARTITION BY _partition ORDER BY _offset) AS l FROM events) t"
                     " WHERE tag < l") == []  # fmt: skip
    bench.check(changed)
    bench.check(other, "others")


@pytest.mark.quick
def test_a_bad_file_changes_nothing(bench):
    log = bench.topic(partitions=2)
    table(bench)
    config = bench.config(routes=[tagged(bench, log)])
    d = bench.start(config).allow("nothing is changed by the reload")
    log.fill(100)
    bench.wait_stored(log)
    before = bench.owners(log)
    bad = with_tag(config, "b") | {"colour": "red"}
    ready = len(d.notify.values("READY"))
    d.reload(bad)
    said = bench.command("config", bad).stderr.splitlines()
    where = said[0].split(".yaml", 1)[1]
    assert any(line.endswith(where) for line in d.lines("error")), (said, d.log())
    assert "HINT: " + said[1].removeprefix("HINT: ") in d.log()
    assert d.notify.values("RELOADING") == ["1"]
    assert int(d.notify.values("MONOTONIC_USEC")[0]) > 0
    wait.until(lambda: len(d.notify.values("READY")) == ready + 1, "READY=1 again")
    wait.until(lambda: any(where in s for s in d.notify.values("STATUS")), "STATUS to have the error")
    d.reload(config | {"routes": [config["routes"][0] | {"when": "vlaue.x == 1"}]})
    wait.until(lambda: len(d.notify.values("READY")) == ready + 2, "READY=1 once more")
    assert any(": when: " in line for line in d.lines("error")), d.log()
    log.fill(100)
    bench.wait_stored(log)
    assert bench.owners(log) == before
    assert bench.value("SELECT count(*) FROM events WHERE tag <> 'a'") == 0
    d.reload(with_tag(config, "c"))
    log.fill(100)
    bench.wait_stored(log)
    assert bench.value("SELECT count(*) FROM events WHERE tag = 'c'") == 100
    wait.until(lambda: "refused" not in d.notify.values("STATUS")[-1], "STATUS to be well again")
    bench.check(log)


def test_what_needs_a_restart_is_named_and_all_else_applied(bench):
    log = bench.topic()
    table(bench)
    config = bench.config(routes=[tagged(bench, log)])
    d = bench.start(config)
    other = with_tag(config, "b") | {"sink": "another", "log": {"level": "debug"}}
    other["kafka"] = other["kafka"] | {"start": "latest", "commit_interval": "1s", "on_gap": "earliest"}
    other["kafka"]["properties"] = other["kafka"]["properties"] | {"sasl.password": "secret"}
    other["batch"] = {"max_rows": 10, "linger": "10ms"}
    d.reload(other)
    kept = [line.split(": ")[2] for line in d.lines("warning") if "needs a restart" in line]
    assert kept == ["sink", "kafka.group", "kafka.start", "kafka.properties.sasl.password"], d.log()
    assert "secret" not in d.log()
    applied = [line.split(": ")[2] for line in d.lines("notice") if " reload: " in line and "->" in line]
    assert applied == ["kafka.on_gap", "kafka.commit_interval", "batch.max_rows", "batch.linger", "log.level",
                       "routes[events].columns.tag"]  # fmt: skip
    log.fill(100)
    bench.wait_stored(log)
    assert bench.value("SELECT max(n) FROM (SELECT count(*) n FROM events GROUP BY xmin) t") <= 10
    d.reload(config)  # what was kept is no difference
    assert len([line for line in d.lines("warning") if "needs a restart" in line]) == len(kept)
    bench.check(log)


@pytest.mark.sanitize
@PROTOCOLS
def test_topics_are_added_and_removed_under_load(bench, protocol):
    first, second = bench.topic(partitions=2), bench.topic(partitions=2)
    table(bench)
    table(bench, "seconds")
    one = bench.config(routes=[tagged(bench, first)], properties=strategy(protocol))
    both = copy.deepcopy(one)
    both["routes"].insert(0, tagged(bench, second, "seconds"))
    d = bench.start(one)
    second.fill(100)
    with Load(first):
        for _ in range(2):
            d.reload(both)
            bench.wait_stored(second)
            d.reload(one)
            # Now nobody reads it.
            wait.until(lambda: bench.value("SELECT count(*) FROM pgsinkd.offsets") == 4, "the ledger to have all")
            at = bench.next_offsets(second)
            second.fill(100)
            d.reload(with_tag(one, "b"))
            assert bench.next_offsets(second) == at
    d.reload(both)
    bench.wait_stored(second)
    bench.wait_stored(first)
    bench.check(first)
    bench.check(second, "seconds")


@PROTOCOLS
@pytest.mark.parametrize("killed", [False, True])
def test_three_daemons_reload_one_after_the_other(bench, protocol, killed):
    log, other = bench.topic(partitions=9), bench.topic(partitions=3)
    table(bench)
    table(bench, "others")
    config = bench.config(routes=[tagged(bench, log)], properties=strategy(protocol))
    more = copy.deepcopy(config)
    more["routes"].append(tagged(bench, other, "others"))
    daemons = [bench.start(config) for _ in range(3)]
    with Load(log, other, count=90):
        bench.wait_rows(1)
        for n, tag in enumerate("bcd"):
            for d in daemons:
                d.hangup(with_tag(more if n != 1 else config, tag)) if killed else d.reload(
                    with_tag(more if n != 1 else config, tag)
                )
            if killed and n < 2:
                daemons.pop(0).kill()
                daemons.append(bench.start(with_tag(more, tag)))
    for d in daemons:
        d.reload(with_tag(more, "z"))
    bench.wait_stored(log)
    bench.wait_stored(other)
    bench.check(log)
    bench.check(other, "others")


@pytest.mark.sanitize
@PROTOCOLS
def test_more_workers_and_fewer_under_load(bench, protocol):
    log = bench.topic(partitions=9)
    table(bench)
    config = bench.config(routes=[tagged(bench, log)], workers=1, properties=strategy(protocol))
    d = bench.start(config)
    with Load(log, count=90):
        bench.wait_rows(1)
        for n in (3, 1, 2, 1):
            d.reload(config | {"workers": n})
            wait.until(lambda n=n: backends(bench) == n, f"{n} sessions")
            log.fill(90)
            bench.wait_stored(log)
    bench.wait_stored(log)
    bench.check(log)


def backends(bench):
    return bench.value("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
                       " AND application_name LIKE %s", "pgsinkd % worker %")  # fmt: skip


def test_counters_go_on_over_reloads(bench):
    """Other routes, more workers and fewer: what is seen over HTTP never goes back, and is what was stored."""
    log = bench.topic(partitions=9)
    table(bench)
    web = Web(free_port())
    config = bench.config(routes=[tagged(bench, log)], workers=1) | {"http": {"listen": web.address}}
    d = bench.start(config)
    names = ("pgsinkd_rows_total", "pgsinkd_records_total", "pgsinkd_transactions_total")
    seen = dict.fromkeys(names, 0)
    with Load(log, count=900):
        for tag, workers in zip("bcdefg", (3, 3, 1, 2, 2, 1), strict=True):
            d.reload(with_tag(config, tag) | {"workers": workers})
            wait.until(lambda tag=tag: bench.value("SELECT true FROM events WHERE tag = %s LIMIT 1", tag), "rows")
            wait.until(lambda n=workers: web.metric("pgsinkd_workers") == n, "the number of workers to be shown")
            metrics = web.metrics()
            now = {name: sum(metrics.get(name, {}).values()) for name in names}
            assert all(now[name] >= seen[name] for name in names), (seen, now)
            seen = now
    bench.wait_stored(log)
    wait.until(lambda: web.metric("pgsinkd_records_total", topic=log.topic) == bench.rows(), "the counters to be shown")
    assert web.metric("pgsinkd_rows_total", route="events") == bench.rows()
    assert web.status("/livez") == 200
    assert bench.value("SELECT count(DISTINCT tag) FROM events") > 5
    bench.check(log)


def memory_kib(pid):
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1])
    raise AssertionError("no VmRSS")


def test_memory_over_200_reloads(bench):
    log = bench.topic(partitions=4)
    table(bench)
    config = bench.config(routes=[tagged(bench, log)])
    d = bench.start(config)
    seen = {}
    for n in range(1, 201):
        d.reload(with_tag(config, f"t{n}"))
        log.fill(4)
        if n % 50 == 0:
            bench.wait_stored(log)
            seen[n] = memory_kib(d.pid)
    print("VmRSS in KiB:", seen)
    assert seen[200] - seen[50] < 300
    bench.check(log)


def test_a_table_that_is_missing_parks_only_its_partitions(bench):
    log, other = bench.topic(partitions=2), bench.topic(partitions=2)
    table(bench)
    table(bench, "others")
    config = bench.config(routes=[tagged(bench, log), tagged(bench, other, "others")])
    d = bench.start(config, times="retry=200ms").allow("does not exist", "is not stored")
    log.fill(100)
    bench.wait_stored(log)
    before = bench.owners(other)
    moved = copy.deepcopy(config)
    moved["routes"][0]["table"] = "later"
    d.reload(moved)
    other.fill(100)
    log.fill(100)
    bench.wait_stored(other)
    assert bench.owners(other) == before
    bench.sql("CREATE TABLE later (LIKE events INCLUDING ALL)")
    bench.wait_stored(log)
    assert (bench.rows(), bench.rows("later")) == (100, 100)
    bench.sql("INSERT INTO later (_topic, _partition, _offset, id, note, amount, tag)"
              " SELECT _topic, _partition, _offset, id, note, amount, tag FROM events WHERE false")  # fmt: skip
    bench.sql("CREATE VIEW everything AS SELECT * FROM events UNION ALL"
              " SELECT seq + 1000, _topic, _partition, _offset, id, note, amount, tag FROM later")  # fmt: skip
    bench.check(log, "everything")
    bench.check(other, "others")


@pytest.mark.parametrize("away", ["postgres", "kafka"])
def test_reload_while_a_server_is_away(bench, away):
    log = bench.topic(partitions=2)
    table(bench)
    proxy, dsn = bench.postgres_proxy()
    config = bench.config(routes=[tagged(bench, log)], postgres={"dsn": dsn})
    d = bench.start(config)
    log.fill(100)
    bench.wait_stored(log)
    if away == "postgres":
        proxy.refuse()
        proxy.cut()
    else:
        bench.kafka.freeze()
    d.reload(with_tag(config, "b"))
    d.reload(with_tag(config, "c"))
    if away == "postgres":
        proxy.reopen()
    else:
        bench.kafka.thaw()
    log.fill(100)
    bench.wait_stored(log)
    assert bench.value("SELECT count(*) FROM events WHERE tag = 'c'") == 100
    bench.check(log)
