"""The kit tests itself. Above all: the checker must fail on bad data, or no other test proves anything."""

import dataclasses
import os
import shutil
import socket
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path

import psycopg
import pytest
from confluent_kafka import Producer

from kit import daemon, ledger, process, proxy, tally, wait
from kit.debezium import read_back
from kit.kafka import Shown
from kit.proxy import DOWN, UP, Proxy
from kit.records import Former, Record, numbered

HERE = Path(__file__).resolve().parent

LEDGER = """
CREATE SCHEMA pgsinkd;
CREATE TABLE pgsinkd.offsets (sink text, topic text, partition int4, next_offset int8 NOT NULL,
    PRIMARY KEY (sink, topic, partition));
CREATE TABLE pgsinkd.partitions (sink text, topic text, partition int4, first_offset int8);
CREATE TABLE pgsinkd.gaps (sink text, topic text, partition int4, from_offset int8, next_offset int8,
    recorded_at timestamptz DEFAULT clock_timestamp());
CREATE TABLE pgsinkd.dead_letters (sink text, topic text, partition int4, "offset" int8, route text,
    timestamp timestamptz, key bytea, value bytea, header_names bytea[], header_values bytea[],
    error_class text, message text, attempts int4);
"""


# ---------------------------------------------------------------------------------------------------
# The checker


def plain(p, offsets, first=0):
    """{offset: Record} of numbered records, of which the lowest possible has the number `first`."""
    return {o: Record(p, o, None, numbered(p, first + o), 0) for o in offsets}


class FakeLog:
    """A log without a broker: so many records per partition, some offsets left out as markers are."""

    def __init__(self, ends, holes=()):
        self.topic = "things"
        self.records = {p: plain(p, [o for o in range(end) if (p, o) not in holes]) for p, end in ends.items()}
        self.former = []
        self.kafka = {p: Shown(end, sorted(self.records[p])) for p, end in ends.items()}

    def shown(self):
        return self.kafka

    def replace(self, p, cut, end):
        """From `cut` on, other records take the place of those that are there, up to `end`."""
        self.former.append(Former({p: self.records[p]}, {p: cut}))
        kept = {o: r for o, r in self.records[p].items() if o < cut}
        self.records[p] = kept | plain(p, range(cut, end), first=1000 * len(self.former))
        self.kafka[p] = Shown(end, sorted(self.records[p]))


class Target:
    """A database in which the daemon has done its work well; each test then spoils something."""

    def __init__(self, bench, ends, holes=()):
        self.bench = bench
        self.log = FakeLog(ends, holes)
        bench.sql(LEDGER)
        bench.plain_table()
        for p, end in ends.items():
            for o in self.log.records[p]:
                self.insert(p, o)
            self.ledger(p, end)

    def insert(self, p, o, **changes):
        fields = self.log.records.get(p, {}).get(o, Record(p, o, None, numbered(p, o), 0)).json | changes
        self.bench.sql(
            "INSERT INTO events (_topic, _partition, _offset, id, note) VALUES ('things', %s, %s, %s, %s)",
            p, o, fields["id"], fields["note"],
        )  # fmt: skip

    def delete(self, p, first, after=None):
        self.bench.sql(
            "DELETE FROM events WHERE _partition = %s AND _offset >= %s AND _offset < %s", p, first, after or first + 1
        )

    def ledger(self, p, next_offset):
        self.bench.sql(
            "INSERT INTO pgsinkd.offsets VALUES (%s, 'things', %s, %s)"
            " ON CONFLICT (sink, topic, partition) DO UPDATE SET next_offset = excluded.next_offset",
            self.bench.sink, p, next_offset,
        )  # fmt: skip

    def gap(self, p, first, after):
        self.bench.sql("INSERT INTO pgsinkd.gaps VALUES (%s, 'things', %s, %s, %s)", self.bench.sink, p, first, after)

    def letter(self, p, o, **changes):
        """A dead letter that says what its record says, but for the changes."""
        record = self.log.records.get(p, {}).get(o, Record(p, o, None, b"", 0))
        fields = {
            "sink": self.bench.sink, "topic": "things", "partition": p, "offset": o, "route": "events",
            "timestamp": record.time, "key": record.key, "value": record.value, "header_names": None,
            "header_values": None, "error_class": "record", "message": "no", "attempts": 1,
        } | changes  # fmt: skip
        self.bench.sql(f"INSERT INTO pgsinkd.dead_letters VALUES ({', '.join(['%s'] * len(fields))})", *fields.values())

    def check(self, **expected):
        ledger.check(self.bench.db, self.bench.sink, self.log, "events", **expected)

    def finds(self, *kinds, **expected):
        with pytest.raises(ledger.LedgerError) as caught:
            self.check(**expected)
        assert {kind for kind, _ in caught.value.faults} == set(kinds), str(caught.value)


@pytest.fixture
def good(bench):
    return Target(bench, {0: 10, 1: 5, 2: 0})


def test_checker_passes_good_data(good):
    good.check()


def test_checker_finds_a_lost_record(good):
    good.delete(0, 4)
    good.finds("loss")


def test_checker_finds_a_lost_last_record(good):
    good.delete(0, 9)
    good.finds("loss")


def test_checker_finds_a_lost_partition(good):
    good.delete(1, 0, 5)
    good.finds("loss")


def test_checker_finds_a_double(good):
    good.insert(0, 9)
    good.finds("double")


def test_checker_finds_an_old_double(good):
    good.insert(0, 3)
    good.finds("double")


def test_checker_finds_a_broken_order(good):
    good.delete(0, 8, 10)
    good.insert(0, 9)
    good.insert(0, 8)
    good.finds("order")


def test_checker_finds_an_invented_row(good):
    good.insert(0, 10)
    good.finds("invention")


def test_checker_finds_a_row_of_an_aborted_transaction(bench):
    target = Target(bench, {0: 10}, holes={(0, 6), (0, 7)})
    target.check()
    target.delete(0, 8, 10)
    for offset in (6, 8, 9):
        target.insert(0, offset)
    target.finds("invention")


