"""Draft forms of constraints: no lock is held while rows are checked or an index is built."""

from __future__ import annotations

import re
from collections.abc import Iterator

from replyx_db_agent.core.schema import Change
from replyx_db_agent.cycle.drafting import parts as place
from replyx_db_agent.cycle.drafting.indexes import built, concurrent
from replyx_db_agent.cycle.drafting.names import key_of_change, schema_of
from replyx_db_agent.cycle.drafting.parts import Part, Step, World, together
from replyx_db_agent.cycle.drafting.source import execute, with_arguments
from replyx_db_agent.cycle.drafting.tables import comment_changed, comment_on, target_of

_VALIDATED_APART = ("FOREIGN KEY", "CHECK")
_UNIQUE = re.compile(
    r"UNIQUE(?P<nulls> NULLS NOT DISTINCT)? (?P<columns>\([^()]*\))"
    r"(?P<include> INCLUDE \([^()]*\))?(?P<when>( DEFERRABLE| INITIALLY DEFERRED)*)"
)


def constraint_added(change: Change, world: World) -> Iterator[Part]:
    """Add a constraint without a scan or a build under a strong lock."""
    definition = change.after["definition"] or ""
    if definition.startswith(_VALIDATED_APART):
        yield from _added_not_valid(change, world, definition)
    elif unique := _unique(change, definition):
        step = Step(_with_comment("\n".join(unique), change), _drop(change))
        yield Part(place.UNIQUE, (step,), "_unique", _unique_why(change), autocommit=True)
    else:
        add = execute(f"{_alter(change)} ADD CONSTRAINT {_local(change)} {definition}")
        yield together(place.CONSTRAINT, _with_comment(add, change), _drop(change))


def _added_not_valid(change: Change, world: World, definition: str) -> Iterator[Part]:
    made = world.operation(key_of_change(change), "CreateForeignKeyOp")
    add = execute(f"{_alter(change)} ADD CONSTRAINT {_local(change)} {definition} NOT VALID")
    code = with_arguments(made.upgrade, "postgresql_not_valid=True") if made else add
    imports = made.imports if made else ()
    yield together(place.CONSTRAINT, _with_comment(code, change), _drop(change), imports)
    validate = Step(
        execute(f"{_alter(change)} VALIDATE CONSTRAINT {_local(change)}"),
        _with_comment(execute(_replaced(change, definition)), change),
    )
    why = (
        f"Constraint {_local(change)} was added NOT VALID; validating it here scans the table "
        "without blocking writes."
    )
    yield Part(place.VALIDATE, (validate,), "_validate", why)


def constraint_removed(change: Change, world: World) -> Iterator[Part]:
    """Drop a constraint; on the way back its rows are checked outside of a transaction."""
    definition = change.before["definition"] or ""
    down = _with_comment(_made(change, definition), change, before=True)
    why = (
        "Constraints are dropped by themselves: the way back checks the rows, or builds the "
        "index, outside of a transaction, so that no lock is held meanwhile."
    )
    step = Step(_drop(change), down)
    yield Part(place.DROP_CONSTRAINT, (step,), "_drop_constraint", why, autocommit=True)


def constraint_changed(change: Change, world: World) -> Iterator[Part]:
    """Put the new definition in the place of the old one, and validate it."""
    if "definition" in change.after:
        old, new = (a["definition"] or "" for a in (change.before, change.after))
        step = Step(_exchanged(change, new), _exchanged(change, old))
        why = (
            f"Constraint {_local(change)} is exchanged NOT VALID and then validated, each in a "
            "transaction of its own, so that no lock is held through the scan."
        )
        yield Part(place.UNIQUE, (step,), "_constraint", why, autocommit=True)
    elif "comment" in change.after:
        target = target_of("constraint", change.object, change.table)
        yield comment_changed(change, "constraint", target)


def _exchanged(change: Change, definition: str) -> str:
    made = _made(change, definition)
    return made if definition.startswith(_VALIDATED_APART) else f"{_drop(change)}\n{made}"


def _made(change: Change, definition: str) -> str:
    """Return code that makes the constraint statement by statement, each committed."""
    if definition.startswith(_VALIDATED_APART):
        validate = execute(f"{_alter(change)} VALIDATE CONSTRAINT {_local(change)}")
        return f"{execute(_replaced(change, definition))}\n{validate}"
    add = execute(f"{_alter(change)} ADD CONSTRAINT {_local(change)} {definition}")
    return "\n".join(_unique(change, definition) or [add])


def _replaced(change: Change, definition: str) -> str:
    name = _local(change)
    return (
        f"{_alter(change)} DROP CONSTRAINT IF EXISTS {name}, "
        f"ADD CONSTRAINT {name} {definition} NOT VALID"
    )


def _unique(change: Change, definition: str) -> list[str] | None:
    """Return code that builds the index CONCURRENTLY and then makes it the constraint's own."""
    found = _UNIQUE.fullmatch(definition)
    if found is None:
        return None
    name = _local(change)
    index = (
        f"CREATE UNIQUE INDEX {name} ON {change.table} {found['columns']}"
        f"{found['include'] or ''}{found['nulls'] or ''}"
    )
    attach = f"{_alter(change)} ADD CONSTRAINT {name} UNIQUE USING INDEX {name}{found['when']}"
    return [built(schema_of(change.table) + name, concurrent(index)), execute(attach)]


def _unique_why(change: Change) -> str:
    return (
        f"The index of constraint {_local(change)} is built CONCURRENTLY, so writes go on "
        "meanwhile; that needs a revision of its own, outside a transaction."
    )


def _with_comment(code: str, change: Change, *, before: bool = False) -> str:
    text = (change.before if before else change.after).get("comment")
    if not text:
        return code
    target = target_of("constraint", change.object, change.table)
    return f"{code}\n{comment_on('constraint', target, text, None).up}"


def _drop(change: Change) -> str:
    return execute(f"{_alter(change)} DROP CONSTRAINT IF EXISTS {_local(change)}")


def _alter(change: Change) -> str:
    return f"ALTER TABLE {change.table}"


def _local(change: Change) -> str:
    return change.object.removeprefix(f"{change.table}.")
