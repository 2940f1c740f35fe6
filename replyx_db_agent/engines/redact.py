"""The one filter that every outgoing text passes: no password leaves."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import unquote

STARS = "***"
SHORTEST_SECRET = 6
URL_PASSWORD = re.compile(r"(://[^\s:/@]*:)[^\s/@]*(?:@(?=[^\s/]*@)[^\s/@]*)*@")
_NAME = r"(?i:\b\w*(?:password|passwd|_pwd))"
_QUOTED = r"(?:[eEnN]|[uU]&)?'(?:[^']|'')*'|\\*\"[^\"]*\"|\$(?P<tag>\w*)\$.*?\$(?P=tag)\$"
# As in SQL (PASSWORD 'x'), in calls (password="x") and in mappings ("password": "x").
PASSWORD_CLAUSE = re.compile(
    rf"({_NAME}(?:\\*[\"']\s*:\s*|\s*[=:]\s*|\s+))(?:{_QUOTED})", re.DOTALL
)
PASSWORD_GLUED = re.compile(rf"((?<![\"']){_NAME})'(?:[^']|'')*'")
# As in a connection string (password=x) and in a shell (PGPASSWORD=x); not a call or SQL.
PASSWORD_WORD = re.compile(rf"({_NAME}=)(?![\w.]*\()[^\s'\"&;,)}}\]]+")
NAMED_SECRET = re.compile(r"(?i)(?:password|passwd|_pwd|secret|token|api_?key)$")
ORDINARY = frozenset({"postgres", "postgresql", "password"})


def redact(text: str, secrets: Iterable[str] = ()) -> str:
    """Return the text without passwords of URLs, PASSWORD clauses and the given secrets."""
    for secret in sorted((one for one in secrets if one), key=len, reverse=True):
        text = text.replace(secret, STARS)
    text = URL_PASSWORD.sub(rf"\g<1>{STARS}@", text)
    text = PASSWORD_CLAUSE.sub(rf"\g<1>'{STARS}'", text)
    text = PASSWORD_GLUED.sub(rf"\g<1>'{STARS}'", text)
    return PASSWORD_WORD.sub(rf"\g<1>{STARS}", text)


def redact_all(value: Any, secrets: Iterable[str] = ()) -> Any:
    """Return plain values (text, lists, mappings) with every text in them redacted."""
    secrets = tuple(secrets)
    if isinstance(value, str):
        return redact(value, secrets)
    if isinstance(value, Mapping):
        return {redact(str(k), secrets): redact_all(v, secrets) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [redact_all(item, secrets) for item in value]
    return value


def secrets_of(environment: Mapping[str, str]) -> tuple[str, ...]:
    """Return the passwords (and whole URLs) of database URLs, and what is named like a secret.

    A password shorter than six characters, equal to the user's name or an ordinary word is masked
    only where it stands in a URL.
    """
    found: list[str] = []
    for name, value in environment.items():
        if NAMED_SECRET.search(name) and not value.isalpha():  # a plain word says nothing
            found.extend(_telling(value))
        if _URL.search(value):
            found += [value, *passwords_of(value)]
    return tuple(dict.fromkeys(found))


def passwords_of(url: str) -> tuple[str, ...]:
    """Return a database URL's password, as written and as meant, where it is worth looking for."""
    match = _URL.search(url)
    found = [p for p in _telling(match[2] or "") if p != match[1]] if match else []
    if query := re.search(r"[?&]password=([^&]*)", url):
        found.extend(_telling(query[1]))
    return tuple(found)


_URL = re.compile(r"postgres[\w+]*://(?:([^:/@]*)(?::([^@]*))?@)?")


def _telling(password: str) -> list[str]:
    """Return the password as written and as meant, unless it is too ordinary to look for."""
    return [
        one
        for one in (password, unquote(password))
        if len(one) >= SHORTEST_SECRET and one.lower() not in ORDINARY
    ]
