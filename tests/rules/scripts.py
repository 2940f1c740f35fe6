"""Scripts of SQL as documentation and tests write them.

`-- before: SQL;`   a statement that ran before, in another revision (several lines, in order)
`-- upgrade: SQL;`  a statement of the upgrade that this downgrade undoes
`-- downgrade`      what follows is a downgrade
`-- autocommit`     what follows runs in Alembic's autocommit block
`-- next revision`  what follows is another revision, in its own transaction
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from replyx_db_agent.core.model import Facts, Statement
from replyx_db_agent.engines import sql
from replyx_db_agent.rules import facts_for_downgrade

_MARK = re.compile(r"-- (before|upgrade): (.*)|-- (autocommit|next revision|downgrade)\s*")


@dataclass(frozen=True)
class Script:
    """What ran before, the statements to judge, and what is known before the first of them."""

    before: tuple[str, ...]
    statements: tuple[Statement, ...]
    facts: Facts


def read_script(text: str) -> Script:
    """Read a script with the marks above."""
    before: list[str] = []
    upgrade: list[str] = []
    parts: list[list[str]] = [[]]
    modes: list[tuple[str, bool]] = [("1", False)]
    for line in text.splitlines():
        mark = _MARK.fullmatch(line)
        if mark is None:
            parts[-1].append(line)
        elif mark[1]:
            (before if mark[1] == "before" else upgrade).append(mark[2])
        elif mark[3] == "next revision":
            modes.append((str(int(modes[-1][0]) + 1), False))
            parts.append([])
        elif mark[3] == "autocommit":
            modes.append((modes[-1][0], True))
            parts.append([])
    statements = [
        Statement(
            one, sql.operations(one), f"{revision}.py", autocommit=mode, transaction=int(revision)
        )
        for (revision, mode), lines in zip(modes, parts, strict=True)
        for one in sql.split("\n".join(lines))
    ]
    known = facts_for_downgrade(_statements(before), Facts())
    facts = Facts(column_types=known.column_types, index_tables=known.index_tables)
    if "-- downgrade" in text:
        facts = facts_for_downgrade(_statements(upgrade), facts)
    return Script((*before, *upgrade), tuple(statements), facts)


def _statements(texts: list[str]) -> list[Statement]:
    return [Statement(text, sql.operations(text)) for text in texts]
