"""Shell lines that people write into a plan: the commands in them and Alembic's steps."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from typing import Literal

_TOKEN = re.compile(
    r"""(?P<comment>(?<!\S)\#.*)
      | (?P<cut>&&|\|\||[;|]|&(?!>))
      | \\. | '[^']*' | "(?:\\.|[^"\\])*" | >& | .""",
    re.X,
)
_PROMPT = re.compile(r"\s*\$\s+")
_ASSIGNMENT = re.compile(r"[A-Za-z_]\w*=")
_RUNNER = re.compile(
    r"(?:.*/)?(?:poetry|uvx?|pipenv|pdm|hatch|rye|python3?|env|sudo|time|docker(?:-compose)?|podman"
    r"|kubectl)"
)
_READS_ONLY = frozenset({"branches", "check", "current", "heads", "history", "show"})
_CHANGES_NOTHING = frozenset({"cd", "echo", "set", "source", "."})
_OPTIONS_WITH_VALUE = frozenset({"-c", "--config", "-n", "--name", "-x", "--tag"})


def segments(text: str) -> Iterator[str]:
    """Yield the commands of a shell block: no comments, `a && b` is two."""
    for line in text.replace("\\\r\n", " ").replace("\\\n", " ").split("\n"):
        yield from _commands(_PROMPT.sub("", line, count=1) if _PROMPT.match(line) else line)


def alembic_step(command: str) -> tuple[Literal["downgrade", "upgrade"], str | None] | None:
    """Return (`downgrade` or `upgrade`, target) when the command moves a database."""
    words = _split(command)
    if "--sql" in words:
        return None
    match _alembic_arguments(words):
        case ["downgrade", *rest] if len(rest) <= 1:
            return "downgrade", rest[0] if rest else None
        case ["upgrade", *rest] if len(rest) <= 1:
            return "upgrade", rest[0] if rest else None
    return None


def changes_nothing(command: str) -> bool:
    """Say whether the command only looks or prepares: `alembic current`, `cd backend`."""
    words = _split(command)
    asked = _alembic_arguments(words)[:1] or words[:1]
    return asked[0] in (_CHANGES_NOTHING if asked == words[:1] else _READS_ONLY)


def _commands(line: str) -> Iterator[str]:
    command = ""
    for token in _TOKEN.finditer(line):
        if token["cut"]:
            yield from filter(None, [command.strip()])
            command = ""
        elif not token["comment"]:
            command += token[0]
    yield from filter(None, [command.strip()])


def _split(command: str) -> list[str]:
    try:
        return shlex.split(command)
    except ValueError:
        return command.split()


def _alembic_arguments(words: list[str]) -> list[str]:
    position = _alembic_at(words)
    return [] if position is None else list(_arguments(words[position + 1 :]))


def _alembic_at(words: list[str]) -> int | None:
    """Return where `alembic` is called: first, or behind a runner such as `poetry run`."""
    start = next((i for i, word in enumerate(words) if not _ASSIGNMENT.match(word)), len(words))
    for position, word in enumerate(words[start:], start):
        if word.rpartition("/")[2] == "alembic":
            called = position == start or _RUNNER.fullmatch(words[start])
            return position if called else None
    return None


def _arguments(words: list[str]) -> Iterator[str]:
    """Yield what is not an option; `-1` is a target."""
    rest = iter(words)
    for word in rest:
        if word in _OPTIONS_WITH_VALUE:
            next(rest, None)
        elif re.fullmatch(r"-\d+", word) or not word.startswith("-"):
            yield word
