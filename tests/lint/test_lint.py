#!/usr/bin/python3
"""The lint's own tests: a small clean tree passes every rule; each violation, alone, fails its rule."""

import json
import os
import subprocess
import sys
import tempfile
import unittest

import banned
import circles
import dialect
import events
import externs
import paths
import rooms
import sql_text
import tour

sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../tools"))

import coverage  # noqa: E402

CC = os.environ.get("CC", "cc").split()

# The rooms of the law, each with one file to begin with.
DOORS = {
    "base": "base/mem.h", "config": "config/config.h", "row": "row/message.h", "kafka": "kafka/feed.c",
    "pg": "pg/txn.h", "sink/app": "sink/app/app.h", "sink/worker": "sink/worker/worker.c",
    "row/batch": "row/batch/batch.h", "row/table": "row/table/table.h", "row/json": "row/json/json.h",
}  # fmt: skip


def door_of(room):
    return DOORS.get(room, f"{room}/door.h")


def tour_text():
    lines = []
    for room in rooms.LAW:
        if room != "main.c":
            name = "    " + room.split("/")[1] if "/" in room else room + "/"
            lines.append(f" * {name:<14}a room  {'' if room == 'sink' else door_of(room)}".rstrip() + "\n")
    return "".join(lines)


CLEAN = {
    "src/main.c": """\
/*
 * The tour.
 *
@TOUR@ */
#include "config/config.h"
#include "sink/app/app.h"

#include <stdio.h>

int main(void)
{
    return 0;
}
""".replace("@TOUR@", tour_text()),
    "src/base/mem.h": "/* Memory. */\nvoid *mem_alloc(unsigned long size);\n",
    "src/base/mem.c": """\
/* Memory. */
#include "base/mem.h"

#include <stdlib.h>

static const char *const words[] = {"a", "b"};
void *mem_alloc(unsigned long size)
{
    return words[0] ? malloc(size) : 0;
}
""",
    "src/base/log.h": "/* The log. */\nvoid log_line(int level);\n",
    "src/base/log.c": """\
/* The log. */
#include "base/log.h"

static int threshold = 1;
void log_line(int level)
{
    threshold = level;
}
""",
    "src/config/options.def": "/* Options. */\n",
    "src/config/config.h": """\
/* Config. */
#ifndef CONFIG_CONFIG_H
#define CONFIG_CONFIG_H

#include "base/mem.h"

#include <stdbool.h>

#include "config/options.def"

#endif
""",
    "src/config/config.c": """\
/* Config. */
#include "config/config.h"

#include "base/mem.h"

#include <string.h>
#include <yaml.h>
""",
    "src/row/batch/batch.h": "/* Batch. */\n",
    "src/row/table/table.h": "/* Table. */\n",
    "src/row/message.h": "/* Message. */\n",
    "src/row/json/json.h": "/* JSON. */\n",
    "src/row/json/json.cc": '/* JSON. */\n#include "row/json/json.h"\n\n#include <memory>\n#include <simdjson.h>\n',
    "src/kafka/feed.c": """\
/* Feed. */
#include "config/config.h"
#include "row/message.h"

#include <librdkafka/rdkafka.h>
""",
    "src/pg/txn.h": "/* Transaction. */\n",
    "src/pg/txn.c": """\
/* Transaction. */
#include "pg/txn.h"

#include "row/batch/batch.h"
#include "row/table/table.h"

#include <libpq-fe.h>
""",
    "src/sink/app/app.h": "/* App. */\n",
    "src/sink/worker/worker.c": """\
/* Worker. */
#include "base/log.h"
#include "pg/txn.h"
#include "row/batch/batch.h"

void worker(void)
{
    log_event("strcpy(a, b) in a text is fine; a comment, too"); /* gets(x) */
}
""",
    "docs/ARCHITECTURE.md": "| room | what |\n|---|---|\n"
    + "".join(f"| `{room}{'' if '.' in room else '/'}` | a room |\n" for room in rooms.LAW),
}
for room in rooms.LAW:
    if room not in ("main.c", "sink"):
        CLEAN.setdefault("src/" + door_of(room), "/* Door. */\n")


def with_lists(files):
    """The files, and a meson.build for each folder of src/ that lists all of its files."""
    lists = {}
    for path in files:
        folder, _, name = path.rpartition("/")
        if folder.startswith("src/") and files[path] is not None:
            lists[folder + "/meson.build"] = lists.get(folder + "/meson.build", "") + f"# {name}\n"
    return {**lists, **files}


