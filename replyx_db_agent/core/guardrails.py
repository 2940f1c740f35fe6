"""The decisions of the guardrails; engines and tools enforce them, docs/guardrails.md."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Literal

from replyx_db_agent.core.errors import GuardrailRefusal
from replyx_db_agent.core.evidence import Evidence
from replyx_db_agent.core.report import Outcome
from replyx_db_agent.core.rollback_plan import (
    PARTS,
    PlanSection,
    commands,
    missing_parts,
    names_missing,
)

EnvironmentKind = Literal["local", "staging", "production"]
Approval = Literal["none", "elicitation", "signed"]

LEAST_LETTERS = 4
"""Different letters or digits that a part of a plan needs to count as filled."""

PLAN_FILE = "docs/db/rollback_plan.md"
STATE_FOLDER = ".replyx-db-agent"


@dataclass(frozen=True)
class DestructiveStep:
    """One step by which data is lost or running code broken: the rule's name and the object."""

    rule: str
    object: str


@dataclass(frozen=True)
class Standing:
    """What is known of one revision when a destructive step is to be allowed or refused.

    `evidence` is None when it was never rehearsed; `stale` holds why it no longer counts.
    `now` is how the rehearsal ended that was made for this very question.
    """

    revision: str
    parents: tuple[str, ...]
    section: PlanSection | None
    evidence: Evidence | None
    stale: tuple[str, ...]
    now: Outcome = "clean"


def _refuse(guardrail: str, problem: str, instead: str) -> GuardrailRefusal:
    return GuardrailRefusal(guardrail, problem, instead=instead)


def may_draft_destructive(steps: Sequence[DestructiveStep], *, asked: bool) -> None:
    """G1: an ordinary draft never drops, renames or narrows; it has to be asked for by name."""
    if steps and not asked:
        raise _refuse(
            "G1",
            f"The change is destructive ({_names(steps)}), and a draft does not do that by itself.",
            "Ask again with `destructive` (on the command line --destructive): the revision then "
            "keeps the rows in a copy, and its section of docs/db/rollback_plan.md is opened for "
            "you to fill. It still runs nowhere before that plan was rehearsed.",
        )


def may_be_destructive(steps: Sequence[DestructiveStep], standing: Standing) -> None:
    """G1 and G2: a destructive revision needs a filled plan and a rehearsal of exactly this."""
    if not steps:
        return
    revision = standing.revision
    what = f'Revision "{revision}" is destructive ({_names(steps)})'
    if standing.section is None:
        raise _refuse(
            "G1",
            f"{what} and {PLAN_FILE} has no section for it.",
            f'Add a section "## {revision}" with its four parts (change, risk, rollback, checks '
            "after rollback), then rehearse it with run_stairway.",
        )
    _plan_is_filled(what, steps, standing.section)
    _plan_goes_back(what, standing)
    _is_rehearsed(what, standing)
    _had_rows(what, steps, standing)


def _plan_is_filled(what: str, steps: Sequence[DestructiveStep], section: PlanSection) -> None:
    if missing := [*missing_parts(section), *_junk(section)]:
        raise _refuse(
            "G1",
            f"{what} and these parts of its section in {PLAN_FILE} are empty or say nothing: "
            f"{', '.join(dict.fromkeys(missing))}.",
            "Fill all four parts, then rehearse with run_stairway.",
        )
    if unnamed := names_missing(section, sorted({s.object for s in steps if s.object})):
        raise _refuse(
            "G1",
            f"{what} and the part about the change does not name {_quoted(unnamed)}.",
            f"Name every object that is dropped or altered in that part of {PLAN_FILE}.",
        )


def _junk(section: PlanSection) -> list[str]:
    """Return the parts in which a heading is followed by a letter or two: that is no plan."""
    return [
        part
        for part in PARTS
        if len(set(re.findall(r"\w", getattr(section, part).casefold()))) < LEAST_LETTERS
    ]


def _plan_goes_back(what: str, standing: Standing) -> None:
    assert standing.section is not None
    written = commands(standing.section)
    if unknown := [c.text for c in written if c.kind == "other"]:
        raise _refuse(
            "G2",
            f"{what} and its rollback holds a command that cannot be rehearsed: {unknown[0]!r}.",
            "Write the way back as `alembic downgrade ...` and ```sql blocks only.",
        )
    targets = {"-1", *(standing.parents or ("base",))}
    if not any(c.kind == "downgrade" and c.target in targets for c in written):
        raise _refuse(
            "G2",
            f"{what} and its rollback does not say how to go back.",
            f"Write the exact command into the part about rollback: "
            f"`alembic downgrade {(standing.parents or ('base',))[0]}`.",
        )


