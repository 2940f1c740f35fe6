"""The proof of a draft: its revisions rehearsed with rows, and judged."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from replyx_db_agent.core.model import Hazard
from replyx_db_agent.cycle.judge import judge_rehearsal
from replyx_db_agent.cycle.load import OpenProject
from replyx_db_agent.cycle.rehearse import Rehearsal, climb
from replyx_db_agent.engines.project import RevisionInfo


@dataclass(frozen=True)
class Proof:
    """One rehearsal for each revision that was reached, and what they are hazardous for."""

    rehearsals: tuple[Rehearsal, ...]
    hazards: tuple[Hazard, ...]
    notes: tuple[str, ...]


def rehearsed(project: OpenProject, revisions: Sequence[RevisionInfo]) -> Proof:
    """Rehearse the revisions in order, with rows."""
    done = climb(project, revisions)
    judged = (judge_rehearsal(r, done.server_version_num) for r in done.rehearsals)
    return Proof(done.rehearsals, tuple(h for one in judged for h in one.hazards), done.notes)
