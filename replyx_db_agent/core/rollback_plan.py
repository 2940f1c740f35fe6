"""The file docs/db/rollback_plan.md as values: a section per risky revision, with four parts."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from replyx_db_agent.core import markdown as md
from replyx_db_agent.core.shell import alembic_step, changes_nothing, segments

Language = Literal["ru", "en"]
CommandKind = Literal["downgrade", "upgrade", "sql", "other"]

PARTS = ("change", "risk", "rollback", "checks")

TITLES: Mapping[Language, Mapping[str, str]] = {
    "ru": {
        "change": "Изменение",
        "risk": "Риск",
        "rollback": "Откат",
        "checks": "Проверки после отката",
    },
    "en": {
        "change": "Change",
        "risk": "Risk",
        "rollback": "Rollback",
        "checks": "Checks after rollback",
    },
}

HINTS: Mapping[Language, Mapping[str, str]] = {
    "ru": {
        "change": "Что именно меняли (таблица/колонка/индекс).",
        "risk": "Блокирующие операции? Объём данных? Время?",
        "rollback": "Точные команды alembic downgrade и SQL (DROP/RENAME/RECREATE).",
        "checks": "Health, ключевые запросы, консистентность.",
    },
    "en": {
        "change": "What exactly changed (table/column/index).",
        "risk": "Blocking operations? How much data? How long?",
        "rollback": "The exact alembic downgrade commands and SQL (DROP/RENAME/RECREATE).",
        "checks": "Health, key queries, consistency.",
    },
}

_NAMES: Mapping[str, str] = {
    "изменение": "change",
    "изменения": "change",
    "change": "change",
    "changes": "change",
    "риск": "risk",
    "риски": "risk",
    "risk": "risk",
    "risks": "risk",
    "откат": "rollback",
    "rollback": "rollback",
    "roll back": "rollback",
    "проверка после отката": "checks",
    "проверки после отката": "checks",
    "checks after rollback": "checks",
    "checks after the rollback": "checks",
    "check after rollback": "checks",
}
_NAME = "|".join(sorted(_NAMES, key=len, reverse=True))
_PART_HEADING = re.compile(rf"[\W\d_]*(?P<name>{_NAME})[*_`]*[ \t]*(?::(?P<rest>.*))?", re.I)
_PART_LABEL = re.compile(
    rf"\s*(?:(?:[-*+•–—]|\d+[.)])\s+)?[*_]{{0,3}}(?P<name>{_NAME})"
    r"[*_]{0,3}[ \t]*:[*_]{0,3}(?P<rest>.*)",
    re.I,
)

# The hints that the seed's template and our skeleton show: pasted unchanged, they say nothing.
_HINT_TEXTS = frozenset(
    hint.casefold().rstrip(".?") for hints in HINTS.values() for hint in hints.values()
)
_NOTHING_WORDS = frozenset({"", "нет", "none", "no", "n/a", "na", "н/д", "-", "—", "–", "…"})
_NOTHING = re.compile(r"(?:todo|tbd|fixme)\b.*|<[^>]*>|\[[^\]]*\]|[.…\s]*", re.I | re.S)
_LINE_MARKS = re.compile(r"^(?:\s|[-*+•>#]+(?=\s|$)|\d+[.)]\s|--)*")

_CODE_SPAN = re.compile(
    r"(?<!`)(?P<mark>`+)(?!`)(?P<code>(?:(?!\n\s*\n).)+?)(?<!`)(?P=mark)(?!`)", re.S
)
_SQL_LANGUAGES = frozenset({"sql", "psql", "pgsql", "postgres", "postgresql", "plpgsql"})
_OUTPUT_LANGUAGES = frozenset({"text", "txt", "output", "log", "json", "diff", "ini", "yaml"})
_SQL_COMMENT = re.compile(r"--[^\n]*|/\*.*?\*/", re.S)
_SQL_SPAN = re.compile(
    r"\s*(?:select|insert|update|delete|merge|truncate|create|alter|drop|comment|grant|revoke"
    r"|reindex|refresh|analyze|vacuum|copy|do|begin|set|lock|with)\b.*;\s*",
    re.I | re.S,
)
_SHELL_SPAN = re.compile(
    r"\s*(?:psql|pg_restore|pg_dump|python3?|make|docker|docker-compose|kubectl|sh|bash"
    r"|\./\S+|scripts/\S+)\s+\S.*",
    re.S,
)


@dataclass(frozen=True)
class PlanSection:
    """A revision's section: `text` to the byte, its parts without what HTML comments hide."""

    revision: str
    text: str
    change: str
    risk: str
    rollback: str
    checks: str


