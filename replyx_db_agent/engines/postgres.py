"""The only opener of connections: time limits, read-only by default, no password in an error."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, unquote

from replyx_db_agent.core.errors import EnvironmentProblem, InvalidInput

if TYPE_CHECKING:
    import psycopg

_URL = re.compile(
    r"""postgres(?:ql)?(?:\+\w+)?://
        (?:(?P<user>[^:/@]*)(?::(?P<password>[^@]*))?@)?
        (?P<hosts>[^/?@]*)
        (?:/(?P<dbname>[^?@]*))?
        (?:\?(?P<query>[^@]*))?""",
    re.VERBOSE | re.DOTALL,
)
_HOST = re.compile(r"(?:\[(?P<ipv6>[^\]]+)\]|(?P<host>[^:]*))(?::(?P<port>\d+))?")
# asyncpg's and SQLAlchemy's own parameters, which libpq would refuse.
_DRIVER_ONLY = frozenset(
    {
        "async_fallback",
        "prepared_statement_cache_size",
        "prepared_statement_name_func",
        "prepare_threshold",
        "ssl_context",
    }
)
_CORRECT = "correct the URL in {name}."


@dataclass(frozen=True)
class ServerIdentity:
    """Which database of which PostgreSQL cluster a connection has reached."""

    system_identifier: str
    database: str
    server_version_num: int
    host: str


def connect(
    url: str,
    *,
    read_only: bool = True,
    statement_timeout: float = 30.0,
    lock_timeout: float = 5.0,
    autocommit: bool = True,
    connect_timeout: int = 5,
    application_name: str = "replyx-db-agent",
    name: str = "DATABASE_URL",
    options: str = "",
) -> psycopg.Connection:
    """Open a connection to `url`, a libpq URL or one of SQLAlchemy's (the driver part is cut).

    The time limits are in seconds (0: none). `name` is where the URL came from and appears in
    errors in its place; `options` are further settings in the manner of libpq (`-c name=value`).
    """
    # Imported here, so that importing this module costs nothing.
    from psycopg import Connection, Error
    from psycopg.conninfo import make_conninfo

    parameters = parse_url(url, name=name)
    settings = [
        parameters.pop("options", ""),
        f"-c statement_timeout={_milliseconds(statement_timeout)}",
        f"-c lock_timeout={_milliseconds(lock_timeout)}",
        f"-c default_transaction_read_only={'on' if read_only else 'off'}",
        options,
    ]
    arguments = {
        "connect_timeout": str(connect_timeout),
        "application_name": application_name,
        **parameters,
        "options": " ".join(setting for setting in settings if setting),
    }
    problem: EnvironmentProblem
    try:
        connection = Connection.connect(make_conninfo("", **arguments), autocommit=autocommit)
    except Error as error:
        problem = _connection_problem(str(error), parameters, name)
    else:
        connection.read_only = read_only
        return connection
    raise problem  # Outside of the except: psycopg's own text must not travel along.


def rows_of(conn: psycopg.Connection) -> Callable[[str], list[list[Any]]]:
    """Return what runs one SQL text on the connection and gives its rows (`catalog.Query`)."""
    return lambda text: [list(row) for row in conn.execute(text.encode()).fetchall()]


def parse_url(url: str, *, name: str = "DATABASE_URL") -> dict[str, str]:
    """Return the parameters that libpq needs for `url`; errors never repeat any part of it."""
    match = _URL.fullmatch(url.strip())
    if match is None:
        raise InvalidInput(
            f'The value of "{name}" is not a PostgreSQL URL.',
            instead="Write it as postgresql://HOST:PORT/DATABASE, with USER:PASSWORD@ before HOST, "
            "with @ : / ? # in the user and the password percent-encoded.",
        )
    parts = {
        key: unquote(match[key]) for key in ("user", "password", "dbname") if match[key] is not None
    }
    hosts, ports = _hosts(match["hosts"], name)
    query = [pair for pair in parse_qsl(match["query"] or "") if pair[0] not in _DRIVER_ONLY]
    parts |= {"host": hosts, "port": ports}
    for key, value in query:
        parts[_libpq_parameter(key)] = value
    if "," not in parts["host"]:
        _split_host(parts)
    return {key: value for key, value in parts.items() if value}


def identity(conn: psycopg.Connection) -> ServerIdentity:
    """Read which cluster, database and version `conn` has reached (one round trip)."""
    from psycopg import Error, errors

    try:
        row = conn.execute(
            "SELECT system_identifier::text, current_database()::text, "
            "current_setting('server_version_num')::int FROM pg_control_system()"
        ).fetchone()
    except errors.InsufficientPrivilege:
        row = None
    except Error as error:
        raise EnvironmentProblem(
            f"PostgreSQL did not tell which cluster it is ({type(error).__name__}).",
            instead="Check that it is PostgreSQL 13 or later, reached without a proxy.",
        ) from None
    if row is None:
        raise EnvironmentProblem(
            f'The role "{conn.info.user}" may not run "pg_control_system()".',
            instead="Grant it: GRANT EXECUTE ON FUNCTION pg_control_system() TO the role.",
        )
    return ServerIdentity(row[0], row[1], row[2], conn.info.host)


def _milliseconds(seconds: float) -> int:
    """Round up, because 0 would mean "no limit"."""
    return -int(-seconds * 1000 // 1)


def _libpq_parameter(key: str) -> str:
    return "sslmode" if key == "ssl" else key


def _hosts(text: str, name: str) -> tuple[str, str]:
    """Split "a:1,b:2" into "a,b" and "1,2"."""
    hosts, ports = [], []
    for part in text.split(","):
        match = _HOST.fullmatch(part)
        if match is None:
            raise InvalidInput(
                f'The host and port in "{name}" cannot be read.',
                instead="Percent-encode @ : / ? # in the user and the password, "
                "and write the port as a number.",
            )
        hosts.append(unquote(match["ipv6"] or match["host"]))
        ports.append(match["port"] or "")
    return ",".join(hosts), ",".join(ports) if any(ports) else ""


def _split_host(parts: dict[str, str]) -> None:
    """SQLAlchemy writes ?host=NAME:PORT."""
    host, colon, port = parts["host"].rpartition(":")
    if colon and port.isdigit() and ":" not in host and not host.startswith("/"):
        parts["host"], parts["port"] = host, port


def _connection_problem(text: str, parameters: dict[str, str], name: str) -> EnvironmentProblem:
    """Turn libpq's text into one sentence of ours."""
    where = f'PostgreSQL at "{_address(parameters)}"'
    user, database = parameters.get("user", ""), parameters.get("dbname", "")
    correct = _CORRECT.format(name=f'"{name}"')
    known = {
        r"Connection refused|could not connect to server|No such file or directory": (
            f"{where} does not answer: connection refused.",
            f"Start it, or {correct}",
        ),
        r"timeout expired|timed out": (
            f"{where} does not answer: no reply in time.",
            f"Check the network and the firewall, or {correct}",
        ),
        r"could not translate host name|failed to resolve host|nodename nor servname"
        r"|Name or service not known": (
            f'The host of {where} is unknown (name: "{parameters.get("host", "")}").',
            f"Check the network's name service, or {correct}",
        ),
        r"password authentication failed|прошёл проверку подлинности|no password supplied"
        r"|fe_sendauth": (
            f'{where} does not accept the password of the user "{user}".',
            _sentence(correct),
        ),
        r'database ".*" does not exist|база данных ".*" не существует': (
            f'{where} has no database "{database}".',
            f"Create it, or {correct}",
        ),
        r'role ".*" does not exist|роль ".*" не существует': (
            f'{where} has no user "{user}".',
            f"Create it, or {correct}",
        ),
        r"permission denied for database|нет доступа к базе": (
            f'{where} does not let the user "{user}" into the database "{database}".',
            f"Grant CONNECT on it, or {correct}",
        ),
        r"too many (?:clients|connections)|remaining connection slots": (
            f"{where} has no free connection.",
            "Close idle connections, or raise max_connections, and try again.",
        ),
        r"starting up|shutting down|recovery mode": (
            f"{where} is starting or stopping.",
            "Try again in a moment.",
        ),
        r"unsupported startup parameter": (
            f"{where} is a connection pooler that takes no session settings.",
            f"Give the address of PostgreSQL itself in \"{name}\".",
        ),
        r"no pg_hba\.conf entry": (
            f'{where} does not let the user "{user}" in from this machine (pg_hba.conf).',
            f"Add a line for it to pg_hba.conf, or {correct}",
        ),
        r"invalid (?:connection option|URI query parameter|\w+ value)": (
            "A parameter of the URL is not one PostgreSQL's client library knows.",
            _sentence(correct),
        ),
    }  # fmt: skip
    for pattern, (problem, instead) in known.items():
        if re.search(pattern, text, re.IGNORECASE):
            return EnvironmentProblem(problem, instead=instead)
    return EnvironmentProblem(
        f"{where} refused the connection: {_without_secrets(text, parameters).rstrip('.')}.",
        instead=_sentence(correct),
    )


def _address(parameters: dict[str, str]) -> str:
    host = parameters.get("host", "localhost")
    return host if host.startswith("/") else f"{host}:{parameters.get('port', '5432')}"


def _sentence(text: str) -> str:
    return text[0].upper() + text[1:]


def _without_secrets(text: str, parameters: dict[str, str]) -> str:
    """Return the last line of `text` (the server's own words) without password or options."""
    line = text.strip().splitlines()[-1] if text.strip() else "no reason given."
    for key in ("password", "sslpassword", "options"):
        if secret := parameters.get(key):
            line = line.replace(secret, "***")
    return line
