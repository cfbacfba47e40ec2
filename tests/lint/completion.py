#!/usr/bin/python3
"""The completion of bash offers what main.c has: every command, every option of each, and nothing that is not there.

It takes them from the usage texts, so this also shows that a usage text leaves none out.

usage: completion.py PROJECT_ROOT PROGRAM
"""

import os
import re
import subprocess
import sys

import source

VERB = re.compile(r'^    \{"([a-z-]+)",\s+"[^"]*",(.*?)\},$', re.M | re.S)
LETTERS = re.compile(r'"(\w*)",\s+\d,')
OPTION = re.compile(r'^    \{"([a-z-]+)", \w+_argument, NULL, \'(\w)\'\},', re.M)


def offered(root, program, *words):
    """What completes the last of the words."""
    script = (
        f'. "{root}/completion/pgsinkd.bash"; compopt() {{ :; }}; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1));'
        '_pgsinkd "$1" "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD-1]}"; printf "%s\\n" "${COMPREPLY[@]}"'
    )
    done = subprocess.run(
        ["bash", "-euc", script, "bash", program, *words], capture_output=True, text=True, check=True, cwd=root
    )
    return set(done.stdout.split())


def main():
    root, program = sys.argv[1], os.path.abspath(sys.argv[2])
    text = source.read(root, "src/main.c")
    options = {letter: "--" + name for name, letter in OPTION.findall(text)}
    verbs = {name: LETTERS.search(rest).group(1) for name, rest in VERB.findall(text)}
    faults = []

    def compare(words, wanted):
        given = offered(root, program, *words)
        if given != wanted:
            more = " ".join(sorted(given - wanted))
            less = " ".join(sorted(wanted - given))
            faults.append(f"after '{' '.join(words)}': offers [{more}], which is not there, and lacks [{less}]")

    if len(verbs) < 6 or len(options) < 10:
        faults.append("main.c is not written as this script expects")
    compare([""], {*verbs, "help", "--help", "--version"})
    compare(["help", ""], set(verbs))
    compare(["dead"], {"dead-letters"})
    for name, letters in verbs.items():
        compare([name, "--"], {options[letter] for letter in letters} | {"--help"})
    compare(["dead-letters", ""], {"list", "show", "replay", "discard"})
    compare(["dead-letters", "list", "--topic", ""], set())
    compare(["check", "-c", "conf/"], {"conf/minimal.yaml"})
    for fault in faults:
        print(f"completion/pgsinkd.bash {fault}", file=sys.stderr)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
