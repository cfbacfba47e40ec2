"""pgsinkd status, offsets, pause, resume, seek and reset: thin over SQL, they say what they have changed."""

import json
import os
import pty
import re
import signal
import subprocess

import pytest
from confluent_kafka import Consumer, TopicPartition

from kit import daemon, wait


@pytest.fixture
def cli(bench):
    """Runs a command on the config of a sink whose ledger was made by SQL; no Kafka, no daemon."""
    config = bench.config(topics=["orders", "payments"])
    assert bench.command("init", config).returncode == 0

    def run(verb, *argv, code=0, config=config):
        done = bench.command(verb, config, *argv)
        assert done.returncode == code, done.stdout + done.stderr
        assert (done.stderr == "") == (code == 0), done.stderr
        return done

    run.config = config
    return run


def partition(bench, topic, number, next_offset, end=None):
    bench.sql(
        "INSERT INTO pgsinkd.offsets (sink, topic, partition, next_offset, owner_epoch, end_offset, end_seen_at)"
        " VALUES (%s, %s, %s, %s, 1, %s, now())",
        bench.sink, topic, number, next_offset, end,
    )  # fmt: skip


def lines(done):
    return done.stdout.splitlines()


def objects(done):
    return [json.loads(line) for line in done.stdout.splitlines()]


# With a daemon that runs


@pytest.mark.quick
def test_commands_steer_a_running_daemon(bench):
    log, other = bench.topic(partitions=2), bench.topic(name="another")
    bench.plain_table()
    bench.plain_table("others")
    route = {"format": "json", "mode": "append"}
    config = bench.config(routes=[
        route | {"topics": [log.topic], "table": "events"}, route | {"topics": [other.topic], "table": "others"},
    ])  # fmt: skip
    d = bench.start(config)
    log.fill(100)
    other.fill(10)
    bench.wait_stored(log)
    bench.wait_stored(other)

    assert lines(bench.command("pause", config, f"{log.topic}:1")) == [f"{log.topic}-1: paused at 50"]
    d.wait_log("paused")
    log.fill(100)
    other.fill(10)
    bench.wait_stored(other)
    bench.wait_stored(log, ends={0: 100})
    assert bench.next_offset(log, 1) == 50
    shown = bench.command("status", config).stdout
    assert re.search(rf"^{log.topic}-1  paused since ", shown, re.M) and "standing 1" in shown
    assert lines(bench.command("resume", config)) == [f"{log.topic}-1: was paused, goes on at 50"]
    bench.wait_stored(log)

    with bench.db.transaction():
        bench.sql("DELETE FROM events WHERE _partition = 0 AND _offset >= 20")
    assert lines(bench.command("seek", config, f"{log.topic}:0", "20")) == [f"{log.topic}-0: 100 -> 20"]
    bench.wait_rows(200)
    bench.wait_stored(log)
    bench.sql("DELETE FROM events WHERE _partition = 1")
    asked = f"{log.topic}-1: 100 -> earliest, when its daemon has asked Kafka"
    assert lines(bench.command("seek", config, f"{log.topic}:1", "earliest")) == [asked]
    bench.wait_rows(200)
    bench.wait_stored(log)

    status = json.loads(bench.command("status", config, "--json").stdout)
    assert status["sink"] == bench.sink and status["status"]["partitions"] == 3
    assert [i["pid"] for i in status["instances"]] == [d.pid]
    assert {t["topic"] for t in status["topics"]} == {log.topic, other.topic}
    assert status["standing"] == [] and status["seeks"] == []
    bench.check(log)
    bench.check(other, "others")


def test_reset_begins_a_topic_again(bench):
    log = bench.topic(partitions=2)
    bench.plain_table()
    config = bench.config(log)
    bench.start(config)
    log.fill(20)
    bench.wait_stored(log)
    done = bench.command("reset", config, log.topic)
    assert done.returncode == 2 and "--yes" in done.stderr and bench.next_offset(log) == 10
    bench.sql("TRUNCATE events")
    forgotten = [f"{log.topic}-0: 10 -> forgotten", f"{log.topic}-1: 10 -> forgotten"]
    assert lines(bench.command("reset", config, log.topic, "--yes")) == forgotten
    bench.wait_rows(20)
    bench.wait_stored(log)
    bench.check(log)


