#!/usr/bin/python3
"""The law of the rooms (docs/ARCHITECTURE.md): who may include what, and in which order. And the tests of a room lie in
a folder of its name.

usage: rooms.py PROJECT_ROOT
"""

import os
import re
import sys

import source

# What a room may include besides itself: whole rooms, or single headers of one. The room of a file is the longest
# prefix of its path that stands here; a room of rooms grants what it may include to all of them.
ROW_ALL = ["row/" + room for room in "text table cell json path schema format encode mapping envelope batch".split()]
LAW = {
    "base": [],
    "config": ["base"],
    "row": ["base"],
    "row/text": [],
    "row/table": [],
    "row/cell": ["row/text"],
    "row/batch": ["row/table", "row/identity.h", "row/message.h"],
    "row/json": ["row/cell", "row/text"],
    "row/path": ["row/cell", "row/text"],
    "row/schema": ["row/json", "row/cell", "row/text", "row/table"],
    "row/evolve": ["row/schema", "row/cell", "row/text", "row/table"],
    "row/format": ["row/schema", "row/json", "row/cell", "row/text", "row/message.h"],
    "row/encode": ["row/schema", "row/json", "row/cell", "row/text", "row/table"],
    "row/mapping": ["row/encode", "row/format", "row/schema", "row/path", "row/cell", "row/text", "row/table"],
    "row/envelope": [
        "row/mapping", "row/format", "row/schema", "row/json", "row/cell", "row/table", "row/message.h",
    ],
    "row/record": [*ROW_ALL, "row/identity.h", "row/message.h"],
    "kafka": ["base", "config", "row/identity.h", "row/message.h"],
    "pg": ["base", "config", "row/batch", "row/identity.h", "row/table"],
    "host": ["base"],
    "registry": ["base", "config"],
    "sink": ["base", "config", "row", "kafka", "pg", "host", "registry"],
    "sink/shared": [],
    "sink/plan": ["sink/shared", "sink/exit.h"],
    "sink/schemas": ["sink/plan", "sink/shared"],
    "sink/worker": ["sink/plan", "sink/shared"],
    "sink/scout": ["sink/plan", "sink/schemas", "sink/shared"],
    "sink/crew": ["sink/worker", "sink/scout", "sink/plan", "sink/shared"],
    "sink/watch": ["sink/crew", "sink/worker", "sink/scout", "sink/plan", "sink/shared", "sink/exit.h"],
    "sink/app": [
        "sink/watch", "sink/crew", "sink/scout", "sink/worker", "sink/schemas", "sink/plan", "sink/shared",
        "sink/exit.h",
    ],
    "command": ["base", "config", "row", "kafka", "pg", "host", "registry", "sink"],
    "main.c": ["base", "config", "sink", "command"],
}  # fmt: skip

# Foreign library: its headers, its only room, and in how many files of it.
FOREIGN = [
    ("libyaml", r"yaml\.h", "config", 1),
    ("simdjson", r"simdjson(\.h|/.*)", "row/json", 1),
    ("libprotobuf", r"google/protobuf/.*", "row/schema", 1),
    ("librdkafka", r"librdkafka/.*", "kafka", None),
    ("libcrypto", r"openssl/.*", "kafka", 1),
    ("libpq", r"(libpq-fe|libpq-events|pg_config.*|postgres_ext)\.h|libpq/.*", "pg", None),
    ("libsystemd", r"systemd/.*", "host", 1),
    ("libcurl", r"curl/.*", "registry", 1),
    ("libmicrohttpd", r"microhttpd\.h", "host", 1),
]

