"""A table, a right or a lock that is missing parks the partitions that need it: all else goes on, and so do they in time.

What is not the records' fault but passes for it is in test_blame.py.
"""

import re
import time

import pytest

from kit import wait
from kit.bench import PLAIN
from kit.standing import Pair, clerk, letters, refuse, resume, standing, trigger, untrigger

PATHS = pytest.mark.parametrize("path", ["copy", "unnest"])
RENAME, BACK = "ALTER TABLE events RENAME TO elsewhere", "ALTER TABLE elsewhere RENAME TO events"
SLOWLY = {"retry": "60s", "retry_max": "60s"}  # a retry by itself is later than any test


@pytest.fixture
def role(bench):
    with clerk(bench) as name:
        yield name


# Each way in which a table can refuse

KEEP = "CREATE TABLE kept AS TABLE {table};"
AGAIN = """
INSERT INTO {table} OVERRIDING SYSTEM VALUE SELECT * FROM kept;
SELECT setval(pg_get_serial_sequence('{table}', 'seq'), 1000);
GRANT INSERT ON {table} TO {role}
"""
ROWS = PLAIN.format(name="{table}")
BY_PART = ROWS.rstrip() + " PARTITION BY RANGE (id); CREATE TABLE below PARTITION OF {table} FOR VALUES FROM (0) TO (10)"
WAYS = {  # name: (the table, how it is made, how it is broken, how it is fixed, the SQLSTATEs that say so)
    "dropped": ("events", ROWS, KEEP + "DROP TABLE {table}", ROWS + ";" + AGAIN, {"42P01"}),
    "renamed": ("events", ROWS, RENAME, BACK, {"42P01"}),
    "revoked": (
        "events", ROWS, "REVOKE INSERT ON {table} FROM {role}", "GRANT INSERT ON {table} TO {role}", {"42501"},
    ),
    "without its schema": (
        "app.events", "CREATE SCHEMA app; GRANT USAGE ON SCHEMA app TO {role};" + ROWS, KEEP + "DROP SCHEMA app CASCADE",
        "CREATE SCHEMA app; GRANT USAGE ON SCHEMA app TO {role};" + ROWS + ";" + AGAIN, {"3F000", "42P01"},
    ),
    "without a partition": (
        "events", BY_PART, "SELECT", "CREATE TABLE above PARTITION OF {table} FOR VALUES FROM (10) TO (20000000)",
        {"23514"},
    ),
}  # fmt: skip


@PATHS
@pytest.mark.parametrize("way", WAYS)
def test_a_table_that_cannot_be_written(bench, role, way, path):
    """The partitions of its topic are parked, the other topic goes on, and they as well once the table is well."""
    table, *statements, codes = WAYS[way]
    makes, breaks, fixes = (text.format(table=table, role=role) for text in statements)
    pair = Pair(bench, path, ddl=makes, route={"table": table}, role=role)
    bench.sql(f"GRANT INSERT ON {table} TO {role}")
    d = pair.begin()
    bench.sql(breaks)
    pair.log.fill(10)
    (row,) = pair.stands("parked", at={0: 10}).values()
    assert row.sqlstate in codes and row.hint, row
    pair.neighbours_go_on()
    assert not d.notify.values("STOPPING") and not letters(bench)
    bench.sql(fixes)
    pair.ends()
    bench.check(pair.log, table)
    bench.check(pair.other, "others")


@PATHS
def test_a_table_that_is_locked_for_long(bench, path):
    """A partition whose table is locked does not keep its worker from writing what else there is."""
    pair = Pair(bench, path, partitions=2, postgres={"lock_timeout": "200ms"})
    pair.begin()
    with bench.postgres.connect(bench.database) as operator, operator.transaction():
        operator.execute("LOCK TABLE events IN ACCESS EXCLUSIVE MODE")
        pair.log.fill(10)
        pair.stands("parked", "55P03", at={0: 5, 1: 5})
        for _ in range(5):
            pair.neighbours_go_on()
    pair.ends()
    pair.check()


