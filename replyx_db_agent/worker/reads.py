"""Notes which files of the project a job read, and reads them without stale bytecode."""

from __future__ import annotations

import os
import sys
from importlib.machinery import SourceFileLoader
from types import ModuleType
from typing import Any, cast

from replyx_db_agent.worker.paths import ProjectRoot

WRITING = os.O_WRONLY | os.O_RDWR


class Reads:
    """Every file opened for reading from now on; an audit hook cannot be taken off again."""

    def __init__(self, root: ProjectRoot) -> None:
        self._root = root
        self._paths: set[str] = set()
        sys.addaudithook(self._heard)

    def _heard(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open" and isinstance(arguments[0], str) and not arguments[2] & WRITING:
            self._paths.add(arguments[0])

    def add(self, path: str | None) -> None:
        """Note a file that was read in some other way."""
        if path:
            self._paths.add(path)

    def files(self) -> list[str]:
        """Return the project's files among them, sorted, relative to the project."""
        modules = cast("list[ModuleType]", list(sys.modules.values()))
        loaded = {getattr(module, "__file__", None) for module in modules}
        paths = set(self._paths) | {path for path in loaded if isinstance(path, str)}
        found = {self._root.relative(path) for path in paths}
        return sorted(file for file in found if file and (self._root.path / file).is_file())


def distrust_bytecode(root: ProjectRoot) -> None:
    """Compile the project's files from their source, whatever `__pycache__` holds.

    Python compares a .pyc with its source by size and second, so an edit of the same length
    within a second would not be seen; and a rehearsal must not write into the project.
    """
    inherited = SourceFileLoader.path_stats

    def path_stats(self: SourceFileLoader, path: str) -> Any:
        if root.relative(path):
            raise OSError(path)
        return inherited(self, path)

    SourceFileLoader.path_stats = path_stats  # type: ignore[method-assign]
