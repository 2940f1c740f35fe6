"""A strong lock is asked for without a lock_timeout.

The statement waits behind the longest running query, and every later query on the table waits
behind the statement: one slow report closes the table. With a timeout it gives up and can be
tried again: https://www.postgresql.org/docs/current/runtime-config-client.html#GUC-LOCK-TIMEOUT

Bad:

```sql
-- before: CREATE TABLE users (id bigint PRIMARY KEY);
ALTER TABLE users ADD COLUMN plan text;
```

Good:

```sql
-- before: CREATE TABLE users (id bigint PRIMARY KEY);
SET LOCAL lock_timeout = '3s';
ALTER TABLE users ADD COLUMN plan text;
```

```sql
CREATE TABLE users (id bigint PRIMARY KEY);
ALTER TABLE users ADD COLUMN plan text;
```
"""

from collections.abc import Iterator, Sequence

from replyx_db_agent.core.model import Facts, HazardKind, Risk, Statement
from replyx_db_agent.rules._locks import lock_of, locked_tables
from replyx_db_agent.rules._timeline import Moment, moments

KIND = HazardKind.BLOCKS_READS
RISK = Risk.NOTE
ALWAYS = True
INSTEAD = "SET LOCAL lock_timeout = '3s'; before it, and try again when it gives up."

_NO_LIMIT = ("", "0", "0ms", "0s", "0min")


def check_all(statements: Sequence[Statement], facts: Facts) -> Iterator[tuple[int, str]]:
    """Fire on the first strong lock without a limit of each transaction."""
    told: set[int] = set()
    for moment in moments(statements, facts):
        if moment.transaction in told:
            continue
        if table := _locked_without_limit(moment):
            told.add(moment.transaction)
            yield (
                moment.index,
                f"{lock_of(moment.operation)} on {table!r} without a lock_timeout: "
                f"while this waits, {_behind(moment)} behind it.",
            )


def _behind(moment: Moment) -> str:
    """Return who queues behind the lock: readers only behind ACCESS EXCLUSIVE."""
    exclusive = lock_of(moment.operation) == "ACCESS EXCLUSIVE"
    return "everybody else waits" if exclusive else "everybody who writes waits"


def _locked_without_limit(moment: Moment) -> str | None:
    """Return an existing table that the operation may wait for without end."""
    facts = moment.facts
    if facts.settings.get("lock_timeout", "0") not in _NO_LIMIT or not lock_of(moment.operation):
        return None
    tables = locked_tables(moment.operation, facts.index_tables)
    return next((table for table in tables if table and table not in facts.new_tables), None)
