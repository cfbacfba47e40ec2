#!/usr/bin/python3
"""The maps of the code are complete and up to date.

The tour, which is the first comment of src/main.c, names each room of the law and, after it, files that open it. The
table of rooms in docs/ARCHITECTURE.md has a row "| `room/` | ..." for each. Each room's meson.build lists all of its
files: sources as 'name.c', the headers and tables that have no source of their own in a comment.

usage: tour.py PROJECT_ROOT
"""

import os
import re
import sys

import rooms
import source

DOOR = re.compile(r"\b[\w/]+\.(?:c|h|cc|def)\b")


def tour_rooms(text):
    """{room: what the tour says of it}: "row/" opens a line of its own, its sub-rooms are indented below it."""
    found = {}
    top = None
    for line in text.split("\n"):
        match = re.match(r" \*(\s+)(\w+)(/?)\s\s+(.*)", line)
        if not match:
            continue
        _, name, slash, rest = match.groups()
        if slash:
            top = name
            found[name] = rest
        elif top:
            found[f"{top}/{name}"] = rest
    return found


def check_tour(root, known):
    text = source.read(root, "src/main.c")
    first = re.match(r"/\*.*?\*/", text, re.S)
    if not first:
        return ["src/main.c: does not open with the tour"]
    said = tour_rooms(first.group())
    law = {room for room in rooms.LAW if "." not in room}
    faults = [f"src/main.c: the tour does not name {room}/" for room in sorted(law - set(said))]
    faults += [f"src/main.c: the tour names {room}/, which is no room" for room in sorted(set(said) - law)]
    for room in sorted(law & set(said)):
        doors = DOOR.findall(said[room])
        faults += [f"src/main.c: the tour names {d}, which does not exist" for d in doors if d not in known]
        has_rooms = any(other.startswith(room + "/") for other in law)
        if not has_rooms and not any(d in known and rooms.room_of("src/" + d) == room for d in doors):
            faults.append(f"src/main.c: the tour names no file of {room}/ to begin with")
    return faults


def check_table(root):
    where = "docs/ARCHITECTURE.md"
    if not os.path.exists(os.path.join(root, where)):
        return [f"{where} is missing"]
    rows = set(re.findall(r"^\|\s*`(?:src/)?([\w/.]+?)/?`\s*\|", source.read(root, where), re.M))
    faults = [f"{where}: the table of rooms has no row `{room}`" for room in sorted(set(rooms.LAW) - rows)]
    inside = {r for r in rows if r.split("/")[0] in {room.split("/")[0] for room in rooms.LAW}}
    faults += [f"{where}: the table of rooms has a row for {r}, which is no room" for r in sorted(inside - set(rooms.LAW))]
    return faults


def check_lists(root, known):
    faults = []
    for room in sorted({os.path.dirname(p) for p in known if "/" in p}):
        where = f"src/{room}/meson.build"
        text = source.read(root, where) if os.path.exists(os.path.join(root, where)) else ""
        for path in sorted(p for p in known if os.path.dirname(p) == room):
            stem, end = os.path.basename(path).rsplit(".", 1)
            if end == "h" and any(f"{room}/{stem}.{c}" in known for c in ("c", "cc")):
                continue  # listed with its source
            if not re.search(rf"(?:^|\W){stem}\.{end}\b", text):
                faults.append(f"{where}: does not list {stem}.{end}: add it, with a comment that says what it is for")
    return faults


def check(root):
    known = {p[len("src/") :] for p in source.files(root, "src")}
    return check_tour(root, known) + check_table(root) + check_lists(root, known)


if __name__ == "__main__":
    source.report("tour", check(sys.argv[1]))
