"""What stands and why: pgsinkd.standing as an operator reads it, and a sink of which one half gets into trouble.

    pair = Pair(bench, path)
    pair.begin()                          # records of both topics are stored
    bench.sql("ALTER TABLE events RENAME TO elsewhere")
    pair.log.fill(10)
    pair.stands("parked")                 # the view, the log
    pair.neighbours_go_on()
    bench.sql("ALTER TABLE elsewhere RENAME TO events")
    pair.ends()                           # all stored, and nothing stands
    pair.check()
"""

import contextlib
import re
from dataclasses import dataclass, fields

from kit import wait

# What takes half a minute and more in production. Tests that need one of them longer say so.
TIMES = {"patience": "1s", "strict": "1s", "retry": "100ms", "retry_max": "500ms"}


@dataclass
class Standing:
    """A row of the view."""

    topic: str
    partition: int
    state: str
    since: object
    next_offset: int
    reason: str
    sqlstate: str
    hint: str
    retry_at: object


def standing(bench, log=None):
    """{partition: Standing} of a topic, or a list of all of the sink; empty while there is no view."""
    found = []
    if bench.value("SELECT to_regclass('pgsinkd.standing') IS NOT NULL"):
        listed = ", ".join(field.name for field in fields(Standing))
        rows = bench.sql(f"SELECT {listed} FROM pgsinkd.standing WHERE sink = %s ORDER BY 1, 2", bench.sink)
        found = [Standing(*row) for row in rows]
    return found if log is None else {row.partition: row for row in found if row.topic == log.topic}


def resume(bench, *what):
    """resume(sink [, topic [, partition]])."""
    bench.sql(f"SELECT pgsinkd.resume(%s{', %s' * len(what)})", bench.sink, *what)


def letters(bench):
    """{(partition, offset)} of all dead letters."""
    return set(bench.sql('SELECT partition, "offset" FROM pgsinkd.dead_letters WHERE sink = %s', bench.sink))


def trigger(bench, body, *, on="BEFORE INSERT", table="events", name="odd", each="ROW", constraint=False):
    """A trigger whose function has that body in PL/pgSQL; untrigger() takes both away."""
    kind, more = ("CONSTRAINT TRIGGER", "DEFERRABLE INITIALLY DEFERRED") if constraint else ("TRIGGER", "")
    bench.sql(
        f"CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {body}; RETURN NEW; END $$;"
        f"CREATE {kind} {name} {on} ON {table} {more} FOR EACH {each} EXECUTE FUNCTION {name}()"
    )


def untrigger(bench, name="odd"):
    bench.sql(f"DROP FUNCTION {name} CASCADE")


def refuse(code):
    """The body of a trigger that refuses."""
    return f"RAISE EXCEPTION USING ERRCODE = '{code}', MESSAGE = 'odd'"


@contextlib.contextmanager
def clerk(bench):
    """A role that owns nothing but what it makes in the database."""
    name = f"{bench.sink}_clerk"
    bench.sql(f"CREATE ROLE {name} LOGIN PASSWORD 'secret'")
    bench.sql(f"GRANT CREATE, TEMPORARY ON DATABASE {bench.database} TO {name}")
    yield name
    bench.sql(f"DROP OWNED BY {name} CASCADE")
    with bench.postgres.connect() as admin:
        admin.execute(f"DROP ROLE {name}")


