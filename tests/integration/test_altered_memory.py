"""Memory stays flat while one table after the other is altered, here and in the server's session."""

import os
from pathlib import Path

import pytest

from kit import wait
from kit.model import Model

TABLES = 100
ALTERED = 10  # of them, in turn
ALTERS = int(os.environ.get("ALTERS", 40))  # more of them for a measurement


def memory_kib(pid):
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1])
    raise AssertionError("no VmRSS")


@pytest.mark.parametrize("path", ["copy", "unnest"])
def test_memory_over_many_alters(bench, path):
    log = bench.topic()
    columns = ", ".join(f"c{i} int" for i in range(20))
    tables = [f"events_{i}" for i in range(TABLES)]
    for table in tables:
        bench.sql(f"CREATE TABLE {table} (k int PRIMARY KEY, {columns})")
    route = {"mode": "upsert", "key": ["k"], "tables": tables}
    d = bench.start(bench.config(log, "events_{value.t}", route=route, workers=1, batch={"write_path": path}))
    d.allow("changed", "does not exist", "reading again")
    for i in range(TABLES):
        log.send_json(t=i, k=0, c1=1)
    bench.wait_stored(log)
    seen = []
    for n in range(1, ALTERS + 1):
        t = n % ALTERED
        drop = f", DROP x{n - ALTERED}" if n > ALTERED else ""  # or the columns, which take memory, would become more
        bench.sql(f"ALTER TABLE events_{t} ADD x{n} int{drop}")
        log.send_json(t=t, k=n, **{f"x{n}": n})
        wait.until(lambda: bench.value(f"SELECT count(*) FROM events_{t} WHERE x{n} = {n}"), "the new column to be filled")
        if n % (ALTERS // 8) == 0:
            seen.append(memory_kib(d.pid))
    print("VmRSS in KiB:", seen)
    stages = bench.value("SELECT count(*) FROM pg_class WHERE relname LIKE 'pgsinkd_stage%'")
    print("temporary tables:", stages)
    # what is read of one table takes 16 KiB, that of all tables 1.5 MB; all the memory grows by less than 30 KiB in 120 ALTERs
    assert max(seen[4:]) - seen[3] < 200
    assert stages <= 64  # 32 that are not used any more are taken away, with the others
    bench.sql("CREATE VIEW events AS " + " UNION ALL ".join(f"SELECT {i} AS t, k FROM events_{i}" for i in range(TABLES)))
    bench.check(log, model=Model("upsert", ["t", "k"], ["t", "k"]))