def test_a_locked_table_of_many_partitions(bench):
    """Their tries, one after the other, take longer than the time between two of each. All else has its turn."""
    pair = Pair(bench, partitions=12, postgres={"lock_timeout": "200ms"})
    pair.begin(24)
    with bench.postgres.connect(bench.database) as operator, operator.transaction():
        operator.execute("LOCK TABLE events IN ACCESS EXCLUSIVE MODE")
        pair.log.fill(24)
        pair.stands("parked", "55P03")
        for _ in range(3):
            pair.neighbours_go_on()
    pair.ends()
    pair.check()


@pytest.mark.parametrize("delivery", ["at_least_once", "at_most_once"])
def test_the_other_modes_of_delivery(bench, delivery):
    """There is no view without a ledger; the rest holds as well."""
    log, other = bench.topic(), bench.topic()
    for name in ("events", "others"):
        bench.plain_table(name)
    routes = [{"topics": [log.topic], "table": "events"}, {"topics": [other.topic], "table": "others"}]
    d = bench.start(
        bench.config(routes=routes, workers=1, delivery=delivery), times="retry=100ms,retry_max=500ms"
    ).allow(log.topic, "events")
    for topic, table in ((log, "events"), (other, "others")):
        topic.fill(10)
        bench.wait_present(topic, table)
    bench.sql(RENAME)
    log.fill(10)

    def said():
        assert d.running, d.log()
        return f"{log.topic}-0@10" in d.log()

    wait.until(said, "a line that says what stands")
    other.fill(10)
    bench.wait_present(other, "others")
    bench.sql(BACK)
    log.fill(10)
    bench.wait_present(log)
    assert d.running
    bench.check(log, delivery=delivery)
    bench.check(other, "others", delivery=delivery)


# How far it reaches


def test_a_partition_that_feeds_two_routes_stands_for_both(bench):
    """It has one position. The healthy table goes on to be written from other topics."""
    pair = Pair(bench)
    bench.plain_table("copies")
    copies = {"topics": [pair.log.topic, pair.other.topic], "table": "copies", "on_error": "dead_letter"}
    pair.config["routes"].append(copies)
    pair.begin()
    bench.sql(RENAME)
    pair.log.fill(10)
    pair.stands("parked", "42P01", at={0: 10})
    pair.neighbours_go_on()
    of = "SELECT count(*) FROM copies WHERE _topic = %s"
    assert (bench.value(of, pair.log.topic), bench.value(of, pair.other.topic)) == (10, 20)
    bench.sql(BACK)
    pair.ends()
    pair.check()
    bench.check(pair.log, "copies")
    bench.check(pair.other, "copies")


@PATHS
def test_a_partition_is_cut_before_its_first_record_for_the_table(bench, path):
    """What comes before in the same batch is stored: here by the value that a condition of the route reads."""
    pair = Pair(bench, path, route={"when": "value.note != 'before'"})
    pair.begin(0)
    pair.other.fill(5)
    bench.wait_stored(pair.other)
    bench.sql(RENAME)
    pair.log.send_many([(0, None, b'{"id": 1, "note": "%s"}' % note, None, None) for note in [b"before"] * 5 + [b"x"] * 5])
    pair.stands("parked", "42P01", at={0: 5})
    pair.neighbours_go_on()
    bench.sql(BACK)
    pair.ends()
    pair.check(rows=lambda record: record.json["note"] == "x")


def test_on_error_stop_stops_that_partition_only(bench):
    """With a doubtful record after the patience; `resume` is another try, which its operator has made worth while."""
    pair = Pair(bench, partitions=2, route={"on_error": "stop"})
    trigger(bench, f"IF NEW.id = 666 THEN {refuse('XX000')}; END IF")
    pair.begin()
    stop = pair.log.send_json(id=666, note="odd").offset
    pair.log.fill(10)
    pair.stands("stopped", "XX000", partitions=[0], at={0: stop})
    pair.status_says("stopped")
    pair.neighbours_go_on()
    bench.wait_stored(pair.log, ends={1: pair.log.count(1)})
    untrigger(bench)
    wait.stays(lambda: bench.next_offset(pair.log) == stop, "stopped", 1)
    resume(bench, pair.log.topic, 0)
    pair.ends()
    pair.check()


