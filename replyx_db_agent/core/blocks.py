"""Generated blocks inside documents that belong to people.

A block stands between `<!-- replyx-db-agent:begin NAME sha256=... -->` and
`<!-- replyx-db-agent:end NAME -->`. Everything else is kept byte for byte. The digest in the first
line tells whether somebody edited the block by hand; such an edit is moved out, never lost.
"""

from __future__ import annotations

import hashlib
import re

from replyx_db_agent.core import markdown as md
from replyx_db_agent.core.text import fenced

_BLOCK = re.compile(
    r"^<!-- replyx-db-agent:begin (?P<name>\w+)(?: sha256=(?P<digest>\S*))? -->[ \t]*\r?\n"
    r"(?P<content>(?:(?!<!-- replyx-db-agent:(?:begin|end) (?P=name)\b).*\n)*)"
    r"<!-- replyx-db-agent:end (?P=name) -->",
    re.M,
)


def merge(existing: str, fresh: str, *, hand_edits: str, before_sections: bool = False) -> str:
    """Return the existing document with the blocks of the fresh one.

    `hand_edits` is the heading under which an edited block is kept. A block that the document
    lacks comes behind the one before it, else before the first section or at the end.
    """
    new_line = "\r\n" if "\r\n" in existing else "\n"
    fresh = _BLOCK.sub(_sealed, fresh).replace("\n", new_line)
    if not existing.strip():
        return fresh
    text, previous = existing, ""
    for block in _BLOCK.finditer(fresh):
        if _find(text, block["name"]):
            text = _replaced(text, block, hand_edits, new_line)
        else:
            place = _place_behind(text, previous, before_sections=before_sections)
            text = _inserted(text, place, block[0], new_line)
        previous = block["name"]
    return text


def edited_blocks(document: str) -> tuple[str, ...]:
    """Return the names of the blocks that somebody edited by hand."""
    return tuple(
        block["name"]
        for block in _BLOCK.finditer(document)
        if block["digest"] != _digest(block["content"])
    )


def _sealed(block: re.Match[str]) -> str:
    name, content = block["name"], block["content"]
    return (
        f"<!-- replyx-db-agent:begin {name} sha256={_digest(content)} -->\n"
        f"{content}<!-- replyx-db-agent:end {name} -->"
    )


def _digest(content: str) -> str:
    return hashlib.sha256(_unix(content).encode("utf-8", "replace")).hexdigest()[:12]


def _unix(text: str) -> str:
    # Git may have changed the line ends at checkout; that is no edit.
    return text.replace("\r\n", "\n")


def _find(text: str, name: str) -> re.Match[str] | None:
    return next((block for block in _BLOCK.finditer(text) if block["name"] == name), None)


def _replaced(text: str, fresh: re.Match[str], hand_edits: str, new_line: str) -> str:
    old = _find(text, fresh["name"])
    assert old is not None
    before, after = text[: old.start()], text[old.end() :]
    if _digest(old["content"]) in (old["digest"], _digest(fresh["content"])):
        return before + fresh[0] + after
    kept = _kept(old["content"])
    if kept in _unix(before + after):
        return before + fresh[0] + after
    rescued = f"\n\n## {hand_edits} ({fresh['name']})\n\n{kept}".replace("\n", new_line)
    return before + fresh[0] + rescued + after


def _kept(content: str) -> str:
    """Return the edited content as a code block, its markers made harmless."""
    return fenced(_unix(content).replace("<!-- replyx-db-agent:", "<!-- "), "markdown")


def _place_behind(text: str, previous: str, *, before_sections: bool) -> int:
    block = _find(text, previous) if previous else None
    if block:
        return block.end()
    if before_sections:
        for line in md.scan(text):
            if line.heading and line.heading[0] == 2:
                return line.start
    return len(text)


def _inserted(text: str, place: int, block: str, new_line: str) -> str:
    before, after = text[:place], text[place:]
    gap_before = "" if before.endswith(new_line * 2) or not before else new_line
    if before and not before.endswith("\n"):
        gap_before = new_line * 2
    gap_after = new_line if after.startswith(("\n", "\r")) or not after else new_line * 2
    return before + gap_before + block + gap_after + after
