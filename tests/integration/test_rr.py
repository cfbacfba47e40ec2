import pytest, shutil
from kit import wait
@pytest.mark.parametrize("how", ["stop","kill"])
@pytest.mark.parametrize("n", [0, 1,2.5,3.0,3.5,4,5])
def test_rr(bench, n, how):
    log = bench.topic(partitions=8)
    bench.plain_table()
    log.fill(20_000)
    d = bench.start(bench.config(log, batch={"max_rows": 1000}, log={"level":"debug"}, properties={"debug":"cgrp"}))
    bench.wait_stored(log)
    for k in (0,1):
        getattr(bench.kafka, how)()
        wait.stays(lambda: True, "x", n + 0.3*k)
        bench.kafka.start()
        log.fill(10_000)
        try:
            bench.wait_stored(log)
        except AssertionError:
            shutil.copy(d.log_path, f"/tmp/rr-{n}-{how}.log"); raise
    bench.check(log)
