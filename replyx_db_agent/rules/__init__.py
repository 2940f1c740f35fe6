"""One module per hazard rule: the file name is its name, the docstring its documentation.

Being in this folder is the registration; modules that begin with an underscore are shared parts.
A rule has `KIND`, `RISK`, `INSTEAD` and one of

* `check(operation, facts) -> str | None`: the message, when the operation is dangerous;
* `check_all(statements, facts) -> Iterable[tuple[int, str]]`: the numbers of dangerous
  statements and their messages, for a pattern that takes more than one statement to see.

Optional: `REPLACES` (rules that say the same with less detail, silent where this one fires) and
`ALWAYS` (it also holds for what was made earlier in the same run; true for MALFORMED and UNKNOWN).
"""

from __future__ import annotations

import pkgutil
from collections.abc import Iterator, Sequence
from importlib import import_module
from types import ModuleType
from typing import Any

from replyx_db_agent.core.model import (
    CreateIndex,
    DropIndex,
    Facts,
    Hazard,
    HazardKind,
    Operation,
    Risk,
    Statement,
    object_name,
)
from replyx_db_agent.rules._timeline import Moment, facts_for_downgrade, moments

__all__ = ["DESTRUCTIVE", "RULES", "facts_for_downgrade", "judge"]

RULES: dict[str, ModuleType] = {
    module.name.replace("_", "-"): import_module(f"{__name__}.{module.name}")
    for module in pkgutil.iter_modules(__path__)
    if not module.name.startswith("_")
}

_LOSSES = (HazardKind.LOSES_DATA, HazardKind.BREAKS_RUNNING_CODE)


def _is_destructive(rule: ModuleType) -> bool:
    """Say whether the rule marks a destructive step: data lost, or running code broken."""
    silent = rule.KIND is HazardKind.SILENT_DATA_CHANGE and rule.RISK is Risk.HIGH
    return rule.RISK is not Risk.NOTE and (rule.KIND in _LOSSES or silent)


DESTRUCTIVE: frozenset[str] = frozenset(
    name for name, rule in RULES.items() if _is_destructive(rule)
)
"""The rules that mark a destructive step in the sense of guardrail G1."""


def judge(statements: Sequence[Statement], facts: Facts) -> tuple[Hazard, ...]:
    """Return every hazard of the statements, in the order they run.

    `facts` is what is known before the first of them; what each one adds is known to the next.
    For a downgrade take `facts_for_downgrade`, which knows what its upgrade added.
    """
    run = list(moments(statements, facts))
    found = [*_one_by_one(run), *_as_a_whole(run, statements, facts)]
    order = {name: place for place, name in enumerate(RULES)}
    found.sort(key=lambda item: (item[0], order[item[1].rule]))
    return tuple(dict.fromkeys(hazard for _, hazard in found))


def _one_by_one(run: Sequence[Moment]) -> Iterator[tuple[int, Hazard]]:
    """Yield what the rules say of single operations, the more specific rule only."""
    rules = {name: rule for name, rule in RULES.items() if hasattr(rule, "check")}
    for moment in run:
        fired: dict[str, str] = {}
        for name, rule in rules.items():
            message = rule.check(moment.operation, moment.facts)
            if message and not _is_exempt(rule, moment):
                fired[name] = message
        replaced = {other for name in fired for other in getattr(RULES[name], "REPLACES", ())}
        for name in fired.keys() - replaced:
            yield moment.index, _hazard(name, fired[name], moment.statement, moment.operation)


def _as_a_whole(
    run: Sequence[Moment], statements: Sequence[Statement], facts: Facts
) -> Iterator[tuple[int, Hazard]]:
    """Yield what the rules say that need to see all statements."""
    for name, rule in RULES.items():
        if not hasattr(rule, "check_all"):
            continue
        for index, message in rule.check_all(statements, facts):
            moment = _meant([moment for moment in run if moment.index == index], message)
            if not _is_exempt(rule, moment):
                yield index, _hazard(name, message, moment.statement, moment.operation)


def _meant(of_statement: Sequence[Moment], message: str) -> Moment:
    """Return the operation that a message about a whole statement names, or the first."""
    for moment in of_statement:
        name = object_name(moment.operation)
        if name and repr(name) in message:
            return moment
    return of_statement[0]


def _is_exempt(rule: ModuleType, moment: Moment) -> bool:
    """Say whether the operation only touches what this run, or the upgrade it undoes, has made."""
    if getattr(rule, "ALWAYS", rule.KIND in (HazardKind.MALFORMED, HazardKind.UNKNOWN)):
        return False
    facts, names = moment.facts, _touched(moment.operation, moment.facts)
    added = facts.added if facts.direction == "downgrade" else frozenset()
    if names & (facts.new_tables | facts.new_objects | added):
        return True
    column = (getattr(moment.operation, "table", ""), getattr(moment.operation, "column", ""))
    name = object_name(moment.operation)
    return rule.KIND in _LOSSES and (column in facts.new_columns or name in added)


def _touched(operation: Operation, facts: Facts) -> frozenset[str]:
    """Return the table the operation touches; for what has no table, its own name."""
    if isinstance(operation, DropIndex):
        return frozenset({facts.index_tables.get(operation.name, "")}) - {""}
    table = getattr(operation, "table", None) or getattr(operation, "name", None)
    return frozenset({table}) if table else frozenset()


def _hazard(name: str, message: str, statement: Statement, operation: Operation) -> Hazard:
    """Fill in what a rule does not know: where, and the names in what to do instead."""
    rule = RULES[name]
    return Hazard(
        rule=name,
        kind=rule.KIND,
        risk=rule.RISK,
        object=object_name(operation),
        message=message,
        instead=rule.INSTEAD.format_map(_Names(_fields(operation))),
        file=statement.file,
        line=statement.line,
    )


class _Names(dict[str, Any]):
    """The names for `INSTEAD`; one that is not known stays in angle brackets."""

    def __missing__(self, key: str) -> str:
        return f"<{key}>"


def _fields(operation: Operation) -> dict[str, Any]:
    """Return the operation's fields that are set, and the parts of an index as SQL."""
    fields = {key: value for key, value in vars(operation).items() if value is not None}
    if isinstance(operation, CreateIndex):
        fields["columns"] = ", ".join(f"{c} {o}" if o else c for c, o in operation.columns)
        plain = "_".join(c for c, _ in operation.columns if c.isidentifier())
        fields.setdefault("name", f"{operation.table.rpartition('.')[2]}_{plain or 'expr'}_idx")
    elif isinstance(fields.get("columns"), tuple):
        fields["columns"] = ", ".join(map(str, fields["columns"]))
    return fields
