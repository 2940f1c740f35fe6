"""What holds for every tool: its errors can be read, its answer has the configured language."""

import pytest

from replyx_db_agent.tools.registry import TOOLS
from tests.tools.calling import add_revision, edit, error, files_of, report

pytestmark = pytest.mark.anyio

LEAST = {
    "inspect_diff": {},
    "draft_revision": {"message": "add nickname"},
    "check_revision": {},
    "run_stairway": {"revision": "head"},
    "explain_query": {"rows": 20},
    "write_docs": {},
    "apply_revision": {"environment": "local"},
    "record_task": {"task": "A task"},
}
OF_A_REVISION = {
    "check_revision": {"revision": "209901010000"},
    "run_stairway": {"revision": "209901010000"},
    "explain_query": {"sql": "SELECT 1", "revision": "209901010000"},
    "apply_revision": {"environment": "local", "revision": "209901010000"},
    "record_task": {"task": "x", "revisions": ["209901010000"]},
}
READING = [name for name, tool in TOOLS.items() if tool.read_only]


@pytest.fixture(params=TOOLS)
def tool(request):
    return request.param


def test_no_tool_is_left_out():
    assert LEAST.keys() == TOOLS.keys()


@pytest.mark.parametrize(
    ("language", "risk"), [("ru", "Риск: **низкий**"), ("en", "Risk: **low**")]
)
async def test_the_answer_has_the_language_of_the_configuration(
    sample, at_head, tool, language, risk
):
    edit(sample / "replyx-db-agent.toml", 'language = "ru"', f'language = "{language}"')
    assert risk in (await report(sample, tool, **LEAST[tool]))["answer"]


async def test_a_project_folder_that_does_not_exist_is_named(tmp_path, tool):
    text = await error(tmp_path / "nowhere", tool, **LEAST[tool])
    assert '/nowhere" does not exist' in text


async def test_a_folder_without_alembic_ini_is_an_error_that_says_what_to_do(
    tmp_path, tool, monkeypatch
):
    monkeypatch.setenv("DATABASE_URL", "postgresql://nobody@localhost:1/nothing")
    arguments = {"explain_query": {"sql": "SELECT 1"}}.get(tool, LEAST[tool])
    text = await error(tmp_path, tool, **arguments)
    assert "alembic.ini" in text
    assert "--project" in text
    assert files_of(tmp_path) == {}


async def test_a_syntax_error_in_a_revision_is_an_error_with_file_and_line(sample, at_head, tool):
    path = add_revision(sample, "202509010000", "broken", "op.execute(", "pass")
    before = files_of(sample)
    text = await error(sample, tool, **LEAST[tool])
    assert f"{path}:12" in text or (path in text and "line 12" in text)
    assert files_of(sample) == before


@pytest.mark.parametrize("name", OF_A_REVISION)
async def test_an_unknown_revision_is_an_error_that_names_the_head(sample, at_head, name):
    text = await error(sample, name, **OF_A_REVISION[name])
    assert '"209901010000"' in text
    assert "202508220742" in text


@pytest.mark.parametrize("name", READING)
async def test_a_tool_that_reads_changes_no_file(sample, name):
    before = files_of(sample)
    await report(sample, name, **LEAST[name])
    assert files_of(sample) == before


async def test_an_argument_of_the_wrong_type_is_an_error_that_names_it(sample):
    assert "rows" in await error(sample, "run_stairway", rows="many")


async def test_an_argument_that_is_missing_is_an_error_that_names_it(sample):
    assert "task" in await error(sample, "record_task")
