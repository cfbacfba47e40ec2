"""pgsinkd dead-letters list, show, replay, discard, over dead letters made by SQL."""

import json
import threading

import pytest

from kit import wait

T = "2026-03-01T10:00:0{}.000000Z"


@pytest.fixture
def cli(bench):
    """Runs `pgsinkd dead-letters ARGS` on a database that has the schema; returns what it did."""
    config = bench.config(topics=["t"])
    assert bench.command("init", config).returncode == 0

    def run(*argv, code=0, config=config):
        done = bench.command("dead-letters", config, *argv)
        assert done.returncode == code, done.stdout + done.stderr
        waits = "--wait" in argv and code in (0, 1)  # and nobody is there
        assert (done.stderr == "") == (code in (0, 1) and not waits)
        assert not waits or f"no daemon of sink '{bench.sink}' is running" in done.stderr
        return done

    return run


def letter(bench, offset=0, **fields):
    """A dead letter of the sink; fields override the columns."""
    row = {
        "sink": bench.sink,
        "topic": "orders",
        "partition": 0,
        "offset": offset,
        "route": "public.orders",
        "error_class": "record",
        "sqlstate": "22003",
        "message": "column 'amount': out of range",
        "column": "amount",
        "failed_at": T.format(offset % 10),
        "value": b'{"amount": 1e99}',
    } | fields
    names = ", ".join(f'"{name}"' for name in row)
    marks = ", ".join(["%s"] * len(row))
    bench.sql(f"INSERT INTO pgsinkd.dead_letters ({names}) VALUES ({marks})", *row.values())


def offsets(bench, where="true"):
    found = bench.sql(f'SELECT "offset" FROM pgsinkd.dead_letters WHERE {where} ORDER BY 1')
    return [offset for (offset,) in found]


# list


def test_list_is_one_line_each(bench, cli):
    assert cli("list").stdout == ""
    letter(bench, 12)
    letter(bench, 3, partition=4, route="late", sqlstate=None, column=None, message="two\nlines\x1b[2J", attempts=3)
    letter(bench, 1, sink="another")
    assert cli("list").stdout.splitlines() == [
        f"orders-0@12\tpublic.orders\t22003\tamount\tcolumn 'amount': out of range\t{T.format(2)}\t1",
        f"orders-4@3\tlate\t-\t-\ttwo\\nlines\\u001b[2J\t{T.format(3)}\t3",
    ]


def test_list_as_json(bench, cli):
    letter(bench, 12, message='say "no" \\ \x7f')
    (line,) = cli("list", "--json").stdout.splitlines()
    assert json.loads(line) == {
        "topic": "orders",
        "partition": 0,
        "offset": 12,
        "route": "public.orders",
        "timestamp": None,
        "error_class": "record",
        "sqlstate": "22003",
        "message": 'say "no" \\ \x7f',
        "column": "amount",
        "failed_at": T.format(2),
        "attempts": 1,
        "replay_requested_at": None,
    }


def test_list_of_many(bench, cli):
    """More than one page of the cursor, and exactly full pages."""
    bench.sql(
        'INSERT INTO pgsinkd.dead_letters (sink, topic, partition, "offset", route, error_class, message)'
        " SELECT %s, 'many', 0, o, 'r', 'record', 'm' FROM generate_series(0, 99) o",
        bench.sink,
    )
    for n in (1, 31, 32, 33, 64, 100):
        lines = cli("list", "--limit", str(n)).stdout.splitlines()
        assert [line.split("\t")[0] for line in lines] == [f"many-0@{o}" for o in range(n)]


@pytest.mark.parametrize(
    ("argv", "chosen"),
    [
        (["--route", "late"], [5]),
        (["--topic", "lines"], [6]),
        (["--partition", "1"], [7]),
        (["--offset", "6"], [6]),
        (["--sqlstate", "23505"], [7]),
        (["--sqlstate", "23"], [6, 7]),
        (["--since", T.format(6)], [6, 7]),
        (["--until", T.format(6)], [4, 5]),
        (["--since", "2026-03-01 11:00:05+01", "--limit", "2"], [5, 6]),
        (["--topic", "orders", "--limit", "1"], [4]),
    ],
)
def test_filters_are_those_of_sql(bench, cli, argv, chosen):
    letter(bench, 4)
    letter(bench, 5, route="late")
    letter(bench, 6, topic="lines", sqlstate="23503")
    letter(bench, 7, partition=1, sqlstate="23505")
    lines = cli("list", *argv).stdout.splitlines()
    assert sorted(int(line.split("\t")[0].split("@")[1]) for line in lines) == chosen
    assert cli("discard", *argv).stdout.startswith(f"{len(chosen)} dead letter")
    assert offsets(bench) == [o for o in (4, 5, 6, 7) if o not in chosen]