def test_on_error_stop_is_not_for_a_table_that_is_missing(bench):
    pair = Pair(bench, route={"on_error": "stop"})
    pair.begin()
    bench.sql(RENAME)
    pair.log.fill(10)
    pair.stands("parked", "42P01", at={0: 10})
    pair.neighbours_go_on()
    bench.sql(BACK)
    pair.ends()
    pair.check()


NAMED = {"on_error": "stop", "columns": {"note": "value.note"}}  # a file that names a column needs it


@PATHS
def test_on_error_stop_is_not_for_a_column_that_is_missing(bench, path):
    """The table is there, but the file names a column that it has no longer: no record could be stored."""
    pair = Pair(bench, path, partitions=2, route=NAMED)
    pair.begin(20)
    bench.sql("ALTER TABLE events DROP COLUMN note")
    pair.log.fill(20)
    pair.stands("parked", at={0: 10, 1: 10})
    pair.neighbours_go_on()
    bench.sql("ALTER TABLE events ADD COLUMN note text")
    pair.ends()
    pair.check(contents=lambda record: {"id": record.json["id"]})


def test_a_record_does_not_fit_a_table_that_cannot_be_used(bench):
    """Our own encoders reject it by what the table was before. What it will be decides."""
    pair = Pair(bench, route={"on_error": "stop", "columns": {"id": "value.id"}})
    pair.begin()
    bench.sql("ALTER TABLE events DROP COLUMN id")
    pair.log.send_json(id="seven", note="n")
    pair.stands("parked", at={0: 10})
    pair.neighbours_go_on()
    pair.log.send_json(id="eight", note="n")
    bench.sql("ALTER TABLE events ADD COLUMN id text")
    pair.ends()
    pair.check(contents=lambda record: {"note": record.json["note"]})


def test_a_record_does_not_fit_the_table_when_it_can_be_used_again(bench):
    """Then on_error is for it."""
    pair = Pair(bench, route={"on_error": "stop", "columns": {"note": "value.note"}})
    pair.begin()
    bench.sql("ALTER TABLE events DROP COLUMN note")
    bad = pair.log.send_json(id="seven", note="n").offset
    pair.stands("parked", at={0: 10})
    pair.neighbours_go_on()
    bench.sql("ALTER TABLE events ADD COLUMN note text")
    pair.stands("stopped", at={0: bad})
    bench.sql("ALTER TABLE events ALTER COLUMN id TYPE text")
    resume(bench)
    pair.ends()
    pair.check(contents=lambda record: {"id": str(record.json["id"])})


@pytest.mark.parametrize(
    "breaks, fixes",
    [(RENAME, BACK), ("ALTER TABLE events DROP COLUMN note", "ALTER TABLE events ADD COLUMN note text")],
    ids=["table", "column"],
)
def test_on_error_stop_is_not_for_what_is_missing_at_a_start(bench, breaks, fixes):
    """The second partition has never had a record: it is claimed all the same."""
    pair = Pair(bench, partitions=2, route=NAMED)
    pair.log.fill(10, partitions=[0])
    pair.other.fill(10)
    pair.start()
    bench.wait_stored(pair.log)
    pair.d.terminate()
    bench.sql(breaks)
    pair.log.fill(10, partitions=[0])
    pair.log.fill(10, partitions=[1])
    pair.start()
    pair.stands("parked", at={0: 10, 1: 0})
    pair.neighbours_go_on()
    pair.d.terminate()
    pair.start()
    pair.stands("parked", at={0: 10, 1: 0})
    bench.sql(fixes)
    pair.ends()
    pair.check(contents=lambda record: {"id": record.json["id"]})


