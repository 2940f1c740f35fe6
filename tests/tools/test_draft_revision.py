import pytest

from tests.tools.calling import edit_models, error, files_of, report, text_of

pytestmark = pytest.mark.anyio

NICKNAME = (
    "    legacy_external_ref: Mapped[str | None]\n",
    "    legacy_external_ref: Mapped[str | None]\n    nickname: Mapped[str | None]\n",
)


async def test_a_draft_is_written_proved_and_closes_the_difference(sample):
    edit_models(sample, NICKNAME)
    before = files_of(sample)
    data = await report(sample, "draft_revision", message="Add nickname!")
    [one] = data["revisions"]
    assert data["proved"] is True
    assert data["remaining"] == []
    assert one["path"] == f"alembic/versions/{one['revision']}_add_nickname.py"
    assert files_of(sample).keys() - before.keys() == {one["path"]}
    assert (await report(sample, "inspect_diff"))["changes"] == []
    assert (await report(sample, "check_revision"))["verdict"] == "clean"


async def test_nothing_to_draft_is_said_and_nothing_is_written(sample):
    before = files_of(sample)
    data = await report(sample, "draft_revision", message="nothing")
    assert (data["revisions"], data["proved"]) == ([], True)
    assert files_of(sample) == before


async def test_a_destructive_draft_is_refused_unless_it_is_asked_for(sample):
    edit_models(sample, (NICKNAME[0], ""))
    before = files_of(sample)
    data = await report(sample, "draft_revision", message="drop ref")
    assert data["refusal"]["guardrail"] == "G1"
    assert data["revisions"] == []
    assert "**Refused (G1).**" in await text_of(sample, "draft_revision", message="drop ref")
    assert files_of(sample) == before


async def test_a_message_that_gives_no_file_name_is_an_error(sample):
    assert "Latin letters" in await error(sample, "draft_revision", message="Ник")


async def test_only_that_fits_no_difference_names_those_there_are(sample):
    edit_models(sample, NICKNAME)
    text = await error(sample, "draft_revision", message="x", only=["dialogs"])
    assert "users.nickname" in text
