"""Where an Alembic project lies, and how its code is to be run."""

from __future__ import annotations

import configparser
import os
import tomllib
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from replyx_db_agent.core.errors import InvalidInput


@dataclass(frozen=True)
class Project:
    """A folder with an Alembic project, and how its code is to be run.

    `python`: the project's interpreter, relative to `root` or absolute; None is our own.
    `env`: variables for the project's code. `time_limit`: seconds for each answer.
    `secrets`: texts that no error or note may contain.
    """

    root: Path
    python: str | None = None
    ini: str = "alembic.ini"
    env: Mapping[str, str] = field(default_factory=dict)
    time_limit: float = 120
    memory_limit_mb: int = 4096
    secrets: Sequence[str] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "root", Path(self.root).absolute())
        object.__setattr__(self, "python", self._interpreter())

    def _interpreter(self) -> str | None:
        if self.python is None or os.sep not in self.python:
            return self.python
        return str(self.root / Path(self.python).expanduser())

    def check(self) -> None:
        """Raise InvalidInput, saying why, when there is no Alembic project here."""
        if not self.root.is_dir():
            raise InvalidInput(
                f"The project folder '{self.root}' does not exist.",
                instead="Pass the folder that contains alembic.ini as --project.",
            )
        if not (self.root / self.ini).is_file() and not self._toml():
            raise InvalidInput(
                f"There is no '{self.ini}' in '{self.root}'.",
                instead="Pass the folder that contains alembic.ini as --project, or make an "
                "Alembic project there: `alembic init alembic`.",
            )
        if not self._script_location():
            raise InvalidInput(
                f"'{self.ini}' has no script_location.",
                instead="Write `script_location = alembic` (the folder of env.py) under [alembic].",
            )

    def _toml(self) -> Mapping[str, Any]:
        path = self.root / "pyproject.toml"
        if not path.is_file():
            return {}
        with suppress(tomllib.TOMLDecodeError, UnicodeDecodeError):
            found = tomllib.loads(path.read_text(encoding="utf-8")).get("tool", {})
            return dict(found.get("alembic", {}))
        return {}

    def _script_location(self) -> bool:
        parser = configparser.ConfigParser(interpolation=None, strict=False)
        try:
            parser.read(self.root / self.ini, encoding="utf-8")
        except (configparser.Error, UnicodeDecodeError) as error:
            raise InvalidInput(
                f"'{self.ini}' cannot be read: {str(error).splitlines()[0]}",
                instead="Correct that line; `alembic history` says the same.",
            ) from None
        return parser.has_option("alembic", "script_location") or "script_location" in self._toml()
