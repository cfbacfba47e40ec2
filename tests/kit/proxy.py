"""A TCP proxy whose network fails on command.

    proxy = Proxy(("127.0.0.1", 5432))
    proxy.cut() / proxy.reset()         end all connections, with FIN or with RST
    proxy.black_hole()                  connections stay open, nothing passes any more, new ones too
    proxy.refuse()                      new connections are refused; old ones are cut
    proxy.reopen()                      new connections pass again; those in the hole stay there, and the
                                        server goes on believing in them
    proxy.heal()                        pass everything again; connections that lost bytes are reset
    proxy.delay = 0.05                  seconds each piece waits, in each direction
    proxy.cut_after(DOWN, 10_000)       reset the connection once so many bytes went that way
    proxy.cut_at(DOWN, b"COPY ")        reset the connection when the pattern comes by; it does not pass
    proxy.rewrite = b"old", b"new"      what the server says, as long as before, where it comes in one piece

UP is client to server, DOWN is server to client.
"""

import contextlib
import select
import socket
import struct
import threading
import time

UP = "up"
DOWN = "down"

PASS, HOLE, REFUSE = "pass", "hole", "refuse"
ABORT = struct.pack("ii", 1, 0)  # SO_LINGER on, no seconds: close sends RST


class _Link:
    """One proxied connection: two sockets, one thread per direction. The last thread out closes both."""

    TICK = 0.1  # how soon a thread that waits sees that the link has ended

    def __init__(self, proxy, client, server):
        self.proxy = proxy
        self.client = client
        self.server = server
        self.swallowed = False  # bytes were lost: from here on nothing passes, not even the end
        self._ended = threading.Event()
        self._threads = 2
        self._lock = threading.Lock()

    def start(self):
        for s in (self.client, self.server):
            s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            s.setblocking(False)
        for way in ((UP, self.client, self.server), (DOWN, self.server, self.client)):
            threading.Thread(target=self._run, args=way, daemon=True).start()

    def end(self, reset):
        """Ends the connection; both peers see it at once."""
        self._ended.set()
        for s in (self.client, self.server):
            with contextlib.suppress(OSError):
                if reset:
                    s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, ABORT)
                    s.shutdown(socket.SHUT_RD)  # sends nothing, but wakes the thread that reads
                else:
                    s.shutdown(socket.SHUT_RDWR)

    def _run(self, direction, source, target):
        try:
            self._pump(direction, source, target)
        except OSError:
            pass
        if self.swallowed:
            self._ended.wait()
        if not self._ended.is_set():
            self.end(reset=False)
        with self._lock:
            self._threads -= 1
            last = self._threads == 0
        if last:
            self.client.close()
            self.server.close()
            self.proxy._forget(self)

    def _pump(self, direction, source, target):
        tail = b""
        while not self._ended.is_set():
            if not select.select([source], [], [], self.TICK)[0]:
                continue
            data = source.recv(65536)
            if not data:
                return
            if self.proxy.delay:
                time.sleep(self.proxy.delay)
            if self.proxy.mode == HOLE or self.swallowed:
                self.swallowed = True
                continue
            if self.proxy._strikes(direction, tail + data, len(data)):
                self.end(reset=True)
                return
            tail = data[-64:]
            if direction == DOWN and self.proxy.rewrite:
                data = data.replace(*self.proxy.rewrite)
            self._send(target, data)

    def _send(self, target, data):
        while data and not self._ended.is_set():
            if select.select([], [target], [], self.TICK)[1]:
                data = data[target.send(data) :]


class Proxy:
    def __init__(self, target, port=0):
        self.target = target
        self.mode = PASS
        self.delay = 0
        self.rewrite = None
        self.struck = threading.Event()  # a cut_after or cut_at has done its work
        self._lock = threading.Lock()
        self._links = set()
        self._rule = None
        self._listener = socket.create_server(("127.0.0.1", port), backlog=64)
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            if self.mode == REFUSE:
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, ABORT)
                client.close()
                continue
            try:
                server = socket.create_connection(self.target, 5)
            except OSError:
                client.close()
                continue
            link = _Link(self, client, server)
            with self._lock:
                self._links.add(link)
            link.start()

    def _forget(self, link):
        with self._lock:
            self._links.discard(link)

    def _all(self):
        with self._lock:
            return list(self._links)

    @property
    def connections(self):
        return len(self._all())

    def cut(self):
        for link in self._all():
            link.end(reset=False)

    def reset(self):
        for link in self._all():
            link.end(reset=True)

    def black_hole(self):
        self.mode = HOLE

    def refuse(self):
        self.mode = REFUSE
        self.reset()

    def reopen(self):
        self.mode = PASS

    def heal(self):
        self.mode = PASS
        self.delay = 0
        self._rule = None
        for link in self._all():
            if link.swallowed:
                link.end(reset=True)

    def cut_after(self, direction, nbytes):
        """Resets the one connection that carries the n-th byte from now on in that direction."""
        self.struck.clear()
        self._rule = (direction, None, nbytes)

    def cut_at(self, direction, pattern, skip=0):
        """Resets the connection whose stream shows the pattern (after `skip` other times); once."""
        assert len(pattern) <= 64
        self.struck.clear()
        self._rule = (direction, pattern, skip)

    def _strikes(self, direction, seen, fresh):
        with self._lock:
            if self._rule is None or self._rule[0] != direction:
                return False
            _, pattern, left = self._rule
            if pattern is None:
                left -= fresh
                strikes = left <= 0
            else:
                at = seen.rfind(pattern)
                strikes = at >= 0 and at + len(pattern) > len(seen) - fresh  # ends in the fresh bytes
                if strikes and left > 0:
                    strikes, left = False, left - 1
            self._rule = None if strikes else (direction, pattern, left)
        if strikes:
            self.struck.set()
        return strikes

    def close(self):
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.cut()
