"""A report as people read it (Markdown) and as machines do (plain values)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict
from typing import Any

from replyx_db_agent.core.model import Hazard, Risk
from replyx_db_agent.core.report import (
    ApplyReport,
    CheckReport,
    DiffReport,
    DocsReport,
    DraftReport,
    ExplainReport,
    RecordReport,
    Report,
    StairwayReport,
)
from replyx_db_agent.core.text import one_line

MOST_LINES = 40
"""Items of one list that the text shows; the data always holds them all."""


def as_data(report: Report) -> dict[str, Any]:
    """Return the report as plain values, its keys as design and scripts know them."""
    return asdict(report)


def as_text(report: Report) -> str:
    """Return the report as Markdown: what was found, the answer, the notes."""
    lines = [line.replace("\n", "\n  ") for line in _LINES[type(report)](report)]
    parts = [_refusal(report), "\n".join(_cut(lines)), report.answer, _notes(report)]
    return "\n\n".join(part.strip() for part in parts if part.strip()) + "\n"


def _refusal(report: Report) -> str:
    if report.refusal is None:
        return ""
    r = report.refusal
    return f"**Refused ({r.guardrail}).** {one_line(r.problem)}\n\nInstead: {one_line(r.instead)}"


def _notes(report: Report) -> str:
    return "\n".join(_cut([f"> {one_line(note)}" for note in report.notes]))


def _cut(lines: list[str]) -> list[str]:
    if len(lines) <= MOST_LINES:
        return lines
    return [*lines[:MOST_LINES], f"... and {len(lines) - MOST_LINES} more"]


def _hazard(hazard: Hazard) -> str:
    place = f" ({hazard.file}:{hazard.line})" if hazard.file and hazard.line else ""
    text = f"- [{hazard.risk}] {hazard.kind} {hazard.rule}{place}: {hazard.message}"
    if hazard.risk is Risk.NOTE:
        return text
    told = hazard.evidence not in ("", "statement")
    evidence = f"\nEvidence: {hazard.evidence}" if told else ""
    return f"{text}\nInstead: {hazard.instead}{evidence}"


def _diff(report: DiffReport) -> Iterator[str]:
    for item in report.changes:
        hazards = f" [{', '.join(item.hazards)}]" if item.hazards else ""
        yield f"- {item.change} {item.object_kind} `{item.object}`: {item.detail}{hazards}"
    for old, new in report.suggested_renames:
        yield f"- perhaps a rename: `{old}` to `{new}`"


def _draft(report: DraftReport) -> Iterator[str]:
    for drafted in report.revisions:
        yield f"- `{drafted.path}` ({drafted.phase})"
    if report.revisions:
        yield "Proved on a shadow." if report.proved else "**Not proved.**"
    for left in report.remaining:
        yield f"- remaining: {left}"
    yield from map(_hazard, report.hazards)


def _check(report: CheckReport) -> Iterator[str]:
    yield f"Verdict: **{report.verdict}** ({', '.join(report.revisions)})"
    yield from map(_hazard, report.hazards)


def _stairway(report: StairwayReport) -> Iterator[str]:
    for r in report.revisions:
        yield f"- {r.revision}: **{r.outcome}** ({r.rows}; {r.seconds:.2f} s)"
        yield from (f"  - {difference}" for difference in r.differences)
    yield f"Kept on its shadow by: {', '.join(report.layers)}."


def _explain(report: ExplainReport) -> Iterator[str]:
    for query in report.queries:
        yield f"- **{query.name}**: {query.verdict}"
        for when, figures in (("before", query.before), ("after", query.after)):
            if figures is not None:
                time = "" if figures.milliseconds is None else f"{figures.milliseconds:g} ms, "
                yield f"  - {when} ({figures.where}): {time}{figures.shape}"


def _docs(report: DocsReport) -> Iterator[str]:
    yield from (f"- written: `{path}`" for path in report.written)
    yield from (f"- stale: `{path}`" for path in report.stale)


def _apply(report: ApplyReport) -> Iterator[str]:
    yield from (f"- {step}" for step in report.steps)
    if report.plan:
        yield f"Plan {report.plan}"


def _record(report: RecordReport) -> Iterator[str]:
    yield f"- `{report.path}`: {report.status}"


_LINES: Mapping[type, Callable[[Any], Iterator[str]]] = {
    DiffReport: _diff,
    DraftReport: _draft,
    CheckReport: _check,
    StairwayReport: _stairway,
    ExplainReport: _explain,
    DocsReport: _docs,
    ApplyReport: _apply,
    RecordReport: _record,
}
