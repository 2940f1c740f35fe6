"""A timeout is set for the session and not put back.

It is still in force in the next revision of the same run, and through a pooler in transaction
mode it reaches other clients, whose queries are then cancelled:
https://www.postgresql.org/docs/current/sql-set.html

Bad:

```sql
SET lock_timeout = '3s';
```

Good:

```sql
SET LOCAL lock_timeout = '3s';
```

```sql
-- before: CREATE TABLE notes (id bigint PRIMARY KEY, author bigint);
-- autocommit
SET lock_timeout = '3s';
CREATE INDEX CONCURRENTLY notes_author_idx ON notes (author);
RESET lock_timeout;
```
"""

from collections.abc import Iterator, Sequence

from replyx_db_agent.core.model import Facts, HazardKind, Risk, SetVariable, Statement
from replyx_db_agent.rules._timeline import moments

KIND = HazardKind.MALFORMED
RISK = Risk.MEDIUM
INSTEAD = (
    "SET LOCAL {name} = '{value}'; in a transaction. In an autocommit block: SET {name} = "
    "'{value}'; the statement; RESET {name};"
)


def check_all(statements: Sequence[Statement], facts: Facts) -> Iterator[tuple[int, str]]:
    """Fire on SET of a timeout without LOCAL that no later RESET puts back."""
    run = list(moments(statements, facts))
    for place, moment in enumerate(run):
        match moment.operation:
            case SetVariable(name, str(value), local=False) if name.endswith("_timeout"):
                put_back = {SetVariable(name), SetVariable("ALL")}
                if put_back.isdisjoint(later.operation for later in run[place + 1 :]):
                    yield (
                        moment.index,
                        f"{name!r} = {value} outlives this revision: the next one, and behind a "
                        "pooler other clients, run under it.",
                    )
