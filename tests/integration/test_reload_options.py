"""SIGHUP: options that are no route's, of which each takes effect without a restart, or says why it does not."""

import copy

import pytest

from kit import wait
from kit.process import free_port
from kit.proxy import UP
from kit.reloads import Load, table, tagged, with_tag
from kit.web import Web

WORKERS = "datname = current_database() AND application_name LIKE 'pgsinkd % worker %'"


def with_postgres(config, **options):
    return config | {"postgres": config["postgres"] | options}


def sessions(bench):
    """Of the workers, by their process ids."""
    return sorted(pid for (pid,) in bench.sql(f"SELECT pid FROM pg_stat_activity WHERE {WORKERS}"))


def spy_on_settings(bench, *names):
    """Each row says by which settings of its session it was written."""
    shown = ", ".join(f"current_setting('{name}', true)" for name in names)
    bench.sql("ALTER TABLE events ADD settings text[]")
    bench.sql("CREATE FUNCTION spy() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
              f" NEW.settings := ARRAY[{shown}]; RETURN NEW; END $$")  # fmt: skip
    bench.sql("CREATE TRIGGER spy BEFORE INSERT ON events FOR EACH ROW EXECUTE FUNCTION spy()")


def settings(bench, tag):
    found = bench.sql("SELECT DISTINCT settings FROM events WHERE tag = %s", tag)
    assert len(found) == 1, found
    return found[0][0]


def refusals(d):
    return [line for line in d.lines("error") if "stays as it is" in line]


# Sessions


@pytest.mark.quick
@pytest.mark.sanitize
def test_settings_of_sessions_change_under_load_and_nothing_is_claimed_again(bench):
    log = bench.topic(partitions=4)
    table(bench)
    spy_on_settings(bench, "synchronous_commit", "lock_timeout")
    patient = {"session.timeout.ms": 45000}  # the group is not to take anything from a slow machine
    config = bench.config(routes=[tagged(bench, log)], properties=patient) | {"batch": {"write_path": "unnest", "max_rows": 500}}
    d = bench.start(config)
    with Load(log):
        bench.wait_rows(1)
        wait.until(lambda: len(sessions(bench)) == 2, "both workers to be connected")
        owners, before = bench.owners(log), sessions(bench)
        for n in range(1, 5):
            kind = "off" if n % 2 else "on"
            d.reload(with_postgres(config, synchronous_commit=kind, lock_timeout=f"{n}s", timeout=f"{10 + n}s"))
            at = bench.value("SELECT max(seq) FROM events")
            wait.until(lambda n=n, kind=kind, at=at: bench.value(
                "SELECT true FROM events WHERE seq > %s AND settings = ARRAY[%s, %s] LIMIT 1", at, kind, f"{n}s"
            ), "rows by the new settings")  # fmt: skip
        assert bench.owners(log) == owners, "nothing was claimed again"
        assert sessions(bench) == before, "no session was opened"
    bench.wait_stored(log)
    said = [line.split(" reload: ")[1] for line in d.lines("notice") if "postgres.timeout" in line]
    assert said == [f"postgres.timeout: {a} -> {b}" for a, b in zip(("1m", "11s", "12s", "13s"), ("11s", "12s", "13s", "14s"), strict=True)]  # fmt: skip
    # Each worker has changed its session once for each reload, in their order.
    assert bench.sql("SELECT 1 FROM (SELECT settings[2] AS n, lag(settings[2]) OVER (PARTITION BY _partition ORDER BY _offset) AS l"
                     " FROM events) t WHERE n < l AND l <> '5s'") == []  # fmt: skip
    bench.check(log)


def test_a_shorter_timeout_is_in_force_where_the_server_hangs(bench):
    log = bench.topic()
    table(bench)
    proxy, dsn = bench.postgres_proxy()
    config = bench.config(routes=[tagged(bench, log)], workers=1, postgres={"dsn": dsn})
    d = bench.start(config)
    log.fill(10)
    bench.wait_stored(log)
    d.reload(with_postgres(config, timeout="2s"))
    log.fill(10)
    bench.wait_stored(log)  # its session has been renewed, for which the former timeout was in force
    proxy.black_hole()
    log.fill(10)
    d.wait_log("no answer from postgresql within 2 s")
    proxy.heal()
    bench.wait_stored(log)
    bench.check(log)


