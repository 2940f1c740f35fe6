"""The models: created in a database, and compared by Alembic's autogenerate."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from replyx_db_agent.core.errors import InvalidInput
from replyx_db_agent.engines.postgres import connect
from replyx_db_agent.engines.project import Project, Worker
from replyx_db_agent.engines.shadow import ShadowDatabase
from tests.projects import Rev, env, table, write_project

MODELS = """
import sqlalchemy as sa
from pgvector.sqlalchemy import HALFVEC, Vector
from sqlalchemy.dialects.postgresql import JSONB
from app.types import Shout

metadata = sa.MetaData()
one = sa.Table("one", metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("size", sa.BigInteger, server_default="5"))
two = sa.Table("two", metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("one_id", sa.ForeignKey("one.id")),
    sa.Column("data", JSONB),
    sa.Column("loud", Shout(20)),
    sa.Column("embedding", Vector(384)),
    sa.Column("half", HALFVEC(3)),
    sa.Index("ix_two_one_id", "one_id"))
"""
TYPES = """
import sqlalchemy as sa
class Shout(sa.types.TypeDecorator):
    impl = sa.String
    cache_ok = True
"""
TABLES = (
    "SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace "
    "ORDER BY 1"
)
FILES = {"app/__init__.py": "", "app/models.py": MODELS, "app/types.py": TYPES}
IMPORT = "from app.models import metadata as target_metadata"
HEAD = Rev(
    "a1",
    None,
    'op.execute("CREATE EXTENSION IF NOT EXISTS vector")\n'
    'op.execute("CREATE TABLE one (id int PRIMARY KEY, size int DEFAULT 4, old vector(3))")',
)


@pytest.mark.parametrize("options", ["", "transaction_per_migration=True"])
def test_the_models_tables_are_created_and_committed(
    worker: Worker, shadow: ShadowDatabase, tmp_path: Path, options: str
) -> None:
    write_project(tmp_path, env_py=env(models=IMPORT, options=options), files=FILES)
    with connect(shadow.url, read_only=False) as connection:
        connection.execute("CREATE EXTENSION vector")
    with worker.session(Project(tmp_path), shadow.url) as session:
        assert session.create_models() == ["one", "two"]
        assert session.autogenerate() == []
        assert "app/types.py" in session.finish().files
    with connect(shadow.url) as connection:
        rows = connection.execute(TABLES)
        assert [row[0] for row in rows] == ["one", "two"]


def test_autogenerate_renders_every_operation_both_ways(
    worker: Worker, shadow: ShadowDatabase, tmp_path: Path
) -> None:
    write_project(tmp_path, [HEAD], env_py=env(models=IMPORT), files=FILES)
    with worker.session(Project(tmp_path), shadow.url) as session:
        session.open()
        assert session.step("upgrade", "a1").error is None
        operations = session.autogenerate()
        session.finish()
    assert [(one.kind, one.table, one.name) for one in operations] == [
        ("CreateTableOp", "two", "two"),
        ("CreateIndexOp", "two", "ix_two_one_id"),
        ("AlterColumnOp", "one", "size"),
        ("DropColumnOp", "one", "old"),
    ]
    assert "type_=sa.BigInteger()" in operations[2].upgrade
    assert "server_default=sa.text('4')" in operations[2].downgrade
    made, index, dropped = operations[0], operations[1], operations[-1]
    assert re.search(r"sa\.Column\('embedding', Vector\(384\)", made.upgrade)
    assert "HALFVEC(3)" in made.upgrade
    assert "app.types.Shout(length=20)" in made.upgrade
    assert made.imports == (
        "from pgvector.sqlalchemy import HALFVEC",
        "from pgvector.sqlalchemy import Vector",
        "from sqlalchemy.dialects import postgresql",
        "import app.types",
    )
    assert made.downgrade == "op.drop_table('two')"
    assert index.upgrade == "op.create_index('ix_two_one_id', 'two', ['one_id'], unique=False)"
    assert dropped.column == "old"
    assert "sa.Column('old', Vector(3)" in dropped.downgrade
    assert dropped.imports == ("from pgvector.sqlalchemy import Vector",)


def test_the_projects_own_options_decide_what_is_compared_and_how_it_is_rendered(
    worker: Worker, shadow: ShadowDatabase, tmp_path: Path
) -> None:
    own = """
def render_item(kind, item, autogen):
    if kind == "type" and type(item).__name__ == "Shout":
        autogen.imports.add("from app.types import Shout")
        return "Shout(20)"
    return False
def include_object(item, name, kind, reflected, other):
    return name != "one"
"""
    options = "render_item=render_item, include_object=include_object"
    write_project(tmp_path, [HEAD], env_py=env(models=IMPORT + own, options=options), files=FILES)
    with worker.session(Project(tmp_path), shadow.url) as session:
        session.open()
        session.step("upgrade", "a1")
        operations = session.autogenerate()
    assert {one.table for one in operations} == {"two"}
    assert "sa.Column('loud', Shout(20)" in operations[0].upgrade
    assert "from app.types import Shout" in operations[0].imports


def test_several_metadata_are_created_together(
    worker: Worker, shadow: ShadowDatabase, tmp_path: Path
) -> None:
    models = """
import sqlalchemy as sa
first, second = sa.MetaData(), sa.MetaData()
sa.Table("one", first, sa.Column("id", sa.Integer, primary_key=True))
sa.Table("two", second, sa.Column("id", sa.Integer, primary_key=True))
target_metadata = [first, second]
"""
    write_project(tmp_path, env_py=env(models=models))
    with worker.session(Project(tmp_path), shadow.url) as session:
        assert session.create_models() == ["one", "two"]


def test_an_env_py_without_models_says_how_to_give_them(
    worker: Worker, shadow: ShadowDatabase, tmp_path: Path
) -> None:
    write_project(tmp_path, [table("a1", None, "one")])
    with worker.session(Project(tmp_path), shadow.url) as session:
        with pytest.raises(
            InvalidInput, match=r"no target_metadata.*target_metadata = Base.metadata"
        ):
            session.create_models()
        with pytest.raises(InvalidInput, match="no target_metadata"):
            session.autogenerate()
        session.open()
        with pytest.raises(InvalidInput, match="no target_metadata"):
            session.autogenerate()
        session.finish()
