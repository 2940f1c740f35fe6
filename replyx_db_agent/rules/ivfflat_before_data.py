"""An IVFFlat index is built on a table or column that this run has just made.

Its lists are the centres of the rows that are there while it is built. Without rows they are
arbitrary, and recall stays poor until the index is built again:
https://github.com/pgvector/pgvector#ivfflat

Bad:

```sql
CREATE TABLE documents (id bigint PRIMARY KEY, embedding vector(3));
CREATE INDEX documents_embedding_idx ON documents
    USING ivfflat (embedding vector_cosine_ops) WITH (lists = 100);
```

```sql
-- before: CREATE TABLE documents (id bigint PRIMARY KEY);
ALTER TABLE documents ADD COLUMN embedding vector(3);
CREATE INDEX documents_embedding_idx ON documents
    USING ivfflat (embedding vector_cosine_ops) WITH (lists = 100);
```

Good:

```sql
CREATE TABLE documents (id bigint PRIMARY KEY, embedding vector(3));
CREATE INDEX documents_embedding_idx ON documents
    USING hnsw (embedding vector_cosine_ops) WITH (m = 16, ef_construction = 64);
```

```sql
-- before: CREATE TABLE documents (id bigint PRIMARY KEY, embedding vector(3));
-- autocommit
CREATE INDEX CONCURRENTLY documents_embedding_idx ON documents
    USING ivfflat (embedding vector_cosine_ops) WITH (lists = 100);
```
"""

from replyx_db_agent.core.model import Facts, HazardKind, Operation, Risk
from replyx_db_agent.rules._vectors import vector_index

KIND = HazardKind.SLOWS_QUERIES
RISK = Risk.MEDIUM
ALWAYS = True
INSTEAD = (
    "Load or embed the rows first and build the index in a later revision; or use hnsw, which "
    "needs no rows to start: USING hnsw ({columns}) WITH (m = 16, ef_construction = 64)."
)


def check(operation: Operation, facts: Facts) -> str | None:
    """Fire on IVFFlat where nothing can be in the column yet."""
    index = vector_index(operation)
    if index is None or index.method != "ivfflat":
        return None
    fresh = any((index.table, column) in facts.new_columns for column, _ in index.columns)
    if not fresh and index.table not in facts.new_tables:
        return None
    return f"The IVFFlat index on {index.table!r} is built before there are rows to learn from."
