"""What Prometheus makes of the metrics, the alerts and the dashboard, with Prometheus itself."""

import json
import re
import subprocess
import urllib.parse
from pathlib import Path

import pytest

from kit import process, wait
from kit.process import free_port
from kit.web import Web

ROOT = Path(__file__).resolve().parents[2]
ALERTS = ROOT / "contrib/prometheus/pgsinkd-alerts.yml"
DASHBOARD = ROOT / "contrib/grafana/pgsinkd.json"
NAME = re.compile(r"\b(?:pgsinkd|process)_[a-z_]+")


def start(bench, config, **http):
    web = Web(free_port())
    d = bench.start(config | {"http": {"listen": web.address} | http})
    return d, web


def promtool(*argv, text=None):
    done = subprocess.run(["promtool", *map(str, argv)], input=text, capture_output=True, text=True)
    return done.returncode, done.stdout + done.stderr


def documented():
    """{name: labels} of docs/metrics.md."""
    rows = re.findall(r"^\| `(\w+)` \| (\w+) \| ([\w, ]*) \|", (ROOT / "docs/metrics.md").read_text(), re.M)
    return {name: {label.strip() for label in labels.split(",") if label.strip()} for name, _, labels in rows}


def families(text):
    return set(re.findall(r"^# TYPE (\w+) ", text, re.M))


@pytest.mark.quick
def test_what_is_served_is_what_is_documented(bench):
    """Each row of stats.def, and nothing else; promtool finds nothing to say about it, in either format."""
    log = bench.topic(partitions=2)
    bench.plain_table()
    log.fill(100)
    _, web = start(bench, bench.config(log, route={"on_error": "dead_letter"}))
    bench.wait_stored(log)
    wait.until(lambda: web.metrics().get("pgsinkd_lag_seconds"), "the ends to be known")
    answer = web.get("/metrics")
    assert answer.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert families(answer.text) == set(documented())
    assert promtool("check", "metrics", text=answer.text) == (0, "")
    for name, samples in web.metrics().items():
        of = re.sub(r"_(bucket|sum|count)$", "", name) if name not in documented() else name
        for labels in samples:
            assert {key for key, _ in labels} <= documented()[of], name
    openmetrics = web.get("/metrics", Accept="application/openmetrics-text; version=1.0.0, */*;q=0.1")
    assert openmetrics.headers["Content-Type"].startswith("application/openmetrics-text; version=1.0.0")
    assert openmetrics.text.endswith("\n# EOF\n")
    assert "# UNIT pgsinkd_records records\n" in openmetrics.text
    assert {n.removesuffix("_total") for n in documented()} == families(openmetrics.text)
    bench.check(log)


def by(metrics, name, **labels):
    """The sum of a metric over the samples with these labels."""
    wanted = set(labels.items())
    return sum(value for found, value in metrics.get(name, {}).items() if wanted <= set(found))


@pytest.mark.quick
def test_what_passes_between_the_daemon_and_brokers(bench):
    log = bench.topic(partitions=2)
    bench.plain_table()
    log.fill(100)
    d, web = start(bench, bench.config(log))
    bench.wait_stored(log)
    m = web.metrics()
    received = by(m, "pgsinkd_broker_received_bytes_total", broker="1")
    assert received > 100 * 10 and by(m, "pgsinkd_broker_sent_bytes_total", broker="1") > 100
    for request in ("fetch", "other"):
        assert by(m, "pgsinkd_broker_round_trip_seconds_count", broker="1", request=request) > 0
    assert by(m, "pgsinkd_broker_round_trip_seconds_sum") < 60
    assert by(m, "pgsinkd_broker_connects_total") >= 2  # the address, and the broker
    assert by(m, "pgsinkd_rebalances_total", kind="assigned") == 1
    assert by(m, "pgsinkd_rebalances_total", kind="lost") == 0

    def lost():
        """(connections that ended, requests that were lost with one)"""
        m = web.metrics()
        return (by(m, "pgsinkd_broker_disconnects_total"),
                by(m, "pgsinkd_broker_failed_requests_total", reason="transport"))  # fmt: skip

    before = lost()
    bench.kafka.kill()
    try:
        # Each is counted by itself: one page may have the one and not yet the other.
        wait.until(lambda: all(now > then for now, then in zip(lost(), before, strict=True)), "a connection to end")
    finally:
        bench.kafka.start()
    log.fill(10)
    bench.wait_stored(log)
    d.terminate()
    bench.check(log)


def test_throttling_is_seen(bench):
    """A quota of Kafka makes the daemon wait, and it says for how long."""
    log = bench.topic()
    bench.plain_table()
    log.fill(20_000)
    with bench.kafka.quota(consumer_byte_rate=10_000):
        _, web = start(bench, bench.config(log))
        wait.until(lambda: by(web.metrics(), "pgsinkd_broker_throttled_seconds_total", broker="1") > 0, "throttling")
    bench.wait_stored(log)
    bench.check(log)


