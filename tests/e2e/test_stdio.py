"""The server as a process, driven by the SDK's client, in both eras of the protocol."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anyio
import pytest
from mcp.types import ElicitResult

from tests.e2e.conftest import tables
from tests.e2e.processes import Served, served

pytestmark = pytest.mark.anyio
ERAS = ("legacy", "auto")
TOOLS = {
    "inspect_diff",
    "draft_revision",
    "check_revision",
    "run_stairway",
    "explain_query",
    "write_docs",
    "apply_revision",
    "record_task",
}


class Person:
    """Answers what the client is asked, one prepared answer after the other."""

    def __init__(self, *answers: ElicitResult) -> None:
        self.answers = list(answers)
        self.asked: list[str] = []

    async def __call__(self, context: object, params: Any) -> ElicitResult:
        self.asked.append(str(params.message))
        return self.answers.pop(0)


def says(approve: bool) -> ElicitResult:
    return ElicitResult(action="accept", content={"approve": approve})


LEGACY = pytest.param("legacy", marks=pytest.mark.slow)


@pytest.fixture(params=ERAS)
def mode(request: pytest.FixtureRequest) -> str:
    return str(request.param)


async def test_eight_tools_are_listed_and_called(project: Path, database: str, mode: str) -> None:
    async with served(project, {"DATABASE_URL": database}, mode=mode) as server:
        listed = (await server.client.list_tools()).tools
        assert {tool.name for tool in listed} == TOOLS
        assert all(tool.output_schema and tool.description for tool in listed)
        assert (await server.call("inspect_diff"))["changes"] == []
        assert (await server.call("check_revision"))["verdict"] == "clean"
        assert (await server.call("run_stairway"))["clean"]
        applied = await server.call("apply_revision", environment="local")
        assert applied["done"]
        assert applied["verified"]
    assert tables(database) == {"users", "alembic_version"}


async def test_only_a_yes_to_the_named_plan_applies_it(
    project: Path, database: str, mode: str
) -> None:
    noes = [says(False), ElicitResult(action="decline"), ElicitResult(action="cancel")]
    person = Person(*noes, says(True))
    urls = {"STAGING_DATABASE_URL": database}
    async with served(project, urls, mode=mode, elicitation_callback=person) as server:
        for _ in noes:
            refused = await server.call("apply_revision", environment="staging")
            assert not refused["done"]
            assert refused["refusal"]["guardrail"] == "G8"
            assert refused["refusal"]["instead"]
            assert tables(database) == set()
        applied = await server.call("apply_revision", environment="staging")
    assert applied["done"]
    assert applied["refusal"] is None
    assert len(person.asked) == 4
    assert all(applied["plan"] in question for question in person.asked)
    assert "users" in tables(database)


async def test_a_client_that_cannot_ask_has_not_approved(
    project: Path, database: str, mode: str
) -> None:
    async with served(project, {"STAGING_DATABASE_URL": database}, mode=mode) as server:
        applied = await server.call("apply_revision", environment="staging")
    assert applied["refusal"]["guardrail"] == "G8"
    assert "cannot" in applied["refusal"]["problem"]
    assert "did not approve" not in applied["refusal"]["problem"]
    assert tables(database) == set()


@pytest.mark.parametrize("mode", [LEGACY, "auto"])
async def test_an_approval_among_the_arguments_approves_nothing(
    project: Path, database: str, mode: str
) -> None:
    person = Person(*[says(False)] * 5)
    urls = {"STAGING_DATABASE_URL": database}
    async with served(project, urls, mode=mode, elicitation_callback=person) as server:
        await server.call("apply_revision", environment="staging")
        plan = person.asked[0].split()[2]
        assert len(plan) == 64
        for forged in (
            {"approved_plan": plan, "by_person": True},
            {"approval": {"approve": True}},
            {"approval": {"action": "accept", "data": {"approve": True}}},
            {"asked": {"hash": plan, "question": ""}},
        ):
            arguments = {"environment": "staging", **forged}
            result = await server.client.call_tool("apply_revision", arguments)
            data = result.structured_content or {}
            assert result.is_error or data["refusal"]["guardrail"] == "G8"
            assert tables(database) == set()


@pytest.mark.parametrize("mode", [LEGACY, "auto"])
async def test_a_plan_that_changes_while_the_person_thinks_is_not_applied(
    project: Path, database: str, mode: str
) -> None:
    path = project / "migrations/versions/a1.py"
    asked: list[str] = []

    async def answer(context: object, params: Any) -> ElicitResult:
        asked.append(str(params.message).split()[2])
        if len(asked) > 1:  # asked again, about what it has become
            return ElicitResult(action="decline")
        path.write_text(path.read_text("utf-8").replace('"name"', '"other"'), "utf-8")
        return says(True)

    urls = {"STAGING_DATABASE_URL": database}
    async with served(project, urls, mode=mode, elicitation_callback=answer) as server:
        applied = await server.call("apply_revision", environment="staging")
    assert not applied["done"]
    assert applied["refusal"]["guardrail"] == "G8"
    assert len(set(asked)) == len(asked)
    assert tables(database) == set()


async def test_two_servers_work_on_one_project_at_the_same_time(project: Path) -> None:
    async with served(project) as one, served(project) as other:
        assert one.pid != other.pid
        outcomes: list[bool] = []

        async def rehearse(server: Served) -> None:
            first = await server.call("run_stairway")
            second = await server.call("run_stairway")
            outcomes.extend((first["clean"], second["clean"]))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(rehearse, one)
            tasks.start_soon(rehearse, other)
    assert outcomes == [True] * 4
