"""replay(): the running daemon puts dead letters through their routes again, each in one transaction with its
removal from the dead letters."""

import itertools
import threading

import pytest

from kit import wait
from kit.ledger import json_fields

CRASHED = 99

KINDS = "CREATE TABLE kinds (name text PRIMARY KEY)"
TABLE = """
CREATE TABLE {0} (
    seq        bigint GENERATED ALWAYS AS IDENTITY,
    _topic     text   NOT NULL,
    _partition int    NOT NULL,
    _offset    bigint NOT NULL,
    id         bigint NOT NULL,
    note       text   CONSTRAINT {0}_good CHECK (note <> 'bad'),
    kind       text   REFERENCES kinds
)
"""
SAME = json_fields("id", "note", "kind")

GOOD = b'{"id": 1, "note": "n"}'
BAD_CHECK = b'{"id": 2, "note": "bad"}'  # 23514
BAD_KEY = b'{"id": 3, "note": "n", "kind": "new"}'  # 23503

SESSIONS = (
    "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'pgsinkd %' AND datname = current_database()"
)


def tables(bench, *names):
    bench.sql(KINDS)
    for name in names:
        bench.sql(TABLE.format(name))


def mend(bench, *names):
    """All that was refused is welcome now."""
    bench.sql("INSERT INTO kinds VALUES ('new')")
    for name in names:
        bench.sql(f"ALTER TABLE {name} DROP CONSTRAINT {name}_good")


def config(bench, log, **more):
    return bench.config(log, route={"on_error": "dead_letter", "max_dead_letters": "off"}, **more)


def send(log, *values, partition=0):
    return [r.offset for r in log.send_many([(partition, None, value, None, None) for value in values])]


def replay(bench, **choice):
    """Calls replay(); how many it has marked."""
    arguments = "".join(f', "{name}" => %s' for name in choice)
    return bench.value(f"SELECT pgsinkd.replay(%s{arguments})", bench.sink, *choice.values())


def marks(bench):
    return bench.value("SELECT count(*) FROM pgsinkd.dead_letters WHERE replay_requested_at IS NOT NULL")


def wait_replayed(bench, timeout=30):
    wait.until(lambda: marks(bench) == 0, "no mark to be left", timeout)


def letters(bench, columns='topic, "offset"'):
    return bench.sql(f'SELECT {columns} FROM pgsinkd.dead_letters ORDER BY topic, partition, "offset", route')


def everything(log):
    return {(p, offset) for p, records in log.records.items() for offset in records}


# What is chosen, and what becomes of it


@pytest.fixture
def two(bench):
    """Two topics with their routes, dead letters of two kinds in each, all welcome by now; the daemon runs."""
    logs = {name: bench.topic(name=bench.name(name)) for name in ("first", "second")}
    tables(bench, "first", "second")
    routes = [
        {"name": name, "topics": [log.topic], "table": name, "on_error": "dead_letter"} for name, log in logs.items()
    ]
    bench.start(bench.config(routes=routes))
    for log in logs.values():
        send(log, GOOD, BAD_CHECK, GOOD, BAD_KEY, GOOD)
        bench.wait_stored(log)
    logs["middle"] = bench.value("SELECT clock_timestamp()")
    for log in (logs["first"], logs["second"]):
        send(log, BAD_CHECK, GOOD)
        bench.wait_stored(log)
    mend(bench, "first", "second")
    return logs


CHOICES = {
    "all": (lambda two: {}, [("first", 1), ("first", 3), ("first", 5), ("second", 1), ("second", 3), ("second", 5)]),
    "route": (lambda two: {"route": "second"}, [("second", 1), ("second", 3), ("second", 5)]),
    "topic": (lambda two: {"topic": two["first"].topic}, [("first", 1), ("first", 3), ("first", 5)]),
    "sqlstate": (lambda two: {"sqlstate": "23503"}, [("first", 3), ("second", 3)]),
    "class of sqlstate": (
        lambda two: {"sqlstate": "23", "topic": two["second"].topic},
        [("second", 1), ("second", 3), ("second", 5)],
    ),
    "since": (lambda two: {"since": two["middle"]}, [("first", 5), ("second", 5)]),
    "until": (
        lambda two: {"until": two["middle"]},
        [("first", 1), ("first", 3), ("second", 1), ("second", 3)],
    ),
    "offset": (lambda two: {"topic": two["first"].topic, "partition": 0, "offset": 3}, [("first", 3)]),
    "max_count": (lambda two: {"route": "first", "max_count": 2}, [("first", 1), ("first", 3)]),
}