class Tree:
    """The clean tree with some files changed, in a directory that goes away."""

    def __init__(self, changes=None):
        self.files = with_lists({**CLEAN, **(changes or {})})

    def __enter__(self):
        self.place = tempfile.TemporaryDirectory()
        for path, text in self.files.items():
            if text is not None:
                full = os.path.join(self.place.name, path)
                os.makedirs(os.path.dirname(full), exist_ok=True)
                with open(full, "w", encoding="utf-8", newline="") as f:
                    f.write(text)
        return self.place.name

    def __exit__(self, *unused):
        self.place.cleanup()


def library(root, paths, *flags):
    """Compiles files of a tree into a library, as meson names its objects."""
    made, objects = os.path.join(root, "libcore.a"), []
    for path in paths:
        objects.append(os.path.join(root, path[len("src/") :].replace("/", "_") + ".o"))
        subprocess.run([*CC, *flags, "-c", os.path.join(root, path), "-o", objects[-1]], check=True)
    subprocess.run(["ar", "rcs", made, *objects], check=True)
    return made


class Lint(unittest.TestCase):
    def expect(self, check, words, changes):
        """check finds exactly one fault, which contains words."""
        with Tree(changes) as root:
            faults = check(root)
        self.assertEqual(len(faults), 1, faults)
        self.assertIn(words, faults[0])

    def edit(self, path, old, new):
        self.assertIn(old, CLEAN[path])
        return {path: CLEAN[path].replace(old, new)}


