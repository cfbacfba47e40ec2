#!/usr/bin/env python3
"""Makes man/pgsinkd-sql.7 from its template and from the COMMENTs in sql/: sql_man.py OUTPUT TEMPLATE FILE...

The lines @tables@ and @functions@ of the template become lists of what operators use. What a COMMENT calls "Internal:"
or "Called by pgsinkd" is left out; the last COMMENT and the last CREATE FUNCTION of an object count.
"""

import re
import sys
import textwrap
from pathlib import Path

COMMENT = re.compile(
    r"^COMMENT ON (TABLE|VIEW|FUNCTION|COLUMN) :\"schema\"\.([^']*?) IS\s+((?:'(?:[^']|'')*'\s*)+);", re.M | re.S
)
CREATE = re.compile(r"^CREATE (?:OR REPLACE )?FUNCTION :\"schema\"\.(\w+)\(", re.M)
RETURNS = re.compile(r"\s*RETURNS\s+(.*?)\s+(?:LANGUAGE|STABLE|IMMUTABLE|VOLATILE|STRICT|SET|SECURITY|AS)\b", re.S)
DROP = re.compile(r"^DROP (?:FUNCTION|VIEW|TABLE) (?:IF EXISTS )?(.*?)(?: CASCADE)?;", re.M | re.S)
DROPPED = re.compile(r":\"schema\"\.(\w+)(?:\(([^)]*)\))?")
NOT_FOR_OPERATORS = re.compile(r"\bInternal:|\bCalled by pgsinkd\b")


def one_line(text):
    return " ".join(text.split())


def pieces(text):
    """What commas separate, outside parentheses and quotes."""
    found, depth, start = [], 0, 0
    for at, char in enumerate(text):
        depth += (char in "([") - (char in ")]")
        if char == "," and depth == 0:
            found.append(text[start:at])
            start = at + 1
    return [one_line(piece) for piece in [*found, text[start:]] if piece.strip()]


def closing(text, start):
    """Where the parenthesis that is open at `start` ends."""
    depth = 1
    for at in range(start, len(text)):
        depth += (text[at] == "(") - (text[at] == ")")
        if depth == 0:
            return at
    sys.exit("sql_man: a parenthesis that does not close")


def type_of(parameter):
    """Of `name type DEFAULT value`."""
    return re.sub(r"^(\"[^\"]+\"|\w+) |pg_catalog\.| DEFAULT .*$", "", parameter)


def types_of(text):
    return tuple(piece.replace("pg_catalog.", "") for piece in pieces(text))


class Schema:
    def __init__(self):
        self.tables = {}  # name: comment
        self.columns = {}  # name: {column: comment}
        self.functions = {}  # (name, types): comment
        self.signatures = {}  # (name, types): parameters and result

    def read(self, text):
        text = re.sub(r"^--.*\n", "", text, flags=re.M)
        for drop in DROP.finditer(text):
            for name, types in DROPPED.findall(drop.group(1)):
                self.tables.pop(name, None)
                self.functions.pop((name, types_of(types)), None)
        for create in CREATE.finditer(text):
            end = closing(text, create.end())
            parameters = pieces(text[create.end() : end])
            returns = RETURNS.match(text, end + 1)
            key = (create.group(1), tuple(type_of(p) for p in parameters))
            self.signatures[key] = parameters, one_line(returns.group(1)) if returns else ""
        for kind, what, literals in COMMENT.findall(text):
            said = "".join(re.findall(r"'((?:[^']|'')*)'", literals.replace("''", "\0"))).replace("\0", "'")
            self.comment(kind, one_line(what), said)

    def comment(self, kind, what, said):
        if kind == "COLUMN":
            table, column = what.split(".", 1)
            self.columns.setdefault(table, {})[column.strip('"')] = said
        elif kind == "FUNCTION":
            name, types = re.fullmatch(r"(\w+)\((.*)\)", what).groups()
            self.functions[(name, types_of(types))] = said
        else:
            self.tables[what] = said


def prose(text):
    """A sentence begins a line; nothing begins as a request of roff does."""
    lines = []
    for sentence in re.split(r"(?<=\.) (?=[A-Z])", text.replace("\\", "\\e")):
        lines += textwrap.wrap(sentence, 79, break_long_words=False, break_on_hyphens=False)
    return [("\\&" if line[0] in ".'" else "") + line for line in lines]


def literal(text):
    text = text.replace(':"schema".', "")
    return text.replace("\\", "\\e").replace('"', "\\(dq")


def tables(schema):
    yield ".Bl -tag -width indent"
    for name in sorted(schema.tables):
        yield f'.It Li "{name}"'
        yield from prose(schema.tables[name])
        if schema.columns.get(name):
            yield ".Bl -tag -width indent -compact"
            for column, said in schema.columns[name].items():
                yield f'.It Va "{column}"'
                yield from prose(said)
            yield ".El"
    yield ".El"


def functions(schema):
    yield ".Bl -tag -width indent"
    for key in sorted(schema.functions):
        said = schema.functions[key]
        if NOT_FOR_OPERATORS.search(said):
            continue
        parameters, result = schema.signatures.get(key, (key[1], ""))
        words = f"{key[0]}({', '.join(parameters)})" + (f" -> {result}" if result else "")
        said = said.removeprefix("For operators: ")
        yield f'.It Li "{literal(words)}"'
        yield from prose(said[0].upper() + said[1:])
    yield ".El"


def main(output, template, *files):
    schema = Schema()
    for path in sorted(map(Path, files)):
        if re.fullmatch(r"\d{3}_\w+\.sql", path.name):
            schema.read(path.read_text("utf-8"))
    made = {"@tables@": tables, "@functions@": functions}
    lines = []
    for line in Path(template).read_text("utf-8").splitlines():
        lines += made[line](schema) if line in made else [line]
    Path(output).write_text("\n".join(lines) + "\n", "utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
