"""The library of documents: adding them, cutting them into chunks, filtering them by tag."""

import hashlib
from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session

from backend.database.models import Document, DocumentChunk

CHUNK_CHARACTERS = 800


def add_document(
    session: Session, assistant_id: int, title: str, text: str, tags: Sequence[str] = ()
) -> Document:
    """Store a document and its chunks; the embeddings come later, from the worker."""
    body = text.encode()
    document = Document(
        assistant_id=assistant_id,
        title=title,
        content_sha256=hashlib.sha256(body).hexdigest(),
        size_bytes=len(body),
        attributes={"tags": list(tags)},
    )
    starts = range(0, len(text), CHUNK_CHARACTERS)
    document.chunks = [
        DocumentChunk(ordinal=ordinal, content=text[start : start + CHUNK_CHARACTERS])
        for ordinal, start in enumerate(starts)
    ]
    session.add(document)
    session.flush()
    return document


def chunks_without_embedding(session: Session, limit: int = 100) -> Sequence[DocumentChunk]:
    """The next chunks for the worker; two workers never get the same one."""
    return session.scalars(
        select(DocumentChunk)
        .where(DocumentChunk.embedding.is_(None))
        .order_by(DocumentChunk.id)
        .limit(limit)
        .with_for_update(skip_locked=True)
    ).all()


def documents_with_tag(
    session: Session, assistant_id: int, tag: str, limit: int = 50
) -> Sequence[Document]:
    """The documents with a tag (scripts/hot_queries/documents_with_tag.sql)."""
    return session.scalars(
        select(Document)
        .where(
            Document.assistant_id == assistant_id,
            Document.attributes.contains({"tags": [tag]}),
        )
        .order_by(Document.updated_at.desc())
        .limit(limit)
    ).all()
