"""No record is given up for a fault of what surrounds it: the disk, a lock, a right, the table, the server.

All tests mix records that are bad themselves with the others, before the trouble and while it lasts, so that the
transaction that isolates them meets the trouble too.
"""

import contextlib
import random
import string

import pytest

from kit import disk, standing, wait

TABLE = """
CREATE TABLE events (
    seq bigint GENERATED ALWAYS AS IDENTITY, _partition int NOT NULL, _offset bigint NOT NULL,
    id bigint NOT NULL CHECK (id >= 0), note text
)
"""
BAD = b'{"id": -1, "note": "bad"}'
NOT_JSON = b"not json"

PATHS = pytest.mark.parametrize("path", ["copy", "unnest"])
QUICKLY = "retry=100ms,retry_max=500ms,strict=20s,patience=20s"


class Mixture:
    """A topic of good records and some bad ones, and a daemon that writes dead letters."""

    def __init__(self, bench, path="auto", ddl=TABLE, **config):
        self.bench = bench
        self.log = bench.topic(partitions=2)
        self.dead = set()
        bench.sql(ddl)
        self.config = bench.config(
            self.log,
            route={"on_error": "dead_letter", "max_dead_letters": "off"},
            batch={"write_path": path},
            **{"workers": 1} | config,
        )

    def fill(self, total=200, every=20, note="x"):
        """Every so manieth pair is bad, one in each partition, in turn for PostgreSQL and for us."""
        batch = []
        for n in range(total):
            good = b'{"id": %d, "note": "%s"}' % (n, (note(n) if callable(note) else note).encode())
            bad = (BAD, NOT_JSON)[n // every % 2]
            batch.append((n % 2, None, bad if n % every in (every // 2, every // 2 + 1) else good, None, None))
        sent = self.log.send_many(batch)
        self.dead |= {(r.partition, r.offset) for r in sent if r.value in (BAD, NOT_JSON)}
        return sent

    def letters(self):
        return standing.letters(self.bench)

    def states(self):
        """What the view says of partitions that do not move."""
        return [state for (state,) in self.bench.sql("SELECT state FROM pgsinkd.standing")]

    def start(self, **options):
        """A daemon that has stored the first records."""
        d = self.bench.start(self.config, **options)
        self.fill()
        self.bench.wait_stored(self.log)
        return d

    def stands(self, seconds=1.0):
        """Neither a row nor a dead letter comes while the trouble lasts."""
        rows, before = self.bench.rows(), self.letters()
        wait.stays(lambda: self.letters() == before and self.bench.rows() == rows, "standing", seconds)

    def goes_on(self, timeout=40):
        self.bench.wait_stored(self.log, timeout)
        self.check()

    def check(self):
        self.bench.check(self.log, contents=lambda r: {"id": r.json["id"], "note": r.json["note"]}, dead=self.dead)


def waiting(d):
    """It says so, once or twice, and is no error."""
    return d.lines("warning") and not d.lines("error")


# The disk


def ballast(n):
    return "".join(random.Random(n).choices(string.ascii_letters, k=1000))


@PATHS
def test_the_disk_is_full(bench, path):
    mixture = Mixture(bench, path)
    with disk.full(bench, "events") as repair:
        d = bench.start(mixture.config)
        mixture.fill(8000, note=ballast)
        d.wait_log("53100.*|No space left on device")
        mixture.stands(2)
        assert d.running and not d.lines("error")
        assert mixture.letters() < mixture.dead
        repair()
        mixture.goes_on()


@PATHS
def test_the_device_of_the_table_is_full(bench, path):
    mixture = Mixture(bench, path)
    d = bench.start(mixture.config)
    with disk.full_device(bench, "events") as repair:
        mixture.fill(1000)
        d.wait_log("could not extend file")
        mixture.stands()
        assert d.running and not d.lines("error") and not mixture.letters()
        repair()
        mixture.goes_on()


# Rights and tables: an operator must act


@pytest.fixture
def role(bench):
    """A role that owns nothing and may what it must."""
    name = f"{bench.sink}_daemon"
    bench.sql(f"CREATE ROLE {name} LOGIN PASSWORD 'secret'")
    bench.sql(f"GRANT CREATE ON DATABASE {bench.database} TO {name}")
    yield name
    with bench.postgres.connect() as admin:
        bench.sql(f"DROP OWNED BY {name} CASCADE")
        admin.execute(f"DROP ROLE {name}")


def mixture_of(bench, role, **config):
    mixture = Mixture(bench, postgres={"dsn": bench.dsn(user=role, password="secret")} | config.pop("postgres", {}), **config)
    bench.sql(f"GRANT INSERT ON events TO {role}")
    return mixture


@pytest.mark.parametrize(
    ("take", "give"),
    [
        ("REVOKE INSERT ON events FROM {role}", "GRANT INSERT ON events TO {role}"),
        ("ALTER TABLE pgsinkd.dead_letters OWNER TO operator", "ALTER TABLE pgsinkd.dead_letters OWNER TO {role}"),
    ],
    ids=["insert", "dead letters"],
)
def test_a_right_is_taken_away(bench, role, take, give):
    mixture = mixture_of(bench, role)
    d = mixture.start(times=QUICKLY)
    before = mixture.letters()
    bench.sql(take.format(role=role, db=bench.database))
    mixture.fill()
    wait.until(lambda: mixture.states() == ["parked", "parked"], "its partitions to be parked")
    mixture.stands()
    assert mixture.letters() == before and not d.lines("error")
    assert "HINT: " in d.log()
    bench.sql(give.format(role=role, db=bench.database))
    mixture.goes_on()


@pytest.mark.quick
def test_a_column_is_dropped(bench):
    """Whether the daemon goes on or ends: no record is at fault."""
    mixture = Mixture(bench)
    d = mixture.start().allow("note")
    bench.sql("ALTER TABLE events DROP COLUMN note")
    mixture.fill()
    last = {p: mixture.log.count(p) for p in (0, 1)}
    wait.until(lambda: not d.running or bench.next_offsets(mixture.log) == last, "an end")
    assert mixture.letters() <= mixture.dead
    bench.stop()
    bench.drain(mixture.config)
    bench.check(mixture.log, contents=lambda r: {"id": r.json["id"]}, dead=mixture.dead)


# Time


SLOW = """
CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(0.002); RETURN NEW; END $$;
CREATE TRIGGER slow BEFORE INSERT ON events FOR EACH ROW EXECUTE FUNCTION slow()
"""


@PATHS
def test_a_statement_timeout_of_the_role_does_not_concern_us(bench, role, path):
    mixture = mixture_of(bench, role, path=path)
    bench.sql(SLOW)
    bench.sql(f"ALTER ROLE {role} SET statement_timeout = '100ms'")
    d = mixture.start()
    mixture.fill(400)
    mixture.goes_on()
    assert not d.lines("error")


def test_statements_are_cancelled(bench):
    """57014, as of a timeout, while rows are tried one by one and before."""
    mixture = Mixture(bench)
    bench.sql(SLOW)
    d = mixture.start()
    mixture.fill(1000)
    cancelled = 0

    def cancel():
        nonlocal cancelled
        if cancelled < 8:
            cancelled += bench.value(
                "SELECT count(pg_cancel_backend(pid)) FROM pg_stat_activity WHERE state = 'active'"
                " AND application_name LIKE 'pgsinkd %' AND query_start < clock_timestamp() - interval '200 ms'"
            )
        return sum(bench.next_offsets(mixture.log).values()) == mixture.log.count()

    wait.until(cancel, "the end in spite of it", timeout=90, interval=0.02)
    assert cancelled == 8 and d.running
    mixture.check()


@PATHS
def test_the_table_is_locked(bench, path):
    mixture = Mixture(bench, path, postgres={"lock_timeout": "200ms"})
    d = mixture.start()
    with bench.postgres.connect(bench.database) as operator, operator.transaction():
        operator.execute("LOCK TABLE events IN ACCESS EXCLUSIVE MODE")
        mixture.fill()
        d.wait_log("55P03|lock timeout")
        wait.stays(lambda: d.running, "running", 1)
        assert not d.lines("error")
    mixture.goes_on()


@PATHS
@pytest.mark.parametrize("end", ["COMMIT", "ROLLBACK"])
def test_another_transaction_has_the_key(bench, end, path):
    """Whether the row is a duplicate is not known before that has ended; until then it is a lock that is waited for."""
    mixture = Mixture(bench, path, postgres={"lock_timeout": "200ms"})
    bench.sql("CREATE UNIQUE INDEX ON events (id) WHERE note = 'unique'")
    d = mixture.start()
    with bench.postgres.connect(bench.database) as other:
        other.execute("BEGIN")
        other.execute("INSERT INTO events (_partition, _offset, id, note) VALUES (9, 9, 5, 'unique')")
        mixture.fill()
        record = mixture.log.send(b'{"id": 5, "note": "unique"}')
        mixture.fill()
        d.wait_log("55P03|lock timeout")
        place = (record.partition, record.offset)
        wait.stays(lambda: d.running and place not in mixture.letters(), "waiting", 1)
        assert not d.lines("error")
        other.execute(end)
    if end == "COMMIT":
        mixture.dead.add((record.partition, record.offset))
    bench.wait_stored(mixture.log)
    bench.sql("DELETE FROM events WHERE _partition = 9")
    mixture.goes_on()


# The server


def test_the_server_is_read_only(bench):
    mixture = Mixture(bench)
    d = mixture.start()
    bench.postgres.set_default("default_transaction_read_only", "on")
    try:
        mixture.fill()
        wait.until(lambda: waiting(d), "a warning")
        mixture.stands()
        assert d.running
    finally:
        bench.postgres.set_default("default_transaction_read_only", None)
    mixture.goes_on()


def test_too_many_connections(bench, role):
    mixture = mixture_of(bench, role)
    d = mixture.start()
    bench.sql(f"ALTER ROLE {role} CONNECTION LIMIT 0")
    bench.postgres.terminate_backends()
    mixture.fill()
    wait.until(lambda: waiting(d), "a warning")
    mixture.stands(2)
    assert d.running and not d.lines("error")
    bench.sql(f"ALTER ROLE {role} CONNECTION LIMIT -1")
    mixture.goes_on()


# Whatever PostgreSQL may say

TROUBLE = TABLE + """;
CREATE TABLE trouble (code text);
CREATE SEQUENCE met;
INSERT INTO trouble VALUES (NULL);
CREATE FUNCTION trouble() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    trouble text := (SELECT code FROM trouble);
BEGIN
    IF trouble IS NOT NULL AND NEW.id % 50 IN (7, 8) THEN
        PERFORM nextval('met');
        RAISE EXCEPTION USING ERRCODE = trouble, MESSAGE = 'trouble';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER trouble BEFORE INSERT ON events FOR EACH ROW EXECUTE FUNCTION trouble();
"""

# connection, transaction state, rollback, resources, objects in use, operators, system, corruption
PASSES = ["08000", "08006", "25006", "26000", "40001", "40P01", "40003", "53100", "53200", "53300",
          "55006", "55P03", "57000", "57014", "57P01", "57P03", "58000", "58030", "72000", "XX001", "XX002"]  # fmt: skip
# features, roles, COPY format, authorization, names, syntax and rights, limits that are configured
UNFIT = ["0A000", "0P000", "22P04", "28000", "3D000", "3F000", "42501", "42703", "42P01", "2200H", "53400", "55000"]
# Whoever's they may be, rows after them in the same statement show that the table is well.
WITNESSED = ["22P03", "3B001", "54011", "54023", "HV000", "XX000"]


def set_trouble(bench, code):
    bench.sql("UPDATE trouble SET code = %s", code)


def test_faults_that_pass(bench):
    mixture = Mixture(bench, "copy", TROUBLE)
    d = mixture.start(times=QUICKLY)
    for code in PASSES:
        before = mixture.letters()
        set_trouble(bench, code)
        mixture.fill()
        met = bench.value("SELECT last_value FROM met") + 2
        wait.until(lambda n=met: bench.value("SELECT last_value FROM met") > n, f"{code} to be met again and again")
        assert mixture.letters() <= mixture.dead, code
        assert before <= mixture.letters(), code
        set_trouble(bench, None)
        bench.wait_stored(mixture.log)
        assert mixture.letters() == mixture.dead, code
    assert d.running and not d.lines("error")
    mixture.check()


@pytest.mark.parametrize("code", UNFIT)
def test_faults_that_need_an_operator(bench, code):
    """The daemon lives, gives no good record up, and goes on by itself when they are repaired."""
    mixture = Mixture(bench, ddl=TROUBLE)
    d = mixture.start(times=QUICKLY)
    set_trouble(bench, code)
    mixture.fill()
    wait.until(lambda: len(mixture.states()) == 2, "both partitions to stand")
    mixture.stands()
    assert mixture.letters() <= mixture.dead
    assert "HINT: " in d.log() and not d.lines("error")
    set_trouble(bench, None)
    mixture.goes_on()


@pytest.mark.parametrize("code", WITNESSED)
def test_faults_of_which_other_rows_are_witnesses(bench, code):
    mixture = Mixture(bench, ddl=TROUBLE)
    d = mixture.start(times=QUICKLY)
    set_trouble(bench, code)
    sent = mixture.fill()
    mixture.dead |= {(r.partition, r.offset) for r in sent if r.value.startswith(b"{") and r.json["id"] % 50 in (7, 8)}
    bench.wait_stored(mixture.log)
    assert d.running and not d.lines("error")
    mixture.check()