@pytest.mark.quick
@pytest.mark.parametrize("name", CHOICES)
def test_what_is_chosen_is_stored(bench, two, name):
    choose, chosen = CHOICES[name]
    was = set(letters(bench))
    choice = choose(two)
    assert replay(bench, **choice) == len(chosen)
    wait_replayed(bench)
    gone = {(two[where].topic, offset) for where, offset in chosen}
    assert set(letters(bench)) == was - gone
    for where in ("first", "second"):
        dead = {(0, offset) for topic, offset in was - gone if topic == two[where].topic}
        again = {(0, offset) for topic, offset in gone if topic == two[where].topic}
        bench.check(two[where], where, contents=SAME, dead=dead, replayed=again)


@pytest.mark.sanitize
def test_what_is_still_bad_stays(bench):
    """One attempt more, the new fault, no mark; its neighbours are stored."""
    log = bench.topic(partitions=2)
    tables(bench, "events")
    d = bench.start(config(bench, log))
    send(log, BAD_CHECK, BAD_KEY, b'{"id": "x"}', b'{"id": 4, "note": "bad", "kind": "new"}', GOOD)
    send(log, BAD_KEY, BAD_CHECK, partition=1)
    bench.wait_stored(log)
    before = dict(letters(bench, '(partition, "offset")::text, failed_at'))
    bench.sql("ALTER TABLE events DROP CONSTRAINT events_good")
    assert replay(bench) == 6
    wait_replayed(bench)
    found = letters(bench, 'partition, "offset", error_class, attempts')
    assert found == [(0, 1, "database", 2), (0, 2, "record", 2), (0, 3, "database", 2), (1, 0, "database", 2)]
    assert letters(bench, "sqlstate")[2] == ("23503",)  # it was 23514
    assert all(at > before[place] for place, at in letters(bench, '(partition, "offset")::text, failed_at'))
    wait.until(lambda: "replay: 2 dead letters stored, 4 failed again" in d.log(), "the line that says so")
    bench.sql("INSERT INTO kinds VALUES ('new')")
    assert replay(bench, sqlstate="23503") == 3
    wait_replayed(bench)
    assert letters(bench, '"offset", attempts') == [(2, 2)]
    again = everything(log) - {(0, 2), (0, 4)}
    bench.check(log, contents=SAME, dead={(0, 2)}, replayed=again)


def test_the_record_comes_back_whole(bench):
    """Key, headers, timestamp and place of a replayed record are those of the record."""
    log = bench.topic(partitions=1)
    bench.sql(
        "CREATE TABLE events (seq bigint GENERATED ALWAYS AS IDENTITY,"
        " _partition int NOT NULL, _offset bigint NOT NULL, _topic text NOT NULL, _timestamp timestamptz, _key bytea, _headers jsonb, one text, id bigint,"
        " note text CHECK (note <> 'bad'))"
    )
    route = {"on_error": "dead_letter", "columns": {"one": "headers.one"}}
    bench.start(bench.config(log, route=route))
    record = log.send(
        b'{"id": 5, "note": "bad"}', key="Ä\0".encode(), headers=[("one", b"first"), ("one", b"1"), ("none", None)],
        timestamp=1_600_000_000_123,
    )  # fmt: skip
    log.send(b'{"id": 6, "note": "bad"}')
    bench.wait_stored(log)
    bench.sql("ALTER TABLE events DROP CONSTRAINT events_note_check")
    assert replay(bench) == 2
    wait_replayed(bench)
    row = bench.sql("SELECT _topic, _timestamp, _key, _headers::text, one FROM events WHERE id = 5")[0]
    assert row[:3] == (log.topic, record.time, record.key)
    assert row[4] == "1"
    assert bench.value("SELECT _key IS NULL FROM events WHERE id = 6")
    other = log.send(b'{"id": 7, "note": "n"}', headers=[("one", b"first"), ("one", b"1"), ("none", None)])
    bench.wait_stored(log)
    assert row[3] == bench.value("SELECT _headers::text FROM events WHERE _offset = %s", other.offset)
    bench.check(log, replayed={(0, 0), (0, 1)})