# show


def test_show_has_everything(bench, cli):
    letter(
        bench, 12, key="Ärger".encode(), value=b"\xff\x00", timestamp="2026-02-03 04:05:06.789+00", attempts=2,
        header_names=[b"trace", b"trace", b"\xfe"], header_values=[b"abc", None, b"x\x1by"],
        replay_requested_at="2026-03-02 00:00+00", error_class="database",
    )  # fmt: skip
    letter(bench, 13, key=None, value=None, column=None, sqlstate=None)
    assert cli("show").stdout.splitlines() == [
        "orders-0@12",
        "  route      public.orders",
        "  message    column 'amount': out of range",
        "  refused by PostgreSQL",
        "  sqlstate   22003",
        "  column     amount",
        f"  failed at  {T.format(2)}",
        "  attempts   2",
        "  replay at  2026-03-02T00:00:00.000000Z",
        "  timestamp  2026-02-03T04:05:06.789000Z",
        "  key        Ärger",
        "  header     trace: abc",
        "  header     trace: (none)",
        "  header     \\xfe: x\\u001by",
        "  value      \\xff00",
        "orders-0@13",
        "  route      public.orders",
        "  message    column 'amount': out of range",
        "  refused by pgsinkd",
        f"  failed at  {T.format(3)}",
        "  attempts   1",
        "  key        (none)",
        "  value      (none)",
    ]


def test_show_as_json_gives_the_bytes_back(bench, cli):
    values = [b"", b"plain", b'{"a": "\\u0041\n"}', bytes(range(256)), b"\x00", "Ärger\u0085\u2028".encode(), None]
    for offset, value in enumerate(values):
        letter(bench, offset, value=value, key=value, header_names=[b"h"], header_values=[value])

    def held(document, name):
        if f"{name}_hex" in document:
            return bytes.fromhex(document[f"{name}_hex"])
        return document[name] if document[name] is None else document[name].encode()

    found = [json.loads(line) for line in cli("show", "--json").stdout.split("\n") if line]
    assert [held(d, "value") for d in found] == values
    assert [held(d, "key") for d in found] == values
    assert [held(d["headers"][0], "value") for d in found] == values


# replay


def test_replay_only_asks(bench, cli):
    for offset in (1, 2, 3):
        letter(bench, offset)
    said = cli("replay", "--offset", "2").stdout
    assert said == f"1 dead letter to be replayed by the daemon of sink '{bench.sink}'\n"
    assert offsets(bench, "replay_requested_at IS NOT NULL") == [2]
    said = cli("replay", "--offset", "7").stdout
    assert said == f"0 dead letters to be replayed by the daemon of sink '{bench.sink}'\n"


@pytest.mark.parametrize("failing", [0, 2])
def test_replay_waits_for_the_daemon(bench, cli, failing):
    """A session beside it does what the daemon would."""
    for offset in range(5):
        letter(bench, offset, attempts=4)
    answers = []
    waiter = threading.Thread(
        target=lambda: answers.append(cli("replay", "--since", "2026-01-01", "--wait", code=1 if failing else 0)),
        daemon=True,
    )
    waiter.start()
    wait.until(lambda: offsets(bench, "replay_requested_at IS NOT NULL") == [0, 1, 2, 3, 4], "the marks")
    bench.sql('DELETE FROM pgsinkd.dead_letters WHERE "offset" >= %s', failing)
    assert waiter.is_alive() or not failing
    bench.sql(
        "UPDATE pgsinkd.dead_letters SET attempts = attempts + 1, replay_requested_at = NULL, failed_at = now(),"
        " sqlstate = '23505'"
    )
    waiter.join(20)
    assert answers[0].stdout.splitlines()[-1] == f"{5 - failing} stored, {failing} failed again"


# discard


def test_discard_wants_to_be_told_which(bench, cli):
    letter(bench, 1)
    letter(bench, 2)
    letter(bench, 3, sink="another")
    assert "say which ones, or --yes" in cli("discard", code=2).stderr
    assert "say which ones, or --yes" in cli("discard", "--limit", "1", code=2).stderr
    assert offsets(bench) == [1, 2, 3]
    assert cli("discard", "--yes", "--limit", "1").stdout == "1 dead letter discarded\n"
    assert cli("discard", "--yes").stdout == "1 dead letter discarded\n"
    assert offsets(bench) == [3]


# names and times


@pytest.mark.parametrize("word", ["list", "show", "replay", "discard"])
def test_names_that_do_not_exist(bench, cli, word):
    """A route that has left the file may have letters; one without letters is a mistake."""
    letter(bench, 1, route="gone")
    said = cli(word, "--route", "orders", code=2).stderr
    assert f"sink '{bench.sink}' has no route 'orders', and no dead letters of it" in said
    assert "has no topic 'tt'" in cli(word, "--topic", "tt", code=2).stderr
    assert cli(word, "--route", "gone").stdout


