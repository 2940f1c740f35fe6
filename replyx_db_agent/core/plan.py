"""The release plan: canonical JSON and its hash, which approval, apply and record name."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass

from replyx_db_agent.core.model import Direction


@dataclass(frozen=True)
class PlannedRevision:
    """One revision of a plan: its file's hash and every statement it will send, in order.

    `values` are digests of what must be bound to each of them, None where it may differ.
    """

    revision: str
    path: str
    file_hash: str
    section_hash: str
    statements: tuple[str, ...]
    values: tuple[str | None, ...]
    hazards: tuple[str, ...]
    way_back: tuple[str, ...]


@dataclass(frozen=True)
class Plan:
    """What will be done to which database. Holds no measured value: same input, same hash."""

    environment: str
    kind: str
    system_identifier: str
    database: str
    direction: Direction
    start: tuple[str, ...]
    revisions: tuple[PlannedRevision, ...]
    configuration_hash: str

    def canonical(self) -> str:
        """Return the plan as canonical JSON: sorted keys, no white space, UTF-8 as it is."""
        return json.dumps(asdict(self), sort_keys=True, separators=(",", ":"), ensure_ascii=False)

    @property
    def hash(self) -> str:
        """SHA-256 of the canonical JSON as 64 hex digits."""
        return hashlib.sha256(self.canonical().encode()).hexdigest()


def hash_of(values: Mapping[str, object]) -> str:
    """Return the SHA-256 of a mapping of plain values, independent of the keys' order."""
    return hashlib.sha256(json.dumps(values, sort_keys=True, default=str).encode()).hexdigest()
