"""Metrics and health over HTTP: what is answered when, and that nobody who asks is in the way of anything."""

import contextlib
import http.client
import re
import socket
import time

import pytest

from kit import wait
from kit.process import free_port, frozen_thread
from kit.web import Web, read_all


def start(bench, log, **changes):
    """A daemon that listens, and who asks it."""
    web = Web(free_port())
    options = {key: changes.pop(key) for key in ("ready", "env") if key in changes}
    d = bench.start(bench.config(log, http={"listen": web.address}, **changes), **options)
    return d, web


def filled(bench, partitions=2, records=200):
    log = bench.topic(partitions=partitions)
    bench.plain_table()
    log.fill(records)
    return log


@pytest.mark.quick
@pytest.mark.sanitize
def test_health_and_metrics_of_a_daemon_that_stores(bench):
    log = filled(bench)
    d, web = start(bench, log)
    bench.wait_stored(log)
    wait.until(lambda: web.status("/readyz") == 200, "it to be ready")
    assert web.get("/readyz").text == "ready\n"
    assert web.get("/livez").text == "alive\n"
    assert wait.until(lambda: web.metric("pgsinkd_records_total", topic=log.topic) == 200, "all to be counted")
    assert web.metric("pgsinkd_rows_total", route="events") == 200
    lags = wait.until(lambda: web.metrics().get("pgsinkd_lag_records"), "the ends to be known")
    assert set(lags.values()) == {0}
    assert web.metric("pgsinkd_claims_total") == 2
    assert web.metric("pgsinkd_transactions_total") == web.metric("pgsinkd_batch_rows_count")
    assert web.metric("pgsinkd_batch_rows_sum") == 200
    assert abs(web.metric("pgsinkd_last_commit_timestamp_seconds") - time.time()) < 60
    d.terminate()
    bench.check(log)


def test_it_is_not_ready_before_postgresql_answers(bench):
    log = filled(bench)
    proxy, dsn = bench.postgres_proxy()
    proxy.refuse()
    _, web = start(bench, log, ready=False, postgres={"dsn": dsn})
    wait.until(lambda: web.try_get("/readyz"), "it to listen")
    answer = web.get("/readyz")
    assert (answer.status, answer.text) == (503, "starting: the database is not prepared yet\n")
    assert web.status("/livez") == 200
    assert web.metric("pgsinkd_ready") == 0
    proxy.reopen()
    wait.until(lambda: web.status("/readyz") == 200, "it to be ready")
    bench.wait_stored(log)
    bench.check(log)


# Who behaves badly