# The C library, POSIX and Linux. A header that is in no list is a decision to take: add it here.
SYSTEM_C = set(
    """
    assert.h ctype.h dirent.h endian.h errno.h fcntl.h float.h getopt.h inttypes.h limits.h locale.h malloc.h
    math.h netdb.h poll.h pthread.h pwd.h regex.h sched.h signal.h spawn.h stdalign.h stdarg.h stdatomic.h stdbool.h
    stddef.h stdint.h stdio.h stdlib.h stdnoreturn.h string.h strings.h termios.h time.h unistd.h
    arpa/inet.h netinet/in.h netinet/tcp.h sys/epoll.h sys/eventfd.h sys/ioctl.h sys/mman.h sys/pidfd.h sys/prctl.h
    sys/random.h sys/resource.h sys/signalfd.h sys/socket.h sys/stat.h sys/time.h sys/timerfd.h
    sys/types.h sys/uio.h sys/un.h sys/utsname.h sys/wait.h sanitizer/asan_interface.h
    """.split()
)
CPLUSPLUS = re.compile(r"[a-z_]+")  # <memory>, <string_view>: only in .cc

# Threads are made in base/ alone; row/ is a workshop without windows: no I/O, no clock, no thread.
ONLY_IN = {"pthread.h": ["base"]}
NOT_IN_ROW = {
    "fcntl.h", "netdb.h", "poll.h", "sched.h", "signal.h", "stdatomic.h", "sys/epoll.h", "sys/eventfd.h",
    "sys/socket.h", "unistd.h", "base/clock.h", "base/failpoint.h", "base/log.h", "base/mailbox.h",
    "base/thread.h",
}  # fmt: skip

# Who writes to the log. The others return their errors.
LOGS = {"base", "sink", "command", "main.c"}
LOG_CALL = re.compile(r"\blog_(event|fault)\s*\(")

INCLUDE = re.compile(r'\s*#\s*include\s*(<[^>]*>|"[^"]*")')


def longest(path):
    """row/batch/fold.h -> row/batch; row/message.h -> row; None where no room is."""
    parts = path.split("/")
    for n in range(len(parts), 0, -1):
        if "/".join(parts[:n]) in LAW:
            return "/".join(parts[:n])
    return None


def room_of(path):
    """src/pg/txn.c -> pg; src/row/batch/fold.c -> row/batch; src/main.c -> main.c"""
    return longest(path[len("src/") :])


def has_rooms(room):
    return any(other.startswith(room + "/") for other in LAW)


def is_missing(path):
    """Is the folder of the file no room of the law?"""
    folder = path[len("src/") :].rpartition("/")[0] or path[len("src/") :]
    return folder not in LAW


def rights_of(room):
    """What the room may include, with what the room around it grants."""
    above = room.rpartition("/")[0]
    return LAW[room] + (LAW[above] if above else [])


def includes(text):
    """(line number, kind, name, depth of #if) of every #include."""
    depth = 0
    for number, line in enumerate(source.without_comments(text).split("\n"), 1):
        if re.match(r"\s*#\s*if", line):
            depth += 1
        elif re.match(r"\s*#\s*endif", line):
            depth -= 1
        match = INCLUDE.match(line)
        if match:
            yield number, match.group(1)[0], match.group(1)[1:-1], depth


def check_project_include(path, name, known):
    room = room_of(path)
    if "src/" + name not in known:
        return f'"{name}" is no file below src/: write "room/file.h"'
    target = longest(name)
    if target == room:
        return None
    for right in rights_of(room):
        # A single header; a room; a room of rooms, for those outside of it.
        if right in (name, target) or target.startswith(right + "/"):
            return None
    rights = ", ".join(rights_of(room)) or "nothing else"
    return f'{room} may not include "{name}" (it may include: {rights})'


def check_system_include(path, name, foreign_users):
    room = room_of(path)
    for library, pattern, only_room, _ in FOREIGN:
        if re.fullmatch(pattern, name):
            foreign_users.setdefault(library, set()).add(path)
            return None if room == only_room else f"<{name}> belongs to {only_room} alone"
    if name in ONLY_IN and room not in ONLY_IN[name]:
        return f"<{name}> belongs to {', '.join(ONLY_IN[name])} alone"
    if name in SYSTEM_C or (path.endswith(".cc") and CPLUSPLUS.fullmatch(name)):
        return None
    return f"<{name}> is not a known header: decide, and add it to tests/lint/rooms.py"


