"""DATABASE_URL in the two spellings that SQLAlchemy and libpq want."""

import os

SCHEMES = ("postgresql+psycopg", "postgresql", "postgres")


class DatabaseUrlError(RuntimeError):
    """DATABASE_URL is missing or is not the URL of a PostgreSQL database."""


def _without_scheme() -> str:
    url = os.environ.get("DATABASE_URL", "").strip()
    if not url:
        raise DatabaseUrlError(
            "DATABASE_URL is not set. Set it to the database to work on, for example: "
            "export DATABASE_URL=postgresql://replyx:secret@localhost:5432/replyx"
        )
    scheme, separator, rest = url.partition("://")
    if not separator or scheme not in SCHEMES:
        raise DatabaseUrlError(
            'DATABASE_URL must start with "postgresql://". Set it to a URL such as '
            "postgresql://replyx:secret@localhost:5432/replyx"
        )
    return rest


def sqlalchemy_url() -> str:
    """The URL for SQLAlchemy, which names the driver psycopg."""
    return f"postgresql+psycopg://{_without_scheme()}"


def libpq_url() -> str:
    """The URL for psycopg itself and for tools such as psql."""
    return f"postgresql://{_without_scheme()}"
