"""Whatever database the project names, its connections go to the session's (guardrail G6).

SQLAlchemy's `do_connect` catches engines made from a URL; the drivers' own connect functions
catch what passes it by: `creator`, pools of their own, connections without SQLAlchemy.
"""

from __future__ import annotations

import functools
import importlib
import os
import shlex
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Any
from urllib.parse import unquote

from sqlalchemy import event
from sqlalchemy.engine import URL, Engine, make_url

from replyx_db_agent.worker.problems import Problem

# What a project may say about *how* it connects; every word about *where* and *as whom* is ours.
KEPT = frozenset(
    {
        "application_name",
        "autocommit",
        "client_encoding",
        "command_timeout",
        "connect_timeout",
        "connection_class",
        "connection_factory",
        "context",
        "cursor_factory",
        "init",
        "keepalives",
        "keepalives_count",
        "keepalives_idle",
        "keepalives_interval",
        "loop",
        "max_cacheable_statement_size",
        "max_cached_statement_lifetime",
        "options",
        "prepare_threshold",
        "prepared_statement_cache_size",
        "prepared_statement_name_func",
        "record_class",
        "row_factory",
        "server_settings",
        "statement_cache_size",
        "tcp_keepalive",
        "tcp_user_timeout",
        "timeout",
    }
)


class Target:
    """The one database of this job, in the words of each driver."""

    def __init__(self, database_url: str | None, lock_timeout: float | None = None) -> None:
        self._url = session_url(database_url) if database_url else None
        self._lock_timeout = lock_timeout

    @property
    def url(self) -> URL:
        """The session's URL; a job that has no database refuses to connect at all."""
        if self._url is None:
            raise Problem(
                "The project opened a connection while only its files were being read.",
                instead="Connect inside env.py's functions, not where a module is imported.",
            )
        return self._url

    def libpq(self) -> dict[str, Any]:
        """Arguments for psycopg and psycopg2: libpq's own words."""
        url = self.url
        words = url.translate_connect_args(username="user", database="dbname")
        words.update({key: _text(value) for key, value in url.query.items()})
        if self._lock_timeout is not None:
            limit = f"-c lock_timeout={round(self._lock_timeout * 1000)}"
            words["options"] = f"{limit} {words.get('options', '')}".strip()
        return words

    def asyncpg(self) -> dict[str, Any]:
        """Arguments for asyncpg, which knows a socket as a host and sslmode as ssl."""
        words = self.libpq()
        known = {"database": words["dbname"]} if "dbname" in words else {}
        for key in ("host", "user", "password"):
            if key in words:
                known[key] = words[key]
        known["port"] = int(words.get("port") or 5432)
        if "sslmode" in words:
            known["ssl"] = words["sslmode"]
        settings = settings_of(words.get("options", ""))
        return {**known, **({"server_settings": settings} if settings else {})}

    def pg8000(self) -> dict[str, Any]:
        """Arguments for pg8000, which wants the socket's file."""
        words = self.asyncpg()
        host = words.pop("host", "localhost")
        for unknown in ("ssl", "server_settings"):
            words.pop(unknown, None)
        if host.startswith("/"):
            return {**words, "unix_sock": f"{host}/.s.PGSQL.{words['port']}"}
        return {**words, "host": host}

    def words_for(self, driver: str) -> dict[str, Any]:
        """Return the arguments in the words of the driver with this name."""
        words = {"asyncpg": self.asyncpg, "pg8000": self.pg8000}.get(driver, self.libpq)
        return words()


def session_url(text: str) -> URL:
    """Return the URL in SQLAlchemy's form; a percent-coded socket becomes a host parameter."""
    url = make_url(text.replace("postgres://", "postgresql://", 1))
    if url.host and "%" in url.host:
        host = unquote(url.host)
        url = url.set(host=None).update_query_dict({"host": host})
    return url


def spelled_for(text: str, scheme: str) -> str:
    """Return the URL with this scheme: the spelling the project's code expects."""
    return f"{scheme or usual_scheme()}://{text.partition('://')[2]}"


def usual_scheme() -> str:
    """Return `postgresql`, with a driver when SQLAlchemy's default one is not installed."""
    from sqlalchemy.dialects.postgresql import dialect

    if dialect.driver in sys.modules:
        return "postgresql"
    installed = [name for name in ("psycopg", "asyncpg", "pg8000") if name in sys.modules]
    return f"postgresql+{installed[0]}" if installed else "postgresql"


def settings_of(options: str) -> dict[str, str]:
    """Return the settings in libpq's `options`: `-c name=value`, `-cname=value`, `--name=value`."""
    text = options.replace("-c ", "-c").replace("--", "-c")
    pairs = [word[2:].partition("=") for word in shlex.split(text) if word.startswith("-c")]
    return {name.replace("-", "_"): value for name, equals, value in pairs if equals}


