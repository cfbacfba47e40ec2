#!/usr/bin/python3
"""The two maps of the code are complete and up to date: the tour, which is the first comment of
src/main.c, and the table of rooms in docs/ARCHITECTURE.md.

The tour names files as room/file.c or room/file.{c,h}, or without the room below a line that begins
with "room/". The table has a row "| `room/` | ..." per room, which names each file's stem.

usage: tour.py PROJECT_ROOT
"""

import os
import re
import sys

import rooms
import source

NAME = re.compile(r"\b(?:(\w+)/)?(\w+)\.(\{[\w,]+\}|c\b|h\b|cc\b|def\b)")


def named(text):
    """Set of room/file.ext that a tour names."""
    found = set()
    room = None
    for line in text.split("\n"):
        line = line.lstrip(" *")
        head = re.match(r"(?:src/)?(\w+)/", line)
        if head and head.group(1) in rooms.LAW:
            room = head.group(1)
        for own_room, stem, ends in NAME.findall(line):
            where = own_room if own_room in rooms.LAW else room
            for end in ends.strip("{}").split(","):
                found.add(f"{where}/{stem}.{end}" if where and (stem, end) != ("main", "c") else f"{stem}.{end}")
    return found


def check_tour(root, paths):
    text = source.read(root, "src/main.c")
    first = re.match(r"/\*.*?\*/", text, re.S)
    if not first:
        return ["src/main.c: does not open with the tour"]
    names = named(first.group())
    faults = [f"src/main.c: the tour does not name {p}" for p in paths if p != "main.c" and p not in names]
    known = set(paths) | {p for p in names if p.split("/")[0] not in rooms.LAW}
    return faults + [f"src/main.c: the tour names {n}, which does not exist" for n in sorted(names - known)]


def check_table(root, paths):
    where = "docs/ARCHITECTURE.md"
    if not os.path.exists(os.path.join(root, where)):
        return [f"{where} is missing"]
    rows = dict(re.findall(r"^\|\s*`(?:src/)?([\w.]+)/?`\s*\|(.*)$", source.read(root, where), re.M))
    faults = [f"{where}: the table of rooms has a row for {r}, which is no room" for r in rows if r not in rooms.LAW]
    for room in rooms.LAW:
        inside = [p for p in paths if p.startswith(room + "/")]
        if inside and room not in rows:
            faults.append(f"{where}: the table of rooms has no row `{room}/`")
            continue
        words = set(re.findall(r"\w+", rows.get(room, "")))
        stems = sorted({p.split("/")[1].rsplit(".", 1)[0] for p in inside})
        faults += [f"{where}: the row of {room}/ does not name {s}" for s in stems if s not in words]
    return faults


def check(root):
    paths = [p[len("src/") :] for p in source.files(root, "src")]
    return check_tour(root, paths) + check_table(root, paths)


if __name__ == "__main__":
    source.report("tour", check(sys.argv[1]))