def test_checker_finds_wrong_contents(good):
    good.delete(0, 9)
    good.insert(0, 9, note="something else")
    good.finds("contents")


def test_checker_finds_null_contents(good):
    good.delete(0, 9)
    good.insert(0, 9, note=None)
    good.finds("contents")


@pytest.mark.parametrize("at", [0, 9, 11])
def test_checker_finds_a_wrong_ledger(good, at):
    good.ledger(0, at)
    good.finds("ledger")


def test_checker_finds_a_ledger_that_does_not_know_a_partition(good):
    good.bench.sql("DELETE FROM pgsinkd.offsets WHERE partition = 1")
    good.finds("ledger")


def test_checker_finds_another_sinks_ledger(good):
    good.bench.sql("UPDATE pgsinkd.offsets SET sink = 'other'")
    good.finds("ledger")


@pytest.mark.parametrize(("at", "fine"), [(7, False), (8, True), (9, True), (10, True), (11, False)])
def test_checker_lets_the_ledger_stand_anywhere_behind_the_last_visible_record(bench, at, fine):
    target = Target(bench, {0: 10}, holes={(0, 8), (0, 9)})
    target.ledger(0, at)
    if fine:
        target.check()
    else:
        target.finds("ledger")


def test_checker_wants_a_stopped_partition_to_stand_exactly_there(good):
    good.finds("stop", "ledger", stops={0: 6})
    good.delete(0, 6, 10)
    good.finds("ledger", stops={0: 6})
    good.ledger(0, 6)
    good.check(stops={0: 6})
    good.delete(0, 5)
    good.finds("loss", stops={0: 6})


def test_checker_wants_every_gap_announced(good):
    good.delete(0, 2, 5)
    good.gap(0, 2, 5)
    good.finds("gaps")
    good.finds("gaps", gaps={0: [(2, 4)]})
    good.check(gaps={0: [(2, 5)]})


def test_checker_wants_an_announced_gap_to_be_recorded(good):
    good.delete(0, 2, 5)
    good.finds("gaps", "loss", gaps={0: [(2, 5)]})


def test_checker_finds_a_row_inside_a_gap(good):
    good.gap(0, 2, 5)
    good.finds("double", gaps={0: [(2, 5)]})


def test_checker_counts_dead_letters(good):
    good.letter(0, 3)
    good.finds("dead letters", "double")
    good.finds("double", dead={(0, 3)})
    good.delete(0, 3)
    good.finds("dead letters")
    good.check(dead={(0, 3)})
    good.check(dead=1)
    good.finds("dead letters", dead=2)
    good.finds("dead letters", dead=0)


def test_checker_wants_an_announced_dead_letter_to_be_there(good):
    good.delete(0, 3)
    good.finds("dead letters", "loss", dead={(0, 3)})
    good.letter(1, 3)
    good.finds("loss", "double", dead=1)


def test_checker_tells_routes_apart(good):
    good.delete(0, 3)
    good.letter(0, 3)
    good.letter(0, 3, route="other")
    good.letter(0, 4, route="other")
    good.finds("dead letters", "double", dead={(0, 3)})
    good.finds("dead letters", "double", dead={(0, 3), (0, 4)})
    good.check(dead={(0, 3)}, route="events")


def test_checker_finds_dead_letters_out_of_place(good):
    good.letter(0, 12)
    good.finds("invention", dead=1)


def test_checker_finds_a_dead_letter_beyond_a_stop(good):
    good.letter(0, 3)
    good.delete(0, 3, 10)
    good.ledger(0, 3)
    good.finds("stop", dead=1, stops={0: 3})


def test_checker_finds_a_dead_letter_before_the_start(good):
    good.letter(0, 3)
    good.delete(0, 0, 4)
    good.finds("start", dead=1, start={0: 4})


HEADERS = [("a", b"1"), ("a", None), ("b", b"\xff")]


@pytest.mark.parametrize(
    "changes",
    [
        {"value": b"else"},
        {"value": None},
        {"key": b""},
        {"timestamp": None},
        {"header_names": None},
        {"header_values": [b"1", b"", b"\xff"]},
        {"header_names": [b"a", b"b", b"a"], "header_values": [b"1", b"\xff", None]},
        {"message": ""},
        {"error_class": "link"},
        {"attempts": 0},
    ],
    ids=str,
)
def test_checker_compares_dead_letters_with_their_records(good, changes):
    good.log.records[0][3].headers = HEADERS
    headers = {"header_names": [b"a", b"a", b"b"], "header_values": [b"1", None, b"\xff"]}
    good.delete(0, 3)
    good.letter(0, 3, **headers)
    good.check(dead={(0, 3)})
    good.bench.sql("TRUNCATE pgsinkd.dead_letters")
    good.letter(0, 3, **headers | changes)
    good.finds("letter", dead={(0, 3)})


def test_checker_knows_where_a_partition_starts(good):
    good.finds("start", start={0: 4})
    good.delete(0, 0, 4)
    good.finds("loss")
    good.check(start={0: 4})


def test_checker_asks_where_a_partition_began(good):
    good.delete(0, 0, 4)
    begun = "INSERT INTO pgsinkd.partitions VALUES (%s, %s, 0, %s)"
    good.bench.sql(begun, good.bench.sink, good.log.topic, 3)
    good.finds("start", start={0: 4})
    good.bench.sql("UPDATE pgsinkd.partitions SET first_offset = 4")
    good.check(start={0: 4})


def test_checker_does_not_ask_for_the_contents_of_bad_records(good):
    good.log.records[0][0].value = b"not json"
    good.delete(0, 0)
    good.check(without={(0, 0)})
    good.finds("loss")


