"""Usage that is billed: recording events and summing them up for the invoice."""

from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from backend.database.models import UsageEvent


@dataclass(frozen=True)
class UsageLine:
    """One line of an invoice."""

    kind: str
    events: int
    quantity: int
    amount: Decimal


def record_usage(
    session: Session,
    user_id: int,
    kind: str,
    quantity: int,
    amount: Decimal,
    idempotency_key: str,
    assistant_id: int | None = None,
) -> bool:
    """Record an event once; False when this key was recorded before."""
    recorded = session.scalars(
        insert(UsageEvent)
        .values(
            user_id=user_id,
            assistant_id=assistant_id,
            kind=kind,
            quantity=quantity,
            amount=amount,
            idempotency_key=idempotency_key,
        )
        .on_conflict_do_nothing(index_elements=[UsageEvent.idempotency_key])
        .returning(UsageEvent.id)
    ).one_or_none()
    return recorded is not None


def usage_of_month(session: Session, user_id: int, month: date) -> list[UsageLine]:
    """What a user consumed in a month of UTC (scripts/hot_queries/usage_of_month.sql)."""
    start = datetime(month.year, month.month, 1, tzinfo=UTC)
    end = datetime(month.year + month.month // 12, month.month % 12 + 1, 1, tzinfo=UTC)
    rows = session.execute(
        select(
            UsageEvent.kind,
            func.count(),
            func.sum(UsageEvent.quantity),
            func.sum(UsageEvent.amount),
        )
        .where(
            UsageEvent.user_id == user_id,
            UsageEvent.occurred_at >= start,
            UsageEvent.occurred_at < end,
        )
        .group_by(UsageEvent.kind)
        .order_by(UsageEvent.kind)
    )
    return [UsageLine(*row) for row in rows]
