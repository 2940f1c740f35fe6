"""The proof of a draft: rehearsed with rows, and where rows do not fit, told so."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from replyx_db_agent.core.model import Hazard, HazardKind
from replyx_db_agent.cycle.judge import judge_rehearsal
from replyx_db_agent.cycle.load import OpenProject
from replyx_db_agent.cycle.rehearse import ROWS, Climb, Rehearsal, climb
from replyx_db_agent.engines.project import RevisionInfo

_ANY_ROW_FAILS = "23502"
"""not_null_violation: a new required column has no value for any row, so no row ever fits."""


@dataclass
class Proof:
    """One rehearsal for each revision that was reached, and what they are hazardous for."""

    rehearsals: list[Rehearsal] = field(default_factory=list)
    hazards: tuple[Hazard, ...] = ()
    notes: tuple[str, ...] = ()


def rehearsed(project: OpenProject, revisions: Sequence[RevisionInfo]) -> Proof:
    """Rehearse the revisions in order, with rows as far as rows fit.

    Rows that were made before a revision need not satisfy what it asks for (a unique index, a
    longer check). It is then rehearsed with rows made just before it, and if these do not fit
    either, without rows: the report holds the hazard that it fails on rows.
    """
    proof, waiting, fill = Proof(), list(revisions), ROWS
    while waiting:
        done = climb(project, waiting, fill=fill)
        *passed, last = done.rehearsals
        _take(proof, done, passed)
        waiting = waiting[len(passed) :]
        if not _fails_on_rows(last) or fill == 0:
            _take(proof, done, [last])
            break
        fill = ROWS if passed else 0
        if not passed:
            _tell(proof, done, last)
            done = climb(project, waiting[:1], fill=0)
            _take(proof, done, done.rehearsals)
            waiting, fill = waiting[1:], ROWS
    return proof


def _fails_on_rows(rehearsal: Rehearsal) -> bool:
    state = (rehearsal.error and rehearsal.error.sqlstate) or ""
    data = state.startswith(("22", "23")) and state != _ANY_ROW_FAILS
    return rehearsal.outcome == "fails-up" and data


def _take(proof: Proof, done: Climb, rehearsals: Sequence[Rehearsal]) -> None:
    proof.rehearsals += rehearsals
    judged = (judge_rehearsal(r, done.server_version_num) for r in rehearsals)
    proof.hazards += tuple(h for one in judged for h in one.hazards)


def _tell(proof: Proof, done: Climb, failed: Rehearsal) -> None:
    """Keep what the failure says: the hazards of what was left undone come with the next run."""
    found = judge_rehearsal(failed, done.server_version_num).hazards
    proof.hazards += tuple(h for h in found if h.kind is HazardKind.FAILS_ON_DATA)
    error = failed.error.message if failed.error else ""
    proof.notes += (
        f'Revision "{failed.revision.revision}" stops at rows that do not fit ({error}): look for '
        "such rows before it is applied. It was rehearsed without rows.",
    )
