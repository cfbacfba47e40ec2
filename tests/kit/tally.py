"""Adds up junit files: `tally.py DIRECTORY` prints what failed and, last, `N passed, N failed, N skipped`.

Exit status 1 when something failed or nothing ran. A file without a test in it counts as failed.
"""

import sys
import xml.etree.ElementTree as ET
from pathlib import Path


def outcome(case):
    if case.find("failure") is not None or case.find("error") is not None:
        return "failed"
    return "skipped" if case.find("skipped") is not None else "passed"


def tally(directory):
    """(passed, [names of failed], skipped) of all junit files in the directory."""
    passed, failed, skipped = 0, [], 0
    for path in sorted(Path(directory).glob("*.xml")):
        try:
            cases = list(ET.parse(path).iter("testcase"))
        except ET.ParseError:
            cases = []
        results = {}  # a test that fails and whose clean-up fails too is there twice
        for case in cases:
            name = f"{case.get('classname')} {case.get('name')}"
            results[name] = "failed" if results.get(name) == "failed" else outcome(case)
        if not results:
            failed.append(f"{path.stem}: no test ran")
        passed += sum(result == "passed" for result in results.values())
        skipped += sum(result == "skipped" for result in results.values())
        failed += [f"{path.stem}: {name}" for name, result in results.items() if result == "failed"]
    return passed, failed, skipped


def main():
    passed, failed, skipped = tally(sys.argv[1])
    for name in failed:
        print(f"FAILED {name}")
    print(f"{passed} passed, {len(failed)} failed, {skipped} skipped")
    return 1 if failed or passed == 0 else 0


if __name__ == "__main__":
    sys.exit(main())
