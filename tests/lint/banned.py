#!/usr/bin/python3
"""Words and shapes that do not enter the tree (docs/CODING_STYLE.md), and how long things may be.

usage: banned.py PROJECT_ROOT
"""

import re
import sys

import source

# Name -> what to use.
CALLS = {
    "strcpy": "str.h, buf.h or snprintf",
    "stpcpy": "buf.h or snprintf",
    "strcat": "buf.h or snprintf",
    "strncat": "buf.h or snprintf",
    "strncpy": "snprintf, or memcpy with a checked length",
    "sprintf": "snprintf",
    "vsprintf": "vsnprintf",
    "gets": "fgets",
    "atoi": "str_to_i64",
    "atol": "str_to_i64",
    "atoll": "str_to_i64",
    "atof": "strtod with a check of the whole text",
    "strtok": "a view that moves (str.h)",
    "alloca": "arena.h or a fixed array",
    "rand": "backoff.h, or getrandom for what must not be guessed",
    "srand": "backoff.h, or getrandom for what must not be guessed",
    "localtime": "localtime_r",
    "gmtime": "gmtime_r",
    "ctime": "strftime",
    "asctime": "strftime",
    "system": "nothing: we start no programs",
    "popen": "nothing: we start no programs",
    "tmpnam": "mkstemp",
    "mktemp": "mkstemp",
    "usleep": "a wait with a deadline: poll",
    "setjmp": "a return value",
    "longjmp": "a return value",
}
# malloc and its family are mem.h's business: nobody else may have to think of NULL.
ALLOCATORS = {"malloc", "calloc", "realloc", "strdup", "strndup", "asprintf", "vasprintf", "reallocarray"}
ALLOCATOR_HOME = "src/base/mem.c"

CALL = re.compile(r"(?<![\w.>])(" + "|".join(sorted(set(CALLS) | ALLOCATORS)) + r")\s*\(")
TYPEDEF = re.compile(r"\btypedef\s+(struct|union|enum)\b")
NOTE = re.compile(r"\b(TODO|FIXME|X{3})\b")
FINE_IN_TESTS = {"usleep", "setjmp", "longjmp", "system", "popen"}

COLUMNS = 100
FUNCTION_ASK, FUNCTION_MAX = 60, 100
FILE_ASK, FILE_MAX = 600, 1000

TEXT_NAMES = source.C_NAMES + (".py", ".sh", ".build", ".txt", ".md", ".sql", ".yaml", ".yml", ".service")


def check_calls(path, code):
    in_tests = path.startswith("tests/")
    for number, line in enumerate(code.split("\n"), 1):
        for match in CALL.finditer(line):
            name = match.group(1)
            if name in ALLOCATORS:
                if path != ALLOCATOR_HOME and not in_tests:
                    yield f"{path}:{number}: {name}: use mem.h"
            elif not (in_tests and name in FINE_IN_TESTS):
                yield f"{path}:{number}: {name}: use {CALLS[name]}"
        if TYPEDEF.search(line):
            yield f"{path}:{number}: typedef of a struct, union or enum: write its tag"


# Samples that tests read: broken on purpose.
SAMPLES = ("tests/config/", "tests/fuzz/")


def check_lines(path, text):
    """What holds for every text file; C has some more."""
    is_c = path.endswith(source.C_NAMES)
    for number, line in enumerate(text.split("\n"), 1):
        if "\t" in line:
            yield f"{path}:{number}: tab"
        if line != line.rstrip():
            yield f"{path}:{number}: blank or carriage return at the end of the line"
        if not is_c:
            continue
        if any(ord(c) > 126 for c in line):
            yield f"{path}:{number}: not ASCII: write an escape"
        if len(line) > COLUMNS:
            yield f"{path}:{number}: {len(line)} columns, at most {COLUMNS}"
        if NOTE.search(line):
            yield f"{path}:{number}: {NOTE.search(line).group()} in the tree: open an issue instead"
    if text and not text.endswith("\n"):
        yield f"{path}: no line feed at the end"


def functions(code):
    """(line number, lines) of every function body: a brace in column 0 to the next closing one."""
    start = None
    for number, line in enumerate(code.split("\n"), 1):
        if line.rstrip() == "{":
            start = number
        elif line.startswith("}") and start is not None:
            yield start, number - start - 1
            start = None


def check_sizes(path, text, code):
    """(faults, questions)"""
    faults, questions = [], []
    for number, lines in functions(code):
        if lines > FUNCTION_MAX:
            faults.append(f"{path}:{number}: a function of {lines} lines, at most {FUNCTION_MAX}")
        elif lines > FUNCTION_ASK:
            questions.append(f"{path}:{number}: a function of {lines} lines: is it two things?")
    count = text.count("\n")
    if count > FILE_MAX:
        faults.append(f"{path}: {count} lines, at most {FILE_MAX}")
    elif count > FILE_ASK:
        questions.append(f"{path}: {count} lines: is it two things?")
    return faults, questions


def check(root):
    faults, questions = [], []
    for path in source.files(root, "src", "tests", "bench"):
        text = source.read(root, path)
        code = source.code_only(text)
        faults += check_calls(path, code)
        if not text.startswith("/*"):
            faults.append(f"{path}:1: the file does not open with a comment: what it does, what not, which thread")
        if path.startswith("src/"):
            more, asked = check_sizes(path, text, code)
            faults += more
            questions += asked
    for path in source.files(
        root, "src", "tests", "tools", "sql", "conf", "systemd", "bench", "docs", names=TEXT_NAMES
    ):
        if not path.startswith(SAMPLES):
            faults += check_lines(path, source.read(root, path))
    return faults, questions


if __name__ == "__main__":
    source.report("banned", *check(sys.argv[1]))