@contextlib.contextmanager
def stalled(web, n, request=b"GET /metrics HTTP/1.1\r\nHost: x\r\n"):
    """So many connections that begin a request and never end it."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(web.connect()) for _ in range(n)]
        for s in sockets:
            with contextlib.suppress(ConnectionError):  # it has been closed for a newer one
                s.sendall(request)
        yield sockets


def scrape_seconds(web):
    begun = time.monotonic()
    assert "pgsinkd_records_total" in web.get("/metrics").text
    return time.monotonic() - begun


@pytest.mark.quick
def test_stalled_connections_do_not_keep_an_honest_one_out(bench):
    log = filled(bench)
    d, web = start(bench, log)
    bench.wait_stored(log)
    for request in (b"", b"GET /metrics HTTP/1.1\r\nHost: x\r\n"):
        with stalled(web, 300, request):
            assert max(scrape_seconds(web) for _ in range(3)) < 1
            assert web.status("/livez") == 200
            assert web.metric("process_open_fds") < 200
            log.fill(50)
            bench.wait_stored(log)
    d.terminate()  # also while they are open
    bench.check(log)


def test_it_stops_in_time_while_connections_stall(bench):
    log = filled(bench)
    d, web = start(bench, log)
    bench.wait_stored(log)  # or the stop may come before the first batch
    with stalled(web, 80):
        assert web.status("/livez") == 200
        d.terminate()
    bench.check(log)


def test_who_is_late_is_closed(bench):
    """A byte from time to time does not keep a connection open: what counts is that a request is complete."""
    log = filled(bench)
    _, web = start(bench, log)
    begun = time.monotonic()
    with web.connect() as s, contextlib.suppress(ConnectionError):
        s.settimeout(1)
        while time.monotonic() < begun + 20:
            s.sendall(b"G")
            with contextlib.suppress(TimeoutError):
                if not s.recv(1):
                    break
    assert 8 < time.monotonic() - begun < 15
    bench.wait_stored(log)
    bench.check(log)


def request(line, *headers):
    return "\r\n".join([line, "Host: x", "Connection: close", *headers, "", ""]).encode()


@pytest.mark.sanitize
def test_requests_that_nobody_should_send(bench):
    log = filled(bench)
    d, web = start(bench, log)
    get = "GET {} HTTP/1.1".format
    refused = {
        request("POST /metrics HTTP/1.1", "Content-Length: 5") + b"hello": 405,
        request("DELETE / HTTP/1.1"): 405,
        request("OPTIONS * HTTP/1.1"): 405,
        request("CONNECT a:1 HTTP/1.1"): 405,
        request("BREW /metrics HTTP/1.1"): 405,
        request(get("/metrics"), "Content-Length: 5") + b"hello": 413,
        request(get("/metrics"), "Transfer-Encoding: chunked") + b"0\r\n\r\n": 413,
        request(get("/metrics"), "X: " + "x" * 100_000): 431,
        request(get("/" + "x" * 100_000)): 414,
        request(get("/../../etc/passwd")): 404,
        request(get("/%2e%2e/%2e%2e/etc/passwd")): 404,
        request(get("/metrics/")): 404,
        request(get("//metrics")): 404,
        request(get("/metrics%00")): 200,
        request(get("/%6detrics")): 200,
        request(get("/%")): 404,
        request(get("/%zz%f")): 404,
        request(get("/metrics?x=%00&y[]=<script>")): 200,
        request(get("http://x/metrics")): 404,
        request("GET /metrics HTTP/1.0"): 200,
        request("GET /metrics HTTP/9.9"): 505,
    }
    got = {}
    for text in refused:
        answer = web.send(text)
        got[text[:60]] = int(answer.split()[1]) if re.match(rb"HTTP/1\.[01] \d+", answer) else answer[:60]
        assert b"<script>" not in answer
    assert got == {text[:60]: status for text, status in refused.items()}
    for garbage in (b"\0" * 5000, b"\r\n" * 5000, b"GET\r\n\r\n", b"GET /metrics\r\n\r\n", b"\x16\x03\x01\x02\0\x01\0",
                    b"GET /metrics HTTP/1.1\r\n: x\r\n\r\n"):  # fmt: skip
        with web.connect() as s:
            with contextlib.suppress(ConnectionError):
                s.sendall(garbage)
                s.shutdown(socket.SHUT_WR)
            assert not re.match(rb"HTTP/1\.[01] 5", read_all(s)), garbage[:20]
    assert d.running
    assert web.status("/readyz") == 200
    bench.wait_stored(log)
    bench.check(log)


def test_head_keep_alive_and_pipelining(bench):
    log = filled(bench)
    _, web = start(bench, log)
    head = web.get("/livez", method="HEAD")
    assert (head.status, head.headers["Content-Length"], head.text) == (200, "6", "")
    assert head.headers["X-Content-Type-Options"] == "nosniff"
    connection = http.client.HTTPConnection("127.0.0.1", web.port, timeout=10)
    with contextlib.closing(connection):
        for path in ("/metrics", "/livez", "/nothing", "/metrics"):
            connection.request("GET", path)
            local = connection.sock.getsockname()
            connection.getresponse().read()
            assert connection.sock.getsockname() == local  # the same connection
    one = b"GET /readyz HTTP/1.1\r\nHost: x\r\n\r\n"
    answers = web.send(one * 50 + request("GET /livez HTTP/1.1"))
    assert answers.count(b"HTTP/1.1 200") == 51
    bench.wait_stored(log)
    bench.check(log)


@pytest.mark.quick
def test_main_hangs(bench):
    """Metrics are those of before, /readyz says so, and /livez follows the watchdog's rule."""
    log = filled(bench)
    d, web = start(bench, log, env={"PGSINKD_FAILTIMES": "beat_limit=3000"})
    bench.wait_stored(log)
    wait.until(lambda: web.metric("pgsinkd_records_total", topic=log.topic) == 200, "all to be counted")
    with frozen_thread(d.pid):
        wait.until(lambda: web.status("/livez") == 503, "it not to be alive", 10)
        assert web.get("/livez").text == "the loop of main hangs\n"
        assert web.get("/readyz").text == "the main loop does not answer\n"
        assert web.metric("pgsinkd_records_total", topic=log.topic) == 200
        assert web.metric("pgsinkd_ready") == 0
    wait.until(lambda: web.status("/livez") == 200 and web.status("/readyz") == 200, "it to be well again")
    bench.check(log)


# A port that cannot be had


def test_a_port_that_is_taken(bench):
    log = filled(bench)
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        d = bench.start(bench.config(log, http={"listen": f"127.0.0.1:{port}"}), ready=False)
        d.allow("http.listen")
        assert d.wait_exit() == 1  # the service manager tries again
        assert re.search(rf":\d+:\d+: 'http.listen: 127.0.0.1:{port}': cannot listen: Address already in use", d.log())
        assert "HINT: Another process listens there" in d.log()
    assert not bench.rows()
    d, _ = start(bench, log)
    bench.wait_stored(log)
    bench.check(log)


def test_an_address_of_ipv6(bench):
    log = filled(bench)
    web = Web(free_port(), host="::1")
    bench.start(bench.config(log, http={"listen": web.address}))
    assert web.status("/readyz") == 200
    bench.wait_stored(log)
    bench.check(log)
