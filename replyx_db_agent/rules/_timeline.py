"""What is known before each operation of a run: facts grow as the statements before it run."""

from __future__ import annotations

import re
from collections import ChainMap
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from replyx_db_agent.core.model import (
    AddColumn,
    AddConstraint,
    AlterColumnType,
    CreateIndex,
    CreateObject,
    CreateTable,
    DropColumn,
    DropTable,
    Facts,
    Operation,
    RenameColumn,
    RenameTable,
    SetVariable,
    Statement,
    TransactionControl,
    ValidateConstraint,
    object_name,
)

K = TypeVar("K")
V = TypeVar("V")


@dataclass(frozen=True)
class Moment:
    """One operation and what is known just before it runs."""

    index: int
    statement: Statement
    operation: Operation
    facts: Facts
    transaction: int


@dataclass
class _Run:
    """The state of a run between two operations."""

    facts: Facts
    transaction: int = 0
    last: tuple[int, bool] | None = None
    local: dict[str, str] = field(default_factory=dict)
    session: dict[str, str] = field(default_factory=dict)
    unproved: dict[tuple[str, str], str] = field(default_factory=dict)
    gone: set[tuple[str, str]] = field(default_factory=set)


def moments(statements: Sequence[Statement], facts: Facts) -> Iterator[Moment]:
    """Yield every operation in order with the facts in force before it."""
    run = _Run(facts, session=dict(facts.settings))
    for index, statement in enumerate(statements):
        _enter(run, statement, facts.in_transaction)
        for operation in statement.operations:
            yield Moment(index, statement, operation, run.facts, run.transaction)
            _learn(run, operation)


def facts_for_downgrade(upgrade: Sequence[Statement], facts: Facts) -> Facts:
    """Return the facts that a downgrade starts with, after the upgrade it undoes has run."""
    run = _Run(facts)
    added: set[str] = set()
    for statement in upgrade:
        for operation in statement.operations:
            if not _was_there(run, operation):
                added |= _names_added(operation)
            _learn(run, operation)
    return replace(
        facts,
        direction="downgrade",
        added=frozenset(added),
        column_types=_without_dropped(run),
        index_tables=run.facts.index_tables,
    )


def _without_dropped(run: _Run) -> Mapping[tuple[str, str], str]:
    """Return the types of the columns that are there after the run."""
    types = run.facts.column_types
    gone = [
        key
        for key in (types if run.gone else ())
        if (key in run.gone or (key[0], "") in run.gone) and key not in run.facts.new_columns
    ]
    return {k: v for k, v in types.items() if k not in set(gone)} if gone else types


def _enter(run: _Run, statement: Statement, transactional: bool) -> None:
    """Start a new transaction where the statement does not share the last one's."""
    here = (statement.transaction, statement.autocommit)
    if here != run.last or statement.autocommit:
        _new_transaction(run)
        in_transaction = transactional and not statement.autocommit
        run.facts = replace(run.facts, in_transaction=in_transaction)
    run.last = here


def _new_transaction(run: _Run) -> None:
    """Forget what SET LOCAL said."""
    run.transaction += 1
    run.local = {}
    run.facts = replace(run.facts, settings=dict(run.session))


def _learn(run: _Run, operation: Operation) -> None:
    """Bring the facts up to date after an operation."""
    teach = _LESSONS.get(type(operation))
    if teach:
        teach(run, operation)


def _was_there(run: _Run, operation: Operation) -> bool:
    """Say whether IF NOT EXISTS met what was there before the run: then nothing is new."""
    if isinstance(operation, AddColumn):
        keys = [(operation.table, operation.column)]
    elif isinstance(operation, CreateTable):
        keys = [(operation.table, column) for column, _ in operation.columns]
    else:
        return False
    known, gone = run.facts.column_types, run.gone
    return any(k in known and k not in gone and (k[0], "") not in gone for k in keys)


def _dropped(run: _Run, drop: DropTable | DropColumn) -> None:
    column = drop.column if isinstance(drop, DropColumn) else ""
    run.gone.add((drop.table, column))


def _created_table(run: _Run, made: CreateTable) -> None:
    if _was_there(run, made):
        return
    types = {(made.table, column): type_ for column, type_ in made.columns}
    run.facts = replace(
        run.facts,
        new_tables=run.facts.new_tables | {made.table},
        new_columns=run.facts.new_columns | types.keys(),
        column_types=_with(run.facts.column_types, types),
    )


def _added_column(run: _Run, made: AddColumn) -> None:
    if _was_there(run, made):
        return
    key = (made.table, made.column)
    proved = {key} if made.not_null else set()
    run.facts = replace(
        run.facts,
        new_columns=run.facts.new_columns | {key},
        column_types=_with(run.facts.column_types, {key: made.type}),
        proved_not_null=run.facts.proved_not_null | proved,
    )


