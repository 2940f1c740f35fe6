"""Judges rehearsed revisions: the rules over what they emitted, and what PostgreSQL did."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePosixPath

from replyx_db_agent.core import naming
from replyx_db_agent.core.guardrails import DestructiveStep
from replyx_db_agent.core.model import (
    Facts,
    Hazard,
    HazardKind,
    HiddenStatement,
    Read,
    Risk,
    Statement,
    Unknown,
)
from replyx_db_agent.cycle import seen
from replyx_db_agent.cycle.rehearse import FAILS_ON_ROWS, Rehearsal
from replyx_db_agent.engines import catalog, sql
from replyx_db_agent.engines.project import EmittedStatement, RevisionInfo, StepError
from replyx_db_agent.rules import DESTRUCTIVE, facts_for_downgrade, judge

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
    up = _upgrade(rehearsal)
    hazards = [
        *judge(up, _facts(rehearsal, server_version_num)),
        *seen.row_hazards(rehearsal, up),
        *seen.detached(rehearsal),
    ]
    hazards += _seen(rehearsal, hazards, server_version_num)
    hazards = _at_what_hides_them(up, hazards)
    destructive = tuple(DestructiveStep(h.rule, h.object) for h in hazards if is_destructive(h))
    hazards += _way_back(rehearsal, up, server_version_num)
    hazards += _form(rehearsal.revision)
    hazards = [*_with_failure(rehearsal, hazards), *_adverse(rehearsal)]
    ordered = sorted(dict.fromkeys(hazards), key=lambda h: -_ORDER.index(h.risk))
    return Judgement(tuple(ordered), tuple(dict.fromkeys(destructive)))


def is_destructive(hazard: Hazard) -> bool:
    """Say whether the hazard is a destructive step in the sense of G1."""
    return hazard.rule in DESTRUCTIVE or hazard.rule in seen.BESIDE_THE_RULES


def statements(emitted: Sequence[EmittedStatement]) -> tuple[Statement, ...]:
    """Return the emitted statements with what their texts do."""
    return tuple(
        Statement(s.sql, sql.operations(s.sql), s.file, s.line, s.autocommit, s.parameters)
        for s in emitted
    )


def _upgrade(rehearsal: Rehearsal) -> tuple[Statement, ...]:
    """Return the upgrade's statements, also with what only looks harmless."""
    return tuple(
        replace(s, operations=s.operations + seen.hidden_calls(rehearsal, s.sql, s.operations))
        for s in statements(rehearsal.upgrade)
    )


def _at_what_hides_them(up: Sequence[Statement], hazards: Sequence[Hazard]) -> list[Hazard]:
    """Give hazards that no text told of the line of the statement that hides something.

    Where several statements hide something, nobody knows which did it.
    """
    hidden = [s for s in up if any(isinstance(o, HiddenStatement | Unknown) for o in s.operations)]
    if len(hidden) != 1:
        return list(hazards)
    here = hidden[0]
    return [
        replace(h, line=here.line) if h.line is None and h.file == here.file else h for h in hazards
    ]


def _seen(rehearsal: Rehearsal, told: Sequence[Hazard], version: int) -> list[Hazard]:
    """Return the destructive hazards that PostgreSQL showed and no text told of."""
    known = {seen.plain(h.object) for h in told if is_destructive(h)}
    found = [
        Statement("", (operation,), rehearsal.revision.path, transaction=number)
        for number, operation in enumerate(seen.operations(rehearsal))
    ]
    return [
        replace(h, evidence="what PostgreSQL did on the shadow; no statement says it so plainly")
        for h in judge(found, Facts(server_version_num=version))
        if is_destructive(h) and seen.plain(h.object) not in known
    ]


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


def _way_back(rehearsal: Rehearsal, up: Sequence[Statement], version: int) -> list[Hazard]:
    """Return the hazards of the downgrade: its statements, and what it did not bring back."""
    down = statements(rehearsal.downgrade)
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


def _adverse(rehearsal: Rehearsal) -> list[Hazard]:
    """Say on which rows the upgrade would stop, when it goes up over rows that fit."""
    error, revision = rehearsal.adverse, rehearsal.revision
    if error is None or rehearsal.outcome == "fails-up":
        return []
    return [
        Hazard(
            rule="fails-on-rows",
            kind=HazardKind.FAILS_ON_DATA,
            risk=Risk.MEDIUM,
            object=revision.revision,
            message=f'Revision "{revision.revision}" stops at rows that do not fit: '
            f"{error.message}.",
            instead="Count such rows where it is to run; repair them in a data revision before.",
            file=error.file or revision.path,
            line=error.line,
            evidence="rehearsed over rows that do not fit, and over rows that do",
        )
    ]


def _failure(revision: RevisionInfo, error: StepError, words: str) -> Hazard:
    on_data = (error.sqlstate or "").startswith(FAILS_ON_ROWS)
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


def shown_ddl(emitted: Iterable[str]) -> tuple[str, ...]:
    """Return the statements as the answer's DDL plan shows them: without those that only read."""
    return tuple(
        text for text in emitted if not all(isinstance(o, Read) for o in sql.operations(text))
    )
