"""Keys of the public API: the key is shown once, the database keeps its hash."""

import hashlib
import secrets
from collections.abc import Sequence

from sqlalchemy import func, or_, update
from sqlalchemy.orm import Session

from backend.database.models import ApiKey

PREFIX_CHARACTERS = 8


def _hash(key: str) -> bytes:
    return hashlib.sha256(key.encode()).digest()


def create_api_key(
    session: Session, user_id: int, name: str, scopes: Sequence[str] = ("dialogs:read",)
) -> str:
    """Create a key and return it: the only moment at which it can be read."""
    key = f"rx_{secrets.token_urlsafe(32)}"
    session.add(
        ApiKey(
            user_id=user_id,
            name=name,
            key_prefix=key[:PREFIX_CHARACTERS],
            key_hash=_hash(key),
            scopes=list(scopes),
        )
    )
    session.flush()
    return key


def use_api_key(session: Session, key: str) -> ApiKey | None:
    """The key's row, marked as used now; None when it is unknown, revoked or expired."""
    return session.scalars(
        update(ApiKey)
        .where(
            ApiKey.key_hash == _hash(key),
            ApiKey.revoked_at.is_(None),
            or_(ApiKey.expires_at.is_(None), ApiKey.expires_at > func.now()),
        )
        .values(last_used_at=func.now())
        .returning(ApiKey)
    ).one_or_none()


def revoke_api_key(session: Session, api_key_id: int) -> None:
    """Revoke a key for ever; its name can be used again."""
    session.execute(
        update(ApiKey)
        .where(ApiKey.id == api_key_id, ApiKey.revoked_at.is_(None))
        .values(revoked_at=func.now())
    )
