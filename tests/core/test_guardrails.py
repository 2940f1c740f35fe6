"""The decisions of the guardrails: values in, a refusal or silence out."""

from __future__ import annotations

from dataclasses import replace

import pytest

from replyx_db_agent.core.errors import GuardrailRefusal
from replyx_db_agent.core.evidence import Evidence
from replyx_db_agent.core.guardrails import (
    Approval,
    DestructiveStep,
    Standing,
    may_apply,
    may_be_destructive,
    may_draft_destructive,
    may_write,
)
from replyx_db_agent.core.rollback_plan import find_section

STEP = DestructiveStep("column-dropped", "users.email")
PLAN = """## a2

- Change: users.email goes, nobody reads it
- Risk: a short lock
- Rollback: `alembic downgrade a1`
- Checks after rollback: the counts are the same
"""
EVIDENCE = Evidence(
    revision="a2",
    path="versions/a2.py",
    outcome="clean",
    rows_compared=True,
    differences=(),
    files={"versions/a2.py": "0" * 64},
    section="",
    worker="",
    upgrade=(),
    downgrade=(),
    dropped=(),
    without_content=(),
    versions={},
    made_at="2026-01-01T00:00:00+00:00",
)
STANDING = Standing("a2", ("a1",), find_section(PLAN, "a2"), EVIDENCE, ())


def planned(text: str) -> Standing:
    return replace(STANDING, section=find_section(text, "a2"))


def test_a_planned_and_freshly_rehearsed_step_passes() -> None:
    may_be_destructive([STEP], STANDING)


def test_a_revision_without_a_destructive_step_needs_no_plan() -> None:
    may_be_destructive([], replace(STANDING, section=None, evidence=None))


@pytest.mark.parametrize(
    ("standing", "guardrail", "words"),
    [
        (replace(STANDING, section=None), "G1", "no section"),
        (planned(PLAN.replace("a short lock", "")), "G1", "risk"),
        (planned(PLAN.replace("a short lock", "xxxxx")), "G1", "risk"),
        (planned(PLAN.replace("users.email goes, n", "N")), "G1", "does not name"),
        (planned(PLAN.replace("`alembic downgrade a1`", "go back")), "G2", "how to go back"),
        (planned(PLAN.replace("grade a1", "grade a0")), "G2", "how to go back"),
        (planned(PLAN.replace("`alembic", "`./mend.sh && alembic")), "G2", "cannot be rehearsed"),
        (replace(STANDING, evidence=None), "G2", "never rehearsed"),
        (replace(STANDING, stale=('"env.py" changed',)), "G2", "stale"),
        (replace(STANDING, now="leaves-trace"), "G2", "just now"),
        (
            replace(STANDING, evidence=replace(EVIDENCE, outcome="loses-rows")),
            "G2",
            "ended as loses-rows",
        ),
        (
            replace(STANDING, evidence=replace(EVIDENCE, rows_compared=False)),
            "G2",
            "compared no rows",
        ),
        (
            replace(STANDING, evidence=replace(EVIDENCE, without_content=("users",))),
            "G2",
            "had no rows",
        ),
        (
            replace(STANDING, evidence=replace(EVIDENCE, without_content=("users.email",))),
            "G2",
            "had no rows",
        ),
    ],
)
def test_what_a_destructive_step_lacks_is_named(
    standing: Standing, guardrail: str, words: str
) -> None:
    with pytest.raises(GuardrailRefusal, match=words) as refused:
        may_be_destructive([STEP], standing)
    assert refused.value.guardrail == guardrail
    assert refused.value.instead


def test_an_ordinary_draft_does_not_destroy() -> None:
    may_draft_destructive([], asked=False)
    may_draft_destructive([STEP], asked=True)
    with pytest.raises(GuardrailRefusal, match=r"users\.email"):
        may_draft_destructive([STEP], asked=False)


@pytest.mark.parametrize(
    "path",
    ["docs/db/schema.md", "docs/adr/1.md", "scripts/x.sql", "alembic/versions/a.py", "TASK/t.data"],
)
def test_tools_write_where_they_may(path: str) -> None:
    may_write(path, versions=["alembic/versions"], records="TASK")


@pytest.mark.parametrize(
    "path",
    [
        "models.py",
        "alembic/env.py",
        "docs/dbase/x.md",
        "alembic/versions",
        "docs/db/../../models.py",
        ".replyx-db-agent/measurements/../../models.py",
        "/etc/passwd",
        "../docs/db/schema.md",
        "",
    ],
)
def test_tools_write_nowhere_else(path: str) -> None:
    with pytest.raises(GuardrailRefusal, match="not a file") as refused:
        may_write(path, versions=["alembic/versions"], records="TASK")
    assert refused.value.guardrail == "G7"


@pytest.mark.parametrize(
    ("is_local", "approved", "needs", "by_person", "passes"),
    [
        (True, False, "none", False, True),
        (False, True, "elicitation", True, True),
        (False, False, "elicitation", True, False),
        (False, True, "elicitation", False, False),
        (False, True, "signed", True, False),
        (False, False, "none", True, False),
        (False, False, "none", False, False),
    ],
)
def test_only_a_local_database_needs_no_person(
    is_local: bool, approved: bool, needs: Approval, by_person: bool, passes: bool
) -> None:
    def ask() -> None:
        may_apply(
            environment="e",
            kind="local" if is_local else "staging",
            is_local=is_local,
            approved=approved,
            needs=needs,
            plan="0" * 64,
            by_person=by_person,
        )

    if passes:
        ask()
        return
    with pytest.raises(GuardrailRefusal) as refused:
        ask()
    assert refused.value.guardrail == "G8"


def test_a_local_database_that_nobody_pinned_is_told_how_to_be_trusted() -> None:
    with pytest.raises(GuardrailRefusal, match="neither on our embedded server nor pinned") as no:
        may_apply(
            environment="mine",
            kind="local",
            is_local=False,
            approved=False,
            needs="none",
            plan="0" * 64,
            by_person=True,
        )
    assert no.value.guardrail == "G8"
    assert "replyx-db-agent trust mine" in no.value.instead
