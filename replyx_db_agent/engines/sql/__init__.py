"""SQL text -> operations of the domain."""

from replyx_db_agent.engines.sql.parse import (
    is_single_select,
    normalise,
    operations,
    split,
    tables_of,
)

__all__ = [
    "is_single_select",
    "normalise",
    "operations",
    "split",
    "tables_of",
]
