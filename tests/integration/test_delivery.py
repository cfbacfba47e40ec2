"""The modes of delivery: what each stores in peace, and what each loses or doubles when it is killed at the wrong
moment. docs/delivery.md tells the story of these tests.
"""

import re

import pytest

from kit import wait
from kit.proxy import UP
from kit.standing import trigger, untrigger

CRASHED = 99
MODES = ("at_least_once", "at_most_once")
STRATEGIES = [
    ("at_least_once", "sync"),
    ("at_least_once", "async"),
    ("at_least_once", "interval"),
    ("at_most_once", "sync"),
    ("at_most_once", "async"),
]
PROTOCOLS = pytest.mark.parametrize("protocol", ["roundrobin", "cooperative-sticky"])


def config_of(bench, log, delivery, commit="sync", *, kafka=None, properties=None, **top):
    kafka = {"commit": commit, "commit_interval": "300ms"} | (kafka or {})
    return bench.config(log, delivery=delivery, kafka=kafka, properties=properties, **top)


def produced(log):
    return sum(len(records) for records in log.records.values())


def once_each(bench, log):
    """Nothing is lost and nothing is there twice."""
    assert bench.tally() == (produced(log), produced(log))


# ---- in peace ----


@pytest.mark.sanitize
@pytest.mark.system
@pytest.mark.parametrize(("delivery", "commit"), STRATEGIES)
def test_all_is_stored_once_and_an_orderly_restart_doubles_nothing(bench, delivery, commit):
    log = bench.topic(partitions=4)
    bench.plain_table()
    config = config_of(bench, log, delivery, commit, batch={"max_rows": 500})
    for _ in range(3):
        d = bench.start(config)
        log.fill(5000)
        bench.wait_rows(1)  # busy: the signal comes in the middle of it
        d.terminate()
    bench.drain(config)
    once_each(bench, log)
    bench.check(log, delivery=delivery)


@pytest.mark.parametrize("delivery", MODES)
def test_no_schema_is_made_and_none_is_needed(bench, delivery):
    """The role may insert into one table, and nothing else."""
    log = bench.topic()
    bench.plain_table()
    role = f"{bench.sink}_clerk"
    bench.sql(f"CREATE ROLE {role} LOGIN PASSWORD 'secret'")
    bench.sql(f"GRANT INSERT ON events TO {role}")
    bench.sql(f"REVOKE CREATE ON DATABASE {bench.database} FROM PUBLIC")
    log.fill(1000)
    config = config_of(bench, log, delivery, postgres={"dsn": bench.dsn(user=role, password="secret")})
    checked = bench.command("check", config)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert f"delivery {delivery}: offsets in group {bench.group}" in checked.stdout
    assert "schema" not in checked.stdout
    made = bench.command("init", config)
    assert (made.returncode, made.stdout[:22]) == (0, "-- no schema is needed")
    bench.drain(config)
    once_each(bench, log)
    assert not bench.value("SELECT count(*) FROM pg_namespace WHERE nspname = 'pgsinkd'")
    bench.check(log, delivery=delivery)
    bench.sql(f"DROP OWNED BY {role}")
    bench.sql(f"DROP ROLE {role}")


@pytest.mark.parametrize("delivery", MODES)
def test_offsets_without_records_are_passed(bench, delivery):
    """Transaction markers: nothing to send, and still the group gets there."""
    log = bench.topic()
    bench.plain_table()
    tx = bench.transactions(log)
    for _ in range(2):
        tx.begin()
        tx.fill(10)
        tx.commit()
        tx.begin()
        tx.fill(10)
        tx.abort()
    bench.drain(config_of(bench, log, delivery))
    assert bench.kafka.committed(bench.group, log.topic)[0] >= max(log.records[0]) + 1
    bench.check(log, delivery=delivery)


@pytest.mark.parametrize("delivery", MODES)
def test_a_start_at_the_end_is_remembered(bench, delivery):
    """Where it began is committed at once, or what comes while it is away would be passed over."""
    log = bench.topic()
    bench.plain_table()
    log.fill(10)
    config = config_of(bench, log, delivery, kafka={"start": "latest"})
    bench.start(config).terminate()
    log.fill(5)
    bench.drain(config)
    assert bench.rows() == 5
    bench.check(log, delivery=delivery, start={0: 10})


# ---- killed at the wrong moment ----


