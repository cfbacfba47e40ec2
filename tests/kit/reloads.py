"""What tests of SIGHUP share: rows that say by which file they were made, and records that come all the while."""

import copy
import threading


def tagged(bench, log, table="events", tag="a", **more):
    """A route that says of each row by which configuration it was made."""
    return {"topics": [log.topic], "table": table, "on_error": "stop", "columns": {"tag": {"const": tag}}} | more


def with_tag(config, tag, route=0):
    config = copy.deepcopy(config)
    config["routes"][route]["columns"]["tag"]["const"] = tag
    return config


def table(bench, name="events"):
    bench.plain_table(name)
    bench.sql(f"ALTER TABLE {name} ADD tag text")
    return name


class Load:
    """Records come in all the while."""

    def __init__(self, *logs, count=200):
        self._logs, self._count, self._over = logs, count, threading.Event()
        self._thread = threading.Thread(target=self._run)

    def _run(self):
        while not self._over.wait(0.02):
            for log in self._logs:
                log.fill(self._count)

    def __enter__(self):
        self._thread.start()

    def __exit__(self, *_):
        self._over.set()
        self._thread.join()