def test_a_route_that_is_there_no_more(bench):
    log = bench.topic(partitions=1)
    tables(bench, "events")
    send(log, BAD_CHECK, GOOD)
    bench.drain(config(bench, log))
    assert replay(bench) == 1
    mend(bench, "events")
    routes = [{"name": "other", "topics": [log.topic], "table": "events", "on_error": "dead_letter"}]
    d = bench.drain(bench.config(routes=routes))
    assert letters(bench, "route, attempts, error_class, message, replay_requested_at") == [
        ("events", 2, "record", "the configuration has no route 'events'", None)
    ]
    assert "replay: 0 dead letters stored, 1 failed again" in d.log()
    bench.check(log, contents=SAME, dead={(0, 0)})


def test_a_topic_that_its_route_takes_no_more(bench):
    log = bench.topic(partitions=1)
    other = bench.topic(partitions=1)
    tables(bench, "events")
    send(log, BAD_CHECK, GOOD)
    bench.drain(config(bench, log))
    assert replay(bench) == 1
    bench.drain(config(bench, other))
    assert letters(bench, "attempts, message") == [(2, f"route 'events' does not take topic '{log.topic}'")]
    bench.check(log, contents=SAME, dead={(0, 0)})


def test_a_record_that_makes_no_row_now_just_leaves(bench):
    log = bench.topic(partitions=1)
    tables(bench, "events")
    send(log, BAD_CHECK, GOOD, BAD_CHECK)
    bench.drain(config(bench, log))
    assert replay(bench) == 2
    made = bench.config(log, route={"on_error": "dead_letter", "when": "value.note != 'bad'"})
    d = bench.drain(made)
    assert letters(bench) == []
    assert "replay: 2 dead letters stored, 0 failed again" in d.log()
    bench.check(log, contents=SAME, rows=lambda record: 0 if record.json["note"] == "bad" else 1)


def test_routes_in_their_order(bench):
    """A child of the first topic waits for its parent of the second, whose route comes first."""
    children = bench.topic(name=bench.name("a"))
    parents = bench.topic(name=bench.name("b"))
    tables(bench, "events")
    bench.sql("CREATE TABLE parents (name text PRIMARY KEY REFERENCES kinds ON DELETE CASCADE, _offset bigint)")
    bench.sql("ALTER TABLE events DROP CONSTRAINT events_kind_fkey, ADD FOREIGN KEY (kind) REFERENCES parents")
    routes = [
        {"topics": [parents.topic], "table": "parents", "on_error": "dead_letter"},
        {"topics": [children.topic], "table": "events", "on_error": "dead_letter"},
    ]
    bench.start(bench.config(routes=routes))
    send(children, BAD_KEY, BAD_KEY)
    parents.send_json(name="new")
    bench.wait_stored(children)
    bench.wait_stored(parents)
    assert len(letters(bench)) == 3
    bench.sql("INSERT INTO kinds VALUES ('new')")
    assert replay(bench) == 3
    wait_replayed(bench)
    assert letters(bench) == []
    assert bench.rows("parents") == 1
    bench.check(children, contents=SAME, replayed=everything(children))


def test_only_if_newer_decides(bench):
    """A replayed record is applied now: over a newer one only where nothing forbids it."""
    log = bench.topic(partitions=1)
    for name in ("guarded", "plain"):
        bench.sql(f"CREATE TABLE {name} (id bigint PRIMARY KEY, note text CHECK (note <> 'bad'), _offset bigint)")
    route = {"topics": [log.topic], "mode": "upsert", "on_error": "dead_letter"}
    routes = [
        route | {"name": "guarded", "table": "guarded", "only_if_newer": "_offset"},
        route | {"name": "plain", "table": "plain"},
    ]
    bench.start(bench.config(routes=routes))
    log.send_json(id=1, note="bad")
    log.send_json(id=1, note="newer")
    log.send_json(id=2, note="bad")
    bench.wait_stored(log)
    for name in ("guarded", "plain"):
        bench.sql(f"ALTER TABLE {name} DROP CONSTRAINT {name}_note_check")
    assert replay(bench) == 4
    wait_replayed(bench)
    assert letters(bench) == []
    assert bench.sql("SELECT id, note, _offset FROM guarded ORDER BY id") == [(1, "newer", 1), (2, "bad", 2)]
    assert bench.sql("SELECT id, note, _offset FROM plain ORDER BY id") == [(1, "bad", 0), (2, "bad", 2)]