def test_dead_letters_that_cannot_be_written(bench, role):
    """The partitions that need them are parked."""
    pair = Pair(bench, partitions=2, role=role)
    pair.begin()
    pair.d.allow("marked for a replay cannot be read")  # if they are looked for just then
    bench.sql("ALTER TABLE pgsinkd.dead_letters OWNER TO operator")
    lost = pair.log.send(b"not json").offset
    pair.log.fill(10)
    pair.stands("parked", "42501", partitions=[0], at={0: lost})
    pair.neighbours_go_on()
    bench.wait_stored(pair.log, ends={1: pair.log.count(1)})
    bench.sql(f"ALTER TABLE pgsinkd.dead_letters OWNER TO {role}")
    pair.ends()
    pair.check(dead={(0, lost)})


def test_too_many_dead_letters(bench):
    """The partitions of that route stand, until somebody says that it may go on; a restart does not."""
    pair = Pair(bench, route={"max_dead_letters": "5 per 1h"})
    pair.begin()
    sent = pair.log.send_many([(0, None, b"not json", None, None)] * 9)
    stop = sent[5].offset
    pair.stands("over_limit", at={0: stop})
    pair.status_says("over_limit")
    pair.neighbours_go_on()
    pair.d.terminate()
    pair.start()
    pair.stands("over_limit", at={0: stop})
    pair.status_says("over_limit")
    pair.neighbours_go_on()
    resume(bench, pair.log.topic)
    pair.ends()
    pair.status_is_well()
    pair.check(dead={(0, record.offset) for record in sent})


def test_a_gap_that_stops_a_partition(bench):
    """It stands in the view like the others, and ends by a seek."""
    pair = Pair(bench, partitions=2)
    pair.begin(20).terminate()
    pair.log.fill(20)
    bench.kafka.delete_records(pair.log.topic, {0: 15})
    pair.log.records[0] = {offset: r for offset, r in pair.log.records[0].items() if not 10 <= offset < 15}
    pair.start()
    (row,) = pair.stands("stopped", partitions=[0], at={0: 10}).values()
    assert "15" in row.reason and row.hint, row
    pair.neighbours_go_on()
    bench.wait_stored(pair.log, ends={0: 10, 1: 20})
    bench.sql("SELECT pgsinkd.seek(%s, %s, 0, 15)", bench.sink, pair.log.topic)
    pair.ends()
    pair.check()


# Members that come and go


def test_a_parked_partition_is_revoked_at_once(bench):
    """There is nothing to wait for. The new owner finds out for itself."""
    pair = Pair(bench, partitions=4)
    first = pair.begin(20)
    bench.sql(RENAME)
    pair.log.fill(20)
    pair.stands("parked")
    owners, begun = bench.owners(pair.log), time.monotonic()
    second = pair.start()
    taken = wait.until(
        lambda: {p for p, epoch in bench.owners(pair.log).items() if epoch != owners[p]}, "some to be taken", 15
    )
    assert taken and first.running and time.monotonic() - begun < 15
    wait.until(
        lambda: len(set(bench.sql("SELECT owner FROM pgsinkd.offsets WHERE sink = %s", bench.sink))) == 2, "two owners"
    )
    pair.stands("parked", "42P01")
    pair.neighbours_go_on()
    bench.sql(BACK)
    pair.ends()
    assert first.running and second.running
    pair.check()


@pytest.mark.parametrize("way", ["dropped", "revoked"])
def test_a_restart_while_a_table_is_missing(bench, role, way):
    """It is no first start, so the daemon does not end: it parks what the table concerns."""
    _, *statements, codes = WAYS[way]
    makes, breaks, fixes = (text.format(table="events", role=role) for text in statements)
    pair = Pair(bench, ddl=makes, role=role)
    pair.begin().terminate()
    bench.sql(breaks)
    pair.log.fill(10)
    pair.other.fill(10)
    pair.start()
    (row,) = pair.stands("parked", at={0: 10}).values()
    assert row.sqlstate in codes and row.hint, row
    pair.neighbours_go_on()
    bench.sql(fixes)
    pair.ends()
    pair.check()


