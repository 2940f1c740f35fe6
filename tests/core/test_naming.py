from datetime import UTC, datetime, timedelta, timezone

import pytest

from replyx_db_agent.core.errors import InvalidInput
from replyx_db_agent.core.naming import (
    MAX_REVISION_ID,
    follows_policy,
    next_revision_id,
    short_name,
)

NOW = datetime(2025, 8, 23, 0, 1, 59, tzinfo=UTC)


def test_the_next_id_is_the_minute_of_now():
    assert next_revision_id(NOW, (), None) == "202508230001"


def test_the_next_id_is_in_utc_whatever_the_clock_says():
    elsewhere = NOW.astimezone(timezone(timedelta(hours=7)))
    assert next_revision_id(elsewhere, (), None) == "202508230001"


def test_an_id_that_is_taken_gives_way_to_the_next_free_minute():
    taken = {"202508230001", "202508230002_with_a_name"}
    assert next_revision_id(NOW, taken, None) == "202508230003"


def test_the_next_id_comes_after_a_head_of_the_future():
    assert next_revision_id(NOW, (), "202512312359") == "202601010000"


def test_a_head_of_the_past_does_not_hold_the_next_id_back():
    assert next_revision_id(NOW, (), "202401010000") == "202508230001"


@pytest.mark.parametrize("head", ["8f3a2c1d9e7b", "999999999999", "", None])
def test_a_head_that_is_no_minute_is_passed_over(head):
    assert next_revision_id(NOW, (), head) == "202508230001"


def test_the_next_id_fits_alembics_column():
    assert len(next_revision_id(NOW, (), None)) <= MAX_REVISION_ID


@pytest.mark.parametrize(
    ("message", "name"),
    [
        ("Add nickname!", "add_nickname"),
        ("  drop  users.legacy_ref ", "drop_users_legacy_ref"),
        ("Добавить nickname", "nickname"),
        ("../../etc/passwd", "etc_passwd"),
        ("a" * 60, "a" * 40),
        ("word " * 20, "word_word_word_word_word_word_word_word"),
    ],
)
def test_a_message_becomes_a_short_name(message, name):
    assert short_name(message) == name


@pytest.mark.parametrize("message", ["", "!!!", "Ник"])
def test_a_message_that_gives_no_name_is_refused_with_an_example(message):
    with pytest.raises(InvalidInput, match="add nickname"):
        short_name(message)


@pytest.mark.parametrize(
    ("revision", "file_name", "follows"),
    [
        ("202508230001", "202508230001_add_vector_index.py", True),
        ("202508230001_add_vector_index", "202508230001_add_vector_index.py", True),
        ("202508230001", "202508230002_add_vector_index.py", False),
        ("202508230001", "202508230001.py", False),
        ("202508230001", "202508230001_Add.py", False),
        ("8f3a2c1d9e7b", "8f3a2c1d9e7b_add_vector_index.py", False),
        ("202508230001", "202508230001_add.py.bak", False),
        ("202513990001", "202513990001_no_such_month.py", False),
    ],
)
def test_the_policy_is_a_minute_and_a_short_name(revision, file_name, follows):
    assert follows_policy(revision, file_name) is follows
