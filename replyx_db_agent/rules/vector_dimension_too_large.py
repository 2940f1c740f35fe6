"""An HNSW or IVFFlat index on more dimensions than pgvector can index.

The build fails: vector takes up to 2,000 dimensions, halfvec up to 4,000, bit up to 64,000:
https://github.com/pgvector/pgvector#hnsw

Bad:

```sql
-- before: CREATE TABLE documents (id bigint PRIMARY KEY, embedding vector(3072));
CREATE INDEX documents_embedding_idx ON documents USING hnsw (embedding vector_cosine_ops);
```

Good:

```sql
-- before: CREATE TABLE documents (id bigint PRIMARY KEY, embedding vector(3072));
CREATE INDEX documents_embedding_idx ON documents
    USING hnsw ((embedding::halfvec(3072)) halfvec_cosine_ops);
```

```sql
-- before: CREATE TABLE documents (id bigint PRIMARY KEY, embedding vector(2000));
CREATE INDEX documents_embedding_idx ON documents USING hnsw (embedding vector_cosine_ops);
```
"""

from replyx_db_agent.core.model import Facts, HazardKind, Operation, Risk
from replyx_db_agent.rules._vectors import DIMENSIONS, indexed_types, vector_index

KIND = HazardKind.MALFORMED
RISK = Risk.HIGH
INSTEAD = (
    "Half precision takes up to 4,000 dimensions: CREATE INDEX CONCURRENTLY {name} ON {table} "
    "USING hnsw ((<column>::halfvec(<n>)) halfvec_cosine_ops); above that "
    "binary_quantize(<column>) with bit_hamming_ops and re-ranking."
)


def check(operation: Operation, facts: Facts) -> str | None:
    """Fire when the dimension is known and over the limit of its type."""
    index = vector_index(operation)
    if index is None:
        return None
    for column, written, type_ in indexed_types(index, facts):
        limit = DIMENSIONS.get(type_.base)
        if limit and type_.modifiers and type_.modifiers[0] > limit:
            name = f"{index.table}.{column}"
            return f"{name!r} is {written}: pgvector indexes {type_.base} up to {limit} dimensions."
    return None
