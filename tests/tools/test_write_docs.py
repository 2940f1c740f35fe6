import pytest

from tests.projects import Rev, write_project
from tests.tools.calling import add_revision, edit, error, files_of, report, text_of

pytestmark = pytest.mark.anyio

FOUR = [
    "docs/db/schema.md",
    "docs/db/migrations.md",
    "docs/db/indexes.md",
    "docs/db/rollback_plan.md",
]
SETTINGS = "replyx-db-agent.toml"


async def test_it_writes_the_four_documents_and_nothing_else(sample):
    before = files_of(sample)
    data = await report(sample, "write_docs")
    assert data["written"] == FOUR
    assert data["unchanged"] == []
    after = files_of(sample)
    assert sorted(after.keys() - before.keys()) == sorted(FOUR)
    assert {path: after[path] for path in before} == before
    assert all(path in data["answer"] for path in FOUR)


async def test_the_documents_hold_the_schema_at_head(sample):
    await report(sample, "write_docs")
    schema = (sample / FOUR[0]).read_text("utf-8")
    assert "```mermaid" in schema
    for table in ("users", "dialog_messages", "document_chunks"):
        assert table in schema
    assert "202508220742" in (sample / FOUR[1]).read_text("utf-8")
    indexes = (sample / FOUR[2]).read_text("utf-8")
    assert "ix_document_chunks_embedding" in indexes
    assert "dialog_page" in indexes


async def test_a_second_run_writes_nothing(sample):
    await report(sample, "write_docs")
    before = files_of(sample)
    times = [(sample / path).stat().st_mtime_ns for path in FOUR]
    data = await report(sample, "write_docs")
    assert (data["written"], data["unchanged"]) == ([], FOUR)
    assert files_of(sample) == before
    assert [(sample / path).stat().st_mtime_ns for path in FOUR] == times


async def test_the_words_of_people_are_kept(sample):
    await report(sample, "write_docs")
    for path in FOUR:
        document = sample / path
        document.write_text(f"{document.read_text('utf-8')}\nСлова людей: {path}\n", "utf-8")
    add_revision(
        sample,
        "202509010000",
        "nickname",
        'op.add_column("users", sa.Column("nickname", sa.Text))',
        'op.drop_column("users", "nickname")',
    )
    data = await report(sample, "write_docs")
    assert {"docs/db/schema.md", "docs/db/migrations.md"} <= set(data["written"])
    assert "nickname" in (sample / FOUR[0]).read_text("utf-8")
    for path in FOUR:
        assert f"Слова людей: {path}" in (sample / path).read_text("utf-8")


async def test_check_names_what_is_stale_and_writes_nothing(sample):
    data = await report(sample, "write_docs", check=True)
    assert (data["written"], data["stale"]) == ([], FOUR)
    assert not (sample / "docs").exists()
    await report(sample, "write_docs")
    text = (sample / FOUR[0]).read_text("utf-8")
    (sample / FOUR[0]).write_text(text.replace("dialog_messages", "dialog_massages"), "utf-8")
    data = await report(sample, "write_docs", check=True)
    assert (data["stale"], data["unchanged"]) == (["docs/db/schema.md"], FOUR[1:])
    assert "Устарело" in data["answer"]
    assert "dialog_massages" in (sample / FOUR[0]).read_text("utf-8")
    assert "stale: `docs/db/schema.md`" in await text_of(sample, "write_docs", check=True)


async def test_check_of_fresh_documents_says_that_they_are_fresh(sample):
    await report(sample, "write_docs")
    data = await report(sample, "write_docs", check=True)
    assert (data["written"], data["stale"], data["unchanged"]) == ([], [], FOUR)
    assert "актуал" in data["answer"].partition("**DDL")[0]
    assert "аписано" not in data["answer"].partition("**DDL")[0]


@pytest.mark.parametrize(
    ("language", "heading"), [("ru", "# Схема базы данных"), ("en", "# Database schema")]
)
async def test_the_documents_are_written_in_the_language_of_the_configuration(
    sample, language, heading
):
    edit(sample / SETTINGS, 'language = "ru"', f'language = "{language}"')
    await report(sample, "write_docs")
    assert (sample / FOUR[0]).read_text("utf-8").startswith(heading)


async def test_a_link_in_the_place_of_a_document_is_refused(sample, tmp_path):
    elsewhere = tmp_path / "elsewhere.md"
    elsewhere.write_text("mine", "utf-8")
    (sample / "docs/db").mkdir(parents=True)
    (sample / "docs/db/schema.md").symlink_to(elsewhere)
    text = await error(sample, "write_docs")
    assert "G7" in text
    assert elsewhere.read_text("utf-8") == "mine"


async def test_a_project_without_revisions_has_documents_too(tmp_path):
    assert (await report(write_project(tmp_path), "write_docs"))["written"] == FOUR


async def test_a_revision_that_fails_is_an_error_and_no_document_is_written(tmp_path):
    project = write_project(tmp_path, [Rev("202501010000", None, 'op.drop_table("nothing")')])
    text = await error(project, "write_docs")
    assert 'table "nothing" does not exist' in text
    assert not (project / "docs").exists()