def test_partitions_are_added_up(bench):
    log = bench.topic(partitions=3)
    bench.plain_table()
    log.fill(30)
    config = bench.config(log)
    _, web = start(bench, config, partitions=2)
    bench.wait_stored(log)
    lag = wait.until(lambda: web.metrics().get("pgsinkd_lag_records"), "the ends to be known")
    assert lag == {(("partition", "all"), ("topic", log.topic)): 0}
    assert not web.metrics().get("pgsinkd_next_offset")
    assert web.metric("pgsinkd_partitions", topic=log.topic) == 3
    bench.check(log)


def test_counters_of_topics_stay_when_partitions_go(bench):
    """A second process takes half of the partitions: what was stored of them is still counted."""
    log = bench.topic(partitions=4)
    bench.plain_table()
    log.fill(400)
    config = bench.config(log)
    _, web = start(bench, config)
    bench.wait_stored(log)
    wait.until(lambda: web.metric("pgsinkd_records_total", topic=log.topic) == 400, "all to be counted")
    other = bench.start(config)
    wait.until(lambda: web.metric("pgsinkd_partitions", topic=log.topic) == 2, "half of them to go")
    assert web.metric("pgsinkd_records_total", topic=log.topic) == 400
    other.terminate()
    bench.check(log)


@pytest.mark.quick
def test_prometheus_scrapes_it(bench):
    log = bench.topic(partitions=2)
    bench.plain_table()
    log.fill(100)
    _, web = start(bench, bench.config(log))
    bench.wait_stored(log)
    config = bench.root / "prometheus.yml"
    config.write_text(
        "global: {scrape_interval: 1s, evaluation_interval: 1s}\n"
        f"rule_files: [{ALERTS}]\n"
        "scrape_configs:\n"
        f"  - {{job_name: pgsinkd, static_configs: [{{targets: ['{web.address}']}}]}}\n"
    )
    port = free_port()
    prometheus = Web(port)
    with (bench.root / "prometheus.log").open("wb") as out:
        server = process.spawn(
            ["prometheus", f"--config.file={config}", f"--storage.tsdb.path={bench.root / 'tsdb'}",
             f"--web.listen-address=127.0.0.1:{port}"], stdout=out,
        )  # fmt: skip

    def query(text):
        answer = prometheus.get("/api/v1/query?query=" + urllib.parse.quote(text))
        return [float(found["value"][1]) for found in json.loads(answer.text)["data"]["result"]]

    try:
        wait.until(lambda: prometheus.try_get("/-/ready") and prometheus.status("/-/ready") == 200, "Prometheus")
        wait.until(lambda: query('up{job="pgsinkd"}') == [1], "a scrape")
        wait.until(lambda: query("sum(pgsinkd_records_total)") == [100], "all to be counted")
        assert query("sum(pgsinkd_batch_rows_sum)") == [100]
        targets = json.loads(prometheus.get("/api/v1/targets").text)["data"]["activeTargets"]
        assert [(t["health"], t["lastError"]) for t in targets] == [("up", "")]
        rules = json.loads(prometheus.get("/api/v1/rules").text)["data"]["groups"][0]["rules"]
        assert {rule["health"] for rule in rules} <= {"ok", "unknown"}
    finally:
        server.terminate()
        process.reap(server, 20)
    bench.check(log)


def expressions():
    for panel in json.loads(DASHBOARD.read_text())["panels"]:
        for target in panel["targets"]:
            yield target["expr"].replace("$__rate_interval", "1m").replace("$sink", ".*")


def test_alerts_fire():
    code, out = promtool("test", "rules", ALERTS.with_suffix(".test.yml"))
    assert code == 0, out
    tested = set(re.findall(r"alertname: (\w+)", ALERTS.with_suffix(".test.yml").read_text()))
    assert tested == set(re.findall(r"alert: (\w+)", ALERTS.read_text()))


def test_alerts_and_dashboard_use_what_there_is(tmp_path):
    rules = tmp_path / "dashboard.yml"
    rules.write_text(
        "groups: [{name: dashboard, rules: ["
        + ", ".join(f"{{record: 'panel:{i}', expr: {json.dumps(e)}}}" for i, e in enumerate(expressions()))
        + "]}]\n"
    )
    code, out = promtool("check", "rules", "--lint=none", rules)
    assert code == 0, out
    code, out = promtool("check", "rules", ALERTS)
    assert code == 0, out
    there = set()
    for name in documented():
        there |= {name, name + "_bucket", name + "_sum", name + "_count"}
    alerts = "\n".join(line for line in ALERTS.read_text().splitlines() if not line.strip().startswith("#"))
    used = set(NAME.findall(alerts)) | {name for e in expressions() for name in NAME.findall(e)}
    assert used <= there, used - there
    assert len(used) > 15
