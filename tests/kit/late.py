"""Tests that failed only because a deadline had passed, for tools/test: it runs them again, alone.

A machine that is shared stands still now and then. Nothing else excuses a test: what the checker finds, a wrong answer
and a fault in a daemon's log count at once.
"""

from pathlib import Path

# What is raised for a deadline: by the kit, by pytest-timeout, by subprocess, and by the kit's clients of Kafka.
LATE = (
    "kit.wait.Late:",
    "Failed: Timeout",
    "subprocess.TimeoutExpired:",
    "cimpl.KafkaException: KafkaError{code=_TIMED_OUT,",
)


def is_late(report):
    """Is this failure one of a deadline, or of a server that did not start?"""
    crash = getattr(report.longrepr, "reprcrash", None)
    return report.when == "setup" or (crash is not None and crash.message.startswith(LATE))


class Lateness:
    """A plugin of the process that gathers the reports; at the end it writes the tests' ids to the path."""

    def __init__(self, path):
        self.path = Path(path)
        self.late, self.wrong = set(), set()

    def pytest_runtest_logreport(self, report):
        if report.failed:
            (self.late if is_late(report) else self.wrong).add(report.nodeid)

    def pytest_sessionfinish(self):
        self.path.write_text("".join(f"{name}\n" for name in sorted(self.late - self.wrong)))
