"""A constraint is dropped.

A protection is lost: rows that break it can come in, and then it cannot be added again. ON CONFLICT
fails without its UNIQUE constraint. Dropping a foreign key takes ACCESS EXCLUSIVE on both tables:
https://www.postgresql.org/docs/current/ddl-constraints.html

Bad:

```sql
-- before: CREATE TABLE users (id bigint PRIMARY KEY, email text CONSTRAINT one_email UNIQUE);
ALTER TABLE users DROP CONSTRAINT one_email;
```

Good:

```sql
-- before: CREATE TABLE users (id bigint PRIMARY KEY, age int);
-- upgrade: ALTER TABLE users ADD CONSTRAINT grown_up CHECK (age > 17) NOT VALID;
-- downgrade
ALTER TABLE users DROP CONSTRAINT grown_up;
```

```sql
-- before: CREATE TABLE users (id bigint PRIMARY KEY, age int CONSTRAINT grown_up CHECK (age > 20));
ALTER TABLE users DROP CONSTRAINT grown_up,
    ADD CONSTRAINT grown_up CHECK (age > 17) NOT VALID;
```

```sql
-- before: CREATE TABLE users (id bigint PRIMARY KEY, age int);
ALTER TABLE users ADD CONSTRAINT age_given CHECK (age IS NOT NULL) NOT VALID;
-- next revision
ALTER TABLE users VALIDATE CONSTRAINT age_given;
ALTER TABLE users ALTER COLUMN age SET NOT NULL;
ALTER TABLE users DROP CONSTRAINT age_given;
```
"""

from collections.abc import Iterator, Sequence

from replyx_db_agent.core.model import (
    AddConstraint,
    DropConstraint,
    Facts,
    HazardKind,
    Risk,
    Statement,
)
from replyx_db_agent.rules._timeline import moments

KIND = HazardKind.FAILS_ON_DATA
RISK = Risk.LOW
INSTEAD = (
    "Say in the revision who relied on {name} (ON CONFLICT, foreign keys, readers), and set "
    "SET LOCAL lock_timeout = '3s'; before it."
)


def check_all(statements: Sequence[Statement], facts: Facts) -> Iterator[tuple[int, str]]:
    """Fire unless this run, or the upgrade that is undone, added it, or it comes back at once."""
    run = list(moments(statements, facts))
    back = {
        (moment.transaction, moment.operation.table, moment.operation.name)
        for moment in run
        if isinstance(moment.operation, AddConstraint)
    }
    for moment in run:
        match moment.operation:
            case DropConstraint(table, name):
                known = moment.facts.new_objects | moment.facts.added
                if f"{table}.{name}" in known or (moment.transaction, table, name) in back:
                    continue
                yield (
                    moment.index,
                    f"Without constraint {name!r}, rows that break it can enter {table!r}, "
                    "and then it cannot come back.",
                )
