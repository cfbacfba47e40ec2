#!/usr/bin/python3
"""Is a generated file what the program prints?

usage: fresh.py PRINT_OPTIONS doc|example|metrics FILE [--update]
"""

import difflib
import pathlib
import subprocess
import sys

program, what, path = sys.argv[1:4]
printed = subprocess.run([program, what], stdout=subprocess.PIPE, check=True, text=True).stdout
file = pathlib.Path(path)
if "--update" in sys.argv[4:]:
    file.write_text(printed)
kept = file.read_text()
if kept != printed:
    sys.stdout.writelines(
        difflib.unified_diff(kept.splitlines(True), printed.splitlines(True), str(file), "printed")
    )
    sys.exit(f"{file} is not what the program prints: run this with --update")
