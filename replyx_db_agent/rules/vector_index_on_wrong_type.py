"""An HNSW or IVFFlat index on a column that is no vector, or a vector without a dimension.

The build fails whatever the rows: an array such as double precision[] has no operator class of
pgvector, and "column does not have dimensions": https://github.com/pgvector/pgvector#indexing

Bad:

```sql
-- before: CREATE TABLE documents (id bigint PRIMARY KEY);
ALTER TABLE documents ADD COLUMN embedding double precision[];
CREATE INDEX documents_embedding_idx ON documents USING hnsw (embedding vector_cosine_ops);
```

```sql
-- before: CREATE TABLE documents (id bigint PRIMARY KEY, embedding vector);
CREATE INDEX documents_embedding_idx ON documents USING ivfflat (embedding vector_l2_ops);
```

Good:

```sql
-- before: CREATE TABLE documents (id bigint PRIMARY KEY);
ALTER TABLE documents ADD COLUMN embedding vector(3);
CREATE INDEX documents_embedding_idx ON documents USING hnsw (embedding vector_cosine_ops);
```

```sql
-- before: CREATE TABLE documents (id bigint PRIMARY KEY, embedding vector);
CREATE INDEX documents_embedding_idx ON documents
    USING hnsw ((embedding::vector(3)) vector_cosine_ops);
```
"""

from replyx_db_agent.core.model import Facts, HazardKind, Operation, Risk
from replyx_db_agent.rules._types import Type
from replyx_db_agent.rules._vectors import TYPES, indexed_types, vector_index

KIND = HazardKind.MALFORMED
RISK = Risk.HIGH
INSTEAD = (
    "Add a column of the model's dimension, ALTER TABLE {table} ADD COLUMN embedding_v "
    "vector(<n>); backfill it in batches, and build the index on that one."
)


def check(operation: Operation, facts: Facts) -> str | None:
    """Fire when the type under the index is known and cannot carry it."""
    index = vector_index(operation)
    if index is None:
        return None
    for column, written, type_ in indexed_types(index, facts):
        if problem := _problem(type_, written):
            name = f"{index.table}.{column}"
            return f"{name!r} {problem}: a {index.method} index on it cannot be built."
    return None


def _problem(type_: Type, written: str) -> str | None:
    """Say what is wrong with the type."""
    if type_.array or type_.base not in TYPES:
        return f"is {written}, not a vector"
    if not type_.modifiers:
        return f"is {written} without a dimension"
    return None
