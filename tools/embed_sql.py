#!/usr/bin/env python3
"""Turns sql/NNN_*.sql and sql/grants.sql into C: embed_sql.py OUTPUT FILE..."""

import re
import sys
from pathlib import Path


def literal(line):
    # \0ooo would swallow a digit that follows, so everything odd is three octal digits.
    out = []
    for byte in line.encode("utf-8"):
        char = chr(byte)
        out.append(f"\\{byte:03o}" if char in '"\\?' or not 32 <= byte < 127 else char)
    return '"' + "".join(out) + '\\n"'


def array(name, path):
    lines = path.read_text("utf-8").splitlines()
    body = "".join(f"    {literal(line)},\n" for line in lines)
    return f"static const char *const {name}[] = {{\n{body}    0,\n}};\n"


def main(output, *files):
    paths = sorted(map(Path, files))
    steps = [p for p in paths if re.fullmatch(r"\d{3}_\w+\.sql", p.name)]
    grants = [p for p in paths if p.name == "grants.sql"]
    if [int(p.name[:3]) for p in steps] != list(range(1, len(steps) + 1)):
        sys.exit("the steps in sql/ must be numbered from 001 without a hole")
    if len(grants) != 1 or len(steps) + 1 != len(paths):
        sys.exit("expected the steps and grants.sql, got " + " ".join(p.name for p in paths))
    parts = ['/* Made by tools/embed_sql.py from sql/. */\n#include "pg/steps.h"\n']
    parts += [array(f"step_{int(p.name[:3])}", p) for p in steps]
    parts.append(array("grants", grants[0]))
    cases = "".join(f"    case {i}:\n        return step_{i};\n" for i in range(1, len(steps) + 1))
    parts.append(f"int steps_count(void)\n{{\n    return {len(steps)};\n}}\n")
    parts.append(
        "const char *const *steps_lines(int version)\n{\n    switch (version) {\n"
        f"{cases}    default:\n        return 0;\n    }}\n}}\n"
    )
    parts.append("const char *const *steps_grants(void)\n{\n    return grants;\n}\n")
    Path(output).write_text("\n".join(parts), "utf-8")


main(*sys.argv[1:])
