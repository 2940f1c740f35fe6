"""Rows that go away are copied into an archive while writers wait.

The lock is needed: a row written between the copy and the drop would be lost on the way back. It
blocks writes, not reads, for as long as the copy takes:
https://www.postgresql.org/docs/current/explicit-locking.html#LOCKING-TABLES

Bad:

```sql
-- before: CREATE TABLE users (id bigint PRIMARY KEY, nickname text);
LOCK TABLE users IN SHARE MODE;
CREATE TABLE users_archive AS SELECT id, nickname FROM users;
ALTER TABLE users DROP COLUMN nickname;
```

Good:

```sql
-- before: CREATE TABLE users (id bigint PRIMARY KEY, nickname text);
CREATE TABLE users_archive AS SELECT id, nickname FROM users;
```
"""

from collections.abc import Iterator, Sequence

from replyx_db_agent.core.model import Facts, HazardKind, Risk, Statement, object_name
from replyx_db_agent.rules._archive import locks_for_a_copy
from replyx_db_agent.rules._timeline import moments

KIND = HazardKind.BLOCKS_WRITES
RISK = Risk.NOTE
INSTEAD = "Run it when few rows of {table} are written; on a large table agree on a window."


def check_all(statements: Sequence[Statement], facts: Facts) -> Iterator[tuple[int, str]]:
    """Fire on a LOCK TABLE that guards the copy of rows that go away."""
    for moment in locks_for_a_copy(list(moments(statements, facts))):
        name = object_name(moment.operation)
        yield moment.index, f"Writes to {name!r} wait while its rows are copied."
