#!/usr/bin/python3
"""What the objects export: no variable that can change, and nothing that no header declares. And which
objects hold mutable static state at all.

usage: externs.py PROJECT_ROOT LIBRARY [NM]
"""

import re
import subprocess
import sys

import source

# Static state that changes: the log's threshold, the failpoints' countdowns, a thread's own name, and
# whether a thread of librdkafka's is a broker's, which its interceptors get no structure for.
MUTABLE_HOMES = {"base/log.c", "base/failpoint.c", "base/thread.c", "kafka/traffic_taps.c"}

SYMBOL = re.compile(r"(?P<name>[^|]+)\|[^|]*\|\s*(?P<class>\S)\s*\|[^|]*\|[^|]*\|[^|]*\|(?P<section>.*)")
MUTABLE = re.compile(r"\.(data|bss|tdata|tbss|ldata|lbss)(?!\.rel\.ro)|\*COM\*")
# What compilers and <iostream>, which libprotobuf's headers include, add for themselves: sanitizers, coverage.
COMPILERS = re.compile(r"^(__?(asan|tsan|ubsan|odr_asan|gcov|llvm|sanitizer|profc|profd)|\.?L|llvm|__unnamed|__g?cov|_ZStL8__ioinit$)|^\$")


def symbols(library, nm="nm"):
    """(object, name, class, section) of everything that the library defines."""
    out = subprocess.run(
        [nm, "--format=sysv", "--defined-only", library], check=True, capture_output=True, text=True
    ).stdout
    thing = library
    for line in out.split("\n"):
        head = re.match(r"(?:Symbols from )?(.+?):?$", line)
        if head and "|" not in line:
            inside = re.search(r"\[(.+)\]|([^/\s]+\.o)", line)
            thing = (inside.group(1) or inside.group(2)).split("/")[-1] if inside else thing
            continue
        match = SYMBOL.match(line)
        if match and match.group("name").strip() != "Name":
            yield thing, match.group("name").strip(), match.group("class"), match.group("section").strip()


def home_of(thing, paths):
    """The source file of an object: meson names it after the path, with _ for /."""
    flat = thing[:-2] if thing.endswith(".o") else thing
    if flat.startswith("meson-generated"):
        return flat
    matches = [p for p in paths if flat.endswith(p.replace("/", "_"))]
    return max(matches, key=len) if matches else None


def check(root, library, nm="nm"):
    paths = [p[len("src/") :] for p in source.files(root, "src")]
    headers = "\n".join(
        source.code_only(source.read(root, "src/" + p)) for p in paths if p.endswith(".h")
    )
    declared = set(re.findall(r"\w+", headers))  # -Wmissing-prototypes looks at the rest
    constants = set(re.findall(r"\bextern\s+const\b[^;]*?\b(\w+)\s*(?:\[[^\]]*\]\s*)*;", headers))
    faults = []
    seen = False

    for thing, name, kind, section in symbols(library, nm):
        seen = True
        if COMPILERS.search(name) or kind in "wWvVu":  # weak: inline functions of C++
            continue
        home = home_of(thing, paths)
        if home is None:
            faults.append(f"{thing}: of no file below src/")
        elif MUTABLE.match(section):
            if kind.isupper():
                faults.append(f"{home}: {name} is a variable that other files can reach")
            elif home not in MUTABLE_HOMES:
                faults.append(f"{home}: {name} is static state that changes: put it into a structure")
        elif kind == "T" and name not in declared:
            faults.append(f"{home}: {name} is exported and declared in no header: make it static")
        elif kind in "RD" and name not in constants:
            faults.append(f"{home}: {name} is exported and no header declares it as extern const")
    if not seen:
        faults.append(f"{library} defines nothing: was it built?")
    return faults


if __name__ == "__main__":
    source.report("externs", check(*sys.argv[1:]))