def test_a_table_with_rules(bench):
    """store_each() cannot try its rows: they are sent in halves."""
    log = bench.topic(partitions=1)
    tables(bench, "events")
    bench.sql("CREATE TABLE noted (id bigint)")
    bench.start(config(bench, log))
    send(log, *[BAD_CHECK, BAD_KEY] * 5)
    bench.wait_stored(log)
    bench.sql("ALTER TABLE events DROP CONSTRAINT events_good")
    bench.sql("CREATE RULE noting AS ON INSERT TO events DO ALSO INSERT INTO noted VALUES (NEW.id)")
    assert replay(bench) == 10
    wait_replayed(bench)
    assert letters(bench, '"offset", attempts') == [(n, 2) for n in (1, 3, 5, 7, 9)]
    stored = {(0, n) for n in (0, 2, 4, 6, 8)}
    bench.check(log, contents=SAME, dead={(0, n) for n in (1, 3, 5, 7, 9)}, replayed=stored)


def test_a_table_of_no_use(bench):
    """Neither an attempt nor a row: the marks stay until it is mended; other routes go on."""
    logs = {name: bench.topic(name=bench.name(name)) for name in ("first", "second")}
    tables(bench, "first", "second")
    routes = [
        {"name": name, "topics": [log.topic], "table": name, "on_error": "dead_letter"} for name, log in logs.items()
    ]
    d = bench.start(bench.config(routes=routes))
    for log in logs.values():
        send(log, GOOD, BAD_CHECK)
        bench.wait_stored(log)
    mend(bench, "first", "second")
    d.allow("dead letters of route 'first' cannot be replayed")
    bench.sql("ALTER TABLE first RENAME TO elsewhere")
    assert replay(bench) == 2
    wait.until(lambda: marks(bench) == 1, "the second route to be replayed")
    wait.until(lambda: d.lines("error"), "the line about the first")
    assert letters(bench, "route, attempts") == [("first", 1)]
    bench.sql("ALTER TABLE elsewhere RENAME TO first")
    wait_replayed(bench)
    assert letters(bench) == []
    assert len(d.lines("error")) == 1
    for name, log in logs.items():
        bench.check(log, name, contents=SAME, replayed={(0, 1)})


# When


def test_marks_made_while_nobody_runs(bench):
    """The next daemon makes the replay when it starts; --until-end waits for it."""
    log = bench.topic(partitions=2)
    tables(bench, "events")
    send(log, *[BAD_CHECK] * 1200, partition=0)
    send(log, GOOD, BAD_KEY, partition=1)
    bench.drain(config(bench, log))
    mend(bench, "events")
    assert replay(bench) == 1201
    bench.drain(config(bench, log))
    assert letters(bench) == []
    bench.check(log, contents=SAME, replayed=everything(log) - {(1, 0)})


def test_another_sink_is_not_concerned(bench):
    log = bench.topic(partitions=1)
    tables(bench, "events")
    d = bench.start(config(bench, log))
    send(log, BAD_CHECK)
    bench.wait_stored(log)
    bench.sql(
        'INSERT INTO pgsinkd.dead_letters (sink, topic, partition, "offset", route, error_class, message, value)'
        " SELECT 'other', topic, partition, \"offset\", route, error_class, message, value FROM pgsinkd.dead_letters"
    )
    mend(bench, "events")
    assert bench.value("SELECT pgsinkd.replay('other')") == 1
    assert replay(bench) == 1
    wait.until(lambda: bench.rows() == 1, "its own")
    wait.until(lambda: "replay: 1 dead letters stored" in d.log(), "the end of the replay")
    assert letters(bench, "sink") == [("other",)]
    bench.check(log, contents=SAME, replayed={(0, 0)})


