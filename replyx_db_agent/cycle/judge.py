"""Judges rehearsed revisions: the rules over what they emitted, and what PostgreSQL did."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePosixPath

from replyx_db_agent.core import naming
from replyx_db_agent.core.guardrails import DestructiveStep
from replyx_db_agent.core.model import (
    DropColumn,
    DropObject,
    DropTable,
    Facts,
    Hazard,
    HazardKind,
    HiddenStatement,
    Operation,
    Risk,
    Statement,
    Unknown,
)
from replyx_db_agent.core.schema import diff
from replyx_db_agent.cycle.rehearse import Dropped, Rehearsal
from replyx_db_agent.engines import catalog, sql
from replyx_db_agent.engines.project import EmittedStatement, RevisionInfo, StepError
from replyx_db_agent.rules import DESTRUCTIVE, facts_for_downgrade, judge

ARCHIVE_SCHEMA = "replyx_db_agent"
"""Where destructive revisions keep the rows they take away; no part of the project's schema."""

_ORDER = (Risk.NOTE, Risk.LOW, Risk.MEDIUM, Risk.HIGH)


@dataclass(frozen=True)
class Judgement:
    """The hazards of one revision, and those of its steps that are destructive (G1)."""

    hazards: tuple[Hazard, ...]
    destructive: tuple[DestructiveStep, ...]


def worst(hazards: Iterable[Hazard], least: Risk = Risk.LOW) -> Risk:
    """Return the highest risk among the hazards, at least `least`."""
    return max([least, *(h.risk for h in hazards)], key=_ORDER.index)


def findings(hazards: Iterable[Hazard]) -> tuple[Hazard, ...]:
    """Return the hazards that are more than notes."""
    return tuple(h for h in hazards if h.risk is not Risk.NOTE)


def judge_rehearsal(rehearsal: Rehearsal, server_version_num: int) -> Judgement:
    """Return the hazards of a rehearsed revision, worst first."""
    up = statements(rehearsal.upgrade, rehearsal.dropped)
    hazards = [
        *judge(up, _facts(rehearsal, server_version_num)),
        *_hidden_changes(rehearsal, up),
    ]
    destructive = tuple(DestructiveStep(h.rule, h.object) for h in hazards if h.rule in DESTRUCTIVE)
    hazards += _way_back(rehearsal, server_version_num)
    hazards += _form(rehearsal.revision)
    hazards = _with_failure(rehearsal, hazards)
    ordered = sorted(dict.fromkeys(hazards), key=lambda h: -_ORDER.index(h.risk))
    return Judgement(tuple(ordered), tuple(dict.fromkeys(destructive)))


def statements(
    emitted: Sequence[EmittedStatement], dropped: Sequence[Dropped] = ()
) -> tuple[Statement, ...]:
    """Return the emitted statements with what they do, also what only the trace saw."""
    found = []
    for one in emitted:
        operations = sql.operations(one.sql)
        operations += _unseen(one.sql, operations, dropped)
        found.append(
            Statement(one.sql, operations, one.file, one.line, one.autocommit, one.parameters)
        )
    return tuple(found)


def _unseen(
    text: str, operations: Sequence[Operation], dropped: Sequence[Dropped]
) -> tuple[Operation, ...]:
    """Return the drops that the trace saw inside a statement whose text does not tell."""
    if not any(isinstance(o, HiddenStatement | Unknown) for o in operations):
        return ()
    folded = _fold(text)
    return tuple(
        _operation(drop)
        for drop in dropped
        if drop.original and _fold(drop.query) == folded and not _is_ours(drop.identity)
    )


def _is_ours(identity: str) -> bool:
    return identity.startswith((f"{ARCHIVE_SCHEMA}.", "pg_temp"))


def _operation(drop: Dropped) -> Operation:
    name = drop.identity.removeprefix("public.")
    if drop.kind == "table":
        return DropTable(name)
    if drop.kind == "table column":
        table, _, column = name.rpartition(".")
        return DropColumn(table, column)
    return DropObject(drop.kind, name)


def _fold(text: str) -> str:
    return re.sub(r"\s+", " ", text.replace("%%", "%")).strip(" ;")


def _facts(rehearsal: Rehearsal, version: int) -> Facts:
    """Return what is known before the upgrade runs."""
    if rehearsal.before is None:
        return Facts(server_version_num=version)
    indexes = {
        name: o.table or ""
        for (kind, name), o in rehearsal.before.objects.items()
        if kind == "index"
    }
    return Facts(
        server_version_num=version,
        column_types=catalog.types(rehearsal.before),
        index_tables=indexes,
    )


_EXPLAINS = (
    "ChangeRows",
    "InsertRows",
    "AlterColumnType",
    "Truncate",
    "DropColumn",
    "DropTable",
    "RenameColumn",
)


def _hidden_changes(rehearsal: Rehearsal, up: Sequence[Statement]) -> list[Hazard]:
    """Return a hazard for every table whose rows changed though no statement says so."""
    told = {
        getattr(o, "table", None) for s in up for o in s.operations if type(o).__name__ in _EXPLAINS
    }
    return [
        Hazard(
            rule="whole-table-update-or-delete",
            kind=HazardKind.SILENT_DATA_CHANGE,
            risk=Risk.HIGH,
            object=table,
            message=f'The upgrade changed rows of "{table}" though no statement of it says so: '
            f"{sentence}.",
            instead="Write the change as plain statements in a data revision of its own, "
            "in batches, with a log.",
            file=rehearsal.revision.path,
            evidence="rows compared before and after the upgrade",
        )
        for sentence in rehearsal.rows_changed
        if (table := _table_of(sentence)) not in told
    ]


