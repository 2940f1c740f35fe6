"""An HNSW or IVFFlat index is built on an existing table without CONCURRENTLY.

CREATE INDEX holds a SHARE lock for the whole build, and for embeddings that is minutes to hours
without a write: https://github.com/pgvector/pgvector#index-build-time

Bad:

```sql
-- before: CREATE TABLE documents (id bigint PRIMARY KEY, embedding vector(3));
CREATE INDEX documents_embedding_idx ON documents
    USING hnsw (embedding vector_cosine_ops) WITH (m = 16, ef_construction = 64);
```

Good:

```sql
-- before: CREATE TABLE documents (id bigint PRIMARY KEY, embedding vector(3));
-- autocommit
CREATE INDEX CONCURRENTLY documents_embedding_idx ON documents
    USING hnsw (embedding vector_cosine_ops) WITH (m = 16, ef_construction = 64);
```
"""

from replyx_db_agent.core.model import Facts, HazardKind, Operation, Risk
from replyx_db_agent.rules._vectors import vector_index

KIND = HazardKind.BLOCKS_WRITES
RISK = Risk.HIGH
REPLACES = ("index-without-concurrently",)
INSTEAD = (
    "In a revision of its own, inside `with op.get_context().autocommit_block():` "
    "SET maintenance_work_mem = '1GB'; SET max_parallel_maintenance_workers = 4; "
    "CREATE INDEX CONCURRENTLY {name} ON {table} USING {method} ({columns}) WITH (...); "
    "RESET maintenance_work_mem; RESET max_parallel_maintenance_workers;"
)


def check(operation: Operation, facts: Facts) -> str | None:
    """Fire on a plain CREATE INDEX with one of pgvector's methods."""
    index = vector_index(operation)
    if index is None or index.concurrently or index.only:
        return None
    return (
        f"Building {index.method} index {index.name or ''!r} blocks writes to {index.table!r} "
        "for minutes to hours."
    )
