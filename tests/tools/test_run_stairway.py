import json

import pytest

from tests.projects import Rev, table, write_project
from tests.tools.calling import add_revision, error, files_of, report, text_of

pytestmark = pytest.mark.anyio

FIRST = Rev(
    "202501010000",
    None,
    'op.create_table("users", sa.Column("id", sa.Integer, primary_key=True), '
    'sa.Column("email", sa.Text, nullable=False))',
    'op.drop_table("users")',
)
LAST = table("202501030000", "202501020000", "later")


def chain(folder, upgrade, downgrade="pass"):
    """A revision in the middle: one below it and one above it are clean."""
    middle = Rev("202501020000", "202501010000", upgrade, downgrade)
    return write_project(folder, [FIRST, middle, LAST])


def evidence(project):
    found = (project / ".replyx-db-agent/evidence").glob("*.json")
    return {e["revision"]: e for e in (json.loads(p.read_text("utf-8")) for p in found)}


FAULTS = {
    "a forgotten drop_index": (
        'op.create_index("ix_users_email", "users", ["email"])',
        "pass",
        "leaves-trace",
        'index "ix_users_email" is left behind',
    ),
    "an enum left behind": (
        'sa.Enum("free", "pro", name="plan").create(op.get_bind())\n'
        'op.add_column("users", sa.Column("plan", sa.Text))',
        'op.drop_column("users", "plan")',
        "leaves-trace",
        'enum "plan" is left behind',
    ),
    "a column that comes back nullable": (
        'op.drop_column("users", "email")',
        'op.add_column("users", sa.Column("email", sa.Text))',
        "leaves-trace",
        'column "users.email" came back with null allowed, it was forbidden',
    ),
    "rows lost by drop-and-recreate": (
        'op.drop_table("users")',
        FIRST.upgrade,
        "loses-rows",
        '"users"',
    ),
    "a missing downgrade": (
        'op.add_column("users", sa.Column("age", sa.Integer))',
        'raise NotImplementedError("ages are kept")',
        "irreversible",
        "ages are kept",
    ),
    "a downgrade that raises": (
        'op.add_column("users", sa.Column("age", sa.Integer))',
        'op.drop_column("users", "aeg")',
        "fails-down",
        'column "aeg" of relation "users" does not exist',
    ),
    "a sequence that survives and fails up again": (
        "op.execute(\"SELECT setval('numbers', 1)\") if op.get_bind().scalar("
        "sa.text(\"SELECT to_regclass('numbers') IS NOT NULL\")) else None\n"
        'op.execute("CREATE UNLOGGED TABLE seen AS SELECT 1 AS one")\n'
        'op.execute("CREATE SEQUENCE numbers")',
        'op.execute("DROP TABLE seen")',
        "leaves-trace",
        'sequence "numbers" is left behind',
    ),
}


async def test_the_sample_is_clean_from_base_to_head(sample):
    before = files_of(sample)
    data = await report(sample, "run_stairway")
    assert data["clean"] is True
    assert len(data["revisions"]) == 10
    assert {r["outcome"] for r in data["revisions"]} == {"clean"}
    assert data["revisions"][-1]["rows"].endswith("compared by content")
    assert data["layers"]
    assert files_of(sample) == before
    assert set(evidence(sample)) == {r["revision"] for r in data["revisions"]}


@pytest.mark.parametrize("fault", FAULTS)
async def test_a_fault_is_named_in_its_own_words_and_the_climb_goes_on(tmp_path, fault):
    upgrade, downgrade, outcome, words = FAULTS[fault]
    project = chain(tmp_path, upgrade, downgrade)
    data = await report(project, "run_stairway")
    assert [r["outcome"] for r in data["revisions"]] == ["clean", outcome, "clean"]
    assert data["clean"] is False
    assert words in "; ".join(data["revisions"][1]["differences"])
    assert "202501020000" in data["answer"]
    text = await text_of(project, "run_stairway")
    assert f"202501020000: **{outcome}**" in text
    assert words in text
    assert evidence(project)["202501020000"]["outcome"] == outcome


async def test_a_revision_that_does_not_go_up_again_is_named(tmp_path):
    # What the way back leaves is in a schema of its own that the snapshot does not hold.
    upgrade = """
    op.execute("CREATE SCHEMA IF NOT EXISTS replyx_db_agent")
    op.execute("CREATE TABLE replyx_db_agent.kept AS SELECT * FROM users")
    """
    data = await report(chain(tmp_path, upgrade), "run_stairway")
    assert data["revisions"][1]["outcome"] == "fails-up-again"
    assert 'relation "kept" already exists' in "; ".join(data["revisions"][1]["differences"])


