import psycopg
import pytest
from mcp import Client
from mcp.types import ElicitResult

from replyx_db_agent.server import build
from tests.tools.calling import add_revision, error, report

pytestmark = pytest.mark.anyio

ADD = 'op.add_column("users", sa.Column("nickname", sa.Text))'
DROP = 'op.drop_column("users", "nickname")'


def standing(database):
    with psycopg.connect(database.url.replace("+psycopg", "")) as connection:
        return connection.execute("SELECT version_num FROM alembic_version").fetchone()[0]


@pytest.fixture
def pending(sample, at_head):
    add_revision(sample, "202509010000", "add_nickname", ADD, DROP)
    return sample


async def ask(root, answer, **arguments):
    """Apply through a client whose user gives this answer; return the data and the questions."""
    asked = []

    async def person(context, params):
        asked.append(params.message)
        return answer

    async with Client(build(root), elicitation_callback=person) as client:
        result = await client.call_tool("apply_revision", arguments)
    return result.structured_content, asked


async def test_a_pending_revision_is_applied_to_local_and_verified(pending, at_head):
    data = await report(pending, "apply_revision", environment="local")
    assert (data["done"], data["verified"]) == (True, True)
    assert len(data["plan"]) == 64
    assert standing(at_head) == "202509010000"
    again = await report(pending, "apply_revision", environment="local")
    assert (again["done"], again["steps"]) == (True, [])


async def test_nobody_is_asked_about_a_local_database(pending, at_head):
    data, asked = await ask(pending, ElicitResult(action="decline"), environment="local")
    assert data["done"] is True
    assert asked == []


@pytest.mark.parametrize(
    ("answer", "head"),
    [
        (ElicitResult(action="accept", content={"approve": True}), "202509010000"),
        (ElicitResult(action="accept", content={"approve": False}), "202508220742"),
        (ElicitResult(action="decline"), "202508220742"),
    ],
    ids=["yes", "no", "declined"],
)
async def test_staging_is_applied_only_when_the_person_says_yes(
    pending, at_head, monkeypatch, answer, head
):
    monkeypatch.setenv("STAGING_DATABASE_URL", at_head.url)
    data, asked = await ask(pending, answer, environment="staging")
    assert len(asked) == 1
    assert standing(at_head) == head
    assert data["done"] is (head == "202509010000")
    assert (data["refusal"] or {}).get("guardrail") == (None if data["done"] else "G8")


async def test_a_client_that_cannot_ask_has_not_approved(pending, at_head, monkeypatch):
    monkeypatch.setenv("STAGING_DATABASE_URL", at_head.url)
    data = await report(pending, "apply_revision", environment="staging")
    assert data["refusal"]["guardrail"] == "G8"
    assert standing(at_head) == "202508220742"


async def test_an_approval_is_no_argument(pending, at_head, monkeypatch):
    monkeypatch.setenv("STAGING_DATABASE_URL", at_head.url)
    async with Client(build(pending)) as client:
        tools = (await client.list_tools()).tools
        [tool] = [t for t in tools if t.name == "apply_revision"]
        assert set(tool.input_schema["properties"]) == {"environment", "revision"}
        arguments = {"environment": "staging", "approved_plan": "x", "by_person": True}
        await client.call_tool("apply_revision", arguments)
    assert standing(at_head) == "202508220742"


async def test_an_unknown_environment_is_an_error_that_names_the_known_ones(sample):
    text = await error(sample, "apply_revision", environment="prod")
    assert '"local", "staging"' in text


async def test_env_py_finds_the_url_as_it_was_given(pending, at_head):
    """Alembic's configuration reads a % as the start of a blank, so none may be added."""
    env_py = pending / "alembic/env.py"
    text = env_py.read_text("utf-8").replace(
        "target_metadata = Base.metadata\n",
        "import os\n"
        'context.config.set_main_option("sqlalchemy.url", os.environ["DATABASE_URL"])\n'
        "target_metadata = Base.metadata\n",
    )
    env_py.write_text(text, "utf-8")
    data = await report(pending, "apply_revision", environment="local")
    assert (data["done"], data["verified"]) == (True, True)


async def test_a_statement_without_a_limit_of_its_own_waits_five_seconds_for_its_lock(
    pending, at_head
):
    path = next((pending / "alembic/versions").glob("202509010000*.py"))
    keep = "op.execute(\"CREATE TABLE seen AS SELECT current_setting('lock_timeout') AS waits\")"
    forget = 'op.execute("DROP TABLE seen")'
    text = path.read_text("utf-8").replace(ADD, f"{ADD}\n    {keep}", 1)
    path.write_text(text.replace(DROP, f"{DROP}\n    {forget}", 1), "utf-8")
    await report(pending, "apply_revision", environment="local")
    with psycopg.connect(at_head.url.replace("+psycopg", "")) as connection:
        assert connection.execute("SELECT waits FROM seen").fetchone() == ("5s",)
