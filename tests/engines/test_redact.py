"""The filter that every outgoing text passes."""

from __future__ import annotations

import pytest

from replyx_db_agent.engines.redact import redact, redact_all, secrets_of


@pytest.mark.parametrize(
    "text",
    [
        "postgresql://app:canary@host/db",
        "postgresql+asyncpg://app:canary@host:5432/db?x=1",
        "two: postgres://a:canary@h/d and mysql://b:canary@h/d",
        "postgresql://app:can@ary:canary@host/db",
        "https://:canary@proxy",
        "ALTER ROLE app PASSWORD 'canary'",
        "CREATE USER app WITH ENCRYPTED PASSWORD 'can''canary'",
        "CREATE USER app PASSWORD'canary'",
        "ALTER ROLE app PASSWORD E'canary'",
        "ALTER ROLE app PASSWORD $$canary$$",
        "ALTER ROLE app PASSWORD $x$canary$x$",
        'create_engine(password="canary")',
        "connect(password = 'canary')",
        '{"password": "canary"}',
        "{'db_password': 'canary'}",
        '{\\"password\\": \\"canary\\"}',
        "host=db user=app password=canary dbname=app",
        "PGPASSWORD=canary psql",
        "postgresql://h/db?user=a&password=canary&sslmode=require",
    ],
)
def test_a_password_is_masked_wherever_it_is_recognised(text: str) -> None:
    assert "canary" not in redact(text)
    assert "***" in redact(text)
    assert redact(redact(text)) == redact(text)


@pytest.mark.parametrize(
    "text",
    [
        "postgresql://host/db",
        "see https://www.postgresql.org/docs/18/sql-altertable.html#X: it says so",
        'op.add_column("users", sa.Column("password", "text"))',
        "op.drop_column('users', 'password_hash')",
        "ALTER TABLE users ADD COLUMN password_hash text DEFAULT 'x'",
        "UPDATE users SET password_hash = md5('x')",
        "UPDATE users SET password=crypt('x', 'y')",
        "wrong password: try again",
        "mail@example.com at 12:30",
        "PWD=/srv/project and OLDPWD=/srv",
    ],
)
def test_ordinary_text_stays_as_it_is(text: str) -> None:
    assert redact(text) == text


def test_given_secrets_are_masked_longest_first() -> None:
    assert (
        redact("one secret-long, one secret", ["secret", "secret-long", ""]) == "one ***, one ***"
    )


def test_every_text_inside_of_values_is_masked() -> None:
    value = {"a://b:canary@c": ["x canary", ("canary", 3, None, True)], "n": 1.5}
    masked = redact_all(value, ["canary"])
    assert masked == {"a://b:***@c": ["x ***", ["***", 3, None, True]], "n": 1.5}


def test_secrets_of_an_environment_are_its_passwords_as_written_and_as_meant() -> None:
    found = secrets_of(
        {
            "DATABASE_URL": "postgresql://app:can%40ary@host/db",
            "OTHER": "postgres://h/d?user=a&password=second1",
            "QUOTED": ' "postgresql+psycopg://x:thirdone@h/d"',
            "PGPASSWORD": "fourth-one",
            "API_KEY": "fifth-one",
            "PATH": "/usr/bin",
            "PWD": "/srv/project",
            "OLDPWD": "/srv/other",
            "SOME_TOKEN": "enabled",
        }
    )
    assert {"can%40ary", "can@ary", "second1", "thirdone", "fourth-one", "fifth-one"} <= set(found)
    assert not {"/usr/bin", "/srv/project", "/srv/other", "enabled"} & set(found)


@pytest.mark.parametrize("password", ["", "short", "app-user", "postgres"])
def test_a_password_that_is_an_ordinary_word_is_masked_only_in_its_url(password: str) -> None:
    url = f"postgresql://app-user:{password}@host/db"
    found = secrets_of({"DATABASE_URL": url})
    assert password not in found
    assert redact(f"at {url}", found) == "at ***"