def test_a_restart_while_parked(bench):
    pair = Pair(bench)
    pair.begin()
    bench.sql(RENAME)
    pair.log.fill(10)
    pair.stands("parked", "42P01", at={0: 10})
    pair.d.terminate()
    pair.start()
    pair.stands("parked", "42P01", at={0: 10})
    bench.sql(BACK)
    pair.ends()
    pair.check()


def test_a_first_start_without_the_table(bench):
    """Nothing has ever been stored: it is a mistake in the file, and ends with 4."""
    pair = Pair(bench)
    bench.sql(RENAME)
    pair.log.fill(10)
    pair.other.fill(10)
    d = bench.start(pair.config, ready=False, times=pair.times).allow("events")
    assert d.wait_exit(20) == 4
    bench.sql(BACK)
    bench.drain(pair.config)
    pair.check()


# What an operator sees and does


def test_what_is_seen_of_a_parked_partition(bench):
    """A row of the view while it stands, one line when that begins and one when it ends, and the status."""
    pair = Pair(bench)
    d = pair.begin()
    begun = bench.value("SELECT clock_timestamp()")
    bench.sql(RENAME)
    pair.log.fill(10)
    (row,) = pair.stands("parked", "42P01", at={0: 10}).values()
    assert row.since >= begun and "events" in row.reason and row.hint, row
    here = rf"{re.escape(pair.log.topic)}-0@\d+"
    wait.until(
        lambda: standing(bench, pair.log)[0].retry_at > row.retry_at and standing(bench, pair.log)[0].since == row.since,
        "another try",
    )
    assert standing(bench, pair.log)[0].hint == row.hint
    assert [bool(re.search(here, line)) for line in d.lines() if re.search("park|" + here, line)] == [True], d.log()
    pair.status_says("parked")
    said = len(d.lines())
    bench.sql(BACK)
    pair.ends()
    wait.until(lambda: [line for line in d.lines()[said:] if re.search(here, line)], "the line that says so")
    pair.status_is_well()
    assert len([line for line in d.lines()[said:] if re.search(here, line)]) == 1, d.log()
    pair.check()


def test_what_stands_is_said_again(bench):
    """Once in a while, so that it is found at the end of a long log too."""
    pair = Pair(bench, times=SLOWLY | {"repeat": "500ms"})
    d = pair.begin()
    bench.sql(RENAME)
    pair.log.fill(10)
    pair.stands("parked", "42P01")
    here = re.escape(pair.at(0, 10))
    wait.until(lambda: len([line for line in d.lines() if re.search(here, line)]) >= 3, "it to be said again")
    bench.sql(BACK)
    resume(bench)
    pair.ends()
    pair.check()


def test_what_is_seen_of_a_waiting_partition(bench):
    """The same, and the dead letter in the end."""
    pair = Pair(bench, times={"patience": "2s"})
    trigger(bench, f"IF NEW.id = 666 THEN {refuse('XX000')}; END IF")
    d = pair.begin()
    lost = pair.log.send_json(id=666, note="odd").offset
    (row,) = pair.stands("waiting", "XX000", at={0: lost}).values()
    assert "odd" in row.reason, row
    assert len([line for line in d.lines() if pair.at(0, lost) in line]) == 1, d.log()
    pair.status_says("waiting")
    pair.ends()
    pair.status_is_well()
    assert 2 <= len([line for line in d.lines() if pair.at(0, lost) in line]) <= 3, d.log()
    pair.check(dead={(0, lost)})


@pytest.mark.parametrize("by", ["sink", "topic", "partition", "seek"])
def test_an_operator_need_not_wait_for_the_next_try(bench, by):
    """resume(), or a seek to where it stands, is a try at once."""
    pair = Pair(bench, times=SLOWLY)
    pair.begin()
    bench.sql(RENAME)
    pair.log.fill(10)
    pair.stands("parked", "42P01", at={0: 10})
    bench.sql(BACK)
    if by == "seek":
        bench.sql("SELECT pgsinkd.seek(%s, %s, 0, 10)", bench.sink, pair.log.topic)
    else:
        resume(bench, *{"sink": [], "topic": [pair.log.topic], "partition": [pair.log.topic, 0]}[by])
    pair.ends(timeout=10)
    pair.check()


