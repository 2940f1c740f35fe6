"""What a change of a column's type does to the values: nothing, a rewrite, or a loss."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from replyx_db_agent.core.model import AlterColumnType, Facts

Effect = Literal["none", "rewritten", "narrowed"]

_INTEGERS = {"smallint": 5, "integer": 10, "bigint": 19}
_FLOATS = {"real": 6, "double precision": 15}
_TEXTS = ("text", "character varying", "character", "bpchar", "citext")
_VECTORS = ("vector", "halfvec", "sparsevec")
_TIMES = ("timestamp without time zone", "timestamp with time zone")
_CLOCKS = ("time without time zone", "time with time zone")
_BOUNDLESS = 1_000_000


@dataclass(frozen=True)
class Type:
    """A type as format_type prints it, in parts."""

    base: str
    modifiers: tuple[int, ...] = ()
    array: bool = False


def parse_type(text: str) -> Type:
    """Take `character varying(50)[]`, `timestamp(3) with time zone` apart."""
    found = re.fullmatch(
        r"([^(\[]+?)(?:\(([-\d, ]+)\))?((?: with(?:out)? time zone)?)(\[\])*", text
    )
    if found is None:
        return Type(text)
    base = found[1].rpartition(".")[2] if "." in found[1] else found[1]
    modifiers = tuple(int(part) for part in found[2].split(",")) if found[2] else ()
    return Type(base + found[3], modifiers, bool(found[4]))


def old_type(change: AlterColumnType, facts: Facts) -> str | None:
    """Return the type before the change, when anything knows it."""
    return change.old_type or facts.column_types.get((change.table, change.column))


def effect(old: str, new: str) -> Effect:
    """Say what the change does to the values that are there."""
    before, after = parse_type(old), parse_type(new)
    if before == after:
        return "none"
    if before.array != after.array:
        return "narrowed"
    found = _effect(before, after)
    if before.array and found == "none" and after.modifiers:
        return "rewritten"
    return found


def _effect(before: Type, after: Type) -> Effect:
    """Compare two types that are both arrays or both none."""
    judge = _SAME_BASE.get(before.base) if before.base == after.base else None
    if judge:
        return judge(before, after)
    for bases, decide in _FAMILIES:
        if before.base in bases:
            return decide(before, after)
    return "narrowed" if after.base == "boolean" else "rewritten"


def _shorter(before: Type, after: Type) -> Effect:
    """Types with one length: none, or a bound below the old one, or a wider one."""
    old = before.modifiers[0] if before.modifiers else _BOUNDLESS
    new = after.modifiers[0] if after.modifiers else _BOUNDLESS
    return "narrowed" if new < old else "none"


def _padded(before: Type, after: Type) -> Effect:
    """`character(n)` is padded to its length: every value is written again."""
    return "narrowed" if _shorter(before, after) == "narrowed" else "rewritten"


def _numeric(before: Type, after: Type) -> Effect:
    """`numeric(p,s)`: a smaller scale rounds, fewer digits before the point fail."""
    if not after.modifiers:
        return "none"
    if not before.modifiers:
        return "narrowed"
    (old_digits, old_scale), (digits, scale) = before.modifiers, after.modifiers
    if scale < old_scale or digits - scale < old_digits - old_scale:
        return "narrowed"
    return "none" if scale == old_scale else "rewritten"


def _vector(before: Type, after: Type) -> Effect:
    """A vector without a dimension takes any; one with a dimension only its own."""
    return "narrowed" if after.modifiers else "none"


_SAME_BASE: dict[str, Callable[[Type, Type], Effect]] = {
    "character varying": _shorter,
    "character": _padded,
    "numeric": _numeric,
    **dict.fromkeys((*_TIMES, *_CLOCKS, "bit varying"), _shorter),
    **dict.fromkeys(_VECTORS, _vector),
}


def _from_integer(before: Type, after: Type) -> Effect:
    """Every digit must find room."""
    digits = _INTEGERS[before.base]
    return "narrowed" if _room(after) < digits else "rewritten"


def _room(after: Type) -> int:
    """Return how many digits of a whole number fit into a type."""
    if after.base in _INTEGERS:
        return _INTEGERS[after.base]
    if after.base in _FLOATS:
        return _FLOATS[after.base]
    if after.base == "numeric" and after.modifiers:
        return after.modifiers[0] - after.modifiers[1]
    if after.base in _TEXTS and after.modifiers:
        return after.modifiers[0] - 1
    return 0 if after.base == "boolean" else _BOUNDLESS


def _from_text(before: Type, after: Type) -> Effect:
    """Text fits into text that is not shorter; into anything else only by luck."""
    if after.base not in _TEXTS or _shorter(before, after) == "narrowed":
        return "narrowed"
    return "rewritten" if "character" in (before.base, after.base) else "none"


def _from_fraction(before: Type, after: Type) -> Effect:
    """A number with a fraction loses it in an integer and digits in a smaller float."""
    if before.base == "real" and after.base == "double precision":
        return "rewritten"
    limited = after.base == "numeric" and after.modifiers
    lossy = after.base in (*_INTEGERS, *_FLOATS, "boolean", "money")
    return "narrowed" if limited or lossy else "rewritten"


def _from_time(before: Type, after: Type) -> Effect:
    """A timestamp loses its time of day in a date, and its date in a time."""
    return "narrowed" if after.base in ("date", *_CLOCKS) else "rewritten"


def _from_vector(before: Type, after: Type) -> Effect:
    """Half precision loses digits; the other ways only cost a rewrite."""
    return "narrowed" if after.base == "halfvec" else "rewritten"


def _from_address(before: Type, after: Type) -> Effect:
    """Every network is an address; not every address is a network."""
    if before.base == "cidr":
        return "none" if after.base == "inet" else "rewritten"
    return "narrowed" if after.base == "cidr" else "rewritten"


_FAMILIES: tuple[tuple[tuple[str, ...], Callable[[Type, Type], Effect]], ...] = (
    (tuple(_INTEGERS), _from_integer),
    (_TEXTS, _from_text),
    ((*_FLOATS, "numeric", "money"), _from_fraction),
    (_TIMES, _from_time),
    (_VECTORS, _from_vector),
    (("cidr", "inet"), _from_address),
)
