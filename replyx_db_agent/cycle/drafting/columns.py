"""Draft forms of columns: as autogenerate renders them where that is safe, else in SQL."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from replyx_db_agent.core.schema import Change
from replyx_db_agent.cycle.drafting import parts as place
from replyx_db_agent.cycle.drafting.kept import kept_column
from replyx_db_agent.cycle.drafting.names import key_of_change, parts, quoted
from replyx_db_agent.cycle.drafting.parts import Part, Step, World, together
from replyx_db_agent.cycle.drafting.source import execute
from replyx_db_agent.cycle.drafting.tables import comment_changed, comment_on

Attributes = Mapping[str, str | None]

_TEXTS = ("text", "character varying", "character", "citext")
_ALIKE = (
    ("smallint", "integer", "bigint", "numeric", "real", "double precision"),
    ("timestamp without time zone", "timestamp with time zone", "date"),
    ("vector", "halfvec", "sparsevec"),
)
"""Types that PostgreSQL turns into each other, or anything into them, without being told how."""

_WORDS = {"type": " type_=", "default": " server_default=", "comment": " comment="}


def column_added(change: Change, world: World) -> Iterator[Part]:
    """Add a column."""
    if made := world.operation(key_of_change(change), "AddColumnOp"):
        yield together(place.COLUMN, made.upgrade, made.downgrade, made.imports)


def column_removed(change: Change, world: World) -> Iterator[Part]:
    """Drop a column whose values are kept; one that is computed has none of its own."""
    made = world.operation(key_of_change(change), "DropColumnOp")
    if made is None:
        return
    step = Step(made.upgrade, made.downgrade, made.imports)
    if not change.before.get("generated"):
        step = _kept(step, change, world)
    yield Part(place.DROP_COLUMN, (step,))


def _kept(step: Step, change: Change, world: World) -> Step:
    """A column that must not be NULL comes back nullable, gets its values, is required again."""
    required = change.before.get("null") == "forbidden" and not change.before.get("default")
    if not required:
        return kept_column(step, change, world, then=[])
    down = step.down.replace("nullable=False", "nullable=True")
    then = [execute(f"{_alter(change)} SET NOT NULL")]
    return kept_column(Step(step.up, down, step.imports), change, world, then=then)


def column_changed(change: Change, world: World) -> Iterator[Part]:
    """Change what differs; what is not known here is left for the proof to name."""
    if change.after.get("null") == "forbidden":
        yield _null_forbidden(change)
    elif change.after.get("null") == "allowed":
        yield _null_allowed(change)
    if change.after.keys() & {"type", "default"}:
        yield Part(place.ALTER, (_altered(change, world),))
    elif "comment" in change.after:
        yield comment_changed(change, "column", change.object)


def _altered(change: Change, world: World) -> Step:
    made = world.operation(key_of_change(change), "AlterColumnOp")
    before = world.head.objects["column", change.object].attributes
    after = world.models.objects["column", change.object].attributes
    if made and _covers(made.upgrade, change) and not _using(before, after):
        step = Step(made.upgrade, made.downgrade, made.imports)
    else:
        step = Step(_sql(change, before, after), _sql(change, after, before))
    narrowed = parts(change.object) in world.narrowed
    return kept_column(step, change, world, then=[]) if narrowed else step


def _covers(code: str, change: Change) -> bool:
    """Say whether the rendered operation changes exactly what differs."""
    told = {key for key, word in _WORDS.items() if word in code}
    return told == set(change.after) and " nullable=" not in code


def _using(before: Attributes, after: Attributes) -> bool:
    """Say whether PostgreSQL wants to be told how the values change their type."""
    old, new = _base(before), _base(after)
    alike = old == new or any(old in group and new in group for group in _ALIKE)
    return not alike and new not in _TEXTS


def _base(attributes: Attributes) -> str:
    return re.sub(r"\([^)]*\)", "", attributes["type"] or "")


def _sql(change: Change, before: Attributes, after: Attributes) -> str:
    """Return code that changes type, default and comment from one to the other."""
    lines = []
    old, new = before.get("default"), after.get("default")
    using = _using(before, after)
    if old and using:
        lines.append("DROP DEFAULT")
    if before["type"] != after["type"]:
        how = f" USING {_local(change)}::{after['type']}" if using else ""
        lines.append(f"TYPE {after['type']}{how}")
    if new and (new != old or using):
        lines.append(f"SET DEFAULT {new}")
    elif old and not new and not using:
        lines.append("DROP DEFAULT")
    code = [execute(f"{_alter(change)} {line}") for line in lines]
    if before.get("comment") != after.get("comment"):
        text = after.get("comment")
        code.append(comment_on("column", change.object, text, before.get("comment")).up)
    return "\n".join(code)


def _alter(change: Change) -> str:
    return f"ALTER TABLE {change.table} ALTER COLUMN {_local(change)}"


def _local(change: Change) -> str:
    return change.object.removeprefix(f"{change.table}.")


# ---- NULL ----------------------------------------------------------------------------------------


def _null_forbidden(change: Change) -> Part:
    """Forbid NULL; a CHECK that was validated is the proof, so SET NOT NULL need not scan."""
    why = (
        f"{change.object} must not be NULL from here on. A CHECK is validated while writes go on, "
        "and is the proof with which SET NOT NULL needs no scan of its own; each statement commits."
    )
    step = Step(_forbid(change), execute(f"{_alter(change)} DROP NOT NULL"))
    return Part(place.VALIDATE, (step,), "_not_null", why, autocommit=True)


def _null_allowed(change: Change) -> Part:
    """Allow NULL; each statement of the way back commits, so its scan blocks no writes."""
    why = (
        f"{change.object} may be NULL from here on. On the way back its rows are checked outside "
        "of a transaction, so that no lock is held through the scan."
    )
    step = Step(execute(f"{_alter(change)} DROP NOT NULL"), _forbid(change))
    return Part(place.DROP_CONSTRAINT, (step,), "_null", why, autocommit=True)


def _forbid(change: Change) -> str:
    """Return code that forbids NULL statement by statement, and can be run again."""
    table, column = f"ALTER TABLE {change.table}", _local(change)
    name = f"{parts(change.table or '')[-1]}_{parts(column)[0]}_given"
    written = name if re.fullmatch(r"[a-z_][a-z0-9_]{0,62}", name) else quoted(name)
    check = f"CONSTRAINT {written} CHECK ({column} IS NOT NULL) NOT VALID"
    lines = [
        f"{table} DROP CONSTRAINT IF EXISTS {written}, ADD {check}",
        f"{table} VALIDATE CONSTRAINT {written}",
        f"{_alter(change)} SET NOT NULL",
        f"{table} DROP CONSTRAINT {written}",
    ]
    return "\n".join(execute(line) for line in lines)
