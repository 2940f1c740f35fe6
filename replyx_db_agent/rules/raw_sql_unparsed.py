"""A statement that no operation describes, or that the parser cannot read.

Nothing is known about it, and silence would look like consent. PostgreSQL's own grammar is the
measure: https://www.postgresql.org/docs/current/sql-commands.html

Bad:

```sql
-- before: CREATE TABLE notes (id bigint PRIMARY KEY);
COPY notes FROM PROGRAM 'echo 1';
```

```sql
ALTER TABEL notes ADD COLUMN body text;
```

Good:

```sql
-- before: CREATE TABLE notes (id bigint PRIMARY KEY);
COMMENT ON TABLE notes IS 'What people write down';
```
"""

from replyx_db_agent.core.model import Facts, HazardKind, Operation, Risk, Unknown

KIND = HazardKind.UNKNOWN
RISK = Risk.HIGH
INSTEAD = "Split it into plain statements that can be judged; a person must read what stays."


def check(operation: Operation, facts: Facts) -> str | None:
    """Fire on everything that could not be named."""
    if isinstance(operation, Unknown):
        return f"This statement cannot be judged: {operation.reason}."
    return None
