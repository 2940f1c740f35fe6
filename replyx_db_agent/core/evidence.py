"""What was proved about exactly which files and statements, and when that is stale."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import get_args

from replyx_db_agent.core.report import Outcome

EVIDENCE_FORMAT = 2
_HASH = re.compile(r"[0-9a-f]{64}")


def digest(content: bytes) -> str:
    """Return the SHA-256 of a file's bytes as 64 hex digits."""
    return hashlib.sha256(content).hexdigest()


@dataclass(frozen=True)
class Evidence:
    """The trace of one rehearsal: one revision, up, down and up again on a shadow.

    `files`: project-relative path -> SHA-256 of every project file that was read: the revision
    itself, its parents, env.py, alembic.ini, the modules they import. `section`: SHA-256 of the
    revision's section in docs/db/rollback_plan.md ("" when there was none). `worker`: SHA-256 of
    the worker's settings. `upgrade` and `downgrade`: the emitted statements, white space folded.
    `dropped`: objects that PostgreSQL saw go. `without_content`: tables and columns that held
    nothing, so that nothing about their rows is proved. `made_at`: ISO 8601, UTC.
    """

    revision: str
    path: str
    outcome: Outcome
    rows_compared: bool
    differences: tuple[str, ...]
    files: Mapping[str, str]
    section: str
    worker: str
    upgrade: tuple[str, ...]
    downgrade: tuple[str, ...]
    dropped: tuple[str, ...]
    without_content: tuple[str, ...]
    versions: Mapping[str, str]
    made_at: str
    format: int = EVIDENCE_FORMAT


@dataclass(frozen=True)
class Present:
    """The same hashes as they are now; a file that is gone has none.

    `required` are the files that no rehearsal can do without: evidence that lacks one is forged.
    """

    revision: str
    path: str
    required: tuple[str, ...]
    files: Mapping[str, str]
    section: str
    worker: str


def stale(evidence: Evidence, now: Present) -> tuple[str, ...]:
    """Return the reasons why this evidence no longer speaks of what is there; empty: it does."""
    reasons = [f'it does not cover "{path}"' for path in now.required if path not in evidence.files]
    if (evidence.revision, evidence.path) != (now.revision, now.path):
        reasons.append("it is the evidence of another revision")
    reasons += [
        f'"{path}" changed' if path in now.files else f'"{path}" is gone'
        for path, was in evidence.files.items()
        if now.files.get(path) != was
    ]
    if evidence.section != now.section:
        reasons.append("the revision's section in docs/db/rollback_plan.md changed")
    if evidence.worker != now.worker:
        reasons.append("the worker's settings changed")
    if evidence.format != EVIDENCE_FORMAT:
        reasons.append("it was written by another version of replyx-db-agent")
    return tuple(reasons)


def is_sound(evidence: Evidence) -> bool:
    """Say whether what was read back has the types and words that only `keep` would write."""
    texts = (
        *evidence.differences,
        *evidence.upgrade,
        *evidence.downgrade,
        *evidence.dropped,
        *evidence.without_content,
        evidence.revision,
        evidence.path,
        evidence.section,
        evidence.worker,
        evidence.made_at,
    )
    hashes = evidence.files.values() if isinstance(evidence.files, dict) else [""]
    return (
        evidence.outcome in get_args(Outcome)
        and isinstance(evidence.rows_compared, bool)
        and all(isinstance(text, str) for text in texts)
        and all(isinstance(h, str) and _HASH.fullmatch(h) for h in hashes)
        and evidence.path in evidence.files
    )
