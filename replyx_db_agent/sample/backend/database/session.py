"""The engine and the sessions of the running application."""

from functools import cache

from sqlalchemy import Engine, create_engine
from sqlalchemy.orm import Session

from backend.database.url import sqlalchemy_url


@cache
def engine() -> Engine:
    return create_engine(sqlalchemy_url(), pool_pre_ping=True)


def new_session() -> Session:
    """A session; use it as `with new_session() as session, session.begin():`."""
    return Session(engine())
