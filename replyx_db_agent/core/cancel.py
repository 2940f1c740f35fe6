"""A caller's wish to stop, carried from thread to thread."""

from __future__ import annotations

import threading
from collections.abc import Callable
from itertools import count

from replyx_db_agent.core.errors import Cancelled


class Cancel:
    """Set once, by whoever withdraws the call; whoever does the work looks or is called back."""

    def __init__(self) -> None:
        self._event = threading.Event()
        self._lock = threading.Lock()
        self._callbacks: dict[int, Callable[[], None]] = {}
        self._numbers = count()

    def set(self) -> None:
        """Withdraw the call: every callback runs now, in this thread, once."""
        with self._lock:
            if self._event.is_set():
                return
            self._event.set()
            callbacks = list(self._callbacks.values())
            self._callbacks.clear()
        for callback in callbacks:
            callback()

    def is_set(self) -> bool:
        """Tell whether the call was withdrawn."""
        return self._event.is_set()

    def check(self) -> None:
        """Raise Cancelled when the call was withdrawn."""
        if self._event.is_set():
            raise Cancelled("The call was withdrawn.")

    def on_cancel(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Call `callback` when the call is withdrawn (at once if it was); returns unregister."""
        with self._lock:
            if not self._event.is_set():
                number = next(self._numbers)
                self._callbacks[number] = callback
                return lambda: self._forget(number)
        callback()
        return lambda: None

    def _forget(self, number: int) -> None:
        with self._lock:
            self._callbacks.pop(number, None)
