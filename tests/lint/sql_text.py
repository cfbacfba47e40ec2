#!/usr/bin/python3
"""Nothing in our SQL is looked for in the search_path: operators, functions and types have a schema.

PostgreSQL takes an operator whose argument types match exactly, from whatever schema of the path, before one of
pg_catalog: whoever may create one there runs code as our role. tests/integration/test_hostile.py runs the program among
such operators; this script sees also what no test runs. It reads

    src/pg/*.[ch]   string literals that are SQL, joined over macros; not those of error_set, error_hint, error_wrap
    sql/0*.sql      bodies of functions without a fixed search_path, from step 004 on (steps do not change)

usage: sql_text.py PROJECT_ROOT
"""

import re
import sys

import source

IS_SQL = re.compile(r"\b(SELECT|FROM|WHERE|JOIN|UPDATE|INSERT INTO|DELETE FROM|CASE WHEN|COPY|AND|ORDER BY)\b")
LITERAL = re.compile(r'"((?:\\.|[^"\\\n])*)"')
MESSAGE = re.compile(r"\b(error_set|error_hint|error_wrap)\s*\(|#define HINT_")

# Words after which = assigns, and words after which it compares.
WORDS = re.compile(r"\b(SET|WHERE|ON|AND|OR|WHEN|CASE|SELECT|FROM|FILTER|HAVING|NOT|IF|ELSIF|WHILE|RETURN|PERFORM|DIAGNOSTICS)\b")
EQUALS = re.compile(r"(?<![<>=:!.])=(?![>)])")
OTHERS = [
    (re.compile(r"(?<![-(.])(<>|!=|<=|>=|(?<![<>])[<>](?![<>])|\|\||!?~~?\*?(?![a-z]))(?!\))"), "the operator {0}"),
    (re.compile(r"\s([-+/%])\s"), "the operator {0}"),
    (re.compile(r"(\bIN \(|(?<!ROWS )\bBETWEEN\b|\bI?LIKE\b|\bSIMILAR TO\b|\bDISTINCT FROM\b|\bNULLIF\b)", re.I), "{0}"),
    (re.compile(r"\b(CASE (?!WHEN\b))"), "CASE x WHEN, which compares"),
    (re.compile(r"\bJOIN \S+( \w+)? (USING \()"), "JOIN ... USING, which compares"),
    (re.compile(r"::(?!pg_catalog\.|%s|:)(\w+)"), "the type {0}"),
    (re.compile(r"(?<![.\w])(unnest\([^(),]*\))"), "the function {0}, of one array,"),
    (re.compile(r"(?<![.\w\"])(?<!AS )(?<!INTO )(?<!RECURSIVE )([a-z_]+)\("), "the function {0}()"),
]
# Words of SQL's own grammar. unnest() of several arrays in FROM is one too, and then means that of pg_catalog.
GRAMMAR = {"coalesce", "extract", "greatest", "least", "unnest", "claim", "overlay", "position", "trim"}


# Of a declaration in PL/pgSQL: its type, and those that are words of SQL's own grammar.
DECLARATIONS = re.compile(r"\bDECLARE\b(.*?)^BEGIN\b", re.S | re.M)
DECLARED = re.compile(r"^\s*\w+ (?:CONSTANT )?(\w+)(?:\[\])?\s*(?::=[^;]*)?;", re.M)
TYPE_WORDS = {"bigint", "bit", "boolean", "char", "integer", "interval", "numeric", "real", "record", "smallint", "time", "timestamp"}


def declared(body):
    """The types of variables that would be looked for in the search_path."""
    for declarations in DECLARATIONS.findall(body):
        for name in DECLARED.findall(declarations):
            if name not in TYPE_WORDS:
                yield f"the type {name}"


def bare(sql):
    """What of the SQL would be looked for in the search_path."""
    sql = re.sub(r"OPERATOR\(pg_catalog\.[^)]*\)", " ", sql)
    sql = re.sub(r"'(?:[^']|'')*'", "''", sql)
    for m in EQUALS.finditer(sql):
        words = WORDS.findall(sql, 0, m.start())
        if words and words[-1] not in ("SET", "DIAGNOSTICS"):
            yield "the operator ="
    for pattern, what in OTHERS:
        for m in pattern.finditer(sql):
            name = m.group(m.lastindex or 0)
            if name in GRAMMAR or name.startswith("%"):
                continue
            yield what.format(name.strip())


def statements(text):
    """(line, SQL) of each run of literals; macros between them count as blanks, SQL_EQ and the like among them."""
    text = re.sub(r"\\\n", " \n", source.without_comments(text))
    run = re.compile(r'"(?:\\.|[^"\\\n])*"(?:[\s]|[A-Z][A-Z_0-9]*(?:\((?:"(?:\\.|[^"\\\n])*"|[^()"])*\))?|"(?:\\.|[^"\\\n])*")*')
    for m in run.finditer(text):
        before = text[max(text.rfind(";", 0, m.start()), text.rfind("{", 0, m.start()), text.rfind("}", 0, m.start())) + 1 : m.start()]
        sql = " ".join(re.sub(r"\\(.)", r"\1", part) for part in LITERAL.findall(m.group()))
        if IS_SQL.search(sql) and not MESSAGE.search(before):
            yield text.count("\n", 0, m.start()) + 1, sql


def functions(text):
    """(line, body) of the functions that have no search_path of their own."""
    text = re.sub(r"--[^\n]*", "", text)
    for m in re.finditer(r"CREATE (?:OR REPLACE )?FUNCTION(.*?)\$\$(.*?)\$\$", text, re.S):
        if "SET search_path" not in m.group(1):
            yield text.count("\n", 0, m.start(2)) + 1, re.sub(r"RAISE [A-Z]+.*?;", ";", m.group(2), flags=re.S)


def check(root):
    faults = []
    for path in source.files(root, "src/pg", names=(".c", ".h")):
        for line, sql in statements(source.read(root, path)):
            faults += [f"{path}:{line}: {what} has no schema: see pg/sql.h" for what in bare(sql)]
    for path in source.files(root, "sql", names=(".sql",)):
        if path > "sql/003_z" and path != "sql/grants.sql":
            for line, body in functions(source.read(root, path)):
                faults += [
                    f"{path}:{line}: a function without a fixed search_path: {what} has no schema"
                    for what in [*bare(body), *declared(body)]
                ]
    return faults


if __name__ == "__main__":
    source.report("sql_text", check(sys.argv[1]))
