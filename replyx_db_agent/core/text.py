"""Text from databases and people made fit to be shown: nothing invisible, nothing that acts."""

from __future__ import annotations

import re
import unicodedata

_EMOJI_JOINERS = "\u200c\u200d"
_SPECIAL = re.compile(r"([\\`*\[\]|~$#])")
_OUTER_UNDERSCORE = re.compile(r"(?<![^\W_])_|_(?![^\W_])")
_LINE_START = re.compile(r"^(\d*)([-+=.)]+)(?=\s|$)")
_OPENS_TAG = re.compile(r"<[A-Za-z/!?]")


class Markdown(str):
    """Text that is Markdown already and is not to be escaped again."""

    __slots__ = ()


def printable(text: str) -> str:
    """Drop control, direction and unpaired surrogate characters; a tab becomes a space."""
    return "".join(
        c
        for c in text.replace("\t", " ")
        if c in _EMOJI_JOINERS or unicodedata.category(c) not in {"Cc", "Cf", "Cs"}
    )


def one_line(text: str) -> str:
    """Return the text on one line, with single spaces."""
    return printable(" ".join(text.split())).strip()


def fold(sql: str) -> str:
    """Return a statement with its white space folded, as evidence and plans compare statements."""
    return " ".join(sql.split())


def escape(text: object) -> Markdown:
    """Return the text as one line of Markdown that shows it and does nothing else."""
    if isinstance(text, Markdown):
        return text
    shown = _SPECIAL.sub(r"\\\1", one_line(str(text)))
    shown = _OUTER_UNDERSCORE.sub(r"\\_", shown)
    shown = shown.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return Markdown(_LINE_START.sub(r"\1\\\2", shown))


def code(text: str | None) -> Markdown:
    """Return the text as a code span for a table's cell; escaped where a span cannot hold it."""
    shown = one_line(text or "")
    if not shown or "`" in shown or "\\|" in shown or _OPENS_TAG.search(shown):
        return escape(shown)
    return Markdown("`" + shown.replace("|", "\\|") + "`")


def fenced(text: str, language: str) -> Markdown:
    """Return the text as a fenced block that nothing inside can close."""
    runs = [len(run) for run in re.findall("`+", text)]
    fence = "`" * max(3, *(run + 1 for run in runs), 3)
    return Markdown(f"{fence}{language}\n{text.rstrip()}\n{fence}")
