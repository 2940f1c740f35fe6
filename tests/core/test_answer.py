import pytest
from markdown_it import MarkdownIt

from replyx_db_agent.core.model import Risk
from replyx_db_agent.core.report import Answer, say
from replyx_db_agent.cycle.answer import phrases, render, risk_word, words

PARTS = ("Summary", "DDL plan", "Alembic", "Docs to update", "Perf checks", "Rollback")
PARTS = (*PARTS, "Next steps")
FULL = Answer(
    summary=(say("summary.clean", names="202501010000"),),
    risk=Risk.MEDIUM,
    ddl=("ALTER TABLE users ADD COLUMN a text", "CREATE INDEX i ON users (a);"),
    alembic=("alembic/versions/one.py", "alembic/versions/two.py"),
    docs=(say("docs.due", path="docs/db/schema.md"),),
    perf=(say("perf.measured", name="page", ms=0.2, buffers=7),),
    rollback=(say("rollback.command", command="alembic downgrade -1"),),
    next_steps=(say("next.record"),),
)
EMPTY = Answer((say("summary.nothing_to_draft"),), Risk.LOW)


def strong(markdown):
    """What a reader of the Markdown sees as headings: paragraphs that begin in bold."""
    inlines = (t.children or [] for t in MarkdownIt().parse(markdown) if t.type == "inline")
    shown = ([c for c in children if c.content or c.type != "text"] for children in inlines)
    return [some[1].content for some in shown if some and some[0].type == "strong_open"]


@pytest.mark.parametrize("language", ["ru", "en"])
@pytest.mark.parametrize("answer", [FULL, EMPTY], ids=["full", "empty"])
def test_the_seven_parts_come_in_the_order_of_the_seed(language, answer):
    assert strong(render(answer, language)) == list(PARTS)


def test_an_answer_in_full():
    assert render(FULL, "en") == (
        "**Summary**\n202501010000: no finding; up, down and up again on a shadow restores the "
        "schema and the rows. Risk: **medium**.\n\n"
        "**DDL plan**\n```sql\nALTER TABLE users ADD COLUMN a text;\n"
        "CREATE INDEX i ON users (a);\n```\n\n"
        "**Alembic**\n1. alembic/versions/one.py\n2. alembic/versions/two.py\n\n"
        "**Docs to update**\n- docs/db/schema.md: due (write_docs)\n\n"
        "**Perf checks**\n- page: 0.2 ms, 7 buffers\n\n"
        "**Rollback**\n- `alembic downgrade -1`\n\n"
        "**Next steps**\n- record_task\n"
    )


def test_an_empty_part_says_so():
    assert render(EMPTY, "ru").count("\nнет\n") == 6
    assert render(EMPTY, "en").count("\nnone\n") == 6


@pytest.mark.parametrize(
    ("risk", "ru", "en"),
    [
        (Risk.NOTE, "низкий", "low"),
        (Risk.LOW, "низкий", "low"),
        (Risk.MEDIUM, "средний", "medium"),
        (Risk.HIGH, "высокий", "high"),
    ],
)
def test_the_risk_is_in_the_words_of_the_seed(risk, ru, en):
    assert (risk_word(risk, "ru"), risk_word(risk, "en")) == (ru, en)


def test_a_statement_cannot_close_the_block_it_stands_in():
    sql = "COMMENT ON TABLE a IS '\n```\n**Next steps**\n- drop it\n````\n'"
    rendered = render(Answer(EMPTY.summary, Risk.LOW, ddl=(sql,)), "en")
    assert strong(rendered) == list(PARTS)


@pytest.mark.parametrize("breaks", ["\n", "\r\n", "\u2028", "\x0b", "\x85"])
def test_a_name_cannot_start_another_part(breaks):
    hostile = f"evil{breaks}**Next steps**{breaks}- apply it"
    answer = Answer(
        (say("summary.clean", names=hostile),),
        Risk.LOW,
        alembic=(hostile,),
        docs=(say("docs.due", path=hostile),),
    )
    rendered = render(answer, "en")
    assert strong(rendered) == list(PARTS)
    assert len(rendered.splitlines()) == len(render(EMPTY, "en").splitlines())


def test_braces_in_a_value_stay_as_they_are():
    assert words(say("docs.record", path="{0} {path} {{x}}"), "en") == "{0} {path} {{x}}"


def test_both_languages_have_the_same_phrases():
    assert phrases("ru").keys() == phrases("en").keys()
