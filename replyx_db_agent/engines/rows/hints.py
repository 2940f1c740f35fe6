"""What a CHECK constraint or a partition bound says about the values it lets through."""

from __future__ import annotations

import re
import string
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from replyx_db_agent.engines.quoting import quote_literal
from replyx_db_agent.engines.rows.values import Cell, Type

_LITERAL = re.compile(r"'((?:[^']|'')*)'")
_NUMBER = re.compile(r"(?<![\w'.])-?\d+(?:\.\d+)?(?![\w.])")
_PATTERN = re.compile(r"(!?~\*?|!?~~\*?)\s*'((?:[^']|'')*)'")
_BOUND_ITEMS = re.compile(r"'(?:[^']|'')*'|[^,()\s]+")
_CLASSES = {
    "\\d": string.digits,
    "\\w": string.ascii_lowercase + string.digits + "_",
    "\\s": " ",
}
_NAMED = {
    "digit": string.digits,
    "alpha": string.ascii_letters,
    "alnum": string.ascii_lowercase + string.ascii_uppercase + string.digits,
    "lower": string.ascii_lowercase,
    "upper": string.ascii_uppercase,
    "space": " ",
    "xdigit": string.hexdigits,
}


@dataclass(frozen=True)
class Hint:
    """A value worth a try, as an SQL expression to be cast; `unique`: one for each row."""

    text: str
    unique: bool = False


def check_hints(checks: Sequence[str], of: Type, cell: Cell) -> list[Hint]:
    """Return values taken from the texts of CHECK constraints about a column of this type."""
    while of.base is not None:
        of = of.base
    if of.element is not None and of.element.category == "S":
        return [Hint(f"'{{' || {hint.text} || '}}'") for hint in _texts(checks, cell)]
    if of.word in ("json", "jsonb"):
        return _documents(checks)
    if of.kind == "e":
        return [Hint(quote_literal(word)) for word in _literals(checks) if word in of.labels]
    by_category = {"N": _numbers, "S": _texts, "D": _dates}
    hints = by_category.get(of.category)
    return hints(checks, cell) if hints else []


def bound_hints(strategy: str, position: int, bounds: Sequence[str]) -> list[Hint]:
    """Return values of the key column at `position` that lie inside the given partitions."""
    found: list[Hint] = []
    for bound in bounds:
        items = _BOUND_ITEMS.findall(bound.partition("(")[2].partition(") TO")[0])
        if strategy == "r":
            items = items[position : position + 1]
        words = [item for item in items if item not in ("NULL", "MINVALUE", "MAXVALUE")]
        found += [
            Hint(quote_literal(word.strip("'").replace("''", "'")))
            for word in words
            if strategy != "h"
        ]
    return found


def _numbers(checks: Sequence[str], cell: Cell) -> list[Hint]:
    found = {number for text in checks for number in _NUMBER.findall(_unquoted_numbers(text))}
    hints = [
        Hint(f"({number} + {step})::numeric") for number in sorted(found) for step in (0, 1, -1)
    ]
    shifted = [Hint(f"({number} + {cell.row})::numeric", unique=True) for number in sorted(found)]
    return hints + shifted


def _unquoted_numbers(text: str) -> str:
    return re.sub(r"'(-?\d+(?:\.\d+)?)'::\w+", r"\1", text)


def _literals(checks: Sequence[str]) -> list[str]:
    """Return the string literals of the checks, patterns left out."""
    bare = (_PATTERN.sub("", text) for text in checks)
    found = (word.replace("''", "'") for text in bare for word in _LITERAL.findall(text))
    return list(dict.fromkeys(found))


def _texts(checks: Sequence[str], cell: Cell) -> list[Hint]:
    lengths = {
        int(n) for text in checks for n in _NUMBER.findall(text) if re.fullmatch(r"\d{1,4}", n)
    }
    sized = [
        Hint(f"lpad(({cell.row})::text, {length}, 'x')", unique=length > 7)
        for length in sorted(lengths)
        if length
    ]
    return [
        *_from_patterns(checks, cell),
        *(Hint(quote_literal(word)) for word in _literals(checks)),
        *sized,
    ]


def _from_patterns(checks: Sequence[str], cell: Cell) -> list[Hint]:
    hints = []
    for operator, escaped in (found for text in checks for found in _PATTERN.findall(text)):
        pattern = escaped.replace("''", "'")
        if "~~" in operator:
            hints.append(_like_hint(pattern, cell.row))
        else:
            hints.append(pattern_hint(pattern, cell.row))
    return hints


def _like_hint(pattern: str, row: str) -> Hint:
    """Return a text that a LIKE pattern matches, with the row's number for each percent sign."""
    wild = {"%": f"({row})::text", "_": "'a'"}
    marks = re.findall(r"\\.|.", pattern, re.DOTALL)
    parts = [wild.get(mark) or quote_literal(mark[-1]) for mark in marks]
    return Hint(" || ".join(parts) or "''", unique="%" in marks)


def _dates(checks: Sequence[str], cell: Cell) -> list[Hint]:
    days = [word for word in _literals(checks) if re.match(r"\d{4}-\d\d-\d\d", word)]
    moved = [
        Hint(f"(timestamptz {quote_literal(day)} + ({cell.row}) * interval '{step}')::text", True)
        for day in days
        for step in ("1 minute", "-1 minute")
    ]
    return [*(Hint(quote_literal(day)) for day in days), *moved]


