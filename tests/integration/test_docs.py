"""The examples of the documentation: they are executed, and what the pages show is what comes out.

A section of a page that has a route is one example. Its blocks are done from top to bottom:

    sql           is executed; a replay that it asks for is made
    yaml          is the rest of the sink's configuration, until the next one
    json          are records for the topic of the configuration: a value a line
    records       the same: `key | value` a line, without a value a tombstone; a key of bytes is \\x and hexadecimal
    headers       the same: `name=value, name=value | value` a line
    text          are queries and what psql prints of them, once all records before are dealt with
    console       is a command and what it prints

Where there are several topics, records say which (```json clicks). Each table of an example must be shown, and
each dead letter; then the checker looks at the rest.
"""

import json
import pathlib
import re

import pytest

PAGES = ["routes.md", "check.md", "sources.md", "debezium.md", "shaping.md", "dead-letters.md", "types.md", "tables.md",
         "migrate.md"]  # fmt: skip
DOCS = pathlib.Path(__file__).resolve().parents[2] / "docs"
BLOCK = re.compile(r"^```(\w+)(?: (\S+))?\n(.*?)^```$", re.M | re.S)
ANSWER = re.compile(r"^=> (.*)\n((?:(?!=> ).*\n)*)", re.M)


def sections(page):
    """(title, [(language, topic, text)]) of each section that has a route."""
    for section in re.split(r"^#+ ", (DOCS / page).read_text(), flags=re.M)[1:]:
        blocks = BLOCK.findall(section)
        if any(language == "yaml" for language, _, _ in blocks):
            yield section.splitlines()[0], blocks


EXAMPLES = [(f"{page}: {title}", blocks) for page in PAGES for title, blocks in sections(page)]


def topics_in(yaml):
    return [topic for listed in re.findall(r"topics: \[([^^\]]+)\]", yaml) for topic in listed.split(", ")]


def topics_of(blocks):
    """Those which records are sent to, and those which a route names."""
    named = [topic for _, topic, _ in blocks if topic]
    for language, _, text in blocks:
        named += topics_in(text) if language == "yaml" else []
    return list(dict.fromkeys(named))


def test_every_page_has_examples():
    for page in PAGES:
        assert any(name.startswith(page) for name, _ in EXAMPLES), f"{page} has none"


def test_every_example_has_topics_of_its_own():
    """Some of them run against one broker."""
    users = {}
    for name, blocks in EXAMPLES:
        for topic in topics_of(blocks):
            users.setdefault(topic, []).append(name)
    assert {topic: names for topic, names in users.items() if len(names) > 1} == {}


class Shown:
    """The checker's model of a table: the page has shown all of it, and that has been compared."""

    def __init__(self, page):
        self.page = page

    def faults(self, _db, table, _records):
        shown = any(re.match(rf"SELECT .* FROM {re.escape(table)}\b", query) for query in self.page.answers)
        return [] if shown else [("example", f"it does not show {table}")]


class Page:
    """One example while it is executed."""

    def __init__(self, bench, blocks):
        self.bench = bench
        self.logs = {name: bench.topic(name=name) for name in topics_of(blocks)}
        self.yaml = ""
        self.tables = {}  # of all routes so far
        self.settings = ""
        self.pending = False  # records, or wishes, that no daemon has seen
        self.answers = {}  # query -> the lines of its last answer

    def config(self):
        base = self.bench.config(routes=[])
        del base["routes"]
        head = "\n".join(f"{key}: {json.dumps(value)}" for key, value in base.items())
        return f"{head}\n{self.yaml}"

    def do(self, language, topic, text):
        getattr(self, f"do_{language}")(text, *([self.logs[topic]] if topic else []))

    def do_sql(self, text):
        self.settings += "".join(re.findall(r"^SET .*$", text, flags=re.M))
        self.bench.sql(text)
        self.pending |= "pgsinkd.replay(" in text

    def do_yaml(self, text):
        named = re.search(r"^sink: (.*)\n", text)
        self.bench.sink = named[1] if named else self.bench.sink
        self.yaml = text[named.end() :] if named else text
        self.tables |= dict.fromkeys(re.findall(r"table: ([\w.]+)$", text, flags=re.M))
        for listed in re.findall(r"tables: \[(.*)\]", text):
            self.tables |= dict.fromkeys(listed.split(", "))

    def do_json(self, text, log=None):
        self.send([(None, line.encode()) for line in text.splitlines()], log)

    def do_records(self, text, log=None):
        records = []
        for line in text.splitlines():
            key, value = (part.strip() for part in line.split("|", 1))
            binary = key.startswith("\\x")
            records.append((bytes.fromhex(key[2:]) if binary else key.encode() or None, value.encode() or None))
        self.send(records, log)

    def do_headers(self, text, log=None):
        records = []
        for line in text.splitlines():
            named, value = (part.strip() for part in line.split("|", 1))
            headers = [(name, its.encode()) for name, its in (pair.split("=", 1) for pair in named.split(", "))]
            records.append((None, value.encode(), headers))
        self.send(records, log)

    def send(self, records, log):
        if log is None:
            (topic,) = set(topics_in(self.yaml))
            log = self.logs[topic]
        log.send_many((0, key, value, *(headers or [None]), None) for key, value, *headers in records)
        self.pending = True

    def do_text(self, text):
        if self.pending:
            self.bench.drain(self.config())
            self.pending = False
        for query, answer in ANSWER.findall(text):
            got = self.bench.psql("-P", "footer=off", "-q", "-c", self.settings, "-c", query)
            self.answers[query] = self.same(got, answer)

    def do_console(self, text):
        """`$ pgsinkd check -c FILE`, perhaps with words after it; a line `...` stands for any lines."""
        line, _, answer = text.partition("\n")
        verb, words = re.fullmatch(r"\$ pgsinkd (\w+) -c \S+(.*)", line).groups()
        got = self.bench.command(verb, self.config(), *words.split())
        pattern = re.escape(answer).replace(re.escape("...\n"), r"(?:.*\n)*?")
        assert re.fullmatch(pattern, got.stdout + got.stderr), got.stdout + got.stderr

    @staticmethod
    def same(got, answer):
        shown = [line.rstrip() for line in got.stdout.strip("\n").split("\n")]
        assert shown == answer.strip("\n").split("\n"), f"psql printed\n{got.stdout}{got.stderr}"
        return shown

    def letters(self):
        """How many dead letters the last query for them has shown."""
        shown = [lines for query, lines in self.answers.items() if "pgsinkd.dead_letters" in query]
        return len(shown[-1]) - 2 if shown else 0

    def check(self):
        assert not self.pending, "what becomes of the last records is not shown"
        for table in self.tables:
            for log in self.logs.values():
                self.bench.check(log, table, model=Shown(self), dead=self.letters())


@pytest.mark.parametrize("blocks", [blocks for _, blocks in EXAMPLES], ids=[name for name, _ in EXAMPLES])
def test_the_examples_of_the_documentation(bench, blocks):
    page = Page(bench, blocks)
    for block in blocks:
        page.do(*block)
    page.check()