def test_checker_counts_the_rows_of_each_record(good):
    good.finds("loss", rows=lambda r: 2 if r.offset == 9 else 1)
    good.insert(0, 9)
    good.check(rows=lambda r: 2 if r.offset == 9 and r.partition == 0 else 1)
    good.finds("double", rows=lambda r: (r.partition, r.offset) != (0, 3))
    pairs = {(0, 9): 2}
    good.finds(
        "contents",
        rows=lambda r: pairs.get((r.partition, r.offset), 1),
        contents=lambda r: [{"id": r.json["id"]}, {"id": -1}],
    )


def test_checker_lets_at_least_once_double_and_no_more(good):
    mode = {"delivery": "at_least_once", "positions": {0: 10, 1: 5}}
    good.insert(0, 3)
    good.check(**mode)
    good.finds("ledger", **mode | {"positions": {0: 9, 1: 5}})
    good.delete(1, 2)
    good.finds("loss", **mode)


def test_checker_lets_at_most_once_lose_and_no_more(good):
    mode = {"delivery": "at_most_once", "positions": {0: 10, 1: 5}}
    good.delete(1, 2)
    good.check(**mode)
    good.finds("ledger", **mode | {"positions": {0: 10}})
    good.insert(0, 9)
    good.finds("double", **mode)


# What Kafka shows, beside the producer's tally


def test_checker_finds_a_record_that_the_test_forgot(good):
    del good.log.records[0][4]
    good.finds("tally")
    good.delete(0, 4)
    good.finds("tally", "loss")
    good.finds("tally", without={(0, 4)})


def test_checker_finds_records_that_the_test_forgot_and_the_ledger_passed(good):
    """As if a partition had been left out of the tally: with it alone all looks right."""
    good.log.records[1].clear()
    good.delete(1, 0, 5)
    good.finds("tally", "loss")
    good.finds("tally", "loss", stops={1: 5})
    good.finds("tally", "double", "loss", without={(0, 1)} | {(1, o) for o in range(4)})


def test_checker_finds_forgotten_records_that_the_ledger_has_not_reached(good):
    del good.log.records[0][9]
    good.delete(0, 9)
    good.ledger(0, 9)
    good.finds("tally", "ledger")
    good.bench.sql("DELETE FROM pgsinkd.offsets WHERE partition = 1")
    good.log.records[1].clear()
    good.delete(1, 0, 5)
    good.finds("tally", "ledger")


def test_checker_finds_a_partition_that_the_test_does_not_know(good):
    good.log.kafka[3] = Shown(2, [0, 1])
    good.finds("tally", "ledger")
    good.ledger(3, 2)
    good.finds("tally", "loss")


def test_checker_finds_a_tally_beyond_the_end_of_kafkas_log(good):
    """A topic was created again, and the test does not say so."""
    good.log.kafka[0] = Shown(6, list(range(6)))
    good.finds("tally", "ledger")


def test_checker_needs_no_visible_record_of_what_retention_deleted(good):
    good.log.kafka[0].offsets = [8, 9]
    good.check()
    good.delete(0, 3)
    good.finds("loss")


def test_checker_takes_the_tally_alone_where_the_topic_is_deleted(good):
    good.log.kafka = {}
    good.check()
    good.ledger(0, 11)
    good.finds("ledger")


def test_checker_knows_dead_letters_of_forgotten_records(good):
    good.letter(0, 4)
    good.delete(0, 4)
    del good.log.records[0][4]
    good.finds("tally", dead=1)


# A ledger that has moved too far looks right with none of the options


def test_checker_lets_no_start_excuse_a_ledger_beyond_the_end(good):
    good.delete(0, 0, 10)
    good.check(start={0: 10})
    good.ledger(0, 5000)
    good.finds("ledger", start={0: 5000})
    good.finds("ledger", start={0: 10})


def test_checker_lets_no_start_excuse_a_ledger_below_it(good):
    good.delete(0, 0, 10)
    good.ledger(0, 6)
    good.finds("ledger", start={0: 10})


def test_checker_lets_no_stop_excuse_a_ledger_elsewhere(bench):
    """With markers before the stop the ledger may not stand among them, nor a stop beyond the end."""
    target = Target(bench, {0: 10}, holes={(0, 6), (0, 7)})
    target.delete(0, 8, 10)
    target.ledger(0, 6)
    target.finds("ledger", stops={0: 8})
    target.check(stops={0: 6})
    target.ledger(0, 8)
    target.check(stops={0: 8})
    for offset in (8, 9):
        target.insert(0, offset)
    target.ledger(0, 5000)
    target.finds("ledger", stops={0: 5000})


def test_checker_lets_no_gap_excuse_a_ledger_beyond_the_end(good):
    good.delete(0, 5, 10)
    good.gap(0, 5, 5000)
    good.ledger(0, 5000)
    good.finds("ledger", gaps={0: [(5, 5000)]})


def test_checker_lets_no_operator_excuse_what_is_stored(good):
    good.finds("double", without={(0, 4)})


@pytest.mark.parametrize("delivery", ["at_least_once", "at_most_once"])
def test_checker_lets_no_delivery_excuse_a_position_beyond_the_end(good, delivery):
    good.finds("ledger", delivery=delivery, positions={0: 11, 1: 5})


# A topic that was created again, a log that was truncated


@pytest.fixture
def again(good):
    """Partition 0 held 10 records, and holds 5 others since the topic was created again; all 15 are stored."""
    good.log.replace(0, cut=0, end=5)
    for offset in range(5):
        good.insert(0, offset)
    good.gap(0, 10, 0)
    good.ledger(0, 5)
    return good


ANEW = {"gaps": {0: [(10, 0)]}}


def test_checker_passes_a_topic_that_was_created_again(again):
    again.check(**ANEW)
    again.check(former={0: 10}, **ANEW)
    again.check(contents=ledger.offsets_only, **ANEW)
    again.finds("gaps")


def test_checker_does_not_take_the_rows_of_the_former_topic_for_those_of_the_new_one(good):
    """The trial's loss: the new topic has grown past next_offset, and nobody has noticed."""
    good.log.replace(0, cut=0, end=15)
    for offset in range(10, 15):
        good.insert(0, offset)
    good.ledger(0, 15)
    good.finds("loss")
    good.finds("loss", contents=ledger.offsets_only)


