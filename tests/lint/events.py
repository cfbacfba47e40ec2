#!/usr/bin/python3
"""Log lines stand in src/base/events.def: each of its rows is used, its numbers rise, nothing else is logged, docs/log.md
is its print, and docs/errors.md says of each warning and error what to do.

usage: events.py PROJECT_ROOT            checks
       events.py PROJECT_ROOT --print    prints docs/log.md
"""

import re
import sys

import source

DEF, DOC, GUIDE = "src/base/events.def", "docs/log.md", "docs/errors.md"
GUIDED = re.compile(r'^\| <a id="pgs-(\d+)"></a>PGS-(\d+) \| [^|]+ \| [^|]+ \| [^|]+ \|$', re.M)
ROW = re.compile(r"^(EVENT|FAULT)\((\d+),\s*(\w+),\s*(\w+),\s*((?:\"(?:\\.|[^\"\\])*\"\s*)+)\)", re.M)
CALL = re.compile(r"\blog_(event|fault)(_at)?\(([^;]*)\);")
WHAT = {"event": re.compile(r"\bLOG\((\w+)\)"), "fault": re.compile(r"\bLOG_(?!NOWHERE)(\w+)")}
ID_FILE, ID = "src/base/log_journal.c", re.compile(r'#define MESSAGE_NAMESPACE "([0-9a-f]*)"')
# 4xx: lines about a partition have it as a field; these are about none, or about several.
OF_NONE = {"entry_not_used", "cluster_changed", "seek_waits"}
# What base/log.c says of itself.
OWN = {"lines_left_out"}
HEAD = """\
# Log lines

Printed from `src/base/events.def`. A number stands for one kind of line in all versions. What warnings and errors mean,
and what to do: [errors.md](errors.md).

With `log: {format: text}`, the default, a line is `TIME LEVEL THREAD: TEXT`. Many errors are followed by a line that
begins with `HINT:`, says what to do, and ends with the number. With `log: {format: json}` each line is one JSON object
of less than 4,096 bytes with these keys; one whose value is not known is left out. Where stderr is the journal (a
service of systemd) the same are fields of each entry, whatever the format. `journalctl -u pgsinkd@orders TOPIC=orders
PARTITION=3` shows what concerned a partition, `journalctl MESSAGE_ID=...` all lines of a kind.

| key | field in the journal | value |
|---|---|---|
| `time` | the journal's own | RFC 3339, UTC, milliseconds |
| `level` | `PRIORITY` | `error`, `warning`, `notice`, `info`, `debug`; in the journal 3 to 7 |
| `event` | `PGSINKD_EVENT` | the number below: `PGS-501` |
| `name` | `PGSINKD_EVENT_NAME` | its name: `dead_letter` |
| | `MESSAGE_ID` | `@ID@` and the number with four digits: `@ID@0501` |
| `thread` | `THREAD` | who says it: `main`, `worker-1` |
| `sink` | `SINK` | as in the file |
| `topic` | `TOPIC` | what it is about |
| `partition` | `PARTITION` | a number; none where it is about a whole topic or about several partitions |
| `offset` | `OFFSET` | a number: of the record, or where reading continues |
| `sqlstate` | `SQLSTATE` | PostgreSQL's code for the fault |
| `message` | `MESSAGE` | the text; in the journal the hint is its second line |
| `hint` | `HINT` | what a person should do |

Bytes that are not UTF-8 become U+FFFD there. Faults of the command line and of the file are text in any case: they are
found before `log` is known. Where journald does not listen on its socket, its pipe gets lines with the level as their
priority. A line that whoever reads the log does not take within a second is left out, and so are those of the next 10 s for
which there is no room at once; PGS-119 then says how many.

| number | level | text | name |
|---|---|---|---|
"""


def rows(root):
    """(number, name, level, text, is it a fault?) of each row."""
    for kind, number, name, level, literals in ROW.findall(source.read(root, DEF)):
        text = "".join(re.findall(r'"((?:\\.|[^"\\])*)"', literals))
        yield int(number), name, level, text, kind == "FAULT"


def shown(name, text, is_fault):
    """A format as readers know it: what is filled in is an ellipsis."""
    if is_fault:
        return f"an error's own text: {text}"
    plain = re.sub(r"%(?:\.\d+)?(?:ll|z)?[a-z]", "...", text)
    return f"its own text: {name.replace('_', ' ')}" if plain == "..." else f"`{plain}`"


def needs_guide(level):
    return level in ("WARNING", "ERROR")


def linked(number, level):
    return f"[PGS-{number}](errors.md#pgs-{number})" if needs_guide(level) else f"PGS-{number}"


def check_guide(root):
    guided = [(int(anchor), int(number)) for anchor, number in GUIDED.findall(source.read(root, GUIDE))]
    wanted = [number for number, _, level, _, _ in rows(root) if needs_guide(level)]
    yield from (f"{GUIDE}: anchor {anchor} of PGS-{number}" for anchor, number in guided if anchor != number)
    numbers = [number for _, number in guided]
    yield from (f"{GUIDE} lacks PGS-{n}: what it means, what to do" for n in wanted if n not in numbers)
    yield from (f"{GUIDE} has PGS-{n}, which is no warning and no error" for n in numbers if n not in wanted)
    yield from (f"{GUIDE}: PGS-{b} follows PGS-{a}" for a, b in zip(numbers, numbers[1:]) if b <= a)


def printed(root):
    namespace = ID.search(source.read(root, ID_FILE)).group(1)
    lines = [
        f"| {linked(n, level)} | {level.lower()} | {shown(name, text, fault)} | `{name}` |\n"
        for n, name, level, text, fault in rows(root)
    ]
    return HEAD.replace("@ID@", namespace) + "".join(lines)


def check(root):
    faults, used = [], set()
    known = {name: fault for _, name, _, _, fault in rows(root)}
    numbers = [row[0] for row in rows(root)]
    of_partition = {name for number, name, *_ in rows(root) if number // 100 == 4} - OF_NONE
    for path in source.files(root, "src"):
        if path.startswith("src/base/"):
            continue
        text = source.read(root, path)
        for match in CALL.finditer(source.code_only(text)):
            place = f"{path}:{text.count(chr(10), 0, match.start()) + 1}"
            kind, at, args = match.groups()
            what = WHAT[kind].search(args)
            name = what.group(1) if what else None
            if known.get(name) != (kind == "fault"):
                faults.append(f"{place}: log_{kind}({args}): no {kind} of {DEF}: add a row")
                continue
            used.add(name)
            if name in of_partition and not at:
                faults.append(f"{place}: {name} is about a partition: log_{kind}_at says which")
    used |= OWN
    faults += [f"{DEF}: {name} is never logged: take it out" for name in known if name not in used]
    faults += [f"{DEF}: {b} follows {a}: numbers rise" for a, b in zip(numbers, numbers[1:]) if b <= a]
    faults += check_guide(root)
    if source.read(root, DOC) != printed(root):
        faults.append(f"{DOC} is not the print of {DEF}: run tests/lint/events.py . --print >{DOC}")
    return faults


if __name__ == "__main__":
    if sys.argv[2:] == ["--print"]:
        sys.stdout.write(printed(sys.argv[1]))
    else:
        source.report("events", check(sys.argv[1]))