def killed_at(bench, delivery, failpoint, commit="sync"):
    """
    One life that gives the group its first offsets, one that crashes there, one that gets through: (rows, different
    records, produced).
    """
    log = bench.topic(partitions=2)
    bench.plain_table()
    config = config_of(
        bench, log, delivery, commit, workers=1, batch={"max_rows": 500}, properties={"group.instance.id": "one"}
    )
    log.fill(10)
    bench.drain(config)
    log.fill(5000)
    d = bench.start(config, ready=False, failpoints=failpoint)
    assert d.wait_exit(30) == CRASHED, d.log()
    bench.drain(config)
    bench.check(log, delivery=delivery)
    return *bench.tally(), produced(log)


# After the COMMIT in PostgreSQL, before the commit to the group.
@pytest.mark.quick
@pytest.mark.parametrize(
    ("failpoint", "delivery", "commit"),
    [
        ("txn.after_commit=crash@3", "at_least_once", "sync"),
        ("crew.before_commit=crash@2", "at_least_once", "sync"),
        ("crew.before_commit=crash@1", "at_least_once", "async"),
        ("crew.before_commit=crash@1", "at_least_once", "interval"),
        ("txn.after_commit=crash@3", "at_most_once", "sync"),
        ("txn.after_commit=crash@3", "exactly_once", "sync"),
        ("crew.before_commit=crash@1", "exactly_once", "sync"),
    ],
)
def test_killed_after_the_rows_are_stored(bench, failpoint, delivery, commit):
    rows, different, all_of_them = killed_at(bench, delivery, failpoint, commit)
    assert different == all_of_them
    if delivery == "at_least_once":
        assert rows > all_of_them, "the last batch must be there twice"
    else:
        assert rows == all_of_them


# After the commit to the group, before the rows are in PostgreSQL.
@pytest.mark.parametrize(
    ("failpoint", "delivery"),
    [
        ("crew.after_commit=crash@3", "at_most_once"),
        ("txn.before_commit=crash@3", "at_most_once"),
        ("txn.mid_copy=crash@3", "at_most_once"),
        ("crew.after_commit=crash@3", "at_least_once"),
        ("txn.before_commit=crash@3", "at_least_once"),
        ("crew.after_commit=crash@1", "exactly_once"),
        ("txn.before_commit=crash@3", "exactly_once"),
    ],
)
def test_killed_before_the_rows_are_stored(bench, failpoint, delivery):
    rows, different, all_of_them = killed_at(bench, delivery, failpoint)
    assert rows == different
    if delivery == "at_most_once":
        assert all_of_them - 500 <= rows < all_of_them, "one batch must be missing"
    else:
        assert rows == all_of_them


@pytest.mark.parametrize("delivery", MODES)
def test_killed_again_and_again(bench, delivery):
    log = bench.topic(partitions=4)
    bench.plain_table()
    config = config_of(bench, log, delivery, batch={"max_rows": 500}, properties={"group.instance.id": "one"})
    for n in range(5):
        log.fill(5000)
        before = bench.rows()
        d = bench.start(config, ready=False)
        bench.wait_rows(before + 100 + 900 * n)
        d.kill()
    bench.drain(config)
    bench.check(log, delivery=delivery)


# ---- commits that fail ----


@pytest.mark.parametrize(("delivery", "commit"), STRATEGIES)
@pytest.mark.parametrize("failpoint", ["crew.before_commit", "crew.after_commit"])
def test_a_refused_commit_is_tried_again(bench, delivery, commit, failpoint):
    log = bench.topic(partitions=2)
    bench.plain_table()
    log.fill(3000)
    config = config_of(bench, log, delivery, commit, batch={"max_rows": 500})
    d = bench.start(config, ready=False, failpoints=f"{failpoint}=error@2")
    bench.wait_present(log)
    d.wait_log("offsets cannot be committed: failpoint; trying again")
    d.wait_log("offsets are committed again")
    once_each(bench, log)
    bench.check(log, delivery=delivery)


@pytest.mark.parametrize("delivery", MODES)
def test_kafka_restarts(bench, delivery):
    log = bench.topic(partitions=4)
    bench.plain_table()
    d = bench.start(config_of(bench, log, delivery))
    log.fill(2000)
    bench.wait_present(log)
    bench.kafka.stop()
    bench.kafka.start()
    log.fill(2000)
    bench.wait_present(log)
    assert d.running
    once_each(bench, log)
    bench.check(log, delivery=delivery)


