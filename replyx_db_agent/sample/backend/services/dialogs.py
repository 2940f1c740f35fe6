"""Dialogs and their messages: what the widget and the operator's inbox need."""

from collections.abc import Sequence

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from backend.database.models import Assistant, Dialog, DialogMessage, DialogStatus

PAGE = 50


class DialogNotFound(LookupError):
    """There is no such dialog."""


def open_dialog(
    session: Session, assistant_id: int, *, channel: str = "web", customer_ref: str | None = None
) -> Dialog:
    """Start a dialog of a customer with an assistant; it belongs to the assistant's owner."""
    owner_id = session.scalars(
        select(Assistant.owner_id).where(
            Assistant.id == assistant_id, Assistant.archived_at.is_(None)
        )
    ).one()
    dialog = Dialog(
        user_id=owner_id, assistant_id=assistant_id, channel=channel, customer_ref=customer_ref
    )
    session.add(dialog)
    session.flush()
    return dialog


def append_message(
    session: Session, dialog_id: int, role: str, content: str, tokens: int = 0
) -> DialogMessage:
    """Append a message and move the dialog to the top of the inbox."""
    touched = session.scalars(
        update(Dialog)
        .where(Dialog.id == dialog_id)
        .values(last_message_at=func.now())
        .returning(Dialog.id)
    ).one_or_none()
    if touched is None:
        raise DialogNotFound(dialog_id)
    message = DialogMessage(dialog_id=dialog_id, role=role, content=content, tokens=tokens)
    session.add(message)
    session.flush()
    return message


def dialog_page(session: Session, dialog_id: int) -> Sequence[DialogMessage]:
    """The last messages of a dialog, newest first (scripts/hot_queries/dialog_page.sql)."""
    return session.scalars(
        select(DialogMessage)
        .where(DialogMessage.dialog_id == dialog_id)
        .order_by(DialogMessage.created_at.desc())
        .limit(PAGE)
    ).all()


def open_dialogs(session: Session, user_id: int, limit: int = 20) -> Sequence[Dialog]:
    """The inbox of a user (scripts/hot_queries/open_dialogs.sql)."""
    return session.scalars(
        select(Dialog)
        .where(Dialog.user_id == user_id, Dialog.status != DialogStatus.CLOSED)
        .order_by(Dialog.last_message_at.desc())
        .limit(limit)
    ).all()


def close_dialog(session: Session, dialog_id: int, rating: int | None = None) -> None:
    """Close a dialog, with the customer's rating from 1 to 5 if there is one."""
    closed = session.scalars(
        update(Dialog)
        .where(Dialog.id == dialog_id)
        .values(status=DialogStatus.CLOSED, closed_at=func.now(), rating=rating)
        .returning(Dialog.id)
    ).one_or_none()
    if closed is None:
        raise DialogNotFound(dialog_id)
