#!/usr/bin/python3
"""What the documents name is there.

`worker/slot.c` names a file whose path ends so, `slot.c:slot_set, slot_name` also words of it. A link leads to a file,
and to a heading of it (or an <a id>) if it has a #. Blocks of code are not looked at. Each alert of contrib/ has a runbook,
which is a heading too.

usage: paths.py PROJECT_ROOT
"""

import fnmatch
import os
import re
import sys

import source

FOLDERS = ("bench", "conf", "docs", "man", "sql", "src", "systemd", "tests", "tools")
# Histories name what is gone, and recipes what is to come.
EXEMPT = ("CHANGELOG.md", "CONTRIBUTING.md")

BLOCK = re.compile(r"^```.*?^```$", re.M | re.S)
NAMED = re.compile(r"`([\w.*/-]+\.(?:c|h|cc|def|py|sql|md))(?::([\w, ]+))?`")
LINK = re.compile(r"\]\(([^)#:\s]*)(?:#([^)\s]+))?\)")
ALERTS = "contrib/prometheus/pgsinkd-alerts.yml"
RUNBOOK = re.compile(r'^ *runbook: "([^"#]+)#([^"]+)"$', re.M)
HEADING = re.compile(r"^#+ (.*)$", re.M)
ANCHOR = re.compile(r'<a id="([^"]+)">')


def tree(root):
    inside = [name for name in os.listdir(root) if os.path.isfile(os.path.join(root, name))]
    return sorted(inside) + source.files(root, *FOLDERS, names=("",))


def named(path, known):
    """The files that a path stands for, written from the root or from further down."""
    return [f for f in known if fnmatch.fnmatchcase(f, path) or fnmatch.fnmatchcase(f, "*/" + path)]


def anchors(text):
    """As GitHub makes them of headings."""
    titles = HEADING.findall(BLOCK.sub("", text))
    return set(ANCHOR.findall(text)) | {re.sub(r"[^\w -]", "", title).lower().replace(" ", "-") for title in titles}


def check_names(root, known, text):
    for path, words in NAMED.findall(text):
        found = named(path, known)
        if not found:
            yield f"names {path}, which does not exist"
            continue
        there = set().union(*(re.findall(r"\w+", source.read(root, f)) for f in found))
        yield from (f"{path} has no {word}" for word in re.findall(r"\w+", words) if word not in there)


def check_links(root, where, text):
    for path, anchor in LINK.findall(text):
        target = os.path.normpath(os.path.join(os.path.dirname(where), path)) if path else where
        if not os.path.exists(os.path.join(root, target)):
            yield f"leads to {path}, which does not exist"
        elif anchor and anchor not in anchors(source.read(root, target)):
            yield f"leads to {path}#{anchor}, which is no heading"


def check_alerts(root):
    if not os.path.exists(os.path.join(root, ALERTS)):
        return
    for rule in re.split(r"^ *- alert: ", source.read(root, ALERTS), flags=re.M)[1:]:
        name = rule.split("\n", 1)[0]
        runbook = RUNBOOK.search(rule)
        if not runbook:
            yield f"{ALERTS}: {name} has no runbook"
        elif runbook[2] not in anchors(source.read(root, runbook[1])):
            yield f"{ALERTS}: {name} leads to {runbook[1]}#{runbook[2]}, which is no heading"


def check(root):
    known = tree(root)
    faults = list(check_alerts(root))
    for where in (path for path in known if path.endswith(".md") and path not in EXEMPT):
        text = BLOCK.sub("", source.read(root, where))
        faults += [f"{where}: {fault}" for fault in [*check_names(root, known, text), *check_links(root, where, text)]]
    return faults


if __name__ == "__main__":
    source.report("paths", check(sys.argv[1]))
