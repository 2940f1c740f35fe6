"""When evidence counts, and what makes it stale."""

from __future__ import annotations

from dataclasses import replace

import pytest

from replyx_db_agent.core.evidence import Evidence, Present, digest, is_sound, stale

ONE, TWO = digest(b"one"), digest(b"two")
EVIDENCE = Evidence(
    revision="a2",
    path="a2.py",
    outcome="clean",
    rows_compared=True,
    differences=(),
    files={"a2.py": ONE, "env.py": TWO},
    section=ONE,
    worker=TWO,
    upgrade=("SELECT 1",),
    downgrade=(),
    dropped=(),
    without_content=(),
    versions={},
    made_at="2026-01-01T00:00:00+00:00",
)
NOW = Present("a2", "a2.py", ("a2.py", "env.py"), EVIDENCE.files, ONE, TWO)


def test_evidence_of_what_is_there_is_fresh() -> None:
    assert stale(EVIDENCE, NOW) == ()


@pytest.mark.parametrize(
    ("now", "reason"),
    [
        (replace(NOW, files={"a2.py": TWO, "env.py": TWO}), '"a2.py" changed'),
        (replace(NOW, files={"a2.py": ONE}), '"env.py" is gone'),
        (replace(NOW, section=TWO), "section"),
        (replace(NOW, section=""), "section"),
        (replace(NOW, worker=ONE), "worker's settings"),
        (replace(NOW, required=("a2.py", "a1.py")), 'does not cover "a1.py"'),
        (replace(NOW, revision="a3"), "another revision"),
        (replace(NOW, path="a3.py"), "another revision"),
    ],
)
def test_every_difference_makes_it_stale(now: Present, reason: str) -> None:
    assert any(reason in found for found in stale(EVIDENCE, now))


def test_evidence_of_another_format_is_stale() -> None:
    assert stale(replace(EVIDENCE, format=1), NOW)


@pytest.mark.parametrize(
    "forged",
    [
        replace(EVIDENCE, files={}),
        replace(EVIDENCE, files={"a2.py": "short"}),
        replace(EVIDENCE, files=["a2.py"]),  # type: ignore[arg-type]
        replace(EVIDENCE, path="a3.py"),
        replace(EVIDENCE, outcome="fine"),  # type: ignore[arg-type]
        replace(EVIDENCE, rows_compared="yes"),  # type: ignore[arg-type]
        replace(EVIDENCE, upgrade=(1,)),  # type: ignore[arg-type]
        replace(EVIDENCE, section=None),  # type: ignore[arg-type]
    ],
)
def test_nonsense_is_not_sound(forged: Evidence) -> None:
    assert is_sound(EVIDENCE)
    assert not is_sound(forged)