def test_the_command_waits(bench):
    log = bench.topic(partitions=1)
    tables(bench, "events")
    made = config(bench, log)
    bench.start(made)
    send(log, *[BAD_CHECK] * 30, BAD_KEY, GOOD)
    bench.wait_stored(log)
    bench.sql("ALTER TABLE events DROP CONSTRAINT events_good")
    done = bench.command("dead-letters", made, "replay", "--wait")
    assert (done.returncode, done.stdout.splitlines()[-1]) == (1, "30 stored, 1 failed again")
    bench.sql("INSERT INTO kinds VALUES ('new')")
    done = bench.command("dead-letters", made, "replay", "--sqlstate", "23503", "--wait")
    assert (done.returncode, done.stdout.splitlines()[-1]) == (0, "1 stored, 0 failed again")
    bench.check(log, contents=SAME, replayed=everything(log) - {(0, 31)})


@pytest.mark.sanitize
def test_many_in_chunks(bench):
    log = bench.topic(partitions=4)
    tables(bench, "events")
    d = bench.start(config(bench, log))
    for partition in range(4):
        send(log, *[BAD_CHECK] * 2500, partition=partition)
    bench.wait_stored(log)
    assert len(letters(bench)) == 10_000
    mend(bench, "events")
    assert replay(bench) == 10_000
    wait_replayed(bench, timeout=60)
    assert letters(bench) == []
    transactions = bench.value("SELECT count(DISTINCT xmin::text) FROM events")
    assert 20 <= transactions <= 40
    wait.until(lambda: "replay: 10000 dead letters stored, 0 failed again" in d.log(), "the line that says so")
    bench.check(log, contents=SAME, replayed=everything(log))


def test_large_letters_in_small_chunks(bench):
    """A chunk takes no more memory than a batch."""
    log = bench.topic(partitions=1)
    tables(bench, "events")
    value = b'{"id": 2, "note": "bad", "ballast": "%s"}' % (b"x" * 300_000)
    bench.start(config(bench, log, batch={"max_bytes": "1MiB"}))
    send(log, *[value] * 20)
    bench.wait_stored(log)
    mend(bench, "events")
    assert replay(bench) == 20
    wait_replayed(bench)
    assert bench.value("SELECT count(DISTINCT xmin::text) FROM events") >= 5
    bench.check(log, contents=SAME, replayed=everything(log))


def test_while_records_flow(bench):
    log = bench.topic(partitions=4)
    tables(bench, "events")
    bench.start(config(bench, log))
    for partition in range(4):
        send(log, *[BAD_CHECK, GOOD, BAD_KEY] * 100, partition=partition)
    bench.wait_stored(log)
    again = {(p, o) for p, records in log.records.items() for o, r in records.items() if r.value != GOOD}
    mend(bench, "events")
    stop = threading.Event()

    def flow():
        for partition in itertools.cycle(range(4)):
            send(log, *[GOOD] * 50, partition=partition)
            if stop.is_set():
                return

    flowing = threading.Thread(target=flow)
    flowing.start()
    try:
        bench.wait_rows(bench.rows() + 100)
        for partition in range(4):
            assert replay(bench, topic=log.topic, partition=partition) == 200
        wait_replayed(bench)
    finally:
        stop.set()
        flowing.join()
    bench.wait_stored(log)
    bench.check(log, contents=SAME, replayed=again)


@pytest.mark.parametrize("delivery", ["at_least_once", "at_most_once"])
def test_without_a_ledger(bench, delivery):
    log = bench.topic(partitions=2)
    tables(bench, "events")
    d = bench.start(config(bench, log, delivery=delivery))
    for partition in range(2):
        send(log, GOOD, BAD_CHECK, GOOD, partition=partition)
    bench.wait_rows(4)
    wait.until(lambda: len(letters(bench)) == 2, "the dead letters")
    mend(bench, "events")
    assert replay(bench) == 2
    wait_replayed(bench)
    wait.until(lambda: "replay: 2 dead letters stored" in d.log(), "the end of the replay")
    bench.check(log, contents=SAME, delivery=delivery, replayed={(0, 1), (1, 1)})


# Whatever happens


