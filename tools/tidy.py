#!/usr/bin/python3
"""Looks for bugs with clang-tidy, as .clang-tidy says, in all C and C++ code that a build compiles; each finding is
printed once, and one is enough to fail.

Versions of clang-tidy disagree in what they find; the one of Debian 12 decides. With another version nothing is
checked, and the exit status is 77, which means skipped.

usage: tidy.py BUILD_DIR [PART_OF_A_PATH...]
"""

import json
import os
import re
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

WANTED = "14"
FOLDERS = ("src/", "tests/", "tools/", "bench/")
# The flags are gcc's where gcc builds: clang does not know all of its warnings.
FLAGS = ["--quiet", "--extra-arg=-Wno-unknown-warning-option"]
HEAD = re.compile(r"(?P<path>[^\s:][^:]*):(?P<place>\d+:\d+): (?:warning|error): ")


def find_program():
    for name in (f"clang-tidy-{WANTED}", "clang-tidy"):
        program = shutil.which(name)
        if program:
            version = subprocess.run([program, "--version"], check=True, capture_output=True, text=True).stdout
            return program, re.search(r"version (\d+)", version).group(1)
    sys.exit("tidy: clang-tidy is not installed")


def sources(build, parts):
    """(path as the build names it, path below the root); those the build made itself are left out."""
    with open(os.path.join(build, "compile_commands.json"), encoding="utf-8") as f:
        entries = json.load(f)
    full = {os.path.normpath(os.path.join(e["directory"], e["file"])) for e in entries}
    found = [(path, os.path.relpath(path)) for path in sorted(full)]
    return [
        (path, name)
        for path, name in found
        if name.startswith(FOLDERS) and (not parts or any(part in name for part in parts))
    ]


def findings(text, build):
    """{(path, place and text): the finding with the lines below it}: one in a header comes with each file."""
    found, last = {}, None
    for line in text.split("\n"):
        head = HEAD.match(line)
        if head:
            name = os.path.relpath(os.path.join(build, head.group("path")))
            last = (name, line[head.end("path") :])
            found[last] = [name + line[head.end("path") :]]
        elif last and line:
            found[last].append(line)
    return {key: "\n".join(lines) for key, lines in found.items()}


def main():
    build, parts = os.path.abspath(sys.argv[1]), sys.argv[2:]
    os.chdir(os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
    program, version = find_program()
    if version != WANTED:
        print(f"tidy: clang-tidy {version} is installed, {WANTED} decides: not checked", file=sys.stderr)
        return 77
    todo = sources(build, parts)
    if not todo:
        sys.exit("tidy: no file to look at: was the build set up, and is the part of a path right?")
    found = {}

    def look(item):
        run = subprocess.run(
            [program, "-p", build, *FLAGS, item[0]], capture_output=True, text=True, check=False
        )
        more = findings(run.stdout, build)
        if run.returncode != 0 and not more:
            more = {(item[1], "0"): f"{item[1]}: clang-tidy failed:\n{run.stderr}"}
        return more

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for more in pool.map(look, todo):
            found.update(more)
    for key in sorted(found):
        print(found[key])
    print(f"tidy: {len(todo)} files, {len(found)} finding(s)")
    if found:
        print("tidy: fix each, or say why not at the line (NOLINTNEXTLINE) or for all in .clang-tidy", file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