@pytest.mark.parametrize("contents", [None, ledger.offsets_only], ids=["numbered", "alike"])
def test_checker_finds_a_loss_in_either_topic(again, contents):
    again.bench.sql("DELETE FROM events WHERE seq = (SELECT min(seq) FROM events WHERE _partition = 0)")
    again.finds("loss", contents=contents, **ANEW)
    again.bench.sql("DELETE FROM events WHERE seq = (SELECT max(seq) FROM events WHERE _partition = 0)")
    with pytest.raises(ledger.LedgerError, match=r"2 x loss\n.*0@0 of former log 0 is not.*\n.*0@4 is not"):
        again.check(contents=contents, **ANEW)


def test_checker_finds_a_double_in_either_topic(again):
    again.insert(0, 4)
    again.finds("double", **ANEW)
    again.delete(0, 4)
    again.insert(0, 4)
    again.finds("loss", **ANEW)
    former = again.log.former[0].records[0]
    again.insert(0, 4, **former[4].json)
    again.finds("order", **ANEW)
    again.insert(0, 4, **former[4].json)
    again.finds("order", "double", **ANEW)


def test_checker_finds_a_broken_order_in_the_new_topic(again):
    again.bench.sql("DELETE FROM events WHERE note IN ('0-1003', '0-1004')")
    again.insert(0, 4)
    again.insert(0, 3)
    again.finds("order", **ANEW)


def test_checker_knows_how_far_the_former_topic_was_stored(again):
    again.finds("stop", former={0: 8}, **ANEW)
    again.bench.sql("UPDATE pgsinkd.gaps SET from_offset = 8")
    again.bench.sql("DELETE FROM events WHERE note IN ('0-8', '0-9')")
    again.check(former={0: 8}, gaps={0: [(8, 0)]})
    again.finds("loss", gaps={0: [(8, 0)]})


def test_checker_knows_which_part_of_the_new_topic_a_passage_excuses(good):
    """Kafka's latest: the gap leads from 10 in the former log to 20 in the new one, which had 20 then."""
    good.log.replace(0, cut=0, end=22)
    good.insert(0, 20)
    good.insert(0, 21)
    good.gap(0, 10, 20)
    good.ledger(0, 22)
    good.check(gaps={0: [(10, 20)]})
    good.insert(0, 3)
    good.finds("order", "double", gaps={0: [(10, 20)]})


def test_checker_tells_a_gap_of_the_former_topic_apart(again):
    again.bench.sql("DELETE FROM events WHERE note IN ('0-2', '0-3')")
    again.finds("loss", **ANEW)
    again.bench.sql("UPDATE pgsinkd.gaps SET recorded_at = recorded_at + interval '1 s'")
    again.gap(0, 2, 4)
    again.check(gaps={0: [(2, 4), (10, 0)]})
    again.bench.sql("UPDATE pgsinkd.gaps SET recorded_at = recorded_at + interval '5 s' WHERE from_offset = 2")
    again.finds("loss", "double", gaps={0: [(10, 0), (2, 4)]})


def test_checker_knows_a_partition_that_stays_in_the_former_topic(good):
    good.log.replace(0, cut=0, end=15)
    good.finds("loss", "ledger")
    good.check(held={0})
    good.ledger(0, 11)
    good.finds("ledger", held={0})
    good.ledger(0, 10)
    good.insert(0, 0)
    good.finds("stop", held={0})


def test_checker_knows_a_topic_that_was_created_again_twice(again):
    again.log.replace(0, cut=0, end=3)
    for offset in range(3):
        again.insert(0, offset)
    again.gap(0, 5, 0)
    again.ledger(0, 3)
    gaps = {0: [(10, 0), (5, 0)]}
    again.check(gaps=gaps)
    again.check(gaps=gaps, former=[{0: 10}, {0: 5}])
    again.finds("stop", gaps=gaps, former=[{0: 10}, {0: 4}])


@pytest.mark.parametrize("contents", [None, ledger.offsets_only], ids=["numbered", "alike"])
def test_checker_knows_a_log_that_was_truncated(good, contents):
    """8 and 9 are there twice, once as each log had them; what lies below the cut is there once."""
    good.log.replace(0, cut=8, end=12)
    good.finds("loss", "ledger", contents=contents)
    for offset in range(8, 12):
        good.insert(0, offset)
    good.gap(0, 10, 8)
    good.ledger(0, 12)
    expected = {"gaps": {0: [(10, 8)]}, "contents": contents}
    good.check(**expected)
    good.insert(0, 11)
    good.finds("double", **expected)
    good.delete(0, 11)
    good.finds("loss", **expected)


def test_checker_knows_a_log_that_was_truncated_above_what_is_stored(good):
    """Nobody can see it in the rows: those from 6 on were read after the cut."""
    good.log.replace(0, cut=8, end=10)
    good.delete(0, 8, 10)
    good.insert(0, 8)
    good.insert(0, 9)
    good.check(former={0: 6})
    good.delete(0, 7)
    good.finds("loss", former={0: 6})


def test_checker_finds_dead_letters_of_either_topic(again):
    former = again.log.former[0].records[0]
    again.bench.sql("DELETE FROM events WHERE note IN ('0-3', '0-1004')")
    again.letter(0, 3, value=former[3].value)
    again.letter(0, 4)
    again.check(dead={(0, 3), (0, 4)}, **ANEW)
    again.bench.sql('DELETE FROM pgsinkd.dead_letters WHERE "offset" = 3')
    again.letter(0, 3)
    again.finds("double", "loss", dead={(0, 3), (0, 4)}, **ANEW)


def test_checker_names_what_it_found(good):
    good.delete(0, 4)
    with pytest.raises(ledger.LedgerError, match=r"things: 1 x loss\n  loss: 0@4 is not in the database"):
        good.check()


# ---------------------------------------------------------------------------------------------------
# Waiting