# ---- hand-overs ----


@PROTOCOLS
@pytest.mark.parametrize(("delivery", "commit"), STRATEGIES)
def test_an_orderly_hand_over_doubles_and_loses_nothing(bench, delivery, commit, protocol):
    log = bench.topic(partitions=8)
    bench.plain_table()
    config = config_of(
        bench, log, delivery, commit, batch={"max_rows": 500}, properties={"partition.assignment.strategy": protocol}
    )
    first = bench.start(config)
    log.fill(10_000)
    bench.wait_rows(1)
    second = bench.start(config)
    log.fill(10_000)
    wait.until(lambda: len(bench.kafka.group(bench.group)[1]) == 2, "both to be members")
    log.fill(10_000)
    first.terminate()
    log.fill(10_000)
    bench.wait_present(log)
    assert second.running
    once_each(bench, log)
    bench.check(log, delivery=delivery)


@PROTOCOLS
@pytest.mark.parametrize("delivery", MODES)
def test_a_zombie(bench, delivery, protocol):
    """
    Nobody fences it, but the group takes no offsets of it: at_least_once may store its last batch beside its heir,
    at_most_once has it committed before or drops it; but it may come behind the heir's.
    """
    log = bench.topic(partitions=4)
    bench.plain_table()
    config = config_of(
        bench, log, delivery, batch={"max_rows": 500}, properties={"partition.assignment.strategy": protocol}
    )
    zombie = bench.start(config)
    log.fill(20_000)
    bench.wait_rows(1)
    zombie.freeze()
    heir = bench.start(config)
    log.fill(4000)
    group = bench.kafka.committed
    wait.until(lambda: group(bench.group, log.topic) == {p: 6000 for p in range(4)}, "the heir to get there")
    zombie.thaw()
    log.fill(4000)
    wait.until(lambda: group(bench.group, log.topic) == {p: 7000 for p in range(4)}, "all to be committed")
    assert heir.running and zombie.running
    bench.check(log, delivery=delivery, order=delivery == "at_least_once")


# ---- PostgreSQL ----


def doubtful(d):
    """[(from, to)] of the records that a lost answer to COMMIT leaves in doubt, as the log says."""
    lines = re.findall(r"the records at offsets (\d+) to (\d+) are stored or lost", d.log())
    return [(int(first), int(last)) for first, last in lines]


def in_doubt(d):
    return sum(last - first + 1 for first, last in doubtful(d))


@pytest.mark.parametrize(("delivery", "commit"), STRATEGIES)
def test_postgresql_restarts(bench, delivery, commit):
    log = bench.topic(partitions=4)
    bench.plain_table()
    d = bench.start(config_of(bench, log, delivery, commit, batch={"max_rows": 500}))
    log.fill(20_000)
    bench.wait_rows(1)
    bench.postgres.stop("immediate")
    bench.postgres.start()
    log.fill(1000)
    wait.until(lambda: bench.tally()[1] >= produced(log) - in_doubt(d), "all but what the log says")
    assert d.running
    assert delivery == "at_most_once" or not doubtful(d)
    bench.check(log, delivery=delivery)


@pytest.mark.parametrize("delivery", MODES)
def test_the_answer_to_commit_is_lost(bench, delivery):
    """at_least_once sends the batch again, which doubles it; at_most_once does not, and says so."""
    log = bench.topic()
    bench.plain_table()
    log.fill(5000)
    config = config_of(bench, log, delivery, workers=1, batch={"max_rows": 500})
    d = bench.start(config, ready=False, failpoints="txn.after_commit=error@2")
    bench.wait_present(log)
    rows, different = bench.tally()
    assert different == 5000
    if delivery == "at_least_once":
        assert rows == 5500
        assert not doubtful(d)
    else:
        assert rows == 5000
        assert len(doubtful(d)) == 1
    bench.check(log, delivery=delivery)


@pytest.mark.parametrize("failpoint", ["txn.mid_copy", "txn.before_commit"])
@pytest.mark.parametrize("delivery", MODES)
def test_what_certainly_rolled_back_is_sent_again(bench, delivery, failpoint):
    log = bench.topic()
    bench.plain_table()
    log.fill(3000)
    config = config_of(bench, log, delivery, workers=1, batch={"max_rows": 500})
    bench.start(config, ready=False, failpoints=f"{failpoint}=error@2")
    bench.wait_present(log)
    once_each(bench, log)
    bench.check(log, delivery=delivery)


