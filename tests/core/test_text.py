import pytest

from replyx_db_agent.core.text import code, escape, fenced


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("dialog_messages", "dialog_messages"),
        ("<script>alert(1)</script>", "&lt;script&gt;alert(1)&lt;/script&gt;"),
        ("a | b", "a \\| b"),
        ("`x` *y* [z](http://e)", "\\`x\\` \\*y\\* \\[z\\](http://e)"),
        ("_private and a__b", "\\_private and a\\_\\_b"),
        ("one\r\n two\tthree", "one two three"),
        ("# not a heading", "\\# not a heading"),
        ("- not a list", "\\- not a list"),
        ("1. not a list", "1\\. not a list"),
        ("-1", "-1"),
        ("&lt; $x$ \\", "&amp;lt; \\$x\\$ \\\\"),
        ("\x1b[31m\u202eимя\x00", "\\[31mимя"),
        ("👩‍💻", "👩‍💻"),
        ("", ""),
    ],
)
def test_escaped_text_is_shown_and_does_nothing(text, shown):
    assert escape(text) == shown
    assert escape(escape(text)) == shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("users", "`users`"),
        ("rating >= 1 AND a <> 2", "`rating >= 1 AND a <> 2`"),
        ("a || b", "`a \\|\\| b`"),
        ("a\nb", "`a b`"),
        ("имя 👩‍💻", "`имя 👩‍💻`"),
        ("<script>", "&lt;script&gt;"),
        ("a`b|c", "a\\`b\\|c"),
        ("a\\|b", "a\\\\\\|b"),
        ("", ""),
        (None, ""),
    ],
)
def test_code_fits_a_cell_of_a_table(text, shown):
    assert code(text) == shown


@pytest.mark.parametrize("text", ["x", "```\ny\n```", "````", "a ````` b"])
def test_no_content_closes_its_fence(text):
    first, *_, last = fenced(text, "sql").split("\n")

    assert first == last + "sql"
    assert last not in text
