"""Host names in postgres.dsn: all addresses of a name, and name servers that do not answer."""

import time

from kit import daemon, wait


class Names:
    """What getaddrinfo says to one daemon, see tests/fake_names.c."""

    def __init__(self, bench, name, addresses):
        self.path = bench.root / f"{name}.names"
        self.env = {"LD_PRELOAD": str(daemon.FAKE_NAMES), "FAKE_NAMES": str(self.path)}
        self.set(addresses)

    def set(self, addresses):
        new = self.path.with_suffix(".new")
        new.write_text(f"db.test {addresses}\n")
        new.rename(self.path)


def test_name_servers_are_dead(bench):
    """Every connection has to be made again, and no name server answers: nothing but that waits for them.

    The watchdog is fed, a revocation is answered at once, and so is a stop.
    """
    log = bench.topic(partitions=4)
    bench.plain_table()
    dead = Names(bench, "one", "127.0.0.1")
    config = bench.config(log, postgres={"dsn": bench.dsn(host="db.test")})
    env = dead.env | {"PGSINKD_FAILTIMES": "beat_limit=3500"}
    d = bench.start(config, env=env, watchdog=1)
    log.fill(1000)
    bench.wait_stored(log)
    dead.set("-")
    bench.postgres.terminate_backends()
    d.wait_log("trying again until it answers")
    begun = time.monotonic()
    log.fill(1000)

    def is_fed():
        return d.running and d.notify.values("WATCHDOG", since=time.monotonic() - 1.5)

    wait.stays(is_fed, "a watchdog that is fed", 5.5)
    heir = bench.start(config, env=Names(bench, "other", "127.0.0.1").env)
    owned = "SELECT count(*) FROM pgsinkd.offsets WHERE owner LIKE %s"
    wait.until(lambda: bench.value(owned, f"%:{heir.pid}:%") == 2, "the other daemon to have its part", timeout=10)
    assert "releasing it anyway" not in d.log()
    wait.stays(is_fed, "a watchdog that is fed", 1)
    assert d.notify.values("WATCHDOG", since=begun)
    assert d.terminate() < 2
    bench.wait_stored(log)
    bench.check(log)


def test_name_servers_answer_again(bench):
    log = bench.topic(partitions=2)
    bench.plain_table()
    names = Names(bench, "one", "-")
    config = bench.config(log, postgres={"dsn": bench.dsn(host="db.test")})
    d = bench.start(config, env=names.env, ready=False)
    log.fill(100)
    wait.stays(lambda: d.running and not d.notify.values("READY"), "running and not ready", 0.5)
    assert d.terminate() < 2  # also while main waits
    d = bench.start(config, env=names.env, ready=False)
    names.set("127.0.0.1")
    d.wait_ready()
    bench.wait_stored(log)
    bench.check(log)


def test_every_address_of_a_name_is_tried(bench):
    """Nobody answers at the first, a standby at the second, the primary at the third; then they change places."""
    log = bench.topic(partitions=2)
    bench.plain_table()
    names = Names(bench, "one", "127.0.0.9 127.0.0.2 127.0.0.1")
    config = bench.config(log, postgres={"dsn": bench.dsn(host="db.test")})
    standby = bench.postgres.standby(port=bench.postgres.port, listen_addresses="127.0.0.2")
    try:
        d = bench.start(config, env=names.env)
        log.fill(1000)
        bench.wait_stored(log)
        assert not d.lines("warning")
        names.set("127.0.0.1 127.0.0.2 127.0.0.9")
        for _ in range(3):
            bench.postgres.terminate_backends()
            log.fill(100)
            bench.wait_stored(log)
        assert d.running
        bench.check(log)
    finally:
        standby.destroy()
