"""The schema of ReplyX as SQLAlchemy models.

Every change here comes with a revision in alembic/versions: `alembic check` must stay silent.
"""

import uuid
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Any

from pgvector.sqlalchemy import Vector
from sqlalchemy import (
    DDL,
    BigInteger,
    CheckConstraint,
    DateTime,
    Enum,
    ForeignKey,
    Identity,
    Index,
    LargeBinary,
    MetaData,
    Numeric,
    SmallInteger,
    Text,
    UniqueConstraint,
    Uuid,
    event,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship

EMBEDDING_DIMENSIONS = 384

NAMING_CONVENTION = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}


class Base(DeclarativeBase):
    metadata = MetaData(naming_convention=NAMING_CONVENTION)
    type_annotation_map = {  # noqa: RUF012
        datetime: DateTime(timezone=True),
        dict[str, Any]: JSONB(),
        str: Text(),
    }


event.listen(Base.metadata, "before_create", DDL("CREATE EXTENSION IF NOT EXISTS vector"))

Key = Annotated[int, mapped_column(BigInteger, Identity(), primary_key=True)]
PublicId = Annotated[uuid.UUID, mapped_column(Uuid, server_default=text("gen_random_uuid()"))]
CreatedAt = Annotated[datetime, mapped_column(server_default=func.now())]
JsonObject = Annotated[dict[str, Any], mapped_column(JSONB, server_default=text("'{}'::jsonb"))]


class DialogStatus(StrEnum):
    """The states of a dialog; the values are the labels of the type dialog_status."""

    OPEN = "open"
    WAITING_OPERATOR = "waiting_operator"
    CLOSED = "closed"


class User(Base):
    """An account of ReplyX: it owns assistants and pays for their usage."""

    __tablename__ = "users"

    id: Mapped[Key]
    public_id: Mapped[PublicId]
    email: Mapped[str]
    display_name: Mapped[str]
    locale: Mapped[str] = mapped_column(server_default=text("'ru'"))
    is_active: Mapped[bool] = mapped_column(server_default=text("true"))
    settings: Mapped[JsonObject]
    legacy_external_ref: Mapped[str | None]
    created_at: Mapped[CreatedAt]

    assistants: Mapped[list["Assistant"]] = relationship(
        back_populates="owner", passive_deletes=True
    )

    __table_args__ = (
        UniqueConstraint("public_id"),
        CheckConstraint("locale IN ('ru', 'en')", name="locale_known"),
        Index("uq_users_email_lower", text("lower(email)"), unique=True),
    )


class Assistant(Base):
    """An assistant that answers the customers of its owner."""

    __tablename__ = "assistants"

    id: Mapped[Key]
    owner_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    slug: Mapped[str]
    name: Mapped[str]
    system_prompt: Mapped[str] = mapped_column(server_default=text("''"))
    temperature: Mapped[Decimal] = mapped_column(Numeric(3, 2), server_default=text("0.30"))
    settings: Mapped[JsonObject]
    archived_at: Mapped[datetime | None]
    created_at: Mapped[CreatedAt]

    owner: Mapped[User] = relationship(back_populates="assistants")

    __table_args__ = (
        UniqueConstraint("owner_id", "slug"),
        CheckConstraint("temperature >= 0 AND temperature <= 2", name="temperature_range"),
    )


class ApiKey(Base):
    """A key of the public API. The key itself is shown once and never stored: only its hash."""

    __tablename__ = "api_keys"

    id: Mapped[Key]
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    name: Mapped[str]
    key_prefix: Mapped[str]
    key_hash: Mapped[bytes] = mapped_column(LargeBinary)
    scopes: Mapped[list[str]] = mapped_column(ARRAY(Text), server_default=text("'{}'::text[]"))
    last_used_at: Mapped[datetime | None]
    expires_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]
    created_at: Mapped[CreatedAt]

    __table_args__ = (
        UniqueConstraint("key_hash"),
        Index(
            "uq_api_keys_user_id_name_active",
            "user_id",
            "name",
            unique=True,
            postgresql_where=text("revoked_at IS NULL"),
        ),
    )


