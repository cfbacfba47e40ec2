#!/usr/bin/python3
"""Golden files of the configuration: ok/*.yaml -> *.out (the effective configuration), bad/*.yaml -> *.err.

    run.py PRINT_OPTIONS [--update]

An effective configuration must read back as itself, apart from masked secrets. The word hunter2 stands for every
secret, typed or expanded, and must never be printed. --update rewrites the golden files: read the diff.
"""

import os
import pathlib
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
SECRET = "hunter2"
VALUES = {
    "SINK": "orders",
    "WORKERS": "3",
    "BROKER": "localhost",
    "START": "2026-01-31T00:00:00Z",
    "ON_GAP": "latest",
    "WRITE_PATH": "copy",
    "USER_NAME": "someone",
    "SECRET": SECRET,
    "YES": "true",
    "SIZE": "32MiB",
    "LINGER": "5ms",
    "RATE": "5 per 10s",
    "TOPIC": "orders",
    "UNIT": "us",
    "EMPTY": "",
}


def environment(**more):
    kept = {k: v for k, v in os.environ.items() if k.startswith(("ASAN_", "UBSAN_", "LSAN_", "TSAN_"))}
    return {**kept, **VALUES, **more}


def run(program, name, directory, data=None, **env):
    return subprocess.run(
        [program, "config", name],
        cwd=directory,
        input=data,
        env=environment(**env),
        capture_output=True,
        check=False,
        timeout=60,
    )


class Checker:
    def __init__(self, program, update):
        self.program = program
        self.update = update
        self.count = 0
        self.faults = []

    def fault(self, name, text):
        self.faults.append(f"{name}: {text}")

    def compare(self, path, got):
        if self.update:
            path.write_bytes(got)
        want = path.read_bytes() if path.exists() else b"(no such file)\n"
        if want != got:
            self.fault(path.name, f"expected\n{want.decode()}got\n{got.decode(errors='replace')}")

    def check_secret(self, name, result):
        if SECRET.encode() in result.stdout + result.stderr:
            self.fault(name, "prints a secret")

    def ok(self, path):
        self.count += 1
        result = run(self.program, path.name, path.parent)
        self.check_secret(path.name, result)
        if result.returncode != 0 or result.stderr:
            self.fault(path.name, f"exit {result.returncode}: {result.stderr.decode(errors='replace')}")
            return
        self.compare(path.with_suffix(".out"), result.stdout)
        # Relative ${file:} references are looked up in the directory of credentials too.
        again = run(self.program, "/dev/stdin", path.parent, result.stdout, CREDENTIALS_DIRECTORY=str(path.parent))
        if again.returncode != 0 or again.stdout != result.stdout:
            self.fault(path.name, f"does not read back as itself: {again.stderr.decode()}{again.stdout.decode()}")

    def bad(self, path):
        self.count += 1
        result = run(self.program, path.name, path.parent)
        self.check_secret(path.name, result)
        lines = result.stderr.decode(errors="replace").splitlines()
        if result.returncode != 3 or result.stdout:
            self.fault(path.name, f"exit {result.returncode}: {result.stderr.decode(errors='replace')}")
            return
        if not 1 <= len(lines) <= 2 or (len(lines) == 2 and not lines[1].startswith("HINT: ")):
            self.fault(path.name, f"not one line and a hint: {lines}")
        self.compare(path.with_suffix(".err"), result.stderr)

    def shipped(self, path):
        """A file of conf/: it loads, and so it does with every commented option in force."""
        self.count += 1
        lines = path.read_text().splitlines(keepends=True)
        everything = "".join(
            line.replace("#", "", 1) if line.lstrip().startswith("#") and line.lstrip()[1:2].isalpha() else line
            for line in lines
        ).encode()
        for data in (path.read_bytes(), everything):
            result = run(
                self.program, "/dev/stdin", path.parent, data, CREDENTIALS_DIRECTORY=str(HERE / "credentials")
            )
            if result.returncode != 0:
                self.fault(path.name, result.stderr.decode())


def main():
    checker = Checker(str(pathlib.Path(sys.argv[1]).resolve()), "--update" in sys.argv[2:])
    ok = sorted((HERE / "ok").glob("*.yaml"))
    bad = sorted((HERE / "bad").glob("*.yaml"))
    shipped = [ROOT / "conf" / "pgsinkd.yaml.example", ROOT / "conf" / "minimal.yaml"]
    for path in ok:
        checker.ok(path)
    for path in bad:
        checker.bad(path)
    for path in shipped:
        checker.shipped(path)
    if not ok or len(bad) < 40:
        checker.fault("run.py", "too few cases: tests that test nothing")
    for fault in checker.faults:
        print(fault)
    print(f"{checker.count} files, {len(checker.faults)} faults")
    return 1 if checker.faults else 0


if __name__ == "__main__":
    sys.exit(main())
