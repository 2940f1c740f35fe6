"""A constraint is added as NOT VALID and validated in the same transaction.

The strong lock of ADD CONSTRAINT is kept until the commit, so the scan that NOT VALID was to move
out of it runs under it after all: https://www.postgresql.org/docs/current/sql-altertable.html#SQL-ALTERTABLE-NOTES

Bad:

```sql
-- before: CREATE TABLE users (id bigint PRIMARY KEY, age int);
ALTER TABLE users ADD CONSTRAINT grown_up CHECK (age > 17) NOT VALID;
ALTER TABLE users VALIDATE CONSTRAINT grown_up;
```

Good:

```sql
-- before: CREATE TABLE users (id bigint PRIMARY KEY, age int);
ALTER TABLE users ADD CONSTRAINT grown_up CHECK (age > 17) NOT VALID;
-- next revision
ALTER TABLE users VALIDATE CONSTRAINT grown_up;
```
"""

from collections.abc import Iterator, Sequence

from replyx_db_agent.core.model import (
    AddConstraint,
    Facts,
    HazardKind,
    Risk,
    Statement,
    ValidateConstraint,
)
from replyx_db_agent.rules._timeline import moments

KIND = HazardKind.BLOCKS_READS
RISK = Risk.MEDIUM
INSTEAD = "In the next revision: ALTER TABLE {table} VALIDATE CONSTRAINT {name};"


def check_all(statements: Sequence[Statement], facts: Facts) -> Iterator[tuple[int, str]]:
    """Fire on VALIDATE in the transaction that added the constraint."""
    added: dict[tuple[str, str | None], int] = {}
    for moment in moments(statements, facts):
        match moment.operation:
            case AddConstraint(table, _, name, not_valid=True):
                added[table, name] = moment.transaction
            case ValidateConstraint(table, name) if added.get((table, name)) == moment.transaction:
                yield (
                    moment.index,
                    f"{name!r} is validated in the transaction that added it: "
                    f"{table!r} stays locked through the scan.",
                )
