"""The documents of docs/db: what the snapshot and the revisions say, beside what people wrote."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Literal

from replyx_db_agent.core.blocks import merge
from replyx_db_agent.core.mermaid import er_diagram
from replyx_db_agent.core.rollback_plan import HINTS, TITLES
from replyx_db_agent.core.schema import READING_ORDER, SchemaObject, Snapshot
from replyx_db_agent.core.text import Markdown, code, escape, fenced, printable

if TYPE_CHECKING:
    from jinja2 import Environment

Language = Literal["ru", "en"]

FOLDER = "docs/db"
DOCUMENTS = ("schema.md", "migrations.md", "indexes.md", "rollback_plan.md")

_HAND_EDITS: Mapping[Language, str] = {"ru": "Правки вручную", "en": "Hand edits"}
_RISKS: Mapping[Language, Mapping[str, str]] = {
    "ru": {"note": "замечание", "low": "низкий", "medium": "средний", "high": "высокий"},
    "en": {},
}
_TABLES = ("table", "foreign table")
_VIEWS = ("view", "materialized view")
_FUNCTIONS = ("function", "procedure")
_SHOWN_APART = ("column", "constraint", "index", "trigger", "policy", "enum", "extension")
_INDEX_METHOD = re.compile(r" USING (?P<method>\w+) (?P<rest>\(.*)", re.S)
_KEY_WITH_INDEX = re.compile(r"PRIMARY KEY|UNIQUE|EXCLUDE USING (?P<method>\w+)")


@dataclass(frozen=True)
class RevisionRow:
    """A revision as the list shows it; `summary` is the first line of its docstring."""

    revision: str
    path: str
    summary: str
    down_revisions: tuple[str, ...] = ()


@dataclass(frozen=True)
class QueryRow:
    """A hot query: its file, how long it may take, the tables it reads."""

    name: str
    path: str
    sla_ms: float | None
    tables: tuple[str, ...] = ()


def render_documents(
    snapshot: Snapshot,
    history: Sequence[RevisionRow],
    language: Language,
    existing: Mapping[str, str],
    risks: Mapping[str, str] | None = None,
    queries: Sequence[QueryRow] = (),
) -> Mapping[str, str]:
    """Return the new full text of every document by its path.

    `existing` holds the texts as they are now, `risks` what is known of a revision's risk.
    Revisions are listed in the order they are given.
    """
    words = _RISKS[language]
    values = {
        "diagram": er_diagram(snapshot),
        "tables": list(_tables(snapshot)),
        "has_table": lambda name: ("table", name) in snapshot.objects,
        "has_vectors": ("extension", "vector") in snapshot.objects,
        "enums": _of_kinds(snapshot, "enum"),
        "extensions": _of_kinds(snapshot, "extension"),
        "views": [_defined(view) for view in _of_kinds(snapshot, *_VIEWS)],
        "functions": [_defined(function) for function in _of_kinds(snapshot, *_FUNCTIONS)],
        "others": list(_others(snapshot)),
        "indexes": sorted(_indexes(snapshot), key=lambda row: (row["table"], row["name"])),
        "history": history,
        "risks": {revision: words.get(risk, risk) for revision, risk in (risks or {}).items()},
        "queries": sorted(queries, key=lambda query: (query.name, query.path)),
        "template": _plan_template(language),
    }
    return {
        path: merge(
            existing.get(path, ""),
            _environment().get_template(f"{language}/{name}.j2").render(values),
            hand_edits=_HAND_EDITS[language],
            before_sections=name == "rollback_plan.md",
        )
        for name in DOCUMENTS
        for path in [f"{FOLDER}/{name}"]
    }


@cache
def _environment() -> Environment:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("replyx_db_agent", "templates/docs"),
        autoescape=False,  # the target is Markdown: `finalize` escapes for it
        finalize=escape,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {"code": code, "codes": _codes, "fenced": _fenced}
    return environment


def _codes(names: Sequence[str]) -> Markdown:
    return Markdown(", ".join(map(code, names)))


def _fenced(text: str, language: str) -> Markdown:
    # A line of a definition must not be read as the end of a generated block.
    lines = text.replace("<!-- replyx-db-agent:", "<!- replyx-db-agent:").split("\n")
    return fenced("\n".join(map(printable, lines)), language)


def _of_kinds(snapshot: Snapshot, *kinds: str) -> list[SchemaObject]:
    found = (thing for thing in snapshot.objects.values() if thing.kind in kinds)
    return sorted(found, key=lambda thing: (thing.name, thing.kind))


def _tables(snapshot: Snapshot) -> Iterator[Mapping[str, Any]]:
    """Yield each table with what belongs to it; partitions are told with their parent."""
    parts = _parts_of_tables(snapshot)
    tables = _of_kinds(snapshot, *_TABLES)
    for table in tables:
        if table.attributes.get("partition bound"):
            continue
        own = parts.get(table.name, {})
        yield {
            "name": table.name,
            "comment": table.attributes.get("comment") or "",
            "facts": _facts(table),
            "columns": [_column(column) for column in own.get("column", ())],
            "constraints": [_named(thing) for thing in _sorted(own, "constraint")],
            "indexes": [_named(thing) for thing in _sorted(own, "index")],
            "triggers": [_named(thing) for thing in _sorted(own, "trigger")],
            "policies": [_policy(thing) for thing in _sorted(own, "policy")],
            "partitions": list(_partitions(tables, table.name)),
        }


def _parts_of_tables(snapshot: Snapshot) -> dict[str, dict[str, list[SchemaObject]]]:
    parts: dict[str, dict[str, list[SchemaObject]]] = {}
    for thing in snapshot.objects.values():
        if thing.table is not None:
            parts.setdefault(thing.table, {}).setdefault(thing.kind, []).append(thing)
    return parts


def _sorted(parts: Mapping[str, list[SchemaObject]], kind: str) -> list[SchemaObject]:
    return sorted(parts.get(kind, ()), key=lambda thing: thing.name)


def _partitions(tables: Sequence[SchemaObject], parent: str) -> Iterator[SchemaObject]:
    for table in tables:
        attributes = table.attributes
        if attributes.get("partition bound") and attributes.get("inherits") == parent:
            yield table
            yield from _partitions(tables, table.name)


def _facts(thing: SchemaObject) -> dict[str, str]:
    """Return what the catalogue says of the object beside its comment and its definition."""
    return {
        name: value
        for name, value in sorted(thing.attributes.items())
        if value and name not in ("comment", "definition")
    }


def _defined(thing: SchemaObject) -> Mapping[str, Any]:
    return {
        "kind": thing.kind,
        "name": thing.name,
        "definition": thing.attributes.get("definition") or "",
        "facts": _facts(thing),
        "comment": thing.attributes.get("comment") or "",
    }


def _column(column: SchemaObject) -> Mapping[str, Any]:
    attributes = column.attributes
    identity = attributes.get("identity")
    default = attributes.get("default") or attributes.get("generated")
    null = attributes.get("null") or "allowed"
    return {
        "name": column.local_name,
        "type": attributes.get("type") or "",
        "null": null == "allowed",
        "not_validated": "not validated" in null,
        "default": default or (f"identity {identity.partition(', start')[0]}" if identity else ""),
        "comment": attributes.get("comment") or "",
    }


def _named(thing: SchemaObject) -> Mapping[str, Any]:
    definition = thing.attributes.get("definition") or ""
    invalid = thing.kind == "constraint" and thing.attributes.get("valid") == "no"
    return {
        "name": thing.local_name,
        "definition": f"{definition} NOT VALID" if invalid else definition,
        "valid": thing.attributes.get("valid") != "no",
        "enabled": thing.attributes.get("enabled") or "",
        "comment": thing.attributes.get("comment") or "",
    }


def _policy(thing: SchemaObject) -> Mapping[str, Any]:
    words = ("kind", "command", "roles", "using", "with check", "comment")
    return {
        "name": thing.local_name,
        **{word.replace(" ", "_"): thing.attributes.get(word) or "" for word in words},
    }


def _indexes(snapshot: Snapshot) -> Iterator[Mapping[str, Any]]:
    """Yield every index, those of keys and exclusions among them, partitions' copies not."""
    for thing in snapshot.objects.values():
        if thing.attributes.get("inherited"):
            continue
        definition = thing.attributes.get("definition") or ""
        if thing.kind == "index":
            match = _INDEX_METHOD.search(definition)
            method, rest = (match["method"], match["rest"]) if match else ("", definition)
            unique = "UNIQUE " if definition.startswith("CREATE UNIQUE ") else ""
            yield {**_named(thing), "table": thing.table, "method": method, "what": unique + rest}
        elif thing.kind == "constraint" and (key := _KEY_WITH_INDEX.match(definition)):
            method = key["method"] or "btree"
            yield {**_named(thing), "table": thing.table, "method": method, "what": definition}


def _others(snapshot: Snapshot) -> Iterator[Mapping[str, Any]]:
    """Yield what has no section of its own: functions, sequences, domains, publications ..."""
    apart = {*_SHOWN_APART, *_TABLES, *_VIEWS, *_FUNCTIONS}
    things = (t for t in snapshot.objects.values() if t.kind not in apart)
    for thing in sorted(things, key=lambda t: (_reading_position(t.kind), t.name)):
        if (thing.kind, thing.name) != ("schema", "public"):
            known = _defined(thing)
            facts = [f"{name}: {value}" for name, value in known["facts"].items()]
            yield {**known, "facts": "; ".join(filter(None, [known["definition"], *facts]))}


def _reading_position(kind: str) -> tuple[int, str]:
    known = READING_ORDER.index(kind) if kind in READING_ORDER else len(READING_ORDER)
    return known, kind


def _plan_template(language: Language) -> Markdown:
    """Return the template of a section in the seed's form, as people paste it."""
    parts = (f"- {TITLES[language][part]}: {hint}" for part, hint in HINTS[language].items())
    return fenced("\n".join(("## YYYYMMDDHHMM short_name", "", *parts)), "markdown")
