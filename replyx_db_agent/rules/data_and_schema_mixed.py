"""One revision changes an existing table's structure and changes rows.

The structural change's lock (ACCESS EXCLUSIVE mostly) is held until the commit, so the table stays
closed for as long as the rows take: https://www.postgresql.org/docs/current/explicit-locking.html

Bad:

```sql
-- before: CREATE TABLE users (id bigint PRIMARY KEY, name text);
ALTER TABLE users ADD COLUMN slug text;
UPDATE users SET slug = lower(name) WHERE slug IS NULL;
```

Good:

```sql
-- before: CREATE TABLE users (id bigint PRIMARY KEY, name text);
ALTER TABLE users ADD COLUMN slug text;
-- next revision
UPDATE users SET slug = lower(name) WHERE slug IS NULL AND id BETWEEN 1 AND 1000;
```

```sql
-- before: CREATE TABLE users (id bigint PRIMARY KEY, plan text);
CREATE TABLE plans (name text PRIMARY KEY);
INSERT INTO plans VALUES ('free'), ('paid');
```

```sql
-- before: CREATE TABLE users (id bigint PRIMARY KEY, nickname text);
CREATE TABLE users_nickname_archive (id bigint PRIMARY KEY, nickname text);
INSERT INTO users_nickname_archive SELECT id, nickname FROM users;
ALTER TABLE users DROP COLUMN nickname;
```
"""

from collections.abc import Iterator, Sequence

from replyx_db_agent.core.model import (
    ChangeRows,
    Facts,
    HazardKind,
    InsertRows,
    Risk,
    Statement,
)
from replyx_db_agent.rules._archive import is_archive
from replyx_db_agent.rules._locks import lock_of, locked_tables
from replyx_db_agent.rules._timeline import Moment, moments

KIND = HazardKind.BLOCKS_READS
RISK = Risk.MEDIUM
INSTEAD = (
    "Two revisions: the structure first, then the rows of {table} in a data revision of their own "
    "(batches, each committed)."
)


def check_all(statements: Sequence[Statement], facts: Facts) -> Iterator[tuple[int, str]]:
    """Fire on each change of rows in a revision that strongly locks an existing table."""
    run = list(moments(statements, facts))
    closed: dict[str | int, str] = {}
    for moment in run:
        for table in _closed_tables(moment):
            closed.setdefault(_revision(moment), table)
    for moment in run:
        locked = closed.get(_revision(moment))
        if locked and (changed := _changed_table(moment)):
            yield (
                moment.index,
                f"Rows of {changed!r} change in the revision that locks {locked!r}: "
                "the lock is held until all of them are done.",
            )


def _revision(moment: Moment) -> str | int:
    """Return what tells one revision from another: its file, else its transaction's number."""
    return moment.statement.file or moment.statement.transaction


def _closed_tables(moment: Moment) -> Iterator[str]:
    """Yield the existing tables that the operation locks strongly, not only while it creates."""
    if lock_of(moment.operation):
        tables = locked_tables(moment.operation, moment.facts.index_tables)
        yield from (t for t in tables if t and t not in moment.facts.new_tables)


def _changed_table(moment: Moment) -> str | None:
    """Return the table whose rows change, unless it is new, or copied to or from an archive."""
    operation = moment.operation
    if not isinstance(operation, (InsertRows, ChangeRows)):
        return None
    apart = operation.table in moment.facts.new_tables or operation.table == "alembic_version"
    archived = any(is_archive(name) for name in (operation.table, *operation.reads))
    return None if apart or archived else operation.table