@pytest.mark.sanitize
def test_two_daemons(bench):
    """Each letter is replayed by one of them."""
    log = bench.topic(partitions=4)
    tables(bench, "events")
    made = config(bench, log)
    bench.start(made)
    bench.start(made)
    for partition in range(4):
        send(log, *[BAD_CHECK] * 1000, partition=partition)
    bench.wait_stored(log)
    mend(bench, "events")
    assert replay(bench) == 4000
    wait_replayed(bench, timeout=60)
    assert letters(bench) == []
    bench.check(log, contents=SAME, replayed=everything(log))


def test_discarded_meanwhile(bench):
    """A letter that goes while a replay is about to take it is not stored; the others of its chunk are."""
    log = bench.topic(partitions=1)
    tables(bench, "events")
    send(log, *[BAD_CHECK] * 10)
    bench.drain(config(bench, log))
    mend(bench, "events")
    assert replay(bench) == 10
    with bench.postgres.connect(bench.database) as other, other.transaction():
        other.execute("LOCK TABLE pgsinkd.dead_letters IN SHARE MODE")  # they can be read and not be taken
        bench.start(config(bench, log))
        waits = "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'pgsinkd.dead_letters'::regclass"
        wait.until(lambda: bench.value(waits) == 1, "the replay to wait")
        other.execute('DELETE FROM pgsinkd.dead_letters WHERE "offset" = 5')
    wait_replayed(bench)
    assert letters(bench) == []
    bench.check(log, contents=SAME, replayed=everything(log), without={(0, 5)})


@pytest.mark.parametrize("bad", [0, 3], ids=["all good", "some refused again"])
@pytest.mark.parametrize("point", ["txn.mid_copy", "txn.before_commit", "txn.after_commit"])
@pytest.mark.parametrize("action", ["crash", "error"])
def test_a_fault_in_the_middle(bench, point, action, bad):
    log = bench.topic(partitions=2)
    tables(bench, "events")
    made = config(bench, log)
    for partition in range(2):
        send(log, *[BAD_CHECK] * 600, *[BAD_KEY] * bad, partition=partition)
    bench.drain(made)
    bench.sql("ALTER TABLE events DROP CONSTRAINT events_good")
    assert replay(bench) == 2 * (600 + bad)
    d = bench.start(made, ready=False, failpoints=f"{point}={action}@2", args=["--until-end"]).allow("failpoint")
    assert d.wait_exit(60) == (CRASHED if action == "crash" else 0), d.log()
    bench.drain(made)
    assert marks(bench) == 0
    dead = {(p, 600 + n) for p in range(2) for n in range(bad)}
    assert letters(bench, "attempts") == [(2,)] * len(dead)
    bench.check(log, contents=SAME, dead=dead, replayed=everything(log))


def test_killed_again_and_again(bench):
    """kill -9 wherever the replay is: each letter is a row or still a letter."""
    log = bench.topic(partitions=1)
    tables(bench, "events")
    made = config(bench, log)
    send(log, *[BAD_CHECK] * 6000)
    bench.drain(made)
    mend(bench, "events")
    assert replay(bench) == 6000
    for part in range(1, 6):
        d = bench.start(made, ready=False)
        bench.wait_rows(part * 1000)
        d.kill()
        wait.until(lambda: bench.value(SESSIONS) == 0, "its sessions to end")
        assert bench.rows() + len(letters(bench)) == 6000
    bench.drain(made)
    assert letters(bench) == []
    bench.check(log, contents=SAME, replayed=everything(log))


@pytest.mark.parametrize("what", ["restart", "outage"])
def test_postgresql_goes_away(bench, what):
    log = bench.topic(partitions=1)
    tables(bench, "events")
    proxy, dsn = bench.postgres_proxy()
    d = bench.start(config(bench, log, postgres={"dsn": dsn})).allow("postgresql", "lost")
    send(log, *[BAD_CHECK] * 3000)
    bench.wait_stored(log)
    mend(bench, "events")
    if what == "outage":  # asked for while nobody hears it
        proxy.refuse()
        proxy.reset()
        wait.until(lambda: "trying again until it answers" in d.log(), "the daemon to notice")
        assert replay(bench) == 3000
        proxy.heal()
    else:
        assert replay(bench) == 3000
        bench.wait_rows(500)
        proxy.reset()
    wait_replayed(bench)
    assert letters(bench) == []
    bench.check(log, contents=SAME, replayed=everything(log))
