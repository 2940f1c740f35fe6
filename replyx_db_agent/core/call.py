"""One call of a tool: whose project, whom to tell about progress, how to be withdrawn."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from replyx_db_agent.core.cancel import Cancel


def _silent(message: str) -> None:
    """Tell nobody."""


@dataclass(frozen=True)
class Call:
    """What an adapter hands to a tool beside its arguments.

    `root` is the project folder. `progress` takes one short sentence at a time.
    """

    root: Path
    progress: Callable[[str], None] = _silent
    cancel: Cancel = field(default_factory=Cancel)

    def tell(self, message: str) -> None:
        """Report progress, unless the call was withdrawn: then raise Cancelled."""
        self.cancel.check()
        self.progress(message)
