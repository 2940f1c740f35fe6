import pytest

from tests.projects import Rev, write_project
from tests.tools.calling import add_revision, error, files_of, hazards_of, report, text_of

pytestmark = pytest.mark.anyio

# The seed's own example, word for word.
SEED = """\
from alembic import op
import sqlalchemy as sa

revision = '202508230001_add_vector_index'
down_revision = '202508220742'
branch_labels = None
depends_on = None

def upgrade():
    # пример: добавляем embedding и индекс
    op.add_column('documents', sa.Column('embedding', sa.ARRAY(sa.FLOAT()), nullable=True))
    # IVFFlat/HNSW создаются через raw SQL в зависимости от расширения
    op.execute("CREATE EXTENSION IF NOT EXISTS vector")
    op.execute("CREATE INDEX IF NOT EXISTS documents_embedding_ivfflat ON documents USING ivfflat \
(embedding vector_cosine_ops) WITH (lists = 100);")

def downgrade():
    op.execute("DROP INDEX IF EXISTS documents_embedding_ivfflat;")
    op.drop_column('documents', 'embedding')
"""
SEED_PATH = "alembic/versions/202508230001_add_vector_index.py"
INDEX_LINE = 14

LIMIT = "op.execute(\"SET LOCAL lock_timeout = '5s'\")\n"
ADD = LIMIT + 'op.add_column("users", sa.Column("nickname", sa.Text, nullable=True))'
DROP = LIMIT + 'op.drop_column("users", "nickname")'

USERS = Rev(
    "202501010000",
    None,
    'op.create_table("users", sa.Column("id", sa.Integer, primary_key=True), '
    'sa.Column("email", sa.Text))',
    'op.drop_table("users")',
)


def with_users(folder, upgrade, downgrade="pass"):
    return write_project(folder, [USERS, Rev("202501020000", "202501010000", upgrade, downgrade)])


@pytest.fixture
def seeds_own_revision(sample):
    (sample / SEED_PATH).write_text(SEED, "utf-8")
    return sample


async def test_the_seeds_own_revision_fails_with_its_cause_file_and_line(seeds_own_revision):
    data = await report(seeds_own_revision, "check_revision")
    assert data["verdict"] == "findings"
    assert data["risk"] == "high"
    [cause] = hazards_of(data, "vector-index-on-wrong-type")
    assert (cause["file"], cause["line"]) == (SEED_PATH, INDEX_LINE)
    assert SEED.splitlines()[INDEX_LINE - 1].strip().startswith('op.execute("CREATE INDEX')
    assert "does not accept data type double precision[]" in cause["evidence"]
    assert "vector(" in cause["instead"]
    assert "откатывать нечего" in data["answer"]


async def test_the_seeds_own_revision_gives_no_stack_trace(seeds_own_revision):
    text = await text_of(seeds_own_revision, "check_revision")
    assert "vector-index-on-wrong-type" in text
    assert f"{SEED_PATH}:{INDEX_LINE}" in text
    assert "Traceback" not in text
    assert 'File "' not in text


async def test_a_clean_revision_is_clean_and_no_file_is_written(sample):
    add_revision(sample, "202509010000", "add_nickname", ADD, DROP)
    before = files_of(sample)
    data = await report(sample, "check_revision")
    assert data["verdict"] == "clean", data["hazards"]
    assert data["refusal"] is None
    assert data["revisions"] == ["202509010000"]
    assert "замечаний нет" in data["answer"]
    assert "`alembic downgrade 202508220742`" in data["answer"]
    assert files_of(sample) == before
    assert not (sample / ".replyx-db-agent").exists()


async def test_a_revision_can_be_named_by_its_id_its_path_or_head(sample):
    path = add_revision(sample, "202509010000", "add_nickname", ADD, DROP)
    found = [
        (await report(sample, "check_revision", revision=name))["revisions"]
        for name in ("head", "202509010000", path)
    ]
    assert found == [["202509010000"]] * 3


async def test_a_destructive_revision_is_refused_and_the_answer_says_what_to_do(sample):
    drop = LIMIT + 'op.drop_column("users", "legacy_external_ref")'
    back = LIMIT + 'op.add_column("users", sa.Column("legacy_external_ref", sa.Text))'
    path = add_revision(sample, "202509010000", "drop_ref", drop, back)
    data = await report(sample, "check_revision")
    assert data["verdict"] == "refused"
    assert data["refusal"]["guardrail"] == "G1"
    assert "users.legacy_external_ref" in data["refusal"]["problem"]
    assert "docs/db/rollback_plan.md" in data["refusal"]["problem"]
    assert "run_stairway" in data["refusal"]["instead"]
    [hazard] = hazards_of(data, "column-dropped")
    assert (hazard["file"], hazard["line"]) == (path, 13)
    assert "G1" in data["answer"]
    assert data["refusal"]["instead"] in data["answer"]
    assert "**Refused (G1).**" in await text_of(sample, "check_revision")


