"""The dimension of a vector column is changed.

No value fits the new one ("expected 768 dimensions, not 384"): every row must be embedded again,
and running code that writes the old size fails at once:
https://github.com/pgvector/pgvector#storing

Bad:

```sql
-- before: CREATE TABLE documents (id bigint PRIMARY KEY, embedding vector(384));
ALTER TABLE documents ALTER COLUMN embedding TYPE vector(768);
```

Good:

```sql
-- before: CREATE TABLE documents (id bigint PRIMARY KEY, embedding vector(384));
ALTER TABLE documents ADD COLUMN embedding_768 vector(768);
```

```sql
-- before: CREATE TABLE documents (id bigint PRIMARY KEY, embedding vector(384));
ALTER TABLE documents ALTER COLUMN embedding TYPE halfvec(384);
```
"""

from replyx_db_agent.core.model import AlterColumnType, Facts, HazardKind, Operation, Risk
from replyx_db_agent.rules._types import old_type, parse_type
from replyx_db_agent.rules._vectors import TYPES

KIND = HazardKind.BREAKS_RUNNING_CODE
RISK = Risk.HIGH
REPLACES = ("column-type-narrowed", "column-type-rewritten")
INSTEAD = (
    "ALTER TABLE {table} ADD COLUMN {column}_new {new_type}; embed every row again in batches, "
    "build the index CONCURRENTLY, switch the queries, drop {column} in a later release."
)


def check(operation: Operation, facts: Facts) -> str | None:
    """Fire when both types are vectors with a dimension, and not the same one."""
    if not isinstance(operation, AlterColumnType):
        return None
    before = parse_type(old_type(operation, facts) or "")
    after = parse_type(operation.new_type)
    vectors = before.base in TYPES and after.base in TYPES and before.modifiers and after.modifiers
    if not vectors or before.modifiers == after.modifiers:
        return None
    name = f"{operation.table}.{operation.column}"
    sizes = f"{before.modifiers[0]} to {after.modifiers[0]}"
    return f"{name!r} goes from {sizes} dimensions: every row must be embedded again."