class Rooms(Lint):
    def law(self, words, changes):
        self.expect(rooms.check, words, changes)

    def test_clean_tree(self):
        with Tree() as root:
            self.assertEqual(rooms.check(root), [])

    def test_every_forbidden_direction(self):
        known = {f"src/{room}/lone.h" for room in rooms.LAW if room != "main.c"}
        checked = 0
        for room in rooms.LAW:
            for other in rooms.LAW:
                rights = rooms.rights_of(room)
                allowed = other in rights or any(other.startswith(right + "/") for right in rights)
                if "main.c" in (room, other) or other == room:
                    continue
                fault = rooms.check_project_include(f"src/{room}/user.c", f"{other}/lone.h", known)
                checked += not allowed
                with self.subTest(room=room, other=other):
                    self.assertEqual(fault is None, allowed, fault)
        self.assertGreater(checked, 400)

    def test_a_forbidden_include(self):
        user = {"src/row/text/user.c": '/* User. */\n#include "row/cell/door.h"\n'}
        self.law('row/text may not include "row/cell/door.h" (it may include: base)', user)

    def test_the_longest_prefix_is_the_room(self):
        self.assertEqual(rooms.room_of("src/row/batch/fold.h"), "row/batch")
        self.assertEqual(rooms.room_of("src/row/message.h"), "row")
        self.assertEqual(rooms.room_of("src/main.c"), "main.c")

    def test_unit_tests_mirror_the_rooms(self):
        words = "there is no src/row/attic/: tests/unit/ mirrors src/"
        self.law(words, {"tests/unit/row/attic/test_batch.c": "/* Test. */\n"})
        self.law(words, {"tests/unit/row/attic/server_batch.c": "/* Test. */\n"})
        with Tree({"tests/unit/row/batch/test_batch.c": "/* Test. */\n", "tests/unit/row/kit/kit.c": "/* Kit. */\n"}) as root:
            self.assertEqual(rooms.check(root), [])

    def test_main_sees_no_window(self):
        self.law("main.c may not include", self.edit("src/main.c", "sink/app/app.h", "pg/txn.h"))

    def test_single_headers_of_a_room(self):
        self.law('pg may not include "row/message.h"', self.edit("src/pg/txn.c", "row/table/table.h", "row/message.h"))
        self.law('kafka may not include "row/batch/batch.h"', self.edit("src/kafka/feed.c", "row/message.h", "row/batch/batch.h"))

    def test_foreign_headers_in_other_rooms(self):
        for header in (
            "yaml.h", "simdjson.h", "librdkafka/rdkafka.h", "libpq-fe.h", "systemd/sd-daemon.h", "microhttpd.h",
            "google/protobuf/descriptor.h"
        ):  # fmt: skip
            with self.subTest(header=header):
                self.law("alone", {"src/command/run.c": f"/* Run. */\n#include <{header}>\n"})

    def test_foreign_header_in_a_second_file(self):
        self.law("1 file may", {"src/config/more.c": "/* More. */\n#include <yaml.h>\n"})

    def test_unknown_system_header(self):
        self.law("not a known header", self.edit("src/main.c", "stdio.h", "jansson.h"))
        self.law("not a known header", self.edit("src/main.c", "stdio.h", "memory"))

    def test_threads_are_made_in_base(self):
        self.law("belongs to base alone", self.edit("src/main.c", "stdio.h", "pthread.h"))

    def test_row_is_pure(self):
        self.law("row is pure", {"src/row/clock.c": "/* Clock. */\n#include <poll.h>\n"})
        self.law("row is pure", {"src/row/talk.c": '/* Talk. */\n#include "base/log.h"\n'})

    def test_lower_rooms_do_not_log(self):
        self.law("pg does not log", {"src/pg/talk.c": "/* Talk. */\nvoid f(void)\n{\n    log_event(x);\n}\n"})

    def test_unknown_room_and_unknown_file(self):
        self.law("is no room", {"src/attic/x.c": "/* X. */\n"})
        self.law("is no room", {"src/row/attic/x.c": "/* X. */\n"})
        self.law("is no file below src/", self.edit("src/pg/txn.c", "row/table/table.h", "row/table/tables.h"))
        self.law("is no file below src/", self.edit("src/pg/txn.c", "row/table/table.h", "table.h"))

    def test_cycle(self):
        self.law(
            "include cycle: row/table/table.h -> row/table/wide.h -> row/table/table.h",
            {
                "src/row/table/table.h": '/* Table. */\n#ifndef T\n#include "row/table/wide.h"\n#endif\n',
                "src/row/table/wide.h": '/* Wide. */\n#ifndef W\n#include "row/table/table.h"\n#endif\n',
            },
        )

    def test_order(self):
        mem = '#include "base/mem.h"\n'
        self.law("not its own header", self.edit("src/config/config.c", '"config/config.h"', '"base/log.h"'))
        self.law("no blank line after its own", self.edit("src/pg/txn.c", 'txn.h"\n\n', 'txn.h"\n'))
        self.law("without a blank line", self.edit("src/config/config.c", mem + "\n", mem))
        swapped = self.edit(
            "src/config/config.c", "<string.h>\n#include <yaml.h>", "<yaml.h>\n#include <string.h>"
        )
        self.law("alphabetical", swapped)
        self.law("one group", self.edit("src/config/config.c", "string.h>\n", "string.h>\n\n"))
        self.law("one group", {"src/sink/app/app.c": '/* A. */\n#include "sink/app/app.h"\n\n#include <stdio.h>\n\n' + mem})

    def test_conditional_includes_have_no_order(self):
        text = CLEAN["src/pg/txn.c"] + "\n#ifdef X\n#include <assert.h>\n#endif\n"
        with Tree({"src/pg/txn.c": text}) as root:
            self.assertEqual(rooms.check(root), [])

    def test_commented_include_does_not_count(self):
        text = CLEAN["src/pg/txn.c"] + '/*\n#include "sink/app/app.h"\n*/\n'
        with Tree({"src/pg/txn.c": text}) as root:
            self.assertEqual(rooms.check(root), [])