async def test_a_revision_that_does_not_go_up_ends_the_climb_and_is_to_be_mended_itself(tmp_path):
    project = chain(tmp_path, 'op.drop_column("users", "aeg")')
    data = await report(project, "run_stairway")
    assert [r["outcome"] for r in data["revisions"]] == ["clean", "fails-up"]
    assert 'column "aeg"' in data["revisions"][1]["differences"][0]
    assert data["clean"] is False
    assert data["notes"] == ['Revision "202501030000" was not reached.']
    assert set(evidence(project)) == {"202501010000", "202501020000"}
    steps = data["answer"].partition("**Next steps**")[2]
    assert "check_revision 202501020000" in steps
    assert "downgrade" not in steps


async def test_one_revision_leaves_evidence_of_itself_alone(sample):
    data = await report(sample, "run_stairway", revision="202507301820")
    assert [r["revision"] for r in data["revisions"]] == ["202507301820"]
    assert set(evidence(sample)) == {"202507301820"}
    assert "ALTER TABLE dialogs ADD COLUMN rating" in data["answer"]


async def test_since_rehearses_what_stands_above_it(sample):
    data = await report(sample, "run_stairway", since="202507081515")
    assert [r["revision"] for r in data["revisions"]] == ["202507301820", "202508220742"]


async def test_since_that_leaves_nothing_to_rehearse_says_so(sample):
    assert "comes after" in await error(sample, "run_stairway", since="head")


async def test_without_rows_it_says_that_none_were_compared_and_leaves_no_evidence(tmp_path):
    project = chain(tmp_path, *FAULTS["rows lost by drop-and-recreate"][:2])
    data = await report(project, "run_stairway", rows=0)
    assert data["clean"] is True
    assert evidence(project) == {}
    assert {r["rows"] for r in data["revisions"]} == {"no rows were compared"}
    assert "rows were not compared" in data["answer"]


@pytest.mark.parametrize("rows", [-1, 100_001])
async def test_an_impossible_number_of_rows_is_refused(sample, rows):
    assert "0 to 100000" in await error(sample, "run_stairway", rows=rows)


async def test_hazards_come_with_their_revision(sample):
    upgrade = 'op.create_index("ix_users_locale", "users", ["locale"])'
    path = add_revision(
        sample, "202509010000", "index", upgrade, 'op.drop_index("ix_users_locale")'
    )
    [one] = (await report(sample, "run_stairway", revision="head"))["revisions"]
    assert one["path"] == path
    assert "index-without-concurrently" in {h["rule"] for h in one["hazards"]}


async def test_the_commands_of_the_rollback_plan_are_what_is_rehearsed(sample):
    drop = 'op.drop_column("users", "legacy_external_ref")'
    path = add_revision(sample, "202509010000", "drop_ref", drop, "pass")
    plan = sample / "docs/db/rollback_plan.md"
    plan.parent.mkdir(parents=True)
    plan.write_text(
        "# План отката\n\n## 202509010000 drop_ref\n\n### Изменение\nusers.legacy_external_ref\n\n"
        "### Риск\nмал\n\n### Откат\n```bash\nalembic downgrade 202508220742\n```\n```sql\n"
        "ALTER TABLE users ADD COLUMN legacy_external_ref text;\n```\n\n"
        "### Проверки после отката\nhealth\n",
        "utf-8",
    )
    [one] = (await report(sample, "run_stairway", revision=path))["revisions"]
    assert one["outcome"] == "loses-rows"  # the schema came back by the plan's own SQL
    assert "legacy_external_ref" in one["differences"][0]


async def test_a_revision_below_that_does_not_go_up_is_an_error(tmp_path):
    project = chain(tmp_path, 'op.drop_column("users", "aeg")')
    text = await error(project, "run_stairway", revision="head")
    assert 'Revision "202501020000" below does not go up' in text
    assert "migrations/versions/202501020000.py:12" in text


async def test_rows_that_do_not_fit_are_a_hazard_and_rows_that_fit_decide(sample):
    up = 'op.create_check_constraint("subject_is_long", "dialogs", "length(subject) > 30")'
    down = 'op.drop_constraint("subject_is_long", "dialogs", type_="check")'
    add_revision(sample, "202509010000", "longer_subjects", up, down)
    data = await report(sample, "run_stairway", revision="202509010000")
    [one] = data["revisions"]
    assert (one["outcome"], data["clean"]) == ("clean", True)
    assert one["rows"].endswith("compared by content")
    [found] = [h for h in one["hazards"] if h["rule"] == "fails-on-rows"]
    assert found["kind"] == "FAILS_ON_DATA"
    assert "violated by some row" in found["message"]


async def test_a_mistake_in_a_downgrade_is_no_declaration_that_there_is_none(sample):
    add_revision(sample, "202509010000", "add_age", 'op.execute("SELECT 1")', "op.no_such_thing()")
    data = await report(sample, "run_stairway", revision="202509010000")
    assert data["revisions"][0]["outcome"] == "fails-down"
