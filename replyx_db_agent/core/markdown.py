"""Markdown the way a reader sees it: which lines are code and what an HTML comment hides."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

LineKind = Literal["text", "fence", "code"]

_FENCE = re.compile(r"\s*(?P<mark>`{3,}|~{3,})\s*(?P<info>.*)")
_HEADING = re.compile(r" {0,3}(?P<marks>#{1,6})(?:[ \t]+(?P<title>.*?))?(?:[ \t]+#+)?[ \t]*")


@dataclass(frozen=True)
class Line:
    """One line: `shown` is its text without comments and line end, `start` its offset."""

    start: int
    kind: LineKind
    shown: str
    info: str = ""

    @property
    def heading(self) -> tuple[int, str] | None:
        """Return (level, title) when the line is a heading."""
        match = _HEADING.fullmatch(self.shown) if self.kind == "text" else None
        return (len(match["marks"]), (match["title"] or "").strip()) if match else None


@dataclass(frozen=True)
class Piece:
    """A stretch of prose (`language` is None) or the content of one fenced block."""

    language: str | None
    text: str


def scan(markdown: str) -> Iterator[Line]:
    """Yield the lines; a fence or a comment that nobody closed goes on to the end."""
    fence, hidden, start = "", False, 0
    for raw in markdown.split("\n"):
        text = raw.removesuffix("\r").removeprefix("\ufeff" if not start else "")
        if fence:
            closed = _closes(text, fence)
            yield Line(start, "fence" if closed else "code", text)
            fence = "" if closed else fence
        else:
            shown, hidden = _without_comments(text, hidden)
            fence, info = _opens(shown)
            yield Line(start, "fence" if fence else "text", shown, info)
        start += len(raw) + 1


def visible(markdown: str) -> str:
    """Return the text without its HTML comments; code blocks stay as they are."""
    return "\n".join(line.shown for line in scan(markdown)).strip()


def pieces(markdown: str) -> Iterator[Piece]:
    """Yield prose and fenced blocks in the order they stand; content loses the fence's indent."""
    language: str | None = None
    indent, lines = 0, list[str]()
    for line in scan(markdown):
        if line.kind != "fence":
            lines.append(_dedent(line.shown, indent))
            continue
        yield Piece(language, "\n".join(lines).strip("\n"))
        lines = []
        if language is None:
            language = line.info.split()[0].lower() if line.info else ""
            indent = len(line.shown) - len(line.shown.lstrip())
        else:
            language, indent = None, 0
    yield Piece(language, "\n".join(lines).strip("\n"))


def _opens(shown: str) -> tuple[str, str]:
    match = _FENCE.fullmatch(shown)
    if match is None or ("`" in match["info"] and match["mark"][0] == "`"):
        return "", ""
    return match["mark"], match["info"].strip()


def _closes(text: str, fence: str) -> bool:
    mark = text.strip()
    return len(mark) >= len(fence) and not mark.strip(fence[0])


def _without_comments(text: str, hidden: bool) -> tuple[str, bool]:
    shown = ""
    while True:
        before, mark, text = text.partition("-->" if hidden else "<!--")
        shown += "" if hidden else before
        if not mark:
            return shown, hidden
        hidden = not hidden


def _dedent(text: str, indent: int) -> str:
    return text[:indent].lstrip() + text[indent:]