def test_wait_returns_the_answer():
    answers = iter([0, 0, 7])
    assert wait.until(lambda: next(answers), "seven", interval=0) == 7


def test_wait_has_a_deadline():
    with pytest.raises(AssertionError, match="in vain for nothing; last answer: False"):
        wait.until(lambda: False, "nothing", timeout=0.05)


def test_stays_notices_a_change():
    answers = iter([True, True, False])
    with pytest.raises(AssertionError, match="did not stay"):
        wait.stays(lambda: next(answers), "true", 1, interval=0)


# ---------------------------------------------------------------------------------------------------
# The proxy


class Echo:
    """A server that sends back what it gets."""

    def __init__(self):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        while True:
            try:
                s, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._echo, args=(s,), daemon=True).start()

    @staticmethod
    def _echo(s):
        try:
            while data := s.recv(65536):
                s.sendall(data)
        except OSError:
            pass
        s.close()


@pytest.fixture
def echo():
    server = Echo()
    p = Proxy(("127.0.0.1", server.port))
    yield p
    p.close()
    server.listener.close()


def dial(p):
    return socket.create_connection(("127.0.0.1", p.port), 5)


def say(s, text=b"hello"):
    s.sendall(text)
    got = b""
    while len(got) < len(text):
        data = s.recv(65536)
        if not data:
            break
        got += data
    return got


def test_proxy_passes(echo):
    with dial(echo) as s:
        big = os.urandom(3_000_000)
        s.settimeout(20)
        threading.Thread(target=s.sendall, args=(big,), daemon=True).start()
        got = b""
        while len(got) < len(big):
            got += s.recv(1 << 20)
        assert got == big


def test_proxy_cuts(echo):
    with dial(echo) as s:
        say(s)
        echo.cut()
        assert s.recv(10) == b""
    wait.until(lambda: echo.connections == 0, "the link to go")


def test_proxy_resets(echo):
    with dial(echo) as s:
        say(s)
        echo.reset()
        with pytest.raises(ConnectionResetError):
            s.recv(10)


def test_proxy_swallows(echo):
    with dial(echo) as s:
        say(s)
        echo.black_hole()
        s.sendall(b"lost")
        s.settimeout(0.3)
        with pytest.raises(TimeoutError):
            s.recv(10)
        echo.heal()
        s.settimeout(5)
        with pytest.raises(ConnectionResetError):  # what it swallowed is lost, so the connection is too
            s.recv(10)
    with dial(echo) as s:
        assert say(s) == b"hello"


def test_proxy_keeps_the_server_in_the_dark(echo):
    """The client gives up and comes again; the server still holds the old connection."""
    with dial(echo) as s:
        say(s)
        echo.black_hole()
        s.sendall(b"lost")
        wait.until(lambda: echo._all()[0].swallowed, "the hole to have it")
        echo.reopen()
    with dial(echo) as s:
        assert say(s) == b"hello"
        wait.stays(lambda: echo.connections == 2, "both connections", 0.3)
        echo.heal()
        wait.until(lambda: echo.connections == 1, "the old one to end")
        assert say(s) == b"hello"


def test_proxy_refuses(echo):
    echo.refuse()
    with pytest.raises(ConnectionResetError), dial(echo) as s:
        s.recv(10)
    echo.heal()
    with dial(echo) as s:
        assert say(s) == b"hello"


def test_proxy_delays(echo):
    with dial(echo) as s:
        echo.delay = 0.1
        begun = time.monotonic()
        say(s)
        assert time.monotonic() - begun >= 0.2


def test_proxy_cuts_after_bytes(echo):
    with dial(echo) as s:
        echo.cut_after(DOWN, 100)
        assert say(s, b"x" * 50) == b"x" * 50
        s.sendall(b"x" * 50)
        with pytest.raises(ConnectionResetError):
            s.recv(10)
        assert echo.struck.is_set()


@pytest.mark.parametrize("direction", [UP, DOWN])
def test_proxy_cuts_at_a_pattern_even_when_it_comes_in_pieces(echo, direction):
    with dial(echo) as s:
        echo.cut_at(direction, b"COMMIT")
        assert say(s, b"hello COM") == b"hello COM"
        s.sendall(b"MIT")
        with pytest.raises(ConnectionResetError):
            s.recv(10)
    with dial(echo) as s:  # only once
        assert say(s, b"COMMIT") == b"COMMIT"


def test_proxy_cuts_at_a_later_pattern(echo):
    with dial(echo) as s:
        echo.cut_at(DOWN, b"COPY", skip=2)
        assert say(s, b"COPY") == b"COPY"
        assert say(s, b"COPY") == b"COPY"
        s.sendall(b"COPY")
        with pytest.raises(ConnectionResetError):
            s.recv(10)


def test_proxy_in_front_of_postgres_hides_the_commit_answer(bench):
    """The very case the proxy is for: the server has committed, the client cannot know."""
    p, dsn = bench.postgres_proxy()
    bench.sql("CREATE TABLE t (a int)")
    with psycopg.connect(dsn) as client:
        client.execute("INSERT INTO t VALUES (1)")
        p.cut_at(proxy.DOWN, b"COMMIT")
        with pytest.raises(psycopg.OperationalError):
            client.commit()
    assert p.struck.is_set()
    assert bench.value("SELECT count(*) FROM t") == 1


# ---------------------------------------------------------------------------------------------------
# PostgreSQL


def test_postgres_survives_every_kind_of_restart(bench, postgres):
    bench.sql("CREATE TABLE t (a int)")
    for n, mode in enumerate(["smart", "fast", "immediate"]):
        bench.db.close()
        postgres.restart(mode)
        bench.sql("INSERT INTO t VALUES (1)")
        assert bench.value("SELECT count(*) FROM t") == n + 1


def test_postgres_backends_can_be_terminated(bench, postgres):
    other = postgres.connect(bench.database, application_name="pgsinkd test worker 1")
    assert postgres.terminate_backends() == 1
    wait.until(lambda: not postgres.backends(), "the backend to go")
    other.close()