@dataclass(frozen=True)
class Command:
    """One command of a rollback; `other` is what only a person can carry out."""

    kind: CommandKind
    text: str
    target: str | None = None


def find_section(markdown: str, revision: str) -> PlanSection | None:
    """Return the first section whose level-2 heading holds the revision as a whole word.

    A heading that gives the file's name (`202511231550_drop_legacy_ref`) counts when no heading
    has the identifier alone.
    """
    sections = list(_sections(markdown))
    for follower in (r"(?!\w)", "(?=_)"):
        pattern = re.compile(rf"(?<!\w){re.escape(revision)}{follower}")
        for title, text in sections:
            if revision and pattern.search(title):
                return PlanSection(revision, text, **_parts(text))
    return None


def missing_parts(section: PlanSection) -> tuple[str, ...]:
    """Return the names of the parts that say nothing, in the order of the template."""
    return tuple(part for part in PARTS if _says_nothing(getattr(section, part)))


def names_missing(section: PlanSection, objects: Iterable[str]) -> tuple[str, ...]:
    """Return the objects that the Change part does not name.

    `users.legacy_ref` is named when both words occur, together or apart.
    """
    text = md.visible(section.change)
    return tuple(name for name in objects if not _named(name, text))


def commands(section: PlanSection) -> tuple[Command, ...]:
    """Return the commands of the Rollback part in the order they are written."""
    found: list[Command] = []
    for piece in md.pieces(section.rollback):
        if piece.language is None:
            found += _commands_in_prose(piece.text)
        elif piece.language in _SQL_LANGUAGES:
            found += _sql(piece.text)
        else:
            found += _shell(piece.text, shown_only=piece.language in _OUTPUT_LANGUAGES)
    return tuple(found)


def check_queries(section: PlanSection) -> tuple[str, ...]:
    """Return the SQL blocks of the Checks part."""
    blocks = (p.text for p in md.pieces(section.checks) if p.language in _SQL_LANGUAGES)
    return tuple(command.text for text in blocks for command in _sql(text))


def skeleton(revision: str, short_name: str, language: Language) -> str:
    """Return a section with its four headings and a hint, which counts as empty, in each."""
    title = " ".join(f"{revision} {short_name}".replace("<!--", "").split())
    parts = (
        f"### {TITLES[language][part]}\n\n<!-- {HINTS[language][part]} -->\n" for part in PARTS
    )
    return "\n".join((f"## {title}\n", *parts))


def insert_section(markdown: str, skeleton: str) -> str:
    """Return the file's text with the section at its end, unless the revision has one already."""
    revision = _revision_of(skeleton)
    if find_section(markdown, revision):
        return markdown
    new_line = "\r\n" if "\r\n" in markdown else "\n"
    section = skeleton.replace("\n", new_line)
    gap = "" if not markdown else new_line if markdown.endswith("\n") else new_line * 2
    appended = markdown + gap + section
    # After a fence or a comment that nobody closed, an appended section would be invisible.
    return appended if find_section(appended, revision) else section + new_line + markdown


def _revision_of(skeleton: str) -> str:
    title = next(title for title, _ in _sections(skeleton))
    return title.split()[0]


