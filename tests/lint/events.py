#!/usr/bin/python3
"""Log lines stand in src/base/events.def: each of its rows is used, its numbers rise, nothing else is logged, and
docs/log.md is its print.

usage: events.py PROJECT_ROOT            checks
       events.py PROJECT_ROOT --print    prints docs/log.md
"""

import re
import sys

import source

DEF, DOC = "src/base/events.def", "docs/log.md"
ROW = re.compile(r"^(EVENT|FAULT)\((\d+),\s*(\w+),\s*(\w+),\s*((?:\"(?:\\.|[^\"\\])*\"\s*)+)\)", re.M)
CALL = re.compile(r"\blog_(event|fault)\(\s*([^,;]*?)\s*[,)]")
HEAD = """\
# Log lines

Printed from `src/base/events.def`. A line of the log is `TIME LEVEL THREAD: TEXT`; in the journal it has the level as
its priority instead. Many errors are followed by a line that begins with `HINT:` and says what to do. A number stands
for one kind of line in all versions.

| number | level | text |
|---|---|---|
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


def printed(root):
    lines = [f"| PGS-{n} | {level.lower()} | {shown(name, text, fault)} |\n" for n, name, level, text, fault in rows(root)]
    return HEAD + "".join(lines)


def check(root):
    faults, used = [], set()
    known = {name: fault for _, name, _, _, fault in rows(root)}
    numbers = [row[0] for row in rows(root)]
    for path in source.files(root, "src"):
        if path.startswith("src/base/"):
            continue
        text = source.read(root, path)
        for match in CALL.finditer(source.code_only(text)):
            place = f"{path}:{text.count(chr(10), 0, match.start()) + 1}"
            kind, what = match.groups()
            name = re.fullmatch(r"LOG\((\w+)" if kind == "event" else r"LOG_(\w+)", what)
            if not name or known.get(name.group(1)) != (kind == "fault"):
                faults.append(f"{place}: log_{kind}({what}): no {kind} of {DEF}: add a row")
            else:
                used.add(name.group(1))
    faults += [f"{DEF}: {name} is never logged: take it out" for name in known if name not in used]
    faults += [f"{DEF}: {b} follows {a}: numbers rise" for a, b in zip(numbers, numbers[1:]) if b <= a]
    if source.read(root, DOC) != printed(root):
        faults.append(f"{DOC} is not the print of {DEF}: run tests/lint/events.py . --print >{DOC}")
    return faults


if __name__ == "__main__":
    if sys.argv[2:] == ["--print"]:
        sys.stdout.write(printed(sys.argv[1]))
    else:
        source.report("events", check(sys.argv[1]))
