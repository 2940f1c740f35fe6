"""The labels of enumerated types, and the statements that add some."""

from __future__ import annotations

import re
from collections.abc import Iterator

_LABEL = re.compile(r"'(?:[^']|'')*'")


def labels_of(text: str | None) -> list[str]:
    """Return the labels of an enumerated type, quoted as in SQL."""
    return _LABEL.findall(text or "")


def added_labels(name: str, was: list[str], now: list[str]) -> Iterator[str]:
    """Yield a statement for each new label, each with its place."""
    for number, label in enumerate(now):
        if label in was:
            continue
        before = next((f" BEFORE {later}" for later in now[number:] if later in was), "")
        where = f" AFTER {now[number - 1]}" if number else before
        yield f"ALTER TYPE {name} ADD VALUE IF NOT EXISTS {label}{where}"
