"""Adds up junit files: `tally.py DIRECTORY` prints what failed and, last, `N passed, N failed, N skipped`.

Exit status 1 when something failed or nothing ran. A file without a test in it counts as failed. NAME.again.xml holds
tests of NAME.xml that were late and ran again, see late.py: the second result counts, and the first one is printed.
"""

import sys
import xml.etree.ElementTree as ET
from dataclasses import dataclass, field
from pathlib import Path

AGAIN = ".again"
LONGEST = 300  # characters of a reason


@dataclass
class Tally:
    passed: int = 0
    failed: list = field(default_factory=list)  # names
    late: list = field(default_factory=list)  # those of tests that failed at first
    skipped: int = 0
    why: dict = field(default_factory=dict)  # {name: the first line of its failure}


def outcome(case):
    if fault(case) is not None:
        return "failed"
    return "skipped" if case.find("skipped") is not None else "passed"


def fault(case):
    found = [case.find(kind) for kind in ("failure", "error")]
    return next((element for element in found if element is not None), None)


def outcomes(path):
    """({test: outcome}, {test: why it failed}) of one file."""
    try:
        cases = list(ET.parse(path).iter("testcase"))
    except ET.ParseError:
        cases = []
    results, why = {}, {}
    for case in cases:  # a test that fails and whose clean-up fails too is there twice
        name = f"{case.get('classname')} {case.get('name')}"
        results[name] = "failed" if results.get(name) == "failed" else outcome(case)
        if fault(case) is not None:
            why.setdefault(name, ((fault(case).get("message") or "").splitlines() or [""])[0][:LONGEST])
    return results, why


def tally(directory):
    """Of all junit files in the directory."""
    t = Tally()
    for path in sorted(Path(directory).glob("*.xml")):
        if path.stem.endswith(AGAIN):
            continue
        results, why = outcomes(path)
        second = path.with_name(f"{path.stem}{AGAIN}.xml")
        again = outcomes(second)[0] if second.exists() else {}
        t.late += [f"{path.stem}: {name}" for name, result in again.items() if result == "passed"]
        results |= {name: result for name, result in again.items() if results.get(name) == "failed"}
        if not results:
            t.failed.append(f"{path.stem}: no test ran")
        t.passed += sum(result == "passed" for result in results.values())
        t.skipped += sum(result == "skipped" for result in results.values())
        t.failed += [f"{path.stem}: {name}" for name, result in results.items() if result == "failed"]
        t.why |= {f"{path.stem}: {name}": reason for name, reason in why.items()}
    return t


def main():
    t = tally(sys.argv[1])
    for name in t.late:
        print(f"late, and passed alone: {name}: {t.why.get(name, '')}")
    for name in t.failed:
        print(f"FAILED {name}: {t.why.get(name, '')}")
    print(f"{t.passed} passed, {len(t.failed)} failed, {t.skipped} skipped")
    return 1 if t.failed or t.passed == 0 else 0


if __name__ == "__main__":
    sys.exit(main())