def check_order(path, text, known):
    """Own header; project headers; system headers: three groups, each sorted, a blank line between."""
    base_depth = 1 if path.endswith(".h") else 0
    groups = []
    last = None
    for number, kind, name, depth in includes(text):
        if depth != base_depth or name.endswith(".def"):
            continue
        if last is not None and number == last + 1:
            groups[-1].append((number, kind, name))
        else:
            groups.append([(number, kind, name)])
        last = number
    stem = path[len("src/") :].rsplit(".", 1)[0]
    own = stem + ".h"
    faults = []

    if not path.endswith(".h") and groups and "src/" + own in known:
        first = groups.pop(0)
        if first[0][2] != own:
            return [f'{path}:{first[0][0]}: the first include is not its own header "{own}"']
        if len(first) > 1:
            faults.append(f"{path}:{first[0][0]}: no blank line after its own header")
    elif not path.endswith((".h", "main.c")) and len(groups) > 1:
        # A file that helps to implement another file's header opens with that header alone.
        if len(groups[0]) == 1 and groups[0][0][1] == '"' and groups[1][0][1] == '"':
            groups.pop(0)

    kinds = []
    for group in groups:
        names = [name for _, _, name in group]
        if len({kind for _, kind, _ in group}) > 1:
            faults.append(f"{path}:{group[0][0]}: project and system headers without a blank line between")
        if names != sorted(names):
            faults.append(f"{path}:{group[0][0]}: includes are not in alphabetical order")
        kinds.append(group[0][1])
    if kinds not in ([], ['"'], ["<"], ['"', "<"]):
        faults.append(f"{path}: want one group of project headers, then one of system headers")
    return faults


def find_cycles(graph):
    """One message per cycle found in a depth-first walk."""
    faults = []
    state = {}

    def walk(node, trail):
        state[node] = "open"
        for target in graph.get(node, ()):
            if state.get(target) == "open":
                loop = trail[trail.index(target) :] + [target]
                faults.append("include cycle: " + " -> ".join(loop))
            elif target not in state:
                walk(target, trail + [target])
        state[node] = "done"

    for node in sorted(graph):
        if node not in state:
            walk(node, [node])
    return faults


def check_mirror(root):
    """A test of one file or situation lies where what it tests lies."""
    faults = []
    for path in source.files(root, "tests/unit", names=(".c",)):
        folder, name = os.path.split(path[len("tests/unit/") :])
        if name.startswith(("test_", "server_")) and not os.path.isdir(os.path.join(root, "src", folder)):
            faults.append(f"{path}: there is no src/{folder}/: tests/unit/ mirrors src/, put it where what it tests is")
    return faults


def check(root):
    paths = source.files(root, "src")
    known = set(paths)
    faults = []
    graph = {}
    foreign_users = {}

    for path in paths:
        room = room_of(path)
        top = path.split("/")[1]
        text = source.read(root, path)
        if is_missing(path):
            faults.append(f"{path}: '{os.path.dirname(path)}' is no room: add it to the law in tests/lint/rooms.py")
            continue
        for number, kind, name, _ in includes(text):
            if kind == '"':
                fault = check_project_include(path, name, known)
                graph.setdefault(path[len("src/") :], []).append(name)
            else:
                fault = check_system_include(path, name, foreign_users)
            if not fault and top == "row" and name in NOT_IN_ROW:
                fault = f"row is pure: it may not include {name}"
            if fault:
                faults.append(f"{path}:{number}: {fault}")
        if top not in LOGS:
            for match in LOG_CALL.finditer(source.code_only(text)):
                number = text.count("\n", 0, match.start()) + 1
                faults.append(f"{path}:{number}: {room} does not log: return the error")
        faults += check_order(path, text, known)

    for library, _, room, limit in FOREIGN:
        users = sorted(p for p in foreign_users.get(library, ()) if room_of(p) == room)
        if limit is not None and len(users) > limit:
            faults.append(f"{library} is included by {', '.join(users)}: {limit} file may")
    return faults + find_cycles(graph) + check_mirror(root)


if __name__ == "__main__":
    source.report("rooms", check(sys.argv[1]))
