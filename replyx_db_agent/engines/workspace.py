"""The only writer of files: asks the guardrails, follows no link out, never leaves half a file."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from replyx_db_agent.core.errors import EnvironmentProblem, GuardrailRefusal
from replyx_db_agent.core.evidence import digest
from replyx_db_agent.core.guardrails import STATE_FOLDER, may_write
from replyx_db_agent.engines.redact import redact


@dataclass(frozen=True)
class Workspace:
    """The project's folder as the tools may read and write it.

    `root` is absolute with links resolved; `versions` and `records` are project-relative folders.
    A record tells what was said and done, so no password (`secrets` and those of URLs) goes in.
    """

    root: Path
    versions: tuple[str, ...]
    records: str
    secrets: tuple[str, ...] = ()

    def read(self, path: str) -> str | None:
        """Return the text of a project file, or None when there is none."""
        target = self._inside(path)
        try:
            return target.read_text("utf-8") if target.is_file() else None
        except (OSError, UnicodeDecodeError) as error:
            raise EnvironmentProblem(
                f'"{path}" cannot be read: {error}.', instead="Check its rights and its encoding."
            ) from error

    def hashes(self, paths: Sequence[str]) -> dict[str, str]:
        """Return path -> SHA-256 for those of the paths that are files."""
        found = {}
        for path in paths:
            with contextlib.suppress(OSError):
                found[path] = digest((self.root / path).read_bytes())
        return found

    def write(self, path: str, text: str) -> bool:
        """Write the whole text at once; False when the file already held exactly this."""
        may_write(path, versions=self.versions, records=self.records)
        text = self._redacted(path, text)
        if self.read(path) == text:
            return False
        self._write(path, text, replace=True)
        return True

    def create(self, path: str, text: str) -> bool:
        """Write a new file; False, with nothing changed, when the name is taken already."""
        may_write(path, versions=self.versions, records=self.records)
        return self._write(path, self._redacted(path, text), replace=False)

    def remove(self, path: str) -> None:
        """Remove a file that a tool wrote in the same call and could not finish."""
        may_write(path, versions=self.versions, records=self.records)
        self._inside(path).unlink(missing_ok=True)

    def _redacted(self, path: str, text: str) -> str:
        return redact(text, self.secrets) if path.startswith(f"{self.records}/") else text

    def _inside(self, path: str) -> Path:
        """Return the absolute path, refused when a link leads elsewhere (G7)."""
        target = self.root / path
        resolved = target.resolve()
        if resolved != target or not resolved.is_relative_to(self.root):
            raise GuardrailRefusal(
                "G7",
                f'"{path}" leads through a link or out of the project.',
                instead="Replace the link by a real file or folder.",
            )
        return target

    def _write(self, path: str, text: str, *, replace: bool) -> bool:
        target = self._inside(path)
        try:
            self._make_folder(target.parent)
            return _put(target, text, replace=replace)
        except OSError as error:
            raise EnvironmentProblem(
                f'"{path}" cannot be written: {error.strerror or error}.',
                instead="Check the folder's rights and the free disk space; nothing was changed.",
            ) from error

    def _make_folder(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        state = self.root / STATE_FOLDER
        if folder.is_relative_to(state):
            state.chmod(0o700)
            ignore = state / ".gitignore"
            if not ignore.exists():
                ignore.write_text("*\n")


def _put(target: Path, text: str, *, replace: bool) -> bool:
    handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    temporary = Path(name)
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="\n") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        temporary.chmod(0o644 if not target.exists() else target.stat().st_mode & 0o777)
        if replace:
            temporary.replace(target)
            return True
        return _link_new(temporary, target)
    finally:
        temporary.unlink(missing_ok=True)


def _link_new(temporary: Path, target: Path) -> bool:
    try:
        os.link(temporary, target)
    except FileExistsError:
        return False
    return True
