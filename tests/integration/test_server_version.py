"""Servers of versions that PostgreSQL itself has given up are refused, with a word that says why."""

import os

import pytest

from kit import postgres


@pytest.mark.quick
@pytest.mark.parametrize("delivery", ["exactly_once", "at_least_once"])
def test_a_server_that_is_too_old_is_refused(bench, delivery):
    """The version is what it says of itself; tools/test servers does this with a real one."""
    log = bench.topic(partitions=2)
    bench.plain_table()
    log.fill(10)
    proxy, dsn = bench.postgres_proxy()
    said = f"server_version\0{postgres.major()}".encode()
    proxy.rewrite = said, b"server_version\x0014"
    reason = "the server is PostgreSQL 14: pgsinkd needs 15 or newer"
    config = bench.config(log, delivery=delivery, postgres={"dsn": dsn})
    d = bench.drain(config, code=4, allow=[reason])
    assert "HINT: Upgrade the server" in d.log()
    for command in ("check", "init") if delivery == "exactly_once" else ("check",):
        done = bench.command(command, config)
        assert done.returncode == 4 and reason in done.stderr
    assert not bench.value("SELECT to_regnamespace('pgsinkd') IS NOT NULL")
    proxy.rewrite = None
    bench.drain(config)
    bench.check(log, delivery=delivery)


if "PGSINKD_TEST_OLD_POSTGRES" in os.environ:  # tools/test servers has such a server

    @pytest.mark.quick
    def test_a_real_server_that_is_too_old_is_refused(bench, root, monkeypatch):
        monkeypatch.setenv("PGSINKD_TEST_POSTGRES", os.environ["PGSINKD_TEST_OLD_POSTGRES"])
        version = postgres.major()
        server = postgres.Postgres(root, f"postgres-{version}").initdb().start()
        monkeypatch.undo()
        log = bench.topic(partitions=2)
        log.fill(10)
        reason = f"the server is PostgreSQL {version}: pgsinkd needs 15 or newer"
        try:
            bench.drain(bench.config(log, postgres={"dsn": server.dsn("postgres")}), code=4, allow=[reason])
        finally:
            server.destroy()
        bench.plain_table()
        bench.drain(bench.config(log))
        bench.check(log)
