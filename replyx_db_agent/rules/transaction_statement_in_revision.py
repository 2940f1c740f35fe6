"""A revision begins or ends a transaction by itself.

Alembic keeps the version and the steps together in its own transaction: after a COMMIT in the
middle a failure leaves half of the revision in place and the version unmoved:
https://www.postgresql.org/docs/current/sql-commit.html

Bad:

```sql
-- before: CREATE TABLE users (id bigint PRIMARY KEY);
ALTER TABLE users ADD COLUMN plan text;
COMMIT;
```

Good:

```sql
-- before: CREATE TABLE users (id bigint PRIMARY KEY);
SAVEPOINT try_it;
ALTER TABLE users ADD COLUMN plan text;
RELEASE SAVEPOINT try_it;
```
"""

from replyx_db_agent.core.model import Facts, HazardKind, Operation, Risk, TransactionControl

KIND = HazardKind.MALFORMED
RISK = Risk.HIGH
INSTEAD = (
    "Take {word} out. What needs its own transaction is a revision of its own; what must run "
    "outside of one goes into `with op.get_context().autocommit_block():`."
)

_INSIDE = ("SAVEPOINT", "RELEASE", "ROLLBACK TO")


def check(operation: Operation, facts: Facts) -> str | None:
    """Fire on BEGIN, COMMIT, ROLLBACK and the two-phase forms."""
    if isinstance(operation, TransactionControl) and operation.word not in _INSIDE:
        return f"{operation.word!r} takes the transaction out of Alembic's hands."
    return None
