"""A revision has steps in a transaction and steps in an autocommit block.

If the autocommit step fails (a duplicate under a unique index), the steps before it stay committed,
alembic_version does not move, and the next run dies on what is there already. A failed CONCURRENTLY
also leaves an INVALID index: https://www.postgresql.org/docs/current/sql-createindex.html#SQL-CREATEINDEX-CONCURRENTLY

Bad:

```sql
-- before: CREATE TABLE notes (id bigint PRIMARY KEY);
ALTER TABLE notes ADD COLUMN author bigint;
-- autocommit
CREATE INDEX CONCURRENTLY notes_author_idx ON notes (author);
```

Good:

```sql
-- before: CREATE TABLE notes (id bigint PRIMARY KEY);
ALTER TABLE notes ADD COLUMN author bigint;
-- next revision
-- autocommit
CREATE INDEX CONCURRENTLY notes_author_idx ON notes (author);
```

```sql
-- before: CREATE TABLE notes (id bigint PRIMARY KEY, author bigint);
SET LOCAL lock_timeout = '3s';
-- autocommit
CREATE INDEX CONCURRENTLY notes_author_idx ON notes (author);
```
"""

from collections.abc import Iterator, Sequence

from replyx_db_agent.core.model import (
    Facts,
    HazardKind,
    Operation,
    Read,
    Risk,
    SetVariable,
    Statement,
    TransactionControl,
)

KIND = HazardKind.MALFORMED
RISK = Risk.HIGH
INSTEAD = "Two revisions: one with the transactional steps, one with only the autocommit step."

_LEAVES_NOTHING = (Read, SetVariable, TransactionControl)


def check_all(statements: Sequence[Statement], facts: Facts) -> Iterator[tuple[int, str]]:
    """Fire once for each revision, where the way of running first changes."""
    first: dict[str | int, Statement] = {}
    done: set[str | int] = set()
    for index, statement in enumerate(statements):
        if not any(_is_step(operation) for operation in statement.operations):
            continue
        revision = statement.file or statement.transaction
        begun = first.setdefault(revision, statement)
        if begun.autocommit != statement.autocommit and revision not in done:
            done.add(revision)
            yield (
                index,
                "This revision mixes transactional steps and an autocommit block: "
                "if it fails half-way, it can neither go on nor be run again.",
            )


def _is_step(operation: Operation) -> bool:
    """Say whether the operation leaves something behind; Alembic's own bookkeeping apart."""
    own = getattr(operation, "table", None) == "alembic_version"
    return not own and not isinstance(operation, _LEAVES_NOTHING)