def commit(bench, group, offsets, topic):
    consumer = Consumer({"bootstrap.servers": bench.kafka.bootstrap, "group.id": group, "enable.auto.commit": False})
    consumer.commit(offsets=[TopicPartition(topic, p, o) for p, o in offsets.items()], asynchronous=False)
    consumer.close()


def test_a_group_is_taken_over(bench):
    """Before the first start, and for a topic that the sink has read already."""
    log = bench.topic(partitions=3)
    bench.plain_table()
    config = bench.config(log)
    group = f"{bench.sink}-before"
    log.fill(30)
    assert bench.command("init", config).returncode == 0
    done = bench.command("seek", config, "--from-group", f"{group}x")
    assert done.returncode == 5 and "has no offsets" in done.stderr
    commit(bench, group, {0: 4, 1: 7}, log.topic)
    assert lines(bench.command("seek", config, "--from-group", group)) == [
        f"{log.topic}-0: (not begun) -> 4", f"{log.topic}-1: (not begun) -> 7",
    ]  # fmt: skip
    bench.start(config)
    bench.wait_stored(log)
    assert bench.sql("SELECT _partition, min(_offset) FROM events GROUP BY 1 ORDER BY 1") == [(0, 4), (1, 7), (2, 0)]
    commit(bench, group, {2: 6}, log.topic)
    bench.sql("DELETE FROM events WHERE _partition IN (0, 1) OR _offset >= 6")
    assert lines(bench.command("seek", config, log.topic, "--from-group", group)) == [
        f"{log.topic}-{p}: 10 -> {to}" for p, to in [(0, 4), (1, 7), (2, 6)]
    ]  # fmt: skip
    bench.wait_rows(6 + 3 + 10)  # of partitions 0 and 1 what the group had not read, and all of 2
    bench.wait_stored(log)
    bench.check(log, start={0: 4, 1: 7})


# Over a ledger made by SQL


def test_offsets(bench, cli):
    assert cli("offsets").stdout == ""
    partition(bench, "orders", 10, 90, 100)
    partition(bench, "orders", 2, 50)
    partition(bench, "payments", 0, 7, 7)
    bench.sql("SELECT pgsinkd.pause(%s, 'payments')", bench.sink)
    head, *rows = [line.split() for line in lines(cli("offsets"))]
    assert head[:4] == ["topic", "partition", "next", "offset"]
    assert rows == [
        ["orders", "2", "50", "-", "-", "-", "-", "-"],
        ["orders", "10", "90", "100", "10", "-", "-", "-"],
        ["payments", "0", "7", "7", "0", "-", "paused", "-"],
    ]
    assert len(lines(cli("offsets", "orders"))) == 3
    (only,) = objects(cli("offsets", "orders:10", "--json"))
    assert (only["topic"], only["partition"], only["next_offset"], only["lag"]) == ("orders", 10, 90, 10)
    assert "partition 3" in cli("offsets", "orders:3", code=2).stderr


def test_pause_and_resume_say_what_they_changed(bench, cli):
    partition(bench, "orders", 0, 5)
    partition(bench, "orders", 1, 6)
    assert lines(cli("pause", "orders:1")) == ["orders-1: paused at 6"]
    assert lines(cli("pause", "orders")) == ["orders-0: paused at 5", "orders-1: was paused already, at 6"]
    assert lines(cli("pause", "payments")) == ["payments: paused; nothing of it has been read yet"]
    refused = cli("resume", "orders:1", code=1).stderr
    assert "paused as a whole" in refused and "HINT: " in refused
    assert lines(cli("resume", "orders")) == ["orders-0: was paused, goes on at 5", "orders-1: was paused, goes on at 6"]
    assert lines(cli("resume", "orders")) == ["orders: nothing of it stood"]
    (one,) = objects(cli("pause", "orders:1", "--json"))
    assert one == {"topic": "orders", "partition": 1, "before": 6, "after": 6, "was": None, "state": "paused", "asked": None}
    assert lines(cli("pause"))[0] == "orders-0: paused at 5"
    assert len(lines(cli("resume"))) == 2


