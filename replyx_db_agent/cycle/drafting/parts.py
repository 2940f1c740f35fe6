"""The parts of a draft: what becomes one revision, and where it stands among the others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from replyx_db_agent.core.schema import SchemaObject, Snapshot
from replyx_db_agent.cycle.drafting.names import Key, Parts
from replyx_db_agent.engines.project import RenderedOperation

ENUM_VALUES, DROP_CONSTRAINT, DROP_INDEX = 0, 1, 2
SCHEMA, TYPE, TABLE, COLUMN, ALTER = 10, 11, 20, 30, 40
DROP_COLUMN, DROP_TABLE, CONSTRAINT, COMMENT, DROP_TYPE, DROP_SCHEMA = 50, 51, 60, 70, 80, 81
INDEX, UNIQUE, VALIDATE = 100, 101, 110
"""The order of a draft: what stands in the way goes, then one transaction, then the long steps.

Rows are restored, on the way back, after new constraints have gone that they may not satisfy."""


@dataclass(frozen=True)
class Step:
    """One operation as code: how it goes up, how it comes back, what it imports."""

    up: str
    down: str
    imports: tuple[str, ...] = ()


@dataclass(frozen=True)
class Part:
    """Steps and their place; without a suffix they share the one transactional revision.

    `autocommit`: each statement commits by itself. `back_in_transaction`: not on the way back.
    """

    order: int
    steps: tuple[Step, ...]
    suffix: str = ""
    why: str = ""
    autocommit: bool = False
    back_in_transaction: bool = False


def together(order: int, up: str, down: str, imports: tuple[str, ...] = ()) -> Part:
    """Return a step of the transactional revision."""
    return Part(order, (Step(up, down, imports),))


@dataclass(frozen=True)
class World:
    """What a draft is made from: both schemas and what autogenerate rendered, by what it is about.

    `revision` is the id of the transactional revision: archives are named after it.
    """

    head: Snapshot
    models: Snapshot
    operations: Mapping[Key, Sequence[RenderedOperation]]
    narrowed: frozenset[Parts] = frozenset()
    revision: str = ""

    def operation(self, key: Key, *kinds: str) -> RenderedOperation | None:
        """Return the operation of one of these kinds that is about this."""
        return next((o for o in self.operations.get(key, ()) if o.kind in kinds), None)


def of_table(snapshot: Snapshot, kind: str, table: str) -> list[SchemaObject]:
    """Return what belongs to a table (its name as the catalogue gives it)."""
    return [o for (k, _), o in snapshot.objects.items() if k == kind and o.table == table]
