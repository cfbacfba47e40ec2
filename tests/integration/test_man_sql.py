"""pgsinkd-sql(7): its examples work, and its reference has what the schema has."""

import pathlib
import re
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
TEMPLATE = ROOT / "man" / "pgsinkd-sql.7.in"


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """As the build makes it."""
    path = tmp_path_factory.mktemp("man") / "pgsinkd-sql.7"
    steps = sorted((ROOT / "sql").glob("0*.sql"))
    subprocess.run([sys.executable, ROOT / "tools" / "sql_man.py", path, TEMPLATE, *steps], check=True)
    return path.read_text()


def examples():
    blocks = re.findall(r"^\.Bd -literal.*?\n(.*?)^\.Ed$", TEMPLATE.read_text(), re.M | re.S)
    return [one.strip() for block in blocks for one in block.split(";\n") if one.strip()]


def named(example, sink, topic):
    """With the test's names: the page calls the sink as its topic."""
    example = example.replace("'orders', 'orders'", f"'{sink}', '{topic}'").replace("topic = 'orders'", f"topic = '{topic}'")
    return example.replace("'orders'", f"'{sink}'")


@pytest.mark.quick
def test_the_examples_work(bench):
    """An operator executes them, in their order."""
    log = bench.topic(partitions=4)
    bench.plain_table()
    log.fill(400)
    bench.drain(bench.config(log))
    answers = {}
    with bench.db.transaction(force_rollback=True):
        for example in examples():
            answers[example] = bench.db.execute(named(example, bench.sink, log.topic))
        position = "SELECT next_offset FROM pgsinkd.offsets WHERE partition = 3"
        assert bench.value(position) == 120001, "after seek() and UPDATE"
    first = {re.search(r"pgsinkd\.(\w+)", example)[1]: done for example, done in answers.items()}
    assert len(first["lag"].fetchall()) == 4
    assert len(first["status"].fetchall()) == 1
    assert first["partitions"].rowcount == 4
    assert first["seek"].fetchall() == [(100,)]
    assert [first[name].fetchall() for name in ("resume", "replay", "discard")] == [[(0,)], [(0,)], [(0,)]]
    bench.check(log)


def test_the_reference_has_every_object_for_operators(bench, page):
    log = bench.topic(partitions=1)
    bench.plain_table()
    log.fill(1)
    bench.drain(bench.config(log))
    names = re.findall(r'^\.It Li "(\w+)', page, re.M)
    relations = bench.sql("SELECT relname FROM pg_class WHERE relnamespace = 'pgsinkd'::regnamespace AND relkind IN ('r', 'v')")
    functions = bench.sql(
        "SELECT proname FROM pg_proc WHERE pronamespace = 'pgsinkd'::regnamespace"
        " AND obj_description(oid, 'pg_proc') !~ 'Internal:|Called by pgsinkd'"
    )
    assert sorted(names) == sorted(name for (name,) in relations + functions)
    bench.check(log)
