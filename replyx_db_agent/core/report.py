"""What the tools return: frozen reports whose top-level keys scripts may rely on."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from replyx_db_agent.core.errors import GuardrailRefusal
from replyx_db_agent.core.model import Hazard, Risk

Phase = Literal["single", "expand", "backfill", "contract"]
Verdict = Literal["clean", "findings", "refused"]
Outcome = Literal[
    "clean",
    "leaves-trace",
    "loses-rows",
    "irreversible",
    "fails-up",
    "fails-down",
    "fails-up-again",
]


@dataclass(frozen=True)
class Refusal:
    """A guardrail said no: which one, why, and what to do instead."""

    guardrail: str
    problem: str
    instead: str

    @classmethod
    def of(cls, error: GuardrailRefusal) -> Refusal:
        """Return the refusal that this error carries."""
        return cls(error.guardrail, error.problem, error.instead)


@dataclass(frozen=True)
class DiffItem:
    """One difference between the models and the revisions at head."""

    object: str
    object_kind: str
    change: Literal["added", "removed", "changed"]
    detail: str
    hazards: tuple[str, ...]
    risk: Risk


@dataclass(frozen=True)
class DiffReport:
    """Result of `inspect_diff`."""

    changes: tuple[DiffItem, ...]
    suggested_renames: tuple[tuple[str, str], ...]
    docs_due: tuple[str, ...]
    heads: tuple[str, ...]
    risk: Risk
    answer: str = ""
    refusal: Refusal | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class DraftedRevision:
    """One revision file that was written; `path` is relative to the project."""

    path: str
    revision: str
    phase: Phase


@dataclass(frozen=True)
class DraftReport:
    """Result of `draft_revision`; `remaining` says what was left out or not proved, and why."""

    revisions: tuple[DraftedRevision, ...]
    proved: bool
    remaining: tuple[str, ...]
    hazards: tuple[Hazard, ...] = ()
    risk: Risk = Risk.LOW
    answer: str = ""
    refusal: Refusal | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class CheckReport:
    """Result of `check_revision`; `revisions` are the ids that were judged, in order."""

    verdict: Verdict
    hazards: tuple[Hazard, ...]
    revisions: tuple[str, ...]
    risk: Risk
    answer: str = ""
    refusal: Refusal | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class RevisionOutcome:
    """How one revision went up, down and up again; `rows` says what was compared."""

    revision: str
    path: str
    outcome: Outcome
    differences: tuple[str, ...]
    rows: str
    hazards: tuple[Hazard, ...]
    seconds: float


@dataclass(frozen=True)
class StairwayReport:
    """Result of `run_stairway`; `layers` kept the rehearsal on its shadow."""

    clean: bool
    revisions: tuple[RevisionOutcome, ...]
    layers: tuple[str, ...] = ()
    answer: str = ""
    refusal: Refusal | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class PlanFigures:
    """One measured plan: medians of several runs. Times in milliseconds, buffers in 8 kB pages.

    `sample` holds the literals for the parameters, as the query file gives them.
    """

    where: str
    sample: str
    milliseconds: float | None
    buffers: int | None
    rows: int | None
    shape: str
    plan: str


@dataclass(frozen=True)
class QueryResult:
    """One query before and (where asked) after a revision, and the verdict against its SLA."""

    name: str
    before: PlanFigures | None
    after: PlanFigures | None
    verdict: str


@dataclass(frozen=True)
class ExplainReport:
    """Result of `explain_query`."""

    queries: tuple[QueryResult, ...]
    answer: str = ""
    refusal: Refusal | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class DocsReport:
    """Result of `write_docs`: project-relative paths; with `check`, `stale` are not written."""

    written: tuple[str, ...]
    unchanged: tuple[str, ...]
    stale: tuple[str, ...] = ()
    answer: str = ""
    refusal: Refusal | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class ApplyReport:
    """Result of `apply_revision`; `plan` is the hash that was approved, `steps` what ran."""

    done: bool
    steps: tuple[str, ...]
    verified: bool
    plan: str = ""
    environment: str = ""
    answer: str = ""
    refusal: Refusal | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class RecordReport:
    """Result of `record_task`; `handover` is the line to pass on."""

    path: str
    status: str
    handover: str
    answer: str = ""
    refusal: Refusal | None = None
    notes: tuple[str, ...] = ()


Report = (
    DiffReport
    | DraftReport
    | CheckReport
    | StairwayReport
    | ExplainReport
    | DocsReport
    | ApplyReport
    | RecordReport
)


@dataclass(frozen=True)
class Phrase:
    """A sentence of the answer by its key in templates/*.toml, with what fills its blanks."""

    key: str
    values: dict[str, object] = field(default_factory=dict)


def say(key: str, **values: object) -> Phrase:
    """Return a phrase: `say("next.check", revision="202501010000")`."""
    return Phrase(key, values)


@dataclass(frozen=True)
class Answer:
    """The seven parts of the seed's answer format; `ddl` and `alembic` are shown as they are."""

    summary: tuple[Phrase, ...]
    risk: Risk
    ddl: tuple[str, ...] = ()
    alembic: tuple[str, ...] = ()
    docs: tuple[Phrase, ...] = ()
    perf: tuple[Phrase, ...] = ()
    rollback: tuple[Phrase, ...] = ()
    next_steps: tuple[Phrase, ...] = ()