@pytest.mark.parametrize("delivery", MODES)
def test_stopped_while_postgresql_is_away(bench, delivery):
    """What at_most_once has announced and could not send is taken back."""
    log = bench.topic()
    bench.plain_table()
    proxy, dsn = bench.postgres_proxy()
    config = config_of(bench, log, delivery, workers=1, postgres={"dsn": dsn})
    d = bench.start(config)
    log.fill(100)
    bench.wait_present(log)
    proxy.refuse()
    log.fill(100)
    d.wait_log("trying again until it answers")
    d.terminate()
    proxy.heal()
    bench.drain(config)
    once_each(bench, log)
    bench.check(log, delivery=delivery)


@pytest.mark.parametrize("delivery", MODES)
def test_an_outage_is_no_fault_of_a_record(bench, delivery):
    """The connection is lost again and again when one record is sent, before the server has answered anything."""
    log = bench.topic()
    bench.plain_table()
    proxy, dsn = bench.postgres_proxy()
    d = bench.start(
        config_of(bench, log, delivery, workers=1, postgres={"dsn": dsn}, batch={"write_path": "copy"}),
        times="retry_max=600s",
    )
    proxy.cut_at(UP, b"COPY ")
    log.fill(1)
    for _ in range(4):
        assert proxy.struck.wait(20)
        proxy.cut_at(UP, b"COPY ")
    proxy.heal()
    bench.wait_present(log)
    assert not any(word in d.log() for word in ("poison", "parked")), d.log()
    bench.check(log, delivery=delivery)


def test_a_record_ends_its_session(bench):
    """It is set aside, and as nobody can ask for it here, it is tried again by itself: alone, and so at the cost of one
    connection. (at_most_once does not send again what may have been stored.)"""
    delivery = "at_least_once"
    log = bench.topic(partitions=2)
    bench.plain_table()
    trigger(bench, "IF NEW.note = 'odd' THEN PERFORM pg_terminate_backend(pg_backend_pid()); END IF")
    config = config_of(bench, log, delivery, workers=1)
    d = bench.start(config, times="retry_max=500ms").allow(log.topic)
    for _ in range(2):
        log.send_json(0, id=1, note="good")
    odd = log.send_json(0, id=666, note="odd").offset
    log.fill(200)
    d.wait_log(f"poison: {log.topic}-0@{odd}")
    assert f"--topic {log.topic}:0 --reset-offsets --to-offset {odd + 1} " in d.log()
    assert "resume()" not in d.log() and "seek()" not in d.log()
    ends = "SELECT sessions_killed FROM pg_stat_database WHERE datname = current_database()"
    killed = bench.value(ends)
    log.fill(20)
    wait.until(lambda: bench.value(ends) >= killed + 3, "other tries", 20)
    bench.wait_rows(2 + 100 + 10)
    untrigger(bench)
    bench.wait_present(log)
    assert "moves again" in d.log() and d.running
    bench.check(log, delivery=delivery)


# ---- records that cannot be stored, and gaps ----


@pytest.mark.parametrize("delivery", MODES)
def test_a_later_start_without_the_table(bench, delivery):
    """Nothing tells it from the first one, so it ends with exit code 4; what goes missing later is parked."""
    log = bench.topic()
    bench.plain_table()
    config = config_of(bench, log, delivery, workers=1)
    d = bench.start(config, times="retry=100ms,retry_max=500ms").allow("events")
    log.fill(10)
    bench.wait_present(log)
    bench.sql("ALTER TABLE events RENAME TO elsewhere")
    log.fill(10)
    d.wait_log(f"parked: .*{log.topic}-0@10")
    d.terminate()
    assert bench.start(config, ready=False).allow("events").wait_exit(20) == 4
    bench.sql("ALTER TABLE elsewhere RENAME TO events")
    bench.drain(config)
    once_each(bench, log)
    bench.check(log, delivery=delivery)