def _changed_type(run: _Run, change: AlterColumnType) -> None:
    types = {(change.table, change.column): change.new_type}
    run.facts = replace(run.facts, column_types=_with(run.facts.column_types, types))


def _renamed_column(run: _Run, change: RenameColumn) -> None:
    old, new = (change.table, change.column), (change.table, change.new_name)
    types = {new: type_} if (type_ := run.facts.column_types.get(old)) else {}
    made = {new} if old in run.facts.new_columns else set()
    run.facts = replace(
        run.facts,
        column_types=_with(run.facts.column_types, types),
        new_columns=run.facts.new_columns | made,
    )


def _renamed_table(run: _Run, change: RenameTable) -> None:
    schema, _, _ = change.table.rpartition(".")
    new = f"{schema}.{change.new_name}" if schema else change.new_name
    types = {
        (new, column): type_
        for (table, column), type_ in run.facts.column_types.items()
        if table == change.table
    }
    made = {new} if change.table in run.facts.new_tables else set()
    run.facts = replace(
        run.facts,
        column_types=_with(run.facts.column_types, types),
        new_tables=run.facts.new_tables | made,
    )


def _created_index(run: _Run, made: CreateIndex) -> None:
    if made.name:
        tables = _with(run.facts.index_tables, {made.name: made.table})
        objects = run.facts.new_objects | {made.name}
        run.facts = replace(run.facts, index_tables=tables, new_objects=objects)


def _created_object(run: _Run, made: CreateObject) -> None:
    run.facts = replace(run.facts, new_objects=run.facts.new_objects | {made.name})


def _added_constraint(run: _Run, made: AddConstraint) -> None:
    name = f"{made.table}.{made.name}"
    run.facts = replace(run.facts, new_objects=run.facts.new_objects | {name})
    column = _kept_from_null(made)
    if column and made.not_valid:
        run.unproved[made.table, made.name or ""] = column
    elif column:
        _prove(run, made.table, column)


def _kept_from_null(made: AddConstraint) -> str | None:
    """Return the column that the constraint keeps free of NULL, if it does nothing else."""
    if made.kind == "not null":
        return made.columns[0] if made.columns else None
    found = re.fullmatch(r'"?([^"\s]+?)"? IS NOT NULL', made.expression or "")
    return found[1] if found and made.kind == "check" else None


def _validated(run: _Run, done: ValidateConstraint) -> None:
    if column := run.unproved.get((done.table, done.name)):
        _prove(run, done.table, column)


def _prove(run: _Run, table: str, column: str) -> None:
    proved = run.facts.proved_not_null | {(table, column)}
    run.facts = replace(run.facts, proved_not_null=proved)


def _set_variable(run: _Run, change: SetVariable) -> None:
    scope = run.local if change.local else run.session
    if change.local and not run.facts.in_transaction:
        return
    if change.name == "ALL":
        run.session.clear()
    elif change.value is None:
        run.session.pop(change.name, None)
    else:
        scope[change.name] = change.value
    run.facts = replace(run.facts, settings={**run.session, **run.local})


def _transaction_word(run: _Run, control: TransactionControl) -> None:
    if control.word in ("COMMIT", "ROLLBACK", "BEGIN"):
        _new_transaction(run)
        run.facts = replace(run.facts, in_transaction=control.word == "BEGIN")


_LESSONS: dict[type, Callable[[_Run, Any], None]] = {
    DropTable: _dropped,
    DropColumn: _dropped,
    CreateTable: _created_table,
    AddColumn: _added_column,
    AlterColumnType: _changed_type,
    RenameColumn: _renamed_column,
    RenameTable: _renamed_table,
    CreateIndex: _created_index,
    CreateObject: _created_object,
    AddConstraint: _added_constraint,
    ValidateConstraint: _validated,
    SetVariable: _set_variable,
    TransactionControl: _transaction_word,
}


def _with(known: Mapping[K, V], more: dict[K, V]) -> Mapping[K, V]:
    """Return a mapping that knows more, without copying all that was known before the run."""
    if not more:
        return known
    if isinstance(known, ChainMap):
        return ChainMap({**known.maps[0], **more}, *known.maps[1:])
    return ChainMap(more, dict(known) if not isinstance(known, dict) else known)


def _names_added(operation: Operation) -> frozenset[str]:
    """Return the names of what the operation brings into the world."""
    if isinstance(operation, RenameColumn):
        return frozenset({f"{operation.table}.{operation.new_name}"})
    if isinstance(operation, RenameTable):
        return frozenset({operation.new_name})
    if isinstance(operation, AddConstraint):
        return frozenset({f"{operation.table}.{operation.name}"})
    if isinstance(operation, (CreateTable, AddColumn, CreateIndex, CreateObject)):
        return frozenset({object_name(operation)})
    return frozenset()