def test_since_takes_a_duration(bench, cli):
    letter(bench, 1)
    letter(bench, 2)
    bench.sql('UPDATE pgsinkd.dead_letters SET failed_at = now() - interval \'30 min\' WHERE "offset" = 2')
    assert cli("list", "--since", "1h").stdout.startswith("orders-0@2")
    assert cli("list", "--until", "1h").stdout.startswith("orders-0@1")
    assert cli("list", "--since", "10m").stdout == ""
    said = cli("list", "--since", "1 hour ago", code=2).stderr
    assert "a duration before now: 90m" in said


# misuse and faults


@pytest.mark.parametrize(
    ("argv", "says"),
    [
        (["look"], "the word is list, show, replay or discard"),
        (["list", "--wait"], "--wait is for replay"),
        (["replay", "--json"], "--json is for list and show"),
        (["replay", "--yes"], "--yes is for discard"),
        (["list", "--partition", "-1"], "whole number"),
        (["list", "--partition", "2147483648"], "whole number"),
        (["list", "--offset", "1e3"], "whole number"),
        (["list", "--limit", ""], "whole number"),
        (["list", "--since", "the other day"], "invalid input syntax for type timestamp"),
        ([], "usage: pgsinkd dead-letters WORD"),
        (["list", "orders", "show"], "usage: pgsinkd dead-letters WORD"),
        (["list", "--until-end"], "usage: pgsinkd dead-letters WORD"),
    ],
)
def test_misuse(cli, argv, says):
    assert says in cli(*argv, code=2).stderr


def test_options_of_other_verbs_are_refused(bench):
    for verb, option in (("run", "--json"), ("check", "--yes"), ("config", "--wait"), ("init", "--route=x")):
        done = bench.command(verb, bench.config(topics=["t"]), option)
        assert done.returncode == 2
        assert done.stderr.startswith(f"pgsinkd {verb}: there is no option '{option.partition('=')[0]}' here\n")


def test_without_a_schema(bench):
    done = bench.command("dead-letters", bench.config(topics=["t"]), "list")
    assert done.returncode == 4
    assert "schema 'pgsinkd' has version 0, this program needs" in done.stderr
    assert "HINT: Run `pgsinkd init`" in done.stderr


def test_an_operator_needs_only_what_he_uses(bench, cli):
    letter(bench, 1)
    role = f"{bench.sink}_reader"
    bench.sql(f"CREATE ROLE {role} LOGIN PASSWORD 'reader'")
    try:
        bench.sql(f"GRANT USAGE ON SCHEMA pgsinkd TO {role}")
        bench.sql(f"GRANT SELECT ON pgsinkd.schema_version, pgsinkd.dead_letters TO {role}")
        config = bench.config(topics=["t"], postgres={"dsn": bench.dsn(user=role, password="reader")})
        assert cli("list", config=config).stdout.startswith("orders-0@1\t")
        assert "permission denied for table dead_letters" in cli("discard", "--yes", code=4, config=config).stderr
    finally:
        bench.sql(f"DROP OWNED BY {role}")
        bench.sql(f"DROP ROLE {role}")


def test_a_place_chooses(bench, cli):
    """As `list` prints it, or as other commands take it; a topic's name may end like a partition."""
    for offset in (1, 10):
        letter(bench, offset, topic="t")
    letter(bench, 1, topic="t", partition=1)
    letter(bench, 1, topic="t-0")

    def shown(place, *argv):
        return [line for line in cli("show", place, *argv).stdout.splitlines() if not line.startswith(" ")]

    listed = [line.split("\t")[0] for line in cli("list").stdout.splitlines()]
    assert len(listed) == 4
    for place in listed:
        assert shown(place) == [place]
    assert shown("t:0@10") == ["t-0@10"] and shown("t@1") == ["t-0@1", "t-1@1"] and shown("t:1") == ["t-1@1"]
    assert shown("t-0") == ["t-0-0@1"] and len(shown("t", "--limit", "2")) == 2
    assert cli("discard", "t-1@1").stdout == "1 dead letter discarded\n"
    config = bench.config(topics=["t"])
    for place, code, text in (
        ("t-0@2", 1, f"sink '{bench.sink}' has no dead letter 't-0@2'"), ("t@latest", 2, "'latest' is not the offset of a record"),
        ("t:x", 2, "'x' is not a partition"), ("u-0@1", 2, "has no topic 'u'"),
    ):  # fmt: skip
        done = bench.command("dead-letters", config, "show", place)
        assert done.returncode == code and text in done.stderr, done.stderr
    assert "leave out --topic" in cli("show", "t-0@1", "--offset", "1", code=2).stderr