class Banned(Lint):
    def check(self, root):
        return banned.check(root)[0]

    def add(self, line, path="src/pg/txn.c"):
        return {path: CLEAN[path] + line + "\n"}

    def test_clean_tree(self):
        with Tree() as root:
            self.assertEqual(banned.check(root), ([], []))

    def test_every_banned_call(self):
        for name in [*banned.CALLS, *banned.ALLOCATORS]:
            with self.subTest(name=name):
                self.expect(self.check, f": {name}: use", self.add(f"int x = {name} (y);"))

    def test_neighbours_of_banned_names_pass(self):
        with Tree(self.add("int x = my_system(1) + strcpy_s(2) + o->system(3) + o.rand(4);")) as root:
            self.assertEqual(self.check(root), [])

    def test_lines(self):
        self.expect(self.check, "typedef of a struct", self.add("typedef struct x x;"))
        self.expect(self.check, "open an issue", self.add("/* TO" + "DO later */"))
        self.expect(self.check, "open an issue", self.add("/* FIX" + "ME later */"))
        self.expect(self.check, "open an issue", self.add("/* XX" + "X later */"))
        self.expect(self.check, "not ASCII", self.add("/* caf\u00e9 */"))
        self.expect(self.check, "tab", self.add("int\tx;"))
        self.expect(self.check, "at the end of the line", self.add("int x; "))
        self.expect(self.check, "at the end of the line", self.add("int x;\r"))
        self.expect(self.check, "101 columns", self.add("/* " + "x" * 95 + " */"))
        self.expect(self.check, "no line feed", {"tools/x.sh": "true"})
        self.expect(self.check, "open with a comment", {"src/pg/x.c": "int x;\n"})

    def test_a_hundred_columns_pass(self):
        with Tree(self.add("/* " + "x" * 94 + " */")) as root:
            self.assertEqual(self.check(root), [])

    def test_samples_may_be_broken(self):
        with Tree({"tests/config/bad/tab.yaml": "a:\tb"}) as root:
            self.assertEqual(self.check(root), [])

    def function(self, lines):
        return "void f(void)\n{\n" + "    x();\n" * lines + "}"

    def test_sizes(self):
        self.expect(self.check, "function of 101 lines", self.add(self.function(101)))
        self.expect(self.check, "1001 lines", {"src/pg/long.c": "/* Long. */\n" + "int x;\n" * 1000})
        for lines, words in ((61, "function of 61"), (60, None)):
            with Tree(self.add(self.function(lines))) as root:
                faults, questions = banned.check(root)
            self.assertEqual(faults, [])
            self.assertEqual(len(questions), 1 if words else 0)
        with Tree({"src/pg/long.c": "/* Long. */\n" + "int x;\n" * 600}) as root:
            self.assertEqual(len(banned.check(root)[1]), 1)


class Externs(Lint):
    SOURCES = ("src/base/mem.c", "src/base/log.c")

    def build(self, changes=None):
        with Tree(changes) as root:
            flags = ("-fPIE", "-fno-common", "-I", os.path.join(root, "src"))
            return externs.check(root, library(root, self.SOURCES, *flags))

    def fault(self, words, line):
        faults = self.build({"src/base/mem.c": CLEAN["src/base/mem.c"] + line + "\n"})
        self.assertEqual(len(faults), 1, faults)
        self.assertIn(words, faults[0])

    def test_clean_tree(self):
        self.assertEqual(self.build(), [])

    def test_variables(self):
        self.fault("other files can reach", "int counter = 1;")
        self.fault("other files can reach", "int counter;")
        self.fault("other files can reach", "_Thread_local int counter;")
        self.fault("static state that changes", "static int n __attribute__((used));")
        self.fault("no header declares it as extern const", "const int table[] = {1, 2};")

    def test_declared_constant_passes(self):
        self.assertEqual(
            self.build({
                "src/base/mem.h": CLEAN["src/base/mem.h"] + "extern const char *const mem_names[2];\n",
                "src/base/mem.c": CLEAN["src/base/mem.c"] + 'const char *const mem_names[2] = {"a", "b"};\n',
            }), []
        )  # fmt: skip

    def test_undeclared_function(self):
        self.fault("declared in no header", "void stray(void) {}")

    def test_empty_library(self):
        with Tree() as root:
            self.assertIn("defines nothing", externs.check(root, library(root, ()))[0])


class Circles(Lint):
    """Two files of pg that use each other, and one that uses both."""

    A = "/* A. */\nvoid a(void);\nvoid b(void);\nvoid a(void)\n{\n    b();\n}\n"
    B = "/* B. */\nvoid a(void);\nvoid b(void);\nvoid c(void);\nvoid b(void)\n{\n    @;\n}\nvoid c(void)\n{\n}\n"

    def build(self, b_does):
        files = {"src/pg/a.c": self.A, "src/pg/b.c": self.B.replace("@", b_does)}
        with Tree(files) as root:
            return circles.check(root, library(root, files))

    def test_one_way(self):
        self.assertEqual(self.build("c()"), [])

    def test_a_circle(self):
        want = "a circle of 2 files (pg/a.c, pg/b.c): pg/a.c uses b of pg/b.c, pg/b.c uses a of pg/a.c"
        self.assertEqual(self.build("a()"), [want])

    def test_longer_ones_and_several(self):
        graph = {"a": {"b": 1}, "b": {"c": 1}, "c": {"a": 1, "d": 1}, "d": {"e": 1}, "e": {"d": 1}, "f": {"a": 1}}
        self.assertEqual(circles.circles(graph), [{"a", "b", "c"}, {"d", "e"}])
        self.assertEqual(circles.shortest(graph, "a"), ["a", "b", "c"])

    def test_an_empty_library(self):
        with Tree() as root:
            self.assertIn("no file uses another", circles.check(root, library(root, ()))[0])


