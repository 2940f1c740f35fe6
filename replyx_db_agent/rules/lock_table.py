"""A table is locked by hand.

LOCK TABLE without a mode is ACCESS EXCLUSIVE, kept until the commit; in weaker modes it still
invites deadlocks with the application: https://www.postgresql.org/docs/current/sql-lock.html

Bad:

```sql
-- before: CREATE TABLE users (id bigint PRIMARY KEY);
LOCK TABLE users;
```

Good:

```sql
-- before: CREATE TABLE users (id bigint PRIMARY KEY);
SELECT count(*) FROM users;
```

```sql
-- before: CREATE TABLE users (id bigint PRIMARY KEY, nickname text);
LOCK TABLE users IN SHARE MODE;
CREATE TABLE users_archive AS SELECT id, nickname FROM users;
ALTER TABLE users DROP COLUMN nickname;
```
"""

from collections.abc import Iterator, Sequence

from replyx_db_agent.core.model import AlterOther, Facts, HazardKind, Risk, Statement
from replyx_db_agent.rules._archive import locks_for_a_copy
from replyx_db_agent.rules._timeline import moments

KIND = HazardKind.BLOCKS_READS
RISK = Risk.MEDIUM
INSTEAD = "Leave it out: each statement takes the weakest lock on {table} that it needs."


def check_all(statements: Sequence[Statement], facts: Facts) -> Iterator[tuple[int, str]]:
    """Fire on LOCK TABLE, unless it guards the copy of rows that go away."""
    run = list(moments(statements, facts))
    guarding = {moment.index for moment in locks_for_a_copy(run)}
    for moment in run:
        match moment.operation:
            case AlterOther(what="LOCK TABLE", table=table) if moment.index not in guarding:
                yield moment.index, f"LOCK TABLE holds {table!r} until the commit."