def test_seek_says_what_it_changed(bench, cli):
    partition(bench, "orders", 0, 120000)
    partition(bench, "orders", 1, 30)
    assert lines(cli("seek", "orders:0", "118000")) == ["orders-0: 120000 -> 118000"]
    assert lines(cli("seek", "orders", "latest")) == [
        f"orders-{p}: {at} -> latest, when its daemon has asked Kafka" for p, at in [(0, 118000), (1, 30)]
    ]  # fmt: skip
    (moved,) = objects(cli("seek", "orders:1", "2026-11-29T06:00:00Z", "--json"))
    assert moved["before"] == moved["after"] == 30 and moved["asked"] == "2026-11-29T06:00:00.000Z"
    cli("pause", "orders:1")
    assert lines(cli("seek", "orders:1", "3")) == ["orders-1: 30 -> 3; it is paused"]
    shown = cli("status").stdout
    assert re.search(r"^orders-0 +latest ", shown, re.M) and "seeks 1" in shown


MISUSE = {
    "a place that is none": (["seek", "orders:0", "yesterday-ish"], 2, "earliest, latest or a time"),
    "a partition that is not there": (["seek", "orders:7", "3"], 2, "has not read partition 7"),
    "no place": (["seek", "orders"], 2, "where to?"),
    "a place and a group": (["seek", "orders", "3", "--from-group", "g"], 2, "leave out the place"),
    "a group for a partition": (["seek", "orders:1", "--from-group", "g"], 2, "whole topics"),
    "not a partition": (["pause", "orders:x"], 2, "is not TOPIC or TOPIC:PARTITION"),
    "no topic": (["pause", ":1"], 2, "is not TOPIC or TOPIC:PARTITION"),
    "a slip": (["pause", "oders"], 2, "Is it 'orders'?"),
    "a name like none": (["offsets", "warehouse_stock"], 2, "`pgsinkd status` lists"),
    "not begun": (["seek", "payments", "latest"], 1, "has not been read"),
    "reset without a word": (["reset", "orders"], 2, "--yes"),
    "reset of a partition": (["reset", "orders:0", "--yes"], 2, "as a whole"),
    "reset of nothing": (["reset"], 2, "usage: pgsinkd reset"),
    "too much": (["status", "orders"], 2, "usage: pgsinkd status"),
}


def test_mistakes_change_nothing(bench, cli):
    partition(bench, "orders", 0, 5)
    for case, ((verb, *argv), code, said) in MISUSE.items():
        assert said in cli(verb, *argv, code=code).stderr, case
    assert bench.sql("SELECT topic, partition, next_offset, owner_epoch FROM pgsinkd.offsets") == [("orders", 0, 5, 1)]
    assert bench.sql("SELECT topic FROM pgsinkd.paused UNION ALL SELECT topic FROM pgsinkd.seeks") == []


def test_faults_have_their_exit_codes(bench, cli):
    away = cli.config | {"postgres": {"dsn": "host=127.0.0.1 port=1 user=nobody"}}
    assert cli("status", code=4, config=away).stderr
    without = cli.config | {"delivery": "at_least_once"}
    assert "no ledger" in cli("pause", code=3, config=without).stderr
    older = cli.config | {"postgres": cli.config["postgres"] | {"schema": "older"}}
    assert "pgsinkd init" in cli("status", code=4, config=older).stderr


