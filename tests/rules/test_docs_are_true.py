"""Every example in a rule's documentation is a test, of the rule and on a real PostgreSQL."""

from __future__ import annotations

import re
from collections.abc import Iterator
from types import ModuleType

import psycopg
import pytest

from replyx_db_agent.core.model import HazardKind, Risk
from replyx_db_agent.engines.postgres import connect
from replyx_db_agent.engines.shadow import ShadowDatabase, ShadowServer
from replyx_db_agent.rules import RULES, judge
from tests.rules.scripts import Script, read_script

MAY_FAIL = {HazardKind.MALFORMED, HazardKind.FAILS_ON_DATA, HazardKind.UNKNOWN}
REFUSED_BY_POSTGRES = {
    "concurrently-in-transaction",
    "vector-dimension-too-large",
    "vector-index-on-wrong-type",
}


def examples() -> Iterator[tuple[str, bool, int, str]]:
    for name, rule in RULES.items():
        bad, _, good = (rule.__doc__ or "").partition("\nGood:")
        for wanted, text in ((True, bad), (False, good)):
            for number, sql in enumerate(re.findall(r"```sql\n(.*?)```", text, re.DOTALL)):
                yield name, wanted, number, sql


EXAMPLES = [
    pytest.param(name, wanted, sql, id=f"{name}-{'bad' if wanted else 'good'}-{number}")
    for name, wanted, number, sql in examples()
]


@pytest.fixture(scope="module")
def shared(server: ShadowServer) -> Iterator[ShadowDatabase]:
    """One database for all examples: a hundred of their own would take a minute."""
    with server.shadow() as db:
        with connect(db.url, read_only=False) as conn:
            conn.execute("CREATE SCHEMA kept")
            conn.execute("CREATE EXTENSION vector SCHEMA kept")
        yield db


@pytest.fixture
def database(shared: ShadowDatabase) -> Iterator[psycopg.Connection]:
    """A connection to a database that holds nothing but pgvector."""
    with connect(shared.url, read_only=False) as conn:
        for schema in ("public", "billing", "invoicing", "old", "search"):
            conn.execute(f"DROP SCHEMA IF EXISTS {schema} CASCADE")
        conn.execute("CREATE SCHEMA public")
        conn.execute("SET search_path = public, kept")
        yield conn


def run(script: Script, conn: psycopg.Connection) -> None:
    """Run a script as Alembic would: one transaction a revision, autocommit blocks apart."""
    for statement in script.before:
        conn.execute(statement)
    open_transaction = None
    for statement in script.statements:
        wanted = None if statement.autocommit else statement.transaction
        if wanted != open_transaction:
            conn.execute("COMMIT") if open_transaction is not None else None
            conn.execute("BEGIN") if wanted is not None else None
            open_transaction = wanted
        conn.execute(statement.sql)
    if open_transaction is not None:
        conn.execute("COMMIT")


def rewrites(conn: psycopg.Connection) -> int:
    """Count the rewrites of tables that the trace has seen."""
    row = conn.execute(
        "SELECT count(*) FROM replyx_trace.event WHERE event = 'table_rewrite'"
    ).fetchone()
    return int(row[0]) if row else 0


@pytest.mark.parametrize(("rule", "fires", "sql"), EXAMPLES)
def test_bad_examples_fire_and_good_ones_do_not(rule: str, fires: bool, sql: str) -> None:
    script = read_script(sql)
    found = {hazard.rule for hazard in judge(script.statements, script.facts)}
    assert (rule in found) is fires, found


@pytest.mark.parametrize(("rule", "fires", "sql"), EXAMPLES)
def test_examples_do_on_postgresql_what_the_rule_says(
    rule: str, fires: bool, sql: str, database: psycopg.Connection
) -> None:
    script = read_script(sql)
    if fires and rule in REFUSED_BY_POSTGRES:
        with pytest.raises(psycopg.Error):
            run(script, database)
        return
    rewritten = rewrites(database)
    try:
        run(script, database)
    except psycopg.Error:
        if not fires or RULES[rule].KIND not in MAY_FAIL:
            raise
    if (
        RULES[rule].KIND is HazardKind.REWRITES_TABLE
        and "CREATE TABLE" not in script.statements[0].sql
    ):
        assert (rewrites(database) > rewritten) is fires


@pytest.mark.parametrize(("name", "rule"), list(RULES.items()))
def test_every_rule_says_what_it_finds_why_and_what_to_do(name: str, rule: ModuleType) -> None:
    text = rule.__doc__ or ""
    pattern, reason, *_ = text.split("\n\n")
    assert pattern.endswith(".")
    assert re.search(r"https://(www\.postgresql\.org/docs|github\.com/pgvector)/", reason)
    assert {"Bad:", "Good:"} <= set(text.splitlines())
    wanted = {fires for rule_name, fires, _, _ in examples() if rule_name == name}
    assert wanted == {True, False}
    assert isinstance(rule.KIND, HazardKind)
    assert isinstance(rule.RISK, Risk)
    assert hasattr(rule, "check") != hasattr(rule, "check_all")


@pytest.mark.parametrize(("rule", "fires", "sql"), [e for e in EXAMPLES if e.values[1]])
def test_what_to_do_instead_names_the_objects(rule: str, fires: bool, sql: str) -> None:
    script = read_script(sql)
    for hazard in judge(script.statements, script.facts):
        if hazard.rule == rule:
            assert "{" not in hazard.instead
            for field in ("<table>", "<column>", "<name>"):
                assert field not in hazard.instead.replace("<column>::", "").replace(
                    "binary_quantize(<column>)", ""
                ).replace(".<table>", "")


@pytest.mark.parametrize(
    "rule", sorted({r for m in RULES.values() for r in getattr(m, "REPLACES", ())})
)
def test_a_rule_that_is_replaced_exists(rule: str) -> None:
    assert rule in RULES