def test_postgres_can_be_frozen(bench, postgres):
    with postgres.frozen():
        for pid in [postgres.popen.pid, *process.children(postgres.popen.pid)]:
            assert process.state(pid) in "TZ"  # Z: a backend that was ending just then
    assert bench.value("SELECT 1") == 1


def test_postgres_standby_follows_and_takes_over(bench, postgres):
    standby = postgres.standby()
    try:
        bench.sql("CREATE TABLE t AS SELECT 1 AS a")

        def followed():
            try:
                with standby.connect(bench.database) as db:
                    return db.execute("SELECT to_regclass('t')").fetchone()[0]
            except Exception:  # noqa: BLE001 - the database itself may not be there yet
                return None

        wait.until(followed, "the table on the standby")
        standby.promote()
        with standby.connect(bench.database) as db:
            db.execute("INSERT INTO t VALUES (2)")
    finally:
        standby.destroy()


# ---------------------------------------------------------------------------------------------------
# Kafka


def test_kafka_offsets_are_known(bench):
    log = bench.topic(3)
    log.fill(100)
    assert log.ends() == {0: 34, 1: 33, 2: 33}
    assert [log.count(p) for p in log.partitions] == [34, 33, 33]
    assert sorted(log.records[0]) == list(range(34))
    assert log.records[1][7].value == numbered(1, 7)
    assert bench.kafka.visible(log.topic) == {p: sorted(r) for p, r in log.records.items()}


def test_kafka_transactions_leave_markers_and_aborted_records(bench):
    log = bench.topic(2)
    tx = bench.transactions(log)
    tx.begin()
    tx.fill(5)
    tx.commit()
    tx.begin()
    tx.fill(5)
    tx.abort()
    tx.begin()
    tx.fill(5)
    tx.commit()
    assert log.ends() == {0: 18, 1: 18}
    assert sorted(log.records[0]) == [*range(5), *range(12, 17)]
    assert bench.kafka.visible(log.topic) == {p: sorted(r) for p, r in log.records.items()}


def test_kafka_deletes_records(bench):
    log = bench.topic(2)
    log.fill(20)
    log.delete_records({0: 4, 1: 7})
    assert bench.kafka.watermarks(log.topic) == {0: (4, 10), 1: (7, 10)}
    assert sorted(log.records[1]) == [7, 8, 9]


def test_kafka_topics_grow_and_go(bench):
    log = bench.topic(1)
    log.add_partitions(3)
    log.fill(9)
    assert log.ends() == {0: 3, 1: 3, 2: 3}
    bench.kafka.delete_topic(log.topic)
    assert log.shown() == {}


def test_kafka_shows_what_there_is_and_where_it_ends(bench):
    """Batches of many partitions, deleted records, an aborted transaction, an open one, and an empty partition."""
    log = bench.topic(4)
    log.fill(30_000, partitions=[0, 1, 2])
    log.delete_records({0: 9000, 1: 10_000})
    tx = bench.transactions(log)
    tx.begin()
    tx.fill(5, partitions=[2])
    tx.abort()
    last = log.fill(1, partitions=[2])[0]
    assert last.offset in (10_005, 10_006)  # the marker is written by itself
    tx.begin()
    tx.fill(5, partitions=[2])
    shown = {
        0: Shown(10_000, list(range(9000, 10_000))),
        1: Shown(10_000),
        2: Shown(10_007, sorted(log.records[2])),
        3: Shown(0),
    }
    wait.until(lambda: log.shown() == shown, "the marker of the aborted transaction", timeout=10)
    assert bench.kafka.visible(log.topic) == {p: sorted(r) for p, r in log.records.items()}
    tx.abort()


def test_offsets_that_the_producer_was_not_told_are_found_in_the_log(bench):
    class Forgetful:
        """Reports no offset, as librdkafka does for what the broker calls a duplicate."""

        def produce(self, *args, on_delivery, **options):
            log.producer.produce(*args, on_delivery=lambda error, _: on_delivery(error, self), **options)

        def offset(self):
            return None

        def __getattr__(self, name):
            return getattr(log.producer, name)

    log = bench.topic(2)
    log.fill(10)
    sent = log.send_many([(p, None, b"%d" % n, None, None) for n in range(3) for p in (0, 1)], Forgetful())
    assert [(r.partition, r.offset) for r in sent] == [(p, 5 + n) for n in range(3) for p in (0, 1)]
    assert log.shown()[1].offsets == sorted(log.records[1]) == list(range(8))


def test_kafka_creates_a_topic_again(bench):
    log = bench.topic(2)
    before = log.fill(10)
    log.recreate()
    after = log.fill(4)
    assert log.shown() == {0: Shown(2, [0, 1]), 1: Shown(2, [0, 1])}
    assert log.former[0].records == {p: {r.offset: r for r in before if r.partition == p} for p in (0, 1)}
    assert log.former[0].cut == {0: 0, 1: 0}
    assert log.records == {p: {r.offset: r for r in after if r.partition == p} for p in (0, 1)}
    assert not {r.value for r in before} & {r.value for r in after}


def test_bench_does_not_take_a_former_log_for_the_new_one(bench):
    """The ledger says 10, of the topic that was deleted; the new one holds 4."""
    log = bench.topic()
    log.fill(10)
    bench.sql(LEDGER)
    bench.sql("INSERT INTO pgsinkd.offsets VALUES (%s, %s, 0, 10)", bench.sink, log.topic)
    bench.wait_stored(log)
    log.recreate()
    log.fill(4)
    with pytest.raises(AssertionError, match=r"not all of .* was stored .*\{0: \(10, 4\)\}"):
        bench.wait_stored(log, timeout=0.1)
    bench.move(log, 0, 4)
    bench.wait_stored(log)


def test_kafka_runs_again_when_the_checker_needs_it(bench, kafka):
    log = bench.topic(1)
    bench.plain_table()
    log.fill(10)
    bench.sql(LEDGER)
    for how in (kafka.kill, kafka.freeze):
        how()
        with pytest.raises(ledger.LedgerError, match="10 x loss, 1 x ledger|1 x ledger, 10 x loss"):
            bench.check(log)