def _table_of(sentence: str) -> str:
    quoted = sentence.split('"')
    name = quoted[1] if len(quoted) > 1 else sentence
    return name.rpartition(".")[0] if sentence.startswith("column") else name


def _way_back(rehearsal: Rehearsal, version: int) -> list[Hazard]:
    """Return the hazards of the downgrade: its statements, and what it did not bring back."""
    up, down = statements(rehearsal.upgrade), statements(rehearsal.downgrade)
    facts = facts_for_downgrade(up, _facts(rehearsal, version))
    hazards = list(judge(down, facts))
    path, revision = rehearsal.revision.path, rehearsal.revision.revision
    text = "; ".join(rehearsal.differences[:6])
    outcomes = {
        "irreversible": ("downgrade-missing", HazardKind.IRREVERSIBLE, "has no way back"),
        "fails-down": ("downgrade-not-inverse", HazardKind.IRREVERSIBLE, "does not go down"),
        "leaves-trace": ("downgrade-not-inverse", HazardKind.IRREVERSIBLE, "leaves a trace"),
        "fails-up-again": (
            "downgrade-not-inverse",
            HazardKind.IRREVERSIBLE,
            "does not go up again",
        ),
        "loses-rows": (
            "downgrade-loses-rows",
            HazardKind.LOSES_DATA,
            "does not bring the rows back",
        ),
    }
    if found := outcomes.get(rehearsal.outcome):
        rule, kind, words = found
        hazards.append(
            Hazard(
                rule=rule,
                kind=kind,
                risk=Risk.HIGH if kind is HazardKind.LOSES_DATA else Risk.MEDIUM,
                object=revision,
                message=f'Revision "{revision}" {words}: {text}.',
                instead="Write a downgrade that restores exactly what the upgrade changed.",
                file=path,
                line=rehearsal.error.line if rehearsal.error else None,
                evidence="rehearsed up, down and up again on a shadow",
            )
        )
    return hazards


def _form(revision: RevisionInfo) -> list[Hazard]:
    """Return what is off about the revision's name (as hazards.md's section Form)."""
    hazards = []
    if len(revision.revision) > naming.MAX_REVISION_ID:
        hazards.append(
            Hazard(
                "revision-id-too-long",
                HazardKind.MALFORMED,
                Risk.HIGH,
                revision.revision,
                f'The id "{revision.revision}" has {len(revision.revision)} characters; '
                f"alembic_version holds {naming.MAX_REVISION_ID}.",
                "Use the 12 digits of YYYYMMDDHHMM as the id.",
                revision.path,
            )
        )
    file_name = PurePosixPath(revision.path).name
    if not naming.follows_policy(revision.revision, file_name):
        hazards.append(
            Hazard(
                "revision-name-off-policy",
                HazardKind.MALFORMED,
                Risk.NOTE,
                file_name,
                f'"{file_name}" is not named <YYYYMMDDHHMM>_<short_name>.py.',
                "Name the file by the policy of docs/db/migrations.md.",
                revision.path,
            )
        )
    return hazards


def _with_failure(rehearsal: Rehearsal, hazards: list[Hazard]) -> list[Hazard]:
    """Say why the upgrade failed: by the rule that explains it, else in PostgreSQL's own words."""
    error = rehearsal.error
    if rehearsal.outcome != "fails-up" or error is None:
        return hazards
    explained = [
        h
        for h in hazards
        if h.kind in (HazardKind.MALFORMED, HazardKind.FAILS_ON_DATA)
        and h.risk is not Risk.NOTE
        and (h.file, h.line) == (error.file, error.line)
    ]
    words = f"PostgreSQL refused it on the shadow: {error.message}"
    if explained:
        return [replace(h, evidence=words) if h in explained else h for h in hazards]
    return [*hazards, _failure(rehearsal.revision, error, words)]


def _failure(revision: RevisionInfo, error: StepError, words: str) -> Hazard:
    on_data = (error.sqlstate or "").startswith(("22", "23"))
    return Hazard(
        rule="fails-on-rows" if on_data else "fails-on-postgresql",
        kind=HazardKind.FAILS_ON_DATA if on_data else HazardKind.MALFORMED,
        risk=Risk.HIGH,
        object=revision.revision,
        message=f'Revision "{revision.revision}" does not go up: {error.message}.',
        instead=f"Mend this line: {error.source.strip()}"
        if error.source
        else "Mend the revision, then check it again.",
        file=error.file or revision.path,
        line=error.line,
        evidence=words if error.sqlstate else f"the project's code raised {error.type}",
    )


def schema_changes(rehearsal: Rehearsal) -> tuple[str, ...]:
    """Return what the upgrade changed in the schema, in words."""
    if rehearsal.before is None or rehearsal.after is None:
        return ()
    return tuple(c.detail for c in diff(rehearsal.before, rehearsal.after))