@pytest.mark.parametrize("delivery", MODES)
def test_a_partition_of_the_table_is_missing_for_one_record(bench, delivery):
    """Only the partition of that record is parked; the others that feed the table go on."""
    log = bench.topic(partitions=3)
    bench.sql(
        "CREATE TABLE events (seq bigint GENERATED ALWAYS AS IDENTITY, _topic text, _partition int, _offset bigint,"
        " id bigint, note text) PARTITION BY RANGE (id);"
        "CREATE TABLE low PARTITION OF events FOR VALUES FROM (0) TO (1000)"
    )
    d = bench.start(config_of(bench, log, delivery, workers=1), times="retry=100ms,retry_max=500ms").allow("events")
    for n in range(10):
        sent = [(p, None, b'{"id": %d, "note": ""}' % n, None, None) for p in range(3)]
        if n == 5:
            sent.insert(0, (1, None, b'{"id": 5000, "note": "odd"}', None, None))
        log.send_many(sent)
    d.wait_log(f"parked: .*{log.topic}-1@5")
    stored = "SELECT _partition, count(*) FROM events GROUP BY 1 ORDER BY 1"
    wait.until(lambda: bench.sql(stored) == [(0, 10), (1, 5), (2, 10)], "the others to go on")
    for p in (0, 2):
        log.send_json(p, id=7, note="more")
    wait.until(lambda: bench.sql(stored) == [(0, 11), (1, 5), (2, 11)], "them to go on")
    assert not re.search(f"parked: .*{log.topic}-[02]@", d.log()), d.log()
    bench.sql("CREATE TABLE high PARTITION OF events FOR VALUES FROM (1000) TO (9000)")
    bench.wait_present(log)
    bench.check(log, delivery=delivery)


@pytest.mark.parametrize("delivery", MODES)
@pytest.mark.parametrize("fault", ["decoder", "server"])
def test_a_bad_record_stops_its_partition_and_the_group_stands_there(bench, delivery, fault):
    log = bench.topic(partitions=2)
    bench.plain_table()
    bench.sql("ALTER TABLE events ADD CHECK (note <> 'bad')")
    log.fill(1000)
    bad = b"{" if fault == "decoder" else b'{"id": 7, "note": "bad"}'
    offset = log.send(bad).offset
    log.fill(1000)
    config = config_of(bench, log, delivery, workers=1)
    d = bench.drain(config, code=1, allow=["events", "not read to its end", f"-0@{offset}"])
    assert f"--group {bench.group} --topic {log.topic}:0 --reset-offsets --to-offset {offset + 1}" in d.log()
    bench.check(log, delivery=delivery, stops={0: offset})


@pytest.mark.parametrize(
    ("delivery", "failpoint"),
    [("at_least_once", None), ("at_least_once", "txn.after_commit=crash@3"), ("at_most_once", None)],
)
def test_dead_letters_where_they_are_asked_for(bench, delivery, failpoint):
    """Then there is a schema, for them. A batch that is stored twice has its dead letters once."""
    log = bench.topic()
    bench.plain_table()
    bench.sql("ALTER TABLE events ADD CHECK (note <> 'bad')")
    dead = set()
    for n in range(5):
        log.fill(200)
        for bad in (b"{", b'{"id": 7, "note": "bad"}'):
            dead.add((0, log.send(bad).offset))
    log.fill(200)
    config = config_of(
        bench, log, delivery, workers=1, batch={"max_rows": 100}, route={"on_error": "dead_letter"},
        properties={"group.instance.id": "one"},
    )  # fmt: skip
    if failpoint:
        d = bench.start(config, ready=False, failpoints=failpoint)
        assert d.wait_exit(30) == CRASHED, d.log()
    bench.drain(config)
    assert not bench.value("SELECT count(*) FROM pgsinkd.offsets")
    bench.check(log, delivery=delivery, dead=dead)


@pytest.mark.parametrize("delivery", MODES)
def test_a_gap_is_passed_and_recorded_in_the_log_only(bench, delivery):
    log = bench.topic()
    bench.plain_table()
    config = config_of(bench, log, delivery, kafka={"on_gap": "earliest"})
    log.fill(100)
    bench.drain(config)
    before = dict(log.records[0])
    log.fill(200)
    log.delete_records({0: 250})
    d = bench.drain(config)
    assert "@100: next_offset 100 is below the log, which holds offsets 250 to 300; continuing at the earliest, 250\n" in d.log()
    assert bench.tally() == (150, 150)
    log.records[0] |= before  # they were stored before Kafka deleted them
    bench.check(log, delivery=delivery)
