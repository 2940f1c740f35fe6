"""Turns the selected changes into revision files that are safe to run."""

from __future__ import annotations

import re
import textwrap
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from importlib.resources import files

from replyx_db_agent.core.naming import next_revision_id, short_name
from replyx_db_agent.core.schema import Change
from replyx_db_agent.cycle.drafting import columns as draft_columns
from replyx_db_agent.cycle.drafting import constraints as draft_constraints
from replyx_db_agent.cycle.drafting import indexes as draft_indexes
from replyx_db_agent.cycle.drafting import tables as draft_tables
from replyx_db_agent.cycle.drafting import types as draft_types
from replyx_db_agent.cycle.drafting.names import Key, key_of_change, key_of_operation
from replyx_db_agent.cycle.drafting.parts import SCHEMA, Part, Step, World
from replyx_db_agent.cycle.drafting.source import execute, formatted
from replyx_db_agent.cycle.load import OpenProject
from replyx_db_agent.engines.project import RenderedOperation

LOCK_TIMEOUT = "5s"
"""How long a step may wait for its lock, and so how long it may make others queue behind it."""

_Form = Callable[[Change, World], Iterable[Part]]
_FORMS: dict[tuple[str, str], _Form] = {
    ("extension", "added"): draft_types.extension_added,
    ("schema", "added"): draft_types.schema_added,
    ("schema", "removed"): draft_types.schema_removed,
    ("sequence", "added"): draft_types.sequence_added,
    ("enum", "added"): draft_types.enum_added,
    ("enum", "changed"): draft_types.enum_changed,
    ("enum", "removed"): draft_types.enum_removed,
    ("table", "added"): draft_tables.table_added,
    ("table", "changed"): draft_tables.table_changed,
    ("table", "removed"): draft_tables.table_removed,
    ("column", "added"): draft_columns.column_added,
    ("column", "changed"): draft_columns.column_changed,
    ("column", "removed"): draft_columns.column_removed,
    ("constraint", "added"): draft_constraints.constraint_added,
    ("constraint", "changed"): draft_constraints.constraint_changed,
    ("constraint", "removed"): draft_constraints.constraint_removed,
    ("index", "added"): draft_indexes.index_added,
    ("index", "changed"): draft_indexes.index_changed,
    ("index", "removed"): draft_indexes.index_removed,
}


@dataclass(frozen=True)
class DraftFile:
    """A revision file that is still to be written; `path` is relative to the project.

    `is_main`: it holds the transactional steps, and so whatever a draft drops or narrows.
    """

    path: str
    revision: str
    text: str
    is_main: bool


def by_key(operations: Iterable[RenderedOperation]) -> dict[Key, list[RenderedOperation]]:
    """Return the operations by what they are about, in autogenerate's order."""
    found: dict[Key, list[RenderedOperation]] = defaultdict(list)
    for operation in operations:
        found[key_of_operation(operation)].append(operation)
    return dict(found)


def parts_of(changes: Sequence[Change], world: World) -> list[Part]:
    """Return what becomes one revision each: what stands in the way, one transaction, the rest."""
    positions = {key: number for number, key in enumerate(world.operations)}
    positions |= draft_tables.order_of_drops(changes)
    found: list[tuple[int, int, Part]] = []
    for change in changes:
        form = _FORMS.get((change.object_kind, change.change))
        position = positions.get(key_of_change(change), -1)
        found += [(part.order, position, part) for part in (form(change, world) if form else ())]
    ordered = [part for *_, part in sorted(found, key=lambda item: item[:2])]
    steps = tuple(step for part in ordered if not part.suffix for step in part.steps)
    alone = _joined([part for part in ordered if part.suffix])
    first = [part for part in alone if part.order < SCHEMA]
    whole = [Part(SCHEMA, steps)] if steps else []
    return [*first, *whole, *(part for part in alone if part.order > SCHEMA)]


