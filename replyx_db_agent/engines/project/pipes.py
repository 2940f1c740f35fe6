"""The host's ends of a job's pipes: its answers, and what it prints."""

from __future__ import annotations

import json
import os
import selectors
import socket
import threading
import time
from typing import Any

HEAD = TAIL = 32_000


class Lines:
    """JSON lines over a socket, with a time limit for each answer."""

    def __init__(self, end: socket.socket) -> None:
        self._end = end
        self._parts: list[bytes] = []

    def send(self, message: dict[str, Any], limit: float) -> None:
        """Send one message.

        Raises:
            OSError: the other side is gone, or does not take it in time.
        """
        self._end.settimeout(limit)
        self._end.sendall(json.dumps(message).encode() + b"\n")

    def receive(self, limit: float) -> dict[str, Any] | None:
        """Return the next message, None when the other side is gone.

        Raises:
            TimeoutError: nothing came within `limit` seconds.
        """
        until = time.monotonic() + limit
        while not (self._parts and b"\n" in self._parts[-1]):
            self._end.settimeout(max(until - time.monotonic(), 0.001))
            try:
                part = self._end.recv(1 << 16)
            except ConnectionError:
                return None
            if not part:
                return None
            self._parts.append(part)
        line, _, rest = b"".join(self._parts).partition(b"\n")
        self._parts = [rest] if rest else []
        found: dict[str, Any] = json.loads(line)
        return found

    def hang_up(self, limit: float) -> None:
        """Say that nothing more comes, and wait for the other side to end."""
        self._end.shutdown(socket.SHUT_WR)
        until = time.monotonic() + limit
        while (left := until - time.monotonic()) > 0:
            self._end.settimeout(left)
            if not self._end.recv(1 << 16):
                return

    def close(self) -> None:
        """Close the socket."""
        self._end.close()


class Kept:
    """The first and the last part of a long text."""

    def __init__(self) -> None:
        self._head = b""
        self._tail = b""
        self._left_out = 0

    def add(self, part: bytes) -> None:
        """Take more of the text in."""
        room = HEAD - len(self._head)
        self._head += part[:room]
        tail = self._tail + part[room:]
        self._tail = tail[-TAIL:]
        self._left_out += len(tail) - len(self._tail)

    def lines(self) -> tuple[str, ...]:
        """Return the text as lines, saying how much was left out."""
        gap = f"\n... {self._left_out} bytes left out ...\n" if self._left_out else ""
        text = self._head.decode(errors="replace") + gap + self._tail.decode(errors="replace")
        return tuple(text.splitlines())


class Output:
    """Reads a job's stdout and stderr as they come, so that it never waits for us."""

    def __init__(self) -> None:
        self.stdout, self.stderr = Kept(), Kept()
        out, self.stdout_end = os.pipe()
        err, self.stderr_end = os.pipe()
        self._wake, self._waker = os.pipe()
        self._kept = {out: self.stdout, err: self.stderr}
        self._thread = threading.Thread(target=self._drain, name="worker-output", daemon=True)

    def start(self) -> None:
        """Close our copies of the job's ends and begin to read."""
        os.close(self.stdout_end)
        os.close(self.stderr_end)
        self._thread.start()

    def abandon(self) -> None:
        """Close everything, for a job that was never begun."""
        for end in (self.stdout_end, self.stderr_end, self._wake, self._waker, *self._kept):
            os.close(end)

    def stop(self) -> None:
        """Read what is there and end, though a stray process may hold the pipes open."""
        os.close(self._waker)
        self._thread.join()

    def _drain(self) -> None:
        with selectors.DefaultSelector() as selector:
            for end in (*self._kept, self._wake):
                os.set_blocking(end, False)
                selector.register(end, selectors.EVENT_READ)
            woken = False
            while len(selector.get_map()) > (0 if woken else 1):
                ready = [key.fd for key, _ in selector.select(0 if woken else None)]
                woken = woken or self._wake in ready
                if woken and not set(ready) - {self._wake}:
                    break
                for end in set(ready) - {self._wake}:
                    self._read(end, selector)
        for end in (*self._kept, self._wake):
            os.close(end)

    def _read(self, end: int, selector: selectors.BaseSelector) -> None:
        try:
            part = os.read(end, 1 << 16)
        except BlockingIOError:
            return
        if part:
            self._kept[end].add(part)
        else:
            selector.unregister(end)