def _sections(markdown: str) -> Iterator[tuple[str, str]]:
    """Yield (title, text) of every level-2 section; a heading of level 1 or 2 ends one."""
    headings = [
        (line.start, *line.heading)
        for line in md.scan(markdown)
        if line.heading and line.heading[0] <= 2
    ]
    ends = [*(start for start, _, _ in headings), len(markdown)][1:]
    for (start, level, title), end in zip(headings, ends, strict=False):
        if level == 2:
            yield title, markdown[start:end]


def _parts(text: str) -> dict[str, str]:
    lines = list(md.scan(text))[1:]
    headed = {name for line in lines for name in _part_headed_by(line)}
    parts: dict[str, list[str]] = {part: [] for part in PARTS}
    current: list[str] = []
    for line in lines:
        name, rest = _part_start(line, headed)
        if name is not None:
            current = parts.get(name, [])
        current.append(line.shown if name is None else rest)
    return {part: "\n".join(shown).strip() for part, shown in parts.items()}


def _part_start(line: md.Line, headed: set[str]) -> tuple[str | None, str]:
    """Return the part that starts here and what its line already says; "" is no known part."""
    if line.heading:
        return _heading_start(*line.heading)
    match = _PART_LABEL.fullmatch(line.shown) if line.kind == "text" else None
    if match is None or _NAMES[match["name"].lower()] in headed:
        return None, ""
    return _NAMES[match["name"].lower()], match["rest"].strip()


def _heading_start(level: int, title: str) -> tuple[str | None, str]:
    match = _PART_HEADING.fullmatch(title)
    if match:
        return _NAMES[match["name"].lower()], (match["rest"] or "").strip("*_ ")
    return ("" if level == 3 else None), ""


def _part_headed_by(line: md.Line) -> Iterator[str]:
    name = _heading_start(*line.heading)[0] if line.heading else None
    if name:
        yield name


def _says_nothing(part: str) -> bool:
    shown = (line.shown for line in md.scan(part) if line.kind != "fence")
    return all(_is_placeholder(line) for line in shown)


def _is_placeholder(line: str) -> bool:
    words = _LINE_MARKS.sub("", line).strip("*_` \t")
    plain = words.casefold().rstrip(".!?;: ")
    return plain in _NOTHING_WORDS or plain in _HINT_TEXTS or bool(_NOTHING.fullmatch(words))


def _words(name: str) -> list[str]:
    """Split `table.column`, minding quotes; a schema before both and arguments are left out."""
    bare = re.sub(r"\(.*\)\s*$", "", name, flags=re.S)
    parts = re.findall(r'"((?:[^"]|"")*)"|([^."]+)', bare)
    return [(quoted.replace('""', '"') or plain).strip() for quoted, plain in parts][-2:]


def _named(name: str, text: str) -> bool:
    return all(_occurs(word, text) for word in _words(name))


def _occurs(word: str, text: str) -> bool:
    return bool(re.search(rf"(?<![\w$]){re.escape(word)}(?![\w$])", text, re.I))


def _commands_in_prose(text: str) -> Iterator[Command]:
    for span in _CODE_SPAN.finditer(text):
        code = " ".join(span["code"].split())
        if _SQL_SPAN.fullmatch(code):
            yield Command("sql", code)
        elif _SHELL_SPAN.fullmatch(code) or any(map(alembic_step, segments(code))):
            yield from _shell(code)


def _shell(text: str, *, shown_only: bool = False) -> Iterator[Command]:
    for segment in segments(text):
        if step := alembic_step(segment):
            yield Command(step[0], segment, step[1])
        elif not (shown_only or changes_nothing(segment)):
            yield Command("other", segment)


def _sql(text: str) -> Iterator[Command]:
    if _SQL_COMMENT.sub("", text).strip(" ;\r\n\t"):
        yield Command("sql", text.strip())
