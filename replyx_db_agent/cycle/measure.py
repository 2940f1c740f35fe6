"""Measures queries with EXPLAIN: medians of several runs, buffers, the shape of the plan."""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from replyx_db_agent.core.errors import InvalidInput
from replyx_db_agent.core.hot_query import HotQuery
from replyx_db_agent.core.model import AlterOther, HiddenStatement, Operation, Read, Unknown
from replyx_db_agent.core.report import PlanFigures
from replyx_db_agent.engines import postgres, sql
from replyx_db_agent.engines.explain import plans

RUNS = 5
"""Runs a sample; the first one warms the cache and is not counted."""

TIME_LIMIT = 30.0
"""Seconds one run may take."""


@dataclass(frozen=True)
class Target:
    """Where to measure: a URL, what to call it, and whether the query may really run there."""

    url: str
    name: str
    analyze: bool


def only_reads(query: HotQuery) -> None:
    """Refuse anything but one SELECT that calls, with its samples, no function we do not know.

    Even a plain EXPLAIN runs functions that are labelled IMMUTABLE or STABLE, and EXECUTE runs
    what its arguments call: https://www.postgresql.org/docs/current/xfunc-volatility.html
    """
    if not sql.is_single_select(query.sql):
        raise InvalidInput(
            f'Query "{query.name}" is not one SELECT.',
            instead="Measure one SELECT at a time; a write can only be measured on a copy.",
        )
    for text in (query.sql, *(f"SELECT {sample}" for sample in query.samples if sample)):
        if strange := [o for o in sql.operations(text) if not isinstance(o, Read)]:
            raise InvalidInput(
                f'Query "{query.name}" does more than read: {_in_words(strange[0])}.',
                instead="Take it out; its effects cannot be judged.",
            )


def _in_words(operation: Operation) -> str:
    if isinstance(operation, AlterOther | HiddenStatement):
        return operation.what
    return operation.reason if isinstance(operation, Unknown) else type(operation).__name__


def measure(query: HotQuery, target: Target, sample: str | None = None) -> PlanFigures:
    """Return the figures of this sample (None: of the slowest), read-only, under a time limit."""
    samples = query.samples if sample is None else (sample,)
    with postgres.connect(
        target.url, read_only=True, statement_timeout=TIME_LIMIT, name=target.name
    ) as connection:
        figures = [_sample(connection, query, sample, target) for sample in samples]
    return max(figures, key=lambda f: (f.milliseconds or 0.0, f.buffers or 0))


def _sample(connection: Any, query: HotQuery, sample: str, target: Target) -> PlanFigures:
    prepare, explain = _texts(query, sample, target)
    try:
        runs = plans(connection, prepare, explain, RUNS if target.analyze else 1)
    except InvalidInput as error:
        raise InvalidInput(
            f'Query "{query.name}" cannot be explained on {target.name}: {error.problem}',
            instead="Correct the query or its `-- params:` line.",
        ) from error
    return _figures(runs, sample, target)


def _texts(query: HotQuery, sample: str, target: Target) -> tuple[str, str]:
    """Return the PREPARE and the EXPLAIN; a sample cannot smuggle in another statement."""
    options = "ANALYZE, BUFFERS, SETTINGS, FORMAT JSON" if target.analyze else "FORMAT JSON"
    prepare = f"PREPARE replyx_measured AS {query.sql}"
    arguments = f"({sample})" if sample else ""
    explain = f"EXPLAIN ({options}) EXECUTE replyx_measured{arguments}"
    for text in (prepare, explain):
        if len(sql.split(text)) != 1:
            raise InvalidInput(
                f'Query "{query.name}" and its sample are more than one statement.',
                instead="Give one SELECT, and literals separated by commas as its sample.",
            )
    return prepare, explain


def _figures(runs: list[dict[str, Any]], sample: str, target: Target) -> PlanFigures:
    counted = runs[1:] or runs
    times = [run["Execution Time"] for run in counted if "Execution Time" in run]
    root = counted[-1]["Plan"]
    buffers = root.get("Shared Hit Blocks", 0) + root.get("Shared Read Blocks", 0)
    return PlanFigures(
        where=target.name,
        sample=sample,
        milliseconds=round(statistics.median(times), 3) if times else None,
        buffers=buffers if target.analyze else None,
        rows=int(root.get("Actual Rows", root["Plan Rows"])),
        shape=" > ".join(_node(node) for _, node in _nodes(root, 0)),
        plan="\n".join("  " * depth + _line(node) for depth, node in _nodes(root, 0)),
    )


def _nodes(node: dict[str, Any], depth: int) -> Iterator[tuple[int, dict[str, Any]]]:
    yield depth, node
    for child in node.get("Plans", ()):
        yield from _nodes(child, depth + 1)


def _node(node: dict[str, Any]) -> str:
    text = str(node["Node Type"])
    if index := node.get("Index Name"):
        return f"{text} using {index}"
    if relation := node.get("Relation Name"):
        return f"{text} on {relation}"
    return text


def _line(node: dict[str, Any]) -> str:
    parts = [_node(node), f"rows {node['Plan Rows']} expected"]
    if "Actual Rows" in node:
        parts.append(f"{node['Actual Rows']:g} found in {node['Actual Total Time']:g} ms")
    shown = ("Index Cond", "Filter", "Sort Key", "Order By")
    parts.extend(f"{key}: {node[key]}" for key in shown if node.get(key))
    if removed := node.get("Rows Removed by Filter"):
        parts.append(f"{removed:g} rows removed by the filter")
    if method := node.get("Sort Method"):
        parts.append(f"{method} {node.get('Sort Space Used', 0)} kB")
    return "; ".join(parts)


def verdict(query: HotQuery, before: PlanFigures | None, after: PlanFigures | None) -> str:
    """Return in words how the query stands to its SLA, and what the revision changed."""
    last = after or before
    parts = []
    if before and after and before.milliseconds and after.milliseconds:
        ratio = before.milliseconds / after.milliseconds
        word = "faster" if ratio >= 1 else "slower"
        parts.append(f"{max(ratio, 1 / ratio):.1f} times {word}" if _differs(ratio) else "as fast")
        parts.append(f"{before.buffers} -> {after.buffers} buffers")
        same = before.shape == after.shape
        parts.append("same plan" if same else f"{before.shape} -> {after.shape}")
    if last and last.milliseconds is not None and query.sla_ms is not None:
        inside = "within" if last.milliseconds <= query.sla_ms else "OVER"
        parts.append(f"{inside} its SLA ({last.milliseconds:g} of {query.sla_ms:g} ms)")
    return "; ".join(parts) or "plan shown, not run"


def _differs(ratio: float) -> bool:
    return ratio > 1.1 or ratio < 1 / 1.1