class Events(Lint):
    DEF = """\
/* Log lines. */
EVENT(101, ready, NOTICE, "ready after %.1f s")
EVENT(103, said, WARNING, "%s")
FAULT(110, refused, ERROR, "it cannot "
      "be used")
"""
    GUIDE = "".join(f'| <a id="pgs-{n}"></a>PGS-{n} | x | y | z |\n' for n in (103, 110))
    USES = "    log_event(LOG(ready), 1.0);\n    log_event(LOG(said), x);\n    log_fault(LOG_refused, err);\n"

    def tree(self, rows=DEF, uses=USES, doc=None, guide=GUIDE):
        changes = {"src/base/events.def": rows, "src/sink/app/a.c": "/* A. */\nvoid f(void)\n{\n" + uses + "}\n"}
        changes["src/sink/worker/worker.c"] = None
        changes["docs/errors.md"] = guide
        changes["src/base/log_journal.c"] = '/* J. */\n#define MESSAGE_NAMESPACE "0123"\n'
        with Tree(changes) as root:
            changes["docs/log.md"] = events.printed(root) if doc is None else doc
        return changes

    def test_a_clean_one(self):
        with Tree(self.tree()) as root:
            self.assertEqual(events.check(root), [])
            self.assertIn("| PGS-101 | notice | `ready after ... s` | `ready` |\n", events.printed(root))
            self.assertIn("| [PGS-103](errors.md#pgs-103) | warning | its own text: said | `said` |\n", events.printed(root))
            self.assertIn("| error | an error's own text: it cannot be used | `refused` |\n", events.printed(root))
            self.assertIn("`01230501`", events.printed(root))

    def test_faults(self):
        more = self.USES + "    log_event(LOG(raedy), 1.0);\n"
        self.expect(events.check, "no event of", self.tree(uses=more))
        self.expect(events.check, "no event of", self.tree(uses=self.USES + "    log_event(LOG(refused), 1);\n"))
        self.expect(events.check, "no fault of", self.tree(uses=self.USES + "    log_fault(LOG_ready, err);\n"))
        self.expect(events.check, "said is never logged", self.tree(uses=self.USES.replace("LOG(said)", "LOG(ready)")))
        falling = self.DEF.replace("103", "101").replace("WARNING", "INFO")
        self.expect(events.check, "101 follows 101", self.tree(rows=falling, guide=self.GUIDE.splitlines()[1] + "\n"))
        moved = self.DEF + 'EVENT(401, moved, INFO, "m")\n'
        said = self.USES + "    log_event(LOG(moved));\n"
        self.expect(events.check, "moved is about a partition", self.tree(rows=moved, uses=said))
        self.expect(events.check, "is not the print of", self.tree(doc="# Log lines\n"))

    def test_the_guide(self):
        lines = self.GUIDE.splitlines(keepends=True)
        self.expect(events.check, "lacks PGS-110: what", self.tree(guide=lines[0]))
        self.expect(events.check, "has PGS-101, which is no", self.tree(guide=lines[0].replace("103", "101") + self.GUIDE))
        self.expect(events.check, "PGS-103 follows PGS-110", self.tree(guide=lines[1] + lines[0]))
        self.expect(events.check, "anchor 104 of PGS-103", self.tree(guide=self.GUIDE.replace("pgs-103", "pgs-104")))


