import pytest

from replyx_db_agent.core.errors import InvalidInput
from replyx_db_agent.core.hot_query import HotQuery, read_hot_query

FULL = """\
-- name: dialog_page
-- sla_ms: 20
-- params: 1
-- params: 2, 'a b'
-- The last messages of a dialog.
SELECT id FROM dialog_messages WHERE dialog_id = $1 LIMIT 50;
"""


def test_a_file_is_read_with_its_header():
    assert read_hot_query(FULL, "stem") == HotQuery(
        "dialog_page",
        "SELECT id FROM dialog_messages WHERE dialog_id = $1 LIMIT 50",
        ("1", "2, 'a b'"),
        20.0,
    )


def test_a_query_without_a_header_is_named_by_its_file_and_has_one_empty_sample():
    assert read_hot_query("SELECT 1", "one") == HotQuery("one", "SELECT 1", ("",), None)


def test_windows_line_ends_are_read_too():
    assert read_hot_query(FULL.replace("\n", "\r\n"), "x").samples == ("1", "2, 'a b'")


@pytest.mark.parametrize("text", ["", "-- name: nothing\n", " ; \n"])
def test_a_file_without_sql_is_refused(text):
    with pytest.raises(InvalidInput, match='"empty" holds no SQL'):
        read_hot_query(text, "empty")


@pytest.mark.parametrize("value", ["fast", "", "nan", "inf", "-1", "0"])
def test_an_sla_that_is_no_time_is_refused(value):
    with pytest.raises(InvalidInput, match="sla_ms"):
        read_hot_query(f"-- sla_ms: {value}\nSELECT 1", "x")


def test_parameters_without_a_sample_are_refused():
    with pytest.raises(InvalidInput, match="-- params: 1"):
        read_hot_query("SELECT * FROM users WHERE id = $1", "x")


def test_a_comment_in_the_middle_is_no_header():
    query = read_hot_query("SELECT 1 -- name: other\n, 2", "x")
    assert query.name == "x"
