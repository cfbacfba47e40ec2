"""Several processes of one sink have one file: orders.yaml, orders:2.yaml and orders:3.yaml, as pgsinkd@orders:3 asks."""

import contextlib
import re
import socket

import pytest

from kit import daemon, process, wait, web


def ports():
    """P, so that P1, P2 and P3 are free ports."""
    while True:
        prefix = process.free_port() // 10
        with contextlib.ExitStack() as stack, contextlib.suppress(OSError):
            for n in (1, 2, 3):
                stack.enter_context(socket.socket()).bind(("127.0.0.1", prefix * 10 + n))
            return prefix


class Several:
    def __init__(self, bench, log):
        self.bench = bench
        self.prefix = ports()
        self.config = bench.config(
            log,
            properties={"group.instance.id": f"{bench.sink}-${{INSTANCE}}", "client.id": "member-${INSTANCE}"},
            http={"listen": f"127.0.0.1:{self.prefix}${{INSTANCE}}"},
        )
        (bench.root / "orders.yaml").write_text(daemon.yaml(self.config) + "\n")

    def start(self, name):
        return self.bench.start(self.bench.root / f"{name}.yaml")


def shares(bench, log):
    """How many partitions each owner has."""
    return sorted(n for (n,) in bench.sql("SELECT count(*) FROM pgsinkd.offsets GROUP BY owner"))


def test_three_processes_of_one_file(bench):
    log = bench.topic(partitions=6)
    bench.plain_table()
    several = Several(bench, log)
    first, second, _ = [several.start(name) for name in ("orders", "orders:2", "orders:3")]
    log.fill(600)
    bench.wait_stored(log)
    wait.until(lambda: shares(bench, log) == [2, 2, 2], "each to have two partitions")
    assert sorted(bench.kafka.group(bench.group)[1]) == ["member-1", "member-2", "member-3"]
    assert [web.Web(several.prefix * 10 + n).status("/livez") for n in (1, 2, 3)] == [200] * 3
    before = bench.owners(log)
    second.kill()
    log.fill(600)
    several.start("orders:2")
    bench.wait_stored(log)
    claimed = [epoch - before[p] for p, epoch in bench.owners(log).items()]
    assert sorted(claimed) == [0, 0, 0, 0, 1, 1], "the others were concerned"
    assert first.running
    bench.check(log)


NAMES = {
    # -c: the file, INSTANCE
    "orders.yaml": ("orders.yaml", "1"),
    "orders:2.yaml": ("orders.yaml", "2"),
    "orders:17": ("orders", "17"),
    "real:4.yaml": ("real:4.yaml", "4"),
    "orders:x.yaml": ("orders:x.yaml", "1"),
    ":5.yaml": (":5.yaml", "1"),
    "a:b:6.yaml": ("a:b.yaml", "6"),
}


FILE = """
sink: orders
kafka: {brokers: "a:1"}
postgres: {dsn: "dbname=x", schema: "of_${INSTANCE}"}
routes: [{topics: [a], table: a}]
"""


def instance(path, **env):
    """What INSTANCE is in the file that -c names."""
    done = daemon.command("init", "-c", path, "--print", env=env)
    assert done.returncode == 0, done.stderr
    return re.search(r"CREATE SCHEMA .*\bof_(\w+)", done.stdout)[1]


@pytest.mark.parametrize("name", NAMES)
def test_the_name_says_which_file_and_which_process(tmp_path, name):
    file, number = NAMES[name]
    (tmp_path / file).write_text(FILE)
    assert instance(tmp_path / name) == number


def test_the_environment_says_it_where_the_name_does_not(tmp_path):
    (tmp_path / "orders.yaml").write_text(FILE)
    assert instance(tmp_path / "orders.yaml", INSTANCE="7") == "7"
    assert instance(tmp_path / "orders:2.yaml", INSTANCE="7") == "2"


def test_the_file_that_is_missing_is_named(tmp_path):
    done = daemon.command("config", "-c", tmp_path / "orders:2.yaml")
    assert done.returncode == 3 and "orders.yaml" in done.stderr
