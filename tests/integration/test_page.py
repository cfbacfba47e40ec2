"""The page and /status, in a real browser."""

import json
import os
import re
import subprocess

import pytest

from kit import wait
from kit.process import free_port
from kit.web import Web

EVIL = "<img src=x onerror=alert(1)>"


SHOTS = os.environ.get("PGSINKD_TEST_SHOTS")  # a folder: for people who want to look at the page


def shots(web):
    for name, size, argv in (
        ("light", "1100,900", []),
        ("dark", "1100,900", ["--blink-settings=preferredColorScheme=0"]),
        ("phone", "400,900", []),
    ):
        browser(f"http://{web.address}/", f"--screenshot={SHOTS}/{name}.png", f"--window-size={size}", *argv)


def browser(url, *argv):
    """The document after scripts have run, as Chromium has it."""
    done = subprocess.run(
        ["chromium-headless-shell", "--headless", "--no-sandbox", "--disable-gpu", "--timeout=10000",
         "--enable-logging=stderr", *argv, url],
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "CONSOLE" not in done.stderr, done.stderr  # neither errors of scripts nor refusals by the policy
    return done.stdout


def stored(bench):
    log = bench.topic(partitions=3)
    bench.plain_table()
    log.fill(300)
    web = Web(free_port())
    d = bench.start(bench.config(log, http={"listen": web.address}))
    bench.wait_stored(log)
    return log, d, web


@pytest.mark.quick
def test_the_page_in_a_browser(bench):
    log, d, web = stored(bench)
    d.allow(log.topic)
    bench.sql(f"CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
              f" RAISE EXCEPTION '{EVIL}' USING ERRCODE = 'object_not_in_prerequisite_state'; END $$")  # fmt: skip
    bench.sql("CREATE TRIGGER refuse BEFORE INSERT ON events FOR EACH ROW EXECUTE FUNCTION refuse()")
    log.fill(30)
    status = wait.until(
        lambda: next((s for s in [json.loads(web.get("/status").text)]
                      if any(p["state"] not in ("reading", "starting") for p in s["partitions"])), None),
        "a partition to stand",
    )  # fmt: skip
    reasons = [p["reason"] for p in status["partitions"] if "reason" in p]
    assert any(EVIL in reason for reason in reasons), status
    answer = web.get("/")
    assert "<img" not in answer.text
    nonces = re.findall(r'nonce="(\w+)"', answer.text)
    policy = answer.headers["Content-Security-Policy"]
    assert len(nonces) == 2 and all(f"'nonce-{n}'" in policy for n in nonces)
    assert "default-src 'none'" in policy and "unsafe" not in policy
    assert nonces[0] not in web.get("/").text  # another each time
    assert not re.search(r"(src|href)=.?(https?:)?//", answer.text)
    page = browser(f"http://{web.address}/", "--dump-dom")
    assert log.topic in page and "&lt;img src=x onerror=alert(1)&gt;" in page
    assert "<polyline" in page
    if SHOTS:
        shots(web)
    bench.sql("DROP TRIGGER refuse ON events")
    bench.wait_stored(log, timeout=90)
    assert json.loads(web.get("/status").text)["errors"]
    bench.check(log)


def test_status_of_a_sink_that_is_well(bench):
    log, _, web = stored(bench)

    def ends_known():
        s = json.loads(web.get("/status").text)
        return s if all(p["lag"] == 0 for p in s["partitions"]) else None

    status = wait.until(ends_known, "the ends to be known")
    assert (status["sink"], status["ready"], status["reason"]) == (bench.sink, True, "")
    assert [(p["topic"], p["partition"], p["next_offset"], p["state"]) for p in status["partitions"]] == [
        (log.topic, i, 100, "reading") for i in range(3)
    ]
    assert status["routes"] == [{"route": "events", "rows": 300, "dead_letters": 0}]
    assert status["records"] == 300
    assert status["errors"] == []
    bench.check(log)


def test_the_page_before_there_is_anything(bench):
    """PostgreSQL does not answer yet: the page and /status say that much."""
    log = bench.topic()
    bench.plain_table()
    log.fill(1)
    proxy, dsn = bench.postgres_proxy()
    proxy.refuse()
    web = Web(free_port())
    bench.start(bench.config(log, http={"listen": web.address}, postgres={"dsn": dsn}), ready=False)
    wait.until(lambda: web.try_get("/"), "it to listen")
    assert "the database is not prepared yet" in web.get("/").text
    assert json.loads(web.get("/status").text)["ready"] is False
    proxy.reopen()
    bench.wait_stored(log)
    bench.check(log)