def test_a_session_that_ends_while_it_is_renewed(bench):
    """The connection is lost in the middle of it: the next one has the settings of now."""
    log = bench.topic(partitions=3)
    table(bench)
    spy_on_settings(bench, "lock_timeout")
    proxy, dsn = bench.postgres_proxy()
    config = bench.config(routes=[tagged(bench, log)], workers=1, postgres={"dsn": dsn})
    d = bench.start(config)
    log.fill(30)
    bench.wait_stored(log)
    proxy.cut_at(UP, b"SET lock_timeout TO 7000")
    d.reload(with_tag(with_postgres(config, lock_timeout="7s"), "b"))
    log.fill(30)
    bench.wait_stored(log)
    assert settings(bench, "b") == ["7s"]
    assert d.running
    bench.check(log)


@pytest.mark.sanitize
def test_audit_begins_and_ends_under_load(bench):
    log = bench.topic(partitions=4)
    table(bench)
    config = bench.config(routes=[tagged(bench, log)])
    d = bench.start(config, times={"history_starts": "2s"})

    def audited():
        return bench.value("SELECT count(*) FROM pgsinkd.history WHERE kind = 'store'")

    with Load(log):
        bench.wait_rows(1)
        owners = bench.owners(log)
        d.reload(config | {"audit": True})
        wait.until(lambda: audited() > 20, "rows of history")
        wait.until(lambda: bench.value("SELECT count(*) FROM pgsinkd.history_starts") > 0, "history to have a beginning")
        assert bench.owners(log) == owners
    bench.wait_stored(log)
    assert bench.value("SELECT count(*) FROM pgsinkd.verify(%s) WHERE what = 'proven'", bench.sink) == 4
    assert bench.value("SELECT count(*) FROM pgsinkd.verify(%s) WHERE what = 'not proven'", bench.sink) == 0
    d.reload(config)
    before = audited()
    log.fill(400)
    bench.wait_stored(log)
    assert audited() == before
    bench.check(log)


# HTTP


@pytest.mark.quick
@pytest.mark.sanitize
def test_the_listener_comes_moves_and_goes(bench):
    log = bench.topic(partitions=3)
    table(bench)
    first, second = Web(free_port()), Web(free_port())
    config = bench.config(routes=[tagged(bench, log)], properties={"session.timeout.ms": 45000})
    d = bench.start(config)
    log.fill(30)
    bench.wait_stored(log)
    with Load(log):
        owners = bench.owners(log)
        d.reload(config | {"http": {"listen": first.address}})
        assert first.status("/readyz") == 200
        stored = sum(first.metrics()["pgsinkd_records_total"].values())
        d.reload(config | {"http": {"listen": second.address}})
        assert second.status("/livez") == 200
        assert first.try_get("/livez") is None
        assert sum(second.metrics()["pgsinkd_records_total"].values()) >= stored
        # The same port at another address: they cannot both be there.
        d.reload(config | {"http": {"listen": f"0.0.0.0:{second.port}"}})
        assert second.status("/livez") == 200
        d.reload(config | {"http": {"listen": f"0.0.0.0:{second.port}", "partitions": 0}})
        wait.until(lambda: second.metric("pgsinkd_lag_records", topic=log.topic, partition="all") is not None, "lag by topic")
        stalled = second.connect()
        d.reload(config)
        assert second.try_get("/livez") is None
        stalled.close()
        assert bench.owners(log) == owners
    bench.wait_stored(log)
    assert refusals(d) == []
    bench.check(log)


@pytest.mark.parametrize("running", [True, False])
def test_an_address_that_is_taken_keeps_the_listener_of_before(bench, running):
    log = bench.topic()
    table(bench)
    mine, taken = Web(free_port()), Web(free_port())
    other = bench.start(bench.config(routes=[tagged(bench, log)]) | {"http": {"listen": taken.address}})
    before = {"listen": mine.address if running else "off"}
    config = bench.config(routes=[tagged(bench, log)]) | {"http": before}
    d = bench.start(config).allow("stays as it is")
    wanted = {"listen": taken.address}
    d.reload(with_tag(config, "b") | {"http": wanted})
    why = refusals(d)
    assert len(why) == 1 and f"-> \"{taken.address}\": stays as it is: " in why[0] and "in use" in why[0], d.log()
    assert "1 change in force, 1 not" in d.log()
    if running:
        assert mine.status("/livez") == 200
    # All else is in force, and the next reload tries it again.
    other.terminate()
    log.fill(50)
    bench.wait_stored(log)
    assert bench.value("SELECT count(*) FROM events WHERE tag = 'b'") == 50
    d.reload()
    assert taken.status("/livez") == 200
    assert mine.try_get("/livez") is None
    assert len(refusals(d)) == 1
    bench.check(log)


