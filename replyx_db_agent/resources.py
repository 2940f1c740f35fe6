"""Finds agent.md, prompts/ and tools/ in an installed wheel or in a checkout."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

_PACKAGE = Path(__file__).parent


def shipped(name: str) -> Path:
    """Return the path of a shipped top-level file or folder: `agent.md`, `prompts`, `tools`."""
    in_wheel = _PACKAGE / "_shipped" / name
    return in_wheel if in_wheel.exists() else _PACKAGE.parent / name


@dataclass(frozen=True)
class PromptText:
    """One step of the cycle as a prompt; `arguments` are the blanks of its template."""

    name: str
    template: str
    arguments: tuple[str, ...]

    @property
    def summary(self) -> str:
        """The first line, as it reads when no blank is filled."""
        return self.render({}).strip().partition("\n")[0].rstrip(" :")

    def render(self, values: Mapping[str, str]) -> str:
        """Fill the blanks; one that is not given stays empty."""
        from jinja2 import Environment

        # The text goes to a model, not to a browser: nothing is escaped.
        return Environment().from_string(self.template).render(values)


def prompts(language: Literal["ru", "en"]) -> tuple[PromptText, ...]:
    """Return the prompts of a language by name."""
    found = []
    for path in sorted((shipped("prompts") / language).glob("*.md")):
        template = path.read_text("utf-8")
        names = dict.fromkeys(re.findall(r"\{\{\s*(\w+)", template))
        found.append(PromptText(path.stem, template, tuple(names)))
    return tuple(found)
