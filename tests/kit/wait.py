"""Waiting for a condition with a deadline. Nothing in the tests sleeps blindly."""

import os
import time

# Slow machines and sanitizer builds stretch every deadline.
FACTOR = float(os.environ.get("PGSINKD_TEST_SLOWNESS", "1"))


class Late(AssertionError):
    """A deadline has passed. Nothing wrong was seen; what was waited for was not seen either."""


def until(condition, what, timeout=30.0, interval=0.03):
    """Calls condition() until it returns something true, and returns that.

    A deadline that passes is Late, which says what was waited for, and the last answer.
    """
    deadline = time.monotonic() + timeout * FACTOR
    while True:
        answer = condition()
        if answer:
            return answer
        if time.monotonic() > deadline:
            raise Late(f"waited {timeout * FACTOR:g} s in vain for {what}; last answer: {answer!r}")
        time.sleep(interval)


def stays(condition, what, seconds, interval=0.05):
    """The condition holds now and goes on holding for so many seconds."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        answer = condition()
        assert answer, f"did not stay so: {what}; answer: {answer!r}"
        time.sleep(interval)