def test_an_address_of_another_machine_keeps_the_listener_at_the_same_port(bench):
    log = bench.topic()
    table(bench)
    web = Web(free_port())
    config = bench.config(routes=[tagged(bench, log)]) | {"http": {"listen": web.address}}
    d = bench.start(config).allow("stays as it is")
    d.reload(config | {"http": {"listen": f"192.0.2.1:{web.port}"}})
    assert len(refusals(d)) == 1
    assert web.status("/readyz") == 200
    log.fill(10)
    bench.wait_stored(log)
    bench.check(log)


# Dead letters of a sink without a ledger


@pytest.mark.quick
@pytest.mark.sanitize
@pytest.mark.parametrize("delivery, path", [("at_least_once", "copy"), ("at_most_once", "unnest")])
def test_the_first_dead_letters_make_the_schema(bench, delivery, path):
    log = bench.topic(partitions=2)
    table(bench)
    config = bench.config(routes=[tagged(bench, log)], delivery=delivery) | {"batch": {"write_path": path}}
    letters = copy.deepcopy(config)
    letters["routes"][0]["on_error"] = "dead_letter"
    d = bench.start(config)
    log.fill(100)
    bench.wait_present(log)
    assert bench.value("SELECT to_regnamespace('pgsinkd') IS NULL")
    d.reload(letters)
    name = "reload: routes[events].on_error: stop -> dead_letter"
    assert any(line.endswith(name) for line in d.lines("notice")), d.log()
    log.send(b"no json")
    log.fill(100)
    wait.until(lambda: bench.value("SELECT count(*) FROM pgsinkd.dead_letters") == 1, "the dead letter")
    wait.until(lambda: bench.tally() == (200, 200), "all others")
    # The schema is used for all that it is for.
    beats = "SELECT count(*) FROM pgsinkd.instances WHERE sink = %s"
    wait.until(lambda: bench.value(beats, bench.sink) == 1, "a heartbeat")
    assert bench.value("SELECT pgsinkd.replay(%s)", bench.sink) == 1
    d.wait_log("replay: 0 dead letters stored, 1 failed again")
    # Without dead letters, and again with them: what is there stays.
    d.reload(config)
    d.reload(letters)
    log.fill(100)
    wait.until(lambda: bench.tally() == (300, 300), "all others")
    log.send(b"no json", partition=1)
    wait.until(lambda: bench.value("SELECT count(*) FROM pgsinkd.dead_letters") == 2, "the second one")
    assert refusals(d) == []
    bench.check(log, delivery=delivery, dead={(0, 50), (1, 150)})


def test_without_rights_for_a_schema_records_stop_their_partition_as_before(bench):
    log, other = bench.topic(), bench.topic()
    table(bench)
    role = f"{bench.sink}_clerk"
    bench.sql(f"CREATE ROLE {role} LOGIN PASSWORD 'secret'")
    bench.sql(f"GRANT INSERT ON events TO {role}")
    bench.sql(f"REVOKE CREATE ON DATABASE {bench.database} FROM PUBLIC")
    config = bench.config(
        routes=[tagged(bench, log)], delivery="at_least_once", postgres={"dsn": bench.dsn(user=role, password="secret")}
    )
    letters = with_tag(config, "b")
    letters["routes"][0]["on_error"] = "dead_letter"
    letters["routes"].append(tagged(bench, other, name="others", on_error="dead_letter"))
    d = bench.start(config).allow("stays as it is", "not valid JSON")
    log.fill(10)
    bench.wait_present(log)
    d.reload(letters)
    why = refusals(d)
    assert len(why) == 2 and "routes[events].on_error: stop -> dead_letter: stays as it is: " in why[0], d.log()
    assert "routes[others].on_error: dead_letter: stays as it is: " in why[1]
    assert "HINT" in d.log()
    log.fill(10)
    bench.wait_present(log)
    assert bench.value("SELECT count(*) FROM events WHERE tag = 'b'") == 10
    log.send(b"no json")
    d.wait_log("not valid JSON")
    bench.check(log, delivery="at_least_once", stops={0: 20})
    bench.sql(f"DROP OWNED BY {role}")
    bench.sql(f"DROP ROLE {role}")


# Files that do not go together with what runs


