"""A named hot query: one SELECT with sample parameters and an SLA in the header's comments."""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass
from math import inf

from replyx_db_agent.core.errors import InvalidInput

_HEADER = re.compile(r"^--\s*(name|sla_ms|params):\s*(.*?)\s*$", re.MULTILINE)


@dataclass(frozen=True)
class HotQuery:
    """One query to measure.

    `samples` holds one comma-separated list of SQL literals per sample, for $1, $2 ...; a query
    without parameters has one empty sample. `sla_ms` is in milliseconds, None when none is set.
    """

    name: str
    sql: str
    samples: tuple[str, ...] = ("",)
    sla_ms: float | None = None


def read_hot_query(text: str, name: str) -> HotQuery:
    """Read a query file; `name` (its file's stem) serves when the header has none.

    Raises:
        InvalidInput: sla_ms is no number, or there is no SQL under the header.
    """
    header = [(m[1], m[2]) for m in _HEADER.finditer(text)]
    values = dict(header)
    samples = tuple(value for key, value in header if key == "params")
    body = re.sub(r"^--.*$", "", text, flags=re.MULTILINE).strip().rstrip(";").strip()
    if not body:
        raise InvalidInput(f'Query "{name}" holds no SQL.', instead="Write one SELECT into it.")
    if re.search(r"\$\d", body) and not any(samples):
        raise InvalidInput(
            f'Query "{name}" has parameters ($1 ...) but no sample.',
            instead="Add a line such as `-- params: 1` to its header.",
        )
    return HotQuery(values.get("name", name), body, samples or ("",), _number(values, name))


def _number(values: dict[str, str], name: str) -> float | None:
    if "sla_ms" not in values:
        return None
    with suppress(ValueError):
        if 0 < (milliseconds := float(values["sla_ms"])) < inf:
            return milliseconds
    raise InvalidInput(
        f'Query "{name}" has sla_ms "{values["sla_ms"]}".',
        instead="Give the SLA in milliseconds, for example `-- sla_ms: 20`.",
    )