def test_kafka_survives_restart_and_kill(bench, kafka):
    log = bench.topic(1)
    log.fill(10)
    kafka.stop()
    kafka.start()
    log.fill(10)
    kafka.kill()
    kafka.start()
    log.fill(10)
    assert log.ends() == {0: 30}


def test_kafka_is_replaced_by_another_cluster(own_bench, own_kafka):
    """Same address, same names, other records; then the first one is back as it was."""
    log = own_bench.topic(2)
    before = log.fill(10)
    cluster = own_kafka.cluster_id()
    with own_kafka.replaced():
        assert own_kafka.cluster_id() not in (None, cluster)
        assert not own_kafka.has_topic(log.topic)
        other = own_bench.topic(name=log.topic)
        other.fill(3)
        assert other.shown() == {0: Shown(3, [0, 1, 2])}
    assert own_kafka.cluster_id() == cluster
    assert log.shown() == {0: Shown(5, list(range(5))), 1: Shown(5, list(range(5)))}
    log.connect()
    assert [r.offset for r in log.fill(2)] == [5, 5]
    assert not {r.value for r in before} & {r.value for r in log.fill(2)}


def test_kafka_is_a_cluster_whose_brokers_may_die(cluster_bench, cluster):
    log = cluster_bench.topic(3, replication_factor=3)
    log.fill(30)
    first = cluster.leader(log.topic)
    cluster.nodes[first].kill()
    wait.until(lambda: cluster.leader(log.topic) != first, "another leader")
    log.fill(30)
    log.delete_records({0: 5})
    cluster.start(first)
    cluster.wait_in_sync(log.topic, [1, 2, 3])
    second = cluster.leader(log.topic)
    cluster.nodes[second].freeze()
    wait.until(lambda: cluster.leader(log.topic) != second, "another leader")
    cluster.nodes[second].thaw()
    log.fill(30)
    assert cluster.visible(log.topic) == {p: sorted(r) for p, r in log.records.items()}
    assert cluster.watermarks(log.topic)[0] == (5, 30)


def test_kafka_loses_the_tail_of_a_log(cluster_bench, cluster):
    """An unclean election: the offsets of records that a consumer has read are used again for others."""
    log = cluster_bench.topic(2)
    log.fill(40)
    read = []
    assert cluster.lose_tail(log, 5, partition=1, meanwhile=lambda: read.extend(log.shown()[1].offsets)) == 20
    assert read == list(range(25))
    assert log.shown()[1] == Shown(20, list(range(20)))
    lost, others = log.former[0].records[1], log.fill(8, partitions=[1])
    assert [r.offset for r in others] == list(range(20, 28))
    assert not {r.value for r in lost.values()} & {r.value for r in others}
    cluster.revive()
    cluster.wait_in_sync(log.topic, cluster.partition(log.topic, 1).replicas, 1)
    again = read_back(cluster, log.topic)
    assert {o: r.value for o, r in again.records[1].items()} == {o: r.value for o, r in log.records[1].items()}


def test_kafka_behind_its_proxy(bench, kafka):
    kafka.create_topic(name := bench.name())
    producer = Producer({"bootstrap.servers": kafka.proxied})
    producer.produce(name, b"x")
    assert producer.flush(20) == 0
    assert kafka.proxy.connections > 0


# ---------------------------------------------------------------------------------------------------
# The daemon's keeper, with a stand-in for the daemon

STAND_IN = """#!{python}
import os, signal, socket, sys, time
signal.signal(signal.SIGTERM, lambda *_: sys.exit({code}))
def tell(text):
    s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    s.sendto(text.encode(), os.environ["NOTIFY_SOCKET"])
print("2026-11-24T08:00:00.123Z info main: hello", file=sys.stderr)
print({say!r}, file=sys.stderr, flush=True)
tell("STATUS=about to be ready")
tell("READY=1")
while True:
    time.sleep(0.1)
"""


@pytest.fixture
def stand_in(bench, monkeypatch):
    def make(code=0, say="2026-11-24T08:00:00.124Z debug worker 1: nothing"):
        path = bench.root / "pgsinkd"
        path.write_text(STAND_IN.format(python=sys.executable, code=code, say=say))
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
        monkeypatch.setattr(daemon, "BINARY", path)
        d = daemon.Daemon(bench.root, "stand-in", {"sink": "x"})
        bench.daemons.append(d)
        return d.wait_ready()

    return make


def test_daemon_becomes_ready_and_stops(stand_in):
    d = stand_in()
    assert d.notify.values("STATUS") == ["about to be ready"]
    assert d.lines("info") == ["main: hello"]
    assert d.terminate() < 5
    assert d.faults() == []


def test_daemon_with_another_exit_code_is_a_failure(stand_in):
    d = stand_in(code=1)
    with pytest.raises(AssertionError, match="exited with 1 instead of 0"):
        d.terminate()


def test_daemon_errors_must_be_announced(stand_in, bench):
    d = stand_in(say="2026-11-24T08:00:00.124Z error worker 1: orders-3@18211: column 'amount': bad")
    assert len(d.faults()) == 1
    d.allow(r"orders-3@18211")
    assert d.faults() == []


@pytest.mark.parametrize(
    "say",
    [
        "pgsinkd: ../src/x.c:1: main: Assertion `0' failed.",
        "==1==ERROR: AddressSanitizer: heap-use-after-free",
        "WARNING: ThreadSanitizer: data race",
        "../src/x.c:1:1: runtime error: signed integer overflow",
    ],
)
def test_broken_programs_are_noticed(stand_in, bench, say):
    d = stand_in(say=say)
    assert len(d.faults()) == 1
    bench.daemons.remove(d)
    d.close()


