"""The one filter that every outgoing text passes: no password leaves."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import unquote

STARS = "***"
SHORTEST_SECRET = 6
URL_PASSWORD = re.compile(r"(://[^\s:/@]*:)[^\s/@]*(?:@(?=[^\s/]*@)[^\s/@]*)*@")
PASSWORD_CLAUSE = re.compile(r"(?i)(\bpassword\s*=?\s*)('(?:[^']|'')*'|\"[^\"]*\")")


def redact(text: str, secrets: Iterable[str] = ()) -> str:
    """Return the text without passwords of URLs, PASSWORD clauses and the given secrets."""
    for secret in sorted((one for one in secrets if one), key=len, reverse=True):
        text = text.replace(secret, STARS)
    text = URL_PASSWORD.sub(rf"\g<1>{STARS}@", text)
    return PASSWORD_CLAUSE.sub(rf"\g<1>'{STARS}'", text)


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
    """Return the passwords (and whole URLs) that stand in database URLs of the environment.

    A password shorter than six characters or equal to the user's name is masked only where it
    stands in a URL: anywhere else it is an ordinary word.
    """
    found: list[str] = []
    for value in environment.values():
        if match := re.match(r"postgres[\w+]*://([^:/@]*):([^@]*)@", value):
            found.append(value)
            passwords = {match[2], unquote(match[2])} - {match[1]}
            found.extend(p for p in passwords if len(p) >= SHORTEST_SECRET)
    return tuple(found)
