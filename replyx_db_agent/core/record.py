"""The task record `task_YYYYMMDD_HHMMSS.data`: what a step did and whom it concerns."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from replyx_db_agent.core.text import printable

Language = Literal["ru", "en"]
Notes = tuple[str, ...]

DONE: Mapping[Language, str] = {"ru": "Завершено", "en": "Done"}


@dataclass(frozen=True)
class TaskRecord:
    """One record; `migrations` and `models` are pairs of a path and what happened to it."""

    date: datetime
    status: str
    task: str
    migrations: tuple[tuple[str, str], ...] = ()
    models: tuple[tuple[str, str], ...] = ()
    new_tables: Notes = ()
    changed_columns: Notes = ()
    indexes: Notes = ()
    relations: Notes = ()
    breaking: Notes = ()
    rollback: Notes = ()
    data_migration: Notes = ()
    api_schemas: Notes = ()
    frontend_types: Notes = ()
    embeddings: Notes = ()
    next_api_contract: Notes = ()
    next_rad: Notes = ()


# The order and the words of the seed. A part of FILES lists files, the others list fields.
_HEAD: Mapping[Language, tuple[str, str, str]] = {
    "ru": ("ДАТА", "СТАТУС", "ЗАДАЧА"),
    "en": ("DATE", "STATUS", "TASK"),
}
_FILES: Mapping[Language, str] = {
    "ru": "СОЗДАННЫЕ/ОБНОВЛЕННЫЕ МИГРАЦИИ",
    "en": "CREATED/UPDATED MIGRATIONS",
}
_NO_FILES = (("migrations", "alembic/versions"), ("models", "backend/database/models.py"))
_PARTS: Mapping[Language, Mapping[str, Mapping[str, str]]] = {
    "ru": {
        "СХЕМА БД": {
            "Новые таблицы": "new_tables",
            "Измененные поля": "changed_columns",
            "Индексы": "indexes",
            "Связи": "relations",
        },
        "СОВМЕСТИМОСТЬ": {
            "Breaking changes": "breaking",
            "Rollback plan": "rollback",
            "Data migration": "data_migration",
        },
        "ВЛИЯНИЕ НА ДРУГИЕ КОМПОНЕНТЫ": {
            "API schemas": "api_schemas",
            "Frontend types": "frontend_types",
            "AI/embeddings": "embeddings",
        },
        "NEXT STEPS": {"api-contract": "next_api_contract", "RAD": "next_rad"},
    },
    "en": {
        "DATABASE SCHEMA": {
            "New tables": "new_tables",
            "Changed columns": "changed_columns",
            "Indexes": "indexes",
            "Relations": "relations",
        },
        "COMPATIBILITY": {
            "Breaking changes": "breaking",
            "Rollback plan": "rollback",
            "Data migration": "data_migration",
        },
        "IMPACT ON OTHER COMPONENTS": {
            "API schemas": "api_schemas",
            "Frontend types": "frontend_types",
            "AI/embeddings": "embeddings",
        },
        "NEXT STEPS": {"api-contract": "next_api_contract", "RAD": "next_rad"},
    },
}
_NOTHING: Mapping[Language, str] = {"ru": "нет", "en": "none"}

_LINE_BREAKS = re.compile(r"[\r\n\v\f\x1c-\x1e\x85\u2028\u2029]+")
_PLACEHOLDER = re.compile(r"\[[^\[\]]*\]")


def file_name(date: datetime) -> str:
    """Return `task_YYYYMMDD_HHMMSS.data`."""
    return f"task_{date:%Y%m%d_%H%M%S}.data"


def render(record: TaskRecord, language: Language = "ru") -> str:
    """Return the record's text in the seed's form; a field with nothing to say says so."""
    return "\n".join(_lines(record, language)) + "\n"


def parse(text: str) -> dict[str, str | dict[str, str]]:
    """Read a record back: `ДАТА`, `СТАТУС`, `ЗАДАЧА` as text, every other part as its fields."""
    read: dict[str, str | dict[str, str]] = {}
    fields: dict[str, str] = {}
    for line in filter(None, text.split("\n")):
        name, _, value = line.partition(": ")
        if line.startswith("- "):
            fields.setdefault(name[2:], value)
        elif line.endswith(":"):
            fields = {}
            read[line[:-1]] = fields
        else:
            read[name] = value
    return read


def _lines(record: TaskRecord, language: Language) -> Iterator[str]:
    nothing = _NOTHING[language]
    values = (f"{record.date:%Y-%m-%d %H:%M:%S}", record.status, record.task)
    for name, value in zip(_HEAD[language], values, strict=True):
        yield f"{name}: {_one_line([value], nothing)}"
    yield ""
    yield f"{_FILES[language]}:"
    for field, path in _NO_FILES:
        yield from _file_lines(getattr(record, field) or ((path, ""),), nothing)
    for part, labels in _PARTS[language].items():
        yield ""
        yield f"{part}:"
        for label, field in labels.items():
            yield f"- {label}: {_one_line(getattr(record, field), nothing)}"


def _file_lines(files: Iterable[tuple[str, str]], nothing: str) -> Iterator[str]:
    for path, description in files:
        yield f"- {_one_line([path], nothing)}: {_one_line([description], nothing)}"


def _one_line(values: Iterable[str], nothing: str) -> str:
    return "; ".join(filter(None, map(_plain, values))) or nothing


def _plain(value: str) -> str:
    """Return the value on one line, without control characters; a placeholder is nothing."""
    lines = (printable(line).strip() for line in _LINE_BREAKS.split(value))
    plain = "; ".join(filter(None, lines))
    return "" if _PLACEHOLDER.fullmatch(plain) else plain
