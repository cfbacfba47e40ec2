"""The log as JSON and as fields of the journal: what a line is about need not be read from its text."""

import json
import re
import socket
import struct

import pytest

from kit import wait

# A server may say anything about a record, and in as many lines as it likes.
SAYS = """
CREATE TABLE events (
    seq bigint GENERATED ALWAYS AS IDENTITY, _partition int NOT NULL, _offset bigint NOT NULL, id int NOT NULL, note text
);
CREATE FUNCTION say() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.note <> '' THEN
        RAISE EXCEPTION USING MESSAGE = NEW.note, ERRCODE = '22ABC', HINT = NEW.note;
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER say BEFORE INSERT ON events FOR EACH ROW EXECUTE FUNCTION say();
CREATE TABLE others (_partition int NOT NULL, _offset bigint NOT NULL, id int);
"""
HOSTILE = [
    'x"}\n{"level":"error","event":"PGS-110","message":"forged"}',
    "a\nPRIORITY=0\nTOPIC=other\n\nMESSAGE\n",
    "\x01\x1b[31m\x7f\t\r\\u0000 \u2028 \U0001f600 \u0085",
    "\\" * 3000,
    "\x02" * 3000,
    "\u00e4" * 3000,
]


def hostile_sink(bench):
    """(good and bad records, a topic whose table will not fit any more, the config of both)"""
    log, other = bench.topic(partitions=len(HOSTILE)), bench.topic()
    bench.sql(SAYS)
    route = {"format": "json", "mode": "append", "on_error": "dead_letter", "max_dead_letters": "off"}
    routes = [
        route | {"topics": [log.topic], "table": "events"},
        route | {"topics": [other.topic], "table": "others", "columns": {"id": "value.id"}},
    ]
    # A worker says only the first of its dead letters.
    return log, other, bench.config(routes=routes, workers=len(HOSTILE) + 1)


def send(log, notes):
    """A good record and a bad one in each partition; {partition: the bad one}."""
    for partition in range(len(notes)):
        log.send_json(partition=partition, id=1, note="")
    return {n: log.send_json(partition=n, id=2, note=note) for n, note in enumerate(notes)}


def letters_of(entries):
    return [e for e in entries if e["event"] == "PGS-501"]


def keys_of(datagram):
    """A datagram of the native protocol as a dict."""
    found, rest = {}, datagram
    while rest:
        line, _, rest = rest.partition(b"\n")
        name, equals, value = line.partition(b"=")
        if not equals:
            (length,) = struct.unpack_from("<Q", rest)
            value, rest = rest[8 : 8 + length], rest[8 + length + 1 :]
        assert re.fullmatch(rb"[A-Z][A-Z0-9_]*", name), datagram
        assert name.decode() not in found, datagram
        found[name.decode()] = value.decode()
    return found


def park(bench, other):
    bench.sql("ALTER TABLE others DROP COLUMN id")
    other.send_json(id=1)


def entries_of(d):
    """Every line must parse, and strictly."""

    def refuse(word):
        raise AssertionError(f"{word} is not JSON")

    lines = d.log_path.read_bytes().splitlines(keepends=True)
    assert all(line.endswith(b"}\n") and len(line) < 4096 for line in lines)
    return [json.loads(line.decode(), parse_constant=refuse) for line in lines]


def as_said(note):
    """The beginning of what a server says, as messages have it: on one line."""
    return re.sub(r"[\r\n\t ]+", " ", note[:60]).strip()


