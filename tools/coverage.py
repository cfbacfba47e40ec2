#!/usr/bin/python3
"""How many lines of base, config and row the tests of a build have reached, by room, and each file below 95 %.

docs/TESTING.md has a table of these files with the reason for each. A file that is not in it, one that is in it and
need not be, or one without a reason is a fault. With --write the figures of this run are written there, and the
reasons are kept.

usage: coverage.py BUILD_DIR [--write]
"""

import json
import os
import re
import subprocess
import sys
from collections import Counter

WANTED = 95.0
FILES = r"src/(base|config|row)/"
DOC = "docs/TESTING.md"
ROOMS_HEAD = "| room | lines | reached |\n|---|---|---|\n"
FILES_HEAD = "| file | reached | why not more |\n|---|---|---|\n"


def measure(build):
    """{file: (lines reached, lines)}"""
    out = subprocess.run(
        ["gcovr", "-r", ".", "-f", FILES, "--exclude-lines-by-pattern", r".*__builtin_unreachable\(\);.*",
         "--json-summary", "-", build], check=True, capture_output=True, text=True
    ).stdout  # fmt: skip
    return {f["filename"]: (f["line_covered"], f["line_total"]) for f in json.loads(out)["files"] if f["line_total"]}


def percent(reached, lines):
    return f"{100 * reached / lines:.1f} %"


def by_room(files):
    """[(room, lines reached, lines)]: row as a whole and each room in it."""
    reached, lines = Counter(), Counter()
    for path, (some, all_of_them) in files.items():
        parts = path.split("/")[1:-1]
        for depth in range(1, len(parts) + 1):
            room = "/".join(parts[:depth])
            reached[room] += some
            lines[room] += all_of_them
    return [(room, reached[room], lines[room]) for room in sorted(lines)]


def below(files):
    return {path: percent(*counts) for path, counts in files.items() if 100 * counts[0] < WANTED * counts[1]}


def table(text, head):
    """The rows of the table with this head, each as its cells; and where they stand."""
    begin = text.find(head)
    if begin < 0:
        sys.exit(f"coverage: {DOC} lacks the table that begins with {head.splitlines()[0]}")
    begin += len(head)
    rows = re.match(r"(?:\|.*\n)*", text[begin:]).group()
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in rows.splitlines()], begin, begin + len(rows)


def reasons(text):
    return {file.strip("`"): why for file, _, why in table(text, FILES_HEAD)[0]}


def faults(low, said):
    found = [f"{path}: {low[path]} of its lines are reached: write tests, or name it in {DOC} with the reason (tools/test "
             f"coverage --write makes the row)" for path in sorted(set(low) - set(said))]  # fmt: skip
    found += [f"{path}: {DOC} names it, which it need not any more: take it out (tools/test coverage --write)"
              for path in sorted(set(said) - set(low))]  # fmt: skip
    found += [f"{path}: {DOC} does not say why: write the reason into its row"
              for path in sorted(low) if said.get(path) == ""]  # fmt: skip
    return found


def replace(text, head, rows):
    _, begin, end = table(text, head)
    return text[:begin] + "".join(f"| {' | '.join(cells)} |\n" for cells in rows) + text[end:]


def written(text, files):
    """The text of the document with the figures of this run."""
    low, said = below(files), reasons(text)
    text = replace(text, ROOMS_HEAD, [(f"`{room}/`", str(n), percent(some, n)) for room, some, n in by_room(files)])
    return replace(text, FILES_HEAD, [(f"`{path}`", low[path], said.get(path, "")) for path in sorted(low)])


def main():
    build, write = os.path.abspath(sys.argv[1]), sys.argv[2:] == ["--write"]
    os.chdir(os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
    files = measure(build)
    if not files:
        sys.exit("coverage: no figures: was it built with -Db_coverage=true, and were the tests run?")
    for room, reached, lines in by_room(files):
        print(f"{room:<16} {reached:>5} of {lines:>5} lines  {percent(reached, lines):>7}")
    low = below(files)
    for path in sorted(low):
        print(f"below {WANTED:.0f} %: {path} {low[path]}")
    with open(DOC, encoding="utf-8") as f:
        text = f.read()
    if write:
        text = written(text, files)
        with open(DOC, "w", encoding="utf-8") as f:
            f.write(text)
    found = faults(low, reasons(text))
    for fault in found:
        print(fault)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