def test_a_reader_sees_and_an_operator_moves(bench):
    """Neither may make rows, which only taking over a group for a new topic needs."""
    config = bench.config(topics=["orders"])
    roles = [f"{bench.sink}_{name}" for name in ("reader", "operator")]
    for role in roles:
        bench.sql(f"CREATE ROLE {role} LOGIN PASSWORD 'p'")
    script = bench.root / "schema.sql"
    script.write_text(bench.command("init", config, "--print").stdout)
    done = bench.psql("-v", f"reader={roles[0]}", "-v", f"operator={roles[1]}", "-f", script)
    assert done.returncode == 0, done.stderr
    partition(bench, "orders", 0, 5)

    def run(role, verb, *argv):
        return bench.command(verb, config | {"postgres": {"dsn": bench.dsn(user=role, password="p")}}, *argv)

    try:
        for role in roles:
            assert run(role, "status").returncode == run(role, "status", "--json").returncode == 0
            assert len(lines(run(role, "offsets", "orders"))) == 2
        refused = run(roles[0], "pause")
        assert refused.returncode == 4 and "permission denied" in refused.stderr
        assert lines(run(roles[1], "seek", "orders:0", "4")) == ["orders-0: 5 -> 4"]
        assert lines(run(roles[1], "pause", "orders")) == ["orders-0: paused at 4"]
        assert lines(run(roles[1], "resume", "orders")) == ["orders-0: was paused, goes on at 4"]
        assert lines(run(roles[1], "reset", "orders", "--yes")) == ["orders-0: 4 -> forgotten"]
    finally:
        for role in roles:
            bench.sql(f"DROP OWNED BY {role}; DROP ROLE {role}")


# status


def test_status_of_nothing(bench, cli):
    assert cli("status").stdout == f"sink {bench.sink}: nothing has been read yet, and no daemon runs\n"


def fill_status(bench):
    partition(bench, "orders", 0, 5, 10)
    partition(bench, "payments", 0, 5, 1000)
    partition(bench, "idle", 0, 5, 5)
    bench.sql("UPDATE pgsinkd.offsets SET standing = 'stopped', standing_since = now(),"
              " standing_reason = E'why \x1b[31mnot', standing_hint = 'Do.' WHERE topic = 'orders'")  # fmt: skip


def test_status_shows_what_is_most_behind_first_and_no_escapes_of_others(bench, cli):
    fill_status(bench)
    shown = cli("status").stdout
    assert "\x1b" not in shown and "    why \\u001b[31mnot\n    HINT: Do.\n" in shown
    topics = [line.split()[0] for line in shown[shown.index("\ntopic ") :].splitlines()[2:]]
    assert topics == ["payments", "orders", "idle"]


def on_terminal(config_path, *argv, act, env=None):
    """Runs `pgsinkd status` on a terminal; act(popen, write, shown) sees it run. (exit code, all that was shown)"""
    ours, its = pty.openpty()
    shown = bytearray()
    with subprocess.Popen(
        [str(daemon.BINARY), "status", "-c", str(config_path), *argv],
        stdin=its, stdout=its, stderr=its, env=daemon.environment({"TERM": "xterm"} | (env or {})),
    ) as popen:  # fmt: skip
        os.close(its)
        os.set_blocking(ours, False)

        def read():
            try:
                while data := os.read(ours, 4096):
                    shown.extend(data)
            except (BlockingIOError, OSError):
                pass
            return shown.decode()

        act(popen, lambda text: os.write(ours, text.encode()), read)
        code = popen.wait(20)
        read()
        os.close(ours)
    return code, shown.decode()


@pytest.fixture
def status_config(bench, cli, tmp_path):
    fill_status(bench)
    path = tmp_path / "status.yaml"
    path.write_text(daemon.yaml(cli.config) + "\n")
    return path