def _documents(checks: Sequence[str]) -> list[Hint]:
    keys = "".join(f", {quote_literal(key)}, 'a'" for key in _literals(checks))
    built = f"jsonb_build_object({keys.removeprefix(', ')})::text" if keys else "'{}'"
    return [Hint(text) for text in (built, "'{}'", "'[]'", "'\"a\"'", "'1'")]


@dataclass(frozen=True)
class _Atom:
    """A character of a pattern, or one out of several, and how often it stands there."""

    characters: str
    least: int = 1
    most: int | None = 1


def pattern_hint(pattern: str, row: str) -> Hint:
    """Return a text that a regular expression matches; unique if the pattern has room for it."""
    atoms = list(_Pattern(pattern).atoms())
    widest = max(
        (atom for atom in atoms if _numerals(atom.characters)),
        key=lambda atom: 99 if atom.most is None else atom.most,
        default=None,
    )
    if widest is None or (widest.most or 99) < 2:
        return Hint(" || ".join(_fixed(atom) for atom in atoms) or "''")
    place = atoms.index(widest)
    parts = [_fixed(atom) for atom in atoms]
    parts[place] = _numbered(widest, row)
    return Hint(" || ".join(parts), unique=(widest.most or 99) > 4)


def _numerals(characters: str) -> str | None:
    """Return ten of the characters that can stand for the digits of a number."""
    for ten in (string.digits, string.ascii_lowercase[:10], string.ascii_uppercase[:10]):
        if set(ten) <= set(characters):
            return ten
    return None


def _fixed(atom: _Atom) -> str:
    times = max(atom.least, 1 if atom.most is None else min(atom.most, 1))
    return quote_literal(atom.characters[:1] * times)


def _numbered(atom: _Atom, row: str) -> str:
    ten = _numerals(atom.characters) or string.digits
    number = f"({row})::text"
    length = f"greatest({max(atom.least, 1)}, length({number}))"
    if atom.most is not None:
        length = f"least({atom.most}, {length})"
    return f"translate(lpad({number}, {length}, '0'), '{string.digits}', '{ten}')"


class _Pattern:
    """Reads the simple part of PostgreSQL's regular expressions, left to right."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0

    def atoms(self) -> Iterator[_Atom]:
        """Yield the atoms of the first alternative up to the end or a closing parenthesis."""
        while self.at < len(self.text) and self.text[self.at] != ")":
            if self.text[self.at] == "|":
                self._skip_alternatives()
                return
            yield from self._next()

    def _next(self) -> Iterator[_Atom]:
        character = self.text[self.at]
        if character in "^$":
            self.at += 1
            return
        if character == "(":
            yield from self._group()
            return
        characters = self._one_of()
        least, most = self._times()
        yield _Atom(characters, least, most)

    def _group(self) -> Iterator[_Atom]:
        self.at += 3 if self.text.startswith("(?:", self.at) else 1
        inner = list(self.atoms())
        self.at += 1
        least, _ = self._times()
        for _ in range(max(least, 1) if inner else 0):
            yield from inner

    def _skip_alternatives(self) -> None:
        depth = 0
        while self.at < len(self.text):
            depth += {"(": 1, ")": -1}.get(self.text[self.at], 0)
            if depth < 0:
                return
            self.at += 1

    def _one_of(self) -> str:
        character = self.text[self.at]
        if character == "[":
            return self._bracket()
        if character == "\\":
            pair = self.text[self.at : self.at + 2]
            self.at += 2
            return _CLASSES.get(pair, pair[1:])
        self.at += 1
        return string.ascii_lowercase + string.digits if character == "." else character

    def _bracket(self) -> str:
        inside = re.compile(r"\[(\^?)(\]?(?:\[:\w+:\]|\\.|[^\]])*)\]").match(self.text, self.at)
        if inside is None:
            self.at += 1
            return "["
        self.at = inside.end()
        found = _members(inside[2])
        if inside[1]:
            every = string.ascii_lowercase + string.digits + string.ascii_uppercase + "-_."
            return "".join(c for c in every if c not in found)
        return found

    def _times(self) -> tuple[int, int | None]:
        found = re.compile(r"([*+?])\??|\{(\d+)(,?)(\d*)\}").match(self.text, self.at)
        if found is None:
            return 1, 1
        self.at = found.end()
        if found[1]:
            return {"*": (0, None), "+": (1, None), "?": (0, 1)}[found[1]]
        least = int(found[2])
        if not found[3]:
            return least, least
        return least, int(found[4]) if found[4] else None


def _members(inside: str) -> str:
    """Return the characters that the inside of a bracket expression names."""
    named = "".join(_NAMED.get(name, "") for name in re.findall(r"\[:(\w+):\]", inside))
    rest = re.sub(r"\[:\w+:\]", "", inside)
    classes = "".join(_CLASSES.get(pair, "") for pair in re.findall(r"\\[dws]", rest))
    rest = re.sub(r"\\[dws]", "", rest).replace("\\", "")
    spans = re.findall(r"(.)-(.)|(.)", rest, re.DOTALL)
    plain = "".join(
        "".join(map(chr, range(ord(low), ord(high) + 1))) if low else one
        for low, high, one in spans
    )
    return named + classes + plain
