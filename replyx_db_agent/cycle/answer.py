"""Writes the answer every step ends with: the seven parts of the seed, in Russian or English."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files
from typing import Literal

from replyx_db_agent.core.model import Risk
from replyx_db_agent.core.report import Answer, Phrase
from replyx_db_agent.core.text import one_line

Language = Literal["ru", "en"]


@cache
def phrases(language: Language) -> Mapping[str, str]:
    """Return every phrase of a language by its key, as templates/<language>.toml holds them."""
    text = files("replyx_db_agent").joinpath(f"templates/{language}.toml").read_text("utf-8")
    table = tomllib.loads(text)
    return {f"{part}.{key}": words for part in table for key, words in table[part].items()}


def words(phrase: Phrase, language: Language) -> str:
    """Return the phrase as a sentence on one line: a name in it cannot start another part."""
    values = {name: one_line(str(value)) for name, value in phrase.values.items()}
    return phrases(language)[phrase.key].format_map(values)


def risk_word(risk: Risk, language: Language) -> str:
    """Return the risk in the seed's words: low, medium or high."""
    level = Risk.LOW if risk is Risk.NOTE else risk
    return phrases(language)[f"risk.{level}"]


def render(answer: Answer, language: Language) -> str:
    """Return the answer as Markdown, its parts in the seed's order; an empty part says so."""
    t = phrases(language)
    nothing = t["part.nothing"]
    summary = " ".join(words(p, language) for p in answer.summary)
    parts = [
        ("summary", f"{summary} {t['part.risk']}: **{risk_word(answer.risk, language)}**."),
        ("ddl", _code(answer.ddl) or nothing),
        ("alembic", _numbered(answer.alembic) or nothing),
        ("docs", _list(answer.docs, language) or nothing),
        ("perf", _list(answer.perf, language) or nothing),
        ("rollback", _list(answer.rollback, language) or nothing),
        ("next", _list(answer.next_steps, language) or nothing),
    ]
    return "\n\n".join(f"**{t[f'part.{name}']}**\n{text}" for name, text in parts) + "\n"


def _code(lines: Sequence[str]) -> str:
    if not lines:
        return ""
    longest = max((run for line in lines for run in line.split() if set(run) == {"`"}), default="")
    fence = "`" * max(3, len(longest) + 1)
    return "\n".join([f"{fence}sql", *(line.rstrip().rstrip(";") + ";" for line in lines), fence])


def _numbered(lines: Sequence[str]) -> str:
    return "\n".join(f"{i}. {one_line(line)}" for i, line in enumerate(lines, 1))


def _list(items: Sequence[Phrase], language: Language) -> str:
    return "\n".join(f"- {words(item, language)}" for item in items)
