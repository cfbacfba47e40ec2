"""Processes the kit starts: they die with the test run, and can be frozen as a whole.

Start processes from the main thread only: the death signal follows the thread that started them.
"""

import contextlib
import ctypes
import os
import random
import signal
import socket
import subprocess
from pathlib import Path

from kit import wait

PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)


def spawn(argv, *, stdout, stderr=subprocess.STDOUT, env=None, cwd=None, death=signal.SIGKILL):
    """Popen of a process that gets the signal `death` when the test run ends, however it ends."""

    def child():
        _libc.prctl(PR_SET_PDEATHSIG, death)

    return subprocess.Popen(
        [str(a) for a in argv],
        stdin=subprocess.DEVNULL,
        stdout=stdout,
        stderr=stderr,
        env=env,
        cwd=cwd,
        preexec_fn=child,
    )


def reap(popen, timeout):
    """Waits for the end of a process; its return code, or None when it still runs."""
    try:
        return popen.wait(timeout * wait.FACTOR)
    except subprocess.TimeoutExpired:
        return None


def end(popen, timeout):
    """Asks it to end; kill -9 when it takes too long."""
    popen.send_signal(signal.SIGTERM)
    if reap(popen, timeout) is None:
        popen.kill()
        popen.wait()


def children(pid):
    """Process ids of the direct children, such as the backends of a postmaster."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            parent = int(stat(process.name)[1])
        except OSError:
            continue
        if parent == pid:
            found.append(int(process.name))
    return found


def stat(pid):
    """The fields of /proc/PID/stat behind the command's name, which may hold anything."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def state(pid):
    """The state letter of a process: R, S, T (stopped), Z …"""
    return stat(pid)[0]


def cpu_ticks(pid):
    """User and system time of a process, in 1/100 s."""
    fields = stat(pid)
    return int(fields[11]) + int(fields[12])


def freeze(pid):
    """SIGSTOP, and wait until every thread stands still."""
    os.kill(pid, signal.SIGSTOP)
    wait.until(lambda: state(pid) in "TZ", f"process {pid} to stop")


def thaw(pid):
    os.kill(pid, signal.SIGCONT)


def rss_bytes(pid):
    """Resident memory of a process."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


_given = set()


def free_port():
    """A TCP port nobody listens on. None of those that the kernel gives to connections, or one might have it before the
    server that it is for; nor one that was given before, or that another process of the run may be given."""
    mine = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0")[2:]) % 8
    low = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    while True:
        port = random.SystemRandom().randrange(10_000, low - 8) // 8 * 8 + mine if low > 12_000 else 0
        if port in _given:
            continue
        if port > 0:
            _given.add(port)
        with socket.socket() as s, contextlib.suppress(OSError):
            s.bind(("127.0.0.1", port))
            return s.getsockname()[1]


@contextlib.contextmanager
def frozen_thread(tid):
    """One thread of a process stands still, as if it waited for ever; the main thread's id is the process's."""
    seize, interrupt, detach, wall = 0x4206, 0x4207, 17, 0x40000000
    _libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]

    def ptrace(request):
        if _libc.ptrace(request, tid, None, None) != 0:
            raise OSError(ctypes.get_errno(), f"ptrace {request:#x} of {tid}")

    ptrace(seize)
    ptrace(interrupt)
    os.waitpid(tid, wall)
    try:
        yield
    finally:
        ptrace(detach)