@pytest.mark.quick
def test_lines_are_json_whatever_records_and_servers_say(bench):
    log, other, config = hostile_sink(bench)
    d = bench.start(config | {"log": {"format": "json"}}, times="retry=100ms,retry_max=500ms")
    bad = send(log, HOSTILE)
    bench.wait_stored(log)
    park(bench, other)
    d.wait_log('"PGS-422"')
    bench.sql("ALTER TABLE others ADD COLUMN id int")
    bench.wait_stored(other)
    d.wait_log('"PGS-410"')
    d.terminate()
    found = entries_of(d)
    partitions = {(log.topic, p) for p in bad} | {(other.topic, 0)}
    for entry in found:
        assert {"time", "level", "event", "name", "thread", "sink", "message"} <= entry.keys(), entry
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", entry["time"])
        assert entry["sink"] == bench.sink
        assert ("partition" in entry) <= ("topic" in entry)
        if entry["event"].startswith("PGS-4"):
            assert (entry["topic"], entry["partition"]) in partitions, entry
            assert entry["offset"] >= 0
    letters = {e["partition"]: e for e in letters_of(found)}
    assert letters.keys() == bad.keys()
    for partition, record in bad.items():
        letter = letters[partition]
        assert (letter["topic"], letter["offset"], letter["sqlstate"]) == (log.topic, record.offset, "22ABC")
        assert as_said(HOSTILE[partition]) in letter["message"]
    parked = next(e for e in found if e["event"] == "PGS-422")
    assert (parked["topic"], parked["partition"], parked["offset"]) == (other.topic, 0, 0)
    assert "'id'" in parked["message"] and parked["hint"]
    bench.check(log, dead={(r.partition, r.offset) for r in bad.values()}, contents=lambda r: {"id": 1})


class Journal:
    """journald's socket: keeps what comes."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(str(path))
        self.socket.setblocking(False)
        self.entries = []

    def read(self):
        while True:
            try:
                self.entries.append(keys_of(self.socket.recv(1 << 16)))
            except BlockingIOError:
                return self.entries

    def wait(self, event, timeout=30):
        return wait.until(lambda: [e for e in self.read() if e["PGSINKD_EVENT"] == event], f"{event} in the journal", timeout)


def under_journald(bench, path):
    """The environment in which stderr of the first daemon is the journal's: its file is there before it starts."""
    log = bench.root / "daemon1.log"
    log.touch()
    there = log.stat()
    return {"JOURNAL_STREAM": f"{there.st_dev}:{there.st_ino}", "PGSINKD_JOURNAL": str(path)}


def test_the_journal_has_fields(bench, tmp_path):
    log, other, config = hostile_sink(bench)
    journal = Journal(tmp_path / "journal")
    d = bench.start(config, env=under_journald(bench, tmp_path / "journal"), times="retry=100ms,retry_max=500ms")
    bad = send(log, HOSTILE[1:2])[0]
    (letter,) = journal.wait("PGS-501")
    assert letter["PRIORITY"] == "4" and letter["SYSLOG_IDENTIFIER"] == "pgsinkd"
    assert letter["MESSAGE_ID"] == "1cdb363d091241e0895a075deaa00501"
    assert (letter["TOPIC"], letter["PARTITION"], letter["OFFSET"]) == (log.topic, str(bad.partition), str(bad.offset))
    assert (letter["SQLSTATE"], letter["SINK"], letter["THREAD"]) == ("22ABC", bench.sink, "main")
    assert "a PRIORITY=0 TOPIC=other" in letter["MESSAGE"]
    park(bench, other)
    parked = journal.wait("PGS-422")[0]
    assert (parked["TOPIC"], parked["PARTITION"], parked["OFFSET"]) == (other.topic, "0", "0")
    assert parked["MESSAGE"].endswith(f"\nHINT: {parked['HINT']} (PGS-422)")
    bench.wait_stored(log)
    d.terminate()
    assert {e["PGSINKD_EVENT"] for e in journal.read()} >= {"PGS-101", "PGS-104", "PGS-105", "PGS-107", "PGS-401"}
    assert d.log() == ""
    bench.check(log, dead=1, contents=lambda r: {"id": 1})


def test_without_journald_its_pipe_gets_levels(bench, tmp_path):
    log = bench.topic()
    bench.plain_table()
    log.fill(3)
    d = bench.start(bench.config(log, log={"format": "json"}), env=under_journald(bench, tmp_path / "nobody"))
    bench.wait_stored(log)
    d.terminate()
    assert re.search(r"^<5>main: ready$", d.log(), re.M)
    bench.check(log)
