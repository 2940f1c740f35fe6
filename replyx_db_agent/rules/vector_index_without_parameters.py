"""An HNSW or IVFFlat index without its build parameters.

Defaults that nobody chose for these rows decide about recall: m = 16 and ef_construction = 64 for
HNSW, lists = 100 for IVFFlat: https://github.com/pgvector/pgvector#index-options

Bad:

```sql
-- before: CREATE TABLE documents (id bigint PRIMARY KEY, embedding vector(3));
CREATE INDEX documents_embedding_idx ON documents USING hnsw (embedding vector_cosine_ops);
```

Good:

```sql
-- before: CREATE TABLE documents (id bigint PRIMARY KEY, embedding vector(3));
CREATE INDEX documents_embedding_idx ON documents
    USING hnsw (embedding vector_cosine_ops) WITH (m = 16, ef_construction = 64);
```

```sql
-- before: CREATE TABLE documents (id bigint PRIMARY KEY, embedding vector(3));
CREATE INDEX documents_embedding_idx ON documents
    USING ivfflat (embedding vector_cosine_ops) WITH (lists = 100);
```
"""

from replyx_db_agent.core.model import Facts, HazardKind, Operation, Risk
from replyx_db_agent.rules._vectors import vector_index

KIND = HazardKind.SLOWS_QUERIES
RISK = Risk.LOW
ALWAYS = True
INSTEAD = (
    "Choose them by measuring recall and latency, and write them down: "
    "WITH (m = 16, ef_construction = 64) for hnsw, WITH (lists = <rows / 1000>) for ivfflat."
)

_WANTED = {"hnsw": {"m", "ef_construction"}, "ivfflat": {"lists"}}


def check(operation: Operation, facts: Facts) -> str | None:
    """Fire when a parameter of the method is left to its default."""
    index = vector_index(operation)
    if index is None:
        return None
    left_out = _WANTED[index.method] - {name for name, _ in index.options}
    if not left_out:
        return None
    words = " and ".join(sorted(left_out))
    return f"The {index.method} index on {index.table!r} leaves {words} to defaults nobody chose."
