"""Retrieval for RAG: the chunks of an assistant's documents nearest to a question."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from backend.database.models import EMBEDDING_DIMENSIONS, Document, DocumentChunk


@dataclass(frozen=True)
class Hit:
    """A chunk and its cosine distance from the question."""

    chunk_id: int
    document_id: int
    content: str
    distance: float


def search_chunks(
    session: Session, assistant_id: int, embedding: Sequence[float], limit: int = 8
) -> list[Hit]:
    """Find the nearest chunks of one assistant (scripts/hot_queries/rag_search.sql).

    The index gives candidates of every assistant and the filter drops most of them, so the scan
    has to go on until there are enough: hnsw.iterative_scan.
    """
    if len(embedding) != EMBEDDING_DIMENSIONS:
        raise ValueError(f"an embedding has {EMBEDDING_DIMENSIONS} numbers, not {len(embedding)}")
    session.execute(select(func.set_config("hnsw.iterative_scan", "strict_order", True)))
    distance = DocumentChunk.embedding.cosine_distance(embedding).label("distance")
    rows = session.execute(
        select(DocumentChunk.id, DocumentChunk.document_id, DocumentChunk.content, distance)
        .join(Document, Document.id == DocumentChunk.document_id)
        .where(Document.assistant_id == assistant_id, DocumentChunk.embedding.is_not(None))
        .order_by(distance)
        .limit(limit)
    )
    return [Hit(*row) for row in rows]