class Tour(Lint):
    DOC = "docs/ARCHITECTURE.md"

    def test_clean_tree(self):
        with Tree() as root:
            self.assertEqual(tour.check(root), [])

    def test_the_tour(self):
        line = next(l for l in tour_text().split("\n") if "pg/txn.h" in l) + "\n"
        self.expect(tour.check, "does not name pg/", self.edit("src/main.c", line, ""))
        self.expect(tour.check, "names attic/, which is no room", self.edit("src/main.c", line, line + " * attic/  x\n"))
        stale = self.edit("src/main.c", "pg/txn.h", "pg/txn.h, pg/txm.h")
        self.expect(tour.check, "names pg/txm.h, which does not exist", stale)
        self.expect(tour.check, "names no file of pg/", self.edit("src/main.c", "pg/txn.h", "base/mem.h"))
        self.expect(tour.check, "does not open with the tour", {"src/main.c": "int main;\n"})

    def test_the_table(self):
        self.expect(tour.check, "is missing", {self.DOC: None})
        self.expect(tour.check, "no row `pg`", self.edit(self.DOC, "| `pg/` | a room |\n", ""))
        self.expect(tour.check, "no row `row/text`", self.edit(self.DOC, "| `row/text/` | a room |\n", ""))
        self.expect(tour.check, "which is no room", {self.DOC: CLEAN[self.DOC] + "| `row/attic/` | x |\n"})

    def test_the_lists(self):
        self.expect(tour.check, "does not list txn.c", {"src/pg/meson.build": "files('txn_copy.c')\n"})
        self.expect(tour.check, "does not list options.def", {"src/config/meson.build": "files('config.c')\n"})
        self.expect(tour.check, "does not list message.h", {"src/row/meson.build": ""})


class Paths(Lint):
    def page(self, words, text):
        self.expect(paths.check, words, {"docs/page.md": text})

    def test_what_is_there(self):
        text = (
            "# A page: `with` marks\n`src/base/mem.c` `base/mem.h:mem_alloc` `mem.*` `base/*.c`"
            " [a](ARCHITECTURE.md) [b](#a-page-with-marks) [c](https://example.net/x#y)\n```\n`gone.c`\n```\n"
        )
        with Tree({"docs/page.md": text, "README.md": '[d](docs/page.md#there) <a id="x"></a>[e](#x)\n'}) as root:
            self.assertEqual(paths.check(root), ["README.md: leads to docs/page.md#there, which is no heading"])

    def test_files(self):
        self.page("names base/mom.c, which does not exist", "`base/mom.c`\n")
        self.page("names em.c, which does not exist", "`em.c`\n")
        self.page("base/mem.c has no mem_give", "`base/mem.c:mem_alloc, mem_give`\n")

    def test_links(self):
        self.page("leads to gone.md, which does not exist", "[a](gone.md)\n")
        self.page("leads to #below, which is no heading", "[a](#below)\n")

    def test_runbooks(self):
        rules = '  - alert: One\n    expr: 1\n  - alert: Two\n    runbook: "docs/page.md#a-page"\n'
        changes = {"docs/page.md": "# A page\n", paths.ALERTS: rules}
        self.expect(paths.check, "One has no runbook", changes)
        rules = rules.replace("expr: 1", 'runbook: "docs/page.md#one"')
        self.expect(paths.check, "One leads to docs/page.md#one", changes | {paths.ALERTS: rules})

    def test_what_a_history_names(self):
        with Tree({"CHANGELOG.md": "`base/gone.c`\n"}) as root:
            self.assertEqual(paths.check(root), [])