@pytest.mark.quick
def test_a_file_that_contradicts_what_is_kept_is_a_bad_one(bench):
    log = bench.topic()
    table(bench)
    config = bench.config(routes=[tagged(bench, log)], delivery="at_least_once", kafka={"commit": "interval"})
    d = bench.start(config).allow("nothing is changed by the reload")
    other = with_tag(config, "b")
    other["kafka"] = other["kafka"] | {"commit": "sync", "commit_interval": 0}
    assert bench.command("config", other).returncode == 0, "by itself it is a good one"
    d.reload(other)
    assert "the file contradicts what stays as it is until a restart" in d.log()
    assert "HINT: Restart instead, which puts the whole file in force." in d.log()
    log.fill(10)
    bench.wait_present(log)
    assert bench.value("SELECT count(*) FROM events WHERE tag = 'a'") == 10
    bench.check(log, delivery="at_least_once")


def test_another_delivery_does_not_change_what_becomes_of_bad_records(bench):
    """It waits for a restart, and so does the default that follows from it."""
    log = bench.topic()
    table(bench)
    config = bench.config(routes=[tagged(bench, log)])
    del config["routes"][0]["on_error"]
    d = bench.start(config)
    d.reload(config | {"delivery": "at_least_once"})
    assert [line.split(" reload: ")[1].split(":")[0] for line in d.lines("warning") if "needs a restart" in line] == ["delivery"]
    assert "on_error" not in d.log()
    log.send(b"no json")
    log.fill(10)
    bench.wait_stored(log)
    assert bench.value("SELECT count(*) FROM pgsinkd.dead_letters") == 1
    bench.check(log, dead={(0, 0)})


# Rights


def test_audit_without_rights_on_history_stays_off(bench):
    log = bench.topic(partitions=2)
    table(bench)
    role = f"{bench.sink}_clerk"
    bench.sql(f"CREATE ROLE {role} LOGIN PASSWORD 'secret'")
    bench.sql(f"GRANT INSERT ON events TO {role}")
    bench.sql(f"GRANT CREATE ON DATABASE {bench.database} TO {role}")
    config = bench.config(routes=[tagged(bench, log)], postgres={"dsn": bench.dsn(user=role, password="secret")})
    d = bench.start(config).allow("stays as it is")
    log.fill(10)
    bench.wait_stored(log)
    bench.sql(f"REVOKE INSERT ON pgsinkd.history FROM {role}")
    audited = with_tag(config, "b") | {"audit": True}
    d.reload(audited)
    why = refusals(d)
    assert len(why) == 1 and "reload: audit: false -> true: stays as it is: " in why[0] and "history" in why[0], d.log()
    assert f"HINT: GRANT INSERT ON pgsinkd.history TO {role};" in d.log()
    log.fill(10)
    bench.wait_stored(log)
    assert bench.value("SELECT count(*) FROM events WHERE tag = 'b'") == 10, "all else is in force"
    bench.sql(f"GRANT INSERT ON pgsinkd.history TO {role}")
    d.reload(audited)
    log.fill(10)
    bench.wait_stored(log)
    assert bench.value("SELECT count(*) FROM pgsinkd.history WHERE kind = 'store'") > 0
    assert len(refusals(d)) == 1
    bench.check(log)
    bench.sql(f"DROP OWNED BY {role}")
    bench.sql(f"DROP ROLE {role}")


def test_a_listener_that_is_gone_is_tried_again_by_each_reload(bench):
    log = bench.topic()
    table(bench)
    web, other = Web(free_port()), Web(free_port())
    config = bench.config(routes=[tagged(bench, log)]) | {"http": {"listen": web.address}}
    d = bench.start(config, failpoints="site.again=error").allow("stays as it is", "failpoint", "in use")
    # The same port at an address of another machine: ours is closed first, and then cannot be opened again.
    d.reload(config | {"http": {"listen": f"192.0.2.1:{web.port}"}})
    assert len(refusals(d)) == 1
    assert web.try_get("/livez") is None
    # Nothing has changed in this file, but the address that is in force is not listened on.
    squatter = bench.start(bench.config(routes=[tagged(bench, log)]) | {"http": {"listen": web.address}})
    said = len(d.lines("error"))
    d.reload(config)
    assert "in use" in "".join(d.lines("error")[said:]), d.log()
    squatter.terminate()
    d.reload(config)
    assert web.status("/livez") == 200
    d.reload(config | {"http": {"listen": other.address}})
    assert other.status("/livez") == 200
    log.fill(10)
    bench.wait_stored(log)
    bench.check(log)