def test_config_files_are_plain_yaml():
    config = {
        "sink": "orders",
        "workers": 2,
        "kafka": {"properties": {"session.timeout.ms": 3000}, "brokers": "a:1"},
        "batch": {},
        "routes": [{"topics": ["a", "^b.*"], "columns": {"Mixed Case": "value.x", "at": {"from": "t", "unit": "ms"}}}],
        "flag": True,
    }
    assert daemon.yaml(config) == (
        'sink: "orders"\n'
        "workers: 2\n"
        "kafka:\n"
        "  properties:\n"
        "    session.timeout.ms: 3000\n"
        '  brokers: "a:1"\n'
        "batch: {}\n"
        "routes:\n"
        "  - topics:\n"
        '      - "a"\n'
        '      - "^b.*"\n'
        "    columns:\n"
        '      "Mixed Case": "value.x"\n'
        "      at:\n"
        '        from: "t"\n'
        '        unit: "ms"\n'
        "flag: true"
    )


def test_records_are_small():
    """A log of a million records must fit: no dict per record."""
    assert not hasattr(Record(0, 0, None, b"", 0), "__dict__")
    assert {f.name for f in dataclasses.fields(Record)} >= {"partition", "offset", "value"}


# ---------------------------------------------------------------------------------------------------
# The sum at the end of tools/test

PASSED = '<testcase classname="c" name="passed"/>'
FAILED = '<testcase classname="c" name="failed"><failure message="no"/></testcase>'
ERROR = '<testcase classname="c" name="error"><error message="no"/></testcase>'
SKIPPED = '<testcase classname="c" name="skipped"><skipped/></testcase>'


def results(path, **files):
    for name, cases in files.items():
        (path / f"{name}.xml").write_text(f"<testsuites><testsuite>{cases}</testsuite></testsuites>")
    return tally.tally(path)


def test_tally_adds_up(tmp_path):
    t = results(tmp_path, a=PASSED + SKIPPED, b=PASSED + FAILED + ERROR)
    assert (t.passed, t.failed, t.skipped) == (2, ["b: c failed", "b: c error"], 1)


@pytest.mark.parametrize("cases", [PASSED + FAILED, FAILED + PASSED, FAILED + ERROR])
def test_tally_counts_a_test_whose_clean_up_fails_once(tmp_path, cases):
    same = cases.replace('name="failed"', 'name="it"').replace('name="error"', 'name="it"')
    t = results(tmp_path, a=same.replace('name="passed"', 'name="it"'))
    assert (t.passed, t.failed, t.skipped) == (0, ["a: c it"], 0)


def test_tally_counts_a_run_without_tests_as_failed(tmp_path):
    (tmp_path / "broken.xml").write_text("<testsuite><testcase")
    t = results(tmp_path, empty="")
    assert (t.passed, t.failed, t.skipped) == (0, ["broken: no test ran", "empty: no test ran"], 0)


def test_tally_takes_the_second_result_of_a_late_test(tmp_path):
    (tmp_path / "a.again.xml").write_text(f"<testsuite>{PASSED}</testsuite>".replace("passed", "failed"))
    t = results(tmp_path, a=PASSED + FAILED, b=FAILED)
    assert (t.passed, t.failed, t.late, t.skipped) == (2, ["b: c failed"], ["a: c failed"], 0)


def test_tally_takes_no_second_result_for_no_first_one(tmp_path):
    (tmp_path / "a.again.xml").write_text("<testsuite")
    t = results(tmp_path, a=FAILED)
    assert (t.passed, t.failed, t.late) == (0, ["a: c failed"], [])


def test_only_deadlines_are_late(tmp_path):
    """A wrong answer excludes a test, and so does what its clean-up finds. Under xdist, as in a full run."""
    (tmp_path / "test_it.py").write_text(
        "import subprocess, time, pytest\n"
        "from confluent_kafka import KafkaError, KafkaException\n"
        "from kit import wait\n"
        "@pytest.fixture\n"
        "def server(): raise RuntimeError('does not start')\n"
        "@pytest.fixture\n"
        "def log():\n    yield\n    pytest.fail('a fault in the log', pytrace=False)\n"
        "def test_waits(): wait.until(lambda: False, 'it', 0.01)\n"
        "def test_without_server(server): pass\n"
        "@pytest.mark.timeout(0.2)\n"
        "def test_hangs(): time.sleep(60)\n"
        "def test_command(): subprocess.run(['sleep', '60'], timeout=0.1)\n"
        "def test_kafka(): raise KafkaException(KafkaError(KafkaError._TIMED_OUT))\n"
        "def test_refused(): raise KafkaException(KafkaError(KafkaError.TOPIC_AUTHORIZATION_FAILED))\n"
        "def test_wrong(): assert 1 == 2\n"
        "def test_passes(): pass\n"
        "def test_waits_and_logs(log): wait.until(lambda: False, 'it', 0.01)\n"
    )
    late = tmp_path / "late"
    shutil.copy(HERE.parent / "conftest.py", tmp_path)
    env = os.environ | {"PGSINKD_TEST_LATE": str(late), "PYTHONPATH": str(HERE.parent)}
    env.pop("PYTEST_XDIST_WORKER", None)
    argv = [sys.executable, "-m", "pytest", "-q", "-n", "1", "-c", "/dev/null", "--rootdir", tmp_path, tmp_path]
    done = subprocess.run(argv, env=env, capture_output=True, text=True)
    assert "7 failed, 1 passed, 2 errors" in done.stdout, done.stdout
    found = [line.partition("::")[2] for line in late.read_text().splitlines()]
    assert found == ["test_command", "test_hangs", "test_kafka", "test_waits", "test_without_server"]


@pytest.mark.parametrize(("cases", "code"), [(PASSED, 0), (PASSED + FAILED, 1), (SKIPPED, 1), ("", 1)])
def test_tally_exits_by_the_result(tmp_path, monkeypatch, capsys, cases, code):
    results(tmp_path, a=cases)
    monkeypatch.setattr(sys, "argv", ["tally", str(tmp_path)])
    assert tally.main() == code
    assert capsys.readouterr().out.splitlines()[-1].endswith("skipped")
