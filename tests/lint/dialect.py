#!/usr/bin/python3
"""The dialect of C, as far as clang-format does not hold it:

- a pointer is compared: `if (p == NULL)`, not `!p` or `p`, wherever C wants a truth
- a blank line after the declarations that a function begins with
- what cleans up stands first: `_cleanup_buf_ struct buf text`
- a comment that does not fit beside its line stands above it

The first needs types. clang-query knows them; it reads the files as a build compiles them, so what that build leaves
out (#ifdef) is not seen. Without clang-query the exit status is 77, which means skipped, unless the rest has faults.

usage: dialect.py PROJECT_ROOT [BUILD_DIR]
"""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor

import banned
import source

FOLDERS = ("src", "tests", "tools", "bench")

# ---- declarations, clean-up, comments: by the text ----

CLEANUP = re.compile(r"\b_cleanup_(?:\w+_\b|\(\w+\))")
KEYWORDS = "return|goto|case|default|else|do|if|while|for|switch|break|continue|sizeof"
# Two words, or a word and a pointer: `struct buf text`, `char *p`, `void (*call)(int)`.
DECLARATION = re.compile(rf"\s+(?!(?:{KEYWORDS})\b)[A-Za-z_][\w:<>]*(?:\s+\**|\s*\*+\s*)(?:[A-Za-z_]|\(\*)")


def is_declaration(line):
    return bool(DECLARATION.match(CLEANUP.sub("", line)))


def declarations_end(text, code, start, count):
    """
    The number of the last line of the declarations that a function begins with, if a statement follows without a
    blank line between, else None. The lines are given with and without comments; numbers count from 1.
    """
    last, inside, depth = None, False, 0
    for number in range(start + 1, start + 1 + count):
        line = code[number - 1]
        if last and not inside and not text[number - 1].strip():
            return None
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        if not inside and not is_declaration(line):
            return last
        depth += sum(line.count(c) for c in "([{") - sum(line.count(c) for c in ")]}")
        inside = depth > 0 or not line.rstrip().endswith(";")
        last = number
    return None


def check_declarations(path, text, code):
    lines, code_lines = text.split("\n"), code.split("\n")
    for start, count in banned.functions(code):
        last = declarations_end(lines, code_lines, start, count)
        if last:
            yield f"{path}:{last}: no blank line after the declarations that the function begins with"


def check_cleanup(path, code):
    for number, line in enumerate(code.split("\n"), 1):
        match = CLEANUP.search(line)
        if match and line[: match.start()].strip() and not line.startswith("#define"):
            yield f"{path}:{number}: write {match.group()} before the type"


def check_comments(path, text, code):
    for match in source.TOKEN.finditer(text):
        token = match.group()
        begin = text.rfind("\n", 0, match.start()) + 1
        if token.startswith("/*") and "\n" in token and code[begin : match.start()].strip():
            number = text.count("\n", 0, begin) + 1
            yield f"{path}:{number}: the comment does not fit beside its line: write it above"
    lines, code_lines = text.split("\n"), code.split("\n")
    for number in range(1, len(lines) - 1):
        before, line, after = (code_lines[number - 1 + i].rstrip() for i in range(3))
        alone = re.fullmatch(r"\s+(?:\w+\s+)*\w+\s*\**", line) and (not before or before[-1] in "{;}")
        if alone and re.fullmatch(r"\s+\**\w+(?:\[[^\]]*\])*(?:\s*:\s*\d+)?;", after) and "/*" in lines[number + 1]:
            yield f"{path}:{number + 1}: a comment has torn the declaration in two: write it above"


# ---- pointers: by their types ----

POINTER = "ignoringParenImpCasts(expr(hasType(hasCanonicalType(pointerType())))"
QUERY = f"""
set output diag
set traversal AsIs
set bind-root false
let pointer expr({POINTER})).bind("pointer")
m ifStmt(hasCondition(pointer))
m whileStmt(hasCondition(pointer))
m doStmt(hasCondition(pointer))
m forStmt(hasCondition(pointer))
m conditionalOperator(hasCondition(pointer))
m unaryOperator(hasOperatorName("!"), hasUnaryOperand(pointer))
m binaryOperator(hasAnyOperatorName("&&", "||"), hasLHS(pointer))
m binaryOperator(hasAnyOperatorName("&&", "||"), hasRHS(pointer))
m implicitCastExpr(hasCastKind("CK_PointerToBoolean"), hasSourceExpression(expr().bind("pointer")))
"""
FOUND = re.compile(r'(?P<path>[^\s:][^:]*):(?P<line>\d+):(?P<column>\d+): note: "pointer" binds here')
MACRO = re.compile(r"(?P<path>[^\s:][^:]*):(?P<line>\d+):(?P<column>\d+): note: expanded from macro '(?P<name>\w+)'")
FAILED = re.compile(r"^\d+:\d+: Error |: (?:fatal )?error: |^Error while processing ", re.M)
FILES_AT_ONCE = 16  # they are all in memory


