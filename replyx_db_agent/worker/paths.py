"""Which files belong to the user's project, and by what name."""

from __future__ import annotations

import os
import sys
from pathlib import Path

NOT_OURS = frozenset(
    {".venv", "site-packages", "dist-packages", "__pycache__", ".git", ".replyx-db-agent"}
)


class ProjectRoot:
    """The project's folder; answers every path it is asked about from memory the second time."""

    def __init__(self, path: str) -> None:
        self.path = Path(os.path.realpath(path))
        self._prefix = str(self.path) + os.sep
        self._known: dict[str, str | None] = {}
        self.versions: tuple[str, ...] = ()
        interpreter = os.path.realpath(sys.prefix)
        self._interpreter = interpreter + os.sep if interpreter.startswith(self._prefix) else None

    def relative(self, path: str) -> str | None:
        """Return the path relative to the project, or None for what is not the project's."""
        if path not in self._known:
            self._known[path] = self._relative(path)
        return self._known[path]

    def name(self, path: str) -> str:
        """Return the name to show for a file that may lie outside the project too."""
        return self.relative(path) or os.path.relpath(path, self.path)

    def is_revision(self, file: str) -> bool:
        """Tell whether a file (relative) lies in one of the versions folders."""
        return file.startswith(self.versions) if self.versions else False

    def _relative(self, path: str) -> str | None:
        if path.startswith("<"):
            return None
        real = os.path.realpath(self.path / path)
        if not real.startswith(self._prefix):
            return None
        if self._interpreter and real.startswith(self._interpreter):
            return None
        found = real[len(self._prefix) :]
        return None if NOT_OURS.intersection(Path(found).parts) else found
