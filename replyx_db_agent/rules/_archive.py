"""Which tables keep what a destructive revision takes away."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from replyx_db_agent.core.model import (
    AlterColumnType,
    AlterOther,
    CreateTable,
    DropColumn,
    DropTable,
)
from replyx_db_agent.rules._timeline import Moment

_NAMED_SO = re.compile(r"(^|[._])archive([._]|$)", re.I)


def is_archive(table: str) -> bool:
    """Recognise an archive: in the schema that drafts keep rows in, or the word is in its name.

    It only spares findings about locks and form; no destructive step is excused by a name.
    """
    return table.startswith("replyx_db_agent.") or bool(_NAMED_SO.search(table))


def locks_for_a_copy(run: Sequence[Moment]) -> Iterator[Moment]:
    """Yield each LOCK TABLE that keeps writers out while rows that go away are archived.

    After it, in its transaction, an archive is made and the table is dropped, or loses a column or
    the type of one.
    """
    for place, moment in enumerate(run):
        operation = moment.operation
        if not (isinstance(operation, AlterOther) and operation.what == "LOCK TABLE"):
            continue
        later = [m.operation for m in run[place:] if m.transaction == moment.transaction]
        copied = any(isinstance(o, CreateTable) and is_archive(o.table) for o in later)
        lost = any(
            isinstance(o, DropColumn | DropTable | AlterColumnType) and o.table == operation.table
            for o in later
        )
        if copied and lost:
            yield moment