class Dialog(Base):
    """A conversation of one customer with one assistant."""

    __tablename__ = "dialogs"

    id: Mapped[Key]
    public_id: Mapped[PublicId]
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    assistant_id: Mapped[int] = mapped_column(
        ForeignKey("assistants.id", ondelete="CASCADE"), index=True
    )
    status: Mapped[DialogStatus] = mapped_column(
        Enum(
            DialogStatus,
            name="dialog_status",
            values_callable=lambda statuses: [status.value for status in statuses],
        ),
        server_default=text("'open'::dialog_status"),
    )
    channel: Mapped[str] = mapped_column(server_default=text("'web'"))
    customer_ref: Mapped[str | None]
    subject: Mapped[str | None]
    context: Mapped[JsonObject]
    created_at: Mapped[CreatedAt]
    last_message_at: Mapped[datetime] = mapped_column(server_default=func.now())
    closed_at: Mapped[datetime | None]
    rating: Mapped[int | None] = mapped_column(SmallInteger)

    messages: Mapped[list["DialogMessage"]] = relationship(
        back_populates="dialog", passive_deletes=True
    )

    __table_args__ = (
        UniqueConstraint("public_id"),
        CheckConstraint("channel IN ('web', 'telegram', 'email')", name="channel_known"),
        CheckConstraint("rating >= 1 AND rating <= 5", name="rating_range"),
        Index(
            "ix_dialogs_user_id_open",
            "user_id",
            text("last_message_at DESC"),
            postgresql_where=text("status <> 'closed'"),
        ),
    )


class DialogMessage(Base):
    """One message of a dialog, by the customer, the assistant, an operator or the system."""

    __tablename__ = "dialog_messages"

    id: Mapped[Key]
    dialog_id: Mapped[int] = mapped_column(ForeignKey("dialogs.id", ondelete="CASCADE"), index=True)
    role: Mapped[str]
    content: Mapped[str]
    tokens: Mapped[int] = mapped_column(server_default=text("0"))
    extra: Mapped[dict[str, Any] | None]
    created_at: Mapped[CreatedAt]

    dialog: Mapped[Dialog] = relationship(back_populates="messages")

    __table_args__ = (
        CheckConstraint(
            "role IN ('customer', 'assistant', 'operator', 'system')", name="role_known"
        ),
        CheckConstraint("tokens >= 0", name="tokens_not_negative"),
    )


class Document(Base):
    """A document of an assistant's knowledge base."""

    __tablename__ = "documents"

    id: Mapped[Key]
    assistant_id: Mapped[int] = mapped_column(ForeignKey("assistants.id", ondelete="CASCADE"))
    title: Mapped[str]
    source_uri: Mapped[str | None]
    content_sha256: Mapped[str]
    language: Mapped[str] = mapped_column(server_default=text("'ru'"))
    size_bytes: Mapped[int] = mapped_column(BigInteger)
    attributes: Mapped[JsonObject]
    created_at: Mapped[CreatedAt]
    updated_at: Mapped[datetime] = mapped_column(server_default=func.now(), onupdate=func.now())

    chunks: Mapped[list["DocumentChunk"]] = relationship(
        back_populates="document", passive_deletes=True
    )

    __table_args__ = (
        UniqueConstraint("assistant_id", "content_sha256"),
        CheckConstraint("size_bytes >= 0", name="size_bytes_not_negative"),
        Index(
            "ix_documents_attributes",
            "attributes",
            postgresql_using="gin",
            postgresql_ops={"attributes": "jsonb_path_ops"},
        ),
    )


class DocumentChunk(Base):
    """A piece of a document that retrieval finds; `embedding` is NULL until it is computed."""

    __tablename__ = "document_chunks"

    id: Mapped[Key]
    document_id: Mapped[int] = mapped_column(ForeignKey("documents.id", ondelete="CASCADE"))
    ordinal: Mapped[int]
    content: Mapped[str]
    token_count: Mapped[int] = mapped_column(server_default=text("0"))
    embedding: Mapped[list[float] | None] = mapped_column(Vector(EMBEDDING_DIMENSIONS))
    created_at: Mapped[CreatedAt]

    document: Mapped[Document] = relationship(back_populates="chunks")

    __table_args__ = (
        UniqueConstraint("document_id", "ordinal"),
        CheckConstraint("ordinal >= 0", name="ordinal_not_negative"),
        Index(
            "ix_document_chunks_embedding",
            "embedding",
            postgresql_using="hnsw",
            postgresql_with={"m": 16, "ef_construction": 64},
            postgresql_ops={"embedding": "vector_cosine_ops"},
        ),
    )


class UsageEvent(Base):
    """Something that is billed; rows are only appended."""

    __tablename__ = "usage_events"

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="RESTRICT"))
    assistant_id: Mapped[int | None] = mapped_column(
        ForeignKey("assistants.id", ondelete="SET NULL"), index=True
    )
    kind: Mapped[str]
    quantity: Mapped[int]
    amount: Mapped[Decimal] = mapped_column(Numeric(12, 6), server_default=text("0"))
    idempotency_key: Mapped[str]
    occurred_at: Mapped[datetime] = mapped_column(server_default=func.now())

    __table_args__ = (
        UniqueConstraint("idempotency_key"),
        CheckConstraint("kind IN ('message', 'embedding', 'storage')", name="kind_known"),
        CheckConstraint("quantity > 0", name="quantity_positive"),
        Index("ix_usage_events_user_id_occurred_at", "user_id", "occurred_at"),
    )