@pytest.mark.parametrize("by", ["sink", "topic", "partition", "seek"])
def test_an_operator_need_not_wait_where_the_table_was_missing_at_the_start(bench, by):
    """The partition was claimed without knowing its table."""
    pair = Pair(bench, times=SLOWLY)
    pair.begin().terminate()
    bench.sql(RENAME)
    pair.log.fill(10)
    pair.start()
    pair.stands("parked", "42P01", at={0: 10})
    resume(bench)  # too early
    wait.until(lambda: standing(bench, pair.log).get(0), "it to stand again")
    bench.sql(BACK)
    if by == "seek":
        bench.sql("SELECT pgsinkd.seek(%s, %s, 0, 10)", bench.sink, pair.log.topic)
    else:
        resume(bench, *{"sink": [], "topic": [pair.log.topic], "partition": [pair.log.topic, 0]}[by])
    pair.ends(timeout=10)
    pair.check()


def test_resume_before_it_is_well(bench):
    """One try, and it stands as before; nothing is lost by that."""
    pair = Pair(bench, times=SLOWLY)
    pair.begin()
    bench.sql(RENAME)
    pair.log.fill(10)
    (before,) = pair.stands("parked", "42P01", at={0: 10}).values()
    resume(bench)
    wait.until(
        lambda: (now := standing(bench, pair.log).get(0)) and now.state == "parked" and now.retry_at > before.retry_at,
        "another try",
    )
    bench.sql(BACK)
    resume(bench)
    pair.ends(timeout=10)
    pair.check()


def test_an_operator_passes_over_a_parked_record(bench):
    """A seek to a later record: parked again there, with nothing stored of what lies before."""
    pair = Pair(bench)
    pair.begin()
    bench.sql(RENAME)
    pair.log.fill(10)
    pair.stands("parked", "42P01", at={0: 10})
    bench.move(pair.log, 0, 15)
    pair.stands("parked", "42P01", at={0: 15})
    bench.sql(BACK)
    pair.ends()
    pair.check(without={(0, offset) for offset in range(10, 15)})


def test_the_watchdog_is_fed_while_all_is_parked(bench):
    """A restart would help nobody: loops that turn are the progress."""
    pair = Pair(bench)
    d = pair.begin(watchdog=2)
    bench.sql(RENAME + "; ALTER TABLE others RENAME TO others_elsewhere")
    d.allow(pair.other.topic, "others")
    pair.log.fill(10)
    pair.other.fill(10)
    pair.stands("parked", "42P01")
    wait.until(lambda: len(standing(bench)) == 2, "both to be parked")
    begun = time.monotonic()
    wait.stays(lambda: d.running, "running", 3)
    assert len(d.notify.values("WATCHDOG", since=begun)) >= 2
    bench.sql(BACK + "; ALTER TABLE others_elsewhere RENAME TO others")
    pair.ends()
    pair.check()


def test_it_stops_in_time_while_parked(bench):
    """terminate() wants it within five seconds; here also while its retry waits for a lock."""
    pair = Pair(bench, postgres={"lock_timeout": "200ms"})
    pair.begin()
    with bench.postgres.connect(bench.database) as operator, operator.transaction():
        operator.execute("LOCK TABLE events IN ACCESS EXCLUSIVE MODE")
        pair.log.fill(10)
        pair.stands("parked", "55P03")
        assert pair.d.terminate() < 2
    bench.drain(pair.config)
    pair.check()


def test_until_end_does_not_wait_for_what_is_parked(bench):
    """It ends with 1 once all else has been read to its end, and says what was not."""
    pair = Pair(bench)
    pair.begin().terminate()
    bench.sql(RENAME)
    pair.log.fill(10)
    pair.other.fill(10)
    d = bench.drain(pair.config, code=1, times=pair.times, allow=[re.escape(pair.log.topic), "events"])
    assert pair.log.topic in "".join(d.lines("error")) and bench.next_offset(pair.other) == 20
    bench.sql(BACK)
    bench.drain(pair.config)
    pair.check()
