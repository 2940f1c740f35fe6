"""The plan's hash names everything that a person approves."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from replyx_db_agent.core.plan import Plan, PlannedRevision, hash_of

REVISION = PlannedRevision(
    revision="a1",
    path="versions/a1.py",
    file_hash="1",
    section_hash="2",
    statements=("SELECT 1", "SELECT  1"),
    values=("", None),
    hazards=("UNKNOWN hidden-statement DO",),
    way_back=("alembic downgrade base",),
)
PLAN = Plan("staging", "staging", "7", "app", "upgrade", ("a0",), (REVISION,), "c")


@pytest.mark.parametrize(
    "change",
    [
        {"environment": "production"},
        {"kind": "production"},
        {"system_identifier": "8"},
        {"database": "other"},
        {"start": ()},
        {"revisions": ()},
        {"configuration_hash": "d"},
    ],
)
def test_every_part_of_a_plan_is_in_its_hash(change: dict[str, Any]) -> None:
    assert replace(PLAN, **change).hash != PLAN.hash


@pytest.mark.parametrize(
    "change",
    [
        {"revision": "a2"},
        {"path": "versions/a2.py"},
        {"file_hash": "3"},
        {"section_hash": "3"},
        {"statements": ("SELECT 1", "SELECT 1")},
        {"values": ("", "0" * 64)},
        {"hazards": ()},
        {"way_back": ()},
    ],
)
def test_every_part_of_a_revision_is_in_the_hash(change: dict[str, Any]) -> None:
    assert replace(PLAN, revisions=(replace(REVISION, **change),)).hash != PLAN.hash


def test_the_same_plan_has_the_same_hash() -> None:
    again = Plan("staging", "staging", "7", "app", "upgrade", ("a0",), (REVISION,), "c")
    assert again.hash == PLAN.hash
    assert len(PLAN.hash) == 64
    assert hash_of({"a": 1, "b": 2}) == hash_of({"b": 2, "a": 1})
