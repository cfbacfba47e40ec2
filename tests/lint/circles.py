#!/usr/bin/python3
"""No circle between files by calls: if a file uses something of another, directly or by way of others, that one does
not use anything of it. Read from the objects: what each defines and what each lacks.

usage: circles.py PROJECT_ROOT LIBRARY [NM]
"""

import re
import subprocess
import sys

import externs
import source


def uses(root, library, nm="nm"):
    """{file: {file it uses: one of the symbols}}, the files as room/file.c."""
    paths = [p[len("src/") :] for p in source.files(root, "src") if not p.endswith(".h")]
    home = {}
    for thing, name, kind, _ in externs.symbols(library, nm):
        if kind.isupper() and kind not in "WVU":
            home[name] = externs.home_of(thing, paths)
    out = subprocess.run([nm, "--undefined-only", "--print-file-name", library], check=True, capture_output=True, text=True)
    graph = {}
    for line in out.stdout.split("\n"):
        match = re.match(r".*?([^/\s:\[]+\.o)\]?:\s*\S*\s*[UwvV]\s+(\S+)$", line)
        if match:
            user, owner = externs.home_of(match.group(1), paths), home.get(match.group(2))
            if user and owner and user != owner:
                graph.setdefault(user, {}).setdefault(owner, match.group(2))
    return graph


def reachable(graph, start):
    found, todo = set(), [start]
    while todo:
        for target in graph.get(todo.pop(), ()):
            if target not in found:
                found.add(target)
                todo.append(target)
    return found


def shortest(graph, start):
    """The files on a shortest way from start back to itself."""
    came, todo = {}, [start]
    for node in todo:
        for target in sorted(graph.get(node, ())):
            if target == start:
                way = [node]
                while way[-1] != start:
                    way.append(came[way[-1]])
                return way[::-1]
            if target not in came:
                came[target] = node
                todo.append(target)
    return []


def circles(graph):
    """Sets of files that all use one another, the largest first."""
    reach = {node: reachable(graph, node) for node in graph}
    groups, seen = [], set()
    for node in sorted(graph):
        if node in reach[node] and node not in seen:
            group = {other for other in reach[node] if node in reach.get(other, ())}
            seen |= group
            groups.append(group)
    return sorted(groups, key=lambda g: (-len(g), sorted(g)))


def check(root, library, nm="nm"):
    graph = uses(root, library, nm)
    faults = []
    for group in circles(graph):
        way = min((shortest(graph, node) for node in sorted(group)), key=len)
        steps = ", ".join(f"{a} uses {graph[a][b]} of {b}" for a, b in zip(way, way[1:] + way[:1]))
        faults.append(f"a circle of {len(group)} files ({', '.join(sorted(group))}): {steps}")
    if not graph:
        faults.append(f"{library}: no file uses another: was it built?")
    return faults


if __name__ == "__main__":
    source.report("circles", check(*sys.argv[1:]))
