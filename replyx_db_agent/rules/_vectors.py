"""What the pgvector rules share: vector indexes and the types under them."""

from __future__ import annotations

import re
from collections.abc import Iterator

from replyx_db_agent.core.model import CreateIndex, Facts, Operation
from replyx_db_agent.rules._types import Type, parse_type

METHODS = ("hnsw", "ivfflat")
DIMENSIONS = {"vector": 2000, "halfvec": 4000, "bit": 64000}
TYPES = ("vector", "halfvec", "sparsevec", "bit")

_CAST = re.compile(r"::\s*([a-z_.]+(?:\(\d+\))?(?:\[\])?)\s*\)*$")


def vector_index(operation: Operation) -> CreateIndex | None:
    """Return the operation if it builds an HNSW or IVFFlat index."""
    if isinstance(operation, CreateIndex) and operation.method in METHODS:
        return operation
    return None


def indexed_types(index: CreateIndex, facts: Facts) -> Iterator[tuple[str, str, Type]]:
    """Yield column or expression, type as written, type in parts; only where the type is known."""
    for column, _ in index.columns:
        cast = _CAST.search(column)
        known = cast[1] if cast else facts.column_types.get((index.table, column))
        if known:
            yield column, known, parse_type(known)