class Dialect(Lint):
    """Each part of the dialect in a file of its own: bad text is found once, good text is not."""

    def body(self, text):
        return f"/* X. */\nvoid x(void)\n{{\n{text}}}\n"

    def one(self, words, text):
        self.expect(dialect.check, words, {"src/pg/x.c": text})

    def none(self, text):
        with Tree({"src/pg/x.c": text}) as root:
            self.assertEqual(dialect.check(root), [])

    def test_clean_tree(self):
        with Tree() as root:
            self.assertEqual(dialect.check(root), [])

    def test_blank_line_after_declarations(self):
        words = "src/pg/x.c:4: no blank line after the declarations"
        for declaration in ("int a = 1;", "struct buf *b;", "char *c[2];", "_cleanup_buf_ struct buf b = {0};",
                            "void (*call)(int);", "static const char *const names[] = {0};", "size_t n; /* so many */"):
            for statement in ("a = b;", "call(a);", "return;", "if (a) {\n    }", "*a = 1;", "(void) a;"):
                self.one(words, self.body(f"    {declaration}\n    {statement}\n"))
                self.none(self.body(f"    {declaration}\n\n    {statement}\n"))
        self.one("x.c:6: no blank", self.body("    int a[] = {\n        1,\n    };\n    /* Why. */\n    call(a);\n"))

    def test_no_blank_line_is_wanted(self):
        self.none(self.body("    int a = 1;\n"))
        self.none(self.body("    call(1);\n    int a = 1;\n    call(a);\n"))
        self.none(self.body("    int a = 1;\n\n    int b = call(a);\n    call(b);\n"))
        self.none(self.body("    return a;\n"))
        self.none("/* X. */\nstruct x {\n    int a;\n    void (*call)(int);\n};\n")

    def test_clean_up_stands_first(self):
        self.one("write _cleanup_buf_ before the type", self.body("    struct buf b _cleanup_buf_ = {0};\n"))
        self.one("write _cleanup_(x_done) before", self.body("    struct x x _cleanup_(x_done) = {0};\n"))
        self.none(self.body("    _cleanup_buf_ struct buf b = {0};\n"))
        self.none("/* X. */\n#define _cleanup_buf_ _cleanup_(buf_done)\n")

    def test_comments_that_do_not_fit(self):
        words = "src/pg/x.c:3: the comment does not fit"
        self.one(words, "/* X. */\nenum {\n    A, /* what is too\n          long */\n};\n")
        self.none("/* X. */\nenum {\n    /* What is too\n     * long. */\n    A,\n    B, /* short */\n};\n")
        words = "src/pg/x.c:3: a comment has torn the declaration"
        self.one(words, "/* X. */\nstruct x {\n    char\n        text[6]; /* long */\n};\n")
        self.none("/* X. */\nenum x {\n    A,\n    B\n};\nstruct y {\n    char text[6]; /* y */\n};\n")

    POINTERS = """\
/* X. */
#include <assert.h>
#include <stdbool.h>
#include <stddef.h>

struct x {
    struct x *next;
    bool ok;
};
#define NEXT(x) ((x)->next ? (x)->next : (x))

bool @(struct x *p, int n);
bool @(struct x *p, int n)
{
    bool ok = p != NULL && n;

    assert(p != NULL);
    while (p != NULL && !p->ok && *&n) {
        p = p->next == NULL ? NULL : p->next;
    }
    CODE
    return ok;
}
"""

    def pointers(self, code):
        clang_query = dialect.find_clang_query()
        if clang_query is None:
            self.skipTest("clang-query (clang-tools) is not installed")
        files = {f"src/pg/{name}.c": self.POINTERS.replace("@", name).replace("CODE", code) for name in ("x", "y")}
        with Tree(files) as root:
            entries = [{"directory": root, "file": path, "arguments": ["gcc", "-Wlogical-op", "-Werror", "-c", path]}
                       for path in files]  # fmt: skip
            with open(os.path.join(root, "compile_commands.json"), "w", encoding="utf-8") as f:
                json.dump(entries, f)
            return dialect.check_pointers(root, root, clang_query)

    def test_pointers_that_are_compared(self):
        self.assertEqual(self.pointers(""), [])

    def test_pointers_that_are_not(self):
        code = "".join([
            "if (p) {}\n", "while (!p) {}\n", "do {} while (p->next);\n", "for (; p;) {}\n", "n = p ? 1 : 2;\n",
            "ok = n && p;\n", "ok = p || n;\n", "ok = p;\n", "assert(p);\n", "if ((p = p->next)) {}\n", "return p;\n",
        ])  # fmt: skip
        wants = [f"src/pg/{name}.c:{21 + i}: '{text}' is a pointer: compare it with NULL" for name in "xy" for i, text in
                 enumerate(["p", "p", "p->next", "p", "p", "p", "p", "p", "p", "(p = p->next)", "p"])]  # fmt: skip
        self.assertEqual(self.pointers(code), wants)

    def test_pointers_in_a_macro(self):
        wants = [f"src/pg/{name}.c:10: '(x)->next' is a pointer: compare it with NULL" for name in "xy"]
        self.assertEqual(self.pointers("p = NEXT(p);"), wants)

    def test_what_cannot_be_read(self):
        self.assertIn("clang-query failed", self.pointers("what;")[0])
        with Tree({"compile_commands.json": "[]"}) as root:
            self.assertIn("compiles no file", dialect.check_pointers(root, root, "clang-query")[0])


