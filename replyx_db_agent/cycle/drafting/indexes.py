"""Draft forms of indexes and of what is one: built and dropped CONCURRENTLY."""

from __future__ import annotations

import re
from collections.abc import Iterator

from replyx_db_agent.core.schema import Change
from replyx_db_agent.cycle.drafting import parts as place
from replyx_db_agent.cycle.drafting.names import key_of_change
from replyx_db_agent.cycle.drafting.parts import Part, Step, World
from replyx_db_agent.cycle.drafting.source import execute, sql_text, with_arguments
from replyx_db_agent.cycle.drafting.tables import comment_changed, comment_on
from replyx_db_agent.engines.quoting import quote_literal

_OF_PLAIN_COLUMNS = re.compile(
    r"CREATE (UNIQUE )?INDEX \w+ ON \w+ USING \w+ \([\w, ]+\)( INCLUDE \([\w, ]+\))?"
    r"( NULLS NOT DISTINCT)?( WITH \([^()]*\))?( WHERE .*)?",
    re.DOTALL,
)


def index_added(change: Change, world: World) -> Iterator[Part]:
    """Build an index in a revision of its own."""
    definition, comment = change.after["definition"] or "", change.after.get("comment")
    up = built(change.object, _as_operation(change, world, definition) or concurrent(definition))
    if comment:
        up += "\n" + comment_on("index", change.object, comment, None).up
    made = world.operation(key_of_change(change), "CreateIndexOp")
    step = Step(up, dropped(change.object), made.imports if made else ())
    yield Part(place.INDEX, (step,), "_index", _built_why(change), autocommit=True)


def index_removed(change: Change, world: World) -> Iterator[Part]:
    """Drop an index in a revision of its own."""
    down = built(change.object, concurrent(change.before["definition"] or ""))
    if comment := change.before.get("comment"):
        down += "\n" + comment_on("index", change.object, comment, None).up
    step = Step(dropped(change.object), down)
    yield Part(place.DROP_INDEX, (step,), "_drop_index", _dropped_why(change), autocommit=True)


def index_changed(change: Change, world: World) -> Iterator[Part]:
    """Drop the index and build it anew, each in a revision of its own."""
    if "definition" not in change.after:
        if "comment" in change.after:
            yield comment_changed(change, "index", change.object)
        return
    old, new = (concurrent(a["definition"] or "") for a in (change.before, change.after))
    drop = Step(dropped(change.object), built(change.object, old))
    build = Step(built(change.object, new), dropped(change.object))
    yield Part(place.DROP_INDEX, (drop,), "_drop_index", _dropped_why(change), autocommit=True)
    yield Part(place.INDEX, (build,), "_index", _built_why(change), autocommit=True)


def _built_why(change: Change) -> str:
    return (
        f"Index {change.object} is built CONCURRENTLY, so writes go on meanwhile; "
        "that needs a revision of its own, outside a transaction."
    )


def _dropped_why(change: Change) -> str:
    return (
        f"Index {change.object} is dropped CONCURRENTLY, so nobody queues behind its lock; "
        "that needs a revision of its own, outside a transaction."
    )


def _as_operation(change: Change, world: World, definition: str) -> str | None:
    """Return autogenerate's own code, where the index is of plain columns; it loses the rest."""
    made = world.operation(key_of_change(change), "CreateIndexOp")
    if made is None or not _OF_PLAIN_COLUMNS.fullmatch(definition):
        return None
    return with_arguments(made.upgrade, "postgresql_concurrently=True, if_not_exists=True")


def concurrent(definition: str) -> str:
    """Return code that builds the index as PostgreSQL itself writes it down."""
    return execute(definition.replace(" INDEX ", " INDEX CONCURRENTLY IF NOT EXISTS ", 1))


def built(name: str, create: str) -> str:
    """Return code that builds an index and can be run again after it was cut short."""
    invalid = (
        f"SELECT 1 FROM pg_index WHERE indexrelid = to_regclass({quote_literal(name)}) "
        "AND NOT indisvalid"
    )
    return (
        "# A build that was cut short leaves an INVALID index under this name: remove it first.\n"
        f"invalid = sa.text({sql_text(invalid)})\n"
        "if op.get_bind().scalar(invalid):\n"
        f"    {dropped(name)}\n"
        f"{create}"
    )


def dropped(name: str) -> str:
    """Return code that drops an index without holding anybody up."""
    return execute(f"DROP INDEX CONCURRENTLY IF EXISTS {name}")