class Pair:
    """One worker with two topics: `log`, whose table `events` gets into trouble, and `other`, whose table does not."""

    def __init__(self, bench, path=None, *, ddl=None, partitions=1, route=None, times=None, role=None, **config):
        self.bench = bench
        self.log = bench.topic(partitions=partitions)
        self.other = bench.topic()
        self.times = ",".join(f"{name}={value}" for name, value in (TIMES | (times or {})).items())
        bench.sql(ddl) if ddl else bench.plain_table("events")
        bench.plain_table("others")
        letter = {"on_error": "dead_letter", "max_dead_letters": "off"}
        routes = [
            letter | {"topics": [self.log.topic], "table": "events"} | (route or {}),
            letter | {"topics": [self.other.topic], "table": "others"},
        ]
        if path:
            config["batch"] = {"write_path": path}
        if role:
            bench.sql(f"GRANT INSERT ON ALL TABLES IN SCHEMA public TO {role}")
            dsn = bench.dsn(user=role, password="secret")
            config["postgres"] = {"dsn": dsn} | config.get("postgres", {})
        self.config = bench.config(routes=routes, **{"workers": 1} | config)
        self.d = None

    def start(self, **options):
        """A daemon; several may run. Errors may speak of the first topic and its table."""
        d = self.bench.start(self.config, ready=False, times=self.times, **options)
        self.d = d.allow(re.escape(self.log.topic), "events")
        return d.wait_ready()

    def begin(self, n=10, **options):
        """A daemon that has stored n records of each topic."""
        self.log.fill(n)
        self.other.fill(n)
        d = self.start(**options)
        self.bench.wait_stored(self.log)
        self.bench.wait_stored(self.other)
        return d

    def at(self, partition, offset):
        """How a log line names a record."""
        return f"{self.log.topic}-{partition}@{offset}"

    def stands(self, state, sqlstate=None, *, partitions=None, at=None, timeout=20):
        """Waits until these partitions of the first topic, and no others, stand so; their rows of the view.

        at: {partition: next_offset}, where the test knows it.
        """
        want = set(self.log.partitions if partitions is None else partitions)

        def found():
            assert self.d.running, f"the daemon ended with {self.d.popen.returncode}:\n{self.d.log()}"
            rows = standing(self.bench, self.log)
            return rows if set(rows) == want and all(row.state == state for row in rows.values()) else None

        try:
            rows = wait.until(found, f"{sorted(want)} of {self.log.topic} to be {state}", timeout)
        except AssertionError as fault:
            found = f"standing: {standing(self.bench)}, dead letters: {sorted(letters(self.bench))}"
            raise AssertionError(f"{fault}; {found}") from None
        for p, row in rows.items():
            assert row.next_offset == (at or self.bench.next_offsets(self.log))[p], row
            assert row.since is not None and row.reason, row
            assert sqlstate is None or row.sqlstate == sqlstate, row
            assert state in ("poison", "stopped", "over_limit") or row.retry_at is not None, row
        return rows

    def status_says(self, state, n=1):
        """Waits until the status for the service manager says that n partitions stand so, and why."""
        status = rf", {n} {state}: .*({re.escape(self.log.topic)}|events)"
        wait.until(lambda: re.search(status, self.d.notify.values("STATUS")[-1]), f"the status to say {state}", 15)

    def status_is_well(self):
        """Waits until it does not speak of anything that stands."""
        wait.until(lambda: re.search(r"lag \d+$", self.d.notify.values("STATUS")[-1]), "the status to be well", 15)

    def neighbours_go_on(self, n=10):
        """Records of the other topic are stored, and those of the partitions that stand are not."""
        before = {p: row.next_offset for p, row in standing(self.bench, self.log).items()}
        self.other.fill(n)
        self.bench.wait_stored(self.other, timeout=10)
        after = {p: row.next_offset for p, row in standing(self.bench, self.log).items()}
        assert before == after and self.d.running, (before, after)

    def blames_none(self, seconds=1.5):
        """Longer than patience and strict last, there is no dead letter, and the daemon lives."""
        wait.stays(lambda: self.d.running and not letters(self.bench), "without a dead letter", seconds)

    def ends(self, timeout=20):
        """By itself, all is stored, and nothing stands any more."""
        self.bench.wait_stored(self.log, timeout)
        self.bench.wait_stored(self.other, timeout)
        wait.until(lambda: not standing(self.bench), "nothing to stand", 5)
        assert self.d.running, self.d.log()

    def check(self, **expected):
        """THE checker, for both topics."""
        self.bench.check(self.log, **expected)
        self.bench.check(self.other, "others")
