"""A disk that is full, for one table: the kernel itself says ENOSPC.

    with disk.full(bench, "events") as repair:
        ...                 # nothing can be added to the table
        repair()            # from here on there is room
"""

import contextlib
import os
import shutil
import subprocess

ROOM = "2m"
PLENTY = "200m"


def _mount(*argv):
    return subprocess.run(["mount", *argv], capture_output=True).returncode == 0


def can_mount(probe):
    """May we mount a file system of our own? Not in most containers."""
    probe.mkdir()
    mounted = os.geteuid() == 0 and _mount("-t", "tmpfs", "-o", f"size={ROOM}", "tmpfs", probe)
    if mounted:
        subprocess.run(["umount", probe], check=True)
    probe.rmdir()
    return mounted


@contextlib.contextmanager
def small_tablespace(bench, table):
    """The table moves to a file system of its own, which it will fill."""
    place = bench.postgres.root / f"{bench.sink}-disk"
    name = f"{bench.sink}_disk"
    place.mkdir()
    assert _mount("-t", "tmpfs", "-o", f"size={ROOM},mode=700", "tmpfs", place)
    try:
        shutil.chown(place, "postgres", "postgres")
        bench.sql(f"CREATE TABLESPACE {name} LOCATION '{place}'")
        bench.sql(f"ALTER TABLE {table} SET TABLESPACE {name}")
        yield lambda: _mount("-o", f"remount,size={PLENTY}", place)
        bench.sql(f"ALTER TABLE {table} SET TABLESPACE pg_default")
        bench.sql(f"DROP TABLESPACE {name}")
    finally:
        subprocess.run(["umount", "--lazy", place], check=True)


def _leave(bench):
    """Whoever has the file open has the wrong one."""
    bench.postgres.terminate_backends()
    bench.db.close()
    bench.connected()


@contextlib.contextmanager
def full_device(bench, table):
    """The file of the table, which must be empty, is /dev/full for a while. Needs no right to mount."""
    path = bench.postgres.data / bench.value("SELECT pg_relation_filepath(%s)", table)
    assert path.stat().st_size == 0
    aside = path.with_name(f"{path.name}.aside")
    path.rename(aside)
    path.symlink_to("/dev/full")

    def repair():
        if path.is_symlink():
            path.unlink()
            aside.rename(path)
            _leave(bench)

    _leave(bench)
    try:
        yield repair
    finally:
        repair()


@contextlib.contextmanager
def full(bench, table):
    """As real as can be here."""
    way = small_tablespace if can_mount(bench.root / "probe") else full_device
    with way(bench, table) as repair:
        yield repair