def _is_rehearsed(what: str, standing: Standing) -> None:
    again = f'Run run_stairway for "{standing.revision}" again (replyx-db-agent stairway).'
    if standing.evidence is None:
        raise _refuse("G2", f"{what} and was never rehearsed.", again)
    if standing.stale:
        reasons = "; ".join(standing.stale[:4])
        raise _refuse("G2", f"{what} and its rehearsal is stale: {reasons}.", again)
    evidence = standing.evidence
    if evidence.outcome != "clean":
        found = "; ".join(evidence.differences[:4]) or evidence.outcome
        raise _refuse(
            "G2",
            f"{what} and its rehearsal ended as {evidence.outcome}: {found}.",
            "Mend the revision's downgrade, then rehearse again with run_stairway.",
        )
    if not evidence.rows_compared:
        raise _refuse(
            "G2",
            f"{what} and its rehearsal compared no rows.",
            "Rehearse with rows: run_stairway fills the tables unless told otherwise.",
        )


def _had_rows(what: str, steps: Sequence[DestructiveStep], standing: Standing) -> None:
    """Refuse when the rehearsal had nothing to lose where this loses something."""
    assert standing.evidence is not None
    if standing.now != "clean":
        raise _refuse(
            "G2",
            f"{what} and its rehearsal just now ended as {standing.now}.",
            "Mend the way back, then rehearse again with run_stairway.",
        )
    empty = {name.casefold() for name in standing.evidence.without_content}
    plain = {s.object: s.object.replace('"', "").casefold() for s in steps}
    bare = [n for n, text in plain.items() if {text, text.rpartition(".")[0]} & empty]
    if bare:
        raise _refuse(
            "G2",
            f"{what} and its rehearsal had no rows in {_quoted(bare)}, so "
            "nothing shows that they come back.",
            "Look at the notes of run_stairway for why no rows could be made. If no row can fit "
            "its constraints, a person releases this step by hand.",
        )


WRITABLE = (
    "docs/db/",
    "docs/adr/",
    f"{STATE_FOLDER}/",
    "scripts/",
)


def may_write(path: str, *, versions: Sequence[str], records: str) -> None:
    """G7: `path` (project-relative, already resolved) must lie where the tools may write."""
    pure = PurePosixPath(path)
    allowed = (*WRITABLE, *(f"{folder}/" for folder in versions), f"{records}/")
    inside = not pure.is_absolute() and ".." not in pure.parts
    if inside and any(path.startswith(folder) for folder in allowed):
        return
    raise _refuse(
        "G7",
        f'"{path}" is not a file these tools write.',
        "They write revisions, docs/db, docs/adr, scripts, the record folder and their own state "
        "folder; change any other file yourself.",
    )


def may_apply(
    *,
    environment: str,
    kind: EnvironmentKind,
    is_local: bool,
    approved: bool,
    needs: Approval,
    plan: str,
    by_person: bool,
) -> None:
    """G8: anything but a local database needs a human's yes to exactly this plan."""
    if is_local:
        return
    if kind == "local" and not approved:
        raise _refuse(
            "G8",
            f'Environment "{environment}" is of kind local, but its database is neither on our '
            "embedded server nor pinned: a tunnel to production also looks like localhost.",
            f"If it is a person's own, that person runs `replyx-db-agent trust {environment}` "
            "once; then apply again.",
        )
    if not by_person:
        raise _refuse(
            "G8",
            f'Environment "{environment}" is not local, and here no person can be asked: the '
            "command line and an MCP client without elicitation cannot prove that it was one.",
            "Apply it through an MCP client that asks its user (apply_revision), or with your own "
            "deploy.",
        )
    if needs == "signed":
        raise _refuse(
            "G8",
            f'Environment "{environment}" needs a signed approval, which this version cannot '
            "verify.",
            'Apply it with your own deploy, or set approval = "elicitation" for this environment.',
        )
    if not approved:
        raise _refuse(
            "G8",
            f'The person asked did not approve plan {plan[:12]} for environment "{environment}".',
            "Nothing was changed. Ask the person what to change, and apply again afterwards.",
        )


def _names(steps: Sequence[DestructiveStep]) -> str:
    return ", ".join(dict.fromkeys(f'{s.rule} "{s.object}"' for s in steps))


def _quoted(names: Sequence[str]) -> str:
    return ", ".join(f'"{name}"' for name in names)