def find_clang_query():
    names = ["clang-query", *(f"clang-query-{version}" for version in range(30, 13, -1))]
    return next(filter(None, map(shutil.which, names)), None)


def compiled(root, build):
    """The C files that a build compiles and that are not its own, as full paths."""
    with open(os.path.join(build, "compile_commands.json"), encoding="utf-8") as f:
        entries = json.load(f)
    paths = {os.path.realpath(os.path.join(e["directory"], e["file"])) for e in entries}
    here = tuple(os.path.join(root, folder) + os.sep for folder in FOLDERS)
    return sorted(path for path in paths if path.startswith(here) and path.endswith(".c"))


def marked(shown):
    """The text above the caret and its tail."""
    line, carets = shown
    match = re.search(r"\^~*", carets)
    return line[match.start() : match.end()] if match else line.strip()


def pointers(root, build, clang_query):
    """{(path, line, column): the line with the caret below it} of pointers that stand for a truth; faults."""
    root, build = os.path.realpath(root), os.path.realpath(build)
    paths = compiled(root, build)
    with tempfile.NamedTemporaryFile("w", suffix=".query") as query:
        query.write(QUERY)
        query.flush()

        def ask(some):
            # No warnings: the flags may be gcc's, and a warning may be an error there.
            return subprocess.run(
                [clang_query, "-p", build, "--extra-arg=-w", "-f", query.name, *some],
                capture_output=True, text=True, check=False
            )  # fmt: skip

        parts = [paths[i : i + FILES_AT_ONCE] for i in range(0, len(paths), FILES_AT_ONCE)]
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            answers = list(pool.map(ask, parts))
    found = {}
    for answer in answers:
        lines = answer.stdout.split("\n")
        for i, line in enumerate(lines):
            match = FOUND.match(line)
            if match:
                shown = lines[i + 1 : i + 3]
                macro = MACRO.match(lines[i + 3]) if i + 3 < len(lines) else None
                # In the macro, not in what it is given.
                if macro and re.match(macro.group("name") + r"\b", marked(shown)):
                    match, shown = macro, lines[i + 4 : i + 6]
                path = os.path.relpath(os.path.realpath(os.path.join(build, match.group("path"))), root)
                if path.split("/")[0] in FOLDERS:
                    found[path, int(match.group("line")), int(match.group("column"))] = shown
    faults = [
        f"clang-query failed: {(answer.stderr + answer.stdout).strip()[:1000]}"
        for answer in answers
        if answer.returncode or FAILED.search(answer.stderr + answer.stdout)
    ]
    if not paths:
        faults.append(f"{build}: compiles no file of this tree: was it set up?")
    return found, faults


def check_pointers(root, build, clang_query):
    found, faults = pointers(root, build, clang_query)
    for (path, line, _), shown in sorted(found.items()):
        faults.append(f"{path}:{line}: '{marked(shown)}' is a pointer: compare it with NULL")
    return faults


def check(root):
    faults = []
    for path in source.files(root, *FOLDERS):
        text = source.read(root, path)
        code = source.code_only(text)
        faults += check_declarations(path, text, code)
        faults += check_cleanup(path, code)
        faults += check_comments(path, text, code)
    return faults


def main():
    root = sys.argv[1]
    faults = check(root)
    clang_query = find_clang_query()
    if len(sys.argv) > 2 and clang_query:
        faults += check_pointers(root, sys.argv[2], clang_query)
    elif len(sys.argv) > 2 and not faults:
        print("dialect: clang-query (clang-tools) is not installed: pointers are not checked", file=sys.stderr)
        sys.exit(77)
    source.report("dialect", faults)


if __name__ == "__main__":
    main()
