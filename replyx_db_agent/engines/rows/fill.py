"""Fitting rows for a rehearsal: every empty table gets rows that its constraints let in."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from typing import get_args

from replyx_db_agent.core.schema import Snapshot
from replyx_db_agent.engines.catalog import Query, is_version_table
from replyx_db_agent.engines.quoting import quote_literal
from replyx_db_agent.engines.rows.plan import Manner, NoValues, insert_statement
from replyx_db_agent.engines.rows.tables import Table, table_of
from replyx_db_agent.engines.rows.values import types_of

_ANSWER = "replyx_db_agent.rows"


@dataclass(frozen=True)
class FillReport:
    """How many rows each table was given, and why a table was given none."""

    filled: Mapping[str, int]
    skipped: Mapping[str, str]


def fill(
    query: Query,
    execute: Callable[[str], None],
    snapshot: Snapshot | None = None,
    *,
    tables: Sequence[str] | None = None,
    rows: int = 20,
    parent_rows: int | None = None,
    seed: int = 1,
    version_table: str = "alembic_version",
) -> FillReport:
    """Put rows into every empty table, parents first; the same schema and seed give the same rows.

    `execute` gets one DO block for each table; it works inside and outside of a transaction.
    `snapshot`: leave out tables that are not in it. `tables`: fill only these and the empty
    tables they refer to. A table may get fewer rows than asked for: a key can have few values.
    """
    every = {
        table.name: table
        for table in _tables(query, version_table)
        if snapshot is None or ("table", table.name) in snapshot.objects
    }
    counts = _counts(query, every.values())
    wanted = _wanted(every, counts, tables)
    filled: dict[str, int] = {}
    skipped: dict[str, str] = {}
    for table in _parents_first(wanted):
        try:
            is_parent = tables is not None and table.name not in tables
            wanted_rows = parent_rows if is_parent and parent_rows else rows
            count = _fill_one(query, execute, table, wanted_rows, seed, counts)
        except NoValues as reason:
            skipped[table.name] = str(reason)
            continue
        filled[table.name] = counts[table.target] = count
    return FillReport(filled, skipped)


def _tables(query: Query, version_table: str) -> list[Table]:
    folder = resources.files("replyx_db_agent.engines") / "queries"
    found = json.loads(query((folder / "rows.sql").read_text(encoding="utf-8"))[0][0])
    types = types_of([description for kind, description in found if kind == "type"])
    tables = [table_of(description, types) for kind, description in found if kind == "table"]
    tables.sort(key=lambda table: table.name)
    return [table for table in tables if not is_version_table(version_table, table.name)]


def _counts(query: Query, tables: Iterable[Table]) -> dict[str, int]:
    """Return how many rows every table and every parent has, by its name for SQL."""
    tables = list(tables)
    readable = {fk.relation: fk.relation for table in tables for fk in table.foreign_keys}
    readable |= {table.target: table.relation for table in tables}
    if not readable:
        return {}
    parts = [
        # Names come quoted from PostgreSQL.
        f"SELECT {quote_literal(name)}, count(*) FROM {relation}"  # noqa: S608
        for name, relation in readable.items()
    ]
    return {name: int(count) for name, count in query(" UNION ALL ".join(parts))}


def _wanted(
    every: Mapping[str, Table], counts: Mapping[str, int], names: Sequence[str] | None
) -> list[Table]:
    """Return the empty tables among `names` and the empty ones they refer to."""
    todo = list(every if names is None else names)
    seen: set[str] = set()
    while todo:
        name = todo.pop()
        if name in every and name not in seen and not counts[every[name].target]:
            seen.add(name)
            todo += [fk.parent for fk in every[name].foreign_keys]
    return [table for name, table in every.items() if name in seen]


def _parents_first(tables: Sequence[Table]) -> Iterator[Table]:
    """Yield each table after its parents; a cycle is opened at a foreign key that may be NULL."""
    waiting = {table.target: table for table in tables}
    while waiting:
        free = [t for t in waiting.values() if not _waits_for(t, waiting, also_nullable=True)]
        opened = [t for t in waiting.values() if not _waits_for(t, waiting, also_nullable=False)]
        for table in free or opened[:1] or list(waiting.values()):
            del waiting[table.target]
            yield table


def _waits_for(table: Table, waiting: Mapping[str, Table], *, also_nullable: bool) -> bool:
    return any(
        fk.relation in waiting and fk.relation != table.target
        for fk in table.foreign_keys
        if also_nullable or not table.nullable & set(fk.columns)
    )


def _fill_one(
    query: Query,
    execute: Callable[[str], None],
    table: Table,
    rows: int,
    seed: int,
    counts: Mapping[str, int],
) -> int:
    """Try one manner after the other; return the number of rows or say why there are none."""
    manners: tuple[Manner, ...] = get_args(Manner)
    statements = [insert_statement(table, rows, seed, counts, manner) for manner in manners]
    execute(_first_that_works(statements))
    answer = json.loads(query(f"SELECT current_setting('{_ANSWER}')")[0][0])
    if answer["rows"]:
        return int(answer["rows"])
    raise NoValues(answer["problem"] or "no row satisfies its constraints")


def _first_that_works(statements: Sequence[str]) -> str:
    """Return a DO block: it leaves its answer in a setting, so nothing is created for it."""
    tried = ", ".join(quote_literal(statement) for statement in dict.fromkeys(statements))
    block = f"""
DECLARE
  tried text;
  made bigint := 0;
  problem text;
BEGIN
  FOREACH tried IN ARRAY ARRAY[{tried}] LOOP
    BEGIN
      EXECUTE tried;
      GET DIAGNOSTICS made = ROW_COUNT;
      EXIT WHEN made > 0;
    EXCEPTION WHEN OTHERS THEN
      problem := SQLERRM;
    END;
  END LOOP;
  PERFORM set_config('{_ANSWER}', json_build_object('rows', made, 'problem', problem)::text, false);
END"""
    return f"DO {quote_literal(block)}"
