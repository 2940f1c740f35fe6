"""The databases a person trusts as local, kept in the person's own configuration folder."""

from __future__ import annotations

import json
import os
from pathlib import Path

from replyx_db_agent.core.errors import EnvironmentProblem
from replyx_db_agent.engines.postgres import ServerIdentity


def _file() -> Path:
    home = os.environ.get("XDG_CONFIG_HOME") or Path("~/.config").expanduser()
    return Path(home) / "replyx-db-agent" / "trusted.json"


def _read() -> list[dict[str, str]]:
    path = _file()
    try:
        found = json.loads(path.read_text("utf-8"))
        if not isinstance(found, list):
            raise ValueError("it is not a list")
    except FileNotFoundError:
        return []
    except (OSError, ValueError) as error:
        raise EnvironmentProblem(
            f'"{path}" cannot be read: {error}.', instead="Mend or remove that file."
        ) from error
    return [entry for entry in found if isinstance(entry, dict)]


def _entry(identity: ServerIdentity) -> dict[str, str]:
    return {"system_identifier": identity.system_identifier, "database": identity.database}


def is_trusted(identity: ServerIdentity) -> bool:
    """Say whether a person pinned exactly this database of this server."""
    return _entry(identity) in _read()


def trust(identity: ServerIdentity) -> Path:
    """Pin this database of this server; return the file that now says so."""
    entries, path = _read(), _file()
    if _entry(identity) not in entries:
        try:
            _write(path, json.dumps([*entries, _entry(identity)], indent=1) + "\n")
        except OSError as error:
            raise EnvironmentProblem(
                f'"{path}" cannot be written: {error.strerror}.',
                instead="Check the folder's rights, or set XDG_CONFIG_HOME to another one.",
            ) from error
    return path


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    temporary = path.with_suffix(f".{os.getpid()}")
    try:
        temporary.touch(mode=0o600)
        temporary.write_text(text, "utf-8")
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