async def test_rows_that_do_not_come_back_are_a_finding(sample):
    drop = LIMIT + 'op.drop_column("users", "legacy_external_ref")'
    back = LIMIT + 'op.add_column("users", sa.Column("legacy_external_ref", sa.Text))'
    add_revision(sample, "202509010000", "drop_ref", drop, back)
    # The column comes back at the table's end, which is no difference; its values do not.
    [lost] = hazards_of(await report(sample, "check_revision"), "downgrade-loses-rows")
    assert lost["kind"] == "LOSES_DATA"
    assert "legacy_external_ref" in lost["message"]


async def test_every_hazard_of_a_statement_has_its_file_and_line(sample):
    upgrade = """
    op.create_index("ix_users_locale", "users", ["locale"])
    op.execute("CREATE INDEX ix_users_name ON users (display_name)")
    """
    downgrade = 'op.drop_index("ix_users_name")\nop.drop_index("ix_users_locale")'
    path = add_revision(sample, "202509010000", "two_indexes", upgrade, downgrade)
    data = await report(sample, "check_revision")
    assert data["verdict"] == "findings"
    found = {h["line"] for h in hazards_of(data, "index-without-concurrently")}
    lines = (sample / path).read_text("utf-8").splitlines()
    assert {lines[n - 1].strip()[:14] for n in found} == {"op.create_inde", 'op.execute("CR'}
    assert {h["file"] for h in data["hazards"]} == {path}
    assert all(h["line"] for h in data["hazards"] if h["kind"] != "IRREVERSIBLE")
    assert "index-without-concurrently" in data["answer"]


async def test_since_judges_every_revision_after_it_in_order(sample):
    data = await report(sample, "check_revision", since="202507081515")
    assert data["revisions"] == ["202507301820", "202508220742"]


async def test_since_that_leaves_nothing_to_judge_says_so(sample):
    text = await error(sample, "check_revision", since="head")
    assert "202508220742" in text
    assert "after" in text


async def test_an_update_hidden_in_a_do_block_is_found_by_comparing_the_rows(tmp_path):
    upgrade = """op.execute("DO $$ BEGIN UPDATE users SET email = 'x'; END $$")"""
    data = await report(with_users(tmp_path, upgrade), "check_revision")
    [found] = [h for h in data["hazards"] if h["kind"] == "SILENT_DATA_CHANGE"]
    assert found["object"] == "users"
    assert found["risk"] == "high"
    assert "rows compared" in found["evidence"]
    assert data["verdict"] == "refused"


async def test_a_delete_hidden_in_a_do_block_is_found_by_comparing_the_rows(tmp_path):
    upgrade = """op.execute("DO $$ BEGIN EXECUTE 'DEL' || 'ETE FROM users'; END $$")"""
    data = await report(with_users(tmp_path, upgrade), "check_revision")
    assert [h["object"] for h in data["hazards"] if h["kind"] == "SILENT_DATA_CHANGE"] == ["users"]
    assert data["verdict"] == "refused"


async def test_a_drop_hidden_in_a_do_block_is_found_by_the_trace_and_refused(tmp_path):
    upgrade = """op.execute("DO $$ BEGIN EXECUTE 'DR' || 'OP TABLE users'; END $$")"""
    data = await report(with_users(tmp_path, upgrade), "check_revision")
    [found] = hazards_of(data, "table-dropped")
    place = (found["object"], found["file"], found["line"])
    assert place == ("users", "migrations/versions/202501020000.py", 12)
    assert data["verdict"] == "refused"
    assert data["refusal"]["guardrail"] == "G1"


async def test_a_missing_downgrade_is_a_finding(tmp_path):
    upgrade = 'op.add_column("users", sa.Column("age", sa.Integer))'
    project = with_users(tmp_path, upgrade, "raise NotImplementedError('no way back')")
    data = await report(project, "check_revision")
    [found] = hazards_of(data, "downgrade-missing")
    assert found["kind"] == "IRREVERSIBLE"
    assert "no way back" in data["answer"]


async def test_a_revision_that_fails_on_rows_says_so_in_the_words_of_postgresql(tmp_path):
    upgrade = 'op.add_column("users", sa.Column("age", sa.Integer, nullable=False))'
    data = await report(with_users(tmp_path, upgrade), "check_revision")
    [found] = hazards_of(data, "column-required-without-default")
    assert found["line"] == 12
    assert 'column "age" of relation "users" contains null values' in found["evidence"]


async def test_code_that_raises_is_a_hazard_with_its_line(tmp_path):
    data = await report(with_users(tmp_path, "settings = {}\nsettings['x']"), "check_revision")
    [found] = hazards_of(data, "fails-on-postgresql")
    assert (found["file"], found["line"]) == ("migrations/versions/202501020000.py", 13)
    assert "KeyError" in found["evidence"]
    assert "settings['x']" in found["instead"]


async def test_an_unknown_revision_is_an_error_that_names_the_head(sample):
    text = await error(sample, "check_revision", revision="209901010000")
    assert '"209901010000"' in text
    assert "202508220742" in text


async def test_a_syntax_error_in_a_revision_is_an_error_with_file_and_line(sample):
    path = add_revision(sample, "202509010000", "broken", "op.execute(", "pass")
    text = await error(sample, "check_revision")
    assert path in text
    assert "line" in text or f"{path}:" in text


async def test_without_a_revision_it_says_to_draft_the_first_one(tmp_path):
    assert "draft_revision" in await error(write_project(tmp_path), "check_revision")