def test_colours_only_where_they_are_wanted(status_config):
    for env, coloured in [({}, True), ({"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False)]:
        code, shown = on_terminal(status_config, act=lambda *_: None, env=env)
        assert code == 0 and "orders-0" in shown
        assert ("\x1b[" in shown) == coloured, env


@pytest.mark.parametrize("how", ["q", "ctrl-c"])
def test_watch_refreshes_in_place_until_it_is_told(bench, status_config, how):
    def act(popen, write, shown):
        wait.until(lambda: "payments" in shown(), "the first look")
        bench.sql("UPDATE pgsinkd.offsets SET end_offset = 5555555 WHERE topic = 'idle'")
        wait.until(lambda: "5555550" in shown(), "the second look")
        if how == "q":
            write("xq")
        else:
            popen.send_signal(signal.SIGINT)

    code, shown = on_terminal(status_config, "--watch", act=act)
    assert code == 0
    assert shown.count("\x1b[H") >= 2 and shown.count("\x1b[2J") == 1
    assert shown.rindex("idle") < shown.rindex("payments")


def test_watch_survives_a_lost_connection(bench, status_config):
    def act(_popen, write, shown):
        wait.until(lambda: "payments" in shown(), "the first look")
        bench.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'pgsinkd status'"
                  " AND datname = current_database()")  # fmt: skip
        wait.until(lambda: "trying again" in shown(), "the fault")
        wait.until(lambda: "payments" in shown().rpartition("trying again")[2], "a look after it")
        write("q")

    code, _ = on_terminal(status_config, "--watch", act=act)
    assert code == 0


def test_watch_into_a_pipe_is_one_object_after_another(bench, status_config):
    argv = [str(daemon.BINARY), "status", "-c", str(status_config), "--watch", "--json"]
    with subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, env=daemon.environment()) as popen:
        looks = [json.loads(popen.stdout.readline()) for _ in range(2)]
        popen.stdout.close()  # nobody reads any more
        assert popen.wait(20) == 0
    assert [look["status"]["partitions"] for look in looks] == [3, 3]


def test_a_sink_that_nobody_knows(bench, cli):
    """A slip in the name, or another database. Only a pause may come first; it says so."""
    partition(bench, "orders", 0, 5)
    other = cli.config | {"sink": bench.sink + "x"}
    said = f"no daemon of sink '{bench.sink}x' has ever used this schema, 'pgsinkd'\nHINT: Is it '{bench.sink}'?\n"
    assert cli("resume", code=1, config=other).stderr == said
    done = bench.command("pause", other, "--json")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "warning: " + said)
    assert cli("pause", config=other).stdout == f"sink '{bench.sink}x': paused; nothing of it has been read yet\n"
    cli("resume", config=other)
    far = cli.config | {"sink": "nothing-like-it"}
    assert "HINT: Check `sink`, and the database and schema" in cli("resume", "orders", code=1, config=far).stderr
    assert "has not been read by sink 'nothing-like-it' yet" in cli("reset", "orders", "--yes", code=1, config=far).stderr
    assert bench.sql("SELECT sink FROM pgsinkd.paused") == []


def test_seek_beyond_the_end_says_so(bench, cli):
    """The end may be old, so it is done all the same; at the end is where everything has been stored."""
    partition(bench, "orders", 0, 5, end=9)
    partition(bench, "orders", 1, 5, end=20)
    partition(bench, "orders", 2, 5)
    done = bench.command("seek", cli.config, "orders", "12")
    assert done.returncode == 0 and len(lines(done)) == 3
    assert done.stderr == (
        "warning: orders-0@12 is beyond the end, which was 9\nHINT: Unless the log has grown so far, the partition stops"
        " there. To store only what comes from now on: latest.\n"
    )
    cli("seek", "orders:0", "9")


def test_rates_are_those_of_who_reads(bench, cli):
    """After a kill the last heartbeat looks alive for 30 s; its partitions are those of another by then."""
    partition(bench, "orders", 0, 5)
    bench.sql("UPDATE pgsinkd.offsets SET owner = 'h:2:b'")
    for owner, pid, rate in (("h:1:a", 1, 70000), ("h:2:b", 2, 3)):
        bench.sql(
            "SELECT pgsinkd.heartbeat(%s, %s, 'h', %s, '0.1.0', 1000, 1, 1, %s, %s, NULL, NULL)",
            bench.sink, owner, pid, rate, rate,
        )  # fmt: skip
    assert "; 3 records/s, 3 rows/s;" in cli("status").stdout
    (status,) = objects(cli("status", "--json"))
    assert status["status"]["records_per_second"] == status["status"]["rows_per_second"] == 3
    assert status["status"]["instances"] == 2
