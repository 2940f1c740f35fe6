"""What the drafts' own formatter writes is what ruff would write."""

from __future__ import annotations

import ast
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from replyx_db_agent.cycle.drafting.source import (
    MOST_COLUMNS,
    execute,
    formatted,
    string,
    with_arguments,
)

LONG = "SELECT count(*) FROM a_table_with_a_long_name WHERE a_column_with_a_long_name IS NOT NULL"
SOURCES = {
    "single quotes": "op.drop_index('ix', table_name='t')",
    "quotes inside": """op.execute('COMMENT ON TABLE "t" IS \\'it\\\\\\'s\\'')""",
    "a call that fits exactly": f"op.execute({'x' * 88!r})",
    "a call one column too long": f"op.execute({'x' * 89!r})",
    "many arguments": "op.create_index(op.f('ix_users_email'), 'users', ['email', sa.text('created "
    "DESC')], unique=False, postgresql_where=sa.text('active'))",
    "a call in a call": "op.add_column('users', sa.Column('state', postgresql.ENUM('new', 'old', "
    "'gone', name='user_state', create_type=False), server_default=sa.text(\"'new'\")))",
    "an empty call": "op.create_table('t', sa.Column('id', sa.Integer(), nullable=False), "
    "sa.Column('created', sa.DateTime(timezone=True), server_default=sa.func.now()))",
    "a dictionary": "op.create_index('ix', 't', ['embedding'], postgresql_using='hnsw', "
    "postgresql_ops={'embedding': 'vector_cosine_ops'}, postgresql_with={'m': 16, 'b': -1})",
    "a nested text": f"op.create_index('ix', 't', ['a'], where=sa.text({LONG + ' ' + LONG!r}))",
    "a long text": execute(f"{LONG} AND {LONG} AND {LONG}"),
    "a long word": execute("x" * 200 + " " + "y" * 200),
    "a text in a name": f"invalid = sa.text({LONG!r})",
    "a comment": "# Why.\nop.execute('SELECT 1')",
    "an if": "if op.get_bind().scalar(invalid):\n    op.execute('SELECT 1')",
    "cyrillic": execute("COMMENT ON TABLE people IS 'Люди; " + "о тех, кто ушёл, " * 9 + "'"),
    "lines": execute("COMMENT ON TABLE t IS 'one\ntwo\tthree \\ 12:30 :name'"),
    "one in a tuple": "f((1,), {}, [])",
}


def ruff(text: str) -> str:
    beside = Path(sys.executable).with_name("ruff")
    command = str(beside) if beside.exists() else shutil.which("ruff")
    if command is None:
        pytest.skip("ruff is not installed")
    options = ("format", "--line-length", str(MOST_COLUMNS), "--isolated", "--no-cache", "-")
    done = subprocess.run([command, *options], input=text, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("name", SOURCES)
@pytest.mark.parametrize("depth", [0, 1, 2])
def test_ruff_would_write_the_same(name: str, depth: int) -> None:
    lines = SOURCES[name].split("\n")
    source = "".join(f"{'    ' * level}if True:\n" for level in range(depth))
    source += "".join(f"{'    ' * depth}{line}\n" for line in lines)
    written = formatted(source)
    assert ruff(written) == written
    assert formatted(written) == written
    assert ast.dump(ast.parse(written)) == ast.dump(ast.parse(source))


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("plain", '"plain"'),
        ('say "x"', "'say \"x\"'"),
        ("it's", '"it\'s"'),
        ("a 'b' \"c\"", '"a \'b\' \\"c\\""'),
        ("back\\slash", '"back\\\\slash"'),
        ("one\ntwo", '"one\\ntwo"'),
        ("nul\0 \u202e", '"nul\\x00 \\u202e"'),
        ("Ключ", '"Ключ"'),
    ],
)
def test_a_text_is_written_as_a_literal_that_gives_it_back(text: str, code: str) -> None:
    assert string(text) == code
    assert ast.literal_eval(code) == text


def test_a_colon_in_sql_is_no_placeholder() -> None:
    from sqlalchemy import text

    sql = "SELECT 'at 12:30 :name', a::text, b[1:2]"
    written = ast.parse(execute(sql)).body[0].value.args[0].value
    assert text(written)._bindparams == {}
    assert str(text(written).compile()) == sql


def test_arguments_are_added_behind_the_last_one() -> None:
    assert with_arguments("f(1,\n)", "a=2") == "f(1, a=2)"
    assert with_arguments("f(g(1))", "a=2") == "f(g(1), a=2)"
