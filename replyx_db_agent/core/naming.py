"""How revisions are named: the id is a UTC minute, the file says the id and a short name."""

from __future__ import annotations

import re
from collections.abc import Collection
from datetime import UTC, datetime, timedelta

from replyx_db_agent.core.errors import InvalidInput

MAX_REVISION_ID = 32
"""Alembic keeps the id in VARCHAR(32): https://alembic.sqlalchemy.org/en/latest/tutorial.html"""

_BY_POLICY = re.compile(r"\d{12}")
_WORD = re.compile(r"[a-z0-9]+")


def next_revision_id(now: datetime, taken: Collection[str], head: str | None) -> str:
    """Return the first free minute YYYYMMDDHHMM that is not before `now` nor before the head's."""
    minute = now.astimezone(UTC).replace(second=0, microsecond=0, tzinfo=None)
    if head and (last := _minute_of(head)):
        minute = max(minute, last + timedelta(minutes=1))
    return _first_free(minute, taken)


def _minute_of(revision: str) -> datetime | None:
    """Return the minute that the id begins with; None when it is not named by the policy."""
    digits = _BY_POLICY.match(revision)
    try:
        return datetime.strptime(digits[0], "%Y%m%d%H%M") if digits else None
    except ValueError:
        return None


def _first_free(minute: datetime, taken: Collection[str]) -> str:
    while (candidate := minute.strftime("%Y%m%d%H%M")) in {t[:12] for t in taken}:
        minute += timedelta(minutes=1)
    return candidate


def short_name(message: str) -> str:
    """Return the message as a file-name part: `Add nickname!` -> `add_nickname` (40 characters)."""
    name = "_".join(_WORD.findall(message.lower()))[:40].strip("_")
    if not name:
        raise InvalidInput(
            f'"{message}" gives no file name.',
            instead='Name the change in Latin letters or digits, for example "add nickname".',
        )
    return name


def follows_policy(revision: str, file_name: str) -> bool:
    """Say whether the file is named `<YYYYMMDDHHMM>_<short_name>.py`, its id those 12 digits."""
    named = re.fullmatch(rf"{re.escape(revision[:12])}_[a-z0-9_]+\.py", file_name)
    return named is not None and _minute_of(revision) is not None
