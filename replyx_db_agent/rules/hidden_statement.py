"""A DO block, procedure or function that does not come with PostgreSQL is called.

What runs inside is not in the text and may branch on the rows it finds: one run on a shadow shows
one branch only, so it cannot be judged: https://www.postgresql.org/docs/current/sql-do.html

Bad:

```sql
DO $$ BEGIN PERFORM 1; END $$;
```

```sql
-- before: CREATE FUNCTION tidy() RETURNS int LANGUAGE sql AS 'SELECT 1';
SELECT tidy();
```

Good:

```sql
SELECT count(*), lower('A'), current_setting('server_version') FROM pg_catalog.pg_class;
```
"""

from replyx_db_agent.core.model import Facts, HazardKind, HiddenStatement, Operation, Risk

KIND = HazardKind.UNKNOWN
RISK = Risk.MEDIUM
INSTEAD = "Write the statements that {what} runs out in the revision, as plain SQL."


def check(operation: Operation, facts: Facts) -> str | None:
    """Fire on what hides statements."""
    if isinstance(operation, HiddenStatement):
        return f"What {operation.what!r} runs is not in the text, so it cannot be judged."
    return None
