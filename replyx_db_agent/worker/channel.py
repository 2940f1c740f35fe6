"""JSON lines over the private pipe between a job and the host."""

from __future__ import annotations

import json
import socket
from typing import Any


class Channel:
    """One message a line, in both directions."""

    def __init__(self, descriptor: int) -> None:
        self._socket = socket.socket(fileno=descriptor)
        self._lines = self._socket.makefile("rb")

    def send(self, message: dict[str, Any]) -> None:
        """Send one message."""
        self._socket.sendall(json.dumps(message, default=str).encode() + b"\n")

    def receive(self) -> dict[str, Any] | None:
        """Return the next message; None when the host has hung up."""
        line = self._lines.readline()
        return json.loads(line) if line.endswith(b"\n") else None
