"""What the lint scripts share: finding files, seeing C without its comments and strings, reporting."""

import os
import re
import sys

C_NAMES = (".c", ".h", ".cc", ".def")
SKIPPED = {"__pycache__", ".git", ".pytest_cache"}


def files(root, *folders, names=C_NAMES):
    """Paths relative to root, with /, sorted; a folder that does not exist is empty."""
    found = []
    for folder in folders:
        for where, inside, here in os.walk(os.path.join(root, folder)):
            inside[:] = sorted(d for d in inside if d not in SKIPPED)
            for name in here:
                if name.endswith(tuple(names)):
                    found.append(os.path.relpath(os.path.join(where, name), root).replace(os.sep, "/"))
    return sorted(found)


def read(root, path):
    with open(os.path.join(root, path), encoding="utf-8", errors="surrogateescape", newline="") as f:
        return f.read()


TOKEN = re.compile(
    r"""//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'""",
    re.S,
)


def code_only(text):
    """The text with comments and the inside of literals blanked; every line keeps its number and width."""

    def blank(match):
        token = match.group()
        if token[0] in "\"'":
            return token[0] + " " * (len(token) - 2) + token[0]
        return re.sub(r"[^\n]", " ", token)

    return TOKEN.sub(blank, text)


def without_comments(text):
    """Comments blanked, literals kept: what #include lines need."""
    return TOKEN.sub(lambda m: m.group() if m.group()[0] in "\"'" else re.sub(r"[^\n]", " ", m.group()), text)


def report(title, faults, questions=()):
    """Prints all and ends the script: 0 when there is no fault."""
    for question in questions:
        print(f"question: {question}")
    for fault in faults:
        print(fault)
    print(f"{title}: {len(faults)} fault(s)")
    sys.exit(1 if faults else 0)