class Coverage(unittest.TestCase):
    """tools/coverage.py, which compares figures with the tables of docs/TESTING.md."""

    FILES = {"src/base/mem.c": (94, 100), "src/row/text/ascii.h": (50, 50), "src/row/message.h": (19, 20)}
    DOC = f"# Testing\n\n{coverage.ROOMS_HEAD}| `attic/` | 1 | 2 % |\n\n{coverage.FILES_HEAD}@\nThe end.\n"

    def test_rooms(self):
        want = [("base", 94, 100), ("row", 69, 70), ("row/text", 50, 50)]
        self.assertEqual(coverage.by_room(self.FILES), want)

    def test_faults(self):
        low = coverage.below(self.FILES)
        self.assertEqual(low, {"src/base/mem.c": "94.0 %"})
        self.assertEqual(coverage.faults(low, {"src/base/mem.c": "why"}), [])
        self.assertIn("write tests, or name it", coverage.faults(low, {})[0])
        self.assertIn("does not say why", coverage.faults(low, {"src/base/mem.c": ""})[0])
        self.assertIn("need not any more", coverage.faults({}, {"src/base/mem.c": "why"})[0])

    def test_writing_keeps_reasons(self):
        doc = self.DOC.replace("@", "| `src/base/mem.c` | 10.0 % | why |\n| `src/pg/gone.c` | 1.0 % | gone |\n")
        text = coverage.written(doc, self.FILES)
        self.assertIn("| `row/text/` | 50 | 100.0 % |\n\n", text)
        self.assertNotIn("attic", text)
        self.assertIn("| `src/base/mem.c` | 94.0 % | why |\n\nThe end.", text)
        self.assertEqual(coverage.reasons(text), {"src/base/mem.c": "why"})
        self.assertEqual(coverage.written(text, self.FILES), text)
        self.assertEqual(coverage.reasons(coverage.written(self.DOC.replace("@", ""), self.FILES)), {"src/base/mem.c": ""})


class SqlText(unittest.TestCase):
    def found(self, sql):
        return list(sql_text.bare(sql))

    def test_what_is_bare(self):
        for sql in (
            "SELECT a FROM t WHERE b = 1", "SELECT a || b", "SELECT a FROM t WHERE b <> 1", "WHERE a <= b", "WHERE a < b",
            "SELECT a + 1", "WHERE a IN (1, 2)", "WHERE a NOT IN (1)", "WHERE a BETWEEN 1 AND 2", "WHERE a LIKE 'x%'",
            "WHERE a IS NOT DISTINCT FROM b", "SELECT NULLIF(a, b)", "SELECT CASE a WHEN 1 THEN 2 END",
            "FROM a JOIN b USING (c)", "SELECT a::text", "SELECT count(*)", "UPDATE t SET a = 1 WHERE b = 2",
        ):  # fmt: skip
            self.assertTrue(self.found(sql), sql)

    def test_what_is_not(self):
        for sql in (
            "SELECT a FROM t WHERE b OPERATOR(pg_catalog.=) 'x = y' AND pg_catalog.f(c) IS NOT NULL",
            "UPDATE t SET a = 1, b = EXCLUDED.b", "SELECT a::pg_catalog.text", "ROWS BETWEEN 1 AND 2",
            "SELECT coalesce(a, b) FROM unnest($1, $2) AS u(a, b)", "SELECT DISTINCT ON (a) * FROM t", "SELECT $1",
            "SELECT CASE WHEN a THEN b ELSE -1 END",
        ):  # fmt: skip
            self.assertEqual(self.found(sql), [], sql)

    def test_literals_are_joined_and_messages_are_not_sql(self):
        text = """/* "SELECT a = b" */
            static const char a[] = "SELECT x FROM t"
                                    " WHERE x" SQL_EQ "1";
            bool f(void) { error_set(err, "SELECT x = 1"); }
            static const char b[] = "SELECT x"
                                    " FROM t WHERE x = 1";"""
        self.assertEqual([self.found(sql) for _, sql in sql_text.statements(text)], [[], ["the operator ="]])

    def test_functions_without_a_path(self):
        head = "CREATE FUNCTION f() RETURNS void LANGUAGE plpgsql"
        body = " AS $$ BEGIN x := 1; IF a = b THEN END IF; END $$;"
        path = " SET search_path = pg_catalog"
        self.assertEqual(len(list(sql_text.functions(head + body))), 1)
        self.assertEqual(list(sql_text.functions(head + path + body)), [])
        self.assertEqual(self.found(next(iter(sql_text.functions(head + body)))[1]), ["the operator ="])

    def test_types_that_a_function_declares(self):
        body = "\nDECLARE\n    a CONSTANT text[] := '{x}';\n    b integer;\n    c pg_catalog.text;\n    d uuid; -- why\nBEGIN\n"
        self.assertEqual(list(sql_text.declared(body)), ["the type text", "the type uuid"])


if __name__ == "__main__":
    unittest.main()