def _joined(parts: Sequence[Part]) -> list[Part]:
    """Put all constraints that are dropped into one revision."""
    found: list[Part] = []
    for part in parts:
        if found and part.suffix == found[-1].suffix == "_drop_constraint":
            found[-1] = replace(found[-1], steps=(*found[-1].steps, *part.steps))
        else:
            found.append(part)
    return found


def draft_of(
    changes: Sequence[Change], world: World, parent: str | None, taken: Collection[str]
) -> tuple[tuple[str, Part], ...]:
    """Return the parts with their revision ids, one minute after the other."""
    found: list[str] = []
    parts = parts_of(changes, world)
    for _ in parts:
        below = found[-1] if found else parent
        found.append(next_revision_id(datetime.now(UTC), {*taken, *found}, below))
    main = next((name for name, part in zip(found, parts, strict=True) if not part.suffix), "")
    parts = parts_of(changes, replace(world, revision=main))
    return tuple(zip(found, parts, strict=True))


def files_of(
    project: OpenProject, message: str, draft: Sequence[tuple[str, Part]], parent: str | None
) -> tuple[DraftFile, ...]:
    """Return the files of a draft, each on top of the one before."""
    below = (parent, *(revision for revision, _ in draft))
    several = len(draft) > 1
    return tuple(
        _file(project, message, part, revision, down, several=several)
        for (revision, part), down in zip(draft, below, strict=False)
    )


def _file(
    project: OpenProject,
    message: str,
    part: Part,
    revision: str,
    parent: str | None,
    *,
    several: bool,
) -> DraftFile:
    from jinja2 import Environment, StrictUndefined

    template = Environment(undefined=StrictUndefined, keep_trailing_newline=True).from_string(
        files("replyx_db_agent").joinpath("templates/revision.py.j2").read_text("utf-8")
    )
    upgrade = _body([s.up for s in part.steps], autocommit=part.autocommit)
    back_commits = part.autocommit and not part.back_in_transaction
    downgrade = _body([s.down for s in reversed(part.steps)], autocommit=back_commits)
    why = "\n\n".join(filter(None, [_sentence(message), textwrap.fill(part.why, 88)]))
    text = template.render(
        doc=why.replace("\\", "\\\\").replace('"', "'"),
        revision=revision,
        parent=parent,
        created=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        imports=_imports(part.steps, upgrade + downgrade),
        upgrade=upgrade,
        downgrade=downgrade,
    )
    name = f"{revision}_{short_name(message)}{part.suffix if several else ''}.py"
    return DraftFile(
        f"{project.history.versions[0]}/{name}", revision, formatted(text), not part.suffix
    )


def _sentence(message: str) -> str:
    text = " ".join(message.split())
    return text[:1].upper() + text[1:] + ("" if text.endswith((".", "!", "?")) else ".")


def _body(code: Sequence[str], *, autocommit: bool) -> str:
    lines = "\n".join(filter(None, code))
    if not autocommit:
        start = execute(f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT}'")
        return f"{start}\n{lines}"
    start, end = execute(f"SET lock_timeout = '{LOCK_TIMEOUT}'"), execute("RESET lock_timeout")
    inside = textwrap.indent(f"{start}\n{lines}\n{end}", "    ")
    return f"with op.get_context().autocommit_block():\n{inside}"


def _imports(steps: Sequence[Step], code: str) -> list[str]:
    lines = {line for step in steps for line in step.imports if _is_used(line, code)}
    lines.discard("import sqlalchemy as sa")
    if re.search(r"\bsa\.", code):
        lines.add("import sqlalchemy as sa")
    lines.add("from alembic import op")
    return sorted(lines, key=lambda line: (line.startswith("from"), line))


def _is_used(line: str, code: str) -> bool:
    """Say whether the code names what the line imports."""
    name = line.rpartition(" ")[2]
    return re.search(rf"\b{re.escape(name)}\b", code) is not None