def redirect_engines(target: Target) -> None:
    """Layer 2: every SQLAlchemy engine, whatever its URL."""

    def to_target(dialect: Any, _record: Any, arguments: list[Any], words: dict[str, Any]) -> None:
        if dialect.name != "postgresql":
            if dialect.name == "sqlite" and (arguments or [""])[0] == ":memory:":
                return
            raise Problem(
                f"The project connects to a {dialect.name} database.",
                instead="Only PostgreSQL can be rehearsed; let env.py connect to DATABASE_URL.",
            )
        wanted = _merged(words, target.words_for(dialect.driver))
        arguments[:] = []
        words.clear()
        words.update(wanted)

    event.listen(Engine, "do_connect", to_target)


def redirect_drivers(target: Target) -> None:
    """Layer 3: the connect functions of the drivers that are loaded."""
    patches = {
        "psycopg": _redirect_psycopg,
        "psycopg2": _redirect_psycopg2,
        "asyncpg": _redirect_asyncpg,
        "pg8000": _redirect_pg8000,
    }
    for name, patch in patches.items():
        if name in sys.modules:
            patch(sys.modules[name], target)


def _redirect_psycopg(psycopg: Any, target: Target) -> None:
    for kind in (psycopg.Connection, psycopg.AsyncConnection):
        connect = _redirected_method(kind.connect.__func__, _psycopg_words, target)
        kind.connect = classmethod(connect)
    psycopg.connect = psycopg.Connection.connect


def _redirect_psycopg2(psycopg2: Any, target: Target) -> None:
    psycopg2.connect = _redirected(psycopg2.connect, _psycopg2_words, target.libpq)


def _redirect_asyncpg(asyncpg: Any, target: Target) -> None:
    connect = _redirected(asyncpg.connection.connect, _no_words, target.asyncpg)
    asyncpg.connect = asyncpg.connection.connect = connect


def _redirect_pg8000(_pg8000: Any, target: Target) -> None:
    """Patch the constructor of the connection, where all of pg8000's ways come together."""
    core = importlib.import_module("pg8000.core")
    inherited = core.CoreConnection.__init__

    @functools.wraps(inherited)
    def initialise(self: Any, *_arguments: Any, **words: Any) -> None:
        inherited(self, **_merged(words, target.pg8000()))

    core.CoreConnection.__init__ = initialise


def _redirected_method(inherited: Any, read: Any, target: Target) -> Callable[..., Any]:
    @functools.wraps(inherited)
    def connect(cls: Any, *arguments: Any, **words: Any) -> Any:
        given = {**read(arguments), **words}
        return inherited(cls, "", **_merged(given, target.libpq()))

    return connect


def _redirected(inherited: Any, read: Any, words_of_target: Any) -> Callable[..., Any]:
    @functools.wraps(inherited)
    def connect(*arguments: Any, **words: Any) -> Any:
        given = {**read(arguments), **words}
        return inherited(**_merged(given, words_of_target()))

    return connect


def _psycopg_words(arguments: tuple[Any, ...]) -> dict[str, Any]:
    from psycopg.conninfo import conninfo_to_dict

    with suppress(Exception):
        return dict(conninfo_to_dict(arguments[0])) if arguments else {}
    return {}


def _psycopg2_words(arguments: tuple[Any, ...]) -> dict[str, Any]:
    parse_dsn = importlib.import_module("psycopg2.extensions").parse_dsn
    names = ("dsn", "connection_factory", "cursor_factory")
    given = {name: value for name, value in zip(names, arguments)}  # noqa: B905, C416 - Python 3.9
    with suppress(Exception):
        given.update(parse_dsn(given.pop("dsn", "") or ""))
    return given


def _no_words(_arguments: tuple[Any, ...]) -> dict[str, Any]:
    return {}


def _merged(given: dict[str, Any], target: dict[str, Any]) -> dict[str, Any]:
    kept = {key: value for key, value in given.items() if key in KEPT and value is not None}
    both = {**kept, **target}
    if kept.get("options") and target.get("options") and kept["options"] != target["options"]:
        both["options"] = f"{target['options']} {kept['options']}"
    if kept.get("server_settings") and target.get("server_settings"):
        both["server_settings"] = {**target["server_settings"], **kept["server_settings"]}
    return both


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ",".join(value)


def scrub_environment(given: dict[str, str], url: str | None, schemes: dict[str, str]) -> None:
    """Layer 1: leave only what the host lists, and the session's URL under the names it gives."""
    os.environ.clear()
    os.environ.update({name: value for name, value in given.items() if not name.startswith("PG")})
    for name, scheme in schemes.items():
        os.environ.pop(name, None)
        if url:
            os.environ[name] = spelled_for(url, scheme)
